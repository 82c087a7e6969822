//! The same units, trained: stochastic gradient descent with momentum on the squared loss.

use super::grid;
use crate::curve::Curve;
use crate::learn::{affines, plain_shape, set_affines};
use bakeoff_core::Seed;
use bakeoff_mlp::{Activation, Affine, Initialisation, Network, Targets, Trainer};
use bakeoff_numeric::optim::shuffled;
use bakeoff_numeric::{Loss, Optimiser, Schedule};
use ndarray::{Array2, Axis};
use rand::Rng;
use rayon::prelude::*;

/// Places of the curve that training sees.
pub(super) const ROWS: usize = 256;
/// Places of a step.
pub(super) const BATCH: usize = 64;
/// The learning rate at the start.
const RATE: f64 = 0.05;

/// Networks of `units` hidden units, trained by so many steps from `seeds` starts; the i-th depends on the seed, the units and i alone.
pub(super) fn trained(curve: &Curve, units: usize, steps: usize, seeds: usize, seed: Seed) -> Vec<Network<f64>> {
    let places = grid(ROWS);
    // Inputs from −1 to 1, as if they had been scaled; the map goes back into the first layer afterwards.
    let x = Array2::from_shape_fn((ROWS, 1), |(i, _)| 2.0 * places[i] - 1.0);
    let y = Array2::from_shape_fn((ROWS, 1), |(i, _)| curve.at(places[i]));
    (0..seeds).into_par_iter().map(|i| one(&x, &y, units, steps, seed.derive("trained").nth(units).nth(i))).collect()
}

fn one(x: &Array2<f64>, y: &Array2<f64>, units: usize, steps: usize, seed: Seed) -> Network<f64> {
    let start = start(units, seed);
    let optimiser = Optimiser { momentum: 0.9, ..Optimiser::default() };
    let mut trainer = Trainer::new(&start, optimiser, BATCH, 0.0, Some(1.0));
    let order = seed.derive("order");
    let mut positions = Vec::new();
    for step in 0..steps {
        let at = step * BATCH % ROWS;
        if at == 0 {
            positions = shuffled(ROWS, &mut order.nth(step).rng());
        }
        let batch = &positions[at..at + BATCH];
        let (x, y) = (x.select(Axis(0), batch), y.select(Axis(0), batch));
        let rate = RATE * Schedule::Cosine.factor(step, steps);
        let loss = trainer.step(x.view(), Targets::Shares(y.view()), Loss::Squared, rate, None);
        if !loss.is_finite() {
            break;
        }
    }
    let mut network = trainer.network(&start, false);
    // w (2x − 1) + b = 2w x + (b − w).
    let maps: Vec<Affine<f64>> = affines(&network).into_iter().cloned().collect();
    if let [first, last] = &maps[..] {
        let w = &first.w * 2.0;
        let b = &first.b - &first.w.column(0);
        set_affines(&mut network, &[Affine { w, b }, last.clone()]);
    }
    network
}

/// A start that is fair: biases at 0 would put every corner in the middle; here they are spread over the interval.
fn start(units: usize, seed: Seed) -> Network<f64> {
    let mut network = Network::<f64>::new(&plain_shape(1, &[units], Activation::Relu, 1), Initialisation::Auto, seed);
    let mut rng = seed.derive("corners").rng();
    let mut maps: Vec<Affine<f64>> = affines(&network).into_iter().cloned().collect();
    if let Some(first) = maps.first_mut() {
        let corners = first.w.column(0).mapv(|w| -w * rng.gen_range(-1.0..1.0));
        first.b = corners;
    }
    set_affines(&mut network, &maps);
    network
}
