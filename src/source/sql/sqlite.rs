//! `SQLite`. The file is opened to be read alone; its own writers go on meanwhile.

use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use async_trait::async_trait;
use rusqlite::config::DbConfig;
use rusqlite::types::ValueRef;
use rusqlite::{Connection, ErrorCode, OpenFlags};

use super::cell::{Cell, Column, Kind, Row, hex};
use super::database::{Database, Relation, Statement};
use super::error::SqlError;
use super::rows::{Rows, gathered, rows};
use super::url::{UrlProblem, decoded};

/// How long a lock is waited for before it is tried again.
const BUSY: Duration = Duration::from_secs(10);

/// A file of `SQLite`.
pub(super) struct Sqlite {
    path: PathBuf,
    name: String,
    timeout: Duration,
    idle: Arc<Mutex<Vec<Connection>>>,
}

impl Sqlite {
    /// The file of an address: `sqlite:shop.db`, `sqlite:///srv/shop.db`.
    pub fn new(url: &str, base: &Path, timeout: Duration) -> Result<Self, UrlProblem> {
        let rest = url.split_once(':').map_or("", |(_, rest)| rest);
        let rest = rest.strip_prefix("//").unwrap_or(rest);
        let (path, query) = rest.split_once('?').unwrap_or((rest, ""));
        if query.split('&').any(|pair| !pair.is_empty() && pair != "mode=ro") {
            return Err(
                UrlProblem::new("has settings behind its `?`").hint("a file is opened read-only, and there is nothing to set")
            );
        }
        let path = decoded(path)?;
        if path.is_empty() || path.contains('\0') || path == ":memory:" {
            return Err(UrlProblem::new("names no file")
                .hint("sqlite:shop.db, relative to the pipeline file, or sqlite:///srv/shop.db"));
        }
        let path = base.join(path);
        let name = path.file_stem().map(|stem| stem.to_string_lossy().into_owned()).unwrap_or_default();
        Ok(Self { path, name, timeout, idle: Arc::default() })
    }

    /// Does something with a connection, on a thread that may block, and stops it when it takes too long.
    async fn with<T: Send + 'static>(
        &self,
        work: impl FnOnce(&Connection) -> Result<T, Wrong> + Send + 'static,
    ) -> Result<T, SqlError> {
        let (idle, path) = (Arc::clone(&self.idle), self.path.clone());
        let known = idle.lock().unwrap_or_else(PoisonError::into_inner).pop();
        let (handle, interrupt) = tokio::sync::oneshot::channel();
        let mut working = tokio_util::task::AbortOnDropHandle::new(tokio::task::spawn_blocking(move || {
            let connection = match known {
                Some(connection) => connection,
                None => connect(&path)?,
            };
            // Nobody waits: the work is not wanted any more.
            let _ = handle.send(connection.get_interrupt_handle());
            let done = work(&connection)?;
            idle.lock().unwrap_or_else(PoisonError::into_inner).push(connection);
            Ok(done)
        }));
        // Whoever drops this future drops the rows' receiver, too, at which the work ends.
        let answered = if let Ok(answered) = tokio::time::timeout(self.timeout, &mut working).await {
            answered
        } else {
            if let Ok(handle) = interrupt.await {
                handle.interrupt();
            }
            // One that waits for a lock ends when that wait does.
            (&mut working).await
        };
        match answered {
            Ok(done) => done.map_err(|wrong| self.explain(wrong, None)),
            Err(broken) => Err(SqlError::new(format!("{}: the reading broke off: {broken}", self.place()))),
        }
    }

    async fn all(&self, sql: String, shape: Vec<Kind>) -> Result<Vec<Row>, SqlError> {
        let (rows, coming) = rows();
        let run = self.with(move |connection| run(connection, &sql, &shape, rows));
        let (asked, all) = tokio::join!(run, gathered(coming));
        asked.map(|()| all)
    }

    fn explain(&self, wrong: Wrong, statement: Option<&Statement<'_>>) -> SqlError {
        let place = self.place();
        let error = match wrong {
            Wrong::Driver(error) => error,
            Wrong::Writes => {
                return SqlError::new(format!("{place}: the query writes")).hint("`query` is one SELECT");
            }
        };
        match &error {
            rusqlite::Error::SqlInputError { msg, sql, offset, .. } => {
                let character = usize::try_from(*offset).ok().and_then(|at| Some(sql.get(..at)?.chars().count()));
                let at = character.and_then(|character| statement?.place(sql, character));
                let at =
                    at.map_or_else(String::new, |(line, column)| format!(", at line {line}, column {column} of the query"));
                SqlError::new(format!("{place}: {msg}{at}"))
            }
            rusqlite::Error::SqliteFailure(code, _) => match code.code {
                ErrorCode::DatabaseBusy | ErrorCode::DatabaseLocked => {
                    SqlError::transient(format!("{place} is locked by a writer"))
                }
                ErrorCode::OperationInterrupted => {
                    let message = format!("{place}: a statement took longer than {} s", self.timeout.as_secs_f64());
                    SqlError::new(message).hint("an index on the key makes pages cheap; `timeout` allows more")
                }
                ErrorCode::CannotOpen if !self.path.exists() => SqlError::new(format!("{place}: there is no such file"))
                    .hint("relative paths are relative to the pipeline file"),
                ErrorCode::CannotOpen => SqlError::new(format!("{place} cannot be opened: {error}"))
                    .hint("a database in WAL mode needs its -wal and -shm files, or a folder that may be written to"),
                // Its journal has to be played back first, which whoever only reads cannot do.
                ErrorCode::ReadOnly => {
                    SqlError::new(format!("{place} was left in the middle of a write, by a program that was killed"))
                        .hint("open it once with a program that may write to it, such as sqlite3 FILE .tables")
                }
                // A function that refuses a value: `json_extract`, say.
                ErrorCode::Unknown | ErrorCode::TooBig | ErrorCode::TypeMismatch => {
                    SqlError::new(format!("{place}: {error}")).of_data()
                }
                ErrorCode::NotADatabase => SqlError::new(format!("{place} is no SQLite database")),
                _ => SqlError::new(format!("{place}: {error}")),
            },
            _ => SqlError::new(format!("{place}: {error}")),
        }
    }
}

