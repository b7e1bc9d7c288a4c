//! BM25 weights as sparse vectors. The store multiplies in the inverse document frequency when it is asked.

use std::collections::BTreeMap;
use std::sync::OnceLock;

use qdrant_edge::bm25_embed::{EdgeBm25, EdgeBm25Config};
use serde_json::{Value, json};

use super::terms::Terms;
use crate::document::SparseVector;
use crate::language::Language;

/// The length that counts as usual, in words without stop words. Chunks have some 50 to 200; a smaller figure lets repetition
/// count for less. Of 64, 100, 128 and 256 it did best over English abstracts, Python functions and Chinese paragraphs together.
const USUAL_LENGTH: f64 = 100.0;
/// Sets the ids of stems apart from those of words: "general" is a word of its own, and the stem of "generally".
const STEM: u32 = 0x5bd1_e995 & 0x7fff_ffff;

/// The languages that have a stemmer and stop words in the engine, English first.
const STEMMERS: [(&str, &str); 17] = [
    ("en", "english"),
    ("ar", "arabic"),
    ("da", "danish"),
    ("de", "german"),
    ("el", "greek"),
    ("es", "spanish"),
    ("fi", "finnish"),
    ("fr", "french"),
    ("hu", "hungarian"),
    ("it", "italian"),
    ("nb", "norwegian"),
    ("nl", "dutch"),
    ("pt", "portuguese"),
    ("ro", "romanian"),
    ("ru", "russian"),
    ("sv", "swedish"),
    ("tr", "turkish"),
];

/// Turns text into BM25 vectors: the engine's own formula, stemmers and stop words, over the terms of [`super::terms`].
///
/// A word counts as it stands and by its stem. So exact words weigh more than other forms of them, and a question whose language
/// is taken for another still finds the words it has in common with a passage.
#[derive(Debug)]
pub struct Bm25 {
    /// In the order of [`STEMMERS`], each made when it is first needed.
    engines: [OnceLock<Engines>; STEMMERS.len()],
}

/// What one language needs.
#[derive(Debug)]
struct Engines {
    words: EdgeBm25,
    stems: EdgeBm25,
}

impl Engines {
    fn new(language: &str) -> Self {
        // Chinese has no stemmer: that is how the engine is told to leave words as they are.
        Self { words: engine("chinese", language), stems: engine(language, language) }
    }
}

fn engine(stemmer: &str, stop_words: &str) -> EdgeBm25 {
    let config: Value = json!({
        "avg_len": USUAL_LENGTH,
        "tokenizer": "whitespace",
        "language": stemmer,
        "stopwords": stop_words,
        // "cafe" finds "café".
        "ascii_folding": true,
    });
    let config = serde_json::from_value::<EdgeBm25Config>(config).map_err(|error| error.to_string());
    match config.and_then(|config| EdgeBm25::new(config).map_err(|error| error.to_string())) {
        Ok(engine) => engine,
        Err(error) => unreachable!("the engine knows no {stemmer} or {stop_words}: {error}"),
    }
}

impl Bm25 {
    /// Loads nothing yet. Make one and share it.
    pub fn new() -> Self {
        Self { engines: [const { OnceLock::new() }; STEMMERS.len()] }
    }

    /// The weights of the terms of a passage whose language is not known.
    pub fn passage(&self, text: &str) -> SparseVector {
        self.passage_in(None, text)
    }

    /// The weights of a passage's terms; empty for a text without words. Without a language, or with one that has no stemmer, its
    /// words are taken for English ones.
    pub fn passage_in(&self, language: Option<Language>, text: &str) -> SparseVector {
        let terms = Terms::of(text);
        let engines = self.engines(place(language));
        let words = engines.words.embed_document(&terms.all());
        let stems = engines.stems.embed_document(&terms.words);
        merged([words], [stems])
    }

    /// The terms of a question; empty for a text without words. Where its language is not certain, stems are those of the
    /// likeliest language and of English.
    pub fn query(&self, text: &str) -> SparseVector {
        let Terms { words, pairs } = Terms::of(text);
        let certain = Language::of(text).map(|language| place(Some(language)));
        let likely = certain.unwrap_or_else(|| place(Language::guess(text)));
        let mut places = vec![likely, certain.unwrap_or(0)];
        places.dedup();
        // A stop word of any of them: where one passage was taken for another language's, it alone has kept them, and as rare
        // words they would outweigh all others.
        let stops = |word: &str| places.iter().any(|place| self.engines(*place).words.embed_query(word).indices.is_empty());
        let words: String = words.split_inclusive(' ').filter(|word| !stops(word)).collect();
        let whole = self.engines(likely).words.embed_query(&format!("{words}{pairs}"));
        merged([whole], places.iter().map(|place| self.engines(*place).stems.embed_query(&words)))
    }

