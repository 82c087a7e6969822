//! Nearest neighbours as an approximator: every sample is a class of its own, and the class that wins names the value.

use super::{Samples, greatest_error};
use crate::LabError;
use crate::curve::Curve;
use crate::learn::{count, fitted};
use bakeoff_core::{Labels, Seed, argmax_rows};
use bakeoff_neighbors::{Distance, Knn};
use ndarray::Array2;

/// Greatest errors of the nearest of n samples at the middles of n equal intervals.
pub(super) fn errors(curve: &Curve, places: &[f64], counts: &[usize]) -> Result<Vec<Samples>, LabError> {
    counts.iter().map(|&n| error(curve, places, n)).collect()
}

fn error(curve: &Curve, places: &[f64], n: usize) -> Result<Samples, LabError> {
    let samples: Vec<f64> = (0..n).map(|i| (i as f64 + 0.5) / n as f64).collect();
    let rows = |of: &[f64]| Array2::from_shape_fn((of.len(), 1), |(i, _)| of[i] as f32);
    let labels =
        Labels::new((0..n).collect(), n).map_err(|_| LabError::Missing { what: "as many classes as samples" })?;
    let model = fitted(&Knn { k: count(1), distance: Distance::L2 }, &rows(&samples), &labels, Seed(0))?;
    let nearest = argmax_rows(model.scores(rows(places).view()).view());
    let values: Vec<f64> = nearest.iter().map(|sample| curve.at(samples[*sample])).collect();
    Ok(Samples { samples: n, greatest_error: greatest_error(curve, places, &values) })
}
