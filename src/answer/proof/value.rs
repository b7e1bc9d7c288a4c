//! The values of a text: numbers with their units, dates, times of day.

use std::ops::Range;

use super::amount::{self, Decimal, Spelled};
use super::date::{self, Date};
use super::lex::{Kind, Token};
use super::unit::{self, Unit};

/// A value, and the tokens that say it.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Value {
    pub(super) tokens: Range<usize>,
    pub(super) what: What,
}

#[derive(Debug, Clone, PartialEq)]
pub(super) enum What {
    Number(Number),
    Date(Date),
    /// Minutes since midnight; and whether morning and afternoon are told apart.
    Time(u16, bool),
    /// `1.2.3`
    Version(Box<str>),
}

#[expect(clippy::struct_excessive_bools, reason = "any combination has a meaning")]
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Number {
    /// All that it may be: in `5–10 million` the first is five or five million.
    pub(super) amounts: Vec<Decimal>,
    pub(super) unit: Option<Unit>,
    /// It may be no number, or one that the writer counted.
    pub(super) soft: bool,
    pub(super) ordinal: bool,
    /// `about`, `over`, or in millions: it may be rounded.
    pub(super) rounded: bool,
    /// `1990s`
    pub(super) decade: bool,
    /// Written with four digits and without a unit.
    pub(super) year: Option<i32>,
}

impl Number {
    /// In the least unit of its measure; as it is without one.
    fn base(&self) -> impl Iterator<Item = Decimal> + '_ {
        self.amounts.iter().filter_map(|amount| match self.unit {
            Some(unit) => amount.times(unit.factor),
            None => Some(*amount),
        })
    }

    /// The same number; the units are another question.
    fn same_amount(&self, said: &Self) -> bool {
        said.amounts.iter().any(|said| self.amounts.contains(said))
            || said.rounded && said.amounts.iter().any(|said| self.amounts.iter().any(|mine| said.rounds(*mine)))
    }
}

/// How a value of the source stands to one that is said.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Match {
    /// It says it.
    Same,
    /// It is the same number of something else.
    Unit,
    /// It is another of the same kind.
    Other,
    /// They cannot be compared.
    Apart,
}

impl Value {
    /// How this value of a source stands to one that an answer says.
    pub(super) fn against(&self, said: &Self) -> Match {
        match (&self.what, &said.what) {
            (What::Number(mine), What::Number(its)) => against(mine, its),
            (What::Date(mine), What::Date(its)) if mine.covers(its) => Match::Same,
            (What::Date(mine), What::Date(its)) => {
                let alike = mine.year.is_some() == its.year.is_some() || mine.month.is_some() && its.month.is_some();
                if alike { Match::Other } else { Match::Apart }
            }
            (What::Date(Date { year: Some(mine), .. }), What::Number(Number { year: Some(its), decade, .. })) => {
                same(mine == its || *decade && (*its..*its + 10).contains(mine))
            }
            (What::Number(Number { year: Some(mine), .. }), What::Date(Date { year: Some(its), month: None, .. })) => {
                same(mine == its)
            }
            (What::Time(mine, mine_told), What::Time(its, its_told)) => {
                same(mine == its || (!mine_told || !its_told) && mine % 720 == its % 720)
            }
            (What::Version(mine), What::Version(its)) => {
                let begins = mine.strip_prefix(&**its).is_some_and(|rest| rest.starts_with('.'));
                same(mine == its || begins)
            }
            // Version 3.11.2 is a 3.11.
            (What::Version(mine), What::Number(its)) if its.unit.is_none() => {
                let said = mine.rsplit_once('.').and_then(|(begin, _)| Decimal::parse(begin));
                if said.is_some_and(|said| its.amounts.contains(&said)) { Match::Same } else { Match::Apart }
            }
            _ => Match::Apart,
        }
    }

    /// It must be found; else only what contradicts it counts.
    pub(super) fn is_firm(&self) -> bool {
        !matches!(&self.what, What::Number(number) if number.soft)
    }
}

fn same(same: bool) -> Match {
    if same { Match::Same } else { Match::Other }
}

fn against(mine: &Number, said: &Number) -> Match {
    match (mine.unit, said.unit) {
        (Some(a), Some(b)) if a.measure == b.measure => {
            if a.factor == b.factor {
                return same(mine.same_amount(said));
            }
            let equal = said.base().any(|said| mine.base().any(|mine| mine == said));
            match (equal, mine.same_amount(said)) {
                (true, _) => Match::Same,
                (false, true) => Match::Unit,
                (false, false) => Match::Other,
            }
        }
        (Some(_), Some(_)) if mine.same_amount(said) => Match::Unit,
        (Some(_), Some(_)) => Match::Apart,
        _ => {
            let within = said.decade && mine.year.zip(said.year).is_some_and(|(mine, its)| (its..its + 10).contains(&mine));
            // `3千帕` are 3000 of what is no unit of the list.
            let of_the_least = said.base().any(|said| mine.base().any(|mine| mine == said));
            same(within || of_the_least || mine.same_amount(said))
        }
    }
}

