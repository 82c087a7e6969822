//! Small recipes, data and a machine for this crate's tests.

use crate::machine::Machine;
use crate::material::Material;
use crate::observer::{Event, Observer};
use crate::{Catalogues, Experiment, Vocabulary};
use bakeoff_core::params::{NonNegative, Positive};
use bakeoff_core::rows::for_each_block;
use bakeoff_core::*;
use bakeoff_results::Seconds;
use ndarray::{Array1, Array2, Array4, ArrayView2, ArrayViewMut2, Axis};
use rand::Rng;
use serde::{Deserialize, Serialize};
use std::sync::atomic::AtomicBool;

/// Pixels times a factor.
#[derive(Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct Grey {
    factor: Positive,
}

impl Default for Grey {
    fn default() -> Self {
        Self { factor: Positive::literal(1.0) }
    }
}

impl Recipe for Grey {
    const NAME: &'static str = "grey";
    const SUMMARY: &'static str = "pixels";
    const REFERENCE: &'static str = "none";
}

struct GreyEncoder(usize, f32);

impl Extractor for Grey {
    fn fit(&self, train: ImagesView<'_>, _: Seed) -> Result<Box<dyn Encoder>, ExtractError> {
        Ok(Box::new(GreyEncoder(train.stride(), self.factor.get() as f32)))
    }

    fn restore(&self, shape: (usize, usize, usize), learned: Tensors) -> Result<Box<dyn Encoder>, RestoreError> {
        learned.finish()?;
        Ok(Box::new(GreyEncoder(shape.0 * shape.1 * shape.2, self.factor.get() as f32)))
    }
}

impl Encoder for GreyEncoder {
    fn dim(&self) -> usize {
        self.0
    }

    fn learned(&self) -> Tensors {
        Tensors::new()
    }

    fn encode_into(&self, images: ImagesView<'_>, mut out: ArrayViewMut2<'_, f32>) {
        for (bytes, mut row) in images.iter().zip(out.outer_iter_mut()) {
            for (value, &byte) in row.iter_mut().zip(bytes) {
                *value = f32::from(byte) * self.1;
            }
        }
    }
}

/// Features of a number that nobody has the memory for.
#[derive(Serialize, Deserialize, Default)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct Immense {}

impl Recipe for Immense {
    const NAME: &'static str = "immense";
    const SUMMARY: &'static str = "too much";
    const REFERENCE: &'static str = "none";
}

impl Extractor for Immense {
    fn fit(&self, _: ImagesView<'_>, _: Seed) -> Result<Box<dyn Encoder>, ExtractError> {
        Ok(Box::new(GreyEncoder(usize::MAX / 2, 1.0)))
    }

    fn restore(&self, _: (usize, usize, usize), _: Tensors) -> Result<Box<dyn Encoder>, RestoreError> {
        Err(RestoreError::refused("too much"))
    }
}

/// The nearest class mean, with what a test wants to go wrong.
#[derive(Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct Centroid {
    /// Deviation of noise put on the means; above 0 the seed matters.
    noise: NonNegative,
    /// What goes wrong: "nothing", "refuse", "diverge", "panic", "nan".
    wrong: Wrong,
    epochs: usize,
}

#[derive(Serialize, Deserialize, PartialEq)]
#[serde(rename_all = "lowercase")]
enum Wrong {
    Nothing,
    Refuse,
    Diverge,
    Panic,
    Nan,
}

impl Default for Centroid {
    fn default() -> Self {
        Self { noise: NonNegative::literal(0.0), wrong: Wrong::Nothing, epochs: 3 }
    }
}

impl Recipe for Centroid {
    const NAME: &'static str = "centroid";
    const SUMMARY: &'static str = "the nearest class mean";
    const REFERENCE: &'static str = "none";
    const SEARCH: &'static str = "noise = { uniform = [0.0, 1.0] }";
}

struct Means(Array2<f32>, bool);

impl Classifier for Centroid {
    fn fit(&self, x: &dyn Rows, y: &Labels, seed: Seed, on: &mut OnEpoch<'_>) -> Result<Fitted, FitError> {
        match self.wrong {
            Wrong::Refuse => return Err(FitError::refused("it does not want to")),
            Wrong::Diverge => return Err(FitError::NonFinite { epoch: 2, step: 1, loss: f64::NAN }),
            Wrong::Panic => panic!("a planted bug"),
            Wrong::Nothing | Wrong::Nan => {}
        }
        let mut means = Array2::zeros((y.n_classes(), x.dim()));
        for_each_block(x, 0, x.n_rows(), 16, |first, rows| {
            for (row, &id) in rows.outer_iter().zip(&y.as_slice()[first..]) {
                let mut mean = means.index_axis_mut(Axis(0), id);
                mean.scaled_add(1.0 / y.counts()[id] as f32, &row);
            }
        });
        let mut rng = seed.rng();
        means.mapv_inplace(|v| v + self.noise.get() as f32 * rng.gen_range(-1.0f32..1.0));
        for number in 1..=self.epochs {
            if on(Epoch::new(number, self.epochs, 1.0 / number as f64)).is_break() {
                break;
            }
        }
        let model = Box::new(Means(means, self.wrong == Wrong::Nan));
        Ok(Fitted { model, epochs: self.epochs, converged: true })
    }

