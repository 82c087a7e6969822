//! Which Parquet files make up a set, and which part each holds, from their names.
//!
//! The files lie in the folder itself, in `data`, or in one folder of the set's configuration (`plain_text`, `default`),
//! there perhaps in a folder for each part. The part is a word of the path, as Hugging Face's `datasets` reads it:
//! `train-00000-of-00001.parquet`, `default/test/0000.parquet`.

use crate::folder::Part;
use crate::problem::{self, unusable};
use crate::{files, parts};
use bakeoff_core::LoadError;
use std::fs;
use std::path::{Path, PathBuf};

/// Folders within folders that files may lie in: configuration and part.
const DEEPEST: usize = 2;
/// Names of a folder that are looked at to see whether it holds tables.
const LOOKED_AT: usize = 64;
const ENDING: &str = ".parquet";

/// A file of a set.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Found {
    pub(super) path: PathBuf,
    /// Below the set's folder, with `/` between names.
    pub(super) shown: String,
    pub(super) part: Option<Part>,
}

/// Whether a path is a Parquet file or a folder of such files.
pub(crate) fn holds_tables(path: &Path) -> bool {
    if path.is_file() {
        return path.file_name().is_some_and(|name| is_table(&name.to_string_lossy()));
    }
    looks_so(path, 0)
}

fn looks_so(folder: &Path, depth: usize) -> bool {
    let Ok(entries) = fs::read_dir(folder) else { return false };
    // Among thousands of images there is no table; a folder of tables has nothing else in it.
    let entries = entries.take(LOOKED_AT).flatten();
    let mut deeper = Vec::new();
    for entry in entries {
        if is_table(&entry.file_name().to_string_lossy()) {
            return true;
        }
        if depth < DEEPEST && entry.file_type().is_ok_and(|kind| kind.is_dir()) {
            deeper.push(entry.path());
        }
    }
    deeper.iter().any(|folder| looks_so(folder, depth + 1))
}

fn is_table(name: &str) -> bool {
    !name.starts_with('.') && name.to_lowercase().ends_with(ENDING)
}

/// The files of the set at a path, sorted by the bytes of their names.
///
/// # Errors
/// [`LoadError`] when a folder cannot be read, there is no file, there are several sets, or only some of the files say
/// which part they are.
pub(super) fn find(path: &Path) -> Result<Vec<Found>, LoadError> {
    if path.is_file() {
        let shown = path.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
        // One file that is named is the whole set, whatever it is called.
        return Ok(vec![Found { path: path.to_owned(), shown, part: None }]);
    }
    let mut found = Vec::new();
    gather(path, "", 0, &mut found)?;
    let folders = configurations(&found);
    if folders.len() > 1 {
        let named: Vec<String> = folders.iter().map(|name| format!("`{name}`")).collect();
        let problem = format!("it holds several sets of Parquet files: name one of {}", parts::first_few(&named));
        return Err(unusable(path, problem));
    }
    if found.is_empty() {
        return Err(unusable(path, "expected Parquet files, found none"));
    }
    let (named, nameless): (Vec<&Found>, Vec<&Found>) = found.iter().partition(|file| file.part.is_some());
    if let ([some, ..], [other, ..]) = (named.as_slice(), nameless.as_slice()) {
        let problem = format!("`{}` says which part it is and `{}` does not", some.shown, other.shown);
        return Err(unusable(path, problem));
    }
    Ok(found)
}

fn gather(folder: &Path, below: &str, depth: usize, found: &mut Vec<Found>) -> Result<(), LoadError> {
    for name in files::names(folder)? {
        let path = folder.join(&name);
        let shown = if below.is_empty() { name.clone() } else { format!("{below}/{name}") };
        let about = fs::metadata(&path).map_err(|e| problem::io(&path, e))?;
        if about.is_dir() && depth < DEEPEST && !name.starts_with('.') {
            gather(&path, &shown, depth + 1, found)?;
        } else if about.is_file() && is_table(&name) {
            found.push(Found { path, part: part_of(&shown), shown });
        }
    }
    Ok(())
}

/// The folders at the top that are not called after a part: each is a set of its own, and so are the files at the top.
fn configurations(found: &[Found]) -> Vec<&str> {
    let top = |file: &Found| match file.shown.split_once('/') {
        Some((folder, _)) if part_of(folder).is_none() => file.shown[..folder.len()].len(),
        _ => 0,
    };
    let mut names: Vec<&str> = found.iter().map(|file| &file.shown[..top(file)]).collect();
    names.dedup();
    names.sort_unstable();
    names.dedup();
    names
}

/// The part that a path names: the last of its words that means one.
fn part_of(shown: &str) -> Option<Part> {
    let words = shown.split(|c: char| !c.is_ascii_alphanumeric());
    words
        .filter_map(|word| match word.to_ascii_lowercase().as_str() {
            "train" | "training" => Some(Part::Train),
            "validation" | "valid" | "val" | "dev" => Some(Part::Validation),
            "test" | "testing" | "eval" | "evaluation" => Some(Part::Test),
            _ => None,
        })
        .next_back()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn folder(names: &[&str]) -> tempfile::TempDir {
        let folder = tempfile::tempdir().unwrap();
        for name in names {
            let path = folder.path().join(name);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, b"").unwrap();
        }
        folder
    }

    fn listed(names: &[&str]) -> Result<Vec<(String, Option<Part>)>, String> {
        let folder = folder(names);
        assert_eq!(holds_tables(folder.path()), names.iter().any(|name| name.ends_with("parquet")));
        let found = find(folder.path()).map_err(|e| e.to_string())?;
        Ok(found.into_iter().map(|file| (file.shown, file.part)).collect())
    }

    #[test]
    fn files_are_found_where_hugging_face_puts_them() {
        let plain = listed(&["test-00000-of-00001.parquet", "train-00000-of-00001.parquet", "README.md"]).unwrap();
        assert_eq!(plain[0], ("test-00000-of-00001.parquet".to_owned(), Some(Part::Test)));
        assert_eq!(plain[1].1, Some(Part::Train));
        let data = listed(&["data/validation-0.parquet", "data/train-0.parquet", "data/.hidden.parquet"]).unwrap();
        assert_eq!(data.iter().map(|file| file.1).collect::<Vec<_>>(), [Some(Part::Train), Some(Part::Validation)]);
        let converted = listed(&["default/train/0000.parquet", "default/test/0000.parquet"]).unwrap();
        assert_eq!(converted.len(), 2);
        assert_eq!(converted[0], ("default/test/0000.parquet".to_owned(), Some(Part::Test)));
        assert_eq!(listed(&["rows.parquet"]).unwrap(), [("rows.parquet".to_owned(), None)]);
        assert_eq!(listed(&["latest.parquet"]).unwrap()[0].1, None, "a word is a whole word");
    }

    #[test]
    fn what_is_no_single_set_is_refused() {
        let several = listed(&["a/train-0.parquet", "b/train-0.parquet"]).unwrap_err();
        assert!(several.contains("name one of `a`, `b`"), "{several}");
        let mixed = listed(&["train-0.parquet", "more.parquet"]).unwrap_err();
        assert!(mixed.contains("`train-0.parquet` says which part it is and `more.parquet` does not"), "{mixed}");
        assert!(listed(&["cat/1.png", "dog/1.png"]).unwrap_err().contains("found none"));
    }
}
