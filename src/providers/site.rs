//! A vendor's server: its address and its key, whatever it is asked for.

use std::fmt;

/// A vendor's own server, as far as connections and their errors go.
#[derive(Clone, Copy)]
pub(crate) struct Site {
    /// The base URL, without a trailing `/`.
    pub(crate) url: &'static str,
    /// The vendor's own hosts: what the vendor documents holds there only, and a key is needed there.
    pub(super) hosts: &'static [&'static str],
    /// The variable that may hold another address.
    pub(crate) url_variable: Option<UrlVariable>,
    /// Variables that may hold the key; the first that is set counts.
    pub(crate) key_variables: &'static [&'static str],
    /// The way in which the key travels.
    pub(super) auth: Auth,
    /// The page on which credit is added.
    pub(super) billing_page: Option<&'static str>,
    /// The hint for a model that is not there.
    pub(super) missing_model_hint: Option<fn(model: &str) -> String>,
    /// The hint for a server at this address that cannot be reached.
    pub(super) unreachable_hint: Option<fn(url: &str) -> String>,
}

/// The way in which a key travels. Without a key nothing is sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Auth {
    /// `Authorization: Bearer KEY`.
    Bearer,
    /// The key alone in a header of this name (lower case), such as `x-api-key`.
    Header(&'static str),
    /// Not at all.
    None,
}

/// The variable that may hold another address than the vendor's, and how it is written there.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum UrlVariable {
    /// A URL.
    Url(&'static str),
    /// A host as Ollama's own client reads it: scheme, host and port may each be missing.
    Host(&'static str),
}

impl Site {
    /// A server at this base URL with these hosts of its own, whose key travels as a bearer token.
    pub(super) const fn new(url: &'static str, hosts: &'static [&'static str]) -> Self {
        Self {
            url,
            hosts,
            url_variable: None,
            key_variables: &[],
            auth: Auth::Bearer,
            billing_page: None,
            missing_model_hint: None,
            unreachable_hint: None,
        }
    }
}

impl fmt::Debug for Site {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Site").field("url", &self.url).finish_non_exhaustive()
    }
}
