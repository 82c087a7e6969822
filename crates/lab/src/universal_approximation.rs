//! C8: four hidden units make a bump, 4K units make K bumps and so any curve; and what SGD makes of the same units.
//!
//! The construction is written into the project's own network, y = Σ u_i max(0, w_i x + b_i) + p, and scored by it. Two forms:
//! *steep* bumps, nearly boxes of width 1/K, as the lecture draws them, whose error falls as 1/K; and *sloping* ones, hats that
//! overlap to half, whose error falls as 1/K². Errors are greatest differences from the curve on a fine grid over 0..=1.

mod bumps;
mod nearest;
mod trained;

use crate::curve::Curve;
use crate::figure::{Chart, Series, grouped, legend, median, number, panels, plain, power, slope, span, table};
use crate::{Claim, Demonstration, LabError, Page, Part, Setting};
use bakeoff_mlp::Network;
use bakeoff_report::plot::{Axis, Mark};
use bumps::{Form, constructed};
use maud::{Markup, html};
use ndarray::Array2;
use serde::Serialize;

pub(crate) const DEMONSTRATION: Demonstration = Demonstration {
    name: "universal-approximation",
    title: "Universal approximation",
    question: "Can one hidden layer be any curve, and does training find it?",
    lecture: "C8",
    shows_fashion_mnist: false,
    show,
};

/// Bumps of the constructions.
const KS: [usize; 8] = [2, 4, 8, 16, 32, 64, 128, 256];
/// Bumps whose 4K units are trained too.
const TRAINED: [usize; 3] = [4, 8, 16];
/// Bumps of the pictures, and of the search for bumps.
const SHOWN: usize = 8;
/// Places of the grid on which errors are taken.
const GRID: usize = 4001;

#[derive(Debug, Serialize)]
struct Measured {
    curve: String,
    /// (lowest, highest) value.
    range: (f64, f64),
    steep: Vec<Fit>,
    sloping: Vec<Fit>,
    /// Slopes of log error over log K.
    steep_slope: f64,
    sloping_slope: f64,
    trained: Vec<Trained>,
    /// Bumps that are found in a construction and in trained nets of as many units.
    bumps_constructed: usize,
    bumps_trained: Vec<usize>,
    nearest: Vec<Samples>,
    nearest_slope: f64,
}

#[derive(Debug, Clone, Copy, Serialize)]
struct Fit {
    bumps: usize,
    units: usize,
    greatest_error: f64,
}

#[derive(Debug, Serialize)]
struct Trained {
    bumps: usize,
    units: usize,
    steps: usize,
    /// Greatest error of each seed.
    errors: Vec<f64>,
    median: f64,
}

#[derive(Debug, Clone, Copy, Serialize)]
struct Samples {
    samples: usize,
    greatest_error: f64,
}

/// Places from 0 to 1.
fn grid(n: usize) -> Vec<f64> {
    (0..n).map(|i| i as f64 / (n - 1) as f64).collect()
}

/// What a network of one input and one output makes of places.
fn outputs(network: &Network<f64>, places: &[f64]) -> Vec<f64> {
    let x = Array2::from_shape_fn((places.len(), 1), |(i, _)| places[i]);
    let mut y = Array2::zeros((places.len(), 1));
    network.scores_into(x.view(), y.view_mut());
    y.into_raw_vec_and_offset().0
}

/// The greatest difference of values at places from a curve.
fn greatest_error(curve: &Curve, places: &[f64], values: &[f64]) -> f64 {
    places
        .iter()
        .zip(values)
        .map(|(x, y)| (y - curve.at(*x)).abs())
        .fold(0.0, |most, e| if e.is_nan() { f64::INFINITY } else { most.max(e) })
}

