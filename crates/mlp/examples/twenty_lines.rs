//! The lecture's network in under 20 lines (C5): 64 random rows, 1000 inputs, 100 sigmoid units, 10 outputs, squared loss,
//! plain gradient descent. Prints the loss at every power of two; `tests/twenty_lines.rs` holds it against NumPy's.

#![expect(clippy::print_stdout, reason = "showing the loss is what this program is for")]

use bakeoff_core::Seed;
use bakeoff_mlp::{Activation, Blocks, Initialisation, Network, Shape, Targets, Trainer};
use bakeoff_numeric::{Loss, Optimiser};
use ndarray::Array2;
use rand::Rng;

fn main() {
    let (n, d, h, k) = (64, 1000, 100, 10);
    let mut rng = Seed(0).rng();
    let x = Array2::from_shape_simple_fn((n, d), || rng.gen_range(-1.7..1.7));
    let y: Vec<usize> = (0..n).map(|_| rng.gen_range(0..k)).collect();
    let activation = Activation::Sigmoid;
    let shape = Shape { inputs: d, hidden: vec![h], batch_norm: false, blocks: Blocks::NONE, activation, classes: k };
    let network = Network::<f32>::new(&shape, Initialisation::Auto, Seed(1));
    let mut trainer = Trainer::new(&network, Optimiser::default(), n, 0.0, None);
    for t in 0..10_000_u32 {
        // The trainer divides by n; the lecture sums over rows, so its rate of 1e-4 is n times that here.
        let loss = trainer.step(x.view(), Targets::Classes(&y), Loss::Squared, 1e-4 * n as f64, None);
        if t.is_power_of_two() {
            println!("{t} {loss}");
        }
    }
}
