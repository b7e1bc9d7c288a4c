//! The ledger of a cluster, as somebody looks at it who takes part in nothing: it answers, and records nothing.

use std::collections::HashMap;
use std::sync::Arc;

use async_trait::async_trait;
use tokio_postgres::types::Type;

use super::super::error::ClusterError;
use super::super::inner::{Inner, shared};
use super::super::key::key_of;
use super::super::row::Row;
use super::recorded::{UNCHANGED, differences, failures, meta, totals};
use super::{documents, missing, state};
use crate::ingest::ledger::{
    Commit, Cursor, Difference, Epoch, FailedDocument, Fenced, Intent, Ledger, LedgerError, Listing, Meta, MissingCount,
    MissingPage, Moved, PriorState, RunId, Scope, Staged, Totals,
};
use crate::source::SourceId;
use crate::source::state::State;

/// A cluster's ledger to be looked at. What a run lists is noted in this process; nothing is ever written to the database.
#[derive(Debug)]
pub(in super::super) struct Reading(pub(in super::super) Arc<Inner>);

/// Nobody who looks asks for it.
fn only_read<T>() -> Result<T, LedgerError> {
    Err(shared(ClusterError::refused("the ledger of a cluster was opened to be looked at: nothing is recorded in it")))
}

/// What is recorded of documents, by uri. None is granted.
async fn prior(inner: &Inner, uris: &[String]) -> Result<HashMap<String, PriorState>, ClusterError> {
    let (keys, kept): (Vec<String>, Vec<Option<Vec<u8>>>) = uris.iter().map(|uri| key_of(uri)).unzip();
    let rows = inner
        .database
        .ask(
            "SELECT g.key, g.uri, 0::int8, NULL::bytea, d.source, d.hash, d.modified, d.points, d.intents
             FROM unnest($2::text[], $3::bytea[]) AS g(key, uri)
             JOIN ragstream.documents d ON d.corpus = $1 AND d.key = g.key AND d.key = ANY($2)",
            &[(&inner.corpus, Type::INT4), (&keys, Type::TEXT_ARRAY), (&kept, Type::BYTEA_ARRAY)],
        )
        .await?;
    let known = |row: &Row| Ok((row.uri()?, documents::grant(row, 2)?.prior.unwrap_or_default()));
    rows.iter().map(known).collect()
}

#[async_trait]
impl Ledger for Reading {
    async fn meta(&self) -> Result<Meta, LedgerError> {
        meta(&self.0).await.map_err(shared)
    }

    async fn set_meta(&self, _: &Meta) -> Result<(), LedgerError> {
        only_read()
    }

    async fn begin_run(&self) -> Result<RunId, LedgerError> {
        self.0.notes.begin_run().await
    }

    async fn end_run(&self, run: RunId) -> Result<(), LedgerError> {
        self.0.notes.end_run(run).await
    }

    async fn note_listed(&self, run: RunId, source: &SourceId, items: Vec<Listing>) -> Result<Vec<Difference>, LedgerError> {
        let keys: Vec<String> = items.iter().map(|item| key_of(&item.uri).0).collect();
        let first = self.0.notes.note(run, keys.clone()).await?;
        let versions: Vec<&[u8]> = items.iter().map(|item| item.version.as_bytes()).collect();
        let sql = format!(
            "WITH given AS (SELECT * FROM unnest($3::text[], $4::bytea[]) WITH ORDINALITY AS g(key, version, n)) {UNCHANGED}"
        );
        let rows = self
            .0
            .database
            .ask(
                &sql,
                &[
                    (&self.0.corpus, Type::INT4),
                    (&source.as_str(), Type::TEXT),
                    (&keys, Type::TEXT_ARRAY),
                    (&versions, Type::BYTEA_ARRAY),
                ],
            )
            .await
            .map_err(shared)?;
        differences(&rows, first).map_err(shared)
    }

    async fn unlist(&self, run: RunId, uris: Vec<String>) -> Result<(), LedgerError> {
        self.0.notes.unlist(run, uris.iter().map(|uri| key_of(uri).0).collect()).await
    }

    async fn claim(&self, uris: Vec<String>) -> Result<Vec<PriorState>, LedgerError> {
        let mut known = prior(&self.0, &uris).await.map_err(shared)?;
        Ok(uris.iter().map(|uri| known.remove(uri).unwrap_or_default()).collect())
    }

    async fn intend(&self, _: Vec<Intent>) -> Result<Fenced, LedgerError> {
        only_read()
    }

    async fn commit(&self, _: Vec<Commit>) -> Result<Fenced, LedgerError> {
        only_read()
    }

    async fn fail(&self, _: Vec<FailedDocument>) -> Result<(), LedgerError> {
        only_read()
    }

    async fn forget(&self, _: Vec<(String, Epoch)>) -> Result<Fenced, LedgerError> {
        only_read()
    }

    async fn count_missing(&self, run: RunId, scope: &Scope) -> Result<MissingCount, LedgerError> {
        missing::count_recorded(&self.0, run, scope).await
    }

    async fn count_moved(&self, run: RunId, scope: &Scope, moved: Moved) -> Result<u64, LedgerError> {
        missing::count_moved(&self.0, run, scope, moved).await
    }

    async fn missing(&self, run: RunId, scope: &Scope, after: Option<Cursor>) -> Result<MissingPage, LedgerError> {
        missing::page_recorded(&self.0, run, scope, after).await
    }

    async fn stage_stored(&self, run: RunId, page: Vec<Staged>) -> Result<(), LedgerError> {
        self.0.notes.stage_stored(run, page).await
    }

    async fn reconcile(&self, _: RunId) -> Result<(), LedgerError> {
        only_read()
    }

    async fn failures(&self, limit: usize) -> Result<Vec<FailedDocument>, LedgerError> {
        failures(&self.0, limit).await.map_err(shared)
    }

    async fn totals(&self) -> Result<Totals, LedgerError> {
        totals(&self.0).await.map_err(shared)
    }

    fn state(&self, source: &SourceId) -> Arc<dyn State> {
        // Sources that are looked at remember nothing more.
        Arc::new(state::SourceState { inner: Arc::clone(&self.0), source: source.clone() })
    }
}
