//! The store of one run: an SQLite file in WAL mode, one transaction a finished cell.
//!
//! # Schema, version 3
//! `PRAGMA application_id` is 0x62616b65 ("bake"), `PRAGMA user_version` the schema version.
//!
//! ```sql
//! CREATE TABLE run (                       -- exactly one row
//!   id          INTEGER PRIMARY KEY CHECK (id = 1),
//!   digest      TEXT NOT NULL,             -- of the experiment as meant
//!   json        TEXT NOT NULL,             -- the Run, its dataset.test_labels empty
//!   id_bytes    INTEGER NOT NULL,          -- 2 or 4: bytes of a class id in the blobs, little endian
//!   test_labels BLOB NOT NULL,             -- the class id of every test image
//!   checksum    INTEGER NOT NULL
//! ) STRICT;
//! CREATE TABLE cell (                      -- one row a finished cell, in the order they finished
//!   digest      TEXT PRIMARY KEY,
//!   pipeline    TEXT NOT NULL,
//!   seed        INTEGER NOT NULL,          -- the 64 bits of the unsigned seed, read as signed
//!   train_size  INTEGER,                   -- NULL for all images
//!   outcome     TEXT NOT NULL,             -- done, refused or failed
//!   message     TEXT,                      -- the reason or error; NULL when done
//!   measured    TEXT,                      -- JSON of Measured without `predicted` and `scores`; NULL unless done
//!   predicted   BLOB,                      -- the predicted class id of every test image; NULL unless done
//!   checksum    INTEGER NOT NULL
//! ) STRICT;
//! CREATE TABLE score (                     -- what the predictions of a cell were chosen by, where it is kept
//!   digest      TEXT PRIMARY KEY REFERENCES cell (digest),
//!   scores      BLOB NOT NULL,             -- f32, little endian, test image after test image, class after class
//!   checksum    INTEGER NOT NULL
//! ) STRICT;
//! CREATE TABLE repeat (                    -- further timings of finished cells
//!   digest      TEXT NOT NULL REFERENCES cell (digest),
//!   number      INTEGER NOT NULL,          -- from 1
//!   features    REAL NOT NULL,             -- wall seconds of the parts
//!   fit         REAL NOT NULL,
//!   predict     REAL NOT NULL,
//!   same        INTEGER NOT NULL,          -- 1 when it predicted what the cell did, else 0
//!   checksum    INTEGER NOT NULL,          -- over the seconds as eight little-endian bytes each
//!   PRIMARY KEY (digest, number)
//! ) STRICT;
//! ```
//!
//! Version 1 had no table `score`, version 2 no table `repeat`; such a store is read and continued as it is, and keeps none of them.
//!
//! A checksum is 64-bit FNV-1a over the row's other columns in order, each as a tag byte (0 for NULL), its length in
//! eight little-endian bytes and its bytes. SQLite notices damaged pages of its trees, but not a changed byte
//! inside a text or blob; these checksums do.
//!
//! # Kills and several processes
//! A row is one `INSERT`, so a killed process leaves all of it or nothing. Several processes on one machine may write
//! to one store: each waits up to 20 seconds for the others' transactions. SQLite's locks are not to be trusted on network file
//! systems, so several hosts each write a store of their own.
//!
//! The first row of a cell stays: a cell's digest stands for everything that decides its result, so a second row could
//! only repeat it, and [`Store::commit`] says by `false` that it stored nothing.

use crate::codec;
use crate::error::{BUSY_SECONDS, StoreError};
use crate::row::{Cell, Outcome, Repeat, Row, Run, Seconds};
use rusqlite::{Connection, OpenFlags, OptionalExtension, params};
use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::time::Duration;

const APPLICATION_ID: i64 = 0x6261_6b65;
const VERSION: i64 = 3;

/// The first version.
const OLDEST: i64 = 1;

