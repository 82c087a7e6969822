//! Color statistics of a square (Clinchant, Csurka, Perronnin, Renders 2007; the 96 numbers of the 2011 ImageNet
//! winner): the mean and the standard deviation of every channel in each of 4×4 cells, intensities from 0 to 1.
//!
//! d = 32 · channels: 96 for color, 32 for grey. Layout: cell row, cell column, channel, then mean and deviation. The
//! deviation is that of the cell's own pixels (divided by their count).

use super::grid::{self, Line, Padded};
use super::{Describe, Place, assert_lengths, check_size};
use bakeoff_core::ExtractError;
use bakeoff_core::params::Fraction;
use serde::{Deserialize, Serialize};
use std::num::NonZeroUsize;

/// Settings of color statistics.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct ColorStats {
    /// Sides of a cell in pixels, one a scale; a square has 4×4 cells.
    pub cells: Vec<NonZeroUsize>,
    /// Pixels from one square to the next.
    pub step: NonZeroUsize,
    /// Share of a square that may lie outside of the image at each side, 0.5 at most.
    pub overhang: Fraction,
}

impl Default for ColorStats {
    fn default() -> Self {
        let four = const { NonZeroUsize::new(4).expect("positive") };
        Self { cells: vec![four], step: four, overhang: Fraction::literal(0.0) }
    }
}

/// Cells a square's side.
const CELLS: usize = 4;

impl ColorStats {
    pub(super) fn plan(&self, shape: (usize, usize, usize)) -> Result<Box<dyn Describe>, ExtractError> {
        if self.cells.is_empty() {
            return Err(ExtractError::refused("no cell sides are named"));
        }
        let (height, width, channels) = shape;
        let mut grids = Vec::new();
        let mut places = Vec::new();
        for cell in &self.cells {
            let side = cell.get().saturating_mul(CELLS);
            grid::check(side as f64, self.overhang)?;
            let line = |length| Line::of_pixels(length, side, self.step.get(), self.overhang);
            let (rows, columns) = (line(height), line(width));
            check_size(places.len() + rows.count * columns.count, 2 * CELLS * CELLS * channels)?;
            places.extend(grid::places((height, width), rows, columns, side as f64));
            grids.push((rows, columns, side));
        }
        let padded = Padded::new(shape, &grids);
        Ok(Box::new(Plan { grids, places, padded }))
    }
}

struct Plan {
    /// Rows, columns and side of each scale's squares.
    grids: Vec<(Line, Line, usize)>,
    places: Vec<Place>,
    padded: Padded,
}

impl Describe for Plan {
    fn dim(&self) -> usize {
        2 * CELLS * CELLS * self.padded.shape().2
    }

    fn places(&self) -> &[Place] {
        &self.places
    }

    fn describe(&self, image: &[u8], scratch: &mut Vec<f32>, out: &mut [f32]) {
        assert_lengths(self, self.padded.shape(), image, out);
        self.padded.fill(image, scratch);
        let mut out = out.chunks_exact_mut(self.dim());
        for &(rows, columns, side) in &self.grids {
            for (y, x) in rows.starts().flat_map(|y| columns.starts().map(move |x| (y, x))) {
                let Some(row) = out.next() else { return };
                self.square(&scratch[self.padded.at(y, x)..], side / CELLS, row);
            }
        }
    }
}

impl Plan {
    /// The statistics of the square whose first pixel is the first of `pixels`.
    fn square(&self, pixels: &[f32], cell: usize, row: &mut [f32]) {
        let (stride, channels) = (self.padded.stride(), self.padded.shape().2);
        for (i, pairs) in row.chunks_exact_mut(2 * channels).enumerate() {
            let corner = (i / CELLS * stride + i % CELLS * channels) * cell;
            for (channel, pair) in pairs.chunks_exact_mut(2).enumerate() {
                let (mean, deviation) = statistics(&pixels[corner + channel..], stride, channels, cell);
                (pair[0], pair[1]) = (mean, deviation);
            }
        }
    }
}

/// Mean and standard deviation of one channel of a cell, as shares of 255. Sums of bytes and of their squares are whole
/// numbers, which f64 holds exactly, so equal pixels have a deviation of exactly 0.
fn statistics(pixels: &[f32], stride: usize, channels: usize, cell: usize) -> (f32, f32) {
    let (mut sum, mut squares) = (0.0f64, 0.0f64);
    for y in 0..cell {
        let line = &pixels[y * stride..];
        let (mut line_sum, mut line_squares) = (0.0f32, 0.0f32);
        for value in line.iter().step_by(channels).take(cell) {
            line_sum += value;
            line_squares += value * value;
        }
        sum += f64::from(line_sum);
        squares += f64::from(line_squares);
    }
    let n = (cell * cell) as f64;
    let variance = (n * squares - sum * sum).max(0.0) / (n * n);
    ((sum / n / 255.0) as f32, (variance.sqrt() / 255.0) as f32)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn described(settings: &ColorStats, shape: (usize, usize, usize), image: &[u8]) -> Vec<f32> {
        let plan = settings.plan(shape).unwrap();
        let mut out = vec![f32::NAN; plan.dim() * plan.places().len()];
        plan.describe(image, &mut Vec::new(), &mut out);
        out
    }

    #[test]
    fn one_square_of_grey_worked_by_hand() {
        // Cells of 2×2 in 8×8; the first holds 0, 255, 255, 0: mean ½, deviation ½. All others hold 51: mean 0.2.
        let mut image = vec![51u8; 64];
        (image[0], image[1], image[8], image[9]) = (0, 255, 255, 0);
        let two = NonZeroUsize::new(2).unwrap();
        let found = described(&ColorStats { cells: vec![two], ..ColorStats::default() }, (8, 8, 1), &image);
        assert_eq!(found.len(), 32);
        assert_eq!(found[..2], [0.5, 0.5]);
        assert!(found[2..].chunks(2).all(|pair| pair == [0.2, 0.0]), "{found:?}");
    }

    #[test]
    fn channels_stand_side_by_side_in_a_cell() {
        let image: Vec<u8> = (0..256).flat_map(|_| [255, 0, 51]).collect();
        let found = described(&ColorStats::default(), (16, 16, 3), &image);
        assert_eq!(found.len(), 96);
        assert!(found.chunks(6).all(|cell| cell == [1.0, 0.0, 0.0, 0.0, 0.2, 0.0]));
    }

    #[test]
    fn a_single_pixel_has_one_square_of_its_color() {
        let found = described(&ColorStats::default(), (1, 1, 1), &[255]);
        assert!(found.len() == 32 && found.chunks(2).all(|pair| pair == [1.0, 0.0]));
    }

    #[test]
    fn absurd_settings_are_refused() {
        let reason = |settings: ColorStats| settings.plan((32, 32, 3)).err().unwrap().to_string();
        let default = ColorStats::default;
        assert!(reason(ColorStats { cells: vec![], ..default() }).contains("no cell"));
        assert!(reason(ColorStats { cells: vec![NonZeroUsize::MAX], ..default() }).contains("4096"));
        assert!(reason(ColorStats { overhang: Fraction::literal(0.75), ..default() }).contains("0.5"));
    }
}
