//! Rows that are listed, and what comes when they are read: all of them, whatever their keys are written in; of some that the server
//! cannot give, all others.

use ragstream::source::{FetchError, Source as _};

use super::listing::{list, plan_of, query, read, source, table, why};
use super::servers::{Database, postgres, psql};

/// `MariaDB` finds no row by a list of several keys of several columns where one of these is not in UTF-8.
#[tokio::test]
async fn keys_of_several_columns_in_every_character_set() {
    let database = Database::mariadb();
    for (charset, word) in [("latin1", "größe"), ("gbk", "茶壶"), ("utf16", "茶壶"), ("utf8mb3", "茶壶"), ("utf8mb4", "🍵")]
    {
        let name = format!("t_{charset}");
        database.run(&format!(
            "CREATE TABLE {name} (lang varchar(5), slug varchar(40), body varchar(99), PRIMARY KEY (lang, slug)) CHARACTER SET {charset};
             INSERT INTO {name} SELECT 'de', concat('{word}-', seq), concat('row ', seq) FROM seq_1_to_300; ANALYZE TABLE {name}"
        ));
        for page in [50, 5000] {
            let mut plan = table(&database, &name, &["lang", "slug"]);
            plan.page = page;
            assert_eq!(read(&source(plan.clone())).await.len(), 300, "{charset}");
            // As many at once as there may be.
            let source = source(plan);
            let items = list(&source).await.expect_whole().items;
            let answers = source.fetch(items.get(..256).unwrap()).await;
            assert!(answers.iter().all(Result::is_ok), "{charset}: {answers:?}");
        }
    }
}

/// A row whose key is another one when it is looked for.
#[tokio::test]
async fn a_row_that_is_listed_and_not_found_is_an_error_that_names_it() {
    let postgres = Database::postgres();
    postgres.run(
        "CREATE TABLE t (id text PRIMARY KEY, body text); INSERT INTO t VALUES ('1', 'a'), ('2', 'b'), ('3', 'c'), ('4', 'd')",
    );
    let shy = "SELECT CASE WHEN id = '2' AND current_query() LIKE '%I' || 'N (%' THEN 'x' ELSE id END AS id, body FROM t";
    let mariadb = Database::mariadb();
    mariadb.run(
        "CREATE TABLE t (id float PRIMARY KEY, body text); INSERT INTO t VALUES (1.5, 'a'), (0.1, 'b'), (3.5, 'c'), (4.5, 'd')",
    );
    for (database, plan, shy, gone) in [
        (&postgres, query(&postgres, shy, &["id"]), "query/2", "query/3"),
        (&mariadb, table(&mariadb, "t", &["id"]), "t/0.1", "t/3.5"),
    ] {
        let source = source(plan);
        let items = list(&source).await.expect_whole().items;
        assert_eq!(items.len(), 4);
        database.run("DELETE FROM t WHERE body = 'c'");
        let answers = source.fetch(&items).await;
        for (item, answer) in items.iter().zip(&answers) {
            if item.uri.ends_with(shy) {
                assert!(
                    why(answer).contains(&format!("lists {}, and does not find it by its key (id)", item.uri)),
                    "{answer:?}"
                );
            } else if item.uri.ends_with(gone) {
                assert!(matches!(answer, Err(FetchError::Gone)), "deleted meanwhile: {answer:?}");
            } else {
                assert!(answer.is_ok(), "{answer:?}");
            }
        }
    }
}

