//! The events that an answer consists of, and its summary. Every file of this room speaks in these; their JSON is in
//! [`wire`](super::wire). As they are, with `serde`, they go from one process to another of the same version and nothing is lost.

mod spent;

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::decide::{self, Decided};
use super::paid::Paid;
use super::proof::Doubt;
use super::question::EnsembleMode;
use super::source::Source;
use super::void::Judging;
use super::whole::{Estimate, WholeSummary};
use crate::providers::{ErrorKind, StopReason, Usage};

/// A piece of an answer: `Question` in a conversation, `Estimate` and `Reading` where it is about all documents, `Sources`, then
/// `Reasoning`, `Token` and `Citation` in the order of the answer, then `Done`. A `Fallback` may come before any of the latter. After
/// an `Err`, which may come at any point, nothing follows.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[allow(clippy::large_enum_variant, reason = "an answer has one end")]
#[non_exhaustive]
pub enum AnswerEvent {
    /// The question of a conversation is asked now.
    Question {
        /// The question itself.
        text: String,
        /// Searched for instead, where the question does not stand alone.
        search: Option<String>,
    },
    /// The question is about all documents: what it takes to read them, told before anything is paid for.
    Estimate(Estimate),
    /// Another part of all documents has been read.
    Reading {
        /// Parts that were read.
        read: u64,
        /// All of them.
        of: u64,
    },
    /// The sources that the answer may cite, best first. Empty when nothing was found.
    Sources {
        /// Numbered from 1.
        sources: Vec<Source>,
        /// The model whose turn it is; `None` when there is none. Where the passages do not hold the answer it is not asked: then the
        /// end is [`AnswerOutcome::Unanswerable`].
        model: Option<String>,
    },
    /// The model thinks aloud; not part of the answer.
    Reasoning(String),
    /// Something went otherwise than planned, and costs no answer: said once, after the sources.
    Note(String),
    /// Some of several indexes could not be asked, and why; with what else went otherwise: said once, after the sources, in the place
    /// of a `Note`.
    LeftOut(String),
    /// The answer is not written from all that the question is about: said once, after the sources.
    Incomplete(String),
    /// A piece of the answer.
    Token(String),
    /// A citation: a piece of the answer, too.
    Citation {
        /// As the model wrote it.
        text: String,
        /// The sources it names.
        sources: Vec<usize>,
        /// Numbers in it that no source has.
        unknown: Vec<usize>,
        /// What its claim says and these sources do not.
        #[serde(default)]
        doubts: Vec<Doubt>,
    },
    /// A model failed, and another answers in its stead; or the same, where what it wrote so far were its thoughts.
    Fallback {
        /// The model that failed, as `provider/model`.
        from: String,
        /// The one that answers now.
        to: String,
        /// Kind of failure, for a caller to decide on.
        kind: ErrorKind,
        /// The failure in words, with its causes.
        reason: String,
        /// There were pieces of the answer already: they are void, the answer begins anew.
        interrupted: bool,
    },
    /// The answer is complete.
    Done(AnswerSummary),
}

impl AnswerEvent {
    /// The same; where it is the end, with what was paid besides.
    pub(super) fn with(self, paid: impl FnOnce() -> Paid) -> Self {
        match self {
            Self::Done(summary) => Self::Done(summary.with(paid())),
            event => event,
        }
    }

    /// The piece of the answer that it is; empty for what is none.
    pub fn text(&self) -> &str {
        match self {
            Self::Token(text) | Self::Citation { text, .. } => text,
            _ => "",
        }
    }
}

