//! A connection to the cluster's database, made anew whenever it breaks.
//!
//! Behind a pooler in transaction mode each transaction may get another connection of the server: nothing here is kept in one. No
//! statement has a name, nothing is `SET` but within a transaction, there are no session locks and no LISTEN.

use std::fmt;
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use bytes::BytesMut;
use futures_util::future::{join, join3};
use tokio::sync::Mutex as AsyncMutex;
use tokio::time::{Instant, sleep, timeout};
use tokio_postgres::error::SqlState;
use tokio_postgres::types::{IsNull, ToSql, Type, to_sql_checked};
use tokio_postgres::{Error as DriverError, Row as Cells};

use super::error::ClusterError;
use super::row::Row;
use crate::source::sql::postgres::{Address, Failed, Session};

/// How long a database that is away is waited for before the run ends.
pub(crate) const PATIENCE: Duration = Duration::from_secs(120);
/// How long a statement may take. One that does not end is taken for a connection that is gone.
pub(crate) const STATEMENT: Duration = Duration::from_secs(60);
/// How long a peer may be silent that does not even acknowledge what was sent.
const UNACKNOWLEDGED: Duration = Duration::from_secs(15);
/// How often somebody is told of a disk that stays full.
const TELL: Duration = Duration::from_secs(30);
/// Between two tries, at first and at most.
const PAUSES: (Duration, Duration) = (Duration::from_millis(100), Duration::from_secs(2));

/// The values of a statement, each with its type: a statement without a name is not described by the server first.
pub(crate) type Values<'a> = [(&'a (dyn ToSql + Sync), Type)];

/// A worker that sleeps in the midst of a transaction (a machine that is paused) holds its rows: the others get on after this time, and
/// whoever wakes has a connection that is gone, as after an outage.
const NO_LONG_PAUSE: &str = "SET LOCAL idle_in_transaction_session_timeout = '10s'";

/// One connection to the cluster's database. Statements of several tasks go over it one behind the other without waiting for each
/// other's answers; what needs transactions of several statements has a `Database` of its own.
#[derive(Clone)]
pub(crate) struct Database {
    address: Arc<Address>,
    live: Arc<Mutex<Option<Arc<Session>>>>,
    /// Whether there has ever been one: then a name that nobody knows, or a way that is closed, is a failure of the moment.
    known: Arc<AtomicBool>,
    /// Whether somebody was told that it is away.
    away: Arc<AtomicBool>,
    /// When somebody was told last that its disk is full: what is only read is answered all the while.
    full: Arc<Mutex<Option<Instant>>>,
    /// Held by who connects.
    opening: Arc<AsyncMutex<()>>,
}

/// How long a database that is away is still waited for.
pub(crate) struct Patience {
    began: Instant,
    long: Duration,
    pause: Duration,
}

/// A transaction of several statements. One that is dropped before its end takes its connection with it.
pub(crate) struct Transaction<'a> {
    database: &'a Database,
    session: Arc<Session>,
    ended: bool,
}

impl Patience {
    pub(crate) fn new() -> Self {
        Self::of(PATIENCE)
    }

    /// So much of it.
    pub(crate) fn of(long: Duration) -> Self {
        Self { began: Instant::now(), long, pause: PAUSES.0 }
    }

    /// Waits, if the same may succeed then.
    pub(crate) async fn after(&mut self, error: ClusterError) -> Result<(), ClusterError> {
        if !error.is_away() || self.began.elapsed() + self.pause >= self.long {
            return Err(error);
        }
        tracing::debug!(%error, "the cluster's database is away");
        // All workers lose it at the same moment; they need not come back at the same moment.
        sleep(self.pause.mul_f64(rand::random_range(0.5..1.0))).await;
        self.pause = (self.pause * 2).min(PAUSES.1);
        Ok(())
    }
}

impl Database {
    /// The database at an address. Nothing is opened yet.
    ///
    /// # Errors
    /// What is wrong with the address; it tells no secret.
    pub(crate) fn new(url: &str, base: &Path) -> Result<Self, ClusterError> {
        let mut address = Address::new(url, base).map_err(|problem| {
            let error = ClusterError::unfit(format!("the address of the cluster {}", problem.message));
            match problem.hint {
                Some(hint) => error.with_hint(hint),
                None => error,
            }
        })?;
        address.config.keepalives_idle(UNACKNOWLEDGED).tcp_user_timeout(UNACKNOWLEDGED);
        Ok(Self::at(Arc::new(address)))
    }

    fn at(address: Arc<Address>) -> Self {
        Self {
            address,
            live: Arc::default(),
            known: Arc::default(),
            away: Arc::default(),
            full: Arc::default(),
            opening: Arc::default(),
        }
    }

    /// The same database, by a connection of its own.
    pub(crate) fn another(&self) -> Self {
        Self::at(Arc::clone(&self.address))
    }

