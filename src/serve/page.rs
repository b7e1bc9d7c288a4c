//! The page for people, compiled in: HTML, a style sheet and modules, as they lie in `page/`. There is no build step, and nothing of
//! it comes from another host.
//!
//! The page is one, whatever its address: it tells nothing of the data, which it fetches from the API with the cookie of its login.

use std::sync::{Arc, LazyLock};

use axum::Router;
use axum::extract::Path;
use axum::http::{HeaderMap, HeaderName, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::get;

use super::fault::Fault;
use super::service::Service;

/// Nothing is run, shown or asked but what comes from here; icons that a style sheet draws are `data:`.
const POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; connect-src 'self'; \
                      form-action 'none'; base-uri 'none'; frame-ancestors 'none'";

const JS: &str = "text/javascript; charset=utf-8";
const SVG: &str = "image/svg+xml";

const INDEX: &str = include_str!("page/index.html");
const ICON: &str = include_str!("page/icon.svg");

/// What lies under `/assets/`: its name, its type, and itself.
const ASSETS: [(&str, &str, &str); 20] = [
    ("activity.js", JS, include_str!("page/activity.js")),
    ("app.css", "text/css; charset=utf-8", include_str!("page/app.css")),
    ("app.js", JS, include_str!("page/app.js")),
    ("api.js", JS, include_str!("page/api.js")),
    ("ask.js", JS, include_str!("page/ask.js")),
    ("chart.js", JS, include_str!("page/chart.js")),
    ("dom.js", JS, include_str!("page/dom.js")),
    ("doubts.js", JS, include_str!("page/doubts.js")),
    ("index.js", JS, include_str!("page/index.js")),
    ("ingest.js", JS, include_str!("page/ingest.js")),
    ("jobs.js", JS, include_str!("page/jobs.js")),
    ("map.js", JS, include_str!("page/map.js")),
    ("options.js", JS, include_str!("page/options.js")),
    ("quality.js", JS, include_str!("page/quality.js")),
    ("search.js", JS, include_str!("page/search.js")),
    ("source.js", JS, include_str!("page/source.js")),
    ("strings.js", JS, include_str!("page/strings.js")),
    ("viewer.js", JS, include_str!("page/viewer.js")),
    ("watch.js", JS, include_str!("page/watch.js")),
    ("whole.js", JS, include_str!("page/whole.js")),
];

/// A browser asks each time whether what it has is still so: one version of a module must not meet another of the next.
static TAG: LazyLock<HeaderValue> = LazyLock::new(|| {
    let mut hasher = blake3::Hasher::new();
    for text in ASSETS.iter().map(|(_, _, text)| *text).chain([INDEX, ICON]) {
        hasher.update(text.as_bytes());
    }
    let hash = hasher.finalize().to_hex();
    HeaderValue::from_str(&format!("\"{}\"", hash.get(..16).unwrap_or_default())).unwrap_or(HeaderValue::from_static("\"1\""))
});

pub(super) fn routes() -> Router<Arc<Service>> {
    let index = get(async |headers: HeaderMap| file(&headers, "text/html; charset=utf-8", INDEX));
    Router::new()
        .route("/", index.clone())
        .route("/documents/{id}", index)
        .route("/favicon.svg", get(async |headers: HeaderMap| file(&headers, SVG, ICON)))
        .route("/assets/{name}", get(asset))
}

async fn asset(Path(name): Path<String>, headers: HeaderMap) -> Response {
    match ASSETS.iter().find(|(known, ..)| *known == name) {
        Some((_, kind, text)) => file(&headers, kind, text),
        None => Fault::missing("there is nothing at this address").into_response(),
    }
}

fn file(headers: &HeaderMap, kind: &'static str, text: &'static str) -> Response {
    let known = headers.get(header::IF_NONE_MATCH).and_then(|tags| tags.to_str().ok()).unwrap_or_default();
    let same = TAG.to_str().is_ok_and(|tag| known.split(',').any(|known| known.trim().trim_start_matches("W/") == tag));
    let mut response = if same { StatusCode::NOT_MODIFIED.into_response() } else { text.into_response() };
    let told: [(HeaderName, HeaderValue); 6] = [
        (header::CONTENT_TYPE, HeaderValue::from_static(kind)),
        (header::ETAG, TAG.clone()),
        (header::CACHE_CONTROL, HeaderValue::from_static("no-cache")),
        (header::CONTENT_SECURITY_POLICY, HeaderValue::from_static(POLICY)),
        (header::REFERRER_POLICY, HeaderValue::from_static("no-referrer")),
        (header::X_FRAME_OPTIONS, HeaderValue::from_static("DENY")),
    ];
    for (name, value) in told {
        response.headers_mut().insert(name, value);
    }
    response
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a test may fail loudly")]
mod tests {
    use super::*;

    #[test]
    fn all_that_the_page_asks_for_is_there_and_nothing_of_it_is_elsewhere() {
        for (name, _, text) in ASSETS.iter().chain([&("index.html", "", INDEX)]) {
            assert!(!text.contains("http://") && !text.contains("https://") && !text.contains("//cdn"), "{name} names a host");
            for import in text.split("from \"./").skip(1).map(|rest| rest.split('"').next().unwrap()) {
                assert!(ASSETS.iter().any(|(known, ..)| *known == import), "{name} imports {import}");
            }
            for asset in text.split("\"/assets/").skip(1).map(|rest| rest.split('"').next().unwrap()) {
                assert!(ASSETS.iter().any(|(known, ..)| *known == asset), "{name} names {asset}");
            }
            // The policy would stop them.
            assert!(!text.contains(" style=\"") && !text.contains("innerHTML +="), "{name}");
        }
    }

    #[test]
    fn what_a_browser_has_is_not_sent_again() {
        let fresh = file(&HeaderMap::new(), JS, "x");
        assert_eq!(fresh.status(), StatusCode::OK);
        assert_eq!(fresh.headers().get_all(header::CONTENT_TYPE).iter().collect::<Vec<_>>(), [JS]);
        let tag = fresh.headers().get(header::ETAG).unwrap().clone();
        let asked = HeaderMap::from_iter([(header::IF_NONE_MATCH, tag)]);
        assert_eq!(file(&asked, JS, "x").status(), StatusCode::NOT_MODIFIED);
        let other = HeaderMap::from_iter([(header::IF_NONE_MATCH, HeaderValue::from_static("\"other\""))]);
        assert_eq!(file(&other, JS, "x").status(), StatusCode::OK);
        assert!(
            fresh.headers().get(header::CONTENT_SECURITY_POLICY).unwrap().to_str().unwrap().starts_with("default-src 'none'")
        );
    }
}
