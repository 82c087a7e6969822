//! C7: more hidden units, more capacity; and capacity is better held by a stronger penalty than by fewer units.
//!
//! Nine kinds of two-layer net on two half moons with much noise: 3, 6 and 20 units, λ of 0.001, 0.01 and 0.1 in
//! L = (1/n) Σ −log p + λ Σ W², each from several starts and on several draws of the training points.

use crate::field::{FINE, Field};
use crate::figure::{Frame, grouped, mean, number, panel, panels, percent, points, table};
use crate::learn::{accuracy, count, fitted};
use crate::points::{Points, moons};
use crate::{Claim, Demonstration, LabError, Page, Part, Setting};
use bakeoff_core::params::{NonNegative, Positive};
use bakeoff_core::{Model, Seed};
use bakeoff_mlp::{ActivationName, Mlp};
use bakeoff_numeric::Rule;
use maud::{Markup, html};
use rayon::prelude::*;
use serde::Serialize;

pub(crate) const DEMONSTRATION: Demonstration = Demonstration {
    name: "capacity",
    title: "Capacity and its price",
    question: "Should a net that fits too well get fewer units, or a stronger penalty?",
    lecture: "C7",
    shows_fashion_mnist: false,
    show,
};

const UNITS: [usize; 3] = [3, 6, 20];
const LAMBDAS: [f64; 3] = [0.001, 0.01, 0.1];
/// Training points: few, so that there is something to overfit.
const N: usize = 60;
const NOISE: f64 = 0.28;
/// How far the moons are stretched: on points near 1 a penalty of 0.001 holds 20 units back already, and nothing is left to be overfitted.
const STRETCH: f32 = 4.0;

#[derive(Debug, Serialize)]
struct Measured {
    training_points: usize,
    test_points: usize,
    noise: f64,
    seeds: usize,
    /// By units, then by λ.
    nets: Vec<Net>,
    /// Units × λ of the least test error.
    best: (usize, f64),
}

/// Means over the seeds.
#[derive(Debug, Serialize)]
struct Net {
    units: usize,
    lambda: f64,
    train_error: f64,
    test_error: f64,
    /// The length of the boundary within the picture.
    boundary: f64,
}

const FRAME: Frame = Frame { x: (-9.2, 9.2), y: (-9.2, 9.2) };

fn settings(units: usize, lambda: f64) -> Mlp {
    Mlp {
        hidden: vec![count(units)],
        activation: ActivationName::Tanh,
        l2: NonNegative::new(lambda).unwrap_or(NonNegative::literal(0.0)),
        optimiser: Rule::Adam,
        learning_rate: Positive::literal(0.03),
        batch: count(N),
        epochs: count(1500),
        ..Mlp::default()
    }
}

fn stretched(points: Points) -> Points {
    Points { x: points.x * STRETCH, ..points }
}

/// One net on one draw: training points, model.
fn trained(units: usize, lambda: f64, seed: Seed) -> Result<(Points, Box<dyn Model>), LabError> {
    let train = stretched(moons(N, NOISE, seed.derive("train")));
    let model = fitted(&settings(units, lambda), &train.x, &train.labels, seed.derive("net"))?;
    Ok((train, model))
}

fn show(setting: &Setting<'_>) -> Result<Page, LabError> {
    let seed = setting.seed.derive("capacity");
    let seeds = setting.either(20, 6);
    let test = stretched(moons(setting.either(4000, 1000), NOISE, seed.derive("test")));
    let kinds: Vec<(usize, f64)> = UNITS.iter().flat_map(|units| LAMBDAS.map(|lambda| (*units, lambda))).collect();
    let nets: Result<Vec<Net>, LabError> = kinds.par_iter().map(|kind| measure(*kind, seeds, &test, seed)).collect();
    let nets = nets?;
    let best = nets
        .iter()
        .min_by(|a, b| a.test_error.total_cmp(&b.test_error))
        .map_or((0, 0.0), |net| (net.units, net.lambda));
    let measured = Measured { training_points: N, test_points: test.labels.len(), noise: NOISE, seeds, nets, best };
    let mut page = Page::new(&DEMONSTRATION, &measured)?;
    page.formulas = vec![
        "scores W₂ tanh(W₁ x + b₁) + b₂ with 3, 6 or 20 hidden units",
        "L = (1/n) Σ −log p(y | x) + λ Σ W², λ = 0.001, 0.01, 0.1; biases are free",
    ];
    page.parts = vec![Part::new("Nine nets", pictures(&measured, seed)?), Part::new("Errors", errors(&measured))];
    page.claims = claims(&measured);
    page.tries = vec![
        "`bakeoff lab capacity --seed 1`: which of the nine pictures change, and which hardly?",
        "Read the pictures along a row and down a column: which way does the test error fall without the training error saying so?",
        "`bakeoff lab playground`: put points of your own, move λ, and watch the boundary straighten.",
    ];
    Ok(page)
}

