//! `bakeoff slurm`: an experiment as job arrays, and a job that gathers what they found.
//!
//! Slurm is the engine; this writes scripts, submits them and notes what it submitted. The pipelines that ask for the same
//! resources share an array. Run again, it gathers what tasks left, and submits the cells that have no row yet.

use crate::commands::gather::bring_together;
use crate::commands::run::{self, Prepared, RunArgs};
use crate::exit::Exit;
use crate::slurm::{FOLDER, PARTS, Submitted, list, part};
use crate::terminal::{answer, tell};
use crate::{interrupt, output, run_folder};
use anyhow::{Context, bail};
use bakeoff_runner::Resources;
use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::{env, fs};

/// What is submitted, and how.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  bakeoff slurm cifar-10 --seeds 10 --throttle 50
  bakeoff slurm grid.toml --partition cpu --tasks 200 --dry-run

A pipeline asks for resources in its table: resources = { threads = 4, megabytes = 8000, minutes = 60 }; the options here stand
for those that do not. The run's folder, the program and the data must be seen by all nodes under the same paths. The same
command, given again, submits the cells that have no result yet.")]
pub(crate) struct SlurmArgs {
    #[command(flatten)]
    run: RunArgs,
    /// Tasks at most in each array; each works on an equal share of the cells
    #[arg(long, value_name = "N", default_value_t = 1000, value_parser = clap::value_parser!(u32).range(1..=1_000_000))]
    tasks: u32,
    /// Tasks of an array that may run at the same time; all when it is not given
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..))]
    throttle: Option<u32>,
    /// Megabytes of memory for a task whose pipelines do not say
    #[arg(long, value_name = "MB", value_parser = clap::value_parser!(u32).range(1..))]
    memory: Option<u32>,
    /// Wall minutes for a task whose pipelines do not say
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..))]
    minutes: Option<u32>,
    /// The partition to submit to
    #[arg(long, value_name = "NAME")]
    partition: Option<String>,
    /// Writes the scripts and submits nothing
    #[arg(long)]
    dry_run: bool,
}

pub(crate) fn slurm(args: &SlurmArgs) -> anyhow::Result<Exit> {
    interrupt::listen()?;
    if !args.run.is_whole() {
        bail!("--shard is not for job arrays: they share the cells out themselves");
    }
    let prepared = args.run.prepare()?;
    let folder = args.run.folder(&prepared)?;
    let folder = fs::canonicalize(&folder).with_context(|| format!("failed to find {}", folder.display()))?;
    let earlier = Submitted::read(&folder)?;
    if let Some(jobs) = earlier.as_ref().and_then(|earlier| active(&earlier.jobs)) {
        bail!("jobs {jobs} of this run are still queued or running; wait for them, or end them with scancel");
    }
    let Some(_alone) = run_folder::alone(&folder, interrupt::flag())? else { return Ok(Exit::Interrupted) };
    let store = run::open_store(&folder, &prepared)?;
    let parts: Vec<PathBuf> = earlier
        .iter()
        .flat_map(|earlier| earlier.tasks.iter().enumerate())
        .flat_map(|(class, &tasks)| (0..tasks).map(move |task| (class, task)))
        .map(|(class, task)| part(&folder, class, task))
        .filter(|part| part.join(run_folder::STORE).is_file())
        .collect();
    bring_together(&folder, &parts)?;
    let finished = store.digests()?;
    let classes = classes(&prepared, &finished, args);
    if classes.is_empty() {
        tell("every cell has its row");
        return output::show(&folder, &store, args.run.is_json());
    }
    let mut submitted = Submitted {
        digest: prepared.plan.digest.clone(),
        arguments: args.run.arguments(),
        cells: prepared.plan.cells().len(),
        tasks: classes.iter().map(|class| class.cells.len().min(args.tasks as usize)).collect(),
        jobs: Vec::new(),
    };
    // What was gathered is in the run; the next arrays number their tasks anew.
    remove(&folder.join(PARTS))?;
    let scripts = write(&folder, &submitted, &classes, args)?;
    if args.dry_run {
        let shown: Vec<String> = scripts.iter().map(|script| script.display().to_string()).collect();
        answer(&shown.join("\n"))?;
        return Ok(Exit::Done);
    }
    submit(&folder, &scripts, &mut submitted)?;
    let left: usize = classes.iter().map(|class| class.cells.len()).sum();
    let tasks: usize = submitted.tasks.iter().sum();
    answer(&format!(
        "submitted {left} cells in {tasks} tasks as jobs {}; the last one gathers them into {}",
        submitted.jobs.join(", "),
        folder.display()
    ))?;
    Ok(Exit::Done)
}

