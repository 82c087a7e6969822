//! `bakeoff init`: looks at images, times pipelines that suit them on a few, and writes a commented experiment file.
//!
//! Test images are not touched: pipelines are timed on training images alone, some of which stand in for the test.

mod chosen;
mod found;
mod written;

use crate::algorithms::CATALOGUES;
use crate::exit::Exit;
use crate::host::ThisHost;
use crate::models::Models;
use crate::terminal::{answer, tell};
use crate::workshop::Processes;
use crate::{dataset, interrupt, run_folder, threads, workshop};
use anyhow::{Context, bail};
use bakeoff_core::{Labelled, Provenance, Splits};
use bakeoff_datasets::content_hash;
use bakeoff_results::words::duration;
use bakeoff_results::{Measured, Outcome, Row};
use bakeoff_runner::{
    Amount, Bench, Ended, Event, Experiment, Forecast, Limits, Material, Observer, Overrides, Plan, Shard,
    StoredPipeline, forecast,
};
use found::Found;
use serde_json::json;
use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::sync::atomic::Ordering;
use written::Written;

/// What is looked at, and where the file goes.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  bakeoff init ./my-photos
  bakeoff init ./my-photos --out experiments/photos.toml --minutes 30
  bakeoff init pathmnist.npz

The file names pipelines that suit the images, says why, and how long each will take on this machine: they are timed on some of the
training images. Settings are searched where the minutes suffice. An existing file is never written over.")]
pub(crate) struct InitArgs {
    /// The images: a folder with one sub-folder a class, or a dataset's files
    folder: String,
    /// The file to write; NAME.toml in the current folder when it is not given
    #[arg(long, value_name = "FILE")]
    out: Option<PathBuf>,
    /// Minutes that a run of the experiment should take at most
    #[arg(long, value_name = "N", default_value_t = 10, value_parser = clap::value_parser!(u32).range(1..=100_000))]
    minutes: u32,
    /// Threads; all processors when it is not given
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u16).range(1..=1024))]
    threads: Option<u16>,
    /// Prints one JSON object as the last line of standard output, and everything else to standard error
    #[arg(long)]
    json: bool,
}

pub(crate) fn init(args: &InitArgs) -> anyhow::Result<Exit> {
    interrupt::listen()?;
    let out = args.out.clone().unwrap_or_else(|| PathBuf::from(format!("{}.toml", plain_name(&args.folder))));
    refuse_existing(&out)?;
    let threads = threads::count(args.threads);
    let choice = threads::lent(threads, || found::choice(&args.folder, &out))??;
    let (splits, found) = threads::lent(threads, || looked_at(&choice))??;
    let chosen = chosen::pipelines(&found);
    let draft = Written::new(&args.folder, &choice, &found, &chosen);
    let Some(timed) = timed(&draft, &splits, threads)? else { return Ok(Exit::Interrupted) };
    let done = draft.with_times(&timed, u64::from(args.minutes) * 60);
    // What was written must be what `run` reads.
    Experiment::read(&done.name, &done.text, &dataset::VOCABULARY).context("failed to write a sound experiment")?;
    refuse_existing(&out)?;
    run_folder::write(&out, &done.text)?;
    let shown = out.display();
    let told = format!("{}\n\nWrote {shown}. To run it: bakeoff run {shown}", done.told.join("\n"));
    if args.json {
        tell(&told);
        let mut object = done.json;
        object["file"] = json!(out.display().to_string());
        answer(&object.to_string())?;
    } else {
        answer(&told)?;
    }
    Ok(Exit::Done)
}

/// Nothing that is there is written over, and what cannot be written is told before anything is timed.
fn refuse_existing(out: &Path) -> anyhow::Result<()> {
    if out.symlink_metadata().is_ok() {
        bail!("{} is there already; --out names another file", out.display());
    }
    let folder = out.parent().filter(|folder| *folder != Path::new(""));
    if let Some(folder) = folder.filter(|folder| !folder.is_dir()) {
        bail!("there is no folder {}/ to write {} into", folder.display(), out.display());
    }
    Ok(())
}

