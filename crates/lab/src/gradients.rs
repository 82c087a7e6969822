//! C10: backpropagation gives the gradients that differences give, and where differences fail.
//!
//! One two-layer network in f64 with the full loss L = (1/n) Σ −log p_y + λ Σ W². Each derivative by backpropagation is
//! compared with (L(w + h) − L(w − h)) / 2h, and with (L(w + h) − L(w)) / h, over steps h. The error of the first falls as
//! h², of the second as h, until rounding, which grows as ε/h, takes over: the familiar V.

use crate::figure::{Chart, Series, number, power, slope, table};
use crate::{Claim, Demonstration, LabError, Page, Part, Setting};
use bakeoff_core::Seed;
use bakeoff_mlp::{Activation, Blocks, Initialisation, Network, Shape, Targets, Trainer};
use bakeoff_numeric::gradcheck::worst_relative_error;
use bakeoff_numeric::optim::penalty;
use bakeoff_numeric::{Loss, Optimiser};
use bakeoff_report::plot::Axis;
use maud::html;
use ndarray::Array2;
use rand::Rng;
use serde::Serialize;
use std::ops::Range;

pub(crate) const DEMONSTRATION: Demonstration = Demonstration {
    name: "gradients",
    title: "Gradients, checked",
    question: "Are the gradients of backpropagation right, and how would one know?",
    lecture: "C10",
    shows_fashion_mnist: false,
    show,
};

/// Rows, inputs, hidden units, classes.
const SIZES: (usize, usize, usize, usize) = (20, 6, 8, 4);
/// λ.
const L2: f64 = 0.01;

/// What is measured.
#[derive(Debug, Serialize)]
struct Measured {
    /// Parameters, all of which are checked.
    parameters: usize,
    /// The worst relative error in each group at a good step.
    groups: Vec<Group>,
    /// Errors over steps.
    steps: Vec<StepError>,
    /// Slopes of log error over log step: central and one-sided before rounding, and where rounding rules.
    slopes: Slopes,
    /// The central difference's best step and its error.
    best: (f64, f64),
}

#[derive(Debug, Serialize)]
struct Group {
    name: &'static str,
    numbers: usize,
    worst_relative_error: f64,
}

#[derive(Debug, Serialize)]
struct StepError {
    h: f64,
    central: f64,
    one_sided: f64,
}

#[derive(Debug, Serialize)]
struct Slopes {
    central: f64,
    one_sided: f64,
    rounding: f64,
}

fn show(setting: &Setting<'_>) -> Result<Page, LabError> {
    let measured = measure(setting.seed.derive("gradients"));
    let mut page = Page::new(&DEMONSTRATION, &measured)?;
    page.formulas = vec![
        "L = (1/n) Σᵢ −log p(yᵢ | xᵢ) + λ Σ W², with scores W₂ tanh(W₁ x + b₁) + b₂",
        "backpropagation, second layer: ∂L/∂W₂ = Δ₂ᵀ A₁ + 2λ W₂, ∂L/∂b₂ = Σ Δ₂",
        "backpropagation, first layer: Δ₁ = (Δ₂ W₂) ⊙ φ′(Z₁), ∂L/∂W₁ = Δ₁ᵀ X + 2λ W₁, ∂L/∂b₁ = Σ Δ₁",
        "differences: (L(w + h) − L(w − h)) / 2h, wrong by about h² ∂³L/6 + ε L / h",
    ];
    page.parts =
        vec![Part::new("Error against the step", chart(&measured)), Part::new("Every parameter", groups(&measured))];
    page.claims = claims(&measured);
    page.tries = vec![
        "`bakeoff lab gradients --seed 1`: other weights, other data, the same V.",
        "All this is in f64, whose rounding is near 1e−16. In f32 it is near 6e−8: where would the bottom of the V lie, and would a wrong gradient be seen?",
        "A central difference costs two losses a parameter; backpropagation gives all derivatives in one pass forth and one back. How many losses would one step of AlexNet's 60 million parameters need?",
    ];
    Ok(page)
}

