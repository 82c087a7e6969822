//! A process of its own for every cell.
//!
//! A cell is worked on in a copy of this process (`fork`), which has the images at hand without reading them again. So the
//! peak of memory and the CPU time that the kernel counts are the cell's own (the images among them), a cell that takes
//! more than it may is ended without harm to the run, and so is one that breaks in a way that no program survives: out
//! of memory, out of stack. The copy sends what happens and what came of it back through a pipe, and never touches the store.
//!
//! A copy has one thread, the one that made it, so nothing here may have started the threads that computations use: images
//! are loaded on threads that are gone when they are there ([`crate::threads`]), and each copy starts its own.

use crate::host::resident_mb;
use crate::models::Models;
use crate::threads;
use anyhow::{Context, bail};
use bakeoff_core::Epoch;
use bakeoff_results::{Cell, Outcome, Row, Run};
use bakeoff_runner::clock::Stopwatch;
use bakeoff_runner::{Event, Limits, Observer, Stage, StoredPipeline, Work, Worked, Workshop};
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::signal::{SigSet, SigmaskHow, Signal, kill, sigprocmask};
use nix::sys::wait::{WaitStatus, waitpid};
use nix::unistd::{ForkResult, Pid, fork, getppid, pipe};
use serde::{Deserialize, Serialize};
use std::fs::File;
use std::io::{self, Read, Write};
use std::os::fd::AsFd;
use std::sync::atomic::{AtomicBool, Ordering};

/// Milliseconds between looks at what a cell takes and at the user's wishes.
const LOOK: u16 = 20;

/// Bytes of a message at most: the scores of a cell and what is said beside them.
const LONGEST: usize = 1 << 30;

/// Makes a process for each cell.
pub(crate) struct Processes<'a> {
    pub(crate) threads: usize,
    pub(crate) limits: Limits,
    pub(crate) stop: &'a AtomicBool,
    /// Keeps the model of a finished cell, in the cell's process.
    pub(crate) models: &'a Models<'a>,
    pub(crate) run: &'a Run,
    pub(crate) fit: bakeoff_datasets::Fit,
}

/// Has the library of products look up the sizes of the processor's caches, which takes it a hundred files: once here and not once in
/// every copy.
pub(crate) fn warm_up() {
    let one = ndarray::arr2(&[[1.0_f32]]);
    let mut product = ndarray::arr2(&[[0.0_f32]]);
    bakeoff_numeric::matmul_here(one.view(), one.view(), product.view_mut());
}

/// What a cell's process says.
#[derive(Serialize, Deserialize)]
enum Message {
    /// It goes on to its next part.
    Stage(Stage),
    /// A pass is done: number, of how many, loss as bits, for JSON knows no infinities.
    Epoch(usize, usize, u64),
    /// What came of it; the scores of a measured cell follow as so many numbers.
    Ended(Outcome, usize),
    /// It was asked to stop, and did.
    Stopped,
    /// Its model could not be kept: the run has to end.
    Broken(String),
}

impl Workshop<anyhow::Error> for Processes<'_> {
    fn work(&mut self, cell: &Cell, work: &mut Work<'_>, observer: &mut dyn Observer) -> anyhow::Result<Worked> {
        let (reader, writer) = pipe().context("failed to make a pipe")?;
        let parent = nix::unistd::getpid();
        // The wish to stop is this process's to hear; the copy is ended from here.
        let mut before = SigSet::empty();
        sigprocmask(SigmaskHow::SIG_BLOCK, Some(&asking()), Some(&mut before)).context("failed to mask signals")?;
        #[expect(unsafe_code, reason = "the copy has the one thread that it needs, see above, and leaves by _exit")]
        // SAFETY: no other thread of this process holds a lock that the copy takes: those that compute are gone, the one that waits
        // for signals holds none while it waits, and the one that draws the bar holds only the bar's, which the copy does not touch.
        let forked = unsafe { fork() };
        let child = match forked {
            Ok(ForkResult::Child) => {
                drop(reader);
                self.in_the_copy(parent, cell, work, File::from(writer));
                #[expect(unsafe_code, reason = "nothing of the process that it was copied from may be run at its end")]
                // SAFETY: it only ends the process.
                unsafe {
                    nix::libc::_exit(0)
                }
            }
            Ok(ForkResult::Parent { child }) => child,
            Err(error) => {
                let _ = sigprocmask(SigmaskHow::SIG_SETMASK, Some(&before), None);
                return Err(error).context("failed to start a process for a cell");
            }
        };
        sigprocmask(SigmaskHow::SIG_SETMASK, Some(&before), None).context("failed to unmask signals")?;
        drop(writer);
        let heard = self.listen(child, File::from(reader), observer);
        // Whatever was heard, nothing of it stays behind.
        let _ = kill(child, Signal::SIGKILL);
        let ended = waitpid(child, None).context("failed to wait for a cell's process")?;
        Ok(match heard? {
            Heard::Outcome(outcome) => Some((outcome, None)),
            Heard::Stopped => None,
            Heard::TooMuch(error) => Some((Outcome::Failed { error }, None)),
            Heard::Nothing => Some((Outcome::Failed { error: cause_of_death(ended) }, None)),
        })
    }
}

