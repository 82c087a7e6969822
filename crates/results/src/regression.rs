//! Whether a kernel of one revision does worse than the same kernel of another: instructions, times, results.
//!
//! Instructions repeat to some hundredths of a percent, so that a limit is all that is asked of them. Times do not: of paired
//! timings only the ratios count, and of those the median, with an interval between two order statistics, which assumes
//! nothing of how times scatter but that pairs are independent. A slow-down is told when all of the interval lies beyond the
//! limit, so that noise alone makes the interval wide and cries no wolf. An interval that holds the limit answers nothing: more
//! pairs are taken while it does, and what looks slower is measured anew ([`settled_ratio`]).

use crate::interval::Interval;
use crate::order_statistics::rank;
use serde::{Deserialize, Serialize};

/// The median ratio of paired timings.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Ratio {
    /// The median of new over old.
    pub median: f64,
    /// Between two order statistics.
    pub interval: Interval,
    /// The probability that such an interval holds the median of all pairs there could be: at least what was asked for.
    pub coverage: f64,
    /// Pairs.
    pub pairs: usize,
}

/// The median of new over old with its interval, from pairs of (old, new) seconds. `None` where there are too few pairs for
/// this confidence (fewer than 6 for 95%), or a time is not above 0.
pub fn paired_ratio(pairs: &[(f64, f64)], confidence: f64) -> Option<Ratio> {
    let mut ratios: Vec<f64> = pairs.iter().map(|(old, new)| new / old).collect();
    if !pairs.iter().all(|(old, new)| *old > 0.0 && *new > 0.0 && (old + new).is_finite()) {
        return None;
    }
    ratios.sort_by(f64::total_cmp);
    let n = ratios.len();
    let (rank, coverage) = rank(n, confidence)?;
    let median = f64::midpoint(ratios[(n - 1) / 2], ratios[n / 2]);
    let interval = Interval { lo: ratios[rank - 1], hi: ratios[n - rank] };
    Some(Ratio { median, interval, coverage, pairs: n })
}

/// How often the number of pairs is doubled at most while the interval holds the limit.
const DOUBLINGS: u32 = 4;

/// [`paired_ratio`] of as many pairs as it takes to tell on which side of `1 + limit` the median lies; `None` as there.
///
/// `take` gives a pair of (old, new) seconds. After `pairs` of them, and whenever their number has doubled, the interval is
/// looked at: all of it at or below the limit, or all of it beyond, ends this, and so do four doublings, which leave the
/// limit inside. What lies beyond is measured anew from `2 * pairs` on, and the second answer alone counts: a wolf that is
/// there is still there. Looks are five at most, so that at 95% a kernel whose median is the limit itself looks slower in at
/// most an eighth of all first measurements and of all second ones, 2% together; one that did not change, far less often.
///
/// # Errors
/// Those of `take`.
pub fn settled_ratio<E>(
    pairs: usize,
    confidence: f64,
    limit: f64,
    mut take: impl FnMut() -> Result<(f64, f64), E>,
) -> Result<Option<Ratio>, E> {
    let first = ratio_until_clear(pairs, confidence, limit, &mut take)?;
    if first.is_some_and(|ratio| ratio.is_beyond(limit)) {
        return ratio_until_clear(2 * pairs, confidence, limit, &mut take);
    }
    Ok(first)
}

fn ratio_until_clear<E>(
    pairs: usize,
    confidence: f64,
    limit: f64,
    take: &mut impl FnMut() -> Result<(f64, f64), E>,
) -> Result<Option<Ratio>, E> {
    let mut taken = Vec::new();
    let mut doublings = 0;
    loop {
        while taken.len() < pairs << doublings {
            taken.push(take()?);
        }
        let ratio = paired_ratio(&taken, confidence);
        if doublings == DOUBLINGS || !ratio.is_some_and(|ratio| ratio.holds(limit)) {
            return Ok(ratio);
        }
        doublings += 1;
    }
}

impl Ratio {
    /// Whether all of the interval is more than `limit` slower.
    pub fn is_beyond(&self, limit: f64) -> bool {
        self.interval.lo > 1.0 + limit
    }

