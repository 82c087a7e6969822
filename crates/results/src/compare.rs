//! Pairs of pipelines on the same test images, with the same seeds.

use crate::cost::{CostRatio, cost_ratio};
use crate::groups;
use crate::groups::{Group, Right};
use crate::interval::{Crossed, Interval, IntervalKind};
use crate::row::{Row, Run};
use crate::summary::headline;
use crate::test::{holm, mcnemar};
use crate::verdict::{Settling, Verdict, settling, verdict};
use serde::{Deserialize, Serialize};

/// A pair of pipelines. What could not be computed is `None`, and `note` says why.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Comparison {
    /// The first pipeline.
    pub a: String,
    /// The second pipeline.
    pub b: String,
    /// Accuracy of a minus accuracy of b, mean over the seeds and images they share.
    pub difference: Option<f64>,
    /// Its interval.
    pub interval: Option<Interval>,
    /// The p-value of "there is no difference", by Holm for its family of comparisons.
    pub p_adjusted: Option<f64>,
    /// What it means.
    pub verdict: Verdict,
    /// The better one, when one is.
    pub winner: Option<String>,
    /// Which kind of interval it is.
    pub interval_kind: Option<IntervalKind>,
    /// Which test the p-values are from.
    pub test: Option<TestKind>,
    /// The p-value alone.
    pub p_value: Option<f64>,
    /// Seeds that both have; 1 when both are deterministic.
    pub seeds: usize,
    /// Whether nobody declared it beforehand.
    pub exploratory: bool,
    /// What would settle it, when it is undecided.
    pub settling: Option<Settling>,
    /// What a costs beside b; `None` where nothing was timed.
    #[serde(default)]
    pub cost: Option<CostRatio>,
    /// What the reader must know, as a clause; empty where there is nothing.
    pub note: String,
}

/// A test of "there is no difference".
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum TestKind {
    /// McNemar's exact test of two fixed models.
    Mcnemar,
    /// The test of the two-way model of [`crate::interval`]: seeds' variance guessed from few, images' known.
    TwoWay,
    /// Student's t over splits drawn anew from the same images, corrected for their overlap.
    NadeauBengio,
}

impl TestKind {
    /// Its name in a sentence.
    pub fn name(self) -> &'static str {
        match self {
            Self::Mcnemar => "McNemar's exact test",
            Self::TwoWay => "two-way test over seeds and images",
            Self::NadeauBengio => "corrected resampled t-test",
        }
    }
}

/// Two pipelines of one run, as a comparison that nobody declared.
pub fn compare(run: &Run, rows: &[Row], a: &str, b: &str) -> Comparison {
    let rows = groups::sorted(run, rows);
    let groups = groups::groups(&rows);
    let pair = (a.to_owned(), b.to_owned());
    let made = compare_all(run, &headline(&groups), &[pair], Family { size: 1, exploratory: true });
    made.into_iter().next().unwrap_or_else(|| unmade(a, b, true, String::new()))
}

/// The comparisons that Holm's adjustment covers together.
#[derive(Clone, Copy)]
pub(crate) struct Family {
    /// How many there are, the ones not shown included.
    pub(crate) size: usize,
    pub(crate) exploratory: bool,
}

