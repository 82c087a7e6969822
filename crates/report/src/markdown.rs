//! Markdown: the report's twin for terminals, repositories and mail.

use crate::figures::{self, Figure};
use crate::report::{MOST_CLASSES, Report};
use crate::tables::{self, Kind, Table};
use crate::text::{fenced, markdown};
use crate::{Format, Gallery, ReportError};
use bakeoff_results::{Detail, Run, still_open, verdict_line};

pub(crate) const FORMAT: Format =
    Format { name: "markdown", summary: "the whole report as text with tables", extension: "md", render };

#[expect(clippy::unnecessary_wraps, reason = "every format has one type")]
fn render(report: &Report<'_>) -> Result<String, ReportError> {
    let run = report.run;
    let sections = [
        verdict(report),
        leaderboard(report),
        comparisons(report),
        costs(report),
        told("Accuracy against training size", figures::sizes(report), tables::train_sizes(report)),
        classes(report),
        images(report),
        told("Training curves", figures::curves(report), None),
        told("Tuning", figures::budget(report), tables::tuning(report)),
        dataset(run),
        section("Protocol", &table(&tables::protocol(report))),
        section("Environment", &table(&tables::environment(run))),
        again(report),
    ];
    Ok(sections.concat().trim_end().to_owned() + "\n")
}

fn verdict(report: &Report<'_>) -> String {
    let question = match report.run.question.as_str() {
        "" => String::new(),
        question => format!("*{}*\n\n", markdown(question)),
    };
    let line = markdown(&verdict_line(&report.summary));
    let open = still_open(&report.summary);
    let open =
        if open.is_empty() { String::new() } else { format!("**Still open:** {}\n\n", markdown(&open.join(" "))) };
    format!("**Verdict:** {line}\n\n{open}# {}\n\n{question}", markdown(&report.title))
}

fn section(title: &str, body: &str) -> String {
    format!("## {title}\n\n{}\n\n", body.trim_end())
}

/// A section of what a plot says and the numbers behind it; nothing without either.
fn told(title: &str, figure: Option<Figure>, numbers: Option<Table>) -> String {
    let finding = figure.map(|figure| finding(&figure));
    let parts: Vec<String> = [finding, numbers.map(|about| table(&about))].into_iter().flatten().collect();
    if parts.is_empty() { String::new() } else { section(title, &parts.join("\n\n")) }
}

fn finding(figure: &Figure) -> String {
    markdown(&figure.finding)
}

fn costs(report: &Report<'_>) -> String {
    let Some(spent) = tables::spent(report) else { return String::new() };
    let axes = figures::cost_axes(report);
    let findings: Vec<String> =
        axes.iter().map(|axis| format!("- {}\n", finding(&figures::cost(report, *axis)))).collect();
    section(
        "Accuracy against cost",
        &format!("{}\n{}\n{}", findings.concat(), table(&spent), markdown(&report.about_costs())),
    )
}

/// What the pictures of the page show, in words.
fn images(report: &Report<'_>) -> String {
    let line = |gallery: &Gallery| format!("- {}: {}\n", markdown(&gallery.title), markdown(&gallery.caption));
    let all: String = report.pictures.galleries.iter().map(line).collect();
    if all.is_empty() { String::new() } else { section("Images", &format!("The page shows them:\n\n{all}")) }
}

fn leaderboard(report: &Report<'_>) -> String {
    let board = table(&tables::leaderboard(report));
    section("Leaderboard", &format!("{board}\n{}", report.about_figures()))
}

fn comparisons(report: &Report<'_>) -> String {
    tables::comparisons(report).map_or_else(String::new, |pairs| {
        section("Comparisons", &format!("{}\n{}", table(&pairs), report.about_comparisons()))
    })
}

fn classes(report: &Report<'_>) -> String {
    let Some(shares) = tables::classes(report) else { return String::new() };
    let matrices = report.details.iter().map(|detail| confusion(report.run, detail));
    let matrices: String = matrices.collect();
    let about = figures::by_class(report).map_or_else(String::new, |figure| format!("{}\n\n", finding(&figure)));
    section("Classes", &format!("{about}{}\n{}\n\n{matrices}", table(&shares), report.about_classes()))
}

fn confusion(run: &Run, detail: &Detail) -> String {
    let title = format!("### {}{}\n\n", markdown(&detail.name), tables::over_seeds(detail));
    if run.dataset.classes.len() > MOST_CLASSES {
        return format!("{title}Classes confused most often:\n\n{}\n", table(&tables::confused(run, detail)));
    }
    let column = |name: &str, is_number| tables::Column { name: name.to_owned(), is_number };
    let mut head = vec![column("true \\ predicted", false)];
    head.extend(run.dataset.classes.iter().map(|class| column(class, true)));
    head.push(column("right", true));
    let rows = detail.classes.iter().zip(&detail.confusion.counts).map(|(class, counts)| {
        let mut row = vec![class.class.clone()];
        row.extend(counts.iter().map(usize::to_string));
        row.push(class.accuracy.map_or_else(|| tables::UNKNOWN.to_owned(), bakeoff_results::words::percent));
        row
    });
    let matrix = Table { caption: String::new(), kind: Kind::Values, head, rows: rows.collect() };
    format!("{title}{}\n", table(&matrix))
}

fn dataset(run: &Run) -> String {
    let notes = run.dataset.notes.iter().map(|note| format!("- {}\n", markdown(note)));
    let notes: String = notes.collect();
    let files = tables::files(run)
        .map_or_else(String::new, |files| format!("{}:\n\n{}", markdown(&files.caption), table(&files)));
    let (facts, counts) = (table(&tables::passport(run)), table(&tables::class_counts(run)));
    let parts = [facts.trim_end(), notes.trim_end(), counts.trim_end(), files.trim_end()];
    section("Dataset", &parts.into_iter().filter(|part| !part.is_empty()).collect::<Vec<_>>().join("\n\n"))
}

fn again(report: &Report<'_>) -> String {
    let run = report.run;
    let file = markdown(&format!("{}.toml", run.name));
    let command =
        if report.command.is_empty() { String::new() } else { format!("{}\n", fenced(&report.command, "sh")) };
    let about = report.about_command().map_or_else(String::new, |about| format!("{about}\n\n"));
    let how = format!("{command}{about}The experiment, as {file}:");
    section("How to run it again", &format!("{how}\n\n{}", fenced(&run.as_written, "toml")))
}

/// A table of GitHub's Markdown.
pub(crate) fn table(about: &Table) -> String {
    let line = |cells: Vec<String>| format!("| {} |\n", cells.join(" | "));
    let head = line(about.head.iter().map(|column| markdown(&column.name)).collect());
    let rule = line(about.head.iter().map(|column| if column.is_number { "--:" } else { ":--" }.to_owned()).collect());
    let rows: String = about.rows.iter().map(|row| line(row.iter().map(|cell| markdown(cell)).collect())).collect();
    format!("{head}{rule}{rows}")
}
