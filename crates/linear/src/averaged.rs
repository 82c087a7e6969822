//! One-vs-all support vector machines by averaged stochastic gradient descent, for rows too wide or too many for a solver
//! that reads them all in every iteration (the lecture's B6; Bottou 2010; Xu 2011; Perronnin, Akata, Harchaoui, Schmid 2012).
//!
//! The objective is that of [`crate::svm`]: (1/n) Σ_i Σ_j max(0, 1 − t_j s_j)^p + λ₂ Σ W², p = 1 or 2, s = W x + b, t_y = 1 and
//! t_j = −1 elsewhere, the bias free of penalty. Step t, counted from 0, on a minibatch of m rows is
//! W ← (1 − 2 λ₂ η_t) W − (η_t / m) Σ_i ∂L_i/∂W with
//!
//! η_t = η₀ (1 + 2 λ₂ η₀ t)^(−3/4), η₀ = rate / r², r² the mean of ‖x‖² + 1 over evenly spread rows.
//!
//! A step of 1/‖x‖² on one row alone moves its margin by 1, the width of the hinge, so that `rate` means the same for
//! features of any scale. Between 1 and the rows of a batch is right: of a mean over rows that have little in common,
//! each gets its share only. The exponent is Xu's for averaging. What is returned is the mean of the weights after every
//! step but those of the first pass, in which they are far from where they end.

use crate::machine::LinearModel;
use bakeoff_core::classifier::check_rows;
use bakeoff_core::params::{NonNegative, Positive};
use bakeoff_core::{
    Classifier, Epoch, FitError, Fitted, Labels, Model, OnEpoch, Recipe, RestoreError, Rows, ScoreKind, Seed, Tensors,
};
use bakeoff_numeric::optim::{penalty, shuffle};
use bakeoff_numeric::{Loss, matmul_add_here, matmul_here};
use ndarray::{Array1, Array2, ArrayView2, Axis, s};
use rayon::prelude::*;
use serde::{Deserialize, Serialize};
use std::num::NonZeroUsize;

/// What a margin below 1 costs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum OneVsAllLoss {
    /// As much as it lacks.
    #[default]
    Hinge,
    /// The square of what it lacks.
    SquaredHinge,
}

/// Settings of one-vs-all machines by averaged SGD.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct OneVsAll {
    /// What a margin below 1 costs.
    pub loss: OneVsAllLoss,
    /// λ₂, weight of Σ W².
    pub l2: NonNegative,
    /// The first step in units of 1 / r².
    pub rate: Positive,
    /// Rows a step.
    pub batch: NonZeroUsize,
    /// Passes over the rows.
    pub epochs: NonZeroUsize,
}

impl Default for OneVsAll {
    fn default() -> Self {
        let (batch, epochs) =
            const { (NonZeroUsize::new(16).expect("positive"), NonZeroUsize::new(20).expect("positive")) };
        Self { loss: OneVsAllLoss::Hinge, l2: NonNegative::literal(1e-5), rate: Positive::literal(4.0), batch, epochs }
    }
}

impl Recipe for OneVsAll {
    const NAME: &'static str = "one-vs-all-svm";
    const SUMMARY: &'static str = "one-vs-all linear SVMs by averaged SGD, for wide or streamed rows";
    const REFERENCE: &'static str = "lecture B6; Bottou 2010; Xu 2011; Perronnin et al. 2012";
    const SEARCH: &'static str = "l2 = { log_uniform = [1e-7, 1e-3] }\n\
        rate = { log_uniform = [0.5, 8.0] }";
}

impl Classifier for OneVsAll {
    fn fit(&self, x: &dyn Rows, y: &Labels, seed: Seed, on_epoch: &mut OnEpoch<'_>) -> Result<Fitted, FitError> {
        check_rows(x, y)?;
        let (n, of, batch) = (x.n_rows(), self.epochs.get(), self.batch.get().min(x.n_rows()));
        let mut descent = Descent::new(self, x, y.n_classes(), batch)?;
        let mut rng = seed.derive("order").rng();
        let mut order: Vec<usize> = (0..n).collect();
        for epoch in 1..=of {
            shuffle(&mut order, &mut rng);
            let mut sum = 0.0;
            for (step, positions) in order.chunks(batch).enumerate() {
                let loss = descent.step(x, y.as_slice(), positions, epoch > 1);
                if !loss.is_finite() {
                    return Err(FitError::NonFinite { epoch, step: step + 1, loss });
                }
                sum += loss;
            }
            let loss = sum / n as f64 + descent.penalty();
            if !loss.is_finite() {
                return Err(FitError::NonFinite { epoch, step: n.div_ceil(batch), loss });
            }
            if on_epoch(Epoch::new(epoch, of, loss)).is_break() {
                return Ok(Fitted { model: Box::new(descent.into_model()), epochs: epoch, converged: false });
            }
        }
        Ok(Fitted { model: Box::new(descent.into_model()), epochs: of, converged: true })
    }

