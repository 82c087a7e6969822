//! JSON: the run, its figures and what stands behind them, as one object.

use crate::{Format, Report, ReportError};
use serde_json::{Map, Value, to_value};

pub(crate) const FORMAT: Format = Format {
    name: "json",
    summary: "the run, its figures, confusions and tuning as one object",
    extension: "json",
    render,
};

fn render(report: &Report<'_>) -> Result<String, ReportError> {
    let mut object = Map::new();
    object.insert("run".to_owned(), to_value(report.run)?);
    object.insert("summary".to_owned(), to_value(&report.summary)?);
    object.insert("details".to_owned(), to_value(&report.details)?);
    Ok(serde_json::to_string_pretty(&Value::Object(object))? + "\n")
}
