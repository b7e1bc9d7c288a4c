//! What is recorded of each document. One statement a call, which does no harm twice: its answer may be lost.
//!
//! Keys are named twice (`= ANY`), so that the server looks for them by the index, also as long as it thinks the table small. Not so where
//! they come out of a change: of that the server expects a single row, and may then look for all of them for each of them.
//!
//! Each holds on to the worker's own row while it runs: whoever takes that row away, as the lease has run out, waits for it, and what
//! comes later finds none.

use std::collections::{BTreeSet, HashMap, HashSet};

use tokio_postgres::types::Type;
use uuid::Uuid;

use super::super::error::ClusterError;
use super::super::gather::Record;
use super::super::held::Grant;
use super::super::inner::Inner;
use super::super::key::{key_of, text};
use super::super::row::Row;
use crate::ingest::ledger::{Commit, Entry, Epoch, FailedDocument, Fenced, Intent, PriorState, decode, decode_ids, encode};
use crate::source::SourceId;

/// Of a key `t.key` whose job somebody has, whether that is another than to index it, or was not there yet when the statement began. $1:
/// the index.
pub(in super::super) const IS_NO_INDEXING: &str =
    "coalesce((SELECT j.kind FROM ragstream.jobs j WHERE j.corpus = $1 AND j.key = t.key), -1) <> 0";

/// Takes over what is not held yet, and tells what is recorded of each. Another worker's documents are not granted, and neither is what
/// this one had in this round and lost: no epoch is `Epoch(0)`.
pub(super) async fn claim(inner: &Inner, uris: Vec<String>) -> Result<Vec<PriorState>, ClusterError> {
    let mut known: HashMap<String, PriorState> = HashMap::new();
    let mut wanted = Vec::new();
    {
        let mut held = inner.held.lock();
        for uri in &uris {
            match held.get_mut(uri).and_then(|grant| grant.prior.take()) {
                Some(prior) => drop(known.insert(uri.clone(), prior)),
                None => wanted.push(uri.clone()),
            }
        }
    }
    // What was fetched while another had it may be older than what that one has made of it since.
    wanted.retain(|uri| !inner.held.is_lost(uri));
    if !wanted.is_empty() {
        for (uri, mut grant) in take_over(inner, &wanted).await? {
            let prior = grant.prior.take().unwrap_or_default();
            inner.held.lock().insert(uri.clone(), grant);
            known.insert(uri, prior);
        }
    }
    Ok(uris.iter().map(|uri| known.get(uri).cloned().unwrap_or_default()).collect())
}

/// Takes over documents that will be claimed later. What another has to remove, say, is judged anew: the sources are walked once more.
pub(in super::super) async fn hold(inner: &Inner, uris: &[String]) -> Result<(), ClusterError> {
    let granted = take_over(inner, uris).await?;
    let taken: Vec<String> = {
        let had: HashSet<&str> = granted.iter().map(|(uri, _)| uri.as_str()).collect();
        uris.iter().filter(|uri| !had.contains(uri.as_str())).map(|uri| key_of(uri).0).collect()
    };
    inner.held.lock().extend(granted);
    if taken.is_empty() {
        return Ok(());
    }
    let sql = format!(
        "UPDATE ragstream.corpora SET again = true
         WHERE id = $1 AND EXISTS (SELECT FROM unnest($2::text[]) AS t(key) WHERE {IS_NO_INDEXING})"
    );
    inner.database.ask(&sql, &[(&inner.corpus, Type::INT4), (&taken, Type::TEXT_ARRAY)]).await.map(drop)
}

