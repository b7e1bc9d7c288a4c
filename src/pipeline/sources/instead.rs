//! What to write where an address of a database stands in place of a file.

use std::path::Path;

use super::sql::TIMEOUT;
use crate::source::sql::open;

/// The source that a pipeline file would have in place of this address: filled with it, where that gives no secret away.
pub(super) fn instead(url: &str) -> String {
    let shown = if url.starts_with("sqlite:") { Some(url.to_owned()) } else { without_password(url) };
    let (url, more) = match shown {
        Some(url) if url.contains(PASSWORD) => {
            (url, "\n\nDATABASE_PASSWORD is the password, with %40 for @, %2F for /, %3A for :, %25 for %")
        }
        Some(url) => (url, ""),
        None => ("${DATABASE_URL}".to_owned(), ""),
    };
    // JSON's strings are YAML's.
    let url = if url.chars().all(is_plain) { url } else { serde_json::to_string(&url).unwrap_or_default() };
    format!(
        "tables go through a pipeline file, which says what makes a document of a row:

sources:
  - sql:
      url: {url}
      table: items
      key: id{more}"
    )
}

const PASSWORD: &str = "${DATABASE_PASSWORD}";

/// An address with a variable in place of its password. `None`: it cannot be told where in it a password stands.
fn without_password(url: &str) -> Option<String> {
    open(url, Path::new("/"), TIMEOUT).ok()?;
    let (scheme, rest) = url.split_once("://")?;
    let (address, query) = rest.split_once('?').unwrap_or((rest, ""));
    // A second `@` belongs to a password that was not encoded, and so may one behind a `?`.
    if url.matches('@').count() > 1 || query.contains('@') {
        return None;
    }
    let (login, place) = match address.split_once('@') {
        Some((login, place)) => (Some(login), place),
        None => (None, address),
    };
    let login = match login.map(|login| login.split_once(':').unwrap_or((login, ""))) {
        Some((user, "")) => format!("{user}@"),
        Some((user, _)) => format!("{user}:{PASSWORD}@"),
        None => String::new(),
    };
    let harmless = |pair: &&str| {
        let name = pair.split('=').next().unwrap_or_default();
        ["sslmode", "sslrootcert", "ssl-mode", "ssl-ca", "host", "port", "user", "dbname", "connect_timeout"].contains(&name)
    };
    let query: Vec<&str> = query.split('&').filter(harmless).collect();
    let query = if query.is_empty() { String::new() } else { format!("?{}", query.join("&")) };
    let told = format!("{scheme}://{login}{place}{query}");
    told.replace(PASSWORD, "").chars().all(is_plain).then_some(told)
}

/// Whether a character of an address means nothing else in YAML.
fn is_plain(c: char) -> bool {
    c.is_alphanumeric() || "-._~:/?@%=&,[]+${}".contains(c)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn filled(url: &str) -> String {
        let told = instead(url);
        let line = told.lines().find_map(|line| line.strip_prefix("      url: "));
        line.unwrap_or_default().to_owned()
    }

    #[test]
    fn the_snippet_is_filled_with_the_address_without_its_password() {
        for (url, line) in [
            ("postgres://reader:s3cr3t@db.example:5432/shop", "postgres://reader:${DATABASE_PASSWORD}@db.example:5432/shop"),
            ("mysql://读者:s3cr3t%40@h/商店?sslmode=require", "mysql://读者:${DATABASE_PASSWORD}@h/商店?sslmode=require"),
            ("postgres://reader@a:1,b:2/shop", "postgres://reader@a:1,b:2/shop"),
            (
                "postgresql:///shop?host=/run/postgresql&user=me&password=s3cr3t",
                "postgresql:///shop?host=/run/postgresql&user=me",
            ),
            ("postgres://localhost/shop", "postgres://localhost/shop"),
            ("postgres://u:s3cr3t/x@h/db", "postgres://u:${DATABASE_PASSWORD}@h/db"),
            ("sqlite:shop.db", "sqlite:shop.db"),
            ("sqlite:my shop #1.db", "\"sqlite:my shop #1.db\""),
            // Whoever cannot say which part is the password shows none of it.
            ("postgres://u:s3cr3t@s3cr3t@h/db", "${DATABASE_URL}"),
            ("postgres://u:s3cr3t?x@h/db", "${DATABASE_URL}"),
            ("postgres://h/db?user=u&password=s3cr3t@s3cr3t", "${DATABASE_URL}"),
            ("mysql://u:s3cr3t/x@h/db", "${DATABASE_URL}"),
            ("mysql://u:s3cr3t#x@h/db", "${DATABASE_URL}"),
            ("postgres://", "${DATABASE_URL}"),
        ] {
            assert_eq!(filled(url), line, "{url}");
            assert!(!instead(url).contains("s3cr3t"), "{}", instead(url));
        }
    }
}
