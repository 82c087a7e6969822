//! Tests over several datasets and over resampled splits, against scipy; `reference/ranks.py` made the values.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

mod common;

use bakeoff_results::across::{AcrossError, OnDataset, across};
use bakeoff_results::expected::expected_best;
use bakeoff_results::rank::{critical_difference, friedman, studentised_range_upper, wilcoxon};
use bakeoff_results::resampled::nadeau_bengio;
use bakeoff_results::{IntervalKind, Relation, Row, Run, TestKind, Verdict, compare_splits, relation, summarise};
use common::{done, run_of};
use serde::Deserialize;

/// (values, average ranks, χ², its p-value, F, its p-value).
type FriedmanCase = (Vec<Vec<f64>>, Vec<f64>, f64, f64, f64, f64);

/// (differences, training images, test images, standard error, interval, p-value).
type ResampledCase = (Vec<f64>, usize, usize, f64, f64, f64, f64);

#[derive(Deserialize)]
struct Reference {
    wilcoxon: Vec<(Vec<f64>, f64, bool)>,
    friedman: Vec<FriedmanCase>,
    nemenyi: Vec<(usize, f64, f64, f64)>,
    nadeau_bengio: Vec<ResampledCase>,
    expected_best: (Vec<f64>, Vec<(f64, f64)>),
}

fn reference() -> Reference {
    serde_json::from_str(include_str!("reference/ranks.json")).unwrap()
}

fn close(found: f64, wanted: f64, tolerance: f64) -> bool {
    (found - wanted).abs() <= tolerance * wanted.abs().max(1e-12)
}

#[test]
fn wilcoxon_agrees_with_scipy() {
    for (differences, p, is_exact) in reference().wilcoxon {
        let found = wilcoxon(&differences);
        assert_eq!(found.is_exact, is_exact, "{} differences", differences.len());
        assert!(close(found.p_value, p, 1e-10), "{differences:?}: {} and {p}", found.p_value);
    }
}

#[test]
fn friedman_agrees_with_scipy() {
    for (values, ranks, chi, chi_p, f, p) in reference().friedman {
        let found = friedman(&values).unwrap();
        assert!(found.average_ranks.iter().zip(&ranks).all(|(a, b)| close(*a, *b, 1e-12)));
        assert!(close(found.chi_squared, chi, 1e-10) && close(found.chi_squared_p, chi_p, 1e-9), "{found:?}");
        assert!(close(found.f.unwrap(), f, 1e-9) && close(found.p_value, p, 1e-9), "{found:?}, {f}, {p}");
    }
}

#[test]
fn critical_differences_agree_with_scipy_and_demsar() {
    for (k, level, q, difference) in reference().nemenyi {
        let found = studentised_range_upper(level, k);
        assert!(close(found, q, 1e-6), "k {k}, level {level}: {found} and {q}");
        assert!(close(critical_difference(k, 14, level).unwrap(), difference, 1e-6));
    }
    // Demšar (2006), page 12: four classifiers on 14 datasets at 10% have 2.291 √(4·5 / (6·14)) = 1.12.
    assert!((critical_difference(4, 14, 0.1).unwrap() - 1.12).abs() < 0.005);
    assert!(critical_difference(1, 14, 0.05).is_none() && critical_difference(3, 0, 0.05).is_none());
}

#[test]
fn the_resampled_t_test_agrees_with_scipy() {
    for (differences, n_train, n_test, error, lo, hi, p) in reference().nadeau_bengio {
        let found = nadeau_bengio(&differences, n_train, n_test, 0.95).unwrap();
        assert!(close(found.standard_error, error, 1e-10) && close(found.p_value, p, 1e-9), "{found:?}");
        assert!(close(found.interval.lo, lo, 1e-8) && close(found.interval.hi, hi, 1e-8), "{found:?}: {lo} {hi}");
    }
    assert!(nadeau_bengio(&[0.1], 9, 1, 0.95).is_none() && nadeau_bengio(&[0.1, f64::NAN], 9, 1, 0.95).is_none());
    assert!(nadeau_bengio(&[0.1, 0.2], 0, 1, 0.95).is_none());
    assert_eq!(nadeau_bengio(&[0.0, 0.0], 9, 1, 0.95).unwrap().p_value, 1.0);
    assert_eq!(nadeau_bengio(&[0.1, 0.1], 9, 1, 0.95).unwrap().p_value, 0.0);
}

