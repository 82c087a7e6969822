//! Accuracy against cost, one plot a cost; radio buttons and the style alone show one of them.

use super::figure;
use crate::figures::{cost, cost_axes};
use crate::report::Report;
use maud::{Markup, html};

pub(super) fn shown(report: &Report<'_>) -> Option<Markup> {
    let axes = cost_axes(report);
    let plots = axes.iter().map(|axis| (axis, cost(report, *axis)));
    (!axes.is_empty()).then(|| {
        html! {
            div.switch role="radiogroup" aria-label="Cost" {
                @for (i, axis) in axes.iter().enumerate() {
                    input type="radio" name="cost" id={ "cost-" (axis.id) } checked[i == 0];
                    label for={ "cost-" (axis.id) } { (axis.name) }
                }
                @for (axis, about) in plots { div class={ "choice cost-" (axis.id) } { (figure(&about)) } }
            }
            p.note {
                "The stepped line is the frontier: the best accuracy that each cost buys. Bars are " (report.level())
                " intervals of accuracy. Costs are on a logarithmic scale."
                @if let Some(noise) = report.about_noise() { " " (noise) }
            }
        }
    })
}
