//! The counters of a run, and what of them is told as it is.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::language::Language;
use crate::limits::Tally;
use crate::providers::{Price, PromptCache, Usage, local};

/// A number that only grows, counted from anywhere.
#[derive(Debug, Default)]
pub struct Counter(AtomicU64);

impl Counter {
    /// Counts.
    pub fn add(&self, n: u64) {
        self.0.fetch_add(n, Ordering::Relaxed);
    }

    /// So far.
    pub fn get(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }
}

/// Documents by what became of them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[expect(missing_docs, reason = "the names are the contract's")]
pub struct Documents {
    pub seen: u64,
    pub added: u64,
    pub changed: u64,
    pub unchanged: u64,
    pub removed: u64,
    pub failed: u64,
    pub skipped: u64,
}

/// Chunks by what became of them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[expect(missing_docs, reason = "the names are the contract's")]
pub struct Chunks {
    pub upserted: u64,
    pub deleted: u64,
    pub kept: u64,
}

/// Documents by what became of them.
#[derive(Debug, Default)]
#[expect(missing_docs, reason = "the names are the contract's")]
pub struct DocumentCounters {
    pub seen: Counter,
    pub added: Counter,
    pub changed: Counter,
    pub unchanged: Counter,
    pub removed: Counter,
    pub failed: Counter,
    pub skipped: Counter,
    pub bytes: Counter,
}

impl DocumentCounters {
    /// As the summary tells it.
    pub fn told(&self) -> Documents {
        Documents {
            seen: self.seen.get(),
            added: self.added.get(),
            changed: self.changed.get(),
            unchanged: self.unchanged.get(),
            removed: self.removed.get(),
            failed: self.failed.get(),
            skipped: self.skipped.get(),
        }
    }
}

/// Chunks by what became of them.
#[derive(Debug, Default)]
#[expect(missing_docs, reason = "the names are the contract's")]
pub struct ChunkCounters {
    /// Made so far; more than `upserted + kept` while the run goes on.
    pub made: Counter,
    pub upserted: Counter,
    pub deleted: Counter,
    pub kept: Counter,
}

impl ChunkCounters {
    /// As the summary tells it.
    pub fn told(&self) -> Chunks {
        Chunks { upserted: self.upserted.get(), deleted: self.deleted.get(), kept: self.kept.get() }
    }
}

/// Embeddings by where they came from.
#[derive(Debug, Default)]
#[expect(missing_docs, reason = "the names are the contract's")]
pub struct EmbeddingCounters {
    pub embedded: Counter,
    pub cache_hits: Counter,
    pub tokens: Counter,
    /// Batches.
    pub batches: Counter,
    /// Those that held as many tokens as they may.
    pub batches_of_tokens: Counter,
    /// Requests, as the provider's own layer counts them. Of a model that does without it there are none.
    pub sent: Arc<Tally>,
    /// The price, once it is known.
    pub(super) price: OnceLock<Price>,
}

impl EmbeddingCounters {
    /// As the summary tells it.
    pub fn told(&self) -> Embeddings {
        let sent = self.sent.counted();
        // A copy that was sent twice, and an answer that made no sense, are on the bill as well.
        let tokens = self.tokens.get() + sent.wasted;
        Embeddings {
            embedded: self.embedded.get(),
            cache_hits: self.cache_hits.get(),
            requests: sent.requests,
            tokens,
            retries: sent.retries,
            throttled: sent.throttled,
            hedged: sent.hedged,
            cost_usd: self.price.get().and_then(|price| price.cost(tokens, 0)),
        }
    }
}

/// Contexts of chunks by where they came from, and what those took that were written.
#[derive(Debug, Default)]
#[expect(missing_docs, reason = "the names are the contract's")]
pub struct ContextCounters {
    pub written: Counter,
    pub cache_hits: Counter,
    /// Requests, without what was tried again below them.
    pub requests: Counter,
    /// All of them, as the provider's own layer counts them. Of a model that does without it there are none.
    pub sent: Arc<Tally>,
    pub input_tokens: Counter,
    pub output_tokens: Counter,
    paid: Mutex<Paid>,
}

/// Documents that are new to the index, by whether a model of English alone reads them.
#[derive(Debug, Default)]
pub struct LanguageCounters {
    /// All of them.
    pub documents: Counter,
    /// Those in another language that the multilingual model knows.
    pub foreign: Counter,
}

