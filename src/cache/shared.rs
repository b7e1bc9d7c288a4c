//! A tier that several machines share: a collection on a Qdrant server, without a graph, without payloads, on disk.
//!
//! It is asked by ids, in hundreds: what is looked up within a few milliseconds goes in one request. It is written to right after the
//! local file, before what was paid for is used. Whatever it does wrong costs its own short timeout and is a miss; then it is left
//! alone for a while.

mod rest;
#[cfg(test)]
mod tests;
mod wire;

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use futures_util::future::BoxFuture;
use futures_util::{FutureExt as _, StreamExt as _, stream};
use qdrant_client::qdrant::{GetPoints, UpsertPoints};
use qdrant_client::{Qdrant, QdrantError};
use tokio::sync::{OnceCell, Semaphore, mpsc, oneshot};
use tokio::task::JoinSet;
use tokio::time::timeout;
use tokio_util::task::AbortOnDropHandle;
use url::Url;
use uuid::Uuid;

use self::rest::Rest;
use super::key::{Key, Vector};
use super::tier::Tier;
use crate::providers::Secret;

/// Keys that one request asks for, at most.
const ROUND: usize = 256;
/// How long more keys are waited for.
const LINGER: Duration = Duration::from_millis(3);
/// Requests of a kind in flight at the same time.
const PARALLEL: usize = 4;
/// Bytes of vectors in one request, about: servers and proxies often stop at 4 MiB.
const BYTES: usize = 2 << 20;
/// How long one request may take.
const PATIENCE: Duration = Duration::from_secs(1);
/// How long it may take until the collection is there: a cluster agrees on it.
const OPENING: Duration = Duration::from_secs(3);
/// How long a server is left alone that failed.
const PAUSE: Duration = Duration::from_secs(30);

/// Where machines share what they paid for.
#[derive(Clone)]
pub struct SharedCache {
    /// The gRPC address of a Qdrant server or cluster.
    pub url: Url,
    /// Its key.
    pub api_key: Option<Secret>,
    /// How long one request may take. Then it is a miss, and the server is left alone for half a minute.
    pub patience: Duration,
}

impl SharedCache {
    /// The one at this address, which has a second for each request.
    pub fn new(url: Url, api_key: Option<Secret>) -> Self {
        Self { url, api_key, patience: PATIENCE }
    }
}

impl std::fmt::Debug for SharedCache {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("SharedCache").field("url", &bare(&self.url).as_str()).finish_non_exhaustive()
    }
}

/// What stands before an @ is never sent, and must not be printed.
fn bare(url: &Url) -> Url {
    let mut bare = url.clone();
    let _ = bare.set_username("");
    let _ = bare.set_password(None);
    bare
}

type Get = (Key, oneshot::Sender<Option<Vector>>);

/// See the module's page.
#[derive(Debug)]
pub(super) struct Shared {
    collection: Arc<Collection>,
    gets: mpsc::Sender<Get>,
    puts: Semaphore,
    /// Ends with this value.
    _worker: AbortOnDropHandle<()>,
}

impl Shared {
    /// The vectors of a model, `dimensions` wide. Nothing is asked yet; `None`, and it is said, where the address cannot be used.
    pub(super) fn open(shared: &SharedCache, fingerprint: &str, dimensions: usize) -> Option<Self> {
        let collection = Collection::new(shared, fingerprint, dimensions)
            .inspect_err(|error| tracing::warn!(%error, "the shared embedding cache cannot be used: going on without it"));
        let collection = Arc::new(collection.ok()?);
        let (gets, wanted) = mpsc::channel(ROUND);
        let worker = tokio::spawn(serve(Arc::clone(&collection), wanted));
        Some(Self { collection, gets, puts: Semaphore::new(PARALLEL), _worker: AbortOnDropHandle::new(worker) })
    }
}

#[async_trait]
impl Tier for Shared {
    async fn get(&self, key: Key) -> Option<Vector> {
        if !self.collection.rest.is_over() {
            return None;
        }
        let (answer, vector) = oneshot::channel();
        self.gets.send((key, answer)).await.ok()?;
        vector.await.ok()?
    }

