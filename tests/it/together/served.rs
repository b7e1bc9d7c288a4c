//! What a service of several does where it once did it of the first: maps, ingests, vectors; and what it counts.

use std::collections::BTreeSet;

use super::*;
use crate::telemetry::expect_sound;

/// What is counted, by its line without its number.
/// Seconds rounded up.
async fn counted(service: &Service, line: &str) -> u64 {
    let text = client().get(service.at("/metrics")).send().await.unwrap().text().await.unwrap();
    let of = text.lines().find_map(|told| told.strip_prefix(line)).map(|rest| rest.trim().parse::<f64>().unwrap());
    of.unwrap_or_default().ceil() as u64
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_one_pipelines_own_is_asked_for_by_its_name() {
    let desk = Desk::new().await;
    let service = start(&desk.project, &BOTH);
    for path in ["/api/map", "/api/map?pipeline=docs%2Btickets"] {
        let (status, told) = get(&service.at(path)).await;
        assert_eq!((status, &told["kind"]), (400, &json!("bad_request")), "{told}");
        assert_eq!(told["hint"], "name one of them as `pipeline`: docs, tickets");
    }
    for (body, expected) in [
        (json!({"query": "密钥"}), 400),
        (json!({"query": "密钥", "pipeline": "docs+tickets"}), 400),
        (json!({"query": "密钥", "pipeline": "docs"}), 200),
        (json!({"query": "密钥", "pipeline": "nothing"}), 404),
    ] {
        assert_eq!(post(&service.at("/api/map"), &body).await.0, expected, "{body}");
    }
    for name in ["docs", "tickets"] {
        let (status, map) = get(&service.at(&format!("/api/map?pipeline={name}"))).await;
        assert_eq!((status, map["documents"].as_array().unwrap().len()), (200, 3), "{map}");
    }

    for (model, expected) in [(None, 400), (Some("docs+tickets"), 400), (Some("tickets"), 200), (Some("docs"), 200)] {
        let mut body = json!({"input": ["keys", "密钥"]});
        if let Some(model) = model {
            body["model"] = model.into();
        }
        let (status, told) = post(&service.at("/v1/embeddings"), &body).await;
        assert_eq!(status, expected, "{told}");
        if status == 400 {
            let message = told["error"]["message"].as_str().unwrap();
            assert!(message.contains("docs, tickets") && message.contains("`model`"), "{told}");
        }
    }

    // Where one alone is served, it need not be named.
    let alone = start(&desk.project, &["-p", "tickets.yaml", "--home", "alone"]);
    assert_eq!(get(&alone.at("/api/map")).await.0, 200);
    let (status, told) = post(&alone.at("/v1/embeddings"), &json!({"input": "keys"})).await;
    assert_eq!((status, &told["model"]), (200, &json!("tickets")));
}

#[tokio::test(flavor = "multi_thread")]
async fn an_ingest_of_no_name_is_one_of_each() {
    let desk = Desk::new().await;
    desk.project.write("aside.yaml", "name: aside\n");
    let service = start(&desk.project, &[&BOTH[..], &["-p", "aside.yaml"]].concat());
    let ingest = async |body: Value| post(&service.at("/api/ingest"), &body).await;
    let ended = async |job: &Value| {
        let url = service.at(&format!("/api/ingest/{}", job["id"].as_str().unwrap()));
        for _ in 0..600 {
            let now = get(&url).await.1;
            if now["state"] != "waiting" && now["state"] != "running" {
                return now;
            }
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
        panic!("it does not end: {job}");
    };
    desk.project.write("docs/锚.md", "# 锚\n\n渡轮的锚在中午升起。\n");
    desk.project.write("tickets/19.md", "# Ticket 19\n\nThe anchor was raised at noon.\n");
    let (status, told) = ingest(json!({})).await;
    assert_eq!((status, &told["type"]), (202, &json!("jobs")), "{told}");
    let jobs = told["jobs"].as_array().unwrap();
    assert_eq!(jobs.iter().map(|job| job["pipeline"].as_str().unwrap()).collect::<Vec<_>>(), ["docs", "tickets"]);
    for job in jobs {
        let job = ended(job).await;
        assert_eq!((&job["state"], &job["end"]["documents"]["added"]), (&json!("done"), &json!(1)), "{job}");
    }
    let (_, found) = post(&service.at("/api/search"), &json!({"query": "锚 anchor", "limit": 5})).await;
    let uris: Vec<&str> = found["hits"].as_array().unwrap().iter().map(|hit| hit["uri"].as_str().unwrap()).collect();
    assert!(uris.contains(&"docs/锚.md") && uris.contains(&"tickets/19.md"), "{found}");

    // One that is named is told as it always was.
    let (status, one) = ingest(json!({"pipeline": "docs"})).await;
    assert_eq!((status, &one["type"], &one["pipeline"]), (202, &json!("job"), &json!("docs")));
    ended(&one).await;
    let (status, two) = ingest(json!({"pipeline": "tickets+docs", "checksum": true})).await;
    assert_eq!((status, two["jobs"].as_array().unwrap().len()), (202, 2));
    for job in two["jobs"].as_array().unwrap() {
        ended(job).await;
    }
    // What removes, or pays for all again, is for those that are named; and one without sources is passed over only where none is.
    let before = get(&service.at("/api/ingest")).await.1["jobs"].as_array().unwrap().len();
    for (body, status, words) in [
        (json!({"rebuild": true}), 400, "docs+tickets+aside"),
        (json!({"prune": true}), 400, "docs+tickets+aside"),
        (json!({"pipeline": "docs+aside"}), 400, "aside names no sources"),
        (json!({"pipeline": "aside"}), 400, "aside names no sources"),
        (json!({"pipeline": "nothing"}), 404, "nothing"),
    ] {
        let (got, told) = ingest(body.clone()).await;
        assert!(got == status && told.to_string().contains(words), "{body}: {told}");
    }
    assert_eq!(get(&service.at("/api/ingest")).await.1["jobs"].as_array().unwrap().len(), before, "nothing was begun");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_asked_of_several_counts_in_each_and_once_for_itself() {
    let desk = Desk::new().await;
    desk.project.write("later.yaml", "name: later\nsources: [later]\n");
    let service = start(&desk.project, &[&BOTH[..], &["-p", "later.yaml"]].concat());
    for name in [None, Some("docs+tickets"), Some("tickets+docs"), Some("tickets+later"), Some("docs")] {
        let (status, _) =
            post(&service.at("/api/search"), &json!({"query": "how often are keys rotated?", "pipeline": name})).await;
        assert_eq!(status, 200);
    }
    let question = json!({"question": "渡轮的水泵怎么了？", "pipeline": "docs+tickets", "stream": false});
    assert_eq!(post(&service.at("/api/ask"), &question).await.0, 200);
    let of = async |what: &str, pipeline: &str, ended: &str| {
        counted(&service, &format!("ragstream_{what}_total{{pipeline=\"{pipeline}\",ended=\"{ended}\"}}")).await
    };
    assert_eq!(of("searches", "(together)", "done").await, 4);
    assert_eq!(of("searches", "docs", "done").await, 5, "its own, of three searches of several, and of an answer");
    assert_eq!(of("searches", "tickets", "done").await, 5);
    assert_eq!(of("searches", "later", "failed").await, 2);
    assert_eq!((of("answers", "(together)", "done").await, of("answers", "docs", "done").await), (1, 0));
    assert_eq!(counted(&service, "ragstream_search_seconds_count{pipeline=\"tickets\"}").await, 5);
    assert!(counted(&service, "ragstream_search_seconds_sum{pipeline=\"docs\"}").await > 0);

    let text = client().get(service.at("/metrics")).send().await.unwrap().text().await.unwrap();
    let labels: BTreeSet<&str> = text.split("pipeline=\"").skip(1).map(|rest| rest.split('"').next().unwrap()).collect();
    assert_eq!(labels.into_iter().collect::<Vec<_>>(), ["(together)", "docs", "later", "tickets"]);
    expect_sound(&text);
}