/// These pairs among these groups.
pub(crate) fn compare_all(
    run: &Run,
    groups: &[&Group<'_>],
    pairs: &[(String, String)],
    family: Family,
) -> Vec<Comparison> {
    let tested: Vec<_> = pairs.iter().map(|(a, b)| test_pair(run, groups, a, b)).collect();
    let p_values: Vec<f64> = tested.iter().flatten().map(|pair| pair.p_value).collect();
    let mut adjusted = holm(&p_values, family.size).into_iter();
    let judge = |((a, b), tested): (&(String, String), Result<Tested, String>)| {
        let judged = match tested {
            Ok(tested) => tested.judged(run, a, b, adjusted.next().unwrap_or(1.0), family.exploratory),
            Err(why) => unmade(a, b, family.exploratory, why),
        };
        Comparison { cost: cost_ratio(run, groups, a, b), ..judged }
    };
    pairs.iter().zip(tested).map(judge).collect()
}

/// A pair before the others of its family are known.
struct Tested {
    crossed: Crossed,
    n_seeds: usize,
    both_deterministic: bool,
    p_value: f64,
    test: TestKind,
}

fn test_pair(run: &Run, groups: &[&Group<'_>], a: &str, b: &str) -> Result<Tested, String> {
    let find = |name: &str| {
        let group = groups.iter().find(|g| g.pipeline == name && !g.done.is_empty());
        group.ok_or_else(|| format!("{name} has no result at the full training size"))
    };
    let (a, b) = (find(a)?, find(b)?);
    let both_deterministic = a.is_deterministic() && b.is_deterministic();
    let (tested, crossed) = with_answers(run, a, b, |left, right| {
        let exact = match (left, right) {
            ([a], [b]) => Some(mcnemar(only(a, b), only(b, a))),
            _ => None,
        };
        (exact, Crossed::difference(left, right))
    });
    let crossed = crossed.ok_or("they have no seed or no test image in common")?;
    let (p_value, test) = match tested {
        Some(p) => (p, TestKind::Mcnemar),
        None => (crossed.p_value(), TestKind::TwoWay),
    };
    Ok(Tested { n_seeds: crossed.n_seeds(), crossed, both_deterministic, p_value, test })
}

/// The differences of two groups on the seeds and images that they share.
pub(crate) fn crossed(run: &Run, a: &Group<'_>, b: &Group<'_>) -> Option<Crossed> {
    with_answers(run, a, b, Crossed::difference)
}

/// Gives the answers of both, seed by seed.
fn with_answers<T>(run: &Run, a: &Group<'_>, b: &Group<'_>, then: impl FnOnce(&[&[bool]], &[&[bool]]) -> T) -> T {
    let labels = &run.dataset.test_labels;
    let (right_a, right_b) = (a.right(labels), b.right(labels));
    let shared = paired(&right_a, a.is_deterministic(), &right_b, b.is_deterministic());
    let (left, right): (Vec<&[bool]>, Vec<&[bool]>) = shared.into_iter().unzip();
    then(&left, &right)
}

/// The answers of both for every seed that both have. A deterministic pipeline has every seed.
fn paired<'a>(a: &'a [Right], a_is_one: bool, b: &'a [Right], b_is_one: bool) -> Vec<(&'a [bool], &'a [bool])> {
    let of = |side: &'a [Right], is_one: bool, seed: u64| {
        let found = side.iter().find(|(s, _)| is_one || *s == seed);
        found.map(|(_, right)| right.as_slice())
    };
    let seeds = if a_is_one { b } else { a };
    seeds.iter().filter_map(|&(seed, _)| Some((of(a, a_is_one, seed)?, of(b, b_is_one, seed)?))).collect()
}

/// Images that only the first got right.
fn only(yes: &[bool], no: &[bool]) -> usize {
    yes.iter().zip(no).filter(|&(&yes, &no)| yes && !no).count()
}

impl Tested {
    fn judged(self, run: &Run, a: &str, b: &str, p_adjusted: f64, exploratory: bool) -> Comparison {
        let difference = self.crossed.mean();
        let interval = self.crossed.interval(run.confidence);
        let verdict = verdict(interval, p_adjusted, run.confidence, run.equivalence);
        let winner = (verdict == Verdict::Better).then(|| if difference > 0.0 { a } else { b }.to_owned());
        let settling = (verdict == Verdict::Undecided).then(|| self.settling(run, p_adjusted));
        Comparison {
            a: a.to_owned(),
            b: b.to_owned(),
            difference: Some(difference),
            interval: Some(interval),
            p_adjusted: Some(p_adjusted),
            verdict,
            winner,
            interval_kind: Some(self.crossed.kind()),
            test: Some(self.test),
            p_value: Some(self.p_value),
            seeds: self.n_seeds,
            exploratory,
            settling,
            cost: None,
            note: self.note(settling),
        }
    }

    fn settling(&self, run: &Run, p_adjusted: f64) -> Settling {
        if self.both_deterministic {
            return Settling::MoreImages;
        }
        // What Holm made of the p-value is the factor that its level was divided by.
        let multiplier = if self.p_value > 0.0 { (p_adjusted / self.p_value).max(1.0) } else { 1.0 };
        settling(&self.crossed, self.n_seeds, run.confidence, run.equivalence, multiplier)
    }

    fn note(&self, settling: Option<Settling>) -> String {
        let fixed = (self.n_seeds == 1 && !self.both_deterministic)
            .then(|| "one seed: about these two trained models only".to_owned());
        let next = settling.filter(|s| *s != Settling::SeveralSeeds).map(Settling::in_words);
        [fixed, next].into_iter().flatten().collect::<Vec<_>>().join("; ")
    }
}

pub(crate) fn unmade(a: &str, b: &str, exploratory: bool, note: String) -> Comparison {
    Comparison {
        a: a.to_owned(),
        b: b.to_owned(),
        difference: None,
        interval: None,
        p_adjusted: None,
        verdict: Verdict::Undecided,
        winner: None,
        interval_kind: None,
        test: None,
        p_value: None,
        seeds: 0,
        exploratory,
        settling: None,
        cost: None,
        note,
    }
}
