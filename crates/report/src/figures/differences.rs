//! Differences between pairs of pipelines with their intervals, beside nothing and the margin that counts as none.

use super::Figure;
use crate::plot::{Axis, Mark, Plot, Width, both, room_for, shortened};
use crate::report::Report;
use crate::tables::{is_within_noise, verdict};
use bakeoff_results::words::{points, points_interval};
use bakeoff_results::{Comparison, Interval};
use maud::Markup;

/// What differences are shown against.
pub(crate) struct Scale<'a> {
    /// The level of the intervals, "95%".
    pub(crate) level: String,
    /// The margin that counts as no difference, as a fraction.
    pub(crate) equivalence: f64,
    /// What a pipeline is drawn as.
    pub(crate) mark: &'a dyn Fn(&str) -> Mark,
}

/// `None` when no pair could be compared.
pub(crate) fn differences(report: &Report<'_>) -> Option<Figure> {
    let mark = |name: &str| report.mark(name);
    let scale = Scale { level: report.level(), equivalence: report.summary.equivalence, mark: &mark };
    differences_of(&report.summary.comparisons, &scale)
}

/// `None` when no pair could be compared.
pub(crate) fn differences_of(comparisons: &[Comparison], scale: &Scale<'_>) -> Option<Figure> {
    let made = comparisons.iter();
    let pairs: Vec<(&Comparison, f64, Interval)> = made.filter_map(|c| Some((c, c.difference?, c.interval?))).collect();
    let (first, ..) = pairs.first()?;
    let finding = format!(
        "Differences in accuracy with {} intervals, first minus second. {}{} against {}: {}. The shaded band is the margin that \
         counts as no difference, ±{} points.",
        scale.level,
        beyond_noise(&pairs),
        first.a,
        first.b,
        verdict(first),
        points(scale.equivalence).trim_start_matches('+'),
    );
    let plot = both(|width| draw(scale, &pairs, &finding, width));
    Some(Figure { finding, plot, legend: Vec::new() })
}

/// How many are beyond noise; nothing of one, whose verdict follows.
fn beyond_noise(pairs: &[(&Comparison, f64, Interval)]) -> String {
    let clear = pairs.iter().filter(|(c, ..)| !is_within_noise(c)).count();
    match (clear, pairs.len()) {
        (1, 1) => String::new(),
        (_, 1) => "It is within noise, so it is grey. ".to_owned(),
        (0, _) => "All are within noise, so they are grey. ".to_owned(),
        (clear, all) if clear == all => format!("All {all} are beyond noise. "),
        (clear, all) => format!("{clear} of {all} are beyond noise; the grey ones are within noise. "),
    }
}

fn draw(scale: &Scale<'_>, pairs: &[(&Comparison, f64, Interval)], finding: &str, width: Width) -> Markup {
    let margin = scale.equivalence * 100.0;
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
            let mark = (scale.mark)(&pair.a);
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