/// Cells that ask for the same.
struct Class {
    resources: Resources,
    cells: Vec<String>,
}

/// The cells without a row, by what they ask for, in the order of the plan.
fn classes(prepared: &Prepared, finished: &BTreeSet<String>, args: &SlurmArgs) -> Vec<Class> {
    let plan = &prepared.plan;
    let mut classes: Vec<Class> = Vec::new();
    for planned in plan.cells().filter(|planned| !finished.contains(&planned.cell.digest)) {
        let asked = plan.experiment.pipelines[planned.pipeline].resources;
        let resources = Resources {
            threads: Some(asked.threads.unwrap_or(args.run.threads().map_or(1, usize::from))),
            megabytes: asked.megabytes.or(args.memory.map(|mb| mb as usize)),
            minutes: asked.minutes.or(args.minutes.map(|minutes| minutes as usize)),
        };
        let digest = planned.cell.digest;
        match classes.iter_mut().find(|class| class.resources == resources) {
            Some(class) => class.cells.push(digest),
            None => classes.push(Class { resources, cells: vec![digest] }),
        }
    }
    classes
}

/// Writes lists and scripts; the one that gathers is the last.
fn write(folder: &Path, submitted: &Submitted, classes: &[Class], args: &SlurmArgs) -> anyhow::Result<Vec<PathBuf>> {
    let slurm = folder.join(FOLDER);
    for made in [slurm.join("log"), folder.join(PARTS)] {
        fs::create_dir_all(&made).with_context(|| format!("failed to make {}", made.display()))?;
    }
    submitted.write(folder)?;
    let program = env::current_exe().context("failed to find this program")?;
    let here = env::current_dir().context("failed to find the current folder")?;
    let frame = |what: &str| -> anyhow::Result<String> {
        let mut head = format!("#!/bin/sh\n# Written by bakeoff slurm.\n#SBATCH --job-name=bakeoff-{what}\n");
        writeln!(head, "#SBATCH --chdir={}", directive(&here)?)?;
        if let Some(partition) = &args.partition {
            writeln!(head, "#SBATCH --partition={}", directive(Path::new(partition))?)?;
        }
        Ok(head)
    };
    let mut scripts = Vec::new();
    for (i, (class, &tasks)) in classes.iter().zip(&submitted.tasks).enumerate() {
        run_folder::write(&list(folder, i), class.cells.join("\n") + "\n")?;
        let Resources { threads, megabytes, minutes } = class.resources;
        let threads = threads.unwrap_or(1);
        let mut script = frame(&i.to_string())?;
        let throttle = args.throttle.map_or(String::new(), |n| format!("%{n}"));
        writeln!(script, "#SBATCH --array=0-{}{throttle}", tasks - 1)?;
        writeln!(script, "#SBATCH --cpus-per-task={threads}\n#SBATCH --requeue\n#SBATCH --open-mode=append")?;
        if let Some(megabytes) = megabytes {
            writeln!(script, "#SBATCH --mem={megabytes}M")?;
        }
        if let Some(minutes) = minutes {
            writeln!(script, "#SBATCH --time={minutes}")?;
        }
        writeln!(script, "#SBATCH --output={}/%A_%a.txt", directive(&slurm.join("log"))?)?;
        let (program, folder) = (quoted(&program), quoted(folder));
        writeln!(script, "exec {program} slurm-task {folder} {i} \"$SLURM_ARRAY_TASK_ID\" --threads {threads}")?;
        let path = slurm.join(format!("class-{i}.sh"));
        run_folder::write(&path, script)?;
        scripts.push(path);
    }
    let mut script = frame("gather")?;
    writeln!(script, "#SBATCH --output={}/%j-gather.txt", directive(&slurm.join("log"))?)?;
    writeln!(script, "exec {} gather {}", quoted(&program), quoted(folder))?;
    let path = slurm.join("gather.sh");
    run_folder::write(&path, script)?;
    scripts.push(path);
    Ok(scripts)
}

