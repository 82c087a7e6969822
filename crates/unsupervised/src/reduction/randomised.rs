//! The first directions of many wide rows, by a randomised range finder.

use super::{Spectrum, exact};
use crate::UnsupervisedError;
use crate::rows;
use bakeoff_core::seed::Seed;
use ndarray::{Array1, Array2, ArrayView2, Axis, s};
use rand::Rng;
use rayon::prelude::*;

/// Directions beyond those asked for, as Halko, Martinsson and Tropp advise.
const OVERSAMPLE: usize = 16;
/// Power iterations: scikit-learn takes 4 to 7.
const POWERS: usize = 6;
/// Rows that are multiplied together.
const BLOCK: usize = 512;

/// The first `p` directions: with Q an orthonormal basis of the range of Cᵖᵒʷᵉʳ Ω, those of QᵀCQ turned back by Q.
pub(super) fn spectrum(x: ArrayView2<'_, f32>, p: usize) -> Result<Spectrum, UnsupervisedError> {
    let d = x.ncols();
    let moments = rows::moments(x);
    let mut rng = Seed(0).derive("randomised pca").rng();
    let wide = (p + OVERSAMPLE).min(d);
    // Sums of uniform numbers stand in for Gaussian ones: only that they are spread evenly over directions matters.
    let mut uniform = || (0..12).map(|_| rng.r#gen::<f64>()).sum::<f64>() - 6.0;
    let mut basis = Array2::from_shape_simple_fn((d, wide), &mut uniform);
    for _ in 0..POWERS {
        orthonormalise(&mut basis);
        basis = covariance_times(x, &moments.mean, &basis);
    }
    orthonormalise(&mut basis);
    let image = covariance_times(x, &moments.mean, &basis);
    let mut small = Array2::zeros((wide, wide));
    bakeoff_numeric::matmul(basis.t(), image.view(), small.view_mut());
    let symmetric = (&small + &small.t()) * 0.5;
    let (values, turned) = exact::decompose(symmetric)?;
    let mut vectors = Array2::zeros((wide, d));
    bakeoff_numeric::matmul(turned.view(), basis.t(), vectors.view_mut());
    let scale = x.nrows() as f64 / (x.nrows() as f64 - 1.0);
    Ok(Spectrum { mean: moments.mean, values, vectors, total: moments.variance.sum() * scale })
}

/// (X − m)ᵀ (X − m) B / (n − 1) without the d × d matrix. The products are f32, their sums over blocks f64.
fn covariance_times(x: ArrayView2<'_, f32>, mean: &Array1<f64>, basis: &Array2<f64>) -> Array2<f64> {
    let (n, (d, wide)) = (x.nrows(), basis.dim());
    let (mean, basis) = (mean.mapv(|v| v as f32), basis.mapv(|v| v as f32));
    let part_rows = rows::part_rows(n, d * wide * size_of::<f64>(), BLOCK);
    let parts: Vec<Array2<f64>> = x
        .axis_chunks_iter(Axis(0), part_rows)
        .into_par_iter()
        .map(|rows| {
            let mut sum = Array2::<f64>::zeros((d, wide));
            for block in rows.axis_chunks_iter(Axis(0), BLOCK) {
                let block = &block - &mean;
                let mut scores = Array2::<f32>::zeros((block.nrows(), wide));
                bakeoff_numeric::matmul_here(block.view(), basis.view(), scores.view_mut());
                let mut back = Array2::<f32>::zeros((d, wide));
                bakeoff_numeric::matmul_here(block.t(), scores.view(), back.view_mut());
                sum.zip_mut_with(&back, |sum, &v| *sum += f64::from(v));
            }
            sum
        })
        .collect();
    let sum = parts.into_iter().fold(Array2::zeros((d, wide)), |total, part| total + part);
    sum / (n as f64 - 1.0)
}

/// Gram–Schmidt, each column twice, which keeps them orthogonal to rounding. Columns that vanish become 0.
fn orthonormalise(basis: &mut Array2<f64>) {
    for j in 0..basis.ncols() {
        let (before, mut rest) = basis.view_mut().split_at(Axis(1), j);
        let mut column = rest.column_mut(0);
        let first = column.dot(&column).sqrt();
        for _ in 0..2 {
            let shares = before.t().dot(&column);
            column -= &before.slice(s![.., ..]).dot(&shares);
        }
        let length = column.dot(&column).sqrt();
        if length > first * 1e-12 {
            column /= length;
        } else {
            column.fill(0.0);
        }
    }
}
