//! What users meet: a database that is full, has no connection left, or does not let them in; one that ends at the worst moment. Each is
//! told of in a sentence with what to do, or waited for, and nothing is lost.

use std::process::Child;
use std::time::Duration;

use crate::both::Together;
use crate::project::{Ended, ended};
use crate::rig::{Kind, Rig, WIDTH, document, signal, until, without_secrets};
use crate::sql::servers::{Database, ENCODED, PASSWORD, connected, new_postgres_with};
use crate::stand_in::openai_embeddings;

/// A worker that says what it says to a person, into a file.
struct Told<'a> {
    rig: &'a Rig,
    child: Option<Child>,
}

impl<'a> Told<'a> {
    fn start(rig: &'a Rig, more: &[&str]) -> Self {
        let file = |name: &str| std::fs::File::create(rig.project.path(name)).unwrap();
        let arguments = [&["ingest", "-p", "docs.yaml", "--lease", "5s"], more].concat();
        let child = rig.project.start_into(&arguments, file("stdout"), file("stderr"));
        Self { rig, child: Some(child) }
    }

    fn so_far(&self) -> String {
        // A terminal's width is not looked at.
        String::from_utf8(self.rig.project.read("stderr")).unwrap().replace('\n', " ")
    }

    /// Waits until it says this, while it runs.
    fn says(&mut self, part: &str) {
        until(part, || {
            let said = self.so_far().contains(part);
            let gone = self.child.as_mut().unwrap().try_wait().unwrap();
            assert!(said || gone.is_none(), "{gone:?} without {part:?}: {}", self.so_far());
            said
        });
    }

    fn ended(mut self) -> Ended {
        let code = self.child.take().unwrap().wait().unwrap().code().unwrap_or(-1);
        without_secrets(Ended { code, stdout: String::new(), stderr: self.so_far() })
    }
}

impl Drop for Told<'_> {
    fn drop(&mut self) {
        if let Some(child) = &mut self.child {
            child.kill().unwrap();
            child.wait().unwrap();
        }
    }
}

pub(super) fn url_is(mut rig: Rig, url: String) -> Rig {
    rig.project = rig.project.with("RAGSTREAM_CLUSTER", url);
    rig
}

/// No file of the server's may become larger than one of its tables has become: it says `DISK_FULL` of what is to be added to it, and
/// answers everything else.
#[test]
fn a_disk_that_is_full_is_told_of_and_waited_for() {
    // A page and a half more than the log of changes needs.
    let mut server = new_postgres_with(&[("autovacuum", "off"), ("log_statement", "none")], Some(2072));
    let rig = Rig::in_cluster(Together::at(server.port));
    rig.write_documents(4);
    rig.complete();
    let together = rig.together.as_ref().unwrap();
    // As many rows as there is room for; of the last page, too.
    let rows = |at_once: u32| {
        let insert = format!(
            "INSERT INTO ragstream.documents (corpus, key, source)
             SELECT -1, gen_random_uuid(), repeat('x', 200) FROM generate_series(1, {at_once})"
        );
        together.sql(&format!("DO $$ BEGIN LOOP BEGIN {insert}; EXCEPTION WHEN disk_full THEN EXIT; END; END LOOP; END $$"));
    };
    rows(50);
    rows(1);
    rig.write_documents(10);
    let mut worker = Told::start(&rig, &[]);
    worker.says("has no room");
    let said = worker.so_far();
    assert!(
        said.contains("could not extend file") && said.contains(&format!("Postgres at 127.0.0.1:{}", server.port)),
        "{said}"
    );
    server.make_room();
    worker.ended().expect_code(0);
    rig.expect_whole("a full disk");
}

