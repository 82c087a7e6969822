//! The experiment as meant: defaults filled in, cells expanded, digests made.

use crate::Catalogues;
use crate::canonical;
use crate::error::RunnerError;
use crate::experiment::Experiment;
use crate::material::Material;
use crate::settings::Pipeline;
use bakeoff_results::{Cell, Host, Run};
use serde_json::json;
use std::collections::BTreeSet;

/// Cells at most.
const MOST_CELLS: usize = 100_000;

/// Part of every cell's digest. Raised when the same settings come to mean another computation, so that a run which an
/// older version began is not continued with other numbers.
const PROCEDURE: u32 = 1;

/// What is to be computed.
#[derive(Debug, Clone, PartialEq)]
pub struct Plan {
    /// The experiment as written.
    pub experiment: Experiment,
    /// The experiment as meant, as canonical JSON, with the digest of its data.
    pub as_meant: String,
    /// SHA-256 of `as_meant`: what identifies the experiment.
    pub digest: String,
    sizes: Vec<Size>,
    /// What the cells of each pipeline share.
    meant: Vec<Meant>,
    /// The cells, each by its number among all seeds × sizes × pipelines, counted in this order. All else is made of it when it is asked
    /// for: the process of every cell is a copy of the one that holds the plan, which takes the longer the more memory
    /// there is to copy, and a grid has a hundred thousand cells.
    numbers: Vec<u32>,
}

/// A cell of a plan.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PlannedCell {
    /// What the store knows it by.
    pub cell: Cell,
    /// Position of its pipeline in the experiment.
    pub pipeline: usize,
    /// Whether every seed would give the same result.
    pub deterministic: bool,
    /// Whether its model is kept: one cell a pipeline, of the first seed and the greatest training size.
    pub is_stored: bool,
    /// What the reader must know.
    pub note: Option<String>,
}

/// A training size as meant.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Size {
    /// `None` means all.
    asked: Option<usize>,
    note: Option<String>,
}

impl Plan {
    /// Expands an experiment over its data.
    ///
    /// # Errors
    /// [`RunnerError::TooManyCells`].
    pub fn new(experiment: Experiment, material: &Material, catalogues: Catalogues<'_>) -> Result<Self, RunnerError> {
        let sizes = sizes(&experiment.train_sizes, material.n_train());
        check_count(&experiment, sizes.len())?;
        let as_meant = experiment.meant(material, catalogues);
        let digest = canonical::sha256(&as_meant);
        let meant: Vec<_> =
            experiment.pipelines.iter().map(|p| Meant::of(p, &experiment, material, catalogues)).collect();
        let all = (experiment.seeds * sizes.len() * meant.len()) as u32;
        let mut plan = Self { experiment, as_meant, digest, sizes, meant, numbers: Vec::new() };
        // Where nothing is left to chance, the first seed's cell stands for all.
        let is_one = |&number: &u32| {
            let (seed, size, pipeline) = plan.place(number);
            seed == 0 || !plan.is_deterministic(pipeline, size)
        };
        plan.numbers = (0..all).filter(is_one).collect();
        plan.numbers.shrink_to_fit();
        Ok(plan)
    }

    /// All cells, in the order of work: pipelines take turns within a seed, so that what slows the machine for a while
    /// slows all of them.
    pub fn cells(&self) -> impl ExactSizeIterator<Item = PlannedCell> {
        self.numbers.iter().map(|&number| self.numbered(number))
    }

    /// The cell at a position of this order; `None` where there is none.
    pub fn cell(&self, position: usize) -> Option<PlannedCell> {
        self.numbers.get(position).map(|&number| self.numbered(number))
    }

    /// Keeps the cells with these digests only.
    pub fn keep_only(&mut self, digests: &BTreeSet<&str>) {
        let numbers = std::mem::take(&mut self.numbers);
        let is_kept = |number: &u32| digests.contains(self.numbered(*number).cell.digest.as_str());
        self.numbers = numbers.into_iter().filter(is_kept).collect();
    }

    /// (seed, position of the size, position of the pipeline) of a cell's number.
    fn place(&self, number: u32) -> (u64, usize, usize) {
        let (rest, pipeline) = (number as usize / self.meant.len(), number as usize % self.meant.len());
        ((rest / self.sizes.len()) as u64, rest % self.sizes.len(), pipeline)
    }

