//! What the lecture claims of features and templates, as accuracies on `shapes`: every pair of its classes differs by
//! one stated cue, and a pipeline trained on the pair alone either sees that cue or guesses.

#![expect(clippy::unwrap_used, reason = "a test ends where something is missing")]

use bakeoff_core::{Classifier, Dataset, Extractor, Labelled, Labels, Seed, argmax_rows, encode};
use bakeoff_datasets::shapes::{Cue, Shapes};
use bakeoff_features::hog::Gamma;
use bakeoff_features::{ColorHistogram, Hog, Pixels};
use bakeoff_linear::{Softmax, Svm};
use bakeoff_mlp::Mlp;
use bakeoff_numeric::{Scaler, Scaling};
use std::num::NonZeroUsize;
use std::ops::ControlFlow;
use std::path::Path;
use std::sync::LazyLock;

/// Training and test images; 800 of the latter in each pair, so that a guess lies within 0.5 ± 0.053 at three standard
/// errors.
static SHAPES: LazyLock<(Labelled, Labelled)> = LazyLock::new(|| {
    let splits = Shapes::new(10_000, 4_000, Seed(0)).load(Path::new("")).expect("drawn, not read");
    (splits.train, splits.test)
});

/// The images of the two classes, as classes 0 and 1.
fn pair(of: &Labelled, (first, second): (usize, usize)) -> Labelled {
    let ids = of.labels().as_slice();
    let positions: Vec<usize> = (0..of.len()).filter(|&i| ids[i] == first || ids[i] == second).collect();
    let labels = Labels::new(positions.iter().map(|&i| usize::from(ids[i] == second)).collect(), 2).unwrap();
    Labelled::new(of.images().select(&positions), labels).unwrap()
}

/// Test accuracy of a pipeline on the two classes that differ by this cue.
fn accuracy(extractor: &dyn Extractor, classifier: &dyn Classifier, cue: Cue) -> f64 {
    let (train, test) = (pair(&SHAPES.0, cue.pair()), pair(&SHAPES.1, cue.pair()));
    let encoder = extractor.fit(train.images().view(), Seed(1)).unwrap();
    let mut x = encode(&*encoder, train.images().view());
    let scaler = Scaler::fit(Scaling::Standard, x.view());
    scaler.apply(x.view_mut());
    let model = classifier.fit(&x, train.labels(), Seed(2), &mut |_| ControlFlow::Continue(())).unwrap().model;
    let mut x = encode(&*encoder, test.images().view());
    scaler.apply(x.view_mut());
    let right =
        argmax_rows(model.scores(x.view()).view()).iter().zip(test.labels().ids()).filter(|(a, b)| a == b).count();
    right as f64 / test.len() as f64
}

fn guesses(accuracy: f64) -> bool {
    (accuracy - 0.5).abs() < 0.06
}

#[test]
fn a_color_histogram_sees_color_and_not_shape() {
    let seen = accuracy(&ColorHistogram::default(), &Svm::default(), Cue::Color);
    assert!(seen > 0.95, "color: {seen}");
    for cue in [Cue::GlobalShape, Cue::TwoModes] {
        let unseen = accuracy(&ColorHistogram::default(), &Svm::default(), cue);
        assert!(guesses(unseen), "{cue:?}: {unseen}");
    }
}

#[test]
fn hog_sees_shape_and_not_color() {
    // Both colors have the same edges in linear intensities; the square root of the default would tell them apart a bit.
    let hog = Hog { gamma: Gamma::None, ..Hog::default() };
    let seen = accuracy(&hog, &Svm::default(), Cue::GlobalShape);
    assert!(seen > 0.95, "global shape: {seen}");
    let unseen = accuracy(&hog, &Svm::default(), Cue::Color);
    assert!(guesses(unseen), "color: {unseen}");
}

#[test]
fn one_template_fails_on_two_modes_where_a_hidden_layer_does_not() {
    let template = accuracy(&Pixels::default(), &Softmax::default(), Cue::TwoModes);
    assert!(template < 0.6, "one template: {template}");
    let count = |n| NonZeroUsize::new(n).unwrap();
    let net = Mlp { hidden: vec![count(256)], epochs: count(30), ..Mlp::default() };
    let recombined = accuracy(&Pixels::default(), &net, Cue::TwoModes);
    assert!(recombined > 0.9, "a hidden layer: {recombined}");
}