/// How an answer ended and what it took.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct AnswerSummary {
    /// The model that wrote it, as `provider/model`; `None` when none did.
    pub model: Option<String>,
    /// The sources cited, in the order of their first use.
    pub citations: Vec<usize>,
    /// Numbers cited that no source has, ascending.
    pub unknown_citations: Vec<usize>,
    /// What it claims and the sources that it cites for it do not say, in its order.
    #[serde(default)]
    pub doubts: Vec<Doubt>,
    /// Tokens read and written, where the provider says so.
    pub usage: Usage,
    /// Cost in US dollars, where the price is known; decisions, what was in vain, and what it took to put the question count in as far
    /// as theirs is.
    #[serde(with = "super::exact")]
    pub cost_usd: Option<f64>,
    /// What decisions took, by models: those of a reranker, and of the model that decides. What is known of one is apart from what is not.
    #[serde(default)]
    pub decided: Vec<Decided>,
    /// What requests took whose replies were of no use, by models.
    #[serde(default)]
    pub void: Vec<Judging>,
    /// What it took to put the question, by models: to make a follow-up stand alone, and to embed it where that has a price.
    #[serde(default)]
    pub asking: Vec<Judging>,
    /// From the start of the request to the model to the first piece of the answer (reasoning is none); `None` without one.
    pub ttft: Option<Duration>,
    /// From the start of the search to the end.
    pub took: Duration,
    /// How it ended.
    pub outcome: AnswerOutcome,
    /// How probable it was, before a model was asked, that the passages hold the answer; `None` where nothing is known of that.
    #[serde(default)]
    pub answerable: Option<f64>,
    /// How all documents were read for it; `None` where it is written from the best passages.
    #[serde(default)]
    pub whole: Option<WholeSummary>,
}

impl AnswerSummary {
    /// The summary of an answer that no model wrote.
    pub(crate) fn without_model(outcome: AnswerOutcome, citations: Vec<usize>, took: Duration) -> Self {
        let usage = Usage::default();
        Self {
            model: None,
            citations,
            unknown_citations: Vec::new(),
            doubts: Vec::new(),
            usage,
            cost_usd: None,
            decided: Vec::new(),
            void: Vec::new(),
            asking: Vec::new(),
            ttft: None,
            took,
            outcome,
            answerable: None,
            whole: None,
        }
    }

    /// The same with what was paid besides.
    pub(super) fn with(mut self, paid: Paid) -> Self {
        let Paid { decided, void, asking } = paid;
        let costs = decided.iter().map(|one| one.cost_usd).chain(void.iter().chain(&asking).map(|one| one.cost_usd));
        for cost in costs.flatten() {
            // Without a model this is all that it cost.
            self.cost_usd = if self.model.is_none() { Some(self.cost_usd.unwrap_or(0.0)) } else { self.cost_usd };
            self.cost_usd = self.cost_usd.map(|sum| sum + cost);
        }
        decide::sum(&mut self.decided, decided);
        self.void.extend(void);
        self.asking.extend(asking);
        self
    }

    /// The models of which something was paid besides the answer, or may have been, that is not known and not in [`Self::cost_usd`].
    pub fn cost_unknown(&self) -> Vec<&str> {
        each_once(besides_unknown(&self.decided, self.void.iter().chain(&self.asking)))
    }

    /// A remark on its end that a person must read; `None` when all is well.
    pub fn note(&self) -> Option<Note> {
        match self.outcome {
            AnswerOutcome::Answered(StopReason::End) if self.ttft.is_none() => Some(Note::Empty),
            AnswerOutcome::Answered(StopReason::End) => None,
            AnswerOutcome::Answered(StopReason::Length) => Some(Note::Cut),
            AnswerOutcome::Answered(StopReason::Refused) => Some(Note::Filtered),
            AnswerOutcome::Passages => Some(Note::NoModel),
            AnswerOutcome::NothingFound => Some(Note::NothingFound),
            AnswerOutcome::Unanswerable => Some(Note::Unanswerable),
        }
    }
}

