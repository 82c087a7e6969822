//! k-nearest neighbours: the class that most of the k nearest training rows have (Fix, Hodges 1951; Cover, Hart 1967).
//!
//! Neighbours are ordered by (distance, position in the training rows); distances are exact to f64 rounding. Each of
//! the k has one vote; the lowest class wins among equals, as in scikit-learn.

use crate::search::Index;
use bakeoff_core::classifier::{check_shape, not_finite};
use bakeoff_core::tensors::check_values;
use bakeoff_core::{
    Classifier, Epoch, FitError, Fitted, Labels, Model, OnEpoch, Recipe, RestoreError, Rows, ScoreKind, Seed, Tensors,
};
use ndarray::{Array2, ArrayView2};
use serde::{Deserialize, Serialize};
use std::num::NonZeroUsize;

/// How far two rows are apart.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Distance {
    /// √Σ (a − b)².
    #[default]
    L2,
    /// Σ |a − b|.
    L1,
}

/// Settings of k-nearest neighbours.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Knn {
    /// Neighbours that vote.
    pub k: NonZeroUsize,
    /// How far two rows are apart.
    pub distance: Distance,
}

impl Default for Knn {
    fn default() -> Self {
        Self { k: const { NonZeroUsize::new(5).expect("5 is positive") }, distance: Distance::L2 }
    }
}

impl Recipe for Knn {
    const NAME: &'static str = "knn";
    const SUMMARY: &'static str = "exact k-nearest neighbours, L1 or L2";
    const REFERENCE: &'static str = "lecture A6; Fix, Hodges 1951; Cover, Hart 1967";
    const SEARCH: &'static str = "k = { integer = [1, 15] }\n\
        distance = { choice = ['l1', 'l2'] }";
}

impl Classifier for Knn {
    fn fit(&self, rows: &dyn Rows, y: &Labels, _: Seed, on_epoch: &mut OnEpoch<'_>) -> Result<Fitted, FitError> {
        check_shape(rows, y)?;
        let k = self.k.get();
        let Some(x) = rows.dense() else {
            let reason =
                "knn compares with every training row, so that they must lie in memory: fewer numbers an image";
            return Err(FitError::refused(reason));
        };
        if k > x.nrows() {
            return Err(FitError::refused(format!("{k} neighbours of {} training rows", x.nrows())));
        }
        let x = rows.shared().unwrap_or_else(|| x.to_owned().into_shared());
        let index = Index::of_finite(x, self.distance).map_err(not_finite)?;
        // There is nothing to interrupt; the one pass is told for the progress display.
        let _ = on_epoch(Epoch::new(1, 1, 0.0));
        Ok(Fitted { model: Box::new(Votes { index, labels: y.clone(), k }), epochs: 1, converged: true })
    }

    fn is_deterministic(&self) -> bool {
        true
    }

    fn score_kind(&self) -> ScoreKind {
        ScoreKind::Vote
    }

    fn restore(&self, d: usize, n_classes: usize, mut learned: Tensors) -> Result<Box<dyn Model>, RestoreError> {
        let rows = learned.matrix("rows", None, d)?;
        let ids: Vec<u32> = learned.vector("labels", rows.nrows())?;
        learned.finish()?;
        check_values("labels", &ids, &format!("a class id below {n_classes}"), |id| (id as usize) < n_classes)?;
        let labels = Labels::new(ids.into_iter().map(|id| id as usize).collect(), n_classes);
        let labels = labels.map_err(|e| RestoreError::refused(e.to_string()))?;
        let k = self.k.get();
        if k > rows.nrows() {
            return Err(RestoreError::refused(format!("{k} neighbours of {} rows", rows.nrows())));
        }
        Ok(Box::new(Votes { index: Index::new(rows, self.distance), labels, k }))
    }
}

struct Votes {
    index: Index,
    labels: Labels,
    k: usize,
}

impl Model for Votes {
    /// Votes a class.
    fn scores(&self, x: ArrayView2<'_, f32>) -> Array2<f32> {
        let mut votes = Array2::zeros((x.nrows(), self.labels.n_classes()));
        let classes = self.labels.as_slice();
        for (neighbours, mut votes) in self.index.nearest(x, self.k).iter().zip(votes.outer_iter_mut()) {
            neighbours.iter().for_each(|&(position, _)| votes[classes[position]] += 1.0);
        }
        votes
    }

    fn model_bytes(&self) -> usize {
        self.index.bytes() + self.labels.len() * size_of::<u32>()
    }

    /// The training rows and their class ids; norms are computed again.
    fn learned(&self) -> Tensors {
        let ids = self.labels.ids().mapv(|id| id as u32);
        Tensors::new().with("rows", &self.index.rows()).with("labels", &ids)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use bakeoff_core::argmax_rows;
    use ndarray::array;
    use std::ops::ControlFlow;

    #[test]
    fn ties_go_to_the_earlier_row_and_the_lower_class() {
        let x = array![[0.0f32], [2.0], [2.0], [-2.0]];
        let y = Labels::new(array![2, 1, 0, 0], 3).unwrap();
        let predict = |k: usize, at: f32| {
            let knn = Knn { k: NonZeroUsize::new(k).unwrap(), ..Knn::default() };
            let model = knn.fit(&x, &y, Seed(0), &mut |_| ControlFlow::Continue(())).unwrap().model;
            argmax_rows(model.scores(array![[at]].view()).view())[0]
        };
        assert_eq!(predict(1, 1.9), 1, "rows 1 and 2 are equally near; row 1 comes first");
        assert_eq!(predict(2, 1.9), 0, "one vote each for 1 and 0");
        assert_eq!(predict(3, 0.0), 0, "rows 0, 1, 2: one vote each");
    }

    #[test]
    fn more_neighbours_than_rows_are_refused() {
        let y = Labels::new(array![0, 1], 2).unwrap();
        let error = Knn::default().fit(&array![[0.0f32], [1.0]], &y, Seed(0), &mut |_| ControlFlow::Continue(()));
        assert!(error.err().unwrap().to_string().contains("5 neighbours of 2"));
    }
}
