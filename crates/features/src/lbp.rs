//! Local binary patterns (Ojala, Pietikäinen, Mäenpää 2002): shares of patterns of brighter and darker neighbours, for
//! each field of a grid.
//!
//! Eight neighbours lie on a circle around a pixel, the first to the right and the others counter-clockwise; between
//! pixels they are interpolated bilinearly. Bit i is 1 where neighbour i is at least as bright as the centre. Patterns
//! with at most two changes around the circle are uniform: 58 of them, ordered by their count of ones and then by
//! rotation, and one bin for all others (59 numbers a field: scikit-image's `nri_uniform`); `rotation_invariant` counts
//! ones alone, 0 to 8, and one bin for all others (10 numbers: its `uniform`). Color images are taken in grey, 0.299 R +
//! 0.587 G + 0.114 B rounded to a byte. Layout: field row, field column, bin; each field's shares sum to 1.
//!
//! Two things differ from scikit-image: what lies outside of the image repeats its border and is not 0, and positions
//! are whole multiples of 2⁻¹⁰ pixel, so that neighbours are exact and a flat region is always "at least as bright".

use crate::MOST_NUMBERS;
use crate::gradient::grey;
use bakeoff_core::params::Positive;
use bakeoff_core::{Encoder, ExtractError, Extractor, ImagesView, Recipe, RestoreError, Seed, Tensors};
use ndarray::ArrayViewMut2;
use serde::{Deserialize, Serialize};
use std::f64::consts::PI;
use std::num::NonZeroUsize;

/// Settings of local binary patterns.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Lbp {
    /// Radius of the circle in pixels, 64 at most.
    pub radius: Positive,
    /// Whether rotated patterns are one.
    pub rotation_invariant: bool,
    /// Fields of the image, (rows, columns); pixel (y, x) is in field (⌊y · rows / height⌋, ⌊x · columns / width⌋).
    pub grid: (NonZeroUsize, NonZeroUsize),
}

impl Default for Lbp {
    fn default() -> Self {
        let four = const { NonZeroUsize::new(4).expect("positive") };
        Self { radius: Positive::literal(1.0), rotation_invariant: false, grid: (four, four) }
    }
}

impl Recipe for Lbp {
    const NAME: &'static str = "lbp";
    const SUMMARY: &'static str = "shares of uniform local binary patterns on a grid";
    const REFERENCE: &'static str = "Ojala, Pietikäinen, Mäenpää 2002";
    const SEARCH: &'static str = "radius = { choice = [1.0, 2.0] }\n\
        grid = { choice = [[2, 2], [4, 4]] }";
}

/// Neighbours on the circle.
const NEIGHBORS: usize = 8;

impl Extractor for Lbp {
    fn fit(&self, train: ImagesView<'_>, _: Seed) -> Result<Box<dyn Encoder>, ExtractError> {
        Ok(Box::new(self.planned(train.shape())?))
    }

    fn restore(&self, shape: (usize, usize, usize), learned: Tensors) -> Result<Box<dyn Encoder>, RestoreError> {
        learned.finish()?;
        Ok(Box::new(self.planned(shape)?))
    }
}

impl Lbp {
    /// The encoder for images of this (height, width, channels): nothing is learned from them.
    fn planned(&self, shape: (usize, usize, usize)) -> Result<Fitted, ExtractError> {
        if !matches!(shape.2, 1 | 3) {
            return Err(ExtractError::refused(format!("{} channels; lbp takes 1 or 3", shape.2)));
        }
        if self.radius.get() > 64.0 {
            return Err(ExtractError::refused(format!("a radius of {} pixels; 64 is the most", self.radius.get())));
        }
        let (bins, per_field) = bins(self.rotation_invariant);
        let fields = self.grid.0.get().checked_mul(self.grid.1.get());
        match fields.and_then(|fields| fields.checked_mul(per_field)) {
            Some(dim) if dim <= MOST_NUMBERS => Ok(Fitted {
                grid: (self.grid.0.get(), self.grid.1.get()),
                margin: self.radius.get().ceil() as usize + 1,
                neighbors: std::array::from_fn(|i| Neighbor::on_circle(i, self.radius.get())),
                bins,
                per_field,
                dim,
                shape,
            }),
            _ => Err(ExtractError::refused(format!("more than {MOST_NUMBERS} numbers an image: fewer fields"))),
        }
    }
}

