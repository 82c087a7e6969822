//! From what a user says, a name, a path or a table, to a dataset.

use crate::catalogue::{known_names, named, nearest};
use crate::cifar::Cifar;
use crate::files;
use crate::folder::{Fit, FolderOptions, ImageFolder, has_sub_folders};
use crate::idx::{IdxFolder, is_idx_name};
use crate::npz::{Npz, NpzOptions, is_npz_name};
use crate::parquet::{Parquet, ParquetOptions, holds_tables};
use crate::problem::unusable;
use bakeoff_core::{Card, Dataset, LoadError, ParamError};
use std::path::{Path, PathBuf};

/// Where a dataset is to come from.
#[derive(Debug, Clone, PartialEq)]
pub enum Source {
    /// A name of the catalogue, or what was meant as one.
    Named(String),
    /// A folder or archive, whose kind is found out.
    Path(PathBuf),
    /// A folder with settings.
    Folder(FolderOptions),
    /// An archive of arrays with settings.
    Npz(NpzOptions),
    /// Parquet files with settings.
    Parquet(ParquetOptions),
}

impl Source {
    /// A known name stays a name, even where a folder is called so (`./mnist` means the folder); all else is a path if
    /// it looks like one or is there, else a name.
    pub fn from_name_or_path(text: &str) -> Self {
        let looks_like_path = text.contains(['/', '\\']) || text.starts_with(['.', '~']) || Path::new(text).exists();
        if named(text).is_none() && looks_like_path {
            Self::Path(PathBuf::from(text))
        } else {
            Self::Named(text.to_owned())
        }
    }

    /// A path with settings, from an experiment file's table: the key `npz`, `parquet` or `folder` says what is there.
    ///
    /// # Errors
    /// One [`ParamError`] per key that is unknown, missing or out of range.
    pub fn from_table(table: &toml::Table) -> Result<Self, Vec<ParamError>> {
        if table.contains_key("npz") {
            NpzOptions::from_table(table).map(Self::Npz)
        } else if table.contains_key("parquet") {
            ParquetOptions::from_table(table).map(Self::Parquet)
        } else {
            FolderOptions::from_table(table).map(Self::Folder)
        }
    }

    /// How images of other sizes are brought to those of this dataset.
    pub fn fit(&self) -> Fit {
        match self {
            Self::Folder(options) => options.fit,
            Self::Parquet(options) => options.fit,
            Self::Named(_) | Self::Path(_) | Self::Npz(_) => Fit::default(),
        }
    }

    /// The key under which a table says where the data at a path is.
    pub fn key_of(path: &Path) -> &'static str {
        if is_npz_name(path) {
            "npz"
        } else if holds_tables(path) {
            "parquet"
        } else {
            "folder"
        }
    }

    /// A name, a path or a table, as an experiment file's `dataset` states it.
    ///
    /// # Errors
    /// One [`ParamError`] per key that is unknown, missing or out of range; of the key `dataset` when it is neither
    /// text nor table.
    pub fn parse(value: &toml::Value) -> Result<Self, Vec<ParamError>> {
        match value {
            toml::Value::String(text) => Ok(Self::from_name_or_path(text)),
            toml::Value::Table(table) => Self::from_table(table),
            other => {
                let problem = format!(
                    "expected a name, a path or a table with `folder`, `npz` or `parquet`, found {}",
                    other.type_str()
                );
                Err(vec![ParamError { key: "dataset".to_owned(), problem }])
            }
        }
    }
}

/// What is wrong with a dataset's table, by key; nothing when it is sound.
pub fn check_table(table: &toml::Table) -> Vec<ParamError> {
    Source::from_table(table).err().unwrap_or_default()
}

/// Finds the dataset that a source means. Relative paths are looked for below each of `search_roots`, in order (none
/// means the current folder). Nothing is read but the names of files.
///
/// # Errors
/// [`LoadError::Missing`] for a name that is not known and a path that is not there, [`LoadError::Unusable`] for a
/// folder that is no dataset.
pub fn open(source: &Source, search_roots: &[PathBuf]) -> Result<Box<dyn Dataset>, LoadError> {
    match source {
        Source::Named(name) => match named(name) {
            Some(known) => Ok((known.open)()),
            // A bare word may be a folder beside the experiment file.
            None => match locate(Path::new(name), search_roots) {
                Ok(path) => detect(&path, FolderOptions::default()),
                Err(looked_in) => Err(unknown(name, looked_in)),
            },
        },
        Source::Path(path) => detect(&find(path, search_roots)?, FolderOptions::default()),
        Source::Folder(options) => detect(&find(Path::new(&options.folder), search_roots)?, options.clone()),
        Source::Npz(options) => Ok(Box::new(Npz::at(&find(Path::new(&options.npz), search_roots)?, options.clone()))),
        Source::Parquet(options) => {
            Ok(Box::new(Parquet::at(&find(Path::new(&options.parquet), search_roots)?, options.clone())))
        }
    }
}

