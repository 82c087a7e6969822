//! The facts of a run, as they are stored. Accuracies, intervals and verdicts are computed from them when asked for.

use serde::{Deserialize, Serialize};

/// Wall time in seconds.
#[derive(Debug, Clone, Copy, Default, PartialEq, PartialOrd, Serialize, Deserialize)]
pub struct Seconds(pub f64);

/// What a run is about, stored once.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Run {
    /// The experiment's name: the file's stem or the built-in's name.
    pub name: String,
    /// The question in words, as the file states it.
    pub question: String,
    /// The experiment file as written.
    pub as_written: String,
    /// The experiment as meant: every default filled in, as canonical JSON.
    pub as_meant: String,
    /// SHA-256 of `as_meant`, 64 hexadecimal digits: what identifies the experiment.
    pub digest: String,
    /// The data.
    pub dataset: Dataset,
    /// The machine.
    pub host: Host,
    /// Pipelines in the order of the file.
    pub pipelines: Vec<String>,
    /// Declared comparisons, each a pair of pipeline names.
    pub comparisons: Vec<(String, String)>,
    /// Level of the intervals, say 0.95.
    pub confidence: f64,
    /// Half width of the range of differences that count as none, as a fraction of accuracy, say 0.005.
    pub equivalence: f64,
    /// What the machine's clock is worth; `None` where it was not measured.
    #[serde(default)]
    pub noise: Option<Noise>,
}

/// How far two timings of the same work lay apart on the machine when the run began: its A/A noise.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Noise {
    /// Pairs of timings.
    pub pairs: usize,
    /// The ratio of the slower to the faster one of a pair that 95% of pairs stay below, say 1.08.
    pub ratio: f64,
}

/// The data of a run, as it was used.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Dataset {
    /// Its name or folder.
    pub name: String,
    /// SHA-256 over classes, sizes, pixels and labels of all parts, 64 hexadecimal digits.
    pub sha256: String,
    /// Class names; a class id is a position in here.
    pub classes: Vec<String>,
    /// (height, width, channels).
    pub shape: (usize, usize, usize),
    /// Images a class in the training part.
    pub train_counts: Vec<usize>,
    /// Images a class in the test part.
    pub test_counts: Vec<usize>,
    /// The class id of every test image.
    pub test_labels: Vec<usize>,
    /// What was done to the data on its way in.
    pub notes: Vec<String>,
    /// (path, bytes, SHA-256) of each file.
    pub files: Vec<(String, u64, String)>,
    /// Duplicates and other oddities; `None` where nobody looked.
    #[serde(default)]
    pub audit: Option<Audit>,
}

/// What an audit of the images found.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Audit {
    /// Pairs of images with the same pixels.
    pub exact: Duplicates,
    /// Pairs of images that look the same and are not.
    pub near: Duplicates,
    /// Pairs of either kind whose labels differ.
    pub conflicts: usize,
    /// Images of one single value.
    pub constant: usize,
    /// Images that could not be read and were left out.
    pub unreadable: usize,
    /// Some of the pairs, those across parts and with different labels first.
    pub pairs: Vec<DuplicatePair>,
}

/// Numbers of pairs, or of test images, that are duplicates.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Duplicates {
    /// Pairs within the training part.
    pub train: usize,
    /// Pairs within the test part.
    pub test: usize,
    /// Test images with a duplicate in the training part.
    pub across: usize,
}

/// Two images that are the same or look the same.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct DuplicatePair {
    /// Whether all pixels are the same.
    pub exact: bool,
    /// The one.
    pub a: ImagePlace,
    /// The other.
    pub b: ImagePlace,
}

/// An image of a dataset.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ImagePlace {
    /// Whether it is in the test part.
    pub test: bool,
    /// Its position in its part.
    pub position: usize,
    /// Its class id.
    pub label: usize,
    /// Its file, where it has one of its own.
    pub file: Option<String>,
}

/// The machine and program of a run.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Host {
    /// The processor's own name.
    pub cpu: String,
    /// Logical processors.
    pub cores: usize,
    /// Threads that the run used.
    pub threads: usize,
    /// Vector instructions that the kernels found at run time.
    pub simd: String,
    /// Memory in MB, 0 where unknown.
    pub memory_mb: u64,
    /// Operating system and kernel.
    pub os: String,
    /// Version of bakeoff.
    pub version: String,
    /// Commit of the source, empty where unknown.
    pub commit: String,
}

/// One piece of work: a pipeline on a dataset with a seed and a training size.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Cell {
    /// The pipeline's name.
    pub pipeline: String,
    /// The seed.
    pub seed: u64,
    /// Training images asked for; `None` means all.
    pub train_size: Option<usize>,
    /// SHA-256 of everything that decides the result (dataset, pipeline as meant, protocol, seed, size), 64 hexadecimal digits.
    pub digest: String,
}

/// A cell and what came of it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Row {
    /// What was to be done.
    pub cell: Cell,
    /// What came of it.
    pub outcome: Outcome,
}

/// What came of a cell. Failures are rows too.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "outcome", rename_all = "lowercase")]
pub enum Outcome {
    /// It was measured.
    Done(Box<Measured>),
    /// The pipeline does not take this input.
    Refused {
        /// Why.
        reason: String,
    },
    /// It broke: diverged, ran out of time, panicked.
    Failed {
        /// How.
        error: String,
    },
}

