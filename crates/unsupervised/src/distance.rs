//! Squared distances taken directly, so that equal rows are at distance 0 exactly.

use pulp::{Arch, Simd, WithSimd};

const LANES: usize = 16;

/// Lowers `nearest` (m) to the squared distances of `rows` (m, d) to `center` (d) where those are less, and gives its
/// new sum.
pub(crate) fn lower(rows: &[f32], center: &[f32], nearest: &mut [f32]) -> f64 {
    Arch::new().dispatch(Lower { rows, center, nearest })
}

struct Lower<'a> {
    rows: &'a [f32],
    center: &'a [f32],
    nearest: &'a mut [f32],
}

impl WithSimd for Lower<'_> {
    type Output = f64;

    #[inline(always)]
    fn with_simd<S: Simd>(self, _: S) -> f64 {
        let mut total = 0.0;
        for (row, nearest) in self.rows.chunks_exact(self.center.len()).zip(self.nearest) {
            *nearest = nearest.min(squared(row, self.center));
            total += f64::from(*nearest);
        }
        total
    }
}

/// ‖a − b‖² in sixteen partial sums.
#[inline(always)]
pub(crate) fn squared(a: &[f32], b: &[f32]) -> f32 {
    let (a, a_rest) = a.as_chunks::<LANES>();
    let (b, b_rest) = b.as_chunks::<LANES>();
    let mut sums = [0.0f32; LANES];
    for (a, b) in a.iter().zip(b) {
        for i in 0..LANES {
            let apart = a[i] - b[i];
            sums[i] = apart.mul_add(apart, sums[i]);
        }
    }
    let mut rest = 0.0f32;
    for (a, b) in a_rest.iter().zip(b_rest) {
        rest += (a - b) * (a - b);
    }
    sums.iter().sum::<f32>() + rest
}
