//! Squared distances taken directly, so that equal rows are at distance 0 exactly.

use pulp::{Arch, Simd, WithSimd};

/// Lowers `nearest` (m) to the squared distances of `rows` (m, d) to `center` (d) where those are less, and gives its
/// new sum.
pub(crate) fn lower(rows: &[f32], center: &[f32], nearest: &mut [f32]) -> f64 {
    Arch::new().dispatch(Lower { rows, center, nearest })
}

/// ‖a − b‖².
pub(crate) fn squared(a: &[f32], b: &[f32]) -> f32 {
    Arch::new().dispatch(Squared { a, b })
}

struct Lower<'a> {
    rows: &'a [f32],
    center: &'a [f32],
    nearest: &'a mut [f32],
}

impl WithSimd for Lower<'_> {
    type Output = f64;

    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) -> f64 {
        let mut total = 0.0;
        for (row, nearest) in self.rows.chunks_exact(self.center.len()).zip(self.nearest) {
            *nearest = nearest.min(squared_here(simd, row, self.center));
            total += f64::from(*nearest);
        }
        total
    }
}

struct Squared<'a> {
    a: &'a [f32],
    b: &'a [f32],
}

impl WithSimd for Squared<'_> {
    type Output = f32;

    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) -> f32 {
        squared_here(simd, self.a, self.b)
    }
}

/// ‖a − b‖² within vector code, lane by lane and then across.
#[inline(always)]
pub(crate) fn squared_here<S: Simd>(simd: S, a: &[f32], b: &[f32]) -> f32 {
    let ((a, a_rest), (b, b_rest)) = (S::as_simd_f32s(a), S::as_simd_f32s(b));
    let mut sums = simd.splat_f32s(0.0);
    for (&a, &b) in a.iter().zip(b) {
        let apart = simd.sub_f32s(a, b);
        sums = simd.mul_add_e_f32s(apart, apart, sums);
    }
    if !a_rest.is_empty() {
        // What lies beyond the row is read as 0.
        let apart = simd.sub_f32s(simd.partial_load_f32s(a_rest), simd.partial_load_f32s(b_rest));
        sums = simd.mul_add_e_f32s(apart, apart, sums);
    }
    simd.reduce_sum_f32s(sums)
}
