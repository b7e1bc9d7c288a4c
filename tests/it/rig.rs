//! A project whose embeddings come from a stand-in API and whose index is in a store of choice, for what goes wrong between
//! the three. The servers run on a runtime of their own, so that a test may simply wait for the program.

use std::cell::Cell;
use std::path::{Path, PathBuf};
use std::process::{Child, Command};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use ragstream::document::{Hit, Passage, Point};
use ragstream::vectordb::embedded::EmbeddedStore;
use ragstream::vectordb::qdrant::QdrantStore;
use ragstream::vectordb::{Query, VectorStore};
use serde_json::Value;
use tokio::runtime::Runtime;
use uuid::Uuid;

use crate::both::Together;
use crate::project::{Ended, Project, ended};
use crate::qdrant_server::{self, Running, Snapshot};
use crate::stand_in::{Reply, StandIn, bag_of_words, openai_embeddings};

/// The key that no output may show.
pub const KEY: &str = "sk-rig-s3cr3t-0123456789";
/// The width of the vectors.
pub const WIDTH: usize = 16;
/// Where the stand-in embeds.
pub const EMBEDDINGS: &str = "/v1/embeddings";
/// Requests in flight, and inputs a request.
pub const CONCURRENCY: usize = 3;
pub const ITEMS: usize = 4;

/// For a code, of a program that a signal ended.
const KILLED: i32 = -1;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    Embedded,
    Qdrant,
    /// On a server, by one of several workers.
    Cluster,
}

pub struct Rig {
    pub project: Project,
    pub api: StandIn,
    pub server: Option<Running>,
    /// Where it meets other workers.
    pub together: Option<Together>,
    /// Inputs that the stand-in embedded.
    pub paid: Arc<AtomicUsize>,
    /// Requests that the stand-in got.
    pub requests: Arc<AtomicUsize>,
    runtime: Runtime,
}

/// All that a store holds: points with their payloads, and how a dense and a sparse query rank them.
#[derive(Debug, PartialEq)]
pub struct Contents {
    points: Vec<(Uuid, Passage)>,
    dense: Vec<(Uuid, i64)>,
    sparse: Vec<Uuid>,
}

/// A store as it was.
pub enum Copy {
    /// Its folder.
    Folder(PathBuf),
    Server(Box<Snapshot>),
}

impl Contents {
    pub fn len(&self) -> usize {
        self.points.len()
    }

    pub fn uris(&self) -> Vec<&str> {
        let mut uris: Vec<&str> = self.points.iter().map(|(_, passage)| passage.uri.as_str()).collect();
        uris.sort_unstable();
        uris.dedup();
        uris
    }
}

impl Rig {
    pub fn new(kind: Kind) -> Self {
        Self::with(kind, (kind == Kind::Cluster).then(Together::new))
    }

    /// One of several workers, which meet there.
    pub fn in_cluster(together: Together) -> Self {
        Self::with(Kind::Cluster, Some(together))
    }

    fn with(kind: Kind, together: Option<Together>) -> Self {
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
        let api = runtime.block_on(StandIn::start());
        let server = (kind != Kind::Embedded).then(|| runtime.block_on(qdrant_server::start()));
        let project = Project::new();
        let cache = project.path("cache").to_str().unwrap().to_owned();
        let mut project = project.with("RAGSTREAM_CACHE", cache);
        if let Some(together) = &together {
            project = project.with("RAGSTREAM_CLUSTER", together.url());
        }
        let rig = Self { project, api, server, together, paid: Arc::default(), requests: Arc::default(), runtime };
        rig.answer(|request| openai_embeddings(request, WIDTH).after(Duration::from_millis(5)));
        rig.pipeline("docs");
        rig
    }

    /// Answers every request like this, and counts.
    pub fn answer(&self, reply: impl Fn(&crate::stand_in::Request) -> Reply + Send + Sync + 'static) {
        let (paid, requests) = (Arc::clone(&self.paid), Arc::clone(&self.requests));
        self.api.always(EMBEDDINGS, move |request| {
            requests.fetch_add(1, Ordering::SeqCst);
            paid.fetch_add(request.body["input"].as_array().map_or(1, Vec::len), Ordering::SeqCst);
            reply(request)
        });
    }

