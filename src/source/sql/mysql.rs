//! `MySQL` and `MariaDB`.
//!
//! Values come by the text protocol: what the server itself writes of them. What a session has to say of forms and limits is set
//! where a connection is made; each statement is a transaction of its own.

use std::fmt;
use std::path::Path;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use async_trait::async_trait;
use mysql_async::consts::{ColumnFlags, ColumnType};
use mysql_async::prelude::Queryable as _;
use mysql_async::{Conn, DriverError, Error, IoError, Opts, OptsBuilder, ServerError, SslOpts, Value};
use url::Url;

use super::cell::{Cell, Column, Kind, Row, hex};
use super::database::{Database, Relation, Statement};
use super::error::SqlError;
use super::rows::{Rows, gathered, rows};
use super::tls::{cause, hint, roots};
use super::url::{TlsMode, TlsTerms, UrlProblem, is_local, without_tls};
use crate::error::reason;

/// How long a connection may take.
const CONNECT: Duration = Duration::from_secs(10);
/// How long a lock is waited for.
const LOCK: Duration = Duration::from_secs(15);
/// An answer that has not ended so long after the server's own limit will not come.
const GRACE: Duration = Duration::from_secs(30);
/// The character set of bytes that are none.
const BINARY: u16 = 63;

/// A database of `MySQL` or `MariaDB`.
pub(super) struct MySql {
    options: Opts,
    tls: TlsTerms,
    mode: TlsMode,
    name: String,
    place: String,
    timeout: Duration,
    idle: Mutex<Vec<Conn>>,
}

impl MySql {
    /// The database of an address.
    pub fn new(url: &str, base: &Path, timeout: Duration) -> Result<Self, UrlProblem> {
        const LOOKS: &str = "mysql://user:password@host:3306/database";
        let (url, tls) = without_tls(url, base)?;
        let rest = url.split_once("://").map_or("", |(_, rest)| rest);
        let options = Opts::from_url(&format!("mysql://{rest}")).map_err(|error| match error {
            mysql_async::UrlError::UnknownParameter { param } if param.chars().all(|c| c.is_ascii_lowercase() || c == '_') => {
                UrlProblem::new(format!("`{param}` is not known"))
            }
            _ => UrlProblem::new("is no address of a MySQL database")
                .hint(format!("{LOOKS}; in a password, write %40 for @, %2F for /, %3A for :, %25 for %")),
        })?;
        let name = options.db_name().unwrap_or_default().to_owned();
        if name.is_empty() {
            return Err(UrlProblem::new("names no database").hint(LOOKS));
        }
        let (host, port) = (options.ip_or_hostname().to_owned(), options.tcp_port());
        // An address without a host is a socket's, or this machine's.
        let local = options.socket().is_some() || is_local(&host) || Url::parse(&url).is_ok_and(|url| url.host().is_none());
        let place = match options.socket() {
            Some(socket) => format!("MySQL at {socket}"),
            None => format!("MySQL at {host}:{port}"),
        };
        Ok(Self { mode: tls.mode(local), tls, options, name, place, timeout, idle: Mutex::default() })
    }

    async fn connection(&self) -> Result<Conn, SqlError> {
        let known = self.idle.lock().unwrap_or_else(PoisonError::into_inner).pop();
        if let Some(connection) = known {
            return Ok(connection);
        }
        let encrypted = match self.mode {
            TlsMode::Off => None,
            TlsMode::Preferred | TlsMode::Required => {
                let (file, own) = (self.tls.roots.clone(), self.tls.roots.is_some());
                let trusted = tokio::task::spawn_blocking(move || roots(file.as_deref())).await;
                let trusted = trusted.map_err(|broken| SqlError::new(broken.to_string()))??;
                let trusted = trusted.into_iter().map(|certificate| certificate.to_vec().into()).collect();
                Some(SslOpts::default().with_root_certs(trusted).with_disable_built_in_roots(own))
            }
        };
        // The process's own, where a program has several to choose from.
        let _ = rustls::crypto::ring::default_provider().install_default();
        let connected = match self.connect(encrypted).await {
            Err(Error::Driver(DriverError::NoClientSslFlagFromServer)) if self.mode == TlsMode::Preferred => {
                self.connect(None).await
            }
            connected => connected,
        };
        let mut connection = connected.map_err(|error| self.explain(&error))?;
        let seconds = self.timeout.as_secs_f64().max(0.001);
        let limit = if connection.server_version() >= (10, 0, 0) {
            format!("max_statement_time = {seconds:.3}")
        } else {
            format!("max_execution_time = {}", self.timeout.as_millis().max(1))
        };
        let lock = LOCK.min(self.timeout).as_secs().max(1);
        let settings = format!(
            "SET NAMES utf8mb4; SET SESSION time_zone = '+00:00', lock_wait_timeout = {lock}, innodb_lock_wait_timeout = {lock}; \
             SET SESSION TRANSACTION READ ONLY; SET SESSION {limit}; SET SESSION sql_select_limit = {}",
            u64::MAX
        );
        for setting in settings.split("; ") {
            connection.query_drop(setting).await.map_err(|error| self.explain(&error))?;
        }
        Ok(connection)
    }

