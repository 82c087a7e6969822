//! Properties of linear classifiers over random rows: what renaming, reordering and shifting must do to the scores.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use bakeoff_core::params::{NonNegative, Positive};
use bakeoff_core::{Classifier, Labels, Seed};
use bakeoff_linear::{Softmax, Svm};
use ndarray::{Array2, Axis};
use proptest::prelude::*;
use proptest::test_runner::RngSeed;
use std::ops::ControlFlow;

/// The same cases on every run, and no file written when one fails: the case itself is printed.
fn seeded(cases: u32) -> ProptestConfig {
    ProptestConfig { cases, rng_seed: RngSeed::Fixed(2024), failure_persistence: None, ..ProptestConfig::default() }
}

const CLASSES: usize = 3;

/// Rows that overlap, 40 of 5 columns, and labels with rows of every class.
fn problems() -> impl Strategy<Value = (Array2<f32>, Vec<usize>)> {
    let values = proptest::collection::vec((-64..65i8).prop_map(|v| f32::from(v) / 32.0), 200);
    let ids = proptest::collection::vec(0..CLASSES, 40);
    (values, ids).prop_map(|(values, mut ids)| {
        (0..CLASSES).for_each(|class| ids[class] = class);
        (Array2::from_shape_vec((40, 5), values).unwrap(), ids)
    })
}

/// Both smooth classifiers, with a penalty that leaves one sharp minimum.
fn classifiers() -> [Box<dyn Classifier>; 2] {
    let (l2, tolerance) = (NonNegative::new(0.02).unwrap(), Positive::new(1e-5).unwrap());
    [Box::new(Softmax { l2, tolerance, ..Softmax::default() }), Box::new(Svm { l2, tolerance, ..Svm::default() })]
}

fn scores(classifier: &dyn Classifier, x: &Array2<f32>, ids: &[usize]) -> Array2<f32> {
    let labels = Labels::new(ids.to_vec().into(), CLASSES).unwrap();
    let fitted = classifier.fit(x, &labels, Seed(0), &mut |_| ControlFlow::Continue(())).unwrap();
    fitted.model.scores(x.view())
}

/// Softmax scores are free up to a constant a row; without it both kinds compare.
fn centred(mut scores: Array2<f32>) -> Array2<f32> {
    scores.outer_iter_mut().for_each(|mut row| row -= row.mean().unwrap());
    scores
}

fn differ(a: &Array2<f32>, b: &Array2<f32>) -> f32 {
    let differences = centred(a.clone()) - centred(b.clone());
    differences.iter().map(|d| if d.is_nan() { f32::INFINITY } else { d.abs() }).fold(0.0, f32::max)
}

proptest! {
    #![proptest_config(seeded(40))]

    #[test]
    fn renamed_classes_rename_the_scores((x, ids) in problems()) {
        let new_name = [2, 0, 1];
        let renamed: Vec<usize> = ids.iter().map(|&id| new_name[id]).collect();
        for classifier in classifiers() {
            let (before, after) = (scores(&*classifier, &x, &ids), scores(&*classifier, &x, &renamed));
            let expected = before.select(Axis(1), &[1, 2, 0]);
            prop_assert!(differ(&after, &expected) < 2e-3, "{}", differ(&after, &expected));
        }
    }

    #[test]
    fn reordered_columns_and_rows_change_no_score((x, ids) in problems()) {
        let mut reordered = x.select(Axis(1), &[3, 1, 4, 0, 2]);
        reordered.invert_axis(Axis(0));
        let backwards: Vec<usize> = ids.iter().rev().copied().collect();
        for classifier in classifiers() {
            let mut after = scores(&*classifier, &reordered, &backwards);
            after.invert_axis(Axis(0));
            let before = scores(&*classifier, &x, &ids);
            prop_assert!(differ(&after, &before) < 2e-3, "{}", differ(&after, &before));
        }
    }

    /// The bias is not penalised, so it takes up any shift of the rows.
    #[test]
    fn shifted_rows_score_the_same((x, ids) in problems(), shift in -2..3i8) {
        for classifier in classifiers() {
            let (before, after) = (scores(&*classifier, &x, &ids), scores(&*classifier, &(&x + f32::from(shift)), &ids));
            prop_assert!(differ(&after, &before) < 5e-3, "{}", differ(&after, &before));
        }
    }

    /// Every row twice is the same mean.
    #[test]
    fn rows_given_twice_change_no_score((x, ids) in problems()) {
        let twice = ndarray::concatenate![Axis(0), x, x];
        let ids_twice: Vec<usize> = ids.iter().chain(&ids).copied().collect();
        for classifier in classifiers() {
            let after = scores(&*classifier, &twice, &ids_twice);
            let before = scores(&*classifier, &x, &ids);
            let after = after.slice(ndarray::s![..40, ..]).to_owned();
            prop_assert!(differ(&after, &before) < 2e-3, "{}", differ(&after, &before));
        }
    }
}
