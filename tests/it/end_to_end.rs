//! The program as a user meets it: local embeddings, the embedded store, real files.

use std::collections::BTreeSet;

use serde_json::Value;

use crate::project::{Project, samples};

const GUIDE: &str = "# Keys\n\nIntro to keys.\n\n## Rotation\n\nRotate a key with `lantern key rotate NAME` every ninety days.\n\n\
                     ## Revocation\n\nRevoke a key with `lantern key revoke NAME` when it has leaked.\n";

fn project() -> Project {
    let project = Project::new();
    project.write("docs/keys.md", GUIDE);
    project.write("docs/backup.txt", "Backups run at 02:30 every night and are kept for five weeks.\n");
    project.write("docs/sub/limits.rst", "Limits\n======\n\nA secret may be 64 KiB large.\n");
    project
}

fn ingest(project: &Project) -> Value {
    project.run(&["ingest", "docs", "--json"]).expect_code(0).last("summary")
}

#[test]
fn a_folder_is_indexed_and_found_again_byte_for_byte() {
    let project = project();
    let summary = ingest(&project);
    assert_eq!(summary["documents"]["seen"], 3);
    assert_eq!(summary["documents"]["added"], 3);
    assert_eq!(summary["pipeline"], "default");
    assert_eq!(summary["embeddings"]["cost_usd"], 0.0);

    let hits = project.run(&["search", "how are keys rotated?", "--json"]).expect_code(0).of_type("hit");
    let best = &hits[0];
    assert_eq!((best["rank"].as_u64(), best["uri"].as_str()), (Some(1), Some("docs/keys.md")), "{hits:?}");
    assert!(best["text"].as_str().unwrap().contains("key rotate"));
    for hit in &hits {
        let file = project.read(hit["uri"].as_str().unwrap());
        let (start, end) = (hit["start"].as_u64().unwrap() as usize, hit["end"].as_u64().unwrap() as usize);
        assert_eq!(&file[start..end], hit["text"].as_str().unwrap().as_bytes());
        let first = 1 + file[..start].iter().filter(|byte| **byte == b'\n').count() as u64;
        let last = first + file[start..end].iter().filter(|byte| **byte == b'\n').count() as u64;
        assert_eq!(hit["lines"], serde_json::json!([first, last]));
    }
}

#[test]
fn a_project_that_is_moved_keeps_its_documents() {
    let mut project = project();
    ingest(&project);
    project.move_away();
    let moved = ingest(&project);
    assert_eq!((&moved["documents"]["unchanged"], &moved["documents"]["added"]), (&3.into(), &0.into()), "{moved}");
    project.remove("docs/backup.txt");
    assert_eq!(ingest(&project)["documents"]["removed"], 1);
}

#[test]
fn a_second_run_does_only_what_changed() {
    let project = project();
    ingest(&project);
    let again = ingest(&project);
    assert_eq!(again["documents"]["unchanged"], 3);
    assert_eq!((&again["chunks"]["upserted"], &again["embeddings"]["embedded"]), (&0.into(), &0.into()));

    project.write("docs/keys.md", GUIDE.replace("ninety", "sixty"));
    project.remove("docs/backup.txt");
    project.write("docs/new.md", "# New\n\nSomething else.\n");
    let third = ingest(&project);
    let documents = &third["documents"];
    let counts = ["added", "changed", "unchanged", "removed", "failed"].map(|key| documents[key].as_u64().unwrap());
    assert_eq!(counts, [1, 1, 1, 1, 0], "{third}");
    assert_eq!(third["chunks"]["deleted"], 2, "the old text of the edited chunk, and the removed document: {third}");

    let fresh = Project::new();
    for name in ["docs/keys.md", "docs/sub/limits.rst", "docs/new.md"] {
        fresh.write(name, project.read(name));
        let time = std::fs::metadata(project.path(name)).unwrap().modified().unwrap();
        std::fs::File::options().write(true).open(fresh.path(name)).unwrap().set_modified(time).unwrap();
    }
    ingest(&fresh);
    assert_eq!(project.everything(&[]), fresh.everything(&[]), "as if it had been indexed only now");
}

