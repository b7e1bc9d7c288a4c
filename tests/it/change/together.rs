//! Several workers change the model, over a real Postgres: the program, on a stand-in of a Qdrant server.

use std::process::Child;

use super::*;
use crate::both::Together;
use crate::rig::CONCURRENCY;
use crate::sql::servers::new_postgres_with;

const THIRD: &str = "model: openai/text-embedding-ada-002, dimensions: 12";

/// Waits for workers, and searches meanwhile: what was found, each time.
fn searched_meanwhile(rig: &Rig, mut workers: Vec<Child>) -> (Vec<Ended>, Vec<Vec<Value>>) {
    let mut seen = Vec::new();
    while workers.iter_mut().any(|worker| worker.try_wait().unwrap().is_none()) {
        seen.push(searched(rig, "docs").0);
    }
    (workers.into_iter().map(|worker| without_secrets(ended(worker))).collect(), seen)
}

fn together(rig: &Rig) -> &Together {
    rig.together.as_ref().unwrap()
}

fn cluster_status(rig: &Rig) -> Value {
    rig.run(&["status", "--json"]).last("cluster")
}

/// Which models the two slots have, the one that answers first.
fn slots(rig: &Rig) -> Vec<String> {
    let status = without_secrets(rig.project.run(&["status", "-p", "docs.yaml", "--cluster", "", "--json"])).last("status");
    [&status["index"]["model"], &status["next"]["index"]["model"]].iter().filter_map(|m| Some(m.as_str()?.to_owned())).collect()
}

/// Nobody has anything, nothing is left of the other slot, and the ledger is what the store holds.
fn is_settled(rig: &Rig, case: &str) {
    together(rig).is_settled();
    assert_eq!(slots(rig).len(), 1, "{case}");
    let left = "SELECT count(DISTINCT corpus) FROM ragstream.documents";
    assert_eq!(together(rig).sql(left), "1", "{case}: the other ledger is empty");
    let right = "SELECT count(*) FROM ragstream.roles WHERE role = 'slots' AND lease_until > clock_timestamp()";
    assert_eq!(together(rig).sql(right), "0", "{case}: nobody has the right");
    let summary = rig.complete();
    assert_eq!(
        (&summary["documents"]["unchanged"], &summary["chunks"]["upserted"]),
        (&summary["documents"]["seen"], &0.into()),
        "{case}"
    );
}

fn refused(rig: &Rig, more: &[&str], parts: &[&str]) {
    let told = rig.ingest(more).expect_code(2);
    let told = words(&format!("{}{}", told.stdout, told.stderr));
    for part in parts {
        assert!(told.contains(part), "{part}: {told}");
    }
}

