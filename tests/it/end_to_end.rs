//! The program as a user meets it: local embeddings, the embedded store, real files.

use std::collections::BTreeSet;

use serde_json::Value;

use crate::both::{Home, Ledger, over_both_ledgers};
use crate::project::{Ended, Project, samples};

const GUIDE: &str = "# Keys\n\nIntro to keys.\n\n## Rotation\n\nRotate a key with `lantern key rotate NAME` every ninety days.\n\n\
                     ## Revocation\n\nRevoke a key with `lantern key revoke NAME` when it has leaked.\n";

over_both_ledgers! {
    a_folder_is_indexed_and_found_again_byte_for_byte
    a_project_that_is_moved_keeps_its_documents
    a_second_run_does_only_what_changed
    an_empty_or_missing_source_deletes_nothing_without_being_told_to
    a_renamed_folder_is_no_loss_and_what_came_in_the_place_of_others_makes_up_for_none
    a_broken_file_is_one_failure_and_is_tried_again
    a_lost_ledger_is_made_anew_from_the_store
    a_wiped_store_is_noticed
    every_sample_is_indexed_and_a_file_of_questions_is_searched_as_each_would_be
}

/// Several workers need a file; one process is told on the command line.
const FILE: &str = "default.yaml";

fn project() -> Project {
    let project = Project::new();
    written(&project);
    project
}

fn written(project: &Project) {
    project.write("docs/keys.md", GUIDE);
    project.write("docs/backup.txt", "Backups run at 02:30 every night and are kept for five weeks.\n");
    project.write("docs/sub/limits.rst", "Limits\n======\n\nA secret may be 64 KiB large.\n");
}

/// A home without an index yet over this folder.
fn home_over(ledger: Ledger, folder: &str) -> Home {
    let home = Home::new(ledger);
    if home.together.is_some() {
        home.write(FILE, format!("sources: [{}]\n{}", home.folder(folder), home.store()));
    }
    home
}

fn home(ledger: Ledger) -> Home {
    let home = home_over(ledger, "docs");
    written(&home.project);
    home
}

impl Home {
    /// Runs a command on the index to its end.
    fn look(&self, arguments: &[&str]) -> Ended {
        if self.together.is_some() { self.on(FILE, arguments) } else { self.run(arguments) }
    }

    fn ingest_of(&self, folder: &str, more: &[&str]) -> Ended {
        let sources = if self.together.is_some() { &["-p", FILE][..] } else { &[folder] };
        self.run(&[&["ingest"], sources, more].concat())
    }

    fn ingest_with(&self, more: &[&str]) -> Ended {
        self.ingest_of("docs", more)
    }

    fn all(&self) -> Vec<Value> {
        self.everything(if self.together.is_some() { &["-p", FILE] } else { &[] })
    }
}

fn ingest(home: &Home) -> Value {
    home.ingest_with(&["--json"]).expect_code(0).last("summary")
}

fn a_folder_is_indexed_and_found_again_byte_for_byte(ledger: Ledger) {
    let home = home(ledger);
    let summary = ingest(&home);
    assert_eq!(summary["documents"]["seen"], 3);
    assert_eq!(summary["documents"]["added"], 3);
    assert_eq!(summary["pipeline"], "default");
    assert_eq!(summary["embeddings"]["cost_usd"], 0.0);

    let hits = home.look(&["search", "how are keys rotated?", "--json"]).expect_code(0).of_type("hit");
    let best = &hits[0];
    assert_eq!((best["rank"].as_u64(), best["uri"].as_str()), (Some(1), Some("docs/keys.md")), "{hits:?}");
    assert!(best["text"].as_str().unwrap().contains("key rotate"));
    for hit in &hits {
        let file = home.read(hit["uri"].as_str().unwrap());
        let (start, end) = (hit["start"].as_u64().unwrap() as usize, hit["end"].as_u64().unwrap() as usize);
        assert_eq!(&file[start..end], hit["text"].as_str().unwrap().as_bytes());
        let first = 1 + file[..start].iter().filter(|byte| **byte == b'\n').count() as u64;
        let last = first + file[start..end].iter().filter(|byte| **byte == b'\n').count() as u64;
        assert_eq!(hit["lines"], serde_json::json!([first, last]));
    }
}

fn a_project_that_is_moved_keeps_its_documents(ledger: Ledger) {
    let mut home = home(ledger);
    ingest(&home);
    home.project.move_away();
    let moved = ingest(&home);
    assert_eq!((&moved["documents"]["unchanged"], &moved["documents"]["added"]), (&3.into(), &0.into()), "{moved}");
    home.remove("docs/backup.txt");
    assert_eq!(ingest(&home)["documents"]["removed"], 1);
}

