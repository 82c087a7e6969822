//! Settings from the JSON that [`Settings::meant`] wrote, perhaps in another year: nothing in it is taken for granted.

use super::{Branch, Settings, Step, scaling};
use crate::canonical;
use serde_json::{Map, Value};

/// Branches, and features of a branch, at most: as many as an experiment file may have.
const MOST: usize = 64;

impl Settings {
    /// The settings that are meant. The algorithms check theirs when they are made.
    ///
    /// # Errors
    /// A sentence with the key, what was expected and what was found.
    pub(crate) fn from_meant(value: &Value) -> Result<Self, String> {
        let object = object(value, "settings")?;
        let Some(branches) = object.get("branches") else {
            return Ok(Self { branches: vec![branch(object)?] });
        };
        only(object, &["fusion", "branches"])?;
        if object.get("fusion") != Some(&Value::from("late")) {
            return Err("fusion: expected \"late\"".to_owned());
        }
        let branches = list(branches, "branches")?.iter().map(|value| branch(self::object(value, "a branch")?));
        Ok(Self { branches: branches.collect::<Result<_, _>>()? })
    }
}

fn branch(object: &Map<String, Value>) -> Result<Branch, String> {
    only(object, &["augment", "features", "scale", "reduce", "quantise", "classifier"])?;
    let features = list(object.get("features").unwrap_or(&Value::Null), "features")?.iter().map(step);
    let scale = object.get("scale").and_then(Value::as_str).ok_or("scale: expected the name of a scaling")?;
    Ok(Branch {
        augment: object.get("augment").map(|value| table(value, "augment")).transpose()?,
        features: features.collect::<Result<_, _>>()?,
        scale: Some(scaling(scale).map_err(|e| format!("scale: {e}"))?),
        reduce: object.get("reduce").map(|value| table(value, "reduce")).transpose()?,
        quantise: object.get("quantise").map(|value| table(value, "quantise")).transpose()?,
        classifier: step(object.get("classifier").unwrap_or(&Value::Null))?,
    })
}

fn step(value: &Value) -> Result<Step, String> {
    let object = object(value, "an algorithm")?;
    only(object, &["kind", "settings"])?;
    let kind = object.get("kind").and_then(Value::as_str).ok_or("kind: expected the name of an algorithm")?;
    let settings = table(object.get("settings").unwrap_or(&Value::Null), kind)?;
    Ok(Step { kind: kind.to_owned(), settings })
}

fn only(object: &Map<String, Value>, known: &[&str]) -> Result<(), String> {
    match object.keys().find(|key| !known.contains(&key.as_str())) {
        Some(key) => Err(format!("unknown key {key:?}, expected {}", known.join(", "))),
        None => Ok(()),
    }
}

fn object<'a>(value: &'a Value, what: &str) -> Result<&'a Map<String, Value>, String> {
    value.as_object().ok_or_else(|| format!("{what}: expected an object"))
}

fn list<'a>(value: &'a Value, key: &str) -> Result<&'a [Value], String> {
    match value.as_array() {
        Some(values) if (1..=MOST).contains(&values.len()) => Ok(values),
        _ => Err(format!("{key}: expected a list of 1 to {MOST}")),
    }
}

fn table(value: &Value, key: &str) -> Result<toml::Table, String> {
    let entries = object(value, key)?.iter();
    entries
        .map(|(name, value)| Ok((name.clone(), canonical::toml(value).map_err(|e| format!("{key}.{name}: {e}"))?)))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fakes::{CATALOGUES, experiment};
    use serde_json::json;

    #[test]
    fn what_is_meant_is_read_back() {
        let branch = "features = [{ kind = 'grey', factor = 2.0 }]\nscale = 'global'\nclassifier = { kind = 'centroid', epochs = 2 }";
        let one = format!(
            "dataset = 'fake'\n[[pipeline]]\nname = 'p'\n{branch}\nreduce = {{ kind = 'pca', dimensions = 2 }}\nquantise = {{ scored = 'codes' }}"
        );
        let fused = format!(
            "dataset = 'fake'\n[[pipeline]]\nname = 'p'\nfusion = 'late'\n[[pipeline.branches]]\n{branch}\n[[pipeline.branches]]\n{branch}"
        );
        let augmented = format!("dataset = 'fake'\n[[pipeline]]\nname = 'p'\n{branch}\naugment = {{ shift = 2 }}");
        for text in [one, fused, augmented] {
            let meant = experiment(&text).pipelines[0].settings.meant(CATALOGUES);
            assert_eq!(Settings::from_meant(&meant).unwrap().meant(CATALOGUES), meant);
        }
    }

    #[test]
    fn what_nobody_wrote_is_told() {
        let told = |value: Value| Settings::from_meant(&value).unwrap_err();
        let step = json!({"kind": "grey", "settings": {"factor": null}});
        assert!(told(json!([1])).contains("expected an object"));
        assert!(told(json!({"features": [], "scale": "none"})).contains("features: expected a list of 1 to 64"));
        assert!(told(json!({"features": [step], "scale": "none"})).contains("grey.factor: "));
        assert!(told(json!({"branches": []})).contains("fusion"));
        assert!(told(json!({"featurs": []})).contains("featurs"));
    }
}