    /// What becomes of a connection after an error. Where one broke, those that were not used for longer have broken, too: the server
    /// was away, or had waited for long enough.
    fn after(&self, error: &Error, connection: Conn) {
        let mut idle = self.idle.lock().unwrap_or_else(PoisonError::into_inner);
        if matches!(error, Error::Server(_)) { idle.push(connection) } else { idle.clear() }
    }

    async fn connect(&self, encrypted: Option<SslOpts>) -> Result<Conn, Error> {
        let options = OptsBuilder::from_opts(self.options.clone())
            .ssl_opts(encrypted)
            // Over the socket of the server there would be no TLS, and another host's name.
            .prefer_socket(false)
            .stmt_cache_size(0);
        match tokio::time::timeout(CONNECT, Conn::new(options)).await {
            Ok(connected) => connected,
            Err(_) => Err(Error::Io(IoError::Io(std::io::Error::new(std::io::ErrorKind::TimedOut, "no answer within 10 s")))),
        }
    }

    /// Runs a statement and passes its rows on. The connection is used again, unless the answer was not read to its end.
    async fn run(&self, sql: &str, shape: &[Kind], rows: &mut Rows) -> Result<(), SqlError> {
        let mut connection = self.connection().await?;
        let reading = async {
            let mut answer = connection.query_iter(sql).await?;
            while let Some(row) = answer.next().await? {
                let cells = row.unwrap_raw().into_iter().enumerate();
                let cells = cells.map(|(index, value)| cell(value.unwrap_or(Value::NULL), shape.get(index).copied()));
                if !rows.push(cells.collect()).await {
                    return Ok(false);
                }
            }
            drop(answer);
            Ok(true)
        };
        match tokio::time::timeout(self.timeout + GRACE, reading).await {
            Ok(Ok(true)) => {
                self.idle.lock().unwrap_or_else(PoisonError::into_inner).push(connection);
                Ok(())
            }
            Ok(Ok(false)) => Ok(()),
            Ok(Err(error)) => {
                let error: Error = error;
                let told = self.explain(&error);
                self.after(&error, connection);
                Err(told)
            }
            Err(_) => Err(SqlError::transient(format!("{} does not answer any more", self.place))),
        }
    }

    fn explain(&self, error: &Error) -> SqlError {
        if let Some(tls) = cause(error) {
            return SqlError::new(format!("{} cannot be trusted: {tls}", self.place)).hint(hint(tls));
        }
        match error {
            Error::Server(told) => self.explain_server(told),
            Error::Driver(DriverError::NoClientSslFlagFromServer) => {
                let error = SqlError::new(format!("{} does not support TLS", self.place));
                error.hint("where the network is trusted, `?sslmode=disable` leaves encryption out")
            }
            Error::Driver(DriverError::ConnectionClosed | DriverError::PacketOutOfOrder) => {
                SqlError::transient(format!("{}: the connection broke", self.place))
            }
            Error::Io(io) => {
                let why = match io {
                    IoError::Io(io) => io.to_string(),
                    IoError::Tls(tls) => reason(tls),
                };
                let message = format!("{}: {why}", self.place);
                if why.contains("lookup") {
                    return SqlError::new(message).hint("there is no host of this name");
                }
                match io {
                    IoError::Io(io) if io.kind() == std::io::ErrorKind::ConnectionRefused => {
                        SqlError::transient(message).hint("is the server running, and is this its port?")
                    }
                    IoError::Io(_) => SqlError::transient(message),
                    IoError::Tls(_) => SqlError::new(message),
                }
            }
            other => SqlError::new(format!("{}: {}", self.place, reason(other))),
        }
    }

