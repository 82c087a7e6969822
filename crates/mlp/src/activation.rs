//! Activations φ (the lecture's C3) and their derivatives, written in terms of the value a = φ(z), so that a layer keeps
//! one array instead of two.

use ndarray::NdFloat;
use pulp::{Simd, WithSimd};
use rayon::prelude::*;
use serde::{Deserialize, Serialize};

/// The name of an activation in experiment files.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum ActivationName {
    /// z: without activation a network of any depth is a linear classifier (the lecture's C4).
    Identity,
    /// 1 / (1 + e^{−z}).
    Sigmoid,
    /// tanh z.
    Tanh,
    /// max(0, z); a good default.
    #[default]
    Relu,
    /// max(slope · z, z).
    LeakyRelu,
    /// log(1 + e^z).
    Softplus,
    /// z above 0, else α (e^z − 1).
    Elu,
}

/// An activation with its numbers.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Activation {
    /// z.
    Identity,
    /// 1 / (1 + e^{−z}).
    Sigmoid,
    /// tanh z.
    Tanh,
    /// max(0, z).
    Relu,
    /// max(slope · z, z), 0 ≤ slope < 1.
    LeakyRelu {
        /// The slope below 0.
        slope: f64,
    },
    /// log(1 + e^z).
    Softplus,
    /// z above 0, else α (e^z − 1).
    Elu {
        /// Minus the limit for z → −∞.
        alpha: f64,
    },
}

/// Numbers a worker handles at a time.
const CHUNK: usize = 1 << 15;

impl Activation {
    /// Whether it is one of the rectifiers, whose variance He's initialisation keeps.
    pub fn is_rectifier(self) -> bool {
        matches!(self, Self::Relu | Self::LeakyRelu { .. } | Self::Elu { .. } | Self::Softplus)
    }

    /// a ← φ(a + b), row by row: `a` is (rows, b.len()) row-major. Bias and activation in one pass over memory.
    ///
    /// # Panics
    /// When `a` is no whole number of rows.
    pub fn apply<T: NdFloat>(self, a: &mut [T], bias: &[T]) {
        let number = |value: f64| T::from(value).unwrap_or_else(T::nan);
        let (zero, one) = (T::zero(), T::one());
        match self {
            Self::Identity => add_bias(a, bias, |z| z),
            Self::Sigmoid => add_bias(a, bias, |z: T| one / (one + (-z).exp())),
            Self::Tanh => add_bias(a, bias, |z: T| z.tanh()),
            // A comparison the other way round would turn NaN into 0 and hide a diverged network.
            Self::Relu => add_bias(a, bias, |z| if z < zero { zero } else { z }),
            Self::LeakyRelu { slope } => {
                let slope = number(slope);
                add_bias(a, bias, |z| if z < zero { slope * z } else { z });
            }
            // log(1 + e^z) = max(z, 0) + log(1 + e^{−|z|}) does not overflow; `max` would hide NaN.
            Self::Softplus => add_bias(a, bias, |z: T| if z < zero { zero } else { z } + (-z.abs()).exp().ln_1p()),
            Self::Elu { alpha } => {
                let alpha = number(alpha);
                add_bias(a, bias, |z: T| if z < zero { alpha * z.exp_m1() } else { z });
            }
        }
    }

    /// delta ← delta · φ'(z), with a = φ(z). At the corner of a rectifier the derivative is that of the left side.
    ///
    /// # Panics
    /// When the slices have different lengths.
    pub fn backward<T: NdFloat>(self, delta: &mut [T], a: &[T]) {
        let number = |value: f64| T::from(value).unwrap_or_else(T::nan);
        let (zero, one) = (T::zero(), T::one());
        match self {
            Self::Identity => {}
            Self::Sigmoid => multiply(delta, a, |a| a * (one - a)),
            Self::Tanh => multiply(delta, a, |a| one - a * a),
            Self::Relu => multiply(delta, a, |a| if a > zero { one } else { zero }),
            Self::LeakyRelu { slope } => {
                let slope = number(slope);
                multiply(delta, a, |a| if a > zero { one } else { slope });
            }
            // φ'(z) = 1 / (1 + e^{−z}) = 1 − e^{−a}.
            Self::Softplus => multiply(delta, a, |a: T| -(-a).exp_m1()),
            Self::Elu { alpha } => {
                let alpha = number(alpha);
                multiply(delta, a, |a| if a > zero { one } else { a + alpha });
            }
        }
    }
}

