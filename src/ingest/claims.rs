//! What a worker of several does: it claims what was fetched here, and what the queue has, a while before it is needed.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use tokio::sync::{Notify, mpsc};
use tokio::time::{Instant, sleep};
use tokio_util::sync::CancellationToken;
use tokio_util::task::AbortOnDropHandle;

use super::coordination::{Coordination, Job, Taken};
use super::coordinator;
use super::diff::digest;
use super::ledger::{Intent, LedgerError, Missing, StoredPoint};
use super::prune;
use super::queue::{Batch, Claim};
use super::run::{Ended, Run};
use crate::source::{Item, SourceId};
use crate::vectordb::VectorStore;

/// Jobs that are taken at once: at first by one worker alone, at most by it, and in any case. Of many, each takes fewer, so that all have
/// some to the end.
const TAKEN: Amounts = Amounts { first: 64, most: 512, least: 16 };
/// What is taken at once is to last about so long: a way to the database costs the same for one job as for some hundreds.
const LASTS: Duration = Duration::from_millis(500);
/// The next are taken when no more than so many batches are left: before the last is begun, so that nobody waits for the database.
const LEFT: usize = 2;
/// Items of a batch, at most: each is a way to the database, too.
const BATCH: usize = 2 * coordinator::BATCH;
/// How often a person hears of what is waited for.
const TELL: Duration = Duration::from_secs(15);

/// Numbers of jobs.
struct Amounts {
    first: usize,
    most: usize,
    least: usize,
}

/// How many jobs are taken at once.
#[derive(Debug, Default)]
struct Amount {
    /// How many were asked for last, and when they came, if as many as that did.
    last: Option<(usize, Option<Instant>)>,
}

impl Amount {
    /// How many to ask for, one of so many workers: twice as many as the last time where those did not last, half as many where they
    /// lasted for long.
    fn next(&mut self, workers: usize) -> usize {
        let among = |amount: usize| (amount / workers.max(1)).max(TAKEN.least);
        let amount = match self.last {
            None => among(TAKEN.first),
            Some((amount, None)) => amount,
            Some((amount, Some(came))) => match came.elapsed() {
                lasted if lasted < LASTS => amount * 2,
                lasted if lasted > LASTS * 4 => amount / 2,
                _ => amount,
            },
        };
        let amount = amount.clamp(TAKEN.least, among(TAKEN.most));
        self.last = Some((amount, None));
        amount
    }

    /// So many came.
    fn came(&mut self, jobs: usize) {
        if let Some((amount, came)) = &mut self.last {
            *came = (jobs >= *amount).then(Instant::now);
        }
    }
}

/// What this worker does: what was fetched here, and what the queue has.
pub(super) struct Claims {
    run: Arc<Run>,
    workers: Arc<dyn Coordination>,
    local: mpsc::Receiver<Batch>,
    /// Told when the queue says that the round is over.
    empty: Arc<Notify>,
    over: CancellationToken,
    ready: VecDeque<Batch>,
    amount: Amount,
    /// Jobs that are being taken.
    coming: Option<AbortOnDropHandle<Result<Taken, LedgerError>>>,
    /// Since when there has been nothing to do, and when that was said last.
    idle: Option<(Instant, Instant)>,
}

#[async_trait]
impl Claim for Claims {
    async fn claim(&mut self) -> Option<Batch> {
        loop {
            if let Some(batch) = self.ready.pop_front() {
                if self.ready.len() <= LEFT && !self.over.is_cancelled() {
                    self.take();
                }
                return Some(batch);
            }
            if let Ok(batch) = self.local.try_recv() {
                return Some(batch);
            }
            if self.over.is_cancelled() {
                return self.local.recv().await;
            }
            // Not to be dropped halfway: what it took would be nobody's.
            let taken = self.take().await;
            self.coming = None;
            match self.run.recorded(self.run.joined("take jobs", taken.map(Ok)).ok()?).ok()? {
                Taken::Jobs(jobs) => {
                    self.amount.came(jobs.len());
                    self.idle = None;
                    self.run.report.waits_for(None);
                    self.sort(jobs).await.ok()?;
                }
                Taken::Nothing(wait) => {
                    self.tell_idle();
                    tokio::select! {
                        batch = self.local.recv() => if let Some(batch) = batch { return Some(batch) } else { sleep(wait).await },
                        () = self.over.cancelled() => {}
                        () = sleep(wait) => {}
                    }
                }
                Taken::Over => {
                    self.empty.notify_one();
                    self.over.cancelled().await;
                }
            }
        }
    }
}

