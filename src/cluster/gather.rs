//! What several tasks record at the same moment goes to the database in one statement: while one is under way, what comes meanwhile is
//! gathered for the next. So statements grow with the load, and a document costs a part of one.

use std::collections::HashSet;
use std::sync::Weak;

use tokio::sync::{mpsc, oneshot};

use super::error::ClusterError;
use crate::ingest::ledger::Fenced;

/// Calls that wait to be gathered.
const WAITING: usize = 64;
/// Documents of a statement, at most: of more, the rest goes in the next.
const MOST: usize = 1024;

/// Something that is recorded of a document, by somebody.
pub(super) trait Record<By>: Sized + Send + 'static {
    /// Which document.
    fn uri(&self) -> &str;
    /// Records all of it, or tells of which documents nothing was.
    fn record(by: &By, all: Vec<Self>) -> impl Future<Output = Result<Fenced, ClusterError>> + Send;
}

/// A call: what is to be recorded, and who hears of it.
type Call<T> = (Vec<T>, oneshot::Sender<Result<Fenced, ClusterError>>);

/// Where records are gathered.
#[derive(Debug)]
pub(super) struct Gather<T>(mpsc::Sender<Call<T>>);

/// What was gathered.
#[derive(Debug)]
pub(super) struct Gathered<T>(mpsc::Receiver<Call<T>>);

pub(super) fn gather<T>() -> (Gather<T>, Gathered<T>) {
    let (calls, gathered) = mpsc::channel(WAITING);
    (Gather(calls), Gathered(gathered))
}

impl<T> Gather<T> {
    /// Returns when it is recorded, with the documents of which it was not.
    pub(super) async fn record<By>(&self, all: Vec<T>) -> Result<Fenced, ClusterError>
    where
        T: Record<By>,
    {
        if all.is_empty() {
            return Ok(Fenced::default());
        }
        let own: HashSet<String> = all.iter().map(|one| one.uri().to_owned()).collect();
        let (answer, answered) = oneshot::channel();
        let cut_short = || ClusterError::refused("what was to be recorded was cut short");
        self.0.send((all, answer)).await.map_err(|_| cut_short())?;
        let mut fenced = answered.await.map_err(|_| cut_short())??;
        fenced.uris.retain(|uri| own.contains(uri));
        Ok(fenced)
    }
}

impl<T> Gathered<T> {
    /// Has it recorded, for as long as somebody holds on to who records it.
    pub(super) fn recording<By: Send + Sync + 'static>(mut self, by: Weak<By>)
    where
        T: Record<By>,
    {
        tokio::spawn(async move {
            while let Some((mut all, answer)) = self.0.recv().await {
                let mut answers = vec![answer];
                while all.len() < MOST
                    && let Ok((more, answer)) = self.0.try_recv()
                {
                    all.extend(more);
                    answers.push(answer);
                }
                let Some(by) = by.upgrade() else { return };
                let done = T::record(&by, all).await;
                drop(by);
                for answer in answers {
                    // Whoever does not wait for it any more need not hear of it.
                    let _ = answer.send(done.clone());
                }
            }
        });
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a failing test may panic")]
mod tests {
    use std::sync::{Arc, Mutex};
    use std::time::Duration;

    use futures_util::future::join_all;

    use super::*;

    /// How many documents each statement had.
    #[derive(Default)]
    struct Database(Mutex<Vec<usize>>);

    impl Record<Database> for String {
        fn uri(&self) -> &str {
            self
        }

        async fn record(by: &Database, all: Vec<Self>) -> Result<Fenced, ClusterError> {
            by.0.lock().unwrap().push(all.len());
            tokio::time::sleep(Duration::from_millis(10)).await;
            if all.iter().any(|uri| uri == "no") {
                return Err(ClusterError::refused("it is away"));
            }
            Ok(Fenced { uris: all.into_iter().filter(|uri| uri.starts_with("lost")).collect() })
        }
    }

    #[tokio::test(start_paused = true)]
    async fn what_comes_meanwhile_goes_together_and_each_hears_of_its_own() {
        let (database, (calls, gathered)) = (Arc::new(Database::default()), gather::<String>());
        gathered.recording(Arc::downgrade(&database));
        let of = |n: usize| vec![format!("done {n}"), format!("lost {n}")];
        for (n, fenced) in join_all((0..50).map(|n| calls.record(of(n)))).await.into_iter().enumerate() {
            assert_eq!(fenced.unwrap().uris, [format!("lost {n}")]);
        }
        let statements = std::mem::take(&mut *database.0.lock().unwrap());
        assert_eq!(statements.iter().sum::<usize>(), 100);
        assert!(statements.len() <= 3, "{statements:?}");
        // One that nobody waits for any more is recorded all the same, and a failure is everybody's.
        drop(futures_util::poll!(Box::pin(calls.record(of(50)))));
        let (one, other) = tokio::join!(calls.record(of(51)), calls.record(vec!["no".to_owned()]));
        assert!(one.is_err() && other.is_err());
        assert_eq!(database.0.lock().unwrap().iter().sum::<usize>(), 5);
        assert!(calls.record(vec![]).await.unwrap().uris.is_empty());
        drop(database);
        assert!(calls.record(of(52)).await.is_err(), "nobody records any more");
    }
}
