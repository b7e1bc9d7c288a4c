//! The JSON of answers, an object a line: what `--json` prints, and what a service sends. No other place says how it looks, save
//! that a batch's answers are lines of their file as well ([`record`](super::record)).
//!
//! Fields stand in the order of the contract. One that is not there has nothing to say where the contract leaves it out; elsewhere
//! it is null.

mod decided;
mod figures;
#[cfg(test)]
mod tests;

use std::borrow::Cow;
use std::time::Duration;

use schemars::JsonSchema;
use serde::Serialize;

use self::decided::{AskingLine, DecidedLine};
pub(super) use self::figures::seconds;
use self::figures::{as_seconds, hundredths, millis};
use super::duplicates::DedupedHit;
use super::event::{AnswerEvent, AnswerOutcome, AnswerSummary, EnsembleEvent, EnsembleSummary, ModelOutcome, Verdict};
use super::legs::Legs;
use super::link;
use super::proof::Doubt;
use super::question::EnsembleMode;
use super::source::Source;
use super::whole::{Estimate, WholeSummary};
use crate::document::Hit;
use crate::error::{Error, reason};
use crate::providers::{StopReason, Usage};

/// A line. `type` says which.
#[derive(Debug, Serialize, JsonSchema)]
#[serde(tag = "type", rename_all = "snake_case")]
#[non_exhaustive]
pub enum Line<'a> {
    /// A question of a conversation, and what is searched for.
    Question {
        /// The question itself.
        question: &'a str,
        /// The same as it stands alone.
        search: &'a str,
    },
    /// What it takes to read all documents.
    Estimate(&'a Estimate),
    /// Another part of all documents has been read.
    Progress {
        /// Parts that were read.
        read: u64,
        /// All of them.
        of: u64,
    },
    /// The sources that the answer may cite.
    Sources {
        /// Numbered from 1, best first.
        sources: Vec<SourceLine<'a>>,
        /// The models, where several are asked.
        #[serde(skip_serializing_if = "Option::is_none")]
        models: Option<&'a [String]>,
    },
    /// A piece of the answer.
    Token {
        /// The piece.
        text: &'a str,
        /// Numbers in a citation that no source has.
        #[serde(skip_serializing_if = "<[usize]>::is_empty")]
        unknown_citations: &'a [usize],
        /// What the claim of a citation says and its sources do not.
        #[serde(skip_serializing_if = "<[Doubt]>::is_empty")]
        doubts: &'a [Doubt],
        /// The model that wrote it, where several are asked.
        #[serde(skip_serializing_if = "Option::is_none")]
        model: Option<&'a str>,
        /// "merge", where it is a piece of a merged answer.
        #[serde(skip_serializing_if = "Option::is_none")]
        join: Option<EnsembleMode>,
    },
    /// Another model answers in place of one that had not begun to.
    Fallback(Takeover<'a>),
    /// The same, of one that had: its pieces are void.
    Interrupted(Takeover<'a>),
    /// A model's vote.
    Vote(Preference<'a>),
    /// The judge's word.
    Verdict(Preference<'a>),
    /// Nobody could judge or merge.
    Undecided {
        /// Mode of the ensemble.
        join: EnsembleMode,
        /// The last failure.
        error: &'a str,
    },
    /// A part has failed, and the others go on.
    Failed(Failed<'a>),
    /// The answer is complete.
    Done(Done<'a>),
    /// There is no answer, or no more of it.
    Error {
        /// The failure in words, with its causes.
        message: Cow<'a, str>,
        /// A stable word, for programs to decide on.
        kind: &'a str,
        /// A remedy.
        #[serde(skip_serializing_if = "Option::is_none")]
        hint: Option<String>,
    },
    /// A passage that was found.
    Hit(HitLine<'a>),
    /// The end of a batch of questions.
    Summary(BatchSummary),
    /// A remark: of the chat, or that something went otherwise than planned and cost no answer.
    Note {
        /// The words.
        message: &'a str,
        /// The query that it is about, where there are several.
        #[serde(skip_serializing_if = "Option::is_none")]
        query_id: Option<&'a str>,
    },
}

/// A source, and the address that opens it where it stands.
#[derive(Debug, Serialize, JsonSchema)]
pub struct SourceLine<'a> {
    #[serde(flatten)]
    source: &'a Source,
    #[serde(skip_serializing_if = "Option::is_none")]
    link: Option<String>,
}

impl<'a> From<&'a Source> for SourceLine<'a> {
    fn from(source: &'a Source) -> Self {
        Self { source, link: source.link() }
    }
}

/// A model that takes over from another.
#[derive(Debug, Serialize, JsonSchema)]
pub struct Takeover<'a> {
    from: &'a str,
    to: &'a str,
    error: &'a str,
    kind: &'static str,
}

/// A model's preference among several answers.
#[derive(Debug, Serialize, JsonSchema)]
pub struct Preference<'a> {
    model: &'a str,
    choice: &'a str,
    why: &'a str,
}

/// A failed part: a model, a question by its id, a query by its id, or a line of a file.
#[derive(Debug, Default, Serialize, JsonSchema)]
pub struct Failed<'a> {
    /// One of several models.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub model: Option<&'a str>,
    /// A question of a batch.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub id: Option<&'a str>,
    /// A query of a file.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub query_id: Option<&'a str>,
    /// A line of the file, from 1.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub line: Option<u64>,
    /// The step that failed.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub stage: Option<Stage>,
    /// The cause.
    pub error: Cow<'a, str>,
    /// A stable word, for programs to decide on.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub kind: Option<&'static str>,
}

/// A step of answering that can fail.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Stage {
    /// Reading the question.
    Read,
    /// Finding passages.
    Retrieve,
    /// Having the model answer.
    Answer,
}

/// How an answer ended.
#[derive(Debug, Serialize, JsonSchema)]
pub struct Done<'a> {
    #[serde(skip_serializing_if = "Option::is_none")]
    join: Option<EnsembleMode>,
    model: Option<&'a str>,
    citations: &'a [usize],
    #[serde(skip_serializing_if = "Option::is_none")]
    models: Option<Vec<MemberLine<'a>>>,
    usage: Usage,
    cost_usd: Option<f64>,
    /// Models of which something was paid, or may have been, that nobody knows: it is not in `cost_usd`. Empty where that is `null`.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    cost_unknown: Vec<&'a str>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    decided: Vec<DecidedLine<'a>>,
    /// What it took to put the question: to make a follow-up stand alone, and to embed it.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    asking: Vec<AskingLine<'a>>,
    ttft_ms: Option<u64>,
    seconds: f64,
    stop: AnswerOutcome,
    /// How probable it was that the passages hold the answer, where that is known.
    #[serde(skip_serializing_if = "Option::is_none")]
    answerable: Option<f64>,
    #[serde(skip_serializing_if = "<[usize]>::is_empty")]
    unknown_citations: &'a [usize],
    #[serde(skip_serializing_if = "<[Doubt]>::is_empty")]
    doubts: &'a [Doubt],
    /// How all documents were read for it.
    #[serde(skip_serializing_if = "Option::is_none")]
    whole: Option<WholeSummary>,
    #[serde(skip_serializing_if = "Option::is_none")]
    note: Option<&'static str>,
}

