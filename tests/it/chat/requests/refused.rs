//! Parameters that a model refuses: given up for good, and by those that wait behind the one that was refused.

use super::*;

fn refusal_of(parameter: &str) -> Response {
    let message = format!("Unsupported parameter: '{parameter}' is not supported with this model.");
    refused(400, &json!({"error": {"message": message, "type": "invalid_request_error", "code": "unsupported_parameter"}}))
}

#[tokio::test]
async fn openai_gives_up_the_parameters_that_are_refused_and_remembers_it() {
    let refusals = ["max_tokens", "temperature", "stream_options"].map(refusal_of);
    let server = Server::start(refusals.into_iter().chain([streamed(OPENAI), streamed(OPENAI)])).await;
    let model = model(ProviderKind::OpenAi, &server.url, "m");
    ask(&model, question()).await;
    ask(&model, question()).await;

    let requests = server.requests();
    let named = |at: usize, name: &str| requests[at].body.get(name).is_some();
    let sent: Vec<_> = (0..requests.len())
        .map(|at| ["max_tokens", "max_completion_tokens", "temperature", "stream_options"].map(|name| named(at, name)))
        .collect();
    assert_eq!(
        sent,
        [
            [true, false, true, true],
            [false, true, true, true],
            [false, true, false, true],
            [false, true, false, false],
            [false, true, false, false],
        ]
    );
}

#[tokio::test]
async fn what_one_was_refused_is_not_sent_by_those_that_wait_behind_it() {
    let refusals = ["max_tokens", "temperature"].map(refusal_of);
    let server = Server::start(refusals.into_iter().chain((0..8).map(|_| streamed(OPENAI)))).await;
    let limits = Limits { concurrency: Some(1), ..Limits::default() };
    let (model, _providers) = model_of(ProviderPlan { limits, ..plan(ProviderKind::OpenAi, &server.url) }, "m");
    let asked = (0..8).map(|_| async { ask(&model, question()).await });
    futures_util::future::join_all(asked).await;
    let sent: Vec<_> = server
        .requests()
        .iter()
        .map(|request| ["max_tokens", "temperature"].map(|name| request.body.get(name).is_some()))
        .collect();
    assert_eq!(sent.len(), 10, "{sent:?}");
    assert_eq!(sent[..2], [[true, true], [false, true]]);
    assert!(sent[2..].iter().all(|sent| *sent == [false, false]), "{sent:?}");
}

#[tokio::test]
async fn what_was_given_up_in_vain_is_sent_again_the_next_time() {
    let message = "no text on 'temperature' here";
    let refusals = (0..2).map(|_| refused(400, &json!({"error": {"message": message, "code": 400}})));
    let server = Server::start(refusals.chain([streamed(OPENAI)])).await;
    let model = model(ProviderKind::OpenAi, &server.url, "m");
    assert!(model.chat(question()).await.is_err());
    ask(&model, question()).await;
    let sent: Vec<_> = server.requests().iter().map(|request| request.body.get("temperature").is_some()).collect();
    assert_eq!(sent, [true, false, true]);
}

#[tokio::test]
async fn a_refusal_that_repeats_ends() {
    let message = "'max_tokens' or 'max_completion_tokens' is too large";
    let refusal = || refused(400, &json!({"error": {"message": message, "code": 400}}));
    let server = Server::start([refusal(), refusal()]).await;
    let model = model(ProviderKind::OpenAi, &server.url, "m");
    let error = model.chat(question()).await.err().unwrap();
    assert_eq!(error.kind, ErrorKind::InvalidInput, "{error}");
    assert!(error.message.contains("too large"), "{error}");
    assert_eq!(server.requests().len(), 2);
}

#[tokio::test]
async fn anthropic_gives_up_the_temperature_where_it_is_refused_and_remembers_it() {
    let refusal = json!({"type": "error", "error": {"type": "invalid_request_error", "message": "`temperature` is deprecated for this model."}});
    let server = Server::start([refused(400, &refusal), streamed(ANTHROPIC), streamed(ANTHROPIC)]).await;
    let model = model(ProviderKind::Anthropic, &server.url, "claude-opus-4-7");
    ask(&model, question()).await;
    ask(&model, question()).await;
    let sent: Vec<_> = server.requests().iter().map(|request| request.body.get("temperature").is_some()).collect();
    assert_eq!(sent, [true, false, false]);
}
