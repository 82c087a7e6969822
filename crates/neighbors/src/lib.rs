//! Exact k-nearest neighbours (the lecture's A6).
//!
//! Two searches give the same neighbours, those of the plain loop in f64: `search` goes through a matrix product with all
//! training rows; `shadow`, for many L2 queries of many long rows, through one a sixth as large or less, and measures the few
//! rows that are left. Predictions of all test rows, k = 5, two threads of a Zen 4 (`bakeoff run … --pipeline pixels-knn
//! --threads 2`, one turn each):
//!
//! | data | plain | with shadows |
//! |---|---|---|
//! | Fashion-MNIST, 60,000 + 10,000 rows of 784 | 5.34 s | 1.97 s |
//! | CIFAR-10, 50,000 + 10,000 rows of 3072 | 24.3 s | 3.54 s |

mod knn;
mod search;
mod shadow;

use bakeoff_core::{Classifier, Entry};

pub use knn::{Distance, Knn};
pub use search::Index;

/// Every neighbour classifier that an experiment file can name.
pub static CATALOGUE: [Entry<dyn Classifier>; 1] = [Entry::classifier::<Knn>()];
