//! Networks against NumPy's float64 values in `reference/networks.json`: scores, loss, every gradient, steps of SGD.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

mod common;

use bakeoff_core::Seed;
use bakeoff_mlp::{Activation, Blocks, Float, Initialisation, Network, Shape, Stage, Targets, Trainer};
use bakeoff_numeric::{Element, Loss, Optimiser, Rule};
use common::{number, numbers, sizes, worst};
use ndarray::Array2;
use serde_json::Value;

fn reference() -> Value {
    serde_json::from_str(include_str!("reference/networks.json")).unwrap()
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

/// One case of the file and everything that its network needs.
struct Case<'a> {
    inputs: &'a Value,
    expected: &'a Value,
    optimiser: Optimiser,
    rate: f64,
}

impl Case<'_> {
    fn x<T: Element>(&self) -> Array2<T> {
        let values = numbers(&self.inputs["x"]).into_iter().map(|v| T::of(v)).collect();
        Array2::from_shape_vec((6, 4), values).unwrap()
    }

    fn start<T: Element>(&self) -> Network<T> {
        let sizes = sizes(&self.inputs["shape"]);
        let shape = Shape {
            inputs: sizes[0],
            hidden: sizes[1..sizes.len() - 1].to_vec(),
            batch_norm: false,
            blocks: Blocks::NONE,
            activation: activation(self.expected["activation"].as_str().unwrap()),
            classes: sizes[sizes.len() - 1],
        };
        let mut network = Network::new(&shape, Initialisation::Auto, Seed(0));
        let mut values = numbers(&self.inputs["parameters"]).into_iter();
        network.for_each_number(|v| *v = T::of(values.next().unwrap()));
        assert!(values.next().is_none(), "as many parameters as the shape asks for");
        network
    }

    /// Compares everything in one precision; errors are relative, absolute below 1.
    fn check<T: Float>(&self, tolerance: f64, tolerance_after_100: f64) {
        let what = format!("{} {} {}", self.inputs["shape"], self.expected["activation"], self.expected["loss"]);
        let (start, y) = (self.start::<T>(), sizes(&self.inputs["labels"]));
        let (loss, targets) = (loss(self.expected["loss"].as_str().unwrap()), Targets::Classes(&y));
        let mut scores = Array2::zeros((6, 3));
        start.scores_into(self.x().view(), scores.view_mut());
        assert!(worst(scores, &numbers(&self.expected["scores"])) < tolerance, "scores of {what}");
        // More room than rows: a last batch that is not full.
        let trainer = || Trainer::new(&start, self.optimiser, 9, 0.0, None);
        let mut first = trainer();
        let (sum, mut gradient) = first.loss_and_gradient(self.x().view(), targets, loss, None, &start);
        let value = sum / 6.0 + first.penalty();
        assert!(worst([value], &[number(&self.expected["value"])]) < tolerance, "loss of {what}: {value}");
        for (gradient, stage) in gradient.stages.iter_mut().zip(&start.stages) {
            let (Stage::Dense(gradient), Stage::Dense(stage)) = (gradient, stage) else { panic!("dense stages") };
            gradient.affine.w.scaled_add(T::of(2.0 * self.optimiser.l2), &stage.affine.w);
        }
        let error = worst(gradient.numbers(), &numbers(&self.expected["gradients"]));
        assert!(error < tolerance, "gradients of {what}: {error}");
        for (steps, key, tolerance) in [(1, "after_1", tolerance), (100, "after_100", tolerance_after_100)] {
            let mut trainer = trainer();
            for _ in 0..steps {
                trainer.step(self.x().view(), targets, loss, self.rate, None);
            }
            let error = worst(trainer.network(&start, false).numbers(), &numbers(&self.expected[key]));
            assert!(error < tolerance, "{key} of {what}: {error}");
        }
    }
}

fn for_each_case(check: impl Fn(&Case<'_>)) {
    let reference = reference();
    let rate = number(&reference["lr"]);
    let optimiser = Optimiser {
        rule: Rule::Sgd,
        momentum: number(&reference["rho"]),
        beta1: 0.0,
        beta2: 0.0,
        epsilon: 0.0,
        l2: number(&reference["l2"]),
        l1: 0.0,
        decay: 0.0,
    };
    let mut n_cases = 0;
    for inputs in reference["networks"].as_array().unwrap() {
        for case in inputs["cases"].as_array().unwrap() {
            check(&Case { inputs, expected: case, optimiser, rate });
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
