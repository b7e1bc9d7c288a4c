//! Units: what a number is of, and how many of the smallest of its kind it holds.

use super::amount::Decimal;
use super::function::is_function;
use super::han::{begins_like_a_unit, ends_there, han};
use super::latin::latin;
use super::lex::{Kind, Token, key};
use super::measure::{Measure, unit};

pub(super) use super::measure::Unit;

/// Areas are in 亩, of which a square metre and a hectare have whole parts.
const MU_OF_A_SQUARE_METRE: Decimal = Decimal::of(15, -4);

impl Unit {
    /// Whether there is less than none of it: of no time, and of nothing that is stored.
    pub(super) fn has_sign(self) -> bool {
        !matches!(
            self.measure,
            Measure::Time | Measure::Months | Measure::WorkDays | Measure::Century | Measure::Bytes | Measure::Bits
        )
    }

    /// Whether one may stand for the other with the same number: `90公里` for `90公里/小时`, `300 km` for a square that was lost, 20度
    /// for 20摄氏度.
    pub(super) fn is_short_for(&self, other: &Self) -> bool {
        self.shortens(other) || other.shortens(self)
    }

    fn shortens(&self, full: &Self) -> bool {
        let hourly = |seconds| self.factor.times(Decimal::new(seconds, 0)) == Some(full.factor);
        let is = |measure: Measure, digits, exponent| *full == unit(measure, digits, exponent);
        match (self.measure, full.measure) {
            (Measure::Length, Measure::Speed) => hourly(1) || hourly(60) || hourly(3600),
            (Measure::Length, Measure::Area) => {
                self.factor.times(self.factor).and_then(|square| square.times(MU_OF_A_SQUARE_METRE)) == Some(full.factor)
            }
            // A 度 of spirits is a percent.
            (Measure::Degree, Measure::Celsius | Measure::Fahrenheit | Measure::Percent) => true,
            (Measure::Degree, Measure::Energy) => is(Measure::Energy, 3600, 3),
            // Screens are measured in 寸 that are inches.
            (Measure::Chi, Measure::Length) if self.factor == Decimal::new(1, 0) => is(Measure::Length, 3048, -4),
            (Measure::Chi, Measure::Length) => self.factor == Decimal::new(1, -1) && is(Measure::Length, 254, -4),
            _ => false,
        }
    }
}

/// The longest word in Chinese that is looked at.
const LONGEST: usize = 4;

/// The characters that multiply a number, and begin units of their own as well: `3百万` and `3百帕`, `3千人` and `3千瓦时`.
const PREFIXES: [&str; 2] = ["百", "千"];

/// The unit that begins here, and its tokens. `m`, `s` and the like count beside a number only, which is what the caller has.
pub(super) fn after(tokens: &[Token]) -> Option<(Unit, usize)> {
    let (unit, length) = raised(tokens).or_else(|| simple(tokens))?;
    let rest = tokens.get(length..).unwrap_or_default();
    Some(match times_an_hour(rest) {
        Some((times, more)) if unit.measure == Measure::Length => {
            (Unit { measure: Measure::Speed, factor: unit.factor.times(times)? }, length + more)
        }
        // `Gb/s`, which are no `GB/s`; what is stored is often called either.
        Some(_) if unit.measure == Measure::Bytes && is_in_bits(tokens) => (Unit { measure: Measure::Bits, ..unit }, length),
        _ => (unit, length),
    })
}

/// `Mb`, `Gb`: a small letter behind a capital.
fn is_in_bits(tokens: &[Token]) -> bool {
    tokens.first().is_some_and(|first| first.capital && !first.acronym && matches!(&*first.key, "mb" | "gb" | "tb"))
}

