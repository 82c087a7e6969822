//! Training by minibatch SGD with momentum, and the catalogue's entry.

use crate::activation::{Activation, ActivationName};
use crate::network::{Initialisation, Network};
use crate::stored;
use bakeoff_core::classifier::check_rows;
use bakeoff_core::params::{Fraction, NonNegative, Positive};
use bakeoff_core::{
    Classifier, Epoch, FitError, Fitted, Labels, Model, OnEpoch, Operation, Recipe, RestoreError, Rows, ScoreKind,
    Seed, Tensors,
};
use bakeoff_numeric::optim::shuffle;
use bakeoff_numeric::{Loss, Schedule, Sgd, score_rows};
use ndarray::{Array2, ArrayView2, s};
use serde::{Deserialize, Serialize};
use std::num::NonZeroUsize;

/// The loss of the scores.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum MlpLoss {
    /// −log of the softmax of the right class.
    #[default]
    Softmax,
    /// The lecture's multiclass SVM loss (Weston, Watkins 1999).
    Svm,
}

/// Settings of a multilayer perceptron. The loss is the mean over rows plus λ Σ W² over all layers' weights.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Mlp {
    /// Units of each hidden layer, first to last; an empty list is a linear classifier.
    pub hidden: Vec<NonZeroUsize>,
    /// What follows each hidden layer.
    pub activation: ActivationName,
    /// The slope of `leaky-relu` below 0.
    pub leaky_slope: Fraction,
    /// The α of `elu`.
    pub elu_alpha: Positive,
    /// The loss of the scores.
    pub loss: MlpLoss,
    /// λ, weight of Σ W²; biases are free.
    pub l2: NonNegative,
    /// How weights start.
    pub initialisation: Initialisation,
    /// The learning rate at the start.
    pub learning_rate: Positive,
    /// ρ of v ← ρ v + dW; W ← W − lr · v.
    pub momentum: Fraction,
    /// The learning rate over time.
    pub schedule: Schedule,
    /// Rows a step.
    pub batch: NonZeroUsize,
    /// Passes over the rows.
    pub epochs: NonZeroUsize,
}

const fn count(value: usize) -> NonZeroUsize {
    NonZeroUsize::new(value).expect("a positive literal")
}

impl Default for Mlp {
    fn default() -> Self {
        Self {
            hidden: vec![count(256)],
            activation: ActivationName::default(),
            leaky_slope: Fraction::literal(0.2),
            elu_alpha: Positive::literal(1.0),
            loss: MlpLoss::default(),
            l2: NonNegative::literal(1e-5),
            initialisation: Initialisation::default(),
            learning_rate: Positive::literal(0.02),
            momentum: Fraction::literal(0.9),
            schedule: Schedule::default(),
            batch: count(128),
            epochs: count(10),
        }
    }
}

impl Recipe for Mlp {
    const NAME: &'static str = "mlp";
    const SUMMARY: &'static str = "multilayer perceptron of any depth, by minibatch SGD with momentum";
    const REFERENCE: &'static str = "lecture C1-C4, C10; Rumelhart, Hinton, Williams 1986";
}

/// Parameters above which a network is refused: with velocity and gradient each takes 12 bytes, 6 GB in all.
const MOST_PARAMETERS: usize = 1 << 29;

impl Mlp {
    fn activation(&self) -> Activation {
        match self.activation {
            ActivationName::Identity => Activation::Identity,
            ActivationName::Sigmoid => Activation::Sigmoid,
            ActivationName::Tanh => Activation::Tanh,
            ActivationName::Relu => Activation::Relu,
            ActivationName::LeakyRelu => Activation::LeakyRelu { slope: self.leaky_slope.get() },
            ActivationName::Softplus => Activation::Softplus,
            ActivationName::Elu => Activation::Elu { alpha: self.elu_alpha.get() },
        }
    }

    /// Inputs, hidden widths, classes; refused when the weights would not fit.
    fn widths(&self, d: usize, k: usize) -> Result<Vec<usize>, FitError> {
        let hidden = self.hidden.iter().map(|units| units.get());
        let widths: Vec<usize> = std::iter::once(d).chain(hidden).chain([k]).collect();
        let add = |sum: Option<usize>, pair: &[usize]| pair[0].checked_mul(pair[1])?.checked_add(sum?);
        match widths.windows(2).fold(Some(0), add) {
            Some(weights) if weights <= MOST_PARAMETERS => Ok(widths),
            _ => Err(FitError::refused(format!("layers of {widths:?} have more than {MOST_PARAMETERS} weights"))),
        }
    }

