//! Products of a training step that leave out zeros.
//!
//! The derivative of a rectifier is 0 for every row that it holds back: half of the derivatives in the first layer of the networks of
//! `reports/`, nine in ten in the second of `mlp-3`. A sum that leaves out 0 · x is the same sum for every finite x; so
//! whether a product leaves zeros out may follow their number without anybody seeing it but the clock.
//!
//! [`Nonzeros`] holds what is left of a matrix. Vectors run over 64 columns of the other operand, which stay in the first level
//! cache while all rows use them. Every multiply-add then loads a vector, which is why it takes longer than that of a dense
//! product, and why two rows are summed at once: one alone would wait for itself.

use crate::element::Element;
use crate::panels::{Band, Line, PANEL, Panels, TileWork, transpose};
use crate::tiles::{self, BAND, Pair, fetch, in_bands, lanes, run};
use pulp::{Simd, WithSimd};

/// Rows of a tile that is handed on.
const TILE: usize = 8;

/// Panels of the other operand that are used together: 64 columns of a batch of 128 are 32 KB of f32.
const TOGETHER: usize = 2;

/// Rows whose lists one task writes.
const GROUP: usize = 64;

/// Numbers below which the other thread costs more than it brings.
const ONE_THREAD_BELOW: usize = 1 << 16;

/// A number that is not 0, and the column that it stands in.
type Entry<T> = (u32, T);

/// The numbers of a matrix (rows, columns) that are not 0, row by row in the order of their columns.
#[derive(Debug, Clone)]
pub struct Nonzeros<T> {
    rows: usize,
    columns: usize,
    /// Room for a whole row each.
    entries: Vec<Entry<T>>,
    /// Entries of each row.
    lengths: Vec<usize>,
}

impl<T: Element> Default for Nonzeros<T> {
    fn default() -> Self {
        Self { rows: 0, columns: 0, entries: Vec::new(), lengths: Vec::new() }
    }
}

impl<T: Element> Nonzeros<T> {
    /// (rows, columns).
    pub fn dim(&self) -> (usize, usize) {
        (self.rows, self.columns)
    }

    /// Takes over what is not 0 in a matrix, on rayon's pool.
    pub fn assign(&mut self, matrix: &Panels<T>) {
        let (rows, columns) = matrix.dim();
        self.fill(rows, columns, |row, list| {
            for id in 0..matrix.n_panels() {
                let start = id * PANEL;
                list.extend(start, &matrix.panel(id)[row][..PANEL.min(columns - start)]);
            }
        });
    }

    /// Takes over what is not 0 in the transposed of a matrix (columns, rows), on rayon's pool.
    pub fn assign_transposed(&mut self, matrix: &Panels<T>) {
        let (columns, rows) = matrix.dim();
        self.fill(rows, columns, |row, list| {
            let lines = matrix.panel(row / PANEL).iter();
            lines.enumerate().for_each(|(column, line)| list.extend(column, &[line[row % PANEL]]));
        });
    }

    /// Has `each` write every row's list.
    fn fill(&mut self, rows: usize, columns: usize, each: impl Fn(usize, &mut List<'_, T>) + Sync) {
        (self.rows, self.columns) = (rows, columns);
        self.entries.resize(rows * columns, (0, T::zero()));
        self.lengths.resize(rows, 0);
        let groups = self.entries.chunks_mut((GROUP * columns).max(1)).zip(self.lengths.chunks_mut(GROUP));
        run(rows * columns >= ONE_THREAD_BELOW, groups.enumerate().collect(), |(group, (entries, lengths))| {
            for (i, (entries, length)) in entries.chunks_exact_mut(columns).zip(lengths).enumerate() {
                let mut list = List { entries, length: 0 };
                each(group * GROUP + i, &mut list);
                *length = list.length;
            }
        });
    }

    #[inline(always)]
    fn row(&self, row: usize) -> &[Entry<T>] {
        &self.entries[row * self.columns..][..self.lengths[row]]
    }

    /// Two rows beside each other; past the last one an empty one.
    #[inline(always)]
    fn pair(&self, row: usize) -> [&[Entry<T>]; 2] {
        [self.row(row), if row + 1 < self.rows { self.row(row + 1) } else { &[] }]
    }
}

/// A row's list that is being written.
struct List<'a, T> {
    entries: &'a mut [Entry<T>],
    length: usize,
}

