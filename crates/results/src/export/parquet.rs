//! Parquet: a table of cells and a table of predictions, compressed with Snappy, for whatever reads data frames.
//!
//! Cells have the columns of [`crate::export::COLUMNS`], with types: whole numbers, doubles, flags and texts. What is not known is null;
//! texts are as they are, since nothing in a Parquet file is run as a formula.
//!
//! Predictions have one row a finished cell and test image: `digest`, `pipeline`, `seed`, `train_size`, `image` (its position in the test
//! part), `label`, `predicted` (class names), `label_id`, `predicted_id`, `right`, and `scores`, a list of one float a class, null where
//! they are not kept. Each cell is a row group, so that memory holds one cell at a time.

use crate::error::StoreError;
use crate::export::{COLUMNS, known_only};
use crate::groups::{median_seconds, sorted};
use crate::row::{Measured, Outcome, Row, Run};
use parquet::basic::Compression;
use parquet::data_type::{BoolType, ByteArray, ByteArrayType, DoubleType, FloatType, Int64Type};
use parquet::errors::ParquetError;
use parquet::file::properties::WriterProperties;
use parquet::file::writer::{SerializedFileWriter, SerializedRowGroupWriter};
use parquet::schema::parser::parse_message_type;
use std::io::Write;
use std::sync::Arc;
use thiserror::Error;

/// Why a table could not be written.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum TableError {
    /// The writer gave up: most often the disk is full.
    #[error("failed to write Parquet: {source}")]
    Parquet {
        /// Its reason.
        #[from]
        source: ParquetError,
    },
    /// Scores could not be read.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// Where a table is written. One type, so that the writers of columns are compiled here and not again wherever one is called.
type Out<'a> = &'a mut (dyn Write + Send);

/// A column: a value for each row, or none.
enum Column {
    Text(Vec<Option<String>>),
    Whole(Vec<Option<i64>>),
    Real(Vec<Option<f64>>),
    Flag(Vec<Option<bool>>),
}

/// The table of cells, in the order of the plan.
///
/// # Errors
/// [`TableError::Parquet`] when `out` cannot be written to.
pub fn cells(run: &Run, rows: &[Row], out: Out<'_>) -> Result<(), TableError> {
    let rows = sorted(run, rows);
    let columns = COLUMNS.map(|name| (name, cell_column(name, run, &rows)));
    let fields: String = columns.iter().map(|(name, column)| field(name, column)).collect();
    let mut writer = writer(&format!("message cells {{ {fields} }}"), out)?;
    let mut group = writer.next_row_group()?;
    for (_, column) in &columns {
        put(&mut group, column)?;
    }
    group.close()?;
    writer.close()?;
    Ok(())
}

fn field(name: &str, column: &Column) -> String {
    match column {
        Column::Text(_) => format!("OPTIONAL BYTE_ARRAY {name} (STRING); "),
        // A seed has 64 bits and no sign.
        Column::Whole(_) if name == "seed" => format!("OPTIONAL INT64 {name} (INTEGER(64,false)); "),
        Column::Whole(_) => format!("OPTIONAL INT64 {name}; "),
        Column::Real(_) => format!("OPTIONAL DOUBLE {name}; "),
        Column::Flag(_) => format!("OPTIONAL BOOLEAN {name}; "),
    }
}

