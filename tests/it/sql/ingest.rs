//! Tables through the real program: what is added, changed and removed, filtered by, and refused.

use serde_json::Value;

use super::servers::{Database, ENCODED, PASSWORD, new_postgres, postgres};
use crate::both::{Home, Ledger, over_both_ledgers};
use crate::project::{Ended, Project};

/// A project whose pipeline `shop` has this source.
fn project(ledger: Ledger, url: &str, source: &str) -> Home {
    let home = Home::of(ledger, Project::new().with("SHOP_URL", url));
    let source = source.replace('\n', "\n      ");
    let store = home.store();
    home.write("shop.yaml", format!("name: shop\nsources:\n  - sql:\n      url: ${{SHOP_URL}}\n      {source}\n{store}"));
    home
}

over_both_ledgers! {
    a_table_is_followed
    an_unchanged_table_costs_no_row
    what_cannot_be_read_removes_nothing
    two_tables_of_one_pipeline_have_their_own_documents
}

fn ingest(project: &Project, code: i32) -> Value {
    silent(project.run(&["ingest", "-p", "shop.yaml", "--json"])).expect_code(code).last("summary")
}

/// That no output shows the password.
fn silent(ended: Ended) -> Ended {
    for told in [&ended.stdout, &ended.stderr] {
        assert!(!told.contains(PASSWORD) && !told.contains(ENCODED) && !told.contains("w0rng"), "{told}");
    }
    ended
}

fn counts(summary: &Value) -> [u64; 5] {
    ["added", "changed", "removed", "unchanged", "failed"].map(|name| summary["documents"][name].as_u64().unwrap())
}

fn uris(project: &Project) -> Vec<String> {
    let mut uris: Vec<String> =
        project.everything(&["-p", "shop.yaml"]).iter().map(|hit| hit["uri"].as_str().unwrap().to_owned()).collect();
    uris.dedup();
    uris
}

fn a_table_is_followed(ledger: Ledger) {
    for database in Database::all() {
        // A file of one machine, which several cannot read.
        if ledger == Ledger::Postgres && database.is_sqlite() {
            continue;
        }
        database.run("CREATE TABLE items (id int PRIMARY KEY, name varchar(40), body varchar(200), price decimal(8,2), category varchar(20), stock int)");
        database.run(
            "INSERT INTO items VALUES (1, 'Whistling kettle', 'It whistles when the water boils.', 24.50, 'kettles', 3),
               (2, '茶壶', '紫砂茶壶，适合泡乌龙茶。', 120, '茶具', NULL), (3, 'Tea towel', 'A towel of linen.', 8, 'textiles', 0)",
        );
        let project = project(
            ledger,
            &database.url(),
            "table: items\nkey: id\ntitle: name\ntext: body\nuri: https://shop.example/items/{id}\nmetadata: [price, category, stock]\npage: 2",
        );
        let first = ingest(&project, 0);
        assert_eq!(counts(&first), [3, 0, 0, 0, 0], "{}: {first}", database.url());
        let again = ingest(&project, 0);
        assert_eq!(counts(&again), [0, 0, 0, 3, 0], "{again}");
        assert_eq!(again["embeddings"]["embedded"], 0, "{again}");
        let found = |terms: &[&str]| {
            let filters: Vec<&str> = terms.iter().flat_map(|term| ["--where", term]).collect();
            let all = [&["search", "-p", "shop.yaml", "--json", "tea"], filters.as_slice()].concat();
            let mut uris: Vec<String> = project
                .run(&all)
                .expect_code(0)
                .of_type("hit")
                .iter()
                .map(|hit| hit["uri"].as_str().unwrap().to_owned())
                .collect();
            uris.sort_unstable();
            uris.iter().map(|uri| uri.rsplit('/').next().unwrap().to_owned()).collect::<Vec<_>>().join(" ")
        };
        assert_eq!(found(&["meta.price<50"]), "1 3");
        assert_eq!(found(&["meta.category=茶具"]), "2");
        assert_eq!(found(&["meta.stock>=0", "meta.category!=kettles"]), "3");
        // One changed, one gone, one new, one with another key.
        database.run("UPDATE items SET body = 'It whistles loudly when the water boils.' WHERE id = 1");
        database.run("DELETE FROM items WHERE id = 2");
        database.run("UPDATE items SET id = 30 WHERE id = 3");
        database.run("INSERT INTO items VALUES (4, 'Cup', 'A cup.', 5, 'cups', 9)");
        let changed = ingest(&project, 0);
        assert_eq!(counts(&changed)[..3], [2, 1, 2], "{changed}");
        assert_eq!(uris(&project), ["1", "30", "4"].map(|id| format!("https://shop.example/items/{id}")));
        // A price alone: nothing is embedded for it.
        database.run("UPDATE items SET price = 6 WHERE id = 4");
        let priced = ingest(&project, 0);
        assert_eq!((&priced["documents"]["changed"], &priced["embeddings"]["embedded"]), (&1.into(), &0.into()), "{priced}");
        assert_eq!(found(&["meta.price=6"]), "4");
        // Most of it gone: kept until that is said to be meant.
        database.run("DELETE FROM items WHERE id <> 1");
        assert_eq!(ingest(&project, 1)["documents"]["removed"], 0);
        let pruned = project.run(&["ingest", "-p", "shop.yaml", "--json", "--prune"]).expect_code(0).last("summary");
        assert_eq!(pruned["documents"]["removed"], 2);
    }
}