async fn take_over(inner: &Inner, uris: &[String]) -> Result<Vec<(String, Grant)>, ClusterError> {
    let (keys, kept): (Vec<String>, Vec<Option<Vec<u8>>>) = uris.iter().map(|uri| key_of(uri)).unzip();
    let me = inner.member.standing().id;
    let rows = inner
        .database
        .ask(
            "WITH me AS (SELECT id FROM ragstream.workers WHERE id = $2 FOR KEY SHARE),
             given AS (SELECT DISTINCT ON (key) key, uri FROM unnest($3::text[], $4::bytea[]) AS g(key, uri) ORDER BY key),
             taken AS (
                 INSERT INTO ragstream.jobs AS j (corpus, key, uri, job, kind, source, place, owner, epoch)
                 SELECT $1, g.key, g.uri, nextval('ragstream.job_numbers'), 0, '', 0, me.id, $5
                 FROM given g, me ORDER BY g.key
                 ON CONFLICT (corpus, key) DO UPDATE SET owner = excluded.owner, epoch = excluded.epoch, kind = excluded.kind,
                     item = NULL
                     WHERE j.owner IS NULL OR j.owner = excluded.owner
                 RETURNING j.key, j.uri, j.epoch, j.sweep)
             SELECT t.key, t.uri, t.epoch, t.sweep, d.source, d.hash, d.modified, d.points, d.intents
             FROM taken t LEFT JOIN ragstream.documents d ON d.corpus = $1 AND d.key = t.key AND d.key = ANY($3)",
            &[
                (&inner.corpus, Type::INT4),
                (&me, Type::INT8),
                (&keys, Type::TEXT_ARRAY),
                (&kept, Type::BYTEA_ARRAY),
                (&inner.epochs.next(), Type::INT8),
            ],
        )
        .await?;
    rows.iter().map(|row| Ok((row.uri()?, grant(row, 2)?))).collect()
}

/// What a row says from a column on: epoch, sweep, source, hash, modified, points, intents.
pub(in super::super) fn grant(row: &Row, at: usize) -> Result<Grant, ClusterError> {
    let entry = match row.cell::<Option<&[u8]>>(at + 5)? {
        Some(points) => Some(Entry {
            // There, as the row of the points is.
            source: SourceId::new(row.cell::<String>(at + 2)?),
            hash: row.cell::<Option<&[u8]>>(at + 3)?.and_then(|hash| hash.try_into().ok()),
            modified: row.cell(at + 4)?,
            points: decode(points),
        }),
        None => None,
    };
    let late = row.cell::<Option<&[u8]>>(at + 1)?.unwrap_or_default();
    let intended = row.cell::<Option<&[u8]>>(at + 6)?.unwrap_or_default();
    // What a worker may still write that lost its lease is to be deleted like what was only intended.
    let intended: BTreeSet<Uuid> = decode_ids(intended).into_iter().chain(decode_ids(late)).collect();
    let epoch = Epoch(row.cell::<i64>(at)? as u64);
    Ok(Grant::new(PriorState { entry, intended: intended.into_iter().collect(), epoch }, late.to_vec()))
}

/// Columns of the documents of a call.
#[derive(Default)]
struct Columns {
    uris: HashMap<String, String>,
    keys: Vec<String>,
    kept: Vec<Option<Vec<u8>>>,
    epochs: Vec<i64>,
    sources: Vec<String>,
}

impl Columns {
    fn push(&mut self, uri: &str, epoch: Epoch, source: &str) {
        let (key, kept) = key_of(uri);
        self.uris.insert(key.clone(), uri.to_owned());
        self.keys.push(key);
        self.kept.push(kept);
        self.epochs.push(epoch.0 as i64);
        self.sources.push(source.to_owned());
    }

    /// Those that no row names.
    fn fenced(mut self, rows: &[Row], mut fenced: Fenced) -> Result<Fenced, ClusterError> {
        for row in rows {
            self.uris.remove(row.cell::<&str>(0)?);
        }
        fenced.uris.extend(self.uris.into_values());
        Ok(fenced)
    }
}

/// Of several of one document, the last.
fn last_of_each<T>(given: Vec<T>, uri: impl Fn(&T) -> &str) -> Vec<T> {
    let last: HashMap<String, usize> = given.iter().enumerate().map(|(n, one)| (uri(one).to_owned(), n)).collect();
    if last.len() == given.len() {
        return given;
    }
    given.into_iter().enumerate().filter(|(n, one)| last.get(uri(one)) == Some(n)).map(|(_, one)| one).collect()
}

