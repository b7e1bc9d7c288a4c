//! What can go wrong: one clear error each, with what to do, which removes nothing and tells no password.

use std::path::Path;
use std::time::Duration;

use futures_util::StreamExt as _;
use ragstream::source::sql::{Connection, From, Sql, SqlPlan};
use ragstream::source::{Listed, Source as _};

use super::listing::{Listing, list, note, plan_of, query, read, source, table, why};
use super::servers::{Database, ENCODED, PASSWORD, mariadb, new_mariadb, new_postgres, postgres, psql};

/// The one error of a listing; nothing was listed, and nothing may be taken for gone.
async fn error(plan: SqlPlan) -> String {
    let prefix = plan.prefix().to_owned();
    let listing = list(&source(plan)).await;
    assert!(listing.complete && listing.items.is_empty(), "{listing:?}");
    assert_eq!(listing.unreadable[0].0, prefix);
    let error = listing.error().to_owned();
    assert!(!error.contains(PASSWORD) && !error.contains(ENCODED) && !error.contains("w0rng"), "{error}");
    error
}

fn expect(error: &str, parts: &[&str]) {
    for part in parts {
        assert!(error.contains(part), "`{part}` in: {error}");
    }
}

#[tokio::test]
async fn of_queries() {
    for database in Database::all() {
        database.run("CREATE TABLE items (id int PRIMARY KEY, 标题 varchar(20), body varchar(20))");
        database.run("INSERT INTO items VALUES (1, 'a', 'b')");
        let asked = |sql: &str, key: &str| error(query(&database, sql, &[key]));
        expect(&asked("SELECT id, body FROM itemz", "id").await, &["itemz"]);
        let wrong = asked("SELECT id, body\n  FRM items", "id").await;
        // MySQL says what is near; the others say where.
        expect(
            &wrong,
            if matches!(database, Database::MariaDb { .. }) { &["items", "line 2"] } else { &["at line 2, column"] },
        );
        expect(&asked("SELECT id, body FROM items WHERE boddy = 1", "id").await, &["boddy"]);
        asked("DELETE FROM items", "id").await;
        asked("UPDATE items SET id = 2", "id").await;
        expect(&asked("SELECT id FROM items; DELETE FROM items", "id").await, &["holds a `;`"]);
        asked("SELECT id, body FROM items) AS q UNION SELECT 1, (SELECT 2", "id").await;
        expect(
            &asked("SELECT id, body FROM items", "ID").await,
            &["the query has no column `ID`, which `key` names", "did you mean `id`?"],
        );
        // SQLite gives the second another name.
        if !database.is_sqlite() {
            expect(
                &asked("SELECT id, body AS id FROM items", "id").await,
                if matches!(database, Database::MariaDb { .. }) { &["uplicate"] } else { &["two columns `id`"] },
            );
        }
        expect(&error(table(&database, "itemz", &["id"])).await, &["itemz"]);
        let mut plan = table(&database, "items", &["id"]);
        plan.updated = Some("标提".into());
        expect(&error(plan).await, &["the table `items` has no column `标提`, which `updated` names", "did you mean `标题`?"]);
        let mut plan = table(&database, "items", &["id"]);
        plan.metadata = vec!["colour".into()];
        expect(&error(plan).await, &["`metadata`", "its columns are id, 标题, body"]);
        // It is all there still.
        assert_eq!(read(&source(table(&database, "items", &["id"]))).await.len(), 1);
    }
}

#[tokio::test]
async fn of_statements_that_take_too_long() {
    let slow = [
        (Database::postgres(), "SELECT 1 AS id, pg_sleep(20)::text AS body"),
        (Database::bouncer(), "SELECT 1 AS id, pg_sleep(20)::text AS body"),
        (Database::mariadb(), "SELECT 1 AS id, concat(sleep(20), '') AS body FROM (SELECT 1 AS one UNION SELECT 2) AS two"),
        (
            Database::sqlite(),
            "WITH RECURSIVE n(x) AS (SELECT 1 UNION ALL SELECT x + 1 FROM n LIMIT 900000000) SELECT 1 AS id, max(x) AS body FROM n",
        ),
    ];
    for (database, sql) in slow {
        database.run("CREATE TABLE t (id int)");
        let connection = Connection::open(&database.url(), Path::new("/"), Duration::from_millis(700)).unwrap();
        let plan = SqlPlan::new(connection, From::Query(sql.into()), vec!["id".into()]);
        let began = std::time::Instant::now();
        expect(&error(plan).await, &["0.7 s", "`timeout` allows more"]);
        assert!(began.elapsed() < Duration::from_secs(15), "{:?}", began.elapsed());
        if matches!(database, Database::Bouncer { .. }) {
            // The next one on the same connection has its own time, and nothing of ours.
            let url = database.url();
            let plan =
                plan_of(&url, From::Query("SELECT 1 AS id, current_setting('statement_timeout') AS body".into()), &["id"]);
            let all = read(&source(plan)).await;
            assert_eq!(super::listing::text(all.values().next().unwrap()), "body: 30s");
            let direct = psql(super::servers::bouncer().port, database.name(), "SHOW statement_timeout");
            assert_eq!(direct.trim(), "0");
        }
    }
}

