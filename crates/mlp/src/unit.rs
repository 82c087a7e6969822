//! One affine map in training, with what follows it unit by unit: batch norm, activation, dropout, and their way back.
//!
//! All of it works on one unit's numbers over the batch, so it is done to each band of the product's output while that is
//! in the cache, forward and backward, and no array is read twice.
//!
//! Beyond the batch's last row, lines hold whatever was there; sums stop before it and products never read it.

use crate::activation::Activation;
use crate::network::{Affine, BatchNorm, EPSILON};
use crate::parameter::{Parameter, View};
use bakeoff_core::{Seed, parallel};
use bakeoff_numeric::element::vectorised;
use bakeoff_numeric::panels::TileWork;
use bakeoff_numeric::panels::{BAND, Band, Line, PANEL, multiply, multiply_tiles, multiply_transposed, transpose};
use bakeoff_numeric::sparse::{multiply_tiles_sparse, multiply_transposed_sparse};
use bakeoff_numeric::{Element, Nonzeros, Panels, Pieces, Precision, Step, pieces};
use ndarray::Array1;
use rand::RngCore;

/// The share by which a batch's statistics enter the running ones, as in PyTorch.
const MOMENTUM: f64 = 0.1;

/// The share of derivatives that are not 0 below which a weight gradient leaves the others out. At a half it then takes 0.83 to 0.97 of
/// the dense product's time on a Zen 4, with its lists (`cargo bench -p bakeoff-benches --bench limit -- multiply-tiles`).
pub(crate) const SPARSE_GRADIENT: f64 = 0.6;

/// The same for the product on the way back, which reads more than the first cache holds: at a half it takes 1.2 times as long
/// as the dense one (`-- multiply-transposed`).
pub(crate) const SPARSE_BACK: f64 = 0.4;

/// The same for both where the dense product is made in pieces: in three it takes 0.6 to 0.8 of that of vectors (`-- multiply-tiles`); in one,
/// which is faster, the share was not looked for.
const SPARSE_IN_PIECES: f64 = 0.3;

/// What flows between stages, in both orders: the next product reads one and its weights' gradient the other.
#[derive(Debug, Clone)]
pub(crate) struct Signal<T> {
    /// (units, batch).
    pub(crate) a: Panels<T>,
    /// (batch, units).
    pub(crate) at: Panels<T>,
}

impl<T: Element> Signal<T> {
    pub(crate) fn new(units: usize, batch: usize) -> Self {
        Self { a: Panels::zeros(units, batch), at: Panels::zeros(batch, units) }
    }

    /// Takes another number of rows, at most those it was made for.
    pub(crate) fn set_batch(&mut self, n: usize) {
        self.a.set_columns(n);
        self.at.set_rows(n);
    }
}

/// A batch norm in training.
#[derive(Debug)]
pub(crate) struct Norm<T> {
    pub(crate) gamma: Parameter<T>,
    pub(crate) beta: Parameter<T>,
    /// Mean and variance of each unit, running.
    pub(crate) running: [Vec<T>; 2],
    /// Their exponential moving averages, where averages are kept.
    pub(crate) averages: [Vec<T>; 2],
    /// The normalised numbers (units, batch).
    normed: Panels<T>,
    /// 1 / √(variance + ε) of each unit.
    inverse: Vec<T>,
}

/// An affine map and what follows it.
#[derive(Debug)]
pub(crate) struct Unit<T> {
    pub(crate) w: Parameter<T>,
    pub(crate) b: Parameter<T>,
    pub(crate) norm: Option<Norm<T>>,
    activation: Activation,
    /// The share of outputs that a step leaves out; the others are multiplied by 1 / (1 − share).
    dropout: f64,
    /// What goes on, after dropout.
    pub(crate) out: Signal<T>,
    /// What the activation saw, where its derivative needs it; else empty.
    z: Panels<T>,
    /// 0 or 1 / (1 − share); empty without dropout.
    pub(crate) mask: Panels<T>,
    /// The derivative with respect to the outputs, and after the way back to the affine map's result.
    pub(crate) delta: Panels<T>,
    /// Numbers of `delta` that are not 0, band by band; empty where zeros are not to be expected.
    counts: Vec<usize>,
    /// What of `delta` is not 0, by units and by rows of the batch, where products read it so.
    nonzeros: Nonzeros<T>,
    nonzeros_of_rows: Nonzeros<T>,
    /// Operands of products in pieces, where those pay.
    left: Pieces,
    right: Pieces,
    precision: Precision,
    /// Whether a product of (m, k) by (k, n) is made in pieces.
    in_pieces: fn(Precision, usize, usize, usize) -> bool,
}

