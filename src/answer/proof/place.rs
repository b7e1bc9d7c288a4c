//! Where values stand: what surrounds one that an answer says, against what surrounds those of a source.

use std::ops::Range;

use rust_stemmers::Stemmer;

use super::reading::Reading;

/// Steps to each side that must agree without a gap.
const FLANK: usize = 6;
/// Steps between a word and a value beyond which they have nothing to do with each other.
const FAR: usize = 40;

/// A claim seen from one source: its words are the source's, where that has them.
#[derive(Debug)]
pub(super) struct View<'a> {
    pub(super) claim: &'a Reading,
    pub(super) source: &'a Reading,
    /// The source's word of each step of the claim.
    pub(super) words: Vec<Option<usize>>,
    /// For each sentence of the source, how much of the claim it says.
    overlaps: Vec<f32>,
}

impl<'a> View<'a> {
    pub(super) fn new(claim: &'a Reading, source: &'a Reading, stemmer: &Stemmer) -> Self {
        let word = |step: &super::reading::Step| source.word(stemmer, claim.tokens.get(step.token)?);
        let words: Vec<Option<usize>> = claim.steps.iter().map(word).collect();
        let mut overlaps = vec![0.0; source.sentences.len()];
        let mut seen = Vec::new();
        for word in words.iter().flatten() {
            if seen.contains(word) {
                continue;
            }
            seen.push(*word);
            let Some(known) = source.words.get(*word) else { continue };
            let mut last = usize::MAX;
            for step in &known.at {
                let sentence = source.steps.get(*step).map_or(usize::MAX, |step| step.sentence);
                if sentence != last
                    && let Some(overlap) = overlaps.get_mut(sentence)
                {
                    *overlap += known.weight;
                }
                last = sentence;
            }
        }
        Self { claim, source, words, overlaps }
    }

    /// How much of the claim a sentence of the source says.
    pub(super) fn overlap(&self, sentence: usize) -> f32 {
        self.overlaps.get(sentence).copied().unwrap_or_default()
    }

    /// How much of the claim there is to be said.
    pub(super) fn whole(&self) -> f32 {
        let mut seen: Vec<usize> = Vec::new();
        let mut whole = 0.0;
        for step in &self.claim.steps {
            if !seen.contains(&step.word) {
                seen.push(step.word);
                whole += self.claim.words.get(step.word).map_or(0.0, |word| word.weight);
            }
        }
        whole
    }

    /// The weight of what stands without a gap on both sides of both places, and whether there is any on each side.
    pub(super) fn flanks(&self, said: &Range<usize>, found: &Range<usize>) -> (f32, f32) {
        let (Some(mine), Some(its)) = (self.claim.sentence_of(said.start), self.source.sentence_of(found.start)) else {
            return (0.0, 0.0);
        };
        let agree = |claim: usize, source: usize| {
            let word = self.words.get(claim).copied().flatten()?;
            let there = self.source.steps.get(source).filter(|step| step.word == word)?;
            self.source.words.get(there.word).map(|word| word.weight)
        };
        let (mut left, mut right) = (0.0, 0.0);
        for back in 1..=FLANK {
            let claim = said.start.checked_sub(back).filter(|at| *at >= mine.start);
            let source = found.start.checked_sub(back).filter(|at| *at >= its.start);
            match (claim, source) {
                // Both begin their sentences here.
                (None, None) => {
                    left += 1.0;
                    break;
                }
                (Some(claim), Some(source)) => match agree(claim, source) {
                    Some(weight) => left += weight,
                    None => break,
                },
                _ => break,
            }
        }
        for ahead in 0..FLANK {
            let claim = Some(said.end + ahead).filter(|at| *at < mine.end);
            let source = Some(found.end + ahead).filter(|at| *at < its.end);
            match (claim, source) {
                (None, None) => {
                    right += 1.0;
                    break;
                }
                (Some(claim), Some(source)) => match agree(claim, source) {
                    Some(weight) => right += weight,
                    None => break,
                },
                _ => break,
            }
        }
        (left, right)
    }

    /// How near the claim's other words stand to a place in the source, as they do to the place in the claim.
    pub(super) fn context(&self, said: &Range<usize>, found: &Range<usize>) -> f32 {
        let Some(sentence) = self.source.steps.get(found.start).map(|step| step.sentence) else { return 0.0 };
        let distance = |range: &Range<usize>, at: usize| {
            if at < range.start { range.start - at } else { (at + 1).saturating_sub(range.end) }
        };
        let mut score = 0.0;
        let around = said.start.saturating_sub(FAR)..said.end.saturating_add(FAR);
        for (at, word) in self.words.iter().enumerate().take(around.end).skip(around.start) {
            if said.contains(&at) {
                continue;
            }
            let Some(known) = word.and_then(|word| self.source.words.get(word)) else { continue };
            let from = known.at.partition_point(|step| step + FAR < found.start);
            let near = known.at.iter().skip(from).take_while(|step| **step < found.end + FAR);
            let nearest = near.filter(|step| !found.contains(step)).map(|step| {
                let apart = match self.source.steps.get(*step).map(|step| step.sentence) {
                    Some(its) if its == sentence => 1.0,
                    Some(its) if its + 1 == sentence => 0.4,
                    _ => 0.1,
                };
                apart / (1.0 + distance(found, *step) as f32 / 8.0)
            });
            let nearest = nearest.fold(0.0_f32, f32::max);
            // What stands everywhere tells of no place.
            let rare = 1.0 / (known.at.len() as f32).sqrt();
            score += known.weight * rare * nearest / (1.0 + distance(said, at) as f32 / 8.0);
        }
        score
    }
}
