//! What all linear classifiers share: the settings, the two solvers, the model.

use crate::descent::Descent;
use crate::objective::{Objective, Source};
use crate::precondition::Preconditioner;
use bakeoff_core::classifier::check_rows;
use bakeoff_core::params::{Fraction, NonNegative, Positive};
use bakeoff_core::{
    Epoch, FitError, Fitted, Labels, Model, OnEpoch, Operation, RestoreError, Rows, ScoreKind, Seed, Tensors,
};
use bakeoff_numeric::narrow::MOST_CLASSES;
use bakeoff_numeric::optim::shuffle;
use bakeoff_numeric::{Lbfgs, Loss, Narrow, Schedule, Sgd, matmul_here, score_rows};
use ndarray::{Array1, Array2, ArrayView2, Axis};
use rayon::prelude::*;
use serde::{Deserialize, Serialize};
use std::num::NonZeroUsize;

/// How the minimum of the objective is found.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Solver {
    /// L-BFGS where the objective is smooth, else SGD.
    #[default]
    Auto,
    /// L-BFGS: converges on smooth objectives; all rows in every iteration.
    Lbfgs,
    /// Stochastic gradient descent with momentum, as in the lecture.
    Sgd,
}

/// The settings that both recipes share, and the loss.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Training {
    pub(crate) loss: Loss,
    pub(crate) l2: NonNegative,
    pub(crate) l1: NonNegative,
    pub(crate) solver: Solver,
    pub(crate) tolerance: Positive,
    pub(crate) max_iterations: NonZeroUsize,
    pub(crate) learning_rate: Positive,
    pub(crate) momentum: Fraction,
    pub(crate) batch: NonZeroUsize,
    pub(crate) epochs: NonZeroUsize,
    pub(crate) schedule: Schedule,
}

const fn count(value: usize) -> NonZeroUsize {
    NonZeroUsize::new(value).expect("a positive literal")
}

impl Training {
    pub(crate) const DEFAULT: Self = Self {
        loss: Loss::Softmax,
        l2: NonNegative::literal(1e-5),
        l1: NonNegative::literal(0.0),
        solver: Solver::Auto,
        tolerance: Positive::literal(1e-4),
        max_iterations: count(1000),
        learning_rate: Positive::literal(0.01),
        momentum: Fraction::literal(0.9),
        batch: count(128),
        epochs: count(20),
        schedule: Schedule::Cosine,
    };

    /// What the scores are: only those that softmax trained stand for probabilities.
    pub(crate) fn score_kind(&self) -> ScoreKind {
        if self.loss == Loss::Softmax { ScoreKind::Logit } else { ScoreKind::Margin }
    }

    fn is_smooth(&self) -> bool {
        self.loss.is_smooth() && self.l1.get() == 0.0
    }

    fn uses_sgd(&self) -> bool {
        self.solver == Solver::Sgd || (self.solver == Solver::Auto && !self.is_smooth())
    }

    /// L-BFGS starts at zero and reads all rows in order.
    pub(crate) fn is_deterministic(&self) -> bool {
        !self.uses_sgd()
    }

    pub(crate) fn fit(
        &self,
        x: &dyn Rows,
        y: &Labels,
        seed: Seed,
        on_epoch: &mut OnEpoch<'_>,
    ) -> Result<Fitted, FitError> {
        check_rows(x, y)?;
        if self.solver == Solver::Lbfgs && !self.is_smooth() {
            let reason = "lbfgs needs a smooth objective: no l1 and no Weston-Watkins hinge; take solver = \"sgd\"";
            return Err(FitError::refused(reason));
        }
        if self.uses_sgd() { self.by_sgd(x, y, seed, on_epoch) } else { self.by_lbfgs(x, y, on_epoch) }
    }

