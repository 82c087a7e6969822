//! Classifiers: what is learned from labelled rows, and what then scores rows.

use crate::labels::Labels;
use crate::operation::Operation;
use crate::rows::Rows;
use crate::seed::Seed;
use crate::tensors::{RestoreError, Tensors};
use ndarray::{Array1, Array2, ArrayView1, ArrayView2, Axis};
use rayon::prelude::*;
use std::fmt;
use std::ops::ControlFlow;
use thiserror::Error;

/// What a classifier tells after every pass over the training rows (or iteration of a solver).
#[derive(Clone, Copy)]
pub struct Epoch<'a> {
    /// Passes done, from 1.
    pub number: usize,
    /// Passes planned at most.
    pub of: usize,
    /// Mean training loss of the pass, with the penalty.
    pub loss: f64,
    /// Gives the whole state of the training as it is after this epoch, from which [`Classifier::resume`] goes on; none
    /// where a classifier cannot. Bytes are made only when it is called.
    pub state: Option<&'a dyn Fn() -> Vec<u8>>,
}

impl Epoch<'_> {
    /// An epoch of a training whose state is not for keeping.
    pub fn new(number: usize, of: usize, loss: f64) -> Self {
        Self { number, of, loss, state: None }
    }
}

impl fmt::Debug for Epoch<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { number, of, loss, state } = self;
        let state = state.map(|_| "…");
        f.debug_struct("Epoch")
            .field("number", number)
            .field("of", of)
            .field("loss", loss)
            .field("state", &state)
            .finish()
    }
}

/// Called after every epoch; [`ControlFlow::Break`] ends the training and keeps what was learned so far.
pub type OnEpoch<'a> = dyn FnMut(Epoch<'_>) -> ControlFlow<()> + 'a;

/// A way to learn from labelled rows, before it has seen any.
pub trait Classifier: Send + Sync {
    /// Learns from rows `x` (n, d), finite, with their labels (n). It reads them in blocks, or refuses rows that do not
    /// lie in memory.
    ///
    /// # Errors
    /// [`FitError::Refused`] when the rows or labels are of a kind it does not take, [`FitError::NonFinite`] when it
    /// diverges. Not converging is not an error: it is a fact in [`Fitted`].
    ///
    /// # Panics
    /// When `x` and `y` have different lengths.
    fn fit(&self, x: &dyn Rows, y: &Labels, seed: Seed, on_epoch: &mut OnEpoch<'_>) -> Result<Fitted, FitError>;

    /// Goes on from a state that [`Epoch::state`] gave, with the same rows, labels, seed and settings, to the same bits as
    /// if it had never stopped; `on_epoch` hears of the epochs that were still to come.
    ///
    /// # Errors
    /// [`FitError::Refused`] when the classifier keeps no states, or this one is damaged or of another training; else as
    /// [`Classifier::fit`].
    ///
    /// # Panics
    /// When `x` and `y` have different lengths.
    fn resume(
        &self,
        state: &[u8],
        x: &dyn Rows,
        y: &Labels,
        seed: Seed,
        on_epoch: &mut OnEpoch<'_>,
    ) -> Result<Fitted, FitError> {
        let _ = (state, x, y, seed, on_epoch);
        Err(FitError::refused("this classifier keeps no states to go on from"))
    }

    /// Whether the result does not depend on the seed.
    fn is_deterministic(&self) -> bool {
        false
    }

    /// Whether it learns from rows as [`Rows::read_augmented`] gives them.
    fn learns_augmented(&self) -> bool {
        false
    }

    /// What the scores of its models are.
    fn score_kind(&self) -> ScoreKind;

    /// The model that [`Model::learned`] came from, for rows of `d` columns and `n_classes` classes. Its scores are the
    /// same to the bit.
    ///
    /// # Errors
    /// [`RestoreError`] when the arrays are not those of such a model.
    fn restore(&self, d: usize, n_classes: usize, learned: Tensors) -> Result<Box<dyn Model>, RestoreError>;
}

/// What scores are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ScoreKind {
    /// Logarithms of probabilities up to a constant a row: their softmax estimates the probability of each class.
    Logit,
    /// Signed distances from a boundary: their order and sign mean something, their sum does not.
    Margin,
    /// Numbers of neighbours.
    Vote,
}

/// What training gave.
pub struct Fitted {
    /// The model.
    pub model: Box<dyn Model>,
    /// Passes (or iterations of a solver) that were made.
    pub epochs: usize,
    /// Whether its stopping criterion was met. Training for a planned number of passes counts as met.
    pub converged: bool,
}

