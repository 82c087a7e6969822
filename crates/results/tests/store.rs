//! The store on disk: what goes in comes out, files that are not stores are told apart, kills and neighbours do no harm.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

mod common;

use bakeoff_results::{Measured, Outcome, Repeat, Row, Run, Seconds, Store, StoreError};
use common::{cell, done, failed, measured, refused, run_of};
use proptest::prelude::*;
use rusqlite::Connection;
use std::fs;
use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use tempfile::TempDir;

const LABELS: [usize; 4] = [0, 1, 2, 1];

fn sample() -> Run {
    run_of(&["b", "a"], &LABELS, 3)
}

fn fresh() -> (TempDir, PathBuf) {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("results.sqlite");
    (folder, path)
}

#[test]
fn what_goes_in_comes_out_in_the_order_of_the_plan() {
    let (_folder, path) = fresh();
    let run = sample();
    let store = Store::create_or_open(&path, &run).unwrap();
    let small = Row { cell: cell("b", u64::MAX, Some(50)), ..done("b", u64::MAX, &LABELS) };
    let planned = [small, done("b", 0, &LABELS), refused("b", u64::MAX, "no"), failed("a", 1, "diverged")];
    for row in planned.iter().rev() {
        assert!(store.commit(row).unwrap());
    }
    assert_eq!(store.rows().unwrap(), planned);
    drop(store);
    let again = Store::open(&path).unwrap();
    assert_eq!((again.run(), again.rows().unwrap()), (run, planned.to_vec()));
    assert!(again.has(&planned[0].cell.digest).unwrap() && !again.has("another").unwrap());
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(32))]

    #[test]
    fn numbers_come_back_to_the_bit(
        seconds in any::<f64>().prop_filter("finite", |v| v.is_finite()),
        seed in any::<u64>(),
        notes in proptest::collection::vec(any::<String>(), 0..3),
        predicted in proptest::collection::vec(0..3usize, 4),
    ) {
        let (_folder, path) = fresh();
        let store = Store::create_or_open(&path, &sample()).unwrap();
        let mut row = done("a", seed, &predicted);
        let Outcome::Done(measured) = &mut row.outcome else { unreachable!() };
        measured.total = Seconds(seconds);
        measured.notes = notes;
        store.commit(&row).unwrap();
        prop_assert_eq!(store.rows().unwrap(), vec![row]);
    }
}

#[test]
fn many_classes_take_four_bytes_an_id() {
    let (_folder, path) = fresh();
    let run = run_of(&["a"], &[69_999, 1], 70_000);
    let store = Store::create_or_open(&path, &run).unwrap();
    store.commit(&done("a", 0, &[65_536, 69_999])).unwrap();
    let store = Store::open(&path).unwrap();
    assert_eq!(store.run().dataset.test_labels, [69_999, 1]);
    assert_eq!(store.rows().unwrap(), [done("a", 0, &[65_536, 69_999])]);
}

#[test]
fn the_first_row_of_a_cell_stays() {
    let (_folder, path) = fresh();
    let store = Store::create_or_open(&path, &sample()).unwrap();
    assert!(store.commit(&done("a", 0, &LABELS)).unwrap());
    assert!(!store.commit(&failed("a", 0, "a repeat of the same cell")).unwrap());
    assert_eq!(store.rows().unwrap(), [done("a", 0, &LABELS)]);
}

#[test]
fn the_same_experiment_continues_and_another_is_refused() {
    let (_folder, path) = fresh();
    Store::create_or_open(&path, &sample()).unwrap().commit(&done("a", 0, &LABELS)).unwrap();
    let mut elsewhere = sample();
    elsewhere.host.cpu = "another processor".to_owned();
    let store = Store::create_or_open(&path, &elsewhere).unwrap();
    assert_eq!((store.rows().unwrap().len(), store.run().host.cpu.as_str()), (1, "a processor"));
    let mut changed = sample();
    changed.digest = "00".repeat(32);
    match Store::create_or_open(&path, &changed).unwrap_err() {
        StoreError::OtherExperiment { expected, found, .. } => {
            assert_eq!((expected, found), (changed.digest, sample().digest));
        }
        other => panic!("{other}"),
    }
}