/// How often in an hour, of `/s`, `per hour`, `每小时`; and its tokens.
fn times_an_hour(tokens: &[Token]) -> Option<(Decimal, usize)> {
    let key = |at: usize| tokens.get(at).map(|token| &*token.key).unwrap_or_default();
    if !matches!(key(0), "/" | "per" | "a" | "an" | "每") {
        return None;
    }
    let (times, length) = match (key(1), key(2)) {
        ("小", "时") => (1, 3),
        ("h" | "hr" | "hour" | "时", _) => (1, 2),
        ("分", "钟") => (60, 3),
        ("min" | "minute" | "分", _) => (60, 2),
        ("s" | "sec" | "second" | "秒", _) => (3600, 2),
        _ => return None,
    };
    Some((Decimal::new(times, 0), length))
}

/// The unit that is meant, by the words before a number: `时速90公里`, `每秒25米`, `航速15节`, `耗电30度`; `None` where it is none.
pub(super) fn by_words(unit: Unit, before: &[Token]) -> Option<Unit> {
    /// Characters between, as in `时速达到了`.
    const BETWEEN: usize = 6;
    let near = before.iter().rev().take(BETWEEN).take_while(|token| token.kind == Kind::Han).map(|token| &*token.key);
    let said: String = near.collect::<Vec<_>>().into_iter().rev().collect();
    match unit.measure {
        Measure::Sections => said.contains(['速', '航']).then(|| self::unit(Measure::Speed, 1852, 0)),
        Measure::Degree if said.contains('电') => Some(self::unit(Measure::Energy, 3600, 3)),
        Measure::Length => {
            let times = match () {
                () if said.contains("时速") || said.ends_with("每小时") => 1,
                () if said.ends_with("每分钟") => 60,
                () if said.contains("秒速") || said.ends_with("每秒") => 3600,
                () => return Some(unit),
            };
            Some(Unit { measure: Measure::Speed, factor: unit.factor.times(Decimal::new(times, 0))? })
        }
        _ => Some(unit),
    }
}

/// `square kilometres`, `sq. ft`, `cubic metres`, `m³`, `平方厘米`, `立方米`.
fn raised(tokens: &[Token]) -> Option<(Unit, usize)> {
    let first = tokens.first()?;
    let abbreviated = |key: &str| usize::from(&*first.key == key && tokens.get(1).is_some_and(|next| next.is(".")));
    let side = |at: usize| latin(key(tokens, at)).filter(|unit| unit.measure == Measure::Length);
    match (&*first.key, key(tokens, 1)) {
        ("square" | "sq", _) => {
            let at = 1 + abbreviated("sq");
            Some((squared(side(at)?)?, at + 1))
        }
        ("cubic" | "cu", _) => {
            let at = 1 + abbreviated("cu");
            Some((cubed(side(at)?)?, at + 1))
        }
        ("平", "方") => longest(tokens.get(2..)?).and_then(|(side, length)| Some((squared(side?)?, 2 + length))),
        ("立", "方") => longest(tokens.get(2..)?).and_then(|(side, length)| Some((cubed(side?)?, 2 + length))),
        (written, _) if first.kind == Kind::Word && !first.capital => {
            let side = |written: &str| match written {
                "in" => Some(unit(Measure::Length, 254, -4)),
                "mm" | "cm" | "dm" | "m" | "km" | "ft" | "yd" | "mi" => latin(written),
                _ => None,
            };
            let square = || squared(side(written.strip_suffix('2')?)?);
            let cube = || cubed(side(written.strip_suffix('3')?)?);
            square().or_else(cube).map(|unit| (unit, 1))
        }
        _ => None,
    }
}

fn squared(side: Unit) -> Option<Unit> {
    let factor = side.factor.times(side.factor)?.times(MU_OF_A_SQUARE_METRE)?;
    (side.measure == Measure::Length).then_some(Unit { measure: Measure::Area, factor })
}

/// In litres.
fn cubed(side: Unit) -> Option<Unit> {
    let factor = side.factor.times(side.factor)?.times(side.factor)?.times(Decimal::new(1, 3))?;
    (side.measure == Measure::Length).then_some(Unit { measure: Measure::Volume, factor })
}

