//! The pixels of a square themselves, d = side² · channels, row by row with channels innermost: raw, as shares of 255,
//! or normalised as in Coates, Lee, Ng 2011: (v − mean) / √(variance + 10) over all numbers of the patch, with
//! intensities from 0 to 255 and the variance divided by the count.

use super::grid::{self, Line, Padded};
use super::{Describe, Place, assert_lengths, check_size};
use bakeoff_core::ExtractError;
use bakeoff_core::params::Fraction;
use serde::{Deserialize, Serialize};
use std::num::NonZeroUsize;

/// Settings of patches.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Patches {
    /// Side of a patch in pixels.
    pub side: NonZeroUsize,
    /// Pixels from one patch to the next.
    pub step: NonZeroUsize,
    /// Share of a patch that may lie outside of the image at each side, 0.5 at most.
    pub overhang: Fraction,
    /// Whether brightness and contrast of the patch are taken out.
    pub normalised: bool,
}

impl Default for Patches {
    fn default() -> Self {
        let six = const { NonZeroUsize::new(6).expect("positive") };
        Self { side: six, step: NonZeroUsize::MIN, overhang: Fraction::literal(0.0), normalised: true }
    }
}

/// What is added to the variance, in squared intensities: contrasts well below √10 levels count as noise.
const LEAST_VARIANCE: f32 = 10.0;

impl Patches {
    pub(super) fn plan(&self, shape: (usize, usize, usize)) -> Result<Box<dyn Describe>, ExtractError> {
        let (height, width, channels) = shape;
        let side = self.side.get();
        grid::check(side as f64, self.overhang)?;
        let line = |length| Line::of_pixels(length, side, self.step.get(), self.overhang);
        let (rows, columns) = (line(height), line(width));
        check_size(rows.count * columns.count, side * side * channels)?;
        let places = grid::places((height, width), rows, columns, side as f64);
        let padded = Padded::new(shape, &[(rows, columns, side)]);
        Ok(Box::new(Plan { side, normalised: self.normalised, rows, columns, places, padded }))
    }
}

struct Plan {
    side: usize,
    normalised: bool,
    rows: Line,
    columns: Line,
    places: Vec<Place>,
    padded: Padded,
}

impl Describe for Plan {
    fn dim(&self) -> usize {
        self.side * self.side * self.padded.shape().2
    }

    fn places(&self) -> &[Place] {
        &self.places
    }

    fn describe(&self, image: &[u8], scratch: &mut Vec<f32>, out: &mut [f32]) {
        assert_lengths(self, self.padded.shape(), image, out);
        self.padded.fill(image, scratch);
        let line = self.side * self.padded.shape().2;
        let corners = self.rows.starts().flat_map(|y| self.columns.starts().map(move |x| (y, x)));
        for ((y, x), row) in corners.zip(out.chunks_exact_mut(self.dim())) {
            let from = scratch[self.padded.at(y, x)..].chunks(self.padded.stride());
            row.chunks_exact_mut(line).zip(from).for_each(|(row, from)| row.copy_from_slice(&from[..line]));
            if self.normalised {
                normalise(row);
            } else {
                row.iter_mut().for_each(|v| *v /= 255.0);
            }
        }
    }
}

fn normalise(values: &mut [f32]) {
    let n = values.len() as f32;
    let mean = values.iter().sum::<f32>() / n;
    let variance = values.iter().map(|v| (v - mean) * (v - mean)).sum::<f32>() / n;
    let scale = 1.0 / (variance + LEAST_VARIANCE).sqrt();
    values.iter_mut().for_each(|v| *v = (*v - mean) * scale);
}

#[cfg(test)]
mod tests {
    use super::*;

    fn described(settings: &Patches, shape: (usize, usize, usize), image: &[u8]) -> Vec<f32> {
        let plan = settings.plan(shape).unwrap();
        let mut out = vec![f32::NAN; plan.dim() * plan.places().len()];
        plan.describe(image, &mut Vec::new(), &mut out);
        out
    }

    fn patches(side: usize, normalised: bool) -> Patches {
        Patches { side: NonZeroUsize::new(side).unwrap(), normalised, ..Patches::default() }
    }

    #[test]
    fn patches_of_a_small_image_worked_by_hand() {
        // 2×3 pixels, patches of 2×2: columns 0, 1 and then 1, 2.
        let raw = described(&patches(2, false), (2, 3, 1), &[0, 51, 102, 153, 204, 255]);
        assert_eq!(raw, [0.0, 0.2, 0.6, 0.8, 0.2, 0.4, 0.8, 1.0]);
        // Mean 3, variance (9 + 9 + 1 + 1) / 4 = 5: divided by √15.
        let normalised = described(&patches(2, true), (2, 2, 1), &[0, 6, 2, 4]);
        let expected = [-3.0, 3.0, -1.0, 1.0].map(|v| v / 15f32.sqrt());
        assert!(normalised.iter().zip(expected).all(|(a, b)| (a - b).abs() < 1e-6), "{normalised:?}");
    }

    #[test]
    fn an_image_smaller_than_a_patch_has_its_border_repeated() {
        assert_eq!(described(&patches(3, false), (1, 1, 2), &[255, 0]), [1.0, 0.0].repeat(9));
    }

    #[test]
    fn too_many_numbers_are_refused() {
        let reason = patches(64, true).plan((2000, 2000, 3)).err().unwrap().to_string();
        assert!(reason.contains("a larger step"), "{reason}");
    }
}
