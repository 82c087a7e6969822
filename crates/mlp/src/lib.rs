//! Multilayer perceptrons of any depth (the lecture's C1): s = W_L φ(… φ(W_1 x + b_1) …) + b_L; with batch norms, dropout
//! and residual blocks where they are asked for.
//!
//! [`Network`] is what is kept, exported and read; [`Trainer`] is the same in training; [`Scorer`] is it packed for scores;
//! [`Mlp`] are the settings of an experiment file.
//!
//! # Where a step's time goes
//!
//! A network is trained on panels (`bakeoff_numeric::panels`), in which all three products of a step find their operands in
//! order, so that nothing is packed or copied for a product. Bias, norm, activation, dropout and the transposed copy for
//! the next gradient are made band by band while a product's output is in the cache, likewise the way back; a weight
//! gradient exists one tile of 8 × 32 at a time, and the optimiser uses it up there. Only with a limit for the gradients'
//! norm, which must be known before the first step, are gradients written down.
//!
//! `perf record` of steps at 784-1024-10 and 3072-1024-1024-10 (batch 128, SGD with momentum and L2, one thread, AVX-512 of
//! a Zen 4 core), in equal times:
//!
//! | part | share |
//! |---|---|
//! | weight gradients with the update in their tiles | 47% |
//! | forward products | 39% |
//! | backward products | 5% |
//! | copying and transposing the batch's rows | 2% |
//! | bias, activation and their way back | 2% |
//! | the loss, the system, the rest | 5% |
//!
//! The forward product alone reached 93 to 105 of 115 GFLOP/s on one core; what the gradients take longer is the update,
//! which reads and writes every weight and velocity once a step.
//!
//! `benches/peers/mlp.py` compares whole steps with PyTorch's and scikit-learn's in one run. Two threads of a Zen 5, medians of
//! seven turns:
//!
//! | what | rows/s | × PyTorch | × scikit-learn |
//! |---|---|---|---|
//! | training 784-1024-10, batch 128 | 79,337 (49% of 525 GFLOP/s) | 2.23 | 2.20 |
//! | training 3072-1024-1024-10, batch 128 | 17,270 (65% of 506 GFLOP/s) | 3.35 | |
//! | scores 784-1024-10, peers in calls of 128 rows and of all | 259,283 | 2.87, 2.93 | |
//! | scores 3072-1024-1024-10, the same | 47,586 | 2.21, 2.02 | |
//!
//! One row of 784-1024-10 takes 25 µs, PyTorch's 54. The large network's steps lose time to memory: its weights and velocities,
//! 34 MB, go through the third level once a step; fetching the next tile's targets ahead made its steps 1.15 times as fast.
//!
//! Both tables are of a time when every derivative took part and a thread that ran out of work fell asleep (a fifth of two threads'
//! time in the small network's steps). Since then derivatives that are 0 are left out ([`bakeoff_numeric::sparse`]), which are
//! half of them in a first layer of rectifiers and nine in ten in the second of `mlp-3`, and threads stay awake during an epoch
//! ([`bakeoff_numeric::keep_awake`]). On two threads of a Zen 4 with 225 to 230 GFLOP/s, before and after in turns:
//! `mlp-3` of `cifar-10` is trained in 62.0 and 51.2 s, `mlp-2` of `fashion-mnist` in 12.4 and 11.3 s, to the same weights. Beside peers
//! there: training 784-1024-10 1.81 × PyTorch and 2.02 × scikit-learn, 3072-1024-1024-10 2.06 × PyTorch.
//!
//! Then products' inner loops became one each and what they fetch ahead was spread over it; at the same time crates came to be compiled
//! as one unit each. On two threads of an Intel Xeon (Emerald Rapids, 330 GFLOP/s), before and after both in turns: `mlp-3` 52.0 and
//! 45.6 s, `mlp-2` 16.1 and 13.6 s, to the same accuracies. There MKL is at home: training 784-1024-10 is 1.32 × PyTorch and 2.22 ×
//! scikit-learn, 3072-1024-1024-10 1.60 × PyTorch, while scores of the latter are 0.76 to 0.95 × and one row of the former 0.87 ×.
//!
//! Where a processor has a matrix unit, products with a batch are made in pieces of bfloat16 that are as exact as f32
//! ([`bakeoff_numeric::pieces`]): another Xeon, with AMX and 468 GFLOP/s of f32 on two threads, trains `mlp-3` in 29.2 s with vectors and 21.7 s
//! in pieces (56.66 and 56.80%), `mlp-2` in 9.0 and 6.9 s (89.56 and 89.64%), one turn each. Scores are made with vectors everywhere,
//! because one row alone has to score as it does among others; they take two groups of six rows at a time since.
//!
//! With `precision = "bf16"` large products round their operands to bfloat16 ([`bakeoff_numeric::Precision`]), for a training that is
//! faster and not the same. Two threads of a Zen 4, medians of three turns in `benches/peers/whole.py`: `mlp-3` in 29.9 s instead of 44.7
//! (56.92 and 56.66%), `mlp-2` in 7.4 s instead of 11.5 (89.57 and 89.56%). `perf` of such steps of
//! 3072-1024-1024-10: 66% products, 11% the optimiser in their tiles, whose weights and velocities come from memory, 8% rounding.

pub mod activation;
mod budget;
mod layer_norm;
mod mixup;
pub mod network;
mod parameter;
mod scorer;
mod settings;
mod stage;
mod state;
mod stored;
mod train;
pub mod trainer;
mod unit;

use bakeoff_core::{Classifier, Entry};

pub use activation::{Activation, ActivationName};
pub use network::{Affine, BatchNorm, Blocks, Dense, Initialisation, LayerNorm, Network, Residual, Shape, Stage};
pub use scorer::Scorer;
pub use settings::{Mlp, MlpLoss};
pub use trainer::{Float, Targets, Trainer};

/// Every network that an experiment file can name.
pub static CATALOGUE: [Entry<dyn Classifier>; 1] = [Entry::classifier::<Mlp>()];
