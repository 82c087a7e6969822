//! Renders results as Markdown, HTML, CSV and JSON. It computes nothing: every figure comes from `bakeoff-results`.
//!
//! One format is one file and one line of [`CATALOGUE`].

mod compared;
mod csv;
mod figures;
mod html;
mod json;
mod json_lines;
mod markdown;
mod pictures;
pub mod plot;
mod report;
mod tables;
mod text;

/// A whole number with commas between thousands, for rooms that make pages and know no results.
pub use bakeoff_results::words::grouped;
pub use compared::{Compared, Difference};
pub use html::{Live, PROGRESS, document, live_page, pictures};
pub use pictures::{Gallery, Picture, Pictures, Stroke};
pub use report::Report;

use thiserror::Error;

/// A format of reports.
pub struct Format {
    /// Its name on the command line.
    pub name: &'static str,
    /// What it is, in one line.
    pub summary: &'static str,
    /// The ending of its files, without the dot.
    pub extension: &'static str,
    /// A report as the text of a file.
    pub render: fn(&Report<'_>) -> Result<String, ReportError>,
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
