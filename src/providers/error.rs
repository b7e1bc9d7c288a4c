//! The error of a provider, and of a model in process.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::usage::Usage;
use crate::error::{Failure, Origin, reason};

/// The kind of a failure, as far as a caller decides on it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[non_exhaustive]
pub enum ErrorKind {
    /// The provider asks to slow down (429 and the like).
    RateLimited,
    /// The provider is overloaded or broken (5xx, 408, 409, 529).
    Unavailable,
    /// No connection, a reset, a truncated body or stream.
    Network,
    /// No answer within the timeout.
    Timeout,
    /// The key is missing, wrong or lacks a right (401, 403).
    Auth,
    /// The money or the hard quota is spent.
    QuotaSpent,
    /// No such model or endpoint (404).
    NotFound,
    /// The provider will never accept this very input (400, 413, 422), or makes nothing of it that could be used.
    InvalidInput,
    /// The answer is not what the protocol says: wrong count, wrong width, no JSON. It was asked for again before that is said.
    BadAnswer,
    /// The model's files are not there and cannot be had.
    ModelMissing,
    /// The quota is shared with other workers, and what they share cannot be reached.
    QuotaUnreachable,
}

impl ErrorKind {
    /// A stable word for programs.
    pub fn code(self) -> &'static str {
        match self {
            Self::RateLimited => "rate_limited",
            Self::Unavailable => "unavailable",
            Self::Network => "network",
            Self::Timeout => "timeout",
            Self::Auth => "auth",
            Self::QuotaSpent => "quota_spent",
            Self::NotFound => "not_found",
            Self::InvalidInput => "invalid_input",
            Self::BadAnswer => "bad_answer",
            Self::ModelMissing => "model_missing",
            Self::QuotaUnreachable => "quota_unreachable",
        }
    }
}

/// A provider refused, failed or could not be reached.
///
/// A model of one's own makes it with [`ProviderError::new`] and what else is known: the fields are public, and
/// [`Self::with_hint`] and [`Self::caused_by`] set two of them in passing.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
#[error("{provider}: {message}{}", tried(*.attempts, *.waited))]
pub struct ProviderError {
    /// The provider's name in the pipeline file.
    pub provider: String,
    /// The kind, on which a caller decides.
    pub kind: ErrorKind,
    /// The HTTP status, where there was one.
    pub status: Option<u16>,
    /// The failure in the provider's own words, where it has any, with secrets redacted.
    pub message: String,
    /// Something the user can do.
    pub hint: Option<String>,
    /// The pause that the provider asks for.
    pub retry_after: Option<Duration>,
    /// The number of attempts.
    pub attempts: u32,
    /// The time from the first attempt to the last.
    pub waited: Duration,
    /// Tokens that it took all the same; unknown ones where an answer had begun. `None`: nothing is known of any.
    pub usage: Option<Box<Usage>>,
    /// The cause.
    #[source]
    pub source: Option<Box<dyn std::error::Error + Send + Sync>>,
}

fn tried(attempts: u32, waited: Duration) -> String {
    if attempts > 1 { format!(" (gave up after {attempts} attempts in {:.1} s)", waited.as_secs_f64()) } else { String::new() }
}

impl ProviderError {
    /// An error of this kind, tried once, with nothing further known.
    pub fn new(provider: impl Into<String>, kind: ErrorKind, message: impl Into<String>) -> Self {
        Self {
            provider: provider.into(),
            kind,
            status: None,
            message: message.into(),
            hint: None,
            retry_after: None,
            attempts: 1,
            waited: Duration::ZERO,
            usage: None,
            source: None,
        }
    }

    /// The same error with what the user can do.
    #[must_use]
    pub fn with_hint(mut self, hint: impl Into<String>) -> Self {
        self.hint = Some(hint.into());
        self
    }

    /// The same error with what caused it. What the cause says is shown to the user: no secrets.
    #[must_use]
    pub fn caused_by(mut self, source: impl Into<Box<dyn std::error::Error + Send + Sync>>) -> Self {
        self.source = Some(source.into());
        self
    }

    /// The same error of a request that took so many tokens, as the provider has told.
    #[must_use]
    pub fn having_used(mut self, usage: Usage) -> Self {
        self.usage = Some(Box::new(usage));
        self
    }

    /// The same error of a request whose answer had begun: it is billed, and nobody has told how much.
    #[must_use]
    pub(crate) fn having_begun(mut self) -> Self {
        self.usage.get_or_insert_default();
        self
    }

    /// The tokens that are billed although it failed, which may be unknown; `None`: nothing is. Who refuses bills nothing, but an answer
    /// that is of no use is one, and nobody knows of one that came too late.
    pub(crate) fn billed(&self) -> Option<Usage> {
        let told = self.usage.as_deref().copied();
        told.or_else(|| matches!(self.kind, ErrorKind::BadAnswer | ErrorKind::Timeout).then(Usage::default))
    }

    /// What it says, with its causes, as that of one of the provider's models.
    pub(crate) fn reason_of(&self, model: &str) -> String {
        let said = reason(self);
        said.strip_prefix(&format!("{}: ", self.provider)).map(|said| format!("{model}: {said}")).unwrap_or(said)
    }

    /// Whether what was asked is more than the model's context window holds.
    pub(crate) fn overflows(&self) -> bool {
        let said = self.message.to_ascii_lowercase();
        let windows = ["context length", "context window", "context size", "maximum context", "prompt is too long"];
        self.kind == ErrorKind::InvalidInput && windows.iter().any(|window| said.contains(window))
    }

    /// Whether the same request may succeed later.
    pub fn is_transient(&self) -> bool {
        matches!(self.kind, ErrorKind::RateLimited | ErrorKind::Unavailable | ErrorKind::Network | ErrorKind::Timeout)
    }

    /// Whether nothing else sent to this provider can succeed either, so that the run must stop.
    pub fn is_fatal(&self) -> bool {
        matches!(
            self.kind,
            ErrorKind::Auth
                | ErrorKind::QuotaSpent
                | ErrorKind::NotFound
                | ErrorKind::ModelMissing
                | ErrorKind::QuotaUnreachable
        )
    }
}

impl Failure for ProviderError {
    fn origin(&self) -> Origin {
        Origin::Provider
    }

    fn code(&self) -> &'static str {
        self.kind.code()
    }

    fn hint(&self) -> Option<String> {
        self.hint.clone()
    }

    fn is_transient(&self) -> bool {
        self.is_transient()
    }

    fn retry_after(&self) -> Option<Duration> {
        self.retry_after.filter(|_| self.is_transient())
    }

    fn stops_all(&self) -> bool {
        self.is_fatal()
    }
}
