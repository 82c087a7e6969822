//! A run in figures: what `--json` prints and what every report shows.
//!
//! Accuracies are fractions, means over the seeds that were done at the greatest training size of the run. One seed, and a
//! deterministic pipeline, has Wilson's interval; several have the bootstrap's over seeds and images ([`crate::interval`]).
//! Seconds are wall time, medians over all timings, those of the seeds and of their repeats; memory and model bytes are the greatest of the seeds.

use crate::compare::{Comparison, Family, compare_all};
use crate::crossing::{Crossing, crossing};
use crate::groups::{Estimate, Group, all_seconds, groups, sorted};
use crate::interval::{Interval, IntervalKind};
use crate::row::{Measured, Row, Run};
use crate::timing::{TimeInterval, interval, median, timings, totals};
use crate::words;
use serde::{Deserialize, Serialize};

/// A run in figures.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Summary {
    /// The dataset's name.
    pub dataset: String,
    /// Every pipeline of the run, in the order of the file.
    pub pipelines: Vec<PipelineSummary>,
    /// The declared comparisons; without any, the most accurate pipeline against each of the others, as exploratory ones.
    pub comparisons: Vec<Comparison>,
    /// Level of all intervals.
    pub confidence: f64,
    /// Differences up to this count as none.
    pub equivalence: f64,
    /// Accuracy at every training size, when there are several; by pipeline, then from small to all.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub train_sizes: Vec<SizePoint>,
    /// Where the learning curves of each compared pair cross, when there are several training sizes.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub crossings: Vec<Crossing>,
}

/// What came of a pipeline.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Standing {
    /// At least one seed was done.
    Done,
    /// It does not take this input.
    Refused,
    /// It broke with every seed.
    Failed,
    /// Nothing is stored: the run was interrupted before. A run that ended has none of these.
    Missing,
}

impl Standing {
    /// Its name, as in JSON.
    pub fn name(self) -> &'static str {
        match self {
            Self::Done => "done",
            Self::Refused => "refused",
            Self::Failed => "failed",
            Self::Missing => "missing",
        }
    }
}

/// A pipeline in figures. What is not known is `None`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct PipelineSummary {
    /// Its name.
    pub name: String,
    /// What came of it.
    pub outcome: Standing,
    /// Why it has no result, or why some seeds have none.
    pub reason: Option<String>,
    /// Training images of the final fit.
    pub n_train: Option<usize>,
    /// Test images.
    pub n_test: Option<usize>,
    /// Seeds that count: 1 for a deterministic pipeline, 0 where nothing was done.
    pub seeds: usize,
    /// Share of test images that were right, mean over seeds.
    pub accuracy: Option<f64>,
    /// Its interval.
    pub interval: Option<Interval>,
    /// Which kind of interval it is.
    pub interval_kind: Option<IntervalKind>,
    /// Wall seconds.
    pub seconds: Option<PartSeconds>,
    /// CPU seconds from end to end, over all threads.
    pub cpu_seconds: Option<f64>,
    /// Threads.
    pub threads: Option<usize>,
    /// Peak resident memory in MB.
    pub peak_rss_mb: Option<f64>,
    /// Bytes of the trained model.
    pub model_bytes: Option<usize>,
    /// d, the numbers an image became.
    pub dim: Option<usize>,
    /// Whether the result does not depend on the seed.
    pub deterministic: Option<bool>,
    /// Whether the final fit met its stopping criterion with every seed.
    pub converged: Option<bool>,
    /// What the reader must know, in sentences.
    pub notes: Vec<String>,
}

/// Wall seconds of the parts of a pipeline.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct PartSeconds {
    /// Extraction for training and test images.
    pub features: f64,
    /// The final fit.
    pub fit: f64,
    /// All tuning trials.
    pub tune: f64,
    /// Scoring all test rows.
    pub predict: f64,
    /// From end to end, tuning included.
    pub total: f64,
    /// How many timings these are the medians of; tuning is timed once a seed.
    pub timings: usize,
    /// What the median of `total` lies between; `None` of one timing.
    pub total_interval: Option<TimeInterval>,
}

/// A pipeline at one training size.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct SizePoint {
    /// The pipeline.
    pub name: String,
    /// Training images.
    pub n_train: usize,
    /// Seeds that count.
    pub seeds: usize,
    /// Mean accuracy over them.
    pub accuracy: f64,
    /// Its interval.
    pub interval: Interval,
    /// Which kind of interval it is.
    pub interval_kind: IntervalKind,
}