/// Puts aside what this worker does not hold under the epoch that is said: that is known without asking.
fn split<T>(inner: &Inner, given: Vec<T>, name: impl Fn(&T) -> (&str, Epoch)) -> (Vec<T>, Fenced) {
    let (mine, others): (Vec<T>, Vec<T>) = given.into_iter().partition(|one| {
        let (uri, epoch) = name(one);
        inner.held.has(uri, epoch)
    });
    (mine, Fenced { uris: others.iter().map(|one| name(one).0.to_owned()).collect() })
}

impl Record<Inner> for Intent {
    fn uri(&self) -> &str {
        &self.uri
    }

    fn record(inner: &Inner, all: Vec<Self>) -> impl Future<Output = Result<Fenced, ClusterError>> + Send {
        intend(inner, all)
    }
}

impl Record<Inner> for Commit {
    fn uri(&self) -> &str {
        &self.uri
    }

    fn record(inner: &Inner, all: Vec<Self>) -> impl Future<Output = Result<Fenced, ClusterError>> + Send {
        commit(inner, all)
    }
}

async fn intend(inner: &Inner, intents: Vec<Intent>) -> Result<Fenced, ClusterError> {
    let (mut intents, fenced) = split(inner, intents, |intent| (&intent.uri, intent.epoch));
    if intents.is_empty() {
        return Ok(fenced);
    }
    let mut columns = Columns::default();
    let (mut ids, mut points) = (Vec::new(), Vec::new());
    {
        let mut held = inner.held.lock();
        for intent in &intents {
            if let Some(grant) = held.get_mut(&intent.uri) {
                grant.intended.extend(&intent.ids);
                grant.intends = Some(intent.source.clone());
            }
        }
        intents = last_of_each(intents, |intent| &intent.uri);
        for intent in &intents {
            let Some(grant) = held.get_mut(&intent.uri) else { continue };
            columns.push(&intent.uri, intent.epoch, intent.source.as_str());
            ids.push(grant.intended_ids());
            points.push(grant.recorded.then(|| encode(&intent.untouched)));
        }
    }
    let rows = inner
        .database
        .ask(
            "WITH me AS (SELECT id FROM ragstream.workers WHERE id = $2 FOR KEY SHARE),
             mine AS (
                 UPDATE ragstream.jobs j SET sweep = g.intents, source = g.source
                 FROM unnest($3::text[], $4::int8[], $5::text[], $6::bytea[], $7::bytea[]) AS g(key, epoch, source, intents, points), me
                 WHERE j.corpus = $1 AND j.key = g.key AND j.key = ANY($3) AND j.epoch = g.epoch AND j.owner = me.id
                 RETURNING g.key, g.source, g.points),
             word AS (UPDATE ragstream.corpora SET generation = NULL
                 WHERE id = $1 AND generation IS NOT NULL AND EXISTS (SELECT 1 FROM mine)),
             begun AS (
                 UPDATE ragstream.documents d SET source = m.source, points = m.points, version = NULL, hash = NULL, modified = NULL
                 FROM mine m WHERE d.corpus = $1 AND d.key = m.key)
             SELECT key FROM mine",
            &[
                (&inner.corpus, Type::INT4),
                (&inner.member.standing().id, Type::INT8),
                (&columns.keys, Type::TEXT_ARRAY),
                (&columns.epochs, Type::INT8_ARRAY),
                (&columns.sources, Type::TEXT_ARRAY),
                (&ids, Type::BYTEA_ARRAY),
                (&points, Type::BYTEA_ARRAY),
            ],
        )
        .await?;
    let refused = columns.fenced(&rows, Fenced::default())?;
    let given = intents.iter().map(|intent| (intent.uri.as_str(), intent.epoch));
    inner.held.release(given.filter(|(uri, _)| refused.uris.iter().any(|refused| refused == uri)));
    Ok(Fenced { uris: [fenced.uris, refused.uris].concat() })
}

