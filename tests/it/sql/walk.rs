//! The walk over all keys: pages, kinds of keys, and rows that are no good.

use ragstream::source::sql::Template;
use ragstream::source::{FetchError, Source as _};

use super::listing::{list, query, read, source, table, text, why};
use super::servers::Database;

#[tokio::test]
async fn every_row_is_listed_once_whatever_the_page() {
    for database in Database::all() {
        database.run("CREATE TABLE items (id integer PRIMARY KEY, body varchar(100))");
        let rows: Vec<String> = (1..=23).map(|n| format!("({n}, 'row {n}')")).collect();
        database.run(&format!("INSERT INTO items VALUES {}", rows.join(", ")));
        let expected: Vec<String> = (1..=23).map(|n| format!("sql://{}/items/{n}", database.name())).collect();
        for page in [1, 2, 5, 22, 23, 24, 5000] {
            let mut plan = table(&database, "items", &["id"]);
            plan.page = page;
            let listing = list(&source(plan)).await.expect_whole();
            let mut uris = listing.uris();
            uris.sort_unstable_by_key(|uri| uri.rsplit('/').next().unwrap().parse::<u32>().unwrap());
            assert_eq!(uris, expected, "{} page {page}", database.url());
        }
    }
}

#[tokio::test]
async fn keys_of_several_columns_and_of_any_text() {
    for database in Database::all() {
        database.run("CREATE TABLE 词条 (语言 varchar(10), 名称 varchar(60), 正文 varchar(100), PRIMARY KEY (语言, 名称))");
        let names =
            ["a/b", "100%", "it's", "back\\slash", "\"quoted\"", "茶 壶", "Zürich", "new\nline", "..", "", "`tick`", "q?x#y"];
        let texts = |text: &str| match database {
            Database::MariaDb { .. } => text.replace('\\', "\\\\").replace('\'', "''"),
            _ => text.replace('\'', "''"),
        };
        for (n, name) in names.iter().enumerate() {
            for language in ["de", "zh"] {
                database.run(&format!("INSERT INTO 词条 VALUES ('{language}', '{}', '{language} {n}')", texts(name)));
            }
        }
        for page in [1, 3, 100] {
            let mut plan = table(&database, "词条", &["语言", "名称"]);
            plan.page = page;
            let all = read(&source(plan)).await;
            assert_eq!(all.len(), 2 * names.len(), "{}", database.url());
            let uri = format!("sql://{}/词条/zh/茶%20壶", database.name());
            assert_eq!(text(&all[&uri]), "正文: zh 5");
            let uri = format!("sql://{}/词条/de/a%2Fb", database.name());
            assert_eq!(text(&all[&uri]), "正文: de 0");
        }
    }
}

#[tokio::test]
async fn large_numbers_are_exact() {
    for database in Database::all() {
        database.run("CREATE TABLE t (id bigint PRIMARY KEY, body varchar(20))");
        database
            .run("INSERT INTO t VALUES (9007199254740992, 'even'), (9007199254740993, 'odd'), (-9223372036854775807, 'least')");
        for page in [1, 2, 9] {
            let mut plan = table(&database, "t", &["id"]);
            plan.page = page;
            let all = read(&source(plan)).await;
            let texts: Vec<&str> = all.values().map(text).collect();
            assert_eq!(texts, ["body: least", "body: even", "body: odd"], "{}", database.url());
        }
    }
}

#[tokio::test]
async fn two_rows_with_one_key_are_one_error_and_no_document() {
    for database in Database::all() {
        database.run("CREATE TABLE t (id integer, body varchar(20))");
        database.run("INSERT INTO t VALUES (1, 'a'), (2, 'b'), (2, 'c'), (3, 'd'), (3, 'e'), (4, 'f'), (5, 'g')");
        for page in [1, 2, 3, 4, 100] {
            let mut plan = table(&database, "t", &["id"]);
            plan.page = page;
            let source = source(plan);
            let listing = list(&source).await;
            let name = database.name();
            assert!(listing.complete && listing.unreadable[0].0 == format!("sql://{name}/t/"), "{listing:?}");
            if page == 1 && listing.error().contains("more than 1 rows") {
                continue;
            }
            assert!(
                listing.error().contains(&format!("several rows have the key (id) of sql://{name}/t/2")),
                "{}",
                listing.error()
            );
            let mut uris = listing.uris();
            uris.sort_unstable();
            assert_eq!(uris, [1, 4, 5].map(|n| format!("sql://{name}/t/{n}")), "{} page {page}", database.url());
            // One that became double after it was listed.
            let mut item = listing.items[0].clone();
            let other = table(&database, "t", &["body"]);
            item.key.clone_from(&list(&source).await.items[0].key);
            drop(other);
            database.run("INSERT INTO t VALUES (1, 'again')");
            let answers = source.fetch(&[item]).await;
            assert!(why(&answers[0]).contains("several rows"), "{answers:?}");
            database.run("DELETE FROM t WHERE body = 'again'");
        }
    }
}

