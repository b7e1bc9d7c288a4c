//! Ingest: from files to an index, as one stream.
//!
//! ```text
//!  walk ─▶ compare ─▶ parse ─▶ chunk ─▶ embed ─▶ store ─▶ finish
//!  files   stamps     text     pieces   vectors  points   stale ones deleted, recorded as done
//!             │         │        │
//!             └─────────┴────────┴── unchanged: nothing more to do
//! ```
//!
//! Every stage pulls from the one before it, so that the slowest sets the pace and nothing piles up: what is under way is
//! bounded in items by each stage's places and in bytes by [`run::Run::room`].
//!
//! Invariant: a document is recorded as done after the store has acknowledged its new chunks and its stale ones are deleted.
//! Invariant: what may be written or deleted is recorded before it is (see [`ledger`]).
//! Invariant: the ledger is trusted only where it and the store bear the same generation, which a run gives to both at its
//! end. Otherwise (a kill, a wiped or restored store, a lost ledger, another home) the store is looked through first.
//! Absent on purpose: errors as stream items. One bad document is counted and recorded where it fails; what must end the
//! run goes to [`run::Run::abort`], which lets everything in flight finish.

pub mod breaker;
pub mod embed;
mod flow;
mod forecast;
mod job;
pub mod ledger;
pub mod report;
mod run;
mod store;

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use futures_util::StreamExt as _;
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

use self::embed::{Batching, Embedding};
pub use self::forecast::{Forecast, ForecastChunks, forecast};
use self::ledger::{Intent, Ledger, Meta, MissingCount, RunId, SqliteLedger, Staged, StoredPoint};
use self::report::{Chunks, Documents, Embeddings, Outcome, Report, Summary};
pub use self::run::{Observer, Options};
use self::run::{Run, STARTING, STORE_BUDGET, digest, waited_for};
use crate::cache::EmbeddingCache;
use crate::document::Passage;
use crate::error::{Error, Origin};
use crate::pipeline::Plan;
use crate::providers::ProviderKind;
use crate::providers::{Embedder, prices};
use crate::runtime::{Runtime, Settings};
use crate::source::{self, SourceId};
use crate::vectordb::StorePlan;
use crate::vectordb::{IndexMeta, VectorStore};

/// Batches under way, at most, whatever the provider's limits allow.
const MOST_IN_FLIGHT: usize = 512;

/// Texts under way where no concurrency is declared: some tens of MB with what belongs to them.
const PIECES: usize = 8 * 1024;
/// And at most, in bytes, where one is: a text and its vector, when its batch is answered.
const MOST_PIECES: usize = 32 << 20;
/// Vectors and their texts that wait for the store, in bytes: the embedded engine stands still for most of a second while it seals
/// a segment, and the provider need not.
const WAITING: usize = 8 << 20;
/// What a text under way takes besides its vector, in bytes, about.
const TEXT: usize = 1024;

/// How long a stopped run may take to finish what is in flight.
const DRAIN: Duration = Duration::from_secs(30);

/// Points of a store that are looked at in one go.
const PAGE: usize = 1000;

/// Runs a pipeline once. Cancelling `stop` takes nothing new, finishes what is in flight and returns
/// [`Outcome::Interrupted`]; running again goes on from there.
pub async fn run(runtime: &Runtime, options: Options, report: Arc<Report>, stop: CancellationToken) -> Result<Summary, Error> {
    // A token of the run's own: a run that stops itself was not interrupted by anyone.
    let opened = tokio::select! {
        opened = open(runtime, options, Arc::clone(&report), stop.child_token()) => opened?,
        // To look through a large store takes a while, and to wait for one that is away. Left halfway it is begun anew.
        () = stop.cancelled() => None,
    };
    let Some((run, meta)) = opened else { return Ok(Summary::interrupted(&runtime.plan.name, report.elapsed())) };
    let run = Arc::new(run);

    let found = flow::walk(&run);
    let changed = flow::compare(&run, found);
    let documents = flow::parse(&run, changed);
    let pieces = flow::chunk(&run, documents);
    let embedded = flow::embed(&run, pieces);
    let stored = store::store(&run, embedded);
    let done = stored.for_each_concurrent(store::WRITERS, |jobs| async {
        store::finish(&run, jobs).await;
    });

    let stopped = async {
        run.stop.cancelled().await;
        tokio::time::sleep(DRAIN).await;
    };
    let drained = tokio::select! {
        () = done => true,
        () = stopped => {
            tracing::warn!("what was in flight took too long to finish; the next run does it again");
            false
        }
    };

    let kept = if run.stop.is_cancelled() { 0 } else { remove_gone(&run).await.unwrap_or(0) };
    // An engine that nothing was asked of need not be opened to be flushed.
    let written = run.report.chunks.upserted.get() + run.report.chunks.deleted.get() > 0;
    let flushed = if written { run.store.flush().await } else { Ok(()) };
    let fatal = run.take_fatal();
    if drained
        && fatal.as_ref().is_none_or(|error| error.origin() != Origin::Store)
        && let Err(error) = seal(&run, meta, kept > 0).await
    {
        tracing::warn!(%error, "the end of this run could not be recorded; the next run looks through the store first");
    }
    if let Some(error) = fatal {
        return Err(error);
    }
    flushed?;
    Ok(summary(&run, runtime, kept))
}

