//! The server's words in the engine's, and back. What is not understood is an error, never ignored.

use std::collections::HashMap;

use qdrant_client::Payload as WirePayload;
use qdrant_client::qdrant::condition::ConditionOneOf;
use qdrant_client::qdrant::r#match::MatchValue as WireMatch;
use qdrant_client::qdrant::point_id::PointIdOptions;
use qdrant_client::qdrant::points_selector::PointsSelectorOneOf;
use qdrant_client::qdrant::query::Variant;
use qdrant_client::qdrant::{
    self as wire, CollectionConfig, CollectionInfo, CreateCollection, PayloadSchemaInfo, PayloadSchemaType, PointStruct,
    PointsSelector, QueryPoints, Value, vector, vector_input, vectors, vectors_config,
};
use qdrant_edge as edge;
use qdrant_edge::{
    Condition, Distance, EdgeConfig, EdgeSparseVectorParamsBuilder, EdgeVectorParamsBuilder, FieldCondition, Filter, JsonPath,
    Match, MatchValue, Modifier, NamedQuery, OperationError, Payload, PointId, PointStructPersisted, QueryEnum, QueryRequest,
    ScoringQuery, ValueVariants, VectorInternal, VectorPersisted, VectorStructPersisted, WithPayloadInterface, WithVector,
};
use tonic::Status;

use super::Collection;

pub(super) fn failed(error: OperationError) -> Status {
    Status::invalid_argument(format!("Wrong input: {error}"))
}

fn odd(what: &str) -> Status {
    Status::unimplemented(format!("this test server does not know {what}"))
}

pub(super) fn config(created: &CreateCollection) -> Result<EdgeConfig, Status> {
    let Some(vectors_config::Config::ParamsMap(dense)) = created.vectors_config.as_ref().and_then(|v| v.config.as_ref()) else {
        return Err(odd("collections without named vectors"));
    };
    let mut config = EdgeConfig::builder();
    for (name, params) in &dense.map {
        if params.distance != i32::from(wire::Distance::Cosine) {
            return Err(odd("this distance"));
        }
        config = config.vector(name, EdgeVectorParamsBuilder::new(params.size as usize, Distance::Cosine).build());
    }
    for (name, params) in created.sparse_vectors_config.iter().flat_map(|sparse| &sparse.map) {
        let mut sparse = EdgeSparseVectorParamsBuilder::new();
        if params.modifier == Some(wire::Modifier::Idf.into()) {
            sparse = sparse.modifier(Modifier::Idf);
        }
        config = config.sparse_vector(name, sparse.build());
    }
    Ok(config.build())
}

pub(super) fn info(collection: &Collection) -> CollectionInfo {
    let keyword = PayloadSchemaInfo { data_type: PayloadSchemaType::Keyword.into(), ..PayloadSchemaInfo::default() };
    let indexed = collection.indexed.lock().unwrap();
    CollectionInfo {
        config: Some(CollectionConfig { metadata: collection.metadata.lock().unwrap().clone(), ..CollectionConfig::default() }),
        payload_schema: indexed.iter().map(|field| (field.clone(), keyword.clone())).collect(),
        ..CollectionInfo::default()
    }
}

pub(super) fn path(field: &str) -> Result<JsonPath, Status> {
    field.parse().map_err(|()| Status::invalid_argument("no path"))
}

pub(super) fn id(id: wire::PointId) -> Result<PointId, Status> {
    match id.point_id_options {
        Some(PointIdOptions::Uuid(id)) => {
            id.parse().map(PointId::Uuid).map_err(|_| Status::invalid_argument("Unable to parse UUID"))
        }
        Some(PointIdOptions::Num(id)) => Ok(PointId::NumId(id)),
        None => Err(Status::invalid_argument("Malformed point id")),
    }
}

pub(super) fn to_id(id: PointId) -> wire::PointId {
    match id {
        PointId::Uuid(id) => id.to_string().into(),
        PointId::NumId(id) => id.into(),
    }
}

pub(super) fn payload(payload: HashMap<String, Value>) -> Result<Payload, Status> {
    match WirePayload::from(payload).into() {
        serde_json::Value::Object(map) => Ok(Payload(map)),
        _ => Err(odd("this payload")),
    }
}

pub(super) fn to_payload(payload: Option<Payload>) -> HashMap<String, Value> {
    WirePayload::from(payload.map(|payload| payload.0).unwrap_or_default()).into()
}

pub(super) fn point(point: PointStruct) -> Result<PointStructPersisted, Status> {
    let Some(vectors::VectorsOptions::Vectors(named)) = point.vectors.and_then(|v| v.vectors_options) else {
        return Err(odd("points without named vectors"));
    };
    let mut vectors = HashMap::new();
    for (name, vector) in named.vectors {
        let vector = match vector.vector {
            Some(vector::Vector::Dense(dense)) => VectorPersisted::Dense(dense.data),
            Some(vector::Vector::Sparse(s)) => VectorPersisted::Sparse(sparse(s)?),
            _ => return Err(odd("this kind of vector")),
        };
        vectors.insert(name, vector);
    }
    Ok(PointStructPersisted {
        id: id(point.id.ok_or_else(|| Status::invalid_argument("Empty ID is not allowed"))?)?,
        vector: VectorStructPersisted::Named(vectors),
        payload: Some(payload(point.payload)?),
    })
}

