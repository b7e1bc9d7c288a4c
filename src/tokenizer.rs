//! Counts tokens and says where they end: tiktoken's encodings behind a guard that no input panics or slows to a crawl.
//!
//! tiktoken-rs 0.12 runs one backtracking regex over the whole text. On a megabyte of spaces its stack overflows and the
//! error is unwrapped; on long unbroken runs its merge loop falls below 1 MB/s. So a text is fed in segments of at most
//! [`SEGMENT`] bytes, cut only where *every* text has a border between two regex pieces. Neither regex looks behind itself,
//! so encoding from such a border on gives the tokens that the whole text gives; only a run of more than [`SEGMENT`] bytes
//! without any such border (a megabyte of one letter) is cut at a fixed place, and may get a few tokens more.

mod vocabulary;

use std::cell::Cell;
use std::ops::Range;
use std::sync::OnceLock;

use schemars::JsonSchema;
use serde::Deserialize;
use tiktoken_rs::CoreBPE;

use self::vocabulary::Encoding;

/// The longest text that the regex sees at once, in bytes. Ordinary text has a border every few bytes.
const SEGMENT: usize = 16_384;

/// A tokenizer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
#[schemars(title = "tokenizer")]
pub enum TokenizerName {
    /// Of OpenAI's newer models.
    #[default]
    #[serde(rename = "o200k_base")]
    O200kBase,
    /// Of OpenAI's older models, embeddings among them.
    #[serde(rename = "cl100k_base")]
    Cl100kBase,
}

/// One of tiktoken's encodings.
pub struct Tokenizer {
    bpe: CoreBPE,
    /// Token id → its length in bytes; both vocabularies' longest token has 128.
    lengths: Vec<u8>,
}

impl Tokenizer {
    /// The tokenizer of that name. The first call for a name loads its vocabulary (some 0.2 s of CPU time): make it off
    /// the runtime.
    pub fn get(name: TokenizerName) -> &'static Self {
        static O200K: OnceLock<Tokenizer> = OnceLock::new();
        static CL100K: OnceLock<Tokenizer> = OnceLock::new();
        match name {
            TokenizerName::O200kBase => O200K.get_or_init(|| Self::new(&vocabulary::O200K_BASE)),
            TokenizerName::Cl100kBase => CL100K.get_or_init(|| Self::new(&vocabulary::CL100K_BASE)),
        }
    }

    fn new(encoding: &Encoding) -> Self {
        let (bpe, lengths) = encoding.unpacked();
        Self { bpe, lengths }
    }

    /// How many tokens `text` has, special tokens read as ordinary text.
    pub fn count(&self, text: &str) -> usize {
        segments(text).map(|segment| self.encode(text, segment.range).len()).sum()
    }

    /// How many tokens `text` has, or `None` when there are more than `limit`. Stops as soon as that is known.
    pub fn count_up_to(&self, text: &str, limit: usize) -> Option<usize> {
        segments(text).try_fold(0, |sum, segment| {
            let sum = sum + self.encode(text, segment.range).len();
            (sum <= limit).then_some(sum)
        })
    }

    /// Where each token of `text` ends. Of a text above 4 GiB, only the first `u32::MAX` bytes are mapped.
    pub fn map<'t>(&'static self, text: &'t str) -> TokenMap<'t> {
        let text = slice(text, 0..text.floor_char_boundary(u32::MAX as usize));
        // Four bytes a token is what English has; a text with more grows the list a few times.
        let mut ends = Vec::with_capacity(text.len() / 4);
        let mut forced = Vec::new();
        for segment in segments(text) {
            let mut end = segment.range.start;
            for id in self.encode(text, segment.range.clone()) {
                end += self.lengths.get(id as usize).copied().map_or(0, usize::from);
                ends.push(end as u32);
            }
            debug_assert_eq!(end, segment.range.end, "the tokens' lengths add up to their text's");
            if segment.forced {
                forced.push(segment.range.end as u32);
            }
        }
        TokenMap { tokenizer: self, text, ends, forced, head: Cell::default(), tail: Cell::default() }
    }

    fn encode(&self, text: &str, range: Range<usize>) -> Vec<u32> {
        self.bpe.encode_ordinary(slice(text, range))
    }
}

