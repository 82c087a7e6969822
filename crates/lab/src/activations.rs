//! C3, C4: the activations and their derivatives, the same net with each, and what a net without any is.

use crate::figure::{Chart, Series, grouped, mean, number, panels, percent, plain, span, table};
use crate::learn::{Scaled, accuracy, count, fitted, learned_affines};
use crate::{Claim, Demonstration, LabError, Page, Part, Setting};
use bakeoff_core::params::Positive;
use bakeoff_core::{Dataset, Extractor, Labelled, Model, Seed};
use bakeoff_datasets::shapes::Shapes;
use bakeoff_features::Pixels;
use bakeoff_linear::Softmax;
use bakeoff_mlp::{Activation, ActivationName, Mlp};
use bakeoff_report::plot::Axis;
use maud::{Markup, html};
use ndarray::Array2;
use serde::Serialize;
use std::path::Path;

pub(crate) const DEMONSTRATION: Demonstration = Demonstration {
    name: "activations",
    title: "Activations, and none",
    question: "Which activation should a network have, and what is a network without one?",
    lecture: "C3, C4",
    shows_fashion_mnist: false,
    show,
};

/// The lecture's six, and none.
const KINDS: [(ActivationName, Activation, &str, &str); 7] = [
    (ActivationName::Sigmoid, Activation::Sigmoid, "sigmoid", "1 / (1 + e⁻ˣ)"),
    (ActivationName::Tanh, Activation::Tanh, "tanh", "tanh x"),
    (ActivationName::Relu, Activation::Relu, "ReLU", "max(0, x)"),
    (ActivationName::LeakyRelu, Activation::LeakyRelu { slope: 0.2 }, "leaky ReLU", "max(0.2x, x)"),
    (ActivationName::Softplus, Activation::Softplus, "softplus", "log(1 + eˣ)"),
    (ActivationName::Elu, Activation::Elu { alpha: 1.0 }, "ELU", "x if x > 0, else α (eˣ − 1), α = 1"),
    (ActivationName::Identity, Activation::Identity, "none", "x"),
];

#[derive(Debug, Serialize)]
struct Measured {
    training_images: usize,
    test_images: usize,
    hidden: Vec<usize>,
    epochs: usize,
    seeds: usize,
    nets: Vec<Net>,
    /// Of a softmax classifier on the same rows.
    linear: f64,
    collapse: Collapse,
}

#[derive(Debug, Serialize)]
struct Net {
    activation: &'static str,
    /// Test accuracy of each seed.
    accuracies: Vec<f64>,
    mean: f64,
}

/// A trained net without activation against W x + b with W = W₂ W₁, b = W₂ b₁ + b₂.
#[derive(Debug, Serialize)]
struct Collapse {
    scores: usize,
    largest_score: f64,
    largest_difference: f64,
    same_classes: usize,
}

fn show(setting: &Setting<'_>) -> Result<Page, LabError> {
    let measured = measure(setting)?;
    let mut page = Page::new(&DEMONSTRATION, &measured)?;
    page.formulas = vec![
        "a = φ(W₁ x + b₁), s = W₂ a + b₂",
        "without φ: s = W₂(W₁ x + b₁) + b₂ = (W₂ W₁) x + (W₂ b₁ + b₂), a linear classifier",
    ];
    page.parts = vec![
        Part::new("Curves and slopes", curves()),
        Part::new("The same net with each", nets(&measured)),
        Part::new("A net without activation, collapsed", collapsed(&measured)),
    ];
    page.claims = claims(&measured);
    page.tries = vec![
        "`bakeoff lab activations --seed 1`: does the order change? A difference that is smaller than the spread over the seeds says nothing.",
        "Give sigmoid ten times the epochs in an experiment file (`classifier = { kind = \"mlp\", activation = \"sigmoid\", epochs = 100 }`): is it weaker, or only slower?",
        "Write the collapsed product the other way round, W₁ W₂, as the slide has it: do the shapes even fit?",
    ];
    Ok(page)
}

/// The two parts as scaled pixels.
struct Material {
    train: Labelled,
    test: Labelled,
    x: [Array2<f32>; 2],
}

fn material(setting: &Setting<'_>, seed: Seed) -> Result<Material, LabError> {
    let (n_train, n_test) = setting.either((4000, 1000), (2000, 600));
    let splits = Shapes::new(n_train, n_test, seed).load(Path::new(""))?;
    let encoder = Pixels::default().fit(splits.train.images().view(), seed)?;
    let (scaled, x) = Scaled::fit(encoder, splits.train.images().view());
    let x = [x, scaled.rows(splits.test.images().view())];
    Ok(Material { train: splits.train, test: splits.test, x })
}

fn net(activation: ActivationName, hidden: &[usize], epochs: usize) -> Mlp {
    let hidden = hidden.iter().map(|units| count(*units)).collect();
    Mlp { hidden, activation, epochs: count(epochs), learning_rate: Positive::literal(0.02), ..Mlp::default() }
}

fn measure(setting: &Setting<'_>) -> Result<Measured, LabError> {
    let seed = setting.seed.derive("activations");
    let Material { train, test, x: [x, x_test] } = material(setting, seed)?;
    let (hidden, epochs, seeds) = (vec![128], setting.either(12, 8), setting.either(3, 1));
    let mut nets = Vec::new();
    for (name, _, told, _) in KINDS {
        let of_seed = |i: usize| -> Result<f64, LabError> {
            let model = fitted(&net(name, &hidden, epochs), &x, train.labels(), seed.nth(i))?;
            Ok(accuracy(&*model, &x_test, test.labels()))
        };
        let accuracies: Vec<f64> = (0..seeds).map(of_seed).collect::<Result<_, _>>()?;
        nets.push(Net { activation: told, mean: mean(&accuracies), accuracies });
    }
    let linear = fitted(&Softmax::default(), &x, train.labels(), seed)?;
    let without = fitted(&net(ActivationName::Identity, &hidden, epochs), &x, train.labels(), seed.nth(0))?;
    Ok(Measured {
        training_images: train.len(),
        test_images: test.len(),
        hidden,
        epochs,
        seeds,
        nets,
        linear: accuracy(&*linear, &x_test, test.labels()),
        collapse: collapse(&*without, &x_test)?,
    })
}