#[test]
fn workers_change_the_model_and_back_while_the_old_vectors_answer() {
    let rig = indexed(Kind::Cluster);
    let paid = rig.paid.swap(0, Ordering::SeqCst);
    let before = searched(&rig, "docs").0;
    let plan_of = || rig.run(&["plan", "--json"]).expect_code(0).last("plan");
    rewrite(&rig, "docs", OLD, NEW);
    rewrite(&rig, "docs", "    retry:", "    prices: { text-embedding-3-large: { input: 0.13 } }\n    retry:");
    let plan = plan_of();
    assert_eq!((&plan["change"]["kind"], &plan["embeddings"]), (&"change".into(), &paid.into()), "{plan}");
    assert!(plan["cost_usd"].as_f64().unwrap() > 0.0, "{plan}");

    rig.answer(|request| embedded(request).after(Duration::from_millis(300)));
    let begin = rig.requests.load(Ordering::SeqCst);
    let workers = vec![rig.start(&[]), rig.start(&[])];
    until("the change", || rig.requests.load(Ordering::SeqCst) > begin + 4);
    let status = cluster_status(&rig);
    let change = &status["change"];
    assert!(change["from"].as_str().unwrap().contains("text-embedding-3-small/16"), "{status}");
    assert!(change["to"].as_str().unwrap().contains(NEW_MODEL) && change["percent"].as_u64().unwrap() < 100, "{status}");
    assert_eq!(status["documents"].as_u64().unwrap() + change["waiting"].as_u64().unwrap(), 13, "{status}");
    let told = rig.run(&["status"]).stdout;
    assert!(told.contains("change     to ") && told.contains("answer until then"), "{told}");
    // What changes meanwhile is seen or not.
    rig.project.write("docs/00.txt", document(0, 9));
    rig.project.remove("docs/01.txt");
    let (ends, seen) = searched_meanwhile(&rig, workers);
    for end in ends {
        let summary = end.expect_code(0).last("summary");
        assert_eq!(summary["change"]["complete"], true, "both tell it: {summary}");
    }
    let switched = seen.iter().position(|hits| *hits != before).unwrap_or(seen.len());
    assert!(switched > 1, "the old vectors answered");
    assert!(seen[switched..].iter().all(|hits| *hits != before), "and never again after the new ones");
    rig.answer(embedded);
    rig.complete();
    assert_eq!(searched(&rig, "docs").0, fresh(&rig));
    is_settled(&rig, "changed");
    assert!(cluster_status(&rig)["change"].is_null());

    // And the way back, from the second slot to the first.
    rewrite(&rig, "docs", NEW, OLD);
    let ends = searched_meanwhile(&rig, vec![rig.start(&[]), rig.start(&[]), rig.start(&[])]).0;
    let complete = ends.into_iter().filter(|end| end.last("summary")["change"]["complete"] == true).count();
    assert!(complete > 0, "whoever comes late finds nothing to do");
    is_settled(&rig, "there and back");
    rig.expect_whole("there and back");
}

#[test]
fn killed_workers_cost_what_was_in_flight_and_others_go_on() {
    let rig = indexed(Kind::Cluster);
    let old = searched(&rig, "docs").0;
    let new = fresh(&rig);
    let once = rig.paid.load(Ordering::SeqCst) / 2;
    std::fs::remove_dir_all(rig.project.path("cache")).unwrap();
    rewrite(&rig, "docs", OLD, NEW);
    rig.paid.store(0, Ordering::SeqCst);
    let mut kills = 0;
    for n in 0..3 {
        let stop = rig.requests.load(Ordering::SeqCst) + 2 + n;
        kills += usize::from(rig.kill_when(&[], || rig.requests.load(Ordering::SeqCst) >= stop));
        assert_eq!(searched(&rig, "docs").0, old, "kill {n}");
    }
    assert!(kills > 1, "{kills}");
    assert_eq!(rig.complete()["change"]["complete"], true);
    assert_eq!(searched(&rig, "docs").0, new);
    is_settled(&rig, "killed");
    let (paid, most) = (rig.paid.load(Ordering::SeqCst), once + kills * ((CONCURRENCY + 1) * ITEMS + 2) + 8);
    assert!((once..=most).contains(&paid), "{paid} inputs were paid for instead of {once}, with {kills} kills");

    // At any of the last calls to the store: before the switch, in it, while the old vectors are removed.
    let calls = || rig.server.as_ref().unwrap().faults.calls.load(Ordering::SeqCst);
    let counted = |from: &str, to: &str| {
        rewrite(&rig, "docs", from, to);
        let before = calls();
        rig.complete();
        calls() - before
    };
    let most = counted(NEW, OLD).min(counted(OLD, NEW));
    let (mut to_new, mut ends) = (false, [0, 0]);
    for back in [0, 4, 9, 14, 30] {
        let (from, to) = if to_new { (OLD, NEW) } else { (NEW, OLD) };
        let (was, will) = if to_new { (&old, &new) } else { (&new, &old) };
        rewrite(&rig, "docs", from, to);
        let before = calls();
        rig.server.as_ref().unwrap().faults.slow_ms.store(8, Ordering::SeqCst);
        rig.kill_when(&[], || calls() >= before + most - back);
        rig.server.as_ref().unwrap().faults.slow_ms.store(0, Ordering::SeqCst);
        let found = searched(&rig, "docs").0;
        assert!(found == *was || found == *will, "{back} calls before the end");
        ends[usize::from(found == *will)] += 1;
        rig.complete();
        assert_eq!(searched(&rig, "docs").0, *will, "after {back}");
        to_new = !to_new;
    }
    is_settled(&rig, "killed at the end");
    assert!(ends.iter().all(|times| *times > 0), "killed before the switch and after it: {ends:?}");
}

