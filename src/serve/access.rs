//! Tokens, origins and names of this machine.

use std::net::SocketAddr;

use axum::http::{HeaderMap, HeaderValue, header};
use url::Url;

use super::error::ServeError;
use super::tokens::{Token, TokenFile};

/// The cookie that bears a token.
const COOKIE: &str = "ragstream_token";

/// Who is heard.
#[derive(Debug, Clone, Default)]
pub struct Access {
    /// Any of these is needed; none: this machine alone is heard.
    pub tokens: Vec<Token>,
    /// Or one of those in this file.
    pub token_file: Option<TokenFile>,
    /// Other origins whose pages are answered, as `https://app.example`.
    pub origins: Vec<Url>,
}

impl Access {
    /// Whether a token is needed. What becomes of a file of them opens no door.
    pub(super) fn is_guarded(&self) -> bool {
        !self.tokens.is_empty() || self.token_file.is_some()
    }

    /// Whether it is safe to listen there.
    pub(super) fn check(&self, address: SocketAddr) -> Result<(), ServeError> {
        if !self.is_guarded() && !address.ip().is_loopback() {
            return Err(ServeError::Open(address));
        }
        Ok(())
    }

    /// Whether the request bears a token, where one is needed.
    pub(super) fn admits(&self, headers: &HeaderMap) -> bool {
        let bearer = headers.get(header::AUTHORIZATION).and_then(|value| value.to_str().ok()).and_then(bearer);
        let cookies = headers.get_all(header::COOKIE).iter().filter_map(|value| value.to_str().ok());
        let mut cookies = cookies.flat_map(|cookies| cookies.split(';')).filter_map(|cookie| cookie.trim().split_once('='));
        let cookie = cookies.find_map(|(name, value)| (name == COOKIE).then_some(value));
        !self.is_guarded() || bearer.into_iter().chain(cookie).any(|token| self.knows(token))
    }

    /// Whether this is one of the tokens.
    pub(super) fn knows(&self, token: &str) -> bool {
        let asked = Token::asked(token);
        asked.is_among(&self.tokens) | self.token_file.as_ref().is_some_and(|file| file.knows(&asked))
    }

    /// Whether the page that asks is ours, or one that is listed. A program says no origin.
    pub(super) fn origin(&self, headers: &HeaderMap) -> Origin {
        let Some(value) = headers.get(header::ORIGIN) else { return Origin::None };
        let Some(origin) = value.to_str().ok().and_then(|text| Url::parse(text).ok()) else { return Origin::Foreign };
        let host = headers.get(header::HOST).and_then(|host| host.to_str().ok());
        let same = host.is_some_and(|host| {
            Url::parse(&format!("{}://{host}", origin.scheme())).is_ok_and(|own| own.origin() == origin.origin())
        });
        if same {
            Origin::Own
        } else if self.origins.iter().any(|listed| listed.origin() == origin.origin()) {
            Origin::Listed(value.clone())
        } else {
            Origin::Foreign
        }
    }
}

/// The token of an `Authorization` header.
fn bearer(value: &str) -> Option<&str> {
    let (scheme, token) = value.split_once(' ')?;
    scheme.eq_ignore_ascii_case("bearer").then_some(token.trim())
}

/// Whose page asks.
#[derive(Debug, PartialEq)]
pub(super) enum Origin {
    None,
    Own,
    Listed(HeaderValue),
    Foreign,
}

/// Whether a `Host` header names this machine.
pub(super) fn is_loopback(host: &HeaderValue) -> bool {
    let Some(url) = host.to_str().ok().and_then(|host| Url::parse(&format!("http://{host}")).ok()) else { return false };
    match url.host() {
        Some(url::Host::Domain(name)) => name == "localhost" || name.ends_with(".localhost"),
        Some(url::Host::Ipv4(ip)) => ip.is_loopback(),
        Some(url::Host::Ipv6(ip)) => ip.is_loopback(),
        None => false,
    }
}

/// Whether the client came by TLS, as the proxy says that ends it: of several in a row, the first.
pub(super) fn is_secure(headers: &HeaderMap) -> bool {
    let schemes = headers.get("x-forwarded-proto").and_then(|value| value.to_str().ok()).unwrap_or_default();
    schemes.split(',').next().is_some_and(|scheme| scheme.trim().eq_ignore_ascii_case("https"))
}

