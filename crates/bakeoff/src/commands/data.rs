//! `bakeoff data`: gets a dataset, checks it, describes it, draws a contact sheet.

use crate::dataset::root;
use crate::exit::Exit;
use crate::interrupt;
use crate::terminal::{answer, is_watched, tell};
use anyhow::{Context, bail};
use bakeoff_core::{Card, Dataset, FileRecord, Labelled, LoadError, Splits};
use bakeoff_datasets::store::{self, Fetched, Patience, State};
use bakeoff_datasets::{CATALOGUE, Named, Source, content_hash, named, preview};
use clap::Subcommand;
use clap::builder::PossibleValuesParser;
use indicatif::{ProgressBar, ProgressStyle};
use serde_json::{Value, json};
use std::ops::ControlFlow;
use std::path::PathBuf;
use std::sync::atomic::Ordering;

/// What is done with a dataset.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  bakeoff data fetch cifar-10
  bakeoff data info ./my-photos
  bakeoff data preview fashion-mnist")]
pub(crate) struct DataArgs {
    #[command(subcommand)]
    what: What,
}

#[derive(Debug, Subcommand)]
enum What {
    /// Downloads datasets, each checked by its SHA-256; continues where an earlier download stopped
    Fetch(FetchArgs),
    /// Hashes the files of a dataset again; exit code 1 when one is missing or is another
    Verify(VerifyArgs),
    /// Describes a dataset: classes, counts, sizes, files, what was done on reading it
    Info(InfoArgs),
    /// Draws a contact sheet of the first training images, one row a class
    Preview(PreviewArgs),
}

#[derive(Debug, clap::Args)]
#[command(after_help = "Example:\n  bakeoff data fetch mnist kmnist")]
struct FetchArgs {
    /// Names of datasets
    #[arg(required = true, value_parser = known_names())]
    names: Vec<String>,
}

#[derive(Debug, clap::Args)]
#[command(after_help = "Example:\n  bakeoff data verify fashion-mnist")]
struct VerifyArgs {
    /// Name of a dataset
    #[arg(value_parser = known_names())]
    name: String,
    /// Prints one JSON object
    #[arg(long)]
    json: bool,
}

#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:\n  bakeoff data info shapes\n  bakeoff data info ./my-photos --json")]
struct InfoArgs {
    /// Name or path of a dataset
    dataset: String,
    /// Prints one JSON object
    #[arg(long)]
    json: bool,
}

#[derive(Debug, clap::Args)]
#[command(after_help = "Example:\n  bakeoff data preview ./my-photos --columns 20 --out photos.png")]
struct PreviewArgs {
    /// Name or path of a dataset
    dataset: String,
    /// Images a class
    #[arg(long, default_value_t = 16, value_parser = clap::value_parser!(u16).range(1..=1000))]
    columns: u16,
    /// The PNG file to write; NAME-preview.png in the current folder when it is not given
    #[arg(long)]
    out: Option<PathBuf>,
}

fn known_names() -> PossibleValuesParser {
    PossibleValuesParser::new(CATALOGUE.iter().map(|known| known.name))
}

pub(crate) fn data(args: &DataArgs) -> anyhow::Result<Exit> {
    match &args.what {
        What::Fetch(args) => fetch(args),
        What::Verify(args) => verify(args),
        What::Info(args) => info(args),
        What::Preview(args) => draw(args),
    }
}

/// The catalogue's entry of a name, which the command line has checked.
fn entry(name: &str) -> anyhow::Result<&'static Named> {
    named(name).with_context(|| format!("there is no dataset `{name}`"))
}

fn fetch(args: &FetchArgs) -> anyhow::Result<Exit> {
    interrupt::listen()?;
    for name in &args.names {
        let dataset = (entry(name)?.open)();
        match fetch_one(dataset.card()) {
            Err(LoadError::Interrupted { .. }) => {
                tell(&format!("what is there is kept: `bakeoff data fetch {name}` continues"));
                return Ok(Exit::Interrupted);
            }
            outcome => outcome?,
        }
        answer(&format!("{name} is in {}", root().join(name).display()))?;
    }
    Ok(Exit::Done)
}

fn fetch_one(card: &Card) -> Result<(), LoadError> {
    let mut shown = Shown::new(is_watched());
    let mut on_progress = |progress: store::Progress<'_>| {
        shown.file(progress);
        if interrupt::flag().load(Ordering::Relaxed) { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
    };
    let outcomes = store::fetch(card, &root(), Patience::default(), &mut on_progress);
    shown.finish();
    for (file, outcome) in outcomes? {
        let words = match outcome {
            Fetched::AlreadyThere => "was there already",
            Fetched::New => "fetched",
            Fetched::Replaced => "fetched in place of another file",
        };
        tell(&format!("{file}: {words}"));
    }
    Ok(())
}

/// How far a download is: a bar on a terminal, a line a file elsewhere.
struct Shown {
    bar: Option<ProgressBar>,
    file: String,
}

