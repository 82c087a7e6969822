//! Splits drawn anew: what a difference is worth when training and test images are another draw from the same pool each time.
//!
//! Within a run the test part is fixed and intervals are about seeds and images. Several runs of the same files with other splits answer
//! another question: how would it be with other training images? Their training parts overlap, so their differences are not
//! independent, and the plain t-test calls equals different far too often. Nadeau and Bengio (2003) take the
//! correlation to be n_test / (n_train + n_test), which makes the variance of the mean of J differences
//! (1/J + n_test/n_train) times their sample variance.

use crate::compare::{Comparison, TestKind, unmade};
use crate::groups::{Group, groups, sorted};
use crate::interval::{Interval, IntervalKind};
use crate::row::{Row, Run};
use crate::student::{student_tail, student_upper};
use crate::summary::headline;
use crate::verdict::{Verdict, verdict};
use crate::words::counted;

/// What the corrected resampled t-test found.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Resampled {
    /// Mean difference over the splits.
    pub mean: f64,
    /// Corrected standard error of that mean.
    pub standard_error: f64,
    /// Student's interval with J − 1 degrees of freedom.
    pub interval: Interval,
    /// Two-sided p-value of "the mean is 0".
    pub p_value: f64,
}

/// The corrected resampled t-test of one difference a split. `None` for less than two splits, without training images, or where a difference
/// is not finite.
///
/// All splits have about `n_train` training and `n_test` test images. Where every difference is the same the interval is a point, and the
/// p-value is 1 at 0 and 0 elsewhere.
pub fn nadeau_bengio(differences: &[f64], n_train: usize, n_test: usize, confidence: f64) -> Option<Resampled> {
    if differences.len() < 2 || n_train == 0 || differences.iter().any(|d| !d.is_finite()) {
        return None;
    }
    let splits = differences.len() as f64;
    let mean = differences.iter().sum::<f64>() / splits;
    let variance = differences.iter().map(|d| (d - mean).powi(2)).sum::<f64>() / (splits - 1.0);
    let standard_error = ((1.0 / splits + n_test as f64 / n_train as f64) * variance).sqrt();
    let reach = student_upper((1.0 - confidence) / 2.0, splits - 1.0) * standard_error;
    let p_value = match (standard_error > 0.0, mean == 0.0) {
        (true, _) => (2.0 * student_tail(mean.abs() / standard_error, splits - 1.0)).min(1.0),
        (false, true) => 1.0,
        (false, false) => 0.0,
    };
    Some(Resampled { mean, standard_error, interval: Interval { lo: mean - reach, hi: mean + reach }, p_value })
}

/// How the data of several runs belong together.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Relation {
    /// All runs have the same training and test images.
    SameData,
    /// All runs have the same files and classes, each split in another way.
    ResampledSplits,
    /// Every run has data of its own.
    DifferentData,
    /// Some runs share data and others do not.
    Mixed,
}

/// Judges it from the facts: digests of the data as used, and of the files behind it.
pub fn relation(runs: &[&Run]) -> Relation {
    let files = |run: &Run| {
        let mut hashes: Vec<String> = run.dataset.files.iter().map(|(_, _, sha256)| sha256.clone()).collect();
        hashes.sort();
        hashes
    };
    let pairs = || runs.iter().enumerate().flat_map(|(i, a)| runs[i + 1..].iter().map(move |b| (*a, *b)));
    let same_data = |(a, b): (&Run, &Run)| a.dataset.sha256 == b.dataset.sha256;
    let same_files = |(a, b): (&Run, &Run)| {
        !a.dataset.files.is_empty() && files(a) == files(b) && a.dataset.classes == b.dataset.classes
    };
    if pairs().all(same_data) {
        Relation::SameData
    } else if pairs().all(|pair| same_files(pair) && !same_data(pair)) {
        Relation::ResampledSplits
    } else if pairs().all(|pair| !same_data(pair) && !same_files(pair)) {
        Relation::DifferentData
    } else {
        Relation::Mixed
    }
}

/// Two pipelines over runs that are splits of the same images: one difference a run, the mean over the seeds that both have. The level and
/// the margin are the first run's; nothing was declared, so it is exploratory.
pub fn compare_splits(runs: &[(&Run, &[Row])], a: &str, b: &str) -> Comparison {
    let Some((first, _)) = runs.first() else { return unmade(a, b, true, "there is no run".to_owned()) };
    let differences: Option<Vec<OneSplit>> = runs.iter().map(|(run, rows)| one_split(run, rows, a, b)).collect();
    let Some(splits) = differences else {
        return unmade(a, b, true, "not every split has a result of both".to_owned());
    };
    let mean_of = |part: fn(&OneSplit) -> usize| splits.iter().map(part).sum::<usize>() / splits.len();
    let values: Vec<f64> = splits.iter().map(|split| split.difference).collect();
    let (n_train, n_test) = (mean_of(|s| s.n_train), mean_of(|s| s.n_test));
    let Some(tested) = nadeau_bengio(&values, n_train, n_test, first.confidence) else {
        return unmade(a, b, true, "one split does not show how much splits differ".to_owned());
    };
    let verdict = verdict(tested.interval, tested.p_value, first.confidence, first.equivalence);
    let winner = (verdict == Verdict::Better).then(|| if tested.mean > 0.0 { a } else { b }.to_owned());
    Comparison {
        difference: Some(tested.mean),
        interval: Some(tested.interval),
        p_adjusted: Some(tested.p_value),
        p_value: Some(tested.p_value),
        verdict,
        winner,
        interval_kind: Some(IntervalKind::ResampledSplits),
        test: Some(TestKind::NadeauBengio),
        seeds: splits.iter().map(|split| split.seeds).min().unwrap_or(0),
        ..unmade(a, b, true, format!("over {} of the same images", counted(splits.len(), "split")))
    }
}

struct OneSplit {
    difference: f64,
    seeds: usize,
    n_train: usize,
    n_test: usize,
}

fn one_split(run: &Run, rows: &[Row], a: &str, b: &str) -> Option<OneSplit> {
    let rows = sorted(run, rows);
    let groups = groups(&rows);
    let headline = headline(&groups);
    let find = |name: &str| headline.iter().find(|g: &&&Group<'_>| g.pipeline == name && !g.done.is_empty()).copied();
    let (a, b) = (find(a)?, find(b)?);
    let pair = crate::compare::crossed(run, a, b)?;
    Some(OneSplit {
        difference: pair.mean(),
        seeds: pair.n_seeds(),
        n_train: a.done.first()?.1.n_train,
        n_test: run.dataset.test_labels.len(),
    })
}
