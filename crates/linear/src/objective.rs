//! The smooth objective of linear classifiers, with its gradient, in one pass over the rows.

use bakeoff_core::Rows;
use bakeoff_core::rows::{for_each_block, rows_a_block};
use bakeoff_numeric::optim::penalty;
use bakeoff_numeric::{Element, Loss, Narrow, matmul_add_here};
use ndarray::{Array1, Array2, ArrayView2, Axis, NdFloat, s};
use rayon::prelude::*;

/// Where the rows of an objective are.
#[derive(Clone, Copy)]
pub enum Source<'a, T> {
    /// In memory, in the objective's own precision.
    Dense(ArrayView2<'a, T>),
    /// Wherever they are: read block by block in every evaluation.
    Streamed(&'a dyn Rows),
}

impl<'a> Source<'a, f32> {
    /// Rows that lie in memory are used where they are.
    pub fn of(rows: &'a dyn Rows) -> Self {
        rows.dense().map_or(Self::Streamed(rows), Self::Dense)
    }
}

impl<T: Element> Source<'_, T> {
    fn n_rows(&self) -> usize {
        match self {
            Self::Dense(x) => x.nrows(),
            Self::Streamed(rows) => rows.n_rows(),
        }
    }

    fn dim(&self) -> usize {
        match self {
            Self::Dense(x) => x.ncols(),
            Self::Streamed(rows) => rows.dim(),
        }
    }

    /// Calls `each` with tiles of the rows from `start` to `end`. A tile in memory is small enough to be in the cache
    /// still when it is multiplied back; one that is read is large enough to be worth reading.
    fn for_each_tile(&self, start: usize, end: usize, mut each: impl FnMut(usize, ArrayView2<'_, T>)) {
        match self {
            Self::Dense(x) => {
                let tile = (TILE_NUMBERS / x.ncols().max(1)).clamp(16, TILE);
                let tiles = x.slice(s![start..end, ..]);
                let tiles = tiles.axis_chunks_iter(Axis(0), tile).enumerate();
                tiles.for_each(|(i, rows)| each(start + i * tile, rows));
            }
            Self::Streamed(rows) => for_each_block(*rows, start, end, rows_a_block(rows.dim(), TILE), |first, part| {
                each(first, part.mapv(|v| T::from(v).unwrap_or_else(T::nan)).view());
            }),
        }
    }
}

/// The smooth objective (1/n) Σ L_i + λ₂ Σ W² over rows x (n, d); parameters are W (k, d) row-major, then b (k).
pub struct Objective<'a, T> {
    /// The loss of a row.
    pub loss: Loss,
    /// λ₂.
    pub l2: f64,
    /// Rows (n, d).
    pub x: Source<'a, T>,
    /// Classes (n).
    pub y: &'a [usize],
    /// k.
    pub n_classes: usize,
}

/// Rows that are scored and multiplied back while they are in the cache, at most.
const TILE: usize = 128;
/// Numbers of such a tile: half a megabyte.
const TILE_NUMBERS: usize = 1 << 17;

/// Rows whose gradient is summed in the precision of the data before it joins the f64 sum: the order of additions is
/// fixed by this and not by threads. Sixteen parts are enough to balance, and each holds a gradient.
fn rows_a_part(n: usize) -> usize {
    n.div_ceil(16).clamp(TILE, 4096)
}

