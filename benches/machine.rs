//! What this machine can do at most: multiply-adds in registers, bytes to and from memory, cycles a second.

use pulp::{Simd, WithSimd};
use rayon::prelude::*;
use std::hint::black_box;
use std::time::Instant;

/// Independent chains of multiply-adds: enough to hide their latency on every width.
const CHAINS: usize = 16;
/// Links of each chain.
const LINKS: usize = 4_000_000;

/// Chains of multiply-adds in registers; gives the operations made (two a lane and link).
struct Peak;

impl WithSimd for Peak {
    type Output = f64;

    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) -> f64 {
        let factor = simd.splat_f32s(black_box(0.999_999));
        let mut chains = [simd.splat_f32s(black_box(1.0)); CHAINS];
        for _ in 0..LINKS {
            for chain in &mut chains {
                *chain = simd.mul_add_f32s(*chain, factor, factor);
            }
        }
        let total = chains.into_iter().fold(simd.splat_f32s(0.0), |sum, chain| simd.add_f32s(sum, chain));
        assert!(simd.reduce_sum_f32s(total).is_finite(), "the chains were computed");
        (2 * CHAINS * LINKS * S::F32_LANES) as f64
    }
}

/// What the processor calls itself; "this machine" where it is not told.
pub fn processor() -> String {
    let text = std::fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    let named = text.lines().find_map(|line| line.strip_prefix("model name")?.split_once(": "));
    named.map_or_else(|| "this machine".to_owned(), |(_, name)| name.trim().to_owned())
}

/// Seconds of one call.
pub fn seconds(work: impl FnOnce()) -> f64 {
    let start = Instant::now();
    work();
    start.elapsed().as_secs_f64()
}

/// GFLOP/s of multiply-adds on this many threads of rayon's current pool.
pub fn peak(threads: usize) -> f64 {
    let start = Instant::now();
    let flops: f64 = (0..threads).into_par_iter().with_max_len(1).map(|_| pulp::Arch::new().dispatch(Peak)).sum();
    flops / start.elapsed().as_secs_f64() / 1e9
}

/// Pairs of an addition and a rotation, each waiting for the one before: two cycles on every processor of today.
const PAIRS: u64 = 4_000_000;

/// GHz of this thread's processor while it works.
pub fn clock() -> f64 {
    let mut value = black_box(1u64);
    let time = seconds(|| {
        for _ in 0..PAIRS {
            value = value.wrapping_add(0x9e37_79b9_7f4a_7c15).rotate_left(7);
        }
        black_box(value);
    });
    2.0 * PAIRS as f64 / time / 1e9
}

/// GB/s of a ← b + c · s over arrays far larger than the caches, on rayon's current pool.
///
/// # Panics
/// When an array is shorter than two numbers or the sums are wrong.
pub fn triad(a: &mut [f32], b: &[f32], c: &[f32]) -> f64 {
    let chunk = a.len().div_ceil(rayon::current_num_threads());
    let time = seconds(|| {
        a.par_chunks_mut(chunk).zip(b.par_chunks(chunk)).zip(c.par_chunks(chunk)).for_each(|((a, b), c)| {
            for ((a, b), c) in a.iter_mut().zip(b).zip(c) {
                *a = *b + *c * 3.0;
            }
        });
    });
    assert_eq!(a[1], b[1] + c[1] * 3.0);
    3.0 * 4.0 * a.len() as f64 / time / 1e9
}
