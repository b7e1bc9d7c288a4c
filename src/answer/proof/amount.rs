//! Numbers as they are written: in digits, in English words, in Chinese.

use super::lex::{Kind, Token};

/// A decimal number without rounding: `digits` × 10^`exponent`, without zeros at the end.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) struct Decimal {
    digits: i128,
    exponent: i32,
}

impl Decimal {
    /// Digits that do not end in a zero.
    pub(super) const fn of(digits: i128, exponent: i32) -> Self {
        Self { digits, exponent }
    }

    pub(super) fn new(digits: i128, exponent: i32) -> Self {
        let (mut digits, mut exponent) = (digits, exponent);
        if digits == 0 {
            return Self { digits, exponent: 0 };
        }
        while digits % 10 == 0 {
            digits /= 10;
            exponent += 1;
        }
        Self { digits, exponent }
    }

    /// `12`, `1234.50`; `None` for what has more digits than any amount, or two points.
    pub(super) fn parse(text: &str) -> Option<Self> {
        let (whole, part) = text.split_once('.').unwrap_or((text, ""));
        let digits: String = [whole, part].concat();
        if digits.len() > 30 || !digits.bytes().all(|byte| byte.is_ascii_digit()) {
            return None;
        }
        Some(Self::new(digits.parse().ok()?, -i32::try_from(part.len()).ok()?))
    }

    pub(super) fn times(self, other: Self) -> Option<Self> {
        Some(Self::new(self.digits.checked_mul(other.digits)?, self.exponent.checked_add(other.exponent)?))
    }

    /// Both with the same exponent.
    fn aligned(self, other: Self) -> Option<(i128, i128, i32)> {
        let exponent = self.exponent.min(other.exponent);
        let scaled = |n: Self| {
            let zeros = u32::try_from(n.exponent - exponent).ok().filter(|zeros| *zeros < 36)?;
            n.digits.checked_mul(10_i128.checked_pow(zeros)?)
        };
        Some((scaled(self)?, scaled(other)?, exponent))
    }

    pub(super) fn plus(self, other: Self) -> Option<Self> {
        let (a, b, exponent) = self.aligned(other)?;
        Some(Self::new(a.checked_add(b)?, exponent))
    }

    pub(super) fn minus(self, other: Self) -> Option<Self> {
        self.plus(Self { digits: -other.digits, ..other })
    }

    pub(super) fn is_at_least(self, other: Self) -> bool {
        self.minus(other).is_some_and(|more| more.digits >= 0)
    }

    /// Whether it has fewer digits than another.
    pub(super) fn is_rounder(self, other: Self) -> bool {
        self.digits.abs().checked_ilog10() < other.digits.abs().checked_ilog10()
    }

    /// The whole number that it is.
    pub(super) fn whole(self) -> Option<i128> {
        let zeros = u32::try_from(self.exponent).ok().filter(|zeros| *zeros < 30)?;
        self.digits.checked_mul(10_i128.checked_pow(zeros)?)
    }

    /// Whether one is the other times a power of ten.
    pub(super) fn is_shifted(self, other: Self) -> bool {
        self.digits == other.digits
    }

    /// Whether it is as near to the other as that.
    pub(super) fn is_within(self, step: Self, other: Self) -> bool {
        let apart = self.minus(other).map(|apart| Self { digits: apart.digits.abs(), ..apart });
        apart.is_some_and(|apart| step.is_at_least(apart))
    }

    /// Whether it is the other, rounded up or down to its own digits, of which there are two at least.
    pub(super) fn rounds(self, other: Self) -> bool {
        let Some((mine, its, exponent)) = self.aligned(other) else { return false };
        let Some(step) = u32::try_from(self.exponent - exponent).ok().and_then(|zeros| 10_i128.checked_pow(zeros)) else {
            return false;
        };
        mine.abs() >= step.saturating_mul(2) && step > 1 && (mine - its).abs() < step
    }
}

