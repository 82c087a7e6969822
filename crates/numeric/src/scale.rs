//! Scaling of feature columns, fitted on training rows alone.

use bakeoff_core::{Operation, RestoreError, Tensors};
use ndarray::{Array1, ArrayView2, ArrayViewMut2, Axis, Zip};
use rayon::prelude::*;
use serde::{Deserialize, Serialize};

/// What is done to every column.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Scaling {
    /// Nothing.
    None,
    /// The mean is taken off.
    Center,
    /// The mean is taken off and one number, the standard deviation over all columns together, divided by: columns
    /// keep their relative sizes, which matters for pixels at the border that are nearly constant.
    Global,
    /// The mean is taken off and the column's own standard deviation divided by. Columns whose deviation is below a
    /// thousandth of the greatest are divided by that instead, so that no noise is blown up.
    #[default]
    Standard,
}

/// Means and deviations of training columns.
#[derive(Debug, Clone, PartialEq)]
pub struct Scaler {
    mean: Array1<f32>,
    inverse: Array1<f32>,
    scaling: Scaling,
}

/// Rows whose sums are taken together: the order of additions, and so every bit, is fixed by this and not by threads.
const BLOCK: usize = 1024;

impl Scaler {
    /// Learns from training rows (n, d).
    pub fn fit(scaling: Scaling, x: ArrayView2<'_, f32>) -> Self {
        let d = x.ncols();
        if scaling == Scaling::None {
            return Self { mean: Array1::zeros(0), inverse: Array1::zeros(0), scaling };
        }
        let n = x.nrows().max(1) as f64;
        let mean = block_sums(x, |sum, value, _| *sum += value, &Array1::zeros(d)) / n;
        let variance = block_sums(x, |sum, value, mean| *sum += (value - mean) * (value - mean), &mean) / n;
        let inverse = match scaling {
            Scaling::None | Scaling::Center => Array1::ones(d),
            Scaling::Global => Array1::from_elem(d, safe_inverse(variance.mean().unwrap_or(0.0).sqrt())),
            Scaling::Standard => {
                let floor = variance.fold(0.0f64, |a, &b| a.max(b)).sqrt() * 1e-3;
                variance.mapv(|v| safe_inverse(v.sqrt().max(floor)))
            }
        };
        Self { mean: mean.mapv(|v| v as f32), inverse, scaling }
    }

    /// Scales rows (n, d) in place.
    ///
    /// # Panics
    /// When the rows have another number of columns than those that were fitted.
    pub fn apply(&self, mut x: ArrayViewMut2<'_, f32>) {
        if self.scaling == Scaling::None {
            return;
        }
        assert_eq!(x.ncols(), self.mean.len(), "columns of the fitted rows");
        x.axis_iter_mut(Axis(0)).into_par_iter().with_min_len(64).for_each(|row| {
            Zip::from(row).and(&self.mean).and(&self.inverse).for_each(|v, &m, &s| *v = (*v - m) * s);
        });
    }

    /// What was learned: `mean` and `inverse`, one number a column each; nothing for [`Scaling::None`].
    pub fn learned(&self) -> Tensors {
        match self.scaling {
            Scaling::None => Tensors::new(),
            _ => Tensors::new().with("mean", &self.mean).with("inverse", &self.inverse),
        }
    }

    /// The scaler of rows of `d` columns that [`Scaler::learned`] came from.
    ///
    /// # Errors
    /// [`RestoreError`] when the arrays are not those of such a scaler.
    pub fn restore(scaling: Scaling, d: usize, mut learned: Tensors) -> Result<Self, RestoreError> {
        let none = || Array1::zeros(0);
        let (mean, inverse) = match scaling {
            Scaling::None => (none(), none()),
            _ => (learned.array("mean", d)?, learned.array("inverse", d)?),
        };
        learned.finish()?;
        Ok(Self { mean, inverse, scaling })
    }

