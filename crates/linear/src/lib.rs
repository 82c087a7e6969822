//! Linear classifiers s = W x + b (the lecture's A1): softmax and support vector machines.

pub mod averaged;
mod descent;
mod machine;
mod objective;
mod precondition;
pub mod softmax;
pub mod svm;

use bakeoff_core::{Classifier, Entry};

pub use averaged::{OneVsAll, OneVsAllLoss};
pub use descent::Descent;
pub use machine::{LinearModel, Solver};
pub use objective::{Objective, Source};
pub use softmax::Softmax;
pub use svm::{Svm, SvmLoss};

/// Every linear classifier that an experiment file can name.
pub const CATALOGUE: &[Entry<dyn Classifier>] =
    &[Entry::classifier::<Softmax>(), Entry::classifier::<Svm>(), Entry::classifier::<OneVsAll>()];
