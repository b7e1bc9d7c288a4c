//! Why a request has no answer, in words that say what to look at.

use std::error::Error;
use std::io;
use std::time::Duration;

use rustls::CertificateError;
use url::Url;

use super::address::AddressError;

/// Characters of a foreign text that an error shows.
const MAX_SHOWN: usize = 200;

/// Why there is no answer.
#[derive(Debug, thiserror::Error)]
pub(super) enum ClientError {
    #[error("the HTTP client cannot be set up: {0}")]
    Setup(String),
    #[error("{0} is not an http or https address")]
    NotWeb(String),
    #[error(transparent)]
    Refused(AddressError),
    #[error("no such host: {host}")]
    NoSuchHost { host: String, source: AddressError },
    #[error("cannot connect to {host}")]
    Connect { host: String, source: reqwest::Error },
    #[error("the certificate of {host} is not accepted: {why}")]
    Certificate { host: String, why: String },
    #[error("no secure connection to {host}: {why}")]
    Tls { host: String, why: String },
    #[error("no connection to {host} within {} s", within.as_secs_f64())]
    ConnectTimeout { host: String, within: Duration },
    #[error("no answer within {} s", within.as_secs_f64())]
    Timeout { within: Duration },
    #[error("the answer was not complete within {} s", within.as_secs_f64())]
    Slow { within: Duration },
    #[error("the answer is larger than {limit} bytes")]
    TooLarge { limit: usize },
    #[error("the answer is damaged: {0}")]
    Damaged(&'static str),
    #[error("the connection ended before the answer was complete")]
    Broken(#[source] reqwest::Error),
    #[error("{host} does not answer as a web server does")]
    NotHttp { host: String, source: reqwest::Error },
    #[error("it redirects to {0}, which is not a web address")]
    Elsewhere(String),
}

impl ClientError {
    /// Whether it says more about the host than about the page: other pages of it would fail alike.
    pub(super) fn is_host_failure(&self) -> bool {
        match self {
            Self::Refused(_)
            | Self::NoSuchHost { .. }
            | Self::Connect { .. }
            | Self::Certificate { .. }
            | Self::Tls { .. }
            | Self::ConnectTimeout { .. }
            | Self::NotHttp { .. }
            | Self::Setup(_) => true,
            Self::NotWeb(_)
            | Self::Timeout { .. }
            | Self::Slow { .. }
            | Self::TooLarge { .. }
            | Self::Damaged(_)
            | Self::Broken(_)
            | Self::Elsewhere(_) => false,
        }
    }

    /// Whether the host did answer, and it was the answer that could not be used: no sign that it is overloaded.
    pub(super) fn is_answer(&self) -> bool {
        matches!(self, Self::TooLarge { .. } | Self::Damaged(_) | Self::Elsewhere(_))
    }

    /// Whether a second attempt may fare better.
    pub(super) fn is_transient(&self) -> bool {
        match self {
            Self::NoSuchHost { .. }
            | Self::Connect { .. }
            | Self::ConnectTimeout { .. }
            | Self::Timeout { .. }
            | Self::Slow { .. }
            | Self::Damaged(_)
            | Self::Broken(_) => true,
            Self::Setup(_)
            | Self::NotWeb(_)
            | Self::Refused(_)
            | Self::Certificate { .. }
            | Self::Tls { .. }
            | Self::TooLarge { .. }
            | Self::NotHttp { .. }
            | Self::Elsewhere(_) => false,
        }
    }

    /// What to do about it, where that is known.
    pub(super) fn hint(&self) -> Option<&'static str> {
        match self {
            Self::Setup(_) => Some("install the system's root certificates (ca-certificates), or point SSL_CERT_FILE to some"),
            Self::Certificate { .. } => Some("if you trust its authority, point SSL_CERT_FILE to the authority's certificate"),
            Self::NoSuchHost { .. } => Some("is the name right, and does this machine reach a name server?"),
            _ => None,
        }
    }
}

impl From<AddressError> for ClientError {
    fn from(error: AddressError) -> Self {
        match error {
            AddressError::Unknown { ref host, .. } => Self::NoSuchHost { host: host.clone(), source: error },
            refused => Self::Refused(refused),
        }
    }
}

/// Why a request had no answer. `within`: the time in which there should have been a connection.
pub(super) fn unsent(url: &Url, error: reqwest::Error, within: Duration) -> ClientError {
    let port = url.port().map(|port| format!(":{port}")).unwrap_or_default();
    let host = url.host_str().unwrap_or_default().to_owned();
    let at = format!("{host}{port}");
    let error = error.without_url();
    let cause = Cause::of(&error);
    match (cause.address, cause.tls) {
        (Some(address), _) => address.into(),
        (None, Some(rustls::Error::InvalidCertificate(why))) => ClientError::Certificate { why: fault(&why), host },
        (None, Some(rustls::Error::InvalidMessage(_))) => {
            ClientError::Tls { host, why: "what answers there speaks no TLS (does it want http://?)".to_owned() }
        }
        (None, Some(other)) => ClientError::Tls { host, why: other.to_string() },
        (None, None) if error.is_timeout() => ClientError::ConnectTimeout { host: at, within },
        (None, None) if error.is_connect() => ClientError::Connect { host: at, source: error },
        (None, None) if cause.syntax => ClientError::NotHttp { host, source: error },
        (None, None) => ClientError::Broken(error),
    }
}

/// What is at the bottom of an error.
#[derive(Default)]
struct Cause {
    address: Option<AddressError>,
    tls: Option<rustls::Error>,
    /// It is not HTTP.
    syntax: bool,
}

impl Cause {
    fn of(error: &reqwest::Error) -> Self {
        let mut found = Self::default();
        for cause in chain(error) {
            found.syntax |= cause.to_string().starts_with("invalid HTTP ");
            found.address = found.address.or_else(|| cause.downcast_ref().cloned());
            found.tls = found.tls.or_else(|| cause.downcast_ref().or_else(|| wrapped(cause)).cloned());
        }
        found
    }
}

/// The TLS error in an I/O error, which shows the cause of what it wraps, but not what it wraps. One may wrap another.
fn wrapped<'a>(error: &'a (dyn Error + 'static)) -> Option<&'a rustls::Error> {
    let first = error.downcast_ref::<io::Error>();
    let inner = |at: &&'a io::Error| at.get_ref().and_then(|inner| inner.downcast_ref::<io::Error>());
    std::iter::successors(first, inner).take(8).find_map(|at| at.get_ref()?.downcast_ref())
}

fn chain<'a>(error: &'a (dyn Error + 'static)) -> impl Iterator<Item = &'a (dyn Error + 'static)> {
    std::iter::successors(Some(error), |&at| at.source()).take(20)
}

/// All that an error says.
pub(super) fn causes(error: &(dyn Error + 'static)) -> String {
    chain(error).map(ToString::to_string).collect::<Vec<_>>().join(": ")
}

/// The beginning of a foreign text.
pub(super) fn shown(text: &str) -> String {
    let short: String = text.chars().filter(|c| !c.is_control()).take(MAX_SHOWN).collect();
    if short.len() < text.len() { format!("{short}…") } else { short }
}

/// What is wrong with a certificate.
fn fault(error: &CertificateError) -> String {
    match error {
        CertificateError::Expired | CertificateError::ExpiredContext { .. } => "it has expired".to_owned(),
        CertificateError::NotValidYet | CertificateError::NotValidYetContext { .. } => {
            "it is not valid yet (is this machine's clock right?)".to_owned()
        }
        CertificateError::UnknownIssuer => "it is signed by nobody that this machine trusts".to_owned(),
        CertificateError::NotValidForName => "it is for another name".to_owned(),
        CertificateError::NotValidForNameContext { presented, .. } => {
            let names = presented.iter().take(5).map(|name| shown(name)).collect::<Vec<_>>().join(", ");
            format!("it is for another name ({names})")
        }
        // As they are made by hand: their own authority.
        CertificateError::Other(other) if other.to_string().contains("CaUsedAsEndEntity") => {
            "it is signed by itself alone".to_owned()
        }
        CertificateError::Revoked => "it has been revoked".to_owned(),
        other => shown(&other.to_string()),
    }
}
