//! A Qdrant server or cluster, over gRPC.
//!
//! What the index was made with is kept in the collection's own metadata (Qdrant 1.16), so that it comes and goes with the
//! collection. A collection without it is somebody else's: it is neither read nor written nor removed.
//!
//! The server weighs words (its `idf` modifier): it alone knows the points of a collection that several homes write to, and has no
//! way to ask for a term's document frequency. It counts deleted points until it has tidied its segments up.

mod batches;
mod bounds;
mod cluster;
mod wire;
mod write;

use std::collections::{HashMap, HashSet};
use std::sync::atomic::{AtomicU32, Ordering::Relaxed};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use async_trait::async_trait;
use qdrant_client::qdrant::{
    CollectionInfo, CountPoints, CreateFieldIndexCollection, FacetCounts, FieldType, Filter, GetPoints, RetrievedPoint,
    ScrollPoints, UpdateCollection, WithPayloadSelector, WithVectorsSelector, facet_value,
};
use qdrant_client::{Qdrant, QdrantError};
use url::Url;
use uuid::Uuid;

use self::batches::BATCH_BYTES;
use self::bounds::{About, Bounds};
use self::cluster::Differs;
pub(super) use self::cluster::{hint as outage_hint, is_of_a_part};
use super::{
    Condition, DENSE, IndexMeta, KEYWORDS, MAX_DOCUMENTS, MAX_PAGE, MODIFIED, Query, Spread, StoreError, URI, VectorStore,
    check_query, first_after, in_order, rank,
};
use crate::document::{Hit, Passage, Point};
use crate::providers::Secret;

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
    bounds: Bounds,
    spread: Spread,
    /// Copies of each shard, as last seen.
    copies: AtomicU32,
}