fn find(path: &Path, search_roots: &[PathBuf]) -> Result<PathBuf, LoadError> {
    let missing = |looked_in| LoadError::Missing {
        what: format!("`{}`", path.display()),
        looked_in,
        hint: suggestion(&path.to_string_lossy()),
    };
    locate(path, search_roots).map_err(missing)
}

/// The first place where a path is, or all places where it is not.
fn locate(path: &Path, search_roots: &[PathBuf]) -> Result<PathBuf, Vec<PathBuf>> {
    let places: Vec<PathBuf> = match search_roots {
        [] => vec![path.to_owned()],
        roots => roots.iter().map(|root| root.join(path)).collect(),
    };
    match places.iter().find(|place| place.exists()) {
        Some(place) => Ok(place.clone()),
        None => Err(unique(places)),
    }
}

/// The places in their order, each once: an absolute path is the same below every root.
fn unique(places: Vec<PathBuf>) -> Vec<PathBuf> {
    let mut seen = Vec::new();
    for place in places {
        if !seen.contains(&place) {
            seen.push(place);
        }
    }
    seen
}

fn unknown(name: &str, looked_in: Vec<PathBuf>) -> LoadError {
    LoadError::Missing { what: format!("dataset `{name}`"), looked_in, hint: suggestion(name) }
}

fn suggestion(name: &str) -> String {
    match nearest(name) {
        Some(near) => format!("did you mean `{near}`? Known names: {}", known_names()),
        None => format!("give the path of a folder or one of {}", known_names()),
    }
}

/// What kind of dataset is at a path.
fn detect(path: &Path, options: FolderOptions) -> Result<Box<dyn Dataset>, LoadError> {
    if let Some(folder) = [path.to_owned(), path.join("raw")].into_iter().find(|folder| holds_idx(folder)) {
        refuse_settings(path, &options, "IDX files")?;
        return Ok(Box::new(IdxFolder::at(&folder)));
    }
    if let Some(set) = Cifar::at(path) {
        refuse_settings(path, &options, "CIFAR records")?;
        return Ok(Box::new(set));
    }
    if path.is_file() && is_npz_name(path) {
        refuse_settings(path, &options, "arrays (say `npz` instead of `folder`)")?;
        let npz = path.to_string_lossy().into_owned();
        return Ok(Box::new(Npz::at(path, NpzOptions { npz, ..NpzOptions::default() })));
    }
    if holds_tables(path) {
        refuse_settings(path, &options, "Parquet files (say `parquet` instead of `folder`)")?;
        let parquet = path.to_string_lossy().into_owned();
        return Ok(Box::new(Parquet::at(path, ParquetOptions { parquet, ..ParquetOptions::default() })));
    }
    if path.is_dir() && has_sub_folders(path) {
        return Ok(Box::new(ImageFolder::at(path, options)));
    }
    Err(unusable(path, what_was_expected(path)))
}

/// Settings that would change nothing are refused: whoever wrote them believes that they do.
fn refuse_settings(path: &Path, options: &FolderOptions, kind: &str) -> Result<(), LoadError> {
    let plain = FolderOptions { folder: options.folder.clone(), ..FolderOptions::default() };
    if *options == plain {
        return Ok(());
    }
    Err(unusable(path, format!("it holds {kind}, which are read as they are: `folder` is the only setting")))
}

fn holds_idx(folder: &Path) -> bool {
    files::names(folder).is_ok_and(|names| names.iter().any(|name| is_idx_name(name)))
}

fn what_was_expected(path: &Path) -> String {
    let found = if path.is_dir() { "none of these" } else { "a file" };
    format!(
        "expected a folder with a folder of images for each class, with Parquet files, with IDX files \
         (train-images-idx3-ubyte, …) or with CIFAR batches, the archive {}, a .npz or a .parquet file; found {found}",
        crate::cifar::CIFAR_10.archive
    )
}

/// The card of something that the user has.
pub(crate) fn local_card(path: &Path, what: &str) -> Card {
    let full = path.canonicalize().unwrap_or_else(|_| path.to_owned());
    let name = full.file_name().map_or_else(|| full.display().to_string(), |name| name.to_string_lossy().into_owned());
    Card {
        name,
        summary: format!("{what} in {}", path.display()),
        citation: String::new(),
        licence: "the user's".to_owned(),
        files: Vec::new(),
    }
}

/// The folder under which fetched datasets live: `datasets` in `cache` or, without one, in the user's cache folder
/// (XDG).
pub fn default_root(cache: Option<&Path>) -> PathBuf {
    let own = || directories::ProjectDirs::from("", "", "bakeoff").map(|dirs| dirs.cache_dir().to_owned());
    // Without a home there is still the current folder.
    let cache = cache.map(Path::to_owned).or_else(own).unwrap_or_else(|| PathBuf::from(".bakeoff"));
    cache.join("datasets")
}
