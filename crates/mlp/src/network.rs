//! The network as it is kept: stages of affine maps, norms and activations, and its scores by the plain formulas.
//!
//! A dense stage is φ(norm(W x + b)). A residual stage is x + C φ(E norm(x) + b_E) + b_C with an expansion E to several
//! times its width: the inverted bottleneck of Bachmann, Anagnostidis, Hofmann 2023 ("Scaling MLPs"), whose norm is the
//! layer norm (Ba, Kiros, Hinton 2016). A network is any dense stages, residual ones after one of their width, and a last
//! dense stage without activation that gives the scores. Everything is public, for those who save and export it.

use crate::activation::Activation;
use bakeoff_core::Seed;
use bakeoff_numeric::{Element, matmul_here};
use ndarray::{Array1, Array2, ArrayView2, ArrayViewMut2, ArrayViewMutD, Axis};
use rand::Rng;
use serde::{Deserialize, Serialize};

/// What is added to variances before their root is taken; PyTorch's default for both norms.
pub const EPSILON: f64 = 1e-5;

/// How weights start; biases start at 0.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Initialisation {
    /// He for layers that feed a rectifier, Xavier for the others.
    #[default]
    Auto,
    /// Uniform with variance g² / fan-in (He, Zhang, Ren, Sun 2015), g the gain of the activation that follows.
    He,
    /// Uniform with variance 2 g² / (fan-in + fan-out) (Glorot, Bengio 2010).
    Xavier,
}

/// One affine map, x ↦ W x + b.
#[derive(Debug, Clone, PartialEq)]
pub struct Affine<T> {
    /// W (out, in).
    pub w: Array2<T>,
    /// b (out).
    pub b: Array1<T>,
}

/// Batch normalisation (Ioffe, Szegedy 2015): γ (z − mean) / √(variance + ε) + β, a unit at a time.
#[derive(Debug, Clone, PartialEq)]
pub struct BatchNorm<T> {
    /// γ (out).
    pub gamma: Array1<T>,
    /// β (out).
    pub beta: Array1<T>,
    /// The running mean (out), which prediction uses.
    pub mean: Array1<T>,
    /// The running variance (out), from unbiased estimates as in PyTorch.
    pub variance: Array1<T>,
}

/// Layer normalisation: γ (x − mean) / √(variance + ε) + β, mean and biased variance over a row's numbers.
#[derive(Debug, Clone, PartialEq)]
pub struct LayerNorm<T> {
    /// γ (width).
    pub gamma: Array1<T>,
    /// β (width).
    pub beta: Array1<T>,
}

/// φ(norm(W x + b)).
#[derive(Debug, Clone, PartialEq)]
pub struct Dense<T> {
    /// W and b.
    pub affine: Affine<T>,
    /// Between the affine map and the activation.
    pub norm: Option<BatchNorm<T>>,
    /// φ.
    pub activation: Activation,
}

/// x + C φ(E norm(x) + b_E) + b_C.
#[derive(Debug, Clone, PartialEq)]
pub struct Residual<T> {
    /// The norm.
    pub norm: LayerNorm<T>,
    /// E and b_E.
    pub expand: Affine<T>,
    /// φ.
    pub activation: Activation,
    /// C and b_C.
    pub contract: Affine<T>,
}

/// One stage of a network.
#[derive(Debug, Clone, PartialEq)]
pub enum Stage<T> {
    /// An affine map, perhaps a norm, and an activation.
    Dense(Dense<T>),
    /// An inverted bottleneck beside the identity.
    Residual(Residual<T>),
}

/// A multilayer perceptron.
#[derive(Debug, Clone, PartialEq)]
pub struct Network<T> {
    /// The stages, first to last; the last one gives the scores.
    pub stages: Vec<Stage<T>>,
}

/// What a network looks like before it has weights.
#[derive(Debug, Clone, PartialEq)]
pub struct Shape {
    /// Columns of the rows.
    pub inputs: usize,
    /// Units of each hidden layer.
    pub hidden: Vec<usize>,
    /// Batch normalisation after each hidden affine map.
    pub batch_norm: bool,
    /// Width of the residual blocks, how many there are, and how many times wider they are inside.
    pub blocks: Blocks,
    /// φ.
    pub activation: Activation,
    /// Columns of the scores.
    pub classes: usize,
}

