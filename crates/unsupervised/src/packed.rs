//! Products of rows with one fixed matrix, made for many small blocks on the calling thread.
//!
//! The matrix is packed once into panels as wide as two vectors. Six rows at a time meet a panel with their twelve
//! results in registers; a panel stays in the first cache while a block of rows passes. The greatest column of a row
//! is kept in registers as well, so that [`Packed::nearest`] never writes the product. Every result is one chain of
//! fused multiply-adds from its offset on, down the rows of the matrix: it depends on no other row, to the bit.

use ndarray::ArrayView2;
use pulp::{Arch, Simd, WithSimd};

/// Rows that meet a panel together: 6 × 2 sums, 2 vectors of the matrix and one of a row fit AVX2's 16 registers.
const TILE: usize = 6;
/// Vectors a panel is wide.
const WIDE: usize = 2;
/// Rows that pass one panel before the next comes: with 108 columns they take 40 KB of the second cache.
const BLOCK: usize = 16 * TILE;

/// A matrix (p, n) with an offset a column, ready to be multiplied.
#[derive(Debug, Clone)]
pub(crate) struct Packed {
    /// Panel by panel, row by row, from `start` on: zeros fill the last panel.
    panels: Vec<f32>,
    /// Where the first aligned value is.
    start: usize,
    /// One a column, −∞ for columns that only fill the last panel.
    offsets: Vec<f32>,
    p: usize,
    n: usize,
    lanes: usize,
}

impl Packed {
    /// Packs `matrix` (p, n) with `offsets` (n), which every product of a row starts from.
    ///
    /// # Panics
    /// When there is not one offset a column.
    pub(crate) fn new(matrix: ArrayView2<'_, f32>, offsets: &[f32]) -> Self {
        let (p, n) = matrix.dim();
        assert_eq!(offsets.len(), n, "offsets of columns");
        let lanes = Arch::new().dispatch(CountLanes);
        let width = WIDE * lanes;
        let n_panels = n.div_ceil(width);
        let mut panels = vec![0.0f32; n_panels * p * width + 16];
        // Vectors that straddle two cache lines cost two loads.
        let start = panels.as_ptr().align_offset(64).min(16);
        for (panel, values) in panels[start..].chunks_exact_mut((p * width).max(1)).take(n_panels).enumerate() {
            let columns = panel * width..((panel + 1) * width).min(n);
            for (row, values) in values.chunks_exact_mut(width).enumerate() {
                for (value, column) in values.iter_mut().zip(columns.clone()) {
                    *value = matrix[[row, column]];
                }
            }
        }
        let mut offsets = offsets.to_vec();
        offsets.resize(n_panels * width, f32::NEG_INFINITY);
        Self { panels, start, offsets, p, n, lanes }
    }

    /// out ← rows · matrix + offsets, with rows (m, p) and out (m, n), both row after row.
    ///
    /// # Panics
    /// When the lengths do not fit.
    pub(crate) fn multiply(&self, rows: &[f32], out: &mut [f32]) {
        let m = self.count(rows);
        assert_eq!(out.len(), m * self.n, "values of {m} rows and {} columns", self.n);
        Arch::new().dispatch(Multiply { packed: self, rows, out });
    }

    /// For each of the rows (m, p) the column with the greatest product plus offset, the lowest among equals, and
    /// that value.
    ///
    /// # Panics
    /// When the lengths do not fit.
    pub(crate) fn nearest(&self, rows: &[f32], columns: &mut [u32], values: &mut [f32]) {
        let m = self.count(rows);
        assert!(columns.len() == m && values.len() == m, "{} columns of {m} rows", columns.len());
        Arch::new().dispatch(Nearest { packed: self, rows, columns, values });
    }

    fn count(&self, rows: &[f32]) -> usize {
        assert!(self.p > 0 && rows.len().is_multiple_of(self.p), "{} values in rows of {}", rows.len(), self.p);
        rows.len() / self.p
    }

    /// The panels with the offsets of their columns, as vectors.
    #[inline(always)]
    fn panels<S: Simd>(&self) -> impl Iterator<Item = (&[[S::f32s; WIDE]], [S::f32s; WIDE])> {
        let width = WIDE * self.lanes;
        let panels = self.panels[self.start..].chunks_exact(self.p * width);
        panels.zip(self.offsets.chunks_exact(width)).map(|(panel, offsets)| {
            let offsets = S::as_simd_f32s(offsets).0;
            (S::as_simd_f32s(panel).0.as_chunks::<WIDE>().0, [offsets[0], offsets[1]])
        })
    }
}