/// A text's tokens by where they end.
pub struct TokenMap<'t> {
    tokenizer: &'static Tokenizer,
    text: &'t str,
    /// Ascending byte offsets; may lie inside a character.
    ends: Vec<u32>,
    /// Where a run without a border had to be cut.
    forced: Vec<u32>,
    /// The last slice's ragged ends: the next slice often shares one of them.
    head: Cell<Option<Edge>>,
    tail: Cell<Option<Edge>>,
}

/// A slice's ragged end: the text between where the slice starts (or ends) and the nearest border inside of it.
#[derive(Clone, Copy)]
struct Edge {
    /// Where the slice starts or ends.
    at: usize,
    border: usize,
    tokens: usize,
}

impl<'t> TokenMap<'t> {
    /// The text that is mapped.
    pub fn text(&self) -> &'t str {
        self.text
    }

    /// How many tokens end at or before a byte offset.
    pub fn before(&self, byte: usize) -> usize {
        self.ends.partition_point(|end| *end as usize <= byte)
    }

    /// As [`Self::before`], for a byte known to be near: at most `within` tokens end between `from` tokens and it. Cheaper
    /// by the logarithm of the text's length; never more than `from + within`.
    pub fn before_near(&self, byte: usize, from: usize, within: usize) -> usize {
        let upper = from.saturating_add(within).min(self.ends.len());
        let near = self.ends.get(from..upper).unwrap_or_default();
        from + near.partition_point(|end| *end as usize <= byte)
    }

    /// Where the first `tokens` tokens end, moved down to a character boundary. The text's end when it has fewer.
    pub fn end_of(&self, tokens: usize) -> usize {
        match tokens.checked_sub(1) {
            None => 0,
            Some(last) => self.ends.get(last).map_or(self.text.len(), |end| self.text.floor_char_boundary(*end as usize)),
        }
    }

    /// How many tokens the slice has when it is encoded alone: exactly [`Tokenizer::count`] of it. Only its ragged ends,
    /// up to the nearest border, are encoded again.
    ///
    /// `range` must lie on character boundaries, or the count is 0.
    pub fn count(&self, range: Range<usize>) -> usize {
        let whole = || self.tokenizer.count(slice(self.text, range.clone()));
        let near_forced = self.forced.partition_point(|cut| (*cut as usize) + 2 * SEGMENT < range.start);
        if self.forced.get(near_forced).is_some_and(|cut| *cut as usize <= range.end + 2 * SEGMENT) {
            return whole();
        }
        let Some(head) = self.head(&range) else { return whole() };
        let Some(tail) = self.tail(&(head.border..range.end)) else { return whole() };
        head.tokens + (self.before(tail.border) - self.before(head.border)) + tail.tokens
    }

    fn head(&self, range: &Range<usize>) -> Option<Edge> {
        if let Some(known) = self.head.get().filter(|head| head.at == range.start && head.border <= range.end) {
            return Some(known);
        }
        let border = border_from(self.text, range.clone())?;
        let tokens = self.tokenizer.count(slice(self.text, range.start..border));
        let head = Edge { at: range.start, border, tokens };
        self.head.set(Some(head));
        Some(head)
    }

    fn tail(&self, range: &Range<usize>) -> Option<Edge> {
        if let Some(known) = self.tail.get().filter(|tail| tail.at == range.end && tail.border >= range.start) {
            return Some(known);
        }
        let border = border_up_to(self.text, range.clone())?;
        let tokens = self.tokenizer.count(slice(self.text, border..range.end));
        let tail = Edge { at: range.end, border, tokens };
        self.tail.set(Some(tail));
        Some(tail)
    }
}

/// A piece of a text that is encoded by itself.
struct Segment {
    range: Range<usize>,
    /// It ends inside a run that has no border.
    forced: bool,
}

fn segments(text: &str) -> impl Iterator<Item = Segment> + '_ {
    let mut start = 0;
    std::iter::from_fn(move || {
        if start >= text.len() {
            return None;
        }
        let limit = text.floor_char_boundary(start + SEGMENT);
        let (end, forced) = if text.len() - start <= SEGMENT {
            (text.len(), false)
        } else {
            border_up_to(text, start + 1..limit).map_or((limit, true), |end| (end, false))
        };
        let range = start..end;
        start = end;
        Some(Segment { range, forced })
    })
}

