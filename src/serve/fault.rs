//! Why a request is not answered: a status, and the error line that the commands print.

use std::borrow::Cow;

use axum::Json;
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde_json::Value;

use crate::answer::wire::Line;
use crate::error::{Error, Origin, reason};

/// After how long somebody who was turned away may come again, in seconds.
const COME_AGAIN: u64 = 2;

/// Why a request is not answered.
#[derive(Debug, Clone)]
pub(super) struct Fault {
    pub(super) status: StatusCode,
    pub(super) message: String,
    pub(super) kind: Cow<'static, str>,
    pub(super) hint: Option<String>,
    /// Seconds until the same may succeed.
    pub(super) retry_after: Option<u64>,
    /// What failed, where it was not the request.
    pub(super) error: Option<Error>,
}

impl Fault {
    pub(super) fn new(status: StatusCode, kind: &'static str, message: impl Into<String>) -> Self {
        Self { status, message: message.into(), kind: kind.into(), hint: None, retry_after: None, error: None }
    }

    pub(super) fn hint(self, hint: impl Into<String>) -> Self {
        Self { hint: Some(hint.into()), ..self }
    }

    /// The request makes no sense.
    pub(super) fn bad(message: impl Into<String>) -> Self {
        Self::new(StatusCode::BAD_REQUEST, "bad_request", message)
    }

    /// There is no such thing.
    pub(super) fn missing(message: impl Into<String>) -> Self {
        Self::new(StatusCode::NOT_FOUND, "not_found", message)
    }

    /// Too many at once.
    pub(super) fn busy() -> Self {
        let message = "too many are being answered; ask again in a moment";
        Self { retry_after: Some(COME_AGAIN), ..Self::new(StatusCode::SERVICE_UNAVAILABLE, "busy", message) }
    }

    /// The service is about to end.
    pub(super) fn stopping() -> Self {
        Self {
            retry_after: Some(COME_AGAIN),
            ..Self::new(StatusCode::SERVICE_UNAVAILABLE, "stopping", "the service is about to end")
        }
    }

    /// The line of it, as JSON.
    pub(super) fn value(&self) -> Value {
        serde_json::to_value(self.line()).unwrap_or_default()
    }

    /// The line of it.
    pub(super) fn line(&self) -> Line<'_> {
        Line::Error { message: self.message.as_str().into(), kind: &self.kind, hint: self.hint.clone() }
    }
}

impl From<&Error> for Fault {
    fn from(error: &Error) -> Self {
        let kind = error.code();
        let status = match error.origin() {
            Origin::Question => StatusCode::BAD_REQUEST,
            _ if kind == "index_missing" => StatusCode::NOT_FOUND,
            Origin::Provider if kind == "rate_limited" => StatusCode::TOO_MANY_REQUESTS,
            _ if error.is_transient() => StatusCode::SERVICE_UNAVAILABLE,
            Origin::Provider => StatusCode::BAD_GATEWAY,
            _ => StatusCode::INTERNAL_SERVER_ERROR,
        };
        let retry_after = match error.origin() {
            // It has been asked again already; only it knows when to come again.
            Origin::Provider => {
                error.retry_after().map(|wait| wait.as_secs().saturating_add(u64::from(wait.subsec_nanos() > 0)))
            }
            _ => error.is_transient().then_some(COME_AGAIN),
        };
        let kind = kind.to_owned().into();
        Self { status, message: reason(error), kind, hint: error.hint(), retry_after, error: Some(error.clone()) }
    }
}

impl From<Error> for Fault {
    fn from(error: Error) -> Self {
        Self::from(&error)
    }
}

impl IntoResponse for Fault {
    fn into_response(self) -> Response {
        let mut response = (self.status, Json(self.line())).into_response();
        if let Some(seconds) = self.retry_after {
            response.headers_mut().insert(header::RETRY_AFTER, HeaderValue::from(seconds));
        }
        // For those who word it anew.
        response.extensions_mut().insert(self);
        response
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::providers::{ErrorKind, ProviderError};

    #[test]
    fn when_to_come_again_is_what_the_provider_has_said_and_nothing_where_it_has_not() {
        let of = |kind, asked: Option<u64>| {
            let mut error = ProviderError::new("p", kind, "no");
            error.retry_after = asked.map(Duration::from_millis);
            let Fault { status, retry_after, .. } = Fault::from(Error::from(error));
            (status.as_u16(), retry_after)
        };
        assert_eq!(of(ErrorKind::RateLimited, Some(30_000)), (429, Some(30)));
        assert_eq!(of(ErrorKind::RateLimited, Some(200)), (429, Some(1)));
        assert_eq!(of(ErrorKind::RateLimited, None), (429, None));
        assert_eq!(of(ErrorKind::Unavailable, None), (503, None));
        assert_eq!(of(ErrorKind::Unavailable, Some(5_000)), (503, Some(5)));
        assert_eq!(of(ErrorKind::Auth, None), (502, None));
    }
}
