//! Addresses of pages: which spellings are one page by any server's rules, and which are made without end.
//!
//! A slash at the end, `index.html`, `www.`, the scheme, the order of a query and the case of a path are left as they are: on some
//! server each of them makes another page. They are learned from redirects and from equal content.

use url::Url;

use super::client::without_login;
use super::escapes::{has_stray_percent, normal_escapes};

/// The longest address that is followed, as sitemaps have it.
const MAX_LENGTH: usize = 2048;

/// How often one segment may stand in a path: links that are relative to the wrong folder lead deeper each time.
const MAX_REPEATS: usize = 2;

/// Parameters that say where a reader came from. Of those that end with `_` the beginning counts.
const TRACKERS: [&str; 42] = [
    "utm_",
    "mtm_",
    "pk_campaign",
    "pk_kwd",
    "pk_source",
    "pk_medium",
    "gclid",
    "gclsrc",
    "dclid",
    "gbraid",
    "wbraid",
    "fbclid",
    "msclkid",
    "yclid",
    "ysclid",
    "twclid",
    "ttclid",
    "igshid",
    "igsh",
    "li_fat_id",
    "mc_cid",
    "mc_eid",
    "_ga",
    "_gl",
    "_hsenc",
    "_hsmi",
    "__hstc",
    "__hssc",
    "__hsfp",
    "hsctatracking",
    "mkt_tok",
    "vero_id",
    "vero_conv",
    "oly_anon_id",
    "oly_enc_id",
    "srsltid",
    "wickedid",
    "rb_clickid",
    "epik",
    "_openstat",
    "spm",
    "bd_vid",
];

/// Parameters that say who reads.
const SESSIONS: [&str; 8] = ["jsessionid", "phpsessid", "sessionid", "session_id", "cfid", "cftoken", "zenid", "oscsid"];

/// What a link on a page leads to; `None` if that is no web page. `base`: the page's own address, or its `<base>`.
pub(super) fn resolve(base: &Url, link: &str) -> Option<Url> {
    let url = base.join(link.trim()).ok()?;
    (matches!(url.scheme(), "http" | "https") && url.has_host() && url.as_str().len() <= MAX_LENGTH).then_some(url)
}

/// The one spelling by which a page is known.
pub(super) fn normal(url: &Url) -> Url {
    let mut url = without_login(url);
    url.set_fragment(None);
    let path = without_session(url.path());
    let path = if has_stray_percent(&path) { path } else { normal_escapes(&path).into_owned() };
    if path != url.path() {
        url.set_path(&path);
    }
    let Some(query) = url.query() else { return url };
    let normal = if has_stray_percent(query) { query.into() } else { normal_escapes(query) };
    let pairs: Vec<&str> = normal.split('&').collect();
    let kept: Vec<&str> = pairs.iter().copied().filter(|pair| !says_who_or_whence(pair)).collect();
    // A query that is empty to begin with stays: it is another address.
    let query = if kept.len() < pairs.len() && kept.iter().all(|pair| pair.is_empty()) { None } else { Some(kept.join("&")) };
    if query.as_deref() != url.query() {
        url.set_query(query.as_deref());
    }
    url
}

fn says_who_or_whence(pair: &str) -> bool {
    let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
    let name = name.to_ascii_lowercase();
    TRACKERS.iter().any(|&tracker| if tracker.ends_with('_') { name.starts_with(tracker) } else { name == tracker })
        || SESSIONS.contains(&name.as_str())
        || name.starts_with("aspsessionid")
        // Also short for "story id": only what looks like drawn by lot is a session.
        || (name == "sid" && value.len() >= 16 && value.bytes().all(|byte| byte.is_ascii_alphanumeric()))
}

/// The path without `;jsessionid=…`.
fn without_session(path: &str) -> String {
    let bare = |segment: &str| {
        let mut parts = segment.split(';');
        let first = parts.next().unwrap_or_default().to_owned();
        parts.filter(|part| !SESSIONS.contains(&part.split('=').next().unwrap_or_default().to_ascii_lowercase().as_str())).fold(
            first,
            |mut kept, part| {
                kept.push(';');
                kept.push_str(part);
                kept
            },
        )
    };
    path.split('/').map(bare).collect::<Vec<_>>().join("/")
}

