//! What it takes to put a question, before anything is found: to make a follow-up stand alone, and to embed it. It is in the cost.

use std::sync::Arc;

use async_trait::async_trait;
use futures_util::StreamExt;
use ragstream::answer::RetrieveMode;
use ragstream::answer::{
    AnswerEvent, AnswerSummary, Answerer, Ensemble, EnsembleEvent, Exchange, ModelChoice, Models, Question,
};
use ragstream::providers::{
    ChatEvent, ChatModel, ChatRequest, ChatStream, Embedded, Embedder, ErrorKind, InputType, Price, ProviderError, StopReason,
    Usage,
};
use serde_json::json;

use super::doubles::{Store, plan, retriever, two_hits};

/// Rewrites and answers, each at a price.
#[derive(Debug, Default)]
struct Writer {
    /// So rewriting ends.
    fails: Option<ErrorKind>,
}

#[async_trait]
impl ChatModel for Writer {
    fn model(&self) -> &'static str {
        "double/writer"
    }
    fn price(&self) -> Option<Price> {
        Some(Price::chat(2.0, 10.0))
    }
    async fn chat(&self, request: ChatRequest) -> Result<ChatStream, ProviderError> {
        let (said, usage) = if request.system.starts_with("You rewrite") {
            if let Some(kind) = self.fails {
                return Err(ProviderError::new("double", kind, "no"));
            }
            ("How often are keys rotated?", Usage::new(Some(70_000), Some(500)))
        } else {
            ("Monthly [1].", Usage::new(Some(1000), Some(100)))
        };
        let events = [ChatEvent::Text(said.into()), ChatEvent::Done { stop: StopReason::End, usage }];
        Ok(futures_util::stream::iter(events.map(Ok)).boxed())
    }
}

/// Takes a cent a question.
#[derive(Debug)]
struct Cent;

#[async_trait]
impl Embedder for Cent {
    fn model(&self) -> &'static str {
        "double/cent"
    }
    fn price(&self) -> Option<Price> {
        Some(Price::embedding(10.0))
    }
    async fn dimensions(&self) -> Result<usize, ProviderError> {
        Ok(2)
    }
    async fn embed(&self, inputs: &[String], _: InputType) -> Result<Embedded, ProviderError> {
        let mut embedded = Embedded::new(vec![vec![1.0, 0.0]; inputs.len()]);
        embedded.tokens = Some(1000);
        Ok(embedded)
    }
}

fn over(hits: bool, writer: &Arc<Writer>) -> Answerer {
    let store = Store { hits: if hits { two_hits() } else { Vec::new() }, ..Store::default() };
    let (mut retriever, _) = retriever(store, None);
    retriever.embedder = Some(Arc::new(Cent));
    Answerer::new(retriever, plan(RetrieveMode::Dense)).with_models(Models::own(Arc::clone(writer) as _, Vec::new()))
}

fn follow_up(answer: &str) -> Question {
    let history = vec![Exchange { question: "What about keys?".into(), answer: answer.into() }];
    Question { history: Some(history), ..Question::from("and how often?") }
}

async fn end(answerer: &Answerer, question: Question) -> (AnswerSummary, serde_json::Value) {
    let event = answerer.ask(question).map(Result::unwrap).collect::<Vec<_>>().await.pop().unwrap();
    let line = json!(event.line().unwrap());
    let AnswerEvent::Done(summary) = event else { panic!("{event:?}") };
    (summary, line)
}

/// In thousandths of a cent.
fn cost(usd: Option<f64>) -> Option<u64> {
    usd.map(|usd| (usd * 1e5).round() as u64)
}

const REWRITE: u64 = 14_500;
const ANSWER: u64 = 300;
const EMBEDDING: u64 = 1000;

#[tokio::test]
async fn what_a_follow_up_takes_is_in_the_cost() {
    let writer = Arc::new(Writer::default());
    let answerer = over(true, &writer);
    let (first, line) = end(&answerer, follow_up("They are rotated [1].")).await;
    assert_eq!(cost(first.cost_usd), Some(REWRITE + ANSWER + EMBEDDING));
    assert_eq!(first.usage, Usage::new(Some(1000), Some(100)), "the answer's own");
    assert!(first.void.is_empty() && first.cost_unknown().is_empty(), "{first:?}");
    let asking: Vec<_> = first.asking.iter().map(|one| (one.model.as_str(), cost(one.cost_usd))).collect();
    assert_eq!(asking, [("double/writer", Some(REWRITE)), ("double/cent", Some(EMBEDDING))]);
    assert_eq!(line["asking"][0]["usage"], json!({"input_tokens": 70_000, "output_tokens": 500}), "{line}");

    // The same question is embedded no more; one that stands alone is not rewritten.
    let (again, _) = end(&answerer, follow_up("They are rotated [1].")).await;
    assert_eq!(cost(again.cost_usd), Some(REWRITE + ANSWER));
    let (alone, line) = end(&answerer, "How often are keys rotated?".into()).await;
    assert_eq!((cost(alone.cost_usd), line.get("asking")), (Some(ANSWER), None), "{line}");
}

#[tokio::test]
async fn it_is_paid_for_whatever_comes_of_it() {
    let writer = Arc::new(Writer::default());
    let (nothing, _) = end(&over(false, &writer), follow_up("They are rotated [1].")).await;
    assert_eq!(cost(nothing.cost_usd), Some(REWRITE + EMBEDDING), "nothing was found");

    let ensemble = Ensemble { models: vec![ModelChoice::Own(Arc::clone(&writer) as _)], ..Ensemble::default() };
    let events: Vec<_> = over(true, &writer).ask_all(follow_up("Yes."), ensemble).map(Result::unwrap).collect().await;
    let Some(EnsembleEvent::Done(summary)) = events.last() else { panic!("{events:?}") };
    let (usage, usd) = summary.spent();
    assert_eq!((usage.input_tokens, cost(usd)), (Some(72_000), Some(REWRITE + ANSWER + EMBEDDING)));

    for (kind, unknown) in [(ErrorKind::BadAnswer, &["double/writer"][..]), (ErrorKind::Auth, &[])] {
        let writer = Arc::new(Writer { fails: Some(kind) });
        let (failed, _) = end(&over(true, &writer), follow_up("Yes.")).await;
        assert_eq!((cost(failed.cost_usd), failed.cost_unknown()), (Some(ANSWER + EMBEDDING), unknown.to_vec()), "{kind:?}");
    }
}
