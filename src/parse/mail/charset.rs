//! The bytes of a part as text: in the encoding that is declared, unless they are evidently written in another.

use encoding_rs::{Encoding, GB18030, GBK, ISO_2022_JP, UTF_8};
use mail_parser::decoders::base64::base64_decode;
use mail_parser::decoders::charsets::map::charset_decoder;
use mail_parser::{Message, MessagePart, MimeHeaders, PartType};

use crate::parse::text;

/// Where a page says in which encoding it is.
const META_WITHIN: usize = 1024;

/// A part's bytes without their transfer encoding; what is damaged is decoded as far as it goes.
pub(super) fn bytes_of(message: &Message<'_>, part: &MessagePart<'_>) -> Vec<u8> {
    if let PartType::Binary(bytes) | PartType::InlineBinary(bytes) = &part.body
        && !part.is_encoding_problem
    {
        return bytes.to_vec();
    }
    let raw = message.raw_message.get(part.offset_body as usize..part.offset_end as usize).unwrap_or_default();
    match part.content_transfer_encoding() {
        Some(name) if name.eq_ignore_ascii_case("base64") => base64_decode(raw).unwrap_or_else(|| base64_as_far(raw)),
        Some(name) if name.eq_ignore_ascii_case("quoted-printable") => quoted_printable(raw),
        _ => raw.to_vec(),
    }
}

/// The text of a part, its lines ended as ours are.
pub(super) fn text_of(message: &Message<'_>, part: &MessagePart<'_>) -> String {
    let bytes = bytes_of(message, part);
    let declared = part.content_type().and_then(|kind| kind.attribute("charset"));
    let is_page = matches!(part.body, PartType::Html(_));
    let of_page = if is_page && declared.is_none() { declared_in_page(&bytes) } else { None };
    decode(&bytes, declared.or(of_page.as_deref())).replace("\r\n", "\n")
}

/// Text of which only a part's head is known to be in this encoding.
pub(super) fn decode(bytes: &[u8], declared: Option<&str>) -> String {
    decode_beside(bytes, declared, &[])
}

/// Text whose encoding other bytes may tell better, where nothing valid is declared.
pub(super) fn decode_beside(bytes: &[u8], declared: Option<&str>, beside: &[u8]) -> String {
    if let Some((encoding, mark)) = Encoding::for_bom(bytes) {
        return encoding.decode_without_bom_handling(bytes.get(mark..).unwrap_or_default()).0.into_owned();
    }
    let declared = declared.map(|label| label.trim().trim_matches(['"', '\'']));
    if let Some(label) = declared.filter(|label| is_of_states(label))
        && let Some(decoder) = charset_decoder(label.as_bytes())
    {
        return decoder(bytes);
    }
    // Valid UTF-8 is no accident, whatever is declared.
    if let Ok(text) = std::str::from_utf8(bytes) {
        return if text.contains("\x1b$") {
            ISO_2022_JP.decode_without_bom_handling(bytes).0.into_owned()
        } else {
            text.to_owned()
        };
    }
    if let Some(text) = declared.and_then(|label| decode_declared(bytes, label)) {
        return text;
    }
    if text::is_damaged_utf8(bytes) {
        return String::from_utf8_lossy(bytes).into_owned();
    }
    let mut all = bytes.to_vec();
    all.extend_from_slice(beside);
    text::guess_encoding(&all).decode_without_bom_handling(bytes).0.into_owned()
}

/// `None` where the bytes are not in that encoding, or it says no more than "ASCII".
fn decode_declared(bytes: &[u8], label: &str) -> Option<String> {
    let says_nothing =
        ["us-ascii", "ascii", "ansi_x3.4-1968", "unknown-8bit", "x-unknown", "unknown", "default", "binary", "7bit", "8bit"];
    if says_nothing.iter().any(|name| label.eq_ignore_ascii_case(name)) {
        return None;
    }
    let text = match Encoding::for_label(label.as_bytes()) {
        // What GBK lacks, GB 18030 has; many a mail declares the smaller one.
        Some(encoding) if encoding == GBK => GB18030.decode_without_bom_handling(bytes).0.into_owned(),
        Some(encoding) if encoding == UTF_8 => return None,
        Some(encoding) => encoding.decode_without_bom_handling(bytes).0.into_owned(),
        None => charset_decoder(label.as_bytes())?(bytes),
    };
    let bad = text.chars().filter(|&c| c == char::REPLACEMENT_CHARACTER).count();
    (bad.saturating_mul(50) <= text.chars().count()).then_some(text)
}

