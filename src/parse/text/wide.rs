//! Text of two or four bytes a character (UTF-16, UTF-32), which many a program on Windows writes without a mark.

use encoding_rs::{Encoding, UTF_16BE, UTF_16LE};

/// What a text without a mark is told by.
const SAMPLE: usize = 64 << 10;

/// How the characters lie in the bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Width {
    Two { little: bool },
    Four { little: bool },
}

/// By the mark, else by what the bytes look like both ways; `None` for text of single bytes, and for what is no text.
pub(super) fn of(bytes: &[u8]) -> Option<Width> {
    match bytes {
        [0xff, 0xfe, 0, 0, ..] => return Some(Width::Four { little: true }),
        [0, 0, 0xfe, 0xff, ..] => return Some(Width::Four { little: false }),
        _ => {}
    }
    if let Some((encoding, _)) = Encoding::for_bom(bytes) {
        return match encoding {
            e if e == UTF_16LE => Some(Width::Two { little: true }),
            e if e == UTF_16BE => Some(Width::Two { little: false }),
            _ => None,
        };
    }
    // Valid UTF-8 is none of them, and other text has no NUL; Chinese in UTF-16 has none only if it is without a line break.
    let sample = bytes.get(..SAMPLE.min(bytes.len() / 4 * 4)).unwrap_or_default();
    let nuls = sample.split(|&b| b == 0).count() - 1;
    let printed = sample.iter().filter(|&&b| matches!(b, b' '..=b'~' | b'\t' | b'\n' | b'\r')).count();
    // Two letters of ASCII are a Chinese character when taken for one. English has as many NULs as letters.
    let is_ascii = nuls * 4 < sample.len() && printed * 20 > (sample.len() - nuls) * 19;
    if sample.len() < 4 || nuls == 0 || is_ascii {
        return None;
    }
    [Width::Four { little: true }, Width::Four { little: false }, Width::Two { little: true }, Width::Two { little: false }]
        .into_iter()
        .map(|width| (width.likeness(sample), width))
        .filter(|(likeness, _)| *likeness > 0.9)
        .max_by(|(a, _), (b, _)| a.total_cmp(b))
        .map(|(_, width)| width)
}

impl Width {
    pub(super) fn decode(self, bytes: &[u8]) -> String {
        self.characters(bytes).skip_while(|&c| c == '\u{feff}').collect()
    }

    fn characters(self, bytes: &[u8]) -> impl Iterator<Item = char> {
        let (two, four) = match self {
            Self::Two { little } => (Some(little), None),
            Self::Four { little } => (None, Some(little)),
        };
        let of_two = two.map(|little| {
            let units = bytes.chunks_exact(2).filter_map(move |pair| {
                let pair: [u8; 2] = pair.try_into().ok()?;
                Some(if little { u16::from_le_bytes(pair) } else { u16::from_be_bytes(pair) })
            });
            char::decode_utf16(units).map(|unit| unit.unwrap_or(char::REPLACEMENT_CHARACTER))
        });
        let of_four = four.map(|little| {
            bytes.chunks_exact(4).filter_map(move |four| {
                let four: [u8; 4] = four.try_into().ok()?;
                let code = if little { u32::from_le_bytes(four) } else { u32::from_be_bytes(four) };
                Some(char::from_u32(code).unwrap_or(char::REPLACEMENT_CHARACTER))
            })
        });
        of_two.into_iter().flatten().chain(of_four.into_iter().flatten())
    }

    /// The share of characters that texts are made of, less for each that belongs to a script of its own.
    fn likeness(self, sample: &[u8]) -> f64 {
        let (mut all, mut good, mut common) = (0usize, 0usize, 0usize);
        for c in self.characters(sample) {
            all += 1;
            good += usize::from(is_of_text(c));
            // Line breaks and blanks, read in the wrong order, are letters of no common use.
            common += usize::from(
                matches!(c, ' ' | '\n' | '\u{3000}' | '，' | '。' | '、' | '的' | 'の') || c.is_ascii_alphanumeric(),
            );
        }
        // They are one in ten at least, by accident one in a thousand.
        if common * 50 < all.max(1) {
            return 0.0;
        }
        good as f64 / all as f64
    }
}

/// Letters, signs and blanks of the scripts that are written today. Half of all code points are none of them.
fn is_of_text(c: char) -> bool {
    match c {
        '\t' | '\n' | '\r' => true,
        // The first of them are rare Chinese characters, which other text becomes when its bytes are swapped.
        '\u{3400}'..='\u{4dbf}' | '\u{fffd}' | '\u{e000}'..='\u{f8ff}' | '\u{fff0}'..='\u{ffff}' => false,
        _ => {
            !c.is_control()
                && (c.is_alphanumeric()
                    || c.is_ascii_punctuation()
                    || c.is_whitespace()
                    || matches!(c, '\u{a0}'..='\u{bf}' | '\u{2000}'..='\u{2bff}' | '\u{3000}'..='\u{303f}')
                    || matches!(c, '\u{fe30}'..='\u{fe6f}' | '\u{ff00}'..='\u{ffef}' | '\u{1f000}'..='\u{1ffff}'))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn wide(text: &str, little: bool) -> Vec<u8> {
        text.encode_utf16().flat_map(|unit| if little { unit.to_le_bytes() } else { unit.to_be_bytes() }).collect()
    }

    #[test]
    fn text_without_a_mark_is_told_by_what_it_says() {
        for text in [
            "Name\tQuantity\r\nBolt\t3\r\n",
            "会议改到星期三下午三点，地点不变。\r\n请各位准时参加。\r\n",
            "会议 notes: 七号码头 is closed\n",
            "会议は水曜日の午後に変更されました。\nよろしくお願いします。\n",
            "Привет, встреча переносится на среду.\n",
            "회의가 수요일로 변경되었습니다.\n",
            "😀 ok\n",
        ] {
            for little in [true, false] {
                let bytes = wide(text, little);
                assert_eq!(of(&bytes), Some(Width::Two { little }), "{text}");
                assert_eq!(Width::Two { little }.decode(&bytes), text);
                let marked = wide(&format!("\u{feff}{text}"), little);
                assert_eq!(of(&marked).map(|width| width.decode(&marked)).as_deref(), Some(text));
                let four: Vec<u8> = text
                    .chars()
                    .flat_map(|c| if little { u32::from(c).to_le_bytes() } else { u32::from(c).to_be_bytes() })
                    .collect();
                assert_eq!(of(&four).map(|width| width.decode(&four)).as_deref(), Some(text));
            }
        }
        for data in [
            &b"PK\x03\x04\x14\0\0\0\x08\0abc\0\0"[..],
            b"\x7fELF\x02\x01\x01\0\0\0\0\0\0\0\0\0\x03\0>\0\x01\0\0\0",
            b"plain",
            b"\0\0\0\0",
            b"a\0b",
        ] {
            assert_eq!(of(data), None, "{data:?}");
        }
    }
}
