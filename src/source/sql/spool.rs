//! Keys of a query that cannot be paged: read at once, kept in a temporary file, and listed from there, so that the transaction
//! lasts no longer than the query itself, however slow the embedding is.

use rusqlite::{Connection, OptionalExtension as _, params};
use tokio::sync::mpsc;

use super::error::SqlError;
use crate::source::Version;

/// A row as it is kept: its key, its uri and its version.
pub(super) type Kept = (Vec<u8>, String, Version);

/// A file that is gone when it is closed. Small ones stay in memory.
#[derive(Debug)]
pub(super) struct Spool {
    file: Connection,
    /// The uri of a key that came more than once, and how many such keys there were.
    pub doubled: Option<(String, i64)>,
}

impl Spool {
    /// Takes all rows, until the sender is dropped. Blocks.
    pub fn fill(mut rows: mpsc::Receiver<Vec<Kept>>) -> Result<Self, SqlError> {
        // An empty name is SQLite's for a temporary file of its own.
        let file = Connection::open("").map_err(failed)?;
        file.execute_batch(
            "PRAGMA journal_mode = OFF; PRAGMA synchronous = OFF; PRAGMA cache_size = -16000;
             CREATE TABLE rows (key BLOB PRIMARY KEY, uri TEXT NOT NULL, version BLOB NOT NULL, times INTEGER NOT NULL) WITHOUT ROWID;
             BEGIN",
        )
        .map_err(failed)?;
        {
            let insert = "INSERT INTO rows VALUES (?1, ?2, ?3, 1) ON CONFLICT (key) DO UPDATE SET times = times + 1";
            let mut insert = file.prepare(insert).map_err(failed)?;
            while let Some(rows) = rows.blocking_recv() {
                for (key, uri, version) in rows {
                    insert.execute(params![key, uri, version.as_bytes()]).map_err(failed)?;
                }
            }
        }
        file.execute_batch("COMMIT").map_err(failed)?;
        let doubled = "SELECT min(uri), count(*) FROM rows WHERE times > 1 HAVING count(*) > 0";
        let doubled = file.query_row(doubled, [], |row| Ok((row.get(0)?, row.get(1)?))).optional().map_err(failed)?;
        Ok(Self { file, doubled })
    }

    /// The next rows after a key, those left out that came more than once. Blocks.
    pub fn page(&self, after: &[u8], limit: usize) -> Result<Vec<Kept>, SqlError> {
        let next = "SELECT key, uri, version FROM rows WHERE key > ?1 AND times = 1 ORDER BY key LIMIT ?2";
        let mut next = self.file.prepare_cached(next).map_err(failed)?;
        let rows = next.query_map(params![after, i64::try_from(limit).unwrap_or(i64::MAX)], |row| {
            Ok((row.get(0)?, row.get(1)?, Version::new(row.get_ref(2)?.as_blob()?)))
        });
        rows.map_err(failed)?.collect::<Result<_, _>>().map_err(failed)
    }
}

#[expect(clippy::needless_pass_by_value, reason = "as `map_err` gives it")]
fn failed(error: rusqlite::Error) -> SqlError {
    SqlError::new(format!("the temporary file for the keys failed: {error}")).hint("is there room in the folder of TMPDIR?")
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a failing test may panic")]
mod tests {
    use super::*;

    #[test]
    fn what_came_once_is_listed_and_what_came_twice_is_told() {
        let (sender, receiver) = mpsc::channel(4);
        let row = |n: u8| (vec![n], format!("sql://a/{n}"), Version::new([n, 1]));
        sender.blocking_send(vec![row(3), row(1), row(2)]).unwrap();
        sender.blocking_send(vec![row(2), row(4), row(2)]).unwrap();
        drop(sender);
        let spool = Spool::fill(receiver).unwrap();
        assert_eq!(spool.doubled, Some(("sql://a/2".to_owned(), 1)));
        assert_eq!(spool.page(&[], 2).unwrap(), [row(1), row(3)]);
        assert_eq!(spool.page(&[3], 2).unwrap(), [row(4)]);
        assert_eq!(spool.page(&[4], 2).unwrap(), []);
    }
}
