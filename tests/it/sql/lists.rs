//! Columns that hold several values at once, and bits.

use ragstream::document::{Metadata, Scalar};
use ragstream::source::sql::Text;

use super::listing::{read, source, table, text};
use super::servers::Database;
use crate::project::Project;

fn texts(values: &[&str]) -> Scalar {
    Scalar::List(values.iter().map(|value| Scalar::Text((*value).into())).collect())
}

#[tokio::test]
async fn arrays_are_lists_of_what_can_be_filtered_by() {
    let postgres = Database::postgres();
    postgres.run(
        "CREATE TABLE t (id int PRIMARY KEY, body text, tags text[], counts int[], doc jsonb, plain jsonb);
         INSERT INTO t VALUES (1, 'x', '{茶具,\"a, b\",NULL}', '{7,8}', '[\"red\", 3]', '{\"a\": 1}')",
    );
    let mut plan = table(&postgres, "t", &["id"]);
    plan.text = Text::Columns(vec!["body".into()]);
    plan.metadata = ["tags", "counts", "doc", "plain"].map(str::to_owned).to_vec();
    let known = read(&source(plan)).await.into_values().next().unwrap().metadata;
    let expected = [
        ("tags", texts(&["茶具", "a, b"])),
        ("counts", Scalar::List(vec![Scalar::Integer(7), Scalar::Integer(8)])),
        ("doc", Scalar::List(vec![Scalar::Text("red".into()), Scalar::Integer(3)])),
        ("plain", Scalar::Text("{\"a\": 1}".into())),
    ];
    assert_eq!(known, expected.into_iter().map(|(name, value)| (name.to_owned(), value)).collect::<Metadata>());
    for database in [Database::mariadb(), Database::sqlite()] {
        database.run("CREATE TABLE t (id int PRIMARY KEY, body varchar(9), tags json); INSERT INTO t VALUES (1, 'x', '[\"茶具\", \"red\"]')");
        let mut plan = table(&database, "t", &["id"]);
        plan.metadata = vec!["tags".into()];
        let known = read(&source(plan)).await.into_values().next().unwrap().metadata;
        assert_eq!(known, Metadata::from([("tags".to_owned(), texts(&["茶具", "red"]))]), "{}", database.url());
    }
}

/// What tells a product that is sold from one that is not, in many schemas.
#[tokio::test]
async fn bits_are_numbers() {
    let database = Database::mariadb();
    database.run(
        "CREATE TABLE t (id int PRIMARY KEY, body varchar(20), active bit(1), flags bit(12), missing bit(1));
         INSERT INTO t VALUES (1, 'kettle', b'1', b'100000000001', NULL), (2, 'cup', b'0', b'110001', NULL)",
    );
    let mut plan = table(&database, "t", &["id"]);
    let all = read(&source(plan.clone())).await;
    let uri = |n: u32| format!("sql://{}/t/{n}", database.name());
    assert_eq!(text(&all[&uri(1)]), "body: kettle\nactive: 1\nflags: 2049");
    assert_eq!(text(&all[&uri(2)]), "body: cup\nactive: 0\nflags: 49");
    plan.metadata = ["active", "flags", "missing"].map(str::to_owned).to_vec();
    let all = read(&source(plan)).await;
    let numbers = |active, flags| {
        Metadata::from([("active".to_owned(), Scalar::Integer(active)), ("flags".to_owned(), Scalar::Integer(flags))])
    };
    assert_eq!((&all[&uri(1)].metadata, &all[&uri(2)].metadata), (&numbers(1, 2049), &numbers(0, 49)));
    // As keys, too, page by page.
    database.run("CREATE TABLE k (id bit(9) PRIMARY KEY, body varchar(20)); INSERT INTO k VALUES (b'1', 'a'), (b'110001', 'b'), (b'100000000', 'c')");
    for page in [1, 100] {
        let mut plan = table(&database, "k", &["id"]);
        plan.page = page;
        let all = read(&source(plan)).await;
        let ends = ["1", "256", "49"].map(|key| format!("sql://{}/k/{key}", database.name()));
        assert!(all.keys().eq(&ends), "{:?}", all.keys());
    }
}

/// Through the real program.
#[test]
fn tags_and_bits_are_filtered_by() {
    let (postgres, mariadb) = (Database::postgres(), Database::mariadb());
    postgres.run("CREATE TABLE t (id int PRIMARY KEY, body text, tags text[]); INSERT INTO t VALUES (1, 'iron kettle', '{茶具,铸铁}'), (2, 'clay kettle', '{茶具}'), (3, 'plain kettle', NULL)");
    mariadb.run("CREATE TABLE t (id int PRIMARY KEY, body text, tags bit(1)); INSERT INTO t VALUES (1, 'active kettle', b'1'), (2, 'withdrawn kettle', b'0'), (3, 'some kettle', NULL)");
    for (database, expected) in [
        (&postgres, [("meta.tags=铸铁", "1"), ("meta.tags=茶具", "12"), ("meta.tags!=铸铁", "23"), ("meta.tags!=茶具", "3")]),
        (&mariadb, [("meta.tags=1", "1"), ("meta.tags=0", "2"), ("meta.tags!=1", "23"), ("meta.tags<1", "2")]),
    ] {
        let project = Project::new().with("URL", database.url());
        project.write(
            "p.yaml",
            "name: p\nsources: [ { sql: { url: \"${URL}\", table: t, key: id, text: body, metadata: [tags] } } ]\n",
        );
        project.run(&["ingest", "-p", "p.yaml", "-q"]).expect_code(0);
        for (term, rows) in expected {
            let mut found: Vec<String> = project
                .run(&["search", "-p", "p.yaml", "--json", "--where", term, "kettle"])
                .expect_code(0)
                .of_type("hit")
                .iter()
                .map(|hit| hit["uri"].as_str().unwrap().rsplit('/').next().unwrap().to_owned())
                .collect();
            found.sort_unstable();
            assert_eq!(found.concat(), rows, "{term}");
        }
    }
}
