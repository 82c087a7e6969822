//! Dense SIFT (Lowe 2004; on a grid, upright, Bosch, Zisserman, Muñoz 2007): histograms of 8 directions in 4×4 cells.
//!
//! The gradient of a pixel is the central difference, (v(x+1) − v(x−1), v(y−1) − v(y+1)), direction 0 to the right and
//! a quarter turn up; the outermost pixels of the image have none. It votes with its length times a Gaussian window
//! (σ = half of the square's side) and is shared linearly between the two nearest directions, the two nearest rows and
//! the two nearest columns of cells; what falls outside of the cells is dropped. The 128 numbers are brought to length
//! 1, clipped at 0.2, brought to length 1 again; `root` then takes L1 shares and their square roots (RootSIFT:
//! Arandjelović, Zisserman 2012). A square without any gradient is zero. Layout: cell row, cell column, direction.
//!
//! Equal to OpenCV's `SIFT.compute` at upright keypoints in these places (of size ⅔ cell) but for four things:
//! OpenCV rounds a centre to a whole pixel, where ours may lie between two; it blurs first by √(1.6² − 0.5²) pixels,
//! whatever the cell's side, where `smoothing` is a share of that side; its arc tangent is off by up to 0.3°; and it
//! multiplies by 512 and rounds to bytes.
//!
//! `channels = "grey"` weighs 0.299 R + 0.587 G + 0.114 B in integers, as OpenCV does, d = 128; `"rgb"` and `"opponent"`
//! (van de Sande, Gevers, Snoek 2010: (R − G)/√2, (R + G − 2B)/√6, (R + G + B)/√3) put a descriptor a channel side by
//! side, each normalised alone, d = 384. Grey images have one channel and d = 128 whatever is said.

mod kernel;

use super::grid::{self, Line};
use super::{Describe, Place, assert_lengths, check_size};
use bakeoff_core::ExtractError;
use bakeoff_core::params::{Fraction, NonNegative, Positive};
use kernel::Scale;
use serde::{Deserialize, Serialize};
use std::num::NonZeroUsize;

/// What the gradients are taken of.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Channels {
    /// Brightness alone.
    #[default]
    Grey,
    /// Every channel as it is.
    Rgb,
    /// Red against green, yellow against blue, and brightness.
    Opponent,
}

/// Settings of dense SIFT.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Sift {
    /// Sides of a cell in pixels, 1 or more, one a scale; a square has 4×4 cells.
    pub cells: Vec<Positive>,
    /// Pixels from one square to the next.
    pub step: NonZeroUsize,
    /// Share of a square that may lie outside of the image at each side, 0.5 at most.
    pub overhang: Fraction,
    /// What the gradients are taken of.
    pub channels: Channels,
    /// σ of the blur before, as a share of the cell's side; 0 for none.
    pub smoothing: NonNegative,
    /// Whether square roots of L1 shares are taken.
    pub root: bool,
}

impl Default for Sift {
    fn default() -> Self {
        Self {
            cells: vec![Positive::literal(4.0)],
            step: const { NonZeroUsize::new(4).expect("positive") },
            overhang: Fraction::literal(0.0),
            channels: Channels::Grey,
            smoothing: NonNegative::literal(0.0),
            root: true,
        }
    }
}

/// Numbers of one channel's descriptor: 4 · 4 · 8.
const NUMBERS: usize = 128;

/// Cells a square's side.
const CELLS: f64 = 4.0;

impl Sift {
    pub(super) fn plan(&self, shape: (usize, usize, usize)) -> Result<Box<dyn Describe>, ExtractError> {
        let (height, width, _) = shape;
        let channels = self.count_channels(shape.2)?;
        if self.cells.is_empty() {
            return Err(ExtractError::refused("no cell sides are named"));
        }
        let (mut scales, mut places) = (Vec::new(), Vec::new());
        for cell in self.cells.iter().map(|cell| cell.get()) {
            if cell < 1.0 {
                return Err(ExtractError::refused(format!("cells of {cell} pixels; 1 is the least")));
            }
            let (side, sigma) = (cell * CELLS, cell * self.smoothing.get());
            grid::check(side, self.overhang)?;
            if sigma > 1024.0 {
                return Err(ExtractError::refused(format!("a blur of {sigma} pixels; 1024 are the most")));
            }
            let line = |length| Line::new(length, side, self.step.get(), self.overhang);
            let (rows, columns) = (line(height), line(width));
            check_size(places.len() + rows.count * columns.count, NUMBERS * channels)?;
            places.extend(grid::places((height, width), rows, columns, side));
            scales.push(Scale::new((height, width), rows, columns, cell, sigma));
        }
        Ok(Box::new(Plan { shape, channels, color: self.channels, root: self.root, scales, places }))
    }

    /// Channels that are described.
    fn count_channels(&self, channels: usize) -> Result<usize, ExtractError> {
        match (self.channels, channels) {
            (_, 1) | (Channels::Grey, 3) => Ok(1),
            (Channels::Rgb | Channels::Opponent, 3) => Ok(3),
            _ => Err(ExtractError::refused(format!("{channels} channels; sift takes 1 or 3"))),
        }
    }
}

struct Plan {
    shape: (usize, usize, usize),
    /// Channels that are described.
    channels: usize,
    color: Channels,
    root: bool,
    scales: Vec<Scale>,
    places: Vec<Place>,
}

impl Describe for Plan {
    fn dim(&self) -> usize {
        NUMBERS * self.channels
    }

    fn places(&self) -> &[Place] {
        &self.places
    }

    fn describe(&self, image: &[u8], scratch: &mut Vec<f32>, out: &mut [f32]) {
        assert_lengths(self, self.shape, image, out);
        kernel::describe(self, image, scratch, out);
    }
}

#[cfg(test)]
mod tests;
