//! Which documents a walk has not listed, and making the ledger say what the store holds. Only who walks asks.

use std::collections::HashMap;

use tokio_postgres::types::Type;

use super::super::inner::{Inner, shared};
use super::super::key::key_of;
use super::super::row::Row;
use super::documents::record_intents;
use crate::ingest::ledger::{Cursor, LedgerError, Missing, MissingCount, MissingPage, Moved, RunId, Scope, decode, encode};
use crate::source::SourceId;

/// Documents that are looked at in one go.
const PAGE: i64 = 2000;

/// A document with its key, the hash of its content where that is known, and whether the walk has listed it.
struct Known {
    key: String,
    uri: String,
    source: SourceId,
    hash: Option<[u8; 32]>,
    listed: bool,
}

/// The documents after a key, of one source or of all, at most [`PAGE`].
async fn page_after(inner: &Inner, run: RunId, source: Option<&SourceId>, after: &str) -> Result<Vec<Known>, LedgerError> {
    let source = source.map(SourceId::as_str);
    let rows = inner
        .database
        .ask(
            "SELECT key, uri, source, unlisted, hash FROM ragstream.documents
             WHERE corpus = $1 AND key > $2 AND ($4 IS NULL OR source = $4) ORDER BY key LIMIT $3",
            &[(&inner.corpus, Type::INT4), (&after, Type::TEXT), (&PAGE, Type::INT8), (&source, Type::TEXT)],
        )
        .await
        .map_err(shared)?;
    let keys: Vec<String> = rows.iter().map(|row| row.cell(0)).collect::<Result<_, _>>().map_err(shared)?;
    let noted = inner.notes.noted(run, keys).await?;
    let known = |(row, noted): (&Row, bool)| {
        let (key, uri, source) = (row.cell(0)?, row.uri()?, SourceId::new(row.cell::<String>(2)?));
        // What a worker found nothing in is not there, whether it was listed or not.
        let hash = row.cell::<Option<&[u8]>>(4)?.and_then(|hash| hash.try_into().ok());
        Ok(Known { key, uri, source, hash, listed: noted && !row.cell::<bool>(3)? })
    };
    rows.iter().zip(noted).map(known).collect::<Result<_, _>>().map_err(shared)
}

pub(super) async fn count(inner: &Inner, run: RunId, scope: &Scope) -> Result<MissingCount, LedgerError> {
    record_intents(inner).await.map_err(shared)?;
    count_recorded(inner, run, scope).await
}

/// [`count`], of what is recorded already.
pub(super) async fn count_recorded(inner: &Inner, run: RunId, scope: &Scope) -> Result<MissingCount, LedgerError> {
    let mut counts: HashMap<SourceId, MissingCount> = HashMap::new();
    let mut after = String::new();
    loop {
        let page = page_after(inner, run, None, &after).await?;
        let Some(last) = page.last() else { break };
        after.clone_from(&last.key);
        for document in &page {
            let count = counts.entry(document.source.clone()).or_default();
            count.known += u64::from(scope.would_cover(&document.source, &document.uri));
            count.missing += u64::from(!document.listed && scope.covers(&document.source, &document.uri));
        }
    }
    let mut all = MissingCount::default();
    for (source, count) in counts {
        // As it is promised: not counted where none is missing of a source that was narrowed.
        if count.missing > 0 || scope.beginnings(&source).is_none() {
            all.known += count.known;
        }
        all.missing += count.missing;
    }
    Ok(all)
}

/// Of what is recorded already, as it was just counted.
pub(super) async fn count_moved(inner: &Inner, run: RunId, scope: &Scope, mut moved: Moved) -> Result<u64, LedgerError> {
    let mut after = String::new();
    loop {
        let page = page_after(inner, run, None, &after).await?;
        let Some(last) = page.last() else { break };
        after.clone_from(&last.key);
        for document in &page {
            let Some(hash) = document.hash else { continue };
            if document.listed {
                moved.there(hash);
            } else if scope.covers(&document.source, &document.uri) {
                moved.gone(hash);
            }
        }
    }
    Ok(moved.count())
}

pub(super) async fn page(inner: &Inner, run: RunId, scope: &Scope, after: Option<Cursor>) -> Result<MissingPage, LedgerError> {
    if after.is_none() {
        record_intents(inner).await.map_err(shared)?;
    }
    page_recorded(inner, run, scope, after).await
}

