#![allow(clippy::unwrap_used, clippy::indexing_slicing, clippy::string_slice, reason = "a test may fail loudly")]

use std::io::Write as _;

use proptest::prelude::*;

use super::*;

fn at() -> Url {
    "https://a.example/docs/sitemap.xml".parse().unwrap()
}

fn pages(found: &Sitemap) -> Vec<&str> {
    found.pages.iter().map(|page| page.url.as_str()).collect()
}

fn of(text: &str) -> Sitemap {
    read(text.as_bytes(), &at())
}

const PLAIN: &str = r#"<?xml version="1.0" encoding="UTF-8"?>
<urlset xmlns="http://www.sitemaps.org/schemas/sitemap/0.9" xmlns:image="http://www.google.com/schemas/sitemap-image/1.1"
    xmlns:xhtml="http://www.w3.org/1999/xhtml">
  <url>
    <loc> https://a.example/a?b=1&amp;c=2 </loc><lastmod>2026-05-01T10:00:00+02:00</lastmod>
    <image:image><image:loc>https://a.example/picture.png</image:loc></image:image>
    <xhtml:link rel="alternate" hreflang="de" href="https://a.example/de/a"/>
  </url>
  <url><loc><![CDATA[https://a.example/文档]]></loc><priority>1.0</priority></url>
  <url><lastmod>2026-05-01</lastmod></url>
  <url><loc/></url>
  <url><loc>mailto:me@a.example</loc></url>
</urlset>"#;

#[test]
fn a_sitemap_lists_pages_and_when_they_changed() {
    let found = of(PLAIN);
    assert_eq!(pages(&found), ["https://a.example/a?b=1&c=2", "https://a.example/%E6%96%87%E6%A1%A3"]);
    assert_eq!(found.pages[0].modified, Some("2026-05-01T08:00:00Z".parse().unwrap()));
    assert_eq!(found.pages[1].modified, None);
    assert!(found.recognised && !found.truncated && found.sitemaps.is_empty());
}

#[test]
fn compression_is_seen_by_its_first_bytes() {
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    encoder.write_all(PLAIN.as_bytes()).unwrap();
    let packed = encoder.finish().unwrap();
    assert_eq!(read(&packed, &at()), of(PLAIN));
    let cut = read(packed.get(..packed.len() / 2).unwrap(), &at());
    assert!(cut.truncated && cut.pages.len() <= 2);
    let zeros = vec![b' '; MAX_BYTES + 1];
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    encoder.write_all(&zeros).unwrap();
    assert_eq!(read(&encoder.finish().unwrap(), &at()), Sitemap { truncated: true, ..Sitemap::default() });
}

#[test]
fn an_index_lists_sitemaps() {
    let found = of(
        "<sitemapindex><sitemap><loc>/a.xml.gz</loc><lastmod>2026</lastmod></sitemap><sitemap><loc>https://b.example/b.xml</loc>\
         </sitemap></sitemapindex>",
    );
    assert_eq!(found.sitemaps, ["https://a.example/a.xml.gz".parse().unwrap(), "https://b.example/b.xml".parse().unwrap()]);
    assert!(found.recognised && found.pages.is_empty());
}

#[test]
fn feeds_are_lists_too() {
    let rss =
        of("<rss version='2.0'><channel><link>https://a.example/</link><item><title>A</title><link>https://a.example/1</link>\
         <pubDate>Fri, 01 May 2026 10:00:00 +0200</pubDate></item><item><link>/2</link></item></channel></rss>");
    assert_eq!(pages(&rss), ["https://a.example/1", "https://a.example/2"]);
    assert_eq!(rss.pages[0].modified, Some("2026-05-01T08:00:00Z".parse().unwrap()));
    let rdf = of(
        "<rdf:RDF xmlns:rdf='x'><channel/><item rdf:about='x'><link>https://a.example/1</link><dc:date>2026-05-01T08:00Z</dc:date></item>\
         </rdf:RDF>",
    );
    assert_eq!(
        (pages(&rdf), rdf.pages[0].modified),
        (vec!["https://a.example/1"], Some("2026-05-01T08:00:00Z".parse().unwrap()))
    );
    let atom =
        of("<feed xmlns='http://www.w3.org/2005/Atom'><link href='https://a.example/'/><entry><link rel='edit' href='/edit'/>\
         <link rel=\"alternate\" href=\"/1?a=1&amp;b\"/><link href='/other'/><updated>2026-05-01T08:00:00.5Z</updated></entry>\
         <entry><link href='/2'></link><published>2026-05-01T08:00:00Z</published></entry></feed>");
    assert_eq!(pages(&atom), ["https://a.example/1?a=1&b", "https://a.example/2"]);
    assert!(rss.recognised && rdf.recognised && atom.recognised);
}

#[test]
fn lines_of_text_are_a_list() {
    let found = of("\u{feff}https://a.example/1\r\n\r\n  http://b.example/世  \nnot an address\n/relative\n");
    assert_eq!(pages(&found), ["https://a.example/1", "http://b.example/%E4%B8%96"]);
    assert!(found.recognised && !of("nothing here").recognised && !of("").recognised);
}

#[test]
fn what_is_broken_is_read_as_far_as_it_goes() {
    let cut = &PLAIN[..PLAIN.find("<priority>").unwrap()];
    let found = of(cut);
    assert_eq!(pages(&found), pages(&of(PLAIN)), "also the entry that was begun");
    assert!(found.truncated);
    // Neither of these is XML, all are met.
    let broken = [
        "<urlset><url><loc>https://a.example/?a=1&b=2&copy=3&nbsp;</loc></url><url><loc>https://a.example/2</loc></url></urlset>",
        "\u{feff}\n <urlset><url><loc>https://a.example/?a=1&b=2&copy=3&nbsp;</loc></url></url></x><URL><Loc>https://a.example/2</Loc></URL>",
        "<ns0:urlset><ns0:url><ns0:loc>https://a.example/?a=1&#38;b=2&amp;copy=3&nbsp;</ns0:loc><url><loc>https://a.example/2</loc></url></ns0:urlset>",
        "<url><loc>https://a.example/?a=1&b=2&copy=3&nbsp;</loc></url><url><loc>https://a.example/2</loc></url>",
    ];
    for text in broken {
        assert_eq!(pages(&of(text)), ["https://a.example/?a=1&b=2&copy=3&nbsp;", "https://a.example/2"], "{text}");
    }
    let entities =
        "<!DOCTYPE u [<!ENTITY a 'aaaa'><!ENTITY b '&a;&a;'>]><urlset><url><loc>https://a.example/&b;</loc></url></urlset>";
    assert_eq!(pages(&of(entities)), ["https://a.example/&b;"], "no entity is looked up");
    let page = of("<!DOCTYPE html><html><head><title>Not found</title></head><body><a href='/'>Home</a><p>Sorry</body></html>");
    assert!(!page.recognised && page.pages.is_empty());
    let deep = of(&format!("<urlset>{}<url><loc>https://a.example/</loc></url>", "<x>".repeat(100_000)));
    assert!(deep.truncated && deep.pages.is_empty());
}

#[test]
fn encodings_are_told_by_the_mark_or_the_file() {
    let latin = b"<?xml version='1.0' encoding='ISO-8859-1'?><urlset><url><loc>https://a.example/\xe4</loc></url></urlset>";
    assert_eq!(pages(&read(latin, &at())), ["https://a.example/%C3%A4"]);
    let text = "<urlset><url><loc>https://a.example/世</loc></url></urlset>";
    let utf16: Vec<u8> = "\u{feff}".encode_utf16().chain(text.encode_utf16()).flat_map(u16::to_be_bytes).collect();
    assert_eq!(pages(&read(&utf16, &at())), ["https://a.example/%E4%B8%96"]);
}

#[test]
fn no_more_are_taken_than_a_list_may_have() {
    let entry = |n: usize| format!("<url><loc>https://a.example/{n}</loc></url>");
    let found = of(&format!("<urlset>{}</urlset>", (0..50_001).map(entry).collect::<Vec<_>>().concat()));
    assert_eq!((found.pages.len(), found.truncated), (50_000, true));
    let found = of(&(0..50_001).map(|n| format!("https://a.example/{n}\n")).collect::<Vec<_>>().concat());
    assert_eq!((found.pages.len(), found.truncated), (50_000, true));
    let exact = of(&format!("<urlset>{}</urlset>", (0..50_000).map(entry).collect::<Vec<_>>().concat()));
    assert_eq!((exact.pages.len(), exact.truncated), (50_000, false));
}

#[test]
fn dates_mean_the_last_instant_that_they_can() {
    let means = |text: &str| instant(text).map(|instant| instant.to_string());
    let pairs = [
        ("2026-05-01T10:00:00Z", "2026-05-01T10:00:00Z"),
        ("2026-05-01T10:00+02:00", "2026-05-01T08:00:00Z"),
        ("2026-05-01T10:00:00.123456789+00:00", "2026-05-01T10:00:00.123456789Z"),
        ("2026-05-01", "2026-05-02T11:59:59Z"),
        ("2026-05-01T10:00:00", "2026-05-01T22:00:00Z"),
        ("2026-05-01 10:00:00", "2026-05-01T22:00:00Z"),
        ("Fri, 01 May 2026 10:00:00 GMT", "2026-05-01T10:00:00Z"),
        ("Mon, 1 May 2026 10:00:00 -0500", "2026-05-01T15:00:00Z"),
    ];
    for (text, expected) in pairs {
        assert_eq!(means(text).as_deref(), Some(expected), "{text}");
    }
    for text in ["", "yesterday", "2026", "2026-05", "2026-13-01", "2026-02-30", "99999-01-01"] {
        assert_eq!(means(text), None, "{text}");
    }
}

#[test]
fn places_are_those_that_are_named_and_the_usual() {
    let named: Vec<Url> = vec!["https://b.example/s.xml".parse().unwrap(), "https://a.example/sitemap.xml".parse().unwrap()];
    let at = |seed: &str| places(&named, &seed.parse().unwrap()).iter().map(Url::to_string).collect::<Vec<_>>();
    let [named_1, root, index] =
        ["https://b.example/s.xml", "https://a.example/sitemap.xml", "https://a.example/sitemap_index.xml"];
    assert_eq!(at("https://a.example/docs?x#y"), [named_1, root, index, "https://a.example/docs/sitemap.xml"]);
    assert_eq!(at("https://a.example/docs/a.html"), [named_1, root, index, "https://a.example/docs/sitemap.xml"]);
    assert_eq!(at("https://a.example/"), [named_1, root, index]);
}

proptest! {
    #[test]
    fn no_list_is_too_strange(bytes: Vec<u8>, text in "(</?(url|loc|sitemap|urlset|item|link|entry)/?>|<!\\[CDATA\\[|\\]\\]>|&|;|<|>|<!--|https://a/|\\PC){0,60}") {
        read(&bytes, &at());
        of(&text);
        of(&format!("<urlset>{text}"));
    }
}
