//! C9: linear classifiers have convex losses, networks do not.
//!
//! Jensen's inequality f(t a + (1 − t) b) ≤ t f(a) + (1 − t) f(b) is sampled for the full losses of linear classifiers, where
//! no violation may be found, and for a four-layer net, where many are. Then the net's loss along straight lines, in the four
//! moods of the lecture, each with a criterion that a line either meets or not.

mod slices;

use crate::figure::{Chart, Series, grouped, number, panels, percent, plain, span, table};
use crate::learn::plain_shape;
use crate::points::normal;
use crate::{Claim, Demonstration, LabError, Page, Part, Setting};
use bakeoff_core::Seed;
use bakeoff_linear::{Objective, Source};
use bakeoff_mlp::{Activation, Initialisation, Network};
use bakeoff_numeric::Loss;
use bakeoff_numeric::optim::penalty;
use bakeoff_report::plot::Axis;
use maud::{Markup, html};
use ndarray::Array2;
use rand::Rng;
use rayon::prelude::*;
use serde::Serialize;
use slices::{Mood, Slice};

pub(crate) const DEMONSTRATION: Demonstration = Demonstration {
    name: "convexity",
    title: "Convexity",
    question: "Which losses are convex, and what does a network's look like?",
    lecture: "C9",
    shows_fashion_mnist: false,
    show,
};

/// Inputs and classes of the lecture's net.
const D: usize = 10;
const K: usize = 10;
/// Rows of the linear problems.
const ROWS: usize = 40;
/// By how much f may be above the chord, in shares of the chord's height, and count as rounding.
const ROUNDING: f64 = 1e-9;

#[derive(Debug, Serialize)]
struct Measured {
    samples: usize,
    linear: Vec<Sampled>,
    net: Sampled,
    net_weights: usize,
    slices_searched: usize,
    moods: Vec<Found>,
}

/// Jensen's inequality, sampled.
#[derive(Debug, Serialize)]
struct Sampled {
    name: &'static str,
    violations: usize,
    /// The greatest (f(mid) − chord) / |chord|; below 0 when the function was always below.
    worst: f64,
}

/// Slices of a mood among those that were searched.
#[derive(Debug, Serialize)]
struct Found {
    mood: &'static str,
    criterion: &'static str,
    count: usize,
    /// The one that is shown: which search it was, and its losses.
    example: Option<Slice>,
}

fn show(setting: &Setting<'_>) -> Result<Page, LabError> {
    let measured = measure(setting);
    let mut page = Page::new(&DEMONSTRATION, &measured)?;
    page.formulas = vec![
        "convex: f(t a + (1 − t) b) ≤ t f(a) + (1 − t) f(b) for all a, b and 0 ≤ t ≤ 1",
        "linear: f(W, b) = (1/n) Σ Lᵢ(W xᵢ + b) + λ R(W), L softmax or SVM, R = Σ W² or Σ |W|",
        "net: ten inputs, three hidden layers of 32 ReLU units, ten classes, softmax; along a line: g(t) = f(w₀ + t d)",
    ];
    page.parts = vec![
        Part::new("A function that is convex, and one that is not", two_functions()),
        Part::new("Jensen's inequality, sampled", sampled(&measured)),
        Part::new("A network's loss along straight lines", moods(&measured)),
    ];
    page.claims = claims(&measured);
    page.tries = vec![
        "`bakeoff lab convexity --seed 1`: other weights, other lines. Do the four moods come back?",
        "Is a sum of convex functions convex? A maximum? Both are in the SVM loss. And a convex function of a ReLU?",
        "A convex loss has one valley, and every descent ends in it. Why do networks train all the same?",
    ];
    Ok(page)
}

/// Violations among samples of (a, b, t), with the worst.
fn sample(name: &'static str, samples: usize, seed: Seed, numbers: usize, f: impl Fn(&[f64]) -> f64 + Sync) -> Sampled {
    let excesses: Vec<f64> = (0..samples).into_par_iter().map(|i| excess(&f, numbers, seed.nth(i))).collect();
    let violations = excesses.iter().filter(|excess| !(**excess <= ROUNDING)).count();
    Sampled { name, violations, worst: span(&excesses).1 }
}

