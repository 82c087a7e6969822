//! The network itself: layers, forward pass, backpropagation (the lecture's C10; Rumelhart, Hinton, Williams 1986).
//!
//! Generic over the float, so that gradients are checked in f64. With A_0 = X (n, d) and Z_l = A_{l−1} W_lᵀ + b_l:
//! ∂L/∂W_l = Δ_lᵀ A_{l−1}, ∂L/∂b_l = Σ_rows Δ_l, Δ_{l−1} = (Δ_l W_l) ⊙ φ'(Z_{l−1}).

use crate::activation::Activation;
use bakeoff_core::Seed;
use bakeoff_numeric::{Loss, matmul, matmul_here};
use ndarray::{Array1, Array2, ArrayView2, ArrayViewMut2, Axis, NdFloat, s};
use rand::Rng;
use serde::{Deserialize, Serialize};

/// How weights start; biases start at 0.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Initialisation {
    /// He for layers that feed a rectifier, Xavier for the others.
    #[default]
    Auto,
    /// Uniform with variance 2 / fan-in (He, Zhang, Ren, Sun 2015).
    He,
    /// Uniform with variance 2 / (fan-in + fan-out) (Glorot, Bengio 2010).
    Xavier,
}

/// One affine map.
#[derive(Debug, Clone, PartialEq)]
pub struct Layer<T> {
    /// W (out, in).
    pub w: Array2<T>,
    /// b (out).
    pub b: Array1<T>,
}

impl<T: NdFloat> Layer<T> {
    fn zeros(out: usize, fan_in: usize) -> Self {
        Self { w: Array2::zeros((out, fan_in)), b: Array1::zeros(out) }
    }
}

/// A multilayer perceptron.
#[derive(Debug, Clone, PartialEq)]
pub struct Network<T> {
    /// The layers, first to last; the last one gives the scores.
    pub layers: Vec<Layer<T>>,
    /// φ after every layer but the last.
    pub activation: Activation,
}

/// Derivatives of the loss with respect to each layer, in the layers' own shapes.
pub type Gradient<T> = Vec<Layer<T>>;

/// Buffers of one forward and backward pass for up to a fixed number of rows, made once and used for every step.
#[derive(Debug)]
pub struct Workspace<T> {
    /// A_1 … A_{L−1} and the scores, each (rows, width).
    outputs: Vec<Array2<T>>,
    /// Δ of the hidden layers, the same shapes.
    deltas: Vec<Array2<T>>,
    /// Where [`Network::loss_and_gradient`] leaves the derivatives.
    pub gradient: Gradient<T>,
}

impl<T: NdFloat> Network<T> {
    /// A network of these widths (inputs, hidden …, classes), its weights drawn from the seed.
    pub fn new(widths: &[usize], activation: Activation, initialisation: Initialisation, seed: Seed) -> Self {
        let last = widths.len().saturating_sub(2);
        let layer = |(l, pair): (usize, &[usize])| {
            let (fan_in, out) = (pair[0], pair[1]);
            let he = match initialisation {
                Initialisation::He => true,
                Initialisation::Xavier => false,
                Initialisation::Auto => l < last && activation.is_rectifier(),
            };
            let variance = if he { 2.0 / fan_in as f64 } else { 2.0 / (fan_in + out) as f64 };
            let bound = (3.0 * variance).sqrt();
            let mut rng = seed.nth(l).rng();
            let mut draw = || T::from(rng.gen_range(-bound..bound)).unwrap_or_else(T::nan);
            Layer { w: Array2::from_shape_simple_fn((out, fan_in), &mut draw), b: Array1::zeros(out) }
        };
        Self { layers: widths.windows(2).enumerate().map(layer).collect(), activation }
    }

