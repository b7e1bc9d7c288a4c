//! The record of answers: a JSON object a line, each on the disk before it counts.
//!
//! A kill can tear the last line at most. When the record is opened again, a torn line is cut off (its question is asked again),
//! and one that only lacks its line feed gets it. A file that is not such a record is refused and left as it is.

use std::collections::HashMap;
use std::fs::{File, TryLockError};
use std::io::{BufRead as _, BufReader, Read as _, Seek as _, SeekFrom, Write as _};
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use super::proof::Doubt;
use crate::error::Error;
use crate::providers::{StopReason, Usage};

/// Bytes of a line: an answer of at most a megabyte, escaped, with its sources.
const MAX_LINE: u64 = 16 << 20;

/// An answered question of a batch. Its JSON is a line of the record's file, and the line that `--json` prints.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "type", rename = "answer")]
pub struct Answered {
    /// The question's.
    pub id: String,
    /// The answer, as the model wrote it.
    pub answer: String,
    /// The sources cited, in the order of their first use.
    pub citations: Vec<usize>,
    /// Numbers cited that no source has, ascending.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub unknown_citations: Vec<usize>,
    /// What it claims and the sources that it cites for it do not say.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub doubts: Vec<Doubt>,
    /// Sources that the answer could cite.
    pub sources: Vec<SourceRef>,
    /// The model that wrote it, as `provider/model`.
    pub model: String,
    /// Tokens read and written, where the provider says so.
    pub usage: Usage,
    /// From the start of the search to the end.
    pub seconds: f64,
    /// The reason why the model stopped.
    pub stop: StopReason,
    /// Identity of what it answers: see [`AnswerKey`](super::batch::AnswerKey).
    pub key: String,
}

/// Where a source stands.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SourceRef {
    /// Its number in citations.
    pub n: usize,
    /// Its document.
    pub uri: String,
    /// Its pipeline, where several were asked.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pipeline: Option<String>,
    /// First and last line, from 1.
    pub lines: (u32, u32),
}

/// The part of a line that is read when the record is opened.
#[derive(Deserialize)]
struct Head {
    r#type: String,
    #[serde(default)]
    id: String,
    #[serde(default)]
    key: String,
}

/// A line's place in the file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Span {
    at: u64,
    length: u64,
}

/// A file of answers. One process at a time has it; all calls block (call them off the runtime).
#[derive(Debug)]
pub struct Record {
    file: File,
    path: PathBuf,
    end: u64,
    /// Lines by what they answer, and then by id.
    lines: HashMap<String, HashMap<String, Span>>,
}

impl Record {
    /// Opens the record, and makes it if it is not there.
    ///
    /// # Errors
    /// When the file cannot be had, when another process has it, or when it is not such a record.
    pub fn open(path: &Path) -> Result<Self, Error> {
        let failed = |action| move |source| Error::io(action, path, source);
        if let Some(folder) = path.parent().filter(|folder| !folder.as_os_str().is_empty()) {
            std::fs::create_dir_all(folder).map_err(failed("create the folder of"))?;
        }
        let new = !path.exists();
        let options = File::options().read(true).write(true).create(true).truncate(false).open(path);
        let file = options.map_err(failed("open"))?;
        match file.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => {
                let source = std::io::Error::other("another batch is writing to it; wait until it has ended, or name another");
                return Err(failed("lock")(source));
            }
            // A file system without locks: then one at a time is the user's to see to.
            Err(TryLockError::Error(error)) => tracing::debug!(%error, path = %path.display(), "cannot be locked"),
        }
        let mut record = Self { file, path: path.to_owned(), end: 0, lines: HashMap::new() };
        record.read().map_err(failed("read"))?;
        if new {
            // The name must be as durable as what is written under it.
            let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
            if let Ok(folder) = File::open(folder) {
                let _ = folder.sync_all();
            }
        }
        Ok(record)
    }

    /// Reads what is there, and repairs its end.
    fn read(&mut self) -> std::io::Result<()> {
        let mut reader = BufReader::new(self.file.try_clone()?);
        let mut line = Vec::new();
        for number in 1_u64.. {
            line.clear();
            let length = reader.by_ref().take(MAX_LINE).read_until(b'\n', &mut line)? as u64;
            if length == 0 {
                break;
            }
            let ended = line.last() == Some(&b'\n');
            let head = serde_json::from_slice::<Head>(&line);
            match head {
                Ok(head) => self.note(head, Span { at: self.end, length }),
                Err(_) if line.trim_ascii().is_empty() => {}
                // Ours begin with their type; what was torn off a line of ours still begins so, or is what the disk never got.
                Err(_)
                    if !ended
                        && (BEGINNING.starts_with(&line) || line.starts_with(BEGINNING) || line.iter().all(|b| *b == 0)) =>
                {
                    tracing::info!(path = %self.path.display(), "a line was torn, most likely by a kill: its question is asked again");
                    return self.file.set_len(self.end);
                }
                Err(error) => {
                    let what = format!("line {number} is no answer of a batch ({error}); name another file");
                    return Err(std::io::Error::new(std::io::ErrorKind::InvalidData, what));
                }
            }
            self.end += length;
            if !ended {
                self.write(b"\n")?;
            }
        }
        Ok(())
    }

    fn note(&mut self, head: Head, span: Span) {
        if head.r#type == ANSWER {
            self.lines.entry(head.key).or_default().insert(head.id, span);
        }
    }

    /// The answer to what `key` stands for, if there is one; its id may be another's.
    pub fn find(&mut self, key: &str, id: &str) -> Result<Option<Answered>, Error> {
        let Some(ids) = self.lines.get(key) else { return Ok(None) };
        let Some(span) = ids.get(id).or_else(|| ids.values().next()).copied() else { return Ok(None) };
        let answer = self.read_at(span);
        answer.map(Some).map_err(|source| Error::io("read", self.path.clone(), source))
    }

    /// Whether the answer is there under this very id.
    pub fn holds(&self, key: &str, id: &str) -> bool {
        self.lines.get(key).is_some_and(|ids| ids.contains_key(id))
    }

    /// Adds answers. When it returns they are on the disk.
    pub fn add(&mut self, answers: &[Answered]) -> Result<(), Error> {
        self.append(answers).map_err(|source| Error::io("write to", self.path.clone(), source))
    }

    fn append(&mut self, answers: &[Answered]) -> std::io::Result<()> {
        let mut bytes = Vec::new();
        let mut spans = Vec::with_capacity(answers.len());
        for answer in answers {
            let at = self.end + bytes.len() as u64;
            serde_json::to_writer(&mut bytes, answer)?;
            bytes.push(b'\n');
            spans.push(Span { at, length: self.end + bytes.len() as u64 - at });
        }
        self.write(&bytes)?;
        for (answer, span) in answers.iter().zip(spans) {
            let head = Head { r#type: ANSWER.to_owned(), id: answer.id.clone(), key: answer.key.clone() };
            self.note(head, span);
        }
        Ok(())
    }

    /// Writes at the end. What is left of a write that failed is written over by the next one, or cut off when opened.
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<()> {
        self.file.seek(SeekFrom::Start(self.end))?;
        self.file.write_all(bytes)?;
        self.file.sync_data()?;
        self.end += bytes.len() as u64;
        Ok(())
    }

    fn read_at(&mut self, span: Span) -> std::io::Result<Answered> {
        self.file.seek(SeekFrom::Start(span.at))?;
        let mut line = Vec::new();
        (&self.file).take(span.length).read_to_end(&mut line)?;
        Ok(serde_json::from_slice(&line)?)
    }
}

