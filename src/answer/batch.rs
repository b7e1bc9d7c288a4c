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

use super::answerer::Answerer;
use super::event::{AnswerEvent, AnswerOutcome, AnswerSummary};
use super::question::{ModelChoice, Question};
use super::record::{Answered, Record, SourceRef};
use super::retrieve::off_runtime;
use super::source::Source;
use super::wire::{Stage, seconds};
use super::{AnswerabilityPlan, QueryPlan, RerankPlan};
use crate::error::{Error, Origin, reason};
use crate::providers::{ErrorKind, ProviderError};

/// How often a question is asked whose answer breaks off.
const ATTEMPTS: u32 = 3;
/// Before it is asked again.
const PAUSE: Duration = Duration::from_secs(1);
/// Questions in a row that the provider was not there for, after all its retries: it will not be there for the next either.
const OUTAGE: u32 = 3;

/// A question of a batch.
#[derive(Debug, Clone, Default)]
pub struct BatchQuestion {
    /// The label of its answer.
    pub id: String,
    /// The question.
    pub text: String,
    /// Higher goes first.
    pub priority: f64,
    /// The model that answers; `None` is the batch's own.
    pub model: Option<ModelChoice>,
}

/// A batch that is ready to run.
#[derive(Debug, Clone)]
pub struct Batch {
    /// Answers each question.
    pub answerer: Answerer,
    /// How each question is asked; its text is replaced, and its model where a question has its own. Nobody waits for one answer:
    /// where it does not say otherwise, a model has as long as its provider's retries take.
    pub how: Question,
    /// The index's [generation](crate::vectordb::IndexMeta::generation): answers from another are none.
    pub generation: Uuid,
    /// The questions.
    pub questions: Vec<BatchQuestion>,
    /// Where answers are kept.
    pub record: Arc<Mutex<Record>>,
    /// Questions under way at once.
    pub workers: usize,
    /// Ends the run: what is under way is finished, nothing more is asked.
    pub stop: CancellationToken,
}

/// The fate of a question, which is told by its index in [`Batch::questions`].
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub enum BatchEvent {
    /// It is answered, and the record has it.
    Answered {
        /// The question's.
        index: usize,
        /// Its answer, as the record has it.
        answer: Box<Answered>,
        /// The answer was there already, or is that of an equal question: nothing was asked for it.
        known: bool,
        /// Paid for it now, in US dollars; `None` where that is not known.
        cost_usd: Option<f64>,
    },
    /// It could not be answered.
    Failed {
        /// The question's.
        index: usize,
        /// The step that failed: retrieve or answer.
        stage: Stage,
        /// The cause.
        error: String,
    },
}

/// What stands for the [generation](crate::vectordb::IndexMeta::generation) where several indexes are asked together: that of the first,
/// and of each other one its pipeline's name, its generation and how it is asked. Of one alone it is its own.
pub fn generation_of(first: Uuid, others: &[(&str, Uuid, &QueryPlan)]) -> Uuid {
    if others.is_empty() {
        return first;
    }
    let mut hasher = blake3::Hasher::new();
    hasher.update(first.as_bytes());
    for (name, generation, plan) in others {
        // Who answers, and how, the first one's plan says.
        let how = format!("{name}\0{generation}\0{:?}\0{:?}\0{:?}\0", plan.mode, plan.fusion, plan.select);
        hasher.update(how.as_bytes());
    }
    hasher.finalize().as_bytes().first_chunk().map_or(first, |bytes| Uuid::from_bytes(*bytes))
}

/// Identity of an answer: question, model, index and plan. Equal keys have equal answers.
#[derive(Debug, Clone)]
pub struct AnswerKey {
    hasher: blake3::Hasher,
}

