//! What a run notes for itself alone, for a ledger that is elsewhere: a temporary file of this process, whatever the size of the
//! corpus.

use rusqlite::params;

use super::super::{LedgerError, RunId, StoredPoint};
use super::SqliteLedger;
use super::reconcile::staged;
use crate::source::SourceId;

/// What a store holds of one document, by id.
pub(crate) struct StagedDocument {
    /// Which source gave it.
    pub(crate) source: SourceId,
    /// Which document.
    pub(crate) uri: String,
    /// Its points, by id.
    pub(crate) points: Vec<StoredPoint>,
}

impl SqliteLedger {
    /// Notes that these were listed; of each, whether this run had not noted it before.
    pub(crate) async fn note(&self, run: RunId, keys: Vec<String>) -> Result<Vec<bool>, LedgerError> {
        self.transact(move |connection| {
            let mut note = connection.prepare_cached("INSERT OR IGNORE INTO listed (run, uri) VALUES (?1, ?2)")?;
            keys.iter().map(|key| Ok(note.execute(params![run.0 as i64, key])? > 0)).collect()
        })
        .await
    }

    /// Of each, whether this run has noted it.
    pub(crate) async fn noted(&self, run: RunId, keys: Vec<String>) -> Result<Vec<bool>, LedgerError> {
        self.transact(move |connection| {
            let mut look = connection.prepare_cached("SELECT 1 FROM listed WHERE run = ?1 AND uri = ?2")?;
            keys.iter().map(|key| look.exists(params![run.0 as i64, key])).collect()
        })
        .await
    }

    /// The documents that were staged, by uri, after this one, at most `limit`.
    pub(crate) async fn staged_after(
        &self,
        run: RunId,
        after: String,
        limit: usize,
    ) -> Result<Vec<StagedDocument>, LedgerError> {
        self.transact(move |connection| {
            let mut uris = connection.prepare_cached(
                "SELECT uri, min(source) FROM staged WHERE run = ?1 AND uri > ?2 GROUP BY uri ORDER BY uri LIMIT ?3",
            )?;
            let limit = i64::try_from(limit).unwrap_or(i64::MAX);
            let uris = uris.query_map(params![run.0 as i64, after, limit], |row| Ok((row.get(0)?, row.get(1)?)))?;
            let uris = uris.collect::<rusqlite::Result<Vec<(String, String)>>>()?;
            let document = |(uri, source): (String, String)| {
                Ok(StagedDocument { points: staged(connection, run, &uri)?, source: SourceId::new(source), uri })
            };
            uris.into_iter().map(document).collect()
        })
        .await
    }

    /// What is staged of each of these documents, by id.
    pub(crate) async fn staged_points(&self, run: RunId, uris: Vec<String>) -> Result<Vec<Vec<StoredPoint>>, LedgerError> {
        self.transact(move |connection| uris.iter().map(|uri| staged(connection, run, uri)).collect()).await
    }

    /// Forgets what is staged.
    pub(crate) async fn forget_staged(&self, run: RunId) -> Result<(), LedgerError> {
        self.transact(move |connection| connection.execute("DELETE FROM staged WHERE run = ?1", [run.0 as i64]).map(drop)).await
    }
}
