//! Features that compare every patch of an image with a dictionary: what k-means features and random patches share.
//!
//! Patches are contrast-normalised, (v − mean) / √(variance + 10) over the numbers of a patch (intensities from 0 to 255,
//! variance divided by the count), and whitened: y = (Λ + ε)^−½ Vᵀ (x − m), with mean m and
//! covariance V Λ Vᵀ of a sample of training patches. This is ZCA whitening up to the rotation V, which changes neither
//! lengths nor products, so neither the clusters of k-means nor any feature. Of the components in falling order of Λ
//! only the first are kept that hold the share `keep` of the whitened variance Σ λ / (λ + ε): the others are those that
//! ε has all but shrunk to nothing. A patch belongs to the field of the grid in which its centre lies.

mod kernel;

use crate::MOST_NUMBERS;
use crate::local::regions::Regions;
use crate::local::sample::sample;
use crate::local::{Describe, Local, Patches};
use bakeoff_core::params::{NonNegative, Positive};
use bakeoff_core::{Encoder, ExtractError, ImagesView, RestoreError, Seed, Tensors};
use bakeoff_numeric::Packed;
use bakeoff_unsupervised::{Reduction, UnsupervisedError};
use kernel::Scratch;
use ndarray::{Array2, ArrayView2, ArrayViewMut2, Axis, s};
use rayon::prelude::*;
use std::num::NonZeroUsize;

pub(crate) use kernel::Activation;

/// Which patches, and how they are whitened and summed.
pub(crate) struct Settings {
    pub(crate) side: NonZeroUsize,
    pub(crate) step: NonZeroUsize,
    pub(crate) samples: NonZeroUsize,
    pub(crate) epsilon: NonNegative,
    pub(crate) keep: Positive,
    pub(crate) grid: (NonZeroUsize, NonZeroUsize),
}

/// Patches of images of one size and what whitens them.
pub(crate) struct Whitened {
    plan: Box<dyn Describe>,
    shape: (usize, usize, usize),
    /// (d, r), each component divided by √(λ + ε); the biases take the mean off.
    whitening: Packed,
    /// Patches of each field.
    fields: Vec<Vec<usize>>,
}

/// Rows that one worker whitens at a time.
const BLOCK: usize = 1024;

impl Whitened {
    /// Learns the whitening from random training patches and returns those too, whitened (n, r).
    pub(crate) fn fit(
        settings: &Settings,
        k: usize,
        images: ImagesView<'_>,
        seed: Seed,
    ) -> Result<(Self, Array2<f32>), ExtractError> {
        let plan = plan(settings, images.shape())?;
        let fields = fields(settings.grid, plan.as_ref(), k)?;
        let mut patches = sample(plan.as_ref(), images, settings.samples.get(), seed.derive("patches"));
        if patches.nrows() <= 1 || patches.nrows() < k {
            let reason = format!("{} training patches, {k} words need as many and at least 2", patches.nrows());
            return Err(ExtractError::refused(reason));
        }
        let d = patches.ncols();
        let rows = patches.as_slice_mut().into_iter().flat_map(|values| values.chunks_mut(BLOCK * d));
        rows.collect::<Vec<_>>().into_par_iter().for_each(|rows| kernel::normalise(rows, d));
        let whitening = whitening(patches.view(), settings).map_err(|e| ExtractError::refused(e.to_string()))?;
        let mut whitened = Array2::zeros((patches.nrows(), whitening.outputs()));
        let blocks = patches.axis_chunks_iter(Axis(0), BLOCK).into_par_iter();
        let whitened_blocks = whitened.axis_chunks_iter_mut(Axis(0), BLOCK);
        blocks.zip(whitened_blocks).for_each(|(rows, out)| whitening.multiply(rows, out));
        Ok((Self { plan, shape: images.shape(), whitening, fields }, whitened))
    }
}

fn plan(settings: &Settings, shape: (usize, usize, usize)) -> Result<Box<dyn Describe>, ExtractError> {
    let (height, width, _) = shape;
    let Settings { side, step, .. } = *settings;
    if side.get() > height.min(width) {
        let reason = format!("patches of {side}×{side} pixels do not fit into images of {height}×{width}");
        return Err(ExtractError::refused(reason));
    }
    Local::Patches(Patches { side, step, normalised: false, ..Patches::default() }).plan(shape)
}

/// The patches of each field of the grid.
fn fields(grid: (NonZeroUsize, NonZeroUsize), plan: &dyn Describe, k: usize) -> Result<Vec<Vec<usize>>, ExtractError> {
    let regions = Regions::new(&[grid])?;
    if regions.count().checked_mul(k).is_none_or(|numbers| numbers > MOST_NUMBERS) {
        let reason = format!("more than {MOST_NUMBERS} numbers an image: fewer words or a coarser grid");
        return Err(ExtractError::refused(reason));
    }
    let mut fields = vec![Vec::new(); regions.count()];
    for (patch, place) in plan.places().iter().enumerate() {
        regions.of(place).for_each(|field| fields[field].push(patch));
    }
    Ok(fields)
}

