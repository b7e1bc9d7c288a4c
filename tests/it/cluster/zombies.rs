//! Workers that wake after their lease has run out, in the middle of a call to the store: what they write, replace or delete then,
//! when others have gone on with the documents, is made good before the round ends.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;

use async_trait::async_trait;
use ragstream::document::{Hit, Passage, Point};
use ragstream::ingest::Options;
use ragstream::vectordb::{Condition, IndexMeta, Query, StoreError, VectorStore};
use tokio::sync::Notify;
use uuid::Uuid;

use super::corpus::{Corpus, text};
use super::{Meeting, Worker};

/// The call that sleeps.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Call {
    Upsert,
    SetPassages,
    Delete,
    DeleteDocument,
}

/// A store, as a process sees it that is stopped in the first of these calls, just before the request leaves.
#[derive(Debug)]
struct Sleeping {
    store: Arc<dyn VectorStore>,
    at: Call,
    slept: AtomicBool,
    asleep: Notify,
    wake: Notify,
    /// Calls that change something and began after it woke.
    after: AtomicUsize,
    awake: AtomicBool,
}

impl Sleeping {
    async fn maybe_sleep(&self, call: Call) {
        if call == self.at && !self.slept.swap(true, Ordering::SeqCst) {
            self.asleep.notify_one();
            self.wake.notified().await;
        } else if self.awake.load(Ordering::SeqCst) {
            self.after.fetch_add(1, Ordering::SeqCst);
        }
    }
}

#[async_trait]
impl VectorStore for Sleeping {
    fn describe(&self) -> String {
        self.store.describe()
    }
    async fn meta(&self) -> Result<Option<IndexMeta>, StoreError> {
        self.store.meta().await
    }
    async fn create(&self, meta: &IndexMeta) -> Result<(), StoreError> {
        self.store.create(meta).await
    }
    async fn set_meta(&self, meta: &IndexMeta) -> Result<(), StoreError> {
        self.store.set_meta(meta).await
    }
    async fn drop_index(&self) -> Result<(), StoreError> {
        self.store.drop_index().await
    }
    async fn upsert(&self, points: Vec<Point>) -> Result<(), StoreError> {
        self.maybe_sleep(Call::Upsert).await;
        self.store.upsert(points).await
    }
    async fn set_passages(&self, passages: Vec<(Uuid, Passage)>) -> Result<(), StoreError> {
        self.maybe_sleep(Call::SetPassages).await;
        self.store.set_passages(passages).await
    }
    async fn delete(&self, ids: Vec<Uuid>) -> Result<(), StoreError> {
        self.maybe_sleep(Call::Delete).await;
        self.store.delete(ids).await
    }
    async fn delete_document(&self, uri: &str) -> Result<(), StoreError> {
        self.maybe_sleep(Call::DeleteDocument).await;
        self.store.delete_document(uri).await
    }
    async fn query_where(&self, query: Query, conditions: &[Condition], limit: usize) -> Result<Vec<Hit>, StoreError> {
        self.store.query_where(query, conditions, limit).await
    }
    async fn uris(&self, conditions: &[Condition]) -> Result<Vec<String>, StoreError> {
        self.store.uris(conditions).await
    }
    async fn count(&self) -> Result<u64, StoreError> {
        self.store.count().await
    }
    async fn scroll(&self, after: Option<Uuid>, limit: usize) -> Result<Vec<(Uuid, Passage)>, StoreError> {
        self.store.scroll(after, limit).await
    }
    async fn passages(&self, ids: Vec<Uuid>) -> Result<Vec<Option<Passage>>, StoreError> {
        self.store.passages(ids).await
    }
    async fn flush(&self) -> Result<(), StoreError> {
        self.store.flush().await
    }
}

/// A worker that sleeps in a call.
async fn asleep(meeting: &Meeting, at: Call) -> (Arc<Sleeping>, Worker) {
    let store = Arc::new(Sleeping {
        store: Arc::clone(&meeting.store),
        at,
        slept: AtomicBool::new(false),
        asleep: Notify::new(),
        wake: Notify::new(),
        after: AtomicUsize::new(0),
        awake: AtomicBool::new(false),
    });
    let setup = meeting.setup(Arc::clone(&store) as _).await;
    let sleeper = Meeting::worker_of(setup, Options { prune: true, ..Options::default() });
    tokio::time::timeout(Duration::from_secs(30), store.asleep.notified()).await.expect("it gets there");
    (store, sleeper)
}

