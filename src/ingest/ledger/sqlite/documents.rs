//! What is recorded of each document. All calls are parts of a transaction.

use std::collections::BTreeSet;

use rusqlite::types::Type;
use rusqlite::{Connection, OptionalExtension as _, Row, params};
use uuid::Uuid;

use super::super::{
    Commit, Difference, Entry, Epoch, FailedDocument, Fenced, Intent, Listing, Meta, PriorState, RunId, StoredPoint, Totals,
};
use super::EPOCH;
use crate::ingest::report::Stage;
use crate::source::SourceId;

pub(super) fn meta(connection: &Connection) -> rusqlite::Result<Meta> {
    let mut value = connection.prepare_cached("SELECT value FROM meta WHERE key = ?1")?;
    let mut value = |key: &str| value.query_row([key], |row| row.get::<_, String>(0)).optional();
    // A generation that nobody can have written is nobody's: the store is looked through.
    Ok(Meta { base: value("base")?, generation: value("generation")?.and_then(|name| name.parse().ok()) })
}

pub(super) fn set_meta(connection: &Connection, meta: &Meta) -> rusqlite::Result<()> {
    let generation = meta.generation.map(|generation| generation.to_string());
    for (key, value) in [("base", meta.base.as_ref()), ("generation", generation.as_ref())] {
        match value {
            Some(value) => connection.execute("INSERT OR REPLACE INTO meta (key, value) VALUES (?1, ?2)", [key, value])?,
            None => connection.execute("DELETE FROM meta WHERE key = ?1", [key])?,
        };
    }
    Ok(())
}

pub(super) fn end_run(connection: &Connection, run: RunId) -> rusqlite::Result<()> {
    connection.execute("DELETE FROM listed WHERE run = ?1", [run.0 as i64])?;
    connection.execute("DELETE FROM staged WHERE run = ?1", [run.0 as i64]).map(drop)
}

pub(super) fn note_listed(
    connection: &Connection,
    run: RunId,
    source: &SourceId,
    items: &[Listing],
) -> rusqlite::Result<Vec<Difference>> {
    let mut note = connection.prepare_cached("INSERT OR IGNORE INTO listed (run, uri) VALUES (?1, ?2)")?;
    // A version that proves nothing is recorded as NULL, which is equal to none.
    let mut unchanged = connection
        .prepare_cached("SELECT 1 FROM documents WHERE uri = ?1 AND version = ?2 AND source = ?3 AND error IS NULL")?;
    let mut compare = |item: &Listing| {
        if note.execute(params![run.0 as i64, item.uri])? == 0 {
            return Ok(Difference::Repeated);
        }
        let same = unchanged.exists(params![item.uri, item.version.as_bytes(), source.as_str()])?;
        Ok(if same { Difference::Unchanged } else { Difference::Changed })
    };
    items.iter().map(&mut compare).collect()
}

pub(super) fn unlist(connection: &Connection, run: RunId, uris: &[String]) -> rusqlite::Result<()> {
    let mut take_back = connection.prepare_cached("DELETE FROM listed WHERE run = ?1 AND uri = ?2")?;
    uris.iter().try_for_each(|uri| take_back.execute(params![run.0 as i64, uri]).map(drop))
}

pub(super) fn claim(connection: &Connection, uris: &[String]) -> rusqlite::Result<Vec<PriorState>> {
    let mut look = connection.prepare_cached("SELECT source, hash, modified, points, intents FROM documents WHERE uri = ?1")?;
    let state = |row: &Row<'_>| {
        let (points, intents): (Option<Vec<u8>>, Option<Vec<u8>>) = (row.get(3)?, row.get(4)?);
        let entry = match points {
            Some(points) => {
                let source = SourceId::new(row.get::<_, String>(0)?);
                Some(Entry { source, hash: row.get(1)?, modified: row.get(2)?, points: decode(&points) })
            }
            None => None,
        };
        Ok(PriorState { entry, intended: decode_ids(&intents.unwrap_or_default()), epoch: EPOCH })
    };
    uris.iter().map(|uri| Ok(look.query_row([uri], state).optional()?.unwrap_or_default())).collect()
}

pub(super) fn intend(connection: &Connection, intents: Vec<Intent>) -> rusqlite::Result<Fenced> {
    let (mut fenced, mut any) = (Fenced::default(), false);
    let mut before = connection.prepare_cached("SELECT intents FROM documents WHERE uri = ?1")?;
    // Also when the document gets back the very content and version that are recorded, it is to be looked at.
    let mut intend = connection.prepare_cached(
        "INSERT INTO documents (uri, source, intents) VALUES (?1, ?2, ?3)
         ON CONFLICT (uri) DO UPDATE SET source = excluded.source, intents = excluded.intents, version = NULL, hash = NULL,
             modified = NULL, points = CASE WHEN points IS NULL THEN NULL ELSE ?4 END",
    )?;
    for intent in intents {
        if intent.epoch != EPOCH {
            fenced.uris.push(intent.uri);
            continue;
        }
        let before: Option<Vec<u8>> = before.query_row([&intent.uri], |row| row.get(0)).optional()?.flatten();
        let mut ids: BTreeSet<Uuid> = decode_ids(&before.unwrap_or_default()).into_iter().collect();
        ids.extend(intent.ids);
        let ids: Vec<u8> = ids.iter().flat_map(|id| *id.as_bytes()).collect();
        intend.execute(params![intent.uri, intent.source.as_str(), ids, encode(&intent.untouched)])?;
        any = true;
    }
    if any {
        connection.prepare_cached("DELETE FROM meta WHERE key = 'generation'")?.execute([])?;
    }
    Ok(fenced)
}