/// A trained classifier.
pub trait Model: Send + Sync {
    /// Scores of rows `x` (n, d), as (n, k): the greatest wins, the lowest class among equals. A row's scores do not
    /// depend on the rows beside it, to the bit.
    ///
    /// # Panics
    /// When `x` does not have the d columns of the training rows.
    fn scores(&self, x: ArrayView2<'_, f32>) -> Array2<f32>;

    /// Bytes of its parameters: what a stored model must hold.
    fn model_bytes(&self) -> usize;

    /// All that was learned, so that [`Classifier::restore`] of the same settings gives the same model.
    fn learned(&self) -> Tensors;

    /// The steps from rows to scores, for exports; `None` where the model has no such form.
    fn operations(&self) -> Option<Vec<Operation>> {
        None
    }
}

/// Why a classifier could not be fitted.
#[derive(Debug, Error, Clone, PartialEq)]
#[non_exhaustive]
pub enum FitError {
    /// The rows or labels are not of a kind that this classifier takes; a reason a person can act on.
    #[error("{reason}")]
    Refused {
        /// What does not fit and what would.
        reason: String,
    },
    /// The loss stopped being a finite number.
    #[error("the loss is {loss} in epoch {epoch}, step {step}: a smaller learning rate or scaled features may help")]
    NonFinite {
        /// Pass, from 1.
        epoch: usize,
        /// Step within the pass, from 1.
        step: usize,
        /// The value found.
        loss: f64,
    },
}

impl FitError {
    /// A refusal with its reason.
    pub fn refused(reason: impl Into<String>) -> Self {
        Self::Refused { reason: reason.into() }
    }
}

/// The checks that every classifier makes first: rows and labels that fit each other, at least two classes with
/// rows, finite numbers (of rows in memory; others are checked by who makes them).
///
/// # Errors
/// [`FitError::Refused`] with the reason.
///
/// # Panics
/// When `x` and `y` have different lengths.
pub fn check_rows(x: &dyn Rows, y: &Labels) -> Result<(), FitError> {
    check_shape(x, y)?;
    let dense = x.dense();
    match dense.and_then(|x| x.axis_iter(Axis(0)).into_par_iter().position_first(|row| !is_finite(row))) {
        Some(row) => Err(not_finite(row)),
        None => Ok(()),
    }
}

/// The same but for the numbers, for those who read them all anyway: see [`not_finite`].
///
/// # Errors
/// [`FitError::Refused`] with the reason.
///
/// # Panics
/// When `x` and `y` have different lengths.
pub fn check_shape(x: &dyn Rows, y: &Labels) -> Result<(), FitError> {
    assert_eq!(x.n_rows(), y.len(), "rows and labels");
    let present = y.counts().iter().filter(|&&count| count > 0).count();
    if present < 2 {
        return Err(FitError::refused(format!("training needs rows of at least two classes, found {present}")));
    }
    if x.dim() == 0 {
        return Err(FitError::refused("the rows have no columns"));
    }
    Ok(())
}

/// The refusal of rows of which this one is the first with a number that is not finite.
pub fn not_finite(row: usize) -> FitError {
    FitError::refused(format!("row {row} holds a value that is not finite"))
}

/// Whether all numbers are finite. Each times 0 is 0 or NaN, and so are sums of them; sixteen at once are as fast as memory.
fn is_finite(row: ArrayView1<'_, f32>) -> bool {
    let Some(row) = row.as_slice() else { return row.iter().all(|value| value.is_finite()) };
    let (chunks, rest) = row.as_chunks::<16>();
    let mut sums = [0.0f32; 16];
    for chunk in chunks {
        sums.iter_mut().zip(chunk).for_each(|(sum, value)| *sum += value * 0.0);
    }
    sums.iter().chain(rest).all(|value| value.is_finite())
}

/// The column of the greatest score in each row of (n, k); the lowest column among equals.
///
/// # Panics
/// When there are no columns.
pub fn argmax_rows(scores: ArrayView2<'_, f32>) -> Array1<usize> {
    assert!(scores.ncols() > 0, "scores of no classes");
    let best = |row: ArrayView1<'_, f32>| {
        let mut best = 0;
        for (i, &score) in row.iter().enumerate() {
            if score > row[best] {
                best = i;
            }
        }
        best
    };
    scores.outer_iter().map(best).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use ndarray::array;

    #[test]
    fn the_lowest_class_wins_among_equals() {
        assert_eq!(argmax_rows(array![[1.0, 3.0, 3.0], [0.0, 0.0, 0.0]].view()), array![1, 0]);
    }

    #[test]
    fn rows_that_cannot_be_learned_from_are_refused() {
        let one_class = Labels::new(array![1, 1], 2).unwrap();
        let two = Labels::new(array![0, 1], 2).unwrap();
        let reason = |r: Result<(), FitError>| r.unwrap_err().to_string();
        let x = array![[0.0f32], [1.0]];
        assert!(reason(check_rows(&x, &one_class)).contains("at least two classes, found 1"));
        assert!(reason(check_rows(&array![[0.0], [f32::NAN]], &two)).contains("row 1"));
        assert!(reason(check_rows(&array![[f32::INFINITY], [0.0]], &two)).contains("row 0"));
        assert!(check_rows(&array![[f32::MAX], [f32::MAX]], &two).is_ok());
        // Whole groups of columns, and some that are left.
        for place in 0..35 {
            let mut x = Array2::from_elem((2, 35), f32::MIN);
            x[[1, place]] = f32::NEG_INFINITY;
            assert!(reason(check_rows(&x, &two)).contains("row 1"), "column {place}");
        }
    }
}
