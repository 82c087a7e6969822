//! Scores of many rows by a few classes' weights: half of what an evaluation of a linear classifier's objective is made of.
//!
//! Libraries of matrix products copy both operands into an order of their own, and with ten columns the copy of the rows
//! costs more than the product. Here rows are read where they lie, and four rows' sums with five classes stay in
//! registers. The way back, scores by rows, is a library's: there the copy is of what the cache holds already.
//!
//! Scores stand class by class, (k, n), so that a loss meets one class of many rows in a vector. Every sum adds its products
//! in an order that the shapes fix; up to 64 classes, a row's scores do not depend on the rows beside it.

use crate::element::Element;
use crate::element::sealed::Vectors;
use crate::matmul::matmul_here;
use crate::tiles::prefetch;
use ndarray::{Array2, ArrayView2, ArrayViewMut2, CowArray, Ix2};
use pulp::{Simd, WithSimd};

/// Classes whose sums with one group of rows stay in registers.
const CLASSES: usize = 5;

/// Rows of such a group, where there are 32 registers, and where there are 16.
const ROWS: usize = 4;
/// See [`ROWS`].
const FEW_ROWS: usize = 2;

/// Classes above which a library's product is faster: its copies are then few beside the product. Up to here a row's scores
/// do not depend on the rows beside it.
pub const MOST_CLASSES: usize = 64;

/// Numbers of all classes' weights that rows meet before the next ones: they stay in the first level cache.
const BLOCK_NUMBERS: usize = 1 << 13;
/// Columns of such a block at least, so that the sums of lanes at its end do not count.
const BLOCK_COLUMNS: usize = 512;

/// Weights (k, d) and biases (k), in the order in which [`Narrow::scores`] reads them.
#[derive(Debug)]
pub struct Narrow<T> {
    weights: Array2<T>,
    bias: Vec<T>,
    /// Numbers of a vector.
    lanes: usize,
    /// Groups of five classes, in each the whole vectors of a row, in each one vector a class; zeros where there is no class.
    packed: Vec<T>,
}

impl<T: Element> Narrow<T> {
    /// Takes weights (k, d) and biases (k).
    ///
    /// # Panics
    /// When there are not k biases.
    pub fn new(weights: Array2<T>, bias: Vec<T>) -> Self {
        assert_eq!(weights.nrows(), bias.len(), "one bias a class");
        let weights = if weights.is_standard_layout() { weights } else { weights.as_standard_layout().into_owned() };
        let lanes = pulp::Arch::new().dispatch(Lanes::<T>(std::marker::PhantomData));
        let (k, d) = weights.dim();
        let vectors = d / lanes;
        let mut packed = vec![T::zero(); k.div_ceil(CLASSES) * vectors * CLASSES * lanes];
        for (class, row) in weights.outer_iter().enumerate() {
            let group = class / CLASSES * vectors * CLASSES * lanes + class % CLASSES * lanes;
            for (j, &value) in row.iter().take(vectors * lanes).enumerate() {
                packed[group + j / lanes * CLASSES * lanes + j % lanes] = value;
            }
        }
        Self { weights, bias, lanes, packed }
    }

    /// k.
    pub fn n_classes(&self) -> usize {
        self.bias.len()
    }

    /// d.
    pub fn dim(&self) -> usize {
        self.weights.ncols()
    }

    /// The weights (k, d).
    pub fn weights(&self) -> ArrayView2<'_, T> {
        self.weights.view()
    }

    /// out (k, n) ← W xᵀ + b of rows x (n, d), on the calling thread.
    ///
    /// # Panics
    /// When the shapes do not fit or a class's scores do not lie beside each other.
    pub fn scores(&self, x: ArrayView2<'_, T>, mut out: ArrayViewMut2<'_, T>) {
        let shape = (self.n_classes(), x.nrows());
        assert!(x.ncols() == self.dim() && out.dim() == shape, "rows {:?} into scores {:?}", x.dim(), out.dim());
        if self.n_classes() > MOST_CLASSES {
            matmul_here(self.weights.view(), x.t(), out.view_mut());
            out.outer_iter_mut().zip(&self.bias).for_each(|(mut class, &bias)| class += bias);
            return;
        }
        let x = beside(&x);
        let rows = rows(&x);
        let out =
            out.outer_iter_mut().map(|class| class.into_slice().expect("scores of a class lie beside each other"));
        pulp::Arch::new().dispatch(Scores { narrow: self, rows, out: out.collect() });
    }
}

