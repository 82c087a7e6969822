//! Random patches as a dictionary, with a rectifier (Coates, Ng 2011, "The importance of encoding versus training").
//!
//! Patches are normalised and whitened as in [`crate::kmeans_features`]. The words are k different random whitened
//! training patches brought to length 1 (a patch without contrast stays 0 and is never activated while α ≥ 0). A patch y
//! activates word w by max(0, w·y − α), and activations are averaged over the patches of each field of a grid, d = rows · columns · k;
//! layout: field row, field column, word. The paper also takes max(0, −w·y − α); here a word has one sign.

use crate::dictionary::{Activation, DictionaryEncoder, Settings, Whitened};
use bakeoff_core::params::{NonNegative, Positive};
use bakeoff_core::{Encoder, ExtractError, Extractor, ImagesView, Recipe, RestoreError, Seed, Tensors};
use bakeoff_numeric::Packed;
use ndarray::{Array2, Axis};
use rand::seq::index;
use serde::{Deserialize, Serialize};
use std::num::NonZeroUsize;

/// Settings of random patches.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct RandomPatches {
    /// Words.
    pub k: NonZeroUsize,
    /// Side of a patch in pixels.
    pub side: NonZeroUsize,
    /// Pixels from one patch to the next.
    pub step: NonZeroUsize,
    /// Fields of the image in which activations are averaged, (rows, columns).
    pub grid: (NonZeroUsize, NonZeroUsize),
    /// α, products up to which a word is silent.
    pub threshold: NonNegative,
    /// Random training patches for whitening, from which the words are drawn.
    pub samples: NonZeroUsize,
    /// What whitening adds to each eigenvalue of the covariance.
    pub epsilon: NonNegative,
    /// Share of the whitened variance that is kept; 1 and above for all of it.
    pub keep: Positive,
}

impl Default for RandomPatches {
    fn default() -> Self {
        let some = |v| NonZeroUsize::new(v).unwrap_or(NonZeroUsize::MIN);
        Self {
            k: some(400),
            side: some(6),
            step: NonZeroUsize::MIN,
            grid: (some(2), some(2)),
            threshold: NonNegative::literal(0.25),
            samples: some(100_000),
            epsilon: NonNegative::literal(0.1),
            keep: Positive::literal(1.0),
        }
    }
}

impl Recipe for RandomPatches {
    const NAME: &'static str = "random-patches";
    const SUMMARY: &'static str = "products with random whitened training patches, rectified and averaged on a grid";
    const REFERENCE: &'static str = "Coates, Ng 2011";
    const SEARCH: &'static str = "k = { choice = [200, 400, 800] }\n\
        threshold = { uniform = [0.0, 0.5] }\n\
        epsilon = { log_uniform = [1e-2, 1.0] }";
}

impl Extractor for RandomPatches {
    fn fit(&self, train: ImagesView<'_>, seed: Seed) -> Result<Box<dyn Encoder>, ExtractError> {
        let Self { k, threshold, .. } = *self;
        let (whitened, patches) = Whitened::fit(&self.settings(), k.get(), train, seed)?;
        let chosen = index::sample(&mut seed.derive("words").rng(), patches.nrows(), k.get()).into_vec();
        let words = unit_rows(patches.select(Axis(0), &chosen));
        let biases = vec![-threshold.get() as f32; k.get()];
        let words = Packed::with_bias(words.t(), &biases);
        Ok(Box::new(DictionaryEncoder::new(whitened, words, Activation::Rectifier)))
    }

    fn is_deterministic(&self) -> bool {
        false
    }

    fn restore(&self, shape: (usize, usize, usize), learned: Tensors) -> Result<Box<dyn Encoder>, RestoreError> {
        let k = self.k.get();
        Ok(Box::new(DictionaryEncoder::restore(&self.settings(), k, Activation::Rectifier, shape, learned)?))
    }
}

impl RandomPatches {
    fn settings(&self) -> Settings {
        let Self { side, step, grid, samples, epsilon, keep, .. } = *self;
        Settings { side, step, samples, epsilon, keep, grid }
    }
}

/// Rows brought to length 1; those of length 0 stay.
pub(crate) fn unit_rows(mut rows: Array2<f32>) -> Array2<f32> {
    for mut row in rows.outer_iter_mut() {
        let length = row.iter().map(|v| f64::from(*v) * f64::from(*v)).sum::<f64>().sqrt() as f32;
        if length > 0.0 {
            row.mapv_inplace(|v| v / length);
        }
    }
    rows
}
