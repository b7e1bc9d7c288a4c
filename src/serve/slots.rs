//! How many do something at once, and how many wait for their turn.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use super::fault::Fault;

/// Places, and a bounded queue for them.
#[derive(Debug)]
pub(super) struct Slots {
    places: Arc<Semaphore>,
    all: usize,
    waiting: AtomicUsize,
    most_waiting: usize,
    patience: Duration,
}

/// One fewer waits when it is dropped.
struct Waiting<'a>(&'a AtomicUsize);

impl Drop for Waiting<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

impl Slots {
    /// So many places, and so many that wait, each for at most `patience`.
    pub(super) fn new((places, waiting): (usize, usize), patience: Duration) -> Self {
        Self {
            places: Arc::new(Semaphore::new(places)),
            all: places,
            waiting: AtomicUsize::new(0),
            most_waiting: waiting,
            patience,
        }
    }

    /// A place, until it is dropped.
    ///
    /// # Errors
    /// [`Fault::busy`] when too many wait already, or none was free in time.
    pub(super) async fn take(&self) -> Result<OwnedSemaphorePermit, Fault> {
        if let Ok(place) = Arc::clone(&self.places).try_acquire_owned() {
            return Ok(place);
        }
        let waiting = self.waiting.fetch_add(1, Ordering::Relaxed);
        let _waiting = Waiting(&self.waiting);
        if waiting >= self.most_waiting {
            return Err(Fault::busy());
        }
        match tokio::time::timeout(self.patience, Arc::clone(&self.places).acquire_owned()).await {
            Ok(Ok(place)) => Ok(place),
            Ok(Err(_)) | Err(_) => Err(Fault::busy()),
        }
    }

    /// Places that are taken.
    pub(super) fn taken(&self) -> usize {
        self.all.saturating_sub(self.free())
    }

    /// Free places.
    pub(super) fn free(&self) -> usize {
        self.places.available_permits()
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a test may fail loudly")]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn who_cannot_wait_is_told_so_and_who_waits_gets_the_next_place() {
        let slots = Arc::new(Slots::new((1, 1), Duration::from_secs(10)));
        let first = slots.take().await.unwrap();
        let second = tokio::spawn({
            let slots = Arc::clone(&slots);
            async move { slots.take().await.map(drop) }
        });
        tokio::time::sleep(Duration::from_secs(1)).await;
        assert!(slots.take().await.is_err(), "one waits already");
        drop(first);
        assert!(second.await.unwrap().is_ok());
        let _held = slots.take().await.unwrap();
        let asked = tokio::time::Instant::now();
        assert!(slots.take().await.is_err(), "none was free in time");
        assert_eq!(asked.elapsed(), Duration::from_secs(10));
        assert_eq!(slots.waiting.load(Ordering::Relaxed), 0);
    }
}
