//! Rounds: who leads, how far they are, how they end.

use std::sync::PoisonError;
use std::sync::atomic::Ordering;
use std::time::Duration;

use async_trait::async_trait;
use tokio_postgres::types::Type;
use uuid::Uuid;

use super::change::UNREAD;
use super::error::ClusterError;
use super::inner::{Inner, shared};
use super::ledger::documents;
use super::row::Row;
use super::session::Values;
use super::standing::NOBODY;
use super::{Cluster, jobs};
use crate::ingest::coordination::{Coordination, Lead, Outstanding, Phase, Taken, Term};
use crate::ingest::ledger::{LedgerError, Missing};
use crate::source::{Item, SourceId};

/// A phase, as the table says it; 0 is sealed.
fn number(phase: Phase) -> i16 {
    match phase {
        Phase::Preparing => 1,
        Phase::Walking => 2,
        Phase::Listed => 3,
    }
}

fn phase(number: i16) -> Option<Phase> {
    match number {
        1 => Some(Phase::Preparing),
        2 => Some(Phase::Walking),
        3 => Some(Phase::Listed),
        _ => None,
    }
}

/// Which history of the database this is: another one after a standby was promoted.
const HISTORY: &str = "substr(pg_walfile_name(pg_current_wal_lsn()), 1, 8)";

/// A history, as the database writes it.
fn written(history: Option<u32>) -> Option<String> {
    history.map(|history| format!("{history:08X}"))
}

/// A change to the index's row by who leads, in the round and the history of the database that it leads in: its statement may come a
/// second time when others have begun another round, or go to a database that knows nothing of what it goes back to. $1 the index,
/// $2 the worker, $3 the epoch, $4 the round, $5 the history.
fn by_the_leader(term: Term, change: &str, condition: &str) -> String {
    // Some services do not have these functions.
    let here = if term.history.is_some() { HISTORY } else { "$5" };
    format!(
        "WITH leads AS (
             SELECT 1 FROM ragstream.roles WHERE corpus = $1 AND role = 'walk' AND owner = $2 AND epoch = $3 FOR SHARE),
         changed AS (
             UPDATE ragstream.corpora SET {change} WHERE id = $1 AND round = $4 AND {here} IS NOT DISTINCT FROM $5
                 AND EXISTS (SELECT 1 FROM leads) {condition}
             RETURNING again, era)"
    )
}

impl Inner {
    /// The lead lasts for a quarter of a lease: who does nothing else is soon missed.
    fn lead_lasts(&self) -> Duration {
        self.lease / 4
    }

    async fn join(&self, sources: &[SourceId], prune: bool) -> Result<(), ClusterError> {
        *self.joined() = (sources.to_vec(), prune);
        if self.member.standing().id == NOBODY {
            self.enter().await?;
        }
        let names: Vec<&str> = sources.iter().map(SourceId::as_str).collect();
        let timeline = written(self.history().await?);
        // Another history than the one that is recorded: whoever leads compares ledger and store, and records it when that is done.
        // Whoever is told to remove all that is gone may come when that was judged already: then it is walked again.
        let rows = self
            .database
            .ask(
                "UPDATE ragstream.corpora SET round = CASE WHEN phase = 0 THEN round + 1 ELSE round END,
                     prune = CASE WHEN phase = 0 THEN $2 ELSE prune OR $2 END, sources = $3,
                     timeline = coalesce(timeline, $4),
                     began = CASE WHEN phase = 0 THEN clock_timestamp() ELSE began END,
                     again = phase <> 0 AND (again OR phase = 3 AND $2 AND NOT prune), phase = CASE WHEN phase = 0 THEN 1 ELSE phase END
                 WHERE id = $1 AND NOT closed AND closings = $6 AND (phase = 0 OR sources IS NULL OR sources = $3
                     OR NOT EXISTS (SELECT 1 FROM ragstream.workers w
                         WHERE w.corpus = $1 AND w.id <> $5 AND w.lease_until > clock_timestamp()))
                 RETURNING round",
                &[
                    (&self.corpus, Type::INT4),
                    (&prune, Type::BOOL),
                    (&names, Type::TEXT_ARRAY),
                    (&timeline, Type::TEXT),
                    (&self.member.standing().id, Type::INT8),
                    (&self.closings, Type::INT4),
                ],
            )
            .await?;
        let Some(row) = rows.first() else {
            if let Some(error) = self.not_open().await? {
                return Err(error);
            }
            let error = ClusterError::unfit(format!(
                "the workers of {:?} are in the middle of a round with other sources than {}",
                self.name,
                names.join(", ")
            ));
            return Err(error.with_hint("start every worker with the same pipeline file, or wait until the round has ended"));
        };
        self.seen().round = row.cell(0)?;
        Ok(())
    }

