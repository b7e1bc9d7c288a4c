//! `push`: the program copies an index from one store into another, and a pipeline goes on with the copy. Mostly between servers,
//! which can misbehave.

mod two;

use std::sync::atomic::Ordering::SeqCst;

use ragstream::vectordb::embedded::EmbeddedStore;
use ragstream::vectordb::{IndexMeta, VectorStore};
use uuid::Uuid;

use self::two::{Two, chinese, english};
use crate::project::ended;
use crate::rig::{Kind, Rig, WIDTH, signal, until, without_secrets};

const KEY: &str = "s3cr3t-of-the-other-server";

#[test]
fn the_copy_is_the_index_bit_by_bit() {
    let two = Two::new();
    let ingested = two.rig.complete();
    let paid = two.rig.paid.load(SeqCst);
    let pushed = two.pushed();
    two.expect_equal();
    let points = &ingested["chunks"]["upserted"];
    assert_eq!((&pushed["points"], &pushed["written"]), (points, points));
    assert_eq!((&pushed["kept"], &pushed["removed"]), (&0.into(), &0.into()));
    assert_eq!((&pushed["outcome"], &pushed["pipeline"]), (&"complete".into(), &"docs".into()));
    assert_eq!(pushed["store"]["qdrant"]["collection"], "copy");
    assert_eq!(two.rig.paid.load(SeqCst), paid);

    let again = two.pushed();
    assert_eq!((&again["written"], &again["kept"]), (&0.into(), points));

    // What has changed since is brought over, and nothing else.
    two.rig.project.write("docs/keys.md", english("Friday"));
    two.rig.project.remove("docs/00.txt");
    let changed = two.rig.complete();
    let brought = two.pushed();
    two.expect_equal();
    assert_eq!(brought["removed"], changed["chunks"]["deleted"]);
    assert_eq!(brought["written"], changed["chunks"]["upserted"]);
}

/// Outgrowing a machine is one command: afterwards the pipeline goes on as if nothing had happened.
#[test]
fn a_pipeline_goes_on_with_the_copy() {
    let two = Two::new();
    let documents = two.rig.complete()["documents"]["seen"].clone();
    let ended = two.push(&["--quiet"]).expect_code(0);
    assert_eq!(ended.stderr, "");
    let url = two.other.url.as_str();
    assert_eq!(ended.stdout, format!("store:\n  qdrant: {{ url: \"{url}\", collection: \"copy\" }}\n"));
    two.use_instead(&ended.stdout);
    let before = two.raw(&two.other, "copy");
    let paid = two.rig.paid.load(SeqCst);

    // Not even what is in the cache is needed.
    std::fs::remove_dir_all(two.rig.project.path("cache")).unwrap();
    let unchanged = two.rig.ingest(&["-vv"]).expect_code(0);
    assert!(!unchanged.stderr.contains("looking through the store"), "{}", unchanged.stderr);
    let summary = unchanged.last("summary");
    assert_eq!(summary["documents"]["unchanged"], documents, "{summary}");
    for count in ["added", "changed", "removed", "failed"] {
        assert_eq!(summary["documents"][count], 0, "{summary}");
    }
    for count in ["embedded", "cache_hits"] {
        assert_eq!(summary["embeddings"][count], 0, "{summary}");
    }
    assert_eq!((&summary["chunks"]["upserted"], &summary["chunks"]["deleted"]), (&0.into(), &0.into()));
    assert_eq!(two.rig.paid.load(SeqCst), paid);
    assert_eq!(two.raw(&two.other, "copy"), before);
    assert_eq!(summary.get("other_home"), None, "the copy is this home's");

    two.rig.project.write("docs/密钥.md", chinese("五"));
    let summary = two.rig.complete();
    assert_eq!((&summary["documents"]["changed"], &summary["documents"]["removed"]), (&1.into(), &0.into()), "{summary}");
    let embedded = two.rig.paid.load(SeqCst) - paid;
    assert!((1..=2).contains(&embedded), "{embedded} texts embedded for one paragraph");
    assert_ne!(two.meta(&two.copy()), two.meta(&two.source()), "the old index is as it was");
}

