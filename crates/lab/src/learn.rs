//! Training and asking the project's classifiers, as demonstrations need it.

use crate::LabError;
use bakeoff_core::{Classifier, Encoder, ImagesView, Labels, Model, Seed, argmax_rows, encode};
use bakeoff_mlp::{Activation, Affine, Blocks, Network, Shape, Stage};
use bakeoff_numeric::{Scaler, Scaling};
use ndarray::{Array2, ArrayView2};
use std::num::NonZeroUsize;
use std::ops::ControlFlow;

/// A count that is known to be above 0; 0 counts as 1.
pub(crate) fn count(n: usize) -> NonZeroUsize {
    NonZeroUsize::new(n).unwrap_or(NonZeroUsize::MIN)
}

/// Fits to the end.
pub(crate) fn fitted(
    classifier: &dyn Classifier,
    x: &Array2<f32>,
    y: &Labels,
    seed: Seed,
) -> Result<Box<dyn Model>, LabError> {
    Ok(classifier.fit(x, y, seed, &mut |_| ControlFlow::Continue(()))?.model)
}

/// The share of rows whose greatest score is their own class's.
pub(crate) fn accuracy(model: &dyn Model, x: &Array2<f32>, y: &Labels) -> f64 {
    let right = argmax_rows(model.scores(x.view()).view()).iter().zip(y.ids()).filter(|(a, b)| a == b).count();
    right as f64 / y.len().max(1) as f64
}

/// Accuracy on the rows of two classes when only these two may be named.
pub(crate) fn pair_accuracy(scores: ArrayView2<'_, f32>, y: &Labels, (a, b): (usize, usize)) -> f64 {
    let own = scores.outer_iter().zip(y.ids()).filter(|(_, class)| **class == a || **class == b);
    let outcomes: Vec<bool> = own.map(|(row, class)| (if row[b] > row[a] { b } else { a }) == *class).collect();
    outcomes.iter().filter(|right| **right).count() as f64 / outcomes.len().max(1) as f64
}

/// An encoder with the scaler that its training rows fitted.
pub(crate) struct Scaled {
    encoder: Box<dyn Encoder>,
    scaler: Scaler,
}

impl Scaled {
    /// Fits the scaler; the scaled training rows come with it.
    pub(crate) fn fit(encoder: Box<dyn Encoder>, train: ImagesView<'_>) -> (Self, Array2<f32>) {
        let mut x = encode(&*encoder, train);
        let scaler = Scaler::fit(Scaling::Standard, x.view());
        scaler.apply(x.view_mut());
        (Self { encoder, scaler }, x)
    }

    /// The scaled rows of images.
    pub(crate) fn rows(&self, images: ImagesView<'_>) -> Array2<f32> {
        let mut x = encode(&*self.encoder, images);
        self.scaler.apply(x.view_mut());
        x
    }
}

/// One hidden layer or several, no norms and no blocks.
pub(crate) fn plain_shape(inputs: usize, hidden: &[usize], activation: Activation, outputs: usize) -> Shape {
    Shape { inputs, hidden: hidden.to_vec(), batch_norm: false, blocks: Blocks::NONE, activation, classes: outputs }
}

/// The affine maps of a network of dense stages, first to last.
pub(crate) fn affines<T>(network: &Network<T>) -> Vec<&Affine<T>> {
    let dense = network.stages.iter().filter_map(|stage| match stage {
        Stage::Dense(dense) => Some(&dense.affine),
        Stage::Residual(_) => None,
    });
    dense.collect()
}

/// The affine maps that a fitted network of dense stages learned, W (out, in) and b (out), first to last.
pub(crate) fn learned_affines(model: &dyn Model, n_maps: usize) -> Result<Vec<Affine<f32>>, LabError> {
    let mut learned = model.learned();
    let take = |l: usize| -> Result<Affine<f32>, LabError> {
        let mut part = learned.part(&l.to_string());
        Ok(Affine { w: part.matrix("w", None, None)?, b: part.array("b", None)? })
    };
    (0..n_maps).map(take).collect()
}

/// Puts affine maps into a network of as many dense stages.
pub(crate) fn set_affines<T: Clone>(network: &mut Network<T>, maps: &[Affine<T>]) {
    for (stage, map) in network.stages.iter_mut().zip(maps) {
        if let Stage::Dense(dense) = stage {
            dense.affine = map.clone();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use ndarray::array;

    #[test]
    fn a_pair_is_judged_by_its_own_two_scores() {
        let scores = array![[0.0, 1.0, 9.0], [0.0, 2.0, 1.0], [5.0, 0.0, 9.0]];
        let labels = Labels::new(array![1, 0, 0], 3).unwrap();
        assert!((pair_accuracy(scores.view(), &labels, (0, 1)) - 2.0 / 3.0).abs() < 1e-12);
    }
}
