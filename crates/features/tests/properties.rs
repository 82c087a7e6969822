//! Properties of features over random images: what must not change, and what must change in a known way.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use bakeoff_core::{Extractor, Images, Seed, encode};
use bakeoff_features::color_histogram::Space;
use bakeoff_features::hog::{Form, Gamma};
use bakeoff_features::{ColorHistogram, Hog};
use ndarray::{Array4, Array6, Axis};
use proptest::prelude::*;
use proptest::test_runner::RngSeed;
use std::num::NonZeroUsize;

/// The same cases on every run, and no file written when one fails: the case itself is printed.
fn seeded(cases: u32) -> ProptestConfig {
    ProptestConfig { cases, rng_seed: RngSeed::Fixed(2024), failure_persistence: None, ..ProptestConfig::default() }
}

fn some(value: usize) -> NonZeroUsize {
    NonZeroUsize::new(value).unwrap()
}

/// One image whose sides are whole cells of 8, two to four of them, with bytes from 0 up to, not including, `above`.
fn images(above: u16) -> impl Strategy<Value = Array4<u8>> {
    let shapes = (2..=4usize, 2..=4usize, prop_oneof![Just(1usize), Just(3)]);
    shapes.prop_flat_map(move |(rows, columns, channels)| {
        let shape = (1, rows * 8, columns * 8, channels);
        let bytes = proptest::collection::vec((0..above).prop_map(|v| v as u8), rows * columns * 64 * channels);
        bytes.prop_map(move |bytes| Array4::from_shape_vec(shape, bytes).unwrap())
    })
}

fn features(extractor: &dyn Extractor, pixels: Array4<u8>) -> Vec<f32> {
    let images = Images::new(pixels).unwrap();
    encode(&*extractor.fit(images.view(), Seed(0)).unwrap(), images.view()).into_iter().collect()
}

/// Blocks without the window, whose centre lies half a pixel off and so breaks every mirror symmetry.
fn symmetric() -> Hog {
    Hog { gaussian: false, ..Hog::default() }
}

/// HoG of blocks as (1, block row, block column, cell row, cell column, direction).
fn blocks(hog: &Hog, pixels: &Array4<u8>) -> Array6<f32> {
    let (_, height, width, _) = pixels.dim();
    let shape = (1, height / 8 - 1, width / 8 - 1, 2, 2, hog.orientations.get());
    Array6::from_shape_vec(shape, features(hog, pixels.clone())).unwrap()
}

/// Directions in the order of these bins.
fn turned(mut histograms: Array6<f32>, bin: impl Fn(usize) -> usize) -> Array6<f32> {
    let from = histograms.clone();
    for (i, mut plane) in histograms.axis_iter_mut(Axis(5)).enumerate() {
        plane.assign(&from.index_axis(Axis(5), bin(i)));
    }
    histograms
}

fn differ(a: &Array6<f32>, b: &Array6<f32>) -> f32 {
    assert_eq!(a.shape(), b.shape());
    a.iter().zip(b).map(|(a, b)| if a.is_nan() { f32::INFINITY } else { (a - b).abs() }).fold(0.0, f32::max)
}

/// Axes 1 and 3 are rows of blocks and of cells, 2 and 4 columns.
fn mirrored(mut histograms: Array6<f32>, axes: &[usize]) -> Array6<f32> {
    for &axis in axes {
        histograms.invert_axis(Axis(axis));
    }
    histograms.as_standard_layout().into_owned()
}

