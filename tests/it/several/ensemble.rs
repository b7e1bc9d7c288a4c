//! Several models at once.

use std::sync::atomic::Ordering;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use async_trait::async_trait;
use futures_util::StreamExt;
use futures_util::stream::BoxStream;
use ragstream::answer::{AnswerEvent, Ensemble, EnsembleEvent, EnsembleMode, EnsembleSummary, ModelChoice, ModelOutcome};
use ragstream::error::Error;
use ragstream::providers::{ChatEvent, ChatModel, ChatRequest, ChatStream, ErrorKind, ProviderError, StopReason};
use tokio::time::Instant;

use super::{Model, QUESTION, after, breaks, error, model, over, says};
use crate::answer::doubles::{done, text};

fn own<M: ChatModel + 'static>(model: &Arc<M>) -> ModelChoice {
    ModelChoice::Own(Arc::clone(model) as Arc<dyn ChatModel>)
}

fn ensemble(models: &[Arc<Model>], mode: EnsembleMode) -> Ensemble {
    Ensemble { models: models.iter().map(own).collect(), mode, judge: None }
}

fn ask_all(ensemble: Ensemble) -> BoxStream<'static, Result<EnsembleEvent, Error>> {
    over(&[]).ask_all(QUESTION.into(), ensemble)
}

async fn joined(ensemble: Ensemble) -> (Vec<EnsembleEvent>, Option<EnsembleSummary>, Option<Error>) {
    let (mut events, mut summary, mut failed) = (Vec::new(), None, None);
    let mut stream = ask_all(ensemble);
    while let Some(event) = stream.next().await {
        match event {
            Ok(EnsembleEvent::Done(done)) => summary = Some(done),
            Ok(event) => events.push(event),
            Err(error) => failed = Some(error),
        }
    }
    (events, summary, failed)
}

/// What one model said.
fn part(events: &[EnsembleEvent], of: usize) -> String {
    let said = events.iter().filter_map(|event| match event {
        EnsembleEvent::Part { member, event: AnswerEvent::Token(text) | AnswerEvent::Citation { text, .. } }
            if member.index == of =>
        {
            Some(text.as_str())
        }
        _ => None,
    });
    said.collect()
}

fn outcomes(summary: &EnsembleSummary) -> Vec<&'static str> {
    let word = |outcome: &ModelOutcome| match outcome {
        ModelOutcome::Answered(_) => "answered",
        ModelOutcome::Failed(_) => "failed",
        ModelOutcome::Cancelled => "cancelled",
        other => panic!("{other:?}"),
    };
    summary.models.iter().map(|(_, outcome)| word(outcome)).collect()
}

#[tokio::test(start_paused = true)]
async fn all_answer_as_they_stream_and_one_failure_takes_nobody_down() {
    let slow = Ok(vec![after(1, "Each "), after(2, "month [1]."), done(StopReason::End)]);
    let models = [
        model("p/a", vec![slow]),
        model("p/b", vec![Ok(vec![after(2, "Monthly [2]."), done(StopReason::End)])]),
        model("p/c", vec![Err(error(ErrorKind::Auth))]),
        model("p/d", vec![breaks("Half an ")]),
    ];
    let started = Instant::now();
    let (events, summary, failed) = joined(ensemble(&models, EnsembleMode::All)).await;
    assert!(failed.is_none());
    assert_eq!(started.elapsed(), Duration::from_secs(3), "at once, not one after the other");
    let summary = summary.unwrap();
    assert_eq!(outcomes(&summary), ["answered", "answered", "failed", "failed"]);
    assert_eq!(
        (part(&events, 0).as_str(), part(&events, 1).as_str(), part(&events, 3).as_str()),
        ("Each month [1].", "Monthly [2].", "Half an ")
    );
    assert_eq!((&summary.citations[..], summary.chosen, summary.ttft), (&[1, 2][..], None, Some(Duration::from_secs(1))));
    let order: Vec<usize> = events
        .iter()
        .filter_map(|event| match event {
            EnsembleEvent::Part { member, event: AnswerEvent::Token(_) } => Some(member.index),
            _ => None,
        })
        .collect();
    assert_eq!(order.iter().filter(|place| **place == 1).count(), 2);
    let (first_of_b, last_of_a) = (order.iter().position(|p| *p == 1), order.iter().rposition(|p| *p == 0));
    assert!(first_of_b < last_of_a, "side by side: {order:?}");
    let asked: Vec<ChatRequest> = models.iter().map(|model| model.last()).collect();
    assert!(asked.iter().all(|request| *request == asked[0]), "the same sources for all");
}

