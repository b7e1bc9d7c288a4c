//! Several models: those that stand by, and those that are asked at once. Doubles under a paused clock, then the real program
//! with stand-ins of several providers.

mod ensemble;
pub mod program;

use std::collections::VecDeque;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use async_trait::async_trait;
use futures_util::StreamExt;
use proptest::prelude::*;
use ragstream::answer::{AnswerEvent, Answerer, RetrieveMode};
use ragstream::error::Error;
use ragstream::providers::{ChatEvent, ChatModel, ChatRequest, ChatStream, ErrorKind, Price, ProviderError, StopReason};
use tokio::time::Instant;

use crate::answer::doubles::{Embed, Script, Store, answerer, done, retriever, text, two_hits};

/// A model that plays a script for each request, and notices when nobody listens any more.
#[derive(Debug)]
struct Model {
    name: &'static str,
    replies: Mutex<VecDeque<Result<Script, ProviderError>>>,
    asked: Mutex<Vec<ChatRequest>>,
    /// Its answer was dropped before its end.
    cancelled: Arc<AtomicBool>,
}

struct OnDrop(Arc<AtomicBool>);

impl Drop for OnDrop {
    fn drop(&mut self) {
        self.0.store(true, Ordering::SeqCst);
    }
}

#[async_trait]
impl ChatModel for Model {
    fn model(&self) -> &'static str {
        self.name
    }
    fn price(&self) -> Option<Price> {
        Some(Price::chat(1.0, 10.0))
    }
    async fn chat(&self, request: ChatRequest) -> Result<ChatStream, ProviderError> {
        self.asked.lock().unwrap().push(request);
        let script = self.replies.lock().unwrap().pop_front().unwrap_or_else(|| panic!("{} is asked too often", self.name))?;
        let listening = OnDrop(Arc::clone(&self.cancelled));
        Ok(futures_util::stream::iter(script)
            .then(move |(seconds, event)| {
                let _ = &listening;
                async move {
                    tokio::time::sleep(Duration::from_secs(seconds)).await;
                    event
                }
            })
            .boxed())
    }
}

impl Model {
    fn times_asked(&self) -> usize {
        self.asked.lock().unwrap().len()
    }

    /// What it was asked last.
    fn last(&self) -> ChatRequest {
        self.asked.lock().unwrap().last().cloned().unwrap()
    }
}

fn model(name: &'static str, replies: Vec<Result<Script, ProviderError>>) -> Arc<Model> {
    Arc::new(Model { name, replies: Mutex::new(replies.into()), asked: Mutex::default(), cancelled: Arc::default() })
}

fn after(seconds: u64, said: &str) -> (u64, Result<ChatEvent, ProviderError>) {
    (seconds, Ok(ChatEvent::Text(said.into())))
}

/// An answer that begins after so many seconds.
#[allow(clippy::unnecessary_wraps, reason = "one of several replies")]
fn says(seconds: u64, said: &str) -> Result<Script, ProviderError> {
    Ok(vec![after(seconds, said), done(StopReason::End)])
}

fn error(kind: ErrorKind) -> ProviderError {
    ProviderError::new("p", kind, "out of order")
}

#[allow(clippy::unnecessary_wraps, reason = "one of several replies")]
fn breaks(said: &str) -> Result<Script, ProviderError> {
    Ok(vec![after(1, said), (1, Err(error(ErrorKind::Network)))])
}

const QUESTION: &str = "How are keys rotated?";

fn over(models: &[Arc<Model>]) -> Answerer {
    let (retriever, _) = retriever(Store { hits: two_hits(), ..Store::default() }, Some(Embed::new(1)));
    let models = models.iter().map(|model| Arc::clone(model) as Arc<dyn ChatModel>);
    answerer(retriever, RetrieveMode::Hybrid, models.collect())
}

async fn answered(models: &[Arc<Model>]) -> Vec<Result<AnswerEvent, Error>> {
    over(models).ask(QUESTION.into()).collect().await
}

/// The text after the last interruption.
fn valid_text(events: &[Result<AnswerEvent, Error>]) -> String {
    let mut text = String::new();
    for event in events {
        match event {
            Ok(AnswerEvent::Token(more) | AnswerEvent::Citation { text: more, .. }) => text.push_str(more),
            Ok(AnswerEvent::Fallback { interrupted, .. }) => {
                assert_eq!(*interrupted, !text.is_empty(), "interrupted is what had begun");
                text.clear();
            }
            _ => {}
        }
    }
    text
}

fn fallbacks(events: &[Result<AnswerEvent, Error>]) -> Vec<(&str, &str, bool)> {
    let taken = events.iter().filter_map(|event| match event {
        Ok(AnswerEvent::Fallback { from, to, interrupted, .. }) => Some((from.as_str(), to.as_str(), *interrupted)),
        _ => None,
    });
    taken.collect()
}

fn by(events: &[Result<AnswerEvent, Error>]) -> Option<String> {
    match events.last() {
        Some(Ok(AnswerEvent::Done(summary))) => summary.model.clone(),
        _ => None,
    }
}

#[tokio::test(start_paused = true)]
async fn the_next_takes_over_from_a_model_that_refuses() {
    let models =
        [model("p/a", vec![Err(error(ErrorKind::Auth))]), model("p/b", vec![says(1, "Monthly [1].")]), model("p/c", vec![])];
    let events = answered(&models).await;
    assert_eq!(fallbacks(&events), [("p/a", "p/b", false)]);
    assert_eq!((valid_text(&events).as_str(), by(&events).as_deref()), ("Monthly [1].", Some("p/b")));
    assert_eq!(models[2].times_asked(), 0, "who is not needed is not asked");
}

