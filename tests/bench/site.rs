//! A site that answers after a while, in this process: pages that link to one another, each with words of its own.

use std::time::Duration;

use axum::Router;
use axum::extract::Path;
use axum::http::StatusCode;
use axum::response::{Html, IntoResponse as _};
use axum::routing::get;
use tokio::runtime::Runtime;

use crate::corpus::Writer;

/// A running site.
pub struct Site {
    pub url: String,
    _runtime: Runtime,
}

impl Site {
    /// So many pages, each of which links to ten others, answered after `latency`.
    pub fn start(pages: usize, latency: Duration) -> Self {
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
        let texts: Vec<String> = (0..pages).map(|n| page(n, pages)).collect();
        let texts: &'static [String] = texts.leak();
        let listener = runtime.block_on(tokio::net::TcpListener::bind("127.0.0.1:0")).unwrap();
        let url = format!("http://{}/docs/0", listener.local_addr().unwrap());
        let answer = move |Path(n): Path<usize>| async move {
            tokio::time::sleep(latency).await;
            match texts.get(n) {
                Some(text) => Html(text.as_str()).into_response(),
                None => StatusCode::NOT_FOUND.into_response(),
            }
        };
        runtime.spawn(async move { axum::serve(listener, Router::new().route("/docs/{n}", get(answer))).await });
        Self { url, _runtime: runtime }
    }
}

fn page(n: usize, pages: usize) -> String {
    let link = |k: usize| format!("<li><a href=\"/docs/{}\">page {0}</a></li>\n", (n * 10 + k) % pages);
    let links = (1..=10).map(link).collect::<Vec<_>>().concat();
    let text = Writer::new(n as u64).markdown(4_000);
    let paragraphs = text.split("\n\n").map(|paragraph| format!("<p>{paragraph}</p>\n")).collect::<Vec<_>>().concat();
    format!("<!doctype html><title>Page {n}</title><nav><ul>{links}</ul></nav><main><h1>Page {n}</h1>{paragraphs}</main>")
}