    fn explain_server(&self, told: &ServerError) -> SqlError {
        let message = format!("{}: {}", self.place, told.message);
        match told.code {
            1045 | 1698 => {
                SqlError::new(message).hint("the user and the password stand in `url`: mysql://user:password@host/database")
            }
            1044 | 1142 | 1143 => SqlError::new(message).hint("the user needs SELECT, and nothing more"),
            1049 => SqlError::new(message).hint("the database's name stands at the end of `url`"),
            1064 => SqlError::new(message).hint("`query` is one SELECT"),
            1146 => SqlError::new(message).hint("a table of another database is written `database.table`"),
            1792 => SqlError::new(message).hint("a query reads; it cannot write"),
            1969 | 3024 => {
                let hint = "an index on the key makes pages cheap; `timeout` allows more";
                SqlError::new(format!("{message} ({} s)", self.timeout.as_secs_f64())).hint(hint)
            }
            // Too many connections, locks, shutdowns, kills.
            1040 | 1053 | 1077 | 1079 | 1203 | 1205 | 1213 | 1927 | 2006 | 2013 => SqlError::transient(message),
            // A value that is out of range, a subquery that has two rows of one, what a function of the user's own signals.
            _ if ["21", "22", "45"].iter().any(|class| told.state.starts_with(class)) => SqlError::new(message).of_data(),
            _ => SqlError::new(message),
        }
    }

    async fn all(&self, sql: &str) -> Result<Vec<Row>, SqlError> {
        let (mut sink, coming) = rows();
        let run = async {
            let asked = self.run(sql, &[], &mut sink).await;
            sink.finish().await;
            asked
        };
        let (asked, all) = tokio::join!(run, gathered(coming));
        asked.map(|()| all)
    }
}

fn cell(value: Value, kind: Option<Kind>) -> Cell {
    match value {
        Value::NULL => Cell::Null,
        Value::Bytes(bytes) if kind == Some(Kind::Bytes) => Cell::Bytes(bytes),
        Value::Bytes(bytes) => match String::from_utf8(bytes) {
            Ok(text) => Cell::Text(text),
            Err(error) => Cell::Bytes(error.into_bytes()),
        },
        // The text protocol has bytes alone.
        other => Cell::Text(other.as_sql(true)),
    }
}

impl fmt::Debug for MySql {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.place)
    }
}

#[async_trait]
impl Database for MySql {
    fn name(&self) -> &str {
        &self.name
    }

    fn place(&self) -> String {
        self.place.clone()
    }

    fn quote(&self, name: &str) -> String {
        format!("`{}`", name.replace('`', "``"))
    }

    fn value(&self, column: &Column) -> String {
        let name = self.column(&column.name);
        // Bits are bytes otherwise.
        if column.kind == Kind::Bits { format!("CAST({name} AS UNSIGNED)") } else { name }
    }

    fn literal(&self, cell: &Cell, column: &Column) -> String {
        let text = match cell {
            Cell::Null => return "NULL".to_owned(),
            Cell::Integer(number) => return number.to_string(),
            Cell::Float(number) => return format!("{number:e}"),
            Cell::Bytes(bytes) => return if bytes.is_empty() { "''".to_owned() } else { format!("x'{}'", hex(bytes)) },
            Cell::Text(text) => text,
        };
        let number = |c: char| c.is_ascii_digit() || matches!(c, '-' | '+' | '.' | 'e' | 'E');
        let is_number = !text.is_empty() && text.chars().all(number);
        match column.kind {
            // Beside a text a number would be compared as a floating-point one.
            Kind::Bool | Kind::Integer | Kind::Bits | Kind::Decimal | Kind::Float if is_number => text.clone(),
            _ if text.is_empty() => "''".to_owned(),
            // In digits, since what a backslash means is a matter of settings.
            _ => format!("_utf8mb4 x'{}'", hex(text.as_bytes())),
        }
    }

    fn digest(&self, columns: &[Column]) -> Option<String> {
        let part = |column: &Column| {
            let name = self.value(column);
            let value = if column.kind == Kind::Bytes { format!("HEX({name})") } else { name };
            // With its length, so that none can be taken for another's part.
            // Of what is too large for one packet a CONCAT is NULL, and so is the hash, which proves nothing then.
            format!("IF({value} IS NULL, 'N', CONCAT(LENGTH({value}), ':', {value}))")
        };
        let parts: Vec<String> = columns.iter().map(part).collect();
        Some(format!("MD5(CONCAT({}))", parts.join(", ")))
    }