/// The first border in `range`, both ends included.
fn border_from(text: &str, range: Range<usize>) -> Option<usize> {
    let mut before = slice(text, 0..range.start).chars().next_back();
    for (i, after) in slice(text, range.start..text.len()).char_indices() {
        let at = range.start + i;
        if at > range.end {
            return None;
        }
        if before.is_none_or(|before| is_border(before, after)) {
            return Some(at);
        }
        before = Some(after);
    }
    Some(text.len()).filter(|end| *end <= range.end)
}

/// The last border in `range`, both ends included.
fn border_up_to(text: &str, range: Range<usize>) -> Option<usize> {
    let mut after = slice(text, range.end..text.len()).chars().next();
    if after.is_none() {
        return Some(range.end);
    }
    let mut at = range.end;
    for before in slice(text, 0..range.end).chars().rev() {
        if at < range.start {
            return None;
        }
        if after.is_some_and(|after| is_border(before, after)) {
            return Some(at);
        }
        at -= before.len_utf8();
        after = Some(before);
    }
    (range.start == 0).then_some(0)
}

/// Whether two neighbours never lie in one piece of either encoding's regex, whatever stands around them.
///
/// Read off the patterns of `o200k_base` and `cl100k_base`: blanks other than line breaks only ever open a piece or fill it;
/// line breaks are followed in one piece by blanks or `/` alone; a piece of letters holds nothing else but one leading
/// sign, marks and (o200k) an English contraction; digits stand alone. Where a cut makes blanks the end of a text, both
/// regexes still take them up to the last line break as one piece. Anything not listed is simply not known to be one.
fn is_border(before: char, after: char) -> bool {
    let line_break = |c| matches!(c, '\r' | '\n');
    if line_break(after) {
        return matches!(kind(before), Kind::Letter | Kind::Digit);
    }
    if after.is_whitespace() {
        return !before.is_whitespace();
    }
    if line_break(before) {
        return after != '/';
    }
    matches!((kind(before), kind(after)), (Kind::Letter, Kind::Digit | Kind::Sign) | (Kind::Digit, Kind::Letter | Kind::Sign))
}

/// What a character is to both regexes, for those characters where this is beyond doubt.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Kind {
    /// `\p{L}`
    Letter,
    /// `\p{N}`
    Digit,
    /// `\p{P}` or `\p{S}`, the apostrophe excepted (it may open a contraction).
    Sign,
    Other,
}

#[allow(clippy::match_same_arms, reason = "a row each for ASCII and for the CJK scripts, read against the patterns")]
fn kind(c: char) -> Kind {
    match c {
        'a'..='z' | 'A'..='Z' => Kind::Letter,
        // Hiragana, katakana, Han, Hangul.
        'ぁ'..='ゖ' | 'ァ'..='ヺ' | '\u{4e00}'..='\u{9fff}' | '가'..='\u{d7a3}' => Kind::Letter,
        '0'..='9' => Kind::Digit,
        '\'' => Kind::Other,
        '!'..='~' | '、' | '。' | '〈'..='】' | '！' | '（' | '）' | '，' | '：' | '；' | '？' => Kind::Sign,
        _ => Kind::Other,
    }
}

/// The slice, or nothing where the range does not lie on character boundaries.
fn slice(text: &str, range: Range<usize>) -> &str {
    text.get(range).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counting_stops_at_the_limit() {
        let tokenizer = Tokenizer::get(TokenizerName::O200kBase);
        let text = "one two three ".repeat(5_000);
        let tokens = tokenizer.count(&text);
        assert_eq!(tokenizer.count_up_to(&text, tokens), Some(tokens));
        assert_eq!(tokenizer.count_up_to(&text, tokens - 1), None);
        assert_eq!(tokenizer.count_up_to("", 0), Some(0));
    }

    /// On the first of these tiktoken-rs itself panics.
    #[test]
    fn runs_without_borders_neither_panic_nor_lose_a_byte() {
        for name in [TokenizerName::O200kBase, TokenizerName::Cl100kBase] {
            let tokenizer = Tokenizer::get(name);
            for unit in [" ", "\n", "\u{3000}", "a", "A", "7", "#", "天", "\u{301}", "\u{feff}", "'s"] {
                let text = unit.repeat(1_000_000 / unit.len());
                let map = tokenizer.map(&text);
                let tokens = map.before(text.len());
                assert_eq!(map.end_of(tokens), text.len(), "{unit:?}");
                assert!(tokens > 0 && tokens == tokenizer.count(&text) && map.end_of(tokens - 1) < text.len(), "{unit:?}");
            }
        }
    }
}