#[test]
fn a_push_that_was_killed_is_gone_on_with() {
    let two = Two::new();
    two.rig.complete();
    two.put_many(3000);
    two.other.faults.slow_ms.store(30, SeqCst);
    let mut child = two.rig.project.start(&two.arguments(&[]));
    until("some pages", || two.other.faults.calls.load(SeqCst) > 18);
    child.kill().unwrap();
    ended(child);
    two.other.faults.slow_ms.store(0, SeqCst);
    let cut = two.runtime.block_on(two.copy().count()).unwrap();
    assert!((256..3000).contains(&cut), "{cut}");
    assert_ne!(two.meta(&two.copy()).unwrap().generation, two.meta(&two.source()).unwrap().generation);

    let pushed = two.pushed();
    two.expect_equal();
    assert_eq!(pushed["kept"], cut, "what was there is not sent again");
}

#[test]
fn ctrl_c_finishes_what_is_in_flight() {
    let two = Two::new();
    two.rig.complete();
    two.put_many(3000);
    two.other.faults.slow_ms.store(50, SeqCst);
    let child = two.rig.project.start(&two.arguments(&["--json"]));
    until("some pages", || two.other.faults.calls.load(SeqCst) > 18);
    signal(&child, "INT");
    let first = without_secrets(ended(child)).expect_code(130).last("push");
    assert_eq!(first["outcome"], "interrupted");
    two.other.faults.slow_ms.store(0, SeqCst);
    assert_eq!(two.runtime.block_on(two.copy().count()).unwrap(), first["written"].as_u64().unwrap());
    let second = two.pushed();
    assert_eq!(second["kept"], first["written"]);
    two.expect_equal();
}

#[test]
fn a_server_that_refuses_for_a_while_or_is_cut_is_waited_for() {
    let two = Two::new();
    two.rig.complete();
    two.put_many(1500);
    let source = &two.rig.server.as_ref().unwrap().faults;
    let copy = &two.other.faults;
    // While the collection is made, a server that is starting is waited for a few seconds; later it may take longer.
    for (after, fault, times) in [
        (7, &copy.unavailable, 3),
        (7, &copy.cut, 1),
        (14, &copy.unavailable, 9),
        (14, &copy.cut, 1),
        (14, &source.unavailable, 5),
    ] {
        let before = copy.calls.load(SeqCst);
        copy.slow_ms.store(10, SeqCst);
        let mut child = two.rig.project.start(&two.arguments(&["--json"]));
        until("it to begin", || copy.calls.load(SeqCst) > before + after || child.try_wait().unwrap().is_some());
        fault.store(times, SeqCst);
        copy.slow_ms.store(0, SeqCst);
        without_secrets(ended(child)).expect_code(0).last("push");
        two.expect_equal();
        assert_eq!(fault.swap(0, SeqCst), 0, "it met with the fault");
        two.runtime.block_on(two.copy().drop_index()).unwrap();
    }
}

#[test]
fn a_server_that_breaks_ends_it_and_it_goes_on_from_there() {
    let two = Two::new();
    two.rig.complete();
    two.put_many(3000);
    two.other.faults.slow_ms.store(20, SeqCst);
    let child = two.rig.project.start(&two.arguments(&[]));
    until("some pages", || two.other.faults.calls.load(SeqCst) > 18);
    two.other.faults.broken.store(100, SeqCst);
    let ended = without_secrets(ended(child)).expect_code(2);
    assert!(ended.stderr.contains("out of disk"), "{}", ended.stderr);
    two.other.faults.slow_ms.store(0, SeqCst);
    two.other.faults.broken.store(0, SeqCst);
    let pushed = two.pushed();
    assert!(pushed["kept"].as_u64() > Some(0), "{pushed}");
    two.expect_equal();
}