/// The last part of a path as the stem of a file's name.
fn plain_name(folder: &str) -> String {
    let path = Path::new(folder);
    let full = path.canonicalize().unwrap_or_else(|_| path.to_owned());
    let stem = if full.is_dir() { full.file_name() } else { full.file_stem() };
    let name = stem.map(|stem| stem.to_string_lossy().into_owned()).unwrap_or_default();
    let plain = name.replace(|c: char| !(c.is_alphanumeric() || "-_.".contains(c)), "-");
    let plain = plain.trim_matches(['-', '.']);
    if plain.is_empty() { "experiment".to_owned() } else { plain.to_owned() }
}

/// The images, and what is to be known of them.
fn looked_at(choice: &found::Choice) -> anyhow::Result<(Splits, Found)> {
    let (name, splits) = dataset::load(&choice.dataset, None)?;
    let sha256 = content_hash(&splits);
    let audit = dataset::audited(&splits, found::MOST_PAIRS);
    let record = Material::new(&name, splits.clone(), &sha256).context("failed to load the dataset")?.with_audit(audit);
    let found = Found { dataset: record.record(), sizes: choice.sizes };
    Ok((splits, found))
}

/// What became of a pipeline on few images.
pub(super) struct Timed {
    /// Its name.
    pub(super) pipeline: String,
    /// What it will take on all images, or why that is not known.
    pub(super) forecast: Result<Forecast, String>,
    /// Cells of it in a run with all seeds.
    pub(super) cells: usize,
}

/// Seconds that a cell may take to be timed.
const PATIENCE: f64 = 20.0;
/// Training images that pipelines are timed on at most.
const MOST_TIMED: usize = 1000;

/// Times every pipeline on few of the training images. `None` when the user does not want to wait.
fn timed(draft: &Written, splits: &Splits, threads: usize) -> anyhow::Result<Option<Vec<Timed>>> {
    // On threads that end: those of the copies come later.
    let few = threads::lent(threads, || few_of(splits))??;
    let amount = Amount {
        n_train: splits.train.len() + splits.validation.as_ref().map_or(0, Labelled::len),
        n_test: splits.test.len(),
    };
    let (n_few, n_stand_in) = (few.train.len(), few.test.len());
    let material = threads::lent(threads, || Material::new("few", few, "few"))?;
    let material = material.context("too few images to time anything on")?;
    let mut experiment = Experiment::read("few", &draft.untuned, &dataset::VOCABULARY)?
        .with(&Overrides { seeds: Some(1), ..Overrides::default() })?;
    // How the whole run will be divided into cells is told by its own plan.
    let all_seeds = Experiment::read("all", &draft.untuned, &dataset::VOCABULARY)?;
    let whole = Plan::new(all_seeds, &material, CATALOGUES)?;
    experiment.train_sizes = if n_few >= 40 { vec![n_few / 2, n_few] } else { Vec::new() };
    let plan = Plan::new(experiment, &material, CATALOGUES)?;
    let Some(rows) = worked_through(&plan, &material, threads)? else { return Ok(None) };
    let of = |name: &String| {
        let own = rows.iter().filter(|row| row.cell.pipeline == *name);
        let done: Vec<Measured> = own
            .clone()
            .filter_map(|row| match &row.outcome {
                Outcome::Done(measured) => Some(measured.as_ref().clone()),
                _ => None,
            })
            .collect();
        let mut why = own.filter_map(|row| match &row.outcome {
            Outcome::Refused { reason } => Some(reason.clone()),
            Outcome::Failed { error } => Some(error.clone()),
            Outcome::Done(_) => None,
        });
        let forecast = forecast(&done, n_stand_in, amount);
        Timed {
            pipeline: name.clone(),
            cells: whole.cells().filter(|planned| planned.cell.pipeline == *name).count(),
            forecast: forecast.ok_or_else(|| why.next_back().unwrap_or_else(|| "nothing was timed".to_owned())),
        }
    };
    Ok(Some(plan.experiment.pipelines.iter().map(|pipeline| of(&pipeline.name)).collect()))
}

