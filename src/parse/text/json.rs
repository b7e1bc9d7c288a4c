//! The letters of JSON that many a program writes as escapes, `\u53d8`, as which no word of them could be found.

/// The same JSON with letters for the escapes that stand for them. Line for line the same: what ends a line, any other control
/// character, quotes and backslashes stay escapes, and so does half of a character that lacks the other half.
pub(super) fn in_letters(text: String) -> String {
    if !text.contains("\\u") {
        return text;
    }
    let mut out = String::with_capacity(text.len());
    let mut rest = text.as_str();
    // The quote that the present string began with. A string ends with its line at the latest.
    let mut quote = None;
    while let Some(at) = rest.find(['\\', '"', '\'', '\n']) {
        let (before, here) = rest.split_at_checked(at).unwrap_or((rest, ""));
        out.push_str(before);
        let mut chars = here.chars();
        let Some(c) = chars.next() else { break };
        rest = chars.as_str();
        if c == '\\' {
            match escaped(here) {
                Some((letter, after)) if is_letter(letter, quote) => {
                    out.push(letter);
                    rest = after;
                }
                // What is escaped is no mark, least of all another backslash.
                _ => {
                    out.push(c);
                    out.extend(chars.next());
                    rest = chars.as_str();
                }
            }
            continue;
        }
        out.push(c);
        quote = match quote {
            _ if c == '\n' => None,
            None => Some(c),
            Some(open) if open == c => None,
            open => open,
        };
    }
    out.push_str(rest);
    out
}

/// Whether a character may stand for its escape in a string that this quote began.
fn is_letter(c: char, quote: Option<char>) -> bool {
    match c {
        '"' | '\\' | '\u{2028}' | '\u{2029}' => false,
        // JSON5 has strings in such quotes.
        '\'' => quote == Some('"'),
        c => !c.is_control(),
    }
}

/// The character that a text begins with as an escape, or two, and what follows.
fn escaped(text: &str) -> Option<(char, &str)> {
    let (first, after) = unit(text)?;
    if let Some(c) = char::from_u32(first.into()) {
        return Some((c, after));
    }
    let (second, after) = unit(after)?;
    Some((char::decode_utf16([first, second]).next()?.ok()?, after))
}

/// The UTF-16 unit of one escape, and what follows.
fn unit(text: &str) -> Option<(u16, &str)> {
    let (digits, after) = text.strip_prefix("\\u")?.split_at_checked(4)?;
    let digits = Some(digits).filter(|digits| digits.bytes().all(|b| b.is_ascii_hexdigit()))?;
    Some((u16::from_str_radix(digits, 16).ok()?, after))
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "tests may")]
mod tests {
    use proptest::prelude::*;
    use serde_json::Value;

    use super::*;

    #[test]
    fn letters_stand_for_their_escapes() {
        for (written, read) in [
            (r#"{"text": "St\u00f6rung \u53D8\u538b\u5668 \ud83d\ude00"}"#, r#"{"text": "Störung 变压器 😀"}"#),
            (r#"["it\u0027s \u003cb\u003e \u0026"]"#, r#"["it's <b> &"]"#),
            // Quotes, backslashes, control characters, ends of lines.
            (
                r#"["\u0022 \u005c \u0000 \u000a \u007f \u0085 \u2028"]"#,
                r#"["\u0022 \u005c \u0000 \u000a \u007f \u0085 \u2028"]"#,
            ),
            // Halves of characters.
            (r#"["\ud83d \ude00\ud83d\u00e4 \ud83d\ud83d\ude00"]"#, r#"["\ud83d \ude00\ud83dä \ud83d😀"]"#),
            // No escapes: of a backslash is the first of these, and none are the others.
            (r#"["C:\\u00e4 \\\u00e4 \n\"\u00e4\""]"#, r#"["C:\\u00e4 \\ä \n\"ä\""]"#),
            (r#"["\u00e \u+0e4 \uzzzz \u"#, r#"["\u00e \u+0e4 \uzzzz \u"#),
            // JSON5.
            (r"{a: 'it\u0027s', b: '\u00e4'}", r"{a: 'it\u0027s', b: 'ä'}"),
            ("// don't\n[\"it\\u0027s\"]", "// don't\n[\"it's\"]"),
            ("\\", "\\"),
            ("\\u00e4\\", "ä\\"),
        ] {
            assert_eq!(in_letters(written.to_owned()), read, "{written}");
        }
    }

    /// As Python writes it.
    fn ascii(value: &Value) -> String {
        let written = value.to_string();
        let mut units = [0; 2];
        written
            .chars()
            .flat_map(|c| match c {
                c if c.is_ascii() => vec![c.to_string()],
                c => c.encode_utf16(&mut units).iter().map(|unit| format!("\\u{unit:04x}")).collect(),
            })
            .collect()
    }

    proptest! {
        #[test]
        fn it_is_the_same_json_on_the_same_lines(texts in prop::collection::vec("[\\PC\u{0}-\u{7f}\u{85}\u{2028}]{0,20}", 1..5)) {
            let records: Vec<Value> = texts.iter().map(|text| Value::from(vec![text.as_str(), "\\u00e4"])).collect();
            let written: Vec<String> = records.iter().map(ascii).collect();
            let read = in_letters(written.join("\n"));
            let lines: Vec<&str> = read.split('\n').collect();
            prop_assert_eq!(lines.len(), records.len());
            for (line, record) in lines.into_iter().zip(&records) {
                prop_assert_eq!(&serde_json::from_str::<Value>(line).unwrap(), record);
                // All that JSON lets stand for itself does.
                let plain = record.to_string();
                let kept = |c: char| c.is_control() || matches!(c, '\u{2028}' | '\u{2029}');
                prop_assert!(line == plain || plain.contains(kept), "{}", line);
            }
        }

        #[test]
        fn whatever_is_no_json_keeps_its_lines(text in "[\\\\u0-9a-f\"'\nxä]{0,60}") {
            let read = in_letters(text.clone());
            prop_assert_eq!(read.lines().count(), text.lines().count());
            prop_assert!(read.len() <= text.len());
        }
    }
}
