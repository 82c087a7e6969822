//! Where centres start.

use crate::distance;
use crate::rows;
use ndarray::{Array2, ArrayView2, Axis};
use rand::Rng;
use rayon::prelude::*;

/// k different rows.
pub(super) fn random_sample(x: ArrayView2<'_, f32>, k: usize, rng: &mut impl Rng) -> Array2<f32> {
    x.select(Axis(0), &rows::sample(x.nrows(), k, rng))
}

/// Normal numbers (k, d) of deviation 0.1 (Box, Muller 1958).
pub(super) fn normal(k: usize, d: usize, rng: &mut impl Rng) -> Array2<f32> {
    Array2::from_shape_simple_fn((k, d), || {
        let (u, v): (f64, f64) = (1.0 - rng.r#gen::<f64>(), rng.r#gen());
        (0.1 * (-2.0 * u.ln()).sqrt() * (std::f64::consts::TAU * v).cos()) as f32
    })
}

/// Rows a centre that k-means++ draws from, and how many there are at least.
const SAMPLE_PER_CENTER: usize = 16;
const SAMPLE_AT_LEAST: usize = 10_000;
/// Rows whose distances are summed together.
const BLOCK: usize = 1024;

/// k rows, each drawn with a probability proportional to the squared distance to those before. When all rows lie on
/// centres, the rest are different rows drawn evenly.
pub(super) fn plus_plus(x: ArrayView2<'_, f32>, k: usize, rng: &mut impl Rng) -> Array2<f32> {
    let wanted = (SAMPLE_PER_CENTER * k).max(SAMPLE_AT_LEAST);
    if x.nrows() > wanted {
        let sampled = random_sample(x, wanted, rng);
        return draw(sampled.view(), k, rng);
    }
    draw(x, k, rng)
}

fn draw(x: ArrayView2<'_, f32>, k: usize, rng: &mut impl Rng) -> Array2<f32> {
    let x = rows::contiguous(x);
    let values = rows::slice(&x);
    let mut nearest = vec![f32::INFINITY; x.nrows()];
    let mut chosen = vec![rng.gen_range(0..x.nrows())];
    while chosen.len() < k {
        let last = x.row(chosen[chosen.len() - 1]).to_vec();
        let blocks = values.par_chunks(BLOCK * x.ncols()).zip(nearest.par_chunks_mut(BLOCK));
        let sums: Vec<f64> = blocks.map(|(rows, nearest)| distance::lower(rows, &last, nearest)).collect();
        let total: f64 = sums.iter().sum();
        if !(total > 0.0 && total.is_finite()) {
            break;
        }
        chosen.push(pick(&nearest, &sums, rng.r#gen::<f64>() * total));
    }
    fill_up(&mut chosen, x.nrows(), k, rng);
    x.select(Axis(0), &chosen)
}

/// The row at which the running sum of distances passes `target`; never one at distance 0.
fn pick(nearest: &[f32], sums: &[f64], mut target: f64) -> usize {
    let mut block = 0;
    while block + 1 < sums.len() && target >= sums[block] {
        target -= sums[block];
        block += 1;
    }
    let mut found = None;
    for (row, &distance) in nearest.iter().enumerate().skip(block * BLOCK) {
        if distance > 0.0 {
            found = Some(row);
            target -= f64::from(distance);
            if target < 0.0 {
                break;
            }
        }
    }
    // Rounding can leave nothing behind the last block's start: any row off the centres then serves.
    found.or_else(|| nearest.iter().position(|&d| d > 0.0)).unwrap_or(0)
}

/// Adds rows that are not chosen yet, evenly drawn.
fn fill_up(chosen: &mut Vec<usize>, n: usize, k: usize, rng: &mut impl Rng) {
    if chosen.len() == k {
        return;
    }
    let mut is_chosen = vec![false; n];
    chosen.iter().for_each(|&row| is_chosen[row] = true);
    let mut others: Vec<usize> = (0..n).filter(|&row| !is_chosen[row]).collect();
    while chosen.len() < k && !others.is_empty() {
        chosen.push(others.swap_remove(rng.gen_range(0..others.len())));
    }
}
