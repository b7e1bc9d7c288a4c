//! `GET /v1/models`: the pipelines, and where there are several, all of them together.

use std::sync::Arc;
use std::time::{Duration, SystemTime};

use axum::Json;
use axum::extract::{Path, State};
use axum::response::{IntoResponse, Response};
use serde_json::{Value, json};

use crate::serve::fault::Fault;
use crate::serve::scope::Scope;
use crate::serve::service::Service;

/// The end of a model's name whose answers list their sources.
const WITH_SOURCES: &str = "+sources";

/// A pipeline as a model, or several together.
pub(super) struct Model {
    /// As it was asked for.
    pub(super) id: String,
    pub(super) scope: Scope,
    /// The sources are listed at the end.
    pub(super) lists_sources: bool,
}

/// The model of this name; without a name all pipelines together.
pub(super) fn find(service: &Service, id: Option<&str>) -> Result<Model, Fault> {
    let missing = |fault: Fault| Fault {
        message: format!("there is no model {}", id.unwrap_or_default()),
        kind: "model_not_found".into(),
        ..fault
    };
    let bare = id.and_then(|id| id.strip_suffix(WITH_SOURCES));
    // One pipeline goes before several: another may be called `sources`.
    let one = bare
        .and_then(|name| service.pipelines.get(name).ok())
        .filter(|_| id.is_none_or(|id| service.pipelines.get(id).is_err()));
    let (scope, lists_sources) = match (one, service.scopes.asked(id), bare) {
        (Some(served), ..) => (Scope::One(served), true),
        (None, Ok(scope), _) => (scope, false),
        (None, Err(_), Some(name)) => (service.scopes.asked(Some(name)).map_err(missing)?, true),
        (None, Err(fault), None) => return Err(missing(fault)),
    };
    let id = id.map_or_else(|| scope.name().to_owned(), str::to_owned);
    Ok(Model { id, scope, lists_sources })
}

pub(super) async fn list(State(service): State<Arc<Service>>) -> Response {
    let names = service.pipelines.names();
    let listing = names.iter().map(|name| format!("{name}{WITH_SOURCES}"));
    let together = service.scopes.together_name();
    let together = together.iter().flat_map(|name| [name.clone(), format!("{name}{WITH_SOURCES}")]);
    let models: Vec<Value> = names.iter().cloned().chain(listing).chain(together).map(|id| object(&service, &id)).collect();
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
