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
    #[serde(default)]
    pipeline: Option<String>,
    #[serde(default)]
    limit: Option<NonZeroUsize>,
    #[serde(default, rename = "where")]
    terms: Vec<String>,
}

pub(super) async fn why(State(service): State<Arc<Service>>, Body(asked): Body<Asked>) -> Result<Response, Fault> {
    let Asked { file, question, pipeline, limit, terms } = asked;
    let served = service.pipelines.get(pipeline.as_deref())?;
    let question = Question { text: question, limit, filter: filter(&terms)?, ..Question::default() };
    let _place = service.searches.take().await?;
    // Whoever asks is not told what lies on this machine besides its sources.
    let why = served.runtime.why(&served.answerer().await?, &file, None, &question).await?;
    Ok(Json(why).into_response())
}