#[tokio::test(start_paused = true)]
async fn only_when_all_fail_is_it_an_error_and_all_are_named() {
    let models =
        [model("p/a", vec![Err(ProviderError::new("p", ErrorKind::Auth, "wrong key"))]), model("p/b", vec![breaks("x")])];
    let (events, summary, failed) = joined(ensemble(&models, EnsembleMode::All)).await;
    assert!(summary.is_none());
    assert_eq!(events.iter().filter(|event| matches!(event, EnsembleEvent::Failed { .. })).count(), 2);
    let failed = failed.unwrap();
    assert_eq!(failed.to_string(), "no model answered: p/a: wrong key; p/b: out of order");
    assert_eq!(failed.code(), "unavailable", "they do not agree");
    let wrong_key = || vec![Err(ProviderError::new("p", ErrorKind::Auth, "wrong key"))];
    let models = [model("p/a", wrong_key()), model("p/b", wrong_key())];
    let (_, _, failed) = joined(ensemble(&models, EnsembleMode::Best)).await;
    assert_eq!(failed.unwrap().code(), "auth", "all are of that kind");
}

/// What each reply of a double costs: 120 tokens read, 9 written.
const REPLY: f64 = 210e-6;

fn microdollars(cost: Option<f64>) -> Option<u64> {
    cost.map(|cost| (cost * 1e6).round() as u64)
}

#[tokio::test(start_paused = true)]
async fn what_was_paid_for_no_verdict_counts() {
    let vain = || says(1, "None is good, sorry.");
    let one = |name, answer, then| model(name, vec![says(1, answer), then]);
    let paid = async |models: &[Arc<Model>], mode| {
        let summary = joined(ensemble(models, mode)).await.1.unwrap();
        let unknown: Vec<String> = summary.cost_unknown().into_iter().map(str::to_owned).collect();
        (microdollars(summary.spent().1), microdollars(Some(summary.spent_at_least())), unknown, summary.spent().0.input_tokens)
    };
    let whole = |replies: u64| {
        let sum = microdollars(Some(REPLY * replies as f64));
        (sum, sum, Vec::<String>::new(), Some(120 * replies))
    };
    let models = [one("p/a", "Alpha", vain()), one("p/b", "Beta", vain())];
    assert_eq!(paid(&models, EnsembleMode::Best).await, whole(4), "two answers, two judges that name none");
    let models = ["p/a", "p/b", "p/c"].map(|name| model(name, vec![says(1, name), vain(), vain()]));
    assert_eq!(paid(&models, EnsembleMode::Vote).await, whole(9), "three answers, three votes, three judges");
    // An answer without a word is paid for, a refusal is not.
    let models =
        [model("p/a", vec![says(1, " ")]), one("p/b", "Beta", vain()), model("p/c", vec![Err(error(ErrorKind::Auth))])];
    assert_eq!(paid(&models, EnsembleMode::All).await, whole(2));
    // Of one that breaks off nobody knows.
    let models = [one("p/a", "Alpha", breaks("1")), one("p/b", "Beta", vain())];
    let (all, known, unknown, _) = paid(&models, EnsembleMode::Best).await;
    assert_eq!((all, known, unknown), (None, Some(630), vec!["p/a".to_owned()]));
    // Neither of one that is cancelled.
    let models = [one("p/a", "Alpha", vain()), model("p/b", vec![says(9, "late")])];
    let (all, known, unknown, _) = paid(&models, EnsembleMode::First).await;
    assert_eq!((all, known, unknown), (None, Some(210), vec!["p/b".to_owned()]));
    // Who cannot merge is paid for, too.
    let silent = || says(1, "");
    let models = [one("p/a", "Alpha", silent()), one("p/b", "Beta", says(1, "Both [1]"))];
    assert_eq!(paid(&models, EnsembleMode::Merge).await, whole(4));
}

#[tokio::test(start_paused = true)]
async fn a_judges_chinese_names_the_models() {
    let judge = Arc::new(Chinese);
    let models = [model("p/a", vec![says(1, "Alpha [1]")]), model("p/b", vec![says(1, "Beta [2]")])];
    let ensemble = Ensemble { judge: Some(own(&judge)), ..ensemble(&models, EnsembleMode::Best) };
    let (events, summary, _) = joined(ensemble).await;
    let Some(EnsembleEvent::Verdict(verdict)) = events.last() else { panic!("{events:?}") };
    assert_eq!((verdict.why.as_str(), summary.unwrap().chosen), ("p/b比p/a更完整，引用了[2]。", Some(1)));
}

