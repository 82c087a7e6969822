//! What is to learn, and how.

use bakeoff_core::params::{Fraction, NonNegative, Positive};
use bakeoff_mlp::ActivationName;
use bakeoff_neighbors::Distance;
use bakeoff_numeric::{Loss, Rule};
use serde::{Deserialize, Serialize};
use std::num::NonZeroUsize;

/// Hidden layers at most: what can be drawn.
const MOST_LAYERS: usize = 6;
/// Units of a layer at most.
const MOST_UNITS: usize = 64;
/// Rows of a batch, and neighbours, at most.
const MOST_ROWS: usize = crate::MOST_POINTS;

/// Which classifier.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Kind {
    /// s = W x + b, by gradient descent with momentum.
    Linear,
    /// k-nearest neighbours.
    Knn,
    /// A multilayer perceptron.
    Mlp,
}

/// What the classifier sees of a point.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Features {
    /// x and y.
    Plane,
    /// r = √(x² + y²) and θ = atan2(y, x), the angle's jump to the left (the lecture's B1).
    Polar,
}

impl Features {
    /// The two numbers of a place.
    pub(crate) fn of(self, x: f32, y: f32) -> [f32; 2] {
        match self {
            Self::Plane => [x, y],
            Self::Polar => [x.hypot(y), y.atan2(x)],
        }
    }

    /// How the numbers are called.
    pub(crate) fn names(self) -> [&'static str; 2] {
        match self {
            Self::Plane => ["x", "y"],
            Self::Polar => ["r", "θ"],
        }
    }
}

/// Everything that a training depends on besides its points.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Settings {
    /// Which classifier.
    pub classifier: Kind,
    /// What it sees.
    pub features: Features,
    /// Units of each hidden layer.
    pub hidden: Vec<NonZeroUsize>,
    /// φ.
    pub activation: ActivationName,
    /// What is minimised.
    pub loss: Loss,
    /// How steps are made; a linear classifier knows `sgd` only.
    pub optimiser: Rule,
    /// The length of steps.
    pub learning_rate: Positive,
    /// ρ of SGD and Nesterov.
    pub momentum: Fraction,
    /// λ₂ of λ₂ Σ W².
    pub l2: NonNegative,
    /// λ₁ of λ₁ Σ |W|.
    pub l1: NonNegative,
    /// Points a step.
    pub batch: NonZeroUsize,
    /// Neighbours that vote.
    pub neighbours: NonZeroUsize,
    /// How far neighbours are.
    pub distance: Distance,
    /// Where weights and the order of points come from.
    pub seed: u32,
}

const fn count(value: usize) -> NonZeroUsize {
    NonZeroUsize::new(value).expect("a positive literal")
}

impl Default for Settings {
    /// The network of the lecture's page, in a shape that learns a spiral within seconds.
    fn default() -> Self {
        Self {
            classifier: Kind::Mlp,
            features: Features::Plane,
            hidden: vec![count(20), count(20)],
            activation: ActivationName::Tanh,
            loss: Loss::Softmax,
            optimiser: Rule::Sgd,
            learning_rate: Positive::literal(0.02),
            momentum: Fraction::literal(0.9),
            l2: NonNegative::literal(1e-4),
            l1: NonNegative::literal(0.0),
            batch: count(10),
            neighbours: count(5),
            distance: Distance::L2,
            seed: 1,
        }
    }
}

impl Settings {
    /// Whether sizes are within what a session draws and steps quickly.
    pub(crate) fn check(&self) -> Result<(), String> {
        if self.hidden.len() > MOST_LAYERS {
            return Err(format!("a network has {MOST_LAYERS} hidden layers at most, not {}", self.hidden.len()));
        }
        if let Some(units) = self.hidden.iter().find(|units| units.get() > MOST_UNITS) {
            return Err(format!("a layer has {MOST_UNITS} units at most, not {units}"));
        }
        if let Some(rows) = [self.batch, self.neighbours].into_iter().find(|rows| rows.get() > MOST_ROWS) {
            return Err(format!("batches and neighbours are {MOST_ROWS} at most, not {rows}"));
        }
        if self.classifier == Kind::Linear && self.optimiser != Rule::Sgd {
            return Err("a linear classifier is trained by sgd".to_owned());
        }
        Ok(())
    }

    /// Whether what was learned with `other` is nothing to go on from with these settings.
    pub(crate) fn start_anew_after(&self, other: &Self) -> bool {
        let lasting = |s: &Self| {
            let net = (s.classifier == Kind::Mlp).then(|| (s.hidden.clone(), s.activation));
            (s.classifier, s.features, net, s.seed)
        };
        lasting(self) != lasting(other)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> Result<Settings, String> {
        let settings: Settings = serde_json::from_str(text).map_err(|error| error.to_string())?;
        settings.check().map(|()| settings)
    }

    #[test]
    fn settings_are_strict() {
        assert_eq!(read("{}").unwrap(), Settings::default());
        assert!(read(r#"{"hidden": []}"#).unwrap().hidden.is_empty());
        assert!(read(r#"{"hidden": [64, 64, 64, 64, 64, 64]}"#).is_ok());
        for (text, part) in [
            (r#"{"hiden": [3]}"#, "unknown field `hiden`"),
            (r#"{"hidden": [0]}"#, "nonzero"),
            (r#"{"hidden": [65]}"#, "64 units at most"),
            (r#"{"hidden": [1, 1, 1, 1, 1, 1, 1]}"#, "6 hidden layers at most"),
            (r#"{"learning_rate": 0}"#, "above 0"),
            (r#"{"learning_rate": "0.1"}"#, "invalid type"),
            (r#"{"learning_rate": 1e999}"#, "out of range"),
            (r#"{"momentum": 1}"#, "expected"),
            (r#"{"l2": -1}"#, "0 or above"),
            (r#"{"batch": 5001}"#, "5000 at most"),
            (r#"{"neighbours": 99999}"#, "5000 at most"),
            (r#"{"activation": "swish"}"#, "swish"),
            (r#"{"classifier": "tree"}"#, "tree"),
            (r#"{"classifier": "linear", "optimiser": "adam"}"#, "trained by sgd"),
            (r#"{"seed": -1}"#, "invalid value"),
        ] {
            let error = read(text).unwrap_err();
            assert!(error.contains(part), "{text}: {error}");
        }
    }

    #[test]
    fn polar_features_are_the_lectures() {
        for ((x, y), expected) in
            [((3.0, 4.0), [5.0, 0.927_295_2]), ((-2.0, 0.0), [2.0, std::f32::consts::PI]), ((0.0, 0.0), [0.0, 0.0])]
        {
            let found = Features::Polar.of(x, y);
            assert!(found.iter().zip(expected).all(|(a, b)| (a - b).abs() < 1e-6), "{found:?} {expected:?}");
        }
    }

    #[test]
    fn rates_may_change_in_training_and_shapes_may_not() {
        let before = Settings::default();
        let warm = Settings {
            learning_rate: Positive::literal(0.5),
            batch: count(3),
            loss: Loss::WestonWatkins,
            ..before.clone()
        };
        assert!(!warm.start_anew_after(&before));
        assert!(Settings { seed: 2, ..before.clone() }.start_anew_after(&before));
        assert!(Settings { hidden: vec![count(3)], ..before.clone() }.start_anew_after(&before));
        // A linear classifier does not mind what shape a network would have.
        let linear = Settings { classifier: Kind::Linear, ..before };
        assert!(!Settings { hidden: vec![count(3)], ..linear.clone() }.start_anew_after(&linear));
    }
}
