//! The server at the other end, as errors speak of it: its name, what must never be shown of it, what the user can do.

use std::borrow::Cow;

use serde_json::Value;
use url::Url;

use super::refusal::{Words, kind_of, mentions};
use super::site::Site;
use super::{ErrorKind, ProviderError, ProviderPlan};

/// Characters of a provider's own words that are passed on.
const MAX_MESSAGE: usize = 500;

/// And of those the last ones.
const END: usize = 150;

/// A shorter "key" is no secret, and blotting it out would spoil every message.
const MIN_SECRET: usize = 6;

/// The hosts of Alibaba's Model Studio (`DashScope`), wherever in the world.
const ALIBABA: &str = ".aliyuncs.com";

/// A server, as far as errors name it.
#[allow(clippy::struct_excessive_bools, reason = "each is a fact of its own")]
pub(super) struct Peer {
    pub(super) name: String,
    site: &'static Site,
    key_variable: Option<&'static str>,
    has_key: bool,
    /// Without credentials and query.
    shown_url: String,
    /// Whether the base URL is the vendor's own.
    vendor: bool,
    /// Whether a quota is declared for it.
    has_quota: bool,
    /// Whether it is declared how many requests it answers at once.
    has_places: bool,
    /// Whether what it calls a quota is what may be used in a minute.
    quota_by_minute: bool,
    /// Texts that must never be shown.
    secrets: Vec<String>,
}

impl Peer {
    pub(super) fn new(plan: &ProviderPlan, site: &'static Site) -> Self {
        let key = plan.api_key.as_ref().map(|key| key.expose().trim().to_owned()).filter(|key| !key.is_empty());
        let encoded = key.as_ref().map(|key| url::form_urlencoded::byte_serialize(key.as_bytes()).collect());
        let password = plan.base_url.password().map(str::to_owned);
        let query = plan.base_url.query_pairs().map(|(_, value)| value.into_owned()).collect::<Vec<_>>();
        let mut secrets: Vec<String> = key.iter().cloned().chain(encoded).chain(password).chain(query).collect();
        secrets.retain(|secret| secret.len() >= MIN_SECRET);
        let host = plan.base_url.host_str().unwrap_or_default();
        Self {
            name: plan.name.clone(),
            site,
            key_variable: plan.key_variable,
            has_key: key.is_some(),
            shown_url: shown(&plan.base_url),
            vendor: site.hosts.contains(&host),
            has_quota: plan.limits.rpm.is_some() || plan.limits.tpm.is_some(),
            has_places: plan.limits.concurrency.is_some(),
            quota_by_minute: host.ends_with(ALIBABA),
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
        let kind = kind_of(status, &words.codes, &message, self.quota_by_minute);
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
            ErrorKind::QuotaSpent => match self.site.billing_page.filter(|_| self.vendor) {
                Some(page) => format!("see {page}; what is done is kept, run the same command again afterwards"),
                None => "add credit at the provider; what is done is kept, run the same command again afterwards".to_owned(),
            },
            ErrorKind::NotFound => match (self.site.missing_model_hint, model) {
                (Some(hint), model) => hint(model.unwrap_or("MODEL")),
                (None, Some(model)) => format!("check the model's name (`{model}`) and the base URL ({})", self.shown_url),
                (None, None) => format!("check the model's name and the base URL ({})", self.shown_url),
            },
            ErrorKind::InvalidInput if mentions(message, &["batch size is invalid", "allowed batch size"]) => {
                "the server takes fewer texts at once: lower `embed.batch.items`".to_owned()
            }
            ErrorKind::InvalidInput if mentions(message, &["batch size", "ubatch"]) => {
                "start llama-server with a larger --ubatch-size, or lower `chunk.max_tokens`".to_owned()
            }
            // Zhipu's 1302 and others: it is not about a minute.
            ErrorKind::RateLimited if mentions(message, &["concurren", "并发"]) => {
                if self.has_places {
                    return None;
                }
                format!(
                    "declare how many requests your account may have at once: `limits: {{ concurrency: … }}` of the provider `{name}`"
                )
            }
            ErrorKind::RateLimited if !self.has_quota => {
                format!("declare what your account allows: `limits: {{ rpm: …, tpm: … }}` of the provider `{name}`")
            }
            ErrorKind::Timeout => format!("raise `timeout` of the provider `{name}`, or make batches smaller"),
            ErrorKind::Network => match self.site.unreachable_hint {
                Some(hint) => hint(&self.shown_url),
                None => format!("is {} right and reachable from here?", self.shown_url),
            },
            ErrorKind::BadAnswer if mentions(message, &["vectors came for 1 inputs"]) => {
                format!("check `embed.model` and the base URL ({}): is it a model that embeds?", self.shown_url)
            }
            ErrorKind::BadAnswer if mentions(message, &["vectors came for"]) => {
                "the server may take fewer texts at once: lower `embed.batch.items`".to_owned()
            }
            ErrorKind::InvalidInput
            | ErrorKind::RateLimited
            | ErrorKind::Unavailable
            | ErrorKind::BadAnswer
            | ErrorKind::ModelMissing
            | ErrorKind::QuotaUnreachable => return None,
        };
        Some(hint)
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

/// One line of at most [`MAX_MESSAGE`] characters. Of a longer one its end stays, too: gateways put what matters there.
fn bounded(message: &str) -> String {
    let line = message.split_whitespace().collect::<Vec<_>>().join(" ");
    let count = line.chars().count();
    if count <= MAX_MESSAGE {
        return line;
    }
    let beginning: String = line.chars().take(MAX_MESSAGE - END).collect();
    let end: String = line.chars().skip(count - END).collect();
    format!("{beginning}…{end}")
}

#[cfg(test)]
mod tests;
