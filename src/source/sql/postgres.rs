//! Postgres, also behind a pgbouncer that gives each transaction another connection.
//!
//! Everything travels by the simple protocol: a transaction is one message, and values come as text, whatever their types. The
//! session is not touched: what a statement needs is `SET LOCAL`, since a connection behind a pooler is somebody else's next.

mod address;
mod session;
mod tls;

use std::fmt;
use std::path::Path;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use async_trait::async_trait;
use futures_util::StreamExt as _;
use serde_json::Value as Json;
use tokio_postgres::SimpleQueryMessage;

pub(crate) use self::address::Address;
pub(crate) use self::session::{Failed, Session};
use super::cell::{Cell, Column, Kind, Row, hex, unhex};
use super::database::{Database, Relation, Statement};
use super::error::SqlError;
use super::rows::{Rows, gathered, rows};
use super::url::UrlProblem;

/// How long a lock is waited for: reading waits for those alone that change a table's columns.
const LOCK: Duration = Duration::from_secs(15);
/// An answer that has not ended so long after the server's own limit will not come.
const GRACE: Duration = Duration::from_secs(30);
/// What a walk in pages may cost beside one in one piece, by the planner's word,
const DEARER: f64 = 4.0;
/// or what one page may: more, and pages do not find their beginning by an index.
const PART: f64 = 0.5;

/// A Postgres database.
pub(super) struct Postgres {
    address: Address,
    timeout: Duration,
    settings: String,
    idle: Mutex<Vec<Session>>,
}

impl Postgres {
    /// The database of an address.
    pub fn new(url: &str, base: &Path, timeout: Duration) -> Result<Self, UrlProblem> {
        let address = Address::new(url, base)?;
        let lock = LOCK.min(timeout);
        let settings = format!(
            "BEGIN TRANSACTION READ ONLY; SET LOCAL statement_timeout = {}; SET LOCAL lock_timeout = {}; \
             SET LOCAL TimeZone = 'UTC'; SET LOCAL DateStyle = 'ISO, MDY'; SET LOCAL IntervalStyle = 'iso_8601'; \
             SET LOCAL bytea_output = 'hex'; SET LOCAL extra_float_digits = 1; SET LOCAL lc_monetary = 'C'; ",
            timeout.as_millis(),
            lock.as_millis()
        );
        Ok(Self { address, timeout, settings, idle: Mutex::default() })
    }

    /// A connection: one that was used before, or a new one.
    async fn session(&self) -> Result<Session, SqlError> {
        let known = self.idle.lock().unwrap_or_else(PoisonError::into_inner).pop();
        match known.filter(Session::is_open) {
            Some(session) => Ok(session),
            None => Session::open(&self.address).await.map_err(|error| error.explain(self.place(), None, self.timeout)),
        }
    }

    fn place(&self) -> &str {
        &self.address.place
    }

    /// Whoever is done with a transaction gives the connection back.
    fn give_back(&self, session: Session) {
        self.idle.lock().unwrap_or_else(PoisonError::into_inner).push(session);
    }

    /// Runs a statement as a transaction of its own; the columns' names.
    async fn run(&self, statement: &Statement<'_>, shape: Option<&[Kind]>, rows: &mut Rows) -> Result<Vec<String>, SqlError> {
        let session = self.session().await?;
        let sent = format!("{}{}; COMMIT", self.settings, statement.sql);
        let place = |character: usize| statement.place(&sent, character);
        let answered = tokio::time::timeout(self.timeout + GRACE, receive(&session, &sent, shape, rows)).await;
        match answered {
            Ok(Ok(Some(names))) => {
                self.give_back(session);
                Ok(names)
            }
            // Nobody wants more: what is still to come ends with the connection.
            Ok(Ok(None)) => Ok(Vec::new()),
            Ok(Err(error)) => {
                let error = session.failed(error).await.explain(self.place(), Some(&place), self.timeout);
                if session.roll_back().await {
                    self.give_back(session);
                }
                Err(error)
            }
            Err(_) => Err(SqlError::transient(format!("{} does not answer any more", self.place()))),
        }
    }

