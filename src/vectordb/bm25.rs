//! BM25 weights as sparse vectors. The store multiplies in the inverse document frequency when it is asked.

use std::borrow::Cow;

use qdrant_edge::TokenizerType;
use qdrant_edge::bm25_embed::{EdgeBm25, EdgeBm25Config};

use crate::document::SparseVector;

/// Turns text into BM25 vectors: the engine's own formula, stemmer and stop words (English), over words; and over pairs of
/// neighbouring characters in scripts that write no spaces.
///
/// The engine's `Multilingual` tokenizer segments Chinese with a dictionary, but guesses the language anew for each text, so
/// that a question may be cut otherwise than the passage it asks for, and it drops every number. Pairs need no guess.
#[derive(Debug)]
pub struct Bm25 {
    engine: EdgeBm25,
}

impl Bm25 {
    /// Loads stemmer and stop words. Make one and share it.
    pub fn new() -> Self {
        let config = EdgeBm25Config {
            tokenizer: TokenizerType::Word,
            // "cafe" finds "café".
            ascii_folding: Some(true),
            ..EdgeBm25Config::default()
        };
        match EdgeBm25::new(config) {
            Ok(engine) => Self { engine },
            Err(error) => unreachable!("the engine refuses its own defaults: {error}"),
        }
    }

    /// The weights of a passage's terms; empty for a text without words.
    pub fn passage(&self, text: &str) -> SparseVector {
        let vector = self.engine.embed_document(&spaced(text));
        SparseVector { indices: vector.indices, values: vector.values }
    }

    /// The terms of a question; empty for a text without words.
    pub fn query(&self, text: &str) -> SparseVector {
        let vector = self.engine.embed_query(&spaced(text));
        SparseVector { indices: vector.indices, values: vector.values }
    }
}

impl Default for Bm25 {
    fn default() -> Self {
        Self::new()
    }
}

/// Writes every run of characters of a script without spaces as its overlapping pairs ("向量库" as "向量 量库"), set off from
/// what surrounds it. A run of one character stays as it is.
fn spaced(text: &str) -> Cow<'_, str> {
    if !text.chars().any(is_unspaced) {
        return Cow::Borrowed(text);
    }
    let mut out = String::with_capacity(text.len() * 2);
    let mut before = None; // the last character of the run so far
    let mut paired = false; // whether the run has had a pair
    for c in text.chars() {
        if is_unspaced(c) {
            match before {
                None => out.push(' '),
                Some(b) => {
                    out.push(b);
                    out.push(c);
                    out.push(' ');
                    paired = true;
                }
            }
            before = Some(c);
        } else {
            end_run(&mut out, before.take(), std::mem::take(&mut paired));
            out.push(c);
        }
    }
    end_run(&mut out, before, paired);
    Cow::Owned(out)
}

fn end_run(out: &mut String, last: Option<char>, paired: bool) {
    if let (Some(c), false) = (last, paired) {
        out.push(c);
        out.push(' ');
    }
}

/// Letters of scripts that write no spaces between words: Thai, Lao, Burmese, Khmer, Kana, Han. (Korean writes spaces, but
/// glues particles to its nouns: pairs serve it better, too.)
fn is_unspaced(c: char) -> bool {
    matches!(c,
        '\u{0E01}'..='\u{0E4E}' | '\u{0E81}'..='\u{0ECD}' | '\u{1000}'..='\u{109F}' | '\u{1780}'..='\u{17D3}'
        | '\u{3005}'..='\u{3007}' | '\u{3041}'..='\u{30FA}' | '\u{30FC}'..='\u{30FF}' | '\u{31F0}'..='\u{31FF}'
        | '\u{3400}'..='\u{4DBF}' | '\u{4E00}'..='\u{9FFF}' | '\u{AC00}'..='\u{D7A3}' | '\u{F900}'..='\u{FAFF}'
        | '\u{20000}'..='\u{323AF}')
        && c.is_alphanumeric()
}

#[cfg(test)]
#[allow(clippy::indexing_slicing, reason = "tests may panic")]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn pairs_of_characters_stand_for_words() {
        assert_eq!(spaced("plain words"), "plain words");
        assert_eq!(spaced("用Qdrant的向量库"), " 用 Qdrant 的向 向量 量库 ");
        assert_eq!(spaced("猫"), " 猫 ");
        assert_eq!(spaced("カメラ、猫"), " カメ メラ 、 猫 ");
    }

    #[test]
    fn a_question_meets_the_passage_that_has_its_words() {
        let bm25 = Bm25::new();
        let shared = |query: &str, passage: &str| {
            let passage = bm25.passage(passage).indices;
            bm25.query(query).indices.iter().filter(|i| passage.contains(i)).count()
        };
        assert_eq!(shared("running engines", "The engine ran; it runs on."), 2, "stemmed");
        assert_eq!(shared("the of and", "the end of it and all"), 0, "stop words are no terms");
        assert_eq!(shared("HTTP 503", "it answered 503 over http"), 2, "numbers are terms");
        assert_eq!(shared("cafe", "Le Café"), 1, "accents fold");
        assert_eq!(shared("数据库", "这是一个向量数据库。"), 2);
        assert_eq!(shared("天气", "这是一个向量数据库。"), 0);
        assert_eq!(shared("テスト", "これはテストです"), 2);
    }

    #[test]
    fn a_text_without_words_gives_an_empty_vector() {
        let bm25 = Bm25::new();
        for text in ["", "  \n", "— … ()", "the"] {
            assert_eq!(bm25.passage(text), SparseVector::default(), "{text:?}");
            assert_eq!(bm25.query(text), SparseVector::default(), "{text:?}");
        }
    }

    #[test]
    fn repeated_terms_weigh_more_but_never_in_proportion() {
        let bm25 = Bm25::new();
        let once = bm25.passage("zebra").values[0];
        let thrice = bm25.passage("zebra zebra zebra").values[0];
        assert!(thrice > once && thrice < 3.0 * once, "{once} {thrice}");
    }

    proptest! {
        #[test]
        fn vectors_are_well_formed(text in any::<String>()) {
            let bm25 = Bm25::new();
            for vector in [bm25.passage(&text), bm25.query(&text)] {
                prop_assert_eq!(vector.indices.len(), vector.values.len());
                prop_assert!(vector.indices.is_sorted_by(|a, b| a < b), "ascending and unique");
                prop_assert!(vector.values.iter().all(|v| v.is_finite() && *v > 0.0));
            }
        }
    }
}
