//! Events of every kind, for tests of how they are written and shown.

use std::time::Duration;

use super::{
    AnswerEvent, AnswerOutcome, AnswerSummary, DedupedHit, EnsembleEvent, EnsembleMode, EnsembleSummary, Judging, Leg, Legs,
    Member, ModelOutcome, Source, Verdict,
};
use crate::document::{Hit, Metadata, Passage};
use crate::providers::{ErrorKind, StopReason, Usage};

/// A source; the first has a title and headings.
pub(crate) fn source(n: usize, score: f32) -> Source {
    let headings = if n == 1 { vec!["Keys".into(), "Rotate \"now\"".into()] } else { Vec::new() };
    Source {
        n,
        uri: "docs/密钥.md".into(),
        title: (n == 1).then(|| "Keys".into()),
        headings,
        pipeline: None,
        columns: None,
        page: None,
        anchor: None,
        start: 120,
        end: 144,
        lines: (10, 11),
        score,
        text: "Rotate keys\nevery month.".into(),
        copies: Vec::new(),
    }
}

fn usage(input: u64, output: u64) -> Usage {
    Usage::new(Some(input), Some(output))
}

/// The summary of an answer that cites two sources.
pub(crate) fn summary(model: Option<&str>, outcome: AnswerOutcome, ttft: Option<u64>) -> AnswerSummary {
    AnswerSummary {
        model: model.map(str::to_owned),
        citations: vec![1, 2],
        unknown_citations: Vec::new(),
        doubts: Vec::new(),
        usage: usage(120, 9),
        cost_usd: Some(0.00013),
        decided: Vec::new(),
        void: Vec::new(),
        asking: Vec::new(),
        ttft: ttft.map(Duration::from_micros),
        took: Duration::from_micros(7_123_456),
        outcome,
        answerable: None,
        whole: None,
    }
}

fn token(text: &str) -> AnswerEvent {
    AnswerEvent::Token(text.into())
}

fn citation(text: &str, sources: &[usize], unknown: &[usize]) -> AnswerEvent {
    AnswerEvent::Citation { text: text.into(), sources: sources.to_vec(), unknown: unknown.to_vec(), doubts: Vec::new() }
}

fn fallback(from: &str, to: &str, kind: ErrorKind, reason: &str, interrupted: bool) -> AnswerEvent {
    AnswerEvent::Fallback { from: from.into(), to: to.into(), kind, reason: reason.into(), interrupted }
}

/// An answer that two models break off.
pub(crate) fn answer() -> Vec<AnswerEvent> {
    let summary = summary(Some("p/c"), AnswerOutcome::Answered(StopReason::End), Some(400_600));
    vec![
        AnswerEvent::Sources { sources: vec![source(1, 0.83), source(2, 0.5)], model: Some("p/a".into()) },
        AnswerEvent::Reasoning("hm".into()),
        token("Every \"month\" "),
        citation("[1]", &[1], &[]),
        citation("[1, 7]", &[1], &[7]),
        fallback("p/a", "p/b", ErrorKind::Network, "p: reset", true),
        fallback("p/b", "p/c", ErrorKind::RateLimited, "p: slow down", false),
        token("Again [2]."),
        AnswerEvent::Done(AnswerSummary { unknown_citations: vec![7], ..summary }),
    ]
}

/// An answer without a word, for each way to end.
pub(crate) fn ends() -> Vec<Vec<AnswerEvent>> {
    let answered = [StopReason::End, StopReason::Length, StopReason::Refused].map(AnswerOutcome::Answered);
    let outcomes =
        answered.into_iter().chain([AnswerOutcome::Passages, AnswerOutcome::NothingFound, AnswerOutcome::Unanswerable]);
    let end = |outcome| {
        let model = matches!(outcome, AnswerOutcome::Answered(_)).then_some("p/a");
        let sources = if outcome == AnswerOutcome::NothingFound { Vec::new() } else { vec![source(1, 0.83)] };
        let summary = summary(model, outcome, None);
        let summary = AnswerSummary { cost_usd: None, usage: Usage::default(), citations: Vec::new(), ..summary };
        // One that would have been asked.
        let model = if outcome == AnswerOutcome::Unanswerable { Some("p/a") } else { model };
        vec![AnswerEvent::Sources { sources, model: model.map(str::to_owned) }, AnswerEvent::Done(summary)]
    };
    outcomes.map(end).collect()
}

const NAMES: [&str; 4] = ["p/a", "p/b", "p/c", "p/d"];

fn member(index: usize) -> Member {
    Member { index, model: NAMES.get(index).copied().unwrap_or_default().into() }
}

