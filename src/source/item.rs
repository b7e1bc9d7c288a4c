//! What a source lists and what it fetches.

use std::fmt;
use std::sync::Arc;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::document::{Anchor, Markup, Metadata};
use crate::parse::{Hint, ParseError};

/// The name of a kind of source. Recorded with each document: only the source that gave a document can find it gone.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
#[serde(transparent)]
pub struct SourceId(Arc<str>);

impl SourceId {
    const FILES: &str = "files";

    /// A short word that stays the same from run to run: "`files`", "`tickets`".
    pub fn new(id: impl Into<Arc<str>>) -> Self {
        Self(id.into())
    }

    /// Files and folders, all of them together.
    pub fn files() -> Self {
        Self::new(Self::FILES)
    }

    /// The word.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// As payloads say it: `None` is [`Self::files`].
    pub fn named(&self) -> Option<String> {
        (self.as_str() != Self::FILES).then(|| self.0.to_string())
    }
}

impl fmt::Display for SourceId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl From<&str> for SourceId {
    fn from(id: &str) -> Self {
        Self::new(id)
    }
}

/// A state of an item, told without fetching it: a file's time and size, an `ETag`, a row's `updated_at`, a hash. At most 64
/// bytes, which mean something to the source alone.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct Version {
    length: u8,
    bytes: [u8; Self::MAX],
}

impl Version {
    /// Bytes that are kept as they are; of more, their blake3.
    pub const MAX: usize = 64;

    /// Proves nothing: an item of this version is fetched in each run, and its content compared.
    pub const UNKNOWN: Self = Self { length: 0, bytes: [0; Self::MAX] };

    /// Any bytes that differ whenever the item's content does.
    pub fn new(state: impl AsRef<[u8]>) -> Self {
        let state = state.as_ref();
        let hash;
        let kept = if state.len() <= Self::MAX {
            state
        } else {
            hash = blake3::hash(state);
            hash.as_bytes()
        };
        Self::of(kept)
    }

    /// What [`Self::new`] was given, or its hash. Empty: [`Self::UNKNOWN`].
    pub fn as_bytes(&self) -> &[u8] {
        self.kept()
    }

    #[expect(clippy::expect_used, reason = "a version cut short would prove what it does not")]
    fn of(kept: &[u8]) -> Self {
        let mut bytes = [0; Self::MAX];
        bytes.get_mut(..kept.len()).expect("no longer than a version").copy_from_slice(kept);
        Self { length: kept.len() as u8, bytes }
    }

    #[expect(clippy::expect_used, reason = "as above")]
    fn kept(&self) -> &[u8] {
        self.bytes.get(..usize::from(self.length)).expect("no longer than a version")
    }

    /// Whether an item that has this version now is what it was when it had that one.
    pub fn proves(&self, recorded: &Self) -> bool {
        self.length > 0 && self == recorded
    }
}

impl Default for Version {
    fn default() -> Self {
        Self::UNKNOWN
    }
}

impl fmt::Debug for Version {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Version({})", self.as_bytes().escape_ascii())
    }
}

/// Something that a source has, not fetched yet.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Item {
    /// The document's identity; see [`crate::document::Document::uri`].
    pub uri: String,
    /// Its state. Equal to the recorded one: the item is not fetched.
    pub version: Version,
    /// Bytes that [`super::Source::fetch`] will give, about: memory is set aside for them. `None`: not known.
    pub size: Option<u64>,
    /// What the source itself needs to find the item again; may be another process's source. Empty: the uri is enough.
    pub key: Vec<u8>,
}

impl Item {
    /// An item of unknown size that its uri is enough to find.
    pub fn new(uri: impl Into<String>, version: Version) -> Self {
        Self { uri: uri.into(), version, size: None, key: Vec::new() }
    }
}

