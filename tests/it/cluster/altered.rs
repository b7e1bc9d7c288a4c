//! Tables that somebody has altered: a worker ends with an error that says which column it cannot read and what to do, and what it
//! says to do helps.

use std::path::Path;
use std::time::Duration;

use ragstream::cluster::Cluster;

use super::corpus::{Corpus, text};
use super::processes::{Terms, World};
use super::{LEASE, Meeting};
use crate::sql::servers::Database;

const CURE: &str = "drop the schema `ragstream` there";

async fn database() -> Database {
    tokio::task::spawn_blocking(Database::postgres).await.unwrap()
}

/// What was done to the tables, and what is told of it.
const OF_A_ROUND: [(&str, &str); 12] = [
    // An answer has a cell of another type.
    ("ALTER TABLE ragstream.layout ALTER COLUMN version TYPE bigint", "`version` is of another type, int8"),
    ("ALTER TABLE ragstream.corpora ALTER COLUMN round TYPE integer", "`round` is of another type, int4"),
    ("ALTER TABLE ragstream.corpora ALTER COLUMN phase TYPE integer", "`phase` is of another type, int4"),
    ("ALTER TABLE ragstream.corpora ALTER COLUMN prune TYPE text", "must be type boolean, not type text"),
    ("ALTER TABLE ragstream.jobs ALTER COLUMN place TYPE bigint", "`place` is of another type, int8"),
    ("ALTER TABLE ragstream.jobs ALTER COLUMN job TYPE integer", "`job` is of another type, int4"),
    ("ALTER TABLE ragstream.jobs ALTER COLUMN kind TYPE integer", "`kind` is of another type, int4"),
    ("ALTER TABLE ragstream.documents ALTER COLUMN modified TYPE numeric", "`modified` is of another type, numeric"),
    // It is NULL.
    (
        "ALTER TABLE ragstream.documents ALTER COLUMN source DROP NOT NULL; UPDATE ragstream.documents SET source = NULL",
        "`source` cannot be read: ",
    ),
    // Statements that the server cannot make sense of any more.
    ("ALTER TABLE ragstream.documents DROP COLUMN hash", "hash"),
    ("ALTER TABLE ragstream.jobs ALTER COLUMN epoch TYPE text", "epoch"),
    ("ALTER TABLE ragstream.jobs ADD COLUMN more text NOT NULL", "\"more\""),
];

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_round_over_altered_tables_ends_with_what_to_do() {
    let database = database().await;
    let meeting = Meeting::at(database.url(), Corpus::of(6));
    for (edit, (altering, told)) in OF_A_ROUND.into_iter().enumerate() {
        meeting.round(1).await;
        database.run(altering);
        // There is something to do.
        meeting.corpus.write(0, &text(0, edit + 1));
        let error = match Cluster::open(&meeting.url, Path::new("."), &meeting.name, LEASE).await {
            Err(error) => error.into(),
            Ok(_) => {
                let ended = tokio::time::timeout(Duration::from_secs(120), meeting.worker().await.task).await;
                ended.expect("it ends").unwrap().expect_err(altering)
            }
        };
        let error: ragstream::Error = error;
        let message = chain(&error);
        assert!(message.contains(told) && message.contains("Postgres at 127.0.0.1:"), "{altering}: {message}");
        assert!(error.hint().is_some_and(|hint| hint.contains(CURE)), "{altering}: {:?}", error.hint());
        assert_eq!(error.code(), "cluster_mismatch", "{altering}");
        database.run("DROP SCHEMA ragstream CASCADE");
    }
    meeting.round(1).await;
    meeting.is_as_alone().await;
}

fn chain(error: &dyn std::error::Error) -> String {
    std::iter::successors(Some(error), |error| error.source()).map(|error| format!("{error}; ")).collect()
}

const OF_A_LOOK: [(&str, &str); 5] = [
    ("ALTER TABLE ragstream.corpora ALTER COLUMN id TYPE bigint", "`id` is of another type, int8"),
    ("ALTER TABLE ragstream.workers ALTER COLUMN process TYPE integer", "`process` is of another type, int4"),
    (
        "ALTER TABLE ragstream.workers ALTER COLUMN program DROP NOT NULL; UPDATE ragstream.workers SET program = NULL",
        "`program` cannot be read: ",
    ),
    (
        "UPDATE ragstream.documents SET error = 'no';
         ALTER TABLE ragstream.documents ALTER COLUMN error TYPE bytea USING error::bytea",
        "`error` is of another type, bytea",
    ),
    (
        "INSERT INTO ragstream.quota VALUES ('k', 0, 'openai', '');
         ALTER TABLE ragstream.quota ALTER COLUMN state TYPE text USING ''",
        "`state` is of another type, text",
    ),
];

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn whoever_looks_at_altered_tables_is_told() {
    for (altering, told) in OF_A_LOOK {
        let database = database().await;
        let meeting = Meeting::at(database.url(), Corpus::of(2));
        meeting.round(1).await;
        database.run(
            "INSERT INTO ragstream.workers
             SELECT 7, id, era, 'host', 1, '1.0', now(), interval '1 h', now() + interval '1 h' FROM ragstream.corpora",
        );
        database.run(altering);
        let error = Cluster::status(&meeting.url, Path::new("."), &meeting.name).await.expect_err(altering);
        let error = ragstream::Error::from(error);
        assert!(chain(&error).contains(told), "{altering}: {error}");
        assert!(error.hint().is_some_and(|hint| hint.contains(CURE)), "{altering}: {:?}", error.hint());
    }
}

/// The program itself.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_program_tells_it_and_what_it_says_helps() {
    let never = Duration::from_secs(3600);
    let terms = Terms {
        workers: 1,
        documents: 12,
        quota: None,
        kill: never,
        restart: never,
        stop: never,
        for_long: never,
        lease: LEASE * 2,
    };
    let mut world = World::new(&terms).await;
    let run = |world: &mut World| {
        let (number, child) = world.start();
        world.said(number, child)
    };
    assert_eq!(run(&mut world).code, 0);
    // All is compared anew: there are jobs.
    world.sql(
        "ALTER TABLE ragstream.jobs ALTER COLUMN place TYPE bigint; UPDATE ragstream.documents SET version = NULL, hash = NULL",
    );
    let said = run(&mut world);
    assert_eq!(said.code, 2, "{}", said.stderr);
    world.sql("ALTER TABLE ragstream.corpora ALTER COLUMN round TYPE integer");
    let status = world.machines[0].run(&["status", "-p", "docs.yaml"]).expect_code(2);
    for (stderr, column) in [(&said.stderr, "`place`"), (&status.stderr, "`round`")] {
        assert!(stderr.contains("were altered: the column ") && stderr.contains(column) && stderr.contains(CURE), "{stderr}");
        assert!(!stderr.contains("panicked"), "{stderr}");
    }
    world.sql("DROP SCHEMA ragstream CASCADE");
    let said = run(&mut world);
    assert_eq!(said.code, 0, "{}", said.stderr);
    world.is_as_alone().await;
}