/// What was measured of a cell.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Measured {
    /// Training images of the final fit.
    pub n_train: usize,
    /// Predicted class id of every test image, in the order of `Dataset::test_labels`.
    pub predicted: Vec<usize>,
    /// The score of every test image for every class, row by row (n, k); empty where it is not kept, and in what
    /// [`crate::Store::rows`] gives: [`crate::Store::scores`] reads it.
    #[serde(default)]
    pub scores: Vec<f32>,
    /// d, the numbers an image became.
    pub dim: usize,
    /// Wall seconds of extraction for training and test images, fitting the extractor included; one entry a timing: the cell's own
    /// first, then those of its repeats ([`Repeat`]).
    pub features: Vec<Seconds>,
    /// Wall seconds of the final fit, scaling included; one entry a timing.
    pub fit: Vec<Seconds>,
    /// Wall seconds of all tuning trials.
    pub tune: Seconds,
    /// Wall seconds of scoring all test rows, features excluded; one entry a timing.
    pub predict: Vec<Seconds>,
    /// Wall seconds of one image alone, from its pixels to its class; one entry a timed image, in the order of timing.
    #[serde(default)]
    pub latency: Vec<Seconds>,
    /// Wall seconds of the cell from end to end.
    pub total: Seconds,
    /// CPU seconds of the cell from end to end, over all threads; 0 where unknown.
    pub cpu: Seconds,
    /// Threads.
    pub threads: usize,
    /// Peak resident memory of the process during the cell in MB, 0 where unknown.
    pub peak_rss_mb: f64,
    /// Bytes of the trained model: features, scaler and classifier.
    pub model_bytes: usize,
    /// Passes or iterations of the final fit.
    pub epochs: usize,
    /// Whether the final fit met its stopping criterion.
    pub converged: bool,
    /// Whether the result does not depend on the seed.
    pub deterministic: bool,
    /// Loss of each pass of the final fit.
    pub curve: Vec<EpochLoss>,
    /// Every tuning trial, in order; empty where nothing was searched.
    pub trials: Vec<Trial>,
    /// What the reader must know, in sentences (a size was clipped to what is there, say).
    pub notes: Vec<String>,
}

impl Measured {
    /// The share of predicted ids that equal their label; `None` when there is no image or not a label for each.
    pub fn accuracy(&self, labels: &[usize]) -> Option<f64> {
        let n = self.predicted.len();
        let right = self.predicted.iter().zip(labels).filter(|(id, label)| id == label).count();
        (n > 0 && n == labels.len()).then(|| right as f64 / n as f64)
    }

    /// Adds the timing of a repeat.
    pub(crate) fn add(&mut self, repeat: &Repeat) {
        self.features.push(repeat.features);
        self.fit.push(repeat.fit);
        self.predict.push(repeat.predict);
        if !repeat.same {
            self.notes
                .push(format!("repeat {} for its time predicted otherwise: the same seed, other bits", repeat.number));
        }
    }
}

/// The fit and the scores of a finished cell once more, with the settings that were chosen the first time, so that there is more than
/// one timing. Repeats of different pipelines take turns.
#[derive(Debug, Clone, PartialEq)]
pub struct Repeat {
    /// The cell.
    pub digest: String,
    /// Which repeat, from 1.
    pub number: usize,
    /// Wall seconds of extraction, as in [`Measured::features`].
    pub features: Seconds,
    /// Wall seconds of the fit.
    pub fit: Seconds,
    /// Wall seconds of scoring.
    pub predict: Seconds,
    /// Whether it predicted what the first fit did. It must: the same seed gives the same bits.
    pub same: bool,
}

/// A point of a training curve.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct EpochLoss {
    /// Pass, from 1.
    pub epoch: usize,
    /// Mean training loss of the pass.
    pub loss: f64,
}

/// One tuning trial.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Trial {
    /// The values tried, as a JSON object from key to value.
    pub settings: String,
    /// Validation images that were right; `None` when the trial was refused or failed.
    pub right: Option<usize>,
    /// Validation images.
    pub of: usize,
    /// Why there is no score; empty where there is one.
    pub error: String,
    /// Wall seconds.
    pub seconds: Seconds,
}

/// Counts of true against predicted classes.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Confusion {
    /// `counts[truth][predicted]`, k by k.
    pub counts: Vec<Vec<usize>>,
}

impl Confusion {
    /// Counts pairs of (true, predicted) class ids.
    ///
    /// # Panics
    /// When the lists have different lengths or an id is not below `n_classes`.
    pub fn of(truth: &[usize], predicted: &[usize], n_classes: usize) -> Self {
        assert_eq!(truth.len(), predicted.len(), "labels and predictions");
        let mut counts = vec![vec![0; n_classes]; n_classes];
        for (&t, &p) in truth.iter().zip(predicted) {
            counts[t][p] += 1;
        }
        Self { counts }
    }

    /// Images on the diagonal.
    pub fn right(&self) -> usize {
        self.counts.iter().enumerate().map(|(i, row)| row[i]).sum()
    }

    /// All images.
    pub fn total(&self) -> usize {
        self.counts.iter().flatten().sum()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_confusion_matrix_counts_truth_in_rows() {
        let confusion = Confusion::of(&[0, 0, 1], &[0, 1, 1], 2);
        assert_eq!(confusion.counts, [[1, 1], [0, 1]]);
        assert_eq!((confusion.right(), confusion.total()), (2, 3));
    }
}