/// The figures of a run. Rows may be given in any order; a run that was interrupted has fewer, and the figures say so.
pub fn summarise(run: &Run, rows: &[Row]) -> Summary {
    let rows = sorted(run, rows);
    let groups = groups(&rows);
    let estimates: Vec<Option<Estimate>> = groups.iter().map(|group| group.estimate(run)).collect();
    let last = greatest_size(&groups);
    let pipelines: Vec<PipelineSummary> = run
        .pipelines
        .iter()
        .map(|name| {
            let at = groups.iter().position(|g| g.pipeline == name && Some(g.size_rank()) == last);
            at.map_or_else(|| missing(name), |i| of_group(run, &groups[i], estimates[i]))
        })
        .collect();
    let comparisons = comparisons(run, &headline(&groups), &pipelines);
    let train_sizes = points(&groups, &estimates);
    let crossings = comparisons.iter().filter_map(|pair| crossing(run, &groups, &pair.a, &pair.b)).collect();
    Summary {
        dataset: run.dataset.name.clone(),
        pipelines,
        comparisons,
        confidence: run.confidence,
        equivalence: run.equivalence,
        train_sizes,
        crossings,
    }
}

impl Summary {
    /// The pipelines with an accuracy, from the most accurate down; equals in the order of the file.
    pub fn ranking(&self) -> Vec<&PipelineSummary> {
        let mut ranked: Vec<_> = self.pipelines.iter().filter(|p| p.accuracy.is_some()).collect();
        ranked.sort_by(|a, b| b.accuracy.unwrap_or(0.0).total_cmp(&a.accuracy.unwrap_or(0.0)));
        ranked
    }

    /// The pipelines without an accuracy, in the order of the file.
    pub fn unranked(&self) -> Vec<&PipelineSummary> {
        self.pipelines.iter().filter(|p| p.accuracy.is_none()).collect()
    }
}

/// The groups at the greatest training size of the run.
pub(crate) fn headline<'a, 'b>(groups: &'a [Group<'b>]) -> Vec<&'a Group<'b>> {
    let last = greatest_size(groups);
    groups.iter().filter(|g| Some(g.size_rank()) == last).collect()
}

