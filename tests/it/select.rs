//! Filters, copies and rerankers through the program itself.

use std::time::{Duration, SystemTime};

use serde_json::{Value, json};

use crate::project::{Ended, Project};
use crate::stand_in::{Reply, StandIn};

fn project() -> Project {
    let project = Project::new();
    let english = "Keys are rotated every ninety days, and the old key works for another week after that.";
    project.write("docs/api/keys.md", format!("# Keys of the API\n\n{english}\n"));
    project.write(
        "docs/guide/keys.txt",
        "Whoever has lost the keys of the house asks the porter for another one, and pays for it.\n",
    );
    project.write(
        "docs/zh/密钥.md",
        "# 密钥\n\n密钥 keys 每九十天轮换一次。旧密钥在一周内仍然有效，以便各项服务可以依次重新启动。\n",
    );
    project.write("copy/keys.md", format!("# Keys of the API\n\n{}\n", english.to_uppercase()));
    let old = std::fs::File::options().write(true).open(project.path("docs/guide/keys.txt")).unwrap();
    old.set_modified(SystemTime::UNIX_EPOCH + Duration::from_secs(1_500_000_000)).unwrap();
    project.run(&["ingest", "docs", "copy", "--json"]).expect_code(0);
    project
}

fn uris(ended: &Ended) -> Vec<String> {
    let mut uris: Vec<String> = ended.of_type("hit").iter().map(|hit| hit["uri"].as_str().unwrap().to_owned()).collect();
    uris.sort();
    uris
}

fn found(project: &Project, arguments: &[&str]) -> Vec<String> {
    uris(&project.run(&[&["search", "keys", "--json", "--copies"], arguments].concat()))
}

#[test]
fn only_what_passes_is_found() {
    let project = project();
    assert_eq!(found(&project, &[]).len(), 4);
    for (terms, expected) in [
        (vec!["path=docs/**"], vec!["docs/api/keys.md", "docs/guide/keys.txt", "docs/zh/密钥.md"]),
        (vec!["path=docs/**", "path!=**/api/**", "lang!=zh"], vec!["docs/guide/keys.txt"]),
        (vec!["path=*.md", "lang=en"], vec!["copy/keys.md", "docs/api/keys.md"]),
        (vec!["lang=zh"], vec!["docs/zh/密钥.md"]),
        (vec!["modified<2018-01-01"], vec!["docs/guide/keys.txt"]),
        (vec!["modified>2018-01-01", "path=docs"], vec!["docs/api/keys.md", "docs/zh/密钥.md"]),
        (vec!["modified>2018-01-01", "modified<2018-01-01"], vec![]),
    ] {
        let arguments: Vec<&str> = terms.iter().flat_map(|term| ["--where", term]).collect();
        assert_eq!(found(&project, &arguments), expected, "{terms:?}");
    }
    // What the file says holds as well.
    project.write("p.yaml", "name: default\nquery: { retrieve: { where: ['path=docs/**', lang=en], duplicates: keep } }\n");
    assert_eq!(found(&project, &["-p", "p.yaml"]), ["docs/api/keys.md", "docs/guide/keys.txt"]);
    assert_eq!(found(&project, &["-p", "p.yaml", "--where", "path=*.txt"]), ["docs/guide/keys.txt"]);
    let asked = project.run(&["ask", "keys?", "--json", "--where", "lang=zh"]).expect_code(0);
    let sources = asked.of_type("sources").remove(0);
    assert_eq!(sources["sources"].as_array().unwrap().len(), 1, "{sources}");
}

#[test]
fn copies_are_folded_unless_asked_for() {
    let project = project();
    let ended = project.run(&["search", "keys rotated", "--json", "--where", "lang=en", "--where", "path=*.md"]).expect_code(0);
    let hits = ended.of_type("hit");
    assert_eq!((hits.len(), hits[0]["copies"].as_array().map(Vec::len)), (1, Some(1)), "{hits:?}");
}

#[test]
fn a_term_that_cannot_be_read_is_told_before_anything_runs() {
    let project = Project::new();
    for (term, told) in [
        ("modified", "quote it"),
        ("pth=docs", "did you mean `path`?"),
        ("lang=chinese", "did you mean `zh`?"),
        ("modified=2026-01-01", "modified>=2026-01-01"),
    ] {
        for command in ["search", "ask"] {
            let ended = project.run(&[command, "keys", "--where", term]).expect_code(2);
            assert!(ended.stderr.contains(told) && ended.stderr.contains(term), "{}", ended.stderr);
        }
    }
}

