//! The format of some bytes: by their name, and where that says nothing or lies, by their first bytes.

#[cfg(feature = "office")]
use super::compound::Compound;
use super::format::{Format, Guess};
use super::{ParseError, container, mail, text};

/// Where XML and MIME say what they are.
const HEAD: usize = 4096;

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
        Guess::Known(format) if is_office(format) && is_owner_file(bytes) => Err(ParseError::Binary),
        Guess::Known(format) if is_office(format) => Ok(under_another_name(format, bytes)),
        Guess::Known(format) if format.is_text() => Ok(office_xml(bytes).filter(|_| format == Format::Code).unwrap_or(format)),
        // A page that says "not found" under a document's name.
        Guess::Known(Format::Pdf) if is_html(bytes) => Ok(Format::Html),
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
        let kinds = [
            // First, since documents are attached to messages.
            ("__nameid_version1.0", Format::Msg),
            ("WordDocument", Format::Doc),
            ("PowerPoint Document", Format::Ppt),
            ("Workbook", Format::Xls),
            ("Book", Format::Xls),
            ("__properties_version1.0", Format::Msg),
            ("EncryptedPackage", Format::Docx),
        ];
        #[cfg_attr(not(feature = "office"), expect(unused_mut, reason = "the feature sorts them"))]
        let mut named: Vec<(&str, Format)> = kinds.into_iter().filter(|(stream, _)| holds(bytes, stream)).collect();
        // Documents lie in one another: what it is itself stands at the root.
        #[cfg(feature = "office")]
        if named.iter().any(|(_, format)| Some(*format) != named.first().map(|n| n.1))
            && let Some(file) = Compound::open(bytes.to_vec())
        {
            let at_root = file.children(0);
            named.sort_by_key(|(stream, _)| !at_root.iter().any(|(name, _)| name.eq_ignore_ascii_case(stream)));
        }
        return named.first().map(|(_, format)| *format);
    }
    if start(bytes).starts_with(b"{\\rtf") {
        return Some(Format::Rtf);
    }
    // A workbook of Excel 2 to 4, which is one stream.
    if matches!(bytes, [0x09, 0x00 | 0x02 | 0x04, 0x04 | 0x06, 0x00, _, _, 0x05 | 0x06 | 0x10 | 0x20 | 0x40, 0x00 | 0x01, ..]) {
        return Some(Format::Xls);
    }
    None
}

/// Whether a compound file's directory names this stream (in UTF-16, as it does).
fn holds(bytes: &[u8], stream: &str) -> bool {
    let name: Vec<u8> = stream.encode_utf16().flat_map(u16::to_le_bytes).collect();
    bytes.windows(name.len()).any(|w| w == name)
}

fn is_office(format: Format) -> bool {
    use Format::{Doc, Docx, Msg, Odp, Ods, Odt, Ppt, Pptx, Rtf, Xls, Xlsx};
    matches!(format, Doc | Docx | Msg | Odp | Ods | Odt | Ppt | Pptx | Rtf | Xls | Xlsx)
}

/// What Word (162 bytes), Excel and `PowerPoint` (165) leave beside a document that is open: who has opened it, twice, in two encodings.
fn is_owner_file(bytes: &[u8]) -> bool {
    matches!(bytes.len(), 162 | 165) && bytes.first().is_some_and(|&length| length < 54) && text::is_binary(bytes)
}

