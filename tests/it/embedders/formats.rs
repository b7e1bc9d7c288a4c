//! What is sent to each vendor, and what is read from its answers.

use super::*;

/// One request to a vendor of this kind that answers `reply`: what was sent, what was read.
async fn exchange(setup: Setup, path: &str, kind: InputType, reply: Value) -> (Request, Vec<Vec<f32>>, Option<u64>) {
    let api = StandIn::start().await;
    api.script(path, [Reply::json(&reply)]);
    let (_providers, embedder) = setup.embedder(api.url()).await;
    let answer = embedder.embed(&texts(&["a", "b"]), kind).await.unwrap();
    (api.requests().remove(0), answer.vectors, answer.tokens)
}

#[tokio::test]
async fn openai() {
    let (api, providers, embedder) = api(Setup::default()).await;
    assert_eq!(embed(&embedder, &["eins", "zwei"]).await.unwrap(), [bag_of_words("eins", 8), bag_of_words("zwei", 8)]);
    let request = api.requests().remove(0);
    assert_eq!(
        request.body,
        json!({"model": "some-model", "input": ["eins", "zwei"], "encoding_format": "base64", "dimensions": 8})
    );
    assert_eq!(request.headers["authorization"], format!("Bearer {KEY}"));
    assert_eq!(request.headers["content-type"], "application/json");
    assert!(request.headers["user-agent"].to_str().unwrap().starts_with("ragstream/"));
    assert_eq!(embedder.model(), "them/some-model");
    let address = api.url().replace("http://127.0.0.1", "localhost");
    assert_eq!(
        embedder.fingerprint().to_string(),
        format!("openai/some-model/8 at {address}/v1"),
        "not what the vendor's would be"
    );
    let stats = providers.stats()["them"];
    assert_eq!((stats.requests, stats.tokens, stats.retries), (1, 2, 0));
}

#[tokio::test]
async fn a_server_that_knows_no_base64_is_asked_for_numbers() {
    let api = StandIn::start().await;
    api.always(EMBEDDINGS, |request| {
        if request.body.get("encoding_format").is_some() {
            Reply::status(
                422,
                &json!({"detail": [{"loc": ["body", "encoding_format"], "msg": "encoding_format must be float"}]}),
            )
        } else {
            openai_embeddings(request, 8)
        }
    });
    let (_providers, embedder) = Setup::default().embedder(api.url()).await;
    assert_eq!(embed(&embedder, &["eins"]).await.unwrap(), [bag_of_words("eins", 8)]);
    embed(&embedder, &["zwei"]).await.unwrap();
    assert_eq!(api.requests().len(), 3, "and it is remembered");
}

#[tokio::test]
async fn gemini_is_normalised_when_reduced() {
    let setup = || Setup {
        kind: ProviderKind::Gemini,
        path: "/v1beta",
        model: "gemini-embedding-001",
        dimensions: Some(2),
        ..Setup::default()
    };
    let path = "/v1beta/models/gemini-embedding-001:batchEmbedContents";
    let reply = json!({"embeddings": [{"values": [3, 4]}, {"values": [0, 2]}]});
    let (request, vectors, tokens) = exchange(setup(), path, InputType::Passage, reply).await;
    assert_eq!(vectors, [[0.6, 0.8], [0.0, 1.0]]);
    assert_eq!(tokens, None);
    assert_eq!(request.headers["x-goog-api-key"], KEY);
    assert!(!request.path.contains(KEY));
    assert_eq!(
        request.body["requests"][1],
        json!({"model": "models/gemini-embedding-001", "content": {"parts": [{"text": "b"}]}, "taskType": "RETRIEVAL_DOCUMENT",
               "outputDimensionality": 2})
    );
    let full = Setup { dimensions: None, path: "", ..setup() };
    let reply = json!({"embeddings": [{"values": [3, 4]}, {"values": [0, 2]}]});
    let (request, vectors, _) = exchange(full, path, InputType::Query, reply).await;
    assert_eq!(vectors, [[3.0, 4.0], [0.0, 2.0]]);
    assert_eq!(request.body["requests"][0]["taskType"], "RETRIEVAL_QUERY");
}

#[tokio::test]
async fn geminis_second_model_is_told_in_the_text_what_it_is() {
    for (kind, before) in [(InputType::Query, "task: search result | query: "), (InputType::Passage, "title: none | text: ")] {
        let setup = Setup {
            kind: ProviderKind::Gemini,
            path: "/v1beta",
            model: "gemini-embedding-2",
            dimensions: None,
            ..Setup::default()
        };
        let path = "/v1beta/models/gemini-embedding-2:batchEmbedContents";
        let reply = json!({"embeddings": [{"values": [3, 4]}, {"values": [0, 2]}]});
        let (request, ..) = exchange(setup, path, kind, reply).await;
        let text = format!("{before}b");
        assert_eq!(
            request.body["requests"][1],
            json!({"model": "models/gemini-embedding-2", "content": {"parts": [{"text": text}]}})
        );
    }
}

