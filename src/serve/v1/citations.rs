//! Sources, in every form in which clients read them: annotations (`OpenAI`, the AI SDK), `citations` and `search_results`
//! (Perplexity's), an event (`Open WebUI`'s), and a list in the text for those that read none.

use std::fmt::Write as _;

use axum::http::{HeaderMap, header};
use serde_json::{Value, json};
use url::{Url, form_urlencoded};

use crate::answer::Source;
use crate::serve::access::is_secure;
use crate::serve::api::documents::id_of;

/// What the list in the text begins with, in English and in Chinese.
const LISTS: [&str; 2] = ["\n\nSources:\n\n", "\n\n来源：\n\n"];
/// What each of its lines begins with.
const ENTRY: &str = "- [";

/// Where sources are opened.
#[derive(Debug, Clone)]
pub(super) struct Links {
    /// This service, as the client knows it: `https://docs.example`.
    origin: String,
    /// The pipeline of sources that do not name their own.
    pipeline: String,
}

impl Links {
    /// As the client reached the service; behind a proxy that ends TLS, as that says.
    pub(super) fn new(headers: &HeaderMap, pipeline: &str) -> Self {
        let field = |name| headers.get(name).and_then(|value| value.to_str().ok());
        let scheme = if is_secure(headers) { "https" } else { "http" };
        let host = field(header::HOST.as_str()).unwrap_or("localhost");
        let origin = Url::parse(&format!("{scheme}://{host}/")).map(|url| url.origin().ascii_serialization());
        let origin = origin.unwrap_or_else(|_| "http://localhost".to_owned());
        Self { origin, pipeline: escaped(pipeline) }
    }

    /// A page of the web where it is, any other document in this service's viewer, at its lines.
    fn of(&self, source: &Source) -> String {
        let Self { origin, pipeline } = self;
        let (first, last) = source.lines;
        let own = source.pipeline.as_deref().map(escaped);
        let pipeline = own.as_ref().unwrap_or(pipeline);
        let viewer = || format!("{origin}/documents/{}?pipeline={pipeline}#L{first}-{last}", id_of(&source.uri));
        source.link().unwrap_or_else(viewer)
    }
}

/// A name as it stands in an address.
fn escaped(name: &str) -> String {
    form_urlencoded::byte_serialize(name.as_bytes()).collect()
}

/// A source with its address.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Linked {
    n: usize,
    uri: String,
    lines: (u32, u32),
    /// Its title and headings; its uri where it has none.
    pub(super) title: String,
    pub(super) url: String,
    text: String,
}

impl Linked {
    pub(super) fn new(source: &Source, links: &Links) -> Self {
        let title = Some(source.path()).filter(|path| !path.is_empty()).unwrap_or_else(|| source.uri.clone());
        let Source { n, uri, lines, text, .. } = source;
        Self { n: *n, uri: uri.clone(), lines: *lines, title, url: links.of(source), text: text.clone() }
    }

    /// As Perplexity has it; the nth is the source that is cited as `[n]`.
    pub(super) fn search_result(&self) -> Value {
        json!({"title": self.title, "url": self.url, "snippet": self.text})
    }

    /// As `Open WebUI` shows it: the passage itself, under the same address as the annotation's.
    pub(super) fn event(&self) -> Value {
        let Self { title, url, text, .. } = self;
        let source =
            json!({"source": {"name": title, "url": url}, "document": [text], "metadata": [{"source": url, "name": title}]});
        json!({"type": "source", "data": source})
    }
}

/// A source cited in a text: the characters (code points) of the whole text that cite it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Citation {
    pub(super) n: usize,
    pub(super) start: usize,
    pub(super) end: usize,
}

impl Citation {
    /// The annotation of a response's text.
    pub(super) fn flat(self, sources: &[Linked]) -> Option<Value> {
        let Linked { url, title, .. } = find(sources, self.n)?;
        let Self { start, end, .. } = self;
        Some(json!({"type": "url_citation", "start_index": start, "end_index": end, "url": url, "title": title}))
    }

    /// The annotation of a chat's message.
    pub(super) fn nested(self, sources: &[Linked]) -> Option<Value> {
        let Linked { url, title, .. } = find(sources, self.n)?;
        let Self { start, end, .. } = self;
        let citation = json!({"start_index": start, "end_index": end, "url": url, "title": title});
        Some(json!({"type": "url_citation", "url_citation": citation}))
    }
}

/// The source of this number.
pub(super) fn find(sources: &[Linked], n: usize) -> Option<&Linked> {
    sources.iter().find(|source| source.n == n)
}

/// The cited sources as the end of a text, in the order of their numbers; empty where none is cited.
pub(super) fn list(sources: &[Linked], cited: &[usize], chinese: bool) -> String {
    let cited = sources.iter().filter(|source| cited.contains(&source.n));
    let mut list = String::new();
    for Linked { n, uri, lines: (first, last), title, url, .. } in cited {
        // Writing to a string cannot fail.
        let _ = write!(list, "{ENTRY}{n}] {}", one_line(title));
        if url.contains("#L") && !uri.starts_with("http") {
            let _ = write!(list, ", {} {first}–{last}", one_line(uri));
        }
        let _ = writeln!(list, ": {url}");
    }
    let [english, chinese_list] = LISTS;
    if list.is_empty() { list } else { format!("{}{}", if chinese { chinese_list } else { english }, list.trim_end()) }
}