    fn sgd(&self) -> Sgd {
        let Self { learning_rate, momentum, l2, schedule, .. } = *self;
        Sgd { learning_rate, momentum, l2, l1: NonNegative::literal(0.0), schedule }
    }
}

impl Classifier for Mlp {
    fn fit(&self, x: &dyn Rows, y: &Labels, seed: Seed, on_epoch: &mut OnEpoch<'_>) -> Result<Fitted, FitError> {
        check_rows(x, y)?;
        let widths = self.widths(x.dim(), y.n_classes())?;
        let network = Network::new(&widths, self.activation(), self.initialisation, seed.derive("initialisation"));
        let loss = match self.loss {
            MlpLoss::Softmax => Loss::Softmax,
            MlpLoss::Svm => Loss::WestonWatkins,
        };
        let mut descent = Descent::new(network, self.sgd(), loss, self.batch.get().min(x.n_rows()), x.dim());
        let (of, n) = (self.epochs.get(), x.n_rows());
        let mut rng = seed.derive("order").rng();
        let mut order: Vec<usize> = (0..n).collect();
        for epoch in 1..=of {
            shuffle(&mut order, &mut rng);
            let loss = descent.epoch(x, y.as_slice(), &order, epoch, of)? / n as f64 + descent.penalty();
            // The weights of the last step have scored no rows yet; in the penalty they show.
            if !loss.is_finite() {
                return Err(FitError::NonFinite { epoch, step: n.div_ceil(descent.rows.nrows()), loss });
            }
            if on_epoch(Epoch { number: epoch, of, loss }).is_break() {
                return Ok(Fitted { model: Box::new(descent.network), epochs: epoch, converged: false });
            }
        }
        Ok(Fitted { model: Box::new(descent.network), epochs: of, converged: true })
    }

    fn score_kind(&self) -> ScoreKind {
        match self.loss {
            MlpLoss::Softmax => ScoreKind::Logit,
            MlpLoss::Svm => ScoreKind::Margin,
        }
    }

    fn restore(&self, d: usize, n_classes: usize, learned: Tensors) -> Result<Box<dyn Model>, RestoreError> {
        let widths = self.widths(d, n_classes).map_err(|e| RestoreError::refused(e.to_string()))?;
        Ok(Box::new(stored::restore(&widths, self.activation(), learned)?))
    }
}

/// A network on its way down.
struct Descent {
    network: Network<f32>,
    velocity: Network<f32>,
    work: crate::network::Workspace<f32>,
    rows: Array2<f32>,
    classes: Vec<usize>,
    sgd: Sgd,
    loss: Loss,
}

impl Descent {
    fn new(network: Network<f32>, sgd: Sgd, loss: Loss, batch: usize, d: usize) -> Self {
        let mut velocity = network.clone();
        velocity.layers.iter_mut().for_each(|layer| {
            layer.w.fill(0.0);
            layer.b.fill(0.0);
        });
        let work = network.workspace(batch);
        Self { network, velocity, work, rows: Array2::zeros((batch, d)), classes: Vec::with_capacity(batch), sgd, loss }
    }

    /// One pass over the rows in this order; the summed loss.
    fn epoch(&mut self, x: &dyn Rows, y: &[usize], order: &[usize], epoch: usize, of: usize) -> Result<f64, FitError> {
        let batch = self.rows.nrows();
        let steps = order.len().div_ceil(batch);
        let mut sum = 0.0;
        for (step, positions) in order.chunks(batch).enumerate() {
            let factor = self.sgd.schedule.factor((epoch - 1) * steps + step, of * steps);
            let loss = self.step(x, y, positions, factor);
            if !loss.is_finite() {
                return Err(FitError::NonFinite { epoch, step: step + 1, loss });
            }
            sum += loss;
        }
        Ok(sum)
    }

    fn step(&mut self, x: &dyn Rows, y: &[usize], positions: &[usize], factor: f64) -> f64 {
        self.classes.clear();
        self.classes.extend(positions.iter().map(|&i| y[i]));
        x.read_into(positions, self.rows.slice_mut(s![..positions.len(), ..]));
        let rows = self.rows.slice(s![..positions.len(), ..]);
        let loss = self.network.loss_and_gradient(rows, &self.classes, self.loss, &mut self.work);
        let layers = self.network.layers.iter_mut().zip(&mut self.velocity.layers).zip(&self.work.gradient);
        for ((layer, velocity), gradient) in layers {
            self.sgd.update(slice_mut(&mut layer.w), slice_mut(&mut velocity.w), slice(&gradient.w), factor, true);
            self.sgd.update(slice_mut(&mut layer.b), slice_mut(&mut velocity.b), slice(&gradient.b), factor, false);
        }
        loss
    }

