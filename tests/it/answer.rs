//! Asking and searching end to end over doubles of the store, the embedder and the model.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing, reason = "a failed test panics")]

mod asking;
mod decide;
mod deeper;
pub mod doubles;
mod question;
mod search;
mod select;
mod whole;

use std::sync::atomic::Ordering;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use futures_util::stream::BoxStream;
use futures_util::{Stream, StreamExt};
use ragstream::answer::wire::Line;
use ragstream::answer::{AnswerEvent, AnswerOutcome, Answerer, Note, QuestionError, RetrieveMode};
use ragstream::document::Hit;
use ragstream::error::{Error, Origin};
use ragstream::providers::{ChatEvent, ChatModel, ErrorKind, ProviderError, StopReason};
use ragstream::vectordb::Query;
use serde_json::{Value, json};

use self::doubles::{Chat, Embed, Store, answerer, chat, done, hit, retriever, text, two_hits};

fn over(hits: Vec<Hit>, model: Option<Arc<Chat>>) -> Answerer {
    let (retriever, _) = retriever(Store { hits, ..Store::default() }, Some(Embed::new(1)));
    answerer(retriever, RetrieveMode::Dense, model.into_iter().map(|model| model as Arc<dyn ChatModel>).collect())
}

fn asked(answerer: &Answerer) -> BoxStream<'static, Result<AnswerEvent, Error>> {
    answerer.ask("How are keys rotated?".into())
}

/// What a program reads of an answer.
async fn lines(events: impl Stream<Item = Result<AnswerEvent, Error>>) -> Vec<Value> {
    let lines = events.filter_map(|event| {
        let line = match &event {
            Ok(event) => event.line().map(|line| json!(line)),
            Err(error) => Some(json!(Line::from(error))),
        };
        std::future::ready(line)
    });
    lines.collect().await
}

fn answer_of(lines: &[Value]) -> String {
    lines.iter().filter(|line| line["type"] == "token").map(|line| line["text"].as_str().unwrap()).collect()
}

/// A server that knows no `max_tokens`, or a model that goes in a circle.
#[tokio::test(start_paused = true)]
async fn an_answer_that_does_not_end_is_ended() {
    let long = |event: fn(String) -> ChatEvent| {
        let pieces = (0..40).map(|_| (1, Ok(event("so and so ".repeat(4 << 10))))).chain([done(StopReason::End)]).collect();
        asked(&over(two_hits(), Some(chat(pieces))))
    };
    for event in [ChatEvent::Text as fn(String) -> ChatEvent, ChatEvent::Reasoning] {
        let mut answer = long(event);
        let mut bytes = 0;
        let error = loop {
            match answer.next().await.unwrap() {
                Ok(AnswerEvent::Token(text) | AnswerEvent::Reasoning(text)) => bytes += text.len(),
                Ok(AnswerEvent::Done(summary)) => panic!("{summary:?}"),
                Ok(_) => {}
                Err(error) => break error,
            }
        };
        assert!(error.to_string().contains("wrote more than any answer has") && bytes <= 1 << 20, "{error} {bytes}");
    }
}

/// Blanks are no answer.
#[tokio::test(start_paused = true)]
async fn an_answer_of_blanks_is_none() {
    let blanks = over(two_hits(), Some(chat(vec![text(" "), text("\n\n　"), done(StopReason::End)])));
    let told: Vec<AnswerEvent> = asked(&blanks).map(Result::unwrap).collect().await;
    let Some(AnswerEvent::Done(summary)) = told.last() else { panic!("{told:?}") };
    assert_eq!(summary.note(), Some(Note::Empty));
}

#[tokio::test(start_paused = true)]
async fn json_lines_are_those_of_the_contract() {
    let script = vec![
        (1, Ok(ChatEvent::Reasoning("hm".into()))),
        (1, Ok(ChatEvent::Text("Every month [".into()))),
        text("1"),
        text("], as [7] says [2]"),
        (3, done(StopReason::End).1),
    ];
    let model = chat(script);
    let lines = lines(asked(&over(two_hits(), Some(Arc::clone(&model))))).await;
    let token = |text: &str| json!({"type": "token", "text": text});
    let expected = [
        json!({"type": "sources", "sources": [
            {"n": 1, "uri": "docs/keys.md", "title": "Keys", "headings": ["Keys", "Rotate"], "start": 120, "end": 144,
             "lines": [10, 11], "score": 0.75, "text": "Rotate keys\nevery month."},
            {"n": 2, "uri": "docs/密钥.md", "title": "Keys", "headings": ["Keys", "Rotate"], "start": 0, "end": 21,
             "lines": [1, 1], "score": 0.5, "text": "密钥每月轮换。"},
        ]}),
        token("Every month "),
        token("[1]"),
        token(", as "),
        json!({"type": "token", "text": "[7]", "unknown_citations": [7]}),
        token(" says "),
        token("[2]"),
        // 2 s until the stream opens, 2 more until the first piece of the answer: reasoning is none.
        json!({"type": "done", "model": "double/chat", "citations": [1, 2], "unknown_citations": [7],
               "usage": {"input_tokens": 120, "output_tokens": 9}, "cost_usd": null, "ttft_ms": 4000, "seconds": 7.0, "stop": "end"}),
    ];
    assert_eq!(lines, expected);

    let asked = model.asked.lock().unwrap();
    let [request] = asked.as_slice() else { panic!("asked {} times", asked.len()) };
    assert_eq!((request.max_tokens, request.temperature), (77, Some(0.5)));
    assert!(request.messages[0].text.ends_with("Question: How are keys rotated?"));
    assert!(!request.system.contains("Rotate keys"), "documents are never instructions");
}

