//! What is known of a corpus, kept beside its index: a file that is whole or not there.
//!
//! A line of JSON, then the terms of the sample and in how many of its passages they are, as numbers of four and of two bytes. What
//! cannot be read, or is of another version or model, is as if it was not there: the next ingest makes it anew.

use std::fs;
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant, SystemTime};

use serde::{Deserialize, Serialize};

use super::evidence::Evidence;
use super::frequencies::Frequencies;
use super::model::{Calibration, Judgement};
use crate::atomic;
use crate::document::SparseVector;
use crate::vectordb::Ranked;

/// The layout, and what the weights mean.
const VERSION: u32 = 1;
/// Bytes of the file, at most: far above what a sample can have.
const MAX_BYTES: u64 = 16 << 20;
/// One in so many passages may change before the corpus is another.
const CHANGED: u64 = 5;
/// How long what was read is taken for what is there.
const FRESH: Duration = Duration::from_secs(1);

/// What is known of a corpus.
#[derive(Debug, Clone, PartialEq)]
pub struct Known {
    pub(super) head: Head,
    pub(super) frequencies: Frequencies,
}

/// The file's first line.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(super) struct Head {
    pub(super) version: u32,
    /// The fingerprint of the model that the index was embedded with.
    pub(super) model: String,
    /// Passages of the index.
    pub(super) points: u64,
    /// Passages that have come or gone since.
    pub(super) changed: u64,
    /// Of questions that are searched for by meaning and by words.
    pub(super) both: Option<Calibration>,
    /// Of those searched for by words alone.
    pub(super) words: Option<Calibration>,
    /// Passages of the sample.
    passages: u32,
    /// Terms that follow.
    terms: usize,
    /// The BLAKE3 hash of what follows.
    hash: String,
}

impl Known {
    pub(super) fn new(
        model: &str,
        points: u64,
        calibrations: (Option<Calibration>, Option<Calibration>),
        frequencies: Frequencies,
    ) -> Self {
        let (both, words) = calibrations;
        let (passages, terms, hash) = (frequencies.passages, frequencies.terms.len(), String::new());
        let model = model.to_owned();
        Self { head: Head { version: VERSION, model, points, changed: 0, both, words, passages, terms, hash }, frequencies }
    }

    /// What rankings of this corpus tell of a question; both come best first.
    pub fn evidence(&self, question: &SparseVector, dense: Option<&[Ranked]>, sparse: &[Ranked]) -> Option<Evidence> {
        Evidence::of(dense, sparse, self.frequencies.ceiling(question, self.head.points))
    }

    /// The probability that what was found holds the answer; `None`: nothing is known of such a search. Where nothing was learned by
    /// meaning, since it is paid for, the words say what they can.
    pub fn judge(&self, evidence: &Evidence) -> Option<Judgement> {
        let Head { both, words, .. } = &self.head;
        match (evidence.meaning, both) {
            (Some(_), Some(both)) => Some(both.judge(evidence)),
            (None, _) => Some(words.as_ref()?.judge(evidence)),
            (Some(_), None) => {
                let judged = words.as_ref()?.judge(&Evidence { meaning: None, ..*evidence });
                Some(Judgement { partial: true, ..judged })
            }
        }
    }

    /// How the corpus's own questions by meaning and by words are told apart, and those by words alone.
    pub fn calibrations(&self) -> (Option<Calibration>, Option<Calibration>) {
        (self.head.both, self.head.words)
    }

    /// The same after so many passages have come or gone; `None`: it is another corpus now.
    #[must_use]
    pub fn after(mut self, changed: u64) -> Option<Self> {
        self.head.changed = self.head.changed.saturating_add(changed);
        (self.head.changed <= self.head.points / CHANGED).then_some(self)
    }

    /// Keeps it, as a whole or not at all. Blocks.
    ///
    /// # Errors
    /// When it cannot be written.
    pub fn keep(&self, path: &Path) -> io::Result<()> {
        let terms = self.frequencies.terms.iter().flat_map(|term| term.to_le_bytes());
        let body: Vec<u8> = terms.chain(self.frequencies.counts.iter().flat_map(|count| count.to_le_bytes())).collect();
        let head = Head { hash: blake3::hash(&body).to_hex().to_string(), ..self.head.clone() };
        let mut text = serde_json::to_vec(&head)?;
        text.push(b'\n');
        text.extend(body);
        // One of several workers has nothing else in its home.
        if let Some(home) = path.parent() {
            fs::create_dir_all(home)?;
        }
        atomic::write(path, |file| file.write_all(&text))
    }

    /// What is kept there of an index made with this model. Blocks.
    pub fn read(path: &Path, model: &str) -> Option<Self> {
        if fs::metadata(path).ok()?.len() > MAX_BYTES {
            return None;
        }
        let bytes = fs::read(path).ok()?;
        let end = bytes.iter().position(|byte| *byte == b'\n')?;
        let (head, body) = (bytes.get(..end)?, bytes.get(end + 1..)?);
        let head: Head = serde_json::from_slice(head).ok()?;
        let whole = head.terms.checked_mul(size_of::<u32>() + size_of::<u16>()) == Some(body.len());
        if head.version != VERSION || head.model != model || !whole || blake3::hash(body).to_hex().as_str() != head.hash {
            return None;
        }
        let (terms, counts) = body.split_at_checked(head.terms * size_of::<u32>())?;
        let terms = terms.as_chunks().0.iter().map(|bytes| u32::from_le_bytes(*bytes)).collect();
        let counts = counts.as_chunks().0.iter().map(|bytes| u16::from_le_bytes(*bytes)).collect();
        let frequencies = Frequencies { passages: head.passages, terms, counts };
        Some(Self { head: Head { hash: String::new(), ..head }, frequencies })
    }
}