/// [`page`], of what is recorded already.
pub(super) async fn page_recorded(
    inner: &Inner,
    run: RunId,
    scope: &Scope,
    after: Option<Cursor>,
) -> Result<MissingPage, LedgerError> {
    let sources = scope.sources();
    let Some(first) = sources.first() else { return Ok(MissingPage { documents: Vec::new(), next: None }) };
    // The cursor's word is a key; it means something to this ledger alone.
    let Cursor { source, uri: after } = after.unwrap_or_else(|| Cursor { source: SourceId::clone(first), uri: String::new() });
    let page = page_after(inner, run, Some(&source), &after).await?;
    let next = match page.last() {
        Some(last) => Some(Cursor { source, uri: last.key.clone() }),
        None => {
            sources.into_iter().find(|other| **other > source).map(|next| Cursor { source: next.clone(), uri: String::new() })
        }
    };
    let gone = |document: &Known| !document.listed && scope.covers(&document.source, &document.uri);
    let documents = page.into_iter().filter(gone).map(|document| Missing { source: document.source, uri: document.uri });
    Ok(MissingPage { documents: documents.collect(), next })
}

pub(super) async fn reconcile(inner: &Inner, run: RunId) -> Result<(), LedgerError> {
    record_intents(inner).await.map_err(shared)?;
    let sql = "UPDATE ragstream.corpora SET generation = NULL WHERE id = $1";
    inner.database.ask(sql, &[(&inner.corpus, Type::INT4)]).await.map_err(shared)?;
    drop_what_differs(inner, run).await?;
    adopt(inner, run).await?;
    let sql = "WITH begun AS (UPDATE ragstream.jobs SET sweep = NULL WHERE corpus = $1 AND owner IS NOT NULL AND sweep = '')
        DELETE FROM ragstream.documents WHERE corpus = $1 AND points IS NULL AND coalesce(length(intents), 0) = 0 AND error IS NULL";
    inner.database.ask(sql, &[(&inner.corpus, Type::INT4)]).await.map_err(shared)?;
    inner.notes.forget_staged(run).await
}

/// Takes back the entries whose points are not those that the store holds.
async fn drop_what_differs(inner: &Inner, run: RunId) -> Result<(), LedgerError> {
    let mut after = String::new();
    loop {
        let rows = inner
            .database
            .ask(
                "SELECT key, uri, points FROM ragstream.documents
                 WHERE corpus = $1 AND key > $2 AND points IS NOT NULL ORDER BY key LIMIT $3",
                &[(&inner.corpus, Type::INT4), (&after, Type::TEXT), (&PAGE, Type::INT8)],
            )
            .await
            .map_err(shared)?;
        let Some(last) = rows.last() else { return Ok(()) };
        after = last.cell(0).map_err(shared)?;
        let uris: Vec<String> = rows.iter().map(Row::uri).collect::<Result<_, _>>().map_err(shared)?;
        let staged = inner.notes.staged_points(run, uris).await?;
        let differing = |(row, staged): (&Row, &Vec<_>)| {
            let mut recorded = decode(row.cell(2)?);
            recorded.sort_unstable_by_key(|point| point.id);
            if recorded == *staged { Ok(None) } else { row.cell(0).map(Some) }
        };
        let keys = rows.iter().zip(&staged).filter_map(|pair| differing(pair).transpose());
        let keys: Vec<String> = keys.collect::<Result<_, _>>().map_err(shared)?;
        if keys.is_empty() {
            continue;
        }
        let sql = "UPDATE ragstream.documents SET points = NULL, version = NULL, hash = NULL, modified = NULL
            WHERE corpus = $1 AND key = ANY($2)";
        inner.database.ask(sql, &[(&inner.corpus, Type::INT4), (&keys, Type::TEXT_ARRAY)]).await.map_err(shared)?;
    }
}

/// Records the documents without an entry that the store holds. They are whose source the store says.
async fn adopt(inner: &Inner, run: RunId) -> Result<(), LedgerError> {
    let mut after = String::new();
    loop {
        let page = inner.notes.staged_after(run, after.clone(), PAGE as usize).await?;
        let Some(last) = page.last() else { return Ok(()) };
        after.clone_from(&last.uri);
        let (keys, uris): (Vec<String>, Vec<Option<Vec<u8>>>) = page.iter().map(|staged| key_of(&staged.uri)).unzip();
        let sources: Vec<&str> = page.iter().map(|staged| staged.source.as_str()).collect();
        let points: Vec<Vec<u8>> = page.iter().map(|staged| encode(&staged.points)).collect();
        inner
            .database
            .ask(
                "INSERT INTO ragstream.documents AS d (corpus, key, uri, source, points)
                 SELECT $1, g.* FROM unnest($2::text[], $3::bytea[], $4::text[], $5::bytea[]) AS g ORDER BY 2
                 ON CONFLICT (corpus, key) DO UPDATE SET source = excluded.source, points = excluded.points
                     WHERE d.points IS NULL",
                &[
                    (&inner.corpus, Type::INT4),
                    (&keys, Type::TEXT_ARRAY),
                    (&uris, Type::BYTEA_ARRAY),
                    (&sources, Type::TEXT_ARRAY),
                    (&points, Type::BYTEA_ARRAY),
                ],
            )
            .await
            .map_err(shared)?;
    }
}
