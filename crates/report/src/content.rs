//! What every readable report says, before it has a form.

use bakeoff_results::{Detail, Row, Run, Summary, details, summarise};
use std::collections::BTreeSet;

/// A run with its figures.
pub(crate) struct Content<'a> {
    pub(crate) run: &'a Run,
    pub(crate) summary: Summary,
    pub(crate) details: Vec<Detail>,
    /// Seeds that any row has.
    pub(crate) seeds: Vec<u64>,
}

impl<'a> Content<'a> {
    pub(crate) fn of(run: &'a Run, rows: &[Row]) -> Self {
        let seeds: BTreeSet<u64> = rows.iter().map(|row| row.cell.seed).collect();
        Self { run, summary: summarise(run, rows), details: details(run, rows), seeds: seeds.into_iter().collect() }
    }

    /// The sentences under the leaderboard: what its figures are.
    pub(crate) fn about_figures(&self) -> String {
        format!(
            "Accuracy is the share of test images that were right, mean over seeds. Intervals are at {}: Wilson's for \
             one seed and for pipelines that do not depend on the seed (it is about that one model), a bootstrap over \
             seeds and images for several. Seconds are wall time, means over seeds; memory is the peak of the whole process.",
            self.level()
        )
    }

    /// The sentences under the comparisons.
    pub(crate) fn about_comparisons(&self) -> String {
        let family = if self.run.comparisons.is_empty() {
            "No comparison was declared beforehand, so these are exploratory: the most accurate pipeline against each of \
             the others, p-values adjusted by Holm as if all pairs had been tested."
        } else {
            "The experiment declares these comparisons; p-values are adjusted by Holm over all of them."
        };
        let margin = bakeoff_results::words::points(self.summary.equivalence);
        format!(
            "Differences are in percentage points of accuracy, first minus second, on the same test images and seeds, \
             with {} bootstrap intervals. One seed is tested by McNemar's exact test of two fixed models, several by a \
             two-way test over seeds and images. Equivalent means that the whole interval lies within ±{}. {family}",
            self.level(),
            margin.trim_start_matches('+'),
        )
    }

    pub(crate) fn level(&self) -> String {
        bakeoff_results::words::level(self.summary.confidence)
    }
}

/// Classes up to which a confusion matrix is shown whole.
pub(crate) const MOST_CLASSES: usize = 30;

/// Pairs of classes that are shown of a larger one.
pub(crate) const MOST_PAIRS: usize = 25;

/// Files that are shown of a dataset.
pub(crate) const MOST_FILES: usize = 20;

/// The pairs of different classes that were confused most often, as (truth, predicted, images).
pub(crate) fn confused_pairs(detail: &Detail) -> Vec<(usize, usize, usize)> {
    let rows = detail.confusion.counts.iter().enumerate();
    let places = rows.flat_map(|(t, row)| row.iter().enumerate().map(move |(p, &count)| (t, p, count)));
    let mut pairs: Vec<_> = places.filter(|&(t, p, count)| t != p && count > 0).collect();
    pairs.sort_by_key(|&(t, p, count)| (std::cmp::Reverse(count), t, p));
    pairs.truncate(MOST_PAIRS);
    pairs
}
