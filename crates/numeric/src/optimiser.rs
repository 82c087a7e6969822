//! The optimisers of networks, in PyTorch's formulas, so that runs can be compared number by number.
//!
//! With g the gradient of the data's mean loss and p the penalties' (2 λ₂ W + λ₁ sign W, none for what is not penalised),
//! first w ← w − lr · decay · w (decoupled; Loshchilov, Hutter 2019), then with G = g + p:
//!
//! * SGD: v ← ρ v + G; w ← w − lr v (ρ = 0: plain);
//! * Nesterov: v ← ρ v + G; w ← w − lr (G + ρ v) (Sutskever and others 2013);
//! * Adam: m ← β₁ m + (1 − β₁) G; u ← β₂ u + (1 − β₂) G²; w ← w − lr m̂ / (√û + ε) with m̂ = m / (1 − β₁ᵗ),
//!   û = u / (1 − β₂ᵗ) (Kingma, Ba 2015). With decay it is AdamW;
//! * Lion: w ← w − lr · sign(β₁ m + (1 − β₁) G); m ← β₂ m + (1 − β₂) G (Chen and others 2023; sign 0 = 0), half of Adam's
//!   memory.

use crate::element::Element;
use crate::panels::{Line, TileWork};
use serde::{Deserialize, Serialize};

/// The name of an optimiser in experiment files.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Rule {
    /// Gradient descent with momentum; plain when the momentum is 0.
    #[default]
    Sgd,
    /// Momentum that looks ahead.
    Nesterov,
    /// Adam; with decoupled weight decay AdamW, which is another name for it here.
    #[serde(alias = "adamw")]
    Adam,
    /// The sign of a momentum: every weight moves by lr. Its learning rate is a third to a tenth of Adam's, its decay as
    /// many times greater, its β₂ usually 0.99.
    Lion,
}

/// An optimiser with its numbers.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Optimiser {
    /// How a step is made.
    pub rule: Rule,
    /// ρ of SGD and Nesterov.
    pub momentum: f64,
    /// β₁ of Adam and Lion.
    pub beta1: f64,
    /// β₂ of Adam and Lion.
    pub beta2: f64,
    /// ε of Adam.
    pub epsilon: f64,
    /// λ₂ of λ₂ Σ W².
    pub l2: f64,
    /// λ₁ of λ₁ Σ |W|; the subgradient at 0 is 0.
    pub l1: f64,
    /// Decoupled decay of weights a step and learning rate.
    pub decay: f64,
}

impl Default for Optimiser {
    /// Plain gradient descent; β₁, β₂ and ε as in PyTorch, for those who change the rule alone.
    fn default() -> Self {
        let (beta1, beta2, epsilon) = (0.9, 0.999, 1e-8);
        Self { rule: Rule::Sgd, momentum: 0.0, beta1, beta2, epsilon, l2: 0.0, l1: 0.0, decay: 0.0 }
    }
}

impl Optimiser {
    /// Whether it keeps a second number a parameter.
    pub fn has_second(&self) -> bool {
        self.rule == Rule::Adam
    }

    /// The `number`-th step (from 1) at this learning rate.
    pub fn step<T: Element>(&self, rate: f64, number: u64) -> Step<T> {
        let corrections = |beta: f64| 1.0 - beta.powf(number as f64);
        let (rate_of_mean, root) = match self.rule {
            Rule::Adam => (rate / corrections(self.beta1), corrections(self.beta2).sqrt()),
            Rule::Sgd | Rule::Nesterov | Rule::Lion => (rate, 1.0),
        };
        let momentum = match self.rule {
            Rule::Sgd | Rule::Nesterov => self.momentum,
            Rule::Adam | Rule::Lion => self.beta1,
        };
        Step {
            rule: self.rule,
            rate: T::of(rate_of_mean),
            inverse_root: T::of(1.0 / root),
            momentum: T::of(momentum),
            fresh: T::of(1.0 - self.beta1),
            beta2: T::of(self.beta2),
            fresh2: T::of(1.0 - self.beta2),
            epsilon: T::of(self.epsilon),
            two_l2: T::of(2.0 * self.l2),
            l1: T::of(self.l1),
            keep: T::of(1.0 - rate * self.decay),
        }
    }
}

