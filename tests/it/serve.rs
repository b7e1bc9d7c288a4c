//! The service, as a child process, asked over the wire.

mod stopping;
mod storms;

use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::project::{Project, samples};
use crate::service::{Service, answer, client, get, post};
use crate::stand_in::{Reply, StandIn, openai_embeddings};

/// A project with the sample documents and a pipeline over them whose answers a stand-in writes.
fn project(api: &StandIn) -> Project {
    let project = Project::new();
    for entry in std::fs::read_dir(samples().join("guides")).unwrap() {
        let path = entry.unwrap().path();
        project.write(&format!("docs/{}", path.file_name().unwrap().to_str().unwrap()), std::fs::read(path).unwrap());
    }
    let pipeline = format!(
        "version: 1\nname: docs\nproviders:\n  api: {{ kind: openai, base_url: \"{}\", api_key: k }}\n\
         sources: [{{ files: {{ paths: [docs] }} }}]\nquery:\n  retrieve: {{ limit: 3 }}\n  answer: {{ model: api/m }}\n",
        api.url()
    );
    project.write("docs.yaml", pipeline);
    project
}

/// An answer that comes word by word, so many times.
fn chat(words: usize, between: Duration) -> Reply {
    let piece = |text: &str| format!("data: {}\n\n", json!({"choices": [{"index": 0, "delta": {"content": text}}]}));
    let mut pieces: Vec<String> = (0..words).map(|n| piece(&format!("word{n} "))).collect();
    pieces.push(piece("[1]."));
    pieces.push("data: {\"choices\":[{\"index\":0,\"delta\":{},\"finish_reason\":\"stop\"}]}\n\ndata: [DONE]\n\n".to_owned());
    Reply::stream(pieces, between)
}

async fn ingested(api: &StandIn) -> Project {
    let project = project(api);
    tokio::task::spawn_blocking(move || {
        project.run(&["ingest", "-p", "docs.yaml", "-q"]).expect_code(0);
        project
    })
    .await
    .unwrap()
}

fn start(project: &Project, arguments: &[&str]) -> Service {
    tokio::task::block_in_place(|| Service::start(project, arguments))
}

