//! Addresses of servers, as they are compared.

use url::{Host, Url};

/// Whether it leads to this machine itself.
pub(crate) fn is_loopback(url: &Url) -> bool {
    match url.host() {
        Some(Host::Ipv4(ip)) => ip.is_loopback() || ip.is_unspecified(),
        Some(Host::Ipv6(ip)) => {
            ip.is_loopback() || ip.is_unspecified() || ip.to_ipv4_mapped().is_some_and(|ip| ip.is_loopback())
        }
        Some(Host::Domain(name)) => {
            let name = name.trim_end_matches('.');
            // RFC 6761: what is below it is this machine, too.
            name == "localhost" || name.ends_with(".localhost")
        }
        None => false,
    }
}

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

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test may fail loudly")]

    use super::*;

    #[test]
    fn this_machine_is_known_by_all_its_names() {
        let own = [
            "localhost",
            "LOCALHOST:8080",
            "a.localhost",
            "localhost.",
            "127.0.0.1",
            "127.8.9.1:1",
            "[::1]:5",
            "[::ffff:127.0.0.1]",
        ];
        for host in own {
            assert!(is_loopback(&format!("http://{host}/v1").parse().unwrap()), "{host}");
        }
        for host in ["localhost.example.org", "notlocalhost", "128.0.0.1", "10.0.0.1", "[2001:db8::1]", "192.168.1.1"] {
            assert!(!is_loopback(&format!("http://{host}/v1").parse().unwrap()), "{host}");
        }
    }
}
