//! B1: a ring becomes linearly separable in polar coordinates, and the straight boundary there is a circle here.
//!
//! The lecture writes θ = atan(y/x), which gives a point and its opposite the same angle; atan2 tells them apart.

use crate::field::{FINE, Field};
use crate::figure::{Frame, legend, number, panel, panels, percent, points, table};
use crate::learn::{accuracy, fitted};
use crate::points::{Points, ring};
use crate::{Claim, Demonstration, LabError, Page, Part, Setting};
use bakeoff_core::params::NonNegative;
use bakeoff_core::{Labels, Model};
use bakeoff_linear::Softmax;
use bakeoff_report::plot::Mark;
use maud::{Markup, html};
use ndarray::{Array1, Array2, ArrayView2};
use serde::Serialize;
use std::f64::consts::PI;

pub(crate) const DEMONSTRATION: Demonstration = Demonstration {
    name: "feature-transform",
    title: "A feature transform",
    question: "Can a linear classifier separate a disc from the ring around it?",
    lecture: "B1",
    shows_fashion_mnist: false,
    show,
};

#[derive(Debug, Serialize)]
struct Measured {
    training_points: usize,
    test_points: usize,
    /// Accuracies in x and y, and in r and θ.
    plane: Accuracies,
    polar: Accuracies,
    /// w_r r + w_θ θ + b = 0, class disc less class ring.
    boundary: Boundary,
}

#[derive(Debug, Serialize)]
struct Accuracies {
    train: f64,
    test: f64,
}

#[derive(Debug, Serialize)]
struct Boundary {
    w_r: f64,
    w_theta: f64,
    b: f64,
    /// The radius at θ = 0, and the greatest difference from it over all angles, in shares of it.
    radius: f64,
    off_a_circle: f64,
}

/// Points as (r, θ).
fn polar(x: ArrayView2<'_, f32>) -> Array2<f32> {
    Array2::from_shape_fn(
        x.dim(),
        |(i, j)| if j == 0 { x[[i, 0]].hypot(x[[i, 1]]) } else { x[[i, 1]].atan2(x[[i, 0]]) },
    )
}

fn show(setting: &Setting<'_>) -> Result<Page, LabError> {
    let seed = setting.seed.derive("feature-transform");
    let (train, test) = (ring(300, seed.derive("train")), ring(setting.either(4000, 1000), seed.derive("test")));
    let classifier = Softmax { l2: NonNegative::literal(1e-3), ..Softmax::default() };
    let plane = fitted(&classifier, &train.x, &train.labels, seed)?;
    let in_polar = fitted(&classifier, &polar(train.x.view()), &train.labels, seed)?;
    let of = |model: &dyn Model, transform: fn(ArrayView2<'_, f32>) -> Array2<f32>| {
        let share = |points: &Points, labels: &Labels| accuracy(model, &transform(points.x.view()), labels);
        Accuracies { train: share(&train, &train.labels), test: share(&test, &test.labels) }
    };
    let measured = Measured {
        training_points: train.labels.len(),
        test_points: test.labels.len(),
        plane: of(&*plane, |x| x.to_owned()),
        polar: of(&*in_polar, polar),
        boundary: boundary(&*in_polar)?,
    };
    let mut page = Page::new(&DEMONSTRATION, &measured)?;
    page.formulas = vec![
        "s = W x + b of (x, y)",
        "r = √(x² + y²), θ = atan2(y, x), then s = W (r, θ) + b",
        "(atan(y/x) would give a point and its opposite the same angle; atan2 tells them apart)",
    ];
    page.parts = vec![Part::new("Before, after, and mapped back", pictures(&measured, &train, &*plane, &*in_polar))];
    page.claims = claims(&measured);
    page.tries = vec![
        "`bakeoff lab feature-transform --seed 1`: other points. Does the line stay upright?",
        "A transform by hand needs somebody who sees that the data is round. Two moons are not: look at `bakeoff lab space-warp`, where a network finds its own transform.",
        "r alone would do: the weight of θ is what is left of chance in the training points.",
    ];
    Ok(page)
}

