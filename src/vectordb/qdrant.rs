//! A Qdrant server or cluster, over gRPC.
//!
//! What the index was made with is kept in the collection's own metadata (Qdrant 1.16), so that it comes and goes with the
//! collection. A collection without it is somebody else's: it is neither read nor written nor removed.

mod wire;

use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use async_trait::async_trait;
use futures_util::{StreamExt, TryStreamExt, stream};
use qdrant_client::qdrant::{
    CollectionInfo, CountPoints, CreateFieldIndexCollection, DeletePoints, FacetCounts, FieldType, PointsSelector,
    RetrievedPoint, ScrollPoints, UpdateBatchPoints, UpdateCollection, UpsertPoints, WithVectorsSelector, facet_value,
};
use qdrant_client::{Qdrant, QdrantError};
use url::Url;
use uuid::Uuid;

use super::{
    Condition, DENSE, IndexMeta, KEYWORDS, MAX_DOCUMENTS, MAX_PAGE, MODIFIED, Query, StoreError, URI, VectorStore, check_query,
    check_widths, first_after, rank,
};
use crate::document::{Hit, Passage, Point};
use crate::providers::Secret;

/// Points in one request, at most.
const BATCH_POINTS: usize = 256;
/// Bytes in one request, about: proxies in front of a server often stop at 4 MiB or more.
const BATCH_BYTES: usize = 3 << 20;
/// Requests of one call that are in flight at the same time.
const PARALLEL: usize = 4;
/// Points read at once, at most.
const PAGE: usize = 256;
/// What a passage is taken to need in an answer, in bytes, where vectors are read with it: twice what 400 tokens do.
const USUAL_PASSAGE: usize = 4 << 10;
/// How long a connection may take to come about.
const CONNECT: Duration = Duration::from_secs(10);

/// A collection on a server. Connects when it is first used.
pub struct QdrantStore {
    client: Qdrant,
    collection: String,
    described: String,
    /// Set once the collection was seen to be ours.
    known: Mutex<Option<IndexMeta>>,
}

/// How points are read.
struct Pages {
    /// How many at once.
    size: usize,
    with_vectors: WithVectorsSelector,
    action: &'static str,
}

impl std::fmt::Debug for QdrantStore {
    // By hand: the client's configuration holds the key.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("QdrantStore").field("store", &self.described).finish_non_exhaustive()
    }
}

impl QdrantStore {
    /// The collection at a gRPC URL (`http` or `https`). `timeout` is for one request.
    pub fn new(url: &Url, api_key: Option<&Secret>, collection: &str, timeout: Duration) -> Result<Self, StoreError> {
        let mut bare = url.clone();
        // What stands before an @ is never sent, and must not be printed.
        let _ = bare.set_username("");
        let _ = bare.set_password(None);
        let described = format!("{collection} at {}", bare.as_str().trim_end_matches('/'));
        let mut config =
            Qdrant::from_url(bare.as_str()).timeout(timeout).connect_timeout(CONNECT.min(timeout)).skip_compatibility_check();
        config.api_key = api_key.map(|key| key.expose().to_owned());
        config.set_pool_size(PARALLEL);
        let client = config.build().map_err(|error| StoreError::Failed {
            store: described.clone(),
            action: "open",
            message: format!("the URL cannot be used: {error}"),
            source: None,
        })?;
        Ok(Self { client, collection: collection.to_owned(), described, known: Mutex::new(None) })
    }

    fn failed(&self, action: &'static str, message: impl Into<String>) -> StoreError {
        StoreError::Failed { store: self.described.clone(), action, message: message.into(), source: None }
    }

    /// Turns the client's errors into ours.
    fn explain(&self, action: &'static str) -> impl Fn(QdrantError) -> StoreError {
        move |error| wire::explain(error, &self.described, action)
    }

    fn remember(&self, meta: Option<IndexMeta>) {
        *self.known.lock().unwrap_or_else(PoisonError::into_inner) = meta;
    }