const SCHEMA: &str = "
CREATE TABLE run (
  id          INTEGER PRIMARY KEY CHECK (id = 1),
  digest      TEXT NOT NULL,
  json        TEXT NOT NULL,
  id_bytes    INTEGER NOT NULL CHECK (id_bytes IN (2, 4)),
  test_labels BLOB NOT NULL,
  checksum    INTEGER NOT NULL
) STRICT;
CREATE TABLE cell (
  digest      TEXT PRIMARY KEY,
  pipeline    TEXT NOT NULL,
  seed        INTEGER NOT NULL,
  train_size  INTEGER,
  outcome     TEXT NOT NULL CHECK (outcome IN ('done', 'refused', 'failed')),
  message     TEXT,
  measured    TEXT,
  predicted   BLOB,
  checksum    INTEGER NOT NULL
) STRICT;
CREATE TABLE score (
  digest      TEXT PRIMARY KEY REFERENCES cell (digest),
  scores      BLOB NOT NULL,
  checksum    INTEGER NOT NULL
) STRICT;
CREATE TABLE repeat (
  digest      TEXT NOT NULL REFERENCES cell (digest),
  number      INTEGER NOT NULL CHECK (number > 0),
  features    REAL NOT NULL,
  fit         REAL NOT NULL,
  predict     REAL NOT NULL,
  same        INTEGER NOT NULL CHECK (same IN (0, 1)),
  checksum    INTEGER NOT NULL,
  PRIMARY KEY (digest, number)
) STRICT;";

/// The results of one run, on disk.
#[derive(Debug)]
pub struct Store {
    connection: Connection,
    path: PathBuf,
    run: Run,
    /// The schema's version.
    version: i64,
}

impl Store {
    /// Opens the store of this run, or makes one where there is none. A store of the same experiment continues and
    /// keeps the run that it was made with (its host, say).
    ///
    /// # Errors
    /// [`StoreError::OtherExperiment`] when the file holds another experiment's results, [`StoreError::Unfit`] when
    /// the run's labels do not fit its classes, and the errors of [`Store::open`].
    pub fn create_or_open(path: &Path, run: &Run) -> Result<Self, StoreError> {
        codec::check_run(run)?;
        let connection = connect(path, OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_CREATE)?;
        if is_blank(&connection).map_err(|e| StoreError::of(path, e))? {
            create(&connection, run).map_err(|e| StoreError::of(path, e))?;
        }
        let store = Self::of(connection, path)?;
        if store.run.digest == run.digest {
            return Ok(store);
        }
        Err(StoreError::OtherExperiment {
            path: path.to_owned(),
            expected: run.digest.clone(),
            found: store.run.digest.clone(),
        })
    }

    /// Whether there is a store at a path. Who is killed while making one leaves a file without tables, which [`Store::create_or_open`] fills.
    ///
    /// # Errors
    /// [`StoreError::Foreign`], [`StoreError::Damaged`], [`StoreError::Busy`] or, for what the system reports, [`StoreError::Sqlite`].
    pub fn is_begun(path: &Path) -> Result<bool, StoreError> {
        if !path.is_file() {
            return Ok(false);
        }
        let connected = connect(path, OpenFlags::SQLITE_OPEN_READ_WRITE);
        match connected.and_then(|connection| is_blank(&connection).map_err(|e| StoreError::of(path, e))) {
            // What may not be written to is for those who only read it.
            Err(StoreError::Sqlite { source, .. }) if is_denied(&source) => Ok(true),
            blank => blank.map(|is_blank| !is_blank),
        }
    }