fn show(setting: &Setting<'_>) -> Result<Page, LabError> {
    let measured = measure(setting)?;
    let mut page = Page::new(&DEMONSTRATION, &measured)?;
    page.formulas = vec![
        "y = Σᵢ uᵢ max(0, wᵢ x + bᵢ) + p",
        "a bump of height h that rises from a to b and falls from c to d:",
        "h/(b−a) · [max(0, x−a) − max(0, x−b)] − h/(d−c) · [max(0, x−c) − max(0, x−d)]",
        "K bumps, 4K units, each as high as the curve in its middle: the error falls as 1/K, with overlapping hats as 1/K²",
    ];
    let curve = &setting.curve;
    page.parts = vec![
        Part::new("Four units, a bump; K bumps, a curve", constructions(curve, &measured)),
        Part::new("Error against K", errors(&measured)),
        Part::new("What training finds", found(setting, &measured)),
        Part::new("Nearest neighbours", neighbours(&measured)),
    ];
    page.claims = claims(&measured);
    page.tries = vec![
        "`bakeoff lab universal-approximation --curve \"abs(x-0.5)\"`: a curve of your own, of x from 0 to 1; sin, cos, tan, exp, log, sqrt, abs, tanh, floor and sign are known.",
        "`--curve 0,1,0,1,0`: heights joined by straight lines. `--curve \"floor(4*x)/4\"`: a curve with jumps. What becomes of the slopes, and why?",
        "Universality says nothing of how many units or samples a curve in 100 dimensions needs. Count the bumps of width 1/10 in a cube of 2, 3, 100 dimensions.",
    ];
    Ok(page)
}

fn measure(setting: &Setting<'_>) -> Result<Measured, LabError> {
    let (curve, seed) = (&setting.curve, setting.seed.derive("universal-approximation"));
    let places = grid(GRID);
    let fit = |form| {
        KS.map(|bumps| {
            let network = constructed(curve, bumps, form);
            Fit { bumps, units: 4 * bumps, greatest_error: greatest_error(curve, &places, &outputs(&network, &places)) }
        })
    };
    let (steep, sloping) = (fit(Form::Steep), fit(Form::Sloping));
    let slope_of = |fits: &[Fit]| {
        slope(&logs(fits.iter().filter(|fit| fit.bumps >= 8).map(|fit| (fit.bumps, fit.greatest_error))))
    };
    let (seeds, steps) = setting.either((10, 16_000), (4, 8000));
    let mut trained = Vec::new();
    let mut bumps_trained = Vec::new();
    for bumps in TRAINED {
        let nets = trained::trained(curve, 4 * bumps, steps, seeds, seed);
        let errors: Vec<f64> = nets.iter().map(|net| greatest_error(curve, &places, &outputs(net, &places))).collect();
        if bumps == SHOWN {
            bumps_trained = nets.iter().map(|net| bumps::found(net, SHOWN)).collect();
        }
        trained.push(Trained { bumps, units: 4 * bumps, steps, median: median(&errors), errors });
    }
    let nearest = nearest::errors(
        curve,
        &places,
        setting.either(&[8, 16, 32, 64, 128, 256, 512, 1024][..], &[8, 16, 32, 64, 128, 256]),
    )?;
    let values: Vec<f64> = places.iter().map(|x| curve.at(*x)).collect();
    Ok(Measured {
        curve: curve.text().to_owned(),
        range: span(&values),
        steep_slope: slope_of(&steep),
        sloping_slope: slope_of(&sloping),
        steep: steep.into(),
        sloping: sloping.into(),
        trained,
        bumps_constructed: bumps::found(&constructed(curve, SHOWN, Form::Steep), SHOWN),
        bumps_trained,
        nearest_slope: slope(&logs(nearest.iter().filter(|s| s.samples >= 32).map(|s| (s.samples, s.greatest_error)))),
        nearest,
    })
}

/// Logarithms of pairs; an error of 0 counts as the least positive number that rounding leaves.
fn logs(pairs: impl Iterator<Item = (usize, f64)>) -> Vec<(f64, f64)> {
    pairs.map(|(n, error)| ((n as f64).ln(), error.max(1e-16).ln())).collect()
}