/// Parts of a unit's arrays that belong to one band of the forward product.
struct Forward<'a, T> {
    at: Option<&'a mut [Line<T>]>,
    z: Option<Band<'a, T>>,
    norm: Option<NormBand<'a, T>>,
}

struct NormBand<'a, T> {
    normed: Band<'a, T>,
    inverse: &'a mut [T],
    mean: &'a mut [T],
    variance: &'a mut [T],
}

impl<T: Element> Unit<T> {
    /// Room for `batch` rows.
    pub(crate) fn new(
        affine: &Affine<T>,
        norm: Option<&BatchNorm<T>>,
        activation: Activation,
        dropout: f64,
        batch: usize,
    ) -> Self {
        let (units, _) = affine.dim();
        let panels = |wanted: bool| if wanted { Panels::zeros(units, batch) } else { Panels::zeros(0, 0) };
        Self {
            w: Parameter::weights(affine.w.view()),
            b: Parameter::vector(&affine.b),
            norm: norm.map(|norm| Norm::new(norm, batch)),
            activation,
            dropout,
            out: Signal::new(units, batch),
            z: panels(activation.needs_input()),
            mask: panels(dropout > 0.0),
            delta: panels(true),
            // A norm's way back leaves no zeros.
            counts: if norm.is_none() && (activation == Activation::Relu || dropout > 0.0) {
                vec![0; units.div_ceil(PANEL)]
            } else {
                Vec::new()
            },
            nonzeros: Nonzeros::default(),
            nonzeros_of_rows: Nonzeros::default(),
            left: Pieces::default(),
            right: Pieces::default(),
            precision: Precision::default(),
            in_pieces: Precision::in_pieces::<T>,
        }
    }

    /// Has products be as exact as this from now on.
    pub(crate) fn set_precision(&mut self, precision: Precision) {
        self.precision = precision;
        self.left = Pieces::new(precision);
        self.right = Pieces::new(precision);
    }

    /// The map as it is now.
    pub(crate) fn affine(&self, view: View) -> Affine<T> {
        Affine { w: self.w.array(view), b: self.b.array(view).into_iter().collect() }
    }

    fn set_batch(&mut self, n: usize) {
        self.out.set_batch(n);
        self.delta.set_columns(n);
        self.z.set_columns(n);
        self.mask.set_columns(n);
        if let Some(norm) = &mut self.norm {
            norm.normed.set_columns(n);
        }
    }

    /// out ← dropout(φ(norm(W input + b))) + `beside`. A `draw` gives the mask of dropout; without, the last one stays.
    pub(crate) fn forward(&mut self, input: &Signal<T>, beside: Option<&Panels<T>>, draw: Option<Seed>) {
        let n = input.a.dim().1;
        self.set_batch(n);
        if let Some(seed) = draw {
            self.draw_mask(seed);
        }
        let in_pieces = self.is_in_pieces(n);
        let Self { w, b, norm, activation, out, z, mask, right, .. } = self;
        let (units, activation) = (w.value.dim().0, *activation);
        let bands = units.div_ceil(BAND);
        let mut ats = out.at.lines_mut().chunks_mut((BAND / PANEL * n).max(1));
        let mut zs = z.bands_mut(BAND).into_iter();
        let mut norms = norm.as_mut().map(Norm::parts).map(|(parts, gamma, beta)| (parts.into_iter(), gamma, beta));
        let extras: Vec<Forward<'_, T>> = (0..bands)
            .map(|_| Forward {
                at: ats.next(),
                z: zs.next(),
                norm: norms.as_mut().and_then(|(parts, ..)| parts.next()),
            })
            .collect();
        let scales = norms.map(|(_, gamma, beta)| (gamma, beta));
        let (bias, mask) = (b.as_slice(), &*mask);
        let finish = |mut band: Band<'_, T>, mut extra: Forward<'_, T>| {
            vectorised(|| {
                add_bias(&mut band, bias);
                if let (Some(norm), Some((gamma, beta))) = (&mut extra.norm, scales) {
                    normalise(&mut band, norm, gamma, beta, n);
                }
                activate(&mut band, extra.z.as_mut(), activation);
                each_line(&mut band, mask, |a, mask| *a *= mask);
                beside.into_iter().for_each(|x| each_line(&mut band, x, |a, x| *a += x));
                extra.at.into_iter().for_each(|at| write_transposed(&band, at, n));
            });
        };
        if in_pieces {
            right.assign_right(&input.a);
            pieces::multiply(&w.value, right, &mut out.a, extras, finish);
        } else {
            multiply(&w.value, &input.a, &mut out.a, extras, finish);
        }
    }

