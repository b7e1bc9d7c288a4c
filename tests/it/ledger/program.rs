//! The ledger as the program uses it.

use std::path::Path;

use ragstream::document::{Metadata, Passage, Point, SparseVector};
use rusqlite::Connection;
use uuid::Uuid;

use crate::both::{Ledger, over_both_ledgers};
use crate::resume::Kept;
use crate::rig::{Kind, Rig, WIDTH};

/// Makes a ledger what versions before the sources would have written.
fn to_first_layout(path: &Path) {
    let file = Connection::open(path).unwrap();
    file.execute_batch(
        "BEGIN;
         ALTER TABLE documents RENAME TO later;
         ALTER TABLE meta RENAME TO facts;
         CREATE TABLE documents (
             uri TEXT PRIMARY KEY, size INTEGER NOT NULL, modified_ns INTEGER NOT NULL, inode INTEGER NOT NULL,
             hash BLOB NOT NULL, points BLOB NOT NULL);
         CREATE TABLE intents (uri TEXT PRIMARY KEY, ids BLOB NOT NULL);
         CREATE TABLE failures (uri TEXT PRIMARY KEY, stage TEXT NOT NULL, error TEXT NOT NULL);",
    )
    .unwrap();
    {
        let mut later = file.prepare("SELECT uri, version, hash, points FROM later").unwrap();
        let mut rows = later.query([]).unwrap();
        while let Some(row) = rows.next().unwrap() {
            let (uri, version): (String, [u8; 24]) = (row.get(0).unwrap(), row.get(1).unwrap());
            let (numbers, _) = version.as_chunks::<8>();
            let [size, modified_ns, inode] = [0, 1, 2].map(|n: usize| i64::from_le_bytes(numbers[n]));
            let (hash, points): ([u8; 32], Vec<u8>) = (row.get(2).unwrap(), row.get(3).unwrap());
            let values = rusqlite::params![uri, size, modified_ns, inode, hash, points];
            file.execute("INSERT INTO documents VALUES (?1, ?2, ?3, ?4, ?5, ?6)", values).unwrap();
        }
    }
    file.execute_batch("DROP TABLE later; PRAGMA user_version = 0; COMMIT;").unwrap();
}

#[test]
fn a_ledger_of_the_first_layout_goes_on_and_nothing_is_read_again() {
    let rig = Rig::new(Kind::Embedded);
    rig.write_documents(5);
    rig.complete();
    let whole = rig.contents();
    to_first_layout(&rig.ledger());
    for n in 0..5 {
        // Who read it would see other words, under the same size, time and inode.
        let name = format!("docs/{n:02}.txt");
        let mut kept = Kept::of(&rig, &name);
        kept.content.reverse();
        kept.restore();
    }
    let status = rig.run(&["status", "--json"]).expect_code(0).last("status");
    assert_eq!(status["documents"], 5, "{status}");
    let plan = rig.run(&["plan", "--json"]).expect_code(0).last("plan");
    assert_eq!(plan["documents"]["unchanged"], 5, "{plan}");
    for _ in 0..2 {
        let again = rig.complete();
        assert_eq!((&again["documents"]["unchanged"], &again["embeddings"]["embedded"]), (&5.into(), &0.into()), "{again}");
        assert_eq!((&again["chunks"]["upserted"], &again["chunks"]["deleted"]), (&0.into(), &0.into()), "{again}");
    }
    assert_eq!(rig.contents(), whole);
    rig.project.remove("docs/03.txt");
    assert_eq!(rig.complete()["documents"]["removed"], 1);
}

/// A page that another source gave, as an index that was filled by several has it.
fn page(n: u64, uri: &str) -> Point {
    let passage = Passage {
        columns: None,
        page: None,
        anchor: None,
        context: None,
        uri: uri.into(),
        start: 0,
        end: 4,
        lines: (1, 1),
        index: 0,
        title: None,
        headings: Vec::new(),
        text: "page".into(),
        modified: 0,
        lang: None,
        source: Some("site".into()),
        metadata: Metadata::new(),
    };
    let mut dense = vec![0.0; WIDTH];
    dense[0] = 1.0;
    Point { id: Uuid::from_u128(n.into()), dense, sparse: SparseVector::default(), passage }
}

