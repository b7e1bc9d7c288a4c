//! `ingest --watch`: the index follows its sources, for days, whatever goes wrong meanwhile.

mod library;
mod listing;

use std::collections::BTreeSet;
use std::io::{BufRead as _, BufReader, Read, Write as _};
use std::path::Path;
use std::process::Child;
use std::sync::atomic::Ordering;
use std::sync::mpsc::{self, Receiver};
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::project::{Project, ended};
use crate::rig::{Kind, Rig, WIDTH, copy_folder, signal, until};
use crate::stand_in::{Reply, openai_embeddings};

/// What a test gives the index to follow. What it takes is printed; it is promised within 2 s.
const GENEROUS: Duration = Duration::from_secs(10);
/// For what is not to happen.
const A_WHILE: Duration = Duration::from_millis(1500);

/// A watch that goes on, and what it says, line by line.
struct Watching {
    child: Child,
    lines: Receiver<String>,
    said: Vec<String>,
}

impl Watching {
    /// Starts `ingest --watch` and waits until it watches.
    fn start(project: &Project, arguments: &[&str]) -> Self {
        let mut watching = Self::begin(project, arguments);
        watching.expect("watching");
        watching
    }

    fn begin(project: &Project, arguments: &[&str]) -> Self {
        let mut child = project.start(&[&["ingest", "--watch"], arguments].concat());
        let (say, lines) = mpsc::channel();
        let streams: [Box<dyn Read + Send>; 2] =
            [Box::new(child.stdout.take().unwrap()), Box::new(child.stderr.take().unwrap())];
        for stream in streams {
            let say = say.clone();
            std::thread::spawn(move || {
                BufReader::new(stream).lines().map_while(Result::ok).take_while(|line| say.send(line.clone()).is_ok()).count()
            });
        }
        Self { child, lines, said: Vec::new() }
    }

    /// The next line that holds this.
    fn expect(&mut self, text: &str) -> String {
        self.next_within(GENEROUS * 3, text).unwrap_or_else(|| panic!("`{text}` was not said: {:#?}", self.said))
    }

    fn next_within(&mut self, time: Duration, text: &str) -> Option<String> {
        let give_up = Instant::now() + time;
        loop {
            let line = self.lines.recv_timeout(give_up.saturating_duration_since(Instant::now())).ok()?;
            self.said.push(line.clone());
            if line.contains(text) {
                return Some(line);
            }
        }
    }

    /// Does something and waits for the line that tells of it, which must come soon.
    fn after(&mut self, change: impl FnOnce(), text: &str) -> String {
        change();
        let began = Instant::now();
        let line = self.expect(text);
        tell(&format!("{:?} until: {line}", began.elapsed()));
        assert!(began.elapsed() < GENEROUS, "{line} after {:?}", began.elapsed());
        line
    }

    /// Nothing is said for a while that holds this.
    fn expect_silence(&mut self, text: &str) {
        let line = self.next_within(A_WHILE, text);
        assert_eq!(line, None, "{:#?}", self.said);
    }

    /// Ends it as Ctrl-C does: its code, and all that it said.
    fn end(mut self) -> (i32, Vec<String>) {
        signal(&self.child, "INT");
        let code = self.child.wait().unwrap().code().unwrap_or(-1);
        self.said.extend(self.lines.iter());
        (code, std::mem::take(&mut self.said))
    }
}