#[test]
fn whoever_names_another_model_than_those_at_work_is_told_who_they_are() {
    let rig = indexed(Kind::Cluster);
    // The old model is at work.
    (0..12).for_each(|n| rig.project.write(&format!("docs/{n:02}.txt"), document(n + 50, 12)));
    let before = rig.requests.load(Ordering::SeqCst);
    rig.answer(|request| embedded(request).after(Duration::from_millis(500)));
    let at_work = rig.start(&[]);
    until("requests", || rig.requests.load(Ordering::SeqCst) > before);
    rewrite(&rig, "docs", OLD, NEW);
    let who = format!(":{}", at_work.id());
    refused(&rig, &[], &["are at work with", &who, NEW_MODEL, "wait until their round has ended"]);
    assert_eq!(slots(&rig).len(), 1, "nothing has begun");
    ended(at_work).expect_code(0);

    // The new one is.
    let before = rig.requests.load(Ordering::SeqCst);
    let at_work = rig.start(&[]);
    until("requests", || rig.requests.load(Ordering::SeqCst) > before + 2);
    let who = format!(":{}", at_work.id());
    let held = slots(&rig);
    for (from, to) in [(NEW, OLD), (OLD, THIRD)] {
        rewrite(&rig, "docs", from, to);
        refused(&rig, &[], &["change its model from", &who, NEW_MODEL, "stop them first", "questions are answered"]);
        assert_eq!(slots(&rig), held, "nothing is taken from anybody");
    }
    // One that dies counts until its lease has run out; then the change is taken back, and costs nothing.
    let mut at_work = at_work;
    at_work.kill().unwrap();
    at_work.wait().unwrap();
    rewrite(&rig, "docs", THIRD, OLD);
    refused(&rig, &[], &["change its model from", &who]);
    together(&rig).all_are_dead();
    let plan = rig.run(&["plan"]).expect_code(0).stdout;
    assert!(plan.contains("is taken back"), "{plan}");
    rig.answer(embedded);
    let requests = rig.requests.load(Ordering::SeqCst);
    let told = rig.ingest(&[]).expect_code(0);
    assert!(words(&told.stderr).contains("is taken back"), "{}", told.stderr);
    assert_eq!(rig.requests.load(Ordering::SeqCst), requests, "nothing is paid for");
    is_settled(&rig, "taken back");
    rig.expect_whole("taken back");

    // A third model in the middle of a change that nobody is at work on.
    rewrite(&rig, "docs", OLD, NEW);
    let stop = rig.requests.load(Ordering::SeqCst) + 3;
    std::fs::remove_dir_all(rig.project.path("cache")).unwrap();
    rig.kill_when(&[], || rig.requests.load(Ordering::SeqCst) >= stop);
    rewrite(&rig, "docs", NEW, THIRD);
    assert_eq!(rig.complete()["change"]["complete"], true);
    is_settled(&rig, "a third");
    assert!(slots(&rig)[0].contains("text-embedding-ada-002/12"), "{:?}", slots(&rig));
}

