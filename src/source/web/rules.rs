//! Which addresses of a site are worth a visit.

use std::borrow::Cow;

use url::Url;

/// Parts of paths that lead to a login.
const LOGIN: [&str; 9] = ["login", "signin", "sign-in", "sign_in", "sso", "auth", "oauth", "cas", "saml"];

/// Whether an address is that of a login.
pub(super) fn is_login(url: &Url) -> bool {
    let is_word = |segment: &str| {
        let word = segment.split('.').next().unwrap_or_default();
        LOGIN.iter().any(|login| word.eq_ignore_ascii_case(login))
    };
    url.path_segments().is_some_and(|mut segments| segments.any(is_word))
}

/// The path of an address as `include` and `exclude` match it: decoded, without the first `/`.
pub(super) fn path(url: &Url) -> String {
    let path = url.path().trim_start_matches('/');
    percent_encoding::percent_decode_str(path).decode_utf8().map_or_else(|_| path.to_owned(), Cow::into_owned)
}

/// Whether a generator makes this page of all the others: an index of words, a page for printing, a search form, the sources. What it
/// says stands elsewhere. `root`: the path of the folder that is the site; deeper down a `search.html` is a page about searching.
pub(super) fn is_generated(url: &Url, generator: Option<&str>, root: &str) -> bool {
    let path = url.path();
    let name = path.rsplit('/').next().unwrap_or_default();
    // The whole site in one document, beside its pages.
    if name == "llms-full.txt" || name == "llms.txt" {
        return true;
    }
    let Some(generator) = generator.map(str::to_ascii_lowercase) else { return false };
    let within = |folder: &str| path.contains(&format!("/{folder}/"));
    let named = |names: &[&str]| names.contains(&name);
    let search = name == "search.html"
        && path.strip_suffix(name).is_some_and(|folder| folder.trim_end_matches('/') == root.trim_end_matches('/'));
    if generator.contains("sphinx") || generator.contains("docutils") {
        let index = name.starts_with("genindex") || named(&["py-modindex.html", "modindex.html", "searchindex.js"]);
        return index || search || within("_modules") || within("_sources");
    }
    if generator.contains("mdbook") {
        return named(&["print.html", "toc.html", "404.html"]);
    }
    if generator.contains("docusaurus") {
        return named(&["search", "404.html"]) || path.ends_with("/search/") || within("tags");
    }
    if generator.contains("mkdocs") || generator.contains("vitepress") || generator.contains("hugo") {
        return search || named(&["404.html", "print_page"]);
    }
    if generator.contains("docbook") {
        return named(&["ix01.html", "bookindex.html"]);
    }
    false
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a failing test may panic")]
mod tests {
    use super::*;

    fn url(path: &str) -> Url {
        Url::parse("https://a.example").unwrap().join(path).unwrap()
    }

    #[test]
    fn patterns_see_a_path_as_people_write_it() {
        assert_eq!(path(&url("/指南/入门.html?x=1")), "指南/入门.html");
        assert_eq!(path(&url("/a%20b/%zz/%ff")), "a%20b/%zz/%ff", "what is no text stays as it is");
        assert_eq!(path(&url("/")), "");
    }

    #[test]
    fn what_a_generator_makes_of_all_pages_is_no_page() {
        let sphinx = Some("Docutils 0.19: https://docutils.sourceforge.io/");
        let docbook = Some("DocBook XSL Stylesheets V1.79.1");
        for (path, generator, generated) in [
            ("/genindex-A.html", sphinx, true),
            ("/_sources/library/os.rst.txt", sphinx, true),
            ("/library/os.html", sphinx, false),
            ("/genindex.html", None, false),
            ("/search.html", sphinx, true),
            ("/ref/contrib/postgres/search.html", sphinx, false),
            ("/_modules/django/http/request.html", sphinx, true),
            ("/bookindex.html", docbook, true),
            ("/sql-createindex.html", docbook, false),
            ("/book/print.html", Some("mdBook"), true),
            ("/book/print.html", Some("Hugo 0.120"), false),
            ("/llms-full.txt", None, true),
        ] {
            assert_eq!(is_generated(&url(path), generator, "/"), generated, "{path} {generator:?}");
        }
    }
}
