//! Addresses as people read them: letters instead of escapes, where no letter can make an address look like another.

use std::borrow::Cow;

/// A text in which the addresses of web pages are written in letters: `https://例子.中国/指南.html`. What has a meaning of its own in an
/// address, blanks, what steers a terminal, what is not seen and what is no text stays as it is, so that each is still the same address.
#[cfg(any(feature = "cli", test))]
pub fn readable(text: &str) -> Cow<'_, str> {
    if !text.contains('%') && !text.contains("xn--") {
        return text.into();
    }
    let mut written = String::with_capacity(text.len());
    let mut rest = text;
    while let Some((before, address)) = next_address(rest) {
        written.push_str(before);
        let end = address.find(|c: char| c.is_whitespace() || c.is_control()).unwrap_or(address.len());
        let (address, after) = address.split_at_checked(end).unwrap_or((address, ""));
        let (scheme, place) = address.split_once("://").unwrap_or(("", address));
        let host = place.find(['/', '?', '#']).unwrap_or(place.len());
        let (host, path) = place.split_at_checked(host).unwrap_or((place, ""));
        written.push_str(scheme);
        written.push_str("://");
        written.push_str(&readable_host(host));
        written.push_str(&readable_path(path));
        rest = after;
    }
    written.push_str(rest);
    written.into()
}

/// A path, a query or a fragment, written so.
pub fn readable_path(path: &str) -> Cow<'_, str> {
    if !path.contains('%') {
        return path.into();
    }
    let mut written = String::with_capacity(path.len());
    let mut rest = path;
    while let Some((before, escapes)) = rest.find('%').and_then(|at| rest.split_at_checked(at)) {
        written.push_str(before);
        let (run, bytes) = escaped(escapes);
        if bytes.is_empty() {
            // It begins no escape.
            written.push('%');
            rest = escapes.get(1..).unwrap_or_default();
            continue;
        }
        write(&bytes, run, &mut written);
        rest = escapes.get(run.len()..).unwrap_or_default();
    }
    written.push_str(rest);
    written.into()
}

/// The escapes that a text begins with, and the bytes that they stand for.
fn escaped(text: &str) -> (&str, Vec<u8>) {
    let mut bytes = Vec::new();
    for escape in text.as_bytes().chunks(3) {
        let [b'%', high, low] = escape else { break };
        let digit = |digit: &u8| char::from(*digit).to_digit(16);
        let Some((high, low)) = digit(high).zip(digit(low)) else { break };
        bytes.push((high * 16 + low) as u8);
    }
    (text.get(..bytes.len() * 3).unwrap_or_default(), bytes)
}

/// Writes bytes as letters, or as the escapes that they were.
fn write(bytes: &[u8], run: &str, written: &mut String) {
    let mut at = 0;
    for part in bytes.utf8_chunks() {
        for c in part.valid().chars() {
            let length = c.len_utf8();
            if is_plain(c) {
                written.push(c);
            } else {
                written.push_str(run.get(at * 3..(at + length) * 3).unwrap_or_default());
            }
            at += length;
        }
        let length = part.invalid().len();
        written.push_str(run.get(at * 3..(at + length) * 3).unwrap_or_default());
        at += length;
    }
}

/// A letter or a digit beyond ASCII that is seen, or a mark of Chinese that is taken for nothing else. (ASCII is escaped on purpose.)
fn is_plain(c: char) -> bool {
    // Fillers of Hangul count as letters, as do vowels that nobody writes.
    let unseen =
        matches!(c, '\u{115f}'..='\u{11ff}' | '\u{17b4}' | '\u{17b5}' | '\u{3164}' | '\u{d7b0}'..='\u{d7ff}' | '\u{ffa0}');
    let mark = matches!(c, '、' | '《' | '》' | '「' | '」' | '『' | '』' | '【' | '】' | '（' | '）');
    // Beside letters that are written from the right a slash changes its place.
    let turns = matches!(c, '\u{590}'..='\u{8ff}' | '\u{fb1d}'..='\u{fdff}' | '\u{fe70}'..='\u{fefc}')
        || matches!(c, '\u{10800}'..='\u{10fff}' | '\u{1e800}'..='\u{1efff}');
    !c.is_ascii() && !unseen && !turns && (c.is_alphanumeric() || mark)
}

