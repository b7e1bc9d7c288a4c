//! Strings of the document's own: titles, names of headings, labels.

use encoding_rs::{UTF_8, UTF_16BE, UTF_16LE, WINDOWS_1252};

/// A text string: UTF-16 or UTF-8 with a mark, else `PDFDocEncoding`, which is Latin-1 for what titles are made of; some write
/// UTF-8 without a mark.
pub(super) fn decode(raw: &[u8]) -> String {
    let encoding = match raw {
        [0xfe, 0xff, ..] => UTF_16BE,
        [0xff, 0xfe, ..] => UTF_16LE,
        _ if std::str::from_utf8(raw).is_err() => WINDOWS_1252,
        _ => UTF_8,
    };
    let text = encoding.decode_with_bom_removal(raw).0;
    // A language may be named within, between two escapes.
    let mut inside = false;
    text.chars()
        .filter(|&c| {
            let mark = c == '\u{1b}';
            inside ^= mark;
            !inside && !mark
        })
        .collect()
}
