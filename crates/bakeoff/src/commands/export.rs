//! `bakeoff export`: results to take away, and stored models in another format.

use crate::commands::report;
use crate::exit::Exit;
use crate::models;
use crate::run_folder::{self, STORE};
use crate::terminal::{answer, tell};
use anyhow::{Context, anyhow, bail};
use bakeoff_core::ScoreKind;
use bakeoff_interchange::onnx;
use bakeoff_results::export::mlflow::{Server, server::Timeouts};
use bakeoff_results::export::{csv, json_lines, parquet};
use bakeoff_results::words::counted;
use bakeoff_results::{Row, Run, Store};
use bakeoff_runner::clock;
use std::fs::{self, File};
use std::io::BufWriter;
use std::path::{Path, PathBuf};

/// What, and where to.
#[derive(Debug, clap::Args)]
#[command(
    group = clap::ArgGroup::new("target").required(true).multiple(true),
    after_help = "\
Examples:
  bakeoff export quick --format csv,parquet
  bakeoff export runs/quick --mlflow http://127.0.0.1:5000
  bakeoff export runs/quick/models/mlp-2.safetensors --onnx mlp-2.onnx

CSV and Parquet have one row a cell (cells.csv, cells.parquet), Parquet also one a cell and test image
(predictions.parquet, with scores where they are kept); JSON lines have everything that is stored of a cell.
An MLflow server gets one run a cell; exporting again doubles nothing. MLFLOW_TRACKING_TOKEN is sent as a bearer token.
The ONNX graph takes bytes, uint8 (N, height, width, channels), and gives scores, and probabilities where the classifier
has them. Networks and linear classifiers on pixels have an ONNX form; other features do not."
)]
pub(crate) struct ExportArgs {
    /// The run, its folder or its name in runs/; or, with --onnx, a model: a .safetensors file of a run's models/
    #[arg(value_name = "RUN|MODEL")]
    what: PathBuf,
    /// Writes results in these formats
    #[arg(long, value_delimiter = ',', group = "target", conflicts_with = "onnx")]
    format: Vec<Format>,
    /// The folder for --format; RUN/export when it is not given
    #[arg(long, value_name = "FOLDER", requires = "format")]
    out: Option<PathBuf>,
    /// Tells the MLflow server at this address
    #[arg(long, value_name = "URL", group = "target", conflicts_with = "onnx")]
    mlflow: Option<String>,
    /// The experiment's name on the MLflow server; the run's when it is not given
    #[arg(long, value_name = "NAME", requires = "mlflow")]
    mlflow_experiment: Option<String>,
    /// Writes the model to this ONNX file
    #[arg(long, value_name = "FILE", group = "target")]
    onnx: Option<PathBuf>,
}

/// A form of results.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
enum Format {
    /// One line a cell, for spreadsheets
    Csv,
    /// One JSON object a cell
    Jsonl,
    /// One row a cell, and one a cell and test image
    Parquet,
}

pub(crate) fn export(args: &ExportArgs) -> anyhow::Result<Exit> {
    if let Some(target) = &args.onnx {
        return model(&args.what, target);
    }
    if args.what.extension().is_some_and(|ending| ending == "safetensors") {
        bail!("{} is a model: --onnx exports it; the other formats take a run", args.what.display());
    }
    let folder = report::find(&args.what)?;
    let store = Store::open(&folder.join(STORE))?;
    let (run, rows) = (store.run(), store.rows()?);
    let target = args.out.clone().unwrap_or_else(|| folder.join("export"));
    for &format in &args.format {
        for path in results(format, &target, &store, &run, &rows)? {
            answer(&path.display().to_string())?;
        }
    }
    if let Some(url) = &args.mlflow {
        let name = args.mlflow_experiment.as_ref().unwrap_or(&run.name);
        mlflow(url, name, &run, &rows)?;
    }
    Ok(Exit::Done)
}

/// Writes the results in one format. Gives the files.
fn results(format: Format, folder: &Path, store: &Store, run: &Run, rows: &[Row]) -> anyhow::Result<Vec<PathBuf>> {
    fs::create_dir_all(folder).with_context(|| format!("failed to make {}", folder.display()))?;
    let path = |name: &str| folder.join(name);
    match format {
        Format::Csv => {
            run_folder::write(&path("cells.csv"), csv(run, rows))?;
            Ok(vec![path("cells.csv")])
        }
        Format::Jsonl => {
            run_folder::write(&path("cells.jsonl"), json_lines(run, rows)?)?;
            Ok(vec![path("cells.jsonl")])
        }
        Format::Parquet => {
            let (cells, predictions) = (path("cells.parquet"), path("predictions.parquet"));
            streamed(&cells, |file| parquet::cells(run, rows, file))?;
            let scores = |row: &Row| Ok(store.scores(&row.cell.digest)?.unwrap_or_default());
            streamed(&predictions, |file| parquet::predictions(run, rows, scores, file))?;
            Ok(vec![cells, predictions])
        }
    }
}

/// Writes a file piece by piece under a temporary name, and renames it when it is whole.
fn streamed(
    path: &Path,
    fill: impl FnOnce(&mut BufWriter<File>) -> Result<(), parquet::TableError>,
) -> anyhow::Result<()> {
    let name = path.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
    let temporary = path.with_file_name(format!(".{name}.part"));
    let write = || -> anyhow::Result<()> {
        let mut file = BufWriter::new(File::create(&temporary)?);
        fill(&mut file)?;
        file.into_inner().map_err(std::io::IntoInnerError::into_error)?.sync_all()?;
        fs::rename(&temporary, path)?;
        Ok(())
    };
    let written = write();
    if written.is_err() {
        // What is half-written helps nobody; that it cannot be removed either is the smaller news.
        let _ = fs::remove_file(&temporary);
    }
    written.with_context(|| format!("failed to write {}", path.display()))
}

fn mlflow(url: &str, experiment: &str, run: &Run, rows: &[Row]) -> anyhow::Result<()> {
    let token = std::env::var("MLFLOW_TRACKING_TOKEN").ok().filter(|token| !token.is_empty());
    let about = || format!("failed to export {} to MLflow", run.name);
    let server = Server::at(url, token, Timeouts::default()).with_context(about)?;
    tell(&format!("telling {url} of {}", counted(rows.len(), "cell")));
    let told = server.export(experiment, run, rows, clock::milliseconds()).with_context(about)?;
    let (id, created, updated) = (&told.experiment_id, told.created, told.updated);
    answer(&format!(
        "{url}: experiment {experiment} ({id}): {created} new, {updated} updated, {} unchanged",
        told.unchanged
    ))?;
    Ok(())
}

/// Writes a stored model as ONNX.
fn model(path: &Path, target: &Path) -> anyhow::Result<Exit> {
    let model = models::open(path)?;
    let name = || format!("failed to export {}", path.display());
    let steps = model.pipeline.operations().map_err(|parts| anyhow!("no ONNX form of {parts}")).with_context(name)?;
    let with_probabilities = model.pipeline.score_kind() == ScoreKind::Logit;
    let bytes = onnx::write(&model.card, &steps, with_probabilities).with_context(name)?;
    run_folder::write(target, &bytes)?;
    let (height, width, channels) = model.card.shape();
    let more = if with_probabilities { " and probabilities" } else { "" };
    answer(&format!(
        "{}: images uint8 (N, {height}, {width}, {channels}) to scores{more} float (N, {}), {} bytes",
        target.display(),
        model.card.classes.len(),
        bytes.len()
    ))?;
    Ok(Exit::Done)
}
