//! BM25 weights as sparse vectors. The store multiplies in the inverse document frequency when it is asked.
//!
//! Stems are Snowball's, stop words NLTK's, letters fold as in Lucene, and a term's id is its 32-bit murmur3 without the sign: term for
//! term what Qdrant's own BM25 makes (compared letter by letter with qdrant-edge 0.7.2; what came out is kept in a test).

use std::borrow::Cow;
use std::collections::{BTreeMap, HashMap, HashSet};
use std::sync::OnceLock;

use asciifolding::fold_to_ascii;
use murmur3_32::Murmur3;
use rust_stemmers::{Algorithm, Stemmer};

use super::terms::Terms;
use crate::document::SparseVector;
use crate::language::Language;
use crate::language::script::otherwise_written;

/// The length that counts as usual, in words without stop words. Chunks have some 50 to 200; a smaller figure lets repetition
/// count for less. Of 64, 100, 128 and 256 it did best over English abstracts, Python functions and Chinese paragraphs together.
const USUAL_LENGTH: f64 = 100.0;
/// Sets the ids of stems apart from those of words: "general" is a word of its own, and the stem of "generally".
const STEM: u32 = 0x5bd1_e995 & 0x7fff_ffff;

/// The weight of a question's term that stands for another one, written otherwise: what is written as it was asked for comes first, and
/// whoever adds up what a question says leaves it out.
pub(crate) const OTHERWISE: f32 = 0.99;

/// So many words without meaning that are not English ones, too, say which language a question is in.
const FUNCTION_WORDS: usize = 2;

/// Saturation: how much a repetition adds (k1).
const SATURATION: f64 = 1.2;
/// How much a long text is held against its terms (b).
const LENGTH_NORMALISATION: f64 = 0.75;

/// The languages that have a stemmer and stop words, English first.
const STEMMERS: [(&str, Algorithm); 17] = [
    ("en", Algorithm::English),
    ("ar", Algorithm::Arabic),
    ("da", Algorithm::Danish),
    ("de", Algorithm::German),
    ("el", Algorithm::Greek),
    ("es", Algorithm::Spanish),
    ("fi", Algorithm::Finnish),
    ("fr", Algorithm::French),
    ("hu", Algorithm::Hungarian),
    ("it", Algorithm::Italian),
    ("nb", Algorithm::Norwegian),
    ("nl", Algorithm::Dutch),
    ("pt", Algorithm::Portuguese),
    ("ro", Algorithm::Romanian),
    ("ru", Algorithm::Russian),
    ("sv", Algorithm::Swedish),
    ("tr", Algorithm::Turkish),
];

/// Turns text into BM25 vectors over the terms of [`super::terms`].
///
/// A word counts as it stands and by its stem. So exact words weigh more than other forms of them, and a question whose language
/// is taken for another still finds the words it has in common with a passage.
#[derive(Debug)]
pub struct Bm25 {
    /// In the order of [`STEMMERS`], each made when it is first needed.
    analyzers: [OnceLock<Analyzer>; STEMMERS.len()],
}

/// One language's stop words and stems.
struct Analyzer {
    stop_words: HashSet<Cow<'static, str>>,
    stemmer: Stemmer,
}

impl std::fmt::Debug for Analyzer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Analyzer").field("stop_words", &self.stop_words.len()).finish_non_exhaustive()
    }
}

impl Analyzer {
    fn new(code: &str, algorithm: Algorithm) -> Self {
        // NLTK has one list for both ways to write Norwegian.
        let listed = stop_words::lookup(if code == "nb" { "no" } else { code });
        let lower = |word: &&'static str| {
            let lower = word.to_lowercase();
            if lower == **word { Cow::Borrowed(*word) } else { Cow::Owned(lower) }
        };
        let stop_words = listed.unwrap_or_default().iter().map(lower).collect();
        Self { stop_words, stemmer: Stemmer::create(algorithm) }
    }

    /// The words of a text as they are compared: "Le Café" is "cafe", and stop words are none. Terms stand between spaces.
    fn words<'a>(&'a self, text: &'a str) -> impl Iterator<Item = Cow<'a, str>> {
        text.split_whitespace().filter_map(|term| self.word(term))
    }

    fn word<'a>(&self, term: &'a str) -> Option<Cow<'a, str>> {
        let folded = if term.is_ascii() { Cow::Borrowed(term) } else { Cow::Owned(fold_to_ascii(term)) };
        let is_lower = folded.bytes().all(|byte| byte.is_ascii() && !byte.is_ascii_uppercase());
        let word = if is_lower { folded } else { Cow::Owned(folded.to_lowercase()) };
        (!word.is_empty() && !self.stop_words.contains(&*word)).then_some(word)
    }

    fn stem<'a>(&self, word: Cow<'a, str>) -> Cow<'a, str> {
        self.stemmer.stem_cow(word)
    }
}

