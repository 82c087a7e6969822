//! Exact search by brute force: f32 tiles propose, f64 decides.
//!
//! For L2 the tile holds |x|² − 2 q·x, a matrix product; for L1 the f32 sum of absolute differences. Both come with a
//! rigorous bound on their rounding error (Higham, *Accuracy and Stability of Numerical Algorithms*, 2nd ed., section
//! 3.1: γ_d = d u / (1 − d u)). Every row whose value is within twice the bound of the k-th smallest may be among the
//! k nearest, and only those few are measured again in f64. So the answer is that of the plain loop in f64, at the
//! speed of the product. Where rows are long and queries many, [`crate::shadow`] is faster.

use crate::knn::Distance;
use crate::shadow::Shadows;
use bakeoff_numeric::matmul_here;
use ndarray::{ArcArray2, Array2, ArrayView1, ArrayView2, ArrayViewMut1, ArrayViewMut2, Axis, s};
use pulp::{Simd, WithSimd};
use rayon::prelude::*;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicBool, Ordering};

/// Training rows, ready to be searched.
pub struct Index {
    /// Shared with whoever made them: they are as large as the training rows.
    rows: ArcArray2<f32>,
    distance: Distance,
    /// |x|² of each row for L2, 0 for L1.
    squares: Vec<f32>,
    /// The greatest norm of a row, of the kind that the distance has.
    greatest_norm: f64,
    /// Made for the first many queries; none where they do not help.
    shadows: OnceLock<Option<Shadows>>,
    /// Whether somebody makes them. Nobody waits for it: who waits within rayon's pool may be what is waited for.
    shadows_begun: AtomicBool,
}

/// Queries handled together, and training rows a tile: 256 × 512 values stay in the second-level cache.
pub(crate) const QUERIES: usize = 256;
pub(crate) const TILE: usize = 512;

impl Index {
    /// Takes training rows (n, d).
    pub fn new(rows: impl Into<ArcArray2<f32>>, distance: Distance) -> Self {
        Self::with_norms(rows.into(), distance).0
    }

    /// The same of rows that must be finite, which their norms tell without another way through memory.
    ///
    /// # Errors
    /// The first row that holds a value that is not finite.
    pub fn of_finite(rows: impl Into<ArcArray2<f32>>, distance: Distance) -> Result<Self, usize> {
        // No sum of finite f32 or their squares overflows in f64.
        let (index, norms) = Self::with_norms(rows.into(), distance);
        match norms.iter().position(|norm| !norm.is_finite()) {
            Some(row) => Err(row),
            None => Ok(index),
        }
    }

    fn with_norms(rows: ArcArray2<f32>, distance: Distance) -> (Self, Vec<f64>) {
        let rows = if rows.is_standard_layout() { rows } else { rows.as_standard_layout().into_owned().into_shared() };
        let norms: Vec<f64> = rows.axis_iter(Axis(0)).into_par_iter().map(|row| norm(row, distance)).collect();
        let squares = match distance {
            Distance::L2 => norms.iter().map(|norm| (norm * norm) as f32).collect(),
            Distance::L1 => vec![0.0; norms.len()],
        };
        let greatest_norm = norms.iter().copied().fold(0.0, f64::max);
        let (shadows, shadows_begun) = (OnceLock::new(), AtomicBool::new(false));
        (Self { rows, distance, squares, greatest_norm, shadows, shadows_begun }, norms)
    }

