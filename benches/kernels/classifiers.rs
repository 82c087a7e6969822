//! Every classifier of the catalogues: learning from rows, scoring many rows and one.

use super::nothing;
use crate::kernel::{Case, Kernel, Outcome, Size, Steps, Tolerance, Work};
use crate::rows;
use bakeoff_core::params::{Fraction, NonNegative, Positive};
use bakeoff_core::{Classifier, Entry, Fitted, Labels, Model, Seed, argmax_rows};
use bakeoff_linear::{Descent, LinearModel, Objective, Source};
use bakeoff_neighbors::{Distance, Index};
use bakeoff_numeric::{Loss, Schedule, Sgd};
use ndarray::{Array2, s};
use std::ops::ControlFlow;

/// All catalogues of classifiers.
pub(super) fn catalogues() -> impl Iterator<Item = &'static Entry<dyn Classifier>> {
    bakeoff_linear::CATALOGUE.iter().chain(&bakeoff_neighbors::CATALOGUE).chain(&bakeoff_mlp::CATALOGUE)
}

pub(super) fn kernels() -> Vec<Kernel> {
    let mut kernels: Vec<Kernel> =
        catalogues().flat_map(|entry| [fitting(entry), scoring(entry), one_row(entry)]).collect();
    kernels.extend(searches());
    kernels.push(objective());
    kernels.push(descent());
    kernels
}

/// Fewer passes where they are what takes the time, for sizes that an instruction counter must get through.
const SMALL: &[(&str, &str)] = &[
    ("softmax", "max_iterations = 20"),
    ("svm", "max_iterations = 20"),
    ("one-vs-all-svm", "epochs = 4"),
    ("mlp", "hidden = [32]\nepochs = 2"),
];
/// Passes that are enough to be timed.
const MIDDLE: &[(&str, &str)] =
    &[("softmax", "max_iterations = 20"), ("svm", "max_iterations = 20"), ("mlp", "epochs = 2")];

fn classifier(entry: &Entry<dyn Classifier>, settings: &[(&str, &str)]) -> Box<dyn Classifier> {
    let text = settings.iter().find(|(name, _)| *name == entry.name).map_or("", |(_, text)| text);
    (entry.parse)(&text.parse().expect("settings are TOML")).expect("settings that it takes")
}

/// Rows with labels, and what learned from them.
struct Learning {
    classifier: Box<dyn Classifier>,
    x: Array2<f32>,
    y: Labels,
    model: Option<Box<dyn Model>>,
    scores: Array2<f32>,
    /// Rows that are scored.
    scored: usize,
}

impl Learning {
    fn new(classifier: Box<dyn Classifier>, (n, d, k): (usize, usize, usize), scored: usize) -> Self {
        let (x, y) = rows(n, d, k, Seed(1));
        Self { classifier, scores: Array2::zeros((scored, k)), x, y, model: None, scored }
    }

    fn fit(&self) -> Fitted {
        let fitted = self.classifier.fit(&self.x, &self.y, Seed(2), &mut |_| ControlFlow::Continue(()));
        fitted.expect("rows that it takes")
    }

    fn classes(&self) -> Vec<usize> {
        let scores = self.model.as_ref().map(|model| model.scores(self.x.view())).unwrap_or_default();
        argmax_rows(scores.view()).to_vec()
    }
}

/// What was learned is told by the classes that it gives: that is what a faster solver may not change.
fn fitting(entry: &'static Entry<dyn Classifier>) -> Kernel {
    let size = |shape @ (n, d, k): (usize, usize, usize), settings: &'static [(&str, &str)]| {
        Size::new(format!("{n}x{d}x{k}"), Work::rows(n, 0, n * d), move || {
            let steps = Steps {
                prepare: |s: &mut Learning| s.model = None,
                run: |s| s.model = Some(s.fit().model),
                outcome: |s| Outcome::ids(s.classes()),
                reference: None,
            };
            Case::new(Learning::new(classifier(entry, settings), shape, 0), steps)
        })
    };
    let sizes = vec![size((200, 32, 4), SMALL), size((2_000, 324, 10), MIDDLE)];
    Kernel::new(format!("classifiers/{}/fit", entry.name), &[], sizes).within(Tolerance::ITERATED)
}

