//! Several timings of the same work: their median, and an interval for it.
//!
//! Times are skewed and now and then far off, because other programs share the machine. So no mean and no normal distribution: the
//! interval lies between two of the timings themselves ([`crate::order_statistics`]).

use crate::groups::Group;
use crate::order_statistics::{rank, whole};
use crate::row::Measured;
use serde::{Deserialize, Serialize};

/// Two timings that the median lies between.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct TimeInterval {
    /// Wall seconds.
    pub low: f64,
    /// Wall seconds.
    pub high: f64,
    /// Its level: at least what the run asks for where there are enough timings, else that of the least and the greatest of them.
    pub level: f64,
}

/// The middle one of these numbers, or the mean of the two; `None` of none.
pub fn median(values: &[f64]) -> Option<f64> {
    let mut sorted = values.to_vec();
    sorted.sort_by(f64::total_cmp);
    let n = sorted.len();
    let (low, high) = (sorted.get(n.checked_sub(1)? / 2)?, sorted.get(n / 2)?);
    Some(f64::midpoint(*low, *high))
}

/// The narrowest interval of this kind at this level, or the widest where none reaches it; `None` of fewer than two timings.
pub(crate) fn interval(timings: &[f64], confidence: f64) -> Option<TimeInterval> {
    let n = timings.len();
    if n < 2 {
        return None;
    }
    let mut sorted = timings.to_vec();
    sorted.sort_by(f64::total_cmp);
    let (rank, level) = rank(n, confidence).unwrap_or_else(|| (1, whole(n)));
    Some(TimeInterval { low: sorted[rank - 1], high: sorted[n - rank], level })
}

/// Every timing of this part in a group: of each seed its own and its repeats'.
pub(crate) fn timings(group: &Group<'_>, part: impl Fn(&Measured) -> Vec<f64>) -> Vec<f64> {
    group.done.iter().flat_map(|(_, measured)| part(measured)).collect()
}

/// From end to end: the cell's own time, and that of its repeats with the tuning that they did not repeat.
pub(crate) fn totals(measured: &Measured) -> Vec<f64> {
    let parts = measured.features.iter().zip(&measured.fit).zip(&measured.predict).skip(1);
    let repeats = parts.map(|((features, fit), predict)| features.0 + fit.0 + predict.0 + measured.tune.0);
    std::iter::once(measured.total.0).chain(repeats).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::random::Random;

    #[test]
    fn medians_by_hand() {
        assert_eq!(median(&[3.0, 1.0, 2.0]), Some(2.0));
        assert_eq!(median(&[4.0, 1.0, 2.0, 3.0]), Some(2.5));
        assert_eq!((median(&[7.0]), median(&[])), (Some(7.0), None));
    }

    #[test]
    fn intervals_have_the_level_of_their_binomial() {
        let timings: Vec<f64> = (1..=20).rev().map(f64::from).collect();
        // scipy.stats.binom.cdf(5, 20, 0.5) = 0.020694732666015625, cdf(6, …) = 0.057659149169921875: the 6th is the innermost place.
        let found = interval(&timings, 0.95).unwrap();
        assert_eq!((found.low, found.high), (6.0, 15.0));
        assert!((found.level - 0.958_610_534_667_968_8).abs() < 1e-12, "{found:?}");
        // Five timings cannot reach 95%: the least and the greatest enclose the median with 1 − 2/32.
        let five = interval(&timings[..5], 0.95).unwrap();
        assert!((five.low, five.high) == (16.0, 20.0) && (five.level - 0.9375).abs() < 1e-12, "{five:?}");
        assert!((interval(&timings[..6], 0.95).unwrap().level - 0.96875).abs() < 1e-12);
        assert_eq!(interval(&timings[..1], 0.95), None);
    }

    #[test]
    fn intervals_of_skewed_times_cover_their_median() {
        // Exponential times: the median is ln 2. Coverage of 2,000 draws of 11 timings; the level is 0.98828 at the second place
        // and 0.93457 at the third, so the second is taken.
        let mut random = Random(7);
        let covered = (0..2000)
            .filter(|_| {
                let timings: Vec<f64> = (0..11).map(|_| -random.uniform().ln()).collect();
                let found = interval(&timings, 0.95).unwrap();
                (found.low..=found.high).contains(&std::f64::consts::LN_2)
            })
            .count();
        assert!((1950..=2000).contains(&covered), "{covered} of 2000");
    }
}
