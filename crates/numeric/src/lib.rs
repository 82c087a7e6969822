//! Matrix products, losses, optimisers and scalers on ndarray views.

pub mod awake;
pub mod cholesky;
pub mod element;
pub mod exp;
pub mod gradcheck;
pub mod lbfgs;
pub mod loss;
pub mod matmul;
pub mod narrow;
pub mod optim;
pub mod optimiser;
pub mod packed;
pub mod panels;
pub mod pieces;
pub mod scale;
pub mod sparse;
mod tiles;

pub use awake::keep_awake;
pub use cholesky::{inverse_cholesky, inverse_lower};
pub use element::Element;
pub use exp::exp_below_zero;
pub use lbfgs::Lbfgs;
pub use loss::Loss;
pub use matmul::{matmul, matmul_add_here, matmul_here, score_rows, score_rows_by};
pub use narrow::Narrow;
pub use optim::{Schedule, Sgd};
pub use optimiser::{Optimiser, Rule, Step};
pub use packed::Packed;
pub use panels::Panels;
pub use pieces::{Pieces, Precision};
pub use scale::{Scaler, Scaling};
pub use sparse::Nonzeros;
