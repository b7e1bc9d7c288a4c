//! What a person asks of a ledger: what became of one document, and which documents are called so.

use rusqlite::{OptionalExtension as _, Row, params};

use super::super::LedgerError;
use super::SqliteLedger;
use crate::ingest::report::Stage;
use crate::source::SourceId;
use crate::suggest::nearest;

/// Names that are compared at once.
const COMPARED: usize = 4096;

/// What is recorded of a document.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Recorded {
    /// Which source gave it.
    pub source: SourceId,
    /// Where it failed the last time, and why.
    pub failed: Option<(Stage, String)>,
    /// Points that it has in the store; `None`: it was never done.
    pub points: Option<usize>,
    /// A run was about to write or delete points of it, and did not get to the end.
    pub begun: bool,
    /// blake3 of its content, where that is known.
    pub hash: Option<[u8; 32]>,
}

impl SqliteLedger {
    /// What is recorded of a document, if anything is.
    ///
    /// # Errors
    /// When the ledger cannot be read.
    pub async fn recorded(&self, uri: &str) -> Result<Option<Recorded>, LedgerError> {
        let uri = uri.to_owned();
        self.transact(move |connection| {
            let recorded = |row: &Row<'_>| {
                let (stage, error): (Option<String>, Option<String>) = (row.get(1)?, row.get(2)?);
                let points: Option<i64> = row.get(3)?;
                Ok(Recorded {
                    source: SourceId::new(row.get::<_, String>(0)?),
                    failed: stage.and_then(|stage| Stage::named(&stage)).zip(error),
                    points: points.map(|bytes| bytes as usize / 24),
                    begun: row.get(4)?,
                    hash: row.get(5)?,
                })
            };
            let sql = "SELECT source, stage, error, length(points), intents IS NOT NULL, hash FROM documents WHERE uri = ?1";
            connection.prepare_cached(sql)?.query_row([&uri], recorded).optional()
        })
        .await
    }

    /// The documents whose uri ends with these parts of a path, in any case of letters, ascending and at most `limit`.
    ///
    /// # Errors
    /// When the ledger cannot be read.
    pub async fn ending_with(&self, name: &str, limit: usize) -> Result<Vec<String>, LedgerError> {
        let end = format!("/{}", name.trim_start_matches('/'));
        self.transact(move |connection| {
            let sql = "SELECT uri FROM documents WHERE substr(uri, -length(?1)) = ?1 COLLATE NOCASE ORDER BY uri LIMIT ?2";
            let mut statement = connection.prepare_cached(sql)?;
            let uris = statement.query_map(params![end, i64::try_from(limit).unwrap_or(i64::MAX)], |row| row.get(0))?;
            uris.collect()
        })
        .await
    }

    /// The documents whose uri, or the last part of it, is most like this.
    ///
    /// # Errors
    /// When the ledger cannot be read.
    pub async fn like(&self, name: &str) -> Result<Vec<String>, LedgerError> {
        let name = name.to_owned();
        self.transact(move |connection| {
            let mut statement = connection.prepare_cached("SELECT uri FROM documents")?;
            let mut rows = statement.query([])?;
            let (mut best, mut compared): (Vec<String>, Vec<String>) = (Vec::new(), Vec::new());
            loop {
                let row = rows.next()?;
                let at_end = row.is_none();
                if let Some(row) = row {
                    compared.push(row.get(0)?);
                }
                if at_end || compared.len() >= COMPARED {
                    compared.append(&mut best);
                    best = most_like(&name, &compared);
                    compared.clear();
                }
                if at_end {
                    return Ok(best);
                }
            }
        })
        .await
    }
}

/// Those of some uris that are most like a name, as a whole or by their last part.
fn most_like(name: &str, uris: &[String]) -> Vec<String> {
    let whole = nearest(name, uris.iter().map(String::as_str));
    if !whole.is_empty() {
        return whole.into_iter().map(str::to_owned).collect();
    }
    let last = |uri: &str| uri.rsplit('/').next().unwrap_or_default().to_owned();
    let (wanted, names) = (last(name), uris.iter().map(|uri| last(uri)).collect::<Vec<_>>());
    let near = nearest(&wanted, names.iter().map(String::as_str));
    let mut found: Vec<String> =
        uris.iter().zip(&names).filter(|(_, name)| near.contains(&name.as_str())).map(|(uri, _)| uri.clone()).collect();
    found.sort_unstable();
    found.truncate(3);
    found
}
