//! Ingests that are stopped: their state is told at once, and what they have told can be asked for without a stream.

use std::time::Duration;

use serde_json::{Value, json};

use super::{events, project, start, until};
use crate::service::{answer, client, get, post};
use crate::stand_in::{StandIn, openai_embeddings};

#[tokio::test(flavor = "multi_thread")]
async fn one_that_is_stopped_says_so_at_once_and_one_that_waits_ends_at_once() {
    let api = StandIn::start().await;
    api.always("/embeddings", |request| openai_embeddings(request, 16).after(Duration::from_secs(4)));
    let project = project(&api);
    project.write("docs/空.pdf", "this is no PDF");
    let pipeline = String::from_utf8(project.read("docs.yaml")).unwrap();
    project.write("docs.yaml", format!("{pipeline}embed: {{ model: api/e, dimensions: 16 }}\n"));
    let service = start(&project, &["-p", "docs.yaml"]);
    let begin = async || {
        let (status, job) = post(&service.at("/api/ingest"), &json!({})).await;
        assert_eq!(status, 202, "{job}");
        service.at(&format!("/api/ingest/{}", job["id"].as_str().unwrap()))
    };
    let state = async |job: &str| get(job).await.1["state"].as_str().unwrap().to_owned();
    let (first, second) = (begin().await, begin().await);
    let follow = |job: &str| {
        let following = client().get(job).header("accept", "text/event-stream").send();
        tokio::spawn(async move { events(&following.await.unwrap().text().await.unwrap()) })
    };
    let (told_first, told_second) = (follow(&first), follow(&second));
    until("the first embeds", async || api.in_flight() > 0).await;
    assert_eq!((state(&first).await.as_str(), state(&second).await.as_str()), ("running", "waiting"));
    until("what could not be read is told", async || get(&format!("{first}/lines")).await.1["next"] == 1).await;

    assert_eq!(answer(client().delete(&second)).await.0, 202);
    until("nothing of the second was in flight", async || state(&second).await == "interrupted").await;
    let (_, under_way) = get(&service.at("/api/ingest?ended=0")).await;
    assert_eq!(under_way["jobs"].as_array().unwrap().len(), 1, "{under_way}");
    assert_eq!((&under_way["jobs"][0]["state"], under_way["jobs"][0]["busy"]["embed"].is_number()), (&json!("running"), true));

    let (status, stopped) = answer(client().delete(&first)).await;
    assert_eq!((status, &stopped["state"], &stopped["end"]), (202, &json!("stopping"), &Value::Null));
    assert_eq!(state(&first).await, "stopping", "what is in flight is awaited");
    let metrics = client().get(service.at("/metrics")).send().await.unwrap().text().await.unwrap();
    assert!(metrics.contains("ragstream_ingests{what=\"stopping\"} 1"), "{metrics}");
    let told = told_first.await.unwrap();
    let states = |told: &[(String, Value)]| {
        let progress = told.iter().filter(|(name, _)| name == "progress");
        let mut states: Vec<String> = progress.map(|(_, line)| line["state"].as_str().unwrap().to_owned()).collect();
        states.dedup();
        states
    };
    let at = states(&told).iter().position(|state| state == "running").unwrap();
    assert_eq!(states(&told)[at..], ["running", "stopping"]);
    assert!(!states(&told_second.await.unwrap()).contains(&"running".to_owned()), "it never ran");
    let (_, ended) = get(&first).await;
    assert_eq!((&ended["state"], &ended["end"]["outcome"]), (&json!("interrupted"), &json!("interrupted")), "{ended}");

    // What a stream has told besides the progress, in pieces.
    let (_, all) = get(&format!("{first}/lines")).await;
    let besides: Vec<&Value> = told.iter().filter(|(name, _)| name != "progress").map(|(_, line)| line).collect();
    assert_eq!(all["lines"].as_array().unwrap().iter().collect::<Vec<_>>(), besides);
    assert_eq!(
        (&all["lines"][0]["uri"], &all["next"], &ended["lines"]),
        (&json!("docs/空.pdf"), &json!(2), &json!(2)),
        "{all}"
    );
    let (_, rest) = get(&format!("{first}/lines?from=1")).await;
    assert_eq!((&rest["lines"], &rest["next"]), (&json!([ended["end"]]), &json!(2)));
    assert_eq!(get(&format!("{first}/lines?from=2")).await.1["lines"], json!([]));
    assert_eq!(get(&format!("{first}/lines?from=x")).await.0, 400);
    let (_, last) = get(&service.at("/api/ingest?ended=1")).await;
    assert_eq!(service.at(&format!("/api/ingest/{}", last["jobs"][0]["id"].as_str().unwrap())), second, "{last}");
    assert_eq!(get(&service.at("/api/ingest")).await.1["jobs"].as_array().unwrap().len(), 2);
    assert_eq!(get(&service.at("/api/ingest?ended=some")).await.0, 400);
}
