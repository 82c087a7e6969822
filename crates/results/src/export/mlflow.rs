//! MLflow: what a server is told of a run. The talking is in `mlflow/server.rs`, the only file of this crate that uses a network.
//!
//! A run of bakeoff is an experiment there, and each cell a run: its settings as parameters, its figures as metrics, losses and
//! tuning trials as metrics with a history, digests and the commit as tags. Predictions stay here. A cell's digest, the tag
//! `bakeoff.digest`, tells which run it is, so that a second export finds the first.

pub mod server;

pub use server::{Exported, MlflowError, Server};

use crate::export::parquet::{outcome, reason, right};
use crate::groups::{median_seconds, sorted};
use crate::interval::wilson;
use crate::row::{Measured, Outcome, Row, Run};
use serde::Serialize;
use serde_json::Value;

/// The tag that tells a cell.
pub const DIGEST: &str = "bakeoff.digest";

/// Characters of a parameter's or tag's value: what older servers take.
const LONGEST: usize = 500;

/// Characters of a key.
const LONGEST_KEY: usize = 250;

/// A cell as MLflow has it.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Record {
    /// The name of the run: pipeline, seed and size.
    pub name: String,
    /// The cell's digest.
    pub digest: String,
    /// `FINISHED`, or `FAILED` for what was refused or failed.
    pub status: &'static str,
    /// Seconds from end to end, 0 where there is no result.
    pub seconds: f64,
    /// Tags, by key.
    pub tags: Vec<(String, String)>,
    /// Parameters, by key.
    pub params: Vec<(String, String)>,
    /// Metrics; those with a history have several steps.
    pub metrics: Vec<Metric>,
}

/// A value of a metric.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Metric {
    /// Its name.
    pub key: String,
    /// Its value, finite.
    pub value: f64,
    /// The epoch or trial, from 1; 0 for what has no history.
    pub step: i64,
}

/// What a server is told, one record a row, in the order of the plan.
pub fn records(run: &Run, rows: &[Row]) -> Vec<Record> {
    sorted(run, rows).into_iter().map(|row| record(run, row)).collect()
}

fn record(run: &Run, row: &Row) -> Record {
    let cell = &row.cell;
    let size = cell.train_size.map_or_else(String::new, |size| format!(", {size} images"));
    let done = match &row.outcome {
        Outcome::Done(measured) => Some(measured.as_ref()),
        _ => None,
    };
    Record {
        name: format!("{}, seed {}{size}", cell.pipeline, cell.seed),
        digest: cell.digest.clone(),
        status: if done.is_some() { "FINISHED" } else { "FAILED" },
        seconds: done.map_or(0.0, |measured| measured.total.0),
        tags: tags(run, row),
        params: params(run, row, done),
        metrics: done.map_or_else(Vec::new, |measured| metrics(run, measured)),
    }
}

fn tags(run: &Run, row: &Row) -> Vec<(String, String)> {
    let (host, dataset) = (&run.host, &run.dataset);
    let all = [
        (DIGEST, row.cell.digest.as_str()),
        ("bakeoff.experiment_digest", &run.digest),
        ("bakeoff.dataset_sha256", &dataset.sha256),
        ("bakeoff.outcome", outcome(row)),
        ("bakeoff.reason", reason(row).unwrap_or_default()),
        ("bakeoff.version", &host.version),
        ("bakeoff.cpu", &host.cpu),
        ("bakeoff.question", &run.question),
        ("mlflow.source.name", "bakeoff"),
        ("mlflow.source.git.commit", &host.commit),
    ];
    // An empty value says nothing, and some servers refuse it.
    all.into_iter().filter(|(_, value)| !value.is_empty()).map(|(key, value)| (key.to_owned(), cut(value))).collect()
}

/// Names and sizes, the pipeline's settings as meant, and the values that tuning chose.
fn params(run: &Run, row: &Row, done: Option<&Measured>) -> Vec<(String, String)> {
    let cell = &row.cell;
    let mut params = vec![
        ("pipeline".to_owned(), cut(&cell.pipeline)),
        ("seed".to_owned(), cell.seed.to_string()),
        ("train_size".to_owned(), cell.train_size.map_or_else(|| "all".to_owned(), |size| size.to_string())),
        ("dataset".to_owned(), cut(&run.dataset.name)),
    ];
    if let Some(measured) = done {
        params.push(("n_train".to_owned(), measured.n_train.to_string()));
        params.push(("dim".to_owned(), measured.dim.to_string()));
        params.push(("threads".to_owned(), measured.threads.to_string()));
        flatten("tuned", &chosen(measured), &mut params);
    }
    flatten("settings", &settings(run, &cell.pipeline), &mut params);
    params.into_iter().map(|(name, value)| (key(&name), value)).collect()
}

