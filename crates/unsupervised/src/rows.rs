//! What all methods do with rows: checks, contiguous views, samples, fixed parts.

use crate::UnsupervisedError;
use ndarray::{Array1, ArrayView2, Axis, CowArray, Ix2};
use rand::Rng;
use rayon::prelude::*;

/// The checks that every method makes first: enough rows, columns, finite values.
pub(crate) fn check(x: ArrayView2<'_, f32>, what: &str, needed: usize) -> Result<(), UnsupervisedError> {
    if x.ncols() == 0 {
        return Err(UnsupervisedError::NoColumns);
    }
    if x.nrows() < needed {
        return Err(UnsupervisedError::TooFewRows { what: what.to_owned(), needed, found: x.nrows() });
    }
    // A value times 0 is 0, or NaN where it is not finite; the sum keeps any NaN.
    let bad = |row: ndarray::ArrayView1<'_, f32>| !row.iter().fold(0.0f32, |acc, v| acc + v * 0.0).is_finite();
    match x.axis_iter(Axis(0)).into_par_iter().position_first(bad) {
        Some(row) => Err(UnsupervisedError::NotFinite { row }),
        None => Ok(()),
    }
}

/// The rows themselves when they are contiguous, one after another; else a copy of them that is.
pub(crate) fn contiguous(x: ArrayView2<'_, f32>) -> CowArray<'_, f32, Ix2> {
    if x.is_standard_layout() { x.into() } else { x.as_standard_layout().into_owned().into() }
}

/// `count` different numbers below `n`, in the order drawn (Floyd's method needs no list of all n).
///
/// # Panics
/// When `count` is greater than `n`.
pub(crate) fn sample(n: usize, count: usize, rng: &mut impl Rng) -> Vec<usize> {
    rand::seq::index::sample(rng, n, count).into_vec()
}

/// Rows a part has when `n` rows are cut into parts that each own an accumulator of `bytes`: at most 64 parts, fewer
/// when their accumulators together would take more than a quarter of a gigabyte. It depends on the shape alone, so
/// that the order of additions does not depend on threads.
pub(crate) fn part_rows(n: usize, bytes: usize, block: usize) -> usize {
    let parts = ((256 << 20) / bytes.max(1)).clamp(8, 64);
    n.div_ceil(parts).next_multiple_of(block).max(block)
}

/// The values of rows that [`contiguous`] gave, one after another.
///
/// # Panics
/// When the rows are not contiguous, which [`contiguous`] rules out.
pub(crate) fn slice<'a>(x: &'a CowArray<'_, f32, Ix2>) -> &'a [f32] {
    x.as_slice().expect("rows made contiguous")
}

/// Values as rows of d columns.
///
/// # Panics
/// When they are not whole rows.
pub(crate) fn view(values: &[f32], d: usize) -> ArrayView2<'_, f32> {
    ArrayView2::from_shape((values.len() / d.max(1), d), values).expect("whole rows")
}

/// Means and variances of columns.
pub(crate) struct Moments {
    /// Mean of each column (d).
    pub(crate) mean: Array1<f64>,
    /// Mean squared distance to it (d), over n.
    pub(crate) variance: Array1<f64>,
}

/// Rows whose sums are taken together, which fixes the order of additions.
const BLOCK: usize = 1024;

/// Means and variances of the columns of x (n, d), in two passes and f64.
pub(crate) fn moments(x: ArrayView2<'_, f32>) -> Moments {
    let n = x.nrows().max(1) as f64;
    let mean = column_sums(x, |_, v| v) / n;
    let variance = column_sums(x, |j, v| (v - mean[j]) * (v - mean[j])) / n;
    Moments { mean, variance }
}

fn column_sums(x: ArrayView2<'_, f32>, term: impl Fn(usize, f64) -> f64 + Sync) -> Array1<f64> {
    let partial: Vec<Array1<f64>> = x
        .axis_chunks_iter(Axis(0), BLOCK)
        .into_par_iter()
        .map(|rows| {
            let mut sums = Array1::zeros(x.ncols());
            for row in rows.outer_iter() {
                sums.iter_mut().zip(row).enumerate().for_each(|(j, (sum, &v))| *sum += term(j, f64::from(v)));
            }
            sums
        })
        .collect();
    partial.into_iter().fold(Array1::zeros(x.ncols()), |total, sums| total + sums)
}
