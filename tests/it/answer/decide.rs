//! A decision model beside an answer: it sharpens the check of citations, within a deadline, and never stands in the way.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use async_trait::async_trait;
use futures_util::StreamExt as _;
use ragstream::answer::{AnswerEvent, AnswerabilityPlan, Answerer, Deciding, Models, QueryPlan, Question, RetrieveMode};
use ragstream::providers::{
    Ask, ChatEvent, ChatModel, ChatRequest, ChatStream, Decider, Decision, DecisionRequest, Decisions, ErrorKind, Price,
    ProviderError, StopReason, Usage,
};
use serde_json::{Value, json};
use tokio::time::Instant;

use super::doubles::{Chat, Embed, Store, answerer, chat, done, plan, retriever, text, two_hits};
use super::{answer_of, asked, lines};

/// Says for each sentence what its words are found in: "yes" is supported, "no" contradicted, "so" not said, and anything else open.
#[derive(Debug, Default)]
struct Judge {
    takes: Duration,
    fails: Option<ErrorKind>,
    /// Tokens that a failure took, as was told.
    used: Option<u64>,
    /// The first bill is not told.
    untold: bool,
    /// The probability that passages hold an answer.
    holds: f64,
    asked: Mutex<Vec<DecisionRequest>>,
}

#[async_trait]
impl Decider for Judge {
    fn model(&self) -> &'static str {
        "double/judge"
    }
    fn price(&self) -> Option<Price> {
        Some(Price::embedding(0.1))
    }
    async fn decide(&self, request: &DecisionRequest) -> Result<Decisions, ProviderError> {
        let nth = {
            let mut asked = self.asked.lock().unwrap();
            asked.push(request.clone());
            asked.len()
        };
        tokio::time::sleep(self.takes).await;
        if let Some(kind) = self.fails {
            let error = ProviderError::new("double", kind, "will not decide");
            return Err(match self.used {
                Some(used) => error.having_used(Usage::new(Some(used), Some(0))),
                None => error,
            });
        }
        let sentence = request.state["sentence"].as_str().unwrap_or_default();
        let answer = match request.questions[0].ask {
            Ask::Predicate => Decision::Predicate(self.holds),
            _ if sentence.contains("yes") => Decision::Choice(vec![0.95, 0.03, 0.02]),
            _ if sentence.contains("no") => Decision::Choice(vec![0.02, 0.9, 0.08]),
            _ if sentence.contains("so") => Decision::Choice(vec![0.02, 0.08, 0.9]),
            _ => Decision::Choice(vec![0.6, 0.2, 0.2]),
        };
        let mut decisions = Decisions::new(vec![answer]);
        let told = Usage::new(Some(1000), Some(0));
        decisions.usage = if self.untold && nth == 1 { Usage::default() } else { told };
        Ok(decisions)
    }
}

/// The same model, at a price.
#[derive(Debug)]
struct Priced(Arc<Chat>);

#[async_trait]
impl ChatModel for Priced {
    fn model(&self) -> &str {
        self.0.model()
    }
    fn price(&self) -> Option<Price> {
        Some(Price::chat(1.0, 10.0))
    }
    async fn chat(&self, request: ChatRequest) -> Result<ChatStream, ProviderError> {
        self.0.chat(request).await
    }
}

/// Answers with these pieces after two seconds, sharpened by this judge.
fn over(pieces: &[&str], judge: Option<&Arc<Judge>>) -> Answerer {
    let script = pieces.iter().map(|piece| (0, Ok(ChatEvent::Text((*piece).to_owned()))));
    let model = Arc::new(Priced(chat(script.chain([done(StopReason::End)]).collect())));
    let (retriever, _) = retriever(Store { hits: two_hits(), ..Store::default() }, Some(Embed::new(1)));
    let models = Models::own(model, Vec::new());
    let models = match judge {
        Some(judge) => models.with_decider(Arc::clone(judge) as _, Duration::from_secs(2)),
        None => models,
    };
    // It is asked about sentences alone.
    let plan = QueryPlan { answerability: AnswerabilityPlan::Off, ..plan(RetrieveMode::Dense) };
    Answerer::new(retriever, plan).with_models(models)
}

fn doubts(lines: &[Value]) -> Vec<(String, String)> {
    let done = lines.last().unwrap();
    assert_eq!(done["type"], "done", "{lines:?}");
    let doubts = done["doubts"].as_array().into_iter().flatten();
    doubts.map(|doubt| (doubt["kind"].as_str().unwrap().to_owned(), doubt["said"].as_str().unwrap().to_owned())).collect()
}

