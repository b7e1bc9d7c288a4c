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

/// How many batches texts make that come one after the other, as `embed.rs` fills them where it never waits for one.
#[derive(Debug, Default)]
pub(super) struct Filling {
    batches: u64,
    /// Of the last batch.
    items: usize,
    tokens: u64,
}

impl Filling {
    /// The next text has so many tokens.
    pub fn add(&mut self, tokens: u64, batching: &Batching) {
        let full = self.items >= batching.items || self.tokens + tokens > batching.tokens as u64;
        if full || self.batches == 0 {
            (self.batches, self.items, self.tokens) = (self.batches + 1, 0, 0);
        }
        self.items += 1;
        self.tokens += tokens;
    }

    /// So far.
    pub fn batches(&self) -> u64 {
        self.batches
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn batches(texts: &[u64], items: usize, tokens: usize) -> u64 {
        let batching = Batching { items, tokens, in_flight: 1, texts: items * 2, waiting: 0 };
        let mut filling = Filling::default();
        for text in texts {
            filling.add(*text, &batching);
        }
        filling.batches()
    }

    #[test]
    fn a_text_that_is_larger_than_a_batch_is_one_request() {
        assert_eq!(batches(&[327; 15], 256, 10), 15, "not one for each ten tokens");
        assert_eq!(batches(&[3, 300, 3, 3], 256, 10), 3);
        assert_eq!(batches(&[], 256, 10), 0);
        assert_eq!(batches(&[5; 9], 4, 1000), 3);
        assert_eq!(batches(&[6, 6, 6], 256, 10), 3, "two of them are too much, though all together are not two batches' worth");
    }

    proptest! {
        #[test]
        fn there_are_no_more_requests_than_texts_and_no_fewer_than_hold_them(
            texts in prop::collection::vec(1_u64..50, 0..60),
            items in 1_usize..10,
            tokens in 1_usize..100,
        ) {
            let made = batches(&texts, items, tokens);
            prop_assert!(made <= texts.len() as u64);
            prop_assert!(made >= texts.len().div_ceil(items) as u64);
            // What is larger than a batch travels alone.
            let fits: u64 = texts.iter().filter(|text| **text <= tokens as u64).sum();
            prop_assert!(made >= fits.div_ceil(tokens as u64));
        }
    }
}
