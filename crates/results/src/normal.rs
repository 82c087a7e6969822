//! The normal distribution, its generator, and what else the intervals and tests are made of.

use std::f64::consts::{FRAC_1_SQRT_2, PI, TAU};

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
    let p = p.clamp(1e-15, 1.0 - 1e-15);
    let tail = p.min(1.0 - p);
    // The tail is convex for x > 0, so Newton's steps from 0 rise towards the root and never pass it.
    let step = |x: f64| x + (normal_tail(x) - tail) / density(x);
    let x = (0..60).fold(0.0, |x, _| step(x));
    if p < 0.5 { -x } else { x }
}

/// The x with P(T ≤ x) = `p` of Student's t with `df` degrees of freedom, by the expansion of Abramowitz and Stegun
/// 26.7.5: within 1% for df ≥ 3 and 0.9 ≤ p ≤ 0.99, which is enough to plan with.
pub(crate) fn student_quantile_about(p: f64, df: f64) -> f64 {
    let z = normal_quantile(p);
    let (z3, z5, z7) = (z.powi(3), z.powi(5), z.powi(7));
    let first = (z3 + z) / 4.0;
    let second = (5.0 * z5 + 16.0 * z3 + 3.0 * z) / 96.0;
    let third = (3.0 * z7 + 19.0 * z5 + 17.0 * z3 - 15.0 * z) / 384.0;
    z + first / df + second / df.powi(2) + third / df.powi(3)
}

/// splitmix64 (Steele, Lea, Flood 2014): small, fast, and the same numbers on every machine.
pub(crate) struct Random(pub(crate) u64);

impl Random {
    pub(crate) fn bits(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let z = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    /// Above 0 and below 1.
    fn uniform(&mut self) -> f64 {
        ((self.bits() >> 12) as f64 + 0.5) / (1u64 << 52) as f64
    }

    /// Below `n`, uneven by at most n in 2³².
    pub(crate) fn below(&mut self, n: usize) -> usize {
        (((self.bits() >> 32) * n as u64) >> 32) as usize
    }

    /// Standard normal (Box and Muller 1958).
    fn normal(&mut self) -> f64 {
        let radius = (-2.0 * self.uniform().ln()).sqrt();
        radius * (TAU * self.uniform()).cos()
    }

    /// Student's t with `df` degrees of freedom, from its definition.
    pub(crate) fn student(&mut self, df: usize) -> f64 {
        let normal = self.normal();
        let square_sum: f64 = (0..df).map(|_| self.normal().powi(2)).sum();
        normal / (square_sum / df as f64).sqrt()
    }
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
        // scipy.stats.t.ppf(0.975, df)
        for (df, x) in [(3.0, 3.182_446_3), (4.0, 2.776_445_1), (9.0, 2.262_157_2), (99.0, 1.984_217)] {
            let about = student_quantile_about(0.975, df);
            assert!((about / x - 1.0).abs() < 0.01, "df {df}: {about} and {x}");
        }
    }

    #[test]
    fn the_generator_is_pinned_and_even() {
        // The first output of the reference implementation started at 1234567.
        assert_eq!(Random(1_234_567).bits(), 6_457_827_717_110_365_317);
        let mut random = Random(7);
        let mut counts = [0; 5];
        (0..50_000).for_each(|_| counts[random.below(5)] += 1);
        assert!(counts.iter().all(|&count: &i32| (count - 10_000).abs() < 400), "{counts:?}");
    }

    #[test]
    fn student_draws_have_the_tails_of_student() {
        let mut random = Random(3);
        for (df, quantile) in [(1, 12.706), (2, 4.3027), (9, 2.2622)] {
            let beyond = (0..40_000).filter(|_| random.student(df).abs() > quantile).count();
            // 5% of 40,000 is 2,000 with standard deviation 44.
            assert!((1850..2150).contains(&beyond), "df {df}: {beyond}");
        }
    }
}