impl<T: Element> List<'_, T> {
    /// Goes on with the numbers of these columns. Each is written before it is known whether it stays: no branch could be
    /// foretold.
    #[inline(always)]
    fn extend(&mut self, first: usize, values: &[T]) {
        for (column, &value) in (first as u32..).zip(values) {
            self.entries[self.length] = (column, value);
            self.length += usize::from(value != T::zero());
        }
    }
}

/// As [`crate::panels::multiply_tiles`], with the nonzeros of the left operand.
///
/// # Panics
/// When the shapes do not fit.
pub fn multiply_tiles_sparse<T: Element, const N: usize>(
    left: &Nonzeros<T>,
    right: &Panels<T>,
    targets: [&mut Panels<T>; N],
    each: &impl TileWork<T, N>,
) {
    let ((m, k), (k2, n)) = (left.dim(), right.dim());
    assert!(k == k2 && targets.iter().all(|t| t.dim() == (m, n)), "{:?} · {:?} into targets", left.dim(), right.dim());
    if m == 0 {
        return;
    }
    let mut parts: Vec<_> = targets.into_iter().map(|target| target.lines.chunks_mut(m)).collect();
    let mut tasks = Vec::new();
    for panel in (0..n.div_ceil(PANEL)).step_by(TOGETHER) {
        // Bands of each target's panels.
        let mut bands: Vec<Vec<_>> = parts
            .iter_mut()
            .map(|panels| panels.take(TOGETHER).map(|lines| lines.chunks_mut(2 * BAND)).collect())
            .collect();
        for first in (0..m).step_by(2 * BAND) {
            let targets: [Vec<&mut [Line<T>]>; N] =
                std::array::from_fn(|t| bands[t].iter_mut().filter_map(Iterator::next).collect());
            tasks.push((panel, first, targets));
        }
    }
    run(m * k * n >= tiles::ONE_THREAD_BELOW, tasks, |(panel, first, targets)| {
        pulp::Arch::new().dispatch(Tiles { left, right, panel, first, targets, each });
    });
}

struct Tiles<'a, T, F, const N: usize> {
    left: &'a Nonzeros<T>,
    right: &'a Panels<T>,
    /// The first of the panels that are used together.
    panel: usize,
    /// The first row.
    first: usize,
    /// The lines of each target, panel by panel.
    targets: [Vec<&'a mut [Line<T>]>; N],
    each: &'a F,
}

impl<T: Element, F: TileWork<T, N>, const N: usize> WithSimd for Tiles<'_, T, F, N> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) {
        let panels = self.panel..(self.panel + TOGETHER).min(self.right.n_panels());
        match panels.len() {
            TOGETHER => self.tiles::<S, TOGETHER>(simd),
            _ => self.tiles::<S, 1>(simd),
        }
    }
}

impl<T: Element, F: TileWork<T, N>, const N: usize> Tiles<'_, T, F, N> {
    #[inline(always)]
    fn tiles<S: Simd, const P: usize>(self, simd: S) {
        let Self { left, right, panel, first, mut targets, each } = self;
        let right: [&[Line<T>]; P] = std::array::from_fn(|p| right.panel(panel + p));
        let height = targets[0].first().map_or(0, |lines| lines.len());
        let mut sums = [[[T::zero(); PANEL]; TILE]; P];
        for done in (0..height).step_by(TILE) {
            let end = (done + TILE).min(height);
            for lines in targets.iter().flatten() {
                fetch(&lines[end..(end + TILE).min(height)]);
            }
            for row in (done..end).step_by(2) {
                let pair = gather::<T, S, P>(simd, left.pair(first + row), right);
                for (sums, pair) in sums.iter_mut().zip(pair) {
                    sums[row - done..][..2].copy_from_slice(&pair);
                }
            }
            for (p, sums) in sums.iter().enumerate() {
                each.tile(&sums[..end - done], targets.each_mut().map(|panels| &mut panels[p][done..end]));
            }
        }
    }
}