    /// Whether the interval tells nothing of `limit`: the median may lie on either side.
    fn holds(&self, limit: f64) -> bool {
        self.interval.hi > 1.0 + limit && !self.is_beyond(limit)
    }
}

/// What a kernel gave.
#[derive(Debug, Clone, PartialEq)]
pub enum Numbers {
    /// Numbers.
    Values(Vec<f32>),
    /// Classes, clusters, bytes: whole numbers.
    Labels(Vec<u32>),
}

impl Numbers {
    /// Reads what the benches write: a byte `v` or `l`, then four little-endian bytes a number. `None` for anything else.
    pub fn from_bytes(bytes: &[u8]) -> Option<Self> {
        let (kind, numbers) = bytes.split_first()?;
        let (numbers, rest) = numbers.as_chunks::<4>();
        match kind {
            _ if !rest.is_empty() => None,
            b'v' => Some(Self::Values(numbers.iter().map(|&number| f32::from_le_bytes(number)).collect())),
            b'l' => Some(Self::Labels(numbers.iter().map(|&number| u32::from_le_bytes(number)).collect())),
            _ => None,
        }
    }
}

/// How far two results lie apart.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Apart {
    /// Not by a bit.
    Same,
    /// The greatest difference of two numbers, as a share of the greatest absolute number of both.
    Values(f64),
    /// The share of labels that differ.
    Labels(f64),
    /// They cannot be compared: another count of numbers, another kind, or not finite where the other is.
    Unlike,
}

/// How far two results lie apart.
pub fn apart(old: &Numbers, new: &Numbers) -> Apart {
    match (old, new) {
        (Numbers::Labels(old), Numbers::Labels(new)) if old.len() == new.len() => {
            let differing = old.iter().zip(new).filter(|(a, b)| a != b).count();
            if differing == 0 { Apart::Same } else { Apart::Labels(differing as f64 / old.len() as f64) }
        }
        (Numbers::Values(old), Numbers::Values(new)) if old.len() == new.len() => values_apart(old, new),
        _ => Apart::Unlike,
    }
}

fn values_apart(old: &[f32], new: &[f32]) -> Apart {
    if old.iter().zip(new).all(|(a, b)| a.to_bits() == b.to_bits()) {
        return Apart::Same;
    }
    let scale = old.iter().chain(new).fold(0.0f64, |most, &value| most.max(f64::from(value.abs())));
    let mut worst = 0.0f64;
    for (&a, &b) in old.iter().zip(new).filter(|(a, b)| a.to_bits() != b.to_bits()) {
        let difference = (f64::from(a) - f64::from(b)).abs();
        if !difference.is_finite() {
            return Apart::Unlike;
        }
        worst = worst.max(difference);
    }
    // 0 and −0 are the same number.
    Apart::Values(if worst == 0.0 { 0.0 } else { worst / scale })
}

/// How much worse a kernel may be.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Limits {
    /// Share of instructions more.
    pub instructions: f64,
    /// Share of time more, which the whole interval must exceed.
    pub time: f64,
    /// [`Apart::Values`] at most.
    pub values: f64,
    /// [`Apart::Labels`] at most.
    pub labels: f64,
}

/// A kernel of two revisions, as far as it was measured.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct KernelPair {
    /// Its name.
    pub kernel: String,
    /// What it may cost.
    pub limits: Limits,
    /// Instructions of old and new.
    pub instructions: Option<[u64; 2]>,
    /// Times.
    pub time: Option<Ratio>,
    /// Results, as far apart as any size of inputs showed.
    pub results: Vec<Apart>,
}

/// One way in which a kernel has become worse.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Regression {
    /// More instructions than the limit allows.
    Instructions,
    /// The whole interval of the time's ratio lies beyond the limit.
    Time,
    /// Results differ by more than the tolerance.
    Result,
}

impl Regression {
    /// Its name in a sentence.
    pub fn name(self) -> &'static str {
        match self {
            Self::Instructions => "more instructions",
            Self::Time => "slower",
            Self::Result => "another result",
        }
    }
}

impl KernelPair {
    /// Instructions of new over old.
    pub fn instruction_ratio(&self) -> Option<f64> {
        self.instructions.map(|[old, new]| new as f64 / old.max(1) as f64)
    }

