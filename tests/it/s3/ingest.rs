//! Buckets through the real program: what is added, changed, renamed and removed, watched, killed and asked about.

use std::time::Duration;

use serde_json::Value;

use super::{KEY, SECRET, Stored, moto};
use crate::both::{Home, Ledger, over_both_ledgers};
use crate::project::{Ended, Project, ended};

/// A project whose pipeline `docs` has this bucket.
fn project(ledger: Ledger, bucket: &str, more: &str) -> Home {
    let project = Project::new().with("AWS_ACCESS_KEY_ID", KEY).with("AWS_SECRET_ACCESS_KEY", SECRET);
    let home = Home::of(ledger, project.with("AWS_ENDPOINT_URL_S3", moto()));
    home.write("docs.yaml", format!("name: docs\nsources:\n  - s3: {{ bucket: {bucket}{more} }}\n{}", home.store()));
    home
}

over_both_ledgers! {
    a_bucket_is_followed
    a_run_that_is_killed_goes_on_where_it_was
}

fn silent(ended: Ended) -> Ended {
    for told in [&ended.stdout, &ended.stderr] {
        assert!(!told.contains(SECRET) && !told.contains("X-Amz"), "{told}");
    }
    ended
}

fn ingest(project: &Project, code: i32) -> Value {
    silent(project.run(&["ingest", "-p", "docs.yaml", "--json"])).expect_code(code).last("summary")
}

fn counts(summary: &Value) -> [u64; 5] {
    ["added", "changed", "removed", "unchanged", "failed"].map(|name| summary["documents"][name].as_u64().unwrap())
}

fn uris(project: &Project) -> Vec<String> {
    let all = project.everything(&["-p", "docs.yaml"]);
    let mut uris: Vec<String> = all.iter().map(|hit| hit["uri"].as_str().unwrap().to_owned()).collect();
    uris.dedup();
    uris
}

fn a_bucket_is_followed(ledger: Ledger) {
    let bucket = format!("followed-{}", ledger.name());
    let stored = Stored::new(&bucket);
    for (key, body) in [
        ("docs/kettle.md", "# Kettle\n\nIt whistles when the water boils."),
        ("docs/茶壶.md", "紫砂茶壶，适合泡乌龙茶。"),
        ("docs/towel.md", "A towel of linen."),
        ("other/x.md", "Elsewhere."),
    ] {
        stored.put(key, body);
    }
    let project = project(ledger, &bucket, ", prefix: docs, exclude: [\"draft/**\"]");
    let planned = silent(project.run(&["plan", "-p", "docs.yaml"])).expect_code(0);
    assert!(planned.stdout.contains("3 seen") && planned.stdout.contains("3 new"), "{}", planned.stdout);
    assert_eq!(counts(&ingest(&project, 0)), [3, 0, 0, 0, 0]);
    let docs = ["kettle", "towel", "茶壶"].map(|name| format!("s3://{bucket}/docs/{name}.md"));
    assert_eq!(uris(&project), docs);
    let again = ingest(&project, 0);
    assert_eq!((counts(&again), &again["embeddings"]["embedded"]), ([0, 0, 0, 3, 0], &0.into()));
    // One changed, one renamed, one new, one that is left out.
    stored.put("docs/kettle.md", "# Kettle\n\nIt whistles loudly.");
    stored.remove("docs/towel.md");
    stored.put("docs/linen/towel.md", "A towel of linen.");
    stored.put("docs/cup.md", "A cup.");
    stored.put("docs/draft/b.md", "Not yet.");
    let changed = ingest(&project, 0);
    assert_eq!(counts(&changed), [2, 1, 1, 1, 0], "{changed}");
    let found = project.run(&["search", "-p", "docs.yaml", "--json", "does it whistle loudly"]).expect_code(0).of_type("hit");
    assert_eq!(found[0]["uri"], docs[0]);
    let status = silent(project.run(&["status", "-p", "docs.yaml"])).expect_code(0);
    assert!(status.stdout.contains('4'), "{}", status.stdout);
    // The whole bucket gone from under it: nothing is removed before that is said to be meant.
    for key in ["docs/kettle.md", "docs/茶壶.md", "docs/linen/towel.md", "docs/cup.md"] {
        stored.remove(key);
    }
    assert_eq!(counts(&ingest(&project, 1))[2], 0);
    assert_eq!(uris(&project).len(), 4);
    let pruned = project.run(&["ingest", "-p", "docs.yaml", "--json", "--prune"]).expect_code(0).last("summary");
    assert_eq!(pruned["documents"]["removed"], 4);
}

