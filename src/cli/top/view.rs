//! How it looks: a block that is drawn anew, a line a second, or JSON.

use serde_json::{Map, Value, json};

use super::{Now, Provider};
use crate::cli::output::{Output, counted, grouped};
use crate::cli::progress::{Reading, clock};
use crate::cli::style::{Paint, harmless, trimmed};
use crate::ingest::clocks::Times;

/// Where it is shown.
pub(super) struct Screen {
    output: Output,
    /// On a terminal that can be drawn on: its columns now.
    columns: Option<fn() -> usize>,
    /// Lines of the last block.
    drawn: usize,
}

impl Screen {
    pub(super) fn new(output: Output, columns: Option<fn() -> usize>) -> Self {
        Self { output, columns, drawn: 0 }
    }

    pub(super) fn show(&mut self, jobs: &[Now], providers: &[Provider]) {
        if self.output.json {
            return self.output.event(&event(jobs, providers));
        }
        let Some(columns) = self.columns else {
            let lines = if jobs.is_empty() { vec![NOTHING.to_owned()] } else { jobs.iter().map(line).collect() };
            return self.output.print(&format!("{}\n", lines.join("\n")));
        };
        let style = self.output.style();
        let block = block(jobs, providers);
        // Up to where the last one began, and nothing of it is left.
        let mut text = if self.drawn > 0 { format!("\x1b[{}A\x1b[J", self.drawn) } else { String::new() };
        for (is_heading, line) in &block {
            let line = trimmed(line, columns());
            text.push_str(&if *is_heading { style.paint(Paint::Bold, &line) } else { line.as_str().into() });
            text.push('\n');
        }
        self.drawn = block.len();
        self.output.print(&text);
    }
}

const NOTHING: &str = "nothing is being ingested";

/// An ingest on one line.
fn line(now: &Now) -> String {
    let Now { job, chunks_a_second, documents_a_second, .. } = now;
    let progress = &job.progress;
    let mut line = format!(
        "{} {} {} · {} · {:.0}/s · {}/{} chunks · {:.0}/s",
        harmless(&job.pipeline),
        harmless(&job.state),
        clock(std::time::Duration::try_from_secs_f64(progress.seconds).unwrap_or_default()),
        counted(progress.documents.seen, "document"),
        documents_a_second,
        grouped(progress.chunks.upserted),
        grouped(progress.chunks.made),
        chunks_a_second,
    );
    if progress.documents.failed > 0 {
        line.push_str(&format!(" · {} failed", grouped(progress.documents.failed)));
    }
    if let Some(cost) = job.cost_usd {
        line.push_str(&format!(" · ${cost:.4}"));
    }
    if let Some(limit) = &progress.limit {
        line.push_str(&format!(" · {}", Reading::of(&[]).limit(limit)));
    }
    line
}

/// All of it; whether a line is a heading.
fn block(jobs: &[Now], providers: &[Provider]) -> Vec<(bool, String)> {
    let mut lines = Vec::new();
    if jobs.is_empty() {
        lines.push((false, NOTHING.to_owned()));
    }
    for now in jobs {
        lines.push((true, line(now)));
        let Times { embed, .. } = &now.lately;
        for (name, times) in now.lately.steps() {
            lines.push((false, states(name, &times.states(), times.sum())));
            if name == "chunk" {
                lines.push((false, states("embed", &embed.states(), embed.sum())));
            }
        }
    }
    for provider in providers {
        let Provider { pipeline, name, rpm, tpm, concurrency, in_flight, requests_last_minute, tokens_last_minute } = provider;
        let of = |used: u64, limit: &Option<u64>| match limit {
            Some(limit) => format!("{}/{}", grouped(used), grouped(*limit)),
            None => grouped(used),
        };
        lines.push((
            false,
            format!(
                "{}/{}  {} requests and {} tokens in the last minute, {in_flight}/{concurrency} in flight",
                harmless(pipeline),
                harmless(name),
                of(*requests_last_minute, rpm),
                of(*tokens_last_minute, tpm),
            ),
        ));
    }
    lines
}

/// A step with the shares of its states.
fn states(name: &str, states: &[(&str, f64)], sum: f64) -> String {
    let share = |spent: f64| if sum > 0.0 { spent / sum * 100.0 } else { 0.0 };
    let states: Vec<String> = states.iter().map(|(state, spent)| format!("{state} {:>3.0} %", share(*spent))).collect();
    format!("  {name:<7} {}", states.join("  "))
}

/// A line of JSON.
fn event(jobs: &[Now], providers: &[Provider]) -> Value {
    let jobs: Vec<Value> = jobs.iter().map(job).collect();
    json!({"type": "top", "jobs": jobs, "providers": providers})
}

fn job(now: &Now) -> Value {
    let Now { job, lately, documents_a_second, chunks_a_second } = now;
    let shares = |states: &[(&str, f64)], sum: f64| {
        let share = |spent: f64| if sum > 0.0 { (spent / sum * 1e4).round() / 1e4 } else { 0.0 };
        Value::Object(states.iter().map(|(state, spent)| ((*state).to_owned(), share(*spent).into())).collect())
    };
    let mut steps: Map<String, Value> =
        lately.steps().iter().map(|(name, times)| ((*name).to_owned(), shares(&times.states(), times.sum()))).collect();
    steps.insert("embed".to_owned(), shares(&lately.embed.states(), lately.embed.sum()));
    json!({
        "id": job.id, "pipeline": job.pipeline, "state": job.state, "progress": job.progress, "cost_usd": job.cost_usd,
        "documents_per_second": documents_a_second, "chunks_per_second": chunks_a_second, "stages": steps,
    })
}
