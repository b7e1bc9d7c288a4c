//! Addresses that open a document at a passage.

use url::Url;

use crate::document::Passage;

/// Words of a text fragment, and characters of it.
const MAX_WORDS: usize = 8;
const MAX_CHARACTERS: usize = 60;
/// Characters of a text without blanks that are enough to find it by.
const ENOUGH: usize = 12;

/// See [`link`].
pub fn of(passage: &Passage) -> Option<String> {
    link(&passage.uri, passage.page, passage.anchor.as_deref(), &passage.text)
}

/// The address of a passage of a page of the web: the page's own with the name of the place, or with the first words of the
/// passage where no place has a name, as browsers understand it (`#:~:text=first%20words`); of a PDF with the page's number, as the
/// viewers in browsers do (`#page=3`, RFC 8118). `None` for other documents.
pub fn link(uri: &str, page: Option<u32>, anchor: Option<&str>, text: &str) -> Option<String> {
    let web = uri.starts_with("http://") || uri.starts_with("https://");
    let mut url = web.then(|| Url::parse(uri).ok()).flatten()?;
    if url.fragment().is_some() {
        // The page is one that a program of the site makes, and its fragment says which.
        return Some(url.into());
    }
    if anchor.is_some() {
        url.set_fragment(anchor);
        return Some(url.into());
    }
    // No other format has pages, whatever its address ends with.
    if let Some(page) = page {
        url.set_fragment(Some(&format!("page={page}")));
        return Some(url.into());
    }
    let words = first_words(text);
    if !words.is_empty() && !is_pdf(&url) {
        url.set_fragment(Some(&format!(":~:text={}", encoded(&words))));
    }
    Some(url.into())
}

/// What is shown by a viewer that looks for no words.
fn is_pdf(url: &Url) -> bool {
    url.path().rsplit_once('.').is_some_and(|(_, extension)| extension.eq_ignore_ascii_case("pdf"))
}

/// Words as they stand on the page: of one line, without its marks, and no further than to the next mark.
fn first_words(text: &str) -> String {
    let mut best = String::new();
    let mut listing = false;
    for line in text.lines().take(40) {
        if line.starts_with("```") {
            listing = !listing;
            continue;
        }
        let words = if listing { words_of(line) } else { words_of(plain(line)) };
        if words.chars().count() >= ENOUGH {
            return words;
        }
        if best.is_empty() && words.chars().any(char::is_alphanumeric) {
            best = words;
        }
    }
    best
}

/// A line of Markdown from its first word to its first mark, or the first cell of a row.
fn plain(line: &str) -> &str {
    let line = line.trim_start_matches(|c: char| c.is_whitespace() || matches!(c, '#' | '>' | '|'));
    let line = ["- ", "* ", "+ "].into_iter().find_map(|mark| line.strip_prefix(mark)).unwrap_or(line);
    let bare = line.trim_start_matches(|c: char| c.is_ascii_digit());
    let numbered = (bare.len() < line.len()).then(|| bare.strip_prefix(". ")).flatten();
    let line = numbered.unwrap_or(line).trim_start_matches(['*', '`', '[', '\\']);
    let end = line.find(['`', '*', '[', ']', '|', '\\', '$', '~']).unwrap_or(line.len());
    line.get(..end).unwrap_or(line)
}

fn words_of(line: &str) -> String {
    let mut out = String::new();
    for word in line.split_whitespace().take(MAX_WORDS) {
        let room = MAX_CHARACTERS.saturating_sub(out.chars().count() + 1);
        if word.chars().count() > room {
            if out.is_empty() {
                out.push_str(beginning(word));
            }
            break;
        }
        if !out.is_empty() {
            out.push(' ');
        }
        out.push_str(word);
    }
    out
}

/// Of a text that has no blanks: up to a mark, since a browser takes whole words alone.
fn beginning(word: &str) -> &str {
    let mut last = None;
    for (n, (at, c)) in word.char_indices().enumerate() {
        if n >= MAX_CHARACTERS {
            break;
        }
        if !c.is_alphanumeric() && n > 0 {
            last = Some(at);
            if n >= ENOUGH {
                break;
            }
        }
    }
    let end = last.or_else(|| word.char_indices().nth(MAX_CHARACTERS).map(|(at, _)| at)).unwrap_or(word.len());
    word.get(..end).unwrap_or_default()
}

