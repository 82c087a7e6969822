//! The data of a run, in parts that only show what may be seen.
//!
//! `Training` is the only type that fitting takes, and it is cut from the training part alone. The test part leaves
//! this module only as `SealedTest`, which gives its images up to a finished pipeline, once, and never its labels:
//! the store holds the predicted ids, and what they are worth is computed later, from the labels in the run's record.

use crate::error::RunnerError;
use crate::fit::FittedPipeline;
use crate::split::{stratified, validation_part};
use bakeoff_core::{Images, ImagesView, Labelled, Labels, Provenance, Seed, Splits};
use bakeoff_results as results;
use ndarray::{Axis, concatenate};
use sha2::{Digest, Sha256};
use std::borrow::Cow;

/// A loaded dataset, checked, its digest beside it.
#[derive(Debug)]
pub struct Material {
    name: String,
    sha256: String,
    classes: Vec<String>,
    provenance: Provenance,
    /// Training images, and behind them the dataset's own validation images where it has some: selection uses them,
    /// the final fit may learn from all.
    pool: Labelled,
    /// Where the own validation images start in the pool.
    n_train: usize,
    test: Labelled,
    audit: Option<results::Audit>,
}

impl Material {
    /// Takes a loaded dataset, its name and the SHA-256 of its content.
    ///
    /// # Errors
    /// [`RunnerError::EmptyPart`] when there is nothing to learn from or nothing to test on.
    ///
    /// # Panics
    /// When the parts have images of different sizes or different numbers of classes, which [`Splits`] rules out.
    pub fn new(name: &str, splits: Splits, sha256: &str) -> Result<Self, RunnerError> {
        let empty = |part| RunnerError::EmptyPart { dataset: name.to_owned(), part };
        if splits.train.is_empty() {
            return Err(empty("training"));
        }
        if splits.test.is_empty() {
            return Err(empty("test"));
        }
        let n_train = splits.train.len();
        let pool = match splits.validation.filter(|part| !part.is_empty()) {
            Some(validation) => joined(&splits.train, &validation),
            None => splits.train,
        };
        let (name, sha256) = (name.to_owned(), sha256.to_owned());
        let Splits { classes, test, provenance, .. } = splits;
        Ok(Self { name, sha256, classes, provenance, pool, n_train, test, audit: None })
    }

    /// With what an audit of the images found, for the run's record.
    #[must_use]
    pub fn with_audit(self, audit: results::Audit) -> Self {
        Self { audit: Some(audit), ..self }
    }

    /// Its name.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// SHA-256 of the content.
    pub fn sha256(&self) -> &str {
        &self.sha256
    }

    /// Images that can be learned from.
    pub fn n_train(&self) -> usize {
        self.pool.len()
    }

    /// What the run's record says of the data.
    pub fn record(&self) -> results::Dataset {
        let files = self.provenance.files.iter().map(|f| (f.path.clone(), f.bytes, f.sha256.clone()));
        results::Dataset {
            name: self.name.clone(),
            sha256: self.sha256.clone(),
            classes: self.classes.clone(),
            shape: self.pool.images().shape(),
            train_counts: self.pool.labels().counts(),
            test_counts: self.test.labels().counts(),
            test_labels: self.test.labels().as_slice().to_vec(),
            notes: self.provenance.notes.clone(),
            files: files.collect(),
            audit: self.audit.clone(),
        }
    }

    /// What fitting may see: all training images, or a stratified draw of them.
    pub(crate) fn training(&self, size: Option<usize>, seed: Seed) -> Training<'_> {
        let whole = 0..self.pool.len();
        match size.filter(|&size| size < whole.len()) {
            None => {
                let own_validation = (self.n_train..whole.end).collect();
                Training { labelled: Cow::Borrowed(&self.pool), identity: self.sha256.clone(), own_validation }
            }
            Some(size) => {
                let chosen = stratified(self.pool.labels(), size, seed);
                let own = chosen.iter().enumerate().filter(|(_, position)| **position >= self.n_train);
                let own_validation = own.map(|(i, _)| i).collect();
                let identity = identity(&self.sha256, &chosen);
                Training { labelled: Cow::Owned(self.pool.select(&chosen)), identity, own_validation }
            }
        }
    }

    /// The test part, closed.
    pub(crate) fn test(&self) -> SealedTest<'_> {
        SealedTest(&self.test)
    }
}

/// What stands for these positions of something that has an identity.
fn identity(of: &str, positions: &[usize]) -> String {
    let mut hash = Sha256::new();
    hash.update(of.as_bytes());
    positions.iter().for_each(|&position| hash.update((position as u64).to_le_bytes()));
    format!("{:x}", hash.finalize())
}

