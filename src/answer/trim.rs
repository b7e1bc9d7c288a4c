//! Passages trimmed to the sentences that fit the question: fewer tokens for the model, from more passages.
//!
//! A sentence counts by the question's words in it, in what stands around it (three reaches) and by its passage's place in the ranking,
//! and what stands beside a good one counts, too; the best are kept until the budget is used up, or what follows is too far behind the
//! best ([`floor`]). No model is asked, and nothing of the index is another: what comes back are parts of passages, byte for byte, and
//! of a larger budget never less than of a smaller one.
//!
//! The weights and how many passages are looked at were chosen with a model of this in Python on 300 questions of `SQuAD` 2 whose articles
//! were put together as documents of 30 KB, with the answers' sentences marked; [`REACHES`]' first, [`BESIDE`] and [`LOWER`] on these
//! and on 374 questions of COVID-QA, whose documents are whole papers. See README for what it does on Chroma's sets.

use std::collections::{BTreeMap, HashMap};
use std::ops::Range;

use super::duplicates::DedupedHit;
use crate::chunk::sentences;
use crate::document::SparseVector;
use crate::language::Language;
use crate::vectordb::bm25::Bm25;

/// How far around a sentence is looked, in bytes on either side, and what the words there count.
const REACHES: [(usize, f32); 4] = [(0, 0.35), (120, 0.3), (300, 0.4), (600, 0.3)];
/// What the passage's place in the ranking counts.
const RANKING: f32 = 0.8;
/// How fast that fades with each place.
const PLACE: f32 = 0.1;
/// An answer runs on: a sentence counts at least so much of the better one beside it.
const BESIDE: f32 = 0.8;
/// A sentence of a smaller share of the best one's score is left out, where the budget is [`USUAL`] or less.
const BEHIND: f32 = 0.6;
/// The budget, in tokens, from which on more of it also means that sentences that fit less are wanted.
const USUAL: f32 = 800.0;
/// What the share falls with each doubling from there: who grants more would rather read on than miss something.
const LOWER: f32 = 0.03;
/// How much a repetition adds (BM25 k1), and below how much a long stretch is held against its words (b).
const K1: f32 = 1.2;
const B: f32 = 0.75;

/// A sentence of a passage.
struct Sentence {
    /// Its passage's place in the ranking.
    passage: usize,
    /// Its bytes there.
    bytes: Range<usize>,
    /// Which of the question's words are in it, by their place in the question.
    words: Vec<usize>,
}

/// The parts of passages, best passages first, that fit the question best and have at most `tokens` tokens together, unless the best
/// sentence alone has more. Where no passage has a word of the question, their order decides. CPU work.
pub(super) fn trimmed(
    question: &SparseVector,
    found: &[DedupedHit],
    tokens: usize,
    count: &dyn Fn(&str) -> usize,
) -> Vec<DedupedHit> {
    let bm25 = Bm25::new();
    let all: Vec<Sentence> = found.iter().enumerate().flat_map(|(passage, hit)| split(question, passage, hit, &bm25)).collect();
    let scores = scored(question, &all);
    let mut order: Vec<usize> = (0..all.len()).collect();
    let score = |n: usize| scores.get(n).copied().unwrap_or_default();
    order.sort_by(|a, b| score(*b).total_cmp(&score(*a)).then(a.cmp(b)));
    let least = floor(tokens) * order.first().map_or(0.0, |best| score(*best));
    let mut kept: BTreeMap<usize, Vec<Range<usize>>> = BTreeMap::new();
    let mut seen: Vec<(&str, Range<u64>)> = Vec::new();
    let mut left = tokens;
    for n in order {
        let (Some(sentence), true) = (all.get(n), score(n) >= least) else { break };
        let Some(hit) = found.get(sentence.passage).map(|found| &found.hit.passage) else { continue };
        let place = hit.start + sentence.bytes.start as u64..hit.start + sentence.bytes.end as u64;
        // Passages may overlap.
        if seen.iter().any(|(uri, other)| *uri == hit.uri && other.start < place.end && place.start < other.end) {
            continue;
        }
        let cost = count(hit.text.get(sentence.bytes.clone()).unwrap_or_default());
        if cost > left && !kept.is_empty() {
            break;
        }
        left = left.saturating_sub(cost);
        kept.entry(sentence.passage).or_default().push(sentence.bytes.clone());
        seen.push((&hit.uri, place));
    }
    kept.into_iter().filter_map(|(passage, parts)| found.get(passage).map(|hit| runs(hit, parts))).flatten().collect()
}