impl Bm25 {
    /// Loads nothing yet. Make one and share it.
    pub fn new() -> Self {
        Self { analyzers: [const { OnceLock::new() }; STEMMERS.len()] }
    }

    /// The weights of the terms of a passage whose language is not known.
    pub fn passage(&self, text: &str) -> SparseVector {
        self.passage_in(None, text)
    }

    /// The weights of a passage's terms; empty for a text without words. Without a language, or with one that has no stemmer, its
    /// words are taken for English ones.
    pub fn passage_in(&self, language: Option<Language>, text: &str) -> SparseVector {
        let terms = Terms::of(text);
        let analyzer = self.analyzer(place(language));
        let words: Vec<_> = analyzer.words(&terms.words).collect();
        let stems: Vec<_> = words.iter().map(|word| analyzer.stem(Cow::Borrowed(word))).collect();
        let pairs = analyzer.words(&terms.pairs);
        let all: Vec<_> = words.iter().map(|word| Cow::Borrowed(&**word)).chain(pairs).collect();
        merged(weighed(&all), weighed(&stems))
    }

    /// The terms of a question; empty for a text without words. Where its language is not certain, stems are those of the
    /// likeliest language and of English, and the likeliest decides nothing else, unless words without meaning speak for it.
    pub fn query(&self, text: &str) -> SparseVector {
        let Terms { words, pairs } = Terms::of(text);
        let Reading { analyzer, places } = self.reading(text, &words);
        let terms: Vec<&str> = words.split_whitespace().filter(|term| analyzer.word(term).is_some()).collect();
        let otherwise = in_the_other_script(&pairs);
        let otherwise = analyzer.words(&otherwise).map(|word| (id(&word), OTHERWISE));
        let whole = terms.iter().filter_map(|term| analyzer.word(term)).chain(analyzer.words(&pairs));
        let stems = places
            .iter()
            .map(|place| self.analyzer(*place))
            .flat_map(|other| terms.iter().filter_map(|term| analyzer.word(term)).map(|word| other.stem(word)));
        // Each counts once, whatever its number.
        merged(whole.map(|word| (id(&word), 1.0)).chain(otherwise), stems.map(|stem| (id(&stem), 1.0)))
    }

    /// The words of a question that passages with these terms lack, in the question's order: those that stand there neither as they
    /// are nor by a stem. Of scripts without spaces, the characters of which no pair is there.
    pub fn lacking(&self, question: &str, passages: &HashSet<u32>) -> Vec<String> {
        let Terms { words, pairs } = Terms::of(question);
        let Reading { analyzer, places } = self.reading(question, &words);
        let mut lacking: Vec<String> = Vec::new();
        for term in words.split_whitespace() {
            let Some(word) = analyzer.word(term) else { continue };
            let by_stem = places.iter().any(|place| passages.contains(&(id(&self.analyzer(*place).stem(word.clone())) ^ STEM)));
            if !by_stem && !passages.contains(&id(&word)) && !lacking.iter().any(|other| other.eq_ignore_ascii_case(term)) {
                lacking.push(term.to_owned());
            }
        }
        let is_there = |pair: &str| analyzer.word(pair).is_none_or(|pair| passages.contains(&id(&pair)));
        let has = |pair: &str| is_there(pair) || otherwise_written(pair).iter().any(|other| is_there(other));
        for run in runs(&pairs, has) {
            if !lacking.contains(&run) {
                lacking.push(run);
            }
        }
        lacking
    }

