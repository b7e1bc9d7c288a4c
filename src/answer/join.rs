//! Several models answer one question over the same sources, at once.
//!
//! Each is asked behind its own provider's limits; one's failure never takes the others down. What becomes of the answers is the
//! [`Join`]. A judge or a merging model that fails is replaced by those that have answered, in their order; when none can, the
//! first answer stands, and it is said.

use std::collections::BTreeMap;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use async_stream::try_stream;
use futures_util::future::join_all;
use futures_util::{Stream, StreamExt};
use tokio::time::Instant;
use tokio_stream::StreamMap;

use crate::answer::fallback::write_with_fallback;
use crate::answer::judge::{Candidate, Case, Opinion};
use crate::answer::prompt::Weighing;
use crate::answer::source::Source;
use crate::answer::stream::{AnswerEvent, Ask, Summary};
use crate::answer::write::write;
use crate::error::{Error, reason};
use crate::providers::{ChatModel, ErrorKind, ProviderError, Usage};

/// Bytes of one model's answer: far above any, far below what a server that never stops could fill memory with.
const MAX_ANSWER: usize = 1 << 20;

/// What becomes of several answers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Join {
    /// All are given.
    All,
    /// The model that begins first is the one that answers; the others are cancelled. If it breaks off, the others race anew.
    First,
    /// Every model votes for the best answer that is not its own; the most votes win, and among equals the judge picks. With two
    /// answers nobody has a choice, and the judge alone picks.
    Vote,
    /// A judge picks.
    Best,
    /// A model writes one answer out of all.
    Merge,
}

/// A question to several models.
#[derive(Clone)]
pub struct Joint {
    /// The question; its `model` and `fallback` are not asked.
    pub ask: Ask,
    /// Who is asked.
    pub models: Vec<Arc<dyn ChatModel>>,
    /// What becomes of the answers.
    pub join: Join,
    /// Who judges or merges; `None` is the first that has answered.
    pub judge: Option<Arc<dyn ChatModel>>,
}

/// What several answers consist of. `Sources` comes first, `Done` last; models are told by their place in [`Joint::models`].
#[derive(Debug, Clone, PartialEq)]
pub enum JoinEvent {
    /// The sources that the answers may cite, best first. Empty when nothing was found, and then no model is asked.
    Sources(Vec<Source>),
    /// `Reasoning`, `Token`, `Citation` or `Done` of one model's answer.
    Part {
        /// Which model's.
        place: usize,
        /// What of it.
        event: AnswerEvent,
    },
    /// A model failed. What came of its answer is not complete.
    Failed {
        /// Which one.
        place: usize,
        /// What went wrong, as far as a caller decides on it.
        kind: ErrorKind,
        /// What went wrong.
        reason: String,
    },
    /// A model's vote.
    Vote(Opinion),
    /// The judge's word.
    Verdict(Opinion),
    /// `Reasoning`, `Token`, `Citation` or `Fallback` of the merged answer.
    Merged(AnswerEvent),
    /// Nobody could judge or merge: the first answer stands.
    Undecided(String),
    /// All is said.
    Done(JoinSummary),
}

/// How one of several models fared.
#[derive(Debug, Clone, PartialEq)]
pub enum Fate {
    /// It has answered.
    Answered(Summary),
    /// It failed, and why.
    Failed(String),
    /// Another was faster.
    Cancelled,
}

/// How several answers ended and what they took.
#[derive(Debug, Clone, PartialEq)]
pub struct JoinSummary {
    /// What became of the answers.
    pub join: Join,
    /// The models and how they fared; empty when nothing was found and none was asked.
    pub models: Vec<(String, Fate)>,
    /// The place of the model whose answer is the joined one, if it is one model's.
    pub chosen: Option<usize>,
    /// The merged answer, if there is one.
    pub merged: Option<Summary>,
    /// Sources cited in the joined answer; with [`Join::All`] in any, in the order of the models.
    pub citations: Vec<usize>,
    /// What opinions cost, by model.
    pub judging: Vec<(String, Usage)>,
    /// From the requests to the first piece of the joined answer.
    pub ttft: Option<Duration>,
    /// From the question to the end.
    pub took: Duration,
}

/// How one of the models stands.
#[derive(Debug, Clone, Default)]
struct Part {
    text: String,
    fate: Option<Fate>,
}

impl Part {
    /// Notes an event of the model's answer; fails with what makes it none.
    fn take(&mut self, event: Result<AnswerEvent, ProviderError>, model: &str) -> Result<AnswerEvent, ProviderError> {
        let bad = |what| Err(ProviderError::new(model, ErrorKind::BadAnswer, what));
        let event = event.and_then(|event| match &event {
            AnswerEvent::Done(summary) if summary.ttft.is_none() => bad("answered with nothing"),
            _ if self.text.len() + said(&event).len() > MAX_ANSWER => bad("wrote more than any answer has"),
            _ => Ok(event),
        });
        match &event {
            Ok(AnswerEvent::Done(summary)) => self.fate = Some(Fate::Answered(summary.clone())),
            Ok(event) => self.text.push_str(said(event)),
            Err(error) => self.fate = Some(Fate::Failed(reason(error))),
        }
        event
    }
}

