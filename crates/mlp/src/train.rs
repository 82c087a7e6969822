//! Training from rows and labels: epochs, held-out rows, the best weights, and going on from a state.

use crate::budget::Budget;
use crate::mixup;
use crate::network::Network;
use crate::scorer::Scorer;
use crate::settings::{Mlp, MlpLoss};
use crate::state::{Best, Identity, State};
use crate::stored;
use crate::trainer::{Targets, Trainer};
use bakeoff_core::classifier::check_rows;
use bakeoff_core::{
    Classifier, Epoch, FitError, Fitted, Labels, Model, OnEpoch, RestoreError, Rows, ScoreKind, Seed, Tensors,
    argmax_rows,
};
use bakeoff_numeric::optim::shuffled;
use bakeoff_numeric::{Loss, keep_awake};
use ndarray::{Array2, s};

impl Classifier for Mlp {
    fn learns_augmented(&self) -> bool {
        true
    }

    fn fit(&self, x: &dyn Rows, y: &Labels, seed: Seed, on_epoch: &mut OnEpoch<'_>) -> Result<Fitted, FitError> {
        Training::new(self, x, y, seed)?.run(on_epoch)
    }

    fn resume(
        &self,
        state: &[u8],
        x: &dyn Rows,
        y: &Labels,
        seed: Seed,
        on_epoch: &mut OnEpoch<'_>,
    ) -> Result<Fitted, FitError> {
        let mut training = Training::new(self, x, y, seed)?;
        training.restore(state)?;
        training.run(on_epoch)
    }

    fn score_kind(&self) -> ScoreKind {
        match self.loss {
            MlpLoss::Softmax => ScoreKind::Logit,
            MlpLoss::Svm | MlpLoss::Squared => ScoreKind::Margin,
        }
    }

    fn restore(&self, d: usize, n_classes: usize, learned: Tensors) -> Result<Box<dyn Model>, RestoreError> {
        // How many rows a step has says nothing of the model.
        let shape = self.shape(d, n_classes, 1).map_err(|e| RestoreError::refused(e.to_string()))?;
        Ok(Box::new(Scorer::new(stored::restore(&shape, learned)?)))
    }
}

/// A training under way.
struct Training<'a> {
    mlp: &'a Mlp,
    x: &'a dyn Rows,
    y: &'a [usize],
    seed: Seed,
    loss: Loss,
    identity: Identity,
    /// The network as it began: its shape and activations.
    start: Network<f32>,
    trainer: Trainer<f32>,
    /// Positions of the rows that are learned from, and of those held out.
    learned: Vec<usize>,
    held_out: Vec<usize>,
    /// One batch of rows that are not read from memory, made when the first is read.
    rows: Array2<f32>,
    classes: Vec<usize>,
    targets: Array2<f32>,
    budget: Budget,
    /// Epochs done.
    epochs: usize,
    best: Option<Best>,
}

impl<'a> Training<'a> {
    fn new(mlp: &'a Mlp, x: &'a dyn Rows, y: &'a Labels, seed: Seed) -> Result<Self, FitError> {
        check_rows(x, y)?;
        let (n, d, k) = (x.n_rows(), x.dim(), y.n_classes());
        let (learned, held_out) = split(mlp, n, seed);
        if learned.is_empty() {
            return Err(FitError::refused(format!("{n} rows leave none to learn from beside those held out")));
        }
        let batch = mlp.batch.get().min(learned.len());
        let shape = mlp.shape(d, k, batch)?;
        let start = Network::new(&shape, mlp.initialisation, seed.derive("initialisation"));
        let clip = (mlp.clip.get() > 0.0).then_some(mlp.clip.get());
        let mut trainer = Trainer::new(&start, mlp.optimiser(), batch, mlp.dropout.get(), clip);
        trainer.set_precision(mlp.precision);
        if mlp.average.get() > 0.0 {
            trainer.keep_average(mlp.average.get());
        }
        Ok(Self {
            mlp,
            x,
            y: y.as_slice(),
            seed,
            loss: mlp.loss()?,
            identity: Identity::of(mlp, x, y, seed),
            start,
            trainer,
            learned,
            held_out,
            rows: Array2::zeros((0, d)),
            classes: Vec::with_capacity(batch),
            targets: Array2::zeros((batch, k)),
            budget: Budget::new(mlp.epochs.get(), mlp.seconds.get(), 0.0),
            epochs: 0,
            best: None,
        })
    }

