//! What a question says for itself: who answers it, what it goes on from, how many passages it wants.

use std::num::NonZeroUsize;
use std::sync::Arc;

use futures_util::StreamExt;
use ragstream::answer::{AnswerEvent, AnswerOutcome, Answerer, Ensemble, EnsembleEvent, Exchange, ModelChoice, Question};
use ragstream::answer::{Models, RetrieveMode};
use ragstream::providers::{ChatModel, ErrorKind, ModelRef, ProviderError, StopReason};

use super::doubles::{Chat, Embed, Store, answerer, chat, done, retriever, text, two_hits};

fn says(said: &str) -> Arc<Chat> {
    chat(vec![text(said), done(StopReason::End)])
}

fn over(models: &[&Arc<Chat>]) -> (Answerer, Arc<Store>) {
    let (retriever, store) = retriever(Store { hits: two_hits(), ..Store::default() }, Some(Embed::new(1)));
    let models = models.iter().map(|model| Arc::clone(model) as Arc<dyn ChatModel>).collect();
    (answerer(retriever, RetrieveMode::Dense, models), store)
}

fn own(model: &Arc<Chat>) -> ModelChoice {
    ModelChoice::Own(Arc::clone(model) as Arc<dyn ChatModel>)
}

async fn asked(answerer: &Answerer, question: Question) -> Vec<AnswerEvent> {
    answerer.ask(question).map(|event| event.unwrap()).collect().await
}

fn answer_of(events: &[AnswerEvent]) -> String {
    events.iter().map(AnswerEvent::text).collect()
}

#[tokio::test(start_paused = true)]
async fn a_question_may_name_its_own_model_or_none() {
    let (planned, other) = (says("planned"), says("other"));
    let (answerer, store) = over(&[&planned]);
    let events = asked(&answerer, Question { model: own(&other), ..Question::from("keys?") }).await;
    assert_eq!((answer_of(&events).as_str(), planned.asked.lock().unwrap().len()), ("other", 0));

    let limit = NonZeroUsize::new(2);
    let events = asked(&answerer, Question { model: ModelChoice::Passages, limit, ..Question::from("keys?") }).await;
    let Some(AnswerEvent::Done(summary)) = events.last() else { panic!("{events:?}") };
    assert_eq!((summary.outcome, &summary.citations[..]), (AnswerOutcome::Passages, &[1, 2][..]));
    assert_eq!(store.asked.lock().unwrap().iter().map(|(_, limit)| *limit).collect::<Vec<_>>(), [32, 8], "four for each");
    assert_eq!(answer_of(&asked(&answerer, "keys?".into()).await), "planned");
}

#[tokio::test(start_paused = true)]
async fn a_name_means_nothing_without_providers() {
    let (answerer, store) = over(&[]);
    let named = ModelChoice::Named(ModelRef { provider: "openai".into(), model: "gpt".into() });
    let mut events = answerer.ask(Question { model: named.clone(), ..Question::from("keys?") });
    let error = events.next().await.unwrap().unwrap_err();
    assert_eq!(error.downcast_ref::<ProviderError>().unwrap().kind, ErrorKind::NotFound);
    assert!(store.asked.lock().unwrap().is_empty(), "it is said before anything is looked for");

    // Among several it is one's own failure.
    let works = says("works");
    let ensemble = Ensemble { models: vec![named, own(&works)], ..Ensemble::default() };
    let events: Vec<_> = answerer.ask_all("keys?".into(), ensemble).map(|event| event.unwrap()).collect().await;
    assert!(events.iter().any(|event| matches!(event, EnsembleEvent::Failed { member, .. } if &*member.model == "openai/gpt")));
    let Some(EnsembleEvent::Done(summary)) = events.last() else { panic!("{events:?}") };
    assert!(summary.models[1].1.answer().is_some(), "{summary:?}");
}

#[tokio::test(start_paused = true)]
async fn a_follow_up_is_searched_for_as_it_stands_alone() {
    let model = says("How often are keys rotated?");
    let (answerer, store) = over(&[&model]);
    let exchange = |question: &str, answer: &str| Exchange { question: question.into(), answer: answer.into() };
    let history = vec![exchange("What about keys?", "They are rotated [1].")];
    let answers = says("Monthly [1].");
    let how = Question { history: Some(history), fallback: Some(Vec::new()), ..Question::from("and how often?") };
    // The double answers once, which is the rewriting; another has the last word.
    let question = Question { model: own(&model), fallback: Some(vec![own(&answers)]), ..how.clone() };
    let mut events = answerer.ask(question);
    let search = Some("How often are keys rotated?".to_owned());
    assert_eq!(events.next().await.unwrap().unwrap(), AnswerEvent::Question { text: how.text.clone(), search });
    assert!(store.asked.lock().unwrap().is_empty(), "it is told before the search");
    assert!(matches!(events.next().await, Some(Ok(AnswerEvent::Sources { .. }))));
    drop(events);

    let first = Question { history: Some(Vec::new()), model: ModelChoice::Passages, ..Question::from("keys?") };
    let first = asked(&answerer, first).await;
    assert_eq!(first[0], AnswerEvent::Question { text: "keys?".into(), search: None }, "a first question stands alone");
    let alone = asked(&answerer, Question { model: ModelChoice::Passages, ..Question::from("keys?") }).await;
    assert!(matches!(alone[0], AnswerEvent::Sources { .. }), "no conversation");
}

#[tokio::test(start_paused = true)]
async fn the_index_is_let_go_while_the_model_writes_where_that_is_asked_for() {
    let model = chat(vec![(60, text("slow").1), done(StopReason::End)]);
    let (answerer, store) = over(&[&model]);
    let mut events = answerer.clone().releasing_the_index().ask("keys?".into());
    assert!(matches!(events.next().await, Some(Ok(AnswerEvent::Sources { .. }))));
    tokio::task::yield_now().await;
    assert_eq!(store.released(), 1, "before the model has said anything");
    drop(events);

    let (answerer, store) = over(&[]);
    asked(&answerer, "keys?".into()).await;
    assert_eq!(store.released(), 0, "who asks many questions keeps it open");
    answerer.release().await;
    assert_eq!(store.released(), 1);
}

#[tokio::test]
async fn a_line_up_names_each_model_once() {
    let (answerer, _) = over(&[]);
    let model = |name: &'static str| Arc::new(Named(name)) as Arc<dyn ChatModel>;
    let models = Models::own(model("p/a"), vec![model("p/b"), model("p/a"), model("p/c")]);
    let answerer = answerer.with_models(models);
    let names = async |question: &Question| {
        let models = answerer.models(question).await.unwrap();
        models.iter().map(|model| model.model().to_owned()).collect::<Vec<_>>()
    };
    assert_eq!(names(&Question::default()).await, ["p/a", "p/b", "p/c"]);
    let other = Question { model: model("p/b").into(), ..Question::default() };
    assert_eq!(names(&other).await, ["p/b", "p/a", "p/c"]);
    let alone = Question { fallback: Some(Vec::new()), ..Question::default() };
    assert_eq!(names(&alone).await, ["p/a"]);
    let nobody = Question { model: ModelChoice::Passages, ..Question::default() };
    assert!(names(&nobody).await.is_empty());
}

#[derive(Debug)]
struct Named(&'static str);

#[async_trait::async_trait]
impl ChatModel for Named {
    fn model(&self) -> &'static str {
        self.0
    }
    async fn chat(&self, _: ragstream::providers::ChatRequest) -> Result<ragstream::providers::ChatStream, ProviderError> {
        unreachable!()
    }
}
