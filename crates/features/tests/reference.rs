//! Features against the values of OpenCV, NumPy and exact fractions in `reference/*.json`.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use bakeoff_core::{Extractor, Images, Seed, encode};
use bakeoff_features::color_histogram::Space;
use bakeoff_features::hog::{Form, Gamma};
use bakeoff_features::{ColorHistogram, Hog};
use ndarray::Array4;
use serde_json::Value;
use std::num::NonZeroUsize;

fn parsed(text: &str) -> Value {
    serde_json::from_str(text).unwrap()
}

fn numbers(value: &Value) -> Vec<f64> {
    value.as_array().unwrap().iter().map(|v| v.as_f64().unwrap()).collect()
}

fn size(case: &Value, key: &str) -> usize {
    case[key].as_u64().unwrap() as usize
}

fn some(value: usize) -> NonZeroUsize {
    NonZeroUsize::new(value).unwrap()
}

/// The picture that the scripts compute by the same formula.
fn picture(height: usize, width: usize, channels: usize) -> Images {
    let byte = |(_, y, x, c): (usize, usize, usize, usize)| {
        ((y * (7 + 4 * c) + x * (13 - 3 * c) + c * 29 + (y * x) % 11 * 5) % 256) as u8
    };
    Images::new(Array4::from_shape_fn((1, height, width, channels), byte)).unwrap()
}

fn features(extractor: &dyn Extractor, images: &Images) -> Vec<f64> {
    let encoder = extractor.fit(images.view(), Seed(0)).unwrap();
    encode(&*encoder, images.view()).into_iter().map(f64::from).collect()
}

/// The greatest |ours − theirs|; infinite when a NaN is among ours.
fn worst(ours: &[f64], theirs: &[f64]) -> f64 {
    assert_eq!(ours.len(), theirs.len(), "numbers to compare");
    let error = |(a, b): (&f64, &f64)| if a.is_nan() { f64::INFINITY } else { (a - b).abs() };
    ours.iter().zip(theirs).map(error).fold(0.0, f64::max)
}

#[test]
fn block_hog_equals_the_formula_and_opencv() {
    for case in parsed(include_str!("reference/hog_blocks.json"))["cases"].as_array().unwrap() {
        let (height, width, channels) = (size(case, "height"), size(case, "width"), size(case, "channels"));
        let gamma = if case["gamma"].as_bool().unwrap() { Gamma::Sqrt } else { Gamma::None };
        let hog = Hog { cell: some(size(case, "cell")), gamma, ..Hog::default() };
        let ours = features(&hog, &picture(height, width, channels));
        let what = format!("{height}×{width}×{channels} {hog:?}");
        let from_formula = worst(&ours, &numbers(&case["numpy"]));
        assert!(from_formula < 2e-6, "{what}: {from_formula} from the formula in f64");
        // OpenCV's arctangent is a polynomial; its own distance from the formula is up to 2.2e-4.
        let from_opencv = worst(&ours, &numbers(&case["opencv"]));
        assert!(from_opencv < 3e-4, "{what}: {from_opencv} from OpenCV");
    }
}

fn plain(cell: usize) -> Hog {
    Hog { form: Form::Plain, gamma: Gamma::None, cell: some(cell), ..Hog::default() }
}

#[test]
fn plain_hog_equals_the_formula() {
    let reference = parsed(include_str!("reference/hog_plain.json"));
    for case in reference["plain"].as_array().unwrap() {
        let images = picture(size(case, "height"), size(case, "width"), size(case, "channels"));
        let ours = features(&plain(size(case, "cell")), &images);
        let theirs = numbers(&case["values"]);
        let greatest = theirs.iter().copied().fold(0.0, f64::max);
        let error = worst(&ours, &theirs);
        assert!(error < 1e-6 * greatest, "{case}: {error} of {greatest}");
    }
}

#[test]
fn the_lectures_image_has_its_10800_numbers() {
    let case = &parsed(include_str!("reference/hog_plain.json"))["lecture"];
    let ours = features(&plain(8), &picture(240, 320, 1));
    assert_eq!((ours.len(), size(case, "n_values")), (10_800, 10_800));
    let first = numbers(&case["first_cell_row"]);
    let error = worst(&ours[..first.len()], &first);
    assert!(error < 1e-2, "{error} of sums of 64 lengths up to 360");
    let close = |a: f64, b: f64| (a - b).abs() < 1e-6 * b;
    assert!(close(ours.iter().sum(), case["sum"].as_f64().unwrap()));
    let weighted = ours.iter().enumerate().map(|(i, v)| (i % 997) as f64 * v).sum();
    assert!(close(weighted, case["sum_weighted_by_position_mod_997"].as_f64().unwrap()), "{weighted}");
}

fn counted(space: Space, bins: usize, grid: (usize, usize), images: &Images) -> Vec<f64> {
    let recipe = ColorHistogram { space, bins: some(bins), grid: (some(grid.0), some(grid.1)) };
    features(&recipe, images)
}

#[test]
fn color_histograms_are_the_counts_over_the_pixels() {
    let reference = parsed(include_str!("reference/color.json"));
    let image = picture(32, 32, 3);
    for (key, space, bins) in [
        ("rgb_3", Space::Rgb, 3),
        ("rgb_4", Space::Rgb, 4),
        ("rgb_8", Space::Rgb, 8),
        ("hsv_4", Space::Hsv, 4),
        ("hsv_5", Space::Hsv, 5),
        ("hsv_8", Space::Hsv, 8),
        ("hue_10", Space::Hue, 10),
    ] {
        let shares: Vec<f64> = numbers(&reference[key]).into_iter().map(|count| count / 1024.0).collect();
        let error = worst(&counted(space, bins, (1, 1), &image), &shares);
        assert!(error < 1e-7, "{key}: {error}");
    }
    let shares: Vec<f64> = numbers(&reference["hue_10_of_24x40"]).into_iter().map(|count| count / 960.0).collect();
    assert!(worst(&counted(Space::Hue, 10, (1, 1), &picture(24, 40, 3)), &shares) < 1e-7);
}

#[test]
fn fields_of_the_grid_are_the_quarters_row_by_row() {
    let reference = parsed(include_str!("reference/color.json"));
    let quarters = reference["rgb_4_quarters"].as_array().unwrap().iter().flat_map(numbers);
    let shares: Vec<f64> = quarters.map(|count| count / 256.0).collect();
    assert!(worst(&counted(Space::Rgb, 4, (2, 2), &picture(32, 32, 3)), &shares) < 1e-7);
}

/// Corners of the color cube, greys, and hues on the very border of two bins, each as an image of one pixel.
#[test]
fn single_colors_fall_into_their_exact_bins() {
    let only = |shares: Vec<f64>| {
        let bin = shares.iter().position(|&share| share == 1.0).unwrap();
        assert_eq!(shares.iter().sum::<f64>(), 1.0);
        bin
    };
    for case in parsed(include_str!("reference/color.json"))["colors"].as_array().unwrap() {
        let rgb = numbers(&case["rgb"]).into_iter().map(|v| v as u8).collect();
        let image = Images::new(Array4::from_shape_vec((1, 1, 1, 3), rgb).unwrap()).unwrap();
        assert_eq!(only(counted(Space::Hue, 10, (1, 1), &image)), size(case, "hue_bin_of_10"), "{case}");
        let [h, s, v] = numbers(&case["hsv_bins_of_60"])[..] else { panic!("three bins") };
        let bin = only(counted(Space::Hsv, 60, (1, 1), &image));
        assert_eq!(bin as f64, (h * 60.0 + s) * 60.0 + v, "{case}");
    }
}
