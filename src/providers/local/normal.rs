//! What `SentencePiece` does to a text before it cuts it: characters replaced, blanks made one and shown.

use rustc_hash::FxHashMap;
use unicode_normalization::{IsNormalized, UnicodeNormalization as _, is_nfc_quick};

/// Stands for a blank, and before the first word.
const BLANK: char = '▁';

/// The replacements.
#[derive(Debug)]
pub(super) enum Replacements {
    /// By characters.
    Characters(FxHashMap<char, Box<str>>),
    /// By the longest match.
    Charsmap(Charsmap),
}

/// Replaces characters, then blanks.
#[derive(Debug)]
pub(super) struct Normaliser(pub(super) Replacements);

impl Normaliser {
    /// A text of words that each have [`BLANK`] before them.
    pub(super) fn apply(&self, text: &str) -> String {
        let mut words = Words { text: String::with_capacity(text.len() * 5 / 4 + 3), between: true };
        match &self.0 {
            Replacements::Characters(map) => {
                let mut replaced = String::with_capacity(text.len());
                for c in text.chars() {
                    match map.get(&c) {
                        Some(instead) => replaced.push_str(instead),
                        None => replaced.push(c),
                    }
                }
                // The table knows single characters alone: marks above and below letters are joined to them here.
                match is_nfc_quick(replaced.chars()) {
                    IsNormalized::Yes => words.extend(&replaced),
                    _ => replaced.nfc().for_each(|c| words.push(c)),
                }
            }
            Replacements::Charsmap(map) => {
                let mut rest = text;
                while let Some(c) = rest.chars().next() {
                    let (instead, length) = map.longest(rest);
                    match instead {
                        Some(instead) => words.extend(instead),
                        None => words.push(c),
                    }
                    rest = rest.get(length.max(1)..).unwrap_or_default();
                }
            }
        }
        let Words { mut text, .. } = words;
        // What the text itself says of blanks that are shown counts for blanks at its end, too.
        text.truncate(text.trim_end_matches(BLANK).len());
        text
    }
}

/// A text whose blanks are made one.
struct Words {
    text: String,
    /// Whether a word has ended, or none has begun.
    between: bool,
}

impl Words {
    fn push(&mut self, c: char) {
        if c == ' ' {
            self.between = true;
            return;
        }
        if std::mem::take(&mut self.between) {
            self.text.push(BLANK);
        }
        self.text.push(c);
    }

    fn extend(&mut self, text: &str) {
        text.chars().for_each(|c| self.push(c));
    }
}

/// `SentencePiece`'s compiled replacements: a trie of the texts that are replaced, as a double array, then the replacements, each
/// ended by a zero byte.
///
/// A node is one number: its lowest byte is the label (the byte that leads to it), bit 8 says that a text ends here, bits 10 to 30
/// are the distance to its children, shifted by 8 more where bit 9 is set; bit 31 marks the values. Source: Yata, darts-clone, as
/// `sentencepiece` reads it.
#[derive(Debug)]
pub(super) struct Charsmap {
    nodes: Vec<u32>,
    replacements: String,
}

impl Charsmap {
    /// `None` where the bytes are none.
    pub(super) fn read(bytes: &[u8]) -> Option<Self> {
        let (size, rest) = bytes.split_first_chunk::<4>()?;
        let (nodes, replacements) = rest.split_at_checked(u32::from_le_bytes(*size) as usize)?;
        let nodes = nodes.as_chunks::<4>().0.iter().map(|node| u32::from_le_bytes(*node)).collect();
        Some(Self { nodes, replacements: String::from_utf8(replacements.to_vec()).ok()? })
    }

    /// What the longest start of the text that has a replacement is replaced by, and its length; where none has one, the length
    /// of the first character.
    fn longest(&self, text: &str) -> (Option<&str>, usize) {
        let mut found = (None, text.chars().next().map_or(0, char::len_utf8));
        let node = |at: usize| self.nodes.get(at).copied();
        let Some(root) = node(0) else { return found };
        let mut at = children(root);
        for (length, byte) in (1..).zip(text.bytes()) {
            at ^= usize::from(byte);
            let Some(unit) = node(at).filter(|unit| unit & 0x8000_00ff == u32::from(byte)) else { break };
            at ^= children(unit);
            if unit & 0x100 != 0
                && let Some(value) = node(at)
                && let Some(rest) = self.replacements.get((value & 0x7fff_ffff) as usize..)
                && text.is_char_boundary(length)
            {
                found = (rest.split('\0').next(), length);
            }
        }
        found
    }
}

fn children(unit: u32) -> usize {
    ((unit >> 10) << ((unit & 0x200) >> 6)) as usize
}