/// A number in words or Chinese characters.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Spelled {
    pub(super) value: Decimal,
    /// Tokens of it.
    pub(super) length: usize,
    /// It may be no number at all (`one`, `一`), or one that the writer counted.
    pub(super) soft: bool,
    pub(super) ordinal: bool,
}

/// Characters of a number that are read: billions have up to thirty, and an `i128` holds as many digits.
const LONGEST: usize = 36;

/// What a word multiplies a number by: `million`, `k`, `亿`. With its tokens.
pub(super) fn scale(tokens: &[Token]) -> Option<(Decimal, usize)> {
    let first = tokens.first()?;
    let power = |zeros| Some(Decimal::new(1, zeros));
    match (first.kind, &*first.key) {
        (Kind::Word, "thousand") => Some((power(3)?, 1)),
        (Kind::Word, "million" | "millions" | "mn") => Some((power(6)?, 1)),
        (Kind::Word, "billion" | "billions" | "bn") => Some((power(9)?, 1)),
        (Kind::Word, "trillion" | "trillions") => Some((power(12)?, 1)),
        (Kind::Word, "k") if first.is_glued() => Some((power(3)?, 1)),
        (Kind::Han, _) => {
            let mut zeros = 0;
            let mut length = 0;
            // `十` multiplies within a number alone.
            while let Some(more) = tokens.get(length..).and_then(zeros_of).filter(|zeros| *zeros > 1) {
                zeros += i32::try_from(more).ok()?;
                length += 1;
            }
            (length > 0).then_some((Decimal::new(1, zeros), length))
        }
        _ => None,
    }
}

/// The same of an amount of money: `$12M`, `€310m`, where an `m` is no metre.
pub(super) fn scale_of_money(tokens: &[Token]) -> Option<(Decimal, usize)> {
    let zeros = match &*tokens.first().filter(|first| first.is_glued())?.key {
        "m" | "mm" => 6,
        "b" => 9,
        "t" | "tn" => 12,
        _ => return None,
    };
    Some((Decimal::new(1, zeros), 1))
}

/// A number that begins here in English words: `seven`, `twenty-one`, `two hundred and five`, `third`.
pub(super) fn english(tokens: &[Token]) -> Option<Spelled> {
    let (mut total, mut current): (i128, i128) = (0, 0);
    let (mut at, mut length, mut soft, mut words) = (0, 0, true, 0);
    let mut ordinal = false;
    while let Some(token) = tokens.get(at) {
        if words > 0 && (token.is("-") && token.is_glued() || &*token.key == "and" && current >= 100) {
            at += 1;
            continue;
        }
        if words > 0 && token.kind == Kind::Number {
            break;
        }
        let Some((value, is_ordinal)) = word(&token.key) else { break };
        match value {
            100 if words > 0 && current > 0 => current *= 100,
            1000.. if words > 0 && current > 0 => {
                total = total.saturating_add(current.saturating_mul(value));
                current = 0;
            }
            100.. => break,
            // "twenty" takes "one"; "one" takes nothing.
            _ if current == 0 || (current % 10 == 0 && value < 10 && current >= 20) || (current % 100 == 0 && value < 100) => {
                current += value;
            }
            _ => break,
        }
        soft &= value <= 12 && words == 0;
        words += 1;
        at += 1;
        length = at;
        if is_ordinal {
            ordinal = true;
            break;
        }
    }
    (length > 0).then(|| Spelled {
        value: Decimal::new(total.saturating_add(current), 0),
        length,
        soft: soft || ordinal,
        ordinal,
    })
}

