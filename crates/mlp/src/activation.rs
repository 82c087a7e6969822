//! Activations φ (the lecture's C3, and GELU) and their derivatives, written in terms of the value a = φ(z) where that is
//! possible, so that a layer keeps one array instead of two. All are plain loops over slices: whoever calls them chooses
//! the vectors.

use bakeoff_numeric::Element;
use bakeoff_numeric::element::vectorised;
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
    /// z Φ(z), Φ the normal distribution's function (Hendrycks, Gimpel 2016), by erf and not by the tanh approximation.
    Gelu,
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
    /// z Φ(z).
    Gelu,
}

impl Activation {
    /// The gain g² by which an initialisation's variance is multiplied, so that a layer keeps its input's size: 2 for the
    /// rectifiers (2 / (1 + slope²) for a leaky one) and 25/9 for tanh, as in PyTorch; 1 for sigmoid and identity.
    pub fn squared_gain(self) -> f64 {
        match self {
            Self::Identity | Self::Sigmoid => 1.0,
            Self::Tanh => 25.0 / 9.0,
            Self::Relu | Self::Softplus | Self::Elu { .. } | Self::Gelu => 2.0,
            Self::LeakyRelu { slope } => 2.0 / (1.0 + slope * slope),
        }
    }

    /// Whether it is one of the rectifiers, whose variance He's initialisation keeps.
    pub fn is_rectifier(self) -> bool {
        !matches!(self, Self::Identity | Self::Sigmoid | Self::Tanh)
    }

    /// Whether its derivative cannot be told from its value: GELU falls before it rises.
    pub fn needs_input(self) -> bool {
        matches!(self, Self::Gelu)
    }

    /// a ← φ(a + b), row by row: `a` is (rows, b.len()) row-major.
    ///
    /// # Panics
    /// When `a` is no whole number of rows.
    pub fn apply<T: Element>(self, a: &mut [T], bias: &[T]) {
        if bias.is_empty() {
            return;
        }
        assert_eq!(a.len() % bias.len(), 0, "whole rows of {}", bias.len());
        vectorised(|| {
            for row in a.chunks_exact_mut(bias.len()) {
                row.iter_mut().zip(bias).for_each(|(a, &b)| *a += b);
                self.value(row);
            }
        });
    }

    /// z ← φ(z).
    #[inline(always)]
    pub fn value<T: Element>(self, z: &mut [T]) {
        let (zero, one) = (T::zero(), T::one());
        match self {
            Self::Identity => {}
            Self::Sigmoid => each(z, |z| one / (one + (-z).exp())),
            Self::Tanh => each(z, T::tanh),
            // A comparison the other way round would turn NaN into 0 and hide a diverged network.
            Self::Relu => each(z, |z| if z < zero { zero } else { z }),
            Self::LeakyRelu { slope } => {
                let slope = T::of(slope);
                each(z, |z| if z < zero { slope * z } else { z });
            }
            // log(1 + e^z) = max(z, 0) + log(1 + e^{−|z|}) does not overflow; `max` would hide NaN.
            Self::Softplus => each(z, |z| if z < zero { zero } else { z } + (-z.abs()).exp().ln_1p()),
            Self::Elu { alpha } => {
                let alpha = T::of(alpha);
                each(z, |z| if z < zero { alpha * z.exp_m1() } else { z });
            }
            Self::Gelu => each(z, |z| z * normal(z)),
        }
    }

    /// delta ← delta · φ'(z), with a = φ(z); only GELU looks at z. At the corner of a rectifier the derivative is that of
    /// the left side.
    ///
    /// # Panics
    /// When the slices have different lengths (z may be empty where it is not needed).
    #[inline(always)]
    pub fn slope<T: Element>(self, delta: &mut [T], a: &[T], z: &[T]) {
        assert_eq!(delta.len(), a.len(), "derivatives and activations");
        let (zero, one) = (T::zero(), T::one());
        match self {
            Self::Identity => {}
            Self::Sigmoid => multiply(delta, a, |a| a * (one - a)),
            Self::Tanh => multiply(delta, a, |a| one - a * a),
            Self::Relu => multiply(delta, a, |a| if a > zero { one } else { zero }),
            Self::LeakyRelu { slope } => {
                let slope = T::of(slope);
                multiply(delta, a, |a| if a > zero { one } else { slope });
            }
            // φ'(z) = 1 / (1 + e^{−z}) = 1 − e^{−a}.
            Self::Softplus => multiply(delta, a, |a| -(-a).exp_m1()),
            Self::Elu { alpha } => {
                let alpha = T::of(alpha);
                multiply(delta, a, |a| if a > zero { one } else { a + alpha });
            }
            Self::Gelu => {
                assert_eq!(delta.len(), z.len(), "derivatives and inputs");
                let density = |z: T| T::of(0.398_942_280_401_432_7) * (-T::of(0.5) * z * z).exp();
                // Φ(z) = a / z saves the second erf.
                let derivative = |a: T, z: T| if z == zero { T::of(0.5) } else { a / z } + z * density(z);
                delta.iter_mut().zip(a).zip(z).for_each(|((d, &a), &z)| *d *= derivative(a, z));
            }
        }
    }
}

/// Φ(z) = erfc(−z / √2) / 2: by erfc, because 1 + erf loses all digits for z far below 0.
fn normal<T: Element>(z: T) -> T {
    T::of(0.5 * libm::erfc(-z.wide() * std::f64::consts::FRAC_1_SQRT_2))
}

#[inline(always)]
fn each<T: Element>(z: &mut [T], phi: impl Fn(T) -> T) {
    z.iter_mut().for_each(|z| *z = phi(*z));
}

#[inline(always)]
fn multiply<T: Element>(delta: &mut [T], a: &[T], derivative: impl Fn(T) -> T) {
    delta.iter_mut().zip(a).for_each(|(d, &a)| *d *= derivative(a));
}

#[cfg(test)]
mod tests {
    use super::*;

    pub(crate) const ALL: [Activation; 8] = [
        Activation::Identity,
        Activation::Sigmoid,
        Activation::Tanh,
        Activation::Relu,
        Activation::LeakyRelu { slope: 0.2 },
        Activation::Softplus,
        Activation::Elu { alpha: 1.5 },
        Activation::Gelu,
    ];

    fn value(activation: Activation, z: f64) -> f64 {
        let mut a = [z];
        activation.apply(&mut a, &[0.0]);
        a[0]
    }

    #[test]
    fn values_from_the_definitions() {
        let e = std::f64::consts::E;
        let expected = [
            -1.0,
            1.0 / (1.0 + e),
            (-1f64).tanh(),
            0.0,
            -0.2,
            (1.0 + 1.0 / e).ln(),
            1.5 * (1.0 / e - 1.0),
            -0.158_655_253_931_457_05,
        ];
        for (activation, expected) in ALL.into_iter().zip(expected) {
            assert!((value(activation, -1.0) - expected).abs() < 1e-15, "{activation:?}");
        }
    }

    #[test]
    fn derivatives_match_central_differences() {
        for activation in ALL {
            for z in [-3.0, -0.4, 1e-3, 0.7, 2.5] {
                let mut delta = [1.0];
                activation.slope(&mut delta, &[value(activation, z)], &[z]);
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
