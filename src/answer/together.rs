//! What a process does that asks several indexes for others, or has another one ask them.

use std::sync::Arc;

use futures_util::future::join_all;

use super::answerer::Answerer;
use super::federated::{Index, Observe, Silence};
use super::owner::Owner;

impl Answerer {
    /// The same, but another process, which has the indexes open, is asked first.
    #[must_use]
    pub fn asked_first(mut self, owner: Arc<dyn Owner>) -> Self {
        self.owner = Some(owner);
        self
    }

    /// The same, but where several indexes are asked together, this is told of each of them.
    #[must_use]
    pub fn observed_by(mut self, observe: Observe) -> Self {
        self.how.observe = Some(observe);
        self
    }

    /// The same, but where several indexes are asked together and one of them cannot be, no answer is made without it.
    #[must_use]
    pub fn needing_every_index(mut self) -> Self {
        self.how.silence = Silence::Fails;
        self.owner = self.owner.and_then(|owner| owner.needing_every_index());
        self
    }

    /// Has the next question to several indexes asked of each as it is then, however lately it was looked at.
    pub async fn doubt(&self) {
        join_all(self.together.iter().flat_map(|indexes| indexes.iter()).map(Index::doubt)).await;
    }
}