impl Shown {
    fn new(is_watched: bool) -> Self {
        let style = ProgressStyle::with_template("{bar:24} {bytes}/{total_bytes} {bytes_per_sec}, {eta} left  {msg}");
        let bar = || ProgressBar::new(0).with_style(style.unwrap_or_else(|_| ProgressStyle::default_bar()));
        Self { bar: is_watched.then(bar), file: String::new() }
    }

    fn file(&mut self, progress: store::Progress<'_>) {
        let is_new = self.file != progress.file;
        if is_new {
            progress.file.clone_into(&mut self.file);
        }
        match &self.bar {
            Some(bar) => {
                if is_new {
                    bar.set_length(progress.of);
                    bar.set_message(self.file.clone());
                    bar.reset_eta();
                }
                bar.set_position(progress.done);
            }
            None if is_new => tell(&format!("fetching {} ({} bytes)", progress.file, progress.of)),
            None => {}
        }
    }

    fn finish(&self) {
        if let Some(bar) = &self.bar {
            bar.finish_and_clear();
        }
    }
}

fn verify(args: &VerifyArgs) -> anyhow::Result<Exit> {
    let known = entry(&args.name)?;
    let dataset = (known.open)();
    let card = dataset.card();
    if card.files.is_empty() {
        bail!("`{}` has no published files to compare with: {}", card.name, card.summary);
    }
    let folders: Vec<PathBuf> =
        std::iter::once(root().join(known.name)).chain(known.system_folders.iter().map(PathBuf::from)).collect();
    let found = store::verify(card, &folders)?;
    let is_sound = found.iter().all(|(_, state)| matches!(state, State::Sound | State::Repacked));
    if args.json {
        let files: Vec<Value> = found.iter().map(|(path, state)| state_as_json(path, state)).collect();
        answer(&json!({"name": card.name, "sound": is_sound, "files": files}).to_string())?;
    } else {
        for (path, state) in &found {
            answer(&format!("{}: {}", path.display(), state_in_words(state)))?;
        }
    }
    if !is_sound {
        tell(&format!("`bakeoff data fetch {}` gets what is missing or wrong", card.name));
    }
    Ok(if is_sound { Exit::Done } else { Exit::No })
}

fn state_in_words(state: &State) -> String {
    match state {
        State::Sound => "sound".to_owned(),
        State::Repacked => "sound, as a distribution packs it".to_owned(),
        State::Missing => "missing".to_owned(),
        State::Wrong { expected, found } => format!(
            "wrong: expected {} bytes with SHA-256 {}, found {} with {}",
            expected.0, expected.1, found.0, found.1
        ),
    }
}

fn state_as_json(path: &std::path::Path, state: &State) -> Value {
    let name = match state {
        State::Sound => "sound",
        State::Repacked => "repacked",
        State::Missing => "missing",
        State::Wrong { .. } => "wrong",
    };
    let mut value = json!({"path": path.display().to_string(), "state": name});
    if let State::Wrong { expected, found } = state {
        value["expected"] = json!({"bytes": expected.0, "sha256": expected.1});
        value["found"] = json!({"bytes": found.0, "sha256": found.1});
    }
    value
}

fn load(text: &str) -> anyhow::Result<(Box<dyn Dataset>, Splits)> {
    let dataset = bakeoff_datasets::open(&Source::from_name_or_path(text), &[])?;
    let splits = dataset.load(&root())?;
    Ok((dataset, splits))
}

fn info(args: &InfoArgs) -> anyhow::Result<Exit> {
    let (dataset, splits) = load(&args.dataset)?;
    let value = described(dataset.card(), &splits);
    answer(&if args.json { value.to_string() } else { in_words(&value) })?;
    Ok(Exit::Done)
}

/// All that `info` tells.
fn described(card: &Card, splits: &Splits) -> Value {
    let (height, width, channels) = splits.train.images().shape();
    let parts =
        [("train", Some(&splits.train)), ("validation", splits.validation.as_ref()), ("test", Some(&splits.test))];
    let parts: Vec<(&str, &Labelled)> = parts.into_iter().filter_map(|(name, part)| Some((name, part?))).collect();
    let counts: serde_json::Map<String, Value> =
        parts.iter().map(|(name, part)| ((*name).to_owned(), json!(part.labels().counts()))).collect();
    let images: serde_json::Map<String, Value> =
        parts.iter().map(|(name, part)| ((*name).to_owned(), json!(part.len()))).collect();
    let file = |file: &FileRecord| json!({"path": file.path, "bytes": file.bytes, "sha256": file.sha256});
    json!({
        "name": card.name,
        "summary": card.summary,
        "classes": splits.classes,
        "images": images,
        "counts": counts,
        "height": height,
        "width": width,
        "channels": channels,
        "sha256": content_hash(splits),
        "files": splits.provenance.files.iter().map(file).collect::<Vec<_>>(),
        "notes": splits.provenance.notes,
        "licence": card.licence,
        "citation": card.citation,
    })
}

