//! Word and `PowerPoint`, old and new, as Markdown.

use std::io::Cursor;

use office_oxide::{Document as Office, DocumentFormat, OfficeError};

use super::markdown::unescape;
use super::{Extracted, Format, ParseError, container, title};
use crate::document::Markup;

pub(super) fn extract(format: Format, bytes: Vec<u8>) -> Result<Extracted, ParseError> {
    let (kind, bytes) = match format {
        Format::Docx => (DocumentFormat::Docx, container::checked(format, bytes)?),
        Format::Pptx => (DocumentFormat::Pptx, container::checked(format, bytes)?),
        Format::Ppt => (DocumentFormat::Ppt, bytes),
        _ => (DocumentFormat::Doc, bytes),
    };
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
