//! Errors as `OpenAI`'s API words them, whoever found them: a route below `/v1`, the guard or the router.

use axum::Json;
use axum::extract::Request;
use axum::http::{HeaderName, HeaderValue, StatusCode, header};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use serde_json::{Value, json};

use crate::serve::fault::Fault;

/// Without it the clients ask twice more, whatever the error is.
const SHOULD_RETRY: HeaderName = HeaderName::from_static("x-should-retry");

/// Words anew what is refused below `/v1`.
pub(in crate::serve) async fn reword(request: Request, next: Next) -> Response {
    let is_ours = request.uri().path().starts_with("/v1/");
    let mut response = next.run(request).await;
    let Some(fault) = response.extensions_mut().remove::<Fault>().filter(|_| is_ours) else { return response };
    let (mut parts, _) = response.into_parts();
    parts.headers.remove(header::CONTENT_LENGTH);
    parts.headers.remove(header::CONTENT_TYPE);
    // What a provider refuses has been tried again here already, for as long as makes sense: it is worth another try where it has
    // said when.
    let again = if fault.retry_after.is_some() { "true" } else { "false" };
    parts.headers.insert(SHOULD_RETRY, HeaderValue::from_static(again));
    (parts, Json(body(&fault))).into_response()
}

/// The object of an error.
pub(super) fn body(fault: &Fault) -> Value {
    let kind = match fault.status {
        StatusCode::UNAUTHORIZED => "authentication_error",
        StatusCode::FORBIDDEN => "permission_error",
        StatusCode::TOO_MANY_REQUESTS => "rate_limit_error",
        status if status.is_client_error() => "invalid_request_error",
        _ => "server_error",
    };
    json!({"error": {"message": message(fault), "type": kind, "param": null, "code": fault.kind}})
}

/// What is wrong and what to do, as clients show no hint.
pub(super) fn message(fault: &Fault) -> String {
    match &fault.hint {
        Some(hint) => format!("{} ({hint})", fault.message),
        None => fault.message.clone(),
    }
}
