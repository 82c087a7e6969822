//! What the settings of every catalogue entry must hold. Included by the conformance tests of the crates that have
//! catalogues; it lies here because the contract does.

use bakeoff_core::{Entry, ParamError};
use toml::{Table, Value};

/// Names, summaries and sources are there, in the spelling of experiment files.
pub(crate) fn entries_are_described<T: ?Sized>(catalogue: &[Entry<T>]) {
    assert!(!catalogue.is_empty(), "an empty catalogue checks nothing");
    let spelled = |name: &str, between: char| {
        let letter = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == between;
        !name.is_empty() && name.chars().all(letter) && name.starts_with(|c: char| c.is_ascii_lowercase())
    };
    for (i, entry) in catalogue.iter().enumerate() {
        assert!(spelled(entry.name, '-'), "name {:?}", entry.name);
        assert!(catalogue[..i].iter().all(|other| other.name != entry.name), "{} stands twice", entry.name);
        assert!(!entry.summary.is_empty() && !entry.summary.contains('\n'), "{}", entry.name);
        assert!(!entry.reference.is_empty(), "{} names no source", entry.name);
        for key in (entry.keys)() {
            assert!(spelled(key, '_'), "{} has the key {key:?}", entry.name);
        }
    }
}

/// The keys that an entry knows are those of its defaults, and any of them may be given or left out.
pub(crate) fn defaults_make_the_round_trip<T: ?Sized>(catalogue: &[Entry<T>]) {
    for entry in catalogue {
        let defaults = (entry.defaults)();
        let mut keys = (entry.keys)().to_vec();
        keys.sort_unstable();
        let mut named: Vec<&str> = defaults.keys().map(String::as_str).collect();
        named.sort_unstable();
        assert_eq!(keys, named, "{}", entry.name);
        assert_eq!((entry.resolve)(&defaults).unwrap(), defaults, "{}", entry.name);
        assert_eq!((entry.resolve)(&Table::new()).unwrap(), defaults, "{}", entry.name);
        assert!((entry.parse)(&defaults).is_ok() && (entry.parse)(&Table::new()).is_ok(), "{}", entry.name);
        for (key, value) in &defaults {
            let alone = Table::from_iter([(key.clone(), value.clone())]);
            assert_eq!((entry.resolve)(&alone).unwrap(), defaults, "{} with {key} alone", entry.name);
        }
        let text = toml::to_string(&defaults).unwrap();
        assert_eq!(text.parse::<Table>().unwrap(), defaults, "{} as text", entry.name);
    }
}

fn problems<T: ?Sized>(entry: &Entry<T>, table: &Table) -> Vec<ParamError> {
    (entry.parse)(table).err().unwrap_or_default()
}

/// Unknown keys, wrong kinds of value and numbers out of range are told, each under its key.
pub(crate) fn bad_settings_are_told<T: ?Sized>(catalogue: &[Entry<T>]) {
    let date: Value = Value::Datetime("1979-05-27".parse().unwrap());
    for entry in catalogue {
        let unknown = Table::from_iter([("no_such_key".to_owned(), Value::Integer(1))]);
        assert_eq!(problems(entry, &unknown).len(), 1, "{}", entry.name);
        let all_wrong: Table = (entry.defaults)().into_iter().map(|(key, _)| (key, date.clone())).collect();
        let told: Vec<String> = problems(entry, &all_wrong).into_iter().map(|problem| problem.key).collect();
        assert_eq!(told, all_wrong.keys().cloned().collect::<Vec<_>>(), "{}", entry.name);
        for (key, value) in &(entry.defaults)() {
            let bad: &[Value] = match value {
                Value::Float(_) => &[f64::NAN, f64::INFINITY, f64::NEG_INFINITY, -1.0].map(Value::Float),
                Value::Integer(_) => &[-1, i64::MIN].map(Value::Integer),
                Value::String(_) => &[Value::String("no such word".to_owned())],
                Value::Boolean(_) => &[Value::String("yes".to_owned())],
                _ => continue,
            };
            for bad in bad {
                let table = Table::from_iter([(key.clone(), bad.clone())]);
                let told = problems(entry, &table);
                assert!(told.len() == 1 && told[0].key == *key, "{} {key} = {bad}: {told:?}", entry.name);
            }
        }
    }
}
