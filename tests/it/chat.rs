//! Streamed answers: recordings of each wire format cut anywhere, and what is sent to a server that records it.
#![allow(clippy::unwrap_used, clippy::indexing_slicing, clippy::panic, reason = "tests")]

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use futures_util::{StreamExt, stream};
use ragstream::limits::Limits;
use ragstream::providers::http::{Body, Http};
use ragstream::providers::{
    ChatEvent, ChatModel, ChatRequest, ErrorKind, Message, PromptCache, ProviderError, Role, Shared, StopReason, Usage,
    decode_chat,
};
use ragstream::providers::{ProviderKind, ProviderPlan, RetryPlan, Secret};
use serde_json::{Value, json};

use self::recordings::{Recording, recordings};

mod recordings;
mod requests;

type Events = Vec<Result<ChatEvent, ProviderError>>;

const KEY: &str = "sk-secret-123";

fn plan(kind: ProviderKind, base_url: &str) -> ProviderPlan {
    ProviderPlan {
        name: "p".to_owned(),
        kind,
        base_url: base_url.parse().unwrap(),
        api_key: Some(Secret::new(KEY)),
        key_variable: None,
        limits: Limits::default(),
        timeout: Duration::from_secs(20),
        retry: RetryPlan { attempts: 1, budget: Duration::from_secs(1) },
        identity: None,
        prices: BTreeMap::new(),
        misled: None,
    }
}

fn http() -> Arc<Http> {
    Arc::new(Http::connect(&plan(ProviderKind::OpenAi, "http://localhost:1")).unwrap())
}

/// Decodes a body that arrives in these pieces.
async fn decode_pieces(http: &Arc<Http>, kind: ProviderKind, pieces: Vec<Bytes>) -> Events {
    decode_chat(kind, http, stream::iter(pieces.into_iter().map(Ok)).boxed()).unwrap().collect().await
}

async fn decode_text(kind: ProviderKind, body: impl Into<Bytes>) -> Events {
    decode_pieces(&http(), kind, vec![body.into()]).await
}

fn text(text: &str) -> ChatEvent {
    ChatEvent::Text(text.to_owned())
}

fn reasoning(text: &str) -> ChatEvent {
    ChatEvent::Reasoning(text.to_owned())
}

fn done(stop: StopReason, input: impl Into<Option<u64>>, output: impl Into<Option<u64>>) -> ChatEvent {
    ChatEvent::Done { stop, usage: Usage::new(input.into(), output.into()) }
}

/// The same, of which some tokens came from the provider's cache or went there.
fn done_cached(stop: StopReason, input: u64, output: u64, read_tokens: u64, written_tokens: u64) -> ChatEvent {
    let mut usage = Usage::new(Some(input), Some(output));
    usage.prompt_cache = PromptCache { read_tokens, written_tokens };
    ChatEvent::Done { stop, usage }
}

fn ok(events: Events) -> Vec<ChatEvent> {
    events.into_iter().collect::<Result<_, _>>().unwrap()
}

#[tokio::test]
async fn however_the_bytes_are_cut_the_events_are_the_same() {
    let http = http();
    for recording in recordings() {
        for line_end in ["\n", "\r\n", "\r"] {
            let body = Bytes::from(recording.body.replace('\n', line_end));
            for cut in 0..=body.len() {
                let pieces = vec![body.slice(..cut), body.slice(cut..)];
                let events = ok(decode_pieces(&http, recording.kind, pieces).await);
                assert_eq!(events, recording.events, "{} with {line_end:?} cut at {cut}", recording.name);
            }
            let single = (0..body.len()).map(|at| body.slice(at..=at)).collect();
            let events = ok(decode_pieces(&http, recording.kind, single).await);
            assert_eq!(events, recording.events, "{} with {line_end:?} in single bytes", recording.name);
        }
    }
}

