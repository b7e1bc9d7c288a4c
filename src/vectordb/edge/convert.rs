//! Points, passages and questions in the engine's words, and back.

use std::collections::HashMap;

use qdrant_edge::{
    NamedQuery, OperationError, Payload, PointId, PointStructPersisted, QueryEnum, ScoringQuery, VectorInternal,
    VectorPersisted, VectorStructInternal, VectorStructPersisted,
};
use serde_json::Value;
use uuid::Uuid;

use super::fault::Fault;
use crate::document::{Passage, Point, SparseVector};
use crate::vectordb::{DENSE, SPARSE, payload};

pub(super) fn nearest_dense(vector: Vec<f32>) -> ScoringQuery {
    ScoringQuery::Vector(QueryEnum::Nearest(NamedQuery::new(VectorInternal::Dense(vector), DENSE)))
}

pub(super) fn nearest_sparse(vector: SparseVector) -> ScoringQuery {
    let vector = qdrant_edge::SparseVector { indices: vector.indices, values: vector.values };
    ScoringQuery::Vector(QueryEnum::Nearest(NamedQuery::new(VectorInternal::Sparse(vector), SPARSE)))
}

pub(super) fn to_engine(point: Point) -> Result<PointStructPersisted, Fault> {
    let payload = to_payload(&point.passage)?;
    let mut vectors = HashMap::from([(DENSE.to_owned(), VectorPersisted::Dense(point.dense))]);
    if !point.sparse.indices.is_empty() {
        let sparse = qdrant_edge::SparseVector { indices: point.sparse.indices, values: point.sparse.values };
        vectors.insert(SPARSE.to_owned(), VectorPersisted::Sparse(sparse));
    }
    Ok(PointStructPersisted {
        id: PointId::Uuid(point.id),
        vector: VectorStructPersisted::Named(vectors),
        payload: Some(payload),
    })
}

pub(super) fn to_payload(passage: &Passage) -> Result<Payload, Fault> {
    Ok(Payload(payload(passage)?))
}

pub(super) fn to_passage(payload: Option<Payload>) -> Result<Passage, Fault> {
    Ok(serde_json::from_value(Value::Object(payload.map(|p| p.0).unwrap_or_default()))?)
}

pub(super) fn to_uuid(id: PointId) -> Result<Uuid, Fault> {
    match id {
        PointId::Uuid(id) => Ok(id),
        PointId::NumId(id) => Err(Fault::Refused(OperationError::validation_error(format!("point {id} is not ragstream's")))),
    }
}

/// A word's weight in a passage's BM25 vector.
pub(super) fn weight(vectors: VectorStructInternal, word: u32) -> Option<f32> {
    let VectorStructInternal::Named(vectors) = vectors else { return None };
    let VectorInternal::Sparse(words) = vectors.get(SPARSE)? else { return None };
    let at = words.indices.iter().position(|index| *index == word)?;
    words.values.get(at).copied()
}
