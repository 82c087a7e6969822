//! Activations, training steps and scores of networks.

use super::nothing;
use crate::kernel::{Case, Kernel, Outcome, Size, Steps, Tolerance, Work};
use crate::rows;
use bakeoff_core::{Labels, Model, Seed};
use bakeoff_mlp::{Activation, Blocks, Initialisation, Network, Scorer, Shape, Stage, Targets, Trainer};
use bakeoff_numeric::element::vectorised;
use bakeoff_numeric::{Loss, Optimiser, Precision, Rule};
use ndarray::{Array1, Array2, Axis};

pub(super) fn kernels() -> Vec<Kernel> {
    let mut kernels = activations();
    kernels.extend(steps());
    kernels.extend(scores());
    kernels
}

/// Numbers before and after an activation.
struct Activated {
    activation: Activation,
    z: Vec<f32>,
    a: Vec<f32>,
    delta: Vec<f32>,
}

/// φ and its slope, as the definitions are written.
fn plain_activation(activation: Activation, z: f64) -> (f64, f64) {
    match activation {
        Activation::Sigmoid => {
            let s = 1.0 / (1.0 + (-z).exp());
            (s, s * (1.0 - s))
        }
        Activation::Tanh => (z.tanh(), 1.0 - z.tanh().powi(2)),
        Activation::Relu => (z.max(0.0), if z > 0.0 { 1.0 } else { 0.0 }),
        Activation::LeakyRelu { slope } => (if z > 0.0 { z } else { slope * z }, if z > 0.0 { 1.0 } else { slope }),
        Activation::Softplus => (z.exp().ln_1p(), 1.0 / (1.0 + (-z).exp())),
        Activation::Elu { alpha } if z <= 0.0 => (alpha * z.exp_m1(), alpha * z.exp()),
        Activation::Identity | Activation::Elu { .. } => (z, 1.0),
        Activation::Gelu => {
            let density = (-0.5 * z * z).exp() / (2.0 * std::f64::consts::PI).sqrt();
            let distribution = 0.5 * libm::erfc(-z / std::f64::consts::SQRT_2);
            (z * distribution, distribution + z * density)
        }
    }
}

fn activations() -> Vec<Kernel> {
    let all = [
        ("relu", Activation::Relu),
        ("leaky-relu", Activation::LeakyRelu { slope: 0.01 }),
        ("sigmoid", Activation::Sigmoid),
        ("tanh", Activation::Tanh),
        ("softplus", Activation::Softplus),
        ("elu", Activation::Elu { alpha: 1.0 }),
        ("gelu", Activation::Gelu),
    ];
    let kernel = |(name, activation): (&str, Activation)| {
        let size = |n: usize| {
            Size::new(n.to_string(), Work::bytes(20 * n), move || {
                // Never 0, where the rectifiers have no slope.
                let z: Vec<f32> = (0..n).map(|i| ((i * 7919) % 1009) as f32 / 126.0 - 4.001).collect();
                let state = Activated { activation, a: z.clone(), delta: vec![1.0; n], z };
                let steps = Steps {
                    prepare: |s: &mut Activated| {
                        s.a.copy_from_slice(&s.z);
                        s.delta.fill(1.0);
                    },
                    run: |s| {
                        let Activated { activation, z, a, delta } = s;
                        activation.apply(a, &[0.0]);
                        vectorised(|| activation.slope(delta, a, z));
                    },
                    outcome: |s| Outcome::values(s.a.iter().chain(&s.delta)),
                    reference: Some(|s| {
                        let pairs = s.z.iter().map(|&z| plain_activation(s.activation, f64::from(z)));
                        let (values, slopes): (Vec<f64>, Vec<f64>) = pairs.unzip();
                        Outcome::of_f64(values.into_iter().chain(slopes))
                    }),
                };
                Case::new(state, steps)
            })
        };
        let covers = &["mlp::Activation", "mlp::ActivationName", "numeric::element::vectorised"];
        Kernel::new(format!("mlp/activation-{name}"), covers, [2_000, 128 << 10, 1 << 20].map(size).into())
    };
    all.into_iter().map(kernel).collect()
}

/// Widths, inputs first, and what is between them.
#[derive(Clone, Copy)]
struct Design {
    widths: &'static [usize],
    batch_norm: bool,
    blocks: Blocks,
}

impl Design {
    const fn plain(widths: &'static [usize]) -> Self {
        Self { widths, batch_norm: false, blocks: Blocks::NONE }
    }