/// A host. Of its labels only those are decoded that are Chinese or Korean throughout: no such letter is like one of ASCII, nor like a
/// slash.
#[cfg(any(feature = "cli", test))]
fn readable_host(host: &str) -> Cow<'_, str> {
    if !host.contains("xn--") {
        return host.into();
    }
    let label = |label: &str| {
        let (decoded, valid) = idna::domain_to_unicode(label);
        let plain = valid.is_ok() && decoded.chars().all(is_unlike_ascii);
        if plain { decoded } else { label.to_owned() }
    };
    host.split('.').map(label).collect::<Vec<_>>().join(".").into()
}

#[cfg(any(feature = "cli", test))]
fn is_unlike_ascii(c: char) -> bool {
    let stroke = matches!(c, '一' | '丨' | '丶' | '丿' | '乀' | '乁' | '乙' | '乚' | '亅' | '工' | '口');
    matches!(c, '\u{3400}'..='\u{4dbf}' | '\u{4e00}'..='\u{9fff}' | '\u{ac00}'..='\u{d7a3}') && !stroke
}

#[cfg(any(feature = "cli", test))]
fn next_address(text: &str) -> Option<(&str, &str)> {
    let at = ["http://", "https://"].iter().filter_map(|scheme| text.find(scheme)).min()?;
    text.split_at_checked(at)
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a failing test may panic")]
mod tests {
    use proptest::prelude::*;
    use url::Url;

    use super::*;

    #[test]
    fn chinese_is_read_and_what_would_mislead_is_not() {
        for (address, read) in [
            (
                "https://a.cn/%E6%8C%87%E5%8D%97/%E5%85%A5%E9%97%A8.html?q=%E9%92%A5#%E8%BD%AE",
                "https://a.cn/指南/入门.html?q=钥#轮",
            ),
            ("http://xn--fsqu00a.xn--fiqs8s/a", "http://例子.中国/a"),
            ("https://e.org/caf%C3%A9/%E3%80%8A%E4%B9%A6%E3%80%8B", "https://e.org/café/《书》"),
            // Delimiters, blanks, controls, what turns the direction, what is not seen, what looks like a delimiter, what is no text.
            ("https://e.org/a%2Fb%3Fc%23d%25e%20f%26g", "https://e.org/a%2Fb%3Fc%23d%25e%20f%26g"),
            ("https://e.org/%1B%5B2J%0A%C2%85%C2%A0", "https://e.org/%1B%5B2J%0A%C2%85%C2%A0"),
            ("https://e.org/%E2%80%AEgpj%E2%81%A6%E2%80%8B%E2%80%8F", "https://e.org/%E2%80%AEgpj%E2%81%A6%E2%80%8B%E2%80%8F"),
            ("https://e.org/%E3%80%80%EF%BC%8F%E2%81%84%E3%85%A4", "https://e.org/%E3%80%80%EF%BC%8F%E2%81%84%E3%85%A4"),
            ("https://e.org/%C4%E3%ff%zz%E6%8C%4", "https://e.org/%C4%E3%ff%zz%E6%8C%4"),
            ("https://e.org/%D7%90/%D8%A8", "https://e.org/%D7%90/%D8%A8"),
            ("https://e.org/%E6%8C%87%20%E5%8D%97%FF", "https://e.org/指%20南%FF"),
            // Cyrillic that looks like "apple", and a label that has both.
            ("https://xn--80ak6aa92e.com/", "https://xn--80ak6aa92e.com/"),
            ("https://xn--a-7d4e.com/", "https://xn--a-7d4e.com/"),
            ("files/%E6%8C%87.md", "files/%E6%8C%87.md"),
        ] {
            assert_eq!(readable(address), read);
        }
        let said = "failed http://a.cn/%E6%8C%87: no answer from https://a.cn/%E5%8D%97, twice";
        assert_eq!(readable(said), "failed http://a.cn/指: no answer from https://a.cn/南, twice");
        assert_eq!(readable_path("/%E6%8C%87/%1B"), "/指/%1B");
    }

    proptest! {
        #[test]
        fn an_address_stays_the_same_one(host in "[a-z]{1,5}|[一-龥]{1,3}|[а-яё]{1,4}", path in "\\PC{0,20}|(%[0-9a-fA-F]{2}){0,12}", query in "\\PC{0,12}") {
            let Ok(mut url) = Url::parse(&format!("https://{host}.example/{path}")) else { return Ok(()) };
            url.set_query(Some(&query));
            let read = readable(url.as_str()).into_owned();
            // The digits of an escape may be small ones.
            let same = Url::parse(&read).unwrap().as_str().eq_ignore_ascii_case(url.as_str());
            prop_assert!(same, "{} is {}", read, url);
            let steers = |c: char| c.is_control() || c.is_whitespace() || matches!(c, '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}');
            prop_assert!(!read.contains(steers));
        }
    }
}
