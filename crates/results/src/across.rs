//! Pipelines over several datasets: what may be concluded from how they rank on each.
//!
//! Accuracies on different datasets are not samples of one thing, so ranks are compared and not means (Demšar 2006). Below six datasets
//! no rank test is made: with five, even five wins of five have p = 0.0625. From six on, every pair is tested by Wilcoxon's signed-rank test,
//! with p-values adjusted by Holm over all pairs; from ten on there is Friedman's test and a critical-difference diagram too.

use crate::rank::{Friedman, cliques, critical_difference, friedman, wilcoxon};
use crate::summary::Summary;
use crate::test::holm;
use crate::words::{counted, listed, p_value};
use serde::{Deserialize, Serialize};
use std::collections::BTreeSet;
use thiserror::Error;

/// Datasets from which pairs are tested.
pub const LEAST_FOR_PAIRS: usize = 6;

/// Datasets from which all pipelines are tested together.
pub const LEAST_FOR_DIAGRAM: usize = 10;

/// A dataset and the accuracy of each pipeline on it, by name.
pub type OnDataset = (String, Vec<(String, f64)>);

/// Pipelines over several datasets.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Across {
    /// The datasets, in the order given.
    pub datasets: Vec<String>,
    /// Pipelines that have an accuracy on every dataset, from the lowest average rank up.
    pub pipelines: Vec<Ranked>,
    /// Pipelines that lack one on some dataset, with the number of datasets on which they have one. They are not compared.
    pub left_out: Vec<(String, usize)>,
    /// One minus the level of the tests.
    pub confidence: f64,
    /// Every pair, in the order of `pipelines`.
    pub pairs: Vec<RankPair>,
    /// Friedman's test, from ten datasets on; its average ranks are in the order of `pipelines`.
    pub friedman: Option<Friedman>,
    /// What a critical-difference diagram shows, from ten datasets on.
    pub diagram: Option<Diagram>,
    /// What it means.
    pub words: String,
}

/// A pipeline and how it ranks.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Ranked {
    /// Its name.
    pub name: String,
    /// Its mean rank over the datasets, 1 for the most accurate.
    pub average_rank: f64,
    /// Datasets on which nobody is more accurate.
    pub firsts: usize,
    /// Its accuracy on each dataset.
    pub accuracies: Vec<f64>,
}

/// Two pipelines over several datasets.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct RankPair {
    /// The one with the lower average rank, or the first of equals.
    pub a: String,
    /// The other.
    pub b: String,
    /// Datasets on which a is more accurate.
    pub wins: usize,
    /// Datasets on which b is.
    pub losses: usize,
    /// Datasets on which they are equal.
    pub ties: usize,
    /// The median difference in accuracy, a − b.
    pub median_difference: f64,
    /// Wilcoxon's p-value; `None` below six datasets.
    pub p_value: Option<f64>,
    /// The same, adjusted by Holm over all pairs.
    pub p_adjusted: Option<f64>,
    /// The better one, where the adjusted p-value says so.
    pub winner: Option<String>,
}

/// What a critical-difference diagram shows besides the average ranks.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Diagram {
    /// Average ranks further apart than this differ, over all pairs together (Nemenyi).
    pub critical_difference: f64,
    /// Groups that are not told apart, to be joined by a bar; names from the lowest average rank up.
    pub cliques: Vec<Vec<String>>,
}

/// Why pipelines could not be compared over datasets.
#[derive(Debug, Error, PartialEq, Eq)]
#[non_exhaustive]
pub enum AcrossError {
    /// Two results are about one dataset, which would count twice.
    #[error("the dataset {name} is there twice: expected one result a dataset")]
    DatasetTwice {
        /// The dataset.
        name: String,
    },
    /// A pipeline has two accuracies on one dataset.
    #[error("the pipeline {pipeline} has two accuracies on {dataset}: expected one")]
    PipelineTwice {
        /// The dataset.
        dataset: String,
        /// The pipeline.
        pipeline: String,
    },
    /// An accuracy is none.
    #[error("the accuracy of {pipeline} on {dataset} is not a number")]
    NotANumber {
        /// The dataset.
        dataset: String,
        /// The pipeline.
        pipeline: String,
    },
}