/// (f(mid) − chord) / |chord| at one sample: ends of any size from 0.1 to 10, any t.
fn excess(f: &impl Fn(&[f64]) -> f64, numbers: usize, seed: Seed) -> f64 {
    let mut rng = seed.rng();
    let mut end = || {
        let size = 10f64.powf(rng.gen_range(-1.0..1.0));
        (0..numbers).map(|_| size * normal(&mut rng)).collect::<Vec<f64>>()
    };
    let (a, b) = (end(), end());
    let t: f64 = rng.r#gen();
    let mid: Vec<f64> = a.iter().zip(&b).map(|(a, b)| t * a + (1.0 - t) * b).collect();
    let chord = t * f(&a) + (1.0 - t) * f(&b);
    (f(&mid) - chord) / chord.abs().max(1e-12)
}

/// Rows and classes by chance.
fn rows(n: usize, seed: Seed) -> (Array2<f64>, Vec<usize>) {
    let mut rng = seed.rng();
    let x = Array2::from_shape_simple_fn((n, D), || normal(&mut rng));
    let y = (0..n).map(|_| rng.gen_range(0..K)).collect();
    (x, y)
}

fn linear(setting: &Setting<'_>, seed: Seed) -> Vec<Sampled> {
    let (x, y) = rows(ROWS, seed.derive("rows"));
    let kinds = [
        ("softmax, no penalty", Loss::Softmax, 0.0, 0.0),
        ("softmax, λ Σ W²", Loss::Softmax, 0.01, 0.0),
        ("softmax, λ Σ |W|", Loss::Softmax, 0.0, 0.01),
        ("SVM, no penalty", Loss::WestonWatkins, 0.0, 0.0),
        ("SVM, λ Σ W²", Loss::WestonWatkins, 0.01, 0.0),
        ("SVM, λ Σ |W|", Loss::WestonWatkins, 0.0, 0.01),
    ];
    let sampled = kinds.into_iter().enumerate().map(|(i, (name, loss, l2, l1))| {
        let objective = Objective { loss, l2, x: Source::Dense(x.view()), y: &y, n_classes: K };
        let f = |numbers: &[f64]| {
            let smooth = objective.value_and_gradient(numbers, &mut vec![0.0; numbers.len()]);
            smooth + penalty(0.0, l1, &numbers[..K * D])
        };
        sample(name, setting.either(20_000, 2000), seed.derive("linear").nth(i), objective.n_parameters(), f)
    });
    sampled.collect()
}

/// The lecture's net with rows, as a function of its numbers.
struct Net {
    network: Network<f64>,
    x: Array2<f64>,
    y: Vec<usize>,
}

impl Net {
    fn new(n: usize, seed: Seed) -> Self {
        let shape = plain_shape(D, &[32, 32, 32], Activation::Relu, K);
        let (x, y) = rows(n, seed.derive("rows"));
        Self { network: Network::new(&shape, Initialisation::Auto, seed.derive("weights")), x, y }
    }

    /// The mean softmax loss at these numbers.
    fn loss(&self, numbers: &[f64]) -> f64 {
        let mut network = self.network.clone();
        network.set_numbers(numbers);
        let mut scores = Array2::zeros((self.y.len(), K));
        network.scores_into(self.x.view(), scores.view_mut());
        Loss::Softmax.into_gradient(scores.view_mut(), &self.y) / self.y.len() as f64
    }
}

fn measure(setting: &Setting<'_>) -> Measured {
    let seed = setting.seed.derive("convexity");
    let samples = setting.either(20_000, 2000);
    let net = Net::new(ROWS, seed.derive("net"));
    let net_weights = net.network.numbers().len();
    let searched = setting.either(8000, 3000);
    let slices = slices::search(searched, seed.derive("slices"));
    let moods = Mood::ALL.map(|mood| {
        let own = slices.iter().filter(|slice| slice.mood == Some(mood));
        Found {
            mood: mood.name(),
            criterion: mood.criterion(),
            count: own.clone().count(),
            example: own.max_by(|a, b| a.clarity.total_cmp(&b.clarity)).cloned(),
        }
    });
    Measured {
        samples,
        linear: linear(setting, seed),
        net: sample("four-layer net, softmax", samples / 4, seed.derive("jensen"), net_weights, |w| net.loss(w)),
        net_weights,
        slices_searched: searched,
        moods: moods.into(),
    }
}

