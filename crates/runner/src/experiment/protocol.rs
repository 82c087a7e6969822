//! The `[protocol]` table.

use super::tree::{Field, Problems, Table};
use super::{Draw, Limits, Protocol, Timing, Tuning};
use serde_json::json;

/// Settings tried at most.
const MOST_TRIALS: usize = 100_000;

/// Timings at most.
const MOST_ROUNDS: usize = 1000;

impl Protocol {
    pub(super) fn meant(&self) -> serde_json::Value {
        let mut meant = json!({
            "validation": self.validation,
            "tuning": self.tuning.meant(),
            "confidence": self.confidence,
            "equivalence": self.equivalence,
        });
        if self.limits != Limits::default() {
            meant["limits"] = json!({"seconds": self.limits.seconds, "megabytes": self.limits.megabytes});
        }
        if self.timing != Timing::default() {
            meant["timing"] = json!({"rounds": self.timing.rounds, "seconds": self.timing.seconds});
        }
        meant
    }
}

impl Tuning {
    pub(crate) fn meant(&self) -> serde_json::Value {
        json!({"trials": self.trials, "seconds": self.seconds, "draw": self.draw.name()})
    }
}

impl Draw {
    fn name(self) -> &'static str {
        match self {
            Self::Random => "random",
            Self::LowDiscrepancy => "low-discrepancy",
        }
    }
}

pub(super) fn read(field: &Field<'_>, problems: &mut Problems<'_>) -> Protocol {
    let mut protocol = Protocol::default();
    let Some(table) = field.table("a table", problems) else { return protocol };
    table.only(&["validation", "tuning", "confidence", "equivalence", "limits", "timing"], problems);
    let inner: fn(f64) -> bool = |v| v > 0.0 && v < 1.0;
    let from_zero: fn(f64) -> bool = |v| (0.0..1.0).contains(&v);
    set(&table, "validation", &mut protocol.validation, inner, "a share above 0 and below 1", problems);
    set(&table, "confidence", &mut protocol.confidence, inner, "a level above 0 and below 1, say 0.95", problems);
    set(&table, "equivalence", &mut protocol.equivalence, from_zero, "a fraction from 0 to below 1", problems);
    if let Some(field) = table.field("tuning") {
        tuning(&field, &mut protocol.tuning, problems);
    }
    if let Some(field) = table.field("limits") {
        protocol.limits = limits(&field, problems);
    }
    if let Some(field) = table.field("timing") {
        timing(&field, &mut protocol.timing, problems);
    }
    protocol
}

fn timing(field: &Field<'_>, timing: &mut Timing, problems: &mut Problems<'_>) {
    let Some(table) = field.table("a table with rounds and seconds", problems) else { return };
    table.only(&["rounds", "seconds"], problems);
    if let Some(rounds) = table.field("rounds").and_then(|f| f.count(1..=MOST_ROUNDS, problems)) {
        timing.rounds = rounds;
    }
    set(&table, "seconds", &mut timing.seconds, |v| v > 0.0, "a finite number of seconds above 0", problems);
}

fn limits(field: &Field<'_>, problems: &mut Problems<'_>) -> Limits {
    let Some(table) = field.table("a table with seconds and megabytes", problems) else { return Limits::default() };
    table.only(&["seconds", "megabytes"], problems);
    let above = |key: &str, problems: &mut Problems<'_>| {
        table.field(key).and_then(|field| field.number(|v| v > 0.0, "a finite number above 0", problems))
    };
    Limits { seconds: above("seconds", problems), megabytes: above("megabytes", problems) }
}

fn tuning(field: &Field<'_>, tuning: &mut Tuning, problems: &mut Problems<'_>) {
    let Some(table) = field.table("a table with trials, seconds and draw", problems) else { return };
    table.only(&["trials", "seconds", "draw"], problems);
    if let Some(field) = table.field("draw") {
        match field.string("the name of a way to draw", problems) {
            Some("random") => tuning.draw = Draw::Random,
            Some("low-discrepancy") => tuning.draw = Draw::LowDiscrepancy,
            Some(_) => field.expected("\"random\" or \"low-discrepancy\"", problems),
            None => {}
        }
    }
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
