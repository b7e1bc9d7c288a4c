//! Making the ledger say what the store holds, where the two may differ: the ledger was lost or is an old copy, the store
//! was wiped or is one, another home wrote to it, or the last run was cut short.

use rusqlite::{Connection, params};
use uuid::Uuid;

use super::super::{RunId, Staged, StoredPoint};
use super::documents::{decode, encode};

/// Documents that are looked at in one go.
const PAGE: i64 = 1000;

pub(super) fn stage(connection: &Connection, run: RunId, page: &[Staged]) -> rusqlite::Result<()> {
    let mut stage = connection
        .prepare_cached("INSERT OR REPLACE INTO staged (run, uri, id, source, digest) VALUES (?1, ?2, ?3, ?4, ?5)")?;
    page.iter().try_for_each(|Staged { source, uri, point }| {
        stage.execute(params![run.0 as i64, uri, point.id.as_bytes(), source.as_str(), point.digest as i64]).map(drop)
    })
}

pub(super) fn reconcile(connection: &Connection, run: RunId) -> rusqlite::Result<()> {
    connection.execute("DELETE FROM meta WHERE key = 'generation'", [])?;
    drop_what_differs(connection, run)?;
    adopt(connection, run)?;
    connection
        .execute("DELETE FROM documents WHERE points IS NULL AND ifnull(length(intents), 0) = 0 AND error IS NULL", [])?;
    connection.execute("DELETE FROM staged WHERE run = ?1", [run.0 as i64]).map(drop)
}

/// Takes back the entries whose points are not those that the store holds.
fn drop_what_differs(connection: &Connection, run: RunId) -> rusqlite::Result<()> {
    let mut entries = connection
        .prepare("SELECT rowid, uri, points FROM documents WHERE rowid > ?1 AND points IS NOT NULL ORDER BY rowid LIMIT ?2")?;
    let mut take_back = connection
        .prepare("UPDATE documents SET points = NULL, version = NULL, hash = NULL, modified = NULL WHERE rowid = ?1")?;
    let mut after = i64::MIN;
    loop {
        let page: Vec<(i64, String, Vec<u8>)> = entries
            .query_map([after, PAGE], |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?)))?
            .collect::<rusqlite::Result<_>>()?;
        let Some((last, ..)) = page.last() else { return Ok(()) };
        after = *last;
        for (row, uri, points) in page {
            let mut recorded = decode(&points);
            recorded.sort_unstable_by_key(|point| point.id);
            if recorded != staged(connection, run, &uri)? {
                take_back.execute([row])?;
            }
        }
    }
}

/// Records the documents without an entry that the store holds. They are whose source the store says.
fn adopt(connection: &Connection, run: RunId) -> rusqlite::Result<()> {
    let mut unknown = connection.prepare(
        "SELECT uri, min(source) FROM staged WHERE run = ?1 AND uri > ?2
         AND NOT EXISTS (SELECT 1 FROM documents WHERE documents.uri = staged.uri AND points IS NOT NULL)
         GROUP BY uri ORDER BY uri LIMIT ?3",
    )?;
    let mut adopt = connection.prepare(
        "INSERT INTO documents (uri, source, points) VALUES (?1, ?2, ?3)
         ON CONFLICT (uri) DO UPDATE SET source = excluded.source, points = excluded.points",
    )?;
    let mut after = String::new();
    loop {
        let page: Vec<(String, String)> = unknown
            .query_map(params![run.0 as i64, after, PAGE], |row| Ok((row.get(0)?, row.get(1)?)))?
            .collect::<rusqlite::Result<_>>()?;
        let Some((last, _)) = page.last() else { return Ok(()) };
        after.clone_from(last);
        for (uri, source) in page {
            adopt.execute(params![uri, source, encode(&staged(connection, run, &uri)?)])?;
        }
    }
}

/// The points that the store holds of a document, by id.
pub(super) fn staged(connection: &Connection, run: RunId, uri: &str) -> rusqlite::Result<Vec<StoredPoint>> {
    connection
        .prepare_cached("SELECT id, digest FROM staged WHERE run = ?1 AND uri = ?2 ORDER BY id")?
        .query_map(params![run.0 as i64, uri], |row| {
            Ok(StoredPoint { id: Uuid::from_bytes(row.get(0)?), digest: row.get::<_, i64>(1)? as u64 })
        })?
        .collect()
}
