//! Vectors as points of a collection, and back.
//!
//! A point has the first 128 bits of a key as its id, one vector, and no payload. Two numbers stand before the embedding's own: 48
//! bits of blake3 over the whole key and the vector. So what comes back is what was put under this key, bit for bit, or is not
//! believed, whatever a server, its configuration (half-precision numbers) or somebody else has made of it.

use std::collections::HashMap;

use qdrant_client::qdrant::vectors_output::VectorsOptions;
use qdrant_client::qdrant::{
    CollectionInfo, CreateCollection, Datatype, DenseVector, Distance, HnswConfigDiff, NamedVectors, OptimizersConfigDiff,
    PointId, PointStruct, RetrievedPoint, Value, Vector as WireVector, VectorOutput, VectorParams, VectorParamsMap,
    VectorsConfig, point_id, value, vector, vector_output, vectors_config,
};
use uuid::Uuid;

use super::super::key::{Key, Vector};

/// The vector's name in a point.
const NAME: &str = "embedding";
/// The key of the collection's metadata that says whose it is.
const META: &str = "ragstream_cache";
/// Of how a point is made.
const VERSION: i64 = 1;
/// Numbers before the embedding's own. Whole numbers of 24 bits, which are numbers of 32 bits exactly.
const CHECKS: usize = 2;

/// The id that a key has in the collection.
pub(super) fn id(key: &Key) -> Uuid {
    let mut id = [0; 16];
    id.iter_mut().zip(&key.0).for_each(|(to, from)| *to = *from);
    Uuid::from_bytes(id)
}

fn checks(key: &Key, embedding: &[f32]) -> [f32; CHECKS] {
    let mut hash = blake3::Hasher::new();
    hash.update(&key.0);
    for number in embedding {
        hash.update(&number.to_le_bytes());
    }
    let hash = hash.finalize();
    let three = |from: usize| {
        let bytes = hash.as_bytes().iter().skip(from).take(3);
        bytes.fold(0, |bits, byte| bits << 8 | u32::from(*byte)) as f32
    };
    [three(0), three(3)]
}

pub(super) fn point(key: &Key, embedding: &[f32]) -> PointStruct {
    let data = checks(key, embedding).iter().chain(embedding).copied().collect();
    let dense = WireVector { vector: Some(vector::Vector::Dense(DenseVector { data })), ..WireVector::default() };
    let vectors = HashMap::from([(NAME.to_owned(), dense)]);
    PointStruct {
        id: Some(id(key).to_string().into()),
        payload: HashMap::new(),
        vectors: Some(NamedVectors { vectors }.into()),
    }
}

/// The id of a point and the numbers it has, neither believed yet.
pub(super) fn read(point: RetrievedPoint) -> Option<(Uuid, Vec<f32>)> {
    let Some(point_id::PointIdOptions::Uuid(id)) = point.id.and_then(|PointId { point_id_options }| point_id_options) else {
        return None;
    };
    let VectorsOptions::Vectors(mut named) = point.vectors?.vectors_options? else { return None };
    #[expect(deprecated, reason = "servers of 1.16 put it there")]
    let VectorOutput { data, indices: None, vectors_count: None, vector } = named.vectors.remove(NAME)? else { return None };
    let numbers = match vector {
        Some(vector_output::Vector::Dense(dense)) => dense.data,
        Some(_) => return None,
        None => data,
    };
    Some((id.parse().ok()?, numbers))
}

/// The embedding that was put under a key, if that is what the numbers are.
pub(super) fn believed(key: &Key, dimensions: usize, numbers: &[f32]) -> Option<Vector> {
    let (told, embedding) = numbers.split_first_chunk::<CHECKS>()?;
    let bits = |checks: &[f32; CHECKS]| checks.map(f32::to_bits);
    (embedding.len() == dimensions && bits(told) == bits(&checks(key, embedding))).then(|| embedding.into())
}

/// The collection of a model's vectors: no graph, no payload, everything on disk.
pub(super) fn create(collection: &str, fingerprint: &str, dimensions: usize) -> CreateCollection {
    #[expect(deprecated, reason = "what replaces it is unknown to servers of 1.16")]
    let params = VectorParams {
        size: (dimensions + CHECKS) as u64,
        // The only one for which a server keeps vectors as they are and is not asked to compare them.
        distance: Distance::Dot.into(),
        on_disk: Some(true),
        datatype: Some(Datatype::Float32.into()),
        ..VectorParams::default()
    };
    let map = VectorParamsMap { map: HashMap::from([(NAME.to_owned(), params)]) };
    let text = |text: &str| value::Kind::StringValue(text.to_owned());
    let said = [
        ("version", value::Kind::IntegerValue(VERSION)),
        ("model", text(fingerprint)),
        ("dimensions", value::Kind::IntegerValue(dimensions as i64)),
    ];
    let fields = said.into_iter().map(|(key, kind)| (key.to_owned(), Value { kind: Some(kind) })).collect();
    let meta = Value { kind: Some(value::Kind::StructValue(qdrant_client::qdrant::Struct { fields })) };
    CreateCollection {
        collection_name: collection.to_owned(),
        vectors_config: Some(VectorsConfig { config: Some(vectors_config::Config::ParamsMap(map)) }),
        hnsw_config: Some(HnswConfigDiff { m: Some(0), ..HnswConfigDiff::default() }),
        // Nothing is ever searched here.
        optimizers_config: Some(OptimizersConfigDiff { indexing_threshold: Some(0), ..OptimizersConfigDiff::default() }),
        metadata: HashMap::from([(META.to_owned(), meta)]),
        ..CreateCollection::default()
    }
}

/// Why a collection is not the cache of this model, if it is not.
pub(super) fn refusal(info: &CollectionInfo, fingerprint: &str, dimensions: usize) -> Option<String> {
    let config = info.config.as_ref();
    let Some(Value { kind: Some(value::Kind::StructValue(meta)) }) = config.and_then(|config| config.metadata.get(META)) else {
        return Some("it is not a cache of ragstream's".into());
    };
    let said = |key: &str| meta.fields.get(key).and_then(|value| value.kind.as_ref());
    let whole = |key: &str| match said(key) {
        Some(value::Kind::IntegerValue(number)) => Some(*number),
        _ => None,
    };
    if whole("version") != Some(VERSION) {
        return Some("it is a cache of another version of ragstream".into());
    }
    match said("model") {
        Some(value::Kind::StringValue(model)) if model == fingerprint => {}
        _ => return Some("it is the cache of another model".into()),
    }
    let params = config.and_then(|config| config.params.as_ref()?.vectors_config.as_ref()?.config.as_ref());
    let width = match params {
        Some(vectors_config::Config::ParamsMap(map)) => map.map.get(NAME),
        _ => None,
    };
    let kept = width.filter(|params| params.distance() == Distance::Dot).map(|params| params.size);
    if kept != Some((dimensions + CHECKS) as u64) || whole("dimensions") != Some(dimensions as i64) {
        return Some(format!("it is not of vectors that are {dimensions} wide"));
    }
    None
}
