//! Local descriptors: numbers about squares of an image, on a regular grid, as visual words and Fisher vectors use them.
//!
//! All images of one size have the same squares, so a descriptor is first turned into a plan for a size,
//! which says where the squares lie and fills one row a square. A square lies whole in the image unless the settings
//! let it overhang; an image that is smaller than one square has a single one at its centre. What lies outside of the
//! image repeats its border.

pub mod color_stats;
pub(crate) mod grid;
pub mod patches;
pub(crate) mod prepared;
pub(crate) mod regions;
pub(crate) mod sample;
pub mod sift;

use bakeoff_core::ExtractError;
use serde::{Deserialize, Serialize};

pub use color_stats::ColorStats;
pub use patches::Patches;
pub use sift::Sift;

/// Which local descriptor, with its settings.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "kebab-case")]
pub enum Local {
    /// Histograms of directions in the 16 cells of a square.
    Sift(Sift),
    /// Means and deviations of color in the 16 cells of a square.
    ColorStats(ColorStats),
    /// The square's own pixels.
    Patches(Patches),
}

impl Default for Local {
    fn default() -> Self {
        Self::Sift(Sift::default())
    }
}

impl Local {
    /// The plan for images of this (height, width, channels).
    ///
    /// # Errors
    /// [`ExtractError::Refused`] when such images cannot be described, with the reason.
    pub(crate) fn plan(&self, shape: (usize, usize, usize)) -> Result<Box<dyn Describe>, ExtractError> {
        match self {
            Self::Sift(settings) => settings.plan(shape),
            Self::ColorStats(settings) => settings.plan(shape),
            Self::Patches(settings) => settings.plan(shape),
        }
    }
}

/// Where a descriptor looks.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Place {
    /// Centre as a share of the height, 0 at the upper edge and 1 at the lower.
    pub(crate) y: f32,
    /// Centre as a share of the width, 0 at the left edge and 1 at the right.
    pub(crate) x: f32,
    /// Side of the square in pixels.
    pub(crate) side: f32,
}

/// Descriptors of images of one size.
pub(crate) trait Describe: Send + Sync {
    /// d, numbers a descriptor; at least 1.
    fn dim(&self) -> usize;

    /// One place a descriptor, in the order of the rows; the same for every image, and at least one.
    fn places(&self) -> &[Place];

    /// Writes the descriptors of one image (height · width · channels bytes) into `out` (places · d, row by row).
    /// `scratch` is the plan's own between calls: hand over an empty one first, then the same again to save its making.
    ///
    /// # Panics
    /// When `image` is not of the planned size or `out` not of places · d numbers.
    fn describe(&self, image: &[u8], scratch: &mut Vec<f32>, out: &mut [f32]);
}

/// Asserts the lengths that every [`Describe::describe`] gets.
fn assert_lengths(plan: &dyn Describe, shape: (usize, usize, usize), image: &[u8], out: &[f32]) {
    assert_eq!(image.len(), shape.0 * shape.1 * shape.2, "bytes of an image of the planned size");
    assert_eq!(out.len(), plan.places().len() * plan.dim(), "one row a place");
}

/// Numbers that the descriptors of one image may be at most: 256 MB of f32.
const MOST_NUMBERS: usize = 1 << 26;

/// Refuses grids whose descriptors would not fit.
fn check_size(places: usize, dim: usize) -> Result<(), ExtractError> {
    match places.checked_mul(dim) {
        Some(numbers) if numbers <= MOST_NUMBERS => Ok(()),
        _ => Err(ExtractError::refused(format!(
            "{places} descriptors of {dim} numbers an image, {MOST_NUMBERS} numbers are the most: a larger step"
        ))),
    }
}
