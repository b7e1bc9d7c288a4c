//! From an address to a database.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

#[cfg(feature = "mysql")]
use super::mysql::MySql;
use super::plan::Connection;
#[cfg(feature = "postgres")]
use super::postgres::Postgres;
use super::sqlite::Sqlite;
use super::url::{UrlProblem, scheme};
use crate::source::SourceError;
use crate::suggest::did_you_mean;

impl Connection {
    /// The database of an address: `postgres://…`, `mysql://…`, `mariadb://…`, `sqlite:FILE`. Nothing is connected yet. Relative
    /// paths are relative to `base`; a statement may take as long as `timeout`.
    ///
    /// # Errors
    /// What is wrong with the address. Holds no secret.
    pub fn open(url: &str, base: &Path, timeout: Duration) -> Result<Self, SourceError> {
        open(url, base, timeout).map_err(|UrlProblem { message, hint }| {
            SourceError::new(format!(
                "the database's address {message}{}",
                hint.map_or_else(String::new, |hint| format!(" ({hint})"))
            ))
        })
    }
}

/// How addresses of databases begin.
pub(crate) const SCHEMES: [&str; 5] = ["postgres", "postgresql", "mysql", "mariadb", "sqlite"];

/// The database of an address; nothing is connected yet. Relative paths are relative to `base`; a statement may take as long as
/// `timeout`.
///
/// # Errors
/// What is wrong with the address. Holds no secret.
pub(crate) fn open(url: &str, base: &Path, timeout: Duration) -> Result<Connection, UrlProblem> {
    let url = url.trim();
    let scheme = scheme(url).to_ascii_lowercase();
    Ok(Connection(match scheme.as_str() {
        #[cfg(feature = "postgres")]
        "postgres" | "postgresql" => Arc::new(Postgres::new(url, base, timeout)?),
        #[cfg(feature = "mysql")]
        "mysql" | "mariadb" => Arc::new(MySql::new(url, base, timeout)?),
        "sqlite" => Arc::new(Sqlite::new(url, base, timeout)?),
        known if SCHEMES.contains(&known) => {
            let problem = UrlProblem::new(format!("this ragstream was built without `{known}`"));
            return Err(problem.hint("build it with the features `mysql` and `postgres`"));
        }
        "" => return Err(UrlProblem::new("is no address of a database").hint(BEGINS)),
        other => {
            let problem = UrlProblem::new(format!("`{other}:` is no database that ragstream reads"));
            return Err(problem.hint(did_you_mean(other, SCHEMES).unwrap_or_else(|| BEGINS.to_owned())));
        }
    }))
}

const BEGINS: &str = "it begins with postgres://, mysql://, mariadb:// or sqlite:";
