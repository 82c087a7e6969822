//! The classifiers of the house, taught step by step.

use crate::point::Point;
use crate::settings::{Features, Kind, Settings};
use bakeoff_core::classifier::check_rows;
use bakeoff_core::{Classifier, Labels, Model, Seed, argmax_rows};
use bakeoff_linear::{Descent, LinearModel};
use bakeoff_mlp::{Activation, Affine, Dense, Initialisation, Mlp, Network, Stage, Targets, Trainer};
use bakeoff_neighbors::Knn;
use bakeoff_numeric::{Loss, Schedule, Sgd};
use ndarray::{Array2, Axis};
use std::ops::ControlFlow;

/// Points as classifiers take them.
#[derive(Debug)]
pub(crate) struct Samples {
    /// Features (n, 2).
    pub(crate) rows: Array2<f32>,
    /// Classes (n).
    pub(crate) labels: Labels,
}

impl Samples {
    /// The samples of points; as many classes as the highest needs, and two at least.
    pub(crate) fn new(points: &[Point], features: Features) -> Self {
        let rows: Vec<f32> = points.iter().flat_map(|p| features.of(p.x as f32, p.y as f32)).collect();
        let rows = Array2::from_shape_vec((points.len(), 2), rows).expect("two numbers a point");
        let n_classes = n_classes(points);
        let labels = Labels::new(points.iter().map(|p| p.class).collect(), n_classes);
        Self { rows, labels: labels.expect("no class is above the highest") }
    }
}

/// Classes that points need.
pub(crate) fn n_classes(points: &[Point]) -> usize {
    points.iter().map(|p| p.class + 1).max().unwrap_or(0).max(2)
}

/// A classifier at work.
pub(crate) enum Learner {
    /// Softmax or a support vector machine.
    Linear { descent: Box<Descent>, loss: Loss },
    /// A network; `like` has its shape and activations.
    Network { trainer: Box<Trainer<f32>>, like: Network<f32>, loss: Loss },
    /// Neighbours learn nothing but the points.
    Neighbours(Box<dyn Model>),
}

impl Learner {
    /// A classifier that has not learned yet, or why there is none.
    pub(crate) fn new(settings: &Settings, samples: &Samples) -> Result<Self, String> {
        check_rows(&samples.rows, &samples.labels).map_err(|error| error.to_string())?;
        let k = samples.labels.n_classes();
        match settings.classifier {
            Kind::Linear => Ok(Self::with(settings, as_network(&LinearModel::zero(k, 2)))),
            Kind::Mlp => {
                let shape = mlp(settings).shape(2, k, settings.batch.get()).map_err(|error| error.to_string())?;
                let seed = Seed(u64::from(settings.seed)).derive("weights");
                Ok(Self::with(settings, Network::new(&shape, Initialisation::Auto, seed)))
            }
            Kind::Knn => {
                let knn = Knn { k: settings.neighbours, distance: settings.distance };
                let fitted = knn.fit(&samples.rows, &samples.labels, Seed(0), &mut |_| ControlFlow::Continue(()));
                fitted.map(|fitted| Self::Neighbours(fitted.model)).map_err(|error| error.to_string())
            }
        }
    }

    /// The classifier that has these weights; its optimiser is at rest.
    fn with(settings: &Settings, network: Network<f32>) -> Self {
        let (batch, loss) = (settings.batch.get(), settings.loss);
        if let (Kind::Linear, [Stage::Dense(dense)]) = (settings.classifier, network.stages.as_slice()) {
            let Settings { learning_rate, momentum, l2, l1, .. } = *settings;
            let sgd = Sgd { learning_rate, momentum, l2, l1, schedule: Schedule::Constant };
            let model = LinearModel { w: dense.affine.w.clone(), b: dense.affine.b.clone() };
            return Self::Linear { descent: Box::new(Descent::new(model, loss, sgd, batch)), loss };
        }
        let trainer = Trainer::new(&network, mlp(settings).optimiser(), batch, 0.0, None);
        Self::Network { trainer: Box::new(trainer), like: network, loss }
    }

    /// The same weights under other settings, which have the same shape.
    pub(crate) fn going_on(&self, settings: &Settings) -> Option<Self> {
        self.network().map(|network| Self::with(settings, network))
    }

    /// A classifier with all its numbers, in the order of [`Network::numbers`], from elsewhere.
    pub(crate) fn restored(settings: &Settings, samples: &Samples, numbers: &[f32]) -> Result<Self, String> {
        let Some(mut network) = Self::new(settings, samples)?.network() else {
            return Err("neighbours have no weights".to_owned());
        };
        let expected = network.numbers().len();
        if numbers.len() != expected {
            return Err(format!("this classifier has {expected} weights and biases, not {}", numbers.len()));
        }
        if !numbers.iter().all(|number| number.is_finite()) {
            return Err("weights must be finite numbers".to_owned());
        }
        network.set_numbers(numbers);
        Ok(Self::with(settings, network))
    }

