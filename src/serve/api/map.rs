//! `GET /api/map`: a map of an index. `POST /api/map`: what a search finds, and where that lies on it.

use std::num::NonZeroUsize;
use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use axum::response::{IntoResponse, Response};
use schemars::JsonSchema;
use serde::Deserialize;
use serde_json::{Value, json};

use super::read::{Asked, Body, filter};
use crate::answer::Question;
use crate::answer::wire::Line;
use crate::serve::answering;
use crate::serve::fault::Fault;
use crate::serve::scope::Scope;
use crate::serve::service::Service;

/// Hits that are shown on a map, at most.
const HITS: NonZeroUsize = NonZeroUsize::new(50).expect("it is not 0");

/// Vectors of several models have no plane in common.
const A_MAP: &str = "a map";

/// Which pipeline's; it need not be named where there is one alone.
#[derive(Debug, Deserialize)]
pub(super) struct Of {
    #[serde(default)]
    pipeline: Option<String>,
}

/// What is looked for on a map.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct Look {
    #[schemars(regex(pattern = r"\S"))]
    query: String,
    /// Which pipeline's index; it need not be named where one alone is served.
    #[serde(default)]
    pipeline: Option<String>,
    /// At most 50.
    #[serde(default)]
    limit: Option<NonZeroUsize>,
    #[serde(default, rename = "where")]
    terms: Vec<String>,
}

pub(super) async fn show(State(service): State<Arc<Service>>, Asked(of): Asked<Of>) -> Result<Response, Fault> {
    let served = service.scopes.one(of.pipeline.as_deref(), A_MAP)?;
    let map = service.maps.of(&served).await?;
    Ok(Json(&*map).into_response())
}

pub(super) async fn find(State(service): State<Arc<Service>>, Body(look): Body<Look>) -> Result<Response, Fault> {
    let Look { query, pipeline, limit, terms } = look;
    let served = service.scopes.one(pipeline.as_deref(), A_MAP)?;
    let limit = limit.map(|limit| limit.min(HITS));
    let question = Question { text: query, limit, filter: filter(&terms)?, ..Question::default() };
    let hits = answering::search(&service, &Scope::One(Arc::clone(&served)), &question).await?.hits;
    let places = service.maps.places(&served, hits.iter().map(|found| found.hit.id).collect()).await?;
    let placed = |((rank, hit), place): ((usize, _), Option<(f32, f32)>)| {
        let mut line = serde_json::to_value(Line::hit(hit, rank, None)).unwrap_or_default();
        if let Some(line) = line.as_object_mut() {
            line.insert("place".to_owned(), json!(place));
        }
        line
    };
    let hits: Vec<Value> = (1..).zip(&hits).zip(places).map(placed).collect();
    Ok(Json(json!({"type": "hits", "pipeline": served.name, "hits": hits})).into_response())
}
