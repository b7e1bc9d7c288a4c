//! A small Qdrant server for tests: the RPCs that ragstream uses, over real gRPC, with the embedded engine beneath. All others
//! answer `Unimplemented`. It differs from a real one in that it never writes its data to disk on purpose, has one node, and
//! can be told to misbehave.
#![allow(dead_code, reason = "each test uses the switches it needs")]
#![allow(clippy::unwrap_used, clippy::needless_pass_by_value, reason = "a test's server may panic")]

mod convert;
mod points;

use std::collections::HashMap;
use std::pin::Pin;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, RwLock};
use std::task::{Context, Poll};
use std::time::Duration;

use ::qdrant_client::qdrant::collections_server::{Collections, CollectionsServer};
use ::qdrant_client::qdrant::points_server::PointsServer;
use ::qdrant_client::qdrant::qdrant_server::{Qdrant, QdrantServer};
use ::qdrant_client::qdrant::*;
use qdrant_edge::EdgeShard;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::{TcpListener, TcpStream};
use tonic::transport::server::Connected;
use tonic::{Request, Response, Status};
use url::Url;

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
pub struct Snapshot {
    directory: tempfile::TempDir,
    created: CreateCollection,
    metadata: HashMap<String, Value>,
    indexed: Vec<String>,
}

impl Running {
    /// A copy of a collection that no call is under way to.
    pub fn snapshot(&self, name: &str) -> Snapshot {
        let collection = Arc::clone(self.inner.collections.read().unwrap().get(name).unwrap());
        collection.shard.flush();
        let directory = tempfile::tempdir().unwrap();
        crate::rig::copy_folder(collection.directory.path(), directory.path());
        let metadata = collection.metadata.lock().unwrap().clone();
        let indexed = collection.indexed.lock().unwrap().clone();
        Snapshot { directory, created: collection.created.clone(), metadata, indexed }
    }

