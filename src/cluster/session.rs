//! A connection to the cluster's database, made anew whenever it breaks.
//!
//! Behind a pooler in transaction mode each transaction may get another connection of the server: nothing here is kept in one. No
//! statement has a name, nothing is `SET` but within a transaction, there are no session locks and no LISTEN.

use std::fmt;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::Mutex;
use tokio::time::{Instant, sleep, timeout};
use tokio_postgres::types::{ToSql, Type};
use tokio_postgres::{Client, Error as DriverError, Row};

use super::error::ClusterError;
use crate::source::sql::postgres::{Address, Failed, Session};

/// How long a database that is away is waited for before the run ends.
pub(crate) const PATIENCE: Duration = Duration::from_secs(120);
/// How long a statement may take. One that does not end is taken for a connection that is gone.
pub(crate) const STATEMENT: Duration = Duration::from_secs(60);
/// How long a peer may be silent that does not even acknowledge what was sent.
const UNACKNOWLEDGED: Duration = Duration::from_secs(15);
/// Between two tries, at first and at most.
const PAUSES: (Duration, Duration) = (Duration::from_millis(100), Duration::from_secs(2));

/// The values of a statement, each with its type: a statement without a name is not described by the server first.
pub(crate) type Values<'a> = [(&'a (dyn ToSql + Sync), Type)];

/// One connection to the cluster's database. Statements of several tasks go over it one behind the other without waiting for each
/// other's answers; what needs a transaction of several statements has a `Database` of its own.
pub(crate) struct Database {
    address: Address,
    live: Mutex<Option<Arc<Session>>>,
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
        Ok(Self { address, live: Mutex::default() })
    }

    /// "Postgres at host:5432".
    pub(crate) fn place(&self) -> &str {
        &self.address.place
    }

    /// A connection that is open, as far as is known.
    async fn session(&self) -> Result<Arc<Session>, ClusterError> {
        let mut live = self.live.lock().await;
        if let Some(session) = live.as_ref().filter(|session| session.is_open()) {
            return Ok(Arc::clone(session));
        }
        let session = match timeout(STATEMENT, Session::open(&self.address)).await {
            Ok(opened) => Arc::new(opened.map_err(|failed| self.explain(failed))?),
            Err(_) => return Err(self.silent()),
        };
        *live = Some(Arc::clone(&session));
        Ok(session)
    }

    /// The next statement gets a new connection.
    async fn forget(&self, broken: &Arc<Session>) {
        let mut live = self.live.lock().await;
        if live.as_ref().is_some_and(|session| Arc::ptr_eq(session, broken)) {
            *live = None;
        }
    }

    fn silent(&self) -> ClusterError {
        ClusterError::away(format!("{} does not answer", self.place()))
    }

    fn explain(&self, failed: Failed) -> ClusterError {
        ClusterError::of(failed, self.place(), STATEMENT)
    }

    /// Does something with a connection, once. `work` must not leave a transaction open, unless it fails.
    pub(crate) async fn once<T>(&self, work: impl AsyncFnOnce(&Client) -> Result<T, DriverError>) -> Result<T, ClusterError> {
        let session = self.session().await?;
        let failed = match timeout(STATEMENT, work(&session.client)).await {
            Ok(Ok(value)) => return Ok(value),
            Ok(Err(error)) => Some(session.failed(error).await),
            Err(_) => None,
        };
        let Some(failed) = failed else {
            // Its answer may still come: nobody else is to get it.
            self.forget(&session).await;
            return Err(self.silent());
        };
        if !session.is_open() {
            self.forget(&session).await;
        }
        Err(self.explain(failed))
    }

    /// [`Self::once`], for a transaction of several statements: one that fails is rolled back.
    pub(crate) async fn transaction<T>(
        &self,
        work: impl AsyncFnOnce(&Client) -> Result<T, DriverError>,
    ) -> Result<T, ClusterError> {
        self.once(async |client| {
            client.batch_execute("BEGIN").await?;
            let worked = work(client).await;
            match worked {
                Ok(value) => client.batch_execute("COMMIT").await.map(|()| value),
                Err(error) => {
                    // Where that fails, too, the connection is of no use, which the next statement notices.
                    let _ = client.batch_execute("ROLLBACK").await;
                    Err(error)
                }
            }
        })
        .await
    }

    /// A statement's rows. Asked again while the database is away: it must do no harm twice.
    pub(crate) async fn ask(&self, sql: &str, values: &Values<'_>) -> Result<Vec<Row>, ClusterError> {
        self.patiently(async || self.ask_once(sql, values).await).await
    }

    /// [`Self::ask`], once.
    pub(crate) async fn ask_once(&self, sql: &str, values: &Values<'_>) -> Result<Vec<Row>, ClusterError> {
        self.once(async |client| client.query_typed(sql, values).await).await
    }

    /// Tries again while the database is away, within [`PATIENCE`].
    pub(crate) async fn patiently<T>(&self, mut work: impl AsyncFnMut() -> Result<T, ClusterError>) -> Result<T, ClusterError> {
        let began = Instant::now();
        let (mut pause, most) = PAUSES;
        loop {
            match work().await {
                Err(error) if error.is_away() && began.elapsed() + pause < PATIENCE => {
                    tracing::debug!(%error, "the cluster's database is away");
                    // All workers lose it at the same moment; they need not come back at the same moment.
                    sleep(pause.mul_f64(rand::random_range(0.5..1.0))).await;
                    pause = (pause * 2).min(most);
                }
                ended => return ended,
            }
        }
    }
}

impl fmt::Debug for Database {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.place())
    }
}
