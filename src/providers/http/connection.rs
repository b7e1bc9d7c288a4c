//! A connection to one provider: what requests share.

use std::fmt;
use std::sync::atomic::AtomicBool;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use reqwest::Client;
use reqwest::header::HeaderMap;
use serde_json::Value;
use url::Url;

use super::apart::Pauses;
use crate::limits::{LearnedLimits, Limiter, LimitsCache, Stats};
use crate::providers::peer::Peer;
use crate::providers::{ErrorKind, ProviderError, RetryPlan};
use crate::telemetry::Provider;

/// The expected cost of a request, reserved before it is sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Cost {
    /// Tokens: for an embedding those of all inputs, for a chat the prompt's plus `max_tokens`.
    pub tokens: u64,
}

/// A connection to one provider, shared by everything in the process that talks to it.
pub struct Http {
    pub(super) client: Client,
    pub(super) base_url: Url,
    pub(super) identity: Option<String>,
    pub(super) headers: HeaderMap,
    pub(super) timeout: Duration,
    pub(super) retry: RetryPlan,
    pub(super) limiter: Limiter,
    pub(super) peer: Arc<Peer>,
    /// What spans call it.
    pub(super) told: Provider,
    /// Whether it ever answered: a server that never did is more likely not there than away for a moment.
    pub(super) answered: AtomicBool,
    /// Whether it goes on working for a request whose client has left (llama.cpp: seen with xllamacpp 2026.10, while another
    /// answer streams): a second copy doubles its work, and so does one that is sent at once after a timeout.
    pub(super) works_on: AtomicBool,
    /// The place where learned limits are kept, and those that it holds now.
    pub(super) cache: Option<(LimitsCache, Mutex<LearnedLimits>)>,
    /// Those of endpoints that are limited apart.
    pub(super) pauses: Pauses,
}

/// A run that sent fewer has learned nothing of how many may be in flight.
const WORTH_KEEPING: u64 = 50;

impl Drop for Http {
    fn drop(&mut self) {
        if self.stats().requests >= WORTH_KEEPING {
            self.keep_learned();
        }
    }
}

impl fmt::Debug for Http {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Http")
            .field("provider", &self.peer.name)
            .field("base_url", &self.peer.shown_url())
            .finish_non_exhaustive()
    }
}

impl Http {
    /// The limits, for those who fill requests.
    pub fn limiter(&self) -> &Limiter {
        &self.limiter
    }

    /// The provider's name in the pipeline file.
    pub fn provider(&self) -> &str {
        &self.peer.name
    }

    /// What spans call it.
    pub(in crate::providers) fn told(&self) -> &Provider {
        &self.told
    }

    /// The path of the base URL, without a trailing `/`: some users write a version into it, some do not.
    pub fn base_path(&self) -> &str {
        self.base_url.path().trim_end_matches('/')
    }

    /// Whether the base URL is the vendor's own: what the vendor documents holds there only.
    pub fn is_vendor(&self) -> bool {
        self.peer.is_vendor()
    }

    /// The server's name, which tells its models from others of the same name; `None` at the vendor's own address.
    pub fn identity(&self) -> Option<&str> {
        self.identity.as_deref()
    }

    /// The longest that one answer, or a silence within one, may take.
    pub(in crate::providers) fn timeout(&self) -> Duration {
        self.timeout
    }

    /// Requests and tokens a minute, as far as they are known.
    pub fn quota(&self) -> (Option<u64>, Option<u64>) {
        (self.limiter.rpm(), self.limiter.tpm())
    }

    /// The requests so far.
    pub fn stats(&self) -> Stats {
        self.limiter.stats()
    }

    /// The error that a provider's error object means (what comes in mid-stream after a 200): `status` is the HTTP status, or
    /// `None` in mid-stream, where the object's own code or type decides. Redacted, bounded, with a hint.
    pub fn refusal(&self, status: Option<u16>, body: &Value) -> ProviderError {
        self.peer.refusal(status, body, None)
    }

    /// An error of this kind in our own words, redacted and bounded ([`ErrorKind::BadAnswer`] for what breaks the protocol,
    /// [`ErrorKind::Network`] for a stream that ended before its end mark).
    pub fn error(&self, kind: ErrorKind, message: impl Into<String>) -> ProviderError {
        self.peer.error(kind, message)
    }

    /// Keeps what was learned of the limits for the next run, if it is new.
    pub(super) fn keep_learned(&self) {
        let Some((cache, kept)) = &self.cache else { return };
        let learned = self.limiter.learned();
        let mut kept = kept.lock().unwrap_or_else(PoisonError::into_inner);
        if learned != *kept && learned != LearnedLimits::default() {
            cache.save(&learned);
            *kept = learned;
        }
    }
}