/// The sums of two rows of nonzeros with P panels of the other operand.
#[inline(always)]
fn gather<T: Element, S: Simd, const P: usize>(
    simd: S,
    [one, other]: [&[Entry<T>]; 2],
    panels: [&[Line<T>]; P],
) -> [[Line<T>; 2]; P] {
    let mut out = [[[T::zero(); PANEL]; 2]; P];
    for half in 0..PANEL / lanes::<T, S>() / 2 {
        let mut sums = [[[T::splat(simd, T::zero()); 2]; P]; 2];
        let [a, b] = &mut sums;
        for (one, other) in one.iter().zip(other) {
            add::<T, S, P>(simd, *one, panels, half, a);
            add::<T, S, P>(simd, *other, panels, half, b);
        }
        let both = one.len().min(other.len());
        // Loops and not closures, which would be functions of their own without this one's vectors.
        for entry in &one[both..] {
            add::<T, S, P>(simd, *entry, panels, half, a);
        }
        for entry in &other[both..] {
            add::<T, S, P>(simd, *entry, panels, half, b);
        }
        for (r, sums) in sums.into_iter().enumerate() {
            for (p, sum) in sums.into_iter().enumerate() {
                T::vectors_mut::<S>(&mut out[p][r]).as_chunks_mut().0[half] = sum;
            }
        }
    }
    out
}

/// Adds a nonzero times its line of each panel.
#[inline(always)]
fn add<T: Element, S: Simd, const P: usize>(
    simd: S,
    (column, value): Entry<T>,
    panels: [&[Line<T>]; P],
    half: usize,
    sums: &mut [Pair<T, S>; P],
) {
    let value = T::splat(simd, value);
    for (sum, lines) in sums.iter_mut().zip(panels) {
        let pairs: &[Pair<T, S>] = T::vectors::<S>(&lines[column as usize]).as_chunks().0;
        let [b0, b1] = pairs[half];
        sum[0] = T::fused(simd, value, b0, sum[0]);
        sum[1] = T::fused(simd, value, b1, sum[1]);
    }
}

/// As [`crate::panels::multiply_transposed`], with the nonzeros of the right operand's transposed (n, k).
///
/// # Panics
/// When the shapes do not fit or `extras` are not as many as bands.
pub fn multiply_transposed_sparse<T: Element, E: Send>(
    left: &Panels<T>,
    right: &Nonzeros<T>,
    out: &mut Panels<T>,
    extras: Vec<E>,
    finish: impl Fn(Band<'_, T>, E) + Sync,
) {
    let ((k, m), (n, k2)) = (left.dim(), right.dim());
    assert!(k == k2 && out.dim() == (m, n), "{:?}ᵀ · {:?}ᵀ into {:?}", left.dim(), right.dim(), out.dim());
    let each = |band: &mut Band<'_, T>| {
        pulp::Arch::new().dispatch(Transposed { left: left.panel(band.first / PANEL), right, band });
    };
    in_bands(out, (PANEL, m * k * n >= tiles::ONE_THREAD_BELOW), extras, each, finish);
}

struct Transposed<'a, 'b, T> {
    left: &'a [Line<T>],
    right: &'a Nonzeros<T>,
    band: &'a mut Band<'b, T>,
}

