//! Classifiers.

use bakeoff_core::{Classifier, Entry};

/// Every classifier of this crate that an experiment file can name.
pub const CATALOGUE: &[Entry<dyn Classifier>] = &[];