    /// Buffers for up to `rows` rows.
    pub fn workspace(&self, rows: usize) -> Workspace<T> {
        let widths = || self.layers.iter().map(|layer| layer.b.len());
        let outputs: Vec<_> = widths().map(|width| Array2::zeros((rows, width))).collect();
        let deltas = outputs[..outputs.len() - 1].to_vec();
        let gradient = self.layers.iter().map(|layer| Layer::zeros(layer.w.nrows(), layer.w.ncols())).collect();
        Workspace { outputs, deltas, gradient }
    }

    /// The summed loss of rows x (n, d) with classes y (n); leaves the gradient of the MEAN loss in the workspace.
    ///
    /// # Panics
    /// When the workspace has fewer rows, or shapes do not fit.
    pub fn loss_and_gradient(&self, x: ArrayView2<'_, T>, y: &[usize], loss: Loss, work: &mut Workspace<T>) -> f64 {
        let (n, last) = (x.nrows(), self.layers.len() - 1);
        let Workspace { outputs, deltas, gradient } = work;
        self.forward(x.view(), outputs);
        let scores = outputs[last].slice_mut(s![..n, ..]);
        let value = score_gradient(scores, y, loss);
        for l in (0..=last).rev() {
            let (before, from_here) = outputs.split_at(l);
            let (hidden, above) = deltas.split_at_mut(l);
            let delta = if l == last { from_here[0].slice(s![..n, ..]) } else { above[0].slice(s![..n, ..]) };
            let input = before.last().map_or_else(|| x.view(), |output| output.slice(s![..n, ..]));
            matmul(delta.t(), input.view(), gradient[l].w.view_mut());
            gradient[l].b.assign(&delta.sum_axis(Axis(0)));
            if let Some(below) = hidden.last_mut() {
                let mut below = below.slice_mut(s![..n, ..]);
                matmul(delta, self.layers[l].w.view(), below.view_mut());
                self.activation.backward(flat_mut(&mut below), flat(&input));
            }
        }
        value
    }

    fn forward(&self, x: ArrayView2<'_, T>, outputs: &mut [Array2<T>]) {
        let n = x.nrows();
        for (l, layer) in self.layers.iter().enumerate() {
            let (before, from_here) = outputs.split_at_mut(l);
            let input = before.last().map_or_else(|| x.view(), |output| output.slice(s![..n, ..]));
            let mut output = from_here[0].slice_mut(s![..n, ..]);
            matmul(input, layer.w.t(), output.view_mut());
            self.activation_after(l).apply(flat_mut(&mut output), flat_bias(&layer.b));
        }
    }

    /// Scores of rows x (n, d) into `out` (n, k), on the calling thread alone.
    ///
    /// # Panics
    /// When shapes do not fit.
    pub fn scores_into(&self, x: ArrayView2<'_, T>, mut out: ArrayViewMut2<'_, T>) {
        let mut input = x.to_owned();
        for (l, layer) in self.layers.iter().enumerate() {
            let mut output = Array2::zeros((x.nrows(), layer.b.len()));
            matmul_here(input.view(), layer.w.t(), output.view_mut());
            self.activation_after(l).apply(flat_mut(&mut output.view_mut()), flat_bias(&layer.b));
            input = output;
        }
        out.assign(&input);
    }

    fn activation_after(&self, l: usize) -> Activation {
        if l + 1 == self.layers.len() { Activation::Identity } else { self.activation }
    }
}

/// Replaces scores by the gradient of their mean loss; the summed loss.
fn score_gradient<T: NdFloat>(mut scores: ArrayViewMut2<'_, T>, y: &[usize], loss: Loss) -> f64 {
    let value = loss.into_gradient(scores.view_mut(), y);
    let scale = T::from(1.0 / y.len().max(1) as f64).unwrap_or_else(T::nan);
    scores.mapv_inplace(|g| g * scale);
    value
}

fn flat<'a, T>(view: &'a ArrayView2<'_, T>) -> &'a [T] {
    view.as_slice().expect("the first rows of a row-major array")
}

fn flat_mut<'a, T>(view: &'a mut ArrayViewMut2<'_, T>) -> &'a mut [T] {
    view.as_slice_mut().expect("the first rows of a row-major array")
}

