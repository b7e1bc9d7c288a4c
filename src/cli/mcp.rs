//! `mcp`: answers an agent over stdin and stdout. Nothing but its messages goes to stdout.

use tokio_util::sync::CancellationToken;

use super::args::{Common, McpArgs};
use super::exit;
use super::output::Output;
use super::serve::{files, refused};
use crate::serve::{McpOptions, serve_agent};

pub(super) async fn run(args: McpArgs, common: &Common, output: &Output, stop: CancellationToken) -> anyhow::Result<u8> {
    let settings = common.settings()?;
    let pipelines = files(&args.pipelines, &settings)?;
    match serve_agent(McpOptions { pipelines, allow_ingest: args.allow_ingest, settings }, stop).await {
        Ok(()) => Ok(exit::OK),
        Err(error) => refused(error, output),
    }
}