/// Residual blocks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Blocks {
    /// Their inputs and outputs.
    pub width: usize,
    /// How many follow each other; 0 for none, and then nothing has their width.
    pub count: usize,
    /// Units inside a block for each of its inputs.
    pub expansion: usize,
}

impl Blocks {
    /// No residual blocks.
    pub const NONE: Self = Self { width: 0, count: 0, expansion: 0 };
}

impl<T: Element> Affine<T> {
    fn drawn(fan_in: usize, out: usize, variance: f64, seed: Seed) -> Self {
        let bound = (3.0 * variance).sqrt();
        let mut rng = seed.rng();
        let mut draw = || T::of(rng.gen_range(-bound..bound));
        Self { w: Array2::from_shape_simple_fn((out, fan_in), &mut draw), b: Array1::zeros(out) }
    }

    /// Out and in.
    pub fn dim(&self) -> (usize, usize) {
        self.w.dim()
    }

    /// x Wᵀ + b for rows x (n, in), on the calling thread.
    pub fn of_rows(&self, x: ArrayView2<'_, T>) -> Array2<T> {
        let mut out = Array2::zeros((x.nrows(), self.b.len()));
        matmul_here(x, self.w.t(), out.view_mut());
        out += &self.b;
        out
    }
}

impl<T: Element> BatchNorm<T> {
    /// The norm that changes nothing but by ε.
    pub fn new(width: usize) -> Self {
        let (one, zero) = (Array1::ones(width), Array1::zeros(width));
        Self { gamma: one.clone(), beta: zero.clone(), mean: zero, variance: one }
    }

    /// The factor and the summand that prediction applies to each unit.
    pub fn as_affine(&self) -> (Array1<T>, Array1<T>) {
        let factor = &self.gamma / &self.variance.mapv(|v| (v + T::of(EPSILON)).sqrt());
        let summand = &self.beta - &(&self.mean * &factor);
        (factor, summand)
    }
}

impl<T: Element> LayerNorm<T> {
    /// γ = 1, β = 0.
    pub fn new(width: usize) -> Self {
        Self { gamma: Array1::ones(width), beta: Array1::zeros(width) }
    }

    /// Normalises each row of x (n, width) in place.
    pub fn apply(&self, x: &mut Array2<T>) {
        let share = T::of(1.0 / x.ncols().max(1) as f64);
        for mut row in x.axis_iter_mut(Axis(0)) {
            let mean = row.sum() * share;
            let variance = row.fold(T::zero(), |sum, &v| sum + (v - mean) * (v - mean)) * share;
            let scale = T::one() / (variance + T::of(EPSILON)).sqrt();
            let numbers = row.iter_mut().zip(&self.gamma).zip(&self.beta);
            numbers.for_each(|((v, &gamma), &beta)| *v = gamma * ((*v - mean) * scale) + beta);
        }
    }
}

impl<T: Element> Dense<T> {
    /// The affine map with the norm's running statistics folded into it: what prediction computes before φ.
    pub fn folded(&self) -> Affine<T> {
        let Some(norm) = &self.norm else { return self.affine.clone() };
        let (factor, summand) = norm.as_affine();
        let w = &self.affine.w * &factor.view().insert_axis(Axis(1));
        Affine { w, b: &self.affine.b * &factor + summand }
    }
}

impl<T: Element> Stage<T> {
    /// Units that leave the stage.
    pub fn outputs(&self) -> usize {
        match self {
            Self::Dense(dense) => dense.affine.b.len(),
            Self::Residual(block) => block.contract.b.len(),
        }
    }

    /// Units that enter the stage.
    pub fn inputs(&self) -> usize {
        match self {
            Self::Dense(dense) => dense.affine.w.ncols(),
            Self::Residual(block) => block.expand.w.ncols(),
        }
    }

