//! The values of a text: numbers with their units, dates, times of day.

use std::ops::Range;

use super::amount::{self, Decimal, Spelled};
use super::bound;
use super::clock;
use super::date::{self, Date};
use super::function::is_function;
use super::lex::{Gap, Kind, Token, key, lex};
use super::measure::Measure;
use super::notation;
use super::number::{Match, Number, against, same};
use super::power;
use super::quarter;
use super::rate;
use super::share;
use super::sign::{self, minus};
use super::unit::{self, Unit};
use super::weekday::{self, Weekdays};

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
    Weekdays(Weekdays),
    /// `每周`: the days between.
    Every(u16),
    /// Of a year, from 1.
    Quarter(u8),
    /// The same.
    Half(u8),
    /// `1.2.3`
    Version(Box<str>),
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
            (What::Date(Date { year: Some(mine), .. }), What::Number(its)) if its.year.is_some() && !its.decade => {
                same(Some(*mine) == its.year)
            }
            (What::Date(Date { year: Some(mine), .. }), What::Number(its)) => match its.holds(*mine) {
                Some(false) if its.unit.is_none() => Match::Other,
                Some(true) => Match::Same,
                Some(false) | None => Match::Apart,
            },
            (What::Number(Number { year: Some(mine), decade, .. }), What::Date(Date { year: Some(its), month: None, .. })) => {
                same(mine == its && !decade)
            }
            (What::Time(mine, mine_told), What::Time(its, its_told)) => {
                same(mine == its || (!mine_told || !its_told) && mine % 720 == its % 720)
            }
            (What::Number(hour), What::Time(minutes, told)) | (What::Time(minutes, told), What::Number(hour))
                if hour.hour && hour.unit.is_none() =>
            {
                let is = |minutes: u16| hour.amounts.contains(&Decimal::new(i128::from(minutes), 0));
                let hours = minutes / 60;
                let same = minutes % 60 == 0 && (is(hours) || is(hours % 12) || !told && is(hours + 12));
                if same { Match::Same } else { Match::Apart }
            }
            (What::Quarter(mine), What::Quarter(its)) | (What::Half(mine), What::Half(its)) => same(mine == its),
            (What::Every(mine), What::Every(its)) => same(mine == its),
            (What::Weekdays(mine), What::Weekdays(its)) => same(mine.cover(*its)),
            (What::Date(mine), What::Weekdays(its)) if Weekdays::of(mine).is_some_and(|day| day.cover(*its)) => Match::Same,
            // `三十日` may be a day or so many.
            (What::Date(date), What::Number(its)) if date.is_bare_day() && its.unit.is_some() => {
                days(date).map_or(Match::Apart, |mine| against_days(&mine, its))
            }
            (What::Number(mine), What::Date(date)) if date.is_bare_day() && mine.unit.is_some() => {
                days(date).map_or(Match::Apart, |its| against_days(mine, &its))
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

    /// The tokens that say it, with what it is for each of.
    pub(super) fn told(&self) -> Range<usize> {
        let rated = if let What::Number(number) = &self.what { number.rated } else { 0 };
        self.tokens.start..self.tokens.end + rated
    }

    pub(super) fn is_century(&self) -> bool {
        matches!(&self.what, What::Number(number) if number.unit.is_some_and(|unit| unit.measure == Measure::Century))
    }

    /// A fraction in words, not said to be a rough one.
    pub(super) fn is_share(&self) -> bool {
        matches!(&self.what, What::Number(number) if number.parts.is_some() && !number.rounded)
    }

    /// It must be found; else only what contradicts it counts.
    pub(super) fn is_firm(&self) -> bool {
        !matches!(&self.what, What::Number(Number { soft: true, .. }) | What::Every(_) | What::Quarter(_) | What::Half(_))
    }
}

