//! Answers that outlive their connection for a while: a page that is loaded anew goes on with the one that it was reading.
//!
//! Whoever asks gives such an answer an id. It is then written by a task of its own, which keeps what has come, and any number of
//! readers follow it from its beginning. When none has been there for [`GRACE`], it is dropped, and with it the request upstream.
//! One that has ended is kept for [`AFTER`]. How many there are, and how much is kept of each, has a bound.

use std::collections::VecDeque;
use std::future::Future;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use axum::http::StatusCode;
use futures_util::stream::BoxStream;
use futures_util::{Stream, StreamExt as _};
use serde_json::Value;
use tokio::sync::watch;
use tokio::time::Instant;
use tokio_util::sync::{CancellationToken, DropGuard};
use tracing::Instrument as _;
use uuid::Uuid;

use super::fault::Fault;

/// How long an answer goes on without a reader.
const GRACE: Duration = Duration::from_secs(10);
/// How long one is kept that has ended.
const AFTER: Duration = Duration::from_secs(60);
/// Answers that are kept, under way or not. Of those that have ended, the oldest make room.
const KEPT: usize = 128;
/// Bytes that are kept of an answer. Of more, a reader that comes later does not get the beginning, and is told so.
const BYTES: usize = 2 << 20;

/// All of them.
#[derive(Default)]
pub(super) struct Answers {
    known: Mutex<VecDeque<Arc<Kept>>>,
    /// None outlives the service.
    over: CancellationToken,
}

impl Drop for Answers {
    fn drop(&mut self) {
        self.over.cancel();
    }
}

/// An answer with an id.
pub(super) struct Kept {
    id: Uuid,
    /// Of all that was asked.
    asked: blake3::Hash,
    stop: CancellationToken,
    readers: watch::Sender<usize>,
    state: watch::Sender<State>,
    lines: Mutex<Lines>,
}

#[derive(Debug, Clone, Default)]
struct State {
    /// Lines that have come.
    lines: usize,
    begun: Option<Result<(), Fault>>,
    ended: Option<Instant>,
}

#[derive(Default)]
struct Lines {
    /// What has come, `None` where something later has taken its place.
    all: Vec<Option<Value>>,
    bytes: usize,
    /// Too much has come: so many of the first ones are forgotten.
    lost: usize,
}

impl Lines {
    fn push(&mut self, line: Value) {
        // A piece that is still being written is sent again and again: the last is enough.
        if let Some(block) = open_block(&line, false)
            && let Some(place) =
                self.all.iter_mut().rev().take(64).find(|old| old.as_ref().and_then(|old| open_block(old, true)) == Some(block))
        {
            self.bytes -= place.take().as_ref().map_or(0, size);
        }
        self.bytes += size(&line);
        self.all.push(Some(line));
        if self.bytes > BYTES {
            let most = self.all.len() - 1;
            for (old, n) in self.all.iter_mut().take(most).zip(1..) {
                if self.bytes <= BYTES / 2 {
                    break;
                }
                self.bytes -= old.take().as_ref().map_or(0, size);
                self.lost = self.lost.max(n);
            }
        }
    }
}

/// The number of a piece of HTML; with `open`, only of one that will come again.
fn open_block(line: &Value, open: bool) -> Option<u64> {
    let is = line.get("type").and_then(Value::as_str) == Some("html");
    let still = line.get("open").and_then(Value::as_bool) == Some(true);
    (is && (still || !open)).then(|| line.get("block").and_then(Value::as_u64)).flatten()
}

/// About as many bytes as a line is long.
fn size(line: &Value) -> usize {
    const AROUND: usize = 64;
    match line {
        Value::String(text) => text.len() + AROUND,
        Value::Array(list) => list.iter().map(size).sum::<usize>() + AROUND,
        Value::Object(map) => map.iter().map(|(key, value)| key.len() + size(value)).sum::<usize>() + AROUND,
        _ => AROUND,
    }
}

