//! Units: what a number is of, and how many of the smallest of its kind it holds.

use super::amount::Decimal;
use super::lex::{Kind, Token};

/// What is measured.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) enum Measure {
    Time,
    Months,
    Bytes,
    Bits,
    Length,
    Mass,
    Frequency,
    Percent,
    Celsius,
    Fahrenheit,
    Power,
    Dollar,
    Euro,
    Pound,
    Yuan,
    Yen,
    Century,
}

/// A unit: so many of the least of its measure.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Unit {
    pub(super) measure: Measure,
    pub(super) factor: Decimal,
}

/// The longest word in Chinese that is looked at.
const LONGEST: usize = 4;

/// The unit that begins here, and its tokens. `m`, `s` and the like count beside a number only, which is what the caller has.
pub(super) fn after(tokens: &[Token]) -> Option<(Unit, usize)> {
    let first = tokens.first()?;
    match first.kind {
        Kind::Word => latin(&first.key, &first.bytes).map(|unit| (unit, 1)),
        Kind::Mark => {
            let unit = match &*first.key {
                "%" | "‰" => (Measure::Percent, 0),
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
            let mut words = (1..=LONGEST).rev().filter_map(|length| {
                let word: String = tokens.get(..length)?.iter().map(|token| &*token.key).collect();
                Some((word, length))
            });
            // The longest word counts, whether it is a unit of the list or another word that begins like one.
            let known = |(word, length): (String, usize)| {
                let unit = han(&word);
                (unit.is_some() || begins_like_a_unit(&word)).then_some((unit, length))
            };
            let (unit, length) = words.find_map(known)?;
            unit.map(|unit| (unit, length))
        }
        Kind::Number => None,
    }
}

/// The unit that a mark before a number gives it.
pub(super) fn before(token: &Token) -> Option<Unit> {
    let measure = match &*token.key {
        "$" | "usd" => Measure::Dollar,
        "€" | "eur" => Measure::Euro,
        "£" | "gbp" => Measure::Pound,
        "¥" | "cny" | "rmb" => Measure::Yuan,
        _ => return None,
    };
    Some(unit(measure, 1, 0))
}

fn unit(measure: Measure, factor: i128, exponent: i32) -> Unit {
    Unit { measure, factor: Decimal::new(factor, exponent) }
}

fn latin(key: &str, _bytes: &std::ops::Range<usize>) -> Option<Unit> {
    use Measure::{
        Bits, Bytes, Celsius, Century, Dollar, Euro, Fahrenheit, Frequency, Length, Mass, Months, Percent, Pound, Power,
    };
    use Measure::{Time, Yen, Yuan};
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
        "nm" => unit(Length, 1, -9),
        "mm" | "millimetre" | "millimetres" | "millimeter" | "millimeters" => unit(Length, 1, -3),
        "cm" | "centimetre" | "centimetres" | "centimeter" | "centimeters" => unit(Length, 1, -2),
        "m" | "metre" | "metres" | "meter" | "meters" => unit(Length, 1, 0),
        "km" | "kilometre" | "kilometres" | "kilometer" | "kilometers" => unit(Length, 1, 3),
        "mi" | "mile" | "miles" => unit(Length, 1_609_344, -3),
        "ft" | "foot" | "feet" => unit(Length, 3048, -4),
        "yd" | "yard" | "yards" => unit(Length, 9144, -4),
        "inch" | "inches" => unit(Length, 254, -4),
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
        "percent" | "pct" => unit(Percent, 1, 0),
        "celsius" => unit(Celsius, 1, 0),
        "fahrenheit" => unit(Fahrenheit, 1, 0),
        "dollar" | "dollars" | "usd" => unit(Dollar, 1, 0),
        "euro" | "euros" | "eur" => unit(Euro, 1, 0),
        "gbp" => unit(Pound, 1, 0),
        "yuan" | "rmb" | "cny" => unit(Yuan, 1, 0),
        "yen" | "jpy" => unit(Yen, 1, 0),
        _ => return None,
    })
}

fn han(word: &str) -> Option<Unit> {
    use Measure::{Bytes, Celsius, Century, Dollar, Euro, Length, Mass, Months, Pound, Power, Time, Yen, Yuan};
    Some(match word {
        "微秒" => unit(Time, 1, -6),
        "毫秒" => unit(Time, 1, -3),
        "秒" | "秒钟" => unit(Time, 1, 0),
        "分钟" => unit(Time, 60, 0),
        "小时" | "个小时" => unit(Time, 3600, 0),
        "天" => unit(Time, 86_400, 0),
        "周" | "星期" | "个星期" => unit(Time, 604_800, 0),
        "个月" => unit(Months, 1, 0),
        "年" | "周年" => unit(Months, 12, 0),
        "世纪" => unit(Century, 1, 0),
        "字节" => unit(Bytes, 1, 0),
        "毫米" => unit(Length, 1, -3),
        "厘米" | "公分" => unit(Length, 1, -2),
        "米" | "公尺" => unit(Length, 1, 0),
        "公里" | "千米" => unit(Length, 1, 3),
        "英里" => unit(Length, 1_609_344, -3),
        "英尺" => unit(Length, 3048, -4),
        "英寸" => unit(Length, 254, -4),
        "毫克" => unit(Mass, 1, -6),
        "克" => unit(Mass, 1, -3),
        "克拉" => unit(Mass, 2, -4),
        "公斤" | "千克" => unit(Mass, 1, 0),
        "吨" => unit(Mass, 1, 3),
        "瓦" | "瓦特" => unit(Power, 1, 0),
        "千瓦" => unit(Power, 1, 3),
        "兆瓦" => unit(Power, 1, 6),
        "摄氏度" => unit(Celsius, 1, 0),
        "美元" => unit(Dollar, 1, 0),
        "欧元" => unit(Euro, 1, 0),
        "英镑" => unit(Pound, 1, 0),
        "元" => unit(Yuan, 1, 0),
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
            | "瓦时"
            | "瓦片"
            | "瓦斯"
            | "千瓦时"
            | "千瓦小时"
            | "兆瓦时"
            | "兆瓦小时"
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
        for word in ["克朗", "克朗的费用", "元素", "年级", "千瓦时", "千瓦小时", "毫米汞柱", "秒差距", "瓦时", "周岁以下"]
        {
            assert_eq!(of(word), None, "{word}");
        }
    }
}