impl AnswerKey {
    /// The part that the questions of a batch have in common. `limit` is that of the questions, which may not be the plan's.
    fn new(generation: Uuid, plan: &QueryPlan, limit: usize) -> Self {
        // Who answers is a part of each question's; how long to wait for it changes no answer.
        // Who is asked anyway is not refused.
        let answerability = AnswerabilityPlan::default();
        let mut plan = QueryPlan { model: None, fallback_after: Duration::ZERO, answerability, ..plan.clone() };
        // Once that was the usual patience with a reranker: answers that were paid for then are answers still.
        if let Some(rerank) = plan.select.rerank.as_mut().filter(|rerank| rerank.timeout == RerankPlan::DEADLINE) {
            rerank.timeout = Duration::from_secs(10);
        }
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

/// Questions that ask the same.
struct Job {
    key: String,
    /// The questions, by index.
    questions: Vec<usize>,
    priority: f64,
    /// The question as it is asked; its model is the batch's own where the questions have none.
    how: Question,
    /// The questions have a model of their own.
    own_model: bool,
}

/// A question without an answer, and the cause.
struct Unanswered {
    stage: Stage,
    error: Error,
    /// A model had begun to answer.
    begun: bool,
}

impl Unanswered {
    /// The answer had begun, or whoever was to give it has gone.
    fn broke_off(&self) -> bool {
        self.begun || self.error.origin() == Origin::Worker
    }
}

/// An answer, and what was paid for it in US dollars, where that is known.
type Paid = (Answered, Option<f64>);

/// Runs a batch: what is known comes first, then answers as they are done.
///
/// # Errors
/// When the batch's own model cannot be had, when the record fails, or when what failed would fail every question; what was under
/// way has been finished then.
pub fn run(batch: Batch) -> impl Stream<Item = Result<BatchEvent, Error>> {
    try_stream! {
        let jobs = jobs(&batch).await?;
        let Batch { answerer, questions, record, workers, stop, .. } = batch;
        let mut open = Vec::new();
        for job in jobs {
            match recall(&record, &questions, &job).await? {
                Some(answer) => {
                    for &index in &job.questions {
                        let answer = Box::new(labelled(&answer, &questions, index));
                        yield BatchEvent::Answered { index, answer, known: true, cost_usd: Some(0.0) };
                    }
                }
                None => open.push(job),
            }
        }

        // Cancelled by the user or by what would fail every question: then nothing more is taken from the queue.
        let halt = stop.child_token();
        let queue = stream::iter(open).take_while(|_| std::future::ready(!halt.is_cancelled()));
        let done = queue.map(|job| {
            let answerer = answerer.clone();
            async move {
                let answer = answer(&answerer, &job).await;
                (job, answer)
            }
        });
        let mut done = pin!(done.buffer_unordered(workers.max(1)));
        let (mut outage, mut fatal) = (0, None);
        while let Some((job, answer)) = done.next().await {
            match answer {
                Ok((answer, cost)) => {
                    outage = 0;
                    keep(&record, job.questions.iter().map(|index| labelled(&answer, &questions, *index)).collect()).await?;
                    for (n, &index) in job.questions.iter().enumerate() {
                        let answer = Box::new(labelled(&answer, &questions, index));
                        let (known, cost_usd) = if n > 0 { (true, Some(0.0)) } else { (false, cost) };
                        yield BatchEvent::Answered { index, answer, known, cost_usd };
                    }
                }
                Err(Unanswered { stage, error, .. }) => {
                    for &index in &job.questions {
                        yield BatchEvent::Failed { index, stage, error: reason(&error) };
                    }
                    // With a model of its own, a question says nothing about the others.
                    let own = job.own_model && error.origin() == Origin::Provider;
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
async fn jobs(batch: &Batch) -> Result<Vec<Job>, Error> {
    let mut how = batch.how.clone();
    how.fallback_after.get_or_insert(Duration::MAX);
    if let Some(model) = batch.answerer.models(&how).await?.first() {
        // Found once, not for each question.
        how.model = ModelChoice::Own(Arc::clone(model));
    }
    let plan = batch.answerer.plan_for(&how);
    let limit = plan.limit.get();
    let plan = QueryPlan { limit: batch.answerer.plan().limit, ..plan };
    let common = AnswerKey::new(batch.generation, &plan, limit);

    let mut jobs: Vec<Job> = Vec::new();
    let mut known: HashMap<String, usize> = HashMap::new();
    for (index, question) in batch.questions.iter().enumerate() {
        let mut how = Question { text: question.text.clone(), ..how.clone() };
        if let Some(choice) = &question.model {
            // One that cannot be had fails when it is asked, as one of several.
            how.model = ModelChoice::Own(batch.answerer.member(choice).await);
        }
        let key = common.of(&how.model.name().unwrap_or_default(), &question.text);
        let at = *known.entry(key.clone()).or_insert(jobs.len());
        match jobs.get_mut(at) {
            Some(job) => {
                job.questions.push(index);
                job.priority = job.priority.max(question.priority);
            }
            None => jobs.push(Job {
                key,
                questions: vec![index],
                priority: question.priority,
                how,
                own_model: question.model.is_some(),
            }),
        }
    }
    jobs.sort_by(|a, b| b.priority.total_cmp(&a.priority));
    Ok(jobs)
}

/// The answer as that of another question that asks the same.
fn labelled(answer: &Answered, questions: &[BatchQuestion], index: usize) -> Answered {
    let id = questions.get(index).map(|question| question.id.clone()).unwrap_or_default();
    Answered { id, ..answer.clone() }
}

/// The recorded answer to a job, if there is one. The record holds it under the id of each of the job's questions afterwards.
async fn recall(record: &Arc<Mutex<Record>>, questions: &[BatchQuestion], job: &Job) -> Result<Option<Answered>, Error> {
    let ids: Vec<String> =
        job.questions.iter().filter_map(|index| questions.get(*index)).map(|question| question.id.clone()).collect();
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
async fn answer(answerer: &Answerer, job: &Job) -> Result<Paid, Unanswered> {
    let mut attempt = 1;
    loop {
        match answer_once(answerer, job).await {
            Err(failed) if failed.broke_off() && failed.error.is_transient() && attempt < ATTEMPTS => {
                tracing::debug!(error = %reason(&failed.error), attempt, "an answer broke off: asked again");
                tokio::time::sleep(PAUSE).await;
                attempt += 1;
            }
            done => return done,
        }
    }
}

async fn answer_once(answerer: &Answerer, job: &Job) -> Result<Paid, Unanswered> {
    let mut events = answerer.ask(job.how.clone());
    let (mut stage, mut begun) = (Stage::Retrieve, false);
    let (mut text, mut cited) = (String::new(), Vec::new());
    while let Some(event) = events.next().await {
        let event = event.map_err(|error| Unanswered { stage, error, begun })?;
        match event {
            AnswerEvent::Sources { sources, .. } => {
                stage = Stage::Answer;
                let reference = |source: Source| {
                    let Source { n, uri, pipeline, lines, .. } = source;
                    SourceRef { n, uri, pipeline, lines }
                };
                cited = sources.into_iter().map(reference).collect();
            }
            AnswerEvent::Reasoning(_) => begun = true,
            AnswerEvent::Token(more) | AnswerEvent::Citation { text: more, .. } => {
                begun = true;
                text.push_str(&more);
            }
            // What another model wrote is void.
            AnswerEvent::Fallback { .. } => {
                begun = false;
                text.clear();
            }
            AnswerEvent::Question { .. }
            | AnswerEvent::Estimate(_)
            | AnswerEvent::Reading { .. }
            | AnswerEvent::Note(_)
            | AnswerEvent::LeftOut(_)
            | AnswerEvent::Incomplete(_) => {}
            AnswerEvent::Done(summary) => return finished(job, summary, text, cited),
        }
    }
    Err(no_answer(job, "the answer ended without its end mark"))
}

fn finished(job: &Job, summary: AnswerSummary, answer: String, sources: Vec<SourceRef>) -> Result<Paid, Unanswered> {
    let whole = summary.cost_unknown().is_empty();
    let AnswerSummary { model, citations, unknown_citations, doubts, usage, cost_usd, ttft, took, outcome, .. } = summary;
    let stop = match outcome {
        AnswerOutcome::Answered(_) if ttft.is_none() => return Err(no_answer(job, "answered with nothing")),
        AnswerOutcome::Answered(stop) => stop,
        AnswerOutcome::Passages | AnswerOutcome::NothingFound | AnswerOutcome::Unanswerable => {
            return Err(Unanswered { stage: Stage::Retrieve, ..no_answer(job, "nothing was found on this question") });
        }
    };
    let answer = Answered {
        id: String::new(),
        answer,
        citations,
        unknown_citations,
        doubts,
        sources,
        model: model.unwrap_or_default(),
        usage,
        seconds: seconds(took),
        stop,
        key: job.key.clone(),
    };
    Ok((answer, cost_usd.filter(|_| whole)))
}

fn no_answer(job: &Job, what: &str) -> Unanswered {
    let model = job.how.model.name().unwrap_or_default();
    Unanswered { stage: Stage::Answer, error: ProviderError::new(model, ErrorKind::BadAnswer, what).into(), begun: true }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a failed test panics")]
mod tests {
    use std::num::NonZeroUsize;

    use super::*;
    use crate::answer::{FusionPlan, RetrieveMode, SelectPlan, Term};
    use crate::providers::ModelRef;

    /// An answer stays one when the program is a newer one: a change here has every batch asked again, and paid again.
    #[test]
    fn keys_stay_what_they_were() {
        let mut plan = QueryPlan {
            limit: NonZeroUsize::new(8).unwrap(),
            mode: RetrieveMode::Hybrid,
            fusion: FusionPlan::Weighted { weight: 0.7 },
            select: SelectPlan::default(),
            decide: None,
            answerability: AnswerabilityPlan::default(),
            whole: super::super::WholePlan::default(),
            model: None,
            fallback: Vec::new(),
            fallback_after: Duration::from_secs(30),
            max_tokens: 1024,
            temperature: None,
            context_tokens: 6000,
            prompt: None,
        };
        plan.select.filter.extend(["path=docs/**".parse::<Term>().unwrap(), "lang=zh".parse().unwrap()]);
        plan.fallback = vec![ModelRef { provider: "p".into(), model: "b/c".into() }];
        plan.prompt = Some("Be brief.".into());
        let key = AnswerKey::new(Uuid::nil(), &plan, 5);
        assert_eq!(key.of("p/a", " How? "), "c14bc72f3bcde290c640f21f6e1c337b");
    }
}
