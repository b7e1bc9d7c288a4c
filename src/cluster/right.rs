//! The right to make, switch and remove the indexes of both slots, which one worker has at a time.
//!
//! What the store is told no database can fence. So whoever has the right gives it back when the store has answered. From one that does
//! not it passes on after three leases: it begins nothing when its own lease has run out, and two leases later nothing can arrive any
//! more that it had sent before.
//!
//! Invariant: an index is made in a slot only when nothing can arrive there any more that was sent to the one before.

use std::sync::{Mutex, PoisonError};
use std::task::Poll;
use std::time::Duration;

use tokio::time::{Instant, sleep};
use tokio_postgres::types::Type;

use super::change::{Ledgers, Step};
use super::error::ClusterError;
use super::inner::Inner;
use super::key::key_of;
use super::row::Row;
use super::session::{Patience, Values};
use crate::error::Error;
use crate::source::SourceId;
use crate::vectordb::Slot;

/// The role of who may make, switch and remove indexes.
const ROLE: &str = "slots";
/// For so many leases nobody else has the right who was not given it back.
const LASTS: f64 = 3.0;
/// How often somebody looks whether the right is to be had.
const LOOK: Duration = Duration::from_millis(200);
/// And when he says that he waits.
const TELL: Duration = Duration::from_secs(5);
/// Rows that are removed at once.
const REMOVED: i64 = 20_000;

/// The statement that lets somebody write who has the right: whoever takes it over waits for it. $1 the index, $2 who, $3 the epoch.
const HELD: &str = "held AS (
    SELECT 1 FROM ragstream.roles WHERE corpus = $1 AND role = 'slots' AND owner = $2 AND epoch = $3 FOR SHARE)";

/// The right to make, switch and remove the indexes of both slots.
#[derive(Debug)]
pub struct Right<'a> {
    ledgers: &'a Ledgers,
    owner: i64,
    epoch: i64,
    /// How long nothing is in doubt, by this machine's clock.
    until: Mutex<Instant>,
}

impl Ledgers {
    /// The right to make, switch and remove indexes, as soon as nobody else has it.
    ///
    /// # Errors
    /// When the database cannot be had.
    pub async fn right(&self) -> Result<Right<'_>, ClusterError> {
        let (owner, epoch): (i64, i64) = (rand::random_range(1..i64::MAX), rand::random_range(1..i64::MAX));
        let (waits, mut told) = (Instant::now(), Instant::now());
        loop {
            let began = Instant::now();
            let rows = self
                .database
                .ask(
                    "INSERT INTO ragstream.roles AS r (corpus, role, owner, epoch, lease_until)
                     VALUES ($1, $5, $2, $3, clock_timestamp() + $4 * interval '1 s')
                     ON CONFLICT (corpus, role) DO UPDATE SET owner = excluded.owner, epoch = excluded.epoch,
                         lease_until = excluded.lease_until
                         WHERE r.lease_until < clock_timestamp() OR r.owner = excluded.owner AND r.epoch = excluded.epoch
                     RETURNING 1",
                    &[
                        (&self.first, Type::INT4),
                        (&owner, Type::INT8),
                        (&epoch, Type::INT8),
                        (&self.lasts(), Type::FLOAT8),
                        (&ROLE, Type::TEXT),
                    ],
                )
                .await?;
            if !rows.is_empty() {
                return Ok(Right { ledgers: self, owner, epoch, until: Mutex::new(began + self.lease) });
            }
            if told.elapsed() >= TELL {
                told = Instant::now();
                tracing::warn!(
                    seconds = waits.elapsed().as_secs(),
                    "waiting for another worker that makes, switches or removes an index; if it is dead, three leases long"
                );
            }
            sleep(LOOK).await;
        }
    }

    fn lasts(&self) -> f64 {
        self.lease.as_secs_f64() * LASTS
    }
}

