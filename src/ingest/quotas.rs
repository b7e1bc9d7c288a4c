//! What is known of the quotas that a run may wait for: that a provider allows no more is another thing than that nobody has said how
//! much it allows.

use std::fmt;
use std::sync::{Arc, OnceLock};

use super::limit::{Cause, Limit};
use super::stage::Stage;
use crate::limits::Allowed;

/// Tells what a provider allows, as far as that is known by now.
type Told = Arc<dyn Fn() -> Allowed + Send + Sync>;

/// Of the embedding model's provider and of that which writes contexts, once they are known.
#[derive(Default)]
pub(super) struct Quotas(OnceLock<(Option<Told>, Option<Told>)>);

impl Quotas {
    pub fn know(&self, embedding: Option<Told>, contexts: Option<Told>) {
        let _ = self.0.set((embedding, contexts));
    }

    /// The limit, and where it is a quota, how that is known.
    pub fn explained(&self, limit: Limit) -> Limit {
        let told = self.0.get().filter(|_| limit.cause == Cause::Quota).and_then(|(embedding, contexts)| {
            let told = if limit.stage == Some(Stage::Context) { contexts } else { embedding };
            told.as_ref()
        });
        Limit { quota: told.map(|told| told().quota), ..limit }
    }
}

impl fmt::Debug for Quotas {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Quotas").finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::limits::{Known, Limiter, Limits};

    #[tokio::test(start_paused = true)]
    async fn a_quota_is_told_or_learned_or_assumed() {
        let limits = |rpm| Limits { rpm, ..Limits::default() };
        let (told, other) = (Limiter::new(limits(Some(60))), Limiter::new(limits(None)));
        let quotas = Quotas::default();
        let limit = |cause, stage| Limit { cause, share: 0.9, stage: Some(stage), quota: None };
        assert_eq!(quotas.explained(limit(Cause::Quota, Stage::Embed)).quota, None, "not known yet");
        let allowed = |limiter: &Limiter| -> Option<Told> {
            let limiter = limiter.clone();
            Some(Arc::new(move || limiter.allowed()))
        };
        quotas.know(allowed(&told), allowed(&other));
        let known = |stage| quotas.explained(limit(Cause::Quota, stage)).quota;
        assert_eq!((known(Stage::Embed), known(Stage::Context)), (Some(Known::Told), Some(Known::Assumed)));
        assert_eq!(quotas.explained(limit(Cause::Places, Stage::Embed)).quota, None, "it is none");
        // Refused when so many were on their way, it is known from that.
        for _ in 0..50 {
            let permit = other.admit(other.ticket(), 10).await;
            tokio::time::sleep(Duration::from_millis(100)).await;
            other.answered(permit.sent, Some((Duration::from_millis(100), 10)));
        }
        let permit = other.admit(other.ticket(), 10).await;
        other.throttled(permit.sent, Some(Duration::from_secs(20)));
        assert_eq!(known(Stage::Context), Some(Known::Learned));
    }
}