/// How points are read.
struct Pages {
    /// How many at once.
    size: usize,
    filter: Option<Filter>,
    with_payload: WithPayloadSelector,
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
        Ok(Self {
            client,
            collection: collection.to_owned(),
            described,
            known: Mutex::new(None),
            bounds: Bounds::none(),
            spread: Spread::default(),
            copies: AtomicU32::new(1),
        })
    }

    /// The same with a collection that is made as it says, and must be so where it is written to.
    #[must_use]
    pub fn with_spread(self, spread: Spread) -> Self {
        Self { spread, ..self }
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
            Ok(info) => {
                let params = info.result.as_ref().and_then(wire::params);
                self.copies.store(cluster::copies(params), Relaxed);
                Ok(info.result)
            }
            Err(StoreError::Missing { .. }) => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// What a collection was made with. One that is not ours is refused.
    fn meta_of(&self, info: &CollectionInfo, action: &'static str) -> Result<IndexMeta, StoreError> {
        wire::read_meta(info).map_err(|reason| {
            let message = format!("this collection is not ragstream's ({reason}); name another `collection`");
            StoreError::Denied { store: self.described.clone(), action, message }
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
                ordering: Some(self.ordering()),
                ..CreateFieldIndexCollection::default()
            };
            match self.client.create_field_index(index).await.map_err(self.explain(action)) {
                Err(error) if wire::exists_already(&error) => {}
                made => drop(made?),
            }
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
        let mut points = Vec::new();
        let mut from = first_after(after);
        while let (Some(start), Some(left @ 1..)) = (from, limit.checked_sub(points.len())) {
            let asked = self.bounds.read.of(left.min(pages.size));
            let request = ScrollPoints {
                collection_name: self.collection.clone(),
                offset: Some(start.to_string().into()),
                limit: Some(asked as u32),
                filter: pages.filter.clone(),
                with_payload: Some(pages.with_payload.clone()),
                with_vectors: Some(pages.with_vectors.clone()),
                ..ScrollPoints::default()
            };
            let page = match self.client.scroll(request).await.map_err(self.explain(pages.action)) {
                Err(error) if self.bounds.read.shrinks(asked, &error, About::Size) => continue,
                page => page?.result,
            };
            let full = page.len() >= asked;
            for point in page {
                points.push(read(point).map_err(|reason| self.failed(pages.action, reason))?);
            }
            from = if full { first_after(points.last().map(&id)) } else { None };
        }
        Ok(points)
    }

    /// The best passages that meet the conditions, in as many requests as the server wants.
    async fn found(&self, query: &Query, conditions: &[Condition], limit: usize) -> Result<Vec<Hit>, StoreError> {
        const ACTION: &str = "search";
        let (mut hits, mut seen, mut offset) = (Vec::new(), HashSet::new(), 0);
        while offset < limit {
            let asked = self.bounds.found.of(limit - offset);
            let filter = wire::filter(conditions, self.bounds.values.of(usize::MAX));
            let request = wire::query(&self.collection, query.clone(), filter, asked, offset);
            let page = match self.client.query(request).await.map_err(self.explain(ACTION)) {
                Err(error) if self.bounds.found.shrinks(asked, &error, About::Size) => continue,
                page => page?.result,
            };
            let (got, before) = (page.len(), hits.len());
            for point in page {
                let hit = wire::hit(point).map_err(|reason| self.failed(ACTION, reason))?;
                if seen.insert(hit.id) {
                    hits.push(hit);
                }
            }
            // A server that begins anew each time is not asked for ever.
            if got < asked || hits.len() == before {
                break;
            }
            offset += got;
        }
        Ok(hits)
    }

    /// What `ask` says to conditions that the server takes: all at once, or a part of their values each time. A document meets one
    /// of the parts where it meets all of them.
    async fn narrowed<T, F>(&self, conditions: &[Condition], ask: impl Fn(Vec<Condition>) -> F) -> Result<Vec<T>, StoreError>
    where
        F: Future<Output = Result<Vec<T>, StoreError>>,
    {
        let Bounds { values, choices, .. } = &self.bounds;
        'anew: loop {
            let (most, most_choices) = (values.of(usize::MAX), choices.of(usize::MAX));
            let mut found = Vec::new();
            for part in wire::parts(conditions, most, most_choices) {
                let (one, several) = wire::sizes(&part, most);
                match ask(part).await {
                    Err(error)
                        if values.shrinks(one, &error, About::Values) || choices.shrinks(several, &error, About::Choices) =>
                    {
                        continue 'anew;
                    }
                    answer => found.extend(answer?),
                }
            }
            return Ok(found);
        }
    }

    /// The documents whose passages meet the conditions.
    async fn documents(&self, conditions: &[Condition]) -> Result<Vec<String>, StoreError> {
        const ACTION: &str = "list documents";
        let filter = wire::filter(conditions, self.bounds.values.of(usize::MAX));
        let found = loop {
            let asked = self.bounds.counted.of(MAX_DOCUMENTS);
            let request = FacetCounts {
                collection_name: self.collection.clone(),
                key: URI.to_owned(),
                filter: filter.clone(),
                limit: Some(asked as u64),
                exact: Some(true),
                ..FacetCounts::default()
            };
            match self.client.facet(request).await.map_err(self.explain(ACTION)) {
                Err(error) if self.bounds.counted.shrinks(asked, &error, About::Size) => {}
                found => {
                    let hits = found?.hits;
                    // There may be more of them than may be counted.
                    break (hits.len() < asked || asked == MAX_DOCUMENTS).then_some(hits);
                }
            }
        };
        if let Some(hits) = found {
            let uris = hits.into_iter().filter_map(|hit| match hit.value?.variant? {
                facet_value::Variant::StringValue(uri) => Some(uri),
                _ => None,
            });
            return Ok(uris.collect());
        }
        let pages =
            Pages { size: MAX_PAGE, filter, with_payload: vec![URI].into(), with_vectors: false.into(), action: ACTION };
        let points = self.pages(None, usize::MAX, pages, wire::uri, |(id, _)| *id).await?;
        let uris: HashSet<String> = points.into_iter().map(|(_, uri)| uri).collect();
        Ok(uris.into_iter().take(MAX_DOCUMENTS).collect())
    }
}

#[async_trait]
impl VectorStore for QdrantStore {
    fn describe(&self) -> String {
        self.described.clone()
    }

    async fn meta(&self) -> Result<Option<IndexMeta>, StoreError> {
        const ACTION: &str = "read what the index was made with";
        let meta = match self.info(ACTION).await? {
            Some(info) => Some(self.meta_of(&info, ACTION)?),
            None => None,
        };
        // Another process may have made it anew: it is looked at again before it is used.
        let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        if known.as_ref().is_some_and(|known| !meta.as_ref().is_some_and(|meta| meta.is_alike(known))) {
            *known = None;
        }
        Ok(meta)
    }

    async fn create(&self, meta: &IndexMeta) -> Result<(), StoreError> {
        const ACTION: &str = "create";
        if meta.dimensions == 0 {
            return Err(self.failed(ACTION, "vectors need at least one dimension"));
        }
        let request = wire::create(&self.collection, meta, &self.spread).map_err(|reason| self.failed(ACTION, reason))?;
        self.client.create_collection(request).await.map_err(self.explain(ACTION))?;
        // Another run may have written its own generation by now.
        let info = self.info(ACTION).await?.unwrap_or_default();
        let Ok(kept) = wire::read_meta(&info) else {
            // Just made, hence ours to remove.
            self.client.delete_collection(&self.collection).await.map_err(self.explain(ACTION))?;
            return Err(self.failed(ACTION, "the server keeps no metadata of collections: Qdrant 1.16 or newer is needed"));
        };
        self.index(&info, ACTION).await?;
        self.remember(Some(kept));
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
        self.write_points(points).await
    }

