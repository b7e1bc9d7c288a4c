//! Foreign names in Chinese, whose parts are joined by a dot: 莱特那·维特莫. Of all Chinese names they alone say where they are.

use std::ops::Range;

use super::lex::{Kind, Token};
use super::quote::squeezed;
use super::reading::{Reading, Script};

/// Characters of a part that are looked for: the shortest parts of names have hardly more.
const LOOKED_FOR: usize = 2;
/// Characters of a part that are shown, at most: where the first one begins and the last one ends is not written.
const SHOWN: usize = 4;

/// The names of a claim of which the sources lack a part, as its tokens. `has` tells whether they have some characters, whatever marks
/// stand between. Where sources have names in Latin letters that the claim lacks it may have translated them: nothing is told then.
pub(super) fn missing(claim: &Reading, sources: &[&Reading], has: impl Fn(&str) -> bool) -> Vec<Range<usize>> {
    let dots = || claim.tokens.iter().enumerate().filter(|(_, token)| is_dot(token)).map(|(at, _)| at);
    if dots().next().is_none() || !sources.iter().all(|source| source.script == Script::Han && is_told(claim, source)) {
        return Vec::new();
    }
    let mut names: Vec<Range<usize>> = Vec::new();
    for dot in dots() {
        let (left, right) = (before(claim, dot, LOOKED_FOR), after(claim, dot, LOOKED_FOR));
        let (Some(last), Some(first)) = (left.clone().next_back(), right.clone().next()) else { continue };
        let beside = characters(claim, last..last + 1) + &characters(claim, first..first + 1);
        if has(&beside) || has(&characters(claim, left)) && has(&characters(claim, right)) {
            continue;
        }
        let name = before(claim, dot, SHOWN).start..after(claim, dot, SHOWN).end;
        match names.last_mut() {
            Some(known) if name.start < known.end => known.end = name.end,
            _ => names.push(name),
        }
    }
    names
}

fn is_dot(token: &Token) -> bool {
    token.is_glued() && ["·", "・", "•", "‧", "⋅"].iter().any(|dot| token.is(dot))
}

/// Whether the claim has the names that a source has in Latin letters.
fn is_told(claim: &Reading, source: &Reading) -> bool {
    let first = |name: Range<usize>| source.tokens.get(name.start).filter(|_| name.len() > 1);
    source.names.iter().filter_map(|name| first(name.tokens.clone())).all(|token| claim.has_key(&token.key))
}

/// The characters of a part that ends before a dot.
fn before(claim: &Reading, dot: usize, most: usize) -> Range<usize> {
    let mut begin = dot;
    while dot - begin < most
        && let Some(token) = begin.checked_sub(1).and_then(|at| claim.tokens.get(at))
        && token.kind == Kind::Han
        && !is_function(&token.key)
    {
        begin -= 1;
        if !token.is_glued() {
            break;
        }
    }
    begin..dot
}

/// The characters of a part that begins behind a dot.
fn after(claim: &Reading, dot: usize, most: usize) -> Range<usize> {
    let goes_on = |token: &Token| token.kind == Kind::Han && token.is_glued() && !is_function(&token.key);
    let part = claim.tokens.iter().skip(dot + 1).take(most).take_while(|token| goes_on(token)).count();
    dot + 1..dot + 1 + part
}

/// Characters that no name has, but the words beside it.
fn is_function(key: &str) -> bool {
    matches!(key, "的" | "是" | "为" | "由" | "和" | "与" | "及" | "或" | "在" | "被" | "把" | "向" | "给" | "让" | "将")
}

fn characters(claim: &Reading, tokens: Range<usize>) -> String {
    squeezed(claim.written(&tokens))
}
