//! The letters of a page.

use encoding_rs::{Encoding, UTF_8, UTF_16BE, UTF_16LE, WINDOWS_1252};

use crate::parse::{ParseError, text};

/// Where `<meta charset>` has to be, by the standard; sites are late at times.
const META_WITHIN: usize = 4096;

/// Without a word from who sent it; see [`decode_sent_as`].
pub(in crate::parse) fn decode(bytes: &[u8]) -> Result<String, ParseError> {
    decode_sent_as(bytes, None)
}

/// By byte order mark; as UTF-8 where it is that, whatever is said of it; then as the media type says that it was sent with, then
/// as the page says, then as any text.
pub(in crate::parse) fn decode_sent_as(bytes: &[u8], media_type: Option<&str>) -> Result<String, ParseError> {
    if let Some((encoding, _)) = Encoding::for_bom(bytes) {
        return Ok(encoding.decode_with_bom_removal(bytes).0.into_owned());
    }
    let sent_as = media_type.and_then(label_in).and_then(|label| Encoding::for_label(label.as_bytes()));
    let wide = sent_as.filter(|&encoding| is_wide(encoding) && bytes.contains(&0));
    if let Some(encoding) = wide.or_else(|| unmarked_utf16(bytes)) {
        return Ok(encoding.decode_without_bom_handling(bytes).0.into_owned());
    }
    if text::is_binary(bytes) {
        return Err(ParseError::Binary);
    }
    // Pages are saved by scripts that leave the old name in them, and letters of other encodings hardly ever make UTF-8.
    // Those that are ASCII throughout are no proof: ISO-2022-JP is.
    if let Ok(text) = std::str::from_utf8(bytes)
        && (!text.is_ascii() || !text.contains('\u{1b}'))
    {
        return Ok(text.to_owned());
    }
    // What is no UTF-8 is not in it, nor in UTF-16 without a zero.
    match sent_as.filter(|&encoding| encoding != UTF_8 && !is_wide(encoding)).or_else(|| declared(bytes)) {
        Some(encoding) if encoding != WINDOWS_1252 && encoding != UTF_8 => {
            Ok(encoding.decode_without_bom_handling(bytes).0.into_owned())
        }
        // A page that calls itself Latin-1 or UTF-8 and is neither.
        _ => text::decode(bytes.to_vec()),
    }
}

/// UTF-16 without a mark: every other byte of the markup is zero.
fn unmarked_utf16(bytes: &[u8]) -> Option<&'static Encoding> {
    let head = bytes.get(..bytes.len().min(META_WITHIN))?;
    let zeros = |odd: usize| head.iter().skip(odd).step_by(2).filter(|&&b| b == 0).count();
    let (even, odd) = (zeros(0), zeros(1));
    let half = head.len() / 2;
    match half {
        0..8 => None,
        _ if odd * 3 > half && even * 20 < half => Some(UTF_16LE),
        _ if even * 3 > half && odd * 20 < half => Some(UTF_16BE),
        _ => None,
    }
}

fn declared(bytes: &[u8]) -> Option<&'static Encoding> {
    let head = bytes.get(..META_WITHIN).unwrap_or(bytes).to_ascii_lowercase();
    let head = String::from_utf8_lossy(&head);
    // Also finds the `encoding="…"` of an XML declaration.
    let label = label_in(&head)?;
    let encoding = Encoding::for_label(label.as_bytes())?;
    // A page that could be read this far is not in UTF-16, whatever it says.
    (!is_wide(encoding)).then_some(encoding)
}

/// The name of an encoding in the first `charset=…` or `encoding="…"`.
fn label_in(text: &str) -> Option<String> {
    let lower = text.to_ascii_lowercase();
    let (_, after) = lower.split_once("charset").or_else(|| lower.split_once("encoding"))?;
    let label = after.trim_start().strip_prefix('=')?.trim_start().trim_start_matches(['"', '\'']);
    let end = label.find(|c: char| !c.is_ascii_alphanumeric() && !"-_:.".contains(c)).unwrap_or(label.len());
    label.get(..end).map(str::to_owned)
}

fn is_wide(encoding: &'static Encoding) -> bool {
    encoding == UTF_16LE || encoding == UTF_16BE
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "tests may")]
mod tests {
    use super::*;

    #[test]
    fn declared_encodings() {
        let sjis = encoding_rs::SHIFT_JIS.encode("<meta charset=Shift_JIS><title>日本語</title>").0.into_owned();
        assert!(decode(&sjis).unwrap().contains("日本語"));
        let xml = encoding_rs::KOI8_R.encode("<?xml version='1.0' encoding='koi8-r'?><p>Привет</p>").0.into_owned();
        assert!(decode(&xml).unwrap().contains("Привет"));
        assert!(decode(b"<meta charset='utf-16'>plain").unwrap().contains("plain"));
        let jis = encoding_rs::ISO_2022_JP.encode("<meta charset=iso-2022-jp><p>日本語</p>").0.into_owned();
        assert!(decode(&jis).unwrap().contains("日本語"));
    }

    #[test]
    fn utf8_is_stronger_than_what_the_page_says() {
        for charset in ["iso-8859-1", "gb2312", "Shift_JIS", "windows-1251", "big5", "euc-kr"] {
            let page = format!("<meta charset='{charset}'><p>Grüße 轮换签名密钥 署名鍵を回転</p>");
            assert_eq!(decode(page.as_bytes()).unwrap(), page);
        }
    }

    #[test]
    fn what_the_server_says_is_stronger_than_what_the_page_says() {
        let page = "<meta charset=gb2312><p>Привет, мир</p>";
        let koi8 = encoding_rs::KOI8_R.encode(page).0.into_owned();
        assert_eq!(decode_sent_as(&koi8, Some("text/html; Charset=\"KOI8-R\"")).unwrap(), page);
        assert_ne!(decode_sent_as(&koi8, Some("text/html")).unwrap(), page);
        // What cannot be so is not believed, and a mark is stronger than all.
        let gbk = encoding_rs::GBK.encode("<meta charset=gbk><p>轮换签名密钥</p>").0.into_owned();
        for wrong in ["utf-8", "utf-16", "nonsense"] {
            assert!(decode_sent_as(&gbk, Some(&format!("text/html;charset={wrong}"))).unwrap().contains("轮换签名密钥"));
        }
        assert_eq!(decode_sent_as("\u{feff}é".as_bytes(), Some("text/html;charset=koi8-r")).unwrap(), "é");
        assert_eq!(decode_sent_as("é".as_bytes(), Some("text/html;charset=iso-8859-1")).unwrap(), "é");
        let wide: Vec<u8> = "一些汉字 a".encode_utf16().flat_map(u16::to_le_bytes).collect();
        assert_eq!(decode_sent_as(&wide, Some("text/html;charset=utf-16le")).unwrap(), "一些汉字 a");
    }

    #[test]
    fn utf16_without_a_mark() {
        let page = "<html><body><p>Plain words, and 一些汉字.</p></body></html>";
        let little: Vec<u8> = page.encode_utf16().flat_map(u16::to_le_bytes).collect();
        let big: Vec<u8> = page.encode_utf16().flat_map(u16::to_be_bytes).collect();
        assert_eq!(decode(&little).unwrap(), page);
        assert_eq!(decode(&big).unwrap(), page);
        assert_eq!(decode(b"<p>a\0b</p>"), Err(ParseError::Binary));
    }
}