    /// Which history of the database this is. `None`: it does not tell.
    async fn history(&self) -> Result<Option<u32>, ClusterError> {
        let sql = format!("SELECT CASE WHEN pg_is_in_recovery() THEN NULL ELSE {HISTORY} END");
        match self.database.ask(&sql, &[]).await {
            Ok(rows) => {
                let written = rows.first().map_or(Ok(None), |row| row.cell::<Option<&str>>(0))?;
                Ok(written.and_then(|written| u32::from_str_radix(written, 16).ok()))
            }
            Err(error) if error.is_away() => Err(error),
            // Some services do not have these functions.
            Err(_) => Ok(None),
        }
    }

    async fn lead(&self) -> Result<Lead, ClusterError> {
        let rows = self
            .database
            .ask(
                "SELECT round, phase, prune, timeline, kept, store_generation, closed OR closings <> $2
                 FROM ragstream.corpora WHERE id = $1",
                &[(&self.corpus, Type::INT4), (&self.closings, Type::INT4)],
            )
            .await?;
        let row = rows.first().ok_or_else(|| self.no_corpus())?;
        let round: i64 = row.cell(0)?;
        if row.cell(6)? {
            return Err(self.is_closed());
        }
        if round < self.seen().round {
            // It was lost with what the database had acknowledged and a standby did not have.
            let (sources, prune) = self.joined().clone();
            self.join(&sources, prune).await?;
            return Ok(Lead::Others);
        }
        let under_way = phase(row.cell(1)?).filter(|_| round == self.seen().round);
        let Some(phase) = under_way else { return Ok(Lead::Over(row.count(4)?)) };
        let taken = self
            .database
            .ask(
                "INSERT INTO ragstream.roles AS r (corpus, role, owner, epoch, lease_until)
                 SELECT $1, 'walk', w.id, $4, clock_timestamp() + $3 * interval '1 s' FROM ragstream.workers w
                 WHERE w.id = $2 AND w.lease_until > clock_timestamp()
                 ON CONFLICT (corpus, role) DO UPDATE SET owner = excluded.owner, lease_until = excluded.lease_until,
                     epoch = CASE WHEN r.owner = excluded.owner THEN r.epoch ELSE excluded.epoch END
                     WHERE r.owner = excluded.owner OR r.lease_until < clock_timestamp()
                 RETURNING epoch",
                &[
                    (&self.corpus, Type::INT4),
                    (&self.member.standing().id, Type::INT8),
                    (&self.lead_lasts().as_secs_f64(), Type::FLOAT8),
                    (&self.epochs.next(), Type::INT8),
                ],
            )
            .await?;
        let Some(taken) = taken.first() else { return Ok(Lead::Others) };
        let (recorded, history): (Option<String>, _) = (row.cell(3)?, self.history().await?);
        let restored = recorded.is_some() && history.is_some() && recorded != written(history);
        let index = row.cell::<Option<&str>>(5)?.and_then(|name| name.parse().ok());
        let (epoch, prune) = (taken.cell::<i64>(0)? as u64, row.cell(2)?);
        Ok(Lead::Mine(Term { epoch, phase, prune, index, history, restored }))
    }

