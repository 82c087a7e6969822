//! Fisher vectors (Perronnin, Dance 2007; improved: Perronnin, Sánchez, Mensink 2010; Sánchez et al. 2013).
//!
//! Local descriptors x_1 … x_N of a region of the image, reduced to D numbers each, against a mixture of K Gaussians
//! with weights w, means μ and deviations σ that training descriptors taught. With the posteriors γ_i(k) the region
//! becomes 2 K D numbers, by how much the mixture would have to move to explain it:
//!
//! G_μ(k) = Σ_i γ_i(k) (x_i − μ_k) / σ_k / (N √w_k),
//! G_σ(k) = Σ_i γ_i(k) ((x_i − μ_k)² / σ_k² − 1) / (N √(2 w_k)).
//!
//! `improved` takes signed square roots and brings each region to length 1/√R, R regions, so that the whole has length 1.
//! A region without a descriptor, or whose gradient is zero, stays zero. d = R · 2 K D; layout: region, then G_μ of all
//! components, then G_σ of all. scikit-image's `fisher_vector` has another sign of G_σ and the gradient of the weights before.

use crate::MOST_NUMBERS;
use crate::local::prepared::{Buffers, Prepared, refused};
use crate::local::regions::Regions;
use crate::local::{Local, Place};
use bakeoff_core::params::NonNegative;
use bakeoff_core::{Encoder, ExtractError, Extractor, ImagesView, Recipe, RestoreError, Seed, Tensors};
use bakeoff_numeric::matmul_add_here;
use bakeoff_unsupervised::{Gmm, Mixture, Reduction};
use ndarray::{Array1, Array2, ArrayView2, ArrayViewMut2, Axis, s};
use pulp::{Simd, WithSimd};
use serde::{Deserialize, Serialize};
use std::num::NonZeroUsize;

/// Settings of Fisher vectors.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Fisher {
    /// Which descriptor, on which grid.
    pub local: Local,
    /// What is done to descriptors first.
    pub reduction: Reduction,
    /// Weight of a descriptor's place (shares of height and width) as two more numbers; 0 for none.
    pub place: NonNegative,
    /// K.
    pub components: NonZeroUsize,
    /// Rounds of expectation–maximisation at most.
    pub iterations: usize,
    /// Random descriptors of the training images from which reduction and mixture are learned.
    pub sample: NonZeroUsize,
    /// Grids of regions, (rows, columns) each.
    pub regions: Vec<(NonZeroUsize, NonZeroUsize)>,
    /// Whether square roots are taken and regions brought to one length.
    pub improved: bool,
}

impl Default for Fisher {
    fn default() -> Self {
        let some = |v| NonZeroUsize::new(v).unwrap_or(NonZeroUsize::MIN);
        Self {
            local: Local::default(),
            reduction: Reduction::Pca { dimensions: some(64), whiten: false },
            place: NonNegative::literal(0.0),
            components: some(64),
            iterations: 30,
            sample: some(200_000),
            regions: vec![(NonZeroUsize::MIN, NonZeroUsize::MIN)],
            improved: true,
        }
    }
}

impl Recipe for Fisher {
    const NAME: &'static str = "fisher";
    const SUMMARY: &'static str = "Fisher vectors of local descriptors against a Gaussian mixture, improved by default";
    const REFERENCE: &'static str = "lecture B6; Perronnin, Sánchez, Mensink 2010";
    const SEARCH: &'static str = "components = { choice = [16, 32, 64] }";
}

/// Descriptors an image that the source of the 2011 system speaks of.
const USUAL_DESCRIPTORS: usize = 10_000;

impl Extractor for Fisher {
    fn fit(&self, train: ImagesView<'_>, seed: Seed) -> Result<Box<dyn Encoder>, ExtractError> {
        let regions = Regions::new(&self.regions)?;
        let n = self.sample.get();
        let (prepared, rows) =
            Prepared::fit(&self.local, &self.reduction, self.place, train, n, seed.derive("sample"))?;
        let layout = self.layout(&prepared, &regions)?;
        let gmm = Gmm { components: self.components, iterations: self.iterations, ..Gmm::default() };
        let mixture = gmm.fit(rows.view(), seed.derive("mixture")).map_err(refused)?;
        Ok(Box::new(Fitted { shape: train.shape(), prepared, layout, mixture, improved: self.improved }))
    }

    fn is_deterministic(&self) -> bool {
        false
    }

    fn restore(&self, shape: (usize, usize, usize), mut learned: Tensors) -> Result<Box<dyn Encoder>, RestoreError> {
        let regions = Regions::new(&self.regions)?;
        let reduction = learned.part(REDUCTION);
        let prepared = Prepared::restore(&self.local, &self.reduction, self.place, shape, reduction)
            .map_err(|e| e.below(REDUCTION))?;
        let layout = self.layout(&prepared, &regions)?;
        let mixture = learned.part(MIXTURE);
        learned.finish()?;
        let mixture = Mixture::restore(self.components.get(), prepared.dim(), mixture).map_err(|e| e.below(MIXTURE))?;
        Ok(Box::new(Fitted { shape, prepared, layout, mixture, improved: self.improved }))
    }
}

