//! Matrices that are kept in panels of 32 columns, and their three products of a network's training step.
//!
//! A product kernel reads one operand as scalars and the other as vectors, and most libraries copy both into that order
//! for every call. At 128 rows a batch the copies cost as much as they save. Here a matrix is kept in one order in which
//! each of the products finds what it needs beside each other: with M (m, k) and N (k, n),
//!
//! * [`multiply`] is M N, for a layer's forward pass (W A) and its weights' gradient (Δ Aᵀ);
//! * [`multiply_tiles`] is the same, and hands every finished tile to a function instead of writing it down, so that the
//!   gradient of a large layer exists one tile at a time (see [`TileWork`]);
//! * [`multiply_transposed`] is Mᵀ N, for the backward pass (Wᵀ Δ).
//!
//! Every sum starts at 0 and adds its k products in their order, fused where the processor can; so neither threads nor
//! neighbours change a bit. Work is cut into tasks by shape alone. [`crate::sparse`] leaves zeros out, [`crate::pieces`] uses a
//! matrix unit where there is one.

use crate::element::Element;
use ndarray::{Array2, ArrayView2, ArrayViewMut2};
use rayon::prelude::*;
use std::ops::{Deref, DerefMut};

/// Columns of a panel: two vectors of sixteen f32.
pub const PANEL: usize = 32;

/// One row of a panel.
pub type Line<T> = [T; PANEL];

/// A matrix (rows, columns) as ⌈columns / 32⌉ panels of (rows, 32), one after the other; what lies beyond the last
/// column is 0 after [`Panels::zeros`] and whatever its writers leave there later.
#[derive(Debug, Clone, PartialEq)]
pub struct Panels<T> {
    rows: usize,
    columns: usize,
    pub(crate) lines: Lines<T>,
}

/// Lines that begin where a line of the cache does. A vector of 64 bytes then never lies in two of the cache's, which would cost as
/// much as two vectors: `networks`' 400 steps of 784-1024-10 on one thread, when half of their derivatives
/// are left out (see [`crate::sparse`]), took 2.4 s without and 2.05 s with it.
#[derive(Debug)]
pub(crate) struct Lines<T> {
    /// The lines, with room before and after to move them.
    numbers: Vec<T>,
    /// Where the first one starts.
    start: usize,
    len: usize,
}

/// Bytes of the cache's lines, which come from memory together.
pub(crate) const CACHE_LINE: usize = 64;

impl<T: Element> Lines<T> {
    fn zeros(len: usize) -> Self {
        let numbers = vec![T::zero(); len * PANEL + CACHE_LINE / size_of::<T>()];
        Self { start: start(&numbers), numbers, len }
    }

    /// Takes another number of lines, at most those there is room for.
    ///
    /// # Panics
    /// When there is less room.
    fn set_len(&mut self, len: usize) {
        assert!(self.start + len * PANEL <= self.numbers.len(), "room for {len} lines");
        self.len = len;
    }
}

impl<T> Deref for Lines<T> {
    type Target = [Line<T>];

    #[inline(always)]
    fn deref(&self) -> &[Line<T>] {
        self.numbers[self.start..][..self.len * PANEL].as_chunks().0
    }
}

impl<T> DerefMut for Lines<T> {
    #[inline(always)]
    fn deref_mut(&mut self) -> &mut [Line<T>] {
        self.numbers[self.start..][..self.len * PANEL].as_chunks_mut().0
    }
}

impl<T: Clone> Clone for Lines<T> {
    fn clone(&self) -> Self {
        // Whatever stands before the first line, and the lines from where they start in the new place.
        let mut numbers = Vec::with_capacity(self.numbers.len());
        let start = start(&numbers);
        numbers.extend_from_slice(&self.numbers[..start]);
        numbers.extend_from_slice(self.as_flattened());
        numbers.extend_from_slice(&self.numbers[numbers.len()..]);
        Self { numbers, start, len: self.len }
    }
}

/// The first number of a new vector that begins a line of the cache; 0 where a pointer does not tell.
fn start<T>(numbers: &[T]) -> usize {
    let start = numbers.as_ptr().align_offset(CACHE_LINE);
    if start < CACHE_LINE / size_of::<T>() { start } else { 0 }
}

impl<T: PartialEq> PartialEq for Lines<T> {
    fn eq(&self, other: &Self) -> bool {
        **self == **other
    }
}

impl<T: Element> Panels<T> {
    /// A matrix of zeros.
    pub fn zeros(rows: usize, columns: usize) -> Self {
        Self { rows, columns, lines: Lines::zeros(rows * columns.div_ceil(PANEL)) }
    }

    /// The same numbers in panels.
    pub fn from_array(array: ArrayView2<'_, T>) -> Self {
        let mut panels = Self::zeros(array.nrows(), array.ncols());
        panels.assign(array);
        panels
    }

