//! Quarters and halves of a year, and years of accounts: `Q3`, `third quarter`, `第三季度`, `H1 2024`, `上半年`, `FY2025`.

use super::lex::{Kind, Token, key};

/// The quarter that begins here, and its tokens.
pub(super) fn read(rest: &[Token], before: Option<&Token>) -> Option<(u8, usize)> {
    let first = rest.first()?;
    match first.kind {
        // `Q3: …` is a question.
        Kind::Word if !matches!(key(rest, 1), ":" | ".") => {
            let short = ["q1", "q2", "q3", "q4"].iter().position(|short| *short == key(rest, 0));
            short.and_then(nth).map(|quarter| (quarter, 1)).or_else(|| english(rest))
        }
        Kind::Word | Kind::Number => english(rest).or_else(|| han(rest, before)),
        Kind::Han => han(rest, before),
        Kind::Mark => None,
    }
}

fn nth(place: usize) -> Option<u8> {
    u8::try_from(place + 1).ok()
}

/// `third quarter`, `3rd quarter`; no final.
fn english(rest: &[Token]) -> Option<(u8, usize)> {
    let place = |names: [&str; 4]| names.iter().position(|name| *name == key(rest, 0)).and_then(nth);
    let (quarter, at) = match place(["first", "second", "third", "fourth"]) {
        Some(quarter) => (quarter, 1),
        None => (place(["1", "2", "3", "4"]).filter(|_| matches!(key(rest, 1), "st" | "nd" | "rd" | "th"))?, 2),
    };
    (key(rest, at) == "quarter" && !matches!(key(rest, at + 1), "-" | "final" | "finals")).then_some((quarter, at + 1))
}

/// `第三季度`, `三季度`; no `前三季度`.
fn han(rest: &[Token], before: Option<&Token>) -> Option<(u8, usize)> {
    let at = usize::from(key(rest, 0) == "第");
    if at == 0 && before.is_some_and(|before| "前头后这两第".contains(&*before.key)) {
        return None;
    }
    let names = [["一", "1"], ["二", "2"], ["三", "3"], ["四", "4"]];
    let quarter = names.iter().position(|names| names.contains(&key(rest, at))).and_then(nth)?;
    let at = at + 1 + usize::from(at > 0 && key(rest, at + 1) == "个");
    ((key(rest, at), key(rest, at + 1)) == ("季", "度")).then_some((quarter, at + 2))
}

/// The year of `FY2025` and `FY25`.
pub(super) fn fiscal(first: &Token) -> Option<i32> {
    let digits = first.key.strip_prefix("fy").filter(|digits| matches!(digits.len(), 2 | 4))?;
    let year: i32 = digits.parse().ok()?;
    Some(if digits.len() == 2 { 2000 + year } else { year }).filter(|year| (1900..=2100).contains(year))
}

/// The half of a year that begins here, and its tokens: `H1 2024`, `first half of 2024`, `上半年`; none of a match.
pub(super) fn half(rest: &[Token], before: Option<&Token>) -> Option<(u8, usize)> {
    let year = |token: Option<&Token>| {
        token.is_some_and(|token| {
            let digits = token.kind == Kind::Number && token.key.len() == 4;
            digits && (token.key.starts_with("19") || token.key.starts_with("20")) || fiscal(token).is_some()
        })
    };
    let of = |at: usize| {
        let mut at = at;
        while matches!(key(rest, at), "of" | "the" | "fiscal" | "financial" | "calendar" | ",") {
            at += 1;
        }
        year(rest.get(at)) || key(rest, at) == "year"
    };
    match (key(rest, 0), key(rest, 1), key(rest, 2)) {
        ("h1", ..) if year(before) || of(1) => Some((1, 1)),
        ("h2", ..) if year(before) || of(1) => Some((2, 1)),
        ("first", "half", _) if of(2) => Some((1, 2)),
        ("second" | "latter", "half", _) if of(2) => Some((2, 2)),
        ("first", "-", "half") if of(3) => Some((1, 3)),
        ("second", "-", "half") if of(3) => Some((2, 3)),
        ("上", "半", "年") => Some((1, 3)),
        ("下", "半", "年") => Some((2, 3)),
        _ => None,
    }
}