/// The tokens at the beginning of which a number may be, without those of a unit that begins like one: the `千` of `300千瓦时`, of
/// `三百千瓦时` and of `十二千瓦时` multiplies nothing. In `三千克` the `三` has no other, and it comes to the same.
fn without_prefix(rest: &[Token]) -> &[Token] {
    // Zeros of the smallest power since the last 万 or 亿, which none as large can follow; and whether one has just been.
    let mut smallest = None;
    let mut complete = rest.first().is_some_and(|first| first.kind == Kind::Number);
    let mut pointed = false;
    for (at, token) in rest.iter().enumerate() {
        let zeros = amount::zeros(token);
        pointed |= at > 0 && &*token.key == "点";
        let follows = complete || pointed || smallest.zip(zeros).is_some_and(|(smallest, zeros)| zeros >= smallest);
        if at > 0 && follows && rest.get(at..).is_some_and(unit::is_prefix) {
            return rest.get(..at).unwrap_or(rest);
        }
        complete = zeros.is_some() || at == 0 && token.kind == Kind::Number;
        match zeros {
            Some(4..) => smallest = None,
            Some(zeros) => smallest = Some(smallest.map_or(zeros, |smallest: u32| smallest.min(zeros))),
            None if amount::is_digit(token) || complete || pointed => {}
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
    values
}

/// The number of things that a text is, and nothing else.
pub(super) fn count(text: &str) -> Option<usize> {
    let tokens = lex(text);
    let values = values(&tokens);
    let [Value { what: What::Number(number), tokens: whole }] = values.as_slice() else { return None };
    let plain = number.unit.is_none() && !number.ordinal && whole.len() == tokens.len();
    number.amounts.first().filter(|_| plain)?.whole().and_then(|count| usize::try_from(count).ok())
}

fn value(tokens: &[Token], at: usize, rest: &[Token]) -> Option<(What, usize)> {
    let first = rest.first()?;
    if let Some(read) = below_zero(tokens, at) {
        return Some(read);
    }
    if first.kind == Kind::Mark {
        return None;
    }
    let before = at.checked_sub(1).and_then(|at| tokens.get(at));
    if let Some((quarter, length)) = quarter::read(rest, before) {
        return Some((What::Quarter(quarter), length));
    }
    if let Some((half, length)) = quarter::half(rest, before) {
        return Some((What::Half(half), length));
    }
    if let Some(year) = quarter::fiscal(first) {
        return Some((What::Number(Number::of_year(year)), 1));
    }
    if let Some((date, length)) = date::read(rest).or_else(|| date::pointed_month(tokens, at)) {
        let duration = date.is_bare_day() && date::is_duration(tokens, &(at..at + length));
        let what = days(&date).filter(|_| duration).map_or(What::Date(date), What::Number);
        return Some((what, length));
    }
    if let Some((tens, length)) = date::decade(rest) {
        let century = date::named_century(tokens.get(..at).unwrap_or_default()).filter(|_| tens < 100);
        return Some((What::Number(Number::of_decade(century.unwrap_or_default() + tens)), length));
    }
    if let Some(clock) = clock::read(rest) {
        return Some((What::Time(clock.minutes, clock.told), clock.length));
    }
    if let Some((days, length)) = weekday::period(rest) {
        return Some((What::Every(days), length));
    }
    if let Some((days, length)) = weekday::read(rest, before) {
        return Some((What::Weekdays(days), length));
    }
    if let Some(share) = share::read(rest, before) {
        return Some((What::Number(Number::share(share, before.is_some_and(is_roughly))), share.length));
    }
    number(tokens, at, rest)
}

/// The number of days that a bare day of a month may be.
fn days(date: &Date) -> Option<Number> {
    let unit = Unit { measure: Measure::Time, factor: Decimal::new(86_400, 0) };
    date.day.map(|day| Number::of(Decimal::new(day.into(), 0), unit))
}

/// Of days that may be a date nothing is another.
fn against_days(mine: &Number, said: &Number) -> Match {
    match against(mine, said) {
        Match::Other => Match::Apart,
        found => found,
    }
}

/// Whether a dash here may begin an item.
fn is_bullet(tokens: &[Token], at: usize) -> bool {
    tokens.get(at).is_some_and(|dash| dash.is("-") && dash.gap >= Gap::Line)
}

/// A number with what makes it one below zero.
fn below_zero(tokens: &[Token], at: usize) -> Option<(What, usize)> {
    let (sign, sure) = minus(tokens, at)?;
    let (what, length) = number(tokens, at + sign, tokens.get(at + sign..)?)?;
    match what {
        // A dash at the beginning of a line may be a bullet.
        What::Number(number) if sure || number.is_temperature() || number.has_sign() && !is_bullet(tokens, at) => {
            Some((What::Number(Number { below_zero: Some(true), ..number }), sign + length))
        }
        _ => None,
    }
}

#[expect(clippy::too_many_lines, reason = "one form of a number after the other")]
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
            // `12½`
            let part = rest.get(1).filter(|next| next.is_glued()).and_then(share::vulgar);
            let (value, length) = part.and_then(|part| value.plus(part)).map_or((value, 1), |value| (value, 2));
            Spelled { value, length, soft: false, ordinal: false }
        }
        Kind::Word => match share::vulgar(first) {
            Some(value) => Spelled { value, length: 1, soft: true, ordinal: false },
            None => amount::english(rest)?,
        },
        // `万一` is in case of, `四周有` around there is.
        Kind::Han if matches!(rest, [a, b, ..] if (&*a.key, &*b.key) == ("万", "一")) => return None,
        Kind::Han if matches!(rest, [a, b, c, ..] if (&*a.key, &*b.key) == ("四", "周") && "有都环是被均".contains(&*c.key)) =>
        {
            return None;
        }
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
    amounts.extend(notation::otherwise(first));
    let money = unit::before(tokens.get(..at).unwrap_or_default());
    if let Some((raised, tokens)) = power::read(rest).filter(|_| !ordinal) {
        amounts = vec![raised];
        rounded = true;
        length = tokens;
    } else if digits
        && !ordinal
        && let Some((joined, tokens)) = amount::mixed(without_prefix(rest))
    {
        amounts = vec![joined];
        rounded = true;
        length = tokens;
    } else if digits
        && !ordinal
        && let Some((factor, more)) = scale(rest, length, money.is_some())
    {
        // `约3万多`: more digits are not known.
        amounts = amounts.iter().filter_map(|amount| amount.times(factor)).collect();
        rounded = true;
        length += more;
    }
    if rest.get(length).is_some_and(|next| matches!(&*next.key, "多" | "余" | "+")) {
        rounded = true;
        length += 1;
    }
    if let Some(more) = rest.get(length..).filter(|_| !ordinal).and_then(half) {
        amounts = amounts.iter().filter_map(|amount| amount.plus(Decimal::new(5, -1))).collect();
        length += more;
    }
    if before.is_some_and(|before| &*before.key == "第") {
        ordinal = true;
        soft = false;
    }
    let mut unit = money;
    // `90-day`, `90 day`, `90天`
    let dash = usize::from(rest.get(length).is_some_and(|next| next.is("-") && next.is_glued()));
    if let Some((found, more)) = rest.get(length + dash..).and_then(unit::after)
        && rest.get(length + dash).is_some_and(|next| next.gap < Gap::Line)
        && !(ordinal && first.kind != Kind::Han && found.measure != Measure::Century)
        && let Some(found) = unit::by_words(found, tokens.get(..at).unwrap_or_default())
    {
        unit = Some(found);
        length += dash + more;
        // `两倍` may be said for `twice`.
        soft &= first.kind != Kind::Han || is_one(&amounts) || found.measure == Measure::Times;
    }
    if let Some((more, tokens)) = unit.filter(|unit| unit.measure.is_yuan()).and_then(|_| amount::tenths(rest.get(length..)?)) {
        amounts = amounts.iter().filter_map(|amount| amount.plus(more)).collect();
        length += tokens;
    }
    if unit.is_none() && is_minutes(tokens, at, rest, length) {
        unit = Some(Unit { measure: Measure::Time, factor: Decimal::new(60, 0) });
        length += 1;
    }
    // `九十日` is no day of a month.
    if unit.is_none()
        && amounts.first().and_then(|n| n.whole()).is_some_and(|n| (32..1000).contains(&n))
        && is_days(rest, length)
    {
        unit = Some(Unit { measure: Measure::Time, factor: Decimal::new(86_400, 0) });
        length += 1;
    }
    if glued_after_word && unit.is_none() {
        rounded = false;
    }
    let bare = digits && unit.is_none() && !first.loose && first.key.len() == 4 && (length == 1 || decade);
    let year = if bare { date::as_year(value) } else { None };
    let next = rest.get(length);
    // Behind a dash of which it is not known what it is, nothing is.
    let dashed = first.is_glued() && before.is_some_and(|before| before.is("-"));
    let signed = || unit.is_some_and(Unit::has_sign) && !sign::is_open(tokens, &(at..at + length));
    let below_zero = is_below_zero(next, rest.get(length + 1), unit).or_else(|| signed().then_some(false));
    let below_zero = below_zero.filter(|below| *below || !dashed);
    length += if below_zero == Some(true) { 2 } else { 0 };
    let counted = next.filter(|next| unit.is_none() && is_counted(next)).map(|next| next.kind);
    let hour = unit.is_none() && next.is_some_and(|next| matches!(&*next.key, "点" | "时"));
    let bound = bound::read(tokens, at, at + length);
    let (rate, rated) = rate::read(tokens, at, at + length, unit);
    let number = Number {
        amounts,
        unit,
        rate: rate.is_told().then(|| Box::new(rate)),
        rated,
        soft,
        ordinal,
        rounded,
        bound,
        decade,
        year,
        parts: None,
        below_zero,
        counted,
        hour,
        column: None,
    };
    Some((What::Number(number), length))
}