/// How one of several models fared.
#[derive(Debug, Serialize, JsonSchema)]
struct MemberLine<'a> {
    model: &'a str,
    #[serde(flatten)]
    state: MemberState<'a>,
}

#[derive(Debug, Serialize, JsonSchema)]
#[serde(tag = "state", rename_all = "snake_case")]
enum MemberState<'a> {
    Answered {
        ttft_ms: Option<u64>,
        seconds: f64,
        usage: Usage,
        cost_usd: Option<f64>,
    },
    Failed {
        error: &'a str,
    },
    Cancelled {
        /// Told where nothing was sent: 0.
        #[serde(skip_serializing_if = "Option::is_none")]
        cost_usd: Option<f64>,
    },
}

/// A passage that was found.
#[derive(Debug, Serialize, JsonSchema)]
pub struct HitLine<'a> {
    #[serde(skip_serializing_if = "Option::is_none")]
    query_id: Option<&'a str>,
    rank: usize,
    score: f32,
    uri: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    pipeline: Option<&'a str>,
    title: Option<&'a str>,
    headings: &'a [String],
    #[serde(skip_serializing_if = "Option::is_none")]
    columns: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    page: Option<u32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    anchor: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    link: Option<String>,
    start: u64,
    end: u64,
    lines: (u32, u32),
    text: &'a str,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    copies: Vec<CopyLine<'a>>,
    #[serde(skip_serializing_if = "Legs::is_empty")]
    legs: Legs,
}

