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

/// How deep words may lie within each other: a gateway's around a server's around a validator's.
const DEPTH: usize = 6;
/// Findings of a validator that are told.
const FINDINGS: usize = 3;
/// Where servers put what went wrong, in words or in an object or a list that has them.
const SAID: [&str; 7] = ["message", "msg", "detail", "error", "error_description", "description", "title"];
/// Where they put a list of findings besides.
const LISTED: [&str; 6] = ["detail", "errors", "issues", "details", "fieldViolations", "invalid-params"];
/// Where a finding says what it is about.
const PLACES: [&str; 6] = ["loc", "path", "param", "field", "property", "pointer"];

impl Words {
    pub(super) fn of(body: &Value) -> Self {
        // Gemini's streams wrap the object into a list.
        let body = body.as_array().and_then(|list| list.first()).unwrap_or(body);
        let mut words = Self::default();
        words.message = words.said(body, 0).filter(|message| !message.trim().is_empty());
        words.retry_after = words.retry_after.or_else(|| words.message.as_deref().and_then(wait_in));
        words
    }

    /// The words of a refusal or a part of one; its codes and numbers are noted on the way.
    fn said(&mut self, value: &Value, depth: usize) -> Option<String> {
        match value {
            _ if depth > DEPTH => None,
            Value::String(text) => self.text(text, depth),
            Value::Array(list) => {
                let mut found: Vec<String> = Vec::new();
                for words in list.iter().take(4 * FINDINGS).filter_map(|finding| self.said(finding, depth + 1)) {
                    if !found.contains(&words) && found.len() < FINDINGS {
                        found.push(words);
                    }
                }
                Some(found.join("; ")).filter(|words| !words.is_empty())
            }
            Value::Object(object) => {
                self.note(object);
                let mut words = SAID.iter().find_map(|name| self.said(object.get(*name)?, depth + 1));
                let more = LISTED.iter().filter_map(|name| object.get(*name).filter(|list| list.is_array()));
                for more in more {
                    words = joined(words, self.said(more, depth + 1));
                }
                // OpenRouter passes the words of the one behind it on as `metadata.raw`.
                if let Some(raw) = value.pointer("/metadata/raw") {
                    words = joined(words, self.said(raw, depth + 1));
                }
                let words = words?;
                Some(match PLACES.iter().find_map(|name| place(object.get(*name)?)) {
                    Some(place) if !names(&words, &place) => format!("{words} ({place})"),
                    _ => words,
                })
            }
            _ => None,
        }
    }

    /// Text, which may hold what another server said as JSON: whole, or behind words of the gateway's own.
    fn text(&mut self, text: &str, depth: usize) -> Option<String> {
        let text = plain_text(text);
        let json = text.find(['{', '[']).and_then(|at| text.split_at_checked(at)).and_then(|(before, json)| {
            let inner = serde_json::Deserializer::from_str(json).into_iter::<Value>().next()?.ok()?;
            Some((before.trim_end(), inner)).filter(|(_, inner)| inner.is_object() || inner.is_array())
        });
        match json.and_then(|(before, inner)| Some((before, self.said(&inner, depth + 1)?))) {
            Some(("", words)) => Some(words),
            Some((before, words)) => Some(format!("{before} {words}")),
            None => Some(text).filter(|text| !text.is_empty()),
        }
    }

    /// Notes what is a code, a number or a time.
    fn note(&mut self, object: &serde_json::Map<String, Value>) {
        for key in ["code", "type", "status", "raw_status_code", "error_code"] {
            match object.get(key) {
                Some(Value::String(code)) => {
                    self.number = self.number.or_else(|| code.parse().ok().filter(|code| (300..600).contains(code)));
                    self.codes.push(code.clone());
                }
                Some(Value::Number(code)) => {
                    self.codes.push(code.to_string());
                    let code = code.as_u64().and_then(|code| u16::try_from(code).ok()).filter(|c| (300..600).contains(c));
                    self.number = self.number.or(code);
                }
                _ => {}
            }
        }
        match object.get("details") {
            // Anthropic.
            Some(Value::Object(details)) => self.codes.extend(text(details.get("error_code"))),
            // Google: a list of typed objects.
            Some(Value::Array(details)) => {
                for detail in details {
                    self.codes.extend(text(detail.get("reason")));
                    let violations = detail.get("violations").and_then(Value::as_array);
                    self.codes.extend(violations.into_iter().flatten().filter_map(|v| text(v.get("quotaId"))));
                    if let Some(delay) = detail.get("retryDelay").and_then(Value::as_str) {
                        self.retry_after = parse_duration(delay);
                    }
                }
            }
            _ => {}
        }
    }
}

/// The pause that words ask for: "Please try again in 1.2s", "Please retry after 6 seconds", "try again in 6m0s".
fn wait_in(message: &str) -> Option<Duration> {
    let message = message.to_ascii_lowercase();
    let after = ["try again in ", "try again after ", "retry after ", "retry in ", "wait for "];
    let rest = after.iter().find_map(|words| message.split_once(words))?.1;
    let mut words = rest.split_whitespace();
    let number = words.next()?.trim_end_matches([',', ';', ')', '.']);
    let unit = words.next().unwrap_or_default().trim_end_matches([',', ';', ')', '.']);
    match unit {
        "ms" | "milliseconds" | "millisecond" => parse_duration(&format!("{number}ms")),
        "m" | "min" | "minutes" | "minute" if number.parse::<f64>().is_ok() => parse_duration(&format!("{number}m")),
        "h" | "hours" | "hour" if number.parse::<f64>().is_ok() => parse_duration(&format!("{number}h")),
        _ => parse_duration(number),
    }
}

