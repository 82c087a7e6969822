//! The built-in experiments and where others come from.

use anyhow::{Context, bail};
use bakeoff_runner::suggest::nearest;
use bakeoff_runner::{DatasetChoice, LONGEST_FILE};
use std::fs;
use std::path::{Path, PathBuf};

/// (name, text) of every `reports/*/experiment.toml`, sorted by name.
pub(crate) const BUILT_IN: &[(&str, &str)] = include!(concat!(env!("OUT_DIR"), "/experiments.rs"));

/// What runs on images that are named by their path.
const FOR_PATHS: &str = "folder";

/// An experiment's text and what is to be known of where it came from.
#[derive(Debug, PartialEq)]
pub(crate) struct Found {
    /// What the run is called.
    pub(crate) name: String,
    /// How messages call the file.
    pub(crate) shown: String,
    /// The file.
    pub(crate) text: String,
    /// The folder that paths in the file start from; none for built-in experiments.
    pub(crate) base: Option<PathBuf>,
    /// The data, when it was named instead of an experiment.
    pub(crate) dataset: Option<DatasetChoice>,
}

/// The experiment that a command line names: a built-in one, a file, or images.
///
/// A built-in name wins over a file of that name; `./quick` is the file.
pub(crate) fn find(named: &str) -> anyhow::Result<Found> {
    if let Some((name, text)) = built_in(named) {
        return Ok(Found { name: name.into(), shown: name.into(), text: text.into(), base: None, dataset: None });
    }
    let path = Path::new(named);
    if path.extension().is_some_and(|extension| extension == "toml") {
        return from_file(path, named);
    }
    if path.exists() {
        return for_images(path, named);
    }
    if named.contains(['/', '\\']) {
        bail!("there is no file or folder {named:?}");
    }
    let names = BUILT_IN.iter().map(|(name, _)| *name);
    match nearest(named, names.clone()) {
        Some(name) => bail!("unknown experiment {named:?}; did you mean {name:?}?"),
        None => bail!(
            "unknown experiment {named:?}: neither a file nor a folder nor one of {}",
            names.collect::<Vec<_>>().join(", ")
        ),
    }
}

fn built_in(name: &str) -> Option<(&'static str, &'static str)> {
    BUILT_IN.iter().copied().find(|(known, _)| *known == name)
}

fn from_file(path: &Path, named: &str) -> anyhow::Result<Found> {
    let read = || -> anyhow::Result<String> {
        let bytes = fs::metadata(path)?.len();
        if bytes > LONGEST_FILE as u64 {
            bail!("expected an experiment file of at most {LONGEST_FILE} bytes, found {bytes}");
        }
        Ok(fs::read_to_string(path)?)
    };
    let text = read().with_context(|| format!("failed to read the experiment {named:?}"))?;
    let base = path.parent().map(Path::to_owned);
    Ok(Found { name: name_of(path), shown: named.into(), text, base, dataset: None })
}

fn for_images(path: &Path, named: &str) -> anyhow::Result<Found> {
    let (shown, text) = built_in(FOR_PATHS).context("the built-in experiment for folders is missing")?;
    let dataset = Some(DatasetChoice::Named(named.to_owned()));
    Ok(Found { name: name_of(path), shown: shown.into(), text: text.into(), base: None, dataset })
}

/// What a run of this file or folder is called: its stem, or for `…/NAME/experiment.toml` the folder's.
fn name_of(path: &Path) -> String {
    let absolute = std::path::absolute(path).unwrap_or_else(|_| path.to_owned());
    let stem = |path: &Path| path.file_stem().map(|stem| stem.to_string_lossy().into_owned());
    let name = match stem(&absolute) {
        Some(name) if name == "experiment" => absolute.parent().and_then(stem).or(Some(name)),
        Some(name) => Some(name),
        // `.` and `..` have no stem until they are resolved.
        None => fs::canonicalize(path).ok().as_deref().and_then(stem),
    };
    let plain = name.unwrap_or_default().replace(|c: char| !(c.is_alphanumeric() || "-_.".contains(c)), "-");
    let plain = plain.trim_matches(['-', '.']).to_owned();
    if plain.is_empty() { "run".to_owned() } else { plain }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn runs_are_called_after_what_they_run() {
        let name = |path: &str| name_of(Path::new(path));
        assert_eq!(name("a/my photos/"), "my-photos");
        assert_eq!(name("x/quick/experiment.toml"), "quick");
        assert_eq!(name("trial.v2.toml"), "trial.v2");
        assert_eq!(name("/"), "run");
        assert_eq!(name("../.."), name_of(&fs::canonicalize("../..").unwrap()));
    }

    #[test]
    fn names_that_are_not_there_are_told_with_the_nearest() {
        let told = |name: &str| find(name).unwrap_err().to_string();
        assert_eq!(told("qick"), "unknown experiment \"qick\"; did you mean \"quick\"?");
        assert!(told("zzzzzzzz").contains("neither a file nor a folder nor one of"));
        assert_eq!(told("./nowhere"), "there is no file or folder \"./nowhere\"");
        assert!(find("nowhere.toml").unwrap_err().to_string().contains("failed to read the experiment"));
    }
}