/// The straight line between the classes in (r, θ).
fn boundary(model: &dyn Model) -> Result<Boundary, LabError> {
    let mut learned = model.learned();
    let (w, b): (Array2<f32>, Array1<f32>) = (learned.matrix("w", 2, 2)?, learned.array("b", 2)?);
    let [w_r, w_theta] = [0, 1].map(|j| f64::from(w[[0, j]]) - f64::from(w[[1, j]]));
    let b = f64::from(b[0]) - f64::from(b[1]);
    let radius = -b / w_r;
    Ok(Boundary { w_r, w_theta, b, radius, off_a_circle: (w_theta * PI / w_r / radius).abs() })
}

fn claims(measured: &Measured) -> Vec<Claim> {
    let Measured { plane, polar, boundary, .. } = measured;
    vec![
        Claim::new(
            "In x and y no straight line separates the classes.",
            plane.test < 0.75,
            format!("in x and y a linear classifier gets {} of the test points right, under 75%", percent(plane.test)),
        ),
        Claim::new(
            "In polar coordinates a straight line does.",
            polar.test > 0.99 && polar.train == 1.0,
            format!(
                "in r and θ it gets {} of the training and {} of the test points right, over 99%",
                percent(polar.train),
                percent(polar.test)
            ),
        ),
        Claim::new(
            "Mapped back, the boundary is a circle.",
            boundary.off_a_circle < 0.1 && (1.0..1.5).contains(&boundary.radius),
            format!(
                "mapped back, the boundary has a radius of {}, between the disc's 1 and the ring's 1.5, that changes by {} at most around the circle, under 10%",
                number(boundary.radius),
                percent(boundary.off_a_circle)
            ),
        ),
    ]
}

fn pictures(measured: &Measured, train: &Points, plane: &dyn Model, in_polar: &dyn Model) -> Markup {
    let frame = Frame::about_zero(2.8);
    let wide = Frame { x: (0.0, 2.8), y: (-3.4, 3.4) };
    let turned: Vec<(f64, f64)> =
        polar(train.x.view()).outer_iter().map(|row| (f64::from(row[0]), f64::from(row[1]))).collect();
    let picture = |frame: Frame, field: &Field, at: &[(f64, f64)], label: &str, titles: (&str, &str)| {
        frame.plane(label, titles, |drawing| {
            field.draw(drawing);
            points(drawing, at, train.classes(), 2.6);
        })
    };
    let before = Field::of(frame, FINE, |x| plane.scores(x));
    let after = Field::of(wide, FINE, |x| in_polar.scores(x));
    let back = Field::of(frame, FINE, |x| in_polar.scores(polar(x).view()));
    let label = [
        "the plane, cut by a straight line through both classes",
        "radius and angle, cut by an upright line between the classes",
        "the plane, with a circle between the classes",
    ];
    let shown = [
        panel(
            "In x and y",
            &picture(frame, &before, &train.places(), label[0], ("x", "y")),
            &format!("A straight line: {} of the test points are right.", percent(measured.plane.test)),
        ),
        panel(
            "In r and θ",
            &picture(wide, &after, &turned, label[1], ("r", "θ")),
            &format!("A straight line again: {} of the test points are right.", percent(measured.polar.test)),
        ),
        panel(
            "Mapped back to x and y",
            &picture(frame, &back, &train.places(), label[2], ("x", "y")),
            &format!(
                "The line of r and θ, mapped back: a circle of radius {}, with a small step where θ jumps from π to −π.",
                number(measured.boundary.radius)
            ),
        ),
    ];
    let row = |name: &str, of: &Accuracies| vec![name.to_owned(), percent(of.train), percent(of.test)];
    html! {
        (panels(&shown))
        (legend([("disc", Mark(0)), ("ring", Mark(1))].into_iter()))
        (table(
            "",
            &["features", "training accuracy", "test accuracy"],
            &[row("x and y", &measured.plane), row("r and θ", &measured.polar)],
        ))
    }
}
