//! How the engine is told to arrange what it holds: fresh points apart from sealed ones, and all from disk.

use std::ops::Bound;

use qdrant_edge::{
    AnyVariants, Condition as EngineCondition, CreateIndex, Distance, EdgeConfig, EdgeOptimizersConfig,
    EdgeSparseVectorParamsBuilder, EdgeVectorParamsBuilder, FieldCondition, Filter, HnswIndexConfig, IntegerIndexParams,
    JsonPath, KeywordIndexParams, Match, MatchAny, MatchValue, Modifier, OperationError, PayloadFieldSchema,
    PayloadSchemaParams, QuantizationConfig, QuantizationSearchParams, Range, ScalarQuantizationConfig, ScalarType,
    SearchParams, ValueVariants, WalOptions,
};

use super::fault::Fault;
use crate::document::Scalar;
use crate::vectordb::{Condition, DENSE, FOLDERS, KEYWORDS, LANG, MODIFIED, SPARSE, URI};

/// The size of one file of the engine's write-ahead log, in bytes. The engine's own 32 MiB make every small index as big.
const WAL_SEGMENT: usize = 4 << 20;
/// Segments that are not merged, besides those that are as large as they may be.
const SEGMENTS: usize = 4;
/// Links of a point in the graph.
pub(super) const LINKS: usize = 16;
/// Sealed segments are scanned by their vectors in 8 bits: twice as many as asked for are then compared by the whole ones.
pub(super) const SCAN: SearchParams = SearchParams {
    hnsw_ef: None,
    exact: false,
    quantization: Some(QuantizationSearchParams { ignore: false, rescore: Some(true), oversampling: Some(2.0) }),
    indexed_only: false,
    acorn: None,
};

/// How the engine arranges its points, in points. Fresh ones are in a segment that is fast to write for as long as it is small
/// (the cost of a write grows with it) and keeps its sparse index in memory; from time to time they are sealed: moved to a
/// segment that is searched from disk. Small sealed segments are merged as they become many.
#[derive(Debug, Clone, Copy)]
pub(super) struct Sizes {
    /// Written since the last sealing, to seal again.
    pub(super) seal: usize,
    /// A sealed segment that is not merged any more, by the larger of its dense and its sparse vectors. Bounds the memory of a
    /// merge.
    pub(super) segment: usize,
    /// An index as large as this gets a graph per segment. Below, a scan of small vectors is as fast and costs no building.
    pub(super) graph: usize,
    /// A part that is put aside when it is sealed again. Bounds the memory of a run that only adds.
    pub(super) part: usize,
}