/// Where the learned arrays of the parts stand.
const REDUCTION: &str = "reduction";
const MIXTURE: &str = "mixture";

impl Fisher {
    /// The layout of what an image becomes; refused when that would be too much.
    fn layout(&self, prepared: &Prepared, regions: &Regions) -> Result<Layout, ExtractError> {
        let components = self.components.get().saturating_mul(2);
        let total = regions.count().saturating_mul(components).saturating_mul(prepared.dim());
        if total > MOST_NUMBERS {
            let reason = format!("{total} numbers an image, {MOST_NUMBERS} are the most: fewer components or regions");
            return Err(ExtractError::refused(reason));
        }
        regions.check(prepared.places().len())?;
        Ok(Layout::new(prepared.places(), regions))
    }
}

/// Where the descriptors of every image are.
struct Layout {
    /// Positions of descriptors, atom after atom.
    order: Vec<usize>,
    /// Sets of places with the same regions: how many places, and which regions.
    atoms: Vec<(usize, Vec<usize>)>,
    /// Places a region.
    counts: Vec<usize>,
}

impl Layout {
    fn new(places: &[Place], regions: &Regions) -> Self {
        let of: Vec<Vec<usize>> = places.iter().map(|place| regions.of(place).collect()).collect();
        let mut order: Vec<usize> = (0..places.len()).collect();
        order.sort_by(|&a, &b| of[a].cmp(&of[b]));
        let atoms = order.chunk_by(|&a, &b| of[a] == of[b]).map(|atom| (atom.len(), of[atom[0]].clone())).collect();
        let mut counts = vec![0; regions.count()];
        of.iter().flatten().for_each(|&region| counts[region] += 1);
        Self { order, atoms, counts }
    }
}

/// Descriptors whose posteriors exist at a time: 1 MB of them with 1,024 components.
const BLOCK: usize = 256;

/// Sums over descriptors: Σ γ (K), and Σ γ [x, x²] (K, 2 D).
struct Sums {
    weights: Array1<f32>,
    moments: Array2<f32>,
}

impl Sums {
    fn zero(mixture: &Mixture) -> Self {
        Self { weights: Array1::zeros(mixture.len()), moments: Array2::zeros((mixture.len(), 2 * mixture.dim())) }
    }

    /// Adds descriptors x (n, D). Leaving out posteriors below 1e-6 was tried and is slower than the product, with 64
    /// components on CIFAR-10 and with 1,024 on random descriptors.
    fn add(&mut self, mixture: &Mixture, x: ArrayView2<'_, f32>) {
        let d = mixture.dim();
        let mut posteriors = Array2::zeros((BLOCK.min(x.nrows()), mixture.len()));
        let mut powers = Array2::zeros((posteriors.nrows(), 2 * d));
        for x in x.axis_chunks_iter(Axis(0), BLOCK) {
            let mut posteriors = posteriors.slice_mut(s![..x.nrows(), ..]);
            let mut powers = powers.slice_mut(s![..x.nrows(), ..]);
            mixture.posteriors_here(x, posteriors.view_mut());
            powers.slice_mut(s![.., ..d]).assign(&x);
            powers.slice_mut(s![.., d..]).zip_mut_with(&x, |square, &v| *square = v * v);
            matmul_add_here(posteriors.t(), powers.view(), self.moments.view_mut());
            posteriors.outer_iter().for_each(|row| self.weights += &row);
        }
    }

    fn add_sums(&mut self, other: &Self) {
        self.weights += &other.weights;
        self.moments += &other.moments;
    }

    /// Writes G_μ and G_σ (2 K D) of n descriptors.
    fn gradient(&self, mixture: &Mixture, n: usize, out: &mut [f32]) {
        let (k, d) = (mixture.len(), mixture.dim());
        let (of_means, of_deviations) = out.split_at_mut(k * d);
        let outputs = of_means.chunks_exact_mut(d).zip(of_deviations.chunks_exact_mut(d));
        let (means, variances) = (mixture.means(), mixture.variances());
        for (j, (of_means, of_deviations)) in outputs.enumerate() {
            let row_of = |all: ArrayView2<'_, f32>| all.row(j).to_vec();
            let (means, variances, moments) = (row_of(means), row_of(variances), row_of(self.moments.view()));
            let (means, variances, moments) = (&means[..], &variances[..], &moments[..]);
            let scale = 1.0 / (n.max(1) as f32 * mixture.weights()[j].sqrt());
            let component = Component { means, variances, moments, weight: self.weights[j], scale };
            pulp::Arch::new().dispatch(WriteGradient { component, of_means, of_deviations });
        }
    }
}

/// A component's parameters (D), its sums (2 D) and Σ γ.
struct Component<'a> {
    means: &'a [f32],
    variances: &'a [f32],
    moments: &'a [f32],
    weight: f32,
    scale: f32,
}

struct WriteGradient<'a> {
    component: Component<'a>,
    of_means: &'a mut [f32],
    of_deviations: &'a mut [f32],
}

