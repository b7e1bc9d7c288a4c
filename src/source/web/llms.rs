//! Pages as Markdown: `llms.txt` as a list of links, and where a page's own Markdown may be. Neither is an instruction to anybody.

use url::Url;

use super::links::resolve;

/// Bytes of an `llms.txt` that are read, and links that are taken from it.
pub(super) const MAX_BYTES: usize = 1 << 20;
const MAX_LINKS: usize = 10_000;

/// Extensions of pages that are made of something, of which there may be Markdown.
const PAGES: [&str; 3] = ["html", "htm", "xhtml"];

/// The links in the lists of an `llms.txt` that was found `at` this address, each once.
pub(super) fn links(text: &str, at: &Url) -> Vec<Url> {
    let text = text.get(..text.floor_char_boundary(MAX_BYTES)).unwrap_or(text);
    let mut links: Vec<Url> = Vec::new();
    let mut known = std::collections::HashSet::new();
    let mut fence: Option<&str> = None;
    // A page that stands in for the file has no lists of Markdown.
    let is_page = text.trim_start_matches(['\u{feff}', ' ', '\n', '\r', '\t']).starts_with('<');
    for line in text.lines().filter(|_| !is_page) {
        let line = line.trim();
        if let Some(mark) = ["```", "~~~"].into_iter().find(|mark| line.starts_with(mark)) {
            fence = match fence {
                None => Some(mark),
                Some(open) if open == mark => None,
                open => open,
            };
            continue;
        }
        let Some(item) = list_item(line).filter(|_| fence.is_none()) else { continue };
        for target in targets(item) {
            if links.len() >= MAX_LINKS {
                return links;
            }
            if let Some(url) = resolve(at, target).filter(|url| known.insert(url.clone())) {
                links.push(url);
            }
        }
    }
    links
}

/// What stands behind a list's mark.
fn list_item(line: &str) -> Option<&str> {
    let bulleted = || line.strip_prefix(['-', '*', '+']);
    let numbered = || {
        let after = line.trim_start_matches(|c: char| c.is_ascii_digit());
        (after.len() < line.len()).then_some(after)?.strip_prefix(['.', ')'])
    };
    bulleted().or_else(numbered)?.strip_prefix([' ', '\t']).map(str::trim_start)
}

/// Where the links of a list's item lead: those in `[text](target)`, else a bare address.
fn targets(item: &str) -> Vec<&str> {
    let linked: Vec<&str> = item.split("](").skip(1).filter_map(target).collect();
    if !linked.is_empty() {
        return linked;
    }
    let bare = item.trim_start_matches('<');
    let end = bare.find(|c: char| c.is_whitespace() || matches!(c, '>' | '<' | '"')).unwrap_or(bare.len());
    let is_address = bare.starts_with("https://") || bare.starts_with("http://");
    bare.get(..end).filter(|_| is_address).map(|address| address.trim_end_matches([',', '.', ':', ';'])).into_iter().collect()
}

/// The target at the beginning of what follows `](`; a title may stand behind it.
fn target(text: &str) -> Option<&str> {
    let text = text.trim_start();
    if let Some(inner) = text.strip_prefix('<') {
        return inner.split_once('>').map(|(target, _)| target);
    }
    let mut depth = 0_u32;
    let end = text.char_indices().find(|(_, c)| match c {
        '(' => {
            depth += 1;
            false
        }
        ')' if depth == 0 => true,
        ')' => {
            depth -= 1;
            false
        }
        c => c.is_whitespace(),
    })?;
    text.get(..end.0).filter(|target| !target.is_empty())
}

/// Where the Markdown of a page may be, the likeliest first: `.md` is put behind its name. Empty where none is to be expected.
pub(super) fn variants(page: &Url) -> Vec<Url> {
    let path = page.path();
    let Some((folder, name)) = path.rsplit_once('/') else { return Vec::new() };
    if page.query().is_some() {
        return Vec::new();
    }
    let extension = name.rsplit_once('.').map(|(_, extension)| extension.to_ascii_lowercase());
    // `v1.2` is none.
    let extension = extension.filter(|extension| extension.bytes().any(|byte| byte.is_ascii_alphabetic()));
    let paths = match (name, extension) {
        ("", _) if folder.is_empty() => vec!["/index.html.md".to_owned(), "/index.md".to_owned()],
        ("", _) => vec![format!("{folder}/index.html.md"), format!("{folder}.md"), format!("{folder}/index.md")],
        (_, Some(extension)) if !PAGES.contains(&extension.as_str()) => Vec::new(),
        _ => vec![format!("{path}.md")],
    };
    let at = |path: String| {
        let mut url = page.clone();
        url.set_fragment(None);
        url.set_path(&path);
        url
    };
    paths.into_iter().map(at).collect()
}

/// The Markdown that a page's `Link` headers name: `</a.md>; rel="alternate"; type="text/markdown"`.
pub(super) fn alternate(headers: &[String], at: &Url) -> Option<Url> {
    let parts = headers.iter().flat_map(|header| header.split('<').skip(1));
    parts.take(200).find_map(|part| {
        let (target, parameters) = part.split_once('>')?;
        let value = |name: &str| {
            parameters.split([';', ',']).find_map(|parameter| {
                let (key, value) = parameter.split_once('=')?;
                key.trim().eq_ignore_ascii_case(name).then(|| value.trim().trim_matches('"').to_ascii_lowercase())
            })
        };
        let alternate = value("rel")?.split_ascii_whitespace().any(|rel| rel == "alternate");
        (alternate && value("type")? == "text/markdown").then(|| resolve(at, target))?
    })
}

