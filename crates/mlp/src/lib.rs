//! Multilayer perceptrons.

pub mod activation;
mod layer_norm;
pub mod network;
mod parameter;
pub mod trainer;
mod unit;

pub use activation::{Activation, ActivationName};
pub use network::{Affine, BatchNorm, Blocks, Dense, Initialisation, LayerNorm, Network, Residual, Shape, Stage};
pub use trainer::{Targets, Trainer};
