//! Whether a number is below zero: a minus before it, or words beside it that say so.

use std::ops::Range;

use super::amount;
use super::lex::{Gap, Kind, Token};
use super::unit;

/// Tokens on both sides in which words are looked for.
const NEAR: usize = 16;
/// Tokens of a number with its unit before a dash.
const RANGE: usize = 6;

/// `-`, `minus`, `负`, `零下` before a number: how many tokens say so, and whether it is sure without a unit.
pub(super) fn minus(tokens: &[Token], at: usize) -> Option<(usize, bool)> {
    let first = tokens.get(at)?;
    let next = tokens.get(at + 1)?;
    let number = |at: usize| tokens.get(at).is_some_and(|token| token.is_glued() && token.kind == Kind::Number);
    match (&*first.key, &*next.key) {
        ("零", "下") => Some((2, true)),
        ("minus" | "负", _) => Some((1, false)),
        // `-$3.2 million`
        ("-", "$" | "€" | "£" | "¥") if next.is_glued() && number(at + 2) && opens(tokens, at) => Some((2, false)),
        // A dash between two words is none.
        ("-", _) if number(at + 1) && opens(tokens, at) => Some((1, false)),
        _ => None,
    }
}

/// Whether a dash here stands before what follows, and not between it and what is before.
fn opens(tokens: &[Token], at: usize) -> bool {
    let Some(dash) = tokens.get(at) else { return false };
    let Some(before) = at.checked_sub(1).and_then(|at| tokens.get(at)) else { return true };
    if !dash.is_glued() {
        return before.kind != Kind::Number;
    }
    before.kind == Kind::Han && &*before.key != "度" && !ends_number(tokens, at) || "(~:：,，、/|".contains(&*before.key)
}

/// Whether a number with its unit, or with what it counts, ends before here: `3元-5元` is no minus.
fn ends_number(tokens: &[Token], end: usize) -> bool {
    (2..=RANGE).any(|back| {
        let Some(([number], rest)) = end.checked_sub(back).and_then(|begin| tokens.get(begin..end)?.split_at_checked(1)) else {
            return false;
        };
        let rest = amount::scale(rest).and_then(|(_, more)| rest.get(more..)).unwrap_or(rest);
        let counted = matches!(rest, [one] if "年月日号时点分秒个人次期章节页条款级档楼层室栋".contains(&*one.key));
        let whole = || unit::after(rest).is_some_and(|(_, length)| length == rest.len());
        number.kind == Kind::Number && (rest.is_empty() || counted || whole())
    })
}

/// Whether what stands beside a number may say that it is below zero, or a dash may: then its sign is not known.
pub(super) fn is_open(tokens: &[Token], number: &Range<usize>) -> bool {
    let ends = |token: &&Token| !matches!(&*token.key, "," | "。" | ";" | "!" | "?" | "、") && token.gap < Gap::Paragraph;
    let before = tokens.get(number.start.saturating_sub(NEAR)..number.start).unwrap_or_default();
    let after = tokens.get(number.end..).unwrap_or_default().iter().take(NEAR);
    let dash = before.last().is_some_and(|last| last.is("-") || last.is("~"));
    let beside: Vec<&Token> = before.iter().rev().take_while(ends).chain(after.take_while(ends)).collect();
    let has = |key: &str| beside.iter().any(|token| &*token.key == key);
    dash || beside.iter().any(|token| says(token)) || has("流") && has("出")
}

/// Words that turn what they stand beside.
fn says(token: &Token) -> bool {
    const ENGLISH: [&str; 14] = [
        "los",
        "fell",
        "fall",
        "decline",
        "declining",
        "decreas",
        "drop",
        "reduc",
        "shr",
        "slip",
        "outflow",
        "contract",
        "short",
        "negativ",
    ];
    match token.kind {
        Kind::Han => "亏损降跌减负逆赤滑缩落低少下差缺".contains(&*token.key),
        Kind::Word => {
            ENGLISH.iter().any(|begin| token.key.starts_with(begin))
                || matches!(
                    &*token.key,
                    "below" | "deficit" | "down" | "minus" | "under" | "beneath" | "lower" | "worse" | "cut"
                )
        }
        Kind::Number | Kind::Mark => false,
    }
}
