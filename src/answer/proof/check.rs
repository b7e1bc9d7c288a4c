//! The check of one claim: what it says, against all that may say it.

use std::ops::Range;

use rust_stemmers::{Algorithm, Stemmer};

use super::measure::Measure;
use super::number::Match;
use super::place::View;
use super::quote::{self, squeezed};
use super::reading::{Reading, Script};
use super::value::{Value, What};
use super::{DoubtKind, diff, dotted, heading, known, label, negation};
use crate::answer::source::Source;
use crate::chunk::with_columns;
use crate::language::script::{Variant, variant};

/// Values of a claim that are looked up: a sentence has a few.
const MOST_VALUES: usize = 40;

/// The context in which a share of the source contradicts one that is said: about two words beside it.
const SHARED: f32 = 1.5;

/// A source, read once.
#[derive(Debug)]
pub struct Evidence {
    reading: Reading,
    squeezed: String,
    variant: Option<Variant>,
}

impl Evidence {
    /// Reads a source of an answer.
    pub(super) fn of(source: &Source) -> Self {
        let told: Vec<&str> = source.title.as_deref().into_iter().chain(source.headings.iter().map(String::as_str)).collect();
        let text = with_columns(source.columns.as_deref(), &source.text);
        let page = source.page.map(|page| page.to_string());
        let told = told.into_iter().chain([source.uri.as_str()]).chain(page.as_deref());
        Self::new(&text, source.columns.is_some(), &told.collect::<Vec<_>>())
    }

    /// Reads a source: its text, and what else is told of it (title, headings, names of columns).
    pub fn new(text: &str, rows: bool, told: &[&str]) -> Self {
        let mut all = told.join("\n\n");
        if !all.is_empty() {
            all.push_str("\n\n");
        }
        let told = all.len();
        all.push_str(text);
        let (squeezed, variant) = (squeezed(&all), variant(&all));
        let mut reading = Reading::new(all, rows);
        reading.told = told;
        Self { reading, squeezed, variant }
    }
}

/// Doubts, by the tokens of the claim that they begin with.
type Doubts = Vec<(usize, DoubtKind, String)>;

/// What surrounds a value, weighed against what surrounds another.
#[derive(Debug, Clone, Copy, Default)]
struct Standing {
    flanks: f32,
    right: f32,
    both: bool,
    context: f32,
}

/// Whether a text has these very words as sentences of its own.
fn says(text: &str, words: &str) -> bool {
    const ENDS: [char; 12] = ['.', '!', '?', '。', '！', '？', '…', '\n', ';', '；', ':', '：'];
    let words = words.trim();
    let ends = |c: Option<char>| c.is_none_or(|c| ENDS.contains(&c));
    let begins = |before: &str| before.ends_with('\n') || ends(before.trim_end().chars().next_back());
    let over = |after: &str| {
        let mut letters = after.chars();
        match letters.next() {
            None => true,
            Some(c) if c.is_whitespace() => words.ends_with(ENDS) || c == '\n',
            // A point may stand within a number.
            Some(c) if c.is_ascii() => ENDS.contains(&c) && letters.next().is_none_or(char::is_whitespace),
            Some(c) => ENDS.contains(&c) || words.ends_with(['。', '！', '？', '；']),
        }
    };
    !words.is_empty()
        && text.match_indices(words).take(MOST_VALUES).any(|(at, found)| {
            let (before, after) = (text.get(..at), text.get(at + found.len()..));
            before.is_some_and(begins) && after.is_some_and(over)
        })
}

