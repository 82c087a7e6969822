//! Embeds the built-in experiments, `reports/*/experiment.toml`, and the commit of the source.

use std::env;
use std::error::Error;
use std::fmt::Write;
use std::fs;
use std::path::{Path, PathBuf};

fn main() -> Result<(), Box<dyn Error>> {
    let here = PathBuf::from(env::var("CARGO_MANIFEST_DIR")?);
    let root = here.ancestors().nth(2).ok_or("crates/bakeoff lies two folders below the workspace")?;
    let out = PathBuf::from(env::var("OUT_DIR")?);
    fs::write(out.join("experiments.rs"), experiments(&root.join("reports"))?)?;
    println!("cargo::rustc-env=BAKEOFF_COMMIT={}", commit(&root.join(".git")).unwrap_or_default());
    Ok(())
}

/// A slice of (name, text), sorted by name.
fn experiments(reports: &Path) -> Result<String, Box<dyn Error>> {
    println!("cargo::rerun-if-changed={}", reports.display());
    let mut names = Vec::new();
    for entry in fs::read_dir(reports)? {
        let folder = entry?.path();
        let file = folder.join("experiment.toml");
        if file.is_file() {
            println!("cargo::rerun-if-changed={}", file.display());
            let name = folder.file_name().and_then(|name| name.to_str()).ok_or("a report's name is UTF-8")?;
            names.push((name.to_owned(), file));
        }
    }
    names.sort();
    let mut code = String::from("&[\n");
    for (name, file) in names {
        writeln!(code, "    ({name:?}, include_str!({:?})),", file.display().to_string())?;
    }
    code.push_str("]\n");
    Ok(code)
}

/// The commit that is checked out, read from git's own files; none outside a repository.
fn commit(git: &Path) -> Option<String> {
    let head_file = git.join("HEAD");
    let head = fs::read_to_string(&head_file).ok()?;
    println!("cargo::rerun-if-changed={}", head_file.display());
    let Some(name) = head.trim().strip_prefix("ref: ") else { return Some(head.trim().to_owned()) };
    let loose = git.join(name);
    println!("cargo::rerun-if-changed={}", loose.display());
    if let Ok(commit) = fs::read_to_string(&loose) {
        return Some(commit.trim().to_owned());
    }
    let packed = fs::read_to_string(git.join("packed-refs")).ok()?;
    let line = packed.lines().find(|line| line.ends_with(&format!(" {name}")))?;
    line.split_whitespace().next().map(str::to_owned)
}