async fn until(what: &str, mut holds: impl AsyncFnMut() -> bool) {
    let since = Instant::now();
    while !holds().await {
        assert!(since.elapsed() < Duration::from_secs(30), "{what}");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

/// The names and the data of events.
fn events(text: &str) -> Vec<(String, Value)> {
    let field = |event: &str, name: &str| event.lines().find_map(|line| line.strip_prefix(name).map(str::to_owned));
    let event = |event: &str| Some((field(event, "event: ")?, serde_json::from_str(&field(event, "data: ")?).unwrap()));
    text.split("\n\n").filter_map(event).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_answered_is_what_the_commands_print() {
    let api = StandIn::start().await;
    api.always("/chat/completions", |_| chat(3, Duration::ZERO));
    let project = ingested(&api).await;
    let service = start(&project, &["-p", "docs.yaml"]);

    let (status, hits) = post(&service.at("/api/search"), &json!({"query": "rotate keys", "limit": 4})).await;
    let printed =
        tokio::task::block_in_place(|| project.run(&["search", "rotate keys", "-k", "4", "-p", "docs.yaml", "--json"]));
    assert_eq!((status, &hits["pipeline"]), (200, &json!("docs")));
    assert_eq!(hits["hits"], json!(printed.expect_code(0).events()));

    let (status, told) = get(&service.at("/api/status")).await;
    let mut printed =
        tokio::task::block_in_place(|| project.run(&["status", "-p", "docs.yaml", "--json"])).expect_code(0).last("status");
    printed["cache"] = told["pipelines"][0]["cache"].clone();
    for (key, value) in printed.as_object().unwrap() {
        assert_eq!(&told["pipelines"][0][key], value, "{key}");
    }
    assert_eq!((status, &told["type"]), (200, &json!("service")));

    let asked = json!({"question": "How do I rotate keys?"});
    let text = client().post(service.at("/api/ask")).json(&asked).send().await.unwrap().text().await.unwrap();
    let told = events(&text);
    let names: Vec<&str> = told.iter().map(|(name, _)| name.as_str()).collect();
    assert_eq!((names[0], *names.last().unwrap()), ("sources", "done"));
    assert!(told.iter().all(|(name, data)| data["type"] == json!(name)));
    let printed = tokio::task::block_in_place(|| project.run(&["ask", "How do I rotate keys?", "-p", "docs.yaml", "--json"]));
    let printed = printed.expect_code(0);
    assert_eq!(json!(printed.of_type("sources")), json!([told[0].1]));
    let written = |events: &[Value]| events.iter().filter_map(|event| event["text"].as_str()).collect::<String>();
    let streamed: Vec<Value> = told.iter().filter(|(name, _)| name == "token").map(|(_, data)| data.clone()).collect();
    assert_eq!(written(&streamed), written(&printed.of_type("token")));

    let lines =
        client().post(service.at("/api/ask")).header("accept", "application/x-ndjson").json(&asked).send().await.unwrap();
    let lines: Vec<Value> = lines.text().await.unwrap().lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert_eq!(lines.first().unwrap(), &told[0].1, "lines for who wants lines");

    let (status, whole) = post(&service.at("/api/ask"), &json!({"question": "How do I rotate keys?", "stream": false})).await;
    assert_eq!((status, whole["answer"].as_str().unwrap()), (200, written(&streamed).as_str()));
    assert_eq!((&whole["citations"], &whole["model"]), (&json!([1]), &json!("api/m")));

    let source = &whole["sources"][0];
    let (status, document) = get(&service.at(&format!("/api/documents?uri={}", source["uri"].as_str().unwrap()))).await;
    let (start, end) = (source["start"].as_u64().unwrap() as usize, source["end"].as_u64().unwrap() as usize);
    let file = String::from_utf8(project.read(source["uri"].as_str().unwrap())).unwrap();
    assert_eq!((status, &document["parts"][0]["text"].as_str().unwrap()[..20]), (200, &file[..20]));
    assert_eq!(source["text"].as_str().unwrap(), &file[start..end]);
    let (status, again) = get(&service.at(&format!("/api/documents/{}", document["id"].as_str().unwrap()))).await;
    assert_eq!((status, again), (200, document));
}

#[tokio::test(flavor = "multi_thread")]
async fn an_answer_with_an_id_is_gone_on_with_and_paid_for_once() {
    let api = StandIn::start().await;
    api.always("/chat/completions", |_| chat(60, Duration::from_millis(30)));
    let project = ingested(&api).await;
    let service = start(&project, &["-p", "docs.yaml"]);
    let id = "6f0d3b1c-2f9e-4a57-9c46-1f7a8e5bd023";
    let asked = json!({"question": "How do I rotate keys?", "id": id, "html": true});
    let at = service.at(&format!("/api/ask/{id}"));
    let ask = async || client().post(service.at("/api/ask")).json(&asked).send().await.unwrap();

    let mut first = ask().await;
    assert!(first.chunk().await.unwrap().is_some());
    drop(first);
    let (again, beside) = tokio::join!(ask(), client().get(&at).send());
    let (again, beside) = (events(&again.text().await.unwrap()), events(&beside.unwrap().text().await.unwrap()));
    for told in [&again, &beside] {
        let written: String = told.iter().filter_map(|(_, data)| data["text"].as_str()).collect();
        assert!(written.starts_with("word0 word1 ") && written.ends_with("word59 [1]."), "{written}");
        assert_eq!((told[0].0.as_str(), told.last().unwrap().0.as_str()), ("sources", "done"));
    }
    let other = json!({"question": "Something else?", "id": id, "html": true});
    assert_eq!(post(&service.at("/api/ask"), &other).await.0, 409, "an id is of one question");
    assert_eq!(api.requests().len(), 1, "whoever comes back pays nothing");

    // Stopped, it ends at once; left, after a while.
    let slow = json!({"question": "How do I rotate keys?", "id": "00000000-0000-4000-8000-000000000001"});
    let mut stopped = client().post(service.at("/api/ask")).json(&slow).send().await.unwrap();
    assert!(stopped.chunk().await.unwrap().is_some());
    let ended = client().delete(service.at("/api/ask/00000000-0000-4000-8000-000000000001")).send().await.unwrap();
    assert_eq!(ended.status(), 204);
    until("a stopped answer is cancelled upstream", async || api.in_flight() == 0).await;
    api.always("/chat/completions", |_| chat(4000, Duration::from_millis(30)));
    let left = json!({"question": "How do I rotate keys?", "id": "00000000-0000-4000-8000-000000000002"});
    let mut reader = client().post(service.at("/api/ask")).json(&left).send().await.unwrap();
    assert!(reader.chunk().await.unwrap().is_some());
    until("the model is asked", async || api.in_flight() == 1).await;
    let since = Instant::now();
    drop(reader);
    until("one that nobody comes back to is cancelled upstream", async || api.in_flight() == 0).await;
    assert!((9..25).contains(&since.elapsed().as_secs()), "it waits for its reader: {:?}", since.elapsed());

    let faults = [
        (json!({"question": "q", "id": "not-an-id"}), 400),
        (json!({"question": "q", "id": id, "stream": false}), 400),
        (json!({"question": " ", "id": "00000000-0000-4000-8000-000000000003"}), 400),
        (json!({"question": " ", "history": [{"question": "a", "answer": "b"}]}), 400),
        (json!({"question": "q", "where": vec!["path=docs/**"; 101]}), 400),
    ];
    for (body, status) in faults {
        assert_eq!(post(&service.at("/api/ask"), &body).await.0, status, "{body}");
    }
    assert_eq!(get(&service.at("/api/ask/not-an-id")).await.0, 404);
    assert_eq!(get(&service.at("/api/ask/00000000-0000-4000-8000-000000000009")).await.0, 404);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_map_of_the_corpus_and_what_went_on_are_told() {
    let api = StandIn::start().await;
    let project = ingested(&api).await;
    let service = start(&project, &["-p", "docs.yaml"]);
    let (status, map) = get(&service.at("/api/map")).await;
    let points = map["points"].as_array().unwrap();
    assert_eq!((status, points.len() as u64), (200, map["chunks"].as_u64().unwrap()), "all of them, of so few");
    assert!(points.iter().all(|point| (0..2).all(|axis| point[axis].as_f64().unwrap().abs() <= 1.0001)));
    let shares = [0, 1].map(|axis| map["shares"][axis].as_f64().unwrap());
    assert!(shares[0] >= shares[1] && shares[1] > 0.0 && shares[0] + shares[1] < 1.0, "{shares:?}");
    assert_eq!(get(&service.at("/api/map")).await.1, map, "the same as long as the index is");
    let (status, found) = post(&service.at("/api/map"), &json!({"query": "rotate keys", "limit": 4})).await;
    assert_eq!((status, found["hits"].as_array().unwrap().len()), (200, 4));
    for hit in found["hits"].as_array().unwrap() {
        let lies = |point: &&Value| {
            map["documents"][point[3].as_u64().unwrap() as usize]["uri"] == hit["uri"] && point[4] == hit["lines"][0]
        };
        let point = points.iter().find(lies).unwrap();
        for axis in 0..2 {
            let (a, b) = (point[axis].as_f64().unwrap(), hit["place"][axis].as_f64().unwrap());
            assert!((a - b).abs() < 1e-3, "a hit lies where its point does: {a} {b}");
        }
        assert!(hit["legs"]["vector"]["rank"].is_u64() || hit["legs"]["words"]["rank"].is_u64(), "{hit}");
    }
    until("two looks have been taken", async || {
        let (_, told) = get(&service.at("/api/history")).await;
        told["series"]["at"].as_array().unwrap().len() >= 2
    })
    .await;
    let (_, told) = get(&service.at("/api/history?seconds=3600")).await;
    assert_eq!(told["type"], "history");
    for wrong in ["/api/history?seconds=soon", "/api/history?seconds=1&seconds=2", "/api/documents?uri=a&uri=b"] {
        assert_eq!(get(&service.at(wrong)).await.0, 400, "{wrong}");
    }
    assert_eq!(get(&service.at("/api/eval")).await.1, json!({"type": "measurements", "measurements": []}));
}

#[tokio::test(flavor = "multi_thread")]
async fn who_makes_no_sense_is_told_why_and_who_is_not_heard_learns_nothing() {
    let api = StandIn::start().await;
    let project = ingested(&api).await;
    let service = start(&project, &["-p", "docs.yaml"]);
    let faults = [
        ("/api/ask", json!({"question": " "}), 400, "bad_question"),
        ("/api/ask", json!({"question": "q", "pipeline": "other"}), 404, "not_found"),
        ("/api/ask", json!({"question": "q", "where": ["colour=red"]}), 400, "bad_request"),
        ("/api/ask", json!({"question": "q", "model": "nobody/m"}), 400, "bad_request"),
        ("/api/ask", json!({"qestion": "q"}), 400, "bad_request"),
        ("/api/search", json!({"query": "q", "limit": 0}), 400, "bad_request"),
        ("/api/search", json!([1]), 400, "bad_request"),
        ("/api/nothing", json!({}), 404, "not_found"),
        ("/api/ingest", json!({"local": {"paths": ["/etc"], "cwd": "/", "cache": "/"}}), 400, "bad_request"),
    ];
    for (path, body, status, kind) in faults {
        let (got, fault) = post(&service.at(path), &body).await;
        assert_eq!((got, &fault["type"], &fault["kind"]), (status, &json!("error"), &json!(kind)), "{path} {body}: {fault}");
        assert!(fault["message"].as_str().is_some_and(|message| message.len() > 10), "{fault}");
    }
    for path in ["/api/documents/x", "/api/documents/Li4vLi4vZXRjL3Bhc3N3ZA", "/api/ingest/7"] {
        assert_eq!(get(&service.at(path)).await.0, 404, "{path}");
    }
    assert_eq!(answer(client().put(service.at("/api/ask"))).await.0, 405);
    let large = client().post(service.at("/api/search")).body(vec![b' '; 5 << 20]);
    assert_eq!(answer(large).await.0, 413);

    let status = client().get(service.at("/api/status"));
    let refused = answer(status.try_clone().unwrap().header("host", "evil.example")).await;
    assert_eq!((refused.0, &refused.1["kind"]), (421, &json!("foreign_host")));
    let refused = answer(status.try_clone().unwrap().header("origin", "http://evil.example")).await;
    assert_eq!((refused.0, &refused.1["kind"]), (403, &json!("foreign_origin")));
    assert_eq!(answer(status.header("origin", service.url())).await.0, 200, "its own page");

    let open = tokio::task::block_in_place(|| project.run(&["serve", "--listen", "0.0.0.0:0"]));
    assert!(open.code == 2 && open.stderr.contains("token"), "{open:?}");
    let second = tokio::task::block_in_place(|| project.run(&["serve", "--listen", "127.0.0.1:0"]));
    assert!(second.code == 2 && second.stderr.contains("runs on this home already"), "{second:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_token_opens_it_and_listed_origins_are_answered() {
    let api = StandIn::start().await;
    let project = ingested(&api).await;
    let token = "0123456789abcdef0123";
    project.write("tokens", format!("# for the team\n{token}\n"));
    let service = start(&project, &["-p", "docs.yaml", "--token-file", "tokens", "--allow-origin", "https://app.example"]);
    let status = || client().get(service.at("/api/status"));
    assert_eq!(answer(status()).await.0, 401);
    assert_eq!(answer(status().bearer_auth("0123456789abcdef0124")).await.0, 401);
    assert_eq!(answer(status().bearer_auth(token)).await.0, 200);
    assert_eq!(client().get(service.at("/healthz")).send().await.unwrap().status(), 200, "health needs none");
    assert_eq!(answer(client().post(service.at("/login")).json(&json!({"token": "0000000000000000"}))).await.0, 401);
    let login = client().post(service.at("/login")).json(&json!({"token": token})).send().await.unwrap();
    let cookie = login.headers()["set-cookie"].to_str().unwrap();
    assert!(login.status() == 204 && cookie.contains("HttpOnly") && cookie.contains("SameSite=Strict"), "{cookie}");
    assert_eq!(answer(status().header("cookie", cookie.split(';').next().unwrap())).await.0, 200);

    let preflight = client()
        .request(reqwest::Method::OPTIONS, service.at("/api/ask"))
        .header("origin", "https://app.example")
        .header("access-control-request-method", "POST")
        .header("access-control-request-headers", "authorization, x-stainless-os");
    let preflight = preflight.send().await.unwrap();
    assert_eq!(preflight.status(), 204);
    assert_eq!(preflight.headers()["access-control-allow-headers"], "authorization, x-stainless-os");
    assert_eq!(preflight.headers()["access-control-allow-origin"], "https://app.example");
    let refused = answer(status().bearer_auth(token).header("origin", "https://other.example")).await;
    assert_eq!(refused.0, 403, "with a token, too");
    let stderr = service.stop().0.stderr;
    assert!(!stderr.contains(token), "{stderr}");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_ingest_outlives_its_request_is_watched_and_cancelled() {
    let api = StandIn::start().await;
    api.always("/embeddings", |request| openai_embeddings(request, 16).after(Duration::from_millis(700)));
    let project = project(&api);
    for n in 0..40 {
        project.write(&format!("docs/more{n}.md"), format!("# More {n}\n\nWhat is said in {n}.\n"));
    }
    let pipeline = String::from_utf8(project.read("docs.yaml")).unwrap();
    project.write(
        "docs.yaml",
        format!("{pipeline}embed: {{ model: api/e, dimensions: 16, batch: {{ items: 2 }} }}\n")
            .replace("api_key: k", "api_key: k, limits: { concurrency: 1 }"),
    );
    let service = start(&project, &["-p", "docs.yaml"]);
    let (status, missing) = post(&service.at("/api/search"), &json!({"query": "more"})).await;
    assert_eq!((status, &missing["kind"]), (404, &json!("index_missing")), "{missing}");

    let (status, job) = post(&service.at("/api/ingest"), &json!({"pipeline": "docs"})).await;
    assert_eq!((status, &job["type"]), (202, &json!("job")));
    let job = service.at(&format!("/api/ingest/{}", job["id"].as_str().unwrap()));
    let mut watched = client().get(&job).header("accept", "text/event-stream").send().await.unwrap();
    let mut seen = String::new();
    while !events(&seen).iter().any(|(name, data)| name == "progress" && data["documents"]["added"].as_u64() > Some(2)) {
        seen.push_str(std::str::from_utf8(&watched.chunk().await.unwrap().unwrap()).unwrap());
    }
    // Who watches may leave; the index is read while it is written.
    drop(watched);
    // The page's band says the same of it as it does itself.
    until("what limits it is told", async || {
        let (_, history) = get(&service.at("/api/history")).await;
        let limits = &get(&job).await.1["progress"]["limit"];
        history["series"]["limit"].as_array().is_some_and(|band| band.last() == Some(&json!("embed")))
            && limits["stage"] == "embed"
    })
    .await;
    let (status, hits) = post(&service.at("/api/search"), &json!({"query": "more", "limit": 1})).await;
    assert_eq!((status, hits["hits"].as_array().unwrap().len()), (200, 1), "{hits}");
    assert_eq!(answer(client().delete(&job)).await.0, 202);
    until("it ends", async || get(&job).await.1["state"] == "interrupted").await;
    let (_, ended) = get(&job).await;
    assert_eq!((&ended["end"]["type"], &ended["end"]["outcome"]), (&json!("summary"), &json!("interrupted")), "{ended}");
    assert_eq!(ended["progress"]["seconds"], ended["end"]["seconds"], "its clock has stopped");

    api.always("/embeddings", |request| openai_embeddings(request, 16));
    let (_, second) = post(&service.at("/api/ingest"), &json!({})).await;
    let second = service.at(&format!("/api/ingest/{}", second["id"].as_str().unwrap()));
    let text = client().get(&second).header("accept", "text/event-stream").send().await.unwrap().text().await.unwrap();
    let summary = events(&text).pop().unwrap().1;
    let documents = &summary["documents"];
    assert_eq!((&summary["type"], &documents["failed"]), (&json!("summary"), &json!(0)));
    assert!(documents["unchanged"].as_u64() > Some(2), "what the first had done is not done again: {summary}");
    assert_eq!(get(&service.at("/api/ingest")).await.1["jobs"].as_array().unwrap().len(), 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_command_has_the_service_ingest_and_prints_what_it_always_does() {
    let api = StandIn::start().await;
    let project = ingested(&api).await;
    let service = start(&project, &["-p", "docs.yaml"]);
    project.write("docs/new.md", "# New\n\nA new document.\n");
    project.write("docs/broken.pdf", "%PDF-1.4 not one");
    let through = tokio::task::block_in_place(|| project.run(&["ingest", "-p", "docs.yaml", "--json"]));
    assert_eq!(through.code, 1, "{through:?}");
    let summary = through.last("summary");
    assert_eq!((&summary["documents"]["added"], &summary["documents"]["failed"]), (&json!(1), &json!(1)), "{summary}");
    assert_eq!(through.of_type("failed")[0]["uri"], json!("docs/broken.pdf"));
    assert_eq!(get(&service.at("/api/ingest")).await.1["jobs"].as_array().unwrap().len(), 1, "the service did it");

    project.remove("docs/broken.pdf");
    project.write("docs/newer.md", "# Newer\n\nA newer document.\n");
    let person = tokio::task::block_in_place(|| project.run(&["ingest", "docs/newer.md", "-p", "docs.yaml"])).expect_code(0);
    assert!(person.stderr.contains("done 1 document (1 added)"), "{person:?}");
    let (_, hits) = post(&service.at("/api/search"), &json!({"query": "newer document", "limit": 1})).await;
    assert_eq!(hits["hits"][0]["uri"], json!("docs/newer.md"));
    let other = tokio::task::block_in_place(|| project.run(&["ingest", "docs", "--json"])).expect_code(0).last("summary");
    assert_eq!(other["pipeline"], "default", "what is not served is done by the command itself");
    assert_eq!(get(&service.at("/api/ingest")).await.1["jobs"].as_array().unwrap().len(), 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_pipeline_is_read_anew_and_a_broken_file_keeps_the_old_one() {
    let api = StandIn::start().await;
    let project = ingested(&api).await;
    let service = start(&project, &["-p", "docs.yaml"]);
    let search = json!({"query": "keys"});
    let hits = async || post(&service.at("/api/search"), &search).await.1["hits"].as_array().map_or(0, Vec::len);
    assert_eq!(hits().await, 3);
    let good = String::from_utf8(project.read("docs.yaml")).unwrap();
    project.write("docs.yaml", good.replace("limit: 3", "limmit: 2"));
    let told = async || get(&service.at("/api/status")).await.1["pipelines"][0]["not_reloaded"].clone();
    until("what is wrong is said", async || told().await.as_str().is_some_and(|told| told.contains("limmit"))).await;
    assert_eq!(hits().await, 3, "the old one is served on");
    project.write("docs.yaml", good.replace("limit: 3", "limit: 1"));
    until("the new one is served", async || hits().await == 1).await;
    assert_eq!(told().await, Value::Null);
}

#[tokio::test(flavor = "multi_thread")]
async fn pipelines_that_use_one_account_have_one_quota() {
    let api = StandIn::start().await;
    api.always("/chat/completions", |_| chat(3, Duration::from_millis(50)));
    let project = project(&api);
    let declared = std::fs::read_to_string(project.path("docs.yaml")).unwrap();
    let declared = declared.replace("api_key: k }", "api_key: k, limits: { concurrency: 1 } }");
    for name in ["one", "other"] {
        project.write(&format!("{name}.yaml"), declared.replace("name: docs", &format!("name: {name}")));
        tokio::task::block_in_place(|| project.run(&["ingest", "-p", &format!("{name}.yaml"), "-q"]).expect_code(0));
    }
    let service = start(&project, &["-p", "one.yaml", "-p", "other.yaml"]);
    let asked = ["one", "other"].repeat(3).into_iter().enumerate().map(|(n, name)| {
        let question = json!({"question": format!("How do I rotate key {n}?"), "pipeline": name});
        let url = service.at("/api/ask");
        async move { client().post(url).json(&question).send().await.unwrap().text().await.unwrap() }
    });
    let answers = futures_util::future::join_all(asked).await;
    assert!(answers.iter().all(|answer| answer.contains("word2")), "{answers:?}");
    assert_eq!((api.requests().len(), api.most_in_flight()), (6, 1));
}
