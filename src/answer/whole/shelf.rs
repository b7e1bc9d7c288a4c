//! Notes between the readers and the answer. When they are too many for the answer's request they are folded, so that they take no more
//! room than some requests, however many documents there are.
//!
//! A fold is given no more than it may write: it can repeat all of it. Where it makes notes hardly shorter, as of a list of different
//! items, they are settled: another fold would be paid for in vain.

use std::sync::Arc;

use futures_util::StreamExt as _;
use futures_util::future::BoxFuture;
use futures_util::stream::FuturesOrdered;

use super::notes::{Line, merged, shown};
use super::prompts::{FOLD_TOKENS, NOTE_TOKENS};
use super::reader::{Found, Reader};
use crate::answer::prompt::CountTokens;
use crate::answer::retrieve::off_runtime;
use crate::error::Error;

/// Folded notes are worth another fold where they have at most so many hundredths of the tokens that they had.
const SHORTER: usize = 80;

/// Notes, folded or not.
struct Notes {
    /// Where they stand among all.
    place: (u64, usize),
    /// Another fold would not make them shorter.
    settled: bool,
    lines: Vec<Line>,
    tokens: usize,
}

/// What became of a fold.
pub(super) struct Folded {
    place: (u64, usize),
    /// Tokens before it.
    before: usize,
    pub(super) found: Found,
}

/// All notes that there are so far.
pub(super) struct Shelf {
    reader: Reader,
    /// Tokens of notes that one fold is given.
    fold: usize,
    /// Tokens that the answer is written from.
    room: usize,
    count: CountTokens,
    notes: Vec<Notes>,
    folding: FuturesOrdered<BoxFuture<'static, Folded>>,
    next: u64,
    dropped: bool,
}

impl Shelf {
    pub(super) fn new(reader: Reader, fold: usize, room: usize, count: CountTokens) -> Self {
        let (notes, folding) = (Vec::new(), FuturesOrdered::new());
        Self { reader, fold, room, count, notes, folding, next: 0, dropped: false }
    }

    /// Folds under way.
    pub(super) fn folding(&self) -> usize {
        self.folding.len()
    }

    /// The next fold that is done; `None`: none is under way.
    pub(super) async fn next(&mut self) -> Option<Folded> {
        self.folding.next().await
    }

    /// Some were left out, since they would not fit into the answer's request.
    pub(super) fn dropped(&self) -> bool {
        self.dropped
    }

    /// Adds the notes of the next part.
    pub(super) async fn add(&mut self, lines: Vec<Line>) -> Result<(), Error> {
        self.next += 1;
        if lines.is_empty() {
            return Ok(());
        }
        let tokens = tokens(&self.count, &lines).await?;
        self.put(Notes { place: (self.next, 0), settled: false, lines, tokens }).await
    }

    /// Puts back what was folded.
    pub(super) async fn put_back(&mut self, folded: Folded) -> Result<(), Error> {
        let Folded { place, before, found } = folded;
        let tokens = tokens(&self.count, &found.lines).await?;
        let settled = found.failed.is_some() || tokens * 100 > before * SHORTER;
        self.put(Notes { place, settled, lines: found.lines, tokens }).await
    }

    async fn put(&mut self, notes: Notes) -> Result<(), Error> {
        let settled: usize = self.notes.iter().filter(|notes| notes.settled).map(|notes| notes.tokens).sum();
        // No more would be shown.
        if settled > self.room {
            self.dropped = true;
            return Ok(());
        }
        self.notes.push(notes);
        if self.folding.is_empty() { self.fold().await } else { Ok(()) }
    }

    /// Begins to fold what is not settled, if all of it together is too much for the answer.
    async fn fold(&mut self) -> Result<(), Error> {
        if self.notes.iter().map(|notes| notes.tokens).sum::<usize>() <= self.room {
            return Ok(());
        }
        let (taken, kept): (Vec<Notes>, Vec<Notes>) =
            std::mem::take(&mut self.notes).into_iter().partition(|notes| !notes.settled);
        self.notes = kept;
        let place = taken.iter().map(|notes| notes.place).min().unwrap_or_default();
        for (n, lines) in pieces(merged(in_order(taken)), self.fold, &self.count).await?.into_iter().enumerate() {
            let before = tokens(&self.count, &lines).await?;
            let (reader, place) = (self.reader.clone(), (place.0, place.1 + n));
            if !reader.allowance.fold() {
                // As it is.
                self.notes.push(Notes { place, settled: true, lines, tokens: before });
                continue;
            }
            let max_tokens = fold_tokens(self.fold);
            self.folding
                .push_back(Box::pin(async move { Folded { place, before, found: reader.fold(lines, max_tokens).await } }));
        }
        Ok(())
    }

    /// All notes, in the order of the documents.
    pub(super) fn into_lines(self) -> Vec<Line> {
        merged(in_order(self.notes))
    }
}

/// Tokens that a fold may write which is given so many.
pub(super) fn fold_tokens(given: usize) -> u32 {
    u32::try_from(given.saturating_mul(2)).unwrap_or(FOLD_TOKENS).clamp(NOTE_TOKENS, FOLD_TOKENS)
}

fn in_order(mut notes: Vec<Notes>) -> Vec<Line> {
    notes.sort_by_key(|notes| notes.place);
    notes.into_iter().flat_map(|notes| notes.lines).collect()
}

async fn tokens(count: &CountTokens, lines: &[Line]) -> Result<usize, Error> {
    let (text, count) = (shown(lines).text, Arc::clone(count));
    off_runtime("count the tokens of notes", move || count(&text)).await
}

/// Notes in pieces, none of which takes more than `budget` tokens as far as lines allow.
pub(super) async fn pieces(lines: Vec<Line>, budget: usize, count: &CountTokens) -> Result<Vec<Vec<Line>>, Error> {
    let count = Arc::clone(count);
    off_runtime("count the tokens of notes", move || {
        let (mut pieces, mut open, mut filled) = (Vec::new(), Vec::new(), 0);
        for line in lines {
            let tokens = count(&shown(std::slice::from_ref(&line)).text);
            if filled + tokens > budget && !open.is_empty() {
                pieces.push(std::mem::take(&mut open));
                filled = 0;
            }
            open.push(line);
            filled += tokens;
        }
        if !open.is_empty() {
            pieces.push(open);
        }
        pieces
    })
    .await
}
