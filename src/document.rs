//! What flows through the pipeline: found files, documents, chunks, points and passages.

use std::ops::Range;
use std::path::PathBuf;
use std::sync::Arc;

use serde::{Deserialize, Serialize};
use uuid::Uuid;

/// A file that the reader found and has not opened yet.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Found {
    /// The document's identity: the path relative to the index's base folder, or absolute outside of it,
    /// with `/` between the parts.
    pub uri: String,
    /// Where it is on disk.
    pub path: PathBuf,
    /// What the file system says of it.
    pub stamp: Stamp,
}

/// What the file system says of a file without opening it. Two equal stamps mean "not changed".
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Stamp {
    /// Size in bytes.
    pub size: u64,
    /// Modification time, in nanoseconds since the Unix epoch.
    pub modified_ns: i64,
    /// Inode (0 where the platform has none).
    pub inode: u64,
}

/// How a document's text is written, which decides where it may be cut.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Markup {
    /// Plain text: paragraphs are separated by blank lines.
    Text,
    /// Markdown: headings, fences, tables and lists mean something.
    Markdown,
    /// reStructuredText: underlined headings, directives.
    Rst,
    /// Source code: lines and blank lines mean something, sentences do not.
    Code,
    /// One record a line (CSV rows, JSON lines): cut between lines only, where that is possible.
    Records,
}

/// A document as parsed: its text and what is known of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Document {
    /// See [`Found::uri`].
    pub uri: String,
    /// The document's own title (front matter, first heading, `<title>`, metadata), if it has one.
    pub title: Option<String>,
    /// How `text` is written.
    pub markup: Markup,
    /// The extracted text. For text, Markdown and source files in UTF-8 these are the bytes of the file itself
    /// (a BOM included), so that `file[start..end]` is a passage.
    pub text: Arc<str>,
    /// Modification time, in nanoseconds since the Unix epoch.
    pub modified_ns: i64,
}

/// A piece of a document, small enough for the embedding model.
///
/// Invariants: `span` lies on character boundaries, is not empty, and `document.text[span]` is the chunk's text;
/// spans of consecutive chunks ascend and, overlap aside, cover every non-blank character of the text.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Chunk {
    /// Position among the document's chunks, from 0.
    pub index: u32,
    /// Byte offsets into [`Document::text`].
    pub span: Range<usize>,
    /// First and last line, 1-based, both inclusive.
    pub lines: (u32, u32),
    /// The headings above the chunk, outermost first.
    pub headings: Vec<Arc<str>>,
    /// Tokens in the text (without the headings), counted by the chunking tokenizer.
    pub tokens: u32,
}

/// A sparse vector: `indices` ascend and have the length of `values`.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct SparseVector {
    /// Which terms.
    pub indices: Vec<u32>,
    /// Their weights.
    pub values: Vec<f32>,
}

/// What a point in the store says about its passage. Stored as the point's payload, under these very keys.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Passage {
    /// See [`Found::uri`].
    pub uri: String,
    /// Byte offset of the first byte in the extracted text.
    pub start: u64,
    /// Byte offset after the last byte in the extracted text.
    pub end: u64,
    /// First and last line, 1-based, both inclusive.
    pub lines: (u32, u32),
    /// Position among the document's chunks, from 0.
    pub index: u32,
    /// The document's title, if it has one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub title: Option<String>,
    /// The headings above the passage, outermost first.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub headings: Vec<String>,
    /// The passage itself.
    pub text: String,
    /// The document's modification time, in seconds since the Unix epoch.
    pub modified: i64,
    /// The document's language as ISO 639-1 ("en", "zh"), if it is known (see [`crate::language`]).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub lang: Option<String>,
    /// Which source gave the document; `None`: files.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub source: Option<String>,
}

/// A passage with its vectors, ready for the store.
#[derive(Debug, Clone, PartialEq)]
pub struct Point {
    /// Deterministic: the same document and text give the same id.
    pub id: Uuid,
    /// The dense vector, of the index's dimensions.
    pub dense: Vec<f32>,
    /// The BM25 vector.
    pub sparse: SparseVector,
    /// The payload.
    pub passage: Passage,
}

/// A passage that a query found.
#[derive(Debug, Clone, PartialEq)]
pub struct Hit {
    /// The point's id.
    pub id: Uuid,
    /// Higher is better; the scale depends on the retrieval mode.
    pub score: f32,
    /// The payload.
    pub passage: Passage,
}
