//! Addresses of servers, as they are compared.

use url::{Host, Url};

/// Host, port and path; this machine has one name.
pub(crate) fn address(url: &Url) -> String {
    let host = match url.host() {
        Some(Host::Ipv4(ip)) if ip.is_loopback() => "localhost".to_owned(),
        Some(Host::Ipv6(ip)) if ip.is_loopback() => "localhost".to_owned(),
        host => host.map(|host| host.to_string()).unwrap_or_default(),
    };
    let port = url.port().map(|port| format!(":{port}")).unwrap_or_default();
    format!("{host}{port}{}", url.path().trim_end_matches('/'))
}

/// An address as people copy it, like [`address`] writes it.
pub(crate) fn bare_address(text: &str) -> String {
    let text = text.trim();
    let bare = text.strip_prefix("https://").or_else(|| text.strip_prefix("http://")).unwrap_or(text);
    bare.trim_end_matches('/').to_owned()
}

/// Whether both lead to the same server.
pub(crate) fn is_origin(own: &str, url: &Url) -> bool {
    Url::parse(own).is_ok_and(|own| own.origin() == url.origin())
}