/// What is named like an office file and has not the first bytes of one: many a program exports a page, a table in text or XML
/// under the name of the program that is to open it.
fn under_another_name(named: Format, bytes: &[u8]) -> Format {
    if bytes.starts_with(container::MAGIC) || bytes.starts_with(COMPOUND) {
        return named;
    }
    if let Some(format) = office_xml(bytes) {
        return format;
    }
    let head = head(bytes);
    if is_html(bytes) || (head.starts_with('<') && ["<html", "<table", "<body", "<head"].iter().any(|tag| head.contains(tag))) {
        return Format::Html;
    }
    if is_mail(&head) {
        return Format::Email;
    }
    if encoding_rs::Encoding::for_bom(bytes).is_none() && text::is_binary(bytes) {
        return named;
    }
    let first_lines = || head.lines().take(20).filter(|line| !line.trim().is_empty());
    let parted = |by: char| first_lines().count() > 0 && first_lines().all(|line| line.contains(by));
    let is_sheet = matches!(named, Format::Xls | Format::Xlsx | Format::Ods);
    if is_sheet && (head.contains('\t') || [',', ';', '|'].into_iter().any(parted)) { Format::Csv } else { Format::Text }
}

/// Office files that are one XML file: those of Office 2003 and flat `OpenDocument`.
fn office_xml(bytes: &[u8]) -> Option<Format> {
    let head = head(bytes);
    if !head.starts_with("<?xml") && !head.starts_with("<workbook") && !head.starts_with("<office:document") {
        return None;
    }
    if head.contains("urn:schemas-microsoft-com:office:spreadsheet") && head.contains("workbook") && !head.contains("<html") {
        return Some(Format::Xls);
    }
    if head.contains("http://schemas.microsoft.com/office/word/2003/wordml") && head.contains("worddocument") {
        return Some(Format::Doc);
    }
    let (_, kind) = head.split_once("office:mimetype=")?;
    let kind = kind.get(1..).unwrap_or_default();
    [("opendocument.text", Format::Odt), ("opendocument.spreadsheet", Format::Ods), ("opendocument.presentation", Format::Odp)]
        .into_iter()
        .find_map(|(name, format)| kind.strip_prefix("application/vnd.oasis.")?.starts_with(name).then_some(format))
}

/// A message, or a page that was saved as one: its first lines are fields, and among them is one that only messages have.
fn is_mail(head: &str) -> bool {
    let mut fields = head.lines().take_while(|line| !line.trim().is_empty()).take(60);
    let is_field = |line: &str| {
        line.starts_with([' ', '\t'])
            || line.split_once(':').is_some_and(|(name, _)| !name.is_empty() && name.bytes().all(|b| b.is_ascii_graphic()))
    };
    let mut says = false;
    fields.all(|line| {
        says |= ["mime-version:", "received:", "message-id:", "return-path:"].iter().any(|name| line.starts_with(name));
        is_field(line)
    }) && says
}

fn start(bytes: &[u8]) -> &[u8] {
    bytes.strip_prefix(b"\xef\xbb\xbf").unwrap_or(bytes).trim_ascii_start()
}

/// The first characters, in small letters; UTF-16 is read too.
fn head(bytes: &[u8]) -> String {
    let first = bytes.get(..HEAD).unwrap_or(bytes);
    let text = match encoding_rs::Encoding::for_bom(first) {
        Some((encoding, _)) => encoding.decode(first).0.into_owned(),
        None => String::from_utf8_lossy(first).into_owned(),
    };
    text.trim_start().to_ascii_lowercase()
}

