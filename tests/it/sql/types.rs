//! Values of all kinds, as text and as metadata, the same for every session.

use std::collections::BTreeMap;

use ragstream::document::{Metadata, Scalar};
use ragstream::source::sql::{Format, SqlPlan, Template, Text};
use ragstream::source::{Body, Source as _, Version};

use super::listing::{list, plan_of, query, read, source, table, text};
use super::servers::{Database, mariadb, mariadb_run};

/// The lines of the only document of a plan.
async fn lines(plan: SqlPlan) -> BTreeMap<String, String> {
    let all = read(&source(plan)).await;
    assert_eq!(all.len(), 1);
    let document = all.into_values().next().unwrap();
    text(&document).lines().filter_map(|line| line.split_once(": ").map(|(name, value)| (name.into(), value.into()))).collect()
}

async fn metadata(mut plan: SqlPlan, columns: &[&str]) -> Metadata {
    plan.metadata = columns.iter().map(|name| (*name).to_owned()).collect();
    read(&source(plan)).await.into_values().next().unwrap().metadata
}

fn expect(lines: &BTreeMap<String, String>, expected: &[(&str, &str)]) {
    let expected: BTreeMap<String, String> = expected.iter().map(|(name, value)| ((*name).into(), (*value).into())).collect();
    assert_eq!(*lines, expected);
}

const POSTGRES: &str = r#"
CREATE TYPE mood AS ENUM ('sad', '高兴'); CREATE DOMAIN positive AS integer CHECK (VALUE > 0); CREATE TYPE pair AS (a int, b text);
CREATE TABLE t (id integer PRIMARY KEY, small smallint, big bigint, money numeric(10,2), exact numeric, nan numeric, "real" real,
  double double precision, yes boolean, fixed char(5), name varchar(20), "说明" text, at timestamptz, naive timestamp, day date,
  clock time, span interval, id2 uuid, doc json, docb jsonb, tags text[], net inet, bits bit(4), ranges int4range, feeling mood,
  count positive, pair pair, file bytea, cash money, missing text, x xml);
INSERT INTO t VALUES (1, -3, 9007199254740993, 1.50, 0.1234567890123456789, 'NaN', 0.1, 0.30000000000000004, true, 'ab', 'it''s',
  E'茶壶 \\ 与茶杯', '2026-01-31 18:30:00.5+08', '2026-01-31 18:30:00', '2026-01-31', '18:30', '1 day 02:00', 
  '6f0d3b1c-2f9e-4a57-9c46-1f7a8e5bd023', '{"a":  1}', '{"b": [2, 1]}', '{a,"b c"}', '10.0.0.1/8', B'1010', '[1,5)', '高兴', 7, 
  ROW(1,'x'), '\xdeadbeef', 12.5, NULL, '<a/>');
"#;

#[tokio::test]
async fn postgres_tells_every_type() {
    for database in [Database::postgres(), Database::bouncer()] {
        database.run(POSTGRES);
        let expected = [
            ("small", "-3"),
            ("big", "9007199254740993"),
            ("money", "1.50"),
            ("exact", "0.1234567890123456789"),
            ("nan", "NaN"),
            ("real", "0.1"),
            ("double", "0.30000000000000004"),
            ("yes", "true"),
            ("fixed", "ab"),
            ("name", "it's"),
            ("说明", "茶壶 \\ 与茶杯"),
            ("at", "2026-01-31 10:30:00.5+00"),
            ("naive", "2026-01-31 18:30:00"),
            ("day", "2026-01-31"),
            ("clock", "18:30:00"),
            ("span", "P1DT2H"),
            ("id2", "6f0d3b1c-2f9e-4a57-9c46-1f7a8e5bd023"),
            ("doc", "{\"a\":  1}"),
            ("docb", "{\"b\": [2, 1]}"),
            ("tags", "{a,\"b c\"}"),
            ("net", "10.0.0.1/8"),
            ("bits", "1010"),
            ("ranges", "[1,5)"),
            ("feeling", "高兴"),
            ("count", "7"),
            ("pair", "(1,x)"),
            ("cash", "$12.50"),
            ("x", "<a/>"),
        ];
        let told = lines(table(&database, "t", &["id"])).await;
        let cash = told["cash"].clone();
        expect(&told, &expected.map(|(name, value)| (name, if name == "cash" { cash.as_str() } else { value })));
        let columns = ["small", "big", "money", "exact", "nan", "double", "yes", "name", "count", "missing", "feeling", "day"];
        let known = metadata(table(&database, "t", &["id"]), &columns).await;
        let expected = [
            ("small", Scalar::Integer(-3)),
            ("big", Scalar::Integer(9_007_199_254_740_993)),
            ("money", Scalar::Float(1.5)),
            ("exact", Scalar::Text("0.1234567890123456789".into())),
            ("nan", Scalar::Text("NaN".into())),
            ("double", Scalar::Float(0.300_000_000_000_000_04)),
            ("yes", Scalar::Bool(true)),
            ("name", Scalar::Text("it's".into())),
            ("count", Scalar::Integer(7)),
            ("feeling", Scalar::Text("高兴".into())),
            ("day", Scalar::Text("2026-01-31".into())),
        ];
        assert_eq!(known, expected.into_iter().map(|(name, value)| (name.to_owned(), value)).collect());
    }
}

