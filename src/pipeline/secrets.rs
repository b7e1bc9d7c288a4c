//! Secrets that are written into a file in plain sight: where they stand, so that no message shows them.

use std::borrow::Cow;
use std::ops::Range;

use crate::suggest::misspelt;

/// The keys of a pipeline file whose values are secret; people miswrite them.
const KEYS: [&str; 5] = ["api_key", "passwords", "secret_key", "access_key", "session_token"];
/// What the names of secrets end with elsewhere, as in headers, without blanks, `-` and `_`.
const ENDS: [&str; 13] = [
    "apikey",
    "accesskey",
    "secretkey",
    "privatekey",
    "secret",
    "password",
    "passwords",
    "passwd",
    "passphrase",
    "token",
    "authorization",
    "credentials",
    "cookie",
];
/// What divides a key from its value, or is taken for it.
const MARKS: [char; 3] = [':', '：', '='];
/// What stands for a secret.
const COVER: &str = "*****";

fn folded(key: &str) -> String {
    key.chars().filter(|c| c.is_alphanumeric()).flat_map(char::to_lowercase).collect()
}

/// Whether what stands below a key is nobody's business: a secret, or headers, which hold them.
pub(super) fn is_secret(key: &str) -> bool {
    let folded = folded(key);
    is_headers(key) || ENDS.iter().any(|end| folded.ends_with(end)) || !misspelt(key, KEYS).is_empty()
}

fn is_headers(key: &str) -> bool {
    matches!(folded(key).as_str(), "header" | "headers")
}

/// Whether a text that is no key's value is secret all the same: `api_key:sk-…`, without the blank that makes a key, or a key by its form.
pub(super) fn is_bare(text: &str) -> bool {
    !text.contains("${") && (text.starts_with("sk-") || glued(text).is_some())
}

/// The key of `api_key:sk-…`, with the mark behind it.
fn glued(text: &str) -> Option<&str> {
    let mark = text.find(MARKS)?;
    let key = text.get(..mark)?;
    let rest = text.get(mark..)?.trim_start_matches(MARKS);
    let one_word = !key.trim_end().contains(char::is_whitespace);
    (one_word && !rest.trim().is_empty() && is_secret(key)).then(|| text.strip_suffix(rest).unwrap_or(key))
}

/// A key as messages may show it.
pub(super) fn shown(key: &str) -> Cow<'_, str> {
    match glued(key) {
        _ if !is_bare(key) => key.into(),
        Some(key) => format!("{key}{COVER}").into(),
        None => COVER.into(),
    }
}

/// The same in a text that no parser has read to its end, or, where that is `read`, in its comments: what follows the name of a secret,
/// and what is indented below one.
pub(super) fn in_lines(text: &str, read: bool) -> Vec<Range<usize>> {
    let mut found = Vec::new();
    // How far the key is indented whose value stands below it, and whether that is headers.
    let mut below: Option<(usize, bool)> = None;
    let mut next = 0;
    for line in text.split_inclusive('\n') {
        let start = next;
        next += line.len();
        let line = line.trim_end();
        let indent = line.len() - line.trim_start().len();
        let said = line.get(indent..).unwrap_or_default();
        let Some(from) = (if read { line.find('#') } else { Some(indent) }) else { continue };
        if said.is_empty() {
            continue;
        }
        if let Some((outer, headers)) = below {
            if indent > outer || indent == outer && said.starts_with('-') {
                let value = if headers { line.find(MARKS).unwrap_or(indent) } else { indent };
                found.extend(covered(line, value).map(|range| start + range.start..start + range.end));
                continue;
            }
            below = None;
        }
        for (at, mark) in line.match_indices(MARKS) {
            let before = line.get(..at).unwrap_or_default().trim_end().trim_end_matches(['"', '\'']);
            let key = before.rsplit(|c: char| !c.is_alphanumeric() && c != '_' && c != '-').next().unwrap_or_default();
            if at < from || !is_secret(key) {
                continue;
            }
            let value = at + mark.len();
            let rest = line.get(value..).unwrap_or_default().trim_start();
            let is_below = rest.is_empty() || rest.starts_with(['|', '>']);
            if !read && (is_below || rest.starts_with('&')) {
                below = Some((indent, is_headers(key)));
            }
            if !is_below {
                found.extend(covered(line, value).map(|range| start + range.start..start + range.end));
            }
        }
    }
    found
}

