//! Fisher vectors against scikit-image's, on two mixtures.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use bakeoff_features::fisher::fisher_vector;
use bakeoff_unsupervised::Mixture;
use ndarray::Array2;
use serde_json::Value;

fn numbers(value: &Value) -> Vec<f32> {
    value.as_array().unwrap().iter().map(|v| v.as_f64().unwrap() as f32).collect()
}

fn matrix(value: &Value) -> Array2<f32> {
    let rows = value.as_array().unwrap();
    let values: Vec<f32> = rows.iter().flat_map(numbers).collect();
    Array2::from_shape_vec((rows.len(), values.len() / rows.len()), values).unwrap()
}

#[test]
fn fisher_vectors_are_those_of_scikit_image() {
    let cases: Value = serde_json::from_str(include_str!("reference/fisher.json")).unwrap();
    let cases = cases.as_array().unwrap();
    assert_eq!(cases.len(), 2);
    for case in cases {
        let (means, variances) = (matrix(&case["means"]), matrix(&case["variances"]));
        let mixture = Mixture::of(&numbers(&case["weights"]), &means, &variances).unwrap();
        let x = matrix(&case["descriptors"]);
        for (key, improved) in [("vector", false), ("improved", true)] {
            let (ours, theirs) = (fisher_vector(&mixture, x.view(), improved), numbers(&case[key]));
            assert_eq!(ours.len(), theirs.len());
            // Roots of small numbers carry their error, relative to themselves, on.
            let tolerance = if improved { 1e-4 } else { 1e-5 };
            for (ours, theirs) in ours.iter().zip(&theirs) {
                assert!((ours - theirs).abs() < tolerance, "{key}: {ours} {theirs}");
            }
        }
    }
}
