//! Errors as the vendors write them: their kinds, what is shown of them, what they tell to do.

#![allow(clippy::unwrap_used, reason = "a test may fail loudly")]

use std::time::Duration;

use serde_json::json;

use super::*;
use crate::providers::{ProviderKind, Secret, Vendor};

const KEY: &str = "sk-test-0123456789+/";

fn peer(kind: ProviderKind, base_url: &str) -> Peer {
    let plan = ProviderPlan {
        name: "them".into(),
        base_url: base_url.parse().unwrap(),
        api_key: Some(Secret::new(KEY)),
        key_variable: Some("THEIR_API_KEY"),
        ..ProviderPlan::new(kind)
    };
    Peer::new(&plan, &Vendor::of(kind).site)
}

#[test]
#[allow(clippy::too_many_lines, reason = "a table")]
fn refusals_as_the_vendors_write_them() {
    use ErrorKind::{Auth, InvalidInput, NotFound, QuotaSpent, RateLimited, Unavailable};
    let table = [
        // OpenAI.
        (Some(429), json!({"error": {"message": "m", "type": "insufficient_quota", "code": "insufficient_quota"}}), QuotaSpent),
        (Some(429), json!({"error": {"message": "m", "code": "project_spend_limit_exceeded"}}), QuotaSpent),
        (Some(429), json!({"error": {"message": "m", "type": "tokens", "code": "rate_limit_exceeded"}}), RateLimited),
        (
            Some(429),
            json!({"error": {"message": "Request too large for gpt-4o on tokens per min (TPM): Limit 1, Requested 2"}}),
            InvalidInput,
        ),
        (Some(503), json!({"error": {"message": "m", "code": "slow_down"}}), Unavailable),
        (Some(503), json!({"error": {"message": "m", "code": "server_is_overloaded"}}), Unavailable),
        (Some(400), json!({"error": {"message": "m", "code": "model_not_found"}}), NotFound),
        (None, json!({"error": {"message": "m", "type": "server_error", "code": null}}), Unavailable),
        (None, json!({"error": {"message": "m", "code": "rate_limit_exceeded"}}), RateLimited),
        // Anthropic.
        (Some(529), json!({"type": "error", "error": {"type": "overloaded_error", "message": "Overloaded"}}), Unavailable),
        (None, json!({"type": "error", "error": {"type": "overloaded_error", "message": "Overloaded"}}), Unavailable),
        (None, json!({"type": "error", "error": {"type": "rate_limit_error", "message": "m"}}), RateLimited),
        (
            Some(429),
            json!({"type": "error", "error": {"type": "rate_limit_error", "message": "m",
            "details": {"error_code": "enforced_spend_limit_reached"}}}),
            QuotaSpent,
        ),
        (
            Some(400),
            json!({"type": "error", "error": {"type": "invalid_request_error",
            "message": "Your credit balance is too low to access the Anthropic API."}}),
            QuotaSpent,
        ),
        (Some(413), json!({"type": "error", "error": {"type": "request_too_large", "message": "m"}}), InvalidInput),
        // Gemini.
        (
            Some(400),
            json!({"error": {"code": 400, "message": "API key not valid.", "status": "INVALID_ARGUMENT",
            "details": [{"@type": "type.googleapis.com/google.rpc.ErrorInfo", "reason": "API_KEY_INVALID"}]}}),
            Auth,
        ),
        (
            Some(429),
            json!({"error": {"code": 429, "message": "m", "status": "RESOURCE_EXHAUSTED", "details": [
            {"violations": [{"quotaId": "GenerateRequestsPerDayPerProjectPerModel-FreeTier"}]}]}}),
            QuotaSpent,
        ),
        (None, json!([{"error": {"code": 503, "message": "m", "status": "UNAVAILABLE"}}]), Unavailable),
        // OpenRouter, behind HTTP 200.
        (Some(200), json!({"error": {"code": 402, "message": "Insufficient credits"}}), QuotaSpent),
        (
            Some(200),
            json!({"error": {"code": 502, "message": "Provider returned error", "metadata": {"raw": "boom"}}}),
            Unavailable,
        ),
        // llama.cpp.
        (
            Some(500),
            json!({"error": {"code": 500, "type": "server_error",
            "message": "input is too large to process. increase the physical batch size"}}),
            InvalidInput,
        ),
        (Some(503), json!({"error": {"code": 503, "message": "Loading model", "type": "unavailable_error"}}), Unavailable),
        // Ollama, Cohere, Voyage, FastAPI, a proxy.
        (Some(404), json!({"error": "model \"x\" not found, try pulling it first"}), NotFound),
        (Some(429), json!({"message": "You are using a Trial key, which is limited to 1000 API calls / month."}), QuotaSpent),
        (Some(401), json!({"detail": "Provided API key is invalid."}), Auth),
        (Some(422), json!({"detail": [{"loc": ["body", "input"], "msg": "Input should be a valid string"}]}), InvalidInput),
        // Mistral: words, a validator's list in the message, the status in the body alone.
        (
            Some(429),
            json!({"object": "error", "message": "Rate limit exceeded", "type": "rate_limited", "param": null, "code": "1300"}),
            RateLimited,
        ),
        (
            None,
            json!({"object": "error", "message": "Rate limit exceeded", "code": "1300", "raw_status_code": 429}),
            RateLimited,
        ),
        (
            Some(400),
            json!({"object": "error", "message": "Too many tokens overall, split into more batches.",
                   "type": "invalid_request_prompt", "param": null, "code": "3210"}),
            InvalidInput,
        ),
        (
            Some(422),
            json!({"object": "error", "message": {"detail": [{"type": "extra_forbidden", "loc": ["body", "n"], "msg": "No"}]},
                   "type": "invalid_request_error", "param": null, "code": null}),
            InvalidInput,
        ),
        (Some(502), json!("<html><body>Bad Gateway</body></html>"), Unavailable),
        // Alibaba, Zhipu, One API, SiliconFlow: accounts without credit, and what is momentary.
        (Some(400), json!({"error": {"code": "Arrearage", "type": "Arrearage", "message": "Access denied"}}), QuotaSpent),
        (
            Some(403),
            json!({"error": {"message": "The free tier of the model has been exhausted.", "code": "AllocationQuota.FreeTierOnly"}}),
            QuotaSpent,
        ),
        (Some(429), json!({"error": {"message": "Free allocated quota exceeded.", "code": "insufficient_quota"}}), QuotaSpent),
        (Some(429), json!({"error": {"message": "month allocated quota exceeded"}}), QuotaSpent),
        (Some(429), json!({"error": {"message": "Allocated quota exceeded, please increase your quota limit."}}), RateLimited),
        (Some(429), json!({"error": {"code": "1113", "message": "您的账户已欠费，请充值后重试。"}}), QuotaSpent),
        (Some(429), json!({"error": {"code": 1113, "message": "recharge"}}), QuotaSpent),
        (Some(429), json!({"error": {"code": "1302", "message": "您当前使用该API的并发数过高，请降低并发"}}), RateLimited),
        (
            Some(403),
            json!({"error": {"message": "用户额度不足, 剩余额度: ＄0.000000", "type": "new_api_error", "code": "insufficient_user_quota"}}),
            QuotaSpent,
        ),
        (Some(403), json!({"code": 30001, "message": "Sorry, your account balance is insufficient", "data": null}), QuotaSpent),
        (Some(403), json!({"code": 30003, "message": "Model disabled"}), Auth),
        (Some(400), json!({"error": {"message": "an odd text: insufficient balance"}}), InvalidInput),
    ];
    let peer = peer(ProviderKind::OpenAi, "https://api.openai.com/v1");
    for (status, body, kind) in table {
        let error = peer.refusal(status, &body, None);
        assert_eq!(error.kind, kind, "{status:?} {body}");
        assert!(!error.message.is_empty() && !error.message.contains('<'), "{}", error.message);
    }
}