    /// Writes a pipeline file `NAME.yaml` over `docs/`, with an index of its own.
    pub fn pipeline(&self, name: &str) {
        let store = match &self.server {
            None => format!("edge: {{ path: store-{name} }}"),
            Some(server) => format!("qdrant: {{ url: \"{}\", collection: {name}, timeout: 2s }}", server.url),
        };
        let (url, shared) = (self.api.url(), if self.together.is_some() { ", shared: true" } else { "" });
        self.project.write(
            &format!("{name}.yaml"),
            format!(
                "version: 1\nname: {name}\n\
                 providers:\n  openai:\n    base_url: {url}/v1\n    api_key: {KEY}\n    timeout: 1s\n\
                 \x20   limits: {{ concurrency: {CONCURRENCY} }}\n    retry: {{ attempts: 3, budget: 10s }}\n\
                 sources: [{{ files: {{ paths: [docs]{shared} }} }}]\n\
                 chunk: {{ max_tokens: 24, overlap: 0 }}\n\
                 embed: {{ model: openai/text-embedding-3-small, dimensions: {WIDTH}, batch: {{ items: {ITEMS} }} }}\n\
                 store: {{ {store} }}\n"
            ),
        );
    }

    pub fn start(&self, more: &[&str]) -> Child {
        let lease: &[&str] = if self.together.is_some() { &["--lease", "5s"] } else { &[] };
        self.project.start(&[&["ingest", "-p", "docs.yaml", "--json"], lease, more].concat())
    }

    /// Runs `ingest` to its end. Nothing that it says may hold the key.
    pub fn ingest(&self, more: &[&str]) -> Ended {
        without_secrets(ended(self.start(more)))
    }

    /// Runs `ingest` to its end, which must be a good one.
    pub fn complete(&self) -> Value {
        self.ingest(&[]).expect_code(0).last("summary")
    }

    pub fn run(&self, arguments: &[&str]) -> Ended {
        without_secrets(self.project.run(&[arguments, &["-p", "docs.yaml"]].concat()))
    }

    /// The failed documents that `status` lists: uri and stage.
    pub fn failures(&self) -> Vec<(String, String)> {
        let kind = if self.together.is_some() { "cluster" } else { "status" };
        let status = self.run(&["status", "--json"]).last(kind);
        let text = |value: &Value| value.as_str().unwrap().to_owned();
        status["failures"].as_array().unwrap().iter().map(|f| (text(&f["uri"]), text(&f["stage"]))).collect()
    }

    /// Starts `ingest` and kills it as soon as this is true. Whether it still ran then.
    pub fn kill_when(&self, more: &[&str], now: impl Fn() -> bool) -> bool {
        let mut child = self.start(more);
        let give_up = Instant::now() + Duration::from_mins(3);
        while !now() && child.try_wait().unwrap().is_none() {
            assert!(Instant::now() < give_up, "it neither ends nor gets there");
            std::thread::sleep(Duration::from_micros(200));
        }
        child.kill().unwrap();
        let killed = ended(child).code == KILLED;
        if let Some(together) = &self.together {
            together.all_are_dead();
        }
        killed
    }

    /// Counts from now on, as it is asked again and again: calls to the server, or how often the log of the embedded store's
    /// database was seen to grow, which it does with each write.
    pub fn writes(&self) -> impl Fn() -> usize {
        let store = self.project.path("store-docs");
        let length = move || {
            let folders = std::fs::read_dir(&store).into_iter().flatten().flatten().map(|entry| entry.path());
            folders.filter_map(|folder| std::fs::metadata(folder.join("index.db-wal")).ok()).map(|log| log.len()).sum::<u64>()
        };
        let calls = || self.server.as_ref().map(|server| server.faults.calls.load(Ordering::SeqCst));
        let (before, seen) = (calls(), Cell::new((length(), 0)));
        move || {
            if let (Some(now), Some(before)) = (calls(), before) {
                return now - before;
            }
            let ((last, grown), now) = (seen.get(), length());
            seen.set((now, grown + usize::from(now > last)));
            seen.get().1
        }
    }

    fn open(&self, name: &str) -> Arc<dyn VectorStore> {
        match &self.server {
            None => Arc::new(EmbeddedStore::new(self.project.path(&format!("store-{name}")))),
            Some(server) => Arc::new(QdrantStore::new(&server.url, None, name, Duration::from_secs(10)).unwrap()),
        }
    }

    /// The store as it is now.
    pub fn copy_of_store(&self) -> Copy {
        if let Some(server) = &self.server {
            return Copy::Server(Box::new(server.snapshot("docs")));
        }
        let copy = self.project.path("copy");
        copy_folder(&self.project.path("store-docs"), &copy);
        Copy::Folder(copy)
    }

    pub fn put_back(&self, copy: Copy) {
        match copy {
            Copy::Server(snapshot) => self.server.as_ref().unwrap().restore("docs", *snapshot),
            Copy::Folder(folder) => {
                let store = self.project.path("store-docs");
                std::fs::remove_dir_all(&store).unwrap();
                copy_folder(&folder, &store);
            }
        }
    }

    /// Keeps the ledger as it is now.
    pub fn copy_ledger(&self) {
        match &self.together {
            Some(together) => together.copy(),
            None => drop(std::fs::copy(self.ledger(), self.project.path("ledger-copy")).unwrap()),
        }
    }