fn text(value: Option<&Value>) -> Option<String> {
    value.and_then(Value::as_str).map(str::to_owned)
}

/// Both, unless one says the other.
fn joined(words: Option<String>, more: Option<String>) -> Option<String> {
    match (words, more) {
        (Some(words), Some(more)) if words.contains(&more) => Some(words),
        (Some(words), Some(more)) => Some(format!("{words}: {more}")),
        (words, more) => words.or(more),
    }
}

/// The place that a finding names: `["body", "temperature"]`, or a word. It is told, too, unless the words name it: which
/// parameter was refused decides what is sent next.
fn place(value: &Value) -> Option<String> {
    let place = match value {
        Value::String(place) => place.clone(),
        Value::Array(parts) => parts.iter().filter_map(Value::as_str).collect::<Vec<_>>().join("."),
        _ => return None,
    };
    let is_name = |place: &String| place.len() <= 100 && place.chars().any(char::is_alphabetic) && !place.contains(' ');
    Some(place).filter(is_name)
}

/// Whether the words name the last part of a place.
fn names(words: &str, place: &str) -> bool {
    let last = place.rsplit(['.', '/']).next().unwrap_or(place);
    words.split(|c: char| !c.is_alphanumeric() && c != '_').any(|word| word == last)
}

/// Text, unless it is an HTML page (a proxy's, usually): of that the status says more.
fn plain_text(text: &str) -> String {
    let text = text.trim();
    if begins_with_a_tag(text) { String::new() } else { text.to_owned() }
}

/// Whether it begins as HTML or XML does, and not with `<400> InternalError.Algo…`, as Alibaba's messages do.
fn begins_with_a_tag(text: &str) -> bool {
    let tag = text.strip_prefix('\u{feff}').unwrap_or(text).strip_prefix('<');
    tag.is_some_and(|tag| tag.starts_with(|c: char| c.is_ascii_alphabetic() || matches!(c, '!' | '?' | '/')))
}

/// The table. Codes and messages are asked first: the same status means different things.
/// `by_minute`: the server is one of those whose "quota" is what may be used in a minute.
pub(super) fn kind_of(status: Option<u16>, codes: &[String], message: &str, by_minute: bool) -> ErrorKind {
    let code = |wanted: &[&str]| codes.iter().any(|code| wanted.iter().any(|wanted| code.eq_ignore_ascii_case(wanted)));
    if code(&SPENT) || codes.iter().any(|code| code.contains("PerDay")) || mentions(message, &SPENT_WORDS) {
        return ErrorKind::QuotaSpent;
    }
    // OpenAI's word for money that is spent is Alibaba's for the tokens of this minute, with a link that tells them apart.
    let passes = status == Some(429) && (by_minute || mentions(message, &["#token-limit"]));
    if code(&["insufficient_quota"]) && !passes {
        return ErrorKind::QuotaSpent;
    }
    // Behind a status that else means the key, or speed.
    if matches!(status, Some(403 | 429)) && mentions(message, &IN_ARREARS) {
        return ErrorKind::QuotaSpent;
    }
    if code(&["API_KEY_INVALID", "invalid_api_key", "authentication_error", "permission_error"]) {
        return ErrorKind::Auth;
    }
    if code(&["model_not_found", "deployment_not_found"]) {
        return ErrorKind::NotFound;
    }
    // Parameters that a server does not know, behind whatever status its framework makes of that.
    if mentions(message, &NOT_TAKEN) || (mentions(message, &["encoding_format"]) && mentions(message, &["support"])) {
        return ErrorKind::InvalidInput;
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

/// Codes of final refusals: the money or the hard quota is spent. OpenAI's table of error codes; Anthropic's spend limits; Alibaba's
/// accounts in arrears and free tiers; Zhipu's accounts in arrears; One API's users.
const SPENT: [&str; 13] = [
    "credit_balance_exhausted",
    "organization_spend_limit_exceeded",
    "project_spend_limit_exceeded",
    "organization_usage_limit_exceeded",
    "billing_hard_limit_reached",
    "billing_not_active",
    "account_deactivated",
    "billing_error",
    "enforced_spend_limit_reached",
    "Arrearage",
    "AllocationQuota.FreeTierOnly",
    "insufficient_user_quota",
    "1113",
];

/// Anthropic's 400 and Cohere's 429 say it in words alone; so do Alibaba's plans, whose code is that of a minute's quota.
const SPENT_WORDS: [&str; 6] = [
    "credit balance is too low",
    "api calls / month",
    "free allocated quota exceeded",
    "hour allocated quota exceeded",
    "week allocated quota exceeded",
    "month allocated quota exceeded",
];

/// An account without credit, in the words of `SiliconFlow` (30001) and others.
const IN_ARREARS: [&str; 4] = ["balance is insufficient", "insufficient balance", "余额不足", "欠费"];

/// Parameters that are refused, in the words of pydantic, Python, OpenAI and others; and what no JSON can say, in those of Go:
/// the model made a NaN of this text, and will again.
const NOT_TAKEN: [&str; 8] = [
    "extra inputs are not permitted",
    "extra fields not permitted",
    "unexpected keyword argument",
    "unsupported parameter",
    "unknown parameter",
    "unrecognized request argument",
    "json: unsupported value",
    "not json compliant",
];

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