/// The tokens at the beginning of which a number may be, without those of a unit that begins like one: the `千` of `300千瓦时`, of
/// `三百千瓦时` and of `十二千瓦时` multiplies nothing. In `三千克` the `三` has no other, and it comes to the same.
fn without_prefix(rest: &[Token]) -> &[Token] {
    // Zeros of the smallest power since the last 万 or 亿, which none as large can follow; and whether one has just been.
    let mut smallest = None;
    let mut complete = rest.first().is_some_and(|first| first.kind == Kind::Number);
    for (at, token) in rest.iter().enumerate() {
        let zeros = amount::zeros(token);
        let follows = complete || smallest.zip(zeros).is_some_and(|(smallest, zeros)| zeros >= smallest);
        if at > 0 && follows && rest.get(at..).is_some_and(unit::is_prefix) {
            return rest.get(..at).unwrap_or(rest);
        }
        complete = zeros.is_some() || at == 0 && token.kind == Kind::Number;
        match zeros {
            Some(4..) => smallest = None,
            Some(zeros) => smallest = Some(smallest.map_or(zeros, |smallest: u32| smallest.min(zeros))),
            None if amount::is_digit(token) || complete => {}
            None => break,
        }
    }
    rest
}

/// Words before a number that may be a round one.
fn is_roughly(token: &Token) -> bool {
    matches!(
        &*token.key,
        "about"
            | "around"
            | "approximately"
            | "roughly"
            | "nearly"
            | "almost"
            | "over"
            | "than"
            | "some"
            | "circa"
            | "least"
            | "up"
            | "~"
            | "≈"
            | "约"
            | "近"
            | "超"
            | "过"
            | "達"
            | "达"
            | "多"
            | "余"
    )
}

/// The values of a text, in its order.
pub(super) fn values(tokens: &[Token]) -> Vec<Value> {
    let mut values: Vec<Value> = Vec::new();
    let mut at = 0;
    while let Some(rest) = tokens.get(at..).filter(|rest| !rest.is_empty()) {
        if let Some((what, length)) = value(tokens, at, rest) {
            values.push(Value { tokens: at..at + length, what });
            at += length;
        } else {
            at += 1;
        }
    }
    share_units(tokens, &mut values);
    values
}

fn value(tokens: &[Token], at: usize, rest: &[Token]) -> Option<(What, usize)> {
    let first = rest.first()?;
    if first.kind == Kind::Mark {
        return None;
    }
    if let Some((date, length)) = date::read(rest) {
        return Some((What::Date(date), length));
    }
    if let Some(read) = time(rest) {
        return Some(read);
    }
    number(tokens, at, rest)
}

/// `10:30`, `5 p.m.`, `5:30 pm`.
fn time(rest: &[Token]) -> Option<(What, usize)> {
    let hour: u16 = rest.first().filter(|token| token.kind == Kind::Number && token.key.len() <= 2)?.key.parse().ok()?;
    let (mut minutes, mut at, mut clock) = (hour.checked_mul(60)?, 1, false);
    if let Some([colon, minute]) = rest.get(1..3)
        && (colon.is(":") && minute.kind == Kind::Number && minute.key.len() == 2)
        && colon.is_glued()
        && minute.is_glued()
    {
        minutes += minute.key.parse::<u16>().ok().filter(|minute| *minute < 60)?;
        (at, clock) = (3, true);
    }
    let half = rest.get(at).map(|token| &*token.key).unwrap_or_default();
    let dotted = matches!(half, "a" | "p")
        && matches!(rest.get(at + 1..at + 4), Some([point, m, end]) if point.is(".") && &*m.key == "m" && end.is("."));
    let afternoon = match half {
        "am" => Some(false),
        "pm" => Some(true),
        "a" | "p" if dotted => Some(half == "p"),
        _ => None,
    };
    if let Some(afternoon) = afternoon.filter(|_| (1..=12).contains(&hour)) {
        at += if dotted { 4 } else { 1 };
        let minutes = minutes % 720 + if afternoon { 720 } else { 0 };
        return Some((What::Time(minutes, true), at));
    }
    (clock && hour < 25).then_some((What::Time(minutes, hour > 12 || hour == 0), at))
}

