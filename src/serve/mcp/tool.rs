//! What an agent is told of a tool.

use rmcp::model::{JsonObject, Tool};
use schemars::JsonSchema;
use serde_json::Value;

/// A tool with these arguments. Their schema is plain, as every client's validator takes it: no formats of Rust's numbers, and what may
/// be left out is left out, not null.
pub(super) fn tool<T: JsonSchema + 'static>(name: &'static str, title: &str, description: &'static str) -> Tool {
    let mut tool = Tool::new(name, description, JsonObject::new()).with_title(title).with_input_schema::<T>();
    let mut schema = JsonObject::clone(&tool.input_schema);
    schema.remove("$schema");
    let properties = schema.get_mut("properties").and_then(Value::as_object_mut).into_iter().flat_map(|all| all.values_mut());
    for property in properties.filter_map(Value::as_object_mut) {
        property.remove("format");
        if property.get("default").is_some_and(Value::is_null) {
            property.remove("default");
        }
        if let Some(kind) = property.get_mut("type")
            && let Some(one) = kind.as_array().and_then(|kinds| kinds.iter().find(|kind| *kind != "null")).cloned()
        {
            *kind = one;
        }
    }
    tool.input_schema = schema.into();
    tool
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a failed test panics")]
mod tests {
    use serde::Deserialize;
    use serde_json::json;

    use super::*;

    #[derive(Deserialize, JsonSchema)]
    #[serde(deny_unknown_fields)]
    #[expect(dead_code, reason = "for its schema")]
    struct Arguments {
        /// What.
        what: String,
        #[serde(default)]
        #[schemars(range(min = 1, max = 9))]
        some: Option<u32>,
        #[serde(default)]
        all: Vec<String>,
    }

    #[test]
    fn a_schema_is_plain() {
        let tool = tool::<Arguments>("one", "One", "Does one thing.");
        assert_eq!(
            Value::Object(JsonObject::clone(&tool.input_schema)),
            json!({
                "type": "object",
                "properties": {
                    "what": {"description": "What.", "type": "string"},
                    "some": {"type": "integer", "minimum": 1, "maximum": 9},
                    "all": {"type": "array", "items": {"type": "string"}, "default": []},
                },
                "required": ["what"],
                "additionalProperties": false,
            })
        );
    }
}
