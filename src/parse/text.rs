//! Formats that are text already: their bytes are kept, or decoded where they are not UTF-8, or escapes of letters in JSON.

mod json;
mod wide;

use chardetng::{EncodingDetector, Iso2022JpDetection, Utf8Detection};
use encoding_rs::Encoding;

use super::{Extracted, Format, ParseError, title};
use crate::document::Markup;

/// Where a NUL makes a file binary. As git has it.
const SNIFFED: usize = 8000;
/// What an encoding is guessed from: more makes the guess no better, only slower.
const GUESSED_FROM: usize = 1 << 20;

pub(super) fn extract(format: Format, bytes: Vec<u8>) -> Result<Extracted, ParseError> {
    let text = decode(bytes)?;
    let text = if matches!(format, Format::Json | Format::JsonLines) { json::in_letters(text) } else { text };
    let (markup, title) = match format {
        Format::Markdown => (Markup::Markdown, title::of_markdown(&text)),
        Format::Rst => (Markup::Rst, title::of_rst(&text)),
        Format::Code | Format::Json => (Markup::Code, None),
        Format::Csv | Format::JsonLines => (Markup::Records, None),
        _ => (Markup::Text, None),
    };
    Ok(Extracted { title, markup, text })
}

/// The text of a file: its own bytes if they are UTF-8 (a byte order mark included), else decoded by its byte order mark or
/// by what its bytes look like.
pub(super) fn decode(bytes: Vec<u8>) -> Result<String, ParseError> {
    if let Some(text) = of_wide(&bytes) {
        return plausible(text);
    }
    let bytes = without_stray_nuls(bytes);
    if is_binary(&bytes) {
        return Err(ParseError::Binary);
    }
    match String::from_utf8(bytes) {
        Ok(text) => Ok(text),
        Err(e) => {
            let bytes = e.into_bytes();
            plausible(if is_damaged_utf8(&bytes) {
                String::from_utf8_lossy(&bytes).into_owned()
            } else {
                guess_encoding(&bytes).decode_without_bom_handling(&bytes).0.into_owned()
            })
        }
    }
}

/// Whether bytes that carry no byte order mark are no text at all.
pub(super) fn is_binary(bytes: &[u8]) -> bool {
    bytes.iter().take(SNIFFED).any(|&b| b == 0) && wide::of(bytes).is_none() && !nuls_are_stray(bytes)
}

/// Text in two or four bytes a character, with or without a byte order mark; `None` if it is none of these.
pub(super) fn of_wide(bytes: &[u8]) -> Option<String> {
    wide::of(bytes).map(|width| width.decode(bytes))
}

/// A few NULs in a text: padding at its end, or what a program left between its records.
fn without_stray_nuls(bytes: Vec<u8>) -> Vec<u8> {
    if nuls_are_stray(&bytes) { bytes.into_iter().filter(|&b| b != 0).collect() } else { bytes }
}

fn nuls_are_stray(bytes: &[u8]) -> bool {
    let text = bytes.trim_ascii_end();
    let padding = text.iter().rev().take_while(|&&b| b == 0).count();
    let text = text.get(..text.len() - padding).unwrap_or_default();
    let sample = text.get(..GUESSED_FROM).unwrap_or(text);
    let nuls = sample.split(|&b| b == 0).count() - 1;
    let controls = sample.iter().filter(|&&b| b < 32 && !matches!(b, 0 | b'\t' | b'\n' | b'\r' | 0xc | 0x1b | 8)).count();
    // More than one in a hundred letters, or any other control character, and it is data.
    !text.is_empty()
        && (nuls > 0 || padding > 0)
        && nuls * 100 <= sample.len()
        && controls * 1000 <= sample.len()
        && (std::str::from_utf8(sample).is_ok() || is_damaged_utf8(sample))
}

