//! Dedupes: of passages that say nearly the same the best is kept, so that eight passages are not eight copies.
//!
//! A passage is a copy of a better one when at least nine in ten of its runs of three words stand in the better one as well,
//! whatever the case, marks and spaces between. It adds nothing then, while a better one that is contained in it is left alone: the
//! rest may be the answer. So is a passage that holds a word of the question which the better one lacks ("the fee of customer
//! B"), one with a number or a date that the better one has not in that place (the fees of three years are three statements), and a
//! neighbour in the same document, which overlaps by design.

mod values;

use std::collections::HashMap;
use std::hash::BuildHasher as _;

use foldhash::fast::FixedState;
use serde::{Deserialize, Serialize};

use self::values::{SHINGLE, Value, Values, are_said, is_furniture, is_numeral, is_spelled};
use super::legs::Legs;
use crate::document::Hit;

/// One in so many of a copy's shingles may be its own.
const OWN: usize = 10;

/// A passage that was found, and those that say the same.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct DedupedHit {
    /// The best of them.
    pub hit: Hit,
    /// The others, best first.
    pub copies: Vec<Hit>,
    /// Where the best of them stood in each ranking.
    pub legs: Legs,
}

impl From<Hit> for DedupedHit {
    fn from(hit: Hit) -> Self {
        Self { hit, copies: Vec::new(), legs: Legs::default() }
    }
}

/// Dedupes hits that come best first. Takes time in proportion to their text, save where thousands share most of theirs.
pub fn dedupe(question: &str, hits: Vec<Hit>) -> Vec<DedupedHit> {
    let asked = ShingleSet::of(question).words;
    let sets: Vec<ShingleSet> = hits.iter().map(|hit| ShingleSet::of(&hit.passage.text)).collect();
    let shingles = sets.iter().map(|set| set.shingles.len()).sum();
    let mut frequency: HashMap<u64, usize, FixedState> = HashMap::with_capacity_and_hasher(shingles, FixedState::default());
    for shingle in sets.iter().flat_map(|set| &set.shingles) {
        *frequency.entry(*shingle).or_default() += 1;
    }
    let frequency = |shingle: &u64| frequency.get(shingle).copied().unwrap_or_default();
    let mut kept: Vec<(DedupedHit, ShingleSet)> = Vec::new();
    // Where each shingle of what is kept stands, of those that others have.
    let mut places: HashMap<u64, Vec<usize>, FixedState> = HashMap::default();
    for (hit, set) in hits.into_iter().zip(sets) {
        // Of a copy's shingles at most `own` are not in the better passage, hence one of any `own + 1` is: of the rarest, which few
        // passages share.
        let mut rarest: Vec<(usize, u64)> = set.shingles.iter().map(|shingle| (frequency(shingle), *shingle)).collect();
        if rarest.len() > set.own() {
            rarest.select_nth_unstable(set.own());
        }
        rarest.truncate(set.own() + 1);
        let mut better: Vec<usize> = rarest.iter().filter_map(|(_, shingle)| places.get(shingle)).flatten().copied().collect();
        better.sort_unstable();
        better.dedup();
        let original = better.into_iter().find(|place| {
            kept.get(*place).is_some_and(|(found, other)| set.is_copy_of(other, &asked) && !neighbours(&found.hit, &hit))
        });
        if let Some((found, _)) = original.and_then(|place| kept.get_mut(place)) {
            found.copies.push(hit);
            continue;
        }
        for shingle in set.shingles.iter().filter(|shingle| frequency(shingle) > 1) {
            places.entry(*shingle).or_default().push(kept.len());
        }
        kept.push((hit.into(), set));
    }
    kept.into_iter().map(|(found, _)| found).collect()
}

/// Whether two passages of one document overlap or touch.
fn neighbours(a: &Hit, b: &Hit) -> bool {
    if a.pipeline != b.pipeline {
        return false;
    }
    let (a, b) = (&a.passage, &b.passage);
    a.uri == b.uri && a.start <= b.end && b.start <= a.end
}

