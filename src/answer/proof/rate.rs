//! What numbers are for each of: `per second`, `/kg`, `a month`, `每分钟`, `升/分钟`.

use super::amount::Decimal;
use super::function::is_function;
use super::lex::{Gap, Kind, Token, key};
use super::measure::{Measure, Unit, unit};
use super::unit::after;

/// Words between a number and its `per`: `7,500 API requests per second`, `7500个请求/秒`.
const BETWEEN: usize = 3;
/// Tokens between a 每 and its number: `每秒可处理7500个请求`.
const REACH: usize = 10;

/// What a number is for each of; two at most: `mg/kg per day`.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub(super) struct Rate {
    of: [Option<Unit>; 2],
}

/// How a rate stands to another.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) enum Compared {
    /// One of them is not told, or they are the same.
    Alike,
    /// They are of one measure, and of other sizes.
    Sized(Unit, Unit),
    /// They measure other things.
    Apart,
}

impl Rate {
    /// Of one unit.
    pub(super) fn of(unit: Unit) -> Self {
        Self { of: [Some(unit), None] }
    }

    /// `km/h`
    pub(super) fn hourly() -> Self {
        Self::of(unit(Measure::Time, 3600, 0))
    }

    pub(super) fn is_told(&self) -> bool {
        self.of != [None, None]
    }

    pub(super) fn against(&self, other: &Self) -> Compared {
        if !self.is_told() || !other.is_told() {
            return Compared::Alike;
        }
        let all = |rate: &Self| rate.of.into_iter().flatten();
        let pairs = all(self).flat_map(|mine| all(other).map(move |its| (mine, its)));
        let mut like = pairs.filter(|(mine, its)| mine.measure.is_like(its.measure)).peekable();
        if like.peek().is_none() {
            return Compared::Apart;
        }
        let other = like.find(|(mine, its)| mine.factor != its.factor);
        other.map_or(Compared::Alike, |(mine, its)| Compared::Sized(mine, its))
    }
}

/// The rate of a number of these tokens with its unit, and how many tokens behind it say so.
pub(super) fn read(tokens: &[Token], at: usize, end: usize, unit: Option<Unit>) -> (Rate, usize) {
    // A speed holds its hour.
    if unit.is_some_and(|unit| unit.measure == Measure::Speed) {
        return (Rate::default(), 0);
    }
    let last = end.checked_sub(1).map(|last| key(tokens, last)).unwrap_or_default();
    if matches!(last, "kbps" | "mbps" | "gbps") {
        return (Rate::of(self::unit(Measure::Time, 1, 0)), 0);
    }
    let rest = tokens.get(end..).unwrap_or_default();
    ahead(rest).unwrap_or_else(|| (before(tokens.get(..at).unwrap_or_default()), 0))
}

/// The rate that is told behind a number with its unit, and the tokens up to its end.
pub(super) fn ahead(rest: &[Token]) -> Option<(Rate, usize)> {
    for at in 0..=BETWEEN {
        let here = rest.get(at..)?;
        if let Some((first, length)) = link(here, at) {
            let end = at + length;
            return Some(match rest.get(end..).and_then(|rest| link(rest, 1)) {
                Some((second, more)) => (Rate { of: [Some(first), Some(second)] }, end + more),
                None => (Rate::of(first), end),
            });
        }
        let word = here.first().filter(|word| word.gap < Gap::Line)?;
        let counted = match word.kind {
            Kind::Word => &*word.key == "of" || !is_function(&word.key),
            Kind::Han => !"的是在和与了为".contains(&*word.key),
            Kind::Number | Kind::Mark => false,
        };
        if !counted {
            return None;
        }
    }
    None
}