fn scoring_size(
    entry: &'static Entry<dyn Classifier>,
    shape @ (_, d, k): (usize, usize, usize),
    settings: &'static [(&str, &str)],
    scored: usize,
) -> Size {
    Size::new(format!("{scored}x{d}x{k}"), Work::rows(scored, 0, scored * (d + k)), move || {
        let mut state = Learning::new(classifier(entry, settings), shape, scored);
        state.model = Some(state.fit().model);
        let steps = Steps {
            prepare: nothing,
            run: |s: &mut Learning| {
                let rows = s.x.slice(s![..s.scored, ..]);
                s.scores = s.model.as_ref().map(|model| model.scores(rows)).unwrap_or_default();
            },
            outcome: |s| Outcome::values(&s.scores),
            // Every row alone, by a model that came back from what was learned.
            reference: Some(|s: &Learning| {
                let model = s.model.as_ref().expect("it was fitted");
                let restored = s.classifier.restore(s.x.ncols(), s.y.n_classes(), model.learned()).expect("its own");
                let alone = |i: usize| restored.scores(s.x.slice(s![i..=i, ..])).into_iter();
                Outcome::Values((0..s.scored).flat_map(alone).collect())
            }),
        };
        Case::new(state, steps)
    })
}

fn scoring(entry: &'static Entry<dyn Classifier>) -> Kernel {
    let sizes =
        vec![scoring_size(entry, (200, 32, 4), SMALL, 200), scoring_size(entry, (1_000, 324, 10), MIDDLE, 1_000)];
    Kernel::new(format!("classifiers/{}/scores", entry.name), &[], sizes)
}

fn one_row(entry: &'static Entry<dyn Classifier>) -> Kernel {
    let sizes = vec![scoring_size(entry, (200, 32, 4), SMALL, 1), scoring_size(entry, (1_000, 324, 10), MIDDLE, 1)];
    Kernel::new(format!("classifiers/{}/one-row", entry.name), &[], sizes)
}

/// Rows that are searched, and queries.
struct Search {
    index: Index,
    distance: Distance,
    queries: Array2<f32>,
    found: Vec<Vec<(usize, f64)>>,
}

const NEIGHBORS: usize = 5;

impl Search {
    fn new(distance: Distance, (n, m, d): (usize, usize, usize)) -> Self {
        // Neighbouring pixels of pictures go together: rows differ in a few ways much and in all others little.
        let ways = rows(16, d, 4, Seed(2)).0;
        let like_pictures = |n, seed: Seed| rows(n, 16, 10, seed).0.dot(&ways) + rows(n, d, 10, seed.nth(1)).0 * 0.1;
        let index = Index::new(like_pictures(n, Seed(3)), distance);
        Self { index, distance, queries: like_pictures(m, Seed(4)), found: Vec::new() }
    }

    /// All distances in f64, sorted.
    fn plain(&self) -> Outcome {
        let mut ids = Vec::new();
        for query in self.queries.outer_iter() {
            let apart = |row: ndarray::ArrayView1<'_, f32>| {
                let differences = row.iter().zip(query).map(|(&a, &b)| f64::from(a) - f64::from(b));
                match self.distance {
                    Distance::L2 => differences.map(|v| v * v).sum::<f64>(),
                    Distance::L1 => differences.map(f64::abs).sum(),
                }
            };
            let mut all: Vec<(f64, usize)> = self.index.rows().outer_iter().map(apart).zip(0..).collect();
            all.sort_by(|a, b| a.0.total_cmp(&b.0).then(a.1.cmp(&b.1)));
            ids.extend(all.iter().take(NEIGHBORS).map(|&(_, id)| id));
        }
        Outcome::ids(ids)
    }
}

fn searches() -> [Kernel; 2] {
    [("l2", Distance::L2), ("l1", Distance::L1)].map(|(name, distance)| {
        let size = |shape @ (n, m, d): (usize, usize, usize)| {
            Size::new(format!("{n}x{m}x{d}"), Work::flops(2 * n * m * d, (n + m) * d), move || {
                let steps = Steps {
                    prepare: nothing,
                    run: |s: &mut Search| s.found = s.index.nearest(s.queries.view(), NEIGHBORS),
                    outcome: |s| Outcome::ids(s.found.iter().flatten().map(|&(id, _)| id)),
                    reference: Some(Search::plain),
                };
                Case::new(Search::new(distance, shape), steps)
            })
        };
        let sizes = [(300, 50, 32), (5_000, 256, 324), (10_000, 256, 784)].map(size).into();
        Kernel::new(format!("neighbors/nearest-{name}"), &["neighbors::Index", "neighbors::Distance"], sizes)
            .within(Tolerance::EXACT)
    })
}

/// A linear classifier's objective at some parameters.
struct Smooth {
    x: Array2<f32>,
    y: Labels,
    parameters: Vec<f64>,
    gradient: Vec<f64>,
    value: f64,
}

