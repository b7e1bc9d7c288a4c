//! A bucket, as a pipeline says it.

use std::fmt;
use std::time::Duration;

use globset::GlobSet;
use rusty_s3::{Bucket, UrlStyle};
use url::Url;

use crate::providers::Secret;
use crate::source::SourceError;

/// How long a connection, the head of an answer, or a silence within one may take.
const TIMEOUT: Duration = Duration::from_secs(30);
/// The region of servers that have none.
pub const REGION: &str = "us-east-1";

/// The objects of a bucket, or of a folder in it.
#[derive(Clone)]
pub struct S3Plan {
    pub(super) bucket: Bucket,
    pub(super) prefix: String,
    /// Who asks. `None`: nobody; requests are not signed, as a public bucket answers them.
    pub login: Option<Login>,
    /// When not empty: only objects whose key below the prefix matches.
    pub include: GlobSet,
    /// Never objects whose key below the prefix matches.
    pub exclude: GlobSet,
    /// Larger objects are skipped.
    pub max_bytes: u64,
    /// How long a connection, the head of an answer, or a silence within one may take.
    pub timeout: Duration,
}

/// Who asks.
#[derive(Debug, Clone)]
pub struct Login {
    /// The access key.
    pub access_key: Secret,
    /// What is signed with.
    pub secret_key: Secret,
    /// Of a session.
    pub session_token: Option<Secret>,
}

impl S3Plan {
    /// All objects of a bucket, asked for by nobody.
    ///
    /// `endpoint` is the address of the server, by default AWS's own in the region. `virtual_host` says whether the bucket is a part
    /// of the host (by default at AWS, unless its name has a point, which no certificate has, or is an old one that no host can have) or
    /// of the path.
    ///
    /// # Errors
    /// When bucket, region and endpoint make no address.
    pub fn new(bucket: &str, region: &str, endpoint: Option<Url>, virtual_host: Option<bool>) -> Result<Self, SourceError> {
        if let Some(problem) = bucket_problem(bucket) {
            return Err(SourceError::new(problem));
        }
        let named = |c: char| c.is_ascii_alphanumeric() || c == '-' || c == '_';
        if region.is_empty() || !region.chars().all(named) {
            return Err(SourceError::new("this is no name of a region (one looks like `eu-central-1`)"));
        }
        let is_of_hosts = |c: char| !matches!(c, '.' | '_') && !c.is_ascii_uppercase();
        let virtual_host = virtual_host.unwrap_or(endpoint.is_none() && bucket.chars().all(is_of_hosts));
        let endpoint = match endpoint {
            Some(endpoint) => endpoint,
            None => own_endpoint(region)?,
        };
        let style = if virtual_host { UrlStyle::VirtualHost } else { UrlStyle::Path };
        let bucket = Bucket::new(endpoint, style, bucket.to_owned(), region.to_owned())
            .map_err(|_| SourceError::new("bucket and endpoint make no address (an IP address has no `virtual_host`)"))?;
        Ok(Self {
            bucket,
            prefix: String::new(),
            login: None,
            include: GlobSet::empty(),
            exclude: GlobSet::empty(),
            max_bytes: 50_000_000,
            timeout: TIMEOUT,
        })
    }

    /// What lies in a folder alone: `docs` and `docs/` are the same, and neither is `docs-old/`.
    #[must_use]
    pub fn below(self, folder: &str) -> Self {
        let slash = if folder.is_empty() || folder.ends_with('/') { "" } else { "/" };
        Self { prefix: format!("{folder}{slash}"), ..self }
    }

    /// What all its documents' uris begin with.
    pub fn root(&self) -> String {
        self.uri(&self.prefix)
    }

    /// The name of the bucket.
    pub fn bucket(&self) -> &str {
        self.bucket.name()
    }

    /// Where the bucket is.
    pub fn address(&self) -> &Url {
        self.bucket.base_url()
    }

    /// The uri of a key: both are the same bytes.
    pub(super) fn uri(&self, key: &str) -> String {
        format!("s3://{}/{key}", self.bucket())
    }

