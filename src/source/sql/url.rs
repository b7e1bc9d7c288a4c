//! Parts of addresses of databases.

use std::path::{Path, PathBuf};

/// What is wrong with an address. Holds no secret.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct UrlProblem {
    /// What is wrong.
    pub message: String,
    /// What to do.
    pub hint: Option<String>,
}

impl UrlProblem {
    pub(super) fn new(message: impl Into<String>) -> Self {
        Self { message: message.into(), hint: None }
    }

    pub(super) fn hint(self, hint: impl Into<String>) -> Self {
        Self { hint: Some(hint.into()), ..self }
    }
}

/// What stands before the first `:`, if it is a scheme.
pub(super) fn scheme(url: &str) -> &str {
    let scheme = url.split_once(':').map_or("", |(scheme, _)| scheme);
    if scheme.chars().all(|c| c.is_ascii_alphanumeric() || matches!(c, '+' | '-' | '.')) { scheme } else { "" }
}

/// When a connection is encrypted. Wherever it is, the server's certificate is verified, and its name.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum TlsMode {
    /// Never.
    Off,
    /// If the server can.
    Preferred,
    /// Always.
    Required,
}

/// What an address says of TLS.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct TlsTerms {
    /// `sslmode`; `None`: off to this machine, preferred elsewhere.
    pub mode: Option<TlsMode>,
    /// `sslrootcert`: certificates to trust in place of the system's.
    pub roots: Option<PathBuf>,
}

impl TlsTerms {
    /// When a connection is encrypted.
    pub fn mode(&self, local: bool) -> TlsMode {
        self.mode.unwrap_or(match (&self.roots, local) {
            (Some(_), _) => TlsMode::Required,
            (None, true) => TlsMode::Off,
            (None, false) => TlsMode::Preferred,
        })
    }
}

/// Takes `sslmode` and `sslrootcert`, by the names of both worlds, out of an address.
pub(super) fn without_tls(url: &str, base: &Path) -> Result<(String, TlsTerms), UrlProblem> {
    let mut terms = TlsTerms { mode: None, roots: None };
    // A `?` before the last `@` belongs to a password that should have been encoded; the driver will say so.
    let Some((head, query)) = url.split_once('?').filter(|(_, query)| !query.contains('@')) else {
        return Ok((url.to_owned(), terms));
    };
    let mut kept = Vec::new();
    for pair in query.split('&').filter(|pair| !pair.is_empty()) {
        let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
        match name.to_ascii_lowercase().as_str() {
            "sslmode" | "ssl-mode" | "ssl_mode" => {
                terms.mode = Some(match value.to_ascii_lowercase().replace('_', "-").as_str() {
                    "disable" | "disabled" => TlsMode::Off,
                    "allow" | "prefer" | "preferred" => TlsMode::Preferred,
                    "require" | "required" | "verify-ca" | "verify-full" | "verify-identity" => TlsMode::Required,
                    _ => {
                        let problem = UrlProblem::new("`sslmode` has a value that is not known");
                        return Err(problem.hint("it is one of disable, prefer and require; certificates are always verified"));
                    }
                });
            }
            "sslrootcert" | "ssl-ca" | "ssl_ca" => {
                if value != "system" && !value.is_empty() {
                    terms.roots = Some(base.join(&*decoded(value)?));
                }
            }
            _ => kept.push(pair),
        }
    }
    if terms.mode == Some(TlsMode::Off) && terms.roots.is_some() {
        return Err(UrlProblem::new("`sslrootcert` has no effect with `sslmode=disable`").hint("remove one of them"));
    }
    let query = if kept.is_empty() { String::new() } else { format!("?{}", kept.join("&")) };
    Ok((format!("{head}{query}"), terms))
}

/// A part of an address without its `%`.
pub(super) fn decoded(text: &str) -> Result<String, UrlProblem> {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.bytes();
    while let Some(byte) = rest.next() {
        if byte == b'%' {
            let mut digit = || rest.next().and_then(|digit| char::from(digit).to_digit(16));
            match (digit(), digit()) {
                (Some(high), Some(low)) => bytes.push((high << 4 | low) as u8),
                _ => {
                    return Err(
                        UrlProblem::new("a `%` is not followed by two hexadecimal digits").hint("a `%` itself is `%25`")
                    );
                }
            }
        } else {
            bytes.push(byte);
        }
    }
    String::from_utf8(bytes).map_err(|_| UrlProblem::new("a part with `%` is not UTF-8"))
}

/// Whether a host is this machine.
#[cfg(any(feature = "mysql", feature = "postgres"))]
pub(super) fn is_local(host: &str) -> bool {
    let host = host.trim_start_matches('[').trim_end_matches(']');
    host.is_empty()
        || host.starts_with('/')
        || host.eq_ignore_ascii_case("localhost")
        || host.parse::<std::net::IpAddr>().is_ok_and(|ip| ip.is_loopback())
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a failing test may panic")]
mod tests {
    use super::*;

    #[test]
    fn tls_is_taken_out_of_an_address() {
        let base = Path::new("/p");
        let (url, terms) =
            without_tls("postgres://u:p@h/db?sslmode=verify-full&application_name=x&sslrootcert=ca%20x.pem", base).unwrap();
        assert_eq!(url, "postgres://u:p@h/db?application_name=x");
        assert_eq!(terms, TlsTerms { mode: Some(TlsMode::Required), roots: Some("/p/ca x.pem".into()) });
        let (url, terms) = without_tls("mysql://h/db?ssl-mode=DISABLED", base).unwrap();
        assert_eq!((url.as_str(), terms.mode), ("mysql://h/db", Some(TlsMode::Off)));
        assert_eq!(without_tls("postgres://h/db", base).unwrap().1.mode(false), TlsMode::Preferred);
        assert_eq!(without_tls("postgres://h/db", base).unwrap().1.mode(true), TlsMode::Off);
        assert_eq!(without_tls("postgres://h/db?sslrootcert=/ca", base).unwrap().1.mode(true), TlsMode::Required);
        assert!(without_tls("postgres://h/db?sslmode=sometimes", base).unwrap_err().message.contains("sslmode"));
        assert!(without_tls("postgres://h/db?sslmode=disable&sslrootcert=/ca", base).is_err());
        // A password that was not encoded is not cut up.
        assert_eq!(without_tls("postgres://u:a?sslmode=x@h/db", base).unwrap().0, "postgres://u:a?sslmode=x@h/db");
    }

    #[test]
    fn schemes_and_percent_signs() {
        assert_eq!([scheme("postgres://x"), scheme("sqlite:a"), scheme("a b:c"), scheme("x")], ["postgres", "sqlite", "", ""]);
        assert_eq!(decoded("a%2Fb%E5%93%81").unwrap(), "a/b品");
        assert!(decoded("100%").is_err() && decoded("%ff").is_err());
    }
}
