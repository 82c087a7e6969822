//! What every readable report says, before it has a form.

use crate::pictures::Pictures;
use crate::plot::Mark;
use bakeoff_results::{
    Detail, Latency, Outcome, Row, Run, Spending, Summary, details, latencies, spendings, summarise,
};
use std::collections::BTreeSet;

/// A run with its figures, and what is shown besides.
pub struct Report<'a> {
    pub(crate) run: &'a Run,
    pub(crate) rows: &'a [Row],
    pub(crate) summary: Summary,
    pub(crate) details: Vec<Detail>,
    pub(crate) latencies: Vec<(String, Latency)>,
    pub(crate) spendings: Vec<Spending>,
    /// Seeds that any row has.
    pub(crate) seeds: Vec<u64>,
    pub(crate) title: String,
    pub(crate) command: String,
    pub(crate) pictures: Pictures,
}

impl<'a> Report<'a> {
    /// The report of a run with these rows. All figures are computed here, once for every format.
    pub fn of(run: &'a Run, rows: &'a [Row]) -> Self {
        let seeds: BTreeSet<u64> = rows.iter().map(|row| row.cell.seed).collect();
        let summary = summarise(run, rows);
        let leader = summary.ranking().first().map_or_else(String::new, |leader| leader.name.clone());
        Self {
            run,
            rows,
            spendings: spendings(run, rows, &leader),
            summary,
            details: details(run, rows),
            latencies: latencies(run, rows),
            seeds: seeds.into_iter().collect(),
            title: run.name.clone(),
            command: String::new(),
            pictures: Pictures::default(),
        }
    }

    /// Another title than the run's name.
    pub fn titled(self, title: &str) -> Self {
        Self { title: title.to_owned(), ..self }
    }

    /// The command that runs it again.
    pub fn with_command(self, command: &str) -> Self {
        Self { command: command.to_owned(), ..self }
    }

    /// Pictures of what was learned, and of images that tell pipelines apart.
    pub fn with_pictures(self, pictures: Pictures) -> Self {
        Self { pictures, ..self }
    }

    /// Its figures.
    pub fn summary(&self) -> &Summary {
        &self.summary
    }

    /// What a pipeline is drawn as.
    pub(crate) fn mark(&self, name: &str) -> Mark {
        Mark(self.run.pipelines.iter().position(|pipeline| pipeline == name).unwrap_or(0))
    }

    /// Accuracy of each seed of a pipeline at the greatest training size, in the order of seeds.
    pub(crate) fn by_seed(&self, name: &str) -> Vec<(u64, f64)> {
        let rank = |row: &Row| row.cell.train_size.unwrap_or(usize::MAX);
        let greatest = self.rows.iter().map(rank).max();
        let rows = self.rows.iter().filter(|row| row.cell.pipeline == name && Some(rank(row)) == greatest);
        let mut seeds: Vec<(u64, f64)> = rows
            .filter_map(|row| match &row.outcome {
                Outcome::Done(measured) => Some((row.cell.seed, measured.accuracy(&self.run.dataset.test_labels)?)),
                _ => None,
            })
            .collect();
        seeds.sort_by_key(|(seed, _)| *seed);
        seeds.dedup_by_key(|(seed, _)| *seed);
        seeds
    }

    /// The sentences under the leaderboard: what its figures are.
    pub(crate) fn about_figures(&self) -> String {
        format!(
            "Accuracy is the share of test images that were right, mean over seeds. Intervals are at {}: Wilson's for \
             one seed and for pipelines that do not depend on the seed (it is about that one model), a bootstrap over \
             seeds and images for several. Times are wall times, medians over all timings, each part for itself, so that parts need not \
             add up; memory is the peak of the whole process; dims are the numbers that an image became.",
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

    /// What the clock is worth; `None` where that was not measured.
    pub(crate) fn about_noise(&self) -> Option<String> {
        let noise = self.run.noise?;
        Some(format!(
            "Of {} pairs of timings of the same work on this machine, 95% differed by less than {:.0}%: smaller differences in time \
             are noise.",
            noise.pairs,
            (noise.ratio - 1.0) * 100.0
        ))
    }

    /// How long one image takes with a pipeline, where that was timed.
    pub(crate) fn latency(&self, name: &str) -> Option<Latency> {
        self.latencies.iter().find(|(known, _)| known == name).map(|(_, latency)| *latency)
    }

    /// What a pipeline took from end to end, where it has a result.
    pub(crate) fn spending(&self, name: &str) -> Option<&Spending> {
        self.spendings.iter().find(|spending| spending.name == name)
    }

    /// The sentences under the table of costs.
    pub(crate) fn about_costs(&self) -> String {
        let noise = self.about_noise().map_or_else(String::new, |noise| format!(" {noise}"));
        format!(
            "Wall time on {} thread{}, medians over all timings: one for each seed, and repeats of the fit and the scores where seeds are few and \
             a timing takes seconds. Pipelines take turns in rounds, so that what slows the machine for a while slows all of them; each timing is \
             the first pass of a process of its own, without one before it that does not count. An interval lies between two timings and \
             holds the median at the level that stands behind it; few timings reach no higher one. Latency is that of one image alone, from its \
             pixels to its class, after ten to warm up.{noise}",
            self.run.host.threads,
            if self.run.host.threads == 1 { "" } else { "s" },
        )
    }

    /// The sentence under the command that runs it again; `None` where it can be typed as it is.
    pub(crate) fn about_command(&self) -> Option<&'static str> {
        let named = self.command.contains(" --dataset ");
        named.then_some(
            "Data that the program does not get by itself stands there by its name: give the place where it lies.",
        )
    }

    /// The sentence under the accuracies by class.
    pub(crate) fn about_classes(&self) -> String {
        format!(
            "Intervals are Wilson's at {}, over the test images of the class: they are about these trained models, not about other seeds.",
            self.level()
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
