//! Steps of training against PyTorch's float64 values in `reference/torch_steps.json`: every optimiser, loss, norm,
//! dropout with a given mask, residual blocks, clipping.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

mod common;

use bakeoff_core::Seed;
use bakeoff_mlp::{Activation, Blocks, Float, Initialisation, Network, Shape, Targets, Trainer};
use bakeoff_numeric::{Element, Loss, Optimiser, Rule};
use common::{number, numbers, sizes, worst};
use ndarray::Array2;
use serde_json::Value;

fn array<T: Element>(value: &Value, columns: usize) -> Array2<T> {
    let values: Vec<T> = numbers(value).into_iter().map(T::of).collect();
    Array2::from_shape_vec((values.len() / columns, columns), values).unwrap()
}

fn shape(name: &str) -> Shape {
    let plain = |activation| Shape {
        inputs: 5,
        hidden: vec![6, 4],
        batch_norm: name == "batch-norm",
        blocks: Blocks::NONE,
        activation,
        classes: 3,
    };
    match name {
        "relu" | "batch-norm" => plain(Activation::Relu),
        "gelu" => plain(Activation::Gelu),
        "dropout" => plain(Activation::Tanh),
        // The script's blocks are 4 wide and 6 inside, so the shape's whole expansion does not make them: see `start`.
        "residual" => {
            Shape { hidden: Vec::new(), blocks: Blocks { width: 4, count: 2, expansion: 1 }, ..plain(Activation::Gelu) }
        }
        other => panic!("no network of the name {other}"),
    }
}

/// The network of a case with the script's first numbers.
fn start<T: Element>(case: &Value) -> Network<T> {
    let name = case["network"].as_str().unwrap();
    let mut network = Network::new(&shape(name), Initialisation::Auto, Seed(0));
    for stage in &mut network.stages {
        if let bakeoff_mlp::Stage::Residual(block) = stage {
            block.expand.w = Array2::zeros((6, 4));
            block.expand.b = ndarray::Array1::zeros(6);
            block.contract.w = Array2::zeros((4, 6));
        }
    }
    let mut values = numbers(&case["start"]).into_iter();
    network.for_each_number(|v| *v = T::of(values.next().unwrap()));
    assert!(values.next().is_none(), "as many numbers as the network has");
    network
}

fn optimiser(case: &Value) -> Optimiser {
    let (rule, momentum) = match case["optimiser"].as_str().unwrap() {
        "plain" => (Rule::Sgd, 0.0),
        "momentum" => (Rule::Sgd, 0.9),
        "nesterov" => (Rule::Nesterov, 0.9),
        "adam" => (Rule::Adam, 0.0),
        "lion" => (Rule::Lion, 0.0),
        other => panic!("no optimiser of the name {other}"),
    };
    let (l2, decay) = (number(&case["l2"]), number(&case["decay"]));
    let beta2 = if rule == Rule::Lion { 0.99 } else { 0.999 };
    Optimiser { rule, momentum, beta1: 0.9, beta2, epsilon: 1e-8, l2, l1: 0.0, decay }
}

fn check<T: Float>(reference: &Value, case: &Value, tolerances: [f64; 2]) {
    let what = format!("{} {} {} {}", case["network"], case["loss"], case["optimiser"], case["clip"]);
    let (x, y) = (array::<T>(&reference["x"], 5), sizes(&reference["labels"]));
    let name = case["loss"].as_str().unwrap();
    let smoothed = Array2::from_shape_fn((7, 3), |(i, j)| T::of(if y[i] == j { 0.9 } else { 0.0 } + 0.1 / 3.0));
    let shares = array::<T>(&reference["shares"], 3);
    let (loss, targets) = match name {
        "softmax" => (Loss::Softmax, Targets::Classes(&y)),
        "smoothed" => (Loss::Softmax, Targets::Shares(smoothed.view())),
        "shares" => (Loss::Softmax, Targets::Shares(shares.view())),
        "weston-watkins" => (Loss::WestonWatkins, Targets::Classes(&y)),
        "squared" => (Loss::Squared, Targets::Classes(&y)),
        other => panic!("no loss of the name {other}"),
    };
    let network = start::<T>(case);
    let drops = case["network"] == "dropout";
    // More room than rows: a last batch that is not full.
    let mut trainer = Trainer::new(&network, optimiser(case), 9, if drops { 0.25 } else { 0.0 }, case["clip"].as_f64());
    if drops {
        let masks = reference["masks"].as_array().unwrap();
        trainer.set_masks(&[array(&masks[0], 6), array(&masks[1], 4)]);
    }
    let mut losses = Vec::new();
    for step in 1..=100 {
        let value = trainer.step(x.view(), targets, loss, number(&case["rate"]), None) / 7.0;
        if [1, 2, 100].contains(&step) {
            losses.push(value);
        }
        if let Some(i) = [1, 100].iter().position(|&s| s == step) {
            let expected = numbers(&case[format!("after_{step}")]);
            let error = worst(trainer.network(&network, false).numbers(), &expected);
            assert!(error < tolerances[i], "{what} after {step}: {error}");
        }
    }
    let error = worst(losses, &numbers(&case["losses"]));
    assert!(error < tolerances[1], "losses of {what}: {error}");
}

fn for_each_case(check: impl Fn(&Value, &Value)) {
    let reference: Value = serde_json::from_str(include_str!("reference/torch_steps.json")).unwrap();
    let cases = reference["cases"].as_array().unwrap();
    assert_eq!(cases.len(), 23);
    cases.iter().for_each(|case| check(&reference, case));
}

#[test]
fn one_and_a_hundred_steps_in_f64() {
    for_each_case(|reference, case| check::<f64>(reference, case, [1e-12, 1e-10]));
}

#[test]
fn one_and_a_hundred_steps_in_f32() {
    for_each_case(|reference, case| check::<f32>(reference, case, [1e-5, 1e-4]));
}
