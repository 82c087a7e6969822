//! Networks as named arrays and as steps: what goes into a file and out of it, and into ONNX.
//!
//! Stage l, from 0, has its arrays under `l.`: a dense one `w` (out, in) and `b` (out), and with a batch norm `norm.gamma`,
//! `norm.beta`, `norm.mean` and `norm.variance` (out); a residual one `norm.gamma` and `norm.beta` (width), `expand.w`,
//! `expand.b`, `contract.w`, `contract.b`. Another kind of stage puts its arrays under its own names here, in [`learned`]
//! and [`restore`], and its steps in [`operations`].

use crate::activation::Activation;
use crate::network::{Affine, BatchNorm, Dense, EPSILON, LayerNorm, Network, Residual, Shape, Stage};
use bakeoff_core::{Operation, RestoreError, Tensors};

/// All weights, biases, norms and running statistics.
pub(crate) fn learned(network: &Network<f32>) -> Tensors {
    let stages = network.stages.iter().enumerate();
    stages.fold(Tensors::new(), |all, (l, stage)| all.with_part(&l.to_string(), of_stage(stage)))
}

fn of_stage(stage: &Stage<f32>) -> Tensors {
    match stage {
        Stage::Dense(Dense { affine, norm, .. }) => match norm {
            None => of_affine(affine),
            Some(BatchNorm { gamma, beta, mean, variance }) => {
                let norm = Tensors::new().with("gamma", gamma).with("beta", beta).with("mean", mean);
                of_affine(affine).with_part("norm", norm.with("variance", variance))
            }
        },
        Stage::Residual(Residual { norm, expand, contract, .. }) => Tensors::new()
            .with_part("norm", Tensors::new().with("gamma", &norm.gamma).with("beta", &norm.beta))
            .with_part("expand", of_affine(expand))
            .with_part("contract", of_affine(contract)),
    }
}

fn of_affine(affine: &Affine<f32>) -> Tensors {
    Tensors::new().with("w", &affine.w).with("b", &affine.b)
}

/// The network of this shape.
pub(crate) fn restore(shape: &Shape, mut learned: Tensors) -> Result<Network<f32>, RestoreError> {
    let Shape { inputs, hidden, batch_norm, blocks, activation, classes } = shape;
    let (mut stages, mut width) = (Vec::new(), *inputs);
    let mut stage = |of: Kind, out: usize| -> Result<(), RestoreError> {
        let name = stages.len().to_string();
        let mut arrays = learned.part(&name);
        let stage = of.restore(width, out, &mut arrays).and_then(|stage| arrays.finish().map(|()| stage));
        stages.push(stage.map_err(|e| e.below(&name))?);
        width = out;
        Ok(())
    };
    for &units in hidden {
        stage(Kind::Dense { batch_norm: *batch_norm, activation: *activation }, units)?;
    }
    let plain = || Kind::Dense { batch_norm: false, activation: Activation::Identity };
    if blocks.count > 0 {
        stage(plain(), blocks.width)?;
    }
    for _ in 0..blocks.count {
        stage(Kind::Residual { expansion: blocks.expansion, activation: *activation }, blocks.width)?;
    }
    stage(plain(), *classes)?;
    learned.finish()?;
    Ok(Network { stages })
}

/// What a stage is before its numbers are read.
enum Kind {
    Dense { batch_norm: bool, activation: Activation },
    Residual { expansion: usize, activation: Activation },
}

impl Kind {
    fn restore(self, inputs: usize, out: usize, arrays: &mut Tensors) -> Result<Stage<f32>, RestoreError> {
        match self {
            Self::Dense { batch_norm, activation } => {
                let affine = affine(arrays, out, inputs)?;
                let norm = if batch_norm { Some(part(arrays, "norm", |arrays| norm(arrays, out))?) } else { None };
                Ok(Stage::Dense(Dense { affine, norm, activation }))
            }
            Self::Residual { expansion, activation } => {
                let inside = out.saturating_mul(expansion);
                let norm = part(arrays, "norm", |arrays| {
                    Ok(LayerNorm { gamma: arrays.array("gamma", out)?, beta: arrays.array("beta", out)? })
                })?;
                let expand = part(arrays, "expand", |arrays| affine(arrays, inside, out))?;
                let contract = part(arrays, "contract", |arrays| affine(arrays, out, inside))?;
                Ok(Stage::Residual(Residual { norm, expand, activation, contract }))
            }
        }
    }
}

/// What the arrays under this name say, and nothing beside it.
fn part<T>(
    arrays: &mut Tensors,
    name: &str,
    read: impl FnOnce(&mut Tensors) -> Result<T, RestoreError>,
) -> Result<T, RestoreError> {
    let mut arrays = arrays.part(name);
    let found = read(&mut arrays).and_then(|found| arrays.finish().map(|()| found));
    found.map_err(|e| e.below(name))
}

fn affine(arrays: &mut Tensors, out: usize, inputs: usize) -> Result<Affine<f32>, RestoreError> {
    Ok(Affine { w: arrays.matrix("w", out, inputs)?, b: arrays.array("b", out)? })
}

fn norm(arrays: &mut Tensors, width: usize) -> Result<BatchNorm<f32>, RestoreError> {
    let norm = BatchNorm {
        gamma: arrays.array("gamma", width)?,
        beta: arrays.array("beta", width)?,
        mean: arrays.array("mean", width)?,
        variance: arrays.array("variance", width)?,
    };
    // A root is taken of it.
    if norm.variance.iter().any(|v| *v < 0.0) {
        return Err(RestoreError::refused("a variance is below 0"));
    }
    Ok(norm)
}

/// The steps from rows to scores; batch norms are folded into the maps before them, as prediction has them.
pub(crate) fn operations(network: &Network<f32>) -> Vec<Operation> {
    network.stages.iter().flat_map(of_stage_as_steps).collect()
}

fn of_stage_as_steps(stage: &Stage<f32>) -> Vec<Operation> {
    let map = |Affine { w, b }: Affine<f32>| Operation::Affine { w, b };
    match stage {
        Stage::Dense(dense) => [Some(map(dense.folded())), step(dense.activation)].into_iter().flatten().collect(),
        Stage::Residual(block) => {
            let LayerNorm { gamma, beta } = block.norm.clone();
            let norm = Operation::LayerNorm { scale: gamma, offset: beta, epsilon: EPSILON as f32 };
            let inside = [Some(norm), Some(map(block.expand.clone())), step(block.activation)];
            let steps = inside.into_iter().flatten().chain([map(block.contract.clone())]);
            vec![Operation::Residual(steps.collect())]
        }
    }
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
        Activation::Gelu => Operation::Gelu,
    })
}
