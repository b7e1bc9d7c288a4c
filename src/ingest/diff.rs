//! One document on its way into the index: what is to be written, what is to go, and when it is done.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use tracing::Span;
use uuid::Uuid;

use super::context::{Asked, Setting, Windows};
use super::ledger::{Commit, Epoch, Intent, Ledger, PriorState, StoredPoint};
use super::memory::Share;
use crate::cache::Text;
use crate::chunk::{embedded_text, with_context};
use crate::document::{Chunk, Document, Passage};
use crate::language::Language;
use crate::source::{SourceId, Version};
use crate::telemetry;

/// The namespace of point ids (a random UUID; changing it would change every id).
const POINTS: Uuid = Uuid::from_u128(0x6f0d_3b1c_2f9e_4a57_9c46_1f7a_8e5b_d023);

/// A document whose content is new to the index.
#[derive(Debug)]
pub(super) struct Parsed {
    /// Which source gave it.
    pub source: SourceId,
    /// Its text.
    pub document: Document,
    /// The version of what was fetched.
    pub version: Version,
    /// blake3 of what was fetched.
    pub hash: [u8; 32],
    /// When that was modified, in seconds since the Unix epoch.
    pub modified: Option<i64>,
    /// What is recorded and intended of it.
    pub prior: PriorState,
    /// Its share of the run's memory.
    pub memory: Share,
    /// Tells of its way; disabled for most.
    pub span: Span,
}

/// A document with its chunks, compared with what the ledger has of it.
#[derive(Debug)]
pub(super) struct DocumentDiff {
    /// Which source gave it.
    pub source: SourceId,
    /// The document.
    pub document: Document,
    /// What it is written in, if that is known.
    pub language: Option<Language>,
    /// Points that the store has or may have and that are no chunk's any more.
    pub stale: Vec<Uuid>,
    /// Whether the index had the document before.
    pub known: bool,
    /// Whether it had this very content, and only what comes with it (its time, say) is another.
    pub touched: bool,
    version: Version,
    hash: [u8; 32],
    modified: Option<i64>,
    epoch: Epoch,
    chunks: Vec<DiffedChunk>,
    /// What is shown of the document around its chunks; none where they are not situated.
    windows: Windows,
    waiting: AtomicUsize,
    failed: AtomicBool,
    /// Ends with it.
    pub span: Span,
    /// Given back when the last chunk is gone.
    _memory: Share,
}

/// A chunk and its point.
#[derive(Debug)]
struct DiffedChunk {
    chunk: Chunk,
    point: StoredPoint,
    change: Change,
}

/// How a chunk differs from what the index has.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Change {
    /// Its text is new: to be embedded.
    New,
    /// The index has its text, but with another payload (it moved): to be written without embedding.
    Moved,
    /// The index has it as it is.
    Kept,
}

impl DocumentDiff {
    /// Compares a document's chunks with what is recorded and intended for it, and tells its language. With what they are situated by,
    /// and in windows of how many tokens, where they are. CPU work.
    pub fn new(parsed: Parsed, chunks: Vec<Chunk>, situated: Option<(Setting, usize)>) -> Self {
        let Parsed { source, document, version, hash, modified, prior, memory, span } = parsed;
        let PriorState { entry, intended, epoch } = prior;
        let language = Language::of_document(&document.text, document.markup);
        let recorded: HashMap<Uuid, u64> = entry.iter().flat_map(|entry| &entry.points).map(|p| (p.id, p.digest)).collect();
        let mut occurrences: HashMap<blake3::Hash, u32> = HashMap::new();
        let windows = situated.map(|(_, window)| Windows::of(&document.text, &chunks, window)).unwrap_or_default();
        let setting = situated.map(|(setting, _)| setting).filter(|_| !windows.is_empty());
        let compared = |chunk: Chunk| {
            let text = blake3::hash(text_with_headings(&document, &chunk).as_bytes());
            let text = setting.map_or(text, |setting| setting.of(text));
            let occurrence = occurrences.entry(text).or_default();
            let id = point_id(&document.uri, text, *occurrence);
            *occurrence += 1;
            let digest = digest(&passage(&source, &document, language, &chunk));
            let change = match recorded.get(&id) {
                None => Change::New,
                Some(recorded) if *recorded != digest => Change::Moved,
                Some(_) => Change::Kept,
            };
            DiffedChunk { chunk, point: StoredPoint { id, digest }, change }
        };
        let chunks: Vec<DiffedChunk> = chunks.into_iter().map(compared).collect();
        let wanted: HashSet<Uuid> = chunks.iter().map(|chunk| chunk.point.id).collect();
        let mut stale: Vec<Uuid> = recorded.keys().copied().chain(intended).filter(|id| !wanted.contains(id)).collect();
        stale.sort_unstable();
        stale.dedup();
        let new: Vec<usize> = changed(&chunks, Change::New).collect();
        telemetry::count(&span, "ragstream.document.chunks", chunks.len() as u64);
        telemetry::count(&span, "ragstream.document.chunks.new", new.len() as u64);
        if let Some(language) = language {
            span.record("ragstream.document.language", language.code());
        }
        Self {
            known: entry.is_some(),
            touched: entry.is_some_and(|entry| entry.hash == Some(hash)),
            source,
            document,
            language,
            stale,
            version,
            hash,
            modified,
            epoch,
            chunks,
            waiting: AtomicUsize::new(new.len()),
            windows: windows.asked_of(new),
            failed: AtomicBool::new(false),
            span,
            _memory: memory,
        }
    }

