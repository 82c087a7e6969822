//! A run in figures: the JSON that programs read, and honest words about what failed.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

mod common;

use bakeoff_results::interval::wilson;
use bakeoff_results::{
    IntervalKind, Outcome, Row, Run, Seconds, Settling, Standing, Summary, TestKind, TimeInterval, Verdict, compare,
    details, spendings, still_open, summarise, verdict_line,
};
use common::{cell, done, failed, refused, run_of};
use proptest::prelude::*;
use serde_json::Value;

/// 200 images of two classes.
fn labels() -> Vec<usize> {
    (0..200).map(|i| i % 2).collect()
}

/// Right but for the images whose number leaves this rest when divided by `every`.
fn wrong_at(every: usize, rest: usize) -> Vec<usize> {
    labels().iter().enumerate().map(|(i, &t)| if i % every == rest { 1 - t } else { t }).collect()
}

fn change(row: &mut Row) -> &mut bakeoff_results::Measured {
    match &mut row.outcome {
        Outcome::Done(measured) => measured,
        _ => panic!("not a done row"),
    }
}

fn deterministic(mut row: Row) -> Row {
    change(&mut row).deterministic = true;
    row
}

/// Two good pipelines of three seeds, one of which lost a seed, and two without a result.
fn mixed() -> (Run, Vec<Row>) {
    let mut run = run_of(&["net", "linear", "words", "knn"], &labels(), 2);
    run.comparisons = vec![("net".to_owned(), "linear".to_owned()), ("net".to_owned(), "words".to_owned())];
    let rows = vec![
        done("net", 0, &wrong_at(20, 1)),
        done("net", 1, &wrong_at(20, 2)),
        failed("net", 2, "the loss is NaN in epoch 3, step 1"),
        done("linear", 0, &wrong_at(4, 1)),
        done("linear", 1, &wrong_at(4, 2)),
        done("linear", 2, &wrong_at(5, 1)),
        refused("words", 0, "images of 2×2 are too small"),
        failed("knn", 0, "out of time"),
        failed("knn", 1, "out of time"),
        failed("knn", 2, "it panicked"),
    ];
    (run, rows)
}

fn keys(value: &Value) -> Vec<&str> {
    value.as_object().unwrap().keys().map(String::as_str).collect()
}

#[test]
fn the_json_has_the_documented_keys_in_their_places() {
    let (run, rows) = mixed();
    let json = serde_json::to_value(summarise(&run, &rows)).unwrap();
    assert_eq!(keys(&json)[..3], ["dataset", "pipelines", "comparisons"]);
    let net = &json["pipelines"][0];
    let documented = [
        "name",
        "outcome",
        "reason",
        "n_train",
        "n_test",
        "seeds",
        "accuracy",
        "interval",
        "seconds",
        "threads",
        "peak_rss_mb",
        "model_bytes",
    ];
    assert!(documented.iter().all(|key| keys(net).contains(key)), "{net}");
    assert_eq!(keys(&net["seconds"]), ["features", "fit", "tune", "predict", "total", "timings", "total_interval"]);
    assert_eq!((&net["name"], &net["outcome"], &net["seeds"]), (&"net".into(), &"done".into(), &2.into()));
    assert_eq!(net["accuracy"], 0.95);
    assert!(net["interval"][0].as_f64().unwrap() < 0.95 && net["interval"][1].as_f64().unwrap() > 0.95);
    let pair = &json["comparisons"][0];
    assert_eq!(keys(pair)[..6], ["a", "b", "difference", "interval", "p_adjusted", "verdict"]);
    // What was refused has every key too, without numbers.
    let words = &json["pipelines"][2];
    assert_eq!(keys(words), keys(net));
    assert!(words["accuracy"].is_null() && words["seconds"].is_null() && words["interval"].is_null());
    assert_eq!((&words["outcome"], &words["seeds"]), (&"refused".into(), &0.into()));
    let back: Summary = serde_json::from_value(json).unwrap();
    assert_eq!(back, summarise(&run, &rows));
}