#[test]
fn rows_that_contradict_the_run_are_not_stored() {
    let (_folder, path) = fresh();
    let store = Store::create_or_open(&path, &sample()).unwrap();
    let problem = |row: Row| store.commit(&row).unwrap_err().to_string();
    assert!(problem(done("c", 0, &LABELS)).contains("no pipeline \"c\""));
    assert!(problem(done("a", 0, &[0])).contains("expected predictions for 4 test images, found 1"));
    assert!(problem(done("a", 0, &[0, 0, 3, 0])).contains("class id 3 of test image 2 is not below 3"));
    let mut endless = measured(&LABELS);
    endless.fit = vec![Seconds(f64::INFINITY)];
    let row = Row { cell: cell("a", 0, None), outcome: Outcome::Done(Box::new(endless)) };
    assert!(problem(row).contains("not finite"));
    assert_eq!(store.rows().unwrap(), []);
    let (_folder, path) = fresh();
    let error = Store::create_or_open(&path, &run_of(&["a"], &[5], 2)).unwrap_err();
    assert!(error.to_string().contains("class id 5 of test image 0 is not below 2"), "{error}");
    for (confidence, equivalence) in [(1.0, 0.0), (f64::NAN, 0.0), (0.95, -0.1), (0.95, f64::INFINITY)] {
        let run = Run { confidence, equivalence, ..sample() };
        assert!(matches!(Store::create_or_open(&path, &run).unwrap_err(), StoreError::Unfit { .. }));
    }
    assert!(!path.exists());
}

#[test]
fn a_store_that_was_killed_while_it_was_made_is_made_again() {
    let (_folder, path) = fresh();
    assert!(!Store::is_begun(&path).unwrap() && !path.exists());
    // Before the first write, and after the switch to WAL.
    fs::write(&path, b"").unwrap();
    assert!(!Store::is_begun(&path).unwrap());
    Connection::open(&path).unwrap().pragma_update_and_check(None, "journal_mode", "WAL", |_| Ok(())).unwrap();
    assert!(fs::metadata(&path).unwrap().len() > 0 && !Store::is_begun(&path).unwrap());
    drop(Store::create_or_open(&path, &sample()).unwrap());
    assert!(Store::is_begun(&path).unwrap());
    fs::write(
        &path,
        "no database, but a text that is longer than the hundred bytes of a header of SQLite's files".repeat(3),
    )
    .unwrap();
    assert!(matches!(Store::is_begun(&path).unwrap_err(), StoreError::Foreign { .. }));
}

#[test]
fn files_that_are_no_stores_are_named_and_left_alone() {
    let (folder, path) = fresh();
    assert!(matches!(Store::open(&path).unwrap_err(), StoreError::Missing { .. }));
    assert!(!path.exists());
    assert!(matches!(Store::open(folder.path()).unwrap_err(), StoreError::Missing { .. }));
    assert!(Store::create_or_open(folder.path(), &sample()).is_err());

    fs::write(&path, b"").unwrap();
    assert!(matches!(Store::open(&path).unwrap_err(), StoreError::Foreign { .. }));

    let text = "a text that is longer than the hundred bytes of a header of SQLite's files. ".repeat(3);
    fs::write(&path, &text).unwrap();
    assert!(matches!(Store::open(&path).unwrap_err(), StoreError::Foreign { .. }));
    assert!(matches!(Store::create_or_open(&path, &sample()).unwrap_err(), StoreError::Foreign { .. }));
    assert_eq!(fs::read_to_string(&path).unwrap(), text);

    fs::remove_file(&path).unwrap();
    Connection::open(&path).unwrap().execute_batch("CREATE TABLE places (url TEXT)").unwrap();
    let before = fs::read(&path).unwrap();
    let error = Store::create_or_open(&path, &sample()).unwrap_err();
    assert!(matches!(&error, StoreError::Foreign { found, .. } if found.contains("application id 0")), "{error}");
    assert_eq!(fs::read(&path).unwrap(), before);
}

#[test]
fn a_newer_schema_is_told_with_both_versions() {
    let (_folder, path) = fresh();
    drop(Store::create_or_open(&path, &sample()).unwrap());
    Connection::open(&path).unwrap().pragma_update(None, "user_version", 4).unwrap();
    for error in [Store::open(&path).unwrap_err(), Store::create_or_open(&path, &sample()).unwrap_err()] {
        assert!(error.to_string().contains("has schema version 4, this program knows 3"), "{error}");
    }
    Connection::open(&path).unwrap().pragma_update(None, "user_version", -7).unwrap();
    assert!(matches!(Store::open(&path).unwrap_err(), StoreError::Damaged { .. }));
}