    /// The training rows (n, d).
    pub fn rows(&self) -> ArrayView2<'_, f32> {
        self.rows.view()
    }

    /// Bytes of the rows and their norms.
    pub fn bytes(&self) -> usize {
        (self.rows.len() + self.squares.len()) * size_of::<f32>()
    }

    /// For each query row of (m, d) its k nearest training rows as (position, distance), nearest first, the earlier row
    /// first among equals. L2 distances are squared.
    ///
    /// # Panics
    /// When the queries do not have d columns.
    pub fn nearest(&self, queries: ArrayView2<'_, f32>, k: usize) -> Vec<Vec<(usize, f64)>> {
        assert_eq!(queries.ncols(), self.rows.ncols(), "columns of the training rows");
        let shadows = self.shadows(queries.nrows());
        let blocks = queries.axis_chunks_iter(Axis(0), QUERIES).into_par_iter();
        let nearest = |block| shadows.and_then(|shadows| shadows.nearest(self, block, k));
        blocks.flat_map_iter(|block| nearest(block).unwrap_or_else(|| self.nearest_of_block(block, k))).collect()
    }

    /// Shadows of the rows, where they are there or these queries are worth making them.
    fn shadows(&self, queries: usize) -> Option<&Shadows> {
        let pay = self.distance == Distance::L2 && Shadows::pay(self.rows.dim(), queries);
        if pay && !self.shadows_begun.swap(true, Ordering::Relaxed) {
            let _ = self.shadows.set(Shadows::of(self.rows.view()));
        }
        self.shadows.get().and_then(Option::as_ref)
    }

    fn nearest_of_block(&self, queries: ArrayView2<'_, f32>, k: usize) -> Vec<Vec<(usize, f64)>> {
        let margin = |query: ArrayView1<'_, f32>| 2.0 * self.rounding(norm(query, self.distance));
        let mut candidates: Vec<_> = queries.outer_iter().map(|query| Candidates::new(k, margin(query))).collect();
        let mut tile = Array2::zeros((queries.nrows(), TILE));
        for start in (0..self.rows.nrows()).step_by(TILE) {
            let end = (start + TILE).min(self.rows.nrows());
            let rows = self.rows.slice(s![start..end, ..]);
            let mut values = tile.slice_mut(s![.., ..end - start]);
            self.fill(queries, rows, values.view_mut());
            // For L2 the tile has the products q·x.
            let squares = (self.distance == Distance::L2).then(|| &self.squares[start..end]);
            for (found, values) in candidates.iter_mut().zip(values.outer_iter_mut()) {
                let values = values.into_slice().expect("a row of a row-major array");
                pulp::Arch::new().dispatch(Offer { found, values, squares, start });
            }
        }
        let pairs = candidates.into_iter().zip(queries.outer_iter());
        pairs.map(|(found, query)| self.decide(found, query, k)).collect()
    }

    /// The products of a tile, (queries, rows), or its distances for L1.
    fn fill(&self, queries: ArrayView2<'_, f32>, rows: ArrayView2<'_, f32>, mut out: ArrayViewMut2<'_, f32>) {
        match self.distance {
            Distance::L2 => matmul_here(queries, rows.t(), out.view_mut()),
            Distance::L1 => {
                let queries = queries.as_standard_layout();
                for (query, out) in queries.outer_iter().zip(out.outer_iter_mut()) {
                    let query = query.to_slice().expect("brought to standard layout");
                    pulp::Arch::new().dispatch(AbsoluteDifferences { query, rows: rows.view(), out });
                }
            }
        }
    }

    /// A bound on the rounding error of a tile's value for a query of this norm.
    fn rounding(&self, query_norm: f64) -> f64 {
        let unit = f64::from(f32::EPSILON) / 2.0;
        // d products and sums, and a few more for the square, the doubling, the difference and their storing.
        let steps = (self.rows.ncols() + 8) as f64 * unit;
        let gamma = if steps < 0.5 { steps / (1.0 - steps) } else { f64::INFINITY };
        let size = match self.distance {
            Distance::L2 => 2.0 * query_norm * self.greatest_norm + 2.0 * self.greatest_norm * self.greatest_norm,
            Distance::L1 => 2.0 * (query_norm + self.greatest_norm),
        };
        gamma * size
    }

    fn decide(&self, mut found: Candidates, query: ArrayView1<'_, f32>, k: usize) -> Vec<(usize, f64)> {
        found.prune();
        self.measured(found.list.into_iter().map(|(position, _)| position), query, k)
    }

    /// The k nearest of some rows, as the plain loop measures and orders them.
    pub(crate) fn measured(
        &self,
        positions: impl Iterator<Item = usize>,
        query: ArrayView1<'_, f32>,
        k: usize,
    ) -> Vec<(usize, f64)> {
        let exact = |position| (position, exact_distance(query, self.rows.row(position), self.distance));
        let mut measured: Vec<_> = positions.map(exact).collect();
        measured.sort_by(|a, b| a.1.total_cmp(&b.1).then(a.0.cmp(&b.0)));
        measured.truncate(k);
        measured
    }
}

