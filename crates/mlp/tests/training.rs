//! Training as a whole: gradients, the same bits on any number of threads and after a stop, early stopping, limits.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use bakeoff_core::rows::Streamed;
use bakeoff_core::{
    Classifier, Epoch, FitError, Fitted, Labels, Model, RestoreError, Rows, ScoreKind, Seed, Tensors, argmax_rows,
};
use bakeoff_mlp::{
    Activation, Affine, Blocks, CATALOGUE, Initialisation, Mlp, Network, Shape, Stage, Targets, Trainer,
};
use bakeoff_numeric::gradcheck::worst_relative_error;
use bakeoff_numeric::{Loss, Optimiser, Rule};
use ndarray::{Array2, ArrayViewMut2, Axis};
use std::ops::ControlFlow;

fn mlp(settings: &str) -> Mlp {
    toml::from_str(settings).unwrap()
}

/// Settings that between them take every path through a step.
const VARIANTS: &[&str] = &[
    "optimiser = 'sgd'",
    "optimiser = 'sgd'\nmomentum = 0.0\nl1 = 1e-4\nschedule = 'step'",
    "optimiser = 'nesterov'\nschedule = 'one-cycle'\nwarm_up = 0.2",
    "optimiser = 'adam'\nlearning_rate = 0.002\nschedule = 'constant'",
    "optimiser = 'adamw'\nweight_decay = 0.01\nlearning_rate = 0.002\nclip = 0.5",
    "optimiser = 'lion'\nbeta2 = 0.99\nweight_decay = 0.1\nlearning_rate = 0.0005",
    "batch_norm = true\nactivation = 'gelu'\naverage = 0.9",
    "dropout = 0.3\nhidden = [64, 32]",
    "mixup = 0.4\nlabel_smoothing = 0.1",
    "hidden = []\nblocks = 2\nwidth = 40\nexpansion = 2\nactivation = 'gelu'\ndropout = 0.1",
    "early_stopping = true\npatience = 2\nheld_out = 0.2\nbatch_norm = true",
];

fn variant(settings: &str) -> Mlp {
    let batch = if settings.contains("early") { "" } else { "epochs = 5\n" };
    mlp(&format!("{batch}batch = 40\n{settings}"))
}

/// Rows of three classes that overlap.
fn data(n: usize, d: usize) -> (Array2<f32>, Labels) {
    let noise = |i: usize, j: usize| ((i * 7919 + j * 104_729 + i * j * 31) % 1009) as f32 / 504.5 - 1.0;
    let x = Array2::from_shape_fn((n, d), |(i, j)| noise(i, j) + if j % 3 == i % 3 { 0.3 } else { 0.0 });
    (x, Labels::new((0..n).map(|i| i % 3).collect(), 3).unwrap())
}

fn fit(mlp: &Mlp, x: &dyn Rows, y: &Labels) -> Fitted {
    mlp.fit(x, y, Seed(1), &mut |_| ControlFlow::Continue(())).unwrap()
}

fn scores(fitted: &Fitted, x: &Array2<f32>) -> Vec<u32> {
    fitted.model.scores(x.view()).iter().map(|v| v.to_bits()).collect()
}

/// The states after every epoch, and the model's scores.
fn states(mlp: &Mlp, x: &Array2<f32>, y: &Labels) -> (Vec<Vec<u8>>, Vec<u32>) {
    let mut states = Vec::new();
    let mut listen = |epoch: Epoch<'_>| {
        states.push(epoch.state.unwrap()());
        ControlFlow::Continue(())
    };
    let fitted = mlp.fit(x, y, Seed(1), &mut listen).unwrap();
    assert_eq!(states.len(), fitted.epochs);
    (states, scores(&fitted, x))
}

#[test]
fn training_goes_on_from_every_epoch_to_the_same_bits() {
    let (x, y) = data(250, 20);
    for settings in VARIANTS {
        let mlp = variant(settings);
        let (states, expected) = states(&mlp, &x, &y);
        for (i, state) in states.iter().enumerate().step_by(3) {
            let mut numbers = Vec::new();
            let mut last = state.clone();
            let mut listen = |epoch: Epoch<'_>| {
                numbers.push(epoch.number);
                last = epoch.state.unwrap()();
                ControlFlow::Continue(())
            };
            let fitted = mlp.resume(state, &x, &y, Seed(1), &mut listen).unwrap();
            assert_eq!(scores(&fitted, &x), expected, "{settings} from epoch {}", i + 1);
            assert_eq!(numbers, (i + 2..=states.len()).collect::<Vec<_>>(), "{settings}");
            assert_eq!(fitted.epochs, states.len());
            assert!(last == *states.last().unwrap(), "{settings}: the last states differ");
        }
    }
}

