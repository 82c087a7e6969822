//! What stands above everything: the verdict, the question, and the figures behind the verdict.

use super::name;
use crate::report::Report;
use crate::tables::is_within_noise;
use crate::text::visible;
use bakeoff_results::words::{
    bytes, duration, grouped, percent, percent_interval, points, points_interval, time_interval,
};
use bakeoff_results::{Comparison, PipelineSummary, main_pair, still_open, verdict_line};
use maud::{Markup, html};

pub(super) fn shown(report: &Report<'_>) -> Markup {
    html! {
        p.verdict { (visible(&verdict_line(&report.summary))) }
        @let open = still_open(&report.summary);
        @if !open.is_empty() { p.open { strong { "Still open. " } (visible(&open.join(" "))) } }
        h1 { (name(&report.title)) }
        @if !report.run.question.is_empty() { p.question { (name(&report.run.question)) } }
        (cards(report))
    }
}

/// The leader's accuracy, how far it is ahead, and what each of the first two costs.
fn cards(report: &Report<'_>) -> Markup {
    let ranking = report.summary.ranking();
    let Some(leader) = ranking.first() else { return html! {} };
    let pair = main_pair(&report.summary).filter(|pair| pair.a == leader.name || pair.b == leader.name);
    html! {
        dl.cards {
            @if let (Some(accuracy), Some(interval)) = (leader.accuracy, leader.interval) {
                div {
                    dt { "highest accuracy" }
                    dd { strong { (percent(accuracy)) } span { (percent_interval(interval)) } span { (name(&leader.name)) } }
                }
            }
            @if let Some(pair) = pair { (ahead(leader, pair)) }
            @if let Some(seconds) = leader.seconds {
                div {
                    dt { "its whole time" }
                    dd {
                        strong { (duration(seconds.total)) }
                        span { @match seconds.total_interval { Some(between) => (time_interval(between)), None => "one timing" } }
                        span { @if seconds.tune > 0.0 { "tuning " (duration(seconds.tune)) ", " } "fit " (duration(seconds.fit)) }
                    }
                }
            }
            @if let Some(size) = leader.model_bytes {
                div {
                    dt { "its model" }
                    dd { strong { (bytes(size)) } @if let Some(mb) = leader.peak_rss_mb { span { "peak memory " (format!("{mb:.0}")) " MB" } } }
                }
            }
            div {
                dt { "test images" }
                dd {
                    strong { (grouped(report.run.dataset.test_labels.len())) }
                    span { (name(&report.run.dataset.name)) ", " (report.run.dataset.classes.len()) " classes, " (seeds(report)) }
                }
            }
        }
    }
}

fn seeds(report: &Report<'_>) -> String {
    let n = report.seeds.len();
    format!("{n} seed{}", if n == 1 { "" } else { "s" })
}

fn ahead(leader: &PipelineSummary, pair: &Comparison) -> Markup {
    let (Some(difference), Some(interval)) = (pair.difference, pair.interval) else { return html! {} };
    let turned = pair.b == leader.name;
    let other = if turned { &pair.a } else { &pair.b };
    let (difference, interval) =
        if turned { (-difference, [-interval.hi, -interval.lo].into()) } else { (difference, interval) };
    let noise = is_within_noise(pair);
    html! {
        div.noise[noise] {
            dt { "ahead of " (name(other)) " by" }
            dd {
                strong { (points(difference)) } " points"
                span { (points_interval(interval)) @if noise { ", within noise" } }
            }
        }
    }
}
