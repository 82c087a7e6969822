//! Ranges as types, so that a recipe's fields say what they allow and no recipe validates by hand.

use serde::{Deserialize, Serialize};

macro_rules! ranged {
    ($(#[$doc:meta])* $name:ident, $test:expr, $range:literal) => {
        $(#[$doc])*
        #[derive(Debug, Clone, Copy, PartialEq, PartialOrd, Serialize, Deserialize)]
        #[serde(try_from = "f64", into = "f64")]
        pub struct $name(f64);

        impl $name {
            /// Takes a number of the range.
            ///
            /// # Errors
            /// A message that names the range and the number found.
            pub fn new(value: f64) -> Result<Self, String> {
                let inside: fn(f64) -> bool = $test;
                if inside(value) { Ok(Self(value)) } else { Err(format!(concat!("expected ", $range, ", found {}"), value)) }
            }

            /// The number.
            pub const fn get(self) -> f64 {
                self.0
            }

            /// A number known at compile time.
            ///
            /// # Panics
            /// At compile time, when used in a const and the number is outside the range of finite floats.
            pub const fn literal(value: f64) -> Self {
                assert!(value >= 0.0 && value < f64::INFINITY, "a literal must be finite and not negative");
                Self(value)
            }
        }

        impl TryFrom<f64> for $name {
            type Error = String;
            fn try_from(value: f64) -> Result<Self, String> {
                Self::new(value)
            }
        }

        impl From<$name> for f64 {
            fn from(value: $name) -> f64 {
                value.0
            }
        }
    };
}

ranged!(
    /// A finite number above 0.
    Positive, |v| v > 0.0 && v.is_finite(), "a finite number above 0"
);
ranged!(
    /// A finite number, 0 or above.
    NonNegative, |v| v >= 0.0 && v.is_finite(), "a finite number, 0 or above"
);
ranged!(
    /// A number from 0 up to, not including, 1: a share, a momentum.
    Fraction, |v| (0.0..1.0).contains(&v), "a number from 0 up to, not including, 1"
);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_outside_the_range_are_refused_with_both() {
        assert_eq!(Positive::new(f64::NAN).unwrap_err(), "expected a finite number above 0, found NaN");
        assert!(Positive::new(f64::INFINITY).is_err() && Positive::new(0.0).is_err());
        assert!(NonNegative::new(-1e-300).is_err() && NonNegative::new(0.0).is_ok());
        assert!(Fraction::new(1.0).is_err() && Fraction::new(0.0).is_ok());
    }
}