impl Smooth {
    fn new((n, d, k): (usize, usize, usize)) -> Self {
        let (x, y) = rows(n, d, k, Seed(5));
        let parameters: Vec<f64> = (0..k * (d + 1)).map(|i| ((i * 7919) % 101) as f64 / 1010.0 - 0.05).collect();
        Self { x, y, gradient: vec![0.0; parameters.len()], parameters, value: 0.0 }
    }

    /// The same in f64, through the same code: that the products in f32 are good enough is what is checked.
    fn plain(&self) -> Outcome {
        let x = self.x.mapv(f64::from);
        let (y, n_classes) = (self.y.as_slice(), self.y.n_classes());
        let objective = Objective { loss: Loss::Softmax, l2: 1e-3, x: Source::Dense(x.view()), y, n_classes };
        let mut gradient = vec![0.0; self.parameters.len()];
        let value = objective.value_and_gradient(&self.parameters, &mut gradient);
        Outcome::of_f64(gradient.into_iter().chain([value]))
    }
}

fn objective() -> Kernel {
    let size = |shape @ (n, d, k): (usize, usize, usize)| {
        // A product forth and one back.
        let work = Work::flops(4 * n * d * k, n * d + 2 * k * d);
        Size::new(format!("{n}x{d}x{k}"), work, move || {
            let steps = Steps {
                prepare: nothing,
                run: |s: &mut Smooth| {
                    let (y, n_classes) = (s.y.as_slice(), s.y.n_classes());
                    let objective =
                        Objective { loss: Loss::Softmax, l2: 1e-3, x: Source::Dense(s.x.view()), y, n_classes };
                    s.value = objective.value_and_gradient(&s.parameters, &mut s.gradient);
                },
                outcome: |s| Outcome::of_f64(s.gradient.iter().copied().chain([s.value])),
                reference: Some(Smooth::plain),
            };
            Case::new(Smooth::new(shape), steps)
        })
    };
    let sizes = [(300, 32, 4), (5_000, 324, 10), (10_000, 784, 10)].map(size).into();
    Kernel::new("linear/objective", &["linear::Objective", "linear::Source"], sizes)
}

/// A linear classifier in training by small steps, and the rows of a step.
struct Descending {
    x: Array2<f32>,
    y: Labels,
    descent: Descent,
    positions: Vec<usize>,
}

const RATE: f64 = 0.01;

impl Descending {
    fn at_rest((n, d, k): (usize, usize, usize)) -> Descent {
        let sgd = Sgd {
            learning_rate: Positive::literal(RATE),
            momentum: Fraction::literal(0.9),
            l2: NonNegative::literal(0.0),
            l1: NonNegative::literal(0.0),
            schedule: Schedule::Constant,
        };
        Descent::new(LinearModel::zero(k, d), Loss::Softmax, sgd, n)
    }

    /// The first step from W = 0, where every class has probability 1/k: W = lr/n Σ (t − 1/k) xᵀ, b likewise.
    fn plain(&self) -> Outcome {
        let (n, k) = (self.x.nrows() as f64, self.y.n_classes());
        let apart = |(i, class): (usize, usize)| f64::from(u8::from(self.y.as_slice()[i] == class)) - 1.0 / k as f64;
        let apart = Array2::from_shape_fn((self.x.nrows(), k), apart) * (RATE / n);
        let w = apart.t().dot(&self.x.mapv(f64::from));
        Outcome::of_f64(w.into_iter().chain(apart.sum_axis(ndarray::Axis(0))))
    }
}

fn descent() -> Kernel {
    let size = |shape @ (n, d, k): (usize, usize, usize)| {
        let work = Work::flops(4 * n * d * k, n * d + 4 * k * d);
        Size::new(format!("{n}x{d}x{k}"), work, move || {
            let (x, y) = rows(n, d, k, Seed(6));
            let steps = Steps {
                prepare: |s: &mut Descending| {
                    s.descent = Descending::at_rest((s.x.nrows(), s.x.ncols(), s.y.n_classes()));
                },
                run: |s| {
                    s.descent.step(&s.x, s.y.as_slice(), &s.positions, 1.0);
                },
                outcome: |s| Outcome::values(s.descent.model().w.iter().chain(&s.descent.model().b)),
                reference: Some(Descending::plain),
            };
            let descent = Descending::at_rest(shape);
            Case::new(Descending { x, y, descent, positions: (0..n).collect() }, steps)
        })
    };
    let sizes = [(32, 32, 4), (128, 784, 10), (128, 3072, 10)].map(size).into();
    Kernel::new("linear/descent", &["linear::Descent", "linear::LinearModel"], sizes)
}