    /// Says something as the leader of the round: see [`by_the_leader`]; the values that follow are $6 and so on.
    async fn say(&self, term: Term, sql: &str, more: &Values<'_>) -> Result<Vec<Row>, ClusterError> {
        let (me, epoch, round) = (self.member.standing().id, term.epoch as i64, self.seen().round);
        let history = written(term.history);
        let values: &Values<'_> = &[
            (&self.corpus, Type::INT4),
            (&me, Type::INT8),
            (&epoch, Type::INT8),
            (&round, Type::INT8),
            (&history, Type::TEXT),
        ];
        self.database.ask(sql, &[values, more].concat()).await
    }

    async fn reached(&self, term: Term, phase: Phase, index: Uuid) -> Result<bool, ClusterError> {
        // Ledger and store are of one mind when there is something to walk for, whatever history they came from.
        let change = "phase = $6, again = again AND $6 <> 2, store_generation = $7,
            timeline = CASE WHEN $6 = 2 THEN coalesce($5, timeline) ELSE timeline END";
        let sql = format!("{} SELECT 1 FROM changed", by_the_leader(term, change, ""));
        let (number, index) = (number(phase), index.to_string());
        let rows = self.say(term, &sql, &[(&number, Type::INT2), (&index, Type::TEXT)]).await?;
        Ok(!rows.is_empty())
    }

    async fn restart(&self, term: Term) -> Result<Option<Duration>, ClusterError> {
        // The leader goes on under its name; all others sign on anew.
        let leader = by_the_leader(term, "phase = 1, era = era + 1, generation = NULL, again = false", "");
        let sql = format!(
            "{leader}, moved AS (UPDATE ragstream.workers w SET era = changed.era FROM changed WHERE w.id = $2)
             SELECT 1 FROM changed"
        );
        if self.say(term, &sql, &[]).await?.is_empty() {
            return Ok(None);
        }
        self.give_back().await?;
        self.numbers_anew();
        self.free(None).await?;
        Ok(Some(self.lease))
    }

    async fn seal(&self, term: Term, kept: u64) -> Result<Option<bool>, ClusterError> {
        // And of what is to take another index's place, that it does: when every document of it is done, or given up.
        let change = format!(
            "phase = CASE WHEN again THEN phase ELSE 0 END, kept = $6, ended = clock_timestamp(),
             change = CASE WHEN change <> 1 OR again OR EXISTS (SELECT 1 FROM ragstream.documents d
                 WHERE d.corpus = $1 AND {UNREAD} AND (d.error IS NULL OR NOT prune)) THEN change ELSE 2 END"
        );
        let leader = by_the_leader(
            term,
            &change,
            "AND NOT EXISTS (SELECT 1 FROM ragstream.jobs WHERE corpus = $1)
             AND NOT EXISTS (SELECT 1 FROM ragstream.sweeps WHERE corpus = $1)",
        );
        // What workers found nothing in has been judged.
        let sql = format!(
            "{leader}, judged AS (
                 UPDATE ragstream.documents SET unlisted = false
                 WHERE corpus = $1 AND unlisted AND EXISTS (SELECT 1 FROM changed WHERE NOT again))
             SELECT again FROM changed"
        );
        let rows = self.say(term, &sql, &[(&(kept as i64), Type::INT8)]).await?;
        let again: Option<bool> = rows.first().map(|row| row.cell(0)).transpose()?;
        Ok(again.map(|again| !again))
    }
}

#[async_trait]
impl Coordination for Cluster {
    async fn join(&self, sources: &[SourceId], prune: bool) -> Result<(), LedgerError> {
        self.inner.held.forget_lost();
        self.inner.join(sources, prune).await.map_err(shared)
    }

    async fn lead(&self) -> Result<Lead, LedgerError> {
        self.inner.lead().await.map_err(shared)
    }

    fn alive(&self) -> usize {
        self.inner.alive.load(Ordering::Relaxed) as usize
    }

    fn renewal(&self) -> Duration {
        self.inner.lead_lasts() / 3
    }

    async fn reached(&self, term: Term, phase: Phase, index: Uuid) -> Result<bool, LedgerError> {
        self.inner.reached(term, phase, index).await.map_err(shared)
    }

    async fn restart(&self, term: Term) -> Result<Option<Duration>, LedgerError> {
        self.inner.restart(term).await.map_err(shared)
    }

    async fn submit(&self, term: Term, number: usize, source: &SourceId, items: Vec<Item>) -> Result<bool, LedgerError> {
        jobs::submit_items(&self.inner, term, number, source, &items).await.map_err(shared)
    }

    async fn hold(&self, uris: Vec<String>) -> Result<(), LedgerError> {
        documents::hold(&self.inner, &uris).await.map_err(shared)
    }

    async fn submit_removals(&self, term: Term, documents: Vec<Missing>) -> Result<bool, LedgerError> {
        jobs::submit_removals(&self.inner, term, &documents).await.map_err(shared)
    }

    async fn take(&self, most: usize) -> Result<Taken, LedgerError> {
        jobs::take(&self.inner, most).await.map_err(shared)
    }

    async fn settle(&self, uri: &str) -> Result<(), LedgerError> {
        documents::settle(&self.inner, &[uri.to_owned()], false).await.map_err(shared)
    }

    async fn walk_again(&self) -> Result<(), LedgerError> {
        let sql = "UPDATE ragstream.corpora SET again = true WHERE id = $1";
        self.inner.database.ask(sql, &[(&self.inner.corpus, Type::INT4)]).await.map(drop).map_err(shared)
    }

    async fn outstanding(&self) -> Result<Outstanding, LedgerError> {
        jobs::outstanding(&self.inner).await.map_err(shared)
    }

    async fn seal(&self, term: Term, kept: u64) -> Result<Option<bool>, LedgerError> {
        self.inner.seal(term, kept).await.map_err(shared)
    }

    fn tell(&self, told: String) {
        *self.inner.told.lock().unwrap_or_else(PoisonError::into_inner) = Some(told);
    }

    async fn leave(&self) {
        if let Err(error) = self.inner.resign().await {
            tracing::warn!(%error, "this worker could not sign off: what it had goes to others when its lease has run out");
        }
    }
}