/// Where a passage lies that says nearly the same.
#[derive(Debug, Serialize, JsonSchema)]
struct CopyLine<'a> {
    uri: &'a str,
    start: u64,
    end: u64,
    lines: (u32, u32),
}

/// The end of a batch of questions.
#[derive(Debug, Clone, PartialEq, Serialize, JsonSchema)]
pub struct BatchSummary {
    /// All of them.
    pub questions: usize,
    /// That have an answer now.
    pub answered: u64,
    /// Of those, answered by an earlier run or as another's equal.
    pub known: u64,
    /// That have none: bad lines, too.
    pub failed: u64,
    /// That were not asked.
    pub not_asked: usize,
    /// Cost of the answers in US dollars; `None` where that is not known of one, or none came of what was asked.
    pub cost_usd: Option<f64>,
    /// Tokens of the answers; likewise.
    pub usage: Usage,
    /// How long it took.
    #[serde(serialize_with = "as_seconds")]
    #[schemars(with = "f64")]
    pub seconds: Duration,
}

impl AnswerEvent {
    /// The line of it; `None` for thoughts, which are not part of the answer.
    pub fn line(&self) -> Option<Line<'_>> {
        Some(match self {
            Self::Question { text, search } => asked(text, search.as_deref()),
            Self::Sources { sources, .. } => {
                Line::Sources { sources: sources.iter().map(SourceLine::from).collect(), models: None }
            }
            Self::Estimate(estimate) => Line::Estimate(estimate),
            Self::Reading { read, of } => Line::Progress { read: *read, of: *of },
            Self::Reasoning(_) => return None,
            Self::Note(message) | Self::LeftOut(message) | Self::Incomplete(message) => Line::Note { message, query_id: None },
            Self::Token(text) => token(text, &[], &[]),
            Self::Citation { text, unknown, doubts, .. } => token(text, unknown, doubts),
            Self::Fallback { from, to, kind, reason, interrupted } => {
                let takeover = Takeover { from, to, error: reason, kind: kind.code() };
                if *interrupted { Line::Interrupted(takeover) } else { Line::Fallback(takeover) }
            }
            Self::Done(summary) => Line::Done(summary.into()),
        })
    }
}

impl EnsembleEvent {
    /// The line of it; `None` for thoughts, which are not part of an answer.
    pub fn line(&self) -> Option<Line<'_>> {
        Some(match self {
            Self::Question { text, search } => asked(text, search.as_deref()),
            Self::Sources { sources, models } => {
                Line::Sources { sources: sources.iter().map(SourceLine::from).collect(), models: Some(models) }
            }
            Self::Part { member, event } => match event.line()? {
                Line::Token { text, unknown_citations, doubts, .. } => {
                    Line::Token { text, unknown_citations, doubts, model: Some(&member.model), join: None }
                }
                line => line,
            },
            Self::Failed { member, kind, reason } => Line::Failed(Failed {
                model: Some(&member.model),
                stage: Some(Stage::Answer),
                error: reason.into(),
                kind: Some(kind.code()),
                ..Failed::default()
            }),
            Self::Note(message) => Line::Note { message, query_id: None },
            Self::Vote(verdict) => Line::Vote(verdict.into()),
            Self::Verdict(verdict) => Line::Verdict(verdict.into()),
            Self::Merged(event) => match event.line()? {
                Line::Token { text, unknown_citations, doubts, .. } => {
                    Line::Token { text, unknown_citations, doubts, model: None, join: Some(EnsembleMode::Merge) }
                }
                line => line,
            },
            Self::Undecided { mode, reason } => Line::Undecided { join: *mode, error: reason },
            Self::Done(summary) => Line::Done(summary.into()),
        })
    }
}

impl<'a> Line<'a> {
    /// The line of a passage at this rank, from 1; labelled with its query's id where there are several queries.
    pub fn hit(found: &'a DedupedHit, rank: usize, query_id: Option<&'a str>) -> Self {
        let Hit { score, passage, pipeline, .. } = &found.hit;
        Self::Hit(HitLine {
            query_id,
            rank,
            score: *score,
            uri: &passage.uri,
            pipeline: pipeline.as_deref(),
            title: passage.title.as_deref(),
            headings: &passage.headings,
            columns: passage.columns.as_deref(),
            page: passage.page,
            anchor: passage.anchor.as_deref(),
            link: link::of(passage),
            start: passage.start,
            end: passage.end,
            lines: passage.lines,
            text: &passage.text,
            copies: found.copies.iter().map(CopyLine::from).collect(),
            legs: found.legs,
        })
    }
}

