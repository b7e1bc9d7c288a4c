//! `SentencePiece`'s unigram tokenizer: the likeliest way to put a text together from the pieces of a vocabulary.
//!
//! Source: Kudo 2018, arXiv:1804.10959, and the behaviour of `sentencepiece` 0.2: a character that no piece of one character
//! covers is unknown at ten below the worst score, neighbours that are unknown are one token, and of equal scores the one that
//! starts earlier counts. Not by `tokenizers`, whose vocabulary is a tree of hash maps:
//! of 250,000 pieces that takes 1.5 s of CPU to load.

use hashbrown::HashTable;
use rustc_hash::{FxHashMap, FxHasher};
use std::hash::Hasher as _;

use super::encoder::Tokenise;
use super::normal::Normaliser;
use crate::providers::ProviderError;

/// How much worse than the worst piece an unknown character is.
const UNKNOWN_PENALTY: f32 = 10.0;

/// A piece of the vocabulary.
#[derive(Debug, Clone, Copy)]
pub(super) struct Piece<'a> {
    pub(super) text: &'a str,
    pub(super) score: f32,
    /// Whether text can become it: not so the marks of start, end and padding.
    pub(super) ordinary: bool,
}

/// The ids of pieces with a meaning of their own.
#[derive(Debug, Clone, Copy)]
pub(super) struct Special {
    pub(super) start: u32,
    pub(super) end: u32,
    pub(super) unknown: u32,
}

/// A vocabulary and what is done to a text before it is cut.
#[derive(Debug)]
pub(super) struct Unigram {
    normaliser: Normaliser,
    special: Special,
    unknown_score: f32,
    /// All pieces, one after the other.
    text: String,
    /// Where in `text` each piece starts, and the end of the last.
    starts: Vec<usize>,
    scores: Vec<f32>,
    /// Ids by the characters of the piece.
    ids: HashTable<u32>,
    /// Characters of the longest piece that starts with this one.
    longest: FxHashMap<char, u8>,
}

/// The best way to a place between two characters.
#[derive(Clone, Copy)]
struct Best {
    score: f32,
    /// The place at which its last piece starts.
    from: usize,
    piece: u32,
}

impl Unigram {
    pub(super) fn new<'a>(normaliser: Normaliser, special: Special, pieces: impl ExactSizeIterator<Item = Piece<'a>>) -> Self {
        let mut new = Self {
            normaliser,
            special,
            unknown_score: 0.0,
            text: String::with_capacity(pieces.len() * 10),
            starts: Vec::with_capacity(pieces.len() + 1),
            scores: Vec::with_capacity(pieces.len()),
            ids: HashTable::with_capacity(pieces.len()),
            longest: FxHashMap::default(),
        };
        let mut worst = f32::INFINITY;
        for (id, piece) in (0..).zip(pieces) {
            new.starts.push(new.text.len());
            new.scores.push(piece.score);
            new.text.push_str(piece.text);
            if !piece.ordinary {
                continue;
            }
            worst = worst.min(piece.score);
            let mut hasher = FxHasher::default();
            let mut length = 0_usize;
            for c in piece.text.chars() {
                hasher.write_u32(u32::from(c));
                length += 1;
            }
            let Some(first) = piece.text.chars().next() else { continue };
            let length = u8::try_from(length).unwrap_or(u8::MAX);
            new.longest.entry(first).and_modify(|longest| *longest = length.max(*longest)).or_insert(length);
            // All hashes that growing asks for were computed: there is room for all.
            new.ids.insert_unique(hasher.finish(), id, |_| 0);
        }
        new.starts.push(new.text.len());
        new.unknown_score = worst - UNKNOWN_PENALTY;
        new
    }

    /// Pieces in all.
    pub(super) fn size(&self) -> usize {
        self.scores.len()
    }

    /// The likeliest pieces, the last first.
    fn pieces(&self, text: &str) -> Vec<u32> {
        // Where each character starts, and the end.
        let places: Vec<usize> = text.char_indices().map(|(at, _)| at).chain([text.len()]).collect();
        let nowhere = Best { score: f32::NEG_INFINITY, from: 0, piece: self.special.unknown };
        let mut best = vec![nowhere; places.len()];
        if let Some(start) = best.first_mut() {
            start.score = 0.0;
        }
        for (at, start) in places.iter().enumerate() {
            let rest = text.get(*start..).unwrap_or_default();
            let Some(first) = rest.chars().next() else { break };
            let so_far = best.get(at).map_or(0.0, |best| best.score);
            let longest = self.longest.get(&first).copied().map_or(0, usize::from);
            let mut hasher = FxHasher::default();
            let mut alone = false;
            for (length, (_, c)) in (1..=longest).zip(rest.char_indices()) {
                hasher.write_u32(u32::from(c));
                let Some(end) = places.get(at + length) else { break };
                let Some(part) = text.get(*start..*end) else { break };
                let Some(id) = self.ids.find(hasher.finish(), |id| self.piece(*id) == part) else { continue };
                alone |= length == 1;
                let score = so_far + self.scores.get(*id as usize).copied().unwrap_or(f32::NEG_INFINITY);
                improve(&mut best, at + length, Best { score, from: at, piece: *id });
            }
            if !alone {
                let score = so_far + self.unknown_score;
                improve(&mut best, at + 1, Best { score, from: at, piece: self.special.unknown });
            }
        }
        let mut pieces = Vec::new();
        let mut at = places.len() - 1;
        while at > 0 {
            let Some(last) = best.get(at) else { break };
            // Neighbours that are unknown are one token.
            if last.piece != self.special.unknown || pieces.last() != Some(&last.piece) {
                pieces.push(last.piece);
            }
            at = last.from;
        }
        pieces
    }

    fn piece(&self, id: u32) -> &str {
        let id = id as usize;
        let range = self.starts.get(id).zip(self.starts.get(id + 1));
        range.and_then(|(start, end)| self.text.get(*start..*end)).unwrap_or_default()
    }
}

impl Tokenise for Unigram {
    /// The ids of a text, between those of start and end.
    fn tokens(&self, text: &str) -> Result<Vec<u32>, ProviderError> {
        let text = self.normaliser.apply(text);
        let mut tokens = self.pieces(&text);
        tokens.push(self.special.start);
        tokens.reverse();
        tokens.push(self.special.end);
        Ok(tokens)
    }
}

fn improve(best: &mut [Best], at: usize, candidate: Best) {
    if let Some(best) = best.get_mut(at)
        && candidate.score > best.score
    {
        *best = candidate;
    }
}
