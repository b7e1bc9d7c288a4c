//! Borders inside a line: sentences in Latin and CJK scripts, clauses, words, signs, graphemes.

use std::ops::Range;

use unicode_segmentation::{GraphemeCursor, UnicodeSegmentation};

use super::outline::strength;

/// Words that end with a full stop and end no sentence, in lower case without the stop.
const ABBREVIATIONS: [&str; 46] = [
    "al", "approx", "art", "bd", "bzw", "ca", "cf", "ch", "co", "corp", "dept", "dr", "ed", "eq", "est", "etc", "evtl", "fig",
    "figs", "ggf", "inc", "jr", "lt", "ltd", "max", "min", "mr", "mrs", "ms", "mt", "no", "nos", "nr", "pp", "prof", "resp",
    "rev", "sec", "sen", "sr", "st", "usw", "vgl", "vol", "vols", "vs",
];
/// How far back a full stop's word is looked at, in bytes.
const ABBREVIATION: usize = 12;
/// How far back a grapheme cluster may begin, in bytes. Longer ones (a flood of combining marks) may be cut.
const CLUSTER: usize = 512;
/// How far before the limit a border between words or graphemes is looked for, in bytes.
const FINE: usize = 256;

/// Calls `border` with every border of `text[range]` that is worth a word or so, ascending, and how good it is. A border
/// lies before a character that is not blank, after `range.start` and not after `range.end`.
pub(super) fn borders(text: &str, range: Range<usize>, mut border: impl FnMut(usize, u8)) {
    let mut before: Option<char> = None;
    // The last character that is not blank, and whether it stands at the end of a sentence.
    let mut solid: Option<char> = None;
    let mut ends = false;
    let mut stop = None;
    for (i, c) in text.get(range.start..).unwrap_or_default().char_indices() {
        let at = range.start + i;
        if at > range.end {
            break;
        }
        if !c.is_whitespace() {
            if let (Some(last), Some(above)) = (solid, before) {
                let strength = if above.is_whitespace() {
                    if ends && !c.is_lowercase() && !stop.is_some_and(|stop| is_abbreviation(text, range.start, stop)) {
                        strength::SENTENCE
                    } else if matches!(last, ',' | ';' | ':') {
                        strength::CLAUSE
                    } else {
                        strength::WORD
                    }
                } else {
                    unspaced(last, c, ends)
                };
                if strength > 0 {
                    border(at, strength);
                }
            }
            match c {
                '.' => (ends, stop) = (true, Some(at)),
                '!' | '?' | '…' | '。' | '！' | '？' | '；' | '।' | '؟' => (ends, stop) = (true, None),
                _ if ends && closes(c) => {}
                _ => (ends, stop) = (false, None),
            }
            solid = Some(c);
        }
        before = Some(c);
    }
}

/// How good the border between two characters without a blank between them is; 0 for none.
fn unspaced(last: char, next: char, ends: bool) -> u8 {
    if last.is_ascii() && next.is_ascii() {
        let sign =
            matches!(last, '/' | '.' | ',' | ';' | ':' | '=' | '&' | '?' | '-' | '_' | '>' | ')' | ']' | '}' | '|' | '"');
        return if sign && next.is_ascii_alphanumeric() { strength::SIGN } else { 0 };
    }
    if closes(next) || is_full_width_stop(next) || matches!(next, '，' | '、' | '：' | 'ー' | '々') {
        return 0;
    }
    if ends && (is_full_width_stop(last) || closes(last)) && !last.is_ascii() {
        strength::SENTENCE
    } else if matches!(last, '，' | '、' | '：') {
        strength::CLAUSE
    } else if (is_ideograph(last) || is_ideograph(next) || closes(last)) && !opens(last) {
        strength::IDEOGRAPH
    } else {
        0
    }
}

fn is_full_width_stop(c: char) -> bool {
    matches!(c, '。' | '！' | '？' | '；' | '…')
}

fn closes(c: char) -> bool {
    matches!(c, '"' | '\'' | ')' | ']' | '}' | '*' | '_' | '”' | '’' | '»' | '」' | '』' | '）' | '】' | '》' | '〉')
}

fn opens(c: char) -> bool {
    matches!(c, '(' | '[' | '{' | '“' | '‘' | '«' | '「' | '『' | '（' | '【' | '《' | '〈')
}

/// Scripts that write no blanks between words: kana, Han.
fn is_ideograph(c: char) -> bool {
    matches!(c, '\u{3041}'..='\u{30ff}' | '\u{3400}'..='\u{4dbf}' | '\u{4e00}'..='\u{9fff}' | '\u{20000}'..='\u{3ffff}')
}

/// Whether the full stop at a byte belongs to an abbreviation, an initial or an ordinal.
fn is_abbreviation(text: &str, from: usize, stop: usize) -> bool {
    let window = text.ceil_char_boundary(stop.saturating_sub(ABBREVIATION).max(from));
    let before = text.get(window..stop).unwrap_or_default();
    let word = before.rsplit(|c: char| c.is_whitespace() || opens(c)).next().unwrap_or_default();
    let mut chars = word.chars();
    match (chars.next(), chars.next()) {
        (None, _) => false,
        (Some(initial), None) => initial.is_alphabetic() || initial.is_numeric(),
        // `e.g.`, `U.S.`, `z.B.`
        _ if word.contains('.') => word.split('.').all(|part| part.chars().count() <= 1),
        // The number of a list's item, or a German date's day.
        _ if word.len() <= 2 && word.bytes().all(|b| b.is_ascii_digit()) => true,
        _ => ABBREVIATIONS.binary_search(&word.to_lowercase().as_str()).is_ok(),
    }
}

