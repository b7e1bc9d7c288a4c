//! A second copy of a request that was most likely lost.

use tokio::time::timeout;

use super::connection::Cost;
use crate::limits::{Limiter, Permit, unheard};
use crate::providers::retry::FailedAttempt;

/// Attempts, and sends a second copy when the first is most likely lost. The first answer wins; dropping the other hangs up.
pub(super) async fn hedged<T, F: Future<Output = Result<T, FailedAttempt>>>(
    limiter: &Limiter,
    permit: Permit,
    cost: Cost,
    attempt: impl Fn(Permit) -> F,
) -> Result<T, FailedAttempt> {
    let mut first = std::pin::pin!(attempt(permit));
    let Some(silence) = limiter.hangs_after() else { return first.await };
    if let Ok(done) = timeout(silence, first.as_mut()).await {
        return done;
    }
    // Asked only now: of many that fell silent together only so many are sent again.
    if !limiter.may_hedge(cost.tokens) {
        return first.await;
    }
    tracing::debug!(?silence, "no answer: a second copy is sent");
    let mut second = std::pin::pin!(async { attempt(unheard(limiter.admit(limiter.ticket(), cost.tokens)).await).await });
    tokio::select! {
        done = &mut first => match done {
            Err(failure) if failure.error.is_transient() => second.await.map_err(|_| failure),
            done => done,
        },
        done = &mut second => match done {
            Ok(answer) => Ok(answer),
            Err(_) => first.await,
        },
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test may fail loudly")]

    use std::sync::atomic::{AtomicUsize, Ordering};
    use std::time::Duration;

    use futures_util::StreamExt;
    use futures_util::future::join_all;
    use tokio::time::Instant;

    use super::*;
    use crate::limits::Limits;
    use crate::providers::{ErrorKind, ProviderError};

    const LATENCY: Duration = Duration::from_millis(100);
    const COST: Cost = Cost { tokens: 7 };

    /// A provider that swallows some requests, by their number from 0: no answer comes, ever.
    struct Swallowing<S> {
        limiter: Limiter,
        swallows: S,
        sent: AtomicUsize,
    }

    impl<S: Fn(usize) -> bool> Swallowing<S> {
        fn new(swallows: S) -> Self {
            let limiter = Limiter::new(Limits { concurrency: Some(8), ..Limits::default() });
            Self { limiter, swallows, sent: AtomicUsize::new(0) }
        }

        /// The time until the answer came.
        async fn ask(&self) -> Result<Duration, FailedAttempt> {
            let permit = self.limiter.admit(self.limiter.ticket(), COST.tokens).await;
            let began = Instant::now();
            let attempt = |permit: Permit| async move {
                // As a whole: its place is taken until the answer is there.
                let permit = permit;
                let number = self.sent.fetch_add(1, Ordering::Relaxed);
                if (self.swallows)(number) {
                    std::future::pending::<()>().await;
                }
                tokio::time::sleep(LATENCY).await;
                self.limiter.answered(permit.sent, Some((permit.sent.left.elapsed(), COST.tokens)));
                Ok(())
            };
            hedged(&self.limiter, permit, COST, attempt).await?;
            Ok(began.elapsed())
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_swallowed_request_is_answered_soon_after_its_second_copy_is_sent() {
        let provider = Swallowing::new(|number| number >= 100 && number % 50 == 0);
        let took: Vec<Duration> =
            futures_util::stream::iter(0..1000).map(|_| provider.ask()).buffer_unordered(8).map(Result::unwrap).collect().await;
        let stats = provider.limiter.stats();
        let swallowed = took.iter().filter(|took| **took > LATENCY).count();
        assert!(swallowed >= 18 && swallowed as u64 == stats.hedged, "{swallowed}, {stats:?}");
        // Ten seconds of silence, and a second copy that may wait for the places of others.
        assert!(took.iter().all(|took| *took < Duration::from_secs(11)), "{:?}", took.iter().max());
        assert_eq!(stats.requests, 1000 + stats.hedged);
        assert_eq!(stats.wasted, stats.hedged * COST.tokens, "what may be paid for twice is known");
    }

    #[tokio::test(start_paused = true)]
    async fn one_in_twenty_is_sent_twice_at_most_also_when_all_fall_silent_at_once() {
        let provider = Swallowing::new(|number| number >= 60);
        let all = join_all((0..200).map(|_| provider.ask()));
        assert!(timeout(Duration::from_mins(10), all).await.is_err(), "who was not sent again hangs on");
        let stats = provider.limiter.stats();
        assert!(stats.hedged > 0 && stats.hedged * 20 <= stats.requests, "{stats:?}");
    }

    #[tokio::test(start_paused = true)]
    async fn who_has_known_no_answers_yet_waits_and_a_slow_answer_still_counts() {
        let provider = Swallowing::new(|_| true);
        assert!(timeout(Duration::from_mins(10), provider.ask()).await.is_err());
        assert_eq!(provider.limiter.stats().hedged, 0);

        // The second copy is refused, and the first one comes after all.
        let limiter = Swallowing::new(|_| false);
        join_all((0..40).map(|_| limiter.ask())).await;
        let limiter = limiter.limiter;
        let copies = AtomicUsize::new(0);
        let attempt = |_: Permit| {
            let copy = copies.fetch_add(1, Ordering::Relaxed);
            async move {
                if copy == 1 {
                    return Err(ProviderError::new("p", ErrorKind::Unavailable, "busy").into());
                }
                tokio::time::sleep(Duration::from_secs(30)).await;
                Ok(copy)
            }
        };
        let permit = limiter.admit(limiter.ticket(), COST.tokens).await;
        assert_eq!(hedged(&limiter, permit, COST, attempt).await.unwrap(), 0);
        assert_eq!(copies.load(Ordering::Relaxed), 2);
    }
}
