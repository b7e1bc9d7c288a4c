use super::*;

fn ledger() -> (tempfile::TempDir, Ledger) {
    let folder = tempfile::tempdir().unwrap();
    let ledger = Ledger::open(&folder.path().join("docs.ledger")).unwrap();
    ledger.begin_run().unwrap();
    (folder, ledger)
}

fn found(uri: &str, size: u64) -> Found {
    let stamp = Stamp { size, modified_ns: 1_000, inode: 7 };
    Found { uri: uri.into(), path: uri.into(), stamp }
}

fn finish(ledger: &Ledger, file: &Found) {
    let points = [Recorded { id: Uuid::from_u128(file.stamp.size.into()), digest: u64::MAX - 3 }];
    ledger.done(&file.uri, file.stamp, &[9; 32], &points).unwrap();
}

#[test]
fn a_file_is_changed_until_it_is_done_and_again_when_its_stamp_differs() {
    let (_folder, ledger) = ledger();
    let file = found("a.md", 10);
    assert_eq!(ledger.changed(vec![file.clone(), file.clone()]).unwrap().len(), 1, "once, also when it is named twice");
    finish(&ledger, &file);
    ledger.begin_run().unwrap();
    assert_eq!(ledger.changed(vec![file.clone()]).unwrap(), []);
    ledger.begin_run().unwrap();
    assert_eq!(ledger.changed(vec![found("a.md", 11)]).unwrap().len(), 1);
    let entry = ledger.entry("a.md").unwrap().unwrap();
    assert_eq!(entry.points, [Recorded { id: Uuid::from_u128(10), digest: u64::MAX - 3 }]);
}

#[test]
fn a_file_modified_just_now_is_compared_by_content_next_time() {
    let (_folder, ledger) = ledger();
    let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap();
    let mut file = found("a.md", 10);
    file.stamp.modified_ns = now.as_nanos() as i64;
    finish(&ledger, &file);
    assert_eq!(ledger.changed(vec![file]).unwrap().len(), 1);
}

#[test]
fn intents_add_up_until_the_document_is_done() {
    let (_folder, ledger) = ledger();
    let (one, two) = (Uuid::from_u128(1), Uuid::from_u128(2));
    ledger.intend("a.md", &[one], &[]).unwrap();
    ledger.intend("a.md", &[two, one], &[]).unwrap();
    assert_eq!(ledger.intended("a.md").unwrap(), [one, two]);
    finish(&ledger, &found("a.md", 1));
    assert!(ledger.intended("a.md").unwrap().is_empty());
}

#[test]
fn gone_is_what_was_known_and_not_seen_below_the_roots_that_could_be_read() {
    let (_folder, ledger) = ledger();
    for uri in ["docs/a.md", "docs/b/c.md", "docs2/x.md", "/abs/y.md"] {
        finish(&ledger, &found(uri, 1));
    }
    ledger.intend("docs/begun.md", &[Uuid::from_u128(1)], &[]).unwrap();
    ledger.note_seen("docs/a.md").unwrap();
    let mut scope = Scope { roots: Some(vec!["docs".into()]), unreadable: vec![] };
    assert_eq!(ledger.count_gone(&scope).unwrap(), (3, 2));
    assert_eq!(ledger.gone(&scope, "").unwrap().0, ["docs/b/c.md", "docs/begun.md"]);
    scope.unreadable.push("docs/b".into());
    assert_eq!(ledger.gone(&scope, "").unwrap().0, ["docs/begun.md"]);
    assert_eq!(ledger.count_gone(&Scope::default()).unwrap(), (5, 4));
    let base = Scope { roots: Some(vec![".".into()]), unreadable: vec![] };
    assert_eq!(ledger.count_gone(&base).unwrap(), (4, 3));
}

#[test]
fn one_writer_at_a_time_and_readers_beside_it() {
    let (folder, ledger) = ledger();
    finish(&ledger, &found("a.md", 1));
    let path = folder.path().join("docs.ledger");
    let busy = Ledger::open(&path).unwrap_err();
    assert!(busy.to_string().contains(&format!("process {}", std::process::id())), "{busy}");
    assert_eq!(Ledger::open_to_read(&path).unwrap().unwrap().counts().unwrap(), (1, 0));
    assert!(Ledger::open_to_read(&folder.path().join("none")).unwrap().is_none());
    drop(ledger);
    Ledger::open(&path).unwrap();
}

#[test]
fn an_intent_takes_back_what_is_recorded_and_the_word_for_the_store() {
    let (_folder, ledger) = ledger();
    let file = found("a.md", 1);
    finish(&ledger, &file);
    ledger.set_fact("generation", "x").unwrap();
    let kept = Recorded { id: Uuid::from_u128(9), digest: 0 };
    ledger.intend("a.md", &[Uuid::from_u128(1)], &[kept]).unwrap();
    assert_eq!(ledger.fact("generation").unwrap(), None);
    assert_eq!(ledger.changed(vec![file]).unwrap().len(), 1, "even with the stamp that it was recorded with");
    assert_eq!(ledger.entry("a.md").unwrap().unwrap(), Entry { hash: [0; 32], points: vec![kept], modified_ns: i64::MIN });
}

#[test]
fn a_failure_stays_until_the_document_is_done() {
    let (_folder, ledger) = ledger();
    let failure = FailedDocument { uri: "a.md".into(), stage: "parse".into(), error: "broken".into() };
    let file = found("a.md", 1);
    finish(&ledger, &file);
    ledger.fail(&failure).unwrap();
    assert_eq!(ledger.failures(10).unwrap(), [failure]);
    assert_eq!(ledger.changed(vec![file]).unwrap().len(), 1, "tried again, also as it was before it failed");
    finish(&ledger, &found("a.md", 1));
    assert_eq!(ledger.failures(10).unwrap(), []);
}
