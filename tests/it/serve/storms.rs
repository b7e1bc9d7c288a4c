//! Clients that leave, wait or dawdle, and others that are served beside them.

use std::time::{Duration, Instant};

use futures_util::StreamExt as _;
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

use super::{chat, events, ingested, start, until};
use crate::project::ended;
use crate::service::{client, get, post};
use crate::stand_in::StandIn;

#[tokio::test(flavor = "multi_thread")]
async fn who_leaves_cancels_the_request_upstream() {
    let api = StandIn::start().await;
    api.always("/chat/completions", |_| chat(2000, Duration::from_millis(20)));
    let project = ingested(&api).await;
    let service = start(&project, &["-p", "docs.yaml"]);
    for pieces in 1..4 {
        let mut response = client().post(service.at("/api/ask")).json(&json!({"question": "keys"})).send().await.unwrap();
        for _ in 0..pieces {
            response.chunk().await.unwrap().unwrap();
        }
        until("the model is asked", async || api.in_flight() == 1).await;
        drop(response);
        until("the request upstream ends", async || api.in_flight() == 0).await;
    }
}

/// In a storm of clients that leave at any moment, who stays is answered, and nothing is left behind.
#[tokio::test(flavor = "multi_thread")]
async fn a_thousand_who_leave_leave_nothing_behind() {
    let api = StandIn::start().await;
    api.always("/chat/completions", |_| chat(200, Duration::from_millis(5)));
    let project = ingested(&api).await;
    let service = start(&project, &["-p", "docs.yaml"]);
    let address = service.url().strip_prefix("http://").unwrap().to_owned();
    let files = || std::fs::read_dir(format!("/proc/{}/fd", service.id())).unwrap().count();
    let before = files();
    let body = json!({"question": "keys"}).to_string();
    let request = format!(
        "POST /api/ask HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nContent-Length: {}\r\n\r\n{body}",
        body.len()
    );
    let storm = futures_util::stream::iter(0..1000_u64).for_each_concurrent(100, |n| {
        let (address, request) = (address.clone(), request.clone());
        async move {
            let mut stream = TcpStream::connect(&address).await.unwrap();
            // Some leave in the middle of their request, some while they wait, some while they are answered.
            let sent = if n % 5 == 0 { request.len() * (n as usize % 90) / 100 } else { request.len() };
            stream.write_all(&request.as_bytes()[..sent]).await.unwrap();
            let patience = Duration::from_millis(n * 7 % 60);
            let _ = tokio::time::timeout(patience, stream.read(&mut [0; 4096])).await;
        }
    });
    storm.await;
    until("nothing upstream is left", async || api.in_flight() == 0).await;
    let free = async || get(&service.at("/api/status")).await.1["free"]["answers"].as_u64();
    until("all places are free", async || free().await == Some(64)).await;
    // Some of the index and of the provider stay open for the next.
    until("all connections are closed", async || files() <= before + 100).await;
    let answered = client().post(service.at("/api/ask")).json(&json!({"question": "keys"})).send().await.unwrap();
    assert_eq!(answered.status(), 200);
    assert!(answered.text().await.unwrap().contains("event: done"));
}

#[tokio::test(flavor = "multi_thread")]
async fn it_ends_within_seconds_whatever_goes_on() {
    let api = StandIn::start().await;
    api.always("/chat/completions", |_| chat(100_000, Duration::from_millis(20)));
    let project = ingested(&api).await;
    let service = start(&project, &["-p", "docs.yaml"]);
    let mut answers = Vec::new();
    for _ in 0..8 {
        let mut response = client().post(service.at("/api/ask")).json(&json!({"question": "keys"})).send().await.unwrap();
        response.chunk().await.unwrap().unwrap();
        answers.push(response);
    }
    let chat = json!({"model": "docs", "stream": true, "messages": [{"role": "user", "content": "keys"}]});
    let mut program = client().post(service.at("/v1/chat/completions")).json(&chat).send().await.unwrap();
    program.chunk().await.unwrap().unwrap();
    let mut read = vec![tokio::spawn(program.text())];
    read.extend(answers.into_iter().map(|answer| tokio::spawn(answer.text())));
    // One that sends its headers letter by letter, one that says nothing.
    let address = service.url().strip_prefix("http://").unwrap().to_owned();
    let mut slow = TcpStream::connect(&address).await.unwrap();
    slow.write_all(b"GET /api/status HT").await.unwrap();
    let _silent = TcpStream::connect(&address).await.unwrap();
    let (ended, took) = tokio::task::block_in_place(|| service.stop());
    assert_eq!(ended.code, 0, "{ended:?}");
    assert!(took < Duration::from_secs(10), "{took:?}");
    // Nobody is left to guess what happened.
    let mut texts = Vec::new();
    for text in read {
        texts.push(text.await.unwrap().expect("the stream ends, it is not cut"));
    }
    let (program, answers) = texts.split_first().unwrap();
    let said: Vec<&str> = program.lines().filter_map(|line| line.strip_prefix("data: ")).collect();
    let error: Value = serde_json::from_str(said[said.len() - 2]).unwrap();
    assert_eq!((&error["error"]["code"], said.last()), (&json!("stopping"), Some(&"[DONE]")), "{error}");
    for answer in answers {
        let last = events(answer).pop().unwrap();
        assert_eq!((last.0.as_str(), &last.1["kind"]), ("error", &json!("stopping")), "{last:?}");
    }
    until("no request upstream is left", async || api.in_flight() == 0).await;
    assert!(!project.path(".ragstream/serve.sock").exists());
}

