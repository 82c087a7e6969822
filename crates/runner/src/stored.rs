//! Pipelines that leave the process and come back: settings as meant, and what was learned as named arrays.
//!
//! Names: `features.0.…`, `scaler.…`, `reducer.…`, `quantiser.…` and `classifier.…`, below `branches.0`, `branches.1` …
//! where there are several. What becomes a file of it is the business of whoever keeps files.

use crate::Catalogues;
use crate::clock::Spent;
use crate::fit::{FittedBranch, FittedPipeline, block, classes, scores};
use crate::rows::RowMaker;
use crate::settings::{Branch, Settings};
use bakeoff_core::{ImagesView, Operation, RestoreError, ScoreKind, Tensors};
use ndarray::{Array2, ArrayViewMut2, s};
use serde_json::Value;

/// A fitted pipeline, ready to be written down.
#[derive(Debug, Clone)]
pub struct StoredPipeline {
    /// Its settings with every default filled in.
    pub settings: Value,
    /// What was learned.
    pub learned: Tensors,
    /// Training images.
    pub n_train: usize,
}

impl StoredPipeline {
    pub(crate) fn of(settings: &Settings, fitted: &FittedPipeline, n_train: usize, catalogues: Catalogues<'_>) -> Self {
        let one = |branch: &FittedBranch| branch.maker.learned().with_part(CLASSIFIER, branch.model.learned());
        let learned = match &fitted.branches[..] {
            [only] => one(only),
            several => several.iter().enumerate().fold(Tensors::new(), |all, (i, b)| all.with_part(&name(i), one(b))),
        };
        Self { settings: settings.meant(catalogues), learned, n_train }
    }
}

/// Where the learned arrays of the classifier stand.
const CLASSIFIER: &str = "classifier";

fn name(branch: usize) -> String {
    format!("branches.{branch}")
}

/// A pipeline that came back: images in, scores out.
pub struct RestoredPipeline {
    branches: Vec<FittedBranch>,
    /// For each branch what its features and its classifier are called.
    called: Vec<(String, String)>,
    score_kind: ScoreKind,
    shape: (usize, usize, usize),
    n_classes: usize,
}

impl RestoredPipeline {
    /// The pipeline of these settings as meant, for images of this (height, width, channels) and classes, that
    /// [`StoredPipeline`] came from. Its scores are the same to the bit.
    ///
    /// # Errors
    /// [`RestoreError`] when the settings are none, or the arrays are not those of such a pipeline.
    pub fn restore(
        settings: &Value,
        learned: Tensors,
        shape: (usize, usize, usize),
        n_classes: usize,
        catalogues: Catalogues<'_>,
    ) -> Result<Self, RestoreError> {
        let settings = Settings::from_meant(settings).map_err(RestoreError::refused)?;
        let mut learned = learned;
        let (mut branches, mut kinds) = (Vec::new(), Vec::new());
        let several = settings.branches.len() > 1;
        for (i, branch) in settings.branches.iter().enumerate() {
            let (fitted, kind) = if several {
                let part = learned.part(&name(i));
                restored(branch, part, shape, n_classes, catalogues).map_err(|e| e.below(&name(i)))?
            } else {
                restored(branch, std::mem::take(&mut learned), shape, n_classes, catalogues)?
            };
            branches.push(fitted);
            kinds.push(kind);
        }
        learned.finish()?;
        let called = settings.branches.iter().map(called).collect();
        // What is added over branches is no logarithm of a probability any more.
        let score_kind = match kinds[..] {
            [kind] => kind,
            _ => ScoreKind::Margin,
        };
        Ok(Self { branches, called, score_kind, shape, n_classes })
    }

    /// What its scores are; those of several branches are added, and then no logits whatever the branches give.
    pub fn score_kind(&self) -> ScoreKind {
        self.score_kind
    }

    /// The scores (n, k) of images.
    ///
    /// # Errors
    /// A sentence when a score is no number.
    ///
    /// # Panics
    /// When the images are not of the fitted shape.
    pub fn scores(&self, images: ImagesView<'_>) -> Result<Array2<f32>, String> {
        assert_eq!(images.shape(), self.shape, "images of the fitted size");
        let mut all = Array2::zeros((images.len(), self.n_classes));
        let block = block(&self.branches);
        for start in (0..images.len()).step_by(block) {
            let end = (start + block).min(images.len());
            let found = scores(&self.branches, images.range(start, end), &mut Spent::default());
            classes(found.view()).map_err(|_| "a score is no number: the model overflows on such images".to_owned())?;
            let mut part: ArrayViewMut2<'_, f32> = all.slice_mut(s![start..end, ..]);
            part.assign(&found);
        }
        Ok(all)
    }

    /// The steps of each branch from the bytes of an image to scores; the scores of branches are added.
    ///
    /// # Errors
    /// A sentence that names the parts which have no form as steps.
    pub fn operations(&self) -> Result<Vec<Vec<Operation>>, String> {
        let mut without = Vec::new();
        let mut all = Vec::new();
        for (FittedBranch { maker, model }, (features, classifier)) in self.branches.iter().zip(&self.called) {
            let (rows, scores) = (maker.operations(), model.operations());
            for part in rows.as_ref().err().into_iter().flatten() {
                without.push(if *part == "features" { format!("features {features}") } else { (*part).to_owned() });
            }
            if scores.is_none() {
                without.push(format!("classifier {classifier}"));
            }
            all.push(rows.unwrap_or_default().into_iter().chain(scores.unwrap_or_default()).collect());
        }
        if without.is_empty() { Ok(all) } else { Err(without.join(", ")) }
    }
}

fn called(branch: &Branch) -> (String, String) {
    let features: Vec<&str> = branch.features.iter().map(|step| step.kind.as_str()).collect();
    (features.join(" + "), branch.classifier.kind.clone())
}

fn restored(
    branch: &Branch,
    mut learned: Tensors,
    shape: (usize, usize, usize),
    n_classes: usize,
    catalogues: Catalogues<'_>,
) -> Result<(FittedBranch, ScoreKind), RestoreError> {
    let classifier = branch.learner(catalogues).map_err(RestoreError::refused)?;
    let maker = RowMaker::restore(branch, catalogues, shape, &mut learned)?;
    let model = classifier.restore(maker.row_dim(), n_classes, learned.part(CLASSIFIER));
    let model = model.map_err(|e| e.below(CLASSIFIER))?;
    learned.finish()?;
    Ok((FittedBranch { maker, model }, classifier.score_kind()))
}

#[cfg(test)]
mod tests;