/// What this worker has done so far.
fn told(run: &Run) -> String {
    let report = &run.report;
    let (embeddings, contexts) = (report.embeddings.sent.counted(), report.contexts.sent.counted());
    let documents = report.documents.added.get() + report.documents.changed.get() + report.documents.removed.get();
    serde_json::json!({
        "seconds": report.elapsed().as_secs_f64(),
        "documents": documents,
        "failed": report.documents.failed.get(),
        "chunks": report.chunks.upserted.get(),
        "tokens": report.embeddings.tokens.get(),
        "requests": embeddings.requests + contexts.requests,
        "throttled": embeddings.throttled + contexts.throttled,
    })
    .to_string()
}

impl Claims {
    /// Claims what comes through `local`, and from the queue until it is `over`; `empty` is told when the queue says that.
    pub(super) fn new(
        run: &Arc<Run>,
        workers: &Arc<dyn Coordination>,
        local: mpsc::Receiver<Batch>,
        empty: &Arc<Notify>,
        over: &CancellationToken,
    ) -> Self {
        Self {
            run: Arc::clone(run),
            workers: Arc::clone(workers),
            local,
            empty: Arc::clone(empty),
            over: over.clone(),
            ready: VecDeque::new(),
            amount: Amount::default(),
            coming: None,
            idle: None,
        }
    }

    /// The jobs that are being taken, from now on if none were.
    fn take(&mut self) -> &mut AbortOnDropHandle<Result<Taken, LedgerError>> {
        let (run, workers, amount) = (&self.run, &self.workers, &mut self.amount);
        self.coming.get_or_insert_with(|| {
            workers.tell(told(run));
            let (workers, amount) = (Arc::clone(workers), amount.next(workers.alive()));
            AbortOnDropHandle::new(tokio::spawn(async move { workers.take(amount).await }))
        })
    }

    /// Says that there is nothing to do here, and goes on to say it.
    fn tell_idle(&mut self) {
        let now = Instant::now();
        let (since, told) = self.idle.get_or_insert((now, now));
        if self.run.report.waiting().is_none() {
            self.run.report.waits_for(Some("waiting for the other workers".to_owned()));
        }
        if told.elapsed() >= TELL {
            *told = now;
            tracing::info!(seconds = since.elapsed().as_secs(), "nothing to do: waiting for the other workers");
        }
    }

    /// Does at once what needs no stage; the rest becomes batches.
    async fn sort(&mut self, jobs: Vec<Job>) -> Result<(), Ended> {
        let (mut items, mut removals): (Vec<(usize, Item)>, _) = (Vec::new(), Vec::<Missing>::new());
        for job in jobs {
            match job {
                Job::Index(number, item) => items.push((number, item)),
                Job::Remove(document) => removals.push(document),
                Job::Sweep { source, uri, ids } => sweep(&self.run, &*self.workers, source, uri, ids).await?,
            }
        }
        if !removals.is_empty() {
            prune::remove(&self.run, &removals).await?;
        }
        for (number, source) in self.run.setup.sources.iter().enumerate() {
            let of_it = items.iter().filter(|(of, _)| *of == number).map(|(_, item)| item.clone()).collect();
            // A few hundred are listed at once, and these few were taken: spread as those are, each batch would be a way to the
            // database for next to nothing.
            let at_once = source.at_once().or(Some(BATCH));
            self.ready.extend(coordinator::batches(number, of_it, std::collections::HashMap::new(), at_once));
        }
        Ok(())
    }
}