#[test]
fn an_index_that_changes_meanwhile_is_to_be_pushed_again() {
    let two = Two::new();
    two.rig.complete();
    two.put_many(1500);
    two.other.faults.slow_ms.store(50, SeqCst);
    let child = two.rig.project.start(&two.arguments(&[]));
    until("some pages", || two.other.faults.calls.load(SeqCst) > 12);
    // Another home's ingest has ended.
    let source = two.source();
    let meta = IndexMeta { generation: Uuid::new_v5(&Uuid::NAMESPACE_OID, b"other"), ..two.meta(&source).unwrap() };
    two.runtime.block_on(source.set_meta(&meta)).unwrap();
    two.other.faults.slow_ms.store(0, SeqCst);
    let ended = without_secrets(ended(child)).expect_code(1);
    assert!(ended.stderr.contains("run the same command again"), "{}", ended.stderr);
    assert_eq!(ended.stdout, "", "it is not to be used yet");
    assert_ne!(two.meta(&two.copy()).unwrap().generation, meta.generation);
    two.push(&[]).expect_code(0);
    two.expect_equal();
}

/// A copy of what is half done could be taken for the whole.
#[test]
fn an_ingest_and_a_push_exclude_each_other() {
    let two = Two::new();
    two.rig.complete();
    two.put_many(1500);
    two.other.faults.slow_ms.store(400, SeqCst);
    let child = two.rig.project.start(&two.arguments(&[]));
    until("some pages", || two.other.faults.calls.load(SeqCst) > 9);
    let refused = two.rig.ingest(&[]).expect_code(2);
    assert!(refused.stderr.contains(&format!("process {}", child.id())), "{}", refused.stderr);
    two.other.faults.slow_ms.store(0, SeqCst);
    without_secrets(ended(child)).expect_code(0);
    two.expect_equal();
    two.rig.complete();
}

#[test]
fn what_is_not_a_copy_is_not_overwritten_unasked() {
    let two = Two::new();
    let none = two.push(&[]).expect_code(2);
    assert!(none.stderr.contains("there is no index at docs at") && none.stderr.contains("hint:"), "{}", none.stderr);
    two.rig.complete();

    let copy = two.copy();
    let theirs = IndexMeta { model: "openai/other".into(), home: None, ..two.meta(&two.source()).unwrap() };
    two.runtime.block_on(copy.create(&theirs)).unwrap();
    let refused = two.push(&[]).expect_code(2);
    assert!(refused.stderr.contains("made with the model openai/other"), "{}", refused.stderr);
    assert!(refused.stderr.contains("--collection") && refused.stderr.contains("--replace"), "{}", refused.stderr);
    assert_eq!(two.meta(&two.copy()), Some(theirs));
    two.push(&["--replace"]).expect_code(0);
    two.expect_equal();

    let home = IndexMeta { home: Some("/home/of/somebody".into()), ..two.meta(&two.source()).unwrap() };
    two.runtime.block_on(two.copy().set_meta(&home)).unwrap();
    let refused = two.push(&[]).expect_code(2);
    assert!(refused.stderr.contains("/home/of/somebody") && refused.stderr.contains("--replace"), "{}", refused.stderr);
    two.push(&["--replace"]).expect_code(0);
    two.expect_equal();
}

#[test]
fn an_index_cannot_be_pushed_onto_itself() {
    let two = Two::new();
    two.rig.complete();
    let before = two.raw(two.rig.server.as_ref().unwrap(), "docs");
    let url = two.rig.server.as_ref().unwrap().url.as_str();
    for more in [&["--collection", "docs"][..], &[], &["--replace"]] {
        let arguments = [&["push", "-p", "docs.yaml", "--to", "qdrant", "--url", url], more].concat();
        let refused = without_secrets(two.rig.project.run(&arguments)).expect_code(2);
        assert!(refused.stderr.contains("is the index itself"), "{}", refused.stderr);
    }
    assert_eq!(two.raw(two.rig.server.as_ref().unwrap(), "docs"), before);
}