/// A network, its data, and the loss as a function of all its numbers.
struct Problem {
    network: Network<f64>,
    x: Array2<f64>,
    y: Vec<usize>,
}

impl Problem {
    fn new(seed: Seed) -> Self {
        let (n, inputs, hidden, classes) = SIZES;
        let shape = Shape {
            inputs,
            hidden: vec![hidden],
            batch_norm: false,
            blocks: Blocks::NONE,
            activation: Activation::Tanh,
            classes,
        };
        let mut network = Network::new(&shape, Initialisation::Auto, seed.derive("weights"));
        let mut rng = seed.derive("data").rng();
        // Biases start at 0; a check at 0 would not see an error that is proportional to them.
        network.for_each_number(|w| *w += rng.gen_range(-0.1..0.1));
        let x = Array2::from_shape_simple_fn((n, inputs), || rng.gen_range(-1.5..1.5));
        let y = (0..n).map(|_| rng.gen_range(0..classes)).collect();
        Self { network, x, y }
    }

    /// The positions of W₁, b₁, W₂, b₂ among the numbers.
    fn groups() -> [(&'static str, Range<usize>); 4] {
        let (_, d, h, k) = SIZES;
        let mut start = 0;
        [("W₁", h * d), ("b₁", h), ("W₂", k * h), ("b₂", k)].map(|(name, count)| {
            start += count;
            (name, start - count..start)
        })
    }

    /// The numbers that pay the penalty.
    fn is_weight(i: usize) -> bool {
        Self::groups().iter().any(|(name, range)| name.starts_with('W') && range.contains(&i))
    }

    fn loss(&self, numbers: &[f64]) -> f64 {
        let mut network = self.network.clone();
        network.set_numbers(numbers);
        let mut scores = Array2::zeros((self.y.len(), network.outputs()));
        network.scores_into(self.x.view(), scores.view_mut());
        let weights: Vec<f64> =
            numbers.iter().enumerate().filter(|(i, _)| Self::is_weight(*i)).map(|(_, w)| *w).collect();
        Loss::Softmax.into_gradient(scores.view_mut(), &self.y) / self.y.len() as f64 + penalty(L2, 0.0, &weights)
    }

    /// By backpropagation.
    fn gradient(&self) -> Vec<f64> {
        let optimiser = Optimiser::default();
        let mut trainer = Trainer::new(&self.network, optimiser, self.y.len(), 0.0, None);
        let (_, gradient) =
            trainer.loss_and_gradient(self.x.view(), Targets::Classes(&self.y), Loss::Softmax, None, &self.network);
        let both = gradient.numbers().into_iter().zip(self.network.numbers()).enumerate();
        both.map(|(i, (g, w))| if Self::is_weight(i) { g + 2.0 * L2 * w } else { g }).collect()
    }
}

fn measure(seed: Seed) -> Measured {
    let problem = Problem::new(seed);
    let (at, gradient) = (problem.network.numbers(), problem.gradient());
    let groups = Problem::groups().map(|(name, range)| {
        // The others stand still: only this group is moved and compared.
        let moved = |part: &[f64]| problem.loss(&[&at[..range.start], part, &at[range.end..]].concat());
        let worst_relative_error = worst_relative_error(moved, &at[range.clone()], &gradient[range.clone()]);
        Group { name, numbers: range.len(), worst_relative_error }
    });
    let steps: Vec<StepError> =
        (2..=28).map(|half| step_error(&problem, &at, &gradient, 10f64.powf(f64::from(half) / -2.0))).collect();
    let log = |from: f64, to: f64, error: fn(&StepError) -> f64| -> Vec<(f64, f64)> {
        let within = steps.iter().filter(|s| (from..=to).contains(&s.h));
        within.map(|s| (s.h.log10(), error(s).log10())).collect()
    };
    let slopes = Slopes {
        central: slope(&log(0.9e-4, 0.11, |s| s.central)),
        one_sided: slope(&log(0.9e-6, 0.011, |s| s.one_sided)),
        rounding: slope(&log(0.9e-12, 1.1e-7, |s| s.central)),
    };
    let best = steps.iter().min_by(|a, b| a.central.total_cmp(&b.central)).map_or((0.0, 1.0), |s| (s.h, s.central));
    Measured { parameters: at.len(), groups: groups.into(), steps, slopes, best }
}

/// The root of the mean squared difference from the analytic gradient, in shares of the gradient's.
fn step_error(problem: &Problem, at: &[f64], gradient: &[f64], h: f64) -> StepError {
    let here = problem.loss(at);
    let mut point = at.to_vec();
    let (mut central, mut one_sided) = (0.0, 0.0);
    for (i, g) in gradient.iter().enumerate() {
        let mut moved = |by: f64| {
            point[i] = at[i] + by;
            let loss = problem.loss(&point);
            point[i] = at[i];
            loss
        };
        let (above, below) = (moved(h), moved(-h));
        central += ((above - below) / (2.0 * h) - g).powi(2);
        one_sided += ((above - here) / h - g).powi(2);
    }
    let length = gradient.iter().map(|g| g * g).sum::<f64>();
    StepError { h, central: (central / length).sqrt(), one_sided: (one_sided / length).sqrt() }
}

fn claims(measured: &Measured) -> Vec<Claim> {
    let worst = measured.groups.iter().map(|group| group.worst_relative_error).fold(0.0, f64::max);
    let Slopes { central, one_sided, rounding } = measured.slopes;
    vec![
        Claim::new(
            "Backpropagation gives the gradients of the full loss with respect to W₁, b₁, W₂ and b₂.",
            worst < 1e-6,
            format!("the worst of {} derivatives differs from its central difference by {} of its size, under 1e−6", measured.parameters, number(worst)),
        ),
        Claim::new(
            "The error of a central difference falls with the square of the step, of a one-sided one with the step, and rounding makes both grow again.",
            (central - 2.0).abs() < 0.2 && (one_sided - 1.0).abs() < 0.1 && (rounding + 1.0).abs() < 0.25,
            format!(
                "on logarithmic scales the errors of central and one-sided differences and of rounding have slopes of {central:.2}, {one_sided:.2} and {rounding:.2}, where 2, 1 and −1 are expected, and the least error is {} at h = {}",
                number(measured.best.1),
                number(measured.best.0),
            )
            .replace(" -", " −"),
        ),
    ]
}

fn chart(measured: &Measured) -> maud::Markup {
    let line = |error: fn(&StepError) -> f64| measured.steps.iter().map(|s| (s.h, error(s))).collect::<Vec<_>>();
    let series = vec![
        Series::marked("central difference", line(|s| s.central)),
        Series::marked("one-sided difference", line(|s| s.one_sided)),
    ];
    let errors = measured.steps.iter().flat_map(|s| [s.central, s.one_sided]);
    Chart {
        finding: format!(
            "Relative error of all {} derivatives together against the step h. From the right, errors fall with h² and h; left of the bottom, rounding makes them grow again.",
            measured.parameters
        ),
        x: Axis::log(measured.steps.iter().map(|s| s.h)),
        y: Axis::log(errors),
        x_title: "step h",
        y_title: "relative error",
        x_written: &power,
        y_written: &power,
        series,
    }
    .shown()
}

fn groups(measured: &Measured) -> maud::Markup {
    let rows: Vec<Vec<String>> = measured
        .groups
        .iter()
        .map(|group| vec![group.name.to_owned(), group.numbers.to_string(), number(group.worst_relative_error)])
        .collect();
    html! {
        p { "Each parameter is moved by itself, by the step 6e−6 that balances truncation and rounding." }
        (table("", &["parameters", "how many", "worst relative error"], &rows))
    }
}