#[test]
fn a_document_that_fails_keeps_the_old_vectors_answering_until_it_is_given_up() {
    let rig = indexed(Kind::Cluster);
    let before = searched(&rig, "docs").0;
    rewrite(&rig, "docs", OLD, NEW);
    rig.project.write("docs/03.txt", format!("{}\n\npoison\n", document(3, 4)));
    rig.answer(|request| {
        let refuses = request.body["input"].as_array().unwrap().iter().any(|input| input.as_str().unwrap().contains("poison"));
        if refuses { Reply::status(400, &serde_json::json!({"error": {"message": "no"}})) } else { embedded(request) }
    });
    let kept = rig.ingest(&[]).expect_code(1).last("summary");
    let change = &kept["change"];
    assert_eq!((&change["complete"], &change["waiting"], &change["failed"]), (&false.into(), &0.into(), &1.into()), "{change}");
    assert_eq!(searched(&rig, "docs").0, before);
    let status = without_secrets(rig.run(&["status", "--json"])).expect_code(1).last("cluster");
    assert_eq!((&status["change"]["failed"], &status["change"]["percent"]), (&1.into(), &92.into()), "{status}");
    let done = rig.ingest(&["--prune"]).expect_code(1).last("summary");
    assert_eq!(done["change"]["complete"], true, "{done}");
    assert_eq!(slots(&rig).len(), 1);
}

/// Stopped as soon as this is true, for longer than its lease; another one goes on to where this is found, and it wakes when that has
/// ended.
fn asleep_while_another_goes_on(rig: &Rig, case: &str, will: &[Value], now: impl Fn() -> bool) {
    rig.server.as_ref().unwrap().faults.slow_ms.store(60, Ordering::SeqCst);
    let mut sleeper = rig.start(&[]);
    until(case, || now() || sleeper.try_wait().unwrap().is_some());
    signal(&sleeper, "STOP");
    assert!(sleeper.try_wait().unwrap().is_none(), "{case}: it had ended");
    let since = Instant::now();
    rig.server.as_ref().unwrap().faults.slow_ms.store(0, Ordering::SeqCst);
    // The database's word that nobody can be at it any more, at the time at which that is so for the sleeper.
    while since.elapsed() < Duration::from_millis(5200) {
        searched(rig, "docs");
    }
    together(rig).all_are_dead();
    rig.complete();
    assert_eq!(searched(rig, "docs").0, will, "{case}");
    signal(&sleeper, "CONT");
    let woken = without_secrets(ended(sleeper));
    assert!(woken.code == 0 || woken.code == 2, "{case}: {woken:?}");
    assert_eq!(searched(rig, "docs").0, will, "{case}, and woken");
    is_settled(rig, case);
}

/// Stopped in the midst of the transaction that writes first to the table of sweeps, for longer than anybody has rows in one; another
/// one does the work, and it wakes when that has ended.
fn asleep_in_a_transaction(rig: &Rig, case: &str) {
    let together = together(rig);
    let is = |what: &str| {
        together.sql(&format!("SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND {what}")) != "0"
    };
    let holds = "LOCK TABLE ragstream.sweeps IN SHARE MODE;
        WHILE NOT EXISTS (SELECT 1 FROM pg_class WHERE relname = 'go') LOOP PERFORM pg_sleep(0.05); END LOOP;";
    let mut sleeper = std::thread::scope(|scope| {
        scope.spawn(|| together.sql(&format!("DO $$ BEGIN {holds} END $$")));
        until("the lock", || is("query LIKE 'DO %' AND wait_event = 'PgSleep'"));
        let sleeper = rig.start(&[]);
        until("a transaction", || is("query LIKE 'INSERT INTO ragstream.sweeps%' AND wait_event_type = 'Lock'"));
        signal(&sleeper, "STOP");
        together.sql("CREATE TABLE go ()");
        sleeper
    });
    let in_the_midst = "state = 'idle in transaction'";
    until("the statement's end", || is(in_the_midst));
    until("the end of the transaction", || !is(in_the_midst));
    assert!(sleeper.try_wait().unwrap().is_none());
    together.all_are_dead();
    rig.complete();
    signal(&sleeper, "CONT");
    let woken = without_secrets(ended(sleeper));
    assert!(woken.code == 0 || woken.code == 2, "{case}: {woken:?}");
    is_settled(rig, case);
    rig.expect_whole(case);
}

