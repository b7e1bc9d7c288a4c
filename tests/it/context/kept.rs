//! A provider that keeps what requests begin with, once it is told to and has begun to answer the first: Anthropic, as its pages have it.

use std::collections::HashMap;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use super::{PRICES, World, within};
use crate::rig::{Kind, document};
use crate::stand_in::{Reply, Request};
use crate::whole::model::tokens;

const MESSAGES: &str = "/v1/messages";
/// How long it takes until an answer begins.
const READS: Duration = Duration::from_millis(60);
/// What this model keeps has so many tokens at least.
const LEAST: u64 = 512;

/// What requests were charged for.
#[derive(Debug, Default, Clone, Copy, PartialEq)]
struct Charged {
    requests: u64,
    plain: u64,
    written: u64,
    read: u64,
    output: u64,
    /// Requests that read what another had kept.
    hits: u64,
}

#[derive(Default)]
struct Cache {
    /// From when on each beginning is there.
    kept: HashMap<String, Instant>,
    charged: Charged,
}

impl Cache {
    fn charge(&mut self, request: &Request, said: &str) -> Value {
        let system = request.body["system"].as_str().unwrap();
        let content = &request.body["messages"][0]["content"];
        let (begins, rest) = match content.as_array() {
            None => (String::new(), format!("{system}{}", content.as_str().unwrap())),
            Some(blocks) => {
                assert_eq!(blocks.len(), 2, "{blocks:?}");
                assert_eq!(blocks[0]["cache_control"], json!({"type": "ephemeral"}));
                assert_eq!(blocks[1].get("cache_control"), None);
                (format!("{system}{}", blocks[0]["text"].as_str().unwrap()), blocks[1]["text"].as_str().unwrap().to_owned())
            }
        };
        let (mut long, mut plain) = (tokens(&begins), tokens(&rest));
        if long < LEAST {
            (long, plain) = (0, plain + long);
        }
        let now = Instant::now();
        let hit = long > 0 && self.kept.get(&begins).is_some_and(|from| *from <= now);
        let (written, read) = if hit { (0, long) } else { (long, 0) };
        if written > 0 {
            self.kept.entry(begins).or_insert(now + READS);
        }
        let output = tokens(said);
        let Charged { requests, plain: all, written: kept, read: found, output: wrote, hits } = self.charged;
        self.charged = Charged {
            requests: requests + 1,
            plain: all + plain,
            written: kept + written,
            read: found + read,
            output: wrote + output,
            hits: hits + u64::from(hit),
        };
        json!({"input_tokens": plain, "cache_creation_input_tokens": written, "cache_read_input_tokens": read, "output_tokens": output})
    }
}

/// As it streams an answer.
fn streamed(text: &str, usage: &Value) -> Reply {
    let events = [
        json!({"type": "message_start", "message": {"usage": usage}}),
        json!({"type": "content_block_delta", "index": 0, "delta": {"type": "text_delta", "text": text}}),
        json!({"type": "message_delta", "delta": {"stop_reason": "end_turn"}, "usage": {"output_tokens": usage["output_tokens"]}}),
        json!({"type": "message_stop"}),
    ];
    Reply::stream(events.map(|event| format!("event: {}\ndata: {event}\n\n", event["type"].as_str().unwrap())), Duration::ZERO)
}

fn user(request: &Request) -> String {
    let content = &request.body["messages"][0]["content"];
    let blocks = content.as_array().into_iter().flatten().map(|block| block["text"].as_str().unwrap());
    content.as_str().map_or_else(|| blocks.collect(), str::to_owned)
}

fn world(kind: Kind) -> (World, Arc<Mutex<Cache>>) {
    let (world, cache) = (World::new(kind), Arc::<Mutex<Cache>>::default());
    let (asked, keeps) = (Arc::clone(&world.asked), Arc::clone(&cache));
    world.rig.api.always(MESSAGES, move |request| {
        asked.fetch_add(1, std::sync::atomic::Ordering::SeqCst);
        let said = format!("It tells of this: {}", within(&user(request), "chunk").lines().next().unwrap_or_default());
        let usage = keeps.lock().unwrap().charge(request, &said);
        // What is kept is there a little before the answer is.
        streamed(&said, &usage).after(READS + Duration::from_millis(20))
    });
    by_anthropic(&world, "claude-opus-5");
    (world, cache)
}

/// The rig's pipeline, whose contexts are by this model.
fn by_anthropic(world: &World, model: &str) {
    world.context("docs", &format!("{{ model: writer/{model} }}"));
    let written = String::from_utf8(world.rig.project.read("docs.yaml")).unwrap();
    let url = world.rig.api.url();
    let of_openai = format!("kind: openai\n    base_url: {url}/v1");
    assert!(written.contains(&of_openai), "{written}");
    let written = written.replacen(&of_openai, &format!("kind: anthropic\n    base_url: {url}"), 1).replacen(
        "small: {",
        &format!("{model}: {{"),
        1,
    );
    world.rig.project.write("docs.yaml", written);
}

