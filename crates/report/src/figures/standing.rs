//! The leaderboard as a picture: each pipeline's accuracy, its interval, and every seed as a dot.

use super::Figure;
use crate::plot::{Axis, Plot, Width, both, percent_ticks, room_for, shortened};
use crate::report::Report;
use bakeoff_results::PipelineSummary;
use bakeoff_results::words::{percent, percent_interval};
use maud::Markup;

/// `None` when no pipeline has a result.
pub(crate) fn standing(report: &Report<'_>) -> Option<Figure> {
    let ranking = report.summary.ranking();
    let first = ranking.first()?;
    let told = |p: &PipelineSummary| {
        let figures = p.accuracy.zip(p.interval);
        figures.map_or_else(String::new, |(a, i)| format!("{}: {} ({})", p.name, percent(a), percent_interval(i)))
    };
    let ends = match ranking.last().filter(|_| ranking.len() > 1) {
        Some(last) => {
            format!(
                "Accuracy with {} intervals, the most accurate first. Highest, {}; lowest, {}.",
                report.level(),
                told(first),
                told(last)
            )
        }
        None => format!("Accuracy with its {} interval: {}.", report.level(), told(first)),
    };
    let dots = if ranking.iter().any(|p| p.seeds > 1) { " Small dots are single seeds." } else { "" };
    let finding = ends + dots;
    let plot = both(|width| draw(report, &ranking, &finding, width));
    Some(Figure { finding, plot, legend: Vec::new() })
}

fn draw(report: &Report<'_>, ranking: &[&PipelineSummary], finding: &str, width: Width) -> Markup {
    let seeds: Vec<Vec<(u64, f64)>> = ranking.iter().map(|p| report.by_seed(&p.name)).collect();
    let ends = ranking.iter().filter_map(|p| p.interval).flat_map(|i| [i.lo, i.hi]);
    let all = ends.chain(seeds.iter().flatten().map(|(_, accuracy)| *accuracy)).map(|share| share * 100.0);
    let x = Axis::linear(all).within(-0.5, 100.5);
    let left = room_for(ranking.iter().map(|p| p.name.as_str()), width.either(230.0, 128.0));
    let name = |i: f64| ranking.get(i.round() as usize).map_or_else(String::new, |p| shortened(&p.name, left - 14.0));
    let plot = Plot {
        width,
        height: 54.0 + 30.0 * ranking.len() as f64,
        left,
        x,
        y: Axis::names(ranking.len()),
        x_title: "accuracy",
        y_title: "",
        x_written: &percent_ticks(x),
        y_written: &name,
        label: finding,
    };
    plot.draw(|drawing| {
        for (i, (pipeline, seeds)) in ranking.iter().zip(&seeds).enumerate() {
            let (Some(accuracy), Some(interval)) = (pipeline.accuracy, pipeline.interval) else { continue };
            let (mark, y) = (report.mark(&pipeline.name), i as f64);
            let title =
                format!("{}: {}, {} {}", pipeline.name, percent(accuracy), report.level(), percent_interval(interval));
            drawing.group(&mark.class(), &title, |drawing| {
                drawing.group("seeds", "", |drawing| {
                    // One dot would lie under the mark.
                    for (_, accuracy) in seeds.iter().filter(|_| pipeline.seeds > 1) {
                        drawing.dot((accuracy * 100.0, y + 0.27), 2.2);
                    }
                });
                drawing.group("whole", "", |drawing| {
                    drawing.line(&[(interval.lo * 100.0, y), (interval.hi * 100.0, y)]);
                });
                drawing.mark(mark, (accuracy * 100.0, y), 5.0);
            });
        }
    })
}
