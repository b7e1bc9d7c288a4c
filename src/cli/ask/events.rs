//! What an answer says to programs: the JSON events, and the words in them that they decide on.

use std::fmt::Write as _;

use serde_json::{Value, json};

use super::note;
use crate::answer::{Outcome, Summary};
use crate::error::Error;
use crate::providers::{ErrorKind, StopReason};
use crate::vectordb::StoreError;

/// The JSON event of an error: `message` with all its causes, `kind`, and `hint` where there is one.
pub fn failure(error: &Error) -> Value {
    let mut message = error.to_string();
    let mut cause = std::error::Error::source(error);
    while let Some(error) = cause {
        let said = error.to_string();
        // A cause that is already quoted above says nothing new.
        if !message.contains(&said) {
            let _ = write!(message, ": {said}");
        }
        cause = error.source();
    }
    let mut line = json!({"type": "error", "message": message, "kind": kind(error)});
    if let (Some(hint), Some(line)) = (error.hint(), line.as_object_mut()) {
        line.insert("hint".into(), hint.into());
    }
    line
}

/// What a program decides on.
fn kind(error: &Error) -> &'static str {
    match error {
        Error::Provider(error) => provider_kind(error.kind),
        Error::Store(error) => match error {
            StoreError::Locked { .. } => "index_locked",
            StoreError::Mismatch { .. } | StoreError::Layout { .. } => "index_mismatch",
            StoreError::Missing { .. } => "index_missing",
            StoreError::Unavailable { .. } => "store_unavailable",
            StoreError::Failed { .. } => "store_failed",
        },
        Error::Io { .. } => "io",
        Error::Ledger(_) => "ledger_failed",
        Error::Question(_) => "bad_question",
        Error::Worker { .. } => "internal",
    }
}

/// The same of a provider's failure.
pub(in crate::cli) fn provider_kind(kind: ErrorKind) -> &'static str {
    match kind {
        ErrorKind::RateLimited => "rate_limited",
        ErrorKind::Unavailable => "unavailable",
        ErrorKind::Network => "network",
        ErrorKind::Timeout => "timeout",
        ErrorKind::Auth => "auth",
        ErrorKind::QuotaSpent => "quota_spent",
        ErrorKind::NotFound => "not_found",
        ErrorKind::InvalidInput => "invalid_input",
        ErrorKind::BadAnswer => "bad_answer",
        ErrorKind::ModelMissing => "model_missing",
    }
}

/// Why an answer ended, as a word for programs.
pub(in crate::cli) fn stop(outcome: Outcome) -> &'static str {
    match outcome {
        Outcome::Answered(StopReason::End) => "end",
        Outcome::Answered(StopReason::Length) => "length",
        Outcome::Answered(StopReason::Refused) => "refused",
        Outcome::Passages => "passages",
        Outcome::NothingFound => "nothing_found",
    }
}

/// What takes over from a model that failed: `interrupted` when there were pieces of its answer, which are void, else `fallback`.
pub(super) fn takeover(from: &str, to: &str, kind: ErrorKind, reason: &str, interrupted: bool) -> Value {
    let what = if interrupted { "interrupted" } else { "fallback" };
    json!({"type": what, "from": from, "to": to, "error": reason, "kind": provider_kind(kind)})
}

pub(in crate::cli) fn done(summary: &Summary) -> Value {
    let Summary { model, citations, unknown_citations, usage, cost_usd, ttft, took, outcome } = summary;
    let mut line = json!({
        "type": "done",
        "model": model,
        "citations": citations,
        "usage": {"input_tokens": usage.input_tokens, "output_tokens": usage.output_tokens},
        "cost_usd": cost_usd,
        "ttft_ms": ttft.map(|ttft| ttft.as_millis() as u64),
        "seconds": (took.as_secs_f64() * 1000.0).round() / 1000.0,
        "stop": stop(*outcome),
    });
    if let Some(line) = line.as_object_mut() {
        if !unknown_citations.is_empty() {
            line.insert("unknown_citations".into(), json!(unknown_citations));
        }
        if let Some(note) = note(summary) {
            line.insert("note".into(), note.into());
        }
    }
    line
}
