//! What a pipeline costs beside another, and whether the machine's clock can tell.

use crate::groups::{Group, groups, sorted};
use crate::row::{Row, Run};
use crate::summary::headline;
use crate::timing::{TimeInterval, interval, median, timings, totals};
use crate::words::{duration, significant};
use serde::{Deserialize, Serialize};

/// Wall seconds of two pipelines from end to end.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct CostRatio {
    /// Seconds of the first, median over its timings.
    pub a_seconds: f64,
    /// Seconds of the second.
    pub b_seconds: f64,
    /// The first over the second.
    pub ratio: f64,
    /// Whether the slower one over the faster one is at most what the same work differs by on this machine
    /// ([`crate::Noise`]): then the difference says nothing. `None` where that was not measured.
    pub within_noise: Option<bool>,
}

impl CostRatio {
    /// As a clause: "takes 2.50 times as long (5.00 s and 2.00 s)", or "is 2.50 times as fast (2.00 s and 5.00 s)".
    pub fn in_words(self) -> String {
        let seconds = format!("{} and {}", duration(self.a_seconds), duration(self.b_seconds));
        match self.within_noise {
            Some(true) => format!("is not told apart in time, within the machine's noise ({seconds})"),
            _ if self.ratio < 1.0 => format!("is {} times as fast ({seconds})", significant(1.0 / self.ratio)),
            _ => format!("takes {} times as long ({seconds})", significant(self.ratio)),
        }
    }
}

/// The ratio for two pipelines among these groups; `None` where one has no result or no time.
pub(crate) fn cost_ratio(run: &Run, groups: &[&Group<'_>], a: &str, b: &str) -> Option<CostRatio> {
    let seconds = |name: &str| {
        let group = groups.iter().find(|group| group.pipeline == name)?;
        median(&timings(group, totals)).filter(|seconds| *seconds > 0.0 && seconds.is_finite())
    };
    let (a_seconds, b_seconds) = (seconds(a)?, seconds(b)?);
    let ratio = a_seconds / b_seconds;
    // The noise is that of one pair of timings; medians of several have less, so this errs towards saying nothing.
    let within_noise = run.noise.map(|noise| ratio.max(1.0 / ratio) <= noise.ratio);
    Some(CostRatio { a_seconds, b_seconds, ratio, within_noise })
}

/// What a pipeline took from end to end, by all its timings, and beside the leader.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Spending {
    /// The pipeline.
    pub name: String,
    /// Timings: those of its seeds and of their repeats.
    pub timings: usize,
    /// What their median lies between; `None` of one timing.
    pub interval: Option<TimeInterval>,
    /// The pipeline beside the leader; `None` for the leader itself and where one was not timed.
    pub beside_leader: Option<CostRatio>,
}

/// What every pipeline with a result took, at the greatest training size of the run, in the order of the file.
pub fn spendings(run: &Run, rows: &[Row], leader: &str) -> Vec<Spending> {
    let rows = sorted(run, rows);
    let groups = groups(&rows);
    let groups = headline(&groups);
    let of = |group: &&Group<'_>| {
        let mut seconds = timings(group, totals);
        seconds.retain(|seconds| seconds.is_finite());
        let beside = || cost_ratio(run, &groups, group.pipeline, leader);
        (!seconds.is_empty()).then(|| Spending {
            name: group.pipeline.to_owned(),
            timings: seconds.len(),
            interval: interval(&seconds, run.confidence),
            beside_leader: (group.pipeline != leader).then(beside).flatten(),
        })
    };
    groups.iter().filter_map(of).collect()
}