impl LanguageCounters {
    /// Counts a document by its language, as far as that is certain.
    pub fn add(&self, language: Option<Language>) {
        self.documents.add(1);
        self.foreign.add(u64::from(language.is_some_and(local::is_foreign)));
    }
}

#[derive(Debug, Clone, Copy, Default)]
struct Paid {
    /// In US dollars.
    known: f64,
    /// Of some requests.
    unknown: bool,
    prompt_cache: PromptCache,
}

impl ContextCounters {
    /// Counts what a request took.
    pub fn paid(&self, usage: Usage, cost_usd: Option<f64>) {
        self.input_tokens.add(usage.input_tokens.unwrap_or_default());
        self.output_tokens.add(usage.output_tokens.unwrap_or_default());
        let mut paid = self.paid.lock().unwrap_or_else(PoisonError::into_inner);
        paid.prompt_cache += usage.prompt_cache;
        match cost_usd {
            Some(more) => paid.known += more,
            None => paid.unknown = true,
        }
    }

    /// What all of it has cost, in US dollars; `None` where the price of some is not known.
    pub fn cost_usd(&self) -> Option<f64> {
        let Paid { known, unknown, .. } = *self.paid.lock().unwrap_or_else(PoisonError::into_inner);
        (!unknown).then_some(known)
    }

    /// As the summary tells it.
    pub fn told(&self) -> Contexts {
        let sent = self.sent.counted();
        Contexts {
            written: self.written.get(),
            cache_hits: self.cache_hits.get(),
            requests: if sent.requests > 0 { sent.requests } else { self.requests.get() },
            retries: sent.retries,
            throttled: sent.throttled,
            input_tokens: self.input_tokens.get(),
            output_tokens: self.output_tokens.get(),
            cost_usd: self.cost_usd(),
            prompt_cache: self.paid.lock().unwrap_or_else(PoisonError::into_inner).prompt_cache,
        }
    }
}

/// Contexts of chunks: how many there were to be had, and what it took to have them written.
#[derive(Debug, Clone, Copy, PartialEq, Default, Serialize, Deserialize, JsonSchema)]
#[expect(missing_docs, reason = "the names are the contract's")]
pub struct Contexts {
    pub written: u64,
    pub cache_hits: u64,
    /// Requests, with those that were sent again.
    pub requests: u64,
    /// Those of them that were sent again.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub retries: u64,
    /// Refusals that asked to slow down.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub throttled: u64,
    pub input_tokens: u64,
    pub output_tokens: u64,
    /// `None` where the price is not known.
    pub cost_usd: Option<f64>,
    /// What of `input_tokens` has to do with a cache of the provider's that has prices of its own.
    #[serde(default, skip_serializing_if = "PromptCache::is_empty")]
    pub prompt_cache: PromptCache,
}

/// Embeddings: what was asked for, what it took and what it cost.
#[derive(Debug, Clone, Copy, PartialEq, Default, Serialize, Deserialize, JsonSchema)]
#[expect(missing_docs, reason = "the names are the contract's")]
pub struct Embeddings {
    pub embedded: u64,
    pub cache_hits: u64,
    pub requests: u64,
    pub tokens: u64,
    pub retries: u64,
    pub throttled: u64,
    /// Second copies of requests that seemed lost. Their tokens are among `tokens`, as are those of answers that made no sense.
    pub hedged: u64,
    /// `None` where the price is not known.
    pub cost_usd: Option<f64>,
}

/// What a run has paid for so far, as its summary would tell it; nothing of what it has not asked for.
#[derive(Debug, Clone, Copy, PartialEq, Default, Serialize, Deserialize)]
pub struct Spent {
    /// Contexts of chunks.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub contexts: Option<Contexts>,
    /// Embeddings.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub embeddings: Option<Embeddings>,
}

impl Spent {
    /// By these counters.
    pub fn of(contexts: &ContextCounters, embeddings: &EmbeddingCounters) -> Self {
        Self {
            contexts: Some(contexts.told()).filter(|contexts| contexts.requests > 0),
            embeddings: Some(embeddings.told()).filter(|embeddings| embeddings.requests > 0),
        }
    }
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde's signature")]
fn is_zero(n: &u64) -> bool {
    *n == 0
}
