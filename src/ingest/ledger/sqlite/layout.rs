//! The tables, and how those of an earlier layout become these.

use std::path::Path;

use rusqlite::types::ToSqlOutput;
use rusqlite::{Connection, params};

use crate::source::{SourceId, Version, files};

/// The layout that this version writes: `user_version` of the file.
const CURRENT: i64 = 2;

/// A document has one row, from its first intent or failure on.
/// - `points` is NULL until something is certain of it; 16 bytes of id and 8 of digest each.
/// - `version` and `hash` are NULL where the content is to be compared anew.
/// - `intents`: 16 bytes of id each; NULL when there are none.
/// - `stage`, `error`: why it failed the last time; NULL when it did not.
///
/// What is looked at for every unchanged document stands first: a row of many points goes on to pages of its own.
const SCHEMA: &str = "
    CREATE TABLE meta (key TEXT PRIMARY KEY, value TEXT NOT NULL) WITHOUT ROWID;
    CREATE TABLE documents (
        uri TEXT PRIMARY KEY, source TEXT NOT NULL, version BLOB, stage TEXT, error TEXT, hash BLOB, modified INTEGER,
        points BLOB, intents BLOB);
    CREATE INDEX documents_by_source ON documents (source, uri);
    CREATE INDEX documents_failed ON documents (uri) WHERE error IS NOT NULL;
    CREATE INDEX documents_begun ON documents (uri) WHERE points IS NULL;
    PRAGMA user_version = 2;
";

/// What runs note while they go on.
pub(super) const TEMPORARY: &str = "
    CREATE TEMP TABLE listed (run INTEGER, uri TEXT, PRIMARY KEY (run, uri)) WITHOUT ROWID;
    CREATE TEMP TABLE staged (
        run INTEGER, uri TEXT, id BLOB, source TEXT, digest INTEGER, PRIMARY KEY (run, uri, id)) WITHOUT ROWID;
";

/// How a file is laid out.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Layout {
    /// There is nothing in it.
    Empty,
    /// Files alone, in three tables: size, modification time and inode, no sources.
    First,
    /// As this version writes it.
    Current,
    /// Of a later version.
    Later(i64),
}

/// How this file is laid out.
pub(super) fn of(connection: &Connection) -> rusqlite::Result<Layout> {
    let version: i64 = connection.query_row("PRAGMA user_version", [], |row| row.get(0))?;
    Ok(match version {
        0 if connection.table_exists(Some("main"), "documents")? => Layout::First,
        0 => Layout::Empty,
        CURRENT => Layout::Current,
        later => Layout::Later(later),
    })
}

/// Lays out an empty file.
pub(super) fn create(connection: &mut Connection) -> rusqlite::Result<()> {
    let transaction = connection.transaction()?;
    transaction.execute_batch(SCHEMA)?;
    transaction.commit()
}

/// Brings a file of the first layout up to date, in one transaction. No document has to be read again for it.
pub(super) fn migrate(connection: &mut Connection) -> rusqlite::Result<()> {
    let transaction = connection.transaction()?;
    for table in TABLES {
        transaction.execute_batch(&format!("ALTER TABLE {table} RENAME TO first_{table}"))?;
    }
    transaction.execute_batch(SCHEMA)?;
    copy(&transaction, "main.first_")?;
    for table in TABLES {
        transaction.execute_batch(&format!("DROP TABLE first_{table}"))?;
    }
    transaction.commit()
}

/// Fills an empty ledger from a file of the first layout, and leaves that as it is.
pub(super) fn copy_from(connection: &mut Connection, path: &Path) -> rusqlite::Result<()> {
    connection.execute("ATTACH DATABASE ?1 AS first", [path.to_string_lossy()])?;
    let transaction = connection.transaction()?;
    copy(&transaction, "first.")?;
    transaction.commit()?;
    connection.execute_batch("DETACH DATABASE first")
}

/// The tables of the first layout.
const TABLES: [&str; 4] = ["facts", "documents", "intents", "failures"];

fn copy(connection: &Connection, prefix: &str) -> rusqlite::Result<()> {
    let source = SourceId::files();
    let sql = format!("INSERT INTO main.meta (key, value) SELECT key, value FROM {prefix}facts");
    connection.execute(&sql, [])?;
    {
        let sql = format!("SELECT uri, size, modified_ns, inode, hash, points FROM {prefix}documents");
        let mut documents = connection.prepare(&sql)?;
        let mut insert = connection.prepare(
            "INSERT INTO main.documents (uri, source, version, hash, modified, points) VALUES (?1, ?2, ?3, ?4, ?5, ?6)",
        )?;
        let mut rows = documents.query([])?;
        while let Some(row) = rows.next()? {
            let (size, modified_ns, inode): (i64, i64, i64) = (row.get(1)?, row.get(2)?, row.get(3)?);
            // This time stood for "proves nothing", and a hash of zeros for "not known".
            let known = modified_ns != i64::MIN;
            let version = known.then(|| files::version_of(size as u64, modified_ns, inode as u64));
            let hash: [u8; 32] = row.get(4)?;
            insert.execute(params![
                ToSqlOutput::Borrowed(row.get_ref(0)?),
                source.as_str(),
                version.as_ref().map(Version::as_bytes),
                (hash != [0; 32]).then_some(hash),
                known.then(|| modified_ns.div_euclid(1_000_000_000)),
                ToSqlOutput::Borrowed(row.get_ref(5)?),
            ])?;
        }
    }
    let sql = format!(
        "INSERT INTO main.documents (uri, source, intents) SELECT uri, ?1, ids FROM {prefix}intents WHERE true
         ON CONFLICT (uri) DO UPDATE SET intents = excluded.intents"
    );
    connection.execute(&sql, [source.as_str()])?;
    let sql = format!(
        "INSERT INTO main.documents (uri, source, stage, error) SELECT uri, ?1, stage, error FROM {prefix}failures WHERE true
         ON CONFLICT (uri) DO UPDATE SET stage = excluded.stage, error = excluded.error"
    );
    connection.execute(&sql, [source.as_str()]).map(drop)
}