/// Brings together what a run needs: index and ledger agree, or the run does not begin. `None`: it was stopped meanwhile.
async fn open(
    runtime: &Runtime,
    options: Options,
    report: Arc<Report>,
    stop: CancellationToken,
) -> Result<Option<(Run, IndexMeta)>, Error> {
    let plan = &runtime.plan;
    let path = runtime.settings.ledger(&plan.name);
    let ledger: Arc<dyn Ledger> = Arc::new(SqliteLedger::open(&path).await?);
    let embedder = runtime.embedder().await?;
    let store = runtime.store()?;

    if options.rebuild && waited_for(&stop, STARTING, || store.drop_index()).await?.is_none() {
        return Ok(None);
    }
    let Some(meta) = waited_for(&stop, STARTING, || store.meta()).await? else { return Ok(None) };
    let home = home_of(runtime);
    let meta = if let Some(meta) = meta {
        meta.agree_with_model(&*store, &embedder.fingerprint())?;
        meta.agree_with_chunking(&*store, &plan.chunk.fingerprint())?;
        meta
    } else {
        let meta = IndexMeta {
            version: IndexMeta::VERSION,
            generation: new_generation(),
            model: embedder.fingerprint(),
            dimensions: embedder.dimensions().await?,
            chunking: plan.chunk.fingerprint(),
            home: home.clone(),
        };
        store.create(&meta).await?;
        meta
    };
    let id = ledger.begin_run().await?;
    let reconciled = reconcile(&*ledger, id, &*store, &meta, &runtime.settings, &stop);
    let Some(base) = reconciled.await? else { return Ok(None) };
    let other_home = other_home(&meta, home.as_deref());
    if let Some(other) = other_home.as_deref().filter(|_| !options.prune) {
        tracing::warn!("the index was last written by another home, {other}: nothing that only that one has is removed");
    }

    let batching = batching(plan, &*embedder, meta.dimensions);
    let cache = EmbeddingCache::open(&runtime.settings.cache, &*embedder, meta.dimensions);
    let embedding = Embedding::start(Arc::clone(&embedder), cache, batching, Arc::clone(&report), stop.clone());
    let bm25 = runtime.bm25();
    let mut run = Run::new(plan, base, embedder, (embedding, batching), (store, bm25), (ledger, id), report, options, stop);
    (run.home, run.other_home) = (home, other_home);
    Ok(Some((run, meta)))
}

/// What the home is called in an index that lives outside of it; `None` where it lives inside, and moves with it.
fn home_of(runtime: &Runtime) -> Option<String> {
    if matches!(runtime.plan.store, StorePlan::Edge { path: None }) {
        return None;
    }
    let home = &runtime.settings.home;
    Some(std::path::absolute(home).unwrap_or_else(|_| home.clone()).to_string_lossy().into_owned())
}

/// The home that wrote to the index last, if it is another one.
fn other_home(meta: &IndexMeta, home: Option<&str>) -> Option<String> {
    meta.home.clone().filter(|wrote| home.is_some_and(|home| home != wrote))
}

/// Brings together what looking takes: nothing is locked, made or written.
async fn open_to_look(runtime: &Runtime, options: Options, report: Arc<Report>, stop: CancellationToken) -> Result<Run, Error> {
    let plan = &runtime.plan;
    let embedder = runtime.embedder().await?;
    let store = runtime.store()?;
    let meta = if options.rebuild { None } else { waited_for(&stop, STARTING, || store.meta()).await?.flatten() };
    let other_home = meta.as_ref().and_then(|meta| other_home(meta, home_of(runtime).as_deref()));
    if let Some(meta) = &meta {
        meta.agree_with_model(&*store, &embedder.fingerprint())?;
        meta.agree_with_chunking(&*store, &plan.chunk.fingerprint())?;
    }
    let path = runtime.settings.ledger(&plan.name);
    // A ledger without its index says nothing: everything would be new.
    let ledger = if meta.is_some() { SqliteLedger::open_to_read(&path).await? } else { None };
    let ledger: Arc<dyn Ledger> = Arc::new(match ledger {
        Some(ledger) => ledger,
        None => SqliteLedger::in_memory().await?,
    });
    let id = ledger.begin_run().await?;
    let base = base_of(ledger.meta().await?.base, &runtime.settings);
    let batching = batching(plan, &*embedder, 0);
    let cache = EmbeddingCache::new(0);
    let embedding = Embedding::start(Arc::clone(&embedder), cache, batching, Arc::clone(&report), stop.clone());
    let bm25 = runtime.bm25();
    let options = Options { dry: true, ..options };
    let mut run = Run::new(plan, base, embedder, (embedding, batching), (store, bm25), (ledger, id), report, options, stop);
    run.other_home = other_home;
    Ok(run)
}