fn a_second_run_does_only_what_changed(ledger: Ledger) {
    let home = home(ledger);
    ingest(&home);
    let again = ingest(&home);
    assert_eq!(again["documents"]["unchanged"], 3);
    assert_eq!((&again["chunks"]["upserted"], &again["embeddings"]["embedded"]), (&0.into(), &0.into()));

    home.write("docs/keys.md", GUIDE.replace("ninety", "sixty"));
    home.remove("docs/backup.txt");
    home.write("docs/new.md", "# New\n\nSomething else.\n");
    let sources = if home.together.is_some() { &["plan", "--json"][..] } else { &["plan", "docs", "--json"] };
    let plan = home.look(sources).expect_code(0).last("plan");
    let third = ingest(&home);
    assert_eq!(plan["chunks"]["deleted"], third["chunks"]["deleted"], "{plan}");
    assert_eq!(plan["documents"]["removed"], third["documents"]["removed"], "{plan}");
    let documents = &third["documents"];
    let counts = ["added", "changed", "unchanged", "removed", "failed"].map(|key| documents[key].as_u64().unwrap());
    assert_eq!(counts, [1, 1, 1, 1, 0], "{third}");
    assert_eq!(third["chunks"]["deleted"], 2, "the old text of the edited chunk, and the removed document: {third}");

    let fresh = home_over(Ledger::Sqlite, "docs");
    for name in ["docs/keys.md", "docs/sub/limits.rst", "docs/new.md"] {
        fresh.write(name, home.read(name));
        let time = std::fs::metadata(home.path(name)).unwrap().modified().unwrap();
        std::fs::File::options().write(true).open(fresh.path(name)).unwrap().set_modified(time).unwrap();
    }
    ingest(&fresh);
    assert_eq!(home.all(), fresh.all(), "as if it had been indexed only now");
}

fn an_empty_or_missing_source_deletes_nothing_without_being_told_to(ledger: Ledger) {
    let home = home(ledger);
    ingest(&home);
    let before = home.all();
    std::fs::rename(home.path("docs"), home.path("elsewhere")).unwrap();
    std::fs::create_dir(home.path("docs")).unwrap();
    let emptied = home.ingest_with(&["--json"]).expect_code(1).last("summary");
    assert_eq!((&emptied["documents"]["removed"], &emptied["kept_although_gone"]), (&0.into(), &3.into()));
    let told = home.ingest_with(&[]).stderr;
    for said in ["3 documents in the index are gone", "More than half of what the index had", "run again with --prune"] {
        assert!(told.contains(said), "{told}");
    }
    assert_eq!(home.all(), before);

    std::fs::remove_dir(home.path("docs")).unwrap();
    // A slip of the pen where it is named here; in a file, a folder that is away.
    let (code, said) = match ledger {
        Ledger::Sqlite => (2, "docs: no such file or folder"),
        Ledger::Postgres => (1, "docs"),
    };
    let missing = home.ingest_with(&[]).expect_code(code);
    assert!(missing.stderr.contains(said), "{}", missing.stderr);
    assert_eq!(home.all(), before);

    std::fs::create_dir(home.path("docs")).unwrap();
    let pruned = home.ingest_with(&["--prune", "--json"]).expect_code(0).last("summary");
    assert_eq!(pruned["documents"]["removed"], 3);
    home.look(&["search", "keys"]).expect_code(1);
}

fn a_renamed_folder_is_no_loss_and_what_came_in_the_place_of_others_makes_up_for_none(ledger: Ledger) {
    let home = home(ledger);
    ingest(&home);
    let counts = |event: &Value| {
        let documents = ["added", "removed"].map(|key| event["documents"][key].as_u64().unwrap());
        (documents, event["kept_although_gone"].as_u64().unwrap_or_default())
    };
    let expect = |code, expected| {
        let sources = if home.together.is_some() { &["-p", FILE][..] } else { &["docs"] };
        let planned = home.run(&[&["plan", "--json"], sources].concat()).last("plan");
        assert_eq!(counts(&planned), expected, "{planned}");
        let done = home.ingest_with(&["--json"]).expect_code(code).last("summary");
        assert_eq!(counts(&done), expected, "{done}");
    };
    std::fs::create_dir(home.path("docs/文档")).unwrap();
    for name in ["keys.md", "backup.txt", "sub"] {
        std::fs::rename(home.path(&format!("docs/{name}")), home.path(&format!("docs/文档/{name}"))).unwrap();
    }
    expect(0, ([3, 3], 0));
    std::fs::remove_dir_all(home.path("docs/文档")).unwrap();
    for name in ["a", "b", "c"] {
        home.write(&format!("docs/{name}.md"), format!("# {name}\n\nThis has nothing to do with what was here before.\n"));
    }
    expect(1, ([3, 0], 3));
    expect(1, ([0, 0], 3));
    let pruned = home.ingest_with(&["--prune", "--json"]).expect_code(0).last("summary");
    assert_eq!(counts(&pruned), ([0, 3], 0));
    // What was in doubt then is not any more.
    home.project.remove("docs/c.md");
    expect(0, ([0, 1], 0));
}