    /// "Postgres at host:5432".
    pub(crate) fn place(&self) -> &str {
        &self.address.place
    }

    fn live(&self) -> MutexGuard<'_, Option<Arc<Session>>> {
        self.live.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn open_session(&self) -> Option<Arc<Session>> {
        self.live().as_ref().filter(|session| session.is_open()).map(Arc::clone)
    }

    /// A connection that is open, as far as is known.
    async fn session(&self) -> Result<Arc<Session>, ClusterError> {
        if let Some(session) = self.open_session() {
            return Ok(session);
        }
        let _opening = self.opening.lock().await;
        if let Some(session) = self.open_session() {
            return Ok(session);
        }
        let opened = self.open().await;
        match &opened {
            Ok(session) => {
                *self.live() = Some(Arc::clone(session));
                self.known.store(true, Ordering::Relaxed);
                if self.away.swap(false, Ordering::Relaxed) {
                    tracing::info!("{} is there again", self.place());
                }
            }
            Err(error) if error.is_away() && !self.away.swap(true, Ordering::Relaxed) => {
                tracing::warn!(%error, "the cluster's database is away: it is waited for, up to {} s", PATIENCE.as_secs());
            }
            Err(_) => {}
        }
        opened
    }

    /// A new connection.
    async fn open(&self) -> Result<Arc<Session>, ClusterError> {
        match timeout(STATEMENT, Session::open(&self.address)).await {
            Ok(Ok(opened)) => Ok(Arc::new(opened)),
            Ok(Err(failed)) => {
                let answered = match &failed {
                    Failed::Driver(error) => error.as_db_error().is_some(),
                    Failed::Early(_) => true,
                };
                let error = self.explain(failed);
                Err(if self.known.load(Ordering::Relaxed) && !answered { error.for_now() } else { error })
            }
            Err(_) => Err(self.silent()),
        }
    }

    /// The next statement gets a new connection.
    fn forget(&self, broken: &Arc<Session>) {
        let mut live = self.live();
        if live.as_ref().is_some_and(|session| Arc::ptr_eq(session, broken)) {
            *live = None;
        }
    }

    /// Rows that say where they came from.
    fn rows(&self, answer: Vec<Cells>) -> Vec<Row> {
        answer.into_iter().map(|cells| Row::new(cells, &self.address)).collect()
    }

    fn silent(&self) -> ClusterError {
        ClusterError::away(format!("{} does not answer", self.place()))
    }

    fn explain(&self, failed: Failed) -> ClusterError {
        ClusterError::of(failed, self.place(), STATEMENT)
    }

    /// Tells somebody, now and then.
    fn tell_full(&self, error: &ClusterError) {
        let mut told = self.full.lock().unwrap_or_else(PoisonError::into_inner);
        if told.is_none_or(|told| told.elapsed() >= TELL) {
            *told = Some(Instant::now());
            tracing::warn!(%error, "the cluster's database has no room: it is waited for, up to {} s", PATIENCE.as_secs());
        }
    }

    /// What a connection answered, or why it did not.
    async fn answered<T>(
        &self,
        session: &Arc<Session>,
        answer: impl Future<Output = Result<T, DriverError>>,
    ) -> Result<T, ClusterError> {
        match timeout(STATEMENT, answer).await {
            Ok(Ok(value)) => Ok(value),
            Ok(Err(error)) => {
                let full = error.code() == Some(&SqlState::DISK_FULL);
                let failed = session.failed(error).await;
                if !session.is_open() {
                    self.forget(session);
                }
                let error = self.explain(failed);
                if full {
                    self.tell_full(&error);
                }
                Err(error)
            }
            Err(_) => {
                // Its answer may still come: nobody else is to get it.
                self.forget(session);
                Err(self.silent())
            }
        }
    }

    /// A statement's rows. Asked again while the database is away: it must do no harm twice.
    pub(crate) async fn ask(&self, sql: &str, values: &Values<'_>) -> Result<Vec<Row>, ClusterError> {
        let mut patience = Patience::new();
        loop {
            match self.ask_once(sql, values).await {
                Err(error) => patience.after(error).await?,
                answered => return answered,
            }
        }
    }

    /// [`Self::ask`], once.
    ///
    /// By a task of its own, which goes on when nobody looks at it any more or at the moment, as a stream does that is full: an answer
    /// that is not read would keep all that come after it on the same connection from being read.
    pub(crate) async fn ask_once(&self, sql: &str, values: &Values<'_>) -> Result<Vec<Row>, ClusterError> {
        let unfit = |error| ClusterError::unfit(format!("a value cannot be told to {}: {error}", self.place()));
        let values = values.iter().map(Encoded::new).collect::<Result<Vec<_>, _>>().map_err(unfit)?;
        let (database, sql) = (self.clone(), sql.to_owned());
        let asked = tokio::spawn(async move {
            let values: Vec<(&(dyn ToSql + Sync), Type)> = values.iter().map(|value| (value as _, value.of.clone())).collect();
            let session = database.session().await?;
            let answer = database.answered(&session, session.client.query_typed(&sql, &values)).await?;
            Ok(database.rows(answer))
        });
        asked.await.unwrap_or_else(|_| Err(ClusterError::away(format!("a statement to {} was cut short", self.place()))))
    }

