//! Linear support vector machines (the lecture's A3, A4):
//!
//! L(W, b) = (1/n) Σ_i L_i + λ₂ Σ W² + λ₁ Σ |W|, with s = W x_i + b, W (k, d), and for L_i either
//! Σ_j max(0, 1 − t_j s_j)², k machines, each one class against all others (t_y = 1, else −1), or
//! Σ_{j≠y} max(0, s_j − s_y + 1), one machine for all classes (Weston, Watkins 1999).
//!
//! The squared hinge is the default: it is smooth, so L-BFGS converges on it, and it is what liblinear and the Coates,
//! Lee, Ng 2011 pipeline use. The mean over rows, no factor ½ before λ₂, the bias free of penalty:
//! liblinear's C is 1 / (2 λ₂ n).

use crate::machine::{LinearModel, Solver, Training};
use bakeoff_core::params::{Fraction, NonNegative, Positive};
use bakeoff_core::{
    Classifier, FitError, Fitted, Labels, Model, OnEpoch, Recipe, RestoreError, Rows, ScoreKind, Seed, Tensors,
};
use bakeoff_numeric::{Loss, Schedule};
use serde::{Deserialize, Serialize};
use std::num::NonZeroUsize;

/// Which hinge.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum SvmLoss {
    /// One class against all others, the hinge squared.
    #[default]
    SquaredHinge,
    /// All classes in one, the lecture's multiclass SVM loss.
    WestonWatkins,
}

/// Settings of the linear support vector machine.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Svm {
    /// Which hinge.
    pub loss: SvmLoss,
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

impl Default for Svm {
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
        let loss = SvmLoss::default();
        Self { loss, l2, l1, solver, tolerance, max_iterations, learning_rate, momentum, batch, epochs, schedule }
    }
}

impl Recipe for Svm {
    const NAME: &'static str = "svm";
    const SUMMARY: &'static str =
        "linear SVM, squared hinge one-vs-all or Weston-Watkins, L1 or L2, by L-BFGS or SGD with momentum";
    const REFERENCE: &'static str = "lecture A1-A5; Weston, Watkins 1999; Fan et al. 2008";
    const SEARCH: &'static str = "l2 = { log_uniform = [1e-7, 1e-1] }";
}

impl Svm {
    fn training(&self) -> Training {
        let Self { loss, l2, l1, solver, tolerance, max_iterations, learning_rate, momentum, batch, epochs, schedule } =
            *self;
        let loss = match loss {
            SvmLoss::SquaredHinge => Loss::SquaredHinge,
            SvmLoss::WestonWatkins => Loss::WestonWatkins,
        };
        Training { loss, l2, l1, solver, tolerance, max_iterations, learning_rate, momentum, batch, epochs, schedule }
    }
}

impl Classifier for Svm {
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
