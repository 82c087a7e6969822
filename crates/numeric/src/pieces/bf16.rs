//! Vectors of bfloat16: one instruction (AVX-512 BF16) adds to each of sixteen f32 the products of two pairs of numbers.
//!
//! A Zen 4 makes twice as many multiply-adds with it as of f32 (see [`super`]), an Emerald Rapids fewer. It reads
//! words as blocks have them. Numbers and sums below 2⁻¹²⁶ count as 0.

use super::{Ahead, Block, Half, PANEL, Side, Sums};
use crate::tiles::prefetch;
use std::arch::x86_64::{
    __cpuid, __m512, __m512bh, __m512i, _mm512_cvtne2ps_pbh, _mm512_dpbf16_ps, _mm512_permutexvar_epi16,
    _mm512_set1_epi32, _mm512_setzero_ps,
};
use std::mem::transmute;
use std::sync::LazyLock;

/// Rows whose sums stay in registers.
const ROWS: usize = 8;

/// Words of a row, or of half a row of a right operand.
const LANES: usize = PANEL / 2;

/// Groups of rows of a block.
const GROUPS: usize = PANEL / ROWS;

/// Words of a row between two lines of the cache that are fetched ahead: four lines with each group of a step's rows.
const ROWS_A_LINE: usize = LANES / GROUPS;

/// Steps that a group of rows takes before the next one does: sums are loaded and stored once for all of them, and their 16 KB of
/// blocks stay in the first cache.
const STEPS: usize = 4;

/// Whether this processor has the instructions.
pub(super) fn available() -> bool {
    is_x86_feature_detected!("avx512bw") && is_x86_feature_detected!("avx512bf16")
}

/// Whether they multiply faster than f32: AMD's do, an Intel's did not: see [`super`].
pub(super) fn pay() -> bool {
    // Virtual machines take microseconds for the instruction.
    static PAY: LazyLock<bool> = LazyLock::new(|| {
        let vendor = __cpuid(0);
        available() && [vendor.ebx, vendor.edx, vendor.ecx].map(u32::to_le_bytes).as_flattened() == b"AuthenticAMD"
    });
    *PAY
}

/// Proof that it has.
#[derive(Clone, Copy)]
pub(super) struct Vectors(());

impl Vectors {
    /// None where an instruction is missing.
    pub(super) fn new() -> Option<Self> {
        available().then_some(Self(()))
    }

    /// sums ← left · right, or added to what is there; as many blocks of both, of numbers in one piece.
    #[expect(unsafe_code, reason = "the compiler does not know that the instruction is there")]
    #[expect(clippy::unused_self, reason = "that there is one says that the instruction is there")]
    pub(super) fn add(self, left: &[Block], right: &[Block], is_first: bool, sums: &mut Sums, ahead: Ahead) {
        // SAFETY: there is a `self`.
        unsafe { add(left, right, is_first, sums, ahead) }
    }

    /// 32 × 32 numbers, rounded.
    #[expect(unsafe_code, reason = "the compiler does not know that the instructions are there")]
    #[expect(clippy::unused_self, reason = "that there is one says that the instructions are there")]
    pub(super) fn convert(self, side: Side, lines: &Sums, block: &mut Block) {
        // SAFETY: there is a `self`.
        unsafe { convert(side, lines, block) }
    }
}

#[target_feature(enable = "avx512bw,avx512bf16")]
fn convert(side: Side, lines: &Sums, block: &mut Block) {
    let halves: &[Half] = lines.as_flattened().as_chunks().0;
    for (i, words) in block.0.as_chunks_mut().0.iter_mut().enumerate() {
        let (one, other) = side.halves(i);
        *words = round(&halves[one], &halves[other]);
    }
}

#[target_feature(enable = "avx512f,avx512bf16")]
fn add(left: &[Block], right: &[Block], is_first: bool, sums: &mut Sums, ahead: Ahead) {
    for (turn, (left, right)) in left.chunks(STEPS).zip(right.chunks(STEPS)).enumerate() {
        for (group, sums) in sums.as_chunks_mut::<ROWS>().0.iter_mut().enumerate() {
            let mut held = [[_mm512_setzero_ps(); 2]; ROWS];
            if turn > 0 || !is_first {
                for (held, line) in held.iter_mut().zip(&*sums) {
                    *held = vectors(*line);
                }
            }
            for (step, (left, right)) in left.iter().zip(right).enumerate() {
                let fetched = (turn * STEPS + step) * ahead.stride;
                let rows = &left.0.as_chunks::<{ ROWS * LANES }>().0[group];
                let (first, second) = right.0.as_chunks().0.split_at(LANES);
                for j in 0..LANES {
                    // A quarter of the step's lines with each group of its rows.
                    if j % ROWS_A_LINE == 0 {
                        let line = 64 * (group * GROUPS + j / ROWS_A_LINE);
                        for start in ahead.starts {
                            prefetch(start.wrapping_add(fetched + line));
                        }
                    }
                    let columns = [words(&first[j]), words(&second[j])];
                    for (r, held) in held.iter_mut().enumerate() {
                        let row = splat(rows[r * LANES + j]);
                        held[0] = _mm512_dpbf16_ps(held[0], columns[0], row);
                        held[1] = _mm512_dpbf16_ps(held[1], columns[1], row);
                    }
                }
            }
            for (held, line) in held.into_iter().zip(sums) {
                *line = numbers(held);
            }
        }
    }
}

/// Where the numbers of two vectors of sixteen stand when they are brought together.
const TOGETHER: [u16; PANEL] = {
    let (mut places, mut i) = ([0; PANEL], 0);
    while i < PANEL {
        places[i] = (i / 2 + i % 2 * LANES) as u16;
        i += 1;
    }
    places
};

#[inline]
#[target_feature(enable = "avx512bw,avx512bf16")]
#[expect(unsafe_code, reason = "there is no safe word for it")]
fn round(one: &Half, other: &Half) -> [u32; LANES] {
    // SAFETY: all are 64 bytes of any bits.
    unsafe {
        let (one, other) = (transmute::<Half, __m512>(*one), transmute::<Half, __m512>(*other));
        let rounded = transmute::<__m512bh, __m512i>(_mm512_cvtne2ps_pbh(other, one));
        transmute::<__m512i, [u32; LANES]>(_mm512_permutexvar_epi16(
            transmute::<[u16; PANEL], __m512i>(TOGETHER),
            rounded,
        ))
    }
}

#[inline]
#[target_feature(enable = "avx512f")]
#[expect(unsafe_code, reason = "there is no safe word for it")]
fn words(words: &[u32; LANES]) -> __m512bh {
    // SAFETY: both are 64 bytes of any bits.
    unsafe { transmute(*words) }
}

#[inline]
#[target_feature(enable = "avx512f")]
#[expect(unsafe_code, reason = "there is no safe word for it")]
fn splat(word: u32) -> __m512bh {
    // SAFETY: both are 64 bytes of any bits.
    unsafe { transmute(_mm512_set1_epi32(word.cast_signed())) }
}

#[inline]
#[target_feature(enable = "avx512f")]
#[expect(unsafe_code, reason = "there is no safe word for it")]
fn vectors(line: [f32; PANEL]) -> [__m512; 2] {
    // SAFETY: both are 128 bytes of any bits.
    unsafe { transmute(line) }
}

#[inline]
#[target_feature(enable = "avx512f")]
#[expect(unsafe_code, reason = "there is no safe word for it")]
fn numbers(vectors: [__m512; 2]) -> [f32; PANEL] {
    // SAFETY: both are 128 bytes of any bits.
    unsafe { transmute(vectors) }
}
