//! C5: a network in under 20 lines, run for its 10,000 steps and held against NumPy's run from the same start.
//!
//! The program is the project's own example, shown as it stands; its steps are run here in f64 from the start that
//! `mlp/tests/reference/twenty_lines.py` has, whose losses are those of NumPy.

use crate::figure::{Chart, Series, grouped, number, power, table};
use crate::learn::{plain_shape, set_affines};
use crate::{Claim, Demonstration, LabError, Page, Part, Setting};
use bakeoff_core::Seed;
use bakeoff_mlp::{Activation, Affine, Initialisation, Network, Targets, Trainer};
use bakeoff_numeric::{Loss, Optimiser};
use bakeoff_report::plot::Axis;
use maud::{Markup, html};
use ndarray::{Array1, Array2};
use serde::{Deserialize, Serialize};

pub(crate) const DEMONSTRATION: Demonstration = Demonstration {
    name: "twenty-lines",
    title: "A network in under 20 lines",
    question: "How much program is a network that learns?",
    lecture: "C5",
    shows_fashion_mnist: false,
    show,
};

const PROGRAM: &str = include_str!("../../mlp/examples/twenty_lines.rs");
const REFERENCE: &str = include_str!("../../mlp/tests/reference/twenty_lines.json");

/// NumPy's losses after these steps.
#[derive(Debug, Deserialize)]
struct Reference {
    steps: Vec<usize>,
    losses: Vec<f64>,
}

#[derive(Debug, Serialize)]
struct Measured {
    lines: usize,
    steps: usize,
    /// (step, loss).
    losses: Vec<(usize, f64)>,
    /// (step, loss) of NumPy, as far as was run here.
    numpy: Vec<(usize, f64)>,
    largest_relative_difference: f64,
}

/// The lines of `main` that do something.
fn body() -> Vec<&'static str> {
    let inside = PROGRAM.split("fn main() {\n").nth(1).unwrap_or_default();
    inside.lines().take_while(|line| *line != "}").collect()
}

fn show(setting: &Setting<'_>) -> Result<Page, LabError> {
    let measured = measure(setting.either(10_000, 600))?;
    let mut page = Page::new(&DEMONSTRATION, &measured)?;
    page.formulas = vec![
        "h = 1 / (1 + exp(−W₁ x − b₁)), ŷ = W₂ h + b₂",
        "L = Σ (ŷ − y)², W ← W − 10⁻⁴ ∂L/∂W, b likewise",
        "64 rows of 1,000 inputs, 100 hidden units, 10 outputs, 10,000 steps",
    ];
    page.parts = vec![Part::new("The program", program(&measured)), Part::new("The loss", losses(&measured))];
    page.claims = claims(&measured);
    page.tries = vec![
        "`cargo run --release -p bakeoff-mlp --example twenty_lines` prints the loss at every power of two.",
        "Ten times the rate: does it learn ten times as fast? A hundred times?",
        "Write it in NumPy, and then look at `crates/mlp/tests/reference/twenty_lines.py`, which has the gradients by hand.",
    ];
    Ok(page)
}

/// Whole numbers modulo a prime, from −1 to 1: what the script in NumPy has, to the bit.
fn noise(rows: usize, columns: usize, [a, b, c]: [usize; 3]) -> Array2<f64> {
    Array2::from_shape_fn((rows, columns), |(i, j)| ((i * a + j * b + i * j * c) % 1009) as f64 / 504.5 - 1.0)
}

