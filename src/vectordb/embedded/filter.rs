//! Conditions: which documents meet them, and which rows those are.

use std::ops::Bound;

use rusqlite::types::Value;
use rusqlite::{Connection, params_from_iter};

use super::passages::metadata;
use super::rows::RowSet;
use crate::document::{Metadata, Scalar};
use crate::vectordb::{Condition, MAX_DOCUMENTS, UNDATED};

/// The rows that meet conditions: those of a set, or all others.
#[derive(Debug)]
pub(super) struct Allowed {
    rows: RowSet,
    but: bool,
}

impl Allowed {
    pub(super) fn contains(&self, row: i64) -> bool {
        self.rows.contains(row) != self.but
    }
}

/// The rows of the passages that meet all conditions; `None` when there are no conditions.
pub(super) fn allowed(connection: &Connection, conditions: &[Condition]) -> rusqlite::Result<Option<Allowed>> {
    if conditions.is_empty() {
        return Ok(None);
    }
    let (mut inside, mut outside) = (Vec::new(), Vec::new());
    let (mut points_inside, mut points_outside) = (0, 0);
    let met = Met::new(conditions);
    let sql = format!("SELECT document, points, metadata, ({}) IS TRUE FROM documents", met.sql);
    let mut statement = connection.prepare(&sql)?;
    let mut rows = statement.query(params_from_iter(&met.values))?;
    while let Some(row) = rows.next()? {
        let (document, points): (i64, i64) = (row.get(0)?, row.get(1)?);
        if row.get(3)? && met.holds_for(&|| metadata(row, 2))? {
            inside.push(document);
            points_inside += points;
        } else {
            outside.push(document);
            points_outside += points;
        }
    }
    // Whichever is less to read.
    let (documents, but) = if points_inside <= points_outside { (inside, false) } else { (outside, true) };
    let mut rows = RowSet::default();
    let mut statement = connection.prepare_cached("SELECT row FROM points WHERE document = ?1")?;
    for document in documents {
        let mut found = statement.query([document])?;
        while let Some(row) = found.next()? {
            rows.insert(row.get(0)?);
        }
    }
    Ok(Some(Allowed { rows, but }))
}

/// The documents with a passage that meets all conditions.
pub(super) fn uris(connection: &Connection, conditions: &[Condition]) -> rusqlite::Result<Vec<String>> {
    let met = Met::new(conditions);
    let sql = format!("SELECT uri, metadata FROM documents WHERE {} ORDER BY uri", met.sql);
    let mut statement = connection.prepare(&sql)?;
    let mut rows = statement.query(params_from_iter(&met.values))?;
    let mut uris: Vec<String> = Vec::new();
    while let Some(row) = rows.next()?
        && uris.len() < MAX_DOCUMENTS
    {
        let uri = row.get_ref(0)?.as_str()?;
        if uris.last().is_none_or(|last| last != uri) && met.holds_for(&|| metadata(row, 1))? {
            uris.push(uri.to_owned());
        }
    }
    Ok(uris)
}

/// Conditions: what the database answers, and what is left to be looked at in the metadata.
struct Met<'a> {
    sql: String,
    values: Vec<Value>,
    metadata: Vec<&'a Condition>,
}

impl<'a> Met<'a> {
    fn new(conditions: &'a [Condition]) -> Self {
        let mut met = Self { sql: "TRUE".into(), values: Vec::new(), metadata: Vec::new() };
        for condition in conditions {
            met.add(condition);
        }
        met
    }

