//! Runs and rows as the columns of the store, and back. What comes back is checked in full.

use crate::error::StoreError;
use crate::row::{Cell, Measured, Outcome, Repeat, Row, Run};
use serde_json::Value;

/// Bytes of a class id in a blob.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum IdWidth {
    Two,
    Four,
}

impl IdWidth {
    /// The narrowest width for this many classes.
    fn of(n_classes: usize) -> Self {
        if n_classes <= usize::from(u16::MAX) + 1 { Self::Two } else { Self::Four }
    }

    fn bytes(self) -> u8 {
        match self {
            Self::Two => 2,
            Self::Four => 4,
        }
    }
}

/// Columns of the table `run`.
pub(crate) struct StoredRun {
    pub(crate) digest: String,
    pub(crate) json: String,
    pub(crate) id_bytes: i64,
    pub(crate) test_labels: Vec<u8>,
}

/// Columns of the table `cell`.
pub(crate) struct StoredRow {
    pub(crate) digest: String,
    pub(crate) pipeline: String,
    pub(crate) seed: i64,
    pub(crate) train_size: Option<i64>,
    pub(crate) outcome: String,
    pub(crate) message: Option<String>,
    pub(crate) measured: Option<String>,
    pub(crate) predicted: Option<Vec<u8>>,
}

impl StoredRun {
    pub(crate) fn checksum(&self) -> i64 {
        let width = self.id_bytes.to_le_bytes();
        checksum(&[Some(self.digest.as_bytes()), Some(self.json.as_bytes()), Some(&width), Some(&self.test_labels)])
    }
}

impl StoredRow {
    pub(crate) fn checksum(&self) -> i64 {
        let size = self.train_size.map(i64::to_le_bytes);
        checksum(&[
            Some(self.digest.as_bytes()),
            Some(self.pipeline.as_bytes()),
            Some(&self.seed.to_le_bytes()),
            size.as_ref().map(<[u8; 8]>::as_slice),
            Some(self.outcome.as_bytes()),
            self.message.as_deref().map(str::as_bytes),
            self.measured.as_deref().map(str::as_bytes),
            self.predicted.as_deref(),
        ])
    }
}

/// 64-bit FNV-1a over columns, each with a tag and its length, so that no two lists of columns run together.
fn checksum(columns: &[Option<&[u8]>]) -> i64 {
    let mut hash = 0xcbf2_9ce4_8422_2325_u64;
    let mut add = |bytes: &[u8]| {
        for &byte in bytes {
            hash = (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3);
        }
    };
    for column in columns {
        add(&[u8::from(column.is_some())]);
        let bytes = column.unwrap_or_default();
        add(&(bytes.len() as u64).to_le_bytes());
        add(bytes);
    }
    hash.cast_signed()
}

/// Checks that a run can be stored and read back.
pub(crate) fn check_run(run: &Run) -> Result<(), StoreError> {
    let unfit = |problem| StoreError::Unfit { what: format!("the run {}", run.name), problem };
    check_ids(&run.dataset.test_labels, run.dataset.classes.len()).map_err(unfit)?;
    check_levels(run).map_err(unfit)?;
    let stored = encode_run(run);
    decode_run(&stored, stored.checksum()).map(|_| ()).map_err(unfit)
}

pub(crate) fn encode_run(run: &Run) -> StoredRun {
    let width = IdWidth::of(run.dataset.classes.len());
    let mut json = value_of(run);
    json["dataset"]["test_labels"] = Value::Array(Vec::new());
    StoredRun {
        digest: run.digest.clone(),
        json: json.to_string(),
        id_bytes: i64::from(width.bytes()),
        test_labels: to_blob(&run.dataset.test_labels, width),
    }
}

pub(crate) fn decode_run(stored: &StoredRun, checksum: i64) -> Result<Run, String> {
    if stored.checksum() != checksum {
        return Err("the run's checksum does not fit its columns".to_owned());
    }
    let mut run: Run = serde_json::from_str(&stored.json).map_err(|e| format!("the run's JSON: {e}"))?;
    let width = IdWidth::of(run.dataset.classes.len());
    if stored.id_bytes != i64::from(width.bytes()) || stored.digest != run.digest {
        return Err("the run's columns contradict its JSON".to_owned());
    }
    run.dataset.test_labels = from_blob(&stored.test_labels, width);
    check_ids(&run.dataset.test_labels, run.dataset.classes.len())?;
    Ok(run)
}

