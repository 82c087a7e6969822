//! A network in training: its stages with their buffers, one step forward and back, and the update.
//!
//! With A_0 = X (n, d) and Z_l = A_{l−1} W_lᵀ + b_l (the lecture's C10; Rumelhart, Hinton, Williams 1986):
//! ∂L/∂W_l = Δ_lᵀ A_{l−1}, ∂L/∂b_l = Σ_rows Δ_l, Δ_{l−1} = (Δ_l W_l) ⊙ φ'(Z_{l−1}). Kept here the other way round, units by
//! rows: see `bakeoff_numeric::panels`.

use crate::network::{Network, Stage};
use crate::parameter::{Parameter, View};
use crate::stage::TrainedStage;
use crate::unit::{Signal, Unit};
use bakeoff_core::{Seed, parallel};
use bakeoff_numeric::panels::{Line, PANEL, transpose};
use bakeoff_numeric::{Element, Loss, Optimiser, Panels, Precision};
use ndarray::{Array2, ArrayView2};
use sealed::Batch;

/// What the rows of a batch are to become.
#[derive(Debug, Clone, Copy)]
pub enum Targets<'a, T> {
    /// One class a row.
    Classes(&'a [usize]),
    /// Shares of the classes (n, k) that sum to 1 in each row.
    Shares(ArrayView2<'a, T>),
}

/// A network, the optimiser's memory and every buffer of a step, made once.
#[derive(Debug)]
pub struct Trainer<T> {
    stages: Vec<TrainedStage<T>>,
    input: Signal<T>,
    scores: Array2<T>,
    optimiser: Optimiser,
    /// The greatest norm of all gradients together.
    clip: Option<f64>,
    /// Steps made.
    steps: u64,
    /// β of the moving average, where one is kept.
    average: Option<f64>,
}

impl<T: Element> Trainer<T> {
    /// Prepares a network to be trained with up to `batch` rows a step. `dropout` is the share of hidden outputs that a
    /// step leaves out; all gradients together are shortened to the length `clip` where they are longer.
    ///
    /// # Panics
    /// When the network has no stages, or its first one is residual.
    pub fn new(network: &Network<T>, optimiser: Optimiser, batch: usize, dropout: f64, clip: Option<f64>) -> Self {
        assert!(matches!(network.stages.first(), Some(Stage::Dense(_))), "a network starts with a dense stage");
        let last = network.stages.len() - 1;
        let stages = network.stages.iter().enumerate();
        let mut trainer = Self {
            stages: stages.map(|(l, stage)| TrainedStage::new(stage, dropout, batch, l < last)).collect(),
            input: Signal::new(network.inputs(), batch),
            scores: Array2::zeros((batch, network.outputs())),
            optimiser,
            clip,
            steps: 0,
            average: None,
        };
        trainer.parameters().into_iter().for_each(|p| p.prepare(optimiser.has_second(), clip.is_some()));
        trainer
    }

    /// Keeps an exponential moving average of all parameters and running statistics from now on.
    /// It follows with β_t = min(β, (1 + t) / (10 + t)), so that the start is soon forgotten.
    pub fn keep_average(&mut self, beta: f64) {
        self.average = Some(beta);
        self.parameters().into_iter().for_each(|p| p.average = p.value.clone());
    }

    /// Has large products with a batch be as exact as this from now on. With [`Precision::Bf16`] their operands are rounded to bfloat16
    /// once, as PyTorch's `autocast` has it (Micikevicius et al. 2018, "Mixed precision training"; Kalamkar et al. 2019, "A study of
    /// BFLOAT16 for deep learning training"); sums, small products, those that leave zeros out, and
    /// everything that is kept stay what they are. Of f64 nothing is rounded.
    pub fn set_precision(&mut self, precision: Precision) {
        self.stages.iter_mut().flat_map(TrainedStage::units_mut).for_each(|unit| unit.set_precision(precision));
    }

    /// Fixes the masks of dropout, (n, units) of 0 and 1 / (1 − share), first layer to last: steps without a draw use
    /// them. For checks against others, who draw differently.
    ///
    /// # Panics
    /// When there are not as many masks as layers with dropout, or shapes do not fit.
    pub fn set_masks(&mut self, masks: &[Array2<T>]) {
        let units = self.stages.iter_mut().flat_map(TrainedStage::units_mut);
        let with_mask: Vec<_> = units.filter(|unit| unit.mask.dim() != (0, 0)).collect();
        assert_eq!(with_mask.len(), masks.len(), "one mask a layer with dropout");
        for (unit, mask) in with_mask.into_iter().zip(masks) {
            unit.mask.set_columns(mask.nrows());
            unit.mask.assign(mask.t());
        }
    }

    /// Steps made.
    pub fn steps(&self) -> u64 {
        self.steps
    }

    /// Takes all rows as the batch.
    fn read_all(&mut self, x: ArrayView2<'_, T>) {
        let positions: Vec<usize> = (0..x.nrows()).collect();
        self.read(x, &positions, None);
    }

    /// Takes rows at these positions as the batch; with `mixed` = (λ, partners), row i becomes λ x_i + (1 − λ) x_j with j
    /// its partner in the batch.
    pub(crate) fn read(&mut self, x: ArrayView2<'_, T>, positions: &[usize], mixed: Option<(f64, &[usize])>) {
        let (n, d) = (positions.len(), self.input.a.dim().0);
        assert!(n > 0 && x.ncols() == d, "a batch of {n} rows of {} for {d} inputs", x.ncols());
        self.input.set_batch(n);
        let Signal { a, at } = &mut self.input;
        let tasks = at.lines_mut().chunks_mut(n).zip(a.bands_mut(PANEL)).collect();
        let slices: Option<&[T]> = x.as_slice();
        parallel::for_each(tasks, |(lines, mut band)| {
            let columns = band.first..(band.first + PANEL).min(d);
            for (line, &position) in lines.iter_mut().zip(positions) {
                if let Some(all) = slices {
                    line[..columns.len()].copy_from_slice(&all[position * d..][columns.clone()]);
                } else {
                    line.iter_mut().zip(columns.clone()).for_each(|(v, j)| *v = x[[position, j]]);
                }
            }
            if let Some((share, partners)) = mixed {
                mix(lines, T::of(share), partners);
            }
            for (lines, out) in lines.chunks(PANEL).zip(&mut band.panels) {
                transpose(lines, out);
            }
        });
    }

    /// One step with the rows that were read.
    pub(crate) fn step_read(&mut self, targets: Targets<'_, T>, loss: Loss, rate: f64, draw: Option<Seed>) -> f64 {
        self.forward(draw);
        let value = self.score_gradient(targets, loss);
        // A step with what is not a number would only spread it.
        if !value.is_finite() {
            return value;
        }
        self.steps += 1;
        self.backward(rate);
        self.follow();
        value
    }

    fn forward(&mut self, draw: Option<Seed>) {
        for l in 0..self.stages.len() {
            let (before, from_here) = self.stages.split_at_mut(l);
            let input = before.last().map_or(&self.input, |stage| &stage.last().out);
            from_here[0].forward(input, draw.map(|seed| seed.nth(l)));
        }
    }

    /// Scores to derivatives of the mean loss, into the last stage; the summed loss.
    fn score_gradient(&mut self, targets: Targets<'_, T>, loss: Loss) -> f64 {
        let Some(last) = self.stages.last_mut() else { return 0.0 };
        let last = last.last_mut();
        let (k, n) = last.out.a.dim();
        let mut scores = self.scores.slice_mut(ndarray::s![..n, ..]);
        last.out.a.write_to(scores.view_mut().reversed_axes());
        let value = match targets {
            Targets::Classes(classes) => loss.into_gradient(scores.view_mut(), classes),
            Targets::Shares(shares) => loss.into_soft_gradient(scores.view_mut(), shares),
        };
        let share = T::of(1.0 / n as f64);
        scores.mapv_inplace(|g| g * share);
        debug_assert_eq!(last.delta.dim(), (k, n));
        last.delta.assign(scores.t());
        last.settle();
        value
    }

    /// From the last stage to the first, each stage's weights moved as soon as the derivatives have gone through them;
    /// with clipping only after all gradients are known.
    fn backward(&mut self, rate: f64) {
        let (step, clips) = (self.optimiser.step(rate, self.steps), self.clip.is_some());
        self.back_through(
            |unit, input| if clips { unit.keep_gradient(input) } else { unit.step_weights(input, &step) },
        );
        let scale = T::of(self.clip.map_or(1.0, |most| clipped(most, self.gradient_norm())));
        for parameter in self.parameters() {
            // Weights have moved already, unless they had to wait for the norm.
            if clips || !parameter.is_weights() {
                parameter.apply(&step, scale);
            }
        }
    }

    fn gradient_norm(&mut self) -> f64 {
        self.parameters().into_iter().map(|p| p.squared_gradient()).sum::<f64>().sqrt()
    }

    /// The average follows the parameters.
    fn follow(&mut self) {
        let Some(beta) = self.average else { return };
        let t = self.steps as f64;
        let beta = ((1.0 + t) / (10.0 + t)).min(beta);
        self.parameters().into_iter().for_each(|p| p.average_in(beta));
        for unit in self.stages.iter_mut().flat_map(TrainedStage::units_mut) {
            if let Some(norm) = &mut unit.norm {
                for (average, running) in norm.averages.iter_mut().zip(&norm.running) {
                    let numbers = average.iter_mut().zip(running);
                    numbers.for_each(|(a, &v)| *a = T::of(beta) * *a + T::of(1.0 - beta) * v);
                }
            }
        }
    }

    /// Every parameter in a fixed order.
    pub(crate) fn parameters(&mut self) -> Vec<&mut Parameter<T>> {
        self.stages.iter_mut().flat_map(TrainedStage::parameters).collect()
    }

    /// Whether every parameter is a finite number.
    pub(crate) fn is_finite(&mut self) -> bool {
        self.parameters().into_iter().all(|p| p.is_finite())
    }

    /// Copies of all arrays that the next step depends on, with a name each.
    pub(crate) fn arrays(&self) -> Vec<(String, Vec<T>)> {
        let mut all = Vec::new();
        for (l, stage) in self.stages.iter().enumerate() {
            let mut parameters = Vec::new();
            let mut statistics = Vec::new();
            stage.visit(&mut |parameter| parameters.push(parameter), &mut |numbers| statistics.push(numbers));
            for (i, parameter) in parameters.into_iter().enumerate() {
                let named = |(name, values): (&str, &Panels<T>)| (format!("{l}.{i}.{name}"), values.flat().to_vec());
                all.extend(parameter.memory().into_iter().map(named));
            }
            all.extend(statistics.into_iter().enumerate().map(|(i, v)| (format!("{l}.statistics.{i}"), v.clone())));
        }
        all
    }

    /// Puts back what [`Trainer::arrays`] gave.
    ///
    /// # Panics
    /// When there are other arrays.
    pub(crate) fn set_arrays(&mut self, arrays: Vec<(String, Vec<T>)>, steps: u64) {
        self.steps = steps;
        let mut arrays = arrays.into_iter().map(|(_, values)| values);
        for stage in &mut self.stages {
            for parameter in stage.parameters() {
                for values in parameter.memory_mut() {
                    values.flat_mut().copy_from_slice(&arrays.next().unwrap_or_default());
                }
            }
            for norm in stage.units_mut().into_iter().filter_map(|unit| unit.norm.as_mut()) {
                for numbers in norm.running.iter_mut().chain(&mut norm.averages) {
                    numbers.copy_from_slice(&arrays.next().unwrap_or_default());
                }
            }
        }
        assert!(arrays.next().is_none(), "as many arrays as were given");
    }

    /// λ₂ Σ W² + λ₁ Σ |W| over all weights.
    pub fn penalty(&mut self) -> f64 {
        let optimiser = self.optimiser;
        self.parameters().into_iter().map(|p| p.penalty(&optimiser)).sum()
    }

    /// The network as it is now, or as its average is.
    ///
    /// # Panics
    /// When the average is asked for and none is kept, or `like` is another network.
    pub fn network(&self, like: &Network<T>, averaged: bool) -> Network<T> {
        assert!(self.average.is_some() || !averaged, "no averages are kept");
        self.as_network(like, if averaged { View::Average } else { View::Value })
    }

    fn as_network(&self, like: &Network<T>, view: View) -> Network<T> {
        assert_eq!(self.stages.len(), like.stages.len(), "stages");
        let activation = |stage: &Stage<T>| match stage {
            Stage::Dense(dense) => dense.activation,
            Stage::Residual(block) => block.activation,
        };
        let stages = self.stages.iter().zip(&like.stages);
        Network { stages: stages.map(|(stage, like)| stage.stage(activation(like), view)).collect() }
    }

    /// Calls `each` with every unit and its input, from the last to the first, as soon as the derivatives have gone
    /// through it.
    fn back_through(&mut self, each: impl Fn(&mut Unit<T>, &Signal<T>)) {
        for l in (0..self.stages.len()).rev() {
            let (before, from_here) = self.stages.split_at_mut(l);
            let here = &mut from_here[0];
            here.backward(before.last_mut());
            let input = before.last().map_or(&self.input, |stage| &stage.last().out);
            here.for_each_unit(input, &each);
        }
    }
}

/// f32 or f64, with the steps that are compiled for it here: a generic function is compiled anew in every crate that calls it,
/// and a step is a lot to compile.
pub trait Float: Element + sealed::Steps {}

impl Float for f32 {}
impl Float for f64 {}

mod sealed {
    use super::{Loss, Seed, Targets, Trainer};
    use ndarray::ArrayView2;

    /// The rows of a step, what they are to become, and what is drawn for them.
    pub struct Batch<'x, 't, T> {
        pub(super) x: ArrayView2<'x, T>,
        pub(super) targets: Targets<'t, T>,
        pub(super) loss: Loss,
        pub(super) draw: Option<Seed>,
    }

    /// What is compiled for each float: the summed loss, and a step or gradients that are kept.
    pub trait Steps: Sized {
        fn step(trainer: &mut Trainer<Self>, batch: Batch<'_, '_, Self>, rate: f64) -> f64;
        fn keep_gradients(trainer: &mut Trainer<Self>, batch: Batch<'_, '_, Self>) -> f64;
    }
}

macro_rules! steps_of {
    ($($float:ty),*) => { $(
        impl sealed::Steps for $float {
            fn step(trainer: &mut Trainer<Self>, batch: Batch<'_, '_, Self>, rate: f64) -> f64 {
                trainer.read_all(batch.x);
                trainer.step_read(batch.targets, batch.loss, rate, batch.draw)
            }

            fn keep_gradients(trainer: &mut Trainer<Self>, batch: Batch<'_, '_, Self>) -> f64 {
                trainer.parameters().into_iter().for_each(Parameter::make_gradient);
                trainer.read_all(batch.x);
                trainer.forward(batch.draw);
                let value = trainer.score_gradient(batch.targets, batch.loss);
                trainer.back_through(Unit::keep_gradient);
                value
            }
        }
    )* };
}

steps_of!(f32, f64);

impl<T: Float> Trainer<T> {
    /// One step at this learning rate with the rows x (n, d): the summed loss before it. `draw` gives the masks of
    /// dropout.
    ///
    /// # Panics
    /// When there are no rows or more than there is room for, or shapes do not fit.
    pub fn step(
        &mut self,
        x: ArrayView2<'_, T>,
        targets: Targets<'_, T>,
        loss: Loss,
        rate: f64,
        draw: Option<Seed>,
    ) -> f64 {
        T::step(self, Batch { x, targets, loss, draw }, rate)
    }

    /// The summed loss of the rows, and the gradient of the mean loss in the shape of a network (0 for running
    /// statistics): for checks of backpropagation. Running statistics move; parameters do not.
    ///
    /// # Panics
    /// When shapes do not fit.
    pub fn loss_and_gradient(
        &mut self,
        x: ArrayView2<'_, T>,
        targets: Targets<'_, T>,
        loss: Loss,
        draw: Option<Seed>,
        like: &Network<T>,
    ) -> (f64, Network<T>) {
        let value = T::keep_gradients(self, Batch { x, targets, loss, draw });
        (value, self.as_network(like, View::Gradient))
    }
}

/// Rows of one panel: λ of each and 1 − λ of its partner.
fn mix<T: Element>(lines: &mut [Line<T>], share: T, partners: &[usize]) {
    let before = lines.to_vec();
    for (line, &partner) in lines.iter_mut().zip(partners) {
        line.iter_mut().zip(&before[partner]).for_each(|(v, &other)| *v = share * *v + (T::one() - share) * other);
    }
}

/// PyTorch's factor for gradients of this norm.
fn clipped(most: f64, norm: f64) -> f64 {
    (most / (norm + 1e-6)).min(1.0)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::activation::Activation;
    use crate::network::{Blocks, Initialisation, Shape};

    /// A network of which few units of the second layer see anything, rows, and their classes.
    fn sparse() -> (Network<f32>, Array2<f32>, Vec<usize>) {
        let (activation, hidden) = (Activation::Relu, vec![256, 192]);
        let shape = Shape { inputs: 150, hidden, batch_norm: false, blocks: Blocks::NONE, activation, classes: 10 };
        let mut network = Network::<f32>::new(&shape, Initialisation::Auto, Seed(3));
        if let Stage::Dense(dense) = &mut network.stages[1] {
            dense.affine.b.fill(-1.0);
        }
        let x = Array2::from_shape_fn((128, 150), |(i, j)| ((i * 31 + j * 17 + i * j) % 97) as f32 / 48.5 - 1.0);
        (network, x, (0..128).map(|i| i % 10).collect())
    }

    /// Three steps: the densities of the derivatives, and the numbers of the network.
    fn train(optimiser: Optimiser, change: impl Fn(&mut Unit<f32>)) -> (Vec<f64>, Vec<f32>) {
        let (network, x, classes) = sparse();
        let mut trainer = Trainer::new(&network, optimiser, 128, 0.0, None);
        trainer.stages.iter_mut().flat_map(TrainedStage::units_mut).for_each(change);
        for _ in 0..3 {
            trainer.step(x.view(), Targets::Classes(&classes), Loss::Softmax, 0.01, None);
        }
        let densities = trainer.stages.iter().map(|stage| stage.last().density()).collect();
        (densities, trainer.network(&network, false).numbers())
    }

    fn momentum() -> Optimiser {
        Optimiser { momentum: 0.9, ..Optimiser::default() }
    }

    #[test]
    fn leaving_zeros_out_does_not_change_a_bit() {
        for optimiser in [Optimiser::default(), Optimiser { rule: bakeoff_numeric::Rule::Adam, ..Optimiser::default() }]
        {
            let (sparse, one) = train(optimiser, |unit| unit.take_pieces(false));
            let (dense, other) = train(optimiser, |unit| {
                unit.take_pieces(false);
                unit.forget_counts();
            });
            assert!(sparse[0] < crate::unit::SPARSE_GRADIENT && sparse[1] < crate::unit::SPARSE_BACK, "{sparse:?}");
            assert_eq!(dense, [1.0; 3]);
            assert!(one == other, "{optimiser:?}");
        }
    }

    #[test]
    fn steps_in_pieces_are_those_of_vectors_but_for_the_last_bits() {
        let (whole, pieces) =
            (train(momentum(), |unit| unit.take_pieces(false)), train(momentum(), |unit| unit.take_pieces(true)));
        assert!(whole.1 != pieces.1, "one of the two was not taken");
        let start = sparse().0.numbers();
        let (mut apart, mut way) = (0.0, 0.0);
        for ((a, b), start) in whole.1.iter().zip(&pieces.1).zip(start) {
            apart += f64::from(a - b).powi(2);
            way += f64::from(a - start).powi(2);
        }
        assert!(apart < way * 1e-10, "{apart} of {way}");
        // Numbers of rows that fill no block, one after a full one.
        let (network, x, classes) = sparse();
        let mut trainer = Trainer::new(&network, momentum(), 128, 0.0, None);
        trainer.stages.iter_mut().flat_map(TrainedStage::units_mut).for_each(|unit| unit.take_pieces(true));
        let mut loss = |n: usize| {
            trainer.step(x.slice(ndarray::s![..n, ..]), Targets::Classes(&classes[..n]), Loss::Softmax, 0.0, None)
        };
        let (all, first) = (loss(128), loss(45));
        assert!(first > 0.0 && first < all, "{first} {all}");
        assert_eq!(loss(128), all, "nothing of the rows before stays");
    }
}
