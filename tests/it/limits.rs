//! The limits as a whole program keeps them: how many requests are in flight, how full they are, what is kept for next time.

#![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "a test may fail loudly")]

use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use serde_json::json;

use crate::both::{Home, Ledger, over_both_ledgers};
use crate::project::Project;
use crate::stand_in::{Request, StandIn, openai_embeddings};

mod queue;
mod servers;
mod simulation;

/// A project with `chunks` paragraphs of their own chunk each, in files of a hundred, and a pipeline on this API.
fn project(url: &str, chunks: usize, limits: &str, items: usize) -> Home {
    home(Ledger::Sqlite, url, chunks, limits, items)
}

fn home(ledger: Ledger, url: &str, chunks: usize, limits: &str, items: usize) -> Home {
    let project = Home::new(ledger);
    for file in 0..chunks.div_ceil(100) {
        let lines: Vec<String> = (0..100)
            .map(|line| format!("# Part {file} {line}\n\nWhat is said in paragraph {line} of file {file}.\n"))
            .collect();
        project.write(&format!("docs/{file}.md"), lines.join("\n"));
    }
    let pipeline = format!(
        "version: 1\nproviders:\n  api: {{ kind: openai, base_url: \"{url}\", api_key: k, limits: {{ {limits} }} }}\n\
         sources: [{}]\nchunk: {{ by: markdown, max_tokens: 24, overlap: 0 }}\n\
         embed: {{ model: api/m, dimensions: 16, batch: {{ items: {items} }} }}\n{}",
        project.folder("docs"),
        project.store()
    );
    project.write("p.yaml", pipeline);
    project.write("cache/.keep", "");
    project
}

fn ingest(project: &Project) -> serde_json::Value {
    project.run(&["ingest", "-p", "p.yaml", "--json", "--cache", "cache"]).expect_code(0).last("summary")
}

fn inputs(request: &Request) -> usize {
    request.body["input"].as_array().map_or(1, Vec::len)
}

async fn run(project: Home) -> (Home, serde_json::Value) {
    tokio::task::spawn_blocking(move || {
        let summary = ingest(&project);
        (project, summary)
    })
    .await
    .unwrap()
}

over_both_ledgers! { async
    declared_places_are_all_taken_by_full_batches
}

async fn declared_places_are_all_taken_by_full_batches(ledger: Ledger) {
    const ITEMS: usize = 16;
    for places in [8, 32] {
        let api = StandIn::start().await;
        // The first wait until a busy machine, too, has sent as many as may be in flight.
        let came = AtomicUsize::new(0);
        api.always("/embeddings", move |request| {
            let first = came.fetch_add(1, Ordering::Relaxed) < places;
            openai_embeddings(request, 16).after(Duration::from_millis(if first { 3000 } else { 100 }))
        });
        let project = home(ledger, api.url(), places * ITEMS * 8, &format!("concurrency: {places}"), ITEMS);
        let (_project, summary) = run(project).await;
        let chunks: usize = api.requests().iter().map(inputs).sum();
        assert_eq!(summary["embeddings"]["embedded"], json!(chunks), "{summary}");
        assert_eq!(api.most_in_flight(), places);
        let full = api.requests().iter().filter(|request| inputs(request) == ITEMS).count();
        let fill = chunks as f64 / (api.requests().len() * ITEMS) as f64;
        assert!(fill >= 0.95, "{fill}: {full} of {} requests full", api.requests().len());
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn undeclared_places_grow_and_what_was_learned_is_kept() {
    let api = StandIn::start().await;
    // Of the growth itself the simulations tell, on a clock of their own.
    let quota = |request: &Request| {
        openai_embeddings(request, 16)
            .after(Duration::from_millis(1500))
            .header("x-ratelimit-limit-requests", 6000)
            .header("x-ratelimit-remaining-requests", 5000)
    };
    api.always("/embeddings", quota);
    let (project, summary) = run(project(api.url(), 1000, "", 8)).await;
    assert_eq!(summary["embeddings"]["throttled"], 0);
    assert!(api.most_in_flight() >= 8, "{}", api.most_in_flight());
    let kept: Vec<_> = std::fs::read_dir(project.path("cache/limits")).unwrap().flatten().collect();
    assert_eq!(kept.len(), 1);
    let kept: serde_json::Value = serde_json::from_slice(&std::fs::read(kept[0].path()).unwrap()).unwrap();
    assert_eq!((&kept["rpm"], &kept["tpm"]), (&json!(6000), &json!(null)), "{kept}");
    // How many is no matter here: answers that a busy machine delays say that more would only queue.
    assert!(kept["concurrency"].as_u64().unwrap() >= 1, "{kept}");
}