    fn engines(&self, place: usize) -> &Engines {
        let (Some(engines), Some((_, name))) = (self.engines.get(place), STEMMERS.get(place)) else {
            unreachable!("places are those of the table")
        };
        engines.get_or_init(|| Engines::new(name))
    }
}

impl Default for Bm25 {
    fn default() -> Self {
        Self::new()
    }
}

/// Where a language stands in [`STEMMERS`].
fn place(language: Option<Language>) -> usize {
    language.and_then(|language| STEMMERS.iter().position(|(code, _)| *code == language.code())).unwrap_or(0)
}

/// One vector of words and stems. Of equal terms (two stemmers, one stem) the heavier counts.
fn merged(
    words: impl IntoIterator<Item = qdrant_edge::SparseVector>,
    stems: impl IntoIterator<Item = qdrant_edge::SparseVector>,
) -> SparseVector {
    let mut weights: BTreeMap<u32, f32> = BTreeMap::new();
    let words = words.into_iter().map(|vector| (0, vector));
    for (kind, vector) in words.chain(stems.into_iter().map(|vector| (STEM, vector))) {
        for (index, value) in vector.indices.into_iter().zip(vector.values) {
            let weight = weights.entry(index ^ kind).or_default();
            *weight = weight.max(value);
        }
    }
    let (indices, values) = weights.into_iter().unzip();
    SparseVector { indices, values }
}

#[cfg(test)]
#[allow(clippy::indexing_slicing, reason = "tests may panic")]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_question_meets_the_passage_that_has_its_words() {
        let bm25 = Bm25::new();
        let shared = |query: &str, passage: &str| shared(&bm25.query(query), &bm25.passage(passage));
        assert_eq!(shared("running engines", "The engine ran; it runs on."), 2, "two stems, no word as it stands");
        assert_eq!(shared("running engines", "running engines"), 4, "words as they stand count for more");
        assert_eq!(shared("the of and", "the end of it and all"), 0, "stop words are no terms");
        assert_eq!(shared("HTTP 503", "it answered 503 over http"), 4, "numbers are terms");
        assert_eq!(shared("cafe", "Le Café"), 2, "accents fold");
        assert!(shared("E0382", "error[E0382]: borrow of moved value") > 0);
        assert!(shared("user name", "fn getUserName()") >= 4, "parts of an identifier");
        assert!(shared("get_user_name", "get_user_name()") > shared("get user name", "get_user_name()"), "and the whole");
        assert_eq!(shared("数据库", "这是一个向量数据库。"), 2);
        assert_eq!(shared("天气", "这是一个向量数据库。"), 0);
        assert_eq!(shared("テスト", "これはテストです"), 2);
    }

    /// How many terms two vectors share.
    fn shared(a: &SparseVector, b: &SparseVector) -> usize {
        a.indices.iter().filter(|index| b.indices.contains(index)).count()
    }

    #[test]
    fn each_language_has_its_own_stems() {
        let bm25 = Bm25::new();
        for (code, _) in STEMMERS {
            let language = Language::from_code(code);
            assert!(!bm25.passage_in(language, "Zebras 1234").indices.is_empty() && place(language) < STEMMERS.len(), "{code}");
        }
        let german = Language::from_code("de");
        assert_eq!(place(german), 3);
        let passage = bm25.passage_in(german, "Die Häuser der Städte");
        assert_eq!(passage.indices.len(), 4, "two words and two stems: German stop words are no terms");
        // Its language is certain.
        assert!(shared(&bm25.query("In welchen Häusern wohnen die Menschen der alten Stadt am Fluss?"), &passage) >= 1);
        // Too short to tell; yet the word is there.
        assert!(shared(&bm25.query("Häuser"), &passage) >= 1);
    }

    #[test]
    fn a_passage_of_unknown_language_does_not_answer_all_questions() {
        let bm25 = Bm25::new();
        let unknown = bm25.passage("de la que el en los las por con para");
        for question in ["¿Cuántos años tenía el rey de España?", "el precio de la vivienda"] {
            assert_eq!(shared(&bm25.query(question), &unknown), 0, "{question}");
        }
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

        /// Under one language, a quoted part of a passage is found by all of its terms.
        #[test]
        fn the_terms_of_a_part_are_terms_of_the_whole(before in "[a-zA-Z 文字]{0,30}", part in "[a-zA-Z0-9_.é 文字-]{0,30}") {
            let bm25 = Bm25::new();
            let whole = bm25.passage(&format!("{before} {part}"));
            let part = bm25.passage(&part);
            prop_assert_eq!(shared(&part, &whole), part.indices.len());
        }
    }
}
