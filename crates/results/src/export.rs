//! Rows to take away: CSV for spreadsheets and data frames, JSON lines for programs, Parquet for either, and an MLflow server.

pub mod mlflow;
pub mod parquet;

use crate::groups::{median_seconds, sorted};
use crate::row::{Measured, Outcome, Row, Run};

/// The columns of [`csv`], in order.
pub const COLUMNS: [&str; 25] = [
    "pipeline",
    "seed",
    "train_size",
    "outcome",
    "reason",
    "n_train",
    "n_test",
    "right",
    "accuracy",
    "dim",
    "features_seconds",
    "fit_seconds",
    "tune_seconds",
    "predict_seconds",
    "total_seconds",
    "cpu_seconds",
    "threads",
    "peak_rss_mb",
    "model_bytes",
    "epochs",
    "converged",
    "deterministic",
    "trials",
    "notes",
    "digest",
];

/// One line a cell after a line of [`COLUMNS`], in the order of the plan. RFC 4180: commas, lines end in CR LF, fields are quoted where needed
/// and quotes doubled. Empty fields are not known. Texts that a spreadsheet would run as a formula (those that begin with =, +, -, @, a
/// tab or a carriage return) get an apostrophe in front. Seconds of several timings are medians; `train_size` is empty for all images.
pub fn csv(run: &Run, rows: &[Row]) -> String {
    let mut out = COLUMNS.join(",");
    out.push_str("\r\n");
    for row in sorted(run, rows) {
        out.push_str(&fields(run, row).join(","));
        out.push_str("\r\n");
    }
    out
}

/// One JSON object a line for each row, in the order of the plan: everything that is stored of it, predictions included.
///
/// # Errors
/// Never for rows from a store; the error is that of the JSON writer.
pub fn json_lines(run: &Run, rows: &[Row]) -> Result<String, serde_json::Error> {
    let line = |row: &&Row| serde_json::to_string(row).map(|line| line + "\n");
    sorted(run, rows).iter().map(line).collect()
}

fn fields(run: &Run, row: &Row) -> Vec<String> {
    let cell = &row.cell;
    let (outcome, reason) = (parquet::outcome(row), parquet::reason(row).unwrap_or_default());
    let size = cell.train_size.map_or_else(String::new, |size| size.to_string());
    let mut fields = vec![text(&cell.pipeline), cell.seed.to_string(), size, outcome.to_owned(), text(reason)];
    match &row.outcome {
        Outcome::Done(measured) => fields.extend(figures(run, measured)),
        _ => fields.extend(std::iter::repeat_n(String::new(), COLUMNS.len() - fields.len() - 1)),
    }
    fields.push(text(&cell.digest));
    fields
}

fn figures(run: &Run, measured: &Measured) -> [String; 19] {
    let labels = &run.dataset.test_labels;
    let right = parquet::right(measured, labels);
    let accuracy = if labels.is_empty() { String::new() } else { (right as f64 / labels.len() as f64).to_string() };
    let known = |value: f64| known_only(value).map_or_else(String::new, |value| value.to_string());
    [
        measured.n_train.to_string(),
        labels.len().to_string(),
        right.to_string(),
        accuracy,
        measured.dim.to_string(),
        median_seconds(&measured.features).to_string(),
        median_seconds(&measured.fit).to_string(),
        measured.tune.0.to_string(),
        median_seconds(&measured.predict).to_string(),
        measured.total.0.to_string(),
        known(measured.cpu.0),
        measured.threads.to_string(),
        known(measured.peak_rss_mb),
        measured.model_bytes.to_string(),
        measured.epochs.to_string(),
        measured.converged.to_string(),
        measured.deterministic.to_string(),
        measured.trials.len().to_string(),
        text(&measured.notes.join("; ")),
    ]
}

/// A measurement that is 0 where it is not known.
fn known_only(value: f64) -> Option<f64> {
    (value > 0.0).then_some(value)
}

/// A text as a field.
fn text(value: &str) -> String {
    let formula = value.starts_with(['=', '+', '-', '@', '\t', '\r']);
    let safe = if formula { format!("'{value}") } else { value.to_owned() };
    if safe.contains([',', '"', '\r', '\n']) { format!("\"{}\"", safe.replace('"', "\"\"")) } else { safe }
}
