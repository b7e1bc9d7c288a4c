//! What all workers on an index are at.

use std::path::Path;

use schemars::JsonSchema;
use serde::Serialize;
use serde_json::Value;
use tokio_postgres::types::Type;

use super::change::{Side, Step, left, name_of, sides};
use super::error::ClusterError;
use super::row::Row;
use super::schema;
use super::session::Database;
use crate::limits;
use crate::vectordb::Slot;

/// Failed documents that are named.
const NAMED: i64 = 100;

/// What all workers on an index are at. The keys are the contract's.
#[derive(Debug, Clone, Serialize, JsonSchema)]
#[serde(tag = "type", rename = "cluster")]
pub struct ClusterStatus {
    /// What the index is called among those that the database knows.
    pub index: String,
    /// Where the database is.
    pub database: String,
    /// How often the index was brought up to date, the round that is under way included.
    pub round: u64,
    /// How far that is: `preparing`, `walking`, `listed` or `sealed`.
    pub phase: &'static str,
    /// Seconds since it began.
    pub seconds: Option<f64>,
    /// Those who work on it, by their names.
    pub workers: Vec<WorkerStatus>,
    /// Jobs that wait.
    pub waiting: u64,
    /// Jobs that a worker has.
    pub taken: u64,
    /// Documents that are looked at once more when what a dead worker may have sent can have arrived.
    pub late: u64,
    /// Documents in the index.
    pub documents: u64,
    /// Documents that failed, and have not been read since.
    pub failed: u64,
    /// The first of them.
    pub failures: Vec<FailureStatus>,
    /// Documents a second, of all workers together, since each began.
    pub documents_per_second: f64,
    /// Until nothing waits, at that rate; nothing while it cannot be told.
    pub seconds_left: Option<f64>,
    /// A change of the index's model that is under way.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub change: Option<ChangeStatus>,
    /// What the providers' quotas were used for, of all indexes.
    pub quotas: Vec<QuotaStatus>,
}

/// A change of the index's model, and how far it is. What is said of documents and of the queue is then of the new vectors.
#[derive(Debug, Clone, Serialize, JsonSchema)]
pub struct ChangeStatus {
    /// The model whose vectors answer until the others are complete.
    pub from: String,
    /// The model whose vectors are made.
    pub to: String,
    /// Documents of the old index that are still to come.
    pub waiting: u64,
    /// Documents of the old index that failed.
    pub failed: u64,
    /// Of all documents, those that are done, in percent. All of it is not said before the new vectors answer.
    pub percent: u64,
}

/// A worker.
#[derive(Debug, Clone, Serialize, JsonSchema)]
pub struct WorkerStatus {
    /// Its name, for as long as it holds its lease.
    pub id: i64,
    /// The machine.
    pub host: String,
    /// The process on it.
    pub process: i64,
    /// The version of its program.
    pub version: String,
    /// Whether it walks the sources.
    pub leads: bool,
    /// Seconds for which its lease holds; below 0, others take over what it has.
    pub lease: f64,
    /// Documents that it has.
    pub taken: u64,
    /// Documents that it has done.
    pub documents: u64,
    /// Chunks that it has written.
    pub chunks: u64,
    /// Tokens that it has embedded.
    pub tokens: u64,
    /// Requests that it has sent.
    pub requests: u64,
    /// Of those, refused for speed.
    pub throttled: u64,
}

/// A document that failed.
#[derive(Debug, Clone, Serialize, JsonSchema)]
pub struct FailureStatus {
    /// The document.
    pub uri: String,
    /// Where it failed.
    pub stage: String,
    /// Why.
    pub error: String,
}

/// A provider's quota.
#[derive(Debug, Clone, Serialize, JsonSchema)]
pub struct QuotaStatus {
    /// The provider, with its address.
    pub provider: String,
    /// Requests that were sent in the last minute.
    pub requests: u64,
    /// Tokens that were.
    pub tokens: u64,
    /// Requests a minute that are allowed, as far as that is known.
    pub rpm: Option<u64>,
    /// Tokens a minute.
    pub tpm: Option<u64>,
}

