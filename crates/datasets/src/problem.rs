//! Short ways to say what is wrong with a file.

use bakeoff_core::LoadError;
use std::io;
use std::path::Path;

/// A file is not what its format says; `offset` counts bytes from its start, after decompression.
pub(crate) fn malformed(
    path: &Path,
    offset: impl Into<Option<u64>>,
    expected: impl Into<String>,
    found: impl Into<String>,
) -> LoadError {
    LoadError::Malformed {
        path: path.to_owned(),
        offset: offset.into(),
        expected: expected.into(),
        found: found.into(),
    }
}

/// The files are sound but are no dataset.
pub(crate) fn unusable(path: &Path, problem: impl Into<String>) -> LoadError {
    LoadError::Unusable { path: path.to_owned(), problem: problem.into() }
}

/// The system could not read or write a file.
pub(crate) fn io(path: &Path, source: io::Error) -> LoadError {
    LoadError::Io { path: path.to_owned(), source }
}

/// A number with a comma after every third digit.
pub(crate) fn grouped(number: u64) -> String {
    let digits = number.to_string();
    let mut text = String::new();
    for (i, digit) in digits.chars().enumerate() {
        if i > 0 && (digits.len() - i).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

/// `1 image`, `2 images`: a count with its noun, which takes an s.
pub(crate) fn counted(count: usize, noun: &str) -> String {
    format!("{} {noun}{}", grouped(count as u64), if count == 1 { "" } else { "s" })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_grouped_by_threes() {
        let texts: Vec<_> = [0, 999, 1000, 26_421_880].map(grouped).into();
        assert_eq!(texts, ["0", "999", "1,000", "26,421,880"]);
        assert_eq!((counted(1, "image"), counted(0, "image")), ("1 image".to_owned(), "0 images".to_owned()));
    }
}
