//! Parquet tables, read back by the library's row reader; `.ci/mlflow.py` reads them with pyarrow.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

mod common;

use ::parquet::file::reader::{FileReader, SerializedFileReader};
use ::parquet::record::Field;
use bakeoff_results::export::{COLUMNS, parquet};
use bakeoff_results::{Outcome, Row, Run};
use common::{cell, done, failed, refused, run_of};
use std::io::Write;

fn sample() -> (Run, Vec<Row>) {
    let run = run_of(&["a", "b"], &[0, 1, 1, 0], 2);
    let small = Row { cell: cell("a", u64::MAX, Some(50)), ..done("a", 3, &[0, 0, 0, 0]) };
    (run, vec![refused("b", 0, "too \"small\",\nreally"), small, done("a", 3, &[0, 1, 1, 1]), failed("b", 1, "=1")])
}

/// The rows of a file, each with its fields by name.
fn read(bytes: &[u8]) -> Vec<Vec<(String, Field)>> {
    let mut file = tempfile::tempfile().unwrap();
    file.write_all(bytes).unwrap();
    let reader = SerializedFileReader::new(file).unwrap();
    let rows = reader.get_row_iter(None).unwrap();
    rows.map(|row| row.unwrap().into_columns()).collect()
}

fn field<'a>(row: &'a [(String, Field)], name: &str) -> &'a Field {
    &row.iter().find(|(other, _)| other == name).unwrap().1
}

fn text(value: &str) -> Field {
    Field::Str(value.to_owned())
}

#[test]
fn cells_come_back_with_types_and_nulls() {
    let (run, rows) = sample();
    let mut bytes = Vec::new();
    parquet::cells(&run, &rows, &mut bytes).unwrap();
    let table = read(&bytes);
    assert_eq!(table.len(), 4);
    assert!(table.iter().all(|row| row.iter().map(|(name, _)| name.as_str()).eq(COLUMNS)));
    let small = &table[0];
    assert_eq!((field(small, "pipeline"), field(small, "train_size")), (&text("a"), &Field::Long(50)));
    assert_eq!(field(small, "seed"), &Field::ULong(u64::MAX));
    assert_eq!((field(small, "accuracy"), field(small, "reason")), (&Field::Double(0.5), &Field::Null));
    assert_eq!((field(&table[1], "train_size"), field(&table[1], "right")), (&Field::Null, &Field::Long(3)));
    assert_eq!(
        (field(&table[1], "fit_seconds"), field(&table[1], "converged")),
        (&Field::Double(1.5), &Field::Bool(true))
    );
    assert_eq!(
        (field(&table[2], "outcome"), field(&table[2], "reason")),
        (&text("refused"), &text("too \"small\",\nreally"))
    );
    // Nothing runs formulas here: texts are as they are.
    assert_eq!((field(&table[3], "reason"), field(&table[3], "accuracy")), (&text("=1"), &Field::Null));
    // No rows are a table too.
    let mut bytes = Vec::new();
    parquet::cells(&run, &[], &mut bytes).unwrap();
    assert!(read(&bytes).is_empty());
}

#[test]
fn predictions_have_a_row_an_image_and_scores_where_they_are_kept() {
    let (run, mut rows) = sample();
    if let Outcome::Done(measured) = &mut rows[2].outcome {
        measured.scores = vec![0.5, -1.0, 0.25, 2.0, 0.0, 1.0, -3.0, 3.0];
    }
    let scores = |row: &Row| match &row.outcome {
        Outcome::Done(measured) => Ok(measured.scores.clone()),
        _ => Ok(Vec::new()),
    };
    let mut bytes = Vec::new();
    parquet::predictions(&run, &rows, scores, &mut bytes).unwrap();
    let table = read(&bytes);
    assert_eq!(table.len(), 8);
    let last = &table[7];
    assert_eq!(
        (field(last, "pipeline"), field(last, "seed"), field(last, "image")),
        (&text("a"), &Field::ULong(3), &Field::Long(3))
    );
    assert_eq!((field(last, "label"), field(last, "predicted")), (&text("class 0"), &text("class 1")));
    assert_eq!((field(last, "predicted_id"), field(last, "right")), (&Field::Long(1), &Field::Bool(false)));
    let Field::ListInternal(list) = field(last, "scores") else { panic!("{last:?}") };
    assert_eq!(list.elements(), [Field::Float(-3.0), Field::Float(3.0)]);
    assert!(
        table[..4]
            .iter()
            .all(|row| *field(row, "scores") == Field::Null && *field(row, "train_size") == Field::Long(50))
    );
}

/// A disk that is full after so many bytes.
struct Full(usize);

impl Write for Full {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0 = self.0.checked_sub(bytes.len()).ok_or(std::io::ErrorKind::StorageFull)?;
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

#[test]
fn a_full_disk_is_an_error_at_every_byte() {
    let (run, rows) = sample();
    let mut whole = Vec::new();
    parquet::cells(&run, &rows, &mut whole).unwrap();
    for room in (0..whole.len()).step_by(97) {
        assert!(parquet::cells(&run, &rows, &mut Full(room)).is_err(), "{room} bytes");
        assert!(
            parquet::predictions(&run, &rows, |_| Ok(Vec::new()), &mut Full(room.min(300))).is_err(),
            "{room} bytes"
        );
    }
}
