//! Times of day: `10:30`, `5 p.m.`, `下午3点`, `下午3:30`, `15点30分`, `20时43分`.

use super::date::count;
use super::lex::{Kind, Token};

/// A time of day, and its tokens.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Clock {
    /// Since midnight.
    pub(super) minutes: u16,
    /// Morning and afternoon are told apart.
    pub(super) told: bool,
    pub(super) length: usize,
}

/// The time of day that begins here.
pub(super) fn read(rest: &[Token]) -> Option<Clock> {
    latin(rest).or_else(|| han(rest))
}

/// `10:30`, `5 p.m.`, `5:30 pm`.
fn latin(rest: &[Token]) -> Option<Clock> {
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
        return Some(Clock { minutes, told: true, length: at });
    }
    (clock && hour < 25).then_some(Clock { minutes, told: hour > 12 || hour == 0, length: at })
}

/// A part of the day.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Part {
    Night,
    Morning,
    Noon,
    Afternoon,
    Evening,
}

/// `下午3点`, `上午十点半`, `晚8时`, `15点30分`, `20时43分`: three points (`3点`) may be any, without a part of the day or minutes.
fn han(rest: &[Token]) -> Option<Clock> {
    let (part, begin) = part(rest).map_or((None, 0), |(part, length)| (Some(part), length));
    let after = rest.get(begin..)?;
    // `下午3:30`
    if let Some(part) = part
        && let Some(clock) = latin(after).filter(|clock| clock.length == 3)
    {
        let (minutes, told) = of_day(Some(part), clock.minutes);
        return Some(Clock { minutes, told, length: begin + clock.length });
    }
    let (hour, length) = count(after)?;
    let hour = u16::try_from(hour).ok().filter(|hour| *hour <= 24)?;
    let mut at = begin + length;
    let mark = &*rest.get(at)?.key;
    if !matches!(mark, "点" | "时") {
        return None;
    }
    at += 1;
    let (minute, more) = minutes(rest.get(at..).unwrap_or_default()).map_or((None, 0), |(minute, more)| (Some(minute), more));
    if part.is_none() && minute.is_none() {
        return None;
    }
    let (minutes, told) = of_day(part, minute.unwrap_or_default() + hour * 60);
    Some(Clock { minutes, told, length: at + more })
}

/// Minutes since midnight of what is said with a part of the day, and whether morning and afternoon are told apart.
fn of_day(part: Option<Part>, minutes: u16) -> (u16, bool) {
    let hour = minutes / 60;
    let told = |afternoon: bool| (minutes % 720 + if afternoon { 720 } else { 0 }, true);
    match (part, hour) {
        // Twelve may be noon or midnight, and so may little more.
        (Some(Part::Morning | Part::Evening), 12) | (Some(Part::Evening), 0..5) => (minutes, false),
        (Some(Part::Night), 0..=12) | (Some(Part::Morning), 0..12) | (Some(Part::Noon), 10 | 11) => told(false),
        (Some(Part::Noon | Part::Afternoon | Part::Evening), 0..=12) => told(true),
        _ => (minutes, hour > 12 || hour == 0),
    }
}

fn part(rest: &[Token]) -> Option<(Part, usize)> {
    let first = rest.first().filter(|token| token.kind == Kind::Han)?;
    let second = rest.get(1).map(|token| &*token.key).unwrap_or_default();
    let part = match (&*first.key, second) {
        ("凌", "晨") | ("午" | "深", "夜") => Part::Night,
        ("上", "午") | ("早", "上" | "晨") | ("清", "晨") => Part::Morning,
        ("中" | "正", "午") => Part::Noon,
        ("下", "午") | ("午", "后") | ("傍", "晚") => Part::Afternoon,
        ("晚", "上" | "间") | ("夜", "里" | "间" | "晚") => Part::Evening,
        ("早", _) => return Some((Part::Morning, 1)),
        ("晚", _) => return Some((Part::Evening, 1)),
        _ => return None,
    };
    // 深夜 and 夜里 are on both sides of midnight.
    Some((if &*first.key == "深" || &*first.key == "夜" { Part::Evening } else { part }, 2))
}

/// The minutes behind an hour, and their tokens: `半`, `一刻`, `30分`.
fn minutes(rest: &[Token]) -> Option<(u16, usize)> {
    let key = |at: usize| rest.get(at).map(|token| &*token.key).unwrap_or_default();
    match (key(0), key(1)) {
        ("半", _) => return Some((30, 1)),
        ("一", "刻") => return Some((15, 2)),
        ("三", "刻") => return Some((45, 2)),
        _ => {}
    }
    let (minute, length) = count(rest.get(usize::from(key(0) == "零")..)?)?;
    let length = length + usize::from(key(0) == "零");
    let minute = u16::try_from(minute).ok().filter(|minute| *minute < 60)?;
    (key(length) == "分" && key(length + 1) != "钟").then_some((minute, length + 1))
}
