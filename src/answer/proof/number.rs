//! Numbers as they are compared: what one says of another.

use super::amount::Decimal;
use super::bound::Bound;
use super::date;
use super::lex::Kind;
use super::measure::Measure;
use super::rate::{Compared, Rate};
use super::share::Share;
use super::unit::Unit;

/// What the numbers of a column are in, as the head of a table says.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Column {
    pub(super) scale: Decimal,
    /// Without one things are counted, or the currency is not said.
    pub(super) unit: Option<Unit>,
    pub(super) rate: Rate,
}

#[expect(clippy::struct_excessive_bools, reason = "any combination has a meaning")]
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Number {
    /// All that it may be: in `5–10 million` the first is five or five million.
    pub(super) amounts: Vec<Decimal>,
    pub(super) unit: Option<Unit>,
    /// What there are so many for each of.
    pub(super) rate: Option<Box<Rate>>,
    /// Tokens behind it that say so.
    pub(super) rated: usize,
    /// It may be no number, or one that the writer counted.
    pub(super) soft: bool,
    pub(super) ordinal: bool,
    /// `about`, `over`, or in millions: it may be rounded.
    pub(super) rounded: bool,
    /// What is more or less than it is meant.
    pub(super) bound: Option<Bound>,
    /// `1990s`
    pub(super) decade: bool,
    /// Written with four digits and without a unit.
    pub(super) year: Option<i32>,
    /// The fraction that it is in words, in percent.
    pub(super) parts: Option<(i128, i128)>,
    /// Whether it is told to be, or not to be.
    pub(super) below_zero: Option<bool>,
    /// Things are counted: `25 shares`, `25人`; by what is written.
    pub(super) counted: Option<Kind>,
    /// `3点`: an hour, or points.
    pub(super) hour: bool,
    /// What it is in besides, where it stands in a table.
    pub(super) column: Option<Box<Column>>,
}

