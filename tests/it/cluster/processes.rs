//! The real program, many times: processes that are killed and stopped, a database that is killed and comes back, before a provider
//! that counts strictly. A short run belongs to the tests; `scripts/torture-cluster` runs it for as long and as hard as one likes.

#![allow(clippy::print_stdout, reason = "the long one is run for its figures")]

use std::collections::{BTreeMap, VecDeque};
use std::fs::File;
use std::process::Child;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use ragstream::vectordb::VectorStore as _;
use ragstream::vectordb::qdrant::QdrantStore;
use serde_json::{Value, json};

use super::contents;
use crate::project::Project;
use crate::qdrant_server::{self, Running};
use crate::rig::signal;
use crate::sql::servers::{Database, Server, new_postgres, psql};
use crate::stand_in::{Reply, StandIn, openai_embeddings};

const WIDTH: usize = 8;
const KEY: &str = "sk-cluster-s3cr3t";

/// What is done to the workers.
pub struct Terms {
    pub workers: usize,
    pub documents: usize,
    /// Requests and tokens a minute that the provider allows; `None`: as many as one likes.
    pub quota: Option<(u64, u64)>,
    /// How often a worker is killed, and another begins.
    pub kill: Duration,
    /// How often the database is killed, and starts again.
    pub restart: Duration,
    /// How often a worker is stopped, for longer than its lease.
    pub stop: Duration,
    /// How long all of that goes on; the workers go on to the end of the round.
    pub for_long: Duration,
    pub lease: Duration,
}

/// What the provider has seen.
#[derive(Default)]
pub struct Bill {
    pub minute: Mutex<VecDeque<(Instant, u64)>>,
    pub refused: AtomicU64,
    pub requests: AtomicU64,
    pub tokens: AtomicU64,
    /// How often each text was paid for.
    pub texts: Mutex<BTreeMap<String, u64>>,
    pub first: Mutex<Option<Instant>>,
    pub last: Mutex<Option<Instant>>,
}

impl Bill {
    /// Whether a request of so many tokens is within the last minute's quota; counts it if so.
    pub fn accepts(&self, tokens: u64, quota: Option<(u64, u64)>) -> bool {
        let now = Instant::now();
        let mut minute = self.minute.lock().unwrap();
        while minute.front().is_some_and(|(at, _)| now - *at >= Duration::from_mins(1)) {
            minute.pop_front();
        }
        let used: u64 = minute.iter().map(|(_, tokens)| tokens).sum();
        if quota.is_some_and(|(rpm, tpm)| minute.len() as u64 + 1 > rpm || used + tokens > tpm) {
            self.refused.fetch_add(1, Ordering::Relaxed);
            return false;
        }
        minute.push_back((now, tokens));
        self.first.lock().unwrap().get_or_insert(now);
        *self.last.lock().unwrap() = Some(now);
        self.requests.fetch_add(1, Ordering::Relaxed);
        self.tokens.fetch_add(tokens, Ordering::Relaxed);
        true
    }

    pub fn twice(&self) -> u64 {
        self.texts.lock().unwrap().values().map(|times| times - 1).sum()
    }
}

/// Everything that workers need.
pub struct World {
    pub postgres: Server,
    pub store: Running,
    pub api: StandIn,
    pub bill: Arc<Bill>,
    pub machines: Vec<Project>,
    pub pipeline: String,
    pub lease: String,
}

/// What an ended worker said last, and its exit code.
pub struct Said {
    pub code: i32,
    pub summary: Value,
    pub stdout: String,
    pub stderr: String,
}

