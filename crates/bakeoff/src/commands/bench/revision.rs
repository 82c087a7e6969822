//! Revisions of the repository, and their `gate` programs, built in worktrees.

use super::program::run;
use crate::terminal::tell;
use anyhow::{Context, bail};
use sha2::{Digest, Sha256};
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

/// Built programs that are kept.
const KEPT: usize = 8;

/// A clone of bakeoff's repository.
pub(super) struct Repository {
    root: PathBuf,
}

impl Repository {
    /// The repository that a folder belongs to.
    pub(super) fn open(folder: &Path) -> anyhow::Result<Self> {
        let found = said(git(folder).args(["rev-parse", "--show-toplevel"]));
        let root = PathBuf::from(found.with_context(|| format!("{} is in no git repository", folder.display()))?);
        Ok(Self { root })
    }

    /// What tells its cache from that of other clones.
    pub(super) fn key(&self) -> String {
        short(self.root.to_string_lossy().as_bytes())
    }

    /// The commit of a revision.
    pub(super) fn commit(&self, revision: &str) -> anyhow::Result<String> {
        let asked = format!("{revision}^{{commit}}");
        let found = said(git(&self.root).args(["rev-parse", "--verify", "--quiet", "--end-of-options", &asked]));
        found.with_context(|| format!("{revision} is no revision of {}", self.root.display()))
    }

    /// Whether there are changes of files that git follows.
    pub(super) fn is_changed(&self) -> anyhow::Result<bool> {
        Ok(!said(git(&self.root).args(["status", "--porcelain", "--untracked-files=no"]))?.is_empty())
    }

    /// The gate program of a commit, from an earlier call or built now in `place`.
    pub(super) fn built(&self, commit: &str, called: &str, place: &Path) -> anyhow::Result<PathBuf> {
        let manifest =
            said(git(&self.root).args(["show", &format!("{commit}:benches/Cargo.toml")])).unwrap_or_default();
        if !manifest.lines().any(|line| line.trim() == "name = \"gate\"") {
            bail!(
                "{called} ({commit:.12}) is from before the gate: it has no program `gate` in benches; name a later one"
            );
        }
        let compiler = said(Command::new("rustc").arg("-vV").current_dir(&self.root)).context("rustc is needed")?;
        let kept = place.with_file_name("programs");
        let program = kept.join(format!("{commit}-{}", short(compiler.as_bytes())));
        if program.is_file() {
            return Ok(program);
        }
        tell(&format!("building {called} ({commit:.12}); minutes at first, seconds later"));
        let source = place.join("source");
        self.check_out(commit, &source)?;
        let target = place.join("target");
        let mut cargo = Command::new("cargo");
        cargo.args(["build", "--release", "--locked", "--package", "bakeoff-benches", "--bin", "gate"]);
        // The function that is counted must have its name still.
        cargo.current_dir(&source).env("CARGO_TARGET_DIR", &target).env("CARGO_PROFILE_RELEASE_STRIP", "none");
        run(&mut cargo).with_context(|| format!("failed to build {called} ({commit:.12})"))?;
        fs::create_dir_all(&kept).with_context(|| format!("failed to make {}", kept.display()))?;
        let half = program.with_extension("part");
        let copied = fs::copy(target.join("release/gate"), &half).and_then(|_| fs::rename(&half, &program));
        copied.with_context(|| format!("failed to keep {}", program.display()))?;
        forget_old(&kept, KEPT);
        Ok(program)
    }

    /// Makes a worktree there, or moves the one that is there, to a commit.
    fn check_out(&self, commit: &str, source: &Path) -> anyhow::Result<()> {
        let is_there = source.join(".git").exists() && said(git(source).args(["rev-parse", "HEAD"])).is_ok();
        if is_there {
            run(git(source).args(["checkout", "--quiet", "--detach", "--force", commit]))?;
            return Ok(());
        }
        if source.exists() {
            fs::remove_dir_all(source).with_context(|| format!("failed to remove {}", source.display()))?;
        }
        run(git(&self.root).args(["worktree", "prune"]))?;
        run(git(&self.root).args(["worktree", "add", "--quiet", "--force", "--detach"]).arg(source).arg(commit))?;
        Ok(())
    }
}

/// Git in a folder, whatever repository the caller's environment speaks of (in a hook, say).
fn git(folder: &Path) -> Command {
    let mut command = Command::new("git");
    command.arg("-C").arg(folder);
    for name in ["GIT_DIR", "GIT_WORK_TREE", "GIT_INDEX_FILE"] {
        command.env_remove(name);
    }
    command
}