impl<T: Element> Objective<'_, T> {
    /// k · d + k.
    pub fn n_parameters(&self) -> usize {
        self.n_classes * (self.x.dim() + 1)
    }

    /// W (k, d) and b (k) of parameters.
    ///
    /// # Panics
    /// When there are fewer than [`Self::n_parameters`].
    pub fn unpack<U: NdFloat>(&self, parameters: &[f64]) -> (Array2<U>, Array1<U>) {
        let (k, d) = (self.n_classes, self.x.dim());
        let number = |&value: &f64| U::from(value).unwrap_or_else(U::nan);
        let w = Array2::from_shape_fn((k, d), |(i, j)| number(&parameters[i * d + j]));
        (w, parameters[k * d..].iter().map(number).collect())
    }

    /// The value, and into `gradient` its derivatives. Each tile of rows is read once for both products.
    ///
    /// # Panics
    /// When the slices have another length than [`Self::n_parameters`].
    pub fn value_and_gradient(&self, parameters: &[f64], gradient: &mut [f64]) -> f64 {
        let (k, d) = (self.n_classes, self.x.dim());
        let (w, b) = self.unpack::<T>(parameters);
        let narrow = Narrow::new(w, b.to_vec());
        let (n, part) = (self.x.n_rows(), rows_a_part(self.x.n_rows()));
        let parts = (0..n.div_ceil(part)).into_par_iter();
        let parts = parts.map(|i| self.part(i * part, ((i + 1) * part).min(n), &narrow));
        let parts: Vec<Part<T>> = parts.collect();
        gradient.fill(0.0);
        let (gradient_w, gradient_b) = gradient.split_at_mut(k * d);
        let mut loss = 0.0;
        for part in &parts {
            loss += part.loss;
            let as_f64 = |value: &T| value.to_f64().unwrap_or(f64::NAN);
            gradient_w.iter_mut().zip(&part.w).for_each(|(sum, value)| *sum += as_f64(value));
            gradient_b.iter_mut().zip(&part.b).for_each(|(sum, value)| *sum += as_f64(value));
        }
        let n = self.y.len() as f64;
        gradient.iter_mut().for_each(|g| *g /= n);
        let w = &parameters[..k * d];
        gradient.iter_mut().zip(w).for_each(|(g, w)| *g += 2.0 * self.l2 * w);
        loss / n + penalty(self.l2, 0.0, w)
    }

    fn part(&self, start: usize, end: usize, narrow: &Narrow<T>) -> Part<T> {
        let k = self.n_classes;
        let mut part = Part { loss: 0.0, w: Array2::zeros((k, narrow.dim())), b: Array1::zeros(k) };
        let mut scores = Array2::zeros((k, TILE));
        self.x.for_each_tile(start, end, |first, x| {
            let y = &self.y[first..first + x.nrows()];
            let mut scores = scores.slice_mut(s![.., ..y.len()]);
            narrow.scores(x, scores.view_mut());
            part.loss += self.loss.into_gradient_by_class(scores.view_mut(), y);
            matmul_add_here(scores.view(), x, part.w.view_mut());
            part.b += &scores.sum_axis(Axis(1));
        });
        part
    }
}

struct Part<T> {
    loss: f64,
    w: Array2<T>,
    b: Array1<T>,
}

#[cfg(test)]
mod tests {
    use super::*;
    use bakeoff_core::rows::Streamed;
    use bakeoff_numeric::gradcheck::worst_relative_error;

    fn rows(n: usize, d: usize) -> Array2<f32> {
        Array2::from_shape_fn((n, d), |(i, j)| ((i * 31 + j * 17 + i * j) % 23) as f32 * 0.1 - 1.0)
    }

    #[test]
    fn gradients_match_central_differences_in_f64() {
        // More rows than a tile, a number that no block divides.
        let x = rows(150, 3).mapv(f64::from);
        let y: Vec<usize> = (0..150).map(|i| i * 7 % 4).collect();
        for loss in [Loss::Softmax, Loss::SquaredHinge] {
            let objective = Objective { loss, l2: 0.3, x: Source::Dense(x.view()), y: &y, n_classes: 4 };
            let at: Vec<f64> = (0..objective.n_parameters()).map(|i| (i * 5 % 7) as f64 * 0.2 - 0.5).collect();
            let mut gradient = vec![0.0; at.len()];
            objective.value_and_gradient(&at, &mut gradient);
            let value = |p: &[f64]| objective.value_and_gradient(p, &mut vec![0.0; p.len()]);
            let error = worst_relative_error(value, &at, &gradient);
            assert!(error < 1e-6, "{loss:?}: {error}");
        }
    }

    #[test]
    fn streamed_rows_give_the_value_of_rows_in_memory() {
        let (x, y) = (rows(700, 5), (0..700).map(|i| i * 7 % 4).collect::<Vec<_>>());
        let streamed = Streamed(x.clone());
        let at: Vec<f64> = (0..24).map(|i| (i * 5 % 7) as f64 * 0.2 - 0.5).collect();
        let evaluate = |rows: &dyn Rows| {
            let mut gradient = vec![0.0; 24];
            let objective = Objective { loss: Loss::SquaredHinge, l2: 0.1, x: Source::of(rows), y: &y, n_classes: 4 };
            (objective.value_and_gradient(&at, &mut gradient), gradient)
        };
        assert_eq!(evaluate(&x), evaluate(&streamed));
    }
}