    /// By which languages a question is read, whose words are these.
    fn reading(&self, text: &str, words: &str) -> Reading<'_> {
        let likely = place(Language::guess(text));
        let english = self.analyzer(0);
        // Of a few words of technology ("docker compose up fails") trigrams know nothing, and say so or not.
        let speak_for_it = words.split_whitespace().filter(|term| english.word(term).is_some());
        let speak_for_it = speak_for_it.filter(|term| self.analyzer(likely).word(term).is_none()).count();
        let is_certain = speak_for_it >= FUNCTION_WORDS || is_of_another_script(words);
        let places = if likely == 0 {
            vec![0]
        } else if is_certain {
            vec![likely]
        } else {
            vec![0, likely]
        };
        Reading { analyzer: if is_certain { self.analyzer(likely) } else { english }, places }
    }

    fn analyzer(&self, place: usize) -> &Analyzer {
        let (Some(analyzer), Some((code, algorithm))) = (self.analyzers.get(place), STEMMERS.get(place)) else {
            unreachable!("places are those of the table")
        };
        analyzer.get_or_init(|| Analyzer::new(code, *algorithm))
    }
}

/// Pairs of characters in the other script of Chinese: who asks for `機房` means the `机房` of a document, too. Passages have them as they
/// are written, so that an index of either answers both.
fn in_the_other_script(pairs: &str) -> String {
    let mut others = String::new();
    for other in pairs.split_whitespace().flat_map(otherwise_written) {
        others.push_str(&other);
        others.push(' ');
    }
    others
}

/// How a question is read.
struct Reading<'a> {
    /// Which of its words mean something.
    analyzer: &'a Analyzer,
    /// Whose stems are looked for.
    places: Vec<usize>,
}

/// Of the characters that overlapping pairs are made of, the runs that no pair covers which is there.
fn runs(pairs: &str, has: impl Fn(&str) -> bool) -> Vec<String> {
    let mut found = Vec::new();
    let (mut lacking, mut before) = (String::new(), None);
    // The first character of a pair that goes on from the one before is that one's second.
    let mut covered = true;
    for pair in pairs.split_whitespace() {
        let (Some(first), last) = (pair.chars().next(), pair.chars().next_back()) else { continue };
        let goes_on = before == Some(first);
        if !goes_on {
            if !covered {
                lacking.extend(before);
            }
            found.extend(Some(std::mem::take(&mut lacking)).filter(|run| !run.is_empty()));
            covered = false;
        }
        let is_there = has(pair);
        if is_there || covered {
            found.extend(Some(std::mem::take(&mut lacking)).filter(|run| !run.is_empty()));
        } else {
            lacking.push(first);
        }
        (covered, before) = (is_there, last);
        if pair.chars().nth(1).is_none() {
            // One character alone: all of it is said.
            (covered, before) = (true, None);
        }
    }
    if !covered {
        lacking.extend(before);
    }
    found.extend(Some(lacking).filter(|run| !run.is_empty()));
    found
}

/// Whether most letters are none of the Latin script, so that the script says which stemmer is meant.
fn is_of_another_script(words: &str) -> bool {
    let letters = || words.chars().filter(|c| c.is_alphabetic());
    letters().filter(|c| *c > '\u{24F}').count() * 2 > letters().count()
}

