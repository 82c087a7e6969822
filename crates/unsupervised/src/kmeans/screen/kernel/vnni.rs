//! AVX-512 VNNI multiplies 64 pairs of bytes and adds them up by fours in one instruction.

use super::{GROUP, Group, LANES, OfRow, PANEL, Panels, Step, VECTORS};
use std::arch::x86_64::{
    __m512, __m512i, _CMP_NLT_UQ, _mm512_add_ps, _mm512_cmp_ps_mask, _mm512_cvtepi32_ps, _mm512_dpbusd_epi32,
    _mm512_fmadd_ps, _mm512_loadu_epi32, _mm512_loadu_ps, _mm512_max_ps, _mm512_mul_ps, _mm512_reduce_max_ps,
    _mm512_set1_epi32, _mm512_set1_ps, _mm512_storeu_ps, _mm512_sub_ps,
};

/// Whether this processor has the instructions.
pub(super) fn available() -> bool {
    is_x86_feature_detected!("avx512f") && is_x86_feature_detected!("avx512vnni")
}

/// # Panics
/// When the processor lacks the instructions.
#[expect(unsafe_code, reason = "instructions that pulp has no name for; the processor is asked first")]
pub(super) fn bounds(panels: &Panels, rows: &[Group], of: &[OfRow; GROUP], uppers: &mut [f32]) -> [f32; GROUP] {
    assert!(available(), "a processor with AVX-512 VNNI");
    // SAFETY: the processor has what the function is compiled for.
    unsafe { bounds_here(panels, rows, of, uppers) }
}

/// # Panics
/// When the processor lacks the instructions.
#[expect(unsafe_code, reason = "instructions that pulp has no name for; the processor is asked first")]
pub(super) fn not_below(uppers: &[f32], limit: f32, out: &mut Vec<u32>) {
    assert!(available(), "a processor with AVX-512");
    // SAFETY: the processor has what the function is compiled for.
    unsafe { not_below_here(uppers, limit, out) }
}

#[target_feature(enable = "avx512f,avx512vnni")]
fn bounds_here(panels: &Panels, rows: &[Group], of: &[OfRow; GROUP], uppers: &mut [f32]) -> [f32; GROUP] {
    let mut lowers = [_mm512_set1_ps(f32::NEG_INFINITY); GROUP];
    let stride = panels.of.len() * PANEL;
    for (p, (steps, columns)) in panels.steps.chunks_exact(rows.len()).zip(&panels.of).enumerate() {
        let sums = tile(steps, rows, of);
        for v in 0..VECTORS {
            let at = |values: &[f32; PANEL]| load(&values[v * LANES..]);
            let (scale, offset, norm) = (at(&columns.scale), at(&columns.offset), at(&columns.norm));
            let (residual, slack) = (at(&columns.residual), at(&columns.slack));
            for r in 0..GROUP {
                let product = _mm512_mul_ps(_mm512_cvtepi32_ps(sums[r][v]), scale);
                let value = _mm512_fmadd_ps(product, _mm512_set1_ps(of[r].scale), offset);
                let apart = _mm512_fmadd_ps(_mm512_set1_ps(of[r].norm), residual, slack);
                let apart = _mm512_fmadd_ps(_mm512_set1_ps(of[r].residual), norm, apart);
                // Where the bound is not a number, the instruction gives its second argument.
                lowers[r] = _mm512_max_ps(_mm512_sub_ps(value, apart), lowers[r]);
                store(&mut uppers[r * stride + p * PANEL + v * LANES..], _mm512_add_ps(value, apart));
            }
        }
    }
    let mut greatest = [0.0; GROUP];
    for r in 0..GROUP {
        greatest[r] = _mm512_reduce_max_ps(lowers[r]);
    }
    greatest
}

/// Sums of products of the bytes of six rows and 32 columns.
#[inline]
#[target_feature(enable = "avx512f,avx512vnni")]
fn tile(steps: &[Step], rows: &[Group], of: &[OfRow; GROUP]) -> [[__m512i; VECTORS]; GROUP] {
    let mut sums = [[_mm512_set1_epi32(0); VECTORS]; GROUP];
    for r in 0..GROUP {
        sums[r] = [_mm512_set1_epi32(of[r].start); VECTORS];
    }
    for (step, group) in steps.iter().zip(rows) {
        let columns = [load_bytes(&step.0[0]), load_bytes(&step.0[1])];
        for r in 0..GROUP {
            let row = _mm512_set1_epi32(group[r]);
            for v in 0..VECTORS {
                sums[r][v] = _mm512_dpbusd_epi32(sums[r][v], columns[v], row);
            }
        }
    }
    sums
}

#[target_feature(enable = "avx512f")]
fn not_below_here(uppers: &[f32], limit: f32, out: &mut Vec<u32>) {
    let limit = _mm512_set1_ps(limit);
    for (i, panel) in uppers.chunks_exact(PANEL).enumerate() {
        let at = |start: usize| _mm512_cmp_ps_mask::<_CMP_NLT_UQ>(load(&panel[start..]), limit);
        let mut mask = u32::from(at(0)) | u32::from(at(LANES)) << LANES;
        while mask != 0 {
            out.push((i * PANEL) as u32 + mask.trailing_zeros());
            mask &= mask - 1;
        }
    }
}

#[inline]
#[target_feature(enable = "avx512f")]
#[expect(unsafe_code, reason = "vector loads take pointers")]
fn load_bytes(values: &[i32; LANES]) -> __m512i {
    // SAFETY: sixteen values are there.
    unsafe { _mm512_loadu_epi32(values.as_ptr()) }
}

#[inline]
#[target_feature(enable = "avx512f")]
#[expect(unsafe_code, reason = "vector loads take pointers")]
fn load(values: &[f32]) -> __m512 {
    let values: &[f32] = &values[..LANES];
    // SAFETY: sixteen values are there.
    unsafe { _mm512_loadu_ps(values.as_ptr()) }
}

#[inline]
#[target_feature(enable = "avx512f")]
#[expect(unsafe_code, reason = "vector stores take pointers")]
fn store(values: &mut [f32], from: __m512) {
    let values: &mut [f32] = &mut values[..LANES];
    // SAFETY: there is room for sixteen values.
    unsafe { _mm512_storeu_ps(values.as_mut_ptr(), from) }
}
