//! Exact k-nearest neighbours (the lecture's A6).

mod knn;
mod search;

use bakeoff_core::{Classifier, Entry};

pub use knn::{Distance, Knn};
pub use search::Index;

/// Every neighbour classifier that an experiment file can name.
pub const CATALOGUE: &[Entry<dyn Classifier>] = &[Entry::classifier::<Knn>()];
