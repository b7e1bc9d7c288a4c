//! `schema`: the JSON Schema of a pipeline file.

use super::exit;
use super::output::Output;

pub(super) fn run(output: &Output) -> anyhow::Result<u8> {
    output.print(&format!("{}\n", serde_json::to_string_pretty(&crate::pipeline::schema())?));
    Ok(exit::OK)
}