/// The type of [`Answered`], which is all that a record has.
const ANSWER: &str = "answer";
/// How each line of it begins.
const BEGINNING: &[u8] = br#"{"type":"answer","#;

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "a failed test panics")]
mod tests {
    use super::*;

    fn answered(id: &str, key: &str, text: &str) -> Answered {
        Answered {
            id: id.into(),
            answer: text.into(),
            citations: vec![1],
            unknown_citations: Vec::new(),
            doubts: Vec::new(),
            sources: vec![SourceRef { n: 1, uri: "docs/密.md".into(), pipeline: None, lines: (1, 2) }],
            model: "p/m".into(),
            usage: Usage::new(Some(3), None),
            seconds: 0.5,
            stop: StopReason::End,
            key: key.into(),
        }
    }

    #[test]
    fn a_record_torn_anywhere_holds_all_but_what_was_torn() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("sub/answers.jsonl");
        let mut record = Record::open(&path).unwrap();
        let all = [answered("a", "k1", "one\n\"two\""), answered("b", "k2", "密钥"), answered("c", "k2", "密钥")];
        record.add(&all[..1]).unwrap();
        record.add(&all[1..]).unwrap();
        assert_eq!(record.find("k1", "z").unwrap().as_ref(), Some(&all[0]), "also under another id");
        drop(record);
        let whole = std::fs::read(&path).unwrap();
        assert!(whole.starts_with(BEGINNING));
        for cut in 0..=whole.len() {
            std::fs::write(&path, &whole[..cut]).unwrap();
            let mut record = Record::open(&path).unwrap();
            let ends: Vec<usize> = (0..whole.len()).filter(|at| whole[*at] == b'\n').collect();
            for (answer, end) in all.iter().zip(&ends) {
                assert_eq!(record.holds(&answer.key, &answer.id), cut >= *end, "cut at {cut}");
            }
            record.add(&[answered("d", "k3", "later")]).unwrap();
            drop(record);
            let mut again = Record::open(&path).unwrap();
            assert_eq!(again.find("k3", "d").unwrap().unwrap().answer, "later", "cut at {cut}");
            let text = std::fs::read_to_string(&path).unwrap();
            assert!(text.lines().all(|line| serde_json::from_str::<Answered>(line).is_ok()), "cut at {cut}: {text}");
        }
    }

    #[test]
    fn another_file_is_refused_and_left_alone() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("notes");
        for text in ["my notes", "my notes\n", "{\"id\":\"q1\",\"text\":\"Why?\"}\n", "{\"id\":\"q1\"", "[1]\n"] {
            std::fs::write(&path, text).unwrap();
            let refused = crate::error::reason(&Record::open(&path).unwrap_err());
            assert!(refused.contains("line 1 is no answer"), "{refused}");
            assert_eq!(std::fs::read_to_string(&path).unwrap(), text);
        }
    }

    #[test]
    fn one_process_at_a_time() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("answers.jsonl");
        let first = Record::open(&path).unwrap();
        assert!(crate::error::reason(&Record::open(&path).unwrap_err()).contains("another batch"));
        drop(first);
        Record::open(&path).unwrap();
    }
}
