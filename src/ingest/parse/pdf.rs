//! PDF, page by page.

use std::time::{Duration, Instant};

use encoding_rs::{UTF_16BE, UTF_16LE, WINDOWS_1252};
use pdf_oxide::PdfDocument;
use pdf_oxide::converters::ConversionOptions;
use pdf_oxide::decoders::{FlateDecoder, StreamDecoder};

use super::{Extracted, Format, MAX_TEXT, ParseError, title};
use crate::document::Markup;

/// Arrays and dictionaries within one another. Real files stay below a hundred; the parser recurses, at less than 2 KiB of
/// stack a level, so that this many need a fraction of the stack that [`super::guard`] gives.
const MAX_DEPTH: usize = 20_000;
/// What the compressed streams of a file are looked through for nesting, in bytes over all.
const MAX_INFLATED: u64 = 1 << 30;

pub(super) fn extract(bytes: Vec<u8>, deadline: Instant) -> Result<Extracted, ParseError> {
    check_nesting(&bytes)?;
    let doc = PdfDocument::from_bytes(bytes).map_err(|e| broken(&e))?;
    if doc.is_encrypted() && !doc.is_authenticated() {
        return Err(ParseError::Encrypted(Format::Pdf));
    }
    let options = ConversionOptions { expand_ligatures: true, include_artifacts: false, ..ConversionOptions::default() };
    let mut text = String::new();
    let (mut failed, mut last_failure) = (0usize, None);
    let pages = doc.page_count().map_err(|e| broken(&e))?;
    let began = Instant::now();
    for page in 0..pages {
        if Instant::now() >= deadline {
            let after = Duration::from_secs(began.elapsed().as_secs().max(1));
            return Err(ParseError::TimedOut { format: Format::Pdf, after });
        }
        match doc.to_markdown(page, &options) {
            Ok(markdown) => push_page(&mut text, &markdown),
            Err(e) => {
                failed += 1;
                last_failure = Some(e);
            }
        }
        if text.len() > MAX_TEXT {
            return Err(ParseError::Bomb { format: Format::Pdf, limit: MAX_TEXT >> 20 });
        }
    }
    if text.is_empty() {
        return Err(last_failure.map_or(ParseError::NoText(Format::Pdf), |e| broken(&e)));
    }
    if failed > 0 {
        tracing::warn!(failed, pages, "some pages of a PDF could not be read");
    }
    let title = title(&doc).or_else(|| title::of_markdown(&text));
    Ok(Extracted { title, markup: Markup::Markdown, text })
}

fn push_page(text: &mut String, markdown: &str) {
    let page = markdown.trim_matches('\n');
    if page.trim().is_empty() {
        return;
    }
    if !text.is_empty() {
        text.push_str("\n\n");
    }
    text.push_str(page);
}

fn broken(error: &pdf_oxide::error::Error) -> ParseError {
    match error {
        pdf_oxide::error::Error::EncryptedPdf => ParseError::Encrypted(Format::Pdf),
        e => ParseError::broken(Format::Pdf, e),
    }
}

/// `/Title` of the document's information, unless it is what a program puts there by itself.
fn title(doc: &PdfDocument) -> Option<String> {
    let info = doc.resolve_object(doc.trailer().as_dict()?.get("Info")?).ok()?;
    let raw = doc.resolve_object(info.as_dict()?.get("Title")?).ok()?;
    let raw = raw.as_string()?;
    let encoding = match raw {
        [0xfe, 0xff, ..] => UTF_16BE,
        [0xff, 0xfe, ..] => UTF_16LE,
        // PDFDocEncoding is Latin-1 for what titles are made of.
        _ if std::str::from_utf8(raw).is_err() => WINDOWS_1252,
        _ => encoding_rs::UTF_8,
    };
    let title = title::clean(&encoding.decode_with_bom_removal(raw).0)?;
    let lower = title.to_lowercase();
    let automatic = lower.starts_with("microsoft word - ")
        || lower.starts_with("untitled")
        || [".doc", ".docx", ".dvi", ".tex", ".pdf", ".ps", ".indd", ".qxd"].iter().any(|end| lower.ends_with(end));
    (!automatic).then_some(title)
}

/// Refuses nesting that would overflow the parser's stack: in the file itself and in its deflated streams, where nearly
/// all files keep their objects. (A stream under another filter, or encrypted, is not looked into.)
fn check_nesting(bytes: &[u8]) -> Result<(), ParseError> {
    let refuse = || Err(ParseError::broken(Format::Pdf, format_args!("more than {MAX_DEPTH} objects nested in one another")));
    if depth(bytes) > MAX_DEPTH {
        return refuse();
    }
    let mut left = MAX_INFLATED;
    let mut rest = bytes;
    while let Some(at) = find(rest, b"stream") {
        rest = rest.get(at + b"stream".len()..).unwrap_or_default();
        let data = rest.strip_prefix(b"\r\n").or_else(|| rest.strip_prefix(b"\n")).unwrap_or(rest);
        // The two bytes of a zlib header; other data, and the "stream" of "endstream", have none.
        let [cmf, flg, ..] = *data else { break };
        if cmf & 0x0f != 8 || (u16::from(cmf) * 256 + u16::from(flg)) % 31 != 0 {
            continue;
        }
        let length = find(data, b"endstream").unwrap_or(data.len());
        let Some(deflated) = data.get(..length) else { break };
        match FlateDecoder::with_limit(left).decode(deflated) {
            Ok(inflated) => {
                if depth(&inflated) > MAX_DEPTH {
                    return refuse();
                }
                left = left.saturating_sub(inflated.len() as u64);
            }
            // Damaged: the parser will see no more of it. The bound is an error too, and not told apart by its type.
            Err(e) if e.to_string().contains("limit") => left = 0,
            Err(_) => {}
        }
        if left == 0 {
            return Err(ParseError::Bomb { format: Format::Pdf, limit: (MAX_INFLATED >> 20) as usize });
        }
        rest = data.get(length..).unwrap_or_default();
    }
    Ok(())
}

fn find(haystack: &[u8], needle: &[u8]) -> Option<usize> {
    let first = *needle.first()?;
    let mut from = 0;
    loop {
        let at = from + haystack.get(from..)?.iter().position(|&b| b == first)?;
        if haystack.get(at..)?.starts_with(needle) {
            return Some(at);
        }
        from = at + 1;
    }
}

/// How deep arrays and dictionaries nest, at most: brackets in strings and pictures count too, which only errs upwards, and
/// in pictures not by much.
fn depth(bytes: &[u8]) -> usize {
    let (mut now, mut most) = (0usize, 0usize);
    let mut before = 0;
    for &b in bytes {
        match b {
            b'[' => now += 1,
            b']' => now = now.saturating_sub(1),
            b'<' if before == b'<' => {
                now += 1;
                before = 0;
                most = most.max(now);
                continue;
            }
            b'>' if before == b'>' => {
                now = now.saturating_sub(1);
                before = 0;
                continue;
            }
            _ => {}
        }
        most = most.max(now);
        before = b;
    }
    most
}
