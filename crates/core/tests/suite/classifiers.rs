//! What every classifier of a catalogue must hold, whatever it computes. Included by the conformance tests of the crates
//! that have classifiers; it lies here because the contract does.

use bakeoff_core::{Classifier, Entry, Epoch, FitError, Fitted, Labels, Model, Seed, argmax_rows};
use ndarray::{Array1, Array2, ArrayView2, Axis, ShapeBuilder, concatenate, s};
use std::ops::ControlFlow;

use crate::stored::damaged;

/// A classifier with settings: those of its entry's defaults, or a variant that takes another path through the code.
pub(crate) struct Case {
    name: String,
    classifier: Box<dyn Classifier>,
}

/// Every entry with its defaults, then variants, each an entry's name and settings as TOML.
pub(crate) fn cases(catalogue: &[Entry<dyn Classifier>], variants: &[(&str, &str)]) -> Vec<Case> {
    let case = |name: &str, settings: &str| {
        let entry = catalogue.iter().find(|entry| entry.name == name).unwrap();
        let classifier =
            (entry.parse)(&settings.parse().unwrap()).unwrap_or_else(|e| panic!("{name} {settings}: {e:?}"));
        Case { name: format!("{name} {settings}"), classifier }
    };
    let defaults = catalogue.iter().map(|entry| case(entry.name, ""));
    defaults.chain(variants.iter().map(|(name, settings)| case(name, settings))).collect()
}

/// A number from −1 to 1 that only its position decides.
fn noise(i: usize, j: usize) -> f32 {
    let mut z = (i as u64 * 0x1_0001 + j as u64 + 1).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    (z >> 40) as f32 / (1 << 23) as f32 - 1.0
}

/// k clouds of rows, far enough apart that every classifier tells them: (n, d) and labels that run through the classes.
pub(crate) fn clouds(n: usize, d: usize, k: usize) -> (Array2<f32>, Labels) {
    let row = |(i, j): (usize, usize)| if j % k == i % k { 2.0 } else { -1.0 } + 0.5 * noise(i, j);
    (Array2::from_shape_fn((n, d), row), Labels::new((0..n).map(|i| i % k).collect(), k).unwrap())
}

/// Clouds that overlap, so that rounding and the seed show in the scores.
fn overlapping(n: usize, d: usize, k: usize) -> (Array2<f32>, Labels) {
    let (x, y) = clouds(n, d, k);
    let blurred = Array2::from_shape_fn((n, d), |(i, j)| 0.2 * x[[i, j]] + noise(i + n, j));
    (blurred, y)
}

fn fit(classifier: &dyn Classifier, x: ArrayView2<'_, f32>, y: &Labels, seed: u64) -> Result<Fitted, FitError> {
    classifier.fit(&x, y, Seed(seed), &mut |_| ControlFlow::Continue(()))
}

fn model(case: &Case, x: ArrayView2<'_, f32>, y: &Labels, seed: u64) -> Box<dyn Model> {
    fit(&*case.classifier, x, y, seed).unwrap_or_else(|e| panic!("{}: {e}", case.name)).model
}

/// Bits, because −0.0 equals 0.0 and NaN does not equal itself.
fn bits(scores: &Array2<f32>) -> (Vec<usize>, Vec<u32>) {
    (scores.shape().to_vec(), scores.iter().map(|v| v.to_bits()).collect())
}

fn predicted(model: &dyn Model, x: ArrayView2<'_, f32>) -> Array1<usize> {
    argmax_rows(model.scores(x).view())
}

fn all_finite(scores: &Array2<f32>) -> bool {
    scores.iter().all(|v| v.is_finite())
}

pub(crate) fn it_learns_and_tells_every_epoch(cases: &[Case]) {
    let (x, y) = clouds(120, 6, 3);
    for case in cases {
        let mut told: Vec<Epoch<'static>> = Vec::new();
        let mut listen = |epoch: Epoch<'_>| {
            told.push(Epoch::new(epoch.number, epoch.of, epoch.loss));
            ControlFlow::Continue(())
        };
        let fitted = case.classifier.fit(&x, &y, Seed(1), &mut listen).unwrap();
        let scores = fitted.model.scores(x.view());
        assert_eq!(scores.dim(), (120, 3), "{}", case.name);
        assert!(all_finite(&scores) && fitted.model.model_bytes() > 0, "{}", case.name);
        assert_eq!(argmax_rows(scores.view()), y.ids(), "{} tells clouds apart", case.name);
        assert_eq!(told.len(), fitted.epochs, "{} tells every epoch", case.name);
        for (i, epoch) in told.iter().enumerate() {
            let sound = epoch.number == i + 1 && epoch.number <= epoch.of && epoch.loss.is_finite();
            assert!(sound, "{}: {epoch:?} as number {}", case.name, i + 1);
        }
        assert!(told.last().unwrap().loss <= told[0].loss, "{}: the loss falls", case.name);
    }
}