/// A column of cells by its name in [`COLUMNS`].
fn cell_column(name: &str, run: &Run, rows: &[&Row]) -> Column {
    let labels = &run.dataset.test_labels;
    let text = |of: &dyn Fn(&Row) -> Option<String>| Column::Text(rows.iter().map(|row| of(row)).collect());
    let whole = |of: &dyn Fn(&Measured) -> usize| {
        Column::Whole(rows.iter().map(|row| measured(row).map(|m| signed(of(m)))).collect())
    };
    let real = |of: &dyn Fn(&Measured) -> Option<f64>| {
        Column::Real(rows.iter().map(|row| measured(row).and_then(of)).collect())
    };
    let flag = |of: &dyn Fn(&Measured) -> bool| Column::Flag(rows.iter().map(|row| measured(row).map(of)).collect());
    match name {
        "pipeline" => text(&|row| Some(row.cell.pipeline.clone())),
        "outcome" => text(&|row| Some(outcome(row).to_owned())),
        "reason" => text(&|row| reason(row).map(str::to_owned)),
        "digest" => text(&|row| Some(row.cell.digest.clone())),
        "notes" => text(&|row| measured(row).map(|m| m.notes.join("; "))),
        "seed" => Column::Whole(rows.iter().map(|row| Some(row.cell.seed.cast_signed())).collect()),
        "train_size" => Column::Whole(rows.iter().map(|row| row.cell.train_size.map(signed)).collect()),
        "n_train" => whole(&|m| m.n_train),
        "n_test" => whole(&|_| labels.len()),
        "right" => whole(&|m| right(m, labels)),
        "dim" => whole(&|m| m.dim),
        "threads" => whole(&|m| m.threads),
        "model_bytes" => whole(&|m| m.model_bytes),
        "epochs" => whole(&|m| m.epochs),
        "trials" => whole(&|m| m.trials.len()),
        "converged" => flag(&|m| m.converged),
        "deterministic" => flag(&|m| m.deterministic),
        "accuracy" => real(&|m| m.accuracy(labels)),
        "features_seconds" => real(&|m| Some(median_seconds(&m.features))),
        "fit_seconds" => real(&|m| Some(median_seconds(&m.fit))),
        "tune_seconds" => real(&|m| Some(m.tune.0)),
        "predict_seconds" => real(&|m| Some(median_seconds(&m.predict))),
        "total_seconds" => real(&|m| Some(m.total.0)),
        "cpu_seconds" => real(&|m| known_only(m.cpu.0)),
        "peak_rss_mb" => real(&|m| known_only(m.peak_rss_mb)),
        other => unreachable!("no column {other}"),
    }
}

/// The table of predictions, cells in the order of the plan. `scores_of` gives the scores of a finished cell, (n, k) row by row, empty where they
/// are not kept; rows of a store come without.
///
/// # Errors
/// [`TableError::Parquet`] when `out` cannot be written to, else what `scores_of` reports.
pub fn predictions(
    run: &Run,
    rows: &[Row],
    scores_of: impl Fn(&Row) -> Result<Vec<f32>, StoreError>,
    out: Out<'_>,
) -> Result<(), TableError> {
    const SCHEMA: &str = "message predictions {
        OPTIONAL BYTE_ARRAY digest (STRING); OPTIONAL BYTE_ARRAY pipeline (STRING);
        OPTIONAL INT64 seed (INTEGER(64,false)); OPTIONAL INT64 train_size; OPTIONAL INT64 image;
        OPTIONAL BYTE_ARRAY label (STRING); OPTIONAL BYTE_ARRAY predicted (STRING);
        OPTIONAL INT64 label_id; OPTIONAL INT64 predicted_id; OPTIONAL BOOLEAN right;
        OPTIONAL GROUP scores (LIST) { REPEATED GROUP list { REQUIRED FLOAT element; } }
    }";
    let mut writer = writer(SCHEMA, out)?;
    for row in sorted(run, rows) {
        let Some(measured) = measured(row) else { continue };
        let scores = scores_of(row)?;
        let mut group = writer.next_row_group()?;
        for column in prediction_columns(run, row, measured) {
            put(&mut group, &column)?;
        }
        put_scores(&mut group, &scores, measured.predicted.len(), run.dataset.classes.len())?;
        group.close()?;
    }
    writer.close()?;
    Ok(())
}

/// The columns before the scores.
fn prediction_columns(run: &Run, row: &Row, measured: &Measured) -> [Column; 10] {
    let n = measured.predicted.len();
    let labels: Vec<Option<usize>> = (0..n).map(|i| run.dataset.test_labels.get(i).copied()).collect();
    let predicted: Vec<Option<usize>> = measured.predicted.iter().copied().map(Some).collect();
    let names = |ids: &[Option<usize>]| {
        Column::Text(ids.iter().map(|id| id.and_then(|id| run.dataset.classes.get(id).cloned())).collect())
    };
    let ids = |ids: &[Option<usize>]| Column::Whole(ids.iter().map(|id| id.map(signed)).collect());
    [
        Column::Text(vec![Some(row.cell.digest.clone()); n]),
        Column::Text(vec![Some(row.cell.pipeline.clone()); n]),
        Column::Whole(vec![Some(row.cell.seed.cast_signed()); n]),
        Column::Whole(vec![row.cell.train_size.map(signed); n]),
        Column::Whole((0..n).map(|i| Some(signed(i))).collect()),
        names(&labels),
        names(&predicted),
        ids(&labels),
        ids(&predicted),
        Column::Flag(labels.iter().zip(&predicted).map(|(t, p)| Some(t == p)).collect()),
    ]
}

