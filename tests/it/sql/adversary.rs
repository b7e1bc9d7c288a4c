//! What a database may do that nobody thinks of: settings of the server, odd keys, connections that end in the middle.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use ragstream::source::sql::{From, SqlPlan};
use ragstream::source::{Source as _, Version};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};

use super::listing::{Listing, list, plan_of, query, read, source, table, text};
use super::servers::{Database, mariadb_run, new_mariadb};

/// A table of whole and of broken keys that is read in pages; none may begin with a broken one.
#[tokio::test]
async fn no_page_begins_with_a_key_that_is_null_in_part() {
    for database in Database::all() {
        database.run("CREATE TABLE t (a integer, b integer, body varchar(200))");
        database.run("CREATE UNIQUE INDEX by_key ON t (a, b)");
        let rows = (1..=700).flat_map(|a| ["NULL", "1", "2"].map(|b| format!("({a}, {b}, '{}')", "body ".repeat(30))));
        let rows: Vec<String> = rows.collect();
        for rows in rows.chunks(300) {
            database.run(&format!("INSERT INTO t VALUES {}", rows.join(", ")));
        }
        if !matches!(database, Database::MariaDb { .. }) {
            database.run("ANALYZE t");
        }
        for page in [3, 4, 5, 50] {
            let mut plan = table(&database, "t", &["a", "b"]);
            plan.page = page;
            let listing = list(&source(plan)).await;
            assert!(listing.error().contains("whose key (a, b) is NULL"), "{}", listing.error());
            assert_eq!(listing.items.len(), 1400, "{} page {page} {:?}", database.url(), listing.notices);
            assert!(listing.notices.is_empty(), "read in pages: {:?}", listing.notices);
        }
    }
}

/// Keys of every type that somebody has a primary key of, from page to page.
#[tokio::test]
async fn keys_of_all_types() {
    let both = [
        ("numeric(20,4)", "1.5000,1.5001,900719925474099.3000,-0.0001"),
        ("timestamp", "2026-03-29 01:59:59,2026-03-29 02:30:00,2026-10-25 02:30:00,2026-10-25 03:00:00"),
        ("date", "2026-03-29,0999-01-01,2026-10-25,2024-02-29"),
        ("varchar(40)", "10,9,1e1,0x10"),
        ("char(5)", "a,ab,B,é"),
    ];
    let postgres = [
        ("timestamptz", "2026-10-25 02:30:00+02,2026-10-25 02:30:00+01,infinity,-infinity"),
        ("uuid", "6f0d3b1c-2f9e-4a57-9c46-1f7a8e5bd023,00000000-0000-0000-0000-000000000000"),
        ("bytea", "\\x00ff,\\x,\\xe9"),
        ("double precision", "NaN,Infinity,0.1,0.30000000000000004,1e300"),
        ("real", "0.1,0.3,16777216"),
        ("boolean", "true,false"),
        ("inet", "10.0.0.1/8,10.0.0.1,::1"),
        ("interval", "1 day,25 hours,1 mon"),
        ("money", "12.50,-3"),
        ("text COLLATE \"de-x-icu\"", "ä,a,Z,z,茶,ß,ss"),
        ("int[]", "{1\\,2},{},{1}"),
        ("oid", "4294967295,1"),
    ];
    let mariadb = [
        ("bigint unsigned", "18446744073709551615,9007199254740993,9007199254740992"),
        ("int(5) zerofill", "42,7"),
        ("double", "0.1,0.30000000000000004,1e300"),
        ("time", "-10:00:00,18:30:00,100:00:00"),
        ("datetime(6)", "2026-10-25 02:30:00.000001,2026-10-25 02:30:00"),
        ("year", "2026,1999"),
        ("varchar(20) CHARACTER SET latin1", "Zürich,zurich,ZURICA"),
        ("varchar(20) COLLATE utf8mb4_bin", "a,A,茶"),
        ("varchar(20) COLLATE utf8mb4_unicode_ci", "ß,st,茶,é1"),
        ("varbinary(9)", "a,A,é"),
        ("uuid", "6f0d3b1c-2f9e-4a57-9c46-1f7a8e5bd023,00000000-0000-0000-0000-000000000000"),
        ("inet6", "::1,2001:db8::ff00:42:8329"),
    ];
    for (database, own) in [(Database::postgres(), &postgres[..]), (Database::mariadb(), &mariadb[..])] {
        for (number, (kind, keys)) in both.iter().chain(own).enumerate() {
            let keys = keys.replace("\\,", "\u{1}");
            let keys: Vec<String> = keys.split(',').map(|key| key.replace('\u{1}', ",")).collect();
            let name = format!("t{number}");
            database.run(&format!("CREATE TABLE {name} (id {kind} NOT NULL PRIMARY KEY, body varchar(20))"));
            for (n, key) in keys.iter().enumerate() {
                database.run(&format!("INSERT INTO {name} VALUES ('{key}', 'body {n}')"));
            }
            for page in [1, 2, 100] {
                let mut plan = table(&database, &name, &["id"]);
                plan.page = page;
                let all = read(&source(plan)).await;
                let mut bodies: Vec<&str> = all.values().map(text).collect();
                bodies.sort_unstable();
                let expected: Vec<String> = (0..keys.len()).map(|n| format!("body: body {n}")).collect();
                assert_eq!(bodies, expected, "{} {kind} page {page}", database.url());
            }
        }
    }
}