#[tokio::test]
async fn ollama_never_truncates() {
    let setup = Setup { kind: ProviderKind::Ollama, path: "", model: "nomic-embed-text", dimensions: None, ..Setup::default() };
    let reply = json!({"embeddings": [[1.0, 0.5], [0.5, 1.0]], "prompt_eval_count": 4});
    let (request, vectors, tokens) = exchange(setup, "/api/embed", InputType::Query, reply).await;
    assert_eq!(vectors, [[1.0, 0.5], [0.5, 1.0]]);
    assert_eq!(tokens, Some(4));
    assert_eq!(
        request.body,
        json!({"model": "nomic-embed-text", "input": ["search_query: a", "search_query: b"], "truncate": false})
    );
}

#[tokio::test]
async fn cohere() {
    let setup = Setup { kind: ProviderKind::Cohere, path: "", model: "embed-v4.0", dimensions: Some(2), ..Setup::default() };
    let reply = json!({"id": "x", "embeddings": {"float": [[1, 0], [0, 1]]}, "meta": {"billed_units": {"input_tokens": 9.0}}});
    let (request, vectors, tokens) = exchange(setup, "/v2/embed", InputType::Query, reply).await;
    assert_eq!(vectors, [[1.0, 0.0], [0.0, 1.0]]);
    assert_eq!(tokens, Some(9));
    assert_eq!(
        request.body,
        json!({"model": "embed-v4.0", "texts": ["a", "b"], "input_type": "search_query", "embedding_types": ["float"],
               "truncate": "NONE", "output_dimension": 2})
    );
}

#[tokio::test]
async fn jina() {
    let setup = |model| Setup { kind: ProviderKind::Jina, model, dimensions: Some(2), ..Setup::default() };
    let reply =
        json!({"data": [{"index": 1, "embedding": [0, 1]}, {"index": 0, "embedding": [1, 0]}], "usage": {"total_tokens": 5}});
    let (request, vectors, tokens) = exchange(setup("jina-embeddings-v3"), EMBEDDINGS, InputType::Query, reply.clone()).await;
    assert_eq!((vectors, tokens), (vec![vec![1.0, 0.0], vec![0.0, 1.0]], Some(5)));
    assert_eq!(
        request.body,
        json!({"model": "jina-embeddings-v3", "input": ["a", "b"], "embedding_type": "float", "truncate": false,
               "task": "retrieval.query", "dimensions": 2})
    );
    let (request, ..) = exchange(setup("jina-embeddings-v4"), EMBEDDINGS, InputType::Passage, reply.clone()).await;
    assert_eq!(request.body["task"], "retrieval.passage");
    let (request, ..) = exchange(setup("jina-embeddings-v2-base-en"), EMBEDDINGS, InputType::Passage, reply).await;
    assert_eq!(request.body["task"], json!(null));
}

#[tokio::test]
async fn mistral() {
    let setup = |dimensions| Setup { kind: ProviderKind::Mistral, model: "codestral-embed", dimensions, ..Setup::default() };
    let reply = json!({"id": "x", "object": "list", "model": "codestral-embed", "usage": {"prompt_tokens": 6, "total_tokens": 6, "completion_tokens": 0},
                       "data": [{"object": "embedding", "index": 0, "embedding": [3, 4]}, {"object": "embedding", "index": 1, "embedding": [0, 2]}]});
    let (request, vectors, tokens) = exchange(setup(Some(2)), EMBEDDINGS, InputType::Passage, reply.clone()).await;
    assert_eq!((vectors, tokens), (vec![vec![0.6, 0.8], vec![0.0, 1.0]], Some(6)), "of length 1 though reduced");
    assert_eq!(request.body, json!({"model": "codestral-embed", "input": ["a", "b"], "output_dimension": 2}));
    assert_eq!(request.headers["authorization"], format!("Bearer {KEY}"));
    let (request, vectors, _) = exchange(setup(None), EMBEDDINGS, InputType::Query, reply).await;
    assert_eq!(vectors, [[3.0, 4.0], [0.0, 2.0]]);
    assert_eq!(request.body, json!({"model": "codestral-embed", "input": ["a", "b"]}));
}

#[tokio::test]
async fn mistrals_refusals_and_limits_are_understood() {
    let refusal = |code: &str, message: &str, kind: &str| json!({"object": "error", "message": message, "type": kind, "param": null, "code": code});
    let api = StandIn::start().await;
    let too_large = refusal("3210", "Too many tokens overall, split into more batches.", "invalid_request_prompt");
    let throttled = refusal("1300", "Rate limit exceeded", "rate_limited");
    let reply = json!({"data": [{"index": 0, "embedding": [1, 0]}], "usage": {"prompt_tokens": 1}});
    let answer =
        Reply::json(&reply).header("x-ratelimit-limit-req-minute", 60).header("x-ratelimit-limit-tokens-minute", 500_000);
    let throttled = Reply::status(429, &throttled).header("retry-after-ms", 1);
    api.script(EMBEDDINGS, [Reply::status(400, &too_large), throttled, answer]);
    let setup = Setup { kind: ProviderKind::Mistral, model: "mistral-embed", dimensions: None, ..Setup::default() };
    let (_providers, embedder) = setup.embedder(api.url()).await;
    assert_eq!(embedder.limits().items, 512);
    let error = embed(&embedder, &["a"]).await.unwrap_err();
    assert_eq!(
        (error.kind, error.message.as_str()),
        (ErrorKind::InvalidInput, "Too many tokens overall, split into more batches.")
    );
    assert_eq!(embed(&embedder, &["a"]).await.unwrap(), [[1.0, 0.0]]);
    assert_eq!(embedder.limits().tokens, 10_416, "of the tokens a minute, as much as 48 of the 60 requests need");
}