fn a_run_that_is_killed_goes_on_where_it_was(ledger: Ledger) {
    let bucket = format!("killed-{}", ledger.name());
    let stored = Stored::new(&bucket);
    stored.put_all((0..400).map(|n| format!("{n:04}.md")));
    let project = project(ledger, &bucket, "");
    let mut killed = 0;
    for pause in [300, 500, 700, 900, 1_100] {
        let mut run = project.start(&["ingest", "-p", "docs.yaml", "--json"]);
        std::thread::sleep(Duration::from_millis(pause));
        run.kill().unwrap();
        killed += u32::from(silent(ended(run)).code != 0);
        project.all_are_dead();
    }
    assert!(killed > 0, "every run was done before it was killed");
    ingest(&project, 0);
    let expected: Vec<String> = (0..400).map(|n| format!("s3://{bucket}/{n:04}.md")).collect();
    assert_eq!(uris(&project), expected);
    assert_eq!(counts(&ingest(&project, 0)), [0, 0, 0, 400, 0]);
}

#[test]
fn a_watch_compares_now_and_then() {
    let stored = Stored::new("watched");
    stored.put("a.md", "The first.");
    let project = project(Ledger::Sqlite, "watched", "");
    let run = project.start(&["ingest", "-p", "docs.yaml", "--json", "--watch", "--every", "1s"]);
    let until = |what: &str, count: usize| {
        crate::rig::until(what, || {
            std::thread::sleep(Duration::from_millis(200));
            let all = project.run(&["search", "a", "-k", "1000", "--json", "-p", "docs.yaml"]);
            all.code == 0 && all.of_type("hit").len() == count
        });
    };
    until("the first is there", 1);
    stored.put("b.md", "The second.");
    until("the second is there", 2);
    stored.remove("a.md");
    until("the first is gone", 1);
    crate::rig::signal(&run, "INT");
    silent(ended(run));
}

#[test]
fn what_cannot_be_meant_is_refused() {
    let check = |source: &str, part: &str, variables: bool| {
        let mut project = Project::new();
        if variables {
            project = project.with("AWS_ACCESS_KEY_ID", KEY).with("AWS_SECRET_ACCESS_KEY", SECRET);
        }
        project.write("docs.yaml", format!("name: docs\nsources:\n  - {source}\n"));
        let ended = silent(project.run(&["check", "docs.yaml"]));
        let told = format!("{}{}", ended.stdout, ended.stderr);
        assert!(told.contains(part), "`{part}` for {source}: {told}");
        ended.code
    };
    assert_ne!(check("s3: { bucket: docs }", "nothing says who asks", false), 0);
    assert_eq!(check("s3: { bucket: docs, anonymous: true }", "", false), 0);
    assert_eq!(check("s3: { bucket: docs }", "", true), 0);
    assert_ne!(check("s3: { bucket: s3://docs/a }", "more than the name of a bucket", true), 0);
    assert_ne!(check("s3: { bucket: docs, access_key: x }", "without `secret_key`", true), 0);
    assert_ne!(check("s3: { bucket: docs, endpoint: \"ftp://h\" }", "`endpoint` is no address", true), 0);
    assert_ne!(check("s3: { bucket: docs, region: \"a b\" }", "region", true), 0);
    assert_ne!(check("s3: { bucket: docs, exclude: [\"a{\"] }", "is not a glob", true), 0);
    assert_ne!(check("s3://docs/手册", "bucket: \"docs\", prefix: \"手册\"", true), 0);
    assert_ne!(
        check("s3: { bucket: docs }\n  - s3: { bucket: docs, endpoint: \"https://b.example\" }", "two sources", true),
        0
    );
    let literal = format!("s3: {{ bucket: docs, access_key: {KEY}, secret_key: \"p0st1t-note\" }}");
    check(&literal, "in plain sight", false);
}
