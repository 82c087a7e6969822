//! `bakeoff compare`: two runs, two pipelines, or pipelines over several datasets, from stored results.

mod differing;

use crate::commands::report::find;
use crate::exit::Exit;
use crate::run_folder::{self, REPORT, STORE};
use crate::terminal::{answer, tell};
use anyhow::{Context, bail};
use bakeoff_report::Compared;
use bakeoff_results::across::across;
use bakeoff_results::between::{Side, between};
use bakeoff_results::words::{percent_interval, points, points_interval};
use bakeoff_results::{Comparison, Row, Run, Store, Verdict, compare as compare_within, summarise};
use bakeoff_runner::suggest::unknown;
use std::fs;
use std::path::{Path, PathBuf};

/// What is compared.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Each A, B is a run (its folder, or its name in runs/) or a pipeline of one, RUN:PIPELINE.

Examples:
  bakeoff compare quick:mlp-2 quick:hog-svm   two pipelines of one run
  bakeoff compare quick quick-2               each pipeline that both runs have
  bakeoff compare quick quick-2:mlp-2         the pipeline of the same name in the other run
  bakeoff compare a b c d e f                 the pipelines that all runs have, over their datasets

Runs with the same images are paired by image and seed; others are told why not. Nothing is trained. The page lies in the first
run's report folder.")]
pub(crate) struct CompareArgs {
    /// A run or RUN:PIPELINE; three or more runs are compared over their datasets
    #[arg(required = true, num_args = 2.., value_name = "RUN[:PIPELINE]")]
    sides: Vec<String>,
    /// Prints one JSON object as the last line of standard output, and everything else to standard error
    #[arg(long)]
    json: bool,
}

/// A run that was named, and perhaps a pipeline of it.
struct Named {
    /// How messages and the page call it.
    called: String,
    folder: PathBuf,
    run: Run,
    rows: Vec<Row>,
    pipeline: Option<String>,
}

pub(crate) fn compare(args: &CompareArgs) -> anyhow::Result<Exit> {
    let named = args.sides.iter().map(|text| open(text)).collect::<anyhow::Result<Vec<_>>>()?;
    let compared = match named.as_slice() {
        [a, b] => two(a, b)?,
        several => over_datasets(several)?,
    };
    let target = named[0].folder.join(REPORT);
    fs::create_dir_all(&target).with_context(|| format!("failed to make {}", target.display()))?;
    let path = target.join(format!("compare-{}.html", file_name(&args.sides)));
    run_folder::write(&path, compared.html())?;
    let text = format!("{}\nPage: {}", compared.markdown(), path.display());
    if args.json {
        tell(&text);
        answer(&serde_json::to_string(&compared)?)?;
    } else {
        answer(&text)?;
    }
    Ok(Exit::Done)
}

/// Names of the sides as a part of a file's name: plain, and not too long for any system.
fn file_name(sides: &[String]) -> String {
    let plain = |side: &String| {
        let last = side.trim_end_matches('/').rsplit('/').next().unwrap_or_default();
        last.replace(|c: char| !(c.is_alphanumeric() || "-_.".contains(c)), "-")
    };
    let joined = sides.iter().map(plain).collect::<Vec<_>>().join("-and-");
    joined.chars().take(60).collect()
}

/// A run, or a run and a pipeline behind the last colon. A folder whose name has a colon is found as it is.
fn open(text: &str) -> anyhow::Result<Named> {
    let (path, pipeline) = match find(Path::new(text)) {
        Ok(_) => (text, None),
        Err(_) => match text.rsplit_once(':') {
            Some((run, pipeline)) => (run, Some(pipeline.to_owned())),
            None => (text, None),
        },
    };
    let folder = find(Path::new(path))?;
    let store = Store::open(&folder.join(STORE))?;
    let (run, rows) = (store.run(), store.rows()?);
    if let Some(name) = pipeline.as_ref().filter(|name| !run.pipelines.contains(name)) {
        bail!("{path}: {}", unknown("pipeline", name, run.pipelines.iter().map(String::as_str)));
    }
    let called =
        Path::new(path).file_name().map_or_else(|| path.to_owned(), |name| name.to_string_lossy().into_owned());
    Ok(Named { called, folder, run, rows, pipeline })
}

