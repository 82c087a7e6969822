//! Matrix products, losses, optimisers and scalers on ndarray views.

pub mod scale;

pub use scale::{Scaler, Scaling};
