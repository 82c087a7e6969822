//! Networks as named arrays and as steps: what goes into a file and out of it, and into ONNX.
//!
//! Layer l, from 0, is `l.w` (out, in) and `l.b` (out). Another kind of layer puts its arrays under its own names here, in
//! [`learned`] and [`restore`], and its steps in [`operations`].

use crate::activation::Activation;
use crate::network::{Layer, Network};
use bakeoff_core::{Operation, RestoreError, Tensors};

/// All weights and biases.
pub(crate) fn learned(network: &Network<f32>) -> Tensors {
    let layer = |layer: &Layer<f32>| Tensors::new().with("w", &layer.w).with("b", &layer.b);
    let layers = network.layers.iter().enumerate();
    layers.fold(Tensors::new(), |all, (l, this)| all.with_part(&l.to_string(), layer(this)))
}

/// The network of these widths (inputs, hidden …, classes).
pub(crate) fn restore(
    widths: &[usize],
    activation: Activation,
    mut learned: Tensors,
) -> Result<Network<f32>, RestoreError> {
    let mut layer = |(l, pair): (usize, &[usize])| {
        let name = l.to_string();
        let read = |mut arrays: Tensors| {
            let layer = Layer { w: arrays.matrix("w", pair[1], pair[0])?, b: arrays.array("b", pair[1])? };
            arrays.finish()?;
            Ok(layer)
        };
        read(learned.part(&name)).map_err(|e: RestoreError| e.below(&name))
    };
    let layers = widths.windows(2).enumerate().map(&mut layer).collect::<Result<Vec<_>, _>>()?;
    learned.finish()?;
    Ok(Network { layers, activation })
}

/// The steps from rows to scores.
pub(crate) fn operations(network: &Network<f32>) -> Vec<Operation> {
    let mut steps = Vec::new();
    for layer in &network.layers {
        if !steps.is_empty() {
            steps.extend(step(network.activation));
        }
        steps.push(Operation::Affine { w: layer.w.clone(), b: layer.b.clone() });
    }
    steps
}

/// The activation as a step; the identity is none.
fn step(activation: Activation) -> Option<Operation> {
    Some(match activation {
        Activation::Identity => return None,
        Activation::Sigmoid => Operation::Sigmoid,
        Activation::Tanh => Operation::Tanh,
        Activation::Relu => Operation::Relu,
        Activation::LeakyRelu { slope } => Operation::LeakyRelu { slope: slope as f32 },
        Activation::Softplus => Operation::Softplus,
        Activation::Elu { alpha } => Operation::Elu { alpha: alpha as f32 },
    })
}
