//! `POST /api/why`: why a document is, or is not, among the sources of an answer.

use std::num::NonZeroUsize;
use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use axum::response::{IntoResponse, Response};
use schemars::JsonSchema;
use serde::Deserialize;

use super::read::{Body, filter};
use crate::answer::Question;
use crate::serve::fault::Fault;
use crate::serve::service::Service;

/// Which document, and what is asked.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct Asked {
    /// Its uri, or a name of it that is no other document's.
    #[schemars(regex(pattern = r"\S"))]
    file: String,
    #[schemars(regex(pattern = r"\S"))]
    question: String,
    /// Which pipeline, or several as `docs+tickets`; without it, all that are served are asked together.
    #[serde(default)]
    pipeline: Option<String>,
    #[serde(default)]
    limit: Option<NonZeroUsize>,
    #[serde(default, rename = "where")]
    terms: Vec<String>,
}

pub(super) async fn why(State(service): State<Arc<Service>>, Body(asked): Body<Asked>) -> Result<Response, Fault> {
    let Asked { file, question, pipeline, limit, terms } = asked;
    let scope = service.scopes.asked(pipeline.as_deref())?;
    let question = Question { text: question, limit, filter: filter(&terms)?, ..Question::default() };
    let _place = service.searches.take().await?;
    let why = scope.why(&file, &question).await?;
    Ok(Json(why).into_response())
}