#[test]
fn threads_do_not_change_a_bit() {
    // Wide enough that every product is shared.
    let (x, y) = data(300, 150);
    for settings in VARIANTS {
        let mlp = Mlp { batch: 128.try_into().unwrap(), ..variant(&settings.replace("[64, 32]", "[300, 90]")) };
        let bits = |threads: usize| {
            let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
            pool.install(|| states(&mlp, &x, &y))
        };
        assert!(bits(1) == bits(2), "{settings}");
    }
}

#[test]
fn rows_from_elsewhere_are_the_same_rows() {
    let (x, y) = data(120, 20);
    let streamed = Streamed(x.clone());
    for settings in ["epochs = 3", "epochs = 3\nearly_stopping = true\nmixup = 0.3"] {
        let bits = [&x as &dyn Rows, &streamed].map(|rows| scores(&fit(&mlp(settings), rows, &y), &x));
        assert_eq!(bits[0], bits[1], "{settings}");
    }
}

/// Rows that show their negatives in training, where the draw's last bit says so.
struct Negated(Array2<f32>);

impl Rows for Negated {
    fn n_rows(&self) -> usize {
        self.0.nrows()
    }

    fn dim(&self) -> usize {
        self.0.ncols()
    }

    fn dense(&self) -> Option<ndarray::ArrayView2<'_, f32>> {
        Some(self.0.view())
    }

    fn read_into(&self, positions: &[usize], out: ArrayViewMut2<'_, f32>) {
        self.0.read_into(positions, out);
    }

    fn augments(&self) -> bool {
        true
    }

    fn read_augmented(&self, positions: &[usize], draw: Seed, mut out: ArrayViewMut2<'_, f32>) {
        self.0.read_into(positions, out.view_mut());
        if draw.0 & 1 == 1 {
            out.mapv_inplace(|v| -v);
        }
    }
}

#[test]
fn training_sees_augmented_rows_and_draws_anew_each_epoch() {
    // One number tells the classes; its negative tells them the other way, so that what was learned in one epoch is
    // wrong in an epoch with the other draw.
    let x = Array2::from_shape_fn((60, 1), |(i, _)| if i % 2 == 0 { 1.0 } else { -1.0 });
    let y = Labels::new((0..60).map(|i| i % 2).collect(), 2).unwrap();
    let settings =
        mlp("hidden = []\nepochs = 12\nbatch = 10\nlearning_rate = 0.3\nmomentum = 0.0\nschedule = 'constant'");
    let curve = |rows: &dyn Rows| {
        let mut losses = Vec::new();
        settings
            .fit(rows, &y, Seed(1), &mut |epoch| {
                losses.push(epoch.loss);
                ControlFlow::Continue(())
            })
            .unwrap();
        losses
    };
    let plain = curve(&x);
    assert!(plain.windows(2).all(|pair| pair[1] < pair[0]), "{plain:?}");
    let augmented = curve(&Negated(x));
    assert!(augmented.windows(2).any(|pair| pair[1] > 2.0 * pair[0]), "{augmented:?}");
}

#[test]
fn damaged_and_foreign_states_are_refused() {
    let (x, y) = data(60, 8);
    let settings = mlp("epochs = 2\nhidden = [5]\nearly_stopping = true\nbatch_norm = true");
    let (states, _) = states(&settings, &x, &y);
    let state = &states[0];
    let refusal =
        |mlp: &Mlp, bytes: &[u8], y: &Labels, seed: u64| match mlp
            .resume(bytes, &x, y, Seed(seed), &mut |_| ControlFlow::Continue(()))
        {
            Err(FitError::Refused { reason }) => reason,
            Err(other) => panic!("{other}"),
            Ok(_) => panic!("a bad state is taken"),
        };
    for cut in (0..state.len()).step_by(37) {
        assert!(!refusal(&settings, &state[..cut], &y, 1).is_empty());
    }
    for place in (0..state.len()).step_by(11) {
        let mut bytes = state.clone();
        bytes[place] ^= 0x15;
        // Spaces within the header's end mean nothing, so a change there may be no damage; numbers and names are.
        let result = settings.resume(&bytes, &x, &y, Seed(1), &mut |_| ControlFlow::Continue(()));
        assert!(matches!(result, Err(FitError::Refused { .. })), "byte {place} of {}", state.len());
    }
    assert!(refusal(&settings, b"", &y, 1).contains("damaged"));
    let huge = [&u64::MAX.to_le_bytes()[..], b"{}"].concat();
    assert!(refusal(&settings, &huge, &y, 1).contains("damaged"));
    assert!(refusal(&settings, &[&2u64.to_le_bytes()[..], b"{}"].concat(), &y, 1).contains("not a training state"));
    assert!(refusal(&settings, state, &y, 2).contains("seed"));
    assert!(refusal(&Mlp { epochs: 3.try_into().unwrap(), ..settings.clone() }, state, &y, 1).contains("settings"));
    let other = Labels::new(y.ids().mapv(|id| (id + 1) % 3), 3).unwrap();
    assert!(refusal(&settings, state, &other, 1).contains("labels"));
}