/// Deletes what a worker may have written late of what is no document's any more, and looks whether it deleted or replaced what is: then
/// the document is indexed anew.
async fn sweep(
    run: &Run,
    workers: &dyn Coordination,
    source: SourceId,
    uri: String,
    ids: Vec<uuid::Uuid>,
) -> Result<(), Ended> {
    let claimed = run.recorded(run.setup.ledger.claim(vec![uri.clone()]).await)?;
    let Some(prior) = claimed.into_iter().next() else { return Ok(()) };
    let (epoch, points) = (prior.epoch, prior.entry.map(|entry| entry.points).unwrap_or_default());
    // What another run intends and has not finished is looked at when that is begun anew.
    let known = |id: &uuid::Uuid| points.iter().any(|point| point.id == *id);
    let orphans: Vec<_> = ids.iter().copied().filter(|id| !known(id)).collect();
    let doubtful: Vec<StoredPoint> = points.iter().copied().filter(|point| ids.contains(&point.id)).collect();
    if !orphans.is_empty() {
        let deleted = run.with_store(|store: Arc<dyn VectorStore>| {
            let (orphans, held) = (orphans.clone(), run.setup.ledger.holds(&uri, epoch));
            async move { if held.await { store.delete(orphans).await.map(|()| true) } else { Ok(false) } }
        });
        if !deleted.await? {
            return Ok(());
        }
    }
    let mut lost = Vec::new();
    for part in doubtful.chunks(256) {
        let ids: Vec<_> = part.iter().map(|point| point.id).collect();
        let found = run
            .with_store(|store: Arc<dyn VectorStore>| {
                let ids = ids.clone();
                async move { store.passages(ids).await }
            })
            .await?;
        for (point, passage) in part.iter().zip(found) {
            // A digest of 0: what is there was about to be replaced anyway.
            let same = passage.is_some_and(|passage| digest(&passage) == point.digest || point.digest == 0);
            if !same {
                lost.push(point.id);
            }
        }
    }
    if !lost.is_empty() {
        let untouched = points.iter().copied().filter(|point| !lost.contains(&point.id)).collect();
        let intent = Intent { source, uri: uri.clone(), epoch, ids: lost, untouched };
        let fenced = run.recorded(run.setup.ledger.intend(vec![intent]).await)?;
        if fenced.uris.is_empty() {
            run.recorded(workers.walk_again().await)?;
        }
    }
    run.recorded(workers.settle(&uri).await)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Asks, gets so many of a hundred, and works on them for so long.
    async fn asked(amount: &mut Amount, workers: usize, percent: usize, lasts: Duration) -> usize {
        let asked = amount.next(workers);
        amount.came(asked * percent / 100);
        tokio::time::advance(lasts).await;
        asked
    }

    #[tokio::test(start_paused = true)]
    async fn as_much_is_taken_at_once_as_lasts_for_a_moment() {
        let (fast, slow, mut amount) = (Duration::from_millis(100), Duration::from_secs(5), Amount::default());
        for expected in [64, 128, 256, 512, 512] {
            assert_eq!(asked(&mut amount, 1, 100, fast).await, expected);
        }
        assert_eq!(asked(&mut amount, 8, 100, fast).await, 64, "others are there");
        assert_eq!(asked(&mut amount, 1000, 100, fast).await, 16);
        assert_eq!(asked(&mut amount, 1, 100, LASTS * 2).await, 32);
        assert_eq!(asked(&mut amount, 1, 50, fast).await, 32, "they lasted long enough");
        assert_eq!(asked(&mut amount, 1, 100, slow).await, 32, "there were no more");
        for expected in [16, 16] {
            assert_eq!(asked(&mut amount, 1, 100, slow).await, expected);
        }
    }
}
