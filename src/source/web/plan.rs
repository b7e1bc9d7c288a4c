//! A site, as a pipeline says it.

use std::fmt;
use std::time::Duration;

use globset::GlobSet;
use url::Url;

use crate::providers::Secret;
use crate::source::SkipReason;

/// Pages of a site that are visited at most, unless the pipeline says otherwise.
pub const MAX_PAGES: u64 = 10_000;
/// Links from a seed to a page at most, unless the pipeline says otherwise.
pub const MAX_DEPTH: u32 = 100;
/// A server that is started anew is back by then.
const PATIENCE: Duration = Duration::from_secs(30);
/// What the crawler calls itself.
pub const USER_AGENT: &str = concat!("ragstream/", env!("CARGO_PKG_VERSION"), " (+https://docs.rs/ragstream)");

/// Whole sites, from these pages on.
#[derive(Clone)]
pub struct WebPlan {
    /// Where to begin; each says what belongs to its site.
    pub urls: Vec<Url>,
    /// When not empty: only pages whose path matches become documents. The others are followed all the same.
    pub include: GlobSet,
    /// Pages whose path matches are not visited.
    pub exclude: GlobSet,
    /// Pages that are visited in one run, at most.
    pub max_pages: u64,
    /// Links from a seed to a page, at most.
    pub max_depth: u32,
    /// Between two requests to a host, at least; `None`: a quarter of a second, and none to this machine. Zero: robots.txt and what
    /// the host's answers teach (its latency, its refusals) alone decide.
    pub delay: Option<Duration>,
    /// Requests to a host at once, at most; `None`: 2, and 8 to this machine.
    pub concurrency: Option<usize>,
    /// Sent to the origins of `urls`, and nowhere else.
    pub headers: Vec<(String, Secret)>,
    /// Whether sitemaps are looked for.
    pub sitemap: bool,
    /// Whether a page is taken for unchanged that a sitemap's `lastmod` calls older than the last visit.
    pub trust_lastmod: bool,
    /// What the crawler calls itself. Its first word is what robots.txt is asked about.
    pub user_agent: String,
    /// Larger pages and files are skipped.
    pub max_bytes: u64,
    /// How long a host that answers nothing but failures is waited for, before nothing more is asked of it in a run; and how long a page
    /// that was there before and is not found any more, before it is looked at once more.
    pub patience: Duration,
}

impl WebPlan {
    /// These sites, with everything as it is by default.
    pub fn new(urls: Vec<Url>, max_bytes: u64) -> Self {
        Self {
            urls,
            include: GlobSet::empty(),
            exclude: GlobSet::empty(),
            max_pages: MAX_PAGES,
            max_depth: MAX_DEPTH,
            delay: None,
            concurrency: None,
            headers: Vec::new(),
            sitemap: true,
            trust_lastmod: false,
            user_agent: USER_AGENT.to_owned(),
            max_bytes,
            patience: PATIENCE,
        }
    }

    /// Whether this is a page of one of the hosts.
    pub fn may_have(&self, uri: &str) -> bool {
        let host = Url::parse(uri).ok();
        let host = host.as_ref().and_then(Url::host_str);
        host.is_some() && self.urls.iter().any(|url| url.host_str() == host)
    }

    /// Why a page of this address is never taken.
    pub fn refusal(&self, uri: &str) -> Option<SkipReason> {
        let path = super::rules::path(&Url::parse(uri).ok()?);
        let excluded = self.exclude.is_match(&path) || !(self.include.is_empty() || self.include.is_match(&path));
        excluded.then_some(SkipReason::Excluded)
    }
}

impl fmt::Debug for WebPlan {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let urls: Vec<&str> = self.urls.iter().filter_map(Url::host_str).collect();
        f.debug_struct("WebPlan").field("hosts", &urls).finish_non_exhaustive()
    }
}
