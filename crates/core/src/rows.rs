//! Rows that classifiers learn from, however they are kept: a matrix in memory, codes that are decoded, features that
//! are computed anew in every pass.
//!
//! A classifier asks for blocks of dense rows and never for all of them, unless they lie in memory as one matrix anyway.
//! So what compresses or streams is written once, as an implementation of [`Rows`], and every classifier that works in
//! blocks can learn from it.

use crate::seed::Seed;
use ndarray::{ArcArray2, Array2, ArrayBase, ArrayView2, ArrayViewMut2, Axis, Data, Ix2, s};

/// n rows of d finite numbers.
///
/// Who implements it checks that the numbers are finite where that costs nothing extra (codes: once, when the codebook is
/// made); dense rows are checked by [`crate::classifier::check_rows`].
pub trait Rows: Sync {
    /// n.
    fn n_rows(&self) -> usize;

    /// d.
    fn dim(&self) -> usize;

    /// All rows (n, d), where they lie in memory as one matrix.
    fn dense(&self) -> Option<ArrayView2<'_, f32>> {
        None
    }

    /// All rows (n, d) to keep, without a copy of them; `None` where nobody shares them.
    fn shared(&self) -> Option<ArcArray2<f32>> {
        None
    }

    /// Writes the rows at these positions into `out` (positions, d), in this order, on the calling thread and rayon's
    /// pool as it likes; the same bits every time.
    ///
    /// # Panics
    /// When a position is not below n or `out` has another shape.
    fn read_into(&self, positions: &[usize], out: ArrayViewMut2<'_, f32>);

    /// Whether [`Rows::read_augmented`] gives anything but the rows themselves. Where it does not, who trains may take
    /// rows in memory as they are.
    fn augments(&self) -> bool {
        false
    }

    /// Writes the rows at these positions as one pass of training may see them: flipped, shifted, partly covered. The
    /// same draw gives the same bits, and a row's do not depend on which positions are asked for together. Without
    /// augmentation the rows themselves.
    ///
    /// # Panics
    /// When a position is not below n or `out` has another shape.
    fn read_augmented(&self, positions: &[usize], draw: Seed, out: ArrayViewMut2<'_, f32>) {
        let _ = draw;
        self.read_into(positions, out);
    }
}

impl<S: Data<Elem = f32> + Sync> Rows for ArrayBase<S, Ix2> {
    fn n_rows(&self) -> usize {
        self.nrows()
    }

    fn dim(&self) -> usize {
        self.ncols()
    }

    fn dense(&self) -> Option<ArrayView2<'_, f32>> {
        Some(self.view())
    }

    fn read_into(&self, positions: &[usize], out: ArrayViewMut2<'_, f32>) {
        copy_rows(self.view(), positions, out);
    }
}

/// No part of the generic code above, so that it is compiled here once, with this crate's optimisations.
fn copy_rows(rows: ArrayView2<'_, f32>, positions: &[usize], mut out: ArrayViewMut2<'_, f32>) {
    assert_eq!(out.dim(), (positions.len(), rows.ncols()), "one row a position");
    for (mut row, &position) in out.outer_iter_mut().zip(positions) {
        row.assign(&rows.row(position));
    }
}

/// Calls `each` with the rows from `start` up to, not including, `end`, in blocks of at most `block` rows and in order;
/// the first argument is the position of a block's first row. Rows in memory are lent and not copied.
///
/// # Panics
/// When the range does not lie within 0..=n, or `block` is 0.
pub fn for_each_block(
    rows: &dyn Rows,
    start: usize,
    end: usize,
    block: usize,
    mut each: impl FnMut(usize, ArrayView2<'_, f32>),
) {
    assert!(start <= end && end <= rows.n_rows() && block > 0, "rows {start}..{end} of {}", rows.n_rows());
    if let Some(dense) = rows.dense() {
        let part = dense.slice_move(s![start..end, ..]);
        let blocks = part.axis_chunks_iter(Axis(0), block).enumerate();
        blocks.for_each(|(i, rows)| each(start + i * block, rows));
        return;
    }
    let mut buffer = Array2::zeros((block.min(end - start), rows.dim()));
    for first in (start..end).step_by(block) {
        let positions: Vec<usize> = (first..(first + block).min(end)).collect();
        let mut part = buffer.slice_mut(s![..positions.len(), ..]);
        rows.read_into(&positions, part.view_mut());
        each(first, part.view());
    }
}

/// Rows that make up about 16 MB, from 16 to `most`: what is worth reading at once of rows of d numbers.
pub fn rows_a_block(d: usize, most: usize) -> usize {
    ((1 << 22) / d.max(1)).clamp(16, most.max(16))
}

/// Rows that are only ever read in blocks, although they lie in memory: with them what streams is tested against what
/// does not.
#[derive(Debug, Clone, PartialEq)]
pub struct Streamed(pub Array2<f32>);

impl Rows for Streamed {
    fn n_rows(&self) -> usize {
        self.0.nrows()
    }

    fn dim(&self) -> usize {
        self.0.ncols()
    }

    fn read_into(&self, positions: &[usize], out: ArrayViewMut2<'_, f32>) {
        self.0.read_into(positions, out);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use ndarray::array;

    #[test]
    fn blocks_are_the_same_from_memory_and_from_elsewhere() {
        let x = Array2::from_shape_fn((7, 2), |(i, j)| (i * 10 + j) as f32);
        let collect = |rows: &dyn Rows, start: usize, end: usize, block: usize| {
            let mut seen = Vec::new();
            for_each_block(rows, start, end, block, |first, part| seen.push((first, part.to_owned())));
            seen
        };
        let streamed = Streamed(x.clone());
        for (start, end, block) in [(0, 7, 3), (2, 7, 5), (3, 3, 4), (0, 7, 100)] {
            assert_eq!(collect(&x, start, end, block), collect(&streamed, start, end, block), "{start} {end} {block}");
        }
        assert_eq!(collect(&streamed, 2, 7, 3)[1], (5, array![[50.0, 51.0], [60.0, 61.0]]));
    }

    #[test]
    fn rows_are_read_in_the_order_asked_for() {
        let x = array![[1.0f32], [2.0], [3.0]];
        let mut out = Array2::zeros((3, 1));
        x.read_into(&[2, 0, 2], out.view_mut());
        assert_eq!(out, array![[3.0], [1.0], [3.0]]);
    }

    #[test]
    fn blocks_shrink_with_width() {
        assert_eq!([1, 784, 16_000, 524_288].map(|d| rows_a_block(d, 4096)), [4096, 4096, 262, 16]);
    }
}
