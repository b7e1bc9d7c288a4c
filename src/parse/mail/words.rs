//! Encoded words (RFC 2047) that were cut inside a character, as many a program does with Chinese.

use mail_parser::decoders::base64::base64_decode;

use super::charset;

/// A field's value in UTF-8: words of one encoding that follow each other are decoded as one. `quoted`: each stands where an
/// address has its name, and what is decoded must not be taken for the address's own signs.
pub(super) fn decoded(value: &str, quoted: bool) -> String {
    let mut out = String::with_capacity(value.len());
    let mut open: Option<(&str, Vec<u8>)> = None;
    let mut rest = value;
    while let Some((before, word, after)) = next_word(rest) {
        let goes_on =
            open.as_ref().is_some_and(|(charset, _)| before.trim().is_empty() && charset.eq_ignore_ascii_case(word.charset));
        match &mut open {
            Some((_, bytes)) if goes_on => bytes.extend_from_slice(&word.bytes),
            _ => {
                let was_open = open.is_some();
                close(&mut out, open.take(), quoted);
                // Blanks between two words are no part of the text.
                out.push_str(if was_open && before.trim().is_empty() { "" } else { before });
                open = Some((word.charset, word.bytes));
            }
        }
        rest = after;
    }
    close(&mut out, open, quoted);
    out.push_str(rest);
    out
}

fn close(out: &mut String, word: Option<(&str, Vec<u8>)>, quoted: bool) {
    let Some((charset, bytes)) = word else { return };
    let text = charset::decode(&bytes, Some(charset)).replace(['\r', '\n'], " ");
    if quoted {
        out.push('"');
        out.push_str(&text.replace('\\', "\\\\").replace('"', "\\\""));
        out.push('"');
    } else {
        out.push_str(&text);
    }
}

struct Word<'a> {
    charset: &'a str,
    bytes: Vec<u8>,
}

/// The next encoded word, with what stands before and after it.
fn next_word(text: &str) -> Option<(&str, Word<'_>, &str)> {
    let mut from = 0;
    loop {
        let at = from + text.get(from..)?.find("=?")?;
        let inner = text.get(at + 2..)?;
        let mut parts = inner.splitn(3, '?');
        let (charset, encoding) = (parts.next()?, parts.next()?);
        if let Some((encoded, after)) = parts.next().and_then(|rest| rest.split_once("?="))
            && !encoded.contains('?')
            && let Some(bytes) = bytes_of(encoding, encoded)
        {
            // "utf-8*en": a language may follow.
            let charset = charset.split('*').next().unwrap_or_default();
            return Some((text.get(..at)?, Word { charset, bytes }, after));
        }
        from = at + 2;
    }
}

fn bytes_of(encoding: &str, encoded: &str) -> Option<Vec<u8>> {
    match encoding {
        "b" | "B" => base64_decode(encoded.as_bytes()),
        "q" | "Q" => Some(charset::quoted_printable(encoded.replace('_', " ").as_bytes())),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_that_were_cut_inside_a_character_are_whole() {
        // "码头关闭" in UTF-8, cut after its fourth byte.
        assert_eq!(decoded(" =?utf-8?B?56CB5Q==?=\r\n =?UTF-8?B?pLTlhbPpl60=?= now", false), " 码头关闭 now");
        assert_eq!(decoded("=?utf-8?q?a=5F_b?= =?iso-8859-1?q?=E9?= c =?x?z?d?=", false), "a_ bé c =?x?z?d?=");
        assert_eq!(decoded("=?utf-8?q?Lee=2C_Ann?= <a@example.org>", true), "\"Lee, Ann\" <a@example.org>");
        assert_eq!(decoded("=?=?=?", false), "=?=?=?");
    }
}
