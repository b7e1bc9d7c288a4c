//! Turns bytes of some format into text.
//!
//! Text formats keep their bytes. The others are extracted by crates that read what strangers wrote: each runs in a
//! thread of its own that has a large stack and a time limit, and whose panics are caught (`guard`).

#[cfg(feature = "office")]
mod codepage;
#[cfg(feature = "office")]
mod compound;
mod container;
mod detect;
#[cfg(feature = "office")]
mod doc;
#[cfg(feature = "office")]
mod docx;
#[cfg(feature = "office")]
mod drawing;
#[cfg(feature = "office")]
mod edges;
mod epub;
mod format;
mod guard;
mod html;
#[cfg(feature = "office")]
mod letters;
mod mail;
mod markdown;
#[cfg(feature = "office")]
mod math;
#[cfg(feature = "office")]
mod msg;
mod notebook;
#[cfg(feature = "office")]
mod numbering;
#[cfg(feature = "office")]
mod numerals;
#[cfg(feature = "office")]
mod numfmt;
#[cfg(feature = "office")]
mod odf;
#[cfg(feature = "office")]
mod office;
mod options;
#[cfg(feature = "office")]
mod order;
#[cfg(feature = "office")]
mod package;
pub mod page;
#[cfg(feature = "pdf")]
mod pdf;
#[cfg(feature = "office")]
mod ppt;
#[cfg(feature = "office")]
mod pptx;
#[cfg(any(feature = "office", feature = "pdf"))]
mod roman;
#[cfg(feature = "office")]
mod rtf;
#[cfg(feature = "office")]
mod sheet;
#[cfg(feature = "office")]
mod spreadsheetml;
#[cfg(feature = "office")]
mod summary;
mod table;
mod text;
mod title;
#[cfg(feature = "office")]
mod writer;
#[cfg(feature = "office")]
mod xls;
#[cfg(feature = "office")]
mod xlsx;
#[cfg(feature = "office")]
mod xml;

use std::time::Duration;

pub use format::{Format, Guess, guess};
pub use options::{Ocr, ParseOptions, Password};

use crate::document::{Anchor, Markup, PageStart};

/// Text that one document may give, in bytes. Far above any book; a file that unpacks to more is a bomb or a dump.
const MAX_TEXT: usize = 256 << 20;

/// Documents in documents: what is attached to a message that is attached.
const MAX_DEPTH: usize = 3;

/// What is known of some bytes before they are looked into.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[non_exhaustive]
pub struct Hint<'a> {
    /// A file name, or a path or URL that ends with one.
    pub name: &'a str,
    /// As in `Content-Type`, parameters included. Stronger than the name, unless it says no more than "bytes" or "text".
    pub media_type: Option<&'a str>,
}

impl<'a> Hint<'a> {
    /// A name alone.
    pub fn name(name: &'a str) -> Self {
        Self { name, media_type: None }
    }

    /// With a media type.
    #[must_use]
    pub fn with_media_type(self, media_type: Option<&'a str>) -> Self {
        Self { media_type, ..self }
    }
}

/// A document's text, and what its format says of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Extracted {
    /// The document's own title (front matter, first heading, `<title>`, metadata), if it has one.
    pub title: Option<String>,
    /// How the text is written.
    pub markup: Markup,
    /// The text; never blank.
    pub text: String,
}

impl Extracted {
    /// Refuses a text without a word in it, and one beyond all measure.
    pub fn checked(self, format: Format) -> Result<Self, ParseError> {
        if self.text.len() > MAX_TEXT {
            return Err(ParseError::Bomb { format, limit: MAX_TEXT >> 20 });
        }
        if self.text.chars().all(|c| c.is_whitespace() || c == '\u{feff}') {
            return Err(ParseError::Empty);
        }
        Ok(self)
    }
}

/// All that was read of a document.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Parsed {
    /// Its text, and what its format says of it.
    pub extracted: Extracted,
    /// Where its pages begin, in order; empty for formats without pages.
    pub pages: Vec<PageStart>,
    /// Named places in it, in order; empty for formats without such names.
    pub anchors: Vec<Anchor>,
    /// Pages that are pictures without text and were not read, by their number from 1: they need OCR.
    pub unread_pages: Vec<u32>,
}

impl From<Extracted> for Parsed {
    fn from(extracted: Extracted) -> Self {
        Self { extracted, pages: Vec::new(), anchors: Vec::new(), unread_pages: Vec::new() }
    }
}

/// Why a file gave no document.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ParseError {
    /// No bytes, or nothing but blanks.
    #[error("there is nothing in it")]
    Empty,
    /// Neither text nor a format that is read.
    #[error("a binary file")]
    Binary,
    /// A format that is known and not read.
    #[error(".{0} files are not read")]
    Unsupported(String),
    /// It cannot be read without a password.
    #[error("{}", encrypted(*.0))]
    Encrypted(Format),
    /// Pages without a text layer.
    #[error("no text in the {0}: its pages seem to be scanned pictures, which need OCR first")]
    NoText(Format),
    /// It is damaged, or not what it claims to be.
    #[error("the {format} is broken: {message}")]
    Broken {
        /// What it was read as.
        format: Format,
        /// What the parser says.
        message: String,
    },
    /// A small file that unpacks to very much.
    #[error("the {format} unpacks to more than {limit} MB")]
    Bomb {
        /// What it was read as.
        format: Format,
        /// In MiB.
        limit: usize,
    },
    /// The parser did not come to an end.
    #[error("gave up reading the {format} after {} s", .after.as_secs())]
    TimedOut {
        /// What it was read as.
        format: Format,
        /// How long it was tried for.
        after: Duration,
    },
}

