//! Accuracy against what it costs, with the frontier of pipelines that no other beats in both.

use super::{Figure, legend, listed};
use crate::plot::{Axis, Drawing, Plot, Width, both, percent_ticks, shortened};
use crate::report::Report;
use bakeoff_results::words::{bytes, duration, percent};
use bakeoff_results::{PipelineSummary, frontier};
use maud::Markup;

/// A cost that accuracy is shown against.
#[derive(Clone, Copy)]
pub(crate) struct CostAxis {
    /// Part of an element's name.
    pub(crate) id: &'static str,
    /// On the switch.
    pub(crate) name: &'static str,
    /// Under the axis.
    title: &'static str,
    /// In the sentence "… for 1.20 s".
    of: fn(&Report<'_>, &PipelineSummary) -> Option<f64>,
    written: fn(f64) -> String,
}

const AXES: &[CostAxis] = &[
    CostAxis {
        id: "train",
        name: "training time",
        title: "features and final fit, wall time",
        of: |_, p| p.seconds.map(|s| s.features + s.fit),
        written: duration,
    },
    CostAxis {
        id: "total",
        name: "whole time",
        title: "from end to end, tuning included, wall time",
        of: |_, p| p.seconds.map(|s| s.total),
        written: duration,
    },
    CostAxis {
        id: "latency",
        name: "latency",
        title: "one image alone, median, wall time",
        of: |report, p| report.latency(&p.name).map(|latency| latency.median),
        written: duration,
    },
    CostAxis {
        id: "memory",
        name: "memory",
        title: "peak memory of the process",
        of: |_, p| p.peak_rss_mb.map(|mb| mb * 1e6),
        written: |v| bytes(v as usize),
    },
    CostAxis {
        id: "model",
        name: "model size",
        title: "bytes of the trained model",
        of: |_, p| p.model_bytes.map(|n| n as f64),
        written: |v| bytes(v as usize),
    },
];

/// A pipeline in the picture.
struct Choice<'a> {
    pipeline: &'a PipelineSummary,
    cost: f64,
    accuracy: f64,
}

fn choices<'a>(report: &'a Report<'_>, axis: CostAxis) -> Vec<Choice<'a>> {
    let ranked = report.summary.ranking().into_iter();
    ranked
        .filter_map(|pipeline| {
            let cost = (axis.of)(report, pipeline).filter(|cost| *cost > 0.0)?;
            Some(Choice { pipeline, cost, accuracy: pipeline.accuracy? })
        })
        .collect()
}

/// The costs that at least two pipelines have: of one there is nothing to weigh.
pub(crate) fn cost_axes(report: &Report<'_>) -> Vec<CostAxis> {
    AXES.iter().copied().filter(|axis| choices(report, *axis).len() > 1).collect()
}

pub(crate) fn cost(report: &Report<'_>, axis: CostAxis) -> Figure {
    let choices = choices(report, axis);
    let pairs: Vec<(f64, f64)> = choices.iter().map(|c| (c.cost, c.accuracy)).collect();
    let on = frontier(&pairs);
    let named = |i: &usize| choices[*i].pipeline.name.as_str();
    let told = |i: &usize| {
        format!("{} ({} for {})", named(i), percent(choices[*i].accuracy), (axis.written)(choices[*i].cost))
    };
    let finding = match on.as_slice() {
        [only] => format!("By {}: none is cheaper or more accurate than {}.", axis.name, told(only)),
        [first, middle @ .., last] => format!(
            "By {}: the frontier goes from {} to {}{}.{}",
            axis.name,
            told(first),
            told(last),
            if middle.is_empty() {
                String::new()
            } else {
                format!(" over {}", listed(&middle.iter().map(named).collect::<Vec<_>>()))
            },
            match choices.len() - on.len() {
                0 => "",
                1 => " The other pipeline was beaten in cost and accuracy at once.",
                _ => " Each of the others was beaten in cost and accuracy at once.",
            },
        ),
        [] => String::new(),
    };
    let plot = both(|width| draw(report, axis, &choices, &on, &finding, width));
    Figure { legend: legend(report, choices.iter().map(|c| c.pipeline.name.as_str())), finding, plot }
}

