//! Several workers change the model of an embedded index that they share within this process, over a real Postgres: killed at any
//! instant, whichever model they name, and the end is an index made of nothing.

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use proptest::prelude::*;
use ragstream::document::Passage;
use ragstream::vectordb::{Slots, StorePlan, VectorStore};
use ragstream::{Answerer, CancellationToken, IngestOptions, IngestSummary, Plan, Report, Runtime, Settings};
use tokio::task::JoinHandle;
use uuid::Uuid;

use super::*;
use crate::both::Together;
use crate::qdrant_server;
use crate::rig::EMBEDDINGS;
use crate::stand_in::StandIn;

/// How long a worker may be silent here.
const LEASE: Duration = Duration::from_millis(600);
const MODELS: [&str; 3] = [
    "openai/text-embedding-3-small, dimensions: 8",
    "openai/text-embedding-3-large, dimensions: 12",
    "openai/text-embedding-ada-002, dimensions: 10",
];

struct Shop {
    folder: tempfile::TempDir,
    api: StandIn,
    together: Together,
    slots: Slots,
    url: String,
    _server: qdrant_server::Running,
}

impl Shop {
    async fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        std::fs::create_dir(folder.path().join("docs")).unwrap();
        let api = StandIn::start().await;
        api.always(EMBEDDINGS, |request| embedded(request).after(Duration::from_millis(10)));
        let together = tokio::task::spawn_blocking(Together::new).await.unwrap();
        // Nothing is in it but what workers have paid for.
        let server = qdrant_server::start().await;
        let slots = slots(&folder.path().join("index"));
        let url = server.url.to_string();
        let shop = Self { folder, api, together, slots, url, _server: server };
        (0..10).for_each(|n| shop.write(n, n));
        shop
    }

    fn write(&self, n: usize, edit: usize) {
        let text = format!("{}\n\n第 {n} 份文档，第 {edit} 版。\n", document(n + edit * 7, 2 + n % 3));
        std::fs::write(self.folder.path().join(format!("docs/文档 {n:02}.md")), text).unwrap();
    }

    fn remove(&self, n: usize) {
        let _ = std::fs::remove_file(self.folder.path().join(format!("docs/文档 {n:02}.md")));
    }

    fn plan(&self, model: usize) -> Plan {
        let text = format!(
            "version: 1\nname: docs\nproviders:\n  openai:\n    base_url: {}/v1\n    api_key: k\n    limits: {{ concurrency: 3 }}\n\
             sources: [{{ files: {{ paths: [docs], shared: true }} }}]\nchunk: {{ max_tokens: 24, overlap: 0 }}\n\
             embed: {{ model: {}, batch: {{ items: 4 }} }}\nstore: {{ qdrant: {{ url: \"{}\", collection: docs }} }}\n",
            self.api.url(),
            MODELS[model],
            self.url,
        );
        ragstream::pipeline::parse(&text, "docs.yaml", self.folder.path(), &|_| None).unwrap().plan
    }

    /// A machine of its own, with the index that they share.
    fn machine(&self, model: usize, home: &str) -> Runtime {
        let at = |name: &str| self.folder.path().join(home).join(name);
        let settings = Settings { home: at("home"), cache: at("cache"), cwd: self.folder.path().to_owned() };
        Runtime::new(self.plan(model), settings).with_slots(self.slots.clone())
    }

    fn worker(&self, model: usize, home: &str) -> JoinHandle<Result<IngestSummary, ragstream::Error>> {
        self.worker_for(LEASE, model, home)
    }

    /// One that renews its lease so rarely.
    fn worker_for(&self, lease: Duration, model: usize, home: &str) -> JoinHandle<Result<IngestSummary, ragstream::Error>> {
        let runtime = self.machine(model, home);
        let url = self.together.url();
        tokio::spawn(async move {
            let runtime = runtime.in_cluster(&url, lease).await?;
            runtime.ingest(IngestOptions::default(), Arc::new(Report::default()), CancellationToken::new()).await
        })
    }

    /// It answers, by whichever vectors.
    async fn answers(&self, model: usize) {
        let found = Answerer::open(&self.machine(model, "asks")).await.unwrap().search(&QUESTION.into()).await.unwrap();
        assert!(!found.is_empty());
    }

    /// The index is what a single process makes of nothing with this model, and nothing is left of another.
    async fn is_as_alone(&self, model: usize) {
        let look = self.slots.look().await.unwrap();
        assert!(look.other.unwrap().index.is_none(), "nothing is left of another");
        let index = look.current.index.unwrap();
        let alone = slots(&self.folder.path().join(format!("alone-{}", rand::random::<u64>())));
        let settings = Settings { cwd: self.folder.path().to_owned(), ..Settings::at(self.folder.path().join("alone")) };
        let runtime = Runtime::new(self.plan(model), settings).with_slots(alone.clone());
        runtime
            .ingest(IngestOptions { rebuild: true, ..IngestOptions::default() }, Arc::default(), CancellationToken::new())
            .await
            .unwrap();
        let wanted = alone.look().await.unwrap().current;
        assert_eq!(index.model, wanted.index.unwrap().model);
        assert_eq!(contents(&*look.current.store).await, contents(&*wanted.store).await);
        self.together.is_settled();
    }
}