fn word(key: &str) -> Option<(i128, bool)> {
    const CARDINALS: [&str; 20] = [
        "zero",
        "one",
        "two",
        "three",
        "four",
        "five",
        "six",
        "seven",
        "eight",
        "nine",
        "ten",
        "eleven",
        "twelve",
        "thirteen",
        "fourteen",
        "fifteen",
        "sixteen",
        "seventeen",
        "eighteen",
        "nineteen",
    ];
    const TENS: [&str; 8] = ["twenty", "thirty", "forty", "fifty", "sixty", "seventy", "eighty", "ninety"];
    const ORDINALS: [&str; 20] = [
        "first",
        "second",
        "third",
        "fourth",
        "fifth",
        "sixth",
        "seventh",
        "eighth",
        "ninth",
        "tenth",
        "eleventh",
        "twelfth",
        "thirteenth",
        "fourteenth",
        "fifteenth",
        "sixteenth",
        "seventeenth",
        "eighteenth",
        "nineteenth",
        "twentieth",
    ];
    let among = |list: &[&str]| list.iter().position(|word| *word == key).and_then(|at| i128::try_from(at).ok());
    if let Some(n) = among(&CARDINALS) {
        return Some((n, false));
    }
    if let Some(n) = among(&TENS) {
        return Some((20 + n * 10, false));
    }
    if let Some(n) = among(&ORDINALS) {
        return Some((n + 1, true));
    }
    match key {
        "hundred" => Some((100, false)),
        "thousand" => Some((1000, false)),
        "million" => Some((1_000_000, false)),
        "billion" => Some((1_000_000_000, false)),
        _ => None,
    }
}

/// A number that begins here in Chinese characters, with what is behind its point: `三十`, `三点五`, `三点五亿`.
pub(super) fn chinese(tokens: &[Token]) -> Option<Spelled> {
    let whole = whole(tokens)?;
    let Some((value, length)) = pointed(tokens, whole) else { return Some(whole) };
    let (factor, more) = tokens.get(length..).and_then(scale).unwrap_or((Decimal::new(1, 0), 0));
    Some(Spelled { value: value.times(factor)?, length: length + more, soft: false, ordinal: false })
}

/// The tenths and hundredths behind a 元, with their tokens: `肆角伍分`, `5角`, `零三分`.
pub(super) fn tenths(tokens: &[Token]) -> Option<(Decimal, usize)> {
    let digit = |at: usize| {
        let token = tokens.get(at)?;
        match (token.kind, capital(token).or_else(|| character(token))) {
            (Kind::Han, Some(Character::Digit(n))) => Some(n),
            (Kind::Number, _) if token.key.len() == 1 => token.key.parse().ok(),
            _ => None,
        }
    };
    let is = |at: usize, key: &str| tokens.get(at).is_some_and(|token| &*token.key == key);
    let zero = usize::from(is(0, "零"));
    let tenths = digit(zero).filter(|_| is(zero + 1, "角"));
    let at = if tenths.is_some() { zero + 2 } else { zero };
    let at = at + usize::from(tenths.is_some() && is(at, "零"));
    let hundredths = digit(at).filter(|_| is(at + 1, "分") && !is(at + 2, "之"));
    let length = if hundredths.is_some() { at + 2 } else { at };
    let sum = tenths.unwrap_or_default() * 10 + hundredths.unwrap_or_default();
    (tenths.is_some() || hundredths.is_some()).then_some((Decimal::new(sum, -2), length))
}

/// A whole number with the digits behind its point, and its tokens; no time of day (`三点五分`), no `两点一线`.
fn pointed(tokens: &[Token], whole: Spelled) -> Option<(Decimal, usize)> {
    let (point, rest) = tokens.get(whole.length..)?.split_first()?;
    let digit = |token: &Token| match character(token) {
        Some(Character::Digit(n)) => Some(n),
        _ => None,
    };
    let digits: Vec<i128> = rest.iter().map_while(digit).take(9).collect();
    let other = rest.get(digits.len()).is_some_and(|next| matches!(&*next.key, "十" | "分" | "刻" | "线" | "、"));
    if &*point.key != "点" || digits.is_empty() || other {
        return None;
    }
    let fraction = digits.iter().fold(0_i128, |all, digit| all * 10 + digit);
    let fraction = Decimal::new(fraction, -i32::try_from(digits.len()).ok()?);
    Some((whole.value.plus(fraction)?, whole.length + 1 + digits.len()))
}

