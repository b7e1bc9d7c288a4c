//! What a model gets wrong is told of the document that it is about, and costs no other.

use std::collections::HashSet;
use std::sync::Mutex;
use std::sync::atomic::Ordering;
use std::time::Duration;

use serde_json::json;

use super::{World, message, reply, said, titled};
use crate::rig::Kind;
use crate::stand_in::Reply;
use crate::whole::model::CHAT;

fn refuses(status: u16, code: &str) -> Reply {
    Reply::status(status, &json!({"error": {"message": format!("no: {code}"), "code": code, "type": code}}))
}

#[test]
fn a_document_that_is_refused_fails_alone_and_is_tried_again() {
    let world = World::new(Kind::Embedded);
    world.rig.write_documents(4);
    for (name, word) in [("a.txt", "REFUSED"), ("b.txt", "EMPTY"), ("c.txt", "FILTERED"), ("d.txt", "THOUGHTS")] {
        world.rig.project.write(
            &format!("docs/{name}"),
            titled(50, 3, &format!("A line with {word} in it, and a few more words to fill it.")),
        );
    }
    world.answer(|request| {
        let user = message(request, "user");
        let chunk = super::within(&user, "chunk");
        match ["REFUSED", "EMPTY", "FILTERED", "THOUGHTS"].into_iter().find(|word| chunk.contains(word)) {
            Some("REFUSED") => refuses(400, "invalid_request_error"),
            Some("EMPTY") => reply(request, " \n", "stop"),
            Some("FILTERED") => reply(request, "Of", "content_filter"),
            Some("THOUGHTS") => reply(request, "", "length"),
            _ => reply(request, &said(request), "stop"),
        }
    });
    let ended = world.rig.ingest(&[]).expect_code(1);
    let failed: Vec<_> = ended
        .of_type("failed")
        .iter()
        .map(|line| (line["uri"].clone(), line["stage"].clone(), line["error"].to_string()))
        .collect();
    for (uri, why) in [
        ("docs/a.txt", "no: invalid_request_error"),
        ("docs/b.txt", "said nothing of where a chunk stands"),
        ("docs/c.txt", "its filter refused"),
        ("docs/d.txt", "went into its thoughts"),
    ] {
        assert!(
            failed.iter().any(|(of, stage, error)| of == uri && stage == "context" && error.contains(why)),
            "{uri}: {failed:?}"
        );
    }
    assert_eq!(failed.len(), 4, "{failed:?}");
    let summary = ended.last("summary");
    assert_eq!((&summary["documents"]["added"], &summary["documents"]["failed"]), (&json!(4), &json!(4)));
    let listed = world.rig.failures();
    assert!(listed.len() == 4 && listed.iter().all(|(_, stage)| stage == "context"), "{listed:?}");

    let asked = world.asked();
    world.answer(|request| reply(request, &said(request), "stop"));
    let mended = world.rig.complete();
    assert_eq!(
        (&mended["documents"]["added"], world.asked() - asked),
        (&json!(4), 4),
        "only what was not written yet: {mended}"
    );
    world.expect_whole("mended", Some("{ model: writer/small }"));
}

#[test]
fn a_busy_server_is_waited_for() {
    let world = World::new(Kind::Embedded);
    world.rig.write_documents(2);
    let cut = reply(&request(), "Of the beginning of a long", "stop").cut(40);
    world.rig.api.script(CHAT, [refuses(429, "rate_limit_exceeded").header("retry-after", 1), refuses(503, "overloaded"), cut]);
    let summary = world.rig.complete();
    assert_eq!(summary["documents"]["failed"], 0, "{summary}");
    world.expect_whole("waited for", Some("{ model: writer/small }"));
}

/// Any request, for a reply that does not depend on it.
fn request() -> crate::stand_in::Request {
    crate::stand_in::Request {
        at: tokio::time::Instant::now(),
        method: "POST".into(),
        path: CHAT.into(),
        headers: axum::http::HeaderMap::new(),
        body: json!({"messages": [{"role": "system", "content": ""}, {"role": "user", "content": ""}]}),
    }
}

