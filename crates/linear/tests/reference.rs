//! Optima and descents against the float64 values of NumPy, `SciPy` and scikit-learn in `reference/optima.json`.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use bakeoff_core::params::{Fraction, NonNegative, Positive};
use bakeoff_core::{Classifier, Labels, Seed, argmax_rows};
use bakeoff_linear::{Objective, Softmax, Solver, Source, Svm, SvmLoss};
use bakeoff_numeric::{Lbfgs, Loss, Schedule};
use ndarray::{Array1, Array2, ArrayView2, Axis, concatenate};
use serde_json::Value;
use std::num::NonZeroUsize;
use std::ops::ControlFlow;

fn reference() -> Value {
    serde_json::from_str(include_str!("reference/optima.json")).unwrap()
}

fn number(value: &Value) -> f64 {
    value.as_f64().unwrap()
}

fn numbers(value: &Value) -> Vec<f64> {
    value.as_array().unwrap().iter().map(number).collect()
}

/// Rows (200, 10), multiples of 1/64 and so the same in both precisions, and labels of 4 classes.
fn data(reference: &Value) -> (Array2<f32>, Labels) {
    let x = numbers(&reference["x_times_64"]).into_iter().map(|v| (v / 64.0) as f32).collect();
    let ids = numbers(&reference["labels"]).into_iter().map(|id| id as usize).collect();
    (Array2::from_shape_vec((200, 10), x).unwrap(), Labels::new(ids, 4).unwrap())
}

/// W (4, 10) and b (4).
struct Weights {
    w: Array2<f64>,
    b: Array1<f64>,
}

impl Weights {
    fn of_reference(case: &Value) -> Self {
        let w = Array2::from_shape_vec((4, 10), numbers(&case["w"])).unwrap();
        Self { w, b: numbers(&case["b"]).into() }
    }

    /// What a model scores for the origin is b, and for unit vector j that and column j of W.
    fn of_model(model: &dyn bakeoff_core::Model) -> Self {
        let probes = concatenate![Axis(0), Array2::zeros((1, 10)), Array2::eye(10)];
        let scores = model.scores(probes.view()).mapv(f64::from);
        let b = scores.row(0).to_owned();
        let w = (&scores.slice(ndarray::s![1.., ..]) - &b).t().to_owned();
        Self { w, b }
    }

    /// The objective in f64, by the plainest formula.
    fn objective(&self, case: &Value, x: ArrayView2<'_, f32>, y: &Labels) -> f64 {
        let scores = x.mapv(f64::from).dot(&self.w.t()) + &self.b;
        let rows = scores.outer_iter().zip(y.ids());
        let loss: f64 = rows.map(|(s, &y)| row_loss(case["loss"].as_str().unwrap(), s.as_slice().unwrap(), y)).sum();
        let size = if case["penalty"] == "l2" { |w: f64| w * w } else { f64::abs };
        loss / 200.0 + number(&case["strength"]) * self.w.mapv(size).sum()
    }

    /// The greatest difference of any weight or bias; a constant on all biases is free for softmax and the joint hinge.
    fn distance(&self, other: &Self, free_constant: bool) -> f64 {
        let shift = if free_constant { (&self.b - &other.b).mean().unwrap() } else { 0.0 };
        let weights = (&self.w - &other.w).into_iter();
        let differences = weights.chain(&self.b - &other.b - shift);
        differences.map(|d| if d.is_nan() { f64::INFINITY } else { d.abs() }).fold(0.0, f64::max)
    }
}

fn row_loss(name: &str, s: &[f64], y: usize) -> f64 {
    let each = s.iter().enumerate();
    match name {
        "softmax" => s.iter().map(|v| (v - s[y]).exp()).sum::<f64>().ln(),
        "weston_watkins" => each.filter(|(j, _)| *j != y).map(|(_, v)| (v - s[y] + 1.0).max(0.0)).sum(),
        "one_vs_all_squared" => each.map(|(j, v)| if j == y { 1.0 - v } else { 1.0 + v }.max(0.0)).map(|m| m * m).sum(),
        other => panic!("no loss of the name {other}"),
    }
}

fn cases(list: &Value, keep: impl Fn(&Value) -> bool) -> Vec<&Value> {
    let kept: Vec<_> = list.as_array().unwrap().iter().filter(|case| keep(case)).collect();
    assert!(!kept.is_empty(), "no case is left to check");
    kept
}

fn is(case: &Value, loss: &str, penalty: &str) -> bool {
    case["loss"] == loss && case["penalty"] == penalty
}

/// Two columns are sums of others: only the penalty bends the objective along that valley. Below this strength, weights
/// far apart have objectives that differ by rounding alone.
fn is_steep(case: &Value) -> bool {
    number(&case["strength"]) >= 1e-2
}

fn named(case: &Value) -> String {
    format!("{} {} {} {} {}", case["loss"], case["penalty"], case["strength"], case["schedule"], case["steps"])
}

fn count(value: usize) -> NonZeroUsize {
    NonZeroUsize::new(value).unwrap()
}

/// The recipe that a case describes; SGD settings that the case does not name are those of `like`.
struct Like {
    solver: Solver,
    epochs: usize,
    rate: f64,
    momentum: f64,
    schedule: Schedule,
    batch: usize,
}