    /// The stage's outputs for rows x (n, inputs), as prediction computes them.
    pub fn of_rows(&self, x: Array2<T>) -> Array2<T> {
        match self {
            Self::Dense(dense) => activated(dense.folded().of_rows(x.view()), dense.activation),
            Self::Residual(block) => {
                let mut normed = x.clone();
                block.norm.apply(&mut normed);
                let inside = activated(block.expand.of_rows(normed.view()), block.activation);
                x + block.contract.of_rows(inside.view())
            }
        }
    }

    /// Numbers that training changes, and running statistics.
    pub fn n_numbers(&self) -> usize {
        let affine = |a: &Affine<T>| a.w.len() + a.b.len();
        match self {
            Self::Dense(dense) => affine(&dense.affine) + dense.norm.as_ref().map_or(0, |norm| 4 * norm.gamma.len()),
            Self::Residual(b) => affine(&b.expand) + affine(&b.contract) + 2 * b.norm.gamma.len(),
        }
    }
}

fn activated<T: Element>(mut z: Array2<T>, activation: Activation) -> Array2<T> {
    if let Some(z) = z.as_slice_mut() {
        activation.value(z);
    }
    z
}

impl Shape {
    /// Weights of all affine maps; none when they are more than a `usize` counts.
    pub fn n_weights(&self) -> Option<usize> {
        let (mut sum, mut before) = (0usize, self.inputs);
        let Blocks { width, count, expansion } = self.blocks;
        let embedding = (count > 0).then_some(width);
        for &units in self.hidden.iter().chain(&embedding).chain([&self.classes]) {
            sum = sum.checked_add(before.checked_mul(units)?)?;
            before = units;
        }
        let block = width.checked_mul(width)?.checked_mul(expansion)?.checked_mul(2)?;
        sum.checked_add(block.checked_mul(count)?)
    }
}

impl<T: Element> Network<T> {
    /// A network of this shape, its weights drawn from the seed, one stream a map.
    pub fn new(shape: &Shape, initialisation: Initialisation, seed: Seed) -> Self {
        let mut maps = 0;
        let mut affine = |fan_in: usize, out: usize, activation: Activation| {
            let he = match initialisation {
                Initialisation::He => true,
                Initialisation::Xavier => false,
                Initialisation::Auto => activation.is_rectifier(),
            };
            let variance = if he { 1.0 / fan_in as f64 } else { 2.0 / (fan_in + out) as f64 };
            maps += 1;
            Affine::drawn(fan_in, out, variance * activation.squared_gain(), seed.nth(maps - 1))
        };
        let (mut stages, mut before) = (Vec::new(), shape.inputs);
        let activation = shape.activation;
        for &units in &shape.hidden {
            let norm = shape.batch_norm.then(|| BatchNorm::new(units));
            stages.push(Stage::Dense(Dense { affine: affine(before, units, activation), norm, activation }));
            before = units;
        }
        let Blocks { width, count, expansion } = shape.blocks;
        let plain = |affine| Stage::Dense(Dense { affine, norm: None, activation: Activation::Identity });
        if count > 0 {
            stages.push(plain(affine(before, width, Activation::Identity)));
            before = width;
        }
        for _ in 0..count {
            let expand = affine(width, width * expansion, activation);
            let contract = affine(width * expansion, width, Activation::Identity);
            stages.push(Stage::Residual(Residual { norm: LayerNorm::new(width), expand, activation, contract }));
        }
        stages.push(plain(affine(before, shape.classes, Activation::Identity)));
        Self { stages }
    }

    /// d, the columns of rows.
    pub fn inputs(&self) -> usize {
        self.stages.first().map_or(0, Stage::inputs)
    }

    /// k, the columns of scores.
    pub fn outputs(&self) -> usize {
        self.stages.last().map_or(0, Stage::outputs)
    }

    /// Scores of rows x (n, d) into `out` (n, k), by the plain formulas on the calling thread: what
    /// [`crate::Scorer`] computes faster.
    ///
    /// # Panics
    /// When shapes do not fit.
    pub fn scores_into(&self, x: ArrayView2<'_, T>, mut out: ArrayViewMut2<'_, T>) {
        let scores = self.stages.iter().fold(x.to_owned(), |x, stage| stage.of_rows(x));
        out.assign(&scores);
    }

