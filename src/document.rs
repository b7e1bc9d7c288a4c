//! What flows through the pipeline: documents, chunks, points and passages.

use std::collections::BTreeMap;
use std::fmt;
use std::ops::Range;
use std::sync::Arc;

use serde::{Deserialize, Serialize};
use uuid::Uuid;

/// What else is known of a document, by name: an author, a price, a version. Part of each of its passages in the index.
pub type Metadata = BTreeMap<String, Scalar>;

/// A value of [`Metadata`], in JSON as itself. Numbers that JSON does not have (infinite ones, say) are to be texts.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(untagged)]
pub enum Scalar {
    /// True or false.
    Bool(bool),
    /// A whole number.
    Integer(i64),
    /// Any other number.
    Float(f64),
    /// Anything else.
    Text(String),
    /// Several of these, as tags are: what holds for one of them holds for the document.
    List(Vec<Scalar>),
}

/// Numbers are equal bit by bit: a value is the same if it is stored as the same.
impl PartialEq for Scalar {
    fn eq(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Bool(a), Self::Bool(b)) => a == b,
            (Self::Integer(a), Self::Integer(b)) => a == b,
            (Self::Float(a), Self::Float(b)) => a.to_bits() == b.to_bits(),
            (Self::Text(a), Self::Text(b)) => a == b,
            (Self::List(a), Self::List(b)) => a == b,
            _ => false,
        }
    }
}

impl Eq for Scalar {}

impl fmt::Display for Scalar {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Bool(value) => value.fmt(f),
            Self::Integer(value) => value.fmt(f),
            Self::Float(value) => value.fmt(f),
            Self::Text(value) => value.fmt(f),
            Self::List(values) => {
                for (index, value) in values.iter().enumerate() {
                    write!(f, "{}{value}", if index == 0 { "" } else { ", " })?;
                }
                Ok(())
            }
        }
    }
}

impl From<bool> for Scalar {
    fn from(value: bool) -> Self {
        Self::Bool(value)
    }
}

impl From<i64> for Scalar {
    fn from(value: i64) -> Self {
        Self::Integer(value)
    }
}

impl From<f64> for Scalar {
    /// A number that JSON does not have becomes its text.
    fn from(value: f64) -> Self {
        if value.is_finite() { Self::Float(value) } else { Self::Text(value.to_string()) }
    }
}

impl From<&str> for Scalar {
    fn from(value: &str) -> Self {
        Self::Text(value.to_owned())
    }
}

impl From<String> for Scalar {
    fn from(value: String) -> Self {
        Self::Text(value)
    }
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
    /// The document's identity, over all sources of an index. A file's is its path relative to the index's base folder, or absolute
    /// outside of it, with `/` between the parts; others begin with a scheme (`https://…`, `tickets://17`).
    pub uri: String,
    /// The document's own title (front matter, first heading, `<title>`, metadata), if it has one.
    pub title: Option<String>,
    /// How `text` is written.
    pub markup: Markup,
    /// The extracted text. For text, Markdown and source files in UTF-8 these are the bytes of the file itself
    /// (a BOM included), so that `file[start..end]` is a passage; in JSON, letters that the file has as escapes are letters here, on the
    /// same lines.
    pub text: Arc<str>,
    /// Where pages begin, ascending, of documents that have some.
    pub pages: Vec<PageStart>,
    /// Named places, ascending, of documents that have some.
    pub anchors: Vec<Anchor>,
    /// Modification time, in nanoseconds since the Unix epoch; 0 where it is not known.
    pub modified_ns: i64,
    /// What its source knows of it besides.
    pub metadata: Metadata,
}

/// Where the text of a page begins. Pages without text have none.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PageStart {
    /// Byte offset of its first letter in [`Document::text`]; on a character boundary. A paragraph that goes on from the page before
    /// is one, so that this may be within a line.
    pub start: usize,
    /// The page's place in the document, from 1.
    pub page: u32,
    /// What the document calls it ("iv", "A-3"); its place where it says nothing.
    pub label: String,
}

/// The name of a place in a document, by which an address leads to it: `page.html#install`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Anchor {
    /// Byte offset in [`Document::text`] of the line that the place begins with: a heading, a term that is explained.
    pub start: usize,
    /// What follows the `#`, as the document has it: not percent-encoded.
    pub id: String,
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
    /// The header row of the table that the chunk begins within, below that row.
    pub columns: Option<Arc<str>>,
    /// The page that it begins on.
    pub page: Option<u32>,
    /// The name of the place that it begins in.
    pub anchor: Option<Arc<str>>,
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
    /// See [`Document::uri`].
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
    /// The names of the columns, as the table's header row has them, where the passage begins with a row that is cut from it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub columns: Option<String>,
    /// The page that the passage begins on, where its document has pages: its place among them, from 1.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub page: Option<u32>,
    /// The name of the place in the document that the passage begins in: the nearest at or above its first line, in its section.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub anchor: Option<String>,
    /// Where the passage stands in its document, as a model has said it; see [`crate::ingest::context`]. For search alone: it is no part of
    /// the document.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub context: Option<String>,
    /// The passage itself.
    pub text: String,
    /// The document's modification time, in seconds since the Unix epoch; 0 where it is not known.
    pub modified: i64,
    /// The document's language as ISO 639-1 ("en", "zh"), if it is known (see [`crate::language`]).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub lang: Option<String>,
    /// Which source gave the document; `None`: files.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub source: Option<String>,
    /// What its source knows of the document besides.
    #[serde(default, skip_serializing_if = "Metadata::is_empty")]
    pub metadata: Metadata,
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

/// Why no index can hold a vector: it has no direction by which it could be compared. Qdrant keeps one as it is whose length
/// squared is below `f32::EPSILON`, and makes zeros of one whose length squared is no `f32`; both then look like any other vector
/// and are near to none.
pub fn unusable(vector: &[f32]) -> Option<&'static str> {
    if !vector.iter().all(|number| number.is_finite()) {
        return Some("holds a number that is not finite");
    }
    let squared: f64 = vector.iter().map(|number| f64::from(*number).powi(2)).sum();
    match squared {
        0.0 => Some("is all zero"),
        squared if squared < f64::from(f32::EPSILON) => Some("is next to zero"),
        squared if squared > f64::from(f32::MAX) => Some("holds numbers too large to be compared"),
        _ => None,
    }
}

/// A passage that a query found.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Hit {
    /// The point's id.
    pub id: Uuid,
    /// Higher is better; the scale depends on the retrieval mode.
    pub score: f32,
    /// The payload.
    pub passage: Passage,
    /// Which pipeline's index has it, where several were asked.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pipeline: Option<Arc<str>>,
}
