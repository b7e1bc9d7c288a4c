//! The wire's words in the model's, and back. What is not understood is an error, never ignored.

use std::collections::{BTreeMap, HashMap};

use ::qdrant_client::qdrant::point_id::PointIdOptions;
use ::qdrant_client::qdrant::points_selector::PointsSelectorOneOf;
use ::qdrant_client::qdrant::query::Variant;
use ::qdrant_client::qdrant::value::Kind as WireKind;
use ::qdrant_client::qdrant::{
    self as wire, ListValue, NamedVectorsOutput, PointStruct, PointsSelector, Struct, Value, VectorOutput, VectorsOutput,
    WithPayloadSelector, WithVectorsSelector, vector, vector_input, vector_output, vectors, vectors_output,
    with_payload_selector, with_vectors_selector,
};
use serde_json::Value as Json;
use tonic::Status;

use super::model::{Id, Path, Payload, Point, Points, Refusal, Selected, Vector};

impl From<Refusal> for Status {
    fn from(refusal: Refusal) -> Self {
        match refusal {
            Refusal::Input(words) => Self::invalid_argument(format!("Wrong input: {words}")),
            Refusal::Missing(words) => Self::not_found(format!("Not found: {words}")),
            Refusal::Strict(words) => Self::invalid_argument(format!("Bad request: {words}")),
            Refusal::Unknown(what) => odd(&what),
        }
    }
}

/// What a server would do, and this one cannot.
pub(super) fn odd(what: &str) -> Status {
    Status::unimplemented(format!("this test server does not know {what}"))
}

/// A part of a request that must not be there.
pub(super) fn without<T>(part: Option<T>, what: &str) -> Result<(), Status> {
    part.map_or(Ok(()), |_| Err(odd(what)))
}

/// What a server says of a request that is wrong in itself.
pub(super) fn invalid(field: &str, words: &str) -> Status {
    Status::invalid_argument(format!("Validation error in body: [{field}: {words}]"))
}

/// How many to answer with: 10 where nothing is said.
pub(super) fn limit(limit: Option<u64>) -> Result<usize, Status> {
    match limit {
        Some(0) => Err(invalid("limit", "value 0 invalid, must be 1 or larger")),
        limit => {
            usize::try_from(limit.unwrap_or(10)).map_err(|_| Status::invalid_argument("could not parse limit param into usize"))
        }
    }
}

pub(super) fn path(field: &str) -> Result<Path, Status> {
    Path::read(field).ok_or_else(|| Status::invalid_argument(format!("Invalid json path: '{field}'")))
}

pub(super) fn id(id: wire::PointId) -> Result<Id, Status> {
    match id.point_id_options {
        Some(PointIdOptions::Uuid(id)) => {
            id.parse().map(Id::Uuid).map_err(|_| Status::invalid_argument(format!("Unable to parse UUID: {id}")))
        }
        Some(PointIdOptions::Num(id)) => Ok(Id::Number(id)),
        None => Err(Status::invalid_argument("No ID options provided")),
    }
}

pub(super) fn to_id(id: Id) -> wire::PointId {
    match id {
        Id::Uuid(id) => id.to_string().into(),
        Id::Number(id) => id.into(),
    }
}

pub(super) fn payload(payload: HashMap<String, Value>) -> Result<Payload, Status> {
    payload.into_iter().map(|(key, value)| Ok((key, json(value)?))).collect()
}

pub(super) fn to_payload(payload: &Payload) -> HashMap<String, Value> {
    payload.iter().map(|(key, value)| (key.clone(), to_value(value))).collect()
}

fn json(value: Value) -> Result<Json, Status> {
    Ok(match value.kind {
        None | Some(WireKind::NullValue(_)) => Json::Null,
        Some(WireKind::BoolValue(value)) => value.into(),
        Some(WireKind::IntegerValue(value)) => value.into(),
        Some(WireKind::DoubleValue(value)) => {
            serde_json::Number::from_f64(value).ok_or_else(|| Status::invalid_argument("cannot convert to json number"))?.into()
        }
        Some(WireKind::StringValue(value)) => value.into(),
        Some(WireKind::ListValue(list)) => Json::Array(list.values.into_iter().map(json).collect::<Result<_, _>>()?),
        Some(WireKind::StructValue(fields)) => Json::Object(payload(fields.fields)?),
    })
}

