//! The same rows give the same bytes: in any order, in any thread, and as often as one asks. And times within the machine's noise are said to be.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

mod common;

use bakeoff_results::export::mlflow::records;
use bakeoff_results::export::{csv, json_lines, parquet};
use bakeoff_results::{Noise, Outcome, Row, Run, Seconds, details, summarise, verdict_line};
use common::{cell, done, failed, refused, run_of};
use rand::Rng;
use rand::seq::SliceRandom;
use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::SeedableRng;

/// Three pipelines at three training sizes with four seeds, one that was refused and one that failed.
fn sample() -> (Run, Vec<Row>) {
    let mut rng = ChaCha8Rng::seed_from_u64(5);
    let labels: Vec<usize> = (0..300).map(|i| i % 3).collect();
    let run = run_of(&["a", "b", "c", "refused", "failed"], &labels, 3);
    let mut rows = vec![refused("refused", 0, "too small"), failed("failed", 2, "out of time")];
    for (place, name) in ["a", "b", "c"].into_iter().enumerate() {
        for (step, size) in [Some(50), Some(500), None].into_iter().enumerate() {
            for seed in 0..4 {
                let wrong = 0.4 - 0.1 * step as f64 * if place == 1 { 1.5 } else { 1.0 };
                let predicted: Vec<usize> =
                    labels.iter().map(|&t| if rng.gen_bool(wrong) { (t + 1) % 3 } else { t }).collect();
                let mut row = Row { cell: cell(name, seed, size), ..done(name, seed, &predicted) };
                if let Outcome::Done(measured) = &mut row.outcome {
                    measured.n_train = size.unwrap_or(5000);
                    measured.scores = (0..900).map(|_| rng.gen_range(-1.0..1.0)).collect();
                }
                rows.push(row);
            }
        }
    }
    (run, rows)
}

/// All that is made of rows, as bytes.
fn everything(run: &Run, rows: &[Row]) -> Vec<Vec<u8>> {
    let summary = summarise(run, rows);
    assert_eq!(summary.crossings.len(), 2, "pairs with learning curves");
    let scores = |row: &Row| match &row.outcome {
        Outcome::Done(measured) => Ok(measured.scores.clone()),
        _ => Ok(Vec::new()),
    };
    let (mut cells, mut predictions) = (Vec::new(), Vec::new());
    parquet::cells(run, rows, &mut cells).unwrap();
    parquet::predictions(run, rows, scores, &mut predictions).unwrap();
    vec![
        serde_json::to_vec(&summary).unwrap(),
        verdict_line(&summary).into_bytes(),
        serde_json::to_vec(&details(run, rows)).unwrap(),
        csv(run, rows).into_bytes(),
        json_lines(run, rows).unwrap().into_bytes(),
        serde_json::to_vec(&records(run, rows)).unwrap(),
        cells,
        predictions,
    ]
}

#[test]
fn the_same_rows_give_the_same_bytes() {
    let (run, rows) = sample();
    let wanted = everything(&run, &rows);
    assert!(wanted.iter().all(|bytes| bytes.len() > 100));
    assert_eq!(everything(&run, &rows), wanted, "asked again");
    let mut rng = ChaCha8Rng::seed_from_u64(6);
    let shuffled: Vec<Vec<Row>> = (0..4)
        .map(|_| {
            let mut rows = rows.clone();
            rows.shuffle(&mut rng);
            rows
        })
        .collect();
    std::thread::scope(|scope| {
        let threads: Vec<_> = shuffled.iter().map(|rows| scope.spawn(|| everything(&run, rows))).collect();
        for thread in threads {
            assert_eq!(thread.join().unwrap(), wanted, "in another order and thread");
        }
    });
}

#[test]
fn times_within_the_noise_are_told() {
    let labels: Vec<usize> = (0..200).map(|i| i % 2).collect();
    let mut run = run_of(&["fast", "slow"], &labels, 2);
    run.comparisons = vec![("slow".to_owned(), "fast".to_owned())];
    let with = |name: &str, seconds: f64, wrong: usize| {
        let predicted: Vec<usize> =
            labels.iter().enumerate().map(|(i, &t)| if i < wrong { 1 - t } else { t }).collect();
        let mut row = done(name, 0, &predicted);
        if let Outcome::Done(measured) = &mut row.outcome {
            measured.total = Seconds(seconds);
        }
        row
    };
    let rows = [with("fast", 2.0, 40), with("slow", 2.1, 2)];
    let cost = |run: &Run| summarise(run, &rows).comparisons[0].cost.unwrap();
    let unknown = cost(&run);
    assert!((unknown.ratio - 1.05).abs() < 1e-12 && unknown.within_noise.is_none());
    assert_eq!(unknown.in_words(), "takes 1.05 times as long (2.10 s and 2.00 s)");
    run.noise = Some(Noise { pairs: 40, ratio: 1.08 });
    assert_eq!(cost(&run).within_noise, Some(true));
    assert_eq!(cost(&run).in_words(), "is not told apart in time, within the machine's noise (2.10 s and 2.00 s)");
    let line = verdict_line(&summarise(&run, &rows));
    assert!(
        line.contains("which takes 2.00 s (one timing; no difference that this machine's clock could tell)"),
        "{line}"
    );
    // The other way round it is the same noise.
    run.comparisons = vec![("fast".to_owned(), "slow".to_owned())];
    assert_eq!(cost(&run).within_noise, Some(true));
    run.noise = Some(Noise { pairs: 40, ratio: 1.02 });
    assert_eq!(cost(&run).within_noise, Some(false));
    assert_eq!(cost(&run).in_words(), "is 1.05 times as fast (2.00 s and 2.10 s)");
}