/// A whole number that begins here in Chinese characters: `三十`, `一万二千`, `三亿一千万`, `二〇二六`.
pub(super) fn whole(tokens: &[Token]) -> Option<Spelled> {
    let capital = tokens.first().is_some_and(|first| capital(first).is_some());
    let read = |at: usize| tokens.get(at..).and_then(if capital { capital_at } else { character_at });
    let characters: Vec<Character> = (0..LONGEST).map_while(read).collect();
    if capital && !is_capital_number(tokens, characters.len()) {
        return None;
    }
    let digits = characters.iter().filter(|c| matches!(c, Character::Digit(_))).count();
    let has = |wanted: i128| characters.contains(&Character::Power(wanted));
    if characters.is_empty() || (digits == 0 && !has(10)) {
        return None;
    }
    let length = characters.len();
    if digits == length && length > 1 {
        let value = characters.iter().fold(0_i128, |all, c| match c {
            Character::Digit(n) => all * 10 + n,
            Character::Power(_) => all,
        });
        // `三四个` is three or four.
        return Some(Spelled { value: Decimal::new(value, 0), length, soft: length < 3, ordinal: false });
    }
    Some(Spelled { value: Decimal::new(total(&characters), 0), length, soft: length == 1, ordinal: false })
}

/// What digits and powers come to. A 万 multiplies what stands between it and a larger power, so `三亿一千万` is `3.1亿`; one that follows
/// a power at once multiplies that (`万亿`).
fn total(characters: &[Character]) -> i128 {
    // What powers from 万 on have multiplied already, with the last of them.
    let mut parts: Vec<(i128, i128)> = Vec::new();
    let (mut section, mut digit) = (0_i128, None);
    for c in characters {
        match *c {
            Character::Digit(n) => digit = Some(n),
            Character::Power(power) if power < 10_000 => {
                section += digit.take().filter(|n| *n > 0).unwrap_or(1) * power;
            }
            Character::Power(power) => {
                let mut whole = section + digit.take().unwrap_or(0);
                while let Some((value, _)) = parts.pop_if(|(_, before)| *before < power || whole == 0) {
                    whole += value;
                }
                parts.push((whole.max(1).saturating_mul(power).min(i128::from(u64::MAX)), power));
                section = 0;
            }
        }
    }
    let last = match characters {
        // `一万二` is 12,000; `一万零二` is not.
        [.., Character::Power(power @ 100..), Character::Digit(n @ 1..=9)] => n * power / 10,
        _ => digit.unwrap_or(0),
    };
    parts.iter().fold(section + last, |all, (value, _)| all.saturating_add(*value))
}