    /// Whether products with a batch of n rows are made in pieces.
    fn is_in_pieces(&self, n: usize) -> bool {
        let (units, inputs) = self.w.value.dim();
        (self.in_pieces)(self.precision, units, inputs, n)
    }

    /// Draws which outputs stay, each line from a stream of its own.
    fn draw_mask(&mut self, seed: Seed) {
        let (share, keep) = (self.dropout, T::of(1.0 / (1.0 - self.dropout)));
        let least = (share * 4_294_967_296.0) as u64;
        parallel::for_each(self.mask.lines_mut().chunks_mut(BAND).enumerate().collect(), |(i, lines)| {
            let mut rng = seed.nth(i).rng();
            for value in lines.as_flattened_mut() {
                *value = if u64::from(rng.next_u32()) < least { T::zero() } else { keep };
            }
        });
    }

    /// delta ← Wᵀ Δ of the map above, and back through everything to this map's result.
    pub(crate) fn take_from(&mut self, above: &mut Self) {
        let (delta, extras, back) = self.back(PANEL);
        above.multiply_back(delta, extras, |band, sums| back.band(band, sums));
    }

    /// delta ← Wᵀ Δ of this map, band by band of 32 rows.
    pub(crate) fn multiply_back<E: Send>(
        &mut self,
        delta: &mut Panels<T>,
        extras: Vec<E>,
        finish: impl Fn(&mut Band<'_, T>, E) + Sync,
    ) {
        let finish = |mut band: Band<'_, T>, extra| finish(&mut band, extra);
        // With three pieces it was not made and not measured.
        let in_pieces = self.precision == Precision::Bf16 && self.is_in_pieces(delta.dim().1);
        let is_sparse = self.density() < if in_pieces { SPARSE_IN_PIECES } else { SPARSE_BACK };
        let Self { w, delta: own, nonzeros_of_rows, right, .. } = self;
        if is_sparse {
            nonzeros_of_rows.assign_transposed(own);
            multiply_transposed_sparse(&w.value, nonzeros_of_rows, delta, extras, finish);
        } else if in_pieces {
            right.assign_right(own);
            pieces::multiply_transposed(&w.value, right, delta, extras, finish);
        } else {
            multiply_transposed(&w.value, own, delta, extras, finish);
        }
    }

    /// The share of the derivatives that are not 0; 1 where they were not counted.
    pub(crate) fn density(&self) -> f64 {
        let (units, n) = self.delta.dim();
        let counted = self.counts.iter().sum::<usize>() as f64 / (units * n) as f64;
        if self.counts.is_empty() { 1.0 } else { counted }
    }

    /// The same for derivatives with respect to the outputs that stand in `delta` already.
    pub(crate) fn settle(&mut self) {
        let (delta, extras, back) = self.back(BAND);
        let tasks = delta.bands_mut(BAND).into_iter().zip(extras).collect();
        parallel::for_each(tasks, |(mut band, sums)| back.band(&mut band, sums));
    }

    /// The derivatives, where each band's sums go, and what the way back reads.
    fn back(&mut self, band: usize) -> (&mut Panels<T>, Vec<Sums<'_, T>>, Back<'_, T>) {
        let Self { b, norm, activation, dropout, out, z, mask, delta, counts, .. } = self;
        let units = b.value.dim().1;
        counts.fill(0);
        let mut counts = counts.iter_mut();
        let n = out.a.dim().1;
        let mut biases = b.gradient.flat_mut()[..units].chunks_mut(band);
        let norm_back = norm.as_mut().map(|norm| {
            let Norm { gamma, beta, normed, inverse, .. } = norm;
            let gammas = gamma.gradient.flat_mut()[..units].chunks_mut(band);
            let betas = beta.gradient.flat_mut()[..units].chunks_mut(band);
            (gammas.zip(betas), NormBack { gamma: &gamma.value.flat()[..units], normed, inverse })
        });
        let (mut norm_sums, norm) = norm_back.unzip();
        let extras = (0..units.div_ceil(band))
            .map(|_| Sums {
                bias: biases.next().unwrap_or_default(),
                count: counts.next(),
                norm: norm_sums.as_mut().and_then(Iterator::next),
            })
            .collect();
        let back = Back { n, activation: *activation, dropout: *dropout, a: &out.a, z, mask, norm };
        (delta, extras, back)
    }

    /// Moves W by its gradient Δ inputᵀ, tile by tile as the product is made, so that the gradient is never written down.
    pub(crate) fn step_weights(&mut self, input: &Signal<T>, step: &Step<T>) {
        let step = self.w.own_step(step);
        if self.w.second.lines().is_empty() {
            self.gradient_tiles(&input.at, |w| [&mut w.value, &mut w.first], &step);
        } else {
            self.gradient_tiles(&input.at, |w| [&mut w.value, &mut w.first, &mut w.second], &step);
        }
    }

    /// Hands on the tiles of W's gradient with those of its memory.
    fn gradient_tiles<const N: usize>(
        &mut self,
        at: &Panels<T>,
        memory: impl Fn(&mut Parameter<T>) -> [&mut Panels<T>; N],
        each: &impl TileWork<T, N>,
    ) {
        let in_pieces = self.is_in_pieces(at.dim().0);
        let is_sparse = self.density() < if in_pieces { SPARSE_IN_PIECES } else { SPARSE_GRADIENT };
        let Self { w, delta, nonzeros, left, right, .. } = self;
        let memory = memory(w);
        if is_sparse {
            nonzeros.assign(delta);
            multiply_tiles_sparse(nonzeros, at, memory, each);
        } else if in_pieces {
            left.assign_left(delta);
            right.assign_right(at);
            pieces::multiply_tiles(left, right, memory, each);
        } else {
            multiply_tiles(delta, at, memory, each);
        }
    }

    /// Writes the gradient of W down, for those who need all gradients before the first step.
    pub(crate) fn keep_gradient(&mut self, input: &Signal<T>) {
        let bands = vec![(); self.w.value.dim().0.div_ceil(BAND)];
        let in_pieces = self.is_in_pieces(input.at.dim().0);
        let Self { w, delta, right, .. } = self;
        if in_pieces {
            right.assign_right(&input.at);
            pieces::multiply(delta, right, &mut w.gradient, bands, |_, ()| ());
        } else {
            multiply(delta, &input.at, &mut w.gradient, bands, |_, ()| ());
        }
    }

    /// All parameters in a fixed order.
    pub(crate) fn parameters(&mut self) -> Vec<&mut Parameter<T>> {
        let mut all = vec![&mut self.w, &mut self.b];
        all.extend(self.norm.iter_mut().flat_map(|norm| [&mut norm.gamma, &mut norm.beta]));
        all
    }

    /// Has every product be made in pieces from now on, or none.
    #[cfg(test)]
    pub(crate) fn take_pieces(&mut self, always: bool) {
        self.in_pieces = if always { |_, _, _, _| true } else { |_, _, _, _| false };
    }

    /// Has every product take all derivatives from now on.
    #[cfg(test)]
    pub(crate) fn forget_counts(&mut self) {
        self.counts = Vec::new();
    }
}

impl<T: Element> Norm<T> {
    fn new(norm: &BatchNorm<T>, batch: usize) -> Self {
        let units = norm.gamma.len();
        Self {
            gamma: Parameter::vector(&norm.gamma),
            beta: Parameter::vector(&norm.beta),
            running: [norm.mean.to_vec(), norm.variance.to_vec()],
            averages: [norm.mean.to_vec(), norm.variance.to_vec()],
            normed: Panels::zeros(units, batch),
            inverse: vec![T::zero(); units],
        }
    }