#[test]
fn a_classifier_without_states_refuses_to_go_on() {
    struct Plain;
    impl Classifier for Plain {
        fn fit(
            &self,
            _: &dyn Rows,
            _: &Labels,
            _: Seed,
            _: &mut bakeoff_core::OnEpoch<'_>,
        ) -> Result<Fitted, FitError> {
            Err(FitError::refused("not asked"))
        }
        fn score_kind(&self) -> ScoreKind {
            ScoreKind::Margin
        }
        fn restore(&self, _: usize, _: usize, _: Tensors) -> Result<Box<dyn Model>, RestoreError> {
            Err(RestoreError::refused("not asked"))
        }
    }
    let (x, y) = data(6, 2);
    let error = Plain.resume(&[], &x, &y, Seed(0), &mut |_| ControlFlow::Continue(())).err().unwrap();
    assert!(error.to_string().contains("no states"));
}

#[test]
fn early_stopping_keeps_the_best_weights() {
    // Labels without a rule: what is learned by heart helps no row held out, so the best epoch is an early one.
    let (x, _) = data(200, 30);
    let y = Labels::new((0..200).map(|i| (i * i * 7 + i / 3) % 5 % 3).collect(), 3).unwrap();
    let settings = mlp("epochs = 60\nearly_stopping = true\npatience = 4\nheld_out = 0.25\nbatch = 10");
    let mut n_epochs = 0;
    let fitted = settings
        .fit(&x, &y, Seed(3), &mut |_| {
            n_epochs += 1;
            ControlFlow::Continue(())
        })
        .unwrap();
    assert!(fitted.epochs < 60 && fitted.epochs == n_epochs && fitted.converged, "{}", fitted.epochs);
    // The same training cut at the best epoch has the same weights: four epochs before the last.
    let best = fitted.epochs - 4;
    let mut left = best;
    let cut = settings
        .fit(&x, &y, Seed(3), &mut |_| {
            left -= 1;
            if left == 0 { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
        })
        .unwrap();
    assert_eq!(scores(&fitted, &x), scores(&cut, &x));
}

#[test]
fn seconds_are_a_budget_too() {
    let (x, y) = data(300, 20);
    let settings = mlp("seconds = 0.2\nhidden = [32]\nbatch = 20");
    let mut told = Vec::new();
    let fitted = settings
        .fit(&x, &y, Seed(1), &mut |epoch| {
            told.push((epoch.number, epoch.of));
            ControlFlow::Continue(())
        })
        .unwrap();
    assert!(fitted.converged && fitted.epochs == told.len() && told.iter().all(|(number, of)| number <= of));
    assert!(fitted.epochs > 10, "{} epochs in a fifth of a second", fitted.epochs);
}

#[test]
fn limits_of_l2() {
    let (x, y) = data(120, 10);
    // So strong that nothing but the biases is left: all rows score alike.
    let strong = fit(&mlp("l2 = 20.0\nlearning_rate = 0.01\nepochs = 60\nbatch = 30"), &x, &y).model.scores(x.view());
    let spread = &strong - &strong.mean_axis(Axis(0)).unwrap();
    assert!(spread.iter().all(|d| d.abs() < 1e-3), "{spread}");
    // None at all: the rows are learned by heart.
    let free = fit(&mlp("l2 = 0.0\nhidden = [64]\nlearning_rate = 0.1\nepochs = 200\nbatch = 30"), &x, &y);
    assert_eq!(argmax_rows(free.model.scores(x.view()).view()), y.ids());
}

/// Exclusive or: what no linear classifier learns.
fn exclusive_or() -> (Array2<f32>, Labels) {
    let value = |(i, j): (usize, usize)| if (i >> j) & 1 == 1 { 1.0 } else { -1.0 } + ((i * 7 + j) % 13) as f32 * 0.02;
    (Array2::from_shape_fn((200, 2), value), Labels::new((0..200).map(|i| (i ^ (i >> 1)) & 1).collect(), 2).unwrap())
}

#[test]
fn a_hidden_layer_solves_what_none_cannot() {
    let (x, y) = exclusive_or();
    let accuracy = |settings: &str| {
        let fitted = fit(&mlp(&format!("epochs = 100\nbatch = 20\n{settings}")), &x, &y);
        let predicted = argmax_rows(fitted.model.scores(x.view()).view());
        predicted.iter().zip(y.ids()).filter(|(a, b)| a == b).count() as f64 / 200.0
    };
    for settings in [
        "hidden = [16]",
        "hidden = [16]\nloss = 'svm'",
        "hidden = [16]\nloss = 'squared'",
        "hidden = [16]\nactivation = 'gelu'\nbatch_norm = true",
        "hidden = []\nblocks = 1\nwidth = 8",
    ] {
        assert_eq!(accuracy(settings), 1.0, "{settings}");
    }
    assert!(accuracy("hidden = []") < 0.8);
}

#[test]
fn divergence_and_contradictions_are_told() {
    let (x, y) = exclusive_or();
    let error = |settings: &str| {
        let result = mlp(settings).fit(&x, &y, Seed(0), &mut |_| ControlFlow::Continue(()));
        result.err().unwrap()
    };
    assert!(matches!(error("learning_rate = 1e30"), FitError::NonFinite { epoch: 1..=10, .. }));
    assert!(error("hidden = [1000000000, 8]").to_string().contains("more than"));
    assert!(error("loss = 'svm'\nlabel_smoothing = 0.1").to_string().contains("label_smoothing"));
    let one = Labels::new(ndarray::array![0, 1], 2).unwrap();
    let rows = ndarray::array![[0.0f32], [1.0]];
    let all =
        mlp("early_stopping = true\nheld_out = 0.9").fit(&rows, &one, Seed(0), &mut |_| ControlFlow::Continue(()));
    assert!(all.is_ok(), "one row is held out and one learned");
    assert!((CATALOGUE[0].parse)(&"warm_up = 1.0".parse().unwrap()).is_err());
}

const PLAIN: Optimiser =
    Optimiser { rule: Rule::Sgd, momentum: 0.0, beta1: 0.9, beta2: 0.999, epsilon: 1e-8, l2: 0.0, l1: 0.0, decay: 0.0 };

#[test]
fn gradients_of_every_kind_of_network_match_central_differences() {
    let x = Array2::from_shape_fn((5, 4), |(i, j)| ((i * 13 + j * 7) % 11) as f64 * 0.17 - 0.8);
    let y = [0, 2, 1, 1, 2];
    let activations = [
        Activation::Identity,
        Activation::Sigmoid,
        Activation::Tanh,
        Activation::Relu,
        Activation::LeakyRelu { slope: 0.2 },
        Activation::Softplus,
        Activation::Elu { alpha: 1.3 },
        Activation::Gelu,
    ];
    let shape = |hidden: &[usize], batch_norm, count, activation| Shape {
        inputs: 4,
        hidden: hidden.to_vec(),
        batch_norm,
        blocks: Blocks { width: 4, count, expansion: 2 },
        activation,
        classes: 3,
    };
    for (seed, activation) in activations.into_iter().enumerate() {
        for (shape, dropout) in [
            (shape(&[], false, 0, activation), 0.0),
            (shape(&[5], false, 0, activation), 0.0),
            (shape(&[6, 1, 7], false, 0, activation), 0.0),
            (shape(&[6, 5], true, 0, activation), 0.0),
            (shape(&[6, 5], false, 0, activation), 0.4),
            (shape(&[6], true, 0, activation), 0.4),
            (shape(&[], false, 2, activation), 0.0),
            (shape(&[5], false, 1, activation), 0.3),
        ] {
            for loss in [Loss::Softmax, Loss::WestonWatkins, Loss::Squared] {
                let mut network = Network::<f64>::new(&shape, Initialisation::Auto, Seed(seed as u64));
                // Vectors off 0 and 1, so that no unit sits at its corner and every derivative shows.
                let mut i = 0;
                network.for_each_number(|v| {
                    i += 1;
                    *v += 0.03 * ((i * 7) % 10) as f64 - 0.1;
                });
                let at = network.numbers();
                let gradient_of = |network: &Network<f64>| {
                    let mut trainer = Trainer::new(network, PLAIN, 8, dropout, None);
                    trainer.loss_and_gradient(x.view(), Targets::Classes(&y), loss, Some(Seed(9)), network)
                };
                let analytic = gradient_of(&network).1.numbers();
                let value = |p: &[f64]| {
                    let (mut moved, mut p) = (network.clone(), p.iter());
                    moved.for_each_number(|v| *v = *p.next().unwrap());
                    gradient_of(&moved).0 / 5.0
                };
                // Running statistics do not enter the loss of training: both derivatives are 0.
                let error = worst_relative_error(value, &at, &analytic);
                // The derivative of a bias before a batch norm is 0; its central difference is rounding over a step.
                let most = if shape.batch_norm { 1e-5 } else { 1e-6 };
                assert!(error < most, "{shape:?} {dropout} {loss:?}: {error}");
            }
        }
    }
}

/// Exchanges units between the map that gives them and the one that takes them.
fn permute(gives: &mut Affine<f64>, takes: &mut Affine<f64>, order: &[usize]) {
    gives.w = gives.w.select(Axis(0), order);
    gives.b = gives.b.select(Axis(0), order);
    takes.w = takes.w.select(Axis(1), order);
}

#[test]
fn networks_with_permuted_hidden_units_learn_the_same() {
    let x = Array2::from_shape_fn((9, 4), |(i, j)| ((i * 13 + j * 7) % 11) as f64 * 0.17 - 0.8);
    let y: Vec<usize> = (0..9).map(|i| i * 5 % 3).collect();
    // More units than a panel has columns, so that they change their places in it.
    let (units, inside) = (50, 48);
    // Not Adam and a batch norm: the derivative of a bias before it is 0 but for rounding, which Adam makes a whole step of.
    for (rule, batch_norm) in [(Rule::Nesterov, true), (Rule::Adam, false)] {
        let shape = Shape {
            inputs: 4,
            hidden: vec![units],
            batch_norm,
            blocks: Blocks { width: 6, count: 1, expansion: inside / 6 },
            activation: Activation::Gelu,
            classes: 3,
        };
        let network = Network::<f64>::new(&shape, Initialisation::Auto, Seed(5));
        let mut permuted = network.clone();
        let order = |n: usize| (0..n).map(|i| (i * 7 + 3) % n).collect::<Vec<_>>();
        let [Stage::Dense(first), Stage::Dense(embedding), Stage::Residual(block), Stage::Dense(_)] =
            &mut permuted.stages[..]
        else {
            panic!("the stages of the shape")
        };
        permute(&mut first.affine, &mut embedding.affine, &order(units));
        permute(&mut block.expand, &mut block.contract, &order(inside));
        assert_ne!(permuted, network);
        let optimiser = Optimiser { rule, momentum: 0.9, l2: 1e-3, ..PLAIN };
        let scores = |network: &Network<f64>| {
            let mut scores = Array2::zeros((9, 3));
            network.scores_into(x.view(), scores.view_mut());
            scores
        };
        let [plain, other] = [&network, &permuted].map(|network| {
            let mut trainer = Trainer::new(network, optimiser, 9, 0.0, Some(1.0));
            for _ in 0..20 {
                trainer.step(x.view(), Targets::Classes(&y), Loss::Softmax, 0.02, None);
            }
            scores(&trainer.network(network, false))
        });
        assert!((&plain - &scores(&network)).iter().any(|d| d.abs() > 1e-3), "{rule:?}: nothing was learned");
        assert!((plain - other).iter().all(|d| d.abs() < 1e-9), "{rule:?}");
    }
}

#[test]
fn dropout_leaves_out_the_share_it_is_told() {
    let shape = Shape {
        inputs: 3,
        hidden: vec![4000],
        batch_norm: false,
        blocks: Blocks::NONE,
        activation: Activation::Sigmoid,
        classes: 2,
    };
    let network = Network::<f64>::new(&shape, Initialisation::Auto, Seed(1));
    let x = Array2::ones((1, 3));
    let mut trainer = Trainer::new(&network, PLAIN, 1, 0.3, None);
    let (_, gradient) =
        trainer.loss_and_gradient(x.view(), Targets::Classes(&[0]), Loss::Squared, Some(Seed(4)), &network);
    let Stage::Dense(first) = &gradient.stages[0] else { panic!("dense") };
    let left_out = first.affine.b.iter().filter(|&&g| g == 0.0).count() as f64 / 4000.0;
    assert!((left_out - 0.3).abs() < 0.03, "{left_out}");
}
