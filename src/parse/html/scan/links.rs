//! Where a page leads.

use std::collections::HashMap;

use url::Url;

use super::super::tree::{Id, ROOT, Tree};

/// Addresses of one page that are kept.
const MAX_LINKS: usize = 20_000;
const MAX_ALTERNATES: usize = 100;
/// Letters of an address as it is written: servers refuse longer ones, and pictures are written as such.
const MAX_LENGTH: usize = 8192;

/// Where a page leads.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Link {
    /// The address of a page, without a place in it.
    pub url: Url,
    /// Whether each link that leads there says that it does not speak for the other page.
    pub nofollow: bool,
}

#[derive(Debug, Default)]
pub(super) struct Links {
    pub(super) targets: Vec<Link>,
    pub(super) canonical: Option<Url>,
    pub(super) refresh: Option<Url>,
    pub(super) alternates: Vec<Url>,
    pub(super) hash_routes: usize,
    /// Where in `targets` an address is.
    places: HashMap<Url, usize>,
}

pub(super) fn of(tree: &Tree, url: &Url) -> Links {
    let base = base(tree, url);
    let mut found = Links::default();
    let mut walk = tree.all(ROOT);
    while let Some(id) = walk.next() {
        match tree.name(id) {
            "a" | "area" => {
                found.markdown(tree, id, &base);
                found.link(tree, id, "href", url, &base);
            }
            "iframe" | "frame" => found.link(tree, id, "src", url, &base),
            "link" => {
                found.markdown(tree, id, &base);
                if found.canonical.is_none() && has_word(tree, id, "rel", "canonical") {
                    found.canonical = resolved(tree.attribute(id, "href"), &base);
                }
            }
            "meta" if found.refresh.is_none() => {
                let refreshes = tree.attribute(id, "http-equiv").is_some_and(|of| of.trim().eq_ignore_ascii_case("refresh"));
                let target = tree.attribute(id, "content").filter(|_| refreshes).and_then(refresh_target);
                found.refresh = resolved(target, &base).filter(|target| !same_page(target, url));
            }
            // What a page does for those whose browser runs no programs is no way that others go.
            "noscript" if tree.all(id).any(|id| tree.name(id) == "meta") => walk.skip_below(id),
            _ => {}
        }
    }
    found
}

impl Links {
    fn link(&mut self, tree: &Tree, id: Id, attribute: &str, url: &Url, base: &Url) {
        let Some(mut target) = resolved(tree.attribute(id, attribute), base) else { return };
        if target.fragment().is_some_and(|place| place.starts_with(['/', '!'])) {
            self.hash_routes += 1;
        }
        target.set_fragment(None);
        if same_page(&target, url) {
            return;
        }
        let nofollow = has_word(tree, id, "rel", "nofollow");
        if let Some(known) = self.places.get(&target).and_then(|&place| self.targets.get_mut(place)) {
            known.nofollow &= nofollow;
        } else if self.targets.len() < MAX_LINKS {
            self.places.insert(target.clone(), self.targets.len());
            self.targets.push(Link { url: target, nofollow });
        }
    }

    fn markdown(&mut self, tree: &Tree, id: Id, base: &Url) {
        let kind = tree.attribute(id, "type").unwrap_or_default();
        let kind = kind.split(';').next().unwrap_or_default().trim().to_ascii_lowercase();
        if matches!(kind.as_str(), "text/markdown" | "text/x-markdown") && has_word(tree, id, "rel", "alternate") {
            let target = resolved(tree.attribute(id, "href"), base).filter(|target| !self.alternates.contains(target));
            self.alternates.extend(target.filter(|_| self.alternates.len() < MAX_ALTERNATES));
        }
    }
}

/// What relative addresses are relative to: the first `<base>` that has an address.
fn base(tree: &Tree, url: &Url) -> Url {
    let first = tree.all(ROOT).filter(|&id| tree.name(id) == "base").find_map(|id| tree.attribute(id, "href"));
    resolved(first, url).unwrap_or_else(|| url.clone())
}

/// An address of the web.
fn resolved(written: Option<&str>, base: &Url) -> Option<Url> {
    let written = written?.trim();
    if written.len() > MAX_LENGTH {
        return None;
    }
    let target = base.join(written).ok()?;
    (matches!(target.scheme(), "http" | "https") && target.has_host()).then_some(target)
}

fn same_page(a: &Url, b: &Url) -> bool {
    let bare = |url: &Url| {
        let mut url = url.clone();
        url.set_fragment(None);
        url
    };
    bare(a) == bare(b)
}

/// Whether a list of words has this one.
fn has_word(tree: &Tree, id: Id, attribute: &str, wanted: &str) -> bool {
    let words = tree.attribute(id, attribute).unwrap_or_default();
    words.split_ascii_whitespace().any(|word| word.eq_ignore_ascii_case(wanted))
}

