//! JSON: the run, its figures and what stands behind them, as one object.

use crate::{Format, ReportError};
use bakeoff_results::{Row, Run, details, summarise};
use serde_json::{Map, Value, to_value};

pub(crate) const FORMAT: Format = Format {
    name: "json",
    summary: "the run, its figures, confusions and tuning as one object",
    extension: "json",
    render,
};

fn render(run: &Run, rows: &[Row]) -> Result<String, ReportError> {
    let mut object = Map::new();
    object.insert("run".to_owned(), to_value(run)?);
    object.insert("summary".to_owned(), to_value(summarise(run, rows))?);
    object.insert("details".to_owned(), to_value(details(run, rows))?);
    Ok(serde_json::to_string_pretty(&Value::Object(object))? + "\n")
}
