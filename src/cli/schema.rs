//! `schema`: the JSON Schema of a pipeline file, and the tables of a cluster.

use super::args::SchemaArgs;
use super::output::Output;
use super::{cluster, exit};

pub(super) fn run(args: &SchemaArgs, output: &Output) -> anyhow::Result<u8> {
    if args.cluster {
        output.print(cluster::tables()?);
        return Ok(exit::OK);
    }
    output.print(&format!("{}\n", serde_json::to_string_pretty(&crate::pipeline::schema())?));
    Ok(exit::OK)
}
