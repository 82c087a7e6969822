//! What lies in a run's folder for the tasks of a job array: `slurm/plan.json`, lists of cells, scripts, logs and parts.

use crate::run_folder;
use anyhow::Context;
use serde::{Deserialize, Serialize};
use std::fs;
use std::path::{Path, PathBuf};

/// The folder of scripts and lists in that of the run.
pub(crate) const FOLDER: &str = "slurm";
/// Where each task has a store of its own: SQLite's locks are not to be trusted on network file systems.
pub(crate) const PARTS: &str = "slurm/parts";
const PLAN: &str = "slurm/plan.json";

/// What was submitted.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Submitted {
    /// The digest of the experiment.
    pub(crate) digest: String,
    /// What follows `bakeoff run` on the command line.
    pub(crate) arguments: Vec<String>,
    /// Cells of the whole plan.
    pub(crate) cells: usize,
    /// Tasks of each class.
    pub(crate) tasks: Vec<usize>,
    /// The jobs: one array a class, and the one that gathers.
    pub(crate) jobs: Vec<String>,
}

impl Submitted {
    /// What was submitted for the run in this folder; `None` where nothing was.
    pub(crate) fn read(folder: &Path) -> anyhow::Result<Option<Self>> {
        let path = folder.join(PLAN);
        let about = || format!("failed to read {}", path.display());
        match fs::read_to_string(&path) {
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(None),
            text => Ok(Some(serde_json::from_str(&text.with_context(about)?).with_context(about)?)),
        }
    }

    pub(crate) fn write(&self, folder: &Path) -> anyhow::Result<()> {
        run_folder::write(&folder.join(PLAN), format!("{}\n", serde_json::to_string_pretty(self)?))
    }
}

/// The list of a class: a digest a line.
pub(crate) fn list(folder: &Path, class: usize) -> PathBuf {
    folder.join(FOLDER).join(format!("class-{class}.txt"))
}

/// The cells of a task: every `tasks`-th of its class, so that slow pipelines are shared out.
pub(crate) fn cells_of(list: &str, task: usize, tasks: usize) -> impl Iterator<Item = &str> {
    list.lines().skip(task).step_by(tasks.max(1))
}

/// The folder of a task's part.
pub(crate) fn part(folder: &Path, class: usize, task: usize) -> PathBuf {
    folder.join(PARTS).join(format!("{class}-{task}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tasks_share_a_class_out() {
        let list = "a\nb\nc\nd\ne\n";
        let of = |task| cells_of(list, task, 2).collect::<Vec<_>>();
        assert_eq!((of(0), of(1)), (vec!["a", "c", "e"], vec!["b", "d"]));
        assert_eq!(cells_of(list, 9, 3).count(), 0);
    }

    #[test]
    fn what_was_submitted_comes_back() {
        let folder = tempfile::tempdir().unwrap();
        assert_eq!(Submitted::read(folder.path()).unwrap(), None);
        fs::create_dir(folder.path().join(FOLDER)).unwrap();
        let submitted =
            Submitted { digest: "d".into(), arguments: vec!["quick".into()], cells: 7, tasks: vec![3], jobs: vec![] };
        submitted.write(folder.path()).unwrap();
        assert_eq!(Submitted::read(folder.path()).unwrap(), Some(submitted));
        fs::write(folder.path().join(PLAN), "{").unwrap();
        assert!(Submitted::read(folder.path()).is_err());
    }
}
