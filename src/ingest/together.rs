//! A round of several workers, as one of them goes through it: it claims and works as long as there is anything, and leads where
//! nobody else does.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use tokio::sync::{Notify, mpsc};
use tokio::time::{Instant, sleep};
use tokio_util::sync::CancellationToken;

use super::claims::Claims;
use super::coordination::{Coordination, Lead, Phase, Term};
use super::ledger::{Meta, Scope};
use super::prune::Verdict;
use super::queue::{self, Batch, Closed, Submit};
use super::run::{Ended, Run};
use super::{coordinator, prune, reconcile, worker};
use crate::error::Error;
use crate::source::{Item, SourceId};
use crate::vectordb::{IndexMeta, StoreError};

/// Items that are put into the queue at once.
const SUBMITTED: usize = 512;
/// How often is looked whether anything is outstanding, at first and after a while.
const LOOK: (Duration, Duration) = (Duration::from_millis(20), Duration::from_millis(500));
/// How often a person hears of what is waited for.
const TELL: Duration = Duration::from_secs(15);

/// What became of a lead.
enum Led {
    /// The round is sealed; so many documents are gone and were kept.
    Sealed(u64),
    /// Another worker leads now.
    Deposed,
}

/// Goes through a round. Returns how many documents are gone and were kept; `None`: it was cut short.
pub(super) async fn together(run: &Arc<Run>, workers: &Arc<dyn Coordination>) -> Result<Option<u64>, Error> {
    let sources: Vec<SourceId> = run.setup.sources.iter().map(|source| source.id().clone()).collect();
    let joined = run.recorded(workers.join(&sources, run.options.prune).await);
    let kept = if joined.is_ok() { work(run, workers).await } else { None };
    run.report.clocks.close();
    workers.leave().await;
    match run.take_fatal() {
        Some(error) => Err(error),
        None => Ok(kept),
    }
}

async fn work(run: &Arc<Run>, workers: &Arc<dyn Coordination>) -> Option<u64> {
    let (mut fetched, local) = queue::local();
    let (over, empty) = (CancellationToken::new(), Arc::new(Notify::new()));
    let claims = Claims::new(run, workers, local, &empty, &over);
    let lead = async {
        let kept = lead(run, &**workers, &mut fetched, &empty).await;
        over.cancel();
        drop(fetched);
        kept.ok()
    };
    run.drained(async { tokio::join!(lead, worker::work(run, claims)).0 }).await.flatten()
}

/// Leads where nobody else does, until the round is over.
async fn lead(run: &Run, workers: &dyn Coordination, fetched: &mut mpsc::Sender<Batch>, empty: &Notify) -> Result<u64, Ended> {
    loop {
        match run.recorded(workers.lead().await)? {
            Lead::Over(kept) => return Ok(kept),
            Lead::Others => tokio::select! {
                paused = pause(run, workers.renewal()) => paused?,
                // The queue says that the round is over.
                () = empty.notified() => {}
            },
            Lead::Mine(term) => {
                let led = tokio::select! {
                    led = lead_on(run, workers, term, fetched) => led,
                    lost = keep(run, workers, term) => lost,
                };
                match led {
                    Ok(Led::Sealed(kept)) => return Ok(kept),
                    Ok(Led::Deposed) => {}
                    // So ends a walk, too, whose items the queue did not take as another leads.
                    Err(Ended::Stopped) if run.goes_on().is_ok() => {}
                    Err(ended) => return Err(ended),
                }
                tracing::warn!("another worker leads now");
            }
        }
    }
}

async fn pause(run: &Run, long: Duration) -> Result<(), Ended> {
    tokio::select! {
        () = sleep(long) => Ok(()),
        () = run.stop.cancelled() => Err(Ended::Stopped),
    }
}