    /// Opens an existing store. A folder that may not be written to is no hindrance to reading.
    ///
    /// # Errors
    /// [`StoreError::Missing`], [`StoreError::Foreign`], [`StoreError::Newer`], [`StoreError::Damaged`],
    /// [`StoreError::Busy`] or, for what the system reports, [`StoreError::Sqlite`].
    pub fn open(path: &Path) -> Result<Self, StoreError> {
        if !path.is_file() {
            return Err(StoreError::Missing { path: path.to_owned() });
        }
        let opened = connect(path, OpenFlags::SQLITE_OPEN_READ_WRITE).and_then(|found| Self::of(found, path));
        match opened {
            // WAL needs to write beside the file even to read it, unless the file is declared unchanging.
            Err(StoreError::Sqlite { source, .. }) if is_denied(&source) && !wal_of(path).exists() => {
                Self::of(connect_unchanging(path)?, path)
            }
            opened => opened,
        }
    }

    fn of(connection: Connection, path: &Path) -> Result<Self, StoreError> {
        let version = check_identity(&connection, path)?;
        check_pages(&connection, path)?;
        let run = read_run(&connection, path)?;
        Ok(Self { connection, path: path.to_owned(), run, version })
    }

    /// What the run is about.
    pub fn run(&self) -> Run {
        self.run.clone()
    }

    /// Stores a finished cell as one transaction. `false` says that the cell was there already and nothing changed.
    ///
    /// # Errors
    /// [`StoreError::Unfit`] when the row names a pipeline that the run does not have, predicts for another number of
    /// images or classes, or holds a number that is not finite; else the errors of [`Store::open`].
    pub fn commit(&self, row: &Row) -> Result<bool, StoreError> {
        let stored = codec::encode(&self.run, row)?;
        let insert = "INSERT INTO cell (digest, pipeline, seed, train_size, outcome, message, measured, predicted, \
                      checksum) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9) ON CONFLICT (digest) DO NOTHING";
        let values = params![
            stored.digest,
            stored.pipeline,
            stored.seed,
            stored.train_size,
            stored.outcome,
            stored.message,
            stored.measured,
            stored.predicted,
            stored.checksum(),
        ];
        let scores = codec::encode_scores(row).filter(|_| self.version > 1);
        let write = || -> rusqlite::Result<bool> {
            let transaction = self.connection.unchecked_transaction()?;
            let is_new = transaction.execute(insert, values)? == 1;
            if let Some((bytes, checksum)) = scores.filter(|_| is_new) {
                let insert = "INSERT INTO score (digest, scores, checksum) VALUES (?1, ?2, ?3)";
                transaction.execute(insert, params![stored.digest, bytes, checksum])?;
            }
            transaction.commit()?;
            Ok(is_new)
        };
        write().map_err(|e| self.error(e))
    }

    /// Stores a further timing of a stored cell. `false` says that it was there already, or that the store is of a version that has no
    /// place for it.
    ///
    /// # Errors
    /// [`StoreError::Unfit`] when a time is not finite or its number is 0; else the errors of [`Store::open`].
    pub fn commit_repeat(&self, repeat: &Repeat) -> Result<bool, StoreError> {
        if self.version < 3 {
            return Ok(false);
        }
        let checksum = codec::repeat_checksum(repeat)?;
        let insert = "INSERT INTO repeat (digest, number, features, fit, predict, same, checksum) \
                      VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7) ON CONFLICT DO NOTHING";
        let Repeat { digest, number, features, fit, predict, same } = repeat;
        let values = params![digest, (*number as u64).cast_signed(), features.0, fit.0, predict.0, same, checksum];
        self.connection.execute(insert, values).map(|n| n == 1).map_err(|e| self.error(e))
    }

    /// All further timings, by cell and number.
    fn repeats(&self) -> Result<BTreeMap<String, Vec<Repeat>>, StoreError> {
        let mut repeats = BTreeMap::<String, Vec<Repeat>>::new();
        if self.version < 3 {
            return Ok(repeats);
        }
        let select =
            "SELECT digest, number, features, fit, predict, same, checksum FROM repeat ORDER BY digest, number";
        let mut statement = self.connection.prepare(select).map_err(|e| self.error(e))?;
        let stored = statement.query_map([], stored_repeat).map_err(|e| self.error(e))?;
        for found in stored {
            let (repeat, checksum) = found.map_err(|e| self.error(e))?;
            if codec::repeat_checksum(&repeat).ok() != Some(checksum) {
                let what = format!("cell {}: the checksum of repeat {} does not fit it", repeat.digest, repeat.number);
                return Err(StoreError::damaged(&self.path, what));
            }
            repeats.entry(repeat.digest.clone()).or_default().push(repeat);
        }
        Ok(repeats)
    }

