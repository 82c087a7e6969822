//! States of trainings that are not finished, kept while a classifier learns, so that a cell that was broken off goes on
//! where it was and ends with the same bits.
//!
//! A state is kept under its cell's digest and its branch. With it lie the seconds and the curve up to there: what an earlier
//! process spent counts in the row of the cell as if it had never stopped. A state that does not fit counts as none: the
//! classifier refuses it and learns from the start.

use crate::cache::Saved;
use crate::clock::Stopwatch;
use crate::fit::{Stopped, Watch};
use crate::machine::Machine;
use bakeoff_core::{Classifier, Epoch, FitError, Fitted, Labels, Rows, Seed};
use bakeoff_results::{EpochLoss, Seconds};
use serde::{Deserialize, Serialize};

/// Where states are kept. It gives back what it got or nothing; damage is its to see.
pub trait States: Sync {
    /// Seconds of training between two states.
    fn every(&self) -> Seconds;

    /// The state that was put there last under this key.
    fn get(&self, key: &str) -> Option<Vec<u8>>;

    /// Keeps a state instead of the one before.
    ///
    /// # Errors
    /// A sentence when that is not possible; the training goes on without.
    fn put(&self, key: &str, state: &[u8]) -> Result<(), String>;

    /// Removes the state under this key, if there is one.
    fn forget(&self, key: &str);
}

/// The least share of a training's time that states leave to it: writing one of t seconds is worth 19 t of training.
const PATIENCE: f64 = 19.0;

/// The key of a branch of a cell.
pub(crate) fn key(cell: &str, branch: usize) -> String {
    format!("{cell}-{branch}")
}

/// A cell whose states are kept.
#[derive(Clone, Copy)]
pub(crate) struct Keeping<'a> {
    pub(crate) states: &'a dyn States,
    pub(crate) cell: &'a str,
    pub(crate) machine: &'a dyn Machine,
}

/// What a fit gave.
pub(crate) struct Learned {
    pub(crate) fitted: Fitted,
    pub(crate) curve: Vec<EpochLoss>,
    /// What earlier processes spent on it.
    pub(crate) before: Saved,
    pub(crate) note: Option<String>,
}

/// What lies before the classifier's bytes. Losses are bits, for JSON knows no infinities.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Head {
    wall: f64,
    cpu: f64,
    curve: Vec<(usize, u64)>,
}

impl Head {
    /// Itself as its length in four bytes, little endian, and its JSON; then the classifier's state.
    fn with(&self, state: &[u8]) -> Vec<u8> {
        let json = serde_json::to_vec(self).unwrap_or_default();
        [&(json.len() as u32).to_le_bytes(), &json[..], state].concat()
    }

    /// The head and the classifier's state; nothing where these bytes are something else.
    fn split(bytes: &[u8]) -> Option<(Self, &[u8])> {
        let (length, rest) = bytes.split_first_chunk::<4>()?;
        let (json, state) = rest.split_at_checked(u32::from_le_bytes(*length) as usize)?;
        let head: Self = serde_json::from_slice(json).ok()?;
        let sound = |seconds: f64| seconds.is_finite() && seconds >= 0.0;
        (sound(head.wall) && sound(head.cpu) && !head.curve.is_empty()).then_some((head, state))
    }

    fn points(&self) -> Vec<EpochLoss> {
        self.curve.iter().map(|&(epoch, loss)| EpochLoss { epoch, loss: f64::from_bits(loss) }).collect()
    }
}

/// A training that leaves states.
struct Trace<'a> {
    keeping: Keeping<'a>,
    key: String,
    clock: Stopwatch,
    cpu: Seconds,
    before: Saved,
    curve: Vec<EpochLoss>,
    /// When the last state was written, by `clock`, and what that took.
    last: (Seconds, Seconds),
    problem: Option<String>,
}

impl Keeping<'_> {
    /// Runs the fit of a branch, from its state where there is one. One that was broken off is no result.
    pub(crate) fn learn(
        self,
        branch: usize,
        classifier: &dyn Classifier,
        (x, labels): (&dyn Rows, &Labels),
        seed: Seed,
        watch: &mut Watch<'_>,
    ) -> Result<Learned, Stopped> {
        watch.check()?;
        let mut trace = self.trace(branch);
        let found = self.states.get(&trace.key);
        let known = found.as_deref().and_then(Head::split);
        let went_on = known.map(|(head, state)| {
            trace.curve = head.points();
            trace.before = Saved { wall: Seconds(head.wall), cpu: Seconds(head.cpu) };
            let from = head.curve.len();
            (classifier.resume(state, x, labels, seed, &mut |epoch| trace.hear(epoch, watch)), from)
        });
        let (fitted, from) = match went_on {
            // Rows that it refuses too are refused once more, by the fit.
            Some((Err(FitError::Refused { .. }), _)) | None => {
                trace = self.trace(branch);
                (classifier.fit(x, labels, seed, &mut |epoch| trace.hear(epoch, watch)), None)
            }
            Some((fitted, from)) => (fitted, Some(from)),
        };
        watch.check()?;
        let from = from.map(|n| format!("its training was broken off and went on from the state after epoch {n}"));
        let note = from.into_iter().chain(trace.problem).reduce(|all, one| format!("{all}; {one}"));
        Ok(Learned { fitted: fitted?, curve: trace.curve, before: trace.before, note })
    }
}

impl<'a> Keeping<'a> {
    fn trace(self, branch: usize) -> Trace<'a> {
        Trace {
            keeping: self,
            key: key(self.cell, branch),
            clock: Stopwatch::start(),
            cpu: self.machine.cpu(),
            before: Saved::default(),
            curve: Vec::new(),
            last: (Seconds(0.0), Seconds(0.0)),
            problem: None,
        }
    }
}

impl Trace<'_> {
    fn hear(&mut self, epoch: Epoch<'_>, watch: &mut Watch<'_>) -> std::ops::ControlFlow<()> {
        self.curve.push(EpochLoss { epoch: epoch.number, loss: epoch.loss });
        if let Some(state) = epoch.state.filter(|_| self.is_due()) {
            self.leave(&state());
        }
        watch.epoch(epoch)
    }

    fn is_due(&self) -> bool {
        let (written, took) = self.last;
        let pause = self.keeping.states.every().0.max(PATIENCE * took.0);
        self.problem.is_none() && self.clock.elapsed().0 - written.0 >= pause
    }

    fn leave(&mut self, state: &[u8]) {
        let began = self.clock.elapsed();
        let head = Head {
            wall: self.before.wall.0 + began.0,
            cpu: self.before.cpu.0 + (self.keeping.machine.cpu().0 - self.cpu.0).max(0.0),
            curve: self.curve.iter().map(|point| (point.epoch, point.loss.to_bits())).collect(),
        };
        if let Err(problem) = self.keeping.states.put(&self.key, &head.with(state)) {
            self.problem = Some(format!("no more states of its training were kept: {problem}"));
        }
        let now = self.clock.elapsed();
        self.last = (now, Seconds(now.0 - began.0));
    }
}

#[cfg(test)]
mod tests;
