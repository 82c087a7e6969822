//! Networks against NumPy's float64 values in `reference/networks.json`: scores, loss, every gradient, steps of SGD.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use bakeoff_core::params::{Fraction, NonNegative, Positive};
use bakeoff_mlp::{Activation, Layer, Network, Workspace};
use bakeoff_numeric::{Loss, Schedule, Sgd};
use ndarray::{Array1, Array2, NdFloat};
use serde_json::Value;

fn reference() -> Value {
    serde_json::from_str(include_str!("reference/networks.json")).unwrap()
}

fn number(value: &Value) -> f64 {
    value.as_f64().unwrap()
}

fn numbers(value: &Value) -> Vec<f64> {
    value.as_array().unwrap().iter().map(number).collect()
}

fn sizes(value: &Value) -> Vec<usize> {
    numbers(value).into_iter().map(|v| v as usize).collect()
}

fn activation(name: &str) -> Activation {
    match name {
        "sigmoid" => Activation::Sigmoid,
        "tanh" => Activation::Tanh,
        "relu" => Activation::Relu,
        "leaky_relu" => Activation::LeakyRelu { slope: 0.2 },
        "softplus" => Activation::Softplus,
        "elu" => Activation::Elu { alpha: 1.0 },
        "identity" => Activation::Identity,
        other => panic!("no activation of the name {other}"),
    }
}

fn loss(name: &str) -> Loss {
    match name {
        "softmax" => Loss::Softmax,
        "weston_watkins" => Loss::WestonWatkins,
        other => panic!("no loss of the name {other}"),
    }
}

/// The greatest |ours − theirs| / max(1, |theirs|); infinite when a NaN is among ours.
fn worst<T: NdFloat>(ours: impl IntoIterator<Item = T>, theirs: &[f64]) -> f64 {
    let ours: Vec<f64> = ours.into_iter().map(|v| v.to_f64().unwrap()).collect();
    assert_eq!(ours.len(), theirs.len(), "numbers to compare");
    let error = |(a, b): (&f64, &f64)| if a.is_nan() { f64::INFINITY } else { (a - b).abs() / b.abs().max(1.0) };
    ours.iter().zip(theirs).map(error).fold(0.0, f64::max)
}

/// W row-major and then b of each layer, as the script prints them.
fn flat<T: NdFloat>(layers: &[Layer<T>]) -> Vec<T> {
    layers.iter().flat_map(|layer| layer.w.iter().chain(&layer.b).copied().collect::<Vec<_>>()).collect()
}

fn network<T: NdFloat>(shape: &[usize], parameters: &[f64], activation: Activation) -> Network<T> {
    let mut rest = parameters.iter().map(|&v| T::from(v).unwrap());
    let layer = |pair: &[usize]| Layer {
        w: Array2::from_shape_simple_fn((pair[1], pair[0]), || rest.next().unwrap()),
        b: Array1::from_shape_simple_fn(pair[1], || rest.next().unwrap()),
    };
    let layers = shape.windows(2).map(layer).collect();
    assert!(rest.next().is_none(), "as many parameters as the shape asks for");
    Network { layers, activation }
}

/// One case of the file and everything that its network needs.
struct Case<'a> {
    inputs: &'a Value,
    expected: &'a Value,
    sgd: Sgd,
}