#[tokio::test]
async fn a_row_that_the_server_cannot_give_fails_alone() {
    let (postgres, mariadb, sqlite) = (Database::postgres(), Database::mariadb(), Database::sqlite());
    let json = |n: u32| if n % 20 == 7 { "{broken".to_owned() } else { format!("{{\"body\": \"row {n}\"}}") };
    let rows: Vec<String> = (1..=100).map(|n| format!("({n}, '2026-01-01', '{}')", json(n))).collect();
    for database in [&postgres, &mariadb, &sqlite] {
        database.run("CREATE TABLE t (id integer PRIMARY KEY, changed varchar(20), data varchar(99))");
        database.run(&format!("INSERT INTO t VALUES {}", rows.join(", ")));
    }
    // In MariaDB a JSON that is none is a warning: there a subquery has two rows.
    mariadb.run("CREATE TABLE parts (id integer, body varchar(9)); INSERT INTO parts SELECT id, 'row' FROM t; INSERT INTO parts SELECT id, 'two' FROM t WHERE id % 20 = 7");
    let plans = [
        (query(&postgres, "SELECT id, changed, data::jsonb->>'body' AS body FROM t", &["id"]), "json"),
        (
            query(&mariadb, "SELECT id, changed, (SELECT p.body FROM parts p WHERE p.id = t.id) AS body FROM t", &["id"]),
            "more than 1 row",
        ),
        (query(&sqlite, "SELECT id, changed, json_extract(data, '$.body') AS body FROM t", &["id"]), "malformed JSON"),
    ];
    for (mut plan, told) in plans {
        plan.updated = Some("changed".into());
        let source = source(plan);
        let items = list(&source).await.expect_whole().items;
        assert_eq!(items.len(), 100);
        let answers = source.fetch(&items).await;
        for (item, answer) in items.iter().zip(&answers) {
            let number: u32 = item.uri.rsplit('/').next().unwrap().parse().unwrap();
            if number % 20 == 7 {
                assert!(why(answer).contains(told), "{}: {answer:?}", item.uri);
            } else {
                assert!(answer.is_ok(), "{}: {answer:?}", item.uri);
            }
        }
    }
}

/// What came into a database before it was asked for its encoding.
#[tokio::test]
async fn bytes_of_no_encoding_fail_alone() {
    let port = postgres().port;
    psql(port, "postgres", "CREATE DATABASE of_bytes ENCODING 'SQL_ASCII' LC_COLLATE 'C' LC_CTYPE 'C' TEMPLATE template0");
    psql(port, "of_bytes", "CREATE TABLE t (id int PRIMARY KEY, body text)");
    psql(
        port,
        "of_bytes",
        "INSERT INTO t SELECT n, CASE WHEN n % 20 = 7 THEN E'gbk \\xb1\\xc3' ELSE 'row ' || n END FROM generate_series(1, 60) n",
    );
    let url = format!("postgres://postgres@127.0.0.1:{port}/of_bytes");
    let source = source(plan_of(&url, ragstream::source::sql::From::Table("t".into()), &["id"]));
    let items = list(&source).await.expect_whole().items;
    let answers = source.fetch(&items).await;
    let failed: Vec<String> = answers.iter().filter(|answer| answer.is_err()).map(why).collect();
    assert_eq!((answers.len(), failed.len()), (60, 3), "{failed:?}");
    assert!(failed.iter().all(|error| error.contains("invalid byte sequence")), "{failed:?}");
}

/// Keys that a database tells apart and an address does not.
#[tokio::test]
async fn two_keys_that_make_one_address_are_an_error() {
    let database = Database::sqlite();
    database.run("CREATE TABLE k (id, body); INSERT INTO k VALUES (1, 'whole'), ('1', 'text'), (2, 'other'), ('61', 'hex'), (x'6162', 'bytes'), ('ab', 'as text')");
    database.run("CREATE INDEX by_id ON k (id)");
    for page in [1, 2, 100] {
        let mut plan = table(&database, "k", &["id"]);
        plan.page = page;
        let listing = list(&source(plan)).await;
        assert!(listing.error().contains("several rows have the address sql://test/k/1"), "{}", listing.error());
        let mut uris = listing.uris();
        uris.sort_unstable();
        assert_eq!(uris, ["1", "2", "61", "ab"].map(|key| format!("sql://test/k/{key}")), "page {page}");
    }
    // Columns that run into one another.
    let database = Database::postgres();
    database.run("CREATE TABLE t (a text, b text, body text, PRIMARY KEY (a, b)); INSERT INTO t VALUES ('1-2', '3', 'x'), ('1', '2-3', 'y'), ('4', '5', 'z')");
    let mut plan = table(&database, "t", &["a", "b"]);
    plan.uri = ragstream::source::sql::Template::parse("sql://t/{a}-{b}").unwrap();
    let listing = list(&source(plan)).await;
    assert!(listing.error().contains("the address sql://t/1-2-3, which their keys (a, b) make"), "{}", listing.error());
    assert_eq!(listing.items.len(), 2);
}