/// The columns of a row, checked against its run.
pub(crate) fn encode(run: &Run, row: &Row) -> Result<StoredRow, StoreError> {
    let cell = &row.cell;
    let unfit = |problem: String| StoreError::Unfit { what: format!("the cell {}", cell.digest), problem };
    check_row(run, row).map_err(unfit)?;
    let (outcome, message, measured) = match &row.outcome {
        Outcome::Done(measured) => ("done", None, Some(measured)),
        Outcome::Refused { reason } => ("refused", Some(reason.clone()), None),
        Outcome::Failed { error } => ("failed", Some(error.clone()), None),
    };
    let width = IdWidth::of(run.dataset.classes.len());
    let json = measured.map(|m| without_predicted(m));
    // JSON has no infinities: what cannot be read back must not be stored.
    if let Some(json) = &json {
        measured_of(json, Vec::new()).map_err(|e| unfit(format!("a number that is not finite ({e})")))?;
    }
    Ok(StoredRow {
        digest: cell.digest.clone(),
        pipeline: cell.pipeline.clone(),
        seed: cell.seed.cast_signed(),
        train_size: cell.train_size.map(|size| (size as u64).cast_signed()),
        outcome: outcome.to_owned(),
        message,
        measured: json,
        predicted: measured.map(|m| to_blob(&m.predicted, width)),
    })
}

/// The row of these columns, or what is wrong with them.
pub(crate) fn decode(run: &Run, stored: &StoredRow, checksum: i64) -> Result<Row, String> {
    let blame = |problem: String| format!("cell {}: {problem}", stored.digest);
    if stored.checksum() != checksum {
        return Err(blame("its checksum does not fit its columns".to_owned()));
    }
    let outcome = outcome_of(run, stored).map_err(blame)?;
    let train_size = stored.train_size.map(usize::try_from).transpose();
    let train_size = train_size.map_err(|e| blame(format!("its training size: {e}")))?;
    let cell = Cell {
        pipeline: stored.pipeline.clone(),
        seed: stored.seed.cast_unsigned(),
        train_size,
        digest: stored.digest.clone(),
    };
    let row = Row { cell, outcome };
    check_row(run, &row).map_err(blame)?;
    Ok(row)
}

fn outcome_of(run: &Run, stored: &StoredRow) -> Result<Outcome, String> {
    match (stored.outcome.as_str(), &stored.message, &stored.measured, &stored.predicted) {
        ("done", None, Some(json), Some(blob)) => {
            let predicted = from_blob(blob, IdWidth::of(run.dataset.classes.len()));
            Ok(Outcome::Done(Box::new(measured_of(json, predicted)?)))
        }
        ("refused", Some(reason), None, None) => Ok(Outcome::Refused { reason: reason.clone() }),
        ("failed", Some(error), None, None) => Ok(Outcome::Failed { error: error.clone() }),
        (outcome, ..) => Err(format!("outcome {outcome:?} with the columns of another")),
    }
}

fn check_row(run: &Run, row: &Row) -> Result<(), String> {
    if !run.pipelines.contains(&row.cell.pipeline) {
        return Err(format!("the run has no pipeline {:?}", row.cell.pipeline));
    }
    let Outcome::Done(measured) = &row.outcome else { return Ok(()) };
    let (expected, found) = (run.dataset.test_labels.len(), measured.predicted.len());
    if expected != found {
        return Err(format!("expected predictions for {expected} test images, found {found}"));
    }
    let (k, n) = (run.dataset.classes.len(), measured.scores.len());
    if n != 0 && n != k * expected {
        return Err(format!("expected {k} scores for each of {expected} test images, found {n}"));
    }
    check_ids(&measured.predicted, k)
}

fn check_levels(run: &Run) -> Result<(), String> {
    if !(run.confidence > 0.0 && run.confidence < 1.0) {
        return Err(format!("expected a confidence between 0 and 1, found {}", run.confidence));
    }
    if !(run.equivalence >= 0.0 && run.equivalence.is_finite()) {
        return Err(format!("expected a margin of equivalence of 0 or more, found {}", run.equivalence));
    }
    Ok(())
}

fn check_ids(ids: &[usize], n_classes: usize) -> Result<(), String> {
    match ids.iter().position(|&id| id >= n_classes) {
        Some(i) => Err(format!("class id {} of test image {i} is not below {n_classes}", ids[i])),
        None => Ok(()),
    }
}

fn without_predicted(measured: &Measured) -> String {
    // Scores are many: they are not to pass through JSON only to be dropped.
    let mut json = value_of(&Measured { predicted: Vec::new(), scores: Vec::new(), ..measured.clone() });
    for blob in ["predicted", "scores"] {
        json[blob] = Value::Array(Vec::new());
    }
    json.to_string()
}

