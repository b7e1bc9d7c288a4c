//! Pages of a site, which have an address: what a crawler needs to know of one, and its text.
//!
//! Both are CPU work of some milliseconds: to be called on a blocking thread. Neither panics.

mod furniture;

pub use furniture::Furniture;
use url::Url;

pub use super::html::{Link, PageScan, Robots};
use super::{Format, ParseError, Parsed, guard, html};

/// What an HTML page says besides its text: where it leads, what it asks of robots, what it is made of. `url` is its final
/// address, after all redirects; the media type is that of its `Content-Type`, parameters included.
pub fn scan(bytes: &[u8], media_type: Option<&str>, url: &Url) -> Result<PageScan, ParseError> {
    let (page, url) = (html::decode_sent_as(bytes, media_type)?, url.clone());
    guard::run(Format::Html, move |_| html::scan(&page, &url))
}

/// The main part of an HTML page as Markdown, without what surrounds it and is furniture of the site by its signature (see
/// [`Furniture`]). Links within the site are written as their words alone.
pub fn read(
    bytes: &[u8],
    media_type: Option<&str>,
    url: &Url,
    furniture: impl Fn(u64) -> bool + Send + 'static,
) -> Result<Parsed, ParseError> {
    let (page, url) = (html::decode_sent_as(bytes, media_type)?, url.clone());
    let parsed = guard::run(Format::Html, move |_| html::extract_at(&page, &url, &furniture))?;
    Ok(Parsed { extracted: parsed.extracted.checked(Format::Html)?, ..parsed })
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "tests may")]
mod tests {
    use super::*;

    fn url() -> Url {
        Url::parse("https://www.e.org/docs/a.html").unwrap()
    }

    const PAGE: &str = "<!doctype html><html lang=zh-CN><head><title> 安装 \n指南 </title><meta name=generator content='Sphinx 7.2'>\
        <meta name=Robots content='NOFOLLOW'><meta name=ragstream content=noindex><script src=a.js></script>\
        <script type='application/ld+json'>{}</script></head><body><nav><a href=/>Home</a></nav><main><h1>安装指南</h1>\
        <p>先下载 the package, then run <a href='https://e.org/docs/b.html'>the installer</a> from \
        <a href='http://other.org/x'>here</a>.</p></main><form><input type=Password></form></body></html>";

    #[test]
    fn what_a_page_says() {
        let scan = scan(PAGE.as_bytes(), Some("text/html; charset=utf-8"), &url()).unwrap();
        assert_eq!(scan.title.as_deref(), Some("安装 指南"));
        assert_eq!(scan.lang.as_deref(), Some("zh-CN"));
        assert_eq!(scan.generator.as_deref(), Some("Sphinx 7.2"));
        assert_eq!(scan.robots, Robots { noindex: true, nofollow: true });
        assert_eq!(scan.scripts, 1);
        assert!(scan.password_form);
        // Eight words, and seven characters of Chinese.
        assert_eq!(scan.words, 8 + 4);
        assert_eq!(scan.links.len(), 3);
        assert_eq!(scan.blocks.len(), 3);
    }

    #[test]
    fn links_of_the_site_itself_are_words() {
        let read = read(PAGE.as_bytes(), None, &url(), |_| false).unwrap().extracted;
        let text = "# 安装指南\n\n先下载 the package, then run the installer from [here](http://other.org/x).";
        assert_eq!((read.title.as_deref(), read.text.as_str()), (Some("安装 指南"), text));
        let other_port = "<p>See <a href='https://e.org:8443/x'>the other port</a> and <a href='http://e.org/y'>this one</a>.";
        let read = super::read(other_port.as_bytes(), None, &url(), |_| false).unwrap().extracted.text;
        assert_eq!(read, "See [the other port](https://e.org:8443/x) and this one.");
    }