#[tokio::test(start_paused = true)]
async fn an_answer_that_breaks_off_is_begun_anew_and_never_spliced() {
    let models = [model("p/a", vec![breaks("Every ye")]), model("p/b", vec![says(1, "Every month [2].")])];
    let events = answered(&models).await;
    assert_eq!(fallbacks(&events), [("p/a", "p/b", true)]);
    assert_eq!(valid_text(&events), "Every month [2].");
    let Some(Ok(AnswerEvent::Done(summary))) = events.last() else { panic!("{events:?}") };
    assert_eq!(summary.citations, [2]);
    assert_eq!(models[0].last(), models[1].last(), "the same sources, the same question");
}

#[tokio::test(start_paused = true)]
async fn a_silent_model_is_left_after_the_users_patience() {
    let models = [model("p/a", vec![says(3600, "late")]), model("p/b", vec![says(1, "in time")])];
    let started = Instant::now();
    let events = answered(&models).await;
    assert_eq!(started.elapsed(), Duration::from_secs(31));
    assert_eq!((fallbacks(&events), valid_text(&events).as_str()), (vec![("p/a", "p/b", false)], "in time"));
    assert!(models[0].cancelled.load(Ordering::SeqCst), "and cancelled upstream");

    // A model that thinks aloud is not silent.
    let thinks = vec![(20, Ok(ChatEvent::Reasoning("hm".into()))), after(40, "thought"), done(StopReason::End)];
    let models = [model("p/a", vec![Ok(thinks)]), model("p/b", vec![])];
    assert_eq!(valid_text(&answered(&models).await), "thought");
    // The last one has as long as its provider.
    let events = answered(&[model("p/a", vec![says(3600, "late")])]).await;
    assert_eq!(valid_text(&events), "late");
}

#[tokio::test(start_paused = true)]
async fn an_empty_answer_is_none_and_a_cut_one_is_one() {
    let filtered = vec![(1, done(StopReason::Refused).1)];
    let models = [model("p/a", vec![Ok(filtered)]), model("p/b", vec![says(1, "ok")])];
    let events = answered(&models).await;
    assert_eq!(fallbacks(&events), [("p/a", "p/b", false)]);
    let cut = vec![text("So far"), done(StopReason::Refused)];
    let models = [model("p/a", vec![Ok(cut)]), model("p/b", vec![])];
    assert_eq!(valid_text(&answered(&models).await), "So far");
}

#[tokio::test(start_paused = true)]
async fn when_all_fail_the_last_ones_error_is_the_answers() {
    let models = [model("p/a", vec![Err(error(ErrorKind::Auth))]), model("p/b", vec![breaks("begun")])];
    let events = answered(&models).await;
    let Some(Err(last)) = events.last() else { panic!("{events:?}") };
    assert_eq!(last.downcast_ref::<ProviderError>().unwrap().kind, ErrorKind::Network);
}

/// What a model of the property does: words it says, and whether it ends well.
fn behaviour() -> impl Strategy<Value = (Vec<String>, bool)> {
    (prop::collection::vec("[a-z\\[\\]0-9 ]{0,6}", 0..5), any::<bool>())
}

proptest! {
    #[test]
    fn the_answer_is_always_one_models_own(behaviours in prop::collection::vec(behaviour(), 1..5)) {
        let names = ["p/a", "p/b", "p/c", "p/d"];
        let models: Vec<_> = behaviours.iter().zip(names).map(|((words, well), name)| {
            let end = if *well { done(StopReason::End) } else { (0, Err(error(ErrorKind::Network))) };
            let words = words.iter().map(|word| text(word));
            model(name, vec![Ok(words.chain([end]).collect())])
        }).collect();
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().start_paused(true).build().unwrap();
        let events = runtime.block_on(answered(&models));
        let last = behaviours.len() - 1;
        let good = behaviours.iter().enumerate().position(|(n, (words, well))| *well && (n == last || !words.concat().is_empty()));
        match good {
            Some(n) => {
                prop_assert_eq!(by(&events), Some(names[n].to_owned()));
                prop_assert_eq!(valid_text(&events), behaviours[n].0.concat());
            }
            None => prop_assert!(matches!(events.last(), Some(Err(_)))),
        }
    }
}

#[tokio::test(start_paused = true)]
async fn what_a_model_took_that_said_nothing_is_in_the_cost() {
    let cost = async |models: &[Arc<Model>]| {
        let events = answered(models).await;
        let Some(Ok(AnswerEvent::Done(summary))) = events.last() else { panic!("{events:?}") };
        let unknown: Vec<String> = summary.cost_unknown().into_iter().map(str::to_owned).collect();
        (summary.cost_usd.map(|cost| (cost * 1e6).round() as u64), unknown, summary.usage.input_tokens)
    };
    let then = || model("p/b", vec![says(1, "Each month [1].")]);
    // 120 tokens read, 9 written: 210 microdollars a reply.
    let none: Vec<String> = Vec::new();
    assert_eq!(cost(&[model("p/a", vec![says(1, "")]), then()]).await, (Some(420), none.clone(), Some(120)));
    assert_eq!(cost(&[model("p/a", vec![Err(error(ErrorKind::Unavailable))]), then()]).await, (Some(210), none, Some(120)));
    for spoilt in [breaks("Half an"), Err(error(ErrorKind::Timeout)), says(100_000, "late")] {
        let (known, unknown, _) = cost(&[model("p/a", vec![spoilt]), then()]).await;
        assert_eq!((known, unknown), (Some(210), vec!["p/a".to_owned()]));
    }
}