/// Renews the lead, and frees what dead workers held, until another worker has it.
async fn keep(run: &Run, workers: &dyn Coordination, term: Term) -> Result<Led, Ended> {
    loop {
        pause(run, workers.renewal()).await?;
        match run.recorded(workers.lead().await)? {
            Lead::Mine(now) if now.epoch == term.epoch && now.history == term.history => {}
            // What was promised before counts no more; whoever leads then begins anew.
            Lead::Mine(_) | Lead::Others => return Ok(Led::Deposed),
            // Sealed meanwhile, by the other branch.
            Lead::Over(kept) => return Ok(Led::Sealed(kept)),
        }
        run.recorded(workers.outstanding().await)?;
    }
}

/// Goes from wherever the round is to its end.
async fn lead_on(run: &Run, workers: &dyn Coordination, term: Term, fetched: &mut mpsc::Sender<Batch>) -> Result<Led, Ended> {
    let mut preparing = term.phase == Phase::Preparing;
    if term.restored {
        tracing::warn!("the database has lost what it had acknowledged, as after a fail-over: ledger and store are compared");
        let Some(wait) = run.recorded(workers.restart(term).await)? else { return Ok(Led::Deposed) };
        run.report.waits_for(Some("waiting until no worker goes by what was lost".to_owned()));
        pause(run, wait).await?;
        run.report.waits_for(None);
        preparing = true;
    }
    let mut index = index(run).await?;
    // Both have a new generation in common when whoever led before ended between that and its last word.
    let in_common = |meta: Meta| meta.generation == Some(index.generation);
    let agree = term.index == Some(index.generation) || in_common(run.recorded(run.setup.ledger.meta().await)?);
    if !preparing && !agree {
        tracing::warn!("the index is not the one that this round began with: ledger and store are compared");
        let Some(wait) = run.recorded(workers.restart(term).await)? else { return Ok(Led::Deposed) };
        pause(run, wait).await?;
        preparing = true;
    }
    run.walk_anew(run.recorded(run.setup.ledger.begin_run().await)?);
    if preparing {
        // Who was at work when the round before was cut short is waited for, or freed.
        while run.recorded(workers.outstanding().await)?.taken > 0 {
            pause(run, LOOK.1).await?;
        }
        match reconcile::reconcile(&run.setup, run.id(), &index, &run.stop).await {
            Ok(true) => {}
            Ok(false) => return Err(Ended::Stopped),
            Err(error) => return Err(run.abort(error)),
        }
    }
    loop {
        if !run.recorded(workers.reached(term, Phase::Walking, index.generation).await)? {
            return Ok(Led::Deposed);
        }
        let scope = {
            let mut queue = Shared { workers, term, run, fetched, waiting: Vec::new(), number: 0 };
            let scope = coordinator::list(run, &mut queue).await?;
            queue.flush().await.map_err(|Closed| Ended::Stopped)?;
            scope
        };
        if !run.recorded(workers.reached(term, Phase::Listed, index.generation).await)? {
            return Ok(Led::Deposed);
        }
        drained(run, workers, "documents").await?;
        let Some(kept) = removed(run, workers, term, &scope).await? else { return Ok(Led::Deposed) };
        drained(run, workers, "removals").await?;
        if let Err(error) = run.setup.store.flush().await {
            return Err(run.abort(error.into()));
        }
        if let Err(error) = reconcile::seal(run, index.clone(), kept).await {
            tracing::warn!(%error, "the end of this round could not be recorded; the next one looks through the store first");
        }
        match run.recorded(workers.seal(term, kept).await)? {
            Some(true) => return Ok(Led::Sealed(kept)),
            Some(false) => {
                run.walk_anew(run.recorded(run.setup.ledger.begin_run().await)?);
                index = self::index(run).await?;
            }
            None => match run.recorded(workers.lead().await)? {
                Lead::Over(kept) => return Ok(Led::Sealed(kept)),
                _ => return Ok(Led::Deposed),
            },
        }
    }
}