#[tokio::test(flavor = "multi_thread")]
async fn slow_headers_end_and_a_thousand_who_wait_cost_little() {
    let api = StandIn::start().await;
    let project = ingested(&api).await;
    let service = start(&project, &["-p", "docs.yaml"]);
    let address = service.url().strip_prefix("http://").unwrap().to_owned();
    assert_eq!(post(&service.at("/api/search"), &json!({"query": "keys"})).await.0, 200);
    let resident = || {
        let status = std::fs::read_to_string(format!("/proc/{}/status", service.id())).unwrap();
        let line = status.lines().find(|line| line.starts_with("VmRSS:")).unwrap();
        line.split_whitespace().nth(1).unwrap().parse::<u64>().unwrap()
    };
    let before = resident();
    let mut idle = Vec::new();
    for _ in 0..1000 {
        let mut stream = TcpStream::connect(&address).await.unwrap();
        stream.write_all(b"GET /healthz HTTP/1.1\r\nHost: localhost\r\n\r\n").await.unwrap();
        stream.read_exact(&mut [0; 15]).await.unwrap();
        idle.push(stream);
    }
    let grown = resident().saturating_sub(before);
    assert!(grown < 100 << 10, "{grown} KiB");
    assert_eq!(post(&service.at("/api/search"), &json!({"query": "keys"})).await.0, 200, "others are served beside them");
    drop(idle);
    let mut slow = TcpStream::connect(&address).await.unwrap();
    let since = Instant::now();
    let dribble = async {
        // A letter every second: hyper counts from the first.
        for letter in b"GET /api/status HTTP/1.1\r\nX-Long: ".iter().chain([b'x'; 60].iter()) {
            if slow.write_all(&[*letter]).await.is_err() || slow.flush().await.is_err() {
                break;
            }
            let mut byte = [0; 1];
            if let Ok(Ok(0) | Err(_)) = tokio::time::timeout(Duration::from_secs(1), slow.read(&mut byte)).await {
                break;
            }
        }
    };
    dribble.await;
    assert!(since.elapsed() < Duration::from_secs(40), "{:?}", since.elapsed());
}

#[tokio::test(flavor = "multi_thread")]
async fn searches_go_on_while_another_program_ingests() {
    let api = StandIn::start().await;
    let project = ingested(&api).await;
    let service = start(&project, &["-p", "docs.yaml"]);
    for n in 0..300 {
        project.write(
            &format!("more/{n}.md"),
            format!("# Number {n}\n\nA document about number {n}, and nothing else.\n").repeat(5),
        );
    }
    let other = project.path("docs.yaml");
    let text = std::fs::read_to_string(&other).unwrap().replace("paths: [docs]", "paths: [docs, more]");
    // The same index by a file that the service does not serve: the command ingests by itself.
    project.write("more.yaml", text);
    let ingest = project.start(&["ingest", "-p", "more.yaml", "-q"]);
    let ingesting = tokio::task::spawn_blocking(move || ended(ingest));
    let mut asked = 0;
    while !ingesting.is_finished() || asked < 20 {
        let (status, hits) = post(&service.at("/api/search"), &json!({"query": "rotate keys", "limit": 3})).await;
        assert_eq!((status, hits["hits"].as_array().map(Vec::len)), (200, Some(3)), "{hits}");
        asked += 1;
    }
    assert_eq!(ingesting.await.unwrap().code, 0);
    let (_, found) = post(&service.at("/api/search"), &json!({"query": "document about number 77", "limit": 1})).await;
    assert_eq!(found["hits"][0]["uri"], json!("more/77.md"), "what was written meanwhile is found");
}
