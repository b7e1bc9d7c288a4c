//! `why` of rows: what the table has of them.

use super::servers::Database;
use crate::project::Project;

#[test]
fn a_row_that_is_no_document_is_told_why() {
    for database in [Database::postgres(), Database::mariadb(), Database::sqlite()] {
        let name = if matches!(database, Database::MariaDb { .. }) { "`w 08`" } else { "\"w 08\"" };
        database.run(&format!(
            "CREATE TABLE {name} (id int PRIMARY KEY, name varchar(20), note varchar(40));
             INSERT INTO {name} VALUES (1, 'kettle', 'whistles at 96 C'), (2, '盖碗', NULL), (3, NULL, NULL)"
        ));
        let project = Project::new().with("URL", database.url());
        project.write("p.yaml", "name: p\nsources: [ { sql: { url: \"${URL}\", table: \"w 08\", key: id, title: name } } ]\n");
        let summary = project.run(&["ingest", "-p", "p.yaml", "--json"]).expect_code(0).last("summary");
        assert_eq!(summary["documents"]["added"], 2, "a title alone is a document: {summary}");
        let hits = project.run(&["search", "-p", "p.yaml", "--json", "盖碗"]).expect_code(0).of_type("hit");
        assert!(hits[0]["uri"].as_str().unwrap().ends_with("/w%2008/2"), "{hits:?}");
        database.run(&format!("INSERT INTO {name} VALUES (4, 'cup', 'of clay')"));
        let why = |uri: &str| {
            let ended = project.run(&["why", "-p", "p.yaml", "--json", &format!("sql://{}/{uri}", database.name()), "kettle"]);
            ended.last("why")
        };
        let told = why("w%2008/3");
        assert_eq!((&told["cause"]["id"], &told["cause"]["reason"]), (&"skipped".into(), &"empty".into()), "{told}");
        assert_eq!(why("w%2008/99")["cause"]["id"], "missing");
        assert_eq!(why("w%2008/4")["cause"]["id"], "not_ingested");
        // As one writes it.
        for (blank, escaped) in [("w 08/1", "w%2008/1"), ("w 08/3", "w%2008/3"), ("w 08/4", "w%2008/4")] {
            let (blank, escaped) = (why(blank), why(escaped));
            assert_eq!((&blank["cause"], &blank["uri"]), (&escaped["cause"], &escaped["uri"]));
        }
        assert_eq!(why("w 08/1")["found"], true);
    }
}