/// The bin of every pattern, and how many bins there are.
fn bins(rotation_invariant: bool) -> ([u8; 256], usize) {
    let n = NEIGHBORS as u8;
    let others = if rotation_invariant { n + 1 } else { n * (n - 1) + 2 };
    let bin = |pattern: u8| {
        let ones = pattern.count_ones() as u8;
        if (pattern ^ pattern.rotate_right(1)).count_ones() > 2 {
            others
        } else if rotation_invariant || ones == 0 {
            ones
        } else if ones == n {
            n * (n - 1) + 1
        } else {
            // Turned until its ones are the lowest bits.
            let turns = (0..n).find(|&turns| pattern.rotate_left(u32::from(turns)) == (1 << ones) - 1).unwrap_or(0);
            1 + (ones - 1) * n + turns
        }
    };
    (std::array::from_fn(|pattern| bin(pattern as u8)), usize::from(others) + 1)
}

/// Parts of a pixel that positions are multiples of.
const PARTS: i64 = 1 << 10;

/// Where a neighbour is read: four pixels around it with weights that sum to 2²⁰.
struct Neighbor {
    /// The upper left one, in pixels from the centre.
    y: isize,
    x: isize,
    /// Upper left, upper right, lower left, lower right.
    weights: [i32; 4],
}

impl Neighbor {
    fn on_circle(i: usize, radius: f64) -> Self {
        let angle = 2.0 * PI * i as f64 / NEIGHBORS as f64;
        let parts = |offset: f64| (offset * PARTS as f64).round() as i64;
        let (y, x) = (parts(-radius * angle.sin()), parts(radius * angle.cos()));
        let (down, right) = (y.rem_euclid(PARTS), x.rem_euclid(PARTS));
        let (up, left) = (PARTS - down, PARTS - right);
        Self {
            y: y.div_euclid(PARTS) as isize,
            x: x.div_euclid(PARTS) as isize,
            weights: [up * left, up * right, down * left, down * right].map(|weight| weight as i32),
        }
    }
}

struct Fitted {
    grid: (usize, usize),
    /// Pixels of repeated border on each side.
    margin: usize,
    neighbors: [Neighbor; NEIGHBORS],
    bins: [u8; 256],
    per_field: usize,
    dim: usize,
    shape: (usize, usize, usize),
}

impl Encoder for Fitted {
    fn learned(&self) -> Tensors {
        Tensors::new()
    }

    fn dim(&self) -> usize {
        self.dim
    }

    fn encode_into(&self, images: ImagesView<'_>, mut out: ArrayViewMut2<'_, f32>) {
        assert_eq!(images.shape(), self.shape, "images of the fitted size");
        assert_eq!(out.dim(), (images.len(), self.dim), "one row of d numbers an image");
        let (mut plane, mut patterns, mut counts) = (Vec::new(), vec![0; self.shape.1], vec![0u32; self.dim]);
        for (image, mut row) in images.iter().zip(out.outer_iter_mut()) {
            self.fill(image, &mut plane);
            counts.fill(0);
            for y in 0..self.shape.0 {
                self.read_patterns(&plane, y, &mut patterns);
                self.count(y, &patterns, &mut counts);
            }
            let row = row.as_slice_mut().expect("every row of out is contiguous");
            for (shares, counts) in row.chunks_mut(self.per_field).zip(counts.chunks(self.per_field)) {
                let pixels = counts.iter().sum::<u32>().max(1) as f32;
                shares.iter_mut().zip(counts).for_each(|(share, &count)| *share = count as f32 / pixels);
            }
        }
    }
}

impl Fitted {
    fn stride(&self) -> usize {
        self.shape.1 + 2 * self.margin
    }

    /// The grey image with its border repeated.
    fn fill(&self, image: &[u8], plane: &mut Vec<i32>) {
        let (height, width, channels) = self.shape;
        plane.clear();
        for y in 0..height + 2 * self.margin {
            let line = &image[y.saturating_sub(self.margin).min(height - 1) * width * channels..][..width * channels];
            let value = |pixel: &[u8]| match *pixel {
                [r, g, b] => i32::from(grey([r, g, b])),
                _ => i32::from(pixel[0]),
            };
            let (first, last) = (value(&line[..channels]), value(&line[(width - 1) * channels..]));
            plane.extend(std::iter::repeat_n(first, self.margin));
            plane.extend(line.chunks_exact(channels).map(value));
            plane.extend(std::iter::repeat_n(last, self.margin));
        }
    }