    /// Begins a transaction. Nothing else may go over this connection until it ends.
    pub(crate) async fn begin(&self) -> Result<Transaction<'_>, ClusterError> {
        let session = self.session().await?;
        let transaction = Transaction { database: self, session, ended: false };
        transaction.run(&format!("BEGIN; {NO_LONG_PAUSE}")).await?;
        Ok(transaction)
    }

    /// [`Self::begin`] under terms (`SET LOCAL …`) and with two statements at once: one way to the server and back.
    pub(crate) async fn begin_with(
        &self,
        terms: &str,
        (first, of_first): (&str, &Values<'_>),
        (second, of_second): (&str, &Values<'_>),
    ) -> Result<(Transaction<'_>, Vec<Row>, Vec<Row>), ClusterError> {
        let session = self.session().await?;
        let transaction = Transaction { database: self, session, ended: false };
        let client = &transaction.session.client;
        let begun = format!("BEGIN; {terms}");
        // They are sent in this order, each without waiting for the one before.
        let all = async {
            let begin = client.batch_execute(&begun);
            let (begun, one, other) =
                join3(begin, client.query_typed(first, of_first), client.query_typed(second, of_second)).await;
            begun?;
            Ok((one?, other?))
        };
        let (one, other) = self.answered(&transaction.session, all).await?;
        Ok((transaction, self.rows(one), self.rows(other)))
    }
}

impl Transaction<'_> {
    /// A statement's rows.
    pub(crate) async fn ask(&self, sql: &str, values: &Values<'_>) -> Result<Vec<Row>, ClusterError> {
        let answer = self.database.answered(&self.session, self.session.client.query_typed(sql, values)).await?;
        Ok(self.database.rows(answer))
    }

    /// Statements without values.
    pub(crate) async fn run(&self, sql: &str) -> Result<(), ClusterError> {
        self.database.answered(&self.session, self.session.client.batch_execute(sql)).await
    }

    /// A last statement, and the end in the same way to the server. Where its answer is lost, nobody knows whether it was done.
    pub(crate) async fn commit_with(mut self, sql: &str, values: &Values<'_>) -> Result<Vec<Row>, ClusterError> {
        let client = &self.session.client;
        let both = async {
            let (rows, done) = join(client.query_typed(sql, values), client.batch_execute("COMMIT")).await;
            let rows = rows?;
            done.map(|()| rows)
        };
        let answer = self.database.answered(&self.session, both).await?;
        self.ended = true;
        Ok(self.database.rows(answer))
    }

    /// Ends it. Where its answer is lost, nobody knows whether it was done.
    pub(crate) async fn commit(mut self) -> Result<(), ClusterError> {
        self.run("COMMIT").await?;
        self.ended = true;
        Ok(())
    }
}

impl Drop for Transaction<'_> {
    fn drop(&mut self) {
        if !self.ended {
            self.database.forget(&self.session);
        }
    }
}

/// A value as it goes to the server.
#[derive(Debug)]
struct Encoded {
    of: Type,
    /// `None`: NULL.
    bytes: Option<BytesMut>,
}

impl Encoded {
    fn new((value, of): &(&(dyn ToSql + Sync), Type)) -> Result<Self, Box<dyn std::error::Error + Sync + Send>> {
        let mut bytes = BytesMut::new();
        let bytes = matches!(value.to_sql_checked(of, &mut bytes)?, IsNull::No).then_some(bytes);
        Ok(Self { of: of.clone(), bytes })
    }
}

impl ToSql for Encoded {
    fn to_sql(&self, _: &Type, out: &mut BytesMut) -> Result<IsNull, Box<dyn std::error::Error + Sync + Send>> {
        let Some(bytes) = &self.bytes else { return Ok(IsNull::Yes) };
        out.extend_from_slice(bytes);
        Ok(IsNull::No)
    }

    fn accepts(_: &Type) -> bool {
        true
    }

    to_sql_checked!();
}

impl fmt::Debug for Database {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.place())
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a failing test may panic")]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_name_that_was_known_before_is_waited_for() {
        let database = Database::new("postgres://me@db.invalid/shop", Path::new(".")).unwrap();
        assert!(!database.ask_once("SELECT 1", &[]).await.unwrap_err().is_away(), "a slip of the pen");
        database.known.store(true, Ordering::Relaxed);
        assert!(database.ask_once("SELECT 1", &[]).await.unwrap_err().is_away());
    }
}
