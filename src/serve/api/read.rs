//! The body of a request: bounded in bytes and in time, and JSON. And what its address asks.

use std::time::Duration;

use axum::body::{Bytes, to_bytes};
use axum::extract::{FromRequest, FromRequestParts, Query, Request};
use axum::http::StatusCode;
use axum::http::request::Parts;
use serde::de::DeserializeOwned;

use crate::answer::{Filter, ModelChoice, Term};
use crate::pipeline::{Plan, Purpose};
use crate::providers::ModelRef;
use crate::serve::fault::Fault;

/// Bytes of a body, at most.
const MOST: usize = 4 << 20;
/// How long a client may take to send it.
const PATIENCE: Duration = Duration::from_secs(30);

/// A JSON body.
pub(in crate::serve) struct Body<T>(pub(in crate::serve) T);

impl<T: DeserializeOwned, S: Send + Sync> FromRequest<S> for Body<T> {
    type Rejection = Fault;

    async fn from_request(request: Request, _: &S) -> Result<Self, Fault> {
        let bytes = whole(request.into_body()).await?;
        // A list of a type's fields in their order would do for serde.
        if bytes.trim_ascii_start().first().is_some_and(|&byte| byte == b'[') {
            return Err(Fault::bad("the body is not the JSON that is expected: it is a list, and an object is meant"));
        }
        match serde_json::from_slice(&bytes) {
            Ok(body) => Ok(Self(body)),
            Err(error) => Err(Fault::bad(format!("the body is not the JSON that is expected: {error}"))),
        }
    }
}

/// What the address says behind its question mark.
pub(in crate::serve) struct Asked<T>(pub(in crate::serve) T);

impl<T: DeserializeOwned, S: Send + Sync> FromRequestParts<S> for Asked<T> {
    type Rejection = Fault;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Fault> {
        let asked = Query::<T>::from_request_parts(parts, state).await;
        asked.map(|Query(asked)| Self(asked)).map_err(|error| Fault::bad(error.body_text()))
    }
}

/// A body of any kind, as far as it is within its bounds.
pub(in crate::serve) async fn whole(body: axum::body::Body) -> Result<Bytes, Fault> {
    match tokio::time::timeout(PATIENCE, to_bytes(body, MOST)).await {
        Ok(Ok(bytes)) => Ok(bytes),
        Ok(Err(error)) if is_too_long(&error) => {
            let message = format!("the body is larger than {} MiB", MOST >> 20);
            Err(Fault::new(StatusCode::PAYLOAD_TOO_LARGE, "too_large", message))
        }
        Ok(Err(error)) => Err(Fault::bad(format!("the body could not be read: {error}"))),
        Err(_) => Err(Fault::new(StatusCode::REQUEST_TIMEOUT, "timeout", "the body did not come in time")),
    }
}

fn is_too_long(error: &axum::Error) -> bool {
    let mut cause = std::error::Error::source(error);
    while let Some(error) = cause {
        if error.to_string().contains("length limit exceeded") {
            return true;
        }
        cause = error.source();
    }
    false
}

/// Terms that narrow a search, as `--where` has them.
pub(in crate::serve) fn filter(terms: &[String]) -> Result<Filter, Fault> {
    let terms = terms.iter().map(|term| term.parse::<Term>().map_err(|error| Fault::bad(error.to_string()).hint(error.hint)));
    Ok(terms.collect::<Result<Vec<_>, _>>()?.into())
}

/// A model by its name, as `--model` has it; the planned one where none is named.
pub(in crate::serve) fn model(name: Option<&str>, plan: &Plan) -> Result<ModelChoice, Fault> {
    let Some(name) = name else { return Ok(ModelChoice::Planned) };
    let named = ModelRef::parse(name, plan, Purpose::Answer);
    named.map(ModelChoice::Named).map_err(|diagnostic| Fault::bad(diagnostic.to_string()))
}
