//! One document on its way into the index: what is to be written, what is to go, and when it is done.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use tokio::sync::OwnedSemaphorePermit;
use uuid::Uuid;

use super::ledger::{Commit, Epoch, Intent, PriorState, StoredPoint};
use super::run::digest;
use crate::chunk::embedded_text;
use crate::document::{Chunk, Document, Passage};
use crate::language::Language;
use crate::source::{SourceId, Version};

/// The namespace of point ids (a random UUID; changing it would change every id).
const POINTS: Uuid = Uuid::from_u128(0x6f0d_3b1c_2f9e_4a57_9c46_1f7a_8e5b_d023);

/// A document with its chunks, compared with what the ledger has of it.
#[derive(Debug)]
pub struct Job {
    /// The document.
    pub document: Document,
    /// The version of it that was read.
    pub version: Version,
    /// Under which epoch the ledger let it be taken.
    pub epoch: Epoch,
    /// blake3 of its bytes.
    pub hash: [u8; 32],
    /// Its chunks.
    pub chunks: Vec<Chunk>,
    /// The point of each chunk, in the order of the chunks.
    pub points: Vec<StoredPoint>,
    /// Chunks whose text is new to the index: to be embedded.
    pub new: Vec<usize>,
    /// Chunks whose text the index has, but with another payload (they moved): to be written without embedding.
    pub moved: Vec<usize>,
    /// Points that the store has or may have and that are no chunk's any more.
    pub stale: Vec<Uuid>,
    /// Whether the index had the document before.
    pub known: bool,
    /// Whether it had this very content, and at most its file's time is another.
    pub touched: bool,
    /// What the document is written in, if that is known.
    pub language: Option<Language>,
    waiting: AtomicUsize,
    failed: AtomicBool,
    /// The document's share of the run's memory, given back when the last piece is gone.
    _room: OwnedSemaphorePermit,
}

impl Job {
    /// Compares a chunked document with what is recorded and intended for it, and tells its language. CPU work.
    pub fn new(
        document: Document,
        (version, hash): (Version, [u8; 32]),
        chunks: Vec<Chunk>,
        PriorState { entry, intended, epoch }: PriorState,
        room: OwnedSemaphorePermit,
    ) -> Self {
        let language = Language::of_document(&document.text, document.markup);
        let recorded: HashMap<Uuid, u64> = entry.iter().flat_map(|entry| &entry.points).map(|p| (p.id, p.digest)).collect();
        let mut occurrences: HashMap<blake3::Hash, u32> = HashMap::new();
        let (mut points, mut new, mut moved) = (Vec::with_capacity(chunks.len()), Vec::new(), Vec::new());
        for (index, chunk) in chunks.iter().enumerate() {
            let text = blake3::hash(chunk_embedded_text(&document, chunk).as_bytes());
            let occurrence = occurrences.entry(text).or_default();
            let id = point_id(&document.uri, text, *occurrence);
            *occurrence += 1;
            let point = StoredPoint { id, digest: digest(&passage(&document, language, chunk)) };
            match recorded.get(&id) {
                None => new.push(index),
                Some(digest) if *digest != point.digest => moved.push(index),
                Some(_) => {}
            }
            points.push(point);
        }
        let wanted: HashSet<Uuid> = points.iter().map(|point| point.id).collect();
        let mut stale: Vec<Uuid> = recorded.keys().chain(&intended).filter(|id| !wanted.contains(id)).copied().collect();
        stale.sort_unstable();
        stale.dedup();
        let waiting = AtomicUsize::new(new.len());
        let (known, failed) = (entry.is_some(), AtomicBool::new(false));
        let touched = entry.is_some_and(|entry| entry.hash == Some(hash));
        Self {
            document,
            version,
            epoch,
            hash,
            chunks,
            points,
            new,
            moved,
            stale,
            known,
            touched,
            language,
            waiting,
            failed,
            _room: room,
        }
    }