/// Some of the training images, cut in two: what is learned from, and what stands in for the test.
fn few_of(splits: &Splits) -> anyhow::Result<Splits> {
    let n = splits.train.len();
    let every = n.div_ceil(MOST_TIMED + MOST_TIMED / 4).max(1);
    let taken: Vec<usize> = (0..n).step_by(every).collect();
    // The fifth of every five; of fewer than five images the last.
    let stands_in = |i: usize| if taken.len() < 5 { i + 1 == taken.len() } else { i % 5 == 4 };
    let part = |test: bool| -> Vec<usize> {
        taken.iter().enumerate().filter(|(i, _)| stands_in(*i) == test).map(|(_, &position)| position).collect()
    };
    let (train, test) = (splits.train.select(&part(false)), splits.train.select(&part(true)));
    if train.is_empty() || test.is_empty() {
        bail!("{n} training images are too few to time anything on");
    }
    Ok(Splits { classes: splits.classes.clone(), train, validation: None, test, provenance: Provenance::default() })
}

/// Works through a plan and keeps nothing but the rows in memory.
fn worked_through(plan: &Plan, material: &Material, threads: usize) -> anyhow::Result<Option<Vec<Row>>> {
    let host = ThisHost::with_threads(threads);
    let record = plan.record(material, host.record());
    let models = Models { folder: Path::new(""), most_bytes: 0 };
    let bench = Bench {
        catalogues: CATALOGUES,
        material,
        machine: &host,
        cache: None,
        states: None,
        most_model_bytes: 0,
        stop: interrupt::flag(),
    };
    workshop::warm_up();
    let mut workshop = Processes {
        threads,
        limits: Limits { seconds: Some(PATIENCE), megabytes: None },
        stop: interrupt::flag(),
        models: &models,
        run: &record,
        fit: dataset::fit(&plan.experiment.dataset),
    };
    let mut rows: Vec<Row> = Vec::new();
    let mut keep = |row: &Row, _: Option<StoredPipeline>| {
        rows.push(row.clone());
        anyhow::Ok(())
    };
    let mut names = Names { last: String::new() };
    let ended = bakeoff_runner::run(plan, Shard::WHOLE, BTreeSet::new(), &bench, &mut workshop, &mut names, &mut keep)?;
    let stopped = ended == Ended::Interrupted || interrupt::flag().load(Ordering::Relaxed);
    Ok((!stopped).then_some(rows))
}

/// Tells which pipeline is timed, and nothing of how right it is: that is for the run to find out, once.
struct Names {
    last: String,
}

impl Observer for Names {
    fn tell(&mut self, event: Event<'_>) {
        match event {
            Event::CellStarted { cell } if cell.pipeline != self.last => {
                self.last.clone_from(&cell.pipeline);
                tell(&format!("timing {} on a few images", self.last));
            }
            _ => {}
        }
    }
}

/// Seconds as people say them when they are not sure.
pub(super) fn about(seconds: f64) -> String {
    match seconds {
        s if s < 1.0 => "under 1 s".to_owned(),
        s if s < 100.0 => format!("about {s:.0} s"),
        s if s < 6000.0 => format!("about {:.0} min", s / 60.0),
        s => format!("about {}", duration(s)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use bakeoff_core::{Dataset as _, Seed};
    use bakeoff_datasets::shapes::Shapes;

    #[test]
    fn files_are_called_after_what_they_are_about() {
        let room = tempfile::tempdir().unwrap();
        let folder = room.path().join("my photos.v2");
        std::fs::create_dir(&folder).unwrap();
        assert_eq!(plain_name(&folder.display().to_string()), "my-photos.v2");
        assert_eq!(plain_name("nowhere/set.npz"), "set");
        assert_eq!(plain_name("/"), "experiment");
    }

    #[test]
    fn what_stands_in_for_the_test_is_training_images() {
        let splits = Shapes::new(300, 20, Seed(0)).load(Path::new("")).unwrap();
        let few = few_of(&splits).unwrap();
        assert_eq!((few.train.len(), few.test.len()), (240, 60));
        assert_eq!(few.test.images().view().image(0), splits.train.images().view().image(4));
        let large = Shapes::new(6000, 20, Seed(0)).load(Path::new("")).unwrap();
        let few = few_of(&large).unwrap();
        assert!(few.train.len() <= MOST_TIMED && few.train.len() > MOST_TIMED / 2, "{}", few.train.len());
        let one = Splits { train: splits.train.select(&[0]), ..splits };
        assert!(few_of(&one).unwrap_err().to_string().contains("1 training images are too few"));
    }

    #[test]
    fn times_are_said_as_guesses() {
        assert_eq!([0.2, 12.4, 180.0, 36_000.0].map(about), ["under 1 s", "about 12 s", "about 3 min", "about 10.0 h"]);
    }
}
