//! Units: what a number is of, and how many of the smallest of its kind it holds.

use super::amount::Decimal;
use super::lex::{Kind, Token, key};
use super::measure::Measure;

/// A unit: so many of the least of its measure.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Unit {
    pub(super) measure: Measure,
    pub(super) factor: Decimal,
}

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

    /// Whether one may stand for the other with the same number: `90公里` for `90公里/小时`, `300 km` for a square that was lost.
    pub(super) fn is_short_for(&self, other: &Self) -> bool {
        let (short, full) = if self.measure == Measure::Length { (self, other) } else { (other, self) };
        let hourly = |seconds| short.factor.times(Decimal::new(seconds, 0)) == Some(full.factor);
        match (short.measure, full.measure) {
            (Measure::Length, Measure::Speed) => hourly(1) || hourly(60) || hourly(3600),
            (Measure::Length, Measure::Area) => {
                short.factor.times(short.factor).and_then(|square| square.times(MU_OF_A_SQUARE_METRE)) == Some(full.factor)
            }
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
    let (unit, length) = square(tokens).or_else(|| simple(tokens))?;
    Some(match tokens.get(length..).and_then(times_an_hour) {
        Some((times, more)) if unit.measure == Measure::Length => {
            (Unit { measure: Measure::Speed, factor: unit.factor.times(times)? }, length + more)
        }
        _ => (unit, length),
    })
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

/// The speed that is meant where the words before a number say so: `时速90公里`, `每秒25米`.
pub(super) fn at_speed(unit: Unit, before: &[Token]) -> Option<Unit> {
    /// Characters between, as in `时速达到了`.
    const BETWEEN: usize = 6;
    let near = before.iter().rev().take(BETWEEN).take_while(|token| token.kind == Kind::Han).map(|token| &*token.key);
    let said: String = near.collect::<Vec<_>>().into_iter().rev().collect();
    let times = match () {
        () if said.contains("时速") || said.ends_with("每小时") => 1,
        () if said.ends_with("每分钟") => 60,
        () if said.contains("秒速") || said.ends_with("每秒") => 3600,
        () => return None,
    };
    let factor = unit.factor.times(Decimal::new(times, 0)).filter(|_| unit.measure == Measure::Length)?;
    Some(Unit { measure: Measure::Speed, factor })
}

/// `square kilometres`, `sq. ft`.
fn square(tokens: &[Token]) -> Option<(Unit, usize)> {
    let first = tokens.first().filter(|first| matches!(&*first.key, "square" | "sq"))?;
    let at = 1 + usize::from(&*first.key == "sq" && tokens.get(1).is_some_and(|next| next.is(".")));
    let side = latin(&tokens.get(at)?.key).filter(|unit| unit.measure == Measure::Length)?;
    Some((Unit { measure: Measure::Area, factor: side.factor.times(side.factor)?.times(MU_OF_A_SQUARE_METRE)? }, at + 1))
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
        let unit = han(&word);
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

fn unit(measure: Measure, factor: i128, exponent: i32) -> Unit {
    Unit { measure, factor: Decimal::new(factor, exponent) }
}

#[expect(clippy::too_many_lines, reason = "a list")]
fn latin(key: &str) -> Option<Unit> {
    use Measure::{
        ApparentPower, Area, AustralianDollar, Bits, Bytes, Calories, CanadianDollar, Celsius, Century, Charge, Dollar, Energy,
        Euro, Fahrenheit, Frequency, Gallons, HongKongDollar, Length, Mass, Months, Percent, Points, Pound, Power, Pressure,
        Renminbi, SingaporeDollar, Speed, TaiwanDollar, Time, Units, UsDollar, Voltage, Volume, Won, Yen,
    };
    Some(match key {
        "ns" | "nanosecond" | "nanoseconds" => unit(Time, 1, -9),
        "us" | "µs" | "μs" | "microsecond" | "microseconds" => unit(Time, 1, -6),
        "ms" | "msec" | "millisecond" | "milliseconds" => unit(Time, 1, -3),
        "s" | "sec" | "secs" | "second" | "seconds" => unit(Time, 1, 0),
        "min" | "mins" | "minute" | "minutes" => unit(Time, 60, 0),
        "h" | "hr" | "hrs" | "hour" | "hours" => unit(Time, 3600, 0),
        "day" | "days" => unit(Time, 86_400, 0),
        "week" | "weeks" => unit(Time, 604_800, 0),
        "month" | "months" => unit(Months, 1, 0),
        "year" | "years" | "yr" | "yrs" => unit(Months, 12, 0),
        "decade" | "decades" => unit(Months, 120, 0),
        "century" | "centuries" => unit(Century, 1, 0),
        "byte" | "bytes" => unit(Bytes, 1, 0),
        "kb" | "kilobyte" | "kilobytes" => unit(Bytes, 1, 3),
        "mb" | "megabyte" | "megabytes" => unit(Bytes, 1, 6),
        "gb" | "gigabyte" | "gigabytes" => unit(Bytes, 1, 9),
        "tb" | "terabyte" | "terabytes" => unit(Bytes, 1, 12),
        "pb" | "petabyte" | "petabytes" => unit(Bytes, 1, 15),
        "kib" => unit(Bytes, 1 << 10, 0),
        "mib" => unit(Bytes, 1 << 20, 0),
        "gib" => unit(Bytes, 1 << 30, 0),
        "tib" => unit(Bytes, 1 << 40, 0),
        "bit" | "bits" => unit(Bits, 1, 0),
        "kbit" | "kbps" => unit(Bits, 1, 3),
        "mbit" | "mbps" => unit(Bits, 1, 6),
        "gbit" | "gbps" => unit(Bits, 1, 9),
        "nm" | "nanometre" | "nanometres" | "nanometer" | "nanometers" => unit(Length, 1, -9),
        "µm" | "μm" | "um" | "micrometre" | "micrometres" | "micrometer" | "micrometers" => unit(Length, 1, -6),
        "mm" | "millimetre" | "millimetres" | "millimeter" | "millimeters" => unit(Length, 1, -3),
        "cm" | "centimetre" | "centimetres" | "centimeter" | "centimeters" => unit(Length, 1, -2),
        "m" | "metre" | "metres" | "meter" | "meters" => unit(Length, 1, 0),
        "km" | "kilometre" | "kilometres" | "kilometer" | "kilometers" => unit(Length, 1, 3),
        "mi" | "mile" | "miles" => unit(Length, 1_609_344, -3),
        "ft" | "foot" | "feet" => unit(Length, 3048, -4),
        "yd" | "yard" | "yards" => unit(Length, 9144, -4),
        "inch" | "inches" => unit(Length, 254, -4),
        "mph" => unit(Speed, 1_609_344, -3),
        "kph" | "kmh" | "km/h" => unit(Speed, 1, 3),
        "knot" | "knots" => unit(Speed, 1852, 0),
        "m2" | "m²" | "sqm" => unit(Area, 15, -4),
        "km2" | "km²" => unit(Area, 1500, 0),
        "ha" | "hectare" | "hectares" => unit(Area, 15, 0),
        "acre" | "acres" => unit(Area, 60_702_846_336, -10),
        "ng" | "nanogram" | "nanograms" => unit(Mass, 1, -12),
        "µg" | "μg" | "ug" | "mcg" | "microgram" | "micrograms" => unit(Mass, 1, -9),
        "mg" | "milligram" | "milligrams" => unit(Mass, 1, -6),
        "g" | "gram" | "grams" => unit(Mass, 1, -3),
        "kg" | "kilogram" | "kilograms" => unit(Mass, 1, 0),
        "t" | "tonne" | "tonnes" => unit(Mass, 1, 3),
        "lb" | "lbs" | "pounds" => unit(Mass, 45_359_237, -8),
        "hz" => unit(Frequency, 1, 0),
        "khz" => unit(Frequency, 1, 3),
        "mhz" => unit(Frequency, 1, 6),
        "ghz" => unit(Frequency, 1, 9),
        "w" | "watt" | "watts" => unit(Power, 1, 0),
        "kw" | "kilowatt" | "kilowatts" => unit(Power, 1, 3),
        "mw" | "megawatt" | "megawatts" => unit(Power, 1, 6),
        "gw" | "gigawatt" | "gigawatts" => unit(Power, 1, 9),
        "kva" => unit(ApparentPower, 1, 3),
        "mva" => unit(ApparentPower, 1, 6),
        "wh" => unit(Energy, 3600, 0),
        "kwh" => unit(Energy, 3600, 3),
        "mwh" => unit(Energy, 3600, 6),
        "gwh" => unit(Energy, 3600, 9),
        "twh" => unit(Energy, 3600, 12),
        "joule" | "joules" => unit(Energy, 1, 0),
        "kj" => unit(Energy, 1, 3),
        "kcal" => unit(Calories, 1, 3),
        "volt" | "volts" => unit(Voltage, 1, 0),
        "kv" | "kilovolt" | "kilovolts" => unit(Voltage, 1, 3),
        "mah" => unit(Charge, 1, -3),
        "hpa" | "mbar" | "millibar" | "millibars" => unit(Pressure, 1, 2),
        "kpa" => unit(Pressure, 1, 3),
        "mpa" => unit(Pressure, 1, 6),
        "psi" => unit(Pressure, 6_894_757_293_168, -9),
        "bar" => unit(Pressure, 1, 5),
        "µl" | "μl" | "ul" | "microlitre" | "microlitres" | "microliter" | "microliters" => unit(Volume, 1, -6),
        "ml" | "millilitre" | "millilitres" | "milliliter" | "milliliters" => unit(Volume, 1, -3),
        "litre" | "litres" | "liter" | "liters" => unit(Volume, 1, 0),
        "gal" | "gallon" | "gallons" => unit(Gallons, 1, 0),
        "units" | "iu" => unit(Units, 1, 0),
        "prozentpunkt" | "prozentpunkte" | "prozentpunkten" => unit(Points, 1, 0),
        "percent" | "pct" | "prozent" => unit(Percent, 1, 0),
        "celsius" => unit(Celsius, 1, 0),
        "fahrenheit" => unit(Fahrenheit, 1, 0),
        "dollar" | "dollars" => unit(Dollar, 1, 0),
        "usd" => unit(UsDollar, 1, 0),
        "hkd" => unit(HongKongDollar, 1, 0),
        "twd" => unit(TaiwanDollar, 1, 0),
        "aud" => unit(AustralianDollar, 1, 0),
        "cad" => unit(CanadianDollar, 1, 0),
        "sgd" => unit(SingaporeDollar, 1, 0),
        "krw" => unit(Won, 1, 0),
        "euro" | "euros" | "eur" => unit(Euro, 1, 0),
        "gbp" => unit(Pound, 1, 0),
        "yuan" | "rmb" | "cny" => unit(Renminbi, 1, 0),
        "yen" | "jpy" => unit(Yen, 1, 0),
        _ => return None,
    })
}

#[expect(clippy::too_many_lines, reason = "a list")]
fn han(word: &str) -> Option<Unit> {
    use Measure::{
        ApparentPower, Area, AustralianDollar, Bits, Bytes, Calories, CanadianDollar, Celsius, Century, Charge, Current,
        Energy, Euro, Force, Franc, Frequency, Gallons, HongKongDollar, Length, Mass, Months, Points, Pound, Power, Pressure,
        Renminbi, Rouble, Rupee, SingaporeDollar, TaiwanDollar, Time, UsDollar, Voltage, Volume, Won, WorkDays, Yen, Yuan,
    };
    Some(match word {
        "微秒" => unit(Time, 1, -6),
        "毫秒" => unit(Time, 1, -3),
        "秒" | "秒钟" => unit(Time, 1, 0),
        "分钟" => unit(Time, 60, 0),
        "小时" | "个小时" => unit(Time, 3600, 0),
        "天" | "自然日" | "个自然日" => unit(Time, 86_400, 0),
        "工作日" | "个工作日" => unit(WorkDays, 1, 0),
        "周" | "星期" | "个星期" | "礼拜" | "个礼拜" => unit(Time, 604_800, 0),
        "个月" => unit(Months, 1, 0),
        "年" | "周年" => unit(Months, 12, 0),
        "世纪" => unit(Century, 1, 0),
        "字节" | "位元组" => unit(Bytes, 1, 0),
        "千字节" => unit(Bytes, 1, 3),
        "兆字节" => unit(Bytes, 1, 6),
        "吉字节" | "千兆字节" => unit(Bytes, 1, 9),
        "太字节" => unit(Bytes, 1, 12),
        "比特" => unit(Bits, 1, 0),
        "千比特" => unit(Bits, 1, 3),
        "兆比特" => unit(Bits, 1, 6),
        "吉比特" | "千兆比特" => unit(Bits, 1, 9),
        "纳米" => unit(Length, 1, -9),
        "微米" => unit(Length, 1, -6),
        "毫米" | "公厘" => unit(Length, 1, -3),
        "厘米" | "公分" => unit(Length, 1, -2),
        "米" | "公尺" => unit(Length, 1, 0),
        "公里" | "千米" => unit(Length, 1, 3),
        "里" | "华里" => unit(Length, 500, 0),
        "海里" => unit(Length, 1852, 0),
        "英里" => unit(Length, 1_609_344, -3),
        "英尺" => unit(Length, 3048, -4),
        "英寸" => unit(Length, 254, -4),
        "平方米" => unit(Area, 15, -4),
        "亩" => unit(Area, 1, 0),
        "公顷" => unit(Area, 15, 0),
        "平方公里" | "平方千米" => unit(Area, 1500, 0),
        "英亩" => unit(Area, 60_702_846_336, -10),
        "微克" => unit(Mass, 1, -9),
        "毫克" => unit(Mass, 1, -6),
        "克" | "公克" => unit(Mass, 1, -3),
        "克拉" => unit(Mass, 2, -4),
        "公斤" | "千克" => unit(Mass, 1, 0),
        "吨" | "公吨" => unit(Mass, 1, 3),
        "赫兹" => unit(Frequency, 1, 0),
        "千赫" | "千赫兹" => unit(Frequency, 1, 3),
        "兆赫" | "兆赫兹" => unit(Frequency, 1, 6),
        "吉赫" | "吉赫兹" | "千兆赫" | "千兆赫兹" => unit(Frequency, 1, 9),
        "毫瓦" => unit(Power, 1, -3),
        "瓦" | "瓦特" => unit(Power, 1, 0),
        "千瓦" | "千瓦特" => unit(Power, 1, 3),
        "兆瓦" | "兆瓦特" => unit(Power, 1, 6),
        "吉瓦" => unit(Power, 1, 9),
        "千伏安" => unit(ApparentPower, 1, 3),
        "兆伏安" => unit(ApparentPower, 1, 6),
        "瓦时" => unit(Energy, 3600, 0),
        "千瓦时" | "千瓦小时" => unit(Energy, 3600, 3),
        "兆瓦时" | "兆瓦小时" => unit(Energy, 3600, 6),
        "吉瓦时" => unit(Energy, 3600, 9),
        "太瓦时" => unit(Energy, 3600, 12),
        "焦耳" => unit(Energy, 1, 0),
        "千焦" | "千焦耳" => unit(Energy, 1, 3),
        "兆焦" | "兆焦耳" => unit(Energy, 1, 6),
        "千卡" | "大卡" => unit(Calories, 1, 3),
        "毫伏" => unit(Voltage, 1, -3),
        "伏特" => unit(Voltage, 1, 0),
        "千伏" | "千伏特" => unit(Voltage, 1, 3),
        "毫安" => unit(Current, 1, -3),
        "安培" => unit(Current, 1, 0),
        "千安" | "千安培" => unit(Current, 1, 3),
        "毫安时" => unit(Charge, 1, -3),
        "安时" => unit(Charge, 1, 0),
        "帕斯卡" => unit(Pressure, 1, 0),
        "百帕" | "百帕斯卡" | "毫巴" => unit(Pressure, 1, 2),
        "千帕" | "千帕斯卡" => unit(Pressure, 1, 3),
        "兆帕" | "兆帕斯卡" => unit(Pressure, 1, 6),
        "吉帕" => unit(Pressure, 1, 9),
        "千牛" | "千牛顿" => unit(Force, 1, 3),
        "毫升" => unit(Volume, 1, -3),
        "公升" => unit(Volume, 1, 0),
        "千升" => unit(Volume, 1, 3),
        "加仑" => unit(Gallons, 1, 0),
        "摄氏度" => unit(Celsius, 1, 0),
        "百分点" | "个百分点" => unit(Points, 1, 0),
        "基点" | "个基点" => unit(Points, 1, -2),
        "微升" => unit(Volume, 1, -6),
        "美元" | "美金" => unit(UsDollar, 1, 0),
        "港元" | "港币" => unit(HongKongDollar, 1, 0),
        "台币" | "新台币" => unit(TaiwanDollar, 1, 0),
        "澳元" => unit(AustralianDollar, 1, 0),
        "加元" => unit(CanadianDollar, 1, 0),
        "新元" => unit(SingaporeDollar, 1, 0),
        "人民币" => unit(Renminbi, 1, 0),
        "韩元" => unit(Won, 1, 0),
        "卢布" => unit(Rouble, 1, 0),
        "卢比" => unit(Rupee, 1, 0),
        "法郎" => unit(Franc, 1, 0),
        "欧元" => unit(Euro, 1, 0),
        "英镑" => unit(Pound, 1, 0),
        "元" | "圆" => unit(Yuan, 1, 0),
        "日元" | "日圆" => unit(Yen, 1, 0),
        _ => return None,
    })
}

/// Words that are no unit of the list and begin like one: other currencies and measures, and what is counted. `300克朗` are no grams.
/// None that other words could make together: `3天才` is three days, and only then.
fn begins_like_a_unit(word: &str) -> bool {
    matches!(
        word,
        "克朗"
            | "克郎"
            | "克鲁赛罗"
            | "克瓦查"
            | "克隆"
            | "元素"
            | "元件"
            | "元组"
            | "圆形"
            | "圆桌"
            | "圆圈"
            | "圆心"
            | "圆点"
            | "圆柱"
            | "米粒"
            | "米粉"
            | "米饭"
            | "周岁"
            | "年级"
            | "天文单位"
            | "秒差距"
            | "吨位"
            | "吨公里"
            | "公斤力"
            | "千克力"
            | "毫米波"
            | "毫米汞柱"
            | "英尺磅"
            | "瓦片"
            | "瓦斯"
            | "比特币"
            | "牛羊"
            | "字节码"
            | "字节跳动"
    )
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