    fn clock(&self) -> &'static str {
        "NOW(6)"
    }

    // Row constructors are not looked up by an index.
    fn not_before(&self, key: &[Column], cells: &[Cell]) -> String {
        let parts: Vec<(String, String)> =
            key.iter().zip(cells).map(|(column, cell)| (self.column(&column.name), self.literal(cell, column))).collect();
        let mut condition = String::new();
        for (index, (name, literal)) in parts.iter().enumerate().rev() {
            condition = if index + 1 == parts.len() {
                format!("{name} >= {literal}")
            } else {
                format!("{name} >= {literal} AND ({name} > {literal} OR ({condition}))")
            };
        }
        condition
    }

    // MariaDB (10.11) finds no row by a list of several row constructors where a column is to be converted: one that is not in UTF-8.
    // Written out, the same index is used.
    fn one_of(&self, key: &[Column], keys: &[&[Cell]]) -> String {
        if let [column] = key {
            let keys: Vec<String> = keys.iter().map(|cells| self.tuple_of(key, cells)).collect();
            return format!("{} IN ({})", self.column(&column.name), keys.join(", "));
        }
        let one = |cells: &&[Cell]| {
            let parts = key.iter().zip(*cells);
            let parts = parts.map(|(column, cell)| format!("{} = {}", self.column(&column.name), self.literal(cell, column)));
            format!("({})", parts.collect::<Vec<_>>().join(" AND "))
        };
        keys.iter().map(one).collect::<Vec<_>>().join(" OR ")
    }

    async fn columns(&self, relation: &Relation) -> Result<Vec<Column>, SqlError> {
        let sql = format!("SELECT * FROM {} LIMIT 0", relation.named());
        let mut connection = self.connection().await?;
        let describing = async {
            // Prepared, it can be one statement only; alone, no bracket in it ends ours.
            if let Some(query) = &relation.written {
                let alone = connection.prep(query.as_str()).await?;
                connection.close(alone).await?;
            }
            let statement = connection.prep(sql.as_str()).await?;
            let columns = statement.columns().to_vec();
            connection.close(statement).await?;
            Ok(columns)
        };
        let Ok(described) = tokio::time::timeout(self.timeout + GRACE, describing).await else {
            return Err(SqlError::transient(format!("{} does not answer any more", self.place)));
        };
        let described: Vec<mysql_async::Column> = match described {
            Ok(described) => described,
            Err(error) => {
                let told = self.explain(&error);
                self.after(&error, connection);
                return Err(told);
            }
        };
        let column = |column: &mysql_async::Column| {
            let longest = column.column_length() == u32::MAX;
            let (kind, ordered) = kind(column.column_type(), column.flags(), column.character_set(), longest);
            Column { name: column.name_str().into_owned(), kind, ordered }
        };
        let columns = described.iter().map(column).collect();
        self.idle.lock().unwrap_or_else(PoisonError::into_inner).push(connection);
        Ok(columns)
    }

    async fn query(&self, statement: &Statement<'_>, shape: &[Kind], mut rows: Rows) -> Result<(), SqlError> {
        self.run(statement.sql, shape, &mut rows).await?;
        rows.finish().await;
        Ok(())
    }

    async fn pages_well(&self, page: &Statement<'_>, _: usize, _: &Statement<'_>) -> Result<bool, SqlError> {
        let plan = self.all(&format!("EXPLAIN {}", page.sql)).await?;
        // The columns' numbers differ between the two; their words do not.
        let text = |row: &Row| row.iter().filter_map(Cell::text).map(|text| text.to_lowercase()).collect::<Vec<_>>();
        let steps: Vec<Vec<String>> = plan.iter().map(text).collect();
        let has = |step: &[String], words: &[&str]| step.iter().any(|cell| words.iter().any(|word| cell.contains(word)));
        let seeks = steps
            .first()
            .is_some_and(|step| step.iter().any(|cell| matches!(cell.as_str(), "range" | "ref" | "const" | "index")));
        Ok(seeks && !steps.iter().any(|step| has(step, &["filesort", "temporary", "<derived", "materialized"])))
    }
}

