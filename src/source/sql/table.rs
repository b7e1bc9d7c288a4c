//! A table while it is read: its plan, its database, and how its rows are read, once its columns are known.

use std::collections::{HashMap, HashSet};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use super::cell::{Cell, Kind, Row, decode, encode};
use super::database::{Database, Relation, Statement};
use super::error::SqlError;
use super::plan::{From, SqlPlan};
use super::reading::{Reading, Whole};
use super::rows::rows;

/// Bytes of rows that are held at once, about. What comes beyond is asked for again, row by row.
const HELD: usize = 64 << 20;
/// Rows that are looked at for one that is listed again: where the database takes several keys for one, there are more.
const ALIKE: usize = 16;

/// A table while it is read.
#[derive(Debug)]
pub(super) struct Table {
    pub plan: SqlPlan,
    pub database: Arc<dyn Database>,
    reading: Mutex<Option<Arc<Reading>>>,
    /// No index finds pages of it: to begin at a key costs as much as to list all of them.
    pub at_once: AtomicBool,
}

impl Table {
    pub fn new(plan: SqlPlan) -> Self {
        Self { database: Arc::clone(&plan.database.0), plan, reading: Mutex::default(), at_once: AtomicBool::new(false) }
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

    /// The rows of these keys, by their keys, and how they are read. A key that is not there any more is none of them.
    ///
    /// # Errors
    /// None of them could be read.
    pub async fn rows(&self, keys: &[&[u8]]) -> Result<(Arc<Reading>, HashMap<Vec<u8>, Found>), SqlError> {
        let reading = self.prepared().await?;
        let mut wanted: Vec<&[u8]> = keys.to_vec();
        wanted.sort_unstable();
        wanted.dedup();
        let mut found = HashMap::new();
        self.gather(&reading, &wanted, &mut found).await?;
        wanted.retain(|key| !found.contains_key(*key));
        self.seek(&reading, wanted, &mut found).await?;
        Ok((reading, found))
    }

    /// Adds the rows of these keys. Where the server cannot give one of them, its error is its own, and the others are read.
    async fn gather(&self, reading: &Reading, keys: &[&[u8]], found: &mut HashMap<Vec<u8>, Found>) -> Result<(), SqlError> {
        let mut open = vec![keys];
        while let Some(keys) = open.pop() {
            let most = if keys.len() == 1 { usize::MAX } else { HELD };
            match (self.ask(reading, keys, most).await, keys) {
                (Ok(Some(rows)), _) => found.extend(rows),
                // Too much at once.
                (Ok(None), _) => open.extend(keys.chunks(1)),
                (Err(error), [key]) if error.is_of_data() => {
                    found.insert(key.to_vec(), Found::Unreadable(error));
                }
                (Err(error), _) if error.is_of_data() => {
                    let (one, other) = keys.split_at(keys.len() / 2);
                    open.extend([one, other]);
                }
                (Err(error), _) => return Err(error),
            }
        }
        Ok(())
    }

    /// What became of rows that were listed and are not found. Those that are listed no more were deleted meanwhile; all others are read
    /// once more, one by one.
    async fn seek(&self, reading: &Reading, missing: Vec<&[u8]>, found: &mut HashMap<Vec<u8>, Found>) -> Result<(), SqlError> {
        let there = self.still_listed(reading, missing, found).await?;
        for key in &there {
            self.gather(reading, &[key], found).await?;
        }
        let lost = there.into_iter().filter(|key| !found.contains_key(*key)).collect();
        for key in self.still_listed(reading, lost, found).await? {
            found.insert(key.to_vec(), Found::Unfound);
        }
        Ok(())
    }

    /// Those of the keys that are listed now.
    async fn still_listed<'a>(
        &self,
        reading: &Reading,
        keys: Vec<&'a [u8]>,
        found: &mut HashMap<Vec<u8>, Found>,
    ) -> Result<Vec<&'a [u8]>, SqlError> {
        let mut listed = HashSet::new();
        if !keys.is_empty() && (!reading.is_ordered() || self.at_once.load(Ordering::Relaxed)) {
            self.list_again(reading, None, &keys, &mut listed).await?;
        } else {
            for key in &keys {
                match self.list_again(reading, decode(key).as_deref(), &keys, &mut listed).await {
                    Err(error) if error.is_of_data() => {
                        found.insert(key.to_vec(), Found::Unreadable(error));
                    }
                    other => other?,
                }
            }
        }
        Ok(keys.into_iter().filter(|key| listed.contains(*key) && !found.contains_key(*key)).collect())
    }

    /// Notes which of the keys, which are in order, are listed: all of them that are, or those that begin the page of one.
    async fn list_again(
        &self,
        reading: &Reading,
        from: Option<&[Cell]>,
        keys: &[&[u8]],
        listed: &mut HashSet<Vec<u8>>,
    ) -> Result<(), SqlError> {
        let sql = reading.keys(&*self.database, from, from.map(|_| ALIKE));
        let note = |row| {
            let key = reading.listed_row(&self.plan, row).key;
            listed.extend(key.filter(|key| keys.binary_search(&key.as_slice()).is_ok()));
            true
        };
        self.each(reading, &sql, &reading.shape(), note).await.map(drop)
    }

    /// The rows of these keys, which are in order; `None`: they are larger than `most` together.
    async fn ask(&self, reading: &Reading, keys: &[&[u8]], most: usize) -> Result<Option<HashMap<Vec<u8>, Found>>, SqlError> {
        let mut found = HashMap::new();
        let cells: Vec<Vec<Cell>> = keys.iter().filter_map(|key| decode(key)).collect();
        let usable: Vec<&[Cell]> = cells.iter().map(Vec::as_slice).filter(|cells| cells.len() == reading.key.len()).collect();
        if usable.is_empty() {
            return Ok(Some(found));
        }
        let sql = reading.rows(&*self.database, &usable);
        let mut bytes = 0_usize;
        let add = |row: Row| {
            bytes += row.iter().map(Cell::len).sum::<usize>();
            let whole = reading.whole_row(&self.plan, row);
            let key = encode(&whole.listed.cells);
            // What the database alone takes for one of them is asked for by itself.
            if keys.binary_search(&key.as_slice()).is_ok() {
                let several = found.contains_key(&key);
                found.insert(key, if several { Found::Several } else { Found::One(Box::new(whole)) });
            }
            bytes <= most
        };
        let whole = self.each(reading, &sql, &reading.whole_shape(), add).await?;
        Ok(whole.then_some(found))
    }

    /// Runs a statement, and does something with each of its rows while that says so; false: it wanted no more.
    async fn each(
        &self,
        reading: &Reading,
        sql: &str,
        shape: &[Kind],
        mut each: impl FnMut(Row) -> bool,
    ) -> Result<bool, SqlError> {
        let statement = Statement { sql, relation: &reading.relation };
        let (rows, mut coming) = rows();
        let gathering = async {
            while let Some(rows) = coming.recv().await {
                for row in rows {
                    if !each(row) {
                        coming.close();
                        return false;
                    }
                }
            }
            true
        };
        let (asked, whole) = tokio::join!(self.database.query(&statement, shape, rows), gathering);
        if whole { asked.map(|()| true) } else { Ok(false) }
    }

    /// That keys came more than once.
    pub fn doubled(&self, uri: &str, keys: i64) -> SqlError {
        let key = self.plan.key.join(", ");
        let others = if keys > 1 { format!(", and so have {} more keys", keys - 1) } else { String::new() };
        let message = format!("several rows have the key ({key}) of {uri}{others}; they are left as they were");
        SqlError::new(message).hint("`key` is to name columns that tell each row from all others; a JOIN may multiply rows")
    }

    /// That the keys of several rows make one address.
    pub fn met(&self, uri: &str) -> SqlError {
        let key = self.plan.key.join(", ");
        let message =
            format!("several rows have the address {uri}, which their keys ({key}) make: only one of them is a document");
        SqlError::new(message).hint(
            "a key of several kinds, as of 1 and '1', is made one of texts that differ by a `query`; or `uri` is to part the columns by a `/`",
        )
    }

    /// That a row is listed, and not found by its key.
    pub fn unfound(&self, uri: &str) -> SqlError {
        let key = self.plan.key.join(", ");
        let message = format!("the database lists {uri}, and does not find it by its key ({key})");
        SqlError::new(message)
            .hint("its value may not be comparable: name another column in `key`, or CAST this one in a `query`")
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
    /// One that the server cannot give.
    Unreadable(SqlError),
    /// None, although there is one.
    Unfound,
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