/// What a program says, without the last line's end.
fn said(command: &mut Command) -> anyhow::Result<String> {
    Ok(String::from_utf8_lossy(&run(command)?.stdout).trim_end().to_owned())
}

/// Sixteen hexadecimal digits that stand for bytes.
fn short(bytes: &[u8]) -> String {
    format!("{:x}", Sha256::digest(bytes)).chars().take(16).collect()
}

/// Removes all but the newest files of a folder. What cannot be removed stays.
fn forget_old(folder: &Path, kept: usize) {
    let entries = fs::read_dir(folder).into_iter().flatten().flatten();
    let mut files: Vec<_> =
        entries.filter_map(|entry| Some((entry.metadata().ok()?.modified().ok()?, entry.path()))).collect();
    files.sort();
    for (_, path) in files.iter().rev().skip(kept) {
        let _ = fs::remove_file(path);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A repository with one commit that has a gate in name alone, and one before it that has none.
    fn repository() -> (tempfile::TempDir, Repository, String, String) {
        let folder = tempfile::tempdir().unwrap();
        let at = folder.path();
        let commit = |text: &str| {
            fs::create_dir_all(at.join("benches")).unwrap();
            fs::write(at.join("benches/Cargo.toml"), text).unwrap();
            run(git(at).args(["add", "."])).unwrap();
            let who = ["-c", "user.name=n", "-c", "user.email=e", "-c", "commit.gpgsign=false"];
            run(git(at).args(who).args(["commit", "--quiet", "-m", "m"])).unwrap();
            said(git(at).args(["rev-parse", "HEAD"])).unwrap()
        };
        run(git(at).args(["init", "--quiet"])).unwrap();
        let (before, with) = (commit("[lib]\n"), commit("[[bin]]\nname = \"gate\"\n"));
        let repository = Repository::open(&at.join("benches")).unwrap();
        (folder, repository, before, with)
    }

    #[test]
    fn revisions_are_found_or_told() {
        let (folder, repository, before, with) = repository();
        assert_eq!(repository.commit("HEAD").unwrap(), with);
        assert_eq!(repository.commit("HEAD~1").unwrap(), before);
        for bad in ["no-such-branch", "--help", ""] {
            let error = repository.commit(bad).unwrap_err().to_string();
            assert!(error.contains("is no revision of"), "{error}");
        }
        assert!(!repository.is_changed().unwrap());
        fs::write(folder.path().join("benches/Cargo.toml"), "changed").unwrap();
        assert!(repository.is_changed().unwrap());
        assert_eq!(repository.key().len(), 16);
        let elsewhere = tempfile::tempdir().unwrap();
        let error = Repository::open(elsewhere.path()).err().unwrap().to_string();
        assert!(error.contains("is in no git repository"), "{error}");
    }

    #[test]
    fn a_revision_from_before_the_gate_is_told() {
        let (folder, repository, before, _) = repository();
        let error = repository.built(&before, "HEAD~1", &folder.path().join("old")).unwrap_err().to_string();
        assert!(error.starts_with("HEAD~1 (") && error.contains("from before the gate"), "{error}");
    }

    #[test]
    fn worktrees_are_made_moved_and_made_again() {
        let (folder, repository, before, with) = repository();
        let source = folder.path().join("cache/source");
        let head = || said(git(&source).args(["rev-parse", "HEAD"])).unwrap();
        repository.check_out(&before, &source).unwrap();
        assert_eq!(head(), before);
        repository.check_out(&with, &source).unwrap();
        assert_eq!(head(), with);
        fs::remove_dir_all(&source).unwrap();
        fs::create_dir_all(source.join("rubbish")).unwrap();
        repository.check_out(&before, &source).unwrap();
        assert_eq!(head(), before);
        assert!(!source.join("rubbish").exists());
    }

    #[test]
    fn old_programs_go() {
        let folder = tempfile::tempdir().unwrap();
        for (i, name) in ["a", "b", "c"].iter().enumerate() {
            let file = fs::File::create(folder.path().join(name)).unwrap();
            file.set_modified(std::time::UNIX_EPOCH + std::time::Duration::from_secs(i as u64)).unwrap();
        }
        forget_old(folder.path(), 2);
        assert!(!folder.path().join("a").exists() && folder.path().join("b").exists());
    }
}