/// How batches are filled: as the plan says, within what the provider takes and memory allows.
fn batching(plan: &Plan, embedder: &dyn Embedder, dimensions: usize) -> Batching {
    let limits = embedder.limits();
    let items = plan.embed.batch_items.map_or(limits.items.min(256), |items| items.get().min(limits.items)).max(1);
    let tokens = plan.embed.batch_tokens.map_or(limits.tokens, |tokens| tokens.get().min(limits.tokens));
    let provider = plan.providers.get(&plan.embed.model.provider);
    let declared = provider.and_then(|provider| provider.limits.concurrency).map(|declared| declared as usize);
    let vector = dimensions.max(1) * size_of::<f32>();
    // What is under way: the batches on the wire, some that are put on disk, and some that fill up meanwhile.
    let (in_flight, pieces) = match (provider.map(|provider| provider.kind), declared) {
        // In process more at once than cores only costs memory.
        (Some(ProviderKind::Local), _) => (2, items * 4),
        (_, Some(declared)) => (declared * 2 + 1, items.saturating_mul(declared + declared / 2 + 2)),
        (_, None) => (MOST_IN_FLIGHT, PIECES),
    };
    let pieces = pieces.min(MOST_PIECES / (vector + TEXT)).max(items * 2);
    Batching { items, tokens, in_flight, pieces, waiting: WAITING / (vector + TEXT) }
}

fn new_generation() -> Uuid {
    Uuid::new_v5(&Uuid::NAMESPACE_OID, &rand::random::<[u8; 32]>())
}

/// Gives store and ledger a new generation in common, if this run changed anything: an older copy of either does not have it.
/// The ledger has had none since the first change, so that a kill at any instant only makes the next run look.
/// The index is this home's from now on, unless documents were kept as they may be another's.
async fn seal(run: &Run, meta: IndexMeta, kept: bool) -> Result<(), Error> {
    let recorded = run.ledger.meta().await?;
    // Another home may have written to the same store meanwhile; what it wrote is not in this ledger.
    if recorded.generation.is_some() || run.store.meta().await?.as_ref() != Some(&meta) {
        return Ok(());
    }
    let home = if kept && run.other_home.is_some() { meta.home } else { run.home.clone() };
    let meta = IndexMeta { generation: new_generation(), home, ..meta };
    run.store.set_meta(&meta).await?;
    Ok(run.ledger.set_meta(&Meta { generation: Some(meta.generation), ..recorded }).await?)
}

/// Makes the ledger speak of this very state of the index. One that speaks of another is corrected by what the store holds,
/// so that nothing is embedded again, nothing is missing and nothing stays behind. Returns the base folder.
/// `None`: it was stopped meanwhile.
async fn reconcile(
    ledger: &dyn Ledger,
    run: RunId,
    store: &dyn VectorStore,
    meta: &IndexMeta,
    settings: &Settings,
    stop: &CancellationToken,
) -> Result<Option<PathBuf>, Error> {
    let recorded = ledger.meta().await?;
    let base = base_of(recorded.base, settings);
    if recorded.generation != Some(meta.generation) {
        tracing::debug!("the ledger and the store may differ: looking through the store");
        let mut after = None;
        loop {
            let Some(page) = waited_for(stop, STORE_BUDGET, || store.scroll(after, PAGE)).await? else { return Ok(None) };
            let full = page.len() == PAGE;
            after = page.last().map(|(id, _)| *id);
            let staged = |(id, passage): (Uuid, Passage)| {
                let point = StoredPoint { id, digest: digest(&passage) };
                Staged { source: passage.source.map_or_else(SourceId::files, SourceId::new), uri: passage.uri, point }
            };
            ledger.stage_stored(run, page.into_iter().map(staged).collect()).await?;
            if !full {
                break;
            }
        }
        ledger.reconcile(run).await?;
        let kept = kept_base(&base, &settings.home);
        ledger.set_meta(&Meta { base: Some(kept), generation: Some(meta.generation) }).await?;
    }
    Ok(Some(base))
}