#[test]
fn a_database_with_no_connection_left_is_waited_for() {
    let server = new_postgres_with(&[("max_connections", "6"), ("superuser_reserved_connections", "0")], None);
    let rig = Rig::in_cluster(Together::at(server.port));
    rig.write_documents(6);
    let mut others = all_connections(server.port, 6);
    let mut worker = Told::start(&rig, &[]);
    worker.says("too many clients already");
    // One of those that it needs.
    let free = |mut other: Child| {
        other.kill().unwrap();
        other.wait().unwrap();
    };
    free(others.remove(0));
    std::thread::sleep(Duration::from_secs(1));
    others.drain(..).for_each(free);
    worker.ended().expect_code(0);
    rig.expect_whole("no connection left");
}

/// Takes so many connections, which are all that there are.
fn all_connections(port: u16, all: usize) -> Vec<Child> {
    let (mut others, database) = (Vec::<Child>::new(), Database::Postgres { name: "postgres".to_owned(), port });
    until("all connections to be taken", || {
        // Whoever comes while it is looked is refused, and comes again.
        others.retain_mut(|other| other.try_wait().unwrap().is_none());
        while others.len() < all {
            others.push(connected(port));
        }
        std::thread::sleep(Duration::from_millis(200));
        database.try_run("SELECT 1").is_none() && others.iter_mut().all(|other| other.try_wait().unwrap().is_none())
    });
    others
}

#[test]
fn who_may_make_no_tables_gets_the_sql_and_who_may_not_write_the_grants() {
    let rig = Rig::new(Kind::Cluster);
    rig.write_documents(5);
    let together = rig.together.as_ref().unwrap();
    let (owner, url) = (together.url(), together.url_of(&format!("careful:{ENCODED}")));
    together.sql("DROP SCHEMA ragstream CASCADE");
    let rig = url_is(rig, url);
    let together = rig.together.as_ref().unwrap();
    let refused = |parts: &[&str]| {
        let told = Told::start(&rig, &[]).ended().expect_code(2).stderr;
        for part in parts {
            assert!(told.contains(part), "{part}: {told}");
        }
        assert!(!told.contains(PASSWORD) && !told.contains(ENCODED), "{told}");
    };
    refused(&["error:", "Postgres at 127.0.0.1:", "permission denied for database", "hint:", "ragstream schema --cluster"]);
    let sql = rig.project.run(&["schema", "--cluster"]).expect_code(0).stdout;
    together.sql(&sql);
    refused(&["permission denied for schema ragstream", "grant what is missing", "last lines of `ragstream schema --cluster`"]);
    let status = without_secrets(rig.run(&["status"])).expect_code(2).stderr;
    assert!(status.contains("permission denied") && status.contains("hint:"), "{status}");
    let grants: Vec<&str> = sql.lines().filter_map(|line| line.strip_prefix("-- GRANT")).collect();
    assert!(grants.len() == 3 && grants.iter().all(|line| line.ends_with("TO worker;")), "{sql}");
    for grant in grants {
        together.sql(&format!("GRANT{}", grant.replace("TO worker", "TO careful")));
    }
    rig.complete();
    rig.project.remove("docs/01.txt");
    rig.project.write("docs/02.txt", document(2, 9));
    assert_eq!(rig.complete()["documents"]["removed"], 1);
    rig.run(&["status"]).expect_code(0);
    rig.expect_whole("with few rights");
    // Whoever owns them goes on with it.
    let rig = url_is(rig, owner);
    assert_eq!(rig.complete()["documents"]["unchanged"], 4);
}

#[test]
fn a_wrong_password_is_told_of_at_once() {
    let rig = Rig::new(Kind::Cluster);
    rig.write_documents(1);
    let url = rig.together.as_ref().unwrap().url_of("careful:s3cr3t-w0rng");
    let rig = url_is(rig, url);
    for command in [&["ingest"][..], &["status"]] {
        let told = rig.run(command).expect_code(2).stderr;
        for part in
            ["error:", "Postgres at 127.0.0.1:", "password authentication failed", "\"careful\"", "hint:", "in the address"]
        {
            assert!(told.replace('\n', " ").contains(part), "{part}: {told}");
        }
    }
}

