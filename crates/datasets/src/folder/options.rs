//! The settings of a folder of images, as experiment files state them.

use bakeoff_core::{ParamError, Recipe, params::Fraction};
use serde::{Deserialize, Serialize};

/// Pixels that a side may be asked to have.
const GREATEST_SIDE: usize = 4096;

/// A folder of images and how they are brought together: `dataset = { folder = "photos", size = [64, 64] }`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct FolderOptions {
    /// Where it is. Relative paths are looked for beside the experiment file, then in the current folder.
    pub folder: String,
    /// (height, width) in pixels that every image gets. Without it: the images' own size when they all have the same
    /// and neither side is over 64, else 64×64.
    pub size: Option<(usize, usize)>,
    /// How an image of another size gets there.
    pub fit: Fit,
    /// Channels.
    pub colour: Colour,
    /// The share of each class that becomes the test part, above 0 and below 1. Only where the folder has no `train`
    /// and `test`.
    pub test_share: Fraction,
    /// What happens with an image that cannot be read.
    pub on_error: OnError,
    /// The seed of the split.
    pub seed: u64,
}

/// How an image of another size is brought to the one size.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Fit {
    /// The largest middle piece of the right proportions, resized: what resizing the shorter side and cutting off the
    /// ends of the longer one gives.
    #[default]
    Crop,
    /// All of the image, whatever becomes of its proportions.
    Stretch,
}

/// Channels of the images.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Colour {
    /// One when every image is grey, else three.
    #[default]
    Auto,
    /// One: luma by Rec. 601, (19,595 R + 38,470 G + 7,471 B + 32,768) / 65,536.
    Grey,
    /// Three.
    Rgb,
}

/// What happens with an image that cannot be read.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum OnError {
    /// Nothing is loaded and all such images are told.
    #[default]
    Stop,
    /// It is left out and counted in the notes.
    Skip,
}

impl Default for FolderOptions {
    fn default() -> Self {
        Self {
            folder: String::new(),
            size: None,
            fit: Fit::default(),
            colour: Colour::default(),
            test_share: Fraction::literal(0.2),
            on_error: OnError::default(),
            seed: 0,
        }
    }
}

impl Recipe for FolderOptions {
    const NAME: &'static str = "a dataset's table";
    const SUMMARY: &'static str = "a folder of images, one folder a class";
    const REFERENCE: &'static str = "";
}

impl FolderOptions {
    /// The settings from a table, all problems told together.
    ///
    /// # Errors
    /// One [`ParamError`] per key that is unknown, missing or out of range.
    pub fn from_table(table: &toml::Table) -> Result<Self, Vec<ParamError>> {
        let options: Self = bakeoff_core::catalogue::parse(table)?;
        let problems = options.problems();
        if problems.is_empty() { Ok(options) } else { Err(problems) }
    }

    /// What the types let through and cannot be used.
    pub(crate) fn problems(&self) -> Vec<ParamError> {
        let mut problems = Vec::new();
        let mut tell = |key: &str, problem: String| problems.push(ParamError { key: key.to_owned(), problem });
        if self.folder.is_empty() {
            tell("folder", "expected the path of a folder".to_owned());
        }
        if let Some((height, width)) = self.size
            && (height.min(width) < 1 || height.max(width) > GREATEST_SIDE)
        {
            tell("size", format!("expected [height, width] from 1 to {GREATEST_SIDE}, found [{height}, {width}]"));
        }
        problems.extend(share_problem(self.test_share));
        problems
    }
}

/// What is wrong with the share of a test part.
pub(crate) fn share_problem(share: Fraction) -> Option<ParamError> {
    let problem = || format!("expected a share above 0 and below 1, found {}", share.get());
    (share.get() <= 0.0).then(|| ParamError { key: "test_share".to_owned(), problem: problem() })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(text: &str) -> Result<FolderOptions, Vec<ParamError>> {
        FolderOptions::from_table(&toml::from_str(text).unwrap())
    }

    #[test]
    fn what_is_not_said_keeps_its_default() {
        let options = parse("folder = 'photos'\nsize = [48, 64]\nfit = 'stretch'\non_error = 'skip'").unwrap();
        let expected = FolderOptions {
            folder: "photos".to_owned(),
            size: Some((48, 64)),
            fit: Fit::Stretch,
            on_error: OnError::Skip,
            ..FolderOptions::default()
        };
        assert_eq!(options, expected);
        let table = toml::Table::try_from(FolderOptions::default()).unwrap();
        assert_eq!((table.get("size"), table["colour"].as_str()), (None, Some("auto")));
    }

    #[test]
    fn all_problems_are_told_by_key() {
        let keys = |text| parse(text).unwrap_err().into_iter().map(|p| p.key).collect::<Vec<_>>();
        assert_eq!(keys("folder = 3\nfit = 'squeeze'\nsizes = [1, 1]"), ["fit", "folder", "sizes"]);
        assert_eq!(keys("size = [0, 5]\ntest_share = 0.0"), ["folder", "size", "test_share"]);
        assert_eq!(keys("folder = 'a'\nsize = [5, 5000]"), ["size"]);
        assert_eq!(keys("folder = 'a'\nsize = [-5, 5]\ntest_share = nan"), ["size", "test_share"]);
    }
}