struct Lanes<T>(std::marker::PhantomData<T>);

impl<T: Element> WithSimd for Lanes<T> {
    type Output = usize;

    #[inline(always)]
    fn with_simd<S: Simd>(self, _: S) -> usize {
        lanes::<T, S>()
    }
}

/// Numbers of a vector.
#[inline(always)]
fn lanes<T: Element, S: Simd>() -> usize {
    size_of::<T::Vector<S>>() / size_of::<T>()
}

/// Rows whose numbers lie beside each other: the same ones, or a copy.
fn beside<'a, T: Element>(x: &'a ArrayView2<'_, T>) -> CowArray<'a, T, Ix2> {
    if x.ncols() < 2 || x.strides()[1] == 1 { x.view().into() } else { x.as_standard_layout() }
}

fn rows<'a, T: Element>(x: &'a CowArray<'_, T, Ix2>) -> Vec<&'a [T]> {
    x.outer_iter().map(|row| row.to_slice().expect("numbers beside each other")).collect()
}

struct Scores<'a, 'b, T> {
    narrow: &'a Narrow<T>,
    rows: Vec<&'a [T]>,
    out: Vec<&'b mut [T]>,
}

impl<T: Element> WithSimd for Scores<'_, '_, T> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) {
        if S::REGISTER_COUNT >= 32 { self.groups::<S, ROWS>(simd) } else { self.groups::<S, FEW_ROWS>(simd) }
    }
}

impl<T: Element> Scores<'_, '_, T> {
    #[inline(always)]
    fn groups<S: Simd, const R: usize>(mut self, simd: S) {
        let (narrow, d) = (self.narrow, self.narrow.dim());
        let whole = d / narrow.lanes;
        assert_eq!(narrow.lanes, lanes::<T, S>(), "packed for the vectors of this processor");
        let packed: &[[T::Vector<S>; CLASSES]] = T::vectors::<S>(&narrow.packed).as_chunks().0;
        let block = (BLOCK_NUMBERS / self.out.len().max(1)).max(BLOCK_COLUMNS) / narrow.lanes;
        self.out.iter_mut().zip(&narrow.bias).for_each(|(out, &bias)| out.fill(bias));
        for start in (0..whole).step_by(block) {
            let vectors = start..(start + block).min(whole);
            for (i, rows) in self.rows.chunks(R).enumerate() {
                let (first, height) = (i * R, rows.len());
                // The last group is filled up with its last row.
                let rows: [&[T]; R] = std::array::from_fn(|r| rows[r.min(height - 1)]);
                let rows = rows.map(|row| &T::vectors::<S>(row)[vectors.clone()]);
                // Rows that will be next, or these again.
                let next = std::array::from_fn(|r| self.rows[(first + R + r).min(self.rows.len() - 1)]);
                let next = next.map(|row: &[T]| &T::vectors::<S>(row)[vectors.clone()]);
                for (group, out) in self.out.chunks_mut(CLASSES).enumerate() {
                    let weights = &packed[group * whole..][vectors.clone()];
                    let sums = if group == 0 {
                        sums::<T, S, R, true>(simd, rows, weights, next)
                    } else {
                        sums::<T, S, R, false>(simd, rows, weights, next)
                    };
                    for (c, out) in out.iter_mut().enumerate() {
                        out[first..first + height].iter_mut().zip(&sums).for_each(|(out, sums)| *out += sums[c]);
                    }
                }
            }
        }
        for (out, weights) in self.out.iter_mut().zip(narrow.weights.outer_iter()) {
            for j in whole * narrow.lanes..d {
                let weight = weights[j];
                out.iter_mut().zip(&self.rows).for_each(|(out, row)| *out += weight * row[j]);
            }
        }
    }
}

