//! `POST /api/search`: the passages alone.

use std::num::NonZeroUsize;
use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use axum::response::{IntoResponse, Response};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::read::{Body, filter};
use crate::answer::wire::Line;
use crate::answer::{Duplicates, Question};
use crate::serve::answering;
use crate::serve::fault::Fault;
use crate::serve::service::Service;

/// What is searched for.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct Search {
    #[schemars(regex(pattern = r"\S"))]
    query: String,
    /// Which pipeline, or several as `docs+tickets`; without it, all that are served are asked together.
    #[serde(default)]
    pipeline: Option<String>,
    #[serde(default)]
    limit: Option<NonZeroUsize>,
    #[serde(default, rename = "where")]
    terms: Vec<String>,
    /// Near-copies are hits of their own.
    #[serde(default)]
    copies: bool,
}

/// What was found, best first.
#[derive(Serialize, JsonSchema)]
#[expect(clippy::struct_field_names, reason = "the wire's")]
pub(super) struct Hits<'a> {
    #[serde(rename = "type")]
    kind: &'static str,
    pipeline: &'a str,
    hits: Vec<Line<'a>>,
    /// Something went otherwise than planned, such as a reranker that was late.
    #[serde(skip_serializing_if = "Option::is_none")]
    note: Option<&'a str>,
}

pub(super) async fn search(State(service): State<Arc<Service>>, Body(search): Body<Search>) -> Result<Response, Fault> {
    let Search { query, pipeline, limit, terms, copies } = search;
    let scope = service.scopes.asked(pipeline.as_deref())?;
    let duplicates = copies.then_some(Duplicates::Keep);
    let question = Question { text: query, limit, filter: filter(&terms)?, duplicates, ..Question::default() };
    let found = answering::search(&service, &scope, &question).await?;
    let lines: Vec<Line<'_>> = (1..).zip(&found.hits).map(|(rank, hit)| Line::hit(hit, rank, None)).collect();
    Ok(Json(Hits { kind: "hits", pipeline: scope.name(), hits: lines, note: found.note.as_deref() }).into_response())
}