    /// The scores (n, k) of a cell's test images, row by row, as [`Measured::scores`](crate::Measured::scores) had them;
    /// `None` where they were not kept.
    ///
    /// # Errors
    /// [`StoreError::Damaged`] when they are not what was written, else the errors of [`Store::open`].
    pub fn scores(&self, digest: &str) -> Result<Option<Vec<f32>>, StoreError> {
        if self.version < 2 {
            return Ok(None);
        }
        let select = "SELECT scores, checksum FROM score WHERE digest = ?1";
        let found = self.connection.query_row(select, [digest], |row| Ok((row.get::<_, Vec<u8>>(0)?, row.get(1)?)));
        let Some((bytes, checksum)) = found.optional().map_err(|e| self.error(e))? else { return Ok(None) };
        let scores = codec::decode_scores(&self.run, digest, &bytes, checksum);
        scores.map(Some).map_err(|what| StoreError::damaged(&self.path, what))
    }

    /// The digests of all cells that are stored, whatever came of them.
    ///
    /// # Errors
    /// Those of [`Store::open`].
    pub fn digests(&self) -> Result<BTreeSet<String>, StoreError> {
        let read = || -> rusqlite::Result<BTreeSet<String>> {
            self.connection.prepare("SELECT digest FROM cell")?.query_map([], |row| row.get(0))?.collect()
        };
        read().map_err(|e| self.error(e))
    }

    /// Whether the cell with this digest is stored, whatever came of it.
    ///
    /// # Errors
    /// Those of [`Store::open`].
    pub fn has(&self, digest: &str) -> Result<bool, StoreError> {
        let select = "SELECT 1 FROM cell WHERE digest = ?1";
        let found = self.connection.query_row(select, [digest], |_| Ok(())).optional();
        Ok(found.map_err(|e| self.error(e))?.is_some())
    }

    /// All rows in the order of the plan: pipelines as the run names them, then training sizes from small to all, then
    /// seeds. It does not depend on the order in which the cells finished. Timings of repeats follow those of the cell.
    ///
    /// # Errors
    /// [`StoreError::Damaged`] naming the first row that cannot be read, else the errors of [`Store::open`].
    pub fn rows(&self) -> Result<Vec<Row>, StoreError> {
        let (mut rows, repeats) = (self.read_rows()?, self.repeats()?);
        for row in &mut rows {
            if let (Outcome::Done(measured), Some(repeats)) = (&mut row.outcome, repeats.get(&row.cell.digest)) {
                repeats.iter().for_each(|repeat| measured.add(repeat));
            }
        }
        sort_by_plan(&self.run, &mut rows);
        Ok(rows)
    }

    fn read_rows(&self) -> Result<Vec<Row>, StoreError> {
        let select = "SELECT digest, pipeline, seed, train_size, outcome, message, measured, predicted, checksum \
                      FROM cell ORDER BY rowid";
        let mut statement = self.connection.prepare(select).map_err(|e| self.error(e))?;
        let stored = statement.query_map([], stored_row).map_err(|e| self.error(e))?;
        stored
            .map(|row| {
                let (row, checksum) = row.map_err(|e| self.error(e))?;
                codec::decode(&self.run, &row, checksum).map_err(|what| StoreError::damaged(&self.path, what))
            })
            .collect()
    }

    fn error(&self, source: rusqlite::Error) -> StoreError {
        StoreError::of(&self.path, source)
    }
}

/// Sorts rows into the order of the plan: pipelines as the run names them, then training sizes from small to all, then
/// seeds.
pub fn sort_by_plan(run: &Run, rows: &mut [Row]) {
    rows.sort_by_cached_key(|row| plan_key(run, &row.cell));
}

