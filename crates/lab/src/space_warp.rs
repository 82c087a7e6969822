//! C6: what a layer does to the plane. h = W x + b keeps points inseparable; h = max(0, W x + b) folds the plane and can make
//! them separable, and mapped back the straight boundary is bent.
//!
//! Whether points are separable is asked of the project's own linear SVM: it is, when the machine gets all of them right.

use crate::field::{FINE, Field};
use crate::figure::{Frame, legend, panel, panels, percent, points, table};
use crate::learn::{accuracy, count, fitted, learned_affines};
use crate::points::{Points, between, normal};
use crate::{Claim, Demonstration, LabError, Page, Part, Setting};
use bakeoff_core::params::{NonNegative, Positive};
use bakeoff_core::{Model, Seed};
use bakeoff_linear::Svm;
use bakeoff_mlp::{Activation, ActivationName, Affine, Mlp};
use bakeoff_numeric::Rule;
use bakeoff_report::plot::{Drawing, Mark};
use maud::{Markup, html};
use ndarray::{Array2, ArrayView2, array};
use serde::Serialize;

pub(crate) const DEMONSTRATION: Demonstration = Demonstration {
    name: "space-warp",
    title: "Space warping",
    question: "What does a layer with ReLU do to the plane that a linear one cannot?",
    lecture: "C6",
    shows_fashion_mnist: false,
    show,
};

#[derive(Debug, Serialize)]
struct Measured {
    points: usize,
    /// Of the SVM on the points themselves.
    plane: f64,
    /// The same layer without and with ReLU.
    linear: f64,
    relu: f64,
    /// Random layers without ReLU: how many there were, the best accuracy, and how many were separable.
    random_layers: usize,
    random_linear_best: f64,
    random_linear_separable: usize,
    /// The same random layers with ReLU.
    random_relu_separable: usize,
    /// Nets of two hidden units that were trained, and how many got every point right.
    trained_nets: usize,
    trained_nets_right: usize,
    /// Separability of the hidden space of the trained nets that got every point right.
    trained_hidden_separable: usize,
    /// The length of the boundary, mapped back, in shares of the straight line between its ends.
    bend: f64,
}

/// Two units that look to the right and to the left, both a bit upwards: W and b.
fn layer() -> Affine<f32> {
    Affine { w: array![[1.0, 0.4], [-1.0, 0.4]], b: array![-0.5, -0.5] }
}

/// The layer's outputs for rows, with or without ReLU, by the project's own network.
fn hidden(layer: &Affine<f32>, activation: Activation, x: ArrayView2<'_, f32>) -> Array2<f32> {
    let mut h = layer.of_rows(x);
    let zero = [0.0; 2];
    if let Some(values) = h.as_slice_mut() {
        activation.apply(values, &zero);
    }
    h
}

/// A machine that all but forgets its penalty: it gets every point right where a line can.
fn machine() -> Svm {
    Svm {
        l2: NonNegative::literal(1e-6),
        tolerance: Positive::literal(1e-7),
        max_iterations: count(2000),
        ..Svm::default()
    }
}

fn separability(x: &Array2<f32>, points: &Points, seed: Seed) -> Result<(f64, Box<dyn Model>), LabError> {
    let model = fitted(&machine(), x, &points.labels, seed)?;
    Ok((accuracy(&*model, x, &points.labels), model))
}