    /// What the store is to say of a chunk.
    pub fn passage(&self, index: usize) -> Option<(Uuid, Passage)> {
        let (point, chunk) = (self.points.get(index)?, self.chunks.get(index)?);
        Some((point.id, passage(&self.document, self.language, chunk)))
    }

    /// What the models get of a chunk: its headings and its text.
    pub fn embedded_text(&self, index: usize) -> Option<String> {
        self.chunks.get(index).map(|chunk| chunk_embedded_text(&self.document, chunk))
    }

    /// The points that are to be written or deleted. Empty: the store has all of the document already.
    pub fn intended(&self) -> Vec<Uuid> {
        let written = self.new.iter().chain(&self.moved).filter_map(|index| self.points.get(*index));
        written.map(|point| point.id).chain(self.stale.iter().copied()).collect()
    }

    /// The points that the store has and keeps, whatever becomes of the rest. Of one whose payload is about to be replaced,
    /// the payload is not known.
    pub fn untouched(&self) -> Vec<StoredPoint> {
        let mut points = self.points.clone();
        for index in &self.moved {
            if let Some(point) = points.get_mut(*index) {
                point.digest = 0;
            }
        }
        let new: HashSet<Uuid> = self.new.iter().filter_map(|index| self.points.get(*index)).map(|point| point.id).collect();
        points.retain(|point| !new.contains(&point.id));
        points
    }

    /// What is to be recorded before the store is written to; `None`: the store has all of the document already.
    pub fn intent(&self) -> Option<Intent> {
        let ids = self.intended();
        let intent = |ids| Intent {
            source: SourceId::files(),
            uri: self.document.uri.clone(),
            epoch: self.epoch,
            ids,
            untouched: self.untouched(),
        };
        (!ids.is_empty()).then(|| intent(ids))
    }

    /// What is to be recorded when the store has acknowledged all of it.
    pub fn commit(&self) -> Commit {
        Commit {
            source: SourceId::files(),
            uri: self.document.uri.clone(),
            epoch: self.epoch,
            version: self.version,
            hash: self.hash,
            modified: Some(seconds(self.document.modified_ns)),
            points: self.points.clone(),
        }
    }

    /// Notes that the store has acknowledged one more new chunk. True for the last one of a document that did not fail.
    pub fn acknowledge(&self) -> bool {
        self.waiting.fetch_sub(1, Ordering::AcqRel) == 1 && !self.failed.load(Ordering::Acquire)
    }

    /// Notes that the document cannot be finished in this run. True for the first time.
    pub fn fail(&self) -> bool {
        !self.failed.swap(true, Ordering::AcqRel)
    }
}

/// A chunk that is to be embedded and stored.
#[derive(Debug, Clone)]
pub struct Piece {
    /// Its document.
    pub job: Arc<Job>,
    /// Which of the document's chunks.
    pub index: usize,
}

fn chunk_embedded_text(document: &Document, chunk: &Chunk) -> String {
    embedded_text(document.title.as_deref(), &chunk.headings, text_of(document, chunk))
}

fn text_of<'a>(document: &'a Document, chunk: &Chunk) -> &'a str {
    document.text.get(chunk.span.clone()).unwrap_or_default()
}

/// The same document, text and headings give the same id wherever in the document they stand; the n-th repetition of a
/// text within a document gets an id of its own.
fn point_id(uri: &str, text: blake3::Hash, occurrence: u32) -> Uuid {
    let mut name = Vec::with_capacity(uri.len() + 40);
    name.extend_from_slice(uri.as_bytes());
    name.push(0);
    name.extend_from_slice(text.as_bytes());
    name.extend_from_slice(&occurrence.to_le_bytes());
    Uuid::new_v5(&POINTS, &name)
}

fn passage(document: &Document, language: Option<Language>, chunk: &Chunk) -> Passage {
    Passage {
        uri: document.uri.clone(),
        start: chunk.span.start as u64,
        end: chunk.span.end as u64,
        lines: chunk.lines,
        index: chunk.index,
        title: document.title.clone(),
        headings: chunk.headings.iter().map(ToString::to_string).collect(),
        text: text_of(document, chunk).to_owned(),
        modified: seconds(document.modified_ns),
        lang: language.map(|language| language.code().to_owned()),
        source: None,
    }
}