/// A machine may be paused at any instant: in the midst of a transaction, too, with rows that all others need.
#[test]
fn a_worker_that_sleeps_in_a_transaction_has_its_rows_for_seconds_only() {
    let rig = indexed(Kind::Cluster);
    // Whoever comes next takes the row of a dead worker away, and what that was about to write.
    together(&rig).sql(
        "INSERT INTO ragstream.workers SELECT 7, id, era, 'host', 1, '0.1', now(), interval '1 s', now() - interval '1 h' FROM ragstream.corpora",
    );
    asleep_in_a_transaction(&rig, "asleep while it takes another's row away");
}

#[test]
fn a_worker_that_sleeps_while_it_signs_off_does_not_sign_on_again() {
    asleep_in_a_transaction(&indexed(Kind::Cluster), "asleep while it signs off");
}

#[test]
fn a_worker_that_sleeps_through_the_switch_undoes_nothing() {
    let rig = indexed(Kind::Cluster);
    let (old, new) = (searched(&rig, "docs").0, fresh(&rig));
    let change =
        |number: &str| together(&rig).sql(&format!("SELECT count(*) FROM ragstream.corpora WHERE change = {number}")) == "1";
    // While the new vectors are made.
    rewrite(&rig, "docs", OLD, NEW);
    asleep_while_another_goes_on(&rig, "making", &new, || change("1"));
    // When all of them are there, and the store is about to be told.
    rewrite(&rig, "docs", NEW, OLD);
    asleep_while_another_goes_on(&rig, "switching", &old, || change("2"));
    rig.expect_whole("in the end");
}

/// As an earlier ragstream has made them.
fn as_layout_1(rig: &Rig) {
    together(rig).sql(
        "DROP INDEX ragstream.documents_unread; UPDATE ragstream.layout SET version = 1;
         ALTER TABLE ragstream.corpora DROP COLUMN closed, DROP COLUMN closings, DROP COLUMN change, DROP COLUMN model, DROP COLUMN settles",
    );
}

#[test]
fn tables_of_an_earlier_layout_are_brought_up_to_date_when_nobody_is_at_work() {
    let rig = indexed(Kind::Cluster);
    as_layout_1(&rig);
    for command in ["status", "plan"] {
        let told = without_secrets(rig.run(&[command])).expect_code(2).stderr;
        assert!(words(&told).contains("are of layout 1") && words(&told).contains("the next `ingest` brings them"), "{told}");
    }
    together(&rig).sql(
        "INSERT INTO ragstream.workers SELECT 7, id, era, 'host', 1, '0.1', now(), interval '1 h', now() + interval '1 h' FROM ragstream.corpora",
    );
    refused(&rig, &[], &["1 of its workers are at work", "start every worker with this one"]);
    together(&rig).sql("DELETE FROM ragstream.workers");
    assert_eq!(rig.complete()["documents"]["unchanged"], 13);
    rewrite(&rig, "docs", OLD, NEW);
    assert_eq!(rig.complete()["change"]["complete"], true);
    is_settled(&rig, "of layout 1");
    // As by hand, where the program may not.
    as_layout_1(&rig);
    let sql = rig.project.run(&["schema", "--cluster"]).expect_code(0).stdout;
    let lines = sql.lines().skip_while(|line| !line.contains("layout 1 up to date")).skip(1);
    let by_hand: String =
        lines.take_while(|line| !line.contains("What workers need")).map(|line| &line[3..]).collect::<Vec<_>>().join("\n");
    together(&rig).sql(&by_hand);
    assert_eq!(rig.complete()["documents"]["unchanged"], 13);
}

