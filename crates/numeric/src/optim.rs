//! Stochastic gradient descent with momentum, learning-rate schedules and minibatches (the lecture's A5).

use bakeoff_core::params::{Fraction, NonNegative, Positive};
use ndarray::NdFloat;
use pulp::{Simd, WithSimd};
use rand::Rng;
use rand_chacha::ChaCha8Rng;
use rayon::prelude::*;
use serde::{Deserialize, Serialize};
use std::f64::consts::PI;

/// How the learning rate changes over the training.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Schedule {
    /// It does not.
    Constant,
    /// Divided by ten after half and after three quarters of the steps.
    Step,
    /// lr · (1 + cos(π t / T)) / 2 over all steps (Loshchilov, Hutter 2017), without restarts.
    #[default]
    Cosine,
    /// From lr / 25 up to lr in the first three tenths, then down to lr / 250 000, both as half a cosine (Smith 2018, with
    /// PyTorch's numbers).
    OneCycle,
}

impl Schedule {
    /// What the learning rate is multiplied by in step `step` of `of`, counted from 0.
    pub fn factor(self, step: usize, of: usize) -> f64 {
        self.factor_at(step as f64 / of.max(1) as f64)
    }

    /// What the learning rate is multiplied by when this share of the training is done, from 0 to 1.
    pub fn factor_at(self, progress: f64) -> f64 {
        let half_cosine = |from: f64, to: f64, share: f64| to + (from - to) * 0.5 * (1.0 + (PI * share).cos());
        match self {
            Self::Constant => 1.0,
            Self::Step if progress < 0.5 => 1.0,
            Self::Step if progress < 0.75 => 0.1,
            Self::Step => 0.01,
            Self::Cosine => 0.5 * (1.0 + (PI * progress).cos()),
            Self::OneCycle if progress < 0.3 => half_cosine(0.04, 1.0, progress / 0.3),
            Self::OneCycle => half_cosine(1.0, 4e-6, (progress - 0.3) / 0.7),
        }
    }
}

/// The settings of v ← ρ v + dW; W ← W − lr · v.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Sgd {
    /// lr.
    pub learning_rate: Positive,
    /// ρ.
    pub momentum: Fraction,
    /// λ of λ Σ W².
    pub l2: NonNegative,
    /// λ of λ Σ |W|; the subgradient at 0 is 0.
    pub l1: NonNegative,
    /// The learning rate over time.
    pub schedule: Schedule,
}

/// Parameters updated by one worker at a time; below twice this a second thread does not pay.
const CHUNK: usize = 1 << 16;

impl Sgd {
    /// One step in one pass over memory: `gradient` is that of the data's mean loss, the penalty's is added here
    /// (none for `penalised == false`, the biases). `factor` is the schedule's.
    ///
    /// # Panics
    /// When the slices have different lengths.
    pub fn update<T: NdFloat>(&self, w: &mut [T], v: &mut [T], gradient: &[T], factor: f64, penalised: bool) {
        assert!(w.len() == v.len() && w.len() == gradient.len(), "parameters, velocities and gradients");
        let number = |value: f64| T::from(value).unwrap_or_else(T::nan);
        let share = if penalised { 1.0 } else { 0.0 };
        let (rate, rho) = (number(self.learning_rate.get() * factor), number(self.momentum.get()));
        let (l2, l1) = (number(2.0 * share * self.l2.get()), number(share * self.l1.get()));
        let chunks = w.par_chunks_mut(CHUNK).zip(v.par_chunks_mut(CHUNK)).zip(gradient.par_chunks(CHUNK));
        chunks.for_each(|((w, v), gradient)| {
            pulp::Arch::new().dispatch(Update { w, v, gradient, rate, rho, l2, l1 });
        });
    }

    /// λ₂ Σ W² + λ₁ Σ |W|.
    pub fn penalty<T: NdFloat>(&self, w: &[T]) -> f64 {
        penalty(self.l2.get(), self.l1.get(), w)
    }
}

/// One chunk's update, compiled for each vector width and chosen at run time.
struct Update<'a, T> {
    w: &'a mut [T],
    v: &'a mut [T],
    gradient: &'a [T],
    rate: T,
    rho: T,
    l2: T,
    l1: T,
}