/// The value that begins here or behind blanks, up to where it may end; `None` where it is a variable.
fn covered(line: &str, from: usize) -> Option<Range<usize>> {
    let rest = line.get(from..)?;
    let value = rest.trim_start_matches(|c: char| c.is_whitespace() || MARKS.contains(&c));
    let start = line.len() - value.len();
    let bare = value.trim_start_matches(['"', '\'']);
    if bare.is_empty() || bare.starts_with("${") {
        return None;
    }
    let quote = value.chars().next().filter(|c| matches!(c, '"' | '\''));
    let flow = line.get(..start)?.contains(['{', '[']) && !value.starts_with(['{', '[']);
    let length = match quote {
        Some(quote) => bare.find(quote),
        None if flow => value.find([',', '}', ']']),
        None => None,
    };
    let start = line.len() - bare.len();
    Some(start..start + length.unwrap_or(bare.len()))
}

#[cfg(test)]
#[allow(clippy::string_slice, reason = "a failed test panics")]
mod tests {
    use super::*;

    #[test]
    fn names_of_secrets_are_known_however_they_are_written() {
        for name in [
            "api_key",
            "apikey",
            "API-Key",
            "api_kye",
            "passwords",
            "password",
            "secret_key",
            "aws_session_token",
            "Authorization",
            "X-Api-Key",
            "Set-Cookie",
            "headers",
        ] {
            assert!(is_secret(name), "{name}");
        }
        for name in ["max_tokens", "tokenizer", "passages", "passage_prefix", "key", "keys", "base_url", "model", "", "prompt"]
        {
            assert!(!is_secret(name), "{name}");
        }
        assert_eq!(shown("api_key:sk-1"), "api_key:*****");
        assert_eq!(shown("sk-1234"), "*****");
        for plain in ["api_key", "modle", "https://example.org", "the password: none", "api_key:${KEY}"] {
            assert_eq!(shown(plain), plain);
        }
    }

    #[test]
    fn no_key_of_the_schema_is_taken_for_a_secret_but_those_that_are() {
        fn visit(schema: &serde_json::Value, found: &mut Vec<String>) {
            match schema {
                serde_json::Value::Object(map) => {
                    let properties = map.get("properties").and_then(serde_json::Value::as_object);
                    found.extend(properties.into_iter().flatten().map(|(key, _)| key.clone()).filter(|key| is_secret(key)));
                    map.values().for_each(|value| visit(value, found));
                }
                serde_json::Value::Array(items) => items.iter().for_each(|value| visit(value, found)),
                _ => {}
            }
        }
        let mut found = Vec::new();
        visit(&super::super::schema::schema(), &mut found);
        found.sort();
        found.dedup();
        let known = ["access_key", "api_key", "headers", "passwords", "secret_key", "session_token"];
        assert_eq!(found.iter().filter(|key| !known.contains(&key.as_str())).collect::<Vec<_>>(), Vec::<&String>::new());
    }

    #[test]
    fn they_are_found_where_the_text_is_not_yaml() {
        let shown = |text: &str, read: bool| {
            let mut shown = text.to_owned();
            for range in in_lines(text, read) {
                shown.replace_range(range.clone(), &"*".repeat(range.len()));
            }
            shown
        };
        for (text, expected) in [
            ("a: { api_key: sk-1, b: 2 }", "a: { api_key: ****, b: 2 }"),
            ("api_key: 'a, b' # x", "api_key: '****' # x"),
            ("\"api_key\" : sk-1", "\"api_key\" : ****"),
            ("api_key：sk-1", "api_key：****"),
            ("api_key:sk-1\nb: 2", "api_key:****\nb: 2"),
            ("passwords:\n- one\n- two\nb: 2", "passwords:\n*****\n*****\nb: 2"),
            ("  headers:\n    X-One: 1\n    Cookie: a=b\n  b: 2", "  headers:\n    X-One: *\n    Cookie: ***\n  b: 2"),
            ("a: { api_key: ${KEY} }", "a: { api_key: ${KEY} }"),
            ("api_key: \"${KEY}\"", "api_key: \"${KEY}\""),
            ("max_tokens: 5", "max_tokens: 5"),
        ] {
            assert_eq!(shown(text, false), expected);
        }
        let comments = "api_key: sk-1\n# api_key: sk-2\nmodel: m # password = x\n";
        assert_eq!(shown(comments, true), "api_key: sk-1\n# api_key: ****\nmodel: m # password = *\n");
    }
}
