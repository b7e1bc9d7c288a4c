//! Numbers that are said to be a bound of another: `over 1,000`, `不到400`, `逾300`.

use super::amount::Decimal;
use super::lex::{Token, key};

/// On which side of the number that is said the other is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Bound {
    Over,
    Under,
}

impl Bound {
    /// Whether a number is on that side, and not so far off that another would have been said.
    pub(super) fn holds(self, said: Decimal, other: Decimal) -> bool {
        let near = |less: Decimal, more: Decimal| less.times(Decimal::new(15, -1)).is_some_and(|most| most.is_at_least(more));
        let near = if self == Self::Over { near(said, other) } else { near(other, said) };
        near && self.admits(said, other) && said.is_rounder(other)
    }

    /// Whether a number is on that side.
    pub(super) fn admits(self, said: Decimal, other: Decimal) -> bool {
        match self {
            Self::Over => other.is_at_least(said),
            Self::Under => said.is_at_least(other),
        }
    }
}

/// What the words before some tokens, and those behind them, say of the number that these are.
#[expect(clippy::match_same_arms, reason = "the longer words go before the shorter ones")]
pub(super) fn read(tokens: &[Token], start: usize, end: usize) -> Option<Bound> {
    let money =
        start.checked_sub(1).and_then(|at| tokens.get(at)).is_some_and(|token| matches!(&*token.key, "$" | "€" | "£" | "¥"));
    let start = start - usize::from(money);
    let back = |by: usize| start.checked_sub(by).and_then(|at| tokens.get(at)).map(|token| &*token.key).unwrap_or_default();
    let before = match (back(3), back(2), back(1)) {
        ("不", "超", "过") | ("不", "多" | "高", "于") => Some(Bound::Under),
        ("不", "低" | "少", "于") | (_, "高" | "多" | "大", "于") | (_, "超", "过") | (_, "不", "止") | (_, "至", "少") => {
            Some(Bound::Over)
        }
        (_, "低" | "少" | "小", "于") | (_, "不", "到" | "足" | "满") | (_, "未", "满" | "到") | (_, "至" | "最", "多") => {
            Some(Bound::Under)
        }
        (_, "more" | "greater" | "higher" | "larger" | "longer", "than") => Some(Bound::Over),
        (_, "less" | "fewer" | "lower" | "smaller" | "shorter", "than") => Some(Bound::Under),
        (_, "at", "least") | (_, _, "over" | "above" | "exceeding" | "exceeds" | "exceeded" | "超" | "逾") => {
            Some(Bound::Over)
        }
        (_, "at", "most") | (_, "up", "to") | (_, _, "under" | "below" | "nearly" | "almost" | "近") => Some(Bound::Under),
        _ => None,
    };
    let ahead = |by: usize| key(tokens, end + by);
    // A word for what is counted stands between: `300人以上`.
    let skipped = usize::from(!matches!(ahead(0), "以" | "or") && matches!(ahead(1), "以"));
    before.or(match (ahead(skipped), ahead(skipped + 1)) {
        ("以", "上") | ("or", "more") => Some(Bound::Over),
        ("以", "下" | "内") | ("or", "less" | "fewer") => Some(Bound::Under),
        _ => None,
    })
}
