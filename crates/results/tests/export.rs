//! Rows to take away: what a spreadsheet and a program read back.

mod common;

use bakeoff_results::export::{COLUMNS, csv, json_lines};
use bakeoff_results::{Outcome, Row};
use common::{cell, done, failed, refused, run_of};
use proptest::prelude::*;

/// Reads RFC 4180 the long way round: states and characters.
fn parse(text: &str) -> Vec<Vec<String>> {
    let (mut records, mut record, mut field, mut quoted) = (Vec::new(), Vec::new(), String::new(), false);
    let mut characters = text.chars().peekable();
    while let Some(c) = characters.next() {
        match c {
            '"' if quoted && characters.peek() == Some(&'"') => field.extend(characters.next()),
            '"' => quoted = !quoted,
            ',' if !quoted => record.push(std::mem::take(&mut field)),
            '\r' if !quoted && characters.peek() == Some(&'\n') => {
                characters.next();
                record.push(std::mem::take(&mut field));
                records.push(std::mem::take(&mut record));
            }
            c => field.push(c),
        }
    }
    assert!(!quoted && field.is_empty() && record.is_empty(), "the text ends within a record");
    records
}

#[test]
fn csv_has_one_line_a_cell_with_every_column() {
    let run = run_of(&["a", "b"], &[0, 1, 1, 0], 2);
    let small = Row { cell: cell("a", 3, Some(50)), ..done("a", 3, &[0, 0, 0, 0]) };
    let records = parse(&csv(&run, &[refused("b", 0, "too \"small\",\nreally"), small, done("a", 3, &[0, 1, 1, 1])]));
    assert_eq!(records[0], COLUMNS);
    assert!(records.iter().all(|record| record.len() == COLUMNS.len()));
    assert_eq!(records[1][..9], ["a", "3", "50", "done", "", "70", "4", "2", "0.5"]);
    assert_eq!(records[2][..9], ["a", "3", "", "done", "", "70", "4", "3", "0.75"]);
    assert_eq!(records[2][9..17], ["36", "0.25", "1.5", "4", "0.125", "6", "11", "2"]);
    assert_eq!(records[2][17..], ["100.5", "1480", "3", "true", "false", "1", "", "a/3/None"]);
    assert_eq!(records[3][..6], ["b", "0", "", "refused", "too \"small\",\nreally", ""]);
    assert_eq!(records[3][24], "b/0/None");
}

#[test]
fn texts_that_a_spreadsheet_would_run_are_made_harmless() {
    for formula in ["=HYPERLINK(\"http://x\")", "+1", "-1", "@sum", "\tx", "\r=1"] {
        let run = run_of(&[formula], &[0], 1);
        let records = parse(&csv(&run, &[failed(formula, 0, formula)]));
        assert_eq!((&records[1][0], &records[1][4]), (&format!("'{formula}"), &format!("'{formula}")));
    }
}

proptest! {
    #[test]
    fn any_text_comes_back_from_csv(name in any::<String>(), reason in any::<String>()) {
        let run = run_of(&[&name], &[0], 1);
        let records = parse(&csv(&run, &[failed(&name, 0, &reason)]));
        prop_assert_eq!(records.len(), 2);
        prop_assert_eq!(records[1][0].strip_prefix('\'').unwrap_or(&records[1][0]), name.strip_prefix('\'').unwrap_or(&name));
        prop_assert!(records[1][4].ends_with(&reason));
    }
}

#[test]
fn json_lines_hold_the_rows_themselves() {
    let run = run_of(&["a", "b"], &[0, 1], 2);
    let rows = [done("a", 0, &[0, 1]), failed("b", 1, "line\nbreak")];
    let text = json_lines(&run, &rows).unwrap();
    assert_eq!(text.lines().count(), 2);
    let back: Vec<Row> = text.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert_eq!(back, rows);
    assert!(matches!(back[0].outcome, Outcome::Done(_)));
}