#[test]
fn one_process_alone_changes_what_workers_have_made_where_that_is_meant() {
    let rig = Rig::new(Kind::Cluster);
    rig.answer(embedded);
    rig.write_documents(4);
    rig.complete();
    rewrite(&rig, "docs", OLD, NEW);
    // It may be another home's: it says so, and does it where that is meant.
    let alone = |more: &[&str]| rig.project.run(&[&["ingest", "-p", "docs.yaml", "--cluster", "", "--json"], more].concat());
    let refused = alone(&[]).expect_code(2).stderr;
    assert!(words(&refused).contains("another home") && refused.contains("--prune"), "{refused}");
    assert_eq!(alone(&["--prune"]).expect_code(0).last("summary")["change"]["complete"], true);
    // The workers go on from there, and back: they read all of it once, and pay for nothing.
    let requests = rig.requests.load(Ordering::SeqCst);
    assert_eq!(rig.complete()["chunks"]["upserted"], 0);
    assert_eq!(rig.requests.load(Ordering::SeqCst), requests);
    assert_eq!(rig.complete()["documents"]["unchanged"], 4);
    rig.project.write("docs/02.txt", document(2, 8));
    rig.complete();
    assert_eq!(searched(&rig, "docs").0, fresh(&rig));
    rewrite(&rig, "docs", NEW, OLD);
    assert_eq!(rig.complete()["change"]["complete"], true);
    is_settled(&rig, "back by workers");
    rig.expect_whole("back by workers");
    // What one process has made, workers change where that is meant.
    rewrite(&rig, "docs", OLD, NEW);
    alone(&["--prune"]).expect_code(0);
    rewrite(&rig, "docs", NEW, THIRD);
    let refused = rig.ingest(&[]).expect_code(2);
    assert!(words(&format!("{}{}", refused.stdout, refused.stderr)).contains("another home"), "{refused:?}");
    assert_eq!(rig.ingest(&["--prune"]).expect_code(0).last("summary")["change"]["complete"], true);
    is_settled(&rig, "by workers, after one process");
}

/// It ends from one moment to the next and is there again, while vectors are made and in the switch.
#[test]
fn a_database_that_is_killed_in_the_middle_of_a_change_costs_nothing() {
    let mut server = new_postgres_with(&[], None);
    let rig = Rig::in_cluster(Together::at(server.port));
    rig.answer(embedded);
    rig.write_documents(12);
    rig.complete();
    let paid = rig.paid.swap(0, Ordering::SeqCst);
    let before = searched(&rig, "docs").0;
    rig.paid.store(0, Ordering::SeqCst);
    rewrite(&rig, "docs", OLD, NEW);
    rig.answer(|request| embedded(request).after(Duration::from_millis(150)));
    // The store is told to answer from the new vectors as long as there is a row in this table.
    together(&rig).sql(
        "CREATE TABLE slow (); INSERT INTO slow DEFAULT VALUES;
         CREATE FUNCTION slowly() RETURNS trigger LANGUAGE plpgsql AS
             $$ BEGIN WHILE EXISTS (SELECT FROM slow) LOOP PERFORM pg_sleep(0.02); END LOOP; RETURN NEW; END $$;
         CREATE TRIGGER slowly BEFORE UPDATE ON ragstream.corpora FOR EACH ROW
             WHEN (OLD.change = 1 AND NEW.change = 2) EXECUTE FUNCTION slowly()",
    );
    let begin = rig.requests.load(Ordering::SeqCst);
    let worker = rig.start(&[]);
    until("requests", || rig.requests.load(Ordering::SeqCst) > begin + 3);
    server.restart();
    assert_eq!(searched(&rig, "docs").0, before);
    let seals = "SELECT count(*) FROM pg_stat_activity WHERE wait_event = 'PgSleep' AND query LIKE '%judged%'";
    until("the seal", || together(&rig).sql(seals) == "1");
    server.restart();
    together(&rig).sql("DELETE FROM slow");
    let summary = without_secrets(ended(worker)).expect_code(0).last("summary");
    assert_eq!(summary["change"]["complete"], true, "{summary}");
    // A question for the width, and each search's own.
    let now = rig.paid.load(Ordering::SeqCst);
    assert!((paid - 1..=paid + 4).contains(&now), "{now} inputs were paid for instead of {paid}");
    rig.answer(embedded);
    assert_eq!(searched(&rig, "docs").0, fresh(&rig));
    is_settled(&rig, "a database that was killed");
}