/// One step of a listing.
#[derive(Debug)]
#[non_exhaustive]
pub enum Listed {
    /// An item.
    Item(Item),
    /// An item that had to be fetched to be listed, as a crawler must for the links on a page. Also where it may be unchanged.
    Fetched(Item, Box<Fetched>),
    /// An item, or a whole folder of them, that is left out on purpose.
    Skipped {
        /// See [`Item::uri`].
        uri: String,
        /// Why.
        reason: SkipReason,
    },
    /// Nothing at or below this could be listed, and nothing there may be taken for gone.
    Unreadable {
        /// See [`super::is_within`]; empty is all that the source has.
        prefix: String,
        /// Why.
        error: SourceError,
    },
    /// Nothing that lies there ever answered, and nothing is known of it: said as [`Self::Unreadable`] is, but a run over what a person
    /// named (a mistyped address, say) does not remember it as failed.
    Unanswered {
        /// See [`Self::Unreadable`].
        prefix: String,
        /// Why.
        error: SourceError,
    },
    /// An item that was listed is no document after all: another with the same content is.
    Withdrawn {
        /// See [`Item::uri`].
        uri: String,
    },
    /// What a person should know of the source, in a sentence: what belongs to a site and why, what it asks for.
    Notice(String),
    /// The end, and the last step: whatever was not named is not there. A listing that ends without it was cut short.
    Complete,
}

/// Why an item is left out.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum SkipReason {
    /// Its name, or that of the folder, begins with a dot; or it is what an office program leaves beside an open document.
    Hidden,
    /// The pipeline's `exclude` matches it, or its `include` does not.
    Excluded,
    /// It has no bytes, or nothing but blanks.
    Empty,
    /// It is larger than `max_bytes`.
    TooLarge,
    /// Its content is not text and no format that is read.
    Binary,
    /// Its name says that it is a picture, an archive, a program or something else that is not read.
    UnsupportedFormat,
    /// A symbolic link: what it points to is indexed where it lies, if it lies below a root.
    SymbolicLink,
    /// A socket, a pipe or a device.
    Special,
    /// A `.gitignore` names it. Told only where nothing else was found in its root.
    Gitignored,
    /// An `.ignore` file, or one of git's other lists, names it. Told only where nothing else was found in its root.
    Ignored,
    /// Ragstream itself wrote it: an index, a ledger, a cache.
    Own,
    /// The site's robots.txt keeps crawlers from it.
    Robots,
    /// The page itself asks not to be indexed.
    NoIndex,
    /// The page is empty without its scripts: it needs a browser.
    JavaScript,
    /// Its content stands under another URL.
    Duplicate,
    /// A page that a generator makes of all the others: an index of words, a page for printing, a search form.
    Generated,
    /// The site's "not found", told as if it were a page.
    SoftNotFound,
}

impl SkipReason {
    /// Whether what has this name is hidden: by a dot, or as Word and Excel hide the `~$letter.docx` that tells who has `letter.docx` open.
    pub(crate) fn is_hidden(name: &[u8]) -> bool {
        name.starts_with(b".") || name.starts_with(b"~$")
    }

    /// Its identifier in summaries.
    pub fn name(self) -> &'static str {
        match self {
            Self::Hidden => "hidden",
            Self::Excluded => "excluded",
            Self::Empty => "empty",
            Self::TooLarge => "too_large",
            Self::Binary => "binary",
            Self::UnsupportedFormat => "unsupported_format",
            Self::SymbolicLink => "symbolic_link",
            Self::Special => "special",
            Self::Gitignored => "gitignored",
            Self::Ignored => "ignored",
            Self::Own => "own",
            Self::Robots => "robots",
            Self::NoIndex => "no_index",
            Self::JavaScript => "java_script",
            Self::Duplicate => "duplicate",
            Self::Generated => "generated",
            Self::SoftNotFound => "soft_not_found",
        }
    }

    /// The reason in a clause.
    pub fn said(self) -> &'static str {
        match self {
            Self::Hidden => {
                "its name, or that of a folder above it, begins with a dot or, as of files that mark an open document, with ~$"
            }
            Self::Excluded => "the source's `include` does not match it, or its `exclude` does",
            Self::Empty => "there is nothing in it",
            Self::TooLarge => "it is larger than the source's `max_bytes`",
            Self::Binary => "its content is neither text nor a format that is read",
            Self::UnsupportedFormat => "its format is not read",
            Self::SymbolicLink => "it is a symbolic link, or lies behind one",
            Self::Special => "it is no ordinary file",
            Self::Gitignored => "a .gitignore names it",
            Self::Ignored => "an .ignore file, or one of git's own lists, names it",
            Self::Own => "ragstream itself wrote it",
            Self::Robots => "robots.txt forbids it",
            Self::NoIndex => "the page asks not to be indexed",
            Self::JavaScript => "the page is empty without its scripts",
            Self::Duplicate => "another page has the same content",
            Self::Generated => "a generator makes it of all other pages",
            Self::SoftNotFound => "the page says \"not found\"",
        }
    }

    /// As what an item is counted whose content turned out to be no document; `None` where a document was lost.
    pub fn of(error: &ParseError) -> Option<Self> {
        match error {
            ParseError::Empty => Some(Self::Empty),
            ParseError::Binary => Some(Self::Binary),
            ParseError::Unsupported(_) => Some(Self::UnsupportedFormat),
            _ => None,
        }
    }
}

