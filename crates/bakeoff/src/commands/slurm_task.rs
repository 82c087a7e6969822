//! `bakeoff slurm-task`: one task of a job array, as the scripts of `bakeoff slurm` call it.

use crate::args::{Args, Command};
use crate::commands::run::{self, RunArgs};
use crate::exit::Exit;
use crate::slurm::{Submitted, cells_of, list, part};
use crate::{interrupt, run_folder};
use anyhow::{Context, bail};
use bakeoff_runner::{Ended, Shard};
use clap::Parser;
use std::collections::BTreeSet;
use std::fs;
use std::path::PathBuf;

/// Which task.
#[derive(Debug, clap::Args)]
#[command(after_help = "Example:\n  bakeoff slurm-task runs/cifar-10 0 17 --threads 2")]
pub(crate) struct SlurmTaskArgs {
    /// The run's folder
    run: PathBuf,
    /// The class of resources, from 0
    class: usize,
    /// The task's number in its array, from 0
    task: usize,
    /// Threads
    #[arg(long, value_parser = clap::value_parser!(u16).range(1..=1024))]
    threads: Option<u16>,
}

pub(crate) fn slurm_task(args: &SlurmTaskArgs) -> anyhow::Result<Exit> {
    interrupt::listen()?;
    let folder = &args.run;
    let submitted = Submitted::read(folder)?
        .with_context(|| format!("nothing was submitted for {}: `bakeoff slurm` does that", folder.display()))?;
    let tasks = submitted.tasks.get(args.class).copied().filter(|tasks| args.task < *tasks);
    let tasks = tasks.with_context(|| format!("there is no task {} of class {}", args.task, args.class))?;
    let run_args = typed(&submitted)?.with_threads(args.threads);
    let mut prepared = run_args.prepare()?;
    if prepared.plan.digest != submitted.digest {
        bail!("the experiment or its data changed since {} was submitted; submit it again", folder.display());
    }
    let path = list(folder, args.class);
    let text = fs::read_to_string(&path).with_context(|| format!("failed to read {}", path.display()))?;
    let mine: BTreeSet<&str> = cells_of(&text, args.task, tasks).collect();
    prepared.plan.keep_only(&mine);

    let part = part(folder, args.class, args.task);
    fs::create_dir_all(&part).with_context(|| format!("failed to make {}", part.display()))?;
    let Some(_alone) = run_folder::alone(&part, interrupt::flag())? else { return Ok(Exit::Interrupted) };
    let store = run::open_store(&part, &prepared)?;
    let (models, states) = (run_args.models(&part), run_args.states(&part));
    let ended = run::work(&prepared, Shard::WHOLE, &store, &models, states.as_ref(), &mut None)?;
    Ok(if ended == Ended::Complete { Exit::Done } else { Exit::Interrupted })
}

/// The run as it was typed.
fn typed(submitted: &Submitted) -> anyhow::Result<RunArgs> {
    let words = ["bakeoff", "run"].into_iter().map(str::to_owned).chain(submitted.arguments.iter().cloned());
    match Args::try_parse_from(words)?.command {
        Command::Run(args) => Ok(args),
        _ => bail!("the arguments of the run are none of `bakeoff run`"),
    }
}