struct CountLanes;

impl WithSimd for CountLanes {
    type Output = usize;

    #[inline(always)]
    fn with_simd<S: Simd>(self, _: S) -> usize {
        S::F32_LANES
    }
}

/// Products of R rows with one panel, from the offsets on.
#[inline(always)]
fn tile<S: Simd, const R: usize>(
    simd: S,
    rows: [&[f32]; R],
    panel: &[[S::f32s; WIDE]],
    offsets: [S::f32s; WIDE],
) -> [[S::f32s; WIDE]; R] {
    // Slices of one known length let the compiler drop the bounds checks of the loop.
    let rows = rows.map(|row| &row[..panel.len()]);
    let mut sums = [offsets; R];
    for (i, column) in panel.iter().enumerate() {
        for r in 0..R {
            let value = simd.splat_f32s(rows[r][i]);
            for w in 0..WIDE {
                sums[r][w] = simd.mul_add_f32s(value, column[w], sums[r][w]);
            }
        }
    }
    sums
}

/// R rows from row `first` on.
#[inline(always)]
fn rows_at<const R: usize>(rows: &[f32], p: usize, first: usize) -> [&[f32]; R] {
    std::array::from_fn(|r| &rows[(first + r) * p..][..p])
}

struct Multiply<'a> {
    packed: &'a Packed,
    rows: &'a [f32],
    out: &'a mut [f32],
}

impl WithSimd for Multiply<'_> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) {
        let Self { packed, rows, out } = self;
        let blocks = rows.chunks(BLOCK * packed.p).zip(out.chunks_mut((BLOCK * packed.n).max(1)));
        for (rows, out) in blocks {
            let m = rows.len() / packed.p;
            for (number, (panel, offsets)) in packed.panels::<S>().enumerate() {
                let mut first = 0;
                while first + TILE <= m {
                    multiply_tile::<S, TILE>(simd, packed, rows, first, number, panel, offsets, out);
                    first += TILE;
                }
                while first < m {
                    multiply_tile::<S, 1>(simd, packed, rows, first, number, panel, offsets, out);
                    first += 1;
                }
            }
        }
    }
}

#[inline(always)]
#[expect(clippy::too_many_arguments, reason = "the inner step of one loop, apart only for its two sizes")]
fn multiply_tile<S: Simd, const R: usize>(
    simd: S,
    packed: &Packed,
    rows: &[f32],
    first: usize,
    number: usize,
    panel: &[[S::f32s; WIDE]],
    offsets: [S::f32s; WIDE],
    out: &mut [f32],
) {
    let sums = tile::<S, R>(simd, rows_at(rows, packed.p, first), panel, offsets);
    let left = number * WIDE * packed.lanes;
    for (r, sums) in sums.iter().enumerate() {
        let out = &mut out[(first + r) * packed.n..][..packed.n][left..];
        for (w, &sum) in sums.iter().enumerate() {
            let from = (w * packed.lanes).min(out.len());
            let part = &mut out[from..];
            let part = if part.len() > packed.lanes { &mut part[..packed.lanes] } else { part };
            simd.partial_store_f32s(part, sum);
        }
    }
}

struct Nearest<'a> {
    packed: &'a Packed,
    rows: &'a [f32],
    columns: &'a mut [u32],
    values: &'a mut [f32],
}

/// The greatest value so far in each lane and the number of the vector that it came from.
#[derive(Clone, Copy)]
struct Best<S: Simd> {
    value: S::f32s,
    vector: S::f32s,
}