/// Training images and labels: the only thing that fits take.
pub(crate) struct Training<'a> {
    labelled: Cow<'a, Labelled>,
    /// SHA-256 of the dataset's and of the positions in it that these are.
    identity: String,
    /// Positions that the dataset itself sets aside for selection.
    own_validation: Vec<usize>,
}

impl Training<'_> {
    pub(crate) fn images(&self) -> ImagesView<'_> {
        self.labelled.images().view()
    }

    pub(crate) fn labels(&self) -> &Labels {
        self.labelled.labels()
    }

    pub(crate) fn len(&self) -> usize {
        self.labelled.len()
    }

    /// What stands for these images, whatever names they have.
    pub(crate) fn identity(&self) -> &str {
        &self.identity
    }

    /// Cuts off what selection is made on: the dataset's own validation images, or a stratified share.
    pub(crate) fn split(&self, share: f64, seed: Seed) -> (Training<'static>, Validation) {
        let set_aside = if self.own_validation.is_empty() {
            validation_part(self.labels(), share, seed)
        } else {
            self.own_validation.clone()
        };
        let mut kept = vec![true; self.len()];
        for &position in &set_aside {
            kept[position] = false;
        }
        let rest: Vec<usize> = (0..self.len()).filter(|&position| kept[position]).collect();
        let identity = identity(&self.identity, &rest);
        let training =
            Training { labelled: Cow::Owned(self.labelled.select(&rest)), identity, own_validation: Vec::new() };
        (training, Validation(self.labelled.select(&set_aside)))
    }
}

/// What selection is made on. It can be scored, as often as there are trials, and not be fitted.
pub(crate) struct Validation(Labelled);

impl Validation {
    pub(crate) fn images(&self) -> ImagesView<'_> {
        self.0.images().view()
    }

    pub(crate) fn len(&self) -> usize {
        self.0.len()
    }

    /// How many of these predicted ids are right.
    ///
    /// # Panics
    /// When there are not as many as images.
    pub(crate) fn right(&self, predicted: &[usize]) -> usize {
        assert_eq!(predicted.len(), self.len(), "predictions of the validation part");
        self.0.labels().as_slice().iter().zip(predicted).filter(|(label, id)| label == id).count()
    }
}

/// The test part before it is opened.
pub(crate) struct SealedTest<'a>(&'a Labelled);

impl<'a> SealedTest<'a> {
    /// Opens it for a pipeline that is chosen and fitted; this is the only way to its images.
    pub(crate) fn open_for(self, _chosen: &FittedPipeline) -> ImagesView<'a> {
        self.0.images().view()
    }
}

fn joined(first: &Labelled, second: &Labelled) -> Labelled {
    let pixels = concatenate![Axis(0), first.images().view().pixels(), second.images().view().pixels()];
    let ids = concatenate![Axis(0), first.labels().ids(), second.labels().ids()];
    let images = Images::new(pixels).expect("images that were joined have pixels");
    let labels = Labels::new(ids, first.labels().n_classes()).expect("both parts have the same classes");
    Labelled::new(images, labels).expect("as many images as labels were joined")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fakes;

    #[test]
    fn a_dataset_without_test_images_is_refused() {
        let mut splits = fakes::splits(20, 4);
        splits.test = splits.test.select(&[]);
        let error = Material::new("x", splits, "").unwrap_err();
        assert_eq!(error.to_string(), "dataset x: its test part has no images");
    }

    #[test]
    fn selection_uses_the_datasets_own_part_and_the_last_fit_all() {
        let mut splits = fakes::splits(20, 4);
        splits.validation = Some(fakes::splits(6, 2).train);
        let material = Material::new("x", splits, "").unwrap();
        let training = material.training(None, Seed(0));
        assert_eq!((training.len(), material.n_train()), (26, 26));
        let (part, validation) = training.split(0.5, Seed(0));
        assert_eq!((part.len(), validation.len()), (20, 6));
    }

    #[test]
    fn a_split_loses_no_image_and_shares_none() {
        let material = Material::new("x", fakes::splits(40, 4), "").unwrap();
        let training = material.training(Some(30), Seed(1));
        let (part, validation) = training.split(0.2, Seed(1));
        assert_eq!((training.len(), part.len(), validation.len()), (30, 24, 6));
        let mut seen: Vec<&[u8]> = part.images().iter().chain(validation.images().iter()).collect();
        let mut all: Vec<&[u8]> = training.images().iter().collect();
        seen.sort_unstable();
        all.sort_unstable();
        assert_eq!(seen, all);
    }
}
