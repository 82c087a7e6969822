//! What is not the same in two stored runs: settings, data, machine.

use bakeoff_report::Difference;
use bakeoff_results::{Row, Run};
use serde_json::Value;
use std::collections::BTreeMap;

/// A run, its rows, and the pipeline of it that is looked at, or all.
type Looked<'a> = (&'a Run, &'a [Row], Option<&'a str>);

/// What differs between two runs, or two pipelines.
pub(super) fn of(a: Looked<'_>, b: Looked<'_>, pairs: &[(String, String)]) -> Vec<Difference> {
    let mut found = Vec::new();
    for (x, y) in pairs {
        // With several pairs each line says whose it is.
        let of = if pairs.len() > 1 { format!("{x}: ") } else { String::new() };
        let (mut one, mut other) = (pipeline(a.0, x), pipeline(b.0, y));
        without_others_settings(&mut one, &mut other);
        push_all(&mut found, "settings", &of, &one, &other);
    }
    let only = |mine: &Run, other: &Run| {
        mine.pipelines.iter().filter(|name| !other.pipelines.contains(name)).cloned().collect::<Vec<_>>().join(", ")
    };
    if a.2.is_none() && b.2.is_none() {
        push(&mut found, "settings", "pipelines that only this run has", only(a.0, b.0), only(b.0, a.0));
    }
    push_all(&mut found, "settings", "", &protocol(a), &protocol(b));
    push_all(&mut found, "data", "", &data(a.0), &data(b.0));
    push_all(&mut found, "machine", "", &machine(a.0), &machine(b.0));
    found
}

/// On which machines several runs were made, where that differs.
pub(super) fn machines<'a>(runs: impl Iterator<Item = &'a Run>) -> Vec<Difference> {
    let all: Vec<BTreeMap<String, String>> = runs.map(machine).collect();
    let keys: Vec<&String> = all.first().map(|first| first.keys().collect()).unwrap_or_default();
    let differing = keys.into_iter().filter_map(|key| {
        let values: Vec<String> = all.iter().map(|one| one.get(key).cloned().unwrap_or_default()).collect();
        let same = values.windows(2).all(|pair| pair[0] == pair[1]);
        (!same).then(|| Difference { about: "machine", what: key.clone(), values })
    });
    differing.collect()
}

fn push(found: &mut Vec<Difference>, about: &'static str, what: &str, a: String, b: String) {
    if a != b {
        found.push(Difference { about, what: what.to_owned(), values: vec![a, b] });
    }
}

fn push_all(
    found: &mut Vec<Difference>,
    about: &'static str,
    of: &str,
    a: &BTreeMap<String, String>,
    b: &BTreeMap<String, String>,
) {
    let mut keys: Vec<&String> = a.keys().chain(b.keys()).collect();
    keys.sort();
    keys.dedup();
    let value = |all: &BTreeMap<String, String>, key| all.get(key).cloned().unwrap_or_else(|| "–".to_owned());
    for key in keys {
        push(found, about, &format!("{of}{key}"), value(a, key), value(b, key));
    }
}

fn meant(run: &Run) -> Value {
    serde_json::from_str(&run.as_meant).unwrap_or_default()
}

/// Every setting of a pipeline by its key, "classifier.settings.l2" say.
fn pipeline(run: &Run, name: &str) -> BTreeMap<String, String> {
    let meant = meant(run);
    let all = meant.get("pipelines").and_then(Value::as_array).cloned().unwrap_or_default();
    let mut flat = BTreeMap::new();
    if let Some(found) = all.iter().find(|p| p.get("name").and_then(Value::as_str) == Some(name)) {
        flatten("", found, &mut flat);
    }
    flat.remove("name");
    flat
}

/// Leaves out the settings of a part that is of another kind on the other side: they have nothing to be compared with.
fn without_others_settings(a: &mut BTreeMap<String, String>, b: &mut BTreeMap<String, String>) {
    let all = a.keys().chain(b.keys()).filter(|key| key.ends_with("kind"));
    let other_kinds: Vec<String> = all.filter(|key| a.get(*key) != b.get(*key)).cloned().collect();
    for kind in other_kinds {
        let below = format!("{}settings.", kind.trim_end_matches("kind"));
        a.retain(|key, _| !key.starts_with(&below));
        b.retain(|key, _| !key.starts_with(&below));
    }
}

fn flatten(path: &str, value: &Value, flat: &mut BTreeMap<String, String>) {
    let below = |key: &str| if path.is_empty() { key.to_owned() } else { format!("{path}.{key}") };
    match value {
        Value::Object(fields) => fields.iter().for_each(|(key, value)| flatten(&below(key), value, flat)),
        Value::Array(values) => {
            values.iter().enumerate().for_each(|(i, value)| flatten(&below(&i.to_string()), value, flat));
        }
        Value::String(text) => drop(flat.insert(path.to_owned(), text.clone())),
        other => drop(flat.insert(path.to_owned(), other.to_string())),
    }
}

fn protocol((run, rows, _): Looked<'_>) -> BTreeMap<String, String> {
    let meant = meant(run);
    let mut flat = BTreeMap::new();
    for key in ["protocol", "seeds", "train_sizes"] {
        if let Some(value) = meant.get(key) {
            flatten(key, value, &mut flat);
        }
    }
    let trained = rows.iter().filter_map(|row| match &row.outcome {
        bakeoff_results::Outcome::Done(measured) => Some(measured.n_train),
        _ => None,
    });
    if let Some(most) = trained.max() {
        flat.insert("training images".to_owned(), most.to_string());
    }
    flat
}

fn data(run: &Run) -> BTreeMap<String, String> {
    let data = &run.dataset;
    let (height, width, channels) = data.shape;
    let sum = |counts: &[usize]| counts.iter().sum::<usize>().to_string();
    BTreeMap::from([
        ("name".to_owned(), data.name.clone()),
        ("SHA-256".to_owned(), data.sha256.clone()),
        ("classes".to_owned(), data.classes.join(", ")),
        ("size".to_owned(), format!("{height} × {width} × {channels}")),
        ("training images".to_owned(), sum(&data.train_counts)),
        ("test images".to_owned(), sum(&data.test_counts)),
    ])
}

fn machine(run: &Run) -> BTreeMap<String, String> {
    let host = &run.host;
    BTreeMap::from([
        ("processor".to_owned(), host.cpu.clone()),
        ("logical processors".to_owned(), host.cores.to_string()),
        ("threads".to_owned(), host.threads.to_string()),
        ("vector instructions".to_owned(), host.simd.clone()),
        ("memory in MB".to_owned(), host.memory_mb.to_string()),
        ("system".to_owned(), host.os.clone()),
        ("bakeoff".to_owned(), host.version.clone()),
        ("commit".to_owned(), host.commit.clone()),
    ])
}