/// What the index says of itself.
async fn index(run: &Run) -> Result<IndexMeta, Ended> {
    let index = run.with_store(|store| async move { store.meta().await }).await?;
    index.ok_or_else(|| run.abort(StoreError::Missing { store: run.setup.store.describe() }.into()))
}

/// Waits until nothing is outstanding.
async fn drained(run: &Run, workers: &dyn Coordination, what: &str) -> Result<(), Ended> {
    let (began, mut told, mut look) = (Instant::now(), Instant::now(), LOOK.0);
    loop {
        let outstanding = run.recorded(workers.outstanding().await)?;
        if outstanding.jobs == 0 && outstanding.sweeps == 0 {
            run.report.waits_for(None);
            return Ok(());
        }
        let late = || format!("waiting for what dead workers may still have on its way ({})", outstanding.sweeps);
        run.report.waits_for((outstanding.jobs == 0).then(late));
        if told.elapsed() >= TELL {
            told = Instant::now();
            tracing::info!(
                waiting = outstanding.jobs,
                taken = outstanding.taken,
                late = outstanding.sweeps,
                seconds = began.elapsed().as_secs(),
                "waiting for {what} that workers have, and for what dead ones may still have on its way"
            );
        }
        pause(run, look).await?;
        look = (look * 2).min(LOOK.1);
    }
}

/// Puts what is gone into the queue, unless that is in doubt. How many documents were kept for that reason; `None`: another one leads.
async fn removed(run: &Run, workers: &dyn Coordination, term: Term, scope: &Scope) -> Result<Option<u64>, Ended> {
    // Another worker may have been told since the lead was had that all that is gone is meant to be.
    let Lead::Mine(Term { prune: meant, .. }) = run.recorded(workers.lead().await)? else { return Ok(None) };
    match prune::judge(run, scope, meant).await? {
        Verdict::Keep(kept) => return Ok(Some(kept)),
        Verdict::Remove(0) => return Ok(Some(0)),
        Verdict::Remove(_) => {}
    }
    let mut after = None;
    loop {
        let page = run.recorded(run.setup.ledger.missing(run.id(), scope, after).await)?;
        if !run.recorded(workers.submit_removals(term, page.documents).await)? {
            return Ok(None);
        }
        after = page.next;
        if after.is_none() {
            return Ok(Some(0));
        }
    }
}

/// The queue that all workers share. What came with its body stays here: no other could fetch it again without asking the source twice.
struct Shared<'a> {
    workers: &'a dyn Coordination,
    term: Term,
    run: &'a Run,
    fetched: &'a mut mpsc::Sender<Batch>,
    /// Items of one source, by its number, that go into the queue together.
    waiting: Vec<Item>,
    number: usize,
}

impl Shared<'_> {
    /// Puts in what waits.
    async fn flush(&mut self) -> Result<(), Closed> {
        let items = std::mem::take(&mut self.waiting);
        let Some(source) = self.run.setup.sources.get(self.number).filter(|_| !items.is_empty()) else { return Ok(()) };
        let submitted = self.workers.submit(self.term, self.number, source.id(), items).await;
        match self.run.recorded(submitted) {
            Ok(true) => Ok(()),
            // The other branch hears of it as well.
            Ok(false) | Err(_) => Err(Closed),
        }
    }
}

#[async_trait]
impl Submit for &mut Shared<'_> {
    async fn submit(&mut self, batch: Batch) -> Result<(), Closed> {
        if batch.fetched.is_some() {
            // Before anyone could find that nothing is outstanding.
            let uris = batch.items.iter().map(|item| item.uri.clone()).collect();
            self.run.recorded(self.workers.hold(uris).await).map_err(|_| Closed)?;
            return self.fetched.submit(batch).await;
        }
        if batch.source != self.number {
            self.flush().await?;
            self.number = batch.source;
        }
        self.waiting.extend(batch.items);
        if self.waiting.len() >= SUBMITTED { self.flush().await } else { Ok(()) }
    }

    async fn pause(&mut self) -> Result<(), Closed> {
        self.flush().await
    }
}
