//! Questions made of passages, by which a corpus is asked about itself.
//!
//! Some of the words of one sentence, in its order: what a person who half remembers it would type. Nobody has to be paid for them,
//! and their answer is known to be the sentence.

use uuid::Uuid;

use crate::dice::SplitMix;
use crate::vectordb::bm25::Bm25;

/// Words of a sentence that one is made of, at least.
const FEWEST_IN_SENTENCE: usize = 5;
/// Words of a question, at least and at most.
const WORDS: std::ops::RangeInclusive<usize> = 3..=8;
/// So many in ten words of the sentence are asked for: people use other words, too.
const KEPT_IN_TEN: u64 = 6;
/// Characters of a piece of a text without spaces, at least and at most: most Chinese words, and short phrases.
const PIECE: (usize, usize) = (2, 5);
/// Sentences of a passage that are looked at: of a long passage its beginning says enough.
const SENTENCES: usize = 64;

/// A question, and what it was made of.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Made {
    pub(super) question: String,
    pub(super) sentence: String,
}

/// A question of a passage, the same every time; `None` where no sentence of it says enough.
pub(super) fn question(id: Uuid, passage: &str, bm25: &Bm25) -> Option<Made> {
    let (high, low) = id.as_u64_pair();
    let mut dice = SplitMix(high ^ low);
    let sentences: Vec<(&str, Vec<String>)> = sentences(passage)
        .take(SENTENCES)
        .map(|sentence| (sentence, words(sentence, bm25, &mut dice)))
        .filter(|(_, words)| words.len() >= FEWEST_IN_SENTENCE)
        .collect();
    if sentences.is_empty() {
        return None;
    }
    let (sentence, words) = sentences.get(dice.below(sentences.len()))?;
    let mut kept: Vec<&str> = words.iter().filter(|_| dice.next() % 10 < KEPT_IN_TEN).map(String::as_str).collect();
    if kept.len() > *WORDS.end() {
        let first = dice.below(kept.len() - WORDS.end() + 1);
        kept = kept.split_off(first);
        kept.truncate(*WORDS.end());
    }
    if kept.len() < *WORDS.start() {
        return None;
    }
    let unspaced = kept.iter().all(|word| word.chars().all(is_unspaced));
    let question = kept.join(if unspaced { "" } else { " " });
    Some(Made { question, sentence: (*sentence).to_owned() })
}

/// What lies between full stops and ends of lines.
fn sentences(text: &str) -> impl Iterator<Item = &str> {
    let mut stopped = false;
    let ends = move |c: char| {
        // "1.5" and "a.b" are no ends.
        let end = matches!(c, '\n' | '。' | '！' | '？') || stopped && c.is_whitespace();
        stopped = matches!(c, '.' | '!' | '?');
        end
    };
    text.split(ends).map(str::trim).filter(|sentence| !sentence.is_empty())
}

/// The words of a sentence that mean something by themselves; of a script without spaces, pieces of it.
fn words(sentence: &str, bm25: &Bm25, dice: &mut SplitMix) -> Vec<String> {
    let mut words = Vec::new();
    for part in sentence.split(|c: char| !(c.is_alphanumeric() || matches!(c, '-' | '\'' | '_' | '.'))) {
        let mut rest = part.trim_matches(|c: char| !c.is_alphanumeric());
        while let Some(first) = rest.chars().next() {
            let alike = rest.find(|c: char| is_unspaced(c) != is_unspaced(first)).unwrap_or(rest.len());
            let length = if is_unspaced(first) {
                let characters = PIECE.0 + dice.below(PIECE.1 - PIECE.0 + 1);
                rest.char_indices().nth(characters).map_or(rest.len(), |(at, _)| at).min(alike)
            } else {
                alike
            };
            let Some((word, after)) = rest.split_at_checked(length) else { break };
            if !bm25.query(word).indices.is_empty() {
                words.push(word.to_owned());
            }
            rest = after;
        }
    }
    words
}

/// Of a script that writes no spaces between its words.
fn is_unspaced(c: char) -> bool {
    matches!(c, '\u{0E01}'..='\u{0EDF}' | '\u{3005}'..='\u{30FF}' | '\u{3400}'..='\u{9FFF}' | '\u{20000}'..='\u{323AF}')
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "tests may panic")]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const ENGLISH: &str = "See below. Keys of the northern cluster are rotated every 90 days by the operator on call. Thanks!";
    const CHINESE: &str = "见下文。北方集群的密钥由值班运维人员每九十天轮换一次，并记录在审计日志中。谢谢！";

    #[test]
    fn a_question_is_made_of_one_sentence() {
        let bm25 = Bm25::new();
        let mut made = 0;
        for n in 0..50 {
            let Some(Made { question, sentence }) = question(Uuid::from_u128(n), ENGLISH, &bm25) else { continue };
            made += 1;
            assert!(sentence.starts_with("Keys of the northern"), "{sentence}");
            let words: Vec<&str> = question.split(' ').collect();
            assert!((3..=8).contains(&words.len()), "{question}");
            assert!(
                words.iter().all(|word| sentence.contains(word) && !["of", "the", "are", "by"].contains(word)),
                "{question}"
            );
        }
        assert!(made > 30, "{made}");
    }

    #[test]
    fn a_chinese_question_has_no_spaces() {
        let bm25 = Bm25::new();
        let made: Vec<Made> = (0..50).filter_map(|n| question(Uuid::from_u128(n), CHINESE, &bm25)).collect();
        assert!(made.len() > 25, "{}", made.len());
        for Made { question, sentence } in made {
            assert!(sentence.starts_with("北方集群") && !question.contains(' ') && question.chars().count() >= 6, "{question}");
        }
    }

    #[test]
    fn what_says_nothing_makes_none() {
        let bm25 = Bm25::new();
        for nothing in ["", "...", "Of the and to.", "| --- | --- |", "short one here"] {
            assert_eq!(question(Uuid::from_u128(1), nothing, &bm25), None, "{nothing}");
        }
    }

    proptest! {
        #[test]
        fn any_text_makes_the_same_question_each_time(text in "\\PC{0,200}", id in any::<u128>()) {
            let bm25 = Bm25::new();
            let made = question(Uuid::from_u128(id), &text, &bm25);
            prop_assert_eq!(&made, &question(Uuid::from_u128(id), &text, &bm25));
            if let Some(Made { question, sentence }) = made {
                prop_assert!(text.contains(&sentence) && question.len() <= sentence.len() + 8, "{question} / {sentence}");
            }
        }
    }
}
