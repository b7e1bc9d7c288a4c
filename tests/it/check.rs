//! `check` for several machines: what is one machine's own is refused, at its place.
#![allow(clippy::unwrap_used, reason = "a test may panic")]

use std::path::Path;

use ragstream::Plan;
use ragstream::pipeline::{self, Diagnostic, Diagnostics, Level, Loaded};

use crate::project::Project;

const STORE: &str = "store: { qdrant: { url: \"http://qdrant.example:6334\" } }\n";
const DATABASE: &str = "postgres://us%65r:pa55word@db.example/ragstream";

fn parse(text: &str) -> Result<Loaded, Diagnostics> {
    pipeline::parse_for_cluster(text, "docs.yaml", Path::new("/base"), &|_| None)
}

fn place(diagnostic: &Diagnostic) -> String {
    let place = diagnostic.place.as_ref().unwrap();
    format!("{}:{} {}", place.line, place.column, diagnostic.message)
}

fn refused(text: &str) -> Vec<String> {
    let alone = pipeline::parse(text, "docs.yaml", Path::new("/base"), &|_| None);
    assert!(alone.is_ok(), "one machine may run it: {:?}", alone.err());
    parse(text).err().map(|found| found.iter().map(place).collect()).unwrap_or_default()
}

#[test]
fn what_every_machine_reaches_is_taken() {
    let sources = "sources:\n  - https://docs.example.org/\n  - web: { urls: [https://a.example/] }\n  \
                   - files: { paths: [/srv/文档, ../x/**/*.md], shared: true }\n";
    let more = "embed: { model: local/all-MiniLM-L6-v2 }\nparse: { ocr: { languages: [chi_sim] } }\n";
    let loaded = parse(&format!("{sources}{more}{STORE}")).unwrap();
    assert!(loaded.warnings.is_empty(), "{:?}", loaded.warnings);
    assert!(loaded.plan.cluster_problems().is_empty(), "{:?}", loaded.plan.cluster_problems());
}

#[cfg(all(feature = "postgres", feature = "s3"))]
#[test]
fn servers_and_buckets_are_taken() {
    let sql = "sources:\n  - sql: { url: 'postgres://db.example/shop', table: items, key: id }\n";
    let s3 = "  - s3: { bucket: docs, region: eu-central-1, anonymous: true }\n";
    let loaded = parse(&format!("{sql}{s3}{STORE}")).unwrap();
    assert!(loaded.plan.cluster_problems().is_empty(), "{:?}", loaded.plan.cluster_problems());
}

#[test]
fn what_one_machine_has_alone_is_refused_at_its_place() {
    let files = "is a path on one machine: the others would find nothing there, or something else";
    let store = "an embedded index is in a folder of one machine, and several cannot write to it";
    let sqlite = "an SQLite database is a file of one machine, and several cannot read it safely";
    for (text, problems) in [
        (format!("sources: [文档/手册, https://a.example/]\n{STORE}"), vec![format!("1:11 `文档/手册` {files}")]),
        (format!("sources:\n  - files: {{ paths: [./文档] }}\n{STORE}"), vec![format!("2:5 `./文档` {files}")]),
        (
            format!("sources:\n  - files: {{ paths: [docs, more], shared: false }}\n{STORE}"),
            vec![format!("2:35 `docs` {files}")],
        ),
        (
            format!("sources:\n  - sql: {{ url: 'sqlite:店.db', table: items, key: id }}\n{STORE}"),
            vec![format!("2:17 {sqlite}")],
        ),
        ("sources: []\n".to_owned(), vec![format!("1:1 no `store` is declared: {store}")]),
        ("sources: []\nstore: { embedded: { path: x } }\n".to_owned(), vec![format!("2:10 {store}")]),
        ("store:\n  edge:\n".to_owned(), vec![format!("2:3 {store}")]),
        ("sources: [docs]\nstore:\n  embedded: {}\n".to_owned(), vec![format!("1:11 `docs` {files}"), format!("3:3 {store}")]),
    ] {
        assert_eq!(refused(&text), problems, "{text}");
        let plan = pipeline::parse(&text, "docs.yaml", Path::new("/base"), &|_| None).unwrap().plan;
        assert_eq!(plan.cluster_problems().len(), problems.len(), "{text}");
    }
}