/// One step's coefficients in the precision of the parameters.
#[derive(Debug, Clone, Copy)]
pub struct Step<T> {
    rule: Rule,
    /// lr; Adam's divided by 1 − β₁ᵗ.
    rate: T,
    /// 1 / √(1 − β₂ᵗ).
    inverse_root: T,
    momentum: T,
    fresh: T,
    beta2: T,
    fresh2: T,
    epsilon: T,
    two_l2: T,
    l1: T,
    /// 1 − lr · decay.
    keep: T,
}

impl<T: Element> Step<T> {
    /// The same step for what pays no penalty and does not decay: biases, norms.
    pub fn unpenalised(mut self) -> Self {
        (self.two_l2, self.l1, self.keep) = (T::zero(), T::zero(), T::one());
        self
    }

    /// Moves w by the gradient g; `first` and `second` are the optimiser's memory (`second` is empty for those that have
    /// none). Plain loops: call it where vectors are chosen.
    ///
    /// # Panics
    /// When lengths differ.
    #[inline(always)]
    pub fn apply(&self, g: &[T], w: &mut [T], first: &mut [T], second: &mut [T]) {
        assert!(g.len() == w.len() && g.len() == first.len(), "gradients, parameters and their memory");
        // A copy, which plainly is none of the numbers that the loops write.
        let step = *self;
        match step.rule {
            Rule::Sgd | Rule::Nesterov => step.momentum(g, w, first),
            Rule::Adam => step.adam(g, w, first, second),
            Rule::Lion => step.lion(g, w, first),
        }
    }

    /// The whole gradient: with the penalties'.
    #[inline(always)]
    fn total(&self, g: T, w: T) -> T {
        let corner = if w > T::zero() {
            self.l1
        } else if w < T::zero() {
            -self.l1
        } else {
            T::zero()
        };
        g + self.two_l2 * w + corner
    }

    #[inline(always)]
    fn momentum(&self, g: &[T], w: &mut [T], first: &mut [T]) {
        // The usual case without the corner's comparisons: this loop runs over every weight in every step.
        if self.rule == Rule::Sgd && self.l1 == T::zero() {
            for ((w, v), &g) in w.iter_mut().zip(first).zip(g) {
                *v = self.momentum * *v + (g + self.two_l2 * *w);
                *w = *w * self.keep - self.rate * *v;
            }
            return;
        }
        let ahead = self.rule == Rule::Nesterov;
        for ((w, v), &g) in w.iter_mut().zip(first).zip(g) {
            let total = self.total(g, *w);
            *v = self.momentum * *v + total;
            let towards = if ahead { total + self.momentum * *v } else { *v };
            *w = *w * self.keep - self.rate * towards;
        }
    }

    #[inline(always)]
    fn adam(&self, g: &[T], w: &mut [T], first: &mut [T], second: &mut [T]) {
        assert_eq!(g.len(), second.len(), "Adam's second memory");
        for (((w, m), u), &g) in w.iter_mut().zip(first).zip(second).zip(g) {
            let total = self.total(g, *w);
            *m = self.momentum * *m + self.fresh * total;
            *u = self.beta2 * *u + self.fresh2 * total * total;
            *w = *w * self.keep - self.rate * *m / ((*u).sqrt() * self.inverse_root + self.epsilon);
        }
    }

    #[inline(always)]
    fn lion(&self, g: &[T], w: &mut [T], first: &mut [T]) {
        let zero = T::zero();
        for ((w, m), &g) in w.iter_mut().zip(first).zip(g) {
            let total = self.total(g, *w);
            let towards = self.momentum * *m + self.fresh * total;
            // Neither above nor below 0 is 0, or no number, which has to show.
            let sign = if towards > zero {
                T::one()
            } else if towards < zero {
                -T::one()
            } else {
                towards
            };
            *m = self.beta2 * *m + self.fresh2 * total;
            *w = *w * self.keep - self.rate * sign;
        }
    }
}

