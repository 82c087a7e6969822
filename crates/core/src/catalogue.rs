//! Catalogues: what can be named in an experiment file, one entry per algorithm.
//!
//! A recipe is its own configuration: one struct with public fields, a doc line and a unit each, and
//! `#[serde(default, deny_unknown_fields)]`. Its entry parses a TOML table into it and says which keys it knows.

use crate::classifier::Classifier;
use crate::extractor::Extractor;
use serde::de::{DeserializeOwned, Visitor};
use serde::{Deserialize, Deserializer, Serialize, forward_to_deserialize_any};
use thiserror::Error;

/// The settings of one algorithm. `Default` must be good on its own.
pub trait Recipe: Default + Serialize + DeserializeOwned + 'static {
    /// The name in experiment files: lower case with hyphens.
    const NAME: &'static str;
    /// What it is, in one line.
    const SUMMARY: &'static str;
    /// The source: paper and year, or the lecture's row.
    const REFERENCE: &'static str;
    /// What a search varies when an experiment says no more than `search = "default"`: lines of TOML from key to domain.
    const SEARCH: &'static str = "";
}

/// One line of a catalogue: a recipe behind the trait that its catalogue is about.
pub struct Entry<T: ?Sized + 'static> {
    /// The recipe's name.
    pub name: &'static str,
    /// What it is, in one line.
    pub summary: &'static str,
    /// The source.
    pub reference: &'static str,
    /// What a search varies when nothing is said: lines of TOML from key to domain.
    pub search: &'static str,
    /// The keys of its table.
    pub keys: fn() -> &'static [&'static str],
    /// Its settings when nothing is said.
    pub defaults: fn() -> toml::Table,
    /// The recipe of these settings; those that are not named keep their defaults. All problems are told together.
    pub parse: fn(&toml::Table) -> Result<Box<T>, Vec<ParamError>>,
    /// All settings as meant: those given, and the defaults of the others.
    pub resolve: fn(&toml::Table) -> Result<toml::Table, Vec<ParamError>>,
}

/// What is wrong with one setting.
#[derive(Debug, Error, Clone, PartialEq, Eq)]
#[error("{key}: {problem}")]
pub struct ParamError {
    /// The key in the recipe's own table.
    pub key: String,
    /// What was expected and what was found.
    pub problem: String,
}

impl Entry<dyn Extractor> {
    /// The entry of an extractor.
    pub const fn extractor<R: Recipe + Extractor>() -> Self {
        fn boxed<R: Recipe + Extractor>(table: &toml::Table) -> Result<Box<dyn Extractor>, Vec<ParamError>> {
            Ok(Box::new(parse::<R>(table)?))
        }
        Self::of::<R>(boxed::<R>)
    }
}

impl Entry<dyn Classifier> {
    /// The entry of a classifier.
    pub const fn classifier<R: Recipe + Classifier>() -> Self {
        fn boxed<R: Recipe + Classifier>(table: &toml::Table) -> Result<Box<dyn Classifier>, Vec<ParamError>> {
            Ok(Box::new(parse::<R>(table)?))
        }
        Self::of::<R>(boxed::<R>)
    }
}

impl<T: ?Sized + 'static> Entry<T> {
    const fn of<R: Recipe>(parse: fn(&toml::Table) -> Result<Box<T>, Vec<ParamError>>) -> Self {
        Self {
            name: R::NAME,
            summary: R::SUMMARY,
            reference: R::REFERENCE,
            search: R::SEARCH,
            keys: keys_of::<R>,
            defaults: defaults::<R>,
            parse,
            resolve: resolve::<R>,
        }
    }
}

/// The settings of a recipe from a table, all problems told together.
///
/// # Errors
/// One [`ParamError`] per key that is unknown or whose value does not fit.
pub fn parse<R: Recipe>(table: &toml::Table) -> Result<R, Vec<ParamError>> {
    let problems: Vec<ParamError> = table.iter().filter_map(|(key, value)| problem_with::<R>(key, value)).collect();
    if !problems.is_empty() {
        return Err(problems);
    }
    let whole = R::deserialize(table.clone());
    whole.map_err(|e| vec![ParamError { key: R::NAME.to_owned(), problem: e.message().to_owned() }])
}

