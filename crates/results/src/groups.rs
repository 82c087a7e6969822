//! Rows brought together: all seeds of a pipeline at one training size.

use crate::interval::{Crossed, Interval, IntervalKind, wilson};
use crate::row::{Measured, Outcome, Row, Run, Seconds};
use crate::store::plan_key;
use crate::timing::median;

/// Rows sorted by plan, so that nothing depends on the order in which they were given.
pub(crate) fn sorted<'a>(run: &Run, rows: &'a [Row]) -> Vec<&'a Row> {
    let mut rows: Vec<&Row> = rows.iter().collect();
    rows.sort_by_cached_key(|row| plan_key(run, &row.cell));
    rows.dedup_by(|later, first| later.cell == first.cell);
    rows
}

/// All rows of a pipeline at one training size, in the order of seeds.
pub(crate) struct Group<'a> {
    pub(crate) pipeline: &'a str,
    /// Training images asked for; `None` means all.
    pub(crate) train_size: Option<usize>,
    pub(crate) done: Vec<(u64, &'a Measured)>,
    pub(crate) refused: Vec<(u64, &'a str)>,
    pub(crate) failed: Vec<(u64, &'a str)>,
}

/// Which images a seed got right.
pub(crate) type Right = (u64, Vec<bool>);

/// A mean accuracy with its interval.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Estimate {
    pub(crate) accuracy: f64,
    pub(crate) interval: Interval,
    pub(crate) kind: IntervalKind,
    /// Seeds that count: one for a deterministic pipeline.
    pub(crate) n_seeds: usize,
}

/// The groups of sorted rows, in their order.
pub(crate) fn groups<'a>(sorted: &[&'a Row]) -> Vec<Group<'a>> {
    let same = |a: &&Row, b: &&Row| a.cell.pipeline == b.cell.pipeline && a.cell.train_size == b.cell.train_size;
    sorted.chunk_by(same).filter_map(Group::of).collect()
}

impl<'a> Group<'a> {
    fn of(rows: &[&'a Row]) -> Option<Self> {
        let cell = &rows.first()?.cell;
        let (pipeline, train_size) = (cell.pipeline.as_str(), cell.train_size);
        let mut group = Self { pipeline, train_size, done: Vec::new(), refused: Vec::new(), failed: Vec::new() };
        for row in rows {
            let seed = row.cell.seed;
            match &row.outcome {
                Outcome::Done(measured) => group.done.push((seed, measured)),
                Outcome::Refused { reason } => group.refused.push((seed, reason)),
                Outcome::Failed { error } => group.failed.push((seed, error)),
            }
        }
        Some(group)
    }

    /// Where its size stands among sizes; all images are the greatest.
    pub(crate) fn size_rank(&self) -> usize {
        self.train_size.unwrap_or(usize::MAX)
    }

    /// Whether all seeds are one: every row says so, and the predictions bear it out.
    pub(crate) fn is_deterministic(&self) -> bool {
        let says_so = self.done.iter().all(|(_, m)| m.deterministic);
        says_so && self.done.windows(2).all(|pair| pair[0].1.predicted == pair[1].1.predicted)
    }

    /// The rows that count: one of a deterministic pipeline, else every seed that was done.
    pub(crate) fn counted(&self) -> &[(u64, &'a Measured)] {
        let n = if self.is_deterministic() { 1 } else { self.done.len() };
        self.done.get(..n).unwrap_or_default()
    }

    /// Which test images each counted seed got right. A prediction that is not there is not right.
    pub(crate) fn right(&self, labels: &[usize]) -> Vec<Right> {
        let right = |m: &Measured| labels.iter().enumerate().map(|(i, t)| m.predicted.get(i) == Some(t)).collect();
        self.counted().iter().map(|&(seed, measured)| (seed, right(measured))).collect()
    }

    /// Mean accuracy with its interval; `None` without a seed or without test images.
    pub(crate) fn estimate(&self, run: &Run) -> Option<Estimate> {
        let right = self.right(&run.dataset.test_labels);
        let seeds: Vec<&[bool]> = right.iter().map(|(_, right)| right.as_slice()).collect();
        let crossed = Crossed::accuracy(&seeds)?;
        let n_seeds = seeds.len();
        let (interval, kind) = match seeds.as_slice() {
            [only] => {
                let n_right = only.iter().filter(|&&right| right).count();
                (wilson(n_right, only.len(), run.confidence), IntervalKind::Wilson)
            }
            _ => (crossed.interval(run.confidence), crossed.kind()),
        };
        Some(Estimate { accuracy: crossed.mean(), interval, kind, n_seeds })
    }

    /// Mean over the done seeds of what `part` says of each.
    pub(crate) fn mean(&self, part: impl Fn(&Measured) -> f64) -> Option<f64> {
        let sum: f64 = self.done.iter().map(|(_, m)| part(m)).sum();
        (!self.done.is_empty()).then(|| sum / self.done.len() as f64)
    }
}

/// Median over timings; 0 of none.
pub(crate) fn median_seconds(timings: &[Seconds]) -> f64 {
    median(&all_seconds(timings)).unwrap_or(0.0)
}

/// Timings as plain numbers.
pub(crate) fn all_seconds(timings: &[Seconds]) -> Vec<f64> {
    timings.iter().map(|seconds| seconds.0).collect()
}
