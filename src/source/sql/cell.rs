//! What databases say: columns with their kinds, and the values in them.

use std::borrow::Cow;
use std::fmt::Write as _;

/// A column of what is read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Column {
    /// As the database has it.
    pub name: String,
    /// What it holds.
    pub kind: Kind,
    /// Whether `ORDER BY` and `>=` agree about it.
    pub ordered: bool,
}

/// What a column holds, as far as it makes a difference.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    /// True or false.
    Bool,
    /// Whole numbers.
    Integer,
    /// Numbers with digits after the point, which are exact.
    Decimal,
    /// Numbers that are not exact.
    Float,
    /// Anything that is told as text.
    Text,
    /// Bytes that are no text.
    Bytes,
    /// Bits that are told as a whole number.
    Bits,
    /// Lists of such values, told as Postgres writes them.
    List(&'static Kind),
    /// JSON.
    Json,
    /// What each value says of itself, in a database where a column does not bind its values.
    Any,
}

impl Kind {
    /// A letter for the digest of what is read.
    pub fn letter(self) -> u8 {
        match self {
            Self::Bool => b'b',
            Self::Integer => b'i',
            Self::Decimal => b'd',
            Self::Float => b'f',
            Self::Text => b't',
            Self::Bytes => b'x',
            Self::Bits => b'u',
            Self::List(of) => of.letter().to_ascii_uppercase(),
            Self::Json => b'j',
            Self::Any => b'a',
        }
    }
}

/// A value.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Cell {
    /// `NULL`.
    Null,
    /// A whole number of a database that says so itself.
    Integer(i64),
    /// Another number of such a database.
    Float(f64),
    /// Text, also of numbers and times in the database's own form.
    Text(String),
    /// Bytes.
    Bytes(Vec<u8>),
}

/// The values of a row, in the order in which they were asked for.
pub(super) type Row = Vec<Cell>;

impl Cell {
    /// Text as a person reads it; `None` for `NULL`. Bytes that are no UTF-8 are told in hexadecimal digits.
    pub fn text(&self) -> Option<Cow<'_, str>> {
        Some(match self {
            Self::Null => return None,
            Self::Integer(number) => number.to_string().into(),
            Self::Float(number) => number.to_string().into(),
            Self::Text(text) => text.as_str().into(),
            Self::Bytes(bytes) => match std::str::from_utf8(bytes) {
                Ok(text) => text.into(),
                Err(_) => hex(bytes).into(),
            },
        })
    }

    /// Bytes that it takes.
    pub fn len(&self) -> usize {
        match self {
            Self::Null => 0,
            Self::Integer(_) | Self::Float(_) => 8,
            Self::Text(text) => text.len(),
            Self::Bytes(bytes) => bytes.len(),
        }
    }

    /// Appends what tells it from every other value, and where it ends.
    pub fn encode(&self, out: &mut Vec<u8>) {
        let mut long = |tag: u8, bytes: &[u8]| {
            out.push(tag);
            out.extend_from_slice(&(bytes.len() as u64).to_le_bytes());
            out.extend_from_slice(bytes);
        };
        match self {
            Self::Null => out.push(0),
            Self::Integer(number) => long(1, &number.to_le_bytes()),
            Self::Float(number) => long(2, &number.to_bits().to_le_bytes()),
            Self::Text(text) => long(3, text.as_bytes()),
            Self::Bytes(bytes) => long(4, bytes),
        }
    }

    fn decode(bytes: &[u8]) -> Option<(Self, &[u8])> {
        let (tag, rest) = bytes.split_first()?;
        if *tag == 0 {
            return Some((Self::Null, rest));
        }
        let (length, rest) = rest.split_first_chunk::<8>()?;
        let (value, rest) = rest.split_at_checked(usize::try_from(u64::from_le_bytes(*length)).ok()?)?;
        let eight = || <[u8; 8]>::try_from(value).ok();
        let cell = match tag {
            1 => Self::Integer(i64::from_le_bytes(eight()?)),
            2 => Self::Float(f64::from_bits(u64::from_le_bytes(eight()?))),
            3 => Self::Text(String::from_utf8(value.to_vec()).ok()?),
            4 => Self::Bytes(value.to_vec()),
            _ => return None,
        };
        Some((cell, rest))
    }
}

/// Several values as bytes: equal if and only if the values are.
pub(super) fn encode(cells: &[Cell]) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(cells.len() * 20);
    for cell in cells {
        cell.encode(&mut bytes);
    }
    bytes
}

/// The values of [`encode`]; `None` of other bytes.
pub(super) fn decode(mut bytes: &[u8]) -> Option<Vec<Cell>> {
    let mut cells = Vec::new();
    while !bytes.is_empty() {
        let (cell, rest) = Cell::decode(bytes)?;
        cells.push(cell);
        bytes = rest;
    }
    Some(cells)
}

/// Two digits a byte.
pub(super) fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::with_capacity(bytes.len() * 2), |mut text, byte| {
        let _ = write!(text, "{byte:02x}");
        text
    })
}

/// The bytes of [`hex`]; `None` of other text.
pub(super) fn unhex(text: &str) -> Option<Vec<u8>> {
    let digit = |byte: u8| char::from(byte).to_digit(16).and_then(|digit| u8::try_from(digit).ok());
    let (pairs, rest) = text.as_bytes().as_chunks::<2>();
    let bytes = pairs.iter().map(|[high, low]| Some(digit(*high)? << 4 | digit(*low)?)).collect();
    if rest.is_empty() { bytes } else { None }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn cell() -> impl Strategy<Value = Cell> {
        prop_oneof![
            Just(Cell::Null),
            any::<i64>().prop_map(Cell::Integer),
            (-1e300..1e300).prop_map(Cell::Float),
            ".*".prop_map(Cell::Text),
            proptest::collection::vec(any::<u8>(), 0..20).prop_map(Cell::Bytes),
        ]
    }

    proptest! {
        #[test]
        fn what_is_written_is_read_again(cells in proptest::collection::vec(cell(), 0..5)) {
            prop_assert_eq!(decode(&encode(&cells)), Some(cells));
        }

        #[test]
        fn foreign_bytes_are_refused_or_read_and_never_break(bytes in proptest::collection::vec(any::<u8>(), 0..60)) {
            if let Some(cells) = decode(&bytes) {
                prop_assert!(cells.len() <= bytes.len());
            }
        }

        #[test]
        fn hex_goes_there_and_back(bytes in proptest::collection::vec(any::<u8>(), 0..40)) {
            prop_assert_eq!(unhex(&hex(&bytes)), Some(bytes));
        }
    }

    #[test]
    fn text_that_is_no_hex_is_none() {
        assert_eq!([unhex("0"), unhex("zz"), unhex("é")], [None, None, None]);
    }
}