    /// Whether it may still be written: nobody else has taken it over.
    pub async fn is_held(&self, ledger: &dyn Ledger) -> bool {
        ledger.holds(&self.document.uri, self.epoch).await
    }

    /// blake3 of its content, as the ledger is to know it.
    pub fn hash(&self) -> [u8; 32] {
        self.hash
    }

    /// How many chunks it has.
    pub fn chunks(&self) -> usize {
        self.chunks.len()
    }

    /// Whether anything of it is to be embedded.
    pub fn has_new(&self) -> bool {
        self.changed(Change::New).next().is_some()
    }

    /// The chunks that are to be embedded.
    pub fn new_chunks(&self) -> impl Iterator<Item = usize> + '_ {
        self.changed(Change::New)
    }

    /// The chunks whose payload is to be written anew.
    pub fn moved(&self) -> impl Iterator<Item = usize> + '_ {
        self.changed(Change::Moved)
    }

    /// How many chunks the index has as they are.
    pub fn kept(&self) -> usize {
        self.changed(Change::Kept).count()
    }

    fn changed(&self, change: Change) -> impl Iterator<Item = usize> + '_ {
        changed(&self.chunks, change)
    }

    /// A chunk, of those that [`Self::new_chunks`] and [`Self::moved`] name.
    #[expect(
        clippy::expect_used,
        reason = "a chunk that is dropped in silence would be missing in the index and recorded as there"
    )]
    fn at(&self, index: usize) -> &DiffedChunk {
        self.chunks.get(index).expect("a chunk of this document")
    }

    /// Whether its chunks are situated.
    pub fn is_situated(&self) -> bool {
        !self.windows.is_empty()
    }

    /// What the store is to say of a chunk, but for its context.
    pub fn passage(&self, index: usize) -> (Uuid, Passage) {
        let DiffedChunk { chunk, point, .. } = self.at(index);
        (point.id, passage(&self.source, &self.document, self.language, chunk))
    }

    /// That points are about to be written or deleted. `None`: the store has all of the document already.
    pub fn intent(&self) -> Option<Intent> {
        let written = self.chunks.iter().filter(|chunk| chunk.change != Change::Kept).map(|chunk| chunk.point.id);
        let ids: Vec<Uuid> = written.chain(self.stale.iter().copied()).collect();
        if ids.is_empty() {
            return None;
        }
        // The store has and keeps these, whatever becomes of the rest. Of one whose payload is about to be replaced, the payload
        // is not known.
        let untouched = self.chunks.iter().filter_map(|chunk| match chunk.change {
            Change::New => None,
            Change::Moved => Some(StoredPoint { digest: 0, ..chunk.point }),
            Change::Kept => Some(chunk.point),
        });
        let (source, uri) = (self.source.clone(), self.document.uri.clone());
        Some(Intent { source, uri, epoch: self.epoch, ids, untouched: untouched.collect() })
    }

    /// That the document is done.
    pub fn commit(&self) -> Commit {
        Commit {
            source: self.source.clone(),
            uri: self.document.uri.clone(),
            epoch: self.epoch,
            version: self.version,
            hash: self.hash,
            modified: self.modified,
            points: self.chunks.iter().map(|chunk| chunk.point).collect(),
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

fn changed(chunks: &[DiffedChunk], change: Change) -> impl Iterator<Item = usize> + '_ {
    chunks.iter().enumerate().filter(move |(_, chunk)| chunk.change == change).map(|(index, _)| index)
}

/// A chunk that is to be embedded and stored.
#[derive(Debug, Clone)]
pub(super) struct ChunkTask {
    /// Its document.
    pub diff: Arc<DocumentDiff>,
    index: usize,
    /// Where it stands, once that is said.
    context: Option<Text>,
}

impl ChunkTask {
    /// The chunks of a document that are to be embedded.
    pub fn of(diff: &Arc<DocumentDiff>) -> Vec<Self> {
        diff.new_chunks().map(|index| Self { diff: Arc::clone(diff), index, context: None }).collect()
    }

    /// What is asked of the model of this name to learn where it stands; `None` where that is not to be said.
    pub fn asked(&self, model: &str) -> Option<Asked> {
        let DocumentDiff { document, language, windows, .. } = &*self.diff;
        let window = windows.of_chunk(self.index)?;
        Some(Asked::of(
            model,
            document,
            *language,
            window,
            &text_with_headings(document, &self.diff.at(self.index).chunk),
            self.tokens(),
        ))
    }

    /// The same, of which it is said where it stands.
    pub fn situated(self, context: Option<&str>) -> Self {
        Self { context: context.map(Text::from), ..self }
    }

    /// What the models get: where it stands, the headings and the text.
    pub fn text(&self) -> String {
        let text = text_with_headings(&self.diff.document, &self.diff.at(self.index).chunk);
        with_context(self.context.as_deref(), text)
    }

    /// Tokens of the text alone, by the chunking tokenizer.
    pub fn tokens(&self) -> u32 {
        self.diff.at(self.index).chunk.tokens
    }

    /// What the store is to say of it.
    pub fn passage(&self) -> (Uuid, Passage) {
        let (id, passage) = self.diff.passage(self.index);
        (id, Passage { context: self.context.as_deref().map(str::to_owned), ..passage })
    }
}

/// What a model gets of a chunk, here and wherever a chunk is embedded, hashed or made a BM25 vector of; there its context is above it.
fn text_with_headings(document: &Document, chunk: &Chunk) -> String {
    embedded_text(document.title.as_deref(), &chunk.headings, chunk.columns.as_deref(), text_of(document, chunk))
}

#[expect(clippy::expect_used, reason = "an empty passage in the index would hide a chunker that is wrong")]
fn text_of<'a>(document: &'a Document, chunk: &Chunk) -> &'a str {
    document.text.get(chunk.span.clone()).expect("a chunk's span lies in its document, on character boundaries")
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