#[tokio::test]
async fn of_connections() {
    let (port, my) = (postgres().port, mariadb().port);
    let any = || From::Query("SELECT 1 AS id, 2 AS body".into());
    let asked = |url: String| error(plan_of(&url, any(), &["id"]));
    let database = Database::postgres();
    let name = database.name();
    expect(
        &asked(format!("postgres://careful:w0rng@127.0.0.1:{port}/{name}")).await,
        &["password authentication failed", "`url`"],
    );
    expect(&asked(format!("postgres://careful@127.0.0.1:{port}/{name}")).await, &["password missing"]);
    expect(&asked(format!("postgres://postgres:{ENCODED}@127.0.0.1:{port}/nothing")).await, &["\"nothing\" does not exist"]);
    expect(
        &asked(format!("postgres://careful:{ENCODED}@no-such-host.invalid:{port}/{name}")).await,
        &["no-such-host.invalid", "there is no host of this name"],
    );
    expect(&asked(format!("postgres://careful:{ENCODED}@127.0.0.1:1/{name}")).await, &["127.0.0.1:1", "is the server running"]);
    expect(&asked(format!("mysql://careful:w0rng@127.0.0.1:{my}/mysql")).await, &["Access denied", "`url`"]);
    expect(&asked(format!("mysql://careful:{ENCODED}@127.0.0.1:{my}/nothing")).await, &["nothing"]);
    expect(&asked(format!("mysql://careful:{ENCODED}@no-such-host.invalid/x")).await, &["no-such-host.invalid"]);
    expect(
        &asked(format!("mysql://careful:{ENCODED}@127.0.0.1:{my}/mysql?sslmode=require")).await,
        &["does not support TLS", "sslmode=disable"],
    );
    expect(&asked("sqlite:/no/such/file.db".into()).await, &["/no/such/file.db", "there is no such file"]);
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("a.db"), "no database, but long enough to be looked at ".repeat(40)).unwrap();
    expect(&asked(format!("sqlite://{}/a.db", folder.path().display())).await, &["is no SQLite database"]);
    // And right.
    for url in [
        format!("postgres://careful:{ENCODED}@127.0.0.1:{port}/{name}"),
        format!("mysql://careful:{ENCODED}@127.0.0.1:{my}/mysql"),
    ] {
        assert_eq!(read(&source(plan_of(&url, any(), &["id"]))).await.len(), 1, "{url}");
    }
    // Several hosts: the first that answers. A socket.
    let socket = postgres().folder.path().display().to_string().replace('/', "%2F");
    for url in [
        format!("postgres://postgres@127.0.0.1:1,127.0.0.1:{port}/{name}"),
        format!("postgres://postgres@{socket}:{port}/{name}"),
    ] {
        assert_eq!(read(&source(plan_of(&url, any(), &["id"]))).await.len(), 1, "{url}");
    }
}

#[tokio::test]
async fn of_certificates() {
    let server = postgres();
    let (port, folder) = (server.port, server.folder.path().display());
    let asked = |host: &str, settings: &str| {
        let url = format!("postgres://careful:{ENCODED}@{host}:{port}/postgres?{settings}");
        plan_of(
            &url,
            From::Query("SELECT 1 AS id, (SELECT ssl FROM pg_stat_ssl WHERE pid = pg_backend_pid())::text AS body".into()),
            &["id"],
        )
    };
    let answer = |plan: SqlPlan| async move {
        let all = read(&source(plan)).await;
        super::listing::text(all.values().next().unwrap()).to_owned()
    };
    assert_eq!(answer(asked("localhost", &format!("sslrootcert={folder}/ca.pem"))).await, "body: true");
    assert_eq!(answer(asked("localhost", &format!("sslmode=verify-full&sslrootcert={folder}/ca.pem"))).await, "body: true");
    assert_eq!(answer(asked("localhost", "sslmode=disable")).await, "body: false");
    let other = error(asked("localhost", &format!("sslrootcert={folder}/other.pem"))).await;
    expect(&other, &["cannot be trusted", "its authority is not known here", "sslrootcert"]);
    expect(&error(asked("127.0.0.1", &format!("sslrootcert={folder}/ca.pem"))).await, &["cannot be trusted", "another host's"]);
    expect(&error(asked("localhost", "sslmode=require")).await, &["sslrootcert"]);
    expect(&error(asked("localhost", "sslrootcert=/no/ca.pem")).await, &["/no/ca.pem", "cannot be read"]);
}