impl<T: Element> TileWork<T, 2> for Step<T> {
    #[inline(always)]
    fn tile(&self, g: &[Line<T>], [w, first]: [&mut [Line<T>]; 2]) {
        self.apply(g.as_flattened(), w.as_flattened_mut(), first.as_flattened_mut(), &mut []);
    }
}

impl<T: Element> TileWork<T, 3> for Step<T> {
    #[inline(always)]
    fn tile(&self, g: &[Line<T>], [w, first, second]: [&mut [Line<T>]; 3]) {
        self.apply(g.as_flattened(), w.as_flattened_mut(), first.as_flattened_mut(), second.as_flattened_mut());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const PLAIN: Optimiser = Optimiser {
        rule: Rule::Sgd,
        momentum: 0.9,
        beta1: 0.9,
        beta2: 0.999,
        epsilon: 1e-8,
        l2: 0.5,
        l1: 0.25,
        decay: 0.0,
    };

    #[test]
    fn two_steps_of_momentum_worked_by_hand() {
        // w = 2, g = 1: v = 1 + 2·0.5·2 + 0.25 = 3.25, w = 1.675; then v = 0.9·3.25 + 1 + 1.675 + 0.25 = 5.85, w = 1.09.
        let (mut w, mut v) = ([2.0f64], [0.0]);
        for (number, expected) in [(1, (3.25, 1.675)), (2, (5.85, 1.09))] {
            PLAIN.step(0.1, number).apply(&[1.0], &mut w, &mut v, &mut []);
            assert!((v[0] - expected.0).abs() < 1e-12 && (w[0] - expected.1).abs() < 1e-12);
        }
        // Biases pay no penalty.
        let (mut b, mut v) = ([2.0f64], [0.0]);
        PLAIN.step(0.05, 1).unpenalised().apply(&[1.0], &mut b, &mut v, &mut []);
        assert!((b[0] - 1.95).abs() < 1e-12);
    }

    #[test]
    fn the_others_worked_by_hand() {
        let free = Optimiser { l2: 0.0, l1: 0.0, ..PLAIN };
        // Nesterov's first step: v = 1, w ← 2 − 0.1 (1 + 0.9).
        let (mut w, mut v) = ([2.0f64], [0.0]);
        Optimiser { rule: Rule::Nesterov, ..free }.step(0.1, 1).apply(&[1.0], &mut w, &mut v, &mut []);
        assert!((w[0] - 1.81).abs() < 1e-12);
        // Adam's first step has the length lr whatever the gradient; the decay takes 0.1 · 0.5 · 2 off first.
        let (mut w, mut m, mut u) = ([2.0f64], [0.0], [0.0]);
        let adam = Optimiser { rule: Rule::Adam, epsilon: 0.0, decay: 0.5, ..free };
        adam.step(0.1, 1).apply(&[123.0], &mut w, &mut m, &mut u);
        assert!((w[0] - 1.8).abs() < 1e-12, "{}", w[0]);
        // Lion's too: m = 0.01 · 123 after it; then the sign of 0.9 · 1.23 − 0.1 · 20 turns round.
        let (mut w, mut m) = ([2.0f64], [0.0]);
        let lion = Optimiser { rule: Rule::Lion, beta2: 0.99, decay: 0.5, ..free };
        lion.step(0.1, 1).apply(&[123.0], &mut w, &mut m, &mut []);
        assert!((w[0] - 1.8).abs() < 1e-12 && (m[0] - 1.23).abs() < 1e-12);
        lion.step(0.1, 2).apply(&[-20.0], &mut w, &mut m, &mut []);
        assert!((w[0] - (1.8 * 0.95 + 0.1)).abs() < 1e-12 && (m[0] - (0.99 * 1.23 - 0.2)).abs() < 1e-12);
        // No direction is no step; what is no number does not hide.
        let (mut w, mut m) = ([1.0f64, 1.0], [0.0, 0.0]);
        Optimiser { decay: 0.0, ..lion }.step(0.1, 1).apply(&[0.0, f64::NAN], &mut w, &mut m, &mut []);
        assert!(w[0] == 1.0 && w[1].is_nan());
    }
}