/// Why work on a connection failed.
enum Wrong {
    Driver(rusqlite::Error),
    Writes,
}

impl From<rusqlite::Error> for Wrong {
    fn from(error: rusqlite::Error) -> Self {
        Self::Driver(error)
    }
}

fn connect(path: &Path) -> Result<Connection, rusqlite::Error> {
    let connection = Connection::open_with_flags(path, OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX)?;
    connection.busy_timeout(BUSY)?;
    connection.set_db_config(DbConfig::SQLITE_DBCONFIG_DEFENSIVE, true)?;
    connection.set_db_config(DbConfig::SQLITE_DBCONFIG_TRUSTED_SCHEMA, false)?;
    connection.pragma_update(None, "query_only", true)?;
    // Names in double quotes are names.
    connection.set_db_config(DbConfig::SQLITE_DBCONFIG_DQS_DML, false)?;
    Ok(connection)
}

fn run(connection: &Connection, sql: &str, shape: &[Kind], mut rows: Rows) -> Result<(), Wrong> {
    let mut statement = connection.prepare(sql)?;
    if !statement.readonly() {
        return Err(Wrong::Writes);
    }
    let count = statement.column_count();
    let mut found = statement.query([])?;
    while let Some(row) = found.next()? {
        let cell = |index: usize| Ok(cell(row.get_ref(index)?, shape.get(index).copied().unwrap_or(Kind::Any)));
        if !rows.push_blocking((0..count).map(cell).collect::<Result<_, rusqlite::Error>>()?) {
            return Ok(());
        }
    }
    rows.finish_blocking();
    Ok(())
}

/// A value: what it is, whatever its column was declared as.
fn cell(value: ValueRef<'_>, kind: Kind) -> Cell {
    match value {
        ValueRef::Null => Cell::Null,
        ValueRef::Integer(number) if kind == Kind::Text => Cell::Text(number.to_string()),
        ValueRef::Integer(number) => Cell::Integer(number),
        ValueRef::Real(number) if kind == Kind::Text => Cell::Text(number.to_string()),
        ValueRef::Real(number) => Cell::Float(number),
        ValueRef::Text(text) => match std::str::from_utf8(text) {
            Ok(text) => Cell::Text(text.to_owned()),
            Err(_) => Cell::Bytes(text.to_vec()),
        },
        ValueRef::Blob(bytes) => Cell::Bytes(bytes.to_vec()),
    }
}

impl fmt::Debug for Sqlite {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.place())
    }
}

#[async_trait]
impl Database for Sqlite {
    fn name(&self) -> &str {
        &self.name
    }

    fn place(&self) -> String {
        format!("SQLite at {}", self.path.display())
    }

    fn is_file(&self) -> bool {
        true
    }

    fn quote(&self, name: &str) -> String {
        format!("\"{}\"", name.replace('"', "\"\""))
    }

    fn value(&self, column: &Column) -> String {
        self.column(&column.name)
    }