/// Somebody reads, until it is dropped.
struct Reader(Arc<Kept>);

impl Drop for Reader {
    fn drop(&mut self) {
        self.0.readers.send_modify(|readers| *readers -= 1);
    }
}

impl Answers {
    /// Begins an answer under this id, by a task of its own: `begin` makes its lines. Who asks the same with an id that is known goes
    /// on with that answer, and nothing is begun. Returns when it has begun.
    ///
    /// # Errors
    /// What `begin` says, or [`Fault::busy`]; where something else was asked under this id, or the beginning of its answer is forgotten.
    pub(super) async fn ask<L>(
        &self,
        id: Uuid,
        asked: blake3::Hash,
        begin: impl Future<Output = Result<L, Fault>> + Send + 'static,
    ) -> Result<BoxStream<'static, Value>, Fault>
    where
        L: Stream<Item = Value> + Send + 'static,
    {
        let kept = match self.find_or_make(id, asked)? {
            (kept, false) if kept.asked != asked => {
                let conflict = axum::http::StatusCode::CONFLICT;
                return Err(Fault::new(conflict, "conflict", "something else was asked under this id: take another one"));
            }
            (kept, false) => {
                kept.check_whole()?;
                kept
            }
            (kept, true) => {
                // What it does belongs to the request that asked for it.
                tokio::spawn(write(Arc::clone(&kept), begin).in_current_span());
                kept
            }
        };
        let follow = kept.follow();
        let mut state = kept.state.subscribe();
        let begun = state.wait_for(|state| state.begun.is_some()).await.map(|state| state.begun.clone());
        match begun {
            Ok(Some(Err(fault))) => {
                self.forget(id);
                Err(fault)
            }
            // The sender is its own.
            Ok(_) | Err(_) => Ok(follow),
        }
    }

    /// Goes on with an answer, from its beginning.
    ///
    /// # Errors
    /// When there is none (any more), or its beginning is forgotten.
    pub(super) fn follow(&self, id: Uuid) -> Result<BoxStream<'static, Value>, Fault> {
        let kept = self.get(id)?;
        kept.check_whole()?;
        Ok(kept.follow())
    }

    /// Has an answer end at once, and with it the request upstream.
    ///
    /// # Errors
    /// When there is none (any more).
    pub(super) fn stop(&self, id: Uuid) -> Result<(), Fault> {
        self.get(id)?.stop.cancel();
        Ok(())
    }

    fn get(&self, id: Uuid) -> Result<Arc<Kept>, Fault> {
        let found = lock(&self.known).iter().find(|kept| kept.id == id && !kept.is_stale()).cloned();
        found.ok_or_else(|| Fault::missing("there is no such answer, or none any more"))
    }

    /// The answer of this id, and whether it is a new one, which its maker reads already.
    fn find_or_make(&self, id: Uuid, asked: blake3::Hash) -> Result<(Arc<Kept>, bool), Fault> {
        let mut known = lock(&self.known);
        known.retain(|kept| !kept.is_stale());
        if let Some(kept) = known.iter().find(|kept| kept.id == id) {
            return Ok((Arc::clone(kept), false));
        }
        if known.len() >= KEPT {
            let oldest = known.iter().position(|kept| kept.state.borrow().ended.is_some()).ok_or_else(Fault::busy)?;
            known.remove(oldest);
        }
        let kept = Arc::new(Kept {
            id,
            asked,
            stop: self.over.child_token(),
            readers: watch::Sender::new(0),
            state: watch::Sender::default(),
            lines: Mutex::default(),
        });
        known.push_back(Arc::clone(&kept));
        Ok((kept, true))
    }

    fn forget(&self, id: Uuid) {
        lock(&self.known).retain(|kept| kept.id != id);
    }
}

impl Kept {
    fn is_stale(&self) -> bool {
        self.state.borrow().ended.is_some_and(|ended| ended.elapsed() >= AFTER)
    }