async fn commit(inner: &Inner, commits: Vec<Commit>) -> Result<Fenced, ClusterError> {
    let (commits, fenced) = split(inner, commits, |commit| (&commit.uri, commit.epoch));
    if commits.is_empty() {
        return Ok(fenced);
    }
    let commits = last_of_each(commits, |commit| &commit.uri);
    let mut columns = Columns::default();
    let (mut versions, mut hashes, mut modified, mut points) = (Vec::new(), Vec::new(), Vec::new(), Vec::new());
    for commit in &commits {
        columns.push(&commit.uri, commit.epoch, commit.source.as_str());
        versions.push(Some(commit.version.as_bytes().to_vec()).filter(|bytes| !bytes.is_empty()));
        hashes.push(commit.hash.to_vec());
        modified.push(commit.modified);
        points.push(encode(&commit.points));
    }
    let rows = inner
        .database
        .ask(
            "WITH me AS (SELECT id FROM ragstream.workers WHERE id = $2 FOR KEY SHARE),
             given AS (
                 SELECT * FROM unnest($3::text[], $4::bytea[], $5::int8[], $6::text[], $7::bytea[], $8::bytea[], $9::int8[],
                     $10::bytea[]) AS g(key, uri, epoch, source, version, hash, modified, points)),
             done AS (
                 DELETE FROM ragstream.jobs j USING given g, me
                 WHERE j.corpus = $1 AND j.key = g.key AND j.key = ANY($3) AND j.epoch = g.epoch AND j.owner = me.id RETURNING j.key),
             written AS (
                 INSERT INTO ragstream.documents AS d
                     (corpus, key, uri, source, version, hash, modified, points, owner, epoch)
                 SELECT $1, g.key, g.uri, g.source, g.version, g.hash, g.modified, g.points, $2, g.epoch
                 FROM given g JOIN done USING (key) ORDER BY g.key
                 ON CONFLICT (corpus, key) DO UPDATE SET source = excluded.source, version = excluded.version,
                     hash = excluded.hash, modified = excluded.modified, points = excluded.points, owner = excluded.owner,
                     epoch = excluded.epoch, intents = NULL, stage = NULL, error = NULL, unlisted = false
                 RETURNING d.key)
             SELECT key FROM written UNION ALL
             SELECT g.key FROM given g JOIN ragstream.documents d
                 ON d.corpus = $1 AND d.key = g.key AND d.key = ANY($3) AND d.epoch = g.epoch AND d.owner = $2",
            &[
                (&inner.corpus, Type::INT4),
                (&inner.member.standing().id, Type::INT8),
                (&columns.keys, Type::TEXT_ARRAY),
                (&columns.kept, Type::BYTEA_ARRAY),
                (&columns.epochs, Type::INT8_ARRAY),
                (&columns.sources, Type::TEXT_ARRAY),
                (&versions, Type::BYTEA_ARRAY),
                (&hashes, Type::BYTEA_ARRAY),
                (&modified, Type::INT8_ARRAY),
                (&points, Type::BYTEA_ARRAY),
            ],
        )
        .await?;
    let fenced = columns.fenced(&rows, fenced)?;
    inner.held.release(commits.iter().map(|commit| (commit.uri.as_str(), commit.epoch)));
    Ok(fenced)
}