/// What was heard of a cell in the end.
enum Heard {
    Outcome(Outcome),
    Stopped,
    TooMuch(String),
    Nothing,
}

/// The signals by which a user asks to stop.
fn asking() -> SigSet {
    SigSet::from_iter([Signal::SIGINT, Signal::SIGTERM, Signal::SIGHUP])
}

fn cause_of_death(ended: WaitStatus) -> String {
    match ended {
        WaitStatus::Signaled(_, Signal::SIGKILL, _) => {
            "its process was killed, perhaps because memory ran out".to_owned()
        }
        WaitStatus::Signaled(_, signal, _) => format!("its process ended by {signal}"),
        WaitStatus::Exited(_, code) => format!("its process ended with code {code} before it had a result"),
        other => format!("its process ended: {other:?}"),
    }
}

impl Processes<'_> {
    /// The copy's part. What it cannot say any more nobody hears.
    fn in_the_copy(&self, parent: Pid, cell: &Cell, work: &mut Work<'_>, writer: File) {
        #[cfg(target_os = "linux")]
        {
            // When the run is killed, so is what it works on; it may have been killed before this line.
            let _ = nix::sys::prctl::set_pdeathsig(Signal::SIGKILL);
            // And when memory runs out, the cell is to go and not the run.
            let _ = std::fs::write("/proc/self/oom_score_adj", "1000");
        }
        if getppid() != parent {
            return;
        }
        let mut voice = Voice { pipe: writer };
        if let Err(error) = threads::start(self.threads) {
            voice.say(&Message::Broken(format!("{error:#}")));
            return;
        }
        let message = match work(&mut voice) {
            None => Message::Stopped,
            Some((outcome, stored)) => match self.keep(cell, &outcome, stored) {
                Ok(()) => return voice.say_outcome(outcome),
                Err(error) => Message::Broken(format!("{error:#}")),
            },
        };
        voice.say(&message);
    }

    fn keep(&self, cell: &Cell, outcome: &Outcome, stored: Option<StoredPipeline>) -> anyhow::Result<()> {
        let Some(stored) = stored else { return Ok(()) };
        let row = Row { cell: cell.clone(), outcome: outcome.clone() };
        self.models.keep(&row, stored, self.run, self.fit)
    }

    /// Hears the copy out, and looks at what it takes meanwhile.
    fn listen(&self, child: Pid, pipe: File, observer: &mut dyn Observer) -> anyhow::Result<Heard> {
        let clock = Stopwatch::start();
        let mut ear = Ear { pipe, heard: Vec::new() };
        loop {
            if self.stop.load(Ordering::Relaxed) {
                return Ok(Heard::Stopped);
            }
            if let Some(too_much) = self.too_much(child, clock) {
                return Ok(Heard::TooMuch(too_much));
            }
            let is_open = ear.wait()?;
            while let Some(message) = ear.message()? {
                match message {
                    Message::Stage(stage) => observer.tell(Event::Stage(stage)),
                    Message::Epoch(number, of, loss) => {
                        observer.tell(Event::Epoch(Epoch::new(number, of, f64::from_bits(loss))));
                    }
                    Message::Ended(outcome, scores) => return Ok(Heard::Outcome(ear.with_scores(outcome, scores)?)),
                    Message::Stopped => return Ok(Heard::Stopped),
                    Message::Broken(error) => bail!(error),
                }
            }
            if !is_open {
                return Ok(Heard::Nothing);
            }
        }
    }

    /// What a cell takes more of than it may.
    fn too_much(&self, child: Pid, clock: Stopwatch) -> Option<String> {
        if let Some(limit) = self.limits.seconds.filter(|limit| clock.elapsed().0 > *limit) {
            return Some(format!("it took longer than its limit of {limit} s"));
        }
        let limit = self.limits.megabytes?;
        let found = resident_mb(child.as_raw()).filter(|found| *found > limit)?;
        Some(format!("it took {found:.0} MB of memory, its limit is {limit} MB"))
    }
}

