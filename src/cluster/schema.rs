//! The tables of a cluster, made and brought up to date by the program.

use super::error::{ANEW, ClusterError};
use super::row::Row;
use super::session::{Database, Patience};

/// The layout that this version reads and writes.
pub const LAYOUT: i32 = 2;

/// What makes the tables, from nothing. Everything lies in a schema of its own.
///
/// - `corpora`: one row an index, and one more for its other slot where its model was ever changed (see `change`). `phase` is 0 when nothing is under way, 1 while a leader makes ledger and store of one mind, 2 while
///   the sources are walked, 3 when all is listed. Workers take jobs in 2 and 3. `era` changes when nothing that was granted before
///   counts any more. `closed`: nobody signs on to it, and `closings` counts how
///   often that was so: who began before does not go on after, though it is open again. `change` is 1 while its vectors are made to take the other slot's place, 2 when all
///   of them are there. `model` is what those who sign on embed with, where a change has said so. What was sent to its store before
///   `settles` may still arrive until then.
/// - `documents`: the ledger, a row a document, from its first intent or failure on. `points` is NULL until something is certain of it,
///   24 bytes each; `intents` 16 bytes an id; `version` and `hash` are NULL where the content is to be compared anew. `owner` and
///   `epoch` tell who recorded it as done: a commit whose answer was lost is known again by them. `unlisted`: a worker found that there
///   is nothing of it to be indexed.
/// - `jobs`: what waits and what is worked on, and nothing else. A document under way is its job's owner's, under the job's epoch. The
///   number grows: what comes back gets a new one, so that a worker who goes on from the last number that it saw never reads what
///   others have worked off.
/// - `sweeps`: points that a worker may still write that lost its lease; they are looked at once more when that is over.
/// - `quota`: one row a provider, address and key, of some kilobytes, and what it holds is the room `limits`'. Its version is in the
///   index: so the last is found at once, however many others a snapshot keeps that somebody holds open. `quota_run`: a number for each.
///   The table is empty after anything by which commits can have been lost that were not waited for.
/// - `workers`: one row each, with the lease on all that it holds. `roles`: who walks.
///
/// `key` is the uri, or its digest where that is too long for an index or holds a NUL, which Postgres has no letter for; then `uri`
/// holds it. Keys are in the order of their bytes.
pub const SQL: &str = r#"CREATE SCHEMA IF NOT EXISTS ragstream;
CREATE TABLE ragstream.layout (version integer NOT NULL);
CREATE SEQUENCE ragstream.job_numbers;
CREATE TABLE ragstream.corpora (
    id integer GENERATED ALWAYS AS IDENTITY PRIMARY KEY, name text NOT NULL UNIQUE, base text, generation text,
    store_generation text, timeline text, sources text[], round bigint NOT NULL DEFAULT 0, phase smallint NOT NULL DEFAULT 0,
    era integer NOT NULL DEFAULT 0, prune boolean NOT NULL DEFAULT false, again boolean NOT NULL DEFAULT false,
    kept bigint NOT NULL DEFAULT 0, began timestamptz, ended timestamptz, closed boolean NOT NULL DEFAULT false,
    closings integer NOT NULL DEFAULT 0, change smallint NOT NULL DEFAULT 0, model text, settles timestamptz
) WITH (fillfactor = 50);
CREATE TABLE ragstream.workers (
    id bigint PRIMARY KEY, corpus integer NOT NULL REFERENCES ragstream.corpora, era integer NOT NULL, host text NOT NULL,
    process bigint NOT NULL, program text NOT NULL, since timestamptz NOT NULL, lease interval NOT NULL,
    lease_until timestamptz NOT NULL, told text
) WITH (fillfactor = 50);
CREATE INDEX workers_by_corpus ON ragstream.workers (corpus);
CREATE TABLE ragstream.roles (
    corpus integer NOT NULL REFERENCES ragstream.corpora, role text NOT NULL, owner bigint NOT NULL, epoch bigint NOT NULL,
    lease_until timestamptz NOT NULL, PRIMARY KEY (corpus, role)
) WITH (fillfactor = 50);
CREATE TABLE ragstream.documents (
    corpus integer NOT NULL, key text COLLATE "C" NOT NULL, uri bytea, source text NOT NULL, version bytea, hash bytea,
    modified bigint, points bytea, intents bytea, stage text, error text, unlisted boolean NOT NULL DEFAULT false,
    owner bigint, epoch bigint, PRIMARY KEY (corpus, key)
) WITH (fillfactor = 70, autovacuum_vacuum_scale_factor = 0.02);
CREATE INDEX documents_failed ON ragstream.documents (corpus, key) WHERE error IS NOT NULL;
CREATE INDEX documents_begun ON ragstream.documents (corpus, key) WHERE points IS NULL;
CREATE INDEX documents_unlisted ON ragstream.documents (corpus, key) WHERE unlisted;
CREATE INDEX documents_unread ON ragstream.documents (corpus, key) WHERE points IS NOT NULL AND hash IS NULL;
CREATE TABLE ragstream.jobs (
    corpus integer NOT NULL, key text COLLATE "C" NOT NULL, uri bytea, job bigint NOT NULL, kind smallint NOT NULL,
    source text NOT NULL, place integer NOT NULL, item bytea, sweep bytea, owner bigint, epoch bigint NOT NULL DEFAULT 0,
    attempts smallint NOT NULL DEFAULT 0, PRIMARY KEY (corpus, key)
) WITH (fillfactor = 70, autovacuum_vacuum_scale_factor = 0.02, autovacuum_vacuum_threshold = 500);
CREATE INDEX jobs_waiting ON ragstream.jobs (corpus, job) WHERE owner IS NULL;
CREATE INDEX jobs_taken ON ragstream.jobs (owner) WHERE owner IS NOT NULL;
CREATE TABLE ragstream.sweeps (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY, corpus integer NOT NULL, key text COLLATE "C" NOT NULL, uri bytea,
    source text NOT NULL, ids bytea NOT NULL, due timestamptz NOT NULL
);
CREATE INDEX sweeps_due ON ragstream.sweeps (corpus, due);
CREATE TABLE ragstream.state (
    corpus integer NOT NULL, source text NOT NULL, key bytea NOT NULL, value bytea NOT NULL, PRIMARY KEY (corpus, source, key)
);
CREATE TABLE ragstream.quota (
    provider_key text COLLATE "C" NOT NULL, version bigint NOT NULL, name text NOT NULL, state bytea NOT NULL,
    PRIMARY KEY (provider_key, version)
) WITH (fillfactor = 50, autovacuum_vacuum_scale_factor = 0, autovacuum_vacuum_threshold = 2000);
ALTER TABLE ragstream.quota ALTER COLUMN state SET STORAGE MAIN;
CREATE UNLOGGED TABLE ragstream.quota_run (provider_key text COLLATE "C" PRIMARY KEY, run bigint NOT NULL);
INSERT INTO ragstream.layout VALUES (2);
-- What brings tables of layout 1 up to date, while nobody is at work (the program does it by itself where it may):
-- ALTER TABLE ragstream.corpora ADD COLUMN closed boolean NOT NULL DEFAULT false,
--     ADD COLUMN closings integer NOT NULL DEFAULT 0, ADD COLUMN change smallint NOT NULL DEFAULT 0, ADD COLUMN model text,
--     ADD COLUMN settles timestamptz;
-- CREATE INDEX documents_unread ON ragstream.documents (corpus, key) WHERE points IS NOT NULL AND hash IS NULL;
-- UPDATE ragstream.layout SET version = 2;
-- What workers need that sign in as another role than the owner of the tables:
-- GRANT USAGE ON SCHEMA ragstream TO worker;
-- GRANT SELECT, INSERT, UPDATE, DELETE ON ALL TABLES IN SCHEMA ragstream TO worker;
-- GRANT USAGE ON ALL SEQUENCES IN SCHEMA ragstream TO worker;
"#;