/// Encodings whose bytes look like ASCII or hold many a NUL.
fn is_of_states(label: &str) -> bool {
    let label = label.to_ascii_lowercase();
    ["iso-2022", "hz", "utf-7", "utf7", "utf-16", "utf16", "unicode-1-1-utf-7"].iter().any(|start| label.starts_with(start))
}

fn declared_in_page(bytes: &[u8]) -> Option<String> {
    let head = String::from_utf8_lossy(bytes.get(..META_WITHIN).unwrap_or(bytes)).to_ascii_lowercase();
    let (_, after) = head.split_once("charset=")?;
    let label: String = after
        .trim_start_matches(['"', '\''])
        .chars()
        .take_while(|c| c.is_ascii_alphanumeric() || "-_:.".contains(*c))
        .collect();
    (!label.is_empty()).then_some(label)
}

/// Base64 that was cut or has foreign letters in it.
fn base64_as_far(raw: &[u8]) -> Vec<u8> {
    let end = raw.windows(2).position(|pair| pair == b"--").unwrap_or(raw.len());
    let letters: Vec<u8> = raw
        .get(..end)
        .unwrap_or_default()
        .iter()
        .copied()
        .filter(|b| b.is_ascii_alphanumeric() || *b == b'+' || *b == b'/')
        .collect();
    base64_decode(letters.get(..letters.len() / 4 * 4).unwrap_or_default()).unwrap_or_default()
}

/// What is no escape stays as it is, which the parser's own decoder refuses.
pub(super) fn quoted_printable(raw: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(raw.len());
    for line in raw.split_inclusive(|&b| b == b'\n') {
        let ending = line.ends_with(b"\n");
        let line = line.trim_ascii_end();
        let (line, goes_on) = line.strip_suffix(b"=").map_or((line, false), |line| (line, true));
        let mut rest = line;
        while let Some((&b, after)) = rest.split_first() {
            let escaped = if b == b'=' { after.first_chunk::<2>() } else { None };
            if let Some(byte) = escaped.and_then(|digits| u8::from_str_radix(std::str::from_utf8(digits).ok()?, 16).ok()) {
                out.push(byte);
                rest = after.get(2..).unwrap_or_default();
            } else {
                out.push(b);
                rest = after;
            }
        }
        if ending && !goes_on {
            out.push(b'\n');
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_declared_is_believed_unless_the_bytes_tell_otherwise() {
        let chinese = encoding_rs::GB18030.encode("会议改到星期三下午三点，地点不变。").0;
        assert_eq!(decode(&chinese, Some("gb2312")), "会议改到星期三下午三点，地点不变。");
        assert_eq!(decode("会议".as_bytes(), Some("gb2312")), "会议", "valid UTF-8 is UTF-8");
        assert_eq!(decode(b"caf\xe9", Some("iso-8859-1")), "café");
        assert_eq!(decode(b"Gr\xfc\xdfe aus K\xf6ln, sch\xf6ne W\xf6rter", None), "Grüße aus Köln, schöne Wörter");
        assert_eq!(decode(b"Gr\xfc\xdfe aus K\xf6ln, sch\xf6ne W\xf6rter", Some("utf-8")), "Grüße aus Köln, schöne Wörter");
        assert_eq!(decode(b"Gr\xfc\xdfe aus K\xf6ln, sch\xf6ne W\xf6rter", Some("us-ascii")), "Grüße aus Köln, schöne Wörter");
        assert_eq!(decode(b"\x1b$B%O%m!<\x1b(B", None), "ハロー");
        assert_eq!(decode(b"\x1b$B%O%m!<\x1b(B", Some("ISO-2022-JP")), "ハロー");
        let russian = encoding_rs::KOI8_R.encode("Привет, встреча переносится на среду.").0;
        assert_eq!(decode(&russian, None), "Привет, встреча переносится на среду.");
        let japanese = encoding_rs::SHIFT_JIS.encode("会議は水曜日の午後に変更されました。よろしくお願いします。").0;
        assert_eq!(decode(&japanese, None), "会議は水曜日の午後に変更されました。よろしくお願いします。");
        assert_eq!(decode(&chinese, None), "会议改到星期三下午三点，地点不变。");
    }

    #[test]
    fn damaged_transfer_encodings_are_decoded_as_far_as_they_go() {
        assert_eq!(quoted_printable(b"caf=C3=A9 50=% a=\r\nb\r\nc =3D"), "café 50=% ab\nc =".as_bytes());
        assert_eq!(base64_as_far(b"SGVs\r\nbG8*gd29ybGQ"), b"Hello world".get(..9).unwrap_or_default());
    }
}
