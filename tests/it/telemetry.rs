//! Traces and metrics, as a real collector gets them; and what becomes of a run whose collector is ill. What `/metrics` says is
//! judged by Prometheus' own tool.

mod collector;

use std::collections::BTreeMap;
use std::io::Write as _;
use std::net::TcpListener;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use self::collector::{Collector, Span, spans};
use crate::project::{Ended, Project, samples};
use crate::service::{Service, client, post};
use crate::stand_in::{Reply, StandIn, openai_embeddings};

/// What must never be told.
const KEY: &str = "sk-telemetry-s3cr3t-0123456789";
const QUESTION: &str = "How do I rotate keys?";
/// The caller's own trace.
const TRACE: &str = "0af7651916cd43dd8448eb211c80319c";
const CALLER: &str = "b7ad6b7169203331";
/// Six steps with three states each, and the one that embeds with seven.
const CLOCKS: usize = 6 * 3 + 7;

/// A project with sample documents, whose vectors and answers a stand-in makes.
fn project(api: &StandIn) -> Project {
    let project = Project::new();
    for name in ["rotating-keys.md", "access-policies.md", "getting-started.md"] {
        project.write(&format!("docs/{name}"), std::fs::read(samples().join("guides").join(name)).unwrap());
    }
    let pipeline = format!(
        "version: 1\nname: docs\nproviders:\n  api: {{ kind: openai, base_url: \"{}\", api_key: {KEY} }}\n\
         sources: [{{ files: {{ paths: [docs] }} }}]\nembed: {{ model: api/vectors }}\n\
         query:\n  retrieve: {{ limit: 3 }}\n  answer: {{ model: api/talker }}\n",
        api.url()
    );
    project.write("docs.yaml", pipeline);
    api.always("/embeddings", |request| openai_embeddings(request, 16));
    api.always("/chat/completions", |_| chat());
    project
}

/// An answer with its tokens.
fn chat() -> Reply {
    let piece = |text: &str| format!("data: {}\n\n", json!({"choices": [{"index": 0, "delta": {"content": text}}]}));
    let end = json!({"choices": [{"index": 0, "delta": {}, "finish_reason": "stop"}]});
    let usage = json!({"choices": [], "usage": {"prompt_tokens": 321, "completion_tokens": 12}});
    Reply::stream(
        [piece("Every "), piece("ninetieth day "), piece("[1]."), format!("data: {end}\n\ndata: {usage}\n\ndata: [DONE]\n\n")],
        Duration::from_millis(5),
    )
}

fn run(project: &Project, arguments: &[&str]) -> Ended {
    tokio::task::block_in_place(|| project.run(arguments))
}

fn start(project: &Project) -> Service {
    tokio::task::block_in_place(|| Service::start(project, &["-p", "docs.yaml"]))
}

fn one<'a>(spans: &'a [Span], name: &str) -> &'a Span {
    let mut named = spans.iter().filter(|span| span.name == name);
    let one = named.next().unwrap_or_else(|| panic!("no {name}: {spans:#?}"));
    assert!(named.next().is_none(), "{name} came twice");
    one
}

