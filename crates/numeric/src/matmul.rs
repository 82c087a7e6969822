//! Matrix products into buffers that exist: the one place that calls the `gemm` crates.
//!
//! Those of f32 and of f64 are called themselves, and not the crate `gemm` around them, which brings two more along for complex
//! numbers: 9 s of a processor in a build whose program never calls them. What it does before it calls is done here, in `turned`.
//!
//! `gemm` chooses AVX-512, AVX2 or portable code at run time. Against ndarray's `.dot` it was measured at 1.1 to 2.7
//! times the speed on the shapes of training steps (two threads; `.dot` also allocates and zeroes its result). Its
//! bits are the same on any number of threads, but not for another number of rows: score through [`score_rows`] where
//! a row's result may not depend on its neighbours.

use crate::element::Element;
use gemm_common::Parallelism;
use ndarray::{Array2, ArrayView2, ArrayViewMut2, Axis, s};
use rayon::prelude::*;

/// Multiply-adds below which a second thread costs more than it brings (64×100×1000 gains nothing from two).
const ONE_THREAD_BELOW: usize = 8_000_000;

/// c ← a b, with a (m, p), b (p, n), c (m, n), on rayon's current pool. Any strides; f32 or f64.
///
/// # Panics
/// When the shapes do not fit.
pub fn matmul<T: Element>(a: ArrayView2<'_, T>, b: ArrayView2<'_, T>, c: ArrayViewMut2<'_, T>) {
    let threads = if a.nrows() * a.ncols() * b.ncols() < ONE_THREAD_BELOW { 1 } else { rayon::current_num_threads() };
    product(a, b, None, c, threads);
}

/// c ← a b on the calling thread alone, for callers that already work on blocks in parallel.
///
/// # Panics
/// When the shapes do not fit.
pub fn matmul_here<T: Element>(a: ArrayView2<'_, T>, b: ArrayView2<'_, T>, c: ArrayViewMut2<'_, T>) {
    product(a, b, None, c, 1);
}

/// c ← c + a b on the calling thread alone.
///
/// # Panics
/// When the shapes do not fit.
pub fn matmul_add_here<T: Element>(a: ArrayView2<'_, T>, b: ArrayView2<'_, T>, c: ArrayViewMut2<'_, T>) {
    product(a, b, Some(T::one()), c, 1);
}

/// A product of the `gemm` crates: m, n, k; what is written, its strides from column to column and from row to row, and whether it is
/// read; the left and the right operand with theirs; the factors of what was there and of the product; which of the three are
/// conjugated, which says nothing about real numbers; and the threads.
pub(crate) type Gemm<T> = unsafe fn(
    usize,
    usize,
    usize,
    *mut T,
    isize,
    isize,
    bool,
    *const T,
    isize,
    isize,
    *const T,
    isize,
    isize,
    T,
    T,
    bool,
    bool,
    bool,
    Parallelism,
);

/// c ← beta · c + a b; without beta, c is only written.
#[expect(unsafe_code, reason = "the gemm crates take pointers; shapes are asserted and views own what they point to")]
fn product<T: Element>(
    a: ArrayView2<'_, T>,
    b: ArrayView2<'_, T>,
    beta: Option<T>,
    c: ArrayViewMut2<'_, T>,
    threads: usize,
) {
    let ((m, p), (p2, n)) = (a.dim(), b.dim());
    assert!(p == p2 && c.dim() == (m, n), "product of {:?} and {:?} into {:?}", a.dim(), b.dim(), c.dim());
    let (a, b, mut c) = turned(a.view(), b.view(), c);
    let ((m, p), n) = (a.dim(), b.ncols());
    let strides = |s: &[isize]| (s[0], s[1]);
    let ((a_rows, a_cols), (b_rows, b_cols)) = (strides(a.strides()), strides(b.strides()));
    let (c_rows, c_cols) = strides(c.strides());
    let parallelism = if threads > 1 { Parallelism::Rayon(threads) } else { Parallelism::None };
    // SAFETY: the three views are valid for their shapes and strides, c is borrowed exclusively, and the shapes fit.
    unsafe {
        T::gemm()(
            m,
            n,
            p,
            c.as_mut_ptr(),
            c_cols,
            c_rows,
            beta.is_some(),
            a.as_ptr(),
            a_cols,
            a_rows,
            b.as_ptr(),
            b_cols,
            b_rows,
            beta.unwrap_or(T::zero()),
            T::one(),
            false,
            false,
            false,
            parallelism,
        );
    }
}

/// The same product in the order that the kernels want: columns of c as far apart as its rows or farther, and no stride of c nor any
/// along the sums below 0.
fn turned<'a, 'c, T>(
    a: ArrayView2<'a, T>,
    b: ArrayView2<'a, T>,
    c: ArrayViewMut2<'c, T>,
) -> (ArrayView2<'a, T>, ArrayView2<'a, T>, ArrayViewMut2<'c, T>) {
    let is_row_major = c.strides()[1].abs() < c.strides()[0].abs();
    let (mut a, mut b, mut c) =
        if is_row_major { (b.reversed_axes(), a.reversed_axes(), c.reversed_axes()) } else { (a, b, c) };
    if c.strides()[0] < 0 {
        c.invert_axis(Axis(0));
        a.invert_axis(Axis(0));
    }
    if c.strides()[1] < 0 {
        c.invert_axis(Axis(1));
        b.invert_axis(Axis(1));
    }
    if a.strides()[1] < 0 {
        a.invert_axis(Axis(1));
        b.invert_axis(Axis(0));
    }
    (a, b, c)
}

