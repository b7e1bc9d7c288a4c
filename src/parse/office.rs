//! Office files, old and new: which reader reads which.

use std::io::Cursor;
use std::time::Instant;

use office_oxide::{Document as Office, DocumentFormat, OfficeError};

use super::mail::Open;
use super::markdown::unescape;
use super::{Extracted, Format, ParseError, docx, msg, odf, pptx, rtf, text, title, xls, xlsx};
use crate::document::Markup;

/// Reads an office file. `open` reads what is attached to it, before the deadline.
pub(super) fn extract(format: Format, bytes: Vec<u8>, deadline: Instant, open: &Open<'_>) -> Result<Extracted, ParseError> {
    match format {
        Format::Docx => docx::extract(bytes),
        // The XML of Word 2003.
        Format::Doc if bytes.trim_ascii_start().starts_with(b"<") || bytes.starts_with(b"\xef\xbb\xbf<") => {
            docx::extract_flat(&text::decode(bytes)?)
        }
        Format::Pptx => pptx::extract(bytes),
        Format::Xlsx => xlsx::extract(bytes),
        Format::Xls => xls::extract(bytes),
        Format::Odt | Format::Odp | Format::Ods => odf::extract(format, bytes),
        Format::Rtf => rtf::extract(&bytes),
        Format::Msg => msg::extract(bytes, deadline, open),
        _ => old(format, bytes),
    }
}

fn old(format: Format, bytes: Vec<u8>) -> Result<Extracted, ParseError> {
    let kind = if format == Format::Ppt { DocumentFormat::Ppt } else { DocumentFormat::Doc };
    let doc = Office::from_reader(Cursor::new(bytes), kind).map_err(|e| refused(format, &e))?;
    let text = unescape(&doc.to_markdown());
    let title = doc.to_ir().metadata.title.as_deref().and_then(title::clean);
    let title = title.or_else(|| title::of_markdown(&text));
    Ok(Extracted { title, markup: Markup::Markdown, text })
}

fn refused(format: Format, error: &OfficeError) -> ParseError {
    let message = error.to_string();
    // The crate has no variant for it in every format.
    if message.contains("encrypted") || message.contains("password") {
        ParseError::Encrypted(format)
    } else {
        ParseError::broken(format, message)
    }
}
