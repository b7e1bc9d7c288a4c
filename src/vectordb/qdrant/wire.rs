//! Our types in the server's words, and back.

use std::collections::HashMap;
use std::ops::Bound;

use qdrant_client::qdrant::r#match::MatchValue;
use qdrant_client::qdrant::points_update_operation::{Operation, OverwritePayload};
use qdrant_client::qdrant::query::Variant;
use qdrant_client::qdrant::vectors_output::VectorsOptions;
use qdrant_client::qdrant::{
    CollectionInfo, CollectionParams, Condition, CreateCollection, Distance, Filter, Modifier, NamedVectors, PointId,
    PointStruct, PointsIdsList, PointsSelector, PointsUpdateOperation, QueryPoints, Range, RepeatedStrings, RetrievedPoint,
    ScoredPoint, SparseVectorConfig, SparseVectorParams, Value, Vector, VectorInput, VectorOutput, VectorParams,
    VectorParamsMap, VectorsConfig, point_id, points_selector, value, vector, vector_input, vector_output, vectors_config,
};
use qdrant_client::{Payload, QdrantError};
use uuid::Uuid;

use crate::document::{Hit, Passage, Point, Scalar, SparseVector};
use crate::vectordb::{
    Condition as Narrow, DENSE, FOLDERS, IndexMeta, LANG, MODIFIED, Query, SPARSE, Spread, StoreError, UNDATED, URI,
};

/// The key of the collection's metadata under which [`IndexMeta`] is kept.
const META: &str = "ragstream";

pub(super) fn create(collection: &str, meta: &IndexMeta, spread: &Spread) -> Result<CreateCollection, String> {
    let dense = VectorParams { size: meta.dimensions as u64, distance: Distance::Cosine.into(), ..VectorParams::default() };
    let sparse = SparseVectorParams { modifier: Some(Modifier::Idf.into()), ..SparseVectorParams::default() };
    Ok(CreateCollection {
        collection_name: collection.to_owned(),
        vectors_config: Some(VectorsConfig {
            config: Some(vectors_config::Config::ParamsMap(VectorParamsMap { map: HashMap::from([(DENSE.into(), dense)]) })),
        }),
        sparse_vectors_config: Some(SparseVectorConfig { map: HashMap::from([(SPARSE.into(), sparse)]) }),
        shard_number: spread.shard_number,
        replication_factor: spread.replication_factor,
        write_consistency_factor: spread.write_consistency_factor,
        metadata: metadata(meta)?,
        ..CreateCollection::default()
    })
}

pub(super) fn params(info: &CollectionInfo) -> Option<&CollectionParams> {
    info.config.as_ref()?.params.as_ref()
}

pub(super) fn metadata(meta: &IndexMeta) -> Result<HashMap<String, Value>, String> {
    let kept = serde_json::to_value(meta).map_err(|error| error.to_string())?;
    Ok(HashMap::from([(META.into(), kept.into())]))
}

/// What the collection was made with, or why that is not known.
pub(super) fn read_meta(info: &CollectionInfo) -> Result<IndexMeta, String> {
    let kept = info.config.as_ref().and_then(|config| config.metadata.get(META));
    let kept = kept.ok_or("it does not say what it was made with")?;
    serde_json::from_value(kept.clone().into()).map_err(|error| format!("what it says it was made with is damaged: {error}"))
}

pub(super) fn point(point: Point) -> Result<PointStruct, String> {
    let payload = payload(&point.passage)?;
    let dense = vector::Vector::Dense(qdrant_client::qdrant::DenseVector { data: point.dense });
    let mut vectors = HashMap::from([(DENSE.to_owned(), named(dense))]);
    if !point.sparse.indices.is_empty() {
        vectors.insert(SPARSE.to_owned(), named(vector::Vector::Sparse(sparse(point.sparse))));
    }
    Ok(PointStruct { id: Some(to_id(point.id)), payload, vectors: Some(NamedVectors { vectors }.into()) })
}

/// Replaces a payload. By a filter, since a point that is named and not there would be an error.
pub(super) fn overwrite(id: Uuid, passage: &Passage) -> Result<PointsUpdateOperation, String> {
    let filter = Filter::must([Condition::has_id([to_id(id)])]);
    let overwrite = OverwritePayload {
        payload: payload(passage)?,
        points_selector: Some(select(points_selector::PointsSelectorOneOf::Filter(filter))),
        ..OverwritePayload::default()
    };
    Ok(PointsUpdateOperation { operation: Some(Operation::OverwritePayload(overwrite)) })
}