#[test]
fn a_plan_without_a_file_is_looked_at_too() {
    let plan = Plan::from_env().with_sources(["docs", "https://a.example/"]).unwrap();
    let problems = plan.cluster_problems();
    assert_eq!(problems.len(), 2, "{problems:?}");
    assert!(problems.iter().all(|problem| problem.level == Level::Error && problem.hint.is_some()), "{problems:?}");
}

#[test]
fn what_is_wrong_anyway_is_said_once() {
    let found = parse("sources: [{files: {paths: [docs], shard: true}}]\nstore: {qdrant: {url: 'ftp://x'}}\n").unwrap_err();
    let found: Vec<String> = found.iter().map(place).collect();
    assert_eq!(found.len(), 2, "{found:?}");
    assert!(found[0].contains("unknown key `shard`") && found[1].contains("web address"), "{found:?}");
}

#[test]
fn a_server_on_this_machine_is_a_warning() {
    let loaded = parse("store: { qdrant: { url: 'http://localhost:6334' } }\n").unwrap();
    assert_eq!(
        loaded.warnings.iter().map(place).collect::<Vec<_>>(),
        ["1:25 `localhost` is each machine itself: the others write to a server of their own"]
    );
}

#[test]
fn the_command_says_it_and_shows_no_password() {
    let project = Project::new();
    project.write("docs.yaml", "sources: [docs]\n");
    for arguments in [["check", "docs.yaml"], ["check", "-pdocs.yaml"]] {
        project.run(&arguments).expect_code(0);
    }
    for arguments in [["check", "docs.yaml", "--cluster", DATABASE], ["check", "-pdocs.yaml", "--cluster", DATABASE]] {
        let ended = project.run(&arguments).expect_code(1);
        assert!(ended.stderr.contains("docs.yaml:1:11") && ended.stderr.contains("shared: true"), "{}", ended.stderr);
        assert!(!format!("{}{}", ended.stdout, ended.stderr).contains("pa55"), "{ended:?}");
    }
    let project = project.with("RAGSTREAM_CLUSTER", DATABASE);
    let ended = project.run(&["check", "docs.yaml", "--json"]).expect_code(1);
    let told = ended.of_type("diagnostic");
    assert_eq!(told.len(), 2, "{told:?}");
    project.write("docs.yaml", format!("sources: [{{files: {{paths: [docs], shared: true}}}}]\n{STORE}"));
    project.run(&["check", "docs.yaml"]).expect_code(0);

    for wrong in ["mysql://root:pa55@h/db", "pa55", "postgres:/u:pa55"] {
        let ended = project.run(&["check", "docs.yaml", "--cluster", wrong]).expect_code(2);
        assert!(ended.stderr.contains("`--cluster` is not the address of a Postgres database"), "{}", ended.stderr);
        assert!(!ended.stderr.contains("pa55"), "{}", ended.stderr);
    }
    let help = project.run(&["check", "--help"]).expect_code(0);
    assert!(!help.stdout.contains("pa55"), "{}", help.stdout);
}

#[test]
fn a_pipeline_that_is_not_there_is_told_to_programs_as_well() {
    let ended = Project::new().run(&["check", "nothere", "--json"]).expect_code(2);
    let error = ended.last("error");
    assert!(error["kind"] == "invalid" && error["message"] == "no pipeline `nothere`", "{error}");
    assert!(error["hint"].as_str().is_some_and(|hint| hint.contains("pipelines/nothere.yaml")), "{error}");
}
