//! Computed features on disk: a file each, named by its key, in the folder `features` beside fetched datasets.
//!
//! Files are written under a name of their own and renamed, so that two processes never see half of one. Those that were
//! used longest ago go when there are too many bytes. A file that another process removes while it is read stays readable;
//! one that is damaged does not fit its checksum and counts as missing.

use crate::dataset;
use bakeoff_core::Tensors;
use bakeoff_runner::{FeatureCache, clock};
use sha2::{Digest, Sha256};
use std::fs::{self, File};
use std::io::Write;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::SystemTime;

/// Bytes of SHA-256 in front of what it is of.
const DIGEST: usize = 32;

/// Shares of the limit that one file may take: the largest must leave room for others.
const SHARE: u64 = 8;

/// Files that this process began to write.
static WRITTEN: AtomicU64 = AtomicU64::new(0);

/// What tells this program from others, by its bytes: the version stays the same while it is worked on. `None` when it
/// cannot read itself.
pub(crate) fn program() -> Option<String> {
    let program = fs::read(std::env::current_exe().ok()?).ok()?;
    Some(format!("{:x}", Sha256::digest(program)))
}

/// A folder of features.
pub(crate) struct FeatureFolder {
    folder: PathBuf,
    limit: u64,
    program: String,
}

impl FeatureFolder {
    /// The folder of this user with room for so many bytes; `None` when that is none, or when the program cannot tell itself
    /// from others.
    pub(crate) fn new(limit: u64) -> Option<Self> {
        if limit == 0 {
            return None;
        }
        Some(Self { folder: dataset::root().join("features"), limit, program: program()? })
    }

    fn path(&self, key: &str) -> PathBuf {
        self.folder.join(format!("{key}.features"))
    }

    fn write(&self, key: &str, bytes: &[u8]) -> std::io::Result<()> {
        fs::create_dir_all(&self.folder)?;
        let turn = WRITTEN.fetch_add(1, Ordering::Relaxed);
        let temporary = self.folder.join(format!("{key}.{}.{turn}.part", std::process::id()));
        let written = File::create(&temporary)
            .and_then(|mut file| file.write_all(&Sha256::digest(bytes)).and_then(|()| file.write_all(bytes)))
            .and_then(|()| fs::rename(&temporary, self.path(key)));
        if written.is_err() {
            let _ = fs::remove_file(&temporary);
        }
        written
    }

    /// Removes what was used longest ago until the rest fits.
    fn tidy(&self) {
        let mut files: Vec<(SystemTime, u64, PathBuf)> = Vec::new();
        for entry in fs::read_dir(&self.folder).into_iter().flatten().flatten() {
            if let Ok(about) = entry.metadata() {
                files.push((about.modified().unwrap_or(SystemTime::UNIX_EPOCH), about.len(), entry.path()));
            }
        }
        files.sort();
        let mut bytes: u64 = files.iter().map(|(_, bytes, _)| bytes).sum();
        for (_, size, path) in files {
            if bytes <= self.limit {
                break;
            }
            // Another process may have been faster.
            let _ = fs::remove_file(path);
            bytes -= size;
        }
    }
}

impl FeatureCache for FeatureFolder {
    fn program(&self) -> &str {
        &self.program
    }

    fn most_bytes(&self) -> usize {
        usize::try_from(self.limit / SHARE).unwrap_or(usize::MAX)
    }

    fn get(&self, key: &str) -> Option<Tensors> {
        let path = self.path(key);
        let about = fs::metadata(&path).ok().filter(|about| about.is_file() && about.len() <= self.limit);
        about?;
        let bytes = fs::read(&path).ok()?;
        let (digest, content) = bytes.split_at_checked(DIGEST)?;
        if Sha256::digest(content)[..] != *digest {
            let _ = fs::remove_file(&path);
            return None;
        }
        touch(&path);
        bakeoff_interchange::unpack(content).ok()
    }

    fn put(&self, key: &str, features: Tensors) {
        let Ok(bytes) = bakeoff_interchange::pack(&features) else { return };
        // A cache that cannot be written is no cache, and no reason to stop.
        if self.write(key, &bytes).is_ok() {
            self.tidy();
        }
    }
}

/// Notes that a file was used.
fn touch(path: &Path) {
    if let Ok(file) = File::options().append(true).open(path) {
        let _ = file.set_modified(clock::moment());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn folder(limit: u64) -> (tempfile::TempDir, FeatureFolder) {
        let room = tempfile::tempdir().unwrap();
        let folder = FeatureFolder { folder: room.path().join("features"), limit, program: "p".to_owned() };
        (room, folder)
    }

    fn features(value: f32) -> Tensors {
        Tensors::new().with_slice("rows", &[value; 1000])
    }

    fn value(folder: &FeatureFolder, key: &str) -> Option<f32> {
        folder.get(key)?.vector::<f32>("rows", 1000).ok().map(|rows| rows[0])
    }

    #[test]
    fn what_is_kept_is_found_and_what_is_damaged_is_not() {
        let (_room, folder) = folder(1 << 20);
        assert_eq!(value(&folder, "a"), None);
        folder.put("a", features(1.5));
        assert_eq!(value(&folder, "a"), Some(1.5));
        let path = folder.path("a");
        let mut bytes = fs::read(&path).unwrap();
        let last = bytes.len() - 1;
        bytes[last] ^= 1;
        fs::write(&path, &bytes).unwrap();
        assert_eq!((value(&folder, "a"), path.exists()), (None, false));
        for cut in [0, 10, DIGEST, DIGEST + 9] {
            fs::write(&path, &bytes[..cut]).unwrap();
            assert_eq!(value(&folder, "a"), None);
        }
    }

    #[test]
    fn what_was_used_longest_ago_goes_first() {
        let (_room, folder) = folder(9000);
        let age = |key: &str, seconds| {
            let file = File::options().append(true).open(folder.path(key)).unwrap();
            file.set_modified(SystemTime::UNIX_EPOCH + std::time::Duration::from_secs(seconds)).unwrap();
        };
        folder.put("a", features(1.0));
        age("a", 100);
        folder.put("b", features(2.0));
        age("b", 200);
        assert_eq!(value(&folder, "a"), Some(1.0));
        folder.put("c", features(3.0));
        let found = ["a", "b", "c"].map(|key| value(&folder, key));
        assert_eq!(found, [Some(1.0), None, Some(3.0)]);
    }

    #[test]
    fn two_processes_that_write_the_same_leave_one_whole_file() {
        let (_room, folder) = folder(1 << 20);
        std::thread::scope(|scope| {
            for _ in 0..4 {
                scope.spawn(|| {
                    for _ in 0..20 {
                        folder.put("a", features(1.0));
                        assert!(matches!(value(&folder, "a"), None | Some(1.0)));
                    }
                });
            }
        });
        assert_eq!(value(&folder, "a"), Some(1.0));
    }
}