    fn push(&self, line: Value) {
        let lines = {
            let mut lines = lock(&self.lines);
            lines.push(line);
            lines.all.len()
        };
        self.state.send_modify(|state| state.lines = lines);
    }

    /// Lines from this one on, and the number of the next; an error where some of them are forgotten.
    fn since(&self, from: usize) -> Result<(Vec<Value>, usize), Fault> {
        let lines = lock(&self.lines);
        if from < lines.lost {
            return Err(forgotten());
        }
        Ok((lines.all.iter().skip(from).flatten().cloned().collect(), lines.all.len()))
    }

    fn check_whole(&self) -> Result<(), Fault> {
        if lock(&self.lines).lost > 0 { Err(forgotten()) } else { Ok(()) }
    }

    /// Its lines from the beginning to the end; whoever holds this reads.
    fn follow(self: &Arc<Self>) -> BoxStream<'static, Value> {
        self.readers.send_modify(|readers| *readers += 1);
        let reader = Reader(Arc::clone(self));
        let mut state = self.state.subscribe();
        let lines = async_stream::stream! {
            let kept = &reader.0;
            let mut told = 0;
            loop {
                // In this order: what has come last is seen after it has ended.
                let ended = state.borrow_and_update().ended.is_some();
                match kept.since(told) {
                    Ok((lines, next)) => {
                        told = next;
                        for line in lines {
                            yield line;
                        }
                    }
                    // Who reads more slowly than is kept must not take what is left for all of it.
                    Err(fault) => {
                        yield fault.value();
                        return;
                    }
                }
                if ended || state.changed().await.is_err() {
                    return;
                }
            }
        };
        lines.boxed()
    }

    /// Returns when nobody has read it for [`GRACE`].
    async fn deserted(&self) {
        let mut readers = self.readers.subscribe();
        loop {
            if readers.wait_for(|readers| *readers == 0).await.is_err() {
                return;
            }
            let back = tokio::time::timeout(GRACE, readers.wait_for(|readers| *readers > 0));
            if !matches!(back.await, Ok(Ok(_))) {
                return;
            }
        }
    }
}

fn forgotten() -> Fault {
    let gone = StatusCode::GONE;
    Fault::new(
        gone,
        "gone",
        "so much of the answer has come that some of it is forgotten: read it as it comes, or without an id",
    )
}

/// Ends an answer, however its task does.
struct Ending(Arc<Kept>, #[expect(dead_code, reason = "cancels when it is dropped")] DropGuard);

impl Drop for Ending {
    fn drop(&mut self) {
        self.0.state.send_modify(|state| {
            // A task that panics has begun, too, as far as those know who wait for it.
            state.begun.get_or_insert(Err(Fault::missing("the answer was stopped before it had begun")));
            state.ended = Some(Instant::now());
        });
    }
}

/// Writes an answer down as it comes, as long as there is somebody for whom.
async fn write<L>(kept: Arc<Kept>, begin: impl Future<Output = Result<L, Fault>> + Send)
where
    L: Stream<Item = Value> + Send,
{
    let _ending = Ending(Arc::clone(&kept), kept.stop.clone().drop_guard());
    let writing = async {
        let lines = match begin.await {
            Ok(lines) => lines,
            Err(fault) => {
                kept.push(fault.value());
                kept.state.send_modify(|state| state.begun = Some(Err(fault)));
                return;
            }
        };
        kept.state.send_modify(|state| state.begun = Some(Ok(())));
        let mut lines = std::pin::pin!(lines);
        while let Some(line) = lines.next().await {
            kept.push(line);
        }
    };
    tokio::select! {
        () = writing => {}
        () = kept.deserted() => tracing::debug!(id = %kept.id, "an answer that nobody reads is dropped"),
        // Who reads on must not take what there is for all of it.
        () = kept.stop.cancelled() => {
            let stopped = Fault::new(StatusCode::GONE, "stopped", "the answer was stopped before its end");
            kept.push(stopped.value());
        }
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests;