fn claims(m: &Measured) -> Vec<Claim> {
    let last = |fits: &[Fit]| fits.last().map_or(f64::INFINITY, |fit| fit.greatest_error);
    let height = m.range.1 - m.range.0;
    let steep_at =
        |bumps| m.steep.iter().find(|fit| fit.bumps == bumps).map_or(f64::INFINITY, |fit| fit.greatest_error);
    let sloping_at =
        |bumps| m.sloping.iter().find(|fit| fit.bumps == bumps).map_or(f64::INFINITY, |fit| fit.greatest_error);
    let shown = m.trained.iter().find(|of| of.bumps == SHOWN);
    let (spread, middle) = shown.map_or(((0.0, 0.0), 0.0), |of| (span(&of.errors), of.median));
    let counts: Vec<f64> = m.bumps_trained.iter().map(|n| *n as f64).collect();
    vec![
        Claim::new(
            "One hidden layer can approximate the curve: the error falls as the bumps get narrower.",
            last(&m.steep) < 0.1 * height.max(1e-9) && (m.steep_slope + 1.0).abs() < 0.25,
            format!(
                "with {} units the greatest error of boxes is {}, and it falls with a slope of −{:.2} in the number of bumps, where −1 is expected; hats reach {} with a slope of −{:.2}",
                m.steep.last().map_or_else(String::new, |fit| grouped(fit.units)),
                number(last(&m.steep)),
                m.steep_slope.abs(),
                number(last(&m.sloping)),
                m.sloping_slope.abs()
            ),
        ),
        Claim::new(
            "That a net exists does not say that SGD finds it: what is found depends on the start.",
            spread.1 > 1.5 * spread.0,
            format!(
                "from {} starts, {} units trained by SGD end with greatest errors from {} to {} (median {}), where boxes of as many units have {} and hats {}",
                counts.len(),
                4 * SHOWN,
                number(spread.0),
                number(spread.1),
                number(middle),
                number(steep_at(SHOWN)),
                number(sloping_at(SHOWN))
            ),
        ),
        Claim::new(
            "Trained networks do not learn bumps.",
            m.bumps_constructed == SHOWN && median(&counts) <= SHOWN as f64 / 4.0,
            format!(
                "four units that make a bump are found {} times in the construction of {SHOWN}, and in the trained nets {} times in the median and {} times at most",
                m.bumps_constructed,
                plain(median(&counts)),
                plain(span(&counts).1)
            ),
        ),
        Claim::new(
            "Nearest neighbours are universal too.",
            (m.nearest_slope + 1.0).abs() < 0.25,
            format!(
                "the error of the nearest sample falls with a slope of −{:.2} in the number of samples, −1 expected",
                m.nearest_slope.abs()
            ),
        ),
    ]
}

fn curve_chart(finding: String, curve: &Curve, others: Vec<Series>, range: (f64, f64)) -> Chart<'static> {
    let places = grid(201);
    let of_curve = places.iter().map(|x| (*x, curve.at(*x))).collect();
    let mut series = vec![Series::line("the curve", of_curve)];
    series.extend(others);
    let room = 0.12 * (range.1 - range.0).max(0.2);
    Chart {
        finding,
        x: Axis::from_to(0.0, 1.0),
        y: Axis::from_to(range.0 - room, range.1 + room),
        x_title: "",
        y_title: "",
        x_written: &plain,
        y_written: &plain,
        series,
    }
}

fn line_of(name: &str, network: &Network<f64>) -> Series {
    let places = grid(401);
    let values = outputs(network, &places);
    Series::line(name, places.into_iter().zip(values).collect())
}

fn constructions(curve: &Curve, m: &Measured) -> Markup {
    let bump = bumps::one_bump();
    let single = Chart {
        finding: "Two units go up, two come down.".to_owned(),
        x: Axis::from_to(0.0, 1.0),
        y: Axis::from_to(-0.2, 1.2),
        x_title: "",
        y_title: "",
        x_written: &plain,
        y_written: &plain,
        // The first place is the curve's.
        series: vec![Series::default(), line_of("four units", &bump)],
    };
    let of = |bumps: usize, form: Form, name: &str| {
        let network = constructed(curve, bumps, form);
        let error = greatest_error(curve, &grid(GRID), &outputs(&network, &grid(GRID)));
        curve_chart(format!("Greatest error {}.", number(error)), curve, vec![line_of(name, &network)], m.range)
    };
    html! {
        (legend([("the curve", Mark(0)), ("the network", Mark(1))].into_iter()))
        (panels(&[
            single.panel("One bump, 4 units"),
            of(8, Form::Steep, "8 boxes").panel("8 boxes, 32 units"),
            of(32, Form::Steep, "32 boxes").panel("32 boxes, 128 units"),
            of(8, Form::Sloping, "8 hats").panel("8 hats, 32 units"),
        ]))
        p.note { "The curve: " code { (m.curve) } "." }
    }
}

