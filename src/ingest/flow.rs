//! The stages between the files and the vectors, each a stream that pulls from the one before it.

use std::sync::Arc;

use async_stream::stream;
use futures_util::{Stream, StreamExt as _};
use tokio::sync::OwnedSemaphorePermit;
use tokio_util::task::AbortOnDropHandle;

use super::embed::EmbedError;
use super::job::{Job, Piece};
use super::parse;
use super::read::{self, Seen};
use super::report::Stage;
use super::run::Run;
use super::store::finish;
use crate::cache::Vector;
use crate::document::{Document, Found, Stamp};
use crate::error::{Error, reason};
use crate::providers::ErrorKind;

/// Files that are compared with the ledger in one go.
const COMPARE: usize = 1024;

/// Every file that the sources hold.
pub(super) fn walk(run: &Arc<Run>) -> impl Stream<Item = Found> + Send + use<> {
    let run = Arc::clone(run);
    stream! {
        for files in run.sources.clone() {
            let mut seen = std::pin::pin!(read::walk(files, run.base.clone()));
            while let Some(seen) = seen.next().await {
                if run.stop.is_cancelled() {
                    return;
                }
                match seen {
                    Seen::Found(found) => {
                        run.report.documents.seen.add(1);
                        yield found;
                    }
                    Seen::Skipped { reason, .. } => run.skip(reason.label()),
                    Seen::Unreadable { uri, error } => {
                        run.protect(uri.clone());
                        run.fail(&uri, Stage::Read, reason(&error)).await;
                    }
                }
            }
        }
    }
}

/// The files that the ledger does not know to be unchanged.
pub(super) fn compare(run: &Arc<Run>, found: impl Stream<Item = Found> + Send) -> impl Stream<Item = Found> + Send {
    let run = Arc::clone(run);
    let mut found = Box::pin(found.ready_chunks(COMPARE));
    stream! {
        while let Some(batch) = found.next().await {
            let (count, checksum) = (batch.len(), run.options.checksum);
            let compared = run.with_ledger(move |ledger| {
                let all = checksum.then(|| batch.clone());
                let changed = ledger.changed(batch)?;
                Ok(all.unwrap_or(changed))
            });
            let Some(changed) = compared.await else { return };
            run.report.documents.unchanged.add((count - changed.len()) as u64);
            for file in changed {
                yield file;
            }
        }
    }
}

/// A document whose content is new to the index, with its share of the run's memory.
pub(super) struct Parsed {
    document: Document,
    stamp: Stamp,
    hash: [u8; 32],
    room: OwnedSemaphorePermit,
}

/// Reads and parses, a core's worth at once.
pub(super) fn parse(run: &Arc<Run>, files: impl Stream<Item = Found> + Send) -> impl Stream<Item = Parsed> + Send {
    let (run, joined) = (Arc::clone(run), Arc::clone(run));
    files
        .map(move |found| {
            let run = Arc::clone(&run);
            AbortOnDropHandle::new(tokio::spawn(async move { parse_one(&run, found).await }))
        })
        .buffer_unordered(Run::workers())
        .filter_map(move |parsed| std::future::ready(joined.joined(parsed)))
}

async fn parse_one(run: &Arc<Run>, found: Found) -> Option<Parsed> {
    let room = Arc::clone(&run.room).acquire_many_owned(Run::permits(found.stamp.size)).await.ok()?;
    if run.stop.is_cancelled() {
        return None;
    }
    let max_bytes = run.sources.iter().map(|files| files.max_bytes).max().unwrap_or(u64::MAX);
    let busy = run.report.busy(Stage::Read);
    let read = read::read(&found, max_bytes).await;
    drop(busy);
    let (bytes, stamp) = match read {
        Ok(content) => (content.bytes, content.stamp),
        Err(error) if error.is_gone() => {
            run.with_ledger(move |ledger| ledger.note_gone(&found.uri)).await;
            return None;
        }
        Err(error) => {
            run.fail(&found.uri, Stage::Read, reason(&error)).await;
            return None;
        }
    };
    run.report.documents.bytes.add(bytes.len() as u64);
    let hash = *blake3::hash(&bytes).as_bytes();
    let uri = found.uri.clone();
    let known = run.with_ledger(move |ledger| ledger.entry(&uri)).await?;
    // The time in a payload is in seconds. Where that is another, the payloads are written anew; nothing is embedded for it.
    let dated = |ns: i64| ns.div_euclid(1_000_000_000) == stamp.modified_ns.div_euclid(1_000_000_000);
    if let Some(entry) = known.filter(|entry| entry.hash == hash && dated(entry.modified_ns)) {
        let uri = found.uri.clone();
        if !run.options.dry {
            run.with_ledger(move |ledger| ledger.done(&uri, stamp, &hash, &entry.points)).await?;
        }
        run.report.documents.unchanged.add(1);
        return None;
    }
    let (uri, worker) = (found.uri.clone(), Arc::clone(run));
    let parsed = tokio::task::spawn_blocking(move || {
        let _busy = worker.report.busy(Stage::Parse);
        parse::parse(&found, bytes)
    });
    match parsed.await {
        Ok(Ok(document)) => Some(Parsed { document, stamp, hash, room }),
        Ok(Err(error)) => {
            if let Some(skip) = error.skip_reason() {
                run.skip(skip.label());
                run.with_ledger(move |ledger| ledger.note_gone(&uri)).await;
            } else {
                run.fail(&uri, Stage::Parse, reason(&error)).await;
            }
            None
        }
        Err(panic) => {
            run.fail(&uri, Stage::Parse, format!("the parser broke: {panic}")).await;
            None
        }
    }
}