    /// The patterns of row y.
    fn read_patterns(&self, plane: &[i32], y: usize, patterns: &mut [u8]) {
        patterns.fill(0);
        let width = self.shape.1;
        let at = |dy: isize, dx: isize| {
            let start = (y + self.margin).wrapping_add_signed(dy) * self.stride() + self.margin.wrapping_add_signed(dx);
            &plane[start..start + width]
        };
        let centre = at(0, 0);
        for (i, Neighbor { y, x, weights: [a, b, c, d] }) in self.neighbors.iter().enumerate() {
            let upper = at(*y, *x).iter().zip(at(*y, x + 1));
            let lower = at(y + 1, *x).iter().zip(at(y + 1, x + 1));
            let pixels = patterns.iter_mut().zip(centre).zip(upper.zip(lower));
            for ((pattern, centre), ((v, w), (t, u))) in pixels {
                let neighbor = a * v + b * w + c * t + d * u;
                *pattern |= u8::from(neighbor >= centre << 20) << i;
            }
        }
    }

    fn count(&self, y: usize, patterns: &[u8], counts: &mut [u32]) {
        let ((height, width, _), (rows, columns)) = (self.shape, self.grid);
        let first_field = y * rows / height * columns;
        for (x, &pattern) in patterns.iter().enumerate() {
            let field = first_field + x * columns / width;
            counts[field * self.per_field + usize::from(self.bins[usize::from(pattern)])] += 1;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use bakeoff_core::{Images, encode};
    use ndarray::Array4;

    fn one_field() -> Lbp {
        Lbp { grid: (NonZeroUsize::MIN, NonZeroUsize::MIN), ..Lbp::default() }
    }

    fn shares(recipe: &Lbp, shape: (usize, usize, usize), bytes: Vec<u8>) -> Vec<f32> {
        let images = Images::new(Array4::from_shape_vec((1, shape.0, shape.1, shape.2), bytes).unwrap()).unwrap();
        encode(&*recipe.fit(images.view(), Seed(0)).unwrap(), images.view()).row(0).to_vec()
    }

    #[test]
    fn every_uniform_pattern_has_its_own_bin() {
        let (fine, n) = bins(false);
        assert_eq!(n, 59);
        let mut uniform: Vec<u8> = fine.iter().copied().filter(|&bin| bin < 58).collect();
        uniform.sort_unstable();
        assert_eq!(uniform, (0..58).collect::<Vec<u8>>());
        // 0, one bit to the right, all, and a checkered one.
        assert_eq!([0, 1, 255, 0b0101_0101].map(|pattern| fine[pattern]), [0, 1, 57, 58]);
        let (coarse, n) = bins(true);
        assert_eq!((n, [0, 0b1100_0001, 255, 0b0101].map(|pattern| coarse[pattern])), (10, [0, 3, 8, 9]));
    }

    #[test]
    fn a_row_of_three_worked_by_hand() {
        // 10 20 10, borders repeated: up and down of every pixel are equal to it, so those bits are 1. Of the left pixel
        // all neighbours are at least as bright: 8 ones. Of the middle one only up and down are: not uniform.
        let found = shares(&Lbp { rotation_invariant: true, ..one_field() }, (1, 3, 1), vec![10, 20, 10]);
        let expected = [0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 2.0 / 3.0, 1.0 / 3.0];
        assert_eq!(found, expected);
    }

    #[test]
    fn flat_images_have_all_ones_whatever_the_radius() {
        for radius in [0.3, 1.0, 1.5, 2.7, 9.0] {
            let found = shares(&Lbp { radius: Positive::literal(radius), ..one_field() }, (7, 5, 3), vec![201; 105]);
            assert_eq!((found[57], found.iter().sum::<f32>()), (1.0, 1.0));
        }
    }

    #[test]
    fn absurd_settings_are_refused() {
        let images = |channels| Images::new(Array4::zeros((1, 3, 3, channels))).unwrap();
        let reason = |recipe: Lbp, c| recipe.fit(images(c).view(), Seed(0)).err().unwrap().to_string();
        assert!(reason(one_field(), 2).contains("1 or 3"));
        assert!(reason(Lbp { radius: Positive::literal(1e9), ..one_field() }, 1).contains("64"));
        assert!(reason(Lbp { grid: (NonZeroUsize::MAX, NonZeroUsize::MAX), ..one_field() }, 1).contains("fewer"));
    }
}