/// A judge that prefers Beta, and says so in one line.
#[derive(Debug)]
struct Chinese;

#[async_trait]
impl ChatModel for Chinese {
    fn model(&self) -> &'static str {
        "p/judge"
    }
    async fn chat(&self, request: ChatRequest) -> Result<ChatStream, ProviderError> {
        let (alpha, beta) = (shown_as(&request, "Alpha [1]"), shown_as(&request, "Beta [2]"));
        let script = vec![text(&format!("回答{beta}比回答{alpha}更完整，引用了[2]。")), done(StopReason::End)];
        Ok(futures_util::stream::iter(script.into_iter().map(|(_, event)| event)).boxed())
    }
}

#[tokio::test(start_paused = true)]
async fn the_first_to_begin_wins_and_the_others_are_cancelled() {
    let thinks = Ok(vec![(0, Ok(ChatEvent::Reasoning("first to think".into()))), after(9, "late"), done(StopReason::End)]);
    let models = [
        model("p/a", vec![thinks]),
        model("p/b", vec![Ok(vec![after(2, "I [1]"), after(60, " win."), done(StopReason::End)])]),
        model("p/c", vec![says(3, "third")]),
        model("p/d", vec![Err(error(ErrorKind::Unavailable))]),
    ];
    let mut events = ask_all(ensemble(&models, EnsembleMode::First));
    while let Some(event) = events.next().await {
        if matches!(event, Ok(EnsembleEvent::Part { event: AnswerEvent::Token(_), .. })) {
            break;
        }
    }
    let cancelled = |n: usize| models[n].cancelled.load(Ordering::SeqCst);
    assert_eq!((cancelled(0), cancelled(1), cancelled(2)), (true, false, true), "at once, not at the end");
    let rest: Vec<_> = events.collect().await;
    let Some(Ok(EnsembleEvent::Done(summary))) = rest.last() else { panic!("{rest:?}") };
    assert_eq!(outcomes(summary), ["cancelled", "answered", "cancelled", "failed"]);
    assert_eq!((summary.chosen, &summary.citations[..]), (Some(1), &[1][..]));
}

#[tokio::test(start_paused = true)]
async fn when_the_winner_breaks_off_the_others_race_anew() {
    let models = [
        model("p/a", vec![breaks("I am fa")]),
        model("p/b", vec![says(5, "never heard"), says(7, "slow [2]")]),
        model("p/c", vec![Err(error(ErrorKind::Auth))]),
    ];
    let (events, summary, _) = joined(ensemble(&models, EnsembleMode::First)).await;
    let summary = summary.unwrap();
    assert_eq!((summary.chosen, outcomes(&summary)), (Some(1), vec!["failed", "answered", "failed"]));
    assert_eq!(part(&events, 1), "slow [2]");
    assert_eq!(models[2].times_asked(), 1, "who has failed is not asked again");
    let models = [model("p/a", vec![breaks("x")]), model("p/b", vec![says(5, "unheard"), breaks("y")])];
    assert!(joined(ensemble(&models, EnsembleMode::First)).await.2.is_some(), "and it ends when none is left");
}

/// The number under which a judge was shown this answer.
fn shown_as(request: &ChatRequest, answer: &str) -> usize {
    let user = &request.messages[0].text;
    let before = &user[..user.find(answer).unwrap_or_else(|| panic!("{answer} is not shown: {user}"))];
    before.matches("<answer-").count()
}

/// A judge that picks this answer, whatever its number is.
#[derive(Debug)]
struct Picks(&'static str, Mutex<Vec<ChatRequest>>);

#[async_trait]
impl ChatModel for Picks {
    fn model(&self) -> &'static str {
        "p/judge"
    }
    async fn chat(&self, request: ChatRequest) -> Result<ChatStream, ProviderError> {
        let n = shown_as(&request, self.0);
        self.1.lock().unwrap().push(request);
        let script = vec![text(&format!("{n}\nAnswer {n} says it best.")), done(StopReason::End)];
        Ok(futures_util::stream::iter(script.into_iter().map(|(_, event)| event)).boxed())
    }
}

