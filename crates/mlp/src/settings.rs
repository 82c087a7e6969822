//! The settings of a network in experiment files, and what they mean.

use crate::activation::{Activation, ActivationName};
use crate::network::{Blocks, Initialisation, Shape};
use bakeoff_core::params::{Fraction, NonNegative, Positive};
use bakeoff_core::{FitError, Recipe};
use bakeoff_numeric::{Loss, Optimiser, Precision, Rule, Schedule};
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
    /// Σ_j (s_j − t_j)², t 1 for the right class and 0 for the others.
    Squared,
}

/// Settings of a multilayer perceptron. The loss is the mean over rows plus λ₂ Σ W² + λ₁ Σ |W| over all layers' weights.
///
/// Rows go through the `hidden` layers, then, where `blocks` are wanted, through an affine map to `width` and that many
/// residual blocks, then to the scores. For residual blocks alone say `hidden = []`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Mlp {
    /// Units of each hidden layer, first to last; an empty list, without blocks, is a linear classifier.
    pub hidden: Vec<NonZeroUsize>,
    /// Residual blocks x + W₂ φ(W₁ norm(x)) with layer norms (Scaling MLPs, 2023); 0 for none.
    pub blocks: usize,
    /// Inputs and outputs of each block.
    pub width: NonZeroUsize,
    /// Units inside a block for each of its inputs.
    pub expansion: NonZeroUsize,
    /// What follows each hidden layer and the inside of each block.
    pub activation: ActivationName,
    /// The slope of `leaky-relu` below 0.
    pub leaky_slope: Fraction,
    /// The α of `elu`.
    pub elu_alpha: Positive,
    /// Batch normalisation between each hidden layer's affine map and its activation.
    pub batch_norm: bool,
    /// The share of activations that each step leaves out.
    pub dropout: Fraction,
    /// The loss of the scores.
    pub loss: MlpLoss,
    /// ε: labels become 1 − ε for the right class and ε / k for all; for the losses `softmax` and `squared`.
    pub label_smoothing: Fraction,
    /// λ₂, weight of Σ W²; biases and norms are free.
    pub l2: NonNegative,
    /// λ₁, weight of Σ |W|.
    pub l1: NonNegative,
    /// Decoupled decay: each step first takes lr · decay · W off W. With `adam` this is AdamW.
    pub weight_decay: NonNegative,
    /// How weights start.
    pub initialisation: Initialisation,
    /// How steps are made: `sgd` (with `momentum`), `nesterov`, `adam` (also called `adamw`), or `lion`.
    pub optimiser: Rule,
    /// The greatest learning rate.
    pub learning_rate: Positive,
    /// ρ of v ← ρ v + dW; W ← W − lr · v. Not of Adam and Lion.
    pub momentum: Fraction,
    /// β₁ of Adam and Lion.
    pub beta1: Fraction,
    /// β₂ of Adam and Lion; 0.99 is usual for Lion.
    pub beta2: Fraction,
    /// The learning rate over time.
    pub schedule: Schedule,
    /// The share of the training in which the learning rate rises from a hundredth, in a straight line, before the
    /// schedule begins.
    pub warm_up: Fraction,
    /// The greatest norm of all gradients together, which longer ones are shortened to; 0 for no limit.
    pub clip: NonNegative,
    /// β of an exponential moving average of the weights, taken every step, which then is the model: 0.999 is usual; 0 for
    /// none.
    pub average: Fraction,
    /// α of mixup: rows and labels are mixed by shares drawn from Beta(α, α); 0 for no mixing.
    pub mixup: NonNegative,
    /// How exact large products are in training: `f32`, or `bf16`, which rounds their operands to bfloat16 (8 bits) and sums in f32:
    /// two thirds of the time on AMD's processors with AVX-512 BF16, 1.2 times as long where nothing multiplies them faster. Weights, updates
    /// and scores are f32 either way.
    pub precision: Precision,
    /// Rows a step.
    pub batch: NonZeroUsize,
    /// Passes over the rows.
    pub epochs: NonZeroUsize,
    /// Seconds to train instead of `epochs`, to the end of the step; 0 lets epochs count. The result then depends on the
    /// machine's speed.
    pub seconds: NonNegative,
    /// Holds a part of the training rows out, keeps the weights of the epoch that classifies it best, and stops when none
    /// was better for `patience` epochs.
    pub early_stopping: bool,
    /// Epochs without improvement after which training stops, with `early_stopping`.
    pub patience: NonZeroUsize,
    /// The share of the training rows that `early_stopping` holds out.
    pub held_out: Fraction,
}

