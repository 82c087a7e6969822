//! Why something could not be learned.

use thiserror::Error;

/// Why something could not be learned from these rows.
#[derive(Debug, Error, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum UnsupervisedError {
    /// There are fewer rows than the settings ask for.
    #[error("{what} needs at least {needed} rows, found {found}")]
    TooFewRows {
        /// What asks for them.
        what: String,
        /// Rows it needs.
        needed: usize,
        /// Rows there are.
        found: usize,
    },
    /// The rows have no columns.
    #[error("the rows have no columns")]
    NoColumns,
    /// A value is NaN or infinite.
    #[error("row {row} holds a value that is not finite")]
    NotFinite {
        /// The first such row, from 0.
        row: usize,
    },
    /// More dimensions are asked for than the rows have.
    #[error("{asked} dimensions are asked for, {found} are there ({why})")]
    TooManyDimensions {
        /// Dimensions the settings ask for.
        asked: usize,
        /// Dimensions the rows can give.
        found: usize,
        /// What limits them.
        why: String,
    },
    /// The settings do not fit each other or these rows; a reason a person can act on.
    #[error("{reason}")]
    Refused {
        /// What does not fit and what would.
        reason: String,
    },
    /// The values became too great for their type on the way.
    #[error("the {what} stopped being finite: scaled rows may help")]
    Diverged {
        /// What was being computed.
        what: &'static str,
    },
}

impl UnsupervisedError {
    /// A refusal with its reason.
    pub(crate) fn refused(reason: impl Into<String>) -> Self {
        Self::Refused { reason: reason.into() }
    }
}