    /// [`Self::run`], where all of a small answer is wanted.
    async fn all(&self, statement: &Statement<'_>, shape: Option<&[Kind]>) -> Result<(Vec<String>, Vec<Row>), SqlError> {
        let (mut sink, coming) = rows();
        let run = async {
            let names = self.run(statement, shape, &mut sink).await;
            sink.finish().await;
            names
        };
        let (names, rows) = tokio::join!(run, gathered(coming));
        Ok((names?, rows))
    }

    async fn explain(&self, statement: &Statement<'_>) -> Result<(f64, f64), SqlError> {
        let sql = format!("EXPLAIN (FORMAT JSON) {}", statement.sql);
        let (_, rows) = self.all(&Statement { sql: &sql, ..*statement }, None).await?;
        let text = rows.first().and_then(|row| row.first()).and_then(Cell::text).unwrap_or_default().into_owned();
        let plan: Json = serde_json::from_str(&text).unwrap_or_default();
        let number = |key: &str| plan.pointer(&format!("/0/Plan/{key}")).and_then(Json::as_f64);
        number("Total Cost")
            .zip(number("Plan Rows"))
            .ok_or_else(|| SqlError::new(format!("{} explains no statement", self.place())))
    }
}

/// Sends a transaction and passes its rows on. `None`: nobody wanted more.
async fn receive(
    session: &Session,
    sent: &str,
    shape: Option<&[Kind]>,
    rows: &mut Rows,
) -> Result<Option<Vec<String>>, tokio_postgres::Error> {
    let mut answer = std::pin::pin!(session.client.simple_query_raw(sent).await?);
    let mut names = None;
    while let Some(message) = answer.next().await {
        match message? {
            SimpleQueryMessage::RowDescription(columns) => {
                names = Some(columns.iter().map(|column| column.name().to_owned()).collect::<Vec<_>>());
            }
            SimpleQueryMessage::Row(row) => {
                let cell = |index: usize| {
                    let kind = shape.and_then(|shape| shape.get(index));
                    // An error where what the server sent is no UTF-8, which was agreed upon.
                    Ok(match (row.try_get(index)?, kind) {
                        (None, _) => Cell::Null,
                        (Some(text), Some(Kind::Bytes)) => unhex(text).map_or_else(|| Cell::Text(text.to_owned()), Cell::Bytes),
                        (Some(text), _) => Cell::Text(text.to_owned()),
                    })
                };
                let cells = (0..row.len()).map(cell).collect::<Result<Row, tokio_postgres::Error>>()?;
                if !rows.push(cells).await {
                    return Ok(None);
                }
            }
            _ => {}
        }
    }
    Ok(Some(names.unwrap_or_default()))
}

impl fmt::Debug for Postgres {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.place())
    }
}

#[async_trait]
impl Database for Postgres {
    fn name(&self) -> &str {
        &self.address.name
    }

    fn place(&self) -> String {
        self.address.place.clone()
    }

    fn quote(&self, name: &str) -> String {
        format!("\"{}\"", name.replace('"', "\"\""))
    }

    fn value(&self, column: &Column) -> String {
        let name = self.column(&column.name);
        if column.kind == Kind::Bytes { format!("encode({name}, 'hex')") } else { format!("{name}::text") }
    }

    fn literal(&self, cell: &Cell, _: &Column) -> String {
        match cell {
            // Its type is the column's.
            Cell::Text(text) => quoted(text),
            Cell::Bytes(bytes) => quoted(&format!("\\x{}", hex(bytes))),
            Cell::Integer(number) => quoted(&number.to_string()),
            Cell::Float(number) => quoted(&number.to_string()),
            Cell::Null => "NULL".to_owned(),
        }
    }

    fn digest(&self, columns: &[Column]) -> Option<String> {
        let columns: Vec<String> = columns.iter().map(|column| self.column(&column.name)).collect();
        Some(format!("hashtextextended(ROW({})::text COLLATE \"C\", 0)::text", columns.join(", ")))
    }

