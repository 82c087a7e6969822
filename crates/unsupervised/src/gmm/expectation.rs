//! Logits of components and what they say of a row: posteriors and its log-likelihood.

use super::{Mixture, Parameters};
use crate::rows;
use bakeoff_numeric::exp_below_zero;
use bakeoff_numeric::packed::Packed;
use ndarray::{Array2, ArrayViewMut2};
use pulp::{Arch, Simd, WithSimd};
use std::f64::consts::PI;

/// Rows taken together: their logits stay in the second cache up to 2,048 components.
pub(super) const BLOCK: usize = 96;
const LANES: usize = 16;

/// The matrix (2d, k) that turns [y, y²] into logits, and their constants.
pub(super) fn pack(parameters: &Parameters) -> Packed {
    let (k, d) = parameters.means.dim();
    let mut matrix = Array2::zeros((2 * d, k));
    let mut constants = vec![0.0; k];
    for j in 0..k {
        let mut constant = parameters.weights[j].ln();
        for i in 0..d {
            let (mean, variance) = (parameters.means[[j, i]], parameters.variances[[j, i]]);
            constant -= 0.5 * ((2.0 * PI * variance).ln() + mean * mean / variance);
            matrix[[i, j]] = (mean / variance) as f32;
            matrix[[d + i, j]] = (-0.5 / variance) as f32;
        }
        constants[j] = constant as f32;
    }
    Packed::with_bias(matrix.view(), &constants)
}

/// Buffers of one worker.
pub(super) struct Scratch {
    /// [y, y²] of a block (BLOCK, 2d).
    expanded: Vec<f32>,
    /// Logits, then posteriors (BLOCK, k).
    posteriors: Vec<f32>,
}

impl Scratch {
    pub(super) fn new(mixture: &Mixture) -> Self {
        Self { expanded: vec![0.0; BLOCK * 2 * mixture.dim()], posteriors: vec![0.0; BLOCK * mixture.len()] }
    }

    /// Posteriors of up to [`BLOCK`] rows, row after row, and the sum of their log-likelihoods.
    pub(super) fn posteriors(&mut self, mixture: &Mixture, rows: &[f32]) -> (&[f32], f64) {
        let (d, k) = (mixture.dim(), mixture.len());
        let m = rows.len() / d;
        let (expanded, posteriors) = (&mut self.expanded[..m * 2 * d], &mut self.posteriors[..m * k]);
        expand(rows, &mixture.shift, 2 * d, expanded);
        let logits = ArrayViewMut2::from_shape((m, k), &mut *posteriors).expect("m rows of k logits");
        mixture.packed.multiply(rows::view(expanded, 2 * d), logits);
        let likelihood = Arch::new().dispatch(Normalise { logits: posteriors, k });
        (posteriors, likelihood)
    }
}

/// [y, y²] of every row into the first 2d of `stride` values.
pub(super) fn expand(rows: &[f32], shift: &[f32], stride: usize, out: &mut [f32]) {
    let d = shift.len();
    for (row, out) in rows.chunks_exact(d).zip(out.chunks_exact_mut(stride)) {
        let (first, second) = out.split_at_mut(d);
        for (((&v, &s), y), square) in row.iter().zip(shift).zip(first).zip(second) {
            *y = v - s;
            *square = *y * *y;
        }
    }
}

struct Normalise<'a> {
    logits: &'a mut [f32],
    k: usize,
}

impl WithSimd for Normalise<'_> {
    type Output = f64;

    #[inline(always)]
    fn with_simd<S: Simd>(self, _: S) -> f64 {
        // Loops and not closures: a closure may be compiled apart, without the vector instructions.
        let mut total = 0.0;
        for logits in self.logits.chunks_exact_mut(self.k) {
            total += normalise(logits);
        }
        total
    }
}

/// Turns logits into posteriors; the logarithm of the sum of their exponentials.
#[inline(always)]
fn normalise(logits: &mut [f32]) -> f64 {
    let greatest = greatest(logits);
    let mut sums = [0.0f32; LANES];
    let (groups, rest) = logits.as_chunks_mut::<LANES>();
    for group in groups {
        for i in 0..LANES {
            group[i] = exp_below_zero(group[i] - greatest);
            sums[i] += group[i];
        }
    }
    let mut sum: f32 = sums.iter().sum();
    for value in rest {
        *value = exp_below_zero(*value - greatest);
        sum += *value;
    }
    let scale = 1.0 / sum;
    for value in logits.iter_mut() {
        *value *= scale;
    }
    f64::from(greatest) + f64::from(sum).ln()
}

#[inline(always)]
fn greatest(values: &[f32]) -> f32 {
    let (groups, rest) = values.as_chunks::<LANES>();
    let mut most = [f32::NEG_INFINITY; LANES];
    for group in groups {
        for i in 0..LANES {
            most[i] = if group[i] > most[i] { group[i] } else { most[i] };
        }
    }
    let mut greatest = f32::NEG_INFINITY;
    for &value in most.iter().chain(rest) {
        greatest = if value > greatest { value } else { greatest };
    }
    greatest
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn posteriors_of_hopeless_logits_sum_to_one() {
        // The example that a single maximum for all rows gets wrong: two equal logits far below 0.
        let mut logits = [-50_000.0, -50_000.0, -60_000.0];
        let likelihood = normalise(&mut logits);
        assert_eq!(logits, [0.5, 0.5, 0.0]);
        assert!((likelihood - (-50_000.0 + 2f64.ln())).abs() < 1e-3);
    }
}
