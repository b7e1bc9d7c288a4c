//! How batches are filled: as the plan says, within what the provider takes and memory allows.

use super::setup::EmbedTerms;
use crate::providers::Embedder;

/// Batches under way, at most, whatever the provider's limits allow.
const MOST_IN_FLIGHT: usize = 512;

/// Texts under way where no concurrency is declared: some tens of MB with what belongs to them.
const TEXTS: usize = 8 * 1024;
/// And at most, in bytes, where one is: a text and its vector, when its batch is answered.
const MOST_TEXTS: usize = 32 << 20;
/// Vectors and their texts that wait for the store, in bytes: a store stands still now and then, and the provider need not.
const WAITING: usize = 8 << 20;
/// What a text under way takes besides its vector, in bytes, about.
const TEXT: usize = 1024;

/// How batches are filled.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Batching {
    /// Inputs a request, at most.
    pub items: usize,
    /// Tokens a request, at most. A single input above it travels alone.
    pub tokens: usize,
    /// Requests under way, at most; the provider's limits may say fewer.
    pub in_flight: usize,
    /// Texts under way, at most: those in batches and those that wait for one.
    pub texts: usize,
    /// Vectors that wait for the store, at most.
    pub waiting: usize,
}

impl Batching {
    /// For an embedder whose vectors are this wide.
    pub fn of(terms: &EmbedTerms, embedder: &dyn Embedder, dimensions: usize) -> Self {
        let limits = embedder.limits();
        let items = terms.batch_items.map_or(limits.items.min(256), |items| items.min(limits.items)).max(1);
        let tokens = terms.batch_tokens.map_or(limits.tokens, |tokens| tokens.min(limits.tokens));
        let vector = dimensions.max(1) * size_of::<f32>();
        // What is under way: the batches on the wire, some that are put on disk, and some that fill up meanwhile.
        let (in_flight, texts) = match terms.limits.concurrency.map(|declared| declared as usize) {
            _ if terms.in_process => (2, items * 4),
            Some(declared) => (declared * 2 + 1, items.saturating_mul(declared + declared / 2 + 2)),
            None => (MOST_IN_FLIGHT, TEXTS),
        };
        let texts = texts.min(MOST_TEXTS / (vector + TEXT)).max(items * 2);
        Self { items, tokens, in_flight, texts, waiting: WAITING / (vector + TEXT) }
    }
}
