//! The ledger that several workers share: see [`Ledger`] for what it promises.

pub(super) mod documents;
pub(super) mod missing;
pub(super) mod reading;
mod recorded;
mod state;

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use tokio_postgres::types::Type;

use self::recorded::{UNCHANGED, differences, failures, meta, totals};
use super::Cluster;
use super::inner::shared;
use super::key::key_of;
use crate::ingest::ledger::{
    Commit, Cursor, Difference, Epoch, FailedDocument, Fenced, Intent, Ledger, LedgerError, Listing, Meta, MissingCount,
    MissingPage, Moved, PriorState, RunId, Scope, Staged, Totals,
};
use crate::source::SourceId;
use crate::source::state::State;

/// How often is looked whether a lease was renewed.
const UNCERTAIN: Duration = Duration::from_millis(50);

#[async_trait]
impl Ledger for Cluster {
    async fn meta(&self) -> Result<Meta, LedgerError> {
        meta(&self.inner).await.map_err(shared)
    }

    async fn set_meta(&self, meta: &Meta) -> Result<(), LedgerError> {
        let generation = meta.generation.map(|generation| generation.to_string());
        self.inner
            .database
            .ask(
                "UPDATE ragstream.corpora SET base = $2, generation = $3 WHERE id = $1",
                &[(&self.inner.corpus, Type::INT4), (&meta.base, Type::TEXT), (&generation, Type::TEXT)],
            )
            .await
            .map(drop)
            .map_err(shared)
    }

    async fn begin_run(&self) -> Result<RunId, LedgerError> {
        self.inner.notes.begin_run().await
    }

    async fn end_run(&self, run: RunId) -> Result<(), LedgerError> {
        self.inner.notes.end_run(run).await
    }

    async fn note_listed(&self, run: RunId, source: &SourceId, items: Vec<Listing>) -> Result<Vec<Difference>, LedgerError> {
        let keys: Vec<String> = items.iter().map(|item| key_of(&item.uri).0).collect();
        let first = self.inner.notes.note(run, keys.clone()).await?;
        let versions: Vec<&[u8]> = items.iter().map(|item| item.version.as_bytes()).collect();
        // What a worker found nothing in is listed again, and judged anew; not by who has slept and does not lead any more.
        let sql = format!(
            "WITH given AS (
                 SELECT * FROM unnest($3::text[], $4::bytea[], $5::bool[]) WITH ORDINALITY AS g(key, version, first, n)),
             leads AS (SELECT 1 FROM ragstream.roles WHERE corpus = $1 AND role = 'walk' AND owner = $6 FOR SHARE),
             again AS (
                 UPDATE ragstream.documents d SET unlisted = false FROM given g, leads
                 WHERE d.corpus = $1 AND d.key = g.key AND d.key = ANY($3) AND d.unlisted AND g.first)
             {UNCHANGED}"
        );
        let rows = self
            .inner
            .database
            .ask(
                &sql,
                &[
                    (&self.inner.corpus, Type::INT4),
                    (&source.as_str(), Type::TEXT),
                    (&keys, Type::TEXT_ARRAY),
                    (&versions, Type::BYTEA_ARRAY),
                    (&first, Type::BOOL_ARRAY),
                    (&self.inner.member.standing().id, Type::INT8),
                ],
            )
            .await
            .map_err(shared)?;
        differences(&rows, first).map_err(shared)
    }

    async fn unlist(&self, run: RunId, uris: Vec<String>) -> Result<(), LedgerError> {
        documents::unlist(&self.inner, &uris).await.map_err(shared)?;
        self.inner.notes.unlist(run, uris.iter().map(|uri| key_of(uri).0).collect()).await
    }

    async fn claim(&self, uris: Vec<String>) -> Result<Vec<PriorState>, LedgerError> {
        documents::claim(&self.inner, uris).await.map_err(shared)
    }

    async fn intend(&self, intents: Vec<Intent>) -> Result<Fenced, LedgerError> {
        self.inner.intents.record(intents).await.map_err(shared)
    }

    async fn commit(&self, commits: Vec<Commit>) -> Result<Fenced, LedgerError> {
        self.inner.commits.record(commits).await.map_err(shared)
    }

    async fn fail(&self, failures: Vec<FailedDocument>) -> Result<(), LedgerError> {
        documents::fail(&self.inner, &failures).await.map_err(shared)
    }

    async fn forget(&self, documents: Vec<(String, Epoch)>) -> Result<Fenced, LedgerError> {
        documents::forget(&self.inner, documents).await.map_err(shared)
    }

    async fn count_missing(&self, run: RunId, scope: &Scope) -> Result<MissingCount, LedgerError> {
        missing::count(&self.inner, run, scope).await
    }

    async fn count_moved(&self, run: RunId, scope: &Scope, moved: Moved) -> Result<u64, LedgerError> {
        missing::count_moved(&self.inner, run, scope, moved).await
    }

    async fn missing(&self, run: RunId, scope: &Scope, after: Option<Cursor>) -> Result<MissingPage, LedgerError> {
        missing::page(&self.inner, run, scope, after).await
    }

    async fn stage_stored(&self, run: RunId, page: Vec<Staged>) -> Result<(), LedgerError> {
        self.inner.notes.stage_stored(run, page).await
    }

    async fn reconcile(&self, run: RunId) -> Result<(), LedgerError> {
        missing::reconcile(&self.inner, run).await
    }

    async fn failures(&self, limit: usize) -> Result<Vec<FailedDocument>, LedgerError> {
        failures(&self.inner, limit).await.map_err(shared)
    }

    async fn totals(&self) -> Result<Totals, LedgerError> {
        totals(&self.inner).await.map_err(shared)
    }

    async fn holds(&self, uri: &str, epoch: Epoch) -> bool {
        while self.inner.held.has(uri, epoch) {
            if self.inner.member.has_time(self.inner.lease) {
                return true;
            }
            // The lease is being renewed, or ends.
            tokio::time::sleep(UNCERTAIN).await;
        }
        false
    }

    fn state(&self, source: &SourceId) -> Arc<dyn State> {
        Arc::new(state::SourceState { inner: Arc::clone(&self.inner), source: source.clone() })
    }
}