fn writer<'a>(schema: &str, out: Out<'a>) -> Result<SerializedFileWriter<Out<'a>>, ParquetError> {
    let properties = WriterProperties::builder()
        .set_compression(Compression::SNAPPY)
        .set_created_by(format!("bakeoff {}", env!("CARGO_PKG_VERSION")))
        .build();
    SerializedFileWriter::new(out, Arc::new(parse_message_type(schema)?), Arc::new(properties))
}

fn put(group: &mut SerializedRowGroupWriter<'_, Out<'_>>, column: &Column) -> Result<(), ParquetError> {
    let mut writer = group.next_column()?.ok_or_else(too_few)?;
    match column {
        Column::Text(values) => {
            let known: Vec<ByteArray> = values.iter().flatten().map(|text| text.as_bytes().to_vec().into()).collect();
            writer.typed::<ByteArrayType>().write_batch(&known, Some(&levels(values)), None)?;
        }
        Column::Whole(values) => {
            let known: Vec<i64> = values.iter().flatten().copied().collect();
            writer.typed::<Int64Type>().write_batch(&known, Some(&levels(values)), None)?;
        }
        Column::Real(values) => {
            let known: Vec<f64> = values.iter().flatten().copied().collect();
            writer.typed::<DoubleType>().write_batch(&known, Some(&levels(values)), None)?;
        }
        Column::Flag(values) => {
            let known: Vec<bool> = values.iter().flatten().copied().collect();
            writer.typed::<BoolType>().write_batch(&known, Some(&levels(values)), None)?;
        }
    }
    writer.close()
}

/// Scores (n, k) as n lists; nulls unless there are just as many.
fn put_scores(
    group: &mut SerializedRowGroupWriter<'_, Out<'_>>,
    scores: &[f32],
    n: usize,
    k: usize,
) -> Result<(), ParquetError> {
    let mut writer = group.next_column()?.ok_or_else(too_few)?;
    if k > 0 && scores.len() == n * k {
        // Each list begins with repetition level 0; level 2 of the definition is a value that is there.
        let repeated: Vec<i16> = (0..n * k).map(|i| i16::from(i % k > 0)).collect();
        writer.typed::<FloatType>().write_batch(scores, Some(&vec![2; n * k]), Some(&repeated))?;
    } else {
        writer.typed::<FloatType>().write_batch(&[], Some(&vec![0; n]), Some(&vec![0; n]))?;
    }
    writer.close()
}

fn too_few() -> ParquetError {
    ParquetError::General("the schema has fewer columns than the table".to_owned())
}

fn levels<T>(values: &[Option<T>]) -> Vec<i16> {
    values.iter().map(|value| i16::from(value.is_some())).collect()
}

fn signed(count: usize) -> i64 {
    (count as u64).cast_signed()
}

fn measured(row: &Row) -> Option<&Measured> {
    match &row.outcome {
        Outcome::Done(measured) => Some(measured),
        _ => None,
    }
}

pub(crate) fn outcome(row: &Row) -> &'static str {
    match row.outcome {
        Outcome::Done(_) => "done",
        Outcome::Refused { .. } => "refused",
        Outcome::Failed { .. } => "failed",
    }
}

pub(crate) fn reason(row: &Row) -> Option<&str> {
    match &row.outcome {
        Outcome::Done(_) => None,
        Outcome::Refused { reason } => Some(reason),
        Outcome::Failed { error } => Some(error),
    }
}

pub(crate) fn right(measured: &Measured, labels: &[usize]) -> usize {
    labels.iter().zip(&measured.predicted).filter(|(t, p)| t == p).count()
}