const fn count(value: usize) -> NonZeroUsize {
    NonZeroUsize::new(value).expect("a positive literal")
}

impl Default for Mlp {
    fn default() -> Self {
        let (nothing, no_share) = (NonNegative::literal(0.0), Fraction::literal(0.0));
        Self {
            hidden: vec![count(256)],
            blocks: 0,
            width: count(512),
            expansion: count(4),
            activation: ActivationName::default(),
            leaky_slope: Fraction::literal(0.2),
            elu_alpha: Positive::literal(1.0),
            batch_norm: false,
            dropout: no_share,
            loss: MlpLoss::default(),
            label_smoothing: no_share,
            l2: NonNegative::literal(1e-5),
            l1: nothing,
            weight_decay: nothing,
            initialisation: Initialisation::default(),
            optimiser: Rule::default(),
            learning_rate: Positive::literal(0.02),
            momentum: Fraction::literal(0.9),
            beta1: Fraction::literal(0.9),
            beta2: Fraction::literal(0.999),
            schedule: Schedule::default(),
            warm_up: no_share,
            clip: nothing,
            average: no_share,
            mixup: nothing,
            precision: Precision::default(),
            batch: count(128),
            epochs: count(10),
            seconds: nothing,
            early_stopping: false,
            patience: count(10),
            held_out: Fraction::literal(0.1),
        }
    }
}

impl Recipe for Mlp {
    const NAME: &'static str = "mlp";
    const SUMMARY: &'static str =
        "multilayer perceptron of any depth, plain or residual, by minibatch gradient descent";
    const REFERENCE: &'static str = "lecture C1-C4, C10; Rumelhart, Hinton, Williams 1986";
    const SEARCH: &'static str = "learning_rate = { log_uniform = [3e-3, 0.1] }\n\
        l2 = { log_uniform = [1e-6, 1e-3] }";
}

/// Weights above which a network is refused: with the optimiser's memory, average and gradient each takes up to 20
/// bytes, 10 GB in all.
const MOST_WEIGHTS: usize = 1 << 29;

/// Outputs of all layers for one batch, above which a network is refused: each takes about 20 bytes.
const MOST_OUTPUTS: usize = 1 << 28;

/// ε of Adam.
const ADAM_EPSILON: f64 = 1e-8;

impl Mlp {
    pub(crate) fn activation(&self) -> Activation {
        match self.activation {
            ActivationName::Identity => Activation::Identity,
            ActivationName::Sigmoid => Activation::Sigmoid,
            ActivationName::Tanh => Activation::Tanh,
            ActivationName::Relu => Activation::Relu,
            ActivationName::LeakyRelu => Activation::LeakyRelu { slope: self.leaky_slope.get() },
            ActivationName::Softplus => Activation::Softplus,
            ActivationName::Elu => Activation::Elu { alpha: self.elu_alpha.get() },
            ActivationName::Gelu => Activation::Gelu,
        }
    }