/// What all workers on the index of this name are at, by the database at this address. `None`: it knows no such index.
pub(super) async fn status(url: &str, base: &Path, name: &str) -> Result<Option<ClusterStatus>, ClusterError> {
    let database = Database::new(url, base)?;
    if !schema::is_known_now(&database).await? {
        return Ok(None);
    }
    let names = [Slot::First, Slot::Second].map(|slot| name_of(name, slot));
    // Of the two ledgers that an index may have, the one that workers sign on to. Documents are counted in one statement, so that none is
    // counted twice or missed.
    let sql = format!(
        "SELECT id, round, phase, extract(epoch FROM clock_timestamp() - began)::float8,
             (SELECT count(*) FROM ragstream.jobs j WHERE j.corpus = c.id AND owner IS NULL),
             (SELECT count(*) FROM ragstream.jobs j WHERE j.corpus = c.id AND owner IS NOT NULL),
             (SELECT count(*) FROM ragstream.sweeps s WHERE s.corpus = c.id),
             (SELECT count(*) FROM ragstream.documents d WHERE d.corpus = c.id)
                 - (SELECT count(*) FROM ragstream.documents d WHERE d.corpus = c.id AND points IS NULL),
             (SELECT count(*) FROM ragstream.documents d WHERE d.corpus = c.id AND error IS NOT NULL),
             {}
         FROM ragstream.corpora c WHERE name IN ($1, $2) ORDER BY closed, change DESC, began DESC NULLS LAST, id LIMIT 1",
        left()
    );
    let [first, second] = &names;
    let rows = database.ask_once(&sql, &[(first, Type::TEXT), (second, Type::TEXT)]).await?;
    let Some(row) = rows.first() else { return Ok(None) };
    let corpus: i32 = row.cell(0)?;
    let workers = workers(&database, &names).await?;
    let rate = workers.iter().fold(0.0, |rate, (worker, seconds)| rate + worker.documents as f64 / seconds.max(0.001));
    let (waiting, taken) = (row.count(4)?, row.count(5)?);
    let phase = match row.cell::<i16>(2)? {
        1 => "preparing",
        2 => "walking",
        3 => "listed",
        _ => "sealed",
    };
    // Those that a change has not come to, or that failed for it.
    let unread = (row.count(9)?, row.count(10)?);
    let documents = row.count(7)?.saturating_sub(unread.0 + unread.1);
    Ok(Some(ClusterStatus {
        index: name.to_owned(),
        database: database.place().to_owned(),
        round: row.count(1)?,
        phase,
        seconds: row.cell(3)?,
        workers: workers.into_iter().map(|(worker, _)| worker).collect(),
        waiting,
        taken,
        late: row.count(6)?,
        documents,
        failed: row.count(8)?,
        failures: failures(&database, corpus).await?,
        documents_per_second: rate,
        seconds_left: (rate > 0.0 && phase != "sealed").then(|| (waiting + taken) as f64 / rate),
        change: change(&sides(&database, &names).await?, documents, unread),
        quotas: quotas(&database).await?,
    }))
}

/// A change of which so many documents are done, and so many are left: those nobody has come to, and those that failed.
fn change([first, second]: &[Side; 2], documents: u64, (waiting, failed): (u64, u64)) -> Option<ChangeStatus> {
    let (made, old) = match (first.change, second.change) {
        (Step::None, Step::None) => return None,
        (Step::None, _) => (second, first),
        _ => (first, second),
    };
    let model = |side: &Side| side.model.clone().unwrap_or_default();
    let percent = (documents * 100 / (documents + waiting + failed).max(1)).min(99);
    Some(ChangeStatus { from: model(old), to: model(made), waiting, failed, percent })
}

/// The workers, each with the seconds since it began.
async fn workers(database: &Database, [first, second]: &[String; 2]) -> Result<Vec<(WorkerStatus, f64)>, ClusterError> {
    let rows = database
        .ask_once(
            "SELECT w.id, w.host, w.process, w.program, extract(epoch FROM w.lease_until - clock_timestamp())::float8, w.told,
                 (SELECT count(*) FROM ragstream.jobs j WHERE j.owner = w.id),
                 EXISTS (SELECT 1 FROM ragstream.roles r
                     WHERE r.corpus = w.corpus AND r.owner = w.id AND r.lease_until > clock_timestamp())
             FROM ragstream.workers w JOIN ragstream.corpora c ON c.id = w.corpus WHERE c.name IN ($1, $2) ORDER BY w.since, w.id",
            &[(first, Type::TEXT), (second, Type::TEXT)],
        )
        .await?;
    let worker = |row: &Row| {
        let told: Value = row.cell::<Option<&str>>(5)?.and_then(|told| serde_json::from_str(told).ok()).unwrap_or_default();
        let number = |key: &str| told.get(key).and_then(Value::as_u64).unwrap_or_default();
        let worker = WorkerStatus {
            id: row.cell(0)?,
            host: row.cell(1)?,
            process: row.cell(2)?,
            version: row.cell(3)?,
            leads: row.cell(7)?,
            lease: row.cell(4)?,
            taken: row.count(6)?,
            documents: number("documents"),
            chunks: number("chunks"),
            tokens: number("tokens"),
            requests: number("requests"),
            throttled: number("throttled"),
        };
        Ok((worker, told.get("seconds").and_then(Value::as_f64).unwrap_or_default()))
    };
    rows.iter().map(worker).collect()
}

async fn failures(database: &Database, corpus: i32) -> Result<Vec<FailureStatus>, ClusterError> {
    let rows = database
        .ask_once(
            "SELECT key, uri, stage, error FROM ragstream.documents WHERE corpus = $1 AND error IS NOT NULL ORDER BY key LIMIT $2",
            &[(&corpus, Type::INT4), (&NAMED, Type::INT8)],
        )
        .await?;
    let failure = |row: &Row| {
        // A failure without a stage is told all the same.
        let stage = row.cell::<Option<String>>(2)?.unwrap_or_default();
        Ok(FailureStatus { uri: row.uri()?, stage, error: row.cell(3)? })
    };
    rows.iter().map(failure).collect()
}

async fn quotas(database: &Database) -> Result<Vec<QuotaStatus>, ClusterError> {
    let rows = database
        .ask_once(
            "SELECT DISTINCT ON (provider_key) name, state, (extract(epoch FROM clock_timestamp()) * 1000000)::bigint
             FROM ragstream.quota ORDER BY provider_key, version DESC LIMIT 100",
            &[],
        )
        .await?;
    let quota = |row: &Row| {
        let Some(allowed) = limits::usage(row.cell(1)?, row.cell(2)?) else { return Ok(None) };
        let (requests, tokens) = allowed.used;
        Ok(Some(QuotaStatus { provider: row.cell(0)?, requests, tokens, rpm: allowed.rpm, tpm: allowed.tpm }))
    };
    rows.iter().filter_map(|row| quota(row).transpose()).collect()
}