/// An item's content, and what is recorded with it.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub struct Fetched {
    /// The content.
    pub body: Body,
    /// The version of this very body, which may be newer than the one listed. It is what is recorded.
    pub version: Version,
    /// When the content was modified, in nanoseconds since the Unix epoch, where the source knows.
    pub modified_ns: Option<i64>,
    /// What else is known of the document. Part of each of its passages in the index, where it can be filtered by.
    pub metadata: Metadata,
    /// Named places in a body that is text, ascending. Those of bytes are found by their parser.
    pub anchors: Vec<Anchor>,
}

impl Fetched {
    /// Content of this version, with nothing else known.
    pub fn new(body: Body, version: Version) -> Self {
        Self { body, version, modified_ns: None, metadata: Metadata::new(), anchors: Vec::new() }
    }

    /// blake3 of all that the index holds of it, save the time. Of bytes that come with neither a media type nor metadata it is the
    /// hash of the bytes themselves.
    pub fn hash(&self) -> [u8; 32] {
        let (content, rest) = match &self.body {
            Body::Bytes { bytes, hint } if hint.media_type.is_none() && self.metadata.is_empty() => (bytes.as_slice(), None),
            Body::Bytes { bytes, hint } => (bytes.as_slice(), Some(json(&(&hint.media_type, &self.metadata)))),
            Body::Text { text, markup, title } => (text.as_bytes(), Some(json(&(markup, title, &self.metadata)))),
        };
        let mut hasher = blake3::Hasher::new();
        hasher.update(content);
        if let Some(rest) = rest {
            // With its length, so that none of it can be taken for content.
            hasher.update(&rest).update(&(rest.len() as u64).to_le_bytes());
        }
        if !self.anchors.is_empty() {
            let anchors = json(&self.anchors);
            hasher.update(&anchors).update(&(anchors.len() as u64).to_le_bytes()).update(b"anchors");
        }
        *hasher.finalize().as_bytes()
    }
}

#[expect(clippy::expect_used, reason = "two contents that differ would look alike")]
fn json(value: &impl Serialize) -> Vec<u8> {
    serde_json::to_vec(value).expect("texts and scalars are JSON")
}

/// An item's content.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Body {
    /// Bytes of some format, to be parsed.
    Bytes {
        /// All of them.
        bytes: Vec<u8>,
        /// What is known of the format beyond the bytes.
        hint: FormatHint,
    },
    /// Text that needs no parsing.
    Text {
        /// The text: what [`crate::document::Passage::start`] counts in.
        text: String,
        /// How it is written.
        markup: Markup,
        /// The document's title, if it has one.
        title: Option<String>,
    },
}

impl Body {
    /// Its size in bytes.
    pub fn len(&self) -> usize {
        match self {
            Self::Bytes { bytes, .. } => bytes.len(),
            Self::Text { text, .. } => text.len(),
        }
    }

