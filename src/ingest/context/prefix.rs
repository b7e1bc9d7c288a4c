//! What requests about one stretch of a document begin with, and that the first of them goes ahead.
//!
//! A provider that keeps beginnings because it is told to has one only once it has begun to answer the first request. So the others wait
//! for that: had all left at once, each would have paid for keeping it, and none would have read it. Requests about other stretches and
//! documents fill the time. What fails before it is answered makes way for the next one.

use std::sync::Arc;

use tokio::sync::OnceCell;

/// What several requests begin with.
#[derive(Debug, Clone, Default)]
pub(in crate::ingest) struct Prefix(Arc<OnceCell<()>>);

impl Prefix {
    /// Sends a request; unless it is the first one, once that is being answered.
    pub async fn send<T, E>(&self, request: impl Future<Output = Result<T, E>>) -> Result<T, E> {
        let mut request = std::pin::pin!(request);
        let mut first = None;
        let goes_ahead = async {
            first = Some(request.as_mut().await?);
            Ok::<_, E>(())
        };
        self.0.get_or_try_init(|| goes_ahead).await?;
        match first {
            Some(answer) => Ok(answer),
            None => request.await,
        }
    }

    /// Whether a request would wait for none.
    pub fn is_kept(&self) -> bool {
        self.0.initialized()
    }
}

impl PartialEq for Prefix {
    fn eq(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.0, &other.0)
    }
}

impl Eq for Prefix {}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a failing test may panic")]
mod tests {
    use std::sync::Mutex;
    use std::time::Duration;

    use futures_util::FutureExt as _;
    use futures_util::future::join_all;
    use tokio::time::{Instant, sleep};

    use super::*;

    #[tokio::test(start_paused = true)]
    async fn the_first_goes_ahead_and_the_others_at_once_after_it() {
        let (prefix, began) = (Prefix::default(), Instant::now());
        let one = |n: u64| {
            prefix.send(async move {
                let left = began.elapsed();
                sleep(Duration::from_secs(2)).await;
                Ok::<_, ()>((n, left.as_secs()))
            })
        };
        let answers: Vec<_> = join_all((0..5).map(one)).await.into_iter().map(Result::unwrap).collect();
        assert_eq!(answers, [(0, 0), (1, 2), (2, 2), (3, 2), (4, 2)]);
        assert_eq!(began.elapsed().as_secs(), 4);
        assert_eq!(one(5).await, Ok((5, 4)), "it is kept by now");
    }

    #[tokio::test(start_paused = true)]
    async fn who_fails_or_leaves_makes_way() {
        let (prefix, sent) = (Prefix::default(), Mutex::new(Vec::new()));
        let one = |n: u64| {
            let sent = &sent;
            prefix.send(async move {
                sent.lock().unwrap().push(n);
                sleep(Duration::from_secs(1)).await;
                if n == 1 { Err(n) } else { Ok(n) }
            })
        };
        let mut dropped = Box::pin(one(0));
        assert!(dropped.as_mut().now_or_never().is_none());
        let others = async {
            sleep(Duration::from_millis(500)).await;
            drop(dropped);
        };
        let (answers, ()) = tokio::join!(join_all((1..4).map(one)), others);
        assert_eq!(answers, [Err(1), Ok(2), Ok(3)]);
        assert_eq!(*sent.lock().unwrap(), [0, 1, 2, 3]);
    }
}
