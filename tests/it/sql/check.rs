//! A table in a pipeline file: what `check` says of it, with file, line and key.

use std::path::Path;

use ragstream::pipeline::{Diagnostic, parse};

fn found(text: &str) -> Vec<String> {
    let told = |diagnostic: &Diagnostic| diagnostic.to_string();
    match parse(text, "shop.yaml", Path::new("/p"), &|name| (name == "URL").then(|| "postgres://u:s3cr3t@h/db".to_owned())) {
        Ok(loaded) => loaded.warnings.iter().map(told).collect(),
        Err(errors) => errors.iter().map(told).collect(),
    }
}

/// The one finding about a source that says this.
fn finding(source: &str) -> String {
    let found = found(&format!("sources:\n  - sql:\n      {}\n", source.replace('\n', "\n      ")));
    assert_eq!(found.len(), 1, "{source}: {found:#?}");
    assert!(!found[0].contains("s3cr3t"), "{found:?}");
    found[0].clone()
}

#[test]
fn a_good_table_is_good() {
    for source in [
        "url: ${URL}\ntable: items\nkey: id",
        "url: sqlite:shop.db\nquery: SELECT a, b FROM t;\nkey: [a, b]\nuri: https://x.example/{a}/{b}?q={{}}\ntext: '{a}: {b}'\npage: 100\ntimeout: 10s",
        "url: mysql://u@h/db\ntable: 商品\nkey: 编号\ntitle: 名称\ntext: [说明, 价格]\nmetadata: [类别]\nformat: html\nupdated: 更新",
        "url: mariadb://u:${URL}@h/db\ntable: t\nkey: id",
    ] {
        let text = format!("sources:\n  - sql:\n      {}\n", source.replace('\n', "\n      "));
        assert_eq!(found(&text), Vec::<String>::new(), "{source}");
    }
}

#[test]
fn what_is_wrong_is_told_with_its_place() {
    for (source, place, parts) in [
        ("url: ${URL}\ntable: a\nquery: SELECT 1\nkey: id", "shop.yaml:5:7", &["both a `table` and a `query`"][..]),
        ("url: ${URL}\nkey: id", "shop.yaml:2:5", &["neither a `table` nor a `query`"]),
        ("url: ${URL}\ntable: a", "shop.yaml:2:5", &["`key` is missing"]),
        ("table: a\nkey: id", "shop.yaml:2:5", &["`url` is missing"]),
        ("url: ${URL}\ntable: a\nkey: []", "shop.yaml:5:12", &["at least 1 item"]),
        ("url: ${URL}\ntable: a\nkey: [id, id]", "shop.yaml:5:12", &["`id` stands here twice"]),
        ("url: ${URL}\ntable: a\nkey: '{id}'", "shop.yaml:5:12", &["`{id}` is no name of a column"]),
        ("url: oracle://h/x\ntable: a\nkey: id", "shop.yaml:3:12", &["`oracle:` is no database that ragstream reads"]),
        ("url: postgress://h/x\ntable: a\nkey: id", "shop.yaml:3:12", &["did you mean `postgres`?"]),
        ("url: shop\ntable: a\nkey: id", "shop.yaml:3:12", &["is no address of a database", "postgres://"]),
        ("url: postgres://u@h/x?sslmode=maybe\ntable: a\nkey: id", "shop.yaml:3:12", &["`sslmode`"]),
        ("url: mysql://u@h\ntable: a\nkey: id", "shop.yaml:3:12", &["names no database"]),
        ("url: ${URL}\ntable: a\nkey: id\nuri: https://x/{id", "shop.yaml:6:12", &["a `{` is not closed"]),
        ("url: ${URL}\ntable: a\nkey: [id, lang]\nuri: https://x/{id}", "shop.yaml:6:12", &["leaves out lang of the key"]),
        ("url: ${URL}\ntable: a\nkey: [id, lang]\nuri: https://x/{id}{lang}", "shop.yaml:6:12", &["without a sign between"]),
        ("url: ${URL}\ntable: a\nkey: id\nuri: '/items/{id}'", "shop.yaml:6:12", &["does not begin with a scheme"]),
        ("url: ${URL}\ntable: a\nkey: id\ntitle: 'a}'", "shop.yaml:6:14", &["a `}` closes nothing"]),
        ("url: ${URL}\ntable: a\nkey: id\ntext: '{{body}}'", "shop.yaml:6:13", &["no column stands in this `text`"]),
        ("url: ${URL}\nquery: SELECT 1; DROP TABLE x\nkey: id", "shop.yaml:4:14", &["one statement"]),
        ("url: ${URL}\nquery: ' ; '\nkey: id", "shop.yaml:4:14", &["empty"]),
        ("url: ${URL}\ntable: a\nkey: id\nmetadata: ['a\"b']", "shop.yaml:6:18", &["cannot be filtered by"]),
        ("url: ${URL}\ntable: a\nkey: id\nformat: pdf", "shop.yaml:6:15", &["it is one of: text, markdown, html"]),
        ("url: ${URL}\ntable: a\nkey: id\npage: 0", "shop.yaml:6:13", &["at least 1"]),
        ("url: ${URL}\ntable: a\nkey: id\nupdatd: x", "shop.yaml:6:7", &["did you mean `updated`?"]),
        ("url: postgres://u:s3cr3t@h/x\ntable: a\nkey: id", "shop.yaml:3:12", &["a password in plain sight"]),
        ("url: postgres://u:s3cr3t/x@h:port/x\ntable: a\nkey: id", "shop.yaml:3:12", &[""]),
    ] {
        if source.contains("s3cr3t/x") {
            let text = format!("sources:\n  - sql:\n      {}\n", source.replace('\n', "\n      "));
            let found = found(&text);
            assert!(found.iter().any(|told| told.contains("is no address of a Postgres database")), "{found:?}");
            assert!(!found.concat().contains("s3cr3t"), "{found:?}");
            continue;
        }
        let told = finding(source);
        assert!(told.starts_with(place), "{place}: {told}");
        for part in parts {
            assert!(told.contains(part), "`{part}` in: {told}");
        }
    }
}

#[test]
fn two_tables_cannot_name_their_documents_alike() {
    let source = |more: &str| format!("  - sql: {{ url: \"${{URL}}\", query: SELECT 1, key: id{more} }}\n");
    let both = |one: &str, two: &str| found(&format!("sources:\n{}{}", source(one), source(two)));
    let found = both("", "");
    assert!(found.len() == 1 && found[0].contains("`sql://db/query/…`") && found[0].contains("uri:"), "{found:?}");
    assert!(both("", ", uri: 'https://x/{id}'").is_empty());
    assert!(!both(", uri: 'https://x/{id}'", ", uri: 'https://x/{ id }'").is_empty());
    assert!(both(", uri: 'https://x/a/{id}'", ", uri: 'https://x/b/{id}'").is_empty());
}

#[test]
fn a_database_in_place_of_a_path_is_told() {
    let found = found("sources: ['postgres://u:s3cr3t@h/db']\n");
    assert!(found.len() == 1 && found[0].contains("- sql:") && !found[0].contains("s3cr3t"), "{found:?}");
}