    fn run(mut self, on_epoch: &mut OnEpoch<'_>) -> Result<Fitted, FitError> {
        let mut converged = true;
        while !self.is_over() {
            let loss = keep_awake(|| self.epoch())?;
            self.epochs += 1;
            self.judge();
            let of = self.budget.planned(self.epochs);
            let state = || self.state().to_bytes(&self.identity);
            let epoch = Epoch { number: self.epochs, of, loss, state: Some(&state) };
            if on_epoch(epoch).is_break() {
                converged = self.is_over();
                break;
            }
        }
        let epochs = self.epochs;
        let model: Box<dyn Model> = Box::new(Scorer::new(self.model()));
        Ok(Fitted { model, epochs, converged })
    }

    fn is_over(&self) -> bool {
        let tired = self.best.as_ref().is_some_and(|best| self.epochs - best.epoch >= self.mlp.patience.get());
        // One epoch is made whatever the budget, so that there is something to keep.
        self.epochs > 0 && (tired || self.budget.is_over(self.epochs))
    }

    /// One pass over the rows; the mean loss with the penalty.
    fn epoch(&mut self) -> Result<f64, FitError> {
        let (epoch, batch) = (self.epochs, self.mlp.batch.get().min(self.learned.len()));
        let order = shuffled(self.learned.len(), &mut self.seed.derive("order").nth(epoch).rng());
        let positions: Vec<usize> = order.into_iter().map(|i| self.learned[i]).collect();
        let steps = positions.len().div_ceil(batch);
        let (mut sum, mut rows) = (0.0, 0);
        for (step, positions) in positions.chunks(batch).enumerate() {
            let progress = self.budget.progress(epoch, step, steps);
            if progress >= 1.0 && rows > 0 {
                break;
            }
            let loss = self.step(positions, epoch, step, self.mlp.rate(progress));
            if !loss.is_finite() {
                return Err(FitError::NonFinite { epoch: epoch + 1, step: step + 1, loss });
            }
            sum += loss;
            rows += positions.len();
        }
        // The weights of the last step have scored no rows yet.
        let loss = if self.trainer.is_finite() { sum / rows as f64 + self.trainer.penalty() } else { f64::NAN };
        if loss.is_finite() { Ok(loss) } else { Err(FitError::NonFinite { epoch: epoch + 1, step: steps, loss }) }
    }

    /// One step; the summed loss before it.
    fn step(&mut self, positions: &[usize], epoch: usize, step: usize, rate: f64) -> f64 {
        let n = positions.len();
        let draw = |name: &str| self.seed.derive(name).nth(epoch).nth(step);
        self.classes.clear();
        self.classes.extend(positions.iter().map(|&i| self.y[i]));
        let mixed = (self.mlp.mixup.get() > 0.0).then(|| mixup::draw(self.mlp.mixup.get(), n, draw("mixup")));
        let masks = (self.mlp.dropout.get() > 0.0).then(|| draw("dropout"));
        let partners = mixed.as_ref().map(|(share, partners)| (*share, partners.as_slice()));
        match self.x.dense() {
            Some(x) if !self.x.augments() => self.trainer.read(x, positions, partners),
            _ => {
                self.read(positions, epoch);
                let here: Vec<usize> = (0..n).collect();
                self.trainer.read(self.rows.slice(s![..n, ..]), &here, partners);
            }
        }
        let smoothing = self.mlp.label_smoothing.get();
        if mixed.is_none() && smoothing == 0.0 {
            return self.trainer.step_read(Targets::Classes(&self.classes), self.loss, rate, masks);
        }
        if self.targets.nrows() != n {
            self.targets = Array2::zeros((n, self.targets.ncols()));
        }
        mixup::shares(&mut self.targets, &self.classes, smoothing, mixed.as_ref());
        self.trainer.step_read(Targets::Shares(self.targets.view()), self.loss, rate, masks)
    }