/// Where a cell stands in the plan; pipelines that the run does not name come last, by name.
pub(crate) fn plan_key(run: &Run, cell: &Cell) -> (usize, String, usize, u64, String) {
    let place = run.pipelines.iter().position(|name| *name == cell.pipeline).unwrap_or(usize::MAX);
    (place, cell.pipeline.clone(), cell.train_size.unwrap_or(usize::MAX), cell.seed, cell.digest.clone())
}

fn connect(path: &Path, flags: OpenFlags) -> Result<Connection, StoreError> {
    let open = || {
        let connection = Connection::open_with_flags(path, flags | OpenFlags::SQLITE_OPEN_NO_MUTEX)?;
        connection.busy_timeout(Duration::from_secs(BUSY_SECONDS))?;
        // Every commit reaches the disk: a run of hours is worth a few milliseconds a cell.
        connection.pragma_update(None, "synchronous", "FULL")?;
        Ok(connection)
    };
    open().map_err(|e| StoreError::of(path, e))
}

/// Opens a file that nothing will change while it is open.
fn connect_unchanging(path: &Path) -> Result<Connection, StoreError> {
    let absolute = std::path::absolute(path).unwrap_or_else(|_| path.to_owned());
    let uri = format!("file:{}?immutable=1", percent_encoded(absolute.as_os_str().as_encoded_bytes()));
    let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_URI | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    Connection::open_with_flags(uri, flags).map_err(|e| StoreError::of(path, e))
}

fn percent_encoded(bytes: &[u8]) -> String {
    let encode = |&b: &u8| match b {
        b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'/' | b'-' | b'_' | b'.' | b'~' => char::from(b).to_string(),
        _ => format!("%{b:02X}"),
    };
    bytes.iter().map(encode).collect()
}

fn is_denied(error: &rusqlite::Error) -> bool {
    use rusqlite::ErrorCode::{CannotOpen, PermissionDenied, ReadOnly};
    matches!(error.sqlite_error_code(), Some(CannotOpen | PermissionDenied | ReadOnly))
}

fn wal_of(path: &Path) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push("-wal");
    name.into()
}

/// (application id, schema version, number of tables and indices).
fn identity(connection: &Connection) -> rusqlite::Result<(i64, i64, i64)> {
    let application = connection.pragma_query_value(None, "application_id", |row| row.get(0))?;
    let version = connection.pragma_query_value(None, "user_version", |row| row.get(0))?;
    let objects = connection.query_row("SELECT count(*) FROM sqlite_master", [], |row| row.get(0))?;
    Ok((application, version, objects))
}

fn is_blank(connection: &Connection) -> rusqlite::Result<bool> {
    Ok(identity(connection)? == (0, 0, 0))
}

fn create(connection: &Connection, run: &Run) -> rusqlite::Result<()> {
    // Another process may be making the same switch at this moment; then its switch serves this process too.
    match connection.pragma_update_and_check(None, "journal_mode", "WAL", |_| Ok(())) {
        Err(e) if e.sqlite_error_code() == Some(rusqlite::ErrorCode::DatabaseBusy) => {}
        switched => switched?,
    }
    connection.execute_batch("BEGIN IMMEDIATE")?;
    let made = if is_blank(connection)? { fill(connection, run) } else { Ok(()) };
    connection.execute_batch(if made.is_ok() { "COMMIT" } else { "ROLLBACK" })?;
    made
}

fn fill(connection: &Connection, run: &Run) -> rusqlite::Result<()> {
    connection.execute_batch(SCHEMA)?;
    connection.pragma_update(None, "application_id", APPLICATION_ID)?;
    connection.pragma_update(None, "user_version", VERSION)?;
    let stored = codec::encode_run(run);
    let insert = "INSERT INTO run (id, digest, json, id_bytes, test_labels, checksum) VALUES (1, ?1, ?2, ?3, ?4, ?5)";
    let values = params![stored.digest, stored.json, stored.id_bytes, stored.test_labels, stored.checksum()];
    connection.execute(insert, values).map(|_| ())
}

