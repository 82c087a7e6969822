//! The training loss after each pass.

use super::{Figure, legend, listed};
use crate::plot::{Axis, Plot, Width, both};
use crate::report::Report;
use bakeoff_results::Detail;
use bakeoff_results::words::significant;
use maud::Markup;

/// `None` when no pipeline tells more than one loss.
pub(crate) fn curves(report: &Report<'_>) -> Option<Figure> {
    let curves: Vec<&Detail> = report.details.iter().filter(|detail| detail.curve.len() > 1).collect();
    let told = |detail: &&Detail| {
        let (&(_, first), &(passes, last)) = detail.curve.first().zip(detail.curve.last())?;
        Some(format!("{} from {} to {} in {passes} passes", detail.name, significant(first), significant(last)))
    };
    let all: Vec<String> = curves.iter().filter_map(told).collect();
    let finding = format!(
        "Mean training loss with the first seed: {}. Losses of different classifiers are different functions: compare shapes, not heights.",
        listed(&all.iter().map(String::as_str).collect::<Vec<_>>()),
    );
    let plot = both(|width| draw(report, &curves, &finding, width));
    let names = curves.iter().map(|detail| detail.name.as_str());
    (!curves.is_empty()).then(|| Figure { legend: legend(report, names), finding, plot })
}

/// Points of a line that a picture can show.
const MOST_POINTS: usize = 300;

fn draw(report: &Report<'_>, curves: &[&Detail], finding: &str, width: Width) -> Markup {
    let losses = || curves.iter().flat_map(|detail| detail.curve.iter().map(|(_, loss)| *loss));
    let passes = curves.iter().flat_map(|detail| detail.curve.iter().map(|(pass, _)| *pass as f64));
    // Losses fall by factors; one that reaches 0 has no logarithm.
    let y = if losses().all(|loss| loss > 0.0) { Axis::log(losses()) } else { Axis::linear(losses()) };
    let plot = Plot {
        width,
        height: width.either(340.0, 280.0),
        left: 62.0,
        x: Axis::log(passes),
        y,
        x_title: "pass",
        y_title: "loss",
        x_written: &|v| format!("{v:.0}"),
        y_written: &|v| short(v),
        label: finding,
    };
    plot.draw(|drawing| {
        for detail in curves {
            let mark = report.mark(&detail.name);
            let every = detail.curve.len().div_ceil(MOST_POINTS);
            let last = detail.curve.len() - 1;
            let kept = detail.curve.iter().enumerate().filter(|(i, _)| i % every == 0 || *i == last);
            let points: Vec<(f64, f64)> = kept.map(|(_, &(pass, loss))| (pass as f64, loss)).collect();
            drawing.group(&mark.class(), &detail.name, |drawing| {
                drawing.line(&points);
                for &end in [points.first(), points.last()].into_iter().flatten() {
                    drawing.mark(mark, end, 4.5);
                }
            });
        }
    })
}

/// A tick of a loss, which may be very small.
fn short(value: f64) -> String {
    if value != 0.0 && value.abs() < 0.001 {
        format!("{value:.0e}").replace('-', "−")
    } else {
        format!("{}", (value * 1e6).round() / 1e6)
    }
}