#[tokio::test(start_paused = true)]
async fn when_nothing_is_found_no_model_is_paid() {
    let model = chat(vec![]);
    let lines = lines(asked(&over(vec![], Some(Arc::clone(&model))))).await;
    assert_eq!(lines[0], json!({"type": "sources", "sources": []}));
    assert_eq!(
        (&lines[1]["type"], &lines[1]["stop"], &lines[1]["model"]),
        (&json!("done"), &json!("nothing_found"), &Value::Null)
    );
    assert_eq!(lines.len(), 2);
    assert!(model.asked.lock().unwrap().is_empty());
}

#[tokio::test(start_paused = true)]
async fn without_a_model_the_passages_answer() {
    let mut hits = two_hits();
    hits.extend([hit("c.md", 0, (1, 1), 0.4, "third"), hit("d.md", 0, (1, 1), 0.3, "fourth")]);
    let lines = lines(asked(&over(hits, None))).await;
    assert_eq!(answer_of(&lines), "Rotate keys\nevery month.\n[1]\n\n密钥每月轮换。\n[2]\n\nthird\n[3]\n\n");
    let done = lines.last().unwrap();
    assert_eq!(
        (&done["model"], &done["citations"], &done["stop"], &done["note"], &done["ttft_ms"]),
        (&Value::Null, &json!([1, 2, 3]), &json!("passages"), &json!(Note::NoModel.text()), &Value::Null)
    );
    assert_eq!(lines[0]["sources"].as_array().unwrap().len(), 4);
}

#[tokio::test(start_paused = true)]
async fn a_model_that_refuses_is_an_error_after_the_sources() {
    let mut refusal = ProviderError::new("double", ErrorKind::Auth, "wrong key");
    refusal.hint = Some("set DOUBLE_KEY".into());
    let model = Arc::new(Chat { script: Mutex::new(Some(Err(refusal))), ..Chat::default() });
    let lines = lines(asked(&over(two_hits(), Some(model)))).await;
    assert_eq!(lines.len(), 2);
    assert_eq!(lines[0]["type"], "sources");
    assert_eq!(lines[1], json!({"type": "error", "message": "double: wrong key", "kind": "auth", "hint": "set DOUBLE_KEY"}));
}

#[tokio::test(start_paused = true)]
async fn an_answer_that_breaks_off_is_given_as_far_as_it_came() {
    let breaks = || {
        let reset = ProviderError::new("double", ErrorKind::Network, "connection reset");
        chat(vec![text("Every month [1"), (0, Err(reset)), text("never seen")])
    };
    let lines = lines(asked(&over(two_hits(), Some(breaks())))).await;
    assert_eq!(answer_of(&lines), "Every month [1");
    let last = lines.last().unwrap();
    assert_eq!((&last["type"], &last["kind"]), (&json!("error"), &json!("network")));

    let events: Vec<_> = asked(&over(two_hits(), Some(breaks()))).collect().await;
    assert!(matches!(events.last(), Some(Err(error)) if error.origin() == Origin::Provider), "{events:?}");
}

#[tokio::test(start_paused = true)]
async fn an_end_without_the_end_mark_is_an_error() {
    let events: Vec<_> = asked(&over(two_hits(), Some(chat(vec![text("All well [1].")])))).collect().await;
    let Some(Err(error)) = events.last() else { panic!("{events:?}") };
    let error = error.downcast_ref::<ProviderError>().unwrap();
    assert_eq!(error.kind, ErrorKind::Network);
}

