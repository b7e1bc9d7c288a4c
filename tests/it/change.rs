//! A change of the model that embeds: the old vectors answer until the new ones are complete, whatever comes in between.

use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use serde_json::Value;

use crate::project::{Ended, ended};
use crate::rig::{ITEMS, Kind, Rig, WIDTH, document, signal, until, without_secrets};
use crate::stand_in::{Reply, Request, openai_embeddings};

mod kills;
mod models;
mod together;
mod unread;
mod ways;

/// What the rig's pipelines say at first, and what they are changed to: another model, and another width.
const OLD: &str = "model: openai/text-embedding-3-small, dimensions: 16";
const NEW: &str = "model: openai/text-embedding-3-large, dimensions: 24";
/// What the new one is called where it is told.
const NEW_MODEL: &str = "text-embedding-3-large/24";
const QUESTION: &str = "which line says that alpha comes before beta";

/// Has a pipeline file say this instead of that.
fn rewrite(rig: &Rig, name: &str, from: &str, to: &str) {
    let file = String::from_utf8(rig.project.read(&format!("{name}.yaml"))).unwrap();
    assert!(file.contains(from), "{from}: {file}");
    rig.project.write(&format!("{name}.yaml"), file.replace(from, to));
}

/// A rig with an index of the old model, whose stand-in answers each request as it is asked to.
fn indexed(kind: Kind) -> Rig {
    assert_eq!(WIDTH, 16, "as `OLD` says");
    let rig = Rig::new(kind);
    rig.answer(|request| embedded(request).after(Duration::from_millis(5)));
    rig.write_documents(12);
    rig.project.write("docs/轮换.md", "# 密钥轮换\n\n每个星期一轮换密钥，旧密钥在一天之后失效。\n");
    rig.complete();
    rig
}

/// Vectors as wide as they are asked for.
fn embedded(request: &Request) -> Reply {
    openai_embeddings(request, usize::try_from(request.body["dimensions"].as_u64().unwrap()).unwrap())
}

/// What a search finds, and what it says on stderr.
fn searched(rig: &Rig, name: &str) -> (Vec<Value>, String) {
    let file = format!("{name}.yaml");
    let Ended { code, stdout, stderr } =
        without_secrets(rig.project.run(&["search", QUESTION, "-k", "12", "--json", "-p", &file]));
    assert_eq!(code, 0, "never without an answer: {stdout}{stderr}");
    let lines = stdout.lines().map(|line| serde_json::from_str::<Value>(line).unwrap());
    let mut hits: Vec<Value> = lines.filter(|line| line["type"] == "hit").collect();
    for hit in &mut hits {
        hit["score"] = ((hit["score"].as_f64().unwrap() * 1e4).round() / 1e4).into();
        hit.as_object_mut().unwrap().remove("legs");
    }
    assert!(!hits.is_empty(), "{stdout}{stderr}");
    (hits, stderr)
}

/// What a search finds in an index that was made of the documents as they are with the new model, and nothing else.
fn fresh(rig: &Rig) -> Vec<Value> {
    rig.pipeline("fresh");
    rewrite(rig, "fresh", OLD, NEW);
    rig.project.run(&["ingest", "-p", "fresh.yaml", "--rebuild", "--cluster", ""]).expect_code(0);
    searched(rig, "fresh").0
}

fn status(rig: &Rig) -> Value {
    rig.run(&["status", "--json"]).last("status")
}

/// The store that the index was made in, and the other one, as far as there is an index in them: what their models are.
fn models(rig: &Rig) -> Vec<String> {
    let status = status(rig);
    [&status["index"]["model"], &status["next"]["index"]["model"]]
        .into_iter()
        .filter_map(|m| m.as_str())
        .map(str::to_owned)
        .collect()
}

/// The words of a message, however the terminal cut them.
fn words(text: &str) -> String {
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}
