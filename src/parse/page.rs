//! Pages of a site, which have an address: what a crawler needs to know of one, and its text.
//!
//! Both are CPU work of some milliseconds: to be called on a blocking thread. Neither panics.

use url::Url;

pub use super::html::{Link, PageScan, Robots};
use super::{Format, ParseError, Parsed, guard, html};

/// What an HTML page says besides its text: where it leads, what it asks of robots, what it is made of. `url` is its final
/// address, after all redirects; the media type is that of its `Content-Type`, parameters included.
pub fn scan(bytes: &[u8], media_type: Option<&str>, url: &Url) -> Result<PageScan, ParseError> {
    let (page, url) = (html::decode_sent_as(bytes, media_type)?, url.clone());
    guard::run(Format::Html, move |_| html::scan(&page, &url))
}

/// The main part of an HTML page as Markdown. Links within its site are written as their words alone.
pub fn read(bytes: &[u8], media_type: Option<&str>, url: &Url) -> Result<Parsed, ParseError> {
    let (page, url) = (html::decode_sent_as(bytes, media_type)?, url.clone());
    let extracted = guard::run(Format::Html, move |_| html::extract_at(&page, &url))?;
    extracted.checked(Format::Html).map(Parsed::from)
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
        let read = read(PAGE.as_bytes(), None, &url()).unwrap().extracted;
        let text = "# 安装指南\n\n先下载 the package, then run the installer from [here](http://other.org/x).";
        assert_eq!((read.title.as_deref(), read.text.as_str()), (Some("安装 指南"), text));
        let other_port = "<p>See <a href='https://e.org:8443/x'>the other port</a> and <a href='http://e.org/y'>this one</a>.";
        let read = super::read(other_port.as_bytes(), None, &url()).unwrap().extracted.text;
        assert_eq!(read, "See [the other port](https://e.org:8443/x) and this one.");
    }

    #[test]
    fn a_page_that_programs_fill_is_told() {
        let shell =
            "<title>App</title><div id=app></div><noscript>Please turn on JavaScript.</noscript><script src=a.js></script>";
        let scan_of = |page: &str| scan(page.as_bytes(), None, &url()).unwrap();
        assert!(scan_of(shell).needs_browser());
        assert!(!scan_of("<p>Short.").needs_browser(), "nothing would fill it");
        assert!(!scan_of(&format!("<script>x</script><p>{}", "文字".repeat(40))).needs_browser());
        assert_eq!(read(shell.as_bytes(), None, &url()).unwrap_err(), ParseError::Empty);
        assert_eq!(scan(b"\x89PNG\0\0", None, &url()).unwrap_err(), ParseError::Binary);
    }
}
