//! Writing: points in as many requests as the server wants, each of which is waited for.

use futures_util::{StreamExt, TryStreamExt, stream};
use qdrant_client::qdrant::{DeletePoints, PointsSelector, UpdateBatchPoints, UpdateResult, UpsertPoints, WriteOrdering};
use uuid::Uuid;

use super::batches::{BATCH_POINTS, batches, passage_bytes};
use super::bounds::{About, Bound};
use super::{PARALLEL, QdrantStore, cluster, wire};
use crate::document::{Passage, Point};
use crate::vectordb::{StoreError, check_points};

impl QdrantStore {
    /// Writes points, several requests at a time.
    pub(super) async fn write_points(&self, points: Vec<Point>) -> Result<(), StoreError> {
        const ACTION: &str = "write points";
        let dimensions = self.dimensions(ACTION).await?;
        check_points(&points, dimensions).map_err(|reason| self.failed(ACTION, reason))?;
        let batches =
            batches(points, |point| point.dense.len() * 4 + point.sparse.indices.len() * 8 + passage_bytes(&point.passage));
        let send = async |points| {
            let collection_name = self.collection.clone();
            let ordering = Some(self.ordering());
            let request = UpsertPoints { collection_name, wait: Some(true), points, ordering, ..UpsertPoints::default() };
            self.applied(self.client.upsert_points(request).await.map_err(self.explain(ACTION))?.result)
        };
        stream::iter(batches.into_iter().map(|batch| async {
            let points = batch.into_iter().map(wire::point).collect::<Result<_, _>>();
            let points = points.map_err(|reason| self.failed(ACTION, reason))?;
            self.in_parts(points, &self.bounds.written, send).await
        }))
        .buffer_unordered(PARALLEL)
        .try_collect()
        .await
    }

    /// Replaces passages, several requests at a time.
    pub(super) async fn write_passages(&self, passages: Vec<(Uuid, Passage)>) -> Result<(), StoreError> {
        const ACTION: &str = "write passages";
        self.dimensions(ACTION).await?;
        let batches = batches(passages, |(_, passage)| passage_bytes(passage));
        let send = async |operations| {
            let collection_name = self.collection.clone();
            let (wait, ordering) = (Some(true), Some(self.ordering()));
            let request = UpdateBatchPoints { collection_name, wait, operations, ordering, ..UpdateBatchPoints::default() };
            self.applied(self.client.update_points_batch(request).await.map_err(self.explain(ACTION))?.result)
        };
        stream::iter(batches.into_iter().map(|batch| async {
            let operations = batch.into_iter().map(|(id, passage)| wire::overwrite(id, &passage)).collect::<Result<_, _>>();
            let operations = operations.map_err(|reason| self.failed(ACTION, reason))?;
            self.in_parts(operations, &self.bounds.written, send).await
        }))
        .buffer_unordered(PARALLEL)
        .try_collect()
        .await
    }

    /// Deletes points, one request after the other.
    pub(super) async fn delete_ids(&self, ids: Vec<Uuid>) -> Result<(), StoreError> {
        const ACTION: &str = "delete points";
        self.dimensions(ACTION).await?;
        let send = async |ids: Vec<Uuid>| self.delete_points(wire::select_ids(&ids), ACTION).await;
        for ids in ids.chunks(BATCH_POINTS * 4) {
            self.in_parts(ids.to_vec(), &self.bounds.written, send).await?;
        }
        Ok(())
    }

    /// Deletes the points that a selector names.
    pub(super) async fn delete_points(&self, points: PointsSelector, action: &'static str) -> Result<(), StoreError> {
        let request = DeletePoints {
            collection_name: self.collection.clone(),
            wait: Some(true),
            points: Some(points),
            ordering: Some(self.ordering()),
            ..DeletePoints::default()
        };
        self.applied(self.client.delete_points(request).await.map_err(self.explain(action))?.result)
    }

    /// How each write is ordered.
    pub(super) fn ordering(&self) -> WriteOrdering {
        cluster::ordering(self.spread.ordering)
    }

    /// A write that was received and not carried out may still be, or not at all: it is written again.
    fn applied(&self, results: impl IntoIterator<Item = UpdateResult>) -> Result<(), StoreError> {
        let results: Vec<_> = results.into_iter().collect();
        let unavailable = |message| StoreError::Unavailable { store: self.described.clone(), message, source: None };
        cluster::applied(&results).map_err(unavailable)
    }

    /// Sends items in as many requests as the server wants, one after the other.
    async fn in_parts<T: Clone, F>(&self, items: Vec<T>, bound: &Bound, send: impl Fn(Vec<T>) -> F) -> Result<(), StoreError>
    where
        F: Future<Output = Result<(), StoreError>>,
    {
        let mut parts = vec![items];
        while let Some(mut part) = parts.pop() {
            let most = bound.of(part.len());
            if part.len() > most {
                parts.push(part.split_off(most));
            }
            match send(part.clone()).await {
                Err(error) if bound.shrinks(part.len(), &error, About::Size) => parts.push(part),
                sent => sent?,
            }
        }
        Ok(())
    }
}
