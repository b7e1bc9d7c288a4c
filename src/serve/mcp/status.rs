//! `status`: what the indexes hold, and what goes on.

use rmcp::model::Tool;
use schemars::JsonSchema;
use serde::Deserialize;
use serde_json::Value;

use super::told::{Told, cut};
use super::tool;
use crate::serve::api::status::told;
use crate::serve::fault::Fault;
use crate::serve::service::Service;

pub(super) const NAME: &str = "status";
const DESCRIPTION: &str = "Tells which indexes (pipelines) are served, how many documents and passages each holds, which documents could \
not be read and why, and which ingests run or have ended.";

/// Failed documents of a pipeline, and ingests, that are named: the first, and the last.
const FAILURES: usize = 10;
const JOBS: usize = 5;
/// Pipelines that are told of; who wants another names it.
const PIPELINES: usize = 20;
/// Letters of a reason.
const REASON: usize = 200;

#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct Arguments {
    /// Tell of this index alone.
    #[serde(default)]
    pipeline: Option<String>,
}

pub(super) fn tool() -> Tool {
    tool::tool::<Arguments>(NAME, "State of the index", DESCRIPTION)
}

pub(super) async fn call(service: &Service, arguments: Arguments) -> Result<Told, Fault> {
    if let Some(name) = &arguments.pipeline {
        service.pipelines.get(name)?;
    }
    Ok(shown(told(service).await, arguments.pipeline.as_deref()))
}

fn shown(mut told: Value, pipeline: Option<&str>) -> Told {
    let mut text = String::new();
    if let Some(pipelines) = told.get_mut("pipelines").and_then(Value::as_array_mut) {
        pipelines.retain(|told| pipeline.is_none_or(|name| word(told, "pipeline") == name));
        let others = pipelines.len().saturating_sub(PIPELINES);
        pipelines.truncate(PIPELINES);
        for told in pipelines.iter_mut() {
            if let Some(failures) = told.get_mut("failures").and_then(Value::as_array_mut) {
                failures.truncate(FAILURES);
                for failure in failures {
                    let reason = cut(word(failure, "error"), REASON);
                    if let Some(error) = failure.get_mut("error") {
                        *error = reason.into();
                    }
                }
            }
            text.push_str(&of_pipeline(told));
        }
        if others > 0 {
            text.push_str(&format!("and {others} pipelines more\n"));
        }
    }
    if let Some(jobs) = told.get_mut("jobs").and_then(Value::as_array_mut) {
        jobs.drain(..jobs.len().saturating_sub(JOBS));
        for job in jobs {
            text.push_str(&of_job(job));
        }
    }
    Told { text, objects: told }
}

fn word<'a>(value: &'a Value, key: &str) -> &'a str {
    value.get(key).and_then(Value::as_str).unwrap_or_default()
}

fn number(value: &Value, path: &str) -> u64 {
    value.pointer(path).and_then(Value::as_u64).unwrap_or_default()
}

fn of_pipeline(told: &Value) -> String {
    let mut text = format!("pipeline {}: ", word(told, "pipeline"));
    if let Some(error) = told.get("error").and_then(Value::as_str) {
        text.push_str(&format!("its state cannot be told: {}\n", cut(error, REASON)));
        return text;
    }
    if told.get("index").is_none_or(Value::is_null) {
        text.push_str("no index yet; `ragstream ingest` makes one\n");
    } else {
        let model = told.pointer("/index/model").map(|model| model.as_str().map_or_else(|| model.to_string(), str::to_owned));
        text.push_str(&format!(
            "{} documents, {} passages, embedded by {}\n",
            number(told, "/documents"),
            number(told, "/chunks"),
            model.unwrap_or_default()
        ));
        if let Some(next) = told.pointer("/next/index/model").and_then(Value::as_str) {
            let percent = number(told, "/next/percent");
            text.push_str(&format!("  embedded anew by {next}, {percent} % so far: until all is, the former answers\n"));
        }
    }
    let failed = number(told, "/failed");
    if failed > 0 {
        text.push_str(&format!("  {failed} documents failed\n"));
        for failure in told.get("failures").and_then(Value::as_array).into_iter().flatten() {
            text.push_str(&format!("  {}: {}\n", cut(word(failure, "uri"), REASON), word(failure, "error")));
        }
    }
    if let Some(trouble) = told.get("not_reloaded").and_then(Value::as_str) {
        text.push_str(&format!("  its file has changed and is not valid: {}\n", cut(trouble, REASON)));
    }
    text
}

/// A line of an ingest: what it has done, or how it ended.
pub(super) fn of_job(job: &Value) -> String {
    let mut text = format!("ingest of {} is {}", word(job, "pipeline"), word(job, "state"));
    let progress = job.get("progress").unwrap_or(&Value::Null);
    text.push_str(&format!(
        ": {} documents seen, {} added, {} changed, {} unchanged, {} failed, {:.0} s",
        number(progress, "/documents/seen"),
        number(progress, "/documents/added"),
        number(progress, "/documents/changed"),
        number(progress, "/documents/unchanged"),
        number(progress, "/documents/failed"),
        progress.get("seconds").and_then(Value::as_f64).unwrap_or_default()
    ));
    if let Some(message) = job.pointer("/end/message").and_then(Value::as_str) {
        text.push_str(&format!("; {}", cut(message, REASON)));
    }
    text.push_str(&format!(" (id {})\n", word(job, "id")));
    text
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "a failed test panics")]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::serve::mcp::pages::Pages;

    #[test]
    fn much_trouble_is_told_in_few_words() {
        let failure = json!({"uri": "docs/a.pdf", "stage": "parse", "error": "not a PDF ".repeat(500)});
        let one = json!({"type": "status", "pipeline": "docs", "index": {"model": "local/potion-base-8M"}, "documents": 7, "chunks": 31,
            "failed": 200, "failures": vec![failure; 100], "not_reloaded": "line 3 is wrong"});
        let other = json!({"type": "status", "pipeline": "more", "error": "the store is away"});
        let job = json!({"type": "job", "id": "x", "pipeline": "docs", "state": "failed", "progress": {"seconds": 1.4,
            "documents": {"seen": 3, "added": 1, "changed": 1, "unchanged": 1, "failed": 0}}, "end": {"message": "no key"}});
        let service = json!({"type": "service", "pipelines": [one, other], "jobs": vec![job; 64]});
        let told = shown(service.clone(), None);
        assert!(told.text.starts_with(
            "pipeline docs: 7 documents, 31 passages, embedded by local/potion-base-8M\n  200 documents failed\n"
        ));
        assert!(told.text.contains("pipeline more: its state cannot be told: the store is away\n"));
        assert!(told.text.ends_with("1 unchanged, 0 failed, 1 s; no key (id x)\n"));
        assert_eq!(
            (
                told.objects["pipelines"][0]["failures"].as_array().unwrap().len(),
                told.objects["jobs"].as_array().unwrap().len()
            ),
            (10, 5)
        );
        let counts = Pages::new();
        assert!(counts.count(&told.text).max(counts.count(&told.objects.to_string())) < 2_500);
        let told = shown(service, Some("more"));
        assert!(told.text.starts_with("pipeline more") && told.objects["pipelines"].as_array().unwrap().len() == 1);
    }
}
