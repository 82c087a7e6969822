//! Times networks, one job a line of its input, so that `benches/peers/mlp.py` can take turns between ours and its peers
//! in one run. Layers are widths joined by hyphens, as in 784-1024-10; the answer is a number:
//!
//! `peak THREADS` (GFLOP/s of multiply-adds in registers), `train THREADS LAYERS BATCH STEPS [f32|bf16]` (seconds of the steps: forward,
//! loss, backward, momentum with L2), `infer THREADS LAYERS ROWS` (seconds), `single THREADS LAYERS TIMES` (median seconds of
//! one row).

#![expect(clippy::print_stdout, reason = "answering on standard output is what this program is for")]

use bakeoff_benches::machine::{peak, seconds};
use bakeoff_core::{Model, Seed};
use bakeoff_mlp::{Activation, Blocks, Initialisation, Network, Scorer, Shape, Targets, Trainer};
use bakeoff_numeric::{Loss, Optimiser, Precision, keep_awake};
use ndarray::{Array2, s};
use std::collections::HashMap;
use std::error::Error;
use std::hint::black_box;
use std::io::BufRead;

type Failure = Box<dyn Error + Send + Sync>;

fn network(layers: &str) -> Result<Network<f32>, Failure> {
    let widths = layers.split('-').map(str::parse).collect::<Result<Vec<usize>, _>>()?;
    let [inputs, hidden @ .., classes] = &widths[..] else { return Err("fewer than two layers".into()) };
    let (inputs, hidden, classes) = (*inputs, hidden.to_vec(), *classes);
    let activation = Activation::Relu;
    let shape = Shape { inputs, hidden, batch_norm: false, blocks: Blocks::NONE, activation, classes };
    Ok(Network::new(&shape, Initialisation::Auto, Seed(0)))
}

fn rows(n: usize, d: usize) -> Array2<f32> {
    Array2::from_shape_fn((n, d), |(i, j)| ((i * 7919 + j * 104_729 + i * j * 31) % 1009) as f32 / 504.5 - 1.0)
}

/// Networks under training that were made before, with their rows.
type Trainers = HashMap<String, (Trainer<f32>, Array2<f32>)>;

/// Batches that a training goes round.
const BATCHES: usize = 20;

fn train(trainers: &mut Trainers, layers: &str, batch: usize, steps: usize, precision: &str) -> Result<f64, Failure> {
    let key = format!("{layers} {batch} {precision}");
    if !trainers.contains_key(&key) {
        let network = network(layers)?;
        let optimiser = Optimiser { momentum: 0.9, l2: 5e-5, ..Optimiser::default() };
        let mut trainer = Trainer::new(&network, optimiser, batch, 0.0, None);
        trainer.set_precision(match precision {
            "f32" => Precision::F32,
            "bf16" => Precision::Bf16,
            _ => return Err(format!("no precision: {precision}").into()),
        });
        trainers.insert(key.clone(), (trainer, rows(BATCHES * batch, network.inputs())));
    }
    let (trainer, x) = trainers.get_mut(&key).ok_or("just made")?;
    let y: Vec<usize> = (0..x.nrows()).map(|i| i % 10).collect();
    let mut steps_made = || {
        for step in 0..steps {
            let place = step % BATCHES * batch..(step % BATCHES + 1) * batch;
            let targets = Targets::Classes(&y[place.clone()]);
            black_box(trainer.step(x.slice(s![place, ..]), targets, Loss::Softmax, 0.001, None));
        }
    };
    // As a training does it.
    Ok(seconds(|| keep_awake(&mut steps_made)))
}

fn answer(words: &[&str], trainers: &mut Trainers) -> Result<f64, Failure> {
    match *words {
        ["peak", threads] => Ok(peak(threads.parse()?)),
        ["train", _, layers, batch, steps] => train(trainers, layers, batch.parse()?, steps.parse()?, "f32"),
        ["train", _, layers, batch, steps, precision] => {
            train(trainers, layers, batch.parse()?, steps.parse()?, precision)
        }
        ["infer", _, layers, n] => {
            let network = network(layers)?;
            let (scorer, x) = (Scorer::new(network.clone()), rows(n.parse()?, network.inputs()));
            Ok(seconds(|| drop(black_box(scorer.scores(x.view())))))
        }
        ["single", _, layers, times] => {
            let network = network(layers)?;
            let (scorer, x) = (Scorer::new(network.clone()), rows(1, network.inputs()));
            let once = |_| seconds(|| drop(black_box(scorer.scores(x.view()))));
            let mut all: Vec<f64> = (0..times.parse::<usize>()?.max(1)).map(once).collect();
            all.sort_by(f64::total_cmp);
            Ok(all[all.len() / 2])
        }
        _ => Err(format!("not a job: {words:?}").into()),
    }
}

fn main() -> Result<(), Failure> {
    let mut trainers = Trainers::new();
    let mut pools = HashMap::new();
    for line in std::io::stdin().lock().lines() {
        let line = line?;
        let words: Vec<&str> = line.split_whitespace().collect();
        let threads: usize = words.get(1).ok_or("NAME THREADS ARGUMENT…")?.parse()?;
        if let std::collections::hash_map::Entry::Vacant(place) = pools.entry(threads) {
            place.insert(rayon::ThreadPoolBuilder::new().num_threads(threads).build()?);
        }
        println!("{}", pools[&threads].install(|| answer(&words, &mut trainers))?);
    }
    Ok(())
}
