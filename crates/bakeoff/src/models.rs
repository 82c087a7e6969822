//! Stored models on disk: `models/PIPELINE.safetensors` in a run's folder, and the card beside it as `PIPELINE.json`.

use crate::algorithms::CATALOGUES;
use crate::run_folder::{self, MODELS};
use anyhow::{Context, bail};
use bakeoff_core::Tensors;
use bakeoff_datasets::Fit;
use bakeoff_interchange::{Card, DatasetCard, FORMAT, ImageCard};
use bakeoff_results::{Outcome, Row, Run};
use bakeoff_runner::{RestoredPipeline, StoredPipeline, clock};
use std::fs::{self, File};
use std::io::Read;
use std::path::{Path, PathBuf};

/// Bytes of a model file at most: reading takes as much memory twice.
const LARGEST_FILE: u64 = 8 << 30;

/// Where a run's models go.
pub(crate) struct Models<'a> {
    pub(crate) folder: &'a Path,
    /// Bytes that one may have; 0 keeps none.
    pub(crate) most_bytes: usize,
}

impl Models<'_> {
    /// Writes the model of a finished cell.
    pub(crate) fn keep(&self, row: &Row, stored: StoredPipeline, run: &Run, fit: Fit) -> anyhow::Result<()> {
        let folder = self.folder.join(MODELS);
        fs::create_dir_all(&folder).with_context(|| format!("failed to make {}", folder.display()))?;
        let StoredPipeline { settings, learned, n_train } = stored;
        let card = card(row, settings, n_train, run, fit);
        let path = folder.join(format!("{}.safetensors", file_name(&row.cell.pipeline, &row.cell.digest)));
        let name = || format!("failed to store the model of {}", row.cell.pipeline);
        let bytes = bakeoff_interchange::write(&card, &learned).with_context(name)?;
        run_folder::write(&path.with_extension("json"), format!("{}\n", card.to_json()?)).with_context(name)?;
        run_folder::write(&path, bytes).with_context(name)
    }
}

fn card(row: &Row, settings: serde_json::Value, n_train: usize, run: &Run, fit: Fit) -> Card {
    let (height, width, channels) = run.dataset.shape;
    let fit = match fit {
        Fit::Crop => "crop",
        Fit::Stretch => "stretch",
    };
    let accuracy = match &row.outcome {
        Outcome::Done(measured) => measured.accuracy(&run.dataset.test_labels),
        _ => None,
    };
    Card {
        format: FORMAT,
        program: format!("bakeoff {}", env!("CARGO_PKG_VERSION")),
        pipeline: row.cell.pipeline.clone(),
        settings,
        images: ImageCard { height, width, channels, fit: fit.to_owned() },
        classes: run.dataset.classes.clone(),
        dataset: DatasetCard { name: run.dataset.name.clone(), sha256: run.dataset.sha256.clone() },
        seed: row.cell.seed,
        n_train,
        accuracy,
        created: clock::now(),
    }
}

/// A pipeline's name where it can be a file's; else what is left of it, and the start of its digest to tell it from others.
fn file_name(pipeline: &str, digest: &str) -> String {
    let plain = pipeline.replace(|c: char| !(c.is_alphanumeric() || "-_.".contains(c)), "-");
    if plain == pipeline && !plain.starts_with('.') {
        return plain;
    }
    format!("{}-{}", plain.trim_matches(['-', '.']), digest.get(..8).unwrap_or(digest))
}

/// A model that was read.
pub(crate) struct Opened {
    pub(crate) card: Card,
    pub(crate) pipeline: RestoredPipeline,
}

impl Opened {
    /// How images of other sizes are brought to the model's.
    pub(crate) fn fit(&self) -> Fit {
        if self.card.images.fit == "stretch" { Fit::Stretch } else { Fit::Crop }
    }
}

/// The card and the arrays of a model's file.
pub(crate) fn arrays(path: &Path) -> anyhow::Result<(Card, Tensors)> {
    Ok(bakeoff_interchange::read(&bytes(path)?)?)
}

/// Reads a model's file.
pub(crate) fn open(path: &Path) -> anyhow::Result<Opened> {
    let read = || -> anyhow::Result<Opened> {
        let bytes = bytes(path)?;
        let (card, learned) = bakeoff_interchange::read(&bytes)?;
        drop(bytes);
        let pipeline =
            RestoredPipeline::restore(&card.settings, learned, card.shape(), card.classes.len(), CATALOGUES)?;
        Ok(Opened { card, pipeline })
    };
    read().with_context(|| format!("failed to read the model {}", path.display()))
}

fn bytes(path: &Path) -> anyhow::Result<Vec<u8>> {
    let about = fs::metadata(path)?;
    if about.is_dir() {
        bail!("expected a file, found a folder{}", models_in(path));
    }
    if !about.is_file() {
        bail!("expected a file, found a pipe, socket or device");
    }
    if about.len() > LARGEST_FILE {
        bail!("expected a file of at most {LARGEST_FILE} bytes, found {}", about.len());
    }
    let mut bytes = Vec::with_capacity(about.len() as usize);
    File::open(path)?.take(LARGEST_FILE).read_to_end(&mut bytes)?;
    Ok(bytes)
}

/// The models that whoever named a folder may have meant.
fn models_in(folder: &Path) -> String {
    let models = [folder.join(MODELS), folder.to_owned()].into_iter().filter_map(|folder| fs::read_dir(folder).ok());
    let paths = models.flatten().flatten().map(|entry| entry.path());
    let mut found: Vec<PathBuf> =
        paths.filter(|path| path.extension().is_some_and(|ending| ending == "safetensors")).collect();
    found.sort();
    match found.first() {
        Some(first) => format!("; its models begin with {}", first.display()),
        None => String::new(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_that_are_no_file_names_are_told_apart_by_their_digest() {
        let digest = "0123456789abcdef";
        assert_eq!(file_name("hog-svm_2.0", digest), "hog-svm_2.0");
        assert_eq!(file_name("../a b", digest), "a-b-01234567");
        assert_eq!(file_name(".hidden", digest), "hidden-01234567");
        assert_eq!(file_name("λ = 1", digest), "λ---1-01234567");
    }
}