/// Whatever the role's own settings say of time zones, dates and numbers, nothing is read anew.
#[tokio::test]
async fn settings_of_a_session_change_nothing() {
    let database = Database::postgres();
    database.run(POSTGRES);
    let plan = || table(&database, "t", &["id"]);
    let before = (list(&source(plan())).await.expect_whole().versions(), read(&source(plan())).await);
    let name = database.name();
    for setting in [
        "TimeZone = 'Asia/Tokyo'",
        "DateStyle = 'German, DMY'",
        "IntervalStyle = 'sql_standard'",
        "bytea_output = 'escape'",
        "extra_float_digits = -5",
        "standard_conforming_strings = off",
        "default_transaction_isolation = 'serializable'",
    ] {
        database.run(&format!("ALTER DATABASE {name} SET {setting}"));
    }
    let after = (list(&source(plan())).await.expect_whole().versions(), read(&source(plan())).await);
    assert_eq!(before, after);

    let database = Database::mariadb();
    database.run("CREATE TABLE t (id integer PRIMARY KEY, at timestamp(3) NULL, body text)");
    database.run("SET time_zone = '+00:00'; INSERT INTO t VALUES (1, '2026-01-31 10:30:00.500', 'x')");
    let plan = || table(&database, "t", &["id"]);
    let before = (list(&source(plan())).await.expect_whole().versions(), read(&source(plan())).await);
    mariadb_run(mariadb().port, "mysql", "SET GLOBAL time_zone = '+09:00'");
    let after = (list(&source(plan())).await.expect_whole().versions(), read(&source(plan())).await);
    mariadb_run(mariadb().port, "mysql", "SET GLOBAL time_zone = 'SYSTEM'");
    assert_eq!(before, after);
    assert!(text(&before.1[&format!("sql://{}/t/1", database.name())]).contains("at: 2026-01-31 10:30:00.500"));
}