    fn is_deterministic(&self) -> bool {
        self.noise.get() == 0.0
    }

    /// One that refuses all rows need not know of augmented ones.
    fn learns_augmented(&self) -> bool {
        self.wrong != Wrong::Refuse
    }

    fn score_kind(&self) -> ScoreKind {
        ScoreKind::Logit
    }

    fn restore(&self, d: usize, n_classes: usize, mut learned: Tensors) -> Result<Box<dyn Model>, RestoreError> {
        let means = learned.matrix("means", n_classes, d)?;
        learned.finish()?;
        Ok(Box::new(Means(means, self.wrong == Wrong::Nan)))
    }
}

impl Model for Means {
    fn scores(&self, x: ArrayView2<'_, f32>) -> Array2<f32> {
        let distance = |(i, k)| -> f32 { (&x.row(i) - &self.0.row(k)).mapv(|d| d * d).sum() };
        let nan = self.1;
        Array2::from_shape_fn((x.nrows(), self.0.nrows()), |at| if nan { f32::NAN } else { -distance(at) })
    }

    fn model_bytes(&self) -> usize {
        self.0.len() * size_of::<f32>()
    }

    fn learned(&self) -> Tensors {
        Tensors::new().with("means", &self.0)
    }
}

const EXTRACTORS: &[Entry<dyn Extractor>] = &[Entry::extractor::<Grey>(), Entry::extractor::<Immense>()];
const CLASSIFIERS: &[Entry<dyn Classifier>] = &[Entry::classifier::<Centroid>()];

pub(crate) const CATALOGUES: Catalogues<'static> =
    Catalogues { extractors: &[EXTRACTORS], classifiers: &[CLASSIFIERS] };

fn check_dataset(table: &toml::Table) -> Vec<ParamError> {
    let problem = |key: &String| ParamError { key: key.clone(), problem: "unknown key".to_owned() };
    table.keys().filter(|key| *key != "folder").map(problem).collect()
}

pub(crate) const VOCABULARY: Vocabulary<'static> = Vocabulary { catalogues: CATALOGUES, check_dataset: &check_dataset };

/// Two classes of 2×2 grey images, the second brighter, no two images of a part alike below 100.
pub(crate) fn splits(n_train: usize, n_test: usize) -> Splits {
    let labelled = |n: usize, salt: usize| {
        let pixel = |(i, y, x, _): (usize, usize, usize, usize)| {
            let class = i % 2;
            (60 + class * 40 + (i * 7 + salt) % 100 + y + 2 * x) as u8
        };
        let images = Images::new(Array4::from_shape_fn((n, 2, 2, 1), pixel)).unwrap();
        let labels = Labels::new(Array1::from_shape_fn(n, |i| i % 2), 2).unwrap();
        Labelled::new(images, labels).unwrap()
    };
    Splits {
        classes: vec!["dark".to_owned(), "bright".to_owned()],
        train: labelled(n_train, 0),
        validation: None,
        test: labelled(n_test, 3),
        provenance: Provenance::default(),
    }
}

pub(crate) fn material() -> Material {
    Material::new("fake", splits(80, 30), "d1").unwrap()
}

pub(crate) fn experiment(text: &str) -> Experiment {
    Experiment::read("test", text, &VOCABULARY).unwrap_or_else(|e| panic!("{e}"))
}

/// An experiment of one pipeline, `extra` inside its table.
pub(crate) fn one_pipeline(top: &str, classifier: &str, extra: &str) -> Experiment {
    experiment(&format!(
        "dataset = 'fake'\n{top}\n[[pipeline]]\nname = 'p'\nfeatures = [{{ kind = 'grey' }}]\n\
         classifier = {{ kind = 'centroid'{classifier} }}\n{extra}\n"
    ))
}

pub(crate) struct NoMachine;

impl Machine for NoMachine {
    fn threads(&self) -> usize {
        1
    }
    fn reset_peak(&self) {}
    fn peak_rss_mb(&self) -> f64 {
        0.0
    }
    fn cpu(&self) -> Seconds {
        Seconds(0.0)
    }
    fn memory_bytes(&self) -> Option<u64> {
        Some(1 << 30)
    }
}

/// Keeps a word for each event, and can ask to stop at one.
#[derive(Default)]
pub(crate) struct Notes<'a> {
    pub(crate) words: Vec<String>,
    pub(crate) stop_at: Option<(&'static str, &'a AtomicBool)>,
}

impl Observer for Notes<'_> {
    fn tell(&mut self, event: Event<'_>) {
        let word = match event {
            Event::Planned { finished, todo } => format!("planned {finished} {}", todo.values().sum::<usize>()),
            Event::CellStarted { cell } => format!("started {} {}", cell.pipeline, cell.seed),
            Event::Stage(stage) => format!("{stage:?}"),
            Event::Epoch(epoch) => format!("epoch {}", epoch.number),
            Event::CellFinished { .. } => "finished".to_owned(),
            Event::Repeating { cell, number, of } => format!("again {} {number} of {of}", cell.pipeline),
        };
        if let Some((at, stop)) = self.stop_at.filter(|(at, _)| *at == word) {
            stop.store(true, std::sync::atomic::Ordering::Relaxed);
            self.words.push(format!("stop at {at}"));
        }
        self.words.push(word);
    }
}