    /// Whether there is anything to train.
    pub(crate) fn trains(&self) -> bool {
        !matches!(self, Self::Neighbours(_))
    }

    /// One step on the samples at these positions: their mean loss before it, with the penalty.
    pub(crate) fn step(&mut self, samples: &Samples, positions: &[usize], rate: f64) -> f64 {
        let n = positions.len() as f64;
        let y = samples.labels.as_slice();
        match self {
            Self::Linear { descent, .. } => {
                let penalty = descent.penalty();
                descent.step(&samples.rows, y, positions, 1.0) / n + penalty
            }
            Self::Network { trainer, loss, .. } => {
                let penalty = trainer.penalty();
                let rows = samples.rows.select(Axis(0), positions);
                let classes: Vec<usize> = positions.iter().map(|&i| y[i]).collect();
                trainer.step(rows.view(), Targets::Classes(&classes), *loss, rate, None) / n + penalty
            }
            Self::Neighbours(_) => 0.0,
        }
    }

    /// The weights as a network: a linear classifier is one of a single layer.
    pub(crate) fn network(&self) -> Option<Network<f32>> {
        match self {
            Self::Linear { descent, .. } => Some(as_network(descent.model())),
            Self::Network { trainer, like, .. } => Some(trainer.network(like, false)),
            Self::Neighbours(_) => None,
        }
    }

    /// Outputs of every layer for rows (n, 2): the rows themselves first, the scores (n, k) last.
    pub(crate) fn layers(&self, rows: &Array2<f32>) -> Vec<Array2<f32>> {
        let mut layers = vec![rows.clone()];
        match (self, self.network()) {
            (_, Some(network)) => {
                for stage in &network.stages {
                    let before = layers.last().unwrap_or(rows).clone();
                    layers.push(stage.of_rows(before));
                }
            }
            (Self::Neighbours(model), None) => layers.push(model.scores(rows.view())),
            (_, None) => {}
        }
        layers
    }

    /// The share of the samples that scores (n, k) get right, and their mean loss with the penalty.
    pub(crate) fn judge(&mut self, samples: &Samples, scores: &Array2<f32>) -> (f64, Option<f64>) {
        let y = samples.labels.as_slice();
        let right = argmax_rows(scores.view()).iter().zip(y).filter(|(a, b)| a == b).count();
        let (loss, penalty) = match self {
            Self::Linear { descent, loss } => (*loss, descent.penalty()),
            Self::Network { trainer, loss, .. } => (*loss, trainer.penalty()),
            Self::Neighbours(_) => return (right as f64 / y.len() as f64, None),
        };
        let sum = loss.into_gradient(scores.clone().view_mut(), y);
        (right as f64 / y.len() as f64, Some(sum / y.len() as f64 + penalty))
    }

    /// How sure scores (k) are of the greatest, from 0 to 1: by probability, by margin, by votes.
    pub(crate) fn sureness(&self, scores: &[f32], best: usize) -> f32 {
        let others = scores.iter().enumerate().filter(|&(i, _)| i != best).map(|(_, &s)| s);
        let margin = scores[best] - others.fold(f32::NEG_INFINITY, f32::max);
        let loss = match self {
            Self::Neighbours(_) => return margin / scores.iter().sum::<f32>().max(1.0),
            Self::Linear { loss, .. } | Self::Network { loss, .. } => *loss,
        };
        match loss {
            Loss::Softmax => {
                let sum: f32 = scores.iter().map(|s| (s - scores[best]).exp()).sum();
                let even = 1.0 / scores.len() as f32;
                (1.0 / sum - even) / (1.0 - even)
            }
            Loss::WestonWatkins | Loss::Squared => margin,
            // Each of two machines has a margin of 1.
            Loss::Hinge | Loss::SquaredHinge => margin / 2.0,
        }
    }
}

/// The network's settings in the house's words.
fn mlp(settings: &Settings) -> Mlp {
    let Settings { activation, optimiser, learning_rate, momentum, l2, l1, batch, .. } = *settings;
    let hidden = settings.hidden.clone();
    Mlp { hidden, activation, optimiser, learning_rate, momentum, l2, l1, batch, ..Mlp::default() }
}

fn as_network(model: &LinearModel) -> Network<f32> {
    let affine = Affine { w: model.w.clone(), b: model.b.clone() };
    Network { stages: vec![Stage::Dense(Dense { affine, norm: None, activation: Activation::Identity })] }
}