fn pipeline(url: &str, more: &str) -> String {
    format!(
        "name: default\nproviders:\n  mine: {{ kind: jina, base_url: '{url}/v1', api_key: '${{MY_KEY:-}}', timeout: 2s, \
         retry: {{ attempts: 1 }} }}\nquery: {{ retrieve: {{ rerank: {{ model: mine/ranker, candidates: 20{more} }} }} }}\n"
    )
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_reranker_is_asked_and_its_outage_is_survived() {
    let project = project();
    let api = StandIn::start().await;
    project.write("p.yaml", pipeline(api.url(), ""));
    // Prefers what is about a house.
    api.always("/v1/rerank", |request| {
        let documents = request.body["documents"].as_array().unwrap().iter().enumerate();
        let score = |text: &Value| if text.as_str().unwrap().contains("house") { 0.99 } else { 0.01 };
        let results: Vec<Value> =
            documents.map(|(index, text)| json!({"index": index, "relevance_score": score(text)})).collect();
        Reply::json(&json!({"results": results, "usage": {"total_tokens": 12}}))
    });
    let search = || project.run(&["search", "rotated keys", "--json", "-k", "1", "-p", "p.yaml"]);
    let best = |ended: Ended| ended.expect_code(0).of_type("hit").remove(0)["uri"].as_str().unwrap().to_owned();
    assert_eq!(best(search()), "docs/guide/keys.txt");
    assert_eq!(api.requests()[0].body["documents"].as_array().unwrap().len(), 3, "copies are not paid for");

    api.script("/v1/rerank", [Reply::status(503, &json!({"detail": "overloaded"}))]);
    let ended = search();
    assert_eq!(ended.stderr.matches("not reranked").count(), 1, "{}", ended.stderr);
    let note = ended.of_type("note").remove(0)["message"].as_str().unwrap().to_owned();
    assert!(note.contains("not reranked") && note.contains("overloaded"), "{note}");
    assert_ne!(best(ended), "docs/guide/keys.txt");

    project.write("p.yaml", pipeline(api.url(), ", timeout: 200ms"));
    api.script("/v1/rerank", [Reply::hang()]);
    let ended = search();
    assert!(ended.stderr.contains("took longer than 0.2 s"), "{}", ended.stderr);
    assert_eq!(ended.of_type("note").len(), 1, "{}", ended.stdout);
    best(ended);

    api.script("/v1/rerank", [Reply::status(401, &json!({"detail": "a wrong key"}))]);
    let ended = search().expect_code(2);
    let error = ended.last("error");
    assert_eq!((&error["kind"], &error["message"]), (&json!("auth"), &json!("mine: a wrong key")), "{ended:?}");
}

/// What is refused at once, each time, is not late: whoever raised the deadline would wait longer for nothing.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_reranker_that_refuses_is_told_as_it_refuses() {
    let project = project();
    let api = StandIn::start().await;
    project.write("p.yaml", pipeline(api.url(), ", deadline: 2s").replace("retry: { attempts: 1 }", "retry: { attempts: 9 }"));
    for status in [500, 503, 429] {
        api.always("/v1/rerank", move |_| Reply::status(status, &json!({"detail": "no ranks today"})));
        let ended = project.run(&["search", "rotated keys", "--json", "-p", "p.yaml"]).expect_code(0);
        let note = ended.of_type("note").remove(0)["message"].as_str().unwrap().to_owned();
        assert!(note.contains("no ranks today") && !note.contains("took longer"), "{status}: {note}");
    }
    assert!(api.requests().len() > 3, "it is tried again within the deadline");
}

/// The copies of a source are named where it is shown, as a search names them.
#[test]
fn an_answer_names_the_copies_of_its_sources() {
    let project = project();
    let asked = |arguments: &[&str]| {
        project.run(&[&["ask", "How often are keys of the API rotated?"], arguments].concat()).expect_code(0)
    };
    let sources = asked(&["--json"]).of_type("sources").remove(0)["sources"].clone();
    let copies: Vec<&Value> = sources.as_array().unwrap().iter().filter_map(|source| source.get("copies")).collect();
    assert_eq!(copies.len(), 1, "{sources}");
    let first = sources[0]["uri"].as_str().unwrap();
    let other = if first == "docs/api/keys.md" { "copy/keys.md" } else { "docs/api/keys.md" };
    assert_eq!(
        (copies[0][0]["uri"].as_str(), copies[0][0]["lines"].as_array().map(Vec::len)),
        (Some(other), Some(2)),
        "{sources}"
    );
    let text = asked(&[]).stdout;
    assert!(text.contains(&format!("Nearly the same: {other}:")), "{text}");
}

/// Three years' fees are three statements, in English and in Chinese; the same one twice is one.
#[test]
fn what_differs_in_its_numbers_is_no_copy() {
    let project = Project::new();
    let english = "The monthly fee for a parking space in the harbour garage is {p} euros. It is due on the first working day of each month and \
                   is collected by direct debit. Whoever pays late is charged a reminder fee. Spaces are assigned by the facility office in the \
                   order of applications, and a waiting list is kept at the reception. Bicycles are parked in the courtyard free of charge, and \
                   electric cars may be charged at the columns beside the entrance.";
    let chinese = "{y}年港口车库的停车位月租费为{p}元。费用于每月第一个工作日通过银行自动扣款收取，逾期付款者将被收取催缴费。车位由设施管理处\
                   按照申请先后顺序分配，前台保存有候补名单。自行车和摩托车可免费停放在院内。";
    for (year, price) in [("2022", "41"), ("2023", "45"), ("2024", "52")] {
        let of = |text: &str| text.replace("{y}", year).replace("{p}", price);
        project.write(&format!("docs/tariff-{year}.md"), format!("# Parking tariff\n\nValid in {year}. {}\n", of(english)));
        project.write(&format!("docs/停车费-{year}.md"), format!("# 停车费 {year}\n\n{}\n", of(chinese)));
    }
    let again = std::fs::read_to_string(project.path("docs/tariff-2024.md")).unwrap();
    project.write("docs/again.md", format!("{again}\nPage 3 of 12\n"));
    project.run(&["ingest", "docs"]).expect_code(0);
    for (question, name) in [("What is the latest parking fee?", "tariff"), ("停车费历年如何变化？", "停车费")] {
        let ended = project.run(&["search", question, "--json", "-k", "8"]).expect_code(0);
        for year in ["2022", "2023", "2024"] {
            let hits = ended.of_type("hit");
            let is_it = |hit: &Value| {
                hit["uri"] == format!("docs/{name}-{year}.md")
                    || name == "tariff" && year == "2024" && hit["uri"] == "docs/again.md"
            };
            assert_eq!(hits.iter().filter(|hit| is_it(hit)).count(), 1, "{question} {year}: {hits:?}");
        }
    }
}