/// The most likely encoding of bytes that are not UTF-8.
pub(super) fn guess_encoding(bytes: &[u8]) -> &'static Encoding {
    let mut detector = EncodingDetector::new(Iso2022JpDetection::Allow);
    detector.feed(bytes.get(..GUESSED_FROM).unwrap_or(bytes), bytes.len() <= GUESSED_FROM);
    detector.guess(None, Utf8Detection::Deny)
}

/// UTF-8 that was cut inside a character, or has a stray byte: wherever it is well-formed beyond ASCII it is so by no
/// accident, so a single bad byte must not turn the whole of it into another encoding's letters.
pub(super) fn is_damaged_utf8(bytes: &[u8]) -> bool {
    let (mut good, mut bad) = (0usize, 0usize);
    for chunk in bytes.utf8_chunks() {
        good += chunk.valid().bytes().filter(|&b| b >= 0xc0).count();
        bad += usize::from(!chunk.invalid().is_empty());
    }
    good > 0 && good >= bad.saturating_mul(10)
}

/// Refuses what decoded to more noise than a text has.
fn plausible(text: String) -> Result<String, ParseError> {
    let (mut all, mut noise) = (0usize, 0usize);
    for c in text.chars() {
        all += 1;
        let control = c.is_control() && !matches!(c, '\t' | '\n' | '\r' | '\u{c}' | '\u{1b}' | '\u{8}' | '\u{85}');
        noise += usize::from(control || c == char::REPLACEMENT_CHARACTER);
    }
    if noise.saturating_mul(20) > all { Err(ParseError::Binary) } else { Ok(text) }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "tests may")]
mod tests {
    use super::*;

    #[test]
    fn damaged_utf8_stays_utf8() {
        let mut bytes = "Grüße aus Köln, schöne Wörter, für Ähnliches über Öl".repeat(3).into_bytes();
        bytes.push(0xc3);
        assert!(decode(bytes).unwrap().starts_with("Grüße aus Köln"));
    }

    #[test]
    fn noise_is_binary() {
        let noise: Vec<u8> = (0..4000u32).map(|i| (i.wrapping_mul(2_654_435_761) >> 24) as u8 | 1).collect();
        assert_eq!(decode(noise), Err(ParseError::Binary));
        assert_eq!(decode(b"text\0text".to_vec()), Err(ParseError::Binary));
        let records: Vec<u8> = (0..200u8).flat_map(|n| [b'a', 0, 0, n]).collect();
        assert_eq!(decode(records), Err(ParseError::Binary));
    }

    #[test]
    fn a_few_nuls_make_no_text_binary() {
        let text = "The harbour log of the third of November. ".repeat(10);
        assert_eq!(decode(format!("{text}\0\0\0\0\0\0\0\0").into_bytes()).as_deref(), Ok(text.as_str()), "padding");
        assert_eq!(decode(format!("{text}\0{text}").into_bytes()), Ok(text.repeat(2)));
    }

    #[test]
    fn encodings_of_the_east_are_told_apart() {
        for (encoding, text) in [
            (encoding_rs::GB18030, "会议改到星期三下午三点，地点不变，请各位准时参加。"),
            (encoding_rs::BIG5, "會議改到星期三下午三點，地點不變，請各位準時參加。"),
            (encoding_rs::SHIFT_JIS, "会議は水曜日の午後三時に変更されました。よろしくお願いします。"),
            (encoding_rs::EUC_JP, "会議は水曜日の午後三時に変更されました。よろしくお願いします。"),
            (encoding_rs::EUC_KR, "회의가 수요일 오후 세 시로 변경되었습니다. 모두 참석해 주십시오."),
            (encoding_rs::WINDOWS_1251, "Встреча переносится на среду, на три часа дня."),
            (encoding_rs::WINDOWS_1252, "Grüße aus Köln, schöne Wörter für Ähnliches"),
        ] {
            assert_eq!(decode(encoding.encode(text).0.into_owned()).as_deref(), Ok(text), "{}", encoding.name());
        }
    }
}
