//! Which row a document has.

/// Longer uris are told by their digest: an entry of an index may hold 2.7 kB.
const LONGEST: usize = 1000;
/// Of those, so much stays readable, and in order.
const READABLE: usize = 900;

/// A document's key, and its uri in bytes where that is another.
pub(super) fn key_of(uri: &str) -> (String, Option<Vec<u8>>) {
    if uri.len() <= LONGEST && !uri.contains(['\0', '\u{1}']) {
        return (uri.to_owned(), None);
    }
    let digest = blake3::hash(uri.as_bytes()).to_hex();
    let plain = uri.split(['\0', '\u{1}']).next().unwrap_or_default();
    let end = plain.floor_char_boundary(READABLE);
    // No other uri has this letter in its key.
    (format!("{}\u{1}{digest}", plain.get(..end).unwrap_or_default()), Some(uri.as_bytes().to_vec()))
}

/// The uri of a row.
pub(super) fn uri_of(key: String, uri: Option<Vec<u8>>) -> String {
    match uri {
        Some(bytes) => String::from_utf8(bytes).unwrap_or(key),
        None => key,
    }
}

/// A message as Postgres can keep it.
pub(super) fn text(message: &str) -> String {
    message.replace('\0', "\u{fffd}")
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a failing test may panic")]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn every_uri_has_a_key_of_its_own_that_fits(a in uri(), b in uri()) {
            let (key, kept) = key_of(&a);
            prop_assert!(key.len() <= LONGEST && !key.contains('\0'));
            prop_assert_eq!(&uri_of(key.clone(), kept), &a);
            prop_assert_eq!(key == key_of(&b).0, a == b);
        }
    }

    fn uri() -> impl Strategy<Value = String> {
        prop_oneof![
            "[a-z/文档\u{0}\u{1}]{0,6}",
            ("[ab文]{1}", 300_usize..1100).prop_map(|(letter, n)| letter.repeat(n)),
            ("[ab]{1}", 990_usize..1010).prop_map(|(letter, n)| letter.repeat(n)),
        ]
    }

    #[test]
    fn short_ones_are_their_own() {
        assert_eq!(key_of("docs/文档.md"), ("docs/文档.md".to_owned(), None));
    }
}
