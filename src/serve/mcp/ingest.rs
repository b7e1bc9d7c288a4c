//! `ingest`: reads the sources anew, where the service was started with that allowed.

use std::time::Duration;

use rmcp::model::Tool;
use schemars::JsonSchema;
use serde::Deserialize;

use super::status::of_job;
use super::told::Told;
use super::tool;
use crate::serve::api::ingest::of_pipeline;
use crate::serve::fault::Fault;
use crate::serve::jobs::JobOptions;
use crate::serve::service::Service;

pub(super) const NAME: &str = "ingest";
const DESCRIPTION: &str = "Reads the pipeline's sources anew, so that `search` and `ask` know what has changed since: only what has \
changed is embedded. It returns when that is done, or after `wait` seconds while it goes on; `status` tells how far it is. Call it after \
you have edited documents, and not before each question.";

/// Seconds that it waits, and the most that can be asked for.
const WAIT: u64 = 20;
const LONGEST: u64 = 120;

#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct Arguments {
    /// Which index, where several are served; `status` names them.
    #[serde(default)]
    pipeline: Option<String>,
    /// Compare contents even where size and time say "unchanged".
    #[serde(default)]
    checksum: bool,
    /// Seconds to wait for its end.
    #[serde(default = "wait")]
    #[schemars(range(max = 120))]
    wait: u64,
}

fn wait() -> u64 {
    WAIT
}

pub(super) fn tool() -> Tool {
    tool::tool::<Arguments>(NAME, "Index what has changed", DESCRIPTION)
}

pub(super) async fn call(service: &Service, arguments: Arguments) -> Result<Told, Fault> {
    let Arguments { pipeline, checksum, wait } = arguments;
    let (runtime, scoped) = of_pipeline(service, pipeline.as_deref())?;
    // What would remove documents or pay for all of them again is a person's to decide.
    let job = service.jobs.begin(runtime, JobOptions { checksum, scoped, ..JobOptions::default() })?;
    let ended = tokio::time::timeout(Duration::from_secs(wait.min(LONGEST)), job.ended()).await.is_ok();
    let objects = serde_json::to_value(job.view()).unwrap_or_default();
    let mut text = of_job(&objects);
    if !ended {
        text.push_str("It goes on; `status` tells how far it is.\n");
    }
    Ok(Told { text, objects })
}
