//! The loss over the steps, in a number of points that does not grow: means over equally many steps each, twice as many when
//! there would be too many points. What it holds depends on the steps alone, not on when one looks.

use serde::Serialize;

/// Points at most; a power of two.
const MOST: usize = 256;

/// The curve of a training.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub(crate) struct Curve {
    /// Steps a point.
    every: u64,
    /// The mean loss of each whole point.
    means: Vec<f32>,
    /// The sum over the steps since then, and how many they are.
    #[serde(skip)]
    sum: f64,
    #[serde(skip)]
    steps: u64,
}

impl Default for Curve {
    fn default() -> Self {
        Self { every: 1, means: Vec::new(), sum: 0.0, steps: 0 }
    }
}

impl Curve {
    /// Adds a step's loss.
    pub(crate) fn push(&mut self, loss: f64) {
        self.sum += loss;
        self.steps += 1;
        if self.steps < self.every {
            return;
        }
        self.means.push((self.sum / self.steps as f64) as f32);
        (self.sum, self.steps) = (0.0, 0);
        if self.means.len() == MOST {
            self.means = self.means.chunks(2).map(|pair| pair.iter().sum::<f32>() / pair.len() as f32).collect();
            self.every *= 2;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_curve_keeps_its_mean_and_its_size() {
        let mut curve = Curve::default();
        for i in 0..3000 {
            curve.push(f64::from(i % 10));
            assert!(curve.means.len() < MOST && curve.every.is_power_of_two());
        }
        assert_eq!(curve.every, 16);
        assert_eq!(curve.means.len(), 3000 / 16);
        let mean = f64::from(curve.means.iter().sum::<f32>()) / curve.means.len() as f64;
        assert!((mean - 4.5).abs() < 0.01, "{mean}");
        let mut short = Curve::default();
        short.push(3.0);
        short.push(1.0);
        assert_eq!(serde_json::to_string(&short).unwrap(), r#"{"every":1,"means":[3.0,1.0]}"#);
    }
}
