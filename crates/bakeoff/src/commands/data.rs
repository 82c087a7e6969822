//! `bakeoff data`: gets a dataset, checks it, describes it, draws a contact sheet.

use crate::dataset::root;
use crate::exit::Exit;
use crate::interrupt;
use crate::terminal::{answer, is_watched, tell};
use anyhow::{Context, bail};
use bakeoff_core::{Card, Dataset, FileRecord, Labelled, LoadError, Splits};
use bakeoff_datasets::audit::{self, Audit, Duplicates, MOST_PAIRS, Pair, Place};
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
    /// Describes a dataset: classes, counts, sizes, files, what was done on reading it, images that are there twice
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
#[command(after_help = "\
Examples:
  bakeoff data info shapes
  bakeoff data info pathmnist.npz --pairs 50
  bakeoff data info ./my-photos --json")]
struct InfoArgs {
    /// Name or path of a dataset
    dataset: String,
    /// Pairs of duplicates to list, those across training and test part and with different labels first
    #[arg(long, value_name = "N", default_value_t = 10, value_parser = clap::value_parser!(u16).range(0..=MOST_PAIRS as i64))]
    pairs: u16,
    /// Prints one JSON object
    #[arg(long)]
    json: bool,
}

#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  bakeoff data preview ./my-photos --columns 20 --out photos.png
  bakeoff data preview cifar-10 --duplicates")]
