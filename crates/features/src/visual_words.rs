//! Bag of visual words (Csurka, Dance, Fan, Willamowski, Bray 2004): local descriptors of training images are clustered
//! into k words; an image becomes how much of each word it shows, in each region.
//!
//! A descriptor x gives to word j, with z_j = ‖x − c_j‖:
//! - `hard`: 1 to the nearest word, the lowest among equals;
//! - `soft`: exp(−(z_j² − z_min²) / 2σ²) to its `neighbors` nearest words, divided by their sum (Liu, Wang, Liu 2011),
//!   with σ² = `softness` · the mean squared distance of the sample to its nearest word;
//! - `triangle`: max(0, mean(z) − z_j) (Coates, Lee, Ng 2011).
//!
//! These are summed over the descriptors whose centres lie in a region: d = R · k, region by region. The whole vector is
//! then left (`none`), divided by its sum (`l1`) or length (`l2`), or, `power`, its square roots are brought to length 1
//! (Perronnin, Sánchez, Mensink 2010). An image that shows nothing stays zero.
//!
//! Ignores where in a region something is. Fewer descriptors in the training images than words are refused.

mod kernel;

use crate::MOST_NUMBERS;
use crate::local::prepared::{Buffers, Prepared, refused};
use crate::local::regions::Regions;
use crate::local::{Local, Sift};
use bakeoff_core::params::{Fraction, NonNegative, Positive};
use bakeoff_core::tensors::check_values;
use bakeoff_core::{Encoder, ExtractError, Extractor, ImagesView, Recipe, RestoreError, Seed, Tensors};
use bakeoff_numeric::packed::Packed;
use bakeoff_unsupervised::{Codebook, KMeans, Reduction};
use ndarray::{Array2, ArrayView2, ArrayViewMut2, Axis};
use serde::{Deserialize, Serialize};
use std::num::NonZeroUsize;

/// How a descriptor is given to words.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Assign {
    /// Whole to the nearest.
    Hard,
    /// Shared between the nearest.
    Soft,
    /// To all that are nearer than the mean, by how much.
    #[default]
    Triangle,
}

/// What is done to the whole vector.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Norm {
    /// Nothing.
    #[default]
    None,
    /// Shares that sum to 1.
    L1,
    /// Length 1.
    L2,
    /// Square roots, then length 1.
    Power,
}

/// Settings of visual words.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct VisualWords {
    /// Which local descriptors.
    pub local: Local,
    /// What is done to them first.
    pub reduction: Reduction,
    /// Weight of a descriptor's place (shares of height and width) as two more numbers; 0 for none.
    pub place: NonNegative,
    /// Random descriptors of the training images from which reduction and words are learned.
    pub sample: NonZeroUsize,
    /// How words are found.
    pub codebook: KMeans,
    /// How a descriptor is given to words.
    pub assign: Assign,
    /// `soft`: nearest words that a descriptor is shared between.
    pub neighbors: NonZeroUsize,
    /// `soft`: σ² as a share of the mean squared distance to the nearest word.
    pub softness: Positive,
    /// Grids, (rows, columns) each, whose fields are the regions.
    pub regions: Vec<(NonZeroUsize, NonZeroUsize)>,
    /// What is done to the whole vector.
    pub norm: Norm,
}

impl Default for VisualWords {
    fn default() -> Self {
        let (one, two) = const { (NonZeroUsize::MIN, NonZeroUsize::new(2).expect("positive")) };
        Self {
            local: Local::Sift(Sift { overhang: Fraction::literal(0.25), ..Sift::default() }),
            reduction: Reduction::None {},
            place: NonNegative::literal(0.0),
            sample: const { NonZeroUsize::new(200_000).expect("positive") },
            codebook: KMeans { iterations: 20, ..KMeans::default() },
            assign: Assign::Triangle,
            neighbors: const { NonZeroUsize::new(5).expect("positive") },
            softness: Positive::literal(0.25),
            regions: vec![(one, one), (two, two)],
            norm: Norm::Power,
        }
    }
}

