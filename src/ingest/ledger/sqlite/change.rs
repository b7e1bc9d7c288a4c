//! The ledger of an index that is to take another one's place: it begins with the documents that this one has, and none of their
//! points. So what is still to come it knows by itself, and a document that is gone from its source is one that a run has not listed.

use std::collections::BTreeMap;
use std::path::Path;

use rusqlite::{Connection, params};

use super::super::{LedgerError, Meta};
use super::{SqliteLedger, documents};
use crate::source::SourceId;

/// Documents of the old index that the new one does not have yet.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Unfinished {
    /// No run has come to them.
    pub waiting: u64,
    /// They failed.
    pub failed: u64,
}

impl SqliteLedger {
    /// Forgets all that is recorded, and expects these documents.
    ///
    /// # Errors
    /// When the ledger cannot be written.
    pub async fn begin_with(&self, base: Option<String>, expected: BTreeMap<String, SourceId>) -> Result<(), LedgerError> {
        self.transact(move |connection| {
            connection.execute_batch("DELETE FROM documents; DELETE FROM meta; DROP TABLE IF EXISTS state;")?;
            documents::set_meta(connection, &Meta { base, generation: None })?;
            let mut expect =
                connection.prepare("INSERT OR IGNORE INTO documents (uri, source, points) VALUES (?1, ?2, x'')")?;
            expected.iter().try_for_each(|(uri, source)| expect.execute(params![uri, source.as_str()]).map(drop))
        })
        .await
    }

    /// Which of the documents that it has are not done: of those nothing is known but that they are there.
    ///
    /// # Errors
    /// When the ledger cannot be read.
    pub async fn unfinished(&self) -> Result<Unfinished, LedgerError> {
        self.transact(unfinished).await
    }

    /// Removes the files of a ledger that nobody has open for writing.
    ///
    /// # Errors
    /// When one cannot be removed.
    pub fn remove(path: &Path) -> Result<(), LedgerError> {
        for end in ["-wal", "-shm", ""] {
            let mut file = path.as_os_str().to_owned();
            file.push(end);
            match std::fs::remove_file(&file) {
                Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
                    return Err(LedgerError::Io { path: path.to_owned(), source: error });
                }
                _ => {}
            }
        }
        Ok(())
    }
}

fn unfinished(connection: &Connection) -> rusqlite::Result<Unfinished> {
    let sql = "SELECT count(*) - count(error), count(error) FROM documents WHERE points IS NOT NULL AND hash IS NULL";
    connection.query_row(sql, [], |row| {
        Ok(Unfinished { waiting: row.get::<_, i64>(0)? as u64, failed: row.get::<_, i64>(1)? as u64 })
    })
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a failing test may panic")]
mod tests {
    use uuid::Uuid;

    use super::super::super::{Commit, Epoch, FailedDocument, Intent, Ledger as _, Staged, StoredPoint};
    use super::*;
    use crate::ingest::report::Stage;
    use crate::source::Version;

    fn expected(uris: &[&str]) -> BTreeMap<String, SourceId> {
        uris.iter().map(|uri| ((*uri).to_owned(), SourceId::files())).collect()
    }

    fn commit(uri: &str, points: Vec<StoredPoint>) -> Commit {
        let (source, hash) = (SourceId::files(), [7; 32]);
        Commit { source, uri: uri.into(), epoch: Epoch(0), version: Version::UNKNOWN, hash, modified: None, points }
    }

    #[tokio::test]
    async fn what_is_expected_waits_until_it_is_done_or_gone_through_kills_too() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("docs.ledger-second");
        let ledger = SqliteLedger::open(&path).await.unwrap();
        let record = async |uri: &str, points| {
            let fenced = ledger.commit(vec![commit(uri, points)]).await.unwrap();
            assert!(fenced.uris.is_empty());
        };
        record("of an earlier attempt", Vec::new()).await;
        ledger.begin_with(Some("..".into()), expected(&["a", "b", "c", "甲.md"])).await.unwrap();
        let unfinished = async |waiting, failed| {
            assert_eq!(ledger.unfinished().await.unwrap(), Unfinished { waiting, failed });
        };
        unfinished(4, 0).await;
        assert_eq!(ledger.meta().await.unwrap(), Meta { base: Some("..".into()), generation: None });
        // A document without a text is done as well as one with a point.
        record("a", Vec::new()).await;
        let point = StoredPoint { id: Uuid::from_u128(1), digest: 7 };
        record("new", vec![point]).await;
        unfinished(3, 0).await;
        // Begun, and killed with the point in the store.
        let id = Uuid::from_u128(2);
        let (source, uri) = (SourceId::files(), "b".to_owned());
        let intent = Intent { source, uri, epoch: Epoch(0), ids: vec![id], untouched: Vec::new() };
        let fenced = ledger.intend(vec![intent]).await.unwrap();
        assert!(fenced.uris.is_empty());
        unfinished(3, 0).await;
        let run = ledger.begin_run().await.unwrap();
        let staged = |uri: &str, point| Staged { source: SourceId::files(), uri: uri.into(), point };
        let held = vec![staged("new", point), staged("b", StoredPoint { id, digest: 1 })];
        ledger.stage_stored(run, held).await.unwrap();
        ledger.reconcile(run).await.unwrap();
        unfinished(3, 0).await;
        record("b", vec![StoredPoint { id, digest: 1 }]).await;
        unfinished(2, 0).await;
        let failure = |uri: &str| {
            let (source, error) = (SourceId::files(), "broken".to_owned());
            FailedDocument { source, uri: uri.into(), stage: Stage::Parse, error }
        };
        // One that the old index does not have keeps nothing waiting.
        ledger.fail(vec![failure("甲.md"), failure("unheard of")]).await.unwrap();
        unfinished(1, 1).await;
        let fenced = ledger.forget(vec![("c".into(), Epoch(0))]).await.unwrap();
        assert!(fenced.uris.is_empty());
        unfinished(0, 1).await;
        drop(ledger);
        SqliteLedger::remove(&path).unwrap();
        SqliteLedger::remove(&path).unwrap();
        assert!(!path.exists() && path.with_extension("lock").exists());
    }
}
