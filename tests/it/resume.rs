//! Never lost: whatever cuts a run short, running again ends in the index of an undisturbed run.

use std::sync::atomic::Ordering;
use std::time::{Duration, Instant, SystemTime};

use serde_json::Value;

use crate::both::{Ledger, over_both_ledgers};
use crate::project::ended;
use crate::rig::{CONCURRENCY, ITEMS, Kind, Rig, document, signal, until, without_secrets};
use crate::stand_in::openai_embeddings;

/// A small seeded sequence (splitmix64): the same seed kills at the same counts.
struct Dice(u64);

impl Dice {
    fn below(&mut self, bound: usize) -> usize {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        usize::try_from((z ^ (z >> 31)) % bound as u64).unwrap()
    }
}

/// Kills a run after a random number of requests or of writes to the store (at most so many), or at a random time, and a random
/// moment more. What was done, and whether the run was still there to be killed.
fn kill_somewhere(rig: &Rig, dice: &mut Dice, most: usize, arguments: &[&str]) -> (String, bool) {
    let (requests, writes) = (rig.requests.load(Ordering::SeqCst), rig.writes());
    // What is made anew is embedded already.
    let ways = if arguments.is_empty() { &["requests", "writes", "time"][..] } else { &["writes", "time"] };
    let (by, count) = (ways[dice.below(ways.len())], 1 + dice.below(most));
    let moment = Duration::from_micros(dice.below(40_000) as u64);
    let began = Instant::now();
    let killed = rig.kill_when(arguments, || {
        let now = match by {
            "requests" => rig.requests.load(Ordering::SeqCst) >= requests + count,
            "writes" => writes() >= count,
            _ => began.elapsed() >= Duration::from_millis(25 * count as u64),
        };
        if now {
            std::thread::sleep(moment);
        }
        now
    });
    (format!("{by} {count}, {moment:?}: {killed}"), killed)
}

/// Edits, moves, removals and additions.
fn change(rig: &Rig) {
    let project = &rig.project;
    project.write("docs/00.txt", document(0, 4).replace("line 2", "line two"));
    project.write(
        "docs/01.txt",
        format!("Something above it all that was not there before, long enough for a chunk.\n\n{}", document(1, 5)),
    );
    project.write("docs/02.txt", document(2, 9));
    project.write("docs/03.txt", document(3, 2));
    project.write("docs/04.txt", "");
    project.remove("docs/05.txt");
    project.remove("docs/06.txt");
    project.write("docs/20.txt", document(20, 5));
    project.write("docs/sub/21.txt", document(21, 3));
}

/// Of the runs that were to be killed, whether each was.
fn undisturbed_after_kills(kind: Kind, seed: u64) -> Vec<bool> {
    let mut dice = Dice(seed);
    let rig = Rig::new(kind);
    rig.write_documents(12);
    let (mut story, mut kills) = (vec![format!("{kind:?} seed {seed}")], Vec::new());
    let mut kill = |dice: &mut Dice, story: &mut Vec<String>, most, arguments: &[&str]| {
        let (told, killed) = kill_somewhere(&rig, dice, most, arguments);
        story.push(told);
        kills.push(killed);
    };
    if dice.below(2) == 0 {
        kill(&mut dice, &mut story, 14, &[]);
    }
    rig.complete();
    let keep: Vec<_> = ["docs/00.txt", "docs/01.txt", "docs/05.txt", "docs/06.txt"].map(|name| Kept::of(&rig, name)).into();
    change(&rig);
    // Several workers make no index anew under each other's hands.
    let arguments: &[&str] = if dice.below(4) == 0 && kind != Kind::Cluster { &["--rebuild"] } else { &[] };
    for _ in 0..=dice.below(2) {
        kill(&mut dice, &mut story, 6, arguments);
    }
    if dice.below(2) == 0 {
        story.push("taken back".into());
        keep.iter().for_each(Kept::restore);
    }
    rig.complete();
    rig.expect_whole(&story.join("; "));
    let again = rig.complete();
    assert_eq!((&again["chunks"]["upserted"], &again["chunks"]["deleted"]), (&0.into(), &0.into()), "{story:?}: {again}");
    kills
}