impl Right<'_> {
    fn is_lost(&self) -> ClusterError {
        ClusterError::lost(format!("another worker has taken over the change of {:?}", self.ledgers.name(Slot::First)))
    }

    fn until(&self) -> Instant {
        *self.until.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Renews it, for a call to the store that begins now.
    ///
    /// # Errors
    /// [`ClusterError::is_lost`]: another worker has it.
    pub async fn renew(&self) -> Result<(), ClusterError> {
        let began = Instant::now();
        if began >= self.until() {
            return Err(self.is_lost());
        }
        let rows = self
            .ledgers
            .database
            .ask(
                "UPDATE ragstream.roles SET lease_until = clock_timestamp() + $4 * interval '1 s'
                 WHERE corpus = $1 AND role = $5 AND owner = $2 AND epoch = $3 RETURNING 1",
                &[
                    (&self.ledgers.first, Type::INT4),
                    (&self.owner, Type::INT8),
                    (&self.epoch, Type::INT8),
                    (&self.ledgers.lasts(), Type::FLOAT8),
                    (&ROLE, Type::TEXT),
                ],
            )
            .await?;
        if rows.is_empty() {
            return Err(self.is_lost());
        }
        *self.until.lock().unwrap_or_else(PoisonError::into_inner) = began + self.ledgers.lease;
        Ok(())
    }

    /// Makes a call to the store. Where it takes longer than a lease, as in a process that was stopped, it is not gone on with.
    ///
    /// # Errors
    /// What the call says; [`ClusterError::is_lost`]: another worker has the right.
    pub async fn call<T, E>(&self, call: impl Future<Output = Result<T, E>> + Send) -> Result<T, Error>
    where
        Error: From<E>,
    {
        self.renew().await?;
        let (until, mut call) = (self.until(), std::pin::pin!(call));
        std::future::poll_fn(|context| {
            // Looked at before each step: whoever wakes late must not take the next one first.
            if Instant::now() >= until {
                return Poll::Ready(Err(self.is_lost().into()));
            }
            call.as_mut().poll(context).map(|answer| answer.map_err(Error::from))
        })
        .await
    }

    /// Lets others have it. To be said when the store has answered all that it was told.
    ///
    /// # Errors
    /// When the database cannot be had.
    pub async fn give_back(self) -> Result<(), ClusterError> {
        let values: &Values<'_> =
            &[(&self.ledgers.first, Type::INT4), (&self.owner, Type::INT8), (&self.epoch, Type::INT8), (&ROLE, Type::TEXT)];
        let sql = "DELETE FROM ragstream.roles WHERE corpus = $1 AND role = $4 AND owner = $2 AND epoch = $3";
        self.ledgers.database.ask(sql, values).await.map(drop)
    }

    /// Says something under the right. `sql` is what follows [`HELD`], which it has to want; its values are $4 and so on. The first cell
    /// of the answer is how often it is held.
    async fn say(&self, sql: &str, more: &Values<'_>) -> Result<Vec<Row>, ClusterError> {
        let values: &Values<'_> = &[(&self.ledgers.first, Type::INT4), (&self.owner, Type::INT8), (&self.epoch, Type::INT8)];
        let rows = self.ledgers.database.ask(&format!("WITH {HELD}, {sql}"), &[values, more].concat()).await?;
        if rows.first().map_or(Ok(0), |row| row.count(0))? == 0 {
            return Err(self.is_lost());
        }
        Ok(rows)
    }

    async fn corpus(&self, slot: Slot) -> Result<i32, ClusterError> {
        Ok(super::row(&self.ledgers.database, self.ledgers.name(slot)).await?.0)
    }

    /// Closes the ledger of a slot, unless somebody is at work on it: those are told, as `host:process`, and nothing is done then.
    ///
    /// # Errors
    /// When the database cannot be had; [`ClusterError::is_lost`]: another worker has the right.
    pub async fn close(&self, slot: Slot) -> Result<Vec<String>, ClusterError> {
        let inner = self.ledgers.worker(slot, &Default::default()).await?.inner;
        let mut patience = Patience::new();
        loop {
            match self.close_once(&inner).await {
                Err(error) => patience.after(error).await?,
                closed => return closed,
            }
        }
    }

    async fn close_once(&self, inner: &Inner) -> Result<Vec<String>, ClusterError> {
        let _turn = inner.transactions.turn.lock().await;
        let transaction = inner.transactions.database.begin().await?;
        let held = transaction
            .ask(
                &format!("WITH {HELD} SELECT count(*) FROM held"),
                &[(&self.ledgers.first, Type::INT4), (&self.owner, Type::INT8), (&self.epoch, Type::INT8)],
            )
            .await?;
        if held.first().map_or(Ok(0), |row| row.count(0))? == 0 {
            transaction.commit().await?;
            return Err(self.is_lost());
        }
        // Whoever is just signing on is waited for, and seen.
        let of: &Values<'_> = &[(&inner.corpus, Type::INT4)];
        transaction.ask("SELECT 1 FROM ragstream.corpora WHERE id = $1 FOR UPDATE", of).await?;
        let at_work = transaction
            .ask(
                "SELECT host || ':' || process FROM ragstream.workers WHERE corpus = $1 AND lease_until > clock_timestamp()
                 ORDER BY since, id",
                of,
            )
            .await?;
        let at_work: Vec<String> = at_work.iter().map(|row| row.cell(0)).collect::<Result<_, _>>()?;
        if at_work.is_empty() {
            let gone = transaction.ask("DELETE FROM ragstream.workers WHERE corpus = $1 RETURNING id", of).await?;
            let gone: Vec<i64> = gone.iter().map(|row| row.cell(0)).collect::<Result<_, _>>()?;
            inner.take_from(&transaction, &gone).await?;
            transaction.ask("DELETE FROM ragstream.roles WHERE corpus = $1 AND role = 'walk'", of).await?;
            transaction
                .ask(
                    "UPDATE ragstream.corpora SET closed = true, closings = closings + 1, era = era + 1,
                         settles = greatest(settles, (SELECT max(due) FROM ragstream.sweeps WHERE corpus = $1))
                     WHERE id = $1",
                    of,
                )
                .await?;
        }
        transaction.commit().await?;
        Ok(at_work)
    }

    /// Waits until nothing can arrive any more that was sent to the index in this slot by whoever was at work there.
    ///
    /// # Errors
    /// As [`Self::renew`].
    pub async fn settled(&self, slot: Slot) -> Result<(), ClusterError> {
        let corpus = self.corpus(slot).await?;
        let mut told = false;
        loop {
            let sql = "SELECT extract(epoch FROM settles - clock_timestamp())::float8 FROM ragstream.corpora WHERE id = $1";
            let rows = self.ledgers.database.ask(sql, &[(&corpus, Type::INT4)]).await?;
            let left: f64 = rows.first().map_or(Ok(None), |row| row.cell(0))?.unwrap_or_default();
            if left <= 0.0 {
                return Ok(());
            }
            if !std::mem::replace(&mut told, true) {
                tracing::warn!("waiting {left:.0} s until nothing can arrive any more that dead workers may have sent");
            }
            let most = self.ledgers.lease / 4;
            sleep(Duration::try_from_secs_f64(left).map_or(most, |left| left.min(most))).await;
            self.renew().await?;
        }
    }

    /// Forgets all that the ledger of a slot has, whose index is gone. It stays closed.
    ///
    /// # Errors
    /// As [`Self::renew`].
    pub async fn forget(&self, slot: Slot) -> Result<(), ClusterError> {
        let corpus = self.corpus(slot).await?;
        for table in ["jobs", "sweeps", "state", "documents"] {
            let sql = format!(
                "gone AS (
                     DELETE FROM ragstream.{table} WHERE EXISTS (SELECT 1 FROM held)
                         AND ctid = ANY(ARRAY(SELECT ctid FROM ragstream.{table} WHERE corpus = $4 LIMIT $5)) RETURNING 1)
                 SELECT (SELECT count(*) FROM held), (SELECT count(*) FROM gone)"
            );
            loop {
                let rows = self.say(&sql, &[(&corpus, Type::INT4), (&REMOVED, Type::INT8)]).await?;
                if rows.first().map_or(Ok(0), |row| row.count(1))? == 0 {
                    break;
                }
                self.renew().await?;
            }
        }
        let sql = "anew AS (
                 UPDATE ragstream.corpora SET base = NULL, generation = NULL, store_generation = NULL, timeline = NULL, sources = NULL,
                     phase = 0, prune = false, again = false, kept = 0, began = NULL, ended = NULL, change = 0
                 WHERE id = $4 AND closed AND EXISTS (SELECT 1 FROM held))
             SELECT count(*) FROM held";
        self.say(sql, &[(&corpus, Type::INT4)]).await.map(drop)
    }

    /// Has the ledger of a slot expect these documents, besides those that it has.
    ///
    /// # Errors
    /// As [`Self::renew`].
    pub async fn expect(&self, slot: Slot, documents: &[(String, SourceId)]) -> Result<(), ClusterError> {
        let corpus = self.corpus(slot).await?;
        let (keys, kept): (Vec<String>, Vec<Option<Vec<u8>>>) = documents.iter().map(|(uri, _)| key_of(uri)).unzip();
        let sources: Vec<&str> = documents.iter().map(|(_, source)| source.as_str()).collect();
        self.renew().await?;
        let sql = "expected AS (
                 INSERT INTO ragstream.documents (corpus, key, uri, source, points)
                 SELECT DISTINCT ON (g.key) $4, g.key, g.uri, g.source, ''::bytea
                 FROM unnest($5::text[], $6::bytea[], $7::text[]) AS g(key, uri, source), held ORDER BY g.key
                 ON CONFLICT (corpus, key) DO NOTHING)
             SELECT count(*) FROM held";
        let values: &Values<'_> =
            &[(&corpus, Type::INT4), (&keys, Type::TEXT_ARRAY), (&kept, Type::BYTEA_ARRAY), (&sources, Type::TEXT_ARRAY)];
        self.say(sql, values).await.map(drop)
    }

    /// Notes what the workers of a slot embed with, and that its files are named from the same folder as the other slot's.
    ///
    /// # Errors
    /// As [`Self::renew`].
    pub async fn is_of(&self, slot: Slot, model: &str) -> Result<(), ClusterError> {
        let (corpus, other) = (self.corpus(slot).await?, self.corpus(slot.other()).await?);
        let sql = "noted AS (
                 UPDATE ragstream.corpora c SET model = $6, base = coalesce(c.base, o.base) FROM ragstream.corpora o
                 WHERE c.id = $4 AND o.id = $5 AND EXISTS (SELECT 1 FROM held))
             SELECT count(*) FROM held";
        self.say(sql, &[(&corpus, Type::INT4), (&other, Type::INT4), (&model, Type::TEXT)]).await.map(drop)
    }

    /// Opens the ledger of a slot, whose index is as far as that.
    ///
    /// # Errors
    /// As [`Self::renew`].
    pub async fn open(&self, slot: Slot, change: Step) -> Result<(), ClusterError> {
        let corpus = self.corpus(slot).await?;
        let sql = "opened AS (
                 UPDATE ragstream.corpora SET closed = false, change = $5 WHERE id = $4 AND EXISTS (SELECT 1 FROM held))
             SELECT count(*) FROM held";
        self.say(sql, &[(&corpus, Type::INT4), (&change.number(), Type::INT2)]).await.map(drop)
    }
}
