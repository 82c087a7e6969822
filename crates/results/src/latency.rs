//! How long one image alone takes, from its pixels to its class.

use crate::groups::{Group, groups, sorted};
use crate::row::{Row, Run};
use crate::summary::headline;
use crate::timing::{TimeInterval, interval};
use serde::{Deserialize, Serialize};

/// Seconds for one image alone.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Latency {
    /// Half of the timed images took at most this long.
    pub median: f64,
    /// What the median of all images there could be lies between; `None` of one image.
    pub interval: Option<TimeInterval>,
    /// 95% of them did.
    pub p95: f64,
    /// Timed images, over all seeds.
    pub images: usize,
}

/// The latency of every pipeline that was timed, at the greatest training size of the run: over the timed images of all seeds together, each
/// quantile the smallest time that so many images stay within.
pub fn latencies(run: &Run, rows: &[Row]) -> Vec<(String, Latency)> {
    let rows = sorted(run, rows);
    let groups = groups(&rows);
    let of = |group: &&Group<'_>| Some((group.pipeline.to_owned(), latency(run, group)?));
    headline(&groups).iter().filter_map(of).collect()
}

fn latency(run: &Run, group: &Group<'_>) -> Option<Latency> {
    let timed = group.done.iter().flat_map(|(_, measured)| &measured.latency).map(|seconds| seconds.0);
    let mut seconds: Vec<f64> = timed.filter(|seconds| seconds.is_finite()).collect();
    seconds.sort_by(f64::total_cmp);
    Some(Latency {
        median: within(&seconds, 0.5)?,
        interval: interval(&seconds, run.confidence),
        p95: within(&seconds, 0.95)?,
        images: seconds.len(),
    })
}

/// The smallest of sorted values that this share of them stays within.
fn within(sorted: &[f64], share: f64) -> Option<f64> {
    let place = (share * sorted.len() as f64).ceil() as usize;
    sorted.get(place.max(1) - 1).copied()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quantiles_by_hand() {
        let values: Vec<f64> = (1..=20).map(f64::from).collect();
        assert_eq!((within(&values, 0.5), within(&values, 0.95)), (Some(10.0), Some(19.0)));
        assert_eq!((within(&[7.0], 0.5), within(&[7.0], 0.95), within(&[], 0.5)), (Some(7.0), Some(7.0), None));
    }
}
