//! What an answer says to programs: the JSON events, and the words in them that they decide on.

use serde_json::{Value, json};

use super::note;
use crate::answer::{Outcome, Summary};
use crate::error::{Error, reason};
use crate::providers::{ErrorKind, StopReason};

/// The JSON event of an error: `message` with all its causes, `kind`, and `hint` where there is one.
pub fn failure(error: &Error) -> Value {
    let mut line = json!({"type": "error", "message": reason(error), "kind": error.code()});
    if let (Some(hint), Some(line)) = (error.hint(), line.as_object_mut()) {
        line.insert("hint".into(), hint.into());
    }
    line
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
    json!({"type": what, "from": from, "to": to, "error": reason, "kind": kind.code()})
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
