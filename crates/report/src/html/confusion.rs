//! Classes: how often each was right with each pipeline, and what was taken for what.

use super::{boxed, name, table};
use crate::content::{Content, MOST_CLASSES};
use crate::tables;
use crate::text::visible;
use bakeoff_results::words::percent;
use bakeoff_results::{ClassAccuracy, Detail, Run};
use maud::{Markup, html};

pub(super) fn shown(content: &Content<'_>) -> Option<Markup> {
    let shares = tables::classes(content)?;
    let whole = content.run.dataset.classes.len() <= MOST_CLASSES;
    Some(html! {
        (table(&shares))
        @if whole {
            p.note {
                "The matrices show, for each true class (a row), what share of its test images was taken for each class (a "
                "column), in percent; nothing stands for 0. The shade is the square root of the share, so that rare mistakes "
                "show: " span.heat.right style="--share:0.7" { "right" } ", " span.heat.wrong style="--share:0.7" { "mistaken" } "."
            }
        }
        div.matrices {
            @for detail in &content.details {
                @if whole { (matrix(content.run, detail)) } @else { (table(&tables::confused(content.run, detail))) }
            }
        }
    })
}

fn matrix(run: &Run, detail: &Detail) -> Markup {
    let caption = format!("{}: confusion matrix{}", detail.name, tables::over_seeds(detail));
    let rows = detail.classes.iter().zip(&detail.confusion.counts).enumerate();
    let shown = html! {
        table.matrix {
            caption { (name(&caption)) }
            thead {
                tr {
                    td.corner { "true ↓ predicted →" }
                    @for class in &run.dataset.classes { th scope="col" title=(visible(class)) { span { (name(class)) } } }
                    th scope="col" { span { "right" } }
                }
            }
            tbody { @for (i, (class, counts)) in rows { (matrix_row(run, i, class, counts)) } }
        }
    };
    boxed(&caption, &shown)
}

fn matrix_row(run: &Run, truth: usize, class: &ClassAccuracy, counts: &[usize]) -> Markup {
    html! {
        tr {
            th scope="row" { (name(&class.class)) }
            @for (predicted, &count) in counts.iter().enumerate() {
                (place(run, (truth, predicted), count, class.of))
            }
            td.number { (class.accuracy.map_or_else(|| tables::UNKNOWN.to_owned(), percent)) }
        }
    }
}

fn place(run: &Run, (truth, predicted): (usize, usize), count: usize, of: usize) -> Markup {
    if count == 0 {
        return html! { td {} };
    }
    let share = count as f64 / of.max(1) as f64;
    let number = if share < 0.01 { "<1".to_owned() } else { format!("{:.0}", share * 100.0) };
    let class = |id: usize| run.dataset.classes.get(id).map_or("", String::as_str);
    let said = format!("{count} of {of} images of {} taken for {}", class(truth), class(predicted));
    let kind = if truth == predicted { "heat right" } else { "heat wrong" };
    html! { td class=(kind) style={ "--share:" (format!("{:.3}", share.sqrt())) } title=(visible(&said)) { (number) } }
}
