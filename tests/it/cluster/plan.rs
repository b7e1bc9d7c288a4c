//! `plan` of one of several workers: it tells what the cluster's ledger says, and leaves nothing there.

use serde_json::Value;

use super::met::url_is;
use crate::both::Together;
use crate::rig::{Kind, Rig, document};
use crate::sql::servers::{ENCODED, new_postgres_with};

/// New, changed, unchanged, removed.
fn planned(rig: &Rig) -> [u64; 4] {
    let plan = rig.run(&["plan", "--json"]).expect_code(0).last("plan");
    let of = |key: &str| plan["documents"][key].as_u64().unwrap_or_else(|| panic!("{key}: {plan}"));
    [of("added"), of("changed"), of("unchanged"), of("removed")]
}

/// Whatever a plan could have left behind.
fn all(together: &Together) -> String {
    let tables = ["corpora", "documents", "jobs", "roles", "sweeps", "workers", "state", "quota"];
    let rows = tables.map(|table| format!("SELECT '{table}', xmin::text, t::text FROM ragstream.{table} t"));
    together.sql(&format!("{} ORDER BY 1, 2, 3", rows.join(" UNION ALL ")))
}

#[test]
fn a_plan_says_what_the_cluster_has_and_changes_nothing() {
    let rig = Rig::new(Kind::Cluster);
    rig.write_documents(6);
    assert_eq!(planned(&rig), [6, 0, 0, 0], "its ledger knows no such index");
    rig.complete();
    rig.project.remove("docs/00.txt");
    rig.project.write("docs/01.txt", document(21, 5));
    rig.project.write("docs/07.txt", document(7, 5));
    let together = rig.together.as_ref().unwrap();
    let before = all(together);
    assert_eq!(planned(&rig), [1, 1, 4, 1]);
    assert_eq!(all(together), before);
    // Another machine has done it meanwhile.
    let summary: Value = rig.complete();
    assert_eq!(summary["documents"]["removed"], 1, "{summary}");
    assert_eq!(planned(&rig), [0, 0, 6, 0]);

    // Who may only look may plan.
    together.sql("GRANT USAGE ON SCHEMA ragstream TO careful; GRANT SELECT ON ALL TABLES IN SCHEMA ragstream TO careful");
    let url = together.url_of(&format!("careful:{ENCODED}"));
    rig.project.remove("docs/02.txt");
    let rig = url_is(rig, url);
    assert_eq!(planned(&rig), [0, 0, 5, 1]);
}

#[test]
fn a_plan_makes_no_tables_and_is_refused_what_an_ingest_is() {
    let server = new_postgres_with(&[], None);
    let rig = Rig::in_cluster(Together::at(server.port));
    rig.write_documents(3);
    assert_eq!(planned(&rig), [3, 0, 0, 0]);
    let there = "SELECT count(*) FROM pg_namespace WHERE nspname = 'ragstream'";
    assert_eq!(rig.together.as_ref().unwrap().sql(there), "0");
    let refused = rig.run(&["plan", "docs"]).expect_code(2).stderr;
    assert!(refused.contains("several workers"), "{refused}");
    rig.complete();
    rig.together.as_ref().unwrap().sql("UPDATE ragstream.layout SET version = 99");
    let refused = rig.run(&["plan"]).expect_code(2).stderr.replace('\n', " ");
    assert!(refused.contains("layout 99"), "{refused}");
}
