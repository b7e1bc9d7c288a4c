//! Two servers.

use std::collections::BTreeMap;
use std::time::Duration;

use qdrant_client::qdrant::{ScrollPointsBuilder, vector_output::Vector, vectors_output::VectorsOptions};
use qdrant_client::{Payload, Qdrant};
use ragstream::document::{Metadata, Passage, Point};
use ragstream::vectordb::bm25::Bm25;
use ragstream::vectordb::qdrant::QdrantStore;
use ragstream::vectordb::{IndexMeta, VectorStore};
use serde_json::Value;
use tokio::runtime::Runtime;
use uuid::Uuid;

use crate::project::Ended;
use crate::qdrant_server::{self, Options, Running};
use crate::rig::{Kind, Rig, WIDTH, without_secrets};

/// A project whose index is on one server, and another server.
pub struct Two {
    pub rig: Rig,
    pub other: Running,
    pub runtime: Runtime,
}

/// A point as a server has it: its vectors, dense and sparse, and its payload.
pub type Raw = (Vec<u32>, Vec<u32>, Vec<u32>, Value);

impl Two {
    pub fn new() -> Self {
        Self::of(Kind::Qdrant, None)
    }

    pub fn of(kind: Kind, api_key: Option<&'static str>) -> Self {
        let rig = Rig::new(kind);
        rig.write_documents(6);
        rig.project.write("docs/密钥.md", chinese("一"));
        rig.project.write("docs/keys.md", english("Monday"));
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
        let other = runtime.block_on(qdrant_server::start_with(Options { api_key, keeps_metadata: true }));
        Self { rig, other, runtime }
    }

    /// Points of no document, beside those of the documents.
    pub fn put_many(&self, count: u64) {
        let bm25 = Bm25::new();
        for from in (0..count).step_by(500) {
            self.rig.put((from..count.min(from + 500)).map(|n| loose(&bm25, n)).collect());
        }
    }

    pub fn arguments<'a>(&'a self, more: &[&'a str]) -> Vec<&'a str> {
        [&["push", "docs.yaml", "--to", "qdrant", "--url", self.other.url.as_str(), "--collection", "copy"], more].concat()
    }

    pub fn push(&self, more: &[&str]) -> Ended {
        without_secrets(self.rig.project.run(&self.arguments(more)))
    }

    /// Pushes to a good end.
    pub fn pushed(&self) -> Value {
        self.push(&["--json"]).expect_code(0).last("push")
    }

    pub fn source(&self) -> QdrantStore {
        store(self.rig.server.as_ref().unwrap(), "docs")
    }

    pub fn copy(&self) -> QdrantStore {
        store(&self.other, "copy")
    }

    pub fn meta(&self, store: &QdrantStore) -> Option<IndexMeta> {
        self.runtime.block_on(store.meta()).unwrap()
    }

    /// All that a collection holds, bit by bit.
    pub fn raw(&self, server: &Running, collection: &str) -> BTreeMap<String, Raw> {
        let client = Qdrant::from_url(server.url.as_str()).skip_compatibility_check().build().unwrap();
        let request = ScrollPointsBuilder::new(collection).limit(100_000).with_payload(true).with_vectors(true);
        let page = self.runtime.block_on(client.scroll(request)).unwrap().result;
        let bits = |values: &[f32]| values.iter().map(|value| value.to_bits()).collect::<Vec<_>>();
        let raw = page.into_iter().map(|point| {
            let Some(VectorsOptions::Vectors(named)) = point.vectors.unwrap().vectors_options else { panic!("no names") };
            let (mut dense, mut indices, mut values) = (Vec::new(), Vec::new(), Vec::new());
            for (name, vector) in named.vectors {
                match (name.as_str(), vector.into_vector()) {
                    ("dense", Vector::Dense(vector)) => dense = bits(&vector.data),
                    ("bm25", Vector::Sparse(vector)) => (indices, values) = (vector.indices, bits(&vector.values)),
                    other => panic!("{other:?}"),
                }
            }
            (format!("{:?}", point.id.unwrap()), (dense, indices, values, Payload::from(point.payload).into()))
        });
        raw.collect()
    }

    pub fn expect_equal(&self) {
        let (source, copy) = (self.raw(self.rig.server.as_ref().unwrap(), "docs"), self.raw(&self.other, "copy"));
        assert!(!source.is_empty() && source.values().all(|(dense, ..)| dense.len() == WIDTH));
        assert_eq!(source.keys().collect::<Vec<_>>(), copy.keys().collect::<Vec<_>>());
        for (id, point) in &source {
            assert_eq!(copy[id], *point, "{id}");
        }
        assert_eq!(self.meta(&self.source()), self.meta(&self.copy()));
    }

    /// Has the pipeline's store be these lines, as `push` printed them.
    pub fn use_instead(&self, lines: &str) {
        let file = String::from_utf8(self.rig.project.read("docs.yaml")).unwrap();
        let mut kept: Vec<&str> = file.lines().collect();
        let at = kept.iter().position(|line| line.starts_with("store:")).unwrap();
        let below = kept[at + 1..].iter().take_while(|line| line.starts_with(' ')).count();
        kept.drain(at..=at + below);
        self.rig.project.write("docs.yaml", kept.join("\n") + "\n" + lines);
    }
}

pub fn store(server: &Running, collection: &str) -> QdrantStore {
    QdrantStore::new(&server.url, None, collection, Duration::from_secs(10)).unwrap()
}

pub fn english(day: &str) -> String {
    format!("# Rotating keys\n\nKeys are rotated every {day}.\n\n## Why\n\nOld ones may have leaked.\n")
}

pub fn chinese(day: &str) -> String {
    format!("# 轮换密钥\n\n密钥每个星期{day}轮换一次。\n\n## 为什么\n\n因为旧的密钥可能已经泄露。\n")
}

pub fn loose(bm25: &Bm25, n: u64) -> Point {
    let text = format!("loose passage {n} 零散的段落");
    let passage = Passage {
        columns: None,
        page: None,
        anchor: None,
        context: None,
        uri: format!("loose/{}.txt", n / 10),
        start: n,
        end: n + text.len() as u64,
        lines: (1, 1),
        index: (n % 10) as u32,
        title: None,
        headings: Vec::new(),
        text,
        modified: 0,
        lang: None,
        source: None,
        metadata: Metadata::new(),
    };
    let id = Uuid::new_v5(&Uuid::NAMESPACE_URL, &n.to_le_bytes());
    let dense = (0..WIDTH).map(|place| ((n as usize + place) % 7) as f32 + 1.0).collect();
    let sparse = bm25.passage(&passage.text);
    Point { id, dense, sparse, passage }
}