#[test]
fn every_truncation_is_an_error_or_a_whole_store() {
    let (folder, path) = fresh();
    filled(&path);
    let bytes = fs::read(&path).unwrap();
    let cut = folder.path().join("cut.sqlite");
    for length in (0..bytes.len()).step_by(509) {
        fs::write(&cut, &bytes[..length]).unwrap();
        let read = Store::open(&cut).and_then(|store| store.rows());
        assert!(read.is_err(), "cut to {length} of {} bytes", bytes.len());
    }
}

#[test]
fn damage_in_the_middle_is_never_read_as_results() {
    let (folder, path) = fresh();
    filled(&path);
    let (bytes, whole) = (fs::read(&path).unwrap(), Store::open(&path).unwrap());
    let (run, rows) = (whole.run(), whole.rows().unwrap());
    drop(whole);
    let broken = folder.path().join("broken.sqlite");
    let mut noticed = 0;
    for at in (0..bytes.len()).step_by(151) {
        let mut copy = bytes.clone();
        copy[at] ^= 0x55;
        fs::write(&broken, &copy).unwrap();
        match Store::open(&broken).and_then(|store| Ok((store.run(), store.rows()?))) {
            // Bytes that hold nothing (free space in a page) may change without harm.
            Ok(read) => assert_eq!(read, (run.clone(), rows.clone()), "a changed byte at {at} changed the results"),
            Err(StoreError::Damaged { .. } | StoreError::Foreign { .. } | StoreError::Newer { .. }) => noticed += 1,
            Err(other) => panic!("byte {at}: {other}"),
        }
    }
    assert!(noticed > 60, "only {noticed} changes were noticed");
}

#[test]
fn a_changed_prediction_is_named_by_its_cell() {
    let (_folder, path) = fresh();
    filled(&path);
    let connection = Connection::open(&path).unwrap();
    connection.execute("UPDATE cell SET predicted = zeroblob(8) WHERE digest = 'b/0/None'", []).unwrap();
    let error = Store::open(&path).unwrap().rows().unwrap_err();
    assert!(error.to_string().contains("cell b/0/None: its checksum does not fit"), "{error}");
    connection.execute("DROP TABLE cell", []).unwrap();
    assert!(matches!(Store::open(&path).unwrap().rows().unwrap_err(), StoreError::Damaged { .. }));
    connection.execute("DELETE FROM run", []).unwrap();
    assert!(matches!(Store::open(&path).unwrap_err(), StoreError::Damaged { .. }));
}

#[test]
fn a_transaction_copied_half_way_is_gone() {
    let (folder, path) = fresh();
    filled(&path);
    let rows = Store::open(&path).unwrap().rows().unwrap();
    let writer = Connection::open(&path).unwrap();
    // A cache this small spills uncommitted pages into the WAL file.
    writer.execute_batch("PRAGMA cache_size = 2; BEGIN; DELETE FROM cell;").unwrap();
    for i in 0..200 {
        let junk = "INSERT INTO cell VALUES (?1, 'a', 0, NULL, 'failed', hex(zeroblob(500)), NULL, NULL, 0)";
        writer.execute(junk, [format!("junk {i}")]).unwrap();
    }
    let copy = folder.path().join("copy.sqlite");
    let wal = |path: &Path| PathBuf::from(format!("{}-wal", path.display()));
    assert!(fs::metadata(wal(&path)).unwrap().len() > 50_000, "nothing was written yet");
    fs::copy(wal(&path), wal(&copy)).unwrap();
    fs::copy(&path, &copy).unwrap();
    assert_eq!(Store::open(&copy).unwrap().rows().unwrap(), rows);
}

/// Root may write everywhere, so this shows something only where another user runs it.
#[cfg(unix)]
#[test]
fn a_folder_without_permission_to_write_can_be_read() {
    use std::os::unix::fs::PermissionsExt;
    let (folder, path) = fresh();
    filled(&path);
    let rows = Store::open(&path).unwrap().rows().unwrap();
    let allow = |mode: u32, path: &Path| fs::set_permissions(path, fs::Permissions::from_mode(mode)).unwrap();
    allow(0o444, &path);
    allow(0o555, folder.path());
    let read = Store::open(&path).and_then(|store| store.rows());
    allow(0o755, folder.path());
    assert_eq!(read.unwrap(), rows);
}

const CHILD: &str = "BAKEOFF_TEST_STORE_CHILD";

/// This test program once more, running one test as the child's role.
fn child(test: &str, path: &Path, first_seed: u64) -> Child {
    let role = format!("{first_seed}:{}", path.display());
    Command::new(std::env::current_exe().unwrap())
        .args(["--exact", test, "--nocapture"])
        .env(CHILD, role)
        .stdout(Stdio::piped())
        .spawn()
        .unwrap()
}

