//! Percent-encoding, in the one form in which two spellings of an address compare equal.

use std::borrow::Cow;

/// RFC 3986: means the same whether it is encoded or not.
fn is_unreserved(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.' | b'_' | b'~')
}

/// RFC 3986: may stand as it is, and means something else when it is encoded. A `%` that begins no escape is left as it is.
fn is_reserved(byte: u8) -> bool {
    matches!(
        byte,
        b':' | b'/'
            | b'?'
            | b'#'
            | b'['
            | b']'
            | b'@'
            | b'!'
            | b'$'
            | b'&'
            | b'\''
            | b'('
            | b')'
            | b'*'
            | b'+'
            | b','
            | b';'
            | b'='
            | b'%'
    )
}

/// A path or a query whose escapes are written as one: none of what needs none, all of what is no ASCII or may stand in no address,
/// with capital digits (RFC 3986, 6.2.2; RFC 9309, 2.2.2). What is reserved stays as it is.
pub(super) fn normal_escapes(text: &str) -> Cow<'_, str> {
    let plain = |byte: u8| byte != b'%' && (is_unreserved(byte) || is_reserved(byte));
    if text.bytes().all(plain) {
        return Cow::Borrowed(text);
    }
    let mut written = String::with_capacity(text.len() + 16);
    let mut rest = text.as_bytes();
    while let [first, after @ ..] = rest {
        let digits = match after {
            [high, low, ..] if *first == b'%' => digit(*high).zip(digit(*low)),
            _ => None,
        };
        rest = if let (Some((high, low)), [_, _, after @ ..]) = (digits, after) {
            let byte = (high << 4) | low;
            write(byte, is_unreserved(byte), &mut written);
            after
        } else {
            write(*first, is_unreserved(*first) || is_reserved(*first), &mut written);
            after
        };
    }
    Cow::Owned(written)
}

/// Whether a `%` in it begins no escape. Such a text is not for being rewritten: an escape may come of what was none.
pub(super) fn has_stray_percent(text: &str) -> bool {
    text.split('%').skip(1).any(|after| {
        let mut digits = after.bytes().take(2).filter_map(digit);
        digits.next().is_none() || digits.next().is_none()
    })
}

fn digit(byte: u8) -> Option<u8> {
    char::from(byte).to_digit(16).map(|digit| digit as u8)
}

fn write(byte: u8, plain: bool, written: &mut String) {
    const DIGITS: [char; 16] = ['0', '1', '2', '3', '4', '5', '6', '7', '8', '9', 'A', 'B', 'C', 'D', 'E', 'F'];
    if plain {
        written.push(char::from(byte));
        return;
    }
    written.push('%');
    written.extend([byte >> 4, byte & 15].iter().filter_map(|digit| DIGITS.get(usize::from(*digit))));
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn spellings_of_one_address_become_one() {
        let pairs = [
            ("/a%7eb", "/a~b"),
            ("/%61%2D%2e%5F", "/a-._"),
            ("/a%2fb", "/a%2Fb"),
            ("/ä b", "/%C3%A4%20b"),
            ("/文档", "/%E6%96%87%E6%A1%A3"),
            ("/%e6%96%87", "/%E6%96%87"),
            ("/100%", "/100%"),
            ("/%zz%4", "/%zz%4"),
            ("/a?b=c&d[]='*$", "/a?b=c&d[]='*$"),
            ("/{x}|\"^`\\<>", "/%7Bx%7D%7C%22%5E%60%5C%3C%3E"),
        ];
        for (text, normal) in pairs {
            assert_eq!(normal_escapes(text), normal);
        }
    }

    #[test]
    fn a_percent_sign_alone_is_seen() {
        assert_eq!(["%", "/100%", "%4", "%zz", "%%41", "a%4"].map(has_stray_percent), [true; 6]);
        assert_eq!(["", "/a", "%41%e6", "%C3%A4b"].map(has_stray_percent), [false; 4]);
    }

    proptest! {
        #[test]
        fn what_is_normal_stays_and_means_the_same(text in "\\PC{0,40}|[%a-fA-F0-9/]{0,40}") {
            let normal = normal_escapes(&text).into_owned();
            prop_assert!(normal.is_ascii());
            prop_assume!(!has_stray_percent(&text));
            prop_assert_eq!(normal_escapes(&normal), normal.as_str());
            let bytes = |text: &str| percent_encoding::percent_decode_str(text).collect::<Vec<u8>>();
            prop_assert_eq!(bytes(&normal), bytes(&text));
        }
    }
}