    /// The network for rows of d numbers and k classes, trained with `batch` rows a step.
    ///
    /// # Errors
    /// [`FitError::Refused`] when it, or what it computes for a batch, would not fit into memory.
    pub fn shape(&self, d: usize, k: usize, batch: usize) -> Result<Shape, FitError> {
        let (width, expansion) = (self.width.get(), self.expansion.get());
        let shape = Shape {
            inputs: d,
            hidden: self.hidden.iter().map(|units| units.get()).collect(),
            batch_norm: self.batch_norm,
            blocks: if self.blocks == 0 { Blocks::NONE } else { Blocks { width, count: self.blocks, expansion } },
            activation: self.activation(),
            classes: k,
        };
        let layers = || format!("hidden layers of {:?} units and {} blocks of {width}", self.hidden, self.blocks);
        if shape.n_weights().is_none_or(|weights| weights > MOST_WEIGHTS) {
            return Err(FitError::refused(format!("{} have more than {MOST_WEIGHTS} weights", layers())));
        }
        // Neither sum overflows: weights are at least as many as units.
        let units = shape.hidden.iter().sum::<usize>() + shape.blocks.count * width * (expansion + 2) + d + k;
        if units.checked_mul(batch).is_none_or(|outputs| outputs > MOST_OUTPUTS) {
            let reason = format!("a batch of {batch} rows gives {} more than {MOST_OUTPUTS} outputs", layers());
            return Err(FitError::refused(reason));
        }
        Ok(shape)
    }

    /// How steps are made.
    pub fn optimiser(&self) -> Optimiser {
        Optimiser {
            rule: self.optimiser,
            momentum: self.momentum.get(),
            beta1: self.beta1.get(),
            beta2: self.beta2.get(),
            epsilon: ADAM_EPSILON,
            l2: self.l2.get(),
            l1: self.l1.get(),
            decay: self.weight_decay.get(),
        }
    }

    pub(crate) fn loss(&self) -> Result<Loss, FitError> {
        match self.loss {
            MlpLoss::Softmax => Ok(Loss::Softmax),
            MlpLoss::Squared => Ok(Loss::Squared),
            MlpLoss::Svm if self.label_smoothing.get() == 0.0 => Ok(Loss::WestonWatkins),
            MlpLoss::Svm => Err(FitError::refused("label_smoothing is for the losses softmax and squared, not svm")),
        }
    }

    /// The learning rate when this share of the training is done.
    pub(crate) fn rate(&self, progress: f64) -> f64 {
        let warm_up = self.warm_up.get();
        let factor = if progress < warm_up {
            0.01 + 0.99 * progress / warm_up
        } else {
            self.schedule.factor_at((progress - warm_up) / (1.0 - warm_up))
        };
        self.learning_rate.get() * factor
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_learning_rate_warms_up_and_then_follows_the_schedule() {
        let mlp = Mlp { warm_up: Fraction::literal(0.2), learning_rate: Positive::literal(2.0), ..Mlp::default() };
        for (progress, rate) in [(0.0, 0.02), (0.1, 1.01), (0.2, 2.0), (0.6, 1.0), (1.0, 0.0)] {
            assert!((mlp.rate(progress) - rate).abs() < 1e-12, "{progress}: {}", mlp.rate(progress));
        }
        assert_eq!(Mlp::default().rate(0.0), 0.02);
    }

    #[test]
    fn absurd_sizes_are_refused_before_anything_is_made() {
        let reason = |mlp: Mlp, batch| mlp.shape(10, 3, batch).unwrap_err().to_string();
        assert!(reason(Mlp { hidden: vec![count(usize::MAX / 2), count(8)], ..Mlp::default() }, 1).contains("weights"));
        assert!(reason(Mlp { blocks: usize::MAX, ..Mlp::default() }, 1).contains("weights"));
        assert!(reason(Mlp { blocks: 2, expansion: count(usize::MAX), ..Mlp::default() }, 1).contains("weights"));
        assert!(reason(Mlp::default(), usize::MAX).contains("outputs"));
        assert!(
            Mlp { width: count(usize::MAX), ..Mlp::default() }.shape(10, 3, 128).is_ok(),
            "no block has that width"
        );
    }
}