fn killed_at_any_instant(kind: Kind, seeds: std::ops::Range<u64>) {
    let kills: Vec<bool> = seeds.flat_map(|seed| undisturbed_after_kills(kind, seed)).collect();
    let hit = kills.iter().filter(|hit| **hit).count();
    assert!(hit * 2 >= kills.len(), "most runs had ended before they were killed: {kills:?}");
}

/// A file as it was, with the time that it had.
pub struct Kept {
    path: std::path::PathBuf,
    pub content: Vec<u8>,
    modified: SystemTime,
}

impl Kept {
    pub fn of(rig: &Rig, name: &str) -> Self {
        let path = rig.project.path(name);
        let modified = std::fs::metadata(&path).unwrap().modified().unwrap();
        Self { content: std::fs::read(&path).unwrap(), path, modified }
    }

    pub fn restore(&self) {
        // In place where it is still there, so that the inode stays, too.
        std::fs::write(&self.path, &self.content).unwrap();
        std::fs::File::options().write(true).open(&self.path).unwrap().set_modified(self.modified).unwrap();
    }
}

#[test]
fn killed_at_any_instant_edge() {
    killed_at_any_instant(Kind::Embedded, 0..3);
}

#[test]
fn killed_at_any_instant_qdrant() {
    killed_at_any_instant(Kind::Qdrant, 100..104);
}

#[test]
fn killed_at_any_instant_cluster() {
    killed_at_any_instant(Kind::Cluster, 100..104);
}

#[test]
#[ignore = "takes minutes"]
fn killed_at_many_more_instants() {
    killed_at_any_instant(Kind::Embedded, 1000..1030);
    killed_at_any_instant(Kind::Qdrant, 1000..1030);
    killed_at_any_instant(Kind::Cluster, 1000..1030);
}

over_both_ledgers! {
    killed_between_any_two_calls_to_the_store_and_then_taken_back
    killed_while_what_is_gone_is_removed
    a_kill_costs_at_most_the_requests_in_flight
    an_interrupted_run_drains_and_says_how_to_go_on
    a_second_interrupt_ends_at_once
    a_store_restored_from_an_old_copy_is_noticed_and_mended
    a_server_restored_from_an_old_copy_is_noticed
    a_touched_file_gets_its_time_written_and_nothing_is_embedded
    another_address_is_another_model_unless_the_file_says_whose_it_is
}

fn killed_between_any_two_calls_to_the_store_and_then_taken_back(ledger: Ledger) {
    let rig = Rig::new(ledger.on_a_server());
    rig.write_documents(4);
    rig.complete();
    let wanted = rig.contents();
    let keep = Kept::of(&rig, "docs/01.txt");
    let calls = || rig.server.as_ref().unwrap().faults.calls.load(Ordering::SeqCst);
    let mut between = 0;
    for count in 1.. {
        rig.project
            .write("docs/01.txt", format!("Something new above it that is long enough for a chunk.\n\n{}", document(1, 4)));
        rig.server.as_ref().unwrap().faults.slow_ms.store(25, Ordering::SeqCst);
        let before = calls();
        rig.kill_when(&[], || calls() >= before + count);
        let reached = calls() - before;
        rig.server.as_ref().unwrap().faults.slow_ms.store(0, Ordering::SeqCst);
        between += usize::from(rig.contents() != wanted);
        keep.restore();
        rig.complete();
        assert_eq!(rig.contents(), wanted, "killed at call {count}");
        if reached < count {
            break;
        }
    }
    assert!(between > 2, "it was killed with the document half written");
}

