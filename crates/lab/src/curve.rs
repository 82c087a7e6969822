//! Curves over 0 to 1 that a user can choose: by name, by heights, or by a formula.

mod formula;

use crate::LabError;
use formula::Formula;

/// Curves with a name, and their formulas.
pub const CURVES: &[(&str, &str)] = &[
    ("waves", "0.5 + 0.3*sin(9*x) + 0.15*cos(23*x)"),
    ("hill", "exp(-30*(x - 0.5)^2)"),
    ("ramp", "x"),
    ("chirp", "0.5 + 0.45*sin(25*x^2)"),
];

/// Bytes of a curve at most: what is longer is no curve that somebody typed.
const LONGEST: usize = 400;

/// Places at which a curve is looked at before it is taken.
const CHECKED: usize = 513;

/// A function from 0..=1 to finite numbers.
#[derive(Debug, Clone, PartialEq)]
pub struct Curve {
    text: String,
    kind: Kind,
}

#[derive(Debug, Clone, PartialEq)]
enum Kind {
    /// A formula of x.
    Formula(Formula),
    /// Heights at equal distances, joined by straight lines.
    Heights(Vec<f64>),
}

impl Default for Curve {
    /// The first of [`CURVES`].
    fn default() -> Self {
        let (name, text) = CURVES[0];
        let kind = Formula::parse(text).map_or_else(|_| Kind::Heights(vec![0.0, 1.0]), Kind::Formula);
        Self { text: name.to_owned(), kind }
    }
}

impl Curve {
    /// A curve as it is typed: one of [`CURVES`], heights with commas between them, or a formula of `x`.
    ///
    /// # Errors
    /// [`LabError::Curve`] when it is none of them, or not finite or beyond ±1000 somewhere in 0..=1.
    pub fn parse(text: &str) -> Result<Self, LabError> {
        let shown: String = text.chars().take(60).collect();
        let refused = |reason: String| LabError::Curve { text: shown.clone(), reason };
        if text.len() > LONGEST {
            return Err(refused(format!("longer than {LONGEST} bytes")));
        }
        let formula = CURVES.iter().find(|(name, _)| *name == text).map_or(text, |(_, formula)| formula);
        let kind = if formula.contains(',') { heights(formula) } else { Formula::parse(formula).map(Kind::Formula) };
        let curve = Self { text: text.to_owned(), kind: kind.map_err(|reason| refused(with_help(&reason)))? };
        let mut places = (0..CHECKED).map(|i| i as f64 / (CHECKED - 1) as f64);
        match places.find(|x| !(curve.at(*x).abs() <= 1000.0)) {
            Some(x) => {
                Err(refused(format!("its value at {x} is {}, expected a number from -1000 to 1000", curve.at(x))))
            }
            None => Ok(curve),
        }
    }

    /// As it was typed.
    pub fn text(&self) -> &str {
        &self.text
    }

    /// Its value at x, from 0 to 1.
    pub fn at(&self, x: f64) -> f64 {
        match &self.kind {
            Kind::Formula(formula) => formula.at(x),
            Kind::Heights(heights) => between(heights, x),
        }
    }
}

fn with_help(reason: &str) -> String {
    let names: Vec<&str> = CURVES.iter().map(|(name, _)| *name).collect();
    format!("{reason}; expected {}, heights such as 0,1,0.5, or a formula such as sin(6*x) + x^2", names.join(", "))
}

fn heights(text: &str) -> Result<Kind, String> {
    let number = |word: &str| word.trim().parse::<f64>().map_err(|_| format!("{:?} is no number", word.trim()));
    text.split(',').map(number).collect::<Result<_, _>>().map(Kind::Heights)
}

/// Heights at equal distances over 0..=1, joined by straight lines.
fn between(heights: &[f64], x: f64) -> f64 {
    let place = x.clamp(0.0, 1.0) * heights.len().saturating_sub(1) as f64;
    let (before, share) = (place.floor() as usize, place.fract());
    match (heights.get(before), heights.get(before + 1)) {
        (Some(a), Some(b)) => a + share * (b - a),
        (Some(a), None) => *a,
        _ => f64::NAN,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_named_curve_is_one() {
        for (name, _) in CURVES {
            assert!(Curve::parse(name).is_ok(), "{name}");
        }
        assert_eq!(Curve::parse(CURVES[0].0).unwrap(), Curve::default());
    }

    #[test]
    fn heights_are_joined_by_straight_lines() {
        let curve = Curve::parse("0, 1, 0.5").unwrap();
        assert_eq!([0.0, 0.25, 0.5, 0.75, 1.0].map(|x| curve.at(x)), [0.0, 0.5, 1.0, 0.75, 0.5]);
    }

    #[test]
    fn what_is_no_curve_is_told() {
        let told = |text: &str| Curve::parse(text).unwrap_err().to_string();
        assert!(told("1/x").contains("its value at 0 is inf"), "{}", told("1/x"));
        assert!(told("1e9").contains("expected a number from -1000 to 1000"));
        assert!(told("0,a").contains("\"a\" is no number; expected waves"), "{}", told("0,a"));
        assert!(told("sine(x)").contains("sine"), "{}", told("sine(x)"));
        assert!(told(&"x+".repeat(300)).contains("longer than 400 bytes"));
        assert!(told("").contains("expected"));
    }
}