/// What it costs, by Anthropic's page.
fn dollars(charged: Charged) -> f64 {
    let Charged { plain, written, read, output, .. } = charged;
    let input = plain as f64 + 1.25 * written as f64 + 0.1 * read as f64;
    (input * PRICES.0 + output as f64 * PRICES.1) / 1e6
}

#[test]
fn chunks_of_one_stretch_are_read_from_its_cache_and_priced_as_that_is() {
    let (world, cache) = world(Kind::Embedded);
    let (long, short) = (document(1, 30), document(2, 4));
    assert!(tokens(&long) > LEAST && tokens(&short) + 200 < LEAST, "{} {}", tokens(&long), tokens(&short));
    world.rig.project.write("docs/long.txt", &long);
    world.rig.project.write("docs/short.txt", &short);
    let section =
        |n: usize| format!("第 {n} 节说明如何更换第 {n} 号水泵的垫圈，并且同时更换阀门和密封环，再等待压力下降。\n\n");
    let chinese = (0..30).map(section).collect::<Vec<_>>().concat();
    assert!(tokens(&chinese) > LEAST);
    world.rig.project.write("docs/泵.txt", &chinese);
    let planned = world.plan()["contexts"].clone();
    let summary = world.rig.complete();
    let charged = cache.lock().unwrap().charged;
    // The first of each long document, and none of the short one.
    assert_eq!(charged.requests - charged.hits, 2 + 4, "{charged:?}");
    let told = &summary["contexts"];
    let cached = json!({"read_tokens": charged.read, "written_tokens": charged.written});
    assert_eq!((&told["requests"], &told["prompt_cache"]), (&json!(charged.requests), &cached));
    assert_eq!(told["input_tokens"], charged.plain + charged.written + charged.read);
    let cost = told["cost_usd"].as_f64().unwrap();
    assert!((cost - dollars(charged)).abs() < 1e-9, "{cost} {charged:?}");
    // Had nothing been kept, it would have been some times as much.
    let all = Charged { plain: charged.plain + charged.written + charged.read, written: 0, read: 0, ..charged };
    assert!(cost < 0.5 * dollars(all), "{cost} of {}", dollars(all));
    assert_eq!(planned["requests"], charged.requests);
    let near = |planned: &Value, seen: f64| (0.85..1.15).contains(&(planned.as_f64().unwrap() / seen));
    assert!(near(&planned["prompt_cache"]["read_tokens"], charged.read as f64), "{planned} {charged:?}");
    assert!(near(&planned["prompt_cache"]["written_tokens"], charged.written as f64), "{planned} {charged:?}");
    // But for what it writes, which nobody knows before.
    let without_output = |cost: f64, output: &Value| cost - output.as_f64().unwrap() * PRICES.1 / 1e6;
    let (foretold, paid) = (planned["cost_usd"].as_f64().unwrap(), without_output(cost, &told["output_tokens"]));
    let foretold = without_output(foretold, &planned["output_tokens"]);
    assert!((0.85..1.15).contains(&(foretold / paid)), "{foretold} {paid}");
    let shown = world.rig.run(&["plan", "--rebuild"]).expect_code(0).stdout;
    assert!(!shown.contains("provider's cache"), "all of it is known: {shown}");
}

#[test]
fn what_is_too_short_for_its_model_is_sent_as_ever_and_nobody_waits() {
    let (world, cache) = world(Kind::Embedded);
    // This one keeps from 4,096 tokens on.
    by_anthropic(&world, "claude-haiku-4-5");
    world.rig.project.write("docs/long.txt", document(1, 30));
    let planned = world.plan()["contexts"].clone();
    assert_eq!(planned.get("prompt_cache"), None, "{planned}");
    let summary = world.rig.complete();
    let charged = cache.lock().unwrap().charged;
    assert_eq!((charged.written, charged.read, charged.requests), (0, 0, 30));
    assert_eq!(summary["contexts"].get("prompt_cache"), None, "{summary}");
    let requests = world.rig.api.requests().into_iter().filter(|request| request.path == MESSAGES);
    assert!(requests.into_iter().all(|request| request.body["messages"][0]["content"].is_string()));
    assert!(world.rig.api.most_in_flight() >= super::WRITERS, "all at once");
}

#[test]
fn the_only_new_chunk_of_a_document_keeps_nothing() {
    let (world, cache) = world(Kind::Embedded);
    world.rig.project.write("docs/long.txt", document(1, 30));
    world.rig.complete();
    let before = cache.lock().unwrap().charged;
    assert!(before.hits > 0);
    let more = "A paragraph that was not there before, and is long enough to be a chunk of its own here.\n\n";
    world.rig.project.write("docs/long.txt", format!("{}{more}", document(1, 30)));
    world.rig.complete();
    let after = cache.lock().unwrap().charged;
    assert_eq!((after.requests - before.requests, after.written, after.read), (1, before.written, before.read));
}