/// In a child, the first seed and the store's path.
fn role() -> Option<(u64, PathBuf)> {
    let role = std::env::var(CHILD).ok()?;
    let (seed, path) = role.split_once(':').unwrap();
    Some((seed.parse().unwrap(), path.into()))
}

#[test]
fn a_killed_process_leaves_whole_rows_only() {
    if let Some((first, path)) = role() {
        let store = Store::create_or_open(&path, &sample()).unwrap();
        for seed in first.. {
            store.commit(&done("a", seed, &LABELS)).unwrap();
            println!("stored {seed}");
        }
    }
    let (_folder, path) = fresh();
    for round in 0..4 {
        let mut writer = child("a_killed_process_leaves_whole_rows_only", &path, round * 1_000_000);
        let mut told = BufReader::new(writer.stdout.take().unwrap()).lines().map_while(Result::ok);
        let before = if round == 0 { 0 } else { Store::open(&path).unwrap().rows().unwrap().len() };
        let n_told = told.by_ref().filter(|line| line.starts_with("stored")).take(3 + 7 * round as usize).count();
        writer.kill().unwrap();
        writer.wait().unwrap();
        let rows = Store::open(&path).unwrap().rows().unwrap();
        assert!(rows.len() >= before.max(n_told), "{} rows, {n_told} were told to be stored", rows.len());
        assert!(rows.iter().all(|row| row.outcome == done("a", 0, &LABELS).outcome));
    }
}

#[test]
fn processes_share_one_store() {
    if let Some((first, path)) = role() {
        let store = Store::create_or_open(&path, &sample()).unwrap();
        let stored = (first..first + 30).filter(|&seed| store.commit(&done("a", seed, &LABELS)).unwrap()).count();
        println!("\nnew {stored}");
        return;
    }
    let (_folder, path) = fresh();
    // Seeds 0..30, 20..50 and 40..70: twenty cells are done twice.
    let writers = [0, 20, 40].map(|first| child("processes_share_one_store", &path, first));
    let new: usize = writers.into_iter().map(newly_stored).sum();
    let seeds: Vec<u64> = Store::open(&path).unwrap().rows().unwrap().iter().map(|row| row.cell.seed).collect();
    assert_eq!((new, seeds), (70, (0..70).collect()));
}

fn newly_stored(writer: Child) -> usize {
    let output = writer.wait_with_output().unwrap();
    let told = String::from_utf8(output.stdout).unwrap();
    let line = told.lines().find_map(|line| line.strip_prefix("new "));
    line.unwrap_or_else(|| panic!("the child failed: {told}")).parse().unwrap()
}

fn filled(path: &Path) {
    let store = Store::create_or_open(path, &sample()).unwrap();
    for seed in 0..25 {
        store.commit(&done("b", seed, &LABELS)).unwrap();
        store.commit(&failed("a", seed, "the loss is NaN in epoch 3")).unwrap();
    }
}

#[test]
fn scores_come_back_to_the_bit_and_only_when_asked_for() {
    let folder = tempfile::tempdir().unwrap();
    let run = sample();
    let (n, k) = (run.dataset.test_labels.len(), run.dataset.classes.len());
    let store = Store::create_or_open(&folder.path().join("r.sqlite"), &run).unwrap();
    let mut row = done(&run.pipelines[0], 0, &vec![0; n]);
    let scores: Vec<f32> = (0..n * k).map(|i| (i as f32).sin() * 1e-3).collect();
    let Outcome::Done(measured) = &mut row.outcome else { unreachable!() };
    measured.scores.clone_from(&scores);
    assert!(store.commit(&row).unwrap() && !store.commit(&row).unwrap());
    assert_eq!(store.scores(&row.cell.digest).unwrap(), Some(scores));
    assert_eq!(store.scores("none").unwrap(), None);
    assert_eq!(store.digests().unwrap().into_iter().collect::<Vec<_>>(), [row.cell.digest.clone()]);
    let Outcome::Done(read) = &store.rows().unwrap()[0].outcome else { unreachable!() };
    assert!(read.scores.is_empty());
    let Outcome::Done(measured) = &mut row.outcome else { unreachable!() };
    measured.scores.pop();
    row.cell.digest = "f".repeat(64);
    assert!(store.commit(&row).unwrap_err().to_string().contains("scores for each of"));
}

