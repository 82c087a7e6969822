//! The leaderboard: a picture of accuracies with their intervals, and a table with a row for each pipeline.

use super::aligned::column_of;
use super::{boxed, figure, name};
use crate::figures;
use crate::report::Report;
use crate::tables::{COSTS, UNKNOWN, costs, kind_in_a_word, remarks};
use bakeoff_results::PipelineSummary;
use bakeoff_results::words::{percent, percent_interval};
use maud::{Markup, html};

pub(super) fn shown(report: &Report<'_>) -> Markup {
    let ranking = report.summary.ranking();
    let costs = aligned_costs(&ranking);
    let table = html! {
        table.leaderboard.sortable {
            caption.quiet { "Pipelines by accuracy" }
            thead {
                tr {
                    th scope="col" { "pipeline" }
                    th.number scope="col" { "accuracy" }
                    th scope="col" { (report.level()) " interval" }
                    @for cost in COSTS { th.number scope="col" { (cost) } }
                }
            }
            tbody {
                @for (pipeline, costs) in ranking.iter().zip(&costs) { (ranked(report, pipeline, costs)) }
                @for pipeline in report.summary.unranked() { (unranked(pipeline)) }
            }
        }
    };
    html! {
        @if let Some(about) = figures::standing(report) { (figure(&about)) }
        (boxed("Leaderboard", &table))
        p.note { (report.about_figures()) }
    }
}

/// The costs of each pipeline, with the dots of each column under one another.
fn aligned_costs(ranking: &[&PipelineSummary]) -> Vec<Vec<String>> {
    let rows: Vec<[String; COSTS.len()]> = ranking.iter().map(|pipeline| costs(pipeline)).collect();
    let mut aligned = vec![Vec::new(); rows.len()];
    for i in 0..COSTS.len() {
        let cells: Vec<&str> = rows.iter().map(|row| row[i].as_str()).collect();
        for (row, cell) in aligned.iter_mut().zip(column_of(&cells)) {
            row.push(cell);
        }
    }
    aligned
}

fn ranked(report: &Report<'_>, pipeline: &PipelineSummary, costs: &[String]) -> Markup {
    html! {
        tr {
            th scope="row" {
                (report.mark(&pipeline.name).shown()) " " (name(&pipeline.name))
                @for remark in remarks(pipeline) { span.remark { (name(&remark)) } }
            }
            td.number { strong { @if let Some(accuracy) = pipeline.accuracy { (percent(accuracy)) } } }
            td.figures { (interval(pipeline)) }
            @for cost in costs { td.number { (cost) } }
        }
    }
}

fn interval(pipeline: &PipelineSummary) -> Markup {
    let both = pipeline.interval.zip(pipeline.interval_kind);
    both.map_or_else(
        || html! { (UNKNOWN) },
        |(interval, kind)| html! { (percent_interval(interval)) " " span.kind { (kind_in_a_word(kind)) } },
    )
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