fn is_html(bytes: &[u8]) -> bool {
    let start = start(bytes);
    [&b"<!doctype html"[..], b"<html"].iter().any(|mark| start.get(..mark.len()).is_some_and(|s| s.eq_ignore_ascii_case(mark)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::parse::format::guess;

    fn detect(name: &str, bytes: &[u8]) -> Result<Format, ParseError> {
        super::detect(guess(name), bytes)
    }

    #[test]
    fn content_is_stronger_than_the_name() {
        assert_eq!(detect("a.txt", b"%PDF-1.4\n"), Ok(Format::Pdf));
        assert_eq!(detect("a.pdf", b"<!DOCTYPE html><p>404"), Ok(Format::Html));
        assert_eq!(detect("page", b" <HTML><p>x"), Ok(Format::Html));
        assert_eq!(detect("run", b"#!/bin/sh\n"), Ok(Format::Code));
        assert_eq!(detect("x", b"a\0b"), Err(ParseError::Binary));
        assert_eq!(detect("x.png", b"\x89PNG"), Err(ParseError::Unsupported("png".into())));
    }

    #[test]
    fn office_names_over_something_else() {
        for (name, bytes, format) in [
            ("a.doc", &b"{\\rtf1\\ansi x}"[..], Format::Rtf),
            ("a.txt", b"\xef\xbb\xbf {\\rtf1\\ansi x}", Format::Rtf),
            ("a.xls", b"Name\tQty\nBolt\t3\n", Format::Csv),
            ("a.xls", b"Name;Qty\r\nBolt;3\r\n", Format::Csv),
            ("a.xlsx", b"only words\n", Format::Text),
            ("a.xls", b"\xff\xfeN\0\t\0Q\0", Format::Csv),
            ("a.xls", b"<meta http-equiv=x><table><tr><td>1</table>", Format::Html),
            ("a.xls", b"<html xmlns:x=\"urn:schemas-microsoft-com:office:excel\"><table>", Format::Html),
            ("a.xls", b"<?xml version='1.0'?><Workbook xmlns='urn:schemas-microsoft-com:office:spreadsheet'>", Format::Xls),
            ("a.xml", b"<?xml version='1.0'?><Workbook xmlns='urn:schemas-microsoft-com:office:spreadsheet'>", Format::Xls),
            ("a.xml", b"<?xml version='1.0'?><note/>", Format::Code),
            (
                "a.doc",
                b"<?xml version='1.0'?><w:wordDocument xmlns:w='http://schemas.microsoft.com/office/word/2003/wordml'>",
                Format::Doc,
            ),
            (
                "a.fodt",
                b"<?xml version='1.0'?><office:document office:mimetype='application/vnd.oasis.opendocument.text'>",
                Format::Odt,
            ),
            ("a.doc", b"From: a\r\nMIME-Version: 1.0\r\nContent-Type: multipart/related\r\n\r\n", Format::Email),
            ("a.doc", b"Dear Ann: the lease\n", Format::Text),
            ("a.doc", b"\x01\x00\x02\x00", Format::Doc),
            ("a.xls", b"\x09\x04\x06\x00\x00\x00\x10\x00", Format::Xls),
        ] {
            assert_eq!(detect(name, bytes), Ok(format), "{name} {}", String::from_utf8_lossy(bytes));
        }
    }

    #[test]
    fn who_has_a_document_open_is_no_document() {
        let owner = |narrow: usize, fill: u8, all: usize| {
            let mut bytes = b"\x0aAnna M\xfcller".to_vec();
            bytes.resize(narrow, fill);
            bytes.extend(*b"\x0a\0");
            bytes.extend("Anna Müller".encode_utf16().flat_map(u16::to_le_bytes));
            bytes.resize(all, 0);
            bytes
        };
        assert_eq!(detect("~$letter.docx", &owner(54, 0, 162)), Err(ParseError::Binary));
        assert_eq!(detect("~$rates.xlsx", &owner(55, b' ', 165)), Err(ParseError::Binary));
        assert_eq!(detect("letter.doc", &owner(54, 0, 163)), Ok(Format::Doc), "of another length");
        assert_eq!(detect("a.doc", &[b'x'; 162]), Ok(Format::Text));
    }

    #[test]
    fn a_document_is_what_stands_at_its_root() {
        use super::super::compound::built;
        let book = built(&[("Workbook", b"x"), ("MBD1/WordDocument", b"y"), ("MBD2/PowerPoint Document", b"z")]);
        assert_eq!(detect("a.xls", &book), Ok(Format::Xls));
        let letter = built(&[("WordDocument", b"x"), ("ObjectPool/Workbook", b"y")]);
        assert_eq!(detect("a.doc", &letter), Ok(Format::Doc));
    }
}