/// What is known of an index's corpus, read when it is first asked for, and again when it is another.
#[derive(Debug)]
pub struct Answerability {
    path: PathBuf,
    model: String,
    read: Mutex<Read>,
}

#[derive(Debug, Clone, Default)]
struct Read {
    at: Option<Instant>,
    /// The file's time.
    modified: Option<SystemTime>,
    known: Option<Arc<Known>>,
}

impl Answerability {
    /// Of the index that is described there, made with the model of this fingerprint. Nothing is read yet.
    pub fn at(path: PathBuf, model: &str) -> Self {
        Self { path, model: model.to_owned(), read: Mutex::default() }
    }

    /// What is known; `None`: nothing yet.
    pub async fn known(&self) -> Option<Arc<Known>> {
        let before = self.read.lock().unwrap_or_else(PoisonError::into_inner).clone();
        if before.at.is_some_and(|at| at.elapsed() < FRESH) {
            return before.known;
        }
        let (path, model) = (self.path.clone(), self.model.clone());
        let look = move || {
            let modified = fs::metadata(&path).ok().and_then(|about| about.modified().ok());
            let known = match modified {
                None => None,
                same if same == before.modified => before.known,
                _ => Known::read(&path, &model).map(Arc::new),
            };
            Read { at: Some(Instant::now()), modified, known }
        };
        let now = tokio::task::spawn_blocking(look).await.ok()?;
        let known = now.known.clone();
        *self.read.lock().unwrap_or_else(PoisonError::into_inner) = now;
        known
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "tests may panic")]
mod tests {
    use super::*;

    fn known() -> Known {
        let vector = |terms: &[u32]| SparseVector { indices: terms.to_vec(), values: vec![1.0; terms.len()] };
        let frequencies = Frequencies::of([vector(&[1, 70_000]), vector(&[1])].into_iter());
        let calibration = Calibration { slope: 0.1 + 0.2, intercept: -1.0 / 3.0, auroc: 0.97, questions: 200 };
        Known::new("local/m", 100, (Some(calibration), None), frequencies)
    }

    #[test]
    fn what_is_kept_is_read_back_exactly() {
        let folder = tempfile::tempdir().unwrap();
        // A worker's home is made by what is kept in it first.
        let home = folder.path().join("家");
        let path = home.join("docs.answerability");
        assert_eq!(Known::read(&path, "local/m"), None);
        known().keep(&path).unwrap();
        assert_eq!(Known::read(&path, "local/m").unwrap(), known());
        assert_eq!(Known::read(&path, "local/other"), None, "another model's");
        assert_eq!(fs::read_dir(&home).unwrap().count(), 1, "nothing else is left behind");
    }

    #[test]
    fn what_is_torn_or_strange_is_not_there() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("kept");
        known().keep(&path).unwrap();
        let whole = fs::read(&path).unwrap();
        for length in 0..whole.len() {
            fs::write(&path, &whole[..length]).unwrap();
            assert_eq!(Known::read(&path, "local/m"), None, "{length} bytes of {}", whole.len());
        }
        for at in whole.len() - 6..whole.len() {
            let mut bytes = whole.clone();
            bytes[at] ^= 1;
            fs::write(&path, &bytes).unwrap();
            assert_eq!(Known::read(&path, "local/m"), None, "byte {at}");
        }
        let newer = String::from_utf8_lossy(&whole).replacen("\"version\":1", "\"version\":2", 1);
        fs::write(&path, newer).unwrap();
        assert_eq!(Known::read(&path, "local/m"), None);
    }

    #[test]
    fn where_nothing_was_learned_by_meaning_words_say_what_they_can() {
        use super::super::evidence::Meaning;
        let both = |words| Evidence { words, meaning: Some(Meaning { margin: 0.5, agreement: 0.2 }) };
        let by_words = |words| Evidence { words, meaning: None };
        let calibration = Calibration { slope: 2.0, intercept: -1.0, auroc: 0.97, questions: 200 };
        let known = |both, words| Known::new("api/m", 100, (both, words), Frequencies::default());
        let words_alone = known(None, Some(calibration));
        let (judged, expected) = (words_alone.judge(&both(0.3)).unwrap(), words_alone.judge(&by_words(0.3)).unwrap());
        assert!((judged.probability - expected.probability).abs() < 1e-12);
        assert_eq!((judged.partial, expected.partial, expected.trusted), (true, false, true));
        assert!(!known(Some(calibration), Some(calibration)).judge(&both(0.3)).unwrap().partial);
        assert_eq!(known(Some(calibration), None).judge(&by_words(0.3)), None);
        assert_eq!(known(None, None).judge(&both(0.3)), None);
    }

    #[test]
    fn a_corpus_is_another_when_much_of_it_has_changed() {
        let little = known().after(20).unwrap();
        assert_eq!(little.head.changed, 20);
        assert_eq!(little.after(1), None, "a little and a little is much");
    }

    #[tokio::test]
    async fn what_a_later_run_keeps_is_seen() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("kept");
        let answerability = Answerability::at(path.clone(), "local/m");
        assert_eq!(answerability.known().await, None);
        known().keep(&path).unwrap();
        tokio::time::sleep(FRESH + Duration::from_millis(50)).await;
        assert_eq!(answerability.known().await.as_deref(), Some(&known()));
    }
}
