//! The two floats and their vectors, so that one kernel serves both: networks train in f32 and are checked in f64 by
//! the same code.

use crate::matmul::Gemm;
use ndarray::NdFloat;
use pulp::{Simd, WithSimd};

/// f32 or f64. A trait of our own because `NdFloat` knows no vectors, and a check in f64 of another kernel than the one
/// that trains would check nothing.
pub trait Element: NdFloat + sealed::Vectors {
    /// This number, rounded.
    fn of(value: f64) -> Self;

    /// As f64, exactly.
    fn wide(self) -> f64;
}

impl Element for f32 {
    fn of(value: f64) -> Self {
        value as f32
    }

    fn wide(self) -> f64 {
        f64::from(self)
    }
}

impl Element for f64 {
    fn of(value: f64) -> Self {
        value
    }

    fn wide(self) -> f64 {
        self
    }
}

pub(crate) mod sealed {
    use crate::matmul::Gemm;
    use pulp::Simd;

    /// Vector operations of the kernels.
    pub trait Vectors: Copy {
        /// A register's worth.
        type Vector<S: Simd>: Copy;
        /// The same number in every lane.
        fn splat<S: Simd>(simd: S, value: Self) -> Self::Vector<S>;
        /// a b + c, fused where the processor can.
        fn fused<S: Simd>(simd: S, a: Self::Vector<S>, b: Self::Vector<S>, c: Self::Vector<S>) -> Self::Vector<S>;
        /// Whole vectors from the start of a slice.
        fn vectors<S: Simd>(values: &[Self]) -> &[Self::Vector<S>];
        /// The same, to write.
        fn vectors_mut<S: Simd>(values: &mut [Self]) -> &mut [Self::Vector<S>];
        /// The sum of all lanes.
        fn sum<S: Simd>(simd: S, vector: Self::Vector<S>) -> Self;
        /// eˣ for x ≤ 0, as vectors of the type can have it.
        fn exp_below_zero(self) -> Self;
        /// The matrix product of the `gemm` crates.
        fn gemm() -> Gemm<Self>;
        /// The same numbers where they are f32, else none.
        fn as_f32(values: &[Self]) -> &[f32];
        /// The same, to write.
        fn as_f32_mut(values: &mut [Self]) -> &mut [f32];
    }
}

impl sealed::Vectors for f32 {
    type Vector<S: Simd> = S::f32s;

    #[inline(always)]
    fn splat<S: Simd>(simd: S, value: Self) -> S::f32s {
        simd.splat_f32s(value)
    }

    #[inline(always)]
    fn fused<S: Simd>(simd: S, a: S::f32s, b: S::f32s, c: S::f32s) -> S::f32s {
        simd.mul_add_e_f32s(a, b, c)
    }

    #[inline(always)]
    fn vectors<S: Simd>(values: &[Self]) -> &[S::f32s] {
        S::as_simd_f32s(values).0
    }

    #[inline(always)]
    fn vectors_mut<S: Simd>(values: &mut [Self]) -> &mut [S::f32s] {
        S::as_mut_simd_f32s(values).0
    }

    #[inline(always)]
    fn sum<S: Simd>(simd: S, vector: S::f32s) -> Self {
        simd.reduce_sum_f32s(vector)
    }

    #[inline(always)]
    fn exp_below_zero(self) -> Self {
        crate::exp::exp_below_zero(self)
    }

    fn gemm() -> Gemm<Self> {
        gemm_f32::gemm::f32::get_gemm_fn()
    }

    #[inline(always)]
    fn as_f32(values: &[Self]) -> &[f32] {
        values
    }

    #[inline(always)]
    fn as_f32_mut(values: &mut [Self]) -> &mut [f32] {
        values
    }
}

impl sealed::Vectors for f64 {
    type Vector<S: Simd> = S::f64s;

    #[inline(always)]
    fn splat<S: Simd>(simd: S, value: Self) -> S::f64s {
        simd.splat_f64s(value)
    }

    #[inline(always)]
    fn fused<S: Simd>(simd: S, a: S::f64s, b: S::f64s, c: S::f64s) -> S::f64s {
        simd.mul_add_e_f64s(a, b, c)
    }

    #[inline(always)]
    fn vectors<S: Simd>(values: &[Self]) -> &[S::f64s] {
        S::as_simd_f64s(values).0
    }

    #[inline(always)]
    fn vectors_mut<S: Simd>(values: &mut [Self]) -> &mut [S::f64s] {
        S::as_mut_simd_f64s(values).0
    }

    #[inline(always)]
    fn sum<S: Simd>(simd: S, vector: S::f64s) -> Self {
        simd.reduce_sum_f64s(vector)
    }

    #[inline(always)]
    fn exp_below_zero(self) -> Self {
        self.exp()
    }

    fn gemm() -> Gemm<Self> {
        gemm_f64::gemm::f64::get_gemm_fn()
    }

    #[inline(always)]
    fn as_f32(_: &[Self]) -> &[f32] {
        &[]
    }

    #[inline(always)]
    fn as_f32_mut(_: &mut [Self]) -> &mut [f32] {
        &mut []
    }
}

/// Runs plain loops compiled for the widest vectors of this processor, as far as the compiler makes the closure part of the
/// function that has them: it does for short ones. What must have them implements `WithSimd` or
/// [`crate::panels::TileWork`].
#[inline(always)]
pub fn vectorised<R>(work: impl FnOnce() -> R) -> R {
    struct Work<F>(F);
    impl<R, F: FnOnce() -> R> WithSimd for Work<F> {
        type Output = R;

        #[inline(always)]
        fn with_simd<S: Simd>(self, _: S) -> R {
            (self.0)()
        }
    }
    pulp::Arch::new().dispatch(Work(work))
}