/// Cuts documents, and gives out what is to be embedded.
pub(super) fn chunk(run: &Arc<Run>, documents: impl Stream<Item = Parsed> + Send) -> impl Stream<Item = Piece> + Send {
    jobs(run, documents).flat_map(|job| {
        let pieces = (0..job.new.len()).filter_map(move |n| Some(Piece { index: *job.new.get(n)?, job: Arc::clone(&job) }));
        futures_util::stream::iter(pieces)
    })
}

/// Cuts documents and compares the chunks with what the index has. A document with nothing to embed is finished here.
pub(super) fn jobs(run: &Arc<Run>, documents: impl Stream<Item = Parsed> + Send) -> impl Stream<Item = Arc<Job>> + Send {
    let (run, joined) = (Arc::clone(run), Arc::clone(run));
    documents
        .map(move |parsed| {
            let run = Arc::clone(&run);
            AbortOnDropHandle::new(tokio::spawn(async move { chunk_one(&run, parsed).await }))
        })
        .buffer_unordered(Run::workers())
        .filter_map(move |job| std::future::ready(joined.joined(job)))
}

async fn chunk_one(run: &Arc<Run>, parsed: Parsed) -> Option<Arc<Job>> {
    let uri = parsed.document.uri.clone();
    let known = run.with_ledger(move |ledger| Ok((ledger.entry(&uri)?, ledger.intended(&uri)?))).await?;
    let (uri, worker) = (parsed.document.uri.clone(), Arc::clone(run));
    let job = tokio::task::spawn_blocking(move || {
        let _busy = worker.report.busy(Stage::Chunk);
        let Parsed { document, stamp, hash, room } = parsed;
        let max_tokens = worker.embedder.limits().input_tokens;
        let fits = |text: &str| worker.embedder.count_tokens(text).is_none_or(|tokens| tokens <= max_tokens);
        let chunks = worker.chunker.chunk(&document, Some(&fits));
        let (entry, intended) = known;
        Job::new(document, (stamp, hash), chunks, (entry, &intended), room)
    });
    let job = match job.await {
        Ok(job) => Arc::new(job),
        Err(panic) => {
            run.fail(&uri, Stage::Chunk, format!("the chunker broke: {panic}")).await;
            return None;
        }
    };
    run.report.chunks.made.add(job.chunks.len() as u64);
    if run.options.dry {
        return Some(job);
    }
    let (uri, intended, untouched) = (job.document.uri.clone(), job.intended(), job.untouched());
    if !intended.is_empty() {
        run.with_ledger(move |ledger| ledger.intend(&uri, &intended, &untouched)).await?;
    }
    if job.new.is_empty() {
        finish(run, job).await;
        return None;
    }
    Some(job)
}

/// Embeds pieces, as many at once as fill the batches in flight. A document whose piece is refused fails; the others go on.
pub(super) fn embed(run: &Arc<Run>, pieces: impl Stream<Item = Piece> + Send) -> impl Stream<Item = (Piece, Vector)> + Send {
    let at_once = run.batching.pieces;
    let run = Arc::clone(run);
    pieces
        .map(move |piece| {
            let run = Arc::clone(&run);
            async move { embed_one(&run, piece).await }
        })
        .buffer_unordered(at_once)
        .filter_map(std::future::ready)
}

async fn embed_one(run: &Arc<Run>, piece: Piece) -> Option<(Piece, Vector)> {
    if run.stop.is_cancelled() {
        return None;
    }
    let text = piece.job.embedded_text(piece.index)?;
    let tokens = run.estimate(&text, piece.job.chunks.get(piece.index)?.tokens);
    let error = match run.embedding.embed(text, tokens).await {
        Ok(vector) => return Some((piece, vector)),
        Err(error) => error,
    };
    let EmbedError::Provider(error) = &*error else { return None };
    // An outage is when nothing else got through while this was tried; then every other document would fail as well.
    let outage = error.is_transient() && run.report.silent_for(error.waited);
    let broken = error.kind == ErrorKind::BadAnswer && run.report.makes_no_sense();
    if error.is_fatal() || outage || broken {
        return run.abort(Error::Provider(Arc::clone(error)));
    }
    if piece.job.fail() {
        run.fail(&piece.job.document.uri, Stage::Embed, reason(&**error)).await;
    }
    None
}