    async fn put(&self, paid: &[(Key, Vector)]) {
        let width = self.collection.dimensions;
        let fit: Vec<_> = paid.iter().filter(|(_, vector)| vector.len() == width).collect();
        let batches = fit.chunks((BYTES / self.collection.bytes()).max(1));
        stream::iter(batches)
            .for_each_concurrent(PARALLEL, async |batch| {
                // What cannot be written in time is paid for by somebody else again: better than to hold up everybody.
                if let Ok(Ok(_permit)) = timeout(self.collection.patience, self.puts.acquire()).await {
                    self.collection.write(batch).await;
                }
            })
            .await;
    }
}

/// Collects what is asked for at the same time.
async fn serve(collection: Arc<Collection>, mut gets: mpsc::Receiver<Get>) {
    let mut rounds = JoinSet::new();
    let most = (BYTES / collection.bytes()).clamp(1, ROUND);
    loop {
        let mut wanted = Vec::new();
        if gets.recv_many(&mut wanted, most).await == 0 {
            return;
        }
        let more = async {
            while let Some(room @ 1..) = most.checked_sub(wanted.len()) {
                if gets.recv_many(&mut wanted, room).await == 0 {
                    break;
                }
            }
        };
        let _ = timeout(LINGER, more).await;
        while rounds.len() >= PARALLEL {
            rounds.join_next().await;
        }
        while rounds.try_join_next().is_some() {}
        let collection = Arc::clone(&collection);
        rounds.spawn(async move {
            // Who does not wait any more is not asked for.
            wanted.retain(|(_, answer)| !answer.is_closed());
            let (keys, answers): (Vec<Key>, Vec<_>) = wanted.into_iter().unzip();
            let mut found = if keys.is_empty() { HashMap::new() } else { collection.read(&keys).await };
            for (key, answer) in keys.iter().zip(answers) {
                let _ = answer.send(found.get_mut(key).cloned());
            }
        });
    }
}

/// The collection on the server.
struct Collection {
    client: Qdrant,
    name: String,
    described: String,
    fingerprint: String,
    dimensions: usize,
    patience: Duration,
    /// Set once the collection was seen to be this model's.
    known: OnceCell<()>,
    rest: Rest,
}

impl std::fmt::Debug for Collection {
    // By hand: the client's configuration holds the key.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Collection").field("described", &self.described).finish_non_exhaustive()
    }
}

/// Why a request was not answered.
#[derive(Debug, thiserror::Error)]
enum Fault {
    #[error("{}", words(.0))]
    Server(#[from] Box<QdrantError>),
    #[error("no answer in time")]
    Slow,
    /// Not to be tried again.
    #[error("{0}; remove the collection, or have it elsewhere")]
    Foreign(String),
}

/// What the server said, without its headers.
fn words(error: &QdrantError) -> String {
    match error {
        QdrantError::ResponseError { status } | QdrantError::ResourceExhaustedError { status, .. } => {
            format!("{}: {}", status.code().description(), status.message().lines().next().unwrap_or_default())
        }
        error => error.to_string(),
    }
}

impl Collection {
    fn new(shared: &SharedCache, fingerprint: &str, dimensions: usize) -> Result<Self, Box<QdrantError>> {
        let bare = bare(&shared.url);
        let name = name(fingerprint);
        let described = format!("{name} at {}", bare.as_str().trim_end_matches('/'));
        let mut config = Qdrant::from_url(bare.as_str())
            .timeout(OPENING.max(shared.patience))
            .connect_timeout(shared.patience)
            .skip_compatibility_check();
        config.api_key = shared.api_key.as_ref().map(|key| key.expose().to_owned());
        config.set_pool_size(PARALLEL);
        let (fingerprint, patience) = (fingerprint.to_owned(), shared.patience);
        let (known, rest) = (OnceCell::new(), Rest::default());
        Ok(Self { client: config.build().map_err(Box::new)?, name, described, fingerprint, dimensions, patience, known, rest })
    }

    /// About what a vector takes in a request or an answer.
    fn bytes(&self) -> usize {
        64 + self.dimensions * size_of::<f32>()
    }

