//! Renders results as Markdown, HTML, CSV and JSON. It computes nothing: every figure comes from `bakeoff-results`.
//!
//! One format is one file and one line of [`CATALOGUE`].

mod content;
mod csv;
mod html;
mod json;
mod json_lines;
mod markdown;
mod tables;
mod text;

use bakeoff_results::{Row, Run};
use thiserror::Error;

/// A format of reports.
pub struct Format {
    /// Its name on the command line.
    pub name: &'static str,
    /// What it is, in one line.
    pub summary: &'static str,
    /// The ending of its files, without the dot.
    pub extension: &'static str,
    /// The report of a run with these rows, as the text of a file.
    pub render: fn(&Run, &[Row]) -> Result<String, ReportError>,
}

/// Every format.
pub const CATALOGUE: &[Format] = &[html::FORMAT, markdown::FORMAT, csv::FORMAT, json::FORMAT, json_lines::FORMAT];

/// Why a report could not be rendered.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum ReportError {
    /// The JSON writer gave up.
    #[error("the results do not fit into JSON: {source}")]
    Json {
        /// Its reason.
        #[from]
        source: serde_json::Error,
    },
}
