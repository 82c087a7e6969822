//! What the machine's clock is worth: how far two timings of the same work lie apart.

use bakeoff_results::Noise;
use bakeoff_runner::clock::Stopwatch;
use std::hint::black_box;

/// Pairs of timings.
const PAIRS: usize = 40;

/// Passes over a block that fits into the second-level cache: about 3 ms of work on a processor of 2024.
const PASSES: usize = 64;

/// Times the same work in pairs, one right after the other, on one thread, after three pairs to warm up that do not count. On
/// a quiet machine the ratio is near 1; where others work too, differences of pipelines below it mean nothing.
pub(crate) fn measured() -> Noise {
    let block: Vec<f32> = (0..1 << 16).map(|i| (i % 251) as f32).collect();
    for _ in 0..3 {
        pair(&block);
    }
    let mut ratios: Vec<f64> = (0..PAIRS).map(|_| pair(&block)).collect();
    ratios.sort_by(f64::total_cmp);
    Noise { pairs: PAIRS, ratio: ratios[PAIRS * 95 / 100 - 1] }
}

/// The slower of two timings of the same work divided by the faster one.
fn pair(block: &[f32]) -> f64 {
    let (first, second) = (seconds(block), seconds(block));
    first.max(second) / first.min(second).max(f64::MIN_POSITIVE)
}

fn seconds(block: &[f32]) -> f64 {
    let clock = Stopwatch::start();
    for _ in 0..PASSES {
        let sums = black_box(block).chunks_exact(16).fold([0.0_f32; 16], |mut sums, values| {
            sums.iter_mut().zip(values).for_each(|(sum, value)| *sum = value.mul_add(0.5, *sum));
            sums
        });
        black_box(sums);
    }
    clock.elapsed().0
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_noise_of_a_machine_is_a_ratio_of_at_least_one() {
        let noise = measured();
        assert!(noise.pairs == PAIRS && noise.ratio >= 1.0 && noise.ratio.is_finite(), "{noise:?}");
    }
}
