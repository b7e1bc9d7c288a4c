//! What the parts of a cluster's worker share.

use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::Mutex as AsyncMutex;
use tokio_postgres::types::Type;
use tokio_util::sync::CancellationToken;

use super::error::ClusterError;
use super::gather::{Gather, Gathered, gather};
use super::held::{Epochs, Held};
use super::session::Database;
use super::standing::Member;
use crate::error::Error;
use crate::ingest::ledger::{Commit, Intent, LedgerError, SqliteLedger};
use crate::source::SourceId;

/// What the parts of a cluster's worker share.
#[derive(Debug)]
pub(super) struct Inner {
    /// For single statements, of several tasks at once.
    pub database: Database,
    /// For transactions of several statements, one at a time.
    pub transactions: Transactions,
    /// Which index.
    pub corpus: i32,
    /// How often it had been closed when this worker looked first.
    pub closings: i32,
    /// Its name.
    pub name: String,
    /// How long a worker may be silent.
    pub lease: Duration,
    pub member: Member,
    pub held: Held,
    pub epochs: Epochs,
    pub intents: Gather<Intent>,
    pub commits: Gather<Commit>,
    /// What this worker's walks have listed.
    pub notes: SqliteLedger,
    /// How many workers there are, this one included.
    pub alive: Arc<AtomicU32>,
    /// What it tells of itself when it renews.
    pub told: Mutex<Option<String>>,
    /// What it joined with: the sources that it can fetch from, and whether all that is gone is to be removed.
    pub joined: Mutex<(Vec<SourceId>, bool)>,
    /// The round that it takes part in, and what it saw of the queue.
    pub seen: Mutex<Seen>,
    /// Ends what was started.
    pub _ends: tokio_util::sync::DropGuard,
}

/// Where a worker is in a round.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Seen {
    /// Which round.
    pub round: i64,
    /// The highest number of a job that it took.
    pub job: i64,
    /// When it looked for jobs below that last.
    pub rewound: Option<tokio::time::Instant>,
    /// And when at all that wait.
    pub looked_at_all: Option<tokio::time::Instant>,
}

/// A connection that one transaction at a time goes over.
#[derive(Debug)]
pub(super) struct Transactions {
    pub database: Database,
    pub turn: AsyncMutex<()>,
}

impl Transactions {
    pub(super) fn new(database: Database) -> Self {
        Self { database, turn: AsyncMutex::new(()) }
    }
}

/// What waits for a worker: begun with it, it ends when nobody holds on to it any more.
pub(super) struct Waits {
    pub ended: CancellationToken,
    pub intents: Gathered<Intent>,
    pub commits: Gathered<Commit>,
}

impl Inner {
    /// Whoever has not signed on to anything yet.
    pub(super) async fn new(
        database: Database,
        (corpus, closings): (i32, i32),
        name: &str,
        lease: Duration,
        alive: Arc<AtomicU32>,
    ) -> Result<(Self, Waits), ClusterError> {
        let notes = SqliteLedger::in_memory().await.map_err(|error| ClusterError::refused(crate::error::reason(&error)))?;
        let ended = CancellationToken::new();
        let ((intents, intended), (commits, committed)) = (gather(), gather());
        let inner = Self {
            transactions: Transactions::new(database.another()),
            database,
            corpus,
            closings,
            name: name.to_owned(),
            lease,
            member: Member::new(),
            held: Held::default(),
            epochs: Epochs::default(),
            intents,
            commits,
            notes,
            alive,
            told: Mutex::default(),
            joined: Mutex::default(),
            seen: Mutex::default(),
            _ends: ended.clone().drop_guard(),
        };
        Ok((inner, Waits { ended, intents: intended, commits: committed }))
    }

    pub(super) fn seen(&self) -> MutexGuard<'_, Seen> {
        self.seen.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Looks at all jobs again: their numbers may have begun anew with a database that has lost some.
    pub(super) fn numbers_anew(&self) {
        let mut seen = self.seen();
        *seen = Seen { round: seen.round, ..Seen::default() };
    }

    /// Notes how many workers there are.
    pub(super) fn counted(&self, workers: i64) -> u32 {
        let workers = u32::try_from(workers).unwrap_or(1).max(1);
        self.alive.store(workers, Ordering::Relaxed);
        workers
    }

    pub(super) fn joined(&self) -> MutexGuard<'_, (Vec<SourceId>, bool)> {
        self.joined.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn no_corpus(&self) -> ClusterError {
        ClusterError::unfit(format!("{} does not know the index {:?} any more", self.database.place(), self.name))
            .with_hint("somebody removed it while this worker ran; `ingest` again begins anew")
    }

    /// Why it cannot be signed on to: its ledger is closed.
    pub(super) fn is_closed(&self) -> ClusterError {
        ClusterError::closed(&self.name)
    }

    /// Why a statement that wants it open found nothing.
    pub(super) async fn not_open(&self) -> Result<Option<ClusterError>, ClusterError> {
        let sql = "SELECT closed OR closings <> $2 FROM ragstream.corpora WHERE id = $1";
        let rows = self.database.ask(sql, &[(&self.corpus, Type::INT4), (&self.closings, Type::INT4)]).await?;
        let Some(row) = rows.first() else { return Ok(Some(self.no_corpus())) };
        Ok(row.cell::<bool>(0)?.then(|| self.is_closed()))
    }
}

/// As a ledger says it.
pub(super) fn shared(error: ClusterError) -> LedgerError {
    LedgerError::Shared(Error::from(error))
}
