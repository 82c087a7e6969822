//! `bakeoff run`: an experiment, from its file to its report.

use crate::algorithms::CATALOGUES;
use crate::exit::Exit;
use crate::experiments::{self, Found};
use crate::feature_cache::FeatureFolder;
use crate::host::ThisHost;
use crate::models::Models;
use crate::progress::Progress;
use crate::run_folder::{self, EXPERIMENT, HOST, STORE};
use crate::states::StateFolder;
use crate::terminal::{self, tell};
use crate::watching::Watcher;
use crate::workshop::Processes;
use crate::{dataset, interrupt, noise, output, pictures, threads, workshop};
use anyhow::Context;
use bakeoff_results::{Repeat, Row, Run, Store};
use bakeoff_runner::{
    Bench, Ended, Experiment, FeatureCache, Material, Overrides, Plan, Shard, States, StoredPipeline,
};
use std::ffi::OsString;
use std::fs;
use std::path::{Path, PathBuf};

/// What is run, and how.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  bakeoff run
  bakeoff run fashion-mnist --seeds 1
  bakeoff run ./my-photos
  bakeoff run cifar-10 --watch 8000
  bakeoff run my-experiment.toml --pipeline hog-svm --pipeline mlp-2 --train-size 5000

Results lie in runs/NAME. The same experiment continues there; a changed one gets runs/NAME-2.")]
pub(crate) struct RunArgs {
    /// A built-in experiment, an experiment file, or images: a folder with one sub-folder a class, or a dataset's files.
    /// Built-in names win; ./quick is the folder
    #[arg(default_value = "quick")]
    experiment: String,
    /// Other data than the experiment's: a name or a path
    #[arg(long, value_name = "NAME|PATH")]
    dataset: Option<String>,
    /// Only this pipeline; may be repeated
    #[arg(long, value_name = "NAME")]
    pipeline: Vec<String>,
    /// Another number of seeds
    #[arg(long, value_name = "N")]
    seeds: Option<usize>,
    /// Learns from this many images only, drawn class by class
    #[arg(long, value_name = "N")]
    train_size: Option<usize>,
    /// Threads; all processors when it is not given
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u16).range(1..=1024))]
    threads: Option<u16>,
    /// The run's folder, instead of runs/NAME
    #[arg(long, value_name = "DIR")]
    out: Option<PathBuf>,
    /// Only this share of the work, for job arrays; it lies in a folder of its own, NAME-shard-I-of-N
    #[arg(long, value_name = "I/N")]
    shard: Option<Shard>,
    /// Megabytes that a stored model may have; 0 stores none
    #[arg(long, value_name = "MB", default_value_t = 256, value_parser = clap::value_parser!(u32).range(0..=1 << 20))]
    model_limit: u32,
    /// Megabytes that features kept from earlier cells and runs may take on disk; 0 keeps none
    #[arg(long, value_name = "MB", default_value_t = 4096, value_parser = clap::value_parser!(u32).range(0..=1 << 20))]
    cache_limit: u32,
    /// Seconds of training after which a network leaves its state, from which an interrupted run goes on; 0 leaves none
    #[arg(long, value_name = "SECONDS", default_value = "60", value_parser = seconds)]
    checkpoint: f64,
    /// Does not continue an earlier run but starts another beside it
    #[arg(long)]
    fresh: bool,
    /// Serves the report as it grows on this port of this machine, for a browser on it; 0 takes any that is free. Open pages take a little of
    /// the processor, so do not watch where times are to be trusted
    #[arg(long, value_name = "PORT")]
    watch: Option<u16>,
    /// Prints one JSON object as the last line of standard output, and everything else to standard error
    #[arg(long)]
    json: bool,
}

/// Seconds, 0 or more.
fn seconds(text: &str) -> Result<f64, String> {
    let sound = text.parse().ok().filter(|seconds: &f64| seconds.is_finite() && *seconds >= 0.0);
    sound.ok_or_else(|| "expected seconds, 0 or more".to_owned())
}

impl RunArgs {
    fn overrides(&self, found: &Found, experiment: &Experiment) -> Overrides {
        let named = self.dataset.as_ref().map(|name| dataset::instead(name, &experiment.dataset));
        Overrides {
            dataset: named.or_else(|| found.dataset.clone()),
            pipelines: self.pipeline.clone(),
            seeds: self.seeds,
            train_size: self.train_size,
        }
    }