/// The pages of which this may be the Markdown: those that [`variants`] leads back from.
pub(super) fn pages_of(variant: &Url) -> Vec<Url> {
    let path = variant.path();
    let Some(stem) = path.strip_suffix(".md") else { return Vec::new() };
    let folder = stem.strip_suffix("index.html").or_else(|| stem.strip_suffix("index"));
    let mut paths = vec![stem.to_owned(), format!("{stem}/"), format!("{stem}.html"), format!("{stem}.htm")];
    paths.extend(folder.filter(|folder| folder.ends_with('/')).map(str::to_owned));
    let at = |path: &String| {
        let mut page = variant.clone();
        page.set_path(path);
        page
    };
    paths.iter().map(at).filter(|page| variants(page).contains(variant)).collect()
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test may fail loudly")]

    use proptest::prelude::*;

    use super::*;

    fn at(path: &str) -> Url {
        Url::parse("https://a.example").unwrap().join(path).unwrap()
    }

    fn texts(urls: &[Url]) -> Vec<&str> {
        urls.iter().map(Url::as_str).collect()
    }

    #[test]
    fn the_lists_of_the_file_are_links() {
        let text = "\u{feff}# Lantern\n\n> A lamp. See [not this](https://a.example/quote).\n\nNor [this](/text).\n\n## Docs\n\n\
            - [Start](/docs/start.md): how to begin, see also [more](more.html#part)\n* [文档](/文档.md \"title\")\n+ [A (b)](https://b.example/a_(b)?c)\n\
            1. [One](<one two.md>)\n2) https://a.example/bare.\n- <https://a.example/angle>\n- [Start again](/docs/start.md)\n- no link\n- [empty]()\n\
            - [mail](mailto:a@a.example) [open](\n-[no item](/no)\n\n```\n- [code](/code)\n~~~\n- [code](/code)\n```\n\n## Optional\n  - [Deep](./deep.md)\n";
        assert_eq!(
            texts(&links(text, &at("/docs/llms.txt"))),
            [
                "https://a.example/docs/start.md",
                "https://a.example/docs/more.html#part",
                "https://a.example/%E6%96%87%E6%A1%A3.md",
                "https://b.example/a_(b)?c",
                "https://a.example/docs/one%20two.md",
                "https://a.example/bare",
                "https://a.example/angle",
                "https://a.example/docs/deep.md",
            ]
        );
        assert!(links("<!DOCTYPE html>\n<ul>\n- [a](/a)\n</ul>", &at("/")).is_empty(), "a page in its place");
        let many: String = (0..20_000).map(|n| format!("- [x](/{n})\n")).collect::<Vec<_>>().concat();
        assert_eq!(links(&many, &at("/")).len(), MAX_LINKS);
    }

    #[test]
    fn a_variant_is_the_name_with_md_behind_it() {
        let of = |path: &str| variants(&at(path)).iter().map(|url| url.path().to_owned()).collect::<Vec<_>>();
        assert_eq!(of("/a/b.html#c"), ["/a/b.html.md"]);
        assert_eq!(of("/a/b"), ["/a/b.md"]);
        assert_eq!(of("/a/v1.2"), ["/a/v1.2.md"]);
        assert_eq!(of("/a/"), ["/a/index.html.md", "/a.md", "/a/index.md"]);
        assert_eq!(of("/"), ["/index.html.md", "/index.md"]);
        for path in ["/a.pdf", "/a.md", "/a?b", "/a.txt"] {
            assert!(of(path).is_empty(), "{path}");
        }
        assert_eq!(variants(&at("/a#b")).first().unwrap().as_str(), "https://a.example/a.md");
    }

    #[test]
    fn the_header_names_the_variant() {
        let named = |header: &str| alternate(&[header.to_owned()], &at("/docs/a")).map(|url| url.path().to_owned());
        assert_eq!(named("<a.md>; rel=\"alternate\"; type=\"text/markdown\"").unwrap(), "/docs/a.md");
        assert_eq!(named("</x.css>; rel=preload, </b.md>;type=text/markdown;rel=\"alternate nofollow\"").unwrap(), "/b.md");
        for header in [
            "",
            "<a.md>; rel=alternate",
            "<a>; rel=next; type=text/markdown",
            "<file:///a.md>; rel=alternate; type=text/markdown",
            "<a.md; rel",
        ] {
            assert_eq!(named(header), None, "{header}");
        }
    }

    proptest! {
        #[test]
        fn no_text_is_too_strange(text in "([-*1.)( \n\\[\\]<>`~]|\\]\\(|\\PC){0,80}", header in "\\PC{0,40}") {
            let found = links(&text, &at("/llms.txt"));
            prop_assert!(found.iter().all(Url::has_host));
            alternate(&[header], &at("/"));
        }
    }

    #[test]
    fn markdown_leads_back_to_its_page() {
        for page in
            ["https://a.example/docs/x.html", "https://a.example/docs/", "https://a.example/docs/x", "https://a.example/指南"]
        {
            let page: Url = page.parse().unwrap();
            for variant in variants(&page) {
                assert!(pages_of(&variant).contains(&page), "{variant} of {page}: {:?}", pages_of(&variant));
            }
        }
        assert_eq!(pages_of(&"https://a.example/x.txt".parse().unwrap()), []);
    }
}
