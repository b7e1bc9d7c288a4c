//! A connection to Postgres, and what its errors mean.

use std::error::Error as StdError;
use std::io::ErrorKind;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio_postgres::error::ErrorPosition;
use tokio_postgres::{Client, Config, Error};
use tokio_util::task::AbortOnDropHandle;

use super::super::error::SqlError;
use super::super::tls::{cause, client, hint, io_cause, roots};
use super::address::Address;
use super::tls::Tls;
use crate::error::reason;

/// How long a transaction may take to be ended.
const ROLLBACK: Duration = Duration::from_secs(5);
/// How long the reason is waited for why a connection broke.
const LAST_WORDS: Duration = Duration::from_millis(200);

/// A connection.
pub(crate) struct Session {
    pub(crate) client: Client,
    /// Why it broke, once it has.
    broke: Arc<Mutex<Option<Error>>>,
    driving: AbortOnDropHandle<()>,
}

/// What went wrong with a connection or a statement.
pub(crate) enum Failed {
    /// Before anything was sent.
    Early(SqlError),
    /// The driver says it.
    Driver(Error),
}

impl Session {
    /// Connects.
    pub(crate) async fn open(address: &Address) -> Result<Self, Failed> {
        let config = &address.config;
        if config.get_ssl_mode() == tokio_postgres::config::SslMode::Disable {
            return Self::with(config, tokio_postgres::NoTls).await;
        }
        let file = address.tls.roots.clone();
        let trusted = tokio::task::spawn_blocking(move || roots(file.as_deref()).and_then(client)).await;
        let trusted = trusted.map_err(|broken| Failed::Early(SqlError::new(broken.to_string())))?;
        Self::with(config, Tls(trusted.map_err(Failed::Early)?)).await
    }

    async fn with<T>(config: &Config, tls: T) -> Result<Self, Failed>
    where
        T: tokio_postgres::tls::MakeTlsConnect<tokio_postgres::Socket>,
        T::Stream: Send + 'static,
    {
        let (client, connection) = config.connect(tls).await.map_err(Failed::Driver)?;
        let broke = Arc::new(Mutex::new(None));
        let told = Arc::clone(&broke);
        let driving = tokio::spawn(async move {
            if let Err(error) = connection.await {
                *told.lock().unwrap_or_else(PoisonError::into_inner) = Some(error);
            }
        });
        Ok(Self { client, broke, driving: AbortOnDropHandle::new(driving) })
    }

    /// Whether it can be used.
    pub(crate) fn is_open(&self) -> bool {
        !self.client.is_closed()
    }

    /// What went wrong: where the connection broke, why.
    pub(crate) async fn failed(&self, error: Error) -> Failed {
        if error.is_closed() {
            let began = tokio::time::Instant::now();
            while !self.driving.is_finished() && began.elapsed() < LAST_WORDS {
                tokio::time::sleep(LAST_WORDS / 20).await;
            }
            if let Some(why) = self.broke.lock().unwrap_or_else(PoisonError::into_inner).take() {
                return Failed::Driver(why);
            }
        }
        Failed::Driver(error)
    }

    /// Ends a transaction that failed; false: the connection is of no more use.
    pub(crate) async fn roll_back(&self) -> bool {
        let rolled = tokio::time::timeout(ROLLBACK, self.client.batch_execute("ROLLBACK")).await;
        self.is_open() && matches!(rolled, Ok(Ok(())))
    }
}

impl Failed {
    /// What a person is told. `place` says where in the user's query a character of what was sent stands.
    pub(crate) fn explain(
        self,
        server: &str,
        place: Option<&dyn Fn(usize) -> Option<(usize, usize)>>,
        timeout: Duration,
    ) -> SqlError {
        let error = match self {
            Self::Early(error) => return error,
            Self::Driver(error) => error,
        };
        if let Some(tls) = cause(&error) {
            return SqlError::new(format!("{server} cannot be trusted: {tls}")).hint(hint(tls));
        }
        let Some(told) = error.as_db_error() else { return of_connection(server, &error) };
        let (code, message) = (told.code().code(), told.message());
        let at = match told.position() {
            Some(ErrorPosition::Original(at)) => place.and_then(|place| place((*at as usize).checked_sub(1)?)),
            _ => None,
        };
        let at = at.map_or_else(String::new, |(line, column)| format!(", at line {line}, column {column} of the query"));
        let message = format!("{server}: {message}{at}");
        let explained = match code {
            "28P01" | "28000" => {
                SqlError::new(message).hint("the user and the password stand in `url`: postgres://user:password@host/database")
            }
            "3D000" => SqlError::new(message).hint("the database's name stands at the end of `url`"),
            "57014" => {
                let hint = "an index on the key makes pages cheap; `timeout` allows more";
                SqlError::new(format!("{message} ({} s)", timeout.as_secs_f64())).hint(hint)
            }
            "42501" => SqlError::new(message).hint("the role needs SELECT, and nothing more"),
            "25006" => SqlError::new(message).hint("a query reads; it cannot write"),
            "42601" => SqlError::new(message).hint("`query` is one SELECT"),
            "42P01" => SqlError::new(message).hint("with its schema, where it is not on the search path: `schema.table`"),
            "55P03" | "40001" | "40P01" | "53300" | "57P01" | "57P02" | "57P03" | "57P05" => SqlError::transient(message),
            _ if code.starts_with("08") => SqlError::transient(message),
            _ => match told.hint() {
                Some(hint) => SqlError::new(message).hint(hint),
                None => SqlError::new(message),
            },
        };
        if is_of_data(code) { explained.of_data() } else { explained }
    }
}

/// Whether it is a value that is at fault: one that a cast, a function or the encoding refuses, a subquery that has two rows of one, what a
/// function of the user's own raises, or a damaged page.
fn is_of_data(code: &str) -> bool {
    ["21", "22", "2F", "38", "39", "54", "P0", "XX"].iter().any(|class| code.starts_with(class))
}

fn of_connection(server: &str, error: &Error) -> SqlError {
    let why = reason(error);
    let message = format!("{server}: {why}");
    if error.source().is_some_and(<dyn std::error::Error + 'static>::is::<std::str::Utf8Error>) {
        return SqlError::new(message).of_data();
    }
    if why.contains("server does not support TLS") {
        return SqlError::new(message).hint("where the network is trusted, `?sslmode=disable` leaves encryption out");
    }
    if why.contains("password missing") {
        return SqlError::new(message).hint("postgres://user:password@host/database, best as a variable: url: ${DATABASE_URL}");
    }
    match io_cause(error as &(dyn StdError + 'static)).map(std::io::Error::kind) {
        Some(ErrorKind::ConnectionRefused | ErrorKind::NotFound) => {
            SqlError::transient(message).hint("is the server running, and is this its port?")
        }
        Some(ErrorKind::PermissionDenied | ErrorKind::InvalidInput) => SqlError::new(message),
        Some(_) if why.contains("lookup") => SqlError::new(message).hint("there is no host of this name"),
        Some(_) => SqlError::transient(message),
        None if error.is_closed() || why.contains("timed out") || why.contains("timeout") => SqlError::transient(message),
        None => SqlError::new(message),
    }
}