/// The last border between words, else between graphemes, at or shortly before `range.end`, and inside of `range`.
pub(super) fn last_fine_border(text: &str, range: Range<usize>) -> Option<(usize, u8)> {
    let from = text.ceil_char_boundary(range.start.max(range.end.saturating_sub(FINE)));
    let to = text.floor_char_boundary(range.end.saturating_add(FINE));
    let tail = text.get(from..to)?;
    let inside = |i: usize| from + i > range.start && from + i <= range.end && from + i < text.len();
    // The tail's own start is no border, and what is read only of its end may be none.
    let word = tail.split_word_bound_indices().map(|(i, _)| i).take_while(|i| from + i <= range.end);
    let word = word.filter(|i| *i > 0 && inside(*i) && is_grapheme_border(text, from + i)).last();
    if let Some(i) = word {
        return Some((from + i, strength::SEGMENT));
    }
    let graphemes = tail.char_indices().map(|(i, _)| i).filter(|i| inside(*i));
    graphemes.rev().find(|i| is_grapheme_border(text, from + i)).map(|i| (from + i, strength::GRAPHEME))
}

/// Whether no grapheme cluster lies across a character border.
pub(super) fn is_grapheme_border(text: &str, at: usize) -> bool {
    let before = text.get(..at).unwrap_or_default().chars().next_back();
    let after = text.get(at..).unwrap_or_default().chars().next();
    let (Some(before), Some(after)) = (before, after) else { return true };
    if before.is_ascii() && after.is_ascii() {
        return (before, after) != ('\r', '\n');
    }
    let simple = |c: char| c.is_ascii_alphanumeric() || c == ' ' || c == '\n' || matches!(c, '\u{4e00}'..='\u{9fff}');
    if simple(before) && simple(after) {
        return true;
    }
    let flag = |c: char| matches!(c, '\u{1f1e6}'..='\u{1f1ff}');
    // The cluster is looked at from a place where none can lie across: before a plain character.
    let mut from = at;
    for (i, c) in text.get(..at).unwrap_or_default().char_indices().rev() {
        from = i;
        if simple(c) {
            break;
        }
        if at - i > CLUSTER && !flag(c) {
            break;
        }
        if at - i > 8 * CLUSTER {
            // Which flags are pairs is decided at the start of their run: too far away to look.
            return true;
        }
    }
    let to = text.floor_char_boundary(at.saturating_add(CLUSTER));
    let window = text.get(from..to).unwrap_or_default();
    GraphemeCursor::new(at - from, window.len(), true).is_boundary(window, 0).unwrap_or(true)
}

#[cfg(test)]
#[allow(clippy::indexing_slicing, clippy::string_slice, clippy::unwrap_used, reason = "tests fail by panicking")]
mod tests {
    use super::*;

    fn sentences(text: &str) -> Vec<&str> {
        let mut cuts = vec![0];
        borders(text, 0..text.len(), |at, strength| {
            if strength == strength::SENTENCE {
                cuts.push(at);
            }
        });
        cuts.push(text.len());
        cuts.windows(2).map(|cut| text[cut[0]..cut[1]].trim()).collect()
    }

    #[test]
    fn the_list_is_sorted() {
        assert!(ABBREVIATIONS.is_sorted());
    }

    #[test]
    fn latin_sentences() {
        let text = "Dr. J. Smith paid 3.50 for it, i.e. too much. \"Really?\" he asked. See Fig. 3 vs. Fig. 4. Über uns… Ende!";
        let expected = [
            "Dr. J. Smith paid 3.50 for it, i.e. too much.",
            "\"Really?\" he asked.",
            "See Fig. 3 vs. Fig. 4. Über uns…",
            "Ende!",
        ];
        assert_eq!(sentences(text), expected);
    }

    #[test]
    fn cjk_sentences() {
        let text = "他说：“好的。”然后走了。真的？！是；对「はい。」と言った。Yes. 完";
        let expected = ["他说：“好的。”", "然后走了。", "真的？！", "是；", "对「はい。」", "と言った。", "Yes.", "完"];
        assert_eq!(sentences(text), expected);
    }

    #[test]
    fn graphemes_stay_whole() {
        let text = "ab👩‍👩‍👧‍👦🇩🇪🇫🇷e\u{301}\r\nक्षि한국";
        let expected: Vec<usize> = text.grapheme_indices(true).map(|(i, _)| i).collect();
        let found: Vec<usize> = text.char_indices().map(|(i, _)| i).filter(|i| is_grapheme_border(text, *i)).collect();
        assert_eq!(found, expected);
    }

    #[test]
    fn fine_borders_lie_inside() {
        assert_eq!(last_fine_border("aaaaaaaa", 0..4), Some((4, strength::GRAPHEME)));
        assert_eq!(last_fine_border("ab", 0..2), Some((1, strength::GRAPHEME)));
        assert_eq!(last_fine_border("a", 0..1), None);
        assert_eq!(last_fine_border("e\u{301}e\u{301}", 0..4), Some((3, strength::GRAPHEME)));
    }
}