impl Summary {
    /// The dataset with the accuracy of every pipeline that has one, as [`across`] takes them.
    pub fn on_dataset(&self) -> OnDataset {
        let accuracies = self.pipelines.iter().filter_map(|p| Some((p.name.clone(), p.accuracy?)));
        (self.dataset.clone(), accuracies.collect())
    }
}

/// Compares pipelines over datasets, by name: a name must stand for the same pipeline everywhere. The tests' level is 1 − `confidence`.
///
/// # Errors
/// When a dataset or a pipeline of a dataset is there twice, or an accuracy is not a finite number.
pub fn across(results: &[OnDataset], confidence: f64) -> Result<Across, AcrossError> {
    check(results)?;
    let datasets: Vec<String> = results.iter().map(|(name, _)| name.clone()).collect();
    let (mut pipelines, left_out) = everywhere(results);
    // values[dataset][pipeline], in the order of the average ranks.
    let ranked = rank(&mut pipelines);
    let values = by_dataset(&pipelines, datasets.len());
    let level = 1.0 - confidence;
    let is_enough = datasets.len() >= LEAST_FOR_DIAGRAM;
    let tested = if is_enough { friedman(&values) } else { None };
    let difference = critical_difference(pipelines.len(), datasets.len(), level).filter(|_| is_enough);
    let diagram = difference.map(|critical_difference| Diagram {
        critical_difference,
        cliques: cliques(&ranked, critical_difference)
            .into_iter()
            .map(|clique| clique.into_iter().map(|i| pipelines[i].name.clone()).collect())
            .collect(),
    });
    let pairs = pairs(&pipelines, datasets.len() >= LEAST_FOR_PAIRS, level);
    let mut made =
        Across { datasets, pipelines, left_out, confidence, pairs, friedman: tested, diagram, words: String::new() };
    made.words = made.in_words();
    Ok(made)
}

fn check(results: &[OnDataset]) -> Result<(), AcrossError> {
    let mut datasets = BTreeSet::new();
    for (dataset, accuracies) in results {
        if !datasets.insert(dataset) {
            return Err(AcrossError::DatasetTwice { name: dataset.clone() });
        }
        let mut pipelines = BTreeSet::new();
        for (pipeline, accuracy) in accuracies {
            let (dataset, pipeline_name) = (dataset.clone(), pipeline.clone());
            if !accuracy.is_finite() {
                return Err(AcrossError::NotANumber { dataset, pipeline: pipeline_name });
            }
            if !pipelines.insert(pipeline) {
                return Err(AcrossError::PipelineTwice { dataset, pipeline: pipeline_name });
            }
        }
    }
    Ok(())
}

/// Pipelines with an accuracy on every dataset, in the order of their first mention; and the others.
fn everywhere(results: &[OnDataset]) -> (Vec<Ranked>, Vec<(String, usize)>) {
    let (mut kept, mut left_out) = (Vec::new(), Vec::new());
    let mut seen = BTreeSet::new();
    for name in results.iter().flat_map(|(_, accuracies)| accuracies.iter().map(|(name, _)| name)) {
        if !seen.insert(name) {
            continue;
        }
        let on = |(_, all): &OnDataset| all.iter().find(|(other, _)| other == name).map(|(_, accuracy)| *accuracy);
        let accuracies: Vec<f64> = results.iter().filter_map(on).collect();
        if accuracies.len() == results.len() {
            kept.push(Ranked { name: name.clone(), average_rank: 0.0, firsts: 0, accuracies });
        } else {
            left_out.push((name.clone(), accuracies.len()));
        }
    }
    (kept, left_out)
}

fn by_dataset(pipelines: &[Ranked], n_datasets: usize) -> Vec<Vec<f64>> {
    (0..n_datasets).map(|i| pipelines.iter().map(|p| p.accuracies[i]).collect()).collect()
}

/// Fills in ranks and sorts by them; gives the average ranks in that order.
fn rank(pipelines: &mut [Ranked]) -> Vec<f64> {
    let n_datasets = pipelines.first().map_or(0, |p| p.accuracies.len());
    for row in by_dataset(pipelines, n_datasets) {
        let ranks = crate::rank::ranks(&row);
        let best = ranks.iter().copied().fold(f64::INFINITY, f64::min);
        for (pipeline, rank) in pipelines.iter_mut().zip(ranks) {
            pipeline.average_rank += rank / n_datasets as f64;
            pipeline.firsts += usize::from(rank <= best);
        }
    }
    pipelines.sort_by(|a, b| a.average_rank.total_cmp(&b.average_rank));
    pipelines.iter().map(|p| p.average_rank).collect()
}

