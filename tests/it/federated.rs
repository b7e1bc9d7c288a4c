//! Several indexes asked together: what is found is what one index of all would find.

use serde_json::{Value, json};

use crate::project::{Ended, Project};
use crate::stand_in::{StandIn, openai_embeddings};

/// Documents about some of twenty subjects each, in English and in Chinese.
fn document(n: usize) -> String {
    let subjects = ["keys", "lamps", "backups", "tariffs", "密钥", "灯塔", "备份", "渡轮", "anchors", "invoices"];
    let mut state = n as u64 + 1;
    let mut next = |below: usize| {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (state >> 33) as usize % below
    };
    let mut words: Vec<String> = (0..30 + next(40)).map(|_| format!("word{}", next(150))).collect();
    for _ in 0..4 {
        let at = next(words.len());
        words.insert(at, subjects[next(subjects.len())].to_owned());
    }
    words.join(" ")
}

fn pipeline(api: &StandIn, name: &str, more: &str) -> String {
    format!(
        "version: 1\nname: {name}\nproviders:\n  api: {{ kind: openai, base_url: \"{}\", api_key: k, retry: {{ attempts: 1 }} }}\n\
         embed: {{ model: api/e, dimensions: 16 }}\n{more}",
        api.url()
    )
}

fn run(project: &Project, arguments: &[&str]) -> Ended {
    tokio::task::block_in_place(|| project.run(arguments))
}

/// Of each hit its uri and its score.
fn hits(ended: &Ended) -> Vec<(String, f64)> {
    let hit = |hit: &Value| (hit["uri"].as_str().unwrap().to_owned(), hit["score"].as_f64().unwrap());
    ended.of_type("hit").iter().map(hit).collect()
}

/// The same documents, up to those that are as good as one another.
fn assert_same(one: &[(String, f64)], other: &[(String, f64)], what: &str) {
    assert_eq!(one.len(), other.len(), "{what}");
    for ((uri, score), (_, same)) in one.iter().zip(other) {
        assert!((score - same).abs() < 1e-3, "{what}: {one:?} {other:?}");
        let equal = other.iter().find(|(other, _)| other == uri);
        let cut = other.last().is_some_and(|(_, last)| (score - last).abs() < 1e-3);
        assert!(cut || equal.is_some_and(|(_, other)| (score - other).abs() < 1e-3), "{what}: {uri} {one:?} {other:?}");
    }
}

async fn api() -> StandIn {
    let api = StandIn::start().await;
    api.always("/embeddings", |request| openai_embeddings(request, 16));
    api
}

