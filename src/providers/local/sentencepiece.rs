//! `SentencePiece`'s own model file, a protocol buffer: the pieces, their scores, and the replacements of characters.
//!
//! Source: `sentencepiece_model.proto`. Fields: of the model 1 = piece, 3 = normaliser; of a piece 1 = text, 2 = score, 3 = kind; of
//! the normaliser 2 = charsmap.

use super::normal::{Charsmap, Normaliser, Replacements};
use super::unigram::{Piece, Special, Unigram};

/// A kind of piece that text can become. Others are 2 (unknown), 3 (control), 5 (unused).
const NORMAL: u64 = 1;
const UNKNOWN: u64 = 2;

/// Reads a unigram model; `None` where the bytes are none.
pub(super) fn read(bytes: &[u8]) -> Option<Unigram> {
    let mut pieces = Vec::new();
    let mut charsmap = None;
    let (mut unknown, mut start, mut end) = (None, None, None);
    for field in Fields(bytes) {
        match field? {
            (1, Value::Bytes(piece)) => {
                let id = u32::try_from(pieces.len()).ok()?;
                let (piece, kind) = read_piece(piece)?;
                match (kind, piece.text) {
                    (UNKNOWN, _) => unknown = Some(id),
                    (_, "<s>") => start = Some(id),
                    (_, "</s>") => end = Some(id),
                    _ => {}
                }
                pieces.push(piece);
            }
            (3, Value::Bytes(normaliser)) => {
                for field in Fields(normaliser) {
                    if let (2, Value::Bytes(map)) = field? {
                        charsmap = Some(Charsmap::read(map)?);
                    }
                }
            }
            _ => {}
        }
    }
    let special = Special { start: start?, end: end?, unknown: unknown? };
    Some(Unigram::new(Normaliser(Replacements::Charsmap(charsmap?)), special, pieces.into_iter()))
}

fn read_piece(bytes: &[u8]) -> Option<(Piece<'_>, u64)> {
    let (mut text, mut score, mut kind) = ("", 0.0, NORMAL);
    for field in Fields(bytes) {
        match field? {
            (1, Value::Bytes(bytes)) => text = str::from_utf8(bytes).ok()?,
            (2, Value::Four(bytes)) => score = f32::from_le_bytes(bytes),
            (3, Value::Number(number)) => kind = number,
            _ => {}
        }
    }
    Some((Piece { text, score, ordinary: kind == NORMAL }, kind))
}

/// A field's value on the wire.
enum Value<'a> {
    Number(u64),
    Four([u8; 4]),
    Eight,
    Bytes(&'a [u8]),
}

/// The fields of a message, with their numbers. `None` is the last item where the bytes are no message.
struct Fields<'a>(&'a [u8]);

impl<'a> Iterator for Fields<'a> {
    type Item = Option<(u64, Value<'a>)>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.0.is_empty() {
            return None;
        }
        let field = self.field();
        if field.is_none() {
            self.0 = &[];
        }
        Some(field)
    }
}

impl<'a> Fields<'a> {
    fn field(&mut self) -> Option<(u64, Value<'a>)> {
        let tag = self.number()?;
        let value = match tag & 7 {
            0 => Value::Number(self.number()?),
            1 => self.take(8).map(|_| Value::Eight)?,
            2 => {
                let length = usize::try_from(self.number()?).ok()?;
                Value::Bytes(self.take(length)?)
            }
            5 => Value::Four(self.take(4)?.try_into().ok()?),
            _ => return None,
        };
        Some((tag >> 3, value))
    }

    fn take(&mut self, length: usize) -> Option<&'a [u8]> {
        let (taken, rest) = self.0.split_at_checked(length)?;
        self.0 = rest;
        Some(taken)
    }

    /// Seven bits a byte, the lowest first, as long as the eighth is set.
    fn number(&mut self) -> Option<u64> {
        let mut number = 0;
        for shift in (0..64).step_by(7) {
            let byte = *self.take(1)?.first()?;
            number |= u64::from(byte & 0x7f) << shift;
            if byte & 0x80 == 0 {
                return Some(number);
            }
        }
        None
    }
}
