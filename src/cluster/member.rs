//! This worker among the others: its lease, which covers all that it holds, and what becomes of those whose lease has run out.
//!
//! One statement a third of a lease renews it. Whoever finds another's lease run out takes its row away and frees its documents, in one
//! transaction: what that worker says from then on is refused by owner and epoch, also when it only slept. A worker that could not
//! renew in time lets go of everything by itself and goes on under a new name.

use std::sync::{Arc, PoisonError};
use std::time::Duration;

use tokio::time::Instant;
use tokio_postgres::types::Type;
use tokio_util::sync::CancellationToken;

use super::error::ClusterError;
use super::inner::Inner;
use super::ledger::documents::record_intents_of;
use super::session::{Patience, Transaction, Values};
use super::standing::{NOBODY, Standing};

/// After so many leases nothing can arrive any more that a worker sent which has lost its own.
const SWEEPS: f64 = 2.0;
/// How long whoever signs off waits for the database.
const FAREWELL: Duration = Duration::from_secs(10);
/// A document at which so many workers ended is not given to another.
const ATTEMPTS: i16 = 8;

/// What came with its body nobody else can fetch: it is listed again before the round ends. And what was to be removed may be there
/// again when another one leads, and walks: that is judged anew.
const GIVE_UP: &str = "
    WITH gone AS (
        DELETE FROM ragstream.jobs WHERE corpus = $1 AND owner = ANY($2) AND (kind = 0 AND item IS NULL OR kind = 1)
        RETURNING 1)
    UPDATE ragstream.corpora SET again = true WHERE id = $1 AND EXISTS (SELECT 1 FROM gone)";

/// Workers whose lease has run out, or who signed on before nothing counted any more that had been granted; or the one of this name.
const GONE: &str = "
    FROM ragstream.workers WHERE corpus = $1 AND (id = $2 OR $2 IS NULL AND (lease_until < clock_timestamp()
        OR era <> (SELECT era FROM ragstream.corpora WHERE id = $1)))";

impl Inner {
    /// Signs on under a new name. What it held is gone.
    pub(super) async fn enter(&self) -> Result<(), ClusterError> {
        self.held.clear();
        self.numbers_anew();
        let id: i64 = rand::random_range(1..i64::MAX);
        let (began, seconds) = (Instant::now(), self.lease.as_secs_f64());
        let host = super::key::text(&host());
        let process = i64::from(std::process::id());
        let rows = self
            .database
            .ask(
                "INSERT INTO ragstream.workers (id, corpus, era, host, process, program, since, lease, lease_until)
                 SELECT $2, id, era, $3, $4, $5, clock_timestamp(), $6 * interval '1 s', clock_timestamp() + $6 * interval '1 s'
                 FROM ragstream.corpora WHERE id = $1 AND NOT closed AND closings = $7 FOR SHARE
                 ON CONFLICT (id) DO UPDATE SET lease_until = excluded.lease_until RETURNING 1",
                &[
                    (&self.corpus, Type::INT4),
                    (&id, Type::INT8),
                    (&host, Type::TEXT),
                    (&process, Type::INT8),
                    (&env!("CARGO_PKG_VERSION"), Type::TEXT),
                    (&seconds, Type::FLOAT8),
                    (&self.closings, Type::INT4),
                ],
            )
            .await?;
        if rows.is_empty() {
            return Err(self.not_open().await?.unwrap_or_else(|| self.no_corpus()));
        }
        self.member.set(Standing { id, until: began + self.lease });
        Ok(())
    }

