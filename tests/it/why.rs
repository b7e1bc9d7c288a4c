//! `why`: the cause that was planted is the one that is named, for a document of each kind, in English and in Chinese.

mod planted;

use std::collections::BTreeMap;

use serde_json::{Value, json};

use self::planted::{Case, Garden};
use crate::project::{Ended, Project, ended};
use crate::service::{Service, client, post};

fn run(project: &Project, arguments: &[&str]) -> Ended {
    tokio::task::block_in_place(|| project.run(arguments))
}

fn why(project: &Project, case: &Case) -> Ended {
    run(project, &case.arguments().iter().map(String::as_str).collect::<Vec<_>>())
}

/// What is wrong with what was said of a case, if anything is.
fn wrong(case: &Case, said: &Ended) -> Option<String> {
    let told = said.of_type("why").pop().unwrap_or_default();
    let code = i32::from(case.cause != "found");
    let mut faults = Vec::new();
    if told["cause"]["id"] != json!(case.cause) || said.code != code || told["found"] != json!(case.cause == "found") {
        faults.push(format!("{} with {code}", case.cause));
    }
    for (pointer, expected) in &case.facts {
        if told.pointer(pointer) != Some(expected) {
            faults.push(format!("{pointer}: {expected}"));
        }
    }
    let expected = faults.join(", ");
    (!faults.is_empty())
        .then(|| format!("{:?}\n  expected {expected}\n  got {} {}{}", case.arguments(), said.code, said.stdout, said.stderr))
}

#[tokio::test(flavor = "multi_thread")]
async fn the_cause_that_was_planted_is_named_first() {
    let garden = Garden::planted().await;
    let mut of: BTreeMap<&str, usize> = BTreeMap::new();
    let mut faults = Vec::new();
    for case in &garden.cases {
        *of.entry(case.cause).or_default() += 1;
        faults.extend(wrong(case, &why(&garden.project, case)));
    }
    let all = garden.cases.len();
    assert!(faults.is_empty(), "{} of {all}:\n{}", all - faults.len(), faults.join("\n"));
    assert!(all >= 100 && of.len() >= 16, "{all}: {of:?}");
}

/// The place that is told is the one that a search gives.
#[tokio::test(flavor = "multi_thread")]
async fn places_are_those_of_a_search() {
    let garden = Garden::planted().await;
    let mut told_apart = (0, 0);
    for question in &garden.questions {
        for pipeline in ["docs.yaml", "keep.yaml", "dense.yaml"] {
            let search = |more: &[&str]| {
                let arguments = [&["search", question, "-p", pipeline, "--json", "-k", "1000"][..], more].concat();
                run(&garden.project, &arguments).expect_code(0).of_type("hit")
            };
            for narrowed in [&[][..], &["--where", "path=docs/en/**/*.txt"]] {
                let (hits, all) = (search(narrowed), search(&[narrowed, &["--copies"]].concat()));
                let place =
                    |hits: &[Value], uri: &Value| hits.iter().position(|hit| &hit["uri"] == uri).map(|at| at as u64 + 1);
                let leg = |leg: &str, uri: &Value| {
                    let ranks = all.iter().filter(|hit| &hit["uri"] == uri).filter_map(|hit| hit["legs"][leg]["rank"].as_u64());
                    ranks.min()
                };
                for hit in all.iter().step_by(7) {
                    let uri = hit["uri"].as_str().unwrap();
                    let asked = [&["why", uri, question, "-p", pipeline, "--json"][..], narrowed].concat();
                    let told = run(&garden.project, &asked).last("why");
                    let own = place(&hits, &hit["uri"]);
                    let found = hits.iter().take(3).any(|found| found["uri"] == hit["uri"]);
                    assert_eq!(told["found"], json!(found), "{asked:?} {told}");
                    if found {
                        told_apart.0 += 1;
                    } else {
                        told_apart.1 += 1;
                    }
                    if own.is_some() && told["copy_of"].is_null() {
                        assert_eq!(told["rank"].as_u64(), own, "{asked:?} {told}");
                    }
                    for name in ["vector", "words"] {
                        if let Some(rank) = leg(name, &hit["uri"]) {
                            assert_eq!(told["legs"][name]["rank"].as_u64(), Some(rank), "{name} {asked:?} {told}");
                        }
                    }
                }
            }
        }
    }
    assert!(told_apart.0 > 5 && told_apart.1 > 50, "{told_apart:?}");
}

