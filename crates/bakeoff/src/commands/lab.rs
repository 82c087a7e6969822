//! `bakeoff lab`: the lecture's demonstrations, as pages.

mod playground;

use crate::dataset::root;
use crate::exit::Exit;
use crate::opening;
use crate::run_folder::write;
use crate::terminal::{answer, tell};
use anyhow::{Context, bail};
use bakeoff_core::{Seed, Splits};
use bakeoff_datasets::named;
use bakeoff_lab::{CATALOGUE, CURVES, Curve, Demonstration, Page, Setting, index, rendered};
use bakeoff_runner::suggest::nearest;
use serde_json::{Value, json};
use std::fs;
use std::path::{Path, PathBuf};

/// Which demonstration, and with what.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  bakeoff lab                                  the pages
  bakeoff lab gradients --open                 one page: lab/gradients.html and its numbers, lab/gradients.json
  bakeoff lab all --out site                   all pages in the lecture's order, linked
  bakeoff lab playground --open                clicked points, trained classifiers and their spaces, in the browser
  bakeoff lab universal-approximation --curve \"sin(6*x) + x^2\"

Exit code 1 when a claim of the lecture does not hold as measured.")]
pub(crate) struct LabArgs {
    /// A page, `all`, or `playground`; without it the pages are listed
    page: Option<String>,
    /// The folder that files are written to
    #[arg(long, default_value = "lab")]
    out: PathBuf,
    /// What is drawn by chance comes from it
    #[arg(long, default_value_t = 0)]
    seed: u64,
    /// The curve of universal-approximation: a name, heights with commas between them, or a formula of x from 0 to 1
    #[arg(long, allow_hyphen_values = true, default_value = CURVES[0].0)]
    curve: String,
    /// Prints the numbers as one JSON object
    #[arg(long)]
    json: bool,
    /// Opens the page in the program that the system has for it
    #[arg(long)]
    open: bool,
    /// The port of 127.0.0.1 at which the playground is to be found; 0 for any that is free
    #[arg(long, default_value_t = playground::PORT)]
    port: u16,
}

/// The page that is no file: it is served.
const PLAYGROUND: &str = "playground";
const WATCHES: &str =
    "What do regions, spaces, units and weights do while a classifier learns the points that one clicks?";

pub(crate) fn lab(args: &LabArgs) -> anyhow::Result<Exit> {
    match args.page.as_deref() {
        None => list(args),
        Some("all") => all(args),
        Some(PLAYGROUND) => playground::playground(args.port, args.open),
        Some(name) => one(args, find(name)?),
    }
}

/// Every page, as `bakeoff list` has them.
pub(crate) fn described() -> Vec<Value> {
    let entry = |d: &Demonstration| json!({"name": d.name, "summary": d.question, "reference": format!("lecture {}", d.lecture)});
    let playground = json!({"name": PLAYGROUND, "summary": WATCHES, "reference": "lecture B1, C2-C7"});
    CATALOGUE.iter().map(entry).chain([playground]).collect()
}

fn list(args: &LabArgs) -> anyhow::Result<Exit> {
    let text = if args.json {
        json!({"lab": described()}).to_string()
    } else {
        let pages =
            CATALOGUE.iter().map(|d| (d.name, d.lecture, d.question)).chain([(PLAYGROUND, "B1, C2-C7", WATCHES)]);
        let lines = pages.map(|(name, lecture, asks)| format!("  {name:<24} {lecture:<10} {asks}"));
        lines.collect::<Vec<_>>().join("\n")
    };
    answer(&text)?;
    Ok(Exit::Done)
}

fn find(name: &str) -> anyhow::Result<&'static Demonstration> {
    let names = CATALOGUE.iter().map(|known| known.name).chain(["all", PLAYGROUND]);
    match (bakeoff_lab::named(name), nearest(name, names.clone())) {
        (Some(found), _) => Ok(found),
        (None, Some(near)) => bail!("unknown page {name:?}; did you mean {near:?}?"),
        (None, None) => bail!("unknown page {name:?}: expected one of {}", names.collect::<Vec<_>>().join(", ")),
    }
}

fn one(args: &LabArgs, demonstration: &'static Demonstration) -> anyhow::Result<Exit> {
    let fashion_mnist = if demonstration.shows_fashion_mnist { fashion_mnist() } else { None };
    let page = made(args, demonstration, fashion_mnist.as_ref())?;
    let file = written(args, &page, false)?;
    finish(args, &file, &[page.verdict()], page.json(), page.holds())
}

fn all(args: &LabArgs) -> anyhow::Result<Exit> {
    let fashion_mnist = fashion_mnist();
    let mut pages = Vec::new();
    for demonstration in CATALOGUE {
        let page = made(args, demonstration, fashion_mnist.as_ref())?;
        tell(&format!("{}: {}", demonstration.name, page.verdict()));
        written(args, &page, true)?;
        pages.push(page);
    }
    let file = args.out.join("index.html");
    write(&file, index(&pages, env!("CARGO_PKG_VERSION")))?;
    let holds = pages.iter().all(Page::holds);
    let numbers = json!({"holds": holds, "pages": pages.iter().map(Page::json).collect::<Vec<_>>()});
    let said = format!("{} of {} pages hold", pages.iter().filter(|page| page.holds()).count(), pages.len());
    finish(args, &file, &[said], numbers, holds)
}

fn made(args: &LabArgs, demonstration: &'static Demonstration, fashion_mnist: Option<&Splits>) -> anyhow::Result<Page> {
    let curve = Curve::parse(&args.curve)?;
    let setting = Setting { seed: Seed(args.seed), curve, fashion_mnist, ..Setting::default() };
    (demonstration.show)(&setting).with_context(|| format!("failed to make the page {}", demonstration.name))
}

/// Writes a page and its numbers; the page's path.
fn written(args: &LabArgs, page: &Page, linked: bool) -> anyhow::Result<PathBuf> {
    fs::create_dir_all(&args.out).with_context(|| format!("failed to make the folder {}", args.out.display()))?;
    let name = page.demonstration.name;
    let file = args.out.join(format!("{name}.html"));
    write(&file, rendered(page, linked, env!("CARGO_PKG_VERSION")))?;
    write(&args.out.join(format!("{name}.json")), page.json().to_string() + "\n")?;
    Ok(file)
}

fn finish(args: &LabArgs, file: &Path, said: &[String], numbers: Value, holds: bool) -> anyhow::Result<Exit> {
    let text = format!("{}\nPage: {}", said.join("\n"), file.display());
    if args.json {
        tell(&text);
        answer(&numbers.to_string())?;
    } else {
        answer(&text)?;
    }
    if args.open {
        opening::open(file)?;
    }
    Ok(if holds { Exit::Done } else { Exit::No })
}

/// Fashion-MNIST where it is at hand; the page says where it was not, and why is told here.
fn fashion_mnist() -> Option<Splits> {
    let dataset = (named("fashion-mnist")?.open)();
    match dataset.load(&root()) {
        Ok(splits) => Some(splits),
        Err(error) => {
            tell(&format!("bakeoff: without Fashion-MNIST: {error}"));
            None
        }
    }
}