/// The schema's version, when it is one that is known.
fn check_identity(connection: &Connection, path: &Path) -> Result<i64, StoreError> {
    let (application, version, objects) = identity(connection).map_err(|e| StoreError::of(path, e))?;
    let foreign = |found: String| Err(StoreError::Foreign { path: path.to_owned(), found });
    match (application, version) {
        (0, 0) if objects == 0 => foreign("an empty file".to_owned()),
        (APPLICATION_ID, OLDEST..=VERSION) => Ok(version),
        (APPLICATION_ID, found) if found > VERSION => {
            Err(StoreError::Newer { path: path.to_owned(), found, known: VERSION })
        }
        (APPLICATION_ID, found) => Err(StoreError::damaged(path, format!("schema version {found} never was"))),
        (other, _) => foreign(format!("an SQLite file with application id {other}")),
    }
}

/// Walks every page, so that damage shows when the store is opened and not hours later.
fn check_pages(connection: &Connection, path: &Path) -> Result<(), StoreError> {
    let verdict = connection.query_row("PRAGMA quick_check(1)", [], |row| row.get::<_, String>(0));
    match verdict.map_err(|e| StoreError::of(path, e))?.as_str() {
        "ok" => Ok(()),
        problem => Err(StoreError::damaged(path, problem)),
    }
}

fn read_run(connection: &Connection, path: &Path) -> Result<Run, StoreError> {
    let select = "SELECT digest, json, id_bytes, test_labels, checksum FROM run WHERE id = 1";
    let stored = connection.query_row(select, [], |row| {
        let (digest, json, id_bytes, test_labels) = (row.get(0)?, row.get(1)?, row.get(2)?, row.get(3)?);
        Ok((codec::StoredRun { digest, json, id_bytes, test_labels }, row.get::<_, i64>(4)?))
    });
    let (stored, checksum) = stored.map_err(|e| StoreError::of(path, e))?;
    codec::decode_run(&stored, checksum).map_err(|what| StoreError::damaged(path, what))
}

fn stored_row(row: &rusqlite::Row<'_>) -> rusqlite::Result<(codec::StoredRow, i64)> {
    let stored = codec::StoredRow {
        digest: row.get(0)?,
        pipeline: row.get(1)?,
        seed: row.get(2)?,
        train_size: row.get(3)?,
        outcome: row.get(4)?,
        message: row.get(5)?,
        measured: row.get(6)?,
        predicted: row.get(7)?,
    };
    Ok((stored, row.get(8)?))
}

fn stored_repeat(row: &rusqlite::Row<'_>) -> rusqlite::Result<(Repeat, i64)> {
    let seconds = |column| row.get(column).map(Seconds);
    let (features, fit, predict) = (seconds(2)?, seconds(3)?, seconds(4)?);
    let number = row.get::<_, i64>(1)?.cast_unsigned() as usize;
    Ok((Repeat { digest: row.get(0)?, number, features, fit, predict, same: row.get(5)? }, row.get(6)?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_becomes_a_uri_whatever_it_holds() {
        assert_eq!(percent_encoded("/a b/ü?#%.sqlite".as_bytes()), "/a%20b/%C3%BC%3F%23%25.sqlite");
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a b?c#d%41.sqlite");
        let connection = connect(&path, OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_CREATE).unwrap();
        connection.execute_batch(SCHEMA).unwrap();
        drop(connection);
        let read_only = connect_unchanging(&path).unwrap();
        let tables: i64 = read_only.query_row("SELECT count(*) FROM cell", [], |row| row.get(0)).unwrap();
        assert_eq!(tables, 0);
        assert!(read_only.execute("DELETE FROM cell", []).is_err());
    }
}
