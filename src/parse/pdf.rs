//! PDF, page by page.
//!
//! Of the crate's three renderings none is best everywhere (judged on 281 manuals and papers): its Markdown drops single
//! signs that are set in another font (`+`, `*`, `⟨⟩`, bullets) and takes lists of commands for tables; its plain text is
//! faithful but reads across the columns of a two-column page; its text extraction reads columns, but swaps parts of lines
//! in which the font changes. So: text extraction for pages in two columns, plain text for all others.

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
/// Bytes before a stream in which its dictionary says what it is.
const DICTIONARY: usize = 1024;
/// How far apart two columns are, at least, in points. Wider than a space between words.
const GUTTER: f32 = 8.0;

pub(super) fn extract(bytes: Vec<u8>, deadline: Instant) -> Result<Extracted, ParseError> {
    check_nesting(&bytes)?;
    let doc = PdfDocument::from_bytes(bytes).map_err(|e| broken(&e))?;
    if doc.is_encrypted() && !doc.is_authenticated() {
        return Err(ParseError::Encrypted(Format::Pdf));
    }
    let options = ConversionOptions { expand_ligatures: true, ..ConversionOptions::default() };
    let mut text = String::new();
    let (mut failed, mut last_failure) = (0usize, None);
    let pages = doc.page_count().map_err(|e| broken(&e))?;
    let began = Instant::now();
    for page in 0..pages {
        if Instant::now() >= deadline {
            let after = Duration::from_secs(began.elapsed().as_secs().max(1));
            return Err(ParseError::TimedOut { format: Format::Pdf, after });
        }
        match read_page(&doc, page, &options) {
            Ok(page) => push_page(&mut text, &page),
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
    // What is set in large letters on the first page is found by the Markdown rendering alone.
    let title = title(&doc).or_else(|| title::of_markdown(&doc.to_markdown(0, &options).ok()?));
    Ok(Extracted { title, markup: Markup::Text, text })
}

fn read_page(doc: &PdfDocument, page: usize, options: &ConversionOptions) -> pdf_oxide::error::Result<String> {
    let spans = doc.extract_spans(page)?;
    let (left, _, right, _) = doc.get_page_media_box(page)?;
    let boxes: Vec<(f32, f32, usize)> =
        spans.iter().map(|s| (s.bbox.x, s.bbox.x + s.bbox.width, s.text.trim().chars().count())).collect();
    if has_two_columns(&boxes, left.min(right), left.max(right)) {
        doc.extract_text(page)
    } else {
        doc.to_plain_text(page, options).map(|text| rejoin(&text))
    }
}

/// Whether text stands to the left and to the right of a gutter about the middle of the page, and hardly any crosses it.
/// Each run of text is its left edge, its right edge and its number of characters.
fn has_two_columns(runs: &[(f32, f32, usize)], left: f32, right: f32) -> bool {
    let all: usize = runs.iter().map(|r| r.2).sum();
    // A page with little on it (a title, a few lines of a form) has no columns to confuse.
    if all < 400 {
        return false;
    }
    (40..=60u8).any(|percent| {
        let gutter = left + (right - left) * f32::from(percent) / 100.0;
        let chars = |of: &dyn Fn(&(f32, f32, usize)) -> bool| runs.iter().filter(|r| of(r)).map(|r| r.2).sum::<usize>();
        let before = chars(&|r| r.1 <= gutter - GUTTER / 2.0);
        let after = chars(&|r| r.0 >= gutter + GUTTER / 2.0);
        let across = all - (before + after).min(all);
        before * 4 >= all && after * 4 >= all && across * 10 <= all
    })
}

/// Joins the words that were divided at the ends of lines: "argu- ments".
fn rejoin(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    while let Some((before, after)) = rest.split_once("- ") {
        out.push_str(before);
        let word = before.rsplit(char::is_whitespace).next().unwrap_or_default();
        let divided = word.ends_with(char::is_lowercase)
            && after.starts_with(char::is_lowercase)
            // "pre- and postfix"
            && !["and ", "or ", "to ", "und ", "oder ", "bis ", "et ", "ou ", "y ", "o ", "e "].iter().any(|w| after.starts_with(w));
        match divided {
            // "state-of- the-art" was divided where it had a hyphen anyway.
            true if word.contains('-') => out.push('-'),
            true => {}
            false => out.push_str("- "),
        }
        rest = after;
    }
    out.push_str(rest);
    out
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
/// all files keep their objects. Not looked into are pictures, which unpack to gigabytes in honest files, and what is
/// encrypted or under another filter.
fn check_nesting(bytes: &[u8]) -> Result<(), ParseError> {
    let refuse = || Err(ParseError::broken(Format::Pdf, format_args!("more than {MAX_DEPTH} objects nested in one another")));
    if depth(bytes) > MAX_DEPTH {
        return refuse();
    }
    let mut left = MAX_INFLATED;
    let mut rest = bytes;
    while let Some(at) = find(rest, b"stream") {
        let dictionary = rest.get(at.saturating_sub(DICTIONARY)..at).unwrap_or_default();
        let begins = dictionary.windows(4).rposition(|w| w == b" obj").unwrap_or(0);
        let is_picture = dictionary.get(begins..).is_some_and(|own| find(own, b"/Image").is_some());
        rest = rest.get(at + b"stream".len()..).unwrap_or_default();
        let data = rest.strip_prefix(b"\r\n").or_else(|| rest.strip_prefix(b"\n")).unwrap_or(rest);
        // The two bytes of a zlib header; other data, and the "stream" of "endstream", have none.
        let [cmf, flg, ..] = *data else { break };
        if is_picture || cmf & 0x0f != 8 || (u16::from(cmf) * 256 + u16::from(flg)) % 31 != 0 {
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_are_rejoined() {
        assert_eq!(
            rejoin("argu- ments, state-of- the-art, pre- and post-, - a list, x - y"),
            "arguments, state-of-the-art, pre- and post-, - a list, x - y"
        );
    }

    #[test]
    fn columns_are_told_by_the_gutter() {
        let column = |x: f32, width: f32| (0..40).map(move |_| (x, x + width, 20));
        let two: Vec<_> = column(50.0, 230.0).chain(column(310.0, 230.0)).collect();
        assert!(has_two_columns(&two, 0.0, 595.0));
        let one: Vec<_> = column(50.0, 490.0).collect();
        assert!(!has_two_columns(&one, 0.0, 595.0));
        // Words of one column, each a run of its own: they cover every gutter now and then.
        let words: Vec<_> = (0..200).map(|i| (50.0 + (i * 37 % 450) as f32, 100.0 + (i * 37 % 450) as f32, 6)).collect();
        assert!(!has_two_columns(&words, 0.0, 595.0));
    }

    #[test]
    fn nesting_is_refused_before_the_parser_sees_it() {
        let nested = |n: usize| [b"%PDF-1.4\n1 0 obj\n".to_vec(), b"[".repeat(n)].concat();
        assert_eq!(check_nesting(&nested(1000)), Ok(()));
        assert!(matches!(check_nesting(&nested(MAX_DEPTH + 1)), Err(ParseError::Broken { .. })));
        // And what is let through fits on the stack.
        for (level, depth) in [(&b"["[..], 1), (b"<</A ", 1), (b"[<</A ", 2)] {
            let deepest = [b"%PDF-1.4\n1 0 obj\n".to_vec(), level.repeat(MAX_DEPTH / depth)].concat();
            assert_eq!(check_nesting(&deepest), Ok(()));
            assert!(super::super::guard::run(Format::Pdf, move |deadline| Ok(extract(deepest, deadline).is_err())).is_ok());
        }
    }
}