/// A text as what it is compared by: its shingles and its words, hashed, both of which ascend; and its values.
struct ShingleSet {
    shingles: Vec<u64>,
    words: Vec<u64>,
    values: Vec<Value>,
    /// The shingles in the text's order, where it has values.
    ordered: Vec<u64>,
}

impl ShingleSet {
    fn of(text: &str) -> Self {
        let (mut words, values) = words(text);
        let mut shingles: Vec<u64> = match words.len() {
            0 => Vec::new(),
            1..SHINGLE => vec![hash(&words)],
            _ => words.windows(SHINGLE).map(hash).collect(),
        };
        let values = values.among(shingles.len());
        let ordered = if values.is_empty() { Vec::new() } else { shingles.clone() };
        for list in [&mut words, &mut shingles] {
            list.sort_unstable();
            list.dedup();
        }
        Self { shingles, words, values, ordered }
    }

    /// Shingles of its own that a copy may have, at most.
    fn own(&self) -> usize {
        self.shingles.len() / OWN
    }

    fn is_copy_of(&self, other: &Self, asked: &[u64]) -> bool {
        let has = |list: &[u64], one: &u64| list.binary_search(one).is_ok();
        let own = self.shingles.iter().filter(|shingle| !has(&other.shingles, shingle)).count();
        let answers_more = || asked.iter().any(|word| has(&self.words, word) && !has(&other.words, word));
        let same_values = || are_said(&self.values, &self.ordered, &other.values, |shingle| has(&other.shingles, shingle));
        !self.shingles.is_empty() && own <= self.own() && !answers_more() && same_values()
    }
}

/// The words of a text, hashed, of scripts without spaces each character; and which of them are values.
fn words(text: &str) -> (Vec<u64>, Values) {
    let (mut words, mut values) = (Vec::new(), Values::default());
    for line in text.lines() {
        let before = values.len();
        line_of_words(line, &mut words, &mut values);
        if values.len() > before && is_furniture(line) {
            values.truncate(before);
        }
    }
    (words, values)
}

fn line_of_words(line: &str, words: &mut Vec<u64>, values: &mut Values) {
    let mut word = String::new();
    // Whether the word has a digit; and whether an address goes on, which holds numbers that are no statements.
    let (mut numeric, mut address) = (false, false);
    let end = |word: &mut String, numeric: &mut bool, address: bool, words: &mut Vec<u64>, values: &mut Values| {
        if !word.is_empty() {
            let hashed = hash(word.as_str());
            if (*numeric || is_spelled(hashed)) && !address {
                values.word(words.len(), hashed);
            }
            words.push(hashed);
            word.clear();
        }
        *numeric = false;
    };
    let mut rest = line.chars();
    while let Some(c) = rest.next() {
        if c.is_ascii_alphanumeric() {
            numeric |= c.is_ascii_digit();
            word.push(c.to_ascii_lowercase());
            continue;
        }
        let alone = is_written_without_spaces(c);
        if c.is_alphanumeric() && !alone {
            numeric |= c.is_numeric();
            word.extend(c.to_lowercase());
            continue;
        }
        end(&mut word, &mut numeric, address, words, values);
        if alone {
            let hashed = hash(&c);
            if is_numeral(c) {
                values.character(words.len(), hashed);
            }
            words.push(hashed);
        }
        address = match c {
            ':' => address || rest.as_str().starts_with("//"),
            ' ' | '\t' | ')' | '>' | '"' => false,
            _ => address && !alone,
        };
    }
    end(&mut word, &mut numeric, address, words, values);
}

/// Han, Kana, Thai, Lao and Khmer.
fn is_written_without_spaces(c: char) -> bool {
    matches!(c, '\u{e00}'..='\u{eff}' | '\u{1780}'..='\u{17ff}' | '\u{3040}'..='\u{30ff}' | '\u{3400}'..='\u{9fff}' | '\u{f900}'..='\u{faff}' | '\u{20000}'..='\u{3ffff}')
        && c.is_alphanumeric()
}