fn flat_bias<T>(bias: &Array1<T>) -> &[T] {
    bias.as_slice().expect("made in standard layout")
}

#[cfg(test)]
mod tests {
    use super::*;
    use bakeoff_numeric::gradcheck::worst_relative_error;

    const ACTIVATIONS: [Activation; 7] = [
        Activation::Identity,
        Activation::Sigmoid,
        Activation::Tanh,
        Activation::Relu,
        Activation::LeakyRelu { slope: 0.2 },
        Activation::Softplus,
        Activation::Elu { alpha: 1.0 },
    ];

    fn parameters(network: &Network<f64>) -> Vec<f64> {
        network.layers.iter().flat_map(|l| l.w.iter().chain(&l.b).copied().collect::<Vec<_>>()).collect()
    }

    fn with_parameters(network: &Network<f64>, values: &[f64]) -> Network<f64> {
        let (mut network, mut values) = (network.clone(), values.iter().copied());
        for layer in &mut network.layers {
            layer.w.iter_mut().chain(&mut layer.b).for_each(|v| *v = values.next().unwrap());
        }
        network
    }

    #[test]
    fn every_parameter_of_several_shapes_matches_central_differences() {
        let x = Array2::from_shape_fn((5, 4), |(i, j)| ((i * 13 + j * 7) % 11) as f64 * 0.17 - 0.8);
        let y = [0, 2, 1, 1, 2];
        for widths in [&[4, 3][..], &[4, 5, 3], &[4, 6, 5, 3], &[4, 1, 7, 2, 3]] {
            for (seed, activation) in ACTIVATIONS.into_iter().enumerate() {
                for loss in [Loss::Softmax, Loss::WestonWatkins, Loss::SquaredHinge] {
                    let mut network = Network::new(widths, activation, Initialisation::Auto, Seed(seed as u64));
                    // Biases off zero, so that no unit sits at its corner.
                    network
                        .layers
                        .iter_mut()
                        .for_each(|l| l.b.iter_mut().enumerate().for_each(|(i, b)| *b = 0.1 + 0.03 * i as f64));
                    let mut work = network.workspace(8);
                    network.loss_and_gradient(x.view(), &y, loss, &mut work);
                    let analytic = parameters(&Network { layers: work.gradient, activation });
                    let value = |p: &[f64]| {
                        let network = with_parameters(&network, p);
                        network.loss_and_gradient(x.view(), &y, loss, &mut network.workspace(5)) / 5.0
                    };
                    let error = worst_relative_error(value, &parameters(&network), &analytic);
                    assert!(error < 1e-6, "{widths:?} {activation:?} {loss:?}: {error}");
                }
            }
        }
    }

    #[test]
    fn an_identity_network_equals_its_collapsed_form() {
        let network = Network::<f64>::new(&[6, 9, 4], Activation::Identity, Initialisation::Xavier, Seed(1));
        let x = Array2::from_shape_fn((7, 6), |(i, j)| (i as f64 - j as f64) * 0.3);
        let mut scores = Array2::zeros((7, 4));
        network.scores_into(x.view(), scores.view_mut());
        let collapsed = x.dot(&network.layers[1].w.dot(&network.layers[0].w).t());
        assert!((scores - collapsed).iter().all(|d| d.abs() < 1e-12));
    }

    #[test]
    fn initial_weights_have_the_variance_of_the_paper() {
        let network = Network::<f64>::new(&[300, 200, 100], Activation::Relu, Initialisation::Auto, Seed(2));
        let variance = |l: usize| network.layers[l].w.mapv(|w| w * w).mean().unwrap();
        assert!((variance(0) * 300.0 / 2.0 - 1.0).abs() < 0.02, "{}", variance(0));
        assert!((variance(1) * 300.0 / 2.0 - 1.0).abs() < 0.02, "{}", variance(1));
    }
}
