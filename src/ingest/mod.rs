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
//! Invariant: what may be written is recorded before it is (see [`ledger`]).
//! Absent on purpose: errors as stream items. One bad document is counted and recorded where it fails; what must end the
//! run goes to [`run::Run::abort`], which lets everything in flight finish.

pub mod chunk;
pub mod embed;
mod flow;
mod job;
pub mod ledger;
pub mod parse;
pub mod read;
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
use self::ledger::{Ledger, Recorded};
use self::report::{Chunks, Documents, Embeddings, Outcome, Report, Summary};
pub use self::run::{Observer, Options};
use self::run::{Run, digest};
use crate::cache::EmbeddingCache;
use crate::error::Error;
use crate::pipeline::{ProviderKind, Running};
use crate::providers::prices;
use crate::vectordb::{IndexMeta, VectorStore};

/// Vectors kept in memory, in bytes.
const CACHE_BYTES: u64 = 32 << 20;

/// How long a stopped run may take to finish what is in flight.
const DRAIN: Duration = Duration::from_secs(30);

/// Requests under way, whatever the provider's limits allow.
const MOST_IN_FLIGHT: usize = 512;

/// Documents of a store that are looked at in one go while a lost ledger is made anew.
const PAGE: usize = 1000;

/// Runs a pipeline once. Cancelling `stop` takes nothing new, finishes what is in flight and returns
/// [`Outcome::Interrupted`]; running again goes on from there.
pub async fn run(running: &Running, options: Options, report: Arc<Report>, stop: CancellationToken) -> Result<Summary, Error> {
    let run = Arc::new(open(running, options, report, stop).await?);

    let found = flow::walk(&run);
    let changed = flow::compare(&run, found);
    let documents = flow::parse(&run, changed);
    let pieces = flow::chunk(&run, documents);
    let embedded = flow::embed(&run, pieces);
    let stored = store::store(&run, embedded);
    let done = stored.for_each_concurrent(store::WRITERS, |job| async {
        store::finish(&run, job).await;
    });

    let stopped = async {
        run.stop.cancelled().await;
        tokio::time::sleep(DRAIN).await;
    };
    tokio::select! {
        () = done => {}
        () = stopped => tracing::warn!("what was in flight took too long to finish; the next run does it again"),
    }

    let kept = if run.stop.is_cancelled() { 0 } else { remove_gone(&run).await.unwrap_or(0) };
    let flushed = run.store.flush().await;
    if let Some(error) = run.take_fatal() {
        return Err(error);
    }
    flushed?;
    Ok(summary(&run, running, kept))
}

/// Brings together what a run needs: index and ledger agree, or the run does not begin.
async fn open(running: &Running, options: Options, report: Arc<Report>, stop: CancellationToken) -> Result<Run, Error> {
    let plan = &running.plan;
    let path = running.settings.ledger(&plan.name);
    let ledger = blocking(move || Ledger::open(&path)).await?;
    let embedder = running.embedder().await?;
    let store = running.store()?;

    if options.rebuild {
        store.drop_index().await?;
    }
    let meta = if let Some(meta) = store.meta().await? {
        meta.agree_with_model(&*store, &embedder.fingerprint())?;
        meta.agree_with_chunking(&*store, &plan.chunk.fingerprint())?;
        meta
    } else {
        let meta = IndexMeta {
            version: IndexMeta::VERSION,
            generation: Uuid::new_v5(&Uuid::NAMESPACE_OID, &rand::random::<[u8; 32]>()),
            model: embedder.fingerprint(),
            dimensions: embedder.dimensions().await?,
            chunking: plan.chunk.fingerprint(),
        };
        store.create(&meta).await?;
        meta
    };
    let base = settle_ledger(&ledger, &*store, &meta, running.settings.cwd.clone()).await?;

    let limits = embedder.limits();
    let kind = plan.providers.get(&plan.embed.model.provider).map(|provider| provider.kind);
    let batching = Batching {
        items: plan.embed.batch_items.map_or(limits.items.min(256), |items| items.get().min(limits.items)),
        tokens: plan.embed.batch_tokens.map_or(limits.tokens, |tokens| tokens.get().min(limits.tokens)),
        // In process more at once than cores only costs memory; elsewhere the provider's limits decide.
        in_flight: if kind == Some(ProviderKind::Local) { 2 } else { MOST_IN_FLIGHT },
    };
    let cache = EmbeddingCache::new(CACHE_BYTES);
    let embedding = Embedding::start(Arc::clone(&embedder), cache, batching, Arc::clone(&report), stop.clone());
    let bm25 = running.bm25();
    Ok(Run::new(plan, base, embedder, (embedding, batching), (store, bm25), ledger, report, options, stop))
}