    /// The key of a uri; `None` where it is of another bucket.
    pub(super) fn key<'a>(&self, uri: &'a str) -> Option<&'a str> {
        uri.strip_prefix("s3://")?.strip_prefix(self.bucket())?.strip_prefix('/')
    }
}

impl fmt::Debug for S3Plan {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("S3Plan").field("root", &self.root()).field("address", &self.address().as_str()).finish_non_exhaustive()
    }
}

/// AWS's own server of a region.
fn own_endpoint(region: &str) -> Result<Url, SourceError> {
    let china = if region.starts_with("cn-") { ".cn" } else { "" };
    Url::parse(&format!("https://s3.{region}.amazonaws.com{china}")).map_err(SourceError::new)
}

/// Why no bucket has such a name.
fn bucket_problem(name: &str) -> Option<&'static str> {
    let named = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '-' | '_');
    if name.starts_with("s3://") || name.contains('/') {
        Some("this is more than the name of a bucket (a folder in it is `prefix`, a server `endpoint`)")
    } else if name.starts_with("arn:") {
        Some("this is no name of a bucket (of an access point it is the alias, which ends with -s3alias)")
    } else if !(3..=255).contains(&name.len()) || !name.chars().all(named) || matches!(name, "..." | "..") {
        Some("this is no name of a bucket (3 to 63 small letters, digits, `-` and `.`)")
    } else {
        None
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a failing test may panic")]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn plan(bucket: &str, region: &str, endpoint: Option<&str>) -> Result<S3Plan, SourceError> {
        S3Plan::new(bucket, region, endpoint.map(|endpoint| endpoint.parse().unwrap()), None)
    }

    #[test]
    fn a_bucket_has_an_address() {
        for (bucket, region, endpoint, address) in [
            ("docs", "eu-west-1", None, "https://docs.s3.eu-west-1.amazonaws.com/"),
            ("docs", "cn-north-1", None, "https://docs.s3.cn-north-1.amazonaws.com.cn/"),
            ("docs.example.org", "eu-west-1", None, "https://s3.eu-west-1.amazonaws.com/docs.example.org/"),
            ("docs", "us-east-1", Some("http://127.0.0.1:9000"), "http://127.0.0.1:9000/docs/"),
            ("docs", "auto", Some("https://s3.example/storage/"), "https://s3.example/storage/docs/"),
        ] {
            assert_eq!(plan(bucket, region, endpoint).unwrap().address().as_str(), address);
        }
        for bucket in ["", "ab", "...", "s3://docs/a", "docs/a", "arn:aws:s3:::docs", "a b c", "文档文档"] {
            assert!(plan(bucket, REGION, None).is_err(), "{bucket}");
        }
        assert!(plan("docs", "eu west", None).is_err() && plan("docs", "evil.example/", None).is_err());
        let at = |ip: &str| S3Plan::new("docs", REGION, Some(ip.parse().unwrap()), Some(true));
        assert!(at("http://127.0.0.1").is_err() && at("https://s3.example").is_ok());
    }

    #[test]
    fn a_folder_is_no_beginning_of_a_name() {
        let root = |folder: &str| plan("docs", REGION, None).unwrap().below(folder).root();
        assert_eq!(root(""), "s3://docs/");
        assert_eq!(root("手册"), "s3://docs/手册/");
        assert_eq!(root("a/b/"), "s3://docs/a/b/");
    }

    #[test]
    fn no_secret_is_printed() {
        let mut plan = plan("docs", REGION, Some("https://user:s3cr3t@s3.example")).unwrap();
        let secret = || Secret::new("s3cr3t");
        plan.login = Some(Login { access_key: secret(), secret_key: secret(), session_token: Some(secret()) });
        assert!(!format!("{plan:?} {:?}", plan.login).contains("s3cr3t"));
    }

    proptest! {
        #[test]
        fn keys_come_back_as_they_are(key in "\\PC{1,40}|[ /%+.?#a指]{1,20}") {
            let plan = plan("docs", REGION, None).unwrap();
            let uri = plan.uri(&key);
            prop_assert_eq!(plan.key(&uri), Some(key.as_str()));
            let other = uri.replacen("docs", "docs2", 1);
            prop_assert_eq!(plan.key(&other), None);
        }
    }
}
