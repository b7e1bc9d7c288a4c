//! Whose fault a failure is that repeats: the texts' that were sent, or the provider's.
//!
//! One text can break a model (a 500 each time, a NaN that no JSON can carry, a runner that dies of it), and a provider that is away
//! fails in just the same words. What tells them apart is whether anything else is answered meanwhile: another batch, or else a
//! word that is asked for that purpose, once for all that wait for the verdict.

use std::sync::Arc;

use tokio::sync::Mutex;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use super::breaker::Breaker;
use crate::document::unusable;
use crate::providers::{Embedded, Embedder, ErrorKind, InputType, ProviderError};

/// The provider as failures see it: whether it still answers.
#[derive(Debug)]
pub(super) struct Blame {
    embedder: Arc<dyn Embedder>,
    /// How wide its vectors must be; 0 where that is not known.
    dimensions: usize,
    breaker: Arc<Breaker>,
    stop: CancellationToken,
    /// When the last question that nobody answered was asked. The lock is held while one is asked.
    unanswered: Mutex<Option<Instant>>,
}

impl Blame {
    pub(super) fn new(embedder: Arc<dyn Embedder>, dimensions: usize, breaker: Arc<Breaker>, stop: CancellationToken) -> Self {
        Self { embedder, dimensions, breaker, stop, unanswered: Mutex::default() }
    }

    /// Whether the texts that were sent are to blame for the error, or one of them, and not the provider: it has answered something
    /// else since this instant, or does now.
    pub(super) async fn is_the_texts(&self, error: &ProviderError, since: Instant) -> bool {
        can_be_a_texts(error.kind) && (self.breaker.answered_after(since) || self.still_answers().await)
    }

    /// Asks for the vector of a word. Who waits for the answer of another's question takes it for its own.
    async fn still_answers(&self) -> bool {
        let wanted = Instant::now();
        let mut unanswered = self.unanswered.lock().await;
        if self.stop.is_cancelled() || unanswered.is_some_and(|asked| asked >= wanted) {
            return false;
        }
        if self.breaker.answered_after(wanted) {
            return true;
        }
        let asked = Instant::now();
        // A new word each time: what a gateway has kept says nothing of the model behind it.
        let word = format!("word {}", rand::random::<u32>());
        let answer = self.embedder.embed_briefly(&[word], InputType::Passage).await;
        match answer.and_then(|embedded| complete(embedded, 1, self.dimensions, self.embedder.model())) {
            Ok(_) => {
                self.breaker.answered();
                true
            }
            Err(error) => {
                tracing::debug!(%error, "the provider answers nothing else either");
                *unanswered = Some(asked);
                false
            }
        }
    }
}

/// Whether one text among others can be the reason of such a failure.
pub(super) fn can_be_a_texts(kind: ErrorKind) -> bool {
    matches!(kind, ErrorKind::Unavailable | ErrorKind::Network | ErrorKind::Timeout | ErrorKind::BadAnswer)
}

/// Texts that are not all of the kind that a model makes nothing of.
const MANY: usize = 8;

/// A provider that returns 99 vectors for 100 inputs is wrong about all of them; so is one whose vectors no index could hold.
pub(super) fn complete(embedded: Embedded, asked: usize, dimensions: usize, model: &str) -> Result<Embedded, ProviderError> {
    let vectors = &embedded.vectors;
    let odd = |vector: &&Vec<f32>| dimensions > 0 && vector.len() != dimensions;
    let message = if vectors.len() != asked {
        format!("{} vectors came back for {asked} inputs", vectors.len())
    } else if let Some(odd) = vectors.iter().find(odd) {
        format!("a vector of {} numbers came back, where the index has {dimensions}", odd.len())
    } else if let Some(wrong) = vectors.iter().find_map(|vector| unusable(vector)) {
        // The model made it of one text and will again; where it makes nothing of any, it is broken.
        if asked < MANY || vectors.iter().any(|vector| unusable(vector).is_none()) {
            let message = format!("the model makes nothing of this text: the vector {wrong}");
            return Err(ProviderError::new(model, ErrorKind::InvalidInput, message));
        }
        format!("of all {asked} inputs the vector {wrong}")
    } else {
        return Ok(embedded);
    };
    Err(ProviderError::new(model, ErrorKind::BadAnswer, message))
}