/// Doubts about a claim, or about a part of it (bytes), in its order.
pub(super) fn check(text: &str, part: &Range<usize>, sources: &[&Evidence]) -> Vec<(DoubtKind, String)> {
    if text.get(part.clone()).is_some_and(|words| sources.iter().any(|source| says(&source.reading.text, words))) {
        return Vec::new();
    }
    let claim = Reading::new(text.to_owned(), false);
    let stemmer = Stemmer::create(Algorithm::English);
    let views: Vec<View<'_>> = sources.iter().map(|source| View::new(&claim, &source.reading, &stemmer)).collect();
    let mut doubts = Doubts::new();
    let readings: Vec<&Reading> = sources.iter().map(|source| &source.reading).collect();
    let labels = label::labels(&claim, &readings);
    let within = |tokens: &Range<usize>| {
        let begin = claim.tokens.get(tokens.start).map_or(0, |token| token.bytes.start);
        let labels = labels.iter().any(|label| label.start < tokens.end && tokens.start < label.end);
        part.contains(&begin) && !labels
    };
    for (at, value) in claim.values.iter().enumerate().take(MOST_VALUES) {
        if within(&value.tokens)
            && let Some(kind) = doubtful_value(&claim, at, value, &views)
            && (kind == DoubtKind::Unit || !heading::names(&claim, at, &views))
        {
            let tokens = if kind == DoubtKind::Unit { value.told() } else { value.tokens.clone() };
            doubts.push((value.tokens.start, kind, claim.written(&tokens).to_owned()));
        }
    }
    names(&claim, &views, &within, &mut doubts);
    let foreign =
        dotted::missing(&claim, &readings, |characters| sources.iter().any(|source| source.squeezed.contains(characters)));
    let foreign = foreign.into_iter().filter(&within);
    doubts.extend(foreign.map(|tokens| (tokens.start, DoubtKind::Name, claim.written(&tokens).to_owned())));
    quotes(&claim, sources, part, &mut doubts);
    let begin = claim.steps.partition_point(|s| claim.tokens.get(s.token).is_some_and(|t| t.bytes.start < part.start));
    let end = claim.steps.partition_point(|s| claim.tokens.get(s.token).is_some_and(|t| t.bytes.start < part.end));
    let steps = begin..end;
    pieces(&claim, &views, &steps, &within, &mut doubts);
    if let Some(tokens) = negation::reversed(&views, &steps) {
        doubts.push((tokens.start, DoubtKind::Negation, claim.written(&tokens).to_owned()));
    }
    doubts.sort_by_key(|(at, ..)| *at);
    doubts.dedup();
    doubts.into_iter().map(|(_, kind, said)| (kind, said)).collect()
}