/// What is wrong with this key, were it the only one given.
fn problem_with<R: Recipe>(key: &str, value: &toml::Value) -> Option<ParamError> {
    let known = keys_of::<R>();
    let problem = if known.contains(&key) {
        let alone = toml::Table::from_iter([(key.to_owned(), value.clone())]);
        R::deserialize(alone).err()?.message().to_owned()
    } else {
        format!("unknown key; {} knows {}", R::NAME, listed(known))
    };
    Some(ParamError { key: key.to_owned(), problem })
}

/// Names as prose.
fn listed(names: &[&str]) -> String {
    if names.is_empty() { "no keys".to_owned() } else { names.join(", ") }
}

fn resolve<R: Recipe>(table: &toml::Table) -> Result<toml::Table, Vec<ParamError>> {
    Ok(table_of(&parse::<R>(table)?))
}

fn defaults<R: Recipe>() -> toml::Table {
    table_of(&R::default())
}

/// A recipe's settings as a table.
///
/// # Panics
/// When the recipe does not serialise to a TOML table, which the conformance suite of every catalogue would show.
fn table_of<R: Recipe>(recipe: &R) -> toml::Table {
    toml::Table::try_from(recipe).unwrap_or_else(|e| panic!("the settings of {} are no TOML table: {e}", R::NAME))
}

/// The field names that serde knows of a struct, asked of its own derived code.
///
/// The derived `Deserialize` of a struct hands its field names to the deserializer before anything is read, so a
/// deserializer that keeps them and stops is enough.
pub fn keys_of<'de, T: Deserialize<'de>>() -> &'static [&'static str] {
    let mut keys: &'static [&'static str] = &[];
    // The error is how the deserializer stops; there is nothing to read in it.
    let _ = T::deserialize(KeyReader(&mut keys));
    keys
}

struct KeyReader<'a>(&'a mut &'static [&'static str]);

impl<'de> Deserializer<'de> for KeyReader<'_> {
    type Error = serde::de::value::Error;

    fn deserialize_struct<V: Visitor<'de>>(
        self,
        _name: &'static str,
        fields: &'static [&'static str],
        _visitor: V,
    ) -> Result<V::Value, Self::Error> {
        *self.0 = fields;
        Err(serde::de::Error::custom("only the keys were asked for"))
    }

    fn deserialize_any<V: Visitor<'de>>(self, _visitor: V) -> Result<V::Value, Self::Error> {
        Err(serde::de::Error::custom("not a struct"))
    }

    forward_to_deserialize_any! {
        bool i8 i16 i32 i64 i128 u8 u16 u32 u64 u128 f32 f64 char str string bytes byte_buf option unit unit_struct
        newtype_struct seq tuple tuple_struct map enum identifier ignored_any
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::params::Positive;

    #[derive(Serialize, Deserialize)]
    #[serde(default, deny_unknown_fields)]
    struct Sample {
        cell: usize,
        rate: Positive,
    }
    impl Default for Sample {
        fn default() -> Self {
            Self { cell: 8, rate: Positive::literal(0.5) }
        }
    }
    impl Recipe for Sample {
        const NAME: &'static str = "sample";
        const SUMMARY: &'static str = "";
        const REFERENCE: &'static str = "";
    }

    #[test]
    fn all_problems_of_a_table_are_told_together() {
        let table: toml::Table = toml::from_str("cell = 'x'\nrate = nan\nsell = 3").unwrap();
        let problems = parse::<Sample>(&table).err().unwrap();
        let keys: Vec<_> = problems.iter().map(|p| p.key.as_str()).collect();
        assert_eq!(keys, ["cell", "rate", "sell"]);
        assert!(problems[1].problem.contains("above 0, found NaN"), "{}", problems[1].problem);
        assert!(problems[2].problem.contains("sample knows cell, rate"), "{}", problems[2].problem);
    }

    #[test]
    fn what_is_not_named_keeps_its_default() {
        let table: toml::Table = toml::from_str("cell = 4").unwrap();
        let resolved = resolve::<Sample>(&table).unwrap();
        assert_eq!(resolved["cell"].as_integer(), Some(4));
        assert_eq!(resolved["rate"].as_float(), Some(0.5));
        assert_eq!(keys_of::<Sample>(), ["cell", "rate"]);
    }
}
