//! Spherical k-means as in Coates, Ng 2012, "Learning feature representations with k-means".
//!
//! A row x belongs to the unit centre with the greatest |x·c| and pulls it by (x·c) x, so that x and −x pull the same
//! way; the old centre is added as one more pull, which damps the first rounds and keeps centres that no row came to.
//! Centres of zeros (from rows of zeros) stay zeros.

use super::{KMeans, Outcome, assign};
use crate::rows;
use bakeoff_numeric::packed::Packed;
use ndarray::{Array2, ArrayView2, Axis, concatenate};
use rayon::prelude::*;

/// The centre and the sign of a column among the centres and their negatives.
pub(super) fn without_sign(column: u32, k: usize) -> (u32, f32) {
    let k = k as u32;
    if column < k { (column, 1.0) } else { (column - k, -1.0) }
}

pub(super) fn fit(settings: &KMeans, x: ArrayView2<'_, f32>, start: Array2<f32>) -> Outcome {
    let x = rows::contiguous(x);
    let mut centers = start;
    centers.outer_iter_mut().for_each(normalise);
    for iterations in 1..=settings.iterations {
        let mut next = pulls(rows::slice(&x), centers.view());
        next.zip_mut_with(&centers, |sum, &center| *sum += f64::from(center));
        let mut next_centers = next.mapv(|v| v as f32);
        let scaled = next.outer_iter().zip(next_centers.outer_iter_mut());
        scaled.for_each(|(sum, mut center)| {
            let length = sum.dot(&sum).sqrt();
            center.zip_mut_with(&sum, |value, &sum| *value = if length > 0.0 { (sum / length) as f32 } else { 0.0 });
        });
        let moved = (&next_centers - &centers).fold(0.0, |sum, &v| sum + f64::from(v).powi(2));
        centers = next_centers;
        if moved <= settings.tolerance.get() {
            return Outcome { centers, iterations, converged: true };
        }
    }
    Outcome { centers, iterations: settings.iterations, converged: false }
}

fn normalise(mut center: ndarray::ArrayViewMut1<'_, f32>) {
    let length = center.fold(0.0, |sum, &v| sum + f64::from(v).powi(2)).sqrt();
    if length > 0.0 {
        center.mapv_inplace(|v| (f64::from(v) / length) as f32);
    }
}

/// The centres (k, d) as columns, and after them, as columns k to 2k − 1, the negated ones.
pub(super) fn packed(centers: ArrayView2<'_, f32>) -> Packed {
    let both = concatenate![Axis(0), centers, centers.mapv(|v| -v)];
    Packed::new(both.t())
}

/// Σ (x·c) x over the rows of each centre (k, d).
fn pulls(x: &[f32], centers: ArrayView2<'_, f32>) -> Array2<f64> {
    let (k, d) = centers.dim();
    let packed = packed(centers);
    let part_rows = rows::part_rows(x.len() / d, k * d * size_of::<f64>(), assign::BLOCK);
    let parts: Vec<Array2<f64>> = x
        .par_chunks(part_rows * d)
        .map(|rows| {
            let mut sums = Array2::zeros((k, d));
            let (mut columns, mut values) = ([0; assign::BLOCK], [0.0; assign::BLOCK]);
            for rows in rows.chunks(assign::BLOCK * d) {
                let m = rows.len() / d;
                packed.nearest(rows::view(rows, d), &mut columns[..m], &mut values[..m]);
                for ((row, &column), &value) in rows.chunks_exact(d).zip(&columns).zip(&values) {
                    let (id, sign) = without_sign(column, k);
                    let pull = f64::from(sign * value);
                    sums.row_mut(id as usize).iter_mut().zip(row).for_each(|(sum, &v)| *sum += pull * f64::from(v));
                }
            }
            sums
        })
        .collect();
    let mut total = Array2::zeros((k, d));
    total.axis_iter_mut(Axis(0)).into_par_iter().enumerate().for_each(|(j, mut row)| {
        parts.iter().for_each(|part| row += &part.row(j));
    });
    total
}
