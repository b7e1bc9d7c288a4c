//! What an ingest has spent: told of one that ends well, and of one that fails.

use super::numbers::{counted, grouped};
use crate::error::Error;
use crate::ingest::report::{Contexts, Embeddings, Report, Spent};

/// An ingest that failed, with what was spent before.
#[derive(Debug, thiserror::Error)]
#[error("{error}")]
pub(super) struct UnfinishedRun {
    /// Why it failed.
    #[source]
    error: Error,
    pub spent: Spent,
}

impl UnfinishedRun {
    /// The error of a run that has counted this.
    pub fn new(error: Error, report: &Report) -> Self {
        Self { error, spent: report.spent() }
    }
}

/// What was spent, for people; `None` where nothing was.
pub(super) fn words(spent: &Spent) -> Option<String> {
    let parts = [spent.contexts.as_ref().map(situated), spent.embeddings.as_ref().map(embedded)];
    let parts: Vec<String> = parts.into_iter().flatten().collect();
    (!parts.is_empty()).then(|| parts.join("; "))
}

/// What it took to say where chunks stand.
pub(super) fn situated(contexts: &Contexts) -> String {
    let mut line = format!("{} written", counted(contexts.written, "context"));
    if contexts.cache_hits > 0 {
        line.push_str(&format!(", {} from the cache", grouped(contexts.cache_hits)));
    }
    if contexts.requests > 0 {
        let (requests, read) = (counted(contexts.requests, "request"), counted(contexts.input_tokens, "token"));
        line.push_str(&format!(", {requests}, {read} read and {} written", grouped(contexts.output_tokens)));
        refused(&mut line, contexts.throttled);
        match contexts.cost_usd {
            Some(cost) if cost > 0.0 => line.push_str(&format!(", ${cost:.5}")),
            None => line.push_str(", price not known"),
            _ => {}
        }
    }
    line
}

/// What it took to embed.
pub(super) fn embedded(embeddings: &Embeddings) -> String {
    let mut line = format!("{} embedded", counted(embeddings.embedded, "text"));
    if embeddings.cache_hits > 0 {
        line.push_str(&format!(", {} from the cache", grouped(embeddings.cache_hits)));
    }
    if embeddings.requests > 0 {
        line.push_str(&format!(", {}", counted(embeddings.requests, "request")));
    }
    line.push_str(&format!(", {}", counted(embeddings.tokens, "token")));
    refused(&mut line, embeddings.throttled);
    if embeddings.hedged > 0 {
        line.push_str(&format!(", {} sent twice since no answer came", counted(embeddings.hedged, "request")));
    }
    match embeddings.cost_usd {
        Some(cost) if cost > 0.0 => line.push_str(&format!(", ${cost:.5}")),
        None if embeddings.requests > 0 => line.push_str(", price not known"),
        _ => {}
    }
    line
}

fn refused(line: &mut String, times: u64) {
    if times > 0 {
        line.push_str(&format!(", refused {} times for speed", grouped(times)));
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "a failing test may panic")]

    use super::*;
    use crate::cli::output::line;
    use crate::providers::{ErrorKind, ProviderError, Usage};

    #[test]
    fn what_was_spent_is_told_with_the_error() {
        let report = Report::default();
        let failed = || Error::from(ProviderError::new("mine/chat", ErrorKind::InvalidInput, "said nothing"));
        assert_eq!(words(&report.spent()), None, "nothing was");
        report.contexts.requests.add(16);
        report.contexts.paid(Usage::new(Some(23_000), Some(192)), Some(0.046));
        let failed_run = anyhow::Error::new(UnfinishedRun::new(failed(), &report));
        let spent = failed_run.downcast_ref::<UnfinishedRun>().unwrap().spent;
        let wanted = "0 contexts written, 16 requests, 23,000 tokens read and 192 written, $0.04600";
        assert_eq!(words(&spent).as_deref(), Some(wanted));
        let told = serde_json::to_value(spent).unwrap();
        assert_eq!((&told["contexts"]["requests"], &told["contexts"]["cost_usd"]), (&16.into(), &0.046.into()), "{told}");
        assert_eq!(told.get("embeddings"), None, "no text was embedded: {told}");
        let line = serde_json::to_value(line(&failed_run)).unwrap();
        assert_eq!((&line["type"], &line["kind"]), (&"error".into(), &failed().code().into()), "the error is the same: {line}");
    }
}