/// The matrix (d, r) that whitens, with biases that take the mean off.
fn whitening(patches: ArrayView2<'_, f32>, settings: &Settings) -> Result<Packed, UnsupervisedError> {
    let (n, d) = patches.dim();
    let dimensions = NonZeroUsize::new(d.min(n - 1)).unwrap_or(NonZeroUsize::MIN);
    let components = Reduction::Pca { dimensions, whiten: false }.fit(patches)?;
    let (values, epsilon) = (components.explained_variance(), settings.epsilon.get());
    let kept = kept(values, epsilon, settings.keep.get());
    let (Some(matrix), Some(mean)) = (components.matrix(), components.mean()) else {
        return Ok(Packed::new(Array2::zeros((d, 1)).view()));
    };
    let mut matrix = matrix.slice(s![.., ..kept]).mapv(f64::from);
    for (mut column, &value) in matrix.axis_iter_mut(Axis(1)).zip(values) {
        // Without ε, a component without variance is left out.
        let scale = if value.max(0.0) + epsilon > NO_VARIANCE { 1.0 / (value.max(0.0) + epsilon).sqrt() } else { 0.0 };
        column.mapv_inplace(|v| v * scale);
    }
    let offset =
        |column: ndarray::ArrayView1<'_, f64>| -column.iter().zip(mean).map(|(v, &m)| v * f64::from(m)).sum::<f64>();
    let biases: Vec<f32> = matrix.axis_iter(Axis(1)).map(|column| offset(column) as f32).collect();
    Ok(Packed::with_bias(matrix.mapv(|v| v as f32).view(), &biases))
}

/// Variance of normalised patches, whose values have about unit variance, that is rounding alone.
const NO_VARIANCE: f64 = 1e-7;

/// The least number of components (at least 1) that hold the share `keep` of the whitened variance.
fn kept(values: &[f64], epsilon: f64, keep: f64) -> usize {
    let whitened = |&value: &f64| if value > NO_VARIANCE { value / (value + epsilon) } else { 0.0 };
    let total: f64 = values.iter().map(whitened).sum();
    let mut held = 0.0;
    let reaches = |value: &f64| {
        held += whitened(value);
        held >= keep * total
    };
    if keep >= 1.0 {
        return values.len();
    }
    values.iter().position(reaches).map_or(values.len(), |last| last + 1)
}

/// Patches, a dictionary and what is summed of their comparison.
pub(crate) struct DictionaryEncoder {
    whitened: Whitened,
    /// (r, k) with biases, as the activation asks for.
    words: Packed,
    activation: Activation,
}

impl DictionaryEncoder {
    pub(crate) fn new(whitened: Whitened, words: Packed, activation: Activation) -> Self {
        Self { whitened, words, activation }
    }

    /// The encoder of k words for images of this shape that its [`Encoder::learned`] came from.
    pub(crate) fn restore(
        settings: &Settings,
        k: usize,
        activation: Activation,
        shape: (usize, usize, usize),
        mut learned: Tensors,
    ) -> Result<Self, RestoreError> {
        let plan = plan(settings, shape)?;
        let fields = fields(settings.grid, plan.as_ref(), k)?;
        let matrix = learned.matrix("whitening", plan.dim(), None)?;
        let r = matrix.ncols();
        let offsets: Vec<f32> = learned.vector("whitening_bias", r)?;
        let words = learned.matrix("words", r, k)?;
        let biases: Vec<f32> = learned.vector("words_bias", k)?;
        learned.finish()?;
        let whitening = Packed::with_bias(matrix.view(), &offsets);
        let words = Packed::with_bias(words.view(), &biases);
        Ok(Self::new(Whitened { plan, shape, whitening, fields }, words, activation))
    }
}

impl Encoder for DictionaryEncoder {
    fn dim(&self) -> usize {
        self.whitened.fields.len() * self.words.outputs()
    }

    fn encode_into(&self, images: ImagesView<'_>, mut out: ArrayViewMut2<'_, f32>) {
        let Whitened { plan, shape, whitening, fields } = &self.whitened;
        assert_eq!(images.shape(), *shape, "images of the fitted size");
        assert_eq!(out.dim(), (images.len(), self.dim()), "one row of d numbers an image");
        let (mut describing, mut patches) = (Vec::new(), vec![0.0; plan.places().len() * plan.dim()]);
        let mut scratch = Scratch::new(whitening, &self.words);
        for (image, mut row) in images.iter().zip(out.outer_iter_mut()) {
            let row = row.as_slice_mut().expect("every row of out is contiguous");
            plan.describe(image, &mut describing, &mut patches);
            kernel::normalise(&mut patches, plan.dim());
            for (field, sums) in fields.iter().zip(row.chunks_exact_mut(self.words.outputs())) {
                kernel::encode(whitening, &self.words, self.activation, &patches, field, &mut scratch, sums);
                if self.activation == Activation::Rectifier {
                    let share = 1.0 / field.len().max(1) as f32;
                    sums.iter_mut().for_each(|sum| *sum *= share);
                }
            }
        }
    }

    /// The matrix (d, r) that whitens and the words (r, k), each with its biases.
    fn learned(&self) -> Tensors {
        let put = |all: Tensors, name: &str, packed: &Packed| {
            let (matrix, bias) = packed.unpacked();
            all.with(name, &matrix).with_slice(format!("{name}_bias"), bias)
        };
        put(put(Tensors::new(), "whitening", &self.whitened.whitening), "words", &self.words)
    }

    fn model_bytes(&self) -> usize {
        let numbers = |m: &Packed| (m.inputs() + 1) * m.outputs();
        (numbers(&self.whitened.whitening) + numbers(&self.words)) * size_of::<f32>()
    }
}

#[cfg(test)]
mod tests;