    fn penalty(&self) -> f64 {
        self.network.layers.iter().map(|layer| self.sgd.penalty(slice(&layer.w))).sum()
    }
}

fn slice<D: ndarray::Dimension>(array: &ndarray::Array<f32, D>) -> &[f32] {
    array.as_slice().expect("made in standard layout")
}

fn slice_mut<D: ndarray::Dimension>(array: &mut ndarray::Array<f32, D>) -> &mut [f32] {
    array.as_slice_mut().expect("made in standard layout")
}

impl Model for Network<f32> {
    fn scores(&self, x: ArrayView2<'_, f32>) -> Array2<f32> {
        let d = self.layers.first().map_or(0, |layer| layer.w.ncols());
        assert_eq!(x.ncols(), d, "columns of the training rows");
        let k = self.layers.last().map_or(0, |layer| layer.b.len());
        score_rows(x, k, |rows, scores| self.scores_into(rows, scores))
    }

    fn model_bytes(&self) -> usize {
        self.layers.iter().map(|layer| (layer.w.len() + layer.b.len()) * size_of::<f32>()).sum()
    }

    fn learned(&self) -> Tensors {
        stored::learned(self)
    }

    fn operations(&self) -> Option<Vec<Operation>> {
        Some(stored::operations(self))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use bakeoff_core::argmax_rows;
    use std::ops::ControlFlow;

    /// Exclusive or: what no linear classifier learns.
    fn exclusive_or() -> (Array2<f32>, Labels) {
        let x = Array2::from_shape_fn(
            (200, 2),
            |(i, j)| if (i >> j) & 1 == 1 { 1.0 } else { -1.0 } + ((i * 7 + j) % 13) as f32 * 0.02,
        );
        (x, Labels::new((0..200).map(|i| (i ^ (i >> 1)) & 1).collect(), 2).unwrap())
    }

    fn accuracy(mlp: &Mlp) -> f64 {
        let (x, y) = exclusive_or();
        let fitted = mlp.fit(&x, &y, Seed(1), &mut |_| ControlFlow::Continue(())).unwrap();
        let right =
            argmax_rows(fitted.model.scores(x.view()).view()).iter().zip(y.ids()).filter(|(a, b)| a == b).count();
        right as f64 / 200.0
    }

    #[test]
    fn a_hidden_layer_solves_what_none_cannot() {
        let net = |hidden: Vec<NonZeroUsize>, loss| Mlp {
            hidden,
            loss,
            epochs: count(100),
            batch: count(20),
            ..Mlp::default()
        };
        assert_eq!(accuracy(&net(vec![count(16)], MlpLoss::Softmax)), 1.0);
        assert_eq!(accuracy(&net(vec![count(16)], MlpLoss::Svm)), 1.0);
        assert!(accuracy(&net(vec![], MlpLoss::Softmax)) < 0.8);
    }

    #[test]
    fn the_bits_do_not_depend_on_threads() {
        let x = Array2::from_shape_fn((300, 400), |(i, j)| ((i * 31 + j * 17) % 97) as f32 * 0.02 - 1.0);
        let y = Labels::new((0..300).map(|i| i % 3).collect(), 3).unwrap();
        let mlp = Mlp { hidden: vec![count(300), count(64)], epochs: count(2), ..Mlp::default() };
        let scores = |threads: usize| {
            let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
            pool.install(|| {
                mlp.fit(&x, &y, Seed(1), &mut |_| ControlFlow::Continue(())).unwrap().model.scores(x.view())
            })
        };
        assert_eq!(scores(1), scores(2));
    }

    #[test]
    fn divergence_and_absurd_sizes_are_told() {
        let (x, y) = exclusive_or();
        let fit = |mlp: Mlp| mlp.fit(&x, &y, Seed(0), &mut |_| ControlFlow::Continue(())).err().unwrap();
        let wild = Mlp { learning_rate: Positive::literal(1e30), ..Mlp::default() };
        assert!(matches!(fit(wild), FitError::NonFinite { epoch: 1..=10, .. }));
        let huge = Mlp { hidden: vec![count(usize::MAX / 2), count(8)], ..Mlp::default() };
        assert!(fit(huge).to_string().contains("more than"));
    }
}
