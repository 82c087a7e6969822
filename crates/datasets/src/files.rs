//! Files and folders, opened and written carefully.

use crate::problem;
use bakeoff_core::LoadError;
use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};

/// Opens a regular file and tells its size. A pipe or device is refused: reading one could wait for ever.
pub(crate) fn open(path: &Path) -> Result<(File, u64), LoadError> {
    let about = fs::metadata(path).map_err(|e| problem::io(path, e))?;
    if !about.is_file() {
        return Err(problem::malformed(path, None, "a regular file", kind(&about)));
    }
    let file = File::open(path).map_err(|e| problem::io(path, e))?;
    Ok((file, about.len()))
}

fn kind(about: &fs::Metadata) -> &'static str {
    if about.is_dir() { "a folder" } else { "a pipe, socket or device" }
}

/// The names in a folder, sorted by bytes; none when there is no such folder.
pub(crate) fn names(folder: &Path) -> Result<Vec<String>, LoadError> {
    let entries = match fs::read_dir(folder) {
        Ok(entries) => entries,
        Err(e) if matches!(e.kind(), io::ErrorKind::NotFound | io::ErrorKind::NotADirectory) => return Ok(Vec::new()),
        Err(e) => return Err(problem::io(folder, e)),
    };
    let mut names = Vec::new();
    for entry in entries {
        let entry = entry.map_err(|e| problem::io(folder, e))?;
        // A name that is not UTF-8 is none of those that the formats prescribe.
        if let Ok(name) = entry.file_name().into_string() {
            names.push(name);
        }
    }
    names.sort_unstable();
    Ok(names)
}

/// Writes a file in one step: to a temporary name beside it, then renamed over it, so that nobody sees half of it.
pub(crate) fn write_whole(
    path: &Path,
    write: impl FnOnce(&mut io::BufWriter<&File>) -> Result<(), LoadError>,
) -> Result<(), LoadError> {
    let temporary = beside(path, &format!(".{}.part", std::process::id()));
    let written =
        write_to(&temporary, write).and_then(|()| fs::rename(&temporary, path).map_err(|e| problem::io(path, e)));
    if written.is_err() {
        // The error that stopped us is the one worth telling; a leftover that cannot be removed is not.
        let _ = fs::remove_file(&temporary);
    }
    written
}

fn write_to(
    path: &Path,
    write: impl FnOnce(&mut io::BufWriter<&File>) -> Result<(), LoadError>,
) -> Result<(), LoadError> {
    let file = File::create(path).map_err(|e| problem::io(path, e))?;
    let mut buffer = io::BufWriter::new(&file);
    write(&mut buffer)?;
    buffer.into_inner().map_err(|e| problem::io(path, e.into_error()))?;
    file.sync_all().map_err(|e| problem::io(path, e))
}

/// The path with more at its end.
pub(crate) fn beside(path: &Path, ending: &str) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(ending);
    PathBuf::from(name)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Write;

    #[test]
    fn a_file_is_written_whole_or_not_at_all() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("sheet.png");
        fs::write(&path, "old").unwrap();
        let failed = write_whole(&path, |out| {
            out.write_all(b"half").unwrap();
            Err(problem::unusable(Path::new("x"), "stopped"))
        });
        assert!(failed.is_err());
        assert_eq!(fs::read(&path).unwrap(), b"old");
        write_whole(&path, |out| out.write_all(b"new").map_err(|e| problem::io(&path, e))).unwrap();
        assert_eq!(fs::read(&path).unwrap(), b"new");
        assert_eq!(names(folder.path()).unwrap(), ["sheet.png"]);
    }

    #[test]
    fn a_folder_is_no_file_and_a_missing_folder_has_no_names() {
        let folder = tempfile::tempdir().unwrap();
        let text = open(folder.path()).unwrap_err().to_string();
        assert!(text.ends_with("expected a regular file, found a folder"), "{text}");
        assert!(names(&folder.path().join("none")).unwrap().is_empty());
    }
}
