//! The records of old workbooks (BIFF), and the texts in them.

use super::super::codepage;
use super::super::compound::u16_at;

/// What a record that goes on in another one is followed by.
const CONTINUE: u16 = 0x3c;
/// Characters of one text.
const MAX_TEXT: usize = 1 << 20;

/// A record: its kind and its contents, in as many pieces as it was written in.
#[derive(Debug)]
pub(super) struct Record<'a> {
    pub(super) kind: u16,
    pub(super) pieces: Vec<&'a [u8]>,
}

impl<'a> Record<'a> {
    pub(super) fn data(&self) -> &'a [u8] {
        self.pieces.first().copied().unwrap_or_default()
    }
}

/// The records of a stream from some place on. A last one that is cut off is given as far as it goes.
pub(super) fn records(bytes: &[u8], from: usize) -> impl Iterator<Item = Record<'_>> {
    let mut at = from;
    let mut next = move || {
        let kind = u16_at(bytes, at)?;
        let length = usize::from(u16_at(bytes, at + 2)?);
        let from = at + 4;
        at = from + length;
        Some((kind, bytes.get(from..at.min(bytes.len()))?))
    };
    let mut ahead = None;
    std::iter::from_fn(move || {
        let (kind, data) = ahead.take().or_else(&mut next)?;
        let mut pieces = vec![data];
        while let Some((kind, data)) = next() {
            if kind != CONTINUE {
                ahead = Some((kind, data));
                break;
            }
            pieces.push(data);
        }
        Some(Record { kind, pieces })
    })
}

/// Reads texts that may go on in the next piece of a record.
pub(super) struct Pieces<'a, 'r> {
    all: &'r [&'a [u8]],
    nth: usize,
    at: usize,
}

impl<'a, 'r> Pieces<'a, 'r> {
    pub(super) fn new(pieces: &'r [&'a [u8]], at: usize) -> Self {
        Self { all: pieces, nth: 0, at }
    }

    fn here(&self) -> &'a [u8] {
        self.all.get(self.nth).and_then(|piece| piece.get(self.at..)).unwrap_or_default()
    }

    fn turn(&mut self) -> bool {
        self.nth += 1;
        self.at = 0;
        self.nth < self.all.len()
    }

    fn byte(&mut self) -> Option<u8> {
        while self.here().is_empty() {
            if !self.turn() {
                return None;
            }
        }
        let byte = self.here().first().copied();
        self.at += 1;
        byte
    }

    pub(super) fn u16(&mut self) -> Option<u16> {
        Some(u16::from_le_bytes([self.byte()?, self.byte()?]))
    }

    fn skip(&mut self, mut count: usize) {
        while count > 0 {
            let taken = self.here().len().min(count);
            self.at += taken;
            count -= taken;
            if count > 0 && !self.turn() {
                return;
            }
        }
    }

    /// A text of BIFF8: its length, how it is written, and what is said of its letters behind it.
    pub(super) fn text(&mut self) -> Option<String> {
        let count = usize::from(self.u16()?);
        let flags = self.byte()?;
        let runs = if flags & 8 != 0 { usize::from(self.u16()?) } else { 0 };
        let extra = if flags & 4 != 0 { usize::from(self.u16()?) | usize::from(self.u16()?) << 16 } else { 0 };
        let text = self.letters(count, flags & 1 != 0);
        self.skip(4 * runs);
        self.skip(extra);
        Some(text)
    }

    /// Letters. Where they go on in the next piece, it says anew how wide they are.
    pub(super) fn letters(&mut self, count: usize, mut wide: bool) -> String {
        let mut units: Vec<u16> = Vec::new();
        let count = count.min(MAX_TEXT);
        while units.len() < count {
            if self.here().is_empty() {
                if !self.turn() {
                    break;
                }
                wide = self.byte().is_some_and(|flags| flags & 1 != 0);
                continue;
            }
            if wide {
                let Some(unit) = u16_at(self.here(), 0) else {
                    self.at += 1;
                    continue;
                };
                units.push(unit);
                self.at += 2;
            } else {
                units.extend(self.here().first().map(|b| u16::from(*b)));
                self.at += 1;
            }
        }
        String::from_utf16_lossy(&units)
    }
}

/// A text in a record that holds no other: of BIFF8, or in the workbook's code page. `wide`: two bytes for the length.
pub(super) fn text(data: &[u8], at: usize, is_unicode: bool, wide: bool, page: u32) -> Option<String> {
    let count = if wide { usize::from(u16_at(data, at)?) } else { usize::from(*data.get(at)?) };
    let from = at + if wide { 2 } else { 1 };
    if is_unicode {
        let flags = *data.get(from)?;
        let pieces = [data];
        return Some(Pieces::new(&pieces, from + 1).letters(count, flags & 1 != 0));
    }
    let bytes = data.get(from..(from + count).min(data.len()))?;
    Some(codepage::decode(page, bytes))
}
