//! A question and a passage as one sequence, and a long passage as several.
//!
//! What a pair looks like is asked of the tokenizer itself: `[CLS] question [SEP] passage [SEP]` for BERT, with types, and
//! `<s> question </s></s> passage </s>` for XLM-R, without.

use std::ops::Range;

use tokenizers::{Encoding, PostProcessor as _, Tokenizer};

use super::encoder::Tokenise as _;
use super::failure::PROVIDER;
use super::sequence::Sequence;
use super::unigram::Unigram;
use super::xlm_roberta::{self, XlmRoberta};
use crate::providers::{ErrorKind, ProviderError};

type Problem = Box<dyn std::error::Error + Send + Sync>;

/// A question and a passage, or a part of one, as a cross-encoder reads them.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Pair {
    /// The passage's number.
    pub(super) passage: usize,
    ids: Vec<u32>,
    first_type: usize,
}

impl Sequence for Pair {
    fn ids(&self) -> &[u32] {
        &self.ids
    }

    fn first_type(&self) -> usize {
        self.first_type
    }
}

/// What cuts texts.
#[derive(Debug)]
enum Pieces {
    Any(Box<Tokenizer>),
    Unigram(Box<Unigram>),
}

impl Pieces {
    /// Tokens that there are.
    fn size(&self) -> usize {
        match self {
            Self::Any(tokenizer) => tokenizer.get_vocab_size(true),
            Self::Unigram(unigram) => unigram.size(),
        }
    }

    /// The tokens of a text, and no others.
    fn of(&self, text: &str) -> Result<Vec<u32>, ProviderError> {
        match self {
            Self::Any(tokenizer) => {
                let encoding = tokenizer.encode_fast(text, false).map_err(|e| {
                    ProviderError::new(PROVIDER, ErrorKind::InvalidInput, "the text cannot be tokenised").caused_by(e)
                })?;
                Ok(encoding.get_ids().to_vec())
            }
            Self::Unigram(unigram) => {
                // Between those of start and end.
                let mut tokens = unigram.tokens(text)?;
                tokens.pop();
                tokens.drain(..tokens.len().min(1));
                Ok(tokens)
            }
        }
    }
}

/// What makes pairs.
#[derive(Debug)]
pub(super) struct Pairing {
    pieces: Pieces,
    before: Vec<u32>,
    between: Vec<u32>,
    after: Vec<u32>,
    /// How many of `between` are of the first type, as all before them are; `None`: all tokens are.
    types: Option<usize>,
    /// Tokens that the question and a part of the passage may have together.
    room: usize,
}

impl Pairing {
    /// Reads a tokenizer.json. `longest`: tokens of a sequence, at most.
    pub(super) fn read(tokenizer: &[u8], longest: usize) -> Result<Self, Problem> {
        if let Some(XlmRoberta { unigram, before, between, after }) = xlm_roberta::read(tokenizer) {
            return Self { pieces: Pieces::Unigram(Box::new(unigram)), before, between, after, types: None, room: 0 }
                .within(longest);
        }
        let mut tokenizer = parsed(tokenizer)?;
        // Some files ask for cutting and padding; this does neither.
        tokenizer.with_truncation(None)?;
        tokenizer.with_padding(None);
        let text = |text| tokenizer.encode_fast(text, false);
        let (question, passage) = (text("question")?, text("passage")?);
        let (asked, told) = (question.len(), passage.len());
        let pair = match tokenizer.get_post_processor() {
            Some(processor) => processor.process(question, Some(passage), true)?,
            None => return Err("the tokenizer does not say how a pair of texts is put together".into()),
        };
        Self::of(tokenizer, &pair, (asked, told), longest)
    }

    /// By the example of a pair whose texts have so many tokens.
    fn of(tokenizer: Tokenizer, pair: &Encoding, (asked, told): (usize, usize), longest: usize) -> Result<Self, Problem> {
        let odd = || Problem::from("the tokenizer puts pairs of texts together in a way that is not known");
        let (ids, types, marks) = (pair.get_ids(), pair.get_type_ids(), pair.get_special_tokens_mask());
        let mut texts = marks.iter().enumerate().filter(|(_, mark)| **mark == 0).map(|(at, _)| at);
        let start = texts.next().ok_or_else(odd)?;
        let second = texts.nth(asked.saturating_sub(1)).ok_or_else(odd)?;
        let part = |range: Range<usize>| ids.get(range).map(<[u32]>::to_vec).ok_or_else(odd);
        let (before, between, after) = (part(0..start)?, part(start + asked..second)?, part(second + told..ids.len())?);
        let first_type = types.iter().take_while(|kind| **kind == 0).count();
        let in_order = types.iter().skip(first_type).all(|kind| *kind == 1);
        let types = if first_type == ids.len() { None } else { Some(first_type.checked_sub(start + asked).ok_or_else(odd)?) };
        if before.len() + asked + between.len() + told + after.len() != ids.len()
            || !in_order
            || types.is_some_and(|types| types > between.len())
        {
            return Err(odd());
        }
        Self { pieces: Pieces::Any(Box::new(tokenizer)), before, between, after, types, room: 0 }.within(longest)
    }