#[test]
fn seeds_and_pipelines_that_failed_are_told() {
    let (run, rows) = mixed();
    let summary = summarise(&run, &rows);
    let reason = |i: usize| summary.pipelines[i].reason.clone().unwrap_or_default();
    assert_eq!(reason(0), "only 2 of 3 seeds count: seed 2 failed: the loss is NaN in epoch 3, step 1");
    assert_eq!(reason(1), "");
    assert_eq!(reason(2), "images of 2×2 are too small");
    assert_eq!(reason(3), "seeds 0 and 1 failed: out of time; seed 2 failed: it panicked");
    let outcomes: Vec<_> = summary.pipelines.iter().map(|p| p.outcome).collect();
    assert_eq!(outcomes, [Standing::Done, Standing::Done, Standing::Refused, Standing::Failed]);
    let empty = summarise(&run, &[]);
    assert!(empty.pipelines.iter().all(|p| p.outcome == Standing::Missing && p.accuracy.is_none()));
    assert_eq!(
        verdict_line(&empty),
        "No pipeline has a result on shapes. No result: net (missing), linear (missing), words (missing), knn (missing)."
    );
}

#[test]
fn comparisons_use_the_seeds_that_both_have() {
    let (run, rows) = mixed();
    let summary = summarise(&run, &rows);
    let [made, unmade] = summary.comparisons.as_slice() else { panic!("two were declared") };
    assert_eq!((made.seeds, made.exploratory, made.test), (2, false, Some(TestKind::TwoWay)));
    // Accuracy of both over seeds 0 and 1: 0.95 and 0.75.
    assert!((made.difference.unwrap() - 0.2).abs() < 1e-12);
    // Both seeds agree exactly, so only images spread.
    assert_eq!((made.verdict, made.winner.as_deref()), (Verdict::Better, Some("net")));
    // Only one test was made, so Holm has nothing to correct.
    assert_eq!(made.p_adjusted, made.p_value);
    assert_eq!((unmade.difference, unmade.verdict), (None, Verdict::Undecided));
    assert_eq!(unmade.note, "words has no result at the full training size");
}

#[test]
fn one_seed_has_wilsons_interval_and_mcnemars_test() {
    let run = run_of(&["a", "b"], &labels(), 2);
    // a is wrong at 10 images, b at 50; 2 of them are the same.
    let rows = [done("a", 7, &wrong_at(20, 3)), done("b", 7, &wrong_at(4, 1))];
    let summary = summarise(&run, &rows);
    let a = &summary.pipelines[0];
    assert_eq!(a.interval_kind, Some(IntervalKind::Wilson));
    assert_eq!(a.interval.unwrap(), wilson(190, 200, 0.95));
    let pair = &summary.comparisons[0];
    assert_eq!((pair.test, pair.seeds), (Some(TestKind::Mcnemar), 1));
    assert!(pair.exploratory && pair.note.starts_with("one seed: about these two trained models only"));
    assert_eq!(pair.p_value.unwrap(), bakeoff_results::test::mcnemar(50, 10));
}

#[test]
fn a_deterministic_pipeline_is_one_seed_and_pairs_with_all() {
    let run = run_of(&["fixed", "net"], &labels(), 2);
    let fixed = deterministic(done("fixed", 0, &wrong_at(10, 1)));
    let net = |seed| done("net", seed, &wrong_at(10, 2 + seed as usize));
    let rows = [fixed.clone(), net(0), net(1), net(2)];
    let summary = summarise(&run, &rows);
    assert_eq!((summary.pipelines[0].seeds, summary.pipelines[0].interval_kind), (1, Some(IntervalKind::Wilson)));
    assert_eq!((summary.pipelines[1].seeds, summary.pipelines[1].deterministic), (3, Some(false)));
    assert_eq!(summary.comparisons[0].seeds, 3);
    // The same with a row for every seed, as another runner might store it.
    let again = |seed| Row { cell: cell("fixed", seed, None), ..fixed.clone() };
    let more = [again(0), again(1), again(2), net(0), net(1), net(2)];
    let mut repeated = summarise(&run, &more);
    // Only its time is known better.
    assert_eq!(repeated.pipelines[0].seconds.map(|seconds| seconds.timings), Some(3));
    repeated.pipelines[0].seconds = summary.pipelines[0].seconds;
    assert_eq!(repeated, summary);
    // Two deterministic ones: seeds cannot settle anything.
    let rows = [fixed, deterministic(done("net", 0, &wrong_at(11, 1)))];
    let pair = compare(&run, &rows, "fixed", "net");
    assert_eq!((pair.seeds, pair.settling, pair.verdict), (1, Some(Settling::MoreImages), Verdict::Undecided));
    assert!(!pair.note.contains("one seed"), "{}", pair.note);
}

