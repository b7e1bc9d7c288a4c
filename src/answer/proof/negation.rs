//! Negation: a claim denies what its source affirms, or the reverse, of the same words; or allows what that forbids, in either language.

use std::ops::Range;

use super::denial::{Denied, Rule, cancel, denials, is_manner, is_waived, key, restricts, rule};
use super::place::View;
use super::reading::{Reading, Script};

/// Of a claim's words, how many a sentence must share to say the same or its opposite.
const SHARED: f32 = 0.8;
/// A claim with less to say is too short to be taken for a sentence's opposite.
const LEAST: f32 = 2.0;
/// A sentence that says much more than the claim denies something else.
const LONGER: f32 = 2.5;

/// The tokens of the claim by which it says the opposite of what its source says.
pub(super) fn reversed(views: &[View<'_>], clause: &Range<usize>) -> Option<Range<usize>> {
    let claim = views.first()?.claim;
    // Of two sentences, one may deny what the other says.
    let is_one = claim.sentences.iter().any(|sentence| sentence.start <= clause.start && clause.end <= sentence.end);
    if !is_one {
        return None;
    }
    denied(views, clause).or_else(|| allowed(views, clause)).or_else(|| translated(views, clause))
}

/// What one denies and the other does not.
fn denied(views: &[View<'_>], clause: &Range<usize>) -> Option<Range<usize>> {
    let view = views.first()?;
    let (claim, whole) = (view.claim, view.whole());
    if whole < LEAST {
        return None;
    }
    let mut opposite = None;
    for view in views {
        for (at, sentence) in view.source.sentences.iter().enumerate() {
            let overlap = view.overlap(at);
            if overlap < SHARED * LEAST || overlap < SHARED * told(view, sentence).max(LEAST) {
                continue;
            }
            if weight(view.source, sentence) > LONGER * whole {
                return None;
            }
            let (mine, its) = (denials(claim, clause), denials(view.source, sentence));
            // What both deny says nothing of the rest.
            let both = |mine: &Denied, its: &Denied| are_same(view, &mine.words, &its.words);
            let (shared, mine): (Vec<_>, Vec<_>) = mine.into_iter().partition(|mine| its.iter().any(|its| both(mine, its)));
            let its: Vec<_> = its.into_iter().filter(|its| !shared.iter().any(|mine| both(mine, its))).collect();
            if cancel(claim, &mine) || cancel(view.source, &its) {
                return None;
            }
            match (mine.is_empty(), its.is_empty()) {
                (true, false) if !restricts(claim, clause, &|step| has(view, sentence, step)) => {
                    let only_denied = its.iter().filter(|denied| !is_said_too(view.source, sentence, denied, &its));
                    let may = rule(claim, clause).is_some_and(|(rule, _)| rule == Rule::Allows);
                    let only_denied = only_denied.filter(|denied| !(may && is_waived(view.source, denied)));
                    let found = only_denied.into_iter().find_map(|denied| affirmed(view, clause, denied));
                    opposite = Some(found.filter(|found| !is_denied_with(claim, &shared, found))?);
                }
                (false, true) if !restricts(view.source, sentence, &|step| is_said(view, clause, step)) => {
                    let found = mine.iter().find(|denied| says(view, sentence, &denied.words))?;
                    opposite = Some(tokens(claim, &(found.steps.start..found.words.end)));
                }
                // One that agrees is enough.
                _ => return None,
            }
        }
    }
    opposite
}

/// What one forbids and the other allows, in a word of its own: `prohibited`, `allowed`.
fn allowed(views: &[View<'_>], clause: &Range<usize>) -> Option<Range<usize>> {
    let claim = views.first()?.claim;
    let (mine, steps) = rule(claim, clause)?;
    let mut opposite = None;
    for view in views.iter().filter(|view| view.source.script == claim.script) {
        for (at, sentence) in view.source.sentences.iter().enumerate() {
            if view.overlap(at) < LEAST {
                continue;
            }
            let whole = told(view, sentence);
            if whole < LEAST || view.overlap(at) < whole || weight(view.source, sentence) > LONGER * whole {
                continue;
            }
            let (its, _) = rule(view.source, sentence)?;
            if its == mine || !is_plain(claim, clause) || !is_plain(view.source, sentence) {
                return None;
            }
            opposite = Some(tokens(claim, &steps));
        }
    }
    opposite
}

/// The same in the other language, of a sentence that has the claim's numbers and Latin names.
fn translated(views: &[View<'_>], clause: &Range<usize>) -> Option<Range<usize>> {
    let [view] = views else { return None };
    let (claim, source) = (view.claim, view.source);
    let other = matches!((claim.script, source.script), (Script::Han, Script::English) | (Script::English, Script::Han));
    let (mine, steps) = rule(claim, clause).filter(|_| other && is_plain(claim, clause))?;
    let mut found = source.sentences.iter().filter(|sentence| source.sentences.len() == 1 || is_of(view, clause, sentence));
    let sentence = found.next().filter(|_| found.next().is_none())?;
    let (its, _) = rule(source, sentence)?;
    (its != mine && is_short(source, sentence) && is_plain(source, sentence)).then(|| tokens(claim, &steps))
}

/// Whether a sentence has all values of a claim, of which there are some.
fn is_of(view: &View<'_>, clause: &Range<usize>, sentence: &Range<usize>) -> bool {
    let inside = |reading: &Reading, steps: &Range<usize>, tokens: &Range<usize>| {
        let its = reading.steps_of(tokens);
        its.start < steps.end && steps.start < its.end
    };
    let mut values = view.claim.values.iter().filter(|value| inside(view.claim, clause, &value.tokens)).peekable();
    values.peek().is_some()
        && values.all(|mine| {
            let mut its = view.source.values.iter().filter(|value| inside(view.source, sentence, &value.tokens));
            its.any(|its| its.against(mine) == super::number::Match::Same)
        })
}

/// Whether a sentence is about one thing.
fn is_short(reading: &Reading, sentence: &Range<usize>) -> bool {
    /// A clause or two.
    const MOST: f32 = 14.0;
    weight(reading, sentence) <= MOST
}

/// Whether some steps have one word of denial at most, and neither exception nor condition.
fn is_plain(reading: &Reading, steps: &Range<usize>) -> bool {
    denials(reading, steps).len() <= 1 && !limits(reading, steps)
}

/// Whether an exception or a condition stands in some steps, of which the rule may be.
fn limits(reading: &Reading, steps: &Range<usize>) -> bool {
    restricts(reading, steps, &|step| is_manner(reading, step))
        || steps.clone().filter(|step| !is_manner(reading, *step)).filter_map(|step| key(reading, step)).any(|(key, _)| {
            matches!(
                key,
                "if" | "when"
                    | "who"
                    | "which"
                    | "and"
                    | "or"
                    | "least"
                    | "most"
                    | "more"
                    | "less"
                    | "later"
                    | "exceed"
                    | "within"
            ) || "若如或但以超过足低高迟早最".contains(key)
        })
}

fn weight(reading: &Reading, steps: &Range<usize>) -> f32 {
    let steps = reading.steps.get(steps.clone()).unwrap_or_default();
    steps.iter().filter_map(|step| reading.words.get(step.word)).map(|word| word.weight).sum()
}

/// How much the claim tells beside the manner in which it does, as far as the sentence has not the same.
fn told(view: &View<'_>, sentence: &Range<usize>) -> f32 {
    let claim = view.claim;
    let mut manner: Vec<usize> = Vec::new();
    for (at, step) in claim.steps.iter().enumerate() {
        if is_manner(claim, at) && !has(view, sentence, at) && !manner.contains(&step.word) {
            manner.push(step.word);
        }
    }
    let manner: f32 = manner.iter().filter_map(|word| claim.words.get(*word)).map(|word| word.weight).sum();
    view.whole() - manner
}

/// Whether a sentence of the source has the word of a step of the claim.
fn has(view: &View<'_>, sentence: &Range<usize>, step: usize) -> bool {
    let Some(word) = view.words.get(step).copied().flatten() else { return false };
    view.source.words.get(word).is_some_and(|word| word.at.iter().any(|at| sentence.contains(at)))
}

/// Whether the claim has the word of a step of the source.
fn is_said(view: &View<'_>, clause: &Range<usize>, step: usize) -> bool {
    let word = view.source.steps.get(step).map(|step| step.word);
    view.words.get(clause.clone()).is_some_and(|words| words.contains(&word))
}

/// Whether steps of the claim and of the source are the same words.
fn are_same(view: &View<'_>, mine: &Range<usize>, its: &Range<usize>) -> bool {
    let its = view.source.steps.get(its.clone()).unwrap_or_default();
    view.words.get(mine.clone()).is_some_and(|mine| mine.iter().copied().eq(its.iter().map(|step| Some(step.word))))
}

/// Whether what both sides deny goes on to a place: `does not store or send`. It ends with a comma, and before what it describes.
fn is_denied_with(claim: &Reading, shared: &[Denied], place: &Range<usize>) -> bool {
    let ends = |at: usize| claim.tokens.get(at).is_some_and(|token| matches!(&*token.key, "," | ";" | "的" | "but"));
    shared.iter().any(|denied| {
        let steps = tokens(claim, &denied.steps);
        let begin = claim.tokens.get(steps.start).map(|token| &*token.key);
        steps.start < place.start && begin != Some("without") && !(steps.start..place.start).any(ends)
    })
}

fn tokens(reading: &Reading, steps: &Range<usize>) -> Range<usize> {
    let token = |step: usize| reading.steps.get(step).map_or(0, |step| step.token);
    token(steps.start)..token(steps.end.saturating_sub(1)) + 1
}

/// Where the claim says what the source denies.
fn affirmed(view: &View<'_>, clause: &Range<usize>, denied: &Denied) -> Option<Range<usize>> {
    let wanted: Vec<usize> = view.source.steps.get(denied.words.clone())?.iter().map(|step| step.word).collect();
    let words = view.words.get(clause.clone()).filter(|_| !wanted.is_empty())?;
    let at = words.windows(wanted.len()).position(|window| window.iter().zip(&wanted).all(|(a, b)| *a == Some(*b)))?;
    let begin = clause.start + at;
    Some(tokens(view.claim, &(begin..begin + wanted.len())))
}

/// Whether a sentence says what it denies as well: `must be changed every month; whoever does not change it …`.
fn is_said_too(source: &Reading, sentence: &Range<usize>, denied: &Denied, all: &[Denied]) -> bool {
    let words = |steps: Range<usize>| source.steps.get(steps).unwrap_or_default().iter().map(|step| step.word);
    let length = denied.words.len();
    let ends = (sentence.start..=sentence.end).filter(|_| length > 0);
    ends.filter_map(|end| Some(end.checked_sub(length).filter(|begin| *begin >= sentence.start)?..end)).any(|steps| {
        let is_denied = all.iter().any(|other| other.words.start < steps.end && steps.start < other.words.end);
        !is_denied && words(steps).eq(words(denied.words.clone()))
    })
}

/// Whether a sentence of the source says these words of the claim.
fn says(view: &View<'_>, sentence: &Range<usize>, words: &Range<usize>) -> bool {
    let Some(wanted) = view.words.get(words.clone()).filter(|wanted| !wanted.is_empty()) else { return false };
    let steps = view.source.steps.get(sentence.clone()).unwrap_or_default();
    steps.windows(wanted.len()).any(|window| window.iter().zip(wanted).all(|(step, word)| Some(step.word) == *word))
}
