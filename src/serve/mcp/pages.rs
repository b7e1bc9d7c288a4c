//! Texts cut into pages by tokens: no byte is lost, no page is above its bound.
//!
//! A text is worth what it is worth to whoever reads it: in tokens as it stands, or as a JSON string where that has more.

use std::num::NonZeroUsize;
use std::ops::Range;

use crate::serve::fault::Fault;
use crate::tokenizer::{Tokenizer, TokenizerName};

/// Tokens of a result where nothing else is said: below what agents warn at.
pub(super) const TOKENS: u32 = 8_000;
/// The bounds that can be asked for.
const FEWEST: u32 = 500;
const MOST: u32 = 100_000;
/// Passages that can be asked for.
const PASSAGES: usize = 200;
/// Letters of the largest result, for clients that cut what they do not expect.
pub(super) const LETTERS: u32 = 500_000;
/// A text longer than a page is begun on one of which this part is free.
const BEGINS: usize = 4;
/// Tokens of a text for whose sake it is shown at all.
const LEAST: usize = 100;
/// Bytes of the longest token.
const LONGEST: usize = 128;
/// Bytes a token, of what is looked at of a line that is longer than a page.
const WINDOW: usize = 16;
/// What is kept free at the seam of two texts, where tokens may become others.
const SEAM: usize = 4;

/// A text, and what stands around it.
#[derive(Debug, Clone, Copy)]
pub(super) struct Item<'a> {
    pub(super) text: &'a str,
    /// Tokens of what stands around each piece of it.
    pub(super) around: usize,
}

/// Where a page begins.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) struct At {
    pub(super) item: usize,
    /// Byte of its text.
    pub(super) byte: usize,
}

/// A piece of an item's text.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Piece {
    pub(super) item: usize,
    pub(super) range: Range<usize>,
}

/// Counts as the budget does. Pure CPU work; called off the runtime.
pub(super) struct Pages {
    tokenizer: &'static Tokenizer,
}

impl Pages {
    pub(super) fn new() -> Self {
        Self { tokenizer: Tokenizer::get(TokenizerName::O200kBase) }
    }

    /// The bound that was asked for.
    pub(super) fn bound(asked: u32) -> Result<usize, Fault> {
        if (FEWEST..=MOST).contains(&asked) {
            return Ok(asked as usize);
        }
        Err(Fault::bad(format!("`max_tokens` is {asked}")).hint(format!("say a number from {FEWEST} to {MOST}")))
    }

    /// Whether so many passages may be asked for.
    pub(super) fn passages(asked: Option<NonZeroUsize>) -> Result<(), Fault> {
        if asked.is_none_or(|asked| asked.get() <= PASSAGES) {
            return Ok(());
        }
        Err(Fault::bad("too many passages are asked for").hint(format!("`limit` is at most {PASSAGES}")))
    }

    /// Tokens of a text as it stands.
    pub(super) fn count(&self, text: &str) -> usize {
        self.tokenizer.count(text)
    }

    /// What a text is worth.
    pub(super) fn worth(&self, text: &str) -> usize {
        self.tokenizer.count(text).max(self.tokenizer.count(&json(text)))
    }

    /// The longest beginning that is worth at most so much; empty where there is no room.
    pub(super) fn fitting<'t>(&self, text: &'t str, budget: usize) -> &'t str {
        if self.fits(text, budget) {
            return text;
        }
        text.get(..self.beginning(text, budget)).filter(|text| self.fits(text, budget)).unwrap_or_default()
    }

    /// Whether something of an item can be shown on a page.
    pub(super) fn has_room(item: &Item<'_>, budget: usize) -> bool {
        item.around + LEAST <= budget
    }

    /// Whether a text is worth at most so much. Stops as soon as that is known.
    fn fits(&self, text: &str, budget: usize) -> bool {
        text.len() <= budget.saturating_mul(LONGEST)
            && self.tokenizer.count_up_to(text, budget).is_some()
            && self.tokenizer.count_up_to(&json(text), budget).is_some()
    }

    /// The pieces of the page that begins there, and where the next one does. Items without [room](Self::has_room) are passed over.
    pub(super) fn page(&self, items: &[Item<'_>], at: At, budget: usize) -> (Vec<Piece>, Option<At>) {
        let (mut pieces, mut left) = (Vec::new(), budget);
        let from = items.iter().enumerate().skip(at.item);
        for (n, item) in from.filter(|(_, item)| Self::has_room(item, budget)) {
            let byte = if n == at.item { at.byte } else { 0 };
            let Some(rest) = item.text.get(byte..).filter(|rest| !rest.is_empty()) else { continue };
            let room = left.saturating_sub(item.around + SEAM);
            if self.fits(rest, room) {
                left = room.saturating_sub(self.worth(rest));
                pieces.push(Piece { item: n, range: byte..item.text.len() });
                continue;
            }
            // What would fit on a page of its own stays whole.
            let begun = pieces.is_empty() || (room > budget / BEGINS && !self.fits(rest, budget - item.around - SEAM));
            let end = if begun { byte + self.beginning(rest, room) } else { byte };
            if end > byte {
                pieces.push(Piece { item: n, range: byte..end });
            }
            return (pieces, Some(At { item: n, byte: end }));
        }
        (pieces, None)
    }

    /// Bytes of the longest beginning that is worth at most so much: of whole lines where one fits, else of whole letters; at least
    /// a letter.
    fn beginning(&self, text: &str, budget: usize) -> usize {
        let (mut end, mut ends, mut worth) = (0, Vec::new(), 0);
        for line in text.split_inclusive('\n') {
            // Lines that fit alone may not all fit together, nor the other way round: this is where to try.
            if !self.fits(line, budget.saturating_sub(worth)) {
                break;
            }
            worth += self.worth(line);
            end += line.len();
            ends.push(end);
        }
        let fits = |end: &usize| text.get(..*end).is_some_and(|text| self.fits(text, budget));
        if let Some(end) = ends.into_iter().rev().find(fits) {
            return end;
        }
        // A line longer than a page.
        let window = text.get(..text.floor_char_boundary(budget.saturating_mul(WINDOW))).unwrap_or(text);
        let map = self.tokenizer.map(window);
        let fewer =
            std::iter::successors(Some(budget), |tokens| Some(tokens - tokens.div_ceil(8)).filter(|tokens| *tokens > 0));
        let end = fewer.map(|tokens| map.end_of(tokens)).find(fits).unwrap_or_default();
        end.max(text.chars().next().map_or(0, char::len_utf8))
    }
}

