//! What the walk over a table needs of a database.

use std::fmt;

use async_trait::async_trait;

use super::cell::{Cell, Column, Kind};
use super::error::SqlError;
use super::rows::Rows;

/// The alias of what is read in every statement.
pub(super) const ROWS: &str = "q";

/// A database: how its SQL is written, and how a statement is run. A new one is one file and one line in [`super::open()`].
///
/// Every statement is a short, read-only transaction of its own in which the forms of values do not depend on the session, has a
/// time limit, and leaves nothing behind on a connection that others may get after us.
#[async_trait]
pub(super) trait Database: fmt::Debug + Send + Sync {
    /// The name of the database.
    fn name(&self) -> &str;

    /// Where it is, without secrets: "Postgres at db.example:5432".
    fn place(&self) -> String;

    /// Whether it is a file of this machine's.
    fn is_file(&self) -> bool {
        false
    }

    /// A name, quoted.
    fn quote(&self, name: &str) -> String;

    /// A column of [`ROWS`].
    fn column(&self, name: &str) -> String {
        format!("{ROWS}.{}", self.quote(name))
    }

    /// What gives a column's value in the form that [`Self::query`] reads.
    fn value(&self, column: &Column) -> String;

    /// A literal that is compared as the column's own values are.
    fn literal(&self, cell: &Cell, column: &Column) -> String;

    /// What gives a hash of these columns, made by the server; `None`: a row's columns cost no more than their hash.
    fn digest(&self, columns: &[Column]) -> Option<String>;

    /// What gives the server's clock, in UTC, no later than what the statement sees.
    fn clock(&self) -> &'static str;

    /// That a key is not before this one, in the database's own order.
    fn not_before(&self, key: &[Column], cells: &[Cell]) -> String {
        let columns: Vec<String> = key.iter().map(|column| self.column(&column.name)).collect();
        format!("{} >= {}", tuple(&columns), self.tuple_of(key, cells))
    }

    /// That a key is one of these.
    fn one_of(&self, key: &[Column], keys: &[&[Cell]]) -> String {
        let columns: Vec<String> = key.iter().map(|column| self.column(&column.name)).collect();
        let keys: Vec<String> = keys.iter().map(|cells| self.tuple_of(key, cells)).collect();
        format!("{} IN ({})", tuple(&columns), keys.join(", "))
    }

    /// A key's literals.
    fn tuple_of(&self, key: &[Column], cells: &[Cell]) -> String {
        let literals: Vec<String> = key.iter().zip(cells).map(|(column, cell)| self.literal(cell, column)).collect();
        tuple(&literals)
    }

    /// The columns of a relation; an error where it is no single statement that reads.
    async fn columns(&self, relation: &Relation) -> Result<Vec<Column>, SqlError>;

    /// Runs one statement that reads, to its end or until nobody wants more. `shape` says what the columns hold.
    async fn query(&self, statement: &Statement<'_>, shape: &[Kind], rows: Rows) -> Result<(), SqlError>;

    /// Whether a walk in pages costs about as much as one in one piece. `page` asks for so many rows from some key on, `all` for
    /// everything.
    async fn pages_well(&self, page: &Statement<'_>, rows: usize, all: &Statement<'_>) -> Result<bool, SqlError>;
}

/// `a`, or `(a, b)`.
fn tuple(parts: &[String]) -> String {
    match parts {
        [one] => one.clone(),
        _ => format!("({})", parts.join(", ")),
    }
}

/// What rows are read from: a table, or a query as the user wrote it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Relation {
    /// As it stands after `FROM`, without an alias.
    pub sql: String,
    /// The user's own text in it, for errors that name a place.
    pub written: Option<String>,
    /// "the table `items`", "the query".
    pub called: String,
}

impl Relation {
    /// As it stands after `FROM`.
    pub fn named(&self) -> String {
        format!("{} AS {ROWS}", self.sql)
    }
}

/// A statement, and what the user wrote of it.
#[derive(Debug, Clone, Copy)]
pub(super) struct Statement<'a> {
    /// All of it.
    pub sql: &'a str,
    /// What it reads from.
    pub relation: &'a Relation,
}

impl Statement<'_> {
    /// Line and column in the user's query, both from 1, of the character with this number (from 0) in `sent`.
    pub fn place(&self, sent: &str, character: usize) -> Option<(usize, usize)> {
        let written = self.relation.written.as_deref()?;
        let before = sent.get(..sent.find(written)?)?.chars().count();
        let inside = character.checked_sub(before)?;
        if inside > written.chars().count() {
            return None;
        }
        let text: String = written.chars().take(inside).collect();
        let line = text.matches('\n').count() + 1;
        Some((line, text.rsplit('\n').next().unwrap_or_default().chars().count() + 1))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_place_in_a_statement_is_told_as_one_in_the_query() {
        let written = "SELECT 名\nFROM 商品x";
        let relation = Relation { sql: format!("({written}\n)"), written: Some(written.into()), called: "the query".into() };
        let statement = Statement { sql: "", relation: &relation };
        let sent = format!("BEGIN; SELECT é FROM ({written}\n) AS q");
        let at = sent.chars().position(|c| c == '商');
        assert_eq!(at.and_then(|at| statement.place(&sent, at)), Some((2, 6)));
        assert_eq!(statement.place(&sent, 3), None);
        assert_eq!(statement.place(&sent, 4000), None);
    }
}