/// The share of the best one's score that a sentence must have. It never rises with the budget, so that what a smaller one keeps a larger
/// one keeps, too.
fn floor(tokens: usize) -> f32 {
    (BEHIND - LOWER * (tokens as f32 / USUAL).log2().max(0.0)).max(0.0)
}

fn split(question: &SparseVector, passage: usize, found: &DedupedHit, bm25: &Bm25) -> Vec<Sentence> {
    let text = &found.hit.passage.text;
    let language = Language::of(text);
    let of = |bytes: Range<usize>| {
        let terms = bm25.passage_in(language, text.get(bytes.clone()).unwrap_or_default()).indices;
        let asked = question.indices.iter().enumerate();
        let words = asked.filter(|(_, term)| terms.binary_search(term).is_ok()).map(|(n, _)| n).collect();
        Sentence { passage, bytes, words }
    };
    sentences(text).into_iter().map(of).collect()
}

/// How well each sentence fits, from 0 to about 2.
fn scored(question: &SparseVector, all: &[Sentence]) -> Vec<f32> {
    let rarity: Vec<f32> = (0..question.indices.len())
        .map(|word| {
            let having = all.iter().filter(|sentence| sentence.words.contains(&word)).count() as f32;
            let weight = question.values.get(word).copied().unwrap_or_default();
            weight * ((all.len() as f32 - having + 0.5) / (having + 0.5)).ln_1p()
        })
        .collect();
    let mut scores: Vec<f32> = all.iter().map(|sentence| RANKING / (1.0 + PLACE * sentence.passage as f32)).collect();
    for (reach, weight) in REACHES {
        let stretches: Vec<Range<usize>> = (0..all.len()).map(|n| around(all, n, reach)).collect();
        let length = |stretch: &Range<usize>| {
            let part = all.get(stretch.clone()).unwrap_or_default();
            part.last().map_or(0, |last| last.bytes.end) - part.first().map_or(0, |first| first.bytes.start)
        };
        let usual = stretches.iter().map(length).sum::<usize>() as f32 / all.len().max(1) as f32;
        let by_words = |stretch: &Range<usize>| {
            let mut times: HashMap<usize, f32> = HashMap::new();
            for word in all.get(stretch.clone()).unwrap_or_default().iter().flat_map(|sentence| &sentence.words) {
                *times.entry(*word).or_default() += 1.0;
            }
            let norm = K1 * (1.0 - B + B * length(stretch) as f32 / usual);
            let part = |(word, times): (usize, f32)| rarity.get(word).copied().unwrap_or_default() * times / (times + norm);
            // In order, so that the sum is always the same.
            let times: BTreeMap<usize, f32> = times.into_iter().collect();
            times.into_iter().map(part).sum::<f32>()
        };
        let values: Vec<f32> = stretches.iter().map(by_words).collect();
        let best = values.iter().copied().fold(0.0, f32::max);
        if best > 0.0 {
            scores.iter_mut().zip(values).for_each(|(score, value)| *score += weight * value / best);
        }
    }
    (0..all.len()).map(|n| lifted(all, &scores, n)).collect()
}

/// The score of a sentence, or what the better of its neighbours leaves it.
fn lifted(all: &[Sentence], scores: &[f32], n: usize) -> f32 {
    let passage = all.get(n).map(|sentence| sentence.passage);
    let beside = |other: &usize| all.get(*other).map(|sentence| sentence.passage) == passage;
    let neighbours = [n.checked_sub(1), Some(n + 1)].into_iter().flatten().filter(beside);
    let of = |n: usize| scores.get(n).copied().unwrap_or_default();
    neighbours.map(|other| BESIDE * of(other)).fold(of(n), f32::max)
}

/// The sentences of the same passage that begin or end so near.
fn around(all: &[Sentence], n: usize, reach: usize) -> Range<usize> {
    let Some(here) = all.get(n) else { return n..n };
    let same = |other: &&Sentence| other.passage == here.passage;
    let before = all.get(..n).unwrap_or_default().iter().rev().take_while(same);
    let after = all.get(n + 1..).unwrap_or_default().iter().take_while(same);
    let before = before.take_while(|other| here.bytes.start.saturating_sub(other.bytes.start) <= reach).count();
    let after = after.take_while(|other| other.bytes.end.saturating_sub(here.bytes.end) <= reach).count();
    n - before..n + 1 + after
}

