//! What a fitted part computes, step by step, for exports that other runtimes read.
//!
//! Steps act on rows (n, columns) in f32. Most features and nearest neighbours have no such form, and say so.

use ndarray::{Array1, Array2};

/// One step from rows to rows.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub enum Operation {
    /// Every value by this number.
    Divide(f32),
    /// Less one number a column.
    Subtract(Array1<f32>),
    /// Times one number a column.
    Multiply(Array1<f32>),
    /// x Wᵀ + b.
    Affine {
        /// W (out, in).
        w: Array2<f32>,
        /// b (out).
        b: Array1<f32>,
    },
    /// max(0, z).
    Relu,
    /// z above 0, else slope · z.
    LeakyRelu {
        /// The slope below 0.
        slope: f32,
    },
    /// 1 / (1 + e^{−z}).
    Sigmoid,
    /// tanh z.
    Tanh,
    /// log(1 + e^z).
    Softplus,
    /// z above 0, else α (e^z − 1).
    Elu {
        /// Minus the limit for z → −∞.
        alpha: f32,
    },
    /// z Φ(z), with the normal distribution Φ itself and not its approximation by tanh.
    Gelu,
    /// (x − mean) / √(variance + ε) of each row (variance divided by the count), times scale, plus offset.
    LayerNorm {
        /// One factor a column.
        scale: Array1<f32>,
        /// One summand a column.
        offset: Array1<f32>,
        /// ε.
        epsilon: f32,
    },
    /// x plus what these steps make of x.
    Residual(Vec<Operation>),
}
