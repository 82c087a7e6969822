//! Which centre rows belong to.

use super::Metric;
use crate::rows;
use bakeoff_numeric::packed::Packed;
use ndarray::{Array1, Array2, ArrayView1, ArrayView2, Axis, concatenate};

/// Rows assigned by one call: their values stay in the second cache for what comes after.
pub(super) const BLOCK: usize = 264;

/// Packed centres.
#[derive(Debug)]
pub(super) struct Assigner(Packed);

impl Assigner {
    /// For centres (k, d). By absolute product the negated centres follow as columns k to 2k − 1.
    pub(super) fn new(centers: ArrayView2<'_, f32>, metric: Metric) -> Self {
        match metric {
            Metric::Distance => Self(by_distance(centers)),
            Metric::AbsoluteProduct => {
                let both = concatenate![Axis(0), centers, centers.mapv(|v| -v)];
                Self(Packed::new(both.t()))
            }
        }
    }

    /// The column of each of the `rows` (m, d) and its value.
    pub(super) fn nearest(&self, rows: &[f32], columns: &mut [u32], values: &mut [f32]) {
        self.0.nearest(rows::view(rows, self.0.inputs()), columns, values);
    }
}

/// (x − m)·(c − m) − ½‖c − m‖² = x·(c − m) − m·(c − m) − ½‖c − m‖², with m the mean of the centres.
fn by_distance(centers: ArrayView2<'_, f32>) -> Packed {
    let mean = centers.fold_axis(Axis(0), 0.0f64, |sum, &v| sum + f64::from(v)) / centers.nrows() as f64;
    let (moved, offsets) = moved_centers(centers, &mean.mapv(|v| v as f32));
    Packed::with_bias(moved.t(), &offsets)
}

/// c − m and −m·(c − m) − ½‖c − m‖² of centres (k, d).
pub(super) fn moved_centers(centers: ArrayView2<'_, f32>, mean: &Array1<f32>) -> (Array2<f32>, Vec<f32>) {
    let moved: Array2<f32> = &centers - mean;
    let offset = |row: ArrayView1<'_, f32>| -> f32 {
        let term = |(&c, &m): (&f32, &f32)| f64::from(c) * (f64::from(m) + 0.5 * f64::from(c));
        -row.iter().zip(mean).map(term).sum::<f64>() as f32
    };
    let offsets = moved.outer_iter().map(offset).collect();
    (moved, offsets)
}
