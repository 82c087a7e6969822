//! What can go wrong in a demonstration.

use bakeoff_core::{ExtractError, FitError, LoadError, RestoreError};
use bakeoff_unsupervised::UnsupervisedError;
use thiserror::Error;

/// Why a page could not be made.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum LabError {
    /// A classifier could not learn.
    #[error("a classifier could not be fitted")]
    Fit(#[from] FitError),
    /// Features could not be made.
    #[error("features could not be fitted")]
    Extract(#[from] ExtractError),
    /// What was learned could not be read.
    #[error("a model could not be read")]
    Restore(#[from] RestoreError),
    /// Clusters or codes could not be learned.
    #[error("clusters or codes could not be learned")]
    Unsupervised(#[from] UnsupervisedError),
    /// Images could not be made or read.
    #[error("images could not be loaded")]
    Load(#[from] LoadError),
    /// The numbers could not be written.
    #[error("the numbers do not fit into JSON")]
    Json(#[from] serde_json::Error),
    /// A curve that is none; a reason a person can act on.
    #[error("curve {text:?}: {reason}")]
    Curve {
        /// As it was typed.
        text: String,
        /// What is wrong and what would be right.
        reason: String,
    },
    /// The built-in experiment that a demonstration computes with is not what it should be.
    #[error("a built-in experiment could not be read")]
    Experiment(#[from] toml::de::Error),
    /// What a demonstration needs is not there; a bug, told and not hidden.
    #[error("{what}")]
    Missing {
        /// What and where.
        what: &'static str,
    },
}