fn errors(m: &Measured) -> Markup {
    let of = |fits: &[Fit]| fits.iter().map(|fit| (fit.bumps as f64, fit.greatest_error)).collect::<Vec<_>>();
    let trained: Vec<(f64, f64)> = m.trained.iter().map(|t| (t.bumps as f64, t.median)).collect();
    let band = m.trained.iter().map(|t| span(&t.errors)).collect();
    let series = vec![
        Series::marked("boxes", of(&m.steep)),
        Series::marked("hats", of(&m.sloping)),
        Series::marked("trained by SGD (median; from the least to the greatest)", trained).within(band),
    ];
    let values: Vec<f64> = series
        .iter()
        .flat_map(|s| s.points.iter().map(|at| at.1))
        .chain(m.trained.iter().flat_map(|t| t.errors.iter().copied()))
        .collect();
    Chart {
        finding: format!(
            "Greatest error against the number of bumps K, with 4K units: boxes have a slope of {}, hats of {}.",
            plain((m.steep_slope * 100.0).round() / 100.0),
            plain((m.sloping_slope * 100.0).round() / 100.0)
        ),
        x: Axis::log(KS.map(|k| k as f64)),
        y: Axis::log(values),
        x_title: "bumps K",
        y_title: "greatest error",
        x_written: &power,
        y_written: &power,
        series,
    }
    .shown()
}

fn found(setting: &Setting<'_>, m: &Measured) -> Markup {
    let (curve, seed) = (&setting.curve, setting.seed.derive("universal-approximation"));
    let Some(shown) = m.trained.iter().find(|of| of.bumps == SHOWN) else { return html! {} };
    // The same nets again: the first seeds of a training do not depend on how many there are.
    let nets = trained::trained(curve, shown.units, shown.steps, 3, seed);
    let charts: Vec<Markup> = nets
        .iter()
        .zip(&shown.errors)
        .enumerate()
        .map(|(i, (net, error))| {
            curve_chart(format!("Greatest error {}.", number(*error)), curve, vec![line_of("trained", net)], m.range)
                .panel(&format!("Start {}", i + 1))
        })
        .collect();
    let row = |t: &Trained| {
        let (lo, hi) = span(&t.errors);
        vec![t.units.to_string(), number(lo), number(t.median), number(hi)]
    };
    let rows: Vec<Vec<String>> = m.trained.iter().map(row).collect();
    html! {
        (legend([("the curve", Mark(0)), ("the network", Mark(1))].into_iter()))
        (panels(&charts))
        (table("", &["units", "least error", "median", "greatest error"], &rows))
        p.note { "Greatest errors. SGD with momentum on the squared loss: " (grouped(shown.steps)) " steps of " (trained::BATCH) " of " (trained::ROWS) " places, " (shown.errors.len()) " starts whose units have their corners spread over the interval." }
    }
}

fn neighbours(m: &Measured) -> Markup {
    let points = m.nearest.iter().map(|s| (s.samples as f64, s.greatest_error)).collect::<Vec<_>>();
    Chart {
        finding: "The nearest of n samples answers with its own value: no training, and the error falls with n as that of boxes with K. In d dimensions as dense a grid has nᵈ samples.".to_owned(),
        x: Axis::log(points.iter().map(|at| at.0)),
        y: Axis::log(points.iter().map(|at| at.1)),
        x_title: "samples",
        y_title: "greatest error",
        x_written: &power,
        y_written: &power,
        series: vec![Series::marked("1-nearest neighbour", points)],
    }
    .shown()
}
