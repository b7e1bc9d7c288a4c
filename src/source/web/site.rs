//! What is remembered of a site as a whole, from crawl to crawl.

use std::collections::{BTreeMap, BTreeSet};
use std::time::{SystemTime, UNIX_EPOCH};

use serde::{Deserialize, Serialize};
use url::Url;

use super::links;
use super::rules::is_generated;
use super::scope::Scope;

/// Generators that are told apart in one scope, at most: a manual and a blog have two.
const GENERATORS: usize = 8;

/// What is remembered of the crawl as a whole.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub(super) struct Site {
    /// Its number; every run that is not interrupted has one of its own.
    pub(super) crawl: u64,
    /// It is not at its end.
    pub(super) running: bool,
    /// When it began, in seconds since the Unix epoch.
    pub(super) began: i64,
    /// Pages that it has visited.
    pub(super) visited: u64,
    /// What belongs to the site, by seed.
    pub(super) scopes: Vec<(Url, Scope)>,
    /// Seeds that led out of their scopes in the crawl before, and where to.
    #[serde(default)]
    pub(super) moves: Vec<(Url, Scope)>,
    /// Its sitemaps have been read.
    pub(super) sought: bool,
    /// Pages in scope that the sitemaps named.
    pub(super) in_sitemaps: u64,
    /// And how many they named in the crawl before.
    pub(super) were_in_sitemaps: u64,
    /// Discovery was incomplete (a sitemap failed, or shrank): that nothing leads to a page is no sign.
    pub(super) blurred: bool,
    /// What the pages say that they were made with, by the prefix of the scope.
    #[serde(default)]
    pub(super) generators: BTreeMap<String, BTreeSet<String>>,
}

impl Site {
    /// Notes what a page was made with.
    pub(super) fn made_with(&mut self, url: &Url, generator: &str) {
        let Some((_, scope)) = self.scopes.iter().find(|(_, scope)| scope.covers(url)) else { return };
        let known = self.generators.entry(scope.prefix().to_owned()).or_default();
        if known.len() < GENERATORS {
            known.insert(generator.to_owned());
        }
    }

    /// An address as its site spells it.
    pub(super) fn normal(&self, url: &Url) -> Url {
        let url = links::normal(url);
        let site = self.scopes.iter().find(|(_, scope)| scope.covers(&url));
        site.map_or_else(|| url.clone(), |(_, scope)| scope.by_own_scheme(&url))
    }

    /// Whether a page belongs to one of the sites.
    pub(super) fn covers(&self, url: &Url) -> bool {
        self.scopes.iter().any(|(_, scope)| scope.covers(url))
    }

    /// Whether a page says again what others of its site say.
    pub(super) fn is_generated(&self, url: &Url) -> bool {
        let Some((_, scope)) = self.scopes.iter().find(|(_, scope)| scope.covers(url)) else {
            return is_generated(url, None, "/");
        };
        let root = scope.url().path();
        let mut known = self.generators.get(scope.prefix()).into_iter().flatten();
        is_generated(url, None, root) || known.any(|generator| is_generated(url, Some(generator), root))
    }
}

/// In seconds since the Unix epoch.
pub(super) fn now() -> i64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| i64::try_from(since.as_secs()).unwrap_or(i64::MAX))
}