/// Scores as little-endian bytes and their checksum; `None` where there are none.
pub(crate) fn encode_scores(row: &Row) -> Option<(Vec<u8>, i64)> {
    let Outcome::Done(measured) = &row.outcome else { return None };
    let bytes: Vec<u8> = measured.scores.iter().flat_map(|score| score.to_le_bytes()).collect();
    let checksum = checksum(&[Some(row.cell.digest.as_bytes()), Some(&bytes)]);
    (!bytes.is_empty()).then_some((bytes, checksum))
}

/// The scores of a cell, checked.
pub(crate) fn decode_scores(run: &Run, digest: &str, bytes: &[u8], found: i64) -> Result<Vec<f32>, String> {
    if checksum(&[Some(digest.as_bytes()), Some(bytes)]) != found {
        return Err(format!("the checksum of the scores of cell {digest} does not fit them"));
    }
    let expected = 4 * run.dataset.test_labels.len() * run.dataset.classes.len();
    if bytes.len() != expected {
        return Err(format!("cell {digest}: expected scores of {expected} bytes, found {}", bytes.len()));
    }
    Ok(bytes.chunks_exact(4).map(|b| f32::from_le_bytes([b[0], b[1], b[2], b[3]])).collect())
}

/// The checksum of a repeat's columns, when they can be stored.
pub(crate) fn repeat_checksum(repeat: &Repeat) -> Result<i64, StoreError> {
    let seconds = [repeat.features, repeat.fit, repeat.predict].map(|seconds| seconds.0);
    if repeat.number == 0 || seconds.iter().any(|seconds| !seconds.is_finite()) {
        let what = format!("repeat {} of the cell {}", repeat.number, repeat.digest);
        return Err(StoreError::Unfit { what, problem: "expected a number above 0 and finite times".to_owned() });
    }
    let bytes = seconds.map(f64::to_le_bytes).concat();
    let number = (repeat.number as u64).to_le_bytes();
    Ok(checksum(&[Some(repeat.digest.as_bytes()), Some(&number), Some(&bytes), Some(&[u8::from(repeat.same)])]))
}

fn measured_of(json: &str, predicted: Vec<usize>) -> Result<Measured, String> {
    let measured: Measured = serde_json::from_str(json).map_err(|e| e.to_string())?;
    Ok(Measured { predicted, ..measured })
}

/// A fact as JSON.
///
/// # Panics
/// Never: the types of `row` have text keys and no custom serialisation, which is all that could fail.
fn value_of<T: serde::Serialize>(fact: &T) -> Value {
    serde_json::to_value(fact).unwrap_or_else(|e| unreachable!("facts are plain JSON: {e}"))
}

fn to_blob(ids: &[usize], width: IdWidth) -> Vec<u8> {
    // Ids are below the number of classes, which the width was chosen for.
    ids.iter().flat_map(|&id| (id as u32).to_le_bytes().into_iter().take(usize::from(width.bytes()))).collect()
}

/// The ids of a blob; a last piece that is too short is an id too, and the count then tells.
fn from_blob(blob: &[u8], width: IdWidth) -> Vec<usize> {
    let id = |bytes: &[u8]| bytes.iter().rev().fold(0, |id, &byte| id << 8 | usize::from(byte));
    blob.chunks(usize::from(width.bytes())).map(id).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_are_little_endian_in_two_or_four_bytes() {
        assert_eq!(to_blob(&[1, 258], IdWidth::of(300)), [1, 0, 2, 1]);
        assert_eq!(to_blob(&[65_537], IdWidth::of(70_000)), [1, 0, 1, 0]);
        assert_eq!((IdWidth::of(65_536), IdWidth::of(65_537)), (IdWidth::Two, IdWidth::Four));
        assert_eq!(from_blob(&[1, 0, 2, 1], IdWidth::Two), [1, 258]);
        assert_eq!(from_blob(&[1, 0, 1, 0], IdWidth::Four), [65_537]);
    }

    #[test]
    fn the_checksum_tells_columns_apart() {
        // Python: FNV-1a over b"\x01" + (1).to_bytes(8, "little") + b"a", as a signed number.
        assert_eq!(checksum(&[Some(b"a")]), -1_974_798_585_736_099_004);
        assert_ne!(checksum(&[Some(b"ab"), Some(b"")]), checksum(&[Some(b"a"), Some(b"b")]));
        assert_ne!(checksum(&[None]), checksum(&[Some(b"")]));
    }
}
