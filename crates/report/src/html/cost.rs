//! Accuracy against cost, one plot a cost; radio buttons and the style alone show one of them.

use super::aligned::aligned;
use super::{boxed, figure, heads, name};
use crate::figures::{cost, cost_axes};
use crate::report::Report;
use crate::tables;
use maud::{Markup, html};

pub(super) fn shown(report: &Report<'_>) -> Option<Markup> {
    let (plots, numbers) = (plots(report), numbers(report));
    (plots.is_some() || numbers.is_some()).then(|| {
        html! { @if let Some(plots) = plots { (plots) } @if let Some(numbers) = numbers { (numbers) } }
    })
}

/// The table of costs. A time that may be the leader's, for all that the machine's clock can tell, is greyed.
fn numbers(report: &Report<'_>) -> Option<Markup> {
    let about = tables::spent(report)?;
    let rows = aligned(&about);
    let table = html! {
        table.sortable.costs {
            caption { (about.caption) }
            (heads(&about))
            tbody {
                @for row in &rows {
                    tr {
                        @for (i, cell) in row.iter().enumerate() {
                            @if i == 0 { th scope="row" { (name(cell)) } }
                            @else if let Some(value) = cell.strip_suffix(tables::WITHIN_NOISE) {
                                td.number.within-noise { (name(value)) " " span.remark { "within noise" } }
                            }
                            @else { td.number { (name(cell)) } }
                        }
                    }
                }
            }
        }
    };
    Some(html! { (boxed(&about.caption, &table)) p.note { (report.about_costs()) } })
}

fn plots(report: &Report<'_>) -> Option<Markup> {
    let axes = cost_axes(report);
    let plots = axes.iter().map(|axis| (axis, cost(report, *axis)));
    (!axes.is_empty()).then(|| {
        html! {
            div.switch.plots role="radiogroup" aria-label="Cost" {
                @for (i, axis) in axes.iter().enumerate() {
                    input type="radio" name="cost" id={ "cost-" (axis.id) } checked[i == 0];
                    label for={ "cost-" (axis.id) } { (axis.name) }
                }
                @for (axis, about) in plots { div class={ "choice cost-" (axis.id) } { (figure(&about)) } }
            }
            p.note {
                "The stepped line is the frontier: the best accuracy that each cost buys. Bars are " (report.level())
                " intervals of accuracy. Costs are on a logarithmic scale."
            }
        }
    })
}
