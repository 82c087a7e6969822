//! The leaderboard: one row a pipeline, its interval also drawn.

use super::{boxed, name};
use crate::content::Content;
use crate::tables::{COSTS, costs, kind_in_a_word, remarks};
use bakeoff_results::words::{percent, percent_interval};
use bakeoff_results::{Interval, PipelineSummary};
use maud::{Markup, html};

pub(super) fn shown(content: &Content<'_>) -> Markup {
    let ranking = content.summary.ranking();
    let scale = scale(&ranking);
    let table = html! {
        table.leaderboard {
            caption.quiet { "Pipelines by accuracy" }
            thead {
                tr {
                    th scope="col" { "pipeline" }
                    th.number scope="col" { "accuracy" }
                    th scope="col" {
                        (content.level()) " interval"
                        @if let Some(scale) = scale { span.scale { span { (percent(scale.lo)) } span { (percent(scale.hi)) } } }
                    }
                    @for cost in COSTS { th.number scope="col" { (cost) } }
                }
            }
            tbody {
                @for pipeline in &ranking { (ranked(pipeline, scale)) }
                @for pipeline in content.summary.unranked() { (unranked(pipeline)) }
            }
        }
    };
    html! { (boxed("Leaderboard", &table)) p.note { (content.about_figures()) } }
}

/// What all drawn intervals span.
fn scale(ranking: &[&PipelineSummary]) -> Option<Interval> {
    let intervals = ranking.iter().filter_map(|p| p.interval);
    intervals.reduce(|all, next| Interval { lo: all.lo.min(next.lo), hi: all.hi.max(next.hi) })
}

fn ranked(pipeline: &PipelineSummary, scale: Option<Interval>) -> Markup {
    html! {
        tr {
            th scope="row" { (titled(pipeline)) }
            td.number { strong { @if let Some(accuracy) = pipeline.accuracy { (percent(accuracy)) } } }
            td { (interval(pipeline, scale)) }
            @for cost in costs(pipeline) { td.number { (cost) } }
        }
    }
}

fn unranked(pipeline: &PipelineSummary) -> Markup {
    html! {
        tr.absent {
            th scope="row" { (name(&pipeline.name)) }
            td.reason colspan=(COSTS.len() + 2) {
                span.badge.none { (pipeline.outcome.name()) } " "
                @for remark in remarks(pipeline) { (name(&remark)) " " }
            }
        }
    }
}

fn titled(pipeline: &PipelineSummary) -> Markup {
    html! {
        (name(&pipeline.name))
        @for remark in remarks(pipeline) { span.remark { (name(&remark)) } }
    }
}

/// Width of the drawing.
const WIDTH: f64 = 150.0;

fn interval(pipeline: &PipelineSummary, scale: Option<Interval>) -> Markup {
    let (Some(interval), Some(kind), Some(accuracy), Some(scale)) =
        (pipeline.interval, pipeline.interval_kind, pipeline.accuracy, scale)
    else {
        return html! { "–" };
    };
    // Room for the dot at both ends; a scale of no width has everything in the middle.
    let across = |value: f64| {
        let share = if scale.hi > scale.lo { (value - scale.lo) / (scale.hi - scale.lo) } else { 0.5 };
        format!("{:.1}", 5.0 + share * (WIDTH - 10.0))
    };
    let (lo, hi) = (across(interval.lo), across(interval.hi));
    html! {
        svg.interval viewBox={ "0 0 " (WIDTH) " 14" } width=(WIDTH) height="14" aria-hidden="true" {
            line.track x1="5" x2=(WIDTH - 5.0) y1="7" y2="7" {}
            line x1=(lo) x2=(hi) y1="7" y2="7" {}
            line x1=(lo) x2=(lo) y1="3" y2="11" {}
            line x1=(hi) x2=(hi) y1="3" y2="11" {}
            circle cx=(across(accuracy)) cy="7" r="3.5" {}
        }
        span.figures { (percent_interval(interval)) " " span.kind { (kind_in_a_word(kind)) } }
    }
}
