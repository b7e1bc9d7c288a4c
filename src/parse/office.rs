//! Office files, old and new: which reader reads which.

use std::time::Instant;

use super::mail::Open;
use super::{Extracted, Format, ParseError, doc, docx, msg, odf, ppt, pptx, rtf, spreadsheetml, text, xls, xlsx};

/// Reads an office file. `open` reads what is attached to it, before the deadline.
pub(super) fn extract(format: Format, bytes: Vec<u8>, deadline: Instant, open: &Open<'_>) -> Result<Extracted, ParseError> {
    match format {
        Format::Docx => docx::extract(bytes),
        // The XML of Word 2003.
        Format::Doc if is_xml(&bytes) => docx::extract_flat(&text::decode(bytes)?),
        Format::Doc => doc::extract(bytes),
        Format::Pptx => pptx::extract(bytes),
        Format::Ppt => ppt::extract(bytes),
        Format::Xlsx => xlsx::extract(bytes),
        // That of Excel 2003.
        Format::Xls if is_xml(&bytes) => spreadsheetml::extract(&text::decode(bytes)?),
        Format::Xls => xls::extract(bytes),
        Format::Odt | Format::Odp | Format::Ods => odf::extract(format, bytes),
        Format::Rtf => rtf::extract(&bytes),
        Format::Msg => msg::extract(bytes, deadline, open),
        other => Err(ParseError::broken(other, "no office file")),
    }
}

fn is_xml(bytes: &[u8]) -> bool {
    let start = bytes.strip_prefix(b"\xef\xbb\xbf").unwrap_or(bytes).trim_ascii_start();
    start.starts_with(b"<") || bytes.starts_with(b"\xff\xfe<") || bytes.starts_with(b"\xfe\xff\0<")
}