pub(super) fn select_ids(ids: &[Uuid]) -> PointsSelector {
    let ids = ids.iter().map(|id| to_id(*id)).collect();
    select(points_selector::PointsSelectorOneOf::Points(PointsIdsList { ids }))
}

pub(super) fn select_document(uri: &str) -> PointsSelector {
    // Said outright: from a string with a space the client makes a search for its words, which other documents match, too.
    let condition = Condition::matches(URI, MatchValue::Keyword(uri.to_owned()));
    select(points_selector::PointsSelectorOneOf::Filter(Filter::must([condition])))
}

/// Conditions with at most so many values in one, and so many of which one must hold. What meets the conditions meets those of one
/// of the parts.
pub(super) fn parts(conditions: &[Narrow], most: usize, most_choices: usize) -> Vec<Vec<Narrow>> {
    conditions.iter().fold(vec![Vec::new()], |parts, condition| {
        let choices: Vec<Narrow> = match condition {
            Narrow::Documents(uris) if uris.len() > most => {
                uris.chunks(most).map(|part| Narrow::Documents(part.to_vec())).collect()
            }
            Narrow::Within(places) if places.len() > most => {
                places.chunks(most).map(|part| Narrow::Within(part.to_vec())).collect()
            }
            Narrow::Metadata(name, values) if values.len() > most_choices => {
                values.chunks(most_choices).map(|part| Narrow::Metadata(name.clone(), part.to_vec())).collect()
            }
            condition => vec![condition.clone()],
        };
        let with = |part: &Vec<Narrow>, choice: &Narrow| part.iter().chain([choice]).cloned().collect();
        parts.iter().flat_map(|part| choices.iter().map(move |choice| with(part, choice))).collect()
    })
}

/// The most values that one condition has where there are at most so many in one, and the most that are choices.
pub(super) fn sizes(conditions: &[Narrow], most: usize) -> (usize, usize) {
    let values = conditions.iter().map(|condition| match condition {
        Narrow::Documents(list) | Narrow::Within(list) | Narrow::NotWithin(list) => list.len().min(most),
        _ => 1,
    });
    let choices = conditions.iter().map(|condition| match condition {
        Narrow::Metadata(_, values) => values.len(),
        _ => 1,
    });
    (values.max().unwrap_or(0), choices.max().unwrap_or(0))
}

/// What conditions are in the server's words, with at most so many values in one of its own; `None` when there are none.
pub(super) fn filter(conditions: &[Narrow], most: usize) -> Option<Filter> {
    let mut filter = Filter::default();
    for condition in conditions {
        match condition {
            Narrow::Documents(uris) => filter.must.push(any(URI, uris)),
            Narrow::Within(places) => {
                let places = [any(FOLDERS, places), any(URI, places)];
                filter.must.push(Filter::should(places).into());
            }
            Narrow::NotWithin(places) => {
                filter.must_not.extend(places.chunks(most).flat_map(|places| [any(FOLDERS, places), any(URI, places)]));
            }
            Narrow::Lang(code) => filter.must.push(any(LANG, std::slice::from_ref(code))),
            Narrow::NotLang(code) => filter.must_not.push(any(LANG, std::slice::from_ref(code))),
            Narrow::Modified { from, until } => {
                let second = |bound: &Option<i64>| bound.map(|second| second as f64);
                filter
                    .must
                    .push(Condition::range(MODIFIED, Range { gte: second(from), lt: second(until), ..Range::default() }));
                // A server may bound how many conditions there are: only where it would be among them.
                if from.is_none_or(|from| from <= UNDATED) && until.is_none_or(|until| until > UNDATED) {
                    let undated = Some(UNDATED as f64);
                    filter.must_not.push(Condition::range(MODIFIED, Range { gte: undated, lte: undated, ..Range::default() }));
                }
            }
            Narrow::Metadata(name, values) => {
                filter.must.push(Filter::should(values.iter().map(|value| is(name, value)).collect::<Vec<_>>()).into());
            }
            Narrow::NotMetadata(name, values) => filter.must_not.extend(values.iter().map(|value| is(name, value))),
            Narrow::MetadataRange(name, from, until) => {
                let bound = |bound: &Bound<f64>, included: bool| match *bound {
                    Bound::Included(number) if included => Some(number),
                    Bound::Excluded(number) if !included => Some(number),
                    _ => None,
                };
                let range =
                    Range { gte: bound(from, true), gt: bound(from, false), lte: bound(until, true), lt: bound(until, false) };
                filter.must.push(Condition::range(Narrow::metadata_path(name), range));
            }
        }
    }
    (!conditions.is_empty()).then_some(filter)
}

