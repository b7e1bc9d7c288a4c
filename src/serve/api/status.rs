//! `GET /api/status`: what the indexes hold, and what goes on.

use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde_json::{Value, json};

use crate::error::reason;
use crate::serve::fault::Fault;
use crate::serve::metrics::classic;
use crate::serve::service::Service;

pub(super) async fn status(State(service): State<Arc<Service>>) -> Response {
    Json(told(&service).await).into_response()
}

/// What the service tells of itself.
pub(in crate::serve) async fn told(service: &Service) -> Value {
    let mut pipelines = Vec::new();
    for served in service.pipelines.all() {
        let mut told = match served.runtime.status().await {
            Ok(status) => serde_json::to_value(status).unwrap_or_default(),
            Err(error) => json!({"type": "status", "pipeline": served.name, "error": reason(&error)}),
        };
        if let Some(told) = told.as_object_mut() {
            let plan = &served.runtime.plan;
            told.insert("file".to_owned(), served.file.as_ref().map_or(Value::Null, |file| file.display().to_string().into()));
            told.insert("model".to_owned(), plan.query.model.as_ref().map_or(Value::Null, |model| model.to_string().into()));
            told.insert("sources".to_owned(), plan.sources.len().into());
            if let Some(trouble) = served.trouble() {
                told.insert("not_reloaded".to_owned(), trouble.into());
            }
        }
        pipelines.push(told);
    }
    let mut told = json!({
        "type": "service",
        "version": env!("CARGO_PKG_VERSION"),
        "seconds": service.started.elapsed().as_secs_f64(),
        "free": {"answers": service.answers.free(), "searches": service.searches.free()},
        "pipelines": pipelines,
        "jobs": service.jobs.all(),
    });
    // Where they are several: what all of them together are called in a request.
    if let (Some(told), Some(together)) = (told.as_object_mut(), service.scopes.together_name()) {
        told.insert("together".to_owned(), together.into());
    }
    told
}

/// Whether new requests are taken.
pub(super) async fn ready(State(service): State<Arc<Service>>) -> Response {
    if service.stopping.is_cancelled() {
        return (StatusCode::SERVICE_UNAVAILABLE, "stopping\n").into_response();
    }
    "ready\n".into_response()
}

/// What is counted, for Prometheus: as `OpenMetrics` for who asks for that, else as its own older text, which all read.
pub(super) async fn metrics(State(service): State<Arc<Service>>, headers: HeaderMap) -> Response {
    const OPEN: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";
    const CLASSIC: &str = "text/plain; version=0.0.4; charset=utf-8";
    let accepted = headers.get_all(header::ACCEPT).iter().filter_map(|accepted| accepted.to_str().ok());
    let open =
        accepted.flat_map(|accepted| accepted.split(',')).any(|one| one.trim().starts_with("application/openmetrics-text"));
    match service.metrics.text() {
        Ok(text) if open => ([(header::CONTENT_TYPE, OPEN)], text).into_response(),
        Ok(text) => ([(header::CONTENT_TYPE, CLASSIC)], classic(&text)).into_response(),
        Err(error) => Fault::new(StatusCode::INTERNAL_SERVER_ERROR, "internal", error.to_string()).into_response(),
    }
}