/// How an answer ended. Serialises as one word: "end", "length", "refused", "passages", "`nothing_found`" or "unanswerable".
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum AnswerOutcome {
    /// No model is set: the answer is the best passages themselves.
    Passages,
    /// The index holds nothing on the question; no model was asked.
    NothingFound,
    /// The passages that were found do not hold the answer, as far as can be told before a model is asked; none was.
    Unanswerable,
    /// A model wrote it, and stopped for this reason.
    #[serde(untagged)]
    Answered(StopReason),
}

/// A remark on the end of an answer, for people. Displays as a sentence, which is part of the wire.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Note {
    /// The model has said nothing.
    Empty,
    /// The tokens that it might have were not enough.
    Cut,
    /// The provider let it say no more.
    Filtered,
    /// No model is set.
    NoModel,
    /// The index holds nothing on the question.
    NothingFound,
    /// No model was asked, since the passages do not hold the answer.
    Unanswerable,
}

impl Note {
    /// The sentence.
    pub fn text(self) -> &'static str {
        match self {
            Self::Empty => "The model answered with nothing.",
            Self::Cut => "The answer was cut at max_tokens.",
            Self::Filtered => "The provider's filter stopped the answer.",
            Self::NoModel => {
                "No model wrote this answer: these are the passages that fit the question best. To have one answer, set \
                 OPENAI_API_KEY or ANTHROPIC_API_KEY, start Ollama, or name one with --model PROVIDER/MODEL."
            }
            Self::NothingFound => "Nothing was found on this question.",
            Self::Unanswerable => {
                "The documents do not seem to hold the answer, so no model was asked. To have one answer all the same: --anyway, \
                 /anyway in a chat, \"anyway\": true over HTTP."
            }
        }
    }
}

impl fmt::Display for Note {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.text())
    }
}

/// A piece of several answers. `Question` in a conversation, `Sources` next, `Done` last.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[non_exhaustive]
pub enum EnsembleEvent {
    /// As [`AnswerEvent::Question`].
    Question {
        /// The question itself.
        text: String,
        /// Searched for instead, where the question does not stand alone.
        search: Option<String>,
    },
    /// The sources that the answers may cite, best first. Empty when nothing was found, and then no model is asked.
    Sources {
        /// Numbered from 1.
        sources: Vec<Source>,
        /// The models, in the order of their [`Member::index`].
        models: Vec<String>,
    },
    /// `Reasoning`, `Token`, `Citation` or `Done` of one model's answer, or a `Fallback` from the model to itself.
    Part {
        /// The model.
        member: Member,
        /// A piece of its answer.
        event: AnswerEvent,
    },
    /// As [`AnswerEvent::Note`].
    Note(String),
    /// A model failed. What came of its answer is not complete.
    Failed {
        /// The model.
        member: Member,
        /// Kind of failure, for a caller to decide on.
        kind: ErrorKind,
        /// The failure in words, with its causes.
        reason: String,
    },
    /// A model's vote.
    Vote(Verdict),
    /// The judge's word.
    Verdict(Verdict),
    /// `Reasoning`, `Token`, `Citation` or `Fallback` of the merged answer.
    Merged(AnswerEvent),
    /// Nobody could judge or merge: the first answer stands.
    Undecided {
        /// Mode of the ensemble.
        mode: EnsembleMode,
        /// The last failure in words, with its causes.
        reason: String,
    },
    /// All is said.
    Done(EnsembleSummary),
}

/// One of an ensemble's models.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Member {
    /// Its place in [`Ensemble::models`](super::Ensemble::models), from 0.
    pub index: usize,
    /// Its name, as `provider/model`.
    pub model: Arc<str>,
}

/// A model's preference among several answers.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Verdict {
    /// The model that judged, as `provider/model`.
    pub by: String,
    /// The model whose answer it prefers.
    pub choice: Member,
    /// In its own words.
    pub why: String,
    /// Tokens it took to judge.
    pub usage: Usage,
    /// Cost in US dollars, where the price is known.
    #[serde(with = "super::exact")]
    pub cost_usd: Option<f64>,
}