pub(super) async fn fail(inner: &Inner, failures: &[FailedDocument]) -> Result<(), ClusterError> {
    // Of two failures of one document the later counts; whose it is, the first says.
    let mut last: HashMap<&str, (&SourceId, &FailedDocument)> = HashMap::new();
    // What was lost is for others to judge: perhaps it is done.
    for failure in failures.iter().filter(|failure| !inner.held.is_lost(&failure.uri)) {
        last.entry(&failure.uri).or_insert((&failure.source, failure)).1 = failure;
    }
    let mut columns = Columns::default();
    let (mut stages, mut errors) = (Vec::new(), Vec::new());
    let (mut intended, mut late) = (Vec::new(), Vec::new());
    for (uri, (source, failure)) in &last {
        let mut whose = *source;
        let held = inner.held.lock();
        let grant = held.get(*uri);
        // Of what it began to write, who gave it is known better.
        if let Some(source) = grant.and_then(|grant| grant.intends.as_ref()) {
            whose = source;
        }
        columns.push(uri, grant.map(|grant| grant.epoch).unwrap_or_default(), whose.as_str());
        stages.push(failure.stage.name());
        errors.push(text(&failure.error));
        intended.push(grant.and_then(Grant::own_intents));
        late.push(grant.map(|grant| grant.late.clone()).filter(|ids| !ids.is_empty()));
    }
    inner
        .database
        .ask(
            "WITH me AS (SELECT id FROM ragstream.workers WHERE id = $2 FOR KEY SHARE),
             given AS (SELECT * FROM unnest($3::text[], $4::bytea[], $5::int8[], $6::text[], $7::text[], $8::text[], $9::bytea[],
                 $10::bytea[]) AS g(key, uri, epoch, source, stage, error, intents, late)),
             done AS (
                 DELETE FROM ragstream.jobs j USING given g, me
                 WHERE j.corpus = $1 AND j.key = g.key AND j.key = ANY($3) AND j.epoch = g.epoch AND j.owner = me.id
                 RETURNING j.corpus, j.key, j.uri, j.source, g.late),
             later AS (
                 INSERT INTO ragstream.sweeps (corpus, key, uri, source, ids, due)
                 SELECT corpus, key, uri, source, late, clock_timestamp() FROM done WHERE late IS NOT NULL)
             INSERT INTO ragstream.documents AS d (corpus, key, uri, source, stage, error, intents)
             SELECT $1, key, uri, source, stage, error, intents FROM given ORDER BY key
             ON CONFLICT (corpus, key) DO UPDATE SET stage = excluded.stage, error = excluded.error,
                 source = CASE WHEN excluded.intents IS NULL THEN d.source ELSE excluded.source END,
                 intents = coalesce(excluded.intents, d.intents)",
            &[
                (&inner.corpus, Type::INT4),
                (&inner.member.standing().id, Type::INT8),
                (&columns.keys, Type::TEXT_ARRAY),
                (&columns.kept, Type::BYTEA_ARRAY),
                (&columns.epochs, Type::INT8_ARRAY),
                (&columns.sources, Type::TEXT_ARRAY),
                (&stages, Type::TEXT_ARRAY),
                (&errors, Type::TEXT_ARRAY),
                (&intended, Type::BYTEA_ARRAY),
                (&late, Type::BYTEA_ARRAY),
            ],
        )
        .await?;
    let held = last.keys().filter_map(|uri| Some((*uri, inner.held.epoch(uri)?))).collect::<Vec<_>>();
    inner.held.release(held);
    Ok(())
}

pub(super) async fn forget(inner: &Inner, documents: Vec<(String, Epoch)>) -> Result<Fenced, ClusterError> {
    let (documents, fenced) = split(inner, documents, |(uri, epoch)| (uri, *epoch));
    if documents.is_empty() {
        return Ok(fenced);
    }
    let documents = last_of_each(documents, |(uri, _)| uri);
    let mut columns = Columns::default();
    for (uri, epoch) in &documents {
        columns.push(uri, *epoch, "");
    }
    // A document that is not there was forgotten before the answer was lost.
    let rows = inner
        .database
        .ask(
            "WITH me AS (SELECT id FROM ragstream.workers WHERE id = $2 FOR KEY SHARE),
             given AS (SELECT * FROM unnest($3::text[], $4::int8[]) AS g(key, epoch)),
             done AS (
                 DELETE FROM ragstream.jobs j USING given g, me
                 WHERE j.corpus = $1 AND j.key = g.key AND j.key = ANY($3) AND j.epoch = g.epoch AND j.owner = me.id RETURNING j.key),
             gone AS (DELETE FROM ragstream.documents d USING done WHERE d.corpus = $1 AND d.key = done.key)
             SELECT key FROM done UNION ALL
             SELECT g.key FROM given g
             WHERE NOT EXISTS (SELECT 1 FROM ragstream.documents d WHERE d.corpus = $1 AND d.key = g.key)
                 AND NOT EXISTS (SELECT 1 FROM ragstream.jobs j WHERE j.corpus = $1 AND j.key = g.key)",
            &[
                (&inner.corpus, Type::INT4),
                (&inner.member.standing().id, Type::INT8),
                (&columns.keys, Type::TEXT_ARRAY),
                (&columns.epochs, Type::INT8_ARRAY),
            ],
        )
        .await?;
    let fenced = columns.fenced(&rows, fenced)?;
    inner.held.release(documents.iter().map(|(uri, epoch)| (uri.as_str(), *epoch)));
    Ok(fenced)
}

