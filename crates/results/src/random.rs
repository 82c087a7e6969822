//! The generator of the bootstrap: the same numbers on every machine.

use std::f64::consts::{PI, TAU};

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
    pub(crate) fn uniform(&mut self) -> f64 {
        ((self.bits() >> 12) as f64 + 0.5) / (1u64 << 52) as f64
    }

    /// Below `n`, uneven by at most n in 2³².
    pub(crate) fn below(&mut self, n: usize) -> usize {
        (((self.bits() >> 32) * n as u64) >> 32) as usize
    }

    /// Standard normal (Box and Muller 1958).
    pub(crate) fn normal(&mut self) -> f64 {
        let radius = (-2.0 * self.uniform().ln()).sqrt();
        radius * (TAU * self.uniform()).cos()
    }

    /// How often something of chance `p` happens in `n` trials: waiting times for few expected hits, else rejection
    /// (Hörmann 1993, algorithm BTRS), whose time does not depend on n.
    pub(crate) fn binomial(&mut self, n: usize, p: f64) -> usize {
        if p > 0.5 {
            return n - self.binomial(n, 1.0 - p).min(n);
        }
        // A share of counts may leave 0 or 1 by a rounding error.
        if n == 0 || p <= 0.0 {
            0
        } else if n as f64 * p < 10.0 {
            self.waiting(n, p)
        } else {
            self.rejecting(n as f64, p)
        }
    }

    /// Hits until the geometric waiting times have used up all trials.
    fn waiting(&mut self, n: usize, p: f64) -> usize {
        let (scale, mut spent, mut hits) = ((-p).ln_1p(), 0.0, 0);
        loop {
            spent += (self.uniform().ln() / scale).ceil().max(1.0);
            if spent > n as f64 {
                return hits;
            }
            hits += 1;
        }
    }

    fn rejecting(&mut self, n: f64, p: f64) -> usize {
        let (odds, sd) = (p / (1.0 - p), (n * p * (1.0 - p)).sqrt());
        let b = 1.15 + 2.53 * sd;
        let a = -0.0873 + 0.0248 * b + 0.01 * p;
        let (centre, alpha, mode) = (n * p + 0.5, (2.83 + 5.1 / b) * sd, ((n + 1.0) * p).floor());
        loop {
            let (u, v) = (self.uniform() - 0.5, self.uniform());
            let side = 0.5 - u.abs();
            let k = ((2.0 * a / side + b) * u + centre).floor();
            if side >= 0.07 && v <= 0.92 - 4.2 / b {
                return k as usize;
            }
            if !(0.0..=n).contains(&k) {
                continue;
            }
            let at_mode = (mode + 0.5) * ((mode + 1.0) / (odds * (n - mode + 1.0))).ln() + rest(mode) + rest(n - mode);
            let bound = at_mode
                + (n + 1.0) * ((n - mode + 1.0) / (n - k + 1.0)).ln()
                + (k + 0.5) * (odds * (n - k + 1.0) / (k + 1.0)).ln()
                - rest(k)
                - rest(n - k);
            if (v * alpha / (a / (side * side) + b)).ln() <= bound {
                return k as usize;
            }
        }
    }
}

/// What ln k! has beyond (k + ½) ln(k + 1) − (k + 1) + ½ ln 2π.
fn rest(k: f64) -> f64 {
    if k < 10.0 {
        let factorial: f64 = (1..=k as u32).map(|i| f64::from(i).ln()).sum();
        return factorial - ((k + 0.5) * (k + 1.0).ln() - (k + 1.0) + 0.5 * (2.0 * PI).ln());
    }
    let square = (k + 1.0).powi(2);
    (1.0 / 12.0 - (1.0 / 360.0 - 1.0 / 1260.0 / square) / square) / (k + 1.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_generator_is_pinned_and_even() {
        // The first output of the reference implementation started at 1234567.
        assert_eq!(Random(1_234_567).bits(), 6_457_827_717_110_365_317);
        let mut random = Random(7);
        let mut counts = [0; 5];
        (0..50_000).for_each(|_| counts[random.below(5)] += 1);
        assert!(counts.iter().all(|&count: &i32| (count - 10_000).abs() < 400), "{counts:?}");
    }

    /// The chance of every count from 0 to n, each from the one below it.
    fn chances(n: usize, p: f64) -> Vec<f64> {
        let mut chances = vec![(n as f64 * (1.0 - p).ln()).exp()];
        for k in 1..=n {
            let last = chances[k - 1];
            chances.push(last * (n - k + 1) as f64 / k as f64 * p / (1.0 - p));
        }
        chances
    }

    #[test]
    fn binomial_draws_have_the_binomial_distribution() {
        let mut random = Random(11);
        for (n, p) in [(1, 0.3), (9, 0.5), (40, 0.1), (40, 0.9), (60, 0.4), (200, 0.05), (500, 0.5), (1000, 0.97)] {
            let draws = 40_000;
            let mut counts = vec![0usize; n + 1];
            (0..draws).for_each(|_| counts[random.binomial(n, p)] += 1);
            // Chi-squared over the counts that are expected five times or more; the others together.
            let (mut square, mut cells, mut seen, mut expected) = (0.0, 0, 0usize, 0.0);
            for (&count, chance) in counts.iter().zip(chances(n, p)) {
                let mean = chance * f64::from(draws);
                if mean >= 5.0 {
                    square += (count as f64 - mean).powi(2) / mean;
                    (cells, seen, expected) = (cells + 1, seen + count, expected + mean);
                }
            }
            let outside = (draws as usize - seen) as f64;
            assert!(outside <= 3.0 * (f64::from(draws) - expected) + 12.0, "n {n}, p {p}: {outside} in the tails");
            // Mean `cells`, standard deviation √(2 cells): four of them.
            let bound = f64::from(cells) + 4.0 * (2.0 * f64::from(cells)).sqrt() + 4.0;
            assert!(square < bound, "n {n}, p {p}: chi-squared {square} of {cells} cells");
        }
        assert_eq!((random.binomial(0, 0.5), random.binomial(7, 0.0), random.binomial(7, 1.0)), (0, 0, 7));
        assert_eq!(random.binomial(7, 1.0 + 1e-9), 7);
    }
}
