//! Classes: how often each was right with each pipeline, and what was taken for what.
//!
//! A matrix is a table and no drawing: its cells are read one by one by those who hear them, and can be ordered. It holds
//! shares and counts; radio buttons and the style alone show one of them.

use super::{boxed, figure, name, quiet_table, table};
use crate::figures;
use crate::report::{MOST_CLASSES, Report};
use crate::tables;
use crate::text::visible;
use bakeoff_results::words::percent;
use bakeoff_results::{ClassAccuracy, Detail, Run, by_similarity};
use maud::{Markup, html};

pub(super) fn shown(report: &Report<'_>) -> Option<Markup> {
    let shares = tables::classes(report)?;
    let whole = report.run.dataset.classes.len() <= MOST_CLASSES;
    Some(html! {
        @if let Some(about) = figures::by_class(report) {
            (figure(&about))
            details { summary { "The numbers" } (quiet_table(&shares)) p.note { (report.about_classes()) } }
        } @else { (table(&shares)) p.note { (report.about_classes()) } }
        h3 { "What was taken for what" }
        @if whole { (matrices(report)) } @else { (pairs(report)) }
    })
}

fn pairs(report: &Report<'_>) -> Markup {
    html! { div.matrices { @for detail in ranked(report) { (table(&tables::confused(report.run, detail))) } } }
}

fn matrices(report: &Report<'_>) -> Markup {
    html! {
        p.note {
            "A row is a true class, a column what its test images were taken for; nothing stands for 0. The shade is the "
            "square root of the share, so that rare mistakes show: " span.heat.right style="--share:0.7" { "right" } ", "
            span.heat.wrong style="--share:0.7" { "mistaken" } "."
        }
        div.switch role="radiogroup" aria-label="Numbers in the matrices" {
            input type="radio" name="matrix" id="matrix-shares" checked;
            label for="matrix-shares" { "percent of the class" }
            input type="radio" name="matrix" id="matrix-counts";
            label for="matrix-counts" { "images" }
            label.needs-script for="similar" { input type="checkbox" id="similar"; " similar classes together" }
            div.matrices { @for detail in ranked(report).into_iter().take(AT_ONCE) { (matrix(report.run, detail)) } }
            @let more: Vec<&Detail> = ranked(report).into_iter().skip(AT_ONCE).collect();
            @if !more.is_empty() {
                details {
                    summary { "The other pipelines (" (more.len()) ")" }
                    div.matrices { @for detail in more { (matrix(report.run, detail)) } }
                }
            }
        }
    }
}

/// Matrices that are there without asking.
const AT_ONCE: usize = 2;

/// The most accurate first.
fn ranked<'a>(report: &'a Report<'_>) -> Vec<&'a Detail> {
    let of = |name: &str| report.details.iter().find(|detail| detail.name == name);
    report.summary.ranking().into_iter().filter_map(|pipeline| of(&pipeline.name)).collect()
}

fn matrix(run: &Run, detail: &Detail) -> Markup {
    let caption = format!("{}: confusion matrix{}", detail.name, tables::over_seeds(detail));
    let rows = detail.classes.iter().zip(&detail.confusion.counts).enumerate();
    let order: Vec<String> = by_similarity(&detail.confusion).iter().map(usize::to_string).collect();
    let shown = html! {
        table.matrix data-order=(order.join(" ")) {
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
            td.number {
                span.share { (class.accuracy.map_or_else(|| tables::UNKNOWN.to_owned(), percent)) }
                span.count { (class.right) " of " (class.of) }
            }
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
    html! {
        td class=(kind) style={ "--share:" (format!("{:.2}", share.sqrt())) } title=(visible(&said)) {
            span.share { (number) } span.count { (count) }
        }
    }
}
