//! Differences between pairs of pipelines with their intervals, beside nothing and the margin that counts as none.

use super::Figure;
use crate::plot::{Axis, Plot, Width, both, room_for, shortened};
use crate::report::Report;
use crate::tables::{is_within_noise, verdict};
use bakeoff_results::words::{points, points_interval};
use bakeoff_results::{Comparison, Interval};
use maud::Markup;

/// `None` when no pair could be compared.
pub(crate) fn differences(report: &Report<'_>) -> Option<Figure> {
    let made = report.summary.comparisons.iter();
    let pairs: Vec<(&Comparison, f64, Interval)> = made.filter_map(|c| Some((c, c.difference?, c.interval?))).collect();
    let (first, ..) = pairs.first()?;
    let clear = pairs.iter().filter(|(c, ..)| !is_within_noise(c)).count();
    let finding = format!(
        "Differences in accuracy with {} intervals, first minus second. {clear} of {} are beyond noise; grey ones are within \
         noise. {} against {}: {}. The shaded band is the margin that counts as no difference, ±{} points.",
        report.level(),
        pairs.len(),
        first.a,
        first.b,
        verdict(first),
        points(report.summary.equivalence).trim_start_matches('+'),
    );
    let plot = both(|width| draw(report, &pairs, &finding, width));
    Some(Figure { finding, plot, legend: Vec::new() })
}

fn draw(report: &Report<'_>, pairs: &[(&Comparison, f64, Interval)], finding: &str, width: Width) -> Markup {
    let margin = report.summary.equivalence * 100.0;
    let ends = pairs.iter().flat_map(|(_, _, i)| [i.lo * 100.0, i.hi * 100.0]);
    let x = Axis::linear(ends.chain([-margin, margin, 0.0]));
    let names: Vec<String> = pairs.iter().map(|(c, ..)| format!("{} − {}", c.a, c.b)).collect();
    let left = room_for(names.iter().map(String::as_str), width.either(300.0, 150.0));
    let plot = Plot {
        width,
        height: 54.0 + 28.0 * pairs.len() as f64,
        left,
        x,
        y: Axis::names(pairs.len()),
        x_title: "percentage points",
        y_title: "",
        x_written: &|v| if v.abs() < 1e-9 { "0".to_owned() } else { format!("{v:+}").replace('-', "−") },
        y_written: &|i| names.get(i.round() as usize).map_or_else(String::new, |name| shortened(name, left - 14.0)),
        label: finding,
    };
    let last = pairs.len() as f64 - 0.5;
    plot.draw(|drawing| {
        drawing.group("margin", "", |drawing| drawing.block((-margin, -0.5), (margin, last)));
        drawing.group("zero", "", |drawing| drawing.line(&[(0.0, -0.5), (0.0, last)]));
        for (i, (pair, difference, interval)) in pairs.iter().enumerate() {
            let noise = is_within_noise(pair);
            let mark = report.mark(&pair.a);
            let class = if noise { "noise".to_owned() } else { mark.class() };
            let within = if noise { "; within noise" } else { "" };
            let title =
                format!("{}: {} points ({}{within})", names[i], points(*difference), points_interval(*interval));
            drawing.group(&class, &title, |drawing| {
                let y = i as f64;
                drawing.group("whole", "", |drawing| {
                    drawing.line(&[(interval.lo * 100.0, y), (interval.hi * 100.0, y)]);
                });
                drawing.mark(mark, (difference * 100.0, y), 4.5);
            });
        }
    })
}