impl Like {
    fn classifier(&self, case: &Value) -> Box<dyn Classifier> {
        let strength = NonNegative::new(number(&case["strength"])).unwrap();
        let none = NonNegative::new(0.0).unwrap();
        let (l2, l1) = if case["penalty"] == "l2" { (strength, none) } else { (none, strength) };
        let softmax = Softmax {
            l2,
            l1,
            solver: self.solver,
            tolerance: Positive::new(1e-6).unwrap(),
            max_iterations: count(5000),
            learning_rate: Positive::new(self.rate).unwrap(),
            momentum: Fraction::new(self.momentum).unwrap(),
            batch: count(self.batch),
            epochs: count(self.epochs),
            schedule: self.schedule,
        };
        let loss = match case["loss"].as_str().unwrap() {
            "softmax" => return Box::new(softmax),
            "weston_watkins" => SvmLoss::WestonWatkins,
            _ => SvmLoss::SquaredHinge,
        };
        let Softmax { solver, tolerance, max_iterations, learning_rate, momentum, batch, epochs, schedule, .. } =
            softmax;
        let svm =
            Svm { loss, l2, l1, solver, tolerance, max_iterations, learning_rate, momentum, batch, epochs, schedule };
        Box::new(svm)
    }

    fn fit(&self, case: &Value, x: ArrayView2<'_, f32>, y: &Labels) -> Weights {
        let fitted = self.classifier(case).fit(&x, y, Seed(3), &mut |_| ControlFlow::Continue(())).unwrap();
        Weights::of_model(&*fitted.model)
    }
}

#[test]
fn lbfgs_in_f64_finds_the_optima_of_newton_and_scikit_learn() {
    let reference = reference();
    let (x, y) = data(&reference);
    let x = x.mapv(f64::from);
    for (name, loss) in [("softmax", Loss::Softmax), ("one_vs_all_squared", Loss::SquaredHinge)] {
        for case in cases(&reference["optima"], |case| is(case, name, "l2")) {
            let l2 = number(&case["strength"]);
            let objective = Objective { loss, l2, x: Source::Dense(x.view()), y: y.as_slice(), n_classes: 4 };
            let mut parameters = vec![0.0; objective.n_parameters()];
            let solver = Lbfgs { max_iterations: 5000, tolerance: 1e-8, memory: 10 };
            let value = |p: &[f64], g: &mut [f64]| objective.value_and_gradient(p, g);
            let end = solver.minimise(&mut parameters, value, |_, _| ControlFlow::Continue(()));
            let expected = number(&case["objective"]);
            assert!(end.converged, "{}: {end:?}", named(case));
            assert!((end.value - expected).abs() < 1e-10 * expected, "{}: {} {expected}", named(case), end.value);
            let (w, b) = objective.unpack::<f64>(&parameters);
            let distance = Weights { w, b }.distance(&Weights::of_reference(case), name == "softmax");
            assert!(distance < if is_steep(case) { 1e-6 } else { 1e-3 }, "{}: {distance}", named(case));
        }
    }
}

#[test]
fn recipes_by_lbfgs_reach_the_optima() {
    let reference = reference();
    let (x, y) = data(&reference);
    let like =
        Like { solver: Solver::Auto, epochs: 1, rate: 1.0, momentum: 0.0, schedule: Schedule::Constant, batch: 1 };
    for name in ["softmax", "one_vs_all_squared"] {
        for case in cases(&reference["optima"], |case| is(case, name, "l2")) {
            let weights = like.fit(case, x.view(), &y);
            let (ours, best) = (weights.objective(case, x.view(), &y), number(&case["objective"]));
            assert!(ours > best - 1e-9 && ours < best * (1.0 + 1e-7), "{}: {ours}, optimum {best}", named(case));
            if !is_steep(case) {
                continue;
            }
            let distance = weights.distance(&Weights::of_reference(case), name == "softmax");
            assert!(distance < 3e-3, "{}: {distance}", named(case));
            let scores = x.mapv(f64::from).dot(&weights.w.t()) + &weights.b;
            let predicted = argmax_rows(scores.mapv(|v| v as f32).view());
            let right = predicted.iter().zip(y.ids()).filter(|(a, b)| a == b).count();
            assert_eq!(right as f64, number(&case["n_right"]), "{}", named(case));
        }
    }
}

/// No descent ends below the proven lower bound, and a long one with a falling rate ends near the optimum.
#[test]
fn sgd_comes_near_the_optima_that_have_corners() {
    let reference = reference();
    let (x, y) = data(&reference);
    let like =
        Like { solver: Solver::Auto, epochs: 600, rate: 0.02, momentum: 0.9, schedule: Schedule::Cosine, batch: 20 };
    for case in cases(&reference["optima"], |case| is(case, "weston_watkins", "l2") || is(case, "softmax", "l1")) {
        let ours = like.fit(case, x.view(), &y).objective(case, x.view(), &y);
        let best = number(&case["objective"]);
        let bound = case["dual"].as_f64().unwrap_or(best);
        assert!(ours > bound - 1e-8 && ours < 1.003 * best, "{}: {ours}, optimum {best}", named(case));
    }
}

#[test]
fn full_batches_take_the_steps_of_numpy() {
    let reference = reference();
    let (x, y) = data(&reference);
    for case in cases(&reference["descents"], |_| true) {
        let schedule = match case["schedule"].as_str().unwrap() {
            "constant" => Schedule::Constant,
            "step" => Schedule::Step,
            _ => Schedule::Cosine,
        };
        let (epochs, rate, momentum) = (number(&case["steps"]) as usize, number(&case["lr"]), number(&case["rho"]));
        let like = Like { solver: Solver::Sgd, epochs, rate, momentum, schedule, batch: 200 };
        let ours = like.fit(case, x.view(), &y);
        let distance = ours.distance(&Weights::of_reference(case), false);
        // A weight that hovers at 0 under L1 may step to either side, by twice the rate's share of λ.
        let tolerance = if case["penalty"] == "l1" { 1e-3 } else { 2e-5 };
        assert!(distance < tolerance, "{}: {distance}", named(case));
    }
}