/// A server that is killed between two pages and between two fetches.
#[tokio::test]
async fn of_servers_that_die() {
    let (mut postgres, mut mariadb) = (new_postgres(), new_mariadb());
    let databases = [Database::postgres_at(postgres.port), Database::mariadb_at(mariadb.port)];
    for (number, database) in databases.iter().enumerate() {
        database.run("CREATE TABLE t (id int PRIMARY KEY, body varchar(20))");
        let rows: Vec<String> = (1..=3000).map(|n| format!("({n}, 'row {n}')")).collect();
        database.run(&format!("INSERT INTO t VALUES {}", rows.join(",")));
        let mut plan = table(database, "t", &["id"]);
        plan.page = 100;
        let source: Sql = source(plan.clone());
        let mut listing = Listing::default();
        {
            let mut steps = source.list();
            for _ in 0..150 {
                note(&mut listing, steps.next().await.unwrap());
            }
            if number == 0 {
                postgres.kill();
            } else {
                mariadb.kill();
            }
            while let Some(step) = steps.next().await {
                note(&mut listing, step);
            }
        }
        assert!(listing.complete && listing.items.len() < 3000, "{}: {}", database.url(), listing.items.len());
        assert_eq!(listing.unreadable[0].0, plan.prefix());
        expect(listing.error(), &["127.0.0.1"]);
        let answers = source.fetch(&listing.items[..3]).await;
        assert!(answers.iter().all(|answer| why(answer).contains("127.0.0.1")), "{answers:?}");
        if number == 0 {
            postgres.restart();
        } else {
            mariadb.restart();
        }
        // The same source goes on as if nothing had been.
        let began = std::time::Instant::now();
        let again = loop {
            let again = list(&source).await;
            if again.unreadable.is_empty() || began.elapsed() > Duration::from_mins(1) {
                break again.expect_whole();
            }
        };
        assert_eq!(again.items.len(), 3000);
        assert!(source.fetch(&again.items[..3]).await.iter().all(Result::is_ok));
    }
}

/// A connection that is cut in between is made anew, and nobody sees it.
#[tokio::test]
async fn a_connection_that_is_cut_is_made_anew() {
    let database = Database::postgres();
    database.run(
        "CREATE TABLE t (id int PRIMARY KEY, body text); INSERT INTO t SELECT n, 'row ' || n FROM generate_series(1, 1000) n",
    );
    let mut plan = table(&database, "t", &["id"]);
    plan.page = 10;
    let source = source(plan);
    let mut steps = source.list();
    let mut listing = Listing::default();
    let cut = format!(
        "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = '{}' AND pid <> pg_backend_pid()",
        database.name()
    );
    let mut number = 0;
    while let Some(step) = steps.next().await {
        let done = matches!(step, Listed::Complete);
        note(&mut listing, step);
        number += 1;
        if number % 250 == 0 && !done {
            database.run(&cut);
        }
    }
    assert_eq!(listing.expect_whole().items.len(), 1000);
}

/// SQLite is read beside its writers, in WAL mode and in the old one, and is never written to.
#[tokio::test]
async fn sqlite_beside_its_writers() {
    for mode in ["WAL", "DELETE"] {
        let database = Database::sqlite();
        database.run(&format!("CREATE TABLE t (id INTEGER PRIMARY KEY, body TEXT); INSERT INTO t VALUES (1, 'a'), (2, 'b'); PRAGMA journal_mode = {mode}"));
        let Database::Sqlite { folder } = &database else { unreachable!() };
        let writer = rusqlite::Connection::open(folder.path().join("test.db")).unwrap();
        writer.execute_batch("BEGIN IMMEDIATE; INSERT INTO t VALUES (3, 'uncommitted')").unwrap();
        let plan = table(&database, "t", &["id"]);
        assert_eq!(read(&source(plan.clone())).await.len(), 2, "{mode}");
        writer.execute_batch("COMMIT").unwrap();
        assert_eq!(read(&source(plan.clone())).await.len(), 3, "{mode}");
        expect(&error(query(&database, "INSERT INTO t VALUES (9, 'x') RETURNING id, body", &["id"])).await, &["SQLite"]);
    }
}
