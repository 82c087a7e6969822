//! Everything that an experiment can name, from the crates that have it. Only this crate knows them all.
//!
//! Catalogues are statics, and only pointed at here: copied into a constant, every reader of settings would be compiled again.

use bakeoff_core::{Classifier, Entry, Extractor};
use bakeoff_runner::Catalogues;

/// Features.
pub(crate) const EXTRACTORS: &[&[Entry<dyn Extractor>]] = &[&bakeoff_features::CATALOGUE];

/// Classifiers.
pub(crate) const CLASSIFIERS: &[&[Entry<dyn Classifier>]] =
    &[&bakeoff_linear::CATALOGUE, &bakeoff_neighbors::CATALOGUE, &bakeoff_mlp::CATALOGUE];

/// All of them, for the runner.
pub(crate) const CATALOGUES: Catalogues<'static> = Catalogues { extractors: EXTRACTORS, classifiers: CLASSIFIERS };
