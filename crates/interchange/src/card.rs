//! The card of a stored pipeline: what it is, of which images, and where it comes from.

use crate::error::InterchangeError;
use serde::{Deserialize, Serialize};
use serde_json::Value;

/// The version of the file's conventions. Raised when the same file comes to mean something else.
pub const FORMAT: u64 = 1;

/// Pixels that a side of the images has at most.
const GREATEST_SIDE: usize = 4096;
/// Classes at most.
const MOST_CLASSES: usize = 1 << 20;

/// What is known of a stored pipeline beside its arrays.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Card {
    /// [`FORMAT`].
    pub format: u64,
    /// Name and version of the program that wrote it.
    pub program: String,
    /// The pipeline's name in its experiment.
    pub pipeline: String,
    /// Its settings as meant, every default filled in.
    pub settings: Value,
    /// What its images are like.
    pub images: ImageCard,
    /// The name of each class; a column of the scores is a position in here. At least two.
    pub classes: Vec<String>,
    /// What it learned from.
    pub dataset: DatasetCard,
    /// The seed of the run that it was fitted in.
    pub seed: u64,
    /// Training images.
    pub n_train: usize,
    /// Share of the test images that it classified rightly, where that is known.
    pub accuracy: Option<f64>,
    /// When it was written: RFC 3339, UTC.
    pub created: String,
}

/// How images are brought to a pipeline.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ImageCard {
    /// Height in pixels.
    pub height: usize,
    /// Width in pixels.
    pub width: usize,
    /// 1 for grey, 3 for RGB.
    pub channels: usize,
    /// How an image of another size gets there: `crop` or `stretch`.
    pub fit: String,
}

/// What a pipeline learned from.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct DatasetCard {
    /// Its name.
    pub name: String,
    /// SHA-256 of its content.
    pub sha256: String,
}

impl Card {
    /// (height, width, channels).
    pub fn shape(&self) -> (usize, usize, usize) {
        (self.images.height, self.images.width, self.images.channels)
    }

    /// The card as text for a person, or for the file beside the model.
    ///
    /// # Errors
    /// [`InterchangeError::Card`] when a number has no form in JSON.
    pub fn to_json(&self) -> Result<String, InterchangeError> {
        serde_json::to_string_pretty(self).map_err(|e| InterchangeError::card(e.to_string()))
    }

    pub(crate) fn from_json(text: &str) -> Result<Self, InterchangeError> {
        let problem = |e: serde_json::Error| InterchangeError::card(e.to_string());
        let value: Value = serde_json::from_str(text).map_err(problem)?;
        // Before the fields, which another format may have others of.
        match value.get("format").and_then(Value::as_u64) {
            Some(FORMAT) => {}
            Some(found) => return Err(InterchangeError::Version { found, known: FORMAT }),
            None => return Err(InterchangeError::card("expected its format, a whole number, found none")),
        }
        let card: Self = serde_json::from_value(value).map_err(problem)?;
        card.check()?;
        Ok(card)
    }

    /// Refuses what no pipeline can have.
    pub(crate) fn check(&self) -> Result<(), InterchangeError> {
        let ImageCard { height, width, channels, fit } = &self.images;
        if !(1..=GREATEST_SIDE).contains(height) || !(1..=GREATEST_SIDE).contains(width) || ![1, 3].contains(channels) {
            let problem = format!(
                "expected images of 1 to {GREATEST_SIDE} pixels a side and 1 or 3 channels, found {height}×{width}×{channels}"
            );
            return Err(InterchangeError::card(problem));
        }
        if !["crop", "stretch"].contains(&fit.as_str()) {
            return Err(InterchangeError::card(format!("expected the fit `crop` or `stretch`, found {fit:?}")));
        }
        let n = self.classes.len();
        if !(2..=MOST_CLASSES).contains(&n) {
            return Err(InterchangeError::card(format!("expected 2 to {MOST_CLASSES} classes, found {n}")));
        }
        Ok(())
    }
}
