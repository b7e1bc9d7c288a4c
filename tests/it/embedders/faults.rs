//! Everything that goes wrong between us and a provider.

use super::*;

/// What comes of one request when the API answers this first, and then well.
async fn after(reply: Reply) -> (Result<Vec<Vec<f32>>, ProviderError>, usize) {
    let (api, _providers, embedder) = api(Setup { timeout: Duration::from_millis(400), ..Setup::default() }).await;
    api.script(EMBEDDINGS, [reply]);
    let result = embed(&embedder, &["x"]).await;
    (result, api.requests().len())
}

fn refusal(code: &str) -> Value {
    json!({"error": {"message": "their own words", "type": code, "code": code}})
}

/// Keeps the waits of retries short.
fn soon(reply: Reply) -> Reply {
    reply.header("retry-after-ms", 5)
}

#[tokio::test]
async fn what_may_pass_is_retried() {
    let good = json!({"data": [{"index": 0, "embedding": [1, 0, 0, 0, 0, 0, 0, 0]}]}).to_string();
    let replies = [
        soon(Reply::status(429, &refusal("rate_limit_exceeded"))),
        soon(Reply::status(503, &refusal("slow_down"))),
        soon(Reply::status(503, &refusal("server_is_overloaded"))),
        soon(Reply::status(500, &json!({}))),
        soon(Reply::status(502, &json!("<html>Bad Gateway</html>"))),
        soon(Reply::status(504, &json!({}))),
        soon(Reply::status(529, &json!({"type": "error", "error": {"type": "overloaded_error", "message": "Overloaded"}}))),
        soon(Reply::status(408, &json!({}))),
        soon(Reply::status(409, &json!({}))),
        soon(Reply::status(400, &json!({})).header("x-should-retry", "true")),
        Reply::raw(200, "application/json", good).cut(20),
        Reply::json(&json!({"error": {"code": 502, "message": "Provider returned error"}})),
        Reply::hang(),
        Reply::json(&json!({"data": []})).stall(3),
    ];
    let mut tasks = JoinSet::new();
    for reply in replies {
        tasks.spawn(async move {
            let (result, requests) = after(reply.clone()).await;
            assert!(result.is_ok(), "{reply:?}: {result:?}");
            assert_eq!(requests, 2, "{reply:?}");
        });
    }
    while let Some(done) = tasks.join_next().await {
        done.unwrap();
    }
}

#[tokio::test]
async fn what_is_final_is_not_retried() {
    use ErrorKind::{Auth, InvalidInput, NotFound, QuotaSpent, RateLimited, Unavailable};
    let spent = [
        "insufficient_quota",
        "credit_balance_exhausted",
        "organization_spend_limit_exceeded",
        "project_spend_limit_exceeded",
        "organization_usage_limit_exceeded",
    ];
    let llama = json!({"error": {"code": 500, "type": "server_error",
        "message": "input is too large to process. increase the physical batch size"}});
    let mut table: Vec<(Reply, ErrorKind, &str)> =
        spent.iter().map(|code| (Reply::status(429, &refusal(code)), QuotaSpent, "their own words")).collect();
    table.extend([
        (Reply::status(401, &refusal("invalid_api_key")), Auth, "their own words"),
        (Reply::status(403, &json!({})), Auth, "403 Forbidden"),
        (Reply::status(402, &json!({})), QuotaSpent, "402"),
        (Reply::status(404, &refusal("model_not_found")), NotFound, "their own words"),
        (Reply::status(400, &refusal("invalid_request_error")), InvalidInput, "their own words"),
        (Reply::status(413, &json!({})), InvalidInput, "413"),
        (Reply::status(422, &json!({"detail": [{"loc": ["body"], "msg": "no list"}]})), InvalidInput, "no list"),
        (Reply::status(500, &llama), InvalidInput, "too large"),
        (Reply::status(503, &json!({})).header("x-should-retry", "false"), Unavailable, "503"),
        (Reply::status(429, &refusal("rate_limit_exceeded")).header("retry-after", 3600), RateLimited, "their own words"),
        (Reply::status(307, &json!({})).header("location", "http://elsewhere.example/"), NotFound, "elsewhere.example"),
        (
            Reply::raw(200, "text/html; charset=utf-8", "\u{feff}\n<!doctype html><title>登录</title>"),
            NotFound,
            "a web page (text/html",
        ),
        (
            Reply::raw(200, "application/xhtml+xml", "<?xml version=\"1.0\"?><html/>"),
            NotFound,
            "a web page (application/xhtml+xml)",
        ),
        (Reply::json(&json!({"error": {"code": 402, "message": "Insufficient credits"}})), QuotaSpent, "Insufficient credits"),
        (Reply::json(&json!({"data": [{"embedding": [0, 0, 0, 0, 0, 0, 0, 0]}]})), InvalidInput, "all zero"),
        (Reply::json(&json!({"data": [{"embedding": [1, 0, 0, null, 0, 0, 0, 0]}]})), InvalidInput, "not finite"),
        (
            Reply::json(&json!({"data": [{"embedding": "AADAfwAAwH8AAMB/AADAfwAAwH8AAMB/AADAfwAAwH8="}]})),
            InvalidInput,
            "not finite",
        ),
    ]);
    for (reply, kind, words) in table {
        let (result, requests) = after(reply.clone()).await;
        let error = result.unwrap_err();
        assert_eq!(error.kind, kind, "{reply:?}: {error}");
        assert!(error.message.contains(words), "{error}");
        assert_eq!(requests, 1, "{reply:?}");
        assert_eq!(error.attempts, 1);
    }
}