#[test]
fn a_claim_of_determinism_is_checked() {
    let run = run_of(&["a"], &labels(), 2);
    let rows = [deterministic(done("a", 0, &wrong_at(10, 1))), deterministic(done("a", 1, &wrong_at(10, 2)))];
    let summary = summarise(&run, &rows);
    assert_eq!((summary.pipelines[0].seeds, summary.pipelines[0].deterministic), (2, Some(false)));
}

#[test]
fn identical_predictions_are_equivalent_only_with_enough_images() {
    let few = run_of(&["a", "b"], &labels(), 2);
    let rows = [done("a", 0, &labels()), done("b", 0, &labels())];
    assert_eq!(summarise(&few, &rows).comparisons[0].verdict, Verdict::Undecided);
    let many: Vec<usize> = (0..5000).map(|i| i % 2).collect();
    let run = run_of(&["a", "b"], &many, 2);
    let rows = [done("a", 0, &many), done("b", 0, &many)];
    let pair = &summarise(&run, &rows).comparisons[0];
    assert_eq!((pair.verdict, pair.difference, pair.p_adjusted), (Verdict::Equivalent, Some(0.0), Some(1.0)));
}

#[test]
fn exploratory_pairs_are_corrected_for_all_pairs() {
    let run = run_of(&["a", "b", "c"], &labels(), 2);
    let rows = [done("a", 0, &wrong_at(20, 1)), done("b", 0, &wrong_at(8, 2)), done("c", 0, &wrong_at(4, 3))];
    let summary = summarise(&run, &rows);
    let pairs: Vec<_> = summary.comparisons.iter().map(|c| (c.a.as_str(), c.b.as_str())).collect();
    assert_eq!(pairs, [("a", "b"), ("a", "c")]);
    let [near, far] = summary.comparisons.as_slice() else { panic!("two pairs") };
    // Three pairs could have been looked at: the smaller p-value times 3, the next times 2.
    assert!((far.p_adjusted.unwrap() - 3.0 * far.p_value.unwrap()).abs() < 1e-15);
    assert!((near.p_adjusted.unwrap() - 2.0 * near.p_value.unwrap()).abs() < 1e-15);
}

#[test]
fn figures_are_those_of_the_greatest_training_size() {
    let run = run_of(&["a", "b"], &labels(), 2);
    let at = |size: Option<usize>, every: usize| {
        let mut row = Row { cell: cell("a", 0, size), ..done("a", 0, &wrong_at(every, 1)) };
        change(&mut row).n_train = size.unwrap_or(1000);
        row
    };
    let rows = [at(None, 20), at(Some(10), 4), at(Some(100), 10), done("b", 0, &wrong_at(5, 1))];
    let summary = summarise(&run, &rows);
    assert_eq!((summary.pipelines[0].accuracy, summary.pipelines[0].n_train), (Some(0.95), Some(1000)));
    let points: Vec<_> = summary.train_sizes.iter().map(|p| (p.name.as_str(), p.n_train, p.accuracy)).collect();
    assert_eq!(points, [("a", 10, 0.75), ("a", 100, 0.9), ("a", 1000, 0.95), ("b", 70, 0.8)]);
    // Without the full size, the greatest of the list; a pipeline that has not come so far is missing.
    let summary =
        summarise(&run, &[at(Some(10), 4), at(Some(100), 10), Row { cell: cell("b", 0, Some(10)), ..rows[3].clone() }]);
    assert_eq!((summary.pipelines[0].accuracy, summary.pipelines[1].outcome), (Some(0.9), Standing::Missing));
    assert_eq!(summary.train_sizes.len(), 3);
}