    /// All numbers in a fixed order: stage by stage, first γ and β of a layer norm, then of each affine map W row-major
    /// and b, then γ, β, mean and variance of a batch norm.
    pub fn numbers(&self) -> Vec<T> {
        let mut copy = self.clone();
        let mut numbers = Vec::with_capacity(self.stages.iter().map(Stage::n_numbers).sum());
        copy.for_each_number(|value| numbers.push(*value));
        numbers
    }

    /// Takes over other numbers, in the order of [`Network::numbers`].
    ///
    /// # Panics
    /// When there are not as many as the network has.
    pub fn set_numbers(&mut self, numbers: &[T]) {
        let mut rest = numbers;
        for mut part in self.parts_mut() {
            let Some((own, others)) = rest.split_at_checked(part.len()) else {
                panic!("too few numbers: {}", numbers.len())
            };
            match part.as_slice_mut() {
                Some(part) => part.copy_from_slice(own),
                None => part.iter_mut().zip(own).for_each(|(number, own)| *number = *own),
            }
            rest = others;
        }
        assert!(rest.is_empty(), "too many numbers: {}", numbers.len());
    }

    /// Calls `each` with every number in the order of [`Network::numbers`], to change it.
    pub fn for_each_number(&mut self, mut each: impl FnMut(&mut T)) {
        self.parts_mut().iter_mut().for_each(|part| part.iter_mut().for_each(&mut each));
    }

    /// All numbers in the order of [`Network::numbers`], array by array.
    fn parts_mut(&mut self) -> Vec<ArrayViewMutD<'_, T>> {
        let mut parts = Vec::new();
        for stage in &mut self.stages {
            let (affines, vectors) = match stage {
                Stage::Dense(Dense { affine, norm, .. }) => {
                    let vectors = norm.as_mut().map(|n| vec![&mut n.gamma, &mut n.beta, &mut n.mean, &mut n.variance]);
                    (vec![affine], vectors.unwrap_or_default())
                }
                Stage::Residual(Residual { norm, expand, contract, .. }) => {
                    parts.extend([&mut norm.gamma, &mut norm.beta].map(|v| v.view_mut().into_dyn()));
                    (vec![expand, contract], Vec::new())
                }
            };
            for Affine { w, b } in affines {
                parts.extend([w.view_mut().into_dyn(), b.view_mut().into_dyn()]);
            }
            parts.extend(vectors.into_iter().map(|v| v.view_mut().into_dyn()));
        }
        parts
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shape(inputs: usize, hidden: &[usize], activation: Activation, classes: usize) -> Shape {
        Shape { inputs, hidden: hidden.to_vec(), batch_norm: false, blocks: Blocks::NONE, activation, classes }
    }

    /// A network of all kinds of parts, one of its weights in the other order in memory, with numbers that count up.
    fn counted() -> (Network<f64>, Vec<f64>) {
        let with_all = Shape {
            batch_norm: true,
            blocks: Blocks { width: 4, count: 1, expansion: 2 },
            ..shape(3, &[4], Activation::Relu, 2)
        };
        let mut network = Network::new(&with_all, Initialisation::Auto, Seed(1));
        if let Some(Stage::Dense(dense)) = network.stages.first_mut() {
            dense.affine.w = dense.affine.w.t().as_standard_layout().into_owned().reversed_axes();
            assert!(dense.affine.w.as_slice().is_none());
        }
        let numbers = (0..network.numbers().len()).map(|i| i as f64).collect();
        (network, numbers)
    }

    #[test]
    fn numbers_that_are_taken_over_come_back_in_their_order() {
        let (mut network, numbers) = counted();
        network.set_numbers(&numbers);
        assert_eq!(network.numbers(), numbers);
    }

    #[test]
    #[should_panic = "too few numbers"]
    fn too_few_numbers_are_refused() {
        let (mut network, numbers) = counted();
        network.set_numbers(&numbers[1..]);
    }

    #[test]
    #[should_panic = "too many numbers"]
    fn too_many_numbers_are_refused() {
        let (mut network, numbers) = counted();
        network.set_numbers(&[&numbers[..], &[0.0]].concat());
    }