    /// The run's folder before it is known whether it is taken.
    fn base(&self, name: &str) -> PathBuf {
        let base = self.out.clone().unwrap_or_else(|| Path::new("runs").join(name));
        // `.` and `..` have no name to number until they are resolved.
        let base = if base.file_name().is_some() { base } else { base.canonicalize().unwrap_or(base) };
        match self.shard.filter(|shard| !shard.is_whole()) {
            None => base,
            Some(shard) => {
                let mut folder = base.file_name().map(OsString::from).unwrap_or_default();
                folder.push(format!("-shard-{}", shard.to_string().replace('/', "-of-")));
                base.with_file_name(folder)
            }
        }
    }
}

/// Everything that a run needs before its folder is chosen.
pub(crate) struct Prepared {
    /// The experiment's name.
    pub(crate) name: String,
    pub(crate) host: ThisHost,
    pub(crate) material: Material,
    pub(crate) plan: Plan,
    /// The folder that paths of the experiment start from.
    base: Option<PathBuf>,
    cache: Option<FeatureFolder>,
}

impl RunArgs {
    /// Reads the experiment and loads its data.
    pub(crate) fn prepare(&self) -> anyhow::Result<Prepared> {
        let threads = threads::count(self.threads);
        let found = experiments::find(&self.experiment)?;
        let experiment = Experiment::read(&found.shown, &found.text, &dataset::VOCABULARY)?;
        let overrides = self.overrides(&found, &experiment);
        let mut experiment = experiment.with(&overrides)?;
        experiment.name.clone_from(&found.name);
        // Paths in a file start from the file, paths on the command line from where it is typed.
        let base = found.base.as_deref().filter(|_| self.dataset.is_none());
        let material = threads::lent(threads, || dataset::open(&experiment.dataset, base))??;
        let plan = Plan::new(experiment, &material, CATALOGUES)?;
        let cache = FeatureFolder::new(u64::from(self.cache_limit) * 1_000_000);
        let base = base.map(Path::to_owned);
        let host = ThisHost::with_threads(threads).with_limit(plan.experiment.protocol.limits.megabytes);
        Ok(Prepared { name: found.name, base, host, material, plan, cache })
    }

    /// The folder of this run.
    pub(crate) fn folder(&self, prepared: &Prepared) -> anyhow::Result<PathBuf> {
        let folder = run_folder::choose(&self.base(&prepared.name), &prepared.plan.digest, self.fresh)?;
        fs::create_dir_all(&folder).with_context(|| format!("failed to make {}", folder.display()))?;
        Ok(folder)
    }

    /// The models of a run in this folder.
    pub(crate) fn models<'a>(&self, folder: &'a Path) -> Models<'a> {
        Models { folder, most_bytes: self.model_limit as usize * 1_000_000 }
    }

    /// The states of trainings of a run in this folder.
    pub(crate) fn states(&self, folder: &Path) -> Option<StateFolder> {
        StateFolder::new(folder, self.checkpoint)
    }

    /// What it takes to type the same run again, without what only concerns how its results are told.
    pub(crate) fn arguments(&self) -> Vec<String> {
        let mut arguments = vec![self.experiment.clone()];
        let mut add =
            |name: &str, value: Option<String>| arguments.extend(value.map(|value| format!("--{name}={value}")));
        add("dataset", self.dataset.clone());
        self.pipeline.iter().for_each(|name| add("pipeline", Some(name.clone())));
        add("seeds", self.seeds.map(|n| n.to_string()));
        add("train-size", self.train_size.map(|n| n.to_string()));
        add("model-limit", Some(self.model_limit.to_string()));
        add("cache-limit", Some(self.cache_limit.to_string()));
        add("checkpoint", Some(self.checkpoint.to_string()));
        arguments
    }

    pub(crate) fn is_json(&self) -> bool {
        self.json
    }

    pub(crate) fn threads(&self) -> Option<u16> {
        self.threads
    }

    pub(crate) fn with_threads(self, threads: Option<u16>) -> Self {
        Self { threads, ..self }
    }

    pub(crate) fn is_whole(&self) -> bool {
        self.shard.is_none_or(Shard::is_whole)
    }
}

