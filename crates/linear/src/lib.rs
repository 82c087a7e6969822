//! Linear classifiers s = W x + b (the lecture's A1): softmax and support vector machines.
//!
//! `cargo bench -p bakeoff-benches --bench shares` prints how near the loss and gradient of a solver, scores and averaged SGD come
//! to the peak of multiply-adds or the bandwidth of the machine that it runs on.
//!
//! On one thread of a Zen 4 (118 GFLOP/s, 30.9 GB/s, 3.69 GHz), medians of nine turns:
//!
//! | kernel | ms | of the limit |
//! |---|---|---|
//! | loss and gradient of a solver, 4000×3200, 10 classes | 8.36 | 52% of the peak of multiply-adds |
//! | scores, 4000×3200, 10 classes | 6.06 | 36% of the peak of multiply-adds |
//! | averaged SGD, 2 epochs, 64×131072, 10 classes | 31.13 | 31% of the bandwidth |

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
pub static CATALOGUE: [Entry<dyn Classifier>; 3] =
    [Entry::classifier::<Softmax>(), Entry::classifier::<Svm>(), Entry::classifier::<OneVsAll>()];
