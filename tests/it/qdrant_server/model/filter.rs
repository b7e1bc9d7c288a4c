//! Which points a filter lets through.

use std::collections::BTreeSet;

use serde_json::{Map, Value};

use super::{Id, Kind, Path, Points};

/// Every `must`, one `should` (where there are any), no `must_not`.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Filter {
    pub must: Vec<Condition>,
    pub should: Vec<Condition>,
    pub must_not: Vec<Condition>,
}

#[derive(Debug, Clone, PartialEq)]
pub enum Condition {
    /// The point is one of these.
    HasId(BTreeSet<Id>),
    /// A filter in the filter.
    Filter(Filter),
    /// A value at the path passes the test, or an element of a list there.
    Field(Path, Test),
}

/// What is asked of a value.
#[derive(Debug, Clone, PartialEq)]
pub enum Test {
    /// It is this text.
    Keyword(String),
    /// It is one of these texts.
    Keywords(BTreeSet<String>),
    /// It is this truth value.
    Boolean(bool),
    /// It is this whole number; `3.0` is none.
    Integer(i64),
    /// It is a number within these bounds.
    Range(Range),
}

#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct Range {
    pub lt: Option<f64>,
    pub gt: Option<f64>,
    pub lte: Option<f64>,
    pub gte: Option<f64>,
}

impl Filter {
    /// Whether it lets a point through. The collection matters for its indexes.
    pub fn passes(&self, id: Id, payload: &Map<String, Value>, points: &Points) -> bool {
        let holds = |condition: &Condition| condition.holds(id, payload, points);
        self.must.iter().all(holds)
            && (self.should.is_empty() || self.should.iter().any(holds))
            && !self.must_not.iter().any(holds)
    }

    /// Its conditions, those of filters within it included.
    pub fn conditions(&self) -> Vec<&Condition> {
        let all = self.must.iter().chain(&self.must_not).chain(&self.should);
        let all = all.map(|condition| match condition {
            Condition::Filter(filter) => filter.conditions(),
            one => vec![one],
        });
        all.flatten().collect()
    }
}

impl Condition {
    fn holds(&self, id: Id, payload: &Map<String, Value>, points: &Points) -> bool {
        match self {
            Self::HasId(ids) => ids.contains(&id),
            Self::Filter(filter) => filter.passes(id, payload, points),
            Self::Field(path, test) => {
                // Where there is an index of whole numbers it is asked, and knows no others.
                let passes = |value: &Value| match (points.indexed.get(path), test) {
                    (Some(Kind::Integer), Test::Integer(_) | Test::Range(_)) => {
                        whole(value).is_some_and(|n| test.passes(&n.into()))
                    }
                    _ => test.passes(value),
                };
                path.values(payload).into_iter().any(|value| match value {
                    Value::Array(values) => values.iter().any(passes),
                    one => passes(one),
                })
            }
        }
    }
}

impl Test {
    fn passes(&self, value: &Value) -> bool {
        match self {
            Self::Keyword(keyword) => value.as_str() == Some(keyword),
            Self::Keywords(keywords) => value.as_str().is_some_and(|text| keywords.contains(text)),
            Self::Boolean(wanted) => value.as_bool() == Some(*wanted),
            Self::Integer(wanted) => value.as_i64() == Some(*wanted),
            Self::Range(range) => value.as_f64().is_some_and(|number| range.holds(number)),
        }
    }
}

/// A whole number as an index of them takes it: 3.0 is one.
fn whole(value: &Value) -> Option<i64> {
    let fits = |number: &f64| number.fract() == 0.0 && (i64::MIN as f64..i64::MAX as f64).contains(number);
    let float = || value.as_f64().filter(fits).map(|number| number as i64);
    value.as_i64().or_else(float)
}

impl Range {
    fn holds(&self, number: f64) -> bool {
        self.lt.is_none_or(|bound| number < bound)
            && self.gt.is_none_or(|bound| number > bound)
            && self.lte.is_none_or(|bound| number <= bound)
            && self.gte.is_none_or(|bound| number >= bound)
    }
}
