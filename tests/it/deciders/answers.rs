//! Answers that are wrong: none of them decides anything.

use ragstream::providers::{ErrorKind, ProviderKind};
use serde_json::{Value, json};

use super::after;
use crate::stand_in::Reply;

/// The answers to the three questions of [`super::request`] in `OpenAI`'s contract.
fn list() -> [Value; 3] {
    let choice = json!([{"value": "keys", "probability": 0.5}, {"value": "价格", "probability": 0.5}]);
    [
        json!({"type": "predicate", "name": null, "probability": 0.5}),
        json!({"type": "choice", "name": null, "choice": "keys", "probabilities": choice, "confidence": 0.5}),
        json!({"type": "score", "name": null, "score": 1, "probabilities": [], "confidence": 0.5}),
    ]
}

/// The same in `TypeSafe`'s.
fn names() -> [Value; 3] {
    [
        json!({"type": "noul", "noul": 0.5}),
        json!({"type": "choice", "choice": "keys", "probabilities": {"keys": 0.5, "价格": 0.5}, "confidence": 0.5}),
        json!({"type": "score", "score": 1, "legend": {}, "probabilities": {}, "confidence": 0.5}),
    ]
}

fn in_a_list(answers: &[Value]) -> Reply {
    Reply::json(&json!({"model": "m", "answers": answers, "usage": {"input_tokens": 1}}))
}

fn by_names(answers: &[Value]) -> Reply {
    let named: serde_json::Map<String, Value> =
        (1..).zip(answers).map(|(n, answer): (i32, _)| (format!("q{n}"), answer.clone())).collect();
    Reply::json(&json!({"model": "m", "answers": named, "usage": {"input_tokens": 1}}))
}

async fn refused(kind: ProviderKind, reply: Reply, words: &str) {
    let (result, requests) = after(kind, reply.clone()).await;
    let error = result.unwrap_err();
    assert_eq!(error.kind, ErrorKind::BadAnswer, "{reply:?}: {error}");
    assert!(error.message.contains(words), "{words}: {error}");
    assert_eq!(requests, 1, "an answer in other words is no reason to ask in them");
    if format!("{reply:?}").contains("input_tokens") {
        assert_eq!(error.usage.map(|usage| usage.input_tokens), Some(Some(1)), "it is paid for: {reply:?}");
    }
}

fn with(mut answers: [Value; 3], n: usize, path: &str, value: Value) -> [Value; 3] {
    *answers[n].pointer_mut(path).unwrap() = value;
    answers
}

#[tokio::test]
async fn wrong_lists_decide_nothing() {
    let openai = ProviderKind::OpenAi;
    assert_eq!(after(openai, in_a_list(&list())).await.0.unwrap().len(), 3);
    let [a, b, c] = list();
    for (answers, words) in [
        (vec![a.clone(), b.clone()], "2 answers came for 3 questions"),
        (vec![a.clone(), b.clone(), c.clone(), c.clone()], "4 answers came for 3 questions"),
        (vec![b.clone(), a.clone(), c.clone()], "of another type"),
        (vec![names()[0].clone(), b.clone(), c.clone()], "TypeSafe's System One"),
        (with(list(), 0, "/probability", json!(1.5)).to_vec(), "the probability of question 1 is 1.5"),
        (with(list(), 0, "/probability", json!(-0.1)).to_vec(), "is -0.1"),
        (with(list(), 0, "/probability", json!(null)).to_vec(), "no probability came for question 1"),
        (with(list(), 0, "/probability", json!("0.5")).to_vec(), "no probability"),
        (with(list(), 1, "/probabilities", json!([])).to_vec(), "0 probabilities came for 2 choices"),
        (with(list(), 1, "/probabilities/0/value", json!("Keys")).to_vec(), "no probability came for `keys` of question 2"),
        // A choice of true is not the choice of "true".
        (with(list(), 1, "/probabilities/1/value", json!(true)).to_vec(), "no probability came for `价格`"),
        (with(list(), 1, "/probabilities/0/probability", json!(0.9)).to_vec(), "come to 1.4"),
        (with(list(), 2, "/score", json!(7)).to_vec(), "its scale ends at 2"),
        (with(list(), 2, "/score", json!({})).to_vec(), "no score came"),
    ] {
        refused(openai, in_a_list(&answers), words).await;
    }
    refused(openai, by_names(&names()), "answers of TypeSafe's System One").await;
}

#[tokio::test]
async fn wrong_names_decide_nothing() {
    let typesafe = ProviderKind::TypeSafe;
    assert_eq!(after(typesafe, by_names(&names())).await.0.unwrap().len(), 3);
    let [a, b, c] = names();
    for (answers, words) in [
        (vec![a.clone(), b.clone()], "2 answers came for 3 questions"),
        (vec![a.clone(), b.clone(), c.clone(), c.clone()], "4 answers came for 3 questions"),
        (vec![b.clone(), a.clone(), c.clone()], "of another type"),
        (vec![list()[0].clone(), b.clone(), c.clone()], "OpenAI's Decisions"),
        (with(names(), 0, "/noul", json!(1.5)).to_vec(), "is 1.5"),
        (with(names(), 0, "/noul", json!(null)).to_vec(), "no probability came"),
        (with(names(), 1, "/probabilities", json!({"keys": 1.0})).to_vec(), "1 probabilities came for 2 choices"),
        (with(names(), 1, "/probabilities", json!({"keys": 0.5, "other": 0.5})).to_vec(), "no probability came for `价格`"),
        (with(names(), 1, "/probabilities/keys", json!(0.0)).to_vec(), "come to 0.5"),
        (with(names(), 2, "/score", json!(-1)).to_vec(), "is -1"),
    ] {
        refused(typesafe, by_names(&answers), words).await;
    }
    refused(typesafe, in_a_list(&list()), "answers of OpenAI's Decisions").await;
    let strangers = json!({"q1": a, "q2": b, "q9": c});
    refused(typesafe, Reply::json(&json!({"answers": strangers})), "no answer came for the question `q3`").await;
}

#[tokio::test]
async fn what_is_no_answer_at_all_decides_nothing() {
    for kind in [ProviderKind::OpenAi, ProviderKind::TypeSafe] {
        // As where nothing is: the other contract may be at the other path.
        let (page, requests) = after(kind, Reply::raw(200, "text/html", "<html>a captive portal</html>")).await;
        let error = page.unwrap_err();
        assert!(error.kind == ErrorKind::NotFound && error.message.contains("answers with a web page"), "{error:?}");
        assert!(requests <= 2, "{requests}");
        refused(kind, Reply::raw(200, "application/json", "{\"answers\": [NaN]}"), "cannot read").await;
        refused(kind, Reply::json(&json!({})), "there are no `answers`").await;
        refused(kind, Reply::json(&json!({"answers": "yes"})), "there are no `answers`").await;
        let long = format!("{{\"answers\": [], \"x\": \"{}\"}}", "x".repeat(9 << 20));
        refused(kind, Reply::raw(200, "application/json", long), "bytes").await;
    }
    // What is only told besides does no harm.
    let odd = json!({"model": null, "answers": list(), "usage": {"input_tokens": "many", "output_tokens": -1}, "x": 1});
    assert_eq!(after(ProviderKind::OpenAi, Reply::json(&odd)).await.0.unwrap().len(), 3);
}
