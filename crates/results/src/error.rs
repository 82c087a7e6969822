//! What can go wrong with stored results.

use std::path::{Path, PathBuf};
use thiserror::Error;

/// Why a store could not be opened, read or written.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum StoreError {
    /// There is no such file.
    #[error("no store at {}; `bakeoff run` makes one", path.display())]
    Missing {
        /// Where it was looked for.
        path: PathBuf,
    },
    /// The file is something else.
    #[error("{} is not a store of bakeoff: expected an SQLite file with its mark, found {found}", path.display())]
    Foreign {
        /// The file.
        path: PathBuf,
        /// What it seems to be.
        found: String,
    },
    /// The file was written by a later program.
    #[error("{} has schema version {found}, this program knows {known}: a newer bakeoff wrote it", path.display())]
    Newer {
        /// The file.
        path: PathBuf,
        /// Its version.
        found: i64,
        /// The greatest version that this program reads.
        known: i64,
    },
    /// The store holds the results of another experiment.
    #[error(
        "{} holds another experiment: expected digest {expected}, found {found}; choose another folder or start afresh",
        path.display()
    )]
    OtherExperiment {
        /// The file.
        path: PathBuf,
        /// Digest of the experiment that was to be continued.
        expected: String,
        /// Digest of the experiment in the store.
        found: String,
    },
    /// The file is a store, but part of it cannot be read.
    #[error("the store {} is damaged: {what}; restore it from a copy or run again with --fresh", path.display())]
    Damaged {
        /// The file.
        path: PathBuf,
        /// Which part, with what was expected and what was found.
        what: String,
    },
    /// Another process kept the store locked.
    #[error("the store {} stayed locked by another process for {seconds} s", path.display())]
    Busy {
        /// The file.
        path: PathBuf,
        /// How long it was waited for.
        seconds: u64,
    },
    /// A run or row that contradicts itself or the run it is stored with.
    #[error("cannot store {what}: {problem}")]
    Unfit {
        /// Which run or row.
        what: String,
        /// What was expected and what was found.
        problem: String,
    },
    /// Everything else that SQLite reports: a full disk, missing permissions.
    #[error("the store {}: {source}", path.display())]
    Sqlite {
        /// The file.
        path: PathBuf,
        /// SQLite's own words.
        #[source]
        source: rusqlite::Error,
    },
}

/// Seconds that a process waits for another's transaction, which takes milliseconds.
pub(crate) const BUSY_SECONDS: u64 = 20;

impl StoreError {
    /// SQLite's error about this file, by what a person can do about it.
    pub(crate) fn of(path: &Path, source: rusqlite::Error) -> Self {
        use rusqlite::ErrorCode::{DatabaseBusy, DatabaseCorrupt, DatabaseLocked, NotADatabase};
        let path = path.to_owned();
        match source.sqlite_error_code() {
            Some(NotADatabase) => Self::Foreign { path, found: "a file that SQLite does not know".to_owned() },
            Some(DatabaseCorrupt) => Self::Damaged { path, what: source.to_string() },
            Some(DatabaseBusy | DatabaseLocked) => Self::Busy { path, seconds: BUSY_SECONDS },
            // Columns of another type or missing columns and tables, in a file that claims to be ours.
            _ if is_unreadable_shape(&source) => Self::Damaged { path, what: source.to_string() },
            _ => Self::Sqlite { path, source },
        }
    }

    pub(crate) fn damaged(path: &Path, what: impl Into<String>) -> Self {
        Self::Damaged { path: path.to_owned(), what: what.into() }
    }
}

fn is_unreadable_shape(error: &rusqlite::Error) -> bool {
    use rusqlite::Error::{
        FromSqlConversionFailure, IntegralValueOutOfRange, InvalidColumnType, QueryReturnedNoRows, SqlInputError,
    };
    match error {
        FromSqlConversionFailure(..)
        | IntegralValueOutOfRange(..)
        | InvalidColumnType(..)
        | QueryReturnedNoRows
        | SqlInputError { .. } => true,
        other => other.sqlite_error_code() == Some(rusqlite::ErrorCode::Unknown),
    }
}
