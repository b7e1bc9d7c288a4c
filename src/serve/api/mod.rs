//! The routes of the API, and of what operators ask. A file a route.

mod ask;
mod documents;
mod ingest;
mod login;
mod read;
mod search;
mod status;

use std::sync::Arc;

use axum::Router;
use axum::http::StatusCode;
use axum::middleware::from_fn_with_state;
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};

use super::Service;
use super::fault::Fault;
use super::guard::guard;

/// All routes, behind the guard.
pub(super) fn router(service: Arc<Service>) -> Router {
    let guarded = from_fn_with_state(Arc::clone(&service), guard);
    Router::new()
        .route("/api/ask", post(ask::ask))
        .route("/api/search", post(search::search))
        .route("/api/ingest", post(ingest::begin).get(ingest::list))
        .route("/api/ingest/{id}", get(ingest::show).delete(ingest::cancel))
        .route("/api/status", get(status::status))
        .route("/api/documents", get(documents::of_uri))
        .route("/api/documents/{id}", get(documents::show))
        .route("/login", post(login::login))
        .route("/healthz", get(async || "ok\n"))
        .route("/readyz", get(status::ready))
        .fallback(async || Fault::missing("there is nothing at this address"))
        .method_not_allowed_fallback(not_allowed)
        .layer(guarded)
        .with_state(service)
}

async fn not_allowed() -> Response {
    Fault::new(StatusCode::METHOD_NOT_ALLOWED, "method_not_allowed", "this address is not asked that way").into_response()
}
