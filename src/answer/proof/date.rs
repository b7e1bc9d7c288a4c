//! Dates as they are written: `2026-11-29`, `29 November 2026`, `Nov. 29`, `2026年11月29日`, `十一月`.

use std::ops::Range;

use super::amount::{Decimal, whole};
use super::lex::{Gap, Kind, Token};

/// A day, a month or a year, or what is said of one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) struct Date {
    pub(super) year: Option<i32>,
    pub(super) month: Option<u8>,
    pub(super) day: Option<u8>,
    /// `3/4/2026`: day and month may change places.
    pub(super) swappable: bool,
}

impl Date {
    /// `30日`, without a month.
    pub(super) fn is_bare_day(&self) -> bool {
        self.day.is_some() && self.month.is_none() && self.year.is_none()
    }

    /// Whether this says all that the other does, save for a year that it is silent on.
    pub(super) fn covers(&self, said: &Self) -> bool {
        let agree = |mine: Option<u8>, its: Option<u8>| its.is_none() || mine == its;
        let as_written = agree(self.month, said.month) && agree(self.day, said.day);
        let swapped = (self.swappable || said.swappable) && agree(self.month, said.day) && agree(self.day, said.month);
        let year = match (self.year, said.year) {
            (Some(mine), Some(its)) => mine == its,
            (None, Some(_)) => said.month.is_some(),
            (_, None) => true,
        };
        year && (as_written || swapped)
    }
}

/// Whether a bare day of a month is so many days: `三十日内`, `提前三十日`.
pub(super) fn is_duration(tokens: &[Token], date: &Range<usize>) -> bool {
    let key = |at: Option<usize>| at.and_then(|at| tokens.get(at)).map(|token| &*token.key).unwrap_or_default();
    let after = key(Some(date.end));
    let behind = after == "内" || matches!((after, key(Some(date.end + 1))), ("以" | "之", "内"));
    let last = key(date.start.checked_sub(1));
    let before = matches!(
        (key(date.start.checked_sub(2)), last),
        ("提", "前") | ("历", "时") | ("为", "期") | ("期", "限") | ("连", "续") | ("超", "过") | ("不", "足")
    );
    behind || before || last == "满"
}

/// The date that begins here, and its tokens.
pub(super) fn read(tokens: &[Token]) -> Option<(Date, usize)> {
    dashed(tokens).or_else(|| han(tokens)).or_else(|| month_first(tokens)).or_else(|| day_first(tokens))
}

fn number(token: Option<&Token>) -> Option<i32> {
    token.filter(|token| token.kind == Kind::Number && token.key.len() <= 4)?.key.parse().ok()
}

fn year(token: Option<&Token>) -> Option<i32> {
    let token = token?;
    number(Some(token)).filter(|year| (1000..=2200).contains(year) && token.key.len() == 4)
}

fn part(value: i32, most: i32) -> Option<u8> {
    u8::try_from(value).ok().filter(|part| *part >= 1 && i32::from(*part) <= most)
}

/// `2023-05`, `2024/11`: no range of years, as `2019-20` and `2008-09` are, and no part of what is longer.
fn year_and_month(tokens: &[Token]) -> Option<(Date, usize)> {
    let [first, mark, second, rest @ ..] = tokens else { return None };
    let year = year(Some(first)).filter(|year| (1900..=2100).contains(year))?;
    let digits = second.kind == Kind::Number && second.key.len() == 2 && mark.is_glued() && second.is_glued();
    let month = number(Some(second)).filter(|_| digits && (mark.is("-") || mark.is("/")))?;
    let goes_on = rest.first().is_some_and(|next| {
        let pointed = next.is(".") && rest.get(1).is_some_and(|after| after.is_glued() && after.kind != Kind::Mark);
        next.is_glued() && (pointed || matches!(&*next.key, "-" | "/" | "_" | ":" | "年" | "%") || next.kind == Kind::Word)
    });
    // Years in a range ascend.
    let month = part(month, 12).filter(|month| i32::from(*month) <= year % 100 && !goes_on)?;
    Some((Date { year: Some(year), month: Some(month), ..Date::default() }, 3))
}

