//! Which two of n sorted values enclose the median of what they are drawn from, whatever its distribution.
//!
//! Each value lies below the median with chance ½. So the r-th smallest and the r-th greatest enclose it unless fewer than r values fall on one
//! side: with probability 1 − 2 P(B < r), B binomial with n tosses of a fair coin (Thompson 1936; David, Nagaraja: Order Statistics, 2003,
//! section 7.1).

/// The greatest r (from 1) for which the r-th values from both ends enclose the median with this probability, and that
/// probability. `None` where not even the least and the greatest do; that is told by [`whole`].
pub(crate) fn rank(n: usize, confidence: f64) -> Option<(usize, f64)> {
    // ln P(B = i), from i = 0 on: 2⁻ⁿ itself is nothing for two thousand values.
    let mut log_mass = -(n as f64) * std::f64::consts::LN_2;
    let mut below = 0.0;
    let mut best = None;
    for r in 1..=n / 2 {
        below += log_mass.exp();
        log_mass += ((n - r + 1) as f64 / r as f64).ln();
        let coverage = 1.0 - 2.0 * below;
        if coverage < confidence {
            break;
        }
        best = Some((r, coverage));
    }
    best
}

/// The probability that the least and the greatest of n values enclose the median.
pub(crate) fn whole(n: usize) -> f64 {
    1.0 - 2.0 * (-(n as f64)).exp2()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ranks_are_those_of_the_tables() {
        // Conover, Practical Nonparametric Statistics: n = 20 gives the 6th and the 15th at 95.86%; n = 6 the ends at 96.9%.
        let (r, coverage) = rank(20, 0.95).unwrap();
        assert!(r == 6 && (coverage - 0.958_61).abs() < 1e-5, "{r} {coverage}");
        let (r, coverage) = rank(6, 0.95).unwrap();
        assert!(r == 1 && (coverage - 0.968_75).abs() < 1e-12, "{r} {coverage}");
        // scipy.stats.binom(500, 0.5): 1 − 2 cdf(227) is 0.95594, 1 − 2 cdf(228) is 0.94563; the normal approximation is 250 − 1.96 · 11.18.
        let (r, coverage) = rank(500, 0.95).unwrap();
        assert!(r == 228 && (0.95..0.96).contains(&coverage), "{r} {coverage}");
        assert_eq!((rank(5, 0.95), rank(1, 0.5), rank(0, 0.5)), (None, None, None));
        assert!((whole(5) - 0.9375).abs() < 1e-15 && whole(1).abs() < 1e-15);
    }
}
