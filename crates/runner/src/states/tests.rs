use super::*;
use crate::fakes::{NoMachine, Notes};
use bakeoff_core::{Model, OnEpoch, RestoreError, ScoreKind, Tensors};
use ndarray::{Array2, ArrayView2, array};
use std::collections::BTreeMap;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, Ordering};

/// States in memory.
struct Shelf {
    every: f64,
    kept: Mutex<BTreeMap<String, Vec<u8>>>,
    is_full: bool,
}

impl Shelf {
    fn new(every: f64) -> Self {
        Self { every, kept: Mutex::default(), is_full: false }
    }

    fn with(bytes: Vec<u8>) -> Self {
        let shelf = Self::new(0.0);
        shelf.kept.lock().unwrap().insert("cell-2".to_owned(), bytes);
        shelf
    }

    fn keys(&self) -> Vec<String> {
        self.kept.lock().unwrap().keys().cloned().collect()
    }
}

impl States for Shelf {
    fn every(&self) -> Seconds {
        Seconds(self.every)
    }

    fn get(&self, key: &str) -> Option<Vec<u8>> {
        self.kept.lock().unwrap().get(key).cloned()
    }

    fn put(&self, key: &str, state: &[u8]) -> Result<(), String> {
        if self.is_full {
            return Err("the shelf is full".to_owned());
        }
        self.kept.lock().unwrap().insert(key.to_owned(), state.to_vec());
        Ok(())
    }

    fn forget(&self, key: &str) {
        self.kept.lock().unwrap().remove(key);
    }
}

/// Learns one number by five steps that each depend on the one before; its state is the number and the steps made.
struct Steps {
    /// Whoever trains with another number of these refuses the states of the first.
    kind: u8,
}

struct Number(f32);

impl Model for Number {
    fn scores(&self, x: ArrayView2<'_, f32>) -> Array2<f32> {
        Array2::from_elem((x.nrows(), 2), self.0)
    }

    fn model_bytes(&self) -> usize {
        4
    }

    fn learned(&self) -> Tensors {
        Tensors::new()
    }
}

impl Steps {
    fn run(&self, mut number: u8, done: usize, on_epoch: &mut OnEpoch<'_>) -> Fitted {
        let mut epochs = done;
        for epoch in done + 1..=5 {
            number = number.wrapping_mul(37).wrapping_add(11);
            epochs = epoch;
            let state = || vec![self.kind, number, epoch as u8];
            let told = Epoch { number: epoch, of: 5, loss: 1.0 / f64::from(number), state: Some(&state) };
            if on_epoch(told).is_break() {
                break;
            }
        }
        Fitted { model: Box::new(Number(f32::from(number))), epochs, converged: true }
    }
}

impl Classifier for Steps {
    fn fit(&self, _: &dyn Rows, _: &Labels, seed: Seed, on_epoch: &mut OnEpoch<'_>) -> Result<Fitted, FitError> {
        Ok(self.run(seed.0 as u8, 0, on_epoch))
    }

    fn resume(
        &self,
        state: &[u8],
        _: &dyn Rows,
        _: &Labels,
        _: Seed,
        on_epoch: &mut OnEpoch<'_>,
    ) -> Result<Fitted, FitError> {
        match *state {
            [kind, number, epoch] if kind == self.kind => Ok(self.run(number, epoch.into(), on_epoch)),
            _ => Err(FitError::refused("a foreign state")),
        }
    }

    fn score_kind(&self) -> ScoreKind {
        ScoreKind::Margin
    }

    fn restore(&self, _: usize, _: usize, _: Tensors) -> Result<Box<dyn Model>, RestoreError> {
        Err(RestoreError::refused("not asked"))
    }
}

