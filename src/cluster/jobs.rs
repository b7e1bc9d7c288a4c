//! The queue: what waits, in the order in which it came, and who has what.

use std::time::Duration;

use tokio::time::Instant;
use tokio_postgres::types::Type;
use uuid::Uuid;

use super::error::ClusterError;
use super::inner::{Inner, Seen};
use super::key::key_of;
use super::ledger::documents::{self, IS_NO_INDEXING};
use super::session::{Patience, Values};
use crate::ingest::coordination::{Job, Outstanding, Taken, Term};
use crate::ingest::ledger::{Missing, decode_ids};
use crate::source::{Item, SourceId, Version};

/// What a job is, in the table.
const INDEX: i16 = 0;
const REMOVE: i16 = 1;
const SWEEP: i16 = 2;

/// Numbers that are looked at again below the highest that was seen: some may have been given out before it, and become visible after.
const REWIND: i64 = 10_000;
/// And how often.
const REWIND_EVERY: Duration = Duration::from_secs(1);
/// How often all numbers are looked at.
const LOOK_AT_ALL: Duration = Duration::from_secs(30);

/// A worker with nothing to do asks again after this time, and for each of many workers this much later.
const IDLE: (Duration, Duration) = (Duration::from_millis(100), Duration::from_millis(5));

/// An item, as the queue keeps it: version, size, key.
fn packed(item: &Item) -> Vec<u8> {
    let version = item.version.as_bytes();
    let mut bytes = vec![version.len() as u8];
    bytes.extend_from_slice(version);
    bytes.extend_from_slice(&item.size.map_or(u64::MAX, |size| size.min(u64::MAX - 1)).to_le_bytes());
    bytes.extend_from_slice(&item.key);
    bytes
}

/// Whatever it was that [`packed`] packed; of anything else, an item of which nothing is known but its uri.
fn unpacked(uri: String, bytes: &[u8]) -> Item {
    let parts = || {
        let (length, rest) = bytes.split_first()?;
        let (version, rest) = rest.split_at_checked(usize::from(*length))?;
        let (size, key) = rest.split_first_chunk::<8>()?;
        Some((Version::new(version), u64::from_le_bytes(*size), key.to_vec()))
    };
    let mut item = Item::new(uri, Version::UNKNOWN);
    if let Some((version, size, key)) = parts() {
        (item.version, item.size, item.key) = (version, (size != u64::MAX).then_some(size), key);
    }
    item
}

/// The statement that lets a worker write that leads: whoever takes the lead waits for it.
const LEADS: &str = "leads AS (
    SELECT 1 FROM ragstream.roles WHERE corpus = $1 AND role = 'walk' AND owner = $2 AND epoch = $3 FOR SHARE)";

/// Puts jobs into the queue; what waits there already is replaced, what is taken is left alone. Where that is no indexing, as with what
/// a leader before this one found gone, the document is judged anew: the sources are walked once more. `false`: it does not lead any
/// more.
async fn submit(inner: &Inner, term: Term, kind: i16, jobs: Jobs) -> Result<bool, ClusterError> {
    if jobs.keys.is_empty() {
        return Ok(true);
    }
    let sql = format!(
        "WITH {LEADS}, queued AS (
             INSERT INTO ragstream.jobs AS j (corpus, key, uri, job, kind, source, place, item)
             SELECT $1, g.key, g.uri, nextval('ragstream.job_numbers'), $4, g.source, $5, g.item
             FROM leads, unnest($6::text[], $7::bytea[], $8::text[], $9::bytea[]) WITH ORDINALITY AS g(key, uri, source, item, n)
             ORDER BY g.n
             ON CONFLICT (corpus, key) DO UPDATE SET kind = excluded.kind, source = excluded.source, place = excluded.place,
                 item = excluded.item WHERE j.owner IS NULL
             RETURNING j.key),
         taken AS MATERIALIZED (SELECT key FROM unnest($6::text[]) AS g(key) EXCEPT SELECT key FROM queued),
         anew AS (
             UPDATE ragstream.corpora SET again = true
             WHERE id = $1 AND $4 = {INDEX} AND EXISTS (SELECT FROM leads) AND EXISTS (SELECT FROM taken t WHERE {IS_NO_INDEXING}))
         SELECT count(*) FROM leads"
    );
    let rows = inner
        .database
        .ask(
            &sql,
            &[
                (&inner.corpus, Type::INT4),
                (&inner.member.standing().id, Type::INT8),
                (&(term.epoch as i64), Type::INT8),
                (&kind, Type::INT2),
                (&jobs.place, Type::INT4),
                (&jobs.keys, Type::TEXT_ARRAY),
                (&jobs.uris, Type::BYTEA_ARRAY),
                (&jobs.sources, Type::TEXT_ARRAY),
                (&jobs.items, Type::BYTEA_ARRAY),
            ],
        )
        .await?;
    Ok(rows.first().map_or(Ok(0), |row| row.count(0))? > 0)
}