/// Rows scored together: every product has this many, the last block filled up with zeros.
const SCORE_BLOCK: usize = 64;

/// Applies `score` to blocks of exactly 64 rows of x (n, d), in parallel, and collects (n, k). Because every block has
/// one shape, a row's result does not depend on how many rows come with it, to the bit.
///
/// # Panics
/// When `score` panics.
pub fn score_rows<F>(x: ArrayView2<'_, f32>, k: usize, score: F) -> Array2<f32>
where
    F: Fn(ArrayView2<'_, f32>, ArrayViewMut2<'_, f32>) + Sync,
{
    score_rows_by(SCORE_BLOCK, x, k, score)
}

/// The same with blocks of so many rows.
///
/// # Panics
/// When a block has no rows or `score` panics.
pub fn score_rows_by<F>(block: usize, x: ArrayView2<'_, f32>, k: usize, score: F) -> Array2<f32>
where
    F: Fn(ArrayView2<'_, f32>, ArrayViewMut2<'_, f32>) + Sync,
{
    let mut out = Array2::zeros((x.nrows(), k));
    let blocks = x.axis_chunks_iter(Axis(0), block).into_par_iter();
    blocks.zip(out.axis_chunks_iter_mut(Axis(0), block)).for_each(|(rows, mut scores)| {
        let n = rows.nrows();
        if n == block && rows.is_standard_layout() {
            score(rows, scores);
            return;
        }
        let mut filled = Array2::zeros((block, x.ncols()));
        filled.slice_mut(s![..n, ..]).assign(&rows);
        let mut filled_scores = Array2::zeros((block, k));
        score(filled.view(), filled_scores.view_mut());
        scores.assign(&filled_scores.slice(s![..n, ..]));
    });
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    fn counting(m: usize, n: usize, salt: usize) -> Array2<f64> {
        Array2::from_shape_fn((m, n), |(i, j)| ((i * 7 + j * 13 + salt) % 11) as f64 - 5.0)
    }

    /// The obvious triple loop.
    fn plain(a: &ArrayView2<'_, f64>, b: &ArrayView2<'_, f64>) -> Array2<f64> {
        Array2::from_shape_fn((a.nrows(), b.ncols()), |(i, j)| (0..a.ncols()).map(|p| a[[i, p]] * b[[p, j]]).sum())
    }

    #[test]
    fn products_of_small_integers_are_exact_in_every_layout() {
        // Sizes on both sides of the vector widths, empty ones included.
        for (m, p, n) in [(0, 3, 2), (3, 0, 2), (1, 1, 1), (1, 17, 5), (5, 9, 3), (33, 40, 31), (70, 20, 10)] {
            let (a, b) = (counting(m, p, 0), counting(p, n, 3));
            let (at, bt) = (counting(p, m, 1), counting(n, p, 2));
            for (a, b) in [(a.view(), b.view()), (at.t(), b.view()), (a.view(), bt.t()), (at.t(), bt.t())] {
                let mut c = Array2::from_elem((m, n), f64::NAN);
                matmul(a, b, c.view_mut());
                assert_eq!(c, plain(&a, &b), "{m} {p} {n}");
                let mut c32 = Array2::ones((m, n));
                matmul_add_here(a.mapv(|v| v as f32).view(), b.mapv(|v| v as f32).view(), c32.view_mut());
                assert_eq!(c32.mapv(f64::from), plain(&a, &b) + 1.0);
            }
        }
    }

    #[test]
    fn operands_may_run_backwards() {
        for backwards in 0..64u32 {
            let is = |bit: u32| if backwards >> bit & 1 == 1 { -1 } else { 1 };
            let (a, b) = (counting(33, 40, 0), counting(40, 31, 3));
            let (a, b) = (a.slice(s![..;is(0), ..;is(1)]), b.slice(s![..;is(2), ..;is(3)]));
            let mut whole = Array2::from_elem((33, 31), f64::NAN);
            matmul(a, b, whole.slice_mut(s![..;is(4), ..;is(5)]));
            assert_eq!(whole.slice(s![..;is(4), ..;is(5)]), plain(&a, &b), "{backwards:b}");
            let mut columns = Array2::from_elem((31, 33), f64::NAN);
            matmul(a, b, columns.slice_mut(s![..;is(4), ..;is(5)]).reversed_axes());
            assert_eq!(columns.slice(s![..;is(4), ..;is(5)]).t(), plain(&a, &b), "{backwards:b} by columns");
        }
    }

    #[test]
    fn a_row_scores_the_same_alone_and_in_company() {
        let x = Array2::from_shape_fn((131, 300), |(i, j)| ((i * 31 + j * 17) % 97) as f32 * 0.013 - 0.5);
        let w = Array2::from_shape_fn((300, 10), |(i, j)| ((i * 5 + j * 3) % 89) as f32 * 0.017 - 0.7);
        let score = |x: ArrayView2<'_, f32>| score_rows(x, 10, |rows, out| matmul_here(rows, w.view(), out));
        let whole = score(x.view());
        for i in [0, 5, 63, 64, 127, 130] {
            assert_eq!(score(x.slice(s![i..=i, ..])).row(0), whole.row(i), "row {i}");
        }
    }
}