fn doubtful_value(claim: &Reading, at: usize, value: &Value, views: &[View<'_>]) -> Option<DoubtKind> {
    let kind = kind_of(value);
    let said = claim.steps_of(&value.tokens);
    let (mut same, mut unit, mut other): (Option<Standing>, bool, Option<Standing>) = (None, false, None);
    // A year of the century that is said, and another century.
    let (mut held, mut otherwise): (Option<Standing>, Option<Standing>) = (None, None);
    for view in views {
        for candidate in &view.source.values {
            let matched = match candidate.against(value) {
                Match::Same if is_of_elsewhere(candidate, value, view.source) => Match::Unit,
                matched => matched,
            };
            if matched == Match::Apart {
                continue;
            }
            unit |= matched == Match::Unit;
            let found = view.source.steps_of(&candidate.tokens);
            let (left, right) = view.flanks(&said, &found);
            let standing =
                Standing { right, flanks: left + right, both: left > 0.0 && right > 0.0, context: view.context(&said, &found) };
            if value.is_century() && candidate.is_century() && matched == Match::Other {
                better(&mut otherwise, standing);
            }
            match matched {
                Match::Same if value.is_century() && !candidate.is_century() => best_of(&mut held, standing),
                Match::Same => best_of(&mut same, standing),
                // What the claim says elsewhere does not contradict it.
                Match::Other | Match::Unit => {
                    let told = claim.values.iter().enumerate().any(|(i, v)| i != at && candidate.against(v) == Match::Same);
                    if !told {
                        better(&mut other, standing);
                    }
                }
                Match::Apart => {}
            }
        }
    }
    let held = held.filter(|held| otherwise.is_none_or(|other| held.context + held.flanks >= other.context + other.flanks));
    let Some(same) = same.or(held) else {
        if unit {
            return Some(DoubtKind::Unit);
        }
        if value.is_firm() && !is_derived(claim, at, value) {
            return Some(kind);
        }
        // A share in words may be worked out, unless another is told of the same.
        let shared = value.is_share() && other.is_some_and(|other| other.context >= SHARED);
        // A quarter may be told by its months, unless the source counts by quarters.
        let quarter = matches!(value.what, What::Quarter(_) | What::Half(_)) && other.is_some();
        let contradicted =
            shared || quarter || translated(value, views) || other.is_some_and(|other| other.both && other.flanks >= 2.5);
        return contradicted.then_some(kind);
    };
    other.is_some_and(|other| is_elsewhere(same, other, value.is_firm(), kind == DoubtKind::Date)).then_some(kind)
}

/// Whether a 元 is said to be that of a place of which the source tells nothing: `7.5万元` are no `7.5万港元`.
fn is_of_elsewhere(candidate: &Value, said: &Value, source: &Reading) -> bool {
    let (What::Number(mine), What::Number(its)) = (&candidate.what, &said.what) else { return false };
    let unit = mine.unit.or_else(|| mine.column.as_deref()?.unit);
    let is_yuan = unit.is_some_and(|unit| unit.measure == Measure::Yuan);
    let told: &[&str] = match its.unit.filter(|_| is_yuan).map(|unit| unit.measure) {
        Some(Measure::HongKongDollar) => &["港", "hong", "hk", "hkd"],
        Some(Measure::TaiwanDollar) => &["台", "taiwan", "nt", "twd"],
        _ => return false,
    };
    !told.iter().any(|key| source.has_key(key))
}

/// A fraction in words is translated as it is: a source in another language that tells fractions, and not this one, says another.
fn translated(value: &Value, views: &[View<'_>]) -> bool {
    let mut shares = views.iter().filter(|view| view.claim.script != view.source.script).flat_map(|view| &view.source.values);
    value.is_share() && shares.any(|candidate| candidate.is_share() && candidate.against(value) == Match::Other)
}

fn better(best: &mut Option<Standing>, standing: Standing) {
    let score = |standing: &Standing| standing.flanks + standing.context;
    if best.as_ref().is_none_or(|best| score(best) < score(&standing)) {
        *best = Some(standing);
    }
}

/// The best of several places in each respect: to be where it belongs, one of them is enough.
fn best_of(best: &mut Option<Standing>, standing: Standing) {
    let Some(before) = best else {
        *best = Some(standing);
        return;
    };
    let nearer = if standing.flanks > before.flanks { standing } else { *before };
    *before = Standing { context: before.context.max(standing.context), right: before.right.max(standing.right), ..nearer };
}

/// The value is in the source, but not here: another stands where the claim says it.
fn is_elsewhere(same: Standing, other: Standing, firm: bool, dated: bool) -> bool {
    let verbatim = other.both && other.flanks >= 3.0 && other.flanks >= 2.0 * same.flanks + 1.0;
    let beside = !dated && !same.both && other.right >= 1.0 && same.right == 0.0 && other.context > 1.3 * same.context;
    let near = beside || other.context > if dated { 3.0 * same.context + 0.7 } else { 2.5 * same.context + 0.4 };
    // Where both sides agree as well as anywhere, it stands where it belongs.
    let near = firm && near && !(same.both && same.flanks >= other.flanks);
    verbatim || near
}

/// A number that two others of the same claim add up to, or differ by: the claim shows its sum.
fn is_derived(claim: &Reading, at: usize, value: &Value) -> bool {
    let amount = |value: &Value| match &value.what {
        What::Number(number) => number.amounts.first().copied(),
        _ => None,
    };
    let Some(wanted) = amount(value) else { return false };
    let others: Vec<_> = claim.values.iter().enumerate().filter(|(i, _)| *i != at).filter_map(|(_, v)| amount(v)).collect();
    others.iter().enumerate().any(|(i, a)| {
        others
            .iter()
            .skip(i + 1)
            .any(|b| a.plus(*b) == Some(wanted) || a.minus(*b) == Some(wanted) || b.minus(*a) == Some(wanted))
    })
}

fn names(claim: &Reading, views: &[View<'_>], within: &dyn Fn(&Range<usize>) -> bool, doubts: &mut Doubts) {
    let capitals: usize = claim.names.iter().map(|name| name.tokens.len()).sum();
    // A title in capitals has no names that could be told.
    if capitals * 10 > claim.steps.len() * 8 && claim.steps.len() > 4 {
        return;
    }
    let readings: Vec<&Reading> = views.iter().map(|view| view.source).collect();
    let comparable = readings.iter().any(|source| known::comparable(claim, source));
    for name in claim.names.iter().filter(|name| within(&name.tokens)).take(MOST_VALUES) {
        let said = claim.steps_of(&name.tokens);
        // One word that begins its sentence may be any.
        let capitals = claim.tokens.get(name.tokens.clone()).unwrap_or_default().iter().filter(|token| token.capital);
        let is_sure = capitals.clone().count() > 1
            || capitals.clone().any(|token| readings.iter().any(|source| source.is_sure_name(&token.key)));
        let unknown = comparable && known::missing(claim, name, &readings).is_some();
        let doubtful = unknown || {
            let (mut same, mut other): (Option<Standing>, Option<Standing>) = (None, None);
            for view in views {
                let words = view.words.get(said.clone()).unwrap_or_default();
                for step in
                    words.first().copied().flatten().and_then(|word| view.source.words.get(word)).map_or(&[][..], |w| &w.at)
                {
                    let found = *step..*step + words.len();
                    let here = view.source.steps.get(found.clone()).unwrap_or_default();
                    if here.iter().map(|step| Some(step.word)).eq(words.iter().copied()) {
                        let (left, right) = view.flanks(&said, &found);
                        better(
                            &mut same,
                            Standing { right, flanks: left + right, both: left > 0.0 && right > 0.0, context: 0.0 },
                        );
                    }
                }
                for candidate in &view.source.names {
                    let found = view.source.steps_of(&candidate.tokens);
                    let its = view.source.steps.get(found.clone()).unwrap_or_default();
                    let told = its.iter().all(|step| view.words.contains(&Some(step.word)));
                    let sure = view.source.tokens.get(candidate.tokens.clone()).unwrap_or_default();
                    let sure = is_sure || sure.iter().any(|token| view.source.is_sure_name(&token.key));
                    if told || !sure || its.iter().any(|step| words.contains(&Some(step.word))) {
                        continue;
                    }
                    let (left, right) = view.flanks(&said, &found);
                    better(&mut other, Standing { right, flanks: left + right, both: left > 0.0 && right > 0.0, context: 0.0 });
                }
            }
            other.is_some_and(|other| {
                other.both && other.flanks >= 2.5 && is_elsewhere(same.unwrap_or_default(), other, false, false)
            })
        };
        if doubtful {
            doubts.push((name.tokens.start, DoubtKind::Name, claim.written(&name.tokens).to_owned()));
        }
    }
}

fn pieces(
    claim: &Reading,
    views: &[View<'_>],
    steps: &Range<usize>,
    within: &dyn Fn(&Range<usize>) -> bool,
    doubts: &mut Doubts,
) {
    let mut best: Option<Vec<Range<usize>>> = None;
    for view in views {
        let replaced = diff::replaced(view, steps);
        // One source that says it is enough.
        if best.as_ref().is_none_or(|best| replaced.len() < best.len()) {
            best = Some(replaced);
        }
    }
    for tokens in best.unwrap_or_default().into_iter().filter(within) {
        let written = claim.written(&tokens);
        let overlaps = doubts.iter().any(|(at, _, said)| tokens.contains(at) || said.contains(written));
        let at = claim.values.iter().position(|value| value.tokens.start < tokens.end && tokens.start < value.tokens.end);
        if !overlaps && !at.is_some_and(|at| heading::names(claim, at, views)) {
            let kind = at.and_then(|at| claim.values.get(at)).map_or(DoubtKind::Name, kind_of);
            doubts.push((tokens.start, kind, claim.written(&tokens).to_owned()));
        }
    }
}

fn kind_of(value: &Value) -> DoubtKind {
    match &value.what {
        What::Date(_) | What::Weekdays(_) | What::Quarter(_) | What::Half(_) => DoubtKind::Date,
        What::Number(number) if number.year.is_some() => DoubtKind::Date,
        _ => DoubtKind::Number,
    }
}

fn quotes(claim: &Reading, sources: &[&Evidence], part: &Range<usize>, doubts: &mut Doubts) {
    for quote in quote::quotes(&claim.text) {
        let at = quote.text.as_ptr() as usize - claim.text.as_ptr() as usize;
        if !part.contains(&at) {
            continue;
        }
        let han = quote.text.chars().any(super::lex::is_han);
        // A translated quote is nobody's words, nor is one in the other script of Chinese letter by letter.
        let told = variant(quote.text);
        let translated = |source: &&Evidence| {
            (source.reading.script == Script::Han) != han && han
                || told.zip(source.variant).is_some_and(|(mine, its)| mine != its)
        };
        if sources.iter().all(translated) {
            continue;
        }
        let found = sources.iter().any(|source| quote::parts(quote.text).all(|part| source.squeezed.contains(&part)))
            || quote.named && !han && sources.iter().any(|source| quote::code_is_made_of(quote.text, &source.squeezed));
        if !found {
            let kind = if quote.named { DoubtKind::Name } else { DoubtKind::Quote };
            let token = claim.tokens.partition_point(|token| token.bytes.start < at);
            doubts.push((token, kind, quote.text.trim().to_owned()));
        }
    }
}
