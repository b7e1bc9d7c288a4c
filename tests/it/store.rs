//! The stores: one suite of behaviours over the embedded store and over a server; what only one of them can do in the files
//! below. The server is the real one at `QDRANT_URL` (with `QDRANT_API_KEY`) where that is set, else the tests' own.
#![allow(
    clippy::case_sensitive_file_extension_comparisons,
    clippy::cast_possible_wrap,
    clippy::expect_used,
    clippy::float_cmp,
    clippy::format_collect,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::unwrap_used,
    reason = "tests may panic, and know their numbers"
)]

mod behaviours;
mod cluster;
mod embedded;
mod faults;
mod filters;
mod history;
mod strict;
mod vectors;

use std::sync::Arc;
use std::time::Duration;

use ragstream::document::{Passage, Point};
use ragstream::providers::Secret;
use ragstream::vectordb::bm25::Bm25;
use ragstream::vectordb::qdrant::QdrantStore;
use ragstream::vectordb::{IndexMeta, VectorStore};
use uuid::Uuid;

use crate::qdrant_server::{self, Running};

/// The width of most vectors here.
const WIDTH: usize = 8;

fn meta() -> IndexMeta {
    IndexMeta {
        version: IndexMeta::VERSION,
        generation: Uuid::from_u128(0xabc),
        model: "local/test".into(),
        dimensions: WIDTH,
        chunking: "auto/400/40/o200k".into(),
        home: None,
        change: None,
        prefixes: None,
    }
}

/// The id of a numbered point; ids ascend with the numbers.
fn id(n: u64) -> Uuid {
    Uuid::from_u128(u128::from(n) << 64 | 0x5eed)
}

/// A direction that differs from number to number.
fn direction(n: u64, width: usize) -> Vec<f32> {
    let mut state = n.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1;
    (0..width)
        .map(|_| {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            (state >> 40) as f32 / 8_388_608.0 - 1.0
        })
        .collect()
}

fn passage(n: u64, uri: &str, text: &str) -> Passage {
    Passage {
        columns: n.is_multiple_of(7).then(|| format!("| k{n} | v |")),
        page: n.is_multiple_of(2).then_some(n as u32),
        anchor: n.is_multiple_of(5).then(|| format!("section-{n}")),
        context: n.is_multiple_of(3).then(|| format!("On part {n}，第 {n} 节。")),
        uri: uri.into(),
        start: n * 10,
        end: n * 10 + text.len() as u64,
        lines: (1, n as u32 + 1),
        index: n as u32,
        title: n.is_multiple_of(2).then(|| format!("Title {n}")),
        headings: if n.is_multiple_of(3) { vec!["Top".into(), format!("Part {n}")] } else { Vec::new() },
        text: text.into(),
        modified: -1 - n as i64,
        lang: n.is_multiple_of(4).then(|| "zh".into()),
        source: n.is_multiple_of(5).then(|| "site".into()),
        metadata: ragstream::document::Metadata::new(),
    }
}

fn point(bm25: &Bm25, n: u64, uri: &str, text: &str) -> Point {
    Point { id: id(n), dense: direction(n, WIDTH), sparse: bm25.passage(text), passage: passage(n, uri, text) }
}

/// A collection on a server, with a name of its own; removed by [`Server::clean`].
struct Server {
    store: Arc<QdrantStore>,
    _running: Option<Running>,
}

impl Server {
    async fn start() -> Self {
        let collection = format!("ragstream-test-{}-{:x}", std::process::id(), rand::random::<u64>());
        let timeout = Duration::from_mins(1);
        if let Ok(url) = std::env::var("QDRANT_URL") {
            let key = std::env::var("QDRANT_API_KEY").ok().map(Secret::new);
            let store = QdrantStore::new(&url.parse().unwrap(), key.as_ref(), &collection, timeout).unwrap();
            return Self { store: Arc::new(store), _running: None };
        }
        let running = qdrant_server::start().await;
        let store = QdrantStore::new(&running.url, None, &collection, timeout).unwrap();
        Self { store: Arc::new(store), _running: Some(running) }
    }

    async fn clean(self) {
        self.store.drop_index().await.unwrap();
    }
}
