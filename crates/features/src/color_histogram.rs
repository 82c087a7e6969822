//! Color histogram (the lecture's B2): the share of pixels in each bin of color space, for each field of a grid.
//!
//! Layout: field row, field column, then the bins with the last channel innermost. Bins have equal widths and are found
//! in integers, so they are exact: of a byte v, bin ⌊v · bins / 256⌋; of hue and saturation (Smith 1978), which are
//! fractions p/q of integers, ⌊p · bins / q⌋, a saturation of 1 in the last bin. Pixels without a hue (r = g = b) have
//! hue 0. Grey images have one channel and are taken by `rgb` as such. Ignores texture, and position within a field.

use crate::MOST_NUMBERS;
use bakeoff_core::{Encoder, ExtractError, Extractor, ImagesView, Recipe, RestoreError, Seed, Tensors};
use ndarray::ArrayViewMut2;
use serde::{Deserialize, Serialize};
use std::num::NonZeroUsize;

/// Which coordinates of color are counted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Space {
    /// Red, green and blue jointly: bins³ numbers a field.
    #[default]
    Rgb,
    /// Hue, saturation and value jointly: bins³ numbers a field.
    Hsv,
    /// Hue alone: bins numbers a field, as in the course's recipe.
    Hue,
}

/// Settings of the color histogram.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct ColorHistogram {
    /// Which coordinates of color.
    pub space: Space,
    /// Bins a coordinate, 256 at most.
    pub bins: NonZeroUsize,
    /// Fields of the image, (rows, columns); pixel (y, x) is in field (⌊y · rows / height⌋, ⌊x · columns / width⌋).
    pub grid: (NonZeroUsize, NonZeroUsize),
}

impl Default for ColorHistogram {
    fn default() -> Self {
        let (one, four) = const { (NonZeroUsize::MIN, NonZeroUsize::new(4).expect("4 is positive")) };
        Self { space: Space::Rgb, bins: four, grid: (one, one) }
    }
}

impl Recipe for ColorHistogram {
    const NAME: &'static str = "color-histogram";
    const SUMMARY: &'static str = "shares of pixels in bins of RGB, HSV or hue, on an optional grid";
    const REFERENCE: &'static str = "lecture B2; Swain, Ballard 1991";
    const SEARCH: &'static str = "space = { choice = ['rgb', 'hsv'] }\n\
        bins = { choice = [4, 6, 8] }\n\
        grid = { choice = [[1, 1], [2, 2]] }";
}

impl Extractor for ColorHistogram {
    fn fit(&self, train: ImagesView<'_>, _: Seed) -> Result<Box<dyn Encoder>, ExtractError> {
        Ok(Box::new(self.planned(train.shape())?))
    }

    fn restore(&self, shape: (usize, usize, usize), learned: Tensors) -> Result<Box<dyn Encoder>, RestoreError> {
        learned.finish()?;
        Ok(Box::new(self.planned(shape)?))
    }
}

impl ColorHistogram {
    /// The encoder for images of this (height, width, channels): nothing is learned from them.
    fn planned(&self, shape: (usize, usize, usize)) -> Result<Fitted, ExtractError> {
        let (bins, channels) = (self.bins.get(), shape.2);
        if bins > 256 {
            return Err(ExtractError::refused(format!("{bins} bins of a byte; 256 are the most")));
        }
        let coordinates: u32 = match (self.space, channels) {
            (Space::Rgb, 1) | (Space::Hue, 3) => 1,
            (Space::Rgb | Space::Hsv, 3) => 3,
            (Space::Rgb, _) => return Err(ExtractError::refused(format!("{channels} channels; rgb takes 1 or 3"))),
            (_, _) => return Err(ExtractError::refused(format!("hue needs 3 channels, the images have {channels}"))),
        };
        let per_field = bins.pow(coordinates);
        let fields = self.grid.0.get().checked_mul(self.grid.1.get());
        match fields.and_then(|fields| fields.checked_mul(per_field)) {
            Some(dim) if dim <= MOST_NUMBERS => Ok(Fitted { recipe: self.clone(), per_field, dim, shape }),
            _ => Err(ExtractError::refused(format!("more than {MOST_NUMBERS} numbers an image: fewer bins or fields"))),
        }
    }
}

struct Fitted {
    recipe: ColorHistogram,
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
        let mut counts = vec![0u32; self.dim];
        for (image, mut row) in images.iter().zip(out.outer_iter_mut()) {
            counts.fill(0);
            self.count(image, images.shape(), &mut counts);
            let row = row.as_slice_mut().expect("every row of out is contiguous");
            for (shares, counts) in row.chunks_mut(self.per_field).zip(counts.chunks(self.per_field)) {
                let pixels = counts.iter().sum::<u32>().max(1) as f32;
                shares.iter_mut().zip(counts).for_each(|(share, &count)| *share = count as f32 / pixels);
            }
        }
    }
}

