//! What the comparisons with reference values share.

use bakeoff_numeric::Element;
use serde_json::Value;

pub(crate) fn number(value: &Value) -> f64 {
    value.as_f64().unwrap()
}

pub(crate) fn numbers(value: &Value) -> Vec<f64> {
    match value {
        Value::Array(values) => values.iter().flat_map(numbers).collect(),
        other => vec![number(other)],
    }
}

pub(crate) fn sizes(value: &Value) -> Vec<usize> {
    numbers(value).into_iter().map(|v| v as usize).collect()
}

/// The greatest |ours − theirs| / max(1, |theirs|); infinite when a NaN is among ours.
pub(crate) fn worst<T: Element>(ours: impl IntoIterator<Item = T>, theirs: &[f64]) -> f64 {
    let ours: Vec<f64> = ours.into_iter().map(Element::wide).collect();
    assert_eq!(ours.len(), theirs.len(), "numbers to compare");
    let error = |(a, b): (&f64, &f64)| if a.is_nan() { f64::INFINITY } else { (a - b).abs() / b.abs().max(1.0) };
    ours.iter().zip(theirs).map(error).fold(0.0, f64::max)
}
