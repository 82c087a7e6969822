//! Dense SIFT, local binary patterns and color statistics against the values of OpenCV, scikit-image and NumPy in
//! `reference/local.json`.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use bakeoff_core::params::{Fraction, NonNegative, Positive};
use bakeoff_core::{Extractor, Images, Seed, encode};
use bakeoff_features::local::{ColorStats, Sift};
use bakeoff_features::{Lbp, Local, LocalDescriptors};
use ndarray::Array4;
use serde_json::Value;
use std::num::NonZeroUsize;

fn cases(key: &str) -> Vec<Value> {
    let all: Value = serde_json::from_str(include_str!("reference/local.json")).unwrap();
    let cases = all[key].as_array().unwrap().clone();
    assert!(!cases.is_empty());
    cases
}

fn numbers(value: &Value) -> Vec<f64> {
    value.as_array().unwrap().iter().map(|v| v.as_f64().unwrap()).collect()
}

fn size(case: &Value, key: &str) -> usize {
    case[key].as_u64().unwrap() as usize
}

/// The picture that the script computes by the same formula.
fn picture(case: &Value) -> Images {
    let byte = |(_, y, x, c): (usize, usize, usize, usize)| {
        ((y * (7 + 4 * c) + x * (13 - 3 * c) + c * 29 + (y * x) % 11 * 5) % 256) as u8
    };
    Images::new(Array4::from_shape_fn((1, size(case, "height"), size(case, "width"), size(case, "channels")), byte))
        .unwrap()
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
fn dense_sift_equals_opencvs() {
    for case in cases("sift") {
        let (cell, overhang) = (case["cell"].as_f64().unwrap(), case["overhang"].as_f64().unwrap());
        let sift = Sift {
            cells: vec![Positive::new(cell).unwrap()],
            step: NonZeroUsize::new(size(&case, "step")).unwrap(),
            overhang: Fraction::new(overhang).unwrap(),
            smoothing: NonNegative::new(case["blur"].as_f64().unwrap() / cell).unwrap(),
            root: false,
            ..Sift::default()
        };
        let ours = features(&LocalDescriptors { local: Local::Sift(sift.clone()) }, &picture(&case));
        let bytes: Vec<f64> = ours.iter().map(|v| (v * 512.0).min(255.0)).collect();
        let theirs = numbers(&case["values"]);
        // Half a byte is their rounding; their arc tangent moves up to 0.3°/45° of a vote to the next direction.
        let error = worst(&bytes, &theirs);
        assert!(error < 1.5, "{sift:?}: {error} of 255");
        let mean = bytes.iter().zip(&theirs).map(|(a, b)| (a - b).abs()).sum::<f64>() / theirs.len() as f64;
        assert!(mean < 0.35, "{sift:?}: {mean} of 255 on average");
        assert!(theirs.iter().any(|&v| v > 100.0) && theirs.len() > 500);
    }
}

#[test]
fn local_binary_patterns_equal_scikit_images() {
    for case in cases("lbp") {
        let images = picture(&case);
        let two = NonZeroUsize::new(2).unwrap();
        let lbp = Lbp {
            radius: Positive::new(case["radius"].as_f64().unwrap()).unwrap(),
            rotation_invariant: case["rotation_invariant"].as_bool().unwrap(),
            grid: (NonZeroUsize::MIN, two),
        };
        let pixels = (size(&case, "height") * size(&case, "width") / 2) as f64;
        let counts: Vec<f64> = features(&lbp, &images).into_iter().map(|share| share * pixels).collect();
        let theirs: Vec<f64> = case["counts_of_halves"].as_array().unwrap().iter().flat_map(numbers).collect();
        let error = worst(&counts, &theirs);
        assert!(error < 1e-3, "{lbp:?}: {error} pixels");
    }
}

#[test]
fn color_statistics_equal_numpys() {
    for case in cases("color_stats") {
        let stats =
            ColorStats { cells: vec![NonZeroUsize::new(size(&case, "cell")).unwrap()], ..ColorStats::default() };
        let ours = features(&LocalDescriptors { local: Local::ColorStats(stats) }, &picture(&case));
        let error = worst(&ours, &numbers(&case["values"]));
        assert!(error < 1e-6, "{case}: {error}");
    }
}
