//! Exact search without most of the work: short shadows of the rows rule out nearly all of them.
//!
//! A shadow is the row's coordinates along at most 128 axes, those in which the rows differ most (the first principal
//! components, by subspace iteration: Golub, Van Loan, *Matrix Computations*, 4th ed., section 8.2.4). Shadows are never farther apart
//! than their rows; so a row whose shadow is farther from the query's than the k-th nearest row found so far is not
//! among the k nearest (the contractive filter of Faloutsos, Ranganathan, Manolopoulos 1994). With k = 5, 411 rows a query
//! (0.7%) of Fashion-MNIST's and 473 (0.9%) of CIFAR-10's training rows are left, which are measured in f64.
//!
//! Everything is bounded with its rounding (Higham, as in [`crate::search`]): the answer is that of the plain loop in f64.
//! With A the axes, σ² ≥ ‖AᵀA‖, and z(a) the rounded Aᵀ(a − centre), |z(a) − Aᵀ(a − centre)| ≤ η |a − centre|, and
//! |z(a) − z(b)| ≤ σ |a − b| + η (|a − centre| + |b − centre|).

use crate::search::{Candidates, GROUP, Index, Offer, QUERIES, TILE, norm};
use bakeoff_numeric::{inverse_cholesky, matmul, matmul_here};
use ndarray::{Array1, Array2, ArrayView1, ArrayView2, ArrayViewMut2, Axis, s};
use pulp::{Simd, WithSimd};
use rayon::prelude::*;

/// Coordinates of a shadow, where rows have at least four times as many.
const AXES: usize = 128;

/// Shorter shadows rule out too little.
const FEWEST_AXES: usize = 32;

/// Training rows below which the plain search is over before shadows are made.
const FEWEST_ROWS: usize = 4096;

/// Queries at once for which shadows are made, which takes about as long as the plain search of 250 on Fashion-MNIST (0.13 s) and 155
/// on CIFAR-10 (0.38 s); fewer use them where they are there.
const FEWEST_QUERIES: usize = 128;

/// Rows from which the axes are learned, and rounds of it.
const SAMPLE: usize = 1024;
const ROUNDS: usize = 3;

/// Every how many-th tile is looked at first, so that a near row of each query is known.
const FIRST_LOOK: usize = 8;

/// A block of queries goes the plain way when more than this share of all rows has to be measured, beside 8 k each.
const WORTH: f64 = 1.0 / 32.0;

/// Numbers of a row up to which the bounds below hold.
const LONGEST: usize = 1 << 20;

/// More than the rounding of a squared distance in f64, in whatever order it is summed: (d + 3) u.
const F64_ROUNDING: f64 = 1e-9;

/// More than what a shadow's products of numbers too small for f32 can lose: hundreds of times the smallest one, 1.4e-45.
const UNDERFLOW: f64 = 1e-42;

/// The shadows of an index's rows.
pub(crate) struct Shadows {
    centre: Array1<f32>,
    /// (d, axes).
    axes: Array2<f32>,
    /// σ.
    stretch: f64,
    /// η.
    rounding: f64,
    /// The shadows of the rows (n, axes), and |z|² of each.
    rows: Array2<f32>,
    squares: Vec<f32>,
    /// The greatest |a − centre| and |z| of a row.
    greatest: f64,
    greatest_shadow: f64,
}

impl Shadows {
    /// Whether to make them for this many queries.
    pub(crate) fn pay((n, d): (usize, usize), queries: usize) -> bool {
        n >= FEWEST_ROWS && (4 * FEWEST_AXES..=LONGEST).contains(&d) && queries >= FEWEST_QUERIES
    }