impl Case<'_> {
    fn x<T: NdFloat>(&self) -> Array2<T> {
        let values = numbers(&self.inputs["x"]).into_iter().map(|v| T::from(v).unwrap()).collect();
        Array2::from_shape_vec((6, 4), values).unwrap()
    }

    fn start<T: NdFloat>(&self) -> Network<T> {
        let parameters = numbers(&self.inputs["parameters"]);
        network(&sizes(&self.inputs["shape"]), &parameters, activation(self.expected["activation"].as_str().unwrap()))
    }

    /// The full loss of the network's present parameters; the workspace then holds the gradient of its data part.
    fn loss<T: NdFloat>(&self, network: &Network<T>, work: &mut Workspace<T>) -> f64 {
        let y = sizes(&self.inputs["labels"]);
        let sum = network.loss_and_gradient(self.x().view(), &y, loss(self.expected["loss"].as_str().unwrap()), work);
        let penalties = network.layers.iter().map(|layer| self.sgd.penalty(layer.w.as_slice().unwrap()));
        sum / 6.0 + penalties.sum::<f64>()
    }

    fn descend<T: NdFloat>(&self, network: &mut Network<T>, steps: usize) {
        let (mut work, mut velocity) = (network.workspace(6), network.clone());
        velocity.layers.iter_mut().for_each(|layer| {
            layer.w.fill(T::zero());
            layer.b.fill(T::zero());
        });
        for _ in 0..steps {
            self.loss(network, &mut work);
            for ((layer, v), g) in network.layers.iter_mut().zip(&mut velocity.layers).zip(&work.gradient) {
                let (w, vw, gw) = (layer.w.as_slice_mut(), v.w.as_slice_mut(), g.w.as_slice());
                self.sgd.update(w.unwrap(), vw.unwrap(), gw.unwrap(), 1.0, true);
                let (b, vb, gb) = (layer.b.as_slice_mut(), v.b.as_slice_mut(), g.b.as_slice());
                self.sgd.update(b.unwrap(), vb.unwrap(), gb.unwrap(), 1.0, false);
            }
        }
    }

    /// Compares everything in one precision; errors are relative, absolute below 1.
    fn check<T: NdFloat>(&self, tolerance: f64, tolerance_after_100: f64) {
        let what = format!("{} {} {}", self.inputs["shape"], self.expected["activation"], self.expected["loss"]);
        let start = self.start::<T>();
        let mut scores = Array2::zeros((6, 3));
        start.scores_into(self.x().view(), scores.view_mut());
        assert!(worst(scores, &numbers(&self.expected["scores"])) < tolerance, "scores of {what}");
        // More room than rows: a last batch that is not full.
        let mut work = start.workspace(9);
        let value = self.loss(&start, &mut work);
        assert!(worst([value], &[number(&self.expected["value"])]) < tolerance, "loss of {what}: {value}");
        let two_lambda = T::from(2.0 * self.sgd.l2.get()).unwrap();
        for (gradient, layer) in work.gradient.iter_mut().zip(&start.layers) {
            gradient.w.scaled_add(two_lambda, &layer.w);
        }
        let error = worst(flat(&work.gradient), &numbers(&self.expected["gradients"]));
        assert!(error < tolerance, "gradients of {what}: {error}");
        for (steps, key, tolerance) in [(1, "after_1", tolerance), (100, "after_100", tolerance_after_100)] {
            let mut network = start.clone();
            self.descend(&mut network, steps);
            let error = worst(flat(&network.layers), &numbers(&self.expected[key]));
            assert!(error < tolerance, "{key} of {what}: {error}");
        }
    }
}

fn for_each_case(check: impl Fn(&Case<'_>)) {
    let reference = reference();
    let sgd = Sgd {
        learning_rate: Positive::new(number(&reference["lr"])).unwrap(),
        momentum: Fraction::new(number(&reference["rho"])).unwrap(),
        l2: NonNegative::new(number(&reference["l2"])).unwrap(),
        l1: NonNegative::new(0.0).unwrap(),
        schedule: Schedule::Constant,
    };
    let mut n_cases = 0;
    for inputs in reference["networks"].as_array().unwrap() {
        for case in inputs["cases"].as_array().unwrap() {
            check(&Case { inputs, expected: case, sgd });
            n_cases += 1;
        }
    }
    assert_eq!(n_cases, 28, "two networks, seven activations, two losses");
}

#[test]
fn every_activation_and_loss_in_f64() {
    for_each_case(|case| case.check::<f64>(1e-11, 1e-10));
}

#[test]
fn every_activation_and_loss_in_f32() {
    for_each_case(|case| case.check::<f32>(1e-6, 1e-4));
}