    fn by_lbfgs(&self, x: &dyn Rows, y: &Labels, on_epoch: &mut OnEpoch<'_>) -> Result<Fitted, FitError> {
        let (loss, l2, k) = (self.loss, self.l2.get(), y.n_classes());
        let objective = Objective { loss, l2, x: Source::of(x), y: y.as_slice(), n_classes: k };
        let n = objective.n_parameters();
        if n > MOST_LBFGS_PARAMETERS {
            let reason =
                format!("lbfgs would keep 28 vectors of {n} weights, {MOST_LBFGS_PARAMETERS} are the most: take sgd");
            return Err(FitError::refused(reason));
        }
        let preconditioner = Preconditioner::of(x, loss, k, l2);
        let (mut v, mut parameters, mut gradient) = (vec![0.0; n], vec![0.0; n], vec![0.0; n]);
        let of = self.max_iterations.get();
        let solver = Lbfgs { max_iterations: of, tolerance: self.tolerance.get(), memory: 10 };
        let end = solver.minimise(
            &mut v,
            |v, gradient_v| {
                preconditioner.parameters(v, &mut parameters);
                let value = objective.value_and_gradient(&parameters, &mut gradient);
                preconditioner.gradient(&gradient, gradient_v);
                value
            },
            |number, loss| on_epoch(Epoch::new(number, of, loss)),
        );
        preconditioner.parameters(&v, &mut parameters);
        if !end.value.is_finite() {
            return Err(FitError::NonFinite { epoch: end.iterations + 1, step: 1, loss: end.value });
        }
        let (w, b) = objective.unpack::<f32>(&parameters);
        Ok(Fitted { model: Box::new(LinearModel { w, b }), epochs: end.iterations, converged: end.converged })
    }

    fn by_sgd(&self, x: &dyn Rows, y: &Labels, seed: Seed, on_epoch: &mut OnEpoch<'_>) -> Result<Fitted, FitError> {
        let Self { learning_rate, momentum, l2, l1, schedule, .. } = *self;
        let sgd = Sgd { learning_rate, momentum, l2, l1, schedule };
        let (n, of, batch) = (x.n_rows(), self.epochs.get(), self.batch.get().min(x.n_rows()));
        let mut descent = Descent::new(LinearModel::zero(y.n_classes(), x.dim()), self.loss, sgd, batch);
        let steps = n.div_ceil(batch);
        let mut rng = seed.derive("sgd").rng();
        let mut order: Vec<usize> = (0..n).collect();
        for epoch in 1..=of {
            shuffle(&mut order, &mut rng);
            let mut sum = 0.0;
            for (step, rows) in order.chunks(batch).enumerate() {
                let factor = schedule.factor((epoch - 1) * steps + step, of * steps);
                let loss = descent.step(x, y.as_slice(), rows, factor);
                if !loss.is_finite() {
                    return Err(FitError::NonFinite { epoch, step: step + 1, loss });
                }
                sum += loss;
            }
            let loss = sum / n as f64 + descent.penalty();
            if !loss.is_finite() {
                return Err(FitError::NonFinite { epoch, step: steps, loss });
            }
            if on_epoch(Epoch::new(epoch, of, loss)).is_break() {
                return Ok(Fitted { model: Box::new(descent.into_model()), epochs: epoch, converged: false });
            }
        }
        Ok(Fitted { model: Box::new(descent.into_model()), epochs: of, converged: true })
    }
}

/// Weights above which L-BFGS is refused: ten pairs of steps and the working vectors take 3.8 GB in f64.
const MOST_LBFGS_PARAMETERS: usize = 1 << 24;

/// s = W x + b.
#[derive(Debug, Clone, PartialEq)]
pub struct LinearModel {
    /// W (k, d): one template a class.
    pub w: Array2<f32>,
    /// b (k).
    pub b: Array1<f32>,
}

/// Rows that a worker scores at a time.
const SCORED: usize = 128;

impl Model for LinearModel {
    fn scores(&self, x: ArrayView2<'_, f32>) -> Array2<f32> {
        assert_eq!(x.ncols(), self.w.ncols(), "columns of the training rows");
        let k = self.b.len();
        if k > MOST_CLASSES {
            return score_rows(x, k, |rows, mut scores| {
                matmul_here(rows, self.w.t(), scores.view_mut());
                scores += &self.b;
            });
        }
        let narrow = Narrow::new(self.w.clone(), self.b.to_vec());
        let mut out = Array2::zeros((x.nrows(), k));
        let blocks = x.axis_chunks_iter(Axis(0), SCORED).into_par_iter();
        blocks.zip(out.axis_chunks_iter_mut(Axis(0), SCORED)).for_each(|(rows, mut out)| {
            let mut scores = Array2::zeros((k, rows.nrows()));
            narrow.scores(rows, scores.view_mut());
            out.assign(&scores.t());
        });
        out
    }

    fn model_bytes(&self) -> usize {
        (self.w.len() + self.b.len()) * size_of::<f32>()
    }

    fn learned(&self) -> Tensors {
        Tensors::new().with("w", &self.w).with("b", &self.b)
    }

    fn operations(&self) -> Option<Vec<Operation>> {
        Some(vec![Operation::Affine { w: self.w.clone(), b: self.b.clone() }])
    }
}

