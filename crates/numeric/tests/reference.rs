//! Losses, penalties and SGD against NumPy's float64 values in `reference/losses.json`.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use bakeoff_core::params::{Fraction, NonNegative, Positive};
use bakeoff_numeric::{Loss, Schedule, Sgd};
use ndarray::{Array1, Array2, Axis};
use serde_json::Value;

const LOSSES: [(&str, Loss); 4] = [
    ("softmax", Loss::Softmax),
    ("weston_watkins", Loss::WestonWatkins),
    ("one_vs_all_squared", Loss::SquaredHinge),
    ("one_vs_all_hinge", Loss::Hinge),
];

fn reference() -> Value {
    serde_json::from_str(include_str!("reference/losses.json")).unwrap()
}

fn number(value: &Value) -> f64 {
    value.as_f64().unwrap()
}

fn numbers(value: &Value) -> Vec<f64> {
    value.as_array().unwrap().iter().map(number).collect()
}

fn ids(value: &Value) -> Vec<usize> {
    numbers(value).into_iter().map(|id| id as usize).collect()
}

fn matrix(value: &Value, rows: usize) -> Array2<f64> {
    let values = numbers(value);
    Array2::from_shape_vec((rows, values.len() / rows), values).unwrap()
}

/// The greatest |ours − theirs| / max(1, |theirs|); infinite when a NaN is among ours.
fn worst<'a>(ours: impl IntoIterator<Item = &'a f64>, theirs: &[f64]) -> f64 {
    let ours: Vec<f64> = ours.into_iter().copied().collect();
    assert_eq!(ours.len(), theirs.len(), "numbers to compare");
    let error = |(a, b): (&f64, &f64)| if a.is_nan() { f64::INFINITY } else { (a - b).abs() / b.abs().max(1.0) };
    ours.iter().zip(theirs).map(error).fold(0.0, f64::max)
}

#[test]
fn losses_and_their_gradients_by_scores_in_both_precisions() {
    let case = &reference()["on_scores"];
    let (n, y) = (6, ids(&case["labels"]));
    let scores = matrix(&case["scores"], n);
    for (name, loss) in LOSSES {
        let theirs = &case["losses"][name];
        let mut ours = scores.clone();
        let value = loss.into_gradient(ours.view_mut(), &y) / n as f64;
        assert!(worst([&value], &[number(&theirs["loss"])]) < 1e-12, "{name}: {value}");
        assert!(worst(&(ours / n as f64), &numbers(&theirs["gradient"])) < 1e-12, "{name}");

        let mut ours = scores.mapv(|v| v as f32);
        let value = loss.into_gradient(ours.view_mut(), &y) / n as f64;
        assert!(worst([&value], &[number(&theirs["loss"])]) < 1e-6, "{name} in f32: {value}");
        let ours = ours.mapv(f64::from) / n as f64;
        assert!(worst(&ours, &numbers(&theirs["gradient"])) < 1e-6, "{name} in f32");
    }
}

#[test]
fn scores_that_overflow_an_exponential_and_hinges_that_are_0() {
    for case in reference()["extreme"].as_array().unwrap() {
        let (scores, y) = (matrix(&case["scores"], 1), ids(&Value::Array(vec![case["label"].clone()])));
        for (name, loss) in LOSSES {
            let (value, gradient) = (number(&case[name][0]), numbers(&case[name][1]));
            let mut ours = scores.clone();
            let loss_of_row = loss.into_gradient(ours.view_mut(), &y);
            assert!(worst([&loss_of_row], &[value]) < 1e-12, "{name} of {scores}: {loss_of_row}, expected {value}");
            assert!(worst(&ours, &gradient) < 1e-12, "{name} of {scores}: {ours}, expected {gradient:?}");

            let mut ours = scores.mapv(|v| v as f32);
            let loss_of_row = loss.into_gradient(ours.view_mut(), &y);
            assert!(worst([&loss_of_row], &[value]) < 1e-6, "{name} of {scores} in f32: {loss_of_row}");
            assert!(worst(&ours.mapv(f64::from), &gradient) < 1e-6, "{name} of {scores} in f32");
        }
    }
}

