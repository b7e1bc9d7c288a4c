//! Endpoints whose refusals are their own matter: of decisions and reranking.
//!
//! Providers limit models and endpoints apart, and these two have deadlines: what is late or refused costs an order or a
//! decision, not the answer. So what they send takes its share of the provider's quota like everything else, but a refusal of it
//! teaches nothing of that, and the pause that it asks for holds up what goes to the same endpoint only.

use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};

use tokio::time::{Instant, sleep_until};

/// The pauses that endpoints have asked for, by their paths.
#[derive(Debug, Default)]
pub(super) struct Pauses(Mutex<BTreeMap<String, Instant>>);

impl Pauses {
    /// Sends nothing to this endpoint before `until`.
    pub(super) fn pause(&self, path: &str, until: Instant) {
        let mut pauses = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let pause = pauses.entry(path.to_owned()).or_insert(until);
        *pause = until.max(*pause);
    }

    /// Waits until the pause of this endpoint is over. Not in the provider's queue, where others would wait behind.
    pub(super) async fn over(&self, path: &str) {
        while let Some(until) = self.until(path) {
            sleep_until(until).await;
        }
    }

    fn until(&self, path: &str) -> Option<Instant> {
        let pauses = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        pauses.get(path).copied().filter(|until| *until > Instant::now())
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[tokio::test(start_paused = true)]
    async fn an_endpoint_pauses_for_as_long_as_was_asked_for_last_and_alone() {
        let (pauses, start) = (Pauses::default(), Instant::now());
        pauses.pause("/rerank", start + Duration::from_secs(30));
        pauses.pause("/rerank", start + Duration::from_secs(2));
        pauses.over("/decisions").await;
        assert_eq!(start.elapsed(), Duration::ZERO);
        pauses.over("/rerank").await;
        assert_eq!(start.elapsed().as_secs(), 30);
        pauses.over("/rerank").await;
        assert_eq!(start.elapsed().as_secs(), 30);
    }
}
