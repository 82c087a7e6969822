//! How long a pipeline will take, from what it took on few images.

use bakeoff_results::{Measured, Seconds};

/// Images that a cell is forecast for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Amount {
    /// Training images.
    pub n_train: usize,
    /// Test images.
    pub n_test: usize,
}

/// Wall seconds of a cell without tuning, and of one tuning trial.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Forecast {
    /// From end to end.
    pub cell: f64,
    /// Features and fit once more, which is what a trial takes at most: features that trials share are made once.
    pub trial: f64,
}

/// A fit of n rows is taken to cost n to a power between these: none of the classifiers here is faster than one pass, and one that
/// grows faster than with the square would have been seen to on few images.
const POWERS: (f64, f64) = (1.0, 2.0);

/// What a pipeline is likely to take on so many images, from cells that were worked on with fewer; `None` without any.
///
/// Features and predictions of an image cost what they cost before. A fit grows with the power of n that lies between the two largest
/// numbers of training images, held between 1 and 2; with one number alone it grows with n. What else a cell took stays. It is a
/// guess: networks that stop early and solvers that converge sooner or later on more images are off by a factor of two easily.
pub fn forecast(timed: &[Measured], n_test_timed: usize, amount: Amount) -> Option<Forecast> {
    let mut by_size: Vec<&Measured> = timed.iter().collect();
    by_size.sort_by_key(|measured| measured.n_train);
    let last = *by_size.last()?;
    let before = by_size.iter().rev().find(|measured| measured.n_train < last.n_train);
    let grown = ratio(amount.n_train, last.n_train);
    let fit = mean(&last.fit) * grown.powf(before.map_or(1.0, |before| power(before, last)));
    let features = mean(&last.features)
        * ratio(amount.n_train.saturating_add(amount.n_test), last.n_train.saturating_add(n_test_timed));
    // Neighbours are looked for among all training rows; others predict at the same price, so this errs towards more.
    let nearest =
        before.map_or(0.0, |before| slope(mean(&before.predict), mean(&last.predict), before, last).clamp(0.0, 1.0));
    let predict = mean(&last.predict) * ratio(amount.n_test, n_test_timed) * grown.powf(nearest);
    let parts = mean(&last.features) + mean(&last.fit) + mean(&last.predict) + last.tune.0;
    let rest = (last.total.0 - parts).max(0.0);
    Some(Forecast { cell: features + fit + predict + rest, trial: features + fit })
}

fn ratio(now: usize, then: usize) -> f64 {
    now as f64 / then.max(1) as f64
}

fn power(before: &Measured, last: &Measured) -> f64 {
    slope(mean(&before.fit), mean(&last.fit), before, last).clamp(POWERS.0, POWERS.1)
}

/// The power of n by which seconds grew between two numbers of training images; 1 where nothing can be said.
fn slope(before: f64, last: f64, small: &Measured, large: &Measured) -> f64 {
    let found = (last / before).ln() / ratio(large.n_train, small.n_train).ln();
    if found.is_finite() { found } else { 1.0 }
}

fn mean(seconds: &[Seconds]) -> f64 {
    seconds.iter().map(|seconds| seconds.0).sum::<f64>() / seconds.len().max(1) as f64
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Seconds of (features, fit, predict) with so many training images, and a tenth of a second besides.
    fn measured(n_train: usize, (features, fit, predict): (f64, f64, f64)) -> Measured {
        let json = serde_json::json!({
            "n_train": n_train, "predicted": [], "dim": 1, "features": [features], "fit": [fit], "tune": 0.0,
            "predict": [predict], "total": features + fit + predict + 0.1, "cpu": 0.0, "threads": 1, "peak_rss_mb": 0.0,
            "model_bytes": 0, "epochs": 1, "converged": true, "deterministic": true, "curve": [], "trials": [], "notes": [],
        });
        serde_json::from_value(json).unwrap()
    }

    fn close(found: f64, expected: f64) {
        assert!((found - expected).abs() < 1e-9, "{found} instead of {expected}");
    }

    #[test]
    fn a_fit_grows_as_it_grew_before() {
        let timed = [measured(200, (0.3, 2.0, 0.01)), measured(400, (0.5, 8.0, 0.01))];
        // Square: four times the images cost 16 times as much. Features: 1,600 and 400 images instead of 400 and 100. Test images: four
        // times as many.
        let found = forecast(&timed, 100, Amount { n_train: 1600, n_test: 400 }).unwrap();
        close(found.trial, 0.5 * 4.0 + 8.0 * 16.0);
        close(found.cell, 0.5 * 4.0 + 8.0 * 16.0 + 0.04 + 0.1);
        // The order in which they were timed does not matter.
        let turned = [timed[1].clone(), timed[0].clone()];
        assert_eq!(forecast(&turned, 100, Amount { n_train: 1600, n_test: 400 }), Some(found));
    }

    #[test]
    fn powers_stay_between_one_and_two_and_neighbours_cost_more_with_more_images() {
        let timed = [measured(100, (0.0, 1.0, 1.0)), measured(200, (0.0, 16.0, 2.0))];
        let found = forecast(&timed, 10, Amount { n_train: 400, n_test: 10 }).unwrap();
        close(found.cell, 16.0 * 4.0 + 2.0 * 2.0 + 0.1);
        let shrinking = [measured(100, (0.0, 2.0, 0.0)), measured(200, (0.0, 1.0, 0.0))];
        close(forecast(&shrinking, 10, Amount { n_train: 400, n_test: 10 }).unwrap().cell, 2.0 + 0.1);
    }

    #[test]
    fn one_number_of_images_is_enough_and_none_is_not() {
        let found = forecast(&[measured(100, (1.0, 1.0, 0.0))], 0, Amount { n_train: 300, n_test: 0 }).unwrap();
        close(found.cell, 3.0 + 3.0 + 0.1);
        assert_eq!(forecast(&[], 10, Amount { n_train: 300, n_test: 10 }), None);
    }
}
