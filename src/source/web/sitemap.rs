//! Lists of a site's pages: sitemaps (sitemaps.org), indexes of them, feeds, lines of text; plain or gzip, and broken as they are in
//! the wild. A list is where to begin, not what the site is.

use std::borrow::Cow;
use std::sync::LazyLock;

use jiff::Timestamp;
use jiff::civil::{Date, DateTime};
use jiff::tz::Offset;
use quick_xml::events::{BytesRef, BytesStart, Event};
use quick_xml::{Reader, XmlVersion};
use url::Url;

use super::links::resolve;
use crate::source::body::unpacked;

/// Bytes of one list, unpacked; also what to ask for at most. The protocol's own bounds.
pub(super) const MAX_BYTES: usize = 50 << 20;

/// Pages (and further lists) of one list.
const MAX_ENTRIES: usize = 50_000;

/// Elements within each other. A sitemap has three.
const MAX_DEPTH: usize = 64;

/// Bytes of an address or a date.
const MAX_TEXT: usize = 4096;

/// What a list says.
#[derive(Debug, Clone, Default, PartialEq)]
pub(super) struct Sitemap {
    pub(super) pages: Vec<Page>,
    /// Further lists.
    pub(super) sitemaps: Vec<Url>,
    /// Whether there was more, or something of it could not be read.
    pub(super) truncated: bool,
    /// Whether it is such a list at all, and not a page that stands in for one.
    pub(super) recognised: bool,
}

/// A page in a list.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Page {
    pub(super) url: Url,
    /// When it was last changed, as the list says. Where it names a day alone, or no time zone, the last instant that it can mean.
    pub(super) modified: Option<Timestamp>,
}

/// Where lists may be that belong to a seed, those first that robots.txt names.
pub(super) fn places(named: &[Url], seed: &Url) -> Vec<Url> {
    let usual = ["/sitemap.xml", "/sitemap_index.xml", "sitemap.xml"];
    let mut bare = seed.clone();
    bare.set_query(None);
    // Of `/docs` it is the folder's, which it may be.
    if !bare.path().ends_with('/') && !bare.path().rsplit('/').next().unwrap_or_default().contains('.') {
        bare.set_path(&format!("{}/", bare.path()));
    }
    let mut places: Vec<Url> = Vec::new();
    for place in named.iter().cloned().chain(usual.iter().filter_map(|place| bare.join(place).ok())) {
        if !places.contains(&place) {
            places.push(place);
        }
    }
    places
}

/// Reads a list that was found `at` this address. Work for a thread of its own: it may be large.
pub(super) fn read(bytes: &[u8], at: &Url) -> Sitemap {
    let (bytes, all) = unpacked(bytes, MAX_BYTES);
    let text = decoded(&bytes);
    let mut found = if text.trim_start().starts_with('<') { xml(&text, at) } else { lines(&text, at) };
    found.truncated |= !all;
    found
}

/// By its byte order mark, else by what it says itself, else UTF-8.
fn decoded(bytes: &[u8]) -> Cow<'_, str> {
    let said = || {
        let head = bytes.get(..200).unwrap_or(bytes);
        let head = String::from_utf8_lossy(head).into_owned();
        let (_, after) = head.strip_prefix("<?xml")?.split_once("?>")?.0.split_once("encoding=")?;
        encoding_rs::Encoding::for_label(after.trim_start_matches(['"', '\'']).split(['"', '\'']).next()?.as_bytes())
    };
    let encoding =
        encoding_rs::Encoding::for_bom(bytes).map(|(encoding, _)| encoding).or_else(said).unwrap_or(encoding_rs::UTF_8);
    encoding.decode_with_bom_removal(bytes).0
}

/// One address a line. What is none is passed over.
fn lines(text: &str, at: &Url) -> Sitemap {
    let mut found = Sitemap::default();
    let absolute = text.lines().map(str::trim).filter(|line| line.starts_with("http://") || line.starts_with("https://"));
    for url in absolute.filter_map(|line| resolve(at, line)) {
        if found.pages.len() >= MAX_ENTRIES {
            found.truncated = true;
            break;
        }
        found.pages.push(Page { url, modified: None });
    }
    found.recognised = !found.pages.is_empty();
    found
}

/// What is being read of an entry.
#[derive(Default)]
struct Entry {
    url: Option<Url>,
    modified: Option<Timestamp>,
}

fn xml(text: &str, at: &Url) -> Sitemap {
    let mut reader = Reader::from_str(text);
    let config = reader.config_mut();
    config.check_end_names = false;
    config.allow_unmatched_ends = true;
    config.allow_dangling_amp = true;
    let mut list = List { at, path: Vec::new(), text: String::new(), entry: Entry::default(), found: Sitemap::default() };
    loop {
        let full = list.found.pages.len() + list.found.sitemaps.len() >= MAX_ENTRIES;
        match reader.read_event() {
            Ok(Event::Eof) => {
                list.found.truncated |= !list.path.is_empty();
                break;
            }
            Ok(Event::Start(_)) if full || list.path.len() >= MAX_DEPTH => {
                list.found.truncated = true;
                break;
            }
            Ok(Event::Start(start)) => list.start(&start),
            Ok(Event::Empty(start)) => {
                list.start(&start);
                let name = local(start.local_name().into_inner());
                list.end(&name);
            }
            Ok(Event::End(end)) => list.end(&local(end.local_name().into_inner())),
            Ok(Event::Text(text)) => list.text(&text.xml_content(XmlVersion::Implicit1_0)),
            Ok(Event::CData(text)) => list.text(&text.xml_content(XmlVersion::Implicit1_0)),
            Ok(Event::GeneralRef(reference)) => list.text(&resolved(&reference)),
            Ok(_) => {}
            Err(_) => {
                list.found.truncated = true;
                break;
            }
        }
    }
    // The last entry of one that was cut is as good as the others.
    list.keep_entry();
    list.found
}