    fn network(self) -> Network<f32> {
        let [inputs, hidden @ .., classes] = self.widths else { panic!("at least two widths") };
        let shape = Shape {
            inputs: *inputs,
            hidden: hidden.to_vec(),
            batch_norm: self.batch_norm,
            blocks: self.blocks,
            activation: Activation::Relu,
            classes: *classes,
        };
        Network::new(&shape, Initialisation::Auto, Seed(1))
    }

    fn name(self, rows: usize) -> String {
        let widths: Vec<String> = self.widths.iter().map(usize::to_string).collect();
        format!("{}-at-{rows}", widths.join("-"))
    }

    /// Weights, from one layer's width to the next.
    fn weights(self) -> usize {
        let blocks = 2 * self.blocks.count * self.blocks.expansion * self.blocks.width * self.blocks.width;
        self.widths.windows(2).map(|pair| pair[0] * pair[1]).sum::<usize>() + blocks
    }

    fn classes(self) -> usize {
        self.widths.last().copied().unwrap_or(1)
    }
}

/// A network in training, and a batch.
struct Training {
    start: Network<f32>,
    optimiser: Optimiser,
    precision: Precision,
    trainer: Trainer<f32>,
    x: Array2<f32>,
    y: Labels,
    loss: f64,
}

const RATE: f64 = 0.01;

impl Training {
    fn new(design: Design, optimiser: Optimiser, batch: usize) -> Self {
        let start = design.network();
        let (x, y) = rows(batch, start.inputs(), design.classes(), Seed(2));
        let trainer = Trainer::new(&start, optimiser, batch, 0.0, None);
        Self { start, optimiser, precision: Precision::F32, trainer, x, y, loss: 0.0 }
    }

    /// The network after one gradient step with a momentum that was at rest: forward, back and W − lr · dW, in f64, for
    /// plain layers with rectifiers between them.
    fn plain_step(&self) -> Outcome {
        let layers: Vec<(Array2<f64>, Array1<f64>)> = self.start.stages.iter().filter_map(as_layer).collect();
        let last = layers.len() - 1;
        let mut outputs = vec![self.x.mapv(f64::from)];
        for (l, (w, b)) in layers.iter().enumerate() {
            let z = outputs[l].dot(&w.t()) + b;
            outputs.push(if l < last { z.mapv(|v| v.max(0.0)) } else { z });
        }
        let n = self.x.nrows() as f64;
        let mut delta = outputs[last + 1].clone();
        for (mut row, &class) in delta.outer_iter_mut().zip(self.y.as_slice()) {
            let most = row.fold(f64::NEG_INFINITY, |a, &b| a.max(b));
            row.mapv_inplace(|v| (v - most).exp());
            let sum = row.sum();
            row.mapv_inplace(|v| v / sum / n);
            row[class] -= 1.0 / n;
        }
        let mut stepped = Vec::new();
        for (l, (w, b)) in layers.iter().enumerate().rev() {
            stepped.push((w - RATE * delta.t().dot(&outputs[l]), b - RATE * delta.sum_axis(Axis(0))));
            delta = delta.dot(w) * outputs[l].mapv(|v| if v > 0.0 { 1.0 } else { 0.0 });
        }
        let numbers = stepped.into_iter().rev().flat_map(|(w, b)| w.into_iter().chain(b).collect::<Vec<_>>());
        Outcome::of_f64(numbers)
    }
}

/// W and b of a plain layer.
fn as_layer(stage: &Stage<f32>) -> Option<(Array2<f64>, Array1<f64>)> {
    match stage {
        Stage::Dense(dense) => Some((dense.affine.w.mapv(f64::from), dense.affine.b.mapv(f64::from))),
        Stage::Residual(_) => None,
    }
}

