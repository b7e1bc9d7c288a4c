//! A table while it is read: its plan, its database, and how its rows are read, once its columns are known.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use super::cell::{Cell, Row, decode, encode};
use super::database::{Database, Relation, Statement};
use super::error::SqlError;
use super::plan::{From, SqlPlan};
use super::reading::{Reading, Whole};
use super::rows::rows;

/// Bytes of rows that are held at once, about. What comes beyond is asked for again, row by row.
const HELD: usize = 64 << 20;

/// A table while it is read.
#[derive(Debug)]
pub(super) struct Table {
    pub plan: SqlPlan,
    pub database: Arc<dyn Database>,
    reading: Mutex<Option<Arc<Reading>>>,
}

impl Table {
    pub fn new(plan: SqlPlan) -> Self {
        Self { database: Arc::clone(&plan.database.0), plan, reading: Mutex::default() }
    }

    /// Asks which columns there are, and how rows are read then.
    pub async fn prepare(&self) -> Result<Arc<Reading>, SqlError> {
        let relation = self.relation()?;
        let columns = self.database.columns(&relation).await?;
        let reading = Arc::new(Reading::new(&self.plan, &*self.database, relation, &columns)?);
        *self.reading.lock().unwrap_or_else(PoisonError::into_inner) = Some(Arc::clone(&reading));
        Ok(reading)
    }

    async fn prepared(&self) -> Result<Arc<Reading>, SqlError> {
        let known = self.reading.lock().unwrap_or_else(PoisonError::into_inner).clone();
        match known {
            Some(reading) => Ok(reading),
            None => self.prepare().await,
        }
    }

    fn relation(&self) -> Result<Relation, SqlError> {
        match &self.plan.from {
            From::Table(table) => {
                let parts: Vec<String> = table.split('.').map(|part| self.database.quote(part)).collect();
                Ok(Relation { sql: parts.join("."), written: None, called: format!("the table `{table}`") })
            }
            From::Query(query) => {
                let query = statement(query);
                if query.contains([';', '\0']) {
                    let error = SqlError::new("the query holds a `;`");
                    return Err(
                        error.hint("it is to be one statement; within a text write chr(59), in MySQL and SQLite char(59)")
                    );
                }
                // What ends with a comment must not swallow the bracket.
                Ok(Relation { sql: format!("({query}\n)"), written: Some(query.to_owned()), called: "the query".to_owned() })
            }
        }
    }

    /// The rows of these keys, by their keys, and how they are read.
    ///
    /// # Errors
    /// None of them could be read.
    pub async fn rows(&self, keys: &[&[u8]]) -> Result<(Arc<Reading>, HashMap<Vec<u8>, Found>), SqlError> {
        let reading = self.prepared().await?;
        let mut found = HashMap::new();
        let mut open: Vec<&[u8]> = keys.to_vec();
        open.sort_unstable();
        open.dedup();
        if self.ask(&reading, &open, HELD, &mut found).await? {
            return Ok((reading, found));
        }
        // Too much at once.
        found.clear();
        for key in open {
            self.ask(&reading, &[key], usize::MAX, &mut found).await?;
        }
        Ok((reading, found))
    }

    /// Adds the rows of these keys; false: they are larger than `most` together.
    async fn ask(
        &self,
        reading: &Reading,
        keys: &[&[u8]],
        most: usize,
        found: &mut HashMap<Vec<u8>, Found>,
    ) -> Result<bool, SqlError> {
        let cells: Vec<Vec<Cell>> = keys.iter().filter_map(|key| decode(key)).collect();
        let usable: Vec<&[Cell]> = cells.iter().map(Vec::as_slice).filter(|cells| cells.len() == reading.key.len()).collect();
        if usable.is_empty() {
            return Ok(true);
        }
        let sql = reading.rows(&*self.database, &usable);
        let shape = reading.whole_shape();
        let statement = Statement { sql: &sql, relation: &reading.relation };
        let (rows, mut coming) = rows();
        let gathering = async {
            let mut bytes = 0_usize;
            while let Some(rows) = coming.recv().await {
                for row in rows {
                    bytes += row.iter().map(Cell::len).sum::<usize>();
                    self.add(reading, row, found);
                }
                if bytes > most {
                    coming.close();
                    return false;
                }
            }
            true
        };
        let (asked, whole) = tokio::join!(self.database.query(&statement, &shape, rows), gathering);
        if whole { asked.map(|()| true) } else { Ok(false) }
    }

    fn add(&self, reading: &Reading, row: Row, found: &mut HashMap<Vec<u8>, Found>) {
        let whole = reading.whole_row(&self.plan, row);
        let key = encode(&whole.listed.cells);
        match found.entry(key) {
            std::collections::hash_map::Entry::Vacant(place) => {
                place.insert(Found::One(Box::new(whole)));
            }
            std::collections::hash_map::Entry::Occupied(mut place) => {
                place.insert(Found::Several);
            }
        }
    }

    /// That keys came more than once.
    pub fn doubled(&self, uri: &str, keys: i64) -> SqlError {
        let key = self.plan.key.join(", ");
        let others = if keys > 1 { format!(", and so have {} more keys", keys - 1) } else { String::new() };
        let message = format!("several rows have the key ({key}) of {uri}{others}; they are left as they were");
        SqlError::new(message).hint("`key` is to name columns that tell each row from all others; a JOIN may multiply rows")
    }

    /// That a row has no key.
    pub fn without_key(&self, reading: &Reading) -> SqlError {
        let key = self.plan.key.join(", ");
        let message = format!("{} has rows whose key ({key}) is NULL; they are left out", reading.relation.called);
        SqlError::new(message).hint("name other columns in `key`, or leave such rows out by a `query` with WHERE … IS NOT NULL")
    }
}

/// A query without what may stand behind its end: a `;`, blanks, comments.
fn statement(query: &str) -> &str {
    let query = query.trim();
    let Some((before, mut after)) = query.rsplit_once(';') else { return query };
    loop {
        after = after.trim_start();
        let end = match after.get(..2) {
            Some("--") => Some(after.find('\n').unwrap_or(after.len())),
            Some("/*") => after.find("*/").map(|end| end + 2),
            _ => None,
        };
        match end.and_then(|end| after.get(end..)) {
            Some(rest) => after = rest,
            None if after.is_empty() => return before.trim_end_matches(|c: char| c == ';' || c.is_whitespace()),
            // It goes on: whoever looks at it will say so.
            None => return query,
        }
    }
}

/// What was found of a key.
#[derive(Debug)]
pub(super) enum Found {
    /// Its row.
    One(Box<Whole>),
    /// More than one.
    Several,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_stands_behind_a_statement_is_left_out() {
        for (query, alone) in [
            ("SELECT 1", "SELECT 1"),
            (" SELECT 1 ;; \n", "SELECT 1"),
            ("SELECT 1; -- the end", "SELECT 1"),
            ("SELECT 1 -- one\n; /* 注释 ** */\n-- more\n", "SELECT 1 -- one"),
            ("SELECT 1 -- no end", "SELECT 1 -- no end"),
            ("SELECT 1; SELECT 2", "SELECT 1; SELECT 2"),
            ("SELECT 1; /* no end", "SELECT 1; /* no end"),
            ("SELECT 'a; b'", "SELECT 'a; b'"),
            (";", ""),
            ("", ""),
        ] {
            assert_eq!(statement(query), alone);
        }
    }
}