impl World {
    pub async fn new(terms: &Terms) -> Self {
        let postgres = tokio::task::spawn_blocking(new_postgres).await.unwrap();
        // In another server: this one is killed, and what becomes of a source that is away is not what is looked at here.
        let table = tokio::task::spawn_blocking(Database::postgres).await.unwrap();
        table.run("CREATE TABLE docs (id int PRIMARY KEY, body text NOT NULL)");
        let fill = format!(
            "INSERT INTO docs SELECT n, '# 文档 ' || n || chr(10) || chr(10) || string_agg(
                 'Part ' || p || ' of document ' || n || ' says that 第' || n || '份 has a line of its own in part ' || p || '.', chr(10) || chr(10))
             FROM generate_series(1, {}) AS n, generate_series(1, 4) AS p GROUP BY n",
            terms.documents
        );
        table.run(&fill);
        let store = qdrant_server::start().await;
        let api = StandIn::start().await;
        let bill = Arc::new(Bill::default());
        let (counted, quota) = (Arc::clone(&bill), terms.quota);
        api.always("/v1/embeddings", move |request| {
            let inputs: Vec<String> = serde_json::from_value(request.body["input"].clone()).unwrap();
            let tokens: usize = inputs.iter().map(|input| input.split_whitespace().count().max(1)).sum();
            if !counted.accepts(tokens as u64, quota) {
                return Reply::status(429, &json!({ "error": { "message": "slow down", "type": "requests" } }));
            }
            let mut texts = counted.texts.lock().unwrap();
            for input in inputs {
                *texts.entry(input).or_default() += 1;
            }
            openai_embeddings(request, WIDTH).after(Duration::from_millis(150))
        });
        let limits = match terms.quota {
            Some((rpm, tpm)) => format!("{{ rpm: {rpm}, tpm: {tpm}, concurrency: 64 }}"),
            None => "{ concurrency: 6 }".to_owned(),
        };
        let pipeline = format!(
            "version: 1\nname: docs\nproviders:\n  openai:\n    base_url: {}/v1\n    api_key: {KEY}\n    timeout: 10s\n    limits: {limits}\n\
             sources:\n  - sql: {{ url: '{}', table: docs, key: id, text: body, format: markdown }}\n\
             chunk: {{ max_tokens: 48, overlap: 0 }}\n\
             embed: {{ model: openai/text-embedding-3-small, dimensions: {WIDTH}, batch: {{ items: 8 }} }}\n\
             store: {{ qdrant: {{ url: \"{}\", collection: docs, timeout: 2s }} }}\n",
            api.url(),
            table.url(),
            store.url
        );
        let lease = format!("{}s", terms.lease.as_secs());
        Self { postgres, store, api, bill, machines: Vec::new(), pipeline, lease }
    }

    /// A worker on a machine of its own.
    pub fn start(&mut self) -> (usize, Child) {
        self.start_in(None)
    }

    /// The same, in a network namespace.
    pub fn start_in(&mut self, network: Option<String>) -> (usize, Child) {
        let mut machine =
            Project::new().with("RAGSTREAM_CLUSTER", format!("postgres://postgres@127.0.0.1:{}/postgres", self.postgres.port));
        machine.network = network;
        machine.write("docs.yaml", &self.pipeline);
        let number = self.machines.len();
        self.machines.push(machine);
        (number, self.start_on(number))
    }

    pub fn start_on(&self, number: usize) -> Child {
        let machine = &self.machines[number];
        let file = |name: &str| File::options().create(true).append(true).open(machine.path(name)).unwrap();
        machine.start_into(&["ingest", "-p", "docs.yaml", "--json", "--lease", &self.lease], file("stdout"), file("stderr"))
    }

    pub fn said(&self, number: usize, mut child: Child) -> Said {
        let code = child.wait().unwrap().code().unwrap_or(-1);
        let text = |name| String::from_utf8(self.machines[number].read(name)).unwrap();
        let (stdout, stderr) = (text("stdout"), text("stderr"));
        assert!(!stdout.contains("s3cr3t") && !stderr.contains("s3cr3t"), "{stdout}{stderr}");
        let summary = stdout.lines().last().and_then(|line| serde_json::from_str(line).ok()).unwrap_or_default();
        Said { code, summary, stdout, stderr }
    }

    /// The index has to be a single process's.
    pub async fn is_as_alone(&self) {
        let alone = Project::new();
        let plain = self.pipeline.replace("collection: docs", "collection: alone");
        let limits = plain.lines().find(|line| line.contains("limits:")).unwrap().to_owned();
        alone.write("docs.yaml", plain.replace(&limits, "    limits: { concurrency: 64 }"));
        self.api.always("/v1/embeddings", |request| openai_embeddings(request, WIDTH));
        alone.run(&["ingest", "-p", "docs.yaml", "--quiet"]).expect_code(0);
        let of = async |collection: &str| {
            let store = QdrantStore::new(&self.store.url, None, collection, Duration::from_secs(10)).unwrap();
            assert!(store.meta().await.unwrap().is_some());
            contents(&store).await
        };
        let (found, wanted) = (of("docs").await, of("alone").await);
        assert_eq!(found.len(), wanted.len());
        assert!(found == wanted, "not the index of a single process");
    }

    pub fn sql(&self, sql: &str) -> String {
        psql(self.postgres.port, "postgres", sql).trim().to_owned()
    }
}