    fn literal(&self, cell: &Cell, _: &Column) -> String {
        match cell {
            Cell::Null => "NULL".to_owned(),
            Cell::Integer(i64::MIN) => "(-9223372036854775807 - 1)".to_owned(),
            Cell::Integer(number) => number.to_string(),
            Cell::Float(number) if number.is_infinite() => format!("{}9e999", if *number < 0.0 { "-" } else { "" }),
            // Shortest digits that mean this very number, and a sign that it is one with a point.
            Cell::Float(number) => format!("{number:e}"),
            // A NUL would be the end of the statement. (A CAST of bytes would be read in the file's encoding, which may be UTF-16, and
            // would turn the other side of a comparison into text, too.)
            Cell::Text(text) => {
                let parts: Vec<String> = text.split('\0').map(|part| format!("'{}'", part.replace('\'', "''"))).collect();
                if parts.len() == 1 { parts.concat() } else { format!("({})", parts.join(" || char(0) || ")) }
            }
            Cell::Bytes(bytes) => format!("x'{}'", hex(bytes)),
        }
    }

    fn one_of(&self, key: &[Column], keys: &[&[Cell]]) -> String {
        let columns: Vec<String> = key.iter().map(|column| self.column(&column.name)).collect();
        let keys: Vec<String> = keys.iter().map(|cells| self.tuple_of(key, cells)).collect();
        match columns.as_slice() {
            [one] => format!("{one} IN ({})", keys.join(", ")),
            _ => format!("({}) IN (VALUES {})", columns.join(", "), keys.join(", ")),
        }
    }

    fn digest(&self, _: &[Column]) -> Option<String> {
        None
    }

    fn clock(&self) -> &'static str {
        "strftime('%Y-%m-%d %H:%M:%f', 'now')"
    }

    async fn columns(&self, relation: &Relation) -> Result<Vec<Column>, SqlError> {
        let sql = format!("SELECT * FROM {}", relation.named());
        let statement = Statement { sql: &sql, relation };
        let (prepared, alone) = (sql.clone(), relation.written.clone());
        let described = self.with(move |connection| {
            let described = || -> Result<Vec<(String, Option<String>)>, Wrong> {
                // Alone, no bracket in it ends ours.
                if let Some(query) = &alone
                    && !connection.prepare(query)?.readonly()
                {
                    return Err(Wrong::Writes);
                }
                let statement = connection.prepare(&prepared)?;
                if !statement.readonly() {
                    return Err(Wrong::Writes);
                }
                let columns = statement.columns();
                Ok(columns.iter().map(|column| (column.name().to_owned(), column.decl_type().map(str::to_owned))).collect())
            };
            Ok(described())
        });
        let described = described.await?.map_err(|wrong| self.explain(wrong, Some(&statement)))?;
        let column = |(name, declared): (String, Option<String>)| {
            let declared = declared.unwrap_or_default().to_ascii_lowercase();
            let kind = match declared.as_str() {
                "bool" | "boolean" => Kind::Bool,
                "blob" => Kind::Bytes,
                _ => Kind::Any,
            };
            Column { name, kind, ordered: true }
        };
        Ok(described.into_iter().map(column).collect())
    }

    async fn query(&self, statement: &Statement<'_>, shape: &[Kind], rows: Rows) -> Result<(), SqlError> {
        let (sql, shape) = (statement.sql.to_owned(), shape.to_vec());
        self.with(move |connection| run(connection, &sql, &shape, rows)).await
    }

    async fn pages_well(&self, page: &Statement<'_>, _: usize, _: &Statement<'_>) -> Result<bool, SqlError> {
        let plan = self.all(format!("EXPLAIN QUERY PLAN {}", page.sql), Vec::new()).await?;
        let steps: Vec<String> = plan.iter().filter_map(|row| row.last()?.text().map(String::from)).collect();
        let seeks = steps.first().is_some_and(|step| step.starts_with("SEARCH"));
        let whole = ["USE TEMP B-TREE", "MATERIALIZE", "CO-ROUTINE", "SCAN"];
        Ok(seeks && !steps.iter().any(|step| whole.iter().any(|word| step.starts_with(word))))
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a failing test may panic")]
mod tests {
    use super::*;

    #[test]
    fn addresses() {
        let path =
            |url: &str| Sqlite::new(url, Path::new("/p"), Duration::from_secs(1)).map(|sqlite| (sqlite.path, sqlite.name));
        for (url, expected, name) in [
            ("sqlite:shop.db", "/p/shop.db", "shop"),
            ("sqlite:./a/商店.sqlite3", "/p/./a/商店.sqlite3", "商店"),
            ("sqlite:///srv/shop.db", "/srv/shop.db", "shop"),
            ("sqlite:/srv/a%20b.db?mode=ro", "/srv/a b.db", "a b"),
            ("sqlite://shop.db", "/p/shop.db", "shop"),
        ] {
            assert_eq!(path(url).unwrap(), (PathBuf::from(expected), name.to_owned()), "{url}");
        }
        for url in ["sqlite:", "sqlite::memory:", "sqlite:a.db?mode=rwc", "sqlite:%zz"] {
            assert!(path(url).is_err(), "{url}");
        }
    }
}