/// What a column holds, and whether `ORDER BY` goes by the same order as `>=`. `longest`: it is a `longtext`.
fn kind(column: ColumnType, flags: ColumnFlags, charset: u16, longest: bool) -> (Kind, bool) {
    use ColumnType as T;
    let binary = charset == BINARY;
    match column {
        // Ordered by number, compared by name.
        _ if flags.intersects(ColumnFlags::ENUM_FLAG | ColumnFlags::SET_FLAG) => (Kind::Text, false),
        T::MYSQL_TYPE_TINY
        | T::MYSQL_TYPE_SHORT
        | T::MYSQL_TYPE_INT24
        | T::MYSQL_TYPE_LONG
        | T::MYSQL_TYPE_LONGLONG
        | T::MYSQL_TYPE_YEAR => (Kind::Integer, true),
        T::MYSQL_TYPE_DECIMAL | T::MYSQL_TYPE_NEWDECIMAL => (Kind::Decimal, true),
        T::MYSQL_TYPE_FLOAT => (Kind::Float, false),
        T::MYSQL_TYPE_DOUBLE => (Kind::Float, true),
        T::MYSQL_TYPE_BIT => (Kind::Bits, true),
        T::MYSQL_TYPE_GEOMETRY => (Kind::Bytes, true),
        T::MYSQL_TYPE_JSON => (Kind::Json, false),
        T::MYSQL_TYPE_STRING
        | T::MYSQL_TYPE_VAR_STRING
        | T::MYSQL_TYPE_VARCHAR
        | T::MYSQL_TYPE_BLOB
        | T::MYSQL_TYPE_TINY_BLOB
        | T::MYSQL_TYPE_MEDIUM_BLOB
        | T::MYSQL_TYPE_LONG_BLOB
            if binary =>
        {
            (Kind::Bytes, true)
        }
        // What MariaDB makes of `json`.
        T::MYSQL_TYPE_BLOB | T::MYSQL_TYPE_LONG_BLOB if longest => (Kind::Json, true),
        _ => (Kind::Text, true),
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a failing test may panic")]
mod tests {
    use super::*;

    fn open(url: &str) -> Result<MySql, UrlProblem> {
        MySql::new(url, Path::new("/p"), Duration::from_secs(5))
    }

    #[test]
    fn addresses() {
        for (url, name, place, mode) in [
            ("mysql://u:p%40ss@db.example/shop", "shop", "MySQL at db.example:3306", TlsMode::Preferred),
            ("mariadb://u@localhost:3307/%E5%95%86", "商", "MySQL at localhost:3307", TlsMode::Off),
            ("mysql://u@h/shop?sslmode=require", "shop", "MySQL at h:3306", TlsMode::Required),
        ] {
            let database = open(url).unwrap();
            assert_eq!((database.name(), database.place().as_str(), database.mode), (name, place, mode), "{url}");
        }
        for url in ["mysql://u:secret@h", "mysql://u:sec/ret@h/x", "mysql://u:secret@h/x?secret=1"] {
            let told = format!("{:?}", open(url).unwrap_err());
            assert!(!told.contains("sec/") && !told.contains("secret@"), "{told}");
        }
    }

    #[test]
    fn a_key_is_compared_part_by_part() {
        let column = |name: &str, kind| Column { name: name.into(), kind, ordered: true };
        let key = [column("a", Kind::Integer), column("b", Kind::Text)];
        let cells = [Cell::Text("9007199254740993".into()), Cell::Text("é'".into())];
        let condition = open("mysql://h/x").unwrap().not_before(&key, &cells);
        assert_eq!(condition, "q.`a` >= 9007199254740993 AND (q.`a` > 9007199254740993 OR (q.`b` >= _utf8mb4 x'c3a927'))");
    }

    #[test]
    fn keys_of_several_columns_are_written_out() {
        let column = |name: &str, kind| Column { name: name.into(), kind, ordered: true };
        let key = [column("a", Kind::Integer), column("b", Kind::Text)];
        let database = open("mysql://h/x").unwrap();
        let cells = |n: &str, text: &str| vec![Cell::Text(n.into()), Cell::Text(text.into())];
        let (one, other) = (cells("1", "é"), cells("2", ""));
        let wanted = database.one_of(&key, &[&one, &other]);
        assert_eq!(wanted, "(q.`a` = 1 AND q.`b` = _utf8mb4 x'c3a9') OR (q.`a` = 2 AND q.`b` = '')");
        let (one, other) = ([Cell::Text("1".into())], [Cell::Text("2".into())]);
        assert_eq!(database.one_of(&key[..1], &[&one, &other]), "q.`a` IN (1, 2)");
    }
}
