//! HTML: one file that needs nothing else, no network and no JavaScript, for screens of any width and for paper.
//!
//! A section of the page is a function here, or a file in `html/` where it is long. Texts from files and users pass through
//! [`name`] or [`visible`], and maud escapes them; the page's own policy forbids everything from elsewhere besides, and every
//! script but the page's own, which is told by its hash. That script sorts, orders and shows what is pointed at; without it
//! everything is there too.

mod aligned;
mod confusion;
mod cost;
mod gallery;
mod head;
mod leaderboard;
mod live;
mod page;

use crate::figures::{self, Figure};
use crate::report::Report;
use crate::tables::{self, Kind, Table};
use crate::text::visible;
use crate::{Format, ReportError};
use aligned::aligned;
use bakeoff_results::{Comparison, Run, Verdict};
use maud::{Markup, html};

pub use gallery::pictures;
pub use live::{Live, PROGRESS, live_page};
pub use page::document;
pub(crate) use page::{Block, page};

pub(crate) const FORMAT: Format =
    Format { name: "html", summary: "the whole report as one page that works offline", extension: "html", render };

#[expect(clippy::unnecessary_wraps, reason = "every format has one type")]
fn render(report: &Report<'_>) -> Result<String, ReportError> {
    let sections: Vec<Section> = sections(report).into_iter().flatten().collect();
    Ok(page(&report.title, &head::shown(report), &sections, &report.run.host.version))
}

/// A part of the page with a heading, in the order of the page.
pub(crate) type Section = Block;

/// Every section that has something to say.
fn sections(report: &Report<'_>) -> Vec<Option<Section>> {
    let run = report.run;
    let section = |id, title, body| Some(Section { id, title, body });
    // Such a table is all of its section, so its caption is only for those who do not see the heading above it.
    let of_table = |id, title, about: Option<Table>| about.and_then(|about| section(id, title, quiet_table(&about)));
    vec![
        section("leaderboard", "Leaderboard", leaderboard::shown(report)),
        comparisons(report).and_then(|body| section("comparisons", "Comparisons", body)),
        cost::shown(report).and_then(|body| section("cost", "Accuracy against cost", body)),
        sizes(report).and_then(|body| section("train-sizes", "Accuracy against training size", body)),
        confusion::shown(report).and_then(|body| section("classes", "Classes", body)),
        gallery::shown(report).and_then(|body| section("pictures", "Images", body)),
        figures::curves(report).and_then(|about| section("curves", "Training curves", figure(&about))),
        tuning(report).and_then(|body| section("tuning", "Tuning", body)),
        section("dataset", "Dataset", dataset(run)),
        of_table("protocol", "Protocol", Some(tables::protocol(report))),
        of_table("environment", "Environment", Some(tables::environment(run))),
        section("again", "How to run it again", again(report)),
    ]
}

/// A plot with what it says under it.
pub(crate) fn figure(about: &Figure) -> Markup {
    html! {
        figure {
            (about.plot)
            @if !about.legend.is_empty() {
                ul.legend { @for (pipeline, mark) in &about.legend { li { (mark.shown()) (name(pipeline)) } } }
            }
            figcaption { (name(&about.finding)) }
        }
    }
}

fn tuning(report: &Report<'_>) -> Option<Markup> {
    let tried = tables::tuning(report)?;
    Some(html! { @if let Some(about) = figures::budget(report) { (figure(&about)) } (quiet_table(&tried)) })
}

fn sizes(report: &Report<'_>) -> Option<Markup> {
    let (about, numbers) = (figures::sizes(report)?, tables::train_sizes(report)?);
    Some(html! { (figure(&about)) details { summary { "The numbers" } (quiet_table(&numbers)) } })
}

/// A text from outside, whatever its direction of writing.
fn name(text: &str) -> Markup {
    html! { bdi { (visible(text)) } }
}

/// A table in a box that scrolls sideways by itself where the screen is narrow.
fn boxed(label: &str, table: &Markup) -> Markup {
    html! { div.scroll role="region" aria-label=(visible(label)) tabindex="0" { (table) } }
}