    async fn set_passages(&self, passages: Vec<(Uuid, Passage)>) -> Result<(), StoreError> {
        self.write_passages(passages).await
    }

    async fn delete(&self, ids: Vec<Uuid>) -> Result<(), StoreError> {
        self.delete_ids(ids).await
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
        let hits = self.narrowed(conditions, async |part: Vec<Condition>| self.found(&query, &part, limit).await).await?;
        let mut seen = HashSet::new();
        let mut hits = rank(hits.into_iter().filter(|hit| seen.insert(hit.id)).collect());
        hits.truncate(limit);
        Ok(hits)
    }

    async fn uris(&self, conditions: &[Condition]) -> Result<Vec<String>, StoreError> {
        self.dimensions("list documents").await?;
        let uris = self.narrowed(conditions, async |part: Vec<Condition>| self.documents(&part).await).await?;
        let uris: HashSet<String> = uris.into_iter().collect();
        Ok(uris.into_iter().take(MAX_DOCUMENTS).collect())
    }

    async fn acquire(&self) -> Result<(), StoreError> {
        const ACTION: &str = "read how the collection is spread";
        let Some(info) = self.info(ACTION).await? else { return Ok(()) };
        self.meta_of(&info, ACTION)?;
        match Differs::of(&self.spread, wire::params(&info), &self.collection) {
            None => Ok(()),
            Some(Differs { found, wanted, hint }) => {
                Err(StoreError::Spread { store: self.described.clone(), found, wanted, hint })
            }
        }
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
        let pages = Pages { size: PAGE, filter: None, with_payload: true.into(), with_vectors: false.into(), action: ACTION };
        self.pages(after, limit.min(MAX_PAGE), pages, |point| wire::passage(point.id, point.payload), |(id, _)| *id).await
    }

    async fn scroll_points(&self, after: Option<Uuid>, limit: usize) -> Result<Vec<(Uuid, Vec<f32>, Passage)>, StoreError> {
        const ACTION: &str = "read vectors";
        let size = (BATCH_BYTES / (self.dimensions(ACTION).await? * 4 + USUAL_PASSAGE)).clamp(1, PAGE);
        let pages = Pages { size, filter: None, with_payload: true.into(), with_vectors: vec![DENSE].into(), action: ACTION };
        self.pages(after, limit.min(MAX_PAGE), pages, wire::with_vector, |(id, ..)| *id).await
    }

    async fn passages_of(&self, uri: &str) -> Result<Vec<Passage>, StoreError> {
        const ACTION: &str = "read a document";
        self.dimensions(ACTION).await?;
        let filter = Some(Filter::must([qdrant_client::qdrant::Condition::matches(URI, uri.to_owned())]));
        let pages = Pages { size: PAGE, filter, with_payload: true.into(), with_vectors: false.into(), action: ACTION };
        let found = self.pages(None, MAX_PAGE, pages, |point| wire::passage(point.id, point.payload), |(id, _)| *id).await?;
        Ok(in_order(found.into_iter().map(|(_, passage)| passage).collect()))
    }

    async fn passages(&self, ids: Vec<Uuid>) -> Result<Vec<Option<Passage>>, StoreError> {
        const ACTION: &str = "read points";
        self.dimensions(ACTION).await?;
        let mut left = ids.as_slice();
        let mut found = HashMap::new();
        while !left.is_empty() {
            let asked = self.bounds.read.of(left.len().min(PAGE));
            let (part, rest) = left.split_at(asked);
            let request = GetPoints {
                collection_name: self.collection.clone(),
                ids: part.iter().map(|id| wire::to_id(*id)).collect(),
                with_payload: Some(true.into()),
                with_vectors: Some(false.into()),
                read_consistency: cluster::decisive(self.copies.load(Relaxed)),
                ..GetPoints::default()
            };
            let points = match self.client.get_points(request).await.map_err(self.explain(ACTION)) {
                Err(error) if self.bounds.read.shrinks(asked, &error, About::Size) => continue,
                points => points?.result,
            };
            for point in points {
                let (id, passage) = wire::passage(point.id, point.payload).map_err(|reason| self.failed(ACTION, reason))?;
                found.insert(id, passage);
            }
            left = rest;
        }
        // An id may be asked for twice.
        Ok(ids.iter().map(|id| found.get(id).cloned()).collect())
    }

    async fn flush(&self) -> Result<(), StoreError> {
        // The server looks after its own files.
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

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