/// A collation to which two texts are one.
#[tokio::test]
async fn a_collation_that_takes_texts_for_equal() {
    let database = Database::postgres();
    database.run("CREATE COLLATION nocase (provider = icu, locale = 'und-u-ks-level2', deterministic = false)");
    database.run("CREATE TABLE t (id text COLLATE nocase, n int, body text COLLATE nocase, PRIMARY KEY (id, n))");
    let words: Vec<String> =
        (0..300).flat_map(|n| [format!("('word{n}', {n}, 'x')"), format!("('Word{n}', {}, 'x')", n + 1000)]).collect();
    database.run(&format!("INSERT INTO t VALUES {}; ANALYZE t", words.join(", ")));
    for page in [1, 7, 1000] {
        let mut plan = table(&database, "t", &["id", "n"]);
        plan.page = page;
        let before = list(&source(plan.clone())).await.expect_whole();
        assert_eq!(read(&source(plan.clone())).await.len(), 600);
        // Another case is another text.
        database
            .run("UPDATE t SET body = CASE body COLLATE \"C\" WHEN 'x' THEN 'X' ELSE 'x' END WHERE n = 17 AND id = 'word17'");
        let after = list(&source(plan)).await.expect_whole();
        let (before, after) = (before.versions(), after.versions());
        assert_eq!(before.iter().filter(|(uri, version)| after[*uri] != **version).count(), 1);
    }
}

/// A file in another encoding, and keys that are texts with everything in them.
#[tokio::test]
async fn sqlite_in_utf_16() {
    for encoding in ["UTF-8", "UTF-16le", "UTF-16be"] {
        let database = Database::sqlite();
        database.run(&format!(
            "PRAGMA encoding = '{encoding}';
             CREATE TABLE t (id TEXT PRIMARY KEY, body);
             INSERT INTO t VALUES ('a', 1), ('茶', 2), ('it''s', 3), ('nul' || char(0) || 'x', 4), ('17', 5), ('', 6), (char(0), 7), ('🍵', 8);
             CREATE TABLE n (id, body, tag, PRIMARY KEY (id, body));
             INSERT INTO n VALUES (17, 1, 'a'), ('17', 1, 'b'), (17.5, 1, 'c'), ('茶', 1, 'd'), (x'3137', 1, 'e'), ('17', '1', 'f')"
        ));
        for (name, key, count) in [("t", &["id"][..], 8), ("n", &["id", "body"][..], 6)] {
            for page in [1, 2, 3, 100] {
                let mut plan = table(&database, name, key);
                plan.text = ragstream::source::sql::Text::Columns(vec!["body".into()]);
                if name == "n" {
                    // Some of the keys have one text, and with it one address.
                    plan.uri = ragstream::source::sql::Template::parse("sql://n/{id}/{body}/{tag}").unwrap();
                }
                plan.page = page;
                let source = source(plan);
                let listing = list(&source).await.expect_whole();
                assert_eq!(listing.items.len(), count, "{encoding} {name} page {page}");
                assert!(source.fetch(&listing.items).await.iter().all(Result::is_ok), "{encoding} {name} page {page}");
            }
        }
    }
}

