//! What the runner tells while it works.

use bakeoff_core::Epoch;
use bakeoff_results::{Cell, Row};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// Something that happened.
#[derive(Debug, Clone, Copy)]
pub enum Event<'a> {
    /// What is to be done.
    Planned {
        /// Cells that an earlier run has finished.
        finished: usize,
        /// Those that are still to do.
        todo: &'a Alike,
    },
    /// A cell begins.
    CellStarted {
        /// What is to be done.
        cell: &'a Cell,
    },
    /// A cell goes on to its next part.
    Stage(Stage),
    /// A pass over the training rows is done.
    Epoch(Epoch<'a>),
    /// The fit and the scores of a finished cell begin once more, to be timed again.
    Repeating {
        /// The cell.
        cell: &'a Cell,
        /// Which timing it will be, from 1.
        number: usize,
        /// Timings wanted.
        of: usize,
    },
    /// A cell is finished and kept.
    CellFinished {
        /// What came of it.
        row: &'a Row,
    },
}

/// Numbers of cells by what decides how long they take, as far as is known before: the pipeline and the training size.
pub type Alike = BTreeMap<(String, Option<usize>), usize>;

/// The parts of a cell.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Stage {
    /// A tuning trial.
    Trial {
        /// Which, from 1.
        number: usize,
        /// Trials planned.
        of: usize,
    },
    /// Features of the training images.
    Features,
    /// The classifier's fit.
    Fit,
    /// Features and scores of the test images.
    Test,
}

/// Whoever wants to know.
pub trait Observer {
    /// Takes note.
    fn tell(&mut self, event: Event<'_>);
}
