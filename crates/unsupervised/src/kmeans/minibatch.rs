//! Minibatch k-means (Sculley 2010): each centre is the mean of all rows that any batch gave it.
//!
//! A gradient step with rate 1/count a row is that running mean; the rows of one batch are assigned together, before
//! any of them moves a centre. A centre that no row came to stays where it started.

use super::assign::{self, Assigner};
use super::{KMeans, Metric, Outcome};
use crate::rows;
use ndarray::{Array2, ArrayView2, Axis};
use rand::Rng;
use rayon::prelude::*;

pub(super) fn fit(settings: &KMeans, x: ArrayView2<'_, f32>, start: Array2<f32>, rng: &mut impl Rng) -> Outcome {
    let (k, d) = start.dim();
    let mut centers = start;
    let (mut sums, mut counts) = (Array2::<f64>::zeros((k, d)), vec![0u64; k]);
    for _ in 0..settings.iterations {
        let drawn = rows::sample(x.nrows(), settings.minibatch.min(x.nrows()), rng);
        let batch = x.select(Axis(0), &drawn);
        let ids = nearest(centers.view(), &batch);
        for (row, &id) in batch.outer_iter().zip(&ids) {
            counts[id as usize] += 1;
            let mut sum = sums.row_mut(id as usize);
            sum.zip_mut_with(&row, |sum, &value| *sum += f64::from(value));
        }
        for ((mut center, sum), &count) in centers.outer_iter_mut().zip(sums.outer_iter()).zip(&counts) {
            if count > 0 {
                center.zip_mut_with(&sum, |value, &sum| *value = (sum / count as f64) as f32);
            }
        }
    }
    Outcome { centers, iterations: settings.iterations, converged: false }
}

fn nearest(centers: ArrayView2<'_, f32>, batch: &Array2<f32>) -> Vec<u32> {
    let assigner = Assigner::new(centers, Metric::Distance);
    let mut ids = vec![0; batch.nrows()];
    let rows = batch.as_slice().unwrap_or(&[]).par_chunks(assign::BLOCK * batch.ncols());
    rows.zip(ids.par_chunks_mut(assign::BLOCK)).for_each(|(rows, ids)| assigner.nearest(rows, ids));
    ids
}