fn passage(source: &SourceId, document: &Document, language: Option<Language>, chunk: &Chunk) -> Passage {
    Passage {
        uri: document.uri.clone(),
        start: chunk.span.start as u64,
        end: chunk.span.end as u64,
        lines: chunk.lines,
        index: chunk.index,
        title: document.title.clone(),
        headings: chunk.headings.iter().map(ToString::to_string).collect(),
        columns: chunk.columns.as_deref().map(str::to_owned),
        page: chunk.page,
        anchor: chunk.anchor.as_deref().map(str::to_owned),
        context: None,
        text: text_of(document, chunk).to_owned(),
        modified: document.modified_ns.div_euclid(1_000_000_000),
        lang: language.map(|language| language.code().to_owned()),
        source: source.named(),
        metadata: document.metadata.clone(),
    }
}

/// A digest of a stored payload, as the ledger keeps it: 8 bytes of blake3 over its JSON. Of its context the point's id tells, which is
/// another where that was to be another.
#[expect(clippy::expect_used, reason = "all payloads would look alike")]
pub(super) fn digest(passage: &Passage) -> u64 {
    let bytes = match &passage.context {
        None => serde_json::to_vec(passage),
        Some(_) => serde_json::to_vec(&Passage { context: None, ..passage.clone() }),
    };
    let bytes = bytes.expect("a passage is JSON");
    u64::from_le_bytes(*blake3::hash(&bytes).as_bytes().first_chunk().expect("a hash is longer than that"))
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "a failing test may panic")]
mod tests {
    use tokio::sync::Semaphore;

    use super::*;
    use crate::document::{Markup, Metadata};
    use crate::ingest::ledger::Entry;

    /// A document of one-line chunks.
    fn diff(text: &str, entry: Option<Entry>, intended: &[Uuid]) -> DocumentDiff {
        diff_by(None, text, entry, intended)
    }

    fn diff_by(situated: Option<(Setting, usize)>, text: &str, entry: Option<Entry>, intended: &[Uuid]) -> DocumentDiff {
        let document = Document {
            pages: Vec::new(),
            anchors: Vec::new(),
            uri: "a.txt".into(),
            title: None,
            markup: Markup::Text,
            text: text.into(),
            modified_ns: 5_000_000_000,
            metadata: Metadata::new(),
        };
        let mut start = 0;
        let mut chunks = Vec::new();
        for (index, line) in text.lines().enumerate() {
            let span = start..start + line.len();
            start = span.end + 1;
            let number = index as u32;
            chunks.push(Chunk {
                index: number,
                span,
                lines: (number + 1, number + 1),
                headings: vec![],
                columns: None,
                page: None,
                anchor: None,
                tokens: 1,
            });
        }
        let parsed = Parsed {
            source: SourceId::files(),
            document,
            version: Version::UNKNOWN,
            hash: [7; 32],
            modified: Some(5),
            prior: PriorState { entry, intended: intended.to_vec(), epoch: Epoch::default() },
            memory: Arc::new(Semaphore::new(1)).try_acquire_owned().unwrap(),
            span: Span::none(),
        };
        DocumentDiff::new(parsed, chunks, situated)
    }