    /// Renews the lease; where that came too late, signs on anew. `false`: what was held is gone.
    pub(super) async fn renew(&self) -> Result<bool, ClusterError> {
        let (standing, began) = (self.member.standing(), Instant::now());
        if standing.id == NOBODY {
            return Ok(true);
        }
        // What was let go of because of a lease that had run out must not be had again by a late renewal.
        if began < standing.until {
            let told = self.told.lock().unwrap_or_else(PoisonError::into_inner).clone();
            let renewed = self
                .database
                .ask_once(
                    "UPDATE ragstream.workers w SET lease_until = clock_timestamp() + w.lease, told = $3 FROM ragstream.corpora c
                     WHERE w.id = $1 AND c.id = w.corpus AND c.era = w.era AND w.lease_until > clock_timestamp() AND c.id = $2
                     RETURNING (SELECT count(*) FROM ragstream.workers o WHERE o.corpus = $2)",
                    &[(&standing.id, Type::INT8), (&self.corpus, Type::INT4), (&told, Type::TEXT)],
                )
                .await?;
            if let Some(row) = renewed.first() {
                self.counted(row.cell(0)?);
                self.member.renewed(Standing { until: began + self.lease, ..standing });
                return Ok(true);
            }
        }
        let _changing = self.member.changing().await;
        if self.member.standing().id != standing.id {
            return Ok(true);
        }
        tracing::warn!("this worker was away for longer than its lease: what it had goes to others");
        // At once: whoever asks whether it still has something waits for this answer.
        self.held.clear();
        self.free(Some(standing.id)).await?;
        self.enter().await?;
        Ok(false)
    }

    /// Takes away the rows of workers whose lease has run out, or of this one alone, and frees what they held. What they may still be
    /// writing is looked at once more later. Returns how many workers.
    pub(super) async fn free(&self, id: Option<i64>) -> Result<usize, ClusterError> {
        let mut patience = Patience::new();
        loop {
            match self.free_once(id).await {
                Err(error) => patience.after(error).await?,
                freed => return freed,
            }
        }
    }

    async fn free_once(&self, id: Option<i64>) -> Result<usize, ClusterError> {
        let values: &Values<'_> = &[(&self.corpus, Type::INT4), (&id, Type::INT8)];
        if self.database.ask_once(&format!("SELECT 1 {GONE}"), values).await?.is_empty() {
            return Ok(0);
        }
        let _turn = self.transactions.turn.lock().await;
        let transaction = self.transactions.database.begin().await?;
        let sql = format!("DELETE FROM ragstream.workers WHERE id IN (SELECT id {GONE} ORDER BY id FOR UPDATE) RETURNING id");
        let gone = transaction.ask(&sql, values).await?;
        let gone = gone.iter().map(|row| row.cell(0)).collect::<Result<Vec<i64>, _>>()?;
        self.take_from(&transaction, &gone).await?;
        transaction.commit().await?;
        Ok(gone.len())
    }

    /// Gives back all that this worker has, as if its lease had run out; it stays who it is.
    pub(super) async fn give_back(&self) -> Result<(), ClusterError> {
        self.held.clear();
        let mut patience = Patience::new();
        while let Err(error) = self.give_back_once().await {
            patience.after(error).await?;
        }
        Ok(())
    }

    async fn give_back_once(&self) -> Result<(), ClusterError> {
        let me = self.member.standing().id;
        let _turn = self.transactions.turn.lock().await;
        let transaction = self.transactions.database.begin().await?;
        transaction.ask("SELECT 1 FROM ragstream.workers WHERE id = $1 FOR UPDATE", &[(&me, Type::INT8)]).await?;
        self.take_from(&transaction, &[me]).await?;
        transaction.commit().await
    }

