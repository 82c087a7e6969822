//! The folder of a run: which one it is, and what lies in it.
//!
//! `NAME/experiment.toml` the experiment as written, `NAME/host.json` the machine that began it, `NAME/results.sqlite`
//! the rows, `NAME/models/` a fitted pipeline each, `NAME/states/` trainings that are not finished, `NAME/pictures.json` the pictures of the report, `NAME/report/` what was rendered
//! last.
//!
//! A run is identified by the digest of its experiment as meant (with the content of its data), not by its name. Of
//! `NAME`, `NAME-2`, `NAME-3` … the last one with our digest is continued; when none has it, or with `--fresh`, the
//! first name that is free is taken. So a changed experiment gets a folder of its own, going back to the old one
//! continues that, and nothing is ever deleted or written over.

use crate::terminal::tell;
use anyhow::{Context, bail};
use bakeoff_results::Store;
use std::ffi::OsString;
use std::fs;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

/// The experiment as written.
pub(crate) const EXPERIMENT: &str = "experiment.toml";
/// The machine.
pub(crate) const HOST: &str = "host.json";
/// The rows.
pub(crate) const STORE: &str = "results.sqlite";
/// The fitted pipelines.
pub(crate) const MODELS: &str = "models";
/// States of trainings that are not finished.
pub(crate) const STATES: &str = "states";
/// What a process that works on the run holds locked.
pub(crate) const LOCK: &str = ".lock";
/// Pictures of what was learned and of telling images.
pub(crate) const PICTURES: &str = "pictures.json";
/// What was rendered.
pub(crate) const REPORT: &str = "report";

/// Numbered folders that are looked at; more than this and something else is wrong.
const MOST: usize = 10_000;

/// What there is at a path that could be a run's folder.
#[derive(Debug, PartialEq)]
enum Place {
    /// Nothing yet, or a run that was stopped before its store was made.
    Free,
    /// A run with this digest.
    Run(String),
    /// Something that is not ours.
    Foreign,
}

/// The folder to work in for an experiment of this digest.
///
/// # Errors
/// When `base` itself is something else than a run, or a run that cannot be read.
pub(crate) fn choose(base: &Path, digest: &str, fresh: bool) -> anyhow::Result<PathBuf> {
    let mut free = None;
    let mut ours = None;
    for number in 1..=MOST {
        let folder = numbered(base, number);
        let exists = folder.symlink_metadata().is_ok();
        match look_at(&folder)? {
            Place::Free => free = free.or(Some(folder)),
            Place::Run(found) if found == digest => ours = Some(folder),
            Place::Foreign if number == 1 => {
                bail!("{} is there and is not a run of bakeoff; name another folder with --out", folder.display())
            }
            Place::Run(_) | Place::Foreign => {}
        }
        // Numbers are given without gaps, so that the first that is missing is behind the last.
        if !exists {
            break;
        }
    }
    let chosen = if fresh { free } else { ours.or(free) };
    chosen.with_context(|| format!("there are {MOST} runs beside {}; name another folder with --out", base.display()))
}

fn numbered(base: &Path, number: usize) -> PathBuf {
    if number == 1 {
        return base.to_owned();
    }
    let mut name = base.file_name().map(OsString::from).unwrap_or_default();
    name.push(format!("-{number}"));
    base.with_file_name(name)
}

fn look_at(folder: &Path) -> anyhow::Result<Place> {
    let about = || format!("failed to look into {}", folder.display());
    match fs::metadata(folder) {
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(Place::Free),
        Err(error) => return Err(error).with_context(about),
        Ok(found) if !found.is_dir() => return Ok(Place::Foreign),
        Ok(_) => {}
    }
    let store = folder.join(STORE);
    let continued = || format!("{} cannot be continued; --out names another", folder.display());
    if Store::is_begun(&store).with_context(continued)? {
        return Ok(Place::Run(Store::open(&store).with_context(continued)?.run().digest));
    }
    for entry in fs::read_dir(folder).with_context(about)? {
        let name = entry.with_context(about)?.file_name();
        let is_ours = [EXPERIMENT, HOST, MODELS, STATES, PICTURES, REPORT, LOCK]
            .iter()
            .any(|ours| name == *ours || name == *temporary_name(ours))
            // And what a database that was never begun may lie beside.
            || ["", "-wal", "-shm", "-journal"].iter().any(|part| name == *format!("{STORE}{part}"));
        if !is_ours {
            return Ok(Place::Foreign);
        }
    }
    Ok(Place::Free)
}

/// Waits until no other process works on the run, and keeps others waiting for as long as what it returns lives. The system
/// takes the lock back from a process that dies. `None` when the user did not want to wait any longer.
pub(crate) fn alone(folder: &Path, stop: &AtomicBool) -> anyhow::Result<Option<fs::File>> {
    let path = folder.join(LOCK);
    let about = || format!("failed to lock {}", path.display());
    let lock = fs::File::create(&path).with_context(about)?;
    let mut is_told = false;
    loop {
        match lock.try_lock() {
            Ok(()) => return Ok(Some(lock)),
            Err(fs::TryLockError::WouldBlock) => {}
            Err(fs::TryLockError::Error(error)) => return Err(error).with_context(about),
        }
        if !is_told {
            tell(&format!("another process works on {}; waiting for it", folder.display()));
            is_told = true;
        }
        if stop.load(Ordering::Relaxed) {
            return Ok(None);
        }
        std::thread::sleep(Duration::from_millis(100));
    }
}