/// The rows that may be among the k nearest of one query.
pub(crate) struct Candidates {
    pub(crate) list: Vec<(usize, f32)>,
    k: usize,
    margin: f64,
    /// Values above this cannot be among the k nearest.
    limit: f32,
    /// The list is pruned when it is longer.
    most: usize,
}

/// Values looked at together: one comparison for most groups.
pub(crate) const GROUP: usize = 32;

impl Candidates {
    pub(crate) fn new(k: usize, margin: f64) -> Self {
        Self { list: Vec::new(), k, margin, limit: f32::INFINITY, most: 4 * k + 64 }
    }

    /// Keeps those of a group's values that may matter; value i belongs to row `start + i`.
    #[inline(never)]
    fn keep(&mut self, values: &[f32], start: usize) {
        let limit = self.limit;
        let kept = values.iter().enumerate().filter(|&(_, &value)| !(value > limit));
        self.list.extend(kept.map(|(i, &value)| (start + i, value)));
        if self.list.len() > self.most {
            self.prune();
            // Rows that cannot be told apart stay in the list: pruning it at every group would be quadratic.
            self.most = self.most.max(2 * self.list.len());
        }
    }

    pub(crate) fn prune(&mut self) {
        if self.list.len() <= self.k {
            return;
        }
        let (_, &mut (_, greatest), _) = self.list.select_nth_unstable_by(self.k - 1, |a, b| a.1.total_cmp(&b.1));
        // Rounded up, so that the limit is no lower than meant.
        self.limit = ((f64::from(greatest) + self.margin) as f32).next_up();
        if self.limit.is_nan() {
            self.limit = f32::INFINITY;
        }
        let limit = self.limit;
        self.list.retain(|&(_, value)| !(value > limit));
    }
}

/// One query's values of a tile, looked at group by group: nearly always no value of a group matters.
pub(crate) struct Offer<'a> {
    pub(crate) found: &'a mut Candidates,
    pub(crate) values: &'a mut [f32],
    /// |x|² of each row where the values are products q·x.
    pub(crate) squares: Option<&'a [f32]>,
    pub(crate) start: usize,
}

impl WithSimd for Offer<'_> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, _: S) {
        let Self { found, values, squares, start } = self;
        if let Some(squares) = squares {
            values.iter_mut().zip(squares).for_each(|(value, square)| *value = square - 2.0 * *value);
        }
        let (groups, rest) = values.as_chunks::<GROUP>();
        for (i, group) in groups.iter().enumerate() {
            let mut matters = false;
            // A value that overflowed is NaN or infinite: it is kept, and f64 decides.
            group.iter().for_each(|&value| matters |= !(value > found.limit));
            if matters {
                found.keep(group, start + i * GROUP);
            }
        }
        found.keep(rest, start + groups.len() * GROUP);
    }
}

pub(crate) fn norm(row: ArrayView1<'_, f32>, distance: Distance) -> f64 {
    let row = row.as_standard_layout();
    let row = row.as_slice().expect("brought to standard layout");
    pulp::Arch::new().dispatch(Norm { row, distance })
}

