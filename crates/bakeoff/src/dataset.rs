//! Datasets for experiments: how a choice is checked, found and loaded.

use crate::algorithms::CATALOGUES;
use anyhow::Context;
use bakeoff_core::{RemoteFile, Splits};
use bakeoff_datasets::{CATALOGUE, Fit, FolderOptions, Source, check_table, content_hash, default_root};
use bakeoff_runner::{DatasetChoice, Material, Vocabulary};
use serde_json::{Value, json};
use std::path::{Path, PathBuf};

/// What experiment files are checked against.
pub(crate) const VOCABULARY: Vocabulary<'static> = Vocabulary { catalogues: CATALOGUES, check_dataset: &check_table };

/// The environment variable that names the folder for what is fetched.
const CACHE: &str = "BAKEOFF_CACHE";

/// The folder under which fetched datasets live.
pub(crate) fn root() -> PathBuf {
    default_root(std::env::var_os(CACHE).as_deref().map(Path::new))
}

/// How images of other sizes are brought to those of a dataset: as its table says, else as folders do it.
pub(crate) fn fit(choice: &DatasetChoice) -> Fit {
    match choice {
        DatasetChoice::Table(table) => FolderOptions::from_table(table).unwrap_or_default().fit,
        DatasetChoice::Named(_) => Fit::default(),
    }
}

/// Every dataset that has a name, as `list` shows it.
pub(crate) fn described() -> Vec<Value> {
    let described = CATALOGUE.iter().map(|known| {
        let dataset = (known.open)();
        let card = dataset.card();
        let bytes: u64 = card.files.iter().map(|file: &RemoteFile| file.bytes).sum();
        json!({
            "name": card.name,
            "summary": card.summary,
            "bytes": bytes,
            "licence": card.licence,
            "citation": card.citation,
        })
    });
    described.collect()
}

/// The data that the command line names in the place of an experiment's: a path keeps what the experiment says of its
/// folder, the size that images are brought to for one. Files that are no folder of images have no such settings.
pub(crate) fn instead(name: &str, of: &DatasetChoice) -> DatasetChoice {
    match (of, Source::from_name_or_path(name)) {
        (DatasetChoice::Table(table), Source::Path(_)) => {
            let mut table = table.clone();
            table.insert("folder".to_owned(), toml::Value::String(name.to_owned()));
            DatasetChoice::Table(table)
        }
        _ => DatasetChoice::Named(name.to_owned()),
    }
}

/// Loads the data of an experiment. Relative paths start from `base`, the experiment file's folder, or else from the
/// current one.
pub(crate) fn open(choice: &DatasetChoice, base: Option<&Path>) -> anyhow::Result<Material> {
    let (name, splits) = load(choice, base)?;
    let sha256 = content_hash(&splits);
    Material::new(&name, splits, &sha256).context("failed to load the dataset")
}

/// The name of the data of an experiment, and its images.
pub(crate) fn load(choice: &DatasetChoice, base: Option<&Path>) -> anyhow::Result<(String, Splits)> {
    let source = match choice {
        DatasetChoice::Named(name) => Source::from_name_or_path(name),
        DatasetChoice::Table(table) => Source::from_table(table).map_err(|problems| {
            let told: Vec<String> = problems.iter().map(ToString::to_string).collect();
            anyhow::anyhow!("dataset: {}", told.join("; "))
        })?,
    };
    let search: Vec<PathBuf> = base.map(|base| vec![base.to_owned(), PathBuf::new()]).unwrap_or_default();
    let load = || -> anyhow::Result<(String, Splits)> {
        let dataset = bakeoff_datasets::open(&source, &search)?;
        let splits = dataset.load(&root())?;
        Ok((dataset.card().name.clone(), splits))
    };
    load().context("failed to load the dataset")
}