#[test]
fn a_database_that_ends_while_a_round_is_sealed_seals_it_when_it_is_there_again() {
    let mut server = new_postgres_with(&[], None);
    let rig = Rig::in_cluster(Together::at(server.port));
    rig.write_documents(5);
    rig.complete();
    let together = rig.together.as_ref().unwrap();
    // The end of a round takes as long as there is a row in this table.
    together.sql(
        "CREATE TABLE slow (); INSERT INTO slow DEFAULT VALUES;
         CREATE FUNCTION slowly() RETURNS trigger LANGUAGE plpgsql AS
             $$ BEGIN WHILE EXISTS (SELECT FROM slow) LOOP PERFORM pg_sleep(0.02); END LOOP; RETURN NEW; END $$;
         CREATE TRIGGER slowly BEFORE UPDATE ON ragstream.corpora FOR EACH ROW
             WHEN (OLD.phase = 3 AND NEW.phase = 0) EXECUTE FUNCTION slowly()",
    );
    for whole in [false, true] {
        together.sql("DELETE FROM slow; INSERT INTO slow DEFAULT VALUES");
        let round: u64 = together.sql("SELECT round FROM ragstream.corpora").parse().unwrap();
        rig.project.remove(if whole { "docs/00.txt" } else { "docs/01.txt" });
        rig.write_documents(if whole { 3 } else { 8 });
        let worker = Told::start(&rig, &[]);
        until("the seal", || {
            together.sql("SELECT count(*) FROM pg_stat_activity WHERE wait_event = 'PgSleep' AND query LIKE '%judged%'") == "1"
        });
        if whole {
            // All of it is done, and the server ends before its worker has looked.
            signal(worker.child.as_ref().unwrap(), "STOP");
            together.sql("DELETE FROM slow");
            until("the seal", || together.sql("SELECT phase FROM ragstream.corpora") == "0");
            server.kill();
            signal(worker.child.as_ref().unwrap(), "CONT");
        }
        server.restart();
        together.sql("DELETE FROM slow");
        worker.ended().expect_code(0);
        rig.expect_whole("restarted in the seal");
        assert_eq!(together.sql("SELECT round || ' ' || phase FROM ragstream.corpora"), format!("{} 0", round + 1));
        assert_eq!(rig.complete()["chunks"]["upserted"], 0);
    }
}

/// Most of it is gone, and one of the workers is told that this is meant: not the one that walks.
#[test]
fn what_a_follower_is_told_to_remove_is_removed() {
    let rig = Rig::new(Kind::Cluster);
    rig.write_documents(12);
    rig.complete();
    (0..8).for_each(|n| rig.project.remove(&format!("docs/{n:02}.txt")));
    (8..12).for_each(|n| rig.project.write(&format!("docs/{n:02}.txt"), document(n + 20, 5)));
    let together = rig.together.as_ref().unwrap();
    // The round waits for the answers, and so for whoever comes meanwhile.
    rig.answer(|request| openai_embeddings(request, WIDTH).after(Duration::from_millis(500)));
    let leader = rig.start(&[]);
    until("somebody to lead", || together.sql("SELECT count(*) FROM ragstream.roles WHERE lease_until > now()") == "1");
    let leads = together.sql("SELECT owner FROM ragstream.roles");
    let follower = rig.start(&["--prune"]);
    let ends = [leader, follower].map(|child| without_secrets(ended(child)).expect_code(0).last("summary"));
    let removed: u64 = ends.iter().map(|summary| summary["documents"]["removed"].as_u64().unwrap()).sum();
    assert_eq!(removed, 8, "{ends:?}");
    assert_eq!(together.sql("SELECT owner FROM ragstream.roles"), leads, "it is who walked");
    assert!(ends.iter().all(|summary| summary["kept_although_gone"].as_u64().unwrap_or(0) == 0), "{ends:?}");
    rig.expect_whole("pruned by a follower");
}
