//! The hot inner parts, one by one, each in a loop of a second. `cargo bench --bench hot`; without `--bench`, as
//! `cargo test --all-targets` starts it, each runs once.

#![allow(
    clippy::print_stdout,
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "the table is the result, and a bench fails by panicking"
)]

#[allow(dead_code, reason = "what the stand-in provider writes is read here, and its server is not started")]
mod provider;

use std::hint::black_box;
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use axum::Router;
use axum::routing::post;
use bytes::Bytes;
use futures_util::{FutureExt as _, StreamExt as _};
use ragstream::cache::{EmbeddingCache, Key, Vector, held};
use ragstream::ingest::ledger::{Commit, Epoch, Ledger as _, Listing, SqliteLedger};
use ragstream::limits::Limiter;
use ragstream::limits::Limits;
use ragstream::pipeline::Plan;
use ragstream::providers::ProviderPlan;
use ragstream::providers::http::Http;
use ragstream::providers::{Embedder, InputType, ProviderKind, Providers, decode_chat};
use ragstream::source::{Files, FilesPlan, Item, Listed, Source as _, SourceId};

/// Repeats `work`, which does `amount` of something, and prints how much of it a second.
struct Table {
    least: Duration,
}

impl Table {
    fn row(&self, name: &str, unit: &str, amount: f64, mut work: impl FnMut()) {
        let (began, mut rounds) = (Instant::now(), 0_u32);
        while rounds == 0 || began.elapsed() < self.least {
            work();
            rounds += 1;
        }
        println!("{name:<44}{:>16.0} {unit}", amount * f64::from(rounds) / began.elapsed().as_secs_f64());
    }
}

fn main() {
    let full = std::env::args().any(|argument| argument == "--bench");
    let table = Table { least: if full { Duration::from_secs(1) } else { Duration::ZERO } };
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().unwrap();
    let files = if full { 20_000 } else { 300 };

    limiter(&table, &runtime);
    cache(&table, &runtime);
    runtime.block_on(async {
        let url = serve().await;
        let plan = plan(&url);
        stream(&table, plan.providers.get("here").unwrap());
        tokio::task::block_in_place(|| with_embedder(&table, &plan));
    });
    walk_and_compare(&table, &runtime, files);
}

fn limiter(table: &Table, runtime: &tokio::runtime::Runtime) {
    const REQUESTS: u32 = 10_000;
    let limiter = Limiter::new(Limits { rpm: Some(u32::MAX), tpm: Some(u32::MAX), concurrency: Some(64) });
    table.row("limiter: admit and settle", "requests/s", f64::from(REQUESTS), || {
        runtime.block_on(async {
            for _ in 0..REQUESTS {
                limiter.admit(limiter.ticket(), 100).await.reservation.settle(90);
            }
        });
    });
}

fn cache(table: &Table, runtime: &tokio::runtime::Runtime) {
    let cache = EmbeddingCache::new(64 << 20);
    let texts: Vec<String> =
        (0..1_000).map(|n| format!("text {n}, with as many words as a chunk may have, or fewer")).collect();
    table.row("cache: hit, the key's hash included", "texts/s", texts.len() as f64, || {
        runtime.block_on(async {
            for text in &texts {
                let key = Key::new("openai:stand-in:256", InputType::Passage, text);
                let embed = async { Ok::<Vector, std::io::Error>(vec![0.1; 256].into()) };
                black_box(cache.get_or_embed(key, embed).await.unwrap());
            }
        });
    });
}

/// A server that answers every embedding request with the same 128 vectors.
async fn serve() -> String {
    let texts: Vec<String> = (0..128).map(|n| n.to_string()).collect();
    let answer = Bytes::from(provider::written(&texts, 1024, true, 128));
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}/v1", listener.local_addr().unwrap());
    let router = Router::new().route("/v1/embeddings", post(move || async move { answer }));
    tokio::spawn(async move { axum::serve(listener, router).await });
    url
}

fn plan(url: &str) -> Plan {
    let file = format!(
        "version: 1\nproviders: {{ here: {{ kind: openai, base_url: \"{url}\", api_key: none }} }}\n\
         embed: {{ model: here/model, dimensions: 1024 }}\n"
    );
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("hot.yaml");
    std::fs::write(&path, file).unwrap();
    ragstream::pipeline::load(&path, &|_| None).unwrap().plan
}

fn stream(table: &Table, plan: &ProviderPlan) {
    let http = Arc::new(Http::connect(plan).unwrap());
    let event = "data: {\"id\":\"c\",\"object\":\"chat.completion.chunk\",\"choices\":[{\"index\":0,\"delta\":{\"content\":\" word\"}}]}\n\n";
    let text = event.repeat(5_000) + "data: [DONE]\n\n";
    let pieces: Vec<Bytes> = text.as_bytes().chunks(1400).map(Bytes::copy_from_slice).collect();
    table.row("chat stream: SSE to tokens", "kB/s", text.len() as f64 / 1e3, || {
        let body = futures_util::stream::iter(pieces.clone().into_iter().map(Ok)).boxed();
        let events = decode_chat(ProviderKind::OpenAi, &http, body).unwrap().collect::<Vec<_>>().now_or_never().unwrap();
        assert_eq!(events.len(), 5_001);
    });
}