/// Settings of a server, and connections that it ends while nobody uses them.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn mariadb_with_limits_of_its_own() {
    let server = new_mariadb();
    let database = Database::mariadb_at(server.port);
    database.run("CREATE TABLE t (id int PRIMARY KEY, kind varchar(9), body longtext)");
    let rows: Vec<String> = (1..=500).map(|n| format!("({n}, 'k', 'row {n}')")).collect();
    database.run(&format!("INSERT INTO t VALUES {}", rows.join(",")));
    mariadb_run(server.port, "mysql", "SET GLOBAL sql_select_limit = 10");
    // In pages, and at once.
    let all = |plan: SqlPlan| async move { read(&source(plan)).await.len() };
    assert_eq!(all(table(&database, "t", &["id"])).await, 500);
    assert_eq!(all(query(&database, "SELECT id, max(body) AS body FROM t GROUP BY id", &["id"])).await, 500);
    let mut plan = table(&database, "t", &["id"]);
    plan.page = 100;
    let source = source(plan);
    let listing = list(&source).await.expect_whole();
    assert_eq!(source.fetch(&listing.items).await.iter().filter(|row| row.is_ok()).count(), 500);

    // Many connections, all of them ended by the server.
    let cut = || {
        let ids = mariadb_run(
            server.port,
            "mysql",
            &format!("SELECT id FROM information_schema.processlist WHERE db = '{}'", database.name()),
        );
        let kills: Vec<String> = ids.split_whitespace().map(|id| format!("KILL {id}")).collect();
        mariadb_run(server.port, "mysql", &kills.join("; "));
        kills.len()
    };
    for asked in 0..2 {
        let groups = listing.items.chunks(20).map(|group| source.fetch(group));
        assert!(futures_util::future::join_all(groups).await.iter().flatten().all(Result::is_ok));
        assert!(cut() > 6);
        let began = Instant::now();
        if asked == 0 {
            assert_eq!(list(&source).await.expect_whole().items.len(), 500);
        } else {
            assert!(source.fetch(&listing.items[..9]).await.iter().all(Result::is_ok));
        }
        assert!(began.elapsed() < Duration::from_secs(20), "{:?}", began.elapsed());
    }

    // A value that is too large for its hash proves nothing.
    mariadb_run(server.port, "mysql", "SET GLOBAL max_allowed_packet = 1048576");
    let plan = || query(&database, "SELECT id, kind, body FROM t WHERE id < 3", &["id"]);
    database.run("UPDATE t SET body = repeat('x', 1048570) WHERE id = 1");
    let version = |listing: Listing, n: u32| listing.expect_whole().versions()[&format!("sql://{}/query/{n}", database.name())];
    let before = list(&super::listing::source(plan())).await;
    assert_eq!(version(before, 1), Version::UNKNOWN);
    assert_ne!(version(list(&super::listing::source(plan())).await, 2), Version::UNKNOWN);
}

/// Passes connections on to a server, and ends each after so many bytes of its answers.
async fn cutting(server: u16, bytes: usize, cuts: Arc<AtomicUsize>) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move {
        while let Ok((mut client, _)) = listener.accept().await {
            let cuts = Arc::clone(&cuts);
            tokio::spawn(async move {
                let mut server = TcpStream::connect(("127.0.0.1", server)).await.unwrap();
                let (mut left, mut up, mut down) = (bytes, [0; 4096], [0; 4096]);
                loop {
                    tokio::select! {
                        read = client.read(&mut up) => match read {
                            Ok(1..) => server.write_all(&up[..read.unwrap()]).await.unwrap(),
                            _ => return,
                        },
                        read = server.read(&mut down) => match read {
                            Ok(read @ 1..) => {
                                let passed = read.min(left);
                                if client.write_all(&down[..passed]).await.is_err() {
                                    return;
                                }
                                left -= passed;
                                if left == 0 {
                                    cuts.fetch_add(1, Ordering::SeqCst);
                                    return;
                                }
                            }
                            _ => return,
                        },
                    }
                }
            });
        }
    });
    address
}

