//! What this user's commands ask through the socket in the home folder, and what they are told: everything, exactly, so that they
//! show it as if it had been found in their own process. Of no use to others: it is that of one version.

use std::num::NonZeroUsize;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::answer::{
    AnswerEvent, DedupedHit, Duplicates, Ensemble, EnsembleEvent, EnsembleMode, Exchange, ModelChoice, Question, Trace,
};
use crate::error::told::Told;
use crate::providers::ModelRef;
use crate::runtime::Status;

/// A request.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Request {
    /// The command's [`identity`](crate::serve::identity::identity), or those of its pipelines.
    pub(crate) identity: String,
    /// Nothing is answered without one of several indexes.
    #[serde(default)]
    pub(crate) needs_all: bool,
    pub(crate) wanted: Wanted,
}

/// What a command wants.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) enum Wanted {
    /// The index open, and nothing more.
    Open,
    Status,
    Search(Asked),
    /// A document's way to the sources, by its uri.
    Trace(Asked, String),
    Ask(Asked),
    AskAll(Asked, Several),
}

/// A question.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Asked {
    pub(crate) text: String,
    pub(crate) limit: Option<NonZeroUsize>,
    pub(crate) terms: Vec<String>,
    pub(crate) duplicates: Option<Duplicates>,
    pub(crate) model: Choice,
    pub(crate) fallback: Option<Vec<Choice>>,
    pub(crate) fallback_after: Option<Duration>,
    pub(crate) history: Option<Vec<Exchange>>,
    pub(crate) instructions: Option<String>,
    pub(crate) max_tokens: Option<u32>,
    pub(crate) temperature: Option<f32>,
    pub(crate) anyway: bool,
    #[serde(default)]
    pub(crate) untrimmed: bool,
    pub(crate) all: Option<bool>,
    #[serde(default)]
    pub(crate) refresh: bool,
}

/// Several models at once.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Several {
    pub(crate) models: Vec<Choice>,
    pub(crate) mode: EnsembleMode,
    pub(crate) judge: Option<Choice>,
}

/// A model.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum Choice {
    Planned,
    Named(ModelRef),
    /// One that the command has opened already: what is wrong with it is told when it is asked.
    Opened(ModelRef),
    Passages,
}

/// A line of the answer. Empty lines say that it goes on.
#[derive(Debug, PartialEq, Serialize, Deserialize)]
pub(crate) enum Line {
    /// The first: what is wanted is done here.
    Taken,
    /// The last, instead of all others but the first: it is not done here, and why.
    Declined(String),
    Status(Status),
    Note(String),
    Hit(DedupedHit),
    Traced(Option<Box<Trace>>),
    Answer(AnswerEvent),
    Answers(EnsembleEvent),
    /// The last: it failed.
    Failed(Told),
    /// The last: this was all.
    End,
}

impl From<&Question> for Asked {
    fn from(question: &Question) -> Self {
        let Question {
            text,
            limit,
            filter,
            duplicates,
            model,
            fallback,
            fallback_after,
            history,
            instructions,
            max_tokens,
            temperature,
            anyway,
            untrimmed,
            all,
            refresh,
        } = question;
        Self {
            text: text.clone(),
            limit: *limit,
            terms: filter.terms().iter().map(ToString::to_string).collect(),
            duplicates: *duplicates,
            model: model.into(),
            fallback: fallback.as_ref().map(|fallback| fallback.iter().map(Choice::from).collect()),
            fallback_after: *fallback_after,
            history: history.clone(),
            instructions: instructions.clone(),
            max_tokens: *max_tokens,
            temperature: *temperature,
            anyway: *anyway,
            untrimmed: *untrimmed,
            all: *all,
            refresh: *refresh,
        }
    }
}

impl From<&Ensemble> for Several {
    fn from(ensemble: &Ensemble) -> Self {
        let Ensemble { models, mode, judge } = ensemble;
        Self { models: models.iter().map(Choice::from).collect(), mode: *mode, judge: judge.as_ref().map(Choice::from) }
    }
}

impl From<&ModelChoice> for Choice {
    fn from(choice: &ModelChoice) -> Self {
        match choice {
            ModelChoice::Planned => Self::Planned,
            ModelChoice::Named(model) => Self::Named(model.clone()),
            ModelChoice::Own(model) => Self::Opened(ModelRef::named(model.model())),
            ModelChoice::Passages => Self::Passages,
        }
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a test may fail loudly")]
mod tests {
    use proptest::prelude::*;
    use uuid::Uuid;

    use super::*;
    use crate::answer::{AnswerOutcome, Leg, Legs};
    use crate::document::{Hit, Passage};
    use crate::providers::{ErrorKind, StopReason, Usage};

    fn again(line: &Line) -> Line {
        serde_json::from_str(&serde_json::to_string(line).unwrap()).unwrap()
    }

    fn hit(score: f32, text: &str) -> Hit {
        let passage = serde_json::json!({"uri": "文档/a.md", "start": 1, "end": 9, "lines": [1, 2], "index": 0, "text": text, "modified": 7});
        Hit { id: Uuid::from_u128(7), score, passage: serde_json::from_value::<Passage>(passage).unwrap(), pipeline: None }
    }

    fn done(cost: Option<f64>, outcome: AnswerOutcome) -> Line {
        let mut summary = crate::answer::AnswerSummary::without_model(outcome, vec![2, 1], Duration::from_nanos(1_234_567_891));
        (summary.cost_usd, summary.ttft) = (cost, Some(Duration::from_nanos(7)));
        summary.usage = Usage::new(Some(7), None);
        Line::Answer(AnswerEvent::Done(summary))
    }

    #[test]
    fn every_kind_of_line_comes_as_it_was_sent() {
        let outcomes = [StopReason::End, StopReason::Length, StopReason::Refused].map(AnswerOutcome::Answered);
        let lines = outcomes.into_iter().chain([AnswerOutcome::Passages, AnswerOutcome::NothingFound]).map(|o| done(None, o));
        let fallback = AnswerEvent::Fallback {
            from: "a/b".into(),
            to: "c/d".into(),
            kind: ErrorKind::QuotaSpent,
            reason: "密钥\n\"x\"".into(),
            interrupted: true,
        };
        for line in lines.chain([Line::Taken, Line::End, Line::Declined("why".into()), Line::Answer(fallback)]) {
            assert_eq!(again(&line), line);
        }
        let forever = Question { fallback_after: Some(Duration::MAX), ..Question::from("密钥?") };
        let wire = serde_json::to_string(&Wanted::Ask(Asked::from(&forever))).unwrap();
        let Wanted::Ask(asked) = serde_json::from_str(&wire).unwrap() else { unreachable!() };
        assert_eq!((asked.fallback_after, asked.text.as_str(), asked.model), (Some(Duration::MAX), "密钥?", Choice::Planned));
    }

    proptest! {
        /// What is printed of it is the same, to the last digit.
        #[test]
        fn numbers_come_as_they_were_sent(
            score in prop::num::f32::NORMAL | prop::num::f32::SUBNORMAL | prop::num::f32::ZERO,
            cost in prop::num::f64::POSITIVE,
            text in "\\PC{0,40}",
        ) {
            let legs = Legs { words: Some(Leg { rank: 3, score }), ..Legs::default() };
            let found = Line::Hit(DedupedHit { hit: hit(score, &text), copies: vec![hit(-score, "b")], legs });
            prop_assert_eq!(again(&found), found);
            let answered = done(Some(cost), AnswerOutcome::Passages);
            prop_assert_eq!(again(&answered), answered);
        }
    }
}