#[test]
fn why_a_lost_document_is_kept_is_said_with_what_to_do() {
    let project = Project::new();
    project.write("docs/密钥.md", "# 密钥\n\n密钥每九十天更换一次。\n");
    project.run(&["ingest", "docs"]).expect_code(0);
    project.remove("docs/密钥.md");
    project.write("docs/keys.md", "# Keys\n\nKeys are rotated every ninety days.\n");
    let told = project.run(&["ingest", "docs"]).expect_code(1).stderr;
    for said in ["1 document in the index is gone from the source", "renamed and changed at once", "run again with --prune"] {
        assert!(told.contains(said), "{told}");
    }
    project.run(&["ingest", "docs", "--prune"]).expect_code(0);
    project.run(&["ingest", "docs"]).expect_code(0);
}

#[test]
fn other_folders_stay_when_one_is_ingested() {
    let project = project();
    project.run(&["ingest", "docs"]).expect_code(0);
    project.write("notes/today.md", "# Today\n\nBuy oil for the lantern.\n");
    project.run(&["ingest", "notes"]).expect_code(0);
    let uris: Vec<Value> = project.everything(&[]).iter().map(|hit| hit["uri"].clone()).collect();
    assert!(uris.contains(&"docs/backup.txt".into()) && uris.contains(&"notes/today.md".into()), "{uris:?}");
}

fn a_broken_file_is_one_failure_and_is_tried_again(ledger: Ledger) {
    let home = home(ledger);
    home.write("docs/broken.pdf", "%PDF-1.7\nthis is no PDF at all");
    let ended = home.ingest_with(&["--json"]).expect_code(1);
    let failed = ended.of_type("failed");
    assert_eq!((&failed[0]["uri"], &failed[0]["stage"]), (&"docs/broken.pdf".into(), &"parse".into()), "{failed:?}");
    assert_eq!(ended.last("summary")["documents"]["added"], 3);
    let status = home.look(&["status", "--json"]).expect_code(1).events().pop().unwrap();
    assert_eq!(status["failures"][0]["uri"], "docs/broken.pdf");

    home.write("docs/broken.pdf", "");
    let fixed = ingest(&home);
    assert_eq!(fixed["documents"]["failed"], 0);
    home.look(&["status"]).expect_code(0);
}

fn a_lost_ledger_is_made_anew_from_the_store(ledger: Ledger) {
    let home = home(ledger);
    ingest(&home);
    home.lose_ledger("default");
    home.remove("docs/backup.txt");
    let again = ingest(&home);
    assert_eq!((&again["embeddings"]["embedded"], &again["chunks"]["upserted"]), (&0.into(), &0.into()), "{again}");
    assert_eq!(again["documents"]["removed"], 1, "{again}");
}

fn a_wiped_store_is_noticed(ledger: Ledger) {
    let home = home(ledger);
    let first = ingest(&home);
    match &home.store {
        Some(store) => store.wipe(),
        None => std::fs::remove_dir_all(home.path(".ragstream/default")).unwrap(),
    }
    let again = ingest(&home);
    assert_eq!(again["chunks"]["upserted"], first["chunks"]["upserted"]);
}

#[test]
fn an_index_made_with_another_chunking_is_refused_until_it_is_rebuilt() {
    let project = project();
    project.write("p.yaml", "version: 1\nname: docs\nsources: [{files: {paths: [docs]}}]\n");
    project.run(&["ingest", "-p", "p.yaml"]).expect_code(0);
    project
        .write("p.yaml", "version: 1\nname: docs\nsources: [{files: {paths: [docs]}}]\nchunk: {max_tokens: 100, overlap: 0}\n");
    let refused = project.run(&["ingest", "-p", "p.yaml"]).expect_code(2);
    assert!(refused.stderr.contains("error:") && refused.stderr.contains("chunking"), "{}", refused.stderr);
    assert!(refused.stderr.contains("hint:") && refused.stderr.contains("--rebuild"), "{}", refused.stderr);
    project.run(&["ingest", "-p", "p.yaml", "--rebuild"]).expect_code(0);
    project.run(&["ingest", "-p", "p.yaml"]).expect_code(0);
}