impl<T: Element> WithSimd for Transposed<'_, '_, T> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) {
        let Self { left, right, band } = self;
        let mut sums = [[T::zero(); PANEL]; PANEL];
        for (id, out) in band.panels.iter_mut().enumerate() {
            let width = PANEL.min(right.rows - id * PANEL);
            for row in (0..width).step_by(2) {
                let [pair] = gather::<T, S, 1>(simd, right.pair(id * PANEL + row), [left]);
                sums[row..][..2].copy_from_slice(&pair);
            }
            transpose(&sums[..width], out);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::panels::{multiply_tiles, multiply_transposed};
    use ndarray::Array2;

    /// About `tenths` in ten are not 0, in no order; rough enough that another order of a sum would show.
    fn rough<T: Element>(m: usize, n: usize, tenths: usize) -> Array2<T> {
        Array2::from_shape_fn((m, n), |(i, j)| {
            let value = (i * 31 + j * 17 + i * j) % 97;
            let stays = (i * 7 + j * 3 + i * j * 5) % 10 < tenths;
            if stays { T::of(value as f64 * 0.013 - 0.5) } else { T::zero() }
        })
    }

    struct Write;

    impl<T: Element> TileWork<T, 1> for Write {
        fn tile(&self, tile: &[Line<T>], [target]: [&mut [Line<T>]; 1]) {
            target.copy_from_slice(tile);
        }
    }

    fn products_are_those_of_dense_operands<T: Element>() {
        for (m, k, n) in [(1, 1, 1), (2, 0, 3), (7, 9, 31), (33, 40, 64), (300, 128, 100), (70, 300, 150)] {
            for tenths in [0, 1, 5, 10] {
                let (a, b) = (rough::<T>(m, k, tenths), rough::<T>(k, n, 10));
                let (left, right) = (Panels::from_array(a.view()), Panels::from_array(b.view()));
                let (mut dense, mut sparse) = (Panels::zeros(m, n), Panels::zeros(m, n));
                let mut nonzeros = Nonzeros::default();
                nonzeros.assign(&left);
                multiply_tiles(&left, &right, [&mut dense], &Write);
                multiply_tiles_sparse(&nonzeros, &right, [&mut sparse], &Write);
                assert_eq!(sparse.to_array(), dense.to_array(), "{m} {k} {n}, {tenths} in ten");

                // (k, m)ᵀ of full numbers with (k, n) of few.
                let (a, b) = (rough::<T>(k, m, 10), rough::<T>(k, n, tenths));
                let (left, right) = (Panels::from_array(a.view()), Panels::from_array(b.view()));
                nonzeros.assign_transposed(&right);
                assert_eq!(nonzeros.dim(), (n, k));
                let bands = m.div_ceil(PANEL);
                let mut firsts = vec![0; bands];
                multiply_transposed(&left, &right, &mut dense, vec![(); bands], |_, ()| ());
                let extras = firsts.iter_mut().collect();
                multiply_transposed_sparse(&left, &nonzeros, &mut sparse, extras, |band, first| {
                    *first = band.first + 1;
                });
                assert_eq!(sparse.to_array(), dense.to_array(), "{m} {k} {n} transposed, {tenths} in ten");
                assert!(firsts.iter().enumerate().all(|(i, &first)| first == i * PANEL + 1));
            }
        }
    }

    #[test]
    fn products_without_zeros_are_those_of_dense_operands() {
        products_are_those_of_dense_operands::<f32>();
        products_are_those_of_dense_operands::<f64>();
    }

    #[test]
    fn what_is_no_number_is_not_left_out() {
        let mut a = rough::<f32>(5, 40, 1);
        a[[3, 37]] = f32::NAN;
        let mut nonzeros = Nonzeros::default();
        nonzeros.assign(&Panels::from_array(a.view()));
        let mut out = Panels::zeros(5, 33);
        multiply_tiles_sparse(&nonzeros, &Panels::from_array(rough(40, 33, 10).view()), [&mut out], &Write);
        let out = out.to_array();
        assert!(out.row(3).iter().all(|v| v.is_nan()) && out.row(2).iter().all(|v| v.is_finite()));
    }

    #[test]
    fn lists_are_made_anew_for_fewer_rows() {
        let mut nonzeros = Nonzeros::default();
        for n in [64, 20, 64] {
            let (a, b) = (rough::<f32>(40, n, 5), rough::<f32>(n, 50, 10));
            nonzeros.assign(&Panels::from_array(a.view()));
            let (mut dense, mut sparse) = (Panels::zeros(40, 50), Panels::zeros(40, 50));
            let right = Panels::from_array(b.view());
            multiply_tiles(&Panels::from_array(a.view()), &right, [&mut dense], &Write);
            multiply_tiles_sparse(&nonzeros, &right, [&mut sparse], &Write);
            assert_eq!(sparse.to_array(), dense.to_array(), "{n} rows");
        }
    }
}
