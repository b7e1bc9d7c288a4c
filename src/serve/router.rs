//! All routes, behind the guard. A new kind of them is one line here.

use std::sync::Arc;

use axum::Router;
use axum::http::StatusCode;
use axum::middleware::{from_fn, from_fn_with_state};
use axum::response::{IntoResponse, Response};

use super::api;
use super::fault::Fault;
use super::guard::guard;
use super::local;
use super::mcp;
use super::page;
use super::service::Service;
use super::traced::traced;
use super::v1;

pub(super) fn router(service: Arc<Service>) -> Router {
    let guarded = from_fn_with_state(Arc::clone(&service), guard);
    Router::new()
        .merge(api::routes())
        .merge(local::routes())
        .merge(mcp::routes(&service))
        .merge(v1::routes())
        .merge(page::routes())
        .fallback(async || Fault::missing("there is nothing at this address"))
        .method_not_allowed_fallback(not_allowed)
        .route_layer(from_fn(traced))
        .layer(guarded)
        .layer(from_fn(v1::reword))
        .with_state(service)
}

async fn not_allowed() -> Response {
    Fault::new(StatusCode::METHOD_NOT_ALLOWED, "method_not_allowed", "this address is not asked that way").into_response()
}
