//! Powers of ten: `10⁶`, `3×10⁸`, `10^6`, `1e6`.

use super::amount::Decimal;
use super::lex::{Kind, Token};

/// Zeros of the largest power that is read.
const MOST: i32 = 30;

/// The number that begins here, where it is written with a power of ten, and its tokens.
pub(super) fn read(rest: &[Token]) -> Option<(Decimal, usize)> {
    let first = rest.first().filter(|first| first.kind == Kind::Number)?;
    if let Some((zeros, length)) = rest.get(1..).filter(|_| &*first.key == "10").and_then(exponent) {
        // `10²` is a number with a note as often.
        return (zeros.abs() > 2).then_some((Decimal::new(1, zeros), 1 + length));
    }
    let value = Decimal::parse(&first.key)?;
    let (zeros, length) = match rest.get(1..4) {
        Some([times, ten, _]) if matches!(&*times.key, "×" | "x" | "*" | "·" | "⋅") && &*ten.key == "10" => {
            exponent(rest.get(3..)?).map(|(zeros, length)| (zeros, length + 2))?
        }
        _ => scientific(rest.get(1..)?)?,
    };
    Some((value.times(Decimal::new(1, zeros))?, 1 + length))
}

/// `⁶`, `⁻⁶`, `^6`, `^-6`, `^{6}`.
fn exponent(tokens: &[Token]) -> Option<(i32, usize)> {
    let first = tokens.first().filter(|first| first.is_glued())?;
    let raised = first.is("^");
    let mut at = usize::from(raised);
    let braced = raised && tokens.get(at).is_some_and(|token| token.is("{"));
    at += usize::from(braced);
    let below = tokens.get(at).is_some_and(|token| token.is("⁻") || raised && token.is("-"));
    at += usize::from(below);
    let digits = tokens.get(at).filter(|token| token.is_glued() && (token.kind == Kind::Number) == raised)?;
    let zeros = digits.key.parse::<i32>().ok().filter(|zeros| (1..=MOST).contains(zeros))?;
    at += 1;
    if braced && !tokens.get(at)?.is("}") {
        return None;
    }
    Some((if below { -zeros } else { zeros }, at + usize::from(braced)))
}

/// `e6`, `e-6`.
fn scientific(tokens: &[Token]) -> Option<(i32, usize)> {
    let first = tokens.first().filter(|first| first.is_glued() && first.kind == Kind::Word)?;
    let zeros = |digits: &str| digits.parse::<i32>().ok().filter(|zeros| (0..=MOST).contains(zeros));
    let digits = first.key.strip_prefix('e')?;
    if digits.bytes().all(|byte| byte.is_ascii_digit()) && !digits.is_empty() {
        return Some((zeros(digits)?, 1));
    }
    let [sign, number, ..] = tokens.get(1..)? else { return None };
    let whole = digits.is_empty() && sign.is_glued() && number.is_glued() && number.kind == Kind::Number;
    match &*sign.key {
        "-" if whole => Some((-zeros(&number.key)?, 3)),
        "+" if whole => Some((zeros(&number.key)?, 3)),
        _ => None,
    }
}
