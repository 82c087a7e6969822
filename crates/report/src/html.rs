//! HTML: one file that needs nothing else, no network and no JavaScript, for screens of any width and for paper.
//!
//! A section of the page is a function here, or a file in `html/` where it is long. Texts from files and users pass through
//! [`name`] or [`visible`], and maud escapes them; the page's own policy forbids scripts and everything from elsewhere besides.

mod confusion;
mod leaderboard;

use crate::content::Content;
use crate::tables::{self, Kind, Table};
use crate::text::visible;
use crate::{Format, ReportError};
use bakeoff_results::{Comparison, Row, Run, Verdict, verdict_line};
use maud::{DOCTYPE, Markup, PreEscaped, html};

pub(crate) const FORMAT: Format =
    Format { name: "html", summary: "the whole report as one page that works offline", extension: "html", render };

const STYLE: &str = include_str!("html/style.css");

/// What the page may load: nothing, and its own style.
const POLICY: &str = "default-src 'none'; style-src 'unsafe-inline'; base-uri 'none'; form-action 'none'";

#[expect(clippy::unnecessary_wraps, reason = "every format has one type")]
fn render(run: &Run, rows: &[Row]) -> Result<String, ReportError> {
    let content = Content::of(run, rows);
    let sections: Vec<Section> = sections(&content).into_iter().flatten().collect();
    let page = html! {
        (DOCTYPE)
        html lang="en" {
            (head(run))
            body {
                (top(&content, &sections))
                main { @for section in &sections { (section.shown()) } }
                footer { "Made by bakeoff " (visible(&run.host.version)) " from stored results." }
            }
        }
    };
    Ok(page.into_string() + "\n")
}

/// A part of the page with a heading, in the order of the page.
struct Section {
    id: &'static str,
    title: &'static str,
    body: Markup,
}

impl Section {
    fn shown(&self) -> Markup {
        html! {
            section id=(self.id) aria-labelledby={ (self.id) "-title" } {
                h2 id={ (self.id) "-title" } { (self.title) }
                (self.body)
            }
        }
    }
}

/// Every section that has something to say.
fn sections(content: &Content<'_>) -> Vec<Option<Section>> {
    let run = content.run;
    let section = |id, title, body| Some(Section { id, title, body });
    // Such a table is all of its section, so its caption is only for those who do not see the heading above it.
    let of_table = |id, title, about: Option<Table>| about.and_then(|about| section(id, title, quiet_table(&about)));
    vec![
        section("leaderboard", "Leaderboard", leaderboard::shown(content)),
        comparisons(content).and_then(|body| section("comparisons", "Comparisons", body)),
        of_table("train-sizes", "Accuracy against training size", tables::train_sizes(content)),
        confusion::shown(content).and_then(|body| section("classes", "Classes", body)),
        of_table("tuning", "Tuning", tables::tuning(content)),
        section("dataset", "Dataset", dataset(run)),
        of_table("protocol", "Protocol", Some(tables::protocol(content))),
        of_table("environment", "Environment", Some(tables::environment(run))),
        section("again", "How to run it again", again(run)),
    ]
}

fn head(run: &Run) -> Markup {
    html! {
        head {
            meta charset="utf-8";
            meta http-equiv="Content-Security-Policy" content=(POLICY);
            meta name="viewport" content="width=device-width, initial-scale=1";
            meta name="color-scheme" content="light dark";
            title { (visible(&run.name)) " – bakeoff" }
            style { (PreEscaped(STYLE)) }
        }
    }
}

fn top(content: &Content<'_>, sections: &[Section]) -> Markup {
    let run = content.run;
    html! {
        header {
            p.verdict { (visible(&verdict_line(&content.summary))) }
            h1 { (name(&run.name)) }
            @if !run.question.is_empty() { p.question { (name(&run.question)) } }
            nav aria-label="Sections" {
                @for section in sections { a href={ "#" (section.id) } { (section.title) } }
            }
        }
    }
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

fn quiet_table(about: &Table) -> Markup {
    captioned(about, "quiet")
}

fn captioned(about: &Table, class: &str) -> Markup {
    let is_number = |i: usize| about.head.get(i).is_some_and(|column| column.is_number);
    boxed(
        &about.caption,
        &html! {
            table class=[(about.kind == Kind::Facts).then_some("facts")] {
                caption class=(class) { (name(&about.caption)) }
                thead { tr { @for column in &about.head { th scope="col" class=[column.is_number.then_some("number")] { (name(&column.name)) } } } }
                tbody {
                    @for row in &about.rows {
                        tr {
                            @for (i, cell) in row.iter().enumerate() {
                                @if i == 0 { th scope="row" { (name(cell)) } }
                                @else { td class=[is_number(i).then_some("number")] { (name(cell)) } }
                            }
                        }
                    }
                }
            }
        },
    )
}

fn comparisons(content: &Content<'_>) -> Option<Markup> {
    let about = tables::comparisons(content)?;
    let rows = about.rows.iter().zip(&content.summary.comparisons);
    let shown = html! {
        table {
            caption.quiet { (about.caption) }
            thead { tr { @for column in &about.head { th scope="col" class=[column.is_number.then_some("number")] { (column.name) } } } }
            tbody { @for (row, pair) in rows { (comparison(row, pair)) } }
        }
    };
    Some(html! { (boxed(&about.caption, &shown)) p.note { (content.about_comparisons()) } })
}

fn comparison(row: &[String], pair: &Comparison) -> Markup {
    let badge = match pair.verdict {
        _ if pair.difference.is_none() => "none",
        Verdict::Better => "better",
        Verdict::Equivalent => "equivalent",
        Verdict::Undecided => "undecided",
    };
    let [a, b, difference, interval, seeds, p, verdict, note] = row else { return html! {} };
    html! {
        tr {
            th scope="row" { (name(a)) }
            td { (name(b)) }
            td.number { strong { (difference) } }
            td.number { (interval) }
            td.number { (seeds) }
            td { (p) }
            td { span class={ "badge " (badge) } { (name(verdict)) } }
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

fn again(run: &Run) -> Markup {
    html! {
        p { "Save this experiment as " code { (name(&format!("{}.toml", run.name))) } " and give that file to " code { "bakeoff run" } ":" }
        pre tabindex="0" dir="ltr" { code { (run.as_written) } }
    }
}