over_both_ledgers! {
    what_another_source_gave_stays
    what_is_passed_over_is_counted_by_identifiers_and_shown_in_words
}

fn what_another_source_gave_stays(ledger: Ledger) {
    for &kind in ledger.kinds() {
        what_another_source_gave_stays_with(&Rig::new(kind));
    }
}

fn what_another_source_gave_stays_with(rig: &Rig) {
    rig.write_documents(2);
    rig.complete();
    let pages = ["https://w.org/a", "table/1", "/abs/page"];
    rig.put(pages.iter().zip(1..).map(|(uri, n)| page(n, uri)).collect());
    let files = |names: &[&str]| names.iter().map(|name| format!("docs/{name}.txt")).collect::<Vec<_>>();
    let expect = |rig: &Rig, names: &[&str]| {
        let mut wanted = files(names);
        wanted.extend(pages.map(str::to_owned));
        wanted.sort_unstable();
        assert_eq!(rig.contents().uris(), wanted);
    };
    rig.ingest(&["--prune"]).expect_code(0);
    expect(rig, &["00", "01"]);

    rig.lose_ledger();
    rig.ingest(&["--prune"]).expect_code(0);
    expect(rig, &["00", "01"]);
    assert_eq!(rig.run(&["plan", "--json", "--prune"]).expect_code(0).last("plan")["documents"]["removed"], 0);

    // Several workers have the sources of their file, and no others.
    if rig.together.is_some() {
        return;
    }
    rig.lose_ledger();
    rig.ingest(&["docs", "--prune"]).expect_code(0);
    rig.ingest(&[".", "--prune"]).expect_code(0);
    assert!(pages.iter().all(|uri| rig.contents().uris().contains(uri)), "neither a folder nor all of them");

    rig.lose_ledger();
    rig.project.remove("docs/00.txt");
    let removed = rig.ingest(&["docs", "--prune"]).expect_code(0).last("summary");
    assert_eq!(removed["documents"]["removed"], 1, "what the folder itself had is gone: {removed}");
    assert!(pages.iter().all(|uri| rig.contents().uris().contains(uri)));
}

fn what_is_passed_over_is_counted_by_identifiers_and_shown_in_words(ledger: Ledger) {
    let rig = Rig::new(ledger.kind(0));
    rig.write_documents(1);
    rig.project.write("docs/picture.png", "x");
    rig.project.write("docs/binary.txt", [0, 1, 2, 3, 0xff, 0]);
    rig.project.write("docs/empty.txt", "");
    rig.project.write("docs/.hidden.txt", "x");
    std::os::unix::fs::symlink("00.txt", rig.project.path("docs/link.txt")).unwrap();
    let summary = rig.complete();
    let skipped =
        serde_json::json!([["binary", 1], ["empty", 1], ["hidden", 1], ["symbolic_link", 1], ["unsupported_format", 1]]);
    assert_eq!(summary["skipped"], skipped, "{summary}");
    let shown = rig.run(&["ingest"]).expect_code(0).stderr;
    assert!(
        shown.contains("skipped: 1 binary, 1 empty, 1 hidden, 1 of formats that are not read, 1 symbolic links"),
        "{shown}"
    );
    // Each of them is named to who asks for it.
    let named = rig.run(&["ingest", "-v"]).expect_code(0).stderr;
    for said in ["docs/picture.png: its format is not read", "docs/empty.txt: there is nothing in it"] {
        assert!(named.lines().any(|line| line.starts_with("skipped ") && line.ends_with(said)), "{said}: {named}");
        assert!(!shown.contains(said), "{said}: {shown}");
    }
    let told = |asked: &[&str]| rig.run(asked).expect_code(0).of_type("skipped");
    let events = told(&["ingest", "--json", "-v"]);
    let is_picture = |event: &serde_json::Value| event["uri"].as_str().is_some_and(|uri| uri.ends_with("docs/picture.png"));
    let picture: Vec<_> = events.iter().filter(|event| is_picture(event)).map(|event| &event["reason"]).collect();
    assert!(events.len() == 5 && picture == ["unsupported_format"], "{events:?}");
    assert!(told(&["ingest", "--json"]).is_empty());
}
