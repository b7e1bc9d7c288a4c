//! `GET /api/history`: what the service did lately. `GET /api/eval`: what `eval` has measured.

use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use axum::response::{IntoResponse, Response};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::read::Asked;
use crate::error::Error;
use crate::eval::kept::{self, Measurement};
use crate::serve::fault::Fault;
use crate::serve::history::{self, Series};
use crate::serve::service::Service;

/// Seconds that are told where nobody says how many.
const LAST: u64 = 600;

/// How far back.
#[derive(Debug, Deserialize)]
pub(super) struct Back {
    #[serde(default)]
    seconds: Option<String>,
}

/// What the service did lately.
#[derive(Debug, Serialize, JsonSchema)]
pub(super) struct Told {
    #[serde(rename = "type")]
    kind: &'static str,
    /// Seconds that it has run.
    up: u64,
    series: Series,
}

/// What was measured, the newest first.
#[derive(Debug, Serialize, JsonSchema)]
pub(super) struct Measurements {
    #[serde(rename = "type")]
    kind: &'static str,
    measurements: Vec<Measurement>,
}

pub(super) async fn history(State(service): State<Arc<Service>>, Asked(back): Asked<Back>) -> Result<Response, Fault> {
    let seconds = match back.seconds.as_deref().map(str::parse) {
        None => LAST,
        Some(Ok(seconds)) => seconds,
        Some(Err(_)) => return Err(Fault::bad("`seconds` is a number, such as 600")),
    };
    let series = history::lock(&service.history).last(seconds);
    Ok(Json(Told { kind: "history", up: service.started.elapsed().as_secs(), series }).into_response())
}

pub(super) async fn measured(State(service): State<Arc<Service>>) -> Result<Response, Fault> {
    let home = service.pipelines.all().first().map(|served| served.runtime.settings.home.clone()).unwrap_or_default();
    let read = tokio::task::spawn_blocking(move || kept::all(&home))
        .await
        .map_err(|error| Error::worker("read what was measured", error))?;
    let measurements = read.map_err(|error| Error::io("read", "eval/results", error))?;
    Ok(Json(Measurements { kind: "measurements", measurements }).into_response())
}