#[test]
fn scores_that_were_changed_on_disk_are_told() {
    let folder = tempfile::tempdir().unwrap();
    let (path, run) = (folder.path().join("r.sqlite"), sample());
    let store = Store::create_or_open(&path, &run).unwrap();
    let (n, k) = (run.dataset.test_labels.len(), run.dataset.classes.len());
    let mut row = done(&run.pipelines[0], 0, &vec![0; n]);
    let Outcome::Done(measured) = &mut row.outcome else { unreachable!() };
    measured.scores = vec![1.5; n * k];
    store.commit(&row).unwrap();
    let other = rusqlite::Connection::open(&path).unwrap();
    other.execute("UPDATE score SET scores = zeroblob(length(scores))", []).unwrap();
    let told = store.scores(&row.cell.digest).unwrap_err().to_string();
    assert!(told.contains("checksum of the scores"), "{told}");
}

#[test]
fn a_store_of_the_first_version_is_continued_without_scores() {
    let folder = tempfile::tempdir().unwrap();
    let (path, run) = (folder.path().join("r.sqlite"), sample());
    drop(Store::create_or_open(&path, &run).unwrap());
    let old = rusqlite::Connection::open(&path).unwrap();
    old.execute_batch("DROP TABLE score; DROP TABLE repeat; PRAGMA user_version = 1").unwrap();
    drop(old);
    let store = Store::create_or_open(&path, &run).unwrap();
    let (n, k) = (run.dataset.test_labels.len(), run.dataset.classes.len());
    let mut row = done(&run.pipelines[0], 0, &vec![0; n]);
    let Outcome::Done(measured) = &mut row.outcome else { unreachable!() };
    measured.scores = vec![0.5; n * k];
    assert!(store.commit(&row).unwrap());
    assert_eq!((store.scores(&row.cell.digest).unwrap(), store.rows().unwrap().len()), (None, 1));
    assert!(!store.commit_repeat(&repeat_of(&row, 1)).unwrap());
    assert_eq!(store.rows().unwrap(), [Row { outcome: without_scores(&row.outcome), ..row }]);
}

fn without_scores(outcome: &Outcome) -> Outcome {
    let Outcome::Done(measured) = outcome else { unreachable!() };
    Outcome::Done(Box::new(Measured { scores: Vec::new(), ..(**measured).clone() }))
}

/// Times that differ from part to part and from repeat to repeat.
fn repeat_of(row: &Row, number: usize) -> Repeat {
    let seconds = |part: f64| Seconds(part + number as f64 / 16.0);
    let (features, fit, predict) = (seconds(0.25), seconds(0.5), seconds(0.75));
    Repeat { digest: row.cell.digest.clone(), number, features, fit, predict, same: number != 2 }
}

#[test]
fn repeats_follow_the_timing_of_their_cell() {
    let (_folder, path) = fresh();
    let run = sample();
    let store = Store::create_or_open(&path, &run).unwrap();
    let row = done(&run.pipelines[0], 0, &vec![0; run.dataset.test_labels.len()]);
    assert!(store.commit(&row).unwrap());
    for number in [2, 1] {
        assert!(store.commit_repeat(&repeat_of(&row, number)).unwrap());
        assert!(!store.commit_repeat(&repeat_of(&row, number)).unwrap(), "the first stays");
    }
    drop(store);
    let store = Store::open(&path).unwrap();
    let rows = store.rows().unwrap();
    let (Outcome::Done(before), Outcome::Done(after)) = (&row.outcome, &rows[0].outcome) else { unreachable!() };
    assert_eq!(after.features, [before.features[0], Seconds(0.3125), Seconds(0.375)]);
    assert_eq!(after.fit, [before.fit[0], Seconds(0.5625), Seconds(0.625)]);
    assert_eq!(after.predict, [before.predict[0], Seconds(0.8125), Seconds(0.875)]);
    assert_eq!(after.notes.len(), before.notes.len() + 1, "{:?}", after.notes);
    // A time that is none, a number that is none, and a cell that is not there.
    let unfit = [Repeat { fit: Seconds(f64::NAN), ..repeat_of(&row, 3) }, repeat_of(&row, 0)];
    for repeat in unfit {
        assert!(matches!(store.commit_repeat(&repeat), Err(StoreError::Unfit { .. })), "{repeat:?}");
    }
    drop(store);
    Connection::open(&path).unwrap().execute("UPDATE repeat SET fit = 9 WHERE number = 2", []).unwrap();
    let told = Store::open(&path).unwrap().rows().unwrap_err().to_string();
    assert!(told.contains("checksum of repeat 2"), "{told}");
}
