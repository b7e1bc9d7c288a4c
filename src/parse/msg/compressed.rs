//! The text of messages as RTF: packed (MS-OXRTFCP), and with the page that it was made of inside (MS-OXRTFEX).

use super::super::codepage;
use super::super::compound::u32_at;
use super::super::rtf::token::{Token, Tokens};

/// What every packed text may refer to.
const WORDS: &[u8] = b"{\\rtf1\\ansi\\mac\\deff0\\deftab720{\\fonttbl;}{\\f0\\fnil \\froman \\fswiss \\fmodern \\fscript \\fdecor MS Sans SerifSymbolArialTimes New RomanCourier{\\colortbl\\red0\\green0\\blue0\r\n\\par \\pard\\plain\\f0\\fs20\\b\\i\\u\\tab\\tx";
const WINDOW: usize = 4096;
/// Bytes of text: nobody writes longer messages.
const MAX_TEXT: usize = 64 << 20;

/// Unpacks; `None` for what is neither packed nor marked as bare.
pub(super) fn unpacked(bytes: &[u8]) -> Option<Vec<u8>> {
    let size = (u32_at(bytes, 4)? as usize).min(MAX_TEXT);
    let content = bytes.get(16..)?;
    match bytes.get(8..12)? {
        b"MELA" => return Some(content.get(..size).unwrap_or(content).to_vec()),
        b"LZFu" => {}
        _ => return None,
    }
    let mut window = vec![0u8; WINDOW];
    window.get_mut(..WORDS.len())?.copy_from_slice(WORDS);
    let mut at = WORDS.len();
    let mut out = Vec::new();
    let mut rest = content.iter().copied();
    'all: while let Some(control) = rest.next() {
        for bit in 0..8 {
            if control & (1 << bit) == 0 {
                let Some(byte) = rest.next() else { break 'all };
                put(byte, &mut window, &mut at, &mut out);
                continue;
            }
            let (Some(high), Some(low)) = (rest.next(), rest.next()) else { break 'all };
            let reference = u16::from_be_bytes([high, low]);
            let from = usize::from(reference >> 4);
            if from == at {
                break 'all;
            }
            for step in 0..usize::from(reference & 15) + 2 {
                let byte = window.get((from + step) % WINDOW).copied().unwrap_or_default();
                put(byte, &mut window, &mut at, &mut out);
            }
        }
        if out.len() > size.max(1) {
            break;
        }
    }
    out.truncate(size);
    Some(out)
}

fn put(byte: u8, window: &mut [u8], at: &mut usize, out: &mut Vec<u8>) {
    if let Some(place) = window.get_mut(*at) {
        *place = byte;
    }
    *at = (*at + 1) % WINDOW;
    out.push(byte);
}

/// The page that RTF was made of, if it was made of one.
pub(super) fn page_within(rtf: &[u8]) -> Option<String> {
    let head = rtf.get(..4096).unwrap_or(rtf);
    if !head.windows(10).any(|w| w == b"\\fromhtml1") {
        return None;
    }
    let mut page = Page { code: 1252, ..Page::default() };
    for token in Tokens::new(rtf) {
        page.token(token);
        if page.out.len() > MAX_TEXT {
            break;
        }
    }
    page.flush();
    Some(page.out)
}

#[derive(Default)]
struct Page {
    out: String,
    bytes: Vec<u8>,
    code: u32,
    state: State,
    stack: Vec<State>,
    skipping: usize,
}

#[derive(Debug, Clone, Copy, Default)]
#[allow(clippy::struct_excessive_bools, reason = "each is a switch of the format's own")]
struct State {
    /// A part of the page itself; else text that stands between its tags.
    in_tag: bool,
    skipped: bool,
    /// Written for readers of RTF alone.
    for_rtf: bool,
    star: bool,
}

impl Page {
    fn token(&mut self, token: Token<'_>) {
        match token {
            Token::Open => {
                self.flush();
                if self.stack.len() < 1000 {
                    self.stack.push(self.state);
                }
                self.state.star = false;
            }
            Token::Close => {
                self.flush();
                self.state = self.stack.pop().unwrap_or_default();
            }
            Token::Sign(b'*') => self.state.star = true,
            Token::Sign(b'~') => self.push("&nbsp;"),
            Token::Sign(b'_') => self.push("&shy;"),
            Token::Sign(_) => {}
            Token::Byte(byte) => self.byte(byte),
            Token::Text(bytes) => bytes.iter().for_each(|&byte| self.byte(byte)),
            Token::Word(word, number) => self.word(word, number),
        }
    }

    fn word(&mut self, word: &str, number: Option<i32>) {
        if word != "u" {
            self.flush();
        }
        match word {
            "ansicpg" => self.code = number.and_then(|n| u32::try_from(n).ok()).filter(|n| *n > 0).unwrap_or(1252),
            "htmltag" => self.state.in_tag = true,
            "htmlrtf" => self.state.for_rtf = number != Some(0),
            "fonttbl" | "colortbl" | "stylesheet" | "info" | "mhtmltag" | "pntext" => self.state.skipped = true,
            "u" => {
                let code = (number.unwrap_or(0) as u32) & 0xffff;
                self.flush();
                if let Some(c) = char::from_u32(code) {
                    self.push(&c.to_string());
                } else {
                    self.push(&format!("&#{code};"));
                }
                self.skipping = 1;
            }
            "par" | "line" => self.push("\n"),
            "tab" => self.push("\t"),
            "lquote" => self.push("‘"),
            "rquote" => self.push("’"),
            "ldblquote" => self.push("“"),
            "rdblquote" => self.push("”"),
            "emdash" => self.push("—"),
            "endash" => self.push("–"),
            "bullet" => self.push("•"),
            _ if self.state.star && !self.state.in_tag => self.state.skipped = true,
            _ => {}
        }
    }

    fn is_shown(&self) -> bool {
        !self.state.skipped && !self.state.for_rtf
    }

    fn push(&mut self, text: &str) {
        if self.is_shown() {
            self.out.push_str(text);
        }
    }

    fn byte(&mut self, byte: u8) {
        if self.skipping > 0 {
            self.skipping -= 1;
        } else if self.is_shown() {
            self.bytes.push(byte);
        }
    }

    fn flush(&mut self) {
        if !self.bytes.is_empty() {
            let text = codepage::decode(self.code, &std::mem::take(&mut self.bytes));
            self.push(&text);
        }
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "tests may")]
mod tests {
    use super::*;

    #[test]
    fn packed_text() {
        // The example of the specification (MS-OXRTFCP 4.1).
        let packed = [
            0x2d, 0x00, 0x00, 0x00, 0x2b, 0x00, 0x00, 0x00, 0x4c, 0x5a, 0x46, 0x75, 0xf1, 0xc5, 0xc7, 0xa7, 0x03, 0x00, 0x0a,
            0x00, 0x72, 0x63, 0x70, 0x67, 0x31, 0x32, 0x35, 0x42, 0x32, 0x0a, 0xf3, 0x20, 0x68, 0x65, 0x6c, 0x09, 0x00, 0x20,
            0x62, 0x77, 0x05, 0xb0, 0x6c, 0x64, 0x7d, 0x0a, 0x80, 0x0f, 0xa0,
        ];
        assert_eq!(unpacked(&packed).unwrap(), b"{\\rtf1\\ansi\\ansicpg1252\\pard hello world}\r\n");
        assert_eq!(unpacked(b"short"), None);
        let _ = unpacked(&[0xff; 500]);
    }

    #[test]
    fn a_page_in_rtf() {
        let rtf = b"{\\rtf1\\ansi\\ansicpg1251\\fromhtml1 {\\fonttbl{\\f0 Arial;}}{\\*\\htmltag64 <p>}\\htmlrtf {\\f0 \\htmlrtf0 \\'cf\\'f0\\'e8\\u8364?{\\*\\htmltag72 </p>}\\htmlrtf gone}\\htmlrtf0 }";
        assert_eq!(page_within(rtf).unwrap(), "<p>При€</p>");
        assert_eq!(page_within(b"{\\rtf1 x}"), None);
    }
}
