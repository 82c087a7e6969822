//! A run that is watched in a browser: a second process serves what is finished and how far the rest is.
//!
//! It is a process and no thread because cells are worked on in copies of the run's process, which must have no threads of its own
//! ([`crate::workshop`]). What it has to know comes through its standard input, a line of JSON each, and it ends when that
//! ends: no watcher outlives its run. It reads the store, and never writes.

use crate::terminal::tell;
use anyhow::{Context, bail};
use bakeoff_report::Live;
use bakeoff_runner::clock::Stopwatch;
use nix::fcntl::{FcntlArg, OFlag, fcntl};
use std::io::{BufRead, BufReader, Write};
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Child, ChildStdin, Command, Stdio};

/// Bytes of a line at most: as many as a pipe takes whole or not at all.
const LONGEST: usize = 4000;
/// Seconds between lines that tell of passes and stages.
const RARELY: f64 = 0.2;

/// The run's end of it.
pub(crate) struct Watcher {
    child: Child,
    pipe: Option<ChildStdin>,
    told: Option<Stopwatch>,
    /// Where it is served.
    pub(crate) address: String,
}

impl Watcher {
    /// Starts serving a run's folder on a port of this machine, 0 for any that is free.
    pub(crate) fn start(folder: &Path, port: u16) -> anyhow::Result<Self> {
        let program = std::env::current_exe().context("failed to find this program")?;
        let mut command = Command::new(program);
        command.arg("watch").arg(folder).arg("--port").arg(port.to_string());
        // In a group of its own: the terminal's Ctrl-C is for the run to hear.
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).process_group(0);
        let mut child = command.spawn().context("failed to start a process to watch with")?;
        let mut address = String::new();
        let heard = child.stdout.take().map(|out| BufReader::new(out).read_line(&mut address));
        let address = address.trim().to_owned();
        if address.is_empty() || !matches!(heard, Some(Ok(_))) {
            let _ = child.kill();
            let _ = child.wait();
            bail!("the run cannot be watched on port {port}");
        }
        let pipe = child.stdin.take();
        if let Some(pipe) = &pipe {
            // Whoever does not read must not stop the run.
            fcntl(pipe, FcntlArg::F_SETFL(OFlag::O_NONBLOCK)).context("failed to prepare a pipe")?;
        }
        Ok(Self { child, pipe, told: None, address })
    }

    /// Tells how far the run is. What is no news (`rarely`) is told now and then only, and a line that the pipe has no room for is left out:
    /// the next one says more.
    pub(crate) fn tell(&mut self, live: &Live, rarely: bool) {
        if rarely && self.told.is_some_and(|clock| clock.elapsed().0 < RARELY) {
            return;
        }
        self.told = Some(Stopwatch::start());
        let Some(line) = line(live) else { return };
        let Some(pipe) = &mut self.pipe else { return };
        match pipe.write(line.as_bytes()) {
            Ok(_) => {}
            Err(error) if error.kind() == std::io::ErrorKind::WouldBlock => {}
            Err(_) => {
                tell("bakeoff: nobody serves the page of this run any more; the run goes on");
                self.pipe = None;
            }
        }
    }
}

/// A line of at most [`LONGEST`] bytes.
fn line(live: &Live) -> Option<String> {
    let short = Live { at: live.at.chars().take(LONGEST / 16).collect(), ..live.clone() };
    let line = serde_json::to_string(&short).ok()? + "\n";
    (line.len() <= LONGEST).then_some(line)
}

impl Drop for Watcher {
    /// The page's process ends by itself when it has shown the end to whoever looks.
    fn drop(&mut self) {
        drop(self.pipe.take());
        let _ = self.child.wait();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_fits_a_pipe_whatever_pipelines_are_called() {
        let loud = Live { at: "\u{1}\"猫".repeat(10_000), ..Live::default() };
        let line = line(&loud).unwrap();
        assert!(line.len() <= LONGEST && line.ends_with("}\n"), "{}", line.len());
        let back: Live = serde_json::from_str(&line).unwrap();
        assert!(loud.at.starts_with(&back.at) && back.at.chars().count() == LONGEST / 16);
    }
}
