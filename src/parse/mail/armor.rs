//! What is signed or encrypted: PGP in the text itself, and S/MIME around it.

/// Stands for a text that only its receiver can read.
pub(super) const ENCRYPTED: &str = "(This part is encrypted and was not read.)";

/// A text without signatures of PGP around it; what is encrypted says so.
pub(super) fn without(text: &str) -> String {
    if !text.contains("-----BEGIN PGP ") {
        return text.to_owned();
    }
    let mut out = String::with_capacity(text.len());
    let mut state = State::Text;
    for line in text.lines() {
        let mark = line.trim_end();
        state = match (state, mark) {
            (_, "-----BEGIN PGP SIGNED MESSAGE-----") => State::Head,
            (_, "-----BEGIN PGP MESSAGE-----") => {
                out.push_str(ENCRYPTED);
                out.push('\n');
                State::Armor
            }
            (_, _) if mark.starts_with("-----BEGIN PGP ") && mark.ends_with("-----") => State::Armor,
            (State::Armor, _) if mark.starts_with("-----END PGP ") => State::Text,
            // "Hash: SHA256" and an empty line.
            (State::Head, "") => State::Text,
            (State::Text, _) => {
                // Dashes at the start of a line are quoted within.
                out.push_str(line.strip_prefix("- -").map_or(line, |_| line.get(2..).unwrap_or_default()));
                out.push('\n');
                State::Text
            }
            (other, _) => other,
        };
    }
    out
}

enum State {
    Text,
    Head,
    Armor,
}

/// The message inside of an S/MIME message that is signed, not encrypted: the content of its `SignedData` (RFC 5652).
pub(super) fn signed_content(der: &[u8]) -> Option<Vec<u8>> {
    const SIGNED: &[u8] = b"\x2a\x86\x48\x86\xf7\x0d\x01\x07\x02";
    let (outer, _) = Element::first(der)?;
    let mut fields = outer.children();
    (fields.next()?.content == SIGNED).then_some(())?;
    let data = fields.next()?.children().next()?;
    // version, algorithms, then the content: its type and, in a wrapper, its bytes.
    let content = data.children().nth(2)?.children().nth(1)?;
    let mut bytes = Vec::new();
    content.children().for_each(|octets| octets.collect(&mut bytes, 0));
    (!bytes.is_empty()).then_some(bytes)
}

/// One value in ASN.1's basic encoding.
struct Element<'a> {
    constructed: bool,
    content: &'a [u8],
}

impl<'a> Element<'a> {
    /// The first value of some bytes, and what follows it.
    fn first(bytes: &'a [u8]) -> Option<(Self, &'a [u8])> {
        let (&tag, rest) = bytes.split_first()?;
        // Tags of more than a byte are in none of these messages.
        (tag & 0x1f != 0x1f).then_some(())?;
        let (&length, rest) = rest.split_first()?;
        let constructed = tag & 0x20 != 0;
        let (length, rest) = match length {
            0x80 => return indefinite(rest, 0).map(|(content, rest)| (Self { constructed, content }, rest)),
            0..=0x7f => (usize::from(length), rest),
            _ => {
                let (digits, rest) = rest.split_at_checked(usize::from(length & 0x7f))?;
                (digits.iter().try_fold(0usize, |sum, &digit| sum.checked_mul(256)?.checked_add(digit.into()))?, rest)
            }
        };
        let (content, rest) = rest.split_at_checked(length)?;
        Some((Self { constructed, content }, rest))
    }

    fn children(&self) -> impl Iterator<Item = Element<'a>> {
        let mut rest = self.content;
        std::iter::from_fn(move || {
            let (element, after) = Element::first(rest)?;
            rest = after;
            Some(element)
        })
    }

    /// The bytes of a string, which may come in pieces.
    fn collect(&self, into: &mut Vec<u8>, depth: usize) {
        if !self.constructed {
            into.extend_from_slice(self.content);
        } else if depth < 4 {
            self.children().for_each(|piece| piece.collect(into, depth + 1));
        }
    }
}

/// A content that ends with two zeros instead of having a length.
fn indefinite(bytes: &[u8], depth: usize) -> Option<(&[u8], &[u8])> {
    let mut rest = bytes;
    while !rest.starts_with(&[0, 0]) {
        // Each level looks at all that is within it.
        (depth < 12).then_some(())?;
        let (_, inner) = rest.split_at_checked(1)?;
        rest = match inner.split_first() {
            Some((0x80, inner)) => indefinite(inner, depth + 1)?.1,
            _ => Element::first(rest)?.1,
        };
    }
    let length = bytes.len() - rest.len();
    Some((bytes.get(..length)?, rest.get(2..)?))
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::cast_possible_truncation, reason = "tests may")]
mod tests {
    use super::*;

    #[test]
    fn signatures_are_taken_off() {
        let text = "-----BEGIN PGP SIGNED MESSAGE-----\nHash: SHA256\n\nThe text.\n- -- \nAnn\n-----BEGIN PGP SIGNATURE-----\n\niQEz\n-----END PGP SIGNATURE-----\nlist";
        assert_eq!(without(text), "The text.\n-- \nAnn\nlist\n");
        let secret = "See:\n-----BEGIN PGP MESSAGE-----\nVersion: 1\n\nhQEMA\n-----END PGP MESSAGE-----\n";
        assert_eq!(without(secret), format!("See:\n{ENCRYPTED}\n"));
    }

    fn tlv(tag: u8, content: &[u8]) -> Vec<u8> {
        [&[tag, 0x82, (content.len() >> 8) as u8, content.len() as u8], content].concat()
    }

    #[test]
    fn what_is_only_signed_is_open() {
        let text = b"Content-Type: text/plain\r\n\r\nThe crane is due.\r\n";
        let oid = |last: u8| [&[0x06, 9], &b"\x2a\x86\x48\x86\xf7\x0d\x01\x07"[..], &[last]].concat();
        let message = |octets: Vec<u8>| {
            let inner = tlv(0x30, &[oid(1), tlv(0xa0, &octets)].concat());
            let data = tlv(0x30, &[vec![0x02, 1, 1], tlv(0x31, &[]), inner].concat());
            tlv(0x30, &[oid(2), tlv(0xa0, &data)].concat())
        };
        assert_eq!(signed_content(&message(tlv(0x04, text))).unwrap(), text);
        // In pieces, and without lengths, as Outlook and OpenSSL stream it.
        let pieces = [&[0x24, 0x80], &tlv(0x04, text)[..], &[0, 0]].concat();
        assert_eq!(signed_content(&message(pieces)).unwrap(), text);
        assert_eq!(signed_content(&tlv(0x30, &[oid(3), tlv(0xa0, b"")].concat())), None, "enveloped: encrypted");
        assert_eq!(signed_content(b"\x30\x80\x30\x80\x30\x80"), None);
    }
}
