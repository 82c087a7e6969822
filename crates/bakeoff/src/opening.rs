//! Opening a file or an address in the program that the system has for it.

use anyhow::{Context, bail};
use std::ffi::OsStr;
use std::path::Path;
use std::process::{Command, Stdio};

/// What opens files here.
const OPENER: &str = if cfg!(target_os = "macos") {
    "open"
} else if cfg!(target_os = "windows") {
    "explorer"
} else {
    "xdg-open"
};

/// Opens a file. The path goes to the program as one argument, through no shell.
pub(crate) fn open(path: &Path) -> anyhow::Result<()> {
    // A name that begins with a dash would be read as an option.
    let path = path.canonicalize().with_context(|| format!("failed to find {}", path.display()))?;
    start(path.as_os_str())
}

/// Opens an address in the browser.
pub(crate) fn browse(address: &str) -> anyhow::Result<()> {
    start(OsStr::new(address))
}

fn start(what: &OsStr) -> anyhow::Result<()> {
    let mut command = Command::new(OPENER);
    let started = command.arg(what).stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null()).status();
    let what = what.display();
    match started {
        Ok(status) if status.success() || cfg!(target_os = "windows") => Ok(()),
        Ok(status) => bail!("{OPENER} could not open {what}: {status}"),
        Err(error) => Err(error).with_context(|| format!("failed to start {OPENER} for {what}")),
    }
}
