//! Ctrl-C: the first asks to stop after the work in hand, the second ends at once.

use anyhow::Context;
use std::sync::atomic::{AtomicBool, Ordering};

/// Set when the user wants to stop.
static STOP: AtomicBool = AtomicBool::new(false);

/// What says whether the user wants to stop.
pub(crate) fn flag() -> &'static AtomicBool {
    &STOP
}

/// Starts listening to SIGINT, SIGTERM and SIGHUP.
pub(crate) fn listen() -> anyhow::Result<()> {
    let handler = || {
        if STOP.swap(true, Ordering::Relaxed) {
            std::process::exit(130);
        }
        crate::terminal::tell("\nstopping; what is finished is kept (Ctrl-C again ends at once)");
    };
    ctrlc::set_handler(handler).context("failed to listen to Ctrl-C")
}