/// What the copy speaks through: each message as its length in four bytes, little endian, and its JSON.
struct Voice {
    pipe: File,
}

impl Voice {
    /// That nobody listens any more is the end of the copy, and no news.
    fn say(&mut self, message: &Message) {
        let json = serde_json::to_vec(message).unwrap_or_default();
        let _ = self.pipe.write_all(&(json.len() as u32).to_le_bytes()).and_then(|()| self.pipe.write_all(&json));
    }

    fn say_outcome(&mut self, mut outcome: Outcome) {
        let scores = match &mut outcome {
            Outcome::Done(measured) => std::mem::take(&mut measured.scores),
            _ => Vec::new(),
        };
        self.say(&Message::Ended(outcome, scores.len()));
        let bytes: Vec<u8> = scores.iter().flat_map(|score| score.to_le_bytes()).collect();
        let _ = self.pipe.write_all(&bytes);
    }
}

impl Observer for Voice {
    fn tell(&mut self, event: Event<'_>) {
        match event {
            Event::Stage(stage) => self.say(&Message::Stage(stage)),
            Event::Epoch(epoch) => self.say(&Message::Epoch(epoch.number, epoch.of, epoch.loss.to_bits())),
            Event::Planned { .. }
            | Event::CellStarted { .. }
            | Event::Repeating { .. }
            | Event::CellFinished { .. } => {}
        }
    }
}

/// What the run hears with.
struct Ear {
    pipe: File,
    heard: Vec<u8>,
}

impl Ear {
    /// Waits a moment for more; `false` when there will be none.
    fn wait(&mut self) -> anyhow::Result<bool> {
        let mut ready = [PollFd::new(self.pipe.as_fd(), PollFlags::POLLIN)];
        match poll(&mut ready, PollTimeout::from(LOOK)) {
            Ok(0) | Err(nix::errno::Errno::EINTR) => Ok(true),
            Ok(_) => self.read(),
            Err(error) => Err(error).context("failed to listen to a cell's process"),
        }
    }

    fn read(&mut self) -> anyhow::Result<bool> {
        let mut block = [0; 1 << 14];
        match self.pipe.read(&mut block) {
            Ok(0) => Ok(false),
            Ok(n) => {
                self.heard.extend_from_slice(&block[..n]);
                Ok(true)
            }
            Err(error) if error.kind() == io::ErrorKind::Interrupted => Ok(true),
            Err(error) => Err(error).context("failed to listen to a cell's process"),
        }
    }

    /// The next message that was heard in full.
    fn message(&mut self) -> anyhow::Result<Option<Message>> {
        let Some((length, rest)) = self.heard.split_first_chunk::<4>() else { return Ok(None) };
        let length = u32::from_le_bytes(*length) as usize;
        let Some(json) = rest.get(..length) else { return Ok(None) };
        let message = serde_json::from_slice(json).context("a cell's process said what nobody understands")?;
        self.heard.drain(..4 + length);
        Ok(Some(message))
    }

    /// An outcome with the scores that follow it.
    fn with_scores(&mut self, mut outcome: Outcome, n: usize) -> anyhow::Result<Outcome> {
        let bytes = n.checked_mul(4).filter(|&bytes| bytes <= LONGEST).context("a cell has too many scores")?;
        while self.heard.len() < bytes {
            if !self.read()? {
                bail!("a cell's process ended before it had said everything");
            }
        }
        if let Outcome::Done(measured) = &mut outcome {
            let scores = self.heard[..bytes].chunks_exact(4).map(|b| f32::from_le_bytes([b[0], b[1], b[2], b[3]]));
            measured.scores = scores.collect();
        }
        Ok(outcome)
    }
}