fn to_value(value: &Json) -> Value {
    let kind = match value {
        Json::Null => WireKind::NullValue(0),
        Json::Bool(value) => WireKind::BoolValue(*value),
        Json::Number(value) => {
            value.as_i64().map_or_else(|| WireKind::DoubleValue(value.as_f64().unwrap()), WireKind::IntegerValue)
        }
        Json::String(value) => WireKind::StringValue(value.clone()),
        Json::Array(values) => WireKind::ListValue(ListValue { values: values.iter().map(to_value).collect() }),
        Json::Object(fields) => WireKind::StructValue(Struct { fields: to_payload(fields) }),
    };
    Value { kind: Some(kind) }
}

pub(super) fn point(point: PointStruct) -> Result<(Id, Point), Status> {
    let PointStruct { id: given, payload: fields, vectors: Some(vectors) } = point else {
        return Err(Status::invalid_argument("Expected some vectors"));
    };
    let Some(vectors::VectorsOptions::Vectors(named)) = vectors.vectors_options else {
        return Err(odd("points without named vectors"));
    };
    let given = given.ok_or_else(|| Status::invalid_argument("Empty ID is not allowed"))?;
    let vectors = named.vectors.into_iter().map(|(name, vector)| {
        #[expect(deprecated, reason = "older clients still send these")]
        let wire::Vector { data, indices, vectors_count, vector } = vector;
        if !data.is_empty() || indices.is_some() || vectors_count.is_some() {
            return Err(odd("vectors as they were sent before 1.16"));
        }
        let vector = match vector {
            Some(vector::Vector::Dense(dense)) => Vector::Dense(dense.data),
            Some(vector::Vector::Sparse(sparse)) => sparse_vector(sparse, "points[].vectors.vectors_options.vectors.[]")?,
            _ => return Err(odd("this kind of vector")),
        };
        Ok((name, vector))
    });
    Ok((id(given)?, Point { vectors: vectors.collect::<Result<_, _>>()?, payload: payload(fields)? }))
}

fn sparse_vector(vector: wire::SparseVector, at: &str) -> Result<Vector, Status> {
    let wire::SparseVector { indices, values } = vector;
    let (terms, weights) = (indices.len(), values.len());
    if terms != weights {
        return Err(invalid(&format!("{at}.values"), "Validation error: must be the same length as indices [{}]"));
    }
    let sparse: BTreeMap<_, _> = indices.into_iter().zip(values).collect();
    if sparse.len() != terms {
        return Err(invalid(&format!("{at}.indices"), "Validation error: must be unique [{}]"));
    }
    Ok(Vector::Sparse(sparse))
}

fn to_vector(vector: &Vector, as_1_16: bool) -> VectorOutput {
    let (indices, data) = match vector {
        Vector::Dense(dense) => (None, dense.clone()),
        Vector::Sparse(sparse) => (Some(sparse.keys().copied().collect()), sparse.values().copied().collect()),
    };
    #[expect(deprecated, reason = "servers of 1.16 answer so")]
    match indices {
        indices if as_1_16 => {
            VectorOutput { data, indices: indices.map(|data| wire::SparseIndices { data }), ..VectorOutput::default() }
        }
        None => {
            VectorOutput { vector: Some(vector_output::Vector::Dense(wire::DenseVector { data })), ..VectorOutput::default() }
        }
        Some(indices) => {
            let sparse = wire::SparseVector { indices, values: data };
            VectorOutput { vector: Some(vector_output::Vector::Sparse(sparse)), ..VectorOutput::default() }
        }
    }
}

