//! The loss curve of the lecture's network (C5) against NumPy's from the same start, in `reference/twenty_lines.json`.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

mod common;

use bakeoff_core::Seed;
use bakeoff_mlp::{Activation, Blocks, Float, Initialisation, Network, Shape, Stage, Targets, Trainer};
use bakeoff_numeric::{Element, Loss, Optimiser};
use common::{numbers, sizes, worst};
use ndarray::Array2;
use serde_json::Value;

/// Whole numbers modulo a prime, from −1 to 1: the script's formula.
fn noise<T: Element>(rows: usize, columns: usize, [a, b, c]: [usize; 3]) -> Array2<T> {
    Array2::from_shape_fn((rows, columns), |(i, j)| T::of(((i * a + j * b + i * j * c) % 1009) as f64 / 504.5 - 1.0))
}

/// The greatest relative difference of the losses in these first steps.
fn compare<T: Float>(most_steps: usize) -> f64 {
    let reference: Value = serde_json::from_str(include_str!("reference/twenty_lines.json")).unwrap();
    let (steps, expected) = (sizes(&reference["steps"]), numbers(&reference["losses"]));
    assert_eq!((steps.len(), steps[10]), (11, 9999));
    let (n, d, h, k) = (64, 1000, 100, 10);
    let activation = Activation::Sigmoid;
    let shape = Shape { inputs: d, hidden: vec![h], batch_norm: false, blocks: Blocks::NONE, activation, classes: k };
    let mut network = Network::<T>::new(&shape, Initialisation::Auto, Seed(0));
    for (stage, (primes, scale)) in network.stages.iter_mut().zip([([6007, 2003, 17], 0.05), ([3001, 5003, 13], 0.3)]) {
        let Stage::Dense(dense) = stage else { panic!("dense stages") };
        let (out, fan_in) = dense.affine.dim();
        dense.affine.w = noise(out, fan_in, primes) * T::of(scale);
    }
    let (x, y) = (noise::<T>(n, d, [7919, 104_729, 31]), (0..n).map(|i| i * 7 % k).collect::<Vec<_>>());
    let mut trainer = Trainer::new(&network, Optimiser::default(), n, 0.0, None);
    let mut losses = Vec::new();
    for t in 0..most_steps {
        let loss = trainer.step(x.view(), Targets::Classes(&y), Loss::Squared, 1e-4 * n as f64, None);
        if steps.contains(&t) {
            losses.push(loss);
        }
    }
    assert!(losses[losses.len() - 1] < losses[0], "{losses:?}");
    worst(losses.clone(), &expected[..losses.len()])
}

#[test]
fn the_loss_curve_is_numpys_in_f64() {
    let error = compare::<f64>(1001);
    assert!(error < 1e-10, "{error}");
}

#[test]
fn the_longer_loss_curve_is_numpys_in_f32() {
    let error = compare::<f32>(3001);
    assert!(error < 1e-3, "{error}");
}

#[test]
fn the_example_has_under_twenty_lines() {
    let source = include_str!("../examples/twenty_lines.rs");
    let body = source.split("fn main() {\n").nth(1).unwrap();
    let lines = body.lines().take_while(|line| *line != "}").filter(|line| !line.trim_start().starts_with("//"));
    assert!((1..20).contains(&lines.count()));
}
