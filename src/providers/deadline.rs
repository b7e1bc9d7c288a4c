//! A deadline that requests know of while they are made: one that was refused is not made again where the pause before it would
//! outlast the time, and what is late for its pauses alone says how it was refused. Whoever waits is told the true cause, and sooner.
//!
//! As with [`crate::limits::listened`], a model of one's own need not pass anything on: the deadline belongs to the task.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::time::{Instant, timeout};

use super::ProviderError;

/// A deadline, and the refusal after which a request is about to be made again.
#[derive(Clone)]
struct Deadline {
    at: Option<Instant>,
    refused: Arc<Mutex<Option<ProviderError>>>,
}

tokio::task_local! {
    static DEADLINE: Deadline;
}

/// What comes of one request within this time; `None`: no answer does, and none was refused last.
pub(crate) async fn within<T>(
    time: Duration,
    work: impl Future<Output = Result<T, ProviderError>>,
) -> Option<Result<T, ProviderError>> {
    let refused = Arc::default();
    let deadline = Deadline { at: Instant::now().checked_add(time), refused: Arc::clone(&refused) };
    match timeout(time, DEADLINE.scope(deadline, work)).await {
        Ok(done) => Some(done),
        Err(_) => refused.lock().unwrap_or_else(PoisonError::into_inner).take().map(Err),
    }
}

/// Whether a pause ends too late.
pub(super) fn outlasted_by(pause: Duration) -> bool {
    let late = |deadline: &Deadline| deadline.at.is_some_and(|at| at.saturating_duration_since(Instant::now()) <= pause);
    DEADLINE.try_with(late).unwrap_or(false)
}

/// A request was refused so, and is made again soon; `None`: it is being made.
pub(super) fn note(refusal: Option<ProviderError>) {
    // An error means that nobody waits.
    let _ = DEADLINE.try_with(|deadline| *deadline.refused.lock().unwrap_or_else(PoisonError::into_inner) = refusal);
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a failed test panics")]

    use tokio::time::sleep;

    use super::*;
    use crate::providers::ErrorKind;

    const SECOND: Duration = Duration::from_secs(1);

    fn refusal() -> ProviderError {
        ProviderError::new("p", ErrorKind::Unavailable, "no")
    }

    #[tokio::test(start_paused = true)]
    async fn what_is_late_for_its_pauses_says_how_it_was_refused() {
        let hangs = async |refused: bool, again: bool| {
            within(2 * SECOND, async {
                note(refused.then(refusal));
                sleep(SECOND).await;
                if again {
                    note(None);
                }
                sleep(9 * SECOND).await;
                Ok(())
            })
            .await
        };
        assert_eq!(hangs(true, false).await.unwrap().unwrap_err().kind, ErrorKind::Unavailable);
        assert!(hangs(true, true).await.is_none(), "the last attempt is late itself");
        assert!(hangs(false, false).await.is_none());
        assert!(within(SECOND, async { Ok(()) }).await.unwrap().is_ok());
    }

    #[tokio::test(start_paused = true)]
    async fn a_pause_is_measured_by_the_time_that_is_left() {
        assert!(!outlasted_by(Duration::MAX), "without a deadline none is too long");
        let work = async {
            sleep(SECOND).await;
            Ok((outlasted_by(SECOND / 2), outlasted_by(SECOND), outlasted_by(2 * SECOND)))
        };
        assert_eq!(within(2 * SECOND, work).await.unwrap().unwrap(), (false, true, true));
    }
}