#[test]
fn seconds_are_medians_and_memory_is_the_greatest() {
    let run = run_of(&["a"], &labels(), 2);
    let mut rows = [done("a", 0, &labels()), done("a", 1, &labels())];
    change(&mut rows[0]).fit = vec![Seconds(1.0), Seconds(2.0)];
    change(&mut rows[1]).fit = vec![Seconds(4.5)];
    change(&mut rows[1]).peak_rss_mb = 300.0;
    rows.iter_mut().for_each(|row| change(row).cpu = Seconds(0.0));
    let a = &summarise(&run, &rows).pipelines[0];
    // The median of 1, 2 and 4.5.
    assert_eq!((a.seconds.unwrap().fit, a.peak_rss_mb, a.cpu_seconds), (2.0, Some(300.0), None));
}

#[test]
fn rows_that_do_not_fit_the_labels_do_no_harm() {
    let run = run_of(&["a", "b"], &labels(), 2);
    let rows = [done("a", 0, &[0]), done("a", 1, &[9; 300]), done("b", 0, &labels())];
    let summary = summarise(&run, &rows);
    // Image 0 of the first is right, nothing else.
    assert_eq!(summary.pipelines[0].accuracy, Some(1.0 / 400.0));
    assert_eq!(details(&run, &rows).len(), 1);
    let nothing = run_of(&["a"], &[], 2);
    let rows = [done("a", 0, &[])];
    let summary = summarise(&nothing, &rows);
    assert_eq!((summary.pipelines[0].accuracy, summary.pipelines[0].outcome), (None, Standing::Done));
    assert!(verdict_line(&summary).starts_with("No pipeline has a result"));
}

#[test]
fn details_sum_confusions_over_seeds() {
    let run = run_of(&["a"], &[0, 0, 1], 3);
    let mut rows = [done("a", 0, &[0, 1, 1]), done("a", 1, &[0, 0, 2])];
    change(&mut rows[0]).trials = vec![];
    let detail = &details(&run, &rows)[0];
    assert_eq!(detail.confusion.counts, [[3, 1, 0], [0, 1, 1], [0, 0, 0]]);
    let classes: Vec<_> = detail.classes.iter().map(|c| (c.right, c.of, c.accuracy)).collect();
    assert_eq!(classes, [(3, 4, Some(0.75)), (1, 2, Some(0.5)), (0, 0, None)]);
    assert_eq!(detail.tuning.len(), 1);
    let tuned = &detail.tuning[0];
    assert_eq!((tuned.seed, tuned.trials, tuned.without_score), (1, 1, 0));
    assert_eq!(tuned.best, Some(("{\"classifier.l2\":0.001}".to_owned(), 0.9)));
}

#[test]
fn the_verdict_says_who_is_ahead_by_how_much_and_at_what_cost() {
    let (run, rows) = mixed();
    let line = verdict_line(&summarise(&run, &rows));
    assert!(
        line.starts_with(
            "net has the highest accuracy on shapes: 95.00% (95% bootstrap interval over seeds and images "
        )
    );
    assert!(
        line.contains(
            ", 2 seeds), 6.00 s from end to end (6.00 s to 6.00 s, 50%); it is better than linear by +20.00 points (+"
        ),
        "{line}"
    );
    assert!(line.contains("p < 0.001), which takes 6.00 s (6.00 s to 6.00 s, 75%)."), "{line}");
    assert!(line.ends_with("No result: words (refused), knn (failed)."), "{line}");
}