    fn add(&mut self, condition: &'a Condition) {
        match condition {
            Condition::Documents(uris) => {
                let list = self.list(uris);
                self.sql.push_str(&format!(" AND uri IN {list}"));
            }
            Condition::Within(places) => {
                let below = self.below(places);
                self.sql.push_str(&format!(" AND ({below})"));
            }
            Condition::NotWithin(places) => {
                let below = self.below(places);
                self.sql.push_str(&format!(" AND NOT ({below})"));
            }
            Condition::Lang(code) => {
                let code = self.value(code.clone());
                self.sql.push_str(&format!(" AND lang IS {code}"));
            }
            Condition::NotLang(code) => {
                let code = self.value(code.clone());
                self.sql.push_str(&format!(" AND lang IS NOT {code}"));
            }
            Condition::Modified { from, until } => {
                self.sql.push_str(&format!(" AND modified <> {UNDATED}"));
                if let Some(from) = from {
                    let from = self.value(*from);
                    self.sql.push_str(&format!(" AND modified >= {from}"));
                }
                if let Some(until) = until {
                    let until = self.value(*until);
                    self.sql.push_str(&format!(" AND modified < {until}"));
                }
            }
            Condition::Metadata(..) | Condition::NotMetadata(..) | Condition::MetadataRange(..) => {
                self.metadata.push(condition);
            }
        }
    }

    /// A value's place in the statement.
    fn value(&mut self, value: impl Into<Value>) -> String {
        self.values.push(value.into());
        format!("?{}", self.values.len())
    }

    /// A list as one value, so that it may be of any length.
    fn list(&mut self, texts: &[String]) -> String {
        let list = self.value(serde_json::Value::from(texts).to_string());
        format!("(SELECT value FROM json_each({list}))")
    }

    /// One of the places, or below one. A place's documents stand together in the order of the uris.
    fn below(&mut self, places: &[String]) -> String {
        let mut any = format!("uri IN {}", self.list(places));
        for place in places {
            match place.as_str() {
                "" => {}
                "." => any.push_str(" OR substr(uri, 1, 1) <> '/'"),
                "/" => any.push_str(" OR substr(uri, 1, 1) = '/'"),
                place => {
                    // '0' comes right after '/'.
                    let (from, to) = (self.value(format!("{place}/")), self.value(format!("{place}0")));
                    any.push_str(&format!(" OR (uri >= {from} AND uri < {to})"));
                }
            }
        }
        any
    }

    fn holds_for(&self, metadata: &dyn Fn() -> rusqlite::Result<Metadata>) -> rusqlite::Result<bool> {
        if self.metadata.is_empty() {
            return Ok(true);
        }
        let metadata = metadata()?;
        Ok(self.metadata.iter().all(|condition| match condition {
            Condition::Metadata(name, values) => {
                metadata.get(name).is_some_and(|found| values.iter().any(|value| has(found, value)))
            }
            Condition::NotMetadata(name, values) => {
                metadata.get(name).is_none_or(|found| !values.iter().any(|value| has(found, value)))
            }
            Condition::MetadataRange(name, from, until) => metadata.get(name).is_some_and(|found| {
                each(found).iter().filter_map(number).any(|found| {
                    let after = match from {
                        Bound::Included(from) => found >= *from,
                        Bound::Excluded(from) => found > *from,
                        Bound::Unbounded => true,
                    };
                    let before = match until {
                        Bound::Included(until) => found <= *until,
                        Bound::Excluded(until) => found < *until,
                        Bound::Unbounded => true,
                    };
                    after && before
                })
            }),
            _ => true,
        }))
    }
}

/// A value's elements, where it is a list; else itself.
fn each(value: &Scalar) -> &[Scalar] {
    match value {
        Scalar::List(values) => values,
        one => std::slice::from_ref(one),
    }
}

/// Whether a value is this one, or has it among others.
fn has(found: &Scalar, wanted: &Scalar) -> bool {
    each(found).iter().any(|one| is_same(one, wanted))
}

fn number(value: &Scalar) -> Option<f64> {
    match value {
        Scalar::Integer(number) => Some(*number as f64),
        Scalar::Float(number) => Some(*number),
        Scalar::Bool(_) | Scalar::Text(_) | Scalar::List(_) => None,
    }
}

/// Whether two values are the same. Numbers are compared as numbers, however they are written.
fn is_same(one: &Scalar, other: &Scalar) -> bool {
    match (number(one), number(other)) {
        (Some(one), Some(other)) => one.total_cmp(&other).is_eq() || (one == 0.0 && other == 0.0),
        (None, None) => one == other,
        _ => false,
    }
}