fn measure((units, lambda): (usize, f64), seeds: usize, test: &Points, seed: Seed) -> Result<Net, LabError> {
    let mut found = [Vec::new(), Vec::new(), Vec::new()];
    for i in 0..seeds {
        // The same draws for all nine kinds, so that they differ by units and λ alone.
        let (train, model) = trained(units, lambda, seed.nth(i))?;
        found[0].push(1.0 - accuracy(&*model, &train.x, &train.labels));
        found[1].push(1.0 - accuracy(&*model, &test.x, &test.labels));
        found[2].push(Field::of(FRAME, FINE, |x| model.scores(x)).boundary_length());
    }
    let [train_error, test_error, boundary] = found.map(|values| mean(&values));
    Ok(Net { units, lambda, train_error, test_error, boundary })
}

impl Measured {
    fn of(&self, units: usize, lambda: f64) -> Option<&Net> {
        self.nets.iter().find(|net| net.units == units && net.lambda == lambda)
    }

    /// Figures of the three nets with this λ, or with these units.
    fn along(&self, which: impl Fn(&Net) -> bool, figure: fn(&Net) -> f64) -> Vec<f64> {
        self.nets.iter().filter(|net| which(net)).map(figure).collect()
    }
}

/// "12.0%, 9.1% and 3.3%"
fn listed(values: &[f64], written: fn(f64) -> String) -> String {
    let words: Vec<String> = values.iter().map(|v| written(*v)).collect();
    words.split_last().map_or_else(String::new, |(last, first)| format!("{} and {last}", first.join(", ")))
}

fn claims(m: &Measured) -> Vec<Claim> {
    let by_units = m.along(|net| net.lambda == LAMBDAS[0], |net| net.train_error);
    let by_lambda = m.along(|net| net.units == UNITS[2], |net| net.train_error);
    let lengths = m.along(|net| net.units == UNITS[2], |net| net.boundary);
    let test = |units, lambda| m.of(units, lambda).map_or(1.0, |net| net.test_error);
    let fewest = test(UNITS[0], LAMBDAS[0]);
    let penalised = LAMBDAS[1..].iter().map(|lambda| test(UNITS[2], *lambda)).fold(1.0, f64::min);
    let falls = |values: &[f64]| values.windows(2).all(|pair| pair[0] > pair[1]);
    let rises = |values: &[f64]| values.windows(2).all(|pair| pair[0] < pair[1]);
    vec![
        Claim::new(
            "More hidden units have more capacity.",
            falls(&by_units),
            format!("with λ = 0.001 the training error of 3, 6 and 20 units is {}", listed(&by_units, percent)),
        ),
        Claim::new(
            "A stronger penalty takes capacity away from the same 20 units.",
            rises(&by_lambda) && falls(&lengths),
            format!(
                "with λ = 0.001, 0.01 and 0.1 the training error of 20 units is {}, and the length of their boundary {}",
                listed(&by_lambda, percent),
                listed(&lengths, number)
            ),
        ),
        Claim::new(
            "Regularise by the penalty and not by fewer units.",
            penalised < fewest && penalised < test(UNITS[2], LAMBDAS[0]),
            format!(
                "20 units with the better of the stronger penalties have a test error of {}, with the weakest {}, and 3 units with the weakest {}",
                percent(penalised),
                percent(test(UNITS[2], LAMBDAS[0])),
                percent(fewest)
            ),
        ),
    ]
}

fn pictures(m: &Measured, seed: Seed) -> Result<Markup, LabError> {
    let mut shown = Vec::new();
    for net in &m.nets {
        let (train, model) = trained(net.units, net.lambda, seed.nth(0))?;
        let field = Field::of(FRAME, FINE, |x| model.scores(x));
        let label = format!("decision regions of {} units with λ = {}", net.units, net.lambda);
        let picture = FRAME.plane(&label, ("", ""), |drawing| {
            field.draw(drawing);
            points(drawing, &train.places(), train.classes(), 3.0);
        });
        let finding =
            format!("Mean errors: {} in training, {} in test.", percent(net.train_error), percent(net.test_error));
        shown.push(panel(&format!("{} units, λ = {}", net.units, net.lambda), &picture, &finding));
    }
    Ok(html! {
        p { "The first of " (m.seeds) " draws of " (m.training_points) " training points: units grow downwards, the penalty to the right. Errors are means over all draws." }
        div.nine { (panels(&shown)) }
    })
}

fn errors(m: &Measured) -> Markup {
    let row = |net: &Net| {
        vec![
            format!("{} units, λ = {}", net.units, net.lambda),
            percent(net.train_error),
            percent(net.test_error),
            number(net.boundary),
        ]
    };
    let rows: Vec<Vec<String>> = m.nets.iter().map(row).collect();
    html! {
        (table("", &["net", "training error", "test error", "length of the boundary"], &rows))
        p.note { "Means over " (m.seeds) " draws of " (m.training_points) " training points, each with a start of its own; " (grouped(m.test_points)) " test points. The boundary is measured within the picture, in units of its axes. The moons overlap: nobody gets all of them right." }
    }
}