/// A number in digits and characters by turns, with its tokens: `2万5千`, `3亿1千万`, `2亿3000万`, `3万5000`.
pub(super) fn mixed(tokens: &[Token]) -> Option<(Decimal, usize)> {
    let mut characters: Vec<Character> = Vec::new();
    // Tokens and characters up to the last power, and how many zeros that has.
    let (mut end, mut whole, mut zeros_before) = (0, 0, 0);
    for (at, token) in tokens.iter().take(LONGEST).enumerate() {
        let digits = token.kind == Kind::Number;
        let after_digit = matches!(characters.last(), Some(Character::Digit(1..)));
        if at > 0 && (!token.is_glued() || digits && after_digit) {
            break;
        }
        let number = || token.key.parse().ok().filter(|_| digits && token.key.len() < 9).map(Character::Digit);
        let Some(character) = tokens.get(at..).and_then(character_at).or_else(number) else { break };
        if digits && at > 0 {
            // What follows is no multiple of the last power's tenth.
            characters.push(Character::Digit(0));
        }
        characters.push(character);
        let zeros = tokens.get(at..).and_then(zeros_of);
        zeros_before = zeros.unwrap_or(zeros_before);
        // As many digits as the power has zeros need none behind them.
        let filled = digits
            && zeros_before > 1
            && u32::try_from(token.key.len()).is_ok_and(|digits| digits == zeros_before)
            && !tokens.get(at + 1).is_some_and(|next| matches!(&*next.key, "年" | "月" | "日"));
        if zeros.is_some() || filled {
            (end, whole) = (at + 1, characters.len());
        }
    }
    let characters = characters.get(..whole)?;
    let digits = characters.iter().filter(|c| matches!(c, Character::Digit(1..))).count();
    (digits > 1).then(|| (Decimal::new(total(characters), 0), end))
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Character {
    Digit(i128),
    Power(i128),
}

/// Zeros of the power that a character stands for.
pub(super) fn zeros(token: &Token) -> Option<u32> {
    let powers = [("十", 1), ("百佰", 2), ("千仟", 3), ("万", 4), ("亿", 8)];
    let is = |written: &str| token.kind == Kind::Han && written.contains(&*token.key);
    powers.iter().find(|(written, _)| is(written)).map(|(_, zeros)| *zeros)
}

/// The same of the first token, of which a 兆 is a million millions before what is money or goes on.
fn zeros_of(tokens: &[Token]) -> Option<u32> {
    let (first, rest) = tokens.split_first()?;
    zeros(first).or_else(|| is_trillion(first, rest).then_some(12))
}

/// Whether a 兆 is the number, and not the prefix of a unit.
fn is_trillion(token: &Token, rest: &[Token]) -> bool {
    let goes_on = |next: &Token| {
        next.kind == Kind::Number && next.is_glued()
            || character(next).is_some()
            || "元圆美欧日港台新韩英澳加".contains(&*next.key)
    };
    &*token.key == "兆" && rest.first().is_some_and(goes_on)
}

/// Whether it is a digit in Chinese.
pub(super) fn is_digit(token: &Token) -> bool {
    matches!(character(token), Some(Character::Digit(_)))
}

fn character_at(tokens: &[Token]) -> Option<Character> {
    let (first, rest) = tokens.split_first()?;
    character(first).or_else(|| is_trillion(first, rest).then_some(Character::Power(1_000_000_000_000)))
}

/// The numerals of money and contracts, which nobody alters with a stroke: `壹佰贰拾叁万`.
fn capital_at(tokens: &[Token]) -> Option<Character> {
    let token = tokens.first()?;
    capital(token).or_else(|| character(token).filter(|c| matches!(c, Character::Digit(0) | Character::Power(10_000..))))
}

/// A numeral of which the character has another meaning in other words.
fn capital(token: &Token) -> Option<Character> {
    const DIGITS: [&str; 9] = ["壹", "贰", "叁", "肆", "伍", "陆", "柒", "捌", "玖"];
    if token.kind != Kind::Han {
        return None;
    }
    let digit = DIGITS.iter().position(|digit| *digit == &*token.key).and_then(|at| i128::try_from(at + 1).ok());
    match &*token.key {
        "参" => Some(Character::Digit(3)),
        "弍" | "贰" => Some(Character::Digit(2)),
        "拾" => Some(Character::Power(10)),
        "佰" => Some(Character::Power(100)),
        "仟" => Some(Character::Power(1000)),
        _ => digit.map(Character::Digit),
    }
}

/// Whether so many capital numerals are a number: a power is among them, or money follows. 陆 is land, 伍 a troop, 拾 to pick up.
fn is_capital_number(tokens: &[Token], length: usize) -> bool {
    let said = tokens.get(..length).unwrap_or_default();
    let power = |token: &Token| matches!(&*token.key, "拾" | "佰" | "仟");
    let money = tokens.get(length).is_some_and(|next| matches!(&*next.key, "元" | "圆" | "角" | "整"));
    length > 0 && (money || length > 1 && said.iter().any(power))
}

fn character(token: &Token) -> Option<Character> {
    if token.kind != Kind::Han {
        return None;
    }
    let digit = |n| Some(Character::Digit(n));
    let power = |n| Some(Character::Power(n));
    match &*token.key {
        "零" | "〇" => digit(0),
        "一" => digit(1),
        "二" | "两" => digit(2),
        "三" => digit(3),
        "四" => digit(4),
        "五" => digit(5),
        "六" => digit(6),
        "七" => digit(7),
        "八" => digit(8),
        "九" => digit(9),
        "十" => power(10),
        "百" => power(100),
        "千" => power(1000),
        "万" => power(10_000),
        "亿" => power(100_000_000),
        _ => None,
    }
}