/// The metadata has this value under the name. Numbers are compared as numbers, however they are written.
fn is(name: &str, value: &Scalar) -> Condition {
    let path = Narrow::metadata_path(name);
    let number = |number: f64| Range { gte: Some(number), lte: Some(number), ..Range::default() };
    match value {
        Scalar::Bool(value) => Condition::matches(path, MatchValue::Boolean(*value)),
        // Said outright, as in [`select_document`].
        Scalar::Text(value) => Condition::matches(path, MatchValue::Keyword(value.clone())),
        Scalar::Integer(value) => Condition::range(path, number(*value as f64)),
        Scalar::Float(value) => Condition::range(path, number(*value)),
        // The server compares each element of a stored list by itself.
        Scalar::List(values) => Filter::should(values.iter().map(|value| is(name, value)).collect::<Vec<_>>()).into(),
    }
}

/// One of these keywords stands under the key. Said outright, as in [`select_document`].
fn any(key: &str, keywords: &[String]) -> Condition {
    Condition::matches(key, MatchValue::Keywords(RepeatedStrings { strings: keywords.to_vec() }))
}

/// The best passages but so many.
pub(super) fn query(collection: &str, query: Query, filter: Option<Filter>, limit: usize, offset: usize) -> QueryPoints {
    let (query, using) = match query {
        Query::Dense(dense) => (nearest_dense(dense), DENSE),
        Query::Sparse(sparse) => (nearest_sparse(sparse), SPARSE),
    };
    QueryPoints {
        collection_name: collection.to_owned(),
        query: Some(qdrant_client::qdrant::Query { variant: Some(query) }),
        using: Some(using.to_owned()),
        filter,
        limit: Some(limit as u64),
        offset: (offset > 0).then_some(offset as u64),
        with_payload: Some(true.into()),
        with_vectors: Some(false.into()),
        ..QueryPoints::default()
    }
}

pub(super) fn hit(point: ScoredPoint) -> Result<Hit, String> {
    let score = point.score;
    let (id, passage) = passage(point.id, point.payload)?;
    Ok(Hit { id, score, passage, pipeline: None })
}

fn own_id(id: Option<PointId>) -> Result<Uuid, String> {
    match id.and_then(|id| id.point_id_options) {
        Some(point_id::PointIdOptions::Uuid(id)) => id.parse().map_err(|_| format!("point {id} is not ragstream's")),
        Some(point_id::PointIdOptions::Num(id)) => Err(format!("point {id} is not ragstream's")),
        None => Err("the server sent a point without an id".into()),
    }
}

/// The uri of a point's document.
pub(super) fn uri(mut point: RetrievedPoint) -> Result<(Uuid, String), String> {
    let id = own_id(point.id)?;
    match point.payload.remove(URI).and_then(|value| value.kind) {
        Some(value::Kind::StringValue(uri)) => Ok((id, uri)),
        _ => Err(format!("point {id} does not say what document it is of")),
    }
}

pub(super) fn passage(id: Option<PointId>, payload: HashMap<String, Value>) -> Result<(Uuid, Passage), String> {
    let id = own_id(id)?;
    let passage = serde_json::from_value(Payload::from(payload).into())
        .map_err(|error| format!("point {id} has a payload that is not ragstream's: {error}"))?;
    Ok((id, passage))
}

/// A point that was read with its dense vector.
pub(super) fn with_vector(point: RetrievedPoint) -> Result<(Uuid, Vec<f32>, Passage), String> {
    let (id, passage) = passage(point.id, point.payload)?;
    let dense = point.vectors.and_then(|vectors| dense(vectors.vectors_options?));
    Ok((id, dense.ok_or_else(|| format!("point {id} came without its vector `{DENSE}`"))?, passage))
}

fn dense(vectors: VectorsOptions) -> Option<Vec<f32>> {
    let VectorsOptions::Vectors(mut named) = vectors else { return None };
    // By hand: the client's own way divides by a number that the server sent.
    #[expect(deprecated, reason = "older servers put it there")]
    let VectorOutput { data, indices: None, vectors_count: None, vector } = named.vectors.remove(DENSE)? else { return None };
    match vector {
        Some(vector_output::Vector::Dense(dense)) => Some(dense.data),
        Some(_) => None,
        None => Some(data),
    }
    .filter(|dense| !dense.is_empty())
}