fn killed_while_what_is_gone_is_removed(ledger: Ledger) {
    let mut midway = Vec::new();
    let cases: &[_] = match ledger {
        Ledger::Sqlite => &[(Kind::Embedded, 1), (Kind::Embedded, 4), (Kind::Qdrant, 2), (Kind::Qdrant, 6)],
        Ledger::Postgres => &[(Kind::Cluster, 2), (Kind::Cluster, 6)],
    };
    for &(kind, count) in cases {
        let rig = Rig::new(kind);
        rig.write_documents(12);
        rig.complete();
        let gone: Vec<_> = (0..10).map(|n| format!("docs/{n:02}.txt")).collect();
        std::fs::create_dir(rig.project.path("aside")).unwrap();
        let aside = |name: &String| rig.project.path(&name.replace("docs", "aside"));
        for name in &gone {
            std::fs::rename(rig.project.path(name), aside(name)).unwrap();
        }
        let points = rig.contents().len();
        let writes = rig.writes();
        rig.kill_when(&["--prune"], || {
            // The first calls to a server only look: at both slots, twice where one process has it alone.
            let looks = match kind {
                Kind::Embedded => 0,
                Kind::Qdrant => 9,
                Kind::Cluster => 6,
            };
            let now = writes() >= count + looks;
            if let Some(server) = rig.server.as_ref().filter(|_| now) {
                // From now on the server does as it is told and its answers get lost: killed with a removal half recorded.
                server.faults.cut.store(usize::MAX, Ordering::SeqCst);
                std::thread::sleep(Duration::from_millis(100));
            }
            now
        });
        if let Some(server) = &rig.server {
            server.faults.cut.store(0, Ordering::SeqCst);
        }
        let left = rig.contents().len();
        midway.push((kind, left > 11 && left < points));
        // Back with inode, size and time as they were: nothing of it may be taken for indexed that is not.
        for name in gone.iter().take(5) {
            std::fs::rename(aside(name), rig.project.path(name)).unwrap();
        }
        rig.ingest(&["--prune"]).expect_code(0);
        rig.expect_whole(&format!("{kind:?}: {left} of {points} points were left"));
    }
    for &kind in ledger.kinds() {
        assert!(midway.contains(&(kind, true)), "none was killed with some removed and some not: {midway:?}");
    }
}

fn a_kill_costs_at_most_the_requests_in_flight(ledger: Ledger) {
    for &kind in ledger.kinds() {
        let rig = Rig::new(kind);
        rig.write_documents(12);
        rig.undisturbed();
        let once = rig.paid.swap(0, Ordering::SeqCst);
        std::fs::remove_dir_all(rig.project.path("cache")).unwrap();
        let kills = 3;
        for _ in 0..kills {
            let stop = rig.requests.load(Ordering::SeqCst) + 4;
            assert!(rig.kill_when(&[], || rig.requests.load(Ordering::SeqCst) >= stop), "it had ended");
        }
        rig.complete();
        let paid = rig.paid.load(Ordering::SeqCst);
        // A kill costs what was in flight, the batch that was answered and not on disk yet, and the question for the width.
        let most = once + kills * ((CONCURRENCY + 1) * ITEMS + 1);
        assert!((once..=most).contains(&paid), "{paid} inputs were paid for instead of {once}");
    }
}

fn an_interrupted_run_drains_and_says_how_to_go_on(ledger: Ledger) {
    for (n, name) in ["INT", "TERM"].into_iter().enumerate() {
        let rig = Rig::new(ledger.kind(n));
        rig.write_documents(20);
        rig.answer(|request| openai_embeddings(request, 16).after(Duration::from_millis(150)));
        let child = rig.start(&[]);
        until("requests", || rig.requests.load(Ordering::SeqCst) > 3);
        signal(&child, name);
        let interrupted = without_secrets(ended(child)).expect_code(130);
        let summary = interrupted.last("summary");
        let stored = rig.contents().len();
        assert_eq!(summary["chunks"]["upserted"], stored, "{summary}");
        assert_eq!(
            summary["embeddings"]["embedded"],
            rig.paid.load(Ordering::SeqCst),
            "all that was paid for is used: {summary}"
        );
        assert!(stored > 0, "{summary}");

        let child = rig.project.start(&["ingest", "-p", "docs.yaml"]);
        let before = rig.requests.load(Ordering::SeqCst);
        until("requests", || rig.requests.load(Ordering::SeqCst) > before);
        signal(&child, name);
        let told = ended(child).expect_code(130).stderr;
        assert!(told.contains("Ctrl-C again") && told.contains("run the same command again"), "{told}");
        rig.answer(|request| openai_embeddings(request, 16));
        rig.complete();
        rig.expect_whole("interrupted");
    }
}

fn a_second_interrupt_ends_at_once(ledger: Ledger) {
    let rig = Rig::new(ledger.kind(0));
    rig.write_documents(3);
    rig.answer(|_| crate::stand_in::Reply::hang());
    let child = rig.start(&[]);
    until("requests", || rig.requests.load(Ordering::SeqCst) > 0);
    signal(&child, "INT");
    std::thread::sleep(Duration::from_millis(50));
    let began = Instant::now();
    signal(&child, "INT");
    ended(child).expect_code(130);
    // Without it the hanging request alone is waited for three seconds.
    assert!(began.elapsed() < Duration::from_secs(2));
}