impl Fitted {
    fn count(&self, image: &[u8], (height, width, channels): (usize, usize, usize), counts: &mut [u32]) {
        let (rows, columns) = (self.recipe.grid.0.get(), self.recipe.grid.1.get());
        let bins = self.recipe.bins.get();
        for (y, line) in image.chunks_exact(width * channels).enumerate() {
            let first_field = y * rows / height * columns;
            for (x, pixel) in line.chunks_exact(channels).enumerate() {
                let field = first_field + x * columns / width;
                let bin = match (self.recipe.space, pixel) {
                    (Space::Rgb, _) => pixel.iter().fold(0, |bin, &v| bin * bins + usize::from(v) * bins / 256),
                    (Space::Hue, &[r, g, b]) => hue_bin(r, g, b, bins),
                    (Space::Hsv, &[r, g, b]) => hsv_bin(r, g, b, bins),
                    (Space::Hue | Space::Hsv, _) => unreachable!("fit takes three channels only"),
                };
                counts[field * self.per_field + bin] += 1;
            }
        }
    }
}

/// The hue's bin: hue is p / 6q of the circle with q = max − min.
fn hue_bin(r: u8, g: u8, b: u8, bins: usize) -> usize {
    let [r, g, b] = [r, g, b].map(i64::from);
    let (greatest, least) = (r.max(g).max(b), r.min(g).min(b));
    let q = greatest - least;
    if q == 0 {
        return 0;
    }
    let p = if greatest == r {
        (g - b).rem_euclid(6 * q)
    } else if greatest == g {
        b - r + 2 * q
    } else {
        r - g + 4 * q
    };
    p as usize * bins / (6 * q as usize)
}

fn hsv_bin(r: u8, g: u8, b: u8, bins: usize) -> usize {
    let (greatest, least) = (usize::from(r.max(g).max(b)), usize::from(r.min(g).min(b)));
    let saturation = ((greatest - least) * bins / greatest.max(1)).min(bins - 1);
    (hue_bin(r, g, b, bins) * bins + saturation) * bins + greatest * bins / 256
}

#[cfg(test)]
mod tests {
    use super::*;
    use bakeoff_core::{Images, encode};
    use ndarray::{Array2, Array4};

    fn rows(recipe: &ColorHistogram, shape: (usize, usize, usize, usize), bytes: Vec<u8>) -> Array2<f32> {
        let images = Images::new(Array4::from_shape_vec(shape, bytes).unwrap()).unwrap();
        encode(&*recipe.fit(images.view(), Seed(0)).unwrap(), images.view())
    }

    fn recipe(space: Space, bins: usize, grid: (usize, usize)) -> ColorHistogram {
        let some = |v| NonZeroUsize::new(v).unwrap();
        ColorHistogram { space, bins: some(bins), grid: (some(grid.0), some(grid.1)) }
    }

    #[test]
    fn joint_bins_put_the_last_channel_innermost() {
        // Two pixels: (255, 0, 0) is bin 4 of 2³, (0, 0, 128) is bin 1.
        let shares = rows(&recipe(Space::Rgb, 2, (1, 1)), (1, 1, 2, 3), vec![255, 0, 0, 0, 0, 128]);
        assert_eq!(shares.row(0).to_vec(), [0.0, 0.5, 0.0, 0.0, 0.5, 0.0, 0.0, 0.0]);
    }

    #[test]
    fn hue_goes_round_the_circle() {
        // Red 0, yellow 1/6, green 2/6, cyan 3/6, blue 4/6, magenta 5/6; grey has hue 0.
        let colors = [(255, 0, 0), (255, 255, 0), (0, 255, 0), (0, 255, 255), (0, 0, 255), (255, 0, 255), (9, 9, 9)];
        assert_eq!(colors.map(|(r, g, b)| hue_bin(r, g, b, 6)), [0, 1, 2, 3, 4, 5, 0]);
        // Just below red on the circle is the last bin.
        assert_eq!(hue_bin(255, 0, 1, 10), 9);
    }

    #[test]
    fn each_field_of_the_grid_sums_to_one() {
        let shares =
            rows(&recipe(Space::Hsv, 3, (2, 3)), (1, 5, 7, 3), (0..105).map(|i| (i * 37 % 256) as u8).collect());
        for field in shares.row(0).to_vec().chunks(27) {
            assert!((field.iter().sum::<f32>() - 1.0).abs() < 1e-6);
        }
    }

    #[test]
    fn images_it_cannot_count_are_refused() {
        let images = |channels| Images::new(Array4::zeros((1, 2, 2, channels))).unwrap();
        let reason =
            |recipe: ColorHistogram, channels| recipe.fit(images(channels).view(), Seed(0)).err().unwrap().to_string();
        assert!(reason(recipe(Space::Hue, 10, (1, 1)), 1).contains("3 channels"));
        assert!(reason(recipe(Space::Rgb, 4, (1, 1)), 2).contains("1 or 3"));
        assert!(reason(recipe(Space::Rgb, 257, (1, 1)), 3).contains("256"));
        assert!(reason(recipe(Space::Rgb, 256, (1 << 40, 1 << 40)), 3).contains("fewer"));
    }
}