/// Columns of jobs.
#[derive(Default)]
struct Jobs {
    place: i32,
    keys: Vec<String>,
    uris: Vec<Option<Vec<u8>>>,
    sources: Vec<String>,
    items: Vec<Option<Vec<u8>>>,
}

pub(super) async fn submit_items(
    inner: &Inner,
    term: Term,
    number: usize,
    source: &SourceId,
    items: &[Item],
) -> Result<bool, ClusterError> {
    let mut jobs = Jobs { place: i32::try_from(number).unwrap_or(i32::MAX), ..Jobs::default() };
    for item in items {
        let (key, uri) = key_of(&item.uri);
        jobs.keys.push(key);
        jobs.uris.push(uri);
        jobs.sources.push(source.as_str().to_owned());
        jobs.items.push(Some(packed(item)));
    }
    submit(inner, term, INDEX, jobs).await
}

pub(super) async fn submit_removals(inner: &Inner, term: Term, documents: &[Missing]) -> Result<bool, ClusterError> {
    let mut jobs = Jobs::default();
    for document in documents {
        let (key, uri) = key_of(&document.uri);
        jobs.keys.push(key);
        jobs.uris.push(uri);
        jobs.sources.push(document.source.as_str().to_owned());
        jobs.items.push(None);
    }
    submit(inner, term, REMOVE, jobs).await
}

/// Takes jobs of one kind, in the order of their numbers.
pub(super) async fn take(inner: &Inner, most: usize) -> Result<Taken, ClusterError> {
    let most = i64::try_from(most).unwrap_or(i64::MAX);
    let seen = *inner.seen();
    let mut jobs = take_after(inner, seen.job, most).await?;
    if jobs.is_empty() {
        // Nothing beyond what it saw last: what came back, or was given out before and became visible after, lies below.
        let now = Instant::now();
        let due = |last: Option<Instant>, every| last.is_none_or(|last| now.duration_since(last) >= every);
        let from = if due(seen.looked_at_all, LOOK_AT_ALL) {
            inner.seen().looked_at_all = Some(now);
            Some(0)
        } else if due(seen.rewound, REWIND_EVERY) {
            Some(seen.job.saturating_sub(REWIND).max(0))
        } else {
            None
        };
        if let Some(from) = from {
            inner.seen().rewound = Some(now);
            jobs = take_after(inner, from, most).await?;
        }
    }
    if !jobs.is_empty() {
        return Ok(Taken::Jobs(jobs));
    }
    let rows = inner
        .database
        .ask(
            "SELECT round, phase, (SELECT count(*) FROM ragstream.workers WHERE corpus = $1), closed OR closings <> $2
             FROM ragstream.corpora WHERE id = $1",
            &[(&inner.corpus, Type::INT4), (&inner.closings, Type::INT4)],
        )
        .await?;
    let row = rows.first().ok_or_else(|| inner.no_corpus())?;
    if row.cell(3)? {
        return Err(inner.is_closed());
    }
    // A lower one than it joined: that was lost, and it joins again.
    let (round, joined) = (row.cell::<i64>(0)?, inner.seen().round);
    if round > joined || round == joined && row.cell::<i16>(1)? == 0 {
        return Ok(Taken::Over);
    }
    let (idle, each) = IDLE;
    let wait = idle + each * inner.counted(row.cell(2)?).min(1000);
    Ok(Taken::Nothing(wait.mul_f64(rand::random_range(0.7..1.3))))
}