fn sparse(vector: wire::SparseVector) -> Result<edge::SparseVector, Status> {
    let wire::SparseVector { indices, values } = vector;
    if indices.len() != values.len() || indices.is_empty() {
        return Err(Status::invalid_argument("Validation error: malformed or empty sparse vector"));
    }
    Ok(edge::SparseVector { indices, values })
}

pub(super) fn selector(selector: Option<PointsSelector>) -> Result<(Option<Vec<PointId>>, Option<Filter>), Status> {
    match selector.and_then(|selector| selector.points_selector_one_of) {
        Some(PointsSelectorOneOf::Points(list)) => Ok((Some(list.ids.into_iter().map(id).collect::<Result<_, _>>()?), None)),
        Some(PointsSelectorOneOf::Filter(one)) => Ok((None, Some(filter(one)?))),
        None => Err(Status::invalid_argument("PointSelector is missing")),
    }
}

pub(super) fn filter(filter: wire::Filter) -> Result<Filter, Status> {
    if filter.min_should.is_some() {
        return Err(odd("`min_should`"));
    }
    let all = |conditions: Vec<wire::Condition>| -> Result<_, Status> {
        let conditions = conditions.into_iter().map(condition).collect::<Result<Vec<_>, _>>()?;
        Ok(Some(conditions).filter(|conditions| !conditions.is_empty()))
    };
    Ok(Filter { must: all(filter.must)?, should: all(filter.should)?, must_not: all(filter.must_not)?, min_should: None })
}

fn condition(condition: wire::Condition) -> Result<Condition, Status> {
    match condition.condition_one_of {
        Some(ConditionOneOf::HasId(has)) => {
            let ids = has.has_id.into_iter().map(id).collect::<Result<_, _>>()?;
            Ok(Condition::HasId(edge::HasIdCondition { has_id: ids }))
        }
        Some(ConditionOneOf::Filter(nested)) => Ok(Condition::Filter(filter(nested)?)),
        Some(ConditionOneOf::Field(field)) => Ok(Condition::Field(field_condition(field)?)),
        _ => Err(odd("this condition")),
    }
}

fn field_condition(field: wire::FieldCondition) -> Result<FieldCondition, Status> {
    let key = path(&field.key)?;
    if let Some(range) = field.range {
        let bound = |bound: Option<f64>| bound.map(Into::into);
        let wire::Range { lt, gt, gte, lte } = range;
        return Ok(FieldCondition::new_range(
            key,
            edge::Range { lt: bound(lt), gt: bound(gt), gte: bound(gte), lte: bound(lte) },
        ));
    }
    let wanted = match field.r#match.and_then(|m| m.match_value) {
        Some(WireMatch::Keyword(keyword)) => Match::Value(MatchValue { value: ValueVariants::String(keyword) }),
        Some(WireMatch::Boolean(value)) => Match::Value(MatchValue { value: ValueVariants::Bool(value) }),
        Some(WireMatch::Keywords(keywords)) => Match::Any(edge::MatchAny {
            any: edge::AnyVariants::Strings(keywords.strings.iter().map(|keyword| keyword.as_str().into()).collect()),
        }),
        _ => return Err(odd("this match")),
    };
    Ok(FieldCondition::new_match(key, wanted))
}

fn scoring(query: Option<wire::Query>, using: Option<String>) -> Result<ScoringQuery, Status> {
    match query.and_then(|query| query.variant) {
        Some(Variant::Nearest(input)) => {
            let vector = match input.variant {
                Some(vector_input::Variant::Dense(dense)) => VectorInternal::Dense(dense.data),
                Some(vector_input::Variant::Sparse(s)) => VectorInternal::Sparse(sparse(s)?),
                _ => return Err(odd("this vector input")),
            };
            let using = using.ok_or_else(|| Status::invalid_argument("no vector name"))?;
            Ok(ScoringQuery::Vector(QueryEnum::Nearest(NamedQuery::new(vector, using))))
        }
        _ => Err(odd("this query")),
    }
}

pub(super) fn query(request: QueryPoints) -> Result<QueryRequest, Status> {
    if !request.prefetch.is_empty() {
        return Err(odd("a prefetch"));
    }
    Ok(QueryRequest {
        prefetches: Vec::new(),
        query: Some(scoring(request.query, request.using)?),
        filter: request.filter.map(filter).transpose()?,
        score_threshold: None,
        limit: request.limit.unwrap_or(10) as usize,
        offset: 0,
        params: None,
        with_vector: WithVector::Bool(false),
        with_payload: WithPayloadInterface::Bool(true),
    })
}