fn show(setting: &Setting<'_>) -> Result<Page, LabError> {
    let seed = setting.seed.derive("space-warp");
    let points = between(200, seed.derive("points"));
    let layer = layer();
    let of = |activation| hidden(&layer, activation, points.x.view());
    let (plane, line) = separability(&points.x, &points, seed)?;
    let (linear, linear_line) = separability(&of(Activation::Identity), &points, seed)?;
    let (relu, relu_line) = separability(&of(Activation::Relu), &points, seed)?;
    let back = Field::of(FRAME, FINE, |x| relu_line.scores(hidden(&layer, Activation::Relu, x).view()));
    let mut measured = Measured {
        points: points.labels.len(),
        plane,
        linear,
        relu,
        random_layers: setting.either(100, 20),
        random_linear_best: 0.0,
        random_linear_separable: 0,
        random_relu_separable: 0,
        trained_nets: setting.either(10, 5),
        trained_nets_right: 0,
        trained_hidden_separable: 0,
        bend: bend(&back),
    };
    try_random_layers(&mut measured, &points, seed.derive("layers"))?;
    try_trained_nets(&mut measured, &points, seed.derive("nets"))?;
    let mut page = Page::new(&DEMONSTRATION, &measured)?;
    page.formulas = vec![
        "linear: h₁ = x + 0.4 y − 0.5, h₂ = −x + 0.4 y − 0.5, which is h = W x + b",
        "folded: h = max(0, W x + b)",
        "separable: a line s = w · h + c, found by the SVM, has every point on its side",
    ];
    let body = pictures(&points, &[&*line, &*linear_line, &*relu_line], &back);
    page.parts = vec![Part::new("The plane, moved and folded", body), Part::new("How often", counts(&measured))];
    page.claims = claims(&measured);
    page.tries = vec![
        "`bakeoff lab space-warp --seed 1`: other points and other random layers.",
        "Follow one grid line through the fold: where does it break, and along which line of the plane do all breaks lie?",
        "How many units does a ring around a disc need? `bakeoff lab playground` draws the hidden space while a net learns it.",
    ];
    Ok(page)
}

/// 2-D standard normal layers, with biases.
fn try_random_layers(measured: &mut Measured, points: &Points, seed: Seed) -> Result<(), LabError> {
    for i in 0..measured.random_layers {
        let mut rng = seed.nth(i).rng();
        let mut draw = || normal(&mut rng) as f32;
        let layer = Affine { w: Array2::from_shape_simple_fn((2, 2), &mut draw), b: (0..2).map(|_| draw()).collect() };
        let share = |activation| separability(&hidden(&layer, activation, points.x.view()), points, seed);
        let linear = share(Activation::Identity)?.0;
        measured.random_linear_best = measured.random_linear_best.max(linear);
        measured.random_linear_separable += usize::from(linear == 1.0);
        measured.random_relu_separable += usize::from(share(Activation::Relu)?.0 == 1.0);
    }
    Ok(())
}

/// Nets 2-2-2 from different starts.
fn try_trained_nets(measured: &mut Measured, points: &Points, seed: Seed) -> Result<(), LabError> {
    let net = Mlp {
        hidden: vec![count(2)],
        activation: ActivationName::Relu,
        optimiser: Rule::Adam,
        learning_rate: Positive::literal(0.03),
        l2: NonNegative::literal(0.0),
        batch: count(50),
        epochs: count(150),
        ..Mlp::default()
    };
    for i in 0..measured.trained_nets {
        let model = fitted(&net, &points.x, &points.labels, seed.nth(i))?;
        if accuracy(&*model, &points.x, &points.labels) < 1.0 {
            continue;
        }
        measured.trained_nets_right += 1;
        let learned = learned_affines(&*model, 1)?;
        let h = hidden(&learned[0], Activation::Relu, points.x.view());
        measured.trained_hidden_separable += usize::from(separability(&h, points, seed)?.0 == 1.0);
    }
    Ok(())
}

/// The boundary's length against the straight way between its outermost ends; 1 for a straight line.
fn bend(field: &Field) -> f64 {
    let ends: Vec<(f64, f64)> = field.boundary().into_iter().flatten().collect();
    let apart = |a: &(f64, f64), b: &(f64, f64)| (a.0 - b.0).hypot(a.1 - b.1);
    let straight = ends.iter().flat_map(|a| ends.iter().map(move |b| apart(a, b))).fold(0.0, f64::max);
    if straight > 0.0 { field.boundary_length() / straight } else { 0.0 }
}

fn claims(m: &Measured) -> Vec<Claim> {
    vec![
        Claim::new(
            "A linear layer keeps points inseparable that are inseparable.",
            m.plane < 1.0 && m.linear < 1.0 && m.random_linear_separable == 0,
            format!(
                "the SVM has {} of the points right before the layer and {} after it, and after {} random linear layers {} at best, never all",
                percent(m.plane),
                percent(m.linear),
                m.random_layers,
                percent(m.random_linear_best)
            ),
        ),
        Claim::new(
            "The same layer with ReLU makes them separable.",
            m.relu == 1.0,
            format!("after the same layer with ReLU the SVM has {} of the points right", percent(m.relu)),
        ),
        Claim::new(
            "Mapped back, the boundary is not a straight line.",
            m.bend > 1.05,
            format!(
                "mapped back, the boundary is {:.2} times as long as the straight way between its ends, over 1.05",
                m.bend
            ),
        ),
        Claim::new(
            "The hidden units of a trained net are such a fold.",
            m.trained_nets_right > 0 && m.trained_hidden_separable == m.trained_nets_right,
            format!(
                "{} of {} nets of two hidden units learned every point; in the hidden space of {} of them a line separates the classes",
                m.trained_nets_right, m.trained_nets, m.trained_hidden_separable
            ),
        ),
    ]
}