    /// Pages of a site that has no names for what surrounds its text.
    fn of_site(n: usize) -> String {
        let neighbour = |n: usize| format!("{n}. The chapter about the port number {n}");
        let links: Vec<String> = (1..9).map(|part| format!("<li><a href=p{part}.html>Part {part} of the guide</a>")).collect();
        let links = links.concat();
        format!(
            "<table><tr><th colspan=3>{here}<tr><td><a href=a>Prev</a><td><a href=b>Up</a><td><a href=c>Next</a></table>\
             <div><h2>All parts</h2><ul>{links}<li><a href=x>{here}</a></ul></div>\
             <h1>Version 1.{n}</h1><p>What the port of number {n} is like, with more of {n} than of any other, and of all of its piers.</p>\
             <h2>Returns</h2><p>Returns</p><pre>ship({n})</pre><p>See also</p><ul><li><a href=q{n}>The port of {word}</a></ul>\
             <h2>Example</h2><p>Example:</p><table><tr><th>Berth<th>Free<tr><td>a{word}<td>yes<tr><td>b<td>no</table>\
             <p>That is all there is to say of the port of number {n}, apart from its depth, which is {n} metres.</p>\
             <p>Report a bug in this page</p><div>\u{a9} 20{n} The harbour master. <a href=terms>All rights reserved</a></div>\
             <table><tr><td><a href=a>Prev</a><td>Home<td><a href=c>Next</a><tr><td>{before}<td><td>{here}</table>",
            here = neighbour(n),
            before = neighbour(n.saturating_sub(1)),
            word = ["sand", "mud", "rock", "clay"].get(n % 4).unwrap_or(&""),
        )
    }

    #[test]
    fn what_a_site_repeats_around_its_texts_is_left_out() {
        let mut furniture = Furniture::default();
        for n in 10..30 {
            furniture.add(&scan(of_site(n).as_bytes(), None, &url()).unwrap().blocks);
        }
        let read = |page: &str| {
            let furniture = furniture.clone();
            read(page.as_bytes(), None, &url(), move |block| furniture.is_furniture(block)).unwrap().extracted.text
        };
        let text = "# Version 1.14\n\nWhat the port of number 14 is like, with more of 14 than of any other, and of all of its piers.\n\n\
            ## Returns\n\nReturns\n\n```\nship(14)\n```\n\nSee also\n\n- The port of rock\n\n\
            ## Example\n\nExample:\n\n| Berth | Free |\n| - | - |\n| arock | yes |\n| b | no |\n\n\
            That is all there is to say of the port of number 14, apart from its depth, which is 14 metres.";
        assert_eq!(read(&of_site(14)), text);
        // What is repeated stays where nothing else is said, if only below its heading.
        assert_eq!(read("<h2>Returns</h2><p>Nothing new under the sun."), "## Returns\n\nNothing new under the sun.");
    }

    #[test]
    fn sphinx_is_known_by_what_its_pages_link_to() {
        let of = |head: &str| scan(format!("{head}<p>Text").as_bytes(), None, &url()).unwrap().generator;
        assert_eq!(of("<script src='../_static/documentation_options.js?v=1'></script>").as_deref(), Some("Sphinx"));
        assert_eq!(of("<link rel=index title=Index href=../genindex.html>").as_deref(), Some("Sphinx"));
        assert_eq!(
            of("<link rel=index href=genindex.html><meta name=generator content='Docutils 0.19'>").as_deref(),
            Some("Docutils 0.19")
        );
        assert_eq!(of("<link rel=index href=all.html><a rel=index href=genindex.html>x</a>"), None);
    }

    #[test]
    fn a_page_that_programs_fill_is_told() {
        let shell =
            "<title>App</title><div id=app></div><noscript>Please turn on JavaScript.</noscript><script src=a.js></script>";
        let scan_of = |page: &str| scan(page.as_bytes(), None, &url()).unwrap();
        assert!(scan_of(shell).needs_browser());
        assert!(!scan_of("<p>Short.").needs_browser(), "nothing would fill it");
        assert!(!scan_of(&format!("<script>x</script><p>{}", "文字".repeat(40))).needs_browser());
        assert_eq!(read(shell.as_bytes(), None, &url(), |_| false).unwrap_err(), ParseError::Empty);
        assert_eq!(scan(b"\x89PNG\0\0", None, &url()).unwrap_err(), ParseError::Binary);
    }
}
