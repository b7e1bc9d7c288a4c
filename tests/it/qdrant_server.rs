//! A small Qdrant server for tests: the RPCs that ragstream uses, over real gRPC, on a model of our own ([`model`]). All others
//! answer `Unimplemented`. It differs from a real one in that it keeps nothing on disk, has one node, wants every write to be
//! waited for and ordered, and can be told to misbehave.
#![allow(dead_code, reason = "each test uses the switches it needs")]
#![allow(clippy::unwrap_used, clippy::needless_pass_by_value, reason = "a test's server may panic")]

mod collections;
mod connection;
mod convert;
mod filter;
mod model;
mod points;
mod strict;
#[cfg(test)]
mod tests;

use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, RwLock};
use std::time::Duration;

use ::qdrant_client::qdrant::collections_server::CollectionsServer;
use ::qdrant_client::qdrant::points_server::PointsServer;
use ::qdrant_client::qdrant::qdrant_server::{Qdrant, QdrantServer};
use ::qdrant_client::qdrant::{HealthCheckReply, HealthCheckRequest, StrictModeConfig};
use tokio::net::TcpListener;
use tonic::{Request, Response, Status};
use url::Url;

use collections::Collection;
use connection::Connection;
use strict::Strict;

/// A running server. Dropping it stops it.
pub struct Running {
    /// Its gRPC URL.
    pub url: Url,
    /// How it misbehaves.
    pub faults: Arc<Faults>,
    task: tokio::task::JoinHandle<()>,
    inner: Arc<Inner>,
}

/// A collection as it was.
pub struct Snapshot(Collection);

impl Running {
    /// A copy of a collection that no call is under way to.
    pub fn snapshot(&self, name: &str) -> Snapshot {
        let collection = self.inner.collection(name).unwrap();
        Snapshot(collection.read().unwrap().clone())
    }

    /// Puts a collection back to what it was.
    pub fn restore(&self, name: &str, snapshot: Snapshot) {
        let Snapshot(collection) = snapshot;
        self.inner.collections.write().unwrap().insert(name.to_owned(), Arc::new(RwLock::new(collection)));
    }

    /// Forgets every collection.
    pub fn wipe(&self) {
        self.inner.collections.write().unwrap().clear();
    }

    /// Shows vectors as servers did before 1.17: dense and sparse ones in the same two fields.
    pub fn answer_as_1_16(&self) {
        self.inner.answers_as_1_16.store(true, Ordering::SeqCst);
    }

    /// The strict mode of collections that are made from now on, as a server's configuration says it. (That of one collection
    /// is said when it is made or updated.)
    pub fn make_strict(&self, limits: &StrictModeConfig) {
        *self.inner.strict.lock().unwrap() = Strict::default().with(limits).unwrap();
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        self.task.abort();
    }
}

/// How a server is set up.
#[derive(Debug, Clone)]
pub struct Options {
    /// The key it asks for.
    pub api_key: Option<&'static str>,
    /// Whether it keeps collections' metadata, as servers do since 1.16.
    pub keeps_metadata: bool,
}

/// How the server misbehaves, all off at first. May be changed at any time.
#[derive(Debug, Default)]
pub struct Faults {
    /// So many of the next calls are answered `Unavailable`. (The client tries each call twice.)
    pub unavailable: AtomicUsize,
    /// So many of the next calls are answered `Internal`, as by a server that broke.
    pub broken: AtomicUsize,
    /// So many of the next calls are carried out, and then the connection breaks instead of the answer.
    pub cut: AtomicUsize,
    /// So many of the next writes are answered as received and not yet carried out, and are not.
    pub late: AtomicUsize,
    /// Whether the node is away that leads the shards: what is strongly ordered waits for it.
    pub leader_away: AtomicBool,
    /// Whether one of three copies is away: what asks for all of them fails.
    pub copy_away: AtomicBool,
    /// Whether two of them are: what asks for more than half fails as well.
    pub half_away: AtomicBool,
    /// Reads so far that asked for more than half of the copies.
    pub quorums: AtomicUsize,
    /// How long after it was made a collection has no copy that could tell of it, in milliseconds.
    pub making_ms: AtomicU64,
    /// Collections of which nothing can be told for now, and the answer instead.
    pub untold: Mutex<HashMap<String, Untold>>,
    /// How long every call takes on top, in milliseconds.
    pub slow_ms: AtomicU64,
    /// Calls received so far.
    pub calls: AtomicUsize,
    /// Whether the connections that there are break when they are next written to.
    cutting: AtomicBool,
}

/// What a server says of a collection that it cannot tell of.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Untold {
    /// It is not ready.
    Unavailable,
    /// It broke.
    Broken,
    /// Whoever asks may not know.
    Denied,
    /// Nothing.
    Silent,
}

