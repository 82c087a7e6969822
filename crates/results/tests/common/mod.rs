//! A small run and rows of it, for every test of this crate.

#![allow(dead_code, reason = "each test file uses its own part of these")]

use bakeoff_results::{Cell, Dataset, EpochLoss, Host, Measured, Outcome, Row, Run, Seconds, Trial};

/// A run about these test labels of `n_classes` classes.
pub(crate) fn run_of(pipelines: &[&str], test_labels: &[usize], n_classes: usize) -> Run {
    let classes: Vec<String> = (0..n_classes).map(|i| format!("class {i}")).collect();
    Run {
        name: "sample".to_owned(),
        question: "Which one?".to_owned(),
        as_written: "dataset = \"shapes\"\n".to_owned(),
        as_meant: "{\"dataset\":\"shapes\"}".to_owned(),
        digest: "ab".repeat(32),
        dataset: Dataset {
            name: "shapes".to_owned(),
            sha256: "cd".repeat(32),
            train_counts: vec![7; n_classes],
            test_counts: (0..n_classes).map(|k| test_labels.iter().filter(|&&t| t == k).count()).collect(),
            classes,
            shape: (32, 32, 3),
            test_labels: test_labels.to_vec(),
            notes: vec!["generated".to_owned()],
            files: vec![("train.bin".to_owned(), 12, "ef".repeat(32))],
            audit: None,
        },
        host: Host {
            cpu: "a processor".to_owned(),
            cores: 2,
            threads: 2,
            simd: "avx2".to_owned(),
            memory_mb: 4096,
            os: "an os".to_owned(),
            version: "0.1.0".to_owned(),
            commit: String::new(),
        },
        pipelines: pipelines.iter().map(|&p| p.to_owned()).collect(),
        comparisons: Vec::new(),
        confidence: 0.95,
        equivalence: 0.005,
        noise: None,
    }
}

/// What was measured, with these predictions and plain other values.
pub(crate) fn measured(predicted: &[usize]) -> Measured {
    Measured {
        n_train: 70,
        predicted: predicted.to_vec(),
        scores: Vec::new(),
        dim: 36,
        features: vec![Seconds(0.25)],
        fit: vec![Seconds(1.5)],
        tune: Seconds(4.0),
        predict: vec![Seconds(0.125)],
        latency: Vec::new(),
        total: Seconds(6.0),
        cpu: Seconds(11.0),
        threads: 2,
        peak_rss_mb: 100.5,
        model_bytes: 1480,
        epochs: 3,
        converged: true,
        deterministic: false,
        curve: vec![EpochLoss { epoch: 1, loss: 0.1 + 0.2 }],
        trials: vec![Trial {
            settings: "{\"classifier.l2\":0.001}".to_owned(),
            right: Some(9),
            of: 10,
            error: String::new(),
            seconds: Seconds(4.0),
        }],
        notes: Vec::new(),
    }
}

/// A cell whose digest is made of its own fields.
pub(crate) fn cell(pipeline: &str, seed: u64, train_size: Option<usize>) -> Cell {
    let digest = format!("{pipeline}/{seed}/{train_size:?}");
    Cell { pipeline: pipeline.to_owned(), seed, train_size, digest }
}

/// A finished row on all training images.
pub(crate) fn done(pipeline: &str, seed: u64, predicted: &[usize]) -> Row {
    Row { cell: cell(pipeline, seed, None), outcome: Outcome::Done(Box::new(measured(predicted))) }
}

/// A row that failed.
pub(crate) fn failed(pipeline: &str, seed: u64, error: &str) -> Row {
    Row { cell: cell(pipeline, seed, None), outcome: Outcome::Failed { error: error.to_owned() } }
}

/// A row that was refused.
pub(crate) fn refused(pipeline: &str, seed: u64, reason: &str) -> Row {
    Row { cell: cell(pipeline, seed, None), outcome: Outcome::Refused { reason: reason.to_owned() } }
}
