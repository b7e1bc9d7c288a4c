//! Several workers on one index: queue, ledger, quota and leadership in one Postgres database.
//!
//! ```text
//!   ingest --cluster ──┐                 ┌── documents   what is done      [ledger]
//!   ingest --cluster ──┼── Postgres ─────┼── jobs        what waits        [jobs]
//!   ingest --cluster ──┘                 ├── workers     whose lease       [member]
//!                                        ├── roles       who walks         [round]
//!                                        └── sweeps      what may come late
//! ```
//!
//! Postgres is right where one is wanted and need not be fast: an API's quota bounds how many requests there are to agree on. No
//! transaction stays open while anything is fetched, embedded or stored; what a worker has is a lease in its row.
//!
//! Invariant: what is recorded of a document is recorded by who has it, under the epoch that it was granted under. A worker whose lease
//! has run out is refused, however late it wakes.
//! Invariant: no call to the store begins when the lease may end before it does; what a worker may have on its way when its lease ends
//! all the same is looked at once more when it can have arrived, and a round does not end before that.
//! Invariant: the clocks of workers never count, only the database's.
//! Invariant: of the two ledgers that an index has while its model is changed one is open; nobody signs on to the other [change].

mod change;
mod error;
mod gather;
mod held;
mod inner;
mod jobs;
mod key;
mod ledger;
mod member;
mod quota;
mod right;
mod round;
mod row;
mod schema;
mod session;
mod standing;
mod status;

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::AtomicU32;
use std::time::Duration;

use tokio_postgres::types::Type;

pub use self::change::{Ledgers, Side, Step};
pub use self::error::ClusterError;
use self::inner::Inner;
use self::ledger::reading::Reading;
use self::member::renewing;
pub use self::quota::Quotas;
pub use self::right::Right;
pub use self::schema::{FROM_1 as SCHEMA_FROM_1, SQL as SCHEMA};
use self::session::Database;
pub use self::status::{ChangeStatus, ClusterStatus, FailureStatus, QuotaStatus, WorkerStatus};
use crate::ingest::ledger::Ledger;

/// How long a worker may be silent, unless it is told otherwise.
pub const LEASE: Duration = Duration::from_secs(60);

/// A worker of a cluster: the ledger of one index that others share, and what they agree on. Cheap to clone; signs off when it
/// [leaves](crate::ingest::coordination::Coordination::leave), and by its lease when it dies.
#[derive(Debug, Clone)]
pub struct Cluster {
    inner: Arc<Inner>,
}

impl Cluster {
    /// A worker of the cluster whose database is at this address, for the index of this name. It signs on when it
    /// [joins](crate::ingest::coordination::Coordination::join). Makes the tables, where it may and they
    /// are not there. `base`: what a file of certificates in the address is relative to. `lease`: how long this worker may be silent
    /// before others take over what it has.
    ///
    /// # Errors
    /// When the database cannot be had, its tables are another version's, or may not be made.
    pub async fn open(url: &str, base: &Path, name: &str, lease: Duration) -> Result<Self, ClusterError> {
        let database = Database::new(url, base)?;
        schema::prepare(&database).await?;
        let row = row(&database, name).await?;
        Self::on(database, row, name, lease, Arc::new(AtomicU32::new(1))).await
    }

    /// A worker on the index of this name. `row`: see [`row()`]. `alive`: where it is noted how many there are.
    async fn on(
        database: Database,
        row: (i32, i32),
        name: &str,
        lease: Duration,
        alive: Arc<AtomicU32>,
    ) -> Result<Self, ClusterError> {
        let (inner, waits) = Inner::new(database, row, name, lease, alive).await?;
        let inner = Arc::new(inner);
        renewing(&inner, waits.ended);
        waits.intents.recording(Arc::downgrade(&inner));
        waits.commits.recording(Arc::downgrade(&inner));
        Ok(Self { inner })
    }

    /// The ledger of the index of this name, by the database at this address, to be looked at: nothing is signed on to, made or
    /// recorded. `None`: there is none yet.
    ///
    /// # Errors
    /// When the database cannot be had, or its tables are another version's.
    pub async fn ledger_to_read(url: &str, base: &Path, name: &str) -> Result<Option<Arc<dyn Ledger>>, ClusterError> {
        let database = Database::new(url, base)?;
        if !schema::is_known(&database).await? {
            return Ok(None);
        }
        let rows = database.ask("SELECT id FROM ragstream.corpora WHERE name = $1", &[(&name, Type::TEXT)]).await?;
        let Some(row) = rows.first() else { return Ok(None) };
        let (inner, _) = Inner::new(database, (row.cell(0)?, 0), name, LEASE, Arc::default()).await?;
        Ok(Some(Arc::new(Reading(Arc::new(inner)))))
    }

    /// What all workers are at on the index of this name, by the database at this address. `None`: it knows no such index. Signs on to
    /// nothing, and makes nothing.
    ///
    /// # Errors
    /// When the database cannot be had.
    pub async fn status(url: &str, base: &Path, name: &str) -> Result<Option<ClusterStatus>, ClusterError> {
        status::status(url, base, name).await
    }
}

/// The row of the index of this name, made where there is none, and how often its ledger was closed.
async fn row(database: &Database, name: &str) -> Result<(i32, i32), ClusterError> {
    let rows = database
        .ask(
            "WITH made AS (
                 INSERT INTO ragstream.corpora (name) VALUES ($1) ON CONFLICT (name) DO NOTHING RETURNING id, closings)
             SELECT id, closings FROM made UNION ALL SELECT id, closings FROM ragstream.corpora WHERE name = $1",
            &[(&name, Type::TEXT)],
        )
        .await?;
    let rows = if rows.is_empty() {
        // Another worker made it at the same moment.
        database.ask("SELECT id, closings FROM ragstream.corpora WHERE name = $1", &[(&name, Type::TEXT)]).await?
    } else {
        rows
    };
    let row = rows.first().map(|row| Ok((row.cell(0)?, row.cell(1)?))).transpose()?;
    row.ok_or_else(|| ClusterError::unfit(format!("{} forgot the index {name:?}", database.place())))
}