fn in_words(value: &Value) -> String {
    let text = |key: &str| value[key].as_str().unwrap_or_default();
    let channels = if value["channels"] == json!(1) { "grey" } else { "RGB" };
    let mut lines = vec![
        format!("{}: {}", text("name"), text("summary")),
        format!("images   {}, {}×{} {channels}", listed(&value["images"]), value["height"], value["width"]),
        format!("classes  {}, {}", value["classes"].as_array().map_or(0, Vec::len), balance(&value["counts"]["train"])),
    ];
    lines.extend(class_lines(value));
    lines.extend(
        value["notes"]
            .as_array()
            .into_iter()
            .flatten()
            .filter_map(Value::as_str)
            .map(|note| format!("note     {note}")),
    );
    lines.extend(file_lines(value));
    lines.push(format!("sha256   {} (classes, pixels and labels)", text("sha256")));
    lines.push(format!("licence  {}", text("licence")));
    if !text("citation").is_empty() {
        lines.push(format!("source   {}", text("citation")));
    }
    lines.join("\n")
}

/// `60000 train, 10000 test`.
fn listed(images: &Value) -> String {
    let parts = images.as_object().into_iter().flatten().map(|(name, n)| format!("{n} {name}"));
    parts.collect::<Vec<_>>().join(", ")
}

/// How evenly the training images are spread over the classes.
fn balance(counts: &Value) -> String {
    let counts = || counts.as_array().into_iter().flatten().filter_map(Value::as_u64);
    let (least, most) = (counts().min().unwrap_or(0), counts().max().unwrap_or(0));
    if least == most {
        format!("{least} training images each")
    } else {
        format!("{least} to {most} training images each")
    }
}

/// A line a class with its images in each part.
fn class_lines(value: &Value) -> Vec<String> {
    let names = value["classes"].as_array().into_iter().flatten().filter_map(Value::as_str);
    let line = |(id, name): (usize, &str)| {
        let counts = value["counts"].as_object().into_iter().flatten();
        let counts: Vec<String> = counts.map(|(part, counts)| format!("{} {part}", counts[id])).collect();
        format!("  {id:>5}  {name}: {}", counts.join(", "))
    };
    names.enumerate().map(line).collect()
}

/// The files with their hashes; of many only the first, since `--json` has them all.
fn file_lines(value: &Value) -> Vec<String> {
    const NAMED: usize = 10;
    let files = value["files"].as_array().map(Vec::as_slice).unwrap_or_default();
    let line = |file: &Value| {
        let text = |key: &str| file[key].as_str().unwrap_or_default();
        format!("file     {} {} bytes, SHA-256 {}", text("path"), file["bytes"], text("sha256"))
    };
    let mut lines: Vec<String> = files.iter().take(NAMED).map(line).collect();
    if files.len() > NAMED {
        lines.push(format!("         and {} more (--json names all)", files.len() - NAMED));
    }
    lines
}

fn draw(args: &PreviewArgs) -> anyhow::Result<Exit> {
    let (dataset, splits) = load(&args.dataset)?;
    let out = args.out.clone().unwrap_or_else(|| PathBuf::from(format!("{}-preview.png", dataset.card().name)));
    preview::save(&splits, usize::from(args.columns), &out)?;
    answer(&format!("{}: a row each for {}", out.display(), splits.classes.join(", ")))?;
    Ok(Exit::Done)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::path::Path;

    #[test]
    fn a_description_tells_classes_counts_and_sizes() {
        let (dataset, splits) = load("shapes").unwrap();
        let value = described(dataset.card(), &splits);
        assert_eq!(value["counts"]["train"], json!([400, 400, 400, 400, 400, 400, 400, 400, 400, 400]));
        assert_eq!((&value["images"]["test"], &value["channels"]), (&json!(1000), &json!(3)));
        let text = in_words(&value);
        for line in [
            "images   4000 train, 1000 test, 32×32 RGB",
            "classes  10, 400 training images each",
            "      8  one-headed: 400 train, 100 test",
            "note     generated from seed 0",
            "licence  MIT OR Apache-2.0",
        ] {
            assert!(text.lines().any(|found| found == line), "{line}\n{text}");
        }
    }

    #[test]
    fn states_are_told_with_expectation_and_finding() {
        let wrong = State::Wrong { expected: (2, "aa".to_owned()), found: (1, "bb".to_owned()) };
        assert_eq!(state_in_words(&wrong), "wrong: expected 2 bytes with SHA-256 aa, found 1 with bb");
        let value = state_as_json(Path::new("x"), &wrong);
        assert_eq!((&value["state"], &value["found"]["bytes"]), (&json!("wrong"), &json!(1)));
        assert_eq!(state_as_json(Path::new("x"), &State::Missing), json!({"path": "x", "state": "missing"}));
    }
}
