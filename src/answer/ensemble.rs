//! Several models answer one question over the same sources, at once.
//!
//! Each is asked behind its own provider's limits; one's failure never takes the others down. What becomes of the answers is the
//! [`EnsembleMode`]. A judge or a merging model that fails is replaced by those that have answered, in their order; when none can,
//! the first answer stands, and it is said.

use std::collections::BTreeMap;
use std::pin::pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use async_stream::try_stream;
use futures_util::future::join_all;
use futures_util::{Stream, StreamExt, stream};
use tokio::time::Instant;
use tokio_stream::StreamMap;

use super::event::{AnswerEvent, EnsembleEvent, EnsembleSummary, Member, ModelOutcome, Verdict};
use super::fallback::write_with_fallback;
use super::judge::{Candidate, Comparison};
use super::prompt::JudgeTask;
use super::proof::Cited;
use super::question::EnsembleMode;
use super::source::Source;
use super::void::{Judging, Void};
use super::write::write;
use crate::error::reason;
use crate::limits::{Waiting, WaitingListener, listened_stream};
use crate::providers::{ChatModel, ChatRequest, ErrorKind, ProviderError};

/// A question that is ready to be sent to models.
pub(super) struct Task {
    pub(super) question: String,
    /// Numbered from 1: the answers may cite them.
    pub(super) sources: Vec<Source>,
    /// The same, to be cited.
    pub(super) given: Cited,
    /// Sent to each model.
    pub(super) request: ChatRequest,
    /// Instructions that replace the built-in ones.
    pub(super) instructions: Option<String>,
    /// How long a merging model may say nothing before the next one takes over.
    pub(super) patience: Duration,
    /// Notes what is asked in vain.
    pub(super) void: Void,
}

/// One model's answer so far.
#[derive(Debug)]
struct Part {
    model: Arc<dyn ChatModel>,
    member: Member,
    text: String,
    /// `None`: it is still being written.
    outcome: Option<ModelOutcome>,
    /// Kind of its failure, and what it says of this model.
    failed: Option<(ErrorKind, String)>,
    void: Void,
    request: Arc<Mutex<Request>>,
}

/// How far a model's request is, by what is heard of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Request {
    /// Not made yet.
    Unmade,
    /// Made. A model of one's own tells nothing more.
    Made,
    /// It waits for a place or a quota.
    Waits,
    /// It has left.
    Sent,
}

impl Request {
    fn heard(&mut self, waiting: Waiting) {
        *self = match (*self, waiting) {
            (Self::Sent, _) | (_, Waiting::Wire | Waiting::Retry | Waiting::Pause) => Self::Sent,
            (_, Waiting::Quota | Waiting::Place) => Self::Waits,
            (known, Waiting::Nothing) => known,
        };
    }
}

impl Part {
    fn new(index: usize, model: Arc<dyn ChatModel>, void: Void) -> Self {
        let member = Member { index, model: model.model().into() };
        Self {
            model,
            member,
            text: String::new(),
            outcome: None,
            failed: None,
            void,
            request: Arc::new(Mutex::new(Request::Unmade)),
        }
    }

    /// The model's answer to the task.
    fn write(&self, task: &Task) -> impl Stream<Item = Result<AnswerEvent, ProviderError>> + Send + use<> {
        let (listened, made) = (Arc::clone(&self.request), Arc::clone(&self.request));
        let listener: WaitingListener = Arc::new(move |waiting| locked(&listened).heard(waiting));
        let answer = write(Arc::clone(&self.model), task.request.clone(), task.given.clone());
        let asked = stream::once(async move {
            let mut request = locked(&made);
            if *request == Request::Unmade {
                *request = Request::Made;
            }
            answer
        });
        listened_stream(listener, asked.flatten())
    }

    /// Whether its request may be billed.
    fn is_sent(&self) -> bool {
        !matches!(*locked(&self.request), Request::Unmade | Request::Waits)
    }

    /// The model's name, and how it fared. One that has not ended need not go on: another was faster.
    fn fared(self) -> (String, ModelOutcome) {
        let overtaken = if self.is_sent() { ModelOutcome::Cancelled } else { ModelOutcome::Unsent };
        (self.member.model.to_string(), self.outcome.unwrap_or(overtaken))
    }

    /// Notes an event of the model's answer; fails with what makes it none.
    fn take(&mut self, event: Result<AnswerEvent, ProviderError>) -> Result<AnswerEvent, ProviderError> {
        let event = event.and_then(|event| match &event {
            AnswerEvent::Done(summary) if summary.ttft.is_none() => {
                let nothing = ProviderError::new(&*self.member.model, ErrorKind::BadAnswer, "answered with nothing");
                Err(nothing.having_used(summary.usage))
            }
            _ => Ok(event),
        });
        match &event {
            Ok(AnswerEvent::Done(summary)) => self.outcome = Some(ModelOutcome::Answered(summary.clone())),
            // Its thoughts were taken for its answer.
            Ok(AnswerEvent::Fallback { .. }) => self.text.clear(),
            Ok(event) => self.text.push_str(event.text()),
            Err(error) => {
                self.void.failed(&self.member.model, self.model.price(), error);
                self.failed = Some((error.kind, error.reason_of(&self.member.model)));
                self.outcome = Some(ModelOutcome::Failed(reason(error)));
            }
        }
        event
    }

