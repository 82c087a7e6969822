//! One spelling for everything that is digested: JSON with sorted keys and no spaces.

use serde_json::Value;
use sha2::{Digest, Sha256};

/// A TOML value as JSON. Numbers that are not finite, which JSON does not have, and dates become strings.
pub(crate) fn json(value: &toml::Value) -> Value {
    match value {
        toml::Value::String(text) => Value::from(text.as_str()),
        toml::Value::Integer(number) => Value::from(*number),
        toml::Value::Float(number) if number.is_finite() => Value::from(*number),
        toml::Value::Float(number) => Value::from(number.to_string()),
        toml::Value::Boolean(flag) => Value::from(*flag),
        toml::Value::Datetime(time) => Value::from(time.to_string()),
        toml::Value::Array(values) => values.iter().map(json).collect(),
        toml::Value::Table(table) => Value::Object(table.iter().map(|(k, v)| (k.clone(), json(v))).collect()),
    }
}

/// A JSON value as TOML.
///
/// # Errors
/// A sentence when it is null or a number that no 64 bits of TOML hold.
pub(crate) fn toml(value: &Value) -> Result<toml::Value, String> {
    Ok(match value {
        Value::Null => return Err("expected a value, found null".to_owned()),
        Value::Bool(flag) => toml::Value::Boolean(*flag),
        Value::Number(number) => match (number.as_i64(), number.as_f64()) {
            (Some(number), _) => toml::Value::Integer(number),
            (None, Some(float)) if number.is_f64() => toml::Value::Float(float),
            _ => return Err(format!("expected a number of 64 bits, found {number}")),
        },
        Value::String(text) => toml::Value::String(text.clone()),
        Value::Array(values) => toml::Value::Array(values.iter().map(toml).collect::<Result<_, _>>()?),
        Value::Object(map) => {
            let entries = map.iter().map(|(key, value)| Ok((key.clone(), toml(value)?)));
            toml::Value::Table(entries.collect::<Result<_, String>>()?)
        }
    })
}

/// The text of a value: the same for equal values, whatever the order of their keys.
pub(crate) fn text(value: &Value) -> String {
    match value {
        Value::Object(map) => {
            let mut entries: Vec<_> = map.iter().collect();
            entries.sort_by_key(|(key, _)| *key);
            let entries = entries.into_iter().map(|(key, v)| format!("{}:{}", Value::from(key.as_str()), text(v)));
            format!("{{{}}}", entries.collect::<Vec<_>>().join(","))
        }
        Value::Array(values) => format!("[{}]", values.iter().map(text).collect::<Vec<_>>().join(",")),
        plain => plain.to_string(),
    }
}

/// SHA-256 of a text, 64 hexadecimal digits.
pub(crate) fn sha256(text: &str) -> String {
    format!("{:x}", Sha256::digest(text.as_bytes()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn the_order_of_keys_does_not_matter_and_that_of_lists_does() {
        let a = json!({"b": [1, {"y": 2, "x": 1.5}], "a": "é\n"});
        let b = json!({"a": "é\n", "b": [1, {"x": 1.5, "y": 2}]});
        assert_eq!(text(&a), "{\"a\":\"é\\n\",\"b\":[1,{\"x\":1.5,\"y\":2}]}");
        assert_eq!(text(&a), text(&b));
        assert_ne!(text(&json!([1, 2])), text(&json!([2, 1])));
    }

    #[test]
    fn the_digest_is_that_of_the_standard() {
        // FIPS 180-2, appendix B.1.
        assert_eq!(sha256("abc"), "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
    }

    #[test]
    fn numbers_that_json_does_not_have_become_words() {
        assert_eq!(json(&toml::Value::Float(f64::INFINITY)), json!("inf"));
        assert_eq!(json(&toml::Value::Float(-0.5)), json!(-0.5));
    }
}