fn documents(summary: &Value) -> [u64; 4] {
    ["added", "changed", "unchanged", "removed"].map(|key| summary["documents"][key].as_u64().unwrap())
}

fn a_store_restored_from_an_old_copy_is_noticed_and_mended(ledger: Ledger) {
    let rig = Rig::new(ledger.kind(0));
    rig.write_documents(12);
    rig.complete();
    let copy = rig.copy_of_store();
    change(&rig);
    rig.complete();
    rig.put_back(copy);
    let summary = rig.complete();
    assert_eq!(documents(&summary), [2, 4, 5, 3], "as in the run that was lost: {summary}");
    rig.expect_whole("restored");
    assert_eq!(documents(&rig.complete()), [0, 0, 11, 0]);

    // The ledger may be the old copy as well.
    rig.copy_ledger();
    rig.project.write("docs/07.txt", document(70, 3));
    rig.complete();
    rig.put_ledger_back();
    rig.project.write("docs/07.txt", document(71, 3));
    rig.complete();
    rig.expect_whole("with an old ledger");
}

#[test]
fn a_server_written_by_another_home_is_noticed() {
    let rig = Rig::new(Kind::Qdrant);
    rig.write_documents(8);
    rig.complete();
    // Another home over the same collection, with other files, in a run of its own.
    let other = rig.project.path("other-home").to_str().unwrap().to_owned();
    let (first, second) = (document(0, 4), document(0, 6));
    rig.project.write("docs/00.txt", &second);
    rig.project.remove("docs/01.txt");
    // What only the first home has is not the other's to remove, unless it is told so.
    for _ in 0..2 {
        let ended = rig.ingest(&["--home", &other]).expect_code(1);
        assert_eq!(ended.last("summary")["kept_although_gone"], 1, "{ended:?}");
        assert!(ended.stderr.contains("another home"), "{}", ended.stderr);
        assert!(rig.contents().uris().contains(&"docs/01.txt"));
    }
    let told = rig.project.run(&["ingest", "-p", "docs.yaml", "--home", &other]).expect_code(1).stderr;
    assert!(told.contains(".ragstream") && told.contains("--prune"), "{told}");
    rig.ingest(&["--home", &other, "--prune"]).expect_code(0);
    assert!(!rig.contents().uris().contains(&"docs/01.txt"));
    rig.project.write("docs/40.txt", document(40, 3));
    rig.ingest(&["--home", &other]).expect_code(0);
    rig.project.remove("docs/40.txt");
    let removed = rig.ingest(&["--home", &other]).expect_code(0).last("summary");
    assert_eq!(removed["documents"]["removed"], 1, "it is that home's now: {removed}");
    rig.project.write("docs/00.txt", &first);
    rig.project.write("docs/01.txt", document(1, 5));
    rig.complete();
    rig.expect_whole("two homes");
}

fn a_server_restored_from_an_old_copy_is_noticed(ledger: Ledger) {
    let rig = Rig::new(ledger.on_a_server());
    rig.write_documents(8);
    rig.complete();
    // As a snapshot would bring it back: an older state under an older name.
    let server = rig.server.as_ref().unwrap();
    let snapshot = server.snapshot("docs");
    rig.project.write("docs/02.txt", document(2, 9));
    rig.complete();
    server.restore("docs", snapshot);
    rig.complete();
    rig.expect_whole("restored");
}