fn steps() -> Vec<Kernel> {
    let size_of = |precision: Precision,
                   design: Design,
                   optimiser: Optimiser,
                   batch: usize,
                   reference: Option<fn(&Training) -> Outcome>| {
        // Forward, weights' gradients, backward.
        let weights = design.weights();
        let work = Work::rows(batch, 6 * weights * batch, 3 * weights);
        Size::new(design.name(batch), work, move || {
            let steps = Steps {
                prepare: |s: &mut Training| {
                    s.trainer = Trainer::new(&s.start, s.optimiser, s.x.nrows(), 0.0, None);
                    s.trainer.set_precision(s.precision);
                },
                run: |s| {
                    let targets = Targets::Classes(s.y.as_slice());
                    s.loss = s.trainer.step(s.x.view(), targets, Loss::Softmax, RATE, None);
                },
                outcome: |s| Outcome::values(&s.trainer.network(&s.start, false).numbers()),
                reference,
            };
            Case::new(Training { precision, ..Training::new(design, optimiser, batch) }, steps)
        })
    };
    let size = |design, optimiser, batch, reference| size_of(Precision::F32, design, optimiser, batch, reference);
    let small = Design::plain(&[64, 32, 4]);
    let fashion = Design::plain(&[784, 1024, 10]);
    let deep = Design::plain(&[3072, 1024, 1024, 10]);
    let momentum = Optimiser { momentum: 0.9, ..Optimiser::default() };
    let rounded = |design| size_of(Precision::Bf16, design, momentum, 128, None);
    let adam = Optimiser { rule: Rule::Adam, ..Optimiser::default() };
    let normed = Design { batch_norm: true, ..fashion };
    let small_normed = Design { batch_norm: true, ..small };
    let blocks = Blocks { width: 256, count: 2, expansion: 2 };
    let residual = Design { widths: &[784, 256, 10], batch_norm: false, blocks };
    let small_blocks = Blocks { width: 32, count: 1, expansion: 2 };
    let small_residual = Design { widths: &[64, 32, 4], batch_norm: false, blocks: small_blocks };
    let plain: Option<fn(&Training) -> Outcome> = Some(Training::plain_step);
    let covers = &["mlp::Trainer", "mlp::Float", "mlp::Targets", "mlp::Network", "mlp::Shape"];
    vec![
        Kernel::new(
            "mlp/step",
            covers,
            vec![
                size(small, momentum, 32, plain),
                size(fashion, momentum, 128, plain),
                size(deep, momentum, 128, plain),
            ],
        ),
        // Large products round to bfloat16, so that there is no plain step to compare with: the tests of `mlp` have one.
        Kernel::new("mlp/step-bf16", &["numeric::Precision"], vec![rounded(fashion), rounded(deep)])
            .within(Tolerance::ITERATED),
        Kernel::new("mlp/step-adam", covers, vec![size(small, adam, 32, None), size(fashion, adam, 128, None)])
            .within(Tolerance::ITERATED),
        Kernel::new(
            "mlp/step-batch-norm",
            &["mlp::BatchNorm"],
            vec![size(small_normed, momentum, 32, None), size(normed, momentum, 128, None)],
        )
        .within(Tolerance::ITERATED),
        Kernel::new(
            "mlp/step-residual",
            &["mlp::Residual", "mlp::LayerNorm", "mlp::Blocks"],
            vec![size(small_residual, momentum, 32, None), size(residual, momentum, 128, None)],
        )
        .within(Tolerance::ITERATED),
    ]
}

/// A network that scores.
struct Scoring {
    network: Network<f32>,
    scorer: Scorer,
    x: Array2<f32>,
    scores: Array2<f32>,
}

fn scores() -> Vec<Kernel> {
    let size = |design: Design, n: usize| {
        let work = Work::rows(n, 2 * n * design.weights(), n * design.widths[0] + design.weights());
        Size::new(design.name(n), work, move || {
            let network = design.network();
            let x = rows(n, network.inputs(), 4, Seed(3)).0;
            let scores = Array2::zeros((n, network.outputs()));
            let steps = Steps {
                prepare: nothing,
                run: |s: &mut Scoring| s.scores = s.scorer.scores(s.x.view()),
                outcome: |s| Outcome::values(&s.scores),
                reference: Some(|s| {
                    let mut scores = Array2::zeros(s.scores.dim());
                    s.network.scores_into(s.x.view(), scores.view_mut());
                    Outcome::values(&scores)
                }),
            };
            Case::new(Scoring { scorer: Scorer::new(network.clone()), network, x, scores }, steps)
        })
    };
    let small = Design::plain(&[64, 32, 4]);
    let fashion = Design::plain(&[784, 1024, 10]);
    vec![
        Kernel::new(
            "mlp/scores",
            &["mlp::Scorer", "mlp::Dense", "mlp::Affine", "mlp::Stage"],
            vec![size(small, 64), size(fashion, 1_000), size(fashion, 10_000)],
        ),
        Kernel::new("mlp/one-row", &["mlp::Scorer"], vec![size(small, 1), size(fashion, 1)]),
    ]
}