#[tokio::test]
async fn mariadb_tells_every_type() {
    let database = Database::mariadb();
    database.run(
        "CREATE TABLE t (id bigint unsigned PRIMARY KEY, small tinyint, price decimal(10,2), `real` float, `double` double,
           name varchar(20), old varchar(20) CHARACTER SET latin1, 说明 text, at timestamp(6) NULL, naive datetime(3), zero datetime NULL,
           day date, clock time, year year, doc json, lang enum('zh','de'), tags set('a','b'), bits bit(10), raw varbinary(10), 
           place point, fixed char(5), missing text);
         SET sql_mode = ''; SET time_zone = '+00:00';
         INSERT INTO t VALUES (18446744073709551615, -3, 1.50, 0.1, 0.30000000000000004, 'it''s', 'Zürich', '茶壶', 
           '2026-01-31 10:30:00.5', '2026-01-31 18:30:00.123', '0000-00-00', '2026-01-31', '18:30', 2026, '{\"a\": 1}', 'de', 'a,b',
           b'1000000001', x'deadbeef', POINT(1,2), 'ab', NULL)",
    );
    let plan = || table(&database, "t", &["id"]);
    let expected = [
        ("small", "-3"),
        ("price", "1.50"),
        ("real", "0.1"),
        ("double", "0.30000000000000004"),
        ("name", "it's"),
        ("old", "Zürich"),
        ("说明", "茶壶"),
        ("at", "2026-01-31 10:30:00.500000"),
        ("naive", "2026-01-31 18:30:00.123"),
        ("zero", "0000-00-00 00:00:00"),
        ("day", "2026-01-31"),
        ("clock", "18:30:00"),
        ("year", "2026"),
        ("doc", "{\"a\": 1}"),
        ("lang", "de"),
        ("tags", "a,b"),
        ("bits", "513"),
        ("fixed", "ab"),
    ];
    expect(&lines(plan()).await, &expected);
    let all = read(&source(plan())).await;
    assert_eq!(all.keys().next().unwrap(), &format!("sql://{}/t/18446744073709551615", database.name()));
    let known = metadata(plan(), &["small", "price", "lang", "missing", "year"]).await;
    let expected = [
        ("small", Scalar::Integer(-3)),
        ("price", Scalar::Float(1.5)),
        ("lang", Scalar::Text("de".into())),
        ("year", Scalar::Integer(2026)),
    ];
    assert_eq!(known, expected.into_iter().map(|(name, value)| (name.to_owned(), value)).collect());
    // A change in what is no text is a change, if it is used.
    let versions = |columns: &[&str]| {
        let mut plan = plan();
        plan.text = Text::Columns(columns.iter().map(|name| (*name).to_owned()).collect());
        async move { list(&source(plan)).await.expect_whole().versions().into_values().next().unwrap() }
    };
    let before = (versions(&["raw", "bits", "place"]).await, versions(&["name"]).await);
    database.run("UPDATE t SET raw = x'deadbeee'");
    let after = (versions(&["raw", "bits", "place"]).await, versions(&["name"]).await);
    assert!(before.0 != after.0 && before.1 == after.1);
}

/// A column of SQLite holds what was put into it, whatever it was declared as.
#[tokio::test]
async fn sqlite_values_have_types_of_their_own() {
    let database = Database::sqlite();
    database.run(
        "CREATE TABLE t (id INTEGER PRIMARY KEY, a INTEGER, b TEXT, c REAL, d BOOLEAN, e BLOB, 说明);
         INSERT INTO t VALUES (1, 'text', 17, 'x', 1, 'plain', '茶壶'), (2, 9007199254740993, x'deadbeef', 0.1, 0, x'00ff', 2.5),
           (3, NULL, NULL, NULL, NULL, NULL, NULL);",
    );
    let mut plan = table(&database, "t", &["id"]);
    plan.metadata = ["a", "c", "d"].map(str::to_owned).to_vec();
    let all = read(&source(plan)).await;
    assert_eq!(text(&all["sql://test/t/1"]), "b: 17\n说明: 茶壶");
    assert_eq!(text(&all["sql://test/t/2"]), "b: deadbeef\n说明: 2.5");
    assert_eq!(text(&all["sql://test/t/3"]), "");
    let known = |n: u32| all[&format!("sql://test/t/{n}")].metadata.clone();
    let pairs =
        |pairs: [(&str, Scalar); 3]| pairs.into_iter().map(|(name, value)| (name.to_owned(), value)).collect::<Metadata>();
    let text = |text: &str| Scalar::Text(text.into());
    assert_eq!(known(1), pairs([("a", text("text")), ("c", text("x")), ("d", Scalar::Bool(true))]));
    assert_eq!(
        known(2),
        pairs([("a", Scalar::Integer(9_007_199_254_740_993)), ("c", Scalar::Float(0.1)), ("d", Scalar::Bool(false))])
    );
    assert_eq!(known(3), Metadata::new());
    // Keys, too.
    database.run("CREATE TABLE k (id PRIMARY KEY, body); INSERT INTO k VALUES (1,'a'), ('1','b'), (1.5,'c'), (x'31','d'), ('nul' || char(0) || 'x', 'e')");
    for page in [1, 2, 100] {
        let mut plan = table(&database, "k", &["id"]);
        // Three of them have one text, and with it one address.
        plan.uri = Template::parse("sql://test/k/{id}/{body}").unwrap();
        plan.text = Text::Template(Template::parse("body: {body}").unwrap());
        plan.page = page;
        let mut listing = list(&source(plan.clone())).await.expect_whole();
        let bodies = source(plan).fetch(&listing.items).await;
        let mut bodies: Vec<String> = bodies.iter().map(|row| super::listing::text(row.as_ref().unwrap()).to_owned()).collect();
        bodies.sort_unstable();
        assert_eq!(bodies, ["body: a", "body: b", "body: c", "body: d", "body: e"], "page {page}");
        listing.items.sort_by(|a, b| a.uri.cmp(&b.uri));
    }
}

