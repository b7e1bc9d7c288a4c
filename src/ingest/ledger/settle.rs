//! Making the ledger say what the store holds, where the two may differ: the ledger was lost or is an old copy, the store
//! was wiped or is one, another home wrote to it, or the last run was cut short.

use rusqlite::{Connection, params};
use uuid::Uuid;

use super::{Ledger, LedgerError, Recorded, decode, encode};

impl Ledger {
    /// Notes a page of what the store holds.
    pub fn hold(&self, page: Vec<(String, Recorded)>) -> Result<(), LedgerError> {
        let mut connection = self.connection();
        let work = |connection: &mut Connection| {
            let transaction = connection.transaction()?;
            transaction.execute_batch(HELD)?;
            {
                let mut hold =
                    transaction.prepare_cached("INSERT OR REPLACE INTO held (uri, id, digest) VALUES (?1, ?2, ?3)")?;
                for (uri, point) in page {
                    hold.execute(params![uri, point.id.as_bytes(), point.digest as i64])?;
                }
            }
            transaction.commit()
        };
        work(&mut connection).map_err(|source| self.failed(source))
    }

    /// Records of every document what was noted by [`Self::hold`]. One that is recorded with these very points stays as it
    /// is; the file of any other is compared anew. Intents stay: what a killed run had sent may still arrive.
    pub fn settle(&self) -> Result<(), LedgerError> {
        let mut connection = self.connection();
        let work = |connection: &mut Connection| {
            let transaction = connection.transaction()?;
            transaction.execute_batch(HELD)?;
            let (mut differing, mut unknown) = (Vec::new(), Vec::new());
            {
                let mut held = transaction.prepare("SELECT id, digest FROM held WHERE uri = ?1 ORDER BY id")?;
                let mut held = |uri: &str| -> rusqlite::Result<Vec<Recorded>> {
                    held.query_map([uri], |row| {
                        Ok(Recorded { id: Uuid::from_bytes(row.get(0)?), digest: row.get::<_, i64>(1)? as u64 })
                    })?
                    .collect()
                };
                let mut documents = transaction.prepare("SELECT uri, points FROM documents")?;
                let mut rows = documents.query([])?;
                while let Some(row) = rows.next()? {
                    let uri: String = row.get(0)?;
                    let mut recorded = decode(&row.get::<_, Vec<u8>>(1)?);
                    recorded.sort_unstable_by_key(|point| point.id);
                    if recorded != held(&uri)? {
                        differing.push(uri);
                    }
                }
                for uri in &differing {
                    transaction.execute("DELETE FROM documents WHERE uri = ?1", [uri])?;
                }
                let mut missing = transaction.prepare(
                    "SELECT DISTINCT uri FROM held WHERE NOT EXISTS (SELECT 1 FROM documents WHERE documents.uri = held.uri)",
                )?;
                let mut rows = missing.query([])?;
                while let Some(row) = rows.next()? {
                    unknown.push(row.get::<_, String>(0)?);
                }
                let mut adopt = transaction.prepare(
                    "INSERT INTO documents (uri, size, modified_ns, inode, hash, points) VALUES (?1, 0, ?2, 0, ?3, ?4)",
                )?;
                for uri in unknown {
                    let points = held(&uri)?;
                    adopt.execute(params![uri, i64::MIN, [0u8; 32], encode(&points)])?;
                }
            }
            transaction.execute_batch("DROP TABLE temp.held")?;
            transaction.commit()
        };
        work(&mut connection).map_err(|source| self.failed(source))
    }
}

const HELD: &str =
    "CREATE TEMP TABLE IF NOT EXISTS held (uri TEXT, id BLOB, digest INTEGER, PRIMARY KEY (uri, id)) WITHOUT ROWID";

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "a failing test may panic")]
mod tests {
    use super::*;
    use crate::document::{Found, Stamp};

    #[test]
    fn what_the_store_holds_is_what_counts_and_what_agrees_with_it_stays() {
        let folder = tempfile::tempdir().unwrap();
        let ledger = Ledger::open(&folder.path().join("docs.ledger")).unwrap();
        ledger.begin_run().unwrap();
        let points = [5u128, 2, 3].map(|n| Recorded { id: Uuid::from_u128(n), digest: u64::MAX - n as u64 });
        let stamp = Stamp { size: 1, modified_ns: 1_000, inode: 7 };
        for uri in ["same", "fewer", "payload", "lost"] {
            ledger.done(uri, stamp, &[9; 32], &points).unwrap();
        }
        ledger.done("empty", stamp, &[9; 32], &[]).unwrap();
        let mut held: Vec<_> =
            ["same", "payload", "more"].iter().flat_map(|uri| points.map(|p| ((*uri).to_owned(), p))).collect();
        held[3].1.digest = 77;
        held.push(("fewer".into(), points[0]));
        for page in held.chunks(4) {
            ledger.hold(page.to_vec()).unwrap();
        }
        ledger.settle().unwrap();

        let files = ["same", "fewer", "payload", "lost", "empty", "more"];
        let changed = ledger.changed(files.map(|uri| Found { uri: uri.into(), path: uri.into(), stamp }).into()).unwrap();
        let changed: Vec<_> = changed.into_iter().map(|file| file.uri).collect();
        assert_eq!(changed, ["fewer", "payload", "lost", "more"]);
        assert_eq!(ledger.entry("fewer").unwrap().unwrap().points, [points[0]]);
        assert_eq!(ledger.entry("payload").unwrap().unwrap().points.iter().filter(|point| point.digest == 77).count(), 1);
        assert_eq!(ledger.entry("lost").unwrap(), None);
        let mut more = points;
        more.sort_unstable_by_key(|point| point.id);
        assert_eq!(ledger.entry("more").unwrap().unwrap().points, more);
        ledger.settle().unwrap();
        assert_eq!(ledger.counts().unwrap().0, 1, "noted anew each time: only the document without points is left");
    }
}