/// `percentage points`, `%-points`, `basis points`.
fn points(tokens: &[Token]) -> Option<(Unit, usize)> {
    let at = 1 + usize::from(key(tokens, 1) == "-");
    let exponent = match key(tokens, 0) {
        "percentage" | "percent" | "%" => 0,
        "basis" => -2,
        _ => return None,
    };
    matches!(key(tokens, at), "point" | "points").then(|| (unit(Measure::Points, 1, exponent), at + 1))
}

/// What a word with a capital that is a unit is of, and no name: `USD`, `Celsius`.
pub(super) fn named(key: &str) -> Option<Measure> {
    let money = |unit: &Unit| unit.measure.is_money() && key.len() == 3;
    let degrees = matches!(key, "celsius" | "fahrenheit");
    latin(key).filter(|unit| degrees || money(unit)).map(|unit| unit.measure)
}

/// One of the lists.
fn simple(tokens: &[Token]) -> Option<(Unit, usize)> {
    let first = tokens.first()?;
    match first.kind {
        Kind::Word if matches!(&*first.key, "degree" | "degrees") => {
            let scale = tokens.get(1).map(|next| &*next.key).unwrap_or_default();
            match scale {
                "celsius" | "centigrade" | "c" => Some((unit(Measure::Celsius, 1, 0), 2)),
                "fahrenheit" | "f" => Some((unit(Measure::Fahrenheit, 1, 0), 2)),
                _ => None,
            }
        }
        Kind::Word | Kind::Mark if points(tokens).is_some() => points(tokens),
        // `US dollars` are no microseconds.
        Kind::Word if &*first.key == "us" && tokens.get(1).is_some_and(|next| matches!(&*next.key, "dollar" | "dollars")) => {
            Some((unit(Measure::UsDollar, 1, 0), 2))
        }
        Kind::Word
            if matches!(&*first.key, "business" | "working")
                && tokens.get(1).is_some_and(|next| matches!(&*next.key, "day" | "days")) =>
        {
            Some((unit(Measure::WorkDays, 1, 0), 2))
        }
        Kind::Word if &*first.key == "nautical" && matches!(key(tokens, 1), "mile" | "miles") => {
            Some((unit(Measure::Length, 1852, 0), 2))
        }
        // `12 stone walls`
        Kind::Word
            if &*first.key == "stone"
                && tokens.get(1).is_some_and(|next| next.kind == Kind::Word && !is_function(&next.key)) =>
        {
            None
        }
        // `the 10 L.A. teams`
        Kind::Word if &*first.key == "l" && key(tokens, 1) == "." && tokens.get(2).is_some_and(Token::is_glued) => None,
        Kind::Word if &*first.key == "pa" && first.capital && !first.acronym => Some((unit(Measure::Pressure, 1, 0), 1)),
        Kind::Word => latin(&first.key).map(|unit| (unit, 1)),
        Kind::Mark => {
            let unit = match &*first.key {
                "%" => (Measure::Percent, 0),
                "‰" => (Measure::Percent, -1),
                "€" => (Measure::Euro, 0),
                "°" | "℃" | "℉" => {
                    let fahrenheit = &*first.key == "℉" || tokens.get(1).is_some_and(|next| &*next.key == "f");
                    let length = if &*first.key == "°" { 2 } else { 1 };
                    let known = length == 1 || tokens.get(1).is_some_and(|next| matches!(&*next.key, "c" | "f"));
                    let measure = if fahrenheit { Measure::Fahrenheit } else { Measure::Celsius };
                    return known.then_some((unit(measure, 1, 0), length));
                }
                _ => return None,
            };
            Some((self::unit(unit.0, 1, unit.1), 1))
        }
        Kind::Han => {
            let (unit, length) = longest(tokens)?;
            unit.filter(|_| !is_place(tokens)).map(|unit| (unit, length))
        }
        Kind::Number => None,
    }
}