    /// What is there of these keys.
    async fn read(&self, keys: &[Key]) -> HashMap<Key, Vector> {
        let by_id: HashMap<Uuid, &Key> = keys.iter().map(|key| (wire::id(key), key)).collect();
        let request = GetPoints {
            collection_name: self.name.clone(),
            ids: by_id.keys().map(|id| id.to_string().into()).collect(),
            with_payload: Some(false.into()),
            with_vectors: Some(true.into()),
            ..GetPoints::default()
        };
        let request = async { Ok(self.client.get_points(request).await.map_err(Box::new)?.result) };
        let answer = self.within(request.boxed()).await;
        let points = answer.unwrap_or_default().into_iter().filter_map(wire::read);
        let believed = points.filter_map(|(id, numbers)| {
            let key = *by_id.get(&id)?;
            let vector = wire::believed(key, self.dimensions, &numbers);
            if vector.is_none() {
                tracing::debug!(cache = %self.described, "a shared embedding is not what was put there: it is not used");
            }
            Some((*key, vector?))
        });
        believed.collect()
    }

    async fn write(&self, batch: &[&(Key, Vector)]) {
        let points = batch.iter().map(|(key, vector)| wire::point(key, vector)).collect();
        // Received is enough: what is lost is paid for once more.
        let request = UpsertPoints { collection_name: self.name.clone(), wait: Some(false), points, ..UpsertPoints::default() };
        let request = async { Ok(self.client.upsert_points(request).await.map(drop).map_err(Box::new)?) };
        self.within(request.boxed()).await;
    }

    /// Carries a request out, with the collection there, in time; `None` where that did not work, and then it is left alone.
    async fn within<T>(&self, request: BoxFuture<'_, Result<T, Fault>>) -> Option<T> {
        if !self.rest.is_over() {
            return None;
        }
        let open = || async { timeout(OPENING.max(self.patience), self.open().boxed()).await.map_err(|_| Fault::Slow)? };
        let done = async {
            self.known.get_or_try_init(open).await?;
            timeout(self.patience, request).await.map_err(|_| Fault::Slow)?
        };
        done.await.inspect_err(|fault| self.leave(fault)).ok()
    }

    /// Leaves the server alone for a while, or for good. Says so once.
    fn leave(&self, fault: &Fault) {
        let (cache, for_good) = (&self.described, matches!(fault, Fault::Foreign(_)));
        if !self.rest.begin((!for_good).then_some(PAUSE)) {
            tracing::debug!(%cache, %fault, "the shared embedding cache still does not do its part");
        } else if for_good {
            tracing::warn!(%cache, %fault, "the shared embedding cache cannot be used: going on without it");
        } else {
            let pause = PAUSE.as_secs();
            tracing::warn!(%cache, %fault, "the shared embedding cache does not do its part: asking again each {pause} s");
        }
    }

    /// Makes the collection where there is none, and looks whose it is.
    async fn open(&self) -> Result<(), Fault> {
        let info = async || match self.client.collection_info(&self.name).await {
            Ok(info) => Ok(info.result),
            Err(QdrantError::ResponseError { status }) if i32::from(status.code()) == NOT_FOUND => Ok(None),
            Err(error) => Err(Box::new(error)),
        };
        let mut there = info().await?;
        if there.is_none() {
            let request = wire::create(&self.name, &self.fingerprint, self.dimensions);
            let made = self.client.create_collection(request).await;
            there = info().await?;
            // Another machine may have been faster.
            if let (None, Err(error)) = (&there, made) {
                return Err(Box::new(error).into());
            }
        }
        let there = there.ok_or(Fault::Slow)?;
        wire::refusal(&there, &self.fingerprint, self.dimensions).map_or(Ok(()), |reason| Err(Fault::Foreign(reason)))
    }
}

/// gRPC's code.
const NOT_FOUND: i32 = 5;

/// The collection's name: the model's, as far as it may stand in one, and what tells it from all others.
fn name(fingerprint: &str) -> String {
    let may_stand = |c: char| if c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.') { c } else { '-' };
    let readable: String = fingerprint.chars().map(may_stand).take(80).collect();
    let hash = blake3::hash(fingerprint.as_bytes()).to_hex();
    format!("cache_{readable}_{}", hash.get(..16).unwrap_or_default())
}
