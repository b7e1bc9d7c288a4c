//! What numbers with a unit are of.

use super::amount::Decimal;

/// What is measured.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) enum Measure {
    Time,
    Months,
    WorkDays,
    Bytes,
    Bits,
    Length,
    /// 尺, a third of a metre or of whatever country.
    Chi,
    /// 节: knots where speed is talked of.
    Sections,
    Speed,
    Area,
    /// 坪, of 400/121 square metres.
    Ping,
    Mass,
    Frequency,
    Percent,
    /// Percentage points.
    Points,
    /// Of what is multiplied: each is a hundred percent.
    Times,
    /// Of what a dose is counted in.
    Units,
    Celsius,
    Fahrenheit,
    Kelvin,
    /// 度: of a temperature, of an angle, of what an electricity meter counts.
    Degree,
    Power,
    /// Metric and mechanical ones differ.
    Horsepower,
    ApparentPower,
    Energy,
    Calories,
    Voltage,
    Current,
    Charge,
    Pressure,
    Force,
    Volume,
    /// Those of the United States and of Britain differ; both have eight pints.
    Gallons,
    /// Of 42 or 31 or other numbers of gallons.
    Barrels,
    /// What is sold by the piece.
    Pieces,
    /// Of whatever country.
    Dollar,
    UsDollar,
    HongKongDollar,
    TaiwanDollar,
    AustralianDollar,
    CanadianDollar,
    SingaporeDollar,
    Euro,
    Pound,
    /// 元 of whatever country that calls it so.
    Yuan,
    Renminbi,
    Yen,
    Won,
    Rouble,
    Rupee,
    Franc,
    Century,
}

impl Measure {
    pub(super) fn is_money(self) -> bool {
        use Measure::{
            AustralianDollar, CanadianDollar, Dollar, Euro, Franc, HongKongDollar, Pound, Renminbi, Rouble, Rupee,
            SingaporeDollar, TaiwanDollar, UsDollar, Won, Yen, Yuan,
        };
        matches!(
            self,
            AustralianDollar
                | CanadianDollar
                | Dollar
                | Euro
                | Franc
                | HongKongDollar
                | Pound
                | Renminbi
                | Rouble
                | Rupee
                | SingaporeDollar
                | TaiwanDollar
                | UsDollar
                | Won
                | Yen
                | Yuan
        )
    }

    /// Whether it has ten 角.
    pub(super) fn is_yuan(self) -> bool {
        matches!(self, Self::Yuan | Self::Renminbi | Self::HongKongDollar | Self::TaiwanDollar)
    }

    /// Whether amounts of both can be compared: a dollar may be any, and so may a 元.
    pub(super) fn is_like(self, other: Self) -> bool {
        use Measure::{
            AustralianDollar, CanadianDollar, Dollar, HongKongDollar, Renminbi, SingaporeDollar, TaiwanDollar, UsDollar, Yuan,
        };
        let one_of = |general, of: &[Self]| self == general && of.contains(&other) || other == general && of.contains(&self);
        let others = [HongKongDollar, TaiwanDollar, AustralianDollar, CanadianDollar, SingaporeDollar];
        self == other
            || one_of(Dollar, &others)
            || one_of(Self::Times, &[Self::Percent])
            || one_of(Dollar, &[UsDollar])
            || one_of(Yuan, &[Renminbi, HongKongDollar, TaiwanDollar])
    }
}

/// A unit: so many of the least of its measure.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Unit {
    pub(super) measure: Measure,
    pub(super) factor: Decimal,
}

pub(super) fn unit(measure: Measure, factor: i128, exponent: i32) -> Unit {
    Unit { measure, factor: Decimal::new(factor, exponent) }
}