    /// The steps that scale a row.
    pub fn operations(&self) -> Vec<Operation> {
        match self.scaling {
            Scaling::None => Vec::new(),
            Scaling::Center => vec![Operation::Subtract(self.mean.clone())],
            _ => vec![Operation::Subtract(self.mean.clone()), Operation::Multiply(self.inverse.clone())],
        }
    }

    /// Bytes of what was learned.
    pub fn model_bytes(&self) -> usize {
        (self.mean.len() + self.inverse.len()) * size_of::<f32>()
    }
}

/// 1/v, and 1 for a deviation of 0: constant columns stay 0 after their mean is taken off.
fn safe_inverse(deviation: f64) -> f32 {
    if deviation > 0.0 { (1.0 / deviation) as f32 } else { 1.0 }
}

/// Sums over rows a column in f64: blocks in parallel, added in their order.
fn block_sums(x: ArrayView2<'_, f32>, add: impl Fn(&mut f64, f64, f64) + Sync, mean: &Array1<f64>) -> Array1<f64> {
    let partial: Vec<Array1<f64>> = x
        .axis_chunks_iter(Axis(0), BLOCK)
        .into_par_iter()
        .map(|rows| {
            let mut sums = Array1::zeros(x.ncols());
            for row in rows.outer_iter() {
                Zip::from(&mut sums).and(row).and(mean).for_each(|s, &v, &m| add(s, f64::from(v), m));
            }
            sums
        })
        .collect();
    partial.into_iter().fold(Array1::zeros(x.ncols()), |total, sums| total + sums)
}

#[cfg(test)]
mod tests {
    use super::*;
    use ndarray::{Array2, array};

    #[test]
    fn standard_columns_have_mean_0_and_deviation_1() {
        // Column 0: mean 2, deviation √(2/3); column 1 is constant.
        let mut x = array![[1.0f32, 5.0], [2.0, 5.0], [3.0, 5.0]];
        Scaler::fit(Scaling::Standard, x.view()).apply(x.view_mut());
        let unit = 1.5f32.sqrt();
        assert!((&x - &array![[-unit, 0.0], [0.0, 0.0], [unit, 0.0]]).iter().all(|d| d.abs() < 1e-6), "{x}");
    }

    #[test]
    fn global_scaling_keeps_relative_sizes() {
        let mut x = array![[0.0f32, 0.0], [2.0, 6.0]];
        Scaler::fit(Scaling::Global, x.view()).apply(x.view_mut());
        let s = 5.0f32.sqrt();
        assert!((&x - &array![[-1.0 / s, -3.0 / s], [1.0 / s, 3.0 / s]]).iter().all(|d| d.abs() < 1e-6), "{x}");
    }

    #[test]
    fn a_restored_scaler_is_the_same_and_others_are_refused() {
        let x = Array2::from_shape_fn((9, 3), |(i, j)| (i * 7 % 5 + j * j) as f32);
        for scaling in [Scaling::None, Scaling::Center, Scaling::Global, Scaling::Standard] {
            let scaler = Scaler::fit(scaling, x.view());
            assert_eq!(Scaler::restore(scaling, 3, scaler.learned()).unwrap(), scaler);
            assert_eq!(Scaler::restore(scaling, 4, scaler.learned()).is_err(), scaling != Scaling::None);
        }
        let learned = Scaler::fit(Scaling::Center, x.view()).learned();
        assert!(Scaler::restore(Scaling::None, 3, learned).is_err(), "means that nobody asked for");
    }

    #[test]
    fn the_bits_do_not_depend_on_threads() {
        let x = Array2::from_shape_fn((5000, 7), |(i, j)| ((i * 31 + j * 17) % 101) as f32 * 0.37);
        let fit = |threads: usize| {
            let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
            pool.install(|| Scaler::fit(Scaling::Standard, x.view()))
        };
        assert_eq!(fit(1), fit(3));
    }
}