#[test]
fn without_a_model_ask_shows_the_passages_and_says_so() {
    let project = project();
    project.run(&["ingest", "docs"]).expect_code(0);
    let ended = project.run(&["ask", "how do I rotate keys?"]).expect_code(0);
    assert!(ended.stdout.contains("lantern key rotate NAME"), "{}", ended.stdout);
    assert!(ended.stdout.contains("docs/keys.md"), "{}", ended.stdout);
    let all = format!("{}{}", ended.stdout, ended.stderr);
    assert!(all.contains("OPENAI_API_KEY"), "it says how to set a model: {all}");

    let events = project.run(&["ask", "how do I rotate keys?", "--json"]).expect_code(0);
    assert_eq!(events.events()[0]["type"], "sources");
    events.last("done");

    // Passages are no answer to who wants all read.
    let all = project.run(&["ask", "how do I rotate keys?", "--all"]).expect_code(2);
    assert!(all.stderr.contains("read by a model") && all.stderr.contains("OPENAI_API_KEY"), "{}", all.stderr);
    assert!(!all.stdout.contains("lantern key rotate"), "{}", all.stdout);
    let all = project.run(&["ask", "how do I rotate keys?", "--all", "--json"]).expect_code(2);
    let error = all.last("error");
    assert_eq!(error["kind"], "bad_question");
    assert!(error["hint"].as_str().unwrap().contains("--model"), "{error}");
    project.run(&["ask", "how do I rotate keys?", "--no-all"]).expect_code(0);
}

/// `git diff | ask -`.
#[test]
fn of_a_long_text_on_stdin_the_beginning_is_asked_about() {
    let project = project();
    project.run(&["ingest", "docs"]).expect_code(0);
    let text = format!("How are keys rotated?\n{}", "+ let key = rotate(); // 轮换\n".repeat(5000));
    let asked = project.run_with_input(&["ask", "-"], &text).expect_code(0);
    assert!(asked.stderr.contains("stdin has more than 16 KB") && asked.stderr.contains("`ingest` that"), "{}", asked.stderr);
    assert!(asked.stdout.contains("docs/keys.md"), "{}", asked.stdout);
    assert!(!project.run_with_input(&["ask", "-"], "How are keys rotated?\n").expect_code(0).stderr.contains("stdin"));
}

#[cfg(target_os = "linux")]
#[test]
fn output_that_cannot_be_written_is_told_in_a_sentence() {
    let project = project();
    project.run(&["ingest", "docs"]).expect_code(0);
    for arguments in [&["search", "keys"][..], &["search", "keys", "--json"], &["ask", "keys?"], &["status"], &["schema"]] {
        let full = std::fs::File::options().write(true).open("/dev/full").unwrap();
        let ended = project.run_into(arguments, full).expect_code(2);
        let wanted = "error: the results cannot be written to stdout: No space left on device";
        assert!(ended.stderr.contains(wanted), "{arguments:?}: {}", ended.stderr);
    }
}

#[test]
fn asking_an_index_that_is_not_there_says_what_to_do() {
    let ended = Project::new().run(&["ask", "anything"]).expect_code(2);
    assert!(ended.stderr.contains("no index") && ended.stderr.contains("ingest ./docs"), "{}", ended.stderr);
}

/// How well they are answered is for `eval` to say.
fn every_sample_is_indexed_and_a_file_of_questions_is_searched_as_each_would_be(ledger: Ledger) {
    let samples = samples();
    let folder = samples.to_str().unwrap();
    let home = home_over(ledger, folder);
    let summary = home.ingest_of(folder, &["--json"]).expect_code(0).last("summary");
    assert_eq!((&summary["documents"]["seen"], &summary["documents"]["added"]), (&21.into(), &21.into()), "{summary}");
    let uris: BTreeSet<String> = home.all().iter().map(|hit| hit["uri"].to_string()).collect();
    assert_eq!(uris.len(), 21, "a document without a passage: {uris:?}");

    let path = samples.join("../eval/queries.jsonl");
    let queries = std::fs::read_to_string(&path).unwrap();
    let queries: Vec<Value> = queries.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let search = |more: &[&str]| home.look(&[&["search", "--json", "-k", "5"], more].concat()).expect_code(0).of_type("hit");
    let hits = search(&["--queries", path.to_str().unwrap()]);
    let mut order: Vec<&Value> = hits.iter().map(|hit| &hit["query_id"]).collect();
    order.dedup();
    assert_eq!(order, queries.iter().map(|query| &query["id"]).collect::<Vec<_>>(), "each once, in the order of the file");
    for query in queries.iter().step_by(13) {
        let mut among: Vec<Value> = hits.iter().filter(|hit| hit["query_id"] == query["id"]).cloned().collect();
        for hit in &mut among {
            hit.as_object_mut().unwrap().remove("query_id");
        }
        assert_eq!(among, search(&[query["text"].as_str().unwrap()]), "{query}");
    }
}