fn a_touched_file_gets_its_time_written_and_nothing_is_embedded(ledger: Ledger) {
    for &kind in ledger.kinds() {
        let rig = Rig::new(kind);
        rig.write_documents(6);
        rig.complete();
        let requests = rig.requests.load(Ordering::SeqCst);
        let touch = |name: &str, ago: u64| {
            let file = std::fs::File::options().write(true).open(rig.project.path(name)).unwrap();
            file.set_modified(SystemTime::now() - Duration::from_secs(ago)).unwrap();
        };
        touch("docs/00.txt", 5_000);
        touch("docs/01.txt", 50_000);
        let plan = rig.project.run(&["plan", "-p", "docs.yaml", "--json"]).expect_code(0).last("plan");
        assert_eq!((&plan["documents"]["unchanged"], &plan["documents"]["changed"]), (&6.into(), &0.into()), "{plan}");
        assert!(plan["chunks"]["moved"].as_u64().unwrap() > 0, "{plan}");
        let summary = rig.complete();
        assert_eq!(documents(&summary), [0, 0, 6, 0], "{summary}");
        assert!(summary["chunks"]["upserted"].as_u64().unwrap() > 0, "{summary}");
        assert_eq!(rig.requests.load(Ordering::SeqCst), requests, "{summary}");
        rig.expect_whole("touched");
        assert_eq!(rig.complete()["chunks"]["upserted"], 0);
    }
}

fn another_address_is_another_model_unless_the_file_says_whose_it_is(ledger: Ledger) {
    let rig = Rig::new(ledger.kind(0));
    rig.write_documents(3);
    rig.complete();
    let (known, file) = (rig.api.url().replace("http://127.0.0.1", "localhost"), rig.project.read("docs.yaml"));
    let moved = String::from_utf8(file).unwrap().replace("/v1\n", "/v2\n");
    rig.project.write("docs.yaml", &moved);
    let refused = rig.ingest(&[]).expect_code(2);
    for told in [&format!("at {known}/v1"), &format!("at {known}/v2"), &format!("`identity` of its provider: {known}/v1")] {
        assert!(refused.stderr.replace('\n', " ").contains(told.as_str()), "{told}: {}", refused.stderr);
    }
    rig.project.write("docs.yaml", moved.replace("    api_key:", &format!("    identity: {known}/v1\n    api_key:")));
    assert_eq!(documents(&rig.complete()), [0, 0, 3, 0]);
    // The vendor's own goes without saying.
    rig.project.write("docs.yaml", moved.replace("    api_key:", "    identity: https://api.openai.com/v1/\n    api_key:"));
    let refused = rig.ingest(&[]).expect_code(2);
    assert!(refused.stderr.contains("now says openai/text-embedding-3-small/16"), "{}", refused.stderr);
    assert!(!refused.stderr.contains("at api.openai.com"), "{}", refused.stderr);
}

#[test]
fn two_ingests_at_once_and_a_search_beside_one() {
    let rig = Rig::new(Kind::Embedded);
    rig.write_documents(3);
    rig.complete();
    rig.project.write("docs/00.txt", document(40, 6));
    rig.answer(|request| openai_embeddings(request, 16).after(Duration::from_millis(900)));
    // The first request of the run comes after the index was opened by the change before it.
    rig.project.remove("docs/02.txt");
    rig.project.write("docs/04.txt", document(41, 60));
    let holder = rig.start(&[]);
    let before = rig.requests.load(Ordering::SeqCst);
    until("requests", || rig.requests.load(Ordering::SeqCst) > before + CONCURRENCY);
    let process = format!("process {}", holder.id());
    let second = rig.ingest(&[]).expect_code(2);
    assert!(second.stderr.contains(&process) && second.stderr.contains("hint:"), "{}", second.stderr);
    // Who only asks is not kept waiting, and sees what was acknowledged.
    let found = rig.run(&["search", "alpha", "--json"]).expect_code(0);
    assert_eq!(found.last("hit")["type"], "hit");
    let status = rig.run(&["status", "--json"]).last("status");
    assert!(status["chunks"].as_u64().unwrap() > 0, "{status}");
    signal(&holder, "INT");
    ended(holder).expect_code(130);

    // Another home's run would write to the same index: it is told so before it pays for anything.
    let holding = ragstream_lock(&rig);
    let before = rig.requests.load(Ordering::SeqCst);
    let refused = rig.ingest(&[]).expect_code(2);
    assert!(refused.stderr.contains("in use by") && refused.stderr.contains("hint:"), "{}", refused.stderr);
    assert_eq!(rig.requests.load(Ordering::SeqCst), before, "nothing was asked for");
    drop(holding);
    rig.complete();
}

/// Holds the index as a run that writes does.
fn ragstream_lock(rig: &Rig) -> std::fs::File {
    let file = std::fs::File::options().read(true).write(true).open(rig.project.path("store-docs/lock")).unwrap();
    file.lock().unwrap();
    file
}