#[test]
fn a_quota_of_a_minute_is_told_from_money_that_is_spent() {
    let of = |base_url: &str, status, message: &str| {
        let body = json!({"error": {"message": message, "type": "insufficient_quota", "code": "insufficient_quota"}});
        peer(ProviderKind::OpenAi, base_url).refusal(status, &body, None).kind
    };
    let spent = "You exceeded your current quota, please check your plan and billing details.";
    let momentary = format!("{spent} For details, see: https://help.aliyun.com/zh/model-studio/error-code#token-limit");
    let compatible = "https://dashscope-intl.aliyuncs.com/compatible-mode/v1";
    assert_eq!(of("http://localhost:4000", Some(429), &momentary), ErrorKind::RateLimited, "behind a gateway");
    assert_eq!(of(compatible, Some(429), spent), ErrorKind::RateLimited);
    assert_eq!(of("https://api.openai.com/v1", Some(429), spent), ErrorKind::QuotaSpent);
    assert_eq!(of("https://aliyuncs.com.example.org/v1", Some(429), spent), ErrorKind::QuotaSpent);
    assert_eq!(of(compatible, Some(403), spent), ErrorKind::QuotaSpent);
    assert_eq!(of(compatible, Some(429), "Free allocated quota exceeded."), ErrorKind::QuotaSpent);
}

