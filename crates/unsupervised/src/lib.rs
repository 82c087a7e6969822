//! What is learned from vectors without labels: clusters, mixtures, principal components, codes.
//!
//! Legend: n rows, d columns, k centres or components. Everything that is learned is the same bits on any number of
//! threads, and what is applied to a row does not depend on the rows beside it.

mod distance;
mod error;
pub mod gmm;
pub mod kmeans;
pub mod quantiser;
pub mod reduction;
mod rows;

pub use error::UnsupervisedError;
pub use gmm::{Gmm, Mixture};
pub use kmeans::{Codebook, Engine, Init, KMeans};
pub use quantiser::{Codes, CodesMut, CodesView, ProductQuantiser, Quantiser};
pub use reduction::{Reducer, Reduction};