/// A server that ends the connection in the middle of a page, at any byte: all rows, or an error; never the half of them.
#[tokio::test]
async fn connections_that_end_in_the_middle_of_a_page() {
    for database in [Database::postgres(), Database::mariadb()] {
        database.run("CREATE TABLE t (id int PRIMARY KEY, body varchar(40))");
        let rows: Vec<String> = (1..=1000).map(|n| format!("({n}, 'the body of row {n}')")).collect();
        database.run(&format!("INSERT INTO t VALUES {}", rows.join(",")));
        let port = |url: &str| url.rsplit(':').next().unwrap().split('/').next().unwrap().parse::<u16>().unwrap();
        let direct = database.url();
        for bytes in [20_000, 20_001, 23_456, 31_007] {
            let cuts = Arc::default();
            let proxy = cutting(port(&direct), bytes, Arc::clone(&cuts)).await;
            let url = direct.replace(&format!(":{}/", port(&direct)), &format!(":{}/", proxy.port()));
            let mut plan = plan_of(&url, From::Table("t".into()), &["id"]);
            plan.page = 200;
            let source = source(plan);
            let listing = list(&source).await.expect_whole();
            assert_eq!(listing.items.len(), 1000, "{url} {bytes}");
            for group in listing.items.chunks(100) {
                assert!(source.fetch(group).await.iter().all(Result::is_ok), "{url} {bytes}");
            }
            assert!(cuts.load(Ordering::SeqCst) > 1, "{url} {bytes}: {cuts:?} cuts");
        }
        // One that never comes to the end of a page.
        let proxy = cutting(port(&direct), 9_000, Arc::default()).await;
        let url = direct.replace(&format!(":{}/", port(&direct)), &format!(":{}/", proxy.port()));
        let listing = list(&source(plan_of(&url, From::Table("t".into()), &["id"]))).await;
        assert!(listing.complete && listing.items.is_empty(), "{listing:?}");
        assert!(listing.error().contains(&format!("127.0.0.1:{}", proxy.port())), "{}", listing.error());
    }
}

/// What stands behind a statement, views, and stamps of the future.
#[tokio::test]
async fn queries_and_views_as_people_write_them() {
    for database in Database::all() {
        database.run("CREATE TABLE t (id int PRIMARY KEY, body varchar(20), changed varchar(40))");
        database.run("INSERT INTO t VALUES (1, 'a', '2999-01-01 00:00:00.123456'), (2, 'b', '2020-01-01 00:00:00.123456')");
        database.run("CREATE VIEW v AS SELECT id AS number, body, changed FROM t WHERE id > 0");
        for sql in [
            "SELECT * FROM v;",
            "SELECT * FROM v; -- all\n",
            "SELECT * FROM v /* 全部 */ ;\n/* the end */",
            "SELECT * FROM v -- no end",
        ] {
            assert_eq!(read(&source(query(&database, sql, &["number"]))).await.len(), 2, "{} {sql}", database.url());
        }
        for page in [1, 10] {
            let mut plan = table(&database, "v", &["number"]);
            plan.updated = Some("changed".into());
            plan.page = page;
            let all = read(&source(plan)).await;
            let version = |n: u32| all[&format!("sql://{}/v/{n}", database.name())].version;
            // A clock that runs ahead may give the same stamp again.
            assert!(version(1) == Version::UNKNOWN && version(2) != Version::UNKNOWN, "{} {all:?}", database.url());
        }
    }
}

/// A file whose writer was killed, before anybody has repaired it: what was half written is not read.
#[tokio::test]
async fn sqlite_that_was_left_in_the_middle_of_a_write() {
    for (mode, readable) in [("DELETE", false), ("WAL", true)] {
        let (database, copy) = (Database::sqlite(), Database::sqlite());
        database.run(&format!("PRAGMA journal_mode = {mode}; CREATE TABLE t (id INTEGER PRIMARY KEY, body TEXT)"));
        let rows: Vec<String> = (1..=500).map(|n| format!("({n}, '{}')", "before ".repeat(200))).collect();
        database.run(&format!("INSERT INTO t VALUES {}", rows.join(",")));
        let (Database::Sqlite { folder }, Database::Sqlite { folder: to }) = (&database, &copy) else { unreachable!() };
        let writer = rusqlite::Connection::open(folder.path().join("test.db")).unwrap();
        // More than the cache holds: it is on the disk before it is committed.
        let half = "PRAGMA cache_size = 10; BEGIN; UPDATE t SET body = replace(body, 'before', 'halfway')";
        writer.execute_batch(half).unwrap();
        for file in std::fs::read_dir(folder.path()).unwrap() {
            let file = file.unwrap();
            // As after a power cut: the index of the WAL is gone, too.
            if !file.file_name().to_str().unwrap().ends_with("-shm") {
                std::fs::copy(file.path(), to.path().join(file.file_name())).unwrap();
            }
        }
        let mut plan = table(&copy, "t", &["id"]);
        plan.page = 100;
        let listing = list(&source(plan.clone())).await;
        if readable {
            assert_eq!(listing.expect_whole().items.len(), 500);
        } else {
            let told = listing.error();
            assert!(listing.items.is_empty() && told.contains("middle of a write") && told.contains("sqlite3"), "{told}");
            copy.run("SELECT count(*) FROM t");
        }
        let all = read(&source(plan)).await;
        assert!(
            all.len() == 500 && all.values().all(|row| text(row).contains("before") && !text(row).contains("halfway")),
            "{mode}"
        );
    }
}