/// What a document is made of: texts, titles, formats, files in columns.
#[tokio::test]
async fn documents_are_made_as_the_plan_says() {
    let database = Database::postgres();
    database.run(
        "CREATE TABLE t (id int PRIMARY KEY, title text, body text, file bytea);
         INSERT INTO t VALUES (1, 'A  <title>', '<p>One</p><p>Two</p>', '%PDF-1.4'), (2, NULL, E'# Two\n\ntext', NULL)",
    );
    let plan = || {
        let mut plan = table(&database, "t", &["id"]);
        plan.title = Some(Template::column("title"));
        plan
    };
    let uri = |n: u32| format!("sql://{}/t/{n}", database.name());
    let body = |plan: SqlPlan, n: u32| {
        let uri = uri(n);
        async move { read(&source(plan)).await.remove(&uri).unwrap().body }
    };
    let mut html = plan();
    html.text = Text::Columns(vec!["body".into()]);
    let Body::Bytes { bytes, hint } = body(html.clone(), 1).await else { panic!() };
    assert_eq!(String::from_utf8(bytes).unwrap(), "<!DOCTYPE html><title>A &lt;title></title><p>One</p><p>Two</p>");
    assert_eq!(hint.media_type.as_deref(), Some("text/html; charset=utf-8"));
    let Body::Text { text, markup, title } = body(html.clone(), 2).await else { panic!() };
    assert_eq!((text.as_str(), format!("{markup:?}").as_str(), title), ("# Two\n\ntext", "Text", None));
    html.format = Some(Format::Markdown);
    let Body::Text { markup, title, .. } = body(html, 1).await else { panic!() };
    assert_eq!((format!("{markup:?}").as_str(), title.as_deref()), ("Markdown", Some("A <title>")));
    let mut template = plan();
    template.text = Text::Template(Template::parse("{title}:\n{body}").unwrap());
    let Body::Text { text, .. } = body(template, 2).await else { panic!() };
    assert_eq!(text, ":\n# Two\n\ntext");
    let mut file = plan();
    file.text = Text::Columns(vec!["file".into()]);
    let Body::Bytes { bytes, .. } = body(file, 1).await else { panic!() };
    assert_eq!(bytes, b"%PDF-1.4");
    // Columns that have another part are not repeated; bytes are no text.
    let Body::Text { text, .. } = body(plan(), 2).await else { panic!() };
    assert_eq!(text, "body:\n\n# Two\n\ntext");
}

