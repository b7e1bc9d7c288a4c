//! What can be set for reading documents.

use std::fmt;
use std::time::Duration;

/// How documents are read. The default is what [`parse`](super::parse) does: no passwords, no OCR.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct ParseOptions {
    /// Tried in turn on documents that do not open without one.
    pub passwords: Vec<Password>,
    /// Whether and how scanned pages are read.
    pub ocr: Option<Ocr>,
}

/// A document's password; never shown.
#[derive(Clone, PartialEq, Eq)]
pub struct Password(String);

impl Password {
    /// A password as it is typed.
    pub fn new(password: impl Into<String>) -> Self {
        Self(password.into())
    }

    #[cfg(feature = "pdf")]
    pub(super) fn reveal(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Password {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("***")
    }
}

/// Reading of scanned pages by Tesseract, which has to be installed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Ocr {
    /// The program; looked for on `PATH` if it is a bare name.
    pub program: String,
    /// Tesseract's names of the languages, joined by `+`: `eng`, `eng+chi_sim`.
    pub languages: String,
    /// What one page may take; at least what is left of the document's own time applies as well.
    pub timeout: Duration,
}

impl Default for Ocr {
    fn default() -> Self {
        Self { program: "tesseract".to_owned(), languages: "eng+chi_sim".to_owned(), timeout: Duration::from_secs(60) }
    }
}