#[test]
fn a_key_comes_from_a_variable_and_stays_there() {
    let two = Two::of(Kind::Qdrant, Some(KEY));
    two.rig.complete();
    let refused = two.push(&[]).expect_code(2);
    assert!(refused.stderr.contains("API key"), "{}", refused.stderr);
    let unset = two.push(&["--api-key-env", "OUR_KEY"]).expect_code(2);
    assert!(unset.stderr.contains("OUR_KEY") && unset.stderr.contains("not set"), "{}", unset.stderr);

    let Two { rig, other, runtime } = two;
    let Rig { project, .. } = rig;
    let project = project.with("QDRANT_API_KEY", KEY).with("OUR_KEY", KEY);
    for (variable, more) in [("QDRANT_API_KEY", &[][..]), ("OUR_KEY", &["--api-key-env", "OUR_KEY"])] {
        let arguments = [&["push", "docs.yaml", "--to", "qdrant", "--url", other.url.as_str(), "--collection", variable], more];
        let pushed = without_secrets(project.run(&arguments.concat())).expect_code(0);
        assert!(pushed.stdout.contains(&format!("api_key: \"${{{variable}}}\"")), "{}", pushed.stdout);
    }
    drop(runtime);
}

#[test]
fn what_makes_no_sense_is_said() {
    let two = Two::new();
    for (arguments, says) in [
        (&["push", "docs.yaml"][..], "--to"),
        (&["push", "docs.yaml", "--to", "edge"], "embedded"),
        (&["push", "docs.yaml", "--to", "qdrant", "--path", "x"], "--path"),
        (&["push", "docs.yaml", "--to", "embedded", "--url", "http://x"], "--url"),
        (&["push", "docs.yaml", "--to", "qdrant", "--url", "ftp://x"], "not a web address"),
        (&["push", "docs.yaml", "--to", "qdrant", "--collection", "a/b"], "cannot be the name of a collection"),
        (&["push", "docs.yaml", "-p", "docs.yaml", "--to", "qdrant"], "cannot be used with"),
        (&["push", "nowhere", "--to", "qdrant"], "no pipeline"),
    ] {
        let refused = two.rig.project.run(arguments).expect_code(2);
        assert!(refused.stderr.contains(says) && refused.stdout.is_empty(), "{arguments:?}: {}", refused.stderr);
    }
}

#[test]
fn a_person_is_told_what_happened() {
    let two = Two::new();
    two.rig.complete();
    let said = two.push(&[]).expect_code(0);
    assert!(
        said.stderr.contains("chunks of docs at http://") && said.stderr.contains(" to copy at http://"),
        "{}",
        said.stderr
    );
    assert!(said.stderr.ends_with("To use the copy, put this into the pipeline:\n"), "{}", said.stderr);
    assert!(said.stdout.starts_with("store:\n  qdrant: { url: "), "{}", said.stdout);
    let again = two.push(&[]).expect_code(0);
    assert!(again.stderr.contains("  0 written, ") && again.stderr.contains(" there already"), "{}", again.stderr);
}