/// The tokens that say a half more: `八个半小时`, `eight and a half hours`.
fn half(rest: &[Token]) -> Option<usize> {
    match (key(rest, 0), key(rest, 1), key(rest, 2)) {
        ("个", "半", "小" | "月" | "钟" | "世" | "星" | "百") => Some(2),
        ("and", "a", "half") => Some(3),
        _ => None,
    }
}

/// Whether a 分 behind a number of so many tokens is a minute: hours stand before it, or seconds follow.
fn is_minutes(tokens: &[Token], at: usize, rest: &[Token], length: usize) -> bool {
    let key = |at: usize| rest.get(at).map(|token| &*token.key).unwrap_or_default();
    let hours = at.checked_sub(1).and_then(|last| tokens.get(last.checked_sub(1)?..at));
    let hours = hours.is_some_and(|hours| matches!(hours, [a, b] if (&*a.key, &*b.key) == ("小", "时")));
    let seconds = || {
        let (_, more) = rest.get(length + 1..).and_then(date::count)?;
        Some(key(length + 1 + more) == "秒")
    };
    key(length) == "分" && (hours || seconds() == Some(true))
}

/// Whether a 日 behind a number of so many tokens is a day.
fn is_days(rest: &[Token], length: usize) -> bool {
    let key = |at: usize| rest.get(at).map(|token| &*token.key).unwrap_or_default();
    key(length) == "日" && !matches!(key(length + 1), "本" | "产" | "报" | "军" | "元" | "圆")
}

