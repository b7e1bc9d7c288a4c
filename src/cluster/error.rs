//! Why a cluster's database could not be used.

use std::fmt;

use tokio_postgres::Error as DriverError;
use tokio_postgres::error::SqlState;

use crate::error::{Failure, Origin};
use crate::source::sql::postgres::Failed;

/// What to do about tables that cannot be used.
pub(super) const ANEW: &str = "drop the schema `ragstream` there: the next `ingest` makes it anew, and looks through the store";

/// Why a cluster's database could not be used.
#[derive(Debug, Clone)]
pub struct ClusterError {
    kind: Kind,
    /// In a sentence without its point. Holds no secret.
    message: String,
    hint: Option<String>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    /// It may be there again in a moment.
    Away,
    /// It refused, and would again.
    Refused,
    /// What it holds or what was asked for does not fit.
    Unfit,
    /// Another worker has what this one had.
    Lost,
}

impl ClusterError {
    /// The database is not there, or broke off: the same may succeed in a moment.
    pub(crate) fn away(message: impl Into<String>) -> Self {
        Self { kind: Kind::Away, message: message.into(), hint: None }
    }

    /// The database refused.
    pub(crate) fn refused(message: impl Into<String>) -> Self {
        Self { kind: Kind::Refused, message: message.into(), hint: None }
    }

    /// What was asked for does not go together with what is there.
    pub(crate) fn unfit(message: impl Into<String>) -> Self {
        Self { kind: Kind::Unfit, message: message.into(), hint: None }
    }

    /// What this worker had is another one's.
    pub(super) fn lost(message: impl Into<String>) -> Self {
        Self { kind: Kind::Lost, message: message.into(), hint: None }
    }

    /// The ledger of the index of this name was closed.
    pub(crate) fn closed(name: &str) -> Self {
        Self::unfit(format!("others have changed the embedding model of {name:?}, or have begun to")).with_hint(
            "start this worker again with the pipeline file that they have (`status` shows who is at work): what it had not finished \
             goes on there",
        )
    }

    /// The tables are not as this program made them.
    pub(super) fn altered(place: &str, what: &str) -> Self {
        Self::unfit(format!("the tables of the cluster at {place} were altered: {what}")).with_hint(ANEW)
    }

    /// With what to do about it.
    pub(crate) fn with_hint(self, hint: impl Into<String>) -> Self {
        Self { hint: Some(hint.into()), ..self }
    }

    /// What went wrong with a connection or a statement.
    pub(super) fn of(failed: Failed, place: &str, patience: std::time::Duration) -> Self {
        if let Failed::Driver(error) = &failed
            && let Some(told) = Self::told(error, place)
        {
            return told;
        }
        if let Failed::Driver(error) = &failed
            && crate::error::reason(error).contains("does not allow writes")
        {
            // As `target_session_attrs` wants it: during a fail-over there is none for a while.
            return Self::away(format!("{place}: none of them takes writes at the moment"))
                .with_hint("they are standbys: is a primary among the hosts of the address?");
        }
        let error = failed.explain(place, None, patience);
        let transient = error.is_transient();
        let (message, hint) = error.parts();
        // `url` is the key of a source of tables.
        let hint = hint.map(|hint| hint.replace("stand in `url`", "stand in the address"));
        Self { kind: if transient { Kind::Away } else { Kind::Refused }, message, hint }
    }

    /// What means something else to a cluster than to whoever reads a table.
    fn told(error: &DriverError, place: &str) -> Option<Self> {
        let told = error.as_db_error()?;
        let refused = |hint: &str| Some(Self::refused(format!("{place}: {}", told.message())).with_hint(hint));
        match *told.code() {
            SqlState::INSUFFICIENT_PRIVILEGE if told.message().contains("for database") => {
                refused("its owner can make the tables: `ragstream schema --cluster` prints the SQL")
            }
            SqlState::INSUFFICIENT_PRIVILEGE if told.message().contains("must be owner") => refused(
                "the owner of the tables can bring them up to date: `ragstream schema --cluster` has the SQL, as a comment near its end",
            ),
            SqlState::INSUFFICIENT_PRIVILEGE => refused(
                "the owner of the tables can grant what is missing: the last lines of `ragstream schema --cluster` are the SQL",
            ),
            // What a statement meets that its tables were altered under.
            SqlState::UNDEFINED_COLUMN
            | SqlState::DATATYPE_MISMATCH
            | SqlState::INVALID_COLUMN_REFERENCE
            | SqlState::NOT_NULL_VIOLATION => Some(Self::altered(place, told.message())),
            SqlState::UNDEFINED_FUNCTION if told.message().starts_with("operator") => {
                Some(Self::altered(place, told.message()))
            }
            SqlState::UNDEFINED_TABLE | SqlState::INVALID_SCHEMA_NAME => refused(
                "the tables of the cluster are not there, or not all: `ragstream schema --cluster` prints the SQL that makes them",
            ),
            SqlState::SYNTAX_ERROR => refused("this should not happen: is it a Postgres of version 13 or later?"),
            SqlState::INVALID_CATALOG_NAME => refused("the database's name stands at the end of the address"),
            SqlState::READ_ONLY_SQL_TRANSACTION => Some(
                Self::away(format!("{place}: {}", told.message()))
                    .with_hint("this is a standby; with several hosts in the address, add `target_session_attrs=read-write`"),
            ),
            SqlState::DISK_FULL => Some(Self::away(format!("{place}: {}", told.message())).with_hint(
                "its disk is full: make room there; what was done until then is recorded, and the next run goes on",
            )),
            SqlState::TOO_MANY_CONNECTIONS => Some(Self::away(format!("{place}: {}", told.message())).with_hint(
                "a worker has two connections and one more for each provider: raise `max_connections` there, or put a pooler \
                 before it (pgbouncer, also in transaction mode)",
            )),
            // Of a machine that slept in the midst of one, the last is (session.rs has the time).
            SqlState::QUERY_CANCELED | SqlState::OUT_OF_MEMORY | SqlState::IDLE_IN_TRANSACTION_SESSION_TIMEOUT => {
                Some(Self::away(format!("{place}: {}", told.message())))
            }
            _ => None,
        }
    }

    /// The same, of a database that has been there before.
    pub(super) fn for_now(self) -> Self {
        Self { kind: Kind::Away, ..self }
    }

    /// Whether another worker has what this one had: whoever asks anew finds out how things are now.
    pub fn is_lost(&self) -> bool {
        self.kind == Kind::Lost
    }

    /// Whether the same may succeed in a moment.
    pub(crate) fn is_away(&self) -> bool {
        self.kind == Kind::Away
    }
}

impl fmt::Display for ClusterError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

impl std::error::Error for ClusterError {}

impl Failure for ClusterError {
    fn origin(&self) -> Origin {
        Origin::Ledger
    }

    fn code(&self) -> &'static str {
        match self.kind {
            Kind::Away => "cluster_unavailable",
            Kind::Refused | Kind::Lost => "cluster_failed",
            Kind::Unfit => "cluster_mismatch",
        }
    }

    fn hint(&self) -> Option<String> {
        self.hint.clone()
    }

    fn is_transient(&self) -> bool {
        self.is_away()
    }

    fn stops_all(&self) -> bool {
        true
    }
}