/// The norm of a row, in sixteen sums of every sixteenth column: one sum would wait for itself.
struct Norm<'a> {
    row: &'a [f32],
    distance: Distance,
}

impl WithSimd for Norm<'_> {
    type Output = f64;

    #[inline(always)]
    fn with_simd<S: Simd>(self, _: S) -> f64 {
        match self.distance {
            Distance::L2 => sum(self.row, |v| v * v).sqrt(),
            Distance::L1 => sum(self.row, f64::abs),
        }
    }
}

#[inline(always)]
fn sum(row: &[f32], of: impl Fn(f64) -> f64) -> f64 {
    let (chunks, rest) = row.as_chunks::<16>();
    let mut sums = [0.0; 16];
    for chunk in chunks {
        for i in 0..16 {
            sums[i] += of(f64::from(chunk[i]));
        }
    }
    rest.iter().fold(sums.iter().sum(), |sum, &v| sum + of(f64::from(v)))
}

/// The distance in f64, summed from the first column to the last; squared for L2.
fn exact_distance(a: ArrayView1<'_, f32>, b: ArrayView1<'_, f32>, distance: Distance) -> f64 {
    let differences = a.iter().zip(b).map(|(&a, &b)| f64::from(a) - f64::from(b));
    match distance {
        Distance::L2 => differences.map(|d| d * d).sum(),
        Distance::L1 => differences.map(f64::abs).sum(),
    }
}

/// Σ |q − x| in f32 for each row x, with 64 partial sums, for the vector units.
struct AbsoluteDifferences<'a, 'b, 'c> {
    query: &'a [f32],
    rows: ArrayView2<'b, f32>,
    out: ArrayViewMut1<'c, f32>,
}

const LANES: usize = 64;

impl WithSimd for AbsoluteDifferences<'_, '_, '_> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(mut self, _: S) {
        let (query, query_rest) = self.query.as_chunks::<LANES>();
        for (row, value) in self.rows.outer_iter().zip(&mut self.out) {
            let (row, row_rest) = row.to_slice().expect("owned rows are contiguous").as_chunks::<LANES>();
            let mut sums = [0.0f32; LANES];
            for (a, b) in query.iter().zip(row) {
                for i in 0..LANES {
                    sums[i] += (a[i] - b[i]).abs();
                }
            }
            let rest: f32 = query_rest.iter().zip(row_rest).map(|(a, b)| (a - b).abs()).sum();
            *value = sums.iter().sum::<f32>() + rest;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn plain(index: &Index, query: ArrayView1<'_, f32>, k: usize) -> Vec<(usize, f64)> {
        let mut all: Vec<_> =
            index.rows.outer_iter().map(|row| exact_distance(query, row, index.distance)).enumerate().collect();
        all.sort_by(|a, b| a.1.total_cmp(&b.1).then(a.0.cmp(&b.0)));
        all.truncate(k);
        all
    }

    #[test]
    fn agrees_with_the_plain_loop_where_f32_alone_would_not() {
        // Far from the origin, f32 products lose all digits of these differences; many rows are duplicates.
        for (offset, spread) in [(0.0, 1.0), (1000.0, 0.001), (1e6, 0.5), (1e20, 1e18)] {
            for distance in [Distance::L2, Distance::L1] {
                let value = |i: usize, j: usize| offset + spread * ((i * i * 7 + j * 13 + i * j) % 19) as f32;
                let rows = Array2::from_shape_fn((1500, 70), |(i, j)| value(i % 1100, j));
                let index = Index::new(rows, distance);
                let queries = Array2::from_shape_fn((9, 70), |(i, j)| value(i * 211 + 3, j) + spread * 0.5);
                for k in [1, 5, 40, 1500] {
                    let found = index.nearest(queries.view(), k);
                    for (found, query) in found.iter().zip(queries.outer_iter()) {
                        assert_eq!(*found, plain(&index, query, k), "{distance:?} {offset} {k}");
                    }
                }
            }
        }
    }
}