/// Whether it looks as if it were made without end: a segment of its path, or a pair of its query, again and again. A number may
/// be repeated, as in dates.
pub(super) fn loops(url: &Url) -> bool {
    let segments: Vec<&str> =
        url.path().split('/').filter(|segment| segment.bytes().any(|byte| !byte.is_ascii_digit())).collect();
    let pairs: Vec<&str> = url.query().unwrap_or_default().split('&').filter(|pair| !pair.is_empty()).collect();
    [segments, pairs]
        .iter()
        .any(|parts| parts.iter().any(|part| parts.iter().filter(|other| *other == part).count() > MAX_REPEATS))
}

/// What its address has in common with others that the same program makes: numbers and what is drawn by lot are `#`, and of a query
/// the names alone are there, in order.
pub(super) fn shape(url: &Url) -> String {
    let host = url.origin().ascii_serialization();
    let path = percent_encoding::percent_decode_str(url.path()).decode_utf8_lossy();
    let mut shape = host + &numbers_as_one(&path);
    let mut names: Vec<&str> = url.query().unwrap_or_default().split('&').filter_map(|pair| pair.split('=').next()).collect();
    names.retain(|name| !name.is_empty());
    names.sort_unstable();
    names.dedup();
    if !names.is_empty() {
        shape.push('?');
        shape.push_str(&numbers_as_one(&names.join("&")));
    }
    shape
}