pub(super) fn selector(selector: PointsSelector) -> Result<Selected, Status> {
    match selector.points_selector_one_of {
        Some(PointsSelectorOneOf::Points(list)) => Ok(Selected::Ids(list.ids.into_iter().map(id).collect::<Result<_, _>>()?)),
        Some(PointsSelectorOneOf::Filter(filter)) => Ok(Selected::Where(super::filter::filter(filter)?)),
        None => Err(Status::invalid_argument("Malformed PointsSelector type")),
    }
}

/// The vector that is searched with.
pub(super) fn nearest(query: Option<wire::Query>) -> Result<Vector, Status> {
    let Some(Variant::Nearest(input)) = query.and_then(|query| query.variant) else {
        return Err(odd("queries other than by a vector"));
    };
    match input.variant {
        Some(vector_input::Variant::Dense(dense)) => Ok(Vector::Dense(dense.data)),
        Some(vector_input::Variant::Sparse(sparse)) => sparse_vector(sparse, "query.variant.variant"),
        _ => Err(odd("this vector input")),
    }
}

/// What to answer of each point.
pub(super) struct Shown {
    payload: Fields,
    vectors: Names,
    as_1_16: bool,
}

/// The fields of a payload that are shown.
enum Fields {
    None,
    All,
    These(Vec<String>),
}

enum Names {
    All,
    These(Vec<String>),
}

impl Shown {
    /// `payload` says whether payloads are shown where the request does not say it.
    pub(super) fn new(
        payload: bool,
        with_payload: Option<WithPayloadSelector>,
        with_vectors: Option<WithVectorsSelector>,
        points: &Points,
    ) -> Result<Self, Status> {
        use with_vectors_selector::SelectorOptions;
        let payload = match with_payload.map(|selector| selector.selector_options) {
            None if payload => Fields::All,
            None | Some(Some(with_payload_selector::SelectorOptions::Enable(false))) => Fields::None,
            Some(Some(with_payload_selector::SelectorOptions::Enable(true))) => Fields::All,
            // Names of fields at the top alone: ways into them are not understood here.
            Some(Some(with_payload_selector::SelectorOptions::Include(these)))
                if these.fields.iter().all(|name| name.bytes().all(|b| b.is_ascii_lowercase())) =>
            {
                Fields::These(these.fields)
            }
            Some(Some(_)) => return Err(odd("parts of payloads")),
            Some(None) => return Err(Status::invalid_argument("No PayloadSelector")),
        };
        let vectors = match with_vectors.and_then(|selector| selector.selector_options) {
            None | Some(SelectorOptions::Enable(false)) => Names::These(Vec::new()),
            Some(SelectorOptions::Enable(true)) => Names::All,
            Some(SelectorOptions::Include(these)) => Names::These(these.names),
        };
        if let Names::These(names) = &vectors
            && let Some(name) =
                names.iter().find(|name| !points.dense.contains_key(*name) && !points.sparse.contains_key(*name))
        {
            return Err(Refusal::Input(format!("Not existing vector name error: {name}")).into());
        }
        Ok(Self { payload, vectors, as_1_16: false })
    }

    /// Whether vectors are shown as servers of 1.16 do.
    pub(super) fn of_1_16(self, as_1_16: bool) -> Self {
        Self { as_1_16, ..self }
    }

    pub(super) fn payload(&self, point: &Point) -> HashMap<String, Value> {
        let mut payload = to_payload(&point.payload);
        match &self.payload {
            Fields::None => payload.clear(),
            Fields::All => {}
            Fields::These(names) => payload.retain(|name, _| names.contains(name)),
        }
        payload
    }

    pub(super) fn vectors(&self, point: &Point) -> Option<VectorsOutput> {
        let shown = |name: &str| match &self.vectors {
            Names::All => true,
            Names::These(names) => names.iter().any(|one| one == name),
        };
        if matches!(&self.vectors, Names::These(names) if names.is_empty()) {
            return None;
        }
        let vectors = point.vectors.iter().filter(|(name, _)| shown(name));
        let vectors = vectors.map(|(name, vector)| (name.clone(), to_vector(vector, self.as_1_16))).collect();
        Some(VectorsOutput { vectors_options: Some(vectors_output::VectorsOptions::Vectors(NamedVectorsOutput { vectors })) })
    }
}
