//! Values that say together what each alone does not: `3分15秒`, `20世纪30年代`, `10 to 20 ms`, `1990–95`.

use super::amount::Decimal;
use super::date;
use super::lex::Token;
use super::measure::Measure;
use super::number::Number;
use super::unit::Unit;
use super::value::{Value, What};

/// Joins values and lets them share what they have.
pub(super) fn join(tokens: &[Token], values: &mut Vec<Value>) {
    join_parts(tokens, values);
    share_units(tokens, values);
    share_centuries(values);
}

/// `3分15秒` and `3年又6个月` are one value.
fn join_parts(tokens: &[Token], values: &mut Vec<Value>) {
    let mut joined: Vec<Value> = Vec::with_capacity(values.len());
    for value in values.drain(..) {
        let whole = joined.last().and_then(|last| together(tokens, last, &value));
        if whole.is_some() {
            joined.pop();
        }
        joined.push(whole.unwrap_or(value));
    }
    *values = joined;
}

/// A time and what is added to it in a smaller unit.
fn together(tokens: &[Token], first: &Value, second: &Value) -> Option<Value> {
    let between = tokens.get(first.tokens.end..second.tokens.start)?;
    let near = matches!(between, []) || matches!(between, [word] if matches!(&*word.key, "又" | "零" | "and"));
    let (What::Number(large), What::Number(small)) = (&first.what, &second.what) else { return None };
    let (of, part) = (large.unit?, small.unit?);
    let times = of.measure == part.measure && matches!(of.measure, Measure::Time | Measure::Months);
    let (amount, more) = (large.amounts.first()?.times(of.factor)?, small.amounts.first()?.times(part.factor)?);
    // What is added is less than one of the larger.
    let less = more.plus(part.factor)?.is_within(of.factor, Decimal::new(0, 0));
    let unit = Unit { measure: of.measure, factor: Decimal::new(1, 0) };
    let rounded = large.rounded || small.rounded;
    (near && times && less && !large.ordinal).then(|| Value {
        tokens: first.tokens.start..second.tokens.end,
        what: What::Number(Number {
            amounts: amount.plus(more).into_iter().collect(),
            unit: Some(unit),
            rounded,
            soft: false,
            rate: small.rate.clone(),
            rated: small.rated,
            ..large.clone()
        }),
    })
}

/// In `20世纪30年代` the decade is one of that century.
fn share_centuries(values: &mut [Value]) {
    for at in 1..values.len() {
        let (before, after) = values.split_at_mut(at);
        if let (Some(Value { what: What::Number(century), tokens }), Some(decade)) = (before.last(), after.first_mut())
            && tokens.end == decade.tokens.start
            && century.unit.is_some_and(|unit| unit.measure == Measure::Century)
            && let What::Number(Number { decade: true, year: None, amounts, .. }) = &decade.what
            && let (Some(century), Some(tens)) = (century.amounts.first(), amounts.first())
            && let (Some(century), Some(tens)) = (century.whole(), tens.whole())
            && (1..100).contains(&century)
            && let Ok(first) = i32::try_from((century - 1) * 100 + tens)
        {
            decade.what = What::Number(Number::of_decade(first));
        }
    }
}

/// In `10 to 20 ms` and `5–10 million` the first has what the second says; in `1990–95` the second has the first's century.
fn share_units(tokens: &[Token], values: &mut [Value]) {
    for at in 1..values.len() {
        let (before, after) = values.split_at_mut(at);
        let (Some(first), Some(second)) = (before.last_mut(), after.first_mut()) else { continue };
        let between = tokens.get(first.tokens.end..second.tokens.start).unwrap_or_default();
        let dash = matches!(between, [mark] if mark.is("-") || mark.is("~") || mark.is("/"));
        let range = dash || matches!(between, [word] if matches!(&*word.key, "to" | "and" | "or" | "至" | "到" | "或" | "和"));
        if !range {
            continue;
        }
        let (What::Number(a), What::Number(b)) = (&mut first.what, &mut second.what) else { continue };
        if a.unit.is_none() && !a.soft && a.year.is_none() && b.parts.is_none() {
            a.unit = b.unit;
        }
        if a.rate.is_none() && a.unit == b.unit {
            a.rate.clone_from(&b.rate);
        }
        // `open 9–17`
        if dash && [&*a, &*b].iter().all(|hour| is_hour(hour)) {
            (a.hour, b.hour) = (true, true);
        }
        // `零下20至30度`
        if a.below_zero == Some(true) && b.below_zero == Some(false) {
            b.below_zero = None;
        }
        if let (Some(small), Some(large)) = (a.amounts.first().copied(), b.amounts.first().copied())
            && b.rounded
        {
            // By the power of ten that the second is written with.
            let text = tokens.get(second.tokens.start).and_then(|token| Decimal::parse(&token.key));
            if let Some(power) = text.and_then(|text| power(text, large)) {
                a.amounts.extend(small.times(power));
            }
        }
        if let (Some(year), [two]) = (a.year, b.amounts.as_mut_slice())
            && dash
            && let Some(short) = two.whole().filter(|short| (0..100).contains(short))
        {
            let full = Decimal::new(i128::from(year / 100 * 100) + short, 0);
            b.year = date::as_year(full);
            b.amounts.push(full);
        }
    }
}

/// Whether a number may be an hour of the day.
fn is_hour(number: &Number) -> bool {
    let hour = number.amounts.first().and_then(|amount| amount.whole());
    number.unit.is_none() && !number.soft && hour.is_some_and(|hour| (0..=24).contains(&hour))
}

/// The power of ten between two amounts.
fn power(written: Decimal, meant: Decimal) -> Option<Decimal> {
    (0..16).map(|zeros| Decimal::new(1, zeros)).find(|power| written.times(*power) == Some(meant))
}