/// A name without its namespace, which is missing or wrong too often.
fn local(name: &str) -> String {
    name.to_ascii_lowercase()
}

fn resolved(reference: &BytesRef<'_>) -> String {
    let name = reference.xml_content(XmlVersion::Implicit1_0);
    match reference.resolve_char_ref() {
        Ok(Some(c)) => c.to_string(),
        // What is no entity is part of a query that was not escaped.
        _ => quick_xml::escape::resolve_predefined_entity(&name).map_or_else(|| format!("&{name};"), str::to_owned),
    }
}

/// A list while it is read.
struct List<'a> {
    at: &'a Url,
    /// The elements that are open.
    path: Vec<String>,
    /// The text of the innermost.
    text: String,
    entry: Entry,
    found: Sitemap,
}

impl List<'_> {
    fn start(&mut self, start: &BytesStart<'_>) {
        let name = local(start.local_name().into_inner());
        if self.path.is_empty() {
            self.found.recognised |= matches!(name.as_str(), "urlset" | "sitemapindex" | "rss" | "feed" | "rdf");
        }
        match name.as_str() {
            // One that was not closed ends here.
            "url" | "sitemap" | "item" | "entry" => self.keep_entry(),
            // Atom. Of several links the page is the one without a relation, or the alternate.
            "link" if self.parent() == Some("entry") && self.entry.url.is_none() => {
                let value = |name: &str| {
                    let attribute =
                        start.attributes().with_checks(false).flatten().find(|attribute| attribute.key.into_inner() == name)?;
                    Some(attribute.normalized_value(XmlVersion::Implicit1_0).ok()?.into_owned())
                };
                if value("rel").is_none_or(|rel| rel == "alternate") {
                    self.entry.url = value("href").and_then(|href| resolve(self.at, &href));
                }
            }
            _ => {}
        }
        self.text.clear();
        self.path.push(name);
    }

    fn text(&mut self, text: &str) {
        if self.text.len() + text.len() <= MAX_TEXT {
            self.text.push_str(text);
        }
    }

    fn parent(&self) -> Option<&str> {
        self.path.last().map(String::as_str)
    }

    fn end(&mut self, name: &str) {
        // What was left open ends here, too; an end of what was never begun is none.
        let Some(open) = self.path.iter().rposition(|open| open == name) else { return };
        self.path.truncate(open);
        let text = std::mem::take(&mut self.text);
        let text = text.trim();
        match (self.parent(), name) {
            // Not that of a picture or a video in it.
            (Some("url" | "sitemap"), "loc") | (Some("item"), "link") if !text.is_empty() => {
                self.entry.url = resolve(self.at, text);
            }
            (Some("url" | "sitemap"), "lastmod") | (Some("item"), "pubdate" | "date") | (Some("entry"), "updated") => {
                self.entry.modified = instant(text);
            }
            (_, "url" | "item" | "entry" | "sitemap") => {
                self.path.push(name.to_owned());
                self.keep_entry();
                self.path.pop();
            }
            _ => {}
        }
    }

    /// Takes the entry that is open, if one is.
    fn keep_entry(&mut self) {
        let kind = self.path.iter().rev().find(|name| matches!(name.as_str(), "url" | "sitemap" | "item" | "entry"));
        let Entry { url, modified } = std::mem::take(&mut self.entry);
        match (kind.map(String::as_str), url) {
            (Some("sitemap"), Some(url)) => self.found.sitemaps.push(url),
            (Some(_), Some(url)) => self.found.pages.push(Page { url, modified }),
            _ => {}
        }
    }
}

/// Farthest west of all time zones.
static WEST: LazyLock<Offset> = LazyLock::new(|| Offset::from_hours(-12).unwrap_or(Offset::UTC));

/// The last instant that a date can mean: of W3C's format, or RFC 2822's, which feeds use.
fn instant(text: &str) -> Option<Timestamp> {
    let exact = text.parse::<Timestamp>().ok();
    let mail = || jiff::fmt::rfc2822::DateTimeParser::new().relaxed_weekday(true).parse_timestamp(text).ok();
    let local = || {
        let date = text.parse::<Date>().ok();
        let time = match date.filter(|_| !text.contains(['T', ' '])) {
            Some(day) => day.at(23, 59, 59, 0),
            None => text.parse::<DateTime>().ok()?,
        };
        WEST.to_timestamp(time).ok()
    };
    exact.or_else(mail).or_else(local)
}

#[cfg(test)]
mod tests;
