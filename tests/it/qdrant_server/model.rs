//! What the tests' server holds: the points of a collection, in memory, and Qdrant's answers to what is asked of them. Nothing
//! here knows the wire.
//!
//! Written after Qdrant's own sources (1.19) and compared with two versions of its engine, the one in Rust and the newer one for
//! Python, on random points, payloads, filters and queries. Where a server has room, this takes the straight way: scores are
//! exact, equal ones come in the order of their ids, counts are exact, and a deleted point is gone from the document frequencies
//! at once.

mod filter;
mod path;
mod score;
#[cfg(test)]
mod tests;

use std::collections::{BTreeMap, BTreeSet, HashMap};

use serde_json::{Map, Value};
use uuid::Uuid;

pub use filter::{Condition, Filter, Range, Test};
pub use path::Path;
pub use score::Sparse;

pub type Payload = Map<String, Value>;

/// A point's id. Numbers come before UUIDs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Id {
    Number(u64),
    Uuid(Uuid),
}

impl std::fmt::Display for Id {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Number(number) => number.fmt(f),
            Self::Uuid(uuid) => uuid.fmt(f),
        }
    }
}

#[derive(Debug, Clone, PartialEq)]
pub enum Vector {
    Dense(Vec<f32>),
    Sparse(Sparse),
}

#[derive(Debug, Clone, Default, PartialEq)]
pub struct Point {
    pub vectors: BTreeMap<String, Vector>,
    pub payload: Payload,
}

/// What an index of a payload's field is of.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    Keyword,
    Integer,
}

/// Points that an operation is about.
#[derive(Debug, Clone)]
pub enum Selected {
    Ids(Vec<Id>),
    Where(Filter),
}

/// Why an operation was refused, in Qdrant's words.
#[derive(Debug, Clone, PartialEq)]
pub enum Refusal {
    /// What was asked cannot be.
    Input(String),
    /// What it was asked about is not there.
    Missing(String),
    /// Strict mode does not allow it.
    Strict(String),
    /// A server would do it, and this one cannot.
    Unknown(String),
}

fn input<T>(words: impl Into<String>) -> Result<T, Refusal> {
    Err(Refusal::Input(words.into()))
}

/// The points of a collection.
#[derive(Debug, Clone, Default)]
pub struct Points {
    /// The dense vectors' names and widths; all are compared by their cosines.
    pub dense: BTreeMap<String, usize>,
    /// The sparse vectors' names, and whether their terms are weighed by their rarity.
    pub sparse: BTreeMap<String, bool>,
    /// The fields of payloads that are indexed.
    pub indexed: BTreeMap<Path, Kind>,
    by_id: BTreeMap<Id, Point>,
}

impl Points {
    pub fn len(&self) -> usize {
        self.by_id.len()
    }

    /// The point of an id.
    pub fn get(&self, id: Id) -> Option<&Point> {
        self.by_id.get(&id)
    }

    /// Writes points; those with the same id are replaced. When one is refused, none is written. (A server may have written
    /// some of them by then, in no order.)
    pub fn upsert(&mut self, points: Vec<(Id, Point)>) -> Result<(), Refusal> {
        for (name, vector) in points.iter().flat_map(|(_, point)| &point.vectors) {
            if !self.dense.contains_key(name) && !self.sparse.contains_key(name) {
                return input(format!("Not existing vector name error: {name}"));
            }
            self.check(name, vector)?;
        }
        for (id, mut point) in points {
            for vector in point.vectors.values_mut() {
                if let Vector::Dense(dense) = vector {
                    *dense = score::normalised(std::mem::take(dense));
                }
            }
            self.by_id.insert(id, point);
        }
        Ok(())
    }

    /// Whether a vector fits the name.
    fn check(&self, name: &str, vector: &Vector) -> Result<(), Refusal> {
        match (vector, self.dense.get(name)) {
            (Vector::Dense(dense), Some(width)) if dense.len() != *width => {
                input(format!("Vector dimension error: expected dim: {width}, got {}", dense.len()))
            }
            (Vector::Dense(_), None) | (Vector::Sparse(_), Some(_)) => {
                input("Conversion between sparse and regular vectors failed")
            }
            _ => Ok(()),
        }
    }

    /// Removes points; ids that are not there are no error.
    pub fn delete(&mut self, selected: Selected) {
        for id in self.ids(selected) {
            self.by_id.remove(&id);
        }
    }

    /// Replaces payloads as a whole. An id that is not there is an error, after the others were carried out.
    pub fn overwrite(&mut self, selected: Selected, payload: &Payload) -> Result<(), Refusal> {
        let mut missing = None;
        for id in self.ids(selected) {
            match self.by_id.get_mut(&id) {
                Some(point) => point.payload.clone_from(payload),
                None => missing = missing.or(Some(id)),
            }
        }
        missing.map_or(Ok(()), |id| Err(Refusal::Missing(format!("No point with id {id} found"))))
    }

