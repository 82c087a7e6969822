//! Stochastic gradient descent on a linear classifier, step by step (the lecture's A5): what the solver `sgd` does for as many
//! epochs as it is told, and what others do who want to look in between.

use crate::machine::LinearModel;
use bakeoff_core::Rows;
use bakeoff_numeric::{Loss, Sgd, matmul_here};
use ndarray::{Array2, Axis, s};

/// A linear classifier in training: its velocity and the buffers of a step.
#[derive(Debug)]
pub struct Descent {
    loss: Loss,
    sgd: Sgd,
    model: LinearModel,
    velocity: LinearModel,
    /// The rows of a step.
    rows: Array2<f32>,
}

impl Descent {
    /// Prepares a model to be trained with up to `batch` rows a step; it is at rest.
    pub fn new(model: LinearModel, loss: Loss, sgd: Sgd, batch: usize) -> Self {
        let (k, d) = model.w.dim();
        Self { loss, sgd, velocity: LinearModel::zero(k, d), rows: Array2::zeros((batch, d)), model }
    }

    /// One step on the rows at these positions: their summed loss before it, without the penalty. `factor` is what the
    /// schedule multiplies the learning rate by.
    ///
    /// # Panics
    /// When there are more positions than there is room for, or shapes do not fit.
    pub fn step(&mut self, x: &dyn Rows, y: &[usize], positions: &[usize], factor: f64) -> f64 {
        let n = positions.len();
        x.read_into(positions, self.rows.slice_mut(s![..n, ..]));
        let x = self.rows.slice(s![..n, ..]);
        let classes: Vec<usize> = positions.iter().map(|&i| y[i]).collect();
        let mut scores = Array2::zeros((n, self.model.b.len()));
        matmul_here(x, self.model.w.t(), scores.view_mut());
        scores += &self.model.b;
        let loss = self.loss.into_gradient(scores.view_mut(), &classes);
        scores /= n as f32;
        let mut gradient = Array2::zeros(self.model.w.dim());
        matmul_here(scores.t(), x, gradient.view_mut());
        let bias_gradient = scores.sum_axis(Axis(0));
        let (model, velocity) = (&mut self.model, &mut self.velocity);
        self.sgd.update(slice_mut(&mut model.w), slice_mut(&mut velocity.w), slice(&gradient), factor, true);
        self.sgd.update(slice_mut(&mut model.b), slice_mut(&mut velocity.b), slice(&bias_gradient), factor, false);
        loss
    }

    /// λ₂ Σ W² + λ₁ Σ |W|.
    pub fn penalty(&self) -> f64 {
        self.sgd.penalty(slice(&self.model.w))
    }

    /// The model as it is now.
    pub fn model(&self) -> &LinearModel {
        &self.model
    }

    /// The model that training leaves.
    pub fn into_model(self) -> LinearModel {
        self.model
    }
}

fn slice<D: ndarray::Dimension>(array: &ndarray::Array<f32, D>) -> &[f32] {
    array.as_slice().expect("made in standard layout")
}

fn slice_mut<D: ndarray::Dimension>(array: &mut ndarray::Array<f32, D>) -> &mut [f32] {
    array.as_slice_mut().expect("made in standard layout")
}

#[cfg(test)]
mod tests {
    use super::*;
    use bakeoff_core::params::{Fraction, NonNegative, Positive};
    use bakeoff_numeric::Schedule;
    use ndarray::array;

    #[test]
    fn two_steps_worked_by_hand() {
        // One row (1, 2) of class 0 of two, squared loss Σ (s − t)², lr 0.1, ρ 0.5, λ₂ 0.25.
        // Step 1: s = (0, 0), loss 1, dS = (−2, 0), dW = [(−2, −4), (0, 0)], W = [(0.2, 0.4), 0], b = (0.2, 0).
        // Step 2: s = (0.2 + 0.8 + 0.2, 0) = (1.2, 0), loss 0.04, dS = (0.4, 0), dW = (0.4, 0.8) + 2 · 0.25 W = (0.5, 1),
        // v = (−1 + 0.5, −2 + 1) = (−0.5, −1), W = (0.25, 0.5); db = 0.4, v = −1 + 0.4 = −0.6, b = 0.26.
        let sgd = Sgd {
            learning_rate: Positive::literal(0.1),
            momentum: Fraction::literal(0.5),
            l2: NonNegative::literal(0.25),
            l1: NonNegative::literal(0.0),
            schedule: Schedule::Constant,
        };
        let mut descent = Descent::new(LinearModel::zero(2, 2), Loss::Squared, sgd, 3);
        let x = array![[9.0f32, 9.0], [1.0, 2.0]];
        let near = |a: f64, b: f64| (a - b).abs() < 1e-6;
        assert!(near(descent.step(&x, &[1, 0], &[1], 1.0), 1.0));
        assert!(near(descent.penalty(), 0.25 * (0.04 + 0.16)));
        assert!(near(descent.step(&x, &[1, 0], &[1], 1.0), 0.04));
        let model = descent.into_model();
        for (found, expected) in model.w.iter().chain(&model.b).zip([0.25, 0.5, 0.0, 0.0, 0.26, 0.0]) {
            assert!(near(f64::from(*found), expected), "{model:?}");
        }
    }
}