#[tokio::test]
async fn pings_and_comments_between_the_events_change_nothing() {
    const ANY: [&str; 7] =
        [":\n", ":\n\n", ": OPENROUTER PROCESSING\n\n", "\n", "event: ping\ndata:\n\n", "retry: 100\n\n", "id: 7\nx\n\n"];
    let http = http();
    for Recording { name, kind, body, events } in recordings() {
        let (between, noises): (&str, Vec<&str>) = match name.split(':').next() {
            Some("Ollama") => ("\n", vec!["\n", "{}\n", "{\"done\":false}\n", "{\"message\":{},\"done\":false}\n"]),
            Some("Anthropic") => ("\n\n", [&ANY[..], &["event: ping\ndata: {\"type\": \"ping\"}\n\n"]].concat()),
            _ => ("\n\n", [&ANY[..], &["data: {}\n\n", "data: {\"choices\":[],\"candidates\":[]}\n\n"]].concat()),
        };
        let places = std::iter::once(0).chain(body.match_indices(between).map(|(at, end)| at + end.len()));
        for place in places {
            let (before, after) = body.split_at(place);
            for noise in &noises {
                let noisy = format!("{before}{noise}{noise}{after}");
                let got = ok(decode_pieces(&http, kind, vec![noisy.into()]).await);
                assert_eq!(got, events, "{name}: {noise:?} at {place}");
            }
        }
    }
}

#[tokio::test]
async fn a_body_that_breaks_off_is_an_error_or_was_complete() {
    let http = http();
    for Recording { name, kind, body, events: whole } in recordings() {
        let (mark, pieces) = whole.split_last().unwrap();
        let ChatEvent::Done { stop: whole_stop, .. } = mark else { panic!("{name} has no end") };
        for end in 0..body.len() {
            let mut events = decode_pieces(&http, kind, vec![Bytes::from_static(&body.as_bytes()[..end])]).await;
            let last = events.pop().unwrap();
            let got = ok(events);
            match last {
                // Only what follows the model's own last word may be missing.
                Ok(ChatEvent::Done { stop, .. }) => {
                    assert_eq!(stop, *whole_stop, "{name} cut at {end}");
                    assert_eq!(got, pieces, "{name} cut at {end}");
                }
                Ok(other) => panic!("{name} cut at {end} ends with {other:?}"),
                Err(error) => {
                    assert_eq!(error.kind, ErrorKind::Network, "{name} cut at {end}: {error}");
                    assert!(pieces.starts_with(&got), "{name} cut at {end}: {got:?}");
                }
            }
        }
    }
}

#[tokio::test]
async fn a_connection_that_breaks_is_the_error_that_http_gave() {
    for Recording { name, kind, body, .. } in recordings() {
        let http = http();
        let half = Bytes::from_static(&body.as_bytes()[..body.len() / 3]);
        let pieces = vec![Ok(half), Err(http.error(ErrorKind::Timeout, "stalled"))];
        let events: Events = decode_chat(kind, &http, stream::iter(pieces).boxed()).unwrap().collect().await;
        let error = events.into_iter().next_back().unwrap().unwrap_err();
        assert_eq!(error.kind, ErrorKind::Timeout, "{name}: {error}");
    }
}