impl LinearModel {
    /// W = 0 and b = 0, for k classes and d columns: where training starts.
    pub fn zero(k: usize, d: usize) -> Self {
        Self { w: Array2::zeros((k, d)), b: Array1::zeros(k) }
    }

    /// The model for rows of `d` columns and k classes that [`Model::learned`] came from.
    ///
    /// # Errors
    /// [`RestoreError`] when the arrays are not w (k, d) and b (k) alone, all finite.
    pub fn restore(d: usize, k: usize, mut learned: Tensors) -> Result<Self, RestoreError> {
        let model = Self { w: learned.matrix("w", k, d)?, b: learned.array("b", k)? };
        learned.finish()?;
        Ok(model)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use ndarray::array;
    use std::ops::ControlFlow;

    fn rows(n: usize, d: usize) -> Array2<f32> {
        Array2::from_shape_fn((n, d), |(i, j)| ((i * 31 + j * 17 + i * j) % 23) as f32 * 0.1 - 1.0)
    }

    #[test]
    fn both_solvers_reach_the_same_minimum() {
        let (x, ids) = (rows(200, 5), (0..200).map(|i| i * 3 % 3).collect::<Vec<_>>());
        let y = Labels::new(
            ids.iter().enumerate().map(|(i, _)| usize::from(x[[i, 0]] > 0.0) + usize::from(x[[i, 1]] > 0.4)).collect(),
            3,
        )
        .unwrap();
        let mut last = [0.0, 0.0];
        for (i, solver) in [Solver::Lbfgs, Solver::Sgd].into_iter().enumerate() {
            let training = Training {
                solver,
                l2: NonNegative::literal(0.01),
                epochs: count(400),
                learning_rate: Positive::literal(0.05),
                ..Training::DEFAULT
            };
            let mut keep = |e: Epoch| {
                last[i] = e.loss;
                ControlFlow::Continue(())
            };
            let fitted = training.fit(&x, &y, Seed(1), &mut keep).unwrap();
            assert!(fitted.converged);
        }
        assert!((last[0] - last[1]).abs() < 1e-3 * last[0], "{last:?}");
    }

    #[test]
    fn the_bits_do_not_depend_on_threads() {
        let (x, y) = (rows(9000, 6), Labels::new((0..9000).map(|i| i % 3).collect(), 3).unwrap());
        for solver in [Solver::Lbfgs, Solver::Sgd] {
            let training = Training { solver, epochs: count(2), max_iterations: count(8), ..Training::DEFAULT };
            let scores = |threads: usize| {
                let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
                pool.install(|| {
                    training.fit(&x, &y, Seed(5), &mut |_| ControlFlow::Continue(())).unwrap().model.scores(x.view())
                })
            };
            assert_eq!(scores(1), scores(3), "{solver:?}");
        }
    }

    #[test]
    fn scores_are_those_of_the_plain_product_and_of_each_row_alone() {
        // Some classes, and more than the kernel of few takes; whole blocks of rows and some that are left.
        for k in [3, 70] {
            let model = LinearModel { w: rows(k, 37), b: Array1::from_shape_fn(k, |i| i as f32 * 0.1) };
            let x = rows(300, 37);
            let expected = x.dot(&model.w.t()) + &model.b;
            let found = model.scores(x.view());
            assert!((&found - &expected).iter().all(|e| e.abs() < 1e-4), "{k} classes");
            for i in [0, 127, 128, 299] {
                assert_eq!(model.scores(x.slice(ndarray::s![i..=i, ..])).row(0), found.row(i), "{k} classes, row {i}");
            }
        }
    }

    #[test]
    fn corners_are_refused_by_the_smooth_solver_and_divergence_is_told() {
        let y = Labels::new(array![0, 1, 0, 1], 2).unwrap();
        let x = rows(4, 2);
        let fit = |training: Training| training.fit(&x, &y, Seed(0), &mut |_| ControlFlow::Continue(())).err().unwrap();
        let corner = Training { l1: NonNegative::literal(0.1), solver: Solver::Lbfgs, ..Training::DEFAULT };
        assert!(fit(corner).to_string().contains("smooth"));
        let wild = Training {
            solver: Solver::Sgd,
            loss: Loss::SquaredHinge,
            learning_rate: Positive::literal(1e12),
            ..Training::DEFAULT
        };
        assert!(matches!(fit(wild), FitError::NonFinite { epoch: 1..=20, step: 1, .. }));
    }
}
