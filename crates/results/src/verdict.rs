//! What a difference between two pipelines means: better, equivalent or undecided, and what would settle it.

use crate::interval::{Crossed, Interval};
use crate::student::critical;
use serde::{Deserialize, Serialize};

/// The verdict on a pair.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Verdict {
    /// The one that the difference's sign favours is better: the adjusted p-value is at most 1 − confidence, the interval
    /// leaves out 0, and the difference is not one that counts as none.
    Better,
    /// The whole interval lies within the margin that the experiment declared to count as no difference.
    Equivalent,
    /// Neither.
    Undecided,
}

/// The rule. A difference that is surely not 0 but surely within the margin is *equivalent*: the margin says that it counts
/// as none.
pub fn verdict(interval: Interval, p_adjusted: f64, confidence: f64, equivalence: f64) -> Verdict {
    if interval.is_within(Interval { lo: -equivalence, hi: equivalence }) {
        Verdict::Equivalent
    } else if p_adjusted <= 1.0 - confidence && !interval.contains(0.0) {
        Verdict::Better
    } else {
        Verdict::Undecided
    }
}

/// What would settle an undecided pair.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Settling {
    /// About this many more seeds.
    MoreSeeds(usize),
    /// One seed does not show how much seeds differ.
    SeveralSeeds,
    /// No practical number of seeds: the test images are too few for a difference this small.
    MoreImages,
}

/// More seeds than anybody would run.
const MOST_SEEDS: usize = 1000;

/// What would settle a pair: the smallest number of seeds S′ above S for which the critical value of V₁/S′ with S′ − 1
/// degrees of freedom and V (`critical` in `src/student.rs`, which intervals and p-values use too) is at most the room.
///
/// V₁ is the variance between single seeds' differences, V the variance that images give the mean, and the room is how far the
/// interval may reach: to 0 from the difference as observed, or to the edge of the margin, whichever is further. The
/// former is asked at the level (1 − confidence) / `multiplier`, Holm's factor of this pair.
///
/// # Limits
/// It takes the difference and both variances as observed for the truth, so it is off by a factor of two easily when there are few
/// seeds, and running on until the verdict is liked would spoil the p-value. It is a size to plan a new run with.
pub fn settling(crossed: &Crossed, n_seeds: usize, confidence: f64, equivalence: f64, multiplier: f64) -> Settling {
    if n_seeds < 2 {
        return Settling::SeveralSeeds;
    }
    let difference = crossed.mean().abs();
    let single_seed = crossed.seed_variance() * n_seeds as f64;
    let images = crossed.image_variance();
    let settles = |n: usize, room: f64, level: f64| {
        room > 0.0 && critical(level, single_seed / n as f64, (n - 1) as f64, images) <= room
    };
    let level = 1.0 - confidence;
    let is_too_few =
        |&n: &usize| !settles(n, difference, level / multiplier) && !settles(n, equivalence - difference, level);
    let candidates: Vec<usize> = (n_seeds + 1..=MOST_SEEDS).collect();
    // More seeds never reach further, so the first that is enough is found by halving.
    let first = candidates.partition_point(is_too_few);
    candidates.get(first).map_or(Settling::MoreImages, |n| Settling::MoreSeeds(n - n_seeds))
}

impl Settling {
    /// As a clause.
    pub fn in_words(self) -> String {
        match self {
            Self::MoreSeeds(1) => "about 1 more seed would settle it".to_owned(),
            Self::MoreSeeds(n) => format!("about {n} more seeds would settle it"),
            Self::SeveralSeeds => "one seed does not show how much seeds differ: three or more would".to_owned(),
            Self::MoreImages => "more seeds would hardly settle it: it takes more test images".to_owned(),
        }
    }
}