#[tokio::test]
async fn an_error_after_the_200_keeps_its_kind_and_the_text_before_it() {
    let openai = |error: &str| format!("data: {{\"choices\":[{{\"delta\":{{\"content\":\"a\"}}}}]}}\n\ndata: {error}\n\n");
    let cases: Vec<(ProviderKind, String, ErrorKind, &str)> = vec![
        (
            ProviderKind::OpenAi,
            openai(r#"{"error":{"message":"Slow down","type":"requests","code":"rate_limit_exceeded"}}"#),
            ErrorKind::RateLimited,
            "Slow down",
        ),
        (
            ProviderKind::OpenAi,
            openai(r#"{"error":{"message":"Busy","type":"server_error","code":"server_is_overloaded"}}"#),
            ErrorKind::Unavailable,
            "Busy",
        ),
        (
            ProviderKind::OpenAi,
            openai(r#"{"error":{"message":"You exceeded your quota","code":"insufficient_quota"}}"#),
            ErrorKind::QuotaSpent,
            "exceeded",
        ),
        (
            ProviderKind::OpenAi,
            openai(
                r#"{"id":"gen-1","error":{"code":502,"message":"Provider disconnected"},"choices":[{"index":0,"delta":{"content":""},"finish_reason":"error"}]}"#,
            ),
            ErrorKind::Unavailable,
            "Provider disconnected",
        ),
        (
            ProviderKind::OpenAi,
            openai(r#"{"object":"error","message":"Engine is dead","type":"InternalServerError","code":500}"#),
            ErrorKind::Unavailable,
            "Engine is dead",
        ),
        (
            ProviderKind::OpenAi,
            openai(r#"{"choices":[{"index":0,"delta":{"content":""},"finish_reason":"abort"}]}"#),
            ErrorKind::Unavailable,
            "broke off: abort",
        ),
        (
            ProviderKind::Mistral,
            openai(r#"{"object":"error","message":"Rate limit exceeded","type":"rate_limited","param":null,"code":"1300","raw_status_code":429}"#),
            ErrorKind::RateLimited,
            "Rate limit exceeded",
        ),
        (
            ProviderKind::Mistral,
            openai(r#"{"choices":[{"index":0,"delta":{"content":""},"finish_reason":"error"}]}"#),
            ErrorKind::Unavailable,
            "broke off: error",
        ),
        (
            ProviderKind::Gemini,
            "data: {\"candidates\":[{\"content\":{\"parts\":[{\"text\":\"a\"}]},\"finishReason\":\"MALFORMED_RESPONSE\"}]}\n\n".to_owned(),
            ErrorKind::Unavailable,
            "broke off: MALFORMED_RESPONSE",
        ),
        (
            ProviderKind::Anthropic,
            "event: content_block_delta\ndata: {\"type\":\"content_block_delta\",\"index\":0,\"delta\":{\"type\":\"text_delta\",\"text\":\"a\"}}\n\n\
             event: error\ndata: {\"type\":\"error\",\"error\":{\"type\":\"overloaded_error\",\"message\":\"Overloaded\"}}\n\n"
                .to_owned(),
            ErrorKind::Unavailable,
            "Overloaded",
        ),
        (
            ProviderKind::Gemini,
            "data: {\"candidates\":[{\"content\":{\"parts\":[{\"text\":\"a\"}]}}]}\r\n\r\n\
             data: {\"error\":{\"code\":429,\"message\":\"Quota per minute\",\"status\":\"RESOURCE_EXHAUSTED\"}}\r\n\r\n"
                .to_owned(),
            ErrorKind::RateLimited,
            "Quota per minute",
        ),
        (
            ProviderKind::Ollama,
            "{\"message\":{\"content\":\"a\"},\"done\":false}\n{\"error\":\"model runner has unexpectedly stopped\"}\n".to_owned(),
            ErrorKind::Unavailable,
            "unexpectedly stopped",
        ),
    ];
    let http = http();
    for (format, body, kind, words) in cases {
        let body = Bytes::from(body);
        for cut in 0..=body.len() {
            let mut events = decode_pieces(&http, format, vec![body.slice(..cut), body.slice(cut..)]).await.into_iter();
            assert_eq!(events.next().unwrap().unwrap(), text("a"), "{body:?}");
            let error = events.next().unwrap().unwrap_err();
            assert_eq!(error.kind, kind, "{body:?}: {error}");
            assert!(error.message.contains(words), "{body:?}: {error}");
            assert!(events.next().is_none(), "{body:?}");
            // Cut off before its end, it is some error still.
            let last = decode_pieces(&http, format, vec![body.slice(..cut)]).await.pop().unwrap();
            assert!(last.is_err(), "{body:?} cut at {cut}");
        }
    }
}

#[tokio::test]
async fn a_secret_in_an_error_is_not_shown() {
    for body in [format!("data: {{\"error\":{{\"message\":\"bad key {KEY}\"}}}}\n\n"), format!("data: no JSON {KEY}\n\n")] {
        let error = decode_text(ProviderKind::OpenAi, body).await.pop().unwrap().unwrap_err();
        assert!(!format!("{error} {error:?}").contains(KEY), "{error:?}");
    }
}

#[tokio::test]
async fn a_json_document_instead_of_a_stream_is_understood() {
    let failure = "{\n  \"error\": {\n    \"code\": 402,\n    \"message\": \"Insufficient credits\"\n  }\n}";
    let error = decode_text(ProviderKind::OpenAi, failure).await.pop().unwrap().unwrap_err();
    assert_eq!(error.kind, ErrorKind::QuotaSpent, "{error}");

    let answer = r#"{"choices":[{"message":{"role":"assistant","content":"whole"},"finish_reason":"stop"}],"usage":{"prompt_tokens":1,"completion_tokens":2}}"#;
    assert_eq!(ok(decode_text(ProviderKind::OpenAi, answer).await), [text("whole"), done(StopReason::End, 1, 2)]);
}

#[tokio::test]
async fn refusals_are_told_from_ends() {
    let cases: [(ProviderKind, &str, Vec<ChatEvent>); 4] = [
        (
            ProviderKind::OpenAi,
            "data: {\"choices\":[{\"delta\":{},\"finish_reason\":\"content_filter\"}]}\n\ndata: [DONE]\n\n",
            vec![done(StopReason::Refused, None, None)],
        ),
        (
            ProviderKind::OpenAi,
            "data: {\"choices\":[{\"delta\":{\"refusal\":\"No.\"},\"finish_reason\":\"stop\"}]}\n\ndata: [DONE]\n\n",
            vec![text("No."), done(StopReason::Refused, None, None)],
        ),
        (
            ProviderKind::Anthropic,
            "data: {\"type\":\"message_delta\",\"delta\":{\"stop_reason\":\"refusal\"},\"usage\":{\"output_tokens\":4}}\n\ndata: {\"type\":\"message_stop\"}\n\n",
            vec![done(StopReason::Refused, None, 4)],
        ),
        (
            ProviderKind::Gemini,
            "data: {\"promptFeedback\":{\"blockReason\":\"PROHIBITED_CONTENT\"},\"usageMetadata\":{\"promptTokenCount\":4}}\n\n",
            vec![done(StopReason::Refused, 4, None)],
        ),
    ];
    for (kind, body, events) in cases {
        assert_eq!(ok(decode_text(kind, body).await), events, "{body}");
    }
}

#[tokio::test]
async fn odd_framing_is_read_as_the_specification_says() {
    let done = done(StopReason::End, None, None);
    // A byte order mark; data without a space; data over several lines; an event without data; fields nobody knows.
    let body = "\u{FEFF}id: 7\nretry: 10\nunknown\nevent: x\n\ndata:{\"choices\":\ndata:[{\"delta\":{\"content\":\"a\"},\"finish_reason\":\"\"}]}\n\ndata:\n\ndata:[DONE]\n";
    for line_end in ["\n", "\r\n", "\r"] {
        let body = Bytes::from(body.replace('\n', line_end));
        let single = (0..body.len()).map(|at| body.slice(at..=at)).collect();
        for pieces in [vec![body], single] {
            assert_eq!(
                ok(decode_pieces(&http(), ProviderKind::OpenAi, pieces).await),
                [text("a"), done.clone()],
                "{line_end:?}"
            );
        }
    }
    // Bytes that are not UTF-8 are replaced; nothing after them is held back.
    let body = b"data: {\"choices\":[{\"delta\":{\"content\":\"a\xFFb\"}}]}\n\ndata: [DONE]\n\n".to_vec();
    assert_eq!(ok(decode_text(ProviderKind::OpenAi, body).await), [text("a\u{FFFD}b"), done]);
}

#[tokio::test]
async fn text_and_thoughts_may_come_in_typed_parts() {
    let body = r#"data: {"choices":[{"delta":{"content":[{"type":"thinking","thinking":[{"type":"text","text":"hm"}]},{"type":"text","text":"Oui"}]}}]}

data: [DONE]

"#;
    let events = [reasoning("hm"), text("Oui"), done(StopReason::End, None, None)];
    assert_eq!(ok(decode_text(ProviderKind::OpenAi, body).await), events);
}

/// What may stand between the pieces of an answer or in them, and is none of it.
#[tokio::test]
async fn telemetry_and_signs_of_life_destroy_no_answer() {
    let lives = [
        "data: null",
        "data: {}",
        "data: []",
        "data: \"\"",
        "data: 0",
        "data: true",
        "data: ping",
        "data: [PING]",
        "data: \"ping\"",
        "event: heartbeat\ndata: still here",
        "event: ping\ndata: nonsense",
        "event: usage\ndata: {\"total\":7}",
        ": a comment",
        "id: 7\nretry: 100",
    ];
    let odd = ["12.0", "12.5", "\"12\"", "-1", "null", "\"many\"", "[]", "{}", "1e300", "true"];
    let read = |number: &str| matches!(number, "12.0" | "12.5" | "\"12\"").then_some(12);
    for life in lives {
        for number in odd {
            let openai = [
                "data: {\"choices\":null}".to_owned(),
                "data: {\"choices\":[{\"delta\":null,\"finish_reason\":null,\"logprobs\":[1]}],\"error\":null,\"usage\":null}".to_owned(),
                "data: {\"choices\":[{\"delta\":{\"content\":null,\"role\":7}}],\"error\":{}}".to_owned(),
                "data: {\"choices\":[{\"delta\":{\"content\":\"a\",\"reasoning\":{},\"tool_calls\":[{}]},\"finish_reason\":\"\"}],\"error\":\"\"}".to_owned(),
                "data: {\"choices\":[{\"message\":{\"content\":\"b\"},\"delta\":null,\"finish_reason\":0}],\"created\":\"now\"}".to_owned(),
                format!("data: {{\"choices\":[],\"usage\":{{\"prompt_tokens\":{number},\"completion_tokens\":{number}}}}}"),
                format!("data: {{\"choices\":[],\"usage\":{number}}}"),
                "data: [DONE]".to_owned(),
            ];
            let anthropic = [
                format!("data: {{\"type\":\"message_start\",\"message\":{{\"usage\":{{\"input_tokens\":{number}}}}}}}"),
                "data: {\"type\":\"content_block_start\",\"content_block\":null}".to_owned(),
                "data: {\"type\":\"content_block_delta\",\"index\":\"x\",\"delta\":{\"text\":\"ab\",\"thinking\":null}}"
                    .to_owned(),
                "data: {\"type\":7}".to_owned(),
                format!("data: {{\"type\":\"message_delta\",\"delta\":null,\"usage\":{{\"output_tokens\":{number}}}}}"),
                format!("data: {{\"type\":\"message_delta\",\"delta\":{{\"stop_reason\":\"new\"}},\"usage\":{number}}}"),
                "data: {\"type\":\"message_stop\"}".to_owned(),
            ];
            let gemini = [
                "data: {\"candidates\":null,\"promptFeedback\":null,\"error\":null}".to_owned(),
                "data: {\"candidates\":[{\"content\":{\"parts\":[{\"text\":\"ab\",\"thought\":null}],\"role\":1},\"index\":\"0\"}]}".to_owned(),
                format!("data: {{\"candidates\":[{{\"content\":null,\"finishReason\":\"STOP\"}}],\"usageMetadata\":{{\"promptTokenCount\":{number},\"candidatesTokenCount\":{number},\"thoughtsTokenCount\":-1}}}}"),
                format!("data: {{\"usageMetadata\":{number}}}"),
            ];
            let ollama = [
                "null".to_owned(),
                "{\"message\":null,\"done\":null,\"created_at\":5}".to_owned(),
                "{\"message\":{\"content\":\"ab\",\"thinking\":null},\"done\":false,\"error\":\"\"}".to_owned(),
                format!("{{\"done\":true,\"done_reason\":7,\"prompt_eval_count\":{number},\"eval_count\":{number}}}"),
            ];
            let between = format!("\n\n{life}\n\n");
            for (kind, body) in [
                (ProviderKind::OpenAi, openai.join(&between) + "\n\n"),
                (ProviderKind::Anthropic, anthropic.join(&between) + "\n\n"),
                (ProviderKind::Gemini, gemini.join(&between) + "\n\n"),
                (ProviderKind::Ollama, ollama.join("\n\n") + "\n"),
            ] {
                let events = ok(decode_text(kind, body.clone()).await);
                let (last, said) = events.split_last().unwrap();
                let answer: String =
                    said.iter().map(|event| if let ChatEvent::Text(text) = event { text.as_str() } else { "?" }).collect();
                assert_eq!(answer, "ab", "{body}");
                assert_eq!(*last, done(StopReason::End, read(number), read(number)), "{body}");
            }
        }
    }
}

#[tokio::test]
async fn thoughts_in_the_text_are_told_apart() {
    let said = |text: &str| json!({"choices": [{"delta": {"content": text}}]});
    for cut in 0..="<think>no [7]</think>".len() {
        let (first, second) = "<think>no [7]</think>".split_at(cut);
        let events = [said(first), said(second), said("\n\nyes "), said("[1]")].map(|event| format!("data: {event}\n\n"));
        let events = ok(decode_text(ProviderKind::OpenAi, events.concat() + "data: [DONE]\n\n").await);
        let of = |wanted: fn(&ChatEvent) -> Option<&String>| events.iter().filter_map(wanted).cloned().collect::<String>();
        let text = of(|event| if let ChatEvent::Text(text) = event { Some(text) } else { None });
        let thoughts = of(|event| if let ChatEvent::Reasoning(text) = event { Some(text) } else { None });
        assert_eq!((text.as_str(), thoughts.as_str()), ("yes [1]", "no [7]"), "{cut}");
    }
    let body = [said("hm [7]\n"), said("</think>\n"), said("yes")].map(|event| format!("data: {event}\n\n"));
    let events = ok(decode_text(ProviderKind::OpenAi, body.concat() + "data: [DONE]\n\n").await);
    let wanted = [text("hm [7]\n"), ChatEvent::Retracted, text("yes"), done(StopReason::End, None, None)];
    assert_eq!(events, wanted);
}

#[tokio::test]
async fn what_is_no_json_is_a_bad_answer() {
    for (kind, body) in [
        (ProviderKind::OpenAi, "data: {\"choices\":[{\"del\n\ndata: [DONE]\n\n"),
        (ProviderKind::OpenAi, "data: Internal Server Error\n\ndata: [DONE]\n\n"),
        (ProviderKind::OpenAi, "data: \"a text\"\n\ndata: [DONE]\n\n"),
        (ProviderKind::OpenAi, "event: error\ndata: overloaded\n\ndata: [DONE]\n\n"),
        (ProviderKind::OpenAi, "data: {\"choices\":{}}\n\ndata: [DONE]\n\n"),
        (ProviderKind::OpenAi, "data: {\"choices\":[{\"delta\":{\"content\":7}}]}\n\ndata: [DONE]\n\n"),
        (ProviderKind::Anthropic, "event: ping\ndata: {\"type\":\n\n"),
        (ProviderKind::Anthropic, "data: {\"type\":\"content_block_delta\",\"delta\":{\"text\":[]}}\n\n"),
        (ProviderKind::Gemini, "data: [[]]\n\n"),
        (ProviderKind::Gemini, "data: {\"candidates\":[{\"content\":{\"parts\":[{\"text\":1}]}}]}\n\n"),
        (ProviderKind::Ollama, "{\"message\":{\"content\":1}}\n"),
        (ProviderKind::Ollama, "<html>\n"),
    ] {
        let error = decode_text(kind, body).await.pop().unwrap().unwrap_err();
        assert_eq!(error.kind, ErrorKind::BadAnswer, "{body}: {error}");
    }
}

#[tokio::test]
async fn endless_lines_and_events_are_errors_and_are_not_read_to_their_end() {
    let endless = |piece: String| stream::repeat(Bytes::from(piece)).map(Ok).boxed();
    let field = format!("data: {}\n", "x".repeat(1000));
    let cases: [(ProviderKind, Body); 3] = [
        (ProviderKind::OpenAi, endless("x".repeat(1000))),
        (ProviderKind::Ollama, endless("x".repeat(1000))),
        (ProviderKind::OpenAi, endless(field)),
    ];
    // The streams have no end: were there no limit, this would not return.
    for (kind, body) in cases {
        let events: Events = decode_chat(kind, &http(), body).unwrap().collect().await;
        let error = events.into_iter().next_back().unwrap().unwrap_err();
        assert_eq!(error.kind, ErrorKind::BadAnswer, "{error}");
    }
}