fn one_line(text: &str) -> String {
    text.chars().map(|c| if c.is_control() { ' ' } else { c }).collect()
}

/// An answer that comes back in a conversation, without the list that was put at its end.
pub(super) fn without_list(answer: &str) -> &str {
    let cut = LISTS.iter().find_map(|begin| {
        let (before, list) = answer.rsplit_once(begin)?;
        list.trim_end().lines().all(|line| line.starts_with(ENTRY)).then_some(before)
    });
    cut.unwrap_or(answer)
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "a failed test panics")]
pub(super) mod tests {
    use axum::http::{HeaderName, HeaderValue};

    use super::*;

    pub(in crate::serve::v1) fn source(n: usize, uri: &str, title: Option<&str>) -> Source {
        Source {
            n,
            uri: uri.into(),
            title: title.map(str::to_owned),
            headings: Vec::new(),
            pipeline: None,
            columns: None,
            page: None,
            anchor: None,
            start: 0,
            end: 4,
            lines: (10, 31),
            score: 1.0,
            text: "text".into(),
            copies: Vec::new(),
        }
    }

    pub(in crate::serve::v1) fn links() -> Links {
        Links::new(&headers(&[("host", "127.0.0.1:7171")]), "docs")
    }

    fn headers(pairs: &[(&'static str, &str)]) -> HeaderMap {
        let pair =
            |(name, value): &(&'static str, &str)| (HeaderName::from_static(name), HeaderValue::from_str(value).unwrap());
        pairs.iter().map(pair).collect()
    }

    #[test]
    fn a_source_opens_where_the_client_reached_the_service() {
        let of = |pairs: &[(&'static str, &str)], pipeline: &str| {
            Links::new(&headers(pairs), pipeline).of(&source(1, "docs/密钥 a.md", None))
        };
        let id = id_of("docs/密钥 a.md");
        assert_eq!(
            of(&[("host", "127.0.0.1:7171")], "docs"),
            format!("http://127.0.0.1:7171/documents/{id}?pipeline=docs#L10-31")
        );
        let proxied = [("host", "docs.example"), ("x-forwarded-proto", "https")];
        assert_eq!(of(&proxied, "a&b 密"), format!("https://docs.example/documents/{id}?pipeline=a%26b+%E5%AF%86#L10-31"));
        for host in ["a b", "evil\"", "", "@", "x/../y?z#"] {
            let url = Url::parse(&of(&[("host", host)], "docs")).unwrap();
            assert!(url.path().ends_with(&id) && url.fragment() == Some("L10-31"), "{host}: {url}");
        }
        assert!(of(&[], "docs").starts_with("http://localhost/documents/"));
        let web = links().of(&source(1, "https://example.org/keys", None));
        assert_eq!(web, "https://example.org/keys#:~:text=text", "a page of the web where it is");
    }

    #[test]
    fn what_is_cited_is_listed_and_the_list_is_no_part_of_what_was_said() {
        let of = |n, uri: &str, title| Linked::new(&source(n, uri, title), &links());
        let sources = [of(1, "a.md", Some("Keys\n- [9]")), of(2, "b.md", None), of(3, "https://example.org/k", Some("K"))];
        let english = list(&sources, &[3, 1], false);
        let url = &sources[0].url;
        let expected =
            format!("\n\nSources:\n\n- [1] Keys - [9], a.md 10–31: {url}\n- [3] K: https://example.org/k#:~:text=text");
        assert_eq!(english, expected);
        let chinese = list(&sources, &[2], true);
        assert!(chinese.starts_with("\n\n来源：\n\n- [2] b.md, b.md 10–31: http://127.0.0.1:7171/documents/"));
        assert_eq!(list(&sources, &[], false), "");
        for list in [english, chinese] {
            assert_eq!(without_list(&format!("Said [1].{list}")), "Said [1].");
            assert_eq!(without_list(&format!("Said [1].{list}\n")), "Said [1].");
        }
        let own = "As follows.\n\nSources:\n\n- [1] is good\nand more";
        assert_eq!(without_list(own), own, "a list of the model's own");
    }

    #[test]
    fn each_client_finds_its_form() {
        let source = Linked::new(&source(2, "a.md", Some("Keys")), &links());
        let url = source.url.clone();
        let citation = Citation { n: 2, start: 5, end: 8 };
        let flat = json!({"type": "url_citation", "start_index": 5, "end_index": 8, "url": url, "title": "Keys"});
        assert_eq!(citation.flat(std::slice::from_ref(&source)).unwrap(), flat);
        let nested =
            json!({"type": "url_citation", "url_citation": {"start_index": 5, "end_index": 8, "url": url, "title": "Keys"}});
        assert_eq!(citation.nested(std::slice::from_ref(&source)).unwrap(), nested);
        assert_eq!(Citation { n: 1, ..citation }.flat(std::slice::from_ref(&source)), None);
        assert_eq!(source.search_result(), json!({"title": "Keys", "url": url, "snippet": "text"}));
        let data = json!({"source": {"name": "Keys", "url": url}, "document": ["text"], "metadata": [{"source": url, "name": "Keys"}]});
        assert_eq!(source.event(), json!({"type": "source", "data": data}));
    }
}