/// `2023.05` behind what says that it is a time: else it is a number or a version.
pub(super) fn pointed_month(tokens: &[Token], at: usize) -> Option<(Date, usize)> {
    let first = tokens.get(at).filter(|token| token.kind == Kind::Number && token.key.len() == 7)?;
    let (year, month) = first.key.split_once('.')?;
    let key = |back: usize| at.checked_sub(back).and_then(|at| tokens.get(at)).map(|token| &*token.key).unwrap_or_default();
    let told = |key: &str| matches!(key, "间" | "期" | "月" | "于" | "自" | "date" | "released" | "since" | "from" | "until");
    let (year, month): (i32, i32) = (year.parse().ok()?, month.parse().ok()?);
    let known = (1900..=2100).contains(&year) && (told(key(1)) || key(1) == ":" && told(key(2)));
    let ends = tokens.get(at + 1).is_none_or(|next| next.kind == Kind::Mark && !next.is("%") || next.gap >= Gap::Space);
    let month = part(month, 12).filter(|_| known && ends)?;
    Some((Date { year: Some(year), month: Some(month), ..Date::default() }, 1))
}

/// `2026-11-29`, `2026/11/29`, `29/11/2026`, `29.11.2026`, `2026.11.29`.
fn dashed(tokens: &[Token]) -> Option<(Date, usize)> {
    let first = tokens.first().filter(|token| token.kind == Kind::Number)?;
    if let Some(found) = year_and_month(tokens) {
        return Some(found);
    }
    let mut parts = Vec::with_capacity(3);
    let length = if first.key.matches('.').count() == 2 {
        parts.extend(first.key.split('.').map(str::to_owned));
        1
    } else {
        let [a, mark, b, second, c] = tokens.get(..5)? else { return None };
        let glued = [mark, b, second, c].iter().all(|token| token.is_glued());
        if !glued || !(mark.is("-") || mark.is("/")) || mark.key != second.key || [b, c].iter().any(|n| n.kind != Kind::Number)
        {
            return None;
        }
        parts.extend([a, b, c].map(|token| token.key.to_string()));
        5
    };
    let [a, b, c] = parts.as_slice() else { return None };
    let values: Vec<i32> = [a, b, c].iter().filter_map(|part| part.parse().ok()).collect();
    let [one, two, three] = *values.as_slice() else { return None };
    if a.len() == 4 {
        let (month, day) = (part(two, 12)?, part(three, 31)?);
        return Some((Date { year: Some(one), month: Some(month), day: Some(day), swappable: false }, length));
    }
    if c.len() != 4 || a.len() > 2 || b.len() > 2 {
        return None;
    }
    let (day, month) = if two > 12 { (two, one) } else { (one, two) };
    let (month, day) = (part(month, 12)?, part(day, 31)?);
    Some((Date { year: Some(three), month: Some(month), day: Some(day), swappable: one <= 12 && two <= 12 }, length))
}

/// A number in digits or Chinese characters, and its tokens.
pub(super) fn count(tokens: &[Token]) -> Option<(i32, usize)> {
    if let Some(value) = number(tokens.first()) {
        return Some((value, 1));
    }
    let spelled = whole(tokens)?;
    let whole = spelled.value.whole().and_then(|value| i32::try_from(value).ok())?;
    Some((whole, spelled.length))
}

/// `2026年11月29日` and what is left of it where parts are missing.
fn han(tokens: &[Token]) -> Option<(Date, usize)> {
    let mut date = Date::default();
    // `民国108年`
    let of_the_republic = matches!(tokens, [a, b, ..] if (&*a.key, &*b.key) == ("民", "国"));
    let begin = if of_the_republic { 2 } else { 0 };
    let mut at = begin;
    while let Some((value, length)) = tokens.get(at..).and_then(count) {
        let unit = tokens.get(at + length)?;
        let known = match &*unit.key {
            "年" if at == begin && of_the_republic && (1..=150).contains(&value) => {
                date.year = Some(1911 + value);
                true
            }
            "年" if date == Date::default() && (1000..=2200).contains(&value) => {
                // `1990年代`
                if tokens.get(at + length + 1).is_some_and(|next| &*next.key == "代") {
                    return None;
                }
                date.year = Some(value);
                true
            }
            "月" if date.month.is_none() && date.day.is_none() => {
                date.month = part(value, 12);
                date.month.is_some()
            }
            "日" | "号" if date.day.is_none() && (date.month.is_some() || &*unit.key == "日") => {
                date.day = part(value, 31);
                date.day.is_some()
            }
            _ => false,
        };
        if !known {
            break;
        }
        at += length + 1;
    }
    (at > begin).then_some((date, at))
}

