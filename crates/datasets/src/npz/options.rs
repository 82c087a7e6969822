//! The settings of a `.npz` file, as experiment files state them.

use bakeoff_core::{ParamError, Recipe, params::Fraction};
use serde::{Deserialize, Serialize};

/// An archive of arrays: `dataset = { npz = "pathmnist.npz" }`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct NpzOptions {
    /// Where it is. Relative paths are looked for beside the experiment file, then in the current folder.
    pub npz: String,
    /// The share of each class that becomes the test part, above 0 and below 1. Only where the file has no test part.
    pub test_share: Fraction,
    /// The seed of the split.
    pub seed: u64,
}

impl Default for NpzOptions {
    fn default() -> Self {
        Self { npz: String::new(), test_share: Fraction::literal(0.2), seed: 0 }
    }
}

impl Recipe for NpzOptions {
    const NAME: &'static str = "a dataset's table";
    const SUMMARY: &'static str = "an archive of arrays, as numpy writes it";
    const REFERENCE: &'static str = "";
}

impl NpzOptions {
    /// The settings from a table, all problems told together.
    ///
    /// # Errors
    /// One [`ParamError`] per key that is unknown, missing or out of range.
    pub fn from_table(table: &toml::Table) -> Result<Self, Vec<ParamError>> {
        let options: Self = bakeoff_core::catalogue::parse(table)?;
        let mut problems = Vec::new();
        if options.npz.is_empty() {
            problems.push(ParamError { key: "npz".to_owned(), problem: "expected the path of a .npz file".to_owned() });
        }
        problems.extend(crate::folder::share_problem(options.test_share));
        if problems.is_empty() { Ok(options) } else { Err(problems) }
    }
}