#[test]
fn the_expected_best_is_that_of_all_draws() {
    let (scores, wanted) = reference().expected_best;
    let found = expected_best(&scores);
    assert_eq!(found.len(), wanted.len());
    for ((mean, variance), (m, v)) in found.into_iter().zip(wanted) {
        assert!(close(mean, m, 1e-12) && close(variance, v, 1e-10), "{mean} {m}, {variance} {v}");
    }
}

/// Accuracies of `good`, `fair` and `poor` on so many datasets; `fair` wins where `upset` says so.
fn results(n: usize, upset: impl Fn(usize) -> bool) -> Vec<OnDataset> {
    let on = |i: usize| {
        let base = 0.6 + 0.02 * i as f64;
        let fair = if upset(i) { base + 0.13 } else { base + 0.05 + 0.001 * i as f64 };
        let all = [("fair", fair), ("poor", base), ("good", base + 0.1 + 0.002 * i as f64)];
        (format!("set {i}"), all.map(|(name, accuracy)| (name.to_owned(), accuracy)).to_vec())
    };
    (0..n).map(on).collect()
}

#[test]
fn ranks_are_tested_from_six_datasets_on_and_drawn_from_ten() {
    let five = across(&results(5, |_| false), 0.95).unwrap();
    assert!(five.pairs.iter().all(|pair| pair.p_value.is_none() && pair.winner.is_none()));
    assert!(five.friedman.is_none() && five.diagram.is_none());
    assert!(five.words.contains("No rank test is made below 6 datasets"), "{}", five.words);
    // Six wins of six: 2/64, times three pairs; nothing can be told yet, and that is said.
    let six = across(&results(6, |_| false), 0.95).unwrap();
    assert!(six.pairs.iter().all(|pair| pair.p_value == Some(2.0 / 64.0) && pair.wins == 6 && pair.winner.is_none()));
    assert!(
        six.friedman.is_none() && six.words.contains("with so few datasets and so many pairs none could"),
        "{}",
        six.words
    );
    let ten = across(&results(10, |i| i == 0), 0.95).unwrap();
    let names: Vec<&str> = ten.pipelines.iter().map(|p| p.name.as_str()).collect();
    assert_eq!(names, ["good", "fair", "poor"]);
    let ranks: Vec<f64> = ten.pipelines.iter().map(|p| p.average_rank).collect();
    assert!(ranks.iter().zip([1.1, 1.9, 3.0]).all(|(a, b)| (a - b).abs() < 1e-12), "{ranks:?}");
    assert_eq!((ten.pipelines[0].firsts, ten.pipelines[1].firsts), (9, 1));
    let diagram = ten.diagram.as_ref().unwrap();
    // q₀.₀₅ for three is 3.3145, so 2.3437 √(12/60) = 1.048.
    assert!((diagram.critical_difference - 1.048).abs() < 0.001, "{}", diagram.critical_difference);
    assert_eq!(diagram.cliques, [["good".to_owned(), "fair".to_owned()]]);
    assert!(ten.friedman.as_ref().unwrap().p_value < 0.001);
    assert!(ten.words.contains("good is better than poor") && ten.words.contains("Friedman's test"), "{}", ten.words);
}

#[test]
fn what_is_not_on_every_dataset_is_left_out_and_named() {
    let mut all = results(7, |_| false);
    all[3].1.retain(|(name, _)| name != "poor");
    let found = across(&all, 0.95).unwrap();
    assert_eq!((found.pipelines.len(), found.left_out.clone()), (2, vec![("poor".to_owned(), 6)]));
    assert!(found.words.ends_with("Without a result on some dataset: poor."), "{}", found.words);
    // One pair of seven wins: 2/128.
    assert_eq!((found.pairs[0].p_adjusted, found.pairs[0].winner.as_deref()), (Some(2.0 / 128.0), Some("good")));
    assert!(across(&[], 0.95).unwrap().words.contains("Fewer than two pipelines"));
}