    fn score_kind(&self) -> ScoreKind {
        ScoreKind::Margin
    }

    fn restore(&self, d: usize, n_classes: usize, learned: Tensors) -> Result<Box<dyn Model>, RestoreError> {
        Ok(Box::new(LinearModel::restore(d, n_classes, learned)?))
    }
}

/// Columns that a worker multiplies at a time. The order of additions is fixed by this and not by threads.
const COLUMNS: usize = 16_384;
/// Rows that r² is the mean of, at most.
const MEASURED: usize = 64;

struct Descent {
    loss: Loss,
    l2: f64,
    /// η₀.
    first: f64,
    /// t.
    steps: usize,
    w: Array2<f32>,
    b: Array1<f32>,
    mean: LinearModel,
    /// Steps that the mean is taken of.
    averaged: usize,
    rows: Array2<f32>,
}

impl Descent {
    fn new(settings: &OneVsAll, x: &dyn Rows, k: usize, batch: usize) -> Result<Self, FitError> {
        let d = x.dim();
        let square = mean_square(x);
        let first = settings.rate.get() / (square + 1.0);
        if !(first.is_finite() && first > 0.0) {
            return Err(FitError::refused(format!(
                "the mean square of the rows is {square}: scaled features may help"
            )));
        }
        let (w, b) = (Array2::zeros((k, d)), Array1::zeros(k));
        let mean = LinearModel { w: w.clone(), b: b.clone() };
        let loss = match settings.loss {
            OneVsAllLoss::Hinge => Loss::Hinge,
            OneVsAllLoss::SquaredHinge => Loss::SquaredHinge,
        };
        let rows = Array2::zeros((batch, d));
        Ok(Self { loss, l2: settings.l2.get(), first, steps: 0, w, b, mean, averaged: 0, rows })
    }

    /// One step on these rows; their summed loss before it.
    fn step(&mut self, x: &dyn Rows, y: &[usize], positions: &[usize], average: bool) -> f64 {
        x.read_into(positions, self.rows.slice_mut(s![..positions.len(), ..]));
        let rows = self.rows.slice(s![..positions.len(), ..]);
        let classes: Vec<usize> = positions.iter().map(|&i| y[i]).collect();
        let mut scores = scores(rows, self.w.view());
        scores += &self.b;
        let loss = self.loss.into_gradient(scores.view_mut(), &classes);
        let rate = self.first * (1.0 + 2.0 * self.l2 * self.first * self.steps as f64).powf(-0.75);
        self.steps += 1;
        scores *= -(rate / positions.len() as f64) as f32;
        self.b += &scores.sum_axis(Axis(0));
        self.averaged += usize::from(average);
        let share = if average { 1.0 / self.averaged as f32 } else { 1.0 };
        let keep = (1.0 - 2.0 * self.l2 * rate).max(0.0) as f32;
        let w = self.w.axis_chunks_iter_mut(Axis(1), COLUMNS).into_par_iter();
        let mean = self.mean.w.axis_chunks_iter_mut(Axis(1), COLUMNS).into_par_iter();
        let rows = rows.axis_chunks_iter(Axis(1), COLUMNS).into_par_iter();
        w.zip(mean).zip(rows).for_each(|((mut w, mut mean), rows)| {
            w *= keep;
            matmul_add_here(scores.t(), rows, w.view_mut());
            // Before there is a mean it is the weights themselves.
            mean.zip_mut_with(&w, |mean, &w| *mean += share * (w - *mean));
        });
        self.mean.b.zip_mut_with(&self.b, |mean, &b| *mean += share * (b - *mean));
        loss
    }

    fn penalty(&self) -> f64 {
        penalty(self.l2, 0.0, self.w.as_slice().unwrap_or_default())
    }

    fn into_model(self) -> LinearModel {
        self.mean
    }
}

