//! Many questions as a queue: the most urgent first, several at once, none asked twice.
//!
//! An answer counts when the [`Record`] has it on the disk; then it is yielded. So whatever cuts a run short, the next one over
//! the same record asks only what is not answered. Questions that ask the same are one.
//!
//! Requests are retried by the providers' HTTP layer alone; a question is asked again here only where its answer broke off.

use std::collections::HashMap;
use std::pin::pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use async_stream::try_stream;
use futures_util::{Stream, StreamExt, stream};
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

use crate::answer::QueryPlan;
use crate::answer::record::{Answered, Place, Record, Tokens};
use crate::answer::retrieve::off_runtime;
use crate::answer::stream::{AnswerEvent, Ask, Outcome, Summary, ask};
use crate::error::{Error, Origin, reason};
use crate::providers::{ChatModel, ErrorKind, ProviderError, StopReason};

/// How often a question is asked whose answer breaks off.
const ATTEMPTS: u32 = 3;
/// Before it is asked again.
const PAUSE: Duration = Duration::from_secs(1);
/// So many questions without an answer between them that the provider was not there for, after all its retries: it will not be
/// there for the next either.
const OUTAGE: u32 = 3;
/// Bytes of an answer: far above any, far below what a server that never stops could fill memory with.
const MAX_ANSWER: usize = 1 << 20;

/// A question of a batch.
#[derive(Clone)]
pub struct Question {
    /// What its answer is labelled with.
    pub id: String,
    /// The question.
    pub text: String,
    /// Higher goes first.
    pub priority: f64,
    /// Who answers; `None` is the batch's own model.
    pub model: Option<Arc<dyn ChatModel>>,
}

/// What is asked of whom over which index: equal keys have equal answers.
#[derive(Debug, Clone)]
pub struct Key {
    hasher: blake3::Hasher,
}

impl Key {
    /// The part that the questions of a batch have in common. `generation` is the index's.
    pub fn new(generation: Uuid, plan: &QueryPlan, limit: usize) -> Self {
        // Who answers is a part of each question's; how long to wait for it changes no answer.
        let plan = QueryPlan { model: None, fallback_after: Duration::ZERO, ..plan.clone() };
        let mut hasher = blake3::Hasher::new();
        hasher.update(format!("1\0{generation}\0{limit}\0{plan:?}").as_bytes());
        Self { hasher }
    }

    fn of(&self, model: &str, question: &str) -> String {
        let mut hasher = self.hasher.clone();
        hasher.update(format!("\0{}\0{model}\0{}", model.len(), question.trim()).as_bytes());
        hasher.finalize().to_hex().chars().take(32).collect()
    }
}

/// A batch that is ready to run.
pub struct Batch {
    /// How each question is asked; its `question` is replaced.
    pub ask: Ask,
    /// What the questions have in common.
    pub key: Key,
    /// The questions.
    pub questions: Vec<Question>,
    /// Where answers are kept.
    pub record: Arc<Mutex<Record>>,
    /// Questions under way at once.
    pub workers: usize,
    /// Ends the run: what is under way is finished, nothing more is asked.
    pub stop: CancellationToken,
}

/// What becomes of a question, by its place in [`Batch::questions`].
#[derive(Debug, Clone, PartialEq)]
pub enum BatchEvent {
    /// It is answered, and the record has it.
    Answered {
        /// Which question.
        place: usize,
        /// With what.
        answer: Box<Answered>,
        /// The answer was there already, or is that of an equal question: nothing was asked for it.
        known: bool,
    },
    /// It could not be answered.
    Failed {
        /// Which question.
        place: usize,
        /// Where: retrieve or answer.
        stage: &'static str,
        /// Why.
        error: String,
    },
}

/// Questions that ask the same.
struct Job {
    key: String,
    places: Vec<usize>,
    priority: f64,
}

/// Why a question has no answer.
struct Unanswered {
    stage: &'static str,
    error: Error,
    /// A model had begun to answer.
    begun: bool,
}

