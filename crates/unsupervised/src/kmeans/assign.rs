//! Which centre rows belong to.

use super::Metric;
use super::screen::{self, Rounded, Screen};
use super::spherical;
use crate::rows;
use bakeoff_numeric::packed::Packed;
use ndarray::{Array1, Array2, ArrayView1, ArrayView2, Axis};

/// Rows assigned together: their packed form stays in the second cache.
pub(super) const BLOCK: usize = 264;

/// Centres, ready for products with rows.
#[derive(Debug)]
pub(super) enum Assigner {
    /// All products, and the greatest of a row.
    Products(Packed),
    /// Products of bytes, and distances to the few that they leave.
    Screened(Screen),
}

impl Assigner {
    /// For centres (k, d).
    pub(super) fn new(centers: ArrayView2<'_, f32>, metric: Metric) -> Self {
        match metric {
            Metric::Distance if screen::pays(centers.nrows(), centers.ncols()) => {
                Self::Screened(Screen::new(centers, &mean(centers)))
            }
            Metric::Distance => Self::Products(by_distance(centers)),
            Metric::AbsoluteProduct => Self::Products(spherical::packed(centers)),
        }
    }

    /// The column of each of the `rows` (m, d).
    pub(super) fn nearest(&self, rows: &[f32], columns: &mut [u32]) {
        match self {
            Self::Products(packed) => {
                let blocks = rows.chunks(BLOCK * packed.inputs()).zip(columns.chunks_mut(BLOCK));
                let mut values = [0.0; BLOCK];
                for (rows, columns) in blocks {
                    packed.nearest(rows::view(rows, packed.inputs()), columns, &mut values[..columns.len()]);
                }
            }
            Self::Screened(screen) => {
                for (rows, columns) in rows.chunks(BLOCK * screen.inputs()).zip(columns.chunks_mut(BLOCK)) {
                    screen.nearest(rows, &Rounded::new(rows, screen.shift()), columns);
                }
            }
        }
    }
}

/// The mean of centres (k, d), summed in f64.
pub(super) fn mean(centers: ArrayView2<'_, f32>) -> Vec<f32> {
    let sums = centers.fold_axis(Axis(0), 0.0f64, |sum, &v| sum + f64::from(v));
    sums.iter().map(|sum| (sum / centers.nrows() as f64) as f32).collect()
}

/// (x − m)·(c − m) − ½‖c − m‖² = x·(c − m) − m·(c − m) − ½‖c − m‖², with m the mean of the centres.
fn by_distance(centers: ArrayView2<'_, f32>) -> Packed {
    let mean = Array1::from(mean(centers));
    let moved: Array2<f32> = &centers - &mean;
    let offset = |row: ArrayView1<'_, f32>| -> f32 {
        let term = |(&c, &m): (&f32, &f32)| f64::from(c) * (f64::from(m) + 0.5 * f64::from(c));
        -row.iter().zip(&mean).map(term).sum::<f64>() as f32
    };
    let offsets: Vec<f32> = moved.outer_iter().map(offset).collect();
    Packed::with_bias(moved.t(), &offsets)
}