fn hash<T: std::hash::Hash + ?Sized>(value: &T) -> u64 {
    FixedState::default().hash_one(value)
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::indexing_slicing, clippy::string_slice, reason = "a failed test panics")]
mod tests {
    use proptest::prelude::*;
    use uuid::Uuid;

    use super::*;
    use crate::document::{Metadata, Passage};

    fn hit(n: u128, uri: &str, start: u64, text: &str) -> Hit {
        let end = start + text.len() as u64;
        let passage = Passage {
            columns: None,
            page: None,
            anchor: None,
            context: None,
            uri: uri.into(),
            start,
            end,
            lines: (1, 1),
            index: 0,
            title: None,
            headings: Vec::new(),
            text: text.into(),
            modified: 0,
            lang: None,
            source: None,
            metadata: Metadata::default(),
        };
        Hit { id: Uuid::from_u128(n), score: 1.0, passage, pipeline: None }
    }

    /// Hits of documents of their own, with these texts.
    fn hits(texts: &[&str]) -> Vec<Hit> {
        (0..).zip(texts).map(|(n, text)| hit(n, &format!("{n}.md"), 0, text)).collect()
    }

    /// For each passage that is kept, its number and those of its copies.
    fn deduped(question: &str, hits: Vec<Hit>) -> Vec<(u128, Vec<u128>)> {
        let numbers = |found: DedupedHit| (found.hit.id.as_u128(), found.copies.iter().map(|copy| copy.id.as_u128()).collect());
        dedupe(question, hits).into_iter().map(numbers).collect()
    }

    const LONG: &str = "Keys are rotated every ninety days. The old key works for another week, so that services can be restarted one \
                        after the other, and is then refused by every region.";

    #[test]
    fn copies_are_folded_into_the_best() {
        let shouted = LONG.to_uppercase().replace(' ', "\n  ");
        let edited = LONG.replace("every region", "every single region");
        let part = "The old key works for another week, so that services can be restarted one after the other";
        let other = "Keys are never rotated here. Ask the operators for another one, and they will send it by post some day.";
        let all = hits(&[LONG, other, &shouted, &edited, part, LONG]);
        assert_eq!(deduped("keys", all), [(0, vec![2, 3, 4, 5]), (1, vec![])]);
        let whole_after_part = hits(&[part, LONG]);
        assert_eq!(deduped("keys", whole_after_part).len(), 2, "the longer one says more");
    }

    #[test]
    fn chinese_is_compared_by_characters() {
        let text = "密钥每九十天轮换一次。旧密钥在一周内仍然有效，以便各项服务可以依次重新启动，然后会被所有区域拒绝。";
        let spaced = text.replace('，', " , ");
        let other = "证书每年更新一次。旧证书立即失效，所有服务必须在同一天重新启动，否则会被所有区域拒绝。";
        assert_eq!(deduped("密钥", hits(&[text, other, &spaced])), [(0, vec![2]), (1, vec![])]);
    }

    #[test]
    fn what_the_question_asks_for_is_not_folded_away() {
        let of = |customer: &str| LONG.replace("every region", &format!("the region of {customer}"));
        let (alice, bob) = (of("Alice"), of("Bob"));
        assert_eq!(deduped("when are keys rotated?", hits(&[&alice, &bob])), [(0, vec![1])]);
        assert_eq!(deduped("which region does Bob use?", hits(&[&alice, &bob])).len(), 2);
        assert_eq!(deduped("which region does Bob use?", hits(&[&bob, &alice])), [(0, vec![1])], "Alice is not asked for");
    }

    #[test]
    fn short_records_that_differ_in_a_word_stay() {
        let records =
            ["price of the pump: 100 euros", "price of the pump: 200 euros", "price of the pump: 100 euros", "…", "…"];
        assert_eq!(deduped("price", hits(&records)), [(0, vec![2]), (1, vec![]), (3, vec![]), (4, vec![])]);
    }

    const FEE: &str = "The monthly fee for a parking space in the harbour garage is 41 euros. It is due on the first working day of each \
                       month and is collected by direct debit, and whoever pays late by more than 14 days is charged a reminder fee.";

