//! `GET /api/documents/ID`: a document's text as the index has it.

use std::sync::Arc;

use axum::Json;
use axum::extract::{Path, State};
use axum::response::{IntoResponse, Response};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde::Deserialize;

use super::read::Asked;
use crate::serve::fault::Fault;
use crate::serve::service::Service;

/// Which pipeline's; of all that are served, where none is named.
#[derive(Debug, Deserialize)]
pub(super) struct Of {
    #[serde(default)]
    pipeline: Option<String>,
    #[serde(default)]
    uri: Option<String>,
}

/// A document's id in addresses: its uri, so that it stays the same, in letters that need no escape. It is looked up in the index
/// alone, and never opened.
pub(in crate::serve) fn id_of(uri: &str) -> String {
    URL_SAFE_NO_PAD.encode(uri)
}

/// The uri of an id.
pub(in crate::serve) fn uri_of(id: &str) -> Option<String> {
    String::from_utf8(URL_SAFE_NO_PAD.decode(id).ok()?).ok()
}

pub(super) async fn show(
    State(service): State<Arc<Service>>,
    Path(id): Path<String>,
    Asked(of): Asked<Of>,
) -> Result<Response, Fault> {
    let uri = uri_of(&id).ok_or_else(|| Fault::missing("there is no such document"))?;
    document(&service, of.pipeline.as_deref(), &uri).await
}

pub(super) async fn of_uri(State(service): State<Arc<Service>>, Asked(of): Asked<Of>) -> Result<Response, Fault> {
    let uri = of.uri.ok_or_else(|| Fault::bad("which document? `?uri=…`, or its id in the path"))?;
    document(&service, of.pipeline.as_deref(), &uri).await
}

async fn document(service: &Service, pipeline: Option<&str>, uri: &str) -> Result<Response, Fault> {
    let scope = service.scopes.asked(pipeline)?;
    let _place = service.searches.take().await?;
    let found = scope.document(uri).await?;
    let (served, document) = found.ok_or_else(|| Fault::missing("the index has no such document"))?;
    let mut told = serde_json::to_value(&document).unwrap_or_default();
    if let Some(told) = told.as_object_mut() {
        told.insert("id".to_owned(), id_of(uri).into());
        told.insert("pipeline".to_owned(), served.name.clone().into());
    }
    Ok(Json(told).into_response())
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a test may fail loudly")]
mod tests {
    use super::*;

    #[test]
    fn an_id_is_its_uri_in_safe_letters() {
        for uri in ["docs/a.md", "../../etc/passwd", "https://example.org/页?q=1#x", "表 1.csv", ""] {
            let id = id_of(uri);
            assert!(id.chars().all(|c| c.is_ascii_alphanumeric() || c == '-' || c == '_'), "{id}");
            assert_eq!(uri_of(&id).unwrap(), uri);
        }
        assert_eq!((uri_of("%%%"), uri_of("_____w")), (None, None));
    }
}