    /// With room in sequences of so many tokens.
    fn within(self, longest: usize) -> Result<Self, Problem> {
        let room = longest.saturating_sub(self.before.len() + self.between.len() + self.after.len());
        if room < LEAST {
            return Err(format!("a sequence of {longest} tokens holds no pair of texts").into());
        }
        Ok(Self { room, ..self })
    }

    /// Whether an encoder can read what this makes.
    pub(super) fn suits(&self, fits: impl FnOnce(usize) -> bool, has_types: bool) -> bool {
        fits(self.pieces.size()) && (has_types || self.types.is_none())
    }

    /// All pairs of a question with these passages.
    pub(super) fn pairs(&self, question: &str, passages: &[String]) -> Result<Vec<Pair>, ProviderError> {
        let question = self.pieces.of(question)?;
        let mut pairs = Vec::with_capacity(passages.len());
        for (number, passage) in passages.iter().enumerate() {
            let passage = self.pieces.of(passage)?;
            let (asked, windows) = windows(question.len(), passage.len(), self.room);
            let question = question.get(..asked).unwrap_or_default();
            let first_type = self.types.map_or(usize::MAX, |types| self.before.len() + asked + types);
            pairs.extend(windows.into_iter().map(|window| {
                let part = passage.get(window).unwrap_or_default();
                let ids = [&self.before, question, &self.between, part, &self.after].concat();
                Pair { passage: number, ids, first_type }
            }));
        }
        Ok(pairs)
    }
}

/// Reads a file that is JSON, which `tokenizers` takes for granted here and there; a panic of its own is an error, too.
fn parsed(tokenizer: &[u8]) -> Result<Tokenizer, Problem> {
    let _: serde::de::IgnoredAny = serde_json::from_slice(tokenizer)?;
    std::panic::catch_unwind(|| Tokenizer::from_bytes(tokenizer))
        .unwrap_or_else(|_| Err("the tokenizer is none that is known here".into()))
}

/// Fewer tokens than this are no room for two texts.
const LEAST: usize = 8;

/// How many tokens of a question are read, and which of a passage at a time, where both together may have `room`.
///
/// A pair that is too long is cut as `CrossEncoder` of sentence-transformers does, the longer text first: so a question is whole
/// unless it takes more than half. Of the passage nothing is lost: windows as wide as the room follow each other, a fourth or more
/// of each also in the one before, the first at the start, the last at the end.
fn windows(question: usize, passage: usize, room: usize) -> (usize, Vec<Range<usize>>) {
    let half = usize::midpoint(room, usize::from(question > passage));
    let asked = question.min(room.saturating_sub(passage).max(half));
    let width = room - asked;
    if passage <= width {
        return (asked, std::iter::once(0..passage).collect());
    }
    let beyond = passage - width;
    let count = beyond.div_ceil((width - width / 4).max(1));
    (asked, (0..=count).map(|n| n * beyond / count).map(|start| start..start + width).collect())
}

#[cfg(test)]
#[allow(clippy::indexing_slicing, clippy::unwrap_used, reason = "tests")]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn every_token_of_a_passage_is_in_a_window(
            question in 0_usize..200,
            passage in 0_usize..2000,
            room in LEAST..600,
        ) {
            let (asked, windows) = windows(question, passage, room);
            prop_assert!(asked <= question);
            prop_assert_eq!(asked == question, question <= room / 2 || question + passage <= room || (question > passage && question == room.div_ceil(2)));
            prop_assert_eq!((windows[0].start, windows[windows.len() - 1].end), (0, passage));
            for window in &windows {
                prop_assert!(asked + window.len() <= room);
                prop_assert!(windows.len() == 1 || asked + window.len() == room);
            }
            for pair in windows.windows(2) {
                let shared = pair[0].end - pair[1].start;
                prop_assert!(pair[0].start < pair[1].start && shared >= pair[0].len() / 4);
            }
            // Not more of them than it takes.
            let step = windows[0].len() - windows[0].len() / 4;
            prop_assert!(windows.len() == 1 || (windows.len() - 2) * step < passage - windows[0].len());
        }
    }

    #[test]
    fn what_fits_is_one_window() {
        let one = |window: Range<usize>| Vec::from_iter([window]);
        assert_eq!(windows(5, 7, 12), (5, one(0..7)));
        assert_eq!(windows(5, 0, 12), (5, one(0..0)));
        assert_eq!(windows(0, 12, 12), (0, one(0..12)));
        assert_eq!(windows(40, 3, 12), (9, one(0..3)));
        assert_eq!(windows(4, 10, 12), (4, vec![0..8, 2..10]));
        assert_eq!(windows(20, 20, 12), (6, vec![0..6, 4..10, 9..15, 14..20]));
    }
}