#[test]
fn what_would_count_twice_or_not_at_all_is_an_error() {
    let twice = [results(1, |_| false), results(1, |_| false)].concat();
    assert_eq!(across(&twice, 0.95), Err(AcrossError::DatasetTwice { name: "set 0".to_owned() }));
    let mut all = results(2, |_| false);
    let again = all[1].1[0].clone();
    all[1].1.push(again);
    assert!(matches!(across(&all, 0.95), Err(AcrossError::PipelineTwice { .. })));
    all[1].1[3] = ("other".to_owned(), f64::NAN);
    assert!(matches!(across(&all, 0.95), Err(AcrossError::NotANumber { .. })));
}

/// A run about split `number` of the same files: 100 test images, of which the pipelines get the first ones wrong.
fn split(number: usize, wrong: [usize; 2]) -> (Run, Vec<Row>) {
    let labels: Vec<usize> = (0..100).map(|i| i % 2).collect();
    let mut run = run_of(&["a", "b"], &labels, 2);
    run.dataset.sha256 = format!("{number:064}");
    let answers = |n: usize| labels.iter().enumerate().map(|(i, &t)| if i < n { 1 - t } else { t }).collect::<Vec<_>>();
    (run, vec![done("a", 0, &answers(wrong[0])), done("b", 0, &answers(wrong[1]))])
}

#[test]
fn splits_of_the_same_files_are_known_and_compared_with_the_correction() {
    let splits: Vec<(Run, Vec<Row>)> =
        [[5, 20], [6, 22], [4, 18], [5, 19]].into_iter().enumerate().map(|(i, wrong)| split(i, wrong)).collect();
    let runs: Vec<&Run> = splits.iter().map(|(run, _)| run).collect();
    assert_eq!(relation(&runs), Relation::ResampledSplits);
    let given: Vec<(&Run, &[Row])> = splits.iter().map(|(run, rows)| (run, rows.as_slice())).collect();
    let pair = compare_splits(&given, "a", "b");
    let expected = nadeau_bengio(&[0.15, 0.16, 0.14, 0.14], 70, 100, 0.95).unwrap();
    assert!((pair.difference.unwrap() - 0.1475).abs() < 1e-12);
    assert!((pair.p_value.unwrap() - expected.p_value).abs() < 1e-12);
    assert_eq!((pair.verdict, pair.winner.as_deref()), (Verdict::Better, Some("a")));
    assert_eq!((pair.test, pair.interval_kind), (Some(TestKind::NadeauBengio), Some(IntervalKind::ResampledSplits)));
    assert!(pair.exploratory && pair.note == "over 4 splits of the same images");
    assert_eq!(compare_splits(&given[..1], "a", "b").note, "one split does not show how much splits differ");
    assert_eq!(compare_splits(&given, "a", "c").note, "not every split has a result of both");
    assert!(compare_splits(&[], "a", "b").difference.is_none());
    // The same split twice is the same data, other files are other data, and some of each is neither.
    let mut other = splits[0].0.clone();
    assert_eq!(relation(&[runs[0], &splits[0].0]), Relation::SameData);
    (other.dataset.sha256, other.dataset.files[0].2) = ("9".repeat(64), "0".repeat(64));
    assert_eq!(relation(&[runs[0], &other]), Relation::DifferentData);
    assert_eq!(relation(&[runs[0], runs[1], &other]), Relation::Mixed);
}

#[test]
fn a_summary_gives_its_accuracies_by_dataset() {
    let (run, rows) = split(0, [5, 20]);
    let (dataset, accuracies) = summarise(&run, &rows).on_dataset();
    assert_eq!((dataset.as_str(), accuracies), ("shapes", vec![("a".to_owned(), 0.95), ("b".to_owned(), 0.8)]));
}
