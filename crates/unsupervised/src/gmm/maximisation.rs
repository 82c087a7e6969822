//! Sums over rows, and the parameters that follow from them.

use super::expectation::{self, Scratch};
use super::{Context, Mixture, Parameters};
use crate::rows;
use ndarray::{Array2, ArrayView2, Axis, s};
use rayon::prelude::*;

/// Rows whose posteriors are multiplied together.
const STEP: usize = 4 * expectation::BLOCK;
/// Steps that f32 sums.
const STEPS: usize = 8;

/// New parameters from the posteriors under `mixture`, and the mean log-likelihood under it.
pub(super) fn round(context: &Context<'_>, mixture: &Mixture) -> (Parameters, f64) {
    let (k, d) = (mixture.len(), mixture.dim());
    let n = context.x.nrows();
    let part_rows = rows::part_rows(n, k * (2 * d + 1) * size_of::<f64>(), STEP * STEPS);
    let parts: Vec<(Array2<f64>, f64)> = rows::slice(&context.x)
        .par_chunks(part_rows * d)
        .map(|rows| {
            let mut scratch = Scratch::new(mixture);
            let mut likelihood = 0.0;
            let sums = sums(rows, &context.shift, k, |rows, posteriors| {
                let (found, more) = scratch.posteriors(mixture, rows);
                posteriors.copy_from_slice(found);
                likelihood += more;
            });
            (sums, likelihood)
        })
        .collect();
    let likelihood = parts.iter().map(|part| part.1).sum::<f64>() / n as f64;
    (parameters(context, total(parts.into_iter().map(|part| part.0), k, d)), likelihood)
}

/// Parameters of clusters: each row belongs to the component `ids` says.
pub(super) fn of_clusters(context: &Context<'_>, ids: &[u32], k: usize) -> Parameters {
    let (n, d) = context.x.dim();
    let part_rows = rows::part_rows(n, k * (2 * d + 1) * size_of::<f64>(), STEP * STEPS);
    let parts = rows::slice(&context.x).par_chunks(part_rows * d).zip(ids.par_chunks(part_rows));
    let parts: Vec<Array2<f64>> = parts
        .map(|(rows, ids)| {
            let mut sums = Array2::<f64>::zeros((k, 2 * d + 1));
            for (row, &id) in rows.chunks_exact(d).zip(ids) {
                let mut sum = sums.row_mut(id as usize);
                for (i, (&v, &s)) in row.iter().zip(&context.shift).enumerate() {
                    let y = f64::from(v - s);
                    sum[i] += y;
                    sum[d + i] += y * y;
                }
                sum[2 * d] += 1.0;
            }
            sums
        })
        .collect();
    parameters(context, total(parts.into_iter(), k, d))
}

fn total(parts: impl Iterator<Item = Array2<f64>>, k: usize, d: usize) -> Array2<f64> {
    parts.fold(Array2::zeros((k, 2 * d + 1)), |total, part| total + part)
}

/// Pᵀ [y, y², 1] (k, 2d + 1) over the rows.
fn sums(rows: &[f32], shift: &[f32], k: usize, mut posteriors: impl FnMut(&[f32], &mut [f32])) -> Array2<f64> {
    let (d, wide) = (shift.len(), 2 * shift.len() + 1);
    let mut sums = Array2::<f64>::zeros((k, wide));
    let mut step_sums = Array2::<f32>::zeros((k, wide));
    let mut expanded = Array2::<f32>::ones((STEP, wide));
    let mut p = Array2::<f32>::zeros((STEP, k));
    for rows in rows.chunks(STEP * STEPS * d) {
        step_sums.fill(0.0);
        for rows in rows.chunks(STEP * d) {
            let m = rows.len() / d;
            let values = p.as_slice_mut().unwrap_or(&mut []);
            let blocks = rows.chunks(expectation::BLOCK * d).zip(values.chunks_mut(expectation::BLOCK * k));
            blocks.for_each(|(rows, p)| posteriors(rows, &mut p[..rows.len() / d * k]));
            expectation::expand(rows, shift, wide, expanded.as_slice_mut().unwrap_or(&mut []));
            let (p, expanded) = (p.slice(s![..m, ..]), expanded.slice(s![..m, ..]));
            bakeoff_numeric::matmul_add_here(p.t(), expanded, step_sums.view_mut());
        }
        sums.zip_mut_with(&step_sums, |sum, &more| *sum += f64::from(more));
    }
    sums
}

/// Weights, means and variances from the sums. A component without rows gets weight 0, which [`revive`] mends.
fn parameters(context: &Context<'_>, sums: Array2<f64>) -> Parameters {
    let (k, d) = (sums.nrows(), context.shift.len());
    let n = context.x.nrows() as f64;
    let (mut means, mut variances) = (Array2::zeros((k, d)), Array2::zeros((k, d)));
    for (j, sum) in sums.outer_iter().enumerate() {
        let count = sum[2 * d].max(f64::MIN_POSITIVE);
        for i in 0..d {
            let mean = sum[i] / count;
            means[[j, i]] = mean;
            variances[[j, i]] = (sum[d + i] / count - mean * mean).max(context.floor[i]);
        }
    }
    Parameters { weights: sums.column(2 * d).iter().map(|count| count / n).collect(), means, variances }
}

/// Puts components with less than half a row beside the heaviest.
pub(super) fn revive(parameters: &mut Parameters, n: usize) {
    let least = 0.5 / n as f64;
    for dead in 0..parameters.weights.len() {
        // `!(a >= b)` takes NaN for dead as well.
        if !(parameters.weights[dead] >= least) {
            split_heaviest(parameters, dead);
        }
    }
    let sum: f64 = parameters.weights.iter().sum();
    parameters.weights.iter_mut().for_each(|w| *w /= sum);
}

fn split_heaviest(parameters: &mut Parameters, dead: usize) {
    let Parameters { weights, means, variances } = parameters;
    let heavier = |best: usize, j: usize| if weights[j] > weights[best] { j } else { best };
    let heaviest = (0..weights.len()).filter(|&j| j != dead).reduce(heavier);
    let Some(heaviest) = heaviest else { return };
    let widest = widest(variances.view(), heaviest);
    let half = 0.5 * variances[[heaviest, widest]].sqrt();
    let (mean, variance) = (means.row(heaviest).to_owned(), variances.row(heaviest).to_owned());
    means.row_mut(dead).assign(&mean);
    variances.row_mut(dead).assign(&variance);
    means[[dead, widest]] += half;
    means[[heaviest, widest]] -= half;
    weights[heaviest] *= 0.5;
    weights[dead] = weights[heaviest];
}

fn widest(variances: ArrayView2<'_, f64>, j: usize) -> usize {
    let row = variances.index_axis(Axis(0), j);
    (0..row.len()).reduce(|best, i| if row[i] > row[best] { i } else { best }).unwrap_or(0)
}
