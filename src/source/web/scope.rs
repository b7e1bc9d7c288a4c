//! What belongs to a site: the folder where its seed is, after the redirects that the seed itself leads through.

use std::fmt;

use serde::{Deserialize, Serialize};
use url::{Origin, Url};

use crate::source::is_within;
use crate::source::readable::readable_path;

/// Where a crawl stays.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Scope {
    /// What everything in it begins with: origin and path. It ends with a `/`, or at the end of a segment.
    prefix: Url,
    /// The same host by the other scheme, where one leads to the other.
    twin: Option<Url>,
    reason: Reason,
}

/// Why a scope is what it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(super) enum Reason {
    /// The seed is a folder.
    Folder,
    /// The seed is a page: its folder.
    Page,
    /// The seed led elsewhere.
    Redirect,
}

impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Folder => "as given",
            Self::Page => "the folder of the page",
            Self::Redirect => "after a redirect",
        })
    }
}

impl Scope {
    /// The scope of a seed that led to `last`. `has_pages_below`: whether the page there links to pages below its own address; only
    /// that tells whether `/docs` is a folder or a page in one. `None`: not known, and it is taken for a folder.
    pub(super) fn new(seed: &Url, last: &Url, has_pages_below: Option<bool>) -> Self {
        let (path, is_page) = folder(last.path(), has_pages_below);
        let mut prefix = last.clone();
        prefix.set_path(path);
        prefix.set_query(None);
        prefix.set_fragment(None);
        let moved = seed.origin() != last.origin() || seed.path() != last.path();
        let reason = if moved {
            Reason::Redirect
        } else if is_page {
            Reason::Page
        } else {
            Reason::Folder
        };
        let mut scope = Self { prefix, twin: None, reason };
        scope.learn(seed, last);
        scope
    }

    /// Learns from a redirect: `http` and `https` of the host are one site if one leads to the other.
    pub(super) fn learn(&mut self, from: &Url, to: &Url) {
        let Some(other) = other_scheme(&self.prefix) else { return };
        let (own, other_origin) = (self.prefix.origin(), other.origin());
        let pair = [from.origin(), to.origin()];
        if pair == [own.clone(), other_origin.clone()] || pair == [other_origin, own] {
            self.twin = Some(other);
        }
    }

    /// Whether a page belongs to it.
    pub(super) fn covers(&self, url: &Url) -> bool {
        self.places().any(|place| place.origin() == url.origin() && is_within(url.path(), place.path()))
    }

    /// The address of a page in it as it is known: by the scheme of the prefix, whichever it was linked by.
    pub(super) fn by_own_scheme(&self, url: &Url) -> Url {
        let is_twin = self.twin.as_ref().is_some_and(|twin| twin.origin() == url.origin());
        other_scheme(url).filter(|_| is_twin).unwrap_or_else(|| url.clone())
    }

    /// What all its pages begin with, for [`crate::source::is_within`].
    pub(super) fn prefix(&self) -> &str {
        self.prefix.as_str()
    }

    /// The prefix as an address.
    pub(super) fn url(&self) -> &Url {
        &self.prefix
    }

    fn places(&self) -> impl Iterator<Item = &Url> {
        std::iter::once(&self.prefix).chain(&self.twin)
    }
}

impl fmt::Display for Scope {
    /// "`/docs/` and below, after a redirect".
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let path = readable_path(self.prefix.path());
        write!(f, "`{path}` and below, {}", self.reason)
    }
}

/// The same address by the other of `http` and `https`, each at its own port.
fn other_scheme(url: &Url) -> Option<Url> {
    let other = match (url.scheme(), url.port()) {
        ("http", None) => "https",
        ("https", None) => "http",
        _ => return None,
    };
    let mut twin = url.clone();
    twin.set_scheme(other).ok()?;
    matches!(twin.origin(), Origin::Tuple(..)).then_some(twin)
}

/// The folder of a page, and whether the path was that of a page in it.
fn folder(path: &str, has_pages_below: Option<bool>) -> (&str, bool) {
    let (before, last) = path.rsplit_once('/').map_or(("", path), |(before, last)| (before, last));
    if last.is_empty() {
        return (path, false);
    }
    if !has_extension(last) && has_pages_below.unwrap_or(true) {
        return (path, false);
    }
    // With its slash.
    (path.get(..=before.len()).unwrap_or(path), true)
}