impl Number {
    /// In the least unit of its measure; as it is without one.
    fn base(&self) -> impl Iterator<Item = Decimal> + '_ {
        self.amounts.iter().filter_map(|amount| match self.unit {
            Some(unit) => amount.times(unit.factor),
            None => Some(*amount),
        })
    }

    /// `三十年代`, and `1930年代`: `tens` may be a year.
    pub(super) fn of_decade(tens: i32) -> Self {
        let amount = Decimal::new(i128::from(tens), 0);
        Self { decade: true, year: date::as_year(amount), ..Self::new(amount) }
    }

    /// An amount of a unit.
    pub(super) fn of(amount: Decimal, unit: Unit) -> Self {
        Self { unit: Some(unit), ..Self::new(amount) }
    }

    /// `FY2025`
    pub(super) fn of_year(year: i32) -> Self {
        Self { year: Some(year), ..Self::new(Decimal::new(year.into(), 0)) }
    }

    fn new(amount: Decimal) -> Self {
        Self {
            amounts: vec![amount],
            unit: None,
            rate: None,
            rated: 0,
            soft: false,
            ordinal: false,
            rounded: false,
            bound: None,
            decade: false,
            year: None,
            parts: None,
            below_zero: None,
            counted: None,
            hour: false,
            column: None,
        }
    }

    /// Whether it is a decade or a century that holds a year; `None` where it is neither.
    pub(super) fn holds(&self, year: i32) -> Option<bool> {
        let amount = self.amounts.first().and_then(|amount| amount.whole()).and_then(|amount| i32::try_from(amount).ok())?;
        if self.unit.is_some_and(|unit| unit.measure == Measure::Century) {
            // It began in 1900 or in 1901.
            return Some((amount.saturating_sub(1).saturating_mul(100)..=amount.saturating_mul(100)).contains(&year));
        }
        let decade = self.year.map_or(year % 100 / 10 * 10 == amount, |first| (first..first + 10).contains(&year));
        self.decade.then_some(decade)
    }

    /// How it stands to a decade or a century that is said; `None` where that is neither.
    fn of_years(&self, said: &Self) -> Option<Match> {
        let short = |decade: &Self| decade.decade && decade.year.is_none();
        if self.decade && said.decade && (short(self) || short(said)) {
            let tens = |number: &Self| number.amounts.first().and_then(|amount| amount.whole()).map(|amount| amount % 100);
            return Some(same(tens(self) == tens(said)));
        }
        if short(self) || short(said) && self.year.is_none() {
            return Some(Match::Apart);
        }
        let holds = self.year.and_then(|year| said.holds(year)).filter(|_| !(self.decade && said.decade))?;
        // Another year is no other century.
        let century = said.unit.is_some();
        Some(if holds {
            Match::Same
        } else if century {
            Match::Apart
        } else {
            Match::Other
        })
    }

    /// What it is in and for each of: a speed is so long for each hour.
    fn divided(&self) -> (Option<Unit>, Rate) {
        match self.unit {
            Some(unit) if unit.measure == Measure::Speed => (Some(Unit { measure: Measure::Length, ..unit }), Rate::hourly()),
            unit => (unit, self.rate.as_deref().copied().unwrap_or_default()),
        }
    }

    /// How it stands to a number that is said for each of something else; `None` where that is the same, or one does not say it.
    fn of_rates(&self, said: &Self) -> Option<Match> {
        let ((mine, rate), (its, other)) = (self.divided(), said.divided());
        // `one update a day` may count nothing.
        if said.soft && said.amounts == [Decimal::new(1, 0)] {
            return None;
        }
        let differing = || if self.same_amount(said) { Match::Unit } else { Match::Apart };
        let (by, its_by) = match rate.against(&other) {
            Compared::Alike => return None,
            Compared::Apart => return Some(differing()),
            Compared::Sized(by, its_by) => (by, its_by),
        };
        let one = Decimal::new(1, 0);
        let (factor, its_factor) = match (mine, its) {
            (Some(mine), Some(its)) if mine.measure.is_like(its.measure) => (mine.factor, its.factor),
            (None, None) => (one, one),
            _ => return Some(differing()),
        };
        // Each is multiplied by what the other is divided by.
        let mine = factor.times(its_by.factor)?;
        let its = its_factor.times(by.factor)?;
        let equal = said.amounts.iter().any(|said| {
            let said = said.times(its);
            said.is_some() && self.amounts.iter().any(|amount| amount.times(mine) == said)
        });
        Some(match (equal, self.same_amount(said)) {
            (true, _) => Match::Same,
            (false, true) => Match::Unit,
            (false, false) => Match::Other,
        })
    }

    pub(super) fn share(share: Share, rounded: bool) -> Self {
        Self {
            unit: Some(Unit { measure: Measure::Percent, factor: Decimal::new(1, 0) }),
            soft: share.soft,
            rounded,
            parts: share.parts,
            amounts: [share.percent].into_iter().chain(share.off).collect(),
            ..Self::new(share.percent)
        }
    }

    /// The number as the head of its column says it.
    fn in_column(&self) -> Option<Self> {
        let column = self.column.as_deref()?;
        let amounts = self.amounts.iter().filter_map(|amount| amount.times(column.scale)).collect();
        let rate = self.rate.clone().or_else(|| Some(Box::new(column.rate)));
        Some(Self { amounts, unit: column.unit, rate, column: None, year: None, ..self.clone() })
    }

    /// Whether it counts what is no share and no money, and in Chinese no length either.
    fn counts_no(&self, other: &Self) -> bool {
        match self.counted {
            // `1250台` are 1,250 units.
            Some(Kind::Han) => other.unit.is_some_and(|unit| !matches!(unit.measure, Measure::Units | Measure::Barrels)),
            Some(_) => other.unit.is_some_and(|unit| unit.measure == Measure::Percent || unit.measure.is_money()),
            None => false,
        }
    }

    pub(super) fn is_temperature(&self) -> bool {
        self.unit.is_some_and(|unit| matches!(unit.measure, Measure::Celsius | Measure::Fahrenheit))
    }

    /// Whether a minus before it is one.
    pub(super) fn has_sign(&self) -> bool {
        self.unit.is_some_and(Unit::has_sign)
    }

    fn is_percent(&self) -> bool {
        self.unit.is_some_and(|unit| unit.measure == Measure::Percent)
    }

    /// How a share stands to another, to percents or to a number.
    fn share_against(&self, said: &Self) -> Match {
        /// Percents that are called a third, and nearly a third.
        const NEAR: i128 = 1;
        const ROUGHLY: i128 = 5;
        if let (Some((a, b)), Some((c, d))) = (self.parts, said.parts) {
            return same(a * d == c * b);
        }
        let near = Decimal::new(if self.rounded || said.rounded { ROUGHLY } else { NEAR }, 0);
        if self.is_percent() && said.is_percent() {
            return same(said.base().any(|said| self.base().any(|mine| mine.is_within(near, said))));
        }
        let (parts, bare) = if self.parts.is_some() { (self.parts, said) } else { (said.parts, self) };
        let is_part = parts.is_some_and(|(a, b)| [a, b].iter().any(|part| bare.amounts.contains(&Decimal::new(*part, 0))));
        let told = is_part && self.parts.is_some() || self.amounts == said.amounts;
        if bare.unit.is_none() && told { Match::Same } else { Match::Apart }
    }

    /// The same number; the units are another question.
    fn same_amount(&self, said: &Self) -> bool {
        said.amounts.iter().any(|said| self.amounts.contains(said))
            || said.amounts.iter().any(|amount| self.amounts.iter().any(|mine| said.is_nearly(*amount, self, *mine)))
    }

    /// Whether an amount of it may stand for one of another: rounded, or as its bound, where that is no bound itself.
    fn is_nearly(&self, amount: Decimal, of: &Self, other: Decimal) -> bool {
        match self.bound.filter(|_| of.bound.is_none()) {
            Some(bound) => bound.holds(amount, other) || self.rounded && bound.admits(amount, other) && amount.rounds(other),
            None => self.rounded && amount.rounds(other),
        }
    }
}

