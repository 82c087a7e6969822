//! Cholesky factors and their inverses, by halving: nearly all of the work is matrix products.

use crate::matmul::matmul;
use ndarray::{Array2, ArrayView2, ArrayViewMut2, s};

/// L⁻¹ (d, d) of a symmetric positive definite A = L Lᵀ (d, d), of which the lower triangle is read; `None` when A is
/// not positive definite to f64 rounding, or not finite.
///
/// # Panics
/// When A is not square.
pub fn inverse_cholesky(a: ArrayView2<'_, f64>) -> Option<Array2<f64>> {
    assert_eq!(a.nrows(), a.ncols(), "a square matrix");
    let mut l = a.to_owned();
    let mut inverse = Array2::zeros(a.dim());
    factor(l.view_mut(), inverse.view_mut())?;
    Some(inverse)
}

/// Sides below which the obvious loops are as fast as products.
const SMALL: usize = 32;

/// Overwrites the lower triangle of `a` by L and fills the lower triangle of `inverse` by L⁻¹.
fn factor(mut a: ArrayViewMut2<'_, f64>, mut inverse: ArrayViewMut2<'_, f64>) -> Option<()> {
    let d = a.nrows();
    if d <= SMALL {
        return factor_small(a, inverse);
    }
    let half = d / 2;
    let (mut top, mut bottom) = a.view_mut().split_at(ndarray::Axis(0), half);
    let (mut inverse_top, mut inverse_bottom) = inverse.view_mut().split_at(ndarray::Axis(0), half);
    factor(top.slice_mut(s![.., ..half]), inverse_top.slice_mut(s![.., ..half]))?;
    let (mut left, mut right) = bottom.view_mut().split_at(ndarray::Axis(1), half);
    // L21 = A21 L11⁻ᵀ; A22 − L21 L21ᵀ is factored next.
    let mut l21 = Array2::zeros(left.dim());
    matmul(left.view(), inverse_top.slice(s![.., ..half]).t(), l21.view_mut());
    left.assign(&l21);
    let mut square = Array2::zeros(right.dim());
    matmul(l21.view(), l21.t(), square.view_mut());
    right -= &square;
    factor(right.view_mut(), inverse_bottom.slice_mut(s![.., half..]))?;
    // The inverse's lower left is −L22⁻¹ L21 L11⁻¹.
    let mut product = Array2::zeros(l21.dim());
    matmul(l21.view(), inverse_top.slice(s![.., ..half]), product.view_mut());
    matmul(inverse_bottom.slice(s![.., half..]), product.view(), l21.view_mut());
    inverse_bottom.slice_mut(s![.., ..half]).assign(&-l21);
    Some(())
}

fn factor_small(mut a: ArrayViewMut2<'_, f64>, inverse: ArrayViewMut2<'_, f64>) -> Option<()> {
    let d = a.nrows();
    for j in 0..d {
        for i in j..d {
            let sum: f64 = (0..j).map(|p| a[[i, p]] * a[[j, p]]).sum();
            let rest = a[[i, j]] - sum;
            if i == j && !(rest > 0.0 && rest.is_finite()) {
                return None;
            }
            a[[i, j]] = if i == j { rest.sqrt() } else { rest / a[[j, j]] };
        }
    }
    invert_small(a.view(), inverse);
    Some(())
}

/// The inverse (d, d) of a lower triangular matrix (d, d) without zeros on its diagonal; what is above the diagonal is not
/// read.
///
/// # Panics
/// When the matrix is not square.
pub fn inverse_lower(l: ArrayView2<'_, f64>) -> Array2<f64> {
    assert_eq!(l.nrows(), l.ncols(), "a square matrix");
    let mut inverse = Array2::zeros(l.dim());
    invert(l, inverse.view_mut());
    inverse
}

