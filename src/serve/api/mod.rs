//! The routes of the API, and of what operators ask. A file a route.

pub(super) mod ask;
pub(super) mod documents;
pub(super) mod ingest;
mod lately;
mod login;
mod map;
mod openapi;
pub(super) mod read;
mod search;
pub(super) mod status;
mod why;

use std::sync::Arc;

use axum::Router;
use axum::routing::{get, post};

use super::service::Service;

pub(super) fn routes() -> Router<Arc<Service>> {
    Router::new()
        .route("/api/ask", post(ask::ask))
        .route("/api/ask/{id}", get(ask::follow).delete(ask::stop))
        .route("/api/search", post(search::search))
        .route("/api/why", post(why::why))
        .route("/api/ingest", post(ingest::begin).get(ingest::list))
        .route("/api/ingest/{id}", get(ingest::show).delete(ingest::cancel))
        .route("/api/ingest/{id}/lines", get(ingest::lines))
        .route("/api/history", get(lately::history))
        .route("/api/eval", get(lately::measured))
        .route("/api/map", get(map::show).post(map::find))
        .route("/api/status", get(status::status))
        .route("/api/documents", get(documents::of_uri))
        .route("/api/documents/{id}", get(documents::show))
        .route("/login", post(login::login))
        .route("/healthz", get(async || "ok\n"))
        .route("/openapi.json", get(openapi::document))
        .route("/metrics", get(status::metrics))
        .route("/readyz", get(status::ready))
}