struct PreviewArgs {
    /// Name or path of a dataset
    dataset: String,
    /// Draws pairs of images that are the same or nearly so, side by side, those across training and test part first
    #[arg(long)]
    duplicates: bool,
    /// Images a class; with --duplicates, images a row
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
    let mut value = described(dataset.card(), &splits);
    value["audit"] = audit_as_json(&audit::audit(&splits), &splits.classes, usize::from(args.pairs));
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
    lines.extend(audit_lines(&value["audit"]));
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

/// What an audit found, with the first pairs.
fn audit_as_json(audit: &Audit, classes: &[String], n_pairs: usize) -> Value {
    let duplicates =
        |of: Duplicates| json!({"train_pairs": of.train, "test_pairs": of.test, "test_images_in_train": of.across});
    let class = |id: usize| classes.get(id).map_or("", String::as_str);
    let place = |of: &Place| json!({"part": of.part.word(), "position": of.position, "class": class(of.class_id), "file": of.name});
    let pair =
        |of: &Pair| json!({"exact": of.exact, "difference": of.difference, "a": place(&of.a), "b": place(&of.b)});
    let balance = audit.balance;
    json!({
        "exact": duplicates(audit.exact),
        "near": duplicates(audit.near),
        "near_searched": audit.near_searched,
        "pairs_with_different_labels": audit.conflicts,
        "constant": audit.constant,
        "unreadable": audit.unreadable,
        "balance": {
            "least": {"class": class(balance.least_class), "images": balance.least},
            "most": {"class": class(balance.most_class), "images": balance.most},
        },
        "pairs": audit.pairs.iter().take(n_pairs).map(pair).collect::<Vec<_>>(),
    })
}

/// What an audit found, in words.
fn audit_lines(audit: &Value) -> Vec<String> {
    let duplicates = |of: &Value| {
        let (train, test, across) = (&of["train_pairs"], &of["test_pairs"], &of["test_images_in_train"]);
        format!(
            "{across} test images have one in the training part; {train} pairs within it, {test} within the test part"
        )
    };
    let balance = |which: &str| {
        let of = &audit["balance"][which];
        format!("{} ({})", of["class"].as_str().unwrap_or_default(), of["images"])
    };
    let near = if audit["near_searched"] == json!(true) {
        duplicates(&audit["near"])
    } else {
        "not looked for: the images are too small".to_owned()
    };
    let mut lines = vec![
        format!("exact    {}", duplicates(&audit["exact"])),
        format!("near     {near}"),
        format!("labels   {} pairs of these with different labels", audit["pairs_with_different_labels"]),
        format!("odd      {} images of one color, {} unreadable left out", audit["constant"], audit["unreadable"]),
        format!("balance  from {} to {} training images", balance("least"), balance("most")),
    ];
    lines.extend(audit["pairs"].as_array().into_iter().flatten().map(pair_line));
    lines
}

/// `pair     exact  train 17 (cat) and test 3 (dog)`.
fn pair_line(pair: &Value) -> String {
    let place = |of: &Value| {
        let text = |key: &str| of[key].as_str().unwrap_or_default();
        let file = if text("file").is_empty() { String::new() } else { format!(", {}", text("file")) };
        format!("{} {} ({}{file})", text("part"), of["position"], text("class"))
    };
    let kind = if pair["exact"] == json!(true) {
        "exact".to_owned()
    } else {
        format!("near {:.4}", pair["difference"].as_f64().unwrap_or_default())
    };
    format!("pair     {kind}: {} and {}", place(&pair["a"]), place(&pair["b"]))
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
    let kind = if args.duplicates { "duplicates" } else { "preview" };
    let out = args.out.clone().unwrap_or_else(|| PathBuf::from(format!("{}-{kind}.png", dataset.card().name)));
    if args.duplicates {
        return draw_duplicates(&splits, usize::from(args.columns), &out);
    }
    preview::save(&splits, usize::from(args.columns), &out)?;
    answer(&format!("{}: a row each for {}", out.display(), splits.classes.join(", ")))?;
    Ok(Exit::Done)
}

/// Pairs on a sheet.
fn draw_duplicates(splits: &Splits, columns: usize, out: &std::path::Path) -> anyhow::Result<Exit> {
    const DRAWN: usize = 200;
    let pairs = audit::audit(splits).pairs;
    if pairs.is_empty() {
        answer("there are no duplicates to draw")?;
        return Ok(Exit::Done);
    }
    let drawn = &pairs[..pairs.len().min(DRAWN)];
    preview::save_sheet(&preview::draw_pairs(splits, drawn, columns.div_ceil(2))?, out)?;
    answer(&format!(
        "{}: {} pairs, row by row in the order in which `bakeoff data info` lists them",
        out.display(),
        drawn.len()
    ))?;
    Ok(Exit::Done)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::path::Path;

    #[test]
    fn a_description_tells_classes_counts_and_sizes() {
        let (dataset, splits) = load("shapes").unwrap();
        let mut value = described(dataset.card(), &splits);
        let audit = audit::audit(&splits);
        value["audit"] = audit_as_json(&audit, &splits.classes, 2);
        assert_eq!(value["counts"]["train"], json!([400, 400, 400, 400, 400, 400, 400, 400, 400, 400]));
        assert_eq!((&value["images"]["test"], &value["channels"]), (&json!(1000), &json!(3)));
        let text = in_words(&value);
        for line in [
            "images   4000 train, 1000 test, 32×32 RGB",
            "classes  10, 400 training images each",
            "      8  one-headed: 400 train, 100 test",
            "note     generated from seed 0",
            "exact    0 test images have one in the training part; 0 pairs within it, 0 within the test part",
            "odd      0 images of one color, 0 unreadable left out",
            "balance  from blue (400) to blue (400) training images",
            "licence  MIT OR Apache-2.0",
        ] {
            assert!(text.lines().any(|found| found == line), "{line}\n{text}");
        }
    }

    #[test]
    fn a_pair_is_told_with_parts_positions_classes_and_files() {
        let place = |part, position, class_id, name: Option<&str>| Place {
            part,
            position,
            class_id,
            name: name.map(str::to_owned),
        };
        let pair = Pair {
            exact: false,
            difference: 0.0125,
            a: place(audit::Part::Train, 17, 0, None),
            b: place(audit::Part::Test, 3, 1, Some("dog/3.png")),
        };
        let audit = Audit { pairs: vec![pair], ..Audit::default() };
        let value = audit_as_json(&audit, &["cat".to_owned(), "dog".to_owned()], 10);
        let lines = audit_lines(&value);
        assert_eq!(lines.last().unwrap(), "pair     near 0.0125: train 17 (cat) and test 3 (dog, dog/3.png)");
        assert_eq!(lines[1], "near     not looked for: the images are too small");
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