/// Lines of a piece of a text that begins on line `first`.
pub(super) fn lines_of(text: &str, first: u32, range: &Range<usize>) -> (u32, u32) {
    let before = text.get(..range.start).unwrap_or_default().matches('\n').count();
    let piece = text.get(range.clone()).unwrap_or_default();
    // A line feed belongs to the line that it ends.
    let within = piece.strip_suffix('\n').unwrap_or(piece).matches('\n').count();
    let begins = first.saturating_add(before as u32);
    (begins, begins.saturating_add(within as u32))
}

fn json(text: &str) -> String {
    serde_json::to_string(text).unwrap_or_default()
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::indexing_slicing, clippy::string_slice, reason = "a failed test panics")]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// All pages, each as its pieces.
    fn pages(items: &[Item<'_>], budget: usize) -> Vec<Vec<Piece>> {
        let (pages, mut at, mut all) = (Pages::new(), Some(At::default()), Vec::new());
        while let Some(from) = at {
            let (pieces, next) = pages.page(items, from, budget);
            assert!(next.is_none_or(|next| (next.item, next.byte) > (from.item, from.byte)), "it goes on");
            all.push(pieces);
            at = next;
        }
        all
    }

    fn text() -> impl Strategy<Value = String> {
        let line = prop_oneof![
            4 => "[a-z ,.]{0,60}\n",
            1 => "[ \t]{0,40}\n",
            1 => "[密钥轮换文档界，。]{0,80}\n",
            1 => "[\"\\\\{}\u{1}\r<>&]{1,40}\n",
            1 => "[a-zA-Z0-9+/]{0,2000}",
            1 => "\\PC{0,40}\n",
        ];
        prop::collection::vec(line, 0..60).prop_map(|lines| lines.concat())
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(64))]
        #[test]
        fn pages_are_the_texts_and_none_is_above_its_bound(texts in prop::collection::vec((text(), 0_usize..40), 0..5), budget in 300_usize..2000) {
            let items: Vec<Item<'_>> = texts.iter().map(|(text, around)| Item { text, around: *around }).collect();
            let counts = Pages::new();
            let mut seen = vec![String::new(); items.len()];
            for page in pages(&items, budget) {
                let (mut whole, mut around) = (String::new(), 0);
                for piece in &page {
                    let text = &items[piece.item].text[piece.range.clone()];
                    prop_assert_eq!(piece.range.start, seen[piece.item].len(), "without a gap");
                    seen[piece.item].push_str(text);
                    whole.push_str(text);
                    around += items[piece.item].around;
                }
                prop_assert!(counts.worth(&whole) + around <= budget, "{} and {around} above {budget}", counts.worth(&whole));
            }
            for (seen, item) in seen.iter().zip(&items) {
                prop_assert_eq!(seen.as_str(), item.text);
            }
        }

        #[test]
        fn lines_are_those_of_the_text(text in "[a界\n]{1,40}", first in 1_u32..9, cut in (0.0..1.0, 0.0..1.0)) {
            let at = |share: f64| text.floor_char_boundary((share * text.len() as f64) as usize);
            let (start, end) = (at(f64::min(cut.0, cut.1)), at(f64::max(cut.0, cut.1)));
            prop_assume!(start < end);
            let (begins, ends) = lines_of(&text, first, &(start..end));
            let lines: Vec<&str> = text.split_inclusive('\n').collect();
            let named = lines[(begins - first) as usize..=(ends - first) as usize].concat();
            prop_assert!(named.contains(&text[start..end]), "{named:?}");
            prop_assert!(ends == begins || !lines[(begins - first) as usize + 1..=(ends - first) as usize].concat().contains(&text[start..end]));
        }
    }

    #[test]
    fn whole_lines_where_they_fit_and_whole_letters_else() {
        let pages = Pages::new();
        let text = "one two three\nfour five six\nseven eight nine\n";
        assert_eq!(pages.beginning(text, 9), "one two three\n".len());
        assert_eq!(pages.beginning(text, 1_000), text.len());
        let long = "密钥".repeat(400);
        let end = pages.beginning(&long, 50);
        assert!(long.is_char_boundary(end) && end > 20 && pages.worth(&long[..end]) <= 50, "{end}");
        assert_eq!(pages.beginning("界", 0), "界".len(), "it goes on even where nothing fits");
    }

    #[test]
    fn bounds_have_bounds() {
        assert!(Pages::bound(FEWEST).is_ok() && Pages::bound(MOST).is_ok());
        assert!(Pages::bound(0).is_err() && Pages::bound(u32::MAX).is_err());
    }
}