pub(crate) fn run(args: &RunArgs) -> anyhow::Result<Exit> {
    interrupt::listen()?;
    let prepared = args.prepare()?;
    let folder = args.folder(&prepared)?;
    // Whoever waited finds what the other one did, and goes on from there.
    let Some(_alone) = run_folder::alone(&folder, interrupt::flag())? else { return Ok(Exit::Interrupted) };
    let store = open_store(&folder, &prepared)?;
    let mut watcher = args.watch.map(|port| Watcher::start(&folder, port)).transpose()?;
    if let Some(watcher) = &watcher {
        tell(&format!("Watch it at {}", watcher.address));
    }
    let (models, states) = (args.models(&folder), args.states(&folder));
    let shard = args.shard.unwrap_or(Shard::WHOLE);
    let mut ended = work(&prepared, shard, &store, &models, states.as_ref(), &mut watcher)?;
    if ended == Ended::Complete && args.is_whole() {
        ended = time_again(&prepared, &store, &models, &mut watcher)?;
    }
    if ended == Ended::Complete
        && args.is_whole()
        && let Err(error) = pictures::keep(&folder, &store, &prepared.plan.experiment.dataset, prepared.base.as_deref())
    {
        tell(&format!("bakeoff: the report has no pictures: {error:#}"));
    }
    let answer = output::show(&folder, &store, args.json)?;
    // Only now: the last page has the pictures too.
    drop(watcher);
    Ok(match ended {
        Ended::Interrupted => Exit::Interrupted,
        Ended::Complete => answer,
    })
}

/// The store of a run, made where there is none.
pub(crate) fn open_store(folder: &Path, prepared: &Prepared) -> anyhow::Result<Store> {
    let Prepared { host, material, plan, .. } = prepared;
    let path = folder.join(STORE);
    let mut record = plan.record(material, host.record());
    if !Store::is_begun(&path)? {
        record.noise = Some(noise::measured());
        run_folder::write(&folder.join(EXPERIMENT), &record.as_written)?;
        run_folder::write(&folder.join(HOST), format!("{}\n", serde_json::to_string_pretty(&record.host)?))?;
    }
    Ok(Store::create_or_open(&path, &record)?)
}

/// Works through a share of a plan's cells, and tells of it.
pub(crate) fn work(
    prepared: &Prepared,
    shard: Shard,
    store: &Store,
    models: &Models<'_>,
    states: Option<&StateFolder>,
    watcher: &mut Option<Watcher>,
) -> anyhow::Result<Ended> {
    let plan = &prepared.plan;
    let finished = store.digests()?;
    let record = store.run();
    let mut progress = progress(&record).watched_by(watcher.take());
    let bench = Bench { states: states.map(|states| states as &dyn States), ..bench(prepared, models) };
    // The model was kept by the cell's process, before its row: a run that is killed in between makes both again.
    let mut keep = |row: &Row, _: Option<StoredPipeline>| Ok(store.commit(row).map(|_| ())?);
    let mut workshop = workshop(prepared, &record, models);
    let ended = bakeoff_runner::run(plan, shard, finished, &bench, &mut workshop, &mut progress, &mut keep);
    *watcher = progress.finish();
    let ended = ended?;
    if ended == Ended::Interrupted {
        tell("interrupted; the same command continues");
    }
    Ok(ended)
}

/// Times the pipelines of a complete run again, in rounds.
fn time_again(
    prepared: &Prepared,
    store: &Store,
    models: &Models<'_>,
    watcher: &mut Option<Watcher>,
) -> anyhow::Result<Ended> {
    let record = store.run();
    let (bench, rows) = (bench(prepared, models), store.rows()?);
    let mut progress = progress(&record).watched_by(watcher.take()).after(rows.len());
    let mut keep = |repeat: &Repeat| Ok(store.commit_repeat(repeat).map(|_| ())?);
    let mut workshop = workshop(prepared, &record, models);
    let ended = bakeoff_runner::repeat(&prepared.plan, &rows, &bench, &mut workshop, &mut progress, &mut keep);
    *watcher = progress.finish();
    let ended = ended?;
    if ended == Ended::Interrupted {
        tell("interrupted while pipelines were timed again; the same command continues");
    }
    Ok(ended)
}

fn progress(record: &Run) -> Progress {
    Progress::new(record.dataset.test_labels.clone(), record.dataset.classes.len(), terminal::is_watched())
}

fn bench<'a>(prepared: &'a Prepared, models: &Models<'_>) -> Bench<'a> {
    Bench {
        catalogues: CATALOGUES,
        material: &prepared.material,
        machine: &prepared.host,
        cache: prepared.cache.as_ref().map(|cache| cache as &dyn FeatureCache),
        states: None,
        most_model_bytes: models.most_bytes,
        stop: interrupt::flag(),
    }
}

/// A workshop that makes a process for each cell.
fn workshop<'a>(prepared: &Prepared, record: &'a Run, models: &'a Models<'a>) -> Processes<'a> {
    workshop::warm_up();
    Processes {
        threads: prepared.host.record().threads,
        limits: prepared.plan.experiment.protocol.limits,
        stop: interrupt::flag(),
        models,
        run: record,
        fit: dataset::fit(&prepared.plan.experiment.dataset),
    }
}