pub(super) fn commit(connection: &Connection, commits: Vec<Commit>) -> rusqlite::Result<Fenced> {
    let mut fenced = Fenced::default();
    let mut commit = connection.prepare_cached(
        "INSERT INTO documents (uri, source, version, hash, modified, points) VALUES (?1, ?2, ?3, ?4, ?5, ?6)
         ON CONFLICT (uri) DO UPDATE SET source = excluded.source, version = excluded.version, hash = excluded.hash,
             modified = excluded.modified, points = excluded.points, intents = NULL, stage = NULL, error = NULL",
    )?;
    for Commit { source, uri, epoch, version, hash, modified, points } in commits {
        if epoch != EPOCH {
            fenced.uris.push(uri);
            continue;
        }
        let version = Some(version.as_bytes()).filter(|bytes| !bytes.is_empty());
        commit.execute(params![uri, source.as_str(), version, hash, modified, encode(&points)])?;
    }
    Ok(fenced)
}

pub(super) fn fail(connection: &Connection, failures: &[FailedDocument]) -> rusqlite::Result<()> {
    let mut fail = connection.prepare_cached(
        "INSERT INTO documents (uri, source, stage, error) VALUES (?1, ?2, ?3, ?4)
         ON CONFLICT (uri) DO UPDATE SET stage = excluded.stage, error = excluded.error",
    )?;
    failures.iter().try_for_each(|FailedDocument { source, uri, stage, error }| {
        fail.execute(params![uri, source.as_str(), stage.name(), error]).map(drop)
    })
}

pub(super) fn forget(connection: &Connection, documents: Vec<(String, Epoch)>) -> rusqlite::Result<Fenced> {
    let mut fenced = Fenced::default();
    let mut forget = connection.prepare_cached("DELETE FROM documents WHERE uri = ?1")?;
    for (uri, epoch) in documents {
        if epoch == EPOCH {
            forget.execute([uri])?;
        } else {
            fenced.uris.push(uri);
        }
    }
    Ok(fenced)
}

pub(super) fn failures(connection: &Connection, limit: usize) -> rusqlite::Result<Vec<FailedDocument>> {
    let failure = |row: &Row<'_>| {
        let stage: String = row.get(2)?;
        let unknown = || rusqlite::Error::FromSqlConversionFailure(2, Type::Text, format!("no stage: {stage}").into());
        Ok(FailedDocument {
            uri: row.get(0)?,
            source: SourceId::new(row.get::<_, String>(1)?),
            stage: Stage::named(&stage).ok_or_else(unknown)?,
            error: row.get(3)?,
        })
    };
    connection
        .prepare_cached("SELECT uri, source, stage, error FROM documents WHERE error IS NOT NULL ORDER BY uri LIMIT ?1")?
        .query_map([i64::try_from(limit).unwrap_or(i64::MAX)], failure)?
        .collect()
}

pub(super) fn totals(connection: &Connection) -> rusqlite::Result<Totals> {
    // Each of the three counts the entries of an index, and no row is looked at.
    let sql = "SELECT (SELECT count(*) FROM documents) - (SELECT count(*) FROM documents WHERE points IS NULL),
                      (SELECT count(*) FROM documents WHERE error IS NOT NULL)";
    connection
        .query_row(sql, [], |row| Ok(Totals { documents: row.get::<_, i64>(0)? as u64, failed: row.get::<_, i64>(1)? as u64 }))
}

/// 16 bytes of id and 8 of digest a point.
pub(crate) fn encode(points: &[StoredPoint]) -> Vec<u8> {
    points.iter().flat_map(|point| point.id.as_bytes().iter().copied().chain(point.digest.to_le_bytes())).collect()
}

pub(crate) fn decode(blob: &[u8]) -> Vec<StoredPoint> {
    let (records, _) = blob.as_chunks::<24>();
    records
        .iter()
        .filter_map(|record| {
            let (id, digest) = record.split_first_chunk::<16>()?;
            Some(StoredPoint { id: Uuid::from_bytes(*id), digest: u64::from_le_bytes(digest.try_into().ok()?) })
        })
        .collect()
}

/// 16 bytes an id.
pub(crate) fn decode_ids(blob: &[u8]) -> Vec<Uuid> {
    let (ids, _) = blob.as_chunks::<16>();
    ids.iter().map(|id| Uuid::from_bytes(*id)).collect()
}
