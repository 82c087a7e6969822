//! Everything that can be named, as data: what `list` prints and what the documents' tables are made of.

use crate::algorithms::{CLASSIFIERS, EXTRACTORS};
use crate::commands::lab;
use crate::dataset;
use crate::experiments::BUILT_IN;
use anyhow::Context;
use bakeoff_core::Entry;
use bakeoff_runner::{DatasetChoice, Experiment};
use serde_json::{Map, Value, json};

/// A catalogue's name and its entries.
pub(crate) type Section = (&'static str, fn() -> anyhow::Result<Vec<Value>>);

/// The catalogues by name, in the order in which they are shown.
pub(crate) const SECTIONS: &[Section] = &[
    ("datasets", || Ok(dataset::described())),
    ("features", || Ok(entries(EXTRACTORS))),
    ("classifiers", || Ok(entries(CLASSIFIERS))),
    ("experiments", experiments),
    ("lab", || Ok(lab::described())),
];

fn entries<T: ?Sized>(catalogues: &[&[Entry<T>]]) -> Vec<Value> {
    catalogues.iter().flat_map(|entries| entries.iter()).map(entry).collect()
}

fn entry<T: ?Sized>(entry: &Entry<T>) -> Value {
    let defaults = (entry.defaults)();
    let setting = |key: &&str| ((*key).to_owned(), defaults.get(*key).map_or(Value::Null, |value| json!(value)));
    let settings: Map<String, Value> = (entry.keys)().iter().map(setting).collect();
    json!({"name": entry.name, "summary": entry.summary, "reference": entry.reference, "settings": settings})
}

fn experiments() -> anyhow::Result<Vec<Value>> {
    BUILT_IN.iter().map(|(name, text)| experiment(name, text)).collect()
}

fn experiment(name: &str, text: &str) -> anyhow::Result<Value> {
    let read = Experiment::read(name, text, &dataset::VOCABULARY);
    let experiment = read.with_context(|| format!("failed to read the built-in experiment {name}"))?;
    let dataset = match &experiment.dataset {
        DatasetChoice::Named(name) => json!(name),
        DatasetChoice::Table(table) => json!(table),
    };
    let pipelines: Vec<&str> = experiment.pipelines.iter().map(|pipeline| pipeline.name.as_str()).collect();
    let question = &experiment.question;
    Ok(
        json!({"name": name, "question": question, "dataset": dataset, "seeds": experiment.seeds, "pipelines": pipelines}),
    )
}

/// A setting's default as an experiment file would have it.
pub(crate) fn as_written(value: &Value) -> String {
    match value {
        Value::Array(values) => format!("[{}]", values.iter().map(as_written).collect::<Vec<_>>().join(", ")),
        Value::Object(map) => {
            let entries = map.iter().map(|(key, value)| format!("{key} = {}", as_written(value)));
            format!("{{ {} }}", entries.collect::<Vec<_>>().join(", "))
        }
        plain => plain.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_entry_has_a_name_and_says_what_it_is() {
        for (section, values) in SECTIONS {
            let values = values().unwrap();
            assert!(!values.is_empty(), "{section}");
            let mut names: Vec<&str> = values.iter().map(|value| value["name"].as_str().unwrap()).collect();
            let told = |value: &Value| {
                ["summary", "question"].iter().any(|key| value[key].as_str().is_some_and(|s| !s.is_empty()))
            };
            assert!(values.iter().all(told), "{section}: {values:#?}");
            names.sort_unstable();
            names.dedup();
            assert_eq!(names.len(), values.len(), "{section} has a name twice");
        }
    }

    #[test]
    fn defaults_are_shown_as_they_would_be_written() {
        assert_eq!(as_written(&json!([1, 2])), "[1, 2]");
        assert_eq!(as_written(&json!({"kind": "step", "every": 5})), "{ kind = \"step\", every = 5 }");
    }
}
