//! A made-up run with everything that a report must cope with.

#![allow(dead_code, reason = "each test file uses its own part of these")]

use bakeoff_results::{Cell, Dataset, EpochLoss, Host, Measured, Outcome, Row, Run, Seconds, Trial};

/// Names that would break a careless report, and the others.
pub(crate) const PIPELINES: [&str; 7] = [
    "hog-svm",
    "mlp-2",
    "pixels-softmax",
    "a \"quoted\" | piped\nname",
    "שלום `code` *star*",
    "visual-words-svm",
    "fisher-svm",
];

/// Ten classes, one of them hostile.
pub(crate) const CLASSES: [&str; 10] = [
    "T-shirt",
    "trouser",
    "pullover",
    "dress",
    "<script>alert(1)</script>",
    "sandal",
    "shirt & \"co\"",
    "sneaker",
    "a bag with a very long name that goes on and on",
    "\u{202e}toob elkna",
];

/// A linear congruential generator (Knuth's MMIX): the same numbers everywhere.
struct Random(u64);

impl Random {
    fn below(&mut self, n: usize) -> usize {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        ((self.0 >> 33) as usize) % n
    }
}

/// The run.
pub(crate) fn run() -> Run {
    let n_test = 1000;
    Run {
        name: "clothing".to_owned(),
        question: "Does a two-layer network beat HoG with a linear SVM on clothing?".to_owned(),
        as_written:
            "question = \"Does a two-layer network beat HoG?\"\ndataset = \"fashion-mnist\"\nseeds = 3\n# ``` <b>\n"
                .to_owned(),
        as_meant: "{}".to_owned(),
        digest: "0123456789abcdef".repeat(4),
        dataset: Dataset {
            name: "fashion-mnist".to_owned(),
            sha256: "fedcba9876543210".repeat(4),
            classes: CLASSES.map(str::to_owned).to_vec(),
            shape: (28, 28, 1),
            train_counts: vec![6000; 10],
            test_counts: vec![n_test / 10; 10],
            test_labels: (0..n_test).map(|i| i % 10).collect(),
            notes: vec!["2 images occur in both parts".to_owned(), "grey, <b>not</b> colour".to_owned()],
            files: (0..23).map(|i| (format!("folder/part|{i}.gz"), 1000 + i, "ab".repeat(32))).collect(),
            audit: None,
        },
        host: Host {
            cpu: "AMD EPYC 9555 64-Core Processor".to_owned(),
            cores: 2,
            threads: 2,
            simd: "avx512".to_owned(),
            memory_mb: 7936,
            os: "Debian GNU/Linux 12, Linux 6.1".to_owned(),
            version: "0.1.0".to_owned(),
            commit: String::new(),
        },
        pipelines: PIPELINES.map(str::to_owned).to_vec(),
        comparisons: Vec::new(),
        confidence: 0.95,
        equivalence: 0.005,
        noise: None,
    }
}

/// Its rows: three seeds of five pipelines, one of which lost a seed and one of which is deterministic, one that was refused and one
/// that failed.
pub(crate) fn rows() -> Vec<Row> {
    let mut rows = Vec::new();
    for seed in 0..3 {
        rows.push(done("hog-svm", seed, 90));
        rows.push(done("mlp-2", seed, 89));
        rows.push(done(PIPELINES[4], seed, 60));
        rows.push(row(
            "fisher-svm",
            seed,
            Outcome::Failed { error: "the loss is NaN in epoch 3, step 1: <i>lower</i> it".to_owned() },
        ));
        let refused = "cell 7 does not divide side 32, and 32 is not to be cropped".to_owned();
        rows.push(row("visual-words-svm", seed, Outcome::Refused { reason: refused }));
    }
    let mut fixed = done("pixels-softmax", 0, 84);
    if let Outcome::Done(measured) = &mut fixed.outcome {
        measured.deterministic = true;
        measured.converged = false;
        measured.trials.clear();
    }
    rows.push(fixed);
    rows.push(done(PIPELINES[3], 0, 75));
    rows.push(done(PIPELINES[3], 1, 75));
    rows.push(row(PIPELINES[3], 2, Outcome::Failed { error: "out of time".to_owned() }));
    rows
}

/// The rows and those of two smaller training sizes.
pub(crate) fn rows_of_sizes() -> Vec<Row> {
    let smaller = |mut row: Row, size: usize| {
        if let Outcome::Done(measured) = &mut row.outcome {
            measured.n_train = size;
        }
        Row { cell: Cell { train_size: Some(size), digest: format!("{}/{size}", row.cell.digest), ..row.cell }, ..row }
    };
    let mut all = rows();
    for (size, loss) in [(500, 20), (5000, 6)] {
        for seed in 0..3 {
            all.push(smaller(done("hog-svm", seed, 90 - loss), size));
            all.push(smaller(done("mlp-2", seed, 89 - 2 * loss), size));
        }
    }
    all
}

fn row(pipeline: &str, seed: u64, outcome: Outcome) -> Row {
    let cell = Cell { pipeline: pipeline.to_owned(), seed, train_size: None, digest: format!("{pipeline}/{seed}") };
    Row { cell, outcome }
}

/// A row that is right with this chance in a hundred; half of the mistakes go to the next class but one.
fn done(pipeline: &str, seed: u64, chance: usize) -> Row {
    let mut random = Random(seed * 1000 + chance as u64);
    let guess = |label: usize, random: &mut Random| match random.below(100) {
        n if n < chance => label,
        n if n < usize::midpoint(100, chance) => (label + 2) % 10,
        _ => random.below(10),
    };
    let predicted = (0..1000).map(|i| guess(i % 10, &mut random)).collect();
    let scale = 1.0 + seed as f64 / 10.0;
    let trial = |i: usize| Trial {
        settings: format!("{{\"classifier.l2\":1e-{i}}}"),
        right: (i != 2).then_some(500 + 10 * i),
        of: 600,
        error: if i == 2 { "diverged".to_owned() } else { String::new() },
        seconds: Seconds(2.0),
    };
    let measured = Measured {
        n_train: 60_000,
        predicted,
        scores: Vec::new(),
        dim: 1296,
        features: vec![Seconds(1.7 * scale)],
        fit: vec![Seconds(9.25 * scale)],
        tune: Seconds(88.0 * scale),
        predict: vec![Seconds(0.012 * scale)],
        latency: Vec::new(),
        total: Seconds(101.0 * scale),
        cpu: Seconds(180.0 * scale),
        threads: 2,
        peak_rss_mb: 612.4,
        model_bytes: 51_880,
        epochs: 20,
        converged: true,
        deterministic: false,
        curve: vec![EpochLoss { epoch: 1, loss: 0.7 }, EpochLoss { epoch: 2, loss: 0.5 }],
        trials: (0..4).map(trial).collect(),
        notes: Vec::new(),
    };
    row(pipeline, seed, Outcome::Done(Box::new(measured)))
}
