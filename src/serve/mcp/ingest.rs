//! `ingest`: reads the sources anew, where the service was started with that allowed.

use std::time::Duration;

use futures_util::future::join_all;
use rmcp::model::Tool;
use schemars::JsonSchema;
use serde::Deserialize;
use serde_json::{Value, json};

use super::status::of_job;
use super::told::Told;
use super::tool;
use crate::serve::api::ingest::of_pipelines;
use crate::serve::fault::Fault;
use crate::serve::job::JobOptions;
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
    /// Which index, where several are served (or some, as `docs+tickets`); `status` names them. None: all of them.
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
    // What would remove documents or pay for all of them again is a person's to decide.
    let options = |scoped| JobOptions { checksum, scoped, ..JobOptions::default() };
    let asked = of_pipelines(service, pipeline.as_deref())?;
    let jobs = service.jobs.begin(asked.into_iter().map(|(runtime, scoped)| (runtime, options(scoped))).collect())?;
    let all = join_all(jobs.iter().map(|job| job.ended()));
    let ended = tokio::time::timeout(Duration::from_secs(wait.min(LONGEST)), all).await.is_ok();
    let views = jobs.iter().map(|job| serde_json::to_value(job.view()).unwrap_or_default());
    let mut views: Vec<Value> = views.collect();
    let mut text: String = views.iter().map(of_job).collect();
    if !ended {
        text.push_str("It goes on; `status` tells how far it is.\n");
    }
    let objects = match views.len() {
        1 => views.remove(0),
        _ => json!({"type": "jobs", "jobs": views}),
    };
    Ok(Told { text, objects })
}
