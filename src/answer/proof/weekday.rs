//! Days of the week: `周三`, `星期日`, `Wednesday`, `Monday to Friday`; and how often something is: `每天`, `weekly`.

use super::date::Date;
use super::lex::{Kind, Token};

/// Days of the week, one a bit, from Monday on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Weekdays(u8);

impl Weekdays {
    /// Whether these are all those that the other names.
    pub(super) fn cover(self, said: Self) -> bool {
        self.0 & said.0 == said.0
    }

    /// The day of the week that a date is.
    pub(super) fn of(date: &Date) -> Option<Self> {
        let (month, day) = (i8::try_from(date.month?).ok()?, i8::try_from(date.day?).ok()?);
        let date = jiff::civil::Date::new(i16::try_from(date.year?).ok()?, month, day).ok()?;
        Some(Self(1 << date.weekday().to_monday_zero_offset()))
    }
}

/// The days that begin here, and their tokens.
pub(super) fn read(rest: &[Token], before: Option<&Token>) -> Option<(Weekdays, usize)> {
    let (first, length) = day(rest, before, false)?;
    let to = rest.get(length)?;
    let range = matches!(&*to.key, "-" | "~" | "至" | "到" | "to" | "through");
    let last = rest.get(length + 1..).filter(|_| range).and_then(|rest| day(rest, None, true));
    let Some((last, more)) = last else { return Some((Weekdays(1 << first), length)) };
    let days = (0..7).map(|ahead| (first + ahead) % 7);
    let until = (last + 7 - first) % 7 + 1;
    Some((Weekdays(days.take(until).fold(0, |all, day| all | 1 << day)), length + 1 + more))
}

/// How often something is, by the days between, where that is said without a number: `每周`, `daily`, `per month`; and its tokens.
pub(super) fn period(rest: &[Token]) -> Option<(u16, usize)> {
    let key = |at: usize| rest.get(at).map(|token| &*token.key).unwrap_or_default();
    let days = |noun: &str| match noun {
        "天" | "日" | "day" => Some(1),
        "周" | "week" => Some(7),
        "月" | "month" => Some(30),
        "年" | "year" => Some(365),
        _ => None,
    };
    match key(0) {
        "每" if read(rest.get(1..)?, None).is_some() => None,
        "每" => match (key(1), key(2)) {
            ("星", "期") => Some((7, 3)),
            ("个", "月") => Some((30, 3)),
            ("日", "报") | ("周", "刊" | "期") => None,
            (noun, _) => days(noun).map(|days| (days, 2)),
        },
        "daily" => Some((1, 1)),
        "weekly" => Some((7, 1)),
        "monthly" => Some((30, 1)),
        "yearly" | "annually" => Some((365, 1)),
        "every" | "each" | "per" => days(key(1)).map(|days| (days, 2)),
        _ => None,
    }
    .filter(|_| rest.first().is_some_and(|first| !first.capital))
}

/// One day, from 0 on; of a range also its short form.
fn day(rest: &[Token], before: Option<&Token>, ranged: bool) -> Option<(usize, usize)> {
    let first = rest.first()?;
    match first.kind {
        Kind::Word => english(rest, ranged).map(|day| (day, 1)),
        Kind::Han => {
            let key =
                |at: usize| rest.get(at).filter(|token| token.kind == Kind::Han).map(|token| &*token.key).unwrap_or_default();
            let length = match (key(0), key(1)) {
                ("星", "期") | ("礼", "拜") => 2,
                ("周", _) if !before.is_some_and(|before| "圆四半".contains(&*before.key)) => 1,
                _ => return None,
            };
            let day = match key(length) {
                "一" => 0,
                "二" => 1,
                "三" => 2,
                "四" => 3,
                "五" => 4,
                "六" => 5,
                "日" | "天" => 6,
                _ => return None,
            };
            // `每周三次` is three times.
            let next = key(length + 1);
            let counted = day < 6 && (!next.is_empty() && "次个天回期场篇趟遍元岁年月人名家十百千万小分之".contains(next));
            // `一周日程`
            (!(counted || day == 6 && "程期记报刊均".contains(next) && !next.is_empty())).then_some((day, length + 1))
        }
        Kind::Number | Kind::Mark => None,
    }
}

fn english(rest: &[Token], ranged: bool) -> Option<usize> {
    let token = rest.first().filter(|token| token.capital)?;
    let day = match token.key.strip_suffix('s').filter(|day| day.ends_with("day")).unwrap_or(&token.key) {
        "monday" => 0,
        "tuesday" => 1,
        "wednesday" => 2,
        "thursday" => 3,
        "friday" => 4,
        "saturday" => 5,
        "sunday" => 6,
        short => {
            let days = ["mon", "tue", "wed", "thu", "fri", "sat", "sun"];
            let day = days.iter().position(|day| *day == short)?;
            let range = ranged || rest.get(1).is_some_and(|next| next.is("-") || next.is("~"));
            return range.then_some(day);
        }
    };
    Some(day)
}

#[cfg(test)]
mod tests {
    use super::super::lex::lex;
    use super::*;

    #[test]
    fn days_and_ranges_of_them_are_read() {
        let of = |text: &str| read(&lex(text), None).map(|(days, length)| (days.0, length));
        assert_eq!(of("周三。"), Some((0b100, 2)));
        assert_eq!(of("星期天。"), Some((0b100_0000, 3)));
        assert_eq!(of("禮拜二上午"), Some((0b10, 3)));
        assert_eq!(of("Wednesdays."), Some((0b100, 1)));
        assert_eq!(of("周一至周五。"), Some((0b1_1111, 5)));
        assert_eq!(of("Mon-Fri."), Some((0b1_1111, 3)));
        assert_eq!(of("Saturday to Monday."), Some((0b110_0001, 3)));
        for none in ["周三次。", "周边。", "Sun rays.", "星期三次。"] {
            assert_eq!(of(none), None, "{none}");
        }
    }

    #[test]
    fn a_date_has_its_day_of_the_week() {
        let of = |year, month, day| {
            Weekdays::of(&Date { year: Some(year), month: Some(month), day: Some(day), swappable: false }).map(|days| days.0)
        };
        assert_eq!(of(2026, 11, 30), Some(1), "a Monday");
        assert_eq!(of(2000, 2, 29), Some(0b10), "a Tuesday");
        assert_eq!(of(2024, 1, 7), Some(0b100_0000), "a Sunday");
    }
}
