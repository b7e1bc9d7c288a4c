//! Negation: a claim denies what its source affirms, or the reverse, of the same words.

use std::ops::Range;

use super::function::is_function;
use super::lex::Kind;
use super::place::View;
use super::reading::Reading;

/// Of a claim's words, how many a sentence must share to say the same or its opposite.
const SHARED: f32 = 0.8;
/// A claim with less to say is too short to be taken for a sentence's opposite.
const LEAST: f32 = 2.0;
/// A sentence that says much more than the claim denies something else.
const LONGER: f32 = 2.5;

/// A word or characters that are denied, and the steps that say so.
struct Denied {
    steps: Range<usize>,
    /// The first that is denied: a word, or two Chinese characters.
    words: Range<usize>,
}

/// The tokens of the claim by which it says the opposite of what its source says.
pub(super) fn reversed(views: &[View<'_>], clause: &Range<usize>) -> Option<Range<usize>> {
    let claim = views.first()?.claim;
    let whole = views.first()?.whole();
    // Of two sentences, one may deny what the other says.
    let is_one = claim.sentences.iter().any(|sentence| sentence.start <= clause.start && clause.end <= sentence.end);
    if whole < LEAST || !is_one {
        return None;
    }
    let mine = denials(claim, clause);
    let mine_restricts = restricts(claim, clause);
    let mut opposite = None;
    for view in views {
        for (at, sentence) in view.source.sentences.iter().enumerate() {
            if view.overlap(at) < SHARED * whole {
                continue;
            }
            let its = denials(view.source, sentence);
            let length: f32 = weight(view.source, sentence);
            if length > LONGER * whole {
                return None;
            }
            match (mine.is_empty(), its.is_empty()) {
                (true, false) if !mine_restricts => {
                    let only_denied = its.iter().filter(|denied| !is_said_too(view.source, sentence, denied, &its));
                    let found = only_denied.into_iter().find_map(|denied| affirmed(view, clause, denied));
                    opposite = Some(found?);
                }
                (false, true) if !restricts(view.source, sentence) => {
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

fn weight(reading: &Reading, steps: &Range<usize>) -> f32 {
    let steps = reading.steps.get(steps.clone()).unwrap_or_default();
    steps.iter().filter_map(|step| reading.words.get(step.word)).map(|word| word.weight).sum()
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

fn key(reading: &Reading, step: usize) -> Option<(&str, Kind)> {
    let token = reading.tokens.get(reading.steps.get(step)?.token)?;
    Some((&token.key, token.kind))
}

fn denials(reading: &Reading, steps: &Range<usize>) -> Vec<Denied> {
    let mut denials = Vec::new();
    let mut at = steps.start;
    while at < steps.end {
        let Some((word, kind)) = key(reading, at) else { break };
        let next = key(reading, at + 1).map(|(key, _)| key).unwrap_or_default();
        let found = match kind {
            Kind::Word
                if is_negator(word) && !is_idiom(next) && !(word == "no" && next.starts_with(|c: char| c.is_ascii_digit())) =>
            {
                let mut first = at + 1;
                while key(reading, first).is_some_and(|(key, _)| is_function(key)) && first < steps.end {
                    first += 1;
                }
                Some(first..(first + 1).min(steps.end))
            }
            Kind::Han if is_han_negator(word) && !is_han_idiom(reading, at, next) => {
                let mut first = at + 1;
                while first < steps.end
                    && key(reading, first).is_some_and(|(key, _)| "有能会可曾是要应该得再被需必想".contains(key))
                {
                    first += 1;
                }
                Some(first..(first + 2).min(steps.end))
            }
            _ => None,
        };
        if let Some(words) = found {
            denials.push(Denied { steps: at..words.start, words });
        }
        at += 1;
    }
    denials
}

fn is_negator(key: &str) -> bool {
    matches!(key, "not" | "never" | "no" | "cannot" | "none" | "neither" | "nobody" | "nothing" | "without" | "nor")
        || key.ends_with("n't")
}

/// After a `not` or `no`, it denies nothing.
fn is_idiom(next: &str) -> bool {
    matches!(
        next,
        "only"
            | "just"
            | "merely"
            | "simply"
            | "necessarily"
            | "more"
            | "less"
            | "fewer"
            | "later"
            | "earlier"
            | "doubt"
            | "matter"
            | "least"
            | "until"
            | "longer"
            | "one"
            | "yet"
            | "all"
            | "always"
            | "every"
            | "everyone"
    )
}

fn is_han_negator(key: &str) -> bool {
    matches!(key, "不" | "没" | "无" | "未" | "勿" | "沒" | "無")
}

fn is_han_idiom(reading: &Reading, at: usize, next: &str) -> bool {
    let before = at.checked_sub(1).and_then(|at| key(reading, at)).map(|(key, _)| key).unwrap_or_default();
    "仅但过同断少久论管足如线数来常免禁料几知得妨光止等安满良幸限穷辜疑形".contains(next) && !next.is_empty()
        || "除毫绝得是好对差".contains(before) && !before.is_empty()
        // `可不可以`, `要不然`; what may be left undone (`可不经同意`) is denied.
        || matches!(before, "可" | "能" | "要") && (next == before || before == "要" && next == "然")
}

/// Whether other words limit what is said, so that a missing `not` proves nothing.
fn restricts(reading: &Reading, steps: &Range<usize>) -> bool {
    steps.clone().filter_map(|step| key(reading, step)).any(|(key, kind)| match kind {
        Kind::Word => {
            matches!(
                key,
                "only"
                    | "except"
                    | "unless"
                    | "until"
                    | "without"
                    | "rather"
                    | "instead"
                    | "unable"
                    | "hardly"
                    | "rarely"
                    | "barely"
                    | "few"
                    | "little"
                    | "but"
                    | "although"
                    | "however"
                    | "though"
                    | "impossible"
                    | "false"
                    | "incorrect"
            ) || [
                "fail", "lack", "refus", "den", "prohibit", "forb", "prevent", "avoid", "stop", "disabl", "reject", "absen",
                "un", "in", "im", "non", "dis",
            ]
            .iter()
            .any(|begin| key.len() > begin.len() + 3 && key.starts_with(begin) && !matches!(key, "under" | "until" | "into"))
        }
        Kind::Han => "只仅除禁拒防避缺失停止否反非别".contains(key),
        _ => false,
    })
}
