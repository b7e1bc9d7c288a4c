//! Chooses one cut: the best border within the window that the token limit leaves.

use std::ops::Range;

use super::outline::{Outline, strength};
use super::prose;
use crate::tokenizer::TokenMap;

pub(super) struct Cutter<'a> {
    pub map: &'a TokenMap<'a>,
    pub outline: &'a Outline,
    /// Cut by token count alone.
    pub tokens_only: bool,
}

/// The most that a border between rows is docked: above a border between words it stays.
const WHOLE_ROW: i32 = strength::ROW as i32 - strength::WORD as i32 - 2;

/// The best border so far.
///
/// Among equals the one whose following text has the highest hash wins, not the last one: so cuts depend on content rather than
/// on where the chunk began, and after an edit they fall back into step within a chunk or two.
#[derive(PartialEq, Eq, PartialOrd, Ord)]
struct Choice {
    score: i32,
    hash: u32,
    at: usize,
}

/// What a border is docked for leaving its chunk poorly filled, by byte offset.
struct Penalties {
    eighth: usize,
    three_eighths: usize,
    half: usize,
    /// Beyond it there is no room left for the overlap.
    roomy: usize,
}

impl Penalties {
    /// A chunk below an eighth is an orphan: only where nothing else can be. Below three eighths, a paragraph's end is
    /// worth less than a sentence's end in a full chunk, and a top-level definition's more.
    fn at(&self, byte: usize) -> i32 {
        if byte < self.eighth {
            150
        } else if byte < self.three_eighths {
            72
        } else if byte < self.half {
            24
        } else if byte > self.roomy {
            8
        } else {
            0
        }
    }
}