fn with_embedder(table: &Table, plan: &Plan) {
    let folder = tempfile::tempdir().unwrap();
    let providers = Providers::new(plan.providers.clone(), folder.path().to_owned());
    let embedder = tokio::runtime::Handle::current().block_on(providers.embedder(&plan.embed)).unwrap();
    vectors(table, &*embedder);
    for width in [384, 1536] {
        cache_on_disk(table, &*embedder, width);
    }
}

fn vectors(table: &Table, embedder: &dyn Embedder) {
    let runtime = tokio::runtime::Handle::current();
    let inputs: Vec<String> = (0..128).map(|n| n.to_string()).collect();
    table.row("embeddings: loopback HTTP, base64, 1024 wide", "vectors/s", 128.0, || {
        let embedded = runtime.block_on(embedder.embed(&inputs, InputType::Passage)).unwrap();
        assert_eq!(embedded.vectors.len(), 128);
    });
}

/// What is written is on disk when it is counted, and what is read was written by another cache over the same file.
fn cache_on_disk(table: &Table, embedder: &dyn Embedder, width: usize) {
    const BATCH: usize = 256;
    let runtime = tokio::runtime::Handle::current();
    let folder = tempfile::tempdir().unwrap();
    let keys = |batch: usize| -> Vec<Key> {
        (batch * BATCH..(batch + 1) * BATCH).map(|n| Key::new("bench", InputType::Passage, &n.to_string())).collect()
    };
    let vector: Vector = (0..width).map(|n| n as f32).collect();
    let cache = EmbeddingCache::open(folder.path(), embedder, width);
    let mut written = 0;
    table.row(&format!("cache on disk: write, {width} wide"), "vectors/s", BATCH as f64, || {
        let entries = keys(written).into_iter().map(|key| (key, Arc::clone(&vector))).collect();
        runtime.block_on(cache.keep(entries));
        written += 1;
    });
    let held = held(folder.path()).unwrap();
    assert_eq!(held.entries, (written * BATCH) as u64);

    let cache = EmbeddingCache::open(folder.path(), embedder, width);
    let look = |batch: usize| {
        let missing = async || Err::<Vector, _>("not there");
        let all = keys(batch).into_iter().map(|key| cache.get_or_embed(key, missing()));
        runtime.block_on(futures_util::future::join_all(all)).into_iter().flatten().count()
    };
    let mut batch = 0;
    table.row(&format!("cache on disk: hit, {width} wide"), "vectors/s", BATCH as f64, || {
        assert_eq!(look(batch % written), BATCH);
        batch += 1;
    });
    let mut batch = written;
    table.row(&format!("cache on disk: miss, {width} wide"), "texts/s", BATCH as f64, || {
        assert_eq!(look(batch), 0);
        batch += 1;
    });
}

fn walk_and_compare(table: &Table, runtime: &tokio::runtime::Runtime, files: usize) {
    let folder = tempfile::tempdir().unwrap();
    for n in 0..files {
        let sub = folder.path().join(format!("part-{}", n / 100));
        std::fs::create_dir_all(&sub).unwrap();
        std::fs::write(sub.join(format!("{n}.md")), "text").unwrap();
    }
    let found = runtime.block_on(listed(folder.path()));
    assert_eq!(found.len(), files);
    table.row("walk: list and stat", "files/s", files as f64, || {
        black_box(runtime.block_on(listed(folder.path())));
    });
    let path = folder.path().join("hot.ledger");
    let source = SourceId::files();
    let ledger = runtime.block_on(SqliteLedger::open(&path)).unwrap();
    let commit = |item: &Item| Commit {
        source: source.clone(),
        uri: item.uri.clone(),
        epoch: Epoch::default(),
        version: item.version,
        hash: [0; 32],
        modified: None,
        points: Vec::new(),
    };
    runtime.block_on(ledger.commit(found.iter().map(commit).collect())).unwrap().uris.clear();
    table.row("ledger: compare", "files/s", files as f64, || {
        runtime.block_on(async {
            let run = ledger.begin_run().await.unwrap();
            for batch in found.chunks(1024) {
                let listing = |item: &Item| Listing { uri: item.uri.clone(), version: item.version };
                black_box(ledger.note_listed(run, &source, batch.iter().map(listing).collect()).await.unwrap());
            }
            ledger.end_run(run).await.unwrap();
        });
    });
}

async fn listed(folder: &Path) -> Vec<Item> {
    let plan = FilesPlan {
        paths: vec![folder.to_owned()],
        include: globset::GlobSet::empty(),
        exclude: globset::GlobSet::empty(),
        max_bytes: 1 << 20,
        shared: false,
    };
    let source = Files::new(plan, folder);
    let item = |listed| if let Listed::Item(item) = listed { Some(item) } else { None };
    source.list().filter_map(|listed| std::future::ready(item(listed))).collect().await
}
