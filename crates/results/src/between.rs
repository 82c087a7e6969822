//! Pipelines of two runs, paired where both answered the same test images.

use crate::compare::{Comparison, unmade};
use crate::row::{Row, Run};
use crate::summary::{PipelineSummary, summarise};
use crate::unpaired::unpaired;
use crate::verdict::{Verdict, verdict};

/// A run with its rows, and what it is called beside another.
#[derive(Debug, Clone, Copy)]
pub struct Side<'a> {
    /// In front of the names of its pipelines.
    pub called: &'a str,
    /// The run.
    pub run: &'a Run,
    /// Its rows.
    pub rows: &'a [Row],
}

/// What came of comparing pipelines of two runs.
#[derive(Debug, Clone, PartialEq)]
pub struct Between {
    /// The pairs, in the order given, with names like `run:pipeline`; p-values adjusted by Holm over all of them.
    pub comparisons: Vec<Comparison>,
    /// Why they are not paired; `None` where they are.
    pub why_unpaired: Option<String>,
}

/// Compares pipelines (of a, of b) of two runs, each at the greatest training size of its run. Runs with the same data are paired by test
/// image and seed; of others the intervals of both accuracies give that of the difference, without a p-value. The level and the
/// margin are the first run's. Nobody declared these comparisons: they are exploratory.
pub fn between(a: Side<'_>, b: Side<'_>, pairs: &[(String, String)]) -> Between {
    let named: Vec<(String, String)> = pairs.iter().map(|(x, y)| (a.name(x), b.name(y))).collect();
    let why_unpaired = why_unpaired(a.run, b.run);
    let comparisons = match why_unpaired {
        None => paired(a, b, named),
        Some(_) => alone(a, b, pairs),
    };
    Between { comparisons, why_unpaired }
}

impl Side<'_> {
    fn name(&self, pipeline: &str) -> String {
        format!("{}:{pipeline}", self.called)
    }

    /// The rows at the greatest training size, as those of one size and under the name beside the other run.
    fn renamed(&self) -> impl Iterator<Item = Row> {
        let rank = |row: &Row| row.cell.train_size.unwrap_or(usize::MAX);
        let greatest = self.rows.iter().map(rank).max();
        let kept = self.rows.iter().filter(move |row| Some(rank(row)) == greatest);
        kept.map(|row| {
            let mut row = row.clone();
            row.cell.pipeline = self.name(&row.cell.pipeline);
            row.cell.train_size = None;
            row
        })
    }
}

fn why_unpaired(a: &Run, b: &Run) -> Option<String> {
    let (one, other) = (&a.dataset, &b.dataset);
    if one.sha256 == other.sha256 && one.test_labels == other.test_labels {
        return None;
    }
    let why = if one.name == other.name { "the same dataset in two states" } else { "two datasets" };
    Some(format!(
        "The runs are about {why} ({} and {}), so no test image is shared and nothing can be paired: these are differences of independent accuracies.",
        one.name, other.name
    ))
}

fn paired(a: Side<'_>, b: Side<'_>, pairs: Vec<(String, String)>) -> Vec<Comparison> {
    let names = |side: Side<'_>| side.run.pipelines.iter().map(|name| side.name(name)).collect::<Vec<_>>();
    let run = Run { pipelines: [names(a), names(b)].concat(), comparisons: pairs, ..a.run.clone() };
    let rows: Vec<Row> = a.renamed().chain(b.renamed()).collect();
    let made = summarise(&run, &rows).comparisons;
    made.into_iter().map(|comparison| Comparison { exploratory: true, ..comparison }).collect()
}

fn alone(a: Side<'_>, b: Side<'_>, pairs: &[(String, String)]) -> Vec<Comparison> {
    let (of_a, of_b) = (summarise(a.run, a.rows), summarise(b.run, b.rows));
    let find = |all: &[PipelineSummary], name: &str| all.iter().find(|p| p.name == name).cloned();
    let made = pairs.iter().map(|(x, y)| {
        let (named, sides) = ((a.name(x), b.name(y)), (find(&of_a.pipelines, x), find(&of_b.pipelines, y)));
        let figures = |p: &Option<PipelineSummary>| p.as_ref().and_then(|p| Some((p.accuracy?, p.interval?)));
        match (figures(&sides.0), figures(&sides.1)) {
            (Some(x), Some(y)) => independent(a.run, named, x, y),
            _ => unmade(&named.0, &named.1, true, "one of them has no result".to_owned()),
        }
    });
    made.collect()
}

type Figures = (f64, crate::interval::Interval);

fn independent(run: &Run, (a, b): (String, String), x: Figures, y: Figures) -> Comparison {
    let interval = unpaired(x.0, x.1, y.0, y.1);
    let difference = x.0 - y.0;
    // There is no test but the interval: that it leaves out 0 stands for a p-value that is small enough.
    let p = if interval.contains(0.0) { 1.0 } else { 0.0 };
    let verdict = verdict(interval, p, run.confidence, run.equivalence);
    let winner = (verdict == Verdict::Better).then(|| if difference > 0.0 { a.clone() } else { b.clone() });
    let note = "not paired: other test images".to_owned();
    Comparison { difference: Some(difference), interval: Some(interval), verdict, winner, ..unmade(&a, &b, true, note) }
}
