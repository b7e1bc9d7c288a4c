//! Values as parts of a uri.

/// Appends a value so that it is one part of a path, and no two values look alike: what separates parts, what browsers drop or
/// change, blanks and control characters become `%` and two digits a byte. Letters of all scripts stay as they are.
pub(super) fn escape(value: &str, out: &mut String) {
    let dots = matches!(value, "." | "..");
    let mut buffer = [0; 4];
    for c in value.chars() {
        let kept = if c.is_ascii() {
            c.is_ascii_alphanumeric() || "-_~!$&'()*+,;=:@".contains(c) || (c == '.' && !dots)
        } else {
            !is_unseen(c)
        };
        if kept {
            out.push(c);
        } else {
            for byte in c.encode_utf8(&mut buffer).bytes() {
                out.push_str(&format!("%{byte:02X}"));
            }
        }
    }
}

/// Blanks, control characters, and what changes the direction of a line or joins letters without being seen.
fn is_unseen(c: char) -> bool {
    c.is_whitespace()
        || c.is_control()
        || matches!(c, '\u{ad}' | '\u{61c}' | '\u{180e}' | '\u{200b}'..='\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2060}'..='\u{206f}' | '\u{feff}' | '\u{fff0}'..='\u{ffff}' | '\u{e0000}'..='\u{e0fff}')
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn escaped(value: &str) -> String {
        let mut out = String::new();
        escape(value, &mut out);
        out
    }

    #[test]
    fn values_are_one_part_of_a_path() {
        for (value, part) in [
            ("a/b", "a%2Fb"),
            ("100%", "100%25"),
            ("商品 1", "商品%201"),
            ("..", "%2E%2E"),
            ("v1.2", "v1.2"),
            ("a?b#c\n", "a%3Fb%23c%0A"),
            ("9007199254740993", "9007199254740993"),
            ("{x}|\"<", "%7Bx%7D%7C%22%3C"),
            ("\u{202e}", "%E2%80%AE"),
        ] {
            assert_eq!(escaped(value), part);
        }
    }

    proptest! {
        #[test]
        fn no_two_values_look_alike(value in ".*") {
            let part = escaped(&value);
            prop_assert!(!part.contains('/') && part != "." && part != "..");
            let mut bytes = Vec::new();
            let mut rest = part.bytes();
            while let Some(byte) = rest.next() {
                if byte == b'%' {
                    let digits: Vec<u8> = rest.by_ref().take(2).collect();
                    let digits = String::from_utf8(digits).unwrap_or_default();
                    bytes.extend(u8::from_str_radix(&digits, 16));
                } else {
                    bytes.push(byte);
                }
            }
            prop_assert_eq!(bytes, value.as_bytes());
        }
    }
}