#[tokio::test(start_paused = true)]
async fn a_cut_answer_says_so() {
    let cut = Some(chat(vec![text("Every mon"), done(StopReason::Length)]));
    let last = lines(asked(&over(two_hits(), cut))).await.pop().unwrap();
    assert_eq!((&last["stop"], &last["note"]), (&json!("length"), &json!("The answer was cut at max_tokens.")));

    let silent = Some(chat(vec![text(""), done(StopReason::End)]));
    let last = lines(asked(&over(two_hits(), silent))).await.pop().unwrap();
    assert_eq!((&last["note"], &last["ttft_ms"]), (&json!("The model answered with nothing."), &Value::Null));
}

#[tokio::test(start_paused = true)]
async fn pieces_arrive_as_they_come_and_dropping_cancels() {
    let model = chat(vec![text("Every "), (3600, Ok(ChatEvent::Text("month".into())))]);
    let mut events = asked(&over(two_hits(), Some(Arc::clone(&model))));
    let started = tokio::time::Instant::now();
    assert!(matches!(events.next().await, Some(Ok(AnswerEvent::Sources { .. }))));
    assert_eq!(started.elapsed(), Duration::ZERO, "the sources do not wait for the model");
    assert_eq!(events.next().await.unwrap().unwrap(), AnswerEvent::Token("Every ".into()));
    assert_eq!(started.elapsed(), Duration::from_secs(2), "nor the first piece for the second");
    assert!(!model.cancelled.load(Ordering::SeqCst));
    drop(events);
    assert!(model.cancelled.load(Ordering::SeqCst));
}

#[tokio::test(start_paused = true)]
async fn a_budget_leaves_out_whole_sources() {
    let hits = vec![hit("a.md", 0, (1, 1), 0.9, "small"), hit("b.md", 0, (1, 1), 0.8, &"word ".repeat(20_000))];
    let model = chat(vec![text("x [2]"), done(StopReason::End)]);
    let lines = lines(asked(&over(hits, Some(Arc::clone(&model))))).await;
    assert_eq!(lines[0]["sources"].as_array().unwrap().len(), 1);
    assert_eq!(lines.last().unwrap()["unknown_citations"], json!([2]), "what was left out cannot be cited");
    assert!(!model.asked.lock().unwrap()[0].messages[0].text.contains("b.md"));
}

#[tokio::test(start_paused = true)]
async fn questions_that_cannot_be_asked_are_named() {
    let refused = async |embedder: Option<Arc<Embed>>, question: &str| {
        let (retriever, store) = retriever(Store::default(), embedder);
        let error = answerer(retriever, RetrieveMode::Hybrid, Vec::new()).search(&question.into()).await.unwrap_err();
        let asked = store.asked.lock().unwrap();
        assert!(!asked.iter().any(|(query, _)| matches!(query, Query::Dense(_))), "the words may have been looked for");
        error
    };
    let model = || Some(Embed::new(1));
    assert_eq!(refused(model(), " \n").await.downcast_ref(), Some(&QuestionError::Empty));
    let long = refused(model(), &"word ".repeat(21)).await;
    assert_eq!(long.to_string(), "the question has 21 tokens; double/embed reads at most 20");
    let large = refused(model(), &"x".repeat(40_000)).await;
    assert_eq!(large.downcast_ref(), Some(&QuestionError::TooManyBytes { bytes: 40_000 }));
    assert!(refused(None, "why").await.hint().unwrap().contains("sparse"));
    let odd = refused(Some(Embed::new(2)), "why").await;
    let odd = odd.downcast_ref::<ProviderError>().unwrap();
    assert_eq!((odd.kind, odd.message.as_str()), (ErrorKind::BadAnswer, "2 vectors came back for one question"));
    assert_eq!(refused(Some(Embed::new(0)), "why").await.origin(), Origin::Provider);

    let mut events = over(two_hits(), None).ask("\t".into());
    let refused = events.next().await.unwrap().unwrap_err();
    assert_eq!(refused.downcast_ref(), Some(&QuestionError::Empty));
    assert!(events.next().await.is_none(), "nothing follows an error");
}

#[tokio::test(start_paused = true)]
async fn neighbours_reach_the_model_as_one_source() {
    let hits = vec![hit("a.md", 4, (1, 1), 0.9, "bbbb"), hit("a.md", 0, (1, 1), 0.8, "aaaabb")];
    let mut events = asked(&over(hits, None));
    let Some(Ok(AnswerEvent::Sources { sources, model: None })) = events.next().await else { panic!("no sources") };
    let [source] = sources.as_slice() else { panic!("{} sources", sources.len()) };
    assert_eq!((source.text.as_str(), source.start, source.end, source.score), ("aaaabbbb", 0, 8, 0.9));
    let mut last = None;
    while let Some(event) = events.next().await {
        last = Some(event.unwrap());
    }
    let Some(AnswerEvent::Done(summary)) = last else { panic!("{last:?}") };
    assert_eq!(summary.outcome, AnswerOutcome::Passages);
}