/// The fit of branch 2 of a cell, which the user may want to stop at an epoch.
fn learn(shelf: &Shelf, kind: u8, stop_at: Option<&'static str>) -> Result<Learned, Stopped> {
    let stop = AtomicBool::new(false);
    let mut notes = Notes { words: Vec::new(), stop_at: stop_at.map(|at| (at, &stop)) };
    let mut watch = Watch { observer: &mut notes, stop: &stop, limit: None };
    let (x, y) = (array![[0.0f32], [1.0]], Labels::new(array![0, 1], 2).unwrap());
    let keeping = Keeping { states: shelf, cell: "cell", machine: &NoMachine };
    let learned = keeping.learn(2, &Steps { kind }, (&x, &y), Seed(7), &mut watch);
    assert_eq!(stop_at.is_some(), stop.load(Ordering::Relaxed));
    learned
}

fn result(learned: Result<Learned, Stopped>) -> (f32, usize, Vec<EpochLoss>) {
    let Ok(Learned { fitted, curve, .. }) = learned else { panic!("no result") };
    (fitted.model.scores(array![[0.0f32]].view())[[0, 0]], fitted.epochs, curve)
}

#[test]
fn a_training_that_was_broken_off_goes_on_with_its_curve_and_its_time() {
    let whole = learn(&Shelf::new(0.0), 1, None);
    assert_eq!(whole.as_ref().ok().and_then(|learned| learned.note.clone()), None);
    let whole = result(whole);
    assert_eq!((whole.1, whole.2.len()), (5, 5));
    let shelf = Shelf::new(0.0);
    assert_eq!(learn(&shelf, 1, Some("epoch 3")).err(), Some(Stopped::Interrupted));
    assert_eq!(shelf.keys(), ["cell-2"]);
    let learned = learn(&shelf, 1, None);
    let Ok(Learned { before, note, .. }) = &learned else { panic!("no result") };
    assert!(before.wall.0 > 0.0, "{before:?}");
    // After which one depends on what writing the first took.
    let note = note.as_deref().unwrap();
    assert!(note.starts_with("its training was broken off and went on from the state after epoch "), "{note}");
    assert_eq!(result(learned), whole);
}

#[test]
fn states_of_others_and_damaged_ones_count_as_none() {
    let whole = result(learn(&Shelf::new(0.0), 1, None));
    let shelf = Shelf::new(0.0);
    assert!(learn(&shelf, 2, Some("epoch 4")).is_err());
    let foreign = shelf.get("cell-2").unwrap();
    let head = |curve: &str, wall: &str| {
        let json = format!("{{\"wall\":{wall},\"cpu\":0.0,\"curve\":{curve}}}");
        [&(json.len() as u32).to_le_bytes(), json.as_bytes(), &[1, 5, 3]].concat()
    };
    for bytes in [
        foreign,
        Vec::new(),
        vec![255; 3],
        vec![255; 300],
        head("[]", "1.0"),
        head("[[1,0]]", "-1.0"),
        head("[[1,0]]", "1e999"),
        head("[[1,-1]]", "1.0"),
    ] {
        let learned = learn(&Shelf::with(bytes.clone()), 1, None);
        let Ok(Learned { before, note, .. }) = &learned else { panic!("no result") };
        assert_eq!((*before, note), (Saved::default(), &None), "{bytes:?}");
        assert_eq!(result(learned), whole, "{bytes:?}");
    }
    // The same head, sound.
    let went_on = learn(&Shelf::with(head("[[1,0]]", "1.0")), 1, None).ok().unwrap();
    assert_eq!((went_on.before.wall, went_on.note.is_some()), (Seconds(1.0), true));
}

#[test]
fn states_are_kept_after_a_while_and_a_full_disk_ends_no_training() {
    let shelf = Shelf::new(1e6);
    assert!(learn(&shelf, 1, None).is_ok() && shelf.keys().is_empty());
    let learned = learn(&Shelf { is_full: true, ..Shelf::new(0.0) }, 1, None);
    assert_eq!(
        learned.as_ref().ok().and_then(|learned| learned.note.clone()).as_deref(),
        Some("no more states of its training were kept: the shelf is full")
    );
    assert_eq!(result(learned), result(learn(&Shelf::new(0.0), 1, None)));
}