/// Starts a server without a key on a free port.
pub async fn start() -> Running {
    start_with(Options { api_key: None, keeps_metadata: true }).await
}

/// Starts a server on a free port.
pub async fn start_with(options: Options) -> Running {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = Url::parse(&format!("http://{}", listener.local_addr().unwrap())).unwrap();
    let faults = Arc::new(Faults::default());
    let inner = Arc::new(Inner {
        options,
        faults: Arc::clone(&faults),
        collections: RwLock::default(),
        strict: Mutex::default(),
        answers_as_1_16: AtomicBool::new(false),
    });
    let server = Server(Arc::clone(&inner));
    let cuttable = Arc::clone(&faults);
    let incoming = async_stream::stream! {
        loop {
            yield listener.accept().await.map(|(stream, _)| Connection::new(stream, &cuttable));
        }
    };
    let router = tonic::transport::Server::builder()
        .add_service(QdrantServer::new(server.clone()))
        .add_service(CollectionsServer::new(server.clone()))
        .add_service(PointsServer::new(server).max_decoding_message_size(64 << 20));
    let task = tokio::spawn(async move { router.serve_with_incoming(incoming).await.unwrap() });
    Running { url, faults, task, inner }
}

/// The services; one server implements all.
#[derive(Clone)]
struct Server(Arc<Inner>);

struct Inner {
    options: Options,
    faults: Arc<Faults>,
    collections: RwLock<HashMap<String, Arc<RwLock<Collection>>>>,
    /// That of collections to come.
    strict: Mutex<Strict>,
    answers_as_1_16: AtomicBool,
}

impl Inner {
    fn collection(&self, name: &str) -> Result<Arc<RwLock<Collection>>, Status> {
        let collections = self.collections.read().unwrap();
        collections
            .get(name)
            .cloned()
            .ok_or_else(|| Status::not_found(format!("Not found: Collection `{name}` doesn't exist!")))
    }
}

impl Server {
    /// What comes before every call: the key, and the faults.
    async fn enter<T>(&self, request: Request<T>) -> Result<T, Status> {
        let Inner { options, faults, .. } = &*self.0;
        faults.calls.fetch_add(1, Ordering::SeqCst);
        let given = request.metadata().get("api-key").and_then(|key| key.to_str().ok());
        if options.api_key.is_some() && given != options.api_key {
            return Err(Status::unauthenticated("Must provide an API key or an Authorization bearer token"));
        }
        tokio::time::sleep(Duration::from_millis(faults.slow_ms.load(Ordering::SeqCst))).await;
        if take_one(&faults.unavailable) {
            return Err(Status::unavailable("the server restarts"));
        }
        if take_one(&faults.broken) {
            return Err(Status::internal("Service internal error: out of disk"));
        }
        if take_one(&faults.cut) {
            faults.cutting.store(true, Ordering::SeqCst);
        }
        Ok(request.into_inner())
    }

    /// Looks into a collection, off the runtime.
    async fn read<T, F>(&self, name: &str, work: F) -> Result<T, Status>
    where
        T: Send + 'static,
        F: FnOnce(&Collection) -> Result<T, Status> + Send + 'static,
    {
        let collection = self.0.collection(name)?;
        let work = tokio::task::spawn_blocking(move || work(&collection.read().unwrap()));
        work.await.map_err(|e| Status::internal(e.to_string()))?
    }

    /// Changes a collection, off the runtime.
    async fn write<T, F>(&self, name: &str, work: F) -> Result<T, Status>
    where
        T: Send + 'static,
        F: FnOnce(&mut Collection) -> Result<T, Status> + Send + 'static,
    {
        let collection = self.0.collection(name)?;
        let work = tokio::task::spawn_blocking(move || work(&mut collection.write().unwrap()));
        work.await.map_err(|e| Status::internal(e.to_string()))?
    }
}

fn take_one(count: &AtomicUsize) -> bool {
    count.fetch_update(Ordering::SeqCst, Ordering::SeqCst, |n| n.checked_sub(1)).is_ok()
}

#[tonic::async_trait]
impl Qdrant for Server {
    async fn health_check(&self, request: Request<HealthCheckRequest>) -> Result<Response<HealthCheckReply>, Status> {
        self.enter(request).await?;
        Ok(Response::new(HealthCheckReply { title: "test server".into(), version: "1.17.0".into(), commit: None }))
    }
}

macro_rules! not_here {
    ($($method:ident($request:ty) -> $response:ty;)*) => {$(
        fn $method<'life0, 'async_trait>(
            &'life0 self,
            _: Request<$request>,
        ) -> Pin<Box<dyn Future<Output = Result<Response<$response>, Status>> + Send + 'async_trait>>
        where
            'life0: 'async_trait,
            Self: 'async_trait,
        {
            Box::pin(async { Err(Status::unimplemented("not in this test server")) })
        }
    )*};
}
pub(crate) use not_here;