#[tokio::test(start_paused = true)]
async fn a_decision_takes_doubts_away_and_adds_some() {
    let answer = [
        "They are rotated every 90 days, yes [1]. ",
        "They are rotated every 90 weeks [1]. ",
        "Keys are lost, no [1]. ",
        "密钥 so 每月轮换 [2]. ",
        "It says “rotate all doors”, yes [1].",
    ];
    let without = lines(asked(&over(&answer, None))).await;
    let told = doubts(&without);
    assert_eq!(told.iter().filter(|(kind, _)| kind == "number").count(), 2, "{told:?}");
    assert!(told.iter().any(|(kind, _)| kind == "quote"), "{told:?}");

    let judge = Arc::new(Judge::default());
    let with = lines(asked(&over(&answer, Some(&judge)))).await;
    assert_eq!(answer_of(&with), answer_of(&without), "the answer is the same, in the same order");
    let told = doubts(&with);
    let kinds: Vec<&str> = told.iter().map(|(kind, _)| kind.as_str()).collect();
    // What is looked up exactly stays, whatever it says.
    assert_eq!(kinds, ["number", "number", "negation", "support", "quote"], "{told:?}");
    assert!(told[1].1.contains("90") && told[2].1 == "Keys are lost, no" && told[3].1.contains("每月轮换"), "{told:?}");

    // What it is asked: the very sentence, and the very sources that it cites.
    let asked = judge.asked.lock().unwrap();
    assert_eq!(asked.len(), 5);
    // Several are asked at once, in whatever order their sentences are read.
    let about = |words: &str| asked.iter().find(|request| request.state["sentence"].as_str().unwrap().contains(words)).unwrap();
    assert_eq!(about("每月轮换").state["passages"], json!({"01": "密钥每月轮换。"}));
    assert!(asked.iter().all(|request| !request.questions[0].instructions.contains("密钥")), "texts are data");
    let done = with.last().unwrap();
    let cost = 5.0 * 1000.0 * 0.1 / 1e6;
    let decided = &done["decided"][0];
    assert_eq!(
        (&decided["model"], &decided["asked"], &decided["input_tokens"]),
        (&json!("double/judge"), &json!(5), &json!(5000))
    );
    assert!((decided["cost_usd"].as_f64().unwrap() - cost).abs() < 1e-12, "{done}");
    assert_eq!(without.last().unwrap().get("decided"), None);
}

/// Numbers and dates are no matter of opinion.
#[tokio::test(start_paused = true)]
async fn a_decision_clears_nothing_that_is_looked_up_exactly() {
    let answer = ["Keys are rotated in 1871, yes [1]. ", "They are rotated by 99,999 people, yes [1]. "];
    let without = doubts(&lines(asked(&over(&answer, None))).await);
    let with = doubts(&lines(asked(&over(&answer, Some(&Arc::new(Judge::default()))))).await);
    assert!(["1871", "99,999"].iter().all(|wrong| without.iter().any(|(_, said)| said.contains(wrong))), "{without:?}");
    assert_eq!(with, without);
}

#[tokio::test(start_paused = true)]
async fn a_late_or_failed_decision_leaves_what_was_said_without_it() {
    let answer = ["They are rotated every 90 days, yes [1]. ", "And that is all."];
    let expected = doubts(&lines(asked(&over(&answer, None))).await);
    assert_eq!(expected.len(), 1);
    let hangs = Judge { takes: Duration::from_hours(1), ..Judge::default() };
    let fails = |kind| Judge { fails: Some(kind), ..Judge::default() };
    for judge in [hangs, fails(ErrorKind::Auth), fails(ErrorKind::Timeout), fails(ErrorKind::BadAnswer)] {
        let started = Instant::now();
        let told = lines(asked(&over(&answer, Some(&Arc::new(judge))))).await;
        assert_eq!((doubts(&told), answer_of(&told)), (expected.clone(), answer.concat()));
        assert!(started.elapsed() <= Duration::from_secs(4), "{:?}", started.elapsed());
        assert_eq!(told.last().unwrap().get("decided"), None, "nothing was decided");
    }
}

/// A decision costs 100 microdollars.
#[tokio::test(start_paused = true)]
async fn what_decisions_took_is_in_the_cost_or_it_is_said_that_it_is_not() {
    let answer = ["Keys are lost, no [1]. ", "They are rotated, yes [1]. ", "密钥 so 每月轮换 [2]."];
    let cost = async |judge: Option<Judge>| {
        let judge = judge.map(Arc::new);
        let events: Vec<_> = over(&answer, judge.as_ref()).ask("How?".into()).collect().await;
        let Some(Ok(AnswerEvent::Done(summary))) = events.last() else { panic!("{events:?}") };
        let unknown: Vec<String> = summary.cost_unknown().into_iter().map(str::to_owned).collect();
        (summary.cost_usd.map(|cost| (cost * 1e6).round() as u64), unknown)
    };
    let (alone, whole) = cost(None).await;
    let alone = alone.unwrap();
    let (none, judged): (Vec<String>, _) = (Vec::new(), vec!["double/judge".to_owned()]);
    assert_eq!(whole, none);
    let fails = |kind, used| Judge { fails: Some(kind), used, ..Judge::default() };
    for (judge, known, unknown) in [
        (Judge::default(), 300, &none),
        (fails(ErrorKind::BadAnswer, Some(1000)), 300, &none),
        (fails(ErrorKind::BadAnswer, None), 0, &judged),
        (fails(ErrorKind::Auth, None), 0, &none),
        (Judge { takes: Duration::from_hours(1), ..Judge::default() }, 0, &judged),
        // What is known is not lost for what is not.
        (Judge { untold: true, ..Judge::default() }, 200, &judged),
    ] {
        let case = format!("{judge:?}");
        assert_eq!(cost(Some(judge)).await, (Some(alone + known), unknown.clone()), "{case}");
    }
}

