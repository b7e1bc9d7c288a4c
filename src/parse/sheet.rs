//! Spreadsheets, as Markdown tables: what a reader of the sheet sees, each area of a sheet a table with its header.

mod areas;
pub(super) mod layout;
mod value;

use super::numfmt::NumberFormat;
use value::{Kind, Value};

/// A number as its format shows it, and whether it may be the name of a column.
pub(super) fn number(column: u32, value: f64, format: &NumberFormat, since_1904: bool) -> Value {
    let text = format.number(value, since_1904);
    let is_year = value.fract() == 0.0 && (1900.0..2100.0).contains(&value) && text.len() == 4;
    let kind = if is_year || format.is_date() { Kind::Date } else { Kind::Number };
    Value { column, text, kind }
}

/// The letters of a column, from 0.
pub(super) fn column_name(mut column: u32) -> String {
    let mut name = Vec::new();
    loop {
        name.push(b'A' + (column % 26) as u8);
        if column < 26 {
            break;
        }
        column = column / 26 - 1;
    }
    name.reverse();
    String::from_utf8(name).unwrap_or_default()
}

/// Column and row, from 0, of a reference (`B2`, `$B$2`); `None` if it is none.
pub(super) fn cell_at(reference: &str) -> Option<(u32, u32)> {
    let mut column: u32 = 0;
    let mut row: u32 = 0;
    for c in reference.bytes().filter(|&b| b != b'$') {
        match c {
            b'A'..=b'Z' | b'a'..=b'z' if row == 0 => {
                column = column.checked_mul(26)?.checked_add(u32::from(c.to_ascii_uppercase() - b'A') + 1)?;
            }
            b'0'..=b'9' => row = row.checked_mul(10)?.checked_add(u32::from(c - b'0'))?,
            _ => return None,
        }
    }
    Some((column.checked_sub(1)?, row.checked_sub(1)?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn references() {
        for (name, at) in [("A1", (0, 0)), ("$B$12", (1, 11)), ("XFD1048576", (16_383, 1_048_575)), ("AA3", (26, 2))] {
            assert_eq!(cell_at(name), Some(at));
            assert_eq!(format!("{}{}", column_name(at.0), at.1 + 1), name.replace('$', ""));
        }
        assert_eq!((cell_at("1A"), cell_at("A"), cell_at(""), cell_at("ZZZZZZZZZZ1")), (None, None, None, None));
    }
}
