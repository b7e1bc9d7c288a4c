//! JSON bodies: what is set in requests, and what is read of answers.
//!
//! What an answer is for is read strictly. What a server tells besides (the tokens it counted, the id of a request) is telemetry:
//! it comes as a float, as text, as -1 or not at all, and no answer is thrown away for its sake. So it is read by [`told`] and
//! [`Count`], which find nothing where others fail.

use serde::de::DeserializeOwned;
use serde::{Deserialize, Deserializer};
use serde_json::{Map, Value};

/// Sets a field of an object.
pub(super) fn set(body: &mut Value, key: &str, value: impl Into<Value>) {
    if let Some(object) = body.as_object_mut() {
        object.insert(key.to_owned(), value.into());
    }
}

/// Sets a field of an object, where there is a value for it.
pub(super) fn set_some(body: &mut Value, key: &str, value: Option<impl Into<Value>>) {
    if let Some(value) = value {
        set(body, key, value);
    }
}

/// The number as it was written: 0.7, where the nearest `f32` is 0.699999988.
pub(crate) fn decimal(number: f32) -> f64 {
    number.to_string().parse().unwrap_or(f64::from(number))
}

/// What is told besides, of a field's own type; `None` where it is of another.
pub(super) fn told<'de, D: Deserializer<'de>, T: DeserializeOwned>(deserializer: D) -> Result<Option<T>, D::Error> {
    Value::deserialize(deserializer).map(|value| serde_json::from_value(value).ok())
}

/// A number of things, as far as it is one.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Count(pub(super) Option<u64>);

impl<'de> Deserialize<'de> for Count {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Value::deserialize(deserializer).map(|value| Self(count(&value)))
    }
}

/// The number of things that a value stands for: 12, 12.0, 12.5, "12". None of them is below 0.
pub(super) fn count(value: &Value) -> Option<u64> {
    let number = match value {
        Value::Number(number) => return number.as_u64().or_else(|| whole(number.as_f64()?)),
        Value::String(text) => text.trim(),
        _ => return None,
    };
    number.parse().ok().or_else(|| whole(number.parse().ok()?))
}

/// The whole part of a number that could be one of things: `u64` holds what is below 2^64.
fn whole(number: f64) -> Option<u64> {
    (number.is_finite() && (0.0..1.8e19).contains(&number)).then_some(number as u64)
}

/// The count under this name, where it is told.
pub(super) fn count_in(object: &Value, name: &str) -> Option<u64> {
    object.get(name).and_then(count)
}

/// The text under this name, which is needed where it is there; empty is none.
///
/// # Errors
/// What stands there is no text.
pub(super) fn text_in(object: &Value, name: &str) -> Result<Option<String>, String> {
    match object.get(name) {
        None | Some(Value::Null) => Ok(None),
        Some(Value::String(text)) => Ok(Some(text.clone()).filter(|text| !text.is_empty())),
        Some(_) => Err(format!("`{name}` is no text")),
    }
}

/// The list under this name, which is needed where it is there.
///
/// # Errors
/// What stands there is no list.
pub(super) fn list_in<'a>(object: &'a Value, name: &str) -> Result<&'a [Value], String> {
    match object.get(name) {
        None | Some(Value::Null) => Ok(&[]),
        Some(Value::Array(list)) => Ok(list),
        Some(_) => Err(format!("`{name}` is no list")),
    }
}

/// The word under this name that says how something ended; whatever else stands there is a word that nobody knows.
pub(super) fn word_in<'a>(object: &'a Value, name: &str) -> Option<&'a str> {
    match object.get(name)? {
        Value::Null | Value::Bool(false) => None,
        Value::String(word) => Some(word.as_str()).filter(|word| !word.is_empty()),
        _ => Some("unknown"),
    }
}

/// The error that an answer holds, if it holds one: many servers send the field with nothing in it.
pub(super) fn error_in(answer: &Value) -> Option<&Value> {
    answer.get("error").filter(|error| !says_nothing(error))
}

/// Whether a value is nothing but a sign of life: `null`, `{}`, `true`, 0, …
pub(super) fn says_nothing(value: &Value) -> bool {
    match value {
        Value::Null | Value::Bool(_) | Value::Number(_) => true,
        Value::String(text) => text.trim().is_empty(),
        Value::Array(list) => list.is_empty(),
        Value::Object(object) => Map::is_empty(object),
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test may fail loudly")]

    use serde_json::json;

    use super::*;

    #[derive(Deserialize)]
    struct Answer {
        needed: String,
        #[serde(default, deserialize_with = "told")]
        usage: Option<Usage>,
    }

    #[derive(Deserialize, PartialEq, Debug)]
    struct Usage {
        #[serde(default)]
        tokens: Count,
    }

    #[test]
    fn telemetry_of_any_shape_is_read_or_left() {
        for (tokens, read) in [
            (json!(12), Some(12)),
            (json!(12.0), Some(12)),
            (json!(12.5), Some(12)),
            (json!("12"), Some(12)),
            (json!(" 12.0 "), Some(12)),
            (json!(0), Some(0)),
            (json!(u64::MAX), Some(u64::MAX)),
            (json!(-1), None),
            (json!(-0.5), None),
            (json!(1e300), None),
            (json!("many"), None),
            (json!("NaN"), None),
            (json!(null), None),
            (json!(true), None),
            (json!([12]), None),
            (json!({"a": 12}), None),
        ] {
            let answer = json!({"needed": "a", "usage": {"tokens": tokens, "more": {"of": [1, null]}}});
            let answer: Answer = serde_json::from_value(answer).unwrap();
            assert_eq!(answer.usage.unwrap().tokens.0, read, "{tokens}");
        }
        for usage in [json!(null), json!([]), json!("12"), json!(12), json!(false), json!({})] {
            let answer: Answer = serde_json::from_value(json!({"needed": "a", "usage": usage})).unwrap();
            assert_eq!((answer.needed.as_str(), answer.usage.and_then(|usage| usage.tokens.0)), ("a", None), "{usage}");
        }
        assert!(serde_json::from_value::<Answer>(json!({"usage": {}})).is_err(), "what is needed is missed");
    }
}
