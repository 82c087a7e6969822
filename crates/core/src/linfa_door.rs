//! The door to the linfa world: every classifier and encoder of ours behind linfa's traits.
//!
//! ```
//! use bakeoff_core::linfa_door::{Door, FittedDoor};
//! use linfa::traits::{Fit, Predict};
//! # use bakeoff_core::{Classifier, Fitted, FitError, Labels, Model, OnEpoch, RestoreError, Rows, ScoreKind, Seed, Tensors};
//! # use ndarray::{Array2, ArrayView2, array};
//! # struct Sign;
//! # impl Model for Sign {
//! #     fn scores(&self, x: ArrayView2<'_, f32>) -> Array2<f32> { ndarray::concatenate![ndarray::Axis(1), -&x, x] }
//! #     fn model_bytes(&self) -> usize { 0 }
//! #     fn learned(&self) -> Tensors { Tensors::new() }
//! # }
//! # impl Classifier for Sign {
//! #     fn fit(&self, _: &dyn Rows, _: &Labels, _: Seed, _: &mut OnEpoch<'_>) -> Result<Fitted, FitError> {
//! #         Ok(Fitted { model: Box::new(Sign), epochs: 1, converged: true })
//! #     }
//! #     fn score_kind(&self) -> ScoreKind { ScoreKind::Margin }
//! #     fn restore(&self, _: usize, _: usize, _: Tensors) -> Result<Box<dyn Model>, RestoreError> { Ok(Box::new(Sign)) }
//! # }
//! let data = linfa::Dataset::new(array![[-1.0f32], [2.0]], array![0usize, 1]);
//! let model: FittedDoor = Door { classifier: Box::new(Sign), seed: Seed(0) }.fit(&data)?;
//! assert_eq!(model.predict(&array![[3.0f32], [-4.0]]), array![1, 0]);
//! # Ok::<(), bakeoff_core::linfa_door::DoorError>(())
//! ```

use crate::classifier::{Classifier, FitError, Model, argmax_rows};
use crate::labels::{LabelError, Labels};
use crate::seed::Seed;
use linfa::dataset::{AsSingleTargets, DatasetBase};
use linfa::traits::{Fit, PredictInplace};
use ndarray::{Array1, ArrayBase, Data, Ix2};
use std::ops::ControlFlow;
use thiserror::Error;

/// A classifier of ours as a linfa parameter object.
pub struct Door {
    /// The classifier.
    pub classifier: Box<dyn Classifier>,
    /// Its seed; linfa's traits do not pass one.
    pub seed: Seed,
}

/// A model of ours as a linfa model.
pub struct FittedDoor(pub Box<dyn Model>);

/// What can go wrong when a model is fitted through linfa.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum DoorError {
    /// Our classifier refused or diverged.
    #[error(transparent)]
    Fit(#[from] FitError),
    /// A target that is no class id.
    #[error(transparent)]
    Label(#[from] LabelError),
    /// linfa's own checks.
    #[error(transparent)]
    Linfa(#[from] linfa::Error),
}

impl<D: Data<Elem = f32>, T: AsSingleTargets<Elem = usize>> Fit<ArrayBase<D, Ix2>, T, DoorError> for Door {
    type Object = FittedDoor;

    fn fit(&self, dataset: &DatasetBase<ArrayBase<D, Ix2>, T>) -> Result<FittedDoor, DoorError> {
        let ids = dataset.targets().as_single_targets().to_owned();
        let n_classes = ids.iter().max().map_or(0, |&greatest| greatest + 1);
        let labels = Labels::new(ids, n_classes)?;
        let rows = dataset.records().view();
        let fitted = self.classifier.fit(&rows, &labels, self.seed, &mut |_| ControlFlow::Continue(()))?;
        Ok(FittedDoor(fitted.model))
    }
}

impl<D: Data<Elem = f32>> PredictInplace<ArrayBase<D, Ix2>, Array1<usize>> for FittedDoor {
    fn predict_inplace(&self, x: &ArrayBase<D, Ix2>, y: &mut Array1<usize>) {
        y.assign(&argmax_rows(self.0.scores(x.view()).view()));
    }

    fn default_target(&self, x: &ArrayBase<D, Ix2>) -> Array1<usize> {
        Array1::zeros(x.nrows())
    }
}
