//! What can be wrong before anything runs.

use crate::experiment::Problem;
use thiserror::Error;

/// Why an experiment cannot be read or planned.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum RunnerError {
    /// The file has problems; all of them.
    #[error("{name}: {}{}", count(.problems.len()), listed(.problems))]
    Experiment {
        /// The experiment's name or path.
        name: String,
        /// What is wrong, in the order of the text.
        problems: Vec<Problem>,
    },
    /// A pipeline that the experiment does not have.
    #[error("{experiment}: {problem}")]
    UnknownPipeline {
        /// The experiment's name.
        experiment: String,
        /// The name and what may have been meant.
        problem: String,
    },
    /// A number of the command line that is out of range.
    #[error("--{key}: expected a whole number from 1 to {most}, found {found}")]
    BadOverride {
        /// The flag.
        key: &'static str,
        /// The greatest allowed.
        most: usize,
        /// The number given.
        found: usize,
    },
    /// More work than anybody can mean.
    #[error("{pipelines} pipelines × {seeds} seeds × {sizes} training sizes are more than {most} cells")]
    TooManyCells {
        /// Pipelines.
        pipelines: usize,
        /// Seeds.
        seeds: usize,
        /// Training sizes.
        sizes: usize,
        /// Cells at most.
        most: usize,
    },
    /// A shard that is none.
    #[error("--shard: expected I/N with 1 ≤ I ≤ N ≤ 100000, say 2/8, found {found:?}")]
    BadShard {
        /// What was given.
        found: String,
    },
    /// A dataset without images in a part that needs them.
    #[error("dataset {dataset}: its {part} part has no images")]
    EmptyPart {
        /// The dataset.
        dataset: String,
        /// Which part.
        part: &'static str,
    },
}

fn count(n: usize) -> String {
    if n == 1 { "1 problem".to_owned() } else { format!("{n} problems") }
}

fn listed(problems: &[Problem]) -> String {
    let lines: Vec<String> = problems.iter().map(|problem| format!("\n  {problem}")).collect();
    lines.concat()
}