/// Runs a batch: what is known comes first, then answers as they are done.
///
/// # Errors
/// When the record fails, or when what failed would fail every question; what was under way has been finished then.
pub fn run(batch: Batch) -> impl Stream<Item = Result<BatchEvent, Error>> {
    try_stream! {
        let Batch { ask, key, questions, record, workers, stop } = batch;
        let jobs = jobs(&questions, &key, &ask);
        let mut open = Vec::new();
        for job in jobs {
            match recall(&record, &questions, &job).await? {
                Some(answer) => {
                    for &place in &job.places {
                        let answer = Box::new(labelled(&answer, &questions, place));
                        yield BatchEvent::Answered { place, answer, known: true };
                    }
                }
                None => open.push(job),
            }
        }

        // Cancelled by the user or by what would fail every question: then nothing more is taken from the queue.
        let halt = stop.child_token();
        let queue = stream::iter(open).take_while(|_| std::future::ready(!halt.is_cancelled()));
        let done = queue.map(|job| {
            let first = job.places.first().and_then(|place| questions.get(*place)).cloned();
            let mut ask = ask.clone();
            async move {
                // With a model of its own, a question says nothing about the others.
                let own = first.as_ref().is_some_and(|question| question.model.is_some());
                if let Some(question) = first {
                    ask.question = question.text;
                    ask.model = question.model.or(ask.model);
                }
                let answer = answer(&ask, &job.key).await;
                (job, own, answer)
            }
        });
        let mut done = pin!(done.buffer_unordered(workers.max(1)));
        let (mut outage, mut fatal) = (0, None);
        while let Some((job, own, answer)) = done.next().await {
            match answer {
                Ok(answer) => {
                    outage = 0;
                    keep(&record, job.places.iter().map(|place| labelled(&answer, &questions, *place)).collect()).await?;
                    for (n, &place) in job.places.iter().enumerate() {
                        let answer = Box::new(labelled(&answer, &questions, place));
                        yield BatchEvent::Answered { place, answer, known: n > 0 };
                    }
                }
                Err(Unanswered { stage, error, .. }) => {
                    for &place in &job.places {
                        yield BatchEvent::Failed { place, stage, error: reason(&error) };
                    }
                    let own = own && error.origin() == Origin::Provider;
                    outage += u32::from(!own && error.is_transient());
                    if (error.stops_all() && !own) || outage >= OUTAGE {
                        halt.cancel();
                        fatal.get_or_insert(error);
                    }
                }
            }
        }
        if let Some(error) = fatal {
            Err(error)?;
        }
    }
}

/// The questions as jobs, the most urgent first, equal ones in the order of the file.
fn jobs(questions: &[Question], key: &Key, ask: &Ask) -> Vec<Job> {
    let mut jobs: Vec<Job> = Vec::new();
    let mut known: HashMap<String, usize> = HashMap::new();
    for (place, question) in questions.iter().enumerate() {
        let model = question.model.as_ref().or(ask.model.as_ref()).map_or("", |model| model.model());
        let key = key.of(model, &question.text);
        let at = *known.entry(key.clone()).or_insert(jobs.len());
        match jobs.get_mut(at) {
            Some(job) => {
                job.places.push(place);
                job.priority = job.priority.max(question.priority);
            }
            None => jobs.push(Job { key, places: vec![place], priority: question.priority }),
        }
    }
    jobs.sort_by(|a, b| b.priority.total_cmp(&a.priority));
    jobs
}

/// The answer as that of another question that asks the same.
fn labelled(answer: &Answered, questions: &[Question], place: usize) -> Answered {
    let id = questions.get(place).map(|question| question.id.clone()).unwrap_or_default();
    Answered { id, ..answer.clone() }
}