fn claims(m: &Measured) -> Vec<Claim> {
    let violations: usize = m.linear.iter().map(|of| of.violations).sum();
    let worst = span(&m.linear.iter().map(|of| of.worst).collect::<Vec<_>>()).1;
    let counts: Vec<String> = m.moods.iter().map(|found| format!("{} {}", grouped(found.count), found.mood)).collect();
    vec![
        Claim::new(
            "Softmax and SVM losses of a linear classifier are convex, with L1 and with L2.",
            violations == 0,
            format!(
                "{violations} violations of Jensen's inequality in {} samples of each of {} losses of linear classifiers (where one came closest, it lay {} of the chord's height {} the chord; up to 1e−9 above is rounding)",
                grouped(m.samples),
                m.linear.len(),
                number(worst.abs()),
                if worst > 0.0 { "above" } else { "below" }
            ),
        ),
        Claim::new(
            "The loss of a network is not convex.",
            m.net.violations > 0,
            format!(
                "{} violations in {} samples of a net's loss, {}, the worst by {} of the chord's height",
                m.net.violations,
                grouped(m.samples / 4),
                percent(m.net.violations as f64 / (m.samples / 4).max(1) as f64),
                percent(m.net.worst)
            ),
        ),
        Claim::new(
            "Slices through a network's loss look convex, clearly non-convex, with local minima, or wild.",
            m.moods.iter().all(|found| found.count > 0),
            format!(
                "{} slices through losses of nets have among them {}",
                grouped(m.slices_searched),
                counts.join(", ")
            ),
        ),
    ]
}

fn two_functions() -> Markup {
    let chart = |name: &str, f: fn(f64) -> f64, (a, b): (f64, f64), range: (f64, f64), finding: &str| {
        let curve = (0..=120).map(|i| -4.0 + i as f64 / 15.0).map(|x| (x, f(x))).collect();
        Chart {
            finding: finding.to_owned(),
            x: Axis::from_to(-4.0, 4.0),
            y: Axis::from_to(range.0, range.1),
            x_title: "",
            y_title: "",
            x_written: &plain,
            y_written: &plain,
            series: vec![Series::line("function", curve), Series::marked("chord", vec![(a, f(a)), (b, f(b))])],
        }
        .panel(name)
    };
    panels(&[
        chart("x²", |x| x * x, (-2.0, 3.0), (-1.0, 16.0), "Every chord lies above the function: convex."),
        chart("cos x", f64::cos, (-2.5, 2.5), (-1.3, 1.3), "This chord lies below the function: not convex."),
    ])
}

fn sampled(m: &Measured) -> Markup {
    let row = |of: &Sampled, samples: usize| {
        vec![of.name.to_owned(), grouped(samples), grouped(of.violations), number(of.worst)]
    };
    let rows: Vec<Vec<String>> =
        m.linear.iter().map(|of| row(of, m.samples)).chain([row(&m.net, m.samples / 4)]).collect();
    html! {
        p { "Ends a and b are drawn with sizes from 0.1 to 10 and t from 0 to 1. The last column is the highest that f lay over its chord, in shares of the chord's height; below 0 it was always under it." }
        (table("", &["loss", "samples", "violations", "highest over the chord"], &rows))
        p.note { (ROWS) " rows of " (D) " numbers, " (K) " classes; the net has " (grouped(m.net_weights)) " weights and biases." }
    }
}

fn moods(m: &Measured) -> Markup {
    let chart = |found: &Found| {
        let Some(slice) = &found.example else {
            return html! { figure { h3 { (found.mood) } figcaption { "Not found." } } };
        };
        let points: Vec<(f64, f64)> = slice.places().into_iter().zip(slice.losses.iter().copied()).collect();
        Chart {
            finding: format!("{} {} of {} slices.", found.criterion, grouped(found.count), grouped(m.slices_searched)),
            x: Axis::linear(points.iter().map(|at| at.0)),
            y: Axis::linear(slice.losses.iter().copied()),
            x_title: "t",
            y_title: "loss",
            x_written: &plain,
            y_written: &plain,
            series: vec![Series::line("loss", points)],
        }
        .panel(found.mood)
    };
    html! {
        (panels(&m.moods.iter().map(chart).collect::<Vec<_>>()))
        p.note { "Each slice has a net, rows, a direction and a length of its own, all drawn from the seed; of each mood the clearest is shown." }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sampling_tells_a_parabola_from_a_cosine() {
        let parabola = sample("x²", 500, Seed(1), 3, |p| p.iter().map(|v| v * v).sum());
        assert!(parabola.violations == 0 && parabola.worst < 0.0, "{parabola:?}");
        assert!(sample("cos", 500, Seed(1), 1, |p| p[0].cos() + 2.0).violations > 100);
        assert_eq!(sample("nan", 10, Seed(1), 1, |_| f64::NAN).violations, 10);
    }
}