/// `updated` is believed once it is old enough; a hash always is.
#[tokio::test]
async fn a_young_stamp_is_no_proof() {
    for database in Database::all() {
        let (now, old) = match database {
            Database::Sqlite { .. } => ("strftime('%Y-%m-%d %H:%M:%f', 'now')", "'2026-01-01 00:00:00.123456'"),
            Database::MariaDb { .. } => ("UTC_TIMESTAMP(6)", "'2026-01-01 00:00:00.123456'"),
            _ => ("now()", "'2026-01-01 00:00:00.123456+00'"),
        };
        let kind = if matches!(database, Database::MariaDb { .. }) {
            "datetime(6)"
        } else if database.is_sqlite() {
            "text"
        } else {
            "timestamptz"
        };
        database.run(&format!("CREATE TABLE t (id int PRIMARY KEY, body varchar(20), changed {kind})"));
        database.run(&format!("INSERT INTO t VALUES (1, 'young', {now}), (2, 'old', {old}), (3, 'none', NULL)"));
        let mut plan = table(&database, "t", &["id"]);
        plan.updated = Some("changed".into());
        let all = read(&source(plan.clone())).await;
        let listed = list(&source(plan.clone())).await.expect_whole().versions();
        let uri = |n: u32| format!("sql://{}/t/{n}", database.name());
        assert_eq!(all[&uri(1)].version, Version::UNKNOWN, "{}", database.url());
        assert!(all[&uri(2)].version == listed[&uri(2)] && listed[&uri(2)] != Version::UNKNOWN, "{}", database.url());
        assert_eq!(listed[&uri(3)], Version::UNKNOWN);
        assert!(all[&uri(2)].modified_ns == Some(1_767_225_600_123_456_000), "{:?}", all[&uri(2)].modified_ns);
        // A hash knows at once, and of all columns that are used alone.
        plan.updated = None;
        let mut plan = table(&database, "t", &["id"]);
        plan.text = Text::Columns(vec!["body".into()]);
        let before = list(&source(plan.clone())).await.expect_whole().versions();
        let read = read(&source(plan.clone())).await;
        assert!(before.iter().all(|(uri, version)| read[uri].version == *version && *version != Version::UNKNOWN));
        database.run(&format!("UPDATE t SET changed = {now}"));
        assert_eq!(list(&source(plan.clone())).await.expect_whole().versions(), before);
        database.run("UPDATE t SET body = 'new' WHERE id = 2");
        let after = list(&source(plan.clone())).await.expect_whole().versions();
        assert_eq!(before.iter().filter(|(uri, version)| after[*uri] != **version).count(), 1);
        // Another form of the documents: every row is read anew.
        plan.format = Some(Format::Markdown);
        let other = list(&source(plan)).await.expect_whole().versions();
        assert!(after.iter().all(|(uri, version)| other[uri] != *version));
    }
}

/// Columns that come, go, or change their types are seen without anyone's saying.
#[tokio::test]
async fn a_new_column_is_a_change_of_every_row() {
    let database = Database::postgres();
    database.run("CREATE TABLE t (id int PRIMARY KEY, body text, changed timestamptz); INSERT INTO t VALUES (1, 'x', '2026-01-01'), (2, 'y', '2026-01-01')");
    let mut plan = table(&database, "t", &["id"]);
    plan.updated = Some("changed".into());
    let source = source(plan);
    let before = list(&source).await.expect_whole().versions();
    database.run("ALTER TABLE t ADD COLUMN colour text DEFAULT 'red'");
    let listing = list(&source).await.expect_whole();
    assert!(listing.versions().iter().all(|(uri, version)| before[uri] != *version));
    let answers = source.fetch(&listing.items).await;
    assert_eq!(text(answers[0].as_ref().unwrap()), "body: x\ncolour: red");
    // One that goes while documents are fetched is an error of theirs.
    database.run("ALTER TABLE t DROP COLUMN colour");
    let answers = source.fetch(&listing.items).await;
    assert!(super::listing::why(&answers[0]).contains("colour"), "{answers:?}");
}

#[tokio::test]
async fn a_row_that_is_too_large_is_skipped_and_many_large_ones_are_read_one_by_one() {
    let database = Database::postgres();
    database.run("CREATE TABLE t (id int PRIMARY KEY, body text)");
    database.run("INSERT INTO t SELECT n, repeat('x', 20000000) FROM generate_series(1, 5) n");
    database.run("INSERT INTO t VALUES (6, 'small')");
    let mut plan = query(&database, "SELECT id, body FROM t", &["id"]);
    plan.max_bytes = 25_000_000;
    let source = source(plan);
    let listing = list(&source).await.expect_whole();
    let answers = source.fetch(&listing.items).await;
    assert_eq!(answers.iter().filter(|answer| answer.as_ref().is_ok_and(|row| row.body.len() > 20_000_000)).count(), 5);
    let mut plan = plan_of(&database.url(), ragstream::source::sql::From::Table("t".into()), &["id"]);
    plan.max_bytes = 1_000_000;
    let answers =
        super::listing::source(plan).fetch(&list(&super::listing::source(table(&database, "t", &["id"]))).await.items).await;
    assert_eq!(answers.iter().filter(|answer| answer.is_ok()).count(), 1, "{answers:?}");
}
