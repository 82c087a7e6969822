//! The normal distribution: its tail and its quantiles.

use std::f64::consts::{FRAC_1_SQRT_2, PI};

/// Density of the standard normal distribution at `x`.
fn density(x: f64) -> f64 {
    (-0.5 * x * x).exp() * FRAC_1_SQRT_2 / PI.sqrt()
}

/// P(Z > `x`) of a standard normal Z, with full relative accuracy in the upper tail.
pub(crate) fn normal_tail(x: f64) -> f64 {
    if x < 0.0 {
        return 1.0 - normal_tail(-x);
    }
    if x < 2.5 {
        return 0.5 - density(x) * odd_series(x);
    }
    if x > 39.0 {
        return 0.0; // Below the smallest number there is.
    }
    // Laplace's continued fraction x + 1/(x + 2/(x + 3/(x + …))), from the inside out; 80 levels serve from x = 2.5 on.
    let fraction = (1..=80).rev().fold(x, |inner, level| x + f64::from(level) / inner);
    density(x) / fraction
}

/// x + x³/3 + x⁵/(3·5) + …: the normal distribution's area from 0 to x over its density at x.
fn odd_series(x: f64) -> f64 {
    let (mut term, mut sum, mut odd) = (x, x, 1.0);
    while term > sum * 1e-17 {
        odd += 2.0;
        term *= x * x / odd;
        sum += term;
    }
    sum
}

/// The x with P(Z ≤ x) = `p`, for 0 < p < 1; p is kept 1e-15 away from both ends.
pub(crate) fn normal_quantile(p: f64) -> f64 {
    if p < 0.5 { -normal_upper(p) } else { normal_upper(1.0 - p) }
}

/// The x ≥ 0 with P(Z > x) = `tail`, for a tail of at most ½; it is kept above 1e-15.
pub(crate) fn normal_upper(tail: f64) -> f64 {
    let tail = tail.clamp(1e-15, 0.5);
    // The tail is convex for x > 0, so Newton's steps from 0 rise towards the root and never pass it.
    let mut x = 0.0f64;
    for _ in 0..60 {
        let step = (normal_tail(x) - tail) / density(x);
        x += step;
        if step <= 1e-15 * x {
            break;
        }
    }
    x
}

#[cfg(test)]
mod tests {
    use super::*;

    /// From scipy 1.17: `scipy.stats.norm.sf(x)`.
    const TAILS: [(f64, f64); 6] = [
        (0.0, 0.5),
        (0.1, 0.460_172_162_722_971),
        (-1.0, 0.841_344_746_068_542_9),
        (2.499_999, 0.006_209_682_854_098_537),
        (2.5, 0.006_209_665_325_776_132),
        (8.0, 6.220_960_574_271_785e-16),
    ];

    #[test]
    fn tails_agree_with_scipy() {
        for (x, tail) in TAILS {
            let error = (normal_tail(x) / tail - 1.0).abs();
            assert!(error < 1e-13, "x {x}: {} and {tail}", normal_tail(x));
        }
        assert_eq!(normal_tail(f64::INFINITY), 0.0);
    }

    #[test]
    fn quantiles_agree_with_scipy() {
        // scipy.stats.norm.ppf
        let wanted =
            [(0.975, 1.959_963_984_540_054), (0.5, 0.0), (1e-9, -5.997_807_015_007_687), (0.9, 1.281_551_565_544_6)];
        for (p, x) in wanted {
            assert!((normal_quantile(p) - x).abs() < 1e-12, "p {p}: {} and {x}", normal_quantile(p));
        }
    }
}