    /// Shadows of rows (n, d); none where the rows differ in too few ways, or are not finite.
    pub(crate) fn of(rows: ArrayView2<'_, f32>) -> Option<Self> {
        let (n, d) = rows.dim();
        let count = AXES.min(d / 4 / 16 * 16);
        let step = (n / SAMPLE).max(1);
        let sample = rows.slice(s![..; step, ..]).mapv(f64::from);
        let centre = sample.mean_axis(Axis(0))?.mapv(|v| v as f32);
        let axes = axes(sample - &centre.mapv(f64::from), count)?;
        // The largest eigenvalue is at most the greatest sum of sizes in a row (Gershgorin), here of AᵀA in f64.
        let wide = axes.mapv(f64::from);
        let mut gram = Array2::zeros((count, count));
        matmul(wide.t(), wide.view(), gram.view_mut());
        let greatest_sum = gram.outer_iter().map(|row| row.iter().map(|v| v.abs()).sum::<f64>()).fold(0.0, f64::max);
        let stretch = (greatest_sum * (1.0 + F64_ROUNDING)).sqrt();
        let unit = f64::from(f32::EPSILON) / 2.0;
        let steps = (d + 2) as f64 * unit;
        // d products and sums of each coordinate, and the difference from the centre.
        let rounding = stretch * (steps / (1.0 - steps) * (count as f64).sqrt() + 2.0 * unit);
        let mut shadows = Self {
            centre,
            axes,
            stretch,
            rounding,
            rows: Array2::zeros((n, count)),
            squares: Vec::new(),
            greatest: 0.0,
            greatest_shadow: 0.0,
        };
        let mut out = Array2::zeros((n, count));
        let blocks = rows.axis_chunks_iter(Axis(0), QUERIES).into_par_iter();
        let norms: Vec<Vec<f64>> =
            blocks.zip(out.axis_chunks_iter_mut(Axis(0), QUERIES)).map(|(rows, out)| shadows.cast(rows, out)).collect();
        shadows.greatest = norms.into_iter().flatten().fold(0.0, f64::max);
        let sizes: Vec<f64> = out.axis_iter(Axis(0)).into_par_iter().map(squared).collect();
        shadows.greatest_shadow = sizes.iter().copied().fold(0.0, f64::max).sqrt();
        shadows.squares = sizes.into_iter().map(|square| square as f32).collect();
        shadows.rows = out;
        let is_finite = shadows.squares.iter().all(|square| square.is_finite()) && stretch.is_finite();
        is_finite.then_some(shadows)
    }

    /// The shadows of rows, into `out`; |a − centre| of each, rounded up.
    fn cast(&self, rows: ArrayView2<'_, f32>, out: ArrayViewMut2<'_, f32>) -> Vec<f64> {
        let centred = &rows - &self.centre;
        matmul_here(centred.view(), self.axes.view(), out);
        centred.outer_iter().map(|row| squared(row).sqrt() * (1.0 + 1e-6)).collect()
    }

    /// As [`Index::nearest`] for one block of queries; none where shadows rule out too little.
    pub(crate) fn nearest(
        &self,
        index: &Index,
        queries: ArrayView2<'_, f32>,
        k: usize,
    ) -> Option<Vec<Vec<(usize, f64)>>> {
        let n = self.rows.nrows();
        if k * FIRST_LOOK * FIRST_LOOK > n {
            return None;
        }
        let mut shadows = Array2::zeros((queries.nrows(), self.rows.ncols()));
        let sizes = self.cast(queries, shadows.view_mut());
        let asked = queries.outer_iter().zip(shadows.outer_iter()).zip(sizes);
        let searches: Option<Vec<Search>> =
            asked.map(|((query, shadow), size)| self.search(query, shadow, size, k)).collect();
        let mut searches = searches?;
        self.first_look(index, &shadows, &mut searches);
        // At first, when near rows are still to be met, four times the share.
        let most = |seen: usize| queries.nrows() * ((WORTH * (4 * seen).min(n) as f64) as usize + 8 * k);
        let mut tile = Array2::zeros((queries.nrows(), TILE));
        let mut measured = 0;
        for start in (0..n).step_by(TILE) {
            let count = self.fill(&shadows, start, &mut tile);
            for (search, values) in searches.iter_mut().zip(tile.outer_iter()) {
                let values = &values.to_slice().expect("a row of a row-major array")[..count];
                measured += search.offer(index, values, start);
            }
            if measured > most(start + count) {
                return None;
            }
        }
        Some(searches.into_iter().map(|search| search.decide(index)).collect())
    }

    /// The search of a query with this shadow and |query − centre|; none where they are no numbers.
    fn search(&self, query: ArrayView1<'_, f32>, shadow: ArrayView1<'_, f32>, size: f64, k: usize) -> Option<Search> {
        let square = squared(shadow);
        let unit = f64::from(f32::EPSILON) / 2.0;
        // The products of a tile, the doubling, the difference and their storing.
        let tile_rounding = 2.0 * (self.axes.ncols() + 8) as f64 * unit;
        let sizes_of_terms = 2.0 * square.sqrt() * self.greatest_shadow + 2.0 * self.greatest_shadow.powi(2);
        (square.is_finite() && size.is_finite()).then(|| Search {
            query: query.to_vec(),
            k,
            square,
            slack: self.rounding * (size + self.greatest) + UNDERFLOW * query.len() as f64,
            tile_rounding: tile_rounding * sizes_of_terms + UNDERFLOW,
            stretch: self.stretch,
            list: Vec::new(),
            most: 4 * k + 64,
            limit: f32::INFINITY,
        })
    }