    /// Whether a pipeline leaves nothing to chance at this size: a subset is drawn by seed, so only with the whole training part.
    fn is_deterministic(&self, pipeline: usize, size: usize) -> bool {
        self.meant[pipeline].steady && self.sizes[size].asked.is_none()
    }

    fn numbered(&self, number: u32) -> PlannedCell {
        let (seed, position, pipeline) = self.place(number);
        let size = &self.sizes[position];
        let cell = Cell {
            pipeline: self.experiment.pipelines[pipeline].name.clone(),
            seed,
            train_size: size.asked,
            digest: self.meant[pipeline].digest(seed, size.asked),
        };
        let greatest = (0..self.sizes.len()).max_by_key(|&i| self.sizes[i].asked.unwrap_or(usize::MAX)).unwrap_or(0);
        PlannedCell {
            cell,
            pipeline,
            deterministic: self.is_deterministic(pipeline, position),
            is_stored: seed == 0 && position == greatest,
            note: size.note.clone(),
        }
    }

    /// The run's record for the store.
    pub fn record(&self, material: &Material, host: Host) -> Run {
        let experiment = &self.experiment;
        Run {
            name: experiment.name.clone(),
            question: experiment.question.clone(),
            as_written: experiment.as_written.clone(),
            as_meant: self.as_meant.clone(),
            digest: self.digest.clone(),
            dataset: material.record(),
            host,
            pipelines: experiment.pipelines.iter().map(|p| p.name.clone()).collect(),
            comparisons: experiment.comparisons.clone(),
            confidence: experiment.protocol.confidence,
            equivalence: experiment.protocol.equivalence,
            noise: None,
        }
    }
}

/// The sizes to go through; those that are not below n are all of it, once.
fn sizes(asked: &[usize], n: usize) -> Vec<Size> {
    let mut sizes: Vec<Size> = Vec::new();
    for &size in asked {
        if size < n {
            sizes.push(Size { asked: Some(size), note: None });
        } else if !sizes.iter().any(|other| other.asked.is_none()) {
            let note = (size > n).then(|| format!("{size} training images were asked for, {n} are there"));
            sizes.push(Size { asked: None, note });
        }
    }
    if sizes.is_empty() {
        sizes.push(Size { asked: None, note: None });
    }
    sizes
}

fn check_count(experiment: &Experiment, sizes: usize) -> Result<(), RunnerError> {
    let (pipelines, seeds) = (experiment.pipelines.len(), experiment.seeds);
    match pipelines.checked_mul(seeds).and_then(|n| n.checked_mul(sizes)) {
        Some(cells) if cells <= MOST_CELLS => Ok(()),
        _ => Err(RunnerError::TooManyCells { pipelines, seeds, sizes, most: MOST_CELLS }),
    }
}

/// What every cell of a pipeline shares.
#[derive(Debug, Clone, PartialEq)]
struct Meant {
    /// Whether the seed does not matter when nothing is drawn.
    steady: bool,
    /// Everything that decides the result but the seed and the size.
    shared: serde_json::Value,
}

impl Meant {
    fn of(pipeline: &Pipeline, experiment: &Experiment, material: &Material, catalogues: Catalogues<'_>) -> Self {
        let shared = json!({
            "procedure": PROCEDURE,
            "dataset_sha256": material.sha256(),
            "pipeline": pipeline.meant(catalogues),
            "protocol": deciding(experiment, pipeline),
        });
        Self { steady: pipeline.is_deterministic(catalogues), shared }
    }

    /// What the store knows the cell of a seed and size by.
    fn digest(&self, seed: u64, size: Option<usize>) -> String {
        let mut meant = self.shared.clone();
        meant["seed"] = json!(seed);
        meant["train_size"] = json!(size);
        canonical::sha256(&canonical::text(&meant))
    }
}

/// The parts of the protocol that decide what a pipeline predicts: those of selection, when there is something to
/// select. Intervals and margins are computed afterwards.
fn deciding(experiment: &Experiment, pipeline: &Pipeline) -> serde_json::Value {
    if pipeline.search.is_empty() {
        return serde_json::Value::Null;
    }
    json!({"validation": experiment.protocol.validation, "tuning": experiment.protocol.tuning.meant()})
}

#[cfg(test)]
mod tests;