    fn scores(network: &Network<f64>, x: &Array2<f64>) -> Array2<f64> {
        let mut scores = Array2::zeros((x.nrows(), network.outputs()));
        network.scores_into(x.view(), scores.view_mut());
        scores
    }

    fn rows() -> Array2<f64> {
        Array2::from_shape_fn((7, 6), |(i, j)| (i as f64 - j as f64) * 0.3)
    }

    fn dense(stage: &Stage<f64>) -> &Dense<f64> {
        match stage {
            Stage::Dense(dense) => dense,
            Stage::Residual(_) => panic!("no residual stage was asked for"),
        }
    }

    #[test]
    fn an_identity_network_equals_its_collapsed_form() {
        let mut network = Network::new(&shape(6, &[9], Activation::Identity, 4), Initialisation::Xavier, Seed(1));
        let mut i = 0.0;
        network.for_each_number(|v| {
            i += 1.0;
            *v += 0.1 * f64::sin(i);
        });
        let [first, second] = [0, 1].map(|l| &dense(&network.stages[l]).affine);
        let collapsed = rows().dot(&second.w.dot(&first.w).t()) + (second.w.dot(&first.b) + &second.b);
        assert!((scores(&network, &rows()) - collapsed).iter().all(|d| d.abs() < 1e-12));
    }

    #[test]
    fn permuting_hidden_units_changes_nothing() {
        let mut network = Network::new(&shape(6, &[5], Activation::Gelu, 4), Initialisation::Auto, Seed(1));
        let before = scores(&network, &rows());
        let order = [3, 0, 4, 1, 2];
        for (l, axis) in [(0, Axis(0)), (1, Axis(1))] {
            let Stage::Dense(dense) = &mut network.stages[l] else { panic!("dense") };
            dense.affine.w = dense.affine.w.select(axis, &order);
        }
        assert!((scores(&network, &rows()) - before).iter().all(|d| d.abs() < 1e-12));
    }

    #[test]
    fn initial_weights_have_the_variance_of_the_paper() {
        let variance = |activation, initialisation, l: usize| {
            let network = Network::new(&shape(300, &[200], activation, 100), initialisation, Seed(2));
            dense(&network.stages[l]).affine.w.mapv(|w| w * w).mean().unwrap()
        };
        let leaky = Activation::LeakyRelu { slope: 0.5 };
        for (activation, initialisation, l, expected) in [
            (Activation::Relu, Initialisation::Auto, 0, 2.0 / 300.0),
            (Activation::Relu, Initialisation::Auto, 1, 2.0 / 300.0),
            (leaky, Initialisation::He, 0, 1.6 / 300.0),
            (Activation::Tanh, Initialisation::Auto, 0, 25.0 / 9.0 * 2.0 / 500.0),
            (Activation::Sigmoid, Initialisation::He, 0, 1.0 / 300.0),
        ] {
            let found = variance(activation, initialisation, l);
            assert!((found / expected - 1.0).abs() < 0.02, "{activation:?} {initialisation:?}: {found} {expected}");
        }
    }

    #[test]
    fn a_folded_norm_scores_as_the_norm_does() {
        let with_norm = Shape { batch_norm: true, ..shape(6, &[5], Activation::Relu, 3) };
        let mut network = Network::<f64>::new(&with_norm, Initialisation::Auto, Seed(4));
        let mut i = 0.0;
        network.for_each_number(|v| {
            i += 1.0;
            *v = v.abs() + 0.01 * i;
        });
        let (first, last) = (dense(&network.stages[0]), dense(&network.stages[1]));
        let norm = first.norm.as_ref().unwrap();
        let z = rows().dot(&first.affine.w.t()) + &first.affine.b;
        let normed = (z - &norm.mean) / norm.variance.mapv(|v| (v + EPSILON).sqrt()) * &norm.gamma + &norm.beta;
        let expected = normed.mapv(|v| v.max(0.0)).dot(&last.affine.w.t()) + &last.affine.b;
        assert!((scores(&network, &rows()) - expected).iter().all(|d| d.abs() < 1e-12));
    }
}
