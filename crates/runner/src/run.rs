//! Working through a plan, one cell after the other.

use crate::Catalogues;
use crate::cache::FeatureCache;
use crate::cell;
use crate::machine::Machine;
use crate::material::Material;
use crate::observer::{Alike, Event, Observer};
use crate::plan::Plan;
use crate::shard::Shard;
use crate::states::{self, States};
use crate::stored::StoredPipeline;
use bakeoff_results::{Cell, Outcome, Row};
use std::collections::BTreeSet;
use std::sync::atomic::{AtomicBool, Ordering};

/// What cells are worked on with.
#[derive(Clone, Copy)]
pub struct Bench<'a> {
    /// The algorithms.
    pub catalogues: Catalogues<'a>,
    /// The data.
    pub material: &'a Material,
    /// The machine.
    pub machine: &'a dyn Machine,
    /// Where features are kept between cells and runs.
    pub cache: Option<&'a dyn FeatureCache>,
    /// Where states of trainings are kept until their cell is finished.
    pub states: Option<&'a dyn States>,
    /// Bytes that a model may have to be kept; 0 keeps none.
    pub most_model_bytes: usize,
    /// Set when the user wants to stop.
    pub stop: &'a AtomicBool,
}

/// The work of a cell: what came of it, and its fitted pipeline where the model is kept; `None` when the user wants to stop.
pub type Work<'a> = dyn FnMut(&mut dyn Observer) -> Option<(Outcome, Option<StoredPipeline>)> + 'a;

/// Where cells are worked on: here, or each in a process of its own.
pub trait Workshop<E> {
    /// Has a cell worked on. A workshop that keeps models itself gives none back.
    ///
    /// # Errors
    /// When nothing can be said of the cell and the run has to end.
    fn work(&mut self, cell: &Cell, work: &mut Work<'_>, observer: &mut dyn Observer) -> Result<Worked, E>;
}

/// What a [`Workshop`] gives back; `None` when the user wants to stop.
pub type Worked = Option<(Outcome, Option<StoredPipeline>)>;

/// The workshop of this process.
#[derive(Debug, Clone, Copy)]
pub struct Here;

impl<E> Workshop<E> for Here {
    fn work(&mut self, _cell: &Cell, work: &mut Work<'_>, observer: &mut dyn Observer) -> Result<Worked, E> {
        Ok(work(observer))
    }
}

/// Keeps a row, and the fitted pipeline where its model is kept.
pub type Keep<'a, E> = dyn FnMut(&Row, Option<StoredPipeline>) -> Result<(), E> + 'a;

/// How a run ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ended {
    /// Every cell of the shard has its row.
    Complete,
    /// The user stopped it; finished cells are kept.
    Interrupted,
}

/// Works through the cells of a shard that are not among the `finished` digests and hands each row to `keep` as soon as
/// there is one, with the fitted pipeline where its model is kept.
///
/// # Errors
/// What `keep` or the workshop says; the run ends there.
pub fn run<E>(
    plan: &Plan,
    shard: Shard,
    finished: BTreeSet<String>,
    bench: &Bench<'_>,
    workshop: &mut dyn Workshop<E>,
    observer: &mut dyn Observer,
    keep: &mut Keep<'_, E>,
) -> Result<Ended, E> {
    let left = left(plan, shard, finished, observer);
    for planned in left.into_iter().filter_map(|position| plan.cell(position as usize)) {
        if bench.stop.load(Ordering::Relaxed) {
            return Ok(Ended::Interrupted);
        }
        observer.tell(Event::CellStarted { cell: &planned.cell });
        let mut work = |observer: &mut dyn Observer| cell::outcome(&planned, &plan.experiment, bench, observer);
        let Some((outcome, stored)) = workshop.work(&planned.cell, &mut work, observer)? else {
            return Ok(Ended::Interrupted);
        };
        let row = Row { cell: planned.cell.clone(), outcome };
        keep(&row, stored)?;
        if let Some(states) = bench.states {
            let branches = plan.experiment.pipelines[planned.pipeline].settings.branches.len();
            (0..branches).for_each(|branch| states.forget(&states::key(&planned.cell.digest, branch)));
        }
        observer.tell(Event::CellFinished { row: &row });
    }
    Ok(Ended::Complete)
}

/// Positions of the cells that are still to do, which the observer is told of. The digests of the others go: the processes of cells
/// are copies of this one.
fn left(plan: &Plan, shard: Shard, finished: BTreeSet<String>, observer: &mut dyn Observer) -> Vec<u32> {
    let (mut left, mut done, mut todo) = (Vec::new(), 0, Alike::new());
    for (position, planned) in plan.cells().enumerate().filter(|(position, _)| shard.takes(*position)) {
        let Cell { pipeline, train_size, digest, .. } = planned.cell;
        if finished.contains(&digest) {
            done += 1;
        } else {
            left.push(position as u32);
            *todo.entry((pipeline, train_size)).or_default() += 1;
        }
    }
    observer.tell(Event::Planned { finished: done, todo: &todo });
    left
}

#[cfg(test)]
mod tests;
