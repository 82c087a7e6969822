//! What can be wrong with a stored pipeline.

use thiserror::Error;

/// Why bytes are no stored pipeline, or a pipeline cannot be written in a format.
#[derive(Debug, Error, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum InterchangeError {
    /// The bytes are not what the format says.
    #[error("expected {expected}, found {found}")]
    Malformed {
        /// What the format asks for.
        expected: String,
        /// What is there.
        found: String,
    },
    /// The card is there and makes no sense.
    #[error("the card of the model: {problem}")]
    Card {
        /// What was expected and what was found.
        problem: String,
    },
    /// The file was written by a program with other conventions.
    #[error("the model has format {found}, this program reads format {known}: write it again with this version")]
    Version {
        /// The format of the file.
        found: u64,
        /// The format that is read.
        known: u64,
    },
    /// The pipeline has no form in the format; a reason a person can act on.
    #[error("{reason}")]
    Refused {
        /// Which parts and why.
        reason: String,
    },
}

impl InterchangeError {
    pub(crate) fn malformed(expected: impl Into<String>, found: impl Into<String>) -> Self {
        Self::Malformed { expected: expected.into(), found: found.into() }
    }

    pub(crate) fn card(problem: impl Into<String>) -> Self {
        Self::Card { problem: problem.into() }
    }

    pub(crate) fn refused(reason: impl Into<String>) -> Self {
        Self::Refused { reason: reason.into() }
    }
}
