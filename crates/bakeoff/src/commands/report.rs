//! `bakeoff report`: renders the report of a run again.

use crate::exit::Exit;
use crate::run_folder::STORE;
use crate::terminal::answer;
use crate::{opening, rendering};
use anyhow::bail;
use bakeoff_report::{CATALOGUE, Format};
use bakeoff_results::{Store, verdict_line};
use clap::builder::PossibleValuesParser;
use std::path::{Path, PathBuf};

/// Which run, and into what.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  bakeoff report quick
  bakeoff report runs/fashion-mnist --format html,csv
  bakeoff report quick --title \"Shapes, first try\" --open")]
pub(crate) struct ReportArgs {
    /// The run: its folder, or its name in runs/
    run: PathBuf,
    /// Only these formats; all when it is not given
    #[arg(long, value_delimiter = ',', value_parser = PossibleValuesParser::new(CATALOGUE.iter().map(|f| f.extension)))]
    format: Vec<String>,
    /// Another title than the run's name
    #[arg(long)]
    title: Option<String>,
    /// Opens the first file in the program that the system has for it
    #[arg(long)]
    open: bool,
}

pub(crate) fn report(args: &ReportArgs) -> anyhow::Result<Exit> {
    let folder = find(&args.run)?;
    let store = Store::open(&folder.join(STORE))?;
    let (run, rows) = (store.run(), store.rows()?);
    let wanted: Vec<&Format> =
        CATALOGUE.iter().filter(|format| args.format.iter().any(|asked| asked == format.extension)).collect();
    let mut report = rendering::report(&folder, &store, &run, &rows);
    if let Some(title) = &args.title {
        report = report.titled(title);
    }
    let written = rendering::write(&folder, &report, &wanted)?;
    answer(&format!("{}\n\nReport: {}", verdict_line(report.summary()), written.display()))?;
    if args.open {
        opening::open(&written)?;
    }
    Ok(Exit::Done)
}

/// A run's folder by its path or by its name.
pub(crate) fn find(run: &Path) -> anyhow::Result<PathBuf> {
    let places = [run.to_owned(), Path::new("runs").join(run)];
    if let Some(place) = places.iter().find(|place| place.join(STORE).is_file()) {
        return Ok(place.clone());
    }
    let [first, second] = places.map(|place| place.join(STORE).display().to_string());
    bail!("there is no run {}: looked for {first} and {second}", run.display())
}
