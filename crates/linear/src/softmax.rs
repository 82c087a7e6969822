//! Softmax classifier (multinomial logistic regression; the lecture's A2, A4):
//!
//! L(W, b) = (1/n) Σ_i −log(e^{s_{y_i}} / Σ_j e^{s_j}) + λ₂ Σ W² + λ₁ Σ |W|, with s = W x_i + b and W (k, d).
//!
//! The mean over rows, no factor ½ before λ₂, the bias free of penalty. liblinear's and scikit-learn's C is 1 / (2 λ₂ n).

use crate::machine::{LinearModel, Solver, Training};
use bakeoff_core::params::{Fraction, NonNegative, Positive};
use bakeoff_core::{
    Classifier, FitError, Fitted, Labels, Model, OnEpoch, Recipe, RestoreError, Rows, ScoreKind, Seed, Tensors,
};
use bakeoff_numeric::{Loss, Schedule};
use serde::{Deserialize, Serialize};
use std::num::NonZeroUsize;

/// Settings of the softmax classifier.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Softmax {
    /// λ₂, weight of Σ W².
    pub l2: NonNegative,
    /// λ₁, weight of Σ |W|; the solver `lbfgs` takes 0 only, because |W| has a corner.
    pub l1: NonNegative,
    /// How the minimum is found; `auto` is L-BFGS where the objective is smooth.
    pub solver: Solver,
    /// L-BFGS: converged when the gradient's norm has fallen to this share of its norm at the start.
    pub tolerance: Positive,
    /// L-BFGS: iterations at most.
    pub max_iterations: NonZeroUsize,
    /// SGD: the learning rate at the start.
    pub learning_rate: Positive,
    /// SGD: ρ.
    pub momentum: Fraction,
    /// SGD: rows a step.
    pub batch: NonZeroUsize,
    /// SGD: passes over the rows.
    pub epochs: NonZeroUsize,
    /// SGD: the learning rate over time.
    pub schedule: Schedule,
}

impl Default for Softmax {
    fn default() -> Self {
        let Training {
            l2,
            l1,
            solver,
            tolerance,
            max_iterations,
            learning_rate,
            momentum,
            batch,
            epochs,
            schedule,
            ..
        } = Training::DEFAULT;
        Self { l2, l1, solver, tolerance, max_iterations, learning_rate, momentum, batch, epochs, schedule }
    }
}

impl Recipe for Softmax {
    const NAME: &'static str = "softmax";
    const SUMMARY: &'static str = "linear classifier with softmax loss, L1 or L2, by L-BFGS or SGD with momentum";
    const REFERENCE: &'static str = "lecture A1-A5; Cox 1958";
    const SEARCH: &'static str = "l2 = { log_uniform = [1e-7, 1e-1] }";
}

impl Softmax {
    fn training(&self) -> Training {
        let Self { l2, l1, solver, tolerance, max_iterations, learning_rate, momentum, batch, epochs, schedule } =
            *self;
        Training {
            loss: Loss::Softmax,
            l2,
            l1,
            solver,
            tolerance,
            max_iterations,
            learning_rate,
            momentum,
            batch,
            epochs,
            schedule,
        }
    }
}

impl Classifier for Softmax {
    fn fit(&self, x: &dyn Rows, y: &Labels, seed: Seed, on_epoch: &mut OnEpoch<'_>) -> Result<Fitted, FitError> {
        self.training().fit(x, y, seed, on_epoch)
    }

    fn is_deterministic(&self) -> bool {
        self.training().is_deterministic()
    }

    fn score_kind(&self) -> ScoreKind {
        self.training().score_kind()
    }

    fn restore(&self, d: usize, n_classes: usize, learned: Tensors) -> Result<Box<dyn Model>, RestoreError> {
        Ok(Box::new(LinearModel::restore(d, n_classes, learned)?))
    }
}
