//! Each class: how often its images were right, the leader's share as a bar and the others' as marks.

use super::{Figure, legend, listed};
use crate::plot::{Axis, Plot, Width, both, room_for, shortened};
use crate::report::{MOST_CLASSES, Report};
use crate::tables::share;
use bakeoff_results::words::percent;
use bakeoff_results::{ClassAccuracy, Detail};
use maud::Markup;

/// `None` when no pipeline has a result or there are too many classes for a picture.
pub(crate) fn by_class(report: &Report<'_>) -> Option<Figure> {
    let leader = &report.summary.ranking().first()?.name;
    let details: Vec<&Detail> = report.details.iter().collect();
    let first = details.iter().find(|detail| detail.name == *leader)?;
    let known: Vec<(&ClassAccuracy, f64)> = first.classes.iter().filter_map(|c| Some((c, c.accuracy?))).collect();
    let lowest = known.iter().map(|(_, accuracy)| *accuracy).reduce(f64::min)?;
    let highest = known.iter().map(|(_, accuracy)| *accuracy).reduce(f64::max)?;
    let ends = if lowest < highest {
        format!(" does worst on {}, and best on {}", those_with(&known, lowest), those_with(&known, highest))
    } else {
        format!(" does as well on every class: {}", percent(highest))
    };
    let finding =
        format!("Share of right images in each class. {leader} (bars, with {} intervals){ends}.", report.level());
    let plot = both(|width| draw(report, first, &details, &finding, width));
    let names = details.iter().map(|detail| detail.name.as_str());
    (first.classes.len() <= MOST_CLASSES).then(|| Figure { legend: legend(report, names), finding, plot })
}

/// The classes of this accuracy: "coat, 61.00% (57.90% to 64.01%)", "bag and boot (98.00% each)", "7 classes (100.00% each)".
fn those_with(known: &[(&ClassAccuracy, f64)], accuracy: f64) -> String {
    let those: Vec<&ClassAccuracy> = known.iter().filter(|(_, a)| *a == accuracy).map(|(class, _)| *class).collect();
    match those.as_slice() {
        [only] => format!("{}, {}", only.class, share(only)),
        few if few.len() <= 4 => {
            let names: Vec<&str> = few.iter().map(|class| class.class.as_str()).collect();
            format!("{} ({} each)", listed(&names), percent(accuracy))
        }
        many => format!("{} classes ({} each)", many.len(), percent(accuracy)),
    }
}

fn draw(report: &Report<'_>, leader: &Detail, details: &[&Detail], finding: &str, width: Width) -> Markup {
    let classes = &leader.classes;
    let left = room_for(classes.iter().map(|c| c.class.as_str()), width.either(200.0, 110.0));
    let name = |i: f64| classes.get(i.round() as usize).map_or_else(String::new, |c| shortened(&c.class, left - 14.0));
    let plot = Plot {
        width,
        height: 54.0 + 26.0 * classes.len() as f64,
        left,
        x: Axis::from_to(0.0, 102.0),
        y: Axis::names(classes.len()),
        x_title: "right",
        y_title: "",
        x_written: &|v| format!("{v:.0}%"),
        y_written: &name,
        label: finding,
    };
    let said = |detail: &Detail, class: &ClassAccuracy| {
        format!("{}, {}: {}, {} of {}", detail.name, class.class, share(class), class.right, class.of)
    };
    plot.draw(|drawing| {
        for (i, class) in classes.iter().enumerate() {
            let Some(accuracy) = class.accuracy else { continue };
            let place = i as f64;
            drawing.group(&format!("{} bar", report.mark(&leader.name).class()), &said(leader, class), |drawing| {
                drawing.block((0.0, place - 0.36), (accuracy * 100.0, place + 0.36));
            });
            if let Some(interval) = class.interval {
                drawing.group(&format!("{} whisker", report.mark(&leader.name).class()), "", |drawing| {
                    drawing.line(&[(interval.lo * 100.0, place), (interval.hi * 100.0, place)]);
                });
            }
        }
        for detail in details {
            let mark = report.mark(&detail.name);
            for (i, class) in detail.classes.iter().enumerate() {
                let Some(accuracy) = class.accuracy else { continue };
                drawing.group(&mark.class(), &said(detail, class), |drawing| {
                    drawing.mark(mark, (accuracy * 100.0, i as f64), 4.0);
                });
            }
        }
    })
}