fn slots(path: &Path) -> Slots {
    Slots::open(&StorePlan::Embedded { path: Some(path.to_owned()) }, path).unwrap()
}

/// All points, with their vectors.
async fn contents(store: &dyn VectorStore) -> Vec<(Uuid, Vec<f32>, Passage)> {
    store.scroll_points(None, 10_000).await.unwrap()
}

/// What happens, one after the other.
#[derive(Debug, Clone)]
enum Event {
    /// A worker begins that names this model.
    Begins(usize),
    /// A while passes.
    Passes(u64),
    /// The n-th of those at work is gone from one moment to the next.
    Dies(usize),
    /// And is known to be dead.
    IsDead,
    Edits(usize, usize),
    Removes(usize),
}

fn event() -> impl Strategy<Value = Event> {
    prop_oneof![
        4 => (0..3_usize).prop_map(Event::Begins),
        4 => (0..300_u64).prop_map(Event::Passes),
        2 => (0..4_usize).prop_map(Event::Dies),
        2 => Just(Event::IsDead),
        1 => ((0..10_usize), (1..9_usize)).prop_map(|(n, edit)| Event::Edits(n, edit)),
        1 => (0..10_usize).prop_map(Event::Removes),
    ]
}

async fn goes_through(events: Vec<Event>, last: usize) {
    let shop = Shop::new().await;
    shop.worker(0, "first").await.unwrap().unwrap();
    let mut workers = Vec::new();
    for (n, event) in events.into_iter().enumerate() {
        match event {
            Event::Begins(model) => workers.push(shop.worker(model, &format!("machine {n}"))),
            Event::Passes(time) => tokio::time::sleep(Duration::from_millis(time)).await,
            Event::Dies(which) if !workers.is_empty() => {
                let worker = workers.remove(which % workers.len());
                worker.abort();
                let _ = worker.await;
            }
            Event::IsDead if workers.iter().all(JoinHandle::is_finished) => shop.together.all_are_dead(),
            Event::Edits(which, edit) => shop.write(which, edit),
            Event::Removes(which) => shop.remove(which),
            Event::Dies(_) | Event::IsDead => {}
        }
        shop.answers(0).await;
    }
    for worker in workers {
        // One that names another model than those at work is refused, and nothing else is wrong.
        if let Err(error) = worker.await.unwrap() {
            assert_eq!(error.code(), "cluster_mismatch", "{error}");
        }
    }
    // Whoever died is known to be dead, at the latest, when its lease has run out.
    let began = Instant::now();
    loop {
        match shop.worker(last, "last").await.unwrap() {
            Ok(_) if shop.slots.look().await.unwrap().next().is_none() => break,
            Ok(_) => {}
            Err(error) => assert_eq!(error.code(), "cluster_mismatch", "{error}"),
        }
        assert!(began.elapsed() < Duration::from_secs(90), "it comes to an end");
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    // What changed while it was at it, and what may have come late.
    shop.worker(last, "last").await.unwrap().unwrap();
    shop.is_as_alone(last).await;
}

#[test]
fn whatever_becomes_of_workers_of_several_models_the_end_is_an_index_made_of_nothing() {
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
    let cases = std::env::var("CHANGE_CASES").ok().map_or(4, |cases| cases.parse().expect("a number"));
    proptest!(ProptestConfig { cases, max_shrink_iters: 8, ..ProptestConfig::default() }, |(events in proptest::collection::vec(event(), 3..12), last in 0..3_usize)| {
        runtime.block_on(goes_through(events, last));
    });
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_worker_that_wakes_after_the_change_is_fenced_in_both_ledgers() {
    let shop = Shop::new().await;
    shop.worker(0, "first").await.unwrap().unwrap();
    // Enough to be in the middle of.
    (0..10).for_each(|n| shop.write(n, 3));
    let gate = Arc::new(AtomicBool::new(false));
    let changed = Arc::clone(&gate);
    shop.api.always(EMBEDDINGS, move |request| embedded(request).when(&gate));
    // It is as if it slept: it has no answer, and its lease is longer than all of this.
    let at_work = shop.worker_for(Duration::from_mins(10), 0, "old");
    let jobs = || shop.together.sql("SELECT count(*) FROM ragstream.jobs WHERE owner IS NOT NULL") != "0";
    while !jobs() || shop.api.in_flight() == 0 {
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    shop.api.always(EMBEDDINGS, embedded);
    let change = loop {
        // Its next word may come first all the same, and it is at work again.
        shop.together.all_are_dead();
        match shop.worker(1, "new").await.unwrap() {
            Ok(summary) => break summary.change,
            Err(error) => assert_eq!(error.code(), "cluster_mismatch", "{error}"),
        }
    };
    assert!(change.is_some_and(|change| change.complete));
    changed.store(true, Ordering::SeqCst);
    let error = at_work.await.unwrap().unwrap_err();
    assert_eq!(error.code(), "cluster_mismatch", "{error}");
    assert!(error.to_string().contains("others have changed the embedding model") && error.hint().is_some(), "{error}");
    assert_eq!(shop.together.sql("SELECT count(DISTINCT corpus) FROM ragstream.documents"), "1", "it recorded nothing");
    shop.is_as_alone(1).await;
    shop.answers(1).await;
}
