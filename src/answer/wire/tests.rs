//! The lines are those that programs have always read.

use std::time::Duration;

use super::{BatchSummary, Failed, Line, Stage};
use crate::answer::{AnswerEvent, DedupedHit, EnsembleMode, samples};
use crate::error::Error;
use crate::providers::{ErrorKind, ProviderError, Usage};
use crate::vectordb::StoreError;

fn json(line: &Line<'_>) -> String {
    serde_json::to_string(line).unwrap_or_else(|error| error.to_string())
}

fn lines() -> Vec<String> {
    let mut lines = Vec::new();
    let mut refusal = ProviderError::new("double", ErrorKind::Auth, "wrong key");
    refusal.hint = Some("set DOUBLE_KEY".into());
    let asked = |search: Option<&str>| AnswerEvent::Question { text: "and now?".into(), search: search.map(str::to_owned) };
    let mut answers = vec![vec![asked(None), asked(Some("What is it now?"))], samples::answer()];
    answers.extend(samples::ends());
    lines.extend(answers.iter().flatten().filter_map(AnswerEvent::line).map(|line| json(&line)));
    for error in [
        Error::from(refusal),
        Error::from(StoreError::Missing { store: "x".into() }),
        Error::io("open", "a.txt", std::io::Error::from(std::io::ErrorKind::NotFound)),
    ] {
        lines.push(json(&Line::from(&error)));
    }
    let modes = [EnsembleMode::All, EnsembleMode::First, EnsembleMode::Vote, EnsembleMode::Best, EnsembleMode::Merge];
    let ensembles = modes.into_iter().flat_map(samples::ensemble);
    for event in ensembles.chain(samples::nothing_for_an_ensemble()) {
        lines.extend(event.line().map(|line| json(&line)));
    }
    let hit = samples::hit();
    lines.push(json(&Line::hit(&hit, 1, None)));
    let alone = DedupedHit::from(hit.hit);
    lines.push(json(&Line::hit(&alone, 2, Some("q1"))));
    let error = || "no \"such\" thing".into();
    for failed in [
        Failed { query_id: Some("q1"), error: error(), ..Failed::default() },
        Failed { line: Some(3), error: error(), ..Failed::default() },
        Failed { line: Some(3), stage: Some(Stage::Read), error: error(), ..Failed::default() },
        Failed { id: Some("q1"), stage: Some(Stage::Retrieve), error: error(), ..Failed::default() },
    ] {
        lines.push(json(&Line::Failed(failed)));
    }
    let summary = BatchSummary {
        questions: 3,
        answered: 2,
        known: 1,
        failed: 1,
        not_asked: 0,
        cost_usd: None,
        usage: Usage::new(Some(5), None),
        seconds: Duration::from_micros(1_234_567),
    };
    lines.push(json(&Line::Summary(summary)));
    lines.push(json(&Line::Note { message: "Saved to t.md.", query_id: None }));
    lines.push(json(&Line::Error { message: "there is no /x".into(), kind: "bad_command", hint: None }));
    lines
}

#[test]
fn every_line_is_as_it_has_always_been() {
    let golden: Vec<&str> = include_str!("golden.jsonl").lines().collect();
    let lines = lines();
    for (line, golden) in lines.iter().zip(&golden) {
        assert_eq!(line, golden);
    }
    assert_eq!(lines.len(), golden.len());
}
