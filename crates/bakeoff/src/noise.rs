//! What the machine's clock is worth: how far two timings of the same work lie apart.

use bakeoff_results::Noise;
use bakeoff_runner::clock::Stopwatch;
use std::hint::black_box;

/// Pairs of timings.
const PAIRS: usize = 40;

/// Passes over a block that fits into the second-level cache: about 3 ms of work on a processor of 2024.
const PASSES: usize = 192;

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

/// Plain loops: at this crate's level of optimising, functions of iterators are those of whichever crate had them first and no part of
/// the loop. With them, 64 passes took 41 ms instead of 1.1, and a run began three seconds later.
fn seconds(block: &[f32]) -> f64 {
    let clock = Stopwatch::start();
    let mut pass = 0;
    while pass < PASSES {
        let (mut sums, mut at) = ([0.0_f32; 8], 0);
        let values = black_box(block);
        while let Some(values) = values.get(at..at + 8) {
            let mut lane = 0;
            while lane < 8 {
                sums[lane] += 0.5 * values[lane];
                lane += 1;
            }
            at += 8;
        }
        black_box(sums);
        pass += 1;
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