fn greatest_size(groups: &[Group<'_>]) -> Option<usize> {
    groups.iter().map(Group::size_rank).max()
}

fn comparisons(run: &Run, groups: &[&Group<'_>], pipelines: &[PipelineSummary]) -> Vec<Comparison> {
    if !run.comparisons.is_empty() {
        return compare_all(run, groups, &run.comparisons, Family { size: 0, exploratory: false });
    }
    let done: Vec<&PipelineSummary> = pipelines.iter().filter(|p| p.accuracy.is_some()).collect();
    let value = |p: &PipelineSummary| p.accuracy.unwrap_or(0.0);
    // The first of the greatest: `max_by` would give the last.
    let Some(leader) = done.iter().copied().reduce(|best, p| if value(p) > value(best) { p } else { best }) else {
        return Vec::new();
    };
    let others = done.iter().filter(|p| p.name != leader.name);
    let pairs: Vec<_> = others.map(|other| (leader.name.clone(), other.name.clone())).collect();
    // The leader was picked by looking, so its pairs stand for all pairs.
    let size = done.len() * done.len().saturating_sub(1) / 2;
    compare_all(run, groups, &pairs, Family { size, exploratory: true })
}

fn points(groups: &[Group<'_>], estimates: &[Option<Estimate>]) -> Vec<SizePoint> {
    if groups.iter().all(|g| g.train_size == groups[0].train_size) {
        return Vec::new();
    }
    let point = |(group, estimate): (&Group<'_>, &Option<Estimate>)| {
        let (estimate, (_, first)) = (estimate.as_ref()?, group.done.first()?);
        Some(SizePoint {
            name: group.pipeline.to_owned(),
            n_train: first.n_train,
            seeds: estimate.n_seeds,
            accuracy: estimate.accuracy,
            interval: estimate.interval,
            interval_kind: estimate.kind,
        })
    };
    groups.iter().zip(estimates).filter_map(point).collect()
}

fn missing(name: &str) -> PipelineSummary {
    PipelineSummary {
        name: name.to_owned(),
        outcome: Standing::Missing,
        reason: Some("nothing is stored yet: the run is not complete".to_owned()),
        n_train: None,
        n_test: None,
        seeds: 0,
        accuracy: None,
        interval: None,
        interval_kind: None,
        seconds: None,
        cpu_seconds: None,
        threads: None,
        peak_rss_mb: None,
        model_bytes: None,
        dim: None,
        deterministic: None,
        converged: None,
        notes: Vec::new(),
    }
}

fn of_group(run: &Run, group: &Group<'_>, estimate: Option<Estimate>) -> PipelineSummary {
    let outcome = match (group.done.is_empty(), group.failed.is_empty()) {
        (false, _) => Standing::Done,
        (true, false) => Standing::Failed,
        (true, true) => Standing::Refused,
    };
    let blank = PipelineSummary { outcome, reason: reason(group), ..missing(group.pipeline) };
    let Some((_, first)) = group.done.first() else { return blank };
    let known = |value: f64| (value > 0.0).then_some(value);
    let greatest = |part: fn(&Measured) -> f64| group.done.iter().map(|(_, m)| part(m)).fold(0.0, f64::max);
    PipelineSummary {
        n_train: Some(first.n_train),
        n_test: Some(run.dataset.test_labels.len()),
        seeds: group.counted().len(),
        accuracy: estimate.map(|e| e.accuracy),
        interval: estimate.map(|e| e.interval),
        interval_kind: estimate.map(|e| e.kind),
        seconds: part_seconds(run, group),
        cpu_seconds: group.mean(|m| m.cpu.0).and_then(known),
        threads: group.done.iter().map(|(_, m)| m.threads).max(),
        peak_rss_mb: known(greatest(|m| m.peak_rss_mb)),
        model_bytes: group.done.iter().map(|(_, m)| m.model_bytes).max(),
        dim: Some(first.dim),
        deterministic: Some(group.is_deterministic()),
        converged: Some(group.done.iter().all(|(_, m)| m.converged)),
        notes: notes(group),
        ..blank
    }
}

fn part_seconds(run: &Run, group: &Group<'_>) -> Option<PartSeconds> {
    let of = |part: fn(&Measured) -> Vec<f64>| median(&timings(group, part));
    let totals = timings(group, totals);
    Some(PartSeconds {
        features: of(|m| all_seconds(&m.features))?,
        fit: of(|m| all_seconds(&m.fit))?,
        tune: of(|m| vec![m.tune.0])?,
        predict: of(|m| all_seconds(&m.predict))?,
        total: median(&totals)?,
        timings: totals.len(),
        total_interval: interval(&totals, run.confidence),
    })
}

/// Every different note of the seeds, once.
fn notes(group: &Group<'_>) -> Vec<String> {
    let mut notes: Vec<String> = Vec::new();
    for note in group.done.iter().flat_map(|(_, m)| &m.notes) {
        if !notes.contains(note) {
            notes.push(note.clone());
        }
    }
    notes
}

/// What went wrong, with which seeds; `None` when nothing did.
fn reason(group: &Group<'_>) -> Option<String> {
    let mut clauses = told_by_message(&group.refused, "refused");
    clauses.extend(told_by_message(&group.failed, "failed"));
    let n = group.done.len() + group.refused.len() + group.failed.len();
    match (group.done.len(), group.refused.as_slice(), group.failed.as_slice()) {
        (_, [], []) => None,
        // With one message for all there is no need to name the seeds.
        (0, ..) if clauses.len() == 1 => {
            group.refused.first().or(group.failed.first()).map(|(_, message)| (*message).to_owned())
        }
        (0, ..) => Some(clauses.join("; ")),
        (done, ..) => Some(format!("only {done} of {n} seeds count: {}", clauses.join("; "))),
    }
}

/// One clause a message: "seeds 1 and 4 failed: …".
fn told_by_message(seeds: &[(u64, &str)], verb: &str) -> Vec<String> {
    let mut by_message: Vec<(&str, Vec<String>)> = Vec::new();
    for &(seed, message) in seeds {
        match by_message.iter_mut().find(|(other, _)| *other == message) {
            Some((_, same)) => same.push(seed.to_string()),
            None => by_message.push((message, vec![seed.to_string()])),
        }
    }
    let clause = |(message, seeds): (&str, Vec<String>)| {
        let noun = if seeds.len() == 1 { "seed" } else { "seeds" };
        format!("{noun} {} {verb}: {message}", words::listed(&seeds))
    };
    by_message.into_iter().map(clause).collect()
}
