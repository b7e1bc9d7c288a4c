//! A provider's quota in the cluster's database: one row, whose lock is taken for a visit (see [`crate::limits`]).
//!
//! A commit does not wait for the disk: the row is written some dozen times a second, and a server that breaks down may take the last
//! moment of it along. That is noticed by a table which is empty after such an end, whatever ended: the server, one of its processes,
//! or the server that a standby followed. Then every worker writes again what it knows to be missing.

use std::fmt;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::time::Duration;

use async_trait::async_trait;
use tokio::time::timeout;
use tokio_postgres::types::Type;

use super::error::ClusterError;
use super::session::Database;
use crate::error::Failure as _;
use crate::limits::{Change, NotKept, Seen, SharedLimits, SharedQuota};

/// A worker that is stopped with the row's lock in its hand loses it after so long; one that waits for it asks again. What is loosened
/// may be lost, never wrong.
const TERMS: &str = "SET LOCAL synchronous_commit = off; SET LOCAL idle_in_transaction_session_timeout = '2s'; \
                     SET LOCAL lock_timeout = '10s'; SET LOCAL statement_timeout = '15s'";

/// A visit takes no longer.
const VISIT: Duration = Duration::from_secs(20);

/// Microseconds from when the row was seen to when it is written, at most: what is allowed leaves after that.
const FRESH: i64 = 500_000;

const LOCK: &str =
    "SELECT version, state FROM ragstream.quota WHERE provider_key = $1 ORDER BY version DESC LIMIT 1 FOR UPDATE";

/// In a statement of its own, after the lock was had: both the clock and what others have committed while it was waited for.
const LOOK: &str = "SELECT (extract(epoch FROM clock_timestamp()) * 1000000)::bigint, \
                    (SELECT run FROM ragstream.quota_run WHERE provider_key = $1)";

const MAKE: &str = "INSERT INTO ragstream.quota (provider_key, version, name, state) SELECT $1, 0, $2, '' \
                    WHERE NOT EXISTS (SELECT FROM ragstream.quota WHERE provider_key = $1) ON CONFLICT DO NOTHING";

const BEGIN_RUN: &str = "INSERT INTO ragstream.quota_run (provider_key, run) VALUES ($1, $2)";

const RUN: &str = "SELECT run FROM ragstream.quota_run WHERE provider_key = $1";

const KEEP: &str = "UPDATE ragstream.quota SET version = $2 + 1, state = $3 WHERE provider_key = $1 AND version = $2 \
                    AND (extract(epoch FROM clock_timestamp()) * 1000000)::bigint <= $4 RETURNING version";

/// The quotas that the workers of a cluster share.
pub struct Quotas {
    url: String,
    base: Box<Path>,
    workers: Arc<AtomicU32>,
}

impl Quotas {
    /// Those in the database at this address (with the paths in it relative to `base`), shared by as many workers as `workers` says at
    /// each moment.
    ///
    /// # Errors
    /// What is wrong with the address.
    pub fn new(url: &str, base: &Path, workers: Arc<AtomicU32>) -> Result<Self, ClusterError> {
        Database::new(url, base)?;
        Ok(Self { url: url.to_owned(), base: base.into(), workers })
    }
}

impl fmt::Debug for Quotas {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Quotas").field("workers", &self.workers).finish_non_exhaustive()
    }
}

impl SharedLimits for Quotas {
    fn quota(&self, name: &str, key: &str) -> Arc<dyn SharedQuota> {
        // Each has a connection of its own: a visit is a transaction of several statements. The address was read before.
        let database = Database::new(&self.url, &self.base);
        Arc::new(Quota {
            database,
            name: name.to_owned(),
            key: key.to_owned(),
            workers: self.workers.clone(),
            worked: AtomicBool::new(false),
        })
    }
}

/// One row.
#[derive(Debug)]
struct Quota {
    database: Result<Database, ClusterError>,
    name: String,
    key: String,
    workers: Arc<AtomicU32>,
    /// A visit was kept: what fails from then on may succeed again, whatever it looks like.
    worked: AtomicBool,
}

