//! What a run says at its end: a leaderboard, the verdict, where the report is; or one JSON object.

use crate::exit::Exit;
use crate::rendering;
use crate::terminal::{answer, tell};
use bakeoff_results::words::{bytes, duration, level, percent, percent_interval};
use bakeoff_results::{PipelineSummary, Store, Summary, verdict_line};
use comfy_table::{CellAlignment, LineStyle, Table, presets};
use serde_json::{Map, Value, json};
use std::path::Path;

/// Renders the report of a run, and tells its figures. The answer is "no" when no pipeline has a result.
pub(crate) fn show(folder: &Path, store: &Store, as_json: bool) -> anyhow::Result<Exit> {
    let (run, rows) = (store.run(), store.rows()?);
    let report = rendering::report(folder, store, &run, &rows);
    let summary = report.summary().clone();
    let written = rendering::write(folder, &report, &[])?;
    let mut lines = vec![leaderboard(&summary), String::new(), verdict_line(&summary)];
    lines.extend(remarks(&summary));
    lines.push(format!("Report: {}", written.display()));
    let text = lines.join("\n");
    if as_json {
        tell(&text);
        answer(&json_line(folder, &summary)?)?;
    } else {
        answer(&text)?;
    }
    Ok(if summary.ranking().is_empty() { Exit::No } else { Exit::Done })
}

/// The object of `--json`: the run's folder, then the summary.
fn json_line(folder: &Path, summary: &Summary) -> anyhow::Result<String> {
    let mut object = Map::from_iter([("run".to_owned(), json!(folder.display().to_string()))]);
    if let Value::Object(figures) = serde_json::to_value(summary)? {
        object.extend(figures);
    }
    Ok(Value::Object(object).to_string())
}

fn leaderboard(summary: &Summary) -> String {
    let interval = format!("{} interval", level(summary.confidence));
    let titles = [
        "pipeline", "accuracy", &interval, "seeds", "features", "tuning", "fit", "predict", "in all", "memory", "model",
    ];
    let mut table = Table::new();
    // Lines between rows would double the height and divide nothing that alignment does not.
    table.load_style(presets::UTF8_HORIZONTAL_ONLY.row_separator(LineStyle::none())).set_header(titles);
    for pipeline in summary.ranking().into_iter().chain(summary.unranked()) {
        table.add_row(line(pipeline));
    }
    for column in table.column_iter_mut().skip(1) {
        column.set_cell_alignment(CellAlignment::Right);
    }
    table.trim_fmt()
}

fn line(pipeline: &PipelineSummary) -> Vec<String> {
    let nothing = || "–".to_owned();
    let spent = |part: fn(&bakeoff_results::PartSeconds) -> f64| pipeline.seconds.as_ref().map(part);
    let shown = |seconds: Option<f64>| seconds.map_or_else(nothing, duration);
    vec![
        pipeline.name.clone(),
        pipeline.accuracy.map_or_else(|| pipeline.outcome.name().to_owned(), percent),
        pipeline.interval.map_or_else(nothing, percent_interval),
        pipeline.seeds.to_string(),
        shown(spent(|s| s.features)),
        // None where nothing was searched.
        shown(spent(|s| s.tune).filter(|&seconds| seconds > 0.0)),
        shown(spent(|s| s.fit)),
        shown(spent(|s| s.predict)),
        shown(spent(|s| s.total)),
        pipeline.peak_rss_mb.map_or_else(nothing, |mb| format!("{mb:.0} MB")),
        pipeline.model_bytes.map_or_else(nothing, bytes),
    ]
}

/// What a reader of the figures must know.
fn remarks(summary: &Summary) -> Vec<String> {
    let mut remarks = Vec::new();
    for pipeline in &summary.pipelines {
        let name = &pipeline.name;
        if let Some(reason) = &pipeline.reason {
            remarks.push(format!("{name}: {}: {reason}", pipeline.outcome.name()));
        }
        if pipeline.converged == Some(false) {
            remarks.push(format!("{name}: stopped at its limit of iterations before it converged"));
        }
        remarks.extend(pipeline.notes.iter().map(|note| format!("{name}: {note}")));
    }
    remarks
}
