//! The expected best validation score of a number of tuning trials (Dodge, Gururangan, Card, Schwartz, Smith 2019, "Show your work").
//!
//! Of n trials with scores v₁ ≤ … ≤ vₙ, k drawn with replacement have their best at most vᵢ with chance (i/n)^k. So the best has mean
//! Σ vᵢ ((i/n)^k − ((i − 1)/n)^k), and its variance is the same sum of squares less the mean's square. It tells which budget a pipeline
//! needs to be good, and whether more trials would have helped.
//!
//! A trial that was refused or failed scores 0: it used up its place in the budget and found nothing. Drawing with replacement makes
//! the mean a little too low when k is near n (Tang et al. 2020); at k = n it is not the best trial but a bit less.

use crate::row::{Measured, Trial};
use serde::Serialize;

/// What so many trials may be expected to find.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct ExpectedBest {
    /// k, the number of trials.
    pub trials: usize,
    /// The expected best validation score, as a share of right images; the mean over seeds.
    pub mean: f64,
    /// Standard deviation of the best of k trials, within a seed and between seeds together; not an error of the mean.
    pub deviation: f64,
}

/// For one list of scores: mean and variance of the best of k, for k from 1 to their number.
pub fn expected_best(scores: &[f64]) -> Vec<(f64, f64)> {
    let mut sorted = scores.to_vec();
    sorted.sort_by(f64::total_cmp);
    let n = sorted.len() as f64;
    let moments = |k: usize| {
        let chance = |i: usize| (i as f64 / n).powf(k as f64);
        let weighted = |i: usize| (sorted[i], chance(i + 1) - chance(i));
        let mean: f64 = (0..sorted.len()).map(weighted).map(|(v, w)| v * w).sum();
        let variance: f64 = (0..sorted.len()).map(weighted).map(|(v, w)| (v - mean).powi(2) * w).sum();
        (mean, variance)
    };
    (1..=sorted.len()).map(moments).collect()
}

/// The same for a pipeline with trials of several seeds, up to the least number of trials that a seed has.
pub(crate) fn over_seeds<'a>(seeds: impl Iterator<Item = &'a Measured>) -> Vec<ExpectedBest> {
    let score = |trial: &Trial| trial.right.map_or(0.0, |right| right as f64 / trial.of.max(1) as f64);
    let scores = |measured: &Measured| -> Vec<f64> { measured.trials.iter().map(score).collect() };
    let seeds: Vec<Vec<(f64, f64)>> = seeds.map(|m| expected_best(&scores(m))).collect();
    let most = seeds.iter().map(Vec::len).min().unwrap_or(0);
    let n = seeds.len() as f64;
    let at = |k: usize| {
        let mean = seeds.iter().map(|seed| seed[k].0).sum::<f64>() / n;
        // The law of total variance: the mean of the variances and the variance of the means.
        let variance = seeds.iter().map(|seed| seed[k].1 + (seed[k].0 - mean).powi(2)).sum::<f64>() / n;
        ExpectedBest { trials: k + 1, mean, deviation: variance.sqrt() }
    };
    (0..most).map(at).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_best_of_two_by_hand() {
        // Scores 0.2 and 0.6: one trial gives 0.4 ± 0.2; two give 0.2 with chance ¼, else 0.6.
        let found = expected_best(&[0.6, 0.2]);
        let wanted = [(0.4, 0.04), (0.5, 0.03)];
        for ((mean, variance), (m, v)) in found.into_iter().zip(wanted) {
            assert!((mean - m).abs() < 1e-15 && (variance - v).abs() < 1e-15, "{mean} {variance}");
        }
        assert!(expected_best(&[]).is_empty());
    }
}