fn invert(l: ArrayView2<'_, f64>, mut inverse: ArrayViewMut2<'_, f64>) {
    let d = l.nrows();
    if d <= SMALL {
        return invert_small(l, inverse);
    }
    let half = d / 2;
    invert(l.slice(s![..half, ..half]), inverse.slice_mut(s![..half, ..half]));
    invert(l.slice(s![half.., half..]), inverse.slice_mut(s![half.., half..]));
    // The inverse's lower left is −L22⁻¹ L21 L11⁻¹.
    let mut product = Array2::zeros((d - half, half));
    matmul(l.slice(s![half.., ..half]), inverse.slice(s![..half, ..half]), product.view_mut());
    let mut corner = Array2::zeros((d - half, half));
    matmul(inverse.slice(s![half.., half..]), product.view(), corner.view_mut());
    inverse.slice_mut(s![half.., ..half]).assign(&-corner);
}

fn invert_small(l: ArrayView2<'_, f64>, mut inverse: ArrayViewMut2<'_, f64>) {
    let d = l.nrows();
    for j in 0..d {
        for i in j..d {
            let sum: f64 = (j..i).map(|p| l[[i, p]] * inverse[[p, j]]).sum();
            inverse[[i, j]] = (f64::from(u8::from(i == j)) - sum) / l[[i, i]];
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use ndarray::array;

    #[test]
    fn inverses_of_triangles_undo_them() {
        // [[2, 0], [1, 4]] · [[½, 0], [−⅛, ¼]] = I; the 9 is above the diagonal.
        assert_eq!(inverse_lower(array![[2.0, 9.0], [1.0, 4.0]].view()), array![[0.5, 0.0], [-0.125, 0.25]]);
        for d in [0, 1, 31, 33, 100] {
            let l = Array2::from_shape_fn((d, d), |(i, j)| match i.cmp(&j) {
                std::cmp::Ordering::Less => 0.0,
                std::cmp::Ordering::Equal => 2.0 + (i % 3) as f64,
                std::cmp::Ordering::Greater => ((i * 7 + j * 5) % 11) as f64 * 0.02 - 0.1,
            });
            let product = l.dot(&inverse_lower(l.view()));
            assert!((product - Array2::<f64>::eye(d)).iter().all(|e| e.abs() < 1e-12), "{d}");
        }
    }

    #[test]
    fn a_factor_worked_by_hand() {
        // [[4, 2], [2, 5]] = L Lᵀ with L = [[2, 0], [1, 2]]; L⁻¹ = [[½, 0], [−¼, ½]].
        let inverse = inverse_cholesky(array![[4.0, 2.0], [2.0, 5.0]].view()).unwrap();
        assert_eq!(inverse, array![[0.5, 0.0], [-0.25, 0.5]]);
    }

    #[test]
    fn the_inverse_whitens_its_matrix_at_every_size() {
        for d in [1, 5, 32, 33, 64, 65, 130, 257] {
            let root = Array2::from_shape_fn((d, d), |(i, j)| ((i * 7 + j * 13 + i * j) % 17) as f64 / 17.0 - 0.5);
            let a = root.dot(&root.t()) + Array2::<f64>::eye(d);
            let m = inverse_cholesky(a.view()).unwrap();
            let error = (m.dot(&a).dot(&m.t()) - Array2::<f64>::eye(d)).iter().fold(0.0f64, |w, e| w.max(e.abs()));
            assert!(error < 1e-10, "{d}: {error}");
            assert!(m.indexed_iter().all(|((i, j), &v)| j <= i || v == 0.0), "lower triangular");
        }
    }

    #[test]
    fn what_is_not_positive_definite_has_none() {
        assert!(inverse_cholesky(array![[1.0, 2.0], [2.0, 1.0]].view()).is_none());
        assert!(inverse_cholesky(array![[f64::NAN]].view()).is_none());
        let singular = Array2::from_elem((80, 80), 1.0);
        assert!(inverse_cholesky(singular.view()).is_none());
    }
}