fn number(tokens: &[Token], at: usize, rest: &[Token]) -> Option<(What, usize)> {
    let first = rest.first()?;
    let glued_after_word =
        first.is_glued() && at.checked_sub(1).and_then(|at| tokens.get(at)).is_some_and(|t| t.kind == Kind::Word);
    let spelled = match first.kind {
        Kind::Number => {
            if first.key.matches('.').count() > 1 || first.key.len() > 30 {
                return Some((What::Version(first.key.clone()), 1));
            }
            let value = Decimal::parse(&first.key)?;
            Spelled { value, length: 1, soft: false, ordinal: false }
        }
        Kind::Word => amount::english(rest)?,
        Kind::Han => amount::chinese(without_prefix(rest))?,
        Kind::Mark => return None,
    };
    let Spelled { value, mut length, mut soft, mut ordinal } = spelled;
    let (mut amounts, mut decade) = (vec![value], false);
    let digits = first.kind == Kind::Number;
    let mut rounded = at.checked_sub(1).and_then(|at| tokens.get(at)).is_some_and(is_roughly);
    let before = at.checked_sub(1).and_then(|at| tokens.get(at));
    if digits && let Some(suffix) = rest.get(1).filter(|token| token.is_glued()) {
        match &*suffix.key {
            "st" | "nd" | "rd" | "th" => {
                ordinal = true;
                length = 2;
            }
            // `1990s`
            "s" | "'s" if first.key.len() == 4 || (first.key.len() == 2 && first.key.ends_with('0')) => {
                decade = first.key.len() == 4;
                length = 2;
            }
            _ => {}
        }
    }
    if digits
        && !ordinal
        && let Some((joined, tokens)) = amount::mixed(without_prefix(rest))
    {
        amounts = vec![joined];
        rounded = true;
        length = tokens;
    } else if digits
        && !ordinal
        && let Some((factor, more)) = without_prefix(rest).get(length..).and_then(amount::scale)
    {
        // `约3万多`: more digits are not known.
        amounts = vec![value.times(factor)?];
        rounded = true;
        length += more;
    }
    if rest.get(length).is_some_and(|next| matches!(&*next.key, "多" | "余" | "餘" | "+")) {
        rounded = true;
        length += 1;
    }
    if before.is_some_and(|before| &*before.key == "第") {
        ordinal = true;
        soft = false;
    }
    let mut unit = before.and_then(unit::before);
    // `90-day`, `90 day`, `90天`
    let dash = usize::from(rest.get(length).is_some_and(|next| next.is("-") && next.is_glued()));
    if let Some((found, more)) = rest.get(length + dash..).and_then(unit::after)
        && rest.get(length + dash).is_some_and(|next| next.gap < Gap::Line)
        && !(ordinal && first.kind != Kind::Han && found.measure != unit::Measure::Century)
    {
        unit = Some(found);
        length += dash + more;
        soft &= first.kind != Kind::Han || is_one(&amounts);
    }
    if glued_after_word && unit.is_none() {
        rounded = false;
    }
    let bare = digits && unit.is_none() && first.key.len() == 4 && (length == 1 || decade);
    let year = if bare { date::as_year(value) } else { None };
    Some((What::Number(Number { amounts, unit, soft, ordinal, rounded, decade, year }), length))
}

use super::lex::Gap;

fn is_one(amounts: &[Decimal]) -> bool {
    amounts == [Decimal::new(1, 0)]
}

/// In `10 to 20 ms` and `5–10 million` the first has what the second says; in `1990–95` the second has the first's century.
fn share_units(tokens: &[Token], values: &mut [Value]) {
    for at in 1..values.len() {
        let (before, after) = values.split_at_mut(at);
        let (Some(first), Some(second)) = (before.last_mut(), after.first_mut()) else { continue };
        let between = tokens.get(first.tokens.end..second.tokens.start).unwrap_or_default();
        let dash = matches!(between, [mark] if mark.is("-") || mark.is("~") || mark.is("/"));
        let range = dash || matches!(between, [word] if matches!(&*word.key, "to" | "and" | "or" | "至" | "到" | "或" | "和"));
        if !range {
            continue;
        }
        let (What::Number(a), What::Number(b)) = (&mut first.what, &mut second.what) else { continue };
        if a.unit.is_none() && !a.soft && a.year.is_none() {
            a.unit = b.unit;
        }
        if let (Some(small), Some(large)) = (a.amounts.first().copied(), b.amounts.first().copied())
            && b.rounded
        {
            // By the power of ten that the second is written with.
            let text = tokens.get(second.tokens.start).and_then(|token| Decimal::parse(&token.key));
            if let Some(power) = text.and_then(|text| power(text, large)) {
                a.amounts.extend(small.times(power));
            }
        }
        if let (Some(year), [two]) = (a.year, b.amounts.as_mut_slice())
            && dash
            && let Some(short) = two.whole().filter(|short| (0..100).contains(short))
        {
            let full = Decimal::new(i128::from(year / 100 * 100) + short, 0);
            b.year = date::as_year(full);
            b.amounts.push(full);
        }
    }
}

/// The power of ten between two amounts.
fn power(written: Decimal, meant: Decimal) -> Option<Decimal> {
    (0..16).map(|zeros| Decimal::new(1, zeros)).find(|power| written.times(*power) == Some(meant))
}