impl WithSimd for Nearest<'_> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) {
        let Self { packed, rows, columns, values } = self;
        let none = Best::<S> { value: simd.splat_f32s(f32::NEG_INFINITY), vector: simd.splat_f32s(0.0) };
        let mut best = [none; BLOCK];
        let blocks = rows.chunks(BLOCK * packed.p).zip(columns.chunks_mut(BLOCK)).zip(values.chunks_mut(BLOCK));
        for ((rows, columns), values) in blocks {
            let m = columns.len();
            best[..m].fill(none);
            for (number, (panel, offsets)) in packed.panels::<S>().enumerate() {
                let mut first = 0;
                while first + TILE <= m {
                    let sums = tile::<S, TILE>(simd, rows_at(rows, packed.p, first), panel, offsets);
                    keep_best(simd, &mut best[first..first + TILE], &sums, number);
                    first += TILE;
                }
                while first < m {
                    let sums = tile::<S, 1>(simd, rows_at(rows, packed.p, first), panel, offsets);
                    keep_best(simd, &mut best[first..=first], &sums, number);
                    first += 1;
                }
            }
            for ((best, column), value) in best[..m].iter().zip(columns).zip(values) {
                (*column, *value) = across_lanes(best);
            }
        }
    }
}

#[inline(always)]
fn keep_best<S: Simd>(simd: S, best: &mut [Best<S>], sums: &[[S::f32s; WIDE]], panel: usize) {
    for (best, sums) in best.iter_mut().zip(sums) {
        for (w, &sum) in sums.iter().enumerate() {
            // Numbers of vectors are exact in f32 below 2^24.
            let number = simd.splat_f32s((panel * WIDE + w) as f32);
            let greater = simd.greater_than_f32s(sum, best.value);
            best.value = simd.select_f32s(greater, sum, best.value);
            best.vector = simd.select_f32s(greater, number, best.vector);
        }
    }
}

/// The greatest over all lanes, the lowest column among equals.
#[inline(always)]
fn across_lanes<S: Simd>(best: &Best<S>) -> (u32, f32) {
    let (values, vectors) = (std::slice::from_ref(&best.value), std::slice::from_ref(&best.vector));
    let (values, vectors) = (lanes_of::<S>(values), lanes_of::<S>(vectors));
    let mut greatest = (0, f32::NEG_INFINITY);
    for (lane, (&value, &vector)) in values.iter().zip(vectors).enumerate() {
        let column = (vector as usize * S::F32_LANES + lane) as u32;
        if value > greatest.1 || (value == greatest.1 && column < greatest.0) {
            greatest = (column, value);
        }
    }
    greatest
}

#[inline(always)]
fn lanes_of<S: Simd>(vectors: &[S::f32s]) -> &[f32] {
    pulp::bytemuck::cast_slice(vectors)
}

#[cfg(test)]
mod tests {
    use super::*;
    use ndarray::Array2;

    fn counting(m: usize, n: usize, salt: usize) -> Array2<f32> {
        Array2::from_shape_fn((m, n), |(i, j)| ((i * 7 + j * 13 + salt) % 11) as f32 - 5.0)
    }

    #[test]
    fn products_of_small_integers_are_exact() {
        for (m, p, n) in [(0, 3, 2), (1, 1, 1), (5, 9, 3), (7, 4, 33), (98, 17, 31), (200, 20, 64), (13, 5, 100)] {
            let (a, b) = (counting(m, p, 0), counting(p, n, 3));
            let offsets: Vec<f32> = (0..n).map(|j| (j % 3) as f32).collect();
            let expected = a.dot(&b) + &ndarray::Array1::from(offsets.clone());
            let packed = Packed::new(b.view(), &offsets);
            let mut out = vec![f32::NAN; m * n];
            packed.multiply(a.as_slice().unwrap(), &mut out);
            assert_eq!(out, expected.as_slice().unwrap(), "{m} {p} {n}");
            let (mut columns, mut values) = (vec![9; m], vec![f32::NAN; m]);
            packed.nearest(a.as_slice().unwrap(), &mut columns, &mut values);
            for (i, row) in expected.outer_iter().enumerate() {
                let best = (0..n).rev().max_by(|&x, &y| row[x].total_cmp(&row[y])).unwrap();
                assert_eq!((columns[i] as usize, values[i]), (best, row[best]), "row {i} of {m} {p} {n}");
            }
        }
    }

    #[test]
    fn what_is_not_a_number_finds_a_column_that_exists() {
        let packed = Packed::new(counting(2, 3, 0).view(), &[0.0; 3]);
        let (mut columns, mut values) = ([9; 2], [0.0; 2]);
        packed.nearest(&[f32::NAN, 1.0, f32::NEG_INFINITY, f32::INFINITY], &mut columns, &mut values);
        assert!(columns.iter().all(|&column| column < 3));
    }
}
