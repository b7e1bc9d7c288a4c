//! What a model is shown of a document around a chunk: all of it, or its beginning and the stretch that the chunk is in.
//!
//! Chunks of one stretch share their window byte for byte, and it comes first in the prompt: so a provider that keeps the beginnings of
//! prompts reads it once. The beginning is shown with every stretch since it is what says which document this is.

use std::ops::Range;

use super::prefix::Prefix;
use crate::document::Chunk;

/// The share of a window that is the document's beginning, where not all of it fits.
const BEGINNING: u64 = 4;

/// A window.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::ingest) struct Window {
    /// The document's beginning; empty where the stretch begins with it.
    beginning: Range<usize>,
    stretch: Range<usize>,
    /// Tokens of both, about.
    pub tokens: u64,
    /// Where more than one request is to begin with it.
    pub prefix: Option<Prefix>,
}

impl Window {
    fn new(stretch: Range<usize>, tokens: u64) -> Self {
        Self { beginning: 0..0, stretch, tokens, prefix: None }
    }

    /// What is shown. Between its parts stands what says that something is left out.
    pub fn text(&self, document: &str) -> String {
        let part = |range: &Range<usize>| document.get(range.clone()).unwrap_or_default().trim();
        let (beginning, stretch) = (part(&self.beginning), part(&self.stretch));
        if beginning.is_empty() { stretch.to_owned() } else { format!("{beginning}\n\n[…]\n\n{stretch}") }
    }
}

/// The windows of a document, ascending, each with the first of its chunks.
#[derive(Debug, Default)]
pub(in crate::ingest) struct Windows(Vec<(usize, Window)>);

impl Windows {
    /// For these chunks of a text, in windows of at most so many tokens. None where there are no two chunks: the only one of a document
    /// is all of it, and stands nowhere.
    pub fn of(text: &str, chunks: &[Chunk], limit: usize) -> Self {
        if chunks.len() < 2 {
            return Self::default();
        }
        let limit = limit.max(1) as u64;
        let tokens = |chunk: &Chunk| u64::from(chunk.tokens);
        let all: u64 = chunks.iter().map(tokens).sum();
        if all <= limit {
            return Self(vec![(0, Window::new(0..text.len(), all))]);
        }
        let (beginning, taken) = beginning(text, chunks, limit / BEGINNING);
        let room = (limit - taken).max(1);
        // As many stretches as it takes, and none much shorter than the others.
        let stretches = all.div_ceil(room);
        let share = all.div_ceil(stretches.max(1));
        let mut windows: Vec<(usize, Window)> = Vec::new();
        for (index, chunk) in chunks.iter().enumerate() {
            let size = tokens(chunk);
            match windows.last_mut() {
                Some((_, window)) if window.tokens < share && window.tokens + size <= room => {
                    window.stretch.end = chunk.span.end;
                    window.tokens += size;
                }
                _ => windows.push((index, Window { beginning: beginning.clone(), ..Window::new(chunk.span.clone(), size) })),
            }
        }
        for (_, window) in &mut windows {
            // A chunk that is larger than the window by itself.
            window.stretch = first(text, window.stretch.clone(), window.tokens, room);
            window.tokens = window.tokens.min(room);
            // All but the first one come after something of the beginning.
            window.tokens += if window.stretch.start == beginning.start { 0 } else { taken };
            if window.stretch.start < beginning.end {
                (window.beginning, window.stretch.start) = (0..0, 0);
            }
        }
        Self(windows)
    }

    /// That a model is to be asked of these chunks, which ascend.
    #[must_use]
    pub fn asked_of(mut self, chunks: impl IntoIterator<Item = usize>) -> Self {
        let mut chunks = chunks.into_iter().peekable();
        let ends: Vec<usize> = self.0.iter().skip(1).map(|(first, _)| *first).chain([usize::MAX]).collect();
        for ((_, window), end) in self.0.iter_mut().zip(ends) {
            let asked = std::iter::from_fn(|| chunks.next_if(|chunk| *chunk < end)).count();
            window.prefix = (asked > 1).then(Prefix::default);
        }
        self
    }

    /// Whether chunks of this document are situated.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The window of a chunk.
    pub fn of_chunk(&self, index: usize) -> Option<&Window> {
        let after = self.0.partition_point(|(first, _)| *first <= index);
        self.0.get(after.checked_sub(1)?).map(|(_, window)| window)
    }
}