#[tokio::test(start_paused = true)]
async fn a_judge_picks_the_best_and_says_why() {
    for (wanted, place) in [("Alpha [1]", 0), ("Beta [2]", 1), ("Gamma [1]", 2)] {
        let models = [
            model("p/a", vec![says(1, "Alpha [1]")]),
            model("p/b", vec![says(2, "Beta [2]")]),
            model("p/c", vec![says(1, "Gamma [1]")]),
            model("p/d", vec![Err(error(ErrorKind::Auth))]),
        ];
        let judge = Arc::new(Picks(wanted, Mutex::default()));
        let ensemble = Ensemble { judge: Some(own(&judge)), ..ensemble(&models, EnsembleMode::Best) };
        let (events, summary, _) = joined(ensemble).await;
        let summary = summary.unwrap();
        assert_eq!(summary.chosen, Some(place));
        let Some(EnsembleEvent::Verdict(verdict)) = events.last() else { panic!("{events:?}") };
        assert_eq!((verdict.by.as_str(), verdict.choice.index), ("p/judge", place));
        assert_eq!(verdict.why, format!("{} says it best.", models[place].name), "numbers become names");
        assert_eq!(summary.judging[0].model, "p/judge");
        let asked = judge.1.lock().unwrap();
        assert!(!asked[0].messages[0].text.contains("p/a"), "the judge does not know who wrote what");
        assert!(asked[0].messages[0].text.contains("Rotate keys"), "but the sources");
    }
}

#[tokio::test(start_paused = true)]
async fn a_judge_that_fails_is_replaced_and_without_any_the_first_stands() {
    let answers = |a: Vec<_>, b: Vec<_>| {
        let with = |first, then: Vec<_>| std::iter::once(first).chain(then).collect();
        [model("p/a", with(says(1, "Alpha"), a)), model("p/b", with(says(1, "Beta"), b))]
    };
    let models = answers(vec![Err(error(ErrorKind::Unavailable))], vec![says(1, "2")]);
    let (events, summary, _) = joined(ensemble(&models, EnsembleMode::Best)).await;
    let Some(EnsembleEvent::Verdict(verdict)) = events.last() else { panic!("{events:?}") };
    assert_eq!((verdict.by.as_str(), Some(verdict.choice.index)), ("p/b", summary.unwrap().chosen));

    let models = answers(vec![says(1, "They are all so good!")], vec![breaks("1")]);
    let (events, summary, failed) = joined(ensemble(&models, EnsembleMode::Best)).await;
    assert!(failed.is_none(), "an answer is there, and stands");
    assert_eq!(summary.unwrap().chosen, Some(0));
    assert!(matches!(events.last(), Some(EnsembleEvent::Undecided { .. })));

    // One answer needs no judge.
    let models = [model("p/a", vec![Err(error(ErrorKind::Auth))]), model("p/b", vec![says(1, "alone")])];
    let (_, summary, _) = joined(ensemble(&models, EnsembleMode::Best)).await;
    assert_eq!(summary.unwrap().chosen, Some(1));
}

/// A model that gives its answer first, and then picks what it prefers of what it is shown.
#[derive(Debug)]
struct Voter(&'static str, &'static str, &'static [&'static str], Mutex<Vec<ChatRequest>>);

#[async_trait]
impl ChatModel for Voter {
    fn model(&self) -> &'static str {
        self.0
    }
    async fn chat(&self, request: ChatRequest) -> Result<ChatStream, ProviderError> {
        let said = if request.messages[0].text.contains("<answer-") {
            let wanted = self.2.iter().find(|wanted| request.messages[0].text.contains(**wanted));
            let Some(wanted) = wanted else { return Err(error(ErrorKind::RateLimited)) };
            format!("{}\nBecause.", shown_as(&request, wanted))
        } else {
            self.1.to_owned()
        };
        self.3.lock().unwrap().push(request);
        let script = vec![text(&said), done(StopReason::End)];
        Ok(futures_util::stream::iter(script.into_iter().map(|(_, event)| event)).boxed())
    }
}