    /// In what it has become worse.
    pub fn regressions(&self) -> Vec<Regression> {
        let more = self.instruction_ratio().is_some_and(|ratio| ratio > 1.0 + self.limits.instructions);
        let slower = self.time.is_some_and(|ratio| ratio.is_beyond(self.limits.time));
        let other = self.results.iter().any(|apart| !self.is_allowed(*apart));
        let found = [(Regression::Instructions, more), (Regression::Time, slower), (Regression::Result, other)];
        found.into_iter().filter(|(_, found)| *found).map(|(regression, _)| regression).collect()
    }

    /// Whether results may lie so far apart.
    pub fn is_allowed(&self, apart: Apart) -> bool {
        match apart {
            Apart::Same => true,
            Apart::Values(share) => share <= self.limits.values,
            Apart::Labels(share) => share <= self.limits.labels,
            Apart::Unlike => false,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::random::Random;

    #[test]
    fn medians_and_intervals_by_hand() {
        let pairs: Vec<(f64, f64)> = (1..=20).map(|i| (2.0, 2.0 * f64::from(i))).collect();
        let ratio = paired_ratio(&pairs, 0.95).unwrap();
        assert_eq!((ratio.median, ratio.interval, ratio.pairs), (10.5, Interval { lo: 6.0, hi: 15.0 }, 20));
        assert_eq!(paired_ratio(&[(1.0, 1.0); 5], 0.95), None);
        assert_eq!(paired_ratio(&[(0.0, 1.0); 20], 0.95), None);
        assert_eq!(paired_ratio(&[(1.0, f64::NAN); 20], 0.95), None);
    }

    /// Times as a shared machine gives them: a drift that both of a pair meet, `noise` that each has of its own, and one
    /// call in five much slower.
    fn noisy_pair(random: &mut Random, i: usize, noise: f64, slower: f64) -> (f64, f64) {
        let drift = (i as f64 / 5.0).sin() * 0.3 + 1.0;
        let mut time = || {
            let spike = if random.uniform() < 0.2 { 1.0 + 2.0 * random.uniform() } else { 1.0 };
            drift * (1.0 + noise * random.uniform()) * spike
        };
        (time(), slower * time())
    }

    #[test]
    fn noise_cries_no_wolf_and_a_slow_down_of_8_percent_is_told() {
        let mut random = Random(7);
        let trials = 500u16;
        // The share of trials in which a change by `slower` is told.
        let mut told = |noise: f64, slower: f64| {
            let mut is_told = |_: &u16| {
                let mut i = 0;
                let take = || {
                    i += 1;
                    Ok::<_, std::convert::Infallible>(noisy_pair(&mut random, i, noise, slower))
                };
                settled_ratio(20, 0.95, 0.05, take).unwrap().unwrap().is_beyond(0.05)
            };
            (0..trials).filter(|trial| is_told(trial)).count() as f64 / f64::from(trials)
        };
        // A quiet machine and one on which two timings of the same work lie some percent apart as a rule.
        for noise in [0.02, 0.15] {
            let [none, small, limit, large] = [1.0, 1.03, 1.05, 1.08].map(|slower| told(noise, slower));
            assert!(none == 0.0 && small == 0.0 && limit < 0.02, "{noise}: {none} {small} {limit}");
            assert!(large > 0.95, "{noise}: {large}");
        }
    }

    #[test]
    fn pairs_are_taken_until_the_interval_is_clear_of_the_limit() {
        // As many pairs as it took, of ratios that are given.
        let pairs_of = |ratio: &dyn Fn(usize) -> f64| {
            let mut taken = 0;
            let take = || {
                taken += 1;
                Ok::<_, ()>((1.0, ratio(taken)))
            };
            let settled = settled_ratio(20, 0.95, 0.05, take).unwrap();
            (taken, settled.map(|ratio| ratio.pairs))
        };
        assert_eq!(pairs_of(&|_| 1.0), (20, Some(20)));
        assert_eq!(pairs_of(&|i| [0.9, 1.2][i % 2]), (320, Some(320)), "never clear");
        assert_eq!(pairs_of(&|i| if i <= 40 { [1.0, 1.2][i % 2] } else { 1.0 }), (80, Some(80)), "clear at last");
        assert_eq!(pairs_of(&|_| 1.1), (60, Some(40)), "slower is measured again");
        assert_eq!(pairs_of(&|i| if i <= 20 { 1.1 } else { 1.0 }), (60, Some(40)), "and the second time counts");
        let never_again = |i| if i <= 20 { 1.1 } else { [0.9, 1.2][i % 2] };
        assert_eq!(pairs_of(&never_again), (660, Some(640)), "and is never clear");
        assert_eq!(pairs_of(&|_| f64::NAN), (20, None));
        let fails = settled_ratio(20, 0.95, 0.05, || Err("no time"));
        assert_eq!(fails, Err("no time"));
    }

    #[test]
    fn intervals_hold_the_median_as_often_as_they_say() {
        let mut random = Random(8);
        let trials = 4000u16;
        let holds = |_: &u16| {
            // Ratios whose median is 1 and that are not symmetric.
            let pairs: Vec<(f64, f64)> = (0..20).map(|_| (1.0, (3.0 * (random.uniform() - 0.5)).exp())).collect();
            paired_ratio(&pairs, 0.95).unwrap().interval.contains(1.0)
        };
        let share = (0..trials).filter(holds).count() as f64 / f64::from(trials);
        // Three standard errors of 95.86%.
        assert!((share - 0.9586).abs() < 0.0095, "{share}");
    }

    #[test]
    fn results_are_compared_to_the_bit_and_then_by_share() {
        let of = |values: &[f32]| Numbers::Values(values.to_vec());
        let ids = |ids: &[u32]| Numbers::Labels(ids.to_vec());
        assert_eq!(apart(&of(&[1.0, f32::NAN]), &of(&[1.0, f32::NAN])), Apart::Same);
        assert_eq!(apart(&of(&[4.0, 1.0]), &of(&[4.0, 2.0])), Apart::Values(0.25));
        assert_eq!(apart(&of(&[0.0]), &of(&[-0.0])), Apart::Values(0.0));
        assert_eq!(apart(&of(&[1.0]), &of(&[f32::NAN])), Apart::Unlike);
        assert_eq!(apart(&of(&[1.0]), &of(&[1.0, 1.0])), Apart::Unlike);
        assert_eq!(apart(&of(&[1.0]), &ids(&[1])), Apart::Unlike);
        assert_eq!(apart(&ids(&[1, 2, 3, 4]), &ids(&[1, 2, 3, 5])), Apart::Labels(0.25));
        assert_eq!(apart(&ids(&[]), &ids(&[])), Apart::Same);
    }

    #[test]
    fn bytes_are_read_or_refused() {
        assert_eq!(Numbers::from_bytes(&[b'v', 0, 0, 0x80, 0x3f]), Some(Numbers::Values(vec![1.0])));
        assert_eq!(Numbers::from_bytes(&[b'l', 2, 1, 0, 0]), Some(Numbers::Labels(vec![258])));
        for bad in [&b""[..], b"x", b"v123", b"q1234"] {
            assert_eq!(Numbers::from_bytes(bad), None);
        }
    }

    #[test]
    fn each_limit_counts_for_itself() {
        let limits = Limits { instructions: 0.01, time: 0.05, values: 1e-5, labels: 1e-3 };
        let interval =
            |lo, hi| Ratio { median: f64::midpoint(lo, hi), interval: Interval { lo, hi }, coverage: 0.96, pairs: 20 };
        let pair = |instructions, time, apart| KernelPair {
            kernel: "k".to_owned(),
            limits,
            instructions,
            time,
            results: vec![Apart::Same, apart],
        };
        let fine = pair(Some([1000, 1010]), Some(interval(1.04, 1.30)), Apart::Values(1e-6));
        assert_eq!(fine.regressions(), []);
        let worse = pair(Some([1000, 1011]), Some(interval(1.06, 1.07)), Apart::Values(1e-4));
        assert_eq!(worse.regressions(), [Regression::Instructions, Regression::Time, Regression::Result]);
        assert_eq!(pair(None, None, Apart::Labels(0.01)).regressions(), [Regression::Result]);
        assert_eq!(pair(Some([0, 0]), None, Apart::Unlike).regressions(), [Regression::Result]);
        assert_eq!(pair(None, None, Apart::Labels(0.0005)).regressions(), []);
    }
}