#[tokio::test(flavor = "multi_thread")]
async fn a_run_and_a_question_arrive_by_the_names_of_the_conventions() {
    let (api, collector) = (StandIn::start().await, Collector::start());
    let project = project(&api).with("OTEL_EXPORTER_OTLP_ENDPOINT", collector.url()).with("OTEL_SERVICE_NAME", "a-test");
    api.script("/embeddings", [Reply::status(503, &json!({"error": {"message": "not now"}}))]);
    let ran = run(&project, &["ingest", "-p", "docs.yaml"]).expect_code(0);
    assert!(!ran.stderr.contains("warning"), "{}", ran.stderr);
    let said = collector.with(&["Name           : invoke_workflow ingest", "Name: gen_ai.client.embeddings.duration"]);
    assert!(said.contains("service.name: Str(a-test)") && said.contains("gen-ai/0.1.0"));
    let told = spans(&said);
    let ingest = one(&told, "invoke_workflow ingest");
    assert_eq!((ingest.parent.as_str(), ingest.told("ragstream.documents.added")), ("", "Int(3)"));
    assert_eq!((ingest.told("gen_ai.workflow.name"), ingest.told("ragstream.pipeline")), ("Str(ingest)", "Str(docs)"));
    assert!(told.iter().all(|span| span.trace == ingest.trace), "one run is one trace");
    let of = |name: &'static str| told.iter().filter(move |span| span.name == name);
    assert_eq!((of("document").count(), told.iter().filter(|span| span.name.starts_with("stage ")).count()), (3, 5));
    assert!(of("document").all(|span| span.parent == ingest.id && span.told("ragstream.document.uri").contains("docs/")));

    // The attempt that failed and the one that did not are one request.
    let embedded: Vec<&Span> =
        of("embeddings vectors").filter(|span| span.attributes["ragstream.batch.texts"] != "Int(1)").collect();
    let asked = embedded.first().copied().unwrap_or_else(|| of("embeddings vectors").next().unwrap());
    assert_eq!(asked.kind, "SPAN_KIND_CLIENT");
    assert_eq!((asked.told("gen_ai.operation.name"), asked.told("gen_ai.provider.name")), ("Str(embeddings)", "Str(openai)"));
    assert_eq!(asked.told("gen_ai.request.model"), "Str(vectors)");
    assert_eq!((asked.told("server.address"), asked.told("gen_ai.embeddings.dimension.count")), ("Str(127.0.0.1)", "Int(16)"));
    let sent_again: Vec<&Span> =
        of("embeddings vectors").filter(|span| span.attributes.contains_key("http.request.resend_count")).collect();
    assert_eq!((sent_again.len(), sent_again[0].told("http.request.resend_count")), (1, "Int(1)"));
    assert_eq!(of("embeddings vectors").count() + 1, api.requests().len(), "a span a request, attempts apart");
    let batch = of("batch").find(|span| span.id == asked.parent).expect("the batch that was asked for");
    assert_eq!(batch.parent, one(&told, "stage embed").id);
    assert!((1..=3).contains(&batch.links), "{batch:#?}");
    for counted in [
        "ragstream.ingest_documents",
        "ragstream.ingest_chunks",
        "ragstream.provider_requests",
        "ragstream.provider_quota_wait",
    ] {
        assert!(said.contains(&format!("Name: {counted}\n")), "{counted}");
    }
    // Where the time has gone: each step by what it was spent on.
    let clocks = collector.series("ragstream.ingest_stage", CLOCKS);
    let spent = |stage: &str, state: &str| {
        let is = |name: &str, value: &str, labels: &BTreeMap<String, String>| labels[name] == format!("Str({value})");
        let mut found = clocks.iter().filter(|(labels, _)| is("stage", stage, labels) && is("state", state, labels));
        let one = found.next().unwrap_or_else(|| panic!("{stage}, {state}: {clocks:?}")).1;
        assert!(found.next().is_none() && one >= 0.0, "{stage}, {state}: {clocks:?}");
        one
    };
    for step in ["list", "read", "parse", "chunk", "store", "commit"] {
        assert!(["working", "starved", "blocked"].map(|state| spent(step, state)).iter().sum::<f64>() > 0.0, "{clocks:?}");
    }
    // Nobody has told a quota: it begins with 30 requests a second, which these few may come up against.
    assert!(spent("embed", "wire") > 0.0 && spent("embed", "quota") < 0.2, "{clocks:?}");
    for measured in ["gen_ai.client.embeddings.operation.input_tokens", "gen_ai.invoke_workflow.duration"] {
        assert!(said.contains(&format!("Name: {measured}\n")), "{measured}");
    }

    run(&project, &["ask", QUESTION, "-p", "docs.yaml"]).expect_code(0);
    let said = collector.with(&["Name           : invoke_workflow answer", "Name: gen_ai.client.inference.duration"]);
    let told = spans(&said);
    let (answer, retrieval, chat) = (one(&told, "invoke_workflow answer"), one(&told, "retrieval"), one(&told, "chat talker"));
    assert_eq!((&answer.parent, &retrieval.parent, &chat.parent), (&String::new(), &answer.id, &answer.id));
    assert_eq!(
        told.iter().find(|span| span.name == "embeddings vectors" && span.trace == answer.trace).unwrap().parent,
        retrieval.id
    );
    assert_eq!((retrieval.told("gen_ai.retrieval.top_k"), answer.told("ragstream.outcome")), ("Int(3)", "Str(answered)"));
    assert_eq!((chat.told("gen_ai.usage.input_tokens"), chat.told("gen_ai.usage.output_tokens")), ("Int(321)", "Int(12)"));
    assert!(
        chat.told("gen_ai.response.finish_reasons").contains("stop")
            && chat.told("gen_ai.response.time_to_first_chunk").starts_with("Double(")
    );
    assert!(!chat.told("gen_ai.response.finish_reasons").starts_with("Str("), "a list");
    for measured in [
        "gen_ai.client.inference.time_to_first_chunk",
        "gen_ai.client.inference.time_per_output_chunk",
        "gen_ai.client.inference.usage.input_tokens",
        "gen_ai.client.inference.usage.output_tokens",
        "gen_ai.client.inference.operation.input_tokens",
        "gen_ai.client.inference.operation.output_tokens",
        "gen_ai.retrieval.duration",
    ] {
        assert!(said.contains(&format!("Name: {measured}\n")), "{measured}");
    }

    // Neither what was asked and answered, nor what the documents say, nor what opens a door.
    for secret in [KEY, QUESTION, "ninetieth day", "rotate"] {
        assert!(!said.replace("rotating-keys.md", "").contains(secret), "{secret}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_said_is_told_only_on_demand_and_failures_always() {
    let (api, collector) = (StandIn::start().await, Collector::start());
    let project = project(&api)
        .with("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", format!("{}/v1/traces", collector.url()))
        .with("OTEL_INSTRUMENTATION_GENAI_CAPTURE_MESSAGE_CONTENT", "true");
    run(&project, &["ingest", "-p", "docs.yaml", "-q"]).expect_code(0);
    run(&project, &["ask", QUESTION, "-p", "docs.yaml"]).expect_code(0);
    let said = collector.with(&["Name           : invoke_workflow answer"]);
    let told = spans(&said);
    let chat = one(&told, "chat talker");
    assert!(
        chat.told("gen_ai.input.messages").contains(QUESTION) && chat.told("gen_ai.output.messages").contains("ninetieth day")
    );
    assert!(chat.told("gen_ai.system_instructions").contains("content"));
    assert_eq!(one(&told, "retrieval").told("gen_ai.retrieval.query.text"), format!("Str({QUESTION})"));
    assert!(!said.contains("Metric #") && !said.contains(KEY), "metrics were not asked for");

    api.script("/chat/completions", [Reply::status(401, &json!({"error": {"message": "no such key"}}))]);
    run(&project, &["ask", QUESTION, "-p", "docs.yaml"]).expect_code(2);
    let said = collector.with(&["error.type: Str(auth)"]);
    let failed: Vec<Span> = spans(&said).into_iter().filter(|span| span.status == "STATUS_CODE_ERROR").collect();
    let names: Vec<&str> = failed.iter().map(|span| span.name.as_str()).collect();
    assert!(
        names.contains(&"chat talker") && failed.iter().all(|span| span.attributes["error.type"] == "Str(auth)"),
        "{failed:#?}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_service_goes_on_with_the_trace_of_who_asks() {
    let (api, collector) = (StandIn::start().await, Collector::start());
    let project = project(&api);
    run(&project, &["ingest", "-p", "docs.yaml", "-q"]).expect_code(0);
    let project = project.with("OTEL_EXPORTER_OTLP_ENDPOINT", collector.url());
    let service = start(&project);
    let parent = format!("00-{TRACE}-{CALLER}-01");
    let asked = json!({"question": QUESTION});
    let ask = |path: &str, body: &Value| client().post(service.at(path)).header("traceparent", &parent).json(body);
    ask("/api/ask", &asked).send().await.unwrap().text().await.unwrap();
    let chat = json!({"model": "docs", "stream": true, "messages": [{"role": "user", "content": QUESTION}]});
    ask("/v1/chat/completions", &chat).send().await.unwrap().text().await.unwrap();
    let meta = json!({
        "io.modelcontextprotocol/protocolVersion": "2026-07-28", "io.modelcontextprotocol/clientCapabilities": {},
        "traceparent": parent,
    });
    let call = json!({"jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": {
        "name": "search", "arguments": {"query": "rotate keys"}, "_meta": meta,
    }});
    let called = client().post(service.at("/mcp")).header("accept", "application/json, text/event-stream");
    let called =
        called.header("mcp-protocol-version", "2026-07-28").header("mcp-method", "tools/call").header("mcp-name", "search");
    let called = called.json(&call).send().await.unwrap();
    assert_eq!(called.status(), 200, "{}", called.text().await.unwrap());
    // No trace, and one that makes no sense.
    post(&service.at("/api/search"), &json!({"query": "keys"})).await;
    let strange =
        client().post(service.at("/api/search")).header("traceparent", "00-zz-zz-01").json(&json!({"query": "locks"}));
    assert_eq!(strange.send().await.unwrap().status(), 200);
    let (ended, took) = tokio::task::block_in_place(|| service.stop());
    ended.expect_code(0);
    assert!(took < Duration::from_secs(10), "{took:?}");

    let said = collector.with(&[
        "Name           : POST /v1/chat/completions",
        "Name: http.server.request.duration",
        "execute_tool search",
    ]);
    let told = spans(&said);
    let asked = one(&told, "POST /api/ask");
    assert_eq!((asked.trace.as_str(), asked.parent.as_str(), asked.kind.as_str()), (TRACE, CALLER, "SPAN_KIND_SERVER"));
    assert_eq!((asked.told("http.route"), asked.told("http.response.status_code")), ("Str(/api/ask)", "Int(200)"));
    for server in ["POST /api/ask", "POST /v1/chat/completions"] {
        let server = one(&told, server);
        assert_eq!((server.trace.as_str(), server.parent.as_str()), (TRACE, CALLER));
        let answer = told.iter().find(|span| span.name == "invoke_workflow answer" && span.parent == server.id).unwrap();
        assert!(told.iter().any(|span| span.name == "chat talker" && span.parent == answer.id), "{}", server.name);
    }
    let tool = one(&told, "execute_tool search");
    assert_eq!((tool.trace.as_str(), tool.parent.as_str()), (TRACE, CALLER));
    assert!(told.iter().any(|span| span.name == "retrieval" && span.parent == tool.id));
    let own: Vec<&Span> = told.iter().filter(|span| span.name == "POST /api/search").collect();
    assert!(own.len() == 2 && own.iter().all(|span| span.parent.is_empty() && span.trace != TRACE), "{own:#?}");
    assert!(said.contains("Name: ragstream.free_places\n") && !said.contains(QUESTION));
    assert!(collector.series("ragstream.ingest_stage", CLOCKS).iter().all(|(labels, _)| labels.len() == 2));
}

/// What an ingest says with such a collector, and how long it takes.
fn ill(api: &StandIn, collector: &str, more: &[&str]) -> (Ended, Duration) {
    let project = project(api).with("OTEL_EXPORTER_OTLP_ENDPOINT", collector);
    let began = Instant::now();
    let ended = run(&project, &[&["ingest", "-p", "docs.yaml"], more].concat()).expect_code(0);
    (ended, began.elapsed())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_collector_that_is_not_there_fails_nothing_and_is_spoken_of_once() {
    let api = StandIn::start().await;
    let nobody = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let (ended, took) = ill(&api, &format!("http://user:p4ssw0rd@{nobody}"), &[]);
    let lost: Vec<&str> = ended.stderr.lines().filter(|line| line.contains("did not reach the collector")).collect();
    assert_eq!(lost.len(), 1, "{}", ended.stderr);
    let words: Vec<&str> = lost[0].split(' ').collect();
    assert!(lost[0].contains("spans and 1 of 1 export of metrics") && words[1] == words[3], "all of them: {}", lost[0]);
    assert!(!ended.stderr.contains("p4ssw0rd") && took < Duration::from_secs(20), "{took:?} {}", ended.stderr);
    let (quiet, _) = ill(&api, &format!("http://{nobody}"), &["-q"]);
    assert_eq!(quiet.stderr, "");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_collector_that_never_answers_or_refuses_is_left_behind_in_seconds() {
    let (api, collector) = (StandIn::start().await, StandIn::start().await);
    for path in ["/v1/traces", "/v1/metrics"] {
        collector.always(path, |_| Reply::hang());
    }
    let (ended, took) = ill(&api, collector.url(), &["--json"]);
    assert!(ended.stderr.contains("did not reach the collector"), "{}", ended.stderr);
    let own = Duration::from_secs_f64(ended.last("summary")["seconds"].as_f64().unwrap());
    assert!(took < own + Duration::from_secs(10), "five seconds of patience: {took:?} for a run of {own:?}");
    assert!(collector.requests().iter().any(|request| request.path == "/v1/traces"));

    for path in ["/v1/traces", "/v1/metrics"] {
        collector.always(path, |_| Reply::status(503, &json!({})));
    }
    let (ended, _) = ill(&api, collector.url(), &[]);
    assert!(ended.stderr.contains("HTTP 503"), "{}", ended.stderr);

    // What cannot be had is said, and nothing is sent in another way.
    let before = collector.requests().len();
    let project =
        project(&api).with("OTEL_EXPORTER_OTLP_ENDPOINT", collector.url()).with("OTEL_EXPORTER_OTLP_PROTOCOL", "grpc");
    let ended = run(&project, &["ingest", "-p", "docs.yaml"]).expect_code(0);
    assert!(ended.stderr.contains("OTEL_EXPORTER_OTLP_PROTOCOL=grpc"), "{}", ended.stderr);
    assert_eq!(collector.requests().len(), before);
}

#[tokio::test(flavor = "multi_thread")]
async fn prometheus_finds_no_fault_with_what_is_counted() {
    let api = StandIn::start().await;
    let project = project(&api);
    run(&project, &["ingest", "-p", "docs.yaml", "-q"]).expect_code(0);
    let service = start(&project);
    post(&service.at("/api/search"), &json!({"query": "keys"})).await;
    post(&service.at("/api/ask"), &json!({"question": QUESTION, "stream": false})).await;
    let text = client().get(service.at("/metrics")).send().await.unwrap().text().await.unwrap();
    assert!(text.contains("ragstream_provider_quota_wait_seconds_total{provider=\"docs/api\"}"), "{text}");
    let open = client().get(service.at("/metrics")).header("accept", "application/openmetrics-text; version=1.0.0, */*;q=0.1");
    let open = open.send().await.unwrap();
    assert!(open.headers()["content-type"].to_str().unwrap().starts_with("application/openmetrics-text"));
    assert!(open.text().await.unwrap().ends_with("# EOF\n"));
    expect_sound(&text);
}

/// Prometheus has no fault to find with these metrics.
pub fn expect_sound(text: &str) {
    let mut promtool = Command::new("promtool");
    let promtool = promtool.args(["check", "metrics"]).stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut promtool = promtool.spawn().expect("promtool, of Debian's package prometheus: scripts/test installs it");
    promtool.stdin.take().unwrap().write_all(text.as_bytes()).unwrap();
    let judged = promtool.wait_with_output().unwrap();
    let said = format!("{}{}", String::from_utf8_lossy(&judged.stdout), String::from_utf8_lossy(&judged.stderr));
    assert!(judged.status.success() && said.trim().is_empty(), "{said}\n{text}");
}