fn encrypted(format: Format) -> String {
    match format {
        Format::Pdf => "the PDF opens with a password only; give it under `parse: { passwords: [...] }`".to_owned(),
        other => format!("the {other} is encrypted; it can be read only after its password is taken off"),
    }
}

impl ParseError {
    /// Whether the file is no document in the first place, which is to be counted; else a document was lost, which is a failure to
    /// be reported.
    pub fn is_skip(&self) -> bool {
        matches!(self, Self::Empty | Self::Binary | Self::Unsupported(_))
    }

    /// A format whose parser is a feature of the crate that this build is without.
    #[cfg(not(all(feature = "office", feature = "pdf")))]
    fn left_out(format: Format) -> Self {
        // The names of these formats are those of their files.
        Self::Unsupported(format!("{format:?}").to_lowercase())
    }

    fn broken(format: Format, message: impl std::fmt::Display) -> Self {
        // Messages of parsers may quote the file: one line, and not a long one, is enough.
        let message: String = message.to_string().split_whitespace().collect::<Vec<_>>().join(" ");
        Self::Broken { format, message: message.chars().take(300).collect() }
    }
}

/// Extracts the text. CPU work that may take seconds: to be called on a blocking thread.
///
/// Text formats in UTF-8 come back byte for byte, but for letters that JSON has as escapes (`\u53d8`): they are letters, on the same lines. In other
/// encodings they are decoded. Never panics. A document of a foreign
/// format that takes longer than two minutes is given up; its thread cannot be killed and goes on in the background until
/// it ends by itself, or the process does.
pub fn parse(hint: Hint<'_>, bytes: Vec<u8>) -> Result<Extracted, ParseError> {
    parse_with(hint, bytes, &ParseOptions::default()).map(|parsed| parsed.extracted)
}

/// Like [`parse`], with passwords and OCR, and what is known of pages.
pub fn parse_with(hint: Hint<'_>, bytes: Vec<u8>, options: &ParseOptions) -> Result<Parsed, ParseError> {
    read(hint, bytes, options, 0, guard::PATIENCE)
}

/// Reads a document, or one that lies in another: at this depth, within this time.
fn read(
    hint: Hint<'_>,
    bytes: Vec<u8>,
    options: &ParseOptions,
    depth: usize,
    patience: Duration,
) -> Result<Parsed, ParseError> {
    if bytes.is_empty() {
        return Err(ParseError::Empty);
    }
    let (format, bytes) = detect(hint, bytes)?;
    let media_type = hint.media_type.map(str::to_owned);
    let options = options.clone();
    let of_inner = options.clone();
    let inner = move |hint: Hint<'_>, bytes, patience| {
        if depth == MAX_DEPTH {
            Err(ParseError::Unsupported(hint.name.to_owned()))
        } else {
            read(hint, bytes, &of_inner, depth + 1, patience).map(|parsed| parsed.extracted)
        }
    };
    #[cfg(not(feature = "pdf"))]
    drop(options);
    let extracted = match format {
        Format::Text | Format::Markdown | Format::Rst | Format::Code | Format::Csv | Format::Json | Format::JsonLines => {
            text::extract(format, bytes)?
        }
        Format::Html => {
            let mut parsed = guard::run_within(format, patience, move |_| html::extract(&bytes, media_type.as_deref()))?;
            parsed.extracted = parsed.extracted.checked(format)?;
            return Ok(parsed);
        }
        #[cfg(feature = "pdf")]
        Format::Pdf => {
            let mut parsed = guard::run_within(format, patience, move |deadline| pdf::extract(bytes, &options, deadline))?;
            parsed.extracted = parsed.extracted.checked(format)?;
            return Ok(parsed);
        }
        #[cfg(feature = "office")]
        Format::Docx
        | Format::Doc
        | Format::Pptx
        | Format::Ppt
        | Format::Xlsx
        | Format::Xls
        | Format::Ods
        | Format::Odt
        | Format::Odp
        | Format::Rtf
        | Format::Msg => guard::run_within(format, patience, move |deadline| office::extract(format, bytes, deadline, &inner))?,
        Format::Epub => guard::run_within(format, patience, move |_| epub::extract(bytes))?,
        Format::Email => guard::run_within(format, patience, move |deadline| mail::extract(&bytes, deadline, &inner))?,
        Format::Mbox => guard::run_within(format, patience, move |deadline| mail::extract_all(&bytes, deadline, &inner))?,
        Format::Notebook => guard::run_within(format, patience, move |_| notebook::extract(bytes))?,
        #[cfg(not(all(feature = "office", feature = "pdf")))]
        left_out => return Err(ParseError::left_out(left_out)),
    };
    extracted.checked(format).map(Parsed::from)
}

fn detect(hint: Hint<'_>, bytes: Vec<u8>) -> Result<(Format, Vec<u8>), ParseError> {
    let guess = format::guess_of(hint);
    if !bytes.starts_with(container::MAGIC) {
        return Ok((detect::detect(guess, &bytes)?, bytes));
    }
    // Which container it is, its directory tells; reading that is for the guard too.
    let named = match guess {
        Guess::Known(format) => format,
        _ => Format::Docx,
    };
    guard::run(named, move |_| Ok((detect::detect(guess, &bytes)?, bytes)))
}