/// What brings tables of layout 1 up to date. Nobody may be at work: who knows that layout alone would sign on to what is closed.
pub const FROM_1: &str = "ALTER TABLE ragstream.corpora ADD COLUMN closed boolean NOT NULL DEFAULT false,
    ADD COLUMN closings integer NOT NULL DEFAULT 0, ADD COLUMN change smallint NOT NULL DEFAULT 0, ADD COLUMN model text,
    ADD COLUMN settles timestamptz;
CREATE INDEX documents_unread ON ragstream.documents (corpus, key) WHERE points IS NOT NULL AND hash IS NULL;
UPDATE ragstream.layout SET version = 2;
";

/// Makes the tables where there are none, brings those of an earlier version up to date, and refuses those of a later one.
pub(super) async fn prepare(database: &Database) -> Result<(), ClusterError> {
    let mut patience = Patience::new();
    let found = loop {
        let found = match found(database).await {
            Ok(None) => make(database).await,
            Ok(Some(1)) => bring_up_to_date(database).await,
            Ok(Some(found)) => Ok(found),
            Err(error) => Err(error),
        };
        match found {
            Ok(found) => break found,
            Err(error) => patience.after(error).await?,
        }
    };
    fits(database, found)
}

/// Whether there are tables, of this version.
pub(super) async fn is_known(database: &Database) -> Result<bool, ClusterError> {
    let mut patience = Patience::new();
    let found = loop {
        match found(database).await {
            Ok(found) => break found,
            Err(error) => patience.after(error).await?,
        }
    };
    found.map(|found| fits(database, found)).transpose().map(|fits| fits.is_some())
}

