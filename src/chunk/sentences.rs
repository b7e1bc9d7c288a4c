//! A text's sentences, as ranges: what a passage can be trimmed to.

use std::ops::Range;

use super::outline::strength;
use super::prose;

/// A longer sentence, or line of code, is taken in parts, in bytes.
const MOST: usize = 400;
/// A part is no shorter than that where it can be longer.
const LEAST: usize = 100;

/// The sentences of a text, in order, without the blanks between them: every other character is in one. Lines end sentences; a
/// sentence of more than 400 bytes is cut between clauses, else between words, where it can be.
pub fn sentences(text: &str) -> Vec<Range<usize>> {
    // In a text that has no capitals none can tell that a sentence begins.
    let is_of_one_case = !text.chars().any(char::is_uppercase);
    let mut all = Vec::new();
    let mut start = 0;
    for line in text.split_inclusive('\n') {
        let range = start..start + line.len();
        start = range.end;
        of_line(text, range, is_of_one_case, &mut all);
    }
    all
}

fn of_line(text: &str, line: Range<usize>, is_of_one_case: bool, all: &mut Vec<Range<usize>>) {
    let mut from = line.start;
    // The best border in the second part of what is too long, and how good it is.
    let mut best: Option<(usize, u8)> = None;
    prose::borders(text, line.clone(), |at, found| {
        if from + MOST < at
            && let Some((cut, _)) = best.take()
        {
            push(text, from..cut, all);
            from = cut;
        }
        let ends = || text.get(from..at).is_some_and(|before| before.trim_end().ends_with(['.', '!', '?']));
        if found >= strength::SENTENCE || (is_of_one_case && found >= strength::WORD && ends()) {
            push(text, from..at, all);
            (from, best) = (at, None);
        } else if at >= from + LEAST && best.is_none_or(|(_, known)| found >= known) {
            best = Some((at, found));
        }
    });
    if line.end > from + MOST
        && let Some((cut, _)) = best
    {
        push(text, from..cut, all);
        from = cut;
    }
    push(text, from..line.end, all);
}

fn push(text: &str, range: Range<usize>, all: &mut Vec<Range<usize>>) {
    let part = text.get(range.clone()).unwrap_or_default();
    let start = range.start + (part.len() - part.trim_start().len());
    let end = start + part.trim().len();
    if start < end {
        all.push(start..end);
    }
}

#[cfg(test)]
#[allow(clippy::string_slice, reason = "tests fail by panicking")]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn cut(text: &str) -> Vec<&str> {
        sentences(text).into_iter().map(|range| &text[range]).collect()
    }

    #[test]
    fn sentences_in_two_scripts_and_lines() {
        let text = "# Keys\n\nKeys are rotated, e.g. monthly. See page thirty.  Really?\n密钥每月轮换。之后旧密钥仍可解密！\n";
        let expected =
            ["# Keys", "Keys are rotated, e.g. monthly.", "See page thirty.", "Really?", "密钥每月轮换。", "之后旧密钥仍可解密！"];
        assert_eq!(cut(text), expected);
        assert_eq!(
            cut("the notes are due . interest is paid in may. no. 5"),
            ["the notes are due .", "interest is paid in may.", "no.", "5"]
        );
        assert_eq!(cut(" \n\n "), [""; 0]);
    }

    #[test]
    fn what_is_long_is_cut_between_words() {
        let text = "A table of contents, ".repeat(60);
        let parts = cut(&text);
        assert!(parts.len() > 3 && parts.iter().all(|part| part.len() <= MOST && part.ends_with(',')), "{parts:?}");
    }

    proptest! {
        #[test]
        fn no_character_is_lost_and_none_comes_twice(text in "([a-zA-Z]{1,8}[ .,!?。\\n]{0,3}|[密钥轮换。！]{1,6}){0,80}") {
            let mut last = 0;
            for range in sentences(&text) {
                prop_assert!(range.start >= last && range.end > range.start);
                prop_assert!(text[last..range.start].trim().is_empty());
                prop_assert_eq!(text[range.clone()].trim(), &text[range.clone()]);
                last = range.end;
            }
            prop_assert!(text[last..].trim().is_empty());
        }
    }
}
