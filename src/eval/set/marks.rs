//! The parts of documents that a set marks as answers: where they lie, and whether they say what is to be there.

use std::collections::HashMap;
use std::fs;
use std::path::{Component, Path};

use serde::Deserialize;

use crate::eval::spans::Span;
use crate::parse::{Hint, parse};

/// A part of a document, by its bytes or by what it says.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub struct SpanLine {
    /// The document's path below the corpus.
    pub document: String,
    /// The first byte of the extracted text, as `search --json` counts it.
    #[serde(default)]
    pub start: Option<u64>,
    /// The byte after the last.
    #[serde(default)]
    pub end: Option<u64>,
    /// The part itself. Where no bytes are given it has to stand there once; else those bytes have to be it.
    #[serde(default)]
    pub text: Option<String>,
}

/// The texts of documents in which answers are marked, each read once.
pub(super) struct Texts<'a> {
    pub(super) corpus: Option<&'a Path>,
    pub(super) read: HashMap<String, Result<String, String>>,
}

impl Texts<'_> {
    /// Where the part lies; `None` where there is no corpus to look into, which is a fault of its own.
    pub(super) fn span(&mut self, line: SpanLine) -> Result<Option<Span>, String> {
        let SpanLine { document, start, end, text } = line;
        let Some(corpus) = self.corpus else { return Ok(None) };
        if !holds(corpus, &document) {
            return Err(format!("`{document}` is no file of the corpus"));
        }
        let read = self.read.entry(document.clone()).or_insert_with(|| {
            let bytes = fs::read(corpus.join(&document)).map_err(|error| error.to_string())?;
            Ok(parse(Hint::name(&document), bytes).map_err(|error| error.to_string())?.text)
        });
        let whole = read.as_ref().map_err(|error| format!("`{document}` cannot be read: {error}"))?;
        let bytes = match (start, end, text) {
            (Some(start), Some(end), _) if start >= end => {
                return Err(format!("a span of `{document}` begins at {start} and ends at {end}"));
            }
            (Some(start), Some(end), text) => {
                marked(whole, start, end, text.as_deref()).map_err(|what| format!("a span of `{document}` {what}"))?;
                start..end
            }
            (_, _, Some(part)) if !part.trim().is_empty() => {
                let part = part.trim();
                let mut places = whole.match_indices(part).map(|(place, _)| place as u64);
                match (places.next(), places.count()) {
                    (Some(place), 0) => place..place + part.len() as u64,
                    (None, _) => return Err(format!("`{document}` does not say \"{}\"", beginning(part))),
                    (Some(_), more) => {
                        let times = more + 1;
                        return Err(format!("`{document}` says \"{}\" {times} times: give `start` and `end`", beginning(part)));
                    }
                }
            }
            _ => return Err(format!("a span of `{document}` needs `start` and `end`, or `text`")),
        };
        Ok(Some(Span { document, bytes }))
    }
}

/// Whether these bytes are a part of a document, and say what is to be there: who counts characters where bytes are wanted is told so,
/// and does not measure something else.
fn marked(whole: &str, start: u64, end: u64, text: Option<&str>) -> Result<(), String> {
    let bytes = usize::try_from(start).unwrap_or(usize::MAX)..usize::try_from(end).unwrap_or(usize::MAX);
    if bytes.end > whole.len() {
        return Err(format!("ends at {end}, and its text has {} bytes", whole.len()));
    }
    let part = whole.get(bytes).ok_or_else(|| {
        format!("from {start} to {end} begins or ends within a character: bytes of the text are counted, not characters")
    })?;
    match text.map(str::trim).filter(|text| !text.is_empty() && *text != part.trim()) {
        Some(text) => {
            let (said, wanted) = (beginning(part.trim()), beginning(text));
            Err(format!("from {start} to {end} is \"{said}\", not \"{wanted}\": bytes of the text are counted, not characters"))
        }
        None => Ok(()),
    }
}

/// Whether a file of the corpus is called so, as search names it: `./a.md` is no document's name, and `../a.md` none of the corpus.
pub(super) fn holds(corpus: &Path, document: &str) -> bool {
    let names: Option<Vec<&str>> = Path::new(document)
        .components()
        .map(|part| if let Component::Normal(name) = part { name.to_str() } else { None })
        .collect();
    names.is_some_and(|names| names.join("/") == document) && corpus.join(document).is_file()
}

/// Enough of a text to know it by.
fn beginning(text: &str) -> String {
    let mut kept: String = text.chars().take(60).map(|c| if c.is_whitespace() { ' ' } else { c }).collect();
    if kept.len() < text.len() {
        kept.push('…');
    }
    kept
}