/// How one of several models fared.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[allow(clippy::large_enum_variant, reason = "there are a few of them, and most have answered")]
#[non_exhaustive]
pub enum ModelOutcome {
    /// It has answered.
    Answered(AnswerSummary),
    /// It failed, and why.
    Failed(String),
    /// Another was faster.
    Cancelled,
    /// The same, before anything was sent to it: it costs nothing.
    Unsent,
}

impl ModelOutcome {
    /// The summary of its answer, if there is one.
    pub fn answer(&self) -> Option<&AnswerSummary> {
        match self {
            Self::Answered(summary) => Some(summary),
            Self::Failed(_) | Self::Cancelled | Self::Unsent => None,
        }
    }
}

/// How several answers ended and what they took.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct EnsembleSummary {
    /// Mode of the ensemble.
    pub mode: EnsembleMode,
    /// The models by name, in their order, and how they fared; empty when nothing was found and none was asked.
    pub models: Vec<(String, ModelOutcome)>,
    /// The index of the model whose answer is the joined one, if it is one model's.
    pub chosen: Option<usize>,
    /// The merged answer, if there is one.
    pub merged: Option<AnswerSummary>,
    /// Sources cited in the joined answer; with [`EnsembleMode::All`] in any, in the order of the models.
    pub citations: Vec<usize>,
    /// Tokens and money that verdicts took, in their order.
    pub judging: Vec<Judging>,
    /// What decisions took, by models, as in [`AnswerSummary::decided`].
    #[serde(default)]
    pub decided: Vec<Decided>,
    /// What requests took whose replies were of no use, by models: those of models that failed, too.
    #[serde(default)]
    pub void: Vec<Judging>,
    /// As [`AnswerSummary::asking`].
    #[serde(default)]
    pub asking: Vec<Judging>,
    /// From the requests to the first piece of the joined answer.
    pub ttft: Option<Duration>,
    /// From the start of the search to the end.
    pub took: Duration,
    /// As [`AnswerSummary::answerable`].
    #[serde(default)]
    pub answerable: Option<f64>,
    /// No model was asked for that reason; the sources are the nearest passages.
    #[serde(default)]
    pub refused: bool,
}

impl EnsembleSummary {
    /// The summary of a question on which nothing was found.
    pub(super) fn nothing_found(mode: EnsembleMode, took: Duration) -> Self {
        Self {
            mode,
            models: Vec::new(),
            chosen: None,
            merged: None,
            citations: Vec::new(),
            judging: Vec::new(),
            decided: Vec::new(),
            void: Vec::new(),
            asking: Vec::new(),
            ttft: None,
            took,
            answerable: None,
            refused: false,
        }
    }

    /// The joined answer, if it is one.
    pub fn answer(&self) -> Option<&AnswerSummary> {
        let chosen = || self.models.get(self.chosen?).and_then(|(_, outcome)| outcome.answer());
        self.merged.as_ref().or_else(chosen)
    }

    /// The same with what was paid besides.
    pub(super) fn with(mut self, paid: Paid) -> Self {
        let Paid { decided, void, asking } = paid;
        decide::sum(&mut self.decided, decided);
        self.void.extend(void);
        self.asking.extend(asking);
        self
    }
}

/// The models of decisions, and of other requests besides the answer, whose cost is not known.
fn besides_unknown<'a>(decided: &'a [Decided], others: impl Iterator<Item = &'a Judging>) -> impl Iterator<Item = &'a str> {
    let decided = decided.iter().filter(|one| one.cost_usd.is_none()).map(|one| one.model.as_str());
    decided.chain(others.filter(|one| one.cost_usd.is_none()).map(|one| one.model.as_str()))
}

fn each_once<'a>(models: impl Iterator<Item = &'a str>) -> Vec<&'a str> {
    let mut all = Vec::new();
    for model in models {
        if !all.contains(&model) {
            all.push(model);
        }
    }
    all
}
