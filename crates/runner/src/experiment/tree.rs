//! Walking a TOML document with positions, collecting every problem instead of stopping at the first.

use crate::suggest::unknown;
use std::fmt;
use std::ops::{Range, RangeInclusive};
use toml::de::{DeTable, DeValue};
use toml::{Spanned, Value};

/// What is wrong with one place of an experiment file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Problem {
    /// Line, from 1.
    pub line: usize,
    /// Column in characters, from 1.
    pub column: usize,
    /// The path of the key, with dots: `pipeline.0.classifier.l2`. Empty for what concerns the whole file.
    pub key: String,
    /// What was expected and what was found.
    pub problem: String,
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "line {}, column {}: ", self.line, self.column)?;
        if !self.key.is_empty() {
            write!(f, "{}: ", self.key)?;
        }
        f.write_str(&self.problem)
    }
}

/// The problems found so far in a text.
pub(super) struct Problems<'t> {
    text: &'t str,
    found: Vec<Problem>,
}

impl<'t> Problems<'t> {
    pub(super) fn in_text(text: &'t str) -> Self {
        Self { text, found: Vec::new() }
    }

    /// Notes a problem at a place of the text, a range of bytes.
    pub(super) fn at(&mut self, span: Range<usize>, key: impl Into<String>, problem: impl Into<String>) {
        let before = self.text.get(..span.start).unwrap_or(self.text);
        let line = before.matches('\n').count() + 1;
        let column = before.rsplit('\n').next().unwrap_or("").chars().count() + 1;
        self.found.push(Problem { line, column, key: key.into(), problem: problem.into() });
    }

    /// All problems in the order of the text.
    pub(super) fn into_sorted(mut self) -> Vec<Problem> {
        self.found.sort_by_key(|p| (p.line, p.column));
        self.found
    }

    pub(super) fn is_empty(&self) -> bool {
        self.found.is_empty()
    }
}

/// A value with its place and path.
#[derive(Clone)]
pub(super) struct Field<'a> {
    pub(super) value: &'a DeValue<'a>,
    pub(super) span: Range<usize>,
    pub(super) path: String,
}

/// A table with its place and path.
#[derive(Clone)]
pub(super) struct Table<'a> {
    pub(super) entries: &'a DeTable<'a>,
    pub(super) span: Range<usize>,
    pub(super) path: String,
}

impl<'a> Table<'a> {
    /// Reports every key that is not among the known ones.
    pub(super) fn only(&self, known: &[&str], problems: &mut Problems<'_>) {
        for key in self.entries.keys().filter(|key| !known.contains(&key.get_ref().as_ref())) {
            problems.at(key.span(), self.path_of(key.get_ref()), unknown("key", key.get_ref(), known.iter().copied()));
        }
    }

    pub(super) fn field(&self, key: &str) -> Option<Field<'a>> {
        let value = self.entries.get(key)?;
        Some(Field { value: value.get_ref(), span: value.span(), path: self.path_of(key) })
    }

    /// The field, its absence being a problem.
    pub(super) fn required(&self, key: &str, expected: &str, problems: &mut Problems<'_>) -> Option<Field<'a>> {
        let field = self.field(key);
        if field.is_none() {
            problems.at(self.span.clone(), self.path_of(key), format!("missing: expected {expected}"));
        }
        field
    }

    /// Every field, in the order of their names so that nothing depends on the order in the file.
    pub(super) fn fields(&self) -> Vec<(Range<usize>, Field<'a>)> {
        let mut fields: Vec<_> = self
            .entries
            .iter()
            .map(|(key, value)| {
                let field = Field { value: value.get_ref(), span: value.span(), path: self.path_of(key.get_ref()) };
                (key.get_ref().to_string(), key.span(), field)
            })
            .collect();
        fields.sort_by(|a, b| a.0.cmp(&b.0));
        fields.into_iter().map(|(_, span, field)| (span, field)).collect()
    }

    pub(super) fn path_of(&self, key: &str) -> String {
        if self.path.is_empty() { key.to_owned() } else { format!("{}.{key}", self.path) }
    }
}

impl<'a> Field<'a> {
    /// Notes that something else was expected here.
    pub(super) fn expected(&self, expected: &str, problems: &mut Problems<'_>) {
        self.problem(format!("expected {expected}, found {}", described(self.value)), problems);
    }