impl WithSimd for WriteGradient<'_> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, _: S) {
        let Component { means, variances, moments, weight, scale } = self.component;
        let d = means.len();
        let (firsts, seconds) = moments.split_at(d);
        let (variances, seconds) = (&variances[..d], &seconds[..d]);
        let (of_means, of_deviations) = (&mut self.of_means[..d], &mut self.of_deviations[..d]);
        for i in 0..d {
            let centred = firsts[i] - weight * means[i];
            of_means[i] = scale * centred / variances[i].sqrt();
            // Σ γ (x − μ)² = Σ γ x² − μ (Σ γ x + Σ γ (x − μ)).
            let squares = seconds[i] - means[i] * (firsts[i] + centred);
            of_deviations[i] = scale * std::f32::consts::FRAC_1_SQRT_2 * (squares / variances[i] - weight);
        }
    }
}

/// The Fisher vector (2 K D) of one region's descriptors `x` (n, D) against `mixture`, on the calling thread: G_μ of all
/// components, then G_σ; `improved` takes signed square roots and brings it to length 1.
///
/// # Panics
/// When the descriptors do not have the mixture's columns.
pub fn fisher_vector(mixture: &Mixture, x: ArrayView2<'_, f32>, improved: bool) -> Vec<f32> {
    let mut sums = Sums::zero(mixture);
    sums.add(mixture, x);
    let mut out = vec![0.0; 2 * mixture.len() * mixture.dim()];
    sums.gradient(mixture, x.nrows(), &mut out);
    if improved {
        improve(&mut out, 1.0);
    }
    out
}

/// Signed square roots, then this length; zeros stay.
fn improve(values: &mut [f32], length: f32) {
    pulp::Arch::new().dispatch(Improve { values, length });
}

struct Improve<'a> {
    values: &'a mut [f32],
    length: f32,
}

impl WithSimd for Improve<'_> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, _: S) {
        // The square of a signed square root is its absolute value.
        let (sixteens, rest) = self.values.as_chunks::<16>();
        let mut sums = [0.0f64; 16];
        for values in sixteens {
            for i in 0..16 {
                sums[i] += f64::from(values[i].abs());
            }
        }
        let square = sums.iter().sum::<f64>() + rest.iter().map(|v| f64::from(v.abs())).sum::<f64>();
        let scale = if square > 0.0 { self.length / square.sqrt() as f32 } else { 0.0 };
        for value in self.values {
            *value = (value.abs().sqrt() * scale).copysign(*value);
        }
    }
}

struct Fitted {
    shape: (usize, usize, usize),
    prepared: Prepared,
    layout: Layout,
    mixture: Mixture,
    improved: bool,
}

impl Fitted {
    fn encode_one(&self, image: &[u8], buffers: &mut Buffers, out: &mut [f32]) {
        let x = self.prepared.of(image, buffers).select(Axis(0), &self.layout.order);
        let mut regions: Vec<Sums> = self.layout.counts.iter().map(|_| Sums::zero(&self.mixture)).collect();
        let mut start = 0;
        for (count, of) in &self.layout.atoms {
            let mut sums = Sums::zero(&self.mixture);
            sums.add(&self.mixture, x.slice(s![start..start + count, ..]));
            of.iter().for_each(|&region| regions[region].add_sums(&sums));
            start += count;
        }
        let length = 1.0 / (regions.len() as f32).sqrt();
        let parts = out.chunks_exact_mut(2 * self.mixture.len() * self.mixture.dim());
        for ((sums, &count), part) in regions.iter().zip(&self.layout.counts).zip(parts) {
            sums.gradient(&self.mixture, count, part);
            if self.improved {
                improve(part, length);
            }
        }
    }
}

impl Encoder for Fitted {
    fn dim(&self) -> usize {
        self.layout.counts.len() * 2 * self.mixture.len() * self.mixture.dim()
    }

    fn encode_into(&self, images: ImagesView<'_>, mut out: ArrayViewMut2<'_, f32>) {
        assert_eq!(images.shape(), self.shape, "images of the fitted size");
        assert_eq!(out.dim(), (images.len(), self.dim()), "one row of d numbers an image");
        let mut buffers = Buffers::default();
        for (image, mut row) in images.iter().zip(out.outer_iter_mut()) {
            self.encode_one(image, &mut buffers, row.as_slice_mut().expect("every row of out is contiguous"));
        }
    }

    fn learned(&self) -> Tensors {
        let parts = Tensors::new().with_part(REDUCTION, self.prepared.learned());
        parts.with_part(MIXTURE, self.mixture.learned())
    }

    fn model_bytes(&self) -> usize {
        self.prepared.model_bytes() + self.mixture.model_bytes()
    }

    fn notes(&self) -> Vec<String> {
        let n = self.layout.order.len();
        let (height, width, _) = self.shape;
        if n >= USUAL_DESCRIPTORS {
            return Vec::new();
        }
        vec![format!(
            "{n} local descriptors an image of {width}×{height} pixels, where the 2011 ImageNet winner had about {USUAL_DESCRIPTORS}"
        )]
    }
}

#[cfg(test)]
mod tests;