/// Streams the answers to a question, as they come. Dropping the stream cancels all requests upstream.
///
/// # Errors
/// As [`super::ask`] before the models are asked; after that only when all of them have failed.
pub fn ask_all(joint: Joint) -> impl Stream<Item = Result<JoinEvent, Error>> + Send + 'static {
    try_stream! {
        let Joint { ask, models, join, judge } = joint;
        let started = Instant::now();
        let found = ask.find().await?;
        if found.is_empty() {
            yield JoinEvent::Sources(found);
            yield JoinEvent::Done(summary(join, &[], Vec::new(), started));
            return;
        }
        let (sources, request) = ask.compose(found).await?;
        let given = sources.len();
        yield JoinEvent::Sources(sources.clone());

        let requested = Instant::now();
        let mut parts = vec![Part::default(); models.len()];
        let mut ttft = None;
        let mut chosen = None;
        loop {
            let waiting = models.iter().enumerate().filter(|(place, _)| fate(&parts, *place).is_none());
            let mut running: StreamMap<_, _> =
                waiting.map(|(place, model)| (place, Box::pin(write(Arc::clone(model), request.clone(), given)))).collect();
            while let Some((place, event)) = running.next().await {
                if join == Join::First && chosen != Some(place) && event.as_ref().is_ok_and(|event| !is_end(event)) {
                    if event.as_ref().is_ok_and(|event| said(event).is_empty()) {
                        continue;
                    }
                    chosen = Some(place);
                    // Dropping the others cancels them upstream.
                    let others: Vec<_> = running.keys().copied().filter(|other| *other != place).collect();
                    for other in others {
                        running.remove(&other);
                    }
                }
                let (Some(part), Some(model)) = (parts.get_mut(place), models.get(place)) else { continue };
                match part.take(event, model.model()) {
                    Ok(event) => {
                        if !said(&event).is_empty() && matches!(join, Join::All | Join::First) {
                            ttft.get_or_insert_with(|| requested.elapsed());
                        }
                        yield JoinEvent::Part { place, event };
                    }
                    Err(error) => {
                        running.remove(&place);
                        if chosen == Some(place) {
                            (chosen, ttft) = (None, None);
                        }
                        yield JoinEvent::Failed { place, kind: error.kind, reason: reason(&error) };
                    }
                }
            }
            // Where the winner of the race broke off, those that were cancelled for it race anew.
            if join != Join::First || chosen.is_some() || parts.iter().all(|part| part.fate.is_some()) {
                break;
            }
        }

        let candidates = candidates(&models, &parts);
        let Some(first) = candidates.first().map(|candidate| candidate.place) else { Err(all_failed(&parts))? };
        let case = Case {
            question: ask.question.clone(),
            sources,
            instructions: ask.retriever.plan.prompt.clone(),
            max_tokens: request.max_tokens,
            temperature: request.temperature,
        };
        let bench = bench(judge, &candidates, &models);
        let (mut merged, mut judging) = (None, Vec::new());
        match join {
            Join::All | Join::First => {}
            _ if candidates.len() == 1 => chosen = Some(first),
            Join::Merge => {
                let request = case.request(Weighing::Merge, &candidates);
                let mut answer = pin!(write_with_fallback(bench, request, given, ask.retriever.plan.fallback_after));
                while let Some(event) = answer.next().await {
                    match event {
                        Ok(AnswerEvent::Done(summary)) => merged = Some(summary),
                        Ok(event) => {
                            if !said(&event).is_empty() {
                                ttft.get_or_insert_with(|| requested.elapsed());
                            }
                            yield JoinEvent::Merged(event);
                        }
                        Err(error) => {
                            chosen = Some(first);
                            yield JoinEvent::Undecided(reason(&error));
                        }
                    }
                }
            }
            Join::Vote | Join::Best => {
                let vote = join == Join::Vote && candidates.len() > 2;
                let voters = candidates.iter().filter_map(|voter| models.get(voter.place).cloned());
                let decision = decide(&case, &candidates, if vote { voters.collect() } else { Vec::new() }, bench).await;
                for event in decision.said {
                    yield event;
                }
                (chosen, judging) = (decision.chosen, decision.spent);
                ttft = Some(requested.elapsed());
            }
        }
        let summary = summary(join, &models, parts, started);
        let citations = merged.as_ref().map_or_else(|| cited(&summary.models, chosen), |merged| merged.citations.clone());
        yield JoinEvent::Done(JoinSummary { chosen, merged, citations, judging, ttft, ..summary });
    }
}

/// Which answer is the best, who said so, and what that cost.
#[derive(Default)]
struct Decision {
    chosen: Option<usize>,
    said: Vec<JoinEvent>,
    spent: Vec<(String, Usage)>,
}