/// A path in an `#SBATCH` line, which ends with the line and knows % as the start of a pattern.
fn directive(path: &Path) -> anyhow::Result<String> {
    let text = path.to_str().filter(|text| !text.contains(['\n', '"', '%', '\\']));
    let text =
        text.with_context(|| format!("{} cannot be named in a script of Slurm; choose a plainer one", path.display()))?;
    Ok(if text.contains(' ') { format!("\"{text}\"") } else { text.to_owned() })
}

/// A path as one word of a shell.
fn quoted(path: &Path) -> String {
    format!("'{}'", path.to_string_lossy().replace('\'', r"'\''"))
}

/// Submits the arrays and then, dependent on them, the job that gathers. What was submitted is noted at once.
fn submit(folder: &Path, scripts: &[PathBuf], submitted: &mut Submitted) -> anyhow::Result<()> {
    let (gather, arrays) = scripts.split_last().context("there is nothing to submit")?;
    for script in arrays {
        submitted.jobs.push(sbatch(script, None)?);
        submitted.write(folder)?;
    }
    let after = format!("--dependency=afterany:{}", submitted.jobs.join(":"));
    submitted.jobs.push(sbatch(gather, Some(&after))?);
    submitted.write(folder)
}

/// The number of the job that a script became.
fn sbatch(script: &Path, option: Option<&str>) -> anyhow::Result<String> {
    let output = Command::new("sbatch").arg("--parsable").args(option).arg(script).output();
    let output = output.context("failed to start sbatch: is this a machine that submits to Slurm?")?;
    let told = checked(&output).with_context(|| format!("sbatch refused {}", script.display()))?;
    // JOB or JOB;CLUSTER.
    Ok(told.trim().split(';').next().unwrap_or_default().to_owned())
}

fn checked(output: &Output) -> anyhow::Result<String> {
    if !output.status.success() {
        bail!("{}", String::from_utf8_lossy(&output.stderr).trim());
    }
    Ok(String::from_utf8_lossy(&output.stdout).into_owned())
}

/// Those of these jobs that have not ended, where Slurm can be asked.
fn active(jobs: &[String]) -> Option<String> {
    // One that Slurm has forgotten makes squeue refuse them all, so each is asked for alone.
    let is_active = |job: &&String| {
        let output = Command::new("squeue").args(["--noheader", "--format=%A", "--jobs", job]).output();
        output.is_ok_and(|output| output.status.success() && !output.stdout.trim_ascii().is_empty())
    };
    let active: Vec<&str> = jobs.iter().filter(is_active).map(String::as_str).collect();
    (!active.is_empty()).then(|| active.join(", "))
}

fn remove(folder: &Path) -> anyhow::Result<()> {
    match fs::remove_dir_all(folder) {
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(()),
        removed => removed.with_context(|| format!("failed to remove {}", folder.display())),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_are_single_words_or_refused() {
        assert_eq!(quoted(Path::new("/a b/it's")), r"'/a b/it'\''s'");
        assert_eq!(directive(Path::new("/a b")).unwrap(), "\"/a b\"");
        assert!(directive(Path::new("/a%b")).is_err() && directive(Path::new("/a\nb")).is_err());
    }
}