/// Only keys and hashes are asked for where nothing has changed: the server's own log says so.
fn an_unchanged_table_costs_no_row(ledger: Ledger) {
    let database = Database::postgres();
    database.run("CREATE TABLE t (id int PRIMARY KEY, body text); INSERT INTO t SELECT n, 'row number ' || n FROM generate_series(1, 200) n; ANALYZE t");
    let project = project(ledger, &database.url(), "table: t\nkey: id\npage: 50");
    ingest(&project, 0);
    let name = database.name();
    let statements = || {
        let log = postgres().log();
        log.lines().filter(|line| line.starts_with(&format!("{name} ")) && line.contains(" IN (")).count()
    };
    let before = statements();
    assert!(before >= 200 / 32);
    assert_eq!(counts(&ingest(&project, 0)), [0, 0, 0, 200, 0]);
    assert_eq!(statements(), before);
}

fn what_cannot_be_read_removes_nothing(ledger: Ledger) {
    let mut server = new_postgres();
    let database = Database::postgres_at(server.port);
    database.run("CREATE TABLE t (id int, body text); INSERT INTO t VALUES (1, 'one'), (2, 'two'), (3, 'three'); GRANT SELECT ON t TO careful");
    let url = format!("postgres://careful:{ENCODED}@127.0.0.1:{}/{}", server.port, database.name());
    let project = project(ledger, &url, "table: t\nkey: id");
    ingest(&project, 0);
    let before = uris(&project);
    assert_eq!(before.len(), 3);
    let refused = |parts: &[&str], make: &str, undo: &str| {
        database.run(make);
        let ended = silent(project.run(&["ingest", "-p", "shop.yaml", "--json"])).expect_code(1);
        let failed = ended.of_type("failed");
        assert_eq!(failed.len(), 1, "{failed:?}");
        let error = failed[0]["error"].as_str().unwrap();
        for part in parts {
            assert!(error.contains(part), "`{part}` in: {error}");
        }
        assert_eq!(uris(&project), before, "{make}");
        database.run(undo);
    };
    refused(
        &["several rows have the key (id)", "/t/2"],
        "INSERT INTO t VALUES (2, 'zwei'); DELETE FROM t WHERE id = 3",
        "DELETE FROM t WHERE body = 'zwei'; INSERT INTO t VALUES (3, 'three')",
    );
    refused(&["key (id) is NULL"], "UPDATE t SET id = NULL WHERE id = 3", "UPDATE t SET id = 3 WHERE id IS NULL");
    refused(&["no column `id`", "did you mean `idd`?"], "ALTER TABLE t RENAME id TO idd", "ALTER TABLE t RENAME idd TO id");
    refused(&["permission denied", "needs SELECT"], "REVOKE SELECT ON t FROM careful", "GRANT SELECT ON t TO careful");
    refused(
        &["password authentication failed"],
        "ALTER ROLE careful PASSWORD 'other'",
        &format!("ALTER ROLE careful PASSWORD '{PASSWORD}'"),
    );
    refused(&["relation \"t\" does not exist"], "ALTER TABLE t RENAME TO u", "ALTER TABLE u RENAME TO t");
    server.kill();
    let ended = silent(project.run(&["ingest", "-p", "shop.yaml", "--json"])).expect_code(1);
    assert!(ended.of_type("failed")[0]["error"].as_str().unwrap().contains("is the server running"));
    assert_eq!(uris(&project), before);
    server.restart();
    assert_eq!(ingest(&project, 0)["documents"]["failed"], 0);
    // An empty table is no error; that all of it should be gone is doubted.
    database.run("DELETE FROM t");
    assert_eq!(ingest(&project, 1)["documents"]["removed"], 0);
    assert_eq!(uris(&project), before);
}

fn two_tables_of_one_pipeline_have_their_own_documents(ledger: Ledger) {
    let database = Database::mariadb();
    database.run("CREATE TABLE a (id int PRIMARY KEY, body text); CREATE TABLE b (id int PRIMARY KEY, body text)");
    database.run("INSERT INTO a VALUES (1, 'in a'); INSERT INTO b VALUES (1, 'in b'), (2, 'in b, too')");
    let project = Home::of(ledger, Project::new().with("SHOP_URL", database.url()));
    let source = |table: &str| format!("  - sql: {{ url: \"${{SHOP_URL}}\", table: {table}, key: id }}\n");
    project.write("shop.yaml", format!("name: shop\nsources:\n{}{}{}", source("a"), source("b"), project.store()));
    assert_eq!(counts(&ingest(&project, 0)), [3, 0, 0, 0, 0]);
    database.run("RENAME TABLE b TO c; DELETE FROM a");
    let ended = project.run(&["ingest", "-p", "shop.yaml", "--json", "--prune"]).expect_code(1);
    assert_eq!(counts(&ended.last("summary")), [0, 0, 1, 0, 1], "the one of a, and none of b: {}", ended.stdout);
    assert_eq!(uris(&project), [1, 2].map(|id| format!("sql://{}/b/{id}", database.name())));
}

#[test]
fn a_database_is_no_argument() {
    let project = Project::new();
    for (url, shown) in [
        (format!("postgres://u:{ENCODED}@h/db"), "url: postgres://u:${DATABASE_PASSWORD}@h/db"),
        (format!("mysql://u:{ENCODED}@h/db"), "url: mysql://u:${DATABASE_PASSWORD}@h/db"),
        (format!("postgres://u:{PASSWORD}@h/db"), "url: ${DATABASE_URL}"),
        ("sqlite:shop.db".to_owned(), "url: sqlite:shop.db"),
    ] {
        let ended = silent(project.run(&["ingest", &url])).expect_code(2);
        for part in ["a database is no source by itself", "sources:", "- sql:", shown, "table: items", "key: id"] {
            assert!(ended.stderr.contains(part), "{}", ended.stderr);
        }
    }
}