    /// The norm as it is now.
    pub(crate) fn batch_norm(&self, view: View) -> BatchNorm<T> {
        let [mean, variance] = match view {
            View::Value => self.running.clone(),
            View::Average => self.averages.clone(),
            View::Gradient => self.running.clone().map(|values| vec![T::zero(); values.len()]),
        };
        let vector = |p: &Parameter<T>| p.array(view).into_iter().collect::<Array1<T>>();
        BatchNorm { gamma: vector(&self.gamma), beta: vector(&self.beta), mean: mean.into(), variance: variance.into() }
    }

    /// Its arrays by bands, γ and β.
    fn parts(&mut self) -> (Vec<NormBand<'_, T>>, &[T], &[T]) {
        let Self { gamma, beta, running: [mean, variance], normed, inverse, .. } = self;
        let statistics = mean.chunks_mut(BAND).zip(variance.chunks_mut(BAND)).zip(inverse.chunks_mut(BAND));
        let bands = normed.bands_mut(BAND).into_iter().zip(statistics);
        let parts = bands.map(|(normed, ((mean, variance), inverse))| NormBand { normed, inverse, mean, variance });
        (parts.collect(), gamma.as_slice(), beta.as_slice())
    }
}

#[inline(always)]
fn add_bias<T: Element>(band: &mut Band<'_, T>, bias: &[T]) {
    let bias = &bias[band.first..];
    for lines in &mut band.panels {
        for (line, &b) in lines.iter_mut().zip(bias) {
            line.iter_mut().for_each(|z| *z += b);
        }
    }
}

/// Calls `each` with the numbers of the band and those in the same places of `other`; nothing where that is empty.
#[inline(always)]
fn each_line<T: Element>(band: &mut Band<'_, T>, other: &Panels<T>, each: impl Fn(&mut T, T)) {
    if other.lines().is_empty() {
        return;
    }
    for (id, lines) in band.panels.iter_mut().enumerate() {
        let other = other.panel(id)[band.first..].as_flattened();
        lines.as_flattened_mut().iter_mut().zip(other).for_each(|(a, &b)| each(a, b));
    }
}

#[inline(always)]
fn activate<T: Element>(band: &mut Band<'_, T>, mut keep: Option<&mut Band<'_, T>>, activation: Activation) {
    for (id, lines) in band.panels.iter_mut().enumerate() {
        if let Some(z) = keep.as_mut().and_then(|keep| keep.panels.get_mut(id)) {
            z.copy_from_slice(lines);
        }
        activation.value(lines.as_flattened_mut());
    }
}

/// The sum of f over the first n numbers of one row of a band: lane by lane, then over the lanes.
#[inline(always)]
fn row_sum<T: Element>(n: usize, lines: impl Iterator<Item = Line<T>>) -> T {
    let mut lanes = [T::zero(); PANEL];
    for (id, line) in lines.enumerate() {
        let width = (n - id * PANEL).min(PANEL);
        lanes[..width].iter_mut().zip(&line[..width]).for_each(|(lane, &v)| *lane += v);
    }
    lanes.into_iter().fold(T::zero(), |sum, v| sum + v)
}

/// Each row of the band to mean 0 and variance 1 over the batch's n rows, then times γ plus β.
#[inline(always)]
fn normalise<T: Element>(band: &mut Band<'_, T>, norm: &mut NormBand<'_, T>, gamma: &[T], beta: &[T], n: usize) {
    let share = T::of(1.0 / n as f64);
    let (keep, fresh) = (T::of(1.0 - MOMENTUM), T::of(MOMENTUM));
    // A single row has no unbiased variance; PyTorch refuses it, here it leaves the running one alone.
    let unbiased = T::of(n as f64 / (n as f64 - 1.0).max(1.0));
    for r in 0..norm.inverse.len() {
        let mean = row_sum(n, band.panels.iter().map(|lines| lines[r])) * share;
        let centred = |line: &Line<T>| line.map(|z| (z - mean) * (z - mean));
        let variance = row_sum(n, band.panels.iter().map(|lines| centred(&lines[r]))) * share;
        let inverse = T::one() / (variance + T::of(EPSILON)).sqrt();
        norm.inverse[r] = inverse;
        norm.mean[r] = keep * norm.mean[r] + fresh * mean;
        if n > 1 {
            norm.variance[r] = keep * norm.variance[r] + fresh * (variance * unbiased);
        }
        let (gamma, beta) = (gamma[band.first + r], beta[band.first + r]);
        for (lines, normed) in band.panels.iter_mut().zip(&mut norm.normed.panels) {
            for (z, normed) in lines[r].iter_mut().zip(&mut normed[r]) {
                *normed = (*z - mean) * inverse;
                *z = gamma * *normed + beta;
            }
        }
    }
}

/// Writes the band's lines, rows and columns exchanged, into the panels of `at` that belong to it, of n lines each.
#[inline(always)]
pub(crate) fn write_transposed<T: Element>(band: &Band<'_, T>, at: &mut [Line<T>], n: usize) {
    for (group, out) in at.chunks_mut(n.max(1)).enumerate() {
        for (lines, out) in band.panels.iter().zip(out.chunks_mut(PANEL)) {
            let first = group * PANEL;
            transpose(&lines[first..(first + PANEL).min(lines.len())], out);
        }
    }
}

/// Where the sums over the batch of one band go.
struct Sums<'a, T> {
    bias: &'a mut [T],
    /// How many of the band's derivatives are not 0, where that is asked for.
    count: Option<&'a mut usize>,
    /// Of γ and β.
    norm: Option<(&'a mut [T], &'a mut [T])>,
}