/// The rows are locked when they are updated, so that their places hold. $1 the index, $2 the worker, $3 the number after which to look, $4 how many, $5
/// the epoch.
const TAKE: &str = "
    WITH me AS (
        SELECT w.id FROM ragstream.workers w JOIN ragstream.corpora c ON c.id = w.corpus
        WHERE w.id = $2 AND c.id = $1 AND c.era = w.era AND c.phase IN (2, 3) AND w.lease_until > clock_timestamp()
        FOR KEY SHARE OF w),
    next AS (
        SELECT ctid FROM ragstream.jobs WHERE corpus = $1 AND owner IS NULL AND job > $3 AND EXISTS (SELECT 1 FROM me)
        ORDER BY job LIMIT $4 FOR UPDATE SKIP LOCKED),
    taken AS (
        UPDATE ragstream.jobs j SET owner = me.id, epoch = $5 FROM next, me
        WHERE j.ctid = next.ctid RETURNING j.*)
    SELECT t.key, t.uri, t.job, t.kind, t.source, t.place, t.item, t.epoch, t.sweep,
        d.source, d.hash, d.modified, d.points, d.intents,
        (SELECT count(*) FROM ragstream.workers w WHERE w.corpus = $1)
    FROM taken t LEFT JOIN LATERAL (
        SELECT * FROM ragstream.documents d WHERE d.corpus = $1 AND d.key = t.key OFFSET 0) d ON true
    ORDER BY t.job";

async fn take_after(inner: &Inner, after: i64, most: i64) -> Result<Vec<Job>, ClusterError> {
    let standing = inner.member.standing();
    let mut patience = Patience::new();
    let rows = loop {
        // One for all: it is enough that none of these documents had it before.
        let epoch = inner.epochs.next();
        let values: &Values<'_> = &[
            (&inner.corpus, Type::INT4),
            (&standing.id, Type::INT8),
            (&after, Type::INT8),
            (&most, Type::INT8),
            (&epoch, Type::INT8),
        ];
        let asked = inner.database.ask_once(TAKE, values).await;
        match asked {
            Ok(rows) => break rows,
            Err(error) => patience.after(error).await?,
        }
        // What was taken where the answer was lost would be nobody's until the lease ends.
        if let Err(error) = give_back_unknown(inner, standing.id).await {
            patience.after(error).await?;
        }
    };
    if rows.is_empty() {
        return Ok(Vec::new());
    }
    let sources = inner.joined().0.clone();
    let (mut jobs, mut grants) = (Vec::with_capacity(rows.len()), Vec::with_capacity(rows.len()));
    let mut nobodys = Vec::new();
    let mut highest = after;
    if let Some(row) = rows.first() {
        inner.counted(row.cell(14)?);
    }
    for row in &rows {
        let uri = row.uri()?;
        highest = highest.max(row.cell(2)?);
        let source = SourceId::new(row.cell::<String>(4)?);
        match row.cell::<i16>(3)? {
            REMOVE => jobs.push(Job::Remove(Missing { source, uri: uri.clone() })),
            SWEEP => {
                let ids: Vec<Uuid> = decode_ids(row.cell::<Option<&[u8]>>(8)?.unwrap_or_default());
                jobs.push(Job::Sweep { source, uri: uri.clone(), ids });
            }
            _ => {
                let item = unpacked(uri.clone(), row.cell::<Option<&[u8]>>(6)?.unwrap_or_default());
                match place(&sources, &source, row.cell(5)?) {
                    Some(place) => jobs.push(Job::Index(place, item)),
                    None => nobodys.push(uri.clone()),
                }
            }
        }
        grants.push((uri, documents::grant(row, 7)?));
    }
    // Whoever signed on anew meanwhile has nothing of it.
    if inner.member.standing().id == standing.id {
        inner.held.lock().extend(grants);
    } else {
        return Ok(Vec::new());
    }
    {
        let mut seen = inner.seen();
        *seen = Seen { job: seen.job.max(highest), ..*seen };
    }
    // What a late worker may have written of them is looked at all the same.
    documents::settle(inner, &nobodys, true).await?;
    Ok(jobs)
}

