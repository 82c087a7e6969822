//! JSON lines: every row as it is stored, predictions included.

use crate::Format;
use bakeoff_results::export;

pub(crate) const FORMAT: Format = Format {
    name: "json-lines",
    summary: "every row as it is stored, with the predictions",
    extension: "jsonl",
    render: |report| Ok(export::json_lines(report.run, report.rows)?),
};