impl Cutter<'_> {
    /// Where to cut `range` so that what comes before has some `budget` tokens at most, counted in the whole text's tokens:
    /// the piece counted alone may have a few more. `reserve` tokens are better left free. `None` when the range is one
    /// character, which is never cut.
    ///
    /// Looks at the window's text once, or a constant number of times.
    pub(super) fn best(&self, range: Range<usize>, budget: usize, reserve: usize) -> Option<usize> {
        let first = self.map.before(range.start);
        let end_of = |tokens: usize| self.map.end_of(first + tokens).clamp(range.start, range.end);
        let limit = self.limit(&range, first, budget);
        let penalties = Penalties {
            eighth: end_of(budget / 8),
            three_eighths: end_of(budget * 3 / 8),
            half: end_of(budget / 2),
            roomy: end_of(budget.saturating_sub(reserve)),
        };
        if self.tokens_only {
            return self.plain(&range, limit, budget);
        }
        let mut best = self.best_line(&range, limit, &penalties);
        let from = penalties.three_eighths.min(limit);
        let within = if self.has_prose(from..limit) { strength::SENTENCE } else { strength::WORD };
        if best.as_ref().is_none_or(|best| best.score < within.into()) {
            prose::borders(self.map.text(), from..limit, |at, strength| {
                let strength = if strength == strength::SENTENCE && !self.is_prose(at) { strength::WORD } else { strength };
                let score = i32::from(strength) - penalties.at(at);
                self.consider(&mut best, &range, at, score);
            });
        }
        // An orphan is worse than a cut inside a word.
        let best = best.filter(|best| best.score >= strength::GRAPHEME.into());
        best.map(|best| best.at).or_else(|| self.plain(&range, limit, budget))
    }

    /// The last byte at which a cut may lie.
    fn limit(&self, range: &Range<usize>, first: usize, budget: usize) -> usize {
        let tail = budget / 4;
        let total = self.map.before_near(range.end, first, budget + tail + 1) - first;
        // What is left after the cut shall not be an orphan either.
        let tokens = if total > budget && total < budget + tail && !self.tokens_only { total - tail } else { budget };
        let limit = self.map.end_of(first + tokens.max(1)).clamp(range.start, range.end);
        let blocks = &self.outline.blocks;
        let block = blocks.get(blocks.partition_point(|block| block.end <= limit));
        let limit = match block.filter(|block| block.start < limit && !self.tokens_only) {
            Some(block) => {
                let start = block.start.max(range.start);
                let from = self.map.before(start);
                let fits = self.map.before_near(block.end, from, budget + 1) - from <= budget;
                match (fits, block.start > range.start) {
                    (true, true) => block.start,
                    (true, false) => block.end.min(range.end),
                    (false, _) => limit,
                }
            }
            None => limit,
        };
        // Blanks that follow cost nothing: no chunk ends with them.
        let rest = self.map.text().get(limit..range.end).unwrap_or_default();
        limit + (rest.len() - rest.trim_start().len())
    }

    fn best_line(&self, range: &Range<usize>, limit: usize, penalties: &Penalties) -> Option<Choice> {
        let lines = &self.outline.lines;
        let upper = lines.partition_point(|line| line.start as usize <= limit);
        let mut best: Option<Choice> = None;
        for line in lines.get(..upper).unwrap_or_default().iter().rev() {
            let at = line.start as usize;
            let penalty = penalties.at(at);
            let hopeless = best.as_ref().is_some_and(|best| best.score > i32::from(strength::HEADING) - penalty);
            if at <= range.start || hopeless {
                break;
            }
            // A row that fits is not cut, however little its chunk then holds.
            let of_row = line.strength == strength::ROW && self.outline.is_in_rows(at);
            let penalty = if of_row { penalty.min(WHOLE_ROW) } else { penalty };
            self.consider(&mut best, range, at, i32::from(line.strength) - penalty);
        }
        best
    }

    fn consider(&self, best: &mut Option<Choice>, range: &Range<usize>, at: usize, score: i32) {
        let inside = at > range.start && at < range.end;
        if !inside || best.as_ref().is_some_and(|best| best.score > score) {
            return;
        }
        let choice = Choice { score, hash: hash_of(self.map.text(), at), at };
        if best.as_ref().is_none_or(|best| *best < choice) && prose::is_grapheme_border(self.map.text(), at) {
            *best = Some(choice);
        }
    }

    /// A cut at the limit, moved down to a border between words or graphemes; at least one character.
    fn plain(&self, range: &Range<usize>, limit: usize, budget: usize) -> Option<usize> {
        let text = self.map.text();
        let middle = range.start + (range.end - range.start) / 2;
        let limit = if limit >= range.end { text.floor_char_boundary(middle) } else { limit };
        let inside = |at: &usize| *at > range.start && *at < range.end;
        if self.tokens_only && inside(&limit) && prose::is_grapheme_border(text, limit) {
            return Some(limit);
        }
        if let Some((at, _)) = prose::last_fine_border(text, range.start..limit).filter(|(at, _)| inside(at)) {
            return Some(at);
        }
        // One grapheme goes beyond the limit. Counted alone it may have fewer tokens; else it has to be cut.
        let mut after = text.get(range.clone()).unwrap_or_default().char_indices().skip(1).map(|(i, _)| range.start + i);
        let character = after.clone().next();
        let grapheme = after.by_ref().take(32).find(|at| prose::is_grapheme_border(text, *at));
        let grapheme = grapheme.filter(|at| self.map.count(range.start..*at) <= budget);
        grapheme.or(Some(limit)).filter(inside).or(character)
    }

    /// Where a repetition of the end of a chunk may begin in `range`, the best first: sentences and lines of their own, then
    /// lines inside a paragraph, then words; of each kind the first few.
    pub(super) fn openings(&self, range: Range<usize>) -> Vec<usize> {
        const EACH: usize = 3;
        let mut kinds: [Vec<usize>; 3] = Default::default();
        let mut add = |kind: usize, at: usize| {
            if let Some(kind) = kinds.get_mut(kind).filter(|kind| kind.len() < EACH)
                && prose::is_grapheme_border(self.map.text(), at)
            {
                kind.push(at);
            }
        };
        let lines = &self.outline.lines;
        let first = lines.partition_point(|line| (line.start as usize) < range.start);
        let inside = lines.get(first..).unwrap_or_default().iter().take_while(|line| (line.start as usize) < range.end);
        // Never below the header of a table without the table.
        for line in inside.filter(|line| line.strength > strength::GLUED && line.strength != strength::RULE) {
            let own = !line.prose || line.strength >= strength::SENTENCE;
            add(usize::from(!own), line.start as usize);
        }
        prose::borders(self.map.text(), range, |at, strength| {
            // The end of a row does not stand below the names of its columns.
            if self.outline.is_in_rows(at) {
                return;
            }
            if strength == strength::SENTENCE && self.is_prose(at) {
                add(0, at);
            } else if strength >= strength::IDEOGRAPH {
                add(2, at);
            }
        });
        for kind in &mut kinds {
            kind.sort_unstable();
        }
        kinds.concat()
    }

    fn has_prose(&self, range: Range<usize>) -> bool {
        let lines = &self.outline.lines;
        let first = lines.partition_point(|line| line.start as usize <= range.start).saturating_sub(1);
        let inside = lines.get(first..).unwrap_or_default().iter().take_while(|line| (line.start as usize) < range.end);
        inside.into_iter().any(|line| line.prose)
    }

    fn is_prose(&self, byte: usize) -> bool {
        let lines = &self.outline.lines;
        let upper = lines.partition_point(|line| line.start as usize <= byte);
        upper.checked_sub(1).and_then(|i| lines.get(i)).is_some_and(|line| line.prose)
    }
}

/// A hash of what follows a border: FNV-1a, its bits mixed once more since the order of the hashes is what matters.
fn hash_of(text: &str, at: usize) -> u32 {
    let following = text.as_bytes().get(at..).unwrap_or_default();
    let fnv =
        following.iter().take(32).fold(0x811c_9dc5, |hash: u32, byte| (hash ^ u32::from(*byte)).wrapping_mul(0x0100_0193));
    (fnv ^ (fnv >> 15)).wrapping_mul(0x2c1b_3c6d) ^ (fnv >> 12)
}