#[tokio::test]
async fn a_row_without_a_key_is_told_and_the_others_are_listed() {
    for database in Database::all() {
        database.run("CREATE TABLE t (a integer, b integer, body varchar(20))");
        database.run("INSERT INTO t VALUES (1, 1, 'a'), (1, NULL, 'b'), (NULL, 2, 'c'), (2, 2, 'd')");
        for page in [1, 2, 100] {
            let mut plan = table(&database, "t", &["a", "b"]);
            plan.page = page;
            let listing = list(&source(plan)).await;
            assert!(listing.error().contains("the table `t` has rows whose key (a, b) is NULL"), "{}", listing.error());
            let mut uris = listing.uris();
            uris.sort_unstable();
            assert_eq!(uris, ["1/1", "2/2"].map(|key| format!("sql://{}/t/{key}", database.name())));
        }
    }
}

/// What cannot be paged is read at once, and gives the same.
#[tokio::test]
async fn any_query_is_walked() {
    for database in Database::all() {
        database.run("CREATE TABLE t (id integer PRIMARY KEY, kind varchar(9), body varchar(40))");
        let rows: Vec<String> = (1..=60).map(|n| format!("({n}, 'k{}', 'row {n}')", n % 7)).collect();
        database.run(&format!("INSERT INTO t VALUES {}", rows.join(", ")));
        for (sql, key, count) in [
            ("SELECT kind, count(*) AS n, max(body) AS body FROM t GROUP BY kind", "kind", 7),
            ("SELECT id, body, row_number() OVER (ORDER BY body) AS place FROM t", "id", 60),
            ("SELECT id, body FROM t ORDER BY body LIMIT 41 -- a comment at the end", "id", 41),
            ("WITH x AS (SELECT id, body FROM t WHERE id > 10) SELECT * FROM x;", "id", 50),
            ("SELECT a.id, b.body FROM t a JOIN t b ON b.id = a.id WHERE a.kind <> 'k1'", "id", 51),
            ("SELECT id, body FROM t WHERE id <= 30 UNION ALL SELECT id + 100, body FROM t WHERE id <= 30", "id", 60),
        ] {
            for page in [4, 1000] {
                let mut plan = query(&database, sql, &[key]);
                plan.page = page;
                let all = read(&source(plan)).await;
                assert_eq!(all.len(), count, "{} {sql}", database.url());
                assert!(all.values().all(|row| text(row).contains("row ")), "{all:?}");
            }
        }
    }
}

/// Where the database takes two keys for one, both are documents, and none is lost between two pages.
#[tokio::test]
async fn the_order_is_the_databases_own() {
    let databases = [
        (Database::mariadb(), "varchar(20) COLLATE utf8mb4_general_ci"),
        (Database::sqlite(), "text COLLATE NOCASE"),
        (Database::postgres(), "text COLLATE \"und-x-icu\""),
    ];
    for (database, kind) in databases {
        database.run(&format!("CREATE TABLE t (id {kind}, body varchar(20))"));
        database.run("CREATE INDEX by_id ON t (id)");
        database.run("INSERT INTO t VALUES ('b','1'), ('A','2'), ('a','3'), ('B','4'), ('ä','5'), ('z','6'), ('Z','7'), ('é','8'), ('e','9')");
        for page in [3, 4, 100] {
            let mut plan = table(&database, "t", &["id"]);
            plan.page = page;
            assert_eq!(read(&source(plan)).await.len(), 9, "{} page {page}", database.url());
        }
    }
}

#[tokio::test]
async fn a_key_whose_order_is_not_its_comparison_is_read_at_once() {
    let database = Database::mariadb();
    database.run("CREATE TABLE t (lang enum('zh','en','de'), id integer, body varchar(20), PRIMARY KEY (lang, id))");
    database.run("INSERT INTO t VALUES ('zh',1,'a'), ('en',1,'b'), ('de',1,'c'), ('zh',2,'d')");
    let mut plan = table(&database, "t", &["lang", "id"]);
    plan.page = 1;
    assert_eq!(read(&source(plan)).await.len(), 4);
}

#[tokio::test]
async fn a_uri_by_template_may_hold_more_than_the_key() {
    for database in Database::all() {
        database.run("CREATE TABLE t (id integer PRIMARY KEY, slug varchar(20), body varchar(20))");
        database.run("INSERT INTO t VALUES (1, 'tea-pot', 'x'), (2, '茶 杯', 'y')");
        let mut plan = table(&database, "t", &["id"]);
        plan.uri = Template::parse("https://shop.example/p/{id}-{slug}").unwrap();
        let source = source(plan);
        assert_eq!(source.roots(), ["https://shop.example/p/"]);
        let listing = list(&source).await.expect_whole();
        assert_eq!(listing.uris(), ["https://shop.example/p/1-tea-pot", "https://shop.example/p/2-茶%20杯"]);
        database.run("UPDATE t SET slug = 'pot' WHERE id = 1");
        let answers = source.fetch(&listing.items).await;
        assert!(matches!(answers[0], Err(FetchError::Gone)) && answers[1].is_ok(), "{answers:?}");
        database.run("DELETE FROM t WHERE id = 2");
        assert!(matches!(source.fetch(&listing.items).await[1], Err(FetchError::Gone)));
    }
}