    fn candidate(&self) -> Option<Candidate> {
        self.outcome.as_ref()?.answer()?;
        Some(Candidate { member: self.member.clone(), model: Arc::clone(&self.model), text: self.text.clone() })
    }
}

/// Streams what the models say to a task, as it comes: all but `Question` and `Sources` of [`EnsembleEvent`]. Fails only when all
/// models have failed. Dropping the stream cancels all requests upstream.
#[expect(clippy::too_many_lines, reason = "a stream, from its first event to its last")]
pub(super) fn answer(
    models: Vec<Arc<dyn ChatModel>>,
    mode: EnsembleMode,
    judge: Option<Arc<dyn ChatModel>>,
    task: Task,
    started: Instant,
) -> impl Stream<Item = Result<EnsembleEvent, ProviderError>> + Send + 'static {
    try_stream! {
        let (given, void) = (task.given.clone(), task.void.clone());
        let requested = Instant::now();
        let models = models.into_iter().enumerate();
        let mut parts: Vec<Part> = models.map(|(index, model)| Part::new(index, model, void.clone())).collect();
        let mut ttft = None;
        let mut chosen = None;
        loop {
            let waiting = parts.iter().filter(|part| part.outcome.is_none());
            let mut running: StreamMap<_, _> = waiting
                .map(|part| (part.member.index, Box::pin(part.write(&task))))
                .collect();
            while let Some((index, event)) = running.next().await {
                if mode == EnsembleMode::First && chosen != Some(index) && event.as_ref().is_ok_and(|event| !is_end(event)) {
                    if event.as_ref().is_ok_and(|event| event.text().is_empty()) {
                        continue;
                    }
                    chosen = Some(index);
                    // Dropping the others cancels them upstream.
                    let others: Vec<_> = running.keys().copied().filter(|other| *other != index).collect();
                    for other in others {
                        running.remove(&other);
                        if let Some(part) = parts.get(other).filter(|part| part.is_sent()) {
                            void.cancelled(&part.member.model, part.model.price());
                        }
                    }
                }
                let Some(part) = parts.get_mut(index) else { continue };
                match part.take(event) {
                    Ok(event) => {
                        if !event.text().is_empty() && matches!(mode, EnsembleMode::All | EnsembleMode::First) {
                            ttft.get_or_insert_with(|| requested.elapsed());
                        }
                        yield EnsembleEvent::Part { member: part.member.clone(), event };
                    }
                    Err(error) => {
                        running.remove(&index);
                        if chosen == Some(index) {
                            (chosen, ttft) = (None, None);
                        }
                        yield EnsembleEvent::Failed { member: part.member.clone(), kind: error.kind, reason: reason(&error) };
                    }
                }
            }
            // Where the winner of the race broke off, those that were cancelled for it race anew.
            if mode != EnsembleMode::First || chosen.is_some() || parts.iter().all(|part| part.outcome.is_some()) {
                break;
            }
        }

        let candidates: Vec<Candidate> = parts.iter().filter_map(Part::candidate).collect();
        let Some(first) = candidates.first().map(|candidate| candidate.member.index) else { Err(all_failed(&parts))? };
        let Task { question, sources, request, instructions, patience, .. } = task;
        let ChatRequest { max_tokens, temperature, .. } = request;
        let comparison = Comparison { question, sources, instructions, max_tokens, temperature };
        let judges = judges(judge, &candidates);
        let (mut merged, mut judging) = (None, Vec::new());
        match mode {
            EnsembleMode::All | EnsembleMode::First => {}
            _ if candidates.len() == 1 => chosen = Some(first),
            EnsembleMode::Merge => {
                let request = comparison.request(JudgeTask::Merge, &candidates);
                let mut answer = pin!(write_with_fallback(judges, request, given, patience, void.clone()));
                while let Some(event) = answer.next().await {
                    match event {
                        Ok(AnswerEvent::Done(summary)) => merged = Some(summary),
                        Ok(event) => {
                            if !event.text().is_empty() {
                                ttft.get_or_insert_with(|| requested.elapsed());
                            }
                            yield EnsembleEvent::Merged(event);
                        }
                        Err(error) => {
                            chosen = Some(first);
                            yield EnsembleEvent::Undecided { mode, reason: reason(&error) };
                        }
                    }
                }
            }
            EnsembleMode::Vote | EnsembleMode::Best => {
                let decision = decide(mode, &comparison, &candidates, judges, &void).await;
                for event in decision.said {
                    yield event;
                }
                (chosen, judging) = (decision.chosen, decision.judging);
                ttft = Some(requested.elapsed());
            }
        }
        let models: Vec<_> = parts.into_iter().map(Part::fared).collect();
        let citations = merged.as_ref().map_or_else(|| cited(&models, chosen), |merged| merged.citations.clone());
        let took = started.elapsed();
        yield EnsembleEvent::Done(EnsembleSummary {
            mode,
            models,
            chosen,
            merged,
            citations,
            judging,
            decided: Vec::new(),
            void: Vec::new(),
            asking: Vec::new(),
            ttft,
            took,
            answerable: None,
            refused: false,
        });
    }
}

