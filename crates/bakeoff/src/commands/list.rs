//! `bakeoff list`: everything that can be named.

use crate::catalogue::{SECTIONS, as_written};
use crate::exit::Exit;
use crate::terminal::answer;
use clap::builder::PossibleValuesParser;
use serde_json::{Map, Value};

/// What is listed and how.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  bakeoff list
  bakeoff list features
  bakeoff list --json")]
pub(crate) struct ListArgs {
    /// Only this catalogue
    #[arg(value_parser = PossibleValuesParser::new(SECTIONS.iter().map(|(name, _)| *name)))]
    catalogue: Option<String>,
    /// Prints one JSON object from catalogue to entries
    #[arg(long)]
    json: bool,
}

pub(crate) fn list(args: &ListArgs) -> anyhow::Result<Exit> {
    let mut found = Map::new();
    for (name, values) in SECTIONS {
        if args.catalogue.as_deref().is_none_or(|wanted| wanted == *name) {
            found.insert((*name).to_owned(), Value::Array(values()?));
        }
    }
    let text = if args.json { Value::Object(found).to_string() } else { in_words(&found) };
    answer(&text)?;
    Ok(Exit::Done)
}

fn in_words(catalogues: &Map<String, Value>) -> String {
    let sections = catalogues.iter().map(|(name, values)| {
        let entries = values.as_array().into_iter().flatten().map(entry_in_words);
        format!("{name}\n{}", entries.collect::<Vec<_>>().join("\n"))
    });
    sections.collect::<Vec<_>>().join("\n\n")
}

fn entry_in_words(entry: &Value) -> String {
    let text = |key: &str| entry[key].as_str().unwrap_or_default();
    let about = if text("summary").is_empty() { text("question") } else { text("summary") };
    let mut lines = vec![format!("  {:<18} {about}", text("name"))];
    if let Some(settings) = entry["settings"].as_object().filter(|settings| !settings.is_empty()) {
        let settings = settings.iter().map(|(key, value)| format!("{key} = {}", as_written(value)));
        lines.push(wrapped(&settings.collect::<Vec<_>>()));
    }
    if let Some(pipelines) = entry["pipelines"].as_array() {
        lines.push(wrapped(&pipelines.iter().filter_map(Value::as_str).map(str::to_owned).collect::<Vec<_>>()));
    }
    lines.join("\n")
}

/// Words behind an indent, with commas between them, in lines of at most 100 characters.
fn wrapped(words: &[String]) -> String {
    const INDENT: &str = "                     ";
    let mut lines = vec![String::new()];
    for (i, word) in words.iter().enumerate() {
        let comma = if i + 1 < words.len() { "," } else { "" };
        let full = lines.last().is_some_and(|line| !line.is_empty() && line.len() + word.len() > 78);
        if full {
            lines.push(String::new());
        }
        if let Some(line) = lines.last_mut() {
            let space = if line.is_empty() { "" } else { " " };
            line.extend([space, word, comma]);
        }
    }
    lines.iter().map(|line| format!("{INDENT}{line}")).collect::<Vec<_>>().join("\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn long_lists_of_settings_are_wrapped() {
        let words: Vec<String> = (0..12).map(|i| format!("setting_{i} = 12345")).collect();
        let text = wrapped(&words);
        assert!(text.lines().count() > 1);
        assert!(text.lines().all(|line| line.len() <= 102), "{text}");
        assert_eq!(text.split_whitespace().collect::<Vec<_>>().join(" "), words.join(", "));
    }
}