/// The cookie for a token: no script reads it, and no other site sends it; what came by TLS goes by nothing else.
pub(super) fn cookie(token: &str, secure: bool) -> Option<HeaderValue> {
    let secure = if secure { "; Secure" } else { "" };
    HeaderValue::from_str(&format!("{COOKIE}={token}; HttpOnly; SameSite=Strict; Path=/; Max-Age=31536000{secure}")).ok()
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a test may fail loudly")]
mod tests {
    use axum::http::HeaderName;

    use super::*;

    fn headers(pairs: &[(HeaderName, &str)]) -> HeaderMap {
        pairs.iter().map(|(name, value)| (name.clone(), HeaderValue::from_str(value).unwrap())).collect()
    }

    #[test]
    fn this_machine_is_known_by_its_own_names_alone() {
        let own = ["localhost", "localhost:7171", "127.0.0.1:7171", "127.3.2.1", "[::1]:7171", "docs.localhost:80"];
        assert!(own.into_iter().all(|host| is_loopback(&HeaderValue::from_static(host))));
        let others = ["example.org", "localhost.example.org", "192.168.1.7:7171", "notlocalhost", "", "[::2]", "a b"];
        assert!(!others.into_iter().any(|host| is_loopback(&HeaderValue::from_static(host))));
    }

    #[test]
    fn a_token_comes_in_a_header_or_a_cookie_and_is_never_shown() {
        let token = "0123456789abcdef";
        let access = Access { tokens: vec![Token::new(token).unwrap()], ..Access::default() };
        let admits = |name: HeaderName, value: &str| access.admits(&headers(&[(name, value)]));
        assert!(
            admits(header::AUTHORIZATION, "Bearer 0123456789abcdef")
                && admits(header::AUTHORIZATION, "bearer  0123456789abcdef")
        );
        assert!(admits(header::COOKIE, "a=b; ragstream_token=0123456789abcdef; c=d"));
        assert!(!admits(header::AUTHORIZATION, "Bearer 0123456789abcdeF") && !admits(header::AUTHORIZATION, token));
        assert!(!admits(header::COOKIE, "ragstream_token=") && !access.admits(&HeaderMap::new()));
        assert!(!format!("{access:?}").contains(token));
        assert!(Access::default().admits(&HeaderMap::new()), "no token is needed where none is set");
        for weak in ["", "short", "with a space in it", "日本語日本語日本語日本語"] {
            assert!(Token::new(weak).is_err(), "{weak}");
        }
    }

    #[test]
    fn pages_of_other_origins_are_foreign_unless_they_are_listed() {
        let access = Access { origins: vec![Url::parse("https://app.example").unwrap()], ..Access::default() };
        let origin = |host: &str, origin: &str| access.origin(&headers(&[(header::HOST, host), (header::ORIGIN, origin)]));
        assert_eq!(origin("localhost:7171", "http://localhost:7171"), Origin::Own);
        assert_eq!(origin("docs.example", "https://docs.example"), Origin::Own);
        assert!(matches!(origin("localhost:7171", "https://app.example"), Origin::Listed(_)));
        for foreign in [
            "http://localhost:3000",
            "null",
            "http://app.example",
            "https://app.example.evil.example",
            "https://app.example:444",
        ] {
            assert_eq!(origin("localhost:7171", foreign), Origin::Foreign, "{foreign}");
        }
        assert_eq!(access.origin(&HeaderMap::new()), Origin::None);
    }

    #[test]
    fn a_cookie_that_came_by_tls_goes_by_nothing_else() {
        for (scheme, secure) in [("https", true), ("HTTPS", true), ("https, http", true), ("http, https", false), ("", false)] {
            let headers = headers(&[(HeaderName::from_static("x-forwarded-proto"), scheme)]);
            assert_eq!(is_secure(&headers), secure, "{scheme}");
            let cookie = cookie("0123456789abcdef", is_secure(&headers)).unwrap();
            assert_eq!(cookie.to_str().unwrap().ends_with("; Secure"), secure);
        }
        assert!(!is_secure(&HeaderMap::new()));
    }

    #[test]
    fn only_a_token_opens_it_to_other_machines() {
        let everywhere: SocketAddr = "0.0.0.0:7171".parse().unwrap();
        assert!(matches!(Access::default().check(everywhere), Err(ServeError::Open(_))));
        assert!(Access::default().check("[::1]:7171".parse().unwrap()).is_ok());
        let access = Access { tokens: vec![Token::new("0123456789abcdef").unwrap()], ..Access::default() };
        assert!(access.check(everywhere).is_ok());
    }
}