/// The base folder as the ledger keeps it: by the way from the home to it, where the home lies below it, so that a project which
/// is moved with its home keeps its documents.
fn kept_base(base: &Path, home: &Path) -> String {
    match source::normalise(home).strip_prefix(source::normalise(base)) {
        Ok(below) => vec![".."; below.components().count()].join("/"),
        Err(_) => base.to_string_lossy().into_owned(),
    }
}

/// The base folder that the ledger keeps; the working folder when there is none yet.
fn base_of(kept: Option<String>, settings: &Settings) -> PathBuf {
    kept.map_or_else(|| settings.cwd.clone(), |kept| source::normalise(&settings.home.join(kept)))
}

/// How many documents are to be removed since they are gone, and how many are gone and to be kept: when more than half of the
/// index is gone, the source itself looks broken; and what another home wrote may be in its sources.
async fn gone(run: &Run) -> Option<(u64, u64)> {
    let MissingCount { known, missing: gone } = run.recorded(run.ledger.count_missing(run.id, &run.scope()).await)?;
    let doubtful = gone * 2 > known || run.other_home.is_some();
    Some(if doubtful && !run.options.prune { (0, gone) } else { (gone, 0) })
}

/// Removes the documents that are gone from the sources, unless that is in doubt (see [`gone`]).
/// Returns how many were kept for that reason.
async fn remove_gone(run: &Arc<Run>) -> Option<u64> {
    let (gone, kept) = gone(run).await?;
    if gone == 0 {
        return Some(kept);
    }
    let scope = run.scope();
    let mut after = None;
    loop {
        let page = run.recorded(run.ledger.missing(run.id, &scope, after).await)?;
        for document in page.documents {
            if run.stop.is_cancelled() {
                return Some(0);
            }
            let uri = document.uri;
            let prior = run.recorded(run.ledger.claim(vec![uri.clone()]).await)?.pop().unwrap_or_default();
            let ids: Vec<Uuid> =
                prior.entry.map(|entry| entry.points).unwrap_or_default().iter().map(|point| point.id).collect();
            let points = ids.len();
            let (source, epoch) = (document.source, prior.epoch);
            let intent = Intent { source, uri: uri.clone(), epoch, ids, untouched: Vec::new() };
            if !run.recorded(run.ledger.intend(vec![intent]).await)?.uris.is_empty() {
                continue;
            }
            run.with_store(|store| {
                let uri = uri.clone();
                async move { store.delete_document(&uri).await }
            })
            .await?;
            let _ = run.recorded(run.ledger.forget(vec![(uri, epoch)]).await)?;
            run.report.documents.removed.add(1);
            run.report.chunks.deleted.add(points as u64);
        }
        after = page.next;
        if after.is_none() {
            return Some(0);
        }
    }
}

fn summary(run: &Run, runtime: &Runtime, kept_although_gone: u64) -> Summary {
    let (documents, chunks, embeddings) = (&run.report.documents, &run.report.chunks, &run.report.embeddings);
    let model = &runtime.plan.embed.model;
    let price = runtime.plan.providers.get(&model.provider).and_then(|provider| prices::of(provider, &model.model));
    let stats = runtime.providers.stats().get(&model.provider).copied().unwrap_or_default();
    // A copy that was sent twice, and an answer that made no sense, are on the bill as well.
    let tokens = embeddings.tokens.get() + stats.wasted;
    Summary {
        pipeline: runtime.plan.name.clone(),
        outcome: if run.stop.is_cancelled() { Outcome::Interrupted } else { Outcome::Complete },
        seconds: run.report.elapsed().as_secs_f64(),
        documents: Documents {
            seen: documents.seen.get(),
            added: documents.added.get(),
            changed: documents.changed.get(),
            unchanged: documents.unchanged.get(),
            removed: documents.removed.get(),
            failed: documents.failed.get(),
            skipped: documents.skipped.get(),
        },
        chunks: Chunks { upserted: chunks.upserted.get(), deleted: chunks.deleted.get(), kept: chunks.kept.get() },
        embeddings: Embeddings {
            embedded: embeddings.embedded.get(),
            cache_hits: embeddings.cache_hits.get(),
            requests: stats.requests,
            tokens,
            retries: stats.retries,
            throttled: stats.throttled,
            hedged: stats.hedged,
            cost_usd: price.and_then(|price| price.cost(tokens, 0)),
        },
        bottleneck: run.report.bottleneck(|stage| run.places(stage)),
        kept_although_gone,
        other_home: run.other_home.clone(),
        skipped: run.report.skipped(),
    }
}

/// Where the ledger of a pipeline is.
pub fn ledger_path(home: &Path, pipeline: &str) -> PathBuf {
    home.join(format!("{pipeline}.ledger"))
}
