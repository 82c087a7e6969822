//! What stands behind a pipeline's accuracy: confusions, classes, tuning.

use crate::expected::{self, ExpectedBest};
use crate::groups::{Group, groups, sorted};
use crate::interval::{Interval, score_interval};
use crate::row::{Confusion, Measured, Row, Run, Trial};
use crate::summary::headline;
use serde::Serialize;

/// What stands behind a pipeline's accuracy, at the greatest training size of the run.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Detail {
    /// The pipeline.
    pub name: String,
    /// Seeds that count.
    pub seeds: usize,
    /// True against predicted classes, summed over those seeds.
    pub confusion: Confusion,
    /// Each class, in the order of the dataset.
    pub classes: Vec<ClassAccuracy>,
    /// What was tried for each seed; empty where nothing was searched.
    pub tuning: Vec<Tuning>,
    /// What 1, 2, … trials may be expected to find, up to the number that every seed has; empty where nothing was searched.
    pub expected_best: Vec<ExpectedBest>,
    /// The mean training loss after each pass with the first seed, as (pass, loss).
    pub curve: Vec<(usize, f64)>,
}

/// How often images of a class were right.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct ClassAccuracy {
    /// The class.
    pub class: String,
    /// Right ones, summed over seeds.
    pub right: usize,
    /// Images, summed over seeds.
    pub of: usize,
    /// `right / of`; `None` where the test part has no image of the class.
    pub accuracy: Option<f64>,
    /// Wilson's interval of the mean over seeds, over the class's test images: it is about these trained models, not about other seeds.
    pub interval: Option<Interval>,
}

/// What was tried for one seed.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Tuning {
    /// The seed.
    pub seed: u64,
    /// Trials.
    pub trials: usize,
    /// Trials that ended without a score.
    pub without_score: usize,
    /// The best trial: its settings and its share of right validation images. The first among equals.
    pub best: Option<(String, f64)>,
    /// Wall seconds of all trials.
    pub seconds: f64,
}

/// Details of every pipeline that has a result, in the order of the file. Rows whose predictions do not fit the run's labels
/// and classes are left out; the store lets none in.
pub fn details(run: &Run, rows: &[Row]) -> Vec<Detail> {
    let rows = sorted(run, rows);
    let groups = groups(&rows);
    headline(&groups).into_iter().filter_map(|group| detail(run, group)).collect()
}

fn detail(run: &Run, group: &Group<'_>) -> Option<Detail> {
    let fitting: Vec<_> = group.counted().iter().filter(|(_, m)| fits(run, m)).collect();
    let (_, first) = fitting.first()?;
    let confusions = fitting.iter().map(|(_, m)| confusion(run, m));
    let confusion = confusions.reduce(sum)?;
    Some(Detail {
        name: group.pipeline.to_owned(),
        seeds: fitting.len(),
        classes: classes(run, &confusion, fitting.len()),
        confusion,
        tuning: fitting.iter().filter_map(|(seed, m)| tuning(*seed, m)).collect(),
        expected_best: expected::over_seeds(fitting.iter().map(|(_, m)| *m)),
        curve: first.curve.iter().map(|point| (point.epoch, point.loss)).collect(),
    })
}

fn fits(run: &Run, measured: &Measured) -> bool {
    let n_classes = run.dataset.classes.len();
    let labels = &run.dataset.test_labels;
    measured.predicted.len() == labels.len() && measured.predicted.iter().chain(labels).all(|&id| id < n_classes)
}

fn confusion(run: &Run, measured: &Measured) -> Confusion {
    Confusion::of(&run.dataset.test_labels, &measured.predicted, run.dataset.classes.len())
}

fn sum(mut a: Confusion, b: Confusion) -> Confusion {
    let places = a.counts.iter_mut().flatten().zip(b.counts.into_iter().flatten());
    places.for_each(|(sum, count)| *sum += count);
    a
}

fn classes(run: &Run, confusion: &Confusion, seeds: usize) -> Vec<ClassAccuracy> {
    let of_class = |(i, (class, row)): (usize, (&String, &Vec<usize>))| {
        let (right, of) = (row[i], row.iter().sum());
        // Every seed answers the same images: there are no more of them for more seeds.
        let a_seed = |count: usize| count as f64 / seeds as f64;
        ClassAccuracy {
            class: class.clone(),
            right,
            of,
            accuracy: (of > 0).then(|| right as f64 / of as f64),
            interval: (of > 0).then(|| score_interval(a_seed(right), a_seed(of), run.confidence)),
        }
    };
    run.dataset.classes.iter().zip(&confusion.counts).enumerate().map(of_class).collect()
}

fn tuning(seed: u64, measured: &Measured) -> Option<Tuning> {
    let trials = &measured.trials;
    let score = |trial: &Trial| trial.right.map(|right| right as f64 / trial.of.max(1) as f64);
    let scored = trials.iter().filter_map(|trial| Some((trial, score(trial)?)));
    let best = scored.clone().reduce(|best, next| if next.1 > best.1 { next } else { best });
    (!trials.is_empty()).then(|| Tuning {
        seed,
        trials: trials.len(),
        without_score: trials.len() - scored.count(),
        best: best.map(|(trial, score)| (trial.settings.clone(), score)),
        seconds: measured.tune.0,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::row::Dataset;

    #[test]
    fn more_seeds_on_the_same_images_narrow_no_interval_of_a_class() {
        let run = |labels: Vec<usize>| -> Run {
            let json = serde_json::json!({
                "name": "r", "question": "", "as_written": "", "as_meant": "{}", "digest": "", "pipelines": ["a"], "comparisons": [],
                "confidence": 0.95, "equivalence": 0.005,
                "dataset": {
                    "name": "d", "sha256": "", "classes": ["x", "y"], "shape": [1, 1, 1], "train_counts": [], "test_counts": [],
                    "test_labels": labels, "notes": [], "files": [],
                },
                "host": { "cpu": "", "cores": 1, "threads": 1, "simd": "", "memory_mb": 0, "os": "", "version": "", "commit": "" },
            });
            serde_json::from_value(json).unwrap()
        };
        let run = run(vec![0; 110]);
        let Dataset { test_labels, .. } = &run.dataset;
        let confusion = |seeds: usize| Confusion { counts: vec![vec![99 * seeds, 11 * seeds], vec![0, 0]] };
        assert_eq!(test_labels.len(), 110);
        let (one, three) = (classes(&run, &confusion(1), 1), classes(&run, &confusion(3), 3));
        // The same as `wilson(99, 110)`, by hand 0.8298 to 0.9432.
        let interval = one[0].interval.unwrap();
        assert!((interval.lo - 0.829_765).abs() < 1e-6 && (interval.hi - 0.943_240).abs() < 1e-6, "{interval:?}");
        assert_eq!(one[0].interval, three[0].interval);
        assert_eq!((one[1].accuracy, one[1].interval), (None, None), "a class without test images");
    }
}
