//! `bakeoff gather`: shards of a run, brought together.

use crate::exit::Exit;
use crate::run_folder::{self, EXPERIMENT, HOST, MODELS, STORE};
use crate::slurm::Submitted;
use crate::{interrupt, output};
use anyhow::{Context, bail};
use bakeoff_results::{Outcome, Store, StoreError};
use std::ffi::OsStr;
use std::fs;
use std::path::{Path, PathBuf};

/// Which run.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  bakeoff run cifar-10 --shard 1/2 & bakeoff run cifar-10 --shard 2/2; bakeoff gather runs/cifar-10
  bakeoff gather runs/cifar-10 /mnt/a/cifar-10-shard-1-of-2 /mnt/b/cifar-10-shard-2-of-2

Without shards it takes what lies beside the run as RUN-shard-I-of-N and what tasks of Slurm left in RUN/slurm.
Nothing is computed again; what is gathered twice counts once.")]
pub(crate) struct GatherArgs {
    /// The folder of the whole run; it is made where there is none
    run: PathBuf,
    /// Folders of shards
    shard: Vec<PathBuf>,
    /// Prints one JSON object as the last line of standard output, and everything else to standard error
    #[arg(long)]
    json: bool,
}

pub(crate) fn gather(args: &GatherArgs) -> anyhow::Result<Exit> {
    interrupt::listen()?;
    let folder = &args.run;
    let parts = if args.shard.is_empty() { parts_of(folder)? } else { args.shard.clone() };
    if parts.is_empty() && !folder.join(STORE).is_file() {
        bail!("there is nothing to gather for {}: neither shards beside it nor tasks of Slurm in it", folder.display());
    }
    fs::create_dir_all(folder).with_context(|| format!("failed to make {}", folder.display()))?;
    let Some(_alone) = run_folder::alone(folder, interrupt::flag())? else { return Ok(Exit::Interrupted) };
    let new = bring_together(folder, &parts)?;
    let store = Store::open(&folder.join(STORE))?;
    let rows = store.digests()?.len();
    crate::terminal::tell(&format!("{new} new rows from {} parts, {rows} in all", parts.len()));
    let answer = output::show(folder, &store, args.json)?;
    // Only a run that was submitted knows how many cells it has.
    let missing = Submitted::read(folder)?.map_or(0, |submitted| submitted.cells.saturating_sub(rows));
    if missing > 0 {
        crate::terminal::tell(&format!("{missing} cells are still without a row; `bakeoff slurm` submits them again"));
        return Ok(Exit::No);
    }
    Ok(answer)
}

/// The parts that lie where `run --shard` and tasks of Slurm put them, in the order of their names.
fn parts_of(folder: &Path) -> anyhow::Result<Vec<PathBuf>> {
    let mut parts = folders_in(&folder.join(crate::slurm::PARTS), |_| true)?;
    if let Some(name) = folder.file_name() {
        let mut prefix = name.to_owned();
        prefix.push("-shard-");
        let parent = folder.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new("."));
        let is_shard = |name: &OsStr| name.as_encoded_bytes().starts_with(prefix.as_encoded_bytes());
        parts.extend(folders_in(parent, is_shard)?);
    }
    Ok(parts)
}

/// The folders with a store in this one.
fn folders_in(folder: &Path, wanted: impl Fn(&OsStr) -> bool) -> anyhow::Result<Vec<PathBuf>> {
    let about = || format!("failed to look into {}", folder.display());
    let entries = match fs::read_dir(folder) {
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(Vec::new()),
        entries => entries.with_context(about)?,
    };
    let mut found = Vec::new();
    for entry in entries {
        let entry = entry.with_context(about)?;
        if wanted(&entry.file_name()) && entry.path().join(STORE).is_file() {
            found.push(entry.path());
        }
    }
    found.sort();
    Ok(found)
}

/// Copies rows and models of parts into the run, and says how many rows were new.
pub(crate) fn bring_together(folder: &Path, parts: &[PathBuf]) -> anyhow::Result<usize> {
    let path = folder.join(STORE);
    let mut new = 0;
    for part in parts {
        let about = || format!("failed to gather {}", part.display());
        let from = Store::open(&part.join(STORE)).with_context(about)?;
        let store = match Store::create_or_open(&path, &from.run()) {
            Err(StoreError::OtherExperiment { .. }) => {
                bail!("{} is a part of another experiment than {}", part.display(), folder.display())
            }
            store => store?,
        };
        let known = store.digests()?;
        for mut row in from.rows().with_context(about)? {
            if known.contains(&row.cell.digest) {
                continue;
            }
            if let Outcome::Done(measured) = &mut row.outcome {
                measured.scores = from.scores(&row.cell.digest).with_context(about)?.unwrap_or_default();
            }
            new += usize::from(store.commit(&row)?);
        }
        for file in [EXPERIMENT, HOST] {
            copy(&part.join(file), &folder.join(file))?;
        }
        if let Ok(models) = fs::read_dir(part.join(MODELS)) {
            fs::create_dir_all(folder.join(MODELS)).with_context(about)?;
            for model in models {
                let model = model.with_context(about)?.path();
                copy(&model, &folder.join(MODELS).join(model.file_name().unwrap_or_default()))?;
            }
        }
    }
    Ok(new)
}

/// Copies a file where there is none yet.
fn copy(from: &Path, to: &Path) -> anyhow::Result<()> {
    if to.exists() || !from.is_file() {
        return Ok(());
    }
    run_folder::write(to, fs::read(from).with_context(|| format!("failed to read {}", from.display()))?)
}
