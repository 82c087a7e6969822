//! CSV: one line a cell.

use crate::Format;
use bakeoff_results::export;

pub(crate) const FORMAT: Format = Format {
    name: "csv",
    summary: "one line a cell, for spreadsheets and data frames",
    extension: "csv",
    render: |report| Ok(export::csv(report.run, report.rows)),
};
