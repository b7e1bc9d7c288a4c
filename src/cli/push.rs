//! `push`: copies the index into another store, and says how a pipeline names it there.

use std::path::Path;
use std::sync::Arc;

use anyhow::{Context as _, bail};
use serde_json::{Map, Value, json};
use tokio_util::sync::CancellationToken;

use super::args::{Common, Destination, Invalid, PipelineArg, PushArgs, variable};
use super::exit;
use super::ingest::tell_when_interrupted;
use super::output::{Output, counted, grouped};
use super::progress::{Progress, Rate, clock};
use crate::ingest::copy::{self, Outcome, Summary};
use crate::pipeline;
use crate::vectordb::StorePlan;

/// Where a server is looked for.
const URL: &str = "http://localhost:6334";
/// Where a server's key is looked for.
const KEY: &str = "QDRANT_API_KEY";
/// The embedded store in a pipeline file.
const EMBEDDED: &str = "embedded";

pub(super) async fn run(args: PushArgs, common: &Common, output: &Output, stop: CancellationToken) -> anyhow::Result<u8> {
    let named = PipelineArg { pipeline: args.name.clone().or_else(|| args.pipeline.pipeline.clone()) };
    let runtime = named.runtime(common, |_| Ok(()))?;
    let name = &runtime.plan.name;
    let store = Declared::of(&args, name)?;
    let to = store.plan(name, &runtime.settings.cwd)?;

    let report = Arc::new(copy::Progress::default());
    let progress = show_progress(output, &report);
    let told = tell_when_interrupted(&stop, output, &progress);
    let summary = runtime.copy_to(&to, args.replace, report, stop).await;
    drop(told);
    progress.finish();
    let summary = summary?;
    if output.json {
        output.event(&event(&summary, name, &store)?);
    } else {
        show(&summary, output);
        if summary.outcome == Outcome::Complete {
            // Without a file, the pipeline has this name.
            let whole = if named.pipeline.is_none() { format!("version: 1\nname: {name}\n") } else { String::new() };
            output.note(match named.pipeline {
                Some(_) => "To use the copy, put this into the pipeline:",
                None => "To use the copy, make this a pipeline file:",
            });
            output.print(&format!("{whole}store:\n  {}\n", store.to_yaml()));
        }
    }
    Ok(match summary.outcome {
        Outcome::Complete => exit::OK,
        Outcome::Changed => exit::SOME_FAILED,
        Outcome::Interrupted => exit::INTERRUPTED,
    })
}

/// What stands under `store` in a pipeline that uses the copy: the kind, and what is said of it.
struct Declared(&'static str, Vec<(&'static str, String)>);

impl Declared {
    fn of(args: &PushArgs, name: &str) -> anyhow::Result<Self> {
        let PushArgs { to, url, collection, api_key_env, path, .. } = args;
        match to {
            Destination::Qdrant if path.is_some() => bail!("--path is for an embedded index (`--to embedded`)"),
            Destination::Qdrant => {
                let set = |name: &str| variable(name).is_some_and(|key| !key.trim().is_empty());
                let key = match api_key_env.as_deref() {
                    Some(named) if !set(named) => bail!("the variable {named}, which --api-key-env names, is not set"),
                    named => named.or(Some(KEY).filter(|usual| set(usual))),
                };
                let (url, collection) = (url.as_deref().unwrap_or(URL), collection.as_deref().unwrap_or(name));
                let mut said = vec![("url", escaped(url)), ("collection", escaped(collection))];
                said.extend(key.map(|name| ("api_key", format!("${{{name}}}"))));
                Ok(Self("qdrant", said))
            }
            Destination::Embedded if url.is_some() || collection.is_some() || api_key_env.is_some() => {
                bail!("--url, --collection and --api-key-env are for a server (`--to qdrant`)")
            }
            Destination::Embedded => {
                let Some(path) = path else { return Ok(Self(EMBEDDED, Vec::new())) };
                let path = std::path::absolute(path).with_context(|| format!("bad path {}", path.display()))?;
                let path = path.to_str().with_context(|| format!("{} is not UTF-8, as a pipeline file is", path.display()))?;
                Ok(Self(EMBEDDED, vec![("path", escaped(path))]))
            }
        }
    }