    #[test]
    fn another_number_or_date_is_another_statement() {
        let chinese =
            "港口车库的停车位月租费为四十一元。费用于每月第一个工作日通过银行自动扣款收取，逾期付款者将被收取催缴费。";
        for (text, changes) in [
            (FEE, &[("41", "52"), ("41", "forty"), ("first", "second"), ("14", "41"), ("41 euros", "14 euros")][..]),
            (chinese, &[("四十一", "五十二"), ("四十一", "一十四"), ("第一", "第二")]),
            ("Keys are rotated on 1 March 2024, and the old ones work for a week.", &[("March", "April"), ("2024", "2023")]),
        ] {
            for (said, instead) in changes {
                let other = text.replacen(said, instead, 1);
                let kept = deduped("what is the fee?", hits(&[text, &other, text, &other]));
                assert_eq!(kept, [(0, vec![2]), (1, vec![3])], "{said} → {instead}");
            }
        }
        // One figure of a long text, and figures that change places.
        let long = format!("{} {LONG} {LONG} {FEE}", LONG.repeat(20));
        assert_eq!(deduped("fee", hits(&[&long, &long.replace("41", "52")])).len(), 2);
        let two = format!("{FEE} {}", FEE.replace("41", "45").replace("harbour", "station"));
        let swapped = format!("{} {}", FEE.replace("41", "45"), FEE.replace("harbour", "station"));
        assert_eq!(deduped("fee", hits(&[&two, &swapped])).len(), 2);
    }

    #[test]
    fn the_same_statement_is_folded_whatever_stands_beside_it() {
        let base = format!("{FEE} {LONG}");
        for other in [
            base.replace("41 euros", "41\n euros"),
            base.replace("working day", "day of work"),
            FEE[..FEE.find(", and whoever").unwrap()].to_owned(),
            format!("{base}\n\nPage 3 of 12\n"),
            format!("Printed on 1 March 2024\n{base}"),
            format!("{base} https://example.org/fees?session=8371"),
        ] {
            assert_eq!(deduped("fee", hits(&[&base, &other])), [(0, vec![1])], "{other}");
        }
        // What the better one says besides is no matter.
        assert_eq!(deduped("fee", hits(&[&format!("{FEE} In 2025 it will be 60 euros."), FEE])), [(0, vec![1])]);
        let paged = |page: u32| format!("{FEE}\n第{page}页\n");
        assert_eq!(deduped("fee", hits(&[&paged(3), &paged(4)])), [(0, vec![1])]);
    }

    #[test]
    fn neighbours_are_left_to_be_joined() {
        let near = vec![hit(0, "a.md", 0, LONG), hit(1, "a.md", 100, LONG), hit(2, "a.md", 5000, LONG)];
        assert_eq!(deduped("keys", near), [(0, vec![2]), (1, vec![])]);
    }

    proptest! {
        /// The definition, said without any index.
        #[test]
        fn the_index_finds_what_comparing_all_finds(
            texts in prop::collection::vec(prop::collection::vec(0_usize..6, 0..40), 0..25),
            question in "[a-d ]{0,6}",
        ) {
            let texts: Vec<String> = texts
                .iter()
                .map(|words| words.iter().map(|word| ["a", "b", "c", "d", "1", "2"][*word]).collect::<Vec<_>>().join(" "))
                .collect();
            let all = hits(&texts.iter().map(String::as_str).collect::<Vec<_>>());
            let asked = ShingleSet::of(&question).words;
            let mut expected: Vec<(u128, Vec<u128>)> = Vec::new();
            for (n, text) in (0_u128..).zip(&texts) {
                let set = ShingleSet::of(text);
                let copy = expected.iter_mut().find(|(kept, _)| set.is_copy_of(&ShingleSet::of(&texts[*kept as usize]), &asked));
                match copy {
                    Some((_, copies)) => copies.push(n),
                    None => expected.push((n, Vec::new())),
                }
            }
            prop_assert_eq!(deduped(&question, all), expected);
        }
    }
}