/// Ends the jobs of documents of which nothing is to be indexed. What is recorded of them is for the end of the round to judge.
pub(super) async fn unlist(inner: &Inner, uris: &[String]) -> Result<(), ClusterError> {
    settle(inner, uris, true).await
}

/// Ends the jobs of documents with which nothing more is to be done. What this worker intended of them stays recorded.
pub(in super::super) async fn settle(inner: &Inner, uris: &[String], unlisted: bool) -> Result<(), ClusterError> {
    let mut columns = Columns::default();
    let mut intended = Vec::new();
    let mut held = Vec::new();
    for uri in uris {
        let Some((epoch, ids)) = inner.held.lock().get(uri).map(|grant| (grant.epoch, grant.own_intents())) else { continue };
        held.push((uri.as_str(), epoch));
        columns.push(uri, epoch, "");
        intended.push(ids);
    }
    if held.is_empty() {
        return Ok(());
    }
    inner
        .database
        .ask(
            "WITH me AS (SELECT id FROM ragstream.workers WHERE id = $2 FOR KEY SHARE),
             done AS (
                 DELETE FROM ragstream.jobs j USING unnest($3::text[], $4::int8[], $6::bytea[]) AS g(key, epoch, intents), me
                 WHERE j.corpus = $1 AND j.key = g.key AND j.key = ANY($3) AND j.epoch = g.epoch AND j.owner = me.id
                 RETURNING j.corpus, j.key, j.uri, j.source, j.sweep, g.intents),
             later AS (
                 INSERT INTO ragstream.sweeps (corpus, key, uri, source, ids, due)
                 SELECT corpus, key, uri, source, sweep, clock_timestamp() FROM done WHERE sweep IS NOT NULL AND $5),
             begun AS (
                 INSERT INTO ragstream.documents AS d (corpus, key, uri, source, intents, unlisted)
                 SELECT corpus, key, uri, source, intents, $5 FROM done WHERE intents IS NOT NULL ORDER BY key
                 ON CONFLICT (corpus, key) DO UPDATE SET source = excluded.source, intents = excluded.intents,
                     unlisted = d.unlisted OR $5)
             UPDATE ragstream.documents d SET unlisted = true FROM done
             WHERE d.corpus = $1 AND d.key = done.key AND $5 AND done.intents IS NULL",
            &[
                (&inner.corpus, Type::INT4),
                (&inner.member.standing().id, Type::INT8),
                (&columns.keys, Type::TEXT_ARRAY),
                (&columns.epochs, Type::INT8_ARRAY),
                (&unlisted, Type::BOOL),
                (&intended, Type::BYTEA_ARRAY),
            ],
        )
        .await?;
    inner.held.release(held);
    Ok(())
}

/// Writes to the ledger what was intended of the documents that these jobs are about, which $1 and $2 may narrow. As long as a worker
/// has a document, that lies in its job: there, writing it touches no index.
pub(in super::super) fn record_intents_of(jobs: &str) -> String {
    format!(
        "WITH begun AS (
             SELECT corpus, key, uri, source, sweep FROM ragstream.jobs
             WHERE corpus = $1 AND kind = 0 AND sweep IS NOT NULL AND {jobs} ORDER BY key FOR UPDATE)
         INSERT INTO ragstream.documents AS d (corpus, key, uri, source, intents) SELECT * FROM begun ORDER BY key
         ON CONFLICT (corpus, key) DO UPDATE SET intents = coalesce(d.intents, ''::bytea) || excluded.intents
             WHERE coalesce(position(excluded.intents IN d.intents), 0) = 0"
    )
}

/// [`record_intents_of`] all that workers have.
pub(super) async fn record_intents(inner: &Inner) -> Result<(), ClusterError> {
    inner.database.ask(&record_intents_of("owner IS NOT NULL"), &[(&inner.corpus, Type::INT4)]).await.map(drop)
}
