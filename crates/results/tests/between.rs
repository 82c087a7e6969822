//! Pipelines of two runs beside one another.

mod common;

use bakeoff_results::between::{Side, between};
use bakeoff_results::{Cell, Outcome, Row, Run, compare, unpaired, wilson};

/// A run of 200 images with one pipeline that is right on the first so many.
fn run(name: &str, sha256: &str, right: usize) -> (Run, Vec<Row>) {
    let labels: Vec<usize> = (0..200).map(|i| i % 2).collect();
    let mut run = common::run_of(&[name], &labels, 2);
    sha256.clone_into(&mut run.dataset.sha256);
    let predicted: Vec<usize> =
        labels.iter().enumerate().map(|(i, &label)| if i < right { label } else { 1 - label }).collect();
    let cell = Cell { pipeline: name.to_owned(), seed: 0, train_size: None, digest: name.to_owned() };
    let row = Row { cell, outcome: Outcome::Done(Box::new(common::measured(&predicted))) };
    (run, vec![row])
}

#[test]
fn the_same_images_are_paired_as_in_one_run() {
    let ((run_a, rows_a), (run_b, rows_b)) = (run("p", "x", 180), run("p", "x", 150));
    let found = between(
        Side { called: "a", run: &run_a, rows: &rows_a },
        Side { called: "b", run: &run_b, rows: &rows_b },
        &[("p".to_owned(), "p".to_owned())],
    );
    assert_eq!(found.why_unpaired, None);
    // One run with both pipelines says the same.
    let mut both = run_a.clone();
    both.pipelines = vec!["p".to_owned(), "q".to_owned()];
    let mut rows = rows_a.clone();
    let mut other = rows_b[0].clone();
    other.cell.pipeline = "q".to_owned();
    rows.push(other);
    let wanted = compare(&both, &rows, "p", "q");
    let pair = &found.comparisons[0];
    assert_eq!((pair.a.as_str(), pair.b.as_str()), ("a:p", "b:p"));
    assert_eq!((pair.difference, pair.interval, pair.p_value), (wanted.difference, wanted.interval, wanted.p_value));
    assert!(pair.exploratory);
}

#[test]
fn training_sizes_may_differ_between_the_runs() {
    let ((run_a, mut rows_a), (run_b, rows_b)) = (run("p", "x", 180), run("p", "x", 150));
    rows_a[0].cell.train_size = Some(50);
    let (a, b) = (Side { called: "a", run: &run_a, rows: &rows_a }, Side { called: "b", run: &run_b, rows: &rows_b });
    let found = between(a, b, &[("p".to_owned(), "p".to_owned())]);
    assert!((found.comparisons[0].difference.unwrap() - 0.15).abs() < 1e-12);
}

#[test]
fn other_images_give_an_unpaired_interval_and_say_why() {
    let ((run_a, rows_a), (run_b, rows_b)) = (run("p", "x", 180), run("q", "y", 150));
    let (a, b) = (Side { called: "a", run: &run_a, rows: &rows_a }, Side { called: "b", run: &run_b, rows: &rows_b });
    let pairs = [("p".to_owned(), "q".to_owned()), ("p".to_owned(), "nobody".to_owned())];
    let found = between(a, b, &pairs);
    assert!(found.why_unpaired.unwrap().contains("nothing can be paired"));
    let pair = &found.comparisons[0];
    let wanted = unpaired(0.9, wilson(180, 200, 0.95), 0.75, wilson(150, 200, 0.95));
    assert_eq!((pair.interval, pair.p_adjusted), (Some(wanted), None));
    assert_eq!(pair.winner.as_deref(), Some("a:p"));
    assert_eq!(found.comparisons[1].difference, None);
}