/// What multiplies a number of so many tokens, which may be money.
fn scale(rest: &[Token], length: usize, money: bool) -> Option<(Decimal, usize)> {
    let money = || money || rest.get(length + 1..).and_then(unit::after).is_some_and(|(unit, _)| unit.measure.is_money());
    let plain = without_prefix(rest).get(length..).and_then(amount::scale);
    plain.or_else(|| rest.get(length..).filter(|_| money()).and_then(amount::scale_of_money))
}

/// Whether a temperature is below zero, where it is told behind its number; a `-` before it was looked for.
fn is_below_zero(next: Option<&Token>, after: Option<&Token>, unit: Option<Unit>) -> Option<bool> {
    let is = |token: Option<&Token>, key: &str| token.is_some_and(|token| &*token.key == key);
    let temperature = unit.is_some_and(|unit| matches!(unit.measure, Measure::Celsius | Measure::Fahrenheit | Measure::Degree));
    let below = is(next, "below") && is(after, "zero");
    (temperature || unit.is_none() && is(next, "度")).then_some(temperature && below)
}

/// `shares` behind a number, `人`: what is counted, which no percent is.
fn is_counted(next: &Token) -> bool {
    let plural = next.key.len() > 3 && next.key.ends_with('s') && !next.key.ends_with("ss");
    match next.kind {
        Kind::Word => plural && !next.capital && next.gap == Gap::Space && !is_function(&next.key),
        Kind::Han => "人股名家个座台艘辆位次项条件份户层所间本册篇页张只头匹支根片批届起例种类".contains(&*next.key),
        _ => false,
    }
}

fn is_one(amounts: &[Decimal]) -> bool {
    amounts == [Decimal::new(1, 0)]
}