    /// Frees what these workers hold. What they may still be writing is looked at once more later.
    pub(super) async fn take_from(&self, transaction: &Transaction<'_>, gone: &[i64]) -> Result<(), ClusterError> {
        let sweep_after = self.lease.as_secs_f64() * SWEEPS;
        // Whoever takes or intends holds on to the worker's row meanwhile: so this sees all of it, and nothing comes after.
        let values: &Values<'_> = &[(&self.corpus, Type::INT4), (&gone, Type::INT8_ARRAY)];
        transaction
            .ask(
                "INSERT INTO ragstream.sweeps (corpus, key, uri, source, ids, due)
                 SELECT j.corpus, j.key, j.uri, coalesce(d.source, j.source),
                     coalesce(d.intents, ''::bytea) || coalesce(j.sweep, ''::bytea), clock_timestamp() + $3 * interval '1 s'
                 FROM ragstream.jobs j LEFT JOIN ragstream.documents d ON d.corpus = j.corpus AND d.key = j.key
                 WHERE j.corpus = $1 AND j.owner = ANY($2) AND (d.intents IS NOT NULL OR j.sweep IS NOT NULL)",
                &[(&self.corpus, Type::INT4), (&gone, Type::INT8_ARRAY), (&sweep_after, Type::FLOAT8)],
            )
            .await?;
        transaction.ask(&record_intents_of("owner = ANY($2)"), values).await?;
        transaction.ask(GIVE_UP, values).await?;
        // At which one worker after another ends is a failure of the document's.
        transaction
            .ask(
                "WITH deadly AS (
                     DELETE FROM ragstream.jobs WHERE corpus = $1 AND owner = ANY($2) AND attempts >= $3 AND kind = 0
                     RETURNING corpus, key, uri, source)
                 INSERT INTO ragstream.documents AS d (corpus, key, uri, source, stage, error)
                 SELECT corpus, key, uri, source, 'parse', 'the workers that had it ended, one after another' FROM deadly
                 ON CONFLICT (corpus, key) DO UPDATE SET stage = excluded.stage, error = excluded.error",
                &[(&self.corpus, Type::INT4), (&gone, Type::INT8_ARRAY), (&(ATTEMPTS - 1), Type::INT2)],
            )
            .await?;
        transaction
            .ask(
                "UPDATE ragstream.jobs SET owner = NULL, job = nextval('ragstream.job_numbers'), attempts = attempts + 1
                 WHERE corpus = $1 AND owner = ANY($2)",
                values,
            )
            .await?;
        Ok(())
    }

    /// Gives back what is held, and signs off. A database that is just being started again is waited for: else the others would think
    /// that this worker is at work until its lease has run out.
    pub(super) async fn resign(&self) -> Result<(), ClusterError> {
        let _changing = self.member.changing().await;
        self.held.clear();
        let mut patience = Patience::of(FAREWELL);
        let resigned = loop {
            let Err(error) = self.resign_once().await else { break Ok(()) };
            if let Err(error) = patience.after(error).await {
                break Err(error);
            }
        };
        // However it went: a renewal must not sign on again.
        self.member.set(Standing { id: NOBODY, until: Instant::now() });
        resigned
    }

    async fn resign_once(&self) -> Result<(), ClusterError> {
        let standing = self.member.standing();
        let _turn = self.transactions.turn.lock().await;
        let transaction = self.transactions.database.begin().await?;
        let values: &Values<'_> = &[(&self.corpus, Type::INT4), (&standing.id, Type::INT8)];
        for sql in [
            "DELETE FROM ragstream.workers WHERE corpus = $1 AND id = $2",
            // What nobody has any more is looked at all the same.
            "INSERT INTO ragstream.sweeps (corpus, key, uri, source, ids, due)
             SELECT corpus, key, uri, source, sweep, clock_timestamp() FROM ragstream.jobs
             WHERE corpus = $1 AND owner = $2 AND (kind = 0 AND item IS NULL OR kind = 1) AND sweep IS NOT NULL",
            &record_intents_of("owner = $2"),
            &GIVE_UP.replace("ANY($2)", "$2"),
            "UPDATE ragstream.jobs SET owner = NULL, job = nextval('ragstream.job_numbers') WHERE corpus = $1 AND owner = $2",
            "UPDATE ragstream.roles SET lease_until = clock_timestamp() WHERE corpus = $1 AND owner = $2",
        ] {
            transaction.ask(sql, values).await?;
        }
        transaction.commit().await
    }
}

/// Renews the lease for as long as somebody holds on to the worker.
pub(super) fn renewing(inner: &Arc<Inner>, ended: CancellationToken) {
    let weak = Arc::downgrade(inner);
    let mut wait = inner.lease / 3;
    tokio::spawn(async move {
        while ended.run_until_cancelled(tokio::time::sleep(wait)).await.is_some() {
            let Some(inner) = weak.upgrade() else { return };
            wait = match inner.renew().await {
                Ok(_) => inner.lease / 3,
                Err(error) => {
                    tracing::debug!(%error, "the lease could not be renewed");
                    (inner.lease / 30).max(Duration::from_millis(100))
                }
            };
        }
    });
}

/// What this machine calls itself.
fn host() -> String {
    #[cfg(unix)]
    return rustix::system::uname().nodename().to_string_lossy().into_owned();
    #[cfg(not(unix))]
    return std::env::var("COMPUTERNAME").unwrap_or_default();
}