    pub(super) fn problem(&self, problem: impl Into<String>, problems: &mut Problems<'_>) {
        problems.at(self.span.clone(), self.path.clone(), problem);
    }

    pub(super) fn string(&self, expected: &str, problems: &mut Problems<'_>) -> Option<&'a str> {
        if let DeValue::String(text) = self.value {
            return Some(text.as_ref());
        }
        self.expected(expected, problems);
        None
    }

    /// A whole number of the range.
    pub(super) fn count(&self, range: RangeInclusive<usize>, problems: &mut Problems<'_>) -> Option<usize> {
        let number = whole(self.value).and_then(|number| usize::try_from(number).ok());
        let inside = number.filter(|number| range.contains(number));
        if inside.is_none() {
            self.expected(&format!("a whole number from {} to {}", range.start(), range.end()), problems);
        }
        inside
    }

    /// A finite number that passes the test.
    pub(super) fn number(&self, test: fn(f64) -> bool, expected: &str, problems: &mut Problems<'_>) -> Option<f64> {
        let inside = number(self.value).filter(|&number| number.is_finite() && test(number));
        if inside.is_none() {
            self.expected(expected, problems);
        }
        inside
    }

    pub(super) fn table(&self, expected: &str, problems: &mut Problems<'_>) -> Option<Table<'a>> {
        if let DeValue::Table(entries) = self.value {
            return Some(Table { entries, span: self.span.clone(), path: self.path.clone() });
        }
        self.expected(expected, problems);
        None
    }

    /// The elements of a list that is not empty.
    pub(super) fn list(&self, expected: &str, problems: &mut Problems<'_>) -> Option<Vec<Field<'a>>> {
        let DeValue::Array(array) = self.value else {
            self.expected(expected, problems);
            return None;
        };
        if array.is_empty() {
            self.problem(format!("expected {expected}, found an empty list"), problems);
            return None;
        }
        let elements = array.iter().enumerate().map(|(i, value): (usize, &'a Spanned<DeValue<'a>>)| Field {
            value: value.get_ref(),
            span: value.span(),
            path: format!("{}.{i}", self.path),
        });
        Some(elements.collect())
    }

    /// The value without positions.
    pub(super) fn plain(&self, problems: &mut Problems<'_>) -> Option<Value> {
        let plain = plain(self.value);
        if plain.is_none() {
            self.expected("numbers that fit 64 bits", problems);
        }
        plain
    }
}

fn whole(value: &DeValue<'_>) -> Option<i64> {
    let integer = value.as_integer()?;
    i64::from_str_radix(integer.as_str(), integer.radix()).ok()
}

fn number(value: &DeValue<'_>) -> Option<f64> {
    match value {
        DeValue::Float(float) => float.as_str().parse().ok(),
        _ => whole(value).map(|integer| integer as f64),
    }
}

/// The value as `toml` types know it; `None` when a number in it does not fit.
fn plain(value: &DeValue<'_>) -> Option<Value> {
    Some(match value {
        DeValue::String(text) => Value::String(text.to_string()),
        DeValue::Integer(_) => Value::Integer(whole(value)?),
        DeValue::Float(_) => Value::Float(number(value)?),
        DeValue::Boolean(flag) => Value::Boolean(*flag),
        DeValue::Datetime(time) => Value::Datetime(*time),
        DeValue::Array(array) => Value::Array(array.iter().map(|v| plain(v.get_ref())).collect::<Option<_>>()?),
        DeValue::Table(table) => {
            let entries = table.iter().map(|(k, v)| Some((k.get_ref().to_string(), plain(v.get_ref())?)));
            Value::Table(entries.collect::<Option<_>>()?)
        }
    })
}

/// A value in words, short enough for a message.
fn described(value: &DeValue<'_>) -> String {
    const LONGEST: usize = 40;
    match value {
        DeValue::String(text) if text.chars().count() <= LONGEST => format!("the string {text:?}"),
        DeValue::String(text) => format!("a string of {} characters", text.chars().count()),
        DeValue::Integer(integer) => format!("{integer}"),
        DeValue::Float(float) => format!("{float}"),
        DeValue::Boolean(flag) => format!("{flag}"),
        DeValue::Datetime(time) => format!("the date {time}"),
        DeValue::Array(array) => format!("a list of {}", array.len()),
        DeValue::Table(table) if table.len() == 1 => "a table with 1 key".to_owned(),
        DeValue::Table(table) => format!("a table with {} keys", table.len()),
    }
}