/// Makes the ledger speak of this very index. One that speaks of another (the store was wiped, the ledger was lost) is
/// made anew from what the store holds, so that nothing is embedded again and nothing stays behind. Returns the base folder.
async fn settle_ledger(ledger: &Ledger, store: &dyn VectorStore, meta: &IndexMeta, cwd: PathBuf) -> Result<PathBuf, Error> {
    let generation = meta.generation.to_string();
    let asked = ledger.clone();
    let (known, base) = blocking(move || {
        asked.begin_run()?;
        Ok((asked.fact("generation")?, asked.fact("base")?))
    })
    .await?;
    let base = base.map_or(cwd, PathBuf::from);
    if known.as_deref() != Some(&generation) {
        let cleared = ledger.clone();
        blocking(move || cleared.clear()).await?;
        let mut after = None;
        loop {
            let page = store.scroll(after, PAGE).await?;
            let full = page.len() == PAGE;
            after = page.last().map(|(id, _)| *id);
            let adopting = ledger.clone();
            blocking(move || {
                page.iter()
                    .try_for_each(|(id, passage)| adopting.adopt(&passage.uri, Recorded { id: *id, digest: digest(passage) }))
            })
            .await?;
            if !full {
                break;
            }
        }
        let (settled, base) = (ledger.clone(), base.to_string_lossy().into_owned());
        blocking(move || {
            settled.set_fact("base", &base)?;
            settled.set_fact("generation", &generation)
        })
        .await?;
    }
    Ok(base)
}

async fn blocking<T: Send + 'static>(
    call: impl FnOnce() -> Result<T, ledger::LedgerError> + Send + 'static,
) -> Result<T, Error> {
    tokio::task::spawn_blocking(call)
        .await
        .map_err(|panic| Error::Worker { action: "use the ledger", source: panic })?
        .map_err(Error::from)
}

/// Removes the documents that are gone from the sources, unless they are so many that the source itself looks broken.
/// Returns how many were kept for that reason.
async fn remove_gone(run: &Arc<Run>) -> Option<u64> {
    let scope = run.scope.lock().unwrap_or_else(std::sync::PoisonError::into_inner).clone();
    let counted = scope.clone();
    let (known, gone) = run.with_ledger(move |ledger| ledger.count_gone(&counted)).await?;
    if gone * 2 > known && !run.options.prune {
        return Some(gone);
    }
    let mut after = Some(String::new());
    while let Some(from) = after.take() {
        let scope = scope.clone();
        let (gone, next) = run.with_ledger(move |ledger| ledger.gone(&scope, &from)).await?;
        for uri in gone {
            if run.stop.is_cancelled() {
                return Some(0);
            }
            let asked = uri.clone();
            let points = run.with_ledger(move |ledger| ledger.entry(&asked)).await?.map_or(0, |entry| entry.points.len());
            run.with_store(|store| {
                let uri = uri.clone();
                async move { store.delete_document(&uri).await }
            })
            .await?;
            run.with_ledger(move |ledger| ledger.forget(&uri)).await?;
            run.report.documents.removed.add(1);
            run.report.chunks.deleted.add(points as u64);
        }
        after = next;
    }
    Some(0)
}

fn summary(run: &Run, running: &Running, kept_although_gone: u64) -> Summary {
    let (documents, chunks, embeddings) = (&run.report.documents, &run.report.chunks, &run.report.embeddings);
    let model = &running.plan.embed.model;
    let kind = running.plan.providers.get(&model.provider).map(|provider| provider.kind);
    let stats = running.providers.stats().get(&model.provider).copied().unwrap_or_default();
    let tokens = embeddings.tokens.get();
    Summary {
        kind: "summary",
        pipeline: running.plan.name.clone(),
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
            cost_usd: prices::embedding_cost(kind, &model.model, tokens),
        },
        bottleneck: run.report.bottleneck(|stage| run.places(stage)),
        kept_although_gone,
        skipped: run.skipped(),
    }
}

/// Where the ledger of a pipeline is.
pub fn ledger_path(home: &Path, pipeline: &str) -> PathBuf {
    home.join(format!("{pipeline}.ledger"))
}