fn draw(
    report: &Report<'_>,
    axis: CostAxis,
    choices: &[Choice<'_>],
    on: &[usize],
    finding: &str,
    width: Width,
) -> Markup {
    let ends = choices.iter().filter_map(|c| c.pipeline.interval).flat_map(|i| [i.lo * 100.0, i.hi * 100.0]);
    let y = Axis::linear(ends).within(-1.0, 101.0);
    let plot = Plot {
        width,
        height: width.either(380.0, 300.0),
        left: 62.0,
        x: Axis::log(choices.iter().map(|c| c.cost)),
        y,
        x_title: axis.title,
        y_title: "accuracy",
        x_written: &|v| tidy(&(axis.written)(v)),
        y_written: &percent_ticks(y),
        label: finding,
    };
    plot.draw(|drawing| {
        drawing.group("frontier", "", |drawing| drawing.line(&steps(choices, on, plot.x.hi())));
        for choice in choices {
            let mark = report.mark(&choice.pipeline.name);
            let title =
                format!("{}: {} for {}", choice.pipeline.name, percent(choice.accuracy), (axis.written)(choice.cost));
            drawing.group(&mark.class(), &title, |drawing| {
                if let Some(interval) = choice.pipeline.interval {
                    drawing.group("whole", "", |drawing| {
                        drawing.line(&[(choice.cost, interval.lo * 100.0), (choice.cost, interval.hi * 100.0)]);
                    });
                }
                drawing.mark(mark, (choice.cost, choice.accuracy * 100.0), 5.5);
            });
        }
        names(drawing, choices, width);
    })
}

/// "1.00 s" is "1 s" at a tick.
fn tidy(text: &str) -> String {
    match text.split_once(' ') {
        Some((number, unit)) if number.contains('.') => {
            format!("{} {unit}", number.trim_end_matches('0').trim_end_matches('.'))
        }
        _ => text.to_owned(),
    }
}

/// What is the best for each cost: level until the next pipeline of the frontier, then up.
fn steps(choices: &[Choice<'_>], on: &[usize], end: f64) -> Vec<(f64, f64)> {
    let mut path: Vec<(f64, f64)> = Vec::new();
    for &i in on {
        let here = (choices[i].cost, choices[i].accuracy * 100.0);
        if let Some(&(_, before)) = path.last() {
            path.push((here.0, before));
        }
        path.push(here);
    }
    if let Some(&(_, best)) = path.last() {
        path.push((end, best));
    }
    path
}

/// Names beside marks, where they have room; the legend names all.
fn names(drawing: &mut Drawing<'_>, choices: &[Choice<'_>], width: Width) {
    let places: Vec<(f64, f64)> = choices.iter().map(|c| drawing.place((c.cost, c.accuracy * 100.0))).collect();
    let mut taken: Vec<[f64; 4]> = places.iter().map(|(x, y)| [x - 7.0, y - 7.0, x + 7.0, y + 7.0]).collect();
    for (choice, (x, y)) in choices.iter().zip(&places) {
        let name = shortened(&choice.pipeline.name, 150.0);
        let long = name.chars().count() as f64 * 6.4 + 2.0;
        let sides = [(10.0, 0.0), (-10.0, 0.0), (8.0, -12.0), (8.0, 12.0), (-8.0, -12.0), (-8.0, 12.0)];
        let free = sides.into_iter().find_map(|(dx, dy)| {
            let left = if dx > 0.0 { x + dx } else { x + dx - long };
            let around = [left, y + dy - 7.0, left + long, y + dy + 7.0];
            let inside = around[0] > 62.0 && around[2] < width.px() - 4.0;
            let apart = |other: &[f64; 4]| {
                around[0] > other[2] || other[0] > around[2] || around[1] > other[3] || other[1] > around[3]
            };
            // Its own mark is never in the way.
            let own = [x - 7.0, y - 7.0, x + 7.0, y + 7.0];
            (inside && taken.iter().all(|other| *other == own || apart(other))).then_some(((dx, dy), around))
        });
        if let Some((off, around)) = free {
            taken.push(around);
            drawing.text((choice.cost, choice.accuracy * 100.0), off, off.0 < 0.0, &name);
        }
    }
}
