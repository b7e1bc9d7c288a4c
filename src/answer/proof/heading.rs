//! What a source's title and headings say: it is said of all that stands below them.

use super::lex::Gap;
use super::number::Match;
use super::place::View;
use super::reading::Reading;
use super::value::{Value, What};

/// Values of a claim and of a sentence that are compared.
const MOST: usize = 40;

/// Whether a value of a claim stands in the title or a heading of a source, and nothing below says the rest of the claim of another: of
/// `# Falcon 300`, that `the pump weighs 12.5 kg`, where `the Falcon 500 weighs 19 kg`.
pub(super) fn names(claim: &Reading, at: usize, views: &[View<'_>]) -> bool {
    let Some(value) = claim.values.get(at) else { return false };
    let others = || claim.values.iter().enumerate().take(MOST).filter(move |(other, value)| *other != at && value.is_firm());
    let told = |candidate: &Value| others().any(|(_, other)| candidate.against(other) == Match::Same);
    let is_other = |candidate: &&Value| {
        matches!(candidate.against(value), Match::Other | Match::Unit)
            && has_unit(candidate) == has_unit(value)
            && !told(candidate)
    };
    let headed = views.iter().any(|view| {
        view.source.values.iter().any(|candidate| is_above(view.source, candidate) && candidate.against(value) == Match::Same)
    });
    headed
        && others().next().is_some()
        && !views.iter().any(|view| {
            view.source.values.iter().filter(is_other).any(|candidate| {
                let beside = beside(view.source, candidate);
                others().all(|(_, other)| beside.iter().take(MOST).any(|its| its.against(other) == Match::Same))
            })
        })
}

/// Whether a value stands in what is told of a source before its text, or in a heading of it.
fn is_above(source: &Reading, value: &Value) -> bool {
    let begin = source.tokens.get(value.tokens.start).map_or(usize::MAX, |token| token.bytes.start);
    let line = || source.tokens.get(..=value.tokens.start)?.iter().rev().find(|token| token.gap >= Gap::Line);
    begin < source.told || line().is_some_and(|first| first.is("#"))
}

/// The number of a name is of no unit.
fn has_unit(value: &Value) -> bool {
    matches!(&value.what, What::Number(number) if number.unit.is_some())
}

/// The values of the sentence in which a value stands.
fn beside<'a>(source: &'a Reading, value: &Value) -> &'a [Value] {
    let Some(sentence) = source.sentence_of(source.steps_of(&value.tokens).start) else { return &[] };
    let begin = source.values.partition_point(|value| source.steps_of(&value.tokens).start < sentence.start);
    let end = source.values.partition_point(|value| source.steps_of(&value.tokens).start < sentence.end);
    source.values.get(begin..end).unwrap_or_default()
}
