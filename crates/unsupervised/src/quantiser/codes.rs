//! Codes of rows, one or two bytes each.

use ndarray::{Array2, ArrayView2, ArrayViewMut2, Axis, s};
use rayon::prelude::*;

/// A number that stands for a centre.
pub(super) trait Code: Copy + Default + Send + Sync {
    fn of(id: u32) -> Self;
    fn number(self) -> usize;
}

impl Code for u8 {
    fn of(id: u32) -> Self {
        id as u8
    }
    fn number(self) -> usize {
        usize::from(self)
    }
}

impl Code for u16 {
    fn of(id: u32) -> Self {
        id as u16
    }
    fn number(self) -> usize {
        usize::from(self)
    }
}

/// Codes of rows (n, groups).
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Codes {
    /// At most 256 centres a group.
    Bytes(Array2<u8>),
    /// At most 65,536.
    Words(Array2<u16>),
}

/// Borrowed codes.
#[derive(Debug, Clone, Copy)]
pub enum CodesView<'a> {
    /// At most 256 centres a group.
    Bytes(ArrayView2<'a, u8>),
    /// At most 65,536.
    Words(ArrayView2<'a, u16>),
}

/// Codes to be written.
#[derive(Debug)]
pub enum CodesMut<'a> {
    /// At most 256 centres a group.
    Bytes(ArrayViewMut2<'a, u8>),
    /// At most 65,536.
    Words(ArrayViewMut2<'a, u16>),
}

impl Codes {
    /// n, the number of rows.
    pub fn rows(&self) -> usize {
        match self {
            Self::Bytes(codes) => codes.nrows(),
            Self::Words(codes) => codes.nrows(),
        }
    }

    /// Bytes of all codes.
    pub fn bytes(&self) -> usize {
        match self {
            Self::Bytes(codes) => codes.len(),
            Self::Words(codes) => codes.len() * size_of::<u16>(),
        }
    }

    /// The rows from `start` to before `end`.
    ///
    /// # Panics
    /// When there are no such rows.
    pub fn range(&self, start: usize, end: usize) -> CodesView<'_> {
        match self {
            Self::Bytes(codes) => CodesView::Bytes(codes.slice(s![start..end, ..])),
            Self::Words(codes) => CodesView::Words(codes.slice(s![start..end, ..])),
        }
    }

    /// The rows from `start` to before `end`, to be written.
    ///
    /// # Panics
    /// When there are no such rows.
    pub fn range_mut(&mut self, start: usize, end: usize) -> CodesMut<'_> {
        match self {
            Self::Bytes(codes) => CodesMut::Bytes(codes.slice_mut(s![start..end, ..])),
            Self::Words(codes) => CodesMut::Words(codes.slice_mut(s![start..end, ..])),
        }
    }

    /// These rows, in this order.
    ///
    /// # Panics
    /// When there is no such row.
    pub fn select(&self, rows: &[usize]) -> Self {
        match self {
            Self::Bytes(codes) => Self::Bytes(codes.select(Axis(0), rows)),
            Self::Words(codes) => Self::Words(codes.select(Axis(0), rows)),
        }
    }
}

impl<'a> CodesMut<'a> {
    /// n, the number of rows.
    pub fn rows(&self) -> usize {
        match self {
            Self::Bytes(codes) => codes.nrows(),
            Self::Words(codes) => codes.nrows(),
        }
    }

    /// Blocks of `rows` rows, the last shorter, to be written in parallel.
    pub fn into_blocks(self, rows: usize) -> impl IndexedParallelIterator<Item = CodesMut<'a>> {
        let blocks: Vec<_> = match self {
            Self::Bytes(codes) => parts(codes, rows).into_iter().map(CodesMut::Bytes).collect(),
            Self::Words(codes) => parts(codes, rows).into_iter().map(CodesMut::Words).collect(),
        };
        blocks.into_par_iter()
    }
}

/// A view in parts of `rows` rows, the last shorter.
fn parts<C>(mut codes: ArrayViewMut2<'_, C>, rows: usize) -> Vec<ArrayViewMut2<'_, C>> {
    let mut parts = Vec::new();
    while codes.nrows() > rows {
        let (first, rest) = codes.split_at(Axis(0), rows);
        parts.push(first);
        codes = rest;
    }
    parts.push(codes);
    parts
}