#[tokio::test]
async fn json_is_read_whatever_it_says_that_it_is() {
    let good = json!({"data": [{"index": 0, "embedding": [1, 0, 0, 0, 0, 0, 0, 0]}]}).to_string();
    for content_type in ["text/html", "text/plain", "application/octet-stream", ""] {
        let (result, requests) = after(Reply::raw(200, content_type, good.clone())).await;
        assert!(result.is_ok() && requests == 1, "{content_type}: {result:?}");
    }
    let (result, _) = after(Reply::raw(200, "text/html", "<html>")).await;
    let hint = result.unwrap_err().hint.unwrap();
    assert!(hint.contains("check `base_url` of the provider"), "{hint}");
}

/// Answers that make no sense, and how that is said.
fn senseless() -> [(Reply, &'static str); 5] {
    let vector = |wide: usize| json!({"index": 0, "embedding": vec![1.0; wide]});
    [
        (Reply::json(&json!({"data": []})), "0 vectors came for 1 inputs"),
        (Reply::json(&json!({"data": [vector(8), vector(8)]})), "2 vectors came for 1 inputs"),
        (Reply::json(&json!({"data": [{"index": 1, "embedding": [1, 0, 0, 0, 0, 0, 0, 0]}]})), "index 1 came"),
        (Reply::json(&json!({"data": [vector(7)]})), "7 wide, not 8 as `embed.dimensions` asks"),
        (Reply::json(&json!({"data": KEY})), "cannot read"),
    ]
}

#[tokio::test]
async fn an_answer_that_makes_no_sense_is_asked_for_again_and_paid_for_thrice_at_most() {
    let mut tasks = JoinSet::new();
    for (reply, words) in senseless() {
        tasks.spawn(async move {
            let retry = RetryPlan { attempts: 6, ..RetryPlan::default() };
            let (api, providers, embedder) = api(Setup { retry, ..Setup::default() }).await;
            api.script(EMBEDDINGS, [reply.clone(), reply.clone()]);
            embed(&embedder, &["a glitch"]).await.unwrap();
            let stats = providers.stats()["them"];
            assert_eq!((stats.requests, stats.retries), (3, 2), "{words}");
            assert!(stats.wasted > 0, "it is on the bill");

            api.always(EMBEDDINGS, move |_| reply.clone());
            let error = embed(&embedder, &["for good"]).await.unwrap_err();
            assert_eq!((error.kind, error.attempts), (ErrorKind::BadAnswer, 3), "{error}");
            assert!(error.message.contains(words), "{error}");
            assert_eq!(api.requests().len(), 6);
        });
    }
    tasks.join_all().await;
}

#[tokio::test]
async fn a_model_that_makes_nothing_of_anything_is_broken_and_not_its_inputs() {
    let (api, _providers, embedder) = api(Setup::default()).await;
    let zeros = |request: &Request| {
        let inputs = request.body["input"].as_array().unwrap().len();
        let items: Vec<_> = (0..inputs).map(|index| json!({"index": index, "embedding": [0, 0, 0, 0, 0, 0, 0, 0]})).collect();
        Reply::json(&json!({"data": items}))
    };
    api.always(EMBEDDINGS, zeros);
    let many: Vec<String> = (0..8).map(|n| n.to_string()).collect();
    let kind = async |inputs: &[String]| embedder.embed(inputs, InputType::Passage).await.unwrap_err().kind;
    assert_eq!(kind(&many).await, ErrorKind::BadAnswer);
    assert_eq!(kind(&many[..7]).await, ErrorKind::InvalidInput);
}

#[tokio::test]
async fn it_gives_up_and_says_how_often_it_tried() {
    let (api, providers, embedder) = api(Setup::default()).await;
    api.always(EMBEDDINGS, |_| soon(Reply::status(429, &refusal("rate_limit_exceeded"))));
    let error = embed(&embedder, &["x"]).await.unwrap_err();
    assert_eq!((error.kind, error.status, error.attempts), (ErrorKind::RateLimited, Some(429), 3));
    assert!(error.waited >= Duration::from_millis(10));
    assert!(error.to_string().contains("gave up after 3 attempts"), "{error}");
    let stats = providers.stats()["them"];
    assert_eq!((stats.requests, stats.retries, stats.throttled, stats.tokens), (3, 2, 3, 0), "nobody bills what was refused");
}

#[tokio::test]
async fn hang_is_a_timeout_and_a_cut_body_a_network_error() {
    let once = RetryPlan { attempts: 1, ..RetryPlan::default() };
    let (api, _providers, embedder) = api(Setup { timeout: Duration::from_millis(100), retry: once, ..Setup::default() }).await;
    api.script(EMBEDDINGS, [Reply::hang(), Reply::json(&json!({"data": []})).cut(4)]);
    let error = embed(&embedder, &["x"]).await.unwrap_err();
    assert_eq!(error.kind, ErrorKind::Timeout);
    assert!(error.hint.unwrap().contains("timeout"));
    let error = embed(&embedder, &["x"]).await.unwrap_err();
    assert_eq!(error.kind, ErrorKind::Network);
    assert!(error.message.contains("before the answer was complete"), "{error}");
}

#[tokio::test]
async fn nobody_there_is_told_soon() {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    drop(listener);
    let (_providers, embedder) = Setup::default().embedder(&url).await;
    let error = embed(&embedder, &["x"]).await.unwrap_err();
    assert_eq!((error.kind, error.attempts), (ErrorKind::Network, 2));
    assert!(error.message.contains(&format!("cannot connect to {url}")), "{error}");
    assert!(error.hint.is_some() && error.source.is_some());
}

#[tokio::test]
async fn one_retry_after_holds_all_who_ask() {
    let (api, providers, embedder) = api(Setup::default()).await;
    let pause = Duration::from_millis(300);
    api.script(EMBEDDINGS, [Reply::status(429, &refusal("rate_limit_exceeded")).header("retry-after", "0.3")]);
    let first = tokio::spawn({
        let embedder = embedder.clone();
        async move { embed(&embedder, &["first"]).await.unwrap() }
    });
    while providers.stats()["them"].throttled == 0 {
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
    let mut tasks = JoinSet::new();
    for _ in 0..10 {
        let embedder = embedder.clone();
        tasks.spawn(async move { embed(&embedder, &["more"]).await.unwrap() });
    }
    tasks.join_all().await;
    first.await.unwrap();
    let requests = api.requests();
    assert_eq!(requests.len(), 12);
    let refused = requests[0].at;
    assert!(requests[1..].iter().all(|request| request.at - refused >= pause), "nobody asks during the pause");
    assert_eq!(requests[1].body["input"][0], "first", "who was refused goes first");
    assert_eq!(providers.stats()["them"].throttled, 1);
}

#[tokio::test]
async fn requests_in_flight_keep_to_the_plan_and_come_free_when_dropped() {
    let limits = Limits { concurrency: Some(2), ..Limits::default() };
    let (api, _providers, embedder) = api(Setup { limits, ..Setup::default() }).await;
    api.always(EMBEDDINGS, |request| openai_embeddings(request, 8).after(Duration::from_millis(30)));
    api.script(EMBEDDINGS, [Reply::hang(), Reply::hang()]);
    let hanging: Vec<_> = (0..2)
        .map(|_| {
            let embedder = embedder.clone();
            tokio::spawn(async move { embed(&embedder, &["hangs"]).await })
        })
        .collect();
    while api.requests().len() < 2 {
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
    for task in hanging {
        task.abort();
        assert!(task.await.unwrap_err().is_cancelled());
    }
    let mut tasks = JoinSet::new();
    for _ in 0..8 {
        let embedder = embedder.clone();
        tasks.spawn(async move { embed(&embedder, &["x"]).await.unwrap() });
    }
    tasks.join_all().await;
    while api.in_flight() > 0 {
        // The server notices soon that the two were given up.
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
    assert_eq!(api.requests().len(), 10);
}

#[tokio::test]
async fn the_key_is_in_no_error_and_no_debug_output() {
    let (api, providers, embedder) = api(Setup::default()).await;
    assert!(!format!("{embedder:?} {providers:?}").contains(KEY));
    let echo = json!({"error": {"message": format!("Incorrect API key provided: {KEY}. You sent Bearer {KEY}."), "code": KEY}});
    let replies = [
        Reply::status(401, &echo),
        Reply::status(400, &json!(format!("plain text with {KEY}"))),
        Reply::status(302, &json!({})).header("location", format!("http://other.example/?key={KEY}")),
        Reply::json(&json!({"error": {"message": format!("no credit on {KEY}"), "code": 402}})),
        Reply::json(&json!({"data": KEY})),
    ];
    for reply in replies {
        api.script(EMBEDDINGS, [reply.clone(), reply.clone(), reply]);
        let error = embed(&embedder, &["x"]).await.unwrap_err();
        let shown = format!("{error} {error:?} {:?}", error.hint);
        assert!(!shown.contains(KEY), "{shown}");
        assert!(shown.contains("***"), "{shown}");
    }
}

#[tokio::test]
async fn a_server_that_works_on_after_a_timeout_is_left_alone_for_as_long() {
    for (server, least) in [("nginx", 0), ("llama.cpp", 1900)] {
        let (api, _providers, embedder) = api(Setup { timeout: Duration::from_secs(1), ..Setup::default() }).await;
        let good = move |request: &Request| openai_embeddings(request, 8).header("server", server);
        api.always(EMBEDDINGS, good);
        embed(&embedder, &["it says who it is"]).await.unwrap();
        api.script(EMBEDDINGS, [Reply::hang()]);
        embed(&embedder, &["it is slow"]).await.unwrap();
        let requests = api.requests();
        assert_eq!(requests.len(), 3);
        let waited = (requests[2].at - requests[1].at).as_millis();
        assert!(waited >= least && (least > 0 || waited < 1800), "{server}: {waited} ms");
    }
}

#[tokio::test]
async fn a_width_that_the_server_does_not_know_is_not_asked_for_where_it_is_the_models_own() {
    let refusing = |request: &Request| {
        if request.body.get("dimensions").is_some() {
            let words =
                "Model \"m\" does not support matryoshka representation, changing output dimensions will lead to poor results.";
            return Reply::status(400, &json!({"object": "error", "message": words, "type": "BadRequestError", "code": 400}));
        }
        openai_embeddings(request, 8)
    };
    let (api, _providers, embedder) = api(Setup::default()).await;
    api.always(EMBEDDINGS, refusing);
    for text in ["a", "b"] {
        assert_eq!(embed(&embedder, &[text]).await.unwrap()[0].len(), 8);
    }
    assert_eq!(api.requests().len(), 3, "it is refused once");

    // Of another width nothing can be made, whatever the text: the run ends.
    let (other, _providers, embedder) = self::api(Setup::default()).await;
    other.always(EMBEDDINGS, move |request| {
        if request.body.get("dimensions").is_some() { refusing(request) } else { openai_embeddings(request, 5) }
    });
    let error = embed(&embedder, &["a"]).await.unwrap_err();
    assert!(error.is_fatal() && error.message.contains("matryoshka"), "{error}");
    assert!(error.hint.unwrap().contains("embed.dimensions"));
}

#[tokio::test]
async fn a_pause_that_only_the_words_ask_for_is_kept() {
    let (api, _providers, embedder) = api(Setup::default()).await;
    api.script(
        EMBEDDINGS,
        [Reply::status(429, &json!({"error": {"message": "Rate limit reached. Please try again in 1.2s."}}))],
    );
    api.always(EMBEDDINGS, |request| openai_embeddings(request, 8));
    embed(&embedder, &["a"]).await.unwrap();
    let requests = api.requests();
    let waited = (requests[1].at - requests[0].at).as_millis();
    assert!((1150..3000).contains(&waited), "{waited}");
}