/// `per second`, `/s`, `a month`, `weekly`, `每秒`: the unit and its tokens, so many behind the number.
fn link(rest: &[Token], behind: usize) -> Option<(Unit, usize)> {
    let first = rest.first().filter(|first| first.gap < Gap::Line)?;
    let inner = rest.get(1..).unwrap_or_default();
    let (unit, length) = match &*first.key {
        "/" => divisor(inner, &|times| matches!(times, "100" | "1000"))?,
        "per" => divisor(inner, &|_| true)?,
        "每" if behind < 2 => divisor(inner, &|_| false)?,
        "a" | "an" | "each" | "every" if behind < BETWEEN => {
            divisor(inner, &|_| false).filter(|(_, length)| inner.get(*length..).is_some_and(is_over))?
        }
        adverb if behind < BETWEEN && is_over(inner) => {
            let (measure, factor) = match adverb {
                "hourly" => (Measure::Time, 3600),
                "daily" => (Measure::Time, 86_400),
                "weekly" => (Measure::Time, 604_800),
                "monthly" => (Measure::Months, 1),
                "yearly" | "annually" => (Measure::Months, 12),
                _ => return None,
            };
            return Some((self::unit(measure, factor, 0), 1));
        }
        "qps" | "rps" | "tps" | "fps" | "iops" if behind == 0 => return Some((self::unit(Measure::Time, 1, 0), 1)),
        "rpm" if behind == 0 => return Some((self::unit(Measure::Time, 60, 0), 1)),
        _ => return None,
    };
    Some((unit, length + 1))
}

/// Whether what is said ends here, or goes on with a word that does not belong to a time: no `a day trip`, `a year ago`.
fn is_over(rest: &[Token]) -> bool {
    let other = |key: &str| matches!(key, "before" | "after" | "later" | "earlier" | "ago" | "long" | "old" | "away" | "apart");
    rest.first().is_none_or(|next| match next.kind {
        Kind::Word => is_function(&next.key) && !other(&next.key),
        Kind::Number => false,
        Kind::Han | Kind::Mark => true,
    })
}

/// What something is divided by, with its tokens: `second`, `100 ml` where so many of it may be.
fn divisor(rest: &[Token], may_be: &dyn Fn(&str) -> bool) -> Option<(Unit, usize)> {
    let first = rest.first().filter(|first| first.gap < Gap::Line)?;
    let times = Decimal::parse(&first.key).filter(|_| first.kind == Kind::Number && may_be(&first.key));
    let rest = rest.get(usize::from(times.is_some())..)?;
    let (unit, length) = short(rest).or_else(|| after(rest))?;
    let whole =
        !matches!(unit.measure, Measure::Percent | Measure::Points | Measure::Times | Measure::Century | Measure::Units);
    let factor = times.map_or(Some(unit.factor), |times| unit.factor.times(times))?;
    (whole && !unit.measure.is_money()).then_some((Unit { factor, ..unit }, length + usize::from(times.is_some())))
}

/// Units that have these names behind a `per` alone.
fn short(rest: &[Token]) -> Option<(Unit, usize)> {
    let next = key(rest, 1);
    Some(match key(rest, 0) {
        "d" => (unit(Measure::Time, 86_400, 0), 1),
        "fortnight" => (unit(Measure::Time, 1_209_600, 0), 1),
        "mo" | "月" => (unit(Measure::Months, 1, 0), 1),
        "annum" => (unit(Measure::Months, 12, 0), 1),
        "piece" | "pieces" | "item" | "items" | "件" => (unit(Measure::Pieces, 1, 0), 1),
        "度" => (unit(Measure::Energy, 3600, 3), 1 + usize::from(next == "电")),
        // No `升为` begins behind a 每.
        "升" => (unit(Measure::Volume, 1, 0), 1),
        "日" if !"元圆本".contains(next) || next.is_empty() => (unit(Measure::Time, 86_400, 0), 1),
        "季" if next == "度" => (unit(Measure::Months, 3, 0), 2),
        "季" | "quarter" => (unit(Measure::Months, 3, 0), 1),
        "分" if next != "钟" => (unit(Measure::Time, 60, 0), 1),
        "时" => (unit(Measure::Time, 3600, 0), 1),
        _ => return None,
    })
}

/// The rate that is told before a number in Chinese: `每分钟`, `每公斤的价格为`, `每100克含`.
fn before(tokens: &[Token]) -> Rate {
    let each = |at: usize| key(tokens, at) == "每";
    for back in 1..=REACH {
        let Some(at) = tokens.len().checked_sub(back) else { break };
        let Some(token) = tokens.get(at) else { break };
        if each(at) {
            // `每3个月` tells how often, not what of three months.
            let Some((unit, _)) = tokens.get(at + 1..).and_then(|rest| divisor(rest, &|_| true)) else { break };
            return Rate::of(unit);
        }
        let numbered = token.kind == Kind::Number && at.checked_sub(1).is_some_and(each);
        if token.kind == Kind::Mark || token.kind == Kind::Number && !numbered || token.gap >= Gap::Line {
            break;
        }
    }
    Rate::default()
}