    async fn info(&self, action: &'static str) -> Result<Option<CollectionInfo>, StoreError> {
        match self.client.collection_info(&self.collection).await.map_err(self.explain(action)) {
            Ok(info) => Ok(info.result),
            Err(StoreError::Missing { .. }) => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// What a collection was made with. One that is not ours is refused.
    fn meta_of(&self, info: &CollectionInfo, action: &'static str) -> Result<IndexMeta, StoreError> {
        wire::read_meta(info).map_err(|reason| {
            self.failed(action, format!("this collection is not ragstream's ({reason}); name another `collection`"))
        })
    }

    /// The index's width, after the collection was seen to be ours.
    async fn dimensions(&self, action: &'static str) -> Result<usize, StoreError> {
        if let Some(meta) = &*self.known.lock().unwrap_or_else(PoisonError::into_inner) {
            return Ok(meta.dimensions);
        }
        let missing = || StoreError::Missing { store: self.described.clone() };
        let info = self.info(action).await?.ok_or_else(missing)?;
        let meta = self.meta_of(&info, action)?;
        // Its making was cut short between the collection and its indexes, or it is from before there were all of them.
        self.index(&info, action).await?;
        let dimensions = meta.dimensions;
        self.remember(Some(meta));
        Ok(dimensions)
    }

    /// Makes the payload indexes that the collection does not have.
    async fn index(&self, info: &CollectionInfo, action: &'static str) -> Result<(), StoreError> {
        let keywords = KEYWORDS.map(|key| (key, FieldType::Keyword));
        for (key, kind) in keywords.into_iter().chain([(MODIFIED, FieldType::Integer)]) {
            if info.payload_schema.contains_key(key) {
                continue;
            }
            let index = CreateFieldIndexCollection {
                collection_name: self.collection.clone(),
                wait: Some(true),
                field_name: key.to_owned(),
                field_type: Some(kind.into()),
                ..CreateFieldIndexCollection::default()
            };
            self.client.create_field_index(index).await.map_err(self.explain(action))?;
        }
        Ok(())
    }

    /// Points after an id, at most `limit`, in as many requests as that takes.
    async fn pages<T>(
        &self,
        after: Option<Uuid>,
        limit: usize,
        pages: Pages,
        read: impl Fn(RetrievedPoint) -> Result<T, String>,
        id: impl Fn(&T) -> Uuid,
    ) -> Result<Vec<T>, StoreError> {
        let limit = limit.min(MAX_PAGE);
        let mut points = Vec::new();
        let mut from = first_after(after);
        while let (Some(start), Some(left @ 1..)) = (from, limit.checked_sub(points.len())) {
            let asked = left.min(pages.size);
            let request = ScrollPoints {
                collection_name: self.collection.clone(),
                offset: Some(start.to_string().into()),
                limit: Some(asked as u32),
                with_payload: Some(true.into()),
                with_vectors: Some(pages.with_vectors.clone()),
                ..ScrollPoints::default()
            };
            let page = self.client.scroll(request).await.map_err(self.explain(pages.action))?.result;
            let full = page.len() >= asked;
            for point in page {
                points.push(read(point).map_err(|reason| self.failed(pages.action, reason))?);
            }
            from = if full { first_after(points.last().map(&id)) } else { None };
        }
        Ok(points)
    }

    async fn delete_points(&self, points: PointsSelector, action: &'static str) -> Result<(), StoreError> {
        let request = DeletePoints {
            collection_name: self.collection.clone(),
            wait: Some(true),
            points: Some(points),
            ..DeletePoints::default()
        };
        self.client.delete_points(request).await.map_err(self.explain(action))?;
        Ok(())
    }
}

#[async_trait]
impl VectorStore for QdrantStore {
    fn describe(&self) -> String {
        self.described.clone()
    }

    async fn meta(&self) -> Result<Option<IndexMeta>, StoreError> {
        match self.info("read what the index was made with").await? {
            Some(info) => self.meta_of(&info, "read what the index was made with").map(Some),
            None => Ok(None),
        }
    }

    async fn create(&self, meta: &IndexMeta) -> Result<(), StoreError> {
        const ACTION: &str = "create";
        if meta.dimensions == 0 {
            return Err(self.failed(ACTION, "vectors need at least one dimension"));
        }
        let request = wire::create(&self.collection, meta).map_err(|reason| self.failed(ACTION, reason))?;
        self.client.create_collection(request).await.map_err(self.explain(ACTION))?;
        let kept = self.info(ACTION).await?.is_some_and(|info| wire::read_meta(&info).is_ok_and(|kept| kept == *meta));
        if !kept {
            // Just made, hence ours to remove.
            self.client.delete_collection(&self.collection).await.map_err(self.explain(ACTION))?;
            return Err(self.failed(ACTION, "the server keeps no metadata of collections: Qdrant 1.16 or newer is needed"));
        }
        self.index(&CollectionInfo::default(), ACTION).await?;
        self.remember(Some(meta.clone()));
        Ok(())
    }

    async fn set_meta(&self, meta: &IndexMeta) -> Result<(), StoreError> {
        const ACTION: &str = "write what the index was made with";
        self.dimensions(ACTION).await?;
        let metadata = wire::metadata(meta).map_err(|reason| self.failed(ACTION, reason))?;
        let request = UpdateCollection { collection_name: self.collection.clone(), metadata, ..UpdateCollection::default() };
        self.client.update_collection(request).await.map_err(self.explain(ACTION))?;
        self.remember(Some(meta.clone()));
        Ok(())
    }

    async fn drop_index(&self) -> Result<(), StoreError> {
        const ACTION: &str = "remove";
        self.remember(None);
        let Some(info) = self.info(ACTION).await? else { return Ok(()) };
        self.meta_of(&info, ACTION)?;
        self.client.delete_collection(&self.collection).await.map_err(self.explain(ACTION))?;
        Ok(())
    }

    async fn upsert(&self, points: Vec<Point>) -> Result<(), StoreError> {
        const ACTION: &str = "write points";
        let dimensions = self.dimensions(ACTION).await?;
        check_widths(&points, dimensions).map_err(|reason| self.failed(ACTION, reason))?;
        let batches =
            batches(points, |point| point.dense.len() * 4 + point.sparse.indices.len() * 8 + passage_bytes(&point.passage));
        stream::iter(batches.into_iter().map(|batch| async {
            let points = batch.into_iter().map(wire::point).collect::<Result<_, _>>();
            let request = UpsertPoints {
                collection_name: self.collection.clone(),
                wait: Some(true),
                points: points.map_err(|reason| self.failed(ACTION, reason))?,
                ..UpsertPoints::default()
            };
            self.client.upsert_points(request).await.map(drop).map_err(self.explain(ACTION))
        }))
        .buffer_unordered(PARALLEL)
        .try_collect()
        .await
    }

    async fn set_passages(&self, passages: Vec<(Uuid, Passage)>) -> Result<(), StoreError> {
        const ACTION: &str = "write passages";
        self.dimensions(ACTION).await?;
        let batches = batches(passages, |(_, passage)| passage_bytes(passage));
        stream::iter(batches.into_iter().map(|batch| async {
            let operations = batch.into_iter().map(|(id, passage)| wire::overwrite(id, &passage)).collect::<Result<_, _>>();
            let request = UpdateBatchPoints {
                collection_name: self.collection.clone(),
                wait: Some(true),
                operations: operations.map_err(|reason| self.failed(ACTION, reason))?,
                ..UpdateBatchPoints::default()
            };
            self.client.update_points_batch(request).await.map(drop).map_err(self.explain(ACTION))
        }))
        .buffer_unordered(PARALLEL)
        .try_collect()
        .await
    }

    async fn delete(&self, ids: Vec<Uuid>) -> Result<(), StoreError> {
        const ACTION: &str = "delete points";
        self.dimensions(ACTION).await?;
        for ids in ids.chunks(BATCH_POINTS * 4) {
            self.delete_points(wire::select_ids(ids), ACTION).await?;
        }
        Ok(())
    }

    async fn delete_document(&self, uri: &str) -> Result<(), StoreError> {
        const ACTION: &str = "delete a document";
        self.dimensions(ACTION).await?;
        self.delete_points(wire::select_document(uri), ACTION).await
    }

    async fn query_where(&self, query: Query, conditions: &[Condition], limit: usize) -> Result<Vec<Hit>, StoreError> {
        const ACTION: &str = "search";
        let dimensions = self.dimensions(ACTION).await?;
        let limit = limit.min(MAX_PAGE);
        let finds = check_query(&query, dimensions).map_err(|reason| self.failed(ACTION, reason))?;
        let (true, 1..) = (finds, limit) else { return Ok(Vec::new()) };
        let found =
            self.client.query(wire::query(&self.collection, query, conditions, limit)).await.map_err(self.explain(ACTION))?;
        let hits = found.result.into_iter().map(wire::hit).collect::<Result<_, _>>();
        Ok(rank(hits.map_err(|reason| self.failed(ACTION, reason))?))
    }

    async fn uris(&self, conditions: &[Condition]) -> Result<Vec<String>, StoreError> {
        const ACTION: &str = "list documents";
        self.dimensions(ACTION).await?;
        let request = FacetCounts {
            collection_name: self.collection.clone(),
            key: URI.to_owned(),
            filter: wire::filter(conditions),
            limit: Some(MAX_DOCUMENTS as u64),
            exact: Some(true),
            ..FacetCounts::default()
        };
        let found = self.client.facet(request).await.map_err(self.explain(ACTION))?;
        let uris = found.hits.into_iter().filter_map(|hit| match hit.value?.variant? {
            facet_value::Variant::StringValue(uri) => Some(uri),
            _ => None,
        });
        Ok(uris.collect())
    }

    async fn count(&self) -> Result<u64, StoreError> {
        const ACTION: &str = "count points";
        self.dimensions(ACTION).await?;
        let request = CountPoints { collection_name: self.collection.clone(), exact: Some(true), ..CountPoints::default() };
        let counted = self.client.count(request).await.map_err(self.explain(ACTION))?;
        Ok(counted.result.map_or(0, |result| result.count))
    }

    async fn scroll(&self, after: Option<Uuid>, limit: usize) -> Result<Vec<(Uuid, Passage)>, StoreError> {
        const ACTION: &str = "read points";
        self.dimensions(ACTION).await?;
        let pages = Pages { size: PAGE, with_vectors: false.into(), action: ACTION };
        self.pages(after, limit, pages, |point| wire::passage(point.id, point.payload), |(id, _)| *id).await
    }

    async fn scroll_points(&self, after: Option<Uuid>, limit: usize) -> Result<Vec<(Uuid, Vec<f32>, Passage)>, StoreError> {
        const ACTION: &str = "read vectors";
        let size = (BATCH_BYTES / (self.dimensions(ACTION).await? * 4 + USUAL_PASSAGE)).clamp(1, PAGE);
        let pages = Pages { size, with_vectors: vec![DENSE].into(), action: ACTION };
        self.pages(after, limit, pages, wire::with_vector, |(id, ..)| *id).await
    }

    async fn flush(&self) -> Result<(), StoreError> {
        // The server looks after its own files.
        Ok(())
    }
}

fn passage_bytes(passage: &Passage) -> usize {
    let headings = passage.headings.iter().chain(&passage.columns).map(String::len).sum::<usize>();
    128 + passage.uri.len() + passage.title.as_ref().map_or(0, String::len) + headings + passage.text.len()
}

/// Cuts a list into batches of at most [`BATCH_POINTS`] items and about [`BATCH_BYTES`] bytes. An item that is bigger on its own
/// goes on its own.
fn batches<T>(items: Vec<T>, bytes: impl Fn(&T) -> usize) -> Vec<Vec<T>> {
    let mut batches = Vec::new();
    let mut batch = Vec::new();
    let mut held = 0;
    for item in items {
        let size = bytes(&item);
        if !batch.is_empty() && (batch.len() == BATCH_POINTS || held + size > BATCH_BYTES) {
            batches.push(std::mem::take(&mut batch));
            held = 0;
        }
        held += size;
        batch.push(item);
    }
    if !batch.is_empty() {
        batches.push(batch);
    }
    batches
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn batches_keep_to_both_limits_and_lose_nothing() {
        let sizes = |items: Vec<usize>| batches(items, |n| *n).into_iter().map(|b| b.len()).collect::<Vec<_>>();
        assert_eq!(sizes(vec![]), Vec::<usize>::new());
        assert_eq!(sizes(vec![1; 600]), [256, 256, 88]);
        assert_eq!(sizes(vec![BATCH_BYTES / 2; 5]), [2, 2, 1]);
        assert_eq!(sizes(vec![1, BATCH_BYTES * 2, 1]), [1, 1, 1]);
    }

    #[test]
    #[allow(clippy::unwrap_used, reason = "a test")]
    fn neither_a_key_nor_a_password_is_shown() {
        let url = "https://user:pa55@db.example:6334".parse().unwrap();
        let key = Secret::new("k3y");
        let store = QdrantStore::new(&url, Some(&key), "docs", Duration::from_secs(1)).unwrap();
        let shown = format!("{store:?} {}", store.describe());
        assert!(!shown.contains("pa55") && !shown.contains("k3y") && !shown.contains("user"), "{shown}");
        assert_eq!(store.describe(), "docs at https://db.example:6334");
    }
}