#[test]
fn what_a_validator_found_is_told_with_its_place() {
    let peer = peer(ProviderKind::OpenAi, "https://api.openai.com/v1");
    let found =
        json!([{"type": "extra_forbidden", "loc": ["body", "stream_options"], "msg": "Extra inputs are not permitted"}]);
    for body in [json!({"message": found}), json!({"message": {"detail": found}}), json!({"detail": found})] {
        let error = peer.refusal(Some(422), &body, None);
        assert_eq!(error.message, "Extra inputs are not permitted (body.stream_options)", "{body}");
    }
    let named = json!({"detail": [{"loc": ["body", "n"], "msg": "n must be 1"}]});
    assert_eq!(peer.refusal(Some(422), &named, None).message, "n must be 1");
}

#[test]
fn a_message_that_begins_with_a_status_in_angle_brackets_is_no_web_page() {
    let peer = peer(ProviderKind::OpenAi, "https://api.openai.com/v1");
    let told = "<400> InternalError.Algo.InvalidParameter: Value error, batch size is invalid, it should not be larger than 10.: \
                input.contents";
    let body = json!({"error": {"message": told, "type": "InvalidParameter", "code": "InvalidParameter"}});
    assert_eq!(peer.refusal(Some(400), &body, None).message, told);
    for page in ["<html>", "<!DOCTYPE html>", "\n<?xml version='1.0'?>", "\u{feff}<!-- a --><html>", "<h1>Bad Gateway</h1>"] {
        for body in [json!(page), json!({"error": {"message": page}})] {
            assert_eq!(peer.refusal(Some(502), &body, None).message, "HTTP 502 Bad Gateway", "{body}");
        }
    }
}

#[test]
fn the_providers_words_with_secrets_blotted_out_and_bounded() {
    let peer = peer(ProviderKind::OpenAi, "https://user:pa55word@example.org/v1?code=azure-function-key");
    let told = format!("bad\n key {KEY}, sk-test-0123456789%2B%2F at user:pa55word, azure-function-key");
    let error = peer.refusal(Some(401), &json!({"error": {"message": told}}), None);
    assert_eq!(error.message, "bad key ***, *** at user:***, ***");
    assert_eq!(peer.shown_url(), "https://example.org/v1");
    let long = peer.error(ErrorKind::BadAnswer, "é".repeat(10_000));
    assert_eq!(long.message.chars().count(), MAX_MESSAGE + 1);
}

#[test]
fn hints_say_what_to_do() {
    let vendor = peer(ProviderKind::OpenAi, "https://api.openai.com/v1");
    let hint = |peer: &Peer, status: u16, body: Value| peer.refusal(Some(status), &body, Some("m1")).hint.unwrap_or_default();
    assert!(hint(&vendor, 401, json!({})).contains("THEIR_API_KEY"));
    assert!(hint(&vendor, 402, json!({})).contains("https://platform.openai.com/"));
    assert!(hint(&vendor, 429, json!({})).contains("rpm"));
    let too_many_at_once = json!({"error": {"code": "1302", "message": "您当前使用该API的并发数过高，请降低并发"}});
    assert!(hint(&vendor, 429, too_many_at_once).contains("limits: { concurrency: … }"));
    let ollama = peer(ProviderKind::Ollama, "http://localhost:11434");
    assert!(hint(&ollama, 404, json!({"error": "model not found"})).contains("ollama pull m1"));
    assert!(hint(&ollama, 500, json!({"error": "input is too large to process"})).is_empty());
    let gemini = peer(ProviderKind::Gemini, "https://generativelanguage.googleapis.com");
    let body = json!({"error": {"code": 429, "details": [{"@type": "RetryInfo", "retryDelay": "17s"}]}});
    assert_eq!(gemini.refusal(Some(429), &body, None).retry_after, Some(Duration::from_secs(17)));
}

#[test]
fn a_vendor_without_a_key_is_refused_before_anything_is_sent() {
    let mut peer = peer(ProviderKind::Anthropic, "https://api.anthropic.com");
    assert!(peer.check_key().is_ok());
    peer.has_key = false;
    let error = peer.check_key().unwrap_err();
    assert_eq!(error.kind, ErrorKind::Auth);
    assert!(error.hint.unwrap().starts_with("set THEIR_API_KEY"));
    peer.vendor = false;
    assert!(peer.check_key().is_ok(), "a server of one's own may want none");
}

#[test]
fn limits_are_asked_for_where_none_are_declared() {
    let of = |limits: crate::limits::Limits| {
        let plan = ProviderPlan { name: "them".into(), limits, ..ProviderPlan::new(ProviderKind::OpenAi) };
        Peer::new(&plan, &Vendor::of(ProviderKind::OpenAi).site).error(ErrorKind::RateLimited, "slow down").hint
    };
    assert!(of(crate::limits::Limits::default()).unwrap().contains("limits"));
    assert_eq!(of(crate::limits::Limits { rpm: Some(500), ..Default::default() }), None);
}
