//! Numbers of a column under one another, dot under dot.

use crate::tables::Table;

/// As wide as a digit, and as a dot, in fonts with figures of one width.
const DIGIT: char = '\u{2007}';
const DOT: char = '\u{2008}';

/// The rows of a table, with spaces behind the numbers of a column that have fewer decimals than others.
pub(crate) fn aligned(about: &Table) -> Vec<Vec<String>> {
    let mut rows = about.rows.clone();
    for (i, column) in about.head.iter().enumerate() {
        if column.is_number {
            let cells: Vec<&str> = rows.iter().filter_map(|row| row.get(i)).map(String::as_str).collect();
            let mut padded = column_of(&cells).into_iter();
            for row in &mut rows {
                if let (Some(cell), Some(text)) = (row.get_mut(i), padded.next()) {
                    *cell = text;
                }
            }
        }
    }
    rows
}

/// The cells of one column. What is no plain number stays as it is.
pub(crate) fn column_of(cells: &[&str]) -> Vec<String> {
    let most = cells.iter().filter_map(|cell| decimals(cell)).max().unwrap_or(0);
    let pad = |cell: &&str| match decimals(cell) {
        Some(found) if found < most => {
            let dot = if found == 0 { String::from(DOT) } else { String::new() };
            format!("{cell}{dot}{}", String::from(DIGIT).repeat(most - found))
        }
        _ => (*cell).to_owned(),
    };
    cells.iter().map(pad).collect()
}

/// How many digits stand behind the dot of a plain number.
fn decimals(cell: &str) -> Option<usize> {
    let digits = cell.trim_start_matches(['−', '+']);
    let plain = !digits.is_empty() && digits.chars().all(|c| c.is_ascii_digit() || c == '.');
    plain.then(|| digits.split_once('.').map_or(0, |(_, behind)| behind.len()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dots_stand_under_dots() {
        let padded = column_of(&["0.013", "111", "9.25", "–", "−2.5"]);
        assert_eq!(
            padded,
            ["0.013", "111\u{2008}\u{2007}\u{2007}\u{2007}", "9.25\u{2007}", "–", "−2.5\u{2007}\u{2007}"]
        );
        assert_eq!(column_of(&["1", "20"]), ["1", "20"]);
    }
}