/// The configuration of a new index.
pub(super) fn config(dimensions: usize, sizes: Sizes) -> EdgeConfig {
    let scalar = ScalarQuantizationConfig { r#type: ScalarType::Int8, quantile: Some(0.99), always_ram: Some(false) };
    EdgeConfig::builder()
        .vector(DENSE, EdgeVectorParamsBuilder::new(dimensions, Distance::Cosine).on_disk(true).build())
        .sparse_vector(SPARSE, EdgeSparseVectorParamsBuilder::new().on_disk(true).modifier(Modifier::Idf).build())
        .hnsw_config(graph(0))
        .quantization_config(QuantizationConfig::from(scalar))
        .optimizers(optimizers(dimensions, sizes))
        .wal_options(WalOptions { segment_capacity: WAL_SEGMENT, ..WalOptions::default() })
        .build()
}

/// When segments are sealed and merged.
pub(super) fn optimizers(dimensions: usize, sizes: Sizes) -> EdgeOptimizersConfig {
    let kilobytes = |points: usize| (points.saturating_mul(dimensions) / 256).max(1);
    EdgeOptimizersConfig {
        // Less than `seal`, of which some may be gone again.
        indexing_threshold: Some(kilobytes(sizes.seal / 2)),
        max_segment_size: Some(kilobytes(sizes.segment)),
        default_segment_number: Some(SEGMENTS),
        ..EdgeOptimizersConfig::default()
    }
}

/// The indexes by which documents are removed and searches are narrowed.
pub(super) fn indexes() -> Result<Vec<CreateIndex>, Fault> {
    let keyword = KeywordIndexParams { on_disk: Some(true), enable_hnsw: Some(false), ..KeywordIndexParams::default() };
    let integer = IntegerIndexParams {
        lookup: Some(false),
        range: Some(true),
        on_disk: Some(true),
        enable_hnsw: Some(false),
        ..IntegerIndexParams::default()
    };
    let keywords = KEYWORDS.iter().map(|key| (*key, PayloadSchemaParams::Keyword(keyword.clone())));
    let all = keywords.chain([(MODIFIED, PayloadSchemaParams::Integer(integer))]);
    all.map(|(key, params)| {
        Ok(CreateIndex { field_name: path(key)?, field_schema: Some(PayloadFieldSchema::FieldParams(params)) })
    })
    .collect()
}

/// What conditions are in the engine's words; `None` when there are none.
pub(super) fn filter(conditions: &[Condition]) -> Result<Option<Filter>, Fault> {
    let (mut must, mut must_not) = (Vec::new(), Vec::new());
    for condition in conditions {
        match condition {
            Condition::Documents(uris) => must.push(any(URI, uris)?),
            Condition::Within(places) => {
                let places = vec![any(FOLDERS, places)?, any(URI, places)?];
                must.push(EngineCondition::Filter(Filter { should: Some(places), ..Filter::default() }));
            }
            Condition::NotWithin(places) => must_not.extend([any(FOLDERS, places)?, any(URI, places)?]),
            Condition::Lang(code) => must.push(any(LANG, std::slice::from_ref(code))?),
            Condition::NotLang(code) => must_not.push(any(LANG, std::slice::from_ref(code))?),
            Condition::Modified { from, until } => {
                let second = |bound: &Option<i64>| bound.map(|second| (second as f64).into());
                let range = Range { gte: second(from), lt: second(until), ..Range::default() };
                must.push(EngineCondition::Field(FieldCondition::new_range(path(MODIFIED)?, range)));
            }
            Condition::Metadata(name, values) => {
                let values = values.iter().map(|value| is(name, value)).collect::<Result<_, _>>()?;
                must.push(EngineCondition::Filter(Filter { should: Some(values), ..Filter::default() }));
            }
            Condition::NotMetadata(name, values) => {
                for value in values {
                    must_not.push(is(name, value)?);
                }
            }
            Condition::MetadataRange(name, from, until) => {
                let bound = |bound: &Bound<f64>, included: bool| match *bound {
                    Bound::Included(number) if included => Some(number.into()),
                    Bound::Excluded(number) if !included => Some(number.into()),
                    _ => None,
                };
                let range =
                    Range { gte: bound(from, true), gt: bound(from, false), lte: bound(until, true), lt: bound(until, false) };
                must.push(EngineCondition::Field(FieldCondition::new_range(path(&Condition::metadata_path(name))?, range)));
            }
        }
    }
    let filter = Filter { must: Some(must), must_not: Some(must_not), ..Filter::default() };
    Ok((!conditions.is_empty()).then_some(filter))
}

/// The metadata has this value under the name. Numbers are compared as numbers, however they are written.
fn is(name: &str, value: &Scalar) -> Result<EngineCondition, Fault> {
    let path = path(&Condition::metadata_path(name))?;
    let number = |number: f64| Range { gte: Some(number.into()), lte: Some(number.into()), ..Range::default() };
    let exactly = |value| Match::Value(MatchValue { value });
    Ok(EngineCondition::Field(match value {
        Scalar::Bool(value) => FieldCondition::new_match(path, exactly(ValueVariants::Bool(*value))),
        Scalar::Text(value) => FieldCondition::new_match(path, exactly(ValueVariants::String(value.clone()))),
        Scalar::Integer(value) => FieldCondition::new_range(path, number(*value as f64)),
        Scalar::Float(value) => FieldCondition::new_range(path, number(*value)),
    }))
}

/// One of these keywords stands under the key.
fn any(key: &str, keywords: &[String]) -> Result<EngineCondition, Fault> {
    let keywords = AnyVariants::Strings(keywords.iter().map(|keyword| keyword.as_str().into()).collect());
    Ok(EngineCondition::Field(FieldCondition::new_match(path(key)?, Match::Any(MatchAny { any: keywords }))))
}

/// No links: a segment without a graph, which is scanned.
pub(super) fn graph(links: usize) -> HnswIndexConfig {
    HnswIndexConfig { m: links, payload_m: Some(0), on_disk: Some(true), ..HnswIndexConfig::default() }
}

pub(super) fn path(key: &str) -> Result<JsonPath, Fault> {
    key.parse().map_err(|()| Fault::Refused(OperationError::validation_error(format!("no path to `{key}`"))))
}
