//! `GET /v1/models`: the pipelines.

use std::sync::Arc;
use std::time::{Duration, SystemTime};

use axum::Json;
use axum::extract::{Path, State};
use axum::response::{IntoResponse, Response};
use serde_json::{Value, json};

use crate::serve::fault::Fault;
use crate::serve::pipelines::Served;
use crate::serve::service::Service;

/// The end of a model's name whose answers list their sources.
const WITH_SOURCES: &str = "+sources";

/// A pipeline as a model.
pub(super) struct Model {
    /// As it was asked for.
    pub(super) id: String,
    pub(super) served: Arc<Served>,
    /// The sources are listed at the end.
    pub(super) lists_sources: bool,
}

/// The model of this name; without a name the first.
pub(super) fn find(service: &Service, id: Option<&str>) -> Result<Model, Fault> {
    let missing = |fault: Fault| Fault {
        message: format!("there is no model {}", id.unwrap_or_default()),
        kind: "model_not_found".into(),
        ..fault
    };
    let (served, lists_sources) = match (service.pipelines.get(id), id.and_then(|id| id.strip_suffix(WITH_SOURCES))) {
        (Ok(served), _) => (served, false),
        (Err(_), Some(name)) => (service.pipelines.get(Some(name)).map_err(missing)?, true),
        (Err(fault), None) => return Err(missing(fault)),
    };
    let id = id.map_or_else(|| served.name.clone(), str::to_owned);
    Ok(Model { id, served, lists_sources })
}

pub(super) async fn list(State(service): State<Arc<Service>>) -> Response {
    let names = service.pipelines.names();
    let listing = names.iter().map(|name| format!("{name}{WITH_SOURCES}"));
    let models: Vec<Value> = names.iter().cloned().chain(listing).map(|id| object(&service, &id)).collect();
    Json(json!({"object": "list", "data": models})).into_response()
}

pub(super) async fn show(State(service): State<Arc<Service>>, Path(id): Path<String>) -> Result<Response, Fault> {
    let model = find(&service, Some(&id))?;
    Ok(Json(object(&service, &model.id)).into_response())
}

fn object(service: &Service, id: &str) -> Value {
    let created = now().saturating_sub(service.started.elapsed());
    json!({"id": id, "object": "model", "created": created.as_secs(), "owned_by": "ragstream"})
}

/// The time since 1970.
pub(super) fn now() -> Duration {
    SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default()
}