    fn clock(&self) -> &'static str {
        "now()::text"
    }

    async fn columns(&self, relation: &Relation) -> Result<Vec<Column>, SqlError> {
        if let Some(query) = &relation.written {
            // Alone, so that no bracket in it ends ours.
            let sql = format!("EXPLAIN (COSTS OFF) {query}");
            self.all(&Statement { sql: &sql, relation }, None).await?;
        }
        let sql = format!("SELECT * FROM {} LIMIT 0", relation.named());
        let (names, _) = self.all(&Statement { sql: &sql, relation }, None).await?;
        // A join that finds nothing tells the types and runs nothing. A name that is there twice would be ambiguous.
        let unique = |name: &&String| names.iter().filter(|other| other == name).count() == 1;
        let typed: Vec<&String> = names.iter().filter(unique).collect();
        let types: Vec<String> = typed.iter().map(|name| format!("pg_typeof({})::oid", self.column(name))).collect();
        let sql = format!(
            "SELECT (SELECT coalesce(b.typname, t.typname) FROM pg_catalog.pg_type t LEFT JOIN pg_catalog.pg_type b ON b.oid = t.typbasetype \
             WHERE t.oid = c.type)::text FROM (SELECT ARRAY[{}]::oid[] AS types FROM (SELECT 1) AS one LEFT JOIN {} ON false) AS found, \
             LATERAL unnest(found.types) WITH ORDINALITY AS c(type, at) ORDER BY c.at",
            types.join(", "),
            relation.named()
        );
        let statement = Statement { sql: &sql, relation };
        // By the extended protocol, which takes one statement and no more.
        let session = self.session().await?;
        let place = |character: usize| statement.place(&sql, character);
        let answered = tokio::time::timeout(self.timeout + GRACE, session.client.query_typed(&sql, &[])).await;
        let answered = answered.map_err(|_| SqlError::transient(format!("{} does not answer any more", self.place())))?;
        let found = match answered {
            Ok(rows) => rows,
            Err(error) => {
                return Err(session.failed(error).await.explain(self.place(), Some(&place), self.timeout));
            }
        };
        self.give_back(session);
        let kinds: Vec<Kind> = found.iter().map(|row| row.try_get::<_, &str>(0).map_or(Kind::Text, kind)).collect();
        let kind = |name: &String| typed.iter().position(|typed| *typed == name).and_then(|at| kinds.get(at)).copied();
        Ok(names
            .iter()
            .map(|name| Column { name: name.clone(), kind: kind(name).unwrap_or(Kind::Text), ordered: true })
            .collect())
    }

    async fn query(&self, statement: &Statement<'_>, shape: &[Kind], mut rows: Rows) -> Result<(), SqlError> {
        self.run(statement, Some(shape), &mut rows).await?;
        rows.finish().await;
        Ok(())
    }

    async fn pages_well(&self, page: &Statement<'_>, rows: usize, all: &Statement<'_>) -> Result<bool, SqlError> {
        let ((page, _), (all, count)) = (self.explain(page).await?, self.explain(all).await?);
        Ok(page <= PART * all || page * (count / rows as f64).max(1.0) <= DEARER * all)
    }
}

/// A literal that means the same under every setting of the session.
fn quoted(text: &str) -> String {
    format!("E'{}'", text.replace('\\', "\\\\").replace('\'', "''"))
}

fn kind(type_name: &str) -> Kind {
    match type_name {
        "bool" => Kind::Bool,
        "int2" | "int4" | "int8" | "oid" => Kind::Integer,
        "numeric" => Kind::Decimal,
        "float4" | "float8" => Kind::Float,
        "bytea" => Kind::Bytes,
        "json" | "jsonb" => Kind::Json,
        "_bool" => Kind::List(&Kind::Bool),
        "_int2" | "_int4" | "_int8" | "_oid" => Kind::List(&Kind::Integer),
        "_numeric" => Kind::List(&Kind::Decimal),
        "_float4" | "_float8" => Kind::List(&Kind::Float),
        _ if type_name.starts_with('_') => Kind::List(&Kind::Text),
        _ => Kind::Text,
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a failing test may panic")]
mod tests {
    use super::*;

    #[test]
    fn literals_hold_under_every_setting() {
        assert_eq!(quoted(r"it's \ 品"), r"E'it''s \\ 品'");
    }
}
