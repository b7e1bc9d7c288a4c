//! `POST /login`: a token for the cookie that the page sends from then on.

use std::sync::Arc;

use axum::extract::State;
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse, Response};
use schemars::JsonSchema;
use serde::Deserialize;

use super::read::Body;
use crate::serve::access::{cookie, is_secure};
use crate::serve::fault::Fault;
use crate::serve::service::Service;

#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct Login {
    token: String,
}

pub(super) async fn login(
    State(service): State<Arc<Service>>,
    headers: HeaderMap,
    Body(login): Body<Login>,
) -> Result<Response, Fault> {
    let token = login.token.trim();
    let cookie = cookie(token, is_secure(&headers)).filter(|_| service.access.knows(token));
    let cookie =
        cookie.ok_or_else(|| Fault::new(StatusCode::UNAUTHORIZED, "unauthorized", "this is not a token of this service"))?;
    Ok((StatusCode::NO_CONTENT, [(header::SET_COOKIE, cookie)]).into_response())
}
