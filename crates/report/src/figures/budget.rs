//! The best validation score that a number of trials may be expected to find (Dodge et al. 2019).

use super::{Figure, legend};
use crate::plot::{Axis, Plot, Width, both, percent_ticks};
use crate::report::Report;
use bakeoff_results::words::{counted, percent};
use bakeoff_results::{Detail, ExpectedBest};
use maud::Markup;

/// `None` when no pipeline was searched with more than one trial.
pub(crate) fn budget(report: &Report<'_>) -> Option<Figure> {
    let searched: Vec<&Detail> = report.details.iter().filter(|detail| detail.expected_best.len() > 1).collect();
    let best = |pick: fn(&Detail) -> Option<&ExpectedBest>| {
        let all = searched.iter().filter_map(|detail| Some((*detail, pick(detail)?)));
        all.max_by(|a, b| a.1.mean.total_cmp(&b.1.mean))
    };
    let (first, last) = (best(|d| d.expected_best.first())?, best(|d| d.expected_best.last())?);
    let told = |at: &ExpectedBest| format!("with {} ({})", counted(at.trials, "trial"), percent(at.mean));
    let ends = if first.0.name == last.0.name {
        format!("{} leads {} and {}", first.0.name, told(first.1), told(last.1))
    } else {
        format!("{} leads {}, {} {}", first.0.name, told(first.1), last.0.name, told(last.1))
    };
    let finding = format!(
        "Expected best validation accuracy against the number of tuning trials: {ends}. The band is one standard deviation of \
         the best trial, over draws of trials and seeds; it is no interval of the mean."
    );
    let plot = both(|width| draw(report, &searched, &finding, width));
    Some(Figure { legend: legend(report, searched.iter().map(|detail| detail.name.as_str())), finding, plot })
}

fn draw(report: &Report<'_>, searched: &[&Detail], finding: &str, width: Width) -> Markup {
    let points = || searched.iter().flat_map(|detail| &detail.expected_best);
    let low = |p: &ExpectedBest| (p.mean - p.deviation) * 100.0;
    let high = |p: &ExpectedBest| (p.mean + p.deviation) * 100.0;
    let y = Axis::linear(points().flat_map(|p| [low(p), high(p)])).within(-1.0, 101.0);
    let plot = Plot {
        width,
        height: width.either(360.0, 290.0),
        left: 62.0,
        x: Axis::log(points().map(|p| p.trials as f64)),
        y,
        x_title: "tuning trials",
        y_title: "expected best validation accuracy",
        x_written: &|v| format!("{v:.0}"),
        y_written: &percent_ticks(y),
        label: finding,
    };
    plot.draw(|drawing| {
        for detail in searched {
            let mark = report.mark(&detail.name);
            let along = |value: &dyn Fn(&ExpectedBest) -> f64| -> Vec<(f64, f64)> {
                detail.expected_best.iter().map(|p| (p.trials as f64, value(p))).collect()
            };
            drawing.group(&mark.class(), &detail.name, |drawing| {
                drawing.band(&along(&low), &along(&high));
                drawing.line(&along(&|p| p.mean * 100.0));
            });
            for point in &detail.expected_best {
                let title = format!("{}, {}: {}", detail.name, counted(point.trials, "trial"), percent(point.mean));
                drawing.group(&mark.class(), &title, |drawing| {
                    drawing.mark(mark, (point.trials as f64, point.mean * 100.0), 3.8);
                });
            }
        }
    })
}