/// Rows a worker handles at a time when rows have this many numbers.
fn rows_at_a_time(width: usize) -> usize {
    (CHUNK / width.max(1)).max(1)
}

fn add_bias<T: NdFloat>(a: &mut [T], bias: &[T], phi: impl Fn(T) -> T + Sync) {
    if bias.is_empty() {
        return;
    }
    assert_eq!(a.len() % bias.len(), 0, "whole rows of {}", bias.len());
    let phi = &phi;
    a.par_chunks_mut(bias.len() * rows_at_a_time(bias.len()))
        .for_each(|rows| pulp::Arch::new().dispatch(AddBias { rows, bias, phi }));
}

fn multiply<T: NdFloat>(delta: &mut [T], a: &[T], derivative: impl Fn(T) -> T + Sync) {
    assert_eq!(delta.len(), a.len(), "derivatives and activations");
    let derivative = &derivative;
    delta
        .par_chunks_mut(CHUNK)
        .zip(a.par_chunks(CHUNK))
        .for_each(|(delta, a)| pulp::Arch::new().dispatch(Multiply { delta, a, derivative }));
}

/// Whole rows of a layer's output, compiled for each vector width and chosen at run time.
struct AddBias<'a, T, F> {
    rows: &'a mut [T],
    bias: &'a [T],
    phi: &'a F,
}

impl<T: NdFloat, F: Fn(T) -> T> WithSimd for AddBias<'_, T, F> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, _: S) {
        for row in self.rows.chunks_exact_mut(self.bias.len()) {
            for (a, &b) in row.iter_mut().zip(self.bias) {
                *a = (self.phi)(*a + b);
            }
        }
    }
}

/// A part of the derivatives, likewise.
struct Multiply<'a, T, F> {
    delta: &'a mut [T],
    a: &'a [T],
    derivative: &'a F,
}

impl<T: NdFloat, F: Fn(T) -> T> WithSimd for Multiply<'_, T, F> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, _: S) {
        for (d, &a) in self.delta.iter_mut().zip(self.a) {
            *d *= (self.derivative)(a);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    pub(crate) const ALL: [Activation; 7] = [
        Activation::Identity,
        Activation::Sigmoid,
        Activation::Tanh,
        Activation::Relu,
        Activation::LeakyRelu { slope: 0.2 },
        Activation::Softplus,
        Activation::Elu { alpha: 1.5 },
    ];

    fn value(activation: Activation, z: f64) -> f64 {
        let mut a = [z];
        activation.apply(&mut a, &[0.0]);
        a[0]
    }

    #[test]
    fn values_from_the_definitions() {
        let e = std::f64::consts::E;
        let expected = [-1.0, 1.0 / (1.0 + e), (-1f64).tanh(), 0.0, -0.2, (1.0 + 1.0 / e).ln(), 1.5 * (1.0 / e - 1.0)];
        for (activation, expected) in ALL.into_iter().zip(expected) {
            assert!((value(activation, -1.0) - expected).abs() < 1e-15, "{activation:?}");
        }
    }

    #[test]
    fn derivatives_match_central_differences() {
        for activation in ALL {
            for z in [-3.0, -0.4, 0.7, 2.5] {
                let mut delta = [1.0];
                activation.backward(&mut delta, &[value(activation, z)]);
                let numeric = (value(activation, z + 1e-6) - value(activation, z - 1e-6)) / 2e-6;
                assert!((delta[0] - numeric).abs() < 1e-8, "{activation:?} at {z}: {} {numeric}", delta[0]);
            }
        }
    }

    #[test]
    fn large_inputs_neither_overflow_nor_hide_nan() {
        for activation in ALL {
            assert!(value(activation, 1e3).is_finite() && value(activation, -1e3).is_finite(), "{activation:?}");
            assert!(value(activation, f64::NAN).is_nan(), "{activation:?}");
        }
    }

    #[test]
    fn the_bias_is_added_to_each_column() {
        let mut a = [1.0f32, -5.0, 2.0, 7.0];
        Activation::Relu.apply(&mut a, &[10.0, 1.0]);
        assert_eq!(a, [11.0, 0.0, 12.0, 8.0]);
    }
}