    /// Finds k near rows of every query.
    fn first_look(&self, index: &Index, shadows: &Array2<f32>, searches: &mut [Search]) {
        let mut tile = Array2::zeros((searches.len(), TILE));
        let mut candidates: Vec<_> = searches.iter().map(|search| Candidates::new(search.k, 0.0)).collect();
        for start in (0..self.rows.nrows()).step_by(TILE * FIRST_LOOK) {
            let count = self.fill(shadows, start, &mut tile);
            for (found, mut values) in candidates.iter_mut().zip(tile.outer_iter_mut()) {
                let values = &mut values.as_slice_mut().expect("a row of a row-major array")[..count];
                pulp::Arch::new().dispatch(Offer { found, values, squares: None, start });
            }
        }
        for (search, mut found) in searches.iter_mut().zip(candidates) {
            found.prune();
            search.begin(index, &found.list);
        }
    }

    /// |z|² − 2 z·q of a tile's rows for every query; how many rows they are.
    fn fill(&self, shadows: &Array2<f32>, start: usize, tile: &mut Array2<f32>) -> usize {
        let end = (start + TILE).min(self.rows.nrows());
        let mut values = tile.slice_mut(s![.., ..end - start]);
        matmul_here(shadows.view(), self.rows.slice(s![start..end, ..]).t(), values.view_mut());
        let squares = &self.squares[start..end];
        for mut row in values.outer_iter_mut() {
            row.iter_mut().zip(squares).for_each(|(value, square)| *value = square - 2.0 * *value);
        }
        end - start
    }
}

/// The search of one query.
struct Search {
    query: Vec<f32>,
    k: usize,
    /// |z|² of the query.
    square: f64,
    /// η (|query − centre| + the greatest |a − centre|).
    slack: f64,
    /// A bound on the rounding of a tile's value.
    tile_rounding: f64,
    stretch: f64,
    /// Rows that may be among the nearest, with their squared distances.
    list: Vec<(usize, f64)>,
    /// The list is pruned when it is longer.
    most: usize,
    /// Rows with greater values are not among the nearest.
    limit: f32,
}

impl Search {
    /// Takes a first bound from some k rows. They are not kept: they will be met again.
    fn begin(&mut self, index: &Index, some: &[(usize, f32)]) {
        let distances = some.iter().take(self.k).map(|&(position, _)| self.measure(index, position));
        let greatest = distances.fold(0.0, f64::max);
        if some.len() >= self.k {
            self.bound(greatest);
        }
    }

    /// Sets the limit for a k-th nearest row at most this far.
    fn bound(&mut self, squared_distance: f64) {
        let reach = self.stretch * (squared_distance * (1.0 + 3.0 * F64_ROUNDING)).sqrt() + self.slack;
        let limit = reach * reach * (1.0 + F64_ROUNDING) - self.square + self.tile_rounding;
        // Rounded up; what is no number limits nothing.
        let limit = (limit as f32).next_up();
        self.limit = if limit.is_nan() { f32::INFINITY } else { limit };
    }

    /// Measures the rows of a tile that shadows do not rule out; how many.
    fn offer(&mut self, index: &Index, values: &[f32], start: usize) -> usize {
        let mut measured = 0;
        for (group, values) in values.chunks(GROUP).enumerate() {
            let mut matters = false;
            values.iter().for_each(|&value| matters |= !(value > self.limit));
            if !matters {
                continue;
            }
            for (i, &value) in values.iter().enumerate() {
                if !(value > self.limit) {
                    let position = start + group * GROUP + i;
                    let distance = self.measure(index, position);
                    self.list.push((position, distance));
                    measured += 1;
                }
            }
            if self.list.len() > self.most {
                self.prune();
                // As the plain search: rows that cannot be told apart stay in the list.
                self.most = self.most.max(2 * self.list.len());
            }
        }
        measured
    }

    /// Leaves those that may be among the k nearest, and lowers the limit.
    fn prune(&mut self) {
        if self.list.len() < self.k {
            return;
        }
        let (_, &mut (_, kth), _) = self.list.select_nth_unstable_by(self.k - 1, |a, b| a.1.total_cmp(&b.1));
        self.list.retain(|&(_, distance)| !(distance > kth * (1.0 + 3.0 * F64_ROUNDING)));
        self.bound(kth);
    }