/// The settings of a pipeline in the experiment as meant; null where that is not understood.
fn settings(run: &Run, pipeline: &str) -> Value {
    let meant: Value = serde_json::from_str(&run.as_meant).unwrap_or_default();
    let pipelines = meant.get("pipelines").and_then(Value::as_array);
    let found = pipelines.and_then(|all| all.iter().find(|p| p.get("name").and_then(Value::as_str) == Some(pipeline)));
    let mut found = found.cloned().unwrap_or_default();
    if let Some(object) = found.as_object_mut() {
        object.remove("name");
    }
    found
}

/// The settings of the best trial; null where nothing was searched.
fn chosen(measured: &Measured) -> Value {
    let scored = measured.trials.iter().filter(|trial| trial.right.is_some());
    // The first among equals, as the runner chooses.
    let best = scored.reduce(|best, next| if next.right > best.right { next } else { best });
    best.and_then(|trial| serde_json::from_str(&trial.settings).ok()).unwrap_or_default()
}

/// A JSON value as parameters: objects and lists by their keys and places, joined by points; nulls are left out.
fn flatten(prefix: &str, value: &Value, params: &mut Vec<(String, String)>) {
    match value {
        Value::Null => {}
        Value::Object(fields) => {
            fields.iter().for_each(|(name, value)| flatten(&format!("{prefix}.{name}"), value, params));
        }
        Value::Array(values) if values.iter().any(|v| v.is_object() || v.is_array()) => {
            values.iter().enumerate().for_each(|(i, value)| flatten(&format!("{prefix}.{i}"), value, params));
        }
        Value::String(text) => params.push((prefix.to_owned(), cut(text))),
        other => params.push((prefix.to_owned(), cut(&other.to_string()))),
    }
}

fn metrics(run: &Run, measured: &Measured) -> Vec<Metric> {
    let labels = &run.dataset.test_labels;
    let (right, of) = (right(measured, labels), labels.len());
    let interval = wilson(right, of, run.confidence);
    let flag = |value: bool| f64::from(u8::from(value));
    let known = |value: f64| (value > 0.0).then_some(value);
    let single = [
        ("accuracy", (of > 0).then(|| right as f64 / of as f64)),
        ("accuracy_lo", (of > 0).then_some(interval.lo)),
        ("accuracy_hi", (of > 0).then_some(interval.hi)),
        ("right", Some(right as f64)),
        ("n_test", Some(of as f64)),
        ("seconds_features", Some(median_seconds(&measured.features))),
        ("seconds_fit", Some(median_seconds(&measured.fit))),
        ("seconds_tune", Some(measured.tune.0)),
        ("seconds_predict", Some(median_seconds(&measured.predict))),
        ("seconds_total", Some(measured.total.0)),
        ("cpu_seconds", known(measured.cpu.0)),
        ("seconds_latency", (!measured.latency.is_empty()).then(|| median_seconds(&measured.latency))),
        ("peak_rss_mb", known(measured.peak_rss_mb)),
        ("model_bytes", Some(measured.model_bytes as f64)),
        ("epochs", Some(measured.epochs as f64)),
        ("converged", Some(flag(measured.converged))),
        ("deterministic", Some(flag(measured.deterministic))),
    ];
    let single = single.into_iter().filter_map(|(key, value)| Some((key, value?, 0)));
    let losses = measured.curve.iter().map(|point| ("train_loss", point.loss, point.epoch));
    let trials =
        measured.trials.iter().enumerate().filter_map(|(i, trial)| {
            Some(("validation_accuracy", trial.right? as f64 / trial.of.max(1) as f64, i + 1))
        });
    let all = single.chain(losses).chain(trials).filter(|(_, value, _)| value.is_finite());
    all.map(|(key, value, step)| Metric { key: key.to_owned(), value, step: (step as u64).cast_signed() }).collect()
}

/// A text in as many characters as every server takes.
fn cut(text: &str) -> String {
    if text.chars().count() <= LONGEST {
        return text.to_owned();
    }
    text.chars().take(LONGEST - 1).chain(['…']).collect()
}

/// A key in the characters that MLflow allows.
fn key(name: &str) -> String {
    let allowed = |c: char| if c.is_ascii_alphanumeric() || "_-. /".contains(c) { c } else { '_' };
    name.chars().take(LONGEST_KEY).map(allowed).collect()
}
