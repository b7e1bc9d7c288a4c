//! Where a Postgres is, and how it is spoken to.

use std::path::Path;
use std::time::Duration;

use tokio_postgres::Config;
use tokio_postgres::config::{Host, SslMode};

use super::super::url::{TlsMode, TlsTerms, UrlProblem, is_local, without_tls};

/// How long a connection may take, unless the address says it.
const CONNECT: Duration = Duration::from_secs(10);

/// The address of a database.
pub(crate) struct Address {
    /// As the driver wants it. Holds the password.
    pub(crate) config: Config,
    pub(super) tls: TlsTerms,
    /// The database's name.
    pub(crate) name: String,
    /// "Postgres at host:5432".
    pub(crate) place: String,
}

impl Address {
    /// Reads one. `base`: what a file of certificates is relative to.
    pub(crate) fn new(url: &str, base: &Path) -> Result<Self, UrlProblem> {
        let (url, tls) = without_tls(url, base)?;
        let mut config: Config = url.parse().map_err(|error| unusable(&error))?;
        let hosts = config.get_hosts();
        if hosts.is_empty() && config.get_hostaddrs().is_empty() {
            return Err(UrlProblem::new("names no host").hint("postgres://user:password@host:5432/database"));
        }
        let name = config.get_dbname().or(config.get_user()).map(str::to_owned);
        let Some(name) = name.filter(|name| !name.is_empty()) else {
            return Err(UrlProblem::new("names no database").hint("postgres://user:password@host:5432/database"));
        };
        let host = |host: &Host| match host {
            Host::Tcp(name) => name.clone(),
            #[cfg(unix)]
            Host::Unix(path) => path.display().to_string(),
        };
        let hosts: Vec<String> = hosts.iter().map(host).collect();
        let local = hosts.iter().all(|host| is_local(host)) && config.get_hostaddrs().iter().all(std::net::IpAddr::is_loopback);
        config.ssl_mode(match tls.mode(local) {
            TlsMode::Off => SslMode::Disable,
            TlsMode::Preferred => SslMode::Prefer,
            TlsMode::Required => SslMode::Require,
        });
        let port = config.get_ports().first().copied().unwrap_or(5432);
        let place = format!("Postgres at {}:{port}", hosts.join(","));
        if config.get_connect_timeout().is_none() {
            config.connect_timeout(CONNECT);
        }
        if config.get_application_name().is_none() {
            config.application_name("ragstream");
        }
        Ok(Self { config, tls, name, place })
    }
}

/// What is wrong with an address; a piece of a password may look like the name of a setting.
fn unusable(error: &tokio_postgres::Error) -> UrlProblem {
    let message = crate::error::reason(error);
    let told = ["unknown option", "invalid value for option"].iter().any(|known| message.contains(known));
    let plain = |c: char| c.is_ascii_lowercase() || c == '_';
    let name = message.rsplit('`').nth(1).filter(|name| name.chars().all(plain) && !name.is_empty());
    match name.filter(|_| told) {
        Some(name) => UrlProblem::new(format!("`{name}` is not known, or has a wrong value")),
        None => UrlProblem::new("is no address of a Postgres database").hint(
            "postgres://user:password@host:5432/database; in a password, write %40 for @, %2F for /, %3A for :, %25 for %",
        ),
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a failing test may panic")]
mod tests {
    use super::*;

    fn open(url: &str) -> Result<Address, UrlProblem> {
        Address::new(url, Path::new("/p"))
    }

    #[test]
    fn addresses() {
        for (url, name, place) in [
            ("postgres://u:p%40ss@db.example/shop", "shop", "Postgres at db.example:5432"),
            ("postgresql://u@a.example:1,b.example:2/商店", "商店", "Postgres at a.example,b.example:1"),
            ("postgres://u@%2Frun%2Fpostgresql/shop", "shop", "Postgres at /run/postgresql:5432"),
            ("postgres:///shop?host=/run/postgresql&user=me", "shop", "Postgres at /run/postgresql:5432"),
            ("postgres://me@h?sslmode=require", "me", "Postgres at h:5432"),
        ] {
            let address = open(url).unwrap();
            assert_eq!((address.name.as_str(), address.place.as_str()), (name, place), "{url}");
        }
        assert_eq!(open("postgres://u@localhost/x").unwrap().config.get_ssl_mode(), SslMode::Disable);
        assert_eq!(open("postgres://u@db.example/x").unwrap().config.get_ssl_mode(), SslMode::Prefer);
        assert_eq!(open("postgres://u@db.example/x?sslmode=verify-full").unwrap().config.get_ssl_mode(), SslMode::Require);
    }

    #[test]
    fn wrong_addresses_tell_no_secret() {
        for url in ["postgres://u:secret@", "postgres://u:secret@h:port/x", "postgres://u:secret@h/x?secret=1"] {
            let problem = open(url).err().unwrap();
            let told = format!("{problem:?}");
            assert!(!told.contains("ret@") && !told.contains("sec?"), "{told}");
        }
        assert_eq!(open("postgres://h/x?keepalive=1").err().unwrap().message, "`keepalive` is not known, or has a wrong value");
    }
}
