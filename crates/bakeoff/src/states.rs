//! States of trainings on disk: `states/CELL-BRANCH.state` in a run's folder, until the cell has its row.
//!
//! In front of a state lies the SHA-256 of this program and of the state: what is damaged, and what another build left,
//! whose arithmetic may differ, counts as missing.

use crate::feature_cache::program;
use crate::run_folder::{self, STATES};
use bakeoff_results::Seconds;
use bakeoff_runner::States;
use sha2::{Digest, Sha256};
use std::fs::{self, File};
use std::io::Read;
use std::path::{Path, PathBuf};
use std::sync::OnceLock;

/// Bytes of SHA-256 in front of what it is of.
const DIGEST: usize = 32;

/// Bytes of a state's file at most: a network of the greatest size that is trained has no more.
const LARGEST: u64 = 16 << 30;

/// Where a run's states go.
pub(crate) struct StateFolder {
    folder: PathBuf,
    every: Seconds,
    program: OnceLock<Option<String>>,
}

impl StateFolder {
    /// The states of a run in this folder, left every so many seconds; `None` for 0.
    pub(crate) fn new(run: &Path, every: f64) -> Option<Self> {
        let folder = run.join(STATES);
        (every > 0.0).then(|| Self { folder, every: Seconds(every), program: OnceLock::new() })
    }

    fn path(&self, key: &str) -> PathBuf {
        self.folder.join(name(key))
    }

    fn seal(&self, state: &[u8]) -> Option<[u8; DIGEST]> {
        let program = self.program.get_or_init(program).as_ref()?;
        Some(Sha256::new().chain_update(program).chain_update(state).finalize().into())
    }
}

fn name(key: &str) -> String {
    format!("{key}.state")
}

impl States for StateFolder {
    fn every(&self) -> Seconds {
        self.every
    }

    fn get(&self, key: &str) -> Option<Vec<u8>> {
        let path = self.path(key);
        fs::metadata(&path).ok().filter(|about| about.is_file() && about.len() <= LARGEST)?;
        let mut bytes = Vec::new();
        File::open(&path).ok()?.take(LARGEST).read_to_end(&mut bytes).ok()?;
        let seal: [u8; DIGEST] = bytes.get(..DIGEST)?.try_into().ok()?;
        bytes.drain(..DIGEST);
        (self.seal(&bytes)? == seal).then_some(bytes)
    }

    fn put(&self, key: &str, state: &[u8]) -> Result<(), String> {
        let seal = self.seal(state).ok_or("this program cannot read itself")?;
        let path = self.path(key);
        let made = fs::create_dir_all(&self.folder).map_err(anyhow::Error::from);
        let written = made.and_then(|()| run_folder::write(&path, [&seal, state].concat()));
        written.map_err(|error| format!("{error:#}"))
    }

    fn forget(&self, key: &str) {
        // Most cells left none, a process that was killed perhaps half of one; what remains hurts nobody.
        let _ = fs::remove_file(self.path(key));
        let _ = fs::remove_file(self.folder.join(run_folder::temporary_name(&name(key))));
        let _ = fs::remove_dir(&self.folder);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn states_come_back_whole_or_not_at_all() {
        let room = tempfile::tempdir().unwrap();
        assert!(StateFolder::new(room.path(), 0.0).is_none());
        let states = StateFolder::new(room.path(), 60.0).unwrap();
        assert_eq!((states.get("a-0"), states.every()), (None, Seconds(60.0)));
        states.forget("a-0");
        states.put("a-0", b"first").unwrap();
        states.put("a-0", b"second").unwrap();
        assert_eq!(states.get("a-0").as_deref(), Some(&b"second"[..]));
        let path = states.path("a-0");
        let whole = fs::read(&path).unwrap();
        for place in 0..whole.len() {
            let mut bytes = whole.clone();
            bytes[place] ^= 1;
            fs::write(&path, bytes).unwrap();
            assert_eq!(states.get("a-0"), None, "byte {place}");
            fs::write(&path, &whole[..place]).unwrap();
            assert_eq!(states.get("a-0"), None, "{place} bytes");
        }
        // Another build's.
        fs::write(&path, &whole).unwrap();
        let other = StateFolder {
            program: OnceLock::from(Some("another".to_owned())),
            ..StateFolder::new(room.path(), 1.0).unwrap()
        };
        assert_eq!(other.get("a-0"), None);
        assert!(states.get("a-0").is_some());
        fs::write(states.folder.join(run_folder::temporary_name(&name("a-0"))), "half of one").unwrap();
        states.forget("a-0");
        assert_eq!(fs::read_dir(room.path()).unwrap().count(), 0);
    }

    #[test]
    fn what_cannot_be_written_is_told() {
        let room = tempfile::tempdir().unwrap();
        fs::write(room.path().join(STATES), "no folder").unwrap();
        let told = StateFolder::new(room.path(), 1.0).unwrap().put("a-0", b"x").unwrap_err();
        assert!(!told.is_empty());
    }
}