impl Recipe for VisualWords {
    const NAME: &'static str = "visual-words";
    const SUMMARY: &'static str = "how much of each cluster of local descriptors an image shows, by region";
    const REFERENCE: &'static str = "Csurka et al. 2004; Lazebnik, Schmid, Ponce 2006; Coates, Lee, Ng 2011";
    const SEARCH: &'static str = "assign = { choice = ['hard', 'soft', 'triangle'] }\n\
        norm = { choice = ['l2', 'power'] }";
}

impl Extractor for VisualWords {
    fn fit(&self, train: ImagesView<'_>, seed: Seed) -> Result<Box<dyn Encoder>, ExtractError> {
        let regions = Regions::new(&self.regions)?;
        self.dim(&regions)?;
        let (prepared, sample) = Prepared::fit(
            &self.local,
            &self.reduction,
            self.place,
            train,
            self.sample.get(),
            seed.derive("descriptors"),
        )?;
        let codebook = self.codebook.fit(sample.view(), seed.derive("words")).map_err(refused)?;
        let apart = codebook.inertia(sample.view()) / sample.nrows().max(1) as f64;
        let words = Words::new(codebook, sharpness(self.softness.get() * apart));
        Ok(Box::new(self.assembled(&regions, prepared, words, train.shape())?))
    }

    fn restore(&self, shape: (usize, usize, usize), mut learned: Tensors) -> Result<Box<dyn Encoder>, RestoreError> {
        let regions = Regions::new(&self.regions)?;
        self.dim(&regions)?;
        let reduction = learned.part(REDUCTION);
        let prepared = Prepared::restore(&self.local, &self.reduction, self.place, shape, reduction)
            .map_err(|e| e.below(REDUCTION))?;
        let centers = learned.matrix("words", self.codebook.k.get(), prepared.dim())?;
        let sharpness: f32 = learned.scalar("sharpness")?;
        learned.finish()?;
        check_values("sharpness", &[sharpness], "a number above 0", |v| v > 0.0)?;
        let codebook = Codebook::with_settings(&self.codebook, centers).map_err(refused)?;
        Ok(Box::new(self.assembled(&regions, prepared, Words::new(codebook, sharpness), shape)?))
    }

    fn is_deterministic(&self) -> bool {
        false
    }
}

/// Where the learned arrays of the reduction stand.
const REDUCTION: &str = "reduction";

impl VisualWords {
    /// d; refused when that would be too much.
    fn dim(&self, regions: &Regions) -> Result<usize, ExtractError> {
        let dim = regions.count().saturating_mul(self.codebook.k.get());
        if dim > MOST_NUMBERS {
            let reason = format!("{dim} numbers an image, {MOST_NUMBERS} are the most: fewer words or regions");
            return Err(ExtractError::refused(reason));
        }
        Ok(dim)
    }

    fn assembled(
        &self,
        regions: &Regions,
        prepared: Prepared,
        words: Words,
        shape: (usize, usize, usize),
    ) -> Result<Fitted, ExtractError> {
        regions.check(prepared.places().len())?;
        let of_place = prepared.places().iter().map(|place| regions.of(place).collect()).collect();
        Ok(Fitted { recipe: self.clone(), words, prepared, of_place, dim: self.dim(regions)?, shape })
    }
}

/// Words and how to measure distances to all of them.
struct Words {
    codebook: Codebook,
    /// x · c − ½‖c‖² by one product.
    packed: Packed,
    /// 1 / 2σ².
    sharpness: f32,
}

impl Words {
    fn new(codebook: Codebook, sharpness: f32) -> Self {
        let bias = |c: ndarray::ArrayView1<'_, f32>| -0.5 * c.iter().map(|v| f64::from(*v).powi(2)).sum::<f64>() as f32;
        let biases: Vec<f32> = codebook.centers().outer_iter().map(bias).collect();
        let packed = Packed::with_bias(codebook.centers().t(), &biases);
        Self { codebook, packed, sharpness }
    }
}

/// 1 / 2σ² of a variance σ². Without any spread every descriptor lies on its word, and the others get nothing.
fn sharpness(variance: f64) -> f32 {
    if variance > 0.0 { (0.5 / variance).min(f64::from(f32::MAX)) as f32 } else { f32::MAX }
}