    /// The squared distance in f64, in the order of vectors.
    fn measure(&self, index: &Index, position: usize) -> f64 {
        let rows = index.rows();
        let row = rows.row(position).to_slice().expect("an index's rows are contiguous");
        pulp::Arch::new().dispatch(Difference { a: &self.query, b: row })
    }

    fn decide(mut self, index: &Index) -> Vec<(usize, f64)> {
        self.prune();
        index.measured(self.list.iter().map(|&(position, _)| position), ArrayView1::from(&self.query), self.k)
    }
}

/// Σ (a − b)² in f64, in sixteen sums.
struct Difference<'a> {
    a: &'a [f32],
    b: &'a [f32],
}

impl WithSimd for Difference<'_> {
    type Output = f64;

    #[inline(always)]
    fn with_simd<S: Simd>(self, _: S) -> f64 {
        let ((a, a_rest), (b, b_rest)) = (self.a.as_chunks::<16>(), self.b.as_chunks::<16>());
        let mut sums = [0.0; 16];
        for (a, b) in a.iter().zip(b) {
            for i in 0..16 {
                let difference = f64::from(a[i]) - f64::from(b[i]);
                sums[i] += difference * difference;
            }
        }
        let rest = a_rest.iter().zip(b_rest).map(|(&a, &b)| (f64::from(a) - f64::from(b)).powi(2));
        rest.fold(sums.iter().sum(), |sum, square| sum + square)
    }
}

fn squared(row: ArrayView1<'_, f32>) -> f64 {
    norm(row, crate::Distance::L2).powi(2)
}

/// About the first principal axes (d, count) of centred rows (n, d), rounded to f32; none where the rows have fewer.
/// `unsupervised` has those of all rows to more digits; siblings do not import each other, and here any orthonormal axes do.
fn axes(rows: Array2<f64>, count: usize) -> Option<Array2<f32>> {
    let (n, d) = rows.dim();
    if n < count {
        return None;
    }
    let mut axes = rows.slice(s![..count, ..]).t().to_owned();
    let mut scores = Array2::zeros((n, count));
    for _ in 0..ROUNDS {
        axes = orthonormal(&orthonormal(&axes)?)?;
        matmul(rows.view(), axes.view(), scores.view_mut());
        axes = Array2::zeros((d, count));
        matmul(rows.t(), scores.view(), axes.view_mut());
    }
    Some(orthonormal(&orthonormal(&axes)?)?.mapv(|v| v as f32))
}