#[tokio::test(flavor = "multi_thread")]
async fn parts_asked_together_find_what_the_whole_finds() {
    let (api, project) = (api().await, Project::new());
    // Parts of very different sizes: a word is rare in one and common in another.
    for n in 0..200 {
        let part = match n % 20 {
            0 => "c",
            1..5 => "b",
            _ => "a",
        };
        project.write(&format!("docs/{part}/{n}.txt"), document(n));
    }
    for (name, sources) in [("whole", "docs"), ("a", "docs/a"), ("b", "docs/b"), ("c", "docs/c")] {
        project.write(&format!("{name}.yaml"), pipeline(&api, name, &format!("sources: [{sources}]\n")));
        run(&project, &["ingest", "-p", &format!("{name}.yaml"), "-q"]).expect_code(0);
    }
    for question in ["keys backups", "word7 lamps", "灯塔 密钥", "渡轮", "invoices word3 word9 anchors", "nothing of it"]
    {
        for more in [&[][..], &["--copies"], &["--where", "path!=docs/a/**"], &["-k", "40"], &["--where", "lang=zh"]] {
            let search = |pipelines: &[&str]| {
                let pipelines = pipelines.iter().flat_map(|name| ["-p", name]);
                let arguments: Vec<&str> =
                    ["search", question, "--json"].into_iter().chain(pipelines).chain(more.iter().copied()).collect();
                run(&project, &arguments)
            };
            let (whole, parts) = (search(&["whole.yaml"]), search(&["a.yaml", "b.yaml", "c.yaml"]));
            assert_same(&hits(&parts), &hits(&whole), &format!("{question} {more:?}"));
            assert!(whole.of_type("hit").iter().all(|hit| hit.get("pipeline").is_none()));
            for hit in parts.of_type("hit") {
                let uri = hit["uri"].as_str().unwrap();
                assert_eq!(hit["pipeline"].as_str(), uri.split('/').nth(1), "{hit}");
            }
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn each_answers_by_its_own_model_and_one_that_cannot_is_left_out() {
    let (api, project) = (api().await, Project::new());
    let text = "Keys are rotated every ninety days, and the old key works for another week after that.";
    project.write("docs/keys.md", format!("# Keys\n\n{text}\n"));
    project.write("docs/lamps.md", "# Lamps\n\nThe lamps of the lighthouse are lit at dusk by the keeper.\n");
    project.write("tickets/17.md", "# Ticket 17\n\nThe pump of the ferry leaks when it is cold outside.\n");
    project.write("tickets/copy.md", format!("# Keys\n\n{text}\n"));
    project.write("docs.yaml", "name: docs\nsources: [docs]\n");
    project.write(
        "tickets.yaml",
        pipeline(&api, "tickets", "sources: [tickets]\nquery: { retrieve: { where: ['path!=**/secret/**'] } }\n"),
    );
    project.write("empty.yaml", "name: empty\nsources: [nothing]\n");
    project.write("docs2.yaml", "name: docs\nsources: [docs]\n");
    for name in ["docs.yaml", "tickets.yaml"] {
        run(&project, &["ingest", "-p", name, "-q"]).expect_code(0);
    }
    let both = ["-p", "docs.yaml", "-p", "tickets.yaml"];
    for (question, uri, pipeline) in
        [("lamps of the lighthouse", "docs/lamps.md", "docs"), ("the ferry's pump leaks", "tickets/17.md", "tickets")]
    {
        for order in [both, ["-p", "tickets.yaml", "-p", "docs.yaml"]] {
            let best = run(&project, &[&["search", question, "--json"][..], &order].concat()).expect_code(0).events().remove(0);
            assert_eq!((&best["uri"], &best["pipeline"]), (&json!(uri), &json!(pipeline)), "{question}");
        }
    }
    let rotated = run(&project, &[&["search", "when are keys rotated?", "--json"][..], &both].concat()).expect_code(0);
    let about: Vec<Value> =
        rotated.of_type("hit").into_iter().filter(|hit| hit["text"].as_str().unwrap().contains("ninety")).collect();
    assert_eq!((about.len(), about[0]["copies"].as_array().map(Vec::len)), (1, Some(1)), "one of two copies: {about:?}");

    let shown = run(&project, &[&["search", "lamps"][..], &both].concat()).expect_code(0).stdout;
    assert!(shown.contains("docs: docs/lamps.md"), "{shown}");
    let three = [&both[..], &["-p", "empty.yaml"]].concat();
    let left = run(&project, &[&["search", "lamps", "--json"][..], &three].concat()).expect_code(0);
    assert!(left.stderr.contains("The pipeline empty is left out: there is no index"), "{left:?}");
    assert!(left.of_type("note")[0]["message"].as_str().unwrap().contains("empty is left out"), "{left:?}");
    assert_eq!(left.of_type("hit")[0]["uri"], "docs/lamps.md");
    run(&project, &["search", "lamps", "-p", "empty.yaml", "-p", "empty.yaml"]).expect_code(2);
    project.write("empty2.yaml", "name: empty2\nsources: [nothing]\n");
    let none = run(&project, &["search", "lamps", "--json", "-p", "empty.yaml", "-p", "empty2.yaml"]).expect_code(2);
    assert_eq!(none.last("error")["kind"], "index_missing");
    // Who answers is the first one's to say.
    let hint = |name, order: &[&str]| {
        let error =
            run(&project, &[&["ask", "lamps?", "--json", "--model", name][..], order].concat()).expect_code(2).last("error");
        assert!(error["message"].as_str().unwrap().contains(&format!("no provider of this name: `{name}`")), "{error}");
        error["hint"].as_str().unwrap().to_owned()
    };
    let elsewhere = hint("api/m", &both);
    assert!(elsewhere.contains("the pipeline `tickets` has it") && elsewhere.contains("the first, `docs`"), "{elsewhere}");
    let nowhere = hint("nobody/m", &both);
    let (first, second) = nowhere.split_once("`tickets` has ").unwrap();
    assert!(first.contains("`docs` has ") && !first.contains("api,") && second.contains("api,"), "{nowhere}");
    let alone = hint("nobody/m", &both[..2]);
    assert!(alone.contains("one of: ") && !alone.contains("the first"), "{alone}");
    let twice = run(&project, &["search", "lamps", "-p", "docs.yaml", "-p", "docs2.yaml"]).expect_code(2);
    assert!(twice.stderr.contains("two of the pipelines are called docs"), "{twice:?}");

    // Passages are the answer, as no model is there; their sources say whose they are.
    let asked =
        run(&project, &["ask", "the ferry's pump leaks", "--json", "-p", "tickets.yaml", "-p", "docs2.yaml"]).expect_code(0);
    let sources = asked.of_type("sources").remove(0);
    assert_eq!(
        (&sources["sources"][0]["uri"], &sources["sources"][0]["pipeline"]),
        (&json!("tickets/17.md"), &json!("tickets"))
    );
    let alone = run(&project, &["ask", "the ferry's pump leaks", "--json", "-p", "tickets.yaml"]).expect_code(0);
    assert!(alone.of_type("sources")[0]["sources"][0].get("pipeline").is_none());
    let told = run(&project, &["ask", "the ferry's pump leaks", "-p", "tickets.yaml", "-p", "docs2.yaml"]).expect_code(0);
    assert!(told.stdout.contains("[1] tickets: tickets/17.md"), "{}", told.stdout);
    let chat = ["chat", "--json", "-p", "tickets.yaml", "-p", "docs2.yaml"];
    let said = tokio::task::block_in_place(|| project.run_with_input(&chat, "the ferry's pump leaks\n")).expect_code(0);
    assert_eq!(said.of_type("sources")[0]["sources"][0]["pipeline"], "tickets");
}