impl Quota {
    fn database(&self) -> Result<&Database, NotKept> {
        self.database.as_ref().map_err(|error| NotKept { source: error.clone().into(), perhaps: false })
    }

    fn not_kept(&self, error: ClusterError, perhaps: bool) -> NotKept {
        let error = if self.worked.load(Ordering::Relaxed) && !error.is_away() {
            let again = ClusterError::away(error.to_string());
            match error.hint() {
                Some(hint) => again.with_hint(hint),
                None => again,
            }
        } else {
            error
        };
        NotKept { source: error.into(), perhaps }
    }

    async fn visit(&self, database: &Database, change: Change<'_>) -> Result<(), NotKept> {
        let no = |error: ClusterError| self.not_kept(error, false);
        let key = (&self.key as _, Type::TEXT);
        let (transaction, locked, looked) = database
            .begin_with(TERMS, (LOCK, std::slice::from_ref(&key)), (LOOK, std::slice::from_ref(&key)))
            .await
            .map_err(no)?;
        let Some(row) = locked.first() else {
            transaction.commit().await.map_err(no)?;
            database.ask_once(MAKE, &[key, (&self.name, Type::TEXT)]).await.map_err(no)?;
            return Err(no(ClusterError::away(format!("{}: the row of a quota is made", database.place()))));
        };
        let version: i64 = row.cell(0).map_err(no)?;
        let state: &[u8] = row.cell(1).map_err(no)?;
        let looked = looked.first().ok_or_else(|| no(ClusterError::away("the clock did not answer")))?;
        let micros: i64 = looked.cell(0).map_err(no)?;
        let known: Option<i64> = looked.cell(1).map_err(no)?;
        let run = known.unwrap_or_else(rand::random);
        let seen = Seen {
            state: Some(state).filter(|state| !state.is_empty()),
            version: version.unsigned_abs(),
            run: run.cast_unsigned(),
            micros,
        };
        let Some(kept) = change(seen) else {
            return transaction.commit().await.map_err(no);
        };
        if known.is_none() {
            transaction.ask(BEGIN_RUN, &[(&self.key, Type::TEXT), (&run, Type::INT8)]).await.map_err(no)?;
        }
        let until = micros.saturating_add(FRESH);
        let values: [(&(dyn tokio_postgres::types::ToSql + Sync), Type); 4] =
            [key, (&version, Type::INT8), (&kept, Type::BYTEA), (&until, Type::INT8)];
        // Where the answer got lost, it may have been done.
        let rows = transaction.commit_with(KEEP, &values).await;
        let rows = rows.map_err(|error| self.not_kept(error, true))?;
        if rows.is_empty() {
            return Err(no(ClusterError::away(format!("{}: a visit to the quota took too long", database.place()))));
        }
        self.worked.store(true, Ordering::Relaxed);
        Ok(())
    }
}

#[async_trait]
impl SharedQuota for Quota {
    async fn change(&self, change: Change<'_>) -> Result<(), NotKept> {
        let database = self.database()?;
        let visit = timeout(VISIT, self.visit(database, change)).await;
        visit.unwrap_or_else(|_| {
            let error = ClusterError::away(format!("{} does not answer", database.place()));
            Err(NotKept { source: error.into(), perhaps: true })
        })
    }

    async fn run(&self) -> Result<u64, NotKept> {
        let database = self.database()?;
        let asked = timeout(VISIT, database.ask_once(RUN, &[(&self.key, Type::TEXT)])).await;
        let asked = asked.unwrap_or_else(|_| Err(ClusterError::away(format!("{} does not answer", database.place()))));
        let rows = asked.map_err(|error| self.not_kept(error, false))?;
        // None: it is to be begun.
        let run: i64 = rows.first().map_or(Ok(0), |row| row.cell(0)).map_err(|error| self.not_kept(error, false))?;
        Ok(run.cast_unsigned())
    }

    fn workers(&self) -> u32 {
        self.workers.load(Ordering::Relaxed).max(1)
    }
}