pub(crate) fn a_break_keeps_what_was_learned(cases: &[Case]) {
    let (x, y) = clouds(60, 6, 3);
    for case in cases {
        let fitted = case.classifier.fit(&x, &y, Seed(1), &mut |_| ControlFlow::Break(())).unwrap();
        assert_eq!(fitted.epochs, 1, "{}", case.name);
        assert!(all_finite(&fitted.model.scores(x.view())), "{}", case.name);
    }
}

pub(crate) fn the_same_seed_gives_the_same_bits(cases: &[Case]) {
    let (x, y) = overlapping(150, 7, 4);
    for case in cases {
        let scores = |seed| bits(&model(case, x.view(), &y, seed).scores(x.view()));
        assert_eq!(scores(5), scores(5), "{}", case.name);
        let same = scores(5) == scores(6);
        assert_eq!(same, case.classifier.is_deterministic(), "{}: another seed, the same bits: {same}", case.name);
    }
}

/// What was fitted before leaves no trace.
pub(crate) fn a_second_fit_equals_a_fresh_one(cases: &[Case]) {
    let ((x, y), (other_x, other_y)) = (overlapping(150, 7, 4), clouds(80, 5, 2));
    for case in cases {
        fit(&*case.classifier, other_x.view(), &other_y, 9).unwrap();
        let again = fit(&*case.classifier, x.view(), &y, 5).unwrap().model.scores(x.view());
        assert_eq!(bits(&again), bits(&model(case, x.view(), &y, 5).scores(x.view())), "{}", case.name);
    }
}

pub(crate) fn a_row_scores_the_same_alone_in_company_and_in_any_layout(cases: &[Case]) {
    let (x, y) = overlapping(150, 37, 4);
    for case in cases {
        let model = model(case, x.view(), &y, 5);
        let whole = model.scores(x.view());
        for i in 0..150 {
            let alone = model.scores(x.slice(s![i..=i, ..]));
            assert_eq!(bits(&alone).1, bits(&whole.slice(s![i..=i, ..]).to_owned()).1, "{} row {i}", case.name);
        }
        let mut column_major = Array2::zeros((150, 37).f());
        column_major.assign(&x);
        assert_eq!(bits(&model.scores(column_major.view())), bits(&whole), "{} column-major", case.name);
        let backwards = model.scores(x.slice(s![..;-1, ..]));
        assert_eq!(bits(&backwards.slice(s![..;-1, ..]).to_owned()), bits(&whole), "{} backwards", case.name);
        assert_eq!(model.scores(x.slice(s![..0, ..])).dim(), (0, 4), "{} without rows", case.name);
    }
}

/// Wide enough that products are shared between threads.
pub(crate) fn threads_do_not_change_a_bit(cases: &[Case]) {
    let (x, y) = overlapping(300, 320, 5);
    for case in cases {
        let scores = |threads: usize| {
            let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
            pool.install(|| bits(&model(case, x.view(), &y, 5).scores(x.view())))
        };
        let one = scores(1);
        assert_eq!(one, scores(2), "{} on two threads", case.name);
        assert_eq!(one, scores(3), "{} on three threads", case.name);
    }
}

/// Fitting rows that lie in memory column by column, or with gaps, is fitting the same rows.
pub(crate) fn the_layout_of_training_rows_does_not_matter(cases: &[Case]) {
    let (x, y) = clouds(90, 8, 3);
    let mut column_major = Array2::zeros((90, 8).f());
    column_major.assign(&x);
    let spread = concatenate![Axis(1), x, Array2::from_elem((90, 3), 1e9)];
    for case in cases {
        for (layout, rows) in [("column-major", column_major.view()), ("with gaps", spread.slice(s![.., ..8]))] {
            assert_eq!(predicted(&*model(case, rows, &y, 5), x.view()), y.ids(), "{} {layout}", case.name);
        }
    }
}

pub(crate) fn what_was_learned_is_restored_to_the_bit(cases: &[Case]) {
    let (x, y) = overlapping(150, 37, 4);
    for case in cases {
        let model = model(case, x.view(), &y, 5);
        let learned = model.learned();
        assert!(!learned.is_empty(), "{} learns something", case.name);
        let restored = case.classifier.restore(37, 4, learned.clone()).unwrap_or_else(|e| panic!("{}: {e}", case.name));
        assert_eq!(bits(&restored.scores(x.view())), bits(&model.scores(x.view())), "{}", case.name);
        assert_eq!(restored.learned(), learned, "{}", case.name);
        assert_eq!((restored.model_bytes(), restored.operations()), (model.model_bytes(), model.operations()));
        for (d, n_classes) in [(36, 4), (38, 4), (0, 4), (37, 3), (37, 0)] {
            let error = case.classifier.restore(d, n_classes, learned.clone()).err();
            assert!(error.is_some(), "{} is taken for rows of {d} and {n_classes} classes", case.name);
        }
    }
}

pub(crate) fn damaged_arrays_are_refused(cases: &[Case]) {
    let (x, y) = overlapping(50, 7, 4);
    for case in cases {
        for (what, tensors) in damaged(&model(case, x.view(), &y, 5).learned()) {
            match case.classifier.restore(7, 4, tensors) {
                Ok(_) => panic!("{} takes {what}", case.name),
                Err(error) => assert!(!error.to_string().is_empty(), "{}: {what}", case.name),
            }
        }
    }
}

