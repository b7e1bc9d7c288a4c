//! The JSON Schema of a pipeline file, for editors and other programs. The door checks with the same one.

use schemars::generate::SchemaSettings;

use super::spec::Spec;

/// The JSON Schema (draft 2020-12) of a pipeline file.
pub fn schema() -> serde_json::Value {
    SchemaSettings::draft2020_12().into_generator().into_root_schema_for::<Spec>().to_value()
}