/// One second each, ten of them: not ten seconds.
#[tokio::test(start_paused = true)]
async fn sentences_are_decided_side_by_side_while_the_answer_goes_on() {
    let answer: Vec<String> = (0..10).map(|n| format!("Keys are rotated, part {n} [1]. ")).collect();
    let judge = Arc::new(Judge { takes: Duration::from_secs(1), ..Judge::default() });
    let started = Instant::now();
    let answerer = over(&answer.iter().map(String::as_str).collect::<Vec<_>>(), Some(&judge));
    let told = lines(asked(&answerer)).await;
    assert_eq!(answer_of(&told), answer.concat());
    assert_eq!(judge.asked.lock().unwrap().len(), 10);
    assert!(started.elapsed() <= Duration::from_secs(3), "{:?}", started.elapsed());
}

#[tokio::test(start_paused = true)]
async fn whether_passages_hold_the_answer_is_a_probability_or_nothing() {
    let judge = Arc::new(Judge { holds: 0.25, ..Judge::default() });
    let deciding = Deciding::new(Arc::clone(&judge) as _, Duration::from_secs(2));
    assert_eq!(deciding.holds_answer("密钥多久轮换？", &["密钥每月轮换。", "午餐"]).await, Some(0.25));
    assert_eq!(
        judge.asked.lock().unwrap()[0].state,
        json!({"passages": {"01": "密钥每月轮换。", "02": "午餐"}, "question": "密钥多久轮换？"})
    );
    assert_eq!(deciding.spent().map(|spent| (spent.asked, spent.input_tokens)), Some((1, Some(1000))));
    let late = Deciding::new(Arc::new(Judge { takes: Duration::from_secs(3), ..Judge::default() }), Duration::from_secs(2));
    assert_eq!(late.holds_answer("?", &["a"]).await, None);
    assert_eq!(late.spent(), None);
}

#[tokio::test(start_paused = true)]
async fn no_model_is_asked_where_the_passages_surely_do_not_hold_the_answer() {
    const QUESTION: &str = "How are keys rotated?";
    let answered = async |judge: Judge, answerability, anyway| {
        let judge = Arc::new(judge);
        let model = chat(vec![text("Every month, yes [1]."), done(StopReason::End)]);
        let (retriever, _) = retriever(Store { hits: two_hits(), ..Store::default() }, Some(Embed::new(1)));
        let models = Models::own(model, Vec::new()).with_decider(Arc::clone(&judge) as _, Duration::from_secs(2));
        let plan = QueryPlan { answerability, ..plan(RetrieveMode::Dense) };
        let question = Question { anyway, ..QUESTION.into() };
        let told = lines(Answerer::new(retriever, plan).with_models(models).ask(question)).await;
        let asked: Vec<bool> = judge.asked.lock().unwrap().iter().map(|asked| asked.state["question"] == QUESTION).collect();
        (told, asked)
    };
    let judge = |holds| Judge { holds, ..Judge::default() };
    let (told, asked) = answered(judge(0.02), AnswerabilityPlan::Trusted, false).await;
    let done = told.last().unwrap();
    assert_eq!((&done["stop"], &done["answerable"], &done["model"]), (&json!("unanswerable"), &json!(0.02), &Value::Null));
    assert_eq!((asked, &done["decided"][0]["asked"]), (vec![true], &json!(1)));
    assert!(answer_of(&told).starts_with("The documents do not seem to hold the answer"), "{told:?}");
    assert!(told.iter().any(|line| line["type"] == "sources" && !line["sources"].as_array().unwrap().is_empty()));

    // The passages may hold it, or whoever asks wants to know all the same: then the sentence alone is decided, or both.
    let late = Judge { takes: Duration::from_hours(1), ..judge(0.0) };
    for (judge, answerability, anyway, expected) in [
        (judge(0.4), AnswerabilityPlan::Trusted, false, vec![true, false]),
        (judge(0.02), AnswerabilityPlan::Below(0.01), false, vec![true, false]),
        (judge(0.02), AnswerabilityPlan::Trusted, true, vec![false]),
        (judge(0.02), AnswerabilityPlan::Off, false, vec![false]),
        (late, AnswerabilityPlan::Below(1.0), false, vec![true, false]),
    ] {
        let (told, asked) = answered(judge, answerability, anyway).await;
        assert_eq!((answer_of(&told).as_str(), asked), ("Every month, yes [1].", expected));
    }
}

#[tokio::test]
async fn without_a_decision_model_nothing_changes() {
    let (retriever, _) = retriever(Store { hits: two_hits(), ..Store::default() }, Some(Embed::new(1)));
    let model = chat(vec![text("Every month [1]."), done(StopReason::End)]);
    let told = lines(asked(&answerer(retriever, RetrieveMode::Dense, vec![model]))).await;
    assert_eq!(doubts(&told), []);
}