fn table(about: &Table) -> Markup {
    captioned(about, "")
}

pub(crate) fn quiet_table(about: &Table) -> Markup {
    captioned(about, "quiet")
}

fn captioned(about: &Table, class: &str) -> Markup {
    let rows = aligned(about);
    boxed(
        &about.caption,
        &html! {
            table.sortable[about.kind == Kind::Values].facts[about.kind == Kind::Facts] {
                caption class=(class) { (name(&about.caption)) }
                (heads(about))
                tbody {
                    @for row in &rows {
                        tr {
                            @for (i, cell) in row.iter().enumerate() {
                                @if i == 0 { th scope="row" { (name(cell)) } } @else { (cell_of(about, i, cell)) }
                            }
                        }
                    }
                }
            }
        },
    )
}

fn heads(about: &Table) -> Markup {
    let number = |is_number: bool| is_number.then_some("number");
    html! {
        thead { tr { @for column in &about.head { th scope="col" class=[number(column.is_number)] { (name(&column.name)) } } } }
    }
}

fn cell_of(about: &Table, column: usize, text: &str) -> Markup {
    let is_number = about.head.get(column).is_some_and(|column| column.is_number);
    html! { td class=[is_number.then_some("number")] { (name(text)) } }
}

fn comparisons(report: &Report<'_>) -> Option<Markup> {
    let about = tables::comparisons(report)?;
    let shown = comparison_table(&about, &report.summary.comparisons);
    Some(html! {
        @if let Some(about) = figures::differences(report) { (figure(&about)) }
        (shown)
        p.note { (report.about_comparisons()) }
    })
}

/// The table of these comparisons, with a badge for each verdict.
pub(crate) fn comparison_table(about: &Table, pairs: &[Comparison]) -> Markup {
    let rows = aligned(about);
    let shown = html! {
        table.sortable {
            caption.quiet { (about.caption) }
            (heads(about))
            tbody { @for (row, pair) in rows.iter().zip(pairs) { (comparison(row, pair)) } }
        }
    };
    boxed(&about.caption, &shown)
}

fn comparison(row: &[String], pair: &Comparison) -> Markup {
    let badge = match pair.verdict {
        _ if pair.difference.is_none() => "none",
        Verdict::Better => "better",
        Verdict::Equivalent => "equivalent",
        Verdict::Undecided => "undecided",
    };
    let noise = tables::is_within_noise(pair);
    let [a, b, difference, interval, seeds, p, verdict, note] = row else { return html! {} };
    html! {
        tr.noise[noise] {
            th scope="row" { (name(a)) }
            td.second { (name(b)) }
            td.number { strong { (difference) } }
            td.number { (interval) }
            td.number { (seeds) }
            td { (p) }
            td.verdict-of { span class={ "badge " (badge) } { (name(verdict.strip_suffix(tables::WITHIN_NOISE).unwrap_or(verdict))) } @if noise { " " span.remark { "within noise" } } }
            td.remark { (name(note)) }
        }
    }
}

fn dataset(run: &Run) -> Markup {
    html! {
        (quiet_table(&tables::passport(run)))
        @if !run.dataset.notes.is_empty() {
            h3 { "What was done to it on its way in" }
            ul { @for note in &run.dataset.notes { li { (name(note)) } } }
        }
        details open[run.dataset.classes.len() <= 20] {
            summary { "Images a class" }
            (quiet_table(&tables::class_counts(run)))
        }
        @if let Some(files) = tables::files(run) { (table(&files)) }
    }
}

fn again(report: &Report<'_>) -> Markup {
    let run = report.run;
    html! {
        @if !report.command.is_empty() {
            p { "From the folder that holds the run's folder, as one command:" }
            pre tabindex="0" dir="ltr" { code { (visible(&report.command)) } }
            @if let Some(about) = report.about_command() { p.note { (about) } }
        }
        p { "The experiment as written, " code { (name(&format!("{}.toml", run.name))) } ":" }
        pre tabindex="0" dir="ltr" { code { (run.as_written) } }
    }
}