/// Writes a file so that a reader finds the old one or the new one and never a part.
pub(crate) fn write(path: &Path, content: impl AsRef<[u8]>) -> anyhow::Result<()> {
    let name = path.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
    let temporary = path.with_file_name(temporary_name(&name));
    let written = fs::File::create(&temporary)
        .and_then(|mut file| file.write_all(content.as_ref()).and_then(|()| file.sync_all()))
        .and_then(|()| fs::rename(&temporary, path));
    if written.is_err() {
        // What is half-written helps nobody; that it cannot be removed either is the smaller news.
        let _ = fs::remove_file(&temporary);
    }
    written.with_context(|| format!("failed to write {}", path.display()))
}

/// The name under which a file of this name is written before it is whole.
pub(crate) fn temporary_name(name: &str) -> String {
    format!(".{name}.part")
}

#[cfg(test)]
mod tests {
    use super::*;
    use bakeoff_results::{Dataset, Host, Run};

    fn make_run(folder: &Path, digest: &str) {
        fs::create_dir_all(folder).unwrap();
        let dataset = Dataset {
            name: "d".into(),
            sha256: "0".repeat(64),
            classes: vec!["a".into(), "b".into()],
            shape: (1, 1, 1),
            train_counts: vec![1, 1],
            test_counts: vec![1, 1],
            test_labels: vec![0, 1],
            notes: Vec::new(),
            files: Vec::new(),
            audit: None,
        };
        let host = Host {
            cpu: String::new(),
            cores: 1,
            threads: 1,
            simd: String::new(),
            memory_mb: 0,
            os: String::new(),
            version: String::new(),
            commit: String::new(),
        };
        let run = Run {
            name: "r".into(),
            question: String::new(),
            as_written: String::new(),
            as_meant: String::new(),
            digest: digest.to_owned(),
            dataset,
            host,
            pipelines: vec!["p".into()],
            comparisons: Vec::new(),
            confidence: 0.95,
            equivalence: 0.005,
            noise: None,
        };
        Store::create_or_open(&folder.join(STORE), &run).unwrap();
    }

    fn digest(letter: &str) -> String {
        letter.repeat(64)
    }

    #[test]
    fn the_same_experiment_continues_and_a_changed_one_moves_on() {
        let room = tempfile::tempdir().unwrap();
        let base = room.path().join("quick");
        let at = |number| numbered(&base, number);
        assert_eq!(choose(&base, &digest("a"), false).unwrap(), base);
        make_run(&base, &digest("a"));
        assert_eq!(choose(&base, &digest("a"), false).unwrap(), base);
        assert_eq!(choose(&base, &digest("b"), false).unwrap(), at(2));
        make_run(&at(2), &digest("b"));
        assert_eq!(choose(&base, &digest("a"), false).unwrap(), base);
        assert_eq!(choose(&base, &digest("b"), false).unwrap(), at(2));
        assert_eq!(choose(&base, &digest("a"), true).unwrap(), at(3));
        make_run(&at(3), &digest("a"));
        assert_eq!(choose(&base, &digest("a"), false).unwrap(), at(3));
    }

    #[test]
    fn what_is_not_ours_is_left_alone() {
        let room = tempfile::tempdir().unwrap();
        let base = room.path().join("photos");
        fs::create_dir_all(base.join("cats")).unwrap();
        let told = choose(&base, &digest("a"), false).unwrap_err().to_string();
        assert!(told.contains("is not a run of bakeoff; name another folder with --out"), "{told}");
        assert!(choose(&base, &digest("a"), true).is_err());
        fs::write(room.path().join("file"), "x").unwrap();
        assert!(choose(&room.path().join("file"), &digest("a"), false).is_err());
    }

    #[test]
    fn a_run_that_was_killed_before_its_first_row_is_begun_again_in_place() {
        let room = tempfile::tempdir().unwrap();
        fs::write(room.path().join(EXPERIMENT), "x").unwrap();
        fs::write(room.path().join(temporary_name(HOST)), "x").unwrap();
        assert_eq!(choose(room.path(), &digest("a"), false).unwrap(), room.path());
        // Between the making of the store's file and the first write to it.
        fs::write(room.path().join(STORE), "").unwrap();
        assert_eq!(choose(room.path(), &digest("a"), false).unwrap(), room.path());
        make_run(room.path(), &digest("a"));
        assert_eq!(choose(room.path(), &digest("b"), false).unwrap(), numbered(room.path(), 2));
    }

    #[test]
    fn a_damaged_store_is_told_and_kept() {
        let room = tempfile::tempdir().unwrap();
        fs::write(room.path().join(STORE), "no database").unwrap();
        let told = format!("{:#}", choose(room.path(), &digest("a"), false).unwrap_err());
        assert!(told.contains("cannot be continued"), "{told}");
        assert_eq!(fs::read_to_string(room.path().join(STORE)).unwrap(), "no database");
    }

    #[test]
    fn files_are_replaced_whole() {
        let room = tempfile::tempdir().unwrap();
        let path = room.path().join("a.txt");
        write(&path, "one").unwrap();
        write(&path, "two").unwrap();
        assert_eq!(fs::read_to_string(&path).unwrap(), "two");
        assert_eq!(fs::read_dir(room.path()).unwrap().count(), 1);
        assert!(write(&room.path().join("none/a.txt"), "x").is_err());
    }
}
