//! Which points and documents lie in the full parts of an index: a file that is asked before every write, so that a part is
//! opened only for what it holds.

use std::collections::BTreeSet;
use std::path::Path;
use std::time::Duration;

use rusqlite::{Connection, OptionalExtension as _};
use uuid::Uuid;

/// Of the schema.
const VERSION: i32 = 1;
/// Pages of 4 KiB that are kept in memory.
const CACHED_PAGES: i64 = 32;
/// How long a process that is about to end is waited for: the folder's lock lets in one at a time.
const BUSY: Duration = Duration::from_secs(5);

/// The file, opened. It states what every full part held when it became full; what was deleted since is still named.
#[derive(Debug)]
pub(super) struct PointIndex {
    connection: Connection,
}

/// A full part, as the file knows it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct SealedPart {
    /// Points it held when it became full.
    pub(super) points: usize,
    /// Whether its segments have graphs.
    pub(super) graph: bool,
}

impl PointIndex {
    /// Opens the file, and makes it if it is not there.
    pub(super) fn open(path: &Path) -> rusqlite::Result<Self> {
        let connection = Connection::open(path)?;
        connection.busy_timeout(BUSY)?;
        connection.pragma_update(None, "cache_size", CACHED_PAGES)?;
        // A part that is named here is put aside: that must not be forgotten again.
        connection.pragma_update(None, "synchronous", "FULL")?;
        if connection.pragma_query_value(None, "user_version", |row| row.get::<_, i32>(0))? != VERSION {
            connection.execute_batch(&format!(
                "BEGIN;
                 CREATE TABLE part (number INTEGER PRIMARY KEY, points INTEGER NOT NULL, graph INTEGER NOT NULL);
                 CREATE TABLE point (id BLOB PRIMARY KEY, part INTEGER NOT NULL) WITHOUT ROWID;
                 CREATE TABLE document (uri BLOB NOT NULL, part INTEGER NOT NULL, PRIMARY KEY (uri, part)) WITHOUT ROWID;
                 PRAGMA user_version = {VERSION};
                 COMMIT;"
            ))?;
        }
        Ok(Self { connection })
    }

    /// The full parts, in the order in which they became full.
    pub(super) fn parts(&self) -> rusqlite::Result<Vec<SealedPart>> {
        let mut found = self.connection.prepare("SELECT points, graph FROM part ORDER BY number")?;
        let rows = found.query_map((), |row| Ok(SealedPart { points: row.get::<_, u32>(0)? as usize, graph: row.get(1)? }))?;
        rows.collect()
    }

    /// One more part is full, and holds this. All or nothing, and on disk when it returns.
    pub(super) fn add(&mut self, points: &[Uuid], uris: &[String]) -> rusqlite::Result<()> {
        let transaction = self.connection.transaction()?;
        let number: i64 = transaction.query_row("SELECT count(*) FROM part", (), |row| row.get(0))?;
        let count = u32::try_from(points.len()).unwrap_or(u32::MAX);
        transaction.execute("INSERT INTO part (number, points, graph) VALUES (?, ?, 0)", (number, count))?;
        {
            let mut point = transaction.prepare("INSERT OR IGNORE INTO point (id, part) VALUES (?, ?)")?;
            let mut document = transaction.prepare("INSERT OR IGNORE INTO document (uri, part) VALUES (?, ?)")?;
            points.iter().try_for_each(|id| point.execute((id.as_bytes(), number)).map(drop))?;
            uris.iter().try_for_each(|uri| document.execute((digest(uri), number)).map(drop))?;
        }
        transaction.commit()
    }

    /// Sealed parts have, or are about to have, points of these documents.
    pub(super) fn add_documents(&mut self, uris: &BTreeSet<(usize, &str)>) -> rusqlite::Result<()> {
        if uris.is_empty() {
            return Ok(());
        }
        let transaction = self.connection.transaction()?;
        {
            let mut document = transaction.prepare("INSERT OR IGNORE INTO document (uri, part) VALUES (?, ?)")?;
            uris.iter().try_for_each(|(part, uri)| document.execute((digest(uri), *part as i64)).map(drop))?;
        }
        transaction.commit()
    }

    /// The part in which each of the points lies; `None`: in none that is full.
    pub(super) fn of_points(&self, ids: impl Iterator<Item = Uuid>) -> rusqlite::Result<Vec<Option<usize>>> {
        let mut find = self.connection.prepare_cached("SELECT part FROM point WHERE id = ?")?;
        ids.map(|id| Ok(find.query_row([id.as_bytes()], |row| row.get::<_, u32>(0)).optional()?.map(|part| part as usize)))
            .collect()
    }

    /// The full parts with points of the document.
    pub(super) fn of_document(&self, uri: &str) -> rusqlite::Result<Vec<usize>> {
        let mut find = self.connection.prepare_cached("SELECT part FROM document WHERE uri = ?")?;
        find.query_map([digest(uri)], |row| Ok(row.get::<_, u32>(0)? as usize))?.collect()
    }

    /// The part's segments have graphs now.
    pub(super) fn has_graph(&self, part: usize) -> rusqlite::Result<()> {
        self.connection.execute("UPDATE part SET graph = 1 WHERE number = ?", [part as i64]).map(drop)
    }
}

/// Uris may be long; that two of 2^64 were one would open a part for nothing.
fn digest(uri: &str) -> [u8; 16] {
    let mut digest = [0; 16];
    blake3::Hasher::new().update(uri.as_bytes()).finalize_xof().fill(&mut digest);
    digest
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "tests may panic")]
mod tests {
    use super::*;

    #[test]
    fn what_a_part_holds_is_found_again() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("places");
        let ids = |from: u128| (from..from + 300).map(Uuid::from_u128).collect::<Vec<_>>();
        let mut places = PointIndex::open(&path).unwrap();
        assert_eq!(places.parts().unwrap(), []);
        places.add(&ids(0), &["a".into(), "b".into()]).unwrap();
        places.add(&ids(1000), &["b".into()]).unwrap();
        places.has_graph(1).unwrap();
        places.add_documents(&BTreeSet::from([(0, "d"), (0, "a"), (1, "a")])).unwrap();

        let places = PointIndex::open(&path).unwrap();
        assert_eq!(
            places.parts().unwrap(),
            [SealedPart { points: 300, graph: false }, SealedPart { points: 300, graph: true }]
        );
        let asked = [1299, 0, 299, 300, 1000].map(Uuid::from_u128);
        assert_eq!(places.of_points(asked.into_iter()).unwrap(), [Some(1), Some(0), Some(0), None, Some(1)]);
        let parts = ["a", "b", "c", "d"].map(|uri| places.of_document(uri).unwrap());
        assert_eq!(parts, [vec![0, 1], vec![0, 1], vec![], vec![0]]);
    }
}
