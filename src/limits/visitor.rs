//! The task that visits the quota that workers share: one for all that waits in a limiter, so that a visit is done whoever gives up
//! waiting for it.

use std::sync::{Arc, Weak};
use std::time::Duration;

use tokio::sync::Notify;
use tokio::time::{Instant, sleep, timeout_at};

use super::shared::{NotKept, SharedQuota};
use super::state::Shared;
use super::visits::{Next, Owned};

/// How long a quota that cannot be reached is waited for.
const PATIENCE: Duration = Duration::from_mins(2);

/// Between two tries, at first and at most.
const PAUSES: (Duration, Duration) = (Duration::from_millis(50), Duration::from_millis(500));

/// Begins to visit, unless it is done already.
pub(super) fn begin(shared: &Arc<Shared>) {
    let mut state = shared.lock();
    let Some(visits) = state.visits.as_mut().filter(|visits| visits.task.is_none()) else { return };
    let (quota, news) = (visits.quota.clone(), visits.news.clone());
    let task = tokio::spawn(visit_on(Arc::downgrade(shared), quota, news));
    visits.task = Some(Owned(task));
}

/// Visits whenever there is something to tell or to ask, until nobody holds the limiter any more.
async fn visit_on(shared: Weak<Shared>, quota: Arc<dyn SharedQuota>, news: Arc<Notify>) {
    let mut away: Option<Instant> = None;
    let mut pause = PAUSES.0;
    loop {
        let Some(next) = shared.upgrade().map(|shared| shared.lock().next_visit(Instant::now())) else { return };
        match next {
            None => news.notified().await,
            Some(next) if next.at() > Instant::now() => {
                let _ = timeout_at(next.at(), news.notified()).await;
            }
            Some(next) => match go(&shared, &*quota, next).await {
                Ok(()) => (away, pause) = (None, PAUSES.0),
                Err(error) => {
                    tracing::debug!(%error, "a visit failed");
                    let since = *away.get_or_insert_with(Instant::now);
                    if !error.source.is_transient() || since.elapsed() > PATIENCE {
                        let Some(shared) = shared.upgrade() else { return };
                        shared.lock().fail(error);
                    }
                    // All lose it at the same moment; they need not come back at the same moment.
                    sleep(pause.mul_f64(rand::random_range(0.5..1.0))).await;
                    pause = (pause * 2).min(PAUSES.1);
                }
            },
        }
    }
}

async fn go(shared: &Weak<Shared>, quota: &dyn SharedQuota, next: Next) -> Result<(), NotKept> {
    if matches!(next, Next::Check(_)) {
        let run = quota.run().await?;
        if let Some(visits) = shared.upgrade().as_deref().map(Shared::lock).as_mut().and_then(|state| state.visits.as_mut()) {
            visits.checked(run);
        }
        return Ok(());
    }
    if let Some(visits) = shared.upgrade().as_deref().map(Shared::lock).as_mut().and_then(|state| state.visits.as_mut()) {
        visits.asked_at = Some(Instant::now());
    }
    let kept = quota.change(&mut |seen| shared.upgrade()?.lock().visit(seen)).await;
    if let Some(shared) = shared.upgrade() {
        shared.lock().visited(&kept);
    }
    kept
}