/// What the record knows of a job. It holds the answer under the id of each of its questions afterwards.
async fn recall(record: &Arc<Mutex<Record>>, questions: &[Question], job: &Job) -> Result<Option<Answered>, Error> {
    let ids: Vec<String> =
        job.places.iter().filter_map(|place| questions.get(*place)).map(|question| question.id.clone()).collect();
    let (record, key) = (Arc::clone(record), job.key.clone());
    off_runtime("read the record", move || {
        let mut record = record.lock().unwrap_or_else(PoisonError::into_inner);
        let Some(known) = record.find(&key, ids.first().map_or("", String::as_str))? else { return Ok(None) };
        let missing = ids.into_iter().filter(|id| !record.holds(&key, id));
        let missing: Vec<_> = missing.map(|id| Answered { id, ..known.clone() }).collect();
        if !missing.is_empty() {
            record.add(&missing)?;
        }
        Ok(Some(known))
    })
    .await?
}

async fn keep(record: &Arc<Mutex<Record>>, answers: Vec<Answered>) -> Result<(), Error> {
    let record = Arc::clone(record);
    off_runtime("write the record", move || record.lock().unwrap_or_else(PoisonError::into_inner).add(&answers)).await?
}

/// Asks until there is an answer that did not break off.
async fn answer(ask: &Ask, key: &str) -> Result<Answered, Unanswered> {
    let mut attempt = 1;
    loop {
        match answer_once(ask, key).await {
            Err(failed) if failed.begun && failed.error.is_transient() && attempt < ATTEMPTS => {
                tracing::debug!(error = %reason(&failed.error), attempt, "an answer broke off: asked again");
                tokio::time::sleep(PAUSE).await;
                attempt += 1;
            }
            done => return done,
        }
    }
}

async fn answer_once(asked: &Ask, key: &str) -> Result<Answered, Unanswered> {
    let mut events = pin!(ask(asked.clone()));
    let (mut stage, mut begun) = ("retrieve", false);
    let (mut text, mut places) = (String::new(), Vec::new());
    while let Some(event) = events.next().await {
        let event = event.map_err(|error| Unanswered { stage, error, begun })?;
        match event {
            AnswerEvent::Sources { sources, .. } => {
                stage = "answer";
                places =
                    sources.into_iter().map(|source| Place { n: source.n, uri: source.uri, lines: source.lines }).collect();
            }
            AnswerEvent::Reasoning(_) => begun = true,
            AnswerEvent::Token(more) | AnswerEvent::Citation { text: more, .. } => {
                begun = true;
                text.push_str(&more);
                if text.len() > MAX_ANSWER {
                    return Err(no_answer(asked, "wrote more than any answer has"));
                }
            }
            // What another model wrote is void.
            AnswerEvent::Fallback { .. } => {
                begun = false;
                text.clear();
            }
            AnswerEvent::Done(summary) => return finished(asked, key, summary, text, places),
        }
    }
    Err(no_answer(asked, "the answer ended without its end mark"))
}

fn finished(asked: &Ask, key: &str, summary: Summary, answer: String, sources: Vec<Place>) -> Result<Answered, Unanswered> {
    let Summary { model, citations, unknown_citations, usage, ttft, took, outcome, .. } = summary;
    let stop = match outcome {
        Outcome::Answered(_) if ttft.is_none() => return Err(no_answer(asked, "answered with nothing")),
        Outcome::Answered(StopReason::End) => "end",
        Outcome::Answered(StopReason::Length) => "length",
        Outcome::Answered(StopReason::Refused) => "refused",
        Outcome::Passages | Outcome::NothingFound => {
            return Err(Unanswered { stage: "retrieve", ..no_answer(asked, "nothing was found on this question") });
        }
    };
    Ok(Answered {
        r#type: "answer".to_owned(),
        id: String::new(),
        answer,
        citations,
        unknown_citations,
        sources,
        model: model.unwrap_or_default(),
        usage: Tokens { input_tokens: usage.input_tokens, output_tokens: usage.output_tokens },
        seconds: (took.as_secs_f64() * 1000.0).round() / 1000.0,
        stop: stop.to_owned(),
        key: key.to_owned(),
    })
}

fn no_answer(asked: &Ask, what: &str) -> Unanswered {
    let model = asked.model.as_ref().map_or("", |model| model.model());
    Unanswered { stage: "answer", error: ProviderError::new(model, ErrorKind::BadAnswer, what).into(), begun: true }
}
