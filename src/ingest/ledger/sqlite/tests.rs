//! What only this ledger does: files of the first layout, one writer, readers beside it. What every ledger does is in
//! `tests/it/ledger`.

use rusqlite::params;
use uuid::Uuid;

use super::super::{Entry, SourceScope, StoredPoint};
use super::*;
use crate::ingest::report::Stage;
use crate::source::{Version, files};

/// The tables as versions up to 0.1.0 of November 2026 made them.
const FIRST: &str = "
    CREATE TABLE facts (key TEXT PRIMARY KEY, value TEXT NOT NULL) WITHOUT ROWID;
    CREATE TABLE documents (
        uri TEXT PRIMARY KEY, size INTEGER NOT NULL, modified_ns INTEGER NOT NULL, inode INTEGER NOT NULL,
        hash BLOB NOT NULL, points BLOB NOT NULL);
    CREATE TABLE intents (uri TEXT PRIMARY KEY, ids BLOB NOT NULL);
    CREATE TABLE failures (uri TEXT PRIMARY KEY, stage TEXT NOT NULL, error TEXT NOT NULL);
";

const POINT: StoredPoint = StoredPoint { id: Uuid::from_u128(5), digest: u64::MAX - 3 };

/// A ledger of the first layout: a document that is done, one whose time proved nothing, one that was intended again, one
/// begun, one that failed, and one that failed after it was done.
fn first(path: &Path) {
    let file = Connection::open(path).unwrap();
    file.pragma_update(None, "journal_mode", "WAL").unwrap();
    file.execute_batch(FIRST).unwrap();
    for (key, value) in [("base", ".."), ("generation", &Uuid::from_u128(7).to_string())] {
        file.execute("INSERT INTO facts VALUES (?1, ?2)", [key, value]).unwrap();
    }
    let points = documents::encode(&[POINT]);
    for (uri, modified_ns, hash) in [
        ("done.md", 1_999_999_999, [9_u8; 32]),
        ("racy.md", i64::MIN, [9; 32]),
        ("again.md", i64::MIN, [0; 32]),
        ("/abs/broke.md", -1, [9; 32]),
    ] {
        let inode = u64::MAX as i64;
        file.execute("INSERT INTO documents VALUES (?1, 10, ?2, ?3, ?4, ?5)", params![uri, modified_ns, inode, hash, points])
            .unwrap();
    }
    for uri in ["again.md", "begun.md"] {
        file.execute("INSERT INTO intents VALUES (?1, ?2)", params![uri, Uuid::from_u128(1).as_bytes()]).unwrap();
    }
    for (uri, stage) in [("failed.pdf", "parse"), ("/abs/broke.md", "embed")] {
        file.execute("INSERT INTO failures VALUES (?1, ?2, 'broken')", [uri, stage]).unwrap();
    }
}

/// That nothing which [`first`] recorded is lost, and no document has to be read for it that had not.
async fn is_as_first(ledger: &SqliteLedger) {
    let meta = Meta { base: Some("..".into()), generation: Some(Uuid::from_u128(7)) };
    assert_eq!(ledger.meta().await.unwrap(), meta);
    let entry = |hash, modified| Some(Entry { source: SourceId::files(), hash, modified, points: vec![POINT] });
    let intended = || vec![Uuid::from_u128(1)];
    let prior = |entry, intended| PriorState { entry, intended, epoch: Epoch(0) };
    let uris = ["done.md", "racy.md", "again.md", "/abs/broke.md", "begun.md", "failed.pdf", "unknown"];
    let claimed = ledger.claim(uris.map(str::to_owned).to_vec()).await.unwrap();
    assert_eq!(
        claimed,
        [
            prior(entry(Some([9; 32]), Some(1)), vec![]),
            prior(entry(Some([9; 32]), None), vec![]),
            prior(entry(None, None), intended()),
            prior(entry(Some([9; 32]), Some(-1)), vec![]),
            prior(None, intended()),
            PriorState::default(),
            PriorState::default(),
        ]
    );
    let failed =
        |uri: &str, stage| FailedDocument { source: SourceId::files(), uri: uri.into(), stage, error: "broken".into() };
    assert_eq!(ledger.failures(9).await.unwrap(), [failed("/abs/broke.md", Stage::Embed), failed("failed.pdf", Stage::Parse)]);
    assert_eq!(ledger.totals().await.unwrap(), Totals { documents: 4, failed: 2 });

    let run = ledger.begin_run().await.unwrap();
    let items = uris.map(|uri| {
        let modified_ns = if uri == "/abs/broke.md" { -1 } else { 1_999_999_999 };
        Listing { uri: uri.into(), version: files::version_of(10, modified_ns, u64::MAX) }
    });
    let differences = ledger.note_listed(run, &SourceId::files(), items.into()).await.unwrap();
    let changed: Vec<_> = std::iter::zip(uris, differences).filter(|(_, d)| *d != Difference::Unchanged).collect();
    assert_eq!(changed.len(), uris.len() - 1, "only what is certain is unchanged: {changed:?}");
    let scope = |source| {
        let part = SourceScope { source, roots: vec![String::new()], focus: None, unreadable: vec![] };
        Scope { sources: vec![part] }
    };
    let run = ledger.begin_run().await.unwrap();
    assert_eq!(ledger.count_missing(run, &scope(SourceId::files())).await.unwrap(), MissingCount { known: 6, missing: 6 });
    assert_eq!(ledger.count_missing(run, &scope(SourceId::new("site"))).await.unwrap(), MissingCount::default());
}