#[test]
fn an_empty_or_missing_source_deletes_nothing_without_being_told_to() {
    let project = project();
    ingest(&project);
    let before = project.everything(&[]);
    std::fs::rename(project.path("docs"), project.path("elsewhere")).unwrap();
    std::fs::create_dir(project.path("docs")).unwrap();
    let emptied = project.run(&["ingest", "docs", "--json"]).expect_code(1).last("summary");
    assert_eq!((&emptied["documents"]["removed"], &emptied["kept_although_gone"]), (&0.into(), &3.into()));
    assert!(project.run(&["ingest", "docs"]).stderr.contains("--prune"));
    assert_eq!(project.everything(&[]), before);

    std::fs::remove_dir(project.path("docs")).unwrap();
    let missing = project.run(&["ingest", "docs"]).expect_code(2);
    assert!(missing.stderr.contains("docs: no such file or folder"), "{}", missing.stderr);
    assert_eq!(project.everything(&[]), before);

    std::fs::create_dir(project.path("docs")).unwrap();
    let pruned = project.run(&["ingest", "docs", "--prune", "--json"]).expect_code(0).last("summary");
    assert_eq!(pruned["documents"]["removed"], 3);
    project.run(&["search", "keys"]).expect_code(1);
}

#[test]
fn other_folders_stay_when_one_is_ingested() {
    let project = project();
    ingest(&project);
    project.write("notes/today.md", "# Today\n\nBuy oil for the lantern.\n");
    project.run(&["ingest", "notes"]).expect_code(0);
    let uris: Vec<Value> = project.everything(&[]).iter().map(|hit| hit["uri"].clone()).collect();
    assert!(uris.contains(&"docs/backup.txt".into()) && uris.contains(&"notes/today.md".into()), "{uris:?}");
}

#[test]
fn a_broken_file_is_one_failure_and_is_tried_again() {
    let project = project();
    project.write("docs/broken.pdf", "%PDF-1.7\nthis is no PDF at all");
    let ended = project.run(&["ingest", "docs", "--json"]).expect_code(1);
    let failed = ended.of_type("failed");
    assert_eq!((&failed[0]["uri"], &failed[0]["stage"]), (&"docs/broken.pdf".into(), &"parse".into()), "{failed:?}");
    assert_eq!(ended.last("summary")["documents"]["added"], 3);
    let status = project.run(&["status", "--json"]).expect_code(1).last("status");
    assert_eq!(status["failures"][0]["uri"], "docs/broken.pdf");

    project.write("docs/broken.pdf", "");
    let fixed = project.run(&["ingest", "docs", "--json"]).expect_code(0).last("summary");
    assert_eq!(fixed["documents"]["failed"], 0);
    project.run(&["status"]).expect_code(0);
}

#[test]
fn a_lost_ledger_is_made_anew_from_the_store() {
    let project = project();
    ingest(&project);
    project.remove(".ragstream/default.ledger");
    for besides in ["default.ledger-wal", "default.ledger-shm"] {
        std::fs::remove_file(project.path(".ragstream").join(besides)).ok();
    }
    project.remove("docs/backup.txt");
    let again = ingest(&project);
    assert_eq!((&again["embeddings"]["embedded"], &again["chunks"]["upserted"]), (&0.into(), &0.into()), "{again}");
    assert_eq!(again["documents"]["removed"], 1, "{again}");
}

#[test]
fn a_wiped_store_is_noticed() {
    let project = project();
    let first = ingest(&project);
    std::fs::remove_dir_all(project.path(".ragstream/default")).unwrap();
    let again = ingest(&project);
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
    ingest(&project);
    let ended = project.run(&["ask", "how do I rotate keys?"]).expect_code(0);
    assert!(ended.stdout.contains("lantern key rotate NAME"), "{}", ended.stdout);
    assert!(ended.stdout.contains("docs/keys.md"), "{}", ended.stdout);
    let all = format!("{}{}", ended.stdout, ended.stderr);
    assert!(all.contains("OPENAI_API_KEY"), "it says how to set a model: {all}");

    let events = project.run(&["ask", "how do I rotate keys?", "--json"]).expect_code(0);
    assert_eq!(events.events()[0]["type"], "sources");
    events.last("done");
}

/// `git diff | ask -`.
#[test]
fn of_a_long_text_on_stdin_the_beginning_is_asked_about() {
    let project = project();
    ingest(&project);
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
    ingest(&project);
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
#[test]
fn every_sample_is_indexed_and_a_file_of_questions_is_searched_as_each_would_be() {
    let project = Project::new();
    let samples = samples();
    let summary = project.run(&["ingest", samples.to_str().unwrap(), "--json"]).expect_code(0).last("summary");
    assert_eq!((&summary["documents"]["seen"], &summary["documents"]["added"]), (&21.into(), &21.into()), "{summary}");
    let uris: BTreeSet<String> = project.everything(&[]).iter().map(|hit| hit["uri"].to_string()).collect();
    assert_eq!(uris.len(), 21, "a document without a passage: {uris:?}");

    let path = samples.join("../eval/queries.jsonl");
    let queries = std::fs::read_to_string(&path).unwrap();
    let queries: Vec<Value> = queries.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let search = |more: &[&str]| project.run(&[&["search", "--json", "-k", "5"], more].concat()).expect_code(0).of_type("hit");
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