fn numbers_as_one(text: &str) -> String {
    let mut shape = String::with_capacity(text.len());
    for word in text.split_inclusive(|c: char| !c.is_alphanumeric()) {
        let end = word.find(|c: char| !c.is_alphanumeric()).unwrap_or(word.len());
        let (word, after) = word.split_at_checked(end).unwrap_or((word, ""));
        let by_lot = word.len() >= 8
            && word.bytes().filter(u8::is_ascii_digit).count() >= 2
            && word.bytes().any(|byte| byte.is_ascii_alphabetic());
        if by_lot && word.is_ascii() {
            shape.push('#');
        } else {
            for c in word.chars() {
                if !c.is_ascii_digit() {
                    shape.push(c);
                } else if !shape.ends_with('#') {
                    shape.push('#');
                }
            }
        }
        shape.push_str(after);
    }
    shape
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test may fail loudly")]

    use proptest::prelude::*;

    use super::*;

    fn at(text: &str) -> Url {
        Url::parse("https://a.example").unwrap().join(text).unwrap()
    }

    #[test]
    fn spellings_that_are_one_page_by_any_server_become_one() {
        let pairs = [
            ("HTTPS://A.Example:443", "https://a.example/"),
            ("https://user:pw@a.example/a#b", "https://a.example/a"),
            ("/a/./b/../c", "https://a.example/a/c"),
            ("/%7euser/%e6%96%87", "https://a.example/~user/%E6%96%87"),
            ("/文档?q=文", "https://a.example/%E6%96%87%E6%A1%A3?q=%E6%96%87"),
            ("/a?utm_source=x&b=1&UTM_medium=y&fbclid=z", "https://a.example/a?b=1"),
            ("/a?utm_source=x", "https://a.example/a"),
            ("/a?b=1&gclid=x&a=2", "https://a.example/a?b=1&a=2"),
            ("/a;jsessionid=0A1B?x=1", "https://a.example/a?x=1"),
            ("/a;v=1;JSESSIONID=0A1B/b;w", "https://a.example/a;v=1/b;w"),
            ("/a?PHPSESSID=1&sid=0123456789abcdef", "https://a.example/a"),
            ("http://例え.jp/", "http://xn--r8jz45g.jp/"),
        ];
        for (text, expected) in pairs {
            assert_eq!(normal(&at(text)).as_str(), expected, "{text}");
        }
    }

    #[test]
    fn spellings_that_may_be_two_pages_stay_two() {
        let same = [
            "https://a.example/a/",
            "https://a.example/a",
            "https://a.example/index.html",
            "https://www.a.example/",
            "http://a.example/",
            "https://a.example/a?b=1&a=2",
            "https://a.example/a?",
            "https://a.example/A",
            "https://a.example/a//b",
            "https://a.example:8443/",
            "https://a.example/a?sid=17",
            "https://a.example/a?utm",
            "https://a.example/100%",
            "https://a.example/%41%",
            "https://a.example/a?x=%41%",
            "https://a.example/a?b&&c",
            "https://a.example/a%2Fb",
            "https://a.example/?pkg=1",
        ];
        for text in same {
            assert_eq!(normal(&at(text)).as_str(), text);
        }
    }

    #[test]
    fn links_are_resolved_as_browsers_do() {
        let base = at("/docs/a");
        let leads = |link: &str| resolve(&base, link).map(|url| url.to_string());
        let pairs = [
            (" \n b\t.html ", "https://a.example/docs/b.html"),
            ("//cdn.example/x", "https://cdn.example/x"),
            ("?q", "https://a.example/docs/a?q"),
            ("", "https://a.example/docs/a"),
            ("http:c", "http://c/"),
            ("../../../x", "https://a.example/x"),
        ];
        for (link, expected) in pairs {
            assert_eq!(leads(link).unwrap(), expected);
        }
        for link in [
            "mailto:a@a.example",
            "javascript:void(0)",
            "file:///etc/hostname",
            "tel:1",
            "data:,a",
            "https://",
            "blob:https://a/b",
        ] {
            assert_eq!(leads(link), None, "{link}");
        }
        assert_eq!(leads(&"x".repeat(MAX_LENGTH)), None);
    }

    #[test]
    fn loops_are_seen_and_dates_are_none() {
        for text in ["/a/b/a/b/a/", "/x/文/文/文", "/a?b=1&b=1&b=1", "/a/a/a"] {
            assert!(loops(&at(text)), "{text}");
        }
        for text in ["/a/b/a/b/", "/2024/01/01/01/01", "/a?b=1&b=2&b=3", "/org/foo/foo", "/", "/a//////", "/a?&&&&"] {
            assert!(!loops(&at(text)), "{text}");
        }
    }

    #[test]
    fn a_shape_is_what_one_program_makes() {
        let pairs = [
            ("/calendar/2024/05/17", "https://a.example/calendar/#/#/#"),
            ("/a?replytocom=17&b=2", "https://a.example/a?b&replytocom"),
            ("/a?b=3&replytocom=9", "https://a.example/a?b&replytocom"),
            ("/commit/3f9a0c11de", "https://a.example/commit/#"),
            ("/v1.2.3/api", "https://a.example/v#.#.#/api"),
            ("/x/550e8400-e29b-41d4-a716-446655440000", "https://a.example/x/#-e#b-#d#-a#-#"),
            ("/文档/第3章", "https://a.example/文档/第#章"),
            ("/page10/?", "https://a.example/page#/"),
        ];
        for (text, expected) in pairs {
            assert_eq!(shape(&at(text)), expected, "{text}");
        }
    }

    proptest! {
        #[test]
        fn what_is_normal_stays_normal(text in "[a-z0-9/.;=&?%# 文+~_A-Z-]{0,60}|(/|utm_|sid=|;jsessionid=|%[0-9a-f]{2}|&|\\?|[a-z])*") {
            if let Ok(url) = Url::parse("https://a.example/").unwrap().join(&text) {
                let once = normal(&url);
                prop_assert_eq!(&normal(&once), &once);
                prop_assert_eq!(Url::parse(once.as_str()).unwrap(), once.clone());
                prop_assert_eq!(shape(&once).contains(|c: char| c.is_ascii_digit()), false);
                prop_assert_eq!(once.origin(), url.origin());
            }
        }
    }
}
