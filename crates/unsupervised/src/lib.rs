//! What is learned from vectors without labels: clusters, mixtures, principal components, codes.
//!
//! Legend: n rows, d columns, k centres or components. Everything that is learned is the same bits on any number of
//! threads, and what is applied to a row does not depend on the rows beside it.
//!
//! # How near to the machine's limit, and to others
//!
//! `benches/peers/kernels.py` on two cores of a Zen 4 (AVX-512 in halves), two threads each, medians of turns with the peers:
//!
//! | kernel | of the limit | times as fast as |
//! |---|---|---|
//! | k-means, 200,000×108, k = 256, 20 rounds | 53% of the peak of products of bytes | scikit-learn 3.4, faiss 3.2 |
//! | k-means, 400,000×108, k = 1,600, 20 rounds | 74% of the peak of products of bytes | scikit-learn 3.5, faiss 3.2 |
//! | mixture, 50,000×64, 128 components, 5 rounds | 84% of the peak of multiply-adds | scikit-learn in f64 14 |
//!
//! A mixture of 1,024 components of 1,000,000×64, a thousand rows of it a hundred times as far away as the others, takes 11.6 s for
//! 3 rounds, and every parameter is finite.
//!
//! `cargo bench -p bakeoff-benches --bench shares` prints the share of every kernel of this crate, on the machine that it runs on.
//!
//! On one thread of a Zen 4 (118 GFLOP/s, 30.9 GB/s, 3.69 GHz), medians of nine turns:
//!
//! | kernel | ms | of the limit |
//! |---|---|---|
//! | k-means, 5 rounds, 20000×108, k = 256 | 36.42 | 32% of the peak of products of bytes |
//! | k-means, 5 rounds, 10000×108, k = 1600 | 107.87 | 34% of the peak of products of bytes |
//! | nearest centres, 5000×108, k = 1600 | 6.31 | 58% of the peak of products of bytes |
//! | mixture, 2 rounds, 10000×64, k = 256 | 33.18 | 67% of the peak of multiply-adds |
//! | pca, learned from 20000×128 in f64 | 26.62 | 21% of the peak of multiply-adds |
//! | pca, 20000×128 to 64 | 5.64 | 49% of the peak of multiply-adds |
//! | product quantiser, 3 rounds, 512×16384 | 287.44 | 38% of the peak of multiply-adds |
//! | codes of 8 numbers, 512×16384 | 91.64 | 40% of the peak of multiply-adds |
//! | codes back to numbers, 512×16384 | 10.55 | 11% of the bandwidth |

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