/// What the way back through a unit reads.
struct Back<'a, T> {
    n: usize,
    activation: Activation,
    dropout: f64,
    a: &'a Panels<T>,
    z: &'a Panels<T>,
    mask: &'a Panels<T>,
    norm: Option<NormBack<'a, T>>,
}

struct NormBack<'a, T> {
    gamma: &'a [T],
    normed: &'a Panels<T>,
    inverse: &'a [T],
}

impl<T: Element> Back<'_, T> {
    fn band(&self, band: &mut Band<'_, T>, mut sums: Sums<'_, T>) {
        vectorised(|| {
            each_line(band, self.mask, |delta, mask| *delta *= mask);
            self.through_activation(band);
            if let (Some(norm), Some((gamma, beta))) = (&self.norm, &mut sums.norm) {
                norm.through(band, gamma, beta, self.n);
            }
            for (r, sum) in sums.bias.iter_mut().enumerate() {
                *sum = row_sum(self.n, band.panels.iter().map(|lines| lines[r]));
            }
            if let Some(count) = sums.count {
                *count = count_nonzeros(band, self.n);
            }
        });
    }

    #[inline(always)]
    fn through_activation(&self, band: &mut Band<'_, T>) {
        for (id, lines) in band.panels.iter_mut().enumerate() {
            let place = band.first..band.first + lines.len();
            let a = &self.a.panel(id)[place.clone()];
            let z = if self.z.lines().is_empty() { &[][..] } else { &self.z.panel(id)[place] };
            if self.dropout == 0.0 {
                self.activation.slope(lines.as_flattened_mut(), a.as_flattened(), z.as_flattened());
                continue;
            }
            // What is kept was multiplied by 1 / (1 − share) after the activation; what is not has no derivative.
            let keep = T::of(1.0 - self.dropout);
            for (r, line) in lines.iter_mut().enumerate() {
                self.activation.slope(line, &a[r].map(|a| a * keep), z.get(r).map_or(&[], |z| z));
            }
        }
    }
}