    fn entry_of(diff: &DocumentDiff) -> Entry {
        let Commit { source, hash, modified, points, .. } = diff.commit();
        Entry { source, hash: Some(hash), modified, points }
    }

    #[test]
    fn an_insertion_moves_what_is_below_it_and_embeds_only_itself() {
        let before = diff("one\ntwo\nthree", None, &[]);
        assert_eq!(before.new_chunks().collect::<Vec<_>>(), [0, 1, 2]);
        let after = diff("one\nNEW\ntwo\nthree", Some(entry_of(&before)), &[]);
        assert_eq!((after.new_chunks().collect::<Vec<_>>(), after.moved().collect::<Vec<_>>()), (vec![1], vec![2, 3]));
        assert!(after.stale.is_empty() && after.known && after.kept() == 1);
    }

    #[test]
    fn another_setting_makes_all_anew_and_an_edit_what_is_new() {
        let by = |model: &str| Some((Setting::new(model, 100), 100));
        let (plain, before) = (diff("one\ntwo\nthree", None, &[]), diff_by(by("m"), "one\ntwo\nthree", None, &[]));
        let new = |diff: &DocumentDiff| diff.new_chunks().collect::<Vec<_>>();
        let same = diff_by(by("m"), "one\nNEW\ntwo\nthree", Some(entry_of(&before)), &[]);
        assert_eq!((new(&same), same.moved().collect::<Vec<_>>()), (vec![1], vec![2, 3]));
        for (was, setting) in [(&plain, by("m")), (&before, by("n")), (&before, None)] {
            let other = diff_by(setting, "one\ntwo\nthree", Some(entry_of(was)), &[]);
            assert_eq!((new(&other), other.stale.len()), (vec![0, 1, 2], 3), "all anew, and what was there goes");
        }
        let (alone, only) = (diff("one", None, &[]), diff_by(by("m"), "one", None, &[]));
        assert_eq!(alone.commit().points, only.commit().points, "the only chunk of a document stands nowhere");
        assert!(!only.is_situated() && before.is_situated());
    }

    #[test]
    fn what_is_said_of_a_chunk_is_in_front_of_it_and_in_its_payload() {
        let diff = Arc::new(diff_by(Some((Setting::new("m", 100), 100)), "one\ntwo", None, &[]));
        let task = ChunkTask::of(&diff).remove(1);
        let asked = task.asked("m").unwrap();
        assert!(asked.request.messages[0].text.contains("one\ntwo"), "the document");
        let (plain, task) = (task.passage().1, task.situated(Some("On two.")));
        assert_eq!(task.text(), "On two.\n\ntwo");
        let passage = task.passage().1;
        assert_eq!((passage.context.as_deref(), passage.text.as_str()), (Some("On two."), "two"));
        assert_eq!(digest(&passage), digest(&plain));
    }

    #[test]
    fn only_what_is_neither_written_nor_deleted_stays_certain() {
        let before = diff("one\ntwo\nthree", None, &[]);
        let points = before.commit().points;
        let after = diff("one\nNEW!\nthree", Some(entry_of(&before)), &[]);
        let intent = after.intent().unwrap();
        assert_eq!(intent.untouched, [points[0], StoredPoint { id: points[2].id, digest: 0 }]);
        assert_eq!(intent.ids.len(), 3, "the new one, the moved one and the stale one");
        let same = diff("one\ntwo\nthree", Some(entry_of(&before)), &[]);
        assert_eq!(same.intent(), None);
        assert_eq!(same.commit().points, points);
    }

    #[test]
    fn what_is_gone_or_was_only_intended_is_stale() {
        let before = diff("one\ntwo", None, &[]);
        let points = before.commit().points;
        let lost = Uuid::from_u128(77);
        let after = diff("two", Some(entry_of(&before)), &[lost, points[1].id]);
        let mut expected = vec![lost, points[0].id];
        expected.sort_unstable();
        assert_eq!(after.stale, expected);
    }

    #[test]
    fn repeated_texts_have_ids_of_their_own() {
        let ids: HashSet<Uuid> = diff("same\nsame\nother\nsame", None, &[]).intent().unwrap().ids.into_iter().collect();
        assert_eq!(ids.len(), 4);
    }

    #[test]
    fn the_last_acknowledgement_finishes_a_document_unless_it_failed() {
        let good = diff("one\ntwo", None, &[]);
        assert_eq!([good.acknowledge(), good.acknowledge()], [false, true]);
        let bad = diff("one\ntwo", None, &[]);
        assert!(bad.fail() && !bad.fail());
        assert_eq!([bad.acknowledge(), bad.acknowledge()], [false, false]);
    }
}