#[tokio::test(start_paused = true)]
async fn models_vote_for_others_and_the_judge_decides_among_equals() {
    let vote = async |prefers: [&'static [&'static str]; 3], judge: &'static str| {
        let voter = |name, answer, prefers| Arc::new(Voter(name, answer, prefers, Mutex::default()));
        let voters = [voter("p/a", "Alpha", prefers[0]), voter("p/b", "Beta", prefers[1]), voter("p/c", "Gamma", prefers[2])];
        let judge = Arc::new(Picks(judge, Mutex::default()));
        let models = voters.iter().map(own).collect();
        let ensemble = Ensemble { models, mode: EnsembleMode::Vote, judge: Some(own(&judge)) };
        let (events, summary, _) = joined(ensemble).await;
        for voter in &voters {
            for ballot in voter.3.lock().unwrap().iter().skip(1) {
                assert!(!ballot.messages[0].text.contains(voter.1), "nobody votes on its own answer");
                assert_eq!(ballot.messages[0].text.matches("</answer-").count(), 2);
            }
        }
        let votes = events.iter().filter(|event| matches!(event, EnsembleEvent::Vote(_))).count();
        (votes, summary.unwrap().chosen, judge.1.lock().unwrap().len())
    };
    assert_eq!(vote([&["Gamma"], &["Gamma"], &["Alpha"]], "nobody").await, (3, Some(2), 0), "the most votes win");
    assert_eq!(vote([&["Beta"], &["Gamma"], &["Alpha"]], "Beta").await, (3, Some(1), 1), "the judge decides among equals");
    assert_eq!(vote([&["Gamma"], &[], &["Alpha"]], "Alpha").await, (2, Some(0), 1), "who cannot vote is left out");
    assert_eq!(vote([&[], &[], &[]], "Gamma").await, (0, Some(2), 1));

    // With two, nobody has a choice: the judge alone is asked.
    let judge = Arc::new(Picks("Beta", Mutex::default()));
    let models = [model("p/a", vec![says(1, "Alpha")]), model("p/b", vec![says(1, "Beta")])];
    let two = Ensemble { judge: Some(own(&judge)), ..ensemble(&models, EnsembleMode::Vote) };
    let (_, summary, _) = joined(two).await;
    assert_eq!((summary.unwrap().chosen, models[0].times_asked()), (Some(1), 1));
}

#[tokio::test(start_paused = true)]
async fn a_merged_answer_cites_the_same_sources() {
    let merge = Ok(vec![after(2, "Keys rotate monthly [2], not yearly [9]."), done(StopReason::End)]);
    let models = [model("p/a", vec![says(1, "Monthly [1]"), merge]), model("p/b", vec![says(1, "Yearly [2]")])];
    let (events, summary, _) = joined(ensemble(&models, EnsembleMode::Merge)).await;
    let summary = summary.unwrap();
    let merged = summary.merged.as_ref().unwrap();
    assert_eq!((&merged.citations[..], &merged.unknown_citations[..]), (&[2][..], &[9][..]));
    assert_eq!((&summary.citations[..], summary.chosen), (&[2][..], None));
    let said: String = events
        .iter()
        .filter_map(|event| match event {
            EnsembleEvent::Merged(AnswerEvent::Token(text) | AnswerEvent::Citation { text, .. }) => Some(text.as_str()),
            _ => None,
        })
        .collect();
    assert_eq!(said, "Keys rotate monthly [2], not yearly [9].");
    let asked = models[0].last();
    assert!(asked.messages[0].text.contains("Monthly [1]") && asked.messages[0].text.contains("Yearly [2]"));
    assert!(asked.messages[0].text.contains("n=\"2\" uri=\"docs/密钥.md\"") && !asked.system.contains("Yearly"));

    // Another writes it where the first cannot, and where none can, the first answer stands.
    let models = [model("p/a", vec![says(1, "A"), breaks("Half")]), model("p/b", vec![says(1, "B"), says(1, "Whole [1]")])];
    let (events, summary, _) = joined(ensemble(&models, EnsembleMode::Merge)).await;
    assert!(events.iter().any(|e| matches!(e, EnsembleEvent::Merged(AnswerEvent::Fallback { interrupted: true, .. }))));
    assert_eq!(summary.unwrap().merged.unwrap().model.as_deref(), Some("p/b"));
    let models = [model("p/a", vec![says(1, "A [1]"), breaks("x")]), model("p/b", vec![says(1, "B"), breaks("y")])];
    let (events, summary, failed) = joined(ensemble(&models, EnsembleMode::Merge)).await;
    assert!(failed.is_none() && matches!(events.last(), Some(EnsembleEvent::Undecided { .. })));
    let summary = summary.unwrap();
    assert_eq!((summary.chosen, &summary.citations[..]), (Some(0), &[1][..]));
}

#[tokio::test(start_paused = true)]
async fn whoever_stops_listening_cancels_them_all() {
    let models = [model("p/a", vec![says(9, "a")]), model("p/b", vec![says(9, "b")])];
    let mut events = ask_all(ensemble(&models, EnsembleMode::Merge));
    let _ = events.next().await;
    let _ = tokio::time::timeout(Duration::from_secs(1), events.next()).await;
    assert!(models.iter().all(|model| model.times_asked() == 1 && !model.cancelled.load(Ordering::SeqCst)));
    drop(events);
    assert!(models.iter().all(|model| model.cancelled.load(Ordering::SeqCst)));
}