/// Where among these sources an item's is that was listed as the one at `place`: a worker that came when a round had been left in its
/// middle may have another pipeline than those who began it. `None`: it is none of them.
fn place(sources: &[SourceId], source: &SourceId, place: i32) -> Option<usize> {
    let place = usize::try_from(place).ok()?;
    match sources.get(place) {
        Some(there) if there == source => Some(place),
        _ => sources.iter().position(|other| other == source),
    }
}

/// Gives back what is in this worker's name without its knowing: the answer to a claim was lost.
async fn give_back_unknown(inner: &Inner, me: i64) -> Result<(), ClusterError> {
    let epochs: Vec<i64> = inner.held.lock().values().map(|grant| grant.epoch.0 as i64).collect();
    inner
        .database
        .ask_once(
            "UPDATE ragstream.jobs SET owner = NULL, job = nextval('ragstream.job_numbers')
             WHERE corpus = $1 AND owner = $2 AND NOT epoch = ANY($3) AND (item IS NOT NULL OR kind <> 0)",
            &[(&inner.corpus, Type::INT4), (&me, Type::INT8), (&epochs, Type::INT8_ARRAY)],
        )
        .await
        .map(drop)
}

pub(super) async fn outstanding(inner: &Inner) -> Result<Outstanding, ClusterError> {
    inner.free(None).await?;
    // What is due goes through the queue; where a job waits for its document, that takes it along.
    let rows = inner
        .database
        .ask(
            "WITH due AS (
                 SELECT id, key, uri, source, ids FROM ragstream.sweeps s WHERE corpus = $1 AND due < clock_timestamp()
                 ORDER BY id LIMIT 1000 FOR UPDATE SKIP LOCKED),
             each AS (
                 SELECT key, min(source) AS source, string_agg(ids, ''::bytea) AS ids, (array_agg(uri))[1] AS uri
                 FROM due GROUP BY key),
             queued AS (
                 INSERT INTO ragstream.jobs AS j (corpus, key, uri, job, kind, source, place, sweep)
                 SELECT $1, e.key, e.uri, nextval('ragstream.job_numbers'), $2, e.source, 0, e.ids FROM each e ORDER BY e.key
                 ON CONFLICT (corpus, key) DO UPDATE SET sweep = coalesce(j.sweep, ''::bytea) || excluded.sweep
                     WHERE j.owner IS NULL
                 RETURNING j.key),
             gone AS (
                 DELETE FROM ragstream.sweeps s USING due d JOIN queued q ON q.key = d.key WHERE s.id = d.id RETURNING 1)
             SELECT
                 (SELECT count(*) FROM (SELECT 1 FROM ragstream.jobs WHERE corpus = $1 LIMIT 1000) AS first)
                     + (SELECT count(*) FROM queued),
                 (SELECT count(*) FROM (SELECT 1 FROM ragstream.jobs WHERE corpus = $1 AND owner IS NOT NULL LIMIT 1000) AS first),
                 (SELECT count(*) FROM ragstream.sweeps WHERE corpus = $1) - (SELECT count(*) FROM gone)",
            &[(&inner.corpus, Type::INT4), (&SWEEP, Type::INT2)],
        )
        .await?;
    let count = |at| rows.first().map_or(Ok(0), |row| row.count(at));
    Ok(Outstanding { jobs: count(0)?, taken: count(1)?, sweeps: count(2)? })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn an_item_comes_back_as_it_went(version in proptest::collection::vec(any::<u8>(), 0..64), size: Option<u32>, key: Vec<u8>) {
            let mut item = Item::new("文档/a.md", Version::new(version));
            (item.size, item.key) = (size.map(u64::from), key);
            prop_assert_eq!(unpacked("文档/a.md".into(), &packed(&item)), item);
        }

        #[test]
        fn any_bytes_are_an_item(bytes: Vec<u8>) {
            prop_assert_eq!(unpacked("a".into(), &bytes).uri, "a");
        }
    }
}