/// The sums of R rows with five classes over whole vectors; meanwhile, where that is wanted, the next rows are fetched: rows are short,
/// and each begins on another page, where the processor does not see it coming.
#[inline(always)]
fn sums<T: Element, S: Simd, const R: usize, const FETCH: bool>(
    simd: S,
    rows: [&[T::Vector<S>]; R],
    weights: &[[T::Vector<S>; CLASSES]],
    next: [&[T::Vector<S>]; R],
) -> [[T; CLASSES]; R] {
    let (rows, next) = (rows.map(|row| &row[..weights.len()]), next.map(|row| &row[..weights.len()]));
    let mut sums = [[T::splat(simd, T::zero()); CLASSES]; R];
    for (j, weights) in weights.iter().enumerate() {
        if FETCH {
            next.iter().for_each(|row| prefetch(&raw const row[j]));
        }
        for (sums, row) in sums.iter_mut().zip(&rows) {
            let x = row[j];
            for (sum, &weight) in sums.iter_mut().zip(weights) {
                *sum = T::fused(simd, x, weight, *sum);
            }
        }
    }
    let mut out = [[T::zero(); CLASSES]; R];
    for (out, sums) in out.as_flattened_mut().iter_mut().zip(sums.as_flattened()) {
        *out = <T as Vectors>::sum(simd, *sums);
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;
    use ndarray::s;

    fn counting<T: Element>(m: usize, n: usize, salt: usize) -> Array2<T> {
        Array2::from_shape_fn((m, n), |(i, j)| T::of(((i * 7 + j * 13 + salt) % 11) as f64 - 5.0))
    }

    fn products_are_exact<T: Element>() {
        // Sizes on both sides of the groups of rows and classes and of the vectors, empty ones included.
        for (n, d, k) in [
            (0, 3, 2),
            (1, 0, 2),
            (1, 1, 1),
            (3, 5, 4),
            (4, 16, 5),
            (7, 33, 6),
            (9, 70, 10),
            (130, 67, 13),
            (5, 1100, 12),
            (20, 40, 70),
        ] {
            let (x, w) = (counting::<T>(n, d, 0), counting::<T>(k, d, 3));
            let bias: Vec<T> = (0..k).map(|class| T::of(class as f64)).collect();
            let narrow = Narrow::new(w.clone(), bias.clone());
            let mut scores = Array2::from_elem((k, n), T::nan());
            narrow.scores(x.view(), scores.view_mut());
            let expected = Array2::from_shape_fn((k, n), |(c, i)| {
                bias[c] + (0..d).map(|j| w[[c, j]] * x[[i, j]]).fold(T::zero(), |sum, v| sum + v)
            });
            assert_eq!(scores, expected, "{n} {d} {k}");
            // Rows that do not lie beside each other.
            let wide = counting::<T>(n, 2 * d, 1);
            let apart = wide.slice(s![.., ..;2]);
            let (mut a, mut b) = (Array2::zeros((k, n)), Array2::zeros((k, n)));
            narrow.scores(apart, a.view_mut());
            narrow.scores(apart.to_owned().view(), b.view_mut());
            assert_eq!(a, b);
        }
    }

    #[test]
    fn products_of_small_integers_are_exact() {
        products_are_exact::<f32>();
        products_are_exact::<f64>();
    }

    #[test]
    fn a_row_scores_the_same_alone_and_in_company() {
        let x = Array2::from_shape_fn((131, 300), |(i, j)| ((i * 31 + j * 17) % 97) as f32 * 0.013 - 0.5);
        let w = Array2::from_shape_fn((10, 300), |(i, j)| ((i * 5 + j * 3) % 89) as f32 * 0.017 - 0.7);
        let narrow = Narrow::new(w, vec![0.25; 10]);
        let score = |x: ArrayView2<'_, f32>| {
            let mut out = Array2::zeros((10, x.nrows()));
            narrow.scores(x, out.view_mut());
            out
        };
        let whole = score(x.view());
        for i in [0, 5, 63, 64, 127, 130] {
            assert_eq!(score(x.slice(s![i..=i, ..])).column(0), whole.column(i), "row {i}");
        }
    }
}