/// Mean of ‖x‖² over evenly spread rows.
fn mean_square(x: &dyn Rows) -> f64 {
    let n = x.n_rows();
    let wanted = n.min(MEASURED);
    let mut row = Array2::zeros((1, x.dim()));
    let mut sum = 0.0;
    for i in 0..wanted {
        x.read_into(&[i * n / wanted], row.view_mut());
        sum += row.iter().map(|&v| f64::from(v) * f64::from(v)).sum::<f64>();
    }
    sum / wanted as f64
}

/// X Wᵀ (m, k) of few wide rows: columns in parallel, partial sums added in their order.
fn scores(x: ArrayView2<'_, f32>, w: ArrayView2<'_, f32>) -> Array2<f32> {
    let zero = || Array2::zeros((x.nrows(), w.nrows()));
    let parts = x.axis_chunks_iter(Axis(1), COLUMNS).into_par_iter().zip(w.axis_chunks_iter(Axis(1), COLUMNS));
    let partial: Vec<Array2<f32>> = parts
        .map(|(x, w)| {
            let mut scores = zero();
            matmul_here(x, w.t(), scores.view_mut());
            scores
        })
        .collect();
    partial.into_iter().fold(zero(), |sum, part| sum + part)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::svm::Svm;
    use bakeoff_core::rows::Streamed;
    use ndarray::array;
    use std::ops::ControlFlow;

    fn blobs(n: usize, d: usize) -> (Array2<f32>, Labels) {
        let noise = |i: usize, j: usize| ((i * 7919 + j * 104_729 + i * j * 31) % 1009) as f32 / 504.0 - 1.0;
        let x = Array2::from_shape_fn((n, d), |(i, j)| noise(i, j) + if j % 3 == i % 3 { 0.7 } else { 0.0 });
        (x, Labels::new((0..n).map(|i| i % 3).collect(), 3).unwrap())
    }

    fn fit(classifier: &dyn Classifier, x: &dyn Rows, y: &Labels) -> Fitted {
        classifier.fit(x, y, Seed(1), &mut |_| ControlFlow::Continue(())).unwrap()
    }

    #[test]
    fn two_steps_worked_by_hand() {
        // One row x = 1 of class 0 of two, λ₂ = 0: r² = 2, η₀ = ½. Step 1: margins 1 and 1, so that W = (½, −½), b = (½, −½).
        // Step 2: scores (1, −1), no slack left. The mean is of step 2 alone, (½, −½).
        let (l2, rate) = (NonNegative::literal(0.0), Positive::literal(1.0));
        let settings = OneVsAll { l2, rate, epochs: NonZeroUsize::new(2).unwrap(), ..OneVsAll::default() };
        let x = array![[1.0f32], [1.0]];
        let mut descent = Descent::new(&settings, &x, 2, 1).unwrap();
        assert_eq!(descent.step(&x, &[0, 0], &[0], false), 2.0);
        assert_eq!(descent.step(&x, &[0, 0], &[1], true), 0.0);
        assert_eq!(descent.into_model(), LinearModel { w: array![[0.5], [-0.5]], b: array![0.5, -0.5] });
    }

    #[test]
    fn it_comes_close_to_the_minimum_that_the_solver_finds() {
        let (x, y) = blobs(600, 20);
        let l2 = NonNegative::literal(1e-2);
        let exact = fit(&Svm { l2, ..Svm::default() }, &x, &y).model.scores(x.view());
        let settings = OneVsAll {
            loss: OneVsAllLoss::SquaredHinge,
            l2,
            rate: Positive::literal(1.0),
            epochs: NonZeroUsize::new(100).unwrap(),
            ..OneVsAll::default()
        };
        let close = fit(&settings, &x, &y).model.scores(x.view());
        let apart = (&close - &exact).mapv(|v| v * v).sum().sqrt() / exact.mapv(|v| v * v).sum().sqrt();
        assert!(apart < 0.02, "{apart}");
    }

    #[test]
    fn wide_and_streamed_rows_give_the_same_bits_on_any_number_of_threads() {
        let (x, y) = blobs(60, COLUMNS + 100);
        let settings = OneVsAll { epochs: NonZeroUsize::new(2).unwrap(), ..OneVsAll::default() };
        let scores = |rows: &dyn Rows, threads: usize| {
            let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
            pool.install(|| fit(&settings, rows, &y).model.scores(x.view()))
        };
        let one = scores(&x, 1);
        assert_eq!(one, scores(&x, 3));
        assert_eq!(one, scores(&Streamed(x.clone()), 2));
    }
}
