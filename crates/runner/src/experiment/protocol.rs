//! The `[protocol]` table.

use super::tree::{Field, Problems, Table};
use super::{Protocol, Tuning};
use serde_json::json;

/// Settings tried at most.
const MOST_TRIALS: usize = 100_000;

impl Protocol {
    pub(super) fn meant(&self) -> serde_json::Value {
        json!({
            "validation": self.validation,
            "tuning": self.tuning.meant(),
            "confidence": self.confidence,
            "equivalence": self.equivalence,
        })
    }
}

impl Tuning {
    pub(crate) fn meant(&self) -> serde_json::Value {
        json!({"trials": self.trials, "seconds": self.seconds})
    }
}

pub(super) fn read(field: &Field<'_>, problems: &mut Problems<'_>) -> Protocol {
    let mut protocol = Protocol::default();
    let Some(table) = field.table("a table", problems) else { return protocol };
    table.only(&["validation", "tuning", "confidence", "equivalence"], problems);
    let inner: fn(f64) -> bool = |v| v > 0.0 && v < 1.0;
    let from_zero: fn(f64) -> bool = |v| (0.0..1.0).contains(&v);
    set(&table, "validation", &mut protocol.validation, inner, "a share above 0 and below 1", problems);
    set(&table, "confidence", &mut protocol.confidence, inner, "a level above 0 and below 1, say 0.95", problems);
    set(&table, "equivalence", &mut protocol.equivalence, from_zero, "a fraction from 0 to below 1", problems);
    if let Some(field) = table.field("tuning") {
        tuning(&field, &mut protocol.tuning, problems);
    }
    protocol
}

fn tuning(field: &Field<'_>, tuning: &mut Tuning, problems: &mut Problems<'_>) {
    let Some(table) = field.table("a table with trials and seconds", problems) else { return };
    table.only(&["trials", "seconds"], problems);
    if let Some(trials) = table.field("trials").and_then(|f| f.count(1..=MOST_TRIALS, problems)) {
        tuning.trials = trials;
    }
    set(&table, "seconds", &mut tuning.seconds, |v| v > 0.0, "a finite number of seconds above 0", problems);
}

fn set(
    table: &Table<'_>,
    key: &str,
    value: &mut f64,
    test: fn(f64) -> bool,
    expected: &str,
    problems: &mut Problems<'_>,
) {
    if let Some(number) = table.field(key).and_then(|field| field.number(test, expected, problems)) {
        *value = number;
    }
}