#[test]
fn the_verdict_of_few_or_equal_pipelines() {
    let run = run_of(&["a", "b"], &labels(), 2);
    let line = verdict_line(&summarise(&run, &[done("b", 0, &wrong_at(20, 1))]));
    assert_eq!(
        line,
        "b reaches 95.00% on shapes (95% Wilson interval over images 91.04% to 97.26%, 1 seed), 6.00 s from end to end (one timing). \
         No result: a (missing)."
    );
    let line = verdict_line(&summarise(&run, &[done("a", 0, &wrong_at(20, 2)), done("b", 0, &wrong_at(20, 1))]));
    assert!(line.contains("; it is not clearly different from b: 0.00 points ("), "{line}");
    assert!(line.ends_with("; one seed: about these two trained models only; exploratory."), "{line}");
    // A declared pair without the leader is spoken of by its own names.
    let mut run = run_of(&["a", "b", "c"], &labels(), 2);
    run.comparisons = vec![("b".to_owned(), "c".to_owned())];
    let rows = [done("a", 0, &labels()), done("b", 0, &wrong_at(2, 1)), done("c", 0, &wrong_at(20, 1))];
    let line = verdict_line(&summarise(&run, &rows));
    assert!(line.contains("6.00 s from end to end (one timing). b is worse than c by −45.00 points (−"), "{line}");
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]

    #[test]
    fn the_summary_does_not_depend_on_the_order_of_rows(order in Just((0..10).collect::<Vec<usize>>()).prop_shuffle()) {
        let (run, rows) = mixed();
        let shuffled: Vec<Row> = order.iter().map(|&i| rows[i].clone()).collect();
        prop_assert_eq!(summarise(&run, &shuffled), summarise(&run, &rows));
        prop_assert_eq!(details(&run, &shuffled), details(&run, &rows));
    }

    #[test]
    fn the_summary_does_not_depend_on_which_seed_is_which(order in Just(vec![0u64, 1, 2, 3]).prop_shuffle()) {
        let run = run_of(&["a", "b"], &labels(), 2);
        let rows = |seeds: &[u64]| -> Vec<Row> {
            let pair = |(i, &seed): (usize, &u64)| [done("a", seed, &wrong_at(9 + i, i)), done("b", seed, &wrong_at(8 + i, 2))];
            seeds.iter().enumerate().flat_map(pair).collect()
        };
        prop_assert_eq!(summarise(&run, &rows(&order)), summarise(&run, &rows(&[0, 1, 2, 3])));
    }

    #[test]
    fn no_predictions_make_it_panic(
        labels in proptest::collection::vec(0..3usize, 0..12),
        predicted in proptest::collection::vec(proptest::collection::vec(0..5usize, 0..14), 1..4),
    ) {
        let run = run_of(&["a", "b"], &labels, 3);
        let row = |(i, p): (usize, &Vec<usize>)| done(if i % 2 == 0 { "a" } else { "b" }, i as u64 / 2, p);
        let rows: Vec<Row> = predicted.iter().enumerate().map(row).collect();
        let summary = summarise(&run, &rows);
        for pipeline in &summary.pipelines {
            if let (Some(accuracy), Some(interval)) = (pipeline.accuracy, pipeline.interval) {
                prop_assert!(interval.contains(accuracy) && interval.lo >= 0.0 && interval.hi <= 1.0);
            }
        }
        prop_assert!(!verdict_line(&summary).contains("NaN"));
        details(&run, &rows);
    }
}