/// Numbers of the batch's n rows that are not 0.
#[inline(always)]
fn count_nonzeros<T: Element>(band: &Band<'_, T>, n: usize) -> usize {
    let mut lanes = [0_u32; PANEL];
    for (id, lines) in band.panels.iter().enumerate() {
        let width = (n - id * PANEL).min(PANEL);
        for line in lines.iter() {
            lanes[..width].iter_mut().zip(line).for_each(|(lane, &v)| *lane += u32::from(v != T::zero()));
        }
    }
    lanes.into_iter().sum::<u32>() as usize
}

impl<T: Element> NormBack<'_, T> {
    /// δ ← γ / √(variance + ε) · (δ − mean δ − x̂ · mean(δ x̂)), a unit at a time.
    #[inline(always)]
    fn through(&self, band: &mut Band<'_, T>, gammas: &mut [T], betas: &mut [T], n: usize) {
        let share = T::of(1.0 / n as f64);
        for r in 0..gammas.len() {
            let unit = band.first + r;
            let product = |(id, lines): (usize, &&mut [Line<T>])| {
                let (delta, normed) = (&lines[r], &self.normed.panel(id)[unit]);
                std::array::from_fn(|j| delta[j] * normed[j])
            };
            let beta = row_sum(n, band.panels.iter().map(|lines| lines[r]));
            let gamma = row_sum(n, band.panels.iter().enumerate().map(product));
            (gammas[r], betas[r]) = (gamma, beta);
            let scale = self.gamma[unit] * self.inverse[unit];
            for (id, lines) in band.panels.iter_mut().enumerate() {
                for (delta, &normed) in lines[r].iter_mut().zip(&self.normed.panel(id)[unit]) {
                    *delta = scale * (*delta - share * beta - normed * (share * gamma));
                }
            }
        }
    }
}