impl<T: NdFloat> WithSimd for Update<'_, T> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, _: S) {
        let Self { w, v, gradient, rate, rho, l2, l1 } = self;
        let zero = T::zero();
        for ((w, v), &g) in w.iter_mut().zip(v).zip(gradient) {
            let corner = if *w > zero {
                l1
            } else if *w < zero {
                -l1
            } else {
                zero
            };
            *v = rho * *v + (g + l2 * *w + corner);
            *w -= rate * *v;
        }
    }
}

/// λ₂ Σ W² + λ₁ Σ |W|, summed in f64.
pub fn penalty<T: NdFloat>(l2: f64, l1: f64, w: &[T]) -> f64 {
    let (mut squares, mut sizes) = (0.0f64, 0.0f64);
    for value in w {
        let value = value.to_f64().unwrap_or(f64::NAN);
        squares += value * value;
        sizes += value.abs();
    }
    l2 * squares + l1 * sizes
}

/// The positions 0..n in a new random order (Fisher, Yates; Durstenfeld's form), drawn from u64s so that the order is
/// the same on every machine.
pub fn shuffled(n: usize, rng: &mut ChaCha8Rng) -> Vec<usize> {
    let mut order: Vec<usize> = (0..n).collect();
    shuffle(&mut order, rng);
    order
}

/// Brings the items in a random order.
pub fn shuffle<T>(items: &mut [T], rng: &mut ChaCha8Rng) {
    for i in (1..items.len()).rev() {
        let j = rng.gen_range(0..=i as u64) as usize;
        items.swap(i, j);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use bakeoff_core::Seed;

    fn plain() -> Sgd {
        Sgd {
            learning_rate: Positive::literal(0.1),
            momentum: Fraction::literal(0.9),
            l2: NonNegative::literal(0.5),
            l1: NonNegative::literal(0.25),
            schedule: Schedule::Constant,
        }
    }

    #[test]
    fn two_steps_worked_by_hand() {
        // w = 2, g = 1: v = 1 + 2·0.5·2 + 0.25 = 3.25, w = 1.675; then v = 0.9·3.25 + 1 + 1.675 + 0.25 = 5.85, w = 1.09.
        let (mut w, mut v) = ([2.0f64], [0.0]);
        plain().update(&mut w, &mut v, &[1.0], 1.0, true);
        assert!((v[0] - 3.25).abs() < 1e-12 && (w[0] - 1.675).abs() < 1e-12);
        plain().update(&mut w, &mut v, &[1.0], 1.0, true);
        assert!((v[0] - 5.85).abs() < 1e-12 && (w[0] - 1.09).abs() < 1e-12);
        // Biases pay no penalty.
        let (mut b, mut v) = ([2.0f64], [0.0]);
        plain().update(&mut b, &mut v, &[1.0], 0.5, false);
        assert!((b[0] - 1.95).abs() < 1e-12);
    }

    #[test]
    fn schedules_start_at_one_and_fall() {
        assert_eq!(Schedule::Cosine.factor(0, 10), 1.0);
        assert!((Schedule::Cosine.factor(5, 10) - 0.5).abs() < 1e-12);
        assert_eq!([0, 5, 8].map(|s| Schedule::Step.factor(s, 10)), [1.0, 0.1, 0.01]);
        assert_eq!(Schedule::Constant.factor(9, 10), 1.0);
        let cycle = [0.0, 0.15, 0.3, 0.65, 1.0].map(|p| Schedule::OneCycle.factor_at(p));
        for (ours, theirs) in cycle.iter().zip([0.04, 0.52, 1.0, 0.500_002, 4e-6]) {
            assert!((ours - theirs).abs() < 1e-12, "{cycle:?}");
        }
    }

    #[test]
    fn a_shuffle_is_a_permutation_and_seeded() {
        let mut order = shuffled(1000, &mut Seed(3).rng());
        assert_eq!(order, shuffled(1000, &mut Seed(3).rng()));
        assert_ne!(order, shuffled(1000, &mut Seed(4).rng()));
        order.sort_unstable();
        assert!(order.into_iter().eq(0..1000));
    }
}
