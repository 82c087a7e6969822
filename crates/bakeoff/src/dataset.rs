//! Datasets for experiments: how a choice is checked, found and loaded.

use crate::algorithms::CATALOGUES;
use anyhow::Context;
use bakeoff_core::{RemoteFile, Splits};
use bakeoff_datasets::audit::{self, audit};
use bakeoff_datasets::{CATALOGUE, Fit, Source, check_table, content_hash, default_root};
use bakeoff_results::{DuplicatePair, Duplicates, ImagePlace};
use bakeoff_runner::{DatasetChoice, Material, Vocabulary};
use serde_json::{Value, json};
use std::path::{Path, PathBuf};

/// What experiment files are checked against.
pub(crate) const VOCABULARY: Vocabulary<'static> = Vocabulary { catalogues: CATALOGUES, check_dataset: &check_table };

/// Pairs of duplicates that a run keeps.
const MOST_PAIRS: usize = 200;

/// The environment variable that names the folder for what is fetched.
const CACHE: &str = "BAKEOFF_CACHE";

/// The folder under which fetched datasets live.
pub(crate) fn root() -> PathBuf {
    default_root(std::env::var_os(CACHE).as_deref().map(Path::new))
}

/// How images of other sizes are brought to those of a dataset: as its table says, else as folders do it.
pub(crate) fn fit(choice: &DatasetChoice) -> Fit {
    match choice {
        DatasetChoice::Table(table) => Source::from_table(table).map(|source| source.fit()).unwrap_or_default(),
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
            // The place goes under the key of what is there; settings that this kind lacks are told as unknown keys.
            ["folder", "npz", "parquet"].iter().for_each(|key| drop(table.remove(*key)));
            let key = Source::key_of(Path::new(name));
            table.insert(key.to_owned(), toml::Value::String(name.to_owned()));
            DatasetChoice::Table(table)
        }
        _ => DatasetChoice::Named(name.to_owned()),
    }
}

/// What is to be known of the images of a dataset, as results keep it. `most_pairs` pairs are kept.
pub(crate) fn audited(splits: &Splits, most_pairs: usize) -> bakeoff_results::Audit {
    let found = audit(splits);
    let duplicates = |of: audit::Duplicates| Duplicates { train: of.train, test: of.test, across: of.across };
    let place = |of: audit::Place| ImagePlace {
        test: of.part == audit::Part::Test,
        // Validation images count as training images and follow them.
        position: of.position + if of.part == audit::Part::Validation { splits.train.len() } else { 0 },
        label: of.class_id,
        file: of.name,
    };
    let pair = |of: audit::Pair| DuplicatePair { exact: of.exact, a: place(of.a), b: place(of.b) };
    bakeoff_results::Audit {
        exact: duplicates(found.exact),
        near: duplicates(found.near),
        conflicts: found.conflicts,
        constant: found.constant,
        unreadable: found.unreadable,
        pairs: found.pairs.into_iter().take(most_pairs).map(pair).collect(),
    }
}

/// Loads the data of an experiment. Relative paths start from `base`, the experiment file's folder, or else from the
/// current one.
pub(crate) fn open(choice: &DatasetChoice, base: Option<&Path>) -> anyhow::Result<Material> {
    let (name, splits) = load(choice, base)?;
    let sha256 = content_hash(&splits);
    let audit = audited(&splits, MOST_PAIRS);
    let material = Material::new(&name, splits, &sha256).context("failed to load the dataset")?;
    Ok(material.with_audit(audit))
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