/// The document's first chunks of at most so many tokens, or as much of the first one, and the tokens of that.
fn beginning(text: &str, chunks: &[Chunk], limit: u64) -> (Range<usize>, u64) {
    let (mut end, mut taken) = (0, 0);
    for chunk in chunks {
        let tokens = u64::from(chunk.tokens);
        if taken + tokens > limit {
            if taken == 0 {
                end = first(text, 0..chunk.span.end, tokens, limit).end;
                taken = limit;
            }
            break;
        }
        (end, taken) = (chunk.span.end, taken + tokens);
    }
    (0..end, taken)
}

/// Of a stretch of `tokens` the first `limit`, about.
fn first(text: &str, stretch: Range<usize>, tokens: u64, limit: u64) -> Range<usize> {
    if tokens <= limit {
        return stretch;
    }
    let bytes = (stretch.len() as u64).saturating_mul(limit) / tokens.max(1);
    stretch.start..text.floor_char_boundary(stretch.start + bytes as usize).max(stretch.start)
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::string_slice, reason = "a failing test may panic")]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// Chunks of these tokens over a text of four bytes a token, without gaps.
    fn chunks(tokens: &[u32]) -> (String, Vec<Chunk>) {
        let mut text = String::new();
        let mut chunks = Vec::new();
        for (index, tokens) in tokens.iter().enumerate() {
            let start = text.len();
            text.push_str(&"字a".repeat(*tokens as usize));
            chunks.push(Chunk {
                index: index as u32,
                span: start..text.len(),
                lines: (1, 1),
                headings: Vec::new(),
                columns: None,
                page: None,
                anchor: None,
                tokens: *tokens,
            });
        }
        (text, chunks)
    }

    #[test]
    fn a_short_document_is_shown_whole_and_its_only_chunk_not_at_all() {
        let (text, all) = chunks(&[10, 20]);
        let windows = Windows::of(&text, &all, 30);
        assert_eq!(windows.of_chunk(0).unwrap().text(&text), text);
        assert_eq!(windows.of_chunk(1), windows.of_chunk(0));
        let (text, one) = chunks(&[10]);
        assert!(Windows::of(&text, &one, 30).is_empty() && Windows::of(&text, &one, 30).of_chunk(0).is_none());
    }

    #[test]
    fn of_a_long_one_the_beginning_comes_with_each_stretch() {
        let (text, all) = chunks(&[10; 20]);
        let windows = Windows::of(&text, &all, 80);
        let window = windows.of_chunk(19).unwrap().text(&text);
        assert!(window.starts_with(&text[..80]) && window.contains("[…]") && window.ends_with(&text[text.len() - 40..]));
        assert!(!windows.of_chunk(0).unwrap().text(&text).contains("[…]"), "it begins there");
        assert_eq!(windows.0.len(), 4, "{windows:?}");
    }

    #[test]
    fn requests_share_a_window_that_two_of_them_begin_with() {
        let (text, all) = chunks(&[10; 20]);
        let windows = Windows::of(&text, &all, 80).asked_of([0, 1, 7, 18, 19]);
        let shares = |index| windows.of_chunk(index).unwrap().prefix.clone();
        assert!(shares(0).is_some() && shares(0) == shares(1), "{windows:?}");
        assert!(shares(18).is_some() && shares(18) == shares(19) && shares(18) != shares(0));
        assert_eq!(shares(7), None, "alone");
        assert_eq!(windows.0.iter().filter(|(_, window)| window.prefix.is_some()).count(), 2);
        let none = Windows::of(&text, &all, 80).asked_of([]);
        assert!(none.0.iter().all(|(_, window)| window.prefix.is_none()));
    }

    proptest! {
        #[test]
        fn every_chunk_is_in_its_window_and_no_window_is_too_large(
            tokens in prop::collection::vec(1_u32..60, 2..40),
            limit in 60_usize..300,
        ) {
            let (text, all) = chunks(&tokens);
            let windows = Windows::of(&text, &all, limit);
            for (index, chunk) in all.iter().enumerate() {
                let window = windows.of_chunk(index).unwrap();
                let shown = window.text(&text);
                // A chunk above what the beginning leaves is cut, and no other.
                let room = limit as u64 - limit as u64 / 4;
                if u64::from(chunk.tokens) <= room {
                    prop_assert!(window.stretch.start <= chunk.span.start && chunk.span.end <= window.stretch.end);
                    prop_assert!(shown.contains(&text[chunk.span.clone()]));
                }
                prop_assert!(window.tokens <= limit as u64);
                prop_assert!(shown.len() <= limit * 4 + "\n\n[…]\n\n".len(), "{} of {limit}", shown.len());
            }
        }
    }
}