impl Drop for Watching {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// What a test has measured, for whoever wants to see it (`--nocapture`).
fn tell(text: &str) {
    let _ = writeln!(std::io::stderr(), "{text}");
}

/// What the index holds.
fn contents(project: &Project, arguments: &[&str]) -> Vec<Value> {
    project.everything(arguments)
}

fn uris(project: &Project) -> BTreeSet<String> {
    contents(project, &[]).iter().map(|hit| hit["uri"].as_str().unwrap().to_owned()).collect()
}

/// The index is what a run from nothing makes.
fn expect_whole(project: &Project, path: &str) {
    project.run(&["ingest", path, "--home", "fresh", "--rebuild"]).expect_code(0);
    assert_eq!(contents(project, &[]), contents(project, &["--home", "fresh"]));
}

fn write(project: &Project, name: &str, text: &str) {
    let path = project.path(name);
    std::fs::create_dir_all(path.parent().unwrap()).unwrap();
    std::fs::write(path, text).unwrap();
}

fn some_documents(project: &Project, count: usize) {
    for n in 0..count {
        project.write(&format!("docs/{n}.md"), format!("# Pump {n}\n\nThe pump of number {n} leaks when it is cold.\n"));
    }
}

#[test]
fn what_changes_is_indexed_as_it_changes() {
    let project = Project::new();
    some_documents(&project, 6);
    let mut watch = Watching::start(&project, &["docs"]);
    assert!(watch.said.last().unwrap().contains("watching 1 folder, 6 documents"), "{:?}", watch.said);

    let line = watch.after(
        || write(&project, "docs/1.md", "# Pump 1\n\nIt is mended."),
        "docs/1.md changed: 1 chunk written, 1 deleted in ",
    );
    assert_eq!(line.as_bytes()[2], b':', "it begins with the time: {line}");
    watch.after(|| write(&project, "docs/new.md", "A new one."), "docs/new.md added: 1 chunk written");
    watch.after(|| project.remove("docs/2.md"), "docs/2.md removed: 1 chunk deleted");
    // As editors save: into another file, which takes the place of the first.
    let rename_over = || {
        write(&project, "docs/.3.md.swp", "# Pump 3\n\nSaved by an editor.");
        std::fs::rename(project.path("docs/.3.md.swp"), project.path("docs/3.md")).unwrap();
    };
    watch.after(rename_over, "docs/3.md changed");
    let folder = || {
        write(&project, "docs/deep/er/a.md", "Deep down.");
        write(&project, "docs/deep/b.md", "Not so deep.");
    };
    watch.after(folder, "2 documents (2 added) in");
    watch.after(|| write(&project, "docs/deep/er/a.md", "Deeper still."), "docs/deep/er/a.md changed");
    let rename = || std::fs::rename(project.path("docs/deep"), project.path("docs/moved")).unwrap();
    watch.after(rename, "4 documents (2 added, 2 removed)");
    watch.after(|| write(&project, "docs/moved/er/a.md", "Still there."), "docs/moved/er/a.md changed");
    watch.after(|| write(&project, "docs/deep/c.md", "Another folder of the old name."), "1 document (1 added)");
    watch.after(|| write(&project, "docs/deep/c.md", "It is watched, too."), "docs/deep/c.md changed");
    watch.after(|| write(&project, "docs/.gitignore", "moved/\n"), "2 documents (2 removed)");
    watch.after(|| write(&project, "docs/.gitignore", "/4.md\n"), "3 documents (2 added, 1 removed)");
    watch.after(|| write(&project, "docs/moved/b.md", "Watched again."), "docs/moved/b.md changed");
    watch.after(|| std::fs::remove_dir_all(project.path("docs/deep")).unwrap(), "docs/deep removed");
    // What is no document, and what is the same as before.
    write(&project, "docs/picture.png", "no picture");
    write(&project, "docs/4.md", "ignored");
    write(&project, "docs/.hidden", "hidden");
    write(&project, "docs/new.md", "A new one.");
    watch.expect_silence("");
    let (code, said) = watch.end();
    assert_eq!(code, 0, "{said:#?}");
    expect_whole(&project, "docs");
}

#[test]
fn very_many_files_at_once_are_few_runs() {
    let project = Project::new();
    let version = |n: usize, version: usize| {
        write(&project, &format!("docs/{}/{n}.md", n % 20), &format!("Pump {n} of version {version}."));
    };
    (0..2000).for_each(|n| version(n, 0));
    let mut watch = Watching::start(&project, &["docs", "--json"]);
    assert_eq!(
        serde_json::from_str::<Value>(watch.said.last().unwrap()).unwrap(),
        json!({"type": "watching", "folders": 21, "documents": 2000})
    );
    let began = Instant::now();
    (0..2000).for_each(|n| version(n, 1));
    let (mut changed, mut runs) = (0, 0);
    while changed < 2000 {
        let summary: Value = serde_json::from_str(&watch.expect("\"type\":\"summary\"")).unwrap();
        changed += summary["documents"]["changed"].as_u64().unwrap();
        runs += 1;
    }
    tell(&format!("{:?}: {runs} runs", began.elapsed()));
    assert!(runs <= 20, "{runs} runs");
    let (code, said) = watch.end();
    assert_eq!(code, 0);
    let events: Vec<Value> = said.iter().map(|line| serde_json::from_str(line).unwrap_or_else(|_| panic!("{line}"))).collect();
    assert_eq!(events.iter().filter(|event| event["type"] == "watching").count(), 1);
}

#[test]
fn others_work_with_the_index_between_the_runs() {
    let project = Project::new();
    some_documents(&project, 3);
    let mut watch = Watching::start(&project, &["docs"]);
    for n in 0..3 {
        let found = project.run(&["search", "a pump that leaks", "--json"]).expect_code(0);
        assert!(!found.of_type("hit").is_empty());
        project.run(&["status"]).expect_code(0);
        // The one that comes first takes what has changed; the other finds nothing to do, or waits.
        write(&project, "docs/0.md", &format!("# Pump\n\nOf try {n}."));
        project.run(&["ingest", "docs"]).expect_code(0);
        project.run(&["push", "--to", "embedded", "--path", "copy", "--replace"]).expect_code(0);
    }
    watch.after(|| write(&project, "docs/last.md", "The last."), " added");
    assert_eq!(watch.end().0, 0);
    expect_whole(&project, "docs");
}

#[test]
fn a_folder_that_goes_away_keeps_its_documents_and_is_watched_when_it_is_back() {
    let project = Project::new();
    some_documents(&project, 3);
    project.write("more/a.md", "Beside it.");
    let mut watch = Watching::start(&project, &["docs", "more"]);
    let rename = |from: &str, to: &str| std::fs::rename(project.path(from), project.path(to)).unwrap();
    watch.after(|| rename("docs", "away"), "failed docs: ");
    watch.after(|| write(&project, "more/a.md", "Still beside it."), "more/a.md changed");
    assert_eq!(uris(&project).len(), 4, "nothing is removed");
    write(&project, "away/0.md", "Changed while it was away.");
    watch.after(|| rename("away", "docs"), "1 document (1 changed)");
    watch.after(|| write(&project, "docs/1.md", "And watched again."), "docs/1.md changed");
    // As a file system that is mounted over it.
    rename("docs", "away");
    copy_folder(&project.path("away"), &project.path("docs"));
    watch.after(|| write(&project, "docs/2.md", "Of the other one."), " changed");
    watch.after(|| write(&project, "docs/2.md", "Which is watched."), "docs/2.md changed");
    assert_eq!(watch.said.iter().filter(|line| line.contains("failed docs")).count(), 1, "{:#?}", watch.said);
    assert_eq!(watch.end().0, 0);
}

#[test]
fn what_looks_broken_is_kept_and_said_once() {
    let project = Project::new();
    some_documents(&project, 9);
    let mut watch = Watching::start(&project, &["docs"]);
    let most = || (0..6).for_each(|n| project.remove(&format!("docs/{n}.md")));
    let warning = watch.after(most, "warning: 6 documents in the index are gone");
    assert!(warning.contains("--prune"), "{warning}");
    // One that is gone is removed, however few the run was over.
    watch.after(|| project.remove("docs/6.md"), "docs/6.md removed");
    assert_eq!(watch.end().0, 0);
    assert_eq!(uris(&project).len(), 8);
    // With the first run's summary, and not after each comparison that finds the same.
    let mut watch = Watching::start(&project, &["docs", "--every", "1s"]);
    assert!(watch.said.iter().any(|line| line.contains("6 documents in the index are gone")), "{:#?}", watch.said);
    watch.expect_silence("gone");
    project.run(&["ingest", "docs", "--prune"]).expect_code(0);
    assert_eq!(uris(&project).len(), 2);
    assert_eq!(watch.end().0, 0);
}

#[test]
fn a_provider_that_is_away_for_a_while_costs_nothing_but_time() {
    let rig = Rig::new(Kind::Embedded);
    rig.write_documents(5);
    let mut watch = Watching::start(&rig.project, &["-p", "docs.yaml"]);
    rig.answer(|_| Reply::status(401, &json!({"error": {"message": "not now", "code": "invalid_api_key"}})));
    let line = watch.after(|| write(&rig.project, "docs/00.txt", "Changed meanwhile."), "failed ");
    assert!(line.contains("again in 1 s"), "{line}");
    // It is tried again, and not said again.
    let asked = rig.requests.load(Ordering::SeqCst);
    until("another try", || rig.requests.load(Ordering::SeqCst) > asked);
    watch.expect_silence("failed");
    rig.answer(|request| openai_embeddings(request, WIDTH));
    watch.expect("docs/00.txt changed");
    let (code, said) = watch.end();
    assert_eq!(code, 0);
    assert!(!said.iter().any(|line| line.contains("s3cr3t")));
    // A request each and no more: the first run's, those that were refused, and the changed document's.
    rig.expect_whole("after the provider was away");
}

#[test]
fn what_failed_attempts_have_counted_is_not_counted_again() {
    let rig = Rig::new(Kind::Embedded);
    rig.write_documents(2);
    rig.answer(|_| Reply::status(500, &json!({"error": {"message": "boom"}})));
    let mut watch = Watching::begin(&rig.project, &["-p", "docs.yaml", "--json"]);
    watch.expect("again in");
    rig.answer(|request| openai_embeddings(request, WIDTH));
    let summary: Value = serde_json::from_str(&watch.expect("\"summary\"")).unwrap();
    assert_eq!((&summary["documents"]["seen"], &summary["documents"]["added"]), (&json!(2), &json!(2)), "{summary}");
    assert_eq!(watch.end().0, 0);
}

#[test]
fn a_store_that_is_away_for_a_while_is_waited_for() {
    let rig = Rig::new(Kind::Qdrant);
    rig.write_documents(3);
    let mut watch = Watching::start(&rig.project, &["-p", "docs.yaml"]);
    let faults = &rig.server.as_ref().unwrap().faults;
    faults.unavailable.store(usize::MAX, Ordering::SeqCst);
    write(&rig.project, "docs/00.txt", "Changed meanwhile.");
    watch.expect("failed cannot reach the store");
    write(&rig.project, "docs/01.txt", "This, too.");
    let calls = faults.calls.load(Ordering::SeqCst);
    until("another try", || faults.calls.load(Ordering::SeqCst) > calls + 10);
    faults.unavailable.store(0, Ordering::SeqCst);
    watch.expect("2 documents (2 changed)");
    let (code, said) = watch.end();
    assert_eq!(code, 0, "{said:#?}");
    assert_eq!(said.iter().filter(|line| line.contains("failed")).count(), 1, "{said:#?}");
    let unique: BTreeSet<&String> = said.iter().collect();
    assert_eq!(unique.len(), said.len(), "no line is said twice: {said:#?}");
    rig.expect_whole("after the store was away");
}

#[test]
fn a_file_that_is_written_for_a_while_is_whole_in_the_end() {
    let project = Project::new();
    some_documents(&project, 2);
    let mut watch = Watching::start(&project, &["docs"]);
    let mut file = std::fs::File::create(project.path("docs/log.txt")).unwrap();
    for n in 0..40 {
        writeln!(file, "Line {n} of what the pump says.\n").unwrap();
        std::thread::sleep(Duration::from_millis(75));
    }
    drop(file);
    watch.expect("docs/log.txt added");
    let written = |hit: &Value| hit["text"].as_str().unwrap().contains("Line 39 of");
    until("the last line", || contents(&project, &[]).iter().any(written));
    let (code, said) = watch.end();
    let runs = said.iter().filter(|line| line.contains("docs/log.txt")).count();
    assert!((2..=6).contains(&runs), "about one a second: {said:#?}");
    assert!([0, 130].contains(&code), "{said:#?}");
    expect_whole(&project, "docs");
}

#[test]
fn a_document_that_fails_is_said_once_until_it_is_well() {
    let rig = Rig::new(Kind::Embedded);
    rig.write_documents(3);
    let mut watch = Watching::start(&rig.project, &["-p", "docs.yaml", "--every", "1s"]);
    rig.answer(|request| {
        let poison = request.body["input"].to_string().contains("poison");
        let refused = json!({"error": {"message": "this input is not allowed", "code": "invalid_input"}});
        if poison { Reply::status(400, &refused) } else { openai_embeddings(request, WIDTH) }
    });
    watch.after(|| write(&rig.project, "docs/00.txt", "This is poison."), "failed docs/00.txt: ");
    watch.expect_silence("failed");
    watch.after(|| write(&rig.project, "docs/01.txt", "This is fine."), " changed");
    watch.after(|| write(&rig.project, "docs/00.txt", "This is fine, too."), " changed");
    watch.after(|| write(&rig.project, "docs/00.txt", "This is more poison."), "failed docs/00.txt: ");
    // It is tried again now and then: a run may be under way.
    assert!([0, 130].contains(&watch.end().0));
}

#[test]
fn an_index_of_another_model_is_made_anew_with_its_own() {
    let rig = Rig::new(Kind::Embedded);
    rig.write_documents(2);
    let mut watch = Watching::start(&rig.project, &["-p", "docs.yaml"]);
    let pipeline = String::from_utf8(rig.project.read("docs.yaml")).unwrap();
    rig.project.write("other.yaml", pipeline.replace("dimensions: 16", "dimensions: 8"));
    rig.answer(|request| openai_embeddings(request, request.body["dimensions"].as_u64().unwrap() as usize));
    rig.project.run(&["ingest", "-p", "other.yaml", "--rebuild"]).expect_code(0);
    // While it is made anew there is no index for a moment.
    let width = || {
        let told = rig.project.run(&["status", "-p", "docs.yaml", "--json"]).of_type("status");
        told.first().and_then(|status| status["index"]["dimensions"].as_u64()).unwrap_or_default()
    };
    assert_eq!(width(), 8);
    write(&rig.project, "docs/00.txt", "Changed.");
    // What has changed, and then all the rest at once.
    watch.expect("embedding anew with");
    watch.expect("docs/00.txt changed");
    until("all of it", || width() == 16);
    let (code, said) = watch.end();
    assert_eq!(code, 0, "{said:#?}");
}

#[test]
fn a_run_that_is_cut_short_is_told_from_a_watch_that_has_ended() {
    let rig = Rig::new(Kind::Embedded);
    rig.write_documents(2);
    let watch = Watching::start(&rig.project, &["-p", "docs.yaml"]);
    let (code, said) = watch.end();
    assert_eq!(code, 0, "{said:#?}");
    let watch = Watching::start(&rig.project, &["-p", "docs.yaml"]);
    rig.answer(|request| openai_embeddings(request, WIDTH).after(Duration::from_millis(800)));
    let asked = rig.requests.load(Ordering::SeqCst);
    write(&rig.project, "docs/00.txt", "Changed.");
    until("its request", || rig.requests.load(Ordering::SeqCst) > asked);
    let (code, said) = watch.end();
    assert_eq!(code, 130, "{said:#?}");
    assert!(said.iter().any(|line| line.contains("finishing what is in flight")), "{said:#?}");
    rig.answer(|request| openai_embeddings(request, WIDTH));
    rig.complete();
    rig.expect_whole("after a run that was cut short");
}

#[test]
fn what_makes_no_sense_is_refused() {
    let project = Project::new();
    some_documents(&project, 1);
    let refused: [(&[&str], &str); 5] = [
        (&["plan", "docs", "--watch"], "--watch"),
        (&["ingest", "docs", "--every", "10m"], "--watch"),
        (&["ingest", "docs", "--watch", "--every", "10"], "10m"),
        (&["ingest", "docs", "--watch", "--every", "10ms"], "at least 1s"),
        (&["ingest", "nowhere", "--watch"], "no such file or folder"),
    ];
    for (arguments, text) in refused {
        let refused = ended(project.start(arguments)).expect_code(2);
        assert!(refused.stderr.contains(text), "{arguments:?}: {}", refused.stderr);
    }
    assert!(!Path::new(&project.path(".ragstream")).exists());
}