/// `index.html`, but neither `v1.2` nor `node.js-guide`.
fn has_extension(segment: &str) -> bool {
    segment.rsplit_once('.').is_some_and(|(name, extension)| {
        let letters = extension.bytes().any(|byte| byte.is_ascii_alphabetic());
        !name.is_empty()
            && letters
            && (2..=5).contains(&extension.len())
            && extension.bytes().all(|byte| byte.is_ascii_alphanumeric())
    })
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test may fail loudly")]

    use proptest::prelude::*;

    use super::*;

    fn url(text: &str) -> Url {
        text.parse().unwrap()
    }

    fn at(text: &str) -> Scope {
        Scope::new(&url(text), &url(text), None)
    }

    #[test]
    fn a_folder_ends_between_two_segments() {
        for seed in ["https://a.example/docs", "https://a.example/docs/"] {
            let scope = at(seed);
            assert_eq!((scope.prefix(), scope.reason), (seed, Reason::Folder));
            for inside in ["https://a.example/docs/", "https://a.example/docs/a?b#c", "https://A.example:443/docs/a/b"] {
                assert!(scope.covers(&url(inside)), "{seed} {inside}");
                assert!(is_within(url(inside).as_str(), scope.prefix()));
            }
            for outside in [
                "https://a.example/docs-old",
                "https://a.example/Docs/",
                "https://a.example/",
                "https://b.a.example/docs/",
                "https://a.example.org/docs/",
                "https://a.example:8443/docs/",
                "http://a.example/docs/",
            ] {
                assert!(!scope.covers(&url(outside)), "{seed} {outside}");
            }
        }
        assert!(at("https://a.example/docs").covers(&url("https://a.example/docs?page=2")));
        assert!(at("https://a.example").covers(&url("https://a.example/x/y")));
    }

    #[test]
    fn a_page_stands_for_its_folder() {
        for seed in ["https://a.example/ref/index.html", "https://a.example/ref/a.php?x=1#y", "https://a.example/ref/说明.html"]
        {
            let scope = at(seed);
            assert_eq!((scope.prefix(), scope.reason), ("https://a.example/ref/", Reason::Page));
        }
        let seed = url("https://a.example/ref/overview");
        let siblings = Scope::new(&seed, &seed, Some(false));
        assert_eq!((siblings.prefix(), siblings.reason), ("https://a.example/ref/", Reason::Page));
        assert_eq!(Scope::new(&seed, &seed, Some(true)).prefix(), "https://a.example/ref/overview");
        let versions =
            ["https://a.example/v1.2", "https://a.example/3.11", "https://a.example/node.js-guide", "https://a.example/.well"];
        for folder in versions {
            assert_eq!(at(folder).prefix(), folder);
        }
        let html = url("https://a.example/a.html");
        assert_eq!(Scope::new(&html, &html, Some(true)).prefix(), "https://a.example/");
    }

    #[test]
    fn a_redirect_of_the_seed_moves_it() {
        let moved = |seed: &str, last: &str| Scope::new(&url(seed), &url(last), Some(false));
        let scope = moved("http://a.example/docs", "https://www.a.example/docs/en/latest/");
        assert_eq!(scope.prefix(), "https://www.a.example/docs/en/latest/");
        assert_eq!(scope.to_string(), "`/docs/en/latest/` and below, after a redirect");
        assert!(!scope.covers(&url("http://www.a.example/docs/en/latest/")), "another host: nothing is learned of the scheme");
        assert_eq!(
            moved("https://a.example/", "https://a.example/文档/index.html").to_string(),
            "`/文档/` and below, after a redirect"
        );
    }

    #[test]
    fn two_schemes_are_one_site_if_one_leads_to_the_other() {
        let mut scope = Scope::new(&url("http://a.example/docs/"), &url("https://a.example/docs/"), None);
        assert!(scope.covers(&url("http://a.example/docs/b")));
        assert_eq!(scope.by_own_scheme(&url("http://a.example/docs/b?c")).as_str(), "https://a.example/docs/b?c");
        assert_eq!(scope.by_own_scheme(&url("http://b.example/")).as_str(), "http://b.example/");
        scope = at("https://a.example/docs/");
        assert!(!scope.covers(&url("http://a.example/docs/b")));
        assert_eq!(scope.by_own_scheme(&url("http://a.example/docs/b")).as_str(), "http://a.example/docs/b");
        scope.learn(&url("http://a.example/docs/b"), &url("https://a.example/docs/b"));
        assert!(scope.covers(&url("http://a.example/docs/b")) && !scope.covers(&url("http://a.example/x")));
        let ports = Scope::new(&url("http://a.example:8080/"), &url("https://a.example:8443/"), None);
        assert!(!ports.covers(&url("http://a.example:8080/")), "another port is another server");
        let kept: Scope = serde_json::from_str(&serde_json::to_string(&scope).unwrap()).unwrap();
        assert_eq!(kept, scope);
    }

    proptest! {
        /// Else what is not listed could be taken for gone where it was never looked for.
        #[test]
        fn what_it_covers_is_what_lies_below_its_prefix(seed in "/[ab./]{0,8}[?]?", below in proptest::option::of(any::<bool>()), path in "/[ab./]{0,10}[?]?[ab]?") {
            let at = |path: &str| Url::parse("https://a.example").unwrap().join(&format!("https://a.example{path}")).unwrap();
            let scope = Scope::new(&at(&seed), &at(&seed), below);
            prop_assert_eq!(scope.covers(&at(&path)), is_within(at(&path).as_str(), scope.prefix()));
            prop_assert!(scope.covers(&at(&seed)), "a seed belongs to its own site");
            prop_assert!(!scope.covers(&"https://b.example/".parse().unwrap()));
        }
    }
}