    /// Whether there is nothing in it.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

/// What is known of a body's format before it is looked into.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
#[non_exhaustive]
pub struct FormatHint {
    /// A file name; `None`: the item's uri ends with it.
    pub name: Option<String>,
    /// As in `Content-Type`, parameters included.
    pub media_type: Option<String>,
}

impl FormatHint {
    /// With a file name of its own.
    #[must_use]
    pub fn with_name(self, name: impl Into<String>) -> Self {
        Self { name: Some(name.into()), ..self }
    }

    /// With a media type.
    #[must_use]
    pub fn with_media_type(self, media_type: impl Into<String>) -> Self {
        Self { media_type: Some(media_type.into()), ..self }
    }

    /// For the parser, of an item with this uri.
    pub fn of<'a>(&'a self, uri: &'a str) -> Hint<'a> {
        Hint { name: self.name.as_deref().unwrap_or(uri), media_type: self.media_type.as_deref() }
    }
}

/// Why an item could not be fetched.
#[derive(Debug)]
#[non_exhaustive]
pub enum FetchError {
    /// It was there when it was listed. Not a failure.
    Gone,
    /// It turned out to be left out on purpose.
    Skipped(SkipReason),
    /// The document is lost in this run; the others go on.
    Failed(SourceError),
}

impl From<SourceError> for FetchError {
    fn from(error: SourceError) -> Self {
        Self::Failed(error)
    }
}

impl From<std::io::Error> for FetchError {
    fn from(error: std::io::Error) -> Self {
        Self::Failed(error.into())
    }
}

/// Why something of a source could not be listed or fetched: any error, or a message.
#[derive(Debug)]
pub struct SourceError(Box<dyn std::error::Error + Send + Sync>);

impl SourceError {
    /// Wraps an error or a message.
    pub fn new(error: impl Into<Box<dyn std::error::Error + Send + Sync>>) -> Self {
        Self(error.into())
    }
}

impl From<std::io::Error> for SourceError {
    fn from(error: std::io::Error) -> Self {
        Self::new(error)
    }
}

impl fmt::Display for SourceError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl std::error::Error for SourceError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        self.0.source()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::document::Scalar;

    #[test]
    fn a_version_keeps_what_it_is_made_of_and_an_unknown_one_proves_nothing() {
        let etag = Version::new("\"abc\"");
        assert_eq!(etag.as_bytes(), b"\"abc\"");
        assert!(etag.proves(&Version::new("\"abc\"")) && !etag.proves(&Version::new("\"abd\"")));
        assert!(!Version::UNKNOWN.proves(&Version::UNKNOWN) && Version::new("") == Version::UNKNOWN);
        assert_ne!(Version::new([0]), Version::new([0, 0]), "the length counts");
        let long = Version::new([7; 65]);
        assert_eq!(long.as_bytes(), blake3::hash(&[7; 65]).as_bytes());
        assert_eq!(Version::new([7; 64]).as_bytes(), [7; 64]);
    }

    #[test]
    fn the_hash_of_plain_bytes_is_theirs_and_all_that_is_indexed_counts() {
        let bytes = |media_type: Option<&str>| {
            let hint = FormatHint { name: Some("a.md".into()), media_type: media_type.map(str::to_owned) };
            Fetched::new(Body::Bytes { bytes: b"text".to_vec(), hint }, Version::UNKNOWN)
        };
        assert_eq!(bytes(None).hash(), *blake3::hash(b"text").as_bytes());
        let text = |text: &str, title: Option<&str>| {
            let body = Body::Text { text: text.into(), markup: Markup::Text, title: title.map(str::to_owned) };
            Fetched::new(body, Version::UNKNOWN)
        };
        let mut priced = text("text", None);
        priced.metadata.insert("price".into(), Scalar::from(3));
        let mut named = text("text", None);
        named.anchors.push(Anchor { start: 0, id: "top".into() });
        let all = [bytes(None), bytes(Some("text/html")), text("text", None), text("text", Some("t")), priced, named];
        let hashes: std::collections::HashSet<_> = all.iter().map(Fetched::hash).collect();
        assert_eq!(hashes.len(), all.len());
    }
}