/// The time in a payload and in the ledger is in seconds.
pub(super) fn seconds(ns: i64) -> i64 {
    ns.div_euclid(1_000_000_000)
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::panic, reason = "a failing test may panic")]
mod tests {
    use tokio::sync::Semaphore;

    use super::super::ledger::Entry;
    use super::*;
    use crate::document::Markup;

    /// A document of one-line chunks.
    fn job(text: &str, entry: Option<Entry>, intended: &[Uuid]) -> Job {
        let prior = PriorState { entry, intended: intended.to_vec(), epoch: Epoch(0) };
        let document =
            Document { uri: "a.txt".into(), title: None, markup: Markup::Text, text: text.into(), modified_ns: 5_000_000_000 };
        let mut start = 0;
        let mut chunks = Vec::new();
        for (index, line) in text.lines().enumerate() {
            let span = start..start + line.len();
            start = span.end + 1;
            let number = index as u32;
            chunks.push(Chunk { index: number, span, lines: (number + 1, number + 1), headings: vec![], tokens: 1 });
        }
        let room = Arc::new(Semaphore::new(1)).try_acquire_owned().unwrap();
        Job::new(document, (Version::UNKNOWN, [0; 32]), chunks, prior, room)
    }

    fn entry_of(job: &Job) -> Entry {
        Entry { source: SourceId::files(), hash: Some(job.hash), points: job.points.clone(), modified: None }
    }

    #[test]
    fn an_insertion_moves_what_is_below_it_and_embeds_only_itself() {
        let before = job("one\ntwo\nthree", None, &[]);
        assert_eq!(before.new, [0, 1, 2]);
        let after = job("one\nNEW\ntwo\nthree", Some(entry_of(&before)), &[]);
        assert_eq!((after.new.as_slice(), after.moved.as_slice()), ([1].as_slice(), [2, 3].as_slice()));
        assert!(after.stale.is_empty() && after.known);
    }

    #[test]
    fn only_what_is_neither_written_nor_deleted_stays_certain() {
        let before = job("one\ntwo\nthree", None, &[]);
        let [one, _, three] = before.points.as_slice() else { panic!() };
        let after = job("one\nNEW!\nthree", Some(entry_of(&before)), &[]);
        assert_eq!(after.untouched(), [*one, StoredPoint { id: three.id, digest: 0 }]);
        assert_eq!(after.intended().len(), 3, "the new one, the moved one and the stale one");
        let same = job("one\ntwo\nthree", Some(entry_of(&before)), &[]);
        assert!(same.intended().is_empty());
        assert_eq!(same.untouched(), before.points);
    }

    #[test]
    fn what_is_gone_or_was_only_intended_is_stale() {
        let before = job("one\ntwo", None, &[]);
        let lost = Uuid::from_u128(77);
        let after = job("two", Some(entry_of(&before)), &[lost, after_id(&before)]);
        let mut expected = vec![lost, before.points.first().unwrap().id];
        expected.sort_unstable();
        assert_eq!(after.stale, expected);
    }

    fn after_id(before: &Job) -> Uuid {
        before.points.get(1).unwrap().id
    }

    #[test]
    fn repeated_texts_have_ids_of_their_own() {
        let job = job("same\nsame\nother\nsame", None, &[]);
        let ids: HashSet<Uuid> = job.intended().into_iter().collect();
        assert_eq!(ids.len(), 4);
    }

    #[test]
    fn the_last_acknowledgement_finishes_a_document_unless_it_failed() {
        let good = job("one\ntwo", None, &[]);
        assert_eq!([good.acknowledge(), good.acknowledge()], [false, true]);
        let bad = job("one\ntwo", None, &[]);
        assert!(bad.fail() && !bad.fail());
        assert_eq!([bad.acknowledge(), bad.acknowledge()], [false, false]);
    }
}
