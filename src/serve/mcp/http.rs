//! `POST /mcp`: a message in, its answer out. Nothing is kept of a client between two requests.

use std::sync::Arc;

use axum::body::Body;
use axum::extract::{Request, State};
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::any;
use axum::{Json, Router};
use rmcp::transport::streamable_http_server::session::never::NeverSessionManager;
use rmcp::transport::streamable_http_server::{StreamableHttpServerConfig, StreamableHttpService};
use serde_json::{Value, json};

use super::handler::Handler;
use crate::serve::access::Access;
use crate::serve::api::read::whole;
use crate::serve::service::Service;
use crate::serve::sse::KEEP_ALIVE;

type Mcp = StreamableHttpService<Handler, NeverSessionManager>;

pub(in crate::serve) fn routes(service: &Arc<Service>) -> Router<Arc<Service>> {
    let of = Arc::clone(service);
    let handler = move || Ok(Handler::new(&of));
    let mcp = Arc::new(StreamableHttpService::new(handler, Arc::default(), config(&service.access)));
    Router::new().route("/mcp", any(answer).with_state(mcp))
}

async fn answer(State(mcp): State<Arc<Mcp>>, request: Request) -> Response {
    let (parts, body) = request.into_parts();
    // Bounded in bytes and in time, as every body is.
    let body = match whole(body).await {
        Ok(body) => body,
        Err(fault) => return fault.into_response(),
    };
    let is_json = is_json(&parts.headers);
    let response = mcp.handle(Request::from_parts(parts, Body::from(body.clone()))).await;
    if response.status() == StatusCode::UNSUPPORTED_MEDIA_TYPE && is_json {
        return no_message(&body);
    }
    response.map(Body::new)
}

fn is_json(headers: &HeaderMap) -> bool {
    let kind = headers.get(header::CONTENT_TYPE).and_then(|kind| kind.to_str().ok()).unwrap_or_default();
    kind.split(';').next().unwrap_or_default().trim().eq_ignore_ascii_case("application/json")
}

/// JSON-RPC's error for a body that is no message of it, with the status that the protocol asks for: of such a body rmcp says that it
/// is of the wrong kind.
fn no_message(body: &[u8]) -> Response {
    let (code, message, id) = match serde_json::from_slice::<Value>(body) {
        Err(error) => (-32700, format!("Parse error: {error}"), Value::Null),
        Ok(body) => {
            let id = body.get("id").filter(|id| id.is_string() || id.is_number()).cloned().unwrap_or_default();
            (-32600, "Invalid Request: the body is no message of JSON-RPC 2.0".to_owned(), id)
        }
    };
    let error = json!({"jsonrpc": "2.0", "error": {"code": code, "message": message}, "id": id});
    (StatusCode::BAD_REQUEST, Json(error)).into_response()
}

/// Our own guard has looked at Host, Origin and token before. Where no token is needed this looks once more.
fn config(access: &Access) -> StreamableHttpServerConfig {
    let config = StreamableHttpServerConfig::default()
        .with_legacy_session_mode(false)
        .with_json_response(true)
        .with_sse_keep_alive(Some(KEEP_ALIVE));
    if access.is_guarded() {
        // With a token it may have any name, and be a page's own origin under any.
        config.disable_allowed_hosts().disable_allowed_origins()
    } else {
        let own = ["localhost", "127.0.0.1", "[::1]"].map(|host| format!("http://{host}:*"));
        let listed = access.origins.iter().filter(|origin| origin.origin().is_tuple()).map(|origin| {
            let port = origin.port_or_known_default().map(|port| format!(":{port}")).unwrap_or_default();
            format!("{}://{}{port}", origin.scheme(), origin.host_str().unwrap_or_default())
        });
        config.with_allowed_origins(own.into_iter().chain(listed))
    }
}