/// The answers of four models, one of which fails and one is cancelled, as far as a mode has it so.
pub(crate) fn ensemble(mode: EnsembleMode) -> Vec<EnsembleEvent> {
    let part = |index, event| EnsembleEvent::Part { member: member(index), event };
    let cut = AnswerOutcome::Answered(StopReason::Length);
    let cut = AnswerSummary { cost_usd: Some(0.000_312), ..summary(Some("p/a"), cut, Some(400_600)) };
    let ended = summary(Some("p/b"), AnswerOutcome::Answered(StopReason::End), Some(1000));
    let ended = AnswerSummary { cost_usd: Some(0.000_156), unknown_citations: vec![9], ..ended };
    let mut events = vec![
        EnsembleEvent::Sources { sources: vec![source(1, 0.83)], models: NAMES.map(str::to_owned).to_vec() },
        part(1, AnswerEvent::Reasoning("hm".into())),
        part(1, token("B says ")),
        part(0, token("A says ")),
        part(0, citation("[1]", &[1], &[])),
        part(1, citation("[9]", &[], &[9])),
        part(0, AnswerEvent::Done(cut.clone())),
        EnsembleEvent::Failed { member: member(2), kind: ErrorKind::Auth, reason: "p: wrong key".into() },
        part(1, AnswerEvent::Done(ended.clone())),
    ];
    let mut done = EnsembleSummary {
        mode,
        models: vec![
            ("p/a".into(), ModelOutcome::Answered(cut)),
            ("p/b".into(), ModelOutcome::Answered(ended)),
            ("p/c".into(), ModelOutcome::Failed("p: wrong key".into())),
            ("p/d".into(), ModelOutcome::Cancelled),
        ],
        chosen: None,
        merged: None,
        citations: vec![1],
        judging: Vec::new(),
        decided: Vec::new(),
        void: Vec::new(),
        asking: Vec::new(),
        ttft: Some(Duration::from_millis(12)),
        took: Duration::from_micros(9_000_400),
        answerable: None,
        refused: false,
    };
    match mode {
        EnsembleMode::All | EnsembleMode::First => {}
        EnsembleMode::Vote => {
            let (usage, cost_usd) = (usage(5, 6), Some(0.000_033));
            let (by, why) = ("p/j".to_owned(), "It is\nexact.".to_owned());
            let verdict = Verdict { by, choice: member(1), why, usage, cost_usd };
            events.extend([EnsembleEvent::Vote(verdict.clone()), EnsembleEvent::Verdict(verdict)]);
            done.judging = vec![Judging { model: "p/j".into(), usage, cost_usd }; 2];
            done.chosen = Some(1);
        }
        EnsembleMode::Best => {
            events.push(EnsembleEvent::Undecided { mode, reason: "p: no".into() });
            done.models.truncate(2);
            done.chosen = Some(0);
        }
        EnsembleMode::Merge => {
            let merged = [
                AnswerEvent::Reasoning("hm".into()),
                token("Merged "),
                fallback("p/a", "p/b", ErrorKind::Timeout, "p: silent", true),
                citation("[1, 3]", &[1], &[3]),
            ];
            events.extend(merged.map(EnsembleEvent::Merged));
            let merged = summary(Some("p/b"), AnswerOutcome::Answered(StopReason::End), Some(5));
            done.merged = Some(AnswerSummary { cost_usd: Some(0.000_156), ..merged });
            done.models.truncate(2);
        }
    }
    events.push(EnsembleEvent::Done(done));
    events
}

/// Four models that are not asked, since nothing was found.
pub(crate) fn nothing_for_an_ensemble() -> Vec<EnsembleEvent> {
    let models = NAMES.map(str::to_owned).to_vec();
    let done = EnsembleSummary::nothing_found(EnsembleMode::All, Duration::from_millis(3));
    vec![EnsembleEvent::Sources { sources: Vec::new(), models }, EnsembleEvent::Done(done)]
}

/// A passage that was found, with a copy.
pub(crate) fn hit() -> DedupedHit {
    let Source { uri, title, headings, start, end, lines, score, text, .. } = source(1, 0.83);
    let passage = Passage {
        columns: None,
        page: None,
        anchor: None,
        context: None,
        uri,
        start,
        end,
        lines,
        index: 0,
        title,
        headings,
        text,
        modified: 0,
        lang: None,
        source: None,
        metadata: Metadata::default(),
    };
    let hit = Hit { id: uuid::Uuid::nil(), score, passage, pipeline: None };
    let mut copy = hit.clone();
    copy.passage.uri = "old/keys.md".into();
    let legs = Legs { vector: Some(Leg { rank: 2, score: 0.83 }), words: Some(Leg { rank: 1, score: 4.5 }), ..Legs::default() };
    DedupedHit { hit, copies: vec![copy], legs }
}