fn pairs(pipelines: &[Ranked], is_tested: bool, level: f64) -> Vec<RankPair> {
    let all = pipelines.iter().enumerate().flat_map(|(i, a)| pipelines[i + 1..].iter().map(move |b| (a, b)));
    let mut pairs: Vec<RankPair> = all.map(|(a, b)| pair(a, b, is_tested)).collect();
    let p_values: Vec<f64> = pairs.iter().filter_map(|pair| pair.p_value).collect();
    for (pair, adjusted) in pairs.iter_mut().zip(holm(&p_values, 0)) {
        pair.p_adjusted = Some(adjusted);
        let ahead = if pair.median_difference >= 0.0 { &pair.a } else { &pair.b };
        pair.winner = (adjusted <= level).then(|| ahead.clone());
    }
    pairs
}

fn pair(a: &Ranked, b: &Ranked, is_tested: bool) -> RankPair {
    let mut differences: Vec<f64> = a.accuracies.iter().zip(&b.accuracies).map(|(a, b)| a - b).collect();
    let tested = wilcoxon(&differences);
    let wins = differences.iter().filter(|d| **d > 1e-12).count();
    let losses = differences.iter().filter(|d| **d < -1e-12).count();
    differences.sort_by(f64::total_cmp);
    RankPair {
        a: a.name.clone(),
        b: b.name.clone(),
        wins,
        losses,
        ties: differences.len() - wins - losses,
        median_difference: crate::interval::quantile(&differences, 0.5),
        p_value: is_tested.then_some(tested.p_value),
        p_adjusted: None,
        winner: None,
    }
}

impl Across {
    fn in_words(&self) -> String {
        let n = self.datasets.len();
        let over = counted(n, "dataset");
        let (Some(first), true) = (self.pipelines.first(), self.pipelines.len() > 1) else {
            return format!("Fewer than two pipelines have a result on all of {over}.");
        };
        let best: Vec<String> =
            self.pipelines.iter().filter(|p| p.average_rank == first.average_rank).map(|p| p.name.clone()).collect();
        let verb = if best.len() == 1 { "has" } else { "have" };
        let start = format!("Over {over}, {} {verb} the best average rank, {:.2}", listed(&best), first.average_rank);
        format!("{start}. {}{}", self.tests_in_words(n), self.absentees())
    }

    fn tests_in_words(&self, n: usize) -> String {
        if n < LEAST_FOR_PAIRS {
            return format!(
                "No rank test is made below {LEAST_FOR_PAIRS} datasets: each verdict is about its own dataset."
            );
        }
        let friedman = match (&self.friedman, &self.diagram) {
            (Some(test), Some(diagram)) => format!(
                "Friedman's test (Iman and Davenport): {}; average ranks {:.2} apart differ (Nemenyi). ",
                p_value(test.p_value),
                diagram.critical_difference
            ),
            _ => String::new(),
        };
        let told: Vec<String> = self.pairs.iter().filter_map(RankPair::in_words).collect();
        let pairs = if told.is_empty() {
            // With n datasets the smallest p-value is 2 / 2ⁿ, and Holm multiplies it by the number of pairs.
            let least = 2f64.powi(1 - n.min(1000) as i32) * self.pairs.len() as f64;
            let hopeless =
                if least > 1.0 - self.confidence { "; with so few datasets and so many pairs none could" } else { "" };
            format!("No pair differs by Wilcoxon's test with Holm's adjustment{hopeless}.")
        } else {
            format!("By Wilcoxon's test with Holm's adjustment {}.", told.join("; "))
        };
        friedman + &pairs
    }

    fn absentees(&self) -> String {
        let names: Vec<String> = self.left_out.iter().map(|(name, _)| name.clone()).collect();
        if names.is_empty() { String::new() } else { format!(" Without a result on some dataset: {}.", listed(&names)) }
    }
}

impl RankPair {
    fn in_words(&self) -> Option<String> {
        let winner = self.winner.as_ref()?;
        let other = if *winner == self.a { &self.b } else { &self.a };
        Some(format!("{winner} is better than {other} ({})", p_value(self.p_adjusted?)))
    }
}