/// The weight of each term of a text by how often it stands there: `tf (k1 + 1) / (tf + k1 (1 - b + b length / usual length))`
/// (Robertson and Zaragoza 2009, "The Probabilistic Relevance Framework: BM25 and Beyond", without the IDF).
fn weighed(terms: &[Cow<'_, str>]) -> impl Iterator<Item = (u32, f32)> {
    let mut frequencies: HashMap<&str, u32> = HashMap::new();
    for term in terms {
        *frequencies.entry(term).or_default() += 1;
    }
    let norm = 1.0 - LENGTH_NORMALISATION + LENGTH_NORMALISATION * terms.len() as f64 / USUAL_LENGTH;
    let weight = move |frequency: u32| {
        let frequency = f64::from(frequency);
        (frequency * (SATURATION + 1.0) / SATURATION.mul_add(norm, frequency)) as f32
    };
    frequencies.into_iter().map(move |(term, frequency)| (id(term), weight(frequency))).collect::<Vec<_>>().into_iter()
}

/// The inverse document frequency, as Qdrant has it: `ln((n - df + 0.5) / (df + 0.5) + 1)`.
pub(crate) fn idf(points: f64, frequency: f64) -> f32 {
    ((points - frequency + 0.5) / (frequency + 0.5) + 1.0).ln() as f32
}

/// The id of a term in a sparse vector.
fn id(term: &str) -> u32 {
    Murmur3::hash(0, term).cast_signed().unsigned_abs()
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
fn merged(words: impl Iterator<Item = (u32, f32)>, stems: impl Iterator<Item = (u32, f32)>) -> SparseVector {
    let mut weights: BTreeMap<u32, f32> = BTreeMap::new();
    for (id, value) in words.chain(stems.map(|(id, value)| (id ^ STEM, value))) {
        let weight = weights.entry(id).or_default();
        *weight = weight.max(value);
    }
    let (indices, values) = weights.into_iter().unzip();
    SparseVector { indices, values }
}

#[cfg(test)]
#[allow(clippy::indexing_slicing, clippy::unwrap_used, reason = "tests may panic")]
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
        // The scripts of Chinese are one.
        assert_eq!((shared("數據庫", "这是一个向量数据库。"), shared("数据库", "這是一個向量數據庫。")), (2, 2));
        let passage: HashSet<u32> = bm25.passage("会议室预订").indices.into_iter().collect();
        assert_eq!(bm25.lacking("會議室預訂 機房", &passage), ["機房"]);
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

    /// Of a few words of technology, trigrams guess anything: Portuguese, Dutch, German.
    #[test]
    fn an_unreliable_guess_decides_nothing() {
        let bm25 = Bm25::new();
        for question in [
            "docker compose up fails",
            "man page die",
            "com port",
            "no route to host",
            "kubectl get pods",
            "was ist nginx",
            "ssh key permission denied",
            "terraform plan destroy",
            "as number lookup",
            "sed in place",
            "npm install hat",
        ] {
            let passage = bm25.passage_in(Some(Language::ENGLISH), question);
            assert_eq!(shared(&bm25.query(question), &passage), passage.indices.len(), "{question}");
        }
        // Where words speak for a language, it is that one, however short the question.
        let german = bm25.passage_in(Language::from_code("de"), "Die Häuser der alten Städte");
        assert_eq!(shared(&bm25.query("die Häuser der Stadt"), &german), 3, "a word, its stem, and another's stem");
        assert!(bm25.query("die Häuser der Stadt").indices.len() <= 4, "words without meaning are no terms");
        let russian = bm25.passage_in(Language::from_code("ru"), "Ключи меняются каждые тридцать дней");
        assert!(shared(&bm25.query("Как часто меняются ключи docker?"), &russian) >= 1);
    }

    #[test]
    fn what_a_passage_lacks_is_said_in_the_words_of_the_question() {
        let bm25 = Bm25::new();
        let lacking = |question: &str, passage: &str| {
            bm25.lacking(question, &bm25.passage(passage).indices.into_iter().collect()).join(" ")
        };
        assert_eq!(lacking("How are the Signing keys rotated?", "A key is rotating"), "Signing");
        assert_eq!(lacking("rotate rotate ROTATE keys", "nothing"), "rotate keys");
        assert_eq!(lacking("the of and", "nothing"), "");
        assert_eq!(lacking("密钥如何轮换", "密钥在这里"), "如何轮换");
        assert_eq!(lacking("密钥如何轮换", "每月轮换一次"), "密钥如何");
        assert_eq!(lacking("密钥轮换", "密钥轮换"), "");
        assert_eq!(lacking("备份 密钥 E0382", "密钥"), "E0382 备份");
        assert_eq!(lacking("是", "密钥"), "是");
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

    /// Indexes hold these vectors: what they are must not change unnoticed. They were compared with Qdrant's own BM25 (qdrant-edge
    /// 0.7.2) in all 17 languages, letter by letter up to U+FFFF and over generated prose; what came out then is kept here as a checksum.
    #[test]
    fn vectors_are_what_indexes_hold() {
        let text = "The Houses' engines were running: getUserName(x) in read_to_string, E0382, v1.95.0 (HTTP 503). Straße, Häuser, \
            l'été à la mer, ñandú, çocuk ışığı İstanbul, μεγάλη πόλη, быстрые поезда, المدينة الكبيرة, ungen og ungene, \
            ＡＢＣ１２３ 这是一个向量数据库。カメラのテスト 한국어의 단어";
        let bm25 = Bm25::new();
        let mut hash = blake3::Hasher::new();
        for (code, _) in STEMMERS {
            let vector = bm25.passage_in(Language::from_code(code), text);
            hash.update(&(vector.indices.len() as u64).to_le_bytes());
            for (index, value) in vector.indices.iter().zip(&vector.values) {
                hash.update(&index.to_le_bytes());
                hash.update(&value.to_le_bytes());
            }
        }
        assert!(hash.finalize().to_hex().starts_with("1a84944377df2c7cd139f8fb84e25f54"), "{}", hash.finalize().to_hex());
    }
}
