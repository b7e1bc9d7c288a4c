//! What a provider's refusal means, whichever way it is written.

use std::borrow::Cow;
use std::time::Duration;

use serde_json::Value;
use url::Url;

use crate::limits::parse_duration;
use crate::providers::{ErrorKind, ProviderError};
use crate::providers::{ProviderKind, ProviderPlan};

/// Characters of a provider's own words that are passed on.
const MAX_MESSAGE: usize = 500;

/// A shorter "key" is no secret, and blotting it out would spoil every message.
const MIN_SECRET: usize = 6;

/// Whom we talk to, as far as errors name it.
pub(super) struct Peer {
    pub(super) name: String,
    kind: ProviderKind,
    key_variable: Option<&'static str>,
    has_key: bool,
    /// Without credentials and query.
    shown_url: String,
    /// Whether the base URL is the vendor's own.
    vendor: bool,
    /// What must never be shown.
    secrets: Vec<String>,
}

impl Peer {
    pub(super) fn new(plan: &ProviderPlan) -> Self {
        let key = plan.api_key.as_ref().map(|key| key.expose().trim().to_owned()).filter(|key| !key.is_empty());
        let encoded = key.as_ref().map(|key| url::form_urlencoded::byte_serialize(key.as_bytes()).collect());
        let password = plan.base_url.password().map(str::to_owned);
        let query = plan.base_url.query_pairs().map(|(_, value)| value.into_owned()).collect::<Vec<_>>();
        let mut secrets: Vec<String> = key.iter().cloned().chain(encoded).chain(password).chain(query).collect();
        secrets.retain(|secret| secret.len() >= MIN_SECRET);
        let host = plan.base_url.host_str().unwrap_or_default();
        Self {
            name: plan.name.clone(),
            kind: plan.kind,
            key_variable: plan.key_variable,
            has_key: key.is_some(),
            shown_url: shown(&plan.base_url),
            vendor: vendor_hosts(plan.kind).contains(&host),
            secrets,
        }
    }

    /// The base URL, without what must not be shown.
    pub(super) fn shown_url(&self) -> &str {
        &self.shown_url
    }

    /// Whether the base URL is the vendor's own.
    pub(super) fn is_vendor(&self) -> bool {
        self.vendor
    }

    /// The refusal of a vendor that needs a key and was given none.
    pub(super) fn check_key(&self) -> Result<(), ProviderError> {
        if self.vendor && !self.has_key {
            let mut error = self.error(ErrorKind::Auth, "no API key is set");
            error.attempts = 0;
            return Err(error);
        }
        Ok(())
    }

    /// An error of this kind: redacted, bounded, with a hint.
    pub(super) fn error(&self, kind: ErrorKind, message: impl Into<String>) -> ProviderError {
        let mut error = ProviderError::new(&self.name, kind, bounded(&self.redact(&message.into())));
        error.hint = self.hint(kind, &error.message, None);
        error
    }

    /// The error that an error object means; see [`super::http::Http::refusal`]. `model` is for the hint.
    pub(super) fn refusal(&self, status: Option<u16>, body: &Value, model: Option<&str>) -> ProviderError {
        let words = Words::of(body);
        let status = status.filter(|status| *status >= 300).or(words.number);
        let message = match (&words.message, status) {
            (Some(message), _) => self.redact(message).into_owned(),
            (None, Some(status)) => {
                let reason = reqwest::StatusCode::from_u16(status).ok().and_then(|status| status.canonical_reason());
                format!("HTTP {status} {}", reason.unwrap_or_default()).trim_end().to_owned()
            }
            (None, None) => "an error without a message".to_owned(),
        };
        let kind = kind_of(status, &words.codes, &message);
        let mut error = ProviderError::new(&self.name, kind, bounded(&message));
        error.status = status;
        error.retry_after = words.retry_after;
        error.hint = self.hint(kind, &message, model);
        error
    }

