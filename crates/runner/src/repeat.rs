//! More timings of finished pipelines, in rounds: each round visits every pipeline once, in the other direction than the round before, so that
//! what slows the machine for a while slows all of them.
//!
//! Each timing is of one fit and one scoring of the test images, with the settings that were chosen, in a process of its own where the workshop
//! makes one, from images in memory, with no pass before it that does not count. A pipeline with as many seeds as timings are
//! wanted needs no repeat, and one whose repeats would take longer than the protocol gives has as many as fit.

use crate::cell;
use crate::observer::{Event, Observer};
use crate::plan::{Plan, PlannedCell};
use crate::run::{Bench, Ended, Workshop};
use crate::settings::Settings;
use crate::tuning::chosen;
use bakeoff_core::Seed;
use bakeoff_results::{Measured, Outcome, Repeat, Row, Seconds};
use std::sync::atomic::Ordering;

/// Keeps a repeat.
pub type KeepRepeat<'a, E> = dyn FnMut(&Repeat) -> Result<(), E> + 'a;

/// Repeats what the rows of a complete run leave to be timed, and hands each timing to `keep` as soon as there is one.
///
/// # Errors
/// What `keep` or the workshop says; it ends there.
pub fn repeat<E>(
    plan: &Plan,
    rows: &[Row],
    bench: &Bench<'_>,
    workshop: &mut dyn Workshop<E>,
    observer: &mut dyn Observer,
    keep: &mut KeepRepeat<'_, E>,
) -> Result<Ended, E> {
    let mut waiting: Vec<_> = plan.cells().filter_map(|planned| Waiting::of(planned, plan, rows)).collect();
    let timing = plan.experiment.protocol.timing;
    while !waiting.is_empty() {
        waiting.retain(|one| one.timings < timing.rounds && one.spent + one.last <= timing.seconds);
        for one in &mut waiting {
            if bench.stop.load(Ordering::Relaxed) {
                return Ok(Ended::Interrupted);
            }
            let cell = &one.planned.cell;
            observer.tell(Event::Repeating { cell, number: one.timings + 1, of: timing.rounds });
            let mut work = |observer: &mut dyn Observer| cell::again(&one.planned, &one.settings, bench, observer);
            let Some((outcome, _)) = workshop.work(cell, &mut work, observer)? else {
                return Ok(Ended::Interrupted);
            };
            match one.repeat(&outcome) {
                Some(repeat) => keep(&repeat)?,
                // What went well once and now does not (a limit of memory, say) is not tried again.
                None => one.timings = usize::MAX,
            }
        }
        waiting.reverse();
    }
    Ok(Ended::Complete)
}

/// A pipeline that may want further timings.
struct Waiting<'a> {
    planned: PlannedCell,
    settings: Settings,
    first: &'a Measured,
    /// Those that there are, of all seeds.
    timings: usize,
    /// Repeats of this cell so far.
    repeats: usize,
    /// Wall seconds of the last timing.
    last: f64,
    /// Of all repeats.
    spent: f64,
}

impl<'a> Waiting<'a> {
    /// The pipeline of this cell, if it is the one that stands for it and was measured.
    fn of(planned: PlannedCell, plan: &Plan, rows: &'a [Row]) -> Option<Self> {
        if !planned.is_stored {
            return None;
        }
        let (cell, experiment) = (&planned.cell, &plan.experiment);
        let same = |row: &&Row| row.cell.pipeline == cell.pipeline && row.cell.train_size == cell.train_size;
        let measured = rows.iter().filter(same).filter_map(|row| Some((&row.cell, done(&row.outcome)?)));
        let timings = measured.clone().map(|(_, measured)| measured.fit.len()).sum();
        let (_, first) = measured.clone().find(|(other, _)| other.digest == cell.digest)?;
        let pipeline = &experiment.pipelines[planned.pipeline];
        let settings = chosen(pipeline, experiment.protocol, &first.trials, Seed(cell.seed))?;
        let spent = (1..first.fit.len()).map(|i| seconds(first, i)).sum();
        let last = seconds(first, first.fit.len().checked_sub(1)?);
        Some(Self { planned, settings, first, timings, repeats: first.fit.len() - 1, last, spent })
    }

    /// Takes the outcome of a repeat in; `None` when there was none.
    fn repeat(&mut self, outcome: &Outcome) -> Option<Repeat> {
        let measured = done(outcome)?;
        self.last = seconds(measured, 0);
        self.spent += self.last;
        (self.timings, self.repeats) = (self.timings + 1, self.repeats + 1);
        let part = |timings: &[Seconds]| timings.first().copied().unwrap_or_default();
        Some(Repeat {
            digest: self.planned.cell.digest.clone(),
            number: self.repeats,
            features: part(&measured.features),
            fit: part(&measured.fit),
            predict: part(&measured.predict),
            same: measured.predicted == self.first.predicted,
        })
    }
}

fn done(outcome: &Outcome) -> Option<&Measured> {
    match outcome {
        Outcome::Done(measured) => Some(measured),
        Outcome::Refused { .. } | Outcome::Failed { .. } => None,
    }
}

/// Wall seconds of all parts of one timing.
fn seconds(measured: &Measured, timing: usize) -> f64 {
    let parts = [&measured.features, &measured.fit, &measured.predict];
    parts.iter().filter_map(|part| part.get(timing)).map(|seconds| seconds.0).sum()
}

#[cfg(test)]
mod tests;