/// Out of one machine and back into it: each time the pipeline goes on with the copy, and finds what it found before.
#[test]
fn from_an_embedded_index_to_a_server_and_back() {
    let two = Two::of(Kind::Embedded, None);
    let documents = two.rig.complete()["documents"]["seen"].clone();
    let found = two.rig.project.everything(&["-p", "docs.yaml"]);
    // What an ingest writes into a server.
    let embedded = two.rig.project.read("docs.yaml");
    two.use_instead(&format!("store: {{ qdrant: {{ url: \"{}\", collection: direct }} }}\n", two.other.url));
    two.rig.project.run(&["ingest", "-p", "docs.yaml", "--home", "other-home"]).expect_code(0);
    let direct = two.raw(&two.other, "direct");
    two.rig.project.write("docs.yaml", embedded);
    let paid = two.rig.paid.load(SeqCst);
    std::fs::remove_dir_all(two.rig.project.path("cache")).unwrap();

    let url = two.other.url.as_str();
    let to_server = ["push", "docs.yaml", "--to", "qdrant", "--url", url, "--collection", "copy"];
    for (arguments, store) in [
        (&to_server[..], "qdrant: { url: "),
        (&["push", "docs.yaml", "--to", "embedded", "--path", "back"], "embedded: { path: "),
        (&to_server[..], "qdrant: { url: "),
        (&["push", "docs.yaml", "--to", "embedded"], "embedded: {}"),
    ] {
        let pushed = without_secrets(two.rig.project.run(arguments)).expect_code(0);
        assert!(pushed.stdout.starts_with(&format!("store:\n  {store}")), "{}", pushed.stdout);
        two.use_instead(&pushed.stdout);
        let unchanged = two.rig.ingest(&["-vv"]).expect_code(0);
        assert!(!unchanged.stderr.contains("looking through the store"), "{arguments:?}: {}", unchanged.stderr);
        let summary = unchanged.last("summary");
        assert_eq!(summary["documents"]["unchanged"], documents, "{arguments:?}: {summary}");
        assert_eq!((&summary["chunks"]["upserted"], &summary["chunks"]["deleted"]), (&0.into(), &0.into()), "{summary}");
        assert_eq!(two.rig.project.everything(&["-p", "docs.yaml"]), found, "{arguments:?}");
        if store.starts_with("qdrant") {
            let copy = two.raw(&two.other, "copy");
            assert_eq!(copy.keys().collect::<Vec<_>>(), direct.keys().collect::<Vec<_>>());
            for (id, (dense, indices, weights, payload)) in &direct {
                let (found, found_indices, found_weights, found_payload) = &copy[id];
                assert_eq!((found_indices, found_weights, found_payload), (indices, weights, payload));
                let near = |(a, b): (&u32, &u32)| (f32::from_bits(*a) - f32::from_bits(*b)).abs() < 2e-3;
                assert!(found.iter().zip(dense).all(near) && found.len() == WIDTH, "{id}");
            }
        }
    }
    assert_eq!(two.rig.paid.load(SeqCst) - paid, 1, "the question of the searches, once");
    two.rig.project.write("docs/keys.md", english("Friday"));
    let summary = two.rig.complete();
    assert_eq!((&summary["documents"]["changed"], &summary["documents"]["removed"]), (&1.into(), &0.into()), "{summary}");
}

#[test]
fn a_push_into_an_embedded_index_that_was_killed_is_gone_on_with() {
    let two = Two::new();
    two.rig.complete();
    two.put_many(3000);
    let source = two.rig.server.as_ref().unwrap();
    let arguments = ["push", "docs.yaml", "--to", "embedded", "--path", "back", "--json"];
    source.faults.slow_ms.store(30, SeqCst);
    let before = source.faults.calls.load(SeqCst);
    let mut child = two.rig.project.start(&arguments);
    until("some pages", || source.faults.calls.load(SeqCst) > before + 11);
    child.kill().unwrap();
    ended(child);
    source.faults.slow_ms.store(0, SeqCst);

    let pushed = without_secrets(two.rig.project.run(&arguments)).expect_code(0).last("push");
    assert!(pushed["kept"].as_u64() >= Some(256) && pushed["written"].as_u64() > Some(256), "{pushed}");
    let all = |store: &dyn VectorStore| two.runtime.block_on(store.scroll_points(None, 10_000)).unwrap();
    let back = EmbeddedStore::new(two.rig.project.path("back"));
    let (wanted, found) = (all(&two.source()), all(&back));
    assert_eq!(wanted.len(), found.len());
    for ((id, dense, passage), (found_id, found_dense, found_passage)) in wanted.iter().zip(&found) {
        assert_eq!((id, passage), (found_id, found_passage));
        assert!(dense.iter().zip(found_dense).all(|(a, b)| (a - b).abs() < 2e-3), "{dense:?} {found_dense:?}");
    }
    assert_eq!(two.runtime.block_on(back.meta()).unwrap(), two.meta(&two.source()));
    two.runtime.block_on(back.release());

    // Somebody else writes there.
    let mut busy = two.meta(&two.source()).unwrap();
    busy.generation = Uuid::new_v5(&Uuid::NAMESPACE_OID, b"busy");
    two.runtime.block_on(back.set_meta(&busy)).unwrap();
    let refused = without_secrets(two.rig.project.run(&arguments)).expect_code(2);
    assert!(refused.stderr.contains(&format!("process {}", std::process::id())), "{}", refused.stderr);
}
