//! JSON bodies.

use serde_json::Value;

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