    /// Puts a collection back to what it was.
    pub fn restore(&self, name: &str, snapshot: Snapshot) {
        let Snapshot { directory, created, metadata, indexed } = snapshot;
        let shard = EdgeShard::load(directory.path(), None).unwrap();
        let (metadata, indexed) = (Mutex::new(metadata), Mutex::new(indexed));
        let collection = Arc::new(Collection { shard, created, metadata, indexed, directory });
        self.inner.collections.write().unwrap().insert(name.to_owned(), collection);
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
    /// How long every call takes on top, in milliseconds.
    pub slow_ms: AtomicU64,
    /// Calls received so far.
    pub calls: AtomicUsize,
    /// Whether the connections that there are break when they are next written to.
    cutting: AtomicBool,
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
    let inner = Arc::new(Inner { options, faults: Arc::clone(&faults), collections: RwLock::default() });
    let server = Server(Arc::clone(&inner));
    let cuttable = Arc::clone(&faults);
    let incoming = async_stream::stream! {
        loop {
            yield listener.accept().await.map(|(stream, _)| Connection { stream, faults: Arc::clone(&cuttable) });
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
    collections: RwLock<HashMap<String, Arc<Collection>>>,
}

struct Collection {
    shard: EdgeShard,
    created: CreateCollection,
    metadata: Mutex<HashMap<String, Value>>,
    indexed: Mutex<Vec<String>>,
    // After the shard, which writes to it when it is dropped.
    directory: tempfile::TempDir,
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

    fn collection(&self, name: &str) -> Result<Arc<Collection>, Status> {
        let collections = self.0.collections.read().unwrap();
        collections
            .get(name)
            .cloned()
            .ok_or_else(|| Status::not_found(format!("Not found: Collection `{name}` doesn't exist!")))
    }

    /// Runs a call into the engine off the runtime.
    async fn on<T, F>(&self, name: &str, work: F) -> Result<T, Status>
    where
        T: Send + 'static,
        F: FnOnce(&Collection) -> Result<T, Status> + Send + 'static,
    {
        let collection = self.collection(name)?;
        tokio::task::spawn_blocking(move || work(&collection)).await.map_err(|e| Status::internal(e.to_string()))?
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

#[tonic::async_trait]
impl Collections for Server {
    async fn create(&self, request: Request<CreateCollection>) -> Result<Response<CollectionOperationResponse>, Status> {
        let mut created = self.enter(request).await?;
        if !self.0.options.keeps_metadata {
            created.metadata.clear();
        }
        let name = created.collection_name.clone();
        if self.collection(&name).is_ok() {
            return Err(Status::already_exists(format!("Wrong input: Collection `{name}` already exists!")));
        }
        let collection = tokio::task::spawn_blocking(move || {
            let directory = tempfile::tempdir()?;
            let shard = EdgeShard::new(directory.path(), convert::config(&created)?).map_err(convert::failed)?;
            let metadata = Mutex::new(created.metadata.clone());
            Ok::<_, Status>(Collection { shard, created, metadata, indexed: Mutex::default(), directory })
        });
        let collection = collection.await.map_err(|e| Status::internal(e.to_string()))??;
        self.0.collections.write().unwrap().insert(name, Arc::new(collection));
        Ok(Response::new(CollectionOperationResponse { result: true, time: 0.0 }))
    }

    async fn delete(&self, request: Request<DeleteCollection>) -> Result<Response<CollectionOperationResponse>, Status> {
        let name = self.enter(request).await?.collection_name;
        let removed = self.0.collections.write().unwrap().remove(&name);
        Ok(Response::new(CollectionOperationResponse { result: removed.is_some(), time: 0.0 }))
    }

    async fn get(&self, request: Request<GetCollectionInfoRequest>) -> Result<Response<GetCollectionInfoResponse>, Status> {
        let name = self.enter(request).await?.collection_name;
        let info = self.on(&name, |collection| Ok(convert::info(collection))).await?;
        Ok(Response::new(GetCollectionInfoResponse { result: Some(info), time: 0.0 }))
    }

    async fn list(&self, request: Request<ListCollectionsRequest>) -> Result<Response<ListCollectionsResponse>, Status> {
        self.enter(request).await?;
        let collections = self.0.collections.read().unwrap();
        let collections = collections.keys().map(|name| CollectionDescription { name: name.clone() }).collect();
        Ok(Response::new(ListCollectionsResponse { collections, time: 0.0 }))
    }

    async fn collection_exists(
        &self,
        request: Request<CollectionExistsRequest>,
    ) -> Result<Response<CollectionExistsResponse>, Status> {
        let name = self.enter(request).await?.collection_name;
        let result = Some(CollectionExists { exists: self.collection(&name).is_ok() });
        Ok(Response::new(CollectionExistsResponse { result, time: 0.0 }))
    }

    async fn update(&self, request: Request<UpdateCollection>) -> Result<Response<CollectionOperationResponse>, Status> {
        let UpdateCollection { collection_name, metadata, .. } = self.enter(request).await?;
        // Merged by its keys, as a real server does.
        self.collection(&collection_name)?.metadata.lock().unwrap().extend(metadata);
        Ok(Response::new(CollectionOperationResponse { result: true, time: 0.0 }))
    }

    not_here! {
        update_aliases(ChangeAliases) -> CollectionOperationResponse;
        list_collection_aliases(ListCollectionAliasesRequest) -> ListAliasesResponse;
        list_aliases(ListAliasesRequest) -> ListAliasesResponse;
        collection_cluster_info(CollectionClusterInfoRequest) -> CollectionClusterInfoResponse;
        update_collection_cluster_setup(UpdateCollectionClusterSetupRequest) -> UpdateCollectionClusterSetupResponse;
        create_shard_key(CreateShardKeyRequest) -> CreateShardKeyResponse;
        delete_shard_key(DeleteShardKeyRequest) -> DeleteShardKeyResponse;
        list_shard_keys(ListShardKeysRequest) -> ListShardKeysResponse;
    }
}

/// A connection that breaks when it is to answer after [`Faults::cut`].
struct Connection {
    stream: TcpStream,
    faults: Arc<Faults>,
}

impl Connected for Connection {
    type ConnectInfo = ();
    fn connect_info(&self) {}
}

impl AsyncRead for Connection {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<std::io::Result<()>> {
        Pin::new(&mut self.stream).poll_read(cx, buf)
    }
}

impl AsyncWrite for Connection {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<std::io::Result<usize>> {
        if self.faults.cutting.swap(false, Ordering::SeqCst) {
            return Poll::Ready(Err(std::io::ErrorKind::ConnectionReset.into()));
        }
        Pin::new(&mut self.stream).poll_write(cx, buf)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<std::io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<std::io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }
}