proptest! {
    #![proptest_config(seeded(48))]

    #[test]
    fn a_brightness_shift_leaves_gradients_alone(dim in images(156), shift in 0..100u8) {
        let bright = dim.mapv(|v| v + shift);
        for form in [Form::Blocks, Form::Plain] {
            let hog = Hog { form, gamma: Gamma::None, ..Hog::default() };
            prop_assert_eq!(features(&hog, dim.clone()), features(&hog, bright.clone()), "{:?}", form);
        }
    }

    /// Left and right swapped: direction θ becomes 180° − θ, bin i becomes 8 − i.
    #[test]
    fn a_horizontal_flip_mirrors_cells_and_directions(pixels in images(256)) {
        let mut flipped = pixels.clone();
        flipped.invert_axis(Axis(2));
        let expected = turned(mirrored(blocks(&symmetric(), &pixels), &[2, 4]), |i| 8 - i);
        let found = blocks(&symmetric(), &flipped);
        prop_assert!(differ(&found, &expected) < 1e-5, "{}", differ(&found, &expected));
    }

    /// Top and bottom swapped: θ becomes −θ, which is 180° − θ again.
    #[test]
    fn a_vertical_flip_mirrors_cells_and_directions(pixels in images(256)) {
        let mut flipped = pixels.clone();
        flipped.invert_axis(Axis(1));
        let expected = turned(mirrored(blocks(&symmetric(), &pixels), &[1, 3]), |i| 8 - i);
        let found = blocks(&symmetric(), &flipped);
        prop_assert!(differ(&found, &expected) < 1e-5, "{}", differ(&found, &expected));
    }

    /// Half a turn keeps unsigned directions.
    #[test]
    fn half_a_turn_keeps_unsigned_directions(pixels in images(256)) {
        let mut turned_image = pixels.clone();
        turned_image.invert_axis(Axis(1));
        turned_image.invert_axis(Axis(2));
        let expected = mirrored(blocks(&symmetric(), &pixels), &[1, 2, 3, 4]);
        let found = blocks(&symmetric(), &turned_image);
        prop_assert!(differ(&found, &expected) < 1e-5, "{}", differ(&found, &expected));
    }

    /// Rows and columns swapped: θ becomes 90° − θ, and the window is the same both ways. Of 10 unsigned directions 90°
    /// are 5 bins, of 8 signed ones 2; of 9 they are no whole number, so there bins would not be swapped whole.
    #[test]
    fn a_transposed_image_has_transposed_cells(pixels in images(256)) {
        let transposed = pixels.view().permuted_axes([0, 2, 1, 3]).as_standard_layout().into_owned();
        for (orientations, signed, last) in [(10, false, 14), (8, true, 9)] {
            let hog = Hog { orientations: some(orientations), signed, ..Hog::default() };
            let expected = blocks(&hog, &pixels).permuted_axes([0, 2, 1, 4, 3, 5]);
            let expected = turned(expected.as_standard_layout().into_owned(), |i| (last - i) % orientations);
            let found = blocks(&hog, &transposed);
            prop_assert!(differ(&found, &expected) < 1e-5, "{}", differ(&found, &expected));
        }
    }

    /// Signed directions tell a picture from its negative by half a circle, unsigned ones do not tell them apart.
    #[test]
    fn a_negative_turns_signed_directions_by_half_a_circle(pixels in images(256)) {
        let negative = pixels.mapv(|v| 255 - v);
        let plain = |signed, pixels: &Array4<u8>| {
            let hog = Hog { form: Form::Plain, gamma: Gamma::None, signed, orientations: some(8), ..Hog::default() };
            features(&hog, pixels.clone())
        };
        prop_assert_eq!(plain(false, &pixels), plain(false, &negative));
        for (cell, opposite) in plain(true, &pixels).chunks(8).zip(plain(true, &negative).chunks(8)) {
            for i in 0..8 {
                let (a, b) = (cell[i], opposite[(i + 4) % 8]);
                prop_assert!((a - b).abs() < 1e-4 * (1.0 + a), "{cell:?} {opposite:?}");
            }
        }
    }

    /// Within a block no value is negative, and the whole has a length of at most 1.
    #[test]
    fn blocks_are_at_most_of_length_one(pixels in images(256)) {
        for block in features(&Hog::default(), pixels).chunks(36) {
            prop_assert!(block.iter().all(|&v| (0.0..=1.0).contains(&v)));
            prop_assert!(block.iter().map(|v| v * v).sum::<f32>() <= 1.0);
        }
    }

    /// All of the gradient's length lands in some bin of the plain form, whatever its direction.
    #[test]
    fn plain_cells_hold_all_of_the_length(pixels in images(256)) {
        let (_, height, width, channels) = pixels.dim();
        let at = |y: usize, x: usize, c: usize| f64::from(pixels[[0, y, x, c]]);
        let reflected = |i: usize, side: usize| (i.abs_diff(1), if i + 1 < side { i + 1 } else { side - 2 });
        let mut total = 0.0;
        for y in 0..height {
            for x in 0..width {
                let ((above, below), (left, right)) = (reflected(y, height), reflected(x, width));
                let length = |c| (at(y, right, c) - at(y, left, c)).hypot(at(below, x, c) - at(above, x, c));
                total += (0..channels).map(length).fold(0.0, f64::max);
            }
        }
        let hog = Hog { form: Form::Plain, gamma: Gamma::None, ..Hog::default() };
        let found: f64 = features(&hog, pixels.clone()).into_iter().map(f64::from).sum();
        prop_assert!((found - total).abs() <= 1e-5 * total, "{found} {total}");
    }

    /// Where a pixel lies does not matter without a grid; every field's shares sum to 1.
    #[test]
    fn a_color_histogram_ignores_where_pixels_are(pixels in images(256), bins in 1..9usize) {
        let mut flipped = pixels.clone();
        flipped.invert_axis(Axis(1));
        flipped.invert_axis(Axis(2));
        let spaces = if pixels.dim().3 == 3 { &[Space::Rgb, Space::Hsv, Space::Hue][..] } else { &[Space::Rgb] };
        for &space in spaces {
            let whole = ColorHistogram { space, bins: some(bins), grid: (some(1), some(1)) };
            let shares = features(&whole, pixels.clone());
            prop_assert_eq!(&shares, &features(&whole, flipped.clone()), "{:?}", space);
            prop_assert!((shares.iter().sum::<f32>() - 1.0).abs() < 1e-5, "{space:?}");
            let grid = ColorHistogram { grid: (some(2), some(2)), ..whole };
            for field in features(&grid, pixels.clone()).chunks(shares.len()) {
                prop_assert!((field.iter().sum::<f32>() - 1.0).abs() < 1e-5, "{space:?}");
            }
        }
    }
}
