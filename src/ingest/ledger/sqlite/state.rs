//! What sources remember, beside the documents that they gave.

use async_trait::async_trait;
use rusqlite::types::Value;
use rusqlite::{Connection, OptionalExtension as _, params, params_from_iter};

use super::SqliteLedger;
use crate::source::state::{Change, Key, State, end_of};
use crate::source::{SourceError, SourceId};

/// Made where it is missing: ledgers of earlier versions of the same layout have none.
const SCHEMA: &str = "CREATE TABLE IF NOT EXISTS state (source TEXT NOT NULL, key BLOB NOT NULL, value BLOB NOT NULL, PRIMARY KEY (source, key))";

/// The state of one source.
#[derive(Debug)]
pub(super) struct SourceState {
    pub(super) ledger: SqliteLedger,
    pub(super) source: SourceId,
}

#[async_trait]
impl State for SourceState {
    async fn get(&self, keys: Vec<Key>) -> Result<Vec<Option<Vec<u8>>>, SourceError> {
        let source = self.source.clone();
        let values = self.ledger.transact(move |connection| {
            if exists(connection)? { get(connection, &source, &keys) } else { Ok(vec![None; keys.len()]) }
        });
        values.await.map_err(SourceError::new)
    }

    async fn write(&self, changes: Vec<Change>) -> Result<(), SourceError> {
        let source = self.source.clone();
        self.ledger.transact(move |connection| write(connection, &source, changes)).await.map_err(SourceError::new)
    }

    async fn scan(&self, prefix: &[u8], after: Option<&[u8]>, limit: usize) -> Result<Vec<(Key, Vec<u8>)>, SourceError> {
        let (source, prefix, after) = (self.source.clone(), prefix.to_vec(), after.map(<[u8]>::to_vec));
        let found = self.ledger.transact(move |connection| {
            if exists(connection)? { scan(connection, &source, &prefix, after.as_deref(), limit) } else { Ok(Vec::new()) }
        });
        found.await.map_err(SourceError::new)
    }
}

/// Whether anything was ever remembered here. One that is only looked at is not given the table.
fn exists(connection: &Connection) -> rusqlite::Result<bool> {
    connection.table_exists(Some("main"), "state")
}

fn get(connection: &Connection, source: &SourceId, keys: &[Key]) -> rusqlite::Result<Vec<Option<Vec<u8>>>> {
    let mut get = connection.prepare_cached("SELECT value FROM state WHERE source = ?1 AND key = ?2")?;
    keys.iter().map(|key| get.query_row(params![source.as_str(), key], |row| row.get(0)).optional()).collect()
}

fn write(connection: &Connection, source: &SourceId, changes: Vec<Change>) -> rusqlite::Result<()> {
    connection.execute_batch(SCHEMA)?;
    let mut put = connection.prepare_cached("INSERT OR REPLACE INTO state (source, key, value) VALUES (?1, ?2, ?3)")?;
    let mut remove = connection.prepare_cached("DELETE FROM state WHERE source = ?1 AND key = ?2")?;
    for (key, value) in changes {
        match value {
            Some(value) => put.execute(params![source.as_str(), key, value])?,
            None => remove.execute(params![source.as_str(), key])?,
        };
    }
    Ok(())
}

fn scan(
    connection: &Connection,
    source: &SourceId,
    prefix: &[u8],
    after: Option<&[u8]>,
    limit: usize,
) -> rusqlite::Result<Vec<(Key, Vec<u8>)>> {
    let after = after.filter(|after| *after >= prefix);
    let sql = format!(
        "SELECT key, value FROM state WHERE source = ?1 AND key {} ?2{} ORDER BY key LIMIT ?3",
        if after.is_some() { ">" } else { ">=" },
        if end_of(prefix).is_some() { " AND key < ?4" } else { "" },
    );
    let text: Value = source.as_str().to_owned().into();
    let mut values =
        vec![text, after.unwrap_or(prefix).to_vec().into(), Value::Integer(i64::try_from(limit).unwrap_or(i64::MAX))];
    values.extend(end_of(prefix).map(Value::Blob));
    let mut scan = connection.prepare_cached(&sql)?;
    scan.query_map(params_from_iter(values), |row| Ok((row.get(0)?, row.get(1)?)))?.collect()
}