pub(crate) fn renamed_classes_are_predicted_by_their_new_names(cases: &[Case]) {
    let (x, y) = clouds(120, 8, 4);
    let new_names = [2, 0, 3, 1];
    let renamed = Labels::new(y.ids().mapv(|id| new_names[id]), 4).unwrap();
    for case in cases {
        let old = predicted(&*model(case, x.view(), &y, 5), x.view());
        let new = predicted(&*model(case, x.view(), &renamed, 5), x.view());
        assert_eq!(old.mapv(|id| new_names[id]), new, "{}", case.name);
    }
}

fn refusal(case: &Case, x: &Array2<f32>, y: &Labels) -> String {
    match fit(&*case.classifier, x.view(), y, 0) {
        Err(FitError::Refused { reason }) => reason,
        Err(other) => panic!("{}: {other}, where a refusal was due", case.name),
        Ok(_) => panic!("{} takes rows that cannot be learned from", case.name),
    }
}

pub(crate) fn what_cannot_be_learned_from_is_refused(cases: &[Case]) {
    let (x, y) = clouds(30, 4, 3);
    for case in cases {
        for bad in [f32::NAN, f32::INFINITY, f32::NEG_INFINITY] {
            let mut rows = x.clone();
            rows[[17, 2]] = bad;
            let reason = refusal(case, &rows, &y);
            assert!(reason.contains("17"), "{} names the row of {bad}: {reason}", case.name);
        }
        let of_one = |n_classes| Labels::new(Array1::zeros(30), n_classes).unwrap();
        assert!(refusal(case, &x, &of_one(3)).contains("class"), "{} one class with rows", case.name);
        assert!(refusal(case, &x, &of_one(1)).contains("class"), "{} one class at all", case.name);
        let no_rows = Labels::new(Array1::zeros(0), 3).unwrap();
        assert!(!refusal(case, &Array2::zeros((0, 4)), &no_rows).is_empty(), "{} no rows", case.name);
        assert!(!refusal(case, &Array2::zeros((30, 0)), &y).is_empty(), "{} no columns", case.name);
    }
}

/// Finite scores of every class, or a reason.
fn scores_or_reason(case: &Case, x: &Array2<f32>, y: &Labels) -> Option<Array2<f32>> {
    match fit(&*case.classifier, x.view(), y, 3) {
        Ok(fitted) => {
            let scores = fitted.model.scores(x.view());
            assert_eq!(scores.dim(), (y.len(), y.n_classes()), "{}", case.name);
            assert!(all_finite(&scores), "{} scores {x} as {scores}", case.name);
            Some(scores)
        }
        Err(error) => {
            assert!(!error.to_string().is_empty(), "{}", case.name);
            None
        }
    }
}

pub(crate) fn awkward_rows_are_handled_or_refused(cases: &[Case]) {
    let (x, y) = clouds(24, 6, 3);
    let twice = concatenate![Axis(0), x, x];
    let same_labels = Labels::new(concatenate![Axis(0), y.ids(), y.ids()], 3).unwrap();
    let against = Labels::new(concatenate![Axis(0), y.ids(), y.ids().mapv(|id| (id + 1) % 3)], 3).unwrap();
    for case in cases {
        let scores = scores_or_reason(case, &twice, &same_labels).expect("duplicated rows are no reason to refuse");
        assert_eq!(argmax_rows(scores.view()), same_labels.ids(), "{} duplicated rows", case.name);
        let scores =
            scores_or_reason(case, &twice, &against).expect("rows that contradict each other are learned from");
        assert_eq!(bits(&scores.slice(s![..24, ..]).to_owned()).1, bits(&scores.slice(s![24.., ..]).to_owned()).1);
        let constant = Array2::from_elem((24, 6), 0.25);
        assert!(scores_or_reason(case, &constant, &y).is_some(), "{} constant rows", case.name);
        assert!(scores_or_reason(case, &Array2::zeros((24, 6)), &y).is_some(), "{} rows of zeros", case.name);
        for scale in [1e-30, 1e10, 1e25, 1e38] {
            scores_or_reason(case, &(&x * scale), &y);
        }
        scores_or_reason(case, &x.slice(s![..2, ..]).to_owned(), &y.select(&[0, 1]));
    }
}

pub(crate) fn classes_without_rows_are_scored_and_not_predicted(cases: &[Case]) {
    let (x, y) = clouds(60, 6, 3);
    // Classes 1 and 4 of five have no row; and there are more classes than rows.
    let sparse = Labels::new(y.ids().mapv(|id| [0, 2, 3][id]), 5).unwrap();
    let few = Labels::new((0..12).map(|i| i % 3 * 40).collect(), 100).unwrap();
    for case in cases {
        let scores = scores_or_reason(case, &x, &sparse).expect("an empty class is no reason to refuse");
        assert_eq!(argmax_rows(scores.view()), sparse.ids(), "{}", case.name);
        let scores = scores_or_reason(case, &x.slice(s![..12, ..]).to_owned(), &few).expect("nor are many");
        assert_eq!(scores.dim(), (12, 100), "{}", case.name);
    }
}