/// Lets the voters vote, if there are any, and one of the bench pick among the candidates that are left.
async fn decide(
    case: &Case,
    candidates: &[Candidate],
    voters: Vec<Arc<dyn ChatModel>>,
    bench: Vec<Arc<dyn ChatModel>>,
) -> Decision {
    let mut decision = Decision::default();
    let mut left = candidates.to_vec();
    if !voters.is_empty() {
        let ballots = voters.into_iter().map(|voter| async move {
            let others: Vec<_> = candidates.iter().filter(|other| other.model != voter.model()).cloned().collect();
            case.pick(voter, &others).await
        });
        let mut votes: BTreeMap<usize, usize> = BTreeMap::new();
        for ballot in join_all(ballots).await {
            match ballot {
                Ok(vote) => {
                    *votes.entry(vote.choice).or_default() += 1;
                    decision.spent.push((vote.by.clone(), vote.usage));
                    decision.said.push(JoinEvent::Vote(vote));
                }
                Err(error) => tracing::warn!(error = %reason(&error), "a model did not vote"),
            }
        }
        let count = |candidate: &Candidate| votes.get(&candidate.place).copied().unwrap_or(0);
        let most = left.iter().map(count).max();
        left.retain(|candidate| Some(count(candidate)) == most);
    }
    let mut refused = String::new();
    let mut bench = bench.into_iter();
    while left.len() > 1 {
        let Some(judge) = bench.next() else {
            decision.said.push(JoinEvent::Undecided(refused));
            break;
        };
        match case.pick(judge, &left).await {
            Ok(verdict) => {
                left.retain(|candidate| candidate.place == verdict.choice);
                decision.spent.push((verdict.by.clone(), verdict.usage));
                decision.said.push(JoinEvent::Verdict(verdict));
            }
            Err(error) => refused = reason(&error),
        }
    }
    decision.chosen = left.first().map(|candidate| candidate.place);
    decision
}

/// The piece of the answer that an event is.
fn said(event: &AnswerEvent) -> &str {
    match event {
        AnswerEvent::Token(text) | AnswerEvent::Citation { text, .. } => text,
        _ => "",
    }
}

fn is_end(event: &AnswerEvent) -> bool {
    matches!(event, AnswerEvent::Done(_))
}

/// Who may judge or merge: the one that was named, and those that have answered.
fn bench(
    judge: Option<Arc<dyn ChatModel>>,
    candidates: &[Candidate],
    models: &[Arc<dyn ChatModel>],
) -> Vec<Arc<dyn ChatModel>> {
    let mut bench: Vec<Arc<dyn ChatModel>> = judge.into_iter().collect();
    for model in candidates.iter().filter_map(|candidate| models.get(candidate.place)) {
        if bench.iter().all(|other| other.model() != model.model()) {
            bench.push(Arc::clone(model));
        }
    }
    bench
}

fn fate(parts: &[Part], place: usize) -> Option<&Fate> {
    parts.get(place).and_then(|part| part.fate.as_ref())
}

fn name(models: &[Arc<dyn ChatModel>], place: usize) -> String {
    models.get(place).map(|model| model.model().to_owned()).unwrap_or_default()
}

fn candidates(models: &[Arc<dyn ChatModel>], parts: &[Part]) -> Vec<Candidate> {
    let answered = parts.iter().enumerate().filter(|(_, part)| matches!(part.fate, Some(Fate::Answered(_))));
    answered.map(|(place, part)| Candidate { place, model: name(models, place), text: part.text.clone() }).collect()
}

/// The sources that one answer cites, or all of them.
fn cited(models: &[(String, Fate)], chosen: Option<usize>) -> Vec<usize> {
    let mut cited = Vec::new();
    for (place, (_, fate)) in models.iter().enumerate() {
        if let Fate::Answered(summary) = fate
            && chosen.is_none_or(|chosen| chosen == place)
        {
            cited.extend(summary.citations.iter().filter(|n| !cited.contains(*n)).copied().collect::<Vec<_>>());
        }
    }
    cited
}

fn summary(join: Join, models: &[Arc<dyn ChatModel>], parts: Vec<Part>, started: Instant) -> JoinSummary {
    let fates = parts.into_iter().map(|part| part.fate.unwrap_or(Fate::Cancelled));
    JoinSummary {
        join,
        models: models.iter().map(|model| model.model().to_owned()).zip(fates).collect(),
        chosen: None,
        merged: None,
        citations: Vec::new(),
        judging: Vec::new(),
        ttft: None,
        took: started.elapsed(),
    }
}

fn all_failed(parts: &[Part]) -> ProviderError {
    let why = parts.iter().filter_map(|part| match &part.fate {
        Some(Fate::Failed(reason)) => Some(reason.as_str()),
        _ => None,
    });
    ProviderError::new("no model answered", ErrorKind::Unavailable, why.collect::<Vec<_>>().join("; "))
}
