//! Who this worker is, and for how long what it has is its own.

use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use tokio::sync::{Mutex as AsyncMutex, MutexGuard as AsyncMutexGuard};
use tokio::time::Instant;

/// Of a lease, what must be left for a call to the store to begin.
const MARGIN: f64 = 0.25;

/// Whoever has not signed on, or has signed off.
pub(super) const NOBODY: i64 = 0;

/// Who this worker is at the moment.
#[derive(Debug, Clone, Copy)]
pub(super) struct Standing {
    /// Its name. Drawn by lot: a database that was restored to an earlier state must not give it to another.
    pub id: i64,
    /// How long nobody else can have what it holds, by this machine's clock, from before it asked.
    pub until: Instant,
}

/// The worker's standing.
#[derive(Debug)]
pub(super) struct Member {
    standing: Mutex<Standing>,
    change: AsyncMutex<()>,
}

impl Member {
    pub(super) fn new() -> Self {
        let standing = Standing { id: NOBODY, until: Instant::now() };
        Self { standing: Mutex::new(standing), change: AsyncMutex::default() }
    }

    /// As it is now.
    pub(super) fn standing(&self) -> Standing {
        *self.standing.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn set(&self, standing: Standing) {
        *self.standing.lock().unwrap_or_else(PoisonError::into_inner) = standing;
    }

    /// The lease was renewed, if it is still the same worker's: the answer may come when this one has signed off, or on anew.
    pub(super) fn renewed(&self, renewed: Standing) {
        let mut standing = self.standing.lock().unwrap_or_else(PoisonError::into_inner);
        if standing.id == renewed.id {
            *standing = renewed;
        }
    }

    /// Held while a worker at work signs on anew, or off: a renewal that finds its row gone must not sign on again who has just left.
    pub(super) async fn changing(&self) -> AsyncMutexGuard<'_, ()> {
        self.change.lock().await
    }

    /// Whether there is time for a call to the store.
    pub(super) fn has_time(&self, lease: Duration) -> bool {
        self.standing().until.saturating_duration_since(Instant::now()) > lease.mul_f64(MARGIN)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_renewal_that_is_answered_late_brings_nobody_back() {
        let (member, until) = (Member::new(), Instant::now() + Duration::from_secs(5));
        let standing = Standing { id: 7, until: Instant::now() };
        member.set(standing);
        member.renewed(Standing { until, ..standing });
        assert_eq!(member.standing().until, until);
        for (id, until) in [(NOBODY, Instant::now()), (8, Instant::now())] {
            member.set(Standing { id, until });
            member.renewed(standing);
            assert_eq!((member.standing().id, member.standing().until), (id, until));
        }
    }
}