fn two(a: &Named, b: &Named) -> anyhow::Result<Compared> {
    let sides = vec![a.side(), b.side()];
    let one_run = a.run.digest == b.run.digest && a.folder.canonicalize()? == b.folder.canonicalize()?;
    let pairs = pairs(a, b)?;
    let (comparisons, why_unpaired) = match (&a.pipeline, &b.pipeline) {
        (Some(x), Some(y)) if one_run && x == y => bail!("{x} would be compared with itself"),
        (Some(x), Some(y)) if one_run => (vec![compare_within(&a.run, &a.rows, x, y)], None),
        _ if one_run => bail!("{} would be compared with itself; name two of its pipelines as RUN:PIPELINE", a.called),
        _ => {
            // Two folders may have the same name; what tells them apart is then where they lie.
            let called = |side: &Named| {
                if a.called == b.called { side.folder.display().to_string() } else { side.called.clone() }
            };
            let (name_a, name_b) = (called(a), called(b));
            let side_a = Side { called: &name_a, run: &a.run, rows: &a.rows };
            let side_b = Side { called: &name_b, run: &b.run, rows: &b.rows };
            let found = between(side_a, side_b, &pairs);
            (found.comparisons, found.why_unpaired)
        }
    };
    let verdict = comparisons.iter().map(|pair| sentence(pair, a.run.equivalence)).collect::<Vec<_>>();
    Ok(Compared {
        title: format!("{} and {}", sides[0], sides[1]),
        verdict: verdict.iter().take(MOST_SENTENCES).cloned().collect::<Vec<_>>().join(" "),
        paired: why_unpaired.is_none(),
        why_unpaired: why_unpaired.unwrap_or_default(),
        comparisons,
        differences: differing::of(
            (&a.run, &a.rows, a.pipeline.as_deref()),
            (&b.run, &b.rows, b.pipeline.as_deref()),
            &pairs,
        ),
        across: None,
        confidence: a.run.confidence,
        equivalence: a.run.equivalence,
        version: env!("CARGO_PKG_VERSION").to_owned(),
        sides,
    })
}

/// Pairs that the first lines tell of; the table has all.
const MOST_SENTENCES: usize = 3;

/// Which pipelines are compared: those named, the one of the same name in the other run, or all that both have.
fn pairs(a: &Named, b: &Named) -> anyhow::Result<Vec<(String, String)>> {
    let of = |name: &String, other: &Named| {
        if other.run.pipelines.contains(name) {
            return Ok(vec![(name.clone(), name.clone())]);
        }
        bail!("{} has no pipeline {name}; name one of it as RUN:PIPELINE", other.called)
    };
    match (&a.pipeline, &b.pipeline) {
        (Some(x), Some(y)) => Ok(vec![(x.clone(), y.clone())]),
        (Some(x), None) => of(x, b),
        (None, Some(y)) => of(y, a),
        (None, None) => {
            let shared = a.run.pipelines.iter().filter(|name| b.run.pipelines.contains(name));
            let pairs: Vec<_> = shared.map(|name| (name.clone(), name.clone())).collect();
            if pairs.is_empty() {
                bail!("{} and {} have no pipeline in common; name two as RUN:PIPELINE", a.called, b.called);
            }
            Ok(pairs)
        }
    }
}

impl Named {
    fn side(&self) -> String {
        self.pipeline.as_ref().map_or_else(|| self.called.clone(), |name| format!("{}:{name}", self.called))
    }
}

/// A pair in a sentence.
fn sentence(pair: &Comparison, equivalence: f64) -> String {
    let (Some(difference), Some(interval)) = (pair.difference, pair.interval) else {
        return format!("{} and {} cannot be compared: {}.", pair.a, pair.b, pair.note);
    };
    let turned = difference < 0.0;
    let (first, second) = if turned { (&pair.b, &pair.a) } else { (&pair.a, &pair.b) };
    let interval = if turned { [-interval.hi, -interval.lo].into() } else { interval };
    let figures = format!("{} points ({})", points(difference.abs()), points_interval(interval));
    match pair.verdict {
        Verdict::Better => format!("{first} is better than {second} by {figures}."),
        Verdict::Equivalent => {
            let margin = points(equivalence);
            format!("{first} and {second} are equivalent within ±{} points: {figures}.", margin.trim_start_matches('+'))
        }
        Verdict::Undecided => format!("{first} is not clearly better than {second}: {figures}, within noise."),
    }
}

fn over_datasets(several: &[Named]) -> anyhow::Result<Compared> {
    if let Some(named) = several.iter().find(|named| named.pipeline.is_some()) {
        bail!("{}: over several datasets whole runs are compared, not pipelines", named.side());
    }
    let summaries: Vec<_> = several.iter().map(|named| summarise(&named.run, &named.rows)).collect();
    let results: Vec<_> = summaries.iter().map(bakeoff_results::Summary::on_dataset).collect();
    let confidence = several[0].run.confidence;
    let across = across(&results, confidence).context("failed to compare over datasets")?;
    if across.pipelines.is_empty() {
        let intervals =
            summaries.iter().filter_map(|s| s.ranking().first().and_then(|p| p.interval)).map(percent_interval);
        bail!("no pipeline has a result in every run ({} runs with one)", intervals.count());
    }
    let sides: Vec<String> = several.iter().map(Named::side).collect();
    Ok(Compared {
        title: format!("{} pipelines over {} datasets", across.pipelines.len(), across.datasets.len()),
        verdict: across.words.clone(),
        paired: true,
        why_unpaired: String::new(),
        comparisons: Vec::new(),
        differences: differing::machines(several.iter().map(|named| &named.run)),
        across: Some(across),
        confidence,
        equivalence: several[0].run.equivalence,
        version: env!("CARGO_PKG_VERSION").to_owned(),
        sides,
    })
}
