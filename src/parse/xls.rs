//! Excel 97–2003 and `OpenDocument` spreadsheets, by `calamine`.

use std::fmt::Display;
use std::io::Cursor;

use calamine::{Data, Ods, Reader, Xls, open_workbook_from_rs};

use super::numfmt::NumberFormat;
use super::sheet::layout::{Kind, Sheets, Value};
use super::sheet::number;
use super::{Extracted, Format, ParseError, container, title};
use crate::document::Markup;

pub(super) fn extract(format: Format, bytes: Vec<u8>) -> Result<Extracted, ParseError> {
    let mut out = Sheets::new(format);
    match format {
        Format::Ods => {
            let mut book: Ods<_> = open_workbook_from_rs(Cursor::new(container::checked(format, bytes)?))
                .map_err(|e: calamine::OdsError| refused(format, matches!(e, calamine::OdsError::Password), &e))?;
            ranges(&mut book, &mut out)?;
        }
        _ => {
            let mut book: Xls<_> = open_workbook_from_rs(Cursor::new(bytes))
                .map_err(|e: calamine::XlsError| refused(format, matches!(e, calamine::XlsError::Password), &e))?;
            ranges(&mut book, &mut out)?;
        }
    }
    let said = out.said.take();
    let text = out.finish();
    let title = said.or_else(|| title::of_markdown(&text));
    Ok(Extracted { title, markup: Markup::Markdown, text })
}

fn refused(format: Format, locked: bool, error: &dyn Display) -> ParseError {
    if locked { ParseError::Encrypted(format) } else { ParseError::broken(format, error) }
}

fn ranges<R: Reader<Cursor<Vec<u8>>>>(book: &mut R, out: &mut Sheets) -> Result<(), ParseError>
where
    R::Error: Display,
{
    let date = NumberFormat::new("yyyy-mm-dd hh:mm:ss");
    for name in book.sheet_names() {
        let Ok(range) = book.worksheet_range(&name) else { continue };
        out.begin(&name, false, Vec::new());
        for (line, cells) in (0..).zip(range.rows()) {
            let value = |(column, cell): (u32, &Data)| match cell {
                Data::Empty => None,
                Data::Float(f) => Some(number(column, *f, &NumberFormat::default(), false)),
                Data::DateTime(t) => Some(number(column, t.as_f64(), &date, false)),
                other => Some(Value { column, text: other.to_string(), kind: Kind::Word }),
            };
            out.row(line, (0..).zip(cells).filter_map(value).collect())?;
        }
        out.end(&[]);
    }
    Ok(())
}