#[tokio::test]
async fn a_ledger_of_the_first_layout_is_brought_up_to_date_and_says_the_same() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("docs.ledger");
    first(&path);
    is_as_first(&SqliteLedger::open_to_read(&path).await.unwrap().unwrap()).await;
    assert_eq!(layout::of(&Connection::open(&path).unwrap()).unwrap(), Layout::First, "looking changes nothing");

    is_as_first(&SqliteLedger::open(&path).await.unwrap()).await;
    let tables = "SELECT group_concat(name) FROM (SELECT name FROM sqlite_schema WHERE type = 'table' ORDER BY name)";
    let tables: String = Connection::open(&path).unwrap().query_row(tables, [], |row| row.get(0)).unwrap();
    assert_eq!(tables, "documents,meta");
    is_as_first(&SqliteLedger::open(&path).await.unwrap()).await;
    is_as_first(&SqliteLedger::open_to_read(&path).await.unwrap().unwrap()).await;
}

#[tokio::test]
async fn a_file_that_was_made_and_no_more_is_empty_and_a_later_one_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("docs.ledger");
    std::fs::write(&path, "").unwrap();
    let totals = SqliteLedger::open_to_read(&path).await.unwrap().unwrap().totals().await.unwrap();
    assert_eq!(totals, Totals::default());
    drop(SqliteLedger::open(&path).await.unwrap());
    Connection::open(&path).unwrap().pragma_update(None, "user_version", 3).unwrap();
    for refused in [SqliteLedger::open(&path).await.map(drop), SqliteLedger::open_to_read(&path).await.map(drop)] {
        assert!(matches!(refused, Err(LedgerError::Layout { found: 3, .. })), "{refused:?}");
    }
}

#[tokio::test]
async fn a_file_that_is_no_ledger_is_named_in_the_error() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("docs.ledger");
    std::fs::write(&path, [7; 5000]).unwrap();
    let error = SqliteLedger::open(&path).await.unwrap_err();
    assert!(error.to_string().contains("docs.ledger"), "{error}");
    assert!(crate::error::reason(&error).contains("not a database"), "{error:?}");
}

#[tokio::test]
async fn one_writer_at_a_time_and_readers_beside_it() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("docs.ledger");
    let ledger = SqliteLedger::open(&path).await.unwrap();
    let done = Commit {
        source: SourceId::files(),
        uri: "a.md".into(),
        epoch: Epoch(0),
        version: Version::UNKNOWN,
        hash: [9; 32],
        modified: None,
        points: vec![],
    };
    assert_eq!(ledger.commit(vec![done]).await.unwrap(), Fenced::default());
    let busy = SqliteLedger::open(&path).await.unwrap_err();
    assert!(busy.to_string().contains(&format!("process {}", std::process::id())), "{busy}");
    let reader = SqliteLedger::open_to_read(&path).await.unwrap().unwrap();
    assert_eq!(reader.totals().await.unwrap(), Totals { documents: 1, failed: 0 });
    assert!(SqliteLedger::open_to_read(&folder.path().join("none")).await.unwrap().is_none());
    drop(ledger);
    SqliteLedger::open(&path).await.unwrap();
}