fn collapse(model: &dyn Model, x: &Array2<f32>) -> Result<Collapse, LabError> {
    let maps = learned_affines(model, 2)?;
    let (w, b) = (maps[1].w.dot(&maps[0].w), maps[1].w.dot(&maps[0].b) + &maps[1].b);
    let (of_net, of_map) = (model.scores(x.view()), x.dot(&w.t()) + &b);
    let largest = |values: &Array2<f32>| values.iter().fold(0.0f64, |most, v| most.max(f64::from(v.abs())));
    let (a, b) = (bakeoff_core::argmax_rows(of_net.view()), bakeoff_core::argmax_rows(of_map.view()));
    Ok(Collapse {
        scores: of_net.len(),
        largest_score: largest(&of_net),
        largest_difference: largest(&(&of_net - &of_map)),
        same_classes: a.iter().zip(&b).filter(|(a, b)| a == b).count(),
    })
}

impl Measured {
    fn mean_of(&self, activation: &str) -> f64 {
        self.nets.iter().find(|net| net.activation == activation).map_or(0.0, |net| net.mean)
    }
}

fn claims(m: &Measured) -> Vec<Claim> {
    let best =
        m.nets.iter().max_by(|a, b| a.mean.total_cmp(&b.mean)).map_or(("", 0.0), |net| (net.activation, net.mean));
    let (relu, none) = (m.mean_of("ReLU"), m.mean_of("none"));
    let Collapse { largest_score, largest_difference, same_classes, .. } = m.collapse;
    vec![
        Claim::new(
            "ReLU is a good default.",
            relu > best.1 - 0.03,
            if best.0 == "ReLU" {
                format!("of all activations ReLU does best on shapes, with {} of the test images", percent(relu))
            } else {
                format!(
                    "ReLU is right in {} of the test images of shapes, within 3 points of the best, {} with {}",
                    percent(relu),
                    best.0,
                    percent(best.1)
                )
            },
        ),
        Claim::new(
            "Without activation a two-layer net is a linear classifier.",
            largest_difference < 1e-4 * largest_score && same_classes == m.test_images,
            format!(
                "the scores of a net without activation, up to {}, differ from (W₂ W₁) x + (W₂ b₁ + b₂) by {} at most, and {} of {} images get the same class",
                number(largest_score),
                number(largest_difference),
                grouped(same_classes),
                grouped(m.test_images)
            ),
        ),
        Claim::new(
            "It can do no more than one, whatever its hidden units.",
            none < relu - 0.05 && (none - m.linear).abs() < 0.08,
            format!(
                "without activation the net is right in {}, a softmax classifier in {}, and the net with ReLU in {}",
                percent(none),
                percent(m.linear),
                percent(relu)
            ),
        ),
    ]
}

fn curves() -> Markup {
    let places: Vec<f64> = (0..=120).map(|i| -4.0 + i as f64 / 15.0).collect();
    let shown: Vec<Markup> = KINDS
        .iter()
        .map(|(_, activation, name, formula)| {
            let mut values = places.clone();
            activation.value(&mut values);
            let mut slopes = vec![1.0; places.len()];
            activation.slope(&mut slopes, &values, &places);
            let line = |y: &[f64]| places.iter().copied().zip(y.iter().copied()).collect::<Vec<_>>();
            let series = vec![Series::line("value", line(&values)), Series::line("slope", line(&slopes))];
            let chart = Chart {
                finding: format!(
                    "φ(x) = {formula}. Slopes here from {} to {}.",
                    number(span(&slopes).0),
                    number(span(&slopes).1)
                ),
                x: Axis::from_to(-4.0, 4.0),
                y: Axis::from_to(-4.0, 4.0),
                x_title: "",
                y_title: "",
                x_written: &plain,
                y_written: &plain,
                series,
            };
            chart.panel(name)
        })
        .collect();
    html! {
        (crate::figure::legend([("value", bakeoff_report::plot::Mark(0)), ("slope", bakeoff_report::plot::Mark(1))].into_iter()))
        (panels(&shown))
    }
}

fn nets(m: &Measured) -> Markup {
    let row = |net: &Net| {
        let (lo, hi) = span(&net.accuracies);
        vec![net.activation.to_owned(), percent(net.mean), format!("{} to {}", percent(lo), percent(hi))]
    };
    let mut rows: Vec<Vec<String>> = m.nets.iter().map(row).collect();
    rows.push(vec!["softmax classifier".to_owned(), percent(m.linear), "no seed in it".to_owned()]);
    html! {
        p { "One hidden layer of " (m.hidden[0]) " units on the pixels of shapes, " (grouped(m.training_images)) " images, " (m.epochs) " epochs with the same rate, " (m.seeds) " seeds; " (grouped(m.test_images)) " test images." }
        (table("", &["activation", "mean test accuracy", "least to greatest over the seeds"], &rows))
    }
}

fn collapsed(m: &Measured) -> Markup {
    let Collapse { scores, largest_score, largest_difference, .. } = m.collapse;
    html! {
        p {
            "The trained net without activation and its collapsed form give " (grouped(scores)) " scores on the test images. The largest is "
            (number(largest_score)) ", the largest difference " (number(largest_difference)) ": rounding in f32, and nothing else."
        }
    }
}