    /// Blots out every secret.
    pub(super) fn redact<'a>(&self, text: &'a str) -> Cow<'a, str> {
        let mut text = Cow::Borrowed(text);
        for secret in &self.secrets {
            if text.contains(secret.as_str()) {
                text = Cow::Owned(text.replace(secret.as_str(), "***"));
            }
        }
        text
    }

    fn hint(&self, kind: ErrorKind, message: &str, model: Option<&str>) -> Option<String> {
        let name = &self.name;
        let hint = match kind {
            ErrorKind::Auth => {
                let verb = if self.has_key { "check" } else { "set" };
                match self.key_variable {
                    Some(variable) => format!("{verb} {variable}, or `api_key` of the provider `{name}` in the pipeline file"),
                    None => format!("{verb} `api_key` of the provider `{name}` in the pipeline file"),
                }
            }
            ErrorKind::QuotaSpent => match billing_page(self.kind).filter(|_| self.vendor) {
                Some(page) => format!("see {page}; what is done is kept, run the same command again afterwards"),
                None => "add credit at the provider; what is done is kept, run the same command again afterwards".to_owned(),
            },
            ErrorKind::NotFound if self.kind == ProviderKind::Ollama => {
                format!("`ollama pull {}` fetches it, `ollama list` shows what is there", model.unwrap_or("MODEL"))
            }
            ErrorKind::NotFound => match model {
                Some(model) => format!("check the model's name (`{model}`) and the base URL ({})", self.shown_url),
                None => format!("check the model's name and the base URL ({})", self.shown_url),
            },
            ErrorKind::InvalidInput if mentions(message, &["batch size", "ubatch"]) => {
                "start llama-server with a larger --ubatch-size, or lower `chunk.max_tokens`".to_owned()
            }
            ErrorKind::RateLimited => {
                format!("declare what your account allows: `limits: {{ rpm: …, tpm: … }}` of the provider `{name}`")
            }
            ErrorKind::Timeout => format!("raise `timeout` of the provider `{name}`, or make batches smaller"),
            ErrorKind::Network if self.kind == ProviderKind::Ollama => {
                format!("is Ollama running at {}? `ollama serve` starts it, OLLAMA_HOST says where it is", self.shown_url)
            }
            ErrorKind::Network => format!("is {} right and reachable from here?", self.shown_url),
            ErrorKind::BadAnswer if mentions(message, &["vectors came for"]) => {
                "the server may take fewer texts at once: lower `embed.batch.items`".to_owned()
            }
            ErrorKind::InvalidInput | ErrorKind::Unavailable | ErrorKind::BadAnswer | ErrorKind::ModelMissing => return None,
        };
        Some(hint)
    }
}

/// What a refusal says, found wherever the vendors put it.
#[derive(Debug, Default)]
struct Words {
    message: Option<String>,
    /// Everything that is a code: `code`, `type`, `status`, reasons, quota names.
    codes: Vec<String>,
    /// An HTTP status inside the body.
    number: Option<u16>,
    retry_after: Option<Duration>,
}

impl Words {
    fn of(body: &Value) -> Self {
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
        for key in ["code", "type", "status"] {
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
        .or_else(|| match object.get("detail") {
            Some(Value::String(detail)) => Some(detail.clone()),
            // FastAPI: a list of `{"loc", "msg"}`.
            Some(Value::Array(list)) => list.first().and_then(|first| text(first.get("msg"))),
            _ => None,
        })
        .or_else(|| object.as_str().map(plain_text).filter(|text| !text.is_empty()))
        .filter(|message| !message.trim().is_empty())
}

/// A body that is no JSON: of an HTML page (a proxy's, usually) the status says more.
fn plain_text(body: &str) -> String {
    if body.trim_start().starts_with('<') { String::new() } else { body.trim().to_owned() }
}

/// The table. Codes and messages are asked first: the same status means different things.
fn kind_of(status: Option<u16>, codes: &[String], message: &str) -> ErrorKind {
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

/// What a status means when nothing in the body says more.
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

fn mentions(message: &str, wanted: &[&str]) -> bool {
    let message = message.to_ascii_lowercase();
    wanted.iter().any(|wanted| message.contains(wanted))
}

fn vendor_hosts(kind: ProviderKind) -> &'static [&'static str] {
    match kind {
        ProviderKind::OpenAi => &["api.openai.com"],
        ProviderKind::Anthropic => &["api.anthropic.com"],
        ProviderKind::Gemini => &["generativelanguage.googleapis.com"],
        ProviderKind::Cohere => &["api.cohere.com", "api.cohere.ai"],
        ProviderKind::Voyage => &["api.voyageai.com"],
        ProviderKind::Jina => &["api.jina.ai"],
        ProviderKind::Ollama => &["ollama.com"],
        ProviderKind::Local => &[],
    }
}

fn billing_page(kind: ProviderKind) -> Option<&'static str> {
    match kind {
        ProviderKind::OpenAi => Some("https://platform.openai.com/settings/organization/billing"),
        ProviderKind::Anthropic => Some("https://console.anthropic.com/settings/billing"),
        ProviderKind::Gemini => Some("https://aistudio.google.com/usage"),
        ProviderKind::Cohere => Some("https://dashboard.cohere.com/billing"),
        ProviderKind::Voyage => Some("https://dashboard.voyageai.com"),
        ProviderKind::Jina => Some("https://jina.ai/api-dashboard"),
        ProviderKind::Ollama | ProviderKind::Local => None,
    }
}

/// The URL without user, password, query and fragment.
fn shown(url: &Url) -> String {
    let mut url = url.clone();
    // Both fail for URLs that cannot have them anyway.
    let _ = url.set_username("");
    let _ = url.set_password(None);
    url.set_query(None);
    url.set_fragment(None);
    url.as_str().trim_end_matches('/').to_owned()
}

/// One line of at most [`MAX_MESSAGE`] characters.
fn bounded(message: &str) -> String {
    let mut line = String::new();
    let mut count = 0;
    for word in message.split_whitespace() {
        for c in (count > 0).then_some(' ').into_iter().chain(word.chars()) {
            if count == MAX_MESSAGE {
                line.push('…');
                return line;
            }
            line.push(c);
            count += 1;
        }
    }
    line
}

#[cfg(test)]
mod tests;