    /// Takes over the numbers of an array (rows, columns).
    ///
    /// # Panics
    /// When the shapes differ.
    pub fn assign(&mut self, array: ArrayView2<'_, T>) {
        assert_eq!(array.dim(), self.dim(), "an array into panels");
        for (i, row) in array.outer_iter().enumerate() {
            for (j, &value) in row.iter().enumerate() {
                self.lines[j / PANEL * self.rows + i][j % PANEL] = value;
            }
        }
    }

    /// Writes the numbers into an array (rows, columns).
    ///
    /// # Panics
    /// When the shapes differ.
    pub fn write_to(&self, mut array: ArrayViewMut2<'_, T>) {
        assert_eq!(array.dim(), self.dim(), "panels into an array");
        for (i, mut row) in array.outer_iter_mut().enumerate() {
            for (j, value) in row.iter_mut().enumerate() {
                *value = self.lines[j / PANEL * self.rows + i][j % PANEL];
            }
        }
    }

    /// The same numbers as an array (rows, columns).
    pub fn to_array(&self) -> Array2<T> {
        let mut array = Array2::zeros(self.dim());
        self.write_to(array.view_mut());
        array
    }

    /// (rows, columns).
    pub fn dim(&self) -> (usize, usize) {
        (self.rows, self.columns)
    }

    /// Makes room for another number of columns, at most those it was made with; what they hold is undefined.
    ///
    /// # Panics
    /// When it was made with fewer.
    pub fn set_columns(&mut self, columns: usize) {
        self.lines.set_len(self.rows * columns.div_ceil(PANEL));
        self.columns = columns;
    }

    /// Makes room for another number of rows, at most those it was made with; what they hold is undefined.
    ///
    /// # Panics
    /// When it was made with fewer.
    pub fn set_rows(&mut self, rows: usize) {
        self.lines.set_len(rows * self.n_panels());
        self.rows = rows;
    }

    /// Panels.
    pub fn n_panels(&self) -> usize {
        self.columns.div_ceil(PANEL)
    }

    /// The lines of one panel, one a row.
    pub fn panel(&self, id: usize) -> &[Line<T>] {
        &self.lines[id * self.rows..][..self.rows]
    }

    /// All numbers from a row of a panel on; none past the end.
    pub(crate) fn numbers(&self, panel: usize, row: usize) -> &[T] {
        let numbers = self.flat();
        &numbers[((panel * self.rows + row) * PANEL).min(numbers.len())..]
    }

    /// All numbers in their order, the padding too.
    pub fn flat(&self) -> &[T] {
        self.lines.as_flattened()
    }

    /// All numbers in their order, to write.
    pub fn flat_mut(&mut self) -> &mut [T] {
        self.lines.as_flattened_mut()
    }

    /// All lines: panel by panel, row by row.
    pub fn lines(&self) -> &[Line<T>] {
        &self.lines
    }

    /// All lines, to write.
    pub fn lines_mut(&mut self) -> &mut [Line<T>] {
        &mut self.lines
    }

    /// Cuts the matrix into bands of `band` rows (the last may have fewer), each as its panels' parts in order.
    pub fn bands_mut(&mut self, band: usize) -> Vec<Band<'_, T>> {
        let rows = self.rows;
        let mut bands: Vec<Band<'_, T>> = (0..rows.div_ceil(band))
            .map(|i| Band { first: i * band, panels: Vec::with_capacity(self.columns.div_ceil(PANEL)) })
            .collect();
        if rows > 0 {
            for panel in self.lines.chunks_exact_mut(rows) {
                for (lines, band) in panel.chunks_mut(band).zip(&mut bands) {
                    band.panels.push(lines);
                }
            }
        }
        bands
    }

    /// Writes the transposed of `other` (columns, rows), on rayon's pool.
    ///
    /// # Panics
    /// When the shapes do not fit.
    pub fn assign_transposed(&mut self, other: &Self) {
        assert_eq!(self.dim(), (other.columns, other.rows), "transposed into panels");
        if self.rows > 0 {
            let rows = self.rows;
            let panels = self.lines.par_chunks_exact_mut(rows).enumerate();
            panels.for_each(|(id, out)| {
                let first = id * PANEL;
                let end = (first + PANEL).min(other.rows);
                for (block, out) in out.chunks_mut(PANEL).enumerate() {
                    transpose(&other.panel(block)[first..end], out);
                }
            });
        }
    }
}

/// Some successive rows of a matrix.
#[derive(Debug)]
pub struct Band<'a, T> {
    /// The number of the first row.
    pub first: usize,
    /// The rows' lines in each panel.
    pub panels: Vec<&'a mut [Line<T>]>,
}

/// `out[j][i] ← lines[i][j]`, for up to 32 lines on each side; zeros where there is no line.
#[inline]
pub fn transpose<T: Element>(lines: &[Line<T>], out: &mut [Line<T>]) {
    for (j, out) in out.iter_mut().enumerate().take(PANEL) {
        for (value, line) in out.iter_mut().zip(lines) {
            *value = line[j];
        }
        out.iter_mut().skip(lines.len()).for_each(|value| *value = T::zero());
    }
}

pub use crate::tiles::{BAND, TileWork, multiply, multiply_tiles, multiply_transposed};