    /// Reads rows that do not lie in memory, or not as this epoch sees them.
    fn read(&mut self, positions: &[usize], epoch: usize) {
        if self.rows.nrows() < positions.len() {
            self.rows = Array2::zeros((positions.len(), self.x.dim()));
        }
        let out = self.rows.slice_mut(s![..positions.len(), ..]);
        if self.x.augments() {
            self.x.read_augmented(positions, self.seed.derive("augmentation").nth(epoch), out);
        } else {
            self.x.read_into(positions, out);
        }
    }

    /// The network that would be used if training ended now.
    fn present(&self) -> Network<f32> {
        self.trainer.network(&self.start, self.mlp.average.get() > 0.0)
    }

    /// The network to keep: the best, where one is told from the others.
    fn model(&self) -> Network<f32> {
        let Some(best) = &self.best else { return self.present() };
        let mut network = self.start.clone();
        network.set_numbers(&best.numbers);
        network
    }

    /// Scores the rows held out, and keeps the weights when they are the best so far.
    fn judge(&mut self) {
        if self.held_out.is_empty() {
            return;
        }
        let network = self.present();
        let numbers = network.numbers();
        let (errors, loss) = self.score_held_out(&Scorer::new(network));
        let better = |best: &Best| (errors, loss) < (best.errors, best.loss);
        if self.best.as_ref().is_none_or(better) {
            self.best = Some(Best { epoch: self.epochs, errors, loss, numbers });
        }
    }

    /// Rows held out that are not classified right, and the summed loss of all of them.
    fn score_held_out(&self, scorer: &Scorer) -> (usize, f64) {
        let block = bakeoff_core::rows::rows_a_block(self.x.dim(), 4096);
        let (mut errors, mut sum) = (0, 0.0);
        for positions in self.held_out.chunks(block) {
            let mut rows = Array2::zeros((positions.len(), self.x.dim()));
            self.x.read_into(positions, rows.view_mut());
            let mut scores = scorer.scores(rows.view());
            let classes: Vec<usize> = positions.iter().map(|&i| self.y[i]).collect();
            errors += argmax_rows(scores.view()).iter().zip(&classes).filter(|(a, b)| a != b).count();
            sum += self.loss.into_gradient(scores.view_mut(), &classes);
        }
        (errors, sum)
    }

    fn state(&self) -> State {
        State {
            epochs: self.epochs,
            steps: self.trainer.steps(),
            seconds: self.budget.spent(),
            best: self.best.clone(),
            arrays: self.trainer.arrays(),
        }
    }

    fn restore(&mut self, bytes: &[u8]) -> Result<(), FitError> {
        let numbers = self.start.numbers().len();
        let best = (!self.held_out.is_empty()).then_some(numbers);
        let state = State::from_bytes(bytes, &self.identity, &self.trainer.arrays(), best)?;
        self.trainer.set_arrays(state.arrays, state.steps);
        self.budget = Budget::new(self.mlp.epochs.get(), self.mlp.seconds.get(), state.seconds);
        (self.epochs, self.best) = (state.epochs, state.best);
        Ok(())
    }
}

/// Positions of the rows to learn from and of those to hold out.
fn split(mlp: &Mlp, n: usize, seed: Seed) -> (Vec<usize>, Vec<usize>) {
    if !mlp.early_stopping {
        return ((0..n).collect(), Vec::new());
    }
    let held_out = ((n as f64 * mlp.held_out.get()) as usize).max(1).min(n);
    let mut order = shuffled(n, &mut seed.derive("held-out").rng());
    let mut learned = order.split_off(held_out);
    order.sort_unstable();
    learned.sort_unstable();
    (learned, order)
}
