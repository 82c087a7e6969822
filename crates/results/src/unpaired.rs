//! Two accuracies that share no images: their difference with an interval.

use crate::interval::Interval;

/// The interval of a − b from the intervals of a and b, which are independent: the square-and-add rule (Newcombe 1998, method 10, for Wilson's
/// intervals; for others Zou and Donner 2008). Its level is theirs.
///
/// lower end: (a − b) − √((a − lₐ)² + (u_b − b)²), upper end: (a − b) + √((uₐ − a)² + (b − l_b)²).
pub fn unpaired(a: f64, a_interval: Interval, b: f64, b_interval: Interval) -> Interval {
    let below = (a - a_interval.lo).hypot(b_interval.hi - b);
    let above = (a_interval.hi - a).hypot(b - b_interval.lo);
    Interval { lo: a - b - below, hi: a - b + above }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::interval::wilson;

    #[test]
    fn an_example_of_newcombe() {
        // Newcombe 1998, table II, method 10: 56/70 − 48/80 has 0.0524 to 0.3339; 9/10 − 3/10 has 0.1705 to 0.8090.
        for (r1, n1, r2, n2, lo, hi) in [(56, 70, 48, 80, 0.0524, 0.3339), (9, 10, 3, 10, 0.1705, 0.8090)] {
            let share = |r: usize, n: usize| r as f64 / n as f64;
            let found = unpaired(share(r1, n1), wilson(r1, n1, 0.95), share(r2, n2), wilson(r2, n2, 0.95));
            assert!((found.lo - lo).abs() < 5e-5 && (found.hi - hi).abs() < 5e-5, "{found:?}");
        }
    }
}
