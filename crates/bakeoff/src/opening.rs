//! Opening a file in the program that the system has for it.

use anyhow::{Context, bail};
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
    let mut command = Command::new(OPENER);
    let started = command.arg(&path).stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null()).status();
    match started {
        Ok(status) if status.success() || cfg!(target_os = "windows") => Ok(()),
        Ok(status) => bail!("{OPENER} could not open {}: {status}", path.display()),
        Err(error) => Err(error).with_context(|| format!("failed to start {OPENER} for {}", path.display())),
    }
}
