//! The format of some bytes: by their name, and where that says nothing or lies, by their first bytes.

use super::format::{Format, Guess};
use super::{ParseError, container, mail, text};

/// The format to read some bytes as.
pub(super) fn detect(named: Guess, bytes: &[u8]) -> Result<Format, ParseError> {
    // A magic number is stronger than a name: a PDF that was saved as `.txt` is a PDF.
    if let Some(format) = magic(bytes) {
        return Ok(match (named, format) {
            // The streams inside of a compound file tell an old document from an encrypted new one.
            (Guess::Known(named @ (Format::Docx | Format::Pptx | Format::Xlsx)), _)
                if bytes.starts_with(COMPOUND) && holds(bytes, "EncryptedPackage") =>
            {
                return Err(ParseError::Encrypted(named));
            }
            // A damaged container is a damaged document of the kind that it is named after.
            (_, format) => format,
        });
    }
    match named {
        Guess::Known(format) if format.is_text() => Ok(format),
        Guess::Known(Format::Html) => Ok(Format::Html),
        // A page that says "not found" under a document's name.
        Guess::Known(Format::Pdf | Format::Docx | Format::Doc | Format::Xls | Format::Xlsx) if is_html(bytes) => {
            Ok(Format::Html)
        }
        // Word and Excel save pages in this form, under their own names.
        Guess::Known(Format::Doc | Format::Xls) if is_mime(bytes) => Ok(Format::Email),
        // Mailboxes often have no extension, or that of a mail.
        Guess::Known(Format::Email) | Guess::Unknown if mail::mbox::is_mbox(bytes) => Ok(Format::Mbox),
        Guess::Known(format) => Ok(format),
        Guess::Unsupported(extension) => Err(ParseError::Unsupported(extension)),
        Guess::Unknown if is_html(bytes) => Ok(Format::Html),
        Guess::Unknown if encoding_rs::Encoding::for_bom(bytes).is_none() && text::is_binary(bytes) => Err(ParseError::Binary),
        Guess::Unknown if bytes.starts_with(b"#!") => Ok(Format::Code),
        Guess::Unknown => Ok(Format::Text),
    }
}

const COMPOUND: &[u8] = b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1";

fn magic(bytes: &[u8]) -> Option<Format> {
    if bytes.starts_with(b"%PDF-") {
        return Some(Format::Pdf);
    }
    if bytes.starts_with(container::MAGIC) {
        return container::sniff(bytes);
    }
    if bytes.starts_with(COMPOUND) {
        return [
            ("WordDocument", Format::Doc),
            ("PowerPoint Document", Format::Ppt),
            ("Workbook", Format::Xls),
            ("Book", Format::Xls),
            ("EncryptedPackage", Format::Docx),
        ]
        .into_iter()
        .find_map(|(stream, format)| holds(bytes, stream).then_some(format));
    }
    None
}

/// Whether a compound file's directory names this stream (in UTF-16, as it does).
fn holds(bytes: &[u8], stream: &str) -> bool {
    let name: Vec<u8> = stream.encode_utf16().flat_map(u16::to_le_bytes).collect();
    bytes.windows(name.len()).any(|w| w == name)
}

fn is_mime(bytes: &[u8]) -> bool {
    bytes.get(..13).is_some_and(|start| start.eq_ignore_ascii_case(b"MIME-Version:"))
}

fn is_html(bytes: &[u8]) -> bool {
    let start = bytes.strip_prefix(b"\xef\xbb\xbf").unwrap_or(bytes).trim_ascii_start();
    [&b"<!doctype html"[..], b"<html"].iter().any(|mark| start.get(..mark.len()).is_some_and(|s| s.eq_ignore_ascii_case(mark)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::parse::format::guess;

    #[test]
    fn content_is_stronger_than_the_name() {
        let detect = |name: &str, bytes: &[u8]| detect(guess(name), bytes);
        assert_eq!(detect("a.txt", b"%PDF-1.4\n"), Ok(Format::Pdf));
        assert_eq!(detect("a.pdf", b"<!DOCTYPE html><p>404"), Ok(Format::Html));
        assert_eq!(detect("page", b" <HTML><p>x"), Ok(Format::Html));
        assert_eq!(detect("run", b"#!/bin/sh\n"), Ok(Format::Code));
        assert_eq!(detect("x", b"a\0b"), Err(ParseError::Binary));
        assert_eq!(detect("x.png", b"\x89PNG"), Err(ParseError::Unsupported("png".into())));
    }
}
