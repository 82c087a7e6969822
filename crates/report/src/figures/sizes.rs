//! Accuracy against the number of training images.

use super::{Figure, legend, listed};
use crate::plot::{Axis, Drawing, Plot, Width, both, percent_ticks};
use crate::report::Report;
use bakeoff_results::SizePoint;
use bakeoff_results::words::{grouped, percent, percent_interval};
use maud::Markup;

/// The words of a crossing as a sentence. They begin with the name of a pipeline, which stays as it is, or with "no crossing".
fn sentence(words: &str) -> String {
    words.strip_prefix("no crossing").map_or_else(|| format!(" {words}."), |rest| format!(" No crossing{rest}."))
}

/// `None` when there is one size.
pub(crate) fn sizes(report: &Report<'_>) -> Option<Figure> {
    let points = &report.summary.train_sizes;
    let lines: Vec<&[SizePoint]> = points.chunk_by(|a, b| a.name == b.name).collect();
    let count = |pick: fn(usize, usize) -> usize| points.iter().map(|p| p.n_train).reduce(pick);
    let (least, most) = (count(usize::min)?, count(usize::max)?);
    let best = |size: usize| {
        let there = points.iter().filter(|p| p.n_train == size);
        there.max_by(|a, b| a.accuracy.total_cmp(&b.accuracy))
    };
    let told = |size: usize| {
        best(size).map_or_else(String::new, |p| {
            format!("with {} images {} leads ({})", grouped(size), p.name, percent(p.accuracy))
        })
    };
    let ends = match (best(least), best(most)) {
        (Some(one), Some(other)) if one.name == other.name => format!(
            "{} leads with {} images ({}) and with {} ({})",
            one.name,
            grouped(least),
            percent(one.accuracy),
            grouped(most),
            percent(other.accuracy)
        ),
        _ => listed(&[told(least).as_str(), told(most).as_str()]),
    };
    let crossings: String = report.summary.crossings.iter().map(|crossing| sentence(&crossing.words)).collect();
    let finding = format!("Accuracy against training size, with {} intervals: {ends}.{crossings}", report.level());
    let plot = both(|width| draw(report, &lines, &finding, width));
    let names = lines.iter().filter_map(|line| line.first()).map(|point| point.name.as_str());
    Some(Figure { legend: legend(report, names), finding, plot })
}

fn draw(report: &Report<'_>, lines: &[&[SizePoint]], finding: &str, width: Width) -> Markup {
    let points = || lines.iter().copied().flatten();
    let y = Axis::linear(points().flat_map(|p| [p.interval.lo * 100.0, p.interval.hi * 100.0])).within(-1.0, 101.0);
    let plot = Plot {
        width,
        height: width.either(380.0, 300.0),
        left: 62.0,
        x: Axis::log(points().map(|p| p.n_train as f64)),
        y,
        x_title: "training images",
        y_title: "accuracy",
        x_written: &|v| grouped(v.round() as usize),
        y_written: &percent_ticks(y),
        label: finding,
    };
    plot.draw(|drawing| {
        crossings(report, drawing, &plot);
        for line in lines {
            let Some(first) = line.first() else { continue };
            let mark = report.mark(&first.name);
            let along = |value: fn(&SizePoint) -> f64| -> Vec<(f64, f64)> {
                line.iter().map(|p| (p.n_train as f64, value(p) * 100.0)).collect()
            };
            drawing.group(&mark.class(), &first.name, |drawing| {
                drawing.band(&along(|p| p.interval.lo), &along(|p| p.interval.hi));
                drawing.line(&along(|p| p.accuracy));
            });
            for point in *line {
                let title = format!(
                    "{} with {} images: {} ({})",
                    point.name,
                    grouped(point.n_train),
                    percent(point.accuracy),
                    percent_interval(point.interval)
                );
                drawing.group(&mark.class(), &title, |drawing| {
                    drawing.mark(mark, (point.n_train as f64, point.accuracy * 100.0), 4.5);
                });
            }
        }
    })
}

/// Where the curves of compared pairs cross: a line there, and a band over its interval, which may reach beyond the picture.
fn crossings(report: &Report<'_>, drawing: &mut Drawing<'_>, plot: &Plot<'_>) {
    let (bottom, top) = (plot.y.lo(), plot.y.hi());
    for crossing in &report.summary.crossings {
        let [at] = crossing.at[..] else { continue };
        drawing.group("crossing", &crossing.words, |drawing| {
            if let Some(interval) = crossing.interval {
                let ends = [interval.lo.unwrap_or(plot.x.lo()), interval.hi.unwrap_or(plot.x.hi())];
                let ends = ends.map(|end| end.clamp(plot.x.lo(), plot.x.hi()));
                drawing.group("margin", "", |drawing| drawing.block((ends[0], bottom), (ends[1], top)));
            }
            drawing.group("frontier", "", |drawing| drawing.line(&[(at, bottom), (at, top)]));
        });
    }
}