#[tokio::test]
async fn voyage() {
    let setup = Setup { kind: ProviderKind::Voyage, model: "voyage-3.5", dimensions: Some(2), ..Setup::default() };
    let reply =
        json!({"data": [{"index": 0, "embedding": [1, 0]}, {"index": 1, "embedding": [0, 1]}], "usage": {"total_tokens": 5}});
    let (request, vectors, tokens) = exchange(setup, EMBEDDINGS, InputType::Passage, reply).await;
    assert_eq!(vectors, [[1.0, 0.0], [0.0, 1.0]]);
    assert_eq!(tokens, Some(5));
    assert_eq!(
        request.body,
        json!({"model": "voyage-3.5", "input": ["a", "b"], "input_type": "document", "truncation": false,
               "encoding_format": "base64", "output_dimension": 2})
    );
}

#[tokio::test]
async fn an_unknown_width_is_asked_for_once() {
    let (api, _providers, embedder) = api(Setup { dimensions: None, ..Setup::default() }).await;
    let mut tasks = JoinSet::new();
    for _ in 0..5 {
        let embedder = embedder.clone();
        tasks.spawn(async move { embedder.dimensions().await.unwrap() });
    }
    while let Some(width) = tasks.join_next().await {
        assert_eq!(width.unwrap(), 8);
    }
    embed(&embedder, &["x"]).await.unwrap();
    assert_eq!(api.requests().len(), 2);
    assert!(embedder.fingerprint().as_str().starts_with("openai/some-model/own at "));
}

#[tokio::test]
async fn what_is_embedded_first_tells_the_width_too() {
    let (api, _providers, embedder) = api(Setup { dimensions: None, ..Setup::default() }).await;
    embed(&embedder, &["x"]).await.unwrap();
    assert_eq!(embedder.dimensions().await.unwrap(), 8);
    assert_eq!(api.requests().len(), 1);
    api.always(EMBEDDINGS, |request| openai_embeddings(request, 16));
    let error = embed(&embedder, &["x"]).await.unwrap_err();
    assert_eq!(error.kind, ErrorKind::BadAnswer);
    assert!(error.message.contains("16 wide, not 8"), "{error}");
}

#[tokio::test]
async fn batches_fit_the_plan_the_vendor_and_the_quota() {
    let limits = |setup: Setup, batch: Option<usize>| async move {
        let embed = EmbedPlan { batch_items: batch.and_then(NonZeroUsize::new), ..setup.embed() };
        setup.providers("http://localhost:1").embedder(&embed).await.unwrap().limits()
    };
    assert_eq!(limits(Setup::default(), None).await.items, 128);
    assert_eq!(limits(Setup::default(), Some(512)).await.items, 512);
    assert_eq!(limits(Setup::default(), Some(1_000_000)).await.items, 2048);
    let cohere = Setup { kind: ProviderKind::Cohere, ..Setup::default() };
    assert_eq!(limits(cohere, Some(512)).await.items, 96);
    let quota = Setup { limits: Limits { rpm: None, tpm: Some(500_000), concurrency: None }, ..Setup::default() };
    assert_eq!(limits(quota, None).await.tokens, 5000);
}

#[tokio::test]
async fn wrong_pairings_say_what_to_do() {
    let setup = Setup { kind: ProviderKind::Anthropic, ..Setup::default() };
    let providers = setup.providers("http://localhost:1");
    let error = providers.embedder(&setup.embed()).await.unwrap_err();
    assert!(error.is_fatal());
    assert!(error.hint.unwrap().contains("embed.model"));
    let model = ModelRef { provider: "nobody".into(), model: "m".into() };
    assert_eq!(providers.chat_model(&model).unwrap_err().kind, ErrorKind::NotFound);
    let voyage = Setup { kind: ProviderKind::Voyage, ..Setup::default() }.providers("http://localhost:1");
    let model = ModelRef { provider: "them".into(), model: "m".into() };
    assert!(voyage.chat_model(&model).unwrap_err().hint.unwrap().contains("query.answer.model"));
    assert!(providers.chat_model(&model).is_ok());
}

#[tokio::test]
async fn everything_of_a_run_goes_through_one_connection() {
    let (_api, providers, first) = api(Setup::default()).await;
    let second = providers.embedder(&EmbedPlan { dimensions: None, ..Setup::default().embed() }).await.unwrap();
    embed(&first, &["x"]).await.unwrap();
    embed(&second, &["x"]).await.unwrap();
    assert_eq!(providers.stats()["them"].requests, 2);
}