/// The piece of the plane that is shown.
const FRAME: Frame = Frame { x: (-3.0, 3.0), y: (-3.0, 3.0) };

/// Lines of a grid over the frame, each as many short pieces, so that it can be bent.
fn grid() -> Vec<Array2<f32>> {
    const PIECES: usize = 60;
    let line = |k: usize, along_x: bool| {
        Array2::from_shape_fn((PIECES + 1, 2), |(i, j)| {
            let along = -3.0 + 6.0 * i as f32 / PIECES as f32;
            let across = -3.0 + 0.5 * k as f32;
            if (j == 0) == along_x { along } else { across }
        })
    };
    (0..=12).flat_map(|k| [line(k, true), line(k, false)]).collect()
}

fn places(x: &Array2<f32>) -> Vec<(f64, f64)> {
    x.outer_iter().map(|row| (f64::from(row[0]), f64::from(row[1]))).collect()
}

fn pictures(of: &Points, lines: &[&dyn Model; 3], back: &Field) -> Markup {
    let layer = layer();
    let picture =
        |frame: Frame, map: &dyn Fn(ArrayView2<'_, f32>) -> Array2<f32>, line: &dyn Model, label: &str, titles| {
            frame.plane(label, titles, |drawing: &mut Drawing<'_>| {
                Field::of(frame, FINE, |x| line.scores(x)).draw(drawing);
                let bent: Vec<Vec<(f64, f64)>> = grid().iter().map(|line| places(&map(line.view()))).collect();
                drawing.group("faint", "", |drawing| drawing.lines(bent.iter().map(Vec::as_slice)));
                points(drawing, &places(&map(of.x.view())), of.classes(), 2.6);
            })
        };
    let moved = Frame { x: (-4.9, 3.9), y: (-4.9, 3.9) };
    let folded = Frame { x: (-0.6, 3.9), y: (-0.6, 3.9) };
    let shown = [
        panel(
            "Before",
            &picture(
                FRAME,
                &|x| x.to_owned(),
                lines[0],
                "a cloud between two others, and the best line of the SVM",
                ("x", "y"),
            ),
            "No line has the middle cloud alone on one side: the SVM's line cuts all three.",
        ),
        panel(
            "h = W x + b",
            &picture(
                moved,
                &|x| hidden(&layer, Activation::Identity, x),
                lines[1],
                "the plane, turned and stretched: the clouds still lie in a row",
                ("h₁", "h₂"),
            ),
            "The grid is turned and stretched; the clouds still lie in a row.",
        ),
        panel(
            "h = max(0, W x + b)",
            &picture(
                folded,
                &|x| hidden(&layer, Activation::Relu, x),
                lines[2],
                "the folded plane: the middle cloud at the origin, the others on the axes, a line between them",
                ("h₁", "h₂"),
            ),
            "What has a negative coordinate is folded onto an axis, or onto the origin; now a line is enough.",
        ),
        panel(
            "Mapped back",
            &FRAME.plane("the plane with a bent boundary around the middle cloud", ("x", "y"), |drawing| {
                back.draw(drawing);
                points(drawing, &of.places(), of.classes(), 2.6);
            }),
            "The straight line of the folded plane, mapped back: it is bent.",
        ),
    ];
    html! {
        (panels(&shown))
        (legend([("outer clouds", Mark(0)), ("the cloud between", Mark(1))].into_iter()))
    }
}

fn counts(m: &Measured) -> Markup {
    let row = |name: &str, n: usize, of: usize| vec![name.to_owned(), format!("{n} of {of}")];
    let rows = [
        row("random layers, linear", m.random_linear_separable, m.random_layers),
        row("the same random layers with ReLU", m.random_relu_separable, m.random_layers),
        row("trained nets 2-2-2", m.trained_nets_right, m.trained_nets),
    ];
    html! {
        p { "Two units must look in the right directions: most random folds do not help, and a trained net does not always find one that does." }
        (table("", &["layer", "made the points separable"], &rows))
    }
}