struct Fitted {
    recipe: VisualWords,
    prepared: Prepared,
    words: Words,
    /// The regions of each place.
    of_place: Vec<Vec<usize>>,
    dim: usize,
    shape: (usize, usize, usize),
}

/// Descriptors whose products with all words are made together: they stay in the second cache.
const TOGETHER: usize = 48;

/// Buffers of one worker.
#[derive(Default)]
struct Room {
    descriptors: Buffers,
    ids: Vec<u32>,
    products: Array2<f32>,
}

impl Encoder for Fitted {
    fn dim(&self) -> usize {
        self.dim
    }

    fn encode_into(&self, images: ImagesView<'_>, mut out: ArrayViewMut2<'_, f32>) {
        assert_eq!(images.shape(), self.shape, "images of the fitted size");
        assert_eq!(out.dim(), (images.len(), self.dim), "one row of d numbers an image");
        let mut room = Room::default();
        for (image, mut row) in images.iter().zip(out.outer_iter_mut()) {
            let row = row.as_slice_mut().expect("every row of out is contiguous");
            row.fill(0.0);
            self.add_up(image, &mut room, row);
            normalise(row, self.recipe.norm);
        }
    }

    fn learned(&self) -> Tensors {
        Tensors::new()
            .with_part(REDUCTION, self.prepared.learned())
            .with("words", &self.words.codebook.centers())
            .with_slice("sharpness", &[self.words.sharpness])
    }

    fn model_bytes(&self) -> usize {
        self.prepared.model_bytes() + self.words.codebook.model_bytes()
    }
}

impl Fitted {
    /// What all descriptors of an image give, summed by region.
    fn add_up(&self, image: &[u8], room: &mut Room, row: &mut [f32]) {
        let Room { descriptors, ids, products } = room;
        let rows = self.prepared.of(image, descriptors);
        if self.recipe.assign == Assign::Hard {
            ids.resize(rows.nrows(), 0);
            self.words.codebook.nearest_here(rows, ids);
            let k = self.words.codebook.len();
            for (&id, regions) in ids.iter().zip(&self.of_place) {
                regions.iter().for_each(|region| row[region * k + id as usize] += 1.0);
            }
            return;
        }
        if products.nrows() == 0 {
            *products = Array2::zeros((TOGETHER.min(rows.nrows()), self.words.codebook.len()));
        }
        let blocks = rows.axis_chunks_iter(Axis(0), TOGETHER).zip(self.of_place.chunks(TOGETHER));
        for (rows, regions) in blocks {
            let products = &mut products.slice_mut(ndarray::s![..rows.nrows(), ..]);
            self.words.packed.multiply(rows, products.view_mut());
            self.share_out(rows, products.view_mut(), regions, row);
        }
    }

    fn share_out(
        &self,
        rows: ArrayView2<'_, f32>,
        products: ArrayViewMut2<'_, f32>,
        regions: &[Vec<usize>],
        out: &mut [f32],
    ) {
        let mut products = products;
        for ((x, mut product), regions) in rows.outer_iter().zip(products.outer_iter_mut()).zip(regions) {
            let product = product.as_slice_mut().expect("products are contiguous");
            let x = x.to_slice().expect("descriptors are contiguous");
            if self.recipe.assign == Assign::Triangle {
                kernel::triangle(x, product, regions, out);
            } else {
                kernel::soft(product, self.recipe.neighbors.get(), self.words.sharpness, regions, out);
            }
        }
    }
}

fn normalise(values: &mut [f32], norm: Norm) {
    if norm == Norm::Power {
        values.iter_mut().for_each(|v| *v = v.sqrt());
    }
    let sum = |of: fn(f64) -> f64| values.iter().map(|&v| of(f64::from(v))).sum::<f64>();
    let total = match norm {
        Norm::None => return,
        Norm::L1 => sum(|v| v),
        Norm::L2 | Norm::Power => sum(|v| v * v).sqrt(),
    };
    if total > 0.0 {
        let scale = (1.0 / total) as f32;
        values.iter_mut().for_each(|v| *v *= scale);
    }
}

#[cfg(test)]
mod tests;
