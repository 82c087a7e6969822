//! Multilayer perceptrons of any depth (the lecture's C1): s = W_L φ(… φ(W_1 x + b_1) …) + b_L.

pub mod activation;
pub mod network;
mod stored;
mod train;

use bakeoff_core::{Classifier, Entry};

pub use activation::{Activation, ActivationName};
pub use network::{Gradient, Initialisation, Layer, Network, Workspace};
pub use train::{Mlp, MlpLoss};

/// Every network that an experiment file can name.
pub const CATALOGUE: &[Entry<dyn Classifier>] = &[Entry::classifier::<Mlp>()];