    fn ids(&self, selected: Selected) -> Vec<Id> {
        match selected {
            Selected::Ids(ids) => ids,
            Selected::Where(filter) => self.passing(Some(&filter)).map(|(id, _)| id).collect(),
        }
    }

    /// The points that a filter lets through, in the order of their ids.
    pub fn passing<'a>(&'a self, filter: Option<&'a Filter>) -> impl Iterator<Item = (Id, &'a Point)> {
        let all = self.by_id.iter().map(|(id, point)| (*id, point));
        all.filter(move |(id, point)| filter.is_none_or(|filter| filter.passes(*id, &point.payload, self)))
    }

    /// A page from an id on, and the id that the next page begins with.
    pub fn scroll<'a>(
        &'a self,
        from: Option<Id>,
        filter: Option<&'a Filter>,
        limit: usize,
    ) -> (Vec<(Id, &'a Point)>, Option<Id>) {
        let mut page = self.passing(filter).skip_while(|(id, _)| from.is_some_and(|from| *id < from));
        let points = page.by_ref().take(limit).collect();
        (points, page.next().map(|(id, _)| id))
    }

    /// The texts under a key, which must be indexed, and how many points have each: the most frequent first, of equals the
    /// lesser.
    pub fn facet(&self, key: &Path, filter: Option<&Filter>, limit: usize) -> Result<Vec<(String, u64)>, Refusal> {
        match self.indexed.get(key) {
            Some(Kind::Keyword) => {}
            Some(Kind::Integer) => return Err(Refusal::Unknown("a facet over numbers".into())),
            None => {
                return input(format!(
                    "No appropriate index for faceting: `{key}`. Please create one to facet on this field. Check \
                     https://qdrant.tech/documentation/concepts/indexing/#payload-index to see which payload schemas support \
                     Match conditions"
                ));
            }
        }
        let mut counts: HashMap<&str, u64> = HashMap::new();
        for (_, point) in self.passing(filter) {
            let values = key.values(&point.payload).into_iter().flat_map(|value| match value {
                Value::Array(values) => values.iter().collect(),
                one => vec![one],
            });
            for text in values.filter_map(Value::as_str).collect::<BTreeSet<_>>() {
                *counts.entry(text).or_default() += 1;
            }
        }
        let mut hits: Vec<(String, u64)> = counts.into_iter().map(|(text, count)| (text.to_owned(), count)).collect();
        hits.sort_by(|(a, one), (b, other)| other.cmp(one).then_with(|| a.cmp(b)));
        hits.truncate(limit);
        Ok(hits)
    }

    /// The points nearest to a vector, best first. By a sparse one only points are found that share a term with it.
    pub fn query<'a>(
        &'a self,
        name: &str,
        query: Vector,
        filter: Option<&'a Filter>,
        limit: usize,
    ) -> Result<Vec<(Id, f32, &'a Point)>, Refusal> {
        if !self.dense.contains_key(name) && !self.sparse.contains_key(name) {
            return input(self.no_vector(name));
        }
        self.check(name, &query)?;
        let query = match query {
            Vector::Dense(query) => Vector::Dense(score::normalised(query)),
            Vector::Sparse(query) if self.sparse.get(name) == Some(&true) => {
                let vectors = self.by_id.values().filter_map(|point| match point.vectors.get(name)? {
                    Vector::Sparse(sparse) => Some(sparse),
                    Vector::Dense(_) => None,
                });
                Vector::Sparse(score::weighed(&query, vectors))
            }
            plain @ Vector::Sparse(_) => plain,
        };
        let near = |vector: &Vector| match (&query, vector) {
            (Vector::Dense(query), Vector::Dense(vector)) => Some(score::dot(query, vector)),
            (Vector::Sparse(query), Vector::Sparse(vector)) => score::overlap(query, vector),
            _ => None,
        };
        let scored = self.passing(filter).filter_map(|(id, point)| Some((id, near(point.vectors.get(name)?)?, point)));
        let mut hits: Vec<_> = scored.collect();
        hits.sort_by(|(a, one, _), (b, other, _)| other.total_cmp(one).then_with(|| a.cmp(b)));
        hits.truncate(limit);
        Ok(hits)
    }

    /// What is said of a vector's name that is none here.
    fn no_vector(&self, name: &str) -> String {
        let names: Vec<_> = self.dense.keys().chain(self.sparse.keys()).map(String::as_str).collect();
        let names = names.join(", ");
        match name {
            _ if names.is_empty() => "Vectors are not configured in this collection".into(),
            "" => format!("Collection requires specified vector name in the request, available names: {names}"),
            name => format!("Vector with name `{name}` is not configured in this collection, available names: {names}"),
        }
    }
}
