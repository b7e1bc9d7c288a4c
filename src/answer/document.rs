//! A document's text as the index has it: for whoever wants to read on where a passage ends.
//!
//! It is put together from the passages, which are slices of the extracted text: so it is there for every kind of source, without
//! asking the source again, and no path that somebody sends is ever opened.

use std::sync::Arc;

use schemars::JsonSchema;
use serde::Serialize;

use super::answerer::Answerer;
use super::link;
use super::retrieve::Retriever;
use crate::document::Passage;
use crate::error::Error;

/// A document as the index has it.
#[derive(Debug, Clone, PartialEq, Serialize, JsonSchema)]
#[serde(tag = "type", rename = "document")]
#[non_exhaustive]
pub struct Document {
    /// See [`Passage::uri`].
    pub uri: String,
    /// The document's title, if it has one.
    pub title: Option<String>,
    /// The address that opens a page of the web; `None` for other documents.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub link: Option<String>,
    /// Its modification time, in seconds since the Unix epoch; 0 where it is not known.
    pub modified: i64,
    /// Its language as ISO 639-1, if it is known.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub lang: Option<String>,
    /// Its text, in order. Between two parts stands what no passage holds: white space, or what was left out as furniture.
    pub parts: Vec<Part>,
}

/// A part of a document's text without a gap.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, JsonSchema)]
#[non_exhaustive]
pub struct Part {
    /// Byte offset of the first byte in the extracted text.
    pub start: u64,
    /// Byte offset after the last byte.
    pub end: u64,
    /// First and last line, 1-based, both inclusive.
    pub lines: (u32, u32),
    /// The page that it begins on, where the document has pages.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub page: Option<u32>,
    /// The text.
    pub text: String,
}

impl Answerer {
    /// A document as the index has it; `None` where it has no document of this uri.
    ///
    /// # Errors
    /// What the store says.
    pub async fn document(&self, uri: &str) -> Result<Option<Document>, Error> {
        let read = |retriever: Arc<Retriever>| async move { Ok(Document::of(retriever.store.passages_of(uri).await?)) };
        self.retriever.with(read).await
    }
}

impl Document {
    /// Of passages in the order of the text; `None` of none.
    fn of(passages: Vec<Passage>) -> Option<Self> {
        let first = passages.first()?;
        let mut document = Self {
            uri: first.uri.clone(),
            title: first.title.clone(),
            link: link::link(&first.uri, None, None, ""),
            modified: first.modified,
            lang: first.lang.clone(),
            parts: Vec::new(),
        };
        for passage in passages {
            document.add(passage);
        }
        Some(document)
    }

    fn add(&mut self, passage: Passage) {
        if let Some(last) = self.parts.last_mut()
            && passage.start <= last.end
        {
            if passage.end <= last.end {
                return;
            }
            // Offsets are of bytes, and passages overlap by whole letters.
            let known = usize::try_from(last.end - passage.start).unwrap_or(usize::MAX);
            if let Some(more) = passage.text.get(known..) {
                last.text.push_str(more);
                last.end = passage.end;
                last.lines.1 = last.lines.1.max(passage.lines.1);
                return;
            }
        }
        let Passage { start, end, lines, page, text, .. } = passage;
        self.parts.push(Part { start, end, lines, page, text });
    }

    /// The lines from `first` to `last` (1-based, both inclusive) with their numbers, in order.
    pub fn lines(&self, first: u32, last: u32) -> Vec<(u32, &str)> {
        let mut lines: Vec<(u32, &str)> = Vec::new();
        for part in &self.parts {
            let numbered = (part.lines.0..).zip(part.text.lines());
            for (number, line) in numbered.filter(|(number, _)| (first..=last).contains(number)) {
                // A line that was cut in two, with a gap in between, is shown in two parts.
                lines.push((number, line));
            }
        }
        lines
    }

    /// The last line that is known.
    pub fn last_line(&self) -> u32 {
        self.parts.last().map_or(0, |part| part.lines.1)
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::indexing_slicing, clippy::string_slice, reason = "a failed test panics")]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn passage(text: &str, start: usize, end: usize) -> Passage {
        let line = |at: usize| text.bytes().take(at).filter(|&byte| byte == b'\n').count() as u32 + 1;
        Passage {
            uri: "docs/a.md".into(),
            start: start as u64,
            end: end as u64,
            lines: (line(start), line(end.max(start + 1) - 1)),
            text: text[start..end].into(),
            index: 0,
            title: None,
            headings: Vec::new(),
            columns: None,
            page: None,
            anchor: None,
            context: None,
            modified: 0,
            lang: None,
            source: None,
            metadata: crate::document::Metadata::default(),
        }
    }

    #[test]
    fn overlaps_are_joined_and_gaps_kept() {
        let text = "one\ntwo\nthree\n\n\nfour 四\nfive";
        let passages = [(0, 8), (4, 13), (16, 24), (16, 29)].map(|(start, end)| passage(text, start, end));
        let document = Document::of(passages.into()).unwrap();
        let parts: Vec<_> = document.parts.iter().map(|part| (part.text.as_str(), part.lines)).collect();
        assert_eq!(parts, [("one\ntwo\nthree", (1, 3)), ("four 四\nfive", (6, 7))]);
        assert_eq!(document.lines(3, 6), [(3, "three"), (6, "four 四")]);
        assert_eq!((document.last_line(), Document::of(Vec::new())), (7, None));
    }

    proptest! {
        #[test]
        fn every_part_is_a_slice_of_the_text(text in "[a-z 界\n]{1,80}", cuts in prop::collection::vec((0.0..1.0, 0.0..1.0), 1..8)) {
            let at = |share: f64| text.floor_char_boundary((share * text.len() as f64) as usize);
            let mut ranges: Vec<(usize, usize)> =
                cuts.into_iter().map(|(a, b)| (at(f64::min(a, b)), at(f64::max(a, b)))).filter(|(a, b)| a < b).collect();
            ranges.sort_unstable();
            let document = Document::of(ranges.iter().map(|&(start, end)| passage(&text, start, end)).collect());
            let parts = document.map(|document| document.parts).unwrap_or_default();
            for part in &parts {
                prop_assert_eq!(&text[part.start as usize..part.end as usize], &part.text);
            }
            for (start, end) in ranges {
                prop_assert!(parts.iter().any(|part| part.start <= start as u64 && end as u64 <= part.end), "all of a passage is there");
            }
            prop_assert!(parts.windows(2).all(|pair| pair[0].end < pair[1].start), "in order, without overlap");
        }
    }
}