/// `1930年代`, `三十年代`: a year, or tens of one in a century that stands elsewhere; and its tokens.
pub(super) fn decade(tokens: &[Token]) -> Option<(i32, usize)> {
    let (value, length) = count(tokens).filter(|(value, _)| value % 10 == 0 && matches!(value, 10..100 | 1000..=2200))?;
    let [year, of, rest @ ..] = tokens.get(length..)? else { return None };
    // No `三十年代价`.
    let other = rest.first().is_some_and(|next| matches!(&*next.key, "价" | "表" | "理" | "码" | "替" | "际"));
    (&*year.key == "年" && &*of.key == "代" && !other).then_some((value, length + 2))
}

/// The first year of the century that is named before a decade: `上世纪`, `本世纪`.
pub(super) fn named_century(before: &[Token]) -> Option<i32> {
    let last = before.get(before.len().saturating_sub(4)..)?;
    let said: String = last.iter().map(|token| &*token.key).collect();
    let is = |names: &[&str]| names.iter().any(|name| said.ends_with(name));
    if is(&["上世纪", "上个世纪"]) { Some(1900) } else { is(&["本世纪"]).then_some(2000) }
}

fn month(token: Option<&Token>) -> Option<u8> {
    let token = token.filter(|token| token.kind == Kind::Word && token.capital)?;
    let month = match &*token.key {
        "january" | "jan" => 1,
        "february" | "feb" => 2,
        "march" | "mar" => 3,
        "april" | "apr" => 4,
        "may" => 5,
        "june" | "jun" => 6,
        "july" | "jul" => 7,
        "august" | "aug" => 8,
        "september" | "sep" | "sept" => 9,
        "october" | "oct" => 10,
        "november" | "nov" => 11,
        "december" | "dec" => 12,
        _ => return None,
    };
    Some(month)
}

/// Tokens of a point after an abbreviation, of a comma, of `of`.
fn skip(tokens: &[Token], at: usize, skipped: &[&str]) -> usize {
    usize::from(tokens.get(at).is_some_and(|token| skipped.contains(&&*token.key)))
}

/// The day of a month and its tokens: `29`, `29th`.
fn day(tokens: &[Token], at: usize) -> Option<(u8, usize)> {
    let value = number(tokens.get(at))?;
    let day = part(value, 31)?;
    let suffix = tokens.get(at + 1).is_some_and(|next| next.is_glued() && matches!(&*next.key, "st" | "nd" | "rd" | "th"));
    Some((day, 1 + usize::from(suffix)))
}

/// `November 29, 2026`, `Nov. 29`, `November 2026`, `November`.
fn month_first(tokens: &[Token]) -> Option<(Date, usize)> {
    let named = tokens.first()?;
    let month = month(Some(named))?;
    let mut at = 1 + if named.key.len() <= 4 { skip(tokens, 1, &["."]) } else { 0 };
    let mut date = Date { month: Some(month), ..Date::default() };
    if let Some((day, length)) = day(tokens, at) {
        date.day = Some(day);
        at += length;
        let comma = skip(tokens, at, &[","]);
        if let Some(year) = year(tokens.get(at + comma)) {
            date.year = Some(year);
            at += comma + 1;
        }
    } else {
        let between = skip(tokens, at, &["of", ","]);
        if let Some(year) = year(tokens.get(at + between)) {
            date.year = Some(year);
            at += between + 1;
        }
    }
    // "may" and "march" are words, too.
    let alone = date.day.is_none() && date.year.is_none();
    (!alone || named.key.len() > 3 && &*named.key != "march").then_some((date, at))
}

/// `29 November 2026`, `29th of November`.
fn day_first(tokens: &[Token]) -> Option<(Date, usize)> {
    let (day, mut at) = day(tokens, 0)?;
    at += skip(tokens, at, &["of"]);
    let named = tokens.get(at)?;
    let month = month(Some(named))?;
    at += 1;
    let mut date = Date { month: Some(month), day: Some(day), ..Date::default() };
    let point = if named.key.len() <= 4 { skip(tokens, at, &["."]) } else { 0 };
    let between = point + skip(tokens, at + point, &[",", "of"]);
    if let Some(year) = year(tokens.get(at + between)) {
        date.year = Some(year);
        at += between + 1;
    }
    Some((date, at))
}

/// The year that a plain number may be.
pub(super) fn as_year(value: Decimal) -> Option<i32> {
    let year = value.whole().and_then(|value| i32::try_from(value).ok())?;
    (1000..=2200).contains(&year).then_some(year)
}