#[test]
fn more_seeds_are_asked_for_by_the_formula() {
    // 1000 images, three seeds; a is 2, 6 and 10 images ahead of b, and no image is wrong twice.
    let labels: Vec<usize> = (0..1000).map(|i| i % 2).collect();
    let flip = |from: usize, count: usize| -> Vec<usize> {
        labels.iter().enumerate().map(|(i, &t)| if (from..from + count).contains(&i) { 1 - t } else { t }).collect()
    };
    let mut run = run_of(&["a", "b"], &labels, 2);
    run.comparisons = vec![("a".to_owned(), "b".to_owned())];
    run.equivalence = 0.0;
    let rows = [
        done("a", 0, &flip(0, 10)),
        done("a", 1, &flip(20, 10)),
        done("a", 2, &flip(40, 10)),
        done("b", 0, &flip(100, 12)),
        done("b", 1, &flip(200, 16)),
        done("b", 2, &flip(300, 20)),
    ];
    let pair = &summarise(&run, &rows).comparisons[0];
    // Differences of 0.002, 0.006 and 0.010 have mean 0.006 and variance V₁ = 1.6e-5. Images: the sums over seeds are −1 at 30
    // images, 1 at 48, and ±3 at the two that join, so MSB = (96 − 18²/1002) / 1001 / 3 = 0.03186; the rest is
    // MSAB = (78 − 0.108 − 0.032 − 25.892) / 1998 = 0.02601, and V = (MSB − MSAB) / 3006 = 1.95e-6.
    // The critical value's square (`critical` of reference/student.py for V₁/n, n − 1 and V) is 4.45e-5 for n = 4 and 2.90e-5 for
    // n = 5; the room is 0.006² = 3.6e-5.
    assert_eq!((pair.verdict, pair.settling), (Verdict::Undecided, Some(Settling::MoreSeeds(2))));
    assert!(pair.note.contains("about 2 more seeds would settle it"), "{}", pair.note);
}

#[test]
fn what_is_open_is_told_once_and_what_each_took() {
    let labels: Vec<usize> = (0..200).map(|i| i % 2).collect();
    let mut run = run_of(&["a", "b", "c"], &labels, 2);
    run.comparisons = [("a", "b"), ("b", "c"), ("a", "missing")].map(|(a, b)| (a.to_owned(), b.to_owned())).to_vec();
    let with = |name: &str, seed: u64, seconds: f64, wrong: usize| {
        let predicted: Vec<usize> = labels
            .iter()
            .enumerate()
            .map(|(i, &t)| if (i + seed as usize) % 200 < wrong { 1 - t } else { t })
            .collect();
        let mut row = done(name, seed, &predicted);
        if let Outcome::Done(measured) = &mut row.outcome {
            measured.total = Seconds(seconds);
        }
        row
    };
    let rows = [
        with("a", 0, 2.0, 1),
        with("a", 1, 4.0, 2),
        with("b", 0, 6.0, 60),
        with("b", 1, 6.0, 60),
        with("c", 0, 1.0, 61),
        with("c", 1, 1.0, 60),
    ];
    let summary = summarise(&run, &rows);
    // The first line tells of a and b; the pair that could not be made is told in its own row.
    let open = still_open(&summary);
    assert_eq!(open.len(), 1, "{open:?}");
    assert!(open[0].starts_with("b and c are not told apart (") && open[0].ends_with('.'), "{open:?}");
    assert!(open[0].contains(": ") && summary.comparisons[1].settling.is_some(), "what would settle it: {open:?}");
    run.comparisons = vec![("b".to_owned(), "c".to_owned())];
    assert_eq!(still_open(&summarise(&run, &rows)), Vec::<String>::new(), "the first line tells of it");

    let spent = spendings(&run, &rows, "a");
    // Two timings each: the least and the greatest enclose the median with 1 − 2/4.
    let told: Vec<_> = spent.iter().map(|s| (s.name.as_str(), s.timings, s.interval.unwrap())).collect();
    let ends = |low, high| TimeInterval { low, high, level: 0.5 };
    assert_eq!(told, [("a", 2, ends(2.0, 4.0)), ("b", 2, ends(6.0, 6.0)), ("c", 2, ends(1.0, 1.0))]);
    let ratios: Vec<Option<f64>> = spent.iter().map(|s| s.beside_leader.map(|cost| cost.ratio)).collect();
    assert_eq!(ratios, [None, Some(2.0), Some(1.0 / 3.0)]);
}