    /// The ledger is again what it was.
    pub fn put_ledger_back(&self) {
        match &self.together {
            Some(together) => together.put_back(),
            None => drop(std::fs::copy(self.project.path("ledger-copy"), self.ledger()).unwrap()),
        }
    }

    /// The file of one process.
    pub fn ledger(&self) -> PathBuf {
        self.project.path(".ragstream/docs.ledger")
    }

    /// It knows nothing.
    pub fn lose_ledger(&self) {
        match &self.together {
            Some(together) => together.lose(),
            None => {
                for end in ["", "-wal", "-shm"] {
                    let _ = std::fs::remove_file(self.project.path(&format!(".ragstream/docs.ledger{end}")));
                }
            }
        }
    }

    /// Writes points that no run of this project's made.
    pub fn put(&self, points: Vec<Point>) {
        self.runtime.block_on(async { self.open("docs").upsert(points).await.unwrap() });
    }

    pub fn contents(&self) -> Contents {
        self.contents_of("docs")
    }

    pub fn contents_of(&self, name: &str) -> Contents {
        self.runtime.block_on(async {
            let store = self.open(name);
            let points = store.scroll(None, 10_000).await.unwrap();
            let dense = Query::Dense(bag_of_words("alpha beta gamma delta line one two", WIDTH));
            let sparse = Query::Sparse(ragstream::vectordb::bm25::Bm25::new().query("line document alpha"));
            let rounded = |hit: Hit| (hit.id, (f64::from(hit.score) * 1e4).round() as i64);
            let mut dense: Vec<_> = store.query(dense, 10_000).await.unwrap().into_iter().map(rounded).collect();
            dense.sort_unstable();
            let mut sparse: Vec<_> = store.query(sparse, 10_000).await.unwrap().into_iter().map(|hit| hit.id).collect();
            sparse.sort_unstable();
            Contents { points, dense, sparse }
        })
    }

    /// What an undisturbed run over the files as they are makes, of one process.
    pub fn undisturbed(&self) -> Contents {
        self.pipeline("fresh");
        self.project.run(&["ingest", "-p", "fresh.yaml", "--rebuild", "--cluster", ""]).expect_code(0);
        self.contents_of("fresh")
    }

    /// The index must be that of an undisturbed run.
    pub fn expect_whole(&self, case: &str) {
        if let Some(together) = &self.together {
            together.is_settled();
        }
        let (found, wanted) = (self.contents(), self.undisturbed());
        let ids = |contents: &Contents| contents.points.iter().map(|(id, p)| (p.uri.clone(), p.start, *id)).collect::<Vec<_>>();
        assert_eq!(ids(&found), ids(&wanted), "{case}: other points");
        assert_eq!(found, wanted, "{case}");
    }

    /// Some small documents of several chunks; those that are there stay as they are.
    pub fn write_documents(&self, count: usize) {
        for n in (0..count).filter(|n| !self.project.path(&format!("docs/{n:02}.txt")).exists()) {
            self.project.write(&format!("docs/{n:02}.txt"), document(n, 4 + n % 3));
        }
    }
}

/// A document with so many chunks.
pub fn document(n: usize, chunks: usize) -> String {
    let words = ["alpha", "beta", "gamma", "delta", "epsilon"];
    let paragraph = |line: usize| {
        let word = words[(n + line) % words.len()];
        format!("Document {n} says in its line {line} that {word} comes before {word}{line} and after nothing at all.\n\n")
    };
    (0..chunks).map(paragraph).collect()
}

pub fn without_secrets(ended: Ended) -> Ended {
    assert!(!ended.stdout.contains("s3cr3t") && !ended.stderr.contains("s3cr3t"), "{ended:?}");
    ended
}

/// Sends a signal by its name.
pub fn signal(child: &Child, name: &str) {
    Command::new("kill").args([format!("-{name}"), child.id().to_string()]).status().unwrap();
}

/// Copies a folder with all that is in it.
pub fn copy_folder(from: &Path, to: &Path) {
    std::fs::create_dir_all(to).unwrap();
    for entry in std::fs::read_dir(from).unwrap() {
        let (entry, target) = entry.map(|entry| (entry.path(), to.join(entry.file_name()))).unwrap();
        if entry.is_dir() { copy_folder(&entry, &target) } else { std::fs::copy(&entry, &target).map(drop).unwrap() }
    }
}

/// Waits until this is true.
pub fn until(what: &str, mut now: impl FnMut() -> bool) {
    let give_up = Instant::now() + Duration::from_mins(3);
    while !now() {
        assert!(Instant::now() < give_up, "waited too long for {what}");
        std::thread::sleep(Duration::from_millis(2));
    }
}