/// All bytes that mean something in a text fragment, or in an address, are percent-encoded: `-`, `,` and `&` too.
fn encoded(words: &str) -> String {
    let mut out = String::with_capacity(words.len() * 2);
    for byte in words.bytes() {
        if byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'_' | b'~' | b'!' | b'*' | b'\'' | b'(' | b')') {
            out.push(char::from(byte));
        } else {
            out.push_str(&format!("%{byte:02X}"));
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    const PAGE: &str = "https://e.org/a.html";

    fn fragment(anchor: Option<&str>, text: &str) -> String {
        link(PAGE, None, anchor, text).and_then(|link| link.strip_prefix(PAGE).map(str::to_owned)).unwrap_or_default()
    }

    #[test]
    fn a_passage_is_opened_by_the_name_of_its_place() {
        assert_eq!(fragment(Some("os.path.join"), "text"), "#os.path.join");
        assert_eq!(fragment(Some("安装 x"), "text"), "#%E5%AE%89%E8%A3%85%20x");
        assert_eq!(link("docs/a.html", None, Some("x"), "text"), None);
        assert_eq!(link("tickets://17", None, None, "text"), None);
        assert_eq!(link("https://e.org/#/install", None, Some("x"), "text").as_deref(), Some("https://e.org/#/install"));
    }

    #[test]
    fn a_passage_of_a_pdf_is_opened_by_its_page() {
        let opened = |uri, page| link(uri, page, None, "The first words of it, and more.");
        assert_eq!(opened("https://e.org/a.pdf", Some(3)).as_deref(), Some("https://e.org/a.pdf#page=3"));
        assert_eq!(opened("https://e.org/get?id=7", Some(12)).as_deref(), Some("https://e.org/get?id=7#page=12"));
        assert_eq!(opened("https://e.org/a.PDF", None).as_deref(), Some("https://e.org/a.PDF"), "no viewer looks for words");
        assert_eq!(opened("docs/a.pdf", Some(3)), None);
    }

    #[test]
    fn or_by_its_first_words() {
        for (text, fragment_of) in [
            ("## How to *rotate* keys\n\nFirst, stop all of the writers.", "First%2C%20stop%20all%20of%20the%20writers."),
            ("- read-only & safe, in all modes", "read%2Donly%20%26%20safe%2C%20in%20all%20modes"),
            ("| Port of Nord | 10 |\n| Port | 7 |", "Port%20of%20Nord"),
            ("```py\nimport os, sys\n```", "import%20os%2C%20sys"),
            (
                "12. Twelve steps to take, one by one, until it is done and more",
                "Twelve%20steps%20to%20take%2C%20one%20by%20one%2C%20until",
            ),
            (
                "先停止所有写入，然后轮换密钥。再启动所有服务，并检查日志里有没有错误，最后通知用户。",
                "%E5%85%88%E5%81%9C%E6%AD%A2%E6%89%80%E6%9C%89%E5%86%99%E5%85%A5%EF%BC%8C%E7%84%B6%E5%90%8E%E8%BD%AE%E6%8D%A2%E5%AF%86%E9%92%A5%E3%80%82%E5%86%8D%E5%90%AF%E5%8A%A8%E6%89%80%E6%9C%89%E6%9C%8D%E5%8A%A1%EF%BC%8C%E5%B9%B6%E6%A3%80%E6%9F%A5%E6%97%A5%E5%BF%97%E9%87%8C%E6%9C%89%E6%B2%A1%E6%9C%89%E9%94%99%E8%AF%AF%EF%BC%8C%E6%9C%80%E5%90%8E%E9%80%9A%E7%9F%A5%E7%94%A8%E6%88%B7%E3%80%82",
            ),
            ("Short", "Short"),
        ] {
            assert_eq!(fragment(None, text), format!("#:~:text={fragment_of}"), "{text}");
        }
        assert_eq!(fragment(None, "***"), "");
    }

    #[test]
    fn a_long_text_without_blanks_ends_at_a_mark() {
        let text = "先停止所有写入，然后轮换密钥。".repeat(10);
        assert_eq!(beginning(&text), "先停止所有写入，然后轮换密钥");
        assert_eq!(beginning(&"x".repeat(100)).len(), MAX_CHARACTERS);
    }
}
