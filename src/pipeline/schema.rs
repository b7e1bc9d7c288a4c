//! The JSON Schema of a pipeline file: of the values, which the door checks by, and of the file, for editors.

use schemars::generate::SchemaSettings;
use serde_json::{Map, Value as Json, json};

use super::spec::Spec;

/// The JSON Schema (draft 2020-12) of a pipeline file, for editors and other programs. Wherever a number, a choice, a
/// size or a time stands, a variable (`${RPM:-3000}`) may stand too.
pub fn schema() -> Json {
    let values = of_values();
    let mut file = values.clone();
    let sections = file.get_mut("$defs").and_then(Json::as_object_mut).into_iter().flat_map(Map::values_mut);
    for section in sections {
        for property in section.get_mut("properties").and_then(Json::as_object_mut).into_iter().flat_map(Map::values_mut) {
            if !accepts(&values, property, "string") || is_constrained(&values, property) {
                allow_variable(&values, property);
            }
        }
    }
    if let Some(defs) = file.get_mut("$defs").and_then(Json::as_object_mut) {
        let variable = json!({
            "title": "variable",
            "description": "A value that holds a variable: `${NAME}`, `${NAME:-default}` or `${NAME:?message}`.",
            "type": "string",
            "pattern": r"\$\{[A-Za-z_][A-Za-z0-9_]*(:[-?][^}]*)?\}",
        });
        defs.insert("Variable".to_owned(), variable);
    }
    file
}

/// The schema of the values, once variables are filled in.
pub(super) fn of_values() -> Json {
    SchemaSettings::draft2020_12().into_generator().into_root_schema_for::<Spec>().to_value()
}

/// The alternatives of a schema, references followed.
pub(super) fn branches<'a>(root: &'a Json, schema: &'a Json) -> Vec<&'a Json> {
    if let Some(reference) = schema.get("$ref").and_then(Json::as_str) {
        let target = reference.strip_prefix('#').and_then(|pointer| root.pointer(pointer));
        return target.map_or_else(Vec::new, |target| branches(root, target));
    }
    match schema.get("anyOf").or_else(|| schema.get("oneOf")).and_then(Json::as_array) {
        Some(alternatives) => alternatives.iter().flat_map(|alternative| branches(root, alternative)).collect(),
        None => vec![schema],
    }
}

/// The kinds of value that an alternative takes.
pub(super) fn types(branch: &Json) -> impl Iterator<Item = &str> {
    let kind = branch.get("type");
    let many = kind.and_then(Json::as_array).into_iter().flatten();
    kind.filter(|kind| kind.is_string()).into_iter().chain(many).filter_map(Json::as_str)
}

fn accepts(root: &Json, schema: &Json, kind: &str) -> bool {
    branches(root, schema).iter().any(|branch| types(branch).any(|known| known == kind))
}

/// Whether not every text is admitted.
fn is_constrained(root: &Json, schema: &Json) -> bool {
    branches(root, schema).iter().any(|branch| branch.get("const").or_else(|| branch.get("pattern")).is_some())
}

/// Lets a variable stand in place of a scalar.
fn allow_variable(root: &Json, property: &mut Json) {
    if accepts(root, property, "object") || accepts(root, property, "array") {
        return;
    }
    let mut values = property.take();
    let mut allowed = Map::new();
    for annotation in ["description", "default", "examples"] {
        if let Some(value) = values.as_object_mut().and_then(|values| values.remove(annotation)) {
            allowed.insert(annotation.to_owned(), value);
        }
    }
    allowed.insert("anyOf".to_owned(), json!([values, { "$ref": "#/$defs/Variable" }]));
    *property = Json::Object(allowed);
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests may fail loudly")]

    use std::collections::BTreeSet;

    use super::*;

    /// What [`super::super::check`] enforces, and what constrains nothing.
    const ENFORCED: [&str; 22] = [
        "$ref",
        "anyOf",
        "oneOf",
        "type",
        "const",
        "enum",
        "properties",
        "additionalProperties",
        "required",
        "items",
        "minItems",
        "minimum",
        "maximum",
        "minLength",
        "maxLength",
        "minProperties",
        "maxProperties",
        "format",
        "$defs",
        "$schema",
        "pattern",
        "title",
    ];
    const ANNOTATIONS: [&str; 3] = ["description", "default", "examples"];

    fn keywords(schema: &Json, found: &mut BTreeSet<String>) {
        for (keyword, value) in schema.as_object().unwrap() {
            found.insert(keyword.clone());
            match keyword.as_str() {
                "properties" | "$defs" => value.as_object().unwrap().values().for_each(|schema| keywords(schema, found)),
                "anyOf" | "oneOf" => value.as_array().unwrap().iter().for_each(|schema| keywords(schema, found)),
                "items" => keywords(value, found),
                "additionalProperties" if value.is_object() => keywords(value, found),
                _ => {}
            }
        }
    }

    #[test]
    fn the_door_knows_every_keyword_of_the_schema() {
        let mut found = BTreeSet::new();
        keywords(&of_values(), &mut found);
        found.retain(|keyword| !ENFORCED.contains(&keyword.as_str()) && !ANNOTATIONS.contains(&keyword.as_str()));
        assert!(found.is_empty(), "{found:?}");
    }

    #[test]
    fn every_mapping_is_closed_and_every_key_described() {
        fn visit(schema: &Json, place: &str) {
            for (key, property) in schema.get("properties").and_then(Json::as_object).into_iter().flatten() {
                assert!(property.get("description").is_some() || key == "files", "{place}.{key} has no description");
                assert!(schema.get("additionalProperties") == Some(&Json::Bool(false)), "{place} is open");
            }
        }
        let schema = schema();
        visit(&schema, "");
        schema.get("$defs").unwrap().as_object().unwrap().iter().for_each(|(name, schema)| visit(schema, name));
    }
}