#[tokio::test]
async fn a_damaged_file_says_what_to_remove() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("docs.ledger");
    std::fs::write(&path, [7; 4096]).unwrap();
    let error = SqliteLedger::open(&path).await.unwrap_err();
    assert!(matches!(error, LedgerError::Damaged { .. }), "{error:?}");
    let hint = crate::error::Failure::hint(&error).unwrap();
    assert!(hint.contains("remove") && hint.contains("docs.ledger"), "{hint}");
    std::fs::remove_file(&path).unwrap();
    assert!(SqliteLedger::open(&path).await.is_ok());
}

#[cfg(unix)]
#[tokio::test]
async fn where_nothing_can_be_written_it_is_read_as_it_stands_and_only_if_that_is_all() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("文档 %20.ledger");
    let ledger = SqliteLedger::open(&path).await.unwrap();
    let commit = |uri: &str| Commit {
        source: SourceId::files(),
        uri: uri.into(),
        epoch: Epoch(0),
        version: Version::UNKNOWN,
        hash: [9; 32],
        modified: None,
        points: vec![],
    };
    assert_eq!(ledger.commit(vec![commit("a.md")]).await.unwrap(), Fenced::default());
    drop(ledger);
    // As on a read-only file system, also to whom permissions mean nothing: what SQLite writes to read a database with a log cannot be.
    let beside = |end: &str| folder.path().join(format!("文档 %20.ledger{end}"));
    std::os::unix::fs::symlink("/nowhere/at/all", beside("-shm")).unwrap();
    let reader = SqliteLedger::open_to_read(&path).await.unwrap().unwrap();
    assert_eq!(reader.totals().await.unwrap(), Totals { documents: 1, failed: 0 });
    let run = reader.begin_run().await.unwrap();
    let part = SourceScope { source: SourceId::files(), roots: vec![String::new()], focus: None, unreadable: vec![] };
    let scope = Scope { sources: vec![part] };
    assert_eq!(reader.count_missing(run, &scope).await.unwrap(), MissingCount { known: 1, missing: 1 });
    assert!(reader.commit(vec![commit("b.md")]).await.is_err(), "nothing is written");
    drop(reader);
    std::fs::write(beside("-wal"), "what was recorded last").unwrap();
    let error = SqliteLedger::open_to_read(&path).await.unwrap_err();
    let hint = crate::error::Failure::hint(&error).unwrap();
    assert!(hint.contains("right to write") && !hint.contains("disk's space"), "{hint}");
}

#[tokio::test]
async fn what_is_gone_by_name_alone_is_told_from_what_is_lost() {
    let folder = tempfile::tempdir().unwrap();
    let ledger = SqliteLedger::open(&folder.path().join("docs.ledger")).await.unwrap();
    let commit = |uri: &str, hash| Commit {
        source: SourceId::files(),
        uri: uri.into(),
        epoch: Epoch(0),
        version: Version::UNKNOWN,
        hash: [hash; 32],
        modified: None,
        points: vec![],
    };
    let commits = [("a.md", 1), ("b.md", 2), ("c.md", 3), ("new/甲.md", 1)].map(|(uri, hash)| commit(uri, hash));
    assert_eq!(ledger.commit(commits.into()).await.unwrap(), Fenced::default());
    let run = ledger.begin_run().await.unwrap();
    let part = SourceScope { source: SourceId::files(), roots: vec![String::new()], focus: None, unreadable: vec![] };
    let scope = Scope { sources: vec![part] };
    let moved = async |arrived: &[u8]| {
        let mut moved = Moved::default();
        for hash in arrived {
            moved.there([*hash; 32]);
        }
        ledger.count_moved(run, &scope, moved).await.unwrap()
    };
    assert_eq!(moved(&[]).await, 0, "what is not listed is nowhere else");
    let listed = vec![Listing { uri: "new/甲.md".into(), version: Version::UNKNOWN }];
    ledger.note_listed(run, &SourceId::files(), listed).await.unwrap();
    assert_eq!((moved(&[]).await, moved(&[2, 7]).await), (1, 2));
    assert_eq!(ledger.count_missing(run, &scope).await.unwrap().missing, 3);
}