fn sgd(rate: f64, momentum: f64, l2: f64, l1: f64) -> Sgd {
    Sgd {
        learning_rate: Positive::new(rate).unwrap(),
        momentum: Fraction::new(momentum).unwrap(),
        l2: NonNegative::new(l2).unwrap(),
        l1: NonNegative::new(l1).unwrap(),
        schedule: Schedule::Constant,
    }
}

#[test]
fn momentum_follows_given_gradients() {
    let case = &reference()["momentum"];
    let sgd = sgd(number(&case["lr"]), number(&case["rho"]), 0.0, 0.0);
    let (mut w, mut v) = (numbers(&case["start"]), vec![0.0; 4]);
    let steps = case["gradients"].as_array().unwrap().iter().zip(case["after"].as_array().unwrap());
    for (gradient, after) in steps {
        sgd.update(&mut w, &mut v, &numbers(gradient), 1.0, true);
        assert!(worst(&w, &numbers(after)) < 1e-14, "{w:?}");
    }
}

/// A linear classifier by the plainest calls, so that only losses, penalties and steps are under test.
struct Linear {
    x: Array2<f64>,
    y: Vec<usize>,
    w: Array2<f64>,
    b: Array1<f64>,
}

impl Linear {
    fn of(case: &Value) -> Self {
        let (x, w) = (matrix(&case["x"], 5), matrix(&case["w"], 3));
        Self { x, y: ids(&case["labels"]), w, b: numbers(&case["b"]).into() }
    }

    /// The data's mean loss and its derivatives by W and b.
    fn gradient(&self, loss: Loss) -> (f64, Array2<f64>, Array1<f64>) {
        let n = self.y.len() as f64;
        let mut scores = self.x.dot(&self.w.t()) + &self.b;
        let value = loss.into_gradient(scores.view_mut(), &self.y) / n;
        scores /= n;
        (value, scores.t().dot(&self.x).as_standard_layout().into_owned(), scores.sum_axis(Axis(0)))
    }

    fn descend(&mut self, loss: Loss, sgd: &Sgd, steps: usize) {
        let (mut vw, mut vb) = (vec![0.0; self.w.len()], vec![0.0; self.b.len()]);
        for _ in 0..steps {
            let (_, dw, db) = self.gradient(loss);
            sgd.update(self.w.as_slice_mut().unwrap(), &mut vw, dw.as_slice().unwrap(), 1.0, true);
            sgd.update(self.b.as_slice_mut().unwrap(), &mut vb, db.as_slice().unwrap(), 1.0, false);
        }
    }
}

#[test]
fn objectives_with_penalties_and_full_batch_descent() {
    let reference = reference();
    let inputs = &reference["on_weights"];
    let (rate, rho) = (number(&inputs["lr"]), number(&inputs["rho"]));
    let mut n_cases = 0;
    for case in reference["cases"].as_array().unwrap() {
        let Some(&(name, loss)) = LOSSES.iter().find(|(name, _)| case["loss"] == *name) else { continue };
        n_cases += 1;
        let strength = number(&case["strength"]);
        let (l2, l1) = if case["penalty"] == "l2" { (strength, 0.0) } else { (0.0, strength) };
        let sgd = sgd(rate, rho, l2, l1);
        let start = Linear::of(inputs);
        let (value, _, db) = start.gradient(loss);
        let value = value + sgd.penalty(start.w.as_slice().unwrap());
        let what = format!("{name} {}", case["penalty"]);
        assert!(worst([&value], &[number(&case["value"])]) < 1e-12, "{what}: {value}");
        assert!(worst(&db, &numbers(&case["db"])) < 1e-12, "{what}");
        for (steps, key) in [(1, "after_1"), (100, "after_100")] {
            let mut linear = Linear::of(inputs);
            linear.descend(loss, &sgd, steps);
            assert!(worst(&linear.w, &numbers(&case[key]["w"])) < 1e-10, "{what} {key}: {}", linear.w);
            assert!(worst(&linear.b, &numbers(&case[key]["b"])) < 1e-10, "{what} {key}: {}", linear.b);
        }
    }
    assert_eq!(n_cases, 12);
}