#[test]
fn a_server_that_cannot_ends_the_run_and_a_model_that_stands_by_takes_over() {
    let world = World::new(Kind::Embedded);
    world.rig.write_documents(3);
    world.answer(|request| match request.body["model"].as_str() {
        Some("small") => refuses(404, "model_not_found"),
        _ => reply(request, &said(request), "stop"),
    });
    let ended = world.rig.ingest(&[]).expect_code(2);
    assert!(ended.stderr.contains("model_not_found"), "{ended:?}");
    // A place that a failure leaves is taken before it is known what it says of the others.
    assert!(world.asked() <= 2 * super::WRITERS, "{} requests to a model that is not there", world.asked());
    world.context("docs", "{ model: writer/small, fallback: [writer/large] }");
    let summary = world.rig.complete();
    assert_eq!(summary["documents"]["added"], 3, "{summary}");
    assert_eq!(summary["contexts"]["cost_usd"], json!(null), "the price of the one that answered is not known");
    world.expect_whole("stood by", Some("{ model: writer/small, fallback: [writer/large] }"));
}

#[test]
fn a_model_that_never_says_anything_is_not_paid_for_every_chunk() {
    let world = World::new(Kind::Embedded);
    world.rig.write_documents(30);
    world.answer(|request| reply(request, "", "length").after(Duration::from_millis(2)));
    let ended = world.rig.ingest(&[]).expect_code(2);
    assert!(ended.stderr.contains("went into its thoughts"), "{ended:?}");
    assert!((16..40).contains(&world.asked()), "{} of 150 chunks", world.asked());
}

#[test]
fn what_is_tried_again_is_counted_for_the_model_that_it_was_tried_of() {
    let world = World::new(Kind::Embedded);
    // One provider has both.
    world.context("docs", "{ model: openai/small }");
    world.rig.write_documents(1);
    let tried = Mutex::new(HashSet::new());
    world.answer(move |request| {
        let first = tried.lock().unwrap().insert(message(request, "user"));
        if first { refuses(503, "overloaded") } else { reply(request, &said(request), "stop") }
    });
    let summary = world.rig.complete();
    let (contexts, embeddings) = (&summary["contexts"], &summary["embeddings"]);
    let asked = world.asked();
    assert_eq!((&contexts["requests"], &contexts["retries"]), (&json!(asked), &json!(asked / 2)), "{summary}");
    let embedded = world.rig.requests.load(Ordering::SeqCst);
    assert_eq!((&embeddings["requests"], &embeddings["retries"]), (&json!(embedded), &json!(0)), "{summary}");
}

#[test]
fn what_is_paid_for_in_vain_is_told_with_its_cost() {
    let world = World::new(Kind::Embedded);
    world.rig.write_documents(2);
    world.answer(|request| reply(request, "I cannot", "content_filter"));
    let refused = world.rig.run(&["ingest"]).expect_code(1).stderr;
    let wanted = format!("  0 contexts written, {} requests, ", world.asked());
    assert!(refused.contains(&wanted) && refused.contains(" written, $0.0"), "{refused}");

    world.rig.write_documents(30);
    world.answer(|request| reply(request, "", "length"));
    let before = world.asked();
    let ended = world.rig.ingest(&[]).expect_code(2);
    let error = ended.last("error");
    assert_eq!(error["contexts"]["requests"], json!(world.asked() - before), "{error}");
    assert!(error["contexts"]["cost_usd"].as_f64() > Some(0.0) && error["message"].is_string(), "{error}");
    let told = "until then: 0 contexts written, ";
    assert!(ended.stderr.contains(told) && ended.stderr.contains(" written, $0.0"), "{ended:?}");
}

#[test]
fn a_long_answer_is_cut_at_a_sentence() {
    let world = World::new(Kind::Embedded);
    world.rig.write_documents(2);
    world.answer(|request| reply(request, &"It tells of a platypus, and goes on and on about it. ".repeat(60), "length"));
    world.rig.complete();
    let embedded = world.rig.api.requests().into_iter().filter(|request| request.path == crate::rig::EMBEDDINGS);
    let inputs: Vec<_> = embedded.flat_map(|request| request.body["input"].as_array().unwrap().clone()).collect();
    assert!(!inputs.is_empty());
    for input in inputs {
        let (context, text) = input.as_str().unwrap().split_once("\n\n").unwrap();
        assert!(context.len() <= 480 && context.ends_with("about it.") && text.starts_with("Document"), "{input}");
    }
}
