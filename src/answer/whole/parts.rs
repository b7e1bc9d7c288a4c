//! Sources packed into parts, each of which one request reads.
//!
//! Where a part ends follows from what stands there (content-defined chunking): a document that comes, goes or grows changes the parts
//! around it, and those behind it are soon the same again. So what was read of them for the same question need not be paid for again.

use crate::answer::source::{self, Source};

/// Sources of a part, at most: what is cited has three digits.
const MOST: usize = 900;
/// One in so many places within a document ends a part that is half full.
const WITHIN: u64 = 8;
/// And one in so many between two documents.
const BETWEEN: u64 = 2;

/// What one request reads.
#[derive(Debug, Clone, PartialEq, Default)]
pub(super) struct Part {
    /// In the order of the documents and their texts, not numbered yet.
    pub(super) sources: Vec<Source>,
    /// Tokens that they take.
    pub(super) tokens: usize,
}

impl Part {
    /// Two halves of it; `None` where there is one source alone.
    pub(super) fn halves(mut self) -> Option<(Self, Self)> {
        if self.sources.len() < 2 {
            return None;
        }
        let second = self.sources.split_off(self.sources.len() / 2);
        let tokens = self.tokens / 2;
        Some((Self { sources: self.sources, tokens }, Self { sources: second, tokens }))
    }
}

/// Packs sources as they come.
#[derive(Debug)]
pub(super) struct Packer {
    budget: usize,
    open: Part,
    /// The document of the source before, and what decides whether a part ends behind it.
    last: Option<(String, u64)>,
}

impl Packer {
    /// Parts of at most `budget` tokens; a source that has more is a part of its own.
    pub(super) fn new(budget: usize) -> Self {
        Self { budget, open: Part::default(), last: None }
    }

    /// Adds a source that takes so many tokens. The part before it, if that ends here.
    pub(super) fn push(&mut self, source: Source, tokens: usize) -> Option<Part> {
        let key = key(&source);
        let before = self.last.replace((source.uri.clone(), key));
        let full = self.open.tokens + tokens > self.budget || self.open.sources.len() >= MOST;
        let ends = before.is_some_and(|(uri, key)| {
            let often = if uri == source.uri { WITHIN } else { BETWEEN };
            self.open.tokens * 2 >= self.budget && key.is_multiple_of(often)
        });
        let ended = ((full || ends) && !self.open.sources.is_empty()).then(|| std::mem::take(&mut self.open));
        self.open.sources.push(source);
        self.open.tokens += tokens;
        ended
    }

    /// The last part, if there is one.
    pub(super) fn finish(self) -> Option<Part> {
        Some(self.open).filter(|part| !part.sources.is_empty())
    }
}

fn key(source: &Source) -> u64 {
    let hash = blake3::hash(source.text.as_bytes());
    hash.as_bytes().first_chunk().map_or(0, |first| u64::from_le_bytes(*first))
}

/// A source in pieces, none of which takes more than `budget` tokens as far as it can be cut.
pub(super) fn cut(source: Source, budget: usize, count: &dyn Fn(&Source) -> usize) -> Vec<(Source, usize)> {
    let (mut pieces, mut rest) = (Vec::new(), source);
    loop {
        let tokens = count(&rest);
        if tokens <= budget {
            pieces.push((rest, tokens));
            return pieces;
        }
        let beginning = source::shrink(&rest, |beginning| count(beginning) <= budget);
        let after = beginning.as_ref().and_then(|beginning| source::without_beginning(&rest, beginning.text.len()));
        if let (Some(beginning), Some(after)) = (beginning, after) {
            let tokens = count(&beginning);
            pieces.push((beginning, tokens));
            rest = after;
        } else {
            pieces.push((rest, tokens));
            return pieces;
        }
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::indexing_slicing, clippy::string_slice, reason = "a failed test panics")]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn source(uri: &str, n: usize) -> Source {
        let text = format!("{uri} says {n}.");
        Source { uri: uri.to_owned(), start: n as u64 * 100, end: (n * 100 + text.len()) as u64, ..sample(&text) }
    }

    fn sample(text: &str) -> Source {
        let lines = (1, 1 + text.matches('\n').count() as u32);
        Source { uri: "a.md".into(), end: text.len() as u64, lines, text: text.to_owned(), ..Source::default() }
    }

    fn packed(sources: &[(Source, usize)], budget: usize) -> Vec<Part> {
        let mut packer = Packer::new(budget);
        let mut parts: Vec<Part> = sources.iter().filter_map(|(source, tokens)| packer.push(source.clone(), *tokens)).collect();
        parts.extend(packer.finish());
        parts
    }

    proptest! {
        #[test]
        fn every_source_is_in_one_part_and_no_part_is_too_large(
            tokens in prop::collection::vec((0_usize..9, 1_usize..60), 0..200),
            budget in 50_usize..400,
        ) {
            let sources: Vec<(Source, usize)> =
                tokens.iter().enumerate().map(|(n, (uri, tokens))| (source(&format!("{uri}.md"), n), *tokens)).collect();
            let parts = packed(&sources, budget);
            let all: Vec<&Source> = parts.iter().flat_map(|part| &part.sources).collect();
            prop_assert_eq!(all, sources.iter().map(|(source, _)| source).collect::<Vec<_>>());
            for part in &parts {
                prop_assert!(part.tokens <= budget || part.sources.len() == 1);
                prop_assert!(!part.sources.is_empty());
            }
        }

        #[test]
        fn a_source_is_cut_into_slices_of_it(text in "[a-z 界。\n]{1,300}", budget in 3_usize..40) {
            let count = |source: &Source| source.text.chars().count();
            let whole = sample(&text);
            let pieces = cut(whole.clone(), budget, &count);
            prop_assert_eq!(pieces.iter().map(|(piece, _)| piece.text.as_str()).collect::<String>(), text.clone());
            for (piece, tokens) in &pieces {
                prop_assert!(*tokens <= budget && *tokens == count(piece));
                prop_assert_eq!(&text[piece.start as usize..piece.end as usize], &piece.text);
                let line = |at: usize| 1 + text[..at].matches('\n').count() as u32;
                prop_assert_eq!(piece.lines.0, line(piece.start as usize));
            }
        }
    }

    #[test]
    fn a_document_that_comes_first_changes_few_parts() {
        let sources: Vec<(Source, usize)> = (0..2000).map(|n| (source(&format!("d{:03}.md", n / 4), n), 100)).collect();
        let before = packed(&sources, 4000);
        let with: Vec<(Source, usize)> = (0..7).map(|n| (source("a.md", n), 100)).chain(sources.iter().cloned()).collect();
        let after = packed(&with, 4000);
        let same = after.iter().filter(|part| before.contains(part)).count();
        assert!(before.len() > 50 && before.len() < 100, "{} parts of 50 that would be full", before.len());
        assert!(after.len() - same <= 6, "{same} of {} parts are as they were", after.len());
    }

    #[test]
    fn halves_are_all_of_it_until_there_is_one() {
        let part = packed(&(0..3).map(|n| (source("a.md", n), 10)).collect::<Vec<_>>(), 100).remove(0);
        let (first, second) = part.clone().halves().unwrap();
        assert_eq!([first.sources.clone(), second.sources].concat(), part.sources);
        assert_eq!(first.halves(), None);
    }
}