/// [`is_known`], without waiting for a database that is away.
pub(super) async fn is_known_now(database: &Database) -> Result<bool, ClusterError> {
    found(database).await?.map(|found| fits(database, found)).transpose().map(|fits| fits.is_some())
}

fn fits(database: &Database, found: i32) -> Result<(), ClusterError> {
    match found {
        LAYOUT => Ok(()),
        later if later > LAYOUT => {
            let error = ClusterError::unfit(format!(
                "the tables of the cluster at {} are of layout {later}, and this ragstream knows {LAYOUT}",
                database.place()
            ));
            Err(error.with_hint("use the ragstream that made them, or a later one, on every worker"))
        }
        1 => {
            let error = ClusterError::unfit(format!(
                "the tables of the cluster at {} are of layout 1, and this ragstream reads {LAYOUT}",
                database.place()
            ));
            Err(error.with_hint("the next `ingest` brings them up to date"))
        }
        strange => {
            Err(ClusterError::unfit(format!("the tables of the cluster at {} are of layout {strange}", database.place()))
                .with_hint(ANEW))
        }
    }
}

/// Read from the catalog itself: after a wait for a lock, `to_regclass` in the same transaction may still answer from before it (Postgres
/// 15 reads no invalidations when an advisory lock is had).
const IS_THERE: &str = "SELECT EXISTS (
    SELECT 1 FROM pg_catalog.pg_class c JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
    WHERE n.nspname = 'ragstream' AND c.relname = 'layout')";
const VERSION: &str = "SELECT version FROM ragstream.layout";

/// What a question whether something is there was answered.
fn is_there(answer: &[Row]) -> Result<bool, ClusterError> {
    answer.first().map_or(Ok(false), |row| row.cell(0))
}

/// The layout of the tables; `None`: there are none.
async fn found(database: &Database) -> Result<Option<i32>, ClusterError> {
    let there = database.ask_once(IS_THERE, &[]).await?;
    if !is_there(&there)? {
        return Ok(None);
    }
    let version = database.ask_once(VERSION, &[]).await?;
    version.first().map(|row| row.cell(0)).transpose()
}

/// Makes the tables, in one transaction, unless somebody else does at the same moment.
async fn make(database: &Database) -> Result<i32, ClusterError> {
    let transaction = database.begin().await?;
    // Ends with the transaction: a lock of the session would stay with the pooler's connection.
    transaction.run("SELECT pg_advisory_xact_lock(7239476010327)").await?;
    let there = transaction.ask(IS_THERE, &[]).await?;
    if !is_there(&there)? {
        transaction.run(SQL).await?;
    }
    let version = transaction.ask(VERSION, &[]).await?;
    transaction.commit().await?;
    version.first().map_or(Ok(0), |row| row.cell(0))
}

/// Brings tables of the first layout up to date, in one transaction, unless somebody else does at the same moment.
async fn bring_up_to_date(database: &Database) -> Result<i32, ClusterError> {
    let transaction = database.begin().await?;
    transaction.run("SELECT pg_advisory_xact_lock(7239476010327)").await?;
    let version: Option<i32> = transaction.ask(VERSION, &[]).await?.first().map(|row| row.cell(0)).transpose()?;
    if version == Some(1) {
        // Whoever signs on meanwhile waits, and finds another layout then, or is found here.
        transaction.run("LOCK TABLE ragstream.workers IN SHARE MODE").await?;
        let at_work = "SELECT count(*) FROM ragstream.workers WHERE lease_until > clock_timestamp()";
        let at_work = transaction.ask(at_work, &[]).await?.first().map_or(Ok(0), |row| row.count(0))?;
        if at_work > 0 {
            transaction.commit().await?;
            let error = ClusterError::unfit(format!(
                "the tables at {} are of an earlier ragstream's layout, and {at_work} of its workers are at work with them",
                database.place()
            ));
            return Err(error.with_hint("wait until their round has ended, or stop them, and start every worker with this one"));
        }
        transaction.run(FROM_1).await?;
    }
    let version = transaction.ask(VERSION, &[]).await?;
    transaction.commit().await?;
    version.first().map_or(Ok(0), |row| row.cell(0))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn whoever_may_not_alter_the_tables_can_print_what_does() {
        for line in FROM_1.lines() {
            assert!(SQL.contains(&format!("\n-- {line}\n")), "{line}");
        }
    }
}