impl<'a> From<&'a Error> for Line<'a> {
    fn from(error: &'a Error) -> Self {
        Self::Error { message: reason(error).into(), kind: error.code(), hint: error.hint() }
    }
}

impl<'a> From<&'a Verdict> for Preference<'a> {
    fn from(verdict: &'a Verdict) -> Self {
        Self { model: &verdict.by, choice: &verdict.choice.model, why: &verdict.why }
    }
}

impl<'a> From<&'a Hit> for CopyLine<'a> {
    fn from(hit: &'a Hit) -> Self {
        let passage = &hit.passage;
        Self { uri: &passage.uri, start: passage.start, end: passage.end, lines: passage.lines }
    }
}

impl<'a> From<&'a AnswerSummary> for Done<'a> {
    fn from(summary: &'a AnswerSummary) -> Self {
        Self {
            join: None,
            model: summary.model.as_deref(),
            citations: &summary.citations,
            models: None,
            usage: summary.usage,
            cost_usd: summary.cost_usd,
            cost_unknown: summary.cost_usd.map(|_| summary.cost_unknown()).unwrap_or_default(),
            decided: DecidedLine::each(&summary.decided),
            asking: AskingLine::each(&summary.asking),
            ttft_ms: millis(summary.ttft),
            seconds: seconds(summary.took),
            stop: summary.outcome,
            answerable: summary.answerable.map(hundredths),
            unknown_citations: &summary.unknown_citations,
            doubts: &summary.doubts,
            whole: summary.whole,
            note: summary.note().map(super::event::Note::text),
        }
    }
}

impl<'a> From<&'a EnsembleSummary> for Done<'a> {
    fn from(summary: &'a EnsembleSummary) -> Self {
        let (usage, cost_usd) = summary.spent();
        let answer = summary.answer();
        let stop = match answer {
            _ if summary.refused => AnswerOutcome::Unanswerable,
            _ if summary.models.is_empty() => AnswerOutcome::NothingFound,
            Some(answer) => answer.outcome,
            None => AnswerOutcome::Answered(StopReason::End),
        };
        Self {
            join: Some(summary.mode),
            model: answer.and_then(|answer| answer.model.as_deref()),
            citations: &summary.citations,
            models: Some(summary.models.iter().map(|(model, outcome)| member(model, outcome)).collect()),
            usage,
            cost_usd,
            cost_unknown: cost_usd.map(|_| summary.cost_unknown()).unwrap_or_default(),
            decided: DecidedLine::each(&summary.decided),
            asking: AskingLine::each(&summary.asking),
            ttft_ms: millis(summary.ttft),
            seconds: seconds(summary.took),
            stop,
            answerable: summary.answerable.map(hundredths),
            unknown_citations: answer.map_or(&[], |answer| &answer.unknown_citations),
            doubts: answer.map_or(&[], |answer| &answer.doubts),
            whole: None,
            note: summary.refused.then(|| super::event::Note::Unanswerable.text()),
        }
    }
}

fn asked<'a>(question: &'a str, search: Option<&'a str>) -> Line<'a> {
    Line::Question { question, search: search.unwrap_or(question) }
}

fn token<'a>(text: &'a str, unknown_citations: &'a [usize], doubts: &'a [Doubt]) -> Line<'a> {
    Line::Token { text, unknown_citations, doubts, model: None, join: None }
}

fn member<'a>(model: &'a str, outcome: &'a ModelOutcome) -> MemberLine<'a> {
    let state = match outcome {
        ModelOutcome::Failed(error) => MemberState::Failed { error },
        ModelOutcome::Cancelled => MemberState::Cancelled { cost_usd: None },
        ModelOutcome::Unsent => MemberState::Cancelled { cost_usd: Some(0.0) },
        ModelOutcome::Answered(summary) => MemberState::Answered {
            ttft_ms: millis(summary.ttft),
            seconds: seconds(summary.took),
            usage: summary.usage,
            cost_usd: summary.cost_usd,
        },
    };
    MemberLine { model, state }
}