/// The kept parts of a passage, those with nothing but blanks between them as one.
fn runs(found: &DedupedHit, mut parts: Vec<Range<usize>>) -> Vec<DedupedHit> {
    let text = &found.hit.passage.text;
    parts.sort_by_key(|part| part.start);
    parts.dedup_by(|next, last| {
        let touches = text.get(last.end..next.start).is_some_and(|gap| gap.trim().is_empty());
        if touches {
            last.end = next.end;
        }
        touches
    });
    let whole = |n: usize, part: Range<usize>| {
        let mut cut = found.clone();
        let passage = &mut cut.hit.passage;
        let lines = |text: Option<&str>| text.map_or(0, |text| text.matches('\n').count()) as u32;
        let first = passage.lines.0 + lines(text.get(..part.start));
        passage.lines = (first, first + lines(text.get(part.clone())));
        (passage.start, passage.end) = (passage.start + part.start as u64, passage.start + part.end as u64);
        text.get(part).unwrap_or_default().clone_into(&mut passage.text);
        if n > 0 {
            cut.copies.clear();
        }
        cut
    };
    parts.into_iter().enumerate().map(|(n, part)| whole(n, part)).collect()
}

#[cfg(test)]
#[allow(clippy::indexing_slicing, clippy::string_slice, reason = "a failed test panics")]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::answer::samples;

    fn words(text: &str) -> usize {
        text.split_whitespace().map(|word| word.chars().count().div_ceil(6)).sum()
    }

    fn of(question: &str, passages: &[(&str, u64, &str)], tokens: usize) -> Vec<DedupedHit> {
        let lines = |text: &str| (1, 1 + text.matches('\n').count() as u32);
        let made = |(uri, start, text): &(&str, u64, &str)| {
            let mut found = samples::hit();
            let passage = &mut found.hit.passage;
            (passage.uri, passage.text) = ((*uri).to_owned(), (*text).to_owned());
            (passage.start, passage.end, passage.lines) = (*start, *start + text.len() as u64, lines(text));
            found
        };
        let found: Vec<DedupedHit> = passages.iter().map(made).collect();
        trimmed(&Bm25::new().query(question), &found, tokens, &words)
    }

    fn texts(found: &[DedupedHit]) -> Vec<&str> {
        found.iter().map(|found| found.hit.passage.text.as_str()).collect()
    }

    const KEYS: &str = "The warehouse has three gates. Trucks wait at the second one.\n\nSigning keys are rotated every month. The old key \
                        still decrypts for a week. Nothing is said to the drivers. Lunch is at noon, and coffee is free for all of them.";

    #[test]
    fn the_sentences_that_answer_are_kept_with_their_places() {
        let found = of("How often are signing keys rotated?", &[("a.md", 100, KEYS)], 12);
        assert!(texts(&found)[0].starts_with("Signing keys are rotated every month."), "{found:?}");
        let passage = &found[0].hit.passage;
        let start = KEYS.find("Signing").unwrap_or_default();
        assert_eq!((passage.start, passage.lines.0), (100 + start as u64, 3));
        let chinese = "仓库有三个门。卡车在第二个门等候。\n签名密钥每月轮换一次。午饭在中午。司机可以免费喝咖啡。";
        let found = of("签名密钥多久轮换一次？", &[("甲.md", 0, chinese)], 3);
        assert_eq!(texts(&found), ["签名密钥每月轮换一次。"]);
    }

    #[test]
    fn a_large_budget_keeps_what_fits_alone() {
        let found = of("How often are signing keys rotated?", &[("a.md", 0, KEYS), ("b.md", 0, "Coffee is free.")], 10_000);
        assert!(!texts(&found).concat().contains("Coffee") && texts(&found).concat().contains("rotated"), "{found:?}");
    }

    #[test]
    fn what_two_passages_share_comes_once() {
        let found =
            of("signing keys", &[("a.md", 0, "Signing keys are kept."), ("a.md", 0, "Signing keys are kept. And old.")], 100);
        assert_eq!(texts(&found).concat().matches("Signing keys").count(), 1, "{found:?}");
    }

    #[test]
    fn without_a_word_in_common_the_first_passages_stay() {
        let found = of("???", &[("a.md", 0, "One thing. Another."), ("b.md", 0, "More.")], 100);
        assert_eq!(texts(&found)[0], "One thing. Another.");
    }

    #[test]
    fn what_a_larger_budget_is_ready_for_falls_smoothly() {
        assert!([1, 600, 800].map(floor).iter().all(|share| (share - BEHIND).abs() < 1e-6));
        let falling: Vec<f32> = (800..100_001).step_by(50).map(floor).collect();
        assert!(falling.windows(2).all(|pair| pair[1] <= pair[0] && pair[0] - pair[1] < 0.01), "{falling:?}");
        assert!((floor(3200) - 0.54).abs() < 1e-6 && falling.iter().all(|share| *share > 0.0));
    }

    #[test]
    fn what_stands_beside_a_good_one_in_its_passage_counts_too() {
        let at = |passage, start| Sentence { passage, bytes: start..start + 9, words: Vec::new() };
        let all = [at(0, 0), at(0, 10), at(0, 20), at(1, 0)];
        let scores = [0.1, 0.2, 1.0, 0.3];
        let expected = [BESIDE * 0.2, BESIDE, 1.0, 0.3];
        for (n, expected) in expected.into_iter().enumerate() {
            let score = lifted(&all, &scores, n);
            assert!((score - expected).abs() < 1e-6, "{n}: {score}");
        }
    }

    proptest! {
        #[test]
        fn a_larger_budget_keeps_all_that_a_smaller_one_keeps(
            passages in proptest::collection::vec("([a-f]{1,6}[ .\n]{1,2}){1,40}[a-f]", 1..6), question in "([a-f]{1,4} ){1,4}",
            small in 1_usize..2000, more in 0_usize..4000,
        ) {
            // The first two are parts of one document that overlap.
            let named: Vec<(String, u64, &str)> =
                passages.iter().enumerate().map(|(n, text)| (format!("{}.md", n / 2), 9 * (n % 2) as u64, text.as_str())).collect();
            let given: Vec<(&str, u64, &str)> = named.iter().map(|(uri, start, text)| (uri.as_str(), *start, *text)).collect();
            // Budgets of both kinds: those that few words use up, and those where only the floor decides.
            for scale in [40, 1] {
                let (few, many) = (of(&question, &given, small.div_ceil(scale)), of(&question, &given, (small + more).div_ceil(scale)));
                for part in &few {
                    let within = |other: &DedupedHit| {
                        let (part, other) = (&part.hit.passage, &other.hit.passage);
                        other.uri == part.uri && other.start <= part.start && part.end <= other.end
                    };
                    prop_assert!(many.iter().any(within), "{:?} is not in {:?}", part.hit.passage.text, texts(&many));
                }
            }
        }

        #[test]
        fn every_part_is_one_of_a_passage_within_the_budget(
            passages in proptest::collection::vec("([a-d]{1,6}[ .\n]{1,2}){1,30}[a-d]", 1..6), question in "([a-d]{1,4} ){1,4}", tokens in 1_usize..60,
        ) {
            let named: Vec<(String, u64, &str)> = passages.iter().enumerate().map(|(n, text)| (format!("{n}.md"), 7, text.as_str())).collect();
            let given: Vec<(&str, u64, &str)> = named.iter().map(|(uri, start, text)| (uri.as_str(), *start, *text)).collect();
            let found = of(&question, &given, tokens);
            prop_assert!(!found.is_empty());
            for part in &found {
                let passage = &part.hit.passage;
                let (_, _, whole) = given.iter().find(|(uri, ..)| *uri == passage.uri).copied().unwrap_or_default();
                let (start, end) = (passage.start as usize - 7, passage.end as usize - 7);
                prop_assert_eq!(&whole[start..end], passage.text.as_str());
                let before = whole[..start].matches('\n').count() as u32;
                prop_assert_eq!(passage.lines, (1 + before, 1 + before + passage.text.matches('\n').count() as u32));
            }
            let places: Vec<&str> = found.iter().map(|part| part.hit.passage.uri.as_str()).collect();
            prop_assert!(places.is_sorted(), "in the order of the ranking");
            let cost: usize = texts(&found).iter().map(|text| words(text)).sum();
            prop_assert!(cost <= tokens || found.len() == 1, "{cost} of {tokens}");
        }
    }
}