/// How a value of the source stands to one that is said.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Match {
    /// It says it.
    Same,
    /// It is the same number of something else.
    Unit,
    /// It is another of the same kind.
    Other,
    /// They cannot be compared.
    Apart,
}

pub(super) fn same(same: bool) -> Match {
    if same { Match::Same } else { Match::Other }
}

pub(super) fn against(mine: &Number, said: &Number) -> Match {
    if let Some(full) = said.in_column() {
        let plain = Number { column: None, ..said.clone() };
        return match against(mine, &plain) {
            Match::Same => Match::Same,
            _ => against(mine, &full),
        };
    }
    if let Some(full) = mine.in_column() {
        let plain = Number { column: None, ..mine.clone() };
        let scaled = full.amounts != mine.amounts;
        // A number that is said of something else than the column is no more than that number.
        let otherwise = said.unit.is_some() || scaled && said.counted.is_some();
        return match against(&full, said) {
            Match::Same => Match::Same,
            _ if otherwise && plain.same_amount(said) => Match::Unit,
            _ if !otherwise && against(&plain, said) == Match::Same => Match::Same,
            other => other,
        };
    }
    if let Some(found) = mine.of_years(said) {
        return found;
    }
    if mine.parts.is_some() || said.parts.is_some() {
        return mine.share_against(said);
    }
    if mine.below_zero.zip(said.below_zero).is_some_and(|(a, b)| a != b) && mine.same_amount(said) {
        return Match::Other;
    }
    if let Some(found) = mine.of_rates(said) {
        return found;
    }
    match (mine.unit, said.unit) {
        (Some(a), Some(b)) if a.measure.is_like(b.measure) => {
            if a.factor == b.factor {
                return same(mine.same_amount(said));
            }
            let about = (said.rounded || said.bound.is_some()) && a.factor.is_shifted(b.factor);
            let equal =
                said.base().any(|amount| mine.base().any(|base| base == amount || about && said.is_nearly(amount, mine, base)));
            match (equal, mine.same_amount(said)) {
                (true, _) => Match::Same,
                (false, true) => Match::Unit,
                (false, false) => Match::Other,
            }
        }
        (Some(a), Some(b)) if mine.same_amount(said) && a.is_short_for(&b) => Match::Same,
        (Some(_), Some(_)) if mine.same_amount(said) => Match::Unit,
        (Some(_), Some(_)) => Match::Apart,
        // A year is no other weight.
        (None, Some(of)) if mine.year.is_some() && of.measure != Measure::Months && !mine.same_amount(said) => Match::Apart,
        _ if mine.same_amount(said) && (mine.counts_no(said) || said.counts_no(mine)) => Match::Unit,
        _ => {
            let within = said.decade && mine.year.zip(said.year).is_some_and(|(mine, its)| (its..its + 10).contains(&mine));
            // `3千帕` are 3000 of what is no unit of the list.
            let of_the_least = said.base().any(|said| mine.base().any(|mine| mine == said));
            same(within || of_the_least || mine.same_amount(said))
        }
    }
}
