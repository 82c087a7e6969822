//! Multilayer perceptrons of any depth (the lecture's C1): s = W_L φ(… φ(W_1 x + b_1) …) + b_L; with batch norms, dropout
//! and residual blocks where they are asked for.

pub mod activation;
mod budget;
mod layer_norm;
mod mixup;
pub mod network;
mod parameter;
mod scorer;
mod settings;
mod stage;
mod state;
mod train;
pub mod trainer;
mod unit;

use bakeoff_core::{Classifier, Entry};

pub use activation::{Activation, ActivationName};
pub use network::{Affine, BatchNorm, Blocks, Dense, Initialisation, LayerNorm, Network, Residual, Shape, Stage};
pub use scorer::Scorer;
pub use settings::{Mlp, MlpLoss};
pub use trainer::{Targets, Trainer};

/// Every network that an experiment file can name.
pub const CATALOGUE: &[Entry<dyn Classifier>] = &[Entry::classifier::<Mlp>()];
