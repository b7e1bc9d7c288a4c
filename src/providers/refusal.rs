//! The meaning of a provider's refusal, whichever way it is written.

use std::time::Duration;

use serde_json::Value;

use super::ErrorKind;
use crate::limits::parse_duration;

/// The words of a refusal, found wherever the vendors put them.
#[derive(Debug, Default)]
pub(super) struct Words {
    pub(super) message: Option<String>,
    /// Everything that is a code: `code`, `type`, `status`, reasons, quota names.
    pub(super) codes: Vec<String>,
    /// An HTTP status inside the body.
    pub(super) number: Option<u16>,
    pub(super) retry_after: Option<Duration>,
}

impl Words {
    pub(super) fn of(body: &Value) -> Self {
        // Gemini's streams wrap the object into a list.
        let body = body.as_array().and_then(|list| list.first()).unwrap_or(body);
        let mut words = Self::default();
        let inner = match body.get("error") {
            Some(inner @ Value::Object(_)) => inner,
            Some(Value::String(message)) => {
                words.message = Some(message.clone());
                body
            }
            _ => body,
        };
        if words.message.is_none() {
            words.message = message_of(inner);
        }
        for key in ["code", "type", "status", "raw_status_code"] {
            match inner.get(key) {
                Some(Value::String(code)) => words.codes.push(code.clone()),
                Some(Value::Number(code)) => {
                    words.number = code.as_u64().and_then(|code| u16::try_from(code).ok()).filter(|c| (300..600).contains(c));
                }
                _ => {}
            }
        }
        match inner.get("details") {
            // Anthropic.
            Some(Value::Object(details)) => words.codes.extend(text(details.get("error_code"))),
            // Google: a list of typed objects.
            Some(Value::Array(details)) => {
                for detail in details {
                    words.codes.extend(text(detail.get("reason")));
                    let violations = detail.get("violations").and_then(Value::as_array);
                    words.codes.extend(violations.into_iter().flatten().filter_map(|v| text(v.get("quotaId"))));
                    if let Some(delay) = detail.get("retryDelay").and_then(Value::as_str) {
                        words.retry_after = parse_duration(delay);
                    }
                }
            }
            _ => {}
        }
        words
    }
}

fn text(value: Option<&Value>) -> Option<String> {
    value.and_then(Value::as_str).map(str::to_owned)
}

fn message_of(object: &Value) -> Option<String> {
    // OpenRouter passes the words of the one behind it on as `metadata.raw`.
    let raw = object.pointer("/metadata/raw").and_then(Value::as_str);
    let message = text(object.get("message")).map(|message| match raw {
        Some(raw) => format!("{message}: {raw}"),
        None => message,
    });
    message
        .or_else(|| detail_of(object))
        // Mistral puts the validator's list into the message, bare or as an object with `detail`.
        .or_else(|| object.get("message").and_then(|message| detail_of(message).or_else(|| first_finding(message))))
        .or_else(|| object.as_str().map(plain_text).filter(|text| !text.is_empty()))
        .filter(|message| !message.trim().is_empty())
}

/// The `detail` of `FastAPI` and those built on it: words, or a validator's list.
fn detail_of(object: &Value) -> Option<String> {
    let detail = object.get("detail")?;
    detail.as_str().map(str::to_owned).or_else(|| first_finding(detail))
}

/// The first of a validator's findings: `{"loc": ["body", "temperature"], "msg": "Input should be less than 1"}`. The place is
/// told, too, unless the words name it: which parameter was refused decides what is sent next.
fn first_finding(list: &Value) -> Option<String> {
    let first = list.as_array()?.first()?;
    let words = text(first.get("msg"))?;
    let place = first.get("loc").and_then(Value::as_array).map(Vec::as_slice).unwrap_or_default();
    let place: Vec<&str> = place.iter().filter_map(Value::as_str).collect();
    let named = |name: &&str| words.split(|c: char| !c.is_alphanumeric() && c != '_').any(|word| word == *name);
    match place.last().filter(|last| !named(last)) {
        Some(_) => Some(format!("{words} ({})", place.join("."))),
        None => Some(words),
    }
}

/// A body that is no JSON: of an HTML page (a proxy's, usually) the status says more.
fn plain_text(body: &str) -> String {
    if body.trim_start().starts_with('<') { String::new() } else { body.trim().to_owned() }
}

/// The table. Codes and messages are asked first: the same status means different things.
pub(super) fn kind_of(status: Option<u16>, codes: &[String], message: &str) -> ErrorKind {
    let code = |wanted: &[&str]| codes.iter().any(|code| wanted.iter().any(|wanted| code.eq_ignore_ascii_case(wanted)));
    if code(&SPENT) || codes.iter().any(|code| code.contains("PerDay")) || mentions(message, &SPENT_WORDS) {
        return ErrorKind::QuotaSpent;
    }
    if code(&["API_KEY_INVALID", "invalid_api_key", "authentication_error", "permission_error"]) {
        return ErrorKind::Auth;
    }
    if code(&["model_not_found", "deployment_not_found"]) {
        return ErrorKind::NotFound;
    }
    // Sizes that will never fit, behind statuses that promise otherwise: llama.cpp's 500, OpenAI's 429.
    if code(&["exceed_context_size_error", "context_length_exceeded"]) || mentions(message, &NEVER_FITS) {
        return ErrorKind::InvalidInput;
    }
    match status {
        Some(status) => kind_of_status(status),
        None if code(&["rate_limit_exceeded", "rate_limit_error", "RESOURCE_EXHAUSTED", "slow_down"]) => ErrorKind::RateLimited,
        None if code(&["invalid_request_error", "request_too_large", "INVALID_ARGUMENT", "invalid_prompt"]) => {
            ErrorKind::InvalidInput
        }
        None if code(&["not_found_error", "NOT_FOUND"]) => ErrorKind::NotFound,
        None if code(&["PERMISSION_DENIED", "UNAUTHENTICATED"]) => ErrorKind::Auth,
        None => ErrorKind::Unavailable,
    }
}

/// The meaning of a status when nothing in the body says more.
fn kind_of_status(status: u16) -> ErrorKind {
    match status {
        401 | 403 => ErrorKind::Auth,
        402 => ErrorKind::QuotaSpent,
        // A redirect is not followed: a key goes where the user sends it, and nowhere else.
        300..=399 | 404 | 405 | 410 => ErrorKind::NotFound,
        408 | 409 | 425 | 500..=599 => ErrorKind::Unavailable,
        429 => ErrorKind::RateLimited,
        _ => ErrorKind::InvalidInput,
    }
}

/// Codes of final refusals: the money or the hard quota is spent. OpenAI's table of error codes; Anthropic's spend limits.
const SPENT: [&str; 10] = [
    "insufficient_quota",
    "credit_balance_exhausted",
    "organization_spend_limit_exceeded",
    "project_spend_limit_exceeded",
    "organization_usage_limit_exceeded",
    "billing_hard_limit_reached",
    "billing_not_active",
    "account_deactivated",
    "billing_error",
    "enforced_spend_limit_reached",
];

/// Anthropic's 400 and Cohere's 429 say it in words alone.
const SPENT_WORDS: [&str; 2] = ["credit balance is too low", "api calls / month"];

const NEVER_FITS: [&str; 4] = [
    "input is too large to process",
    "increase the physical batch size",
    "request too large for",
    "input length exceeds the context length",
];

pub(super) fn mentions(message: &str, wanted: &[&str]) -> bool {
    let message = message.to_ascii_lowercase();
    wanted.iter().any(|wanted| message.contains(wanted))
}

#[cfg(test)]
mod tests;
