//! Shares of a whole: `一半`, `三分之一`, `七成`, `百分之三点五`, `a quarter of`.

use super::amount::{self, Decimal};
use super::date::count;
use super::lex::{Kind, Token, key};

/// A share, and its tokens.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Share {
    /// In percent, cut after some digits where there is no end to them.
    pub(super) percent: Decimal,
    /// `八折` is eighty percent, or twenty off.
    pub(super) off: Option<Decimal>,
    /// As a fraction of whole numbers, where it is one.
    pub(super) parts: Option<(i128, i128)>,
    /// The writer may have worked it out.
    pub(super) soft: bool,
    pub(super) length: usize,
}

/// A fraction in one character, `½`, that has an end in tenths.
pub(super) fn vulgar(token: &Token) -> Option<Decimal> {
    let (part, whole) = token.key.split_once('\u{2044}').filter(|_| token.kind == Kind::Word)?;
    let (part, whole): (i128, i128) = (part.parse().ok()?, whole.parse().ok()?);
    let thousandths = part.checked_mul(1000)?;
    matches!(whole, 2 | 4 | 5 | 8 | 10).then(|| Decimal::new(thousandths / whole, -3))
}

/// The share that begins here.
pub(super) fn read(rest: &[Token], before: Option<&Token>) -> Option<Share> {
    let first = rest.first()?;
    match first.kind {
        Kind::Word => english(rest, before),
        Kind::Han => hundredths(rest)
            .or_else(|| fraction(rest))
            .or_else(|| tenths(rest))
            .or_else(|| half(rest))
            .or_else(|| discount(rest)),
        Kind::Number => tenths(rest).or_else(|| pointed_tenths(rest)).or_else(|| discount(rest)),
        Kind::Mark => None,
    }
}

fn of((part, whole): (i128, i128), soft: bool, length: usize) -> Option<Share> {
    /// Digits of a third that are kept.
    const KEPT: i32 = 6;
    let scaled = part.checked_mul(10_i128.pow(KEPT.unsigned_abs() + 2))?.checked_div(whole)?;
    let share = Share { percent: Decimal::new(scaled, -KEPT), off: None, parts: Some((part, whole)), soft, length };
    (part < whole).then_some(share)
}

/// `百分之三点五`, `百分之30`, `千分之五`.
fn hundredths(rest: &[Token]) -> Option<Share> {
    let exponent = match (key(rest, 0), key(rest, 1), key(rest, 2)) {
        ("百", "分", "之") => 0,
        ("千", "分", "之") => -1,
        ("万", "分", "之") => -2,
        _ => return None,
    };
    let number = rest.get(3..)?;
    let (value, length) = match number.first()? {
        first if first.kind == Kind::Number => (Decimal::parse(&first.key)?, 1),
        first if &*first.key == "百" => (Decimal::new(1, 2), 1),
        _ => amount::chinese(number).map(|spelled| (spelled.value, spelled.length))?,
    };
    let percent = value.times(Decimal::new(1, exponent))?;
    Some(Share { percent, off: None, parts: None, soft: false, length: 3 + length })
}

/// `三分之一`, `5分之2`.
fn fraction(rest: &[Token]) -> Option<Share> {
    let (whole, at) = count(rest)?;
    if (key(rest, at), key(rest, at + 1)) != ("分", "之") {
        return None;
    }
    let (part, more) = count(rest.get(at + 2..)?)?;
    of((part.into(), whole.into()), true, at + 2 + more)
}

/// `七成`, `三成五`; no `一成不变`, and none of what else 成 begins.
fn tenths(rest: &[Token]) -> Option<Share> {
    let (tenths, length) = count(rest).filter(|(tenths, _)| (1..10).contains(tenths))?;
    if key(rest, length) != "成"
        || "为了不立功员本长果语都年人就交熟绩份品分因效形型套群双对行千百天".contains(key(rest, length + 1))
            && !key(rest, length + 1).is_empty()
    {
        return None;
    }
    let more = rest.get(length + 1..).and_then(count).filter(|(more, tokens)| *tokens == 1 && (1..10).contains(more));
    let soft = tenths == 1 && more.is_none();
    match more.filter(|_| rest.get(length + 1).is_some_and(|next| next.kind == Kind::Han)) {
        Some((more, _)) => of((i128::from(tenths * 10 + more), 100), soft, length + 2),
        None => of((tenths.into(), 10), soft, length + 1),
    }
}

