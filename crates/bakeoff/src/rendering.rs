//! Reports on disk: what `report` renders, written into a run's folder.

use crate::run_folder::{self, REPORT};
use crate::{again, pictures};
use anyhow::Context;
use bakeoff_report::{CATALOGUE, Format, Report};
use bakeoff_results::{Row, Run, Store};
use std::fs;
use std::path::{Path, PathBuf};

/// The report of a stored run with its pictures and the command that runs it again.
pub(crate) fn report<'a>(folder: &Path, store: &Store, run: &'a Run, rows: &'a [Row]) -> Report<'a> {
    Report::of(run, rows).with_pictures(pictures::read(folder, store)).with_command(&again::command(folder, run))
}

/// Writes these formats, or all, into the run's report folder. Returns the first file.
pub(crate) fn write(folder: &Path, report: &Report<'_>, only: &[&Format]) -> anyhow::Result<PathBuf> {
    let target = folder.join(REPORT);
    fs::create_dir_all(&target).with_context(|| format!("failed to make {}", target.display()))?;
    let formats: Vec<&Format> = if only.is_empty() { CATALOGUE.iter().collect() } else { only.to_vec() };
    let mut files = Vec::new();
    for format in formats {
        let path = target.join(format!("report.{}", format.extension));
        let text = (format.render)(report).with_context(|| format!("failed to render {}", path.display()))?;
        run_folder::write(&path, &text)?;
        files.push(path);
    }
    Ok(files.into_iter().next().unwrap_or(target))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;

    #[test]
    fn every_format_has_a_file_of_its_own() {
        let endings: BTreeSet<&str> = CATALOGUE.iter().map(|format| format.extension).collect();
        assert_eq!(endings.len(), CATALOGUE.len());
        for needed in ["html", "md", "csv", "json"] {
            assert!(endings.contains(needed), "{needed}");
        }
    }
}
