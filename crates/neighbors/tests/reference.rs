//! k-nearest neighbours against the plain loop and scikit-learn in `reference/neighbors.json`.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use bakeoff_core::{Classifier, Labels, Seed, argmax_rows};
use bakeoff_neighbors::{Distance, Index, Knn};
use ndarray::Array2;
use serde_json::Value;
use std::num::NonZeroUsize;
use std::ops::ControlFlow;

fn reference() -> Value {
    serde_json::from_str(include_str!("reference/neighbors.json")).unwrap()
}

fn integers(value: &Value) -> Vec<i64> {
    value.as_array().unwrap().iter().map(|v| v.as_i64().unwrap()).collect()
}

fn ids(value: &Value) -> Vec<usize> {
    integers(value).into_iter().map(|id| usize::try_from(id).unwrap()).collect()
}

fn rows(value: &Value) -> Array2<f32> {
    let values: Vec<f32> = integers(value).into_iter().map(|v| v as f32).collect();
    Array2::from_shape_vec((values.len() / 5, 5), values).unwrap()
}

fn distance(case: &Value) -> Distance {
    if case["norm"] == "l1" { Distance::L1 } else { Distance::L2 }
}

#[test]
fn votes_and_predictions_with_many_ties() {
    let reference = reference();
    let (train, queries) = (rows(&reference["train"]), rows(&reference["queries"]));
    let labels = Labels::new(ids(&reference["labels"]).into(), 4).unwrap();
    for case in reference["cases"].as_array().unwrap() {
        let k = usize::try_from(case["k"].as_u64().unwrap()).unwrap();
        let knn = Knn { k: NonZeroUsize::new(k).unwrap(), distance: distance(case) };
        let model = knn.fit(&train.view(), &labels, Seed(0), &mut |_| ControlFlow::Continue(())).unwrap().model;
        let votes = model.scores(queries.view());
        let theirs: Vec<f32> = case["votes"].as_array().unwrap().iter().flat_map(integers).map(|v| v as f32).collect();
        assert_eq!(votes.iter().copied().collect::<Vec<_>>(), theirs, "k = {k}, {}", case["norm"]);
        assert_eq!(argmax_rows(votes.view()).to_vec(), ids(&case["predicted"]), "k = {k}, {}", case["norm"]);
    }
}

#[test]
fn neighbours_come_in_the_order_of_distance_and_position() {
    let reference = reference();
    let (train, queries) = (rows(&reference["train"]), rows(&reference["queries"]));
    for case in reference["cases"].as_array().unwrap() {
        let theirs: Vec<Vec<usize>> = case["neighbours"].as_array().unwrap().iter().map(ids).collect();
        // The case of all rows leaves its lists out to keep the file small; its order is that of the case of 12.
        let Some(k) = theirs.first().map(Vec::len) else { continue };
        let found = Index::new(train.clone(), distance(case)).nearest(queries.view(), k);
        for (found, theirs) in found.iter().zip(theirs) {
            let ours: Vec<usize> = found.iter().map(|&(position, _)| position).collect();
            assert_eq!(ours, theirs, "{} {}", case["k"], case["norm"]);
        }
    }
}