/// Has workers go through a round while all of that is done to them; prints and checks what came of it.
async fn torture(terms: Terms) {
    let mut world = World::new(&terms).await;
    let mut running: Vec<(usize, Child)> = (0..terms.workers).map(|_| world.start()).collect();
    let began = Instant::now();
    let (mut killed, mut restarted, mut stopped) = (0_u32, 0_u32, 0_u32);
    let (mut asleep, mut oldest): (Vec<(usize, Child, Instant)>, usize) = (Vec::new(), 0);
    while began.elapsed() < terms.for_long {
        tokio::time::sleep(Duration::from_millis(100)).await;
        if running.iter_mut().any(|(_, child)| child.try_wait().unwrap().is_some()) {
            break;
        }
        if began.elapsed() > terms.kill * (killed + 1) {
            killed += 1;
            oldest = (oldest + 1) % running.len();
            let (_, mut child) = running.remove(oldest);
            child.kill().unwrap();
            child.wait().unwrap();
            running.push(world.start());
        }
        if began.elapsed() > terms.restart * (restarted + 1) {
            restarted += 1;
            world.postgres.restart();
        }
        if began.elapsed() > terms.stop * (stopped + 1) {
            stopped += 1;
            let (number, child) = running.remove(0);
            signal(&child, "STOP");
            asleep.push((number, child, Instant::now()));
            running.push(world.start());
        }
        for (number, child, _) in asleep.extract_if(.., |(.., since)| since.elapsed() > terms.lease.mul_f64(1.5)) {
            signal(&child, "CONT");
            running.push((number, child));
        }
    }
    for (number, child, _) in asleep {
        signal(&child, "CONT");
        running.push((number, child));
    }
    let workers = running.len();
    let mut said = Vec::new();
    for (number, child) in running {
        said.push(world.said(number, child));
    }
    let took = began.elapsed();
    for said in &said {
        assert_eq!(said.code, 0, "{}\n{}", said.stdout, said.stderr);
        assert_eq!(said.summary["outcome"], "complete", "{}", said.summary);
    }
    let bill = &world.bill;
    let (first, last) = (bill.first.lock().unwrap().unwrap(), bill.last.lock().unwrap().unwrap());
    let minutes = (last - first).as_secs_f64() / 60.0;
    let (requests, tokens) = (bill.requests.load(Ordering::Relaxed), bill.tokens.load(Ordering::Relaxed));
    let refused = bill.refused.load(Ordering::Relaxed);
    println!(
        "{workers} workers, {killed} killed, {stopped} stopped, {restarted} restarts of the database, {:.0} s: {requests} requests, {tokens} tokens, \
         {refused} refused, {} texts of {} paid for twice",
        took.as_secs_f64(),
        bill.twice(),
        bill.texts.lock().unwrap().len(),
    );
    if let Some((rpm, tpm)) = terms.quota {
        let used = (requests as f64 / (rpm as f64 * minutes)).max(tokens as f64 / (tpm as f64 * minutes));
        println!("quota used over {minutes:.1} min: {:.1} %", used * 100.0);
    }
    assert_eq!(refused, 0, "refused for speed");
    // What a process had in flight when it was killed or put to sleep: 64 requests of 8 texts at the very most, and what was not
    // written to its own cache yet.
    assert!(bill.twice() <= u64::from(killed + stopped) * 64 * 8);
    assert_eq!(world.sql("SELECT count(*) FROM ragstream.jobs"), "0");
    assert_eq!(world.sql("SELECT count(*) FROM ragstream.sweeps"), "0");
    assert_eq!(world.sql("SELECT count(*) FROM ragstream.workers"), "0", "all signed off");
    world.is_as_alone().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn killed_and_stopped_processes_and_a_database_that_dies_make_the_index_of_one() {
    torture(Terms {
        workers: 3,
        documents: 1500,
        quota: None,
        kill: Duration::from_secs(4),
        restart: Duration::from_secs(7),
        stop: Duration::from_secs(6),
        for_long: Duration::from_secs(16),
        lease: Duration::from_secs(5),
    })
    .await;
}

/// As the environment says: `TORTURE_WORKERS`, `TORTURE_SECONDS`, `TORTURE_RPM`, `TORTURE_TPM`, `TORTURE_KILL`, `TORTURE_RESTART`,
/// `TORTURE_STOP`, `TORTURE_LEASE`, `TORTURE_DOCUMENTS`.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "minutes to hours: scripts/torture-cluster"]
async fn workers_under_torture_for_long() {
    let number = |name: &str, usual: u64| {
        std::env::var(format!("TORTURE_{name}")).ok().map_or(usual, |value| value.parse().expect("a number"))
    };
    let seconds = |name: &str, usual| Duration::from_secs(number(name, usual));
    torture(Terms {
        workers: number("WORKERS", 8) as usize,
        documents: number("DOCUMENTS", 3000) as usize,
        quota: Some((number("RPM", 600), number("TPM", 60_000))),
        kill: seconds("KILL", 10),
        restart: seconds("RESTART", 60),
        stop: seconds("STOP", 45),
        for_long: seconds("SECONDS", 300),
        lease: seconds("LEASE", 15),
    })
    .await;
}

#[test]
fn what_a_cluster_is_told_that_it_cannot_do() {
    let machine = Project::new().with("RAGSTREAM_CLUSTER", "postgres://careful:w0rng@127.0.0.1:1/postgres");
    machine
        .write("docs.yaml", "name: docs\nsources: [https://example.org]\nstore: { qdrant: { url: 'http://127.0.0.1:1' } }\n");
    let told = |arguments: &[&str], code: i32, what: &str| {
        let ended = machine.run(arguments).expect_code(code);
        assert!(ended.stderr.contains(what) && !ended.stderr.contains("w0rng"), "{arguments:?}: {}", ended.stderr);
    };
    told(&["ingest", "docs.yaml"], 2, "need to know of the same sources");
    told(&["ingest"], 2, "need the same pipeline");
    told(&["ingest", "-p", "docs.yaml", "--rebuild"], 2, "take the index away");
    told(&["ingest", "-p", "docs.yaml", "--watch"], 2, "--watch is for one machine");
    told(&["ingest", "-p", "docs.yaml", "--lease", "1s"], 2, "5s to 1h");
    told(&["status", "-p", "docs.yaml"], 2, "Postgres at 127.0.0.1:1");
    let sql = machine.run(&["schema", "--cluster"]).expect_code(0).stdout;
    assert!(sql.contains("CREATE TABLE ragstream.jobs"), "{sql}");
}
