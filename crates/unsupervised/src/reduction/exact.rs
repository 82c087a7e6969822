//! Spectra by the decomposition of a symmetric matrix.

use super::Spectrum;
use crate::UnsupervisedError;
use crate::rows;
use linfa_linalg::eigh::{EigSort, EighInto};
use ndarray::{Array1, Array2, ArrayView2, Axis, s};
use rayon::prelude::*;

/// Rows whose products are taken together.
const BLOCK: usize = 512;

/// All d directions of rows (n, d), by their covariance.
pub(super) fn of_columns(x: ArrayView2<'_, f32>) -> Result<Spectrum, UnsupervisedError> {
    let mean = rows::moments(x).mean;
    let covariance = covariance(x, &mean);
    let total = covariance.diag().sum();
    let (values, vectors) = decompose(covariance)?;
    Ok(Spectrum { mean, values, vectors, total })
}

/// The first `p` directions of few wide rows: with K = (X − m)(X − m)ᵀ = U Σ² Uᵀ they are the rows of Σ⁻¹ Uᵀ (X − m).
pub(super) fn of_rows(x: ArrayView2<'_, f32>, p: usize) -> Result<Spectrum, UnsupervisedError> {
    let mean = rows::moments(x).mean;
    let n = x.nrows();
    let strips: Vec<Array2<f64>> = x
        .axis_chunks_iter(Axis(1), BLOCK)
        .collect::<Vec<_>>()
        .into_par_iter()
        .enumerate()
        .map(|(i, strip)| centered(strip, &mean.slice(s![i * BLOCK..i * BLOCK + strip.ncols()]).to_owned()))
        .collect();
    let mut gram = Array2::<f64>::zeros((n, n));
    for strip in &strips {
        let mut product = Array2::zeros((n, n));
        bakeoff_numeric::matmul(strip.view(), strip.t(), product.view_mut());
        gram += &product;
    }
    let scale = 1.0 / (n as f64 - 1.0);
    let total = gram.diag().sum() * scale;
    let (values, left) = decompose(gram)?;
    let mut vectors = Array2::zeros((p, x.ncols()));
    for (i, strip) in strips.iter().enumerate() {
        let to = vectors.slice_mut(s![.., i * BLOCK..i * BLOCK + strip.ncols()]);
        bakeoff_numeric::matmul(left.slice(s![..p, ..]), strip.view(), to);
    }
    for mut vector in vectors.outer_iter_mut() {
        let length = vector.dot(&vector).sqrt();
        if length > 0.0 {
            vector /= length;
        }
    }
    let values = values.iter().take(p).map(|value| value * scale).collect();
    Ok(Spectrum { mean, values, vectors, total })
}

/// Σ (x − m)(x − m)ᵀ / (n − 1) in f64: parts in parallel, each in its rows' order, added in theirs.
fn covariance(x: ArrayView2<'_, f32>, mean: &Array1<f64>) -> Array2<f64> {
    let (n, d) = x.dim();
    let part_rows = rows::part_rows(n, d * d * size_of::<f64>(), BLOCK);
    let parts: Vec<Array2<f64>> = x
        .axis_chunks_iter(Axis(0), part_rows)
        .into_par_iter()
        .map(|rows| {
            let mut sum = Array2::zeros((d, d));
            for block in rows.axis_chunks_iter(Axis(0), BLOCK) {
                let block = centered(block, mean);
                bakeoff_numeric::matmul_add_here(block.t(), block.view(), sum.view_mut());
            }
            sum
        })
        .collect();
    let sum = parts.into_iter().fold(Array2::zeros((d, d)), |total, part| total + part);
    sum / (n as f64 - 1.0)
}

fn centered(rows: ArrayView2<'_, f32>, mean: &Array1<f64>) -> Array2<f64> {
    let mut block = rows.mapv(f64::from);
    block -= mean;
    block
}

/// Eigenvalues in falling order, and the eigenvectors as rows.
pub(super) fn decompose(matrix: Array2<f64>) -> Result<(Vec<f64>, Array2<f64>), UnsupervisedError> {
    if !matrix.iter().all(|v| v.is_finite()) {
        return Err(UnsupervisedError::Diverged { what: "covariance" });
    }
    let refused = |e| UnsupervisedError::refused(format!("the eigen-decomposition failed: {e}"));
    let (values, vectors) = matrix.eigh_into().map_err(refused)?.sort_eig_desc();
    Ok((values.to_vec(), vectors.reversed_axes()))
}