    fn to_json(&self) -> Value {
        let Self(kind, said) = self;
        let said: Map<String, Value> = said.iter().map(|(key, value)| ((*key).to_owned(), value.as_str().into())).collect();
        json!({ *kind: said })
    }

    fn to_yaml(&self) -> String {
        let Self(kind, said) = self;
        // A text of JSON is one of YAML.
        let said: Vec<String> = said.iter().map(|(key, value)| format!("{key}: {}", Value::from(value.as_str()))).collect();
        if said.is_empty() { format!("{kind}: {{}}") } else { format!("{kind}: {{ {} }}", said.join(", ")) }
    }

    /// What such a pipeline means: the same checks, and the same words for what is wrong.
    fn plan(&self, name: &str, cwd: &Path) -> anyhow::Result<StorePlan> {
        let file = format!("version: 1\nname: {name}\nstore:\n  {}\n", self.to_yaml());
        let loaded = pipeline::parse(&file, "the store to push to", cwd, &variable).map_err(Invalid)?;
        for warning in &loaded.warnings {
            tracing::warn!("{warning}");
        }
        Ok(loaded.plan.store)
    }
}

/// A text in a pipeline file, where `$` begins a variable.
fn escaped(text: &str) -> String {
    text.replace('$', "$$")
}

fn show_progress(output: &Output, report: &Arc<copy::Progress>) -> Progress {
    let (events, lines) = (Arc::clone(report), Arc::clone(report));
    let event = move || {
        let copy::Progress { points, written, kept, removed, .. } = &*events;
        json!({
            "type": "progress",
            "seconds": events.elapsed().as_secs_f64(),
            "points": points.get(),
            "written": written.get(),
            "kept": kept.get(),
            "removed": removed.get(),
        })
    };
    let mut rate = Rate::default();
    let line = move || {
        let (points, done) = (lines.points.get(), lines.written.get() + lines.kept.get());
        let per_second = rate.next(done);
        let mut line = format!("{}/{} chunks", grouped(done), grouped(points));
        if per_second >= 1.0 {
            line.push_str(&format!(" · {}/s", grouped(per_second as u64)));
        }
        line.push_str(&format!(" · {}", clock(lines.elapsed())));
        (points > 0).then_some(line)
    };
    Progress::show(output.clone(), event, line)
}

/// The last line of `push --json`.
fn event(summary: &Summary, pipeline: &str, store: &Declared) -> anyhow::Result<Value> {
    let mut event = serde_json::to_value(summary)?;
    if let Value::Object(event) = &mut event {
        event.insert("pipeline".into(), pipeline.into());
        event.insert("store".into(), store.to_json());
    }
    Ok(event)
}

/// The summary that a person reads, on stderr: stdout is for the lines of the pipeline.
fn show(summary: &Summary, output: &Output) {
    let Summary { from, to, outcome, seconds, points, written, kept, removed } = summary;
    let mark = match outcome {
        Outcome::Complete => output.paint("done", "32"),
        Outcome::Changed => output.paint("finished", "33"),
        Outcome::Interrupted => output.paint("interrupted", "33"),
    };
    output.note(&format!("{mark} {} of {from} to {to} in {seconds:.1} s", counted(*points, "chunk")));
    let mut line = format!("  {} written", grouped(*written));
    for (count, what) in [(kept, "there already"), (removed, "removed")] {
        if *count > 0 {
            line.push_str(&format!(", {} {what}", grouped(*count)));
        }
    }
    output.note(&line);
    match outcome {
        Outcome::Complete => {}
        Outcome::Changed => output.note(&format!(
            "{} something was written to one of the two meanwhile: run the same command again to bring the copy up to date.",
            output.paint("warning:", "1;33"),
        )),
        Outcome::Interrupted => output.note("  run the same command again to go on"),
    }
}