fn measure(steps: usize) -> Result<Measured, LabError> {
    let reference: Reference = serde_json::from_str(REFERENCE)?;
    let (n, d, h, k) = (64, 1000, 100, 10);
    let mut network = Network::<f64>::new(&plain_shape(d, &[h], Activation::Sigmoid, k), Initialisation::Auto, Seed(0));
    let first = Affine { w: noise(h, d, [6007, 2003, 17]) * 0.05, b: Array1::zeros(h) };
    let last = Affine { w: noise(k, h, [3001, 5003, 13]) * 0.3, b: Array1::zeros(k) };
    set_affines(&mut network, &[first, last]);
    let (x, y) = (noise(n, d, [7919, 104_729, 31]), (0..n).map(|i| i * 7 % k).collect::<Vec<_>>());
    let mut trainer = Trainer::new(&network, Optimiser::default(), n, 0.0, None);
    let mut losses = Vec::new();
    let mut next = 0.0;
    for t in 0..steps {
        let loss = trainer.step(x.view(), Targets::Classes(&y), Loss::Squared, 1e-4 * n as f64, None);
        // About twenty steps a decade, and those of the reference.
        if t as f64 >= next || reference.steps.contains(&t) || t + 1 == steps {
            losses.push((t, loss));
            next = (t as f64 * 1.12).max(t as f64 + 1.0);
        }
    }
    let numpy: Vec<(usize, f64)> =
        reference.steps.into_iter().zip(reference.losses).filter(|(t, _)| *t < steps).collect();
    let differences = numpy.iter().filter_map(|(t, expected)| {
        losses.iter().find(|(own, _)| own == t).map(|(_, loss)| (loss - expected).abs() / expected)
    });
    let largest_relative_difference = differences.fold(0.0, f64::max);
    let lines = body().iter().filter(|line| !line.trim_start().starts_with("//")).count();
    Ok(Measured { lines, steps, losses, numpy, largest_relative_difference })
}

fn claims(m: &Measured) -> Vec<Claim> {
    let ends = m.losses.first().zip(m.losses.last()).map_or((0.0, 0.0), |(first, last)| (first.1, last.1));
    vec![
        Claim::new(
            "A network that learns has under 20 lines.",
            (1..20).contains(&m.lines),
            format!("the program has {} lines, without its comment", m.lines),
        ),
        Claim::new(
            "It is the lecture's network: NumPy, with gradients by hand, has the same losses from the same start.",
            m.numpy.len() > 5 && m.largest_relative_difference < 1e-8,
            format!(
                "the losses here and in NumPy at {} steps differ by {} of their size at most, under 1e−8",
                m.numpy.len(),
                number(m.largest_relative_difference)
            ),
        ),
        Claim::new(
            "Plain gradient descent at a rate of 10⁻⁴ learns.",
            ends.1 < 0.9 * ends.0 && m.losses.windows(2).all(|pair| pair[1].1 <= pair[0].1),
            format!(
                "the loss falls at every step that was noted, from {} to {} in {} steps",
                number(ends.0),
                number(ends.1),
                grouped(m.steps)
            ),
        ),
    ]
}

fn program(m: &Measured) -> Markup {
    let text = body().iter().map(|line| line.strip_prefix("    ").unwrap_or(line)).collect::<Vec<_>>().join("\n");
    html! {
        p { "The body of the example " code { "twenty_lines" } " of the crate mlp, " (m.lines) " lines without the comment." }
        pre tabindex="0" { code { (text) } }
    }
}

fn losses(m: &Measured) -> Markup {
    let line = |losses: &[(usize, f64)]| losses.iter().map(|(t, loss)| ((t + 1) as f64, *loss)).collect::<Vec<_>>();
    let (own, numpy) = (line(&m.losses), line(&m.numpy));
    let row = |(t, expected): &(usize, f64)| {
        let own = m.losses.iter().find(|(own, _)| own == t).map_or(f64::NAN, |(_, loss)| *loss);
        vec![grouped(t + 1), format!("{own:.9e}").replace('-', "−"), format!("{expected:.9e}").replace('-', "−")]
    };
    let rows: Vec<Vec<String>> = m.numpy.iter().map(row).collect();
    let chart = Chart {
        finding: "The summed squared loss against the step, both on logarithmic scales: NumPy's marks lie on the line of this program."
            .to_owned(),
        x: Axis::log(own.iter().map(|at| at.0)),
        y: Axis::log(own.iter().map(|at| at.1)),
        x_title: "step",
        y_title: "loss",
        x_written: &power,
        y_written: &power,
        series: vec![Series::line("this program, in f64", own), Series::scattered("NumPy", numpy)],
    };
    html! { (chart.shown()) (table("", &["step", "loss here", "loss in NumPy"], &rows)) }
}