/// It is as if all of the process slept: nobody renews its lease.
fn loses_its_lease(meeting: &Meeting) {
    meeting.sql("UPDATE ragstream.workers SET lease_until = now() - interval '1 s' WHERE corpus = $corpus");
}

/// A worker sleeps in a call with the documents as `first` makes them; others have them then as `then` makes them.
async fn wakes(at: Call, first: impl Fn(&Corpus), then: impl Fn(&Corpus)) {
    let meeting = Meeting::new(Corpus::of(12));
    meeting.round(1).await;
    first(&meeting.corpus);
    let (store, sleeper) = asleep(&meeting, at).await;
    then(&meeting.corpus);
    loses_its_lease(&meeting);
    let others = [meeting.worker().await, meeting.worker().await];
    // The others go on with what it had, to the end.
    let sql = "SELECT count(*) FROM ragstream.jobs WHERE corpus = $corpus";
    let began = std::time::Instant::now();
    while meeting.sql("SELECT count(*) FROM ragstream.sweeps WHERE corpus = $corpus") == "0" || meeting.sql(sql) != "0" {
        assert!(began.elapsed() < Duration::from_secs(30), "nobody took it over");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    store.wake.notify_one();
    sleeper.task.await.unwrap().unwrap();
    for other in others {
        other.task.await.unwrap().unwrap();
    }
    // Once more, so that what was listed before the last edit is compared.
    meeting.round(1).await;
    meeting.is_as_alone().await;
    meeting.is_settled().await;
}

fn edit(corpus: &Corpus, edits: usize) {
    (0..12).for_each(|n| corpus.write(n, &text(n, edits)));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_late_write_leaves_no_orphan() {
    wakes(Call::Upsert, |corpus| edit(corpus, 1), |corpus| edit(corpus, 2)).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_late_deletion_takes_nothing_that_is_there_again() {
    wakes(Call::Delete, |corpus| edit(corpus, 1), |corpus| edit(corpus, 0)).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_late_payload_does_not_stay() {
    // Longer or shorter before it, so that the third part moves.
    let moved = |corpus: &Corpus, by: usize| {
        (0..12).for_each(|n| corpus.write(n, &format!("{}\n\n{}", "A line.\n".repeat(by), text(n, 0))));
    };
    wakes(Call::SetPassages, |corpus| moved(corpus, 3), |corpus| moved(corpus, 9)).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_late_removal_takes_nothing_that_is_there_again() {
    wakes(Call::DeleteDocument, |corpus| (0..12).for_each(|n| corpus.remove(n)), |corpus| edit(corpus, 0)).await;
}

/// Whoever sleeps so long that nobody looks any more at what it may write late has one call on its way, and begins no other.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn whoever_wakes_when_all_is_over_begins_nothing() {
    for at in [Call::Upsert, Call::SetPassages, Call::Delete, Call::DeleteDocument] {
        // Of several documents that go through the same hands.
        let meeting = Meeting::new(Corpus::of(12));
        meeting.round(1).await;
        for n in 0..12 {
            match at {
                Call::DeleteDocument => meeting.corpus.remove(n),
                Call::SetPassages => meeting.corpus.write(n, &format!("A line.\n\n{}", text(n, 0))),
                Call::Upsert | Call::Delete => meeting.corpus.write(n, &text(n, 1)),
            }
        }
        let (store, sleeper) = asleep(&meeting, at).await;
        loses_its_lease(&meeting);
        let other =
            Meeting::worker_of(meeting.setup(Arc::clone(&meeting.store)).await, Options { prune: true, ..Options::default() });
        other.task.await.unwrap().unwrap();
        store.awake.store(true, Ordering::SeqCst);
        store.wake.notify_one();
        sleeper.task.await.unwrap().unwrap();
        assert_eq!(store.after.load(Ordering::SeqCst), 0, "{at:?}");
    }
}