/// The address in `5; url=…`, as browsers find it.
fn refresh_target(content: &str) -> Option<&str> {
    let after = content.trim_start().trim_start_matches(|c: char| c.is_ascii_digit() || c == '.');
    let after = after.trim_start().trim_start_matches([';', ',']).trim_start();
    let named = after.get(..3).filter(|name| name.eq_ignore_ascii_case("url")).and_then(|_| after.get(3..));
    let target = named.and_then(|rest| rest.trim_start().strip_prefix('=')).unwrap_or(after).trim();
    let quoted = |quote: char| target.strip_prefix(quote).map(|rest| rest.split(quote).next().unwrap_or(rest));
    let target = quoted('"').or_else(|| quoted('\'')).unwrap_or(target);
    (!target.is_empty()).then_some(target)
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "tests may")]
mod tests {
    use super::*;

    fn found(html: &str) -> Links {
        of(&Tree::parse(html), &Url::parse("https://e.org/docs/en/page.html?v=2#top").unwrap())
    }

    fn shown(html: &str) -> Vec<String> {
        let nofollow = |link: &Link| if link.nofollow { " nofollow" } else { "" };
        found(html).targets.iter().map(|link| format!("{}{}", link.url, nofollow(link))).collect()
    }

    #[test]
    fn links_are_resolved_and_named_once() {
        let html = "<a href=' a.html \n'>1</a><a href='../b.html#x'>2</a><a href='a.html#y' rel=nofollow>3</a><a href='//o.org'>4</a>\
            <a href='mailto:x@e.org'>5</a><a href='javascript:void(0)'>6</a><a href='#top'>7</a><a href=''>8</a><a name=x>9</a>\
            <map><area href='/区.html'></map><iframe src=f.html></iframe><a href='s.txt' rel='external NoFollow'>s</a>\
            <a href='http://['>broken</a><a href='file:///etc/passwd'>f</a><a href='?v=3'>q</a>";
        assert_eq!(
            shown(html),
            [
                "https://e.org/docs/en/a.html",
                "https://e.org/docs/b.html",
                "https://o.org/",
                "https://e.org/%E5%8C%BA.html",
                "https://e.org/docs/en/f.html",
                "https://e.org/docs/en/s.txt nofollow",
                "https://e.org/docs/en/page.html?v=3",
            ]
        );
        assert_eq!(shown("<a href=a rel=nofollow>1</a><a href=a>2</a>"), ["https://e.org/docs/en/a"]);
    }

    #[test]
    fn the_first_base_counts_and_is_itself_relative() {
        let html = "<base target=_top><base href='../fr/'><base href='/x/'><a href='a.html'>1</a><a href='#s'>2</a>";
        assert_eq!(shown(html), ["https://e.org/docs/fr/a.html", "https://e.org/docs/fr/"]);
        assert_eq!(shown("<base href='data:,x'><a href='a.html'>1</a>"), ["https://e.org/docs/en/a.html"]);
    }

    #[test]
    fn pages_of_programs_are_counted() {
        let found = found("<a href='#/install'>1</a><a href='/#!/use'>2</a><a href='#install'>3</a>");
        assert_eq!(found.hash_routes, 2);
        assert_eq!(found.targets.len(), 1);
    }

    #[test]
    fn what_a_page_says_of_its_address() {
        let html = "<link rel=canonical href='file:///usr/share/doc/x.html'><link rel='Canonical' href='/x'>\
            <link rel=alternate type='text/markdown; charset=utf-8' href='page.md'><link rel=alternate type='text/html' href=y>\
            <meta http-equiv=Refresh content='0;URL=\"next.html\"'>";
        let found = found(html);
        assert_eq!(found.canonical.unwrap().as_str(), "https://e.org/x");
        assert_eq!(found.refresh.unwrap().as_str(), "https://e.org/docs/en/next.html");
        assert_eq!(found.alternates.iter().map(Url::as_str).collect::<Vec<_>>(), ["https://e.org/docs/en/page.md"]);
    }

    #[test]
    fn refreshes_as_they_are_written() {
        for (content, target) in [
            ("0; url=a.html", Some("a.html")),
            ("5;a.html", Some("a.html")),
            ("1.5 , url = 'a b.html' x", Some("a b.html")),
            ("URL=/x", Some("/x")),
            ("30", None),
            ("", None),
            ("0;url=", None),
        ] {
            assert_eq!(refresh_target(content), target, "{content}");
        }
        assert!(found("<meta http-equiv=refresh content='60;url=page.html?v=2'>").refresh.is_none(), "it shows itself anew");
        assert!(found("<noscript><meta http-equiv=refresh content='0;url=nojs.html'></noscript>").refresh.is_none());
    }

    #[test]
    fn no_page_has_links_without_end() {
        let links: Vec<String> = (0..MAX_LINKS + 10).map(|n| format!("<a href=p{n}>x</a>")).collect();
        let html = links.concat();
        assert_eq!(found(&html).targets.len(), MAX_LINKS);
        assert!(shown(&format!("<a href='{}'>x</a>", "x".repeat(MAX_LENGTH + 1))).is_empty());
    }
}