/// `7.5成`
fn pointed_tenths(rest: &[Token]) -> Option<Share> {
    let first = rest.first().filter(|first| first.key.contains('.') && key(rest, 1) == "成")?;
    let percent = Decimal::parse(&first.key)?.times(Decimal::new(1, 1))?;
    let share = Share { percent, off: None, parts: None, soft: false, length: 2 };
    Decimal::new(100, 0).is_at_least(percent).then_some(share)
}

/// `八折`, `七五折`, `7.5折`: a price of so many tenths; no `三折叠`.
fn discount(rest: &[Token]) -> Option<Share> {
    let first = rest.first()?;
    let (value, length, soft) = match first.kind {
        Kind::Number => (Decimal::parse(&first.key)?, 1, false),
        _ => count(rest).map(|(value, length)| (Decimal::new(value.into(), 0), length, length < 2))?,
    };
    // `七五折`, `85折`
    let tenths = if Decimal::new(10, 0).is_at_least(value) { value } else { value.times(Decimal::new(1, -1))? };
    let percent = tenths.times(Decimal::new(1, 1))?;
    let next = key(rest, length + 1);
    let other = !next.is_empty() && "叠合扣旧返射线损算断磨腾现价子页成回戟".contains(next);
    if key(rest, length) != "折"
        || other
        || percent.is_at_least(Decimal::new(100, 0))
        || Decimal::new(10, 0).is_at_least(percent)
    {
        return None;
    }
    let off = Decimal::new(100, 0).minus(percent);
    Some(Share { percent, off, parts: None, soft, length: length + 1 })
}

/// `一半`, `半数`.
fn half(rest: &[Token]) -> Option<Share> {
    matches!((key(rest, 0), key(rest, 1)), ("一", "半") | ("半", "数")).then(|| of((1, 2), true, 2)).flatten()
}

/// `a quarter of`, `two thirds of`, `half of`: the `of` tells a share from a place in an order.
fn english(rest: &[Token], before: Option<&Token>) -> Option<Share> {
    let counts = ["one", "two", "three", "four", "five", "six", "seven", "eight", "nine"];
    let first = key(rest, 0);
    let (part, mut at) = match counts.iter().position(|count| *count == first) {
        Some(place) => (i128::try_from(place + 1).ok()?, 1),
        None => (1, usize::from(first == "a")),
    };
    at += usize::from(at > 0 && rest.get(at).is_some_and(|token| token.is("-")));
    let named = key(rest, at);
    let singular = if part == 1 { named } else { named.strip_suffix('s')? };
    let whole = match singular {
        "half" => 2,
        "third" if at > 0 => 3,
        "quarter" | "fourth" if at > 0 => 4,
        "fifth" if at > 0 => 5,
        "sixth" if at > 0 => 6,
        "seventh" if at > 0 => 7,
        "eighth" if at > 0 => 8,
        "ninth" if at > 0 => 9,
        "tenth" if at > 0 => 10,
        _ => return None,
    };
    // "the first half of", "a year and a half of", "a quarter of an hour".
    let of_order = before.is_some_and(|before| {
        matches!(&*before.key, "first" | "second" | "other" | "last" | "latter" | "upper" | "lower" | "and" | "each" | "the")
    });
    let shared =
        key(rest, at + 1) == "of" && !matches!(key(rest, at + 2), "a" | "an") || named == "half" && key(rest, at + 1) == "the";
    if of_order || !shared {
        return None;
    }
    of((part, whole), true, at + 1)
}
