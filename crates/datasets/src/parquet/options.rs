//! The settings of Parquet files, as experiment files state them.

use crate::folder::{Colour, Fit, FolderOptions, OnError};
use bakeoff_core::{ParamError, Recipe, params::Fraction};
use serde::{Deserialize, Serialize};

/// Images in Parquet files: `dataset = { parquet = "cats", label = "breed", size = [64, 64] }`.
///
/// What is said here and of a folder of images too means the same for both.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct ParquetOptions {
    /// A file, or the folder that holds them. Relative paths are looked for beside the experiment file, then in the
    /// current folder.
    pub parquet: String,
    /// The column of images, where the files leave a choice.
    pub image: Option<String>,
    /// The column of labels, where the files leave a choice.
    pub label: Option<String>,
    /// (height, width) in pixels that every image gets, as in [`FolderOptions::size`].
    pub size: Option<(usize, usize)>,
    /// How an image of another size gets there.
    pub fit: Fit,
    /// Channels.
    pub colour: Colour,
    /// The share of each class that becomes the test part, above 0 and below 1. Only where the files have no test part.
    pub test_share: Fraction,
    /// What happens with an image that cannot be read.
    pub on_error: OnError,
    /// The seed of the split.
    pub seed: u64,
}

impl Default for ParquetOptions {
    fn default() -> Self {
        let FolderOptions { folder, size, fit, colour, test_share, on_error, seed } = FolderOptions::default();
        Self { parquet: folder, image: None, label: None, size, fit, colour, test_share, on_error, seed }
    }
}

impl Recipe for ParquetOptions {
    const NAME: &'static str = "a dataset's table";
    const SUMMARY: &'static str = "images in Parquet files";
    const REFERENCE: &'static str = "";
}

impl ParquetOptions {
    /// The settings from a table, all problems told together.
    ///
    /// # Errors
    /// One [`ParamError`] per key that is unknown, missing or out of range.
    pub fn from_table(table: &toml::Table) -> Result<Self, Vec<ParamError>> {
        let options: Self = bakeoff_core::catalogue::parse(table)?;
        let mut problems = options.as_folder().problems();
        for problem in problems.iter_mut().filter(|problem| problem.key == "folder") {
            "parquet".clone_into(&mut problem.key);
            "expected the path of a file or folder".clone_into(&mut problem.problem);
        }
        if problems.is_empty() { Ok(options) } else { Err(problems) }
    }

    /// What is said of the images, as of those in a folder.
    pub(crate) fn as_folder(&self) -> FolderOptions {
        let Self { parquet, size, fit, colour, test_share, on_error, seed, .. } = self.clone();
        FolderOptions { folder: parquet, size, fit, colour, test_share, on_error, seed }
    }
}