/// Whether a 里 that begins here is part of a name (`三里屯`) or means inside, rather than half a kilometre.
fn is_place(tokens: &[Token]) -> bool {
    let key = |at: usize| tokens.get(at).filter(|token| token.kind == Kind::Han).map(|token| &*token.key);
    key(0) == Some("里") && key(1).is_some_and(|next| !"远路外的地以之多左".contains(next))
}

/// The longest word in Chinese that begins here, with its tokens: a unit of the list, or another that begins like one.
fn longest(tokens: &[Token]) -> Option<(Option<Unit>, usize)> {
    (1..=LONGEST).rev().find_map(|length| {
        let word: String = tokens.get(..length)?.iter().map(|token| &*token.key).collect();
        let next = tokens.get(length).filter(|next| next.kind == Kind::Han);
        let unit = han(&word).filter(|_| next.is_none_or(|next| ends_there(&word, &next.key)));
        (unit.is_some() || begins_like_a_unit(&word)).then_some((unit, length))
    })
}

/// Whether the character that begins here, which multiplies numbers elsewhere, is part of a unit: the `千` of `千瓦时` is, that of
/// `千克拉` multiplies carats.
pub(super) fn is_prefix(tokens: &[Token]) -> bool {
    let Some((first, rest)) = tokens.split_first() else { return false };
    let whole = longest(tokens).map_or(0, |(_, length)| length);
    PREFIXES.contains(&&*first.key) && whole > longest(rest).map_or(0, |(_, length)| length)
}

/// The unit that what stands before a number gives it: `$`, `HK$`, `RMB`.
pub(super) fn before(tokens: &[Token]) -> Option<Unit> {
    let (token, rest) = tokens.split_last()?;
    let country = rest.last().filter(|_| token.is_glued()).map(|token| &*token.key).unwrap_or_default();
    let measure = match (&*token.key, country) {
        ("$", "us") | ("usd", _) => Measure::UsDollar,
        ("$", "hk") | ("hkd", _) => Measure::HongKongDollar,
        ("$", "nt") => Measure::TaiwanDollar,
        ("$", "a" | "au") => Measure::AustralianDollar,
        ("$", "c" | "ca") => Measure::CanadianDollar,
        ("$", "s") => Measure::SingaporeDollar,
        ("$", _) => Measure::Dollar,
        ("€" | "eur", _) => Measure::Euro,
        ("£" | "gbp", _) => Measure::Pound,
        ("¥", _) => Measure::Yuan,
        ("cny" | "rmb", _) => Measure::Renminbi,
        _ => return None,
    };
    Some(unit(measure, 1, 0))
}

#[cfg(test)]
mod tests {
    use super::super::lex::lex;
    use super::*;

    #[test]
    fn a_word_that_begins_like_a_unit_is_none() {
        let of = |text: &str| after(&lex(text));
        let grams = unit(Measure::Mass, 1, -3);
        assert_eq!(of("克"), Some((grams, 1)));
        assert_eq!(of("克的黄金"), Some((grams, 1)));
        assert_eq!(of("克拉钻石"), Some((unit(Measure::Mass, 2, -4), 2)));
        assert_eq!(of("周年"), of("年").map(|(unit, _)| (unit, 2)));
        assert_eq!(of("天内"), Some((unit(Measure::Time, 86_400, 0), 1)));
        assert_eq!(of("千瓦"), Some((unit(Measure::Power, 1, 3), 2)));
        for words in ["天才完成", "天使用", "天线上活动"] {
            assert_eq!(of(words), Some((unit(Measure::Time, 86_400, 0), 1)), "{words}");
        }
        for word in ["克朗", "克朗的费用", "元素", "年级", "毫米汞柱", "秒差距", "比特币", "周岁以下"]
        {
            assert_eq!(of(word), None, "{word}");
        }
    }
}
