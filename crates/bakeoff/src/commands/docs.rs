//! `bakeoff docs`: the generated tables of this repository's documents.
//!
//! A table stands between `<!-- bakeoff docs: NAME -->` and `<!-- end -->`, where NAME is a catalogue.

use crate::catalogue::{SECTIONS, as_written};
use crate::exit::Exit;
use crate::run_folder;
use crate::terminal::tell;
use anyhow::{Context, bail};
use serde_json::Value;
use std::fs;
use std::path::PathBuf;

/// Documents with generated tables, from the top of the repository.
const DOCUMENTS: &[&str] = &["README.md", "datasets/README.md"];

const START: &str = "<!-- bakeoff docs: ";
const END: &str = "<!-- end -->";

/// Where, and whether to write.
#[derive(Debug, clap::Args)]
#[command(after_help = "Example:\n  bakeoff docs --check")]
pub(crate) struct DocsArgs {
    /// Only says whether the tables are what they would become, by exit code 0 or 1
    #[arg(long)]
    check: bool,
    /// The top of the repository
    #[arg(long, default_value = ".")]
    root: PathBuf,
}

pub(crate) fn docs(args: &DocsArgs) -> anyhow::Result<Exit> {
    let mut exit = Exit::Done;
    for document in DOCUMENTS {
        let path = args.root.join(document);
        let about = || format!("failed to renew the tables of {}", path.display());
        let old = fs::read_to_string(&path).with_context(about)?;
        let new = renewed(&old).with_context(about)?;
        match (old == new, args.check) {
            (true, _) => {}
            (false, true) => {
                tell(&format!("the tables of {} are out of date: run `bakeoff docs`", path.display()));
                exit = Exit::No;
            }
            (false, false) => run_folder::write(&path, &new)?,
        }
    }
    Ok(exit)
}

/// The document with every table made anew.
fn renewed(text: &str) -> anyhow::Result<String> {
    let mut new = String::new();
    let mut rest = text;
    while let Some((before, after)) = rest.split_once(START) {
        let (name, after) = after.split_once(" -->").context("a start marker does not end")?;
        let (_, after) = after.split_once(END).with_context(|| format!("table {name} has no {END}"))?;
        new.extend([before, START, name, " -->\n", &table(name)?, "\n", END]);
        rest = after;
    }
    Ok(new + rest)
}

fn table(name: &str) -> anyhow::Result<String> {
    let Some((_, values)) = SECTIONS.iter().find(|(section, _)| *section == name) else {
        bail!("there is no catalogue {name:?}");
    };
    let columns = columns(name);
    let mut lines = vec![
        format!("| {} |", columns.iter().map(|(title, _)| *title).collect::<Vec<_>>().join(" | ")),
        format!("|{}", "---|".repeat(columns.len())),
    ];
    for value in values()? {
        let cells = columns.iter().map(|(_, cell)| cell(&value).replace('|', "\\|"));
        lines.push(format!("| {} |", cells.collect::<Vec<_>>().join(" | ")));
    }
    Ok(lines.join("\n"))
}

/// A column's title and how its cells are made from an entry.
type Column = (&'static str, fn(&Value) -> String);

fn columns(section: &str) -> Vec<Column> {
    let name: Column = ("name", |entry| code(&entry["name"]));
    let about: Column = ("what it is", |entry| plain(&entry["summary"]));
    match section {
        "datasets" => vec![
            name,
            about,
            ("to download", |entry| megabytes(&entry["bytes"])),
            ("terms", |entry| plain(&entry["licence"])),
            ("described in", |entry| plain(&entry["citation"])),
        ],
        "lab" => vec![name, ("asks", |entry| plain(&entry["summary"])), ("of the", |entry| plain(&entry["reference"]))],
        "experiments" => vec![
            name,
            ("question", |entry| plain(&entry["question"])),
            ("data", |entry| code(&entry["dataset"])),
            ("pipelines", |entry| {
                entry["pipelines"].as_array().into_iter().flatten().map(code).collect::<Vec<_>>().join(", ")
            }),
        ],
        _ => vec![
            name,
            about,
            ("settings and their defaults", |entry| {
                let settings = entry["settings"].as_object().into_iter().flatten();
                settings.map(|(key, value)| format!("`{key} = {}`", as_written(value))).collect::<Vec<_>>().join(", ")
            }),
            ("source", |entry| plain(&entry["reference"])),
        ],
    }
}

fn plain(value: &Value) -> String {
    value.as_str().map_or_else(|| value.to_string(), str::to_owned)
}

fn code(value: &Value) -> String {
    format!("`{}`", plain(value))
}

fn megabytes(bytes: &Value) -> String {
    match bytes.as_u64() {
        Some(0) | None => "nothing".to_owned(),
        Some(bytes) => format!("{:.1} MB", bytes as f64 / 1e6),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tables_are_made_anew_and_the_rest_is_kept() {
        let text = "before\n<!-- bakeoff docs: features -->\nold\n<!-- end -->\nafter <b>\n";
        let new = renewed(text).unwrap();
        assert!(new.starts_with("before\n<!-- bakeoff docs: features -->\n| name | what it is |"), "{new}");
        assert!(new.ends_with("<!-- end -->\nafter <b>\n") && new.contains("| `hog` |") && !new.contains("\nold\n"));
        assert_eq!(renewed(&new).unwrap(), new);
    }

    #[test]
    fn broken_markers_are_told() {
        assert!(renewed("<!-- bakeoff docs: features -->").unwrap_err().to_string().contains("has no <!-- end -->"));
        assert!(renewed("<!-- bakeoff docs: x --><!-- end -->").unwrap_err().to_string().contains("no catalogue"));
        assert!(renewed("<!-- bakeoff docs: x").is_err());
    }

    #[test]
    fn the_tables_of_this_repository_are_true() {
        let root = PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/../.."));
        assert_eq!(docs(&DocsArgs { check: true, root }).unwrap(), Exit::Done);
    }
}
