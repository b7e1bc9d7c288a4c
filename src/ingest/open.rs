//! Brings together what a run needs.

use std::sync::Arc;
use std::sync::atomic::AtomicU64;

use tokio_util::sync::CancellationToken;
use tracing::Span;

use super::batching::Batching;
use super::context::Writer;
use super::embed::EmbedQueue;
use super::ledger::SqliteLedger;
use super::memory::MemoryBudget;
use super::reconcile::{new_generation, reconcile};
use super::report::{Report, Stage};
use super::run::{Arrived, Fatal, Mode, Run, begun};
use super::setup::{Options, Setup};
use super::told::Told;
use crate::cache::{EmbeddingCache, TextCache};
use crate::chunk::Chunker;
use crate::error::Error;
use crate::vectordb::{IndexMeta, StoreError, VectorStore};

/// Vectors of a run that has no cache on disk, in bytes: texts that occur twice are embedded once.
const MEMORY_CACHE: u64 = 64 << 20;

/// A run that may begin.
pub(super) struct Opened {
    pub run: Run,
    /// What the index says of itself; `None` where there is none to look at.
    pub index: Option<IndexMeta>,
}

/// Opens a run. To write: index and ledger agree, or the run does not begin. To look: nothing is locked, made or written.
/// `None`: it was stopped meanwhile.
pub(super) async fn open(
    mut setup: Setup,
    mode: Mode,
    options: Options,
    report: &Arc<Report>,
    stop: CancellationToken,
) -> Result<Option<Opened>, Error> {
    let store = Arc::clone(&setup.store);
    let contexts = setup.context.as_ref().and_then(|context| context.allowed.clone());
    report.quotas.know(setup.terms.allowed.clone(), contexts);
    if let Some(price) = setup.terms.price {
        let _ = report.embeddings.price.set(price);
    }
    if options.rebuild && mode == Mode::Write && begun(&stop, || store.drop_index()).await?.is_none() {
        return Ok(None);
    }
    let index = if options.rebuild && mode == Mode::Look {
        None
    } else {
        let Some(index) = begun(&stop, || store.meta()).await? else { return Ok(None) };
        index
    };
    if let Some(index) = &index {
        index.agree_with_model(&*store, &setup.embedder.fingerprint())?;
        index.agree_with_chunking(&*store, &setup.chunk.fingerprint())?;
    }
    let index = match (index, mode) {
        (None, Mode::Write) if setup.is_there => return Err(StoreError::Missing { store: store.describe() }.into()),
        (None, Mode::Write) => {
            // A model that does not say how wide its vectors are is asked for one.
            let made = report.embeddings.sent.counts(create(&setup, &stop)).await?;
            let Some(made) = made else { return Ok(None) };
            Some(made)
        }
        (None, Mode::Look) => {
            // A ledger without its index says nothing: everything would be new.
            setup.ledger = Arc::new(SqliteLedger::in_memory().await?);
            None
        }
        (Some(index), Mode::Write) => {
            // Before anything is paid for that another process's run would keep from being written.
            if begun(&stop, || store.acquire()).await?.is_none() {
                return Ok(None);
            }
            Some(index)
        }
        (index, Mode::Look) => index,
    };
    let id = setup.ledger.begin_run().await?;
    if let Some(index) = index.as_ref().filter(|_| mode == Mode::Write)
        // Who leads several workers does it, before any of them claims.
        && setup.workers.is_none()
        && !reconcile(&setup, id, index, &stop).await?
    {
        return Ok(None);
    }
    let other_home = index.as_ref().and_then(|index| index.other_home(setup.home.as_deref()));
    if let Some(other) = other_home.as_deref().filter(|_| mode == Mode::Write && !options.prune) {
        tracing::warn!("the index was last written by another home, {other}: nothing that only that one has is removed");
    }

    let dimensions = index.as_ref().map_or(0, |index| index.dimensions);
    let batching = Batching::of(&setup.terms, &*setup.embedder, dimensions);
    let cache = match (mode, &setup.cache) {
        (Mode::Write, Some(folder)) => EmbeddingCache::open(folder, &*setup.embedder, dimensions),
        (Mode::Write, None) => EmbeddingCache::new(MEMORY_CACHE),
        (Mode::Look, _) => EmbeddingCache::new(0),
    };
    let cache = match setup.shared_cache.as_ref().filter(|_| mode == Mode::Write && dimensions > 0) {
        Some(shared) => cache.with_shared(shared, &*setup.embedder, dimensions),
        None => cache,
    };
    let situates = setup.context.is_some();
    let told = if mode == Mode::Write { Told::within(Span::current(), situates) } else { Told::default() };
    let span = told.stage(Stage::Embed);
    let embed_queue =
        EmbedQueue::start(Arc::clone(&setup.embedder), dimensions, cache, batching, Arc::clone(report), stop.clone(), span);
    let contexts = setup.context.as_ref().map(|situating| {
        let cache = TextCache::open(setup.cache.as_deref());
        Writer::new(situating, cache, Arc::clone(report), stop.clone(), told.stage(Stage::Context))
    });
    let run = Run {
        options,
        mode,
        walk: AtomicU64::new(id.0),
        chunker: Chunker::new(&setup.chunk),
        contexts,
        embed_queue,
        batching,
        report: Arc::clone(report),
        other_home,
        stop,
        memory: MemoryBudget::default(),
        fatal: Fatal::default(),
        told,
        arrived: Arrived::default(),
        documents_before: AtomicU64::default(),
        setup,
    };
    Ok(Some(Opened { run, index }))
}

async fn create(setup: &Setup, stop: &CancellationToken) -> Result<Option<IndexMeta>, Error> {
    let index = IndexMeta {
        version: IndexMeta::VERSION,
        generation: new_generation(),
        model: setup.embedder.fingerprint(),
        dimensions: setup.embedder.dimensions().await?,
        chunking: setup.chunk.fingerprint(),
        home: setup.home.clone(),
        change: setup.change,
        prefixes: setup.prefixes.clone(),
    };
    Ok(make(&*setup.store, &index, stop).await?)
}

/// Makes an index, unless another run has just made one that is like it. `None`: it was stopped meanwhile.
pub(crate) async fn make(
    store: &dyn VectorStore,
    index: &IndexMeta,
    stop: &CancellationToken,
) -> Result<Option<IndexMeta>, StoreError> {
    let make = || async {
        let Err(error) = store.create(index).await else { return Ok(index.clone()) };
        match error {
            // Two first runs at once, or an answer that was lost: what is there will do, if it is what this one would have made.
            StoreError::Denied { .. } | StoreError::Failed { .. } | StoreError::Unavailable { .. } => match store.meta().await?
            {
                Some(there) if there.is_alike(index) => Ok(there),
                _ => Err(error),
            },
            error => Err(error),
        }
    };
    begun(stop, make).await
}