/// The best answer, the verdicts on it, and what they took.
#[derive(Default)]
struct Decision {
    /// The index of the model that wrote it.
    chosen: Option<usize>,
    said: Vec<EnsembleEvent>,
    judging: Vec<Judging>,
}

impl Decision {
    fn note(&mut self, verdict: &Verdict) {
        let Verdict { by, usage, cost_usd, .. } = verdict;
        self.judging.push(Judging { model: by.clone(), usage: *usage, cost_usd: *cost_usd });
    }
}

/// Lets the models vote, where that is the mode and they have a choice, and one of the judges pick among those that are left.
async fn decide(
    mode: EnsembleMode,
    comparison: &Comparison,
    candidates: &[Candidate],
    judges: Vec<Arc<dyn ChatModel>>,
    void: &Void,
) -> Decision {
    let mut decision = Decision::default();
    let mut left = candidates.to_vec();
    if mode == EnsembleMode::Vote && candidates.len() > 2 {
        let ballots = candidates.iter().map(|voter| async move {
            let others: Vec<_> = candidates.iter().filter(|other| other.member.model != voter.member.model).cloned().collect();
            comparison.pick(&*voter.model, &others).await
        });
        let mut votes: BTreeMap<usize, usize> = BTreeMap::new();
        for (voter, ballot) in candidates.iter().zip(join_all(ballots).await) {
            match ballot {
                Ok(vote) => {
                    *votes.entry(vote.choice.index).or_default() += 1;
                    decision.note(&vote);
                    decision.said.push(EnsembleEvent::Vote(vote));
                }
                Err(error) => {
                    void.failed(voter.model.model(), voter.model.price(), &error);
                    tracing::warn!(error = %reason(&error), "a model did not vote");
                }
            }
        }
        let count = |candidate: &Candidate| votes.get(&candidate.member.index).copied().unwrap_or(0);
        let most = left.iter().map(count).max();
        left.retain(|candidate| Some(count(candidate)) == most);
    }
    let mut refused = String::new();
    let mut judges = judges.into_iter();
    while left.len() > 1 {
        let Some(judge) = judges.next() else {
            decision.said.push(EnsembleEvent::Undecided { mode, reason: refused });
            break;
        };
        match comparison.pick(&*judge, &left).await {
            Ok(verdict) => {
                left.retain(|candidate| candidate.member == verdict.choice);
                decision.note(&verdict);
                decision.said.push(EnsembleEvent::Verdict(verdict));
            }
            Err(error) => {
                void.failed(judge.model(), judge.price(), &error);
                refused = reason(&error);
            }
        }
    }
    decision.chosen = left.first().map(|candidate| candidate.member.index);
    decision
}

fn locked(request: &Mutex<Request>) -> MutexGuard<'_, Request> {
    request.lock().unwrap_or_else(PoisonError::into_inner)
}

fn is_end(event: &AnswerEvent) -> bool {
    matches!(event, AnswerEvent::Done(_))
}

/// The models that may judge or merge, one after the other until one can: the one that was named, and those that have answered.
fn judges(named: Option<Arc<dyn ChatModel>>, candidates: &[Candidate]) -> Vec<Arc<dyn ChatModel>> {
    let mut judges: Vec<Arc<dyn ChatModel>> = named.into_iter().collect();
    for candidate in candidates {
        if judges.iter().all(|other| other.model() != candidate.model.model()) {
            judges.push(Arc::clone(&candidate.model));
        }
    }
    judges
}

/// The sources that one answer cites, or all of them.
fn cited(models: &[(String, ModelOutcome)], chosen: Option<usize>) -> Vec<usize> {
    let mut cited = Vec::new();
    for (index, (_, outcome)) in models.iter().enumerate() {
        if let Some(answer) = outcome.answer()
            && chosen.is_none_or(|chosen| chosen == index)
        {
            cited.extend(answer.citations.iter().filter(|n| !cited.contains(*n)).copied().collect::<Vec<_>>());
        }
    }
    cited
}

/// Each by its name; of the kind that all are of.
fn all_failed(parts: &[Part]) -> ProviderError {
    let failed: Vec<&(ErrorKind, String)> = parts.iter().filter_map(|part| part.failed.as_ref()).collect();
    let why: Vec<&str> = failed.iter().map(|(_, reason)| reason.as_str()).collect();
    let (first, rest) = failed.split_first().unzip();
    let common = first.map(|(kind, _)| *kind).filter(|kind| rest.unwrap_or_default().iter().all(|(other, _)| other == kind));
    ProviderError::new("no model answered", common.unwrap_or(ErrorKind::Unavailable), why.join("; "))
}
