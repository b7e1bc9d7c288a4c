//! Addresses of servers, as people write them.

use std::net::Ipv6Addr;

use url::{Host, Url};

use super::meaning::Problem;

/// An HTTP address without credentials, query and trailing `/`.
pub(super) fn server_url(text: &str) -> Result<Url, Problem> {
    let mut url = Url::parse(text.trim()).map_err(|error| {
        let problem = Problem::new(format!("is not a URL: {error}"));
        if text.contains("://") { problem } else { problem.hint("it begins with http:// or https://") }
    })?;
    if !matches!(url.scheme(), "http" | "https") {
        return Err(Problem::new("is not a web address").hint("it begins with http:// or https://"));
    }
    if !url.username().is_empty() || url.password().is_some() {
        return Err(Problem::new("holds a user name or password").hint("use `api_key`, with a variable"));
    }
    if url.query().is_some() || url.fragment().is_some() {
        return Err(Problem::new("has a `?` or `#` part, which a root address cannot have"));
    }
    let path = url.path().trim_end_matches('/').to_owned();
    url.set_path(&path);
    Ok(url)
}

/// `OLLAMA_HOST` as Ollama's own client reads it: scheme and port may be missing, and the address to listen on everywhere
/// is this machine.
pub(super) fn ollama_host(text: &str) -> Result<Url, Problem> {
    let text = text.trim().trim_matches(['"', '\'']);
    let mut url = if text.contains("://") {
        server_url(text)?
    } else {
        let (authority, path) = text.split_once('/').unwrap_or((text, ""));
        let authority = match authority.parse::<Ipv6Addr>() {
            Ok(ip) => format!("[{ip}]:11434"),
            Err(_) => match authority.rsplit_once(':') {
                Some(("", port)) => format!("localhost:{port}"),
                Some((_, port)) if !port.ends_with(']') => authority.to_owned(),
                _ => format!("{authority}:11434"),
            },
        };
        server_url(&format!("http://{authority}/{path}"))?
    };
    let listening = match url.host() {
        Some(Host::Ipv4(ip)) if ip.is_unspecified() => Some("127.0.0.1"),
        Some(Host::Ipv6(ip)) if ip.is_unspecified() => Some("[::1]"),
        _ => None,
    };
    if let Some(here) = listening {
        url.set_host(Some(here)).map_err(|error| Problem::new(format!("is not a URL: {error}")))?;
    }
    Ok(url)
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a failing test may panic")]
mod tests {
    use super::*;

    #[test]
    fn ollama_host_as_ollama_reads_it() {
        for (text, url) in [
            ("box", "http://box:11434/"),
            ("box:80", "http://box/"),
            (":1234", "http://localhost:1234/"),
            ("0.0.0.0", "http://127.0.0.1:11434/"),
            ("[::]:5", "http://[::1]:5/"),
            ("::1", "http://[::1]:11434/"),
            ("[::1]", "http://[::1]:11434/"),
            ("https://box/ollama/", "https://box/ollama"),
            ("box/x", "http://box:11434/x"),
        ] {
            assert_eq!(ollama_host(text).unwrap().as_str(), url, "{text}");
        }
        assert!(ollama_host("a b").is_err());
    }

    #[test]
    fn addresses_that_are_refused() {
        for (text, why) in [
            ("api.openai.com/v1", "is not a URL"),
            ("ftp://x/", "not a web address"),
            ("https://user:pass@x/", "user name or password"),
            ("https://x/?a=1", "`?` or `#`"),
        ] {
            assert!(server_url(text).unwrap_err().message.contains(why), "{text}");
        }
    }
}
