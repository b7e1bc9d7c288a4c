//! The stages between the files and the vectors, each a stream that pulls from the one before it.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;

use async_stream::stream;
use futures_util::{Stream, StreamExt as _};
use tokio::sync::OwnedSemaphorePermit;
use tokio_util::task::AbortOnDropHandle;

use super::embed::EmbedError;
use super::job::{Job, Piece, seconds};
use super::ledger::{Commit, Difference, Listing, PriorState};
use super::report::Stage;
use super::run::Run;
use super::store::finish;
use crate::cache::Vector;
use crate::document::{Document, Found};
use crate::error::{Error, reason};
use crate::parse;
use crate::source::{self, Seen, SkipReason, SourceId, Version, files};

/// Files that are compared with the ledger in one go.
const COMPARE: usize = 1024;
/// Files that are read, parsed and cut in one go, at most.
const PACKET: usize = 32;
/// And what they may hold together, in bytes; a larger file goes alone.
const PACKET_BYTES: u64 = 128 << 10;

/// Every file that the sources hold.
pub(super) fn walk(run: &Arc<Run>) -> impl Stream<Item = Found> + Send + use<> {
    let run = Arc::clone(run);
    stream! {
        for files in run.sources.clone() {
            let mut seen = std::pin::pin!(source::walk(files, run.base.clone()));
            while let Some(seen) = seen.next().await {
                if run.stop.is_cancelled() {
                    return;
                }
                match seen {
                    Seen::Found(found) => {
                        run.report.documents.seen.add(1);
                        yield found;
                    }
                    Seen::Skipped { reason, .. } => run.report.skip(reason),
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
pub(super) fn compare(run: &Arc<Run>, found: impl Stream<Item = Found> + Send) -> impl Stream<Item = Packet> + Send {
    let run = Arc::clone(run);
    let mut found = Box::pin(found.ready_chunks(COMPARE));
    stream! {
        while let Some(batch) = found.next().await {
            let count = batch.len();
            let listing = |found: &Found| Listing {
                uri: found.uri.clone(),
                version: files::version_of(found.stamp.size, found.stamp.modified_ns, found.stamp.inode),
            };
            let items = batch.iter().map(listing).collect();
            let compared = run.ledger.note_listed(run.id, &SourceId::files(), items).await;
            let Some(differences) = run.recorded(compared) else { return };
            let wanted = |difference: Difference| match difference {
                Difference::Changed => true,
                Difference::Unchanged => run.options.checksum,
                Difference::Repeated => false,
            };
            let changed: Vec<Found> =
                batch.into_iter().zip(differences).filter(|(_, difference)| wanted(*difference)).map(|(found, _)| found).collect();
            run.report.documents.unchanged.add((count - changed.len()) as u64);
            for packet in packets(changed) {
                yield packet;
            }
        }
    }
}

/// Files that go through reading, parsing and cutting together: each step costs a way to another thread and back, and a
/// transaction, which for a file of a page is most of the work.
pub(super) type Packet = Vec<Found>;

/// Puts small files together, and leaves every worker some.
fn packets(files: Vec<Found>) -> Vec<Packet> {
    let most = (files.len() / (Run::workers() * 4)).clamp(1, PACKET);
    let (mut packets, mut bytes) = (Vec::<Packet>::new(), u64::MAX);
    for file in files {
        bytes = bytes.saturating_add(file.stamp.size);
        if let Some(packet) = packets.last_mut().filter(|packet| packet.len() < most && bytes <= PACKET_BYTES) {
            packet.push(file);
        } else {
            bytes = file.stamp.size;
            packets.push(vec![file]);
        }
    }
    packets
}

/// A document whose content is new to the index, with its share of the run's memory.
pub(super) struct Parsed {
    document: Document,
    version: Version,
    hash: [u8; 32],
    prior: PriorState,
    room: OwnedSemaphorePermit,
}

/// What became of a file that was read.
enum Outcome {
    Parsed(Box<Parsed>),
    /// Touched, copied or restored: the same content under another stamp.
    Unchanged(Commit),
    Failed(String, Stage, String),
    /// Nothing of it is to be indexed; why, where that is worth counting.
    Gone(String, Option<SkipReason>),
    /// The run was stopped.
    Left,
}

/// Reads and parses, a core's worth at once.
pub(super) fn parse(run: &Arc<Run>, packets: impl Stream<Item = Packet> + Send) -> impl Stream<Item = Vec<Parsed>> + Send {
    let (run, joined) = (Arc::clone(run), Arc::clone(run));
    packets
        .map(move |packet| {
            let run = Arc::clone(&run);
            AbortOnDropHandle::new(tokio::spawn(async move { parse_packet(&run, packet).await }))
        })
        .buffer_unordered(Run::workers())
        .filter_map(move |parsed| std::future::ready(joined.joined(parsed)))
}

async fn parse_packet(run: &Arc<Run>, packet: Packet) -> Option<Vec<Parsed>> {
    // For all of it at once: who holds some and waits for more may wait for ever.
    let wanted = packet.iter().map(|found| Run::permits(found.stamp.size)).sum();
    let mut room = Arc::clone(&run.room).acquire_many_owned(wanted).await.ok()?;
    if run.stop.is_cancelled() {
        return None;
    }
    let uris: Vec<String> = packet.iter().map(|found| found.uri.clone()).collect();
    let prior = run.recorded(run.ledger.claim(uris).await)?;
    let worker = Arc::clone(run);
    let parsed = tokio::task::spawn_blocking(move || {
        let share = |found: &Found| room.split(Run::permits(found.stamp.size) as usize);
        let shares: Vec<_> = packet.iter().map(share).collect();
        let files = packet.into_iter().zip(prior).zip(shares);
        files.filter_map(|((found, prior), room)| Some(parse_one(&worker, found, prior, room?))).collect::<Vec<_>>()
    });
    let outcomes = match parsed.await {
        Ok(outcomes) => outcomes,
        Err(source) => return run.abort(Error::worker("read files", source)),
    };
    let (mut parsed, mut unchanged) = (Vec::new(), Vec::new());
    for outcome in outcomes {
        match outcome {
            Outcome::Parsed(document) => parsed.push(*document),
            Outcome::Unchanged(commit) => unchanged.push(commit),
            Outcome::Failed(uri, stage, error) => run.fail(&uri, stage, error).await,
            Outcome::Gone(uri, reason) => {
                if let Some(reason) = reason {
                    run.report.skip(reason);
                }
                run.recorded(run.ledger.unlist(run.id, vec![uri]).await);
            }
            Outcome::Left => {}
        }
    }
    let same = unchanged.len() as u64;
    if same > 0 && !run.options.dry {
        let _ = run.recorded(run.ledger.commit(unchanged).await)?;
    }
    run.report.documents.unchanged.add(same);
    (!parsed.is_empty()).then_some(parsed)
}

/// Reads and parses one file. Blocks.
fn parse_one(run: &Run, found: Found, prior: PriorState, room: OwnedSemaphorePermit) -> Outcome {
    if run.stop.is_cancelled() {
        return Outcome::Left;
    }
    let max_bytes = run.sources.iter().map(|files| files.max_bytes).max().unwrap_or(u64::MAX);
    let busy = run.report.busy(Stage::Read);
    let read = source::read_blocking(&found, max_bytes);
    drop(busy);
    let (bytes, stamp, version) = match read {
        Ok(content) => (content.bytes, content.stamp, content.version),
        Err(error) if error.is_gone() => return Outcome::Gone(found.uri, None),
        Err(error) => return Outcome::Failed(found.uri, Stage::Read, reason(&error)),
    };
    run.report.documents.bytes.add(bytes.len() as u64);
    let hash = *blake3::hash(&bytes).as_bytes();
    // The time in a payload is in seconds. Where that is another, the payloads are written anew; nothing is embedded for it.
    let modified = Some(seconds(stamp.modified_ns));
    let PriorState { entry, intended, epoch } = prior;
    let entry = match entry {
        Some(entry) if entry.hash == Some(hash) && entry.modified == modified => {
            let (source, points) = (SourceId::files(), entry.points);
            return Outcome::Unchanged(Commit { source, uri: found.uri, epoch, version, hash, modified, points });
        }
        entry => entry,
    };
    let prior = PriorState { entry, intended, epoch };
    let _busy = run.report.busy(Stage::Parse);
    match catch_unwind(AssertUnwindSafe(|| parse::parse(&found, bytes))) {
        Ok(Ok(document)) => Outcome::Parsed(Box::new(Parsed { document, version, hash, prior, room })),
        Ok(Err(error)) => match SkipReason::of(&error) {
            Some(skip) => Outcome::Gone(found.uri, Some(skip)),
            None => Outcome::Failed(found.uri, Stage::Parse, reason(&error)),
        },
        Err(_) => Outcome::Failed(found.uri, Stage::Parse, "the parser broke".to_owned()),
    }
}

/// Cuts documents, and gives out what is to be embedded.
pub(super) fn chunk(run: &Arc<Run>, documents: impl Stream<Item = Vec<Parsed>> + Send) -> impl Stream<Item = Piece> + Send {
    jobs(run, documents).flat_map(|job| {
        let pieces = (0..job.new.len()).filter_map(move |n| Some(Piece { index: *job.new.get(n)?, job: Arc::clone(&job) }));
        futures_util::stream::iter(pieces)
    })
}

/// Cuts documents and compares the chunks with what the index has. Those with nothing to embed are finished here.
pub(super) fn jobs(run: &Arc<Run>, documents: impl Stream<Item = Vec<Parsed>> + Send) -> impl Stream<Item = Arc<Job>> + Send {
    let (run, joined) = (Arc::clone(run), Arc::clone(run));
    documents
        .map(move |packet| {
            let run = Arc::clone(&run);
            AbortOnDropHandle::new(tokio::spawn(async move { chunk_packet(&run, packet).await }))
        })
        .buffer_unordered(Run::workers())
        .flat_map(move |jobs| futures_util::stream::iter(joined.joined(jobs).unwrap_or_default()))
}

async fn chunk_packet(run: &Arc<Run>, packet: Vec<Parsed>) -> Option<Vec<Arc<Job>>> {
    let worker = Arc::clone(run);
    let cut =
        tokio::task::spawn_blocking(move || packet.into_iter().map(|parsed| chunk_one(&worker, parsed)).collect::<Vec<_>>());
    let cut = match cut.await {
        Ok(cut) => cut,
        Err(source) => return run.abort(Error::worker("cut documents", source)),
    };
    let mut jobs = Vec::new();
    for job in cut {
        match job {
            Ok(job) => jobs.push(Arc::new(job)),
            Err(uri) => run.fail(&uri, Stage::Chunk, "the chunker broke".to_owned()).await,
        }
    }
    run.report.chunks.made.add(jobs.iter().map(|job| job.chunks.len() as u64).sum());
    if run.options.dry {
        return Some(jobs);
    }
    let intents: Vec<_> = jobs.iter().filter_map(|job| job.intent()).collect();
    if !intents.is_empty() {
        let fenced = run.recorded(run.ledger.intend(intents).await)?;
        jobs.retain(|job| !fenced.uris.contains(&job.document.uri));
    }
    let (nothing_new, jobs): (Vec<_>, Vec<_>) = jobs.into_iter().partition(|job| job.new.is_empty());
    if !nothing_new.is_empty() {
        finish(run, nothing_new).await;
    }
    Some(jobs)
}

/// Cuts one document; the error is its URI. Blocks.
fn chunk_one(run: &Run, parsed: Parsed) -> Result<Job, String> {
    let _busy = run.report.busy(Stage::Chunk);
    let Parsed { document, version, hash, prior, room } = parsed;
    let uri = document.uri.clone();
    let max_tokens = run.embedder.limits().input_tokens;
    let cut = AssertUnwindSafe(|| {
        let fits = |text: &str| run.embedder.count_tokens(text).is_none_or(|tokens| tokens <= max_tokens);
        let chunks = run.chunker.chunk(&document, Some(&fits));
        Job::new(document, (version, hash), chunks, prior, room)
    });
    catch_unwind(cut).map_err(|_| uri)
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
    let error = match &*error {
        EmbedError::Stopped => return None,
        EmbedError::Tripped(error) => return run.abort(Error::shared(Arc::clone(error))),
        EmbedError::Provider(error) => error,
    };
    if piece.job.fail() {
        run.fail(&piece.job.document.uri, Stage::Embed, reason(&**error)).await;
    }
    None
}

#[cfg(test)]
#[allow(clippy::indexing_slicing, reason = "a failing test may panic")]
mod tests {
    use super::*;
    use crate::document::Stamp;

    fn sizes(files: &[u64]) -> Vec<Vec<u64>> {
        let found = |size: &u64| {
            let stamp = Stamp { size: *size, ..Stamp::default() };
            Found { uri: size.to_string(), path: "x".into(), stamp }
        };
        let packets = packets(files.iter().map(found).collect());
        packets.iter().map(|packet| packet.iter().map(|file| file.stamp.size).collect()).collect()
    }

    #[test]
    fn small_files_go_together_and_large_ones_alone() {
        let files: Vec<u64> = (0..5000).map(|n| if n % 100 == 50 { PACKET_BYTES + n } else { 600 + n % 7000 }).collect();
        let packets = sizes(&files);
        assert_eq!(packets.concat(), files, "all of them, in order");
        for packet in &packets {
            assert!(packet.len() <= PACKET && (packet.len() == 1 || packet.iter().sum::<u64>() <= PACKET_BYTES));
        }
        assert!(packets.len() < files.len() / 8, "{} packets", packets.len());
    }

    #[test]
    fn a_few_files_are_spread_over_the_workers() {
        let files = vec![100; Run::workers() * 4];
        assert_eq!(sizes(&files).len(), files.len());
    }
}
