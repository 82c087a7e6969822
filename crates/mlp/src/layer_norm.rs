//! The layer norm in training: over the units of one row, so it goes through the signal panel by panel.

use crate::network::{EPSILON, LayerNorm};
use crate::parameter::{Parameter, View};
use crate::unit::Signal;
use bakeoff_core::parallel;
use bakeoff_numeric::element::vectorised;
use bakeoff_numeric::panels::{Line, PANEL};
use bakeoff_numeric::{Element, Panels};

/// Units that a worker takes at a time.
const UNITS: usize = 32;

/// A layer norm with its buffers.
#[derive(Debug)]
pub(crate) struct NormOfRows<T> {
    pub(crate) gamma: Parameter<T>,
    pub(crate) beta: Parameter<T>,
    /// (x − mean) / √(variance + ε), (width, batch).
    normed: Panels<T>,
    /// 1 / √(variance + ε) of each row, a line a panel.
    inverse: Vec<Line<T>>,
    /// The norm's results.
    pub(crate) out: Signal<T>,
    /// The derivative with respect to them.
    pub(crate) delta: Panels<T>,
}

impl<T: Element> NormOfRows<T> {
    pub(crate) fn new(norm: &LayerNorm<T>, batch: usize) -> Self {
        let width = norm.gamma.len();
        Self {
            gamma: Parameter::vector(&norm.gamma),
            beta: Parameter::vector(&norm.beta),
            normed: Panels::zeros(width, batch),
            inverse: vec![[T::zero(); PANEL]; batch.div_ceil(PANEL)],
            out: Signal::new(width, batch),
            delta: Panels::zeros(width, batch),
        }
    }

    /// The norm as it is now.
    pub(crate) fn layer_norm(&self, view: View) -> LayerNorm<T> {
        LayerNorm {
            gamma: self.gamma.array(view).into_iter().collect(),
            beta: self.beta.array(view).into_iter().collect(),
        }
    }

    /// out ← γ normed(x) + β.
    pub(crate) fn forward(&mut self, x: &Panels<T>) {
        let (width, n) = x.dim();
        self.out.set_batch(n);
        self.normed.set_columns(n);
        self.delta.set_columns(n);
        let (gamma, beta) = (self.gamma.as_slice(), self.beta.as_slice());
        let parts = self.normed.lines_mut().chunks_mut(width).zip(self.out.a.lines_mut().chunks_mut(width));
        let parts = parts.zip(&mut self.inverse).enumerate().collect();
        parallel::for_each(parts, |(id, ((normed, out), inverse))| {
            vectorised(|| normalise(x.panel(id), gamma, beta, normed, out, inverse));
        });
        self.out.at.assign_transposed(&self.out.a);
    }

    /// into ← beside + the derivative with respect to the norm's input; keeps those of γ and β.
    pub(crate) fn backward(&mut self, beside: &Panels<T>, into: &mut Panels<T>) {
        let Self { gamma, beta, normed, inverse, delta, .. } = self;
        let (width, n) = delta.dim();
        let parts = gamma.gradient.flat_mut()[..width]
            .chunks_mut(UNITS)
            .zip(beta.gradient.flat_mut()[..width].chunks_mut(UNITS));
        parallel::for_each(parts.enumerate().collect(), |(part, (gammas, betas))| {
            for (unit, (gamma, beta)) in (part * UNITS..).zip(gammas.iter_mut().zip(betas)) {
                (*gamma, *beta) = (T::zero(), T::zero());
                for id in 0..delta.n_panels() {
                    let valid = (n - id * PANEL).min(PANEL);
                    for (&d, &x) in delta.panel(id)[unit][..valid].iter().zip(&normed.panel(id)[unit]) {
                        *gamma += d * x;
                        *beta += d;
                    }
                }
            }
        });
        let gamma = gamma.as_slice();
        parallel::for_each(into.lines_mut().chunks_mut(width).enumerate().collect(), |(id, into)| {
            let (delta, normed) = (delta.panel(id), normed.panel(id));
            vectorised(|| backward(beside.panel(id), delta, normed, gamma, &inverse[id], into));
        });
    }
}

/// One panel of 32 rows: lines are units.
#[inline(always)]
fn normalise<T: Element>(
    x: &[Line<T>],
    gamma: &[T],
    beta: &[T],
    normed: &mut [Line<T>],
    out: &mut [Line<T>],
    inverse: &mut Line<T>,
) {
    let share = T::of(1.0 / x.len() as f64);
    let mut mean = [T::zero(); PANEL];
    x.iter().for_each(|line| mean.iter_mut().zip(line).for_each(|(sum, &v)| *sum += v));
    mean = mean.map(|sum| sum * share);
    let mut variance = [T::zero(); PANEL];
    for line in x {
        for j in 0..PANEL {
            variance[j] += (line[j] - mean[j]) * (line[j] - mean[j]);
        }
    }
    *inverse = variance.map(|sum| T::one() / (sum * share + T::of(EPSILON)).sqrt());
    for (((x, normed), out), (&gamma, &beta)) in x.iter().zip(normed).zip(out).zip(gamma.iter().zip(beta)) {
        for j in 0..PANEL {
            normed[j] = (x[j] - mean[j]) * inverse[j];
            out[j] = gamma * normed[j] + beta;
        }
    }
}

/// into ← beside + (γ δ − mean(γ δ) − x̂ mean(γ δ x̂)) / √(variance + ε), means over the units.
#[inline(always)]
fn backward<T: Element>(
    beside: &[Line<T>],
    delta: &[Line<T>],
    normed: &[Line<T>],
    gamma: &[T],
    inverse: &Line<T>,
    into: &mut [Line<T>],
) {
    let share = T::of(1.0 / delta.len() as f64);
    let (mut mean, mut along) = ([T::zero(); PANEL], [T::zero(); PANEL]);
    for ((delta, normed), &gamma) in delta.iter().zip(normed).zip(gamma) {
        for j in 0..PANEL {
            mean[j] += gamma * delta[j];
            along[j] += gamma * delta[j] * normed[j];
        }
    }
    let lines = into.iter_mut().zip(beside).zip(delta).zip(normed).zip(gamma);
    for ((((into, beside), delta), normed), &gamma) in lines {
        for j in 0..PANEL {
            let own = gamma * delta[j] - share * mean[j] - normed[j] * (share * along[j]);
            into[j] = beside[j] + inverse[j] * own;
        }
    }
}