fn payload(passage: &Passage) -> Result<HashMap<String, Value>, String> {
    let payload = crate::vectordb::payload(passage).map_err(|error| error.to_string())?;
    Ok(Payload::from(payload).into())
}

fn select(points: points_selector::PointsSelectorOneOf) -> PointsSelector {
    PointsSelector { points_selector_one_of: Some(points) }
}

pub(super) fn to_id(id: Uuid) -> PointId {
    id.to_string().into()
}

fn named(vector: vector::Vector) -> Vector {
    Vector { vector: Some(vector), ..Vector::default() }
}

fn sparse(vector: SparseVector) -> qdrant_client::qdrant::SparseVector {
    qdrant_client::qdrant::SparseVector { indices: vector.indices, values: vector.values }
}

fn nearest_dense(data: Vec<f32>) -> Variant {
    let dense = vector_input::Variant::Dense(qdrant_client::qdrant::DenseVector { data });
    Variant::Nearest(VectorInput { variant: Some(dense) })
}

fn nearest_sparse(vector: SparseVector) -> Variant {
    Variant::Nearest(VectorInput { variant: Some(vector_input::Variant::Sparse(sparse(vector))) })
}

/// The client's error as ours: what may pass by itself is `Unavailable`, a collection that is not there `Missing`. The status's
/// metadata (the server's headers) are left out.
pub(super) fn explain(error: QdrantError, store: &str, action: &'static str) -> StoreError {
    // The codes of gRPC, as its specification numbers them.
    const CANCELLED: i32 = 1;
    const UNKNOWN: i32 = 2;
    const DEADLINE_EXCEEDED: i32 = 4;
    const NOT_FOUND: i32 = 5;
    const ALREADY_EXISTS: i32 = 6;
    const PERMISSION_DENIED: i32 = 7;
    const RESOURCE_EXHAUSTED: i32 = 8;
    const ABORTED: i32 = 10;
    const INTERNAL: i32 = 13;
    const UNAVAILABLE: i32 = 14;
    const UNAUTHENTICATED: i32 = 16;

    let store = store.to_owned();
    let (QdrantError::ResponseError { status } | QdrantError::ResourceExhaustedError { status, .. }) = error else {
        return StoreError::Failed { store, action, message: error.to_string(), source: None };
    };
    let said = status.message();
    // The client reports its own failure to connect as an internal error. What comes from the server has no source.
    let unconnected = said.starts_with("Failed to connect to");
    let transport = std::error::Error::source(&status).is_some();
    let code = i32::from(status.code());
    let transient = match code {
        CANCELLED | DEADLINE_EXCEEDED | RESOURCE_EXHAUSTED | ABORTED | UNAVAILABLE => true,
        UNKNOWN | INTERNAL => unconnected || transport || super::cluster::is_outage(said),
        NOT_FOUND => return StoreError::Missing { store },
        _ => false,
    };
    let message = if unconnected {
        format!("no connection: {}", root_cause(said))
    } else if i32::from(status.code()) == ALREADY_EXISTS && !said.contains("already exists") {
        format!("it already exists: {said}")
    } else if said.is_empty() {
        status.code().description().to_owned()
    } else {
        said.to_owned()
    };
    if transient {
        StoreError::Unavailable { store, message, source: None }
    } else if matches!(code, PERMISSION_DENIED | UNAUTHENTICATED) {
        StoreError::Denied { store, action, message }
    } else {
        StoreError::Failed { store, action, message, source: None }
    }
}

/// Whether what was to be made is there already, in the words of servers old and new.
pub(super) fn exists_already(error: &StoreError) -> bool {
    matches!(error, StoreError::Failed { message, .. } if message.contains("already exists"))
}

/// The operating system's words out of the client's debug print ("… Os { code: 111, kind: …, message: \"Connection refused\" }").
fn root_cause(said: &str) -> &str {
    let words = said.rsplit_once("message: \"").and_then(|(_, rest)| rest.split_once('"'));
    words.map_or(said, |(words, _)| words)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_cause_of_a_failed_connection_is_found() {
        let said = r#"Failed to connect to http://h:1/: tonic::transport::Error(Transport, ConnectError("tcp connect error", Os { code: 111, kind: ConnectionRefused, message: "Connection refused" }))"#;
        assert_eq!(root_cause(said), "Connection refused");
        assert_eq!(root_cause("anything else"), "anything else");
    }
}