async fn searches(service: &Service) -> u64 {
    let metrics = client().get(service.at("/metrics")).send().await.unwrap().text().await.unwrap();
    let lines = metrics.lines().filter(|line| line.starts_with("ragstream_searches_total{"));
    lines.map(|line| line.rsplit(' ').next().unwrap().parse::<f64>().unwrap() as u64).sum()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_service_says_the_same() {
    let garden = Garden::planted().await;
    let mut cases: Vec<&Case> = garden.cases.iter().filter(|case| case.pipeline == "sparse.yaml").step_by(3).collect();
    let hybrid = Case::new("docs/en/filler/3.txt", &garden.questions[0], "beyond_limit");
    let folder = Case::new("docs/en", &garden.questions[0], "");
    let several = Case::new("3.txt", &garden.questions[0], "");
    let nothing = Case::new("docs/en/filler/3.txt", " ", "");
    cases.extend([&hybrid, &folder, &several, &nothing]);
    let print = |case: &&Case| {
        let shown = why(&garden.project, case);
        let arguments = case.arguments();
        let plain: Vec<&str> = arguments.iter().map(String::as_str).filter(|argument| *argument != "--json").collect();
        let plain = run(&garden.project, &plain);
        [(shown.code, shown.stdout, shown.stderr), (plain.code, plain.stdout, plain.stderr)]
    };
    let without: Vec<_> = cases.iter().map(print).collect();
    let service = tokio::task::block_in_place(|| Service::start(&garden.project, &["-p", "sparse.yaml"]));
    for (case, without) in cases.iter().zip(&without) {
        assert_eq!(&print(case), without, "{:?}", case.arguments());
    }
    // Those of other pipelines are answered here, and so is what makes no sense.
    assert!(searches(&service).await as usize >= 2 * (cases.len() - 4), "{} of {}", searches(&service).await, cases.len());
    let failed = |at: usize| without[cases.len() - at][0].clone();
    assert_eq!([failed(3).0, failed(2).0, failed(1).0], [2, 2, 2]);
    assert!(failed(2).2.contains("did you mean `docs/en/filler/3.txt` or `docs/zh/filler/3.txt`"), "{:?}", failed(2));

    let planted = cases.iter().take(cases.len() - 4);
    for case in planted.filter(|case| case.pipeline == "sparse.yaml" && case.more.is_empty()) {
        let (status, told) = post(&service.at("/api/why"), &json!({"file": case.file, "question": case.question})).await;
        let printed = why(&garden.project, case).last("why");
        // What lies around the sources is no affair of others.
        let around = ["outside_sources"].contains(&case.cause);
        assert_eq!((status, around || told == printed), (200, true), "{told} {printed}");
    }
    let (status, told) = post(&service.at("/api/why"), &json!({"file": "/etc/passwd", "question": "root"})).await;
    assert_eq!((status, &told["cause"]["id"]), (200, &json!("missing")), "{told}");
    let (status, told) = post(&service.at("/api/why"), &json!({"file": "3.txt", "question": "root"})).await;
    assert_eq!((status, &told["kind"]), (400, &json!("ambiguous_document")), "{told}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_chat_says_why_of_its_last_question() {
    let garden = Garden::planted().await;
    let case = garden.cases.iter().find(|case| case.cause == "beyond_limit" && case.more.is_empty()).unwrap();
    let talk = format!("/why {file}\n{}\n/why {file}\n/why nobody.txt\n/why 3.txt\n", case.question, file = case.file);
    let arguments = ["chat", "-p", "sparse.yaml", "--json", "--session", "s"];
    let said = tokio::task::block_in_place(|| garden.project.run_with_input(&arguments, &talk));
    let told: Vec<Value> = said.of_type("why").iter().map(|why| why["cause"]["id"].clone()).collect();
    assert_eq!(told, ["beyond_limit", "missing"], "{said:?}");
    assert_eq!(said.of_type("note").len(), 1, "there was no question yet: {said:?}");
    assert!(said.stderr.contains("did you mean"), "{said:?}");
}

#[test]
fn names_are_those_that_sources_show() {
    let project = Project::new();
    project.write("docs/a/keys.md", "# Rotating keys\n\nKeys are rotated every month.\n");
    project.write("docs/b/lamps.md", "# Lamps\n\nLamps are lit at dusk.\n");
    project.run(&["ingest", "docs", "-q"]).expect_code(0);
    let absolute = project.path("docs/a/keys.md").display().to_string();
    for name in [
        "docs/a/keys.md",
        "./docs/b/../a/keys.md",
        &absolute,
        "keys.md",
        "a/keys.md",
        "KEYS.md",
        "docs/a/keys.md:1-3",
        "Rotating keys",
    ] {
        let told = project.run(&["why", name, "rotated keys", "--json"]).expect_code(0).last("why");
        assert_eq!((&told["uri"], &told["cause"]), (&json!("docs/a/keys.md"), &json!({"id": "found", "source": 1})), "{name}");
    }
    let told = project.run(&["why", "docs/a/kyes.md", "rotated keys", "--json"]).expect_code(1).last("why");
    assert_eq!(told["cause"], json!({"id": "missing", "did_you_mean": ["docs/a/keys.md"]}));
    let shown = project.run(&["why", "keys.md", "rotated lamps"]).expect_code(0).stdout;
    let lines: Vec<&str> = shown.lines().collect();
    assert!(lines[0].starts_with("docs/a/keys.md is among the sources: it is source ["), "{shown}");
    assert!(shown.contains("not in it     lamps") && shown.contains("by words"), "{shown}");
    let empty = Project::new();
    let child = empty.start(&["why", "a.md", "x", "--json"]);
    assert_eq!(ended(child).expect_code(2).last("error")["kind"], "index_missing");
}

/// What the trim leaves nothing of is no source, and that is why.
#[test]
fn what_is_trimmed_away_is_told_so() {
    let project = Project::new();
    for n in 1..=8 {
        let told: Vec<_> =
            (0..6).map(|m| format!("The team of shift {m} reacted quickly and wrote down what witnesses saw. ")).collect();
        let filler = told.concat();
        project.write(
            &format!("docs/r{n}.md"),
            format!("# Report\n\nA fire broke out in warehouse {n}; the damage was {n}000 euros. {filler}\n"),
        );
    }
    project.write("p.yaml", "version: 1\nsources: [docs]\nquery: { retrieve: { mode: sparse, trim: 30 } }\n");
    project.run(&["ingest", "-p", "p.yaml"]).expect_code(0);
    let question = "What was the damage in warehouse 3?";
    let asked = project.run(&["ask", question, "-p", "p.yaml", "--json"]).expect_code(0);
    let sources = asked.of_type("sources").remove(0)["sources"].clone();
    let mut causes = BTreeMap::new();
    for n in 1..=8 {
        let uri = format!("docs/r{n}.md");
        let told = project.run(&["why", "-p", "p.yaml", &uri, question, "--json"]).of_type("why").remove(0);
        let source = sources.as_array().unwrap().iter().find(|source| source["uri"] == uri);
        assert_eq!(told["found"], json!(source.is_some()), "{told} {sources}");
        assert_eq!(told["cause"].get("source"), source.map(|source| &source["n"]), "{told}");
        *causes.entry(told["cause"]["id"].as_str().unwrap().to_owned()).or_insert(0) += 1;
        if source.is_none() {
            assert_eq!((&told["cause"], &told["limit"]), (&json!({"id": "trimmed", "tokens": 30}), &json!(20)), "{told}");
            assert!(told["hint"].as_str().unwrap().contains("query.retrieve.trim"), "{told}");
        }
    }
    assert_eq!(causes.keys().collect::<Vec<_>>(), ["found", "trimmed"], "{causes:?}");
}