/// A L⁻ᵀ with L Lᵀ = AᵀA: the same space, by orthonormal columns.
fn orthonormal(a: &Array2<f64>) -> Option<Array2<f64>> {
    let count = a.ncols();
    let mut gram = Array2::zeros((count, count));
    matmul(a.t(), a.view(), gram.view_mut());
    let inverse = inverse_cholesky(gram.view())?;
    let mut out = Array2::zeros(a.dim());
    matmul(a.view(), inverse.t(), out.view_mut());
    Some(out)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Distance;

    /// Rows about some centres, from a plain generator: n of dimension d, with an offset and a spread.
    fn clouds(n: usize, d: usize, salt: u64, offset: f32, spread: f32) -> Array2<f32> {
        let mut state = salt;
        let mut next = move || {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            (state >> 40) as f32 / 16_777_216.0 - 0.5
        };
        let mixing = Array2::from_shape_fn((d, 12), |(i, j)| ((i * (j + 3) * 7 + j * 31) % 23) as f32 / 11.0 - 1.0);
        let mut rows = Array2::zeros((n, d));
        for mut row in rows.outer_iter_mut() {
            let inner: Array1<f32> = (0..12).map(|_| next()).collect();
            let mixed = mixing.dot(&inner);
            row.iter_mut().zip(mixed).for_each(|(v, m)| *v = offset + spread * (m + 0.05 * next()));
        }
        rows
    }

    fn plain(index: &Index, query: ArrayView1<'_, f32>, k: usize) -> Vec<(usize, f64)> {
        let apart = |(&a, &b): (&f32, &f32)| (f64::from(a) - f64::from(b)).powi(2);
        let rows = index.rows();
        let measured = rows.outer_iter().map(|row| query.iter().zip(row).map(apart).sum::<f64>());
        let mut all: Vec<_> = measured.enumerate().collect();
        all.sort_by(|a, b| a.1.total_cmp(&b.1).then(a.0.cmp(&b.0)));
        all.truncate(k);
        all
    }

    #[test]
    fn shadows_find_what_the_plain_loop_finds() {
        for (offset, spread) in [(0.0, 1.0), (100.0, 1.0), (1e6, 100.0), (0.0, 1e-18), (0.0, 1e15)] {
            let mut rows = clouds(5000, 150, 1, offset, spread);
            // Duplicates, which only the position tells apart.
            for i in 0..500 {
                let (mut first, second) = rows.multi_slice_mut((s![i, ..], s![i + 1000, ..]));
                first.assign(&second);
            }
            let queries = clouds(20, 150, 7, offset, spread);
            let index = Index::new(rows.clone(), Distance::L2);
            let shadows = Shadows::of(rows.view()).expect("rows in general position");
            for k in [1, 5, 60] {
                let found = shadows.nearest(&index, queries.view(), k).expect("few have to be measured");
                for (found, query) in found.iter().zip(queries.outer_iter()) {
                    assert_eq!(*found, plain(&index, query, k), "{offset} {spread} {k}");
                }
                // Rows that are there are their own nearest.
                let own = shadows.nearest(&index, rows.slice(s![..40, ..]), k).expect("few have to be measured");
                for (i, found) in own.iter().enumerate() {
                    assert_eq!(*found, plain(&index, rows.row(i), k), "{offset} {spread} {k}, row {i}");
                }
            }
        }
    }

    #[test]
    fn shadows_are_not_farther_apart_than_their_rows() {
        let rows = clouds(4200, 200, 3, 10.0, 2.0);
        let shadows = Shadows::of(rows.view()).expect("rows in general position");
        assert!((shadows.stretch - 1.0).abs() < 1e-4, "{}", shadows.stretch);
        for (i, j) in (0..400).map(|i| (i, (i * 37 + 5) % 4200)) {
            let apart = squared((&rows.row(i) - &rows.row(j)).view()).sqrt();
            let shadow = squared((&shadows.rows.row(i) - &shadows.rows.row(j)).view()).sqrt();
            assert!(shadow <= shadows.stretch * apart + 2.0 * shadows.rounding * shadows.greatest, "{i} {j}");
            assert!(shadow > 0.5 * apart, "most of a distance is seen: {shadow} of {apart}");
        }
    }

    #[test]
    fn rows_without_shadows_are_searched_all_the_same() {
        // All alike; fewer ways to differ than axes; numbers that overflow; what is no number.
        let alike = Array2::from_elem((4500, 140), 3.0);
        let few = Array2::from_shape_fn((4500, 140), |(i, j)| if j < 20 { ((i * (j + 1)) % 17) as f32 } else { 0.0 });
        let vast = clouds(4500, 140, 5, 0.0, 1e30);
        let mut nan = clouds(4500, 140, 5, 0.0, 1.0);
        nan[[77, 3]] = f32::NAN;
        for (name, rows) in [("alike", alike), ("few", few), ("vast", vast), ("nan", nan)] {
            assert!(Shadows::of(rows.view()).is_none(), "{name}");
            let index = Index::new(rows.clone(), Distance::L2);
            let found = index.nearest(rows.slice(s![..600, ..]), 3);
            for i in [0, 5, 599] {
                let plain = plain(&index, rows.row(i), 3);
                let positions = |found: &[(usize, f64)]| found.iter().map(|&(at, _)| at).collect::<Vec<_>>();
                assert_eq!(positions(&found[i]), positions(&plain), "{name}, row {i}");
            }
        }
    }

    #[test]
    fn queries_that_shadows_do_not_help_go_the_plain_way() {
        let rows = clouds(5000, 150, 1, 0.0, 1.0);
        let (index, shadows) = (Index::new(rows.clone(), Distance::L2), Shadows::of(rows.view()).expect("shadows"));
        // So far away that rounding hides all differences; no number; more neighbours than a first look sees.
        let far = Array2::from_elem((4, 150), 1e9);
        assert!(shadows.nearest(&index, far.view(), 3).is_none());
        assert!(shadows.nearest(&index, Array2::from_elem((4, 150), f32::NAN).view(), 3).is_none());
        assert!(shadows.nearest(&index, rows.slice(s![..4, ..]), 500).is_none());
        let mut queries = clouds(600, 150, 9, 0.0, 1.0);
        queries.row_mut(17).fill(1e9);
        let found = index.nearest(queries.view(), 3);
        for i in [0, 17, 18, 599] {
            assert_eq!(found[i], plain(&index, queries.row(i), 3), "query {i}");
        }
    }
}
