//! A follow-up question where no model rewrites it: the words of the questions before count in the search, too, each turn back less.
//!
//! nDCG@10 with potion on MTRAG's follow-ups (206 of 56 conversations over the 1,488 passages that their repository has, by a model of this
//! search in Python), last turn alone, human rewrites, as here: .602, .642, .651 on the half of the conversations on which [`FADING`]
//! and [`FULL`] were chosen (so were 338 of MTRAG-UN: .774, unknown, .839), .630, .648, .646 on the other half. Questions that stand
//! alone after others on other subjects lose nothing: `XQuAD` English .978 and .977, Chinese by words .952 and .950.

use crate::document::SparseVector;

/// What a word of the question before counts beside one of the question itself; one of the question before that, this times this.
const FADING: f32 = 0.3;
/// A question of so many words or fewer leaves most to what was said before; one of twice as many half as much.
const FULL: f32 = 4.0;
/// Questions that are looked at: what lies further back counts nothing any more.
const TURNS: usize = 4;

/// What is searched for: a question, and those before it where their words are to count.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Sought<'a> {
    /// The question.
    pub text: &'a str,
    /// Those before, oldest first; none where the question stands alone.
    pub before: &'a [String],
}

impl<'a> From<&'a str> for Sought<'a> {
    fn from(text: &'a str) -> Self {
        Self { text, before: &[] }
    }
}

impl<'a> Sought<'a> {
    /// The same with another text of the question.
    pub fn with(self, text: &'a str) -> Self {
        Self { text, ..self }
    }

    /// The newest of the questions before, as far as they count.
    pub fn newest(self) -> &'a [String] {
        self.before.get(self.before.len().saturating_sub(TURNS)..).unwrap_or_default()
    }
}

/// The words of a question, those of the questions before it beside them: `before` comes oldest first. A word counts as what it counts
/// for most. A question without a word ("???") leaves the search to its meaning, as ever.
pub(super) fn carried(question: &str, words: SparseVector, before: &[SparseVector]) -> SparseVector {
    if words.indices.is_empty() || before.is_empty() {
        return words;
    }
    // A word of a script with spaces counts twice, as it stands and by its stem.
    let of_each = if is_spaced(question) { 2.0 } else { 1.0 };
    let count = words.indices.len() as f32 / of_each;
    let fading = FADING * (FULL / count).min(1.0);
    let mut all: Vec<(u32, f32)> = words.indices.into_iter().zip(words.values).collect();
    for (turn, earlier) in (1..).zip(before.iter().rev()) {
        let share = fading.powi(turn);
        all.extend(earlier.indices.iter().zip(&earlier.values).map(|(term, weight)| (*term, share * weight)));
    }
    // The first of equal terms is the one that counts for most.
    all.sort_by(|a, b| a.0.cmp(&b.0).then(b.1.total_cmp(&a.1)));
    all.dedup_by_key(|(term, _)| *term);
    let (indices, values) = all.into_iter().unzip();
    SparseVector { indices, values }
}

/// Whether most of its letters are of scripts that write spaces between words.
fn is_spaced(text: &str) -> bool {
    let is_unspaced = |c: &char| matches!(c, '\u{e00}'..='\u{eff}' | '\u{3041}'..='\u{30ff}' | '\u{3400}'..='\u{9fff}' | '\u{20000}'..='\u{3ffff}');
    let letters = || text.chars().filter(|c| c.is_alphanumeric());
    2 * letters().filter(is_unspaced).count() <= letters().count()
}

#[cfg(test)]
#[allow(clippy::indexing_slicing, reason = "a failed test panics")]
mod tests {
    use std::collections::HashMap;

    use proptest::prelude::*;

    use super::*;
    use crate::vectordb::bm25::Bm25;

    fn weights(question: &str, before: &[&str]) -> HashMap<u32, f32> {
        let bm25 = Bm25::new();
        let before: Vec<SparseVector> = before.iter().map(|text| bm25.query(text)).collect();
        let SparseVector { indices, values } = carried(question, bm25.query(question), &before);
        assert!(indices.is_sorted_by(|a, b| a < b), "{indices:?}");
        indices.into_iter().zip(values).collect()
    }

    /// What the terms of a text count, at least and at most.
    fn of(text: &str, weights: &HashMap<u32, f32>) -> (f32, f32) {
        let terms = Bm25::new().query(text).indices;
        let found = || terms.iter().map(|term| weights.get(term).copied().unwrap_or(0.0));
        (found().fold(f32::INFINITY, f32::min), found().fold(0.0, f32::max))
    }

    #[test]
    fn a_short_follow_up_takes_words_from_the_questions_before() {
        let found = weights("And how often?", &["What does the warehouse store?", "How are keys rotated?"]);
        assert_eq!(of("often", &found), (1.0, 1.0));
        assert_eq!(of("keys rotated", &found), (FADING, FADING), "the question before");
        assert_eq!(of("warehouse", &found), (FADING * FADING, FADING * FADING), "the one before that");
        let found = weights("多久一次？", &["密钥如何轮换？"]);
        assert_eq!(of("多久", &found), (1.0, 1.0));
        assert!((FADING * 0.5..=FADING).contains(&of("密钥", &found).1), "{found:?}");
    }

    #[test]
    fn the_more_a_question_says_the_less_is_taken() {
        let long = "Which port does the Lantern server listen on after an upgrade of its certificates?";
        let found = weights(long, &["How are keys rotated?"]);
        assert!(of("keys", &found).1 < FADING / 1.4, "{found:?}");
        let long = "升级证书之后灯笼服务器默认监听在哪一个端口上面？";
        assert!(of("密钥", &weights(long, &["密钥如何轮换？"])).1 < FADING / 3.0);
    }

    #[test]
    fn a_question_alone_is_as_it_was() {
        let bm25 = Bm25::new();
        let words = bm25.query("How are keys rotated?");
        assert_eq!(carried("How are keys rotated?", words.clone(), &[]), words);
        let nothing = SparseVector::default();
        assert_eq!(carried("???", nothing.clone(), &[words]), nothing);
        let before: Vec<String> = (0..9).map(|n| n.to_string()).collect();
        assert_eq!(Sought { text: "q", before: &before }.newest(), &before[9 - TURNS..]);
    }

    fn vector() -> impl Strategy<Value = SparseVector> {
        proptest::collection::btree_set(0..60_u32, 0..20).prop_map(|terms| {
            let values = vec![1.0; terms.len()];
            SparseVector { indices: terms.into_iter().collect(), values }
        })
    }

    proptest! {
        #[test]
        fn nothing_of_the_question_changes_and_all_else_counts_less(
            words in vector(), before in proptest::collection::vec(vector(), 0..5),
        ) {
            let made = carried("a question", words.clone(), &before);
            prop_assert!(made.indices.is_sorted_by(|a, b| a < b) && made.indices.len() == made.values.len());
            for (term, weight) in made.indices.iter().zip(&made.values) {
                if words.indices.contains(term) {
                    prop_assert!((*weight - 1.0).abs() < f32::EPSILON);
                } else {
                    prop_assert!(*weight > 0.0 && *weight <= FADING);
                    prop_assert!(before.iter().any(|earlier| earlier.indices.contains(term)));
                }
            }
            prop_assert!(words.indices.iter().all(|term| made.indices.contains(term)));
        }
    }
}
